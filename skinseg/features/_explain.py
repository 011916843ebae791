"""The geometry behind the numbers of one lesion, in pixels of its image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from sklearn.utils import Bunch

from ..geometry import Geometry
from ._catalog import measure
from ._region import LesionRegion
from .asymmetry import explain_asymmetry
from .border import explain_border
from .color import explain_color
from .dimension import explain_dimension
from .structure import explain_structure

__all__ = ["explain_region"]


def explain_region(region: LesionRegion, names: Iterable[str], inner: Geometry, outer: Geometry) -> Bunch:
    """Measure a region with a lesion, and give what `ABCDFeaturizer.explain` documents.

    The region was cut from an image of the frame ``inner``; points and maps
    are given in the frame ``outer``, which may be larger and of another scale.
    """
    names = list(names)
    values = measure(region, set(names))
    asymmetry, border, color, dimension, structure = (
        explain(region)
        for explain in (explain_asymmetry, explain_border, explain_color, explain_dimension, explain_structure)
    )
    points: dict[str, Any] = {
        name: _point(region.to_image(given), inner, outer)
        for source, keys in (
            (asymmetry, ("center", "principal_axes", "best_axes")),
            (border, ("outline", "hull")),
            (dimension, ("feret_max", "feret_min", "axis_major", "axis_minor")),
        )
        for name, given in source.items()
        if name in keys
    }
    octants = [
        {**octant, "outline": _point(region.to_image(octant["outline"]), inner, outer)} for octant in border["octants"]
    ]
    return Bunch(
        measured={name: values[name] for name in names},
        reasons={name: reason for name, reason in region.reasons.items() if name in values},
        asymmetric=asymmetry["asymmetric"],
        octants=octants,
        color_map=_framed(_whole(region, color["color_map"], -2), inner, outer, -2),
        structure_map=_framed(_whole(region, structure["labels"], 0), inner, outer, 0),
        **points,
    )


def _whole(region: LesionRegion, labels: np.ndarray, elsewhere: int) -> np.ndarray:
    """Bring a label map of the region to the size of the image that it was cut from."""
    whole = np.full(region.image_shape, elsewhere, labels.dtype)
    top, left = (round(edge) for edge in region.offset)
    height, width = (round(side * zoom) for side, zoom in zip(labels.shape, region.zoom, strict=True))
    part = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    whole[top : top + height, left : left + width] = part
    return whole


def _point(points: np.ndarray, inner: Geometry, outer: Geometry) -> np.ndarray:
    """Map points (row, column) of one frame to another one of the same image."""
    at_origin = (points + 0.5) * inner.scale + inner.box[:2]
    return (at_origin - outer.box[:2]) / outer.scale - 0.5


def _framed(labels: np.ndarray, inner: Geometry, outer: Geometry, elsewhere: int) -> np.ndarray:
    """Map labels of one frame to another one of the same image."""
    if inner == outer:
        return labels
    first, last = (_point(np.array(corner) - 0.5, inner, outer) + 0.5 for corner in ((0, 0), inner.shape))
    (top, left), (bottom, right) = np.rint(first).astype(int), np.rint(last).astype(int)
    part = cv2.resize(labels, (max(1, right - left), max(1, bottom - top)), interpolation=cv2.INTER_NEAREST)
    whole = np.full(outer.shape, elsewhere, labels.dtype)
    rows, columns = (slice(max(0, a), max(0, b)) for a, b in ((top, bottom), (left, right)))
    seen = whole[rows, columns]
    seen[...] = part[max(0, -top) :, max(0, -left) :][: seen.shape[0], : seen.shape[1]]
    return whole
