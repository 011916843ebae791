"""D of the dermoscopic rule: differential structures of the lesion, as scores of what is counted or covered.

Experimental: checked on drawn lesions and by eye, not against experts.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import cv2
import numpy as np

from ._region import LesionRegion, to_lightness
from ._table import Block, Feature, measure_blocks
from .texture import DIAMETER, TEXTURE_BLOCKS, Frame, lesion_frame, reference_lightness

__all__ = ["LABELS", "MIN_DIAMETER", "explain_structure", "measure_structure", "structure_energy", "structure_map"]

LABELS = ("none", "network", "homogeneous", "streaks", "dots", "globules")
"""What the labels of `explain_structure` mean."""

MIN_DIAMETER = 48
"""Least diameter in pixels: a globule of 4 % of it has the two pixels that sampling asks for."""

# Lengths below are in pixels at `DIAMETER`, contrasts relative to the lightness of the skin.
_RADIUS = DIAMETER / 2
_SIGMAS = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.2, 16.0)  # spots lie between neighbors
_COARSE = 4  # from this one on every second pixel is looked at
_STEPS = (1, 1, 1, 1, 2, 2, 2, 2)
_SPOT = 1.7  # radius of the spot to which the difference of two neighboring Gaussians responds most, over the first
_N_RING = 16
_CIRCLE = 2 * np.pi * np.arange(_N_RING) / _N_RING
_ACROSS, _DOWN = np.cos(_CIRCLE).astype(np.float32), np.sin(_CIRCLE).astype(np.float32)
_LEAST = 1e-3  # differences of Gaussians below this are nothing
_MOST = 2000  # spots of one size that are looked at, against images of nothing but noise


class _Rule(NamedTuple):
    """What counts as a spot of some kind."""

    scales: tuple[tuple[int, ...], ...]  # those together whose contrasts are looked up in the same copies
    sign: int  # 1 for dark, -1 for light
    ring: float  # distance of the surroundings from the center, over the radius
    n_least: int  # so many of the 16 places around that are most like the spot are looked at
    roundness: float  # contrast to these over the mean contrast, at least
    softness: float  # contrast half way out over the mean contrast, at most


_DARK = _Rule(((1,), (2,), (3,), (4, 5, 6, 7)), 1, 1.35, 3, 0.5, 0.3)
_HOLES = _Rule(((0, 1), (2,), (3,)), -1, 1.6, 4, 0.3, 1.0)
_DARK_CONTRAST = (0.06, 0.16)  # at which a dark spot counts half: this, or this share of that of lesion and skin
_HOLE_CONTRAST = 0.015  # at which a hole counts half
_SPLIT = 0.06 * _RADIUS  # radius between dots and globules
_GLOSS = 1.02  # what is lighter than this is no hole of a net but gloss or scale
_PIGMENT = 0.92  # the net around a hole is darker than this on the average
_CELL = 2.2  # distance of neighboring holes of a network over the radius of a hole, about
_NEIGHBORS = 2.0  # other holes near a hole at which it counts half as network
_DETAIL = (1.4 / 128, 6 / 128, 20 / 128)  # radii between which details count, and over which they are averaged
_LEAST_CLEAN = 0.2  # share of the lesion without painted-over pixels, at least
_STREAK_CONTRAST = 0.02  # of a streak to the darker of its two sides, at least
_STREAK_SIDES = 7.0  # distance of these sides from its middle
_STREAK_RATIO = 2.0  # over that along it, at least
_STREAK_LENGTH = 0.17 * _RADIUS  # at which a streak counts half
_STREAK_RING = (-0.05 * _RADIUS, 0.5 * _RADIUS)  # depths below the outline at which streaks are sought
# local contrast below which an area is structureless: this, or this share of the contrast of lesion and skin
_FLAT = (0.018, 0.06)

_HALF = {"network": 0.025, "homogeneous": 0.10, "streaks": 1.0, "dots": 5.0, "globules": 1.5}
"""What is measured where a score is one half: covered share of the lesion, share of it, numbers of each."""

_STEEPNESS = {"network": 2.5, "homogeneous": 3.0, "streaks": 2.0, "dots": 2.0, "globules": 2.0}
"""Powers of the measure in the scores: how steeply they rise."""

_STOLZ = "after Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_SCORES: tuple[Feature, ...] = (
    Feature("structure_network", "1", 0, 1, _STOLZ,
            "Pigment network: 1/2 where light holes side by side in a dark net cover 2.5 % of the lesion.", 512),
    Feature("structure_homogeneous", "1", 0, 1, _STOLZ,
            "Structureless area: 1/2 where 10 % of the lesion have no local contrast.", 512),
    Feature("structure_streaks", "1", 0, 1, _STOLZ,
            "Streaks: 1/2 for one dark radial line in the periphery, of at least 17 % of the radius.", 512),
    Feature("structure_dots", "1", 0, 1, _STOLZ,
            "Dots: 1/2 for five dark round spots of less than 6 % of the diameter.", 512),
    Feature("structure_globules", "1", 0, 1, _STOLZ,
            "Globules: 1/2 for 1.5 dark round spots of 6 to 15 % of the diameter.", 512),
    Feature("structure_count", "1", 1, 5, _STOLZ,
            "Number of the five structures to be expected: the sum of their scores, rounded; at least 1.", 512),
)  # fmt: skip
_KINDS = ("network", "homogeneous", "streaks", "dots", "globules")


class _Spots(NamedTuple):
    """Round spots: where, how large, how much each counts (0 to 1)."""

    rows: np.ndarray
    columns: np.ndarray
    radii: np.ndarray
    weights: np.ndarray


class _Found(NamedTuple):
    """What was found in a lesion, on a copy at the diameter that structures are sought at."""

    amounts: dict[str, float]
    spots: dict[str, _Spots]
    streaks: np.ndarray
    flat: np.ndarray
    frame: Frame


def _hill(value: Any, half: float, steepness: float) -> Any:
    """Logistic function of the logarithm: 0 at 0, one half at ``half``, towards 1."""
    power = (np.maximum(value, 0) / half) ** steepness
    return power / (1 + power)


# ---------------------------------------------------------------------- spots


class _Scales(NamedTuple):
    """Smoothed copies of the lightness, and the differences of neighbors: positive where it is dark in the middle."""

    smooth: list[np.ndarray]
    spots: list[np.ndarray]
    highest: list[np.ndarray]
    lowest: list[np.ndarray]

    @classmethod
    def of(cls, lightness: np.ndarray) -> _Scales:
        # one block for all copies of full size: the system takes long to hand out many large pieces one by one
        block = iter(np.empty((1 + 4 * _COARSE, *lightness.shape), np.float32))
        smooth, spots, sigma, current, step = [], [], 0.0, lightness, 1
        for number, target in enumerate(_SIGMAS):
            blur = float(np.sqrt(target**2 - sigma**2)) / step
            blurred = cv2.GaussianBlur(current, (0, 0), blur, dst=next(block) if step == 1 else None)
            if number:
                spots.append(cv2.subtract(blurred, current, dst=next(block) if step == 1 else None))
            if number == _COARSE:  # from here on every second pixel is enough
                blurred, step = np.ascontiguousarray(blurred[::2, ::2]), 2
            smooth.append(blurred)
            current, sigma = blurred, target
        square = np.ones((3, 3), np.uint8)
        # light spots are sought at the fine scales only
        highest, lowest = (
            [cv2.morphologyEx(spot, kind, square, dst=next(block) if k < _COARSE else None) for k, spot in chosen]
            for kind, chosen in (
                (cv2.MORPH_DILATE, list(enumerate(spots))),
                (cv2.MORPH_ERODE, list(enumerate(spots))[: _HOLES.scales[-1][-1] + 2]),
            )
        )
        return cls(smooth, spots, highest, lowest)

    def peaks(self, k: int, sign: int, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find extrema in place and scale of one difference, dark spots for sign 1: rows, columns and radii."""
        extrema = self.highest if sign > 0 else self.lowest
        here = self.spots[k]
        is_clear = here > _LEAST if sign > 0 else here < -_LEAST
        points = cv2.findNonZero(cv2.compare(here, extrema[k], cv2.CMP_EQ) & allowed & is_clear.view(np.uint8))
        if points is None:
            return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
        columns, rows = points.reshape(-1, 2).T.astype(np.intp)
        value = sign * here[rows, columns].astype(np.float64)
        sides = []
        for other in (k - 1, k + 1):
            if not 0 <= other < len(self.spots):
                sides.append(np.zeros_like(value))
                continue
            near = extrema[other]
            step = _STEPS[k] / _STEPS[other]
            other_rows = np.minimum((rows * step).astype(np.intp), near.shape[0] - 1)
            other_columns = np.minimum((columns * step).astype(np.intp), near.shape[1] - 1)
            sides.append(sign * near[other_rows, other_columns].astype(np.float64))
        best = (value >= sides[0]) & (value >= sides[1])
        value, finer, coarser = value[best], sides[0][best], sides[1][best]
        # the size between the scales, by a parabola
        offset = (coarser - finer) / np.maximum(2 * (2 * value - finer - coarser), _LEAST)
        return rows[best], columns[best], _SPOT * _SIGMAS[k] * 2 ** (np.clip(offset, -0.5, 0.5) / 2)

    def contrast(
        self, k: int, rows: np.ndarray, columns: np.ndarray, radii: np.ndarray, rule: _Rule, least: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tell which spots stand out by at least so much; contrasts to the parts around most like them, and to all.

        A line, a node of a net or the side of a larger patch has something
        like itself beside it; a spot has not. Half way out a spot is still as
        its middle, a chance minimum is not.
        """
        # all is smoothed by less than the spot; places are in full pixels
        middle, around = self.smooth[max(0, min(k, _COARSE) - 1)], self.smooth[max(0, min(k, _COARSE) - 2)]
        center = middle[rows, columns][:, None]
        across, down, reach = (values.astype(np.float32)[:, None] for values in (columns, rows, radii))

        def ring(share: float, chosen: slice | np.ndarray) -> np.ndarray:
            out = np.float32(share) * reach[chosen]
            x, y = across[chosen] + out * _ACROSS, down[chosen] + out * _DOWN
            seen = cv2.remap(around, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return np.float32(rule.sign) * (seen - center[chosen])

        outer = np.sort(ring(rule.ring, np.s_[:]), axis=1)
        low, mean = outer[:, : rule.n_least].mean(axis=1), outer.mean(axis=1)
        keep = np.flatnonzero((low > least) & (low > rule.roundness * mean))
        if len(keep):
            keep = keep[ring(0.5, keep).mean(axis=1) < rule.softness * mean[keep]]
        return keep, low[keep], mean[keep]


def _spots(scales: _Scales, allowed: list[np.ndarray], depth: np.ndarray, rule: _Rule, contrast: float) -> _Spots:
    """Find dark spots or light holes; ``contrast`` is that at which one counts half."""
    parts = []
    for together in rule.scales:
        found = []
        for k in together:
            step = _STEPS[k]
            rows, columns, radii = scales.peaks(k, rule.sign, allowed[step - 1])
            is_deep = depth[rows * step // 2, columns * step // 2] >= radii
            rows, columns, radii = (values[is_deep][:_MOST] for values in (rows, columns, radii))
            found.append((rows * step, columns * step, radii, scales.smooth[k][rows, columns]))
        rows, columns, radii, smooth = (np.concatenate(column) for column in zip(*found, strict=True))
        if not len(rows):
            continue
        keep, low, mean = scales.contrast(together[-1], rows, columns, radii, rule, 0.3 * contrast)
        if rule.sign < 0:
            pigmented = (smooth[keep] < _GLOSS) & (smooth[keep] - mean < _PIGMENT)
            keep, low = keep[pigmented], low[pigmented]
        parts.append((rows[keep], columns[keep], radii[keep], _hill(low, contrast, 4)))
    if not parts:
        return _Spots(*np.zeros((4, 0)))
    return _Spots(*(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)))


def _split(spots: _Spots) -> dict[str, _Spots]:
    """Tell dots and globules by their size; what lies between counts in parts as either."""
    large = _hill(spots.radii, _SPLIT, 10)
    return {"dots": spots._replace(weights=spots.weights * (1 - large)),
            "globules": spots._replace(weights=spots.weights * large)}  # fmt: skip


def _as_network(holes: _Spots) -> _Spots:
    """Weigh holes by how many others of about their size are near: a net has its holes side by side."""
    if not len(holes.rows):
        return holes
    square = (holes.rows[:, None] - holes.rows) ** 2 + (holes.columns[:, None] - holes.columns) ** 2
    reach = 2 * _CELL * holes.radii
    ratio = holes.radii[:, None] / holes.radii
    near = (square <= reach[:, None] ** 2) & (ratio < 2.1) & (ratio > 1 / 2.1)
    neighbors = near @ holes.weights - holes.weights
    return holes._replace(weights=holes.weights * _hill(neighbors, _NEIGHBORS, 3))


# ---------------------------------------------------------------------- streaks


def _two_sided(smooth: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Contrast of each pixel to the darker of the two places beside it, across the direction (x, y)."""
    away = np.float32(_STREAK_SIDES / 2)
    columns = np.arange(smooth.shape[1], dtype=np.float32)[None]
    rows = np.arange(smooth.shape[0], dtype=np.float32)[:, None]
    sides = [
        cv2.remap(
            smooth, columns - sign * away * y, rows + sign * away * x, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for sign in (1, -1)
    ]
    return cv2.min(*sides) - smooth


def _streaks(scales: _Scales, depth: np.ndarray, usable: np.ndarray) -> tuple[float, np.ndarray]:
    """Find dark lines that run towards the outline, near it; give their number and their pixels (every second)."""
    smooth = np.ascontiguousarray(scales.smooth[3][::2, ::2])
    usable = usable[::2, ::2]
    variance = np.float32((_SIGMAS[3] / 2) ** 2)
    across = cv2.GaussianBlur(depth, (0, 0), 0.08 * _RADIUS / 2)
    x, y = cv2.Sobel(across, cv2.CV_32F, 1, 0), cv2.Sobel(across, cv2.CV_32F, 0, 1)
    norm = np.maximum(cv2.magnitude(x, y), 1e-6)
    x, y = x / norm, y / norm
    # of a 3 x 3 Sobel filter a quarter is the derivative
    xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=3, scale=0.25) for dx, dy in ((2, 0), (0, 2), (1, 1)))
    along = (xx * x * x + 2 * xy * x * y + yy * y * y) * variance
    beside = (xx + yy) * variance - along
    contrast = _two_sided(smooth, x, y)
    is_line = (contrast > _STREAK_CONTRAST) & (beside > _STREAK_RATIO * np.abs(along)) & usable
    is_line &= (depth > _STREAK_RING[0]) & (depth < _STREAK_RING[1])
    n_labels, labels = cv2.connectedComponents(is_line.view(np.uint8), connectivity=8)
    where = np.flatnonzero(labels)
    label, below = labels.ravel()[where], depth.ravel()[where]
    highest, lowest = np.full(n_labels, -np.inf), np.full(n_labels, np.inf)
    np.maximum.at(highest, label, below)
    np.minimum.at(lowest, label, below)
    length = np.where(np.isfinite(highest), highest - lowest, 0)
    area = 4.0 * np.bincount(label, minlength=n_labels)
    weights = _hill(length, _STREAK_LENGTH, 6) * (area < length**2) * (lowest < 0.3 * _RADIUS)
    strong = weights >= 0.5
    return float(weights.sum()), strong[labels]


