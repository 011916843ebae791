"""Resizing of pixels: a pure function that all rooms use."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["resize_image", "shrink_to"]


def resize_image(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize an image: averages over areas where it shrinks, bilinear where it grows.

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
    if height * width <= shape[0] * shape[1]:
        return cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)
    most = min(height // shape[0], width // shape[1])
    for factor in range(most, most // 2, -1):
        if factor >= 2 and height % factor == 0 and width % factor == 0:
            # averages over whole pixels cost a tenth of those over parts of pixels; less than a factor of 2 is left
            pixels = cv2.resize(pixels, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
            return cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)


def shrink_to(pixels: np.ndarray, max_side: int) -> np.ndarray:
    """Shrink an image to a longer side, keeping its aspect ratio.

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
    return resize_image(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
