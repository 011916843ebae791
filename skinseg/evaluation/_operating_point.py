"""Choosing the probability above which a lesion is called melanoma."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

__all__ = ["threshold_at_sensitivity"]


def threshold_at_sensitivity(y_true: Any, y_score: Any, sensitivity: float, *, pos_label: Any = None) -> float:
    """Find the highest threshold that reaches a sensitivity.

    Choose it on data that the model was not fitted on, such as out-of-fold
    probabilities.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes, of which there must be two.
    y_score : array-like of shape (n_samples,)
        Probability of the positive class.
    sensitivity : float
        Wanted share of positives found, in (0, 1].
    pos_label : object, default=None
        The positive class; needed unless the classes are 0 and 1.

    Returns
    -------
    float
        The threshold: ``y_score >= threshold`` has at least that sensitivity.

    Examples
    --------
    >>> from skinseg.evaluation import threshold_at_sensitivity
    >>> threshold_at_sensitivity([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 1.0)
    0.35
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity must lie in (0, 1], got {sensitivity}")
    if len(np.unique(y_true)) != 2:
        raise ValueError(f"y_true must hold two classes, got {np.unique(y_true).tolist()}")
    _, true_positive_rate, thresholds = roc_curve(y_true, y_score, pos_label=pos_label, drop_intermediate=False)
    return float(thresholds[np.argmax(true_positive_rate >= sensitivity)])
