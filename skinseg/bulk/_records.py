"""Predictions for records, and what a model needs besides the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.compose import ColumnTransformer
from sklearn.utils.validation import check_is_fitted

from .._files import plain_text
from .._mapping import batches_of
from .._progress import Progress
from .._tables import shortened
from ..base import nested_estimators
from ..clinical import CLINICAL_COLUMNS, wrong_ages
from ..images import LesionImage
from ..outlining import quietly
from ..pipeline import BatchedPipeline
from ..pretrained import PretrainedClassifier
from ..runs._drive import NO_LESION

__all__ = ["clinical_columns", "lesion_parts", "positive_class", "predict_records", "rows_for"]

NOT_IN_TABLE = "the image is not in the table of clinical columns"
_COLUMNS = ["melanoma_probability", "melanoma_low", "melanoma_high", "decision"]
_NAMES = frozenset({"melanoma", "malignant"})
CHUNK = 256  # images a worker between two steps of a prediction


def predict_records(
    records: Sequence[LesionImage],
    model: Any,
    *,
    metadata: pd.DataFrame | None = None,
    positive: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predict the classes of records whose headers were checked; what `predict_files` does, without reading headers.

    Parameters
    ----------
    records : sequence of LesionImage
        The images.
    model : estimator
        See `predict_files`, as the rest.
    metadata : DataFrame, default=None
        The clinical columns, a row a record.
    positive : object, default=None
        The positive of two classes, see `positive_class`.
    n_jobs : int, default=None
        Number of workers.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    DataFrame
        A row a record, as of `predict_files` without ``image``.
    """
    check_is_fitted(model)
    parts = lesion_parts(model)
    for part in parts:
        part.set_params(on_error="nan", n_jobs=n_jobs, verbose=0)
    for part in nested_estimators(model):
        if isinstance(part, PretrainedClassifier):
            part.set_params(on_error="nan", n_jobs=n_jobs)
    fitted = [part for part in parts if hasattr(part, "steps_")]
    packaged = isinstance(model, PretrainedClassifier)
    table_of = metadata_of(model, metadata)
    errors = {} if metadata is None else unfit_rows(model, metadata)
    positions = [index for index in range(len(records)) if index not in errors]
    classes = list(model.classes_)
    probabilities = np.full((len(records), len(classes)), np.nan)
    said: list[pd.DataFrame] = []
    with Progress("predict", len(positions), 0, verbose) as progress:
        for where in batches_of(positions, CHUNK * effective_n_jobs(n_jobs)):
            X = table_of([records[index] for index in where], where)
            if packaged:  # says all at once
                said.append(quietly(model.predict_table, X).set_index(pd.Index(where)))
            else:
                probabilities[where] = quietly(model.predict_proba, X)
            for part in fitted:
                errors |= _row_errors(part, where)
            progress.update(len(where), 0)
    table = pd.DataFrame(index=range(len(records)))
    if packaged:
        rows = pd.concat(said) if said else pd.DataFrame(columns=_COLUMNS, dtype=float)
        rows = rows.drop(index=list(errors), errors="ignore")
        table = table.join(rows)
        table["decision"] = table["decision"].astype(object).where(table["decision"].notna(), None)
    else:
        probabilities[list(errors)] = np.nan
        table = _decide(table, probabilities, classes, model, positive)
    return table.assign(error=[errors.get(index, "") for index in range(len(records))])


def unfit_rows(model: Any, metadata: pd.DataFrame) -> dict[int, str]:
    """Tell the rows of clinical data that a model cannot use."""
    if isinstance(model, PretrainedClassifier):  # which judges by the image alone where nothing is known
        return wrong_ages(metadata)
    wrong: dict[int, str] = {}
    for column in reversed([column for column in _number_columns(model) if column in metadata]):
        numbers = pd.to_numeric(metadata[column], errors="coerce")
        for row in np.flatnonzero(numbers.isna() & metadata[column].notna()).tolist():
            value = shortened(metadata[column].iloc[row])
            wrong[row] = f"{column} must be a number, or empty; it is {value}"
    known = metadata["found"] if "found" in metadata else [True] * len(metadata)
    return wrong | {index: NOT_IN_TABLE for index, found in enumerate(known) if not found}


def lesion_parts(model: Any) -> list[BatchedPipeline]:
    """List the image steps of a model, as they were given and as they were fitted."""
    found = nested_estimators(model, stop=BatchedPipeline)  # not those that serve another as a segmenter
    return [part for part in found if isinstance(part, BatchedPipeline)]


def clinical_columns(model: Any) -> list[str]:
    """Name the clinical columns that a fitted model uses."""
    for part in nested_estimators(model):
        if isinstance(part, ColumnTransformer):
            columns = {name: list(names) for name, _, names in part.transformers_ if not isinstance(names, str)}
            if {"lesion", "clinical"} <= columns.keys():
                return columns["clinical"]
    return []


def _number_columns(model: Any) -> list[str]:
    """Name those of the clinical columns that the fitted model takes for numbers."""
    columns = clinical_columns(model)
    for part in nested_estimators(model):
        if isinstance(part, ColumnTransformer):
            for name, _, names in getattr(part, "transformers_", ()):
                if name == "numbers" and not isinstance(names, str):
                    return [column for column in names if column in columns]
    return []


