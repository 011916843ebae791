"""All scores of masks, one row an image."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..masks import overlap_counts
from . import _boundary, _overlap

__all__ = ["mask_scores"]


def mask_scores(
    y_true: Any,
    y_pred: Any,
    *,
    boundary: bool = True,
    pixel_size: Any = None,
    normalize: str | None = None,
) -> pd.DataFrame:
    """Score each image by every metric of masks, reading each mask once.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    boundary : bool, default=True
        Whether to measure the boundaries too, which takes most of the time.
    pixel_size : float or sequence of float, default=None
        Millimeters per pixel, for all images or one for each; distances are in
        pixels if None.
    normalize : {"diagonal"}, default=None
        Give distances as shares of the diagonal of the image.

    Returns
    -------
    pandas.DataFrame
        One row an image, with the index of y_true if it is a Series. Columns:
        ``jaccard``, ``dice``, ``thresholded_jaccard`` (at 0.65),
        ``sensitivity``, ``specificity``, ``accuracy``; ``hausdorff95`` (the
        larger of the directed percentiles) and ``assd`` (the mean over
        both boundaries), in pixels, mm or shares of the diagonal;
        ``boundary_f1`` (at 0.75 % of the diagonal whatever the unit);
        ``true_share`` and ``pred_share``, the share of the image inside of
        either mask. Each is the value that the function of the metric gives
        with ``average=None``.

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    See Also
    --------
    hausdorff_distance : Definitions, and what empty masks get.

    Examples
    --------
    >>> from skinseg import ThresholdSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.metrics import mask_scores
    >>> data = make_lesions(4, random_state=0)
    >>> scores = mask_scores(data.masks, ThresholdSegmenter().predict(data.images))
    >>> scores.shape
    (4, 11)
    >>> bool(scores["dice"].min() > 0.5)
    True
    """
    _boundary._check_unit(pixel_size, normalize)
    pairs = _overlap._pairs(y_true, y_pred)
    sizes = _boundary._pixel_sizes(pixel_size, len(y_true))
    rows = []
    for index, true, pred in pairs:
        counts = overlap_counts(true, pred)
        row = {
            "jaccard": counts.jaccard,
            "dice": _overlap._dice(counts),
            "thresholded_jaccard": _overlap._thresholded_jaccard(counts),
            "sensitivity": _overlap._sensitivity(counts),
            "specificity": _overlap._specificity(counts),
            "accuracy": _overlap._accuracy(counts),
        }
        if boundary:
            pixels = _boundary._distances(true, pred)
            distances = _boundary._in_unit(pixels, true.shape, sizes[index], normalize)
            shares = _boundary._in_unit(pixels, true.shape, None, "diagonal")
            row |= {
                "hausdorff95": _boundary._percentile(distances),
                "assd": _boundary._mean(distances),
                "boundary_f1": _boundary._match(shares, _boundary.TOLERANCE).f1,
            }
        rows.append(row | {"true_share": true.mean(), "pred_share": pred.mean()})
    return pd.DataFrame(rows, index=y_true.index if isinstance(y_true, pd.Series) else None, dtype=float)
