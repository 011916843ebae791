"""Duplicates and leaks among the images of an experiment, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ._data import ExperimentData, Fold
from ._duplicates import find_duplicates
from ._leakage import check_leakage

__all__ = ["check_data"]

_LISTED = 10


def check_data(data: ExperimentData, folds: Sequence[Fold], n_jobs: int | None = None) -> list[str]:
    """Look for images that are there twice, and on both sides of a split.

    Parameters
    ----------
    data : ExperimentData
        The images.
    folds : sequence of Fold
        Their parts.
    n_jobs : int, default=None
        Number of workers.

    Returns
    -------
    list of str
        What was found.
    """
    if len(folds) == 1 and len(folds[0].train):
        return _across(data, folds[0], n_jobs)
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    chosen = data.take(tested)
    found = find_duplicates(chosen.images, n_jobs=n_jobs)
    pairs = [(int(row.first), int(row.second), str(row.kind)) for row in found.itertuples()]
    kinds = {True: "within a group (lesion or patient)", False: "in different groups"}
    alike = {same: [p for p in pairs if (chosen.groups[p[0]] == chosen.groups[p[1]]) is same] for same in kinds}
    fold_of = {int(position): fold.name for fold in folds for position in fold.test}
    places = [fold_of[int(position)] for position in tested]
    lines = [
        f"{len(chosen)} images were compared with each other by their pixels (skinseg.evaluation.find_duplicates)."
    ]
    if not pairs:
        lines.append("No two of them are the same picture.")
    for same, title in kinds.items():
        if alike[same]:
            lines.append(f"{len(alike[same])} pairs of the same picture {title}: {_list(chosen, alike[same])}.")
    crossing = [pair for pair in pairs if places[pair[0]] != places[pair[1]]]
    if crossing:
        lines.append(
            f"LEAK: {len(crossing)} of these pairs are in different folds, so that models were scored on pictures that "
            "they had learnt from; put them into one group (skinseg.evaluation.group_duplicates) and run again."
        )
    if found.attrs.get("errors"):
        lines.append(f"{len(found.attrs['errors'])} images could not be compared, for they cannot be read.")
    return lines


def _list(data: ExperimentData, pairs: list[tuple[int, int, str]]) -> str:
    texts = [f"{data.names[first]} = {data.names[second]} ({kind})" for first, second, kind in pairs[:_LISTED]]
    return ", ".join(texts) + (", …" if len(pairs) > _LISTED else "")


def _across(data: ExperimentData, fold: Fold, n_jobs: int | None) -> list[str]:
    groups = pd.Series(data.groups).astype(str).to_numpy() if data.grouped else None
    sides = [[data.images[index] for index in part] for part in (fold.train, fold.test)]
    report = check_leakage(
        *sides,
        train_groups=None if groups is None else groups[fold.train],
        test_groups=None if groups is None else groups[fold.test],
        n_jobs=n_jobs,
    )
    lines = [line.strip() for line in str(report).splitlines()]
    if not report.ok:
        lines.append(
            "LEAK: scores are too high by what was learnt from these; leave them out of training and run again."
        )
    return lines
