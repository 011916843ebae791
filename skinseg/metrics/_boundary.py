"""Distances between the outlines of masks: how far the boundary was missed, and how much of it was found.

The boundary of a mask consists of its pixels of which one of the four neighbors
lies outside; beyond the edge of the image everything is outside. It is the same as
the mask without its erosion by a cross, as in MedPy and MONAI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import hypot
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from ..masks import as_mask
from ._overlap import Average, _check_average, _load, _pairs

__all__ = [
    "SurfaceDistances",
    "average_symmetric_surface_distance",
    "boundary_f1_score",
    "hausdorff_distance",
    "surface_distances",
]

TOLERANCE = 0.0075  # of the diagonal
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_ROUNDING = 1e-9  # relative; by how much 3 pixels of 0.1 mm may be more than 0.3 mm
_DENSE = 0.2  # boundary pixels of both masks, as a share of the box around them, from which on a transform is faster
_LISTED = 10  # items that a message names


class SurfaceDistances(NamedTuple):
    """Distances between the boundaries of two masks, in both directions.

    Parameters
    ----------
    true_to_pred : ndarray of shape (n_true,)
        For each boundary pixel of the expert's mask, the distance to the
        nearest boundary pixel of the predicted one.
    pred_to_true : ndarray of shape (n_pred,)
        The same the other way round.
    """

    true_to_pred: np.ndarray
    pred_to_true: np.ndarray


def _boundary_pixels(mask: np.ndarray) -> np.ndarray:
    """Find rows and columns of the boundary, in the order of rows; only the box around the mask is looked at."""
    levels = np.ascontiguousarray(mask).view(np.uint8)
    x, y, width, height = cv2.boundingRect(levels)
    if not width:
        return np.empty((0, 2), np.intp)
    box = levels[y : y + height, x : x + width]
    inner = cv2.erode(box, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.argwhere(box != inner) + np.array([y, x])


def _distances(true: np.ndarray, pred: np.ndarray) -> SurfaceDistances:
    """Distances in pixels."""
    boundaries = _boundary_pixels(true), _boundary_pixels(pred)
    if not all(len(pixels) for pixels in boundaries):
        return SurfaceDistances(*(np.full(len(pixels), hypot(*true.shape)) for pixels in boundaries))
    every = np.concatenate(boundaries)
    corner = every.min(axis=0)
    shape = every.max(axis=0) - corner + 1
    if len(every) > _DENSE * np.prod(shape):
        true_pixels, pred_pixels = (pixels - corner for pixels in boundaries)
        return SurfaceDistances(
            _transformed(true_pixels, pred_pixels, shape), _transformed(pred_pixels, true_pixels, shape)
        )
    # sliding midpoints are built faster than medians and searched as fast
    trees = [KDTree(pixels, balanced_tree=False, compact_nodes=False) for pixels in boundaries]
    return SurfaceDistances(trees[1].query(boundaries[0])[0], trees[0].query(boundaries[1])[0])


def _transformed(pixels: np.ndarray, others: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest of the others by a transform of the whole box; equal to the trees."""
    away = np.ones(shape, bool)
    away[tuple(others.T)] = False
    nearest = distance_transform_edt(away, return_distances=False, return_indices=True)
    steps = nearest[:, *pixels.T].T.astype(np.int64) - pixels
    return np.sqrt((steps * steps).sum(axis=1))


def _in_unit(
    distances: SurfaceDistances, shape: tuple[int, ...], pixel_size: float | None, normalize: str | None
) -> SurfaceDistances:
    if normalize is not None:
        diagonal = hypot(*shape)
        return SurfaceDistances(*(kind / diagonal for kind in distances))
    return distances if pixel_size is None else SurfaceDistances(*(kind * pixel_size for kind in distances))


def _check_unit(pixel_size: Any, normalize: Any) -> None:
    if normalize not in (None, "diagonal"):
        raise ValueError(f"normalize must be None or 'diagonal', got {normalize!r}")
    if normalize is not None and pixel_size is not None:
        raise ValueError(
            "a share of the diagonal has no unit: pass pixel_size with normalize=None for mm, or no pixel_size"
        )


