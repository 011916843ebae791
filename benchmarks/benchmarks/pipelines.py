"""The pipeline on files: time, memory, quality, size of a saved model, cost of the import."""

import os
import pickle
import subprocess
import sys
import tempfile

import numpy as np

from skinseg import ThresholdSegmenter, make_lesion_pipeline, save
from skinseg.datasets import make_lesions

from .common import write_files


class Pipelines:
    """From JPEG files of 512 x 512 to fitted pipeline and probabilities."""

    params = ((20, 80), (1, 2))
    param_names = ("n_images", "n_jobs")
    timeout = 300

    def setup_cache(self):
        folder = tempfile.mkdtemp()
        return [str(path) for path in write_files(folder, 80, 512)]

    def setup(self, files, n_images, n_jobs):
        self.files, self.y = files[:n_images], np.arange(n_images) % 2
        self.pipe = make_lesion_pipeline(ThresholdSegmenter(), n_jobs=n_jobs).fit(self.files, self.y)

    def time_fit(self, files, n_images, n_jobs):
        self.pipe.fit(self.files, self.y)

    def time_predict(self, files, n_images, n_jobs):
        self.pipe.predict_proba(self.files)

    def peakmem_predict(self, files, n_images, n_jobs):
        self.pipe.predict_proba(self.files)

    def track_bytes_of_pickle(self, files, n_images, n_jobs):
        return len(pickle.dumps(self.pipe))

    def track_bytes_of_saved_model(self, files, n_images, n_jobs):
        with tempfile.TemporaryDirectory() as folder:
            return os.path.getsize(save(self.pipe, os.path.join(folder, "m.skops")))


class Quality:
    """Jaccard index on synthetic lesions, so that a speed-up that costs quality is seen."""

    def setup(self):
        self.lesions = make_lesions(60, random_state=0)

    def track_jaccard(self):
        return ThresholdSegmenter().score(self.lesions.images, self.lesions.masks)

    def time_make_lesions(self):
        make_lesions(10, random_state=0)


class Imports:
    """Whole processes, to be read against an empty one."""

    params = (
        "pass",
        "import skinseg",
        "from skinseg import make_lesion_pipeline",
        "import sklearn.pipeline, cv2, imblearn",
    )
    param_names = ("statement",)
    repeat = 3
    number = 1

    def time_import(self, statement):
        subprocess.run([sys.executable, "-c", statement], check=True)
