"""Images shared by the benchmarks: drawn once, of a stated size, as arrays and as JPEG files."""

from pathlib import Path

import cv2
import numpy as np

from skinseg.datasets import make_lesions


def scene(side, seed=0):
    """One synthetic lesion on a square image, and its mask."""
    lesions = make_lesions(1, random_state=seed, min_side=256, max_side=256, hair_fraction=1.0)
    image = cv2.resize(lesions.images[0], (side, side), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(lesions.masks[0].astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
    return image, mask


def write_files(folder, n, side):
    """JPEG files of differing lesions of one size."""
    paths = []
    for index in range(n):
        path = Path(folder) / f"{index:05d}.jpg"
        cv2.imwrite(str(path), scene(side, index % 8)[0][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        paths.append(path)
    return paths
