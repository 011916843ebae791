"""Overlap of masks: the scores of the ISIC challenges, an image at a time, their mean, or pooled over all pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..images import check_masks, read_mask
from ..masks import OverlapCounts, overlap_counts

__all__ = [
    "accuracy_score",
    "dice_score",
    "jaccard_score",
    "sensitivity_score",
    "specificity_score",
    "thresholded_jaccard_score",
]

Average = str | None


def _load(mask: np.ndarray | Path) -> np.ndarray:
    values = read_mask(mask) if isinstance(mask, Path) else mask
    return values if values.dtype == bool else values >= 0.5


def _pairs(y_true: Any, y_pred: Any) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Check the masks, then give position, expert's mask and predicted mask of each image, read when it is its turn."""
    truth = check_masks(y_true, estimator="y_true", allow_float=True)
    failed = [index for index, mask in enumerate(y_pred) if mask is None] if isinstance(y_pred, list | tuple) else []
    if failed:
        raise ValueError(
            f"y_pred has no mask (None) for {len(failed)} of {len(y_pred)} images: {failed[:10]}; an image that failed "
            "counts as an empty mask, np.zeros(shape, bool): left out, it would make the scores too good"
        )
    predicted = check_masks(y_pred, estimator="y_pred", allow_float=True)
    if len(truth) != len(predicted):
        raise ValueError(f"y_true holds {len(truth)} masks and y_pred {len(predicted)}; give one for each image")
    if not truth:
        raise ValueError("y_true and y_pred are empty; give at least one mask")
    return _read(truth, predicted)


