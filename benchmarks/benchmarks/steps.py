"""Each step on one image, with plain OpenCV, numpy or scikit-image beside it: in every class one value is a reference.

So each figure is also a ratio, by the reference of its class at the same size; `Decoding` has the common unit, the time
that ``cv2.imread`` takes for the same image as a JPEG file.
"""

import tempfile
from typing import ClassVar

import cv2
import numpy as np
from skimage import feature, filters, measure, segmentation

from skinseg import (
    ABCDFeaturizer,
    ChanVeseSegmenter,
    ColorConstancy,
    ContrastEqualizer,
    EnsembleSegmenter,
    FrameCropper,
    GrabCutSegmenter,
    HairRemover,
    IlluminationCorrector,
    ImageResizer,
    KMeansSegmenter,
    LesionImage,
    PretrainedSegmenter,
    SaliencySegmenter,
    SuperpixelSegmenter,
    ThresholdSegmenter,
    read_image,
)
from skinseg.datasets import make_lesions

from .common import SIZES, scene, shape_of, write_files

PROPERTIES = (
    "area", "area_convex", "axis_major_length", "axis_minor_length", "eccentricity", "equivalent_diameter_area",
    "extent", "feret_diameter_max", "orientation", "perimeter", "solidity",
)  # fmt: skip


def _resize_file(path):
    ImageResizer(512).transform([path])


READERS = {
    "cv2.imread": lambda path: cv2.imread(str(path)),
    "read_image": read_image,
    "ImageResizer(512)": _resize_file,
    "ImageResizer(512), decoded whole": lambda path: ImageResizer(512, reduced_decoding=False).transform([path]),
}


class Decoding:
    """A JPEG file to pixels, whole and brought to a working size; the reference is ``cv2.imread``."""

    params = (SIZES, tuple(READERS))
    param_names = ("size", "reader")

    def setup(self, size, reader):
        self.folder = tempfile.TemporaryDirectory()
        (self.path,) = write_files(self.folder.name, 1, size)
        self.read = READERS[reader]

    def teardown(self, size, reader):
        self.folder.cleanup()

    def time_read(self, size, reader):
        self.read(self.path)

    def peakmem_read(self, size, reader):
        self.read(self.path)


class _OneImage:
    """Work on one image in memory: a step of skinseg, or a plain function of the pixels as reference."""

    timeout = 300
    choices: ClassVar = {}

    def setup(self, size, what):
        self.image, mask = scene(size)
        self.records = [LesionImage(self.image, mask)]
        make = self.choices[what]
        self.work = make() if what.startswith("reference") else make().transform

    def _run(self, what):
        self.work(self.image if what.startswith("reference") else self.records)


def _closings_and_inpainting(image):
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    lines = (np.ones((1, 15), np.uint8), np.ones((15, 1), np.uint8), np.eye(11, dtype=np.uint8))
    hats = [cv2.absdiff(cv2.morphologyEx(gray, cv2.MORPH_CLOSE, line), gray) for line in lines]
    cv2.inpaint(image, (cv2.max(cv2.max(hats[0], hats[1]), hats[2]) > 24).astype(np.uint8), 3, cv2.INPAINT_TELEA)


def _resize(image):
    cv2.resize(image, (200, max(1, round(200 * image.shape[0] / image.shape[1]))), interpolation=cv2.INTER_AREA)


def _clahe(image):
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
    cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


class Preprocessing(_OneImage):
    """Steps from image to image, and what OpenCV takes for the core of some."""

    choices: ClassVar = {
        "reference: cv2.resize by areas": lambda: _resize,
        "reference: cv2 closings and inpainting": lambda: _closings_and_inpainting,
        "reference: cv2 CLAHE in CIELAB": lambda: _clahe,
        "resize": lambda: ImageResizer(200),
        "crop frame": FrameCropper,
        "color": ColorConstancy,
        "illumination": IlluminationCorrector,
        "hair, tophat": HairRemover,
        "hair, dullrazor": lambda: HairRemover("dullrazor"),
        "clahe": ContrastEqualizer,
    }
    params = (SIZES, tuple(choices))
    param_names = ("size", "step")

    def time_transform(self, size, step):
        self._run(step)

    def peakmem_transform(self, size, step):
        self._run(step)


