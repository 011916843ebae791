"""What `skinseg report` does: files and tables by their names into a report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..bulk import rows_for
from ..datasets import load_lesion_table
from ..datasets._table import read_any_table
from ..outlining import find_images, find_masks
from ._population import Population
from ._report import ReportSummary, write_report

__all__ = ["report_files"]


def report_files(
    items: Iterable[str],
    out: Path,
    *,
    masks: Path | None = None,
    table: Path | None = None,
    image_column: str = "image",
    population: Path | None = None,
    no_cards: bool = False,
    **options: Any,
) -> ReportSummary:
    """Write a report of files, folders and patterns.

    Parameters
    ----------
    items : iterable of str
        Files, folders and patterns.
    out : Path
        The file.
    masks : Path, default=None
        Folder of masks.
    table : Path, default=None
        Table of clinical columns.
    image_column : str, default="image"
        Its column of images.
    population : Path, default=None
        Table of features for the percentiles.
    no_cards : bool, default=False
        Whether to leave the cards out.
    **options : dict
        Of `write_report`.

    Returns
    -------
    ReportSummary
        What the report tells.
    """
    files = find_images(items)
    if table is not None:
        options["metadata"] = rows_for(files, load_lesion_table(table, image_column=image_column).frame, image_column)
    if population is not None:
        features = read_any_table(population, [], [])
        options["population"] = Population.from_table(features, description=f"lesions of {population}")
    if masks is not None:
        options["masks"] = find_masks(files, masks)
    return write_report(files, out, cards=not no_cards, **options)
