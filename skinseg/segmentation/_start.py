"""The outline from which other segmenters start."""

from __future__ import annotations

import numpy as np

from ..images import LesionImage
from ..masks import clean_mask, resize_mask
from ._scene import Scene
from ._threshold import threshold_scene

__all__ = ["START_CHOICES", "start_mask"]

START_CHOICES = ("threshold", "mask")


def start_mask(scene: Scene, record: LesionImage | None = None, start: str = "threshold") -> np.ndarray:
    """Give the clean outline of a threshold, or the mask of the record, at the size of the scene."""
    if start == "mask":
        mask = None if record is None else record.mask
        if mask is None:
            raise ValueError(
                "start='mask' refines the mask that a record brings, and this one has none; put another segmenter "
                "before, give records with a mask, or use start='threshold'"
            )
        return resize_mask(mask, scene.shape) & scene.valid
    raw = threshold_scene(scene)
    return clean_mask(raw, field=scene.field, opening=0.045, closing=0.08, margin=0.05) & scene.valid
