"""Running an experiment again from its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from .._quiet import ignored_warnings
from .._tables import read_text_table
from ..datasets import load_lesion_table
from ..exceptions import UngroupedWarning
from ..persistence import load
from ._experiment import KEPT_COLUMNS, run_experiment
from ._folder import TOLERANCE, Experiment, RerunCheck, load_experiment
from ._models import ModelUnderTest, sha256_of

__all__ = ["rerun_experiment"]


def rerun_experiment(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    data: Any = None,
    models: Mapping[str, Any] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Experiment:
    """Run an experiment again from its folder, and tell whether the numbers are the same.

    Parameters
    ----------
    source : path-like
        The folder, or the ``experiment.json`` in it.
    out : path-like
        The folder to write.
    data : path-like or Bunch, default=None
        The data, where they are not where they were, or were arrays.
    models : mapping of str to model, default=None
        Label -> model, for those that could not be kept in the folder or are
        not where they were.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress bars if above 0.

    Returns
    -------
    Experiment
        The new one; its ``rerun`` says whether the numbers are the same, and
        which files of data and models, and which versions, have changed.

    Raises
    ------
    ValueError, FileNotFoundError
        If the data, or a model, cannot be found again.
    """
    before = load_experiment(source)
    _check_settings(before.config["settings"], before.folder)
    changed: list[str] = []
    chosen = {label: _find_model(before, label, dict(models or {}), changed) for label in before.models}
    settings = dict(before.config["settings"])
    where, kept = before.config["data"], False
    if data is None:
        if where["table"] is None:
            raise ValueError(f"the data of {before.folder} were arrays and are not kept in it; give them again (data)")
        data = before.folder / where["table"]
        if not data.is_file():
            raise FileNotFoundError(f"{data}: the table of the data is not there any more; give it (data)")
        kept = bool(where["kept"])
    is_table = isinstance(data, (str, os.PathLike)) and Path(data).is_file()
    if is_table and sha256_of(Path(data)) != where.get("table_sha256"):
        changed.append(f"the table {Path(data).name}")
    if kept:
        data = _open_kept(data, settings["mask_column"], where["description"])
    again = run_experiment(chosen, data, out, **settings, n_jobs=n_jobs, verbose=verbose)
    changed += _changed_files(before.images, again.images)
    for name, old in before.config["versions"].items():
        new = again.config["versions"].get(name, "not there")
        if new != old:
            changed.append(f"{name} {old} is {new} now")
    again.rerun = compare_scores(before, again, changed)
    return again


def _check_settings(settings: dict[str, Any], folder: Path) -> None:
    known = signature(run_experiment).parameters.keys() - {"models", "data", "out", "n_jobs", "verbose"}
    strange = sorted(settings.keys() - known)
    if strange:
        raise ValueError(f"{folder} has settings that this skinseg does not know: {', '.join(strange)}")


def _open_kept(path: Path, mask_column: str | None, description: str) -> Bunch:
    """Give the data of a loader as it gave them, from the table that was kept."""
    header = read_text_table(path, nrows=0)
    there: dict[str, Any] = {f"{role}_column": name for role, name in KEPT_COLUMNS.items() if name in header}
    with ignored_warnings(UngroupedWarning):  # told again by the experiment
        data = load_lesion_table(path, **there)
    data.frame = data.frame.drop(columns=list(there.values()))
    if mask_column is not None:
        data.frame[mask_column] = data.masks
    data.DESCR = description
    return data


def _find_model(before: Experiment, label: str, given: dict[str, Any], changed: list[str]) -> Any:
    if label in given:
        return given[label]
    source = before.config["models"][label]
    if "name" in source:
        return source["name"]
    name = source.get("file", source.get("object"))
    if name is None:
        raise ValueError(
            f"the model {label!r} ({source['class']}) could not be kept in the folder ({source.get('not_kept')}); give "
            f"it: rerun_experiment(..., models={{{label!r}: model}})"
        )
    path = before.folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the model {label!r} is not there any more; give it (models)")
    if sha256_of(path) != source.get("sha256"):
        changed.append(f"the model {label} ({path.name})")
    return path if "file" in source else ModelUnderTest(label, load(path), {"object": None}, path)


def _changed_files(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    old, new = before.set_index("name"), after.set_index("name")
    changed = [f"the image {name} is not there any more" for name in old.index.difference(new.index)]
    changed += [f"the image {name} is new" for name in new.index.difference(old.index)]
    both = old.index[old.index.isin(new.index)]
    for column, what in (("image_sha256", "image"), ("mask_sha256", "mask")):
        differ = old.loc[both, column].to_numpy() != new.loc[both, column].to_numpy()
        changed += [f"the {what} of {name}" for name in both[differ]]
    return changed


def compare_scores(before: Experiment, after: Experiment, changed: list[str]) -> RerunCheck:
    """Compare the scores of two runs of one experiment, cell by cell."""
    if before.config["results"]["scores_sha256"] == after.config["results"]["scores_sha256"]:
        return RerunCheck(True, True, 0.0, [], changed)
    keys = ["name", "model"]
    old, new = (item.scores.set_index(keys) for item in (before, load_experiment(after.folder)))
    differences, largest = [], 0.0
    only = len(old.index.symmetric_difference(new.index))
    if only:
        differences.append(f"{only} rows are in one of the two only")
    both = old.index.intersection(new.index)
    for column in [name for name in old if name in new]:
        first, second = old.loc[both, column], new.loc[both, column]
        if pd.api.types.is_float_dtype(first) and pd.api.types.is_float_dtype(second):
            gap = (first - second).abs()
            odd = int((first.isna() != second.isna()).sum())
            most = float(gap.max()) if gap.notna().any() else 0.0
            largest = max(largest, most)
            if odd or most > TOLERANCE:
                differences.append(f"{column}: {int((gap > TOLERANCE).sum()) + odd} rows, by up to {most:.3g}")
        else:
            count = int((first.astype(str) != second.astype(str)).sum())
            if count:
                differences.append(f"{column}: {count} rows")
    return RerunCheck(False, not differences, largest, differences, changed)
