"""One image through the image steps of any model, for the displays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from .._batches import is_passthrough
from .._mapping import label_of, load_or_fail, transform_batch
from ..base import BaseFeaturizer, ImageEstimator, nested_estimators
from ..exceptions import ImageBatchError
from ..features import ABCDFeaturizer
from ..features._explain import explain_region
from ..features._region import LesionRegion
from ..images import LesionImage
from ..pipeline import BatchedPipeline
from ..pretrained import PretrainedClassifier
from ._opening import inner_model

__all__ = ["explain_by", "outline_by"]


def image_steps(model: Any, featurizer: type = BaseFeaturizer) -> list[Any]:
    """List the fitted image steps of a model in their order: those of pipelines, searches and packaged models."""
    model = inner_model(model)
    if isinstance(model, PretrainedClassifier):
        model = model.lesion_ if hasattr(model, "lesion_") else model.fit([np.zeros((1, 1, 3), np.uint8)]).lesion_
    if isinstance(model, BatchedPipeline):
        check_is_fitted(model)
        parts = [step for _, step in model.steps_]
    elif isinstance(model, Pipeline):  # that of imbalanced-learn is one
        parts = [step for _, step in model.steps]
    elif isinstance(model, (ColumnTransformer, FeatureUnion)):
        check_is_fitted(model)
        pairs = model.transformers_ if isinstance(model, ColumnTransformer) else model.transformer_list
        parts = [pair[1] for pair in pairs if _holds(pair[1], featurizer)][:1]
    else:
        return [model]
    return [step for part in parts if not is_passthrough(part) for step in image_steps(part, featurizer)]


def _holds(model: Any, kind: type) -> bool:
    return any(isinstance(part, (kind, PretrainedClassifier)) for part in nested_estimators(model))


def _failure(caller: str, record: LesionImage, error: str) -> ImageBatchError:
    return ImageBatchError(f"{caller} cannot show {label_of(record) or 'the image'}:", {0: error})


def _through(steps: Iterable[Any], record: LesionImage, caller: str) -> LesionImage:
    """Send a record through image steps."""
    for step in steps:
        ready = getattr(step, "_check_ready", None)
        if ready is not None:
            ready()
        else:
            check_is_fitted(step)
        method = "transform" if hasattr(step, "transform") else "predict"
        result = transform_batch(step, [record], method)[0]
        if isinstance(result, np.ndarray) and result.shape == record.shape:  # of a segmenter that only predicts
            result = record.with_(mask=result)
        if not isinstance(result, LesionImage):
            raise TypeError(f"{caller}: the step {type(step).__name__} gives no image; give a model of image steps")
        if result.error is not None:
            raise _failure(caller, record, str(result.error))
        record = result
    return record


def _loaded(record: LesionImage, caller: str) -> LesionImage:
    loaded = load_or_fail(record)
    if loaded.error is not None:
        raise _failure(caller, record, loaded.error)
    return loaded


def _in_frame(found: LesionImage, given: LesionImage, plane: str) -> np.ndarray | None:
    """Bring what was found on a resized copy back to the image that was given."""
    if not found.has(plane):
        return None
    return given.geometry.from_origin(found.origin_plane(plane))


def outline_by(model: Any, record: LesionImage, caller: str) -> LesionImage:
    """Outline the lesion of one image; the loaded record with mask and confidence, in its own frame."""
    steps = image_steps(model)
    before: list[Any] = []
    for step in steps:
        if isinstance(step, BaseFeaturizer):
            if getattr(step, "segmenter", None) is not None:
                step._check_ready()
                before.append(step.segmenter_)
            break
        if before and not isinstance(step, ImageEstimator) and not hasattr(step, "transform"):
            break
        before.append(step)
    given = _loaded(record, caller)
    found = _through(before, given, caller)
    mask = _in_frame(found, given, "mask")
    if mask is None:
        raise ValueError(
            f"{caller} found no outline: {type(model).__name__} has no segmenter and the image brings no mask; give a "
            "segmenter, a pipeline with one, or a LesionImage with its mask"
        )
    return given.with_(mask=mask, confidence=found.confidence, pixel_size=found.pixel_size)


def explain_by(model: Any, record: LesionImage, needed: Iterable[str], caller: str) -> tuple[LesionImage, Any]:
    """Outline and explain one image; the record as of `outline_by`, and the explanation or None if there is no lesion.

    The explanation is in the frame of the image that was given, whatever the steps resize it to.
    """
    steps = image_steps(model, ABCDFeaturizer)
    place = next((index for index, step in enumerate(steps) if isinstance(step, ABCDFeaturizer)), None)
    if place is None:
        outlined = outline_by(model, record, caller)
        empty = outlined.mask is None or not outlined.mask.any()
        return outlined, None if empty else ABCDFeaturizer().explain(outlined)
    featurizer: ABCDFeaturizer = steps[place]
    featurizer._check_ready()
    before = [*steps[:place], *([] if featurizer.segmenter is None else [featurizer.segmenter_])]
    given = _loaded(record, caller)
    found = _through(before, given, caller)
    mask = featurizer._mask_of(found)
    outlined = given.with_(
        mask=_in_frame(found, given, "mask"), confidence=found.confidence, pixel_size=found.pixel_size
    )
    if mask is None or not mask.any():
        return outlined, None
    names = dict.fromkeys([*featurizer.get_feature_names_out().tolist(), *needed])
    region = LesionRegion.of(found, mask, featurizer.working_size)
    explanation = explain_region(region, names, found.geometry, given.geometry)
    region.forget()
    return outlined, explanation
