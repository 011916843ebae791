"""Hair: finding it and painting it over."""

from __future__ import annotations

from functools import lru_cache, reduce
from numbers import Integral, Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ..base import ImageTransformer
from ..images import LesionImage
from ..masks import resize_mask
from ..resampling import shrink_to

__all__ = ["HairRemover", "find_hair", "remove_hair"]

_CONTRAST = {"dullrazor": 24.0, "tophat": 12.0}
_LEAST_SIDE = 16  # below this, in pixels of the working size, a hair cannot be told from anything else
_TEXTURE = 3.0  # a hair stands out of its surroundings by this many times their mean top-hat
_CLIP = 40  # a pixel counts at most this much in that mean: many hairs close together are no texture
_LOWER = 0.7  # a hair is followed down to this share of the contrast that it was found by
_RIM = 0.5  # and ends sideways where its contrast has fallen to this share
_DEPARTURE = 0.5  # share of its contrast by which a hair differs from the mean of its surroundings
_N_DIRECTIONS = 12
_SQUARE = np.ones((3, 3), np.uint8)
_FULL = np.uint8(252)  # weight of a known pixel: its halves and quarters are whole numbers


# ---------------------------------------------------------------------- finding


def _odd(length: float, least: int = 3) -> int:
    return max(least, 2 * round((length - 1) / 2) + 1)


