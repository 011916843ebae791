"""The geometry behind the numbers of one lesion, in pixels of its image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from sklearn.utils import Bunch

from ._catalog import measure
from ._region import LesionRegion
from .asymmetry import explain_asymmetry
from .border import explain_border
from .color import explain_color
from .dimension import explain_dimension
from .structure import explain_structure

__all__ = ["explain_region"]


def explain_region(region: LesionRegion, names: Iterable[str]) -> Bunch:
    """Measure a region with a lesion, and give what `ABCDFeaturizer.explain` documents."""
    names = list(names)
    values = measure(region, set(names))
    asymmetry, border, color, dimension, structure = (
        explain(region)
        for explain in (explain_asymmetry, explain_border, explain_color, explain_dimension, explain_structure)
    )
    points: dict[str, Any] = {
        name: region.to_image(given)
        for source, keys in (
            (asymmetry, ("center", "principal_axes", "best_axes")),
            (border, ("outline", "hull")),
            (dimension, ("feret_max", "feret_min", "axis_major", "axis_minor")),
        )
        for name, given in source.items()
        if name in keys
    }
    octants = [{**octant, "outline": region.to_image(octant["outline"])} for octant in border["octants"]]
    return Bunch(
        measured={name: values[name] for name in names},
        reasons={name: reason for name, reason in region.reasons.items() if name in values},
        asymmetric=asymmetry["asymmetric"],
        octants=octants,
        color_map=_whole(region, color["color_map"], -2),
        structure_map=_whole(region, structure["labels"], 0),
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
