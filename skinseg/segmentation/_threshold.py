"""Segmentation by one threshold on one channel."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import cv2
import numpy as np
from skimage import filters
from sklearn.utils._param_validation import Interval, StrOptions

from .._docs import fill_doc
from ..field import flatten_shading
from ..images import LesionImage
from ._scene import ClassicalSegmenter, Scene

__all__ = ["ThresholdSegmenter", "find_threshold", "segment_threshold", "threshold_scene"]

_RGB = ("red", "green", "blue")
CHANNELS = (*_RGB, "blue_green", "lightness", "yellowness", "component", "contrast")
_OF_HISTOGRAM: dict[str, Callable[..., Any]] = {
    "isodata": filters.threshold_isodata,
    "minimum": filters.threshold_minimum,
    "otsu": filters.threshold_otsu,
    "yen": filters.threshold_yen,
}
_OF_VALUES: dict[str, Callable[..., Any]] = {
    "li": filters.threshold_li,
    "mean": filters.threshold_mean,
    "triangle": filters.threshold_triangle,
}
METHODS = tuple(sorted({**_OF_HISTOGRAM, **_OF_VALUES, "multi_otsu": None}))
_SAMPLE = 4096  # values that stand for a weighted histogram


def _scaled(values: np.ndarray, scene: Scene) -> np.ndarray:
    """Bring a float channel to 0..255 by its range over what is valid."""
    low, high = np.percentile(values[scene.valid], (0.5, 99.5))
    return np.clip((values - low) * (255 / max(high - low, 1e-6)), 0, 255)


def _dark_in_the_middle(values: np.ndarray, scene: Scene) -> np.ndarray:
    """Turn a channel over if the middle is brighter than the rest: in b* lesions may be either."""
    weight = scene.centrality(0.2) * scene.valid
    middle = float((weight * values).sum() / weight.sum())
    return values if middle <= float(values[scene.valid].mean()) else -values


def _channel(scene: Scene, channel: str) -> np.ndarray:
    """Give one gray channel, 0 to 255, in which lesions are darker than skin."""
    if channel in _RGB:
        return np.ascontiguousarray(scene.quiet[..., _RGB.index(channel)])
    if channel == "blue_green":
        return cv2.addWeighted(scene.quiet[..., 1], 0.5, scene.quiet[..., 2], 0.5, 0)
    if channel == "lightness":
        return scene.lab[..., 0] * np.float32(2.55)
    if channel == "yellowness":
        return _scaled(_dark_in_the_middle(scene.lab[..., 2], scene), scene)
    if channel == "component":
        pixels = scene.lab[scene.valid]
        axis = np.linalg.eigh(np.cov(pixels.T))[1][:, -1].astype(np.float32)
        return _scaled(_dark_in_the_middle(scene.lab @ axis, scene), scene)
    difference = scene.lab - scene.skin_color
    return _scaled(-np.sqrt(np.einsum("ijk,ijk->ij", difference, difference)), scene)


def _histogram(levels: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.bincount(levels, weights=weight, minlength=256).astype(np.float64)


def find_threshold(counts: np.ndarray, method: str) -> float:
    """Find the threshold of a histogram of 256 gray levels.

    Parameters
    ----------
    counts : ndarray of shape (256,), floating
        Pixels, or sums of weights, at each level.
    method : {"isodata", "li", "mean", "minimum", "multi_otsu", "otsu", "triangle", "yen"}
        The function of that name in `skimage.filters`; "multi_otsu" is the
        upper of two thresholds between three classes.

    Returns
    -------
    float
        The threshold; levels up to it are the darker class. The level itself
        where there is one only, 0 where there is none.
    """
    used = np.flatnonzero(counts > 1e-6 * counts.max())  # weights far from the middle may be next to nothing
    if len(used) < 2:
        return float(used[0]) if len(used) else 0.0
    counts = np.where(counts > 1e-6 * counts.max(), counts, 0)
    levels = np.arange(used[0], used[-1] + 1)
    histogram = counts[levels], levels.astype(np.float64)
    try:
        if method in _OF_VALUES:  # these take values: a sample of the same histogram
            number = np.rint(counts * (_SAMPLE / counts.sum())).astype(np.intp)
            number[used[[0, -1]]] = np.maximum(number[used[[0, -1]]], 1)
            return float(_OF_VALUES[method](np.repeat(np.arange(256, dtype=np.uint8), number)))
        if method == "multi_otsu":
            return float(filters.threshold_multiotsu(classes=3, hist=histogram)[-1])
        return float(np.atleast_1d(_OF_HISTOGRAM[method](hist=histogram))[0])
    except (RuntimeError, ValueError):  # "minimum" wants two maxima, "multi_otsu" three levels
        return float(filters.threshold_otsu(hist=histogram))


def threshold_scene(
    scene: Scene,
    *,
    method: str = "otsu",
    channel: str = "blue",
    offset: float = 0.15,
    centering: float | None = 0.3,
    flatten: bool = True,
) -> np.ndarray:
    """Give what is darker than a threshold in a scene that is not blank; parameters as in `segment_threshold`."""
    gray = _channel(scene, channel)
    valid = scene.valid
    weight = None if centering is None else scene.centrality(centering)[valid]
    levels = gray[valid] if gray.dtype == np.uint8 else _to_levels(gray[valid])
    if levels.min() == levels.max():
        return np.zeros(scene.shape, bool)
    if weight is not None and weight.max() < 1e-3:  # nothing valid near the middle
        weight = None
    if flatten:
        sparse = None if weight is None else weight[::3]  # a third of the pixels is enough for a first guess
        first = find_threshold(_histogram(levels[::3], sparse), "otsu")
        gray = flatten_shading(gray, valid & (gray > first))
        levels = _to_levels(gray[valid])
        if levels.min() == levels.max():
            return np.zeros(scene.shape, bool)
    threshold = find_threshold(_histogram(levels, weight), method)
    plain = _histogram(levels, None)
    plain[: int(threshold) + 1] = 0
    if plain.any():  # the median of what is brighter
        skin = int(np.searchsorted(np.cumsum(plain), plain.sum() / 2))
        threshold += offset * (skin - threshold)
    mask: np.ndarray = (gray <= threshold) & valid
    return mask


def _to_levels(gray: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


@fill_doc()
def segment_threshold(
    image: np.ndarray,
    *,
    method: str = "otsu",
    channel: str = "blue",
    offset: float = 0.15,
    centering: float | None = 0.3,
    flatten: bool = True,
    hair_width: float = 0.025,
    blur: float = 0.008,
    exclude_foreign: bool = True,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Outline what is darker than a threshold, without post-processing.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB; about 200 to 500 pixels a side are enough.
    method : {"isodata", "li", "mean", "minimum", "multi_otsu", "otsu", "triangle", "yen"}, default="otsu"
        How the threshold is found, by the function of that name in
        `skimage.filters`; "multi_otsu" is the upper of two. Otsu's stands in
        where "minimum" finds no two maxima or "multi_otsu" no three levels.
    channel : {"blue", "blue_green", "component", "contrast", "green", "lightness", "red", "yellowness"}, \
            default="blue"
        What is compared with the threshold. Melanin absorbs blue most.
        "component" is the first principal component of CIELAB, "yellowness"
        its b*, "contrast" the distance in CIELAB to the skin at the periphery.
    offset : float, default=0.15
        Moves the threshold towards the median of the skin by this fraction of
        the way, in [-1, 1]: outlines drawn by experts lie outside of a plain
        threshold.
    centering : float or None, default=0.3
        Width of a Gaussian around the middle by which pixels count in the
        histogram, as a fraction of the longer side, at least 0.05; None to count
        all alike. Lesions are in the middle, shadows and rulers are not.
    flatten : bool, default=True
        Whether uneven light is taken out before the threshold, by a
        polynomial of second order fitted to the skin.
    %(scene)s
    %(field)s

    Returns
    -------
    ndarray of shape (H, W), bool
        True where the lesion may be; empty for an image of one gray value.

    Raises
    ------
    ValueError
        If there is no such method or channel, or the field does not fit.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE
    Transactions on Systems, Man and Cybernetics 9 (1979) 62-66.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.segmentation import segment_threshold
    >>> image = np.full((64, 64, 3), 200, dtype=np.uint8)
    >>> image[20:44, 20:44] = 90
    >>> mask = segment_threshold(image, hair_width=0, blur=0)
    >>> int(mask.sum()) == 24 * 24
    True
    """
    if method not in METHODS or channel not in CHANNELS:
        raise ValueError(
            f"method must be one of {', '.join(METHODS)} and channel one of {', '.join(CHANNELS)}, got {method!r} and "
            f"{channel!r}"
        )
    scene = Scene(image, field, hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign)
    if scene.is_blank:
        return np.zeros(scene.shape, bool)
    return threshold_scene(scene, method=method, channel=channel, offset=offset, centering=centering, flatten=flatten)