@lru_cache(maxsize=16)
def _segments(length: int, count: int) -> tuple[np.ndarray, ...]:
    """Line elements of some directions, spread evenly over the half turn from the x axis."""
    kernels = []
    for angle in np.pi * np.arange(count) / count:
        # diagonals of the same number of pixels would be longer by half
        y, x = round(np.sin(angle) * (length // 2)), round(np.cos(angle) * (length // 2))
        kernel = np.zeros((2 * abs(y) + 1, 2 * abs(x) + 1), np.uint8)
        cv2.line(kernel, (abs(x) - x, abs(y) - y), (abs(x) + x, abs(y) + y), 1)
        kernels.append(kernel)
    return tuple(kernels)


def _long_components(candidates: np.ndarray, length: float, band: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Label components and tell which are long and do not lie along an edge, within a band of some pixels.

    Many files end in a dark or light row, which is as long and thin as a hair.
    """
    height, width = candidates.shape
    # there are at most as many labels as pixels; short ones are set and looked up faster
    kind = cv2.CV_16U if cv2.countNonZero(candidates) < 65_000 else cv2.CV_32S
    _, labels, stats, _ = cv2.connectedComponentsWithStats(candidates, connectivity=8, ltype=kind)
    left, top, columns, rows = stats[:, :4].T
    is_long = np.hypot(columns, rows) >= length
    is_long &= (left + columns > band) & (top + rows > band) & (left < width - band) & (top < height - band)
    is_long[0] = False  # label 0 is the background
    return labels, is_long


def _apart(
    gray: np.ndarray, hat: np.ndarray, labels: np.ndarray, is_hair: np.ndarray, size: int, sign: int
) -> np.ndarray:
    """Draw the components that differ from their surroundings by a good part of their contrast, to the right side.

    The skin between two dark hairs is a light line by its top-hat, and the
    skin between two light hairs a dark one, but it is like its surroundings.
    """
    hair = is_hair.take(labels)
    where = np.flatnonzero(hair)
    if not len(where):
        return hair
    label = labels.ravel().take(where)
    departure = sign * (gray.ravel().take(where) - cv2.blur(gray, (size, size)).ravel().take(where).astype(np.float32))
    contrast = np.bincount(label, hat.ravel().take(where), minlength=len(is_hair))
    is_apart = np.bincount(label, departure, minlength=len(is_hair)) >= _DEPARTURE * contrast
    return hair if is_apart[is_hair].all() else (is_hair & is_apart).take(labels)


def _lines(gray: np.ndarray, width: float, length: float, contrast: int, sign: int) -> np.ndarray:
    """Find lines that are darker (sign -1) or lighter (sign 1) than what is beside them."""
    square = np.ones((_odd(1.4 * width, 5),) * 2, np.uint8)
    hat = cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT if sign < 0 else cv2.MORPH_TOPHAT, square)
    # lines are sought in one pixel of four, which bear the largest of the four; their outline is drawn in all
    step = 2 if max(gray.shape) > 320 else 1
    peaks = cv2.dilate(hat, np.ones((step, step), np.uint8), anchor=(0, 0))[::step, ::step]
    peaks, gray_sample, hat_sample = map(np.ascontiguousarray, (peaks, gray[::step, ::step], hat[::step, ::step]))
    length = length / step
    ridge = np.zeros_like(peaks)
    for segment in _segments(_odd(0.6 * length, 5), _N_DIRECTIONS):
        cv2.max(ridge, cv2.morphologyEx(peaks, cv2.MORPH_OPEN, segment), ridge)
    size = _odd(length)
    texture = cv2.blur(np.minimum(peaks, _CLIP), (size, size))
    high = np.maximum(cv2.convertScaleAbs(texture, alpha=_TEXTURE), contrast)
    rim = cv2.convertScaleAbs(cv2.dilate(ridge, _SQUARE), alpha=_RIM)
    low = cv2.max(cv2.convertScaleAbs(high, alpha=_LOWER), rim)
    labels, is_long = _long_components(cv2.compare(peaks, low, cv2.CMP_GE), length, 4 // step)
    is_strong = np.zeros_like(is_long)
    is_strong[labels.ravel().take(np.flatnonzero(ridge >= high))] = True
    hair = _apart(gray_sample, hat_sample, labels, is_strong & is_long, _odd(1.25 * length), sign)
    if step == 1:
        return hair
    low -= 1
    low[cv2.dilate(hair.view(np.uint8), _SQUARE) == 0] = 255
    return np.asarray(hat > cv2.resize(low, gray.shape[::-1], interpolation=cv2.INTER_NEAREST))


def _find_by_tophat(image: np.ndarray, light: bool, width: float, length: float, contrast: int) -> np.ndarray:
    # pigment network and vessels show least in red, blond hair most in green
    hair = _lines(cv2.extractChannel(image, 0), width, length, contrast, -1)
    if light:
        hair |= _lines(cv2.extractChannel(image, 1), width, length, contrast, 1)
    return hair


def _find_by_closing(image: np.ndarray, light: bool, width: float, length: float, contrast: int) -> np.ndarray:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    channels = [cv2.extractChannel(image, number) for number in range(3)]
    hair = np.zeros(gray.shape, bool)
    for sign in (-1, 1) if light else (-1,):
        hats = []
        for channel in channels:
            change, widest = (cv2.MORPH_CLOSE, cv2.max) if sign < 0 else (cv2.MORPH_OPEN, cv2.min)
            changed = [cv2.morphologyEx(channel, change, segment) for segment in _segments(_odd(1.5 * width, 5), 4)]
            hats.append(cv2.absdiff(reduce(widest, changed), channel))
        hat = reduce(cv2.max, hats)
        candidates = cv2.compare(hat, np.full_like(hat, contrast), cv2.CMP_GT)
        # thin is what some line of the four directions, a little longer than hair is wide, does not fit in
        fits = [cv2.morphologyEx(candidates, cv2.MORPH_OPEN, line) for line in _segments(_odd(1.3 * width + 2), 4)]
        thin = cv2.subtract(candidates, reduce(cv2.min, fits))
        labels, is_long = _long_components(thin, length)
        found = _apart(gray, hat, labels, is_long, _odd(1.25 * length), sign)
        # where hairs cross they are not thin
        near = cv2.dilate(found.view(np.uint8), np.ones((_odd(width),) * 2, np.uint8))
        hair |= cv2.bitwise_and(near, candidates) > 0
    return hair


# ---------------------------------------------------------------------- painting


def _paint_smoothly(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill from a pyramid of averages of what is known (push and pull)."""
    shape = image.shape[:2]
    levels: list[tuple[np.ndarray, np.ndarray]] = []
    values: np.ndarray = image
    weights: np.ndarray = known * _FULL
    while max(weights.shape) > 1:
        size = (weights.shape[1] + 1) // 2, (weights.shape[0] + 1) // 2
        values = cv2.resize(cv2.copyTo(values, weights), size, interpolation=cv2.INTER_AREA)
        shares = cv2.resize(weights, size, interpolation=cv2.INTER_AREA)
        values = cv2.divide(values, cv2.merge([shares] * 3), scale=float(_FULL))
        # one known pixel in four is enough: what is further away must not shine through
        weights = cv2.threshold(shares, 47, float(_FULL), cv2.THRESH_BINARY)[1]
        levels.append((values, weights))
        if weights.all():
            break
    filled: np.ndarray = values
    for values, weights in levels[-2::-1]:
        filled = cv2.resize(filled, weights.shape[::-1], interpolation=cv2.INTER_LINEAR)
        cv2.copyTo(values, weights, filled)
    return cv2.resize(filled, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _reach(hidden: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Count the steps from each hidden pixel of a flat array to the first that is not, back and forth; up to 64."""
    back, forth = hidden.copy(), hidden.copy()
    for count in (1, 2, 4, 8, 16, 32):
        # a run that fills its window goes on with the one that begins where the window ends
        shift = min(count * stride, len(hidden))
        near, far = back[shift:], back[: len(back) - shift]
        near += far * (near == count)
        near, far = forth[: len(forth) - shift], forth[shift:]
        near += far * (near == count)
    return back, forth


def _paint_across(image: np.ndarray, hidden: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Interpolate between the nearest known pixels on both sides, across the hair; smooth by a median."""
    # within a frame of unknown pixels no run goes on in the next row, and no end of one is outside
    framed, hidden_framed, known_framed = (
        cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_CONSTANT) for plane in (image, hidden, known)
    )
    width = framed.shape[1]
    places = np.flatnonzero(hidden_framed)
    shortest = np.full(len(places), np.inf, np.float32)
    steps = np.ones((2, len(places)), np.uint8)
    strides = np.ones_like(places)
    for stride, unit in ((1, 1.0), (width, 1.0), (width + 1, 2**0.5), (width - 1, 2**0.5)):
        back, forth = (reach.take(places) for reach in _reach(hidden_framed.ravel(), stride))
        length = (back + forth) * np.float32(unit)
        shorter = length < shortest
        for target, value in ((shortest, length), (steps[0], back), (steps[1], forth), (strides, stride)):
            np.copyto(target, value, where=shorter)
    ends = (places - steps[0] * strides, places + steps[1] * strides)
    weights = [
        known_framed.ravel().take(end) / count.astype(np.float32) for end, count in zip(ends, steps, strict=True)
    ]
    total = weights[0] + weights[1]
    is_reached = total > 0
    smooth = None if is_reached.all() else _paint_smoothly(image, known)[hidden > 0]
    channels = []
    for number in range(3):
        channel = cv2.extractChannel(framed, number)
        first, second = (weight * channel.ravel().take(end) for weight, end in zip(weights, ends, strict=True))
        values = (first + second) / np.where(is_reached, total, 1)
        if smooth is not None:
            values = np.where(is_reached, values, smooth[:, number])
        channel.ravel()[places] = np.rint(values)
        channels.append(channel)
    return cv2.medianBlur(np.ascontiguousarray(cv2.merge(channels)[1:-1, 1:-1]), 5)


def _disc(radius: float) -> np.ndarray:
    """Structuring element of all pixels within a radius, which need not be a whole number."""
    y, x = np.ogrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    return (y**2 + x**2 <= radius**2).astype(np.uint8)


# ---------------------------------------------------------------------- both


def _restore(mask: np.ndarray, shape: tuple[int, int], field: np.ndarray | None) -> np.ndarray:
    """Bring a mask of the working size to the size of the image."""
    mask = resize_mask(mask, shape)
    return mask if field is None else mask & field


def _find(
    small: np.ndarray, method: str, light: bool, width: float, length: float, contrast: float | None
) -> np.ndarray:
    """Find hair in an image of the working size."""
    if method not in _CONTRAST:
        raise ValueError(f"method must be one of {sorted(_CONTRAST)}, got {method!r}")
    if not (0 < width <= 0.1 and 0 < length <= 1 and (contrast is None or 1 <= contrast <= 255)):
        raise ValueError(
            f"width must be in (0, 0.1], length in (0, 1] and contrast None or in [1, 255], got {width!r}, {length!r} "
            f"and {contrast!r}"
        )
    if min(small.shape[:2]) < _LEAST_SIDE:
        return np.zeros(small.shape[:2], bool)
    side = max(small.shape[:2])
    contrast = _CONTRAST[method] if contrast is None else contrast
    find = _find_by_closing if method == "dullrazor" else _find_by_tophat
    return find(small, light, width * side, length * side, round(contrast))


def find_hair(
    image: np.ndarray,
    *,
    method: str = "tophat",
    light: bool = True,
    width: float = 0.015,
    length: float = 0.08,
    contrast: float | None = None,
    working_size: int = 512,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Find the hairs in an image: thin, long lines, darker or lighter than what is beside them.

    The mask is tight: a hair ends where its contrast has fallen to one half
    (``"tophat"``) or to ``contrast`` (``"dullrazor"``). Marks of a ruler are
    lines too and are found as well.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    method : {"tophat", "dullrazor"}, default="tophat"
        See the notes.
    light : bool, default=True
        Whether to find light hair besides dark hair.
    width : float, default=0.015
        Width of the widest hair, as a fraction of the longer side, in (0, 0.1].
    length : float, default=0.08
        Length of the shortest hair, likewise, in (0, 1].
    contrast : float, default=None
        Least contrast of a hair in gray values, in [1, 255]; if None, 12 for
        ``"tophat"`` and 24 for ``"dullrazor"``.
    working_size : int, default=512
        Longer side to which larger images are reduced for the search, in
        pixels, at least 64. Hairs much thinner than a pixel at this size are
        lost.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view, see `skinseg.field.valid_field`; nothing
        outside counts as hair.

    Returns
    -------
    ndarray of shape (H, W), bool
        The hairs; empty where the shorter side has less than 16 pixels at the
        working size.

    Raises
    ------
    ValueError
        If there is no such method, or a number is out of its range.

    Notes
    -----
    ``"dullrazor"`` is the generalized closing of [1]_: each channel is closed
    by line elements of four directions (three in the paper), and candidates
    are where the largest exceeds the channel by ``contrast``. They are hair
    where they are thin and long. The paper measures both along straight lines
    in the four directions; here the length is that of the connected component,
    so that curved hair and hair at angles in between counts.

    ``"tophat"`` closes one channel by a square and keeps what a line segment
    in one of twelve directions fits in, if it stands out of the local texture:
    pigment network has short lines that go all ways. Lines are followed from
    strong to weak contrast (hysteresis).

    Light hair is found by the dual operations. What is flanked by hairs of the
    other kind but like its surroundings counts as skin.

    References
    ----------
    .. [1] T. Lee, V. Ng, R. Gallagher, A. Coldman and D. McLean, "DullRazor: a
       software approach to hair removal from images", Computers in Biology and
       Medicine 27(6), 533-543, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import find_hair
    >>> image = np.full((200, 200, 3), 190, dtype=np.uint8)
    >>> image[60:63, 20:180] = 40  # a hair
    >>> image[120:160, 80:120] = 90  # a lesion
    >>> hair = find_hair(image)
    >>> int(hair.sum()), bool(hair[60:63, 20:180].all())
    (480, True)
    """
    small = shrink_to(image, working_size)
    return _restore(_find(small, method, light, width, length, contrast), image.shape[:2], field)


def remove_hair(
    image: np.ndarray,
    *,
    method: str = "tophat",
    light: bool = True,
    width: float = 0.015,
    length: float = 0.08,
    contrast: float | None = None,
    margin: float = 0.004,
    working_size: int = 512,
    field: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find hair and paint it over with the colors beside it.

    What is painted over is what `find_hair` finds, widened by ``margin`` for
    the soft rim of the hair. All other pixels are left as they are.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    method : {"tophat", "dullrazor"}, default="tophat"
        How to find hair, see `find_hair`, and what to paint it over with:
        averages of the known pixels around, from a pyramid (push and pull), or
        the interpolation between the nearest known pixels on both sides of the
        hair, smoothed by a median of 5 x 5 pixels, of [1]_.
    light : bool, default=True
        Whether to remove light hair besides dark hair.
    width : float, default=0.015
        Width of the widest hair, as a fraction of the longer side, in (0, 0.1].
    length : float, default=0.08
        Length of the shortest hair, likewise, in (0, 1].
    contrast : float, default=None
        Least contrast of a hair in gray values, in [1, 255]; if None, 12 for
        ``"tophat"`` and 24 for ``"dullrazor"``.
    margin : float, default=0.004
        How far beyond the hair to paint, as a fraction of the longer side, in
        [0, 0.1]; 2 pixels of 512.
    working_size : int, default=512
        Longer side to which larger images are reduced, in pixels, at least 64.
        Hair is found, and the paint is mixed, at this size; it is applied at
        the full one.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view, see `skinseg.field.valid_field`; nothing
        outside is painted over, nor is its color used.

    Returns
    -------
    cleaned : ndarray of shape (H, W, 3), uint8
        The image without hair; the image itself, not a copy, if there is none.
    hair : ndarray of shape (H, W), bool
        The hairs, as `find_hair` gives them; what was painted over is this
        and the margin around it.

    Raises
    ------
    ValueError
        If there is no such method, or a number is out of its range.

    References
    ----------
    .. [1] T. Lee, V. Ng, R. Gallagher, A. Coldman and D. McLean, "DullRazor: a
       software approach to hair removal from images", Computers in Biology and
       Medicine 27(6), 533-543, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import remove_hair
    >>> image = np.full((200, 200, 3), 190, dtype=np.uint8)
    >>> image[60:63, 20:180] = 40  # a hair
    >>> cleaned, hair = remove_hair(image)
    >>> bool((cleaned == 190).all()), bool(hair[60:63, 20:180].all())
    (True, True)
    """
    shape = image.shape[:2]
    small = shrink_to(image, working_size)
    hair = _find(small, method, light, width, length, contrast)
    small_field = None if field is None else resize_mask(field, hair.shape)
    if small_field is not None:
        hair &= small_field
    hidden = cv2.dilate(hair.view(np.uint8), _disc(margin * max(hair.shape)))
    painted = _restore(hidden.view(bool), shape, field)
    known = 1 - hidden if small_field is None else (1 - hidden) & small_field
    if not (painted.any() and known.any()):
        return image, np.zeros(shape, bool)
    paint = _paint_across(small, hidden, known) if method == "dullrazor" else _paint_smoothly(small, known)
    if paint.shape != image.shape:
        paint = cv2.resize(paint, shape[::-1], interpolation=cv2.INTER_LINEAR)
    cleaned = image.copy()
    cv2.copyTo(paint, painted.view(np.uint8), cleaned)
    return cleaned, _restore(hair, shape, field)


class HairRemover(ImageTransformer):
    """Find hair and paint it over with the colors beside it.

    Hair over a lesion breaks its outline and passes for structure. The hairs,
    together with what earlier steps found, become the ``artifact_mask`` of the
    record, which features leave out; a narrow margin around them is painted
    over as well. A record in which there is no hair is passed on as it is.
    Where the record has a ``field``, nothing outside it counts as hair.

    Lengths are fractions of the longer side, so that settings hold for images
    of any size.

    Parameters
    ----------
    method : {"tophat", "dullrazor"}, default="tophat"
        A fast search for lines that stand out of the texture, painted over
        smoothly, or DullRazor [1]_; see `find_hair` and `remove_hair`.
    light : bool, default=True
        Whether to remove light hair besides dark hair.
    width : float, default=0.015
        Width of the widest hair, as a fraction of the longer side, in (0, 0.1].
    length : float, default=0.08
        Length of the shortest hair, likewise, in (0, 1].
    contrast : float, default=None
        Least contrast of a hair in gray values, in [1, 255]; if None, 12 for
        ``"tophat"`` and 24 for ``"dullrazor"``.
    margin : float, default=0.004
        How far beyond the hair to paint, as a fraction of the longer side, in
        [0, 0.1].
    working_size : int, default=512
        Longer side to which larger images are reduced for the search, in
        pixels, at least 64.
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
    skinseg.preprocessing.find_hair : The mask of the hairs alone.
    skinseg.preprocessing.remove_hair : The function on one image.

    Notes
    -----
    Rulers are painted over as well; short thick bristles and dots are not.
    Long branches of a coarse pigment network, the rim of large drops of gel
    and long bright reflections may be taken for hair, see ``light`` and
    ``contrast``.

    References
    ----------
    .. [1] T. Lee, V. Ng, R. Gallagher, A. Coldman and D. McLean, "DullRazor: a
       software approach to hair removal from images", Computers in Biology and
       Medicine 27(6), 533-543, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import HairRemover
    >>> image = np.full((200, 200, 3), 190, dtype=np.uint8)
    >>> image[60:63, 20:180] = 40  # a hair
    >>> (record,) = HairRemover().fit_transform([image])
    >>> bool((record.image == 190).all()), bool(record.artifact_mask[61, 100])
    (True, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageTransformer._parameter_constraints,
        "method": [StrOptions({"dullrazor", "tophat"})],
        "light": ["boolean"],
        "width": [Interval(Real, 0, 0.1, closed="right")],
        "length": [Interval(Real, 0, 1, closed="right")],
        "contrast": [Interval(Real, 1, 255, closed="both"), None],
        "margin": [Interval(Real, 0, 0.1, closed="both")],
        "working_size": [Interval(Integral, 64, None, closed="left")],
    }

    def __init__(
        self,
        method: str = "tophat",
        *,
        light: bool = True,
        width: float = 0.015,
        length: float = 0.08,
        contrast: float | None = None,
        margin: float = 0.004,
        working_size: int = 512,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.method = method
        self.light = light
        self.width = width
        self.length = length
        self.contrast = contrast
        self.margin = margin
        self.working_size = working_size
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _transform_one(self, record: LesionImage) -> LesionImage:
        cleaned, hair = remove_hair(
            record.image,
            method=self.method,
            light=self.light,
            width=self.width,
            length=self.length,
            contrast=self.contrast,
            margin=self.margin,
            working_size=self.working_size,
            field=record.field,
        )
        if cleaned is record.image:
            return record
        earlier = record.artifact_mask
        return record.with_(image=cleaned, artifact_mask=hair if earlier is None else hair | earlier)
