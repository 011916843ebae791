"""Even light: shading and vignetting taken out."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval

from ..base import ImageTransformer
from ..images import LesionImage
from ._color import small_copy

__all__ = ["IlluminationCorrector", "correct_illumination"]

_SIDE = 64  # the light is fitted on a copy with this longer side, in pixels
_FEWEST = 100  # pixels of that copy from which on there is something to fit
_ROUNDS = 6  # of fitting and of telling skin from what departs from the fit
_TOLERANCE = 2.0  # departure from the fit, in robust standard deviations, up to which a pixel is skin
_LEAST_SPREAD = 0.02  # standard deviation that the logarithm of lightness has at least
_LEVERAGE = 20.0  # how much less certain than on average over the skin the fit may be anywhere in the field
_STRIP = 1 << 15  # pixels that are corrected at a time: the gains of so many stay in the cache


class _Light(NamedTuple):
    """Logarithm of the light: a polynomial, cut to the range that it has on skin, relative to its median there."""

    coefficients: np.ndarray
    low: float
    high: float
    median: float


def _powers(length: int, degree: int) -> np.ndarray:
    """Powers 0 to `degree` of the coordinate of each pixel, from -1 to 1 over the length."""
    return ((2 * np.arange(length) + 1) / length - 1)[:, None] ** np.arange(degree + 1)


def _find_skin(level: np.ndarray, guess: np.ndarray, inside: np.ndarray, terms: np.ndarray, fewest: float) -> Any:
    """Fit the light and tell what follows it, in turn; None where less than `fewest` pixels do."""
    skin = guess
    kernel = np.ones((3, 3), np.uint8)
    for _ in range(_ROUNDS):
        if np.count_nonzero(skin) < fewest:
            return None
        departure = np.abs(level - (terms @ _solve(terms, skin, level)).reshape(level.shape))
        spread = max(1.4826 * float(np.median(departure[skin])), _LEAST_SPREAD)
        # what borders on a lesion is part of it: without this the fit follows the lesion in
        near = (inside & (departure < _TOLERANCE * spread)).view(np.uint8)
        found = cv2.erode(near, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0
        if np.array_equal(found, skin):
            break
        skin = found
    return skin if np.count_nonzero(skin) >= fewest else None


def _solve(terms: np.ndarray, skin: np.ndarray, level: np.ndarray) -> np.ndarray:
    weighted = terms * skin.reshape(-1, 1)
    return np.linalg.lstsq(weighted.T @ terms, weighted.T @ level.ravel(), rcond=None)[0]


def _is_supported(terms: np.ndarray, skin: np.ndarray, inside: np.ndarray) -> bool:
    """Tell whether the skin lies widely enough for a fit to it to hold in all of the field."""
    weighted = terms * skin.reshape(-1, 1)
    leverage = (terms @ np.linalg.pinv(weighted.T @ terms) * terms).sum(axis=1)
    # the mean of this over the skin is the number of terms over the number of pixels
    return bool(leverage[inside.ravel()].max() * np.count_nonzero(skin) < _LEVERAGE * terms.shape[1])


def _fit_light(image: np.ndarray, degree: int, min_skin: float, field: np.ndarray | None) -> _Light | None:
    """Fit the light to the skin; None where too little skin is seen."""
    small, mask = small_copy(image, field, _SIDE)
    inside = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
    fewest = max(_FEWEST, min_skin * np.count_nonzero(inside))
    if np.count_nonzero(inside) < _FEWEST:
        return None
    # blue and green tell skin from lesion best; the light is that of all three
    contrast = _quiet(cv2.addWeighted(small[..., 1], 0.5, small[..., 2], 0.5, 0))
    lightness = _quiet(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    threshold = cv2.threshold(contrast[inside], 0, 255, cv2.THRESH_OTSU)[0]
    guess, level = inside & (contrast > threshold), np.log(contrast + 1.0)
    shape = level.shape
    for order in range(degree, 0, -1):
        exponents = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
        rows, columns = _powers(shape[0], order), _powers(shape[1], order)
        terms = np.stack([np.outer(rows[:, i], columns[:, j]).ravel() for i, j in exponents], axis=1)
        skin = _find_skin(level, guess, inside, terms, fewest)
        if skin is None:
            return None
        if _is_supported(terms, skin, inside):
            solution = _solve(terms, skin, np.log(lightness + 1.0))
            coefficients = np.zeros((order + 1, order + 1))
            for (i, j), value in zip(exponents, solution, strict=True):
                coefficients[i, j] = value
            low, median, high = np.percentile((terms @ solution).reshape(shape)[skin], [1, 50, 99])
            return _Light(coefficients, float(low), float(high), float(median))
    return None


def _quiet(gray: np.ndarray) -> np.ndarray:
    """Take hairs and noise out of a gray image."""
    closed = cv2.morphologyEx(gray, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    return cv2.GaussianBlur(closed, (0, 0), 1)


def correct_illumination(
    image: np.ndarray,
    *,
    degree: int = 2,
    limit: float = 1.5,
    min_skin: float = 0.25,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Take uneven light and vignetting out of an image.

    On a copy whose longer side has 64 pixels a polynomial in the coordinates
    is fitted to the logarithm of lightness of the skin. Skin is what follows
    the fit: lesion, hair, ink and reflections depart from it and are left out,
    in six rounds that begin with what is lighter than Otsu's threshold. Under
    the lesion the light is that of the skin around it, and nowhere is it taken
    to be darker or brighter than it was seen on skin. Then each pixel is
    divided by the light; the median of the skin stays what it is.

    A lesion that fills the field must not be flattened. Where less than
    `min_skin` of the field follows the fit, nothing is done; where skin is
    seen on too small a part of the field to tell the light in the rest, the
    degree is lowered, and nothing is done if that does not help.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    degree : int, default=2
        Degree of the polynomial, 1 to 4. 2 is enough for most devices; 4 takes
        contrast from some large lesions.
    limit : float, default=1.5
        Largest factor by which a pixel is brightened or darkened, in [1, 4].
    min_skin : float, default=0.25
        Smallest share of the field that must be skin, in [0, 1].
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view; `skinseg.field.valid_field` if None. A field
        without a pixel counts as the whole image.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The image under even light; a copy of the image where nothing is done.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    IlluminationCorrector : The step of a pipeline.
    skinseg.field.flatten_shading : The same for one channel with known skin.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import correct_illumination
    >>> light = np.linspace(0.8, 1.0, 128)[None, :, None]
    >>> skin = np.full((96, 128, 3), (200, 150, 130)) * light
    >>> flat = correct_illumination(skin.astype(np.uint8))
    >>> int(np.ptp(flat[..., 0])) <= 4
    True
    """
    if not 1 <= degree <= 4:
        raise ValueError(f"degree must be from 1 to 4, got {degree!r}")
    if not 1 <= limit <= 4:
        raise ValueError(f"limit must be from 1 to 4, got {limit!r}")
    if not 0 <= min_skin <= 1:
        raise ValueError(f"min_skin must be from 0 to 1, got {min_skin!r}")
    light = _fit_light(image, int(degree), min_skin, field)
    result = image.copy()
    if light is None:
        return result
    height, width = image.shape[:2]
    order = len(light.coefficients) - 1
    rows = (_powers(height, order) @ light.coefficients).astype(np.float32)
    columns = np.ascontiguousarray(_powers(width, order).T, dtype=np.float32)
    bound = math.log(limit)
    # the gain is the exponential of the median less the light
    lowest, highest = max(light.median - light.high, -bound), min(light.median - light.low, bound)
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        part = np.s_[top : top + step]
        gain = cv2.exp(np.clip(np.float32(light.median) - rows[part] @ columns, lowest, highest))
        cv2.multiply(image[part], cv2.merge([gain, gain, gain]), dst=result[part], dtype=cv2.CV_8U)
    return result


