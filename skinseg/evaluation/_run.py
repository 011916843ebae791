"""The work of an experiment on images: models fitted and asked, a row an image and model."""

from __future__ import annotations

import heapq
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._mapping import load_or_fail, map_batches, transform_batch
from ..base import nested_estimators
from ..bulk import lesion_parts, predict_records
from ..images import LesionImage
from ..masks import as_mask
from ..metrics import mask_scores
from ..outlining import NO_LESION, quietly
from ..pretrained import PretrainedClassifier
from ..resampling import shrink_to
from ..segmentation import PretrainedSegmenter
from ._data import ExperimentData, Fold, reference_of
from ._subgroups import image_facts
from ._submission import write_isic_mask

__all__ = ["MASK_SCORES", "Outcome", "classify", "segment"]

MASK_SCORES = (
    "jaccard", "dice", "thresholded_jaccard", "sensitivity", "specificity", "accuracy", "hausdorff95", "assd",
    "boundary_f1",
)  # fmt: skip
NO_REFERENCE = "no expert mask"
KEPT_WORST = 12  # of each model, for their pictures
_BATCH = 8  # images at a time; fixed, for networks may differ in the last bit by the size of a batch
_PICTURE = 320  # longer side of the outlines that are kept for pictures, in pixels


@dataclass
class Outcome:
    """What came of the models.

    Parameters
    ----------
    scores : DataFrame
        A row an image and model.
    facts : DataFrame
        A row an image.
    missing : dict of int to str
        Why images have no expert mask.
    worst : dict
        Label -> row of the image -> its outline, small, of the images that a
        model did worst on.
    seconds : dict
        Label -> seconds of fitting and of predicting.
    """

    scores: pd.DataFrame
    facts: pd.DataFrame
    missing: dict[int, str]
    worst: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)


class _Worker:
    """What a worker does with a batch: decode once, measure, outline by each model, score; no large mask travels."""

    def __init__(self, models: dict[str, Any], outliner: Any, masks: Path | None) -> None:
        self.models = models
        self.outliner = outliner  # gives the lesion where there is neither an expert mask nor a model
        self.masks = masks

    def __call__(self, batch: Sequence[LesionImage]) -> list[dict[str, Any]]:
        loaded = [load_or_fail(record) for record in batch]
        references: list[np.ndarray | None] = []
        rows: list[dict[str, Any]] = [{"models": {}, "missing": None, "error": record.error} for record in loaded]
        for record, row in zip(loaded, rows, strict=True):
            reference = None
            if record.error is None:
                try:
                    reference = reference_of(record)
                except ValueError as error:
                    row["missing"] = str(error)
            references.append(reference)
        seen = list(references)
        for label, model in self.models.items():
            start = time.perf_counter()
            masks = self._outline(label, model, loaded, references, rows)
            spent = (time.perf_counter() - start) / len(batch)
            for index, row in enumerate(rows):
                row["models"][label]["seconds"] = spent
                seen[index] = masks[index] if seen[index] is None else seen[index]
        if self.outliner is not None:
            lacking = [index for index, mask in enumerate(seen) if mask is None and loaded[index].error is None]
            found = quietly(transform_batch, self.outliner, [loaded[index] for index in lacking]) if lacking else []
            for index, result in zip(lacking, found, strict=True):
                seen[index] = None if result.error is not None else result.origin_plane("mask")
        for record, mask, row in zip(loaded, seen, rows, strict=True):
            row["facts"] = {} if record.error is not None else image_facts(record, mask)
        return rows

    def _outline(
        self, label: str, model: Any, loaded: list[LesionImage], references: list[Any], rows: list[dict[str, Any]]
    ) -> list[np.ndarray | None]:
        reads = any(getattr(part, "_reads_reference", False) for part in nested_estimators(model))
        given = [record if reads or record.error else record.with_(reference_mask=None) for record in loaded]
        method = "transform" if hasattr(model, "transform") else "predict"
        masks: list[np.ndarray | None] = []
        for record, result, row in zip(loaded, quietly(transform_batch, model, given, method), rows, strict=True):
            mask, text, confidence = _mask_of(result, record)
            masks.append(mask)
            row["models"][label] = {"error": text, "confidence": confidence, "mask": None}
        pairs = [index for index, mask in enumerate(masks) if mask is not None and references[index] is not None]
        if pairs:
            table = mask_scores([references[index] for index in pairs], [masks[index] for index in pairs])
            for index, scores in zip(pairs, table.to_dict("records"), strict=True):
                rows[index]["models"][label]["scores"] = scores
        for record, mask, row in zip(loaded, masks, rows, strict=True):
            if mask is None:
                continue
            row["models"][label]["empty"] = not mask.any()
            row["models"][label]["mask"] = _small(mask)
            if self.masks is not None:
                write_isic_mask(mask, str(record.name), self.masks / label)
        return masks


