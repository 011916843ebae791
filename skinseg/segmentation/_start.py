"""The outline from which other segmenters start."""

from __future__ import annotations

import numpy as np

from ..images import LesionImage
from ..masks import as_mask, clean_mask, resize_mask
from ._scene import Scene
from ._threshold import threshold_scene

__all__ = ["START_CHOICES", "checked_start", "start_mask"]

START_CHOICES = ("threshold", "mask")


def checked_start(start: np.ndarray, scene: Scene) -> np.ndarray:
    """Check a start given by the user, and leave out what is not valid."""
    start = as_mask(start)
    if start.shape != scene.shape:
        raise ValueError(f"the start has the size {start.shape}, the image {scene.shape}")
    return start & scene.valid


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
