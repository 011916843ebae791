"""Segmentation by an active contour without edges."""

from __future__ import annotations

from functools import reduce
from numbers import Integral, Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._docs import fill_doc
from ..images import LesionImage
from ._scene import ClassicalSegmenter, Scene
from ._start import START_CHOICES, checked_start, start_mask

__all__ = ["ChanVeseSegmenter", "chan_vese_scene", "segment_chan_vese"]

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
_LINES = tuple(
    np.array(line, np.uint8)
    for line in (
        [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    )
)


def chan_vese_scene(
    scene: Scene, start: np.ndarray, *, n_iterations: int = 10, contour_smoothing: int = 1, outside_weight: float = 6.0
) -> np.ndarray:
    """Move an outline in a scene that is not blank; parameters as in `segment_chan_vese`."""
    if not start.any() or not (scene.valid & ~start).any():
        return start
    contrast = scene.contrast(scene.valid & ~start)
    top = max(float(np.percentile(contrast[scene.valid], 99)), 1e-6)
    plane = np.where(scene.valid, np.minimum(contrast / top, 1), 0).astype(np.float32)
    inside = start.view(np.uint8).copy()
    smoothings = 0
    for _ in range(n_iterations):
        lesion, skin = (inside > 0) & scene.valid, (inside == 0) & scene.valid
        if not lesion.any() or not skin.any():
            break
        pull = (plane - plane[lesion].mean()) ** 2 - outside_weight * (plane - plane[skin].mean()) ** 2
        edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, _CROSS, borderType=cv2.BORDER_REPLICATE) > 0
        inside[edge & (pull < 0)] = 1
        inside[edge & (pull > 0)] = 0
        for _ in range(contour_smoothing):
            # bumps and notches first in turn, so that the outline neither grows nor shrinks
            first, second = (_inf_sup, _sup_inf) if smoothings % 2 == 0 else (_sup_inf, _inf_sup)
            inside = second(first(inside))
            smoothings += 1
    return (inside > 0) & scene.valid


def _sup_inf(mask: np.ndarray) -> np.ndarray:
    """Keep what some line of three pixels fits in: takes bumps off."""
    return reduce(cv2.max, (cv2.erode(mask, line, borderType=cv2.BORDER_REPLICATE) for line in _LINES))


def _inf_sup(mask: np.ndarray) -> np.ndarray:
    """Fill what no line of three pixels of the rest fits in: fills notches."""
    return reduce(cv2.min, (cv2.dilate(mask, line, borderType=cv2.BORDER_REPLICATE) for line in _LINES))


