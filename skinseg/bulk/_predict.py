"""Predictions for many files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from .._files import plain_text
from .._mapping import in_pool
from .._version import __version__
from ..outlining import describe_estimator, split_readable
from ..pretrained import PretrainedClassifier
from ..runs._drive import Batch, Job, RunSummary, collect, drive_table
from ..runs._parts import STAMP, stamp_of
from ._records import CHUNK, metadata_of, positive_class, predict_records, unfit_rows

__all__ = ["predict_files", "predict_to_file"]


def predict_files(
    images: Sequence[Path],
    model: Any,
    *,
    metadata: pd.DataFrame | None = None,
    positive: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predict the classes of many files by a fitted pipeline.

    Parameters
    ----------
    images : sequence of Path
        The files.
    model : estimator
        A fitted classifier of images, as made by `skinseg.make_lesion_pipeline`,
        with or without a threshold around it
        (`sklearn.model_selection.FixedThresholdClassifier`).
    metadata : DataFrame, default=None
        The clinical columns, one row an image, where the model uses some; an
        image whose row is missing throughout gets no probability (see
        `rows_for`), but from `skinseg.PretrainedClassifier` that of the image
        alone.
    positive : object, default=None
        The positive of two classes, see `positive_class`.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    DataFrame
        A row an image: ``image``; ``melanoma_probability`` and ``decision``
        for two classes (and ``melanoma_low`` and ``melanoma_high``, an interval,
        where the model gives one, as `skinseg.PretrainedClassifier` does), or a
        column ``probability_<class>`` each and ``decision``; ``error``. Images that failed, or show no lesion, have no
        probability.
    """
    return collect(_predict_job(images, model, metadata, positive, n_jobs), verbose=verbose)


def predict_to_file(
    images: Sequence[Path],
    out: str | os.PathLike[str],
    model: Any,
    *,
    metadata: pd.DataFrame | None = None,
    positive: Any = None,
    errors: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    model_id: str | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    tell: Callable[[str], None] | None = None,
) -> RunSummary:
    """Predict the classes of very many files, in a run that can be stopped at any moment and gone on with.

    As `measure_to_file` does it; an image whose clinical columns changed is
    predicted again.

    Parameters
    ----------
    images : sequence of Path
        The files.
    out : path-like
        The table, ``.csv``, ``.tsv`` or ``.parquet``: a row an image in their
        order, as `predict_files` gives it.
    model : estimator
        See `predict_files`.
    metadata : DataFrame, default=None
        The clinical columns, one row an image; see `predict_files`.
    positive : object, default=None
        The positive of two classes, see `positive_class`.
    errors : path-like, default=None
        Table to write besides of the images whose ``error`` is not empty:
        ``image``, ``error``.
    fresh : bool, default=False
        Throw away what earlier calls did.
    retry_failed : bool, default=False
        Try again what failed in earlier calls although the file is the same.
    model_id : str, default=None
        What tells the model from others, such as the hash of its file; made of
        its parameters and state if None.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress if above 0: a bar in a terminal, else a line every 30 s.
    tell : callable, default=None
        Takes lines for the user: how much was done already, which parts are
        damaged.

    Returns
    -------
    RunSummary
        Numbers, and the first names of what failed.

    Raises
    ------
    RunError, RunInterrupted, OSError
        See `measure_to_file`.
    """
    job = _predict_job(images, model, metadata, positive, n_jobs)
    job.settings = {
        "command": "predict",
        "skinseg": __version__,
        "model": describe_estimator(model, model_id),
        "positive": str(positive_class(model, positive)),
        "clinical columns": "none" if metadata is None else ",".join(map(str, metadata.columns)),
    }
    return drive_table(job, out, errors, fresh, retry_failed, verbose, tell)


def _predict_job(
    images: Sequence[Path], model: Any, metadata: pd.DataFrame | None, positive: Any, n_jobs: int | None
) -> _PredictJob:
    check_is_fitted(model)
    positive = positive_class(model, positive)  # raises before any work, as what follows
    if metadata is not None and len(metadata) != len(images):
        raise ValueError(f"expected one row of clinical columns an image, got {len(metadata)} for {len(images)} images")
    metadata_of(model, metadata)  # raises where columns are missing, before any work
    kind = _PredictInWorkers if isinstance(model, PretrainedClassifier) else _PredictJob
    return kind(images, model, metadata, positive, n_jobs)


