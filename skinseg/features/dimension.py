"""Dimension: size of the lesion in pixels of the original, relative to the view, and in millimeters."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from ..masks import as_mask
from ._outline import to_half
from ._region import LesionRegion
from ._table import INF, Block, Feature, measure_blocks

__all__ = ["explain_dimension", "measure_dimension"]

_GEOMETRY = "elementary geometry"
_FERET = "Feret, La grosseur des grains (1930)"
_CALIPERS = "Shamos, Computational Geometry (1978): rotating calipers"
_MOMENTS = "second central moments: axes of the ellipse of equal moments"
_UNKNOWN = "pixel size not known"
_WORKING_SIZE = 512

_AREA_FEATURES: tuple[Feature, ...] = (
    Feature("dimension_area_px", "px^2", 0, INF, _GEOMETRY, "Area in pixels of the original image.", _WORKING_SIZE),
    Feature("dimension_area_mm2", "mm^2", 0, INF, _GEOMETRY, "Area, where the pixel size is known.", _WORKING_SIZE),
    Feature("dimension_area_fraction", "1", 0, 1, _GEOMETRY, "Area over that of the field of view.", _WORKING_SIZE),
    Feature("dimension_equivalent_diameter_px", "px", 0, INF, _GEOMETRY,
            "Diameter of the disc of equal area.", _WORKING_SIZE),
    Feature("dimension_equivalent_diameter_mm", "mm", 0, INF, _GEOMETRY,
            "The same, where the pixel size is known.", _WORKING_SIZE),
    Feature("dimension_equivalent_diameter_fraction", "1", 0, 1, _GEOMETRY,
            "The same over the diameter of the disc of the area of the field of view.", _WORKING_SIZE),
)  # fmt: skip
_OUTLINE_FEATURES: tuple[Feature, ...] = (
    Feature("dimension_perimeter_px", "px", 0, INF, _GEOMETRY,
            "Length of the outer outlines of all parts, where the image ends included.", _WORKING_SIZE),
    Feature("dimension_perimeter_mm", "mm", 0, INF, _GEOMETRY, "The same, where the pixel size is known.",
            _WORKING_SIZE),
    Feature("dimension_feret_max_px", "px", 0, INF, _FERET, "Largest diameter in pixels of the original image.",
            _WORKING_SIZE),
    Feature("dimension_feret_max_mm", "mm", 0, INF, _FERET,
            "Largest diameter, where the pixel size is known (6 mm is the limit of the naked-eye rule).",
            _WORKING_SIZE),
    Feature("dimension_feret_max_fraction", "1", 0, INF, _FERET,
            "Largest diameter over the diameter of the disc of the area of the field of view.", _WORKING_SIZE),
    Feature("dimension_feret_min_px", "px", 0, INF, _CALIPERS,
            "Smallest distance of two parallel lines that hold the lesion between them.", _WORKING_SIZE),
    Feature("dimension_feret_min_mm", "mm", 0, INF, _CALIPERS, "The same, where the pixel size is known.",
            _WORKING_SIZE),
    Feature("dimension_feret_min_fraction", "1", 0, INF, _CALIPERS,
            "The same over the diameter of the disc of the area of the field of view.", _WORKING_SIZE),
    Feature("dimension_leaves_frame", "1", 0, 1, _GEOMETRY,
            "1 where the lesion reaches the edge of the image, or that of the field of view along at least 2 % of "
            "its outline: the other sizes are lower bounds then.", _WORKING_SIZE),
    Feature("dimension_cut_share", "1", 0, 1, _GEOMETRY,
            "Share of the outline that lies on the edge of image or field of view.", _WORKING_SIZE),
)  # fmt: skip
_AXIS_FEATURES: tuple[Feature, ...] = (
    Feature("dimension_axis_major_px", "px", 0, INF, _MOMENTS, "Long axis, 4 sqrt(larger eigenvalue).", _WORKING_SIZE),
    Feature("dimension_axis_major_mm", "mm", 0, INF, _MOMENTS, "The same, where the pixel size is known.",
            _WORKING_SIZE),
    Feature("dimension_axis_minor_px", "px", 0, INF, _MOMENTS, "Short axis, 4 sqrt(smaller eigenvalue).",
            _WORKING_SIZE),
    Feature("dimension_axis_minor_mm", "mm", 0, INF, _MOMENTS, "The same, where the pixel size is known.",
            _WORKING_SIZE),
    Feature("dimension_elongation", "1", 0, 1, _MOMENTS, "1 - short axis / long axis; 0 for a disc.", _WORKING_SIZE),
)  # fmt: skip

_TRACED = 256  # longer side in pixels, at most, at which the outline is traced
_BLUR = 1.0  # standard deviation of the blur in these pixels
_THIN = 8  # what is narrower than this, in pixels, would lose too much by the blur
_NEAR = 0.01  # an outline so near to the edge of the view, in equivalent diameters, lies on it
_CUT_SHARE = 0.02  # share of the outline on the edge of the field from which on the lesion counts as cut


def measure_dimension(
    mask: np.ndarray,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    pixel_size: float | None = None,
    field: np.ndarray | None = None,
    features: Collection[str] | None = None,
) -> dict[str, float]:
    """Measure the size of the lesion.

    All parts of the mask count. Lengths take into account that a pixel of the
    mask may stand for more pixels of the original image, also for different
    numbers of them down and across:

    - the perimeter is that of the mask blurred by one pixel (at a longer side
      of 256 pixels at most) and traced at one half between the pixels, so that
      the stairs of the grid add nothing; holes are left out;
    - the Feret diameters are those of the convex hull of the middles of the
      outer pixel edges: the largest distance of two points, and the smallest
      distance of two parallel lines that hold it;
    - the axes are those of the ellipse of equal second moments,
      4 sqrt(eigenvalue), each pixel being a square and no point.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The lesion, in the frame of its image: where the array ends, the image
        does.
    scale : tuple of (float, float), default=(1.0, 1.0)
        Pixels of the original image per pixel of the mask, down and across,
        above 0.
    pixel_size : float, default=None
        Millimeters per pixel of the original image, above 0; the columns in
        millimeters are NaN if None.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view; the whole image if None.
    features : collection of str, default=None
        Names of the features to measure; all if None.

    Returns
    -------
    dict of str to float
        ``dimension_area_px``, ``_mm2`` and ``_fraction`` (of the field of
        view); ``dimension_perimeter_px`` and ``_mm``;
        ``dimension_equivalent_diameter``, ``dimension_feret_max`` and
        ``dimension_feret_min``, each with ``_px``, ``_mm`` and ``_fraction``
        (of the diameter of the disc of the area of the field of view);
        ``dimension_axis_major`` and ``dimension_axis_minor``, each with
        ``_px`` and ``_mm``; ``dimension_elongation``, in [0, 1];
        ``dimension_leaves_frame``, 0 or 1; ``dimension_cut_share``, in
        [0, 1]. All NaN for an empty mask.

    References
    ----------
    L. R. Feret, "La grosseur des grains des matieres pulverulentes", Premieres
    communications de la nouvelle association internationale pour l'essai des
    materiaux, D (1930) 428-436.

    M. I. Shamos, "Computational Geometry", thesis, Yale University (1978).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_dimension
    >>> mask = np.zeros((50, 50), dtype=bool)
    >>> mask[10:20, 10:30] = True
    >>> values = measure_dimension(mask, pixel_size=0.1)
    >>> round(values["dimension_area_px"]), round(values["dimension_area_mm2"], 6)
    (200, 2.0)
    >>> round(values["dimension_axis_major_mm"] / values["dimension_axis_minor_mm"], 6)
    2.0
    """
    mask = as_mask(mask)
    if not (len(scale) == 2 and all(np.isfinite(one) and one > 0 for one in scale)):
        raise ValueError(f"scale must be two numbers above 0, got {scale!r}")
    if pixel_size is not None and not (np.isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"pixel_size must be a positive number of millimeters per pixel, got {pixel_size!r}")
    region = LesionRegion.of_arrays(
        np.broadcast_to(np.uint8(0), (*mask.shape, 3)),  # sizes need no colors
        mask,
        field=np.ones(mask.shape, bool) if field is None else field,
        scale=scale,
        pixel_size=pixel_size,
        working_size=_WORKING_SIZE,
    )
    return measure_blocks(BLOCKS, region, features)


def explain_dimension(region: LesionRegion) -> dict[str, np.ndarray]:
    """Get the lines whose lengths the diameters and axes are.

    Parameters
    ----------
    region : LesionRegion
        What was measured.

    Returns
    -------
    dict of str to ndarray of shape (2, 2), float64
        The two ends (row, column, in pixels of the region; their centers are
        whole numbers) of ``feret_max``, ``feret_min``, ``axis_major`` and
        ``axis_minor``; empty where there is no lesion.
    """
    if not region.has_lesion:
        return {}
    scale = np.asarray(region.scale)
    center, axes = _axes(region)
    lines = dict(zip(("feret_max", "feret_min"), _ferets(_hull(region)), strict=True))
    for name, axis in zip(("axis_major", "axis_minor"), axes, strict=True):
        lines[name] = center + axis * [[-0.5], [0.5]]
    return {name: line / scale for name, line in lines.items()}


def _with_units(region: LesionRegion, lengths: dict[str, float], fractions: Collection[str] = ()) -> dict[str, float]:
    """Name lengths in pixels of the original, and give them in millimeters and, some, relative to the view."""
    result = {f"dimension_{name}_px": length for name, length in lengths.items()}
    if region.pixel_size is None:
        result |= region.not_measured([f"dimension_{name}_mm" for name in lengths], _UNKNOWN)
    else:
        result |= {f"dimension_{name}_mm": length * region.pixel_size for name, length in lengths.items()}
    view = np.sqrt(4 * region.field_area / np.pi)
    return result | {f"dimension_{name}_fraction": lengths[name] / view for name in fractions}


def _measure_area(region: LesionRegion) -> dict[str, float]:
    name = "equivalent_diameter"
    values = _with_units(region, {name: float(np.sqrt(4 * region.area / np.pi))}, [name])
    if region.pixel_size is None:
        values |= region.not_measured(["dimension_area_mm2"], _UNKNOWN)
    else:
        values["dimension_area_mm2"] = region.area * region.pixel_size**2
    return values | {
        "dimension_area_px": region.area,
        "dimension_area_fraction": min(1.0, region.area / region.field_area),
    }


def _measure_outline(region: LesionRegion) -> dict[str, float]:
    feret_max, feret_min = (float(np.linalg.norm(line[1] - line[0])) for line in _ferets(_hull(region)))
    perimeter, cut_share = _trace(region)
    lengths = {"perimeter": perimeter, "feret_max": feret_max, "feret_min": feret_min}
    return _with_units(region, lengths, ["feret_max", "feret_min"]) | {
        "dimension_leaves_frame": float(any(region.cut) or cut_share >= _CUT_SHARE),
        "dimension_cut_share": cut_share,
    }


def _measure_axes(region: LesionRegion) -> dict[str, float]:
    major, minor = (float(np.linalg.norm(axis)) for axis in _axes(region)[1])
    values = _with_units(region, {"axis_major": major, "axis_minor": minor})
    return values | {"dimension_elongation": min(1.0, max(0.0, 1 - minor / major))}


def _box(region: LesionRegion) -> tuple[int, int, int, int]:
    """Left, top, width and height of the bounding box of the lesion."""
    left, top, width, height = cv2.boundingRect(region.mask.view(np.uint8))
    return left, top, width, height


def _hull(region: LesionRegion) -> np.ndarray:
    """Convex hull (n, 2) of the middles of the outer pixel edges, as row, column in pixels of the original."""
    left, top, width, height = region.once(_box)
    mask = region.mask.view(np.uint8)[top : top + height, left : left + width]
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    pixels = cv2.convexHull(np.concatenate(contours))[:, 0, ::-1]  # whole numbers: quick, and few are left
    middles = (pixels[:, None] + np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])).reshape(-1, 2)
    return cv2.convexHull(middles.astype(np.float32))[:, 0].astype(np.float64) * region.scale


def _ferets(hull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the ends of the longest line between two vertices, and of the shortest from a side to its far vertex."""
    away = hull - hull.mean(axis=0)  # against cancellation
    norms = np.einsum("ij,ij->i", away, away)
    squares = norms[:, None] + norms - 2 * (away @ away.T)
    longest = hull[list(np.unravel_index(np.argmax(squares), squares.shape))]
    sides = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1, keepdims=True)
    # of each vertex above each side; none lies on its other side
    heights = np.abs(normals @ hull.T - np.einsum("ij,ij->i", normals, hull)[:, None])
    far = np.argmax(heights, axis=1)
    widths = np.einsum("ij,ij->i", normals, hull[far] - hull)
    side = int(np.argmin(np.abs(widths)))
    vertex = hull[far[side]]
    return longest, np.stack([vertex - widths[side] * normals[side], vertex])


