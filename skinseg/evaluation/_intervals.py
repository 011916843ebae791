"""Bootstrap intervals that respect groups of images, of one score and of the difference of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state

__all__ = ["Difference", "Interval", "bootstrap_interval", "paired_bootstrap", "resampled_counts"]


class Interval(NamedTuple):
    """A value with its interval.

    Parameters
    ----------
    value : float
        The value on the sample.
    low, high : float
        Ends of the interval.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Difference(NamedTuple):
    """A difference with its interval and its p value.

    Parameters
    ----------
    value : float
        The difference on the sample.
    low, high : float
        Ends of the interval.
    p_value : float
        Two-sided, see `paired_bootstrap`.
    """

    value: float
    low: float
    high: float
    p_value: float

    def __str__(self) -> str:
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}], {p}"


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: Any,
    groups: Any = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
) -> Interval:
    """Percentile bootstrap interval of a statistic of paired arrays.

    Whole groups are drawn with replacement, so that several images of one
    lesion or patient do not make the interval too narrow. Resamples on which
    the statistic is not defined (a single class, say) are drawn anew.

    Parameters
    ----------
    statistic : callable
        ``statistic(*arrays) -> float``.
    *arrays : array-like of shape (n_samples, ...)
        What it takes, such as classes and probabilities.
    groups : array-like of shape (n_samples,), default=None
        Lesion or patient of each sample; each is its own if None.
    n_resamples : int, default=2000
        Number of resamples.
    confidence : float, default=0.95
        Level, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    Interval
        Value on the sample, low and high end; the ends are NaN where fewer
        than half of the resamples could be used.

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", Chapman and
    Hall (1993), chapters 8 and 13.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.evaluation import bootstrap_interval
    >>> result = bootstrap_interval(np.mean, np.arange(100), random_state=0)
    >>> bool(result.low < 49.5 < result.high)
    True
    """
    if not arrays:
        raise ValueError("give at least one array to resample")
    values = [np.asarray(array) for array in arrays]
    drawn = _resample(
        lambda index: _defined(statistic, [value[index] for value in values]),
        values,
        groups,
        n_resamples,
        confidence,
        random_state,
    )
    return Interval(float(statistic(*values)), *_ends(drawn, n_resamples, confidence))


def paired_bootstrap(
    statistic: Callable[..., float],
    y_true: Any,
    first: Any,
    second: Any,
    *,
    groups: Any = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
) -> Difference:
    """Compare two models on the same images: difference of a statistic, its interval and p value.

    Each resample of whole groups is scored for both models, so that what makes
    an image easy or hard for both cancels out. That makes the interval of the
    difference narrower than those of the two models suggest: intervals that
    overlap tell nothing about it.

    Parameters
    ----------
    statistic : callable
        ``statistic(y_true, prediction) -> float``, such as
        `sklearn.metrics.roc_auc_score`; or ``statistic(scores) -> float``, such
        as `numpy.mean`, where ``y_true`` is None.
    y_true : array-like of shape (n_samples, ...) or None
        The truth; None where first and second are scores of the images already.
    first, second : array-like of shape (n_samples, ...)
        Predictions, or scores, of the two models for the same images in the
        same order.
    groups : array-like of shape (n_samples,), default=None
        Lesion or patient of each sample; each is its own if None.
    n_resamples : int, default=2000
        Number of resamples.
    confidence : float, default=0.95
        Level, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    Difference
        That of the first minus the second; percentile interval; and the
        two-sided p value. NaN except for the value where fewer than half of the
        resamples could be used.

    Notes
    -----
    The p value inverts the percentile interval [1]_: twice the smaller of the
    shares of resampled differences that are at most, and at least, 0, each
    counted with one more, so that it is never 0 [2]_. It is below 0.05 where
    the 95 % interval leaves out 0, up to that one. With 2,000 resamples the
    smallest is 0.001. It is not corrected for the number of comparisons.

    References
    ----------
    .. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap",
       Chapman and Hall (1993), chapter 13, and section 15.4 on tests and
       intervals.
    .. [2] A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their
       Application", Cambridge University Press (1997), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.evaluation import paired_bootstrap
    >>> rng = np.random.default_rng(0)
    >>> hardness = rng.normal(size=50)  # of each image, for both models
    >>> first = 0.8 - 0.1 * hardness
    >>> second = first - 0.02 + rng.normal(0, 0.01, size=50)
    >>> result = paired_bootstrap(np.mean, None, first, second, random_state=0)
    >>> bool(0.015 < result.low < result.high < 0.025), bool(result.p_value < 0.01)
    (True, True)
    """
    pair = [np.asarray(first), np.asarray(second)]
    truth = None if y_true is None else np.asarray(y_true)

    def score(of: np.ndarray, index: Any) -> float | None:
        return _defined(statistic, [of[index]] if truth is None else [truth[index], of[index]])

    def difference(index: Any) -> float | None:
        scores = [score(of, index) for of in pair]
        return None if scores[0] is None or scores[1] is None else scores[0] - scores[1]

    arrays = pair if truth is None else [truth, *pair]
    drawn = _resample(difference, arrays, groups, n_resamples, confidence, random_state)
    low, high = _ends(drawn, n_resamples, confidence)
    whole = [float(statistic(of) if truth is None else statistic(truth, of)) for of in pair]
    p_value = float("nan") if np.isnan(low) else two_sided_p(np.asarray(drawn))
    return Difference(whole[0] - whole[1], low, high, p_value)


