"""The record of an image, and the one validator of images and of masks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._record import LesionImage
from .exceptions import ImageReadError, InvalidImagesError
from .geometry import Geometry
from .masks import as_mask, overlap_counts
from .reading import pixel_limit, read_header, read_image, read_mask

__all__ = [
    "FRAME_COLUMNS",
    "LesionImage",
    "check_images",
    "check_masks",
    "is_label_sequence",
    "mean_jaccard",
    "read_image",
    "read_mask",
]

FRAME_COLUMNS = ("image", "mask", "reference_mask", "pixel_size", "name")
"""Columns of a DataFrame that make records of its rows."""


def _caller(estimator: object) -> str:
    if estimator is None:
        return "skinseg"
    return estimator if isinstance(estimator, str) else type(estimator).__name__


def _is_missing(value: object) -> bool:
    """None, NaN or pandas.NA, as they stand for an empty cell of a table."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _frame_items(frame: Any, caller: str) -> list[dict[str, Any]]:
    """Rows of a DataFrame as keyword arguments of LesionImage."""
    if "image" not in frame.columns:
        raise ValueError(
            f"{caller} expected a table with a column 'image' (and, as known, {', '.join(FRAME_COLUMNS[1:])}), "
            f"got the columns {list(map(str, frame.columns))}; rename yours with frame.rename(columns=...)"
        )
    columns = [column for column in FRAME_COLUMNS if column in frame.columns]
    rows = zip(*(list(frame[column]) for column in columns), strict=True)
    return [
        {key: value for key, value in zip(columns, row, strict=True) if key == "image" or not _is_missing(value)}
        for row in rows
    ]


def _image_items(X: Any, caller: str) -> list[dict[str, Any]]:
    """Bring every accepted container into one form: a list of keyword arguments of LesionImage."""
    expected = (
        f"{caller} expected a list of images (paths, (H, W, 3) uint8 arrays or LesionImage), a 1-D object array, "
        "a Series, a 4-D uint8 array, or a DataFrame with the column 'image'"
    )
    if isinstance(X, (str, os.PathLike, LesionImage)):
        raise ValueError(f"{expected}, got a single {type(X).__name__}; put it into a list: [image]")
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return _frame_items(X, caller)
    if isinstance(X, np.ndarray):
        if X.ndim == 3 and X.dtype != object:
            raise ValueError(f"{expected}, got a single array of shape {X.shape}; put it into a list: [image]")
        if X.ndim == 4 or (X.ndim == 1 and X.dtype.kind in "OUT"):
            return [{"image": image} for image in X]
        hint = "; features and other tables are no images" if X.ndim == 2 else ""
        raise ValueError(f"{expected}, got an array of shape {X.shape} and dtype {X.dtype}{hint}")
    if isinstance(X, (list, tuple)) or hasattr(X, "iloc"):
        return [{"image": image} for image in X]
    hint = "; make a list of it: list(X)" if isinstance(X, Iterable) else ""
    raise ValueError(f"{expected}, got {type(X).__name__}{hint}")


def _to_record(item: dict[str, Any], max_pixels: float | None) -> LesionImage:
    image = item["image"]
    if isinstance(image, LesionImage):
        planes = {key: value for key, value in item.items() if key != "image"}
        record = image.with_(**planes) if planes else image
    else:
        if _is_missing(image):
            raise TypeError("the image is missing (None or NaN); drop the row or give its file")
        record = LesionImage(**item)
    if record.error is None and record.path is not None:
        header = read_header(record.path, max_pixels=max_pixels)
        if record._geometry is None:
            record._set(_geometry=Geometry.of(header.shape, header.orientation))
    if "mask" in record._planes and isinstance(record._planes["mask"][0], Path):
        path = record._planes["mask"][0]
        try:
            record._in_origin("mask", read_header(path, max_pixels=max_pixels).shape)
        except ImageReadError:
            raise
        except ValueError as error:
            raise ImageReadError(path, str(error)) from None
    return record


def check_images(X: Any, estimator: object = None, *, max_pixels: float | None = None) -> list[LesionImage]:
    """Check a sequence of images, all items at once and without decoding any.

    Parameters
    ----------
    X : sequence of images
        A list, tuple, 1-D object array or Series of paths, (H, W, 3) uint8
        RGB arrays or `LesionImage`; a 4-D uint8 array; or a DataFrame with the
        columns ``image`` and, as known, ``mask``, ``reference_mask``,
        ``pixel_size`` and ``name`` (further columns are left aside).
    estimator : object or str, default=None
        Who asks, for the message.
    max_pixels : int or float, default=None
        Refuse larger image files, see `skinseg.reading.pixel_limit`.

    Returns
    -------
    list of LesionImage
        One record an image.

    Raises
    ------
    InvalidImagesError
        A ValueError that lists every bad item with its position, its file and
        the way out.
    ValueError
        If the container is not one of those named, or empty.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import check_images
    >>> check_images(np.zeros((2, 8, 8, 3), dtype=np.uint8))
    [LesionImage(shape=(8, 8)), LesionImage(shape=(8, 8))]
    """
    caller = _caller(estimator)
    items = _image_items(X, caller)
    if not items:
        raise ValueError(f"{caller} expected at least one image, got none")
    max_pixels = pixel_limit(max_pixels)
    records: list[LesionImage] = []
    errors: dict[int, str] = {}
    for index, item in enumerate(items):
        try:
            records.append(_to_record(item, max_pixels))
        except (ValueError, TypeError) as error:
            errors[index] = f"X[{index}]: {error}"
    if errors:
        raise InvalidImagesError(f"{caller} cannot use {len(errors)} of {len(items)} images:", errors)
    return records


