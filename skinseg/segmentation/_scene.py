"""What the classical segmenters have in common: the prepared image that they look at, and their base."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from numbers import Integral, Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval

from ..artifacts import find_foreign
from ..base import BaseSegmenter
from ..field import fit_surface, valid_field
from ..images import LesionImage
from ..masks import as_mask, resize_mask
from ..resampling import shrink_to

__all__ = ["ClassicalSegmenter", "Scene"]

_MIN_VALID = 16  # fewer pixels than this tell nothing


class Scene:
    """An image without hair and noise, and which of its pixels count.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB, at its working size.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view; found if None.
    hair_width, blur, exclude_foreign : float, float, bool
        As in the segmenters.

    Attributes
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image as it came.
    quiet : ndarray of shape (H, W, 3), uint8
        The same with its dark hairs closed, blurred.
    field, valid : ndarray of shape (H, W), bool
        The field of view, and what of it is neither sticker nor ink.
    side : int
        The longer side in pixels.
    """

    def __init__(
        self,
        image: np.ndarray,
        field: np.ndarray | None = None,
        *,
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
    ) -> None:
        if field is not None and as_mask(field).shape != image.shape[:2]:
            raise ValueError(f"the field has the size {field.shape}, the image {image.shape[:2]}")
        self.image = image
        self.side = max(image.shape[:2])
        self.field = valid_field(image) if field is None else as_mask(field)
        self.valid = self.field & ~find_foreign(image, field=self.field) if exclude_foreign else self.field
        quiet = image
        if hair_width * self.side >= 2:
            diameter = 2 * round((hair_width * self.side - 1) / 2) + 1  # one of an even size would shift the image
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
            quiet = cv2.morphologyEx(quiet, cv2.MORPH_CLOSE, kernel)
        self.quiet = cv2.GaussianBlur(quiet, (0, 0), blur * self.side) if blur > 0 else quiet

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to be told apart: hardly any valid pixel, or one color."""
        if np.count_nonzero(self.valid) < _MIN_VALID:
            return True
        spread = cv2.meanStdDev(self.quiet, mask=self.valid.view(np.uint8))[1]
        return not spread.any()

    @cached_property
    def lab(self) -> np.ndarray:
        """CIELAB of the quiet image, float32."""
        return cv2.cvtColor(self.quiet.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)

    @cached_property
    def periphery(self) -> np.ndarray:
        """What lies along the edge of the field, within a tenth of the longer side."""
        width = 2 * max(2, round(0.1 * self.side)) + 1
        inner = cv2.erode(
            self.field.view(np.uint8), np.ones((width, width), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        return self.valid & (inner == 0)

    @cached_property
    def skin_color(self) -> np.ndarray:
        """CIELAB of the skin: median of the brighter part of the periphery."""
        pixels = self.lab[self.periphery]
        if len(pixels) < _MIN_VALID:
            pixels = self.lab[self.valid]
        color: np.ndarray = np.median(pixels[pixels[:, 0] >= np.percentile(pixels[:, 0], 40)], axis=0)
        return color

    def centrality(self, width: float) -> np.ndarray:
        """Weights that fall off from the middle, a Gaussian with this fraction of the longer side as its width."""
        height, breadth = self.shape
        y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / (width * self.side)
        x = (np.arange(breadth, dtype=np.float32) - (breadth - 1) / 2) / (width * self.side)
        weight: np.ndarray = np.exp(-(y**2) / 2)[:, None] * np.exp(-(x**2) / 2)[None]
        return weight

    def contrast(self, skin: np.ndarray) -> np.ndarray:
        """Distance in CIELAB of each pixel to the skin around the lesion, float32 of shape (H, W)."""
        departure = self.departure(skin)
        distance: np.ndarray = np.sqrt(np.einsum("ijk,ijk->ij", departure, departure))
        return distance

    def departure(self, skin: np.ndarray) -> np.ndarray:
        """Difference in CIELAB of each pixel to the skin around the lesion, float32 of shape (H, W, 3).

        The color of the skin is a surface of second order in the coordinates,
        fitted to ``skin`` (a first guess), the second time without what is
        darker or of another color, so that uneven light makes no contrast.
        """
        lab = self.lab
        surface = fit_surface(lab, skin)
        if surface is None:
            pixels = lab[skin] if skin.any() else lab[self.valid]
            departure = lab - np.median(pixels, axis=0)
        else:
            departure = lab - surface
            spread = departure[skin].std(axis=0)
            kept = skin & (departure[..., 0] > -2 * spread[0])
            kept &= (np.abs(departure[..., 1]) < 2.5 * spread[1]) & (np.abs(departure[..., 2]) < 2.5 * spread[2])
            surface = fit_surface(lab, kept)
            departure = departure if surface is None else lab - surface
        return departure


class ClassicalSegmenter(BaseSegmenter):
    """Base of the segmenters that look at a `Scene`: a subclass gives ``_outline(scene, record)``."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseSegmenter._parameter_constraints,
        "hair_width": [Interval(Real, 0, 0.2, closed="both")],
        "blur": [Interval(Real, 0, 0.2, closed="both")],
        "exclude_foreign": ["boolean"],
        "working_size": [Interval(Integral, 16, None, closed="left")],
    }
    hair_width: float
    blur: float
    exclude_foreign: bool
    working_size: int

    def __init__(
        self,
        *,
        hair_width: float,
        blur: float,
        exclude_foreign: bool,
        working_size: int,
        opening: float,
        component: str,
        closing: float,
        fill_holes: bool,
        margin: float,
        smoothing: float,
        min_area: float,
        fallback: str,
        memory: Any,
        n_jobs: int | None,
        verbose: int,
        on_error: str,
    ) -> None:
        self.hair_width = hair_width
        self.blur = blur
        self.exclude_foreign = exclude_foreign
        self.working_size = working_size
        self.opening = opening
        self.component = component
        self.closing = closing
        self.fill_holes = fill_holes
        self.margin = margin
        self.smoothing = smoothing
        self.min_area = min_area
        self.fallback = fallback
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    @abstractmethod
    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        """Give the raw mask, or probabilities, of a scene that is not blank, at its size."""

    def _scene(self, record: LesionImage) -> Scene:
        image, field = shrink_to(record.image, self.working_size), record.field
        field = None if field is None else resize_mask(field, image.shape[:2])
        return Scene(image, field, hair_width=self.hair_width, blur=self.blur, exclude_foreign=self.exclude_foreign)

    def _segment(self, record: LesionImage) -> tuple[Any, ...]:
        scene = self._scene(record)
        if scene.is_blank:
            return np.zeros(scene.shape, np.float32 if self._gives_probabilities else bool), scene.field
        return self._outline(scene, record), scene.field