# ---------------------------------------------------------------------- all


def structure_energy(
    lightness: np.ndarray, mask: np.ndarray, *, fine: float, coarse: float, window: float
) -> np.ndarray:
    """Local strength of structure: how much the lightness departs from its surroundings.

    Parameters
    ----------
    lightness : ndarray of shape (H, W), float32
        Lightness, best relative to that of the skin, which makes the result a contrast.
    mask : ndarray of shape (H, W), bool
        Pixels that count.
    fine, coarse : float
        Standard deviations in pixels of the two Gaussians between which details count.
    window : float
        Standard deviation in pixels of the Gaussian over which they are averaged.

    Returns
    -------
    ndarray of shape (H, W), float32
        Root of the local mean square of the band of details in the mask, in the
        unit of the lightness; 0 outside of the mask.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features.structure import structure_energy
    >>> flat = np.full((32, 32), 0.5, np.float32)
    >>> float(structure_energy(flat, np.ones((32, 32), bool), fine=1, coarse=4, window=3).max()) < 1e-5
    True
    """
    weight = mask.astype(np.float32)
    band = cv2.GaussianBlur(lightness, (0, 0), fine) - _around(lightness, weight, coarse)
    total = cv2.GaussianBlur(band * band * weight, (0, 0), window)
    energy = total / np.maximum(cv2.GaussianBlur(weight, (0, 0), window), np.float32(1e-3))
    return np.asarray(np.sqrt(np.maximum(energy, 0)) * weight, np.float32)