def metadata_of(model: Any, metadata: pd.DataFrame | None) -> Any:
    """Give a function that makes the X of the model from records and their positions."""
    columns = clinical_columns(model)
    if isinstance(model, PretrainedClassifier) and metadata is not None:  # takes what it finds
        columns = [column for column in metadata if str(column).lower() in CLINICAL_COLUMNS]
        if not columns:
            raise ValueError(
                f"the table has none of the clinical columns that the model knows ({', '.join(CLINICAL_COLUMNS)}), but "
                f"{', '.join(map(str, metadata.columns.drop('found', errors='ignore')))}; rename its columns, or leave "
                "it out"
            )
    if not columns:
        return lambda records, _positions: records
    if metadata is None:
        raise ValueError(f"the model uses the clinical columns {columns}; give a table with them (--table)")
    absent = [column for column in columns if column not in metadata]
    if absent:
        raise ValueError(f"the table lacks the clinical columns {absent} that the model uses")
    wanted = metadata[columns].reset_index(drop=True)
    for column in _number_columns(model):  # one cell that is none makes texts of all
        wanted[column] = pd.to_numeric(wanted[column], errors="coerce")
    return lambda records, positions: wanted.iloc[positions].reset_index(drop=True).assign(image=records)


def rows_for(images: Sequence[Path], frame: pd.DataFrame, image_column: str = "image") -> pd.DataFrame:
    """Find the row of each image in a table, by the stem of the file.

    Parameters
    ----------
    images : sequence of Path
        The files.
    frame : DataFrame
        The table.
    image_column : str, default="image"
        Its column of file names, paths or names without ending.

    Returns
    -------
    DataFrame
        One row an image, in their order; empty cells for an image that is not
        in the table, which the column ``found`` tells.

    Raises
    ------
    ValueError
        If no image is in the table, or if one has several rows.
    """
    stems = pd.Index([Path(str(name)).stem for name in frame[image_column]])
    wanted = [plain_text(image.stem) for image in images]
    known = set(stems)
    repeated = sorted(set(stems[stems.duplicated()]) & set(wanted))
    if repeated:
        raise ValueError(f"the table has several rows for {', '.join(repeated[:5])}; keep one row an image")
    if not known & set(wanted):
        raise ValueError(
            f"none of the {len(images)} images is in the column {image_column!r} of the table: the images are called "
            f"{', '.join(wanted[:3])}, the rows {', '.join(map(str, stems[:3]))}"
        )
    table = frame.set_axis(stems, axis=0)
    return table[~table.index.duplicated()].reindex(wanted).assign(found=[stem in known for stem in wanted])


def positive_class(model: Any, positive: Any = None) -> Any:
    """Tell which class the probability of a classifier is of.

    Parameters
    ----------
    model : classifier
        Fitted.
    positive : object, default=None
        The class, or its name. If None it is the ``pos_label`` of the model, 1
        of 0 and 1 (or of -1 and 1), or the class that is called melanoma or
        malignant.

    Returns
    -------
    object
        The class; None where there are more than two.

    Raises
    ------
    ValueError
        If the model has no such class, or it is not known which one it is: the
        second in the alphabet would be nevus of melanoma and nevus.
    """
    classes = np.asarray(model.classes_).tolist()
    if positive is not None:
        for label in classes:
            if label == positive or str(label) == str(positive):
                return label
        raise ValueError(f"the positive class {positive!r} is none of the classes of the model, {classes}")
    if len(classes) != 2:
        return None
    for part in nested_estimators(model):
        for value in (getattr(part, "pos_label_", None), getattr(part, "pos_label", None)):
            if value is not None and value in classes:
                return value
    if classes in ([0, 1], [-1, 1]):  # False and True are equal to 0 and 1
        return classes[1]
    named = [label for label in classes if str(label).casefold() in _NAMES]
    if len(named) == 1:
        return named[0]
    raise ValueError(
        f"the classes of the model are {classes}, and which of them is the positive one is not known: name it "
        f"(--pos-label {classes[-1]}, or positive={classes[-1]!r} in Python)"
    )


def _decide(
    table: pd.DataFrame, probabilities: np.ndarray, classes: list[Any], model: Any, positive: Any
) -> pd.DataFrame:
    known = ~np.isnan(probabilities[:, 0])
    if len(classes) == 2:
        index = classes.index(positive_class(model, positive))
        threshold = getattr(model, "threshold", "auto")
        table["melanoma_probability"] = probabilities[:, index]
        limit = 0.5 if threshold == "auto" else float(threshold)
        chosen = np.where(probabilities[:, index] >= limit, index, 1 - index)
    else:
        for position, label in enumerate(classes):
            table[f"probability_{label}"] = probabilities[:, position]
        chosen = np.argmax(np.nan_to_num(probabilities, nan=-1), axis=1)
    decisions = [classes[pick] if ok else None for pick, ok in zip(chosen, known, strict=True)]
    # object, or whole numbers would be written as 1.0 in a table with an image that failed
    return table.assign(decision=pd.Series(decisions, dtype=object))


def _row_errors(pipe: BatchedPipeline, positions: Sequence[int]) -> dict[int, str]:
    """Messages of the last call, in the numbering of the files."""
    errors = {positions[index]: NO_LESION for index in getattr(pipe, "empty_", ())}
    for index, text in getattr(pipe, "errors_", {}).items():
        errors[positions[index]] = text
    return errors
