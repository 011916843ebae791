"""Pure functions on one mask: what a mask is, its size, its clean form, its overlap with another.

A mask is an (H, W) bool array. Nothing here knows of images, records or estimators.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .resampling import resize_image

__all__ = [
    "OverlapCounts",
    "ScaledMap",
    "as_mask",
    "clean_mask",
    "expected_jaccard",
    "jaccard_cut",
    "largest_component",
    "overlap_counts",
    "resize_mask",
]

COMPONENT_CHOICES = ("central", "largest", "all")
FALLBACK_CHOICES = ("empty", "disc")


def as_mask(mask: np.ndarray, *, allow_float: bool = False) -> np.ndarray:
    """Check one mask and give it its standard type.

    Parameters
    ----------
    mask : ndarray of shape (H, W)
        bool, or integers that are 0 and 1 or 0 and 255. With ``allow_float``
        also floats in [0, 1], such as the mean of several annotators.
    allow_float : bool, default=False
        Whether soft masks are allowed.

    Returns
    -------
    ndarray of shape (H, W)
        bool, or float32 for a soft mask.

    Raises
    ------
    ValueError
        If it is something else; the message names the conversion.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.masks import as_mask
    >>> as_mask(np.array([[0, 255]], dtype=np.uint8))
    array([[False,  True]])
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        hint = "; take one channel, mask[..., 0]" if mask.ndim == 3 else ""
        raise ValueError(f"a mask must be a 2-D array (height, width), got shape {mask.shape}{hint}")
    if mask.size == 0:
        raise ValueError(f"a mask must have at least one pixel, got shape {mask.shape}")
    if mask.dtype == bool:
        return mask
    if np.issubdtype(mask.dtype, np.integer):
        low, high = int(mask.min()), int(mask.max())
        on = 255 if high > 1 else 1
        if low < 0 or high > 255 or not np.all((mask == 0) | (mask == on)):
            raise ValueError(
                f"an integer mask must hold 0 and 1, or 0 and 255 only, got values from {low} to {high}; "
                "convert it with mask > 127 (or mask == label for a label image)"
            )
        return mask > 0
    if np.issubdtype(mask.dtype, np.floating):
        if not allow_float:
            raise ValueError(f"a mask must be bool, got dtype {mask.dtype}; convert it with mask >= 0.5")
        if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
            raise ValueError("a soft mask must hold values from 0 to 1 without NaN")
        return mask.astype(np.float32)
    raise ValueError(f"a mask must be bool, got dtype {mask.dtype}; convert it with mask.astype(bool)")


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a mask or a map of probabilities.

    Shrinking averages over areas and enlarging interpolates bilinearly; a bool
    mask is cut at one half afterwards, which keeps its outline smooth.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool or floating
        The mask, or the probabilities.
    shape : tuple of (int, int)
        Height and width wanted.

    Returns
    -------
    ndarray of the shape wanted
        bool for a bool mask, else float32.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.masks import resize_mask
    >>> resize_mask(np.array([[True, False]]), (2, 4)).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0]])
    """
    if mask.shape == tuple(shape):
        return mask
    if mask.dtype == bool:
        levels = resize_image(mask.view(np.uint8) * np.uint8(255), shape)
        return np.greater(levels, 127, out=levels.view(bool))  # in place: masks of photos have millions of pixels
    resized = resize_image(mask.astype(np.float32, copy=False), shape)
    return np.minimum(resized, 1, out=resized)  # a mean of ones may come out a rounding above


class ScaledMap(NamedTuple):
    """A map kept at the size at which it was made; it is resized when it is read, which for most never happens.

    Parameters
    ----------
    values : ndarray of shape (h, w), floating
        The map, in [0, 1].
    shape : tuple of (int, int)
        Height and width that it stands for.
    """

    values: np.ndarray
    shape: tuple[int, int]

    def full(self) -> np.ndarray:
        """Give the map at its full size.

        Returns
        -------
        ndarray of that shape, float32
            The map.
        """
        return resize_mask(self.values, self.shape)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Keep the largest 8-connected component of a mask.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.

    Returns
    -------
    ndarray of shape (H, W), bool
        Its largest component; empty if the mask is.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _central_component(mask: np.ndarray, field: np.ndarray | None) -> np.ndarray:
    """Keep the component that is large, near the middle and not cut by the frame.

    Each component is scored by the sum over its pixels of a Gaussian of the
    distance to the middle of the image (a quarter of the longer side wide),
    times exp(-b / sqrt(area)) for b pixels on the edge of the image or field:
    shadows and vignettes lie along an edge, lesions seldom do.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    height, width = mask.shape
    side = max(height, width)
    y = (np.arange(height) - (height - 1) / 2) / side
    x = (np.arange(width) - (width - 1) / 2) / side
    weight = np.exp(-8 * y**2)[:, None] * np.exp(-8 * x**2)[None, :]  # exp(-d^2 / (2 * 0.25^2))
    central = np.bincount(labels.ravel(), weights=weight.ravel(), minlength=count)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    on_edge = np.bincount(edge, minlength=count)
    if field is not None and not field.all():
        outside = cv2.dilate((~field).view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        on_edge = on_edge + np.bincount(labels[outside], minlength=count)
    score = central * np.exp(-on_edge / np.sqrt(np.maximum(stats[:, cv2.CC_STAT_AREA], 1)))
    return labels == 1 + int(np.argmax(score[1:]))


def clean_mask(
    mask: np.ndarray,
    *,
    field: np.ndarray | None = None,
    opening: float = 0.0,
    component: str = "central",
    closing: float = 0.0,
    fill_holes: bool = True,
    margin: float = 0.0,
    smoothing: float = 0.0,
    min_area: float = 0.0,
    fallback: str = "empty",
) -> np.ndarray:
    """Turn a raw mask into one outline: the post-processing of every segmenter.

    The steps run in the order of the parameters.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The raw mask.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view; the result stays inside it, but for the disc
        of ``fallback`` where no pixel in the middle is valid.
    opening : float, default=0.0
        Diameter of a morphological opening that cuts hairs and specks, as a
        fraction of the longer side of the image, in [0, 1].
    component : {"central", "largest", "all"}, default="central"
        Which connected component to keep: the one nearest to the middle for
        its size and not cut by the frame, the largest, or all.
    closing : float, default=0.0
        Diameter of a morphological closing that fills notches of the outline,
        as a fraction of the longer side of the image, in [0, 1].
    fill_holes : bool, default=True
        Fill what the outline encloses.
    margin : float, default=0.0
        Grow the outline by this fraction of the radius of the circle of equal
        area, in [0, 1]; experts draw theirs a little outside of the threshold.
    smoothing : float, default=0.0
        Standard deviation of a Gaussian that smooths the outline, as a
        fraction of the longer side of the image, in [0, 1].
    min_area : float, default=0.0
        A result with less than this fraction of the area of the image becomes
        empty, in [0, 1].
    fallback : {"empty", "disc"}, default="empty"
        What is answered where nothing is left: an empty mask, or a disc in the
        middle with an eighth of the area of the image, about the mean share of
        a lesion.

    Returns
    -------
    ndarray of shape (H, W), bool
        The clean mask; empty where nothing is left and no fallback is asked.

    Raises
    ------
    ValueError
        If component or fallback is none of those.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.masks import clean_mask
    >>> mask = np.zeros((32, 32), dtype=bool)
    >>> mask[10:20, 10:20] = True
    >>> mask[14, 14] = False  # a hole
    >>> mask[0, :9] = True  # a shadow along the frame
    >>> int(clean_mask(mask).sum())
    100
    """
    if component not in COMPONENT_CHOICES or fallback not in FALLBACK_CHOICES:
        raise ValueError(
            f"component must be one of {COMPONENT_CHOICES} and fallback one of {FALLBACK_CHOICES}, got {component!r} "
            f"and {fallback!r}"
        )
    side = max(mask.shape)
    result = np.ascontiguousarray(mask if field is None else mask & field)
    opened = _morph(result, cv2.MORPH_OPEN, opening * side)
    result = opened if opened.any() else result  # a lesion thinner than the opening is kept
    if component == "central":
        result = _central_component(result, field)
    elif component == "largest":
        result = largest_component(result)
    result = _morph(result, cv2.MORPH_CLOSE, closing * side)
    if fill_holes:
        contours, _ = cv2.findContours(result.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        result = cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, cv2.FILLED) > 0
    if margin > 0 and result.any():
        result = _grow(result, margin * float(np.sqrt(result.sum() / np.pi)))
    if smoothing > 0 and result.any():
        result = cv2.GaussianBlur(result.view(np.uint8) * np.uint8(255), (0, 0), smoothing * side) > 127
    if field is not None:
        result = result & field
    if result.sum() < min_area * result.size:
        result = np.zeros(mask.shape, bool)
    if fallback == "disc" and not result.any():
        result = _disc(mask.shape, field)
    return result


def _grow(mask: np.ndarray, radius: float) -> np.ndarray:
    """Dilate a mask that is not empty by a disc."""
    if radius >= 12:  # by distances, whose cost does not grow with the radius
        return cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5) <= radius
    reach = np.arange(-int(radius), int(radius) + 1)
    return cv2.dilate(mask.view(np.uint8), (np.add.outer(reach**2, reach**2) <= radius**2).astype(np.uint8)) > 0


