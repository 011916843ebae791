"""Scores of classifiers that scikit-learn lacks, and scorers made of them.

They are for two classes, one of which is the positive one: partial area under
the ROC curve, one rate at a wanted value of the other, error of calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import auc, make_scorer
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints, validate_params
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "expected_calibration_error",
    "get_classification_scorer",
    "partial_auc_score",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
]

_ROUNDING = 1e-9  # how far sums of weights may miss a rate or the edge of a bin
_LISTED = 10  # classes and items that a message names
_COMMON: dict[str, list[Any]] = {
    "y_true": ["array-like"],
    "pos_label": [Real, str, "boolean", None],
    "sample_weight": ["array-like", None],
}


def _list(items: list[Any]) -> str:
    return ", ".join(map(repr, items[:_LISTED])) + (", ..." if len(items) > _LISTED else "")


def _column(values: Any, name: str, dtype: type | None = None) -> np.ndarray:
    """Turn one value for each sample into a 1-D array."""
    try:
        column = np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold one number for each sample: {error}") from None
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise ValueError(
            f"{name} must hold one value for each sample, got an array of shape {column.shape}; of probabilities of "
            "several classes pass the column of the positive one, such as predict_proba(X)[:, 1]"
        )
    return column


def _positives(labels: np.ndarray, pos_label: Any) -> np.ndarray:
    """Find the samples of the positive class."""
    missing = np.flatnonzero(pd.isna(labels)).tolist()
    if missing:
        raise ValueError(f"y_true has no label for {len(missing)} samples, at {_list(missing)}; leave them out")
    try:
        classes = np.unique(labels).tolist()
    except TypeError as error:
        raise ValueError(f"y_true mixes labels of different kinds: {error}") from None
    if len(classes) < 2:
        raise ValueError(
            f"y_true holds one class only, {_list(classes)}, and the score needs two; "
            "folds that keep the share of each class are made by StratifiedKFold and StratifiedGroupKFold"
        )
    if pos_label is None:
        if classes not in ([0, 1], [-1, 1]):  # False and True are equal to 0 and 1
            raise ValueError(
                f"y_true holds the classes {_list(classes)}, and which is the positive one was not said: pass "
                f"pos_label, such as pos_label={classes[-1]!r}, to the score or to get_classification_scorer; "
                "only 0 and 1, -1 and 1, False and True go without"
            )
        pos_label = 1
    if pos_label not in classes:
        raise ValueError(
            f"pos_label={pos_label!r} is none of the classes of y_true, {_list(classes)}; name one of them"
        )
    return np.asarray(labels == pos_label, dtype=bool)


def _check(
    y_true: Any, y_score: Any, name: str, pos_label: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check what a score is made of: whether positive, score, and weight of each sample."""
    labels, scores = _column(y_true, "y_true"), _column(y_score, name, np.float64)
    if len(labels) != len(scores):
        raise ValueError(f"y_true holds {len(labels)} labels and {name} {len(scores)} values; give one for each sample")
    if not len(labels):
        raise ValueError(f"y_true and {name} are empty; give at least one sample of each class")
    bad = np.flatnonzero(~np.isfinite(scores)).tolist()
    if bad:
        raise ValueError(
            f"{name} is NaN or infinite for {len(bad)} samples, at {_list(bad)}; "
            "give the classifier an imputer, or leave these samples out and say how many"
        )
    positive = _positives(labels, pos_label)
    weights = _check_sample_weight(sample_weight, scores, dtype=np.float64, ensure_non_negative=True)
    if not weights[positive].sum() > 0 or not weights[~positive].sum() > 0:
        raise ValueError("sample_weight is 0 for all samples of a class; both classes need some weight")
    return positive, scores, weights


