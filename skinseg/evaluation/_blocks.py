"""What reports are made of: text, tables and pictures, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ._data import ExperimentData
from ._intervals import Interval
from ._statistics import Statistic, usable

__all__ = ["Bullets", "Figure", "Gallery", "ReportData", "Section", "Table", "Text", "share_scale"]

NOTICE = "Research software, no medical device: no result is a diagnosis."
FEW = 20  # images below which a row of a table is marked


@dataclass
class ReportData:
    """All that a report is made of.

    Parameters
    ----------
    config : dict
        Of the experiment.
    scores, images : DataFrame
        Its tables.
    headline : dict
        Label -> score -> interval.
    statistics : list of Statistic
        The scores.
    missing : dict of str to str
        Images without an expert mask, and why.
    worst : dict
        Label -> position -> small outline.
    data : ExperimentData
        The images that were tested, in the order of ``images``.
    """

    config: dict[str, Any]
    scores: pd.DataFrame
    images: pd.DataFrame
    headline: dict[str, dict[str, Interval]]
    statistics: list[Statistic]
    missing: dict[str, str]
    worst: dict[str, dict[int, np.ndarray]]
    data: ExperimentData

    @property
    def labels(self) -> list[str]:
        """Labels of the models."""
        return list(self.config["models"])

    @property
    def task(self) -> str:
        """The task."""
        return str(self.config["task"])

    @property
    def is_binary(self) -> bool:
        """Whether there is a positive class."""
        return self.task == "classification" and self.config["classes"] is None

    def rows(self, label: str) -> pd.DataFrame:
        """Scores of a model, those that count, indexed by the position of the image."""
        rows = self.scores[self.scores["model"] == label].reset_index(drop=True)
        return usable(rows, self.task)

    def options(self, n_resamples: int | None = None) -> dict[str, Any]:
        """Give the settings of the bootstrap."""
        settings = self.config["settings"]
        asked = settings["n_resamples"]
        return {
            "n_resamples": asked if n_resamples is None else min(asked, n_resamples),
            "confidence": settings["confidence"],
            "seed": settings["seed"],
        }


@dataclass
class Text:
    """A paragraph."""

    text: str


@dataclass
class Bullets:
    """A list; long ones are folded away in HTML."""

    items: list[str]
    folded: str = ""


@dataclass
class Table:
    """A table whose cells are text, numbers, intervals or differences.

    Parameters
    ----------
    columns : list of str
        Titles.
    rows : list of list
        Cells.
    note : str
        Below the table.
    bars : list of int
        Columns of intervals that are drawn as well, in HTML.
    faint : set of int
        Rows that stand on few images.
    title : str
        Above the table.
    scale : (float, float)
        Range of the bars; of the values themselves if None.
    """

    columns: list[str]
    rows: list[list[Any]]
    note: str = ""
    bars: list[int] = field(default_factory=list)
    faint: set[int] = field(default_factory=set)
    title: str = ""
    scale: tuple[float, float] | None = None


@dataclass
class Figure:
    """A picture: ``draw()`` gives SVG; called for HTML only."""

    draw: Callable[[], bytes]
    alt: str


@dataclass
class Gallery:
    """Small pictures of images, with their captions.

    Parameters
    ----------
    title : str
        Above the pictures.
    items : list of (int, str, dict)
        Position of the image, caption, and outlines to draw: ``"expert"`` and
        ``"model"`` -> mask, of any size.
    """

    title: str
    items: list[tuple[int, str, dict[str, np.ndarray]]]


@dataclass
class Section:
    """A part of the report under a heading."""

    title: str
    blocks: list[Any]


def share_scale(blocks: list[Any]) -> None:
    """Give the bars of several tables one scale, on which all rows of many images fit."""
    tables = [block for block in blocks if isinstance(block, Table) and block.bars]
    kept = [row for table in tables for place, row in enumerate(table.rows) if place not in table.faint]
    scale = scale_of(kept or [row for table in tables for row in table.rows], tables[0].bars) if tables else None
    for table in tables:
        table.scale = scale


def scale_of(rows: list[list[Any]], bars: list[int]) -> tuple[float, float] | None:
    """Give the range of intervals, in tenths."""
    cells = [row[place] for row in rows for place in bars]
    ends = [end for cell in cells for end in (cell.value, cell.low, cell.high) if not np.isnan(end)]
    if not ends:
        return None
    low, high = np.floor(min(ends) * 10) / 10, np.ceil(max(ends) * 10) / 10
    return float(low), float(max(high, low + 0.1))
