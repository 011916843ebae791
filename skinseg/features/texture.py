"""Texture of the lesion: gray-level co-occurrence and local binary patterns, on the lesion alone."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ._region import LesionRegion, shrink, to_lightness
from ._table import INF, Block, Feature

__all__ = [
    "DIAMETER",
    "co_occurrence",
    "half_frame",
    "lesion_frame",
    "local_patterns",
    "reference_lightness",
]

DIAMETER = 256
"""Diameter of the disc of the lesion's area, in pixels, at which structures are sought; texture is measured at half."""

LEVELS = 32
"""Gray levels of the co-occurrence matrix, evenly from black to `TOP` times the reference lightness."""

TOP = 1.25
"""Lightness of the highest gray level, relative to the reference lightness."""

DISTANCES = (1, 3)
"""Distances of the pairs of the co-occurrence matrix, in 1/128 of the diameter."""

_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # rows and columns; the opposite ones come in by symmetry
_TOLERANCE = 0.01  # neighbors darker by less than this, relative to the reference lightness, count as equal
_SMOOTHING = 1.8  # standard deviation in pixels: without it patterns tell the sensor's noise and JPEG's blocks
_RIM = 0.15  # around the bounding box of the lesion, in radii of the disc of equal area
_MOST_DIAMETERS = 5  # longer side of what is cut out, at most: specks far apart have a small area and a large box
_OVERVIEW = 128  # working size for the lightness of the skin
_DARKEST = 5.0  # reference lightness, at least, so that black images have no infinite contrasts
_FINEST = 1.2  # standard deviation in pixels of what is left out of pairs and details
_PAIR_RIM = 1  # pixels along the outline that resizing has mixed with skin
_PATTERN_RIM = 3  # and those whose neighbors the smoothing has mixed with it
_DIAGONAL = float(np.sqrt(0.5))

_HARALICK = "Haralick et al., IEEE Trans. Syst. Man Cybern. 3 (1973) 610-621"
_OJALA = "Ojala et al., IEEE Trans. Pattern Anal. Mach. Intell. 24 (2002) 971-987"
_GLCM_FEATURES: tuple[Feature, ...] = (
    Feature("structure_glcm_contrast", "1", 0, 1, _HARALICK,
            "Mean square difference of the gray levels of neighbors, over that of black and white.", 512),
    Feature("structure_glcm_correlation", "1", -1, 1, _HARALICK,
            "Correlation of the gray levels of neighbors; 1 for one gray level.", 512),
    Feature("structure_glcm_energy", "1", 0, 1, _HARALICK,
            "Sum of the squares of the co-occurrence matrix (angular second moment); 1 for one gray level.", 512),
    Feature("structure_glcm_homogeneity", "1", 0, 1, _HARALICK,
            "Mean of 1 / (1 + d^2) over neighbors whose gray levels differ by d; 1 for one gray level.", 512),
    Feature("structure_glcm_entropy", "bit", 0, 10, _HARALICK, "Entropy of the co-occurrence matrix.", 512),
)  # fmt: skip
_LBP_FEATURES: tuple[Feature, ...] = tuple(
    Feature(
        f"structure_lbp_{bin_}", "1", 0, 1, _OJALA,
        f"Share of pixels of which {bin_} adjacent ones of 8 neighbors are not darker." if bin_ < 9
        else "Share of pixels whose neighbors change more than twice between darker and not.", 512,
    )
    for bin_ in range(10)
)  # fmt: skip

