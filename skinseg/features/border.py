"""B: how sharply the pigment ends (the clinical score), and how irregular the outline is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ._outline import (
    INDENTATION_DEPTH,
    box_dimension,
    curvature,
    hull_pockets,
    polygon_area,
    polygon_length,
    polygon_moments,
    resample,
    steps_of,
    trace_outline,
)
from ._region import SMALL, LesionRegion, medians, to_lab
from ._table import INF, Block, Feature, measure_blocks

__all__ = ["explain_border", "measure_border"]

N_POINTS = 256
"""Points of the outline at equal steps along it, for its curvature; a profile across it lies at every other."""

ABRUPT = 0.52
"""Sharpness from which on the pigment ends abruptly."""

_STEP = 0.0125  # distance of samples along a profile, in equivalent diameters
_LEAST_STEP = 0.5  # in pixels: a step narrower than two pixels cannot be told from one of two
_HALF_BAND = 2  # samples: the narrow band is twice that wide, 5 % of the equivalent diameter
# where the pigment ends is looked for from 8 % inside to 5 % outside of the outline, for people draw around lesions
_INWARD, _OUTWARD = 6, 4
_TOLERANCE = 2  # samples that the steepest place of a profile may lie beside that of its neighbors
_PLATEAU = (7, 13)  # samples from there between which either side is looked at, 9 to 16 %
_WIDE = 6  # samples on either side that the place is looked for by
_FLOOR = 0.3  # a local contrast below this share of the contrast of the lesion counts as this share
_LEAST_CONTRAST = 3.0  # CIELAB; noise on skin of one color is no border
_MAX_ARTIFACTS = 0.2  # share of a profile that may be painted over
_FIRST, _LAST = -_INWARD - _PLATEAU[1], _OUTWARD + _PLATEAU[1]
_REACH = np.arange(_FIRST, _LAST + 1)
_WINDOW = np.arange(-_PLATEAU[1], _PLATEAU[1] + 1)
_SIDE = _PLATEAU[1] - _PLATEAU[0] + 1
_INNER, _OUTER = slice(0, _SIDE), slice(-_SIDE, None)  # of the window
_DEEP, _BEYOND = slice(0, 1 - _PLATEAU[0] - _FIRST), slice(_PLATEAU[0] - _FIRST, None)  # of the reach
_LEAN = 0.3  # weight of the overall direction from skin to lesion, where both sides hardly differ
_CORE = slice(-_TOLERANCE - _HALF_BAND - _FIRST, _TOLERANCE + _HALF_BAND + 1 - _FIRST)

_STOLZ = "after Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_GEOMETRY = "elementary geometry"
_MANDELBROT = "Mandelbrot, Science 156 (1967) 636-638"
_OCTANT_NAMES = tuple(f"border_sharpness_{rank}" for rank in range(1, 9))
_SHARPNESS_FEATURES: tuple[Feature, ...] = (
    Feature("border_score", "1", 0, 8, _STOLZ,
            "Number of octants whose outline is abrupt for at least a half; scaled to 8 where some are out of sight.",
            SMALL),
    Feature("border_sharpness_mean", "1", 0, 1, _STOLZ,
            "Mean over the outline of the share of the step from skin to lesion that lies within 5 % of the diameter.",
            SMALL),
    Feature("border_sharpness_std", "1", 0, 0.5, _STOLZ,
            "Standard deviation of that share along the outline.", SMALL),
    *(Feature(name, "1", 0, 1, _STOLZ, f"Mean sharpness of the octant of rank {rank} of 8 from the sharpest.", SMALL)
      for rank, name in enumerate(_OCTANT_NAMES, start=1)),
    Feature("border_abrupt_share", "1", 0, 1, _STOLZ,
            f"Share of the outline with a sharpness of at least {ABRUPT}.", SMALL),
)  # fmt: skip
_IRREGULARITY_FEATURES: tuple[Feature, ...] = (
    Feature("border_compactness", "1", 1, INF, _GEOMETRY, "Perimeter squared over 4 pi times the area; 1 for a disc."),
    Feature("border_solidity", "1", 0, 1, _GEOMETRY, "Area over the area of the convex hull."),
    Feature("border_convexity", "1", 0, 1, _GEOMETRY, "Perimeter of the convex hull over the perimeter."),
    Feature("border_radial_irregularity", "1", 0, INF, _GEOMETRY,
            "Standard deviation over mean of the distance from the centroid along the outline; 0 for a disc."),
    Feature("border_curvature_std", "1", 0, INF, _GEOMETRY,
            "Standard deviation of the curvature, times the equivalent radius, of the outline smoothed at 2.5 % of its "
            "length; 0 for a disc."),
    Feature("border_curvature_mean_abs", "1", 0, INF, _GEOMETRY,
            "Mean size of the curvature, times the equivalent radius, of the outline smoothed at 2.5 % of its length; "
            "1 for a disc."),
    Feature("border_indentation_count", "1", 0, INF, _GEOMETRY,
            "Number of dents deeper below the convex hull than 2.5 % of the equivalent diameter."),
    Feature("border_indentation_depth", "1", 0, INF, _GEOMETRY,
            "Depth of the deepest dent below the convex hull over the equivalent diameter."),
    Feature("border_indentation_area", "1", 0, INF, _GEOMETRY,
            "Area of the dents deeper than 2.5 % of the equivalent diameter over the area of the lesion."),
)  # fmt: skip
_FRACTAL_FEATURES: tuple[Feature, ...] = (
    Feature("border_fractal_dimension", "1", 0, 2, _MANDELBROT,
            "Box-counting dimension over boxes of 1/48 to 1/6 of the equivalent diameter; 1 for a smooth outline."),
)  # fmt: skip


@dataclass(frozen=True)
class _Outline:
    """The outline of a region (row, column), with what every feature of it needs."""

    polygon: np.ndarray
    area: float
    length: float
    centroid: np.ndarray
    angle: float
    points: np.ndarray
    bend: np.ndarray
    speed: np.ndarray
    normals: np.ndarray

    @property
    def diameter(self) -> float:
        return float(np.sqrt(4 * self.area / np.pi))

    def octant_of(self, points: np.ndarray) -> np.ndarray:
        """Octant about the centroid in which points lie, the first from the major principal axis to 45 degrees on."""
        away = points - self.centroid
        turn = (np.arctan2(away[:, 0], away[:, 1]) - self.angle) % (2 * np.pi)
        return (turn / (np.pi / 4)).astype(np.intp) % 8


@dataclass(frozen=True)
class _Profiles:
    """Sharpness on profiles across the outline.

    Attributes
    ----------
    points, normals : ndarray of shape (128, 2)
        Where they cross the outline, and outwards, in the region's pixels.
    reach : tuple of (float, float)
        From the outline to the inner and the outer end, in the region's pixels.
    octant : ndarray of shape (128,), int
        Octant about the centroid, the first from the major principal axis to 45 degrees on.
    seen : ndarray of shape (128,), bool
        Whether it can be measured.
    sharpness : ndarray of shape (128,), float
        From 0 to 1; of no meaning where not seen.
    """

    points: np.ndarray
    normals: np.ndarray
    reach: tuple[float, float]
    octant: np.ndarray
    seen: np.ndarray
    sharpness: np.ndarray

    def octants(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean sharpness and share of abrupt profiles of each octant, NaN where none can be measured."""
        seen = np.bincount(self.octant[self.seen], minlength=8)
        # a few profiles at the end of a cut outline say little about an octant
        enough = seen >= np.maximum(1, np.bincount(self.octant, minlength=8) / 4)
        if not enough.any():
            enough = seen > 0
        sharpness = self.sharpness[self.seen]
        result = []
        for values in (sharpness, sharpness >= ABRUPT):
            total = np.bincount(self.octant[self.seen], weights=values, minlength=8)
            result.append(np.where(enough, total / np.maximum(seen, 1), np.nan))
        return result[0], result[1]


