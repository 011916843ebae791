"""This package, and `cv2.imread` of the same files as the unit that all figures are told in."""

from importlib.metadata import version

import cv2
import numpy as np
from worker import Task, each, serve

from skinseg import ABCDFeaturizer, LesionImage
from skinseg.features import FEATURES, measure_border, measure_dimension
from skinseg.networks import run_packaged
from skinseg.segmentation._threshold import METHODS, find_threshold

cv2.setNumThreads(1)

DIMENSION = (
    "dimension_area_px", "dimension_equivalent_diameter_px", "dimension_perimeter_px", "dimension_feret_max_px",
    "dimension_feret_min_px", "dimension_axis_major_px", "dimension_axis_minor_px", "dimension_elongation",
)  # fmt: skip
BORDER = ("border_compactness", "border_solidity")
GLCM = tuple(name for name in FEATURES if name.startswith("structure_glcm_"))
LBP = tuple(name for name in FEATURES if name.startswith("structure_lbp_"))
FOUR = ("asymmetry", "border", "color", "dimension")


def pixels(case):
    return case.image, case.mask


def featurize(**settings):
    """From pixels in memory to a table: records are made within the time, as nothing they found may be kept."""
    featurizer = ABCDFeaturizer(**settings)

    def run(items):
        return featurizer.transform([LesionImage(image, mask) for image, mask in items])

    return Task(pixels, run, len(ABCDFeaturizer(**settings).get_feature_names_out()))


def geometry(item):
    image, mask = item
    everywhere = np.ones(mask.shape, bool)  # the field of view is no matter of geometry
    return measure_dimension(mask, features=DIMENSION) | measure_border(image, mask, field=everywhere, features=BORDER)


def levels_of(gray):
    """Histogram of an image, which is part of what is timed."""
    return cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel().astype(np.float64)


def threshold(method):
    return Task(lambda case: case.gray, each(lambda gray: find_threshold(levels_of(gray), method)), 1)


def values(case):
    names = [*DIMENSION, *BORDER, *GLCM, "color_l_std"]
    (row,) = ABCDFeaturizer(features=names).transform([LesionImage(case.image, case.mask)])
    (probability,) = run_packaged(case.square[None]).mean(axis=1)
    return {
        **dict(zip(names, row.tolist(), strict=True)),
        **{f"threshold_{method}": find_threshold(levels_of(case.gray), method) for method in METHODS},
        "probability": float(probability.mean(dtype=float)),
    }


if __name__ == "__main__":
    serve(
        {
            "cv2.imread": Task(lambda case: case.file, each(cv2.imread), 0),
            "asymmetry, border, color, dimension": featurize(groups=FOUR),
            "all groups": featurize(),
            "GLCM": featurize(features=GLCM),
            "LBP": featurize(features=LBP),
            "geometry, functions": Task(pixels, each(geometry), len(DIMENSION) + len(BORDER)),
            "geometry, featurizer": featurize(features=(*DIMENSION, *BORDER)),
            **{f"threshold, {method}": threshold(method) for method in METHODS},
            "network": Task(lambda case: case.square, lambda squares: run_packaged(np.stack(squares)), 0),
            "network, one by one": Task(lambda case: case.square[None], each(run_packaged), 0),
        },
        {name: version(name) for name in ("scikit-skinseg", "numpy", "opencv-python-headless", "onnxruntime")},
        values,
    )
