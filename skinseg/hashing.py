"""Fingerprints of images: small thumbnails and perceptual hashes by which copies of one picture are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.fft import dctn

from ._record import check_pixels
from .field import valid_field
from .resampling import resize_image, shrink_to

__all__ = [
    "HASH_BITS",
    "SYMMETRIES",
    "Candidates",
    "Fingerprint",
    "Likeness",
    "apply_symmetry",
    "compare",
    "dct_hash",
    "fingerprint",
    "hash_symmetry",
    "local_detail",
    "search_hashes",
]

SYMMETRIES = (
    "none",
    "mirrored left-right",
    "mirrored top-bottom",
    "rotated 180",
    "transposed",
    "rotated 90 clockwise",
    "rotated 90 counterclockwise",
    "transposed over the other diagonal",
)
"""The eight ways to lay a square on itself, in the order of the numbers that name them here."""

_SIDE = 64  # of the thumbnails
_WORKING = 256  # longer side at which the field of view is looked for
_MARGIN = 2  # pixels of a thumbnail along its edge that do not count: thin frames, the rest of a crop
_ORDER = 12  # a hash holds the signs of the cosine coefficients below this order
HASH_BITS = _ORDER**2 - 1
"""Bits of a hash; two pictures that have nothing in common differ in about half of them."""

_COARSE, _FINE = 4.0, 2.0  # scale of the detail that is hashed and aligned, and of that which is compared, thumbnail px
_FLOOR = 2.0  # gray values of local contrast that count as none
_LEAST_CONTRAST = 1.0  # mean local contrast below which an image has nothing to be known by
_LEAST_FIELD = 0.1  # share of the thumbnail that must be field of view
_BLACK, _WHITE = 45, 235  # a bar has no channel above the one, or none below the other
_OF_BAR = 0.97  # share of the pixels of a row or column that makes it part of a bar
_LEAST_CONTENT = 0.4  # share of height and width that must be left inside of bars
_VIEWS = (1.0, 0.9, 0.8, None)  # shares of height and width, about the middle, that are hashed; None is the square
_PAIRS_OF_VIEWS = ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (3, 0), (0, 3))
_MOST_TRIED = 3  # symmetries and views that are tried for a pair
_LEAST_OVERLAP = 0.3  # share of the thumbnail that must be common to two aligned ones
_LEAST_SCALE, _MOST_SCALE = 0.5, 2.0  # of an alignment


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of an image to know its copies by: about 5 kB.

    Parameters
    ----------
    gray : ndarray of shape (64, 64), uint8
        The image inside of black or white bars, squashed to a square, in gray.
    field : ndarray of shape (64, 64), bool
        Where it shows skin: inside of frame and vignette, off the edge.
    hashes : ndarray of shape (4, 143), bool
        Hashes of four views: the whole, the inner 90 % and 80 % of height and
        width, and the square in the middle.
    digest : bytes
        Checksum of the pixels at full size: equal for equal pixels only.
    shape : tuple of (int, int)
        Height and width of the image.
    content : tuple of (int, int)
        Height and width inside of the bars.
    plain : bool
        Whether the image has no detail to be known by, as one color has none.
    """

    gray: np.ndarray
    field: np.ndarray
    hashes: np.ndarray
    digest: bytes
    shape: tuple[int, int]
    content: tuple[int, int]
    plain: bool


class Candidates(NamedTuple):
    """Pairs of images whose hashes are close, sorted by pair and then by distance.

    Parameters
    ----------
    first, second : ndarray of shape (n,), int
        Positions.
    symmetry : ndarray of shape (n,), int
        What lays the first on the second, as in `SYMMETRIES`.
    views : ndarray of shape (n, 2), int
        Views of the first and of the second whose hashes are close.
    distance : ndarray of shape (n,), int
        Bits that differ.
    """

    first: np.ndarray
    second: np.ndarray
    symmetry: np.ndarray
    views: np.ndarray
    distance: np.ndarray


class Likeness(NamedTuple):
    """How alike two thumbnails are.

    Parameters
    ----------
    correlation : float
        Correlation of their fine detail in [-1, 1], at the better alignment.
    aligned : bool
        Whether they had to be shifted, scaled or turned a little for it.
    """

    correlation: float
    aligned: bool


