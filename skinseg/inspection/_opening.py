"""What a fitted classifier of images is made of: steps that give a table, and the classifier of that table."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from .._batches import BatchRunner, is_passthrough
from ..base import ImageEstimator, nested_estimators
from ..pipeline import BatchedPipeline
from ._groups import CLINICAL, groups_of, source_of

__all__ = [
    "ImageWork",
    "OpenedModel",
    "as_array",
    "inner_model",
    "is_sampler",
    "is_skipped",
    "is_table",
    "open_model",
    "with_columns_of",
]

NO_LESION = "no lesion found"


def inner_model(model: Any) -> Any:
    """Take a model out of what tunes, freezes or thresholds it."""
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, (FixedThresholdClassifier, TunedThresholdClassifierCV)):
            model = model.estimator_
        elif isinstance(model, BaseSearchCV):
            if not hasattr(model, "best_estimator_"):
                raise ValueError(f"{type(model).__name__} keeps no model to explain; fit it with refit=True")
            model = model.best_estimator_
        else:
            return model


is_skipped = is_passthrough


def is_sampler(step: Any) -> bool:
    """Whether a step resamples, which it does in fit only."""
    return hasattr(step, "fit_resample") and not hasattr(step, "transform")


# ---------------------------------------------------------------------- tables


def is_table(X: Any) -> bool:
    """Whether X is a table of numbers."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return all(pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes)
    return getattr(X, "ndim", 0) == 2 and getattr(X, "dtype", np.dtype(object)).kind in "biuf"


def as_array(table: Any) -> np.ndarray:
    """Bring a table into one form, float64."""
    if hasattr(table, "toarray"):
        table = table.toarray()
    if hasattr(table, "columns"):
        return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(table, dtype=np.float64)


def with_columns_of(array: np.ndarray, table: Any) -> Any:
    """Give an array the names of the columns of a table, if that has any."""
    return pd.DataFrame(array, columns=table.columns) if hasattr(table, "columns") else array


def _take(table: np.ndarray, start: int, stop: int, columns: Any) -> Any:
    part = table[:, start:stop]
    return part if columns is None else pd.DataFrame(part, columns=columns)


# ---------------------------------------------------------------------- image steps


class ImageWork:
    """Image steps at work on some images: the same ones run once, however many parts of a model hold them.

    An image that fails gets a row of NaN, whatever ``on_error`` says, and the model is left as it is.

    Attributes
    ----------
    errors : dict of int to str
        The images that failed, or show no lesion.
    """

    def __init__(self) -> None:
        self.errors: dict[int, str] = {}
        self._tables: dict[tuple[Any, ...], Any] = {}
        self._kept: list[Any] = []  # so that no other object gets the id of one of these

    def apply(self, step: Any, X: Any) -> Any:
        """Send images, or a frame with images, through a step."""
        self._kept.append(X)
        if isinstance(step, BatchedPipeline):
            return self.run(step, X, (id(X),))
        if not isinstance(step, ColumnTransformer):
            return step.transform(X)
        step = copy.copy(step)
        step.transformers_ = [
            (name, _Shared(self, part, (id(X), str(columns))) if isinstance(part, BatchedPipeline) else part, columns)
            for name, part, columns in step.transformers_
        ]
        return step.transform(X)

    def run(self, part: BatchedPipeline, X: Any, source: tuple[Any, ...]) -> Any:
        """Run image steps, unless the same ones have run for the same images."""
        output = str(getattr(part, "_sklearn_output_config", None))
        key = (BatchRunner(part.steps_, "", "transform").key, output, *source)
        if key not in self._tables:
            part = copy.copy(part)
            part.on_error = "nan"
            self._tables[key] = part.transform(X)
            self.errors |= dict.fromkeys(part.empty_, NO_LESION) | part.errors_
        return self._tables[key]


class _Shared:
    """Image steps in a ColumnTransformer, which takes from them what they have given already."""

    def __init__(self, work: ImageWork, part: BatchedPipeline, source: tuple[Any, ...]) -> None:
        self._work, self._part, self._source = work, part, source

    def transform(self, X: Any) -> Any:
        return self._work.run(self._part, X, self._source)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        return self._part.get_feature_names_out(input_features)


# ---------------------------------------------------------------------- opening


class OpenedModel(NamedTuple):
    """A classifier in two halves.

    Parameters
    ----------
    steps : list of transformers
        The first half.
    parts : list of OpenedModel
        Where the first half is that of several models, these; the table is theirs, side by side.
    names : list of str
        Columns of the table.
    clinical : dict of int to str
        Clinical columns among them, and the column of the frame from which each comes.
    frame : Index or None
        Names under which the second half gets the table, if any.
    tail : classifier
        The second half, of tables.
    """

    steps: list[Any]
    parts: list[OpenedModel]
    names: list[str]
    clinical: dict[int, str]
    frame: Any
    tail: Any

    @property
    def takes_images(self) -> bool:
        """Whether there is a first half."""
        return bool(self.steps or self.parts)

    def measure(self, X: Any, work: ImageWork) -> np.ndarray:
        """Send images through the first half."""
        for step in self.steps:
            X = work.apply(step, X)
        return np.hstack([part.measure(X, work) for part in self.parts]) if self.parts else as_array(X)

    def given(self, table: np.ndarray) -> Any:
        """Bring a table into the form that the second half takes."""
        return table if self.frame is None else pd.DataFrame(table, columns=self.frame)


