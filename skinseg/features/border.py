"""B: irregularity of the outline, on a polygon of subpixel accuracy."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.measure import find_contours

from ..masks import as_mask, largest_component
from ._table import INF, Block, Feature

__all__ = ["measure_border", "outline"]

_GEOMETRY = "elementary geometry"
_BORDER_FEATURES: tuple[Feature, ...] = (
    Feature("border_compactness", "1", 1, INF, _GEOMETRY, "Perimeter squared over 4 pi times the area; 1 for a disc."),
    Feature("border_solidity", "1", 0, 1, _GEOMETRY, "Area over the area of the convex hull."),
    Feature("border_convexity", "1", 0, 1, _GEOMETRY, "Perimeter of the convex hull over the perimeter."),
    Feature("border_radial_irregularity", "1", 0, INF, _GEOMETRY,
            "Standard deviation over mean of the distance from the centroid along the outline; 0 for a disc."),
)  # fmt: skip
_NAMES = ("border_compactness", "border_solidity", "border_convexity", "border_radial_irregularity")


def outline(mask: np.ndarray, *, blur: float = 1.0) -> np.ndarray | None:
    """Trace the outer outline of the largest component of a mask.

    The mask is blurred and traced at one half between the pixels, so that the
    stairs of the pixel grid add nothing to the length.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.
    blur : float, default=1.0
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    ndarray of shape (n, 2), float64, or None
        The vertices of the closed polygon as row, column, the first not
        repeated; None where the mask is too small to have one.
    """
    solid = largest_component(np.ascontiguousarray(mask))
    if not solid.any():
        return None
    left, top, width, height = cv2.boundingRect(solid.view(np.uint8))
    pad = int(np.ceil(3 * blur)) + 1
    part = np.pad(solid[top : top + height, left : left + width], pad).astype(np.float32)
    contours = find_contours(cv2.GaussianBlur(part, (0, 0), blur), 0.5)
    if not contours:
        return None
    longest = max(contours, key=len)[:-1]
    return longest + np.array([top - pad, left - pad]) if len(longest) >= 3 else None


def polygon_area(polygon: np.ndarray) -> float:
    """Area of a closed polygon by the shoelace formula."""
    y, x = polygon[:, 0], polygon[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def polygon_length(polygon: np.ndarray) -> float:
    """Length of a closed polygon."""
    return float(np.linalg.norm(polygon - np.roll(polygon, -1, axis=0), axis=1).sum())


def measure_border(mask: np.ndarray, *, polygon: np.ndarray | None = None) -> dict[str, float]:
    """Measure the irregularity of the outline.

    All values are pure numbers of the polygon traced by `outline`, on which
    the isoperimetric and the hull inequalities hold exactly: with perimeter P,
    area A, convex hull H and distances r from the centroid along the outline,

    - compactness = P^2 / (4 pi A), at least 1, and 1 for a disc;
    - solidity = A / area(H), at most 1;
    - convexity = perimeter(H) / P, at most 1;
    - radial irregularity = standard deviation of r / mean of r, both weighted
      by the length of the outline, 0 for a disc.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The lesion; of several components the largest counts.
    polygon : ndarray of shape (n, 2), default=None
        The outline, if it is known already.

    Returns
    -------
    dict of str to float
        ``border_compactness``, ``border_solidity``, ``border_convexity`` and
        ``border_radial_irregularity``; NaN where the mask is too small to have
        an outline.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_border
    >>> y, x = np.mgrid[:101, :101] - 50
    >>> values = measure_border(x**2 + y**2 <= 40**2)
    >>> round(values["border_compactness"], 1), round(values["border_solidity"], 2)
    (1.0, 1.0)
    """
    polygon = outline(as_mask(mask)) if polygon is None else polygon
    if polygon is None:
        return dict.fromkeys(_NAMES, float("nan"))
    area, length = polygon_area(polygon), polygon_length(polygon)
    hull = cv2.convexHull(polygon[:, ::-1].astype(np.float32))[:, 0, ::-1].astype(np.float64)
    following = np.roll(polygon, -1, axis=0)
    steps = np.linalg.norm(following - polygon, axis=1)
    centroid = _polygon_centroid(polygon)
    radii = np.linalg.norm((polygon + following) / 2 - centroid, axis=1)
    mean_radius = np.average(radii, weights=steps)
    spread = np.sqrt(np.average((radii - mean_radius) ** 2, weights=steps))
    return {
        "border_compactness": length**2 / (4 * np.pi * area),
        "border_solidity": min(1.0, area / polygon_area(hull)),
        "border_convexity": min(1.0, polygon_length(hull) / length),
        "border_radial_irregularity": float(spread / mean_radius),
    }


def _polygon_centroid(polygon: np.ndarray) -> np.ndarray:
    """Centroid of the area inside of a closed polygon."""
    origin = polygon.mean(axis=0)  # against cancellation
    here = polygon - origin
    there = np.roll(here, -1, axis=0)
    cross = here[:, 1] * there[:, 0] - there[:, 1] * here[:, 0]
    return origin + ((here + there) * cross[:, None]).sum(axis=0) / (3 * cross.sum())


BLOCKS = (Block(_BORDER_FEATURES, lambda region: measure_border(region.mask)),)
"""How the group is measured."""
