"""Segmentation by one threshold on one channel."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import cv2
import numpy as np
from skimage import filters
from sklearn.utils._param_validation import Interval, StrOptions

from ..base import BaseSegmenter
from ..field import flatten_shading, valid_field
from ..images import LesionImage
from ..masks import resize_mask

__all__ = ["ThresholdSegmenter", "segment_threshold"]

CHANNELS = ("blue", "blue-green", "green", "lightness", "red")
_OF_HISTOGRAM = {
    "isodata": filters.threshold_isodata,
    "minimum": filters.threshold_minimum,
    "otsu": filters.threshold_otsu,
    "yen": filters.threshold_yen,
}
_OF_VALUES = {
    "li": filters.threshold_li,
    "mean": filters.threshold_mean,
    "triangle": filters.threshold_triangle,
}
METHODS = tuple(sorted({**_OF_HISTOGRAM, **_OF_VALUES}))


def _channel(image: np.ndarray, channel: str) -> np.ndarray:
    """Give one gray channel, uint8, in which lesions are darker than skin."""
    if channel == "lightness":
        return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0]
    if channel == "blue-green":
        return cv2.addWeighted(image[..., 1], 0.5, image[..., 2], 0.5, 0)
    return np.ascontiguousarray(image[..., ("red", "green", "blue").index(channel)])


def _threshold(values: np.ndarray, method: str) -> float:
    if method in _OF_VALUES:
        return float(_OF_VALUES[method](values))
    counts = np.bincount(values, minlength=256).astype(np.float64)
    used = np.flatnonzero(counts)
    levels = np.arange(used[0], used[-1] + 1)
    try:
        threshold = _OF_HISTOGRAM[method](hist=(counts[levels], levels.astype(np.float64)))
    except RuntimeError:  # "minimum" wants two maxima; Otsu's threshold lies between what there is
        threshold = filters.threshold_otsu(hist=(counts[levels], levels.astype(np.float64)))
    return float(np.atleast_1d(threshold)[0])


def segment_threshold(
    image: np.ndarray,
    *,
    method: str = "otsu",
    channel: str = "blue-green",
    offset: float = 0.25,
    closing: float = 0.025,
    blur: float = 0.008,
    flatten: bool = True,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Outline what is darker than a threshold, without post-processing.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB; about 200 to 500 pixels a side are enough.
    method : {"isodata", "li", "mean", "minimum", "otsu", "triangle", "yen"}, default="otsu"
        How the threshold is found, by the function of that name in
        `skimage.filters`.
    channel : {"blue", "blue-green", "green", "lightness", "red"}, default="blue-green"
        What is compared with the threshold; melanin absorbs blue most, and the
        mean of blue and green is less noisy than blue alone.
    offset : float, default=0.25
        Moves the threshold towards the median of the skin by this fraction of
        the way, in [-1, 1]: outlines drawn by experts lie outside of a plain
        threshold.
    closing : float, default=0.025
        Diameter of a gray-value closing that takes dark hairs out before the
        threshold, as a fraction of the longer side, in [0, 1].
    blur : float, default=0.008
        Standard deviation of a Gaussian blur before the threshold, as a
        fraction of the longer side, in [0, 1].
    flatten : bool, default=True
        Whether uneven light is taken out before the threshold, by a
        polynomial of second order fitted to the skin.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view: histogram and result are limited to it; found by
        `skinseg.field.valid_field` if None.

    Returns
    -------
    ndarray of shape (H, W), bool
        True where the lesion may be; empty for an image of one gray value.

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
    >>> mask = segment_threshold(image, closing=0, blur=0)
    >>> int(mask.sum()) == 24 * 24
    True
    """
    side = max(image.shape[:2])
    field = valid_field(image) if field is None else field
    gray = _channel(image, channel)
    diameter = round(closing * side)
    if diameter > 1:
        gray = cv2.morphologyEx(
            gray, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
        )
    if blur > 0:
        gray = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), blur * side)
    values = _to_levels(gray)[field]
    if values.size == 0 or values.min() == values.max():
        return np.zeros(image.shape[:2], bool)
    if flatten:
        gray = flatten_shading(gray, field & (gray > _threshold(values, "otsu")))
        values = _to_levels(gray)[field]
        if values.min() == values.max():
            return np.zeros(image.shape[:2], bool)
    threshold = _threshold(values, method)
    skin = values[values > threshold]
    if skin.size:
        threshold += offset * (float(np.median(skin)) - threshold)
    return (gray <= threshold) & field


