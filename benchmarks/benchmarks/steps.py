"""Each step on one image, beside the cost of decoding that image by plain OpenCV."""

import tempfile

import cv2
from skimage.measure import regionprops_table

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
    SaliencySegmenter,
    SuperpixelSegmenter,
    ThresholdSegmenter,
    read_image,
)
from skinseg.datasets import make_lesions

from .common import scene, write_files

SIDES = (256, 512, 1024)
PROPERTIES = (
    "area", "area_convex", "axis_major_length", "axis_minor_length", "eccentricity", "equivalent_diameter_area",
    "extent", "feret_diameter_max", "orientation", "perimeter", "solidity",
)  # fmt: skip


class Decoding:
    """`read_image`, and `cv2.imread` as the unit that other figures are told in."""

    params = (SIDES, ("skinseg.read_image", "cv2.imread"))
    param_names = ("side", "reader")

    def setup(self, side, reader):
        self.folder = tempfile.TemporaryDirectory()
        (self.path,) = write_files(self.folder.name, 1, side)
        self.read = read_image if reader == "skinseg.read_image" else lambda path: cv2.imread(str(path))

    def teardown(self, side, reader):
        self.folder.cleanup()

    def time_read(self, side, reader):
        self.read(self.path)


def _superpixels():
    lesions = make_lesions(12, random_state=0)
    return SuperpixelSegmenter(random_state=0).fit(lesions.images, lesions.masks)


STEPS = {
    "resize": lambda: ImageResizer(200),
    "crop frame": FrameCropper,
    "color": ColorConstancy,
    "illumination": IlluminationCorrector,
    "hair, tophat": HairRemover,
    "hair, dullrazor": lambda: HairRemover("dullrazor"),
    "clahe": ContrastEqualizer,
    "threshold": ThresholdSegmenter,
    "threshold without flattening": lambda: ThresholdSegmenter(flatten=False),
    "saliency": SaliencySegmenter,
    "kmeans": KMeansSegmenter,
    "chan-vese": ChanVeseSegmenter,
    "grabcut": GrabCutSegmenter,
    "ensemble": EnsembleSegmenter,
    "superpixels": _superpixels,
}


class Steps:
    """Image steps on one array; divide by `Decoding` with ``cv2.imread`` at the same size for multiples of it."""

    params = (SIDES, tuple(STEPS))
    param_names = ("side", "step")

    def setup(self, side, step):
        image, mask = scene(side)
        self.records = [LesionImage(image, mask)]
        self.step = STEPS[step]()

    def time_transform(self, side, step):
        self.step.transform(self.records)

    def peakmem_transform(self, side, step):
        self.step.transform(self.records)


class Features:
    """Groups of features on one array with its mask, and scikit-image's table of eleven properties."""

    params = (SIDES, ("asymmetry", "border", "color", "dimension", "structure", "all", "skimage.regionprops_table"))
    param_names = ("side", "group")

    def setup(self, side, group):
        image, self.mask = scene(side)
        self.records = [LesionImage(image, self.mask)]
        self.featurizer = (
            ABCDFeaturizer() if group in ("all", "skimage.regionprops_table") else ABCDFeaturizer(groups=[group])
        )

    def time_measure(self, side, group):
        if group == "skimage.regionprops_table":
            regionprops_table(self.mask.astype(int), properties=PROPERTIES)
        else:
            self.featurizer.transform(self.records)