def _around(layer: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of a layer around each pixel, over the mask only: so that the outline itself is no structure."""
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), np.float32(1e-3))
    return np.asarray(cv2.GaussianBlur(layer * weight, (0, 0), sigma) / share, np.float32)


def structure_map(region: LesionRegion, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Local strength of dark structure: how much details are darker than what is around them.

    The details are those between a hundredth and a twentieth of the radius of
    the lesion, averaged over a sixth of it.

    Parameters
    ----------
    region : LesionRegion
        Lesion and skin; best at 256 pixels.
    shape : tuple of (int, int), default=None
        Height and width of the map, not less than half of those of the
        lesion; these if None.

    Returns
    -------
    ndarray of shape (H, W), float32
        The map of the bounding box of the lesion: at least 0, relative to the
        lightness of the skin; what lies outside of the lesion, or was painted
        over, counts nowhere.
    """
    left, top, width, height = cv2.boundingRect(region.mask.view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    lightness = to_lightness(region.image[window]) / np.float32(reference_lightness(region))
    weight = region.lesion[window].astype(np.float32)
    fine, coarse, reach = (share * max(region.radius, 1) for share in _DETAIL)
    smooth = cv2.GaussianBlur(lightness, (0, 0), max(fine, 0.5))
    dark = np.asarray(np.maximum(_around(lightness, weight, max(coarse, 1.0)) - smooth, 0) * weight, np.float32)
    if shape is not None and shape != dark.shape:
        reach *= shape[0] / dark.shape[0]
        dark, weight = (
            np.asarray(cv2.resize(layer, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
            for layer in (dark, weight)
        )
    # dark is 0 outside of the mask already
    return _around(dark, weight, max(reach, 0.5))


def _find(region: LesionRegion) -> _Found:
    """Find all structures of a lesion of sufficient size."""
    frame = lesion_frame(region)
    mask, clean = frame.mask, frame.clean
    scales = _Scales.of(frame.lightness)
    half = np.ascontiguousarray(mask[::2, ::2]).view(np.uint8)
    # a mask without an outside is infinitely deep
    inside, outside = (np.minimum(cv2.distanceTransform(part, cv2.DIST_L2, 3), 1e4) for part in (half, 1 - half))
    depth = 2 * (inside - outside)
    painted = mask & ~clean
    if painted.any():  # near such pixels nothing is trusted
        painted = cv2.dilate(painted.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool)
        clean = mask & ~painted
    allowed = [255 * np.ascontiguousarray(clean[::step, ::step]).view(np.uint8) for step in (1, 2)]
    lesion_contrast = 1 - float(cv2.mean(frame.lightness, mask.view(np.uint8))[0])
    threshold = max(_DARK_CONTRAST[0], _DARK_CONTRAST[1] * lesion_contrast)
    spots = _split(_spots(scales, allowed, depth, _DARK, threshold))
    holes = spots["network"] = _as_network(_spots(scales, allowed, depth, _HOLES, _HOLE_CONTRAST))
    n_streaks, streaks = _streaks(scales, depth, ~painted)
    flat, share = _structureless(scales, clean, depth, max(_FLAT[0], _FLAT[1] * lesion_contrast))
    area = np.pi * _RADIUS**2
    amounts = {
        "network": float((holes.weights * (_CELL * holes.radii) ** 2).sum()) / area,
        "homogeneous": share,
        "streaks": n_streaks,
        "dots": float(spots["dots"].weights.sum()),
        "globules": float(spots["globules"].weights.sum()),
    }
    return _Found(amounts, spots, streaks, flat, frame)


def _structureless(scales: _Scales, clean: np.ndarray, depth: np.ndarray, threshold: float) -> tuple[np.ndarray, float]:
    """Find where the lesion has no local contrast, on every second pixel, and its share."""
    inner = clean[::2, ::2] & (depth > 0.06 * _RADIUS)
    if not inner.any():
        return inner, 1.0
    fine = np.ascontiguousarray(scales.smooth[1][::2, ::2])
    energy = structure_energy(fine, inner, fine=0.3, coarse=4.0, window=3.0)
    flat = (inner & (energy < threshold)).view(np.uint8)
    flat = cv2.morphologyEx(flat, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))).view(bool)
    return flat, float(np.count_nonzero(flat) / np.count_nonzero(inner))


def _measure_scores(region: LesionRegion) -> dict[str, float]:
    reason = ""
    if 2 * region.radius < MIN_DIAMETER:
        reason = f"the lesion is smaller than {MIN_DIAMETER} pixels across at the size at which it is measured"
    elif np.count_nonzero(region.mask & ~region.artifacts) < _LEAST_CLEAN * np.count_nonzero(region.mask):
        reason = "less than a fifth of the lesion is free of hair"
    if reason:
        return region.not_measured([feature.name for feature in _SCORES], reason)
    amounts = _find(region).amounts
    scores = {kind: float(_hill(amounts[kind], _HALF[kind], _STEEPNESS[kind])) for kind in _KINDS}
    # the number to be expected: it moves less between images of a lesion than a count of scores above a limit
    count = max(1, round(sum(scores.values())))
    return {f"structure_{kind}": score for kind, score in scores.items()} | {"structure_count": float(count)}


BLOCKS = (Block(_SCORES, _measure_scores), *TEXTURE_BLOCKS)
"""How the group is measured."""


def measure_structure(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    artifacts: np.ndarray | None = None,
    features: Collection[str] | None = None,
) -> dict[str, float]:
    """Measure differential structures and texture of the lesion.

    The lesion is brought to a diameter of 256 pixels, and contrasts are taken
    relative to the L* of the surrounding skin, so that size and illumination
    do not matter. Each score is x^s / (x^s + h^s) of a quantity x, that is, a
    logistic function of its logarithm: 0 where there is nothing, one half at
    x = h, towards 1.

    - network: x is the share of the lesion covered by the cells of light holes
      that are darker all around and lie side by side, h = 2.5 %;
    - homogeneous: x is the share of the lesion, without a rim, of which the
      local contrast is below 1.8 % of the lightness of the skin or 6 % of the
      contrast of lesion and skin, and which is at least 7 % of the diameter
      wide, h = 10 %;
    - streaks: x is the number of dark lines towards the outline in the outer
      half of the radius, lighter on both sides, that weigh half at a length of
      17 % of the radius, h = 1;
    - dots and globules: x is the number of dark spots that are lighter all
      around by 6 % of the lightness of the skin or 16 % of the contrast of
      lesion and skin; below 6 % of the diameter they are dots (h = 5), above
      it globules (h = 1.5, for chance makes one).

    The scores are experimental: they have been checked on drawn lesions and by
    eye, not against experts. Colored patches with the size of globules count
    as globules, nodes of a net now and then as dots. Take hair out before
    (`skinseg.HairRemover`); a hair that is left is a line like others.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The lesion.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view; skin outside of it is not looked at.
    artifacts : ndarray of shape (H, W), bool, default=None
        Hair and other pixels that are left out.
    features : collection of str, default=None
        Names of the features wanted; all if None.

    Returns
    -------
    dict of str to float
        The scores ``structure_network``, ``structure_homogeneous``,
        ``structure_streaks``, ``structure_dots`` and ``structure_globules``, in
        [0, 1]; ``structure_count``, their sum rounded,
        1 to 5; NaN where the lesion is less than 48 pixels across. Texture:
        contrast, correlation, energy, homogeneity and entropy of the masked
        gray-level co-occurrence matrix (``structure_glcm_...``) and the
        histogram of the uniform rotation-invariant local binary patterns
        (``structure_lbp_0`` to ``structure_lbp_9``, of sum 1), with the lesion
        at a diameter of 128 pixels. All is NaN for an empty mask.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527 (the five structures).

    M. Sadeghi, M. Razmara, T. K. Lee and M. S. Atkins, "A novel method for
    detection of pigment network in dermoscopic images using graphs",
    Computerized Medical Imaging and Graphics 35 (2011) 137-143 (a net is told
    by its holes).

    T. Lindeberg, "Feature detection with automatic scale selection",
    International Journal of Computer Vision 30 (1998) 79-116 (spots).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features.structure import measure_structure
    >>> y, x = np.mgrid[:160, :160] - 80
    >>> image = np.full((160, 160, 3), (200, 170, 150), dtype=np.uint8)
    >>> mask = x**2 + y**2 <= 50**2
    >>> image[mask] = (163, 82, 16)
    >>> for place in (-20, 20):  # two globules
    ...     image[(x - place) ** 2 + y**2 <= 5**2] = (41, 31, 30)
    >>> values = measure_structure(image, mask)
    >>> values["structure_globules"] > 0.5, values["structure_network"] < 0.01
    (True, True)
    """
    region = LesionRegion.of_arrays(image, mask, field=field, artifacts=artifacts)
    return measure_blocks(BLOCKS, region, features)


def explain_structure(region: LesionRegion) -> dict[str, Any]:
    """Tell which structure was found where.

    Parameters
    ----------
    region : LesionRegion
        Lesion and skin.

    Returns
    -------
    dict
        ``labels``, an ndarray of the shape of the region, uint8, of positions
        in `LABELS` (what is small lies on top of what is large); for
        ``"dots"``, ``"globules"`` and ``"network"`` (its holes) a dict of
        ``centers`` (n, 2), row and column in the region, ``radii`` (n,) in its
        pixels, and ``weights`` (n,), how much each counts, 0.5 to 1;
        ``amounts``, the quantity behind each score. Without a lesion of
        sufficient size all labels are 0 and there is nothing else.
    """
    labels = np.zeros(region.mask.shape, np.uint8)
    if not region.has_lesion or 2 * region.radius < MIN_DIAMETER:
        return {"labels": labels}
    found = _find(region)
    frame = found.frame
    drawn = np.zeros(frame.mask.shape, np.uint8)
    size = drawn.shape[::-1]

    def at_full(half: np.ndarray) -> np.ndarray:
        return cv2.resize(half.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)

    drawn[at_full(found.flat)] = LABELS.index("homogeneous")
    result: dict[str, Any] = {"labels": labels, "amounts": found.amounts}
    zoom = np.array(frame.zoom)
    for kind in ("network", "dots", "globules"):
        if kind == "dots":
            drawn[at_full(found.streaks)] = LABELS.index("streaks")
        rows, columns, radii, weights = (values[found.spots[kind].weights >= 0.5] for values in found.spots[kind])
        reach = _CELL / 2 if kind == "network" else 1.0
        for row, column, radius in zip(rows, columns, radii, strict=True):
            center = round(column), round(row)
            cv2.circle(drawn, center, max(1, round(reach * radius)), LABELS.index(kind), cv2.FILLED)
        centers = (np.stack([rows, columns], axis=1) + 0.5) * zoom - 0.5 + frame.corner
        result[kind] = {"centers": centers, "radii": radii * float(np.sqrt(zoom.prod())), "weights": weights}
    drawn[~frame.mask] = 0
    height, width = (round(drawn.shape[axis] * frame.zoom[axis]) for axis in (0, 1))
    top, left = frame.corner
    resized = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST)
    labels[top : top + height, left : left + width] = resized
    labels[~region.mask] = 0
    return result
