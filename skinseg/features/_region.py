"""The part of a record that the features look at: the lesion with a rim of skin, at a bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..field import valid_field
from ..images import LesionImage
from ..masks import resize_mask

__all__ = ["LesionRegion", "to_lab"]

_RIM = 0.6  # rim of skin around the bounding box, in radii of the disc of equal area


def to_lab(image: np.ndarray) -> np.ndarray:
    """Convert 8-bit sRGB to CIELAB (D65) in its own units: L* in 0..100."""
    return cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)


@dataclass(frozen=True)
class LesionRegion:
    """Lesion and surrounding skin, cut out and brought to a working size.

    Attributes
    ----------
    image : ndarray of shape (H, W, 3), uint8
        Pixels.
    mask, field, artifacts : ndarray of shape (H, W), bool
        Lesion, valid field of view, painted-over pixels.
    scale : tuple of (float, float)
        Pixels of the original image per pixel of the region, down and across.
    area : float
        Area of the lesion in pixels of the original image.
    field_area : float
        Area of the field of view in pixels of the original image.
    diagonal : float
        Diagonal of the original image in its pixels.
    pixel_size : float or None
        Millimeters per pixel of the original image.
    """

    image: np.ndarray
    mask: np.ndarray
    field: np.ndarray
    artifacts: np.ndarray
    scale: tuple[float, float]
    area: float
    field_area: float
    diagonal: float
    pixel_size: float | None

    @cached_property
    def lab(self) -> np.ndarray:
        """CIELAB values, float32."""
        return to_lab(self.image)

    @classmethod
    def of(cls, record: LesionImage, mask: np.ndarray, working_size: int) -> LesionRegion:
        """Cut the region out of a loaded record whose mask is not empty."""
        image, field = record.image, record.field
        if field is None:
            field = valid_field(image)
        down, across = record.geometry.scale
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        pixels = int(np.count_nonzero(mask))
        rim = int(np.ceil(_RIM * np.sqrt(pixels / np.pi))) + 2
        part = np.s_[max(0, top - rim) : top + height + rim, max(0, left - rim) : left + width + rim]
        artifacts = record.artifact_mask
        image, cut_mask, cut_field = image[part], mask[part], field[part]
        cut_artifacts = np.zeros(cut_mask.shape, bool) if artifacts is None else artifacts[part]
        shrink = min(1.0, working_size / max(cut_mask.shape))
        scale = (down, across)
        if shrink < 1:
            shape = max(1, round(cut_mask.shape[0] * shrink)), max(1, round(cut_mask.shape[1] * shrink))
            scale = (down * cut_mask.shape[0] / shape[0], across * cut_mask.shape[1] / shape[1])
            image = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
            small = resize_mask(cut_mask, shape)
            # a lesion of a few pixels in a large frame may vanish; keep every pixel that it touches then
            cut_mask = small if small.any() else resize_mask(cut_mask.astype(np.float32), shape) > 0
            cut_field = resize_mask(cut_field, shape)
            cut_artifacts = resize_mask(cut_artifacts.astype(np.float32), shape) > 0
        return cls(
            image=np.ascontiguousarray(image),
            mask=np.ascontiguousarray(cut_mask),
            field=np.ascontiguousarray(cut_field),
            artifacts=np.ascontiguousarray(cut_artifacts),
            scale=scale,
            area=pixels * down * across,
            field_area=int(np.count_nonzero(field | mask)) * down * across,
            diagonal=float(np.hypot(*record.geometry.origin)),
            pixel_size=record.pixel_size,
        )
