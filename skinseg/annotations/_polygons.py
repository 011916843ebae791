"""Masks as polygons, and polygons as masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..reading import pixel_limit

__all__ = ["Polygon", "bounds_of", "check_shape", "has_hole", "mask_to_polygons", "polygons_to_mask", "ring_of"]

_DECIMALS = (
    6  # of a pixel; tools that keep percentages of the side give back the coordinates with the last bits changed
)
_FARTHEST = 1e7  # pixels from the origin
_CROSSINGS = 4_000_000  # that are in memory at once


class Polygon(NamedTuple):
    """One component of a mask.

    Parameters
    ----------
    exterior : ndarray of shape (n, 2), float64
        The corners (x, y) of its outline; the last one is joined to the first.
    holes : tuple of ndarray, default=()
        The corners of each hole.
    """

    exterior: np.ndarray
    holes: tuple[np.ndarray, ...] = ()


def check_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Check height and width of an image before memory is taken for it.

    Parameters
    ----------
    shape : sequence of (int, int)
        Height and width.

    Returns
    -------
    tuple of (int, int)
        The same.

    Raises
    ------
    ValueError
        If they are no whole numbers of at least 1, or too large.
    """
    sides = list(shape)
    if len(sides) != 2 or not all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides):
        raise ValueError(f"height and width of the image must be two whole numbers, got {shape!r}")
    height, width = map(int, sides)
    limit = pixel_limit()
    if height < 1 or width < 1 or height * width > limit:
        raise ValueError(f"an image of {width} x {height} pixels cannot be: 1 to {limit:,} pixels")
    return height, width


