"""Local contrast (CLAHE)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import cv2
import numpy as np
from skimage.exposure import equalize_adapthist
from sklearn.utils._param_validation import Interval

from ..base import ImageTransformer
from ..field import valid_field
from ..images import LesionImage
from ..resampling import shrink_to

__all__ = ["ContrastEqualizer", "equalize_contrast"]

_SIDE = 1536  # longer side, in pixels, of the lightness that is equalized; larger images take the change over from it
_SMALLEST_KERNEL = 16  # smaller regions cost much memory, a histogram each, and equalize noise
_STRIP = 128  # rows that are converted at a time, which bounds the memory


def equalize_contrast(
    image: np.ndarray,
    *,
    clip_limit: float = 0.01,
    kernel_size: int | None = None,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Raise the local contrast by contrast limited adaptive histogram equalization (CLAHE).

    `skimage.exposure.equalize_adapthist` runs on L* of CIELAB; a* and b* are
    kept, and with them the hue. As that function stretches its result to the
    full range, the overall contrast rises as well. Above 1536 pixels a side it
    runs on a smaller copy, and the change of L* is carried over to the full
    image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    clip_limit : float, default=0.01
        How far the contrast may rise, in (0, 1]; higher is stronger.
    kernel_size : int, default=None
        Side of the regions whose histograms are equalized, in pixels, at least
        16; None is an eighth of the height and of the width.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view; `skinseg.field.valid_field` if None. Pixels
        outside keep their values and count in no histogram but as the median
        of the field. A field without a pixel counts as the whole image.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The image with more contrast; a copy where there is only one lightness.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    ContrastEqualizer : The step of a pipeline.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import equalize_contrast
    >>> ramp = np.linspace(140, 160, 128).astype(np.uint8)
    >>> image = np.broadcast_to(ramp[None, :, None], (96, 128, 3))
    >>> equalized = equalize_contrast(image)
    >>> int(np.ptp(image)), int(np.ptp(equalized)) > 100
    (20, True)
    """
    if not 0 < clip_limit <= 1:
        raise ValueError(f"clip_limit must be above 0 and at most 1, got {clip_limit!r}")
    if kernel_size is not None and kernel_size < _SMALLEST_KERNEL:
        raise ValueError(f"kernel_size must be None or at least {_SMALLEST_KERNEL}, got {kernel_size!r}")
    field = valid_field(image) if field is None or not field.any() else field
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    small = shrink_to(image, _SIDE)
    inside: np.ndarray = np.ascontiguousarray(field).view(np.uint8)
    inside = cv2.resize(inside, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    lightness = _lightness(small)
    result = image.copy()
    if not inside.any():
        return result
    # frame and corners would else fill the histograms of the regions that they lie in
    lightness[inside == 0] = np.median(lightness[inside > 0])
    lowest, highest = float(lightness.min()), float(lightness.max())
    if highest - lowest < 1:  # rounding and nothing else
        return result
    kernel = None
    if kernel_size is not None:
        kernel = [max(1, min(round(kernel_size * scale), side)) for side in lightness.shape]
    equalized = equalize_adapthist(lightness / np.float32(100), kernel_size=kernel, clip_limit=clip_limit)
    change = equalized.astype(np.float32) * np.float32(100) - lightness
    for top in range(0, height, _STRIP):
        part = np.s_[top : min(top + _STRIP, height)]
        lab = _to_lab(image[part])
        lab[..., 0] = np.clip(lab[..., 0] + _rows_of(change, part, height, width), 0, 100)
        strip = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * np.float32(255)
        np.copyto(result[part], np.clip(np.rint(strip), 0, 255).astype(np.uint8), where=field[part][..., None])
    return result


def _to_lab(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)


def _lightness(image: np.ndarray) -> np.ndarray:
    """L* of an image (0 to 100, float32), strip by strip."""
    result = np.empty(image.shape[:2], np.float32)
    for top in range(0, len(result), _STRIP):
        result[top : top + _STRIP] = _to_lab(image[top : top + _STRIP])[..., 0]
    return result


def _rows_of(change: np.ndarray, part: slice, height: int, width: int) -> np.ndarray:
    """Give some rows of a map as it would be when enlarged bilinearly to a height and width."""
    if change.shape == (height, width):
        return change[part]
    down, across = change.shape[0] / height, change.shape[1] / width
    # the middle of a pixel lies half a pixel after its corner
    matrix = np.array([[across, 0, across / 2 - 0.5], [0, down, (part.start + 0.5) * down - 0.5]])
    return cv2.warpAffine(
        change,
        matrix,
        (width, part.stop - part.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


class ContrastEqualizer(ImageTransformer):
    """Raise the local contrast of images by contrast limited adaptive histogram equalization (CLAHE).

    Faint structures become visible and faint lesions stand out; shades
    of brown, on which color features rest, no longer compare between images.
    Only L* of CIELAB is changed.

    Parameters
    ----------
    clip_limit : float, default=0.01
        How far the contrast may rise, in (0, 1]; higher is stronger.
    kernel_size : int, default=None
        Side of the regions whose histograms are equalized, in pixels, at least
        16; None is an eighth of the height and of the width.
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
    equalize_contrast : The function on one image.
    IlluminationCorrector : Evens out the light and keeps contrast as it is.

    References
    ----------
    K. Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics
    Gems IV (1994) 474-485.

    Examples
    --------
    >>> from skinseg import ContrastEqualizer
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(1, random_state=0)
    >>> (record,) = ContrastEqualizer().fit_transform(lesions.images)
    >>> bool(record.image.std() > lesions.images[0].std())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageTransformer._parameter_constraints,
        "clip_limit": [Interval(Real, 0, 1, closed="right")],
        "kernel_size": [Interval(Integral, _SMALLEST_KERNEL, None, closed="left"), None],
    }

    def __init__(
        self,
        clip_limit: float = 0.01,
        *,
        kernel_size: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.clip_limit = clip_limit
        self.kernel_size = kernel_size
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _transform_one(self, record: LesionImage) -> LesionImage:
        image = equalize_contrast(
            record.image, clip_limit=self.clip_limit, kernel_size=self.kernel_size, field=record.field
        )
        return record.with_(image=image)