def _pixel_sizes(pixel_size: Any, n_images: int) -> list[float | None]:
    """Give each image its pixel size, None where there is none for all."""
    if pixel_size is None:
        return [None] * n_images
    try:
        sizes = np.asarray(pixel_size, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"pixel_size must be a number of mm per pixel, or one for each image: {error}") from None
    if sizes.ndim > 1 or (sizes.ndim and len(sizes) != n_images):
        raise ValueError(
            f"pixel_size must be one number or one for each of the {n_images} images, got shape {sizes.shape}"
        )
    sizes = np.broadcast_to(sizes, n_images)
    bad = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0))).tolist()
    if bad:
        raise ValueError(
            f"pixel_size must be above 0 and finite, but is {sizes[bad[0]]} for mask {bad[0]} ({len(bad)} such masks: "
            f"{bad[:_LISTED]}); leave these images out, or measure with normalize='diagonal'"
        )
    return sizes.tolist()


def _check_percentile(percentile: Any) -> None:
    if not isinstance(percentile, int | float | np.number) or not 0 < percentile <= 100:
        raise ValueError(f"percentile must be above 0 and at most 100, got {percentile!r}")


def _check_directed(directed: Any, choices: tuple[str, ...]) -> None:
    if directed not in choices:
        raise ValueError(f"directed must be one of {choices}, got {directed!r}")


def _percentile(distances: SurfaceDistances, percentile: float = 95.0, directed: str = "max") -> float:
    """Take the percentile; sets without a pixel are left out, 0 where both are."""
    sets = [kind for kind in distances if kind.size]
    if directed == "pooled" and sets:
        sets = [np.concatenate(sets)]
    return max((float(np.percentile(kind, percentile)) for kind in sets), default=0.0)


def _mean(distances: SurfaceDistances, directed: str = "pooled") -> float:
    """Take the mean; sets without a pixel are left out, 0 where both are."""
    sets = [kind for kind in distances if kind.size]
    if directed == "pooled" and sets:
        sets = [np.concatenate(sets)]
    return float(np.mean([kind.mean() for kind in sets])) if sets else 0.0


class _Matches(NamedTuple):
    """Boundary pixels found and present, of an image or several."""

    found_true: int
    n_true: int
    found_pred: int
    n_pred: int

    @property
    def f1(self) -> float:
        if not self.n_true and not self.n_pred:
            return 1.0
        found = self.found_true * self.found_pred
        if not found:  # so it is too where one of the masks is empty
            return 0.0
        precision, recall = self.found_pred / self.n_pred, self.found_true / self.n_true
        return 2 * precision * recall / (precision + recall)


def _match(distances: SurfaceDistances, tolerance: float) -> _Matches:
    """Compare with the tolerance; where one of the masks is empty nothing is found, however large it is."""
    both = all(kind.size for kind in distances)
    limit = tolerance * (1 + _ROUNDING)
    return _Matches(
        *(
            number
            for kind in distances
            for number in (int(np.count_nonzero(kind <= limit)) if both else 0, int(kind.size))
        )
    )


def _measure(y_true: Any, y_pred: Any, pixel_size: Any, normalize: str | None) -> Iterator[SurfaceDistances]:
    _check_unit(pixel_size, normalize)
    pairs = _pairs(y_true, y_pred)
    sizes = _pixel_sizes(pixel_size, len(y_true))
    return (_in_unit(_distances(true, pred), true.shape, sizes[index], normalize) for index, true, pred in pairs)


def _summarize(
    measured: Iterator[SurfaceDistances], average: Average, score: Callable[[SurfaceDistances], float]
) -> float | np.ndarray:
    if average == "pooled":
        return score(SurfaceDistances(*map(np.concatenate, zip(*measured, strict=True))))
    scores = np.array([score(distances) for distances in measured])
    return scores if average is None else float(scores.mean())