@fill_doc(working_size=160, opening=0.045, closing=0.08, margin=0.05, smoothing=0.01, min_area=0.001)
class ThresholdSegmenter(ClassicalSegmenter):
    """Outline the lesion by one threshold on one channel.

    Nothing is learnt. The image is brought to a working size, black frame and
    corners, stickers and ink are left out, dark hairs are closed and uneven
    light is flattened; what is darker than the threshold is cleaned to one
    outline.

    Parameters
    ----------
    method : {"isodata", "li", "mean", "minimum", "multi_otsu", "otsu", "triangle", "yen"}, default="otsu"
        How the threshold is found, by the function of that name in
        `skimage.filters`; "multi_otsu" is the upper of two. Otsu's stands in
        where "minimum" finds no two maxima or "multi_otsu" no three levels.
    channel : {"blue", "blue_green", "component", "contrast", "green", "lightness", "red", "yellowness"}, \
            default="blue"
        What is compared with the threshold. Melanin absorbs blue most.
        "component" is the first principal component of CIELAB, "yellowness"
        its b*, "contrast" the distance in CIELAB to the skin at the periphery.
    offset : float, default=0.15
        Moves the threshold towards the median of the skin by this fraction of
        the way, in [-1, 1].
    centering : float or None, default=0.3
        Width of a Gaussian around the middle by which pixels count in the
        histogram, as a fraction of the longer side, at least 0.05; None to count
        all alike.
    flatten : bool, default=True
        Whether uneven light is taken out before the threshold.
    %(scene)s
    %(working_size)s
    %(post_processing)s
    %(execution)s

    Attributes
    ----------
    %(errors_)s

    See Also
    --------
    segment_threshold : The function on one image.

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE
    Transactions on Systems, Man and Cybernetics 9 (1979) 62-66.

    Examples
    --------
    >>> from skinseg import ThresholdSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> segmenter = ThresholdSegmenter().fit(lesions.images)
    >>> bool(segmenter.score(lesions.images, lesions.masks) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalSegmenter._parameter_constraints,
        "method": [StrOptions(set(METHODS))],
        "channel": [StrOptions(set(CHANNELS))],
        "offset": [Interval(Real, -1, 1, closed="both")],
        "centering": [Interval(Real, 0.05, None, closed="left"), None],
        "flatten": ["boolean"],
    }

    def __init__(
        self,
        method: str = "otsu",
        *,
        channel: str = "blue",
        offset: float = 0.15,
        centering: float | None = 0.3,
        flatten: bool = True,
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
        working_size: int = 160,
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
        self.method = method
        self.channel = channel
        self.offset = offset
        self.centering = centering
        self.flatten = flatten

    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        return threshold_scene(
            scene,
            method=self.method,
            channel=self.channel,
            offset=self.offset,
            centering=self.centering,
            flatten=self.flatten,
        )