def _to_levels(gray: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


class ThresholdSegmenter(BaseSegmenter):
    """Outline the lesion by one threshold on one channel.

    Nothing is learnt. The image is brought to a working size, black frame and
    corners are left out, dark hairs are closed and uneven light is flattened;
    what is darker than the threshold is cleaned to one outline.

    Parameters
    ----------
    method : {"isodata", "li", "mean", "minimum", "otsu", "triangle", "yen"}, default="otsu"
        How the threshold is found, by the function of that name in
        `skimage.filters`.
    channel : {"blue", "blue-green", "green", "lightness", "red"}, default="blue-green"
        What is compared with the threshold.
    offset : float, default=0.25
        Moves the threshold towards the median of the skin by this fraction of
        the way, in [-1, 1].
    closing : float, default=0.025
        Diameter of the closing that takes dark hairs out, as a fraction of the
        longer side, in [0, 1].
    blur : float, default=0.008
        Standard deviation of the blur before the threshold, as a fraction of
        the longer side, in [0, 1].
    flatten : bool, default=True
        Whether uneven light is taken out before the threshold.
    working_size : int, default=192
        Longer side, in pixels, of the copy that is segmented, at least 16; the
        outline is brought back to the size of the image.
    opening : float, default=0.045
        Diameter of a morphological opening of the mask, as a fraction of the
        longer side, in [0, 1].
    component : {"central", "largest", "all"}, default="central"
        Which connected component to keep.
    fill_holes : bool, default=True
        Fill what the outline encloses.
    margin : float, default=0.05
        Grow the outline by this fraction of the lesion's radius, in [0, 1].
    smoothing : float, default=0.01
        Width of the Gaussian that smooths the outline, as a fraction of the
        longer side, in [0, 1].
    min_area : float, default=0.001
        Smallest area of a lesion, as a fraction of the image, in [0, 1].
    memory : str, path-like or joblib.Memory, default=None
        Folder in which raw masks are kept, one an image and setting.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the batch, or is left out
        and listed in ``errors_``.

    Attributes
    ----------
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

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
        **BaseSegmenter._parameter_constraints,
        "method": [StrOptions(set(METHODS))],
        "channel": [StrOptions(set(CHANNELS))],
        "offset": [Interval(Real, -1, 1, closed="both")],
        "closing": [Interval(Real, 0, 1, closed="both")],
        "blur": [Interval(Real, 0, 1, closed="both")],
        "flatten": ["boolean"],
        "working_size": [Interval(Integral, 16, None, closed="left")],
    }

    def __init__(
        self,
        method: str = "otsu",
        *,
        channel: str = "blue-green",
        offset: float = 0.25,
        closing: float = 0.025,
        blur: float = 0.008,
        flatten: bool = True,
        working_size: int = 192,
        opening: float = 0.045,
        component: str = "central",
        fill_holes: bool = True,
        margin: float = 0.05,
        smoothing: float = 0.01,
        min_area: float = 0.001,
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.method = method
        self.channel = channel
        self.offset = offset
        self.closing = closing
        self.blur = blur
        self.flatten = flatten
        self.working_size = working_size
        self.opening = opening
        self.component = component
        self.fill_holes = fill_holes
        self.margin = margin
        self.smoothing = smoothing
        self.min_area = min_area
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _segment(self, record: LesionImage) -> tuple[np.ndarray, np.ndarray]:
        scale = min(1.0, self.working_size / max(record.shape))
        shape = max(1, round(record.shape[0] * scale)), max(1, round(record.shape[1] * scale))
        image = cv2.resize(record.image, shape[::-1], interpolation=cv2.INTER_AREA) if scale < 1 else record.image
        field = record.field
        field = valid_field(image) if field is None else resize_mask(field, shape)
        mask = segment_threshold(
            image,
            method=self.method,
            channel=self.channel,
            offset=self.offset,
            closing=self.closing,
            blur=self.blur,
            flatten=self.flatten,
            field=field,
        )
        return mask, field
