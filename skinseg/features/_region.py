"""The part of a record that the features look at: the lesion with a rim of skin, at a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import Any, TypeVar

import cv2
import numpy as np

from ..field import valid_field
from ..images import LesionImage
from ..masks import as_mask, resize_mask

__all__ = [
    "LINEAR",
    "SMALL",
    "LesionRegion",
    "linear_to_lab",
    "median_color",
    "medians",
    "pixels_at",
    "shrink",
    "surrounding_skin",
    "to_lab",
    "to_lightness",
]

SMALL = 256
"""Working size, in pixels of the longer side, of what needs no fine detail."""

Kept = TypeVar("Kept")

_RIM = 0.6  # rim of skin around the bounding box, in radii of the disc of equal area


_LEVELS = np.arange(256) / 255
LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""Linear light of the 256 levels of sRGB (IEC 61966-2-1)."""

# from linear sRGB to X, Y and Z over those of its white, D65
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_TO_XYZ = (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).astype(np.float32)
_FROM_ROOTS = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)


def to_lab(image: np.ndarray) -> np.ndarray:
    """Convert 8-bit sRGB to CIELAB (D65) in its own units: L* in 0..100."""
    return linear_to_lab(cv2.LUT(image, LINEAR))


def linear_to_lab(linear: np.ndarray) -> np.ndarray:
    """Convert linear sRGB, (H, W, 3) float32 in 0..1, to CIELAB: exact, and in a fourth of the time of OpenCV's."""
    return np.asarray(cv2.transform(_roots(cv2.transform(linear, _TO_XYZ)), _FROM_ROOTS))


def to_lightness(image: np.ndarray) -> np.ndarray:
    """Convert 8-bit sRGB to L* alone, (H, W) float32."""
    return np.float32(116) * _roots(cv2.transform(cv2.LUT(image, LINEAR), _TO_XYZ[1:2])) - np.float32(16)


def _roots(share: np.ndarray) -> np.ndarray:
    """Take the cube roots of CIELAB, linear where it is dark."""
    roots: np.ndarray = np.cbrt(share)
    if share.min() <= 0.008856:
        roots = np.where(share > 0.008856, roots, np.float32(7.787) * share + np.float32(16 / 116))
    return roots


