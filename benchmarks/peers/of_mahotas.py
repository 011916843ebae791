"""mahotas: texture and shape."""

from importlib.metadata import version

import mahotas
import numpy as np
from mahotas import features
from mahotas.labeled import perimeter
from worker import Task, each, serve


def cut(case):
    """Bounding box of the lesion: gray values, and the same with 0 outside, which its functions can be told to skip."""
    rows, columns = (np.flatnonzero(case.mask.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    gray, mask = case.gray[box], case.mask[box]
    return np.where(mask, np.maximum(gray, 1), 0).astype(np.uint8), mask


def texture(function):
    return lambda case: cut(case)[0], each(function)


def zernike(item):
    gray, mask = item
    return features.zernike_moments(gray, max(mask.shape) / 2, degree=8)


def shape(mask):
    """Area, perimeter, axes, eccentricity and roundness; the frame of zeros is needed by the perimeter."""
    mask = np.pad(mask, 1)
    axes = features.ellipse_axes(mask)
    return {
        "area": float(mask.sum()),
        "perimeter": float(perimeter(mask)),
        "semimajor": float(axes[0]),
        "semiminor": float(axes[1]),
        "eccentricity": float(features.eccentricity(mask)),
        "roundness": float(features.roundness(mask)),
    }


def values(case):
    gray, mask = cut(case)
    found = features.haralick(gray, ignore_zeros=True, return_mean=True)
    names = {"energy": 0, "contrast": 1, "correlation": 2, "homogeneity": 4, "entropy": 8}
    return shape(mask) | {f"haralick_{name}": float(found[index]) for name, index in names.items()}


if __name__ == "__main__":
    serve(
        {
            "haralick": Task(*texture(lambda gray: features.haralick(gray, ignore_zeros=True)), 52),
            "lbp": Task(*texture(lambda gray: features.lbp(gray, 1, 8, ignore_zeros=True)), 36),
            "tas": Task(*texture(features.tas), 162),
            "zernike_moments": Task(cut, each(zernike), 25),
            "shape": Task(lambda case: cut(case)[1], each(shape), 6),
        },
        {"mahotas": mahotas.__version__, "numpy": version("numpy")},
        values,
    )