def surface_distances(
    mask_true: np.ndarray | Path,
    mask_pred: np.ndarray | Path,
    *,
    pixel_size: float | None = None,
    normalize: str | None = None,
) -> SurfaceDistances:
    """Measure the distances between the boundaries of two masks, in both directions.

    All boundary metrics are made of these two sets, see
    `hausdorff_distance` for the one that is most in use.

    Parameters
    ----------
    mask_true : ndarray of shape (H, W) or Path
        The expert's mask.
    mask_pred : ndarray of shape (H, W) or Path
        The predicted mask, of the same size.
    pixel_size : float, default=None
        Millimeters per pixel, above 0; the distances are in pixels if None.
    normalize : {"diagonal"}, default=None
        Give the distances as shares of the diagonal of the image, sqrt(H² +
        W²), so that they can be compared between images of different sizes.

    Returns
    -------
    SurfaceDistances
        ``true_to_pred`` and ``pred_to_true``: one distance for each boundary
        pixel, in the order of rows. A boundary pixel belongs to its mask and
        has one of its four neighbors outside of it, or outside of the image:
        where a lesion is cut by the frame, the cut is a part of its boundary.
        If one mask is empty, all distances from the other are the diagonal of
        the image, more than any real one; of the empty mask there are none.

    Raises
    ------
    ValueError
        If the sizes differ, something is no mask, or the unit is not clear.

    Notes
    -----
    The nearest pixels are found by a k-d tree over each boundary, which is
    exact and takes no memory for the rest of the image. Where boundary pixels
    fill a fifth of the box around them, as in noise, SciPy's distance
    transform is used, which is exact too, faster there, and many times slower
    on masks with few outlines. OpenCV's precise one is off by up to 0.0006
    pixels at distances of 900 pixels and more.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import surface_distances
    >>> mask_true = np.array([[0, 1, 0, 0, 0]], dtype=bool)
    >>> mask_pred = np.array([[0, 1, 0, 1, 1]], dtype=bool)
    >>> distances = surface_distances(mask_true, mask_pred)
    >>> distances.true_to_pred
    array([0.])
    >>> distances.pred_to_true
    array([0., 2., 3.])
    """
    _check_unit(pixel_size, normalize)
    (size,) = _pixel_sizes(pixel_size, 1)
    true, pred = (
        _load(mask if isinstance(mask, Path) else as_mask(mask, allow_float=True)) for mask in (mask_true, mask_pred)
    )
    if true.shape != pred.shape:
        raise ValueError(f"the masks have different sizes: {true.shape} and {pred.shape}")
    return _in_unit(_distances(true, pred), true.shape, size, normalize)