def _axes(region: LesionRegion) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (2,), and both axes of the ellipse of equal moments (2, 2) as vectors, in pixels of the original."""
    mask = region.mask.view(np.uint8)
    left, top, width, height = region.once(_box)
    moments = cv2.moments(mask[top : top + height, left : left + width])
    area, scale = moments["m00"], np.asarray(region.scale)
    spread = np.array([[moments["mu02"], moments["mu11"]], [moments["mu11"], moments["mu20"]]]) / area
    spread += np.eye(2) / 12  # a pixel is a square
    variances, directions = np.linalg.eigh(spread * np.outer(scale, scale))
    axes = directions.T * 4 * np.sqrt(np.maximum(variances, 0))[:, None]
    return (np.array([moments["m01"], moments["m10"]]) / area + (top, left)) * scale, axes[::-1]


def _trace(region: LesionRegion) -> tuple[float, float]:
    """Perimeter in pixels of the original, and the share of the outline that lies on the edge of the view."""
    mask, field = region.mask.view(np.uint8), region.field.view(np.uint8)
    left, top, width, height = region.once(_box)
    near, thin = max(1.0, 2 * _NEAR * region.radius), min(width, height)
    factor = -(-max(width, height) // _TRACED)  # shrinking by whole factors is quick
    margin = int(np.ceil(near)) + 5 * factor
    bottom, right = top + height + margin, left + width + margin
    bottom, right = bottom + (margin + top - bottom) % factor, right + (margin + left - right) % factor
    # what lies beyond the image is no view, and what lies beyond the region is no lesion
    above, below = max(0, margin - top), max(0, bottom - mask.shape[0])
    before, after = max(0, margin - left), max(0, right - mask.shape[1])
    part = np.s_[max(0, top - margin) : bottom, max(0, left - margin) : right]
    soft = cv2.copyMakeBorder(mask[part] * np.uint8(255), above, below, before, after, cv2.BORDER_CONSTANT, value=0)
    edge = cv2.copyMakeBorder(field[part], above, below, before, after, cv2.BORDER_CONSTANT, value=1)
    height, width = edge.shape
    strips = edge[:above], edge[:, :before], edge[height - below :], edge[:, width - after :]
    for strip, at_edge in zip(strips, region.at_edges, strict=True):
        if at_edge:
            strip[...] = 0
    if factor > 1:
        size = soft.shape[1] // factor, soft.shape[0] // factor
        soft = cv2.resize(soft, size, interpolation=cv2.INTER_AREA)
        edge = cv2.resize(edge, size, interpolation=cv2.INTER_NEAREST)
    pixel = factor * np.array(region.scale[::-1])  # across, down
    outlines = _polygons(soft) if thin >= factor * _THIN else None
    if outlines is None:
        outlines, extra = _chains(soft), np.pi * float(pixel.mean())  # the chain runs through the middles of pixels
    else:
        extra = 0.0
    reach = 2 * max(1, round(near / factor)) + 1
    edge = cv2.erode(edge, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    perimeter = on_edge = 0.0
    for outline in outlines:
        following = np.concatenate([outline[1:], outline[:1]])
        sides = (following - outline) * pixel
        steps = np.hypot(sides[:, 0], sides[:, 1]) + extra / len(outline)
        x, y = np.rint((outline + following) / 2).astype(np.intp).T
        perimeter += float(steps.sum())
        on_edge += float(steps[edge[y, x] == 0].sum())
    return perimeter, min(1.0, on_edge / perimeter)


def _chains(soft: np.ndarray) -> list[np.ndarray]:
    """Outer outlines (n, 2) through the middles of the pixels, as column, row."""
    inside = (soft > min(127, soft.max() // 2)).view(np.uint8)
    chains, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [chain[:, 0].astype(np.float64) for chain in chains]


def _polygons(soft: np.ndarray) -> list[np.ndarray] | None:
    """Outer outlines (n, 2) at one half of the blurred mask, as column, row; None where a part is lost by the blur."""
    blurred = cv2.GaussianBlur(soft.astype(np.float32), (0, 0), _BLUR)
    polygons = [to_half(chain.astype(np.intp), blurred) for chain in _chains(blurred)]
    traced = sum(cv2.contourArea(polygon.astype(np.float32)) for polygon in polygons)
    return polygons if traced > 0.8 * float(cv2.sumElems(soft)[0]) / 255 else None


BLOCKS = (
    Block(_AREA_FEATURES, _measure_area),
    Block(_OUTLINE_FEATURES, _measure_outline),
    Block(_AXIS_FEATURES, _measure_axes),
)
"""How the group is measured."""
