"""Training from a table of files: cross-validated scores with intervals, then a saved model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, StratifiedGroupKFold, cross_val_predict
from sklearn.utils import Bunch, get_tags

from ._quiet import ignored_warnings
from .bulk import lesion_parts
from .datasets import load_lesion_table
from .datasets._table import check_number_columns, repeats_of
from .evaluation import bootstrap_interval, threshold_at_sensitivity
from .evaluation._statistics import auc_of, average_precision_of, interval_of, mean_of
from .exceptions import EmptyMaskWarning, InvalidImagesError, UngroupedWarning
from .images import LesionImage, check_images, check_masks
from .metrics import jaccard_score
from .outlining import split_readable
from .persistence import save
from .pipeline import BatchedPipeline, make_lesion_pipeline

__all__ = ["make_classifier", "make_sampler", "train_from_table"]

Echo = Callable[[str], object]
_RESAMPLES = 1000  # of the bootstrap


def make_classifier(name: str, seed: int) -> Any:
    """Make one of the classifiers that the command knows.

    Parameters
    ----------
    name : {"boosting", "forest", "logistic"}
        Which.
    seed : int
        Its random state.

    Returns
    -------
    classifier
        Not fitted.
    """
    if name == "logistic":
        return LogisticRegression(C=0.1, max_iter=2000)
    if name == "forest":
        return RandomForestClassifier(300, min_samples_leaf=5, random_state=seed)
    if name == "boosting":
        return HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, max_leaf_nodes=8, random_state=seed)
    raise ValueError(f"the classifier must be 'boosting', 'forest' or 'logistic', got {name!r}")


def make_sampler(name: str, seed: int) -> Any:
    """Make one of the samplers that the command knows.

    Parameters
    ----------
    name : {"none", "smote", "under"}
        Which: none, synthetic minority over-sampling, or random
        under-sampling of the majority.
    seed : int
        Its random state.

    Returns
    -------
    sampler or None
        Not fitted.
    """
    if name == "smote":
        return SMOTE(random_state=seed)
    if name == "under":
        return RandomUnderSampler(random_state=seed)
    if name == "none":
        return None
    raise ValueError(f"the sampler must be 'none', 'smote' or 'under', got {name!r}")


def train_from_table(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    segmenter: Any,
    target_column: str,
    image_column: str = "image",
    mask_column: str | None = None,
    group_column: str | None = None,
    metadata_columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    pos_label: str | None = None,
    classifier: str = "logistic",
    sampler: str = "none",
    folds: int = 5,
    sensitivity: float = 0.9,
    seed: int = 0,
    jobs: int | None = None,
    quiet: bool = False,
    echo: Echo = print,
) -> Any:
    """Cross-validate and fit a pipeline on a table of image files, and save it.

    Parameters
    ----------
    table : path-like
        The table, see `skinseg.datasets.load_lesion_table`.
    out : path-like
        The model file.
    segmenter : segmenter
        Outlines the lesions. One that learns is trained on the masks.
    target_column, image_column, mask_column, group_column : str
        Columns of the table.
    metadata_columns : sequence of str, default=None
        Clinical columns to use beside the image.
    where : mapping, default=None
        Use only rows with these values.
    pos_label : str, default=None
        The positive of two classes; needed unless they are 0 and 1.
    classifier : {"logistic", "forest", "boosting"}, default="logistic"
        What decides on the features.
    sampler : {"none", "smote", "under"}, default="none"
        How the classes are balanced for fitting.
    folds : int, default=5
        Folds of the cross-validation, stratified, groups kept together.
    sensitivity : float, default=0.9
        Sensitivity for which the threshold of the decision is chosen.
    seed : int, default=0
        Seed of folds, classifier and intervals.
    jobs : int, default=None
        Number of workers, as in joblib.
    quiet : bool, default=False
        No progress bar.
    echo : callable, default=print
        Takes the lines of the report.

    Returns
    -------
    estimator
        The fitted model, as saved.
    """
    with ignored_warnings(UngroupedWarning):  # said below
        data = load_lesion_table(
            table,
            image_column=image_column,
            mask_column=mask_column,
            target_column=target_column,
            group_column=group_column,
            where=where,
        )
    repeats = None if group_column else repeats_of(data.frame, [image_column, target_column])
    if repeats:
        echo(f"warning: {repeats}")
    metadata = list(metadata_columns) if metadata_columns else None
    absent = [column for column in metadata or () if column not in data.frame]
    if absent:
        raise ValueError(f"{table} has no column {', '.join(map(repr, absent))} (metadata)")
    check_number_columns(data.frame, metadata or (), table)
    data = _usable(data, metadata, echo)
    positive = _positive_class(data.target, pos_label, target_column)
    _check_counts(data, folds, target_column)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    resample = make_sampler(sampler, seed)
    _check_folds(data, splitter, resample, target_column)
    counts = ", ".join(
        f"{label}: {count}" for label, count in zip(*np.unique(data.target, return_counts=True), strict=True)
    )
    echo(f"{len(data.records)} images ({target_column} {counts}), {len(np.unique(data.groups))} groups, {folds} folds")
    with tempfile.TemporaryDirectory(prefix="skinseg-") as cache, ignored_warnings(EmptyMaskWarning):
        # empty masks are counted below; every image is measured once: the folds and the final fit take the rows from
        # the cache
        pipe = make_lesion_pipeline(
            segmenter, make_classifier(classifier, seed), sampler=resample, metadata=metadata,
            n_jobs=jobs, memory=cache, on_error="nan", verbose=not quiet,
        )  # fmt: skip
        _measure_ahead(pipe, data, echo)
        probabilities = cross_val_predict(
            pipe, data.X, data.target, groups=data.groups, cv=splitter, method="predict_proba"
        )
        model = pipe.fit(data.X, data.target)
        for part in lesion_parts(model):
            part.set_params(memory=None)  # the cache is temporary
    if data.masks is not None:
        _report_outlines(pipe, data, jobs, seed, echo)
    model = _report(model, probabilities, data, positive, sensitivity, seed, echo)
    echo(f"model written to {save(model, out)}")
    return model


def _usable(data: Bunch, metadata: list[str] | None, echo: Echo) -> Bunch:
    """Leave out images (and masks) that cannot be read, and say so."""
    extras = None
    if data.masks is not None:
        extras = [_reference(image, mask, echo) for image, mask in zip(data.images, data.masks, strict=True)]
    positions, records, errors = split_readable(data.images, extras)
    for index, text in list(errors.items())[:20]:
        echo(f"left out {data.images[index]}: {text}")
    if not records:
        first, text = next(iter(errors.items()))
        raise ValueError(
            f"none of the {len(data.images)} images can be read; the first, {data.images[first]}: {text} (files are "
            "looked for from the folder of the table)"
        )
    if errors:
        echo(f"{len(errors)} of {len(data.images)} images left out")
    X: Any = records
    if metadata is not None:
        X = data.frame.iloc[positions][metadata].reset_index(drop=True).assign(image=records)
        shares = ", ".join(f"{column} {X[column].notna().mean():.0%}" for column in metadata)
        echo(f"clinical columns known: {shares}")
    return Bunch(
        X=X,
        records=records,
        masks=data.masks,
        target=data.target[positions],
        groups=np.asarray(data.groups)[positions],
    )


def _reference(image: Path, mask: Path | None, echo: Echo) -> dict[str, Path]:
    """Give the mask as part of a record, if there is one that fits."""
    if mask is None:
        return {}
    try:
        check_masks([mask], check_images([image]), "skinseg train")
    except InvalidImagesError as error:
        if image.is_file():  # else the image itself is listed
            echo(f"mask left out: {next(iter(error.errors.values()))}")
        return {}
    return {"reference_mask": mask}


def _positive_class(target: np.ndarray, pos_label: str | None, column: str) -> Any:
    classes = np.unique(target.astype(str) if target.dtype == object else target).tolist()
    if len(classes) < 2:
        raise ValueError(f"the column {column!r} holds one class only ({classes}); a classifier needs two or more")
    if pos_label is not None:
        matches = [label for label in classes if str(label) == pos_label]
        if not matches:
            raise ValueError(f"the positive class {pos_label!r} is none of the classes {classes} of {column!r}")
        return matches[0]
    if len(classes) > 2:
        return None
    if set(classes) <= {0, 1}:  # also False and True
        return classes[1]
    raise ValueError(f"the classes of {column!r} are {classes}; say which is positive with --pos-label")


def _check_counts(data: Bunch, folds: int, column: str) -> None:
    labels, counts = np.unique(data.target, return_counts=True)
    if counts.min() < folds:
        label = labels.tolist()[counts.argmin()]
        raise ValueError(
            f"the class {label!r} of {column!r} has {counts.min()} image(s) that can be read, fewer than the {folds} "
            "folds; add images of it, or use fewer folds (at least 2)"
        )


def _check_folds(data: Bunch, splitter: StratifiedGroupKFold, sampler: Any, column: str) -> None:
    """Refuse folds from which a class cannot be learnt, or that leave a sampler too little, and say what to do."""
    n_groups = len(np.unique(data.groups))
    if n_groups < splitter.n_splits:
        raise ValueError(
            f"the images belong to {n_groups} group(s), fewer than the {splitter.n_splits} folds; "
            "add images of other groups, or use fewer folds (at least 2)"
        )
    labels, place = np.unique(data.target, return_inverse=True)
    counts = np.array(
        [
            np.bincount(place[learn], minlength=len(labels))
            for learn, _ in splitter.split(data.records, data.target, data.groups)
        ]
    )
    fold, rarest = np.unravel_index(counts.argmin(), counts.shape)
    label, n_left = labels.tolist()[rarest], counts[fold, rarest]
    if n_left == 0:
        raise ValueError(
            f"all images of the class {label!r} of {column!r} fall into fold {fold + 1} of {splitter.n_splits}, for "
            f"they belong to {len(np.unique(data.groups[place == rarest]))} group(s): it leaves none to learn from; "
            "add groups of this class, or take another group column"
        )
    neighbors = getattr(sampler, "k_neighbors", 0)
    if n_left <= neighbors and n_left < counts[fold].max():
        raise ValueError(
            f"SMOTE makes up images of a class from one and its {neighbors} nearest, and of the class {label!r} of "
            f"{column!r} there are only {n_left} to learn from in a fold; add images of it, or balance the classes in "
            "another way or not at all (--sampler under, --sampler none)"
        )


def _measure_ahead(pipe: Any, data: Bunch, echo: Echo) -> None:
    """Fill the cache where no step learns, and tell what was not found."""
    part = lesion_parts(pipe)[0]
    lesion = clone(part).fit(data.records, data.target)
    lesion.transform(data.records)
    part.set_params(verbose=0)
    for index, text in list(lesion.errors_.items())[:20]:
        echo(f"failed {data.records[index].path}: {text}")
    if lesion.errors_ or lesion.empty_:
        echo(
            f"{len(lesion.errors_)} images failed, no lesion found in {len(lesion.empty_)}; their features are imputed"
        )


def _report_outlines(pipe: Any, data: Bunch, jobs: int | None, seed: int, echo: Echo) -> None:
    """Score the outlines against the masks; only those of a segmenter that has not learnt from them."""
    fitted = next(part for part in lesion_parts(pipe) if hasattr(part, "steps_"))
    segmenter = fitted.named_steps_["segmenter"]
    learnt = get_tags(segmenter).requires_fit and not isinstance(segmenter, FrozenEstimator)
    known = [record for record in data.records if record.has("reference_mask")]
    if learnt or not known:
        return
    alone = BatchedPipeline([("segmenter", FrozenEstimator(segmenter))], n_jobs=jobs, on_error="nan").fit(known)
    with ignored_warnings(EmptyMaskWarning):
        predicted = alone.predict([_without_reference(record) for record in known])
    pairs = [
        (record.origin_plane("reference_mask"), mask)
        for record, mask in zip(known, predicted, strict=True)
        if mask is not None
    ]
    if not pairs:
        return
    scores = jaccard_score(*zip(*pairs, strict=True), average=None)
    echo(
        f"Jaccard index of the outlines: {bootstrap_interval(np.mean, scores, random_state=seed)} ({len(pairs)} masks)"
    )


def _without_reference(record: LesionImage) -> LesionImage:
    return record.with_(reference_mask=None)


def _report(
    model: Any, probabilities: np.ndarray, data: Bunch, positive: Any, sensitivity: float, seed: int, echo: Echo
) -> Any:
    """Print the cross-validated scores and put the threshold around the model."""
    classes = model.classes_.tolist()
    interval = partial(interval_of, n_images=len(probabilities), groups=data.groups, n_resamples=_RESAMPLES, seed=seed)
    echo("cross-validated, with 95 % intervals by bootstrap over groups:")
    if positive is None:
        for index, label in enumerate(classes):
            value = interval(auc_of(data.target == label, probabilities[:, index]))
            echo(f"  ROC AUC of {label}: {value}")
        return model
    index = classes.index(positive)
    truth, score = (data.target == positive).astype(int), probabilities[:, index]
    metrics = {
        "ROC AUC": auc_of(truth, score),
        "average precision": average_precision_of(truth, score),
        "Brier score": mean_of((score - truth) ** 2),
    }
    for name, metric in metrics.items():
        echo(f"  {name}: {interval(metric)}")
    threshold = threshold_at_sensitivity(truth, score, sensitivity)
    called = score >= threshold
    echo(
        f"  threshold {threshold:.4f}, chosen on these probabilities for a sensitivity of {sensitivity}: "
        f"sensitivity {called[truth == 1].mean():.3f}, specificity {(~called[truth == 0]).mean():.3f}"
    )
    fixed = FixedThresholdClassifier(FrozenEstimator(model), threshold=threshold, pos_label=positive)
    return fixed.fit(data.X, data.target)
