"""Resizing of pixels: a pure function that all rooms use."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["resize_image", "shrink_to"]


def resize_image(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize an image: averages over areas along the sides that shrink, bilinear where it grows.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8 or float32
        The image.
    shape : tuple of (int, int)
        Height and width wanted.

    Returns
    -------
    ndarray of the height and width wanted
        The image; the array itself if it has that size.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.resampling import resize_image
    >>> resize_image(np.array([[0, 100], [100, 200]], dtype=np.uint8), (1, 1))
    array([[100]], dtype=uint8)
    """
    height, width = pixels.shape[:2]
    if (height, width) == tuple(shape):
        return pixels
    smaller = min(height, shape[0]), min(width, shape[1])
    if smaller != (height, width):
        pixels = cv2.resize(pixels, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller == tuple(shape):
        return pixels
    return cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)


def shrink_to(pixels: np.ndarray, max_side: int) -> np.ndarray:
    """Shrink an image to a longer side, keeping its aspect ratio: a quick copy to work on.

    As far as it goes each side is shrunk by a whole factor, which costs a tenth
    of what parts of pixels do; it is a little softer than by `resize_image`.

    Parameters
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C), uint8 or float32
        The image.
    max_side : int
        Longer side wanted, in pixels, at least 1.

    Returns
    -------
    ndarray
        The smaller image; the array itself if it is no larger than that.
    """
    height, width = pixels.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return pixels
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    rows, columns = _whole_factor(height, shape[0]), _whole_factor(width, shape[1])
    if rows * columns > 1:
        pixels = cv2.resize(pixels, (width // columns, height // rows), interpolation=cv2.INTER_AREA)
    return resize_image(pixels, shape)


def _whole_factor(length: int, wanted: int) -> int:
    """Largest whole factor that shrinks a length evenly and not below what is wanted."""
    most = length // wanted
    return next((factor for factor in range(most, most // 2, -1) if length % factor == 0), 1)