class IlluminationCorrector(ImageTransformer):
    """Take uneven light and vignetting out of images.

    A low polynomial of the lightness of the skin is divided out. The fit
    leaves out lesion, hair and reflections, its correction is bounded, and
    where too little skin is seen around the lesion nothing is done, so that
    lesions which fill the image keep their shades.

    Parameters
    ----------
    degree : int, default=2
        Degree of the polynomial, 1 to 4. 2 is enough for most devices; 4 takes
        contrast from some large lesions.
    limit : float, default=1.5
        Largest factor by which a pixel is brightened or darkened, in [1, 4].
    min_skin : float, default=0.25
        Smallest share of the field that must be skin, in [0, 1].
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
    correct_illumination : The function on one image.
    ColorConstancy : Takes out the color of the light.
    FrameCropper : Takes out the black part of a vignette.

    References
    ----------
    A. Madooei, M. S. Drew, M. Sadeghi and M. S. Atkins, "Automated
    pre-processing method for dermoscopic images and its application to
    pigmented skin lesion segmentation", Color and Imaging Conference 20
    (2012), which removes shading and the falloff of light in another way.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import IlluminationCorrector
    >>> light = np.linspace(0.8, 1.0, 128)[None, :, None]
    >>> skin = (np.full((96, 128, 3), (200, 150, 130)) * light).astype(np.uint8)
    >>> (record,) = IlluminationCorrector().fit_transform([skin])
    >>> int(np.ptp(skin[..., 0])), int(np.ptp(record.image[..., 0])) <= 4
    (40, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageTransformer._parameter_constraints,
        "degree": [Interval(Integral, 1, 4, closed="both")],
        "limit": [Interval(Real, 1, 4, closed="both")],
        "min_skin": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        degree: int = 2,
        *,
        limit: float = 1.5,
        min_skin: float = 0.25,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.degree = degree
        self.limit = limit
        self.min_skin = min_skin
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _transform_one(self, record: LesionImage) -> LesionImage:
        image = correct_illumination(
            record.image, degree=self.degree, limit=self.limit, min_skin=self.min_skin, field=record.field
        )
        return record.with_(image=image)
