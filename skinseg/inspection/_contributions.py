"""What each group of features contributed to what a classifier says of an image."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..base import nested_estimators
from ..exceptions import SkinsegWarning
from ..features import FEATURES
from ..features._catalog import SOMETIMES
from ..images import FRAME_COLUMNS, check_images
from ._explanation import NOT_MEASURED, Contributions
from ._groups import CLINICAL, EMBEDDING, GROUPS, OTHER, groups_of
from ._linear import LinearForm, contrast, linear_form, linear_parts
from ._opening import NO_LESION, ImageWork, OpenedModel, as_array, inner_model, is_table, open_model
from ._shapley import shapley_values

__all__ = ["Contributions", "explain_prediction"]

_LEAST = 1e-6  # smaller probabilities count as this where their log-odds are taken
_BACKGROUND = (
    "give some, background=images: a hundred of those that the model was fitted on will do, in the form of X, or their "
    "table of features"
)
_INCOMPLETE = "a value that the classifier needs is missing"


@validate_params(
    {
        "by": [StrOptions({"group", "feature"}), Mapping],
        "method": [StrOptions({"auto", "exact", "permutation"})],
        "scale": [StrOptions({"log_odds", "probability"}), None],
        "n_repeats": [Interval(Integral, 2, None, closed="left")],
        "n_background": [Interval(Integral, 1, None, closed="left"), None],
        "pos_label": [Real, str, "boolean", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def explain_prediction(
    model: Any,
    X: Any,
    *,
    background: Any = None,
    by: str | Mapping[str, str] = "group",
    method: str = "auto",
    scale: str | None = None,
    pos_label: Any = None,
    n_repeats: int = 16,
    n_background: int | None = 100,
    random_state: int | np.random.RandomState | None = None,
) -> Contributions:
    """Tell what each group of features contributed to what a classifier says of each image.

    Of a linear classifier the contribution of a feature to the log-odds is its
    coefficient times the distance of its value from the mean of the training
    data, as a StandardScaler or SimpleImputer of the pipeline knows it, or from
    that of ``background``. Of any other classifier it is the Shapley value of
    the group: the change of the probability where the group takes the values of
    the image instead of those of background images, over all orders in which
    the groups can do so. Either way the contributions and ``baseline`` add up
    to ``output``.

    Image steps run once for X and once for the background, with rows of NaN for
    images that fail, whatever their ``on_error``. Nothing of the model is
    changed.

    This is research software and no medical device: contributions explain the
    model, not the lesion.

    Parameters
    ----------
    model : classifier
        Fitted: a pipeline, such as of `skinseg.make_lesion_pipeline`, or a
        classifier of tables; also frozen, searched, with a threshold,
        calibrated, or several of them in a StackingClassifier or
        VotingClassifier.
    X : sequence of images, DataFrame or array-like of shape (n_samples, n_features)
        What the model takes. Of a table of numbers each row stands for an
        image.
    background : as X, default=None
        Images to measure contributions from, such as some that the model was
        fitted on, or their table of features as the image steps give it. Linear
        classifiers mostly go without; all others need it.
    by : {"group", "feature"} or dict of str to str, default="group"
        What a column is: a group (see `groups_of`), or a feature. By feature
        the columns that encode one clinical column are one, and so are those of
        the embedding, which mean nothing one by one. A dict gives columns of
        the table groups by name; the others keep theirs.
    method : {"auto", "exact", "permutation"}, default="auto"
        ``"exact"`` is for linear classifiers, with transformers that are
        linear or treat each column on its own; of calibrated ones only for a
        single sigmoid. ``"auto"`` takes it wherever it is possible.
    scale : {"log_odds", "probability"}, default=None
        What is explained: log-odds if the classifier is linear, else the
        probability, if None. Only log-odds can be exact.
    pos_label : object, default=None
        The class to explain; known without where the classes are 0 and 1, or
        the model has one. Of more than two classes, log-odds are those of this
        class against the mean of all others: the logarithm of its probability
        over the geometric mean of theirs.
    n_repeats : int, default=16
        Pairs of orders, at least 2, that are drawn where all are too many.
    n_background : int, default=100
        Rows that are drawn from a longer background where the method is not
        exact; None takes all.
    random_state : int, RandomState instance or None, default=None
        Determines what is drawn.

    Returns
    -------
    Contributions
        ``contributions``, a DataFrame with a row an image, ``baseline``,
        ``output``, ``probability`` and others.

    See Also
    --------
    groups_of : Groups of columns by their names.

    Notes
    -----
    A value that is missing counts as what the imputer puts in its place, which
    for the mean is a contribution of 0. An image of which nothing was measured
    is not explained, although the model gives imputed rows a probability.

    A model with a method ``_contributions(X)`` is asked itself.

    References
    ----------
    L. S. Shapley, "A value for n-person games", Contributions to the Theory of
    Games 2 (1953) 307-317.

    E. Strumbelj and I. Kononenko, "Explaining prediction models and individual
    predictions with feature contributions", Knowledge and Information Systems
    41 (2014) 647-665.

    Examples
    --------
    >>> from skinseg import ThresholdSegmenter, make_lesion_pipeline
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.inspection import explain_prediction
    >>> lesions = make_lesions(20, random_state=0)
    >>> model = make_lesion_pipeline(ThresholdSegmenter()).fit(lesions.images, lesions.target)
    >>> explanation = explain_prediction(model, lesions.images[:2])
    >>> explanation.contributions.columns.tolist()
    ['asymmetry', 'border', 'color', 'dimension', 'structure', 'texture', 'tds']
    >>> total = explanation.contributions.sum(axis=1) + explanation.baseline
    >>> bool((abs(total - explanation.output) < 1e-8).all())
    True
    """
    if not is_classifier(model):
        raise TypeError(f"explain_prediction explains fitted classifiers, got {type(model).__name__}")
    check_is_fitted(model)
    inner = inner_model(model)
    index = _class_of(model, pos_label)
    if hasattr(inner, "_contributions"):
        _refuse_for_own(inner, background, by, method, scale)
        return _own_contributions(inner, X, index)
    X = np.asarray(X) if _is_nested_list(X) else X
    work = ImageWork()
    opened, table = open_model(model, X, work)
    form = _exact_form(opened, method, scale)
    labels = _labels_of(opened, by)
    columns = _ordered(labels, by)
    request = _Request(
        opened, index, np.array([columns.index(label) for label in labels]), len(columns), scale, n_repeats,
        n_background, check_random_state(random_state),
    )  # fmt: skip
    errors = _unmeasured(table, opened.names) | work.errors
    known = np.setdiff1d(np.arange(len(table)), list(errors))
    if not len(known):
        parts = _no_parts(request, form)
    elif isinstance(form, LinearForm):
        parts = _exact(request, form, table[known], background)
    else:
        parts = _by_permutation(request, table[known], background, form)
    errors |= {int(known[place]): _INCOMPLETE for place in np.flatnonzero(np.isnan(parts.output))}
    parts.values[np.isnan(parts.output)] = np.nan
    return _result(parts, known, _names_of(X), columns, np.asarray(model.classes_).tolist()[index], errors)


# ---------------------------------------------------------------------- what is asked for


@dataclass(frozen=True)
class _Request:
    """A model in halves, and what is to be found out about it."""

    opened: OpenedModel
    index: int
    owner: np.ndarray
    n_players: int
    scale: str | None
    n_repeats: int
    n_background: int | None
    rng: np.random.RandomState

    @property
    def tail(self) -> Any:
        return self.opened.tail

    def probabilities(self, table: np.ndarray) -> np.ndarray | None:
        """Probabilities of all classes; None where the classifier gives none."""
        if not hasattr(self.tail, "predict_proba"):
            return None
        return np.asarray(self.tail.predict_proba(self.opened.given(table)))


@dataclass
class _Parts:
    values: np.ndarray
    standard_error: np.ndarray
    baseline: float
    output: np.ndarray
    probability: np.ndarray | None
    scale: str
    method: str


def _class_of(model: Any, pos_label: Any) -> int:
    """Position of the class that is explained."""
    classes = np.asarray(model.classes_).tolist()
    if pos_label is None:
        for part in nested_estimators(model):
            for value in (getattr(part, "pos_label_", None), getattr(part, "pos_label", None)):
                if value is not None and value in classes:
                    return classes.index(value)
        if classes not in ([0, 1], [-1, 1]):  # False and True are equal to 0 and 1
            raise ValueError(
                f"the classes of the model are {classes}, and which of them to explain was not said: pass pos_label, "
                f"such as pos_label={classes[-1]!r}"
            )
        return 1
    if pos_label not in classes:
        raise ValueError(f"pos_label={pos_label!r} is none of the classes of the model, {classes}; name one of them")
    return classes.index(pos_label)


def _is_nested_list(X: Any) -> bool:
    """Whether X is a list of rows of numbers."""
    return (
        isinstance(X, (list, tuple))
        and len(X) > 0
        and all(isinstance(row, (list, tuple)) or getattr(row, "ndim", 0) == 1 for row in X)
    )


def _names_of(X: Any) -> pd.Index:
    """Names of the images, or of the rows of a table."""
    if is_table(X) or (hasattr(X, "columns") and "image" not in X.columns):
        return X.index if hasattr(X, "index") else pd.RangeIndex(X.shape[0])
    images = X[[column for column in FRAME_COLUMNS if column in X.columns]] if hasattr(X, "columns") else X
    records = check_images(images, "explain_prediction")
    return pd.Index([str(record.name or f"X[{place}]") for place, record in enumerate(records)], name="image")


def _labels_of(opened: OpenedModel, by: Any) -> list[str]:
    """For each column of the table the column of the result that it counts for."""
    groups = groups_of(opened.names)
    labels = []
    for place, name in enumerate(opened.names):
        group = CLINICAL if place in opened.clinical else groups[name]
        if isinstance(by, Mapping):
            labels.append(str(by.get(name, group)))
        elif by == "group":
            labels.append(group)
        else:
            labels.append(EMBEDDING if group == EMBEDDING else opened.clinical.get(place, name))
    unknown = [] if isinstance(by, str) else [name for name in by if name not in opened.names]
    if unknown:
        raise ValueError(
            f"by names columns that the table of the model does not have: {unknown}; its columns are {opened.names[:5]}"
            + (f" and {len(opened.names) - 5} more" if len(opened.names) > 5 else "")
        )
    return labels


def _ordered(labels: Sequence[str], by: Any) -> list[str]:
    found = list(dict.fromkeys(labels))
    if isinstance(by, str) and by == "feature":
        return found
    return [group for group in GROUPS if group in found] + [label for label in found if label not in GROUPS]


def _unmeasured(table: np.ndarray, names: Sequence[str]) -> dict[int, str]:
    """Rows of images of which nothing was measured: what every lesion has is missing."""
    plain = [name.rpartition("__")[2] for name in names]
    sure = [place for place, name in enumerate(plain) if name in FEATURES and name not in SOMETIMES]
    if not sure:
        groups = groups_of(names)
        sure = [place for place, name in enumerate(names) if groups[name] not in (CLINICAL, OTHER)]
    if not sure:
        return {}
    return dict.fromkeys(np.flatnonzero(np.isnan(table[:, sure]).all(axis=1)).tolist(), NO_LESION)


def _exact_form(opened: OpenedModel, method: str, scale: str | None) -> LinearForm | bool:
    """Give the linear form that is to be used; else whether there is one."""
    form = "it joins several classifiers" if opened.parts else linear_form(opened.tail)
    if method == "exact":
        if isinstance(form, str):
            raise ValueError(
                f"there are no exact contributions for this model: {form}; use method='permutation' with a background"
            )
        if scale == "probability":
            raise ValueError(
                "exact contributions are to log-odds; use scale='log_odds', or method='permutation' with a background"
            )
        return form
    if isinstance(form, str):
        return False
    return form if method == "auto" and scale != "probability" else True


# ---------------------------------------------------------------------- background


def _background_of(request: _Request, background: Any, draw: bool) -> np.ndarray:
    """Measure the background, or take its table; leave out what could not be measured."""
    opened = request.opened
    if _is_nested_list(background):
        background = np.asarray(background)
    count = _num_samples(background)
    limit = request.n_background
    if draw and limit is not None and count > limit:
        background = _safe_indexing(background, np.sort(request.rng.permutation(count)[:limit]))
        count = limit
    work = ImageWork()
    if opened.takes_images and not is_table(background):
        table = opened.measure(background, work)
    else:
        table = _as_measured(background, opened)
    failed = _unmeasured(table, opened.names) | work.errors
    if len(failed) == count:
        raise ValueError(
            f"none of the {count} background rows was measured: {next(iter(failed.values()), 'there are none')}; "
            f"{_BACKGROUND}"
        )
    if failed:
        warnings.warn(
            f"{len(failed)} of {count} background rows were not measured and are left out ({NO_LESION}, or the image "
            "failed)",
            SkinsegWarning,
            stacklevel=5,
        )
    return np.delete(table, list(failed), axis=0)


def _as_measured(background: Any, opened: OpenedModel) -> np.ndarray:
    """Read a background that is a table of features."""
    if not is_table(background):
        raise ValueError(
            f"the background must be in the form of X, a table of numbers, got {type(background).__name__}"
        )
    if hasattr(background, "columns") and set(opened.names) <= set(background.columns):
        background = background[opened.names]
    table = as_array(background)
    if table.shape[1] != len(opened.names):
        raise ValueError(
            f"the background has {table.shape[1]} columns and the table of the model {len(opened.names)}; give images, "
            "or a table as the image steps of the model give it"
        )
    return table


# ---------------------------------------------------------------------- the two methods


def _no_parts(request: _Request, form: LinearForm | bool) -> _Parts:
    """Of no image anything was measured."""
    empty = np.empty((0, request.n_players))
    is_exact, has_probabilities = isinstance(form, LinearForm), hasattr(request.tail, "predict_proba")
    scale = request.scale or ("log_odds" if is_exact or form else "probability")
    return _Parts(
        empty, empty, np.nan, np.empty(0), np.empty(0) if has_probabilities else None,
        scale if has_probabilities else "decision", "exact" if is_exact else "permutation",
    )  # fmt: skip


def _exact(request: _Request, form: LinearForm, table: np.ndarray, background: Any) -> _Parts:
    opened = request.opened
    around = None if background is None else opened.given(_background_of(request, background, draw=False))
    linear = linear_parts(form, opened.given(table), around, request.index)
    if linear is None:
        raise ValueError(
            "nothing in the model tells the mean of its training data, from which contributions are measured (a "
            f"StandardScaler, or a SimpleImputer with the mean, would): {_BACKGROUND}"
        )
    values = np.zeros((len(table), request.n_players))
    np.add.at(values.T, request.owner, linear.columns.T)
    total = values.sum(axis=1) + linear.baseline
    if not (np.isclose(total, linear.output, rtol=1e-6, atol=1e-6) | np.isnan(linear.output)).all():
        raise ValueError(
            f"the decision of {type(form.classifier).__name__} is not the sum that its coefficients make; use "
            "method='permutation'"
        )
    probabilities = request.probabilities(table)
    scale = "decision"
    if probabilities is not None and _are_log_odds(linear.output, probabilities, request.index):
        scale = "log_odds"
    if request.scale not in (None, scale):
        raise ValueError(f"{type(form.classifier).__name__} gives no log-odds; leave scale out to explain its decision")
    chosen = None if probabilities is None else probabilities[:, request.index]
    return _Parts(values, np.zeros_like(values), linear.baseline, linear.output, chosen, scale, "exact")


def _are_log_odds(output: np.ndarray, probabilities: np.ndarray, index: int) -> bool:
    """Whether decisions and probabilities of a classifier fit to each other."""
    if probabilities.shape[1] == 2:
        return bool(np.allclose(expit(output), probabilities[:, index], atol=1e-6))
    inside = probabilities.min(axis=1) > _LEAST
    return bool(np.allclose(_log_odds(probabilities, index)[inside], output[inside], rtol=1e-4, atol=1e-4))


def _log_odds(probabilities: np.ndarray, index: int) -> np.ndarray:
    return contrast(np.log(np.maximum(probabilities, _LEAST)), index)


def _by_permutation(request: _Request, table: np.ndarray, background: Any, is_linear: bool) -> _Parts:
    if background is None:
        raise ValueError(
            f"the contributions of this model, {_kind_of(request.tail)}, are measured against a background, and there "
            f"is none: {_BACKGROUND}"
        )
    around = _background_of(request, background, draw=True)
    function, scale = _function(request, table, is_linear)
    shares = shapley_values(
        function, table, around, request.owner, n_repeats=request.n_repeats, rng=request.rng
    )  # fmt: skip
    probabilities = request.probabilities(table)
    chosen = None if probabilities is None else probabilities[:, request.index]
    return _Parts(shares.values, shares.standard_error, shares.baseline, shares.output, chosen, scale, "permutation")


def _kind_of(model: Any) -> str:
    model = inner_model(model)
    return _kind_of(model.steps[-1][1]) if hasattr(model, "steps") else type(model).__name__


def _function(request: _Request, table: np.ndarray, is_linear: bool) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Choose what of the classifier is explained: a function of tables, and its scale."""
    index, tail, given = request.index, request.tail, request.opened.given
    has_decision = hasattr(tail, "decision_function")
    probabilities = request.probabilities(table)

    def decide(rows: np.ndarray) -> np.ndarray:
        return contrast(tail.decision_function(given(rows)), index)

    if probabilities is None:
        if request.scale is not None or not has_decision:
            raise ValueError(
                f"{_kind_of(tail)} gives no probabilities"
                + ("; leave scale out to explain its decision function" if has_decision else " to be explained")
                + ", or put it into a CalibratedClassifierCV"
            )
        return decide, "decision"
    scale = request.scale or ("log_odds" if is_linear else "probability")
    if scale == "probability":
        return (lambda rows: tail.predict_proba(given(rows))[:, index]), scale
    if has_decision and _are_log_odds(decide(table), probabilities, index):
        return decide, scale
    return (lambda rows: _log_odds(tail.predict_proba(given(rows)), index)), scale