def open_model(model: Any, X: Any, work: ImageWork) -> tuple[OpenedModel, np.ndarray]:
    """Find where in a fitted classifier the table of features is.

    Parameters
    ----------
    model : classifier
        Fitted.
    X : sequence of images, frame or table
        What it takes.
    work : ImageWork
        Where image steps run.

    Returns
    -------
    opened : OpenedModel
        The halves.
    table : ndarray of shape (n_samples, n_columns)
        The table of X.
    """
    model = inner_model(model)
    steps: list[Any] = []
    if isinstance(model, Pipeline):
        position = 0
        while position < len(model.steps) - 1:
            step = model.steps[position][1]
            # a ColumnTransformer tells which of the columns of a frame are clinical
            if is_table(X) and not (hasattr(X, "columns") and isinstance(step, ColumnTransformer)):
                break
            if not is_passthrough(step) and not is_sampler(step):
                X = work.apply(step, X)
                steps.append(step)
            position += 1
        if not is_table(X):
            opened, table = open_model(model.steps[-1][1], X, work)
            return opened._replace(steps=[*steps, *opened.steps]), table
        model = model[position:]
    if is_table(X):
        names = _names_of(X, steps)
        frame = X.columns if hasattr(X, "columns") else None
        return OpenedModel(steps, [], names, _clinical_of(steps, names), frame, model), as_array(X)
    return _open_parts(model, X, work)


def _names_of(table: Any, steps: Sequence[Any]) -> list[str]:
    if hasattr(table, "columns"):
        return [str(name) for name in table.columns]
    if steps and hasattr(steps[-1], "get_feature_names_out"):
        return [str(name) for name in steps[-1].get_feature_names_out()]
    return [f"x{number}" for number in range(table.shape[1])]


def _open_parts(model: Any, X: Any, work: ImageWork) -> tuple[OpenedModel, np.ndarray]:
    """Open a model that joins others."""
    members = _members(model)
    opened, tables = zip(*(open_model(member, X, work) for member in members), strict=True)
    ends = np.cumsum([0, *(table.shape[1] for table in tables)])
    tails = []
    for part, start, stop in zip(opened, ends[:-1], ends[1:], strict=True):
        columns = FunctionTransformer(partial(_take, start=int(start), stop=int(stop), columns=part.frame))
        tails.append(Pipeline([("columns", columns), ("classifier", part.tail)]))
    joined = copy.copy(model)
    if isinstance(model, CalibratedClassifierCV):
        joined.calibrated_classifiers_ = [copy.copy(only) for only in model.calibrated_classifiers_]
        for only, tail in zip(joined.calibrated_classifiers_, tails, strict=True):
            only.estimator = tail
    else:
        joined.estimators_ = tails
    names = [name for part in opened for name in part.names]
    clinical = {
        int(start) + place: source
        for part, start in zip(opened, ends[:-1], strict=True)
        for place, source in part.clinical.items()
    }
    return OpenedModel([], list(opened), names, clinical, None, joined), np.hstack(tables)


def _members(model: Any) -> list[Any]:
    if isinstance(model, CalibratedClassifierCV):
        return [only.estimator for only in model.calibrated_classifiers_]
    if isinstance(model, VotingClassifier) or (isinstance(model, StackingClassifier) and not model.passthrough):
        return list(model.estimators_)
    raise ValueError(
        f"explain_prediction finds no table of features in {type(model).__name__}, which takes the images themselves: "
        "there are no columns of asymmetry, border and so on to tell apart. It looks into Pipeline, "
        "CalibratedClassifierCV, VotingClassifier and StackingClassifier (without passthrough); give a pipeline with a "
        "featurizer, such as that of make_lesion_pipeline, or a table of numbers as X"
    )


# ---------------------------------------------------------------------- clinical columns


def _clinical_of(steps: Sequence[Any], names: Sequence[str]) -> dict[int, str]:
    """Find clinical columns by the ColumnTransformer that brings them in, and where they come from."""
    found = next((step for step in reversed(steps) if isinstance(step, ColumnTransformer)), None)
    if found is None or len(found.get_feature_names_out()) != len(names):
        return {}
    parts = [(name, part, columns) for name, part, columns in found.transformers_ if not isinstance(part, str)]
    has_images = any(_sees_images(part) for _, part, _ in parts)
    clinical: dict[int, str] = {}
    for name, part, columns in parts:
        if _sees_images(part) or not (has_images or name == CLINICAL):
            continue
        sources = _labels(columns, found)
        for place in range(len(names))[found.output_indices_[name]]:
            if name == CLINICAL or groups_of([names[place]])[names[place]] in (CLINICAL, "other"):
                clinical[place] = sources[0] if len(sources) == 1 else source_of(names[place], sources)
    return clinical


def _sees_images(part: Any) -> bool:
    return any(isinstance(item, (BatchedPipeline, ImageEstimator)) for item in nested_estimators(part))


def _labels(columns: Any, transformer: ColumnTransformer) -> list[str]:
    """Name the columns of a frame that a part of a ColumnTransformer takes."""
    known = getattr(transformer, "feature_names_in_", None)
    if isinstance(columns, str):
        return [columns]
    if known is None:
        return []
    if not isinstance(columns, slice) and len(columns) and all(isinstance(column, str) for column in columns):
        return list(columns)
    return [str(name) for name in pd.Series(known).to_numpy()[columns]]