@fill_doc()
def segment_chan_vese(
    image: np.ndarray,
    start: np.ndarray | None = None,
    *,
    n_iterations: int = 10,
    contour_smoothing: int = 1,
    outside_weight: float = 6.0,
    hair_width: float = 0.025,
    blur: float = 0.008,
    exclude_foreign: bool = True,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Move an outline to where the two sides differ most, without post-processing.

    Morphological Chan-Vese on the contrast to the skin. Unlike that of
    scikit-image, the result depends on nothing but the image: the turns of
    smoothing begin anew with each, and pixels that are not valid do not count.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB; about 100 to 200 pixels a side are enough.
    start : ndarray of shape (H, W), bool, default=None
        The outline to begin with; that of a threshold if None.
    n_iterations : int, default=10
        Steps of the outline, by a pixel each, at least 1.
    contour_smoothing : int, default=1
        Smoothings of the outline after each step, at least 0.
    outside_weight : float, default=6.0
        How much more the evenness of the skin counts than that of the lesion,
        above 0; larger values give larger lesions.
    %(scene)s
    %(field)s

    Returns
    -------
    ndarray of shape (H, W), bool
        True where the lesion may be; empty for an image of one color.

    References
    ----------
    T. Chan, L. Vese, "Active contours without edges", IEEE Transactions on
    Image Processing 10 (2001) 266-277; P. Marquez-Neila, L. Baumela, L.
    Alvarez, "A morphological approach to curvature-based evolution of curves
    and surfaces", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 36 (2014) 2-17.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.segmentation import segment_chan_vese
    >>> image = np.full((64, 64, 3), 200, dtype=np.uint8)
    >>> image[20:44, 20:44] = 90
    >>> start = np.zeros((64, 64), dtype=bool)
    >>> start[26:38, 26:38] = True
    >>> mask = segment_chan_vese(image, start, n_iterations=20, contour_smoothing=0, hair_width=0, blur=0)
    >>> int(mask.sum()) == 24 * 24
    True
    """
    scene = Scene(image, field, hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign)
    if scene.is_blank:
        return np.zeros(scene.shape, bool)
    return chan_vese_scene(
        scene,
        start_mask(scene) if start is None else checked_start(start, scene),
        n_iterations=n_iterations,
        contour_smoothing=contour_smoothing,
        outside_weight=outside_weight,
    )


@fill_doc(working_size=128, opening=0.045, closing=0.08, margin=0.05, smoothing=0.01, min_area=0.001)
class ChanVeseSegmenter(ClassicalSegmenter):
    """Outline the lesion by an active contour without edges (morphological Chan-Vese).

    Nothing is learnt. The outline of a threshold, or the mask that the records
    bring, is moved to where lesion and skin are most even in themselves.

    Parameters
    ----------
    n_iterations : int, default=10
        Steps of the outline, by a pixel of the working size each, at least 1.
    contour_smoothing : int, default=1
        Smoothings of the outline after each step, at least 0.
    outside_weight : float, default=6.0
        How much more the evenness of the skin counts than that of the lesion,
        above 0; larger values give larger lesions.
    %(start)s
    %(scene)s
    %(working_size)s
    %(post_processing)s
    %(execution)s

    Attributes
    ----------
    %(errors_)s

    See Also
    --------
    segment_chan_vese : The function on one image.

    References
    ----------
    T. Chan, L. Vese, "Active contours without edges", IEEE Transactions on
    Image Processing 10 (2001) 266-277; P. Marquez-Neila, L. Baumela, L.
    Alvarez, "A morphological approach to curvature-based evolution of curves
    and surfaces", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 36 (2014) 2-17.

    Examples
    --------
    >>> from skinseg import ChanVeseSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> bool(ChanVeseSegmenter().score(lesions.images, lesions.masks) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalSegmenter._parameter_constraints,
        "n_iterations": [Interval(Integral, 1, None, closed="left")],
        "contour_smoothing": [Interval(Integral, 0, None, closed="left")],
        "outside_weight": [Interval(Real, 0, None, closed="neither")],
        "start": [StrOptions(set(START_CHOICES))],
    }

    def __init__(
        self,
        *,
        n_iterations: int = 10,
        contour_smoothing: int = 1,
        outside_weight: float = 6.0,
        start: str = "threshold",
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
        working_size: int = 128,
        opening: float = 0.045,
        component: str = "central",
        closing: float = 0.08,
        fill_holes: bool = True,
        margin: float = 0.05,
        smoothing: float = 0.01,
        min_area: float = 0.001,
        fallback: str = "empty",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        super().__init__(
            hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign, working_size=working_size,
            opening=opening, component=component, closing=closing, fill_holes=fill_holes, margin=margin,
            smoothing=smoothing, min_area=min_area, fallback=fallback, memory=memory, n_jobs=n_jobs, verbose=verbose,
            on_error=on_error,
        )  # fmt: skip
        self.n_iterations = n_iterations
        self.contour_smoothing = contour_smoothing
        self.outside_weight = outside_weight
        self.start = start

    @property
    def _reads_mask(self) -> bool:  # type: ignore[override]
        return self.start == "mask"

    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        return chan_vese_scene(
            scene,
            start_mask(scene, record, self.start),
            n_iterations=self.n_iterations,
            contour_smoothing=self.contour_smoothing,
            outside_weight=self.outside_weight,
        )