_SCALES = (
    1.92,
    3.84,
    3.84,
    3.84,
    7.68,
)  # standard deviations in pixels of 1/128, 1/128, 1/64, 1/32, 1/32 of the diameter
_HALVINGS = (0, 0, 1, 2, 2)
_DEEP = 0.08  # depth, in radii, from which detail is measured: at the outline it would be the contrast to the skin
_BURT = "after Burt and Adelson, IEEE Transactions on Communications 31 (1983) 532-540"
_DETAIL_FEATURES: tuple[Feature, ...] = tuple(
    feature
    for number, size in enumerate(("1.5", "3", "6", "12", "24"), start=1)
    for feature in (
        Feature(f"structure_detail_{number}", "1", 0, INF, _BURT,
                f"Standard deviation of the details of about {size} % of the diameter of the lesion, "
                "in shares of the lightness of the skin.", 512),
        Feature(f"structure_detail_{number}_skewness", "1", -INF, INF, _BURT,
                "Skewness of the same details: negative where they are dark on a lighter ground.", 512),
    )
)  # fmt: skip


class Frame(NamedTuple):
    """The lesion cut out and brought to a size, as lightness relative to the skin.

    Attributes
    ----------
    lightness : ndarray of shape (H, W), float32
        L* over `reference_lightness`.
    mask, clean : ndarray of shape (H, W), bool
        The lesion, and the lesion without painted-over pixels (all of it where
        nothing else is left).
    corner : tuple of (int, int)
        Row and column in the region of the first pixel.
    zoom : tuple of (float, float)
        Pixels of the region per pixel, down and across.
    """

    lightness: np.ndarray
    mask: np.ndarray
    clean: np.ndarray
    corner: tuple[int, int]
    zoom: tuple[float, float]


def reference_lightness(region: LesionRegion) -> float:
    """Lightness that all contrasts are told relative to: an illumination that is brighter makes both brighter.

    Parameters
    ----------
    region : LesionRegion
        Lesion and skin.

    Returns
    -------
    float
        Median L* of the surrounding skin; where none is in view the 95th
        percentile of the lesion's; at least 5.
    """
    small = region.at(_OVERVIEW)
    skin = small.skin_color
    value = float(np.percentile(small.lab[..., 0][small.lesion], 95)) if skin is None else float(skin[0])
    return max(value, _DARKEST)


def lesion_frame(region: LesionRegion) -> Frame:
    """Cut the lesion out and bring it to `DIAMETER`; once for a region.

    Parameters
    ----------
    region : LesionRegion
        Lesion and skin.

    Returns
    -------
    Frame
        The lesion with a rim of 0.15 radii of the disc of equal area.
    """
    return region.once(_cut_out)


def _cut_out(region: LesionRegion) -> Frame:
    left, top, width, height = cv2.boundingRect(region.mask.view(np.uint8))
    rim = int(np.ceil(_RIM * region.radius)) + 1
    above, before = max(0, top - rim), max(0, left - rim)
    part = np.s_[above : top + height + rim, before : left + width + rim]
    image, mask, artifacts = (a[part] for a in (region.image, region.mask, region.artifacts))
    original = mask.shape
    zoom = min(DIAMETER / (2 * region.radius), _MOST_DIAMETERS * DIAMETER / max(original))
    # less than a hundredth is not worth the blur of an interpolation
    shape = original if abs(zoom - 1) < 0.01 else tuple(max(1, round(side * zoom)) for side in original)
    if zoom < 1:
        lightness = to_lightness(shrink(image, (shape[0], shape[1])))
    else:  # after the conversion, so that nothing is rounded
        lightness = cv2.resize(to_lightness(image), shape[::-1], interpolation=cv2.INTER_LINEAR)
    lightness /= np.float32(reference_lightness(region))
    return _frame_of(lightness, mask, artifacts, (above, before), (original[0] / shape[0], original[1] / shape[1]))


def _frame_of(
    lightness: np.ndarray,
    mask: np.ndarray,
    artifacts: np.ndarray,
    corner: tuple[int, int],
    zoom: tuple[float, float],
) -> Frame:
    """Bring masks to the size of the lightness."""
    if mask.shape != lightness.shape:
        mask, artifacts = _resized(mask, lightness.shape, 0.5), _resized(artifacts, lightness.shape, 0.0)
    clean = mask & ~artifacts
    return Frame(lightness, mask, clean if clean.any() else mask, corner, zoom)


