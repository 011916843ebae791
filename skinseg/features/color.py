"""C: color of the lesion, against the skin around it and as the six clinical colors."""

from __future__ import annotations

import cv2
import numpy as np

from ..masks import as_mask
from ._region import to_lab
from ._table import _COLOR_NAMES

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

_PRESENT = 0.05  # share of the lesion from which a color counts as present
_RING = (0.1, 0.5)  # the skin looked at lies this far outside of the outline, in radii of the disc of equal area


def surrounding_skin(
    mask: np.ndarray, *, field: np.ndarray | None = None, artifacts: np.ndarray | None = None
) -> np.ndarray:
    """Find the ring of skin that a lesion is compared with.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The lesion.
    field : ndarray of shape (H, W), bool, default=None
        Valid field of view.
    artifacts : ndarray of shape (H, W), bool, default=None
        Pixels to leave out.

    Returns
    -------
    ndarray of shape (H, W), bool
        Pixels from 0.1 to 0.5 radii of the equivalent disc outside of the
        outline; all valid pixels outside of it where the ring has none; empty
        where the lesion fills the field.
    """
    allowed = ~mask
    if field is not None:
        allowed &= field
    if artifacts is not None:
        allowed &= ~artifacts
    radius = np.sqrt(np.count_nonzero(mask) / np.pi)
    distance = cv2.distanceTransform(np.ascontiguousarray(~mask).view(np.uint8), cv2.DIST_L2, 5)
    ring = allowed & (distance > _RING[0] * radius) & (distance <= max(_RING[1] * radius, 2))
    return ring if ring.any() else allowed


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