def hausdorff_distance(
    y_true: Any,
    y_pred: Any,
    *,
    percentile: float = 95.0,
    directed: str = "max",
    average: Average = "mean",
    pixel_size: Any = None,
    normalize: str | None = None,
) -> float | np.ndarray:
    """Hausdorff distance between boundaries, or a percentile of it; 0 is best.

    How far the boundary was missed where it was missed most. The classic
    distance is the largest of all, ``percentile=100``: one stray pixel decides
    it. The 95th percentile, known as HD95, passes over the worst 5 %.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    percentile : float, default=95.0
        Percentile of the distances, in (0, 100], with linear interpolation.
    directed : {"max", "pooled"}, default="max"
        What the percentile is taken of. ``"max"``: of the distances from the
        expert's boundary and of those from the predicted one, and the larger
        of the two counts: the partial distance of [1]_, and the HD95 of
        MONAI, DeepMind's surface-distance and Metrics Reloaded [2]_.
        ``"pooled"``: of both sets in one: the ``hd95`` of MedPy [3]_. It is
        the smaller one or equal, up to the interpolation, so the two must not
        be compared. At 100 they are the same.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; the distances of all images in one pair of sets,
        in which an image counts by the length of its boundaries; or one value
        an image.
    pixel_size : float or sequence of float, default=None
        Millimeters per pixel, for all images or one for each; the result is in
        pixels if None.
    normalize : {"diagonal"}, default=None
        Give distances as shares of the diagonal of the image, sqrt(H² + W²).
        Pixels of images of different sizes have no mean that says anything:
        give this or pixel_size for them.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In pixels, mm, or shares of the diagonal. Empty against empty is 0.
        Where one mask is empty and the other is not, no distance is defined;
        it is set to the diagonal of the image, more than any real one, so that
        a failure is not left out of the mean and never pays.

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, something is no mask, or an
        argument is out of its range; the message names the item.

    See Also
    --------
    average_symmetric_surface_distance : Mean in place of the percentile.
    surface_distances : The distances themselves, and what a boundary is.

    Notes
    -----
    For empty masks MedPy raises an error, MONAI gives infinity, and NaN where
    both are empty. The diagonal is the convention of the BraTS challenges
    (373.13 mm for their volumes).

    References
    ----------
    .. [1] D. Huttenlocher, G. Klanderman and W. Rucklidge, "Comparing images
       using the Hausdorff distance", IEEE TPAMI 15(9):850-863 (1993).
    .. [2] L. Maier-Hein, A. Reinke et al., "Metrics reloaded: recommendations
       for image analysis validation", Nature Methods 21:195-212 (2024).
    .. [3] O. Maier et al., MedPy 0.5.2, ``medpy.metric.binary.hd95``.
    .. [4] G. Podobnik and T. Vrtovec, "Understanding implementation pitfalls
       of distance-based metrics for image segmentation", arXiv:2410.02630:
       how far the implementations differ.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import hausdorff_distance
    >>> y_true, y_pred = np.zeros((2, 1, 32, 32), dtype=bool)
    >>> y_true[0, 8:20, 8:20] = True
    >>> y_pred[0, 8:20, 11:23] = True  # 3 pixels to the right
    >>> hausdorff_distance(y_true, y_pred, percentile=100)
    3.0
    >>> hausdorff_distance(y_true, y_pred, percentile=100, pixel_size=0.02)
    0.06
    """
    _check_average(average)
    _check_percentile(percentile)
    _check_directed(directed, ("max", "pooled"))
    return _summarize(
        _measure(y_true, y_pred, pixel_size, normalize),
        average,
        lambda distances: _percentile(distances, percentile, directed),
    )


def average_symmetric_surface_distance(
    y_true: Any,
    y_pred: Any,
    *,
    directed: str = "pooled",
    average: Average = "mean",
    pixel_size: Any = None,
    normalize: str | None = None,
) -> float | np.ndarray:
    """Mean distance between boundaries, seen from both sides; 0 is best.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    directed : {"pooled", "mean"}, default="pooled"
        ``"pooled"``: mean of the distances of both boundaries in one set, in
        which the longer boundary has more weight: the ASSD of [1]_, of Metrics
        Reloaded [2]_ and of MedPy 0.5.2. ``"mean"``: mean of the two means,
        from the expert's boundary and from the predicted one: MASD in Metrics
        Reloaded, and the ``assd`` of MedPy up to 0.5.1. The two differ
        where a part was missed or found too many.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; the distances of all images in one pair of sets,
        in which an image counts by the length of its boundaries; or one value
        an image.
    pixel_size : float or sequence of float, default=None
        Millimeters per pixel, for all images or one for each; the result is in
        pixels if None.
    normalize : {"diagonal"}, default=None
        Give distances as shares of the diagonal of the image, sqrt(H² + W²).

    Returns
    -------
    float or ndarray of shape (n_images,)
        In pixels, mm, or shares of the diagonal. Empty against empty is 0, and
        empty against anything else the diagonal of the image, see
        `hausdorff_distance`.

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, something is no mask, or an
        argument is out of its range; the message names the item.

    See Also
    --------
    hausdorff_distance : A percentile in place of the mean.
    surface_distances : The distances themselves, and what a boundary is.

    References
    ----------
    .. [1] T. Heimann et al., "Comparison and evaluation of methods for liver
       segmentation from CT datasets", IEEE TMI 28(8):1251-1265 (2009).
    .. [2] L. Maier-Hein, A. Reinke et al., "Metrics reloaded: recommendations
       for image analysis validation", Nature Methods 21:195-212 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import average_symmetric_surface_distance
    >>> y_true = [np.array([[0, 1, 0, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[0, 1, 0, 1, 1]], dtype=bool)]
    >>> average_symmetric_surface_distance(y_true, y_pred)  # (0 + 0 + 2 + 3) / 4
    1.25
    >>> round(average_symmetric_surface_distance(y_true, y_pred, directed="mean"), 6)  # of 0 and (0 + 2 + 3) / 3
    0.833333
    """
    _check_average(average)
    _check_directed(directed, ("pooled", "mean"))
    return _summarize(
        _measure(y_true, y_pred, pixel_size, normalize), average, lambda distances: _mean(distances, directed)
    )