def two_sided_p(differences: np.ndarray) -> float:
    """P value of resampled differences, see `paired_bootstrap`."""
    smaller = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(differences) + 1)))


def resampled_counts(
    groups: Any, n_samples: int, random_state: int | np.random.RandomState | None = None
) -> Iterator[np.ndarray]:
    """Draw groups with replacement, again and again, as `bootstrap_interval` does.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        Lesion or patient of each sample; each is its own if None.
    n_samples : int
        Number of samples.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Yields
    ------
    ndarray of shape (n_samples,), int
        How often each sample is in the resample.
    """
    labels = _labels(groups, n_samples)
    n_groups = int(labels.max()) + 1
    rng = _generator(random_state)
    while True:
        yield np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)[labels]


def _generator(random_state: Any) -> np.random.Generator:
    return np.random.default_rng(check_random_state(random_state).randint(0, 2**31 - 1, size=4))


def _labels(groups: Any, n_samples: int) -> np.ndarray:
    if groups is None:
        return np.arange(n_samples)
    labels: np.ndarray = np.unique(np.asarray(groups), return_inverse=True)[1]
    return labels


def _resample(
    value_of: Callable[[np.ndarray], float | None],
    arrays: list[np.ndarray],
    groups: Any,
    n_resamples: int,
    confidence: float,
    random_state: Any,
) -> list[float]:
    """Give the values on resamples of whole groups; those that are not defined are drawn anew, up to a limit."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    check_consistent_length(*arrays, groups)
    rng = _generator(random_state)
    labels = _labels(groups, len(arrays[0]))
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    drawn: list[float] = []
    for _ in range(2 * n_resamples):
        if len(drawn) == n_resamples:
            break
        picked = rng.integers(len(members), size=len(members))
        result = value_of(np.concatenate([members[group] for group in picked]))
        if result is not None:
            drawn.append(result)
    return drawn


def _ends(drawn: Any, n_resamples: int, confidence: float) -> tuple[float, float]:
    if len(drawn) < max(1, n_resamples / 2):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _defined(statistic: Callable[..., float], arrays: list[np.ndarray]) -> float | None:
    if len(arrays) > 1 and arrays[0].ndim == 1 and len(np.unique(arrays[0])) < 2:
        return None  # one class only: scores of ranking are not defined, and scikit-learn warns
    try:
        result = float(statistic(*arrays))
    except ValueError:
        return None
    return result if np.isfinite(result) else None
