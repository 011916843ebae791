"""A: asymmetry of shape, color and structure about two perpendicular axes of the lesion."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np

from ._region import SMALL, LesionRegion
from ._table import Block, Feature, measure_blocks
from .structure import structure_map

__all__ = ["BLOCKS", "best_axes", "explain_asymmetry", "measure_asymmetry", "principal_axes"]

_SIZE = 128  # working size: mirror images never fit to the pixel, and what is finer than this is texture
_BLUR = 0.04  # standard deviation of the Gaussian before colors are compared, in radii of the disc of equal area
_UNSEEN = 8.0  # CIELAB: what differs by less is not seen as two colors at a glance
_FLAT = 0.006  # strength of structure below which a lesion has none to speak of, see `structure_map`
_TRIED, _AS_GOOD = 4, 0.01  # pairs of axes among which colors decide, and how much less symmetric they may be
_RINGS, _TURNS = 32, 256  # rings and directions of the polar map in which the best axes are sought
# from these values on an axis counts as one of asymmetry: chosen on 1,000 training images of ISIC 2017, of which the
# score then tells melanomas best
_LIMITS = {"shape": 0.12, "color": 0.30, "structure": 0.42}

_STOLZ = "after Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_CELEBI = "Celebi et al., Comput. Med. Imaging Graph. 31 (2007) 362-373"
_WHAT = {
    "shape": "Share of the lesion without a mirror image in it",
    "color": "Mean color difference of mirrored places over the spread of the colors",
    "structure": "Mean difference of the strength of structure of mirrored places over its spread",
}
_AXES = ("major", "minor")


def _features_of(what: str) -> tuple[Feature, ...]:
    name, size = f"asymmetry_{what}", SMALL if what == "structure" else _SIZE
    return (
        Feature(name, "1", 0, 1, _STOLZ, f"{_WHAT[what]}, mean of the two principal axes.", size),
        *(
            Feature(f"{name}_{axis}", "1", 0, 1, _STOLZ, f"{_WHAT[what]}, about the {axis} principal axis.", size)
            for axis in _AXES
        ),
        Feature(f"{name}_best", "1", 0, 1, _STOLZ,
                f"{_WHAT[what]}, mean of the two perpendicular axes about which the shape is least asymmetric.", size),
    )  # fmt: skip


_FOLD_FEATURES = (
    Feature("asymmetry_fold", "1", 0, 1, _STOLZ,
            "Mean color difference of mirrored places over lesion and mirror image together, over 100: "
            "outline and color in one.", _SIZE),
)  # fmt: skip
_SCORE_FEATURES = (
    Feature("asymmetry_score", "1", 0, 2, _STOLZ,
            "Number of the two best axes about which shape, color or structure is asymmetric.", SMALL),
)  # fmt: skip
_SHIFT_FEATURES = (
    Feature("asymmetry_brightness_shift", "1", 0, 1, _CELEBI,
            "Distance of the center of darkness from that of the shape, over the equivalent diameter.", _SIZE),
    Feature("asymmetry_color_shift", "1", 0, 1, _CELEBI,
            "Distance of the center of color, weighted by the difference to the lesion's mean color, "
            "from that of the shape, over the equivalent diameter.", _SIZE),
)  # fmt: skip
_LEFT_OUT_FEATURES = (
    Feature("asymmetry_left_out", "1", 0, 1, "this package",
            "Share of the lesion whose mirror image about the principal axes lies outside of the view, "
            "mean of both axes: it is left out of what is above.", _SIZE),
)  # fmt: skip


class _Fold(NamedTuple):
    """A lesion folded along one axis."""

    matrix: np.ndarray
    mirrored: np.ndarray  # soft mask of the mirror image
    seen: np.ndarray  # pixels whose mirror place lies in view


class _Folds:
    """What a lesion looks like folded along its principal and its best axes, each computed once."""

    def __init__(self, region: LesionRegion) -> None:
        self.source = region
        self.region = region = region.at(_SIZE)
        # where a lesion meets its mirror image is within the lesion
        left, top, width, height = cv2.boundingRect(region.mask.view(np.uint8))
        self.corner = left, top
        self.window = np.s_[top : top + height, left : left + width]
        self.mask = np.ascontiguousarray(region.mask[self.window])
        self.solid = self.mask.astype(np.float32)
        # black frame and vignette are no more in view than what lies beyond the edge of the image
        self.hidden = None if region.field.all() else (~region.field).astype(np.float32)
        self.center, self.angle = principal_axes(self.mask)
        self.known: dict[tuple[str, float], float] = {}
        self._folds: dict[float, _Fold] = {}

    @property
    def principal(self) -> tuple[float, float]:
        """Directions of the principal axes."""
        return self.angle, self.angle + np.pi / 2

    @cached_property
    def best(self) -> tuple[float, float]:
        """Directions of the two perpendicular axes about which the lesion is least asymmetric."""
        candidates = best_axes(self.solid, self.center, in_view=self._polar_view)
        if len(candidates) > 1:  # about all of which the shape is as symmetric: colors decide
            costs = [sum(_about(self, "color", angle + turn) for turn in (0, np.pi / 2)) for angle in candidates]
            candidates = [candidates[int(np.argmin(costs))]]
        return candidates[0], candidates[0] + np.pi / 2

    @cached_property
    def colors(self) -> np.ndarray:
        """CIELAB of the whole region, blurred."""
        return cv2.GaussianBlur(self.region.lab, (0, 0), self._blur)

    @cached_property
    def own_colors(self) -> np.ndarray:
        """CIELAB of the lesion, blurred within it, so that skin does not shine through the outline.

        With a fourth channel of nothing: four are mirrored in half of the time of three.
        """
        weight = self.region.lesion[self.window].astype(np.float32)  # without hair that was painted over
        layers: np.ndarray = cv2.cvtColor(self.region.lab[self.window], cv2.COLOR_RGB2RGBA)  # the fourth is 1
        layers = np.multiply(layers, cv2.merge([weight] * 4), dtype=np.float32)
        layers = np.asarray(cv2.GaussianBlur(layers, (0, 0), self._blur, borderType=cv2.BORDER_CONSTANT), np.float32)
        layers /= np.maximum(layers[..., 3:], np.float32(1e-3))
        layers[..., 3] = 0
        return layers

    @property
    def _blur(self) -> float:
        return max(_BLUR * self.region.radius, 0.5)

    @cached_property
    def structure(self) -> np.ndarray:
        """Strength of structure: measured where there is detail left, compared where mirror images fit."""
        return structure_map(self.source.at(SMALL), self.mask.shape)

    def at(self, angle: float) -> _Fold:
        """Fold along the axis of one direction."""
        if angle not in self._folds:
            matrix = _mirror_matrix(self.center, angle)
            mirrored = self.mirror(self.solid, matrix, cv2.BORDER_CONSTANT)
            height, width = self.mask.shape
            y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]
            seen = self._in_image(*(row[0] * x + row[1] * y + row[2] for row in matrix.astype(np.float32)))
            if self.hidden is not None:
                seen &= self.mirror_of_region(self.hidden, matrix) < 0.5  # a frame goes on beyond the region
            self._folds[angle] = _Fold(matrix, mirrored, seen)
        return self._folds[angle]

    def mirror(self, layers: np.ndarray, matrix: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """Mirror image of one or more layers of the lesion."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(layers, matrix, self.mask.shape[::-1], flags=flags, borderMode=border))

    def mirror_of_region(self, layers: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Mirror image of one or more layers of the whole region, where the lesion is."""
        return self.mirror(layers, matrix + np.array([[0, 0, self.corner[0]], [0, 0, self.corner[1]]]))

    def _in_image(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell which places lie in the image; the region is a part of it, beyond which there is skin."""
        (top, left), (down, across) = self.region.offset, self.region.zoom
        height, width = self.region.image_shape
        x, y = x + self.corner[0], y + self.corner[1]
        return (
            (x >= -left / across - 0.5) & (x <= (width - left) / across - 0.5)
            & (y >= -top / down - 0.5) & (y <= (height - top) / down - 0.5)
        )  # fmt: skip

    def _polar_view(self, radius: float) -> np.ndarray:
        """Tell which places of the polar map lie in view."""
        turns = 2 * np.pi * np.arange(_TURNS)[:, None] / _TURNS
        rings = radius * np.arange(_RINGS)[None] / _RINGS
        view = self._in_image(self.center[0] + rings * np.cos(turns), self.center[1] + rings * np.sin(turns))
        if self.hidden is not None:
            pad = int(radius) + 1
            hidden = cv2.copyMakeBorder(self.hidden, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            center = (self.center[0] + self.corner[0] + pad, self.center[1] + self.corner[1] + pad)
            view &= _polar(hidden, center, radius) < 0.5
        return view.astype(np.float32)


def principal_axes(mask: np.ndarray) -> tuple[tuple[float, float], float]:
    """Find the centroid of a mask and the direction of its major principal axis.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        A mask that is not empty.

    Returns
    -------
    center : tuple of (float, float)
        Centroid as x, y (column, row).
    angle : float
        Direction of the major axis in radians, from the x axis towards y.
    """
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    center = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    angle = 0.5 * np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"])
    return center, float(angle)


def _polar(layer: np.ndarray, center: tuple[float, float], radius: float) -> np.ndarray:
    """Polar map of a layer: a row a direction, a column a ring."""
    return np.asarray(cv2.warpPolar(layer, (_RINGS, _TURNS), center, radius, cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS))


def best_axes(
    solid: np.ndarray, center: tuple[float, float], *, in_view: Callable[[float], np.ndarray] | None = None
) -> list[float]:
    """Find the pairs of perpendicular axes through a center about which a shape is least asymmetric.

    In a polar map P of the shape, its overlap with its mirror image about the
    axis at angle t is the convolution of P with itself over the direction, at
    2 t: one Fourier transform gives all axes at once.

    Parameters
    ----------
    solid : ndarray of shape (H, W), float32
        The shape, 1 inside and 0 outside.
    center : tuple of (float, float)
        Where the axes cross, as x, y.
    in_view : callable, default=None
        From the radius of the polar map, in pixels, to where it lies in view;
        everywhere if None.

    Returns
    -------
    list of float
        Direction of one of the two axes in radians from the x axis towards y,
        in [0, pi/2), in steps of 180/256 degrees: that of the best pair, and of
        up to three others, evenly spread, that are as good as it but for 0.01.
    """
    rows, columns = np.nonzero(solid)
    radius = float(np.sqrt(((rows - center[1]) ** 2 + (columns - center[0]) ** 2).max())) + 1
    polar = _polar(solid, center, radius) * np.sqrt(np.arange(_RINGS, dtype=np.float32))  # the area grows with radius
    view = np.ones_like(polar) if in_view is None else in_view(radius)
    transformed = np.fft.rfft(polar, axis=0)
    overlap = np.fft.irfft((transformed * transformed).sum(axis=1), _TURNS)
    weighted = np.fft.rfft(polar * np.sqrt(np.arange(_RINGS, dtype=np.float32)), axis=0)
    whole = np.fft.irfft((weighted * np.fft.rfft(view, axis=0)).sum(axis=1), _TURNS)
    asymmetry = 1 - overlap / np.maximum(whole, 1e-6)
    half = _TURNS // 2
    both = (asymmetry[:half] + asymmetry[half:]) / 2
    best = int(np.argmin(both))
    others = (best + np.arange(1, _TRIED) * half // _TRIED) % half
    return [float(np.pi * turn / _TURNS) for turn in (best, *others[both[others] <= both[best] + _AS_GOOD])]


def _mirror_matrix(center: tuple[float, float], angle: float) -> np.ndarray:
    """Affine matrix that mirrors about the axis through a center at an angle (it is its own inverse)."""
    cosine, sine = np.cos(2 * angle), np.sin(2 * angle)
    linear = np.array([[cosine, sine], [sine, -cosine]])
    shift = np.asarray(center) - linear @ np.asarray(center)
    return np.column_stack([linear, shift])


def _shape_about(folds: _Folds, angle: float) -> float:
    """Share of the lesion without a mirror image in it."""
    fold = folds.at(angle)
    asked = folds.mask & fold.seen
    if not asked.any():
        return 0.0
    return float(np.clip(1 - fold.mirrored[asked].mean(dtype=np.float64), 0, 1))


def _layer_about(folds: _Folds, angle: float, layer: np.ndarray, unseen: float) -> float:
    """Mean difference of mirrored places over the spread of a layer, where the lesion meets its mirror image."""
    fold = folds.at(angle)
    both = (folds.mask & fold.seen & (fold.mirrored > 0.5)).view(np.uint8)
    if not both.any():
        return 0.0
    middle = np.array(cv2.mean(layer, mask=both)[: 4 if layer.ndim == 3 else 1], np.float32)
    apart, around = (
        cv2.mean(_length(difference), mask=both)[0]
        for difference in (layer - folds.mirror(layer, fold.matrix), layer - middle)
    )
    return min(1.0, apart / (2 * around + unseen))


def _length(difference: np.ndarray) -> np.ndarray:
    """Length of the vector at each pixel."""
    if difference.ndim == 2:
        return np.abs(difference)
    square = cv2.transform(difference * difference, np.array([[1, 1, 1, 0][: difference.shape[2]]], np.float32))
    return np.asarray(cv2.sqrt(square))


def _color_about(folds: _Folds, angle: float) -> float:
    return _layer_about(folds, angle, folds.own_colors, _UNSEEN)


def _structure_about(folds: _Folds, angle: float) -> float:
    return _layer_about(folds, angle, folds.structure, _FLAT)


_ABOUT: dict[str, Callable[[_Folds, float], float]] = {
    "shape": _shape_about,
    "color": _color_about,
    "structure": _structure_about,
}


def _about(folds: _Folds, what: str, angle: float) -> float:
    """Asymmetry of shape, color or structure about the axis of one direction, computed once."""
    if (what, angle) not in folds.known:
        folds.known[what, angle] = _ABOUT[what](folds, angle)
    return folds.known[what, angle]


def _principal_block(what: str) -> Block:
    def measure(region: LesionRegion) -> dict[str, float]:
        folds = region.once(_Folds)
        values = [_about(folds, what, angle) for angle in folds.principal]
        name = f"asymmetry_{what}"
        return {name: sum(values) / 2} | {f"{name}_{axis}": value for axis, value in zip(_AXES, values, strict=True)}

    return Block(_features_of(what)[:3], measure)


def _best_block(what: str) -> Block:
    def measure(region: LesionRegion) -> dict[str, float]:
        folds = region.once(_Folds)
        return {f"asymmetry_{what}_best": sum(_about(folds, what, angle) for angle in folds.best) / 2}

    return Block(_features_of(what)[3:], measure)


def _measure_score(region: LesionRegion) -> dict[str, float]:
    folds = region.once(_Folds)
    asymmetric = [any(_about(folds, what, angle) >= limit for what, limit in _LIMITS.items()) for angle in folds.best]
    return {"asymmetry_score": float(sum(asymmetric))}


def _measure_fold(region: LesionRegion) -> dict[str, float]:
    folds = region.once(_Folds)
    colors = np.ascontiguousarray(folds.colors[folds.window])
    total = 0.0
    for angle in folds.principal:
        fold = folds.at(angle)
        distance = np.minimum(_length(colors - folds.mirror_of_region(folds.colors, fold.matrix)), 100)
        # what the lesion has without a mirror image, the mirror image has without the lesion
        weight = (folds.mask & fold.seen) * np.where(fold.mirrored > 0.5, np.float32(1), np.float32(2))
        total += float((distance * weight).sum(dtype=np.float64)) / 100 / max(float(weight.sum()), 1.0)
    return {"asymmetry_fold": total / 2}


def _measure_shifts(region: LesionRegion) -> dict[str, float]:
    folds = region.once(_Folds)
    colors = folds.own_colors
    middle = np.array(cv2.mean(colors, mask=folds.mask.view(np.uint8)), np.float32)
    # the outline mixes colors of lesion and skin, and noise on a lesion of one color has no center
    deep = folds.mask & (folds.region.inside[folds.window] > 0.1 * folds.region.radius)
    weights = {
        "brightness": np.maximum(100 - colors[..., 0], 0) * folds.solid,
        "color": np.maximum(_length(colors - middle) - np.float32(_UNSEEN / 2), 0) * deep,
    }
    diameter = 2 * folds.region.radius
    values = {}
    for name, weight in weights.items():
        moments = cv2.moments(weight.astype(np.float32))
        # a tenth of a unit a pixel is rounding, which has no center
        total = moments["m00"] + 0.1 * np.count_nonzero(folds.mask) * (name == "color")
        x, y = (moments[f"m{key}"] - moments["m00"] * at for key, at in zip(("10", "01"), folds.center, strict=True))
        away = float(np.hypot(x, y))
        values[f"asymmetry_{name}_shift"] = min(1.0, away / total / diameter) if total > 0 else 0.0
    return values


def _measure_left_out(region: LesionRegion) -> dict[str, float]:
    folds = region.once(_Folds)
    outside = [1 - float(folds.at(angle).seen[folds.mask].mean()) for angle in folds.principal]
    return {"asymmetry_left_out": sum(outside) / 2}


BLOCKS = (
    *(block(what) for what in _ABOUT for block in (_principal_block, _best_block)),
    Block(_FOLD_FEATURES, _measure_fold),
    Block(_SCORE_FEATURES, _measure_score),
    Block(_SHIFT_FEATURES, _measure_shifts),
    Block(_LEFT_OUT_FEATURES, _measure_left_out),
)
"""How the group is measured."""


def measure_asymmetry(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    artifacts: np.ndarray | None = None,
    features: Collection[str] | None = None,
) -> dict[str, float]:
    r"""Measure the asymmetry of shape, color and structure about perpendicular axes through the centroid.

    For each axis the lesion L is mirrored to L'; pixels whose mirror image
    lies outside of the image, or in a black frame, are left out.

    - Shape: the area of L without its mirror image, \|L \ L'\| / \|L\|, which
      is half of the area of the symmetric difference over \|L\|.
    - Color: with x the CIELAB color (smoothed over a fiftieth of the diameter)
      and x' that of the mirror place, over L and L' in common,
      mean \|x - x'\| / (2 mean \|x - mean x\| + 8). Without the 8 this is 0
      for a pattern that is its own mirror image and 1 for two halves of
      different color; the 8 units keep differences that are not seen at a
      glance from counting.
    - Structure: the same for the local strength of structure, see
      `skinseg.features.structure.structure_map`.

    Each is measured about the principal axes and about the best axes: the
    two perpendicular ones about which the shape is least asymmetric, as the
    rule places them; where many pairs are as good, as of a round lesion, the
    one of the least asymmetry of color. All are 0 for perfect symmetry and at most 1. Lesion and
    rim are brought to 128 pixels or less.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The lesion.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view; found in the image if None.
    artifacts : ndarray of shape (H, W), bool, default=None
        Hair and other pixels that were painted over.
    features : collection of str, default=None
        Which to measure; all if None.

    Returns
    -------
    dict of str to float
        For ``shape``, ``color`` and ``structure``: ``asymmetry_<what>`` (mean
        of both principal axes), ``_major``, ``_minor`` and ``_best`` (mean of
        the best axes); ``asymmetry_fold``, the mean CIELAB difference over L
        and L' together, over 100; ``asymmetry_score``, the 0, 1 or 2 of the
        rule: about how many of the best axes shape, color or structure is
        asymmetric (at least 0.12, 0.30 and 0.42);
        ``asymmetry_brightness_shift`` and ``asymmetry_color_shift``, distances
        of the centers of darkness and of color from the centroid, over the
        equivalent diameter; ``asymmetry_left_out``, the share of the lesion
        that has its mirror image outside of the view. NaN for an empty mask.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_asymmetry
    >>> image = np.full((80, 80, 3), 120, dtype=np.uint8)
    >>> mask = np.zeros((80, 80), dtype=bool)
    >>> mask[20:60, 10:70] = True
    >>> values = measure_asymmetry(image, mask)
    >>> round(values["asymmetry_shape"], 6), values["asymmetry_score"]
    (0.0, 0.0)
    """
    region = LesionRegion.of_arrays(image, mask, field=field, artifacts=artifacts)
    return measure_blocks(BLOCKS, region, features)


def explain_asymmetry(region: LesionRegion) -> dict[str, Any]:
    """Give the axes behind the numbers.

    Parameters
    ----------
    region : LesionRegion
        A region with a lesion.

    Returns
    -------
    dict
        ``center`` (row, column) and, in pixels of the region, the end points
        of the ``principal_axes`` and ``best_axes``, each of shape (2, 2, 2):
        axis, end, (row, column), and for each of the best axes whether shape,
        color and structure are asymmetric about it (``asymmetric``).
    """
    folds = region.once(_Folds)
    ratio = np.array(folds.region.zoom) / np.array(region.zoom)
    x, y = (place + corner for place, corner in zip(folds.center, folds.corner, strict=True))
    center = (np.array([y, x]) + 0.5) * ratio - 0.5
    rows, columns = np.nonzero(region.mask)

    def ends(angles: tuple[float, float]) -> np.ndarray:
        lines = []
        for angle in angles:
            direction = np.array([np.sin(angle), np.cos(angle)])
            along = (rows - center[0]) * direction[0] + (columns - center[1]) * direction[1]
            lines.append([center + along.min() * direction, center + along.max() * direction])
        return np.array(lines)

    return {
        "center": center,
        "principal_axes": ends(folds.principal),
        "best_axes": ends(folds.best),
        "asymmetric": [
            {what: bool(_about(folds, what, angle) >= limit) for what, limit in _LIMITS.items()} for angle in folds.best
        ],
    }
