"""A sheet of small pictures with outlines, for a look at many images at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ..images import check_images, check_masks, read_mask

__all__ = ["contact_sheet", "draw_outline"]

_COLORS = ((0, 158, 115), (213, 94, 0))  # bluish green and vermilion: told apart by the color-blind (Okabe and Ito)


def draw_outline(
    image: np.ndarray, mask: np.ndarray, *, color: tuple[int, int, int] = _COLORS[0], thickness: int = 2
) -> np.ndarray:
    """Draw the outline of a mask on a copy of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The mask.
    color : tuple of (int, int, int), default=(0, 158, 115)
        RGB.
    thickness : int, default=2
        In pixels.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The copy.
    """
    contours, _ = cv2.findContours(
        np.ascontiguousarray(mask).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(image.copy(), contours, -1, color, thickness, cv2.LINE_AA)


def contact_sheet(
    X: Any, masks: Any = None, *, references: Any = None, columns: int = 6, size: tuple[int, int] = (150, 200)
) -> np.ndarray:
    """Put many images with their outlines on one sheet.

    Parameters
    ----------
    X : sequence of images
        Paths, arrays or records, see `skinseg.check_images`.
    masks : sequence of masks, default=None
        Outlines to draw, in green; the masks of the records if None.
    references : sequence of masks, default=None
        A second outline, in vermilion, such as the expert's.
    columns : int, default=6
        Pictures a row, at least 1.
    size : tuple of (int, int), default=(150, 200)
        Height and width of a picture; images keep their aspect ratio.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The sheet, RGB.

    Examples
    --------
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.inspection import contact_sheet
    >>> data = make_lesions(4, random_state=0)
    >>> contact_sheet(data.images, data.masks, columns=2, size=(50, 60)).shape
    (100, 120, 3)
    """
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    records = check_images(X, "contact_sheet")
    layers: list[Sequence[Any] | None] = [
        None if layer is None else check_masks(layer, records, "contact_sheet") for layer in (masks, references)
    ]
    height, width = size
    rows = -(-len(records) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, record in enumerate(records):
        record = record.load()
        scale = min(height / record.shape[0], width / record.shape[1])
        shape = max(1, int(record.shape[0] * scale)), max(1, int(record.shape[1] * scale))
        drawn: list[np.ndarray | None] = [record.mask if masks is None else None, None]
        for layer, outlines in enumerate(layers):
            if outlines is not None:
                mask = outlines[index]
                drawn[layer] = mask if isinstance(mask, np.ndarray) else read_mask(mask)
        picture = record.resize(shape).image
        for mask, color in zip(drawn, _COLORS, strict=True):
            if mask is not None:
                small = cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
                picture = draw_outline(picture, small, color=color, thickness=1)
        top, left = divmod(index, columns)
        y, x = top * height + (height - shape[0]) // 2, left * width + (width - shape[1]) // 2
        sheet[y : y + shape[0], x : x + shape[1]] = picture
    return sheet