def _trace(region: LesionRegion) -> _Outline:
    polygon = trace_outline(region.mask)
    centroid, angle = polygon_moments(polygon)
    points = resample(polygon, N_POINTS)
    area, length = polygon_area(polygon), polygon_length(polygon)
    return _Outline(polygon, area, length, centroid, angle, points, *curvature(points))


def _cross(region: LesionRegion) -> _Profiles:
    """Lay profiles across the outline, and measure the sharpness on each."""
    outline = region.once(_trace)
    points, normals = outline.points[::2], outline.normals[::2]
    small = region.at(SMALL)
    ratio = np.divide(region.mask.shape, small.mask.shape)
    # the copy is shrunk by the same factor both ways, up to the rounding of its size
    step = max(_STEP * outline.diameter / float(ratio.mean()), _LEAST_STEP)
    crossings, across = ((points + 0.5) / ratio - 0.5).astype(np.float32), (step * normals).astype(np.float32)
    places = crossings[:, None] + _REACH.astype(np.float32)[:, None] * across[:, None]
    seen, sharpness = _sharpness(small, places)
    pixels = step * float(ratio.mean())
    return _Profiles(points, normals, (_FIRST * pixels, _LAST * pixels), outline.octant_of(points), seen, sharpness)


def _sharpness(region: LesionRegion, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure which profiles can be seen, and how sharp the pigment ends on each.

    Parameters
    ----------
    region : LesionRegion
        Where they lie.
    places : ndarray of shape (n, 37, 2)
        The samples (row, column) of closed profiles, from the inside outwards.

    Returns
    -------
    seen : ndarray of shape (n,), bool
        Whether the profile can be measured.
    sharpness : ndarray of shape (n,), float64
        From 0 to 1.
    """
    in_lesion, in_view, painted = _membership(region, places)
    pigmented, bare = in_lesion & in_view, in_view & ~in_lesion
    skin_seen = bare[:, _BEYOND]
    seen = in_view[:, _CORE].all(axis=1) & skin_seen.any(axis=1)
    clean = seen & (painted.mean(axis=1) <= _MAX_ARTIFACTS)
    if clean.any():  # else what was painted is better than nothing
        seen = clean
    if not seen.any():
        return seen, np.zeros(len(places))
    # converting the samples is far cheaper than converting the image
    y, x = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    samples = cv2.remap(region.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lab = to_lab(samples)
    # every third sample is enough for a median
    skin = medians(lab[:, _BEYOND][skin_seen & seen[:, None]][::3].T).astype(np.float32)
    lesion = _mean_color(region)
    # lesion and skin on either side, first of the outline, then of where the pigment is found to end
    window = slice(_INWARD, _INWARD + len(_WINDOW))
    step = _along(
        _weighted(lab[:, window][:, _INNER], pigmented[:, window][:, _INNER], lesion)
        - _weighted(lab[:, window][:, _OUTER], bare[:, window][:, _OUTER], skin),
        1,
    )
    axis = step + _LEAN * (lesion - skin)
    axis /= np.maximum(np.sqrt(np.einsum("ij,ij->i", axis, axis)), 1e-6)[:, None]
    pigment = np.einsum("ijk,ik->ij", lab, axis)
    here = _ends(pigment)[:, None] + _WINDOW
    pigment, pigmented, bare = (np.take_along_axis(values, here, axis=1) for values in (pigment, pigmented, bare))
    contrast = _along(
        _weighted(pigment[:, _INNER, None], pigmented[:, _INNER], axis @ lesion[:, None])
        - _weighted(pigment[:, _OUTER, None], bare[:, _OUTER], axis @ skin[:, None]),
        1,
    )[:, 0]
    least = max(_FLOOR * _spread_from(skin, lab[:, _DEEP], in_lesion[:, _DEEP]), _LEAST_CONTRAST)
    pigment = _along(_filtered(pigment), 1)
    first = _PLATEAU[1] - _TOLERANCE - _HALF_BAND
    width = 2 * _TOLERANCE + 1
    drops = pigment[:, first : first + width] - pigment[:, first + 2 * _HALF_BAND : first + 2 * _HALF_BAND + width]
    return seen, np.clip(drops.max(axis=1) / np.maximum(contrast, least), 0, 1).astype(np.float64)


def _mean_color(region: LesionRegion) -> np.ndarray:
    """CIELAB of the mean color of the lesion."""
    pixel = np.array(cv2.mean(region.image, region.lesion.view(np.uint8))[:3])
    return to_lab(np.rint(pixel).astype(np.uint8)[None, None])[0, 0]


def _spread_from(skin: np.ndarray, lab: np.ndarray, chosen: np.ndarray) -> float:
    """Root mean square CIELAB difference of the chosen samples from the skin: pale parts do not cancel dark ones."""
    difference = lab - skin
    square = np.einsum("ijk,ijk->ij", difference, difference)
    return float(np.sqrt((square * chosen).sum() / max(np.count_nonzero(chosen), 1)))


def _ends(pigment: np.ndarray) -> np.ndarray:
    """Find where the pigment ends: the sample of each profile at which its two sides differ most."""
    sums = np.cumsum(np.pad(_along(pigment, 2), ((0, 0), (1, 0))), axis=1)
    boxes = sums[:, _WIDE:] - sums[:, :-_WIDE]
    start, width = _PLATEAU[1], _INWARD + _OUTWARD + 1
    drop = boxes[:, start - _WIDE : start - _WIDE + width] - boxes[:, start + 1 : start + 1 + width]
    return start + drop.argmax(axis=1)


def _membership(region: LesionRegion, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Look up which samples lie in the lesion, in view and on what was painted over."""
    nearest = np.rint(places).astype(np.intp)
    height, width = region.mask.shape
    rows, columns = np.clip(nearest[..., 0], 0, height - 1), np.clip(nearest[..., 1], 0, width - 1)
    in_view = (rows == nearest[..., 0]) & (columns == nearest[..., 1])
    flat = rows * width + columns
    in_view &= region.field.ravel()[flat]
    return region.mask.ravel()[flat], in_view, region.artifacts.ravel()[flat]


def _weighted(values: np.ndarray, chosen: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Mean color of the chosen samples of each profile; another where there is none."""
    weights = chosen.astype(np.float32)
    count = weights.sum(axis=1)
    mean = np.einsum("ijk,ij->ik", values, weights) / np.maximum(count, 1)[:, None]
    return np.where(count[:, None] > 0, mean, otherwise)


def _filtered(pigment: np.ndarray) -> np.ndarray:
    """Take what is narrower than an edge out of the profiles: a median over five samples of five neighbors.

    A straight edge passes it as it is, however sharp; hairs, dots and noise do not.
    """
    return cv2.medianBlur(cv2.copyMakeBorder(pigment, 2, 2, 0, 0, cv2.BORDER_WRAP), 5)[2:-2]


def _along(values: np.ndarray, spread: float) -> np.ndarray:
    """Smooth along the closed outline by a Gaussian, given in profiles."""
    pad = int(np.ceil(3 * spread))
    closed = cv2.copyMakeBorder(values, pad, pad, 0, 0, cv2.BORDER_WRAP)
    smooth = cv2.GaussianBlur(closed, (1, 2 * pad + 1), sigmaX=1, sigmaY=spread)[pad:-pad]
    return smooth.reshape(values.shape)


def _measure_sharpness(region: LesionRegion) -> dict[str, float]:
    """Measure how abruptly the pigment ends."""
    profiles = region.once(_cross)
    if not profiles.seen.any():
        return region.not_measured(
            [feature.name for feature in _SHARPNESS_FEATURES], "there is no skin in view along the outline"
        )
    sharpness = profiles.sharpness[profiles.seen]
    means, shares = profiles.octants()
    measured = ~np.isnan(means)
    ordered = np.sort(means[measured])[::-1]
    ranks = np.interp(np.linspace(0, 1, 8), np.linspace(0, 1, len(ordered)), ordered)
    score = np.floor(8 * np.count_nonzero(shares[measured] >= 0.5) / np.count_nonzero(measured) + 0.5)
    return {
        "border_score": score,
        "border_sharpness_mean": sharpness.mean(),
        "border_sharpness_std": sharpness.std(),
        **dict(zip(_OCTANT_NAMES, ranks.tolist(), strict=True)),
        "border_abrupt_share": np.mean(sharpness >= ABRUPT),
    }


def _measure_irregularity(region: LesionRegion) -> dict[str, float]:
    """Measure the shape of the outline."""
    outline = region.once(_trace)
    polygon, area, length, diameter = outline.polygon, outline.area, outline.length, outline.diameter
    steps = steps_of(polygon)
    away = (polygon + np.roll(polygon, -1, axis=0)) / 2 - outline.centroid
    radii = np.hypot(away[:, 0], away[:, 1])
    mean_radius = np.dot(radii, steps) / length
    spread = np.sqrt(np.dot((radii - mean_radius) ** 2, steps) / length)
    hull, depths, areas = hull_pockets(polygon)
    deep = depths > INDENTATION_DEPTH * diameter
    speed, bend = outline.speed, outline.bend * diameter / 2
    mean_bend = np.average(bend, weights=speed)
    return {
        "border_compactness": max(1.0, length**2 / (4 * np.pi * area)),
        "border_solidity": min(1.0, area / polygon_area(hull)),
        "border_convexity": min(1.0, polygon_length(hull) / length),
        "border_radial_irregularity": float(spread / mean_radius),
        "border_curvature_std": float(np.sqrt(np.average((bend - mean_bend) ** 2, weights=speed))),
        "border_curvature_mean_abs": float(np.average(np.abs(bend), weights=speed)),
        "border_indentation_count": float(np.count_nonzero(deep)),
        "border_indentation_depth": float(depths.max() / diameter),
        "border_indentation_area": float(areas[deep].sum() / area),
    }


def _measure_fractal(region: LesionRegion) -> dict[str, float]:
    outline = region.once(_trace)
    return {"border_fractal_dimension": float(np.clip(box_dimension(outline.polygon, outline.diameter), 0, 2))}


BLOCKS = (
    Block(_SHARPNESS_FEATURES, _measure_sharpness),
    # the outline is traced on the mask as it comes
    *(
        Block(tuple(feature._replace(working_size=512) for feature in features), measure)
        for features, measure in (
            (_IRREGULARITY_FEATURES, _measure_irregularity),
            (_FRACTAL_FEATURES, _measure_fractal),
        )
    ),
)
"""How the group is measured."""


def measure_border(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    artifacts: np.ndarray | None = None,
    features: Collection[str] | None = None,
) -> dict[str, float]:
    r"""Measure how sharply the pigment ends, and how irregular the outline is.

    These are two different things: the clinical B counts the octants in which
    the pigment ends abruptly, whatever the shape of the outline.

    **Sharpness.** 128 profiles cross the outline at equal steps along it, at
    256 pixels or less. On each the samples (CIELAB, 1.25 % of the equivalent
    diameter apart, at least half a pixel) are projected on the direction from
    the skin beyond to the lesion within. The place where the pigment ends is
    looked for from 8 % of the diameter inside of the outline to 5 % outside.
    The sharpness is the share of the step between the two sides (9 to 16 % of
    the diameter away) that lies within a band of 5 % of the diameter; a step
    of less than 0.3 of the contrast of the whole lesion, or 3 CIELAB units,
    counts as that much. An edge that is a logistic function of scale s gives
    about tanh(0.025 D / 2 s). A median over five samples of five profiles
    takes hairs and dots out. A profile is abrupt from a sharpness of 0.52 on,
    an octant if at least half of its profiles are. Octants lie about the
    centroid, the first from the major principal axis on. Profiles that leave
    the image or the field of view, or a fifth of which is painted over, are
    left out (painted ones only if others remain), and so are octants of which
    less than a quarter is seen: the count of the others is scaled to eight and
    rounded half up, and their means are interpolated to eight ranks.

    **Irregularity.** All values are pure numbers of a polygon that is smoothed
    relative to the size of the lesion; with perimeter P, area A, convex hull
    H, equivalent diameter D and distances r from the centroid,

    - compactness = P^2 / (4 pi A), at least 1, and 1 for a disc;
    - solidity = A / area(H), convexity = perimeter(H) / P, both at most 1;
    - radial irregularity = standard deviation of r / mean of r, both weighted
      by the length of the outline, 0 for a disc;
    - curvature times D / 2 of the outline smoothed by a Gaussian of 2.5 % of
      its length: standard deviation (0 for a disc) and mean size (1 for a
      disc, less for other convex shapes, more for notched ones);
    - indentations are the dents below the sides of the hull that are deeper
      than 2.5 % of D: their number, and their area over A; the depth is that
      of the deepest dent, over D;
    - the fractal dimension is the slope of the logarithm of the number of
      boxes that the outline enters on that of one over their side, over five
      sides from 1/48 to 1/6 of D, averaged over places of the grid; 1 for a
      smooth outline.

    Where the image cuts the lesion its edge counts as outline.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The lesion; the outer outline of the largest component counts.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view; found in the image if None.
    artifacts : ndarray of shape (H, W), bool, default=None
        Pixels that were painted over, as of hair.
    features : collection of str, default=None
        Names of the features wanted; all if None.

    Returns
    -------
    dict of str to float
        The features. NaN for an empty mask, and the sharpness where no skin
        is in view along the outline.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527.

    B. B. Mandelbrot, "How long is the coast of Britain? Statistical
    self-similarity and fractional dimension", Science 156 (1967) 636-638.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_border
    >>> y, x = np.mgrid[:201, :201] - 100
    >>> disc = x**2 + y**2 <= 60**2
    >>> image = np.full((201, 201, 3), (200, 170, 150), dtype=np.uint8)
    >>> image[disc] = (120, 70, 50)
    >>> values = measure_border(image, disc)
    >>> values["border_score"], round(values["border_compactness"], 1)
    (8.0, 1.0)
    """
    return measure_blocks(BLOCKS, LesionRegion.of_arrays(image, mask, field=field, artifacts=artifacts), features)


def explain_border(region: LesionRegion) -> dict[str, Any]:
    """Give the geometry behind the measures of the border.

    Parameters
    ----------
    region : LesionRegion
        The region that is measured.

    Returns
    -------
    dict
        All points are (row, column) in the region; ``region.to_image`` maps
        them to the image.

        - ``outline``, ``hull``: vertices of the closed polygons, of shape
          (n, 2);
        - ``centroid``: of shape (2,);
        - ``octants``: for each of eight a dict with ``start_angle`` (radians
          from the columns towards the rows, 45 degrees wide), ``sharpness``
          and ``abrupt_share`` (NaN where they cannot be seen), ``abrupt`` and
          its part of the ``outline``;
        - ``profiles``: dict with the 128 ``points`` on the outline, the
          ``inner`` and ``outer`` ends, ``octant`` and ``sharpness`` (NaN where
          left out).

        Empty arrays and lists without a lesion.
    """
    if not region.has_lesion:
        nothing = np.zeros((0, 2))
        return {"outline": nothing, "hull": nothing, "centroid": np.zeros(0), "octants": [], "profiles": {}}
    outline, profiles = region.once(_trace), region.once(_cross)
    means, shares = profiles.octants()
    octant = outline.octant_of(outline.polygon)
    return {
        "outline": outline.polygon,
        "hull": hull_pockets(outline.polygon)[0],
        "centroid": outline.centroid,
        "octants": [
            {
                "start_angle": outline.angle + index * np.pi / 4,
                "sharpness": float(means[index]),
                "abrupt_share": float(shares[index]),
                "abrupt": bool(shares[index] >= 0.5),
                "outline": outline.polygon[octant == index],
            }
            for index in range(8)
        ],
        "profiles": {
            "points": profiles.points,
            "inner": profiles.points + profiles.reach[0] * profiles.normals,
            "outer": profiles.points + profiles.reach[1] * profiles.normals,
            "octant": profiles.octant,
            "sharpness": np.where(profiles.seen, profiles.sharpness, np.nan),
        },
    }
