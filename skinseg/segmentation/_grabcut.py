"""Segmentation by graph cuts from a coarse outline."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._docs import fill_doc
from ..images import LesionImage
from ._scene import ClassicalSegmenter, Scene
from ._start import START_CHOICES, checked_start, start_mask

__all__ = ["GrabCutSegmenter", "grabcut_scene", "segment_grabcut"]

_SCALES = np.array([1.5, 2.5, 2.5], np.float32)  # of L*, a*, b*, that the colors of skin and lesion fill 8 bits
_FEWEST = 64  # pixels of either side below which five Gaussians cannot be told
_MODEL = (1, 65)  # shape of OpenCV's mixture of five Gaussians


def grabcut_scene(
    scene: Scene, start: np.ndarray, *, n_iterations: int = 2, core: float = 0.2, ring: float = 0.35
) -> np.ndarray:
    """Cut a scene that is not blank from a start; parameters as in `segment_grabcut`."""
    if not start.any():
        return start
    inside = cv2.distanceTransform(start.view(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~start).view(np.uint8), cv2.DIST_L2, 5)
    reach = max(3.0, ring * float(np.sqrt(start.sum() / np.pi)))
    labels = np.where(
        start,
        np.where(inside > core * inside.max(), cv2.GC_FGD, cv2.GC_PR_FGD),
        np.where(outside > reach, cv2.GC_BGD, cv2.GC_PR_BGD),
    ).astype(np.uint8)
    labels[~scene.valid] = cv2.GC_BGD
    is_lesion = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if min(np.count_nonzero(is_lesion), np.count_nonzero(~is_lesion)) < _FEWEST:
        return start
    # colors as differences to the skin, so that uneven light is none of the lesion's edge
    departure = scene.departure(scene.valid & ~start)
    pixels = np.clip(128 + departure * _SCALES, 0, 255).astype(np.uint8)
    # its clusters start at random, by a generator that the caller may use as well: it goes on from what it would draw
    following = int(cv2.randu(np.zeros((1, 1), np.int32), np.zeros(1), np.full(1, 2**31 - 1))[0, 0])
    cv2.setRNGSeed(0)
    cv2.grabCut(  # type: ignore[call-overload]
        pixels, labels, None, np.zeros(_MODEL), np.zeros(_MODEL), n_iterations,
        cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    cv2.setRNGSeed(following)
    return ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)) & scene.valid


@fill_doc()
def segment_grabcut(
    image: np.ndarray,
    start: np.ndarray | None = None,
    *,
    n_iterations: int = 2,
    core: float = 0.2,
    ring: float = 0.35,
    hair_width: float = 0.025,
    blur: float = 0.008,
    exclude_foreign: bool = True,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Cut the lesion out by GrabCut, from a coarse outline, without post-processing.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB; about 100 to 200 pixels a side are enough.
    start : ndarray of shape (H, W), bool, default=None
        The coarse outline; that of a threshold if None.
    n_iterations : int, default=2
        Rounds of models and cuts, at least 1.
    core : float, default=0.2
        What lies deeper inside of the start than this fraction of its largest
        depth is surely lesion, in [0, 1].
    ring : float, default=0.35
        What lies further outside of the start than this fraction of its radius
        is surely skin, in [0, 10].
    %(scene)s
    %(field)s

    Returns
    -------
    ndarray of shape (H, W), bool
        True where the lesion may be; empty for an image of one color.

    References
    ----------
    C. Rother, V. Kolmogorov, A. Blake, "GrabCut: interactive foreground
    extraction using iterated graph cuts", ACM Transactions on Graphics 23
    (2004) 309-314.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.segmentation import segment_grabcut
    >>> image = np.full((64, 64, 3), 200, dtype=np.uint8)
    >>> image[20:44, 20:44] = 90
    >>> start = np.zeros((64, 64), dtype=bool)
    >>> start[18:46, 18:46] = True
    >>> mask = segment_grabcut(image, start, hair_width=0, blur=0)
    >>> int(mask.sum()) == 24 * 24
    True
    """
    scene = Scene(image, field, hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign)
    if scene.is_blank:
        return np.zeros(scene.shape, bool)
    begin = start_mask(scene) if start is None else checked_start(start, scene)
    return grabcut_scene(scene, begin, n_iterations=n_iterations, core=core, ring=ring)


@fill_doc(working_size=128, opening=0.045, closing=0.08, margin=0.1, smoothing=0.01, min_area=0.001)
class GrabCutSegmenter(ClassicalSegmenter):
    """Cut the lesion out by GrabCut, from a coarse outline.

    Nothing is learnt. Mixtures of colors of lesion and of skin, and the
    contrast along the outline, refine the mask of a threshold or the mask that
    the records bring.

    Parameters
    ----------
    n_iterations : int, default=2
        Rounds of models and cuts, at least 1.
    core : float, default=0.2
        What lies deeper inside of the start than this fraction of its largest
        depth is surely lesion, in [0, 1].
    ring : float, default=0.35
        What lies further outside of the start than this fraction of its radius
        is surely skin, in [0, 10].
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
    segment_grabcut : The function on one image.

    References
    ----------
    C. Rother, V. Kolmogorov, A. Blake, "GrabCut: interactive foreground
    extraction using iterated graph cuts", ACM Transactions on Graphics 23
    (2004) 309-314.

    Examples
    --------
    >>> from skinseg import GrabCutSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> bool(GrabCutSegmenter().score(lesions.images, lesions.masks) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalSegmenter._parameter_constraints,
        "n_iterations": [Interval(Integral, 1, None, closed="left")],
        "core": [Interval(Real, 0, 1, closed="both")],
        "ring": [Interval(Real, 0, 10, closed="both")],
        "start": [StrOptions(set(START_CHOICES))],
    }

    def __init__(
        self,
        *,
        n_iterations: int = 2,
        core: float = 0.2,
        ring: float = 0.35,
        start: str = "threshold",
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
        working_size: int = 128,
        opening: float = 0.045,
        component: str = "central",
        closing: float = 0.08,
        fill_holes: bool = True,
        margin: float = 0.1,
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
        self.core = core
        self.ring = ring
        self.start = start

    @property
    def _reads_mask(self) -> bool:  # type: ignore[override]
        return self.start == "mask"

    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        begin = start_mask(scene, record, self.start)
        return grabcut_scene(scene, begin, n_iterations=self.n_iterations, core=self.core, ring=self.ring)
