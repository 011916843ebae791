"""Bootstrap intervals that respect groups of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state

__all__ = ["Interval", "bootstrap_interval"]


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
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    values = [np.asarray(array) for array in arrays]
    check_consistent_length(*values, groups)
    rng = np.random.default_rng(check_random_state(random_state).randint(0, 2**31 - 1, size=4))
    labels = np.arange(len(values[0])) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    drawn: list[float] = []
    for _ in range(2 * n_resamples):
        if len(drawn) == n_resamples:
            break
        picked = rng.integers(len(members), size=len(members))
        index = np.concatenate([members[group] for group in picked])
        result = _defined(statistic, [value[index] for value in values])
        if result is not None:
            drawn.append(result)
    tail = (1 - confidence) / 2
    enough = len(drawn) >= n_resamples / 2 and drawn
    low, high = np.quantile(drawn, [tail, 1 - tail]) if enough else (np.nan, np.nan)
    return Interval(float(statistic(*values)), float(low), float(high))


def _defined(statistic: Callable[..., float], arrays: list[np.ndarray]) -> float | None:
    if len(arrays) > 1 and arrays[0].ndim == 1 and len(np.unique(arrays[0])) < 2:
        return None  # one class only: scores of ranking are not defined, and scikit-learn warns
    try:
        result = float(statistic(*arrays))
    except ValueError:
        return None
    return result if np.isfinite(result) else None
