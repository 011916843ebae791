"""C: color of the lesion, against the skin around it and as the six clinical colors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

import cv2
import numpy as np

from ._region import LINEAR, LesionRegion, linear_to_lab, median_color, pixels_at, surrounding_skin
from ._table import INF, Block, Feature, measure_blocks

__all__ = [
    "BLOCKS",
    "COLOR_NAMES",
    "adapt_to_skin",
    "clinical_colors",
    "explain_color",
    "measure_color",
    "surrounding_skin",
]

COLOR_NAMES = ("white", "red", "light_brown", "dark_brown", "blue_gray", "black")
"""The six colors of the ABCD rule, in the order of their labels (from 0)."""

STANDARD_SKIN = (205, 165, 145)
"""sRGB of the light skin to which the surrounding skin is adapted; its CIELAB is about (71, 12, 16)."""

# CIELAB after adaptation to the skin: several shades of each color, and of skin, to the nearest of which a pixel goes.
# Light brown, dark brown and black follow the line on which the pigment of lesions lies: their means in thirds of the
# lightness; white, red and blue-gray lie off that line as the published reference colors do. -1 is skin.
_SHADES: tuple[tuple[int, tuple[float, float, float]], ...] = (
    (0, (76, 8, 9)), (0, (84, 4, 4)), (0, (80, 2, 0)),
    (1, (50, 38, 22)), (1, (57, 34, 19)), (1, (42, 40, 25)), (1, (34, 42, 26)),
    (2, (55, 21, 27)), (2, (50, 26, 31)), (2, (60, 19, 25)),
    (3, (36, 23, 24)), (3, (30, 25, 22)), (3, (41, 26, 27)), (3, (27, 19, 18)),
    (4, (45, 6, 2)), (4, (54, 8, 5)), (4, (36, 7, -2)), (4, (42, 2, -6)), (4, (30, 4, -5)),
    (5, (18, 9, 6)), (5, (12, 3, 3)), (5, (17, 15, 11)), (5, (5, 1, 0)),
    (-1, (71, 12, 16)), (-1, (68, 15, 19)), (-1, (74, 10, 16)),
)  # fmt: skip
_POINTS = np.array([point for _, point in _SHADES], np.float32)
_HALF_SQUARES = (_POINTS**2).sum(axis=1, keepdims=True) / 2
_SHADES_OF = {
    label: slice(min(places), max(places) + 1)
    for label in sorted({label for label, _ in _SHADES})
    if (places := [place for place, (other, _) in enumerate(_SHADES) if other == label])
}
_SKIN_LIGHTNESS = 71.0  # that of the standard skin
_SIZE = 160  # working size: colors are areas, no pixels
_PRESENT = 0.04  # share of the lesion from which a color counts as present
_RIM = 0.15  # depth, in radii of the disc of equal area, to which the outline mixes lesion and skin
_PATCH = 0.025  # radius, in the same radii, of the smallest patch of a color; thinner bands lie between two others
_VEIL = ((24.0, 62.0), 16.0, 8.0)  # lightness, highest a* and b* of blue-white veil
_SCAR = (56.0, 15.0)  # least lightness and highest chroma of what looks like regression
_NO_SKIN = "no skin in view around the lesion"
_NO_COLOR = "the image is gray"
_GRAY = 2  # levels by which the channels of a gray image may differ
_HALO = 0.15  # reach of the skin next to the outline, in radii of the disc of equal area
_BINS = (8.0, 6.0, 6.0)  # CIELAB units of a cell of the color histogram

OF_LIGHT = re.compile(r"color_(l_|relative_l_|value_)")
"""Names of features of lightness alone, which a gray image has."""

_STOLZ = "after Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_CIE = "CIE 15:2018 (CIELAB, D65)"
_STANLEY = "Stanley et al., Skin Res. Technol. 13 (2007) 62-72"
_CELEBI = "Celebi et al., Comput. Med. Imaging Graph. 31 (2007) 362-373"
_VEIL_SOURCE = "after Celebi et al., Comput. Med. Imaging Graph. 32 (2008) 670-677"
_SHANNON = "Shannon, Bell Syst. Tech. J. 27 (1948) 379-423"
_SMITH = "Smith, Computer Graphics 12 (1978) 12-19 (HSV)"
_CHANNELS = (("l", "lightness L*"), ("a", "red-green axis a*"), ("b", "yellow-blue axis b*"))

_CIELAB_FEATURES = (
    *(
        Feature(f"color_{c}_mean", "CIELAB", 0 if c == "l" else -128, 100 if c == "l" else 127, _CIE,
                f"Mean {text} of the lesion.")
        for c, text in _CHANNELS[1:]
    ),
    *(
        Feature(f"color_{c}_std", "CIELAB", 0, 128, _CIE, f"Standard deviation of the {text} within the lesion.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_contrast", "CIELAB", -255, 255, _STANLEY,
                f"Mean {text} of the lesion minus that of the skin around it.")
        for c, text in _CHANNELS[1:]
    ),
    *(
        Feature(f"color_{c}_core_contrast", "CIELAB", -255, 255, _CELEBI,
                f"Mean {text} of the inner part of the lesion minus that of its rim.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_rim_std", "CIELAB", 0, 128, _CELEBI,
                f"Standard deviation of the {text} along the rim, the outer fifth of the radius.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_halo_contrast", "CIELAB", -255, 255, _CELEBI,
                f"Mean {text} of the skin up to 0.15 radii from the outline minus that of the skin around it.")
        for c, text in _CHANNELS
    ),
    Feature("color_l_depth_correlation", "1", -1, 1, _CELEBI,
            "Correlation of the lightness with the distance from the outline: negative where the center is darkest."),
)  # fmt: skip
_RELATIVE_FEATURES = (
    *(
        Feature(f"color_relative_{c}_{name}", "CIELAB", -255, 255, _STANLEY,
                f"{title} of the {text} over the lesion, after adaptation to the surrounding skin, "
                "minus that of the skin.")
        for c, text in _CHANNELS
        for name, title in (("low", "5 % quantile"), ("median", "Median"), ("high", "95 % quantile"))
    ),
    *(
        Feature(f"color_relative_{c}_std", "CIELAB", 0, 128, _STANLEY,
                f"Standard deviation of the {text} over the lesion after adaptation to the surrounding skin.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_relative_{c}_skewness", "1", -INF, INF, _STANLEY,
                f"Skewness of the {text} over the lesion after adaptation; 0 where there is one color only.")
        for c, text in _CHANNELS
    ),
    Feature("color_contrast", "CIELAB", 0, INF, _STANLEY,
            "Color difference (CIE 1976) of the means of lesion and surrounding skin, after adaptation."),
    Feature("color_variegation", "CIELAB", 0, 255, _CIE,
            "Root of the mean square color difference to the mean color of the lesion, after adaptation."),
    Feature("color_relative_hue", "degree", -180, 180, _CIE,
            "Circular mean of the CIELAB hue after adaptation; red is about 40, yellow 90, blue -60."),
    Feature("color_relative_hue_concentration", "1", 0, 1, _CIE,
            "Length of the mean vector of the same hues; 1 for a single hue."),
    Feature("color_relative_chroma_std", "CIELAB", 0, 128, _CIE,
            "Standard deviation of the chroma after adaptation."),
    Feature("color_relative_volume", "1", 0, INF, _CIE,
            "Logarithm of 1 + the determinant of the covariance of the adapted colors, in CIELAB units."),
    Feature("color_perceptible_count", "1", 1, INF,
            "after Seidenari et al., Br. J. Dermatol. 149 (2003) 523-529",
            "Number of cells of 8 x 6 x 6 CIELAB units that hold at least 1 % of the adapted colors."),
    Feature("color_entropy", "bit", 0, 16, _SHANNON,
            "Entropy of the histogram of the adapted CIELAB colors in cells of 8 x 6 x 6 units."),
)  # fmt: skip
_HSV_FEATURES = (
    Feature("color_hue_mean", "degree", -180, 180, _SMITH, "Circular mean of the hue; red is 0, yellow 60."),
    Feature("color_hue_concentration", "1", 0, 1, _SMITH, "Length of the mean hue vector; 1 for a single hue."),
    Feature("color_saturation_mean", "1", 0, 1, _SMITH, "Mean saturation."),
    Feature("color_saturation_std", "1", 0, 0.5, _SMITH, "Standard deviation of the saturation."),
    Feature("color_value_std", "1", 0, 0.5, _SMITH, "Standard deviation of the value."),
)  # fmt: skip
_CLINICAL_FEATURES = (
    *(
        Feature(f"color_{name}_share", "1", 0, 1, _STOLZ,
                f"Share of the lesion that is {name.replace('_', ' ')} against the surrounding skin.")
        for name in COLOR_NAMES
    ),
    Feature("color_count", "1", 1, 6, _STOLZ,
            "How many of the six clinical colors have at least 4 % of the lesion, at least one."),
    Feature("color_blue_white_veil_share", "1", 0, 1, _VEIL_SOURCE,
            "Share of the lesion that is bluish at a medium lightness."),
    Feature("color_regression_share", "1", 0, 1, _VEIL_SOURCE,
            "Share of the lesion that is pale without color, as scars and peppering are."),
)  # fmt: skip


def adapt_to_skin(colors: np.ndarray, skin: Any = STANDARD_SKIN) -> np.ndarray:
    """Adapt colors so that the surrounding skin takes the color of standard light skin.

    Each linear channel is multiplied by the ratio of the standard skin to the
    given one (von Kries). Light of another strength or color, and darker
    skin, then leave the colors of a lesion where they are.

    Parameters
    ----------
    colors : ndarray of shape (..., 3), uint8
        sRGB.
    skin : array-like of shape (3,), default=STANDARD_SKIN
        sRGB, 0 to 255, of the surrounding skin; the default changes nothing.

    Returns
    -------
    ndarray of shape (..., 3), float32
        CIELAB. A channel that would be brighter than white is as bright as
        white.

    References
    ----------
    J. von Kries, "Die Gesichtsempfindungen", Handbuch der Physiologie des
    Menschen 3 (1905) 109-282.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features.color import adapt_to_skin
    >>> adapt_to_skin(np.array([[120, 100, 90]], dtype=np.uint8), skin=(120, 100, 90)).round(0).astype(int).tolist()
    [[71, 12, 16]]
    """
    ends = np.asarray([STANDARD_SKIN, np.clip(skin, 4, 255)], np.float64)  # black skin would be an endless gain
    standard, own = (np.interp(end, np.arange(256), LINEAR) for end in ends)
    table = np.minimum(LINEAR[:, None] * (standard / own), 1).astype(np.float32)
    flat = np.ascontiguousarray(colors.reshape(-1, 1, 3))
    return linear_to_lab(cv2.LUT(flat, table.reshape(1, 256, 3))).reshape(colors.shape)


def clinical_colors(lab: np.ndarray) -> np.ndarray:
    """Assign colors to the six clinical ones.

    A color goes to the nearest of several shades of each; what is nearest to
    skin is none. White counts only where it is lighter than the skin, as the
    rule says.

    Parameters
    ----------
    lab : ndarray of shape (..., 3), floating
        CIELAB after `adapt_to_skin`.

    Returns
    -------
    ndarray of shape (...), int
        Position in `COLOR_NAMES`; -1 for skin.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features.color import COLOR_NAMES, clinical_colors
    >>> [COLOR_NAMES[label] for label in clinical_colors(np.array([[15, 8, 5], [55, 22, 28]]))]
    ['black', 'light_brown']
    """
    channels = np.ascontiguousarray(lab.reshape(-1, 3).astype(np.float32, copy=False).T)
    return _nearest_colors(channels).astype(np.intp).reshape(lab.shape[:-1])


def _nearest_colors(channels: np.ndarray) -> np.ndarray:
    """Labels (n,), int8, of colors given as channels (3, n): one color after the other, far quicker than an argmin."""
    # half of the squared distance without the term that all shades share
    scores = _HALF_SQUARES - _POINTS @ channels
    labels = np.full(channels.shape[1], -1, np.int8)
    nearest = np.minimum.reduce(scores[_SHADES_OF[-1]])
    for label, shades in _SHADES_OF.items():
        if label < 0:
            continue
        score = np.minimum.reduce(scores[shades])
        nearer = score < nearest
        if label == 0:
            nearer &= channels[0] > _SKIN_LIGHTNESS
        np.copyto(nearest, score, where=nearer)
        np.copyto(labels, np.int8(label), where=nearer)
    return labels


_STANDARD_LAB = adapt_to_skin(np.array([STANDARD_SKIN], np.uint8))[0]


def _pixels(region: LesionRegion) -> np.ndarray:
    """Give the sRGB colors of the lesion, of shape (n, 3)."""
    return pixels_at(region.image, np.flatnonzero(region.lesion))


class _Adapted:
    """The lesion in colors adapted to the surrounding skin, at the working size of the clinical colors."""

    def __init__(self, region: LesionRegion) -> None:
        self.region = region = region.at(_SIZE)
        self.skin_rgb: Any = STANDARD_SKIN
        if region.skin.any():
            self.skin_rgb = median_color(region.image, region.skin)
        self.places = np.flatnonzero(region.lesion)
        # channel by channel: what is asked of each is several times quicker than along short rows
        self.lab = np.ascontiguousarray(adapt_to_skin(region.once(_pixels), self.skin_rgb).T)
        self.skin = _STANDARD_LAB
        # the rim mixes lesion and skin, and so looks light brown whatever the lesion is
        deep = region.inside.take(self.places) > _RIM * region.radius
        self.deep = deep if deep.any() else np.ones(len(self.places), bool)

    def labels(self) -> np.ndarray:
        """Clinical color of each pixel of the region: -1 for skin, -2 where nothing is looked at."""
        region = self.region
        label = np.full(region.mask.shape, -2, np.int8)
        found = np.where(self.deep, _nearest_colors(self.lab), np.int8(-2))
        label.ravel()[self.places] = found
        radius = round(_PATCH * region.radius)
        if radius < 1:
            return label
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        kept = label.copy()
        beyond = (label == -2).view(np.uint8)
        for color in np.flatnonzero(np.bincount(found + 2, minlength=2)[2:]):
            own = label == color
            # beyond the lesion a patch may go on
            opened = cv2.morphologyEx(own.view(np.uint8) | beyond, cv2.MORPH_OPEN, disc)
            np.copyto(kept, np.int8(-1), where=own & (opened == 0))
        return kept if (kept >= 0).any() else label


def _measure_cielab(region: LesionRegion) -> dict[str, float]:
    small = region.at(_SIZE)
    lab, lesion = small.lab, small.lesion
    # OpenCV's moments over a mask are ten times faster than numpy's along the long axis
    mean, std = (moment[:, 0] for moment in cv2.meanStdDev(lab, mask=lesion.view(np.uint8)))
    depth = small.inside
    rim = lesion & (depth <= 0.2 * small.radius)
    core = lesion & (depth > 0.4 * small.radius)
    rim, core = (part if part.any() else lesion for part in (rim, core))
    rim_mean, rim_std = (moment[:, 0] for moment in cv2.meanStdDev(lab, mask=rim.view(np.uint8)))
    core_mean = cv2.mean(lab, mask=core.view(np.uint8))[:3]
    values = {}
    for index, channel in enumerate("lab"):
        if index:  # the mean lightness is that of the lamp
            values[f"color_{channel}_mean"] = float(mean[index])
        values[f"color_{channel}_std"] = float(std[index])
        values[f"color_{channel}_core_contrast"] = float(core_mean[index] - rim_mean[index])
        values[f"color_{channel}_rim_std"] = float(rim_std[index])
    skin = small.skin_color
    # that of the lightness is not one of light alone, see `color_relative_l_median`
    names = ["color_a_contrast", "color_b_contrast", *(f"color_{c}_halo_contrast" for c in "lab")]
    if skin is None:
        values |= region.not_measured(names, _NO_SKIN)
    else:
        near = (small.outside > 0) & (small.outside <= _HALO * small.radius) & small.field & ~small.artifacts
        halo = cv2.mean(lab, mask=near.view(np.uint8))[:3] if near.any() else skin
        contrast = mean - skin
        found = [*contrast.tolist()[1:], *(np.asarray(halo) - skin).tolist()]
        values |= dict(zip(names, found, strict=True))
    away, light = depth[lesion].astype(np.float64), lab[..., 0][lesion].astype(np.float64)
    away, light = away - away.mean(), light - light.mean()
    spread = np.sqrt(np.dot(away, away) * np.dot(light, light))
    # of one color, or without a depth to speak of: no correlation
    values["color_l_depth_correlation"] = float(np.dot(away, light) / spread) if spread > 1e-2 * len(away) else 0.0
    return values


def _measure_relative(region: LesionRegion) -> dict[str, float]:
    adapted = region.once(_Adapted)
    values: dict[str, float] = {}
    ordered = np.sort(adapted.lab, axis=1)  # faster than quantiles are
    places = np.array([0.05, 0.5, 0.95]) * (ordered.shape[1] - 1)
    for index, channel in enumerate("lab"):
        quantiles = np.interp(places, np.arange(ordered.shape[1]), ordered[index]) - adapted.skin[index]
        names = [f"color_relative_{channel}_{name}" for name in ("low", "median", "high")]
        if not adapted.region.skin.any():
            values |= region.not_measured(names, _NO_SKIN)
        else:
            values |= dict(zip(names, quantiles.tolist(), strict=True))
    mean = adapted.lab.mean(axis=1, dtype=np.float64)
    parts = adapted.lab - mean.astype(np.float32)[:, None]
    # not by products of matrices, which depend on where in memory an array begins
    (ll, la, lb), (aa, ab), (bb,) = (
        [float((parts[i] * parts[j]).mean(dtype=np.float64)) for j in range(i, 3)] for i in range(3)
    )
    covariance = np.array([[ll, la, lb], [la, aa, ab], [lb, ab, bb]])
    for index, channel in enumerate("lab"):
        spread = float(np.sqrt(covariance[index, index]))
        cubed = float((parts[index] ** 2 * parts[index]).mean(dtype=np.float64))
        values[f"color_relative_{channel}_std"] = spread
        # half a unit is noise: what is of one color leans to no side
        values[f"color_relative_{channel}_skewness"] = cubed / max(spread, 0.5) ** 3
    values["color_variegation"] = float(np.sqrt(np.trace(covariance)))
    if adapted.region.skin.any():
        values["color_contrast"] = float(np.linalg.norm(mean - adapted.skin))
    else:
        values |= region.not_measured(["color_contrast"], _NO_SKIN)
    chroma = np.hypot(adapted.lab[1], adapted.lab[2])
    gray = np.maximum(chroma, np.float32(1e-3))
    x, y = (float(np.mean(adapted.lab[channel] / gray, dtype=np.float64)) for channel in (1, 2))
    values["color_relative_hue"] = float(np.rad2deg(np.arctan2(y, x)))
    values["color_relative_hue_concentration"] = min(1.0, float(np.hypot(x, y)))
    values["color_relative_chroma_std"] = float(chroma.std(dtype=np.float64))
    values["color_relative_volume"] = float(np.log1p(max(np.linalg.det(covariance.astype(np.float64)), 0.0)))
    cells = np.floor(adapted.lab / np.array(_BINS, np.float32)[:, None]).astype(np.int32)
    cells -= cells.min(axis=1, keepdims=True)
    _, width, depth = (cells.max(axis=1) + 1).tolist()
    counts = np.bincount((cells[0] * width + cells[1]) * depth + cells[2])
    shares = counts[counts > 0] / cells.shape[1]
    values["color_entropy"] = max(0.0, float(-(shares * np.log2(shares)).sum()))
    values["color_perceptible_count"] = float(max(1, int(np.count_nonzero(shares >= 0.01))))
    return values


def _measure_hsv(region: LesionRegion) -> dict[str, float]:
    pixels = region.at(_SIZE)
    hsv = cv2.split(cv2.cvtColor(pixels.once(_pixels)[:, None], cv2.COLOR_RGB2HSV_FULL))
    # gray has no hue: weight each by its saturation
    hue, saturation, value = (np.asarray(part)[:, 0] for part in hsv)
    saturation, value = saturation / np.float32(255), value / np.float32(255)
    turn = hue * np.float32(2 * np.pi / 256)
    total = float(saturation.sum(dtype=np.float64))
    x, y = (float(np.dot(part, saturation)) / total if total > 0 else 0.0 for part in (np.cos(turn), np.sin(turn)))
    return {
        "color_hue_mean": float(np.rad2deg(np.arctan2(y, x))),
        "color_hue_concentration": min(1.0, float(np.hypot(x, y))) if total > 0 else 1.0,
        "color_saturation_mean": float(saturation.mean(dtype=np.float64)),
        "color_saturation_std": float(saturation.std(dtype=np.float64)),
        "color_value_std": float(value.std(dtype=np.float64)),
    }


def _measure_clinical(region: LesionRegion) -> dict[str, float]:
    adapted = region.once(_Adapted)
    labels = adapted.labels()
    asked = labels[labels > -2]
    shares = np.bincount(asked[asked >= 0], minlength=len(COLOR_NAMES)) / len(asked)
    values = {f"color_{name}_share": float(share) for name, share in zip(COLOR_NAMES, shares, strict=True)}
    values["color_count"] = float(max(1, int(np.count_nonzero(shares >= _PRESENT))))
    l, a, b = adapted.lab  # noqa: E741 (as CIELAB has them)
    (low, high), most_a, most_b = _VEIL
    veil = adapted.deep & (l > low) & (l < high) & (a < most_a) & (b < most_b)
    pale = adapted.deep & (l > _SCAR[0]) & (np.hypot(a, b) < _SCAR[1])
    n_deep = np.count_nonzero(adapted.deep)
    values["color_blue_white_veil_share"] = np.count_nonzero(veil) / n_deep
    values["color_regression_share"] = np.count_nonzero(pale) / n_deep
    return values


def _is_gray(region: LesionRegion) -> bool:
    """Whether the image has no colors, but for the rounding of a JPEG file."""
    red, green, blue = cv2.split(region.at(_SIZE).image)
    apart = cv2.max(red, cv2.max(green, blue)) - cv2.min(red, cv2.min(green, blue))
    return int(apart.max()) <= _GRAY


def _if_colored(measure: Callable[[LesionRegion], dict[str, float]]) -> Callable[[LesionRegion], dict[str, float]]:
    """Measure only the light of a gray image: adapted to the skin, its grays would be taken for blue."""

    def measured(region: LesionRegion) -> dict[str, float]:
        values = measure(region)
        if region.once(_is_gray):
            values |= region.not_measured([name for name in values if not OF_LIGHT.match(name)], _NO_COLOR)
        return values

    return measured


BLOCKS = tuple(
    Block(tuple(feature._replace(working_size=_SIZE) for feature in features), _if_colored(measure))
    for features, measure in (
        (_CIELAB_FEATURES, _measure_cielab),
        (_RELATIVE_FEATURES, _measure_relative),
        (_HSV_FEATURES, _measure_hsv),
        (_CLINICAL_FEATURES, _measure_clinical),
    )
)
"""How the group is measured."""


def measure_color(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    artifacts: np.ndarray | None = None,
    features: Collection[str] | None = None,
) -> dict[str, float]:
    """Measure the color of the lesion, by itself and against the skin around it.

    The clinical colors are told on colors adapted to the surrounding skin
    (see `adapt_to_skin`), so that neither the light nor the camera nor the
    tone of the skin decides what is brown or blue; each pixel below the rim
    of 0.15 radii goes to the nearest of several shades of each
    color, or to skin. What is thinner than 0.12 radii counts to no color: it
    is the transition between two others. Without skin in view the colors are
    taken as they are.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The lesion.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view, outside of which no skin is looked at; found in
        the image if None.
    artifacts : ndarray of shape (H, W), bool, default=None
        Hair and other pixels that are left out.
    features : collection of str, default=None
        Which to measure; all if None.

    Returns
    -------
    dict of str to float
        The group ``color`` of `skinseg.features.FEATURES`. Contrasts are NaN
        where there is no skin in view, all but what is of lightness alone is
        NaN for a gray image, and all is NaN for an empty mask.

    References
    ----------
    R. Kasmi and K. Mokrani, "Classification of malignant melanoma and benign
    skin lesions: implementation of automatic ABCD rule", IET Image Processing
    10 (2016) 448-455 (reference colors).

    R. J. Stanley et al., "A relative color approach to color discrimination
    for malignant melanoma detection in dermoscopy images", Skin Research and
    Technology 13 (2007) 62-72.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_color
    >>> image = np.full((60, 60, 3), (205, 165, 145), dtype=np.uint8)
    >>> image[20:40, 20:40] = (41, 31, 30)
    >>> mask = np.zeros((60, 60), dtype=bool)
    >>> mask[20:40, 20:40] = True
    >>> values = measure_color(image, mask)
    >>> values["color_black_share"], values["color_count"]
    (1.0, 1.0)
    """
    region = LesionRegion.of_arrays(image, mask, field=field, artifacts=artifacts)
    return measure_blocks(BLOCKS, region, features)


def explain_color(region: LesionRegion) -> dict[str, Any]:
    """Give the map of clinical colors behind the shares.

    Parameters
    ----------
    region : LesionRegion
        A region with a lesion.

    Returns
    -------
    dict
        ``color_map``, of the shape of the region: the position in
        `COLOR_NAMES`, -1 for skin, transitions and gray images, -2 where no
        color is looked at; and the ``skin`` mask that the lesion is compared with.
    """
    labels = region.once(_Adapted).labels()
    if region.once(_is_gray):
        labels = np.minimum(labels, -1)
    whole = cv2.resize(labels, region.mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return {"color_map": whole, "skin": region.skin}