class _PredictJob(Job):
    """A chunk after the other by a model that shares the images of each out among workers itself.

    A model of any kind may be large, or hold a network that takes seconds to come up, and is not sent to workers.
    """

    name = "predict"
    in_workers = False

    def __init__(
        self,
        images: Sequence[Path],
        model: Any,
        metadata: pd.DataFrame | None,
        positive: Any,
        n_jobs: int | None,
    ) -> None:
        self.images, self.model, self.positive = list(images), model, positive  # from a column of a table
        self.n_images, self.n_jobs = len(images), n_jobs
        self.metadata = None if metadata is None else metadata.reset_index(drop=True)
        self.rows = None if metadata is None else pd.util.hash_pandas_object(metadata.astype(str), index=False)
        self.repeated: set[str] = set()  # an image may be asked for with several ages
        if metadata is not None:
            counts = Counter(map(os.path.abspath, images))
            self.repeated = {path for path, count in counts.items() if count > 1}
        self.unfit = {} if metadata is None else unfit_rows(model, metadata)
        self.function = self._predict

    @property
    def batch_size(self) -> int:
        return CHUNK * effective_n_jobs(self.n_jobs)

    def key(self, position: int) -> str:
        path = os.path.abspath(self.images[position])
        if self.rows is not None and path in self.repeated:
            path += f"\n{self.rows.iloc[position]:016x}"
        return plain_text(path)

    def stamp(self, position: int) -> str:
        state = stamp_of(self.images[position])
        return state if self.rows is None else f"{state} {self.rows.iloc[position]:016x}"

    def content(self, positions: list[int]) -> Any:
        return None if self.metadata is None else self.metadata.iloc[positions].reset_index(drop=True)

    def _predict(self, batch: Batch) -> pd.DataFrame:
        positions = batch.positions
        stamps = [self.stamp(position) for position in positions]
        kept, records, bad = split_readable([self.images[position] for position in positions])
        known = None if batch.content is None else batch.content.iloc[kept].reset_index(drop=True)
        table = predict_records(records, self.model, metadata=known, positive=self.positive, n_jobs=self.n_jobs)
        found = dict(zip(kept, table.pop("error"), strict=True))
        table = table.set_axis(pd.Index(kept), axis=0).reindex(range(len(positions)))
        texts = [
            plain_text(found.get(index) or bad.get(index) or self.unfit.get(position, ""))
            for index, position in enumerate(positions)
        ]
        return table.assign(**{"error": texts, STAMP: stamps})

    def complete(self, positions: Sequence[int], found: pd.DataFrame) -> pd.DataFrame:
        table = found.reset_index(drop=True)
        if "decision" not in table:  # there are no images, or a process died on each of them
            nothing = None if self.metadata is None else self.metadata.iloc[:0]
            columns = predict_records([], self.model, metadata=nothing, positive=self.positive).columns
            table = table.reindex(columns=columns)
        table["decision"] = table["decision"].astype(object).where(table["decision"].notna(), None)
        table.insert(0, "image", [plain_text(self.images[position]) for position in positions])
        return table[[*table.columns.drop("error"), "error"]]


class _PredictBatch:
    """What a worker does with a batch of files for the packaged model."""

    def __init__(self, model: PretrainedClassifier) -> None:
        # a copy, which works alone: the workers are here
        self.model = deepcopy(model).set_params(on_error="nan", n_jobs=None, verbose=0, memory=None)

    def __call__(self, batch: Batch) -> pd.DataFrame:
        paths, states, unfit, metadata = batch.content
        stamps = [stamp_of(path) + state for path, state in zip(paths, states, strict=True)]
        kept, records, bad = split_readable([Path(path) for path in paths])
        known = None if metadata is None else metadata.iloc[kept].reset_index(drop=True)
        model = deepcopy(self.model) if in_pool() else self.model  # which notes what failed
        table = predict_records(records, model, metadata=known)
        found = dict(zip(kept, table.pop("error"), strict=True))
        table = table.set_axis(pd.Index(kept), axis=0).reindex(range(len(paths)))
        texts = [plain_text(found.get(index) or bad.get(index) or unfit[index]) for index in range(len(paths))]
        return table.assign(**{"error": texts, STAMP: stamps})


class _PredictInWorkers(_PredictJob):
    """The packaged model, which is small and comes up at once, so that each worker does all of its work."""

    in_workers = True

    def __init__(self, images: Sequence[Path], model: Any, *others: Any) -> None:
        super().__init__(images, model, *others)
        self.function = _PredictBatch(model)

    batch_size = Job.batch_size

    def content(self, positions: list[int]) -> Any:
        paths = [os.path.abspath(self.images[position]) for position in positions]
        states = ["" if self.rows is None else f" {self.rows.iloc[position]:016x}" for position in positions]
        unfit = [self.unfit.get(position, "") for position in positions]
        return paths, states, unfit, super().content(positions)