def boundary_f1_score(
    y_true: Any,
    y_pred: Any,
    *,
    tolerance: float = TOLERANCE,
    normalize: str | None = "diagonal",
    average: Average = "mean",
    pixel_size: Any = None,
) -> float | np.ndarray:
    """F1 score of the boundary pixels that lie within a tolerance of the other boundary; 1 is best.

    The precision is the share of the predicted boundary that is within the
    tolerance of the expert's, the recall the share of the expert's that is
    within the tolerance of the predicted one; their harmonic mean is the score
    [1]_. A pixel may be the nearest one of several.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    tolerance : float, default=0.0075
        Largest distance at which a pixel counts as found, itself included. In
        the unit that the other two parameters set: shares of the diagonal of
        the image, sqrt(H² + W²), in [0, 1); pixels with ``normalize=None``; mm
        with ``normalize=None`` and pixel_size. The default is that of [1]_;
        in the DAVIS benchmark [2]_ it is 0.008, rounded up to whole pixels.
    normalize : {"diagonal"} or None, default="diagonal"
        Whether the tolerance is a share of the diagonal.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; the boundary pixels of all images in one count;
        or one value an image.
    pixel_size : float or sequence of float, default=None
        Millimeters per pixel, for all images or one for each; for a tolerance
        in mm.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1]. Empty against empty scores 1, and empty against anything
        else 0.

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, something is no mask, or an
        argument is out of its range; the message names the item.

    See Also
    --------
    surface_distances : The distances, and what a boundary is.

    Notes
    -----
    Choose the tolerance by how far experts differ, before you look at scores.
    The normalized surface distance, or surface Dice, of Metrics Reloaded is
    akin: the pixels found of both boundaries by all pixels of both.

    References
    ----------
    .. [1] G. Csurka, D. Larlus and F. Perronnin, "What is a good evaluation
       measure for semantic segmentation?", BMVC 2013.
    .. [2] F. Perazzi et al., "A benchmark dataset and evaluation methodology
       for video object segmentation", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import boundary_f1_score
    >>> y_true = [np.array([[0, 1, 0, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[0, 1, 0, 1, 1]], dtype=bool)]
    >>> boundary_f1_score(y_true, y_pred, tolerance=1, normalize=None)  # precision 1/3, recall 1
    0.5
    >>> boundary_f1_score(y_true, y_pred, tolerance=2, normalize=None)  # precision 2/3, recall 1
    0.8
    """
    _check_average(average)
    _check_tolerance(tolerance, normalize)
    counts = [_match(distances, tolerance) for distances in _measure(y_true, y_pred, pixel_size, normalize)]
    if average == "pooled":
        return _Matches(*(sum(kind) for kind in zip(*counts, strict=True))).f1
    scores = np.array([pair.f1 for pair in counts])
    return scores if average is None else float(scores.mean())


def _check_tolerance(tolerance: Any, normalize: Any) -> None:
    if not isinstance(tolerance, int | float | np.number) or not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a number of at least 0, got {tolerance!r}")
    if normalize is not None and tolerance >= 1:
        raise ValueError(
            f"a tolerance of {tolerance} is no share of the diagonal, which is below 1; pass normalize=None for "
            "pixels, and pixel_size too for mm"
        )