def is_label_sequence(y: Any) -> bool:
    """Tell whether y is a 1-D sequence of class labels, and so never one of masks.

    Parameters
    ----------
    y : object
        A target as given to ``fit``.

    Returns
    -------
    bool
        True for a sequence of str, int, bool or float.
    """
    if y is None or isinstance(y, (str, bytes)):
        return False
    if isinstance(y, np.ndarray) and y.dtype != object:
        return y.ndim == 1
    if hasattr(y, "iloc") and hasattr(y, "columns"):
        return False
    if not hasattr(y, "__len__") or not hasattr(y, "__iter__") or len(y) == 0:
        return False
    known = [value for value in y if not _is_missing(value)]
    return bool(known) and all(isinstance(value, (str, bool, int, float, np.generic)) for value in known)


def check_masks(
    masks: Any, images: Sequence[LesionImage] | None = None, estimator: object = None, *, allow_float: bool = False
) -> list[np.ndarray | Path]:
    """Check a sequence of masks against the images that they belong to.

    Parameters
    ----------
    masks : sequence of masks
        (H, W) arrays, bool or integers of 0 and 1 or of 0 and 255, or
        `pathlib.Path` of mask files; a list, tuple, 1-D object array, Series
        or a 3-D array. Plain strings are refused: a sequence of str is always
        one of class labels.
    images : sequence of LesionImage, default=None
        The images; number and sizes are compared if given. A mask may have
        the size of the image or of its origin.
    estimator : object or str, default=None
        Who asks, for the message.
    allow_float : bool, default=False
        Whether soft masks with values in [0, 1] are allowed.

    Returns
    -------
    list of ndarray or Path
        bool (or float32) arrays; files are checked by their headers only.

    Raises
    ------
    InvalidImagesError
        A ValueError that lists every bad mask with its position and the way
        out.
    ValueError
        If the container is not one of those named, or the number is not that
        of the images.
    """
    caller = _caller(estimator)
    expected = f"{caller} expected one mask an image: a list of (H, W) bool arrays or of pathlib.Path"
    if is_label_sequence(masks):
        raise ValueError(
            f"{expected}, got class labels or strings ({list(masks)[:3]}...); wrap mask files in pathlib.Path"
        )
    if isinstance(masks, np.ndarray) and masks.dtype != object and masks.ndim != 3:
        hint = "; put a single mask into a list" if masks.ndim == 2 else ""
        raise ValueError(f"{expected}, got an array of shape {masks.shape}{hint}")
    if isinstance(masks, (str, os.PathLike)) or not hasattr(masks, "__len__"):
        raise ValueError(f"{expected}, got {type(masks).__name__}")
    if images is not None and len(masks) != len(images):
        raise ValueError(f"{expected}, got {len(masks)} masks for {len(images)} images")
    result: list[np.ndarray | Path] = []
    errors: dict[int, str] = {}
    for index, mask in enumerate(masks):
        try:
            if isinstance(mask, str):
                raise TypeError(f"got the string {mask!r}; wrap mask files in pathlib.Path")
            if _is_missing(mask):
                raise TypeError("the mask is missing (None or NaN); leave the image out")
            checked = Path(mask) if isinstance(mask, os.PathLike) else as_mask(mask, allow_float=allow_float)
            if images is not None:
                shape = read_header(checked).shape if isinstance(checked, Path) else checked.shape
                images[index]._in_origin("mask", shape)  # raises where it fits neither
            result.append(checked)
        except (ValueError, TypeError) as error:
            name = images[index].name if images is not None else None
            errors[index] = f"mask {index}{f' of {name}' if name else ''}: {error}"
    if errors:
        raise InvalidImagesError(f"{caller} cannot use {len(errors)} of {len(masks)} masks:", errors)
    return result


def mean_jaccard(records: Sequence[LesionImage], masks: Sequence[np.ndarray | None]) -> float:
    """Mean Jaccard index of masks with the reference masks of records.

    Parameters
    ----------
    records : sequence of LesionImage
        Records with reference masks.
    masks : sequence of (H, W) bool arrays or None
        Predicted masks, of the size of the origins; None scores 0.

    Returns
    -------
    float
        The mean.
    """
    scores = []
    for record, mask in zip(records, masks, strict=True):
        truth = record.origin_plane("reference_mask")
        truth = truth if truth.dtype == bool else truth >= 0.5
        scores.append(0.0 if mask is None else overlap_counts(truth, mask).jaccard)
    return float(np.mean(scores))