def _superpixels():
    lesions = make_lesions(12, random_state=0)
    return SuperpixelSegmenter(random_state=0).fit(lesions.images, lesions.masks)


def _otsu(image):
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    measure.label(gray < filters.threshold_otsu(gray))


def _grabcut(image):
    small = cv2.resize(image, (256, 256 * image.shape[0] // image.shape[1]), interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    box = (width // 8, height // 8, 3 * width // 4, 3 * height // 4)
    cv2.grabCut(small, np.zeros((height, width), np.uint8), box, None, None, 5, cv2.GC_INIT_WITH_RECT)


class Segmenters(_OneImage):
    """Steps from image to mask; most work on a small copy, as the plain GrabCut and SLIC beside them do."""

    choices: ClassVar = {
        "reference: skimage threshold_otsu and label": lambda: _otsu,
        "reference: cv2.grabCut at 256": lambda: _grabcut,
        "reference: skimage slic at 256": lambda: (
            lambda image: segmentation.slic(
                cv2.resize(image, (256, 256 * image.shape[0] // image.shape[1])), n_segments=200, start_label=0
            )
        ),
        "threshold": ThresholdSegmenter,
        "threshold without flattening": lambda: ThresholdSegmenter(flatten=False),
        "saliency": SaliencySegmenter,
        "kmeans": KMeansSegmenter,
        "chan-vese": ChanVeseSegmenter,
        "grabcut": GrabCutSegmenter,
        "ensemble": EnsembleSegmenter,
        "superpixels": _superpixels,
        "pretrained": PretrainedSegmenter,
    }
    params = (SIZES, tuple(choices))
    param_names = ("size", "segmenter")

    def time_transform(self, size, segmenter):
        self._run(segmenter)

    def peakmem_transform(self, size, segmenter):
        self._run(segmenter)


def _glcm(image):
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 8
    matrix = feature.graycomatrix(gray, (1, 3), (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4), levels=32)
    for name in ("contrast", "correlation", "energy", "homogeneity"):
        feature.graycoprops(matrix, name)


class Features(_OneImage):
    """Groups of features of one lesion, scikit-image's table of eleven properties, and its co-occurrence features."""

    choices: ClassVar = {
        "reference: skimage regionprops_table": None,
        "reference: skimage graycomatrix": lambda: _glcm,
        **{
            group: lambda group=group: ABCDFeaturizer(groups=[group])
            for group in ("asymmetry", "border", "color", "dimension", "structure")
        },
        "all": ABCDFeaturizer,
    }
    params = (SIZES, tuple(choices))
    param_names = ("size", "group")

    def setup(self, size, group):
        if self.choices[group] is None:
            labels = scene(size)[1].astype(int)
            self.image = None
            self.work = lambda _: measure.regionprops_table(labels, properties=PROPERTIES)
        else:
            super().setup(size, group)

    def time_measure(self, size, group):
        self._run(group)

    def peakmem_measure(self, size, group):
        self._run(group)

    def track_columns(self, size, group):
        if group.startswith("reference"):
            return len(PROPERTIES) if self.choices[group] is None else 32
        return len(self.choices[group]().get_feature_names_out())


class Estimates:
    """Overhead of the estimator itself: a step that has nothing to do, on many images of one size in memory."""

    params = (100, 1000)
    param_names = ("n_images",)

    def setup(self, n_images):
        image = np.zeros((*shape_of("256"), 3), np.uint8)
        self.images = [image] * n_images

    def time_transform(self, n_images):
        ImageResizer(512).transform(self.images)