def _roc_points(y_true: Any, y_score: Any, pos_label: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sensitivities and specificities, from the strictest threshold to the laxest.

    One point for each score that occurs, samples of equal score together, after
    the one where nothing is called positive. Without weights the rates are
    ratios of counts, so that 41 of 50 is 0.82 to the last bit.
    """
    positive, scores, weights = _check(y_true, y_score, "y_score", pos_label, sample_weight)
    values, place = np.unique(-scores, return_inverse=True)
    true = np.r_[0.0, np.bincount(place, weights * positive, len(values)).cumsum()]
    false = np.r_[0.0, np.bincount(place, weights * ~positive, len(values)).cumsum()]
    return true / true[-1], (false[-1] - false) / false[-1]


@validate_params(
    _COMMON
    | {
        "y_score": ["array-like"],
        "min_sensitivity": [Interval(Real, 0, 1, closed="left")],
        "normalize": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def partial_auc_score(
    y_true: Any,
    y_score: Any,
    *,
    min_sensitivity: float = 0.8,
    pos_label: Any = None,
    sample_weight: Any = None,
    normalize: bool = False,
) -> float:
    """Area under the ROC curve and above a least sensitivity: the score of the ISIC 2024 challenge.

    The integral of ``max(sensitivity - min_sensitivity, 0)`` over the rate of
    false positives. It is 0 at worst, ``1 - min_sensitivity`` at best, and
    ``(1 - min_sensitivity) ** 2 / 2`` for equal scores or a random ranking of
    many samples: 0, 0.2 and 0.02 with the least sensitivity of the challenge,
    0.8. With 0 it is the area under the whole curve.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes. Of more than two, the positive one is scored against all
        others.
    y_score : array-like of shape (n_samples,)
        Probability or any other score of the positive class; only the order
        counts.
    min_sensitivity : float, default=0.8
        Least sensitivity, in [0, 1).
    pos_label : int, float, bool or str, default=None
        The positive class; needed unless the classes are 0 and 1, -1 and 1, or
        False and True, where it is 1 or True.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.
    normalize : bool, default=False
        Whether to divide by ``1 - min_sensitivity``, so that the best is 1.

    Returns
    -------
    float
        The area.

    Raises
    ------
    ValueError
        If y_true holds one class only, a score is NaN or infinite, lengths
        differ, or the positive class is not known.

    See Also
    --------
    specificity_at_sensitivity : One point of the curve.
    sklearn.metrics.roc_auc_score : Whole area, or that up to a rate of false
        positives.

    Notes
    -----
    The challenge states the area by way of scikit-learn: swap the classes,
    negate the scores, and take the area under the ROC curve up to
    ``max_fpr = 1 - min_sensitivity`` without the correction of McClish, which
    `sklearn.metrics.roc_auc_score` puts on top. A rate of false positives of
    the swapped curve is 1 minus a sensitivity of this one, so that both are
    the same area. Points of the curve are joined by straight lines.

    References
    ----------
    N. Kurtansky, "ISIC pAUC-aboveTPR", code of the score of the ISIC 2024
    challenge, https://github.com/ISIC-Research/Challenge-2024-Metrics.

    D. McClish, "Analyzing a portion of the ROC curve", Medical Decision Making
    9(3):190-195 (1989).

    Examples
    --------
    >>> from skinseg.metrics import partial_auc_score
    >>> y_true, y_score = [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.5, 0.9]
    >>> round(partial_auc_score(y_true, y_score), 6)
    0.15
    >>> round(partial_auc_score(y_true, y_score, normalize=True), 6)
    0.75
    """
    sensitivity, specificity = _roc_points(y_true, y_score, pos_label, sample_weight)
    # the same area seen from the side: the integral of the specificity over the sensitivities above the least one
    first = int(np.searchsorted(sensitivity, min_sensitivity, side="right"))  # the last is 1, so there is one
    start = np.interp(min_sensitivity, sensitivity[first - 1 : first + 1], specificity[first - 1 : first + 1])
    result = float(auc(np.r_[min_sensitivity, sensitivity[first:]], np.r_[start, specificity[first:]]))
    return result / (1 - min_sensitivity) if normalize else result


@validate_params(
    _COMMON | {"y_score": ["array-like"], "specificity": [Interval(Real, 0, 1, closed="both")]},
    prefer_skip_nested_validation=True,
)
def sensitivity_at_specificity(
    y_true: Any, y_score: Any, specificity: float = 0.9, *, pos_label: Any = None, sample_weight: Any = None
) -> float:
    """Highest sensitivity that one threshold reaches with at least a specificity.

    One threshold on the scores: samples of equal score fall on the same side,
    and there is no interpolation between the points of the ROC curve, so that
    the specificity reached may be higher than the one asked for. The threshold
    is chosen on the samples that are scored; to choose one for later use, see
    `skinseg.evaluation.threshold_at_sensitivity`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes. Of more than two, the positive one is scored against all
        others.
    y_score : array-like of shape (n_samples,)
        Probability or any other score of the positive class; only the order
        counts.
    specificity : float, default=0.9
        Least share of the negatives that are to be called negative, in [0, 1].
        Falling short by less than 1e-9 is taken for rounding.
    pos_label : int, float, bool or str, default=None
        The positive class; needed unless the classes are 0 and 1, -1 and 1, or
        False and True, where it is 1 or True.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    float
        The sensitivity, in [0, 1]; 0 where no threshold finds a positive at
        that specificity.

    Raises
    ------
    ValueError
        If y_true holds one class only, a score is NaN or infinite, lengths
        differ, or the positive class is not known.

    See Also
    --------
    specificity_at_sensitivity : The same the other way round.

    Examples
    --------
    >>> from skinseg.metrics import sensitivity_at_specificity
    >>> y_true, y_score = [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.5, 0.9]
    >>> sensitivity_at_specificity(y_true, y_score, 0.9)
    0.5
    >>> sensitivity_at_specificity(y_true, y_score, 0.75)
    1.0
    """
    sensitivities, specificities = _roc_points(y_true, y_score, pos_label, sample_weight)
    return float(sensitivities[specificities >= specificity - _ROUNDING].max())


@validate_params(
    _COMMON | {"y_score": ["array-like"], "sensitivity": [Interval(Real, 0, 1, closed="both")]},
    prefer_skip_nested_validation=True,
)
def specificity_at_sensitivity(
    y_true: Any, y_score: Any, sensitivity: float = 0.82, *, pos_label: Any = None, sample_weight: Any = None
) -> float:
    """Highest specificity that one threshold reaches with at least a sensitivity.

    One threshold on the scores: samples of equal score fall on the same side,
    and there is no interpolation between the points of the ROC curve, so that
    the sensitivity reached may be higher than the one asked for. The threshold
    is chosen on the samples that are scored; to choose one for later use, see
    `skinseg.evaluation.threshold_at_sensitivity`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes. Of more than two, the positive one is scored against all
        others.
    y_score : array-like of shape (n_samples,)
        Probability or any other score of the positive class; only the order
        counts.
    sensitivity : float, default=0.82
        Least share of the positives that are to be called positive, in [0, 1].
        Falling short by less than 1e-9 is taken for rounding. The default is
        the mean of eight dermatologists on 100 images of the ISIC 2016
        challenge, whose mean specificity was 0.59 [1]_.
    pos_label : int, float, bool or str, default=None
        The positive class; needed unless the classes are 0 and 1, -1 and 1, or
        False and True, where it is 1 or True.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    float
        The specificity, in [0, 1]; 0 where only calling all samples positive
        has that sensitivity.

    Raises
    ------
    ValueError
        If y_true holds one class only, a score is NaN or infinite, lengths
        differ, or the positive class is not known.

    See Also
    --------
    sensitivity_at_specificity : The same the other way round.

    References
    ----------
    .. [1] M. Marchetti et al., "Results of the 2016 International Skin Imaging
       Collaboration ISBI challenge: comparison of the accuracy of computer
       algorithms to dermatologists for the diagnosis of melanoma from
       dermoscopic images", J Am Acad Dermatol 78(2):270-277 (2018).

    Examples
    --------
    >>> from skinseg.metrics import specificity_at_sensitivity
    >>> y_true, y_score = [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.5, 0.9]
    >>> specificity_at_sensitivity(y_true, y_score, 0.82)
    0.75
    >>> specificity_at_sensitivity(y_true, y_score, 0.5)
    1.0
    """
    sensitivities, specificities = _roc_points(y_true, y_score, pos_label, sample_weight)
    return float(specificities[sensitivities >= sensitivity - _ROUNDING].max())


@validate_params(
    _COMMON
    | {
        "y_prob": ["array-like"],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "strategy": [StrOptions({"quantile", "uniform"})],
    },
    prefer_skip_nested_validation=True,
)
def expected_calibration_error(
    y_true: Any,
    y_prob: Any,
    *,
    n_bins: int = 10,
    strategy: str = "quantile",
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Mean distance between predicted probability and observed share, in bins of the probability.

    The probability is that of the positive class, not that of the class which
    was predicted. In each bin the mean probability is compared with the share
    of positives; the mean of the absolute differences, each weighted with the
    weight of its bin, is the error: 0 is best and 1 worst.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Classes. Of more than two, the positive one is scored against all
        others.
    y_prob : array-like of shape (n_samples,)
        Probability of the positive class, in [0, 1].
    n_bins : int, default=10
        Number of bins. Those without a sample count nothing.
    strategy : {"quantile", "uniform"}, default="quantile"
        ``"quantile"``: bins of equal mass. The samples are laid in the order
        of their probability, each as long as its weight, and the whole length
        is cut into n_bins equal parts. Equal probabilities are never split:
        they all go to the part in which their middle lies, the lower one if it
        lies on a cut. So the masses differ where probabilities repeat.
        ``"uniform"``: bins of equal width, [0, 1/n_bins], (1/n_bins,
        2/n_bins], and so on, as in [2]_ and in
        `sklearn.calibration.calibration_curve`.
    pos_label : int, float, bool or str, default=None
        The positive class; needed unless the classes are 0 and 1, -1 and 1, or
        False and True, where it is 1 or True.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    float
        The error, in [0, 1].

    Raises
    ------
    ValueError
        If a probability is NaN or lies outside of [0, 1], y_true holds one
        class only, lengths differ, or the positive class is not known.

    See Also
    --------
    sklearn.calibration.calibration_curve : The points of the reliability curve.
    sklearn.metrics.brier_score_loss : A score without bins, of calibration and
        ranking together.

    Notes
    -----
    Values of different binnings cannot be compared. Even of perfect
    probabilities the error is above 0 by chance, and the more so the fewer
    samples there are to a bin.

    References
    ----------
    .. [1] M. P. Naeini, G. Cooper and M. Hauskrecht, "Obtaining well calibrated
       probabilities using Bayesian binning", AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern
       neural networks", ICML 2017.
    .. [3] J. Nixon et al., "Measuring calibration in deep learning", CVPR
       Workshops 2019: bins of equal mass.

    Examples
    --------
    >>> from skinseg.metrics import expected_calibration_error
    >>> y_true, y_prob = [0, 0, 1, 0, 1, 1], [0.0, 0.1, 0.2, 0.6, 0.8, 1.0]
    >>> round(expected_calibration_error(y_true, y_prob, n_bins=2), 6)
    0.183333
    """
    positive, probabilities, weights = _check(y_true, y_prob, "y_prob", pos_label, sample_weight)
    outside = np.flatnonzero((probabilities < 0) | (probabilities > 1)).tolist()
    if outside:
        raise ValueError(
            f"y_prob lies outside of [0, 1] for {len(outside)} samples, at {_list(outside)}, the first with "
            f"{probabilities[outside[0]]:g}; pass probabilities, which CalibratedClassifierCV makes of other scores"
        )
    values, place = np.unique(probabilities, return_inverse=True)
    mass = np.bincount(place, weights)
    if strategy == "quantile":
        middle = n_bins * (mass.cumsum() - mass / 2) / mass.sum()
        bins = np.clip(np.ceil(middle - _ROUNDING).astype(np.intp) - 1, 0, n_bins - 1)
    else:
        bins = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], values)
    gaps = np.bincount(bins, mass * values - np.bincount(place, weights * positive))
    return float(np.abs(gaps).sum() / mass.sum())


