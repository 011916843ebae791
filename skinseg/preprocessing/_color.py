"""Color constancy: images as they would look under white light."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ..base import ImageTransformer
from ..field import valid_field
from ..images import LesionImage
from ..resampling import shrink_to

__all__ = ["ColorConstancy", "correct_color", "estimate_illuminant"]

METHODS = ("gray_edge", "gray_world", "max_rgb", "shades_of_gray")
_SIDE = 256  # the light is estimated on a copy with this longer side, in pixels
_SATURATED = 250  # a pixel with a channel this high may have been cut off
_FEWEST = 0.1  # share of the field below which saturated pixels count as well: better these than next to none
_LARGEST_GAIN = 4.0  # no channel is scaled by more than this or less than its inverse: a dark channel has only noise


def small_copy(image: np.ndarray, field: np.ndarray | None, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Shrink an image, and find its valid field (uint8, 0 and 1; a field without a pixel counts as none given)."""
    small = shrink_to(image, side)
    if field is None:
        return small, valid_field(small).view(np.uint8)
    inside: np.ndarray = np.ascontiguousarray(field).view(np.uint8)
    inside = cv2.resize(inside, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return small, inside if inside.any() else np.ones_like(inside)


def _minkowski_of_levels(image: np.ndarray, mask: np.ndarray, p: float) -> list[float]:
    """Minkowski mean of order p of each channel, from its histogram."""
    means = []
    levels = np.arange(256) / 255
    for channel in cv2.split(image):
        counts = cv2.calcHist([channel], [0], mask, [256], [0, 256]).ravel().astype(np.float64)
        highest = float(levels[counts > 0].max())
        if math.isinf(p) or highest == 0:
            means.append(highest)
        else:  # relative to the highest level, or large powers would vanish
            means.append(highest * float(counts @ np.minimum(levels / highest, 1) ** p / counts.sum()) ** (1 / p))
    return means


def _minkowski_of_edges(image: np.ndarray, mask: np.ndarray, p: float, sigma: float) -> list[float]:
    """Minkowski mean of order p of the gradient of each channel."""
    # a gradient reaches over the edge of the mask by the width of the blur
    reach = 2 * (1 + math.ceil(4 * sigma)) + 1
    inner = cv2.erode(mask, np.ones((reach, reach), np.uint8))
    mask = inner if inner.any() else mask
    means = []
    for channel in cv2.split(image.astype(np.float32)):
        smooth = cv2.GaussianBlur(channel, (0, 0), sigma) if sigma > 0 else channel
        slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
        highest = cv2.minMaxLoc(slope, mask)[1]
        if math.isinf(p) or highest == 0:
            means.append(highest)
        else:
            means.append(highest * cv2.mean(cv2.pow(slope / np.float32(highest), p), mask)[0] ** (1 / p))
    return means


def _check(method: str, p: float, sigma: float | None, gamma: float | None) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if not p >= 1:
        raise ValueError(f"p must be at least 1, got {p!r}")
    if sigma is not None and not 0 <= sigma <= 32:
        raise ValueError(f"sigma must be None or from 0 to 32, got {sigma!r}")
    if gamma is not None and not 1 <= gamma <= 4:
        raise ValueError(f"gamma must be None or from 1 to 4, got {gamma!r}")


def estimate_illuminant(
    image: np.ndarray,
    *,
    method: str = "shades_of_gray",
    p: float = 6.0,
    sigma: float | None = None,
    gamma: float | None = None,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Estimate the color of the light from the image alone.

    The estimate is made on a copy whose longer side has 256 pixels, over the
    valid field of view. Saturated pixels (a channel at 250 or more) are left
    out unless less than a tenth of the field would remain.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    method : {"gray_edge", "gray_world", "max_rgb", "shades_of_gray"}, default="shades_of_gray"
        What is taken for gray: with ``"shades_of_gray"`` the Minkowski mean of
        order `p` of each channel, with ``"gray_world"`` the mean (p = 1), with
        ``"max_rgb"`` the maximum (p = infinity), with ``"gray_edge"`` the
        Minkowski mean of the gradient.
    p : float, default=6.0
        Order of the mean of ``"shades_of_gray"`` and ``"gray_edge"``, at least
        1; `math.inf` is the maximum.
    sigma : float, default=None
        Standard deviation of a Gaussian before the estimate, in pixels of the
        copy, in [0, 32]. None is 1 for ``"gray_edge"`` and 0 for the others;
        ``"shades_of_gray"`` with more than 0 is the general gray world.
    gamma : float, default=None
        Exponent that makes the levels linear before the estimate, in [1, 4];
        None takes them as they are. See `ColorConstancy`.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view; `skinseg.field.valid_field` if None. A field
        without a pixel counts as the whole image.

    Returns
    -------
    ndarray of shape (3,), float64
        The light: red, green and blue, of unit length. White light,
        ``1 / sqrt(3)`` each, where the image tells nothing (all black, or no
        gradient).

    See Also
    --------
    correct_color : Take the light out.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import estimate_illuminant
    >>> image = np.full((64, 64, 3), (200, 100, 100), dtype=np.uint8)
    >>> estimate_illuminant(image).round(3)
    array([0.816, 0.408, 0.408])
    """
    _check(method, p, sigma, gamma)
    small, mask = small_copy(image, field, _SIDE)
    red, green, blue = cv2.split(small)
    unsaturated = cv2.bitwise_and(mask, (cv2.max(cv2.max(red, green), blue) < _SATURATED).view(np.uint8))
    if cv2.countNonZero(unsaturated) >= max(1.0, _FEWEST * cv2.countNonZero(mask)):
        mask = unsaturated
    power = 1.0 if gamma is None else float(gamma)
    if method == "gray_edge":
        if power > 1:
            small = _powers(power)[small]
        light = _minkowski_of_edges(small, mask, p, 1.0 if sigma is None else sigma)
    else:
        order = {"gray_world": 1.0, "max_rgb": math.inf}.get(method, float(p))
        if sigma:
            small = cv2.GaussianBlur(small, (0, 0), sigma)
        # the mean of order p of the linear levels is that of order p * gamma of the levels, to the power of gamma
        light = [mean**power for mean in _minkowski_of_levels(small, mask, order * power)]
    length = math.hypot(*light)
    if length == 0:
        return np.full(3, 1 / math.sqrt(3))
    return np.array(light) / length


def _powers(power: float) -> np.ndarray:
    """Linear level of each 8-bit level, 0 to 255."""
    return (255 * (np.arange(256) / 255) ** power).astype(np.float32)


def correct_color(
    image: np.ndarray,
    *,
    method: str = "shades_of_gray",
    p: float = 6.0,
    sigma: float | None = None,
    gamma: float | None = None,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Take the color of the light out of an image.

    The light ``e`` is estimated and each channel multiplied by
    ``1 / (sqrt(3) * e)`` (von Kries), which leaves an image under white light
    as it is. Products above 255 are clipped. Pixels outside of the field are
    scaled like the others: black stays black.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    method : {"gray_edge", "gray_world", "max_rgb", "shades_of_gray"}, default="shades_of_gray"
        What is taken for gray, see `estimate_illuminant`.
    p : float, default=6.0
        Order of the Minkowski mean of ``"shades_of_gray"`` and
        ``"gray_edge"``, at least 1; `math.inf` is the maximum.
    sigma : float, default=None
        Standard deviation of a Gaussian before the estimate, in pixels of a
        copy whose longer side has 256, in [0, 32]. None is 1 for
        ``"gray_edge"`` and 0 for the others.
    gamma : float, default=None
        Exponent that makes the levels linear, in [1, 4]; None takes them as
        they are. See `ColorConstancy`.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view; `skinseg.field.valid_field` if None.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The image under white light. No channel is scaled by more than 4 or by
        less than 1/4.

    See Also
    --------
    estimate_illuminant : The light alone.
    ColorConstancy : The step of a pipeline.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import correct_color
    >>> card = np.full((64, 64, 3), 120, dtype=np.uint8)
    >>> yellow_light = (card * [1.0, 0.9, 0.6]).astype(np.uint8)
    >>> correct_color(yellow_light)[0, 0]
    array([102, 102, 102], dtype=uint8)
    """
    light = estimate_illuminant(image, method=method, p=p, sigma=sigma, gamma=gamma, field=field)
    gains = 1 / np.maximum(math.sqrt(3) * light, 1e-9)
    if gamma is not None:  # scaling by a factor before the power is scaling by its root after it
        gains = gains ** (1 / gamma)
    gains = np.clip(gains, 1 / _LARGEST_GAIN, _LARGEST_GAIN)
    table = np.clip(np.rint(np.arange(256)[:, None] * gains), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table[:, None, :])


class ColorConstancy(ImageTransformer):
    """Bring images to white light, so that colors of different devices compare.

    Color features and networks see the device as much as the lesion unless
    colors are normalized; Barata, Celebi and Marques found that it improves the
    classification of images from several sources. The color of the light is
    estimated over the valid field of view without saturated pixels, and each
    channel is scaled (von Kries).

    The colors that come out depend on every parameter here: a model trained
    with one `p` sees other colors with another, and does worse without any
    error. The parameters are therefore stored with the fitted pipeline; keep
    this step inside of it rather than preparing images beforehand.

    Skin counts as gray: the step makes images alike and not true to life, and
    what is read as absolute color (white, red and blue-gray of the ABCD rule)
    changes with it.

    Parameters
    ----------
    method : {"gray_edge", "gray_world", "max_rgb", "shades_of_gray"}, default="shades_of_gray"
        What is taken for gray: with ``"shades_of_gray"`` the Minkowski mean of
        order `p` of each channel, with ``"gray_world"`` the mean (p = 1), with
        ``"max_rgb"`` the maximum (p = infinity), with ``"gray_edge"`` the
        Minkowski mean of the gradient.
    p : float, default=6.0
        Order of the mean of ``"shades_of_gray"`` and ``"gray_edge"``, at least
        1; `math.inf` is the maximum. 6 is the usual value in dermoscopy.
    sigma : float, default=None
        Standard deviation of a Gaussian before the estimate, in pixels of a
        copy whose longer side has 256, in [0, 32]. None is 1 for
        ``"gray_edge"`` and 0 for the others; ``"shades_of_gray"`` with more
        than 0 is the general gray world.
    gamma : float, default=None
        Exponent that makes the levels linear before the estimate (2.2 undoes
        the encoding for displays), in [1, 4]; the result is encoded again.
        None takes the levels as they are. Under a power law scaling linear
        levels is scaling the encoded ones, so that ``gamma`` acts on
        ``"shades_of_gray"`` as ``p * gamma`` in place of `p`, but for the
        overall lightness: None loses nothing and keeps `p` what it is in the
        literature.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the batch or is passed on
        as a failed record.

    Attributes
    ----------
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

    See Also
    --------
    correct_color : The function on one image.
    IlluminationCorrector : Takes out light that is uneven, not colored.

    References
    ----------
    G. D. Finlayson and E. Trezzi, "Shades of gray and colour constancy", Color
    and Imaging Conference 12 (2004) 37-41.

    J. van de Weijer, T. Gevers and A. Gijsenij, "Edge-based color constancy",
    IEEE Transactions on Image Processing 16 (2007) 2207-2214.

    C. Barata, M. E. Celebi and J. S. Marques, "Improving dermoscopy image
    classification using color constancy", IEEE Journal of Biomedical and
    Health Informatics 19 (2015) 1146-1152.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import ColorConstancy
    >>> images = [np.full((64, 64, 3), (200, 150, 140), dtype=np.uint8)]
    >>> (record,) = ColorConstancy().fit_transform(images)
    >>> record.image[0, 0]
    array([165, 165, 165], dtype=uint8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageTransformer._parameter_constraints,
        "method": [StrOptions(set(METHODS))],
        "p": [Interval(Real, 1, None, closed="both")],  # closed: infinity is allowed
        "sigma": [Interval(Real, 0, 32, closed="both"), None],
        "gamma": [Interval(Real, 1, 4, closed="both"), None],
    }

    def __init__(
        self,
        method: str = "shades_of_gray",
        *,
        p: float = 6.0,
        sigma: float | None = None,
        gamma: float | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.method = method
        self.p = p
        self.sigma = sigma
        self.gamma = gamma
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _transform_one(self, record: LesionImage) -> LesionImage:
        image = correct_color(
            record.image, method=self.method, p=self.p, sigma=self.sigma, gamma=self.gamma, field=record.field
        )
        return record.with_(image=image)
