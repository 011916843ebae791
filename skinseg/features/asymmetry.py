"""A: asymmetry of shape and color about the principal axes of the lesion."""

from __future__ import annotations

import cv2
import numpy as np

from ..masks import as_mask, resize_mask
from ._region import to_lab
from ._table import Block, Feature

__all__ = ["measure_asymmetry", "principal_axes"]

_WORKING_SIZE = 256
_STOLZ = "Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_ASYMMETRY_FEATURES: tuple[Feature, ...] = (
    Feature("asymmetry_shape", "1", 0, 1, _STOLZ, "Mean of the shape asymmetry about the two principal axes."),
    Feature("asymmetry_shape_major", "1", 0, 1, _STOLZ,
            "Share of the lesion without a mirror image in it about the major principal axis."),
    Feature("asymmetry_shape_minor", "1", 0, 1, _STOLZ,
            "Share of the lesion without a mirror image in it about the minor principal axis."),
    Feature("asymmetry_color", "1", 0, 1, _STOLZ, "Mean of the color asymmetry about the two principal axes."),
    Feature("asymmetry_color_major", "1", 0, 1, _STOLZ,
            "Mean CIELAB difference of mirrored pixels about the major principal axis, over 100."),
    Feature("asymmetry_color_minor", "1", 0, 1, _STOLZ,
            "Mean CIELAB difference of mirrored pixels about the minor principal axis, over 100."),
    Feature("asymmetry_center_shift", "1", 0, 1, "Celebi et al., Comput. Med. Imaging Graph. 31 (2007) 362-373",
            "Distance of the center of darkness from the center of the shape, over the equivalent diameter."),
)  # fmt: skip


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


def _mirror_matrix(center: tuple[float, float], angle: float) -> np.ndarray:
    """Affine matrix that mirrors about the axis through a center at an angle (it is its own inverse)."""
    cosine, sine = np.cos(2 * angle), np.sin(2 * angle)
    linear = np.array([[cosine, sine], [sine, -cosine]])
    shift = np.asarray(center) - linear @ np.asarray(center)
    return np.column_stack([linear, shift])


def measure_asymmetry(image: np.ndarray, mask: np.ndarray, *, lab: np.ndarray | None = None) -> dict[str, float]:
    r"""Measure the asymmetry of shape and color about the two principal axes.

    For each axis the lesion L is mirrored. The shape asymmetry is the area of
    L without its mirror image, |L \\ L'| / |L|, which is half of the area of
    the symmetric difference over |L|. The color asymmetry is the mean over
    L and L' in common of the CIELAB difference between a pixel and its mirror
    pixel, each at most 100, over 100. Both are 0 for perfect symmetry and at
    most 1. Lesions are measured at 256 pixels or less.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The lesion.
    lab : ndarray of shape (H, W, 3), float32, default=None
        CIELAB values of the image, if they are known already.

    Returns
    -------
    dict of str to float
        ``asymmetry_shape`` (mean of both axes), ``asymmetry_shape_major``,
        ``asymmetry_shape_minor``, likewise ``asymmetry_color``, and
        ``asymmetry_center_shift``: the distance between the centroid weighted
        by darkness and that of the shape, over the equivalent diameter. NaN
        for an empty mask.

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
    >>> round(measure_asymmetry(image, mask)["asymmetry_shape"], 6)
    0.0
    """
    mask = as_mask(mask)
    names = ("asymmetry_shape", "asymmetry_color")
    if not mask.any():
        columns = [f"{name}{axis}" for name in names for axis in ("", "_major", "_minor")]
        return dict.fromkeys([*columns, "asymmetry_center_shift"], float("nan"))
    lab = to_lab(image) if lab is None else lab
    shrink = _WORKING_SIZE / max(mask.shape)
    if shrink < 1:
        shape = max(1, round(mask.shape[0] * shrink)), max(1, round(mask.shape[1] * shrink))
        small = resize_mask(mask, shape)
        if small.any():
            mask, lab = small, cv2.resize(lab, shape[::-1], interpolation=cv2.INTER_AREA)
    mask = np.ascontiguousarray(mask)
    center, angle = principal_axes(mask)
    solid = mask.astype(np.float32)
    area = float(np.count_nonzero(mask))
    result: dict[str, float] = {}
    for axis, direction in (("major", angle), ("minor", angle + np.pi / 2)):
        matrix = _mirror_matrix(center, direction)
        size = mask.shape[::-1]
        mirrored = cv2.warpAffine(solid, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        result[f"asymmetry_shape_{axis}"] = float(np.clip(1 - mirrored[mask].sum(dtype=np.float64) / area, 0, 1))
        both = mask & (mirrored > 0.5)
        if not both.any():
            result[f"asymmetry_color_{axis}"] = 0.0
            continue
        mirrored_lab = cv2.warpAffine(
            lab, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        difference = lab[both] - mirrored_lab[both]
        distance = np.sqrt(np.einsum("ij,ij->i", difference, difference))  # several times faster than norm(axis=1)
        result[f"asymmetry_color_{axis}"] = float(np.minimum(distance / 100, 1).mean(dtype=np.float64))
    for name in names:
        result[name] = (result[f"{name}_major"] + result[f"{name}_minor"]) / 2
    result["asymmetry_center_shift"] = _center_shift(lab[..., 0], mask, center, area)
    return result


def _center_shift(lightness: np.ndarray, mask: np.ndarray, center: tuple[float, float], area: float) -> float:
    """Distance of the center of darkness (100 - L*) from the centroid, over the equivalent diameter."""
    darkness = (100 - lightness[mask]).astype(np.float64)
    if darkness.sum() <= 0:
        return 0.0
    rows, columns = np.nonzero(mask)
    x, y = np.average(columns, weights=darkness), np.average(rows, weights=darkness)
    return float(np.hypot(x - center[0], y - center[1]) / np.sqrt(4 * area / np.pi))


BLOCKS = (Block(_ASYMMETRY_FEATURES, lambda region: measure_asymmetry(region.image, region.mask, lab=region.lab)),)
"""How the group is measured."""
