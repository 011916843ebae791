"""Scores of many resamples at once: the same numbers as `bootstrap_interval` gives, in a fraction of the time.

A statistic is a function of weights: for an array of shape (n_resamples, n_images) that tells how often each image is
in each resample it gives one value a resample, NaN where it is not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..metrics import expected_calibration_error, partial_auc_score, specificity_at_sensitivity
from ._intervals import Difference, Interval, _ends, resampled_counts, two_sided_p

__all__ = ["Statistic", "compare_statistics", "interval_table", "statistics_of"]

Weighted = Callable[[np.ndarray], np.ndarray]
_CELLS = 1_000_000  # of an array of weights
FEWEST = 5  # groups, or positives and negatives, below which resamples say nothing and no interval is given


@dataclass(frozen=True)
class Statistic:
    """A score of an experiment.

    Parameters
    ----------
    name : str
        For files.
    title : str
        For readers.
    make : callable
        Takes rows of the scores and gives a function of weights.
    better : {"higher", "lower", ""}
        Which values are good.
    unit : str
        Of the value.
    main : bool
        Whether it is told of subgroups and pairs as well.
    needs : tuple of int
        Classes (0 and 1) of which an interval needs some.
    """

    name: str
    title: str
    make: Callable[[pd.DataFrame], Weighted]
    better: str = "higher"
    unit: str = ""
    main: bool = True
    needs: tuple[int, ...] = ()

    def has_enough(self, rows: pd.DataFrame) -> bool:
        """Tell whether resamples of some rows say anything."""
        counts = rows["target"].value_counts() if self.needs else {}
        return rows["group"].nunique() >= FEWEST and all(counts.get(one, 0) >= FEWEST for one in self.needs)


# ---------------------------------------------------------------------- functions of weights


def mean_of(values: Any) -> Weighted:
    """Mean of what is known."""
    numbers = np.asarray(values, float)
    known = np.isfinite(numbers)
    filled = np.where(known, numbers, 0.0)

    def give(weights: np.ndarray) -> np.ndarray:
        return _divide(weights @ filled, weights @ known.astype(float))

    return give


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _steps(y_score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of the scores, and where each value begins."""
    order = np.argsort(y_score, kind="stable")
    ordered = y_score[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def auc_of(y_true: Any, y_score: Any) -> Weighted:
    """Area under the ROC curve, ties counted half: the share of pairs that are in the right order."""
    truth, score = np.asarray(y_true, bool), np.asarray(y_score, float)
    order, starts = _steps(score)

    def give(weights: np.ndarray) -> np.ndarray:
        if not len(score):
            return np.full(len(weights), np.nan)
        ordered = weights[:, order].astype(float)
        positive = np.add.reduceat(ordered * truth[order], starts, axis=1)
        negative = np.add.reduceat(ordered * ~truth[order], starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        return _divide((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))

    return give


def average_precision_of(y_true: Any, y_score: Any) -> Weighted:
    """Average precision: the precision at each threshold, weighted with the positives that it adds."""
    truth, score = np.asarray(y_true, bool), np.asarray(y_score, float)
    order, starts = _steps(-score)

    def give(weights: np.ndarray) -> np.ndarray:
        if not len(score):
            return np.full(len(weights), np.nan)
        ordered = weights[:, order].astype(float)
        positive = np.add.reduceat(ordered * truth[order], starts, axis=1)
        everything = np.add.reduceat(ordered, starts, axis=1)
        found = np.cumsum(positive, axis=1)
        seen = np.cumsum(everything, axis=1)
        precision = np.nan_to_num(_divide(found, seen))
        value = _divide((precision * positive).sum(axis=1), found[:, -1])
        return np.where(seen[:, -1] > found[:, -1], value, np.nan)  # of positives alone it would be 1, whatever is said

    return give


def share_of(hit: Any, among: Any) -> Weighted:
    """Share of hits among some of the images."""
    base = np.asarray(among, float)
    hits = np.asarray(hit, float) * base

    def give(weights: np.ndarray) -> np.ndarray:
        return _divide(weights @ hits, weights @ base)

    return give


def _by_rows(score: Callable[..., float], y_true: Any, y_score: Any) -> Weighted:
    """Score each resample by a function of skinseg.metrics."""
    truth, values = np.asarray(y_true, int), np.asarray(y_score, float)

    def one(row: np.ndarray) -> float:
        there = row > 0
        if len(np.unique(truth[there])) < 2:
            return np.nan
        return float(score(truth[there], values[there], sample_weight=row[there]))

    return lambda weights: np.array([one(row) for row in weights])


# ---------------------------------------------------------------------- the scores of a task


def _column(name: str) -> Callable[[pd.DataFrame], Weighted]:
    return lambda rows: mean_of(rows[name])


def _binary(give: Callable[[Any, Any], Weighted], column: str = "probability") -> Callable[[pd.DataFrame], Weighted]:
    return lambda rows: give(rows["target"].to_numpy() == 1, rows[column])


def _decided(kind: str) -> Callable[[pd.DataFrame], Weighted]:
    def make(rows: pd.DataFrame) -> Weighted:
        truth, called = rows["target"].to_numpy() == 1, rows["decision"].to_numpy(int) == 1
        return {
            "sensitivity": lambda: share_of(called, truth),
            "specificity": lambda: share_of(~called, ~truth),
            "ppv": lambda: share_of(truth, called),
            "npv": lambda: share_of(~truth, ~called),
        }[kind]()

    return make


def _recalls(classes: Sequence[str]) -> Callable[[pd.DataFrame], Weighted]:
    def make(rows: pd.DataFrame) -> Weighted:
        truth, said = rows["target"].astype(str).to_numpy(), rows["decision"].astype(str).to_numpy()
        parts = [share_of(said == name, truth == name) for name in classes if (truth == name).any()]
        return lambda weights: np.mean([part(weights) for part in parts], axis=0)

    return make


def _class_auc(name: str) -> Callable[[pd.DataFrame], Weighted]:
    return lambda rows: auc_of(rows["target"].astype(str) == name, rows[f"probability_{name}"])


def _macro_auc(classes: Sequence[str]) -> Callable[[pd.DataFrame], Weighted]:
    def make(rows: pd.DataFrame) -> Weighted:
        there = set(rows["target"].astype(str))
        parts = [_class_auc(name)(rows) for name in classes if name in there]
        return lambda weights: np.mean([part(weights) for part in parts], axis=0)

    return make


def statistics_of(task: str, *, sensitivity: float = 0.9, classes: Sequence[str] | None = None) -> list[Statistic]:
    """List the scores of a task.

    Parameters
    ----------
    task : {"segmentation", "classification"}
        The task.
    sensitivity : float, default=0.9
        At which the specificity is told.
    classes : sequence of str, default=None
        The classes, where there are several and no positive one.

    Returns
    -------
    list of Statistic
        The first is the one that experiments are headed by.
    """
    if task == "segmentation":
        return [
            Statistic("jaccard", "Jaccard index", _column("jaccard")),
            Statistic("dice", "Dice coefficient", _column("dice")),
            Statistic("thresholded_jaccard", "Jaccard index, 0 below 0.65", _column("thresholded_jaccard"), main=False),
            Statistic("sensitivity", "Sensitivity (pixels)", _column("sensitivity")),
            Statistic("specificity", "Specificity (pixels)", _column("specificity"), main=False),
            Statistic("accuracy", "Accuracy (pixels)", _column("accuracy"), main=False),
            Statistic("hausdorff95", "Hausdorff distance, 95 %", _column("hausdorff95"), "lower", "px"),
            Statistic("assd", "Mean distance of the outlines", _column("assd"), "lower", "px", main=False),
            Statistic("boundary_f1", "Boundary F score", _column("boundary_f1"), main=False),
        ]
    if classes is not None:
        return [
            Statistic("roc_auc", "ROC AUC, mean of the classes", _macro_auc(classes)),
            Statistic("balanced_accuracy", "Balanced accuracy", _recalls(classes)),
            Statistic(
                "accuracy", "Accuracy",
                lambda rows: mean_of(rows["target"].astype(str).to_numpy() == rows["decision"].astype(str).to_numpy()),
            ),
            *(Statistic(f"roc_auc_{name}", f"ROC AUC of {name}", _class_auc(name), main=False) for name in classes),
        ]  # fmt: skip

    def least(score: Callable[..., float], **settings: Any) -> Callable[[pd.DataFrame], Weighted]:
        return _binary(lambda truth, values: _by_rows(lambda *a, **k: score(*a, **k, **settings), truth, values))

    percent = f"{100 * sensitivity:g} %"
    return [
        Statistic("roc_auc", "ROC AUC", _binary(auc_of), needs=(0, 1)),
        Statistic("average_precision", "Average precision", _binary(average_precision_of), needs=(0, 1)),
        Statistic(
            "partial_auc", "ROC AUC above a sensitivity of 80 % (0 to 0.2)",
            least(partial_auc_score, min_sensitivity=0.8), main=False, needs=(0, 1),
        ),
        Statistic(
            f"specificity_at_{round(100 * sensitivity)}", f"Specificity at a sensitivity of {percent}",
            least(specificity_at_sensitivity, sensitivity=sensitivity), main=False, needs=(0, 1),
        ),
        Statistic(
            "brier", "Brier score",
            _binary(lambda truth, values: mean_of((np.asarray(values, float) - truth) ** 2)), "lower",
        ),
        Statistic("ece", "Expected calibration error", least(expected_calibration_error), "lower", main=False),
        Statistic("sensitivity", "Sensitivity of the decision", _decided("sensitivity"), needs=(1,)),
        Statistic("specificity", "Specificity of the decision", _decided("specificity"), needs=(0,)),
        Statistic("ppv", "Positive predictive value", _decided("ppv"), main=False),
        Statistic("npv", "Negative predictive value", _decided("npv"), main=False),
    ]  # fmt: skip


def usable(rows: pd.DataFrame, task: str) -> pd.DataFrame:
    """Keep the rows that have scores."""
    if task == "segmentation":
        return rows[rows["jaccard"].notna()]
    columns = [name for name in rows if str(name).startswith("probability")]  # some are of other models only
    return rows[rows[columns].notna().any(axis=1) & rows["decision"].notna()]


# ---------------------------------------------------------------------- the bootstrap


def _chunks(groups: Any, n_images: int, seed: int, most: int) -> Any:
    """Resamples as arrays of weights, a chunk at a time."""
    stream = resampled_counts(groups, n_images, seed)
    size = max(1, min(most, _CELLS // max(1, n_images)))
    for start in range(0, most, size):
        yield np.array([next(stream) for _ in range(min(size, most - start))])


def _values(makers: Mapping[str, Weighted], groups: Any, n_images: int, n_resamples: int, seed: int) -> dict[str, Any]:
    """Give for each statistic its values on the first resamples where it is defined."""
    found: dict[str, list[float]] = {name: [] for name in makers}
    for weights in _chunks(groups, n_images, seed, 2 * n_resamples):
        waiting = [name for name, values in found.items() if len(values) < n_resamples]
        if not waiting:
            break
        for name in waiting:
            values = makers[name](weights)
            found[name] += values[np.isfinite(values)].tolist()
    return {name: values[:n_resamples] for name, values in found.items()}


def interval_of(
    statistic: Weighted, n_images: int, groups: Any = None, *, n_resamples: int, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Give the interval of a function of weights, as `bootstrap_interval` gives that of a function of arrays.

    Parameters
    ----------
    statistic : callable
        The function of weights.
    n_images : int
        Number of images that it is of.
    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image; each is its own if None.
    n_resamples : int
        Number of resamples of groups.
    confidence : float, default=0.95
        Level, in (0, 1).
    seed : int, default=0
        Seed.

    Returns
    -------
    Interval
        The value and the ends.
    """
    value = float(statistic(np.ones((1, n_images)))[0])
    drawn = _values({"": statistic}, groups, n_images, n_resamples, seed)[""]
    return Interval(value, *_ends(drawn, n_resamples, confidence))


def interval_table(
    rows: pd.DataFrame, statistics: Sequence[Statistic], *, n_resamples: int, confidence: float, seed: int
) -> dict[str, Interval]:
    """Give the scores of one model with their intervals.

    Parameters
    ----------
    rows : DataFrame
        A row an image, with the column ``group``.
    statistics : sequence of Statistic
        The scores.
    n_resamples : int
        Number of resamples of groups.
    confidence : float
        Level of the intervals.
    seed : int
        Seed.

    Returns
    -------
    dict of str to Interval
        By name; NaN where a score is not defined. The ends are NaN where there
        are too few images, or all resamples give the same.
    """
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    if rows.empty:
        return {statistic.name: nothing for statistic in statistics}
    makers = {statistic.name: statistic.make(rows) for statistic in statistics}
    whole = {name: float(make(np.ones((1, len(rows))))[0]) for name, make in makers.items()}
    enough = [statistic.name for statistic in statistics if statistic.has_enough(rows)]
    defined = {name: makers[name] for name in enough if np.isfinite(whole[name])}
    drawn = _values(defined, rows["group"].to_numpy(), len(rows), n_resamples, seed)
    found = {}
    for name, value in whole.items():
        low, high = _ends(drawn.get(name, ()), n_resamples, confidence)
        if low == high:  # nothing was missed, say: resamples cannot tell that something might be
            low = high = float("nan")
        found[name] = Interval(value, low, high)
    return found


def compare_statistics(
    first: pd.DataFrame,
    second: pd.DataFrame,
    statistics: Sequence[Statistic],
    *,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Difference]:
    """Give the differences of the scores of two models on the same images, as `paired_bootstrap` does.

    Parameters
    ----------
    first, second : DataFrame
        A row an image, the same images in the same order.
    statistics : sequence of Statistic
        The scores.
    n_resamples : int
        Number of resamples of groups.
    confidence : float
        Level of the intervals.
    seed : int
        Seed.

    Returns
    -------
    dict of str to Difference
        By name; NaN where a score is not defined.
    """
    none = Difference(*[float("nan")] * 4)
    if first.empty:
        return {statistic.name: none for statistic in statistics}

    def difference(statistic: Statistic) -> Weighted:
        one, other = statistic.make(first), statistic.make(second)
        return lambda weights: one(weights) - other(weights)

    makers = {statistic.name: difference(statistic) for statistic in statistics}
    whole = {name: float(make(np.ones((1, len(first))))[0]) for name, make in makers.items()}
    enough = [statistic.name for statistic in statistics if statistic.has_enough(first)]
    defined = {name: makers[name] for name in enough if np.isfinite(whole[name])}
    drawn = _values(defined, first["group"].to_numpy(), len(first), n_resamples, seed)
    found = {}
    for name, value in whole.items():
        values = drawn.get(name, [])
        low, high = _ends(values, n_resamples, confidence)
        p_value = float("nan") if np.isnan(low) else two_sided_p(np.asarray(values))
        found[name] = Difference(value, low, high, p_value)
    return found