def _morph(mask: np.ndarray, operation: int, diameter: float) -> np.ndarray:
    """Open or close a mask by a disc; the edge of the image neither cuts the mask nor draws it to itself."""
    if round(diameter) < 2 or not mask.any():
        return mask
    border = int(np.ceil(diameter / 2)) + 1 if operation == cv2.MORPH_CLOSE else 0
    wide = cv2.copyMakeBorder(mask.view(np.uint8), border, border, border, border, cv2.BORDER_CONSTANT, value=0)
    if diameter < 32:
        size = 2 * round((diameter - 1) / 2) + 1  # one of an even size would shift the mask
        wide = cv2.morphologyEx(wide, operation, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    else:  # by distances, whose cost does not grow with the diameter
        first = operation == cv2.MORPH_CLOSE
        for outward in (first, not first):
            distance = cv2.distanceTransform(1 - wide if outward else wide, cv2.DIST_L2, 5)
            wide = ((distance <= diameter / 2) if outward else (distance > diameter / 2)).view(np.uint8)
            if not wide.any():
                break
    return wide[border : border + mask.shape[0], border : border + mask.shape[1]] > 0


def _disc(shape: tuple[int, ...], field: np.ndarray | None) -> np.ndarray:
    """Draw a disc in the middle of an image, inside of its field as far as there is one."""
    y = np.arange(shape[0])[:, None] - (shape[0] - 1) / 2
    x = np.arange(shape[1])[None] - (shape[1] - 1) / 2
    disc = y**2 + x**2 <= max(shape[0] * shape[1] / (8 * np.pi), 0.5)
    return disc & field if field is not None and (disc & field).any() else disc


def jaccard_cut(probability: np.ndarray) -> tuple[float, float]:
    """Find where to cut a map of probabilities for the largest Jaccard index to be expected.

    With probabilities that are right, the mask of the n most probable pixels
    is expected to overlap the lesion by the sum of their probabilities, and
    the union to be n plus the sum of the others; the ratio of the two is
    largest at a cut below one half, the lower the less certain the map is.

    Parameters
    ----------
    probability : ndarray of shape (H, W), floating
        Probability of lesion, in [0, 1].

    Returns
    -------
    cut : float
        The mask is where the probability is at least this; above 1 where all
        of it is 0.
    expected : float
        The Jaccard index expected of it, in [0, 1].

    References
    ----------
    Z. Lipton, C. Elkan, B. Naryanaswamy, "Optimal thresholding of classifiers
    to maximize F1 measure", ECML PKDD 2014, 225-239 (the same for F1, of which
    the Jaccard index is a function).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.masks import jaccard_cut
    >>> cut, expected = jaccard_cut(np.array([[0.0, 0.1, 0.4, 0.9]]))
    >>> round(cut, 2), round(expected, 3)
    (0.4, 0.619)
    """
    ordered = np.sort(probability, axis=None)[::-1].astype(np.float64)
    total = np.cumsum(ordered)
    if total[-1] <= 0:
        return 2.0, 0.0
    ratio = total / (np.arange(1, len(ordered) + 1) + total[-1] - total)
    best = int(np.argmax(ratio))
    return float(ordered[best]), float(ratio[best])


def expected_jaccard(probability: np.ndarray, mask: np.ndarray) -> float:
    """Jaccard index to be expected of a mask if the probabilities are right.

    Parameters
    ----------
    probability : ndarray of shape (H, W), floating
        Probability of lesion, in [0, 1].
    mask : ndarray of shape (H, W), bool
        The mask.

    Returns
    -------
    float
        The sum of the probabilities in the mask over its area plus their sum
        outside, in [0, 1]; 0 for an empty mask.

    See Also
    --------
    jaccard_cut : The cut for which this is largest.
    """
    area = np.count_nonzero(mask)
    inside = float(probability[mask].sum(dtype=np.float64))
    return inside / (area + float(probability.sum(dtype=np.float64)) - inside) if area else 0.0


class OverlapCounts(NamedTuple):
    """Pixels counted over a pair of masks (or several pairs).

    Parameters
    ----------
    true_positive, false_positive, false_negative, true_negative : int
        The pixels of each kind.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def jaccard(self) -> float:
        """Intersection over union; 1 where both masks are empty."""
        union = self.true_positive + self.false_positive + self.false_negative
        return self.true_positive / union if union else 1.0


def overlap_counts(y_true: np.ndarray, y_pred: np.ndarray) -> OverlapCounts:
    """Count the pixels on which two masks agree and differ.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (H, W), bool
        Two masks of one size.

    Returns
    -------
    OverlapCounts
        The four counts.

    Raises
    ------
    ValueError
        If the sizes differ.
    """
    if y_true.shape != y_pred.shape:
        raise ValueError(f"the masks have different sizes: {y_true.shape} and {y_pred.shape}")
    both = int(np.count_nonzero(y_true & y_pred))
    positive, predicted = int(np.count_nonzero(y_true)), int(np.count_nonzero(y_pred))
    return OverlapCounts(both, predicted - both, positive - both, y_true.size - positive - predicted + both)


GREEN = (0, 158, 115)
"""Of outlines, RGB; bluish green of Okabe and Ito."""


def draw_outline(
    image: np.ndarray, mask: np.ndarray, *, color: tuple[int, int, int] = GREEN, thickness: int = 2
) -> np.ndarray:
    """Draw the outline of a mask on a copy of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.
    mask : ndarray of shape (H, W), bool
        The mask.
    color : tuple of (int, int, int), default=(0, 158, 115)
        RGB.
    thickness : int, default=2
        In pixels.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The copy.
    """
    contours, _ = cv2.findContours(
        np.ascontiguousarray(mask).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(image.copy(), contours, -1, color, thickness, cv2.LINE_AA)
