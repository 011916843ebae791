"""The size of a pixel, read from the millimeter scale that many dermoscopes show in the image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..masks import as_mask
from ..resampling import shrink_to

__all__ = ["PixelSize", "estimate_pixel_size"]

_SIDE = 1024  # working size, longer side in pixels, at most
_SMALL = 448  # smaller images are doubled: their ticks are a pixel or two apart from the line otherwise
_KERNEL = 11  # side of the black-hat: marks are thinner than this at the working size
_DARKEST = 0.04  # share of the pixels, at most, that may count as marks
_FAINTEST = 8  # gray values by which a mark is darker than what is around it, at least
_SEGMENT = 0.07  # shortest piece of a base line, in longer sides
_MAX_LINES = 12, 8  # at most, among all marks and among those thinner than hair
_REACH = 40  # rows of a strip on either side of its line
_BANDS = ((2, 4), (4, 6), (6, 9), (9, 13), (13, 18), (18, 25), (25, 34))  # rows in which ticks are looked for
_MIN_TICKS = 6
_MIN_TENTHS = 25  # ticks of tenths of a millimeter are many
_MIN_PATTERN = {2: 11, 5: 6, 10: 11}  # ticks needed to tell that each second, fifth, tenth is longer
_MAX_PERIODS = 4  # spacings that are tried
_CLOSEST = 3.0  # ticks nearer to each other, in pixels, are not told apart
_VIEW = (6.0, 45.0)  # longer side of what dermoscopes show, in millimeters
_TYPICAL_VIEW = 20.0


_SHORTEST = 0.1  # shortest base line, in longer sides: six ticks on 5 mm of 45
_HAIR = 3  # hairs are at least so wide, in pixels, at the working size
_SURE, _CERTAIN = 0.7, 0.9  # confidences that end the search, and that leave out the lines found already
_Line = tuple[np.ndarray, np.ndarray]


class PixelSize(NamedTuple):
    """What a scale in an image tells.

    Parameters
    ----------
    mm_per_pixel : float
        Millimeters per pixel of the image that was read.
    confidence : float
        How sure the reading is, in [0, 1].
    start, end : tuple of (float, float)
        First and last tick on the base line of the scale, row and column.
    n_ticks : int
        Number of ticks that the size was derived from.
    """

    mm_per_pixel: float
    confidence: float
    start: tuple[float, float]
    end: tuple[float, float]
    n_ticks: int


class _Comb(NamedTuple):
    """Equally spaced ticks along a line."""

    period: float
    first: float  # place of the first along the line
    n_ticks: int
    recall: float  # share of the places that have a tick
    precision: float  # share of the marks that are ticks
    jitter: float  # root mean square of their distances from their places, in periods

    @property
    def last(self) -> float:
        return self.first + self.period * (self.n_ticks - 1)

    @property
    def quality(self) -> float:
        regular = float(np.exp(-((self.jitter / 0.09) ** 2)))
        many = 1 - float(np.exp(-(self.n_ticks - 3) / 2.5))
        return self.recall**2 * self.precision * regular * many


def estimate_pixel_size(
    image: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    field: np.ndarray | None = None,
    min_confidence: float = 0.5,
) -> PixelSize | None:
    """Read the size of a pixel from a millimeter scale in the image.

    Looked for is a straight dark base line, anywhere and at any angle, with
    at least 6 dark ticks that stand on one side of it at equal distances and
    begin and end with it. Ticks of several lengths tell what they stand for:
    where each second is longer they are halves of a millimeter, where each
    fifth or tenth is, millimeters or tenths, whichever makes the longer side
    of the view 6 to 45 mm; ticks of one length are taken for millimeters, but
    with a confidence below 0.5. Curved scales, and rulers
    laid on the skin whose ticks stand on no line, are not read.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB, uncropped if possible; the scale must be no thinner
        than can be seen: its millimeters about 12 pixels apart at least.
    mask : ndarray of shape (H, W), bool, default=None
        The lesion, in which nothing is looked for.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view, outside of which nothing is looked for.
    min_confidence : float, default=0.5
        Below this confidence, in [0, 1], the answer is None.

    Returns
    -------
    PixelSize or None
        The size with its confidence and where the scale lies; None when
        unsure.

    Raises
    ------
    ValueError
        If the image is no (H, W, 3) uint8 array or a mask has another size.

    Notes
    -----
    A wrong size is worse than none: results of a series of images by the same
    camera should agree, and a look at ``start`` and ``end`` tells a lot.

    Examples
    --------
    >>> import cv2
    >>> import numpy as np
    >>> from skinseg.features import estimate_pixel_size
    >>> image = np.full((400, 600, 3), 200, dtype=np.uint8)
    >>> image[350:352, 100:502] = 40  # a line of 20 mm, its ticks 20 pixels apart
    >>> for tick in range(21):
    ...     height = 20 if tick % 5 == 0 else 10
    ...     image[350 - height : 350, 100 + 20 * tick : 102 + 20 * tick] = 40
    >>> found = estimate_pixel_size(image)
    >>> round(found.mm_per_pixel, 3), found.n_ticks
    (0.05, 21)
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be an (H, W, 3) uint8 RGB array, got shape {image.shape} and dtype {image.dtype}")
    hidden = None
    for name, given, inside in (("mask", mask, True), ("field", field, False)):
        if given is None:
            continue
        given = as_mask(given)
        if given.shape != image.shape[:2]:
            raise ValueError(f"{name} must have the size {image.shape[:2]} of its image, got {given.shape}")
        hidden = (given == inside) if hidden is None else hidden | (given == inside)
    marks, zoom = _marks(image, hidden)
    if marks is None:
        return None
    side = max(marks.shape)
    best: PixelSize | None = None
    tried: list[_Line] = []
    for most in _MAX_LINES:
        thin = marks if not tried else cv2.morphologyEx(marks, cv2.MORPH_TOPHAT, np.ones((_HAIR, _HAIR), np.uint8))
        for line in _base_lines(thin, most, tried):
            tried.append(line)
            found = _read_line(marks, *line, side)
            if found is not None and (best is None or found.confidence > best.confidence):
                best = found
                if best.confidence > _CERTAIN:
                    break
        if best is not None and best.confidence > _SURE:
            break
    if best is None or best.confidence < min_confidence:
        return None
    to_image = [tuple(((np.array(point) + 0.5) / zoom - 0.5).tolist()) for point in (best.start, best.end)]
    # the zoom may differ a little down and across
    length = np.hypot(best.end[0] - best.start[0], best.end[1] - best.start[1])
    original = np.hypot(to_image[1][0] - to_image[0][0], to_image[1][1] - to_image[0][1])
    return best._replace(mm_per_pixel=best.mm_per_pixel * float(length / original), start=to_image[0], end=to_image[1])


