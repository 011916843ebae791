"""Pictures of reports, as SVG: small, sharp at any size, and told apart without color."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["draw_calibration", "draw_distribution", "draw_roc"]

# Okabe and Ito, "Color Universal Design", 2008; with dashes besides, for print
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 3)), (0, (3, 3)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


def _style(position: int) -> dict[str, Any]:
    return {"color": _COLORS[position % len(_COLORS)], "linestyle": _DASHES[position % len(_DASHES)], "linewidth": 1.8}


def _axes(title_x: str, title_y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=title_x, ylabel=title_y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # text as text keeps it small; no date and a fixed salt, so that the same numbers give the same file
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "skinseg", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def draw_distribution(values: dict[str, np.ndarray]) -> bytes:
    """Draw the cumulative distribution of the Jaccard index of each model.

    Parameters
    ----------
    values : dict of str to ndarray
        Label -> scores.

    Returns
    -------
    bytes
        SVG.
    """
    figure, axes = _axes("Jaccard index", "share of images with at most that")
    axes.axvline(0.79, color="#888888", linewidth=0.9, linestyle=(0, (2, 2)))
    axes.text(0.78, 0.98, "experts among\neach other", ha="right", va="top", fontsize=8, color="#555555")
    for position, (label, found) in enumerate(values.items()):
        ordered = np.sort(found)
        axes.step(np.r_[0, ordered, 1], np.r_[0, np.arange(1, len(ordered) + 1) / max(1, len(ordered)), 1],
                  where="post", label=label, **_style(position))  # fmt: skip
    axes.legend(loc="center left", frameon=False)
    return _svg(figure)


def draw_roc(curves: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> bytes:
    """Draw ROC curves with the decisions on them.

    Parameters
    ----------
    curves : dict of str to (ndarray, ndarray, ndarray)
        Label -> truth (bool), probability, decision (bool).

    Returns
    -------
    bytes
        SVG.
    """
    from sklearn.metrics import roc_curve

    figure, axes = _axes("1 − specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], color="#aaaaaa", linewidth=0.9)
    for position, (label, (truth, values, called)) in enumerate(curves.items()):
        false, true, _ = roc_curve(truth, values)
        axes.plot(false, true, label=label, **_style(position))
        axes.plot(called[~truth].mean(), called[truth].mean(), _MARKERS[position % len(_MARKERS)],
                  color=_COLORS[position % len(_COLORS)], markersize=8, markeredgecolor="white")  # fmt: skip
    axes.legend(loc="lower right", frameon=False)
    axes.set_aspect("equal")
    return _svg(figure)


def draw_calibration(tables: dict[str, pd.DataFrame]) -> bytes:
    """Draw reliability curves.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Label -> what `reliability_table` gives.

    Returns
    -------
    bytes
        SVG.
    """
    figure, axes = _axes("mean probability", "observed share of positives")
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.9, linestyle=(0, (4, 3)))
    for position, (label, table) in enumerate(tables.items()):
        gaps = np.abs(table[["low", "high"]].to_numpy().T - table["observed"].to_numpy())
        axes.errorbar(table["predicted"], table["observed"], yerr=gaps, label=label, capsize=2, elinewidth=0.9,
                      marker=_MARKERS[position % len(_MARKERS)], markersize=5, **_style(position))  # fmt: skip
    axes.legend(loc="upper left", frameon=False)
    axes.set_aspect("equal")
    return _svg(figure)
