"""Classifiers whose decision is a sum over columns: what each column adds to it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from ..classification import ABCDRuleClassifier
from ._opening import as_array, inner_model, is_sampler, is_skipped, with_columns_of

__all__ = ["LinearForm", "LinearParts", "contrast", "linear_form", "linear_parts"]

_SCALERS = (StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler)
_CURVES = (PowerTransformer, QuantileTransformer)
_PROJECTIONS = (PCA, IncrementalPCA, TruncatedSVD)


class LinearForm(NamedTuple):
    """A classifier taken apart: ``slope * decision + offset``, of columns that are each treated on their own first.

    Parameters
    ----------
    columnwise : list of transformers
        Each column that they give comes from one column.
    mixing : list of transformers
        Linear ones after these, from the first one that mixes columns.
    classifier : classifier
        Linear in what they give.
    slope, offset : float
        What calibration makes of the decision.
    """

    columnwise: list[Any]
    mixing: list[Any]
    classifier: Any
    slope: float
    offset: float


class LinearParts(NamedTuple):
    """What each column adds to the decision.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns)
        The parts.
    baseline : float
        The decision for the mean.
    output : ndarray of shape (n_rows,)
        The decision.
    """

    columns: np.ndarray
    baseline: float
    output: np.ndarray


def contrast(values: np.ndarray, index: int) -> np.ndarray:
    """Decision for one class: against the other of two, or against the mean of all others."""
    if values.ndim == 1:
        return values if index == 1 else -values
    others = np.delete(values, index, axis=1)
    difference: np.ndarray = values[:, index] - others.mean(axis=1)
    return difference


def linear_form(model: Any) -> LinearForm | str:
    """Take a fitted classifier of tables apart, or tell why it is not linear."""
    steps, classifier, slope, offset = _chain(model)
    if not isinstance(classifier, (LinearClassifierMixin, ABCDRuleClassifier)) or not hasattr(classifier, "coef_"):
        return f"{type(classifier).__name__} is no linear classifier"
    columnwise: list[Any] = []
    mixing: list[Any] = []
    for step in steps:
        if not mixing and _keeps_columns_apart(step):
            columnwise.append(step)
        elif _is_affine(step):
            mixing.append(step)
        else:
            return f"its step {type(step).__name__} is not linear"
    return LinearForm(columnwise, mixing, classifier, slope, offset)


def _chain(model: Any) -> tuple[list[Any], Any, float, float]:
    """Give transformers and classifier of a model, in a row, and the line that calibration puts on its decision."""
    model = inner_model(model)
    if isinstance(model, Pipeline):
        steps, classifier, slope, offset = _chain(model.steps[-1][1])
        return [*_transformers(model.steps[:-1]), *steps], classifier, slope, offset
    if isinstance(model, CalibratedClassifierCV) and len(model.calibrated_classifiers_) == 1:
        only = model.calibrated_classifiers_[0]
        if only.method == "sigmoid" and len(model.classes_) == 2:
            steps, classifier, slope, offset = _chain(only.estimator)
            sigmoid = only.calibrators[0]  # 1 / (1 + exp(a * decision + b))
            return steps, classifier, -sigmoid.a_ * slope, -sigmoid.a_ * offset - sigmoid.b_
    return [], model, 1.0, 0.0


def _transformers(steps: list[tuple[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for _, step in steps:
        step = inner_model(step)
        if isinstance(step, Pipeline):
            found += _transformers(step.steps)
        elif not is_skipped(step) and not is_sampler(step):
            found.append(step)
    return found


def _keeps_columns_apart(step: Any) -> bool:
    return isinstance(step, (*_SCALERS, *_CURVES, SelectorMixin, SimpleImputer))


def _is_affine(step: Any) -> bool:
    return isinstance(step, (*_SCALERS, *_PROJECTIONS, SelectorMixin)) and not getattr(step, "clip", False)


# ---------------------------------------------------------------------- columns that are kept apart


def _owners(step: Any, n_columns: int) -> np.ndarray:
    """Position of the column from which each column comes that a step gives."""
    if isinstance(step, SelectorMixin):
        chosen: np.ndarray = step.get_support(indices=True)
        return chosen
    if not isinstance(step, SimpleImputer):
        return np.arange(n_columns)
    names = list(getattr(step, "feature_names_in_", [f"c{number}" for number in range(n_columns)]))
    place = {str(name): number for number, name in enumerate(names)}
    given = step.get_feature_names_out(np.asarray(names, dtype=object))  # some are left out, indicators come after
    own = len(given) - (0 if step.indicator_ is None else len(step.indicator_.features_))
    indicators = [] if step.indicator_ is None else list(step.indicator_.features_)
    return np.array([*(place[str(name)] for name in given[:own]), *indicators], dtype=int)


def _mean_after(step: Any, mean: Any) -> Any:
    """Mean of the training data after a step, a row of what it gives; None where nothing tells it."""
    if isinstance(step, StandardScaler) and step.mean_ is not None:
        middle = np.zeros_like(step.mean_)
        return middle if step.with_mean else (step.mean_ / (1.0 if step.scale_ is None else step.scale_))
    if isinstance(step, PowerTransformer) and step.standardize:
        return np.zeros(step.n_features_in_)
    if isinstance(step, SimpleImputer):
        if step.strategy != "mean" or step.indicator_ is not None:
            return None
        return step.statistics_[_owners(step, len(step.statistics_))]
    if mean is None:
        return None
    if isinstance(step, SelectorMixin):
        return mean[step.get_support(indices=True)]
    return _transform_row(step, mean) if _is_affine(step) else None


def _transform_row(step: Any, row: np.ndarray) -> np.ndarray:
    names = getattr(step, "feature_names_in_", None)
    rows = as_array(step.transform(row[None] if names is None else pd.DataFrame(row[None], columns=names)))
    return np.asarray(rows[0])


# ---------------------------------------------------------------------- columns that are mixed


def _through(step: Any, weights: np.ndarray) -> np.ndarray:
    """Weights of the columns that a step takes, from those of the columns that it gives."""
    if isinstance(step, SelectorMixin):
        wide = np.zeros(len(step.get_support()))
        wide[step.get_support()] = weights
        return wide
    if isinstance(step, _PROJECTIONS):
        if getattr(step, "whiten", False):
            weights = weights / np.maximum(np.sqrt(step.explained_variance_), np.finfo(float).eps)
        taken: np.ndarray = weights @ step.components_
        return taken
    scale = 1.0 if step.scale_ is None else step.scale_
    return weights * scale if isinstance(step, MinMaxScaler) else weights / scale


def _weights(form: LinearForm, index: int) -> np.ndarray:
    """Weights of the columns that the columnwise steps give in the decision for a class."""
    classifier = form.classifier
    coef = classifier.coef_
    coef = coef.toarray() if hasattr(coef, "toarray") else np.asarray(coef)
    if isinstance(classifier, ABCDRuleClassifier):
        weights = np.zeros(classifier.n_features_in_)
        places = slice(None) if classifier.columns_ is None else list(classifier.columns_.values())
        weights[places] = coef if classifier.pos_label_ == classifier.classes_[1] else -coef
        coef = weights[None]
    weights = contrast(coef[0] if len(coef) == 1 else coef.T, index) * form.slope
    for step in reversed(form.mixing):
        weights = _through(step, weights)
    return weights


# ---------------------------------------------------------------------- the parts


def linear_parts(form: LinearForm, table: Any, background: Any, index: int) -> LinearParts | None:
    """Tell what each column adds to the decision for a class.

    Parameters
    ----------
    form : LinearForm
        The classifier.
    table : ndarray or DataFrame of shape (n_rows, n_columns)
        What is explained.
    background : ndarray or DataFrame of shape (n_background, n_columns) or None
        Rows whose mean the parts are measured from; that of the training data if None.
    index : int
        Position of the class.

    Returns
    -------
    LinearParts or None
        None if there is no background and no step tells the mean of the training data.
    """
    n_columns = table.shape[1]
    owner = np.arange(n_columns)
    mean = None
    for step in form.columnwise:
        owner = owner[_owners(step, table.shape[1])]
        mean = _mean_after(step, mean)
        table = step.transform(table)
        background = None if background is None else step.transform(background)
    if background is not None:
        mean = as_array(background)[~np.isnan(_decide(form, background, index))].mean(axis=0)
    elif mean is None and form.mixing and hasattr(form.mixing[0], "mean_"):
        mean = form.mixing[0].mean_
    if mean is None:
        return None
    weights = _weights(form, index)
    difference = as_array(table) - mean
    used = np.where(weights == 0, 0.0, difference * weights)  # what has no weight may be NaN
    parts = np.zeros((len(used), n_columns))
    np.add.at(parts.T, owner, used.T)
    baseline = float(_decide(form, with_columns_of(mean[None], table), index)[0])
    return LinearParts(parts, baseline, _decide(form, table, index))


def _decide(form: LinearForm, table: Any, index: int) -> np.ndarray:
    """Decision for a class, of what the columnwise steps give."""
    if not len(table):
        return np.empty(0)
    for step in form.mixing:
        table = step.transform(table)
    decision = form.classifier.decision_function(table)
    return contrast(form.slope * decision + form.offset, index)