def apply_symmetry(pixels: np.ndarray, symmetry: int) -> np.ndarray:
    """Lay a square on itself.

    Parameters
    ----------
    pixels : ndarray of shape (n, n)
        The square.
    symmetry : int
        0 to 7, as in `SYMMETRIES`.

    Returns
    -------
    ndarray of shape (n, n)
        The square after it, contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.hashing import SYMMETRIES, apply_symmetry
    >>> SYMMETRIES[6], apply_symmetry(np.array([[1, 2], [3, 4]]), 6).tolist()
    ('rotated 90 counterclockwise', [[2, 4], [1, 3]])
    """
    if symmetry & 4:
        pixels = pixels.T
    if symmetry & 1:
        pixels = pixels[:, ::-1]
    if symmetry & 2:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def local_detail(gray: np.ndarray, field: np.ndarray, scale: float) -> np.ndarray:
    """Take slow changes of light and color away, and bring what is left to an even contrast.

    From each pixel its Gaussian mean is subtracted and the rest is divided by
    its Gaussian standard deviation, both over the field of view alone.
    Two lesions of one make-up (dark, round, in the middle) agree in what is
    taken away and differ in what is left.

    Parameters
    ----------
    gray : ndarray of shape (H, W), uint8 or float32
        The image.
    field : ndarray of shape (H, W), bool
        Where it is valid.
    scale : float
        Standard deviation of the Gaussian, in pixels.

    Returns
    -------
    ndarray of shape (H, W), float32
        The detail; 0 outside of the field.
    """
    weight = field.astype(np.float32)
    total = np.maximum(_blur(weight, scale), 1e-3)
    detail = (gray - _blur(gray * weight, scale) / total) * weight
    return detail / (np.sqrt(_blur(detail * detail, scale) / total) + _FLOOR)


def _blur(values: np.ndarray, scale: float) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), scale, borderType=cv2.BORDER_REFLECT)


def dct_hash(gray: np.ndarray, field: np.ndarray, shares: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Hash of a thumbnail: the signs of the low cosine coefficients of its detail.

    Parameters
    ----------
    gray : ndarray of shape (n, n), uint8
        The thumbnail.
    field : ndarray of shape (n, n), bool
        Where it is valid.
    shares : tuple of (float, float), default=(1.0, 1.0)
        Shares of height and width, about the middle, that are hashed.

    Returns
    -------
    ndarray of shape (143,), bool
        Whether the coefficients of the orders 0 to 11 along both axes, without
        the mean, are positive. Gain and offset of the gray values change none.

    References
    ----------
    C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", thesis, Upper Austria University of Applied Sciences, Hagenberg
    (2010), section 3.2.1: 8 x 8 coefficients of a 32 x 32 thumbnail against
    their median. Here it is 12 x 12 of the local detail against zero, so that
    a mirrored or turned image has the same bits at other places.
    """
    if min(shares) < 1:
        side = len(gray)
        inner = tuple(slice(cut := min(round(side * (1 - share) / 2), side // 2 - 1), side - cut) for share in shares)
        gray = cv2.resize(gray[inner], (side, side), interpolation=cv2.INTER_LINEAR)
        field = cv2.resize(field[inner].view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
    coefficients = dctn(local_detail(gray, field, _COARSE), norm="ortho")[:_ORDER, :_ORDER]
    return coefficients.ravel()[1:] > 0


def hash_symmetry(hashes: np.ndarray, symmetry: int) -> np.ndarray:
    """Give the hashes that the images would have if they were mirrored or turned.

    Under a mirroring the cosine coefficients of odd order change their sign,
    under a transposition they change places.

    Parameters
    ----------
    hashes : ndarray of shape (n, 143), bool
        The hashes.
    symmetry : int
        0 to 7, as in `SYMMETRIES`.

    Returns
    -------
    ndarray of shape (n, 143), bool
        The other hashes.
    """
    square = np.zeros((len(hashes), _ORDER, _ORDER), bool)
    square.reshape(len(hashes), -1)[:, 1:] = hashes
    odd = np.arange(_ORDER) % 2 == 1
    if symmetry & 4:
        square = square.swapaxes(1, 2)
    if symmetry & 1:
        square = square ^ odd
    if symmetry & 2:
        square = square ^ odd[:, None]
    return square.reshape(len(hashes), -1)[:, 1:]


def fingerprint(image: np.ndarray) -> Fingerprint:
    """Take the fingerprint of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.

    Returns
    -------
    Fingerprint
        Thumbnail, hashes and checksum.

    Raises
    ------
    TypeError
        If the image is no array.
    ValueError
        If it is not RGB with 8 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.hashing import fingerprint
    >>> image = make_lesions(1, random_state=0).images[0]
    >>> one, other = fingerprint(image), fingerprint(image[::2, ::2])
    >>> one.digest == other.digest, bool((one.hashes[0] != other.hashes[0]).sum() < 10)
    (False, True)
    """
    check_pixels(image)
    small = shrink_to(image, _WORKING)
    shares = _inside_of_bars(small)
    small, content = _cut(small, shares), _cut(image, shares)
    field = resize_image(valid_field(small).view(np.uint8) * np.uint8(255), (_SIDE, _SIDE)) >= 250
    field[:_MARGIN] = field[-_MARGIN:] = False
    field[:, :_MARGIN] = field[:, -_MARGIN:] = False
    gray = resize_image(cv2.cvtColor(content, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE))
    plain = float(field.mean()) < _LEAST_FIELD or _contrast(gray, field) < _LEAST_CONTRAST
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
    digest.update(repr(image.shape).encode())
    hashes = np.stack([dct_hash(gray, field, _shares(content.shape[:2], view)) for view in range(len(_VIEWS))])
    return Fingerprint(gray, field, hashes, digest.digest(), image.shape[:2], content.shape[:2], plain)


def _shares(shape: tuple[int, int], view: int) -> tuple[float, float]:
    """Shares of height and width that a view shows."""
    share = _VIEWS[view]
    return (share, share) if share is not None else (min(shape) / shape[0], min(shape) / shape[1])


def _inside_of_bars(image: np.ndarray) -> np.ndarray:
    """Where what lies inside of black and white bars begins and ends: shares of height and of width, (2, 2)."""
    darkest, lightest = image.min(axis=2), image.max(axis=2)
    bar = (lightest < _BLACK) | (darkest > _WHITE)
    ends = np.array([[0.0, 1.0], [0.0, 1.0]])
    for axis in (0, 1):
        inside = np.flatnonzero(bar.mean(axis=1 - axis) < _OF_BAR)
        if len(inside) and inside[-1] + 1 - inside[0] >= _LEAST_CONTENT * bar.shape[axis]:
            ends[axis] = np.array([inside[0], inside[-1] + 1]) / bar.shape[axis]
    return ends


def _cut(image: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Cut an image to shares of its height and width."""
    (top, bottom), (left, right) = np.round(ends * np.array(image.shape[:2])[:, None]).astype(int)
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]


