"""Segmentation by what stands out from the skin at the border."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval

from .._docs import fill_doc
from ..field import fit_surface
from ..images import LesionImage
from ._scene import ClassicalSegmenter, Scene
from ._threshold import find_threshold, threshold_scene

__all__ = ["SaliencySegmenter", "lesion_saliency", "saliency_scene", "skin_of"]

_ALIKE = 2.5  # skin lies within this many times the median distance of the periphery to its own plane of color
_STEEPNESS = 4.0  # log-odds between the color of the skin and the outline


def skin_of(scene: Scene) -> np.ndarray:
    """Give a first guess of what is skin: what has the color of the periphery and is not darker than a threshold."""
    lesion = threshold_scene(scene, offset=0.3)
    rim = 2 * max(1, round(0.02 * scene.side)) + 1
    lighter = scene.valid & (cv2.dilate(lesion.view(np.uint8), np.ones((rim, rim), np.uint8)) == 0)
    if np.count_nonzero(lighter) < 0.02 * lighter.size:
        lighter = scene.valid & ~lesion
    plane = fit_surface(scene.lab, scene.periphery, degree=1)
    if plane is None:
        return lighter
    departure = scene.lab - plane
    distance = np.sqrt(np.einsum("ijk,ijk->ij", departure, departure))
    alike = scene.valid & (distance < _ALIKE * float(np.median(distance[scene.periphery])))
    skin = alike & lighter
    # where little is left, the threshold took the skin for the lesion: the lesion is lighter
    return skin if np.count_nonzero(skin) > 0.25 * np.count_nonzero(alike) else alike


def saliency_scene(scene: Scene, *, offset: float = 0.3, centering: float | None = 0.3) -> np.ndarray:
    """Give probabilities of lesion for a scene that is not blank; parameters as in `lesion_saliency`."""
    valid = scene.valid
    contrast = scene.contrast(skin_of(scene))
    top = float(np.percentile(contrast[valid], 99.5))
    if top <= 0:
        return np.zeros(scene.shape, np.float32)
    levels = np.clip(np.rint(contrast[valid] * (255 / top)), 0, 255).astype(np.uint8)
    if levels.min() == levels.max():
        return np.zeros(scene.shape, np.float32)
    weight = None if centering is None else scene.centrality(centering)[valid]
    if weight is not None and weight.max() < 1e-3:  # nothing valid near the middle
        weight = None
    limit = find_threshold(np.bincount(levels, weights=weight, minlength=256).astype(np.float64), "otsu") + 0.5
    limit *= top / 255
    below = contrast[valid & (contrast < limit)]
    skin = float(np.median(below)) if below.size else 0.0
    limit += offset * (skin - limit)
    log_odds = np.clip(_STEEPNESS * (contrast - limit) / max(limit - skin, 1e-3), -30, 30)
    return np.where(valid, 1 / (1 + np.exp(-log_odds)), 0).astype(np.float32)


@fill_doc()
def lesion_saliency(
    image: np.ndarray,
    *,
    offset: float = 0.3,
    centering: float | None = 0.3,
    hair_width: float = 0.025,
    blur: float = 0.008,
    exclude_foreign: bool = True,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Tell how much each pixel stands out from the skin around the lesion, as a probability.

    The color of the skin is a surface over the image, fitted to what is
    surely skin; the contrast of a pixel is its distance to that surface in
    CIELAB. Otsu's threshold on the contrast, moved by ``offset``, is where the
    probability is one half.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB; about 200 to 500 pixels a side are enough.
    offset : float, default=0.3
        Moves the threshold towards the skin by this fraction of the way, in
        [-1, 0.9].
    centering : float or None, default=0.3
        Width of a Gaussian around the middle by which pixels count in the
        histogram, as a fraction of the longer side, at least 0.05; None to count
        all alike.
    %(scene)s
    %(field)s

    Returns
    -------
    ndarray of shape (H, W), float32
        Probability of lesion; 0 everywhere for an image of one color.

    References
    ----------
    R. Achanta, S. Hemami, F. Estrada, S. Suesstrunk, "Frequency-tuned salient
    region detection", CVPR 2009 (contrast as distance in CIELAB); A. Borji et
    al., "Salient object detection: a benchmark", IEEE Transactions on Image
    Processing 24 (2015) 5706-5722 (the border as background).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.segmentation import lesion_saliency
    >>> image = np.full((64, 64, 3), 200, dtype=np.uint8)
    >>> image[20:44, 20:44] = 90
    >>> saliency = lesion_saliency(image, hair_width=0, blur=0)
    >>> bool(saliency[30, 30] > 0.9), bool(saliency[5, 5] < 0.1)
    (True, True)
    """
    scene = Scene(image, field, hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign)
    if scene.is_blank:
        return np.zeros(scene.shape, np.float32)
    return saliency_scene(scene, offset=offset, centering=centering)


@fill_doc(working_size=192, opening=0.045, closing=0.08, margin=0.05, smoothing=0.01, min_area=0.001)
class SaliencySegmenter(ClassicalSegmenter):
    """Outline what stands out in color from the skin around it.

    Nothing is learnt. Unlike a threshold on one channel it finds lesions that
    are redder, bluer or lighter than the skin and no darker.

    Parameters
    ----------
    offset : float, default=0.3
        Moves the threshold on the contrast towards the skin by this fraction
        of the way, in [-1, 0.9].
    centering : float or None, default=0.3
        Width of a Gaussian around the middle by which pixels count in the
        histogram, as a fraction of the longer side, at least 0.05; None to count
        all alike.
    %(scene)s
    %(working_size)s
    %(post_processing)s
    %(execution)s

    Attributes
    ----------
    %(errors_)s

    See Also
    --------
    lesion_saliency : The function on one image.

    References
    ----------
    R. Achanta, S. Hemami, F. Estrada, S. Suesstrunk, "Frequency-tuned salient
    region detection", CVPR 2009.

    Examples
    --------
    >>> from skinseg import SaliencySegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> bool(SaliencySegmenter().score(lesions.images, lesions.masks) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalSegmenter._parameter_constraints,
        "offset": [Interval(Real, -1, 0.9, closed="both")],
        "centering": [Interval(Real, 0.05, None, closed="left"), None],
    }
    _gives_probabilities = True

    def __init__(
        self,
        *,
        offset: float = 0.3,
        centering: float | None = 0.3,
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
        working_size: int = 192,
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
        self.offset = offset
        self.centering = centering

    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        return saliency_scene(scene, offset=self.offset, centering=self.centering)
