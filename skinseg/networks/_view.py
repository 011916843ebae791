"""What a network that looks at whole lesions is shown of an image: all of it, or the lesion with a margin."""

from __future__ import annotations

import numpy as np

from ..images import LesionImage

__all__ = ["VIEWS", "WHOLE", "has_lesion", "view_of"]

VIEWS = ("image", "lesion")
WHOLE = "the whole image stands in for the lesion"
"""What becomes of images without a lesion, for `skinseg._mapping.warn_of_empty_masks`."""


def has_lesion(record: LesionImage) -> bool:
    """Tell whether a record brings a mask that is not empty.

    Parameters
    ----------
    record : LesionImage
        The image.

    Returns
    -------
    bool
        Whether there is a lesion to crop to.
    """
    return record.has("mask") and bool(np.any(record.mask))


def view_of(record: LesionImage, view: str, margin: float) -> np.ndarray:
    """Cut out what a network is to look at.

    It gives no warning of an empty mask, for it sees one image at a time and may
    run in a worker: callers collect the names and tell them at once, by
    `has_lesion`, `WHOLE` and `skinseg._mapping.warn_of_empty_masks`.

    Parameters
    ----------
    record : LesionImage
        The image; decoded here if it is not yet. Its mask is read for the view
        ``"lesion"`` only.
    view : {"image", "lesion"}
        All of the image, or the bounding box of its mask. An empty mask gives
        all of the image.
    margin : float
        What is added to the box on each of its sides, as a share of its longer
        side, at least 0; the image ends it.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The part, contiguous, in the pixels of the record.

    Raises
    ------
    ValueError
        If there is no such view, the margin is negative, or the record has no
        mask for the view ``"lesion"``.
    """
    if view not in VIEWS:
        raise ValueError(f"view must be one of {VIEWS}, got {view!r}")
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be at least 0 and finite, got {margin!r}")
    record = record.load()
    if view == "image":
        return np.ascontiguousarray(record.image)
    if not record.has("mask"):
        raise ValueError(
            "the image has no mask, and view='lesion' crops to it; put a segmenter before, give records (LesionImage) "
            "or a table with masks, or use view='image'"
        )
    mask = np.asarray(record.mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.ascontiguousarray(record.image)
    added = round(margin * max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))
    part = tuple(slice(max(0, places[0] - added), places[-1] + 1 + added) for places in (rows, columns))
    return np.ascontiguousarray(record.image[part])
