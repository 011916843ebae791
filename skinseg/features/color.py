"""C: color of the lesion, against the skin around it and as the six clinical colors."""

from __future__ import annotations

import cv2
import numpy as np

from ..masks import as_mask
from ._region import surrounding_skin, to_lab
from ._table import INF, Block, Feature

__all__ = ["REFERENCE_COLORS", "clinical_colors", "measure_color", "surrounding_skin"]

REFERENCE_COLORS = {
    "white": (197, 188, 217),
    "red": (118, 21, 17),
    "light_brown": (163, 82, 16),
    "dark_brown": (135, 44, 5),
    "blue_gray": (113, 108, 139),
    "black": (41, 31, 30),
}
"""sRGB values of the six colors of the ABCD rule (Kasmi and Mokrani 2016)."""

_STOLZ = "Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_CIE = "CIE 15:2018 (CIELAB, D65)"
_KASMI = "Kasmi and Mokrani, IET Image Process. 10 (2016) 448-455"
_CHANNELS = (("l", "lightness L*"), ("a", "red-green axis a*"), ("b", "yellow-blue axis b*"))
_COLOR_NAMES = ("white", "red", "light_brown", "dark_brown", "blue_gray", "black")
_COLOR_FEATURES: tuple[Feature, ...] = (
    *(
        Feature(f"color_{c}_mean", "CIELAB", 0 if c == "l" else -128, 100 if c == "l" else 127, _CIE,
                f"Mean {text} of the lesion.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_std", "CIELAB", 0, 128, _CIE, f"Standard deviation of the {text} within the lesion.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_contrast", "CIELAB", -255, 255, "Stanley et al., Skin Res. Technol. 13 (2007) 62-72",
                f"Mean {text} of the lesion minus that of the skin around it.")
        for c, text in _CHANNELS
    ),
    Feature("color_contrast", "CIELAB", 0, INF, _CIE,
            "Color difference (CIE 1976) of the means of lesion and surrounding skin."),
    *(
        Feature(f"color_{name}_share", "1", 0, 1, _KASMI, f"Share of the lesion of the color {name.replace('_', ' ')}.")
        for name in _COLOR_NAMES
    ),
    Feature("color_count", "1", 1, 6, _STOLZ, "How many of the six clinical colors have at least 5 % of the lesion."),
)  # fmt: skip
_PRESENT = 0.05  # share of the lesion from which a color counts as present


def clinical_colors(lab: np.ndarray, skin_lightness: float = float("nan")) -> np.ndarray:
    """Assign pixels to the six clinical colors.

    A pixel takes the reference color nearest in CIELAB; white counts only
    where it is lighter than the surrounding skin, as the rule says.

    Parameters
    ----------
    lab : ndarray of shape (n, 3), floating
        CIELAB values.
    skin_lightness : float, default=nan
        Mean L* of the surrounding skin; NaN where it is not known, and white
        is taken as it is.

    Returns
    -------
    ndarray of shape (n,), int
        Position in `REFERENCE_COLORS`.
    """
    references = to_lab(np.array([list(REFERENCE_COLORS.values())], dtype=np.uint8))[0]
    # squared distance without the term that all references share
    scores = (references**2).sum(axis=1) - 2 * lab @ references.T
    scores[:, 0] = np.where(lab[:, 0] <= skin_lightness, np.inf, scores[:, 0])
    return np.asarray(np.argmin(scores, axis=1))


def measure_color(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    artifacts: np.ndarray | None = None,
    lab: np.ndarray | None = None,
) -> dict[str, float]:
    """Measure the color of the lesion and its contrast to the skin, in CIELAB.

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
    lab : ndarray of shape (H, W, 3), float32, default=None
        CIELAB values of the image, if they are known already.

    Returns
    -------
    dict of str to float
        Mean and standard deviation over the lesion and contrast to the
        surrounding skin for L*, a* and b*; the color difference ΔE*ab (CIE
        1976) of the means; the share of each of the six clinical colors, and
        ``color_count``, how many of them have at least a twentieth of the
        lesion (1 to 6). Contrasts are NaN where there is no skin in view, all
        is NaN for an empty mask.

    References
    ----------
    R. Kasmi and K. Mokrani, "Classification of malignant melanoma and benign
    skin lesions: implementation of automatic ABCD rule", IET Image Processing
    10 (2016) 448-455 (reference colors).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features import measure_color
    >>> image = np.full((60, 60, 3), 230, dtype=np.uint8)
    >>> image[20:40, 20:40] = (41, 31, 30)
    >>> mask = np.zeros((60, 60), dtype=bool)
    >>> mask[20:40, 20:40] = True
    >>> values = measure_color(image, mask)
    >>> values["color_black_share"], values["color_count"]
    (1.0, 1.0)
    """
    mask = as_mask(mask)
    lab = to_lab(image) if lab is None else lab
    lesion = mask if artifacts is None or not (mask & ~artifacts).any() else mask & ~artifacts
    result: dict[str, float] = {}
    nan = float("nan")
    inside = lab[lesion]
    ring = surrounding_skin(mask, field=field, artifacts=artifacts)
    mean: np.ndarray = np.full(3, nan)
    std, skin = mean, mean
    if len(inside):  # OpenCV's moments over a mask are ten times faster than numpy's along the long axis
        moments = cv2.meanStdDev(np.ascontiguousarray(lab), mask=lesion.view(np.uint8))
        mean, std = (moment[:, 0] for moment in moments)
    if ring.any():
        skin = np.median(np.ascontiguousarray(lab[ring].T), axis=1).astype(np.float64)
    for index, channel in enumerate("lab"):
        result[f"color_{channel}_mean"] = float(mean[index])
        result[f"color_{channel}_std"] = float(std[index])
        result[f"color_{channel}_contrast"] = float(mean[index] - skin[index])
    result["color_contrast"] = float(np.linalg.norm(mean - skin))
    if not len(inside):
        return result | {f"color_{name}_share": nan for name in _COLOR_NAMES} | {"color_count": nan}
    counts = np.bincount(clinical_colors(inside, skin[0]), minlength=len(REFERENCE_COLORS))
    shares = counts / len(inside)
    result |= {f"color_{name}_share": float(share) for name, share in zip(_COLOR_NAMES, shares, strict=True)}
    result["color_count"] = float(max(1, int(np.count_nonzero(shares >= _PRESENT))))
    return result


BLOCKS = (
    Block(
        _COLOR_FEATURES,
        lambda region: measure_color(
            region.image, region.mask, field=region.field, artifacts=region.artifacts, lab=region.lab
        ),
    ),
)
"""How the group is measured."""
