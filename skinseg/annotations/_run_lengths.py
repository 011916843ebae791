"""Masks as run lengths, the RLE of COCO, and what tells a mask from all others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._polygons import check_shape

__all__ = ["counts_of_text", "counts_to_mask", "mask_to_counts", "outline_hash"]


def mask_to_counts(mask: np.ndarray) -> list[int]:
    """Give the run lengths of a mask, column by column, as COCO has them (uncompressed RLE).

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.

    Returns
    -------
    list of int
        Numbers of pixels that are no lesion, lesion, no lesion, ...; the first
        is 0 where the pixel in the upper left corner is lesion.

    See Also
    --------
    counts_to_mask : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.annotations import mask_to_counts
    >>> mask_to_counts(np.array([[True, False], [True, True]]))
    [0, 2, 1, 1]
    """
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts: list[int] = np.diff([0, *changes.tolist(), len(flat)]).tolist()
    return [0, *counts] if flat[0] else counts


def counts_to_mask(counts: Sequence[int] | np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Make a mask of its run lengths.

    Parameters
    ----------
    counts : sequence of int
        As `mask_to_counts` gives them.
    shape : sequence of (int, int)
        Height and width of the image.

    Returns
    -------
    ndarray of that shape, bool
        The mask.

    Raises
    ------
    ValueError
        If they are no whole numbers of at least 0, or their sum is not the
        number of pixels.
    """
    height, width = check_shape(shape)
    runs = np.asarray(counts)
    if runs.ndim != 1 or not np.issubdtype(runs.dtype, np.integer) or (runs < 0).any():
        raise ValueError("run lengths must be whole numbers of at least 0")
    total = sum(runs.tolist())  # exact, whatever the numbers are
    if total != height * width:
        raise ValueError(f"the run lengths add up to {total} pixels, the image has {width} x {height}")
    lesion = np.arange(len(runs)) % 2 == 1
    return np.repeat(lesion, runs).reshape(width, height).T


def counts_of_text(text: str | bytes) -> np.ndarray:
    """Read run lengths in the compressed form of COCO.

    A number is spelled in characters of six bits above 48, five of which are
    digits, the lowest first; the sixth says that more follow, and the
    uppermost digit of the last is the sign. From the fourth number on, what is
    written is the difference to the last but one.

    Parameters
    ----------
    text : str or bytes
        What stands under ``counts``.

    Returns
    -------
    ndarray of int64
        The run lengths.

    Raises
    ------
    ValueError
        If the text is something else, or cut short.

    References
    ----------
    P. Dollár, T.-Y. Lin, ``rleToString`` and ``rleFrString`` of the COCO API,
    https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c

    Examples
    --------
    >>> from skinseg.annotations import counts_of_text
    >>> counts_of_text("021O").tolist()
    [0, 2, 1, 1]
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    digits = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if ((digits < 0) | (digits > 63)).any():
        raise ValueError("the compressed run lengths have characters that do not belong there")
    last = np.flatnonzero(digits < 32)
    if not len(digits) or last.size == 0 or last[-1] != len(digits) - 1:
        raise ValueError("the compressed run lengths are cut short")
    lengths = np.diff(last, prepend=-1)
    if lengths.max() > 8:
        raise ValueError("the compressed run lengths have a number that is too large")
    place = np.arange(len(digits)) - np.repeat(last - lengths + 1, lengths)
    values = np.add.reduceat((digits & 31) << (5 * place), last - lengths + 1)
    values -= np.where(digits[last] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def outline_hash(mask: np.ndarray) -> str:
    """Tell a mask from all others, in whatever file it is.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.

    Returns
    -------
    str
        SHA-256 of its height, its width and its pixels (eight a byte, row by
        row), in 64 hexadecimal digits.
    """
    digest = hashlib.sha256(f"{mask.shape[0]} {mask.shape[1]} ".encode())
    packed: Any = np.packbits(mask)
    digest.update(packed)
    return digest.hexdigest()
