"""Images shared by the benchmarks: drawn once, of a stated size, as arrays and as JPEG files."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from skinseg.datasets import make_lesions

SIZES = ("256", "512", "1024", "4288x2848")
"""Sides of square images, and width and height of those of a camera of 12 megapixels."""


def shape_of(size):
    """Height and width."""
    width, _, height = str(size).partition("x")
    return int(height or width), int(width)


@cache
def _small_scene(seed):
    lesions = make_lesions(1, random_state=seed, min_side=256, max_side=256, hair_fraction=1.0)
    return lesions.images[0], lesions.masks[0]


def scene(size, seed=0):
    """One synthetic lesion on an image of a size, and its mask."""
    image, mask = _small_scene(seed)
    height, width = shape_of(size)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return image, mask


def write_files(folder, n, size):
    """JPEG files of differing lesions of one size."""
    paths = []
    for index in range(n):
        path = Path(folder) / f"{index:05d}.jpg"
        cv2.imwrite(str(path), scene(size, index % 8)[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        paths.append(path)
    return paths