def half_frame(region: LesionRegion) -> Frame:
    """Get the frame of the lesion at half of its size; once for a region.

    Parameters
    ----------
    region : LesionRegion
        Lesion and skin.

    Returns
    -------
    Frame
        As of `lesion_frame`, with the lesion at half of `DIAMETER`.
    """
    return region.once(_halved)


def _halved(region: LesionRegion) -> Frame:
    frame = lesion_frame(region)
    shape = tuple(max(1, side // 2) for side in frame.mask.shape)
    # the same as by areas for even sides, and far quicker for odd ones
    halved = cv2.resize(frame.lightness, shape[::-1], interpolation=cv2.INTER_LINEAR)
    zoom = frame.mask.shape[0] / shape[0] * frame.zoom[0], frame.mask.shape[1] / shape[1] * frame.zoom[1]
    return _frame_of(halved, frame.mask, frame.mask & ~frame.clean, frame.corner, zoom)


def _resized(mask: np.ndarray, shape: tuple[int, ...], least: float) -> np.ndarray:
    """Resize a mask; a pixel counts that is covered by more than ``least``."""
    if not mask.any():
        return np.zeros(shape, bool)
    values: np.ndarray = mask.view(np.uint8) * np.uint8(255)
    if shape[0] < mask.shape[0] or shape[1] < mask.shape[1]:
        values = shrink(values, (shape[0], shape[1]))
    else:
        values = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    if not values.any():  # a pixel of many, or a line that falls between two
        return np.asarray(cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA) > 0)
    # a mask of a few pixels may have no pixel that it covers by half
    return np.asarray(values > min(255 * least, int(values.max()) - 1))


def _shifted(array: np.ndarray, down: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Get views of all pairs of pixels that lie so many rows and columns apart."""
    height, width = array.shape
    down, across = min(down, height), max(-width, min(across, width))
    rows = np.s_[: height - down], np.s_[down:]
    columns = np.s_[max(0, -across) : width - max(0, across)], np.s_[max(0, across) : width - max(0, -across)]
    return array[rows[0], columns[0]], array[rows[1], columns[1]]


def co_occurrence(
    lightness: np.ndarray, lesion: np.ndarray, *, distances: tuple[int, ...] = DISTANCES, levels: int = LEVELS
) -> np.ndarray:
    """Count the gray levels of pairs of neighbors that both lie in the lesion.

    Parameters
    ----------
    lightness : ndarray of shape (H, W), float32
        Lightness relative to the skin; 0 to 1.25 is spread evenly over the levels.
    lesion : ndarray of shape (H, W), bool
        Pixels that count.
    distances : tuple of int, default=(1, 3)
        Distances in pixels; on the diagonals to the nearest whole steps.
    levels : int, default=32
        Number of gray levels, 2 to 256.

    Returns
    -------
    ndarray of shape (levels, levels), float64
        The matrix over distances and the four directions: symmetric, of sum 1.
        Without any pair each pixel is taken as its own neighbor.

    References
    ----------
    R. M. Haralick, K. Shanmugam and I. Dinstein, "Textural features for image
    classification", IEEE Transactions on Systems, Man, and Cybernetics 3 (1973)
    610-621.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features.texture import co_occurrence
    >>> matrix = co_occurrence(np.full((8, 8), 0.5, np.float32), np.ones((8, 8), bool))
    >>> float(matrix.max()), int(np.count_nonzero(matrix))
    (1.0, 1)
    """
    gray = np.clip(lightness * np.float32(levels / TOP), 0, levels - 1).astype(np.int32)
    left, top, width, height = cv2.boundingRect(lesion.view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    # pairs with a pixel outside fall into a row or column of their own
    gray = np.where(lesion[window], gray[window], np.int32(levels))
    row = gray * np.int32(levels + 1)
    counts = np.zeros((levels + 1) ** 2, np.int64)
    for distance in distances:
        for down, across in _DIRECTIONS:
            length = distance if 0 in (down, across) else max(1, round(distance * _DIAGONAL))
            first, _ = _shifted(row, down * length, across * length)
            _, second = _shifted(gray, down * length, across * length)
            counts += np.bincount((first + second).ravel(), minlength=len(counts))
    matrix = counts.reshape(levels + 1, -1)[:-1, :-1].astype(np.float64)
    if not matrix.any():
        np.fill_diagonal(matrix, np.bincount(gray[gray < levels], minlength=levels))
    matrix = matrix + matrix.T
    return np.asarray(matrix / matrix.sum())


def _haralick(matrix: np.ndarray) -> dict[str, float]:
    """Features of a symmetric co-occurrence matrix."""
    index = np.arange(len(matrix))
    square = (index[:, None] - index) ** 2
    contrast = float((matrix * square).sum())
    marginal = matrix.sum(axis=0)
    mean = float((marginal * index).sum())
    variance = float((marginal * (index - mean) ** 2).sum())
    positive = matrix[matrix > 0]
    return {
        "structure_glcm_contrast": contrast / (len(matrix) - 1) ** 2,
        # for a symmetric matrix the covariance is the variance less half of the contrast
        "structure_glcm_correlation": 1 - contrast / (2 * variance) if variance > 1e-9 else 1.0,
        "structure_glcm_energy": min(1.0, float((matrix**2).sum())),
        "structure_glcm_homogeneity": min(1.0, float((matrix / (1 + square)).sum())),
        "structure_glcm_entropy": max(0.0, -float((positive * np.log2(positive)).sum())),
    }


def local_patterns(
    lightness: np.ndarray, lesion: np.ndarray, *, tolerance: float = _TOLERANCE, smoothing: float = _SMOOTHING
) -> np.ndarray:
    """Histogram of the uniform, rotation-invariant binary patterns of 8 neighbors at distance 1.

    The diagonal neighbors are interpolated onto the circle. A neighbor that is
    darker by less than the tolerance counts as equal, so that what is smooth
    has the pattern of what is flat.

    Parameters
    ----------
    lightness : ndarray of shape (H, W), float32
        Lightness relative to the skin.
    lesion : ndarray of shape (H, W), bool
        Pixels that count.
    tolerance : float, default=0.01
        In the unit of the lightness, at least 0.
    smoothing : float, default=1.8
        Standard deviation in pixels of a Gaussian before; 0 for none.

    Returns
    -------
    ndarray of shape (10,), float64
        Shares of the patterns: 0 to 8 by the number of neighbors that are not
        darker, where these are adjacent; 9 for all other patterns.

    References
    ----------
    T. Ojala, M. Pietikainen and T. Maenpaa, "Multiresolution gray-scale and
    rotation invariant texture classification with local binary patterns", IEEE
    Transactions on Pattern Analysis and Machine Intelligence 24 (2002) 971-987.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features.texture import local_patterns
    >>> local_patterns(np.full((8, 8), 0.5, np.float32), np.ones((8, 8), bool)).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    smooth = cv2.GaussianBlur(lightness, (0, 0), smoothing) if smoothing > 0 else lightness
    height, width = smooth.shape
    padded = cv2.copyMakeBorder(smooth, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    side = np.float32(_DIAGONAL)

    def at(down: int, across: int) -> np.ndarray:
        return padded[1 + down : 1 + down + height, 1 + across : 1 + across + width]

    low = smooth - np.float32(tolerance)
    bits = []
    for down, across in ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)):
        value = at(down, across)
        if down and across:  # bilinear, at (sqrt(1/2), sqrt(1/2)) of the pixel
            value = (1 - side) ** 2 * smooth + side * (1 - side) * (at(down, 0) + at(0, across)) + side**2 * value
        bits.append((value >= low).view(np.uint8))
    count, changes = np.zeros((2, height, width), np.uint8)
    for bit, following in zip(bits, [*bits[1:], bits[0]], strict=True):
        count += bit
        changes += bit ^ following
    pattern = np.where(changes <= 2, count, np.uint8(9))
    histogram = np.bincount(pattern[lesion], minlength=10)
    return np.asarray(histogram / histogram.sum())


def _inner(lesion: np.ndarray, rim: int) -> np.ndarray:
    """Leave out a rim of some pixels, unless nothing is left then."""
    inner = cv2.erode(lesion.view(np.uint8), np.ones((3, 3), np.uint8), iterations=rim, borderValue=1).view(bool)
    return inner if inner.any() else lesion


def _measure_texture(region: LesionRegion) -> dict[str, float]:
    frame = half_frame(region)
    smooth = _smoothed(frame, _FINEST)
    shares = local_patterns(_smoothed(frame, _SMOOTHING), _inner(frame.clean, _PATTERN_RIM), smoothing=0).tolist()
    patterns = {feature.name: share for feature, share in zip(_LBP_FEATURES, shares, strict=True)}
    return _haralick(co_occurrence(smooth, _inner(frame.clean, _PAIR_RIM))) | patterns


def _smoothed(frame: Frame, sigma: float) -> np.ndarray:
    """Lightness without what images of half the resolution do not have, of the lesion alone."""
    # without the pixels along the outline that resizing has mixed with skin
    weight = _inner(frame.clean, _PAIR_RIM).astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), np.float32(1e-3))
    return np.asarray(cv2.GaussianBlur(frame.lightness * weight, (0, 0), sigma) / share, np.float32)