def shrink(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Shrink by steps of at most one half: nearly as smooth as by areas, at a seventh of the time."""
    while pixels.shape[:2] != shape:
        step = max(shape[0], -(-pixels.shape[0] // 2)), max(shape[1], -(-pixels.shape[1] // 2))
        halved = (2 * step[0], 2 * step[1]) == pixels.shape[:2]
        pixels = cv2.resize(pixels, step[::-1], interpolation=cv2.INTER_AREA if halved else cv2.INTER_LINEAR)
    return pixels


@dataclass(frozen=True, eq=False)
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
    pixel_size : float or None
        Millimeters per pixel of the original image.
    offset : tuple of (float, float)
        Row and column of the region's corner in the image it was cut from.
    zoom : tuple of (float, float)
        Pixels of the image it was cut from per pixel of the region, down and
        across.
    image_shape : tuple of (int, int)
        Height and width of the image it was cut from.
    cut : tuple of (bool, bool, bool, bool)
        Whether the lesion reaches the top, left, bottom and right edge of the
        image.
    reasons : dict of str to str
        Why a feature is NaN, for every feature that is.
    """

    image: np.ndarray
    mask: np.ndarray
    field: np.ndarray
    artifacts: np.ndarray
    scale: tuple[float, float]
    area: float
    field_area: float
    pixel_size: float | None
    offset: tuple[float, float]
    zoom: tuple[float, float]
    image_shape: tuple[int, int]
    cut: tuple[bool, bool, bool, bool]
    reasons: dict[str, str] = dataclass_field(default_factory=dict)
    _copies: dict[int, LesionRegion] = dataclass_field(default_factory=dict)
    _kept: dict[Any, Any] = dataclass_field(default_factory=dict)

    @classmethod
    def of(cls, record: LesionImage, mask: np.ndarray, working_size: int = 512) -> LesionRegion:
        """Cut the region out of a loaded record."""
        return cls._cut(
            record.image,
            mask,
            record.field,
            record.artifact_mask,
            working_size,
            scale=record.geometry.scale,
            pixel_size=record.pixel_size,
        )

    @classmethod
    def of_arrays(
        cls,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        field: np.ndarray | None = None,
        artifacts: np.ndarray | None = None,
        scale: tuple[float, float] = (1.0, 1.0),
        pixel_size: float | None = None,
        working_size: int = 512,
    ) -> LesionRegion:
        """Check the arrays that a user hands to a function, and cut the region out of them."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"image must be an (H, W, 3) uint8 RGB array, got shape {image.shape} and dtype {image.dtype}; "
                "skinseg.read_image makes one of any file"
            )
        masks = {"mask": as_mask(mask)}
        masks |= {
            name: as_mask(given) for name, given in (("field", field), ("artifacts", artifacts)) if given is not None
        }
        for name, given in masks.items():
            if given.shape != image.shape[:2]:
                raise ValueError(f"{name} must have the size {image.shape[:2]} of its image, got {given.shape}")
        return cls._cut(
            image,
            masks["mask"],
            masks.get("field"),
            masks.get("artifacts"),
            working_size,
            scale=scale,
            pixel_size=pixel_size,
        )

    @classmethod
    def _cut(
        cls,
        image: np.ndarray,
        mask: np.ndarray,
        field: np.ndarray | None,
        artifacts: np.ndarray | None,
        working_size: int,
        *,
        scale: tuple[float, float],
        pixel_size: float | None,
    ) -> LesionRegion:
        if field is None:
            field = valid_field(image)
        mask = np.ascontiguousarray(mask)
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8)) if mask.any() else (0, 0, *mask.shape[::-1])
        pixels = int(np.count_nonzero(mask))
        cut = top == 0, left == 0, top + height == mask.shape[0], left + width == mask.shape[1]
        rim = int(np.ceil(_RIM * np.sqrt(pixels / np.pi))) + 2
        top, left, bottom, right = max(0, top - rim), max(0, left - rim), top + height + rim, left + width + rim
        part = np.s_[top:bottom, left:right]
        region = cls(
            image=np.ascontiguousarray(image[part]),
            mask=np.ascontiguousarray(mask[part]),
            # what somebody outlined as lesion is in view, however dark it is
            field=np.ascontiguousarray(field[part] | mask[part]),
            artifacts=(
                np.zeros(mask[part].shape, bool) if artifacts is None else np.ascontiguousarray(artifacts[part])
            ),
            scale=scale,
            area=pixels * scale[0] * scale[1],
            field_area=int(np.count_nonzero(field | mask)) * scale[0] * scale[1],
            pixel_size=pixel_size,
            offset=(float(top), float(left)),
            zoom=(1.0, 1.0),
            image_shape=(image.shape[0], image.shape[1]),
            cut=cut if pixels else (False,) * 4,
        )
        return region.at(working_size)

    def at(self, working_size: int) -> LesionRegion:
        """Get the same region with a longer side of at most so many pixels; it shares the reasons."""
        if working_size >= max(self.mask.shape):
            return self
        if working_size not in self._copies:
            # what several groups look at is made once, and smaller copies of it
            base = self.at(SMALL) if working_size < SMALL else self
            self._copies[working_size] = base._shrunk(working_size)
        return self._copies[working_size]

    def _shrunk(self, working_size: int) -> LesionRegion:
        height, width = self.mask.shape
        factor = working_size / max(height, width)
        shape = max(1, round(height * factor)), max(1, round(width * factor))
        ratio = height / shape[0], width / shape[1]
        share = shrink(255 * self.mask.view(np.uint8), shape)
        mask = share > 127
        return replace(
            self,
            image=shrink(self.image, shape),
            # a lesion of a few pixels in a large frame may vanish; keep every pixel that it touches then
            mask=mask if mask.any() else resize_mask(self.mask.astype(np.float32), shape) > 0,
            field=np.ones(shape, bool) if self.field.all() else shrink(255 * self.field.view(np.uint8), shape) > 127,
            artifacts=(
                shrink(255 * self.artifacts.view(np.uint8), shape) > 0
                if self.artifacts.any()
                else np.zeros(shape, bool)
            ),
            scale=(self.scale[0] * ratio[0], self.scale[1] * ratio[1]),
            zoom=(self.zoom[0] * ratio[0], self.zoom[1] * ratio[1]),
            _copies={},
            _kept={},
        )

    def not_measured(self, names: Iterable[str], reason: str) -> dict[str, float]:
        """Note why features are not measured; give a NaN for each."""
        names = list(names)
        self.reasons.update(dict.fromkeys(names, reason))
        return dict.fromkeys(names, float("nan"))

    def once(self, make: Callable[[LesionRegion], Kept]) -> Kept:
        """Give a function's value for this region, computed at the first call only."""
        if make not in self._kept:
            self._kept[make] = make(self)
        result: Kept = self._kept[make]
        return result

    @property
    def at_edges(self) -> tuple[bool, bool, bool, bool]:
        """Whether the region ends at the top, left, bottom and right edge of the image."""
        ends = [edge + side * zoom for edge, side, zoom in zip(self.offset, self.mask.shape, self.zoom, strict=True)]
        near = [end > side - 0.5 for end, side in zip(ends, self.image_shape, strict=True)]
        return self.offset[0] < 0.5, self.offset[1] < 0.5, near[0], near[1]

    def forget(self) -> None:
        """Let go of what was kept: it refers to the region, and would keep its images until the next collection."""
        self._kept.clear()
        for copy in self._copies.values():
            copy.forget()
        self._copies.clear()

    def to_image(self, points: Any) -> np.ndarray:
        """Map points (row, column) of the region to pixels of the image it was cut from."""
        return (np.asarray(points, dtype=np.float64) + 0.5) * self.zoom - 0.5 + self.offset

    @cached_property
    def has_lesion(self) -> bool:
        """Whether the mask has any pixel."""
        return bool(self.mask.any())

    @cached_property
    def lab(self) -> np.ndarray:
        """CIELAB values, float32."""
        return to_lab(self.image)

    @cached_property
    def lesion(self) -> np.ndarray:
        """The lesion without painted-over pixels, unless nothing else is left of it."""
        clean = self.mask & ~self.artifacts
        return clean if clean.any() else self.mask

    @cached_property
    def radius(self) -> float:
        """Radius of the disc of equal area, in pixels of the region."""
        return float(np.sqrt(np.count_nonzero(self.mask) / np.pi))

    @cached_property
    def outside(self) -> np.ndarray:
        """Distance from the lesion in pixels of the region, 0 inside, float32."""
        return cv2.distanceTransform((~self.mask).view(np.uint8), cv2.DIST_L2, 5)

    @cached_property
    def inside(self) -> np.ndarray:
        """Distance from the outside in pixels of the region, 0 outside, float32.

        What lies beyond the edge of the image counts as lesion: there is no
        outline where the image ends.
        """
        return cv2.distanceTransform(self.mask.view(np.uint8), cv2.DIST_L2, 5)

    @cached_property
    def skin(self) -> np.ndarray:
        """The ring of skin that the lesion is compared with, empty where none is in view."""
        return surrounding_skin(self.mask, field=self.field, artifacts=self.artifacts, distance=self.outside)

    @cached_property
    def skin_color(self) -> np.ndarray | None:
        """Median CIELAB of the surrounding skin, of shape (3,), float64; None where none is in view."""
        if not self.skin.any():
            return None
        return median_color(self.lab, self.skin)


_SAMPLED = 4096  # pixels of skin from which its color is taken, at least


def median_color(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Median of each channel over a mask, of evenly spread pixels of it; of shape (3,), float64."""
    places = np.flatnonzero(mask)
    return medians(pixels_at(pixels, places[:: max(1, len(places) // _SAMPLED)]).T)


def medians(rows: np.ndarray) -> np.ndarray:
    """Median of each row, of finite numbers, as float64; `numpy.median` takes five times as long for the same."""
    ordered = np.sort(np.ascontiguousarray(rows, np.float32), axis=1)
    size = ordered.shape[1]
    return (ordered[:, (size - 1) // 2].astype(np.float64) + ordered[:, size // 2]) / 2


def pixels_at(pixels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colors at some places (as of `numpy.flatnonzero`), of shape (n, 3): far quicker than by a mask."""
    return np.take(pixels.reshape(-1, 3), places, axis=0)


_RING = (0.1, 0.5)  # the skin looked at lies this far outside of the outline, in radii of the disc of equal area


def surrounding_skin(
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    artifacts: np.ndarray | None = None,
    distance: np.ndarray | None = None,
) -> np.ndarray:
    """Find the ring of skin that a lesion is compared with.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The lesion.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view.
    artifacts : ndarray of shape (H, W), bool, default=None
        Pixels to leave out.
    distance : ndarray of shape (H, W), float32, default=None
        Distance from the lesion, if it is known already.

    Returns
    -------
    ndarray of shape (H, W), bool
        Pixels from 0.1 to 0.5 radii of the equivalent disc outside of the
        outline; all valid pixels outside of it where the ring has none; empty
        where the lesion fills the field.
    """
    allowed = ~mask
    if field is not None:
        allowed &= field
    if artifacts is not None:
        allowed &= ~artifacts
    radius = np.sqrt(np.count_nonzero(mask) / np.pi)
    if distance is None:
        distance = cv2.distanceTransform(np.ascontiguousarray(~mask).view(np.uint8), cv2.DIST_L2, 5)
    ring = allowed & (distance > _RING[0] * radius) & (distance <= max(_RING[1] * radius, 2))
    return ring if ring.any() else allowed