def _mask_of(result: Any, record: LesionImage) -> tuple[np.ndarray | None, str, float]:
    """Take mask, error and confidence out of what a model gave for an image."""
    if isinstance(result, LesionImage):
        if result.error is not None:
            return None, str(result.error), np.nan
        if not result.has("mask"):
            return None, "the model gave no mask", np.nan
        sure = np.nan if result.confidence is None else float(result.confidence)
        return result.origin_plane("mask"), "", sure
    try:
        mask = as_mask(np.asarray(result))
    except (ValueError, TypeError) as error:
        return None, f"the model gave no mask: {error}", np.nan
    if mask.shape != record.geometry.origin:
        return None, f"the model gave a mask of the size {mask.shape}, the image has {record.geometry.origin}", np.nan
    return mask, "", np.nan


def _small(mask: np.ndarray) -> tuple[tuple[int, int], bytes]:
    small = shrink_to(mask.astype(np.uint8) * np.uint8(255), _PICTURE) > 127
    return small.shape, np.packbits(small).tobytes()


def unpack_mask(packed: tuple[tuple[int, int], bytes]) -> np.ndarray:
    """Open a small mask."""
    (height, width), bits = packed
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width).reshape(height, width).astype(bool)


def _frame_of(data: ExperimentData, label: str, fold: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame({"name": data.names, "model": label, "group": [str(group) for group in data.groups]})
    if data.target is not None:
        table["target"] = data.target
    return table.assign(fold=list(fold))


def segment(
    data: ExperimentData,
    folds: Sequence[Fold],
    models: Mapping[str, Callable[[], Any]],
    *,
    learns: bool,
    masks: Path | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Outcome:
    """Outline the images of each fold by each model and score the outlines.

    Parameters
    ----------
    data : ExperimentData
        The images.
    folds : sequence of Fold
        Their parts.
    models : dict of str to callable
        Label -> gives the model, fitted or to be fitted.
    learns : bool
        Whether the models are fitted in each fold.
    masks : Path, default=None
        Folder in which masks are kept.
    n_jobs, verbose : int
        Workers, and whether there is a progress bar.

    Returns
    -------
    Outcome
        What came of it, for the images that were tested, in their order.
    """
    records, errors, missing = data.records()
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    fold_of = {int(position): fold.name for fold in folds for position in fold.test}
    rows: dict[int, dict[str, Any]] = {}
    worst: dict[str, list[tuple[float, int, Any]]] = {label: [] for label in models}
    seconds = {label: {"fit": 0.0, "predict": 0.0} for label in models}
    for label in models if masks is not None else ():
        (masks / label).mkdir(parents=True, exist_ok=True)  # type: ignore[operator]
    for fold in folds:
        ready = {}
        for label, make in models.items():
            start = time.perf_counter()
            ready[label] = make()
            if learns:
                ready[label] = _fit_segmenter(ready[label], label, data, records, missing, fold.train)
            seconds[label]["fit"] += time.perf_counter() - start
        readable = [int(position) for position in fold.test if records[position] is not None]
        given = [record for index in readable if (record := records[index]) is not None]
        worker = _Worker(ready, None, masks)
        work = map_batches(
            worker, given, batch_size=_BATCH, n_jobs=n_jobs, verbose=verbose,
            desc="evaluate" if len(folds) == 1 else f"fold {fold.name}",
        )  # fmt: skip
        with closing(work) as stream:
            for start_, _, part in stream:
                for index, row in enumerate(part, start_):
                    position = readable[index]
                    rows[position] = row
                    if row["missing"] is not None:
                        missing[position] = row["missing"]
                    for label, found in row["models"].items():
                        seconds[label]["predict"] += found.pop("seconds")
                        _keep_worst(worst[label], found, position)
    chosen = data.take(tested)
    tables = []
    for label in models:
        table = _frame_of(chosen, label, [fold_of[int(position)] for position in tested])
        found = [rows.get(int(p), {}).get("models", {}).get(label, {}) for p in tested]
        for name in MASK_SCORES:
            table[name] = [item.get("scores", {}).get(name, np.nan) for item in found]
        table["confidence"] = [item.get("confidence", np.nan) for item in found]
        table["note"] = [_note_of(item, int(p) in missing) for item, p in zip(found, tested, strict=True)]
        table["error"] = [errors.get(int(p)) or item.get("error", "") for item, p in zip(found, tested, strict=True)]
        tables.append(table)
    facts = pd.DataFrame([rows.get(int(p), {}).get("facts", {}) for p in tested], dtype=float)
    kept = {
        label: {int(np.searchsorted(tested, -place)): unpack_mask(mask) for _, place, mask in found}
        for label, found in worst.items()
    }
    lacking = {int(position): missing[int(position)] for position in tested if int(position) in missing}
    return Outcome(pd.concat(tables, ignore_index=True), facts, lacking, kept, seconds)


def _note_of(item: dict[str, Any], lacks: bool) -> str:
    notes = [NO_LESION] if item.get("empty") else []
    return "; ".join([*notes, NO_REFERENCE] if lacks else notes)


def _keep_worst(heap: list[tuple[float, int, Any]], found: dict[str, Any], position: int) -> None:
    packed, scores = found.pop("mask"), found.get("scores")
    if packed is None or scores is None:
        return
    item = (-scores["jaccard"], -position, packed)  # the best of those that are kept comes out first
    if len(heap) < KEPT_WORST:
        heapq.heappush(heap, item)
    elif item[:2] > heap[0][:2]:
        heapq.heapreplace(heap, item)


def _fit_segmenter(
    model: Any, label: str, data: ExperimentData, records: list[Any], missing: dict[int, str], train: np.ndarray
) -> Any:
    usable = [int(position) for position in train if records[position] is not None and position not in missing]
    if not usable:
        raise ValueError(
            f"none of the {len(train)} training images has an expert mask, from which {label!r} could learn"
        )
    return quietly(lambda: model.fit([records[p] for p in usable], [data.masks[p] for p in usable]))


def classify(
    data: ExperimentData,
    folds: Sequence[Fold],
    models: Mapping[str, Callable[[], Any]],
    *,
    labels: np.ndarray,
    positive: Any,
    metadata: Sequence[str] | None = None,
    learns: bool,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Outcome:
    """Ask each model for the classes of the images of each fold.

    Parameters
    ----------
    data, folds, models, learns, n_jobs, verbose
        See `segment`.
    labels : ndarray
        The classes, 0 and 1 where there is a positive one.
    positive : object
        The positive class as it is called in the data; None where there are
        several classes.
    metadata : sequence of str, default=None
        Clinical columns for the models.

    Returns
    -------
    Outcome
        What came of it.
    """
    records, errors, missing = data.records()
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    fold_of = {int(position): fold.name for fold in folds for position in fold.test}
    frame = None if metadata is None else data.frame[list(metadata)]
    columns: dict[str, pd.DataFrame] = {}
    seconds = {label: {"fit": 0.0, "predict": 0.0} for label in models}
    with tempfile.TemporaryDirectory(prefix="skinseg-") as cache:
        for label, make in models.items():
            parts = []
            for fold in folds:
                start = time.perf_counter()
                model = make()
                if learns:
                    _fit_classifier(model, records, frame, labels, fold, cache if len(folds) > 1 else None, n_jobs)
                seconds[label]["fit"] += time.perf_counter() - start
                start = time.perf_counter()
                parts.append(_ask(model, label, records, frame, labels, positive, fold, learns, n_jobs, verbose))
                seconds[label]["predict"] += time.perf_counter() - start
            columns[label] = pd.concat(parts).sort_index()
    facts = _facts_alone(records, tested, n_jobs, verbose)
    chosen = data.take(tested)
    tables = []
    for label, found in columns.items():
        table = _frame_of(chosen, label, [fold_of[int(position)] for position in tested])
        if positive is not None:
            table["target"] = labels[tested]
        found = found.reindex(tested).reset_index(drop=True)
        found["error"] = [errors.get(int(p)) or text for p, text in zip(tested, found["error"].fillna(""), strict=True)]
        tables.append(table.join(found))
    return Outcome(pd.concat(tables, ignore_index=True), facts, missing, {}, seconds)


def _X(records: list[Any], frame: pd.DataFrame | None, positions: Sequence[int]) -> Any:
    chosen = [records[position] for position in positions]
    return chosen if frame is None else frame.iloc[positions].reset_index(drop=True).assign(image=chosen)


def _fit_classifier(
    model: Any, records: list[Any], frame: Any, labels: np.ndarray, fold: Fold, cache: str | None, n_jobs: int | None
) -> None:
    usable = [int(position) for position in fold.train if records[position] is not None]
    if len(np.unique(labels[usable])) < 2:
        raise ValueError(
            f"the training images of fold {fold.name} are of one class only; a classifier needs two or more"
        )
    for part in lesion_parts(model):
        part.set_params(on_error="nan", n_jobs=n_jobs)
        if part.memory is None and cache is not None:
            part.set_params(memory=cache)  # each image is measured once for all folds
    quietly(lambda: model.fit(_X(records, frame, usable), labels[usable]))


def _ask(
    model: Any, label: str, records: list[Any], frame: Any, labels: np.ndarray, positive: Any, fold: Fold,
    learns: bool, n_jobs: int | None, verbose: int,
) -> pd.DataFrame:  # fmt: skip
    """Give probabilities and decisions for a fold, under the positions of the images."""
    sure, classes = _fit_to_target(model, label, labels, positive)
    sure = 1 if learns and positive is not None else sure  # it was fitted to 0 and 1
    readable = [int(position) for position in fold.test if records[position] is not None]
    chosen = [records[position].with_(reference_mask=None) for position in readable]
    given = frame if frame is None else frame.iloc[readable].reset_index(drop=True)
    if given is not None and isinstance(model, PretrainedClassifier) and given.isna().all(axis=None):
        given = None
    table = predict_records(chosen, model, metadata=given, positive=sure, n_jobs=n_jobs, verbose=verbose)
    table = table.set_axis(pd.Index(readable), axis=0)
    if positive is not None:
        table = table.rename(columns={"melanoma_probability": "probability"})
        told = [None if value is None else int(value == sure) for value in table["decision"]]
        table["decision"] = pd.Series(told, index=table.index, dtype="Int64")
        return table[["probability", "decision", "error"]]
    return table[[*(f"probability_{name}" for name in classes), "decision", "error"]]


def _fit_to_target(model: Any, label: str, labels: np.ndarray, positive: Any) -> tuple[Any, list[Any]]:
    """Match the classes of a model with those of the data; give its positive class."""
    classes = np.asarray(model.classes_).tolist()
    if positive is None:
        strange = sorted(set(np.unique(labels).tolist()) - set(classes), key=str)
        if strange:
            raise ValueError(
                f"the data have the classes {strange}, which the model {label!r} does not know; it knows {classes}: "
                "leave those images out (where), or recode the column"
            )
        return None, classes
    if len(classes) != 2:
        raise ValueError(
            f"the model {label!r} tells {len(classes)} classes ({classes}) and the data have a positive class "
            f"({positive!r}) and others; leave the positive class out, or take a model of two classes"
        )
    for sure in (positive, 1):  # 1 also where the data call it otherwise
        matches = [name for name in classes if name == sure or str(name) == str(sure)]
        if matches:
            return matches[0], classes
    raise ValueError(
        f"the model {label!r} tells {classes} apart, and the positive class of the data is {positive!r}; name the "
        "positive class as the model does, or recode the column to 0 and 1"
    )


def _facts_alone(records: list[Any], tested: np.ndarray, n_jobs: int | None, verbose: int) -> pd.DataFrame:
    """Measure images for which no mask was made, within the expert's outline or that of the packaged segmenter."""
    readable = [int(position) for position in tested if records[position] is not None]
    found: dict[int, dict[str, float]] = {}
    worker = _Worker({}, PretrainedSegmenter(), None)
    work = map_batches(
        worker, [records[p] for p in readable], batch_size=_BATCH, n_jobs=n_jobs, verbose=verbose, desc="measure"
    )
    with closing(work) as stream:
        for start, _, part in stream:
            found |= {readable[index]: row["facts"] for index, row in enumerate(part, start)}
    return pd.DataFrame([found.get(int(position), {}) for position in tested], dtype=float)
