"""Operating point and calibration of classifiers, for reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from . import _figures
from ._blocks import Figure, ReportData, Section, Table, Text
from ._intervals import Interval
from ._operating_point import threshold_at_sensitivity

__all__ = ["calibration", "operating_point", "reliability_table", "wilson_interval"]

_BIN = 15  # images of a bin, at least
_SURE = 1e-6


def wilson_interval(hits: int, total: int, confidence: float = 0.95) -> Interval:
    """Interval of a share by the score method.

    Parameters
    ----------
    hits, total : int
        Counts.
    confidence : float, default=0.95
        Level, in (0, 1).

    Returns
    -------
    Interval
        Share and its ends; NaN without an image.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22, 209-212,
    1927.
    """
    from scipy.stats import norm

    if total == 0:
        return Interval(*[float("nan")] * 3)
    z = float(norm.ppf((1 + confidence) / 2))
    share = hits / total
    center = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # rounding may leave an end a hair outside of the share
    return Interval(share, float(max(0.0, min(center - half, share))), float(min(1.0, max(center + half, share))))


def reliability_table(
    y_true: Any, probability: Any, *, n_bins: int | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Compare probabilities with what was observed, in bins of equal mass.

    Parameters
    ----------
    y_true : array-like of shape (n_images,)
        0 and 1.
    probability : array-like of shape (n_images,)
        Of 1.
    n_bins : int, default=None
        Number of bins; up to 10, with 15 images or more in each, if None.
    confidence : float, default=0.95
        Level of the intervals.

    Returns
    -------
    DataFrame
        ``images``, ``predicted`` (mean probability), ``observed`` (share of
        positives) and its Wilson interval ``low`` and ``high``, a row a bin.
    """
    truth, values = np.asarray(y_true, int), np.asarray(probability, float)
    order = np.argsort(values, kind="stable")
    if n_bins is None:
        n_bins = int(np.clip(len(values) // _BIN, 1, 10))
    rows = []
    for part in np.array_split(order, n_bins):
        if len(part):
            share = wilson_interval(int(truth[part].sum()), len(part), confidence)
            rows.append(
                {
                    "images": len(part),
                    "predicted": values[part].mean(),
                    "observed": share.value,
                    "low": share.low,
                    "high": share.high,
                }
            )
    return pd.DataFrame(rows, columns=["images", "predicted", "observed", "low", "high"])


def _slope(truth: np.ndarray, values: np.ndarray) -> float:
    """Slope of the logistic regression of the truth on the log-odds: 1 is right, below 1 they are too extreme."""
    odds = logit(np.clip(values, _SURE, 1 - _SURE))
    if len(np.unique(truth)) < 2 or np.ptp(odds) == 0:
        return float("nan")
    model = LogisticRegression(C=1e10, max_iter=1000).fit(odds[:, None], truth)
    return float(model.coef_[0, 0])


def calibration(report: ReportData) -> Section:
    """Tell how far probabilities can be taken at their word."""
    if not report.is_binary:
        return Section("Calibration", [])
    blocks: list[Any] = []
    tables = {}
    summary = []
    for label in report.labels:
        rows = report.rows(label)
        truth, values = rows["target"].to_numpy(int), rows["probability"].to_numpy(float)
        if len(rows):
            tables[label] = reliability_table(truth, values, confidence=report.config["settings"]["confidence"])
            summary.append([label, f"{values.mean():.3f}", f"{truth.mean():.3f}", _plain(_slope(truth, values))])
    if not tables:
        return Section("Calibration", [])
    caption = (
        "Reliability: observed share of positives against mean probability, in bins of equal mass; on the dashed line "
        "they agree."
    )
    blocks.append(Figure(lambda: _figures.draw_calibration(tables), caption))
    blocks.append(
        Table(
            ["", "mean probability", "share of positives", "calibration slope"],
            summary,
            "A slope below 1 means that probabilities are too extreme, above 1 that they are too timid.",
        )
    )
    for label, found in tables.items():
        rows = [
            [f"{row['predicted']:.3f}", Interval(row["observed"], row["low"], row["high"]), str(int(row["images"]))]
            for _, row in found.iterrows()
        ]
        blocks.append(Table(["mean probability", "observed share", "images"], rows, "Wilson intervals.", title=label))
    return Section("Calibration", blocks)


def _plain(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def operating_point(report: ReportData) -> Section:
    """Tell what the decisions of each model come to."""
    blocks: list[Any] = []
    for label in report.labels:
        rows = report.rows(label)
        if rows.empty:
            continue
        if not report.is_binary:
            blocks.append(_confusion(rows, report.config["classes"], label))
            continue
        truth, called = rows["target"].to_numpy() == 1, rows["decision"].to_numpy(int) == 1
        table = [
            ["called positive", str(int((called & truth).sum())), str(int((called & ~truth).sum()))],
            ["called negative", str(int((~called & truth).sum())), str(int((~called & ~truth).sum()))],
        ]
        blocks.append(
            Table(
                ["", "in truth positive", "in truth negative"], table, _told(rows, truth, called, report), title=label
            )
        )
    if blocks:
        text = (
            "The decision is the model's own: by the threshold that was fixed with it before, else from 0.5 on (of "
            "several classes, the most probable)."
        )
        blocks.insert(0, Text(text))
    return Section("Operating point", blocks)


def _told(rows: pd.DataFrame, truth: np.ndarray, called: np.ndarray, report: ReportData) -> str:
    wanted = report.config["settings"]["sensitivity"]
    if len(np.unique(truth)) < 2:
        return "One class only: no threshold can be read off these images."
    values = rows["probability"].to_numpy(float)
    threshold = threshold_at_sensitivity(truth.astype(int), values, wanted)
    above = values >= threshold
    return (
        f"Called positive: {100 * called.mean():.0f} % of the images. Read off these images, a sensitivity of "
        f"{100 * wanted:g} % is reached from a probability of {threshold:.3f} on, with a specificity of "
        f"{(~above[~truth]).mean():.3f}."
    )


def _confusion(rows: pd.DataFrame, classes: list[str], label: str) -> Table:
    truth, said = rows["target"].astype(str), rows["decision"].astype(str)
    cells = [[name, *(str(int(((truth == name) & (said == other)).sum())) for other in classes)] for name in classes]
    return Table(["true class \\ said", *classes], cells, title=label)