def _marks(image: np.ndarray, hidden: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray]:
    """Show thin dark marks, as uint8, at the working size; None where there are none."""
    height, width = image.shape[:2]
    side = max(height, width)
    image = shrink_to(image, _SIDE)
    if side < _SMALL:
        image = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    size = image.shape[1::-1]
    # ink is dark in all channels; vessels and much pigment are lighter in red
    level = cv2.max(cv2.max(image[..., 0], image[..., 1]), image[..., 2])
    marks = cv2.morphologyEx(level, cv2.MORPH_BLACKHAT, np.ones((_KERNEL, _KERNEL), np.uint8))
    if hidden is not None:
        hidden = cv2.resize(hidden.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        marks[cv2.dilate(hidden, np.ones((5, 5), np.uint8)) > 0] = 0
    found = marks if marks.max() >= _FAINTEST else None
    return found, np.array([size[1] / height, size[0] / width])


def _base_lines(marks: np.ndarray, most: int, tried: list[_Line]) -> list[_Line]:
    """Find straight dark lines: both ends (column, row) of each, the longest first, without those tried already."""
    counts = np.cumsum(cv2.calcHist([marks], [0], None, [256], [0, 256]).ravel()[::-1])[::-1]
    limit = max(_FAINTEST, int(np.argmax(counts <= _DARKEST * marks.size)))
    factor = 2 if max(marks.shape) > _SIDE // 2 else 1
    dark = (marks >= limit).view(np.uint8)
    if factor == 2:
        dark = np.ascontiguousarray(cv2.dilate(dark, np.ones((2, 2), np.uint8), anchor=(0, 0))[::2, ::2])
    shortest = max(12, round(_SEGMENT * max(dark.shape)))
    lines = cv2.HoughLinesP(dark, 1, np.pi / 180, int(0.7 * shortest), minLineLength=shortest, maxLineGap=2)
    if lines is None:
        return []
    segments = lines.reshape(-1, 2, 2).astype(np.float64) * factor
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    kept: list[_Line] = []
    for start, end in segments[np.argsort(-lengths, kind="stable")]:
        if len(kept) == most:
            break
        if not any(_same_line(line, (start, end)) for line in kept + tried):
            kept.append((start, end))
    return kept


def _same_line(line: _Line, other: _Line) -> bool:
    """Whether the middle of another line lies on the continuation of one, in about the same direction."""
    along = (line[1] - line[0]) / np.linalg.norm(line[1] - line[0])
    direction = (other[1] - other[0]) / np.linalg.norm(other[1] - other[0])
    if abs(along @ direction) < 0.985:
        return False
    away = (other[0] + other[1]) / 2 - line[0]
    return bool(abs(away[0] * along[1] - away[1] * along[0]) < 6)


def _strip(marks: np.ndarray, origin: np.ndarray, along: np.ndarray, length: int) -> np.ndarray:
    """Cut out a strip along a line, its first column at the origin; float32 of 2 * reach + 1 rows."""
    across = np.array([-along[1], along[0]])
    corner = origin - _REACH * across
    matrix = np.column_stack([along, across, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(marks, matrix, (length, 2 * _REACH + 1), flags=flags).astype(np.float32)


def _read_line(marks: np.ndarray, start: np.ndarray, end: np.ndarray, side: int) -> PixelSize | None:
    """Read the scale whose base line holds a segment, in working pixels; None if it is none."""
    along = (end - start) / np.linalg.norm(end - start)
    # straighten twice: the piece tells the direction of the whole roughly only
    before = np.linalg.norm(end - start)
    for grow in (0.3, 1.0):
        extra = grow * before
        origin, length = start - extra * along, int(before + 2 * extra)
        strip = _strip(marks, origin, along, length)
        rows = np.arange(-5, 6)
        core = strip[_REACH - 5 : _REACH + 6]
        place, strength = rows[np.argmax(core, axis=0)], core.max(axis=0)
        x = np.arange(length)
        use = strength > 0.5 * np.median(strength[int(extra) : int(extra + before)])
        use &= (x >= extra - 0.3 * before) & (x <= extra + 1.3 * before)
        if use.sum() < 10:
            return None
        middle = np.median(place[use])
        use &= np.abs(place - middle) <= 3
        slope, offset = _line(x[use].astype(np.float64), place[use].astype(np.float64))
        across = np.array([-along[1], along[0]])
        a, b = (origin + along * at + across * (offset + slope * at) for at in (extra, extra + before))
        start, end = a, b
        along = (end - start) / np.linalg.norm(end - start)
    reach = side * 0.75
    origin = start - reach * along
    strip = _strip(marks, origin, along, int(before + 2 * reach))
    base = strip[_REACH - 2 : _REACH + 3].max(axis=0)
    ink = float(np.median(base[int(reach) : int(reach + before)]))
    run = _run(base > 0.4 * ink, int(reach + before / 2))
    if run is None or run[1] - run[0] < _SHORTEST * side:
        return None
    reads = [_read_side(strip, run, ink, sign, side) for sign in (-1, 1)]
    confidence, size, comb = max(reads, key=lambda read: read[0])
    if comb is None:
        return None
    points = [tuple((origin + along * at)[::-1].tolist()) for at in (comb.first, comb.last)]
    return PixelSize(size, confidence, points[0], points[1], comb.n_ticks)


def _run(on: np.ndarray, inside: int) -> tuple[int, int] | None:
    """First and last place of the run around or next to a place, gaps of up to 6 bridged."""
    closed = cv2.morphologyEx(on.astype(np.uint8)[None], cv2.MORPH_CLOSE, np.ones((1, 7), np.uint8))[0]
    near = np.flatnonzero(closed[max(0, inside - 10) : inside + 11])
    if not len(near):
        return None
    inside = max(0, inside - 10) + int(near[np.argmin(np.abs(near - 10))])
    off = np.flatnonzero(closed == 0)
    position = int(np.searchsorted(off, inside))
    first = int(off[position - 1]) + 1 if position else 0
    last = int(off[position]) - 1 if position < len(off) else len(on) - 1
    return first, last


def _read_side(
    strip: np.ndarray, run: tuple[int, int], ink: float, sign: int, side: int
) -> tuple[float, float, _Comb | None]:
    """Read the ticks on one side of a base line: confidence, millimeters per working pixel, and the ticks."""
    start = max(0, run[0] - 4)
    combs, profiles = [], []
    for band, (near, far) in enumerate(_BANDS):
        rows = strip[_REACH + near : _REACH + far] if sign > 0 else strip[_REACH - far + 1 : _REACH - near + 1]
        profiles.append(rows[:, start : run[1] + 5].mean(axis=0))
        places = _peaks(profiles[-1], ink)
        if len(places) >= _MIN_TICKS:
            comb = _comb(places, len(profiles[-1]))
            if comb is not None and comb.quality > 0.3:
                combs.append(comb)
        elif band > 1:  # a thick base line may hide ticks; farther out there are only fewer
            break
    best: tuple[float, float, _Comb | None] = (0.0, 0.0, None)
    for comb in combs:
        multiples = {round(other.period / comb.period) for other in combs if _multiple(other, comb)}
        multiples |= _longer(np.array(profiles), comb, ink)
        comb = comb._replace(first=comb.first + start)
        for millimeters, belief in _meanings(multiples):
            view = side / comb.period * millimeters
            if not _VIEW[0] <= view <= _VIEW[1] or (millimeters < 0.5 and comb.n_ticks < _MIN_TENTHS):
                continue
            usual = float(np.exp(-(np.log(view / _TYPICAL_VIEW) ** 2) / 4))
            confidence = comb.quality * _ends(comb, run) * belief * (0.7 + 0.3 * usual)
            if confidence > best[0]:
                best = confidence, millimeters / comb.period, comb
    return best


def _longer(profiles: np.ndarray, comb: _Comb, ink: float) -> set[int]:
    """Tell whether each second, fifth or tenth tick is longer than the others: the numbers for which it is."""
    places = comb.first + comb.period * np.arange(comb.n_ticks)
    columns = np.clip(np.rint(places).astype(np.intp)[:, None] + (-1, 0, 1), 0, profiles.shape[1] - 1)
    strengths = profiles[:, columns].max(axis=-1) / ink
    found = set()
    for each in (2, 5, 10):
        if comb.n_ticks < _MIN_PATTERN[each]:
            continue
        phases = np.arange(comb.n_ticks) % each
        for phase in {0, (comb.n_ticks - 1) % each}:  # a scale begins or ends with a long one, or both
            chosen = phases == phase
            if chosen.sum() < 2:
                continue
            long, short = strengths[:, chosen], strengths[:, ~chosen]
            gap = long.mean(axis=1) - short.mean(axis=1)
            spread = np.sqrt((long.var(axis=1) + short.var(axis=1)) / 2) + 0.05
            if ((gap > 0.12) & (gap > 2 * spread)).any():
                found.add(each)
    return found


def _peaks(profile: np.ndarray, ink: float) -> np.ndarray:
    """Places of the ticks in a profile, to parts of a pixel."""
    smooth = cv2.GaussianBlur(profile[None], (0, 0), 0.8)[0]
    here = smooth[1:-1]
    high = (here >= smooth[:-2]) & (here > smooth[2:])
    places = np.flatnonzero(high) + 1
    if len(places) < 3:
        return np.zeros(0)
    level = smooth[places]
    low = max(0.15 * ink, 0.4 * float(np.quantile(level, 0.8)))
    places = places[level > low]
    before, now, after = smooth[places - 1], smooth[places], smooth[places + 1]
    return places + 0.5 * (before - after) / np.minimum(before - 2 * now + after, -1e-3)


def _comb(places: np.ndarray, length: int) -> _Comb | None:
    """Find the spacing of ticks among marks along a line of some length."""
    # the spectrum of the ticks as points: near 1 at the true frequency and at its multiples, low below it
    size = 1 << int(np.ceil(np.log2(4 * length)))
    train = np.bincount(np.rint(2 * places).astype(np.intp), minlength=2 * length).astype(np.float32)
    power = np.abs(np.fft.rfft(train, 2 * size))[:size]  # bin k: k / size cycles a pixel
    lowest = int(np.ceil(size * 3.5 / length))
    highest = size // 3
    if highest <= lowest:
        return None
    power = power[lowest:highest]
    tops = np.flatnonzero((power[1:-1] >= power[:-2]) & (power[1:-1] > power[2:])) + 1
    # most of the places along the line must have a tick
    likely = (power[tops] >= 0.65 * power.max()) & (power[tops] >= 0.5 * length / size * (lowest + tops))
    best = None
    for top in tops[likely][:_MAX_PERIODS]:  # the longest spacing first
        comb = _fit(places, size / float(lowest + top))
        if comb is not None and (best is None or comb.quality > best.quality):
            best = comb
            if best.quality > 0.5:
                break
    return best


def _fit(places: np.ndarray, period: float) -> _Comb | None:
    """Fit place and spacing by least squares, leaving out marks that are no ticks."""
    phase = float(np.angle(np.exp(2j * np.pi * places / period).sum())) / (2 * np.pi) * period
    near = np.zeros(len(places), bool)
    index = np.zeros(len(places))
    for tolerance in (0.3, 0.25, 0.2):
        index = np.rint((places - phase) / period)
        near = np.abs(places - phase - index * period) <= tolerance * period
        if near.sum() < _MIN_TICKS or np.ptp(index[near]) < _MIN_TICKS - 1:
            return None
        period, phase = _line(index[near], places[near])
        if period < _CLOSEST:
            return None
    index, where = index[near], places[near]
    # ticks far from all others are chance
    numbers, one = np.unique(index, return_index=True)
    where = where[one]
    gaps = np.flatnonzero(np.diff(numbers) > 3)
    bounds = np.concatenate([[0], gaps + 1, [len(numbers)]])
    widest = int(np.argmax(np.diff(bounds)))
    chosen = slice(bounds[widest], bounds[widest + 1])
    numbers, where = numbers[chosen], where[chosen]
    if len(numbers) < _MIN_TICKS:
        return None
    period, phase = _line(numbers, where)
    rest = where - phase - period * numbers
    n_places = int(numbers[-1] - numbers[0]) + 1
    within = (places >= where[0] - 0.5 * period) & (places <= where[-1] + 0.5 * period)
    return _Comb(
        period=float(period),
        first=float(phase + period * numbers[0]),
        n_ticks=n_places,
        recall=len(numbers) / n_places,
        precision=len(numbers) / int(within.sum()),
        jitter=float(np.sqrt(np.mean(rest**2)) / period),
    )


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the line of least squares."""
    middle = float(x.sum()) / len(x)
    away = x - middle
    slope = float(away @ y / (away @ away))
    return slope, float(y.sum()) / len(y) - slope * middle


def _multiple(other: _Comb, comb: _Comb) -> bool:
    """Whether the spacing of one row of ticks is 2, 5 or 10 times that of the other."""
    ratio = other.period / comb.period
    return any(abs(ratio / whole - 1) < 0.02 for whole in (2, 5, 10))


def _meanings(ratios: set[int]) -> list[tuple[float, float]]:
    """List what ticks may stand for, in millimeters, with a degree of belief, from the multiples seen above them."""
    if 2 in ratios:
        return [(0.5, 1.0)]
    if ratios & {5, 10}:
        return [(1.0, 1.0), (0.1, 1.0)]
    return [(1.0, 0.5)]


def _ends(comb: _Comb, run: tuple[int, int]) -> float:
    """How well the ticks begin and end with the base line, 0 to 1."""
    slack = 0.35 * comb.period + 3
    covered = (comb.last - comb.first + 2 * slack) / max(run[1] - run[0], 1)
    met = sum((abs(comb.first - run[0]) < slack, abs(comb.last - run[1]) < slack))
    return min(1.0, covered) * (0.6, 0.85, 1.0)[met]