def bounds_of(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """Find the smallest box around a mask.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.

    Returns
    -------
    tuple of (int, int, int, int) or None
        First row, first column, and the row and column behind the last ones;
        None for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def has_hole(polygons: Sequence[Polygon]) -> bool:
    """Tell whether any of some polygons has a hole.

    Parameters
    ----------
    polygons : sequence of Polygon
        The polygons.

    Returns
    -------
    bool
        Whether one has.
    """
    return any(polygon.holes for polygon in polygons)


def mask_to_polygons(mask: np.ndarray, *, tolerance: float = 0.0) -> list[Polygon]:
    """Outline the components of a mask by polygons.

    The outline runs a quarter of a pixel inside of the edges of the pixels.
    So that, with a tolerance of 0, the mask comes back to the pixel by each of
    the rules that are in use: pixels whose center is inside (`polygons_to_mask`),
    the sampling of pycocotools, and the rule of LabelMe, which cuts off the
    decimals and paints the line as well.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask. Pixels that touch at a corner are of one component.
    tolerance : float, default=0.0
        Pixels that the outline may be moved by so that it has fewer corners, by
        the algorithm of Ramer, Douglas and Peucker; at least 0. With 1, an
        outline has some dozens of corners in place of hundreds and is right to
        about a pixel. A component that would vanish keeps all of its corners.

    Returns
    -------
    list of Polygon
        The components, the largest first; none for an empty mask.

    Raises
    ------
    ValueError
        If the mask is not one, or the tolerance is negative.

    See Also
    --------
    polygons_to_mask : The way back.

    References
    ----------
    S. Suzuki, K. Abe, "Topological structural analysis of digitized binary
    images by border following", Computer Vision, Graphics, and Image
    Processing 30 (1985), 32-46 (`cv2.findContours`).
    D. Douglas, T. Peucker, "Algorithms for the reduction of the number of
    points required to represent a digitized line or its caricature",
    Cartographica 10 (1973), 112-122 (`cv2.approxPolyDP`).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.annotations import mask_to_polygons
    >>> mask = np.zeros((5, 6), dtype=bool)
    >>> mask[1:3, 2:5] = True
    >>> mask_to_polygons(mask)[0].exterior.tolist()
    [[2.25, 1.25], [2.25, 2.75], [4.75, 2.75], [4.75, 1.25]]
    """
    if mask.ndim != 2 or mask.dtype != bool:
        raise ValueError(f"a mask must be an (H, W) bool array, got shape {mask.shape} and dtype {mask.dtype}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0 pixels, got {tolerance!r}")
    box = bounds_of(mask)
    if box is None:
        return []
    top, left, bottom, right = box
    # four points a pixel: so a line of one pixel has two sides
    quarters = np.repeat(np.repeat(mask[top:bottom, left:right].view(np.uint8), 2, axis=0), 2, axis=1)
    contours, tree = cv2.findContours(quarters, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [_simplified(contour, 2 * tolerance)[:, 0] / 2 + (left + 0.25, top + 0.25) for contour in contours]
    parents = tree[0][:, 3].tolist()
    holes: dict[int, list[np.ndarray]] = {}
    for ring, parent in zip(rings, parents, strict=True):
        if parent >= 0:
            holes.setdefault(parent, []).append(ring)
    outer = [index for index, parent in enumerate(parents) if parent < 0]
    outer.sort(key=lambda index: -cv2.contourArea(contours[index]))
    return [Polygon(rings[index], tuple(holes.get(index, ()))) for index in outer]


def _simplified(contour: np.ndarray, tolerance: float) -> np.ndarray:
    if tolerance == 0:
        return contour
    simple = cv2.approxPolyDP(contour, tolerance, True)
    return simple if len(simple) >= 3 and cv2.contourArea(simple) > 0 else contour


def ring_of(points: Any) -> np.ndarray:
    """Check the corners of a polygon.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        The corners (x, y), at least 3.

    Returns
    -------
    ndarray of shape (n, 2), float64
        The corners, rounded to a millionth of a pixel.

    Raises
    ------
    ValueError
        If they are none.
    """
    try:
        ring = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("the points are no pairs of numbers") from None
    if ring.ndim != 2 or ring.shape[1] != 2:
        raise ValueError(f"the points are no pairs of numbers (got shape {ring.shape})")
    if len(ring) < 3:
        raise ValueError(f"a polygon needs at least 3 points, got {len(ring)}")
    if not (np.abs(ring) <= _FARTHEST).all():  # nor is NaN
        raise ValueError("a coordinate is NaN, infinite or millions of pixels away from the image")
    return ring.round(_DECIMALS)


def polygons_to_mask(polygons: Sequence[Polygon | Any], shape: Sequence[int]) -> np.ndarray:
    """Fill polygons: the pixels whose center is inside of at least one of them.

    Parameters
    ----------
    polygons : sequence of Polygon or array-like of shape (n, 2)
        The polygons; of one that crosses itself, what is inside of an odd
        number of turns counts. They may reach out of the image. Coordinates are
        rounded to a millionth of a pixel.
    shape : sequence of (int, int)
        Height and width of the image.

    Returns
    -------
    ndarray of that shape, bool
        The mask.

    Raises
    ------
    ValueError
        If a polygon has less than 3 corners, or no numbers, or the shape is
        none.

    See Also
    --------
    mask_to_polygons : The way back.

    Examples
    --------
    >>> from skinseg.annotations import polygons_to_mask
    >>> polygons_to_mask([[(1, 0), (3.4, 0), (3.4, 2), (1, 2)]], (2, 5)).astype(int)
    array([[0, 1, 1, 0, 0],
           [0, 1, 1, 0, 0]])
    """
    height, width = check_shape(shape)
    mask = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        rings = [polygon.exterior, *polygon.holes] if isinstance(polygon, Polygon) else [polygon]
        _fill(mask, [ring_of(ring) for ring in rings])
    return mask


def _fill(mask: np.ndarray, rings: Sequence[np.ndarray]) -> None:
    """Add what is inside of an odd number of turns: every edge toggles the pixels to its right, row by row."""
    height, width = mask.shape
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    first, last = np.clip(np.ceil([starts[:, 1] - 0.5, ends[:, 1] - 0.5]), 0, height).astype(np.int64)
    top, bottom = int(min(first.min(), last.min())), int(max(first.max(), last.max()))
    left = int(np.clip(np.ceil(starts[:, 0].min() - 0.5), 0, width))
    right = int(np.clip(np.ceil(starts[:, 0].max() - 0.5), 0, width))
    if bottom <= top or right <= left:
        return
    toggles = np.zeros((bottom - top, right - left + 1), dtype=np.uint8)
    for part in _parts(np.abs(last - first)):
        rows, columns = _crossings(starts[part], ends[part], first[part], last[part])
        columns = np.clip(columns, left, right) - left
        places, counts = np.unique((rows - top) * toggles.shape[1] + columns, return_counts=True)
        toggles.ravel()[places[counts % 2 == 1]] ^= 1
    inside = np.bitwise_xor.accumulate(toggles, axis=1, out=toggles)[:, :-1]
    mask[top:bottom, left:right] |= inside.view(bool)


def _parts(counts: np.ndarray) -> Iterator[slice]:
    """Cut edges into runs that cross no more rows than fit into memory."""
    turn = np.cumsum(counts) // _CROSSINGS
    bounds = [0, *(np.flatnonzero(np.diff(turn)) + 1).tolist(), len(counts)]
    yield from (slice(start, stop) for start, stop in pairwise(bounds))


def _crossings(
    starts: np.ndarray, ends: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose center an edge crosses, and the first pixel to the right of it in each."""
    counts = np.abs(last - first)
    edge = np.repeat(np.arange(len(counts)), counts)
    offset = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.minimum(first, last)[edge] + offset
    x0, y0, x1, y1 = starts[edge, 0], starts[edge, 1], ends[edge, 0], ends[edge, 1]
    x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    return rows, np.ceil(x.round(_DECIMALS) - 0.5).astype(np.int64)