def _measure_detail(region: LesionRegion) -> dict[str, float]:
    """Strength and skewness of a Laplacian pyramid within the lesion; what lies outside of it does not count."""
    frame = half_frame(region)
    weight = frame.clean.astype(np.float32) if frame.clean.any() else frame.mask.astype(np.float32)
    depth = cv2.distanceTransform((weight > 0).view(np.uint8), cv2.DIST_L2, 5)
    deep = (depth > _DEEP * DIAMETER / 4).astype(np.float32)
    deep = deep if deep.any() else weight.copy()
    light: np.ndarray = _smoothed(frame, _FINEST)
    halvings = 0
    values: dict[str, float] = {}
    for number, (sigma, wanted) in enumerate(zip(_SCALES, _HALVINGS, strict=True), start=1):
        while halvings < wanted:
            shape = tuple(max(1, side // 2) for side in light.shape)[::-1]
            light, weight, deep = (
                np.asarray(cv2.resize(layer, shape, interpolation=cv2.INTER_AREA), np.float32)
                for layer in (light, weight, deep)
            )
            halvings += 1
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), np.float32(1e-3))
        smooth = cv2.GaussianBlur(light * weight, (0, 0), sigma) / share
        band = light - smooth
        # not by OpenCV, whose sums depend on where in memory an array begins
        total = float(deep.sum(dtype=np.float64))
        centered = band - np.float32(float((band * deep).sum(dtype=np.float64)) / total)
        squared = centered * centered * deep
        square, cube = (float(moment.sum(dtype=np.float64)) / total for moment in (squared, squared * centered))
        values[f"structure_detail_{number}"] = float(np.sqrt(square))
        # less than a hundredth of the skin's lightness is noise, and leans to no side
        values[f"structure_detail_{number}_skewness"] = cube / max(np.sqrt(square), 0.01) ** 3
        light = np.asarray(smooth, np.float32)
    return values


TEXTURE_BLOCKS = (
    Block((*_GLCM_FEATURES, *_LBP_FEATURES), _measure_texture),
    Block(_DETAIL_FEATURES, _measure_detail),
)
"""How texture is measured."""