def _contrast(gray: np.ndarray, field: np.ndarray) -> float:
    """Mean departure from the Gaussian mean, in gray values."""
    weight = field.astype(np.float32)
    mean = _blur(gray * weight, _COARSE) / np.maximum(_blur(weight, _COARSE), 1e-3)
    return float(np.abs(gray - mean)[field].mean())


def search_hashes(
    first: np.ndarray, second: np.ndarray | None = None, *, max_distance: int, block: int = 2048
) -> Candidates:
    """Find all pairs of images whose hashes are close, in any of the eight symmetries.

    Parameters
    ----------
    first : ndarray of shape (n, 4, 143), bool
        Hashes of `fingerprint`.
    second : ndarray of shape (m, 4, 143), bool, default=None
        Hashes to compare with; pairs within the first if None.
    max_distance : int
        Most bits that may differ.
    block : int, default=2048
        Images compared with as many others at a time: it bounds the memory.

    Returns
    -------
    Candidates
        For each pair at most three ways to lay one on the other, the closest
        first. Within one set, the first position is the smaller.
    """
    found = list(_close_blocks(first, second, max_distance, block))
    parts = [np.concatenate([part[column] for part in found]) if found else np.zeros(0, int) for column in range(5)]
    i, j, symmetry, views, distance = parts
    order = np.lexsort((views, symmetry, distance, j, i))
    i, j, symmetry, views, distance = (part[order] for part in (i, j, symmetry, views, distance))
    starts = np.flatnonzero(np.r_[True, (np.diff(i) != 0) | (np.diff(j) != 0)]) if len(i) else np.zeros(0, int)
    rank = np.arange(len(i)) - np.repeat(starts, np.diff(np.r_[starts, len(i)]))
    kept = rank < _MOST_TRIED
    return Candidates(i[kept], j[kept], symmetry[kept], np.array(_PAIRS_OF_VIEWS)[views[kept]], distance[kept])


