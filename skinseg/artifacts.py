"""Things in a dermoscopic image that are no skin: stickers and ink, told by their color. Pure functions."""

from __future__ import annotations

import cv2
import numpy as np

from .resampling import shrink_to

__all__ = ["find_foreign"]

_SIDE = 96  # working size of the search, longer side in pixels


def find_foreign(image: np.ndarray, *, field: np.ndarray | None = None) -> np.ndarray:
    """Find colored stickers and ink of surgical markers.

    Both are told by their color, in CIELAB and relative to the median of the
    image, which is skin: ink is violet, stickers are blue, green or more vivid
    than skin and lesions. What lies around the middle of the image is never
    taken, for a blue or violet lesion may be there. Black rulers, white labels
    and bubbles are not looked for: they are thin or brighter than skin.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view; the whole image if None.

    Returns
    -------
    ndarray of shape (H, W), bool
        True on stickers and ink and on a narrow rim around them.

    Notes
    -----
    The limits were chosen on the training images of the ISIC 2017 challenge.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.artifacts import find_foreign
    >>> image = np.full((90, 120, 3), (200, 160, 140), dtype=np.uint8)
    >>> image[30:60, 45:75] = (90, 60, 50)  # a lesion
    >>> image[:30, :30] = (0, 90, 180)  # a blue sticker
    >>> found = find_foreign(image)
    >>> bool(found[:28, :28].all()), bool(found[30:60, 45:75].any())
    (True, False)
    """
    height, width = image.shape[:2]
    small = shrink_to(image, _SIDE)
    valid = np.ones(small.shape[:2], bool)
    if field is not None:
        valid = cv2.resize(field.view(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    if not valid.any():
        return np.zeros((height, width), bool)
    foreign = _keep_off_center(_foreign_color(small, valid) & valid)
    if foreign.any():  # the middle of a sticker may have any color; a ring of ink around the lesion is not filled
        contours, _ = cv2.findContours(foreign.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        foreign = foreign | _keep_off_center(
            cv2.drawContours(foreign.astype(np.uint8), contours, -1, 1, cv2.FILLED) > 0
        )
    if not foreign.any() or foreign.sum() > 0.4 * valid.sum():  # so much of it is the light, and no object
        return np.zeros((height, width), bool)
    grown = cv2.dilate(foreign.view(np.uint8), np.ones((3, 3), np.uint8))
    return cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST) > 0


def _foreign_color(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Tell the pixels whose color neither skin nor (most) lesions have."""
    # whole units are enough, and 8 bits are cheap: L * 2.55, a + 128, b + 128
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    a_skin, b_skin = (_median(lab[..., channel], valid) for channel in (1, 2))
    a, b = lab[..., 1].astype(np.int32), lab[..., 2].astype(np.int32)
    light = lab[..., 0] / np.float32(2.55)
    to_red, to_yellow = a - a_skin, b - b_skin
    a, b = a - 128, b - 128
    violet = (to_yellow < -9) & (to_red > -4) & (b < 4) & (to_red - to_yellow > 16)
    vivid = (a * a + b * b > 62**2) & (light > 45) & (to_red * to_red + to_yellow * to_yellow > 38**2)
    blue = (to_yellow < -22) & (to_red < 2) & (light > 35) & (b < -12)
    green = (to_red < -16) & (light > 40) & (a < -6)
    return violet | vivid | blue | green


def _median(levels: np.ndarray, valid: np.ndarray) -> int:
    counts = cv2.calcHist([levels], [0], valid.view(np.uint8), [256], [0, 256])
    return int(np.searchsorted(np.cumsum(counts), np.count_nonzero(valid) / 2))


def _keep_off_center(foreign: np.ndarray) -> np.ndarray:
    """Leave out specks, and the components that lie around the middle of the image."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(foreign.view(np.uint8), connectivity=8)
    if count == 1:
        return foreign
    height, width = foreign.shape
    side = max(height, width)
    y = (np.arange(height) - (height - 1) / 2) / side
    x = (np.arange(width) - (width - 1) / 2) / side
    near = np.exp(-((y / 0.15) ** 2) / 2)[:, None] * np.exp(-((x / 0.15) ** 2) / 2)[None]
    area = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)  # where all is foreign, label 0 has no pixel
    closeness = np.bincount(labels.ravel(), weights=near.ravel(), minlength=count) / area
    keep = (closeness < 0.35) & (area >= 2)
    keep[0] = False  # label 0 is what is not foreign
    return keep[labels]