# ---------------------------------------------------------------------- models that explain themselves


def _refuse_for_own(model: Any, background: Any, by: Any, method: str, scale: str | None) -> None:
    asked = {
        "background": background is not None,
        "by": by != "group",
        "method": method == "permutation",
        "scale": scale == "probability",
    }
    refused = [name for name, is_asked in asked.items() if is_asked]
    if refused:
        raise ValueError(
            f"{type(model).__name__} explains itself, by group, exactly and in log-odds; leave out {', '.join(refused)}"
        )


def _own_contributions(model: Any, X: Any, index: int) -> Contributions:
    """Ask a model itself: its contributions are to the log-odds of ``pos_label_``, or of its second class."""
    table, baseline, output = model._contributions(X)
    classes = np.asarray(model.classes_).tolist()
    own = getattr(model, "pos_label_", None)
    sign = 1.0 if index == (classes.index(own) if own in classes else 1) else -1.0
    output = sign * np.asarray(output, dtype=np.float64)
    parts = _Parts(
        sign * as_array(table), np.zeros(table.shape), sign * float(baseline), output, expit(output), "log_odds",
        "exact",
    )  # fmt: skip
    missing = np.flatnonzero(np.isnan(output) | np.isnan(parts.values).any(axis=1)).tolist()
    for values in (parts.values, parts.output, parts.probability):
        values[missing] = np.nan  # type: ignore[index]
    columns = [str(column) for column in table.columns]
    return _result(
        parts, np.arange(len(output)), _names_of(X), columns, classes[index], dict.fromkeys(missing, NOT_MEASURED)
    )


# ---------------------------------------------------------------------- the result


def _result(
    parts: _Parts, known: np.ndarray, names: pd.Index, columns: list[str], label: Any, errors: dict[int, str]
) -> Contributions:
    """Put the rows that are known into their places, and NaN into the others."""

    def placed(values: np.ndarray) -> np.ndarray:
        whole = np.full((len(names), *values.shape[1:]), np.nan)
        whole[known] = values
        return whole

    probability = parts.probability
    return Contributions(
        contributions=pd.DataFrame(placed(parts.values), index=names, columns=columns),
        baseline=parts.baseline,
        output=pd.Series(placed(parts.output), index=names, name="output"),
        probability=None if probability is None else pd.Series(placed(probability), index=names, name="probability"),
        scale=parts.scale,
        method=parts.method,
        pos_label=label,
        standard_error=pd.DataFrame(placed(parts.standard_error), index=names, columns=columns),
        errors=dict(sorted(errors.items())),
    )
