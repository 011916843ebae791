"""Dimension: size of the lesion in pixels of the original, relative to the view, and in millimeters."""

from __future__ import annotations

import cv2
import numpy as np

from ..masks import as_mask
from ._table import INF, Block, Feature

__all__ = ["feret_max", "measure_dimension"]

_GEOMETRY = "elementary geometry"
_FERET = "Feret, La grosseur des grains (1930)"
_DIMENSION_FEATURES: tuple[Feature, ...] = (
    Feature("dimension_area_px", "px^2", 0, INF, _GEOMETRY, "Area in pixels of the original image."),
    Feature("dimension_area_mm2", "mm^2", 0, INF, _GEOMETRY, "Area, where the pixel size is known."),
    Feature("dimension_area_fraction", "1", 0, 1, _GEOMETRY, "Area over that of the field of view."),
    Feature("dimension_equivalent_diameter_px", "px", 0, INF, _GEOMETRY, "Diameter of the disc of equal area."),
    Feature("dimension_equivalent_diameter_mm", "mm", 0, INF, _GEOMETRY, "The same, where the pixel size is known."),
    Feature("dimension_feret_max_px", "px", 0, INF, _FERET,
            "Largest diameter in pixels of the original image."),
    Feature("dimension_feret_max_mm", "mm", 0, INF, _FERET,
            "Largest diameter, where the pixel size is known (6 mm is the limit of the naked-eye rule)."),
    Feature("dimension_feret_max_fraction", "1", 0, 1, _GEOMETRY,
            "Largest diameter over the diagonal of the image."),
)  # fmt: skip
_NAMES = ("area_px", "area_mm2", "area_fraction", "equivalent_diameter_px", "equivalent_diameter_mm",
          "feret_max_px", "feret_max_mm", "feret_max_fraction")  # fmt: skip


def feret_max(mask: np.ndarray, scale: tuple[float, float] = (1.0, 1.0)) -> float:
    """Largest Feret diameter: the largest distance between two points of the outline.

    The outline runs through the middles of the outer pixel edges.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        A mask that is not empty.
    scale : tuple of (float, float), default=(1.0, 1.0)
        Length of a pixel down and across.

    Returns
    -------
    float
        The diameter, in the unit of ``scale``.
    """
    contours, _ = cv2.findContours(np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    pixels = np.concatenate(contours)[:, 0].astype(np.float32)
    steps = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]], np.float32)
    edges = (pixels[:, None] + steps).reshape(-1, 2)
    hull = cv2.convexHull(edges)[:, 0].astype(np.float64) * scale[::-1]
    return float(np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(axis=-1).max()))


def measure_dimension(
    mask: np.ndarray,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    pixel_size: float | None = None,
    area: float | None = None,
    field_area: float | None = None,
    diagonal: float | None = None,
) -> dict[str, float]:
    """Measure the size of the lesion.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The lesion.
    scale : tuple of (float, float), default=(1.0, 1.0)
        Pixels of the original image per pixel of the mask, down and across.
    pixel_size : float, default=None
        Millimeters per pixel of the original image; the columns in millimeters
        are NaN if None.
    area : float, default=None
        Area of the lesion in pixels of the original image, if it is known
        better than from this mask.
    field_area : float, default=None
        Area of the field of view in pixels of the original image; the whole
        image if None.
    diagonal : float, default=None
        Diagonal of the original image in its pixels; that of the mask if None.

    Returns
    -------
    dict of str to float
        ``dimension_area_px``, ``dimension_area_mm2``,
        ``dimension_area_fraction`` (of the field of view),
        ``dimension_equivalent_diameter_px`` and ``_mm`` (of the disc of equal
        area), ``dimension_feret_max_px``, ``_mm`` and ``_fraction`` (of the
        diagonal). NaN for an empty mask.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_dimension
    >>> mask = np.zeros((50, 50), dtype=bool)
    >>> mask[10:20, 10:30] = True
    >>> values = measure_dimension(mask, pixel_size=0.1)
    >>> round(values["dimension_area_px"]), round(values["dimension_area_mm2"], 6)
    (200, 2.0)
    """
    mask = as_mask(mask)
    if not mask.any():
        return {f"dimension_{name}": float("nan") for name in _NAMES}
    if area is None:
        area = int(np.count_nonzero(mask)) * scale[0] * scale[1]
    if field_area is None:
        field_area = mask.size * scale[0] * scale[1]
    if diagonal is None:
        diagonal = float(np.hypot(mask.shape[0] * scale[0], mask.shape[1] * scale[1]))
    unit = float("nan") if pixel_size is None else pixel_size
    equivalent = float(np.sqrt(4 * area / np.pi))
    feret = feret_max(mask, scale)
    return {
        "dimension_area_px": float(area),
        "dimension_area_mm2": area * unit**2,
        "dimension_area_fraction": min(1.0, area / field_area),
        "dimension_equivalent_diameter_px": equivalent,
        "dimension_equivalent_diameter_mm": equivalent * unit,
        "dimension_feret_max_px": feret,
        "dimension_feret_max_mm": feret * unit,
        "dimension_feret_max_fraction": min(1.0, feret / diagonal),
    }


BLOCKS = (
    Block(
        _DIMENSION_FEATURES,
        lambda region: measure_dimension(
            region.mask,
            scale=region.scale,
            pixel_size=region.pixel_size,
            area=region.area,
            field_area=region.field_area,
            diagonal=region.diagonal,
        ),
    ),
)
"""How the group is measured."""
