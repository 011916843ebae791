"""Experiments: models on data with a split, as a folder that can be read, compared and run again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from .._files import growing_folder, write_file
from .._quiet import ignored_warnings
from .._version import __version__
from ..bulk import clinical_columns
from ..clinical import CLINICAL_COLUMNS
from ..datasets._table import check_number_columns
from ..outlining import write_table
from ._blocks import ReportData
from ._checks import check_data
from ._data import ExperimentData, Fold, load_data, make_folds
from ._folder import FORMAT, Experiment
from ._intervals import Interval
from ._models import ModelUnderTest, resolve_models, sha256_of, task_of
from ._report import write_report
from ._run import Outcome, classify, segment
from ._statistics import interval_table, statistics_of, usable
from ._subgroups import _DIAGNOSES

__all__ = ["run_experiment"]

_PACKAGES = (
    "numpy", "scipy", "pandas", "scikit-learn", "scikit-image", "imbalanced-learn", "opencv-python-headless",
    "opencv-python", "onnxruntime", "pillow", "joblib", "skops", "keras", "tensorflow",
)  # fmt: skip
KEPT_COLUMNS = {
    "image": "experiment_image",
    "mask": "experiment_mask",
    "target": "experiment_target",
    "group": "experiment_group",
}


def run_experiment(
    models: Any,
    data: Any,
    out: str | os.PathLike[str],
    *,
    task: str | None = None,
    image_column: str = "image",
    mask_column: str | None = None,
    target_column: str | None = None,
    group_column: str | None = None,
    metadata_columns: Sequence[str] | None = None,
    subgroup_columns: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    pos_label: Any = None,
    split_column: str | None = None,
    train: str = "train",
    test: str = "test",
    folds: int | None = None,
    seed: int = 0,
    sensitivity: float = 0.9,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    table_format: str = "csv",
    masks: bool = False,
    check_duplicates: bool = True,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Experiment:
    """Evaluate models on images and write all that a reader needs to trust the numbers, or not to.

    Parameters
    ----------
    models : str, path-like, estimator, sequence of these, or mapping of str to these
        What to evaluate: names (``"pretrained"``, ``"threshold"`` and the other
        segmenters of the command, ``"melanoma"``), files saved by
        `skinseg.save`, or estimators. The keys of a mapping are their labels.
    data : path-like or Bunch
        A table of files, see `skinseg.datasets.load_lesion_table`, or what a
        loader gives.
    out : path-like
        The folder to write; it must not exist, or be empty.
    task : {"segmentation", "classification"}, default=None
        The task; what the models are for if None.
    image_column, mask_column, target_column, group_column : str
        Columns of the table: images, expert masks, classes, and the lesions or
        patients by which folds are cut and intervals are drawn.
    metadata_columns : sequence of str, default=None
        Clinical columns that classifiers get beside the image.
    subgroup_columns : sequence of str, default=()
        Columns for whose values scores are told, besides diagnosis, age, sex,
        site and what is measured on the images.
    where : mapping, default=None
        Use only rows with these values.
    pos_label : object, default=None
        The positive class; needed unless the classes are 0 and 1. With more
        than two classes, all others are negative; None scores each class.
    split_column : str, default=None
        Column that says which images are for training and which for testing:
        models are fitted on the ones and scored on the others.
    train, test : str, default="train", "test"
        Its values for them.
    folds : int, default=None
        Cross-validate: models are cloned and fitted in each of this many folds,
        stratified by class, groups kept together. If this and ``split_column``
        are None, models are scored as they are.
    seed : int, default=0
        Seed of folds and intervals.
    sensitivity : float, default=0.9
        For which the specificity is told, in (0, 1].
    n_resamples : int, default=2000
        Resamples of the bootstrap of groups.
    confidence : float, default=0.95
        Level of intervals, in (0, 1).
    table_format : {"csv", "parquet"}, default="csv"
        Of the tables.
    masks : bool, default=False
        Whether to keep the masks, in the form of the ISIC challenges.
    check_duplicates : bool, default=True
        Whether to look for images that are there twice, or on both sides of a
        split.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress bars if above 0.

    Returns
    -------
    Experiment
        As it lies in the folder: ``scores.csv``, ``images.csv``,
        ``experiment.json``, ``times.json``, ``report.md`` and ``report.html``.

    Raises
    ------
    ValueError
        If the data or models do not fit the task, nothing can be scored, or a
        setting is out of range.
    FileExistsError
        If there is something in the folder already.

    See Also
    --------
    rerun_experiment : Runs it again from its folder.
    compare_experiments : Compares two.

    Notes
    -----
    ``docs/evaluation.md`` tells what is in the folder. Numbers that depend on
    the machine (times) are apart, in ``times.json``: all other files are the
    same whenever the experiment is run again with the same versions.

    Examples
    --------
    >>> import os, tempfile
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.evaluation import run_experiment
    >>> folder = tempfile.TemporaryDirectory()
    >>> lesions = make_lesions(6, random_state=0, min_side=64, max_side=96)
    >>> experiment = run_experiment(
    ...     "threshold", lesions, os.path.join(folder.name, "first"), n_resamples=100, check_duplicates=False
    ... )
    >>> experiment.summary().query("score == 'jaccard'")["value"].item() > 0.5
    True
    >>> folder.cleanup()
    """
    settings: dict[str, Any] = {
        "task": task, "image_column": image_column, "mask_column": mask_column, "target_column": target_column,
        "group_column": group_column, "metadata_columns": None if metadata_columns is None else list(metadata_columns),
        "subgroup_columns": list(subgroup_columns), "where": None if where is None else dict(where),
        "pos_label": pos_label, "split_column": split_column, "train": train, "test": test, "folds": folds,
        "seed": seed, "sensitivity": sensitivity, "n_resamples": n_resamples, "confidence": confidence,
        "table_format": table_format, "masks": masks, "check_duplicates": check_duplicates,
    }  # fmt: skip
    out = _check_call(out, settings)
    started = time.time()
    tested = resolve_models(models)
    columns = {name: settings[name] for name in ("image_column", "mask_column", "target_column", "group_column")}
    content = load_data(data, **columns, where=where)
    plan = _plan(content, tested, settings)
    with growing_folder(out) as folder:  # made before the work on images
        keep = masks and plan.task == "segmentation"
        outcome = plan.run(folder / "masks" if keep else None, n_jobs, verbose)
        experiment = _write(folder, out, plan, outcome, data, started, n_jobs)
    experiment.folder = out
    return experiment


def _check_call(out: Any, settings: dict[str, Any]) -> Path:
    path = Path(out).absolute()
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise FileExistsError(f"{out} exists and is not an empty folder; choose another one, or remove it first")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{out} lies in a folder that does not exist; make it first")
    if settings["table_format"] not in ("csv", "parquet"):
        raise ValueError(f"table_format must be 'csv' or 'parquet', got {settings['table_format']!r}")
    for name, low in (("confidence", "("), ("sensitivity", "(")):
        value = settings[name]
        if not 0 < value <= 1 or (name == "confidence" and value == 1):
            raise ValueError(f"{name} must lie in {low}0, 1{')' if name == 'confidence' else ']'}, got {value!r}")
    if settings["n_resamples"] < 1:
        raise ValueError(f"n_resamples must be at least 1, got {settings['n_resamples']!r}")
    return path


@dataclass
class _Plan:
    """What is to be done, all of it checked before the work on images begins."""

    data: ExperimentData
    models: list[ModelUnderTest]
    folds: list[Fold]
    settings: dict[str, Any]
    task: str
    labels: np.ndarray | None
    positive: Any
    classes: list[str] | None

    @property
    def learns(self) -> bool:
        return any(len(fold.train) for fold in self.folds)

    def run(self, masks: Path | None, n_jobs: int | None, verbose: int) -> Outcome:
        makers = {model.label: partial(model.for_task, self.task, fitted=not self.learns) for model in self.models}
        if self.task == "segmentation":
            return segment(
                self.data, self.folds, makers, learns=self.learns, masks=masks, n_jobs=n_jobs, verbose=verbose
            )
        if self.labels is None:
            raise RuntimeError("a classification without labels was planned")
        return classify(
            self.data, self.folds, makers, labels=self.labels, positive=self.positive,
            metadata=self.settings["metadata_columns"], learns=self.learns, n_jobs=n_jobs, verbose=verbose,
        )  # fmt: skip


def _plan(data: ExperimentData, models: list[ModelUnderTest], settings: dict[str, Any]) -> _Plan:
    task = task_of(models, settings["task"])
    labels, positive, classes = None, None, None
    if task == "classification":
        labels, positive, classes = _labels_of(data, settings)
    elif all(mask is None for mask in data.masks):
        raise ValueError("no image has an expert mask to compare with; name their column (mask_column)")
    wanted = [*(settings["metadata_columns"] or ()), *settings["subgroup_columns"]]
    absent = [column for column in wanted if column not in data.frame]
    if absent:
        raise ValueError(
            f"the data have no column {', '.join(map(repr, absent))}; their columns are {list(data.frame.columns)}"
        )
    check_number_columns(data.frame, settings["metadata_columns"] or (), "the data")
    strata = labels
    if strata is None and data.target is not None and not pd.isna(pd.Series(data.target)).any():
        strata = np.unique(np.asarray(data.target).astype(str), return_inverse=True)[1]
        few = settings["folds"] is not None and np.bincount(strata).min() < settings["folds"]
        strata = None if few else strata
    folds = make_folds(
        data, labels=strata, folds=settings["folds"], split_column=settings["split_column"],
        train=settings["train"], test=settings["test"], seed=settings["seed"],
    )  # fmt: skip
    plan = _Plan(data, models, folds, settings, task, labels, positive, classes)
    for model in models:  # before any work on images
        ready = model.for_task(task, fitted=not plan.learns)
        used = [] if plan.learns or task == "segmentation" else clinical_columns(ready)
        absent = [column for column in used if column not in (settings["metadata_columns"] or ())]
        if absent:
            raise ValueError(
                f"the model {model.label!r} uses the clinical columns {used}; name them all (metadata_columns)"
            )
    return plan


def _labels_of(data: ExperimentData, settings: dict[str, Any]) -> tuple[np.ndarray, Any, list[str] | None]:
    """Give the labels (0 and 1 where there is a positive class), that class, and the classes where there is none."""
    if data.target is None:
        raise ValueError("the data have no classes to compare with; name their column (target_column)")
    target = pd.Series(data.target)
    unknown = np.flatnonzero(target.isna())
    if len(unknown):
        names = ", ".join(data.names[index] for index in unknown[:5])
        raise ValueError(
            f"{len(unknown)} image(s) have no class ({names}); leave them out (where), or complete the table"
        )
    values = sorted(set(target.tolist()), key=str)
    positive = settings["pos_label"]
    if positive is not None:
        matches = [value for value in values if value == positive or str(value) == str(positive)]
        if not matches:
            raise ValueError(f"the positive class {positive!r} is none of the classes {values} of the data")
        return (target == matches[0]).to_numpy(int), matches[0], None
    if set(values) <= {0, 1}:  # also False and True, and one class alone
        return target.to_numpy(int), 1, None
    if len(values) < 3:
        raise ValueError(f"the classes of the data are {values}; say which is positive (pos_label)")
    return target.to_numpy(), None, [str(value) for value in values]


# ---------------------------------------------------------------------- the folder


def _relative(path: Any, out: Path) -> str:
    """Name a file as seen from the folder, so that no name of a machine is told."""
    if not isinstance(path, Path):
        return ""
    try:
        return Path(os.path.relpath(path.absolute(), out)).as_posix()
    except ValueError:  # another drive
        return path.absolute().as_posix()


def _images_table(plan: _Plan, outcome: Outcome, out: Path) -> tuple[pd.DataFrame, ExperimentData]:
    tested = np.sort(np.concatenate([fold.test for fold in plan.folds]))
    data = plan.data.take(tested)
    table = pd.DataFrame(
        {
            "name": data.names,
            "image": [_relative(image, out) for image in data.images],
            "mask": [_relative(mask, out) for mask in data.masks],
            "group": [str(group) for group in data.groups],
        }
    )
    if data.target is not None:
        table["target"] = data.target
    clinical = {*CLINICAL_COLUMNS, *_DIAGNOSES}
    columns = [
        name for name in data.frame if str(name).lower() in clinical or name in plan.settings["subgroup_columns"]
    ]
    for name in columns:
        if name not in table:
            table[name] = data.frame[name].to_numpy()
    hashes = data.file_hashes()
    return pd.concat([table, outcome.facts.reset_index(drop=True), hashes], axis=1), data


def _write(
    folder: Path, out: Path, plan: _Plan, outcome: Outcome, data: Any, started: float, n_jobs: int | None
) -> Experiment:
    images, tested = _images_table(plan, outcome, out)
    scores = outcome.scores
    _check_scored(scores, plan)
    for model in plan.models:
        model.store(folder)
    statistics = statistics_of(plan.task, sensitivity=plan.settings["sensitivity"], classes=plan.classes)
    options = {name: plan.settings[name] for name in ("n_resamples", "confidence", "seed")}
    headline = {
        model.label: interval_table(
            usable(scores[scores["model"] == model.label], plan.task), statistics, **options
        )
        for model in plan.models
    }  # fmt: skip
    notes = [*plan.data.notes, *_notes(plan)]
    checks = check_data(plan.data, plan.folds, n_jobs) if plan.settings["check_duplicates"] else []
    missing = {plan.data.names[index]: text for index, text in sorted(outcome.missing.items())}
    config = {
        "format": FORMAT,
        "task": plan.task,
        "settings": plan.settings,
        "models": {model.label: _source_of(model, out) for model in plan.models},
        "data": _data_source(plan, data, images, folder, out),
        "positive": _plain(plan.positive),
        "classes": plan.classes,
        "folds": [{"name": f.name, "train": len(f.train), "test": len(f.test)} for f in plan.folds],
        "versions": _versions(),
        "notes": notes,
        "checks": checks,
        "results": {
            "n_images": len(images),
            "n_groups": int(images["group"].nunique()),
            "n_failed": int(scores.loc[scores["error"] != "", "name"].nunique()),
            "scores_sha256": hashlib.sha256(_as_csv(scores)).hexdigest(),
            "headline": {label: {k: _numbers(v) for k, v in found.items()} for label, found in headline.items()},
        },
    }
    ending = plan.settings["table_format"]
    write_table(scores, folder / f"scores.{ending}")
    write_table(images, folder / f"images.{ending}")
    report = ReportData(config, scores, images, headline, statistics, missing, outcome.worst, tested)
    write_report(report, folder)
    times = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
        "models": {label: {k: round(v, 3) for k, v in found.items()} for label, found in outcome.seconds.items()},
        "workers": joblib.effective_n_jobs(n_jobs),
        "processors": os.cpu_count(),
        "platform": platform.platform(),
    }
    _write_json(folder / "times.json", times)
    _write_json(folder / "experiment.json", config)
    return Experiment(out, json.loads(json.dumps(config)), scores, images)


def _check_scored(scores: pd.DataFrame, plan: _Plan) -> None:
    """Refuse an experiment in which nothing was scored."""
    if len(usable(scores, plan.task)):
        return
    failed = scores[scores["error"] != ""]
    text = f"none of the {scores['name'].nunique()} images could be scored"
    if len(failed):
        raise ValueError(f"{text}; the first, {failed.iloc[0]['name']}: {failed.iloc[0]['error']}")
    raise ValueError(f"{text}: they have no expert masks that can be used")


def _notes(plan: _Plan) -> list[str]:
    notes = []
    if any(model.is_packaged for model in plan.models):
        notes.append(
            "A model here, or a part of it, comes trained with the package, on the training images of ISIC 2017. If "
            "some of these images are among those scored here, or are other pictures of the same lesions, its scores "
            "are too high; later data sets of the ISIC hold many of them."
        )
    if not plan.learns:
        notes.append(
            "The models were scored as they are. That none of the images scored was seen when they were fitted or "
            "chosen cannot be told from here."
        )
    if not plan.data.grouped:
        notes.append(
            "No groups were given: each image counts as a lesion of its own, which makes intervals too narrow if it "
            "is not."
        )
    return notes


def _source_of(model: ModelUnderTest, out: Path) -> dict[str, Any]:
    source = dict(model.source)
    if "file" in source:
        source["file"] = _relative(Path(source["file"]), out)
    with ignored_warnings():
        source["parameters"] = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(repr(model.estimator).split()))
    return source


def _data_source(plan: _Plan, data: Any, images: pd.DataFrame, folder: Path, out: Path) -> dict[str, Any]:
    source: dict[str, Any] = {"description": plan.data.description, "table": None, "kept": False}
    if isinstance(data, (str, os.PathLike)):
        source |= {"table": _relative(Path(data), out), "table_sha256": sha256_of(Path(data))}
    elif all(isinstance(image, Path) for image in plan.data.images):
        frame = plan.data.frame.loc[:, [not _holds_pictures(values) for _, values in plan.data.frame.items()]].copy()
        frame[KEPT_COLUMNS["image"]] = [_relative(image, out) for image in plan.data.images]
        if all(mask is None or isinstance(mask, Path) for mask in plan.data.masks):
            frame[KEPT_COLUMNS["mask"]] = [_relative(mask, out) or None for mask in plan.data.masks]
        if plan.data.target is not None:
            frame[KEPT_COLUMNS["target"]] = plan.data.target
        if plan.data.grouped:
            frame[KEPT_COLUMNS["group"]] = plan.data.groups
        write_table(frame, folder / "data.csv")
        source |= {"table": "data.csv", "table_sha256": sha256_of(folder / "data.csv"), "kept": True}
    hashes = images[["name", "image_sha256", "mask_sha256"]]
    source["files_sha256"] = hashlib.sha256(_as_csv(hashes)).hexdigest()
    return source


def _holds_pictures(values: pd.Series) -> bool:
    return bool(values.map(lambda item: isinstance(item, (np.ndarray, Path))).any())


def _versions() -> dict[str, str]:
    found = {"skinseg": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _as_csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _numbers(interval: Interval) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in interval]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_file(path, (json.dumps(content, indent=1, default=_plain, ensure_ascii=False) + "\n").encode())
