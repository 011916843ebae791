"""Scores of classifiers against values derived by hand and against second implementations."""

import copy
import math
import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.svm import SVC

import skinseg
from skinseg import metrics
from skinseg.metrics import (
    expected_calibration_error,
    get_classification_scorer,
    partial_auc_score,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

SCORES = [partial_auc_score, sensitivity_at_specificity, specificity_at_sensitivity, expected_calibration_error]
SCORERS = [
    "neg_expected_calibration_error",
    "partial_auc",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
]
each_score = pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
each_scorer = pytest.mark.parametrize("name", SCORERS)

# points of the ROC curve, (1 - specificity, sensitivity): (0, 0) (0, 1/2) (1/4, 1/2) (1/4, 1) ... (1, 1)
TRUE, SCORE = [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.5, 0.9]
# with a tie of both classes: (0, 0) (0, 1/2) (1/2, 1) (1, 1), where the slope crosses 0.8 at 0.3
TIED_TRUE, TIED_SCORE = [0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9]


def samples(seed):
    """Labels, scores in [0, 1] with ties in two cases of three, and small whole weights."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 80))
    y = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    score = np.clip(0.3 * y + 0.7 * rng.random(n), 0, 1)
    return y, score if seed % 3 == 0 else score.round(1 + seed % 3), rng.integers(1, 5, n), rng


def curve(y, score, weight):
    """Points of the ROC curve, a threshold at a time."""
    for threshold in [np.inf, *sorted(set(score.tolist()), reverse=True)]:
        called = score >= threshold
        yield (
            weight[called & (y == 0)].sum() / weight[y == 0].sum(),
            weight[called & (y == 1)].sum() / weight[y == 1].sum(),
        )


@pytest.mark.parametrize(
    ("y_true", "y_score", "minimum", "area"),
    [
        (TRUE, SCORE, 0.8, 3 / 4 * 0.2),
        (TRUE, SCORE, 0.5, 3 / 4 * 0.5),
        (TRUE, SCORE, 0.25, 3 / 4 * 0.5 + 0.25),
        (TRUE, SCORE, 0, 7 / 8),
        (TIED_TRUE, TIED_SCORE, 0.8, 0.2 * 0.2 / 2 + 0.5 * 0.2),
        (TIED_TRUE, TIED_SCORE, 0, 7 / 8),
        ([0, 1], [0, 1], 0.8, 0.2),
        ([0, 1], [1, 0], 0.8, 0),
        ([0, 1], [3, 3], 0.8, 0.02),
        ([0, 0, 1, 1, 1], [7, 7, 7, 7, 7], 0, 0.5),
    ],
)
def test_partial_area_by_hand(y_true, y_score, minimum, area):
    assert partial_auc_score(y_true, y_score, min_sensitivity=minimum) == pytest.approx(area, abs=1e-15)
    normalized = partial_auc_score(y_true, y_score, min_sensitivity=minimum, normalize=True)
    assert normalized == pytest.approx(area / (1 - minimum), abs=1e-15)


def test_partial_area_of_a_random_ranking():
    """Of the k-th positive among p in the order of scores, k / (p + 1) of the negatives are expected before it."""
    p, k = 20, np.arange(17, 21)
    expected = np.sum(1 - k / (p + 1)) / p
    rng = np.random.default_rng(0)
    areas = [partial_auc_score(rng.permutation(100) < p, rng.random(100)) for _ in range(400)]
    error = np.std(areas) / 400**0.5
    assert np.mean(areas) == pytest.approx(expected, abs=3 * error)
    assert error < 0.0015
    # of many positives it is 0.02
    assert partial_auc_score(rng.random(100_000) < 0.2, rng.random(100_000)) == pytest.approx(0.02, abs=0.001)


@pytest.mark.parametrize("seed", range(40))
def test_partial_area_against_scikit_learn_and_integration(seed):
    y, score, weight, rng = samples(seed)
    minimum = rng.uniform(0.05, 0.95)
    area = partial_auc_score(y, score, min_sensitivity=minimum, sample_weight=weight)
    # the code of the challenge: classes swapped, scores negated, the correction of McClish undone
    limit = 1 - minimum
    corrected = roc_auc_score(1 - y, -score, max_fpr=limit, sample_weight=weight)
    assert area == pytest.approx(limit**2 / 2 + (2 * corrected - 1) * (limit - limit**2 / 2), abs=1e-12)
    # the definition: each piece of the curve in small steps
    steps = (np.arange(4000) + 0.5) / 4000
    points = list(curve(y, score, weight))
    pieces = [
        (x1 - x0) * np.maximum(y0 + steps * (y1 - y0) - minimum, 0).mean() for (x0, y0), (x1, y1) in pairwise(points)
    ]
    assert area == pytest.approx(sum(pieces), abs=1e-6)
    assert 0 <= area <= limit


@pytest.mark.parametrize("seed", range(10))
def test_from_sensitivity_0_on_it_is_the_area_under_the_curve(seed):
    y, score, weight, _ = samples(seed)
    expected = roc_auc_score(y, score, sample_weight=weight)
    assert partial_auc_score(y, score, min_sensitivity=0, sample_weight=weight) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("score", "y_true", "y_score", "wanted", "reached"),
    [
        (sensitivity_at_specificity, TRUE, SCORE, 0.76, 1 / 2),
        (sensitivity_at_specificity, TRUE, SCORE, 0.75, 1),
        (sensitivity_at_specificity, TRUE, SCORE, 1, 1 / 2),
        (sensitivity_at_specificity, TRUE, SCORE, 0, 1),
        (sensitivity_at_specificity, TIED_TRUE, TIED_SCORE, 0.6, 1 / 2),  # 0.9 with interpolation
        (sensitivity_at_specificity, [0, 1], [1, 0], 0.5, 0),
        (specificity_at_sensitivity, TRUE, SCORE, 0.5, 1),
        (specificity_at_sensitivity, TRUE, SCORE, 0.51, 3 / 4),
        (specificity_at_sensitivity, TRUE, SCORE, 1, 3 / 4),
        (specificity_at_sensitivity, TRUE, SCORE, 0, 1),
        (specificity_at_sensitivity, TIED_TRUE, TIED_SCORE, 0.6, 1 / 2),  # 0.9 with interpolation
        (specificity_at_sensitivity, [0, 1], [1, 0], 0.5, 0),
    ],
)
def test_points_of_the_curve_by_hand(score, y_true, y_score, wanted, reached):
    assert score(y_true, y_score, wanted) == reached


@pytest.mark.parametrize("weight", [None, np.full(150, 0.1)], ids=["counts", "weights"])
def test_a_rate_met_exactly_is_met(weight):
    """41 of 50 are 0.82 and 7 of 100 are 0.07, whatever sums and products of floating point make of it."""
    y = np.repeat([1, 0], [50, 100])
    score = np.repeat([1, -1, 0], [41, 9, 100])
    assert specificity_at_sensitivity(y, score, 0.82, sample_weight=weight) == 1
    assert specificity_at_sensitivity(y, score, 0.8201, sample_weight=weight) == 0
    score = np.repeat([1, 0, 2], [50, 7, 93])
    assert sensitivity_at_specificity(y, score, 0.07, sample_weight=weight) == 1
    assert sensitivity_at_specificity(y, score, 0.0701, sample_weight=weight) == 0


@pytest.mark.parametrize("seed", range(40))
def test_points_of_the_curve_against_a_loop(seed):
    y, score, weight, rng = samples(seed)
    wanted = rng.choice([rng.random(), rng.integers(0, 11) / 10])
    points = list(curve(y, score, weight))
    best = max(true for false, true in points if 1 - false >= wanted - 1e-9)
    assert sensitivity_at_specificity(y, score, wanted, sample_weight=weight) == pytest.approx(best, abs=1e-12)
    best = max(1 - false for false, true in points if true >= wanted - 1e-9)
    assert specificity_at_sensitivity(y, score, wanted, sample_weight=weight) == pytest.approx(best, abs=1e-12)


def test_the_defaults_are_those_of_the_signature():
    y, score, _, _ = samples(7)
    assert sensitivity_at_specificity(y, score) == sensitivity_at_specificity(y, score, specificity=0.9)
    assert specificity_at_sensitivity(y, score) == specificity_at_sensitivity(y, score, sensitivity=0.82)
    assert partial_auc_score(y, score) == partial_auc_score(y, score, min_sensitivity=0.8)
    quantiles = expected_calibration_error(y, score, n_bins=10, strategy="quantile")
    assert expected_calibration_error(y, score) == quantiles != expected_calibration_error(y, score, strategy="uniform")


ECE_TRUE, ECE_PROB = [0, 0, 1, 0, 1, 1], [0.0, 0.1, 0.2, 0.6, 0.8, 1.0]


@pytest.mark.parametrize(
    ("y_true", "y_prob", "arguments", "error"),
    [
        # 0.1 against 1/3 and 0.8 against 2/3
        (ECE_TRUE, ECE_PROB, {"n_bins": 2}, (7 / 30 + 4 / 30) / 2),
        # two by two: 0.05 against 0, 0.4 against 1/2, 0.9 against 1
        (ECE_TRUE, ECE_PROB, {"n_bins": 3}, (0.05 + 0.1 + 0.1) / 3),
        # up to 1/4, to 1/2, to 3/4, to 1: three, none, one, two samples
        (ECE_TRUE, ECE_PROB, {"n_bins": 4, "strategy": "uniform"}, (3 * 7 / 30 + 0.6 + 2 * 0.1) / 6),
        (ECE_TRUE, ECE_PROB, {"n_bins": 1}, 0.05),
        (ECE_TRUE, ECE_PROB, {"n_bins": 1, "strategy": "uniform"}, 0.05),
        # the four of 0.5 stay together; their middle, 3 of 6, lies on the cut and they go to the lower bin
        ([0, 1, 0, 1, 1, 1], [0.1, 0.5, 0.5, 0.5, 0.5, 1], {"n_bins": 2}, (5 * abs(2.1 / 5 - 3 / 5) + 0) / 6),
        # 1/4 belongs to the lower bin, with 0
        ([0, 0, 1], [0, 0.25, 0.75], {"n_bins": 4, "strategy": "uniform"}, (2 * 0.125 + 0.25) / 3),
        ([0, 1], [0, 1], {}, 0),
        ([0, 1], [1, 0], {}, 1),
        ([0, 0, 0, 1], [0.25] * 4, {}, 0),
    ],
)
def test_calibration_error_by_hand(y_true, y_prob, arguments, error):
    assert expected_calibration_error(y_true, y_prob, **arguments) == pytest.approx(error, abs=1e-15)


@pytest.mark.parametrize("seed", range(30))
def test_calibration_error_in_bins_of_equal_width_against_scikit_learn(seed):
    y, prob, _, rng = samples(seed)
    n_bins = int(rng.integers(1, 15))
    observed, predicted = calibration_curve(y, prob, n_bins=n_bins)
    edges = np.linspace(0, 1, n_bins + 1)
    counts = [((prob > low) & (prob <= high)).sum() for low, high in pairwise(edges)]
    counts[0] += (prob == 0).sum()
    expected = np.average(np.abs(observed - predicted), weights=[count for count in counts if count])
    error = expected_calibration_error(y, prob, n_bins=n_bins, strategy="uniform")
    assert error == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_calibration_error_in_bins_of_equal_mass_against_fractions(seed):
    y, prob, weight, rng = samples(seed)
    n_bins = int(rng.integers(1, 15))
    total, below, gaps = int(weight.sum()), 0, [0.0] * n_bins
    for value in sorted(set(prob.tolist())):
        here = prob == value
        middle = Fraction(2 * below + int(weight[here].sum()), 2 * total)
        gaps[math.ceil(middle * n_bins) - 1] += float((weight[here] * (value - y[here])).sum())
        below += int(weight[here].sum())
    error = expected_calibration_error(y, prob, n_bins=n_bins, sample_weight=weight)
    assert error == pytest.approx(sum(map(abs, gaps)) / total, abs=1e-12)


def test_without_ties_the_bins_of_equal_mass_are_of_equal_size():
    rng = np.random.default_rng(0)
    prob = rng.permutation(60) / 60
    y = rng.random(60) < prob**2
    for n_bins in (2, 3, 5, 10, 60):
        parts = np.array_split(np.argsort(prob), n_bins)
        expected = np.mean([abs(prob[part].mean() - y[part].mean()) for part in parts])
        assert expected_calibration_error(y, prob, n_bins=n_bins) == pytest.approx(expected, abs=1e-12)


@each_score
@pytest.mark.parametrize("seed", range(12))
def test_weights_are_repetition(score, seed):
    y, values, weight, rng = samples(seed)
    repeated = score(np.repeat(y, weight), np.repeat(values, weight))
    assert score(y, values, sample_weight=weight) == pytest.approx(repeated, abs=1e-12)
    assert score(y, values, sample_weight=weight * 0.1) == pytest.approx(repeated, abs=1e-12)
    assert score(y, values, sample_weight=np.ones(len(y))) == score(y, values)
    order = rng.permutation(len(y))
    assert score(y[order], values[order], sample_weight=weight[order]) == pytest.approx(repeated, abs=1e-12)
    # weight 0 is not there
    more = score(np.r_[y, 1, 0], np.r_[values, 0.05, 0.95], sample_weight=np.r_[weight, 0, 0])
    assert more == pytest.approx(repeated, abs=1e-12)


@pytest.mark.parametrize("score", SCORES[:3], ids=lambda score: score.__name__)
def test_only_the_order_counts_for_the_ranking(score):
    y, values, _, _ = samples(2)
    assert score(y, values) == score(y, np.exp(5 * values)) == score(y, np.round(1000 * values).astype(int))


@each_score
def test_kinds_of_labels(score):
    y, values, _, _ = samples(3)
    expected = score(y, values)
    names = np.where(y == 1, "melanoma", "nevus")
    for labels in (y == 1, 2 * y - 1, y.astype(float), y.tolist(), y[:, None], y.astype(bool).astype(object)):
        assert score(labels, values) == expected
    for labels in (pd.Series(y == 1, dtype="boolean"), pd.Series(y, dtype="Int64"), pd.Series(y)):
        assert score(labels, values) == expected
    for labels in (names, names.tolist(), names.astype(object), pd.Series(names), pd.Series(names, dtype="category")):
        assert score(labels, pd.Series(values), pos_label="melanoma") == expected
    assert score(names, 1 - values, pos_label="nevus") == score(1 - y, 1 - values)
    # of three classes, one against the rest
    three = np.where(y == 1, "melanoma", np.where(np.arange(len(y)) % 2, "nevus", "keratosis"))
    assert len(set(three)) == 3
    assert score(three, values, pos_label="melanoma") == expected


@each_score
@pytest.mark.parametrize(
    ("y_true", "y_score", "arguments", "words"),
    [
        (["a", "b"], [0, 1], {}, r"the classes 'a', 'b', and .* pass pos_label, such as pos_label='b'"),
        ([1, 2], [0, 1], {}, r"the classes 1, 2, and .* pos_label=2"),
        ([0, 1, 2], [0, 1, 1], {}, r"the classes 0, 1, 2, and"),
        (np.arange(40) / 40, np.arange(40) % 2, {}, r"0\.0, 0\.025, .*, 0\.225, \.\.\., and which"),
        (["a", "b"], [0, 1], {"pos_label": "c"}, r"pos_label='c' is none of the classes of y_true, 'a', 'b'"),
        ([0, 1], [0, 1], {"pos_label": "1"}, r"pos_label='1' is none of the classes of y_true, 0, 1"),
        ([1, 1], [0, 1], {}, "one class only, 1, .*StratifiedGroupKFold"),
        (["a", "a"], [0, 1], {"pos_label": "a"}, "one class only, 'a'"),
        (["a", None], [0, 1], {"pos_label": "a"}, r"no label for 1 samples, at 1; leave"),
        ([0, 1, np.nan], [0, 1, 1], {}, r"no label for 1 samples, at 2"),
        (np.array(["a", 1], object), [0, 1], {"pos_label": "a"}, "mixes labels of different kinds"),
        ([0, 1, 1], [0, np.nan, np.inf], {}, r"y_(score|prob) is NaN or infinite for 2 samples, at 1, 2; give"),
        ([0, 1], [0, 1, 1], {}, r"2 labels and y_(score|prob) 3 values; give one for each"),
        ([], [], {}, "are empty"),
        ([0, 1], [[0, 1], [1, 0]], {}, r"y_(score|prob) .* shape \(2, 2\).*predict_proba\(X\)\[:, 1\]"),
        ([[0, 1], [1, 0]], [0, 1], {}, r"y_true .* shape \(2, 2\)"),
        ([0, 1], ["a", "b"], {}, r"y_(score|prob) must hold one number for each sample: .*'a'"),
        ([0, 1], [0, 1], {"sample_weight": [1]}, r"sample_weight.shape == \(1,\), expected \(2,\)"),
        ([0, 1, 1], [0, 1, 1], {"sample_weight": [1, 3, -1]}, "(?i)negative.*sample_weight"),
        ([0, 1], [0, 1], {"sample_weight": [1, np.nan]}, "sample_weight contains NaN"),
        ([0, 1], [0, 1], {"sample_weight": [1, 0]}, "0 for all samples of a class"),
        ([0, 1], [0, 1], {"pos_label": [1]}, "'pos_label' parameter of"),
        ([0, 1], 0.5, {}, r"'y_(score|prob)' parameter of"),
    ],
)
def test_bad_input(score, y_true, y_score, arguments, words):
    with pytest.raises(ValueError, match=words):
        score(y_true, y_score, **arguments)


@pytest.mark.parametrize(
    ("score", "arguments"),
    [
        (partial_auc_score, {"min_sensitivity": 1}),
        (partial_auc_score, {"min_sensitivity": -0.1}),
        (partial_auc_score, {"normalize": "yes"}),
        (sensitivity_at_specificity, {"specificity": 90}),
        (specificity_at_sensitivity, {"sensitivity": -0.1}),
        (specificity_at_sensitivity, {"sensitivity": None}),
        (expected_calibration_error, {"n_bins": 0}),
        (expected_calibration_error, {"n_bins": 2.5}),
        (expected_calibration_error, {"strategy": "equal"}),
    ],
)
def test_arguments_out_of_range(score, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=rf"'{name}' parameter of {score.__name__} must be"):
        score(TRUE, SCORE, **arguments)


@pytest.mark.parametrize(("bad", "words"), [(-0.25, "-0.25"), (1.5, "1.5")])
def test_probabilities_outside_of_0_to_1(bad, words):
    with pytest.raises(ValueError, match=rf"outside of \[0, 1\] for 1 samples, at 2, the first with {words}; .*Calib"):
        expected_calibration_error([0, 1, 1], [0.5, 0.5, bad])


@pytest.fixture(scope="module")
def table():
    """Rows, and classes as names of which the positive one comes first in the alphabet."""
    X, y = make_classification(120, 6, weights=[0.7], class_sep=0.6, flip_y=0.1, random_state=0)
    return X, np.where(y == 1, "melanoma", "nevus")


def direct(name, y, response, **arguments):
    score = getattr(metrics, {"partial_auc": "partial_auc_score"}.get(name, name.removeprefix("neg_")))
    return (-1 if name.startswith("neg_") else 1) * score(y, response, **arguments)


@each_scorer
def test_scorers_with_names_of_classes(table, name):
    X, y = table
    cv = StratifiedKFold(3)
    scorer = get_classification_scorer(name, pos_label="melanoma")
    expected = []
    for train, test in cv.split(X, y):
        prob = LogisticRegression().fit(X[train], y[train]).predict_proba(X[test])
        expected.append(direct(name, y[test], prob[:, 0], pos_label="melanoma"))
    scores = cross_val_score(LogisticRegression(), X, y, cv=cv, scoring=scorer, error_score="raise")
    np.testing.assert_array_equal(scores, expected)
    assert np.ptp(expected) > 0
    with pytest.raises(ValueError, match=r"'melanoma', 'nevus', and .* get_classification_scorer"):
        cross_val_score(LogisticRegression(), X, y, scoring=get_classification_scorer(name), error_score="raise")
    with pytest.raises(ValueError, match=r"(?s)pos_label=mole.*'melanoma'"):
        get_classification_scorer(name, pos_label="mole")(LogisticRegression().fit(X, y), X, y)


@each_scorer
def test_scorers_without_predict_proba(table, name):
    X, y = table
    scorer, classifier = get_classification_scorer(name, pos_label="melanoma"), SVC().fit(X, y)
    if name.startswith("neg_"):
        with pytest.raises(AttributeError, match="predict_proba"):
            scorer(classifier, X, y)
    else:
        # the decision of SVC is for the second class, nevus
        expected = direct(name, y, -classifier.decision_function(X), pos_label="melanoma")
        assert scorer(classifier, X, y) == expected > 0


def test_scorers_of_more_than_two_classes_say_what_to_do(table):
    X, y = table
    y = np.where(np.arange(len(y)) % 3, y, "keratosis")
    scorer = get_classification_scorer("partial_auc", pos_label="melanoma")
    with pytest.raises(ValueError, match=r"shape \(120, 3\).*the column of the positive one"):
        scorer(LogisticRegression().fit(X, y), X, y)


@each_scorer
def test_a_fold_of_one_class_is_told(table, name):
    X, y = table
    scorer = get_classification_scorer(name, pos_label="melanoma")
    fitted = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="one class only, 'nevus'"):
        scorer(fitted, X[y == "nevus"], y[y == "nevus"])


def test_arguments_of_scorers_are_checked_at_once():
    with pytest.raises(ValueError, match=r"name must be one of .*'neg_expected_calibration_error'"):
        get_classification_scorer("expected_calibration_error")
    with pytest.raises(TypeError, match=r"partial_auc has no argument sensitivity; .*min_sensitivity, normalize"):
        get_classification_scorer("partial_auc", sensitivity=0.9)
    with pytest.raises(TypeError, match="no argument sample_weight"):
        get_classification_scorer("partial_auc", sample_weight=[1, 2])
    with pytest.raises(ValueError, match="'specificity' parameter of sensitivity_at_specificity must be"):
        get_classification_scorer("sensitivity_at_specificity", specificity=90)
    scorer = get_classification_scorer("specificity_at_sensitivity", pos_label="melanoma", sensitivity=0.9)
    assert "specificity_at_sensitivity" in repr(scorer)
    assert "sensitivity=0.9" in repr(scorer)


def test_grid_search_in_two_processes(table):
    X, y = table
    cv = StratifiedKFold(3)
    scoring = {name: get_classification_scorer(name, pos_label="melanoma") for name in SCORERS}
    search = GridSearchCV(
        LogisticRegression(), {"C": [0.001, 10]}, cv=cv, scoring=scoring, refit="partial_auc", n_jobs=2
    ).fit(X, y)
    for name, scorer in scoring.items():
        for index, C in enumerate([0.001, 10]):
            alone = cross_val_score(LogisticRegression(C=C), X, y, cv=cv, scoring=scorer)
            assert search.cv_results_[f"mean_test_{name}"][index] == pytest.approx(alone.mean(), abs=1e-9)
    assert search.best_index_ == np.argmax(search.cv_results_["mean_test_partial_auc"])


@each_scorer
def test_weights_with_and_without_routing(table, name):
    X, y = table
    weight = np.where(np.arange(len(y)) % 4, 1.0, 5.0)
    fitted = LogisticRegression().fit(X, y)
    weighted = direct(name, y, fitted.predict_proba(X)[:, 0], pos_label="melanoma", sample_weight=weight)
    scorer = get_classification_scorer(name, pos_label="melanoma")
    assert scorer(fitted, X, y, sample_weight=weight) == weighted != scorer(fitted, X, y)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = get_classification_scorer(name, pos_label="melanoma").set_score_request(sample_weight=True)
        classifier = LogisticRegression().set_fit_request(sample_weight=False)
        cv = StratifiedKFold(2)
        result = cross_validate(
            classifier, X, y, cv=cv, scoring=asking, params={"sample_weight": weight}, return_estimator=True
        )
        for (_, test), model, value in zip(cv.split(X, y), result["estimator"], result["test_score"], strict=True):
            assert value == scorer(model, X[test], y[test], sample_weight=weight[test])


@each_scorer
def test_scorers_survive_pickle_copy_and_model_files(table, tmp_path, name):
    X, y = table
    scorer = get_classification_scorer(name, pos_label="melanoma")
    fitted = LogisticRegression().fit(X, y)
    expected = scorer(fitted, X, y)
    for twin in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
        assert twin(fitted, X, y) == expected
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3, scoring=scorer).fit(X, y)
    loaded = skinseg.load(skinseg.save(search, tmp_path / "search.skops"))
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))
    assert loaded.score(X, y) == search.score(X, y)
    assert repr(loaded.scorer_) == repr(scorer)


def test_model_files_hold_several_scorers_and_scorers_of_masks(table, lesions, tmp_path):
    X, y = table
    scoring = {name: get_classification_scorer(name, pos_label="melanoma") for name in SCORERS}
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=3, scoring=scoring, refit="partial_auc").fit(X, y)
    loaded = skinseg.load(skinseg.save(search, tmp_path / "several.skops"))
    assert {name: loaded.scorer_[name](loaded, X, y) for name in SCORERS} == {
        name: scorer(search, X, y) for name, scorer in scoring.items()
    }
    masks = GridSearchCV(
        skinseg.ThresholdSegmenter(), {"method": ["otsu", "mean"]}, cv=2, scoring=metrics.get_mask_scorer("dice")
    ).fit(lesions.images[:4], lesions.masks[:4])
    loaded = skinseg.load(skinseg.save(masks, tmp_path / "masks.skops"))
    assert loaded.score(lesions.images[:2], lesions.masks[:2]) == masks.score(lesions.images[:2], lesions.masks[:2])
