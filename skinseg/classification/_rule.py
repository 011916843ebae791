"""The ABCD rule of dermoscopy as a classifier on tables of features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    check_X_y,
    validate_data,
)

from ..base import SkinsegEstimator
from ..exceptions import SkinsegWarning, UnknownColumnsWarning
from ..rule import BENIGN_BELOW, COLUMNS, RANGES, WEIGHTS, total_dermoscopy_score, verdict_of

__all__ = ["ABCDRuleClassifier"]

_PARTS = tuple(WEIGHTS)
_READING: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
_ROUNDING = 1e-6  # what an imputer may add to a value at the end of its range
# next to no penalty: just enough that separable data have a finite solution
_C = 100.0
_SCALED = (
    "If the table was scaled, put the rule before the scaler, "
    "make_lesion_pipeline(...).set_params(scaler='passthrough')"
)
_EMPTY = (
    "A column of zeros is one without any value, filled by SimpleImputer(keep_empty_features=True): no lesion was "
    "large enough to have that part measured. Give larger images, or leave out the lesions whose part is NaN"
)
_NAME_THEM = (
    "name the columns of asymmetry, border, colors and structures, ABCDRuleClassifier(columns=[...]), by position or "
    f"by name; a table with the columns {list(COLUMNS.values())} needs no naming (for a pipeline of scikit-learn "
    "to hand names on, use set_output(transform='pandas'))"
)


class ABCDRuleClassifier(ClassifierMixin, SkinsegEstimator):
    """Classify lesions by the ABCD rule of dermoscopy.

    The total dermoscopy score of Stolz et al., TDS = 1.3 A + 0.1 B + 0.5 C +
    0.5 D, of the columns with asymmetry (A, 0 to 2), border (B, 0 to 8),
    number of colors (C, 1 to 6) and of differential structures (D, 1 to 5) of
    a table, such as that of `ABCDFeaturizer`. It goes from 1.0 to 8.9; a
    lesion at or above the threshold belongs to the class ``pos_label``. Values
    between whole numbers are allowed, such as means that an imputer has put
    in; values out of their range are refused.

    This is research software and no medical device: a score is no diagnosis.

    Parameters
    ----------
    columns : dict or sequence of four str or int, default=None
        Names or positions of the columns with A, B, C and D, in this order; or
        a dict with the keys ``"asymmetry"``, ``"border"``, ``"colors"`` and
        ``"structures"``. None takes the columns ``asymmetry_score``,
        ``border_score``, ``color_count`` and ``structure_count`` of a named
        table. A table without any of these names is taken for A, B, C and D if
        it has just four columns and all values are within the ranges of these;
        of any other it cannot be known where the parts are: a linear score is
        then learned from all its columns, as with ``recalibrate="weights"``
        but without NaN, and there is an `UnknownColumnsWarning`; negative
        values in four columns or more, the mark of a scaled table, are an
        error.
    threshold : float, default=4.75
        The score at and above which a lesion belongs to the class
        ``pos_label``; 5.45 for the class "highly suspicious" of the rule alone.
        Not used if it is learned.
    recalibrate : {"threshold", "weights"}, default=None
        What to learn by logistic regression: the threshold (the score at which
        both classes are as likely), or weights and threshold. None keeps the
        rule as it is. Rows with NaN are left out.
    class_weight : dict or "balanced", default=None
        Weights of the classes in what is learned, as in scikit-learn. Without
        recalibration there is nothing to weight, and a warning says so.
    pos_label : str, int or bool, default=None
        The class of the lesions with high scores; ``classes_[1]`` if None.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The classes, sorted.
    columns_ : dict of str to int
        Position of each part of the rule in the table; None where it is not
        known.
    coef_ : ndarray of shape (4,)
        Weights of A, B, C and D, learned or the rule's own. Where the columns
        are not known, one for each column of the table.
    threshold_ : float
        The threshold, learned or given.
    intercept_ : float
        Its negative, so that a lesion's distance from the threshold is
        ``coef_ @ parts + intercept_``.
    pos_label_ : scalar
        The class of the lesions with high scores.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if it has any.

    See Also
    --------
    skinseg.rule.total_dermoscopy_score : The score as a function.
    skinseg.ABCDFeaturizer : Measures the parts.

    Notes
    -----
    ``sample_weight`` has no influence without recalibration, either.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527.

    F. Nachbar et al., "The ABCD rule of dermatoscopy: high prospective value
    in the diagnosis of doubtful melanocytic skin lesions", Journal of the
    American Academy of Dermatology 30 (1994) 551-559.

    Examples
    --------
    >>> import pandas as pd
    >>> from skinseg import ABCDRuleClassifier
    >>> table = pd.DataFrame({
    ...     "asymmetry_score": [0, 1, 2],
    ...     "border_score": [0, 4, 5],
    ...     "color_count": [2, 3, 4],
    ...     "structure_count": [2, 3, 3],
    ... })
    >>> rule = ABCDRuleClassifier(pos_label="melanoma").fit(table, ["nevus", "nevus", "melanoma"])
    >>> rule.predict(table).tolist()
    ['nevus', 'nevus', 'melanoma']
    >>> rule.score_samples(table).tolist()
    [2.0, 4.7, 6.6]
    >>> rule.verdict(table).tolist()
    ['benign', 'benign', 'highly suspicious']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "columns": ["array-like", dict, None],
        "threshold": [Interval(Real, None, None, closed="neither")],
        "recalibrate": [StrOptions({"threshold", "weights"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "pos_label": [Real, str, "boolean", None],
    }

    def __init__(
        self,
        columns: Mapping[str, str | int] | Sequence[str | int] | None = None,
        *,
        threshold: float = BENIGN_BELOW,
        recalibrate: str | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        pos_label: Any = None,
    ) -> None:
        self.columns = columns
        self.threshold = threshold
        self.recalibrate = recalibrate
        self.class_weight = class_weight
        self.pos_label = pos_label

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = False  # predict refuses it, and so does fit where the columns are not known
        tags.input_tags.positive_only = True
        return tags

    # ------------------------------------------------------------------ fit

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the columns of the rule and the two classes, and recalibrate the rule if asked to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Table of features, not scaled; NaN where a feature is not measured.
        y : array-like of shape (n_samples,)
            Labels of two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in what is learned.

        Returns
        -------
        self : object
            The fitted classifier.
        """
        self._validate_params()
        table = self._whole_table(X, reset=True)
        positions = self._positions_by_name()
        if positions is not None:
            table = _safe_indexing(table, positions, axis=1)
        table, y = check_X_y(table, y, **_READING, estimator=self)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, table, dtype=np.float64)
        self._set_classes(y)
        if positions is None:
            positions = self._positions_by_value(table)
        self.columns_ = None if positions is None else dict(zip(_PARTS, positions, strict=True))
        if self.columns_ is not None:
            self._check_ranges(table)
        self._set_score(table, y, weights)
        self.intercept_ = -self.threshold_
        return self

    def _whole_table(self, X: Any, reset: bool) -> Any:
        """Check names and number of columns; a frame keeps its other columns, which need not be numbers."""
        if hasattr(X, "columns"):
            return validate_data(self, X, reset=reset, skip_check_array=True)
        return validate_data(self, X, reset=reset, **_READING)

    def _set_classes(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"ABCDRuleClassifier needs two classes in y, got only one class: {self.classes_.tolist()[0]!r}"
            )
        if self.pos_label is not None and self.pos_label not in self.classes_.tolist():
            raise ValueError(f"pos_label={self.pos_label!r} is not among the classes of y, {self.classes_.tolist()}")
        self.pos_label_ = self.classes_.tolist()[1] if self.pos_label is None else self.pos_label

    # ------------------------------------------------------------------ columns

    def _positions_by_name(self) -> list[int] | None:
        """Find the four columns where they are named or numbered; None where only the values can tell."""
        names = list(getattr(self, "feature_names_in_", ()))
        if self.columns is None:
            missing = [column for column in COLUMNS.values() if column not in names]
            if len(missing) == len(_PARTS):
                return None
            if missing:
                raise ValueError(
                    f"The table given to ABCDRuleClassifier lacks the columns {missing}. Measure all of asymmetry, "
                    f"border, color and structure, ABCDFeaturizer(groups=[...]), or {_NAME_THEM}"
                )
            wanted: list[Any] = list(COLUMNS.values())
        elif isinstance(self.columns, Mapping):
            if set(self.columns) != set(_PARTS):
                raise ValueError(
                    f"columns of ABCDRuleClassifier must have the keys {list(_PARTS)}, got {list(self.columns)}"
                )
            wanted = [self.columns[part] for part in _PARTS]
        else:
            wanted = list(self.columns)
            if len(wanted) != len(_PARTS):
                raise ValueError(
                    f"columns of ABCDRuleClassifier must be four, of {', '.join(_PARTS)}, got {len(wanted)}: {wanted}"
                )
        positions = [self._position(column, names) for column in wanted]
        if len(set(positions)) < len(_PARTS):
            raise ValueError(f"columns of ABCDRuleClassifier must be four different ones, got {wanted}")
        return positions

    def _position(self, column: Any, names: list[str]) -> int:
        if isinstance(column, str):
            if not names:
                raise ValueError(
                    f"columns of ABCDRuleClassifier names the column {column!r}, but the table has no column names: "
                    "give a DataFrame (in a pipeline: set_output(transform='pandas')), or positions instead of names"
                )
            if names.count(column) != 1:
                found = "has no column" if column not in names else "has more than one column"
                raise ValueError(f"The table given to ABCDRuleClassifier {found} {column!r}; its columns are {names}")
            return names.index(column)
        if not isinstance(column, Integral) or isinstance(column, (bool, np.bool_)):
            raise ValueError(f"columns of ABCDRuleClassifier must be names or positions, got {column!r}")
        if not -self.n_features_in_ <= column < self.n_features_in_:
            raise ValueError(
                f"columns of ABCDRuleClassifier names the position {column}, but the table has {self.n_features_in_} "
                f"columns, 0 to {self.n_features_in_ - 1}"
            )
        return int(column) % self.n_features_in_

    def _positions_by_value(self, table: np.ndarray) -> list[int] | None:
        """Take four columns whose values fit for the parts; warn that all columns will do in place of others."""
        n_columns = table.shape[1]
        if n_columns == len(_PARTS) and not _out_of_range(table).any():
            return list(range(n_columns))
        # fewer columns cannot be, or hold, the four parts, so that there is no scaling to be found out
        if n_columns >= len(_PARTS) and (table < 0).any():
            raise ValueError(
                "Negative values in data passed to ABCDRuleClassifier, and it does not know which columns to take. "
                f"The parts of the rule are never negative. {_SCALED}. If other columns are negative, {_NAME_THEM}"
            )
        _refuse_nan(table)
        warnings.warn(
            f"ABCDRuleClassifier cannot know which of the {n_columns} columns are the parts of the rule: it learns a "
            f"linear score from all of them, which is not the total dermoscopy score. To have the rule, {_NAME_THEM}",
            UnknownColumnsWarning,
            stacklevel=3,
        )
        return None

    def _check_ranges(self, parts: np.ndarray) -> None:
        bad = np.argwhere(_out_of_range(parts))
        if not len(bad):
            return
        row, number = bad[0]
        part = _PARTS[number]
        position = self.columns_[part]  # type: ignore[index]
        names = getattr(self, "feature_names_in_", None)
        column = position if names is None else repr(str(names[position]))
        low, high = RANGES[part]
        empty = low > 0 and not parts[:, number].any()
        opening = "Negative values in data" if (parts < 0).any() else "Values out of range in data"
        raise ValueError(
            f"{opening} passed to ABCDRuleClassifier: column {column} has {parts[row, number]:g} in row {row}, but "
            f"{part} go from {low} to {high}"
            + (f" ({len(bad)} such values)" if len(bad) > 1 else "")
            + f". {_EMPTY if empty else _SCALED}"
        )

    # ------------------------------------------------------------------ what is learned

    def _set_score(self, table: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Set weights and threshold."""
        if self.columns_ is None or self.recalibrate == "weights":
            self.coef_, self.threshold_ = self._learn(table, y, sample_weight)
            return
        self.coef_ = np.array([WEIGHTS[part] for part in _PARTS])
        if self.recalibrate is None:
            if self.class_weight is not None:
                warnings.warn(
                    "class_weight of ABCDRuleClassifier has no effect on the rule as it is: there is nothing to "
                    'learn; set recalibrate="threshold" or "weights"',
                    SkinsegWarning,
                    stacklevel=3,
                )
            self.threshold_ = float(self.threshold)
            return
        slope, level = self._learn(total_dermoscopy_score(*table.T)[:, None], y, sample_weight)
        if slope[0] <= 0:
            raise ValueError(
                "The threshold of ABCDRuleClassifier cannot be recalibrated: the total dermoscopy score is not higher "
                f"in the class {self.pos_label_!r} than in the other; see whether this is the right pos_label"
            )
        self.threshold_ = level / float(slope[0])

    def _learn(self, table: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Learn the weights of columns, in their own units, and the threshold of the score."""
        weights = np.ones(len(table)) if sample_weight is None else sample_weight
        used = ~np.isnan(table).any(axis=1) & (weights != 0)
        table, y, weights = table[used], y[used], weights[used]
        if len(np.unique(y)) < 2:
            raise ValueError(
                f"ABCDRuleClassifier has rows of {'only one class' if len(y) else 'neither class'} to learn from: rows "
                "with NaN (impute them) and rows of weight zero are left out"
            )
        if (table == table[0]).all():
            raise ValueError("ABCDRuleClassifier has nothing to learn from: all rows are the same")
        scaler = StandardScaler().fit(table, sample_weight=weights)
        regression = LogisticRegression(
            C=_C, class_weight=self.class_weight, solver="newton-cholesky", tol=1e-10, max_iter=1000
        ).fit(scaler.transform(table), y, sample_weight=weights)
        sign = 1 if self.pos_label_ == self.classes_[1] else -1
        coef = sign * regression.coef_[0] / scaler.scale_
        return coef, float(coef @ scaler.mean_ - sign * regression.intercept_[0])

    # ------------------------------------------------------------------ use

    def _parts(self, X: Any) -> np.ndarray:
        """Read the columns that the score is made of."""
        check_is_fitted(self)
        table = self._whole_table(X, reset=False)
        if self.columns_ is not None:
            table = _safe_indexing(table, list(self.columns_.values()), axis=1)
        table = check_array(table, **_READING, estimator=self)
        if self.columns_ is not None:
            self._check_ranges(table)
        else:
            _refuse_nan(table)
        return table

    def score_samples(self, X: Any) -> np.ndarray:
        """Get the total dermoscopy score.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Table of features, not scaled.

        Returns
        -------
        ndarray of shape (n_samples,)
            The score, 1.0 to 8.9; NaN where a part is NaN. If weights were
            learned it is the score with these, ``coef_ @ parts``, which has a
            scale of its own.
        """
        parts = self._parts(X)
        if self.columns_ is None or self.recalibrate == "weights":
            scores: np.ndarray = parts @ self.coef_
            return scores
        return total_dermoscopy_score(*parts.T)

    def decision_function(self, X: Any) -> np.ndarray:
        """Get the distance of the score from the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Table of features, not scaled.

        Returns
        -------
        ndarray of shape (n_samples,)
            Score minus ``threshold_``, above zero on the side of
            ``classes_[1]`` (so its negative if ``pos_label`` is
            ``classes_[0]``); NaN where a part is NaN.
        """
        distance = self.score_samples(X) - self.threshold_
        return distance if self.pos_label_ == self.classes_[1] else -distance

    def predict(self, X: Any) -> np.ndarray:
        """Tell the class: ``pos_label`` where the score is at or above the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Table of features, not scaled.

        Returns
        -------
        ndarray of shape (n_samples,)
            The classes.

        Raises
        ------
        ValueError
            If a score is NaN, since a part of it was not measured: there is no
            guessing.
        """
        score = self.score_samples(X)
        unknown = np.flatnonzero(np.isnan(score))
        if len(unknown):
            rows = ", ".join(map(str, unknown[:20])) + (", ..." if len(unknown) > 20 else "")
            raise ValueError(
                f"ABCDRuleClassifier cannot classify {len(unknown)} of {len(score)} rows, in which a part of the score "
                f"is NaN: rows {rows}. Leave them out, or put a SimpleImputer before the rule; score_samples and "
                "verdict tell the others apart"
            )
        positive = int(self.pos_label_ == self.classes_[1])
        classes: np.ndarray = self.classes_[np.where(score >= self.threshold_, positive, 1 - positive)]
        return classes

    def verdict(self, X: Any) -> np.ndarray:
        """Tell what the rule says, by its own weights and thresholds whatever was learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Table of features, not scaled.

        Returns
        -------
        ndarray of shape (n_samples,), str
            ``"benign"`` for a total dermoscopy score below 4.75,
            ``"suspicious"`` from 4.75 to 5.45, ``"highly suspicious"`` above,
            ``"not measured"`` where it is NaN.
        """
        parts = self._parts(X)
        if self.columns_ is None:
            raise ValueError(
                "ABCDRuleClassifier does not know the columns of the rule and learned a score of its own, which has "
                f"no verdict. To have the rule, {_NAME_THEM}"
            )
        return verdict_of(total_dermoscopy_score(*parts.T))


def _refuse_nan(table: np.ndarray) -> None:
    if np.isnan(table).any():
        raise ValueError(
            "Input X contains NaN, and ABCDRuleClassifier does not know which columns to take. A linear score of all "
            f"columns needs them complete (put a SimpleImputer before it). To have the rule, {_NAME_THEM}"
        )


def _out_of_range(parts: np.ndarray) -> np.ndarray:
    """Mark the values that A, B, C and D, in this order, cannot have; NaN is none of them."""
    low, high = np.array([RANGES[part] for part in _PARTS]).T
    outside: np.ndarray = (parts < low - _ROUNDING) | (parts > high + _ROUNDING)
    return outside