def _close_blocks(
    first: np.ndarray, second: np.ndarray | None, max_distance: int, block: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Compare blocks by matrix products of hashes of -1 and 1: the product counts equal bits less unequal ones."""
    other = first if second is None else second
    least = HASH_BITS - 2 * max_distance
    for top in range(0, len(first), block):
        rows = first[top : top + block]
        turned = [[_signs(hash_symmetry(rows[:, view], k)) for k in range(8)] for view in range(len(_VIEWS))]
        for left in range(top if second is None else 0, len(other), block):
            columns = [_signs(other[left : left + block, view]).T for view in range(len(_VIEWS))]
            for pair, (a, b) in enumerate(_PAIRS_OF_VIEWS):
                for symmetry in range(8):
                    agreement = turned[a][symmetry] @ columns[b]
                    i, j = np.divmod(np.flatnonzero(agreement >= least), agreement.shape[1])
                    if second is None and left == top:
                        i, j = i[i < j], j[i < j]
                    if len(i):
                        distance = ((HASH_BITS - agreement[i, j]) / 2).astype(int)
                        yield i + top, j + left, np.full(len(i), symmetry), np.full(len(i), pair), distance


def _signs(hashes: np.ndarray) -> np.ndarray:
    return np.where(hashes, np.float32(1), np.float32(-1))


def compare(
    first: Fingerprint, second: Fingerprint, symmetry: int, views: tuple[int, int], min_correlation: float
) -> Likeness:
    """Correlate two thumbnails; where they do not agree as they lie, align them first.

    The fine detail (`local_detail` at 2 pixels of 64) is correlated over the
    field of view that both have. Where that is below ``min_correlation`` one
    is laid on the other by the affine map that gives the highest correlation
    of coarse detail.

    Parameters
    ----------
    first, second : Fingerprint
        The two.
    symmetry : int
        What lays the first on the second.
    views : tuple of (int, int)
        Views of the first and the second to begin with.
    min_correlation : float
        What is enough.

    Returns
    -------
    Likeness
        The correlation, and whether it took an alignment.

    References
    ----------
    G. D. Evangelidis and E. Z. Psarakis, "Parametric image alignment using
    enhanced correlation coefficient maximization", IEEE TPAMI 30 (2008)
    1858-1865.
    """
    gray, field = apply_symmetry(first.gray, symmetry), apply_symmetry(first.field, symmetry)
    as_they_lie = _correlate(gray, field, second.gray, second.field)
    if as_they_lie >= min_correlation:
        return Likeness(as_they_lie, False)
    shares = _shares(first.content, views[0])
    shares = shares[::-1] if symmetry & 4 else shares
    y, x = (theirs / ours for ours, theirs in zip(shares, _shares(second.content, views[1]), strict=True))
    middle = (_SIDE - 1) / 2
    start = np.array([[x, 0, middle * (1 - x)], [0, y, middle * (1 - y)]], np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    template = local_detail(gray, field, _COARSE)
    moving = local_detail(second.gray, second.field, _COARSE)
    mask = second.field.view(np.uint8) * np.uint8(255)
    try:
        _, warp = cv2.findTransformECC(template, moving, start, cv2.MOTION_AFFINE, criteria, mask, 5)
    except cv2.error:  # it did not converge: they do not agree
        return Likeness(as_they_lie, False)
    scales = np.linalg.svd(warp[:, :2], compute_uv=False)
    if not (scales.min() >= _LEAST_SCALE and scales.max() <= _MOST_SCALE):
        return Likeness(as_they_lie, False)
    size, flags = (_SIDE, _SIDE), cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(second.gray, warp, size, flags=flags | cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(mask, warp, size, flags=flags | cv2.INTER_LINEAR) >= 250
    aligned = _correlate(gray, field, laid, seen)
    return Likeness(aligned, True) if aligned > as_they_lie else Likeness(as_they_lie, False)


def _correlate(gray: np.ndarray, field: np.ndarray, other: np.ndarray, seen: np.ndarray) -> float:
    """Correlation of the fine detail over the common field; 0 where there is little of it."""
    common = field & seen
    if common.mean() < min(_LEAST_OVERLAP, 0.8 * min(field.mean(), seen.mean())):
        return 0.0
    a, b = local_detail(gray, common, _FINE)[common], local_detail(other, common, _FINE)[common]
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt(max((a @ a) * (b @ b), 1e-12)))