_RANKING = ("predict_proba", "decision_function")
# name: score, methods of a classifier that it can be made of, whether greater is better
_SCORES: dict[str, tuple[Callable[..., float], str | tuple[str, ...], bool]] = {
    "neg_expected_calibration_error": (expected_calibration_error, "predict_proba", False),
    "partial_auc": (partial_auc_score, _RANKING, True),
    "sensitivity_at_specificity": (sensitivity_at_specificity, _RANKING, True),
    "specificity_at_sensitivity": (specificity_at_sensitivity, _RANKING, True),
}


def get_classification_scorer(name: str, *, pos_label: Any = None, **kwargs: Any) -> Callable[..., float]:
    """Get a scorer of classifiers of two classes by the name of its score.

    Parameters
    ----------
    name : str
        ``"partial_auc"``, ``"sensitivity_at_specificity"``,
        ``"specificity_at_sensitivity"``, or
        ``"neg_expected_calibration_error"``, negated since searches look for
        the greatest.
    pos_label : int, float, bool or str, default=None
        The positive class; needed unless the classes are 0 and 1, -1 and 1, or
        False and True, where it is 1 or True.
    **kwargs : dict
        Other arguments of the score, such as ``sensitivity=0.9``. They are
        checked at once. Weights are no argument of a scorer: with metadata
        routing they come by ``set_score_request(sample_weight=True)``.

    Returns
    -------
    callable
        A scorer of scikit-learn for the parameter ``scoring``. It reads
        ``predict_proba``; of a classifier without one, the scores that need
        only an order read ``decision_function``.

    Raises
    ------
    ValueError
        If there is no such score, or an argument has a value out of its range.
    TypeError
        If the score has no such argument.

    See Also
    --------
    get_mask_scorer : Scorers of segmenters.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from skinseg.metrics import get_classification_scorer
    >>> X, y = make_classification(weights=[0.8], random_state=0)
    >>> scorer = get_classification_scorer("specificity_at_sensitivity", sensitivity=0.9)
    >>> cross_val_score(LogisticRegression(), X, y, cv=3, scoring=scorer).shape
    (3,)
    """
    if name not in _SCORES:
        raise ValueError(f"name must be one of {sorted(_SCORES)}, got {name!r}")
    score, response_method, greater_is_better = _SCORES[name]
    allowed = [
        parameter for parameter in signature(score).parameters if parameter not in (*_COMMON, "y_score", "y_prob")
    ]
    unknown = sorted(kwargs.keys() - set(allowed))
    if unknown:
        raise TypeError(f"{name} has no argument {', '.join(unknown)}; besides pos_label it has {', '.join(allowed)}")
    if pos_label is not None:
        kwargs["pos_label"] = pos_label
    constraints = score._skl_parameter_constraints  # type: ignore[attr-defined]
    validate_parameter_constraints(constraints, kwargs, caller_name=score.__name__)
    return make_scorer(score, response_method=response_method, greater_is_better=greater_is_better, **kwargs)