def _read(truth: list[Any], predicted: list[Any]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    for index, pair in enumerate(zip(truth, predicted, strict=True)):
        try:
            true, pred = map(_load, pair)
            if true.shape != pred.shape:
                raise ValueError(f"the masks have different sizes: {true.shape} and {pred.shape}")
        except ValueError as error:
            raise ValueError(f"mask {index}: {error}") from None
        yield index, true, pred


def _check_average(average: Average) -> None:
    if average not in ("mean", "pooled", None):
        raise ValueError(f"average must be 'mean', 'pooled' or None, got {average!r}")


def _ratio(numerator: int, denominator: int) -> float:
    """Divide; 1 where there is nothing to get wrong."""
    return numerator / denominator if denominator else 1.0


def _average(y_true: Any, y_pred: Any, average: Average, score: Callable[[OverlapCounts], float]) -> float | np.ndarray:
    _check_average(average)
    counts = [overlap_counts(true, pred) for _, true, pred in _pairs(y_true, y_pred)]
    if average == "pooled":
        return score(OverlapCounts(*(sum(kind) for kind in zip(*counts, strict=True))))
    scores = np.array([score(pair) for pair in counts])
    return scores if average is None else float(scores.mean())


def _jaccard(pair: OverlapCounts) -> float:
    return pair.jaccard


def _thresholded_jaccard(pair: OverlapCounts, threshold: float = 0.65) -> float:
    return pair.jaccard if pair.jaccard >= threshold else 0.0


def _dice(pair: OverlapCounts) -> float:
    total = 2 * pair.true_positive + pair.false_positive + pair.false_negative
    return _ratio(2 * pair.true_positive, total)


def _sensitivity(pair: OverlapCounts) -> float:
    return _ratio(pair.true_positive, pair.true_positive + pair.false_negative)


def _specificity(pair: OverlapCounts) -> float:
    return _ratio(pair.true_negative, pair.true_negative + pair.false_positive)


def _accuracy(pair: OverlapCounts) -> float:
    return _ratio(pair.true_positive + pair.true_negative, sum(pair))


def jaccard_score(y_true: Any, y_pred: Any, *, average: Average = "mean") -> float | np.ndarray:
    """Jaccard index: intersection over union; empty against empty scores 1.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; all pixels of all images in one count; or one
        value an image.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1].

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a
    challenge hosted by the ISIC", arXiv:1902.03368.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import jaccard_score
    >>> y_true = [np.array([[1, 1, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[1, 0, 0, 0]], dtype=bool)]
    >>> jaccard_score(y_true, y_pred)
    0.5
    """
    return _average(y_true, y_pred, average, _jaccard)


def thresholded_jaccard_score(
    y_true: Any, y_pred: Any, *, threshold: float = 0.65, average: Average = "mean"
) -> float | np.ndarray:
    """Jaccard index that counts as 0 below a threshold: the score of the ISIC 2018 challenge.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    threshold : float, default=0.65
        Below this Jaccard index an outline counts as failed.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; all pixels of all images in one count; or one
        value an image.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1].

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a
    challenge hosted by the ISIC", arXiv:1902.03368.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import thresholded_jaccard_score
    >>> y_true = [np.array([[1, 1, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[1, 0, 0, 0]], dtype=bool)]
    >>> thresholded_jaccard_score(y_true, y_pred)
    0.0
    """
    return _average(y_true, y_pred, average, lambda pair: _thresholded_jaccard(pair, threshold))


def dice_score(y_true: Any, y_pred: Any, *, average: Average = "mean") -> float | np.ndarray:
    """Dice coefficient, or F1 score of pixels; empty against empty scores 1.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; all pixels of all images in one count; or one
        value an image.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1].

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a
    challenge hosted by the ISIC", arXiv:1902.03368.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import dice_score
    >>> y_true = [np.array([[1, 1, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[1, 0, 0, 0]], dtype=bool)]
    >>> dice_score(y_true, y_pred)
    0.6666666666666666
    """
    return _average(y_true, y_pred, average, _dice)


def sensitivity_score(y_true: Any, y_pred: Any, *, average: Average = "mean") -> float | np.ndarray:
    """Share of the pixels of the lesion that were found; 1 where there is no lesion.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; all pixels of all images in one count; or one
        value an image.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1].

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a
    challenge hosted by the ISIC", arXiv:1902.03368.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import sensitivity_score
    >>> y_true = [np.array([[1, 1, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[1, 0, 0, 0]], dtype=bool)]
    >>> sensitivity_score(y_true, y_pred)
    0.5
    """
    return _average(y_true, y_pred, average, _sensitivity)


def specificity_score(y_true: Any, y_pred: Any, *, average: Average = "mean") -> float | np.ndarray:
    """Share of the pixels of skin that were left out; 1 where there is no skin.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; all pixels of all images in one count; or one
        value an image.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1].

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a
    challenge hosted by the ISIC", arXiv:1902.03368.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import specificity_score
    >>> y_true = [np.array([[1, 1, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[1, 0, 0, 0]], dtype=bool)]
    >>> specificity_score(y_true, y_pred)
    1.0
    """
    return _average(y_true, y_pred, average, _specificity)


def accuracy_score(y_true: Any, y_pred: Any, *, average: Average = "mean") -> float | np.ndarray:
    """Share of the pixels that are right.

    Parameters
    ----------
    y_true : sequence of masks
        The expert's masks: (H, W) arrays, or `pathlib.Path` of mask files.
    y_pred : sequence of masks
        The predicted masks, each of the size of its counterpart.
    average : {"mean", "pooled"} or None, default="mean"
        Mean over the images; all pixels of all images in one count; or one
        value an image.

    Returns
    -------
    float or ndarray of shape (n_images,)
        In [0, 1].

    Raises
    ------
    ValueError
        If the numbers or the sizes differ, or something is no mask; the
        message names the item.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a
    challenge hosted by the ISIC", arXiv:1902.03368.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.metrics import accuracy_score
    >>> y_true = [np.array([[1, 1, 0, 0]], dtype=bool)]
    >>> y_pred = [np.array([[1, 0, 0, 0]], dtype=bool)]
    >>> accuracy_score(y_true, y_pred)
    0.75
    """
    return _average(y_true, y_pred, average, _accuracy)
