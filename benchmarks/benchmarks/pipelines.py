"""The pipeline on files: time, memory, quality, search with a cache, size of a saved model, cost of the import."""

import os
import pickle
import subprocess
import sys
import tempfile

import cv2
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score

from skinseg import PretrainedSegmenter, ThresholdSegmenter, load, load_pretrained, make_lesion_pipeline, save
from skinseg.datasets import make_lesions

from .common import SIZES, write_files

SEGMENTERS = {"threshold": ThresholdSegmenter, "pretrained": PretrainedSegmenter}


class Pipelines:
    """From JPEG files of 512 x 512 to fitted pipeline and probabilities; the reference decodes them and no more."""

    params = ((20, 80, 320), ("reference: cv2.imread", "threshold", "pretrained"), (1, 2))
    param_names = ("n_images", "segmenter", "n_jobs")
    timeout = 600

    def setup_cache(self):
        folder = tempfile.mkdtemp()
        return [str(path) for path in write_files(folder, 320, 512)]

    def setup(self, files, n_images, segmenter, n_jobs):
        self.files, self.y = files[:n_images], np.arange(n_images) % 2
        if segmenter in SEGMENTERS:
            self.pipe = make_lesion_pipeline(SEGMENTERS[segmenter](), n_jobs=n_jobs).fit(files[:8], self.y[:8])
        elif n_jobs > 1:
            raise NotImplementedError("plain decoding has no workers")

    def time_fit(self, files, n_images, segmenter, n_jobs):
        if segmenter in SEGMENTERS:
            self.pipe.fit(self.files, self.y)
        else:
            for path in self.files:
                cv2.imread(path)

    def time_predict(self, files, n_images, segmenter, n_jobs):
        if segmenter in SEGMENTERS:
            self.pipe.predict_proba(self.files)
        else:
            for path in self.files:
                cv2.imread(path)

    def peakmem_predict(self, files, n_images, segmenter, n_jobs):
        self.time_predict(files, n_images, segmenter, n_jobs)


class OneFile:
    """One file of each size, decoding included, to a probability; the reference decodes it and no more."""

    params = (SIZES, ("reference: cv2.imread", "threshold", "pretrained", "melanoma"))
    param_names = ("size", "model")
    timeout = 300

    def setup(self, size, model):
        self.folder = tempfile.TemporaryDirectory()
        self.files = [str(path) for path in write_files(self.folder.name, 2, size)]
        if model in SEGMENTERS:
            self.predict = make_lesion_pipeline(SEGMENTERS[model]()).fit(self.files, [0, 1]).predict_proba
        elif model == "melanoma":
            self.predict = load_pretrained(model).predict_proba
        else:
            self.predict = lambda paths: [cv2.imread(path) for path in paths]
        self.predict(self.files[:1])

    def teardown(self, size, model):
        self.folder.cleanup()

    def time_predict(self, size, model):
        self.predict(self.files[:1])

    def peakmem_predict(self, size, model):
        self.predict(self.files[:1])


class Validation:
    """Five folds, and a search over three classifiers, without a cache, with an empty and with a full one."""

    params = ((12, 80), ("none", "empty", "full"))
    param_names = ("n_images", "cache")
    timeout = 600
    number = 1
    repeat = 3

    def setup(self, n_images, cache):
        self.folder = tempfile.TemporaryDirectory()
        self.files = [str(path) for path in write_files(self.folder.name, n_images, 256)]
        self.y = np.arange(n_images) % 2
        memory = None if cache == "none" else os.path.join(self.folder.name, "cache")
        self.pipe = make_lesion_pipeline(ThresholdSegmenter(), memory=memory)
        if cache == "full":
            self.pipe.fit(self.files, self.y)

    def teardown(self, n_images, cache):
        self.folder.cleanup()

    def time_cross_validation(self, n_images, cache):
        cross_val_score(self.pipe, self.files, self.y, cv=5, scoring="roc_auc")

    def time_search(self, n_images, cache):
        GridSearchCV(self.pipe, {"classifier__C": [0.01, 0.1, 1]}, cv=3, scoring="roc_auc").fit(self.files, self.y)


class Persistence:
    """Fitted pipelines as pickle and as file of skinseg."""

    params = tuple(SEGMENTERS)
    param_names = ("segmenter",)

    def setup(self, segmenter):
        lesions = make_lesions(20, random_state=0, min_side=128, max_side=160)
        self.pipe = make_lesion_pipeline(SEGMENTERS[segmenter]()).fit(lesions.images, lesions.target)
        self.folder = tempfile.TemporaryDirectory()
        self.path = save(self.pipe, os.path.join(self.folder.name, "model.skops"))

    def teardown(self, segmenter):
        self.folder.cleanup()

    def time_save(self, segmenter):
        save(self.pipe, os.path.join(self.folder.name, "again.skops"))

    def time_load(self, segmenter):
        load(self.path)

    def time_pickle(self, segmenter):
        pickle.loads(pickle.dumps(self.pipe))

    def track_bytes_of_pickle(self, segmenter):
        return len(pickle.dumps(self.pipe))

    def track_bytes_of_saved_model(self, segmenter):
        return os.path.getsize(self.path)


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
        "reference: pass",
        "reference: import sklearn.pipeline, cv2, imblearn",
        "import skinseg",
        "from skinseg import make_lesion_pipeline",
        "from skinseg.cli import main",
    )
    param_names = ("statement",)
    repeat = 3
    number = 1

    def time_import(self, statement):
        subprocess.run([sys.executable, "-c", statement.removeprefix("reference: ")], check=True)

    def peakmem_import(self, statement):
        exec(statement.removeprefix("reference: "), {})


for _benchmark in (Persistence.track_bytes_of_pickle, Persistence.track_bytes_of_saved_model):
    _benchmark.unit = "bytes"
