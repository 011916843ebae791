"""The network that comes with the package: alone, on arrays, on files; the start of a process; quality."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from skinseg import PretrainedSegmenter, read_image
from skinseg.datasets import make_lesions
from skinseg.networks import letterbox, packaged_network, run_packaged
from skinseg.outlining import segment_files

from .common import scene, write_files


class Network:
    """Squares that are ready for it; divide by the size of the batch."""

    params = (1, 8, 32)
    param_names = ("batch",)

    def setup(self, batch):
        side = packaged_network().input_size
        self.squares = np.stack([letterbox(scene(256, seed % 8)[0], side) for seed in range(batch)])
        run_packaged(self.squares)

    def time_run(self, batch):
        run_packaged(self.squares)

    def peakmem_run(self, batch):
        run_packaged(self.squares)


class Arrays:
    """One image in memory: what its size costs beside the network."""

    params = ((256, 1024, 3072), (False, True))
    param_names = ("side", "test_time_augmentation")

    def setup(self, side, test_time_augmentation):
        self.images = [scene(side)[0]]
        self.segmenter = PretrainedSegmenter(test_time_augmentation=test_time_augmentation)
        self.segmenter.predict(self.images)

    def time_predict(self, side, test_time_augmentation):
        self.segmenter.predict(self.images)


class Files:
    """One JPEG file to a mask in memory, beside its decoding."""

    params = ((256, 1024, 3072), ("PretrainedSegmenter", "read_image"))
    param_names = ("side", "what")

    def setup(self, side, what):
        self.folder = tempfile.TemporaryDirectory()
        (self.path,) = write_files(self.folder.name, 1, side)
        segmenter = PretrainedSegmenter()
        self.work = read_image if what == "read_image" else lambda path: segmenter.predict([path])
        self.work(self.path)

    def teardown(self, side, what):
        self.folder.cleanup()

    def time_file(self, side, what):
        self.work(self.path)

    def peakmem_file(self, side, what):
        self.work(self.path)


class Folders:
    """Many JPEG files of 512 x 512 to mask files."""

    params = ((32, 128), (1, 2))
    param_names = ("n_images", "n_jobs")
    timeout = 300

    def setup(self, n_images, n_jobs):
        self.folder = tempfile.TemporaryDirectory()
        self.files = write_files(self.folder.name, n_images, 512)
        self.time_segment(n_images, n_jobs)

    def teardown(self, n_images, n_jobs):
        self.folder.cleanup()

    def time_segment(self, n_images, n_jobs):
        segment_files(self.files, Path(self.folder.name) / "masks", PretrainedSegmenter(), n_jobs=n_jobs)

    def peakmem_segment(self, n_images, n_jobs):
        self.time_segment(n_images, n_jobs)


class Start:
    """The command on one file, as a process of its own, to be read against `Imports`."""

    repeat = 3
    number = 1

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        (self.path,) = write_files(self.folder.name, 1, 512)

    def teardown(self):
        self.folder.cleanup()

    def time_command(self):
        call = [sys.executable, "-m", "skinseg.cli", "segment", self.path, "--out", self.folder.name, "--quiet"]
        subprocess.run([*call, "--segmenter", "pretrained"], check=True, capture_output=True)


class Quality:
    """Jaccard index and confidence on synthetic lesions, so that a speed-up that costs quality is seen."""

    def setup(self):
        self.lesions = make_lesions(60, random_state=0)

    def track_jaccard(self):
        return PretrainedSegmenter().score(self.lesions.images, self.lesions.masks)

    def track_mean_confidence(self):
        return float(np.mean([record.confidence for record in PretrainedSegmenter().transform(self.lesions.images)]))
