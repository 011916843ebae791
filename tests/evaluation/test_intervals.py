"""Differences of two models, and scores of many resamples at once."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from skinseg.evaluation import Difference, bootstrap_interval, paired_bootstrap
from skinseg.evaluation._operating import reliability_table, wilson_interval
from skinseg.evaluation._statistics import (
    auc_of,
    average_precision_of,
    compare_statistics,
    interval_of,
    interval_table,
    mean_of,
    statistics_of,
)
from skinseg.metrics import expected_calibration_error, partial_auc_score, specificity_at_sensitivity


def test_difference_of_means_agrees_with_the_paired_t_test():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.1, 300)
    first, second = 0.8 - hard + rng.normal(0, 0.02, 300), 0.797 - hard + rng.normal(0, 0.02, 300)
    found = paired_bootstrap(np.mean, None, first, second, random_state=0, n_resamples=4000)
    expected = stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    assert found.value == pytest.approx((first - second).mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=4e-4), pytest.approx(high, abs=4e-4))
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)
    apart = [bootstrap_interval(np.mean, values, random_state=0) for values in (first, second)]
    assert apart[0].low < apart[1].high  # the intervals overlap, and yet
    assert found.high - found.low < 0.5 * (apart[0].high - apart[0].low)


def test_p_value_is_small_where_the_interval_leaves_out_zero():
    rng = np.random.default_rng(1)
    for shift in np.linspace(-0.02, 0.02, 9):
        first = rng.normal(shift, 0.05, 60)
        found = paired_bootstrap(np.mean, None, first, np.zeros(60), random_state=0, n_resamples=500)
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05) or abs(found.p_value - 0.05) < 0.006


def test_p_values_are_even_where_there_is_no_difference():
    rng = np.random.default_rng(2)
    values = [
        paired_bootstrap(np.mean, None, *rng.normal(size=(2, 40)), random_state=0, n_resamples=200).p_value
        for _ in range(150)
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_the_same_model_twice():
    y, score = np.array([0, 1] * 20), np.linspace(0, 1, 40)
    assert paired_bootstrap(roc_auc_score, y, score, score, n_resamples=100, random_state=0) == (0, 0, 0, 1)


def test_groups_and_signs():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.01, 0.05, (2, 30))
    single = paired_bootstrap(np.mean, None, first, second, random_state=0)
    groups = np.repeat(np.arange(30), 5)
    copied = paired_bootstrap(np.mean, None, np.repeat(first, 5), np.repeat(second, 5), groups=groups, random_state=0)
    assert copied == pytest.approx(single)
    turned = paired_bootstrap(np.mean, None, second, first, random_state=0)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-single.value, -single.high, -single.low))
    assert turned.p_value == single.p_value
    assert str(Difference(0.01234, -0.001, 0.02, 0.0421)) == "+0.012 [-0.001, +0.020], p = 0.042"
    assert str(Difference(0.1, 0.05, 0.2, 0.0005)).endswith("p < 0.001")


def test_a_single_class_has_no_interval():
    found = paired_bootstrap(np.mean, None, [1.0, np.nan], [0.0, 1.0], n_resamples=50, random_state=0)
    assert np.isnan(found.p_value)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        paired_bootstrap(np.mean, None, [1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="confidence"):
        paired_bootstrap(np.mean, None, [1, 2], [1, 2], confidence=2)


@pytest.fixture(scope="module")
def rows():
    """Probabilities with ties, in groups, for two models."""
    rng = np.random.default_rng(3)
    target = (rng.random(90) < 0.3).astype(int)
    tables = []
    for noise in (1.0, 1.6):
        probability = np.round(1 / (1 + np.exp(1 - target - rng.normal(0, noise, 90))), 2)
        decision = (probability >= 0.4).astype(int)
        tables.append(
            pd.DataFrame(
                {"target": target, "probability": probability, "decision": decision, "group": np.arange(90) // 2}
            )
        )
    return tables


SINGLE = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "brier": brier_score_loss,
    "partial_auc": partial_auc_score,
    "specificity_at_90": lambda y, p: specificity_at_sensitivity(y, p, 0.9),
    "ece": expected_calibration_error,
}


@pytest.mark.parametrize("name", SINGLE)
def test_scores_of_many_resamples_are_those_of_one_at_a_time(name, rows):
    options = {"n_resamples": 60, "confidence": 0.9}
    found = interval_table(rows[0], statistics_of("classification"), **options, seed=5)[name]
    arrays = rows[0]["target"], rows[0]["probability"]
    expected = bootstrap_interval(SINGLE[name], *arrays, groups=rows[0]["group"], **options, random_state=5)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "brier"])
def test_differences_of_many_resamples_are_those_of_one_at_a_time(name, rows):
    options = {"n_resamples": 100, "confidence": 0.95}
    statistics = [statistic for statistic in statistics_of("classification") if statistic.name == name]
    found = compare_statistics(*rows, statistics, **options, seed=5)[name]
    arrays = rows[0]["target"], rows[0]["probability"], rows[1]["probability"]
    expected = paired_bootstrap(SINGLE[name], *arrays, groups=rows[0]["group"], **options, random_state=5)
    assert found == pytest.approx(expected, abs=1e-9)


def test_decisions(rows):
    table = rows[0]
    found = interval_table(table, statistics_of("classification"), n_resamples=10, confidence=0.95, seed=0)
    truth, called = table["target"] == 1, table["decision"] == 1
    expected = {
        "sensitivity": (truth & called).sum() / truth.sum(),
        "specificity": (~truth & ~called).sum() / (~truth).sum(),
        "ppv": (truth & called).sum() / called.sum(),
        "npv": (~truth & ~called).sum() / (~called).sum(),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)


def test_what_is_not_defined_is_nan(rows):
    table = rows[0].assign(target=0)
    found = interval_table(table, statistics_of("classification"), n_resamples=10, confidence=0.95, seed=0)
    assert np.isnan(found["roc_auc"].value)
    assert np.isnan(found["ece"].value)
    assert 0 < found["brier"].value < 1
    few = interval_table(rows[0].head(6), statistics_of("classification"), n_resamples=10, confidence=0.95, seed=0)
    assert 0 <= few["brier"].value <= 1
    assert np.isnan(few["brier"].low)  # three groups


def test_several_classes():
    rng = np.random.default_rng(0)
    target = rng.choice(["a", "b", "c"], 60)
    values = rng.dirichlet([1, 1, 1], 60) + 0.4 * (target[:, None] == ["a", "b", "c"])
    values /= values.sum(axis=1, keepdims=True)
    table = pd.DataFrame(values, columns=[f"probability_{name}" for name in "abc"])
    table = table.assign(target=target, decision=np.array(["a", "b", "c"])[values.argmax(axis=1)], group=np.arange(60))
    statistics = statistics_of("classification", classes=["a", "b", "c"])
    found = interval_table(table, statistics, n_resamples=20, confidence=0.95, seed=0)
    assert found["roc_auc"].value == pytest.approx(roc_auc_score(target, values, multi_class="ovr"))
    recalls = [(table["decision"] == name)[table["target"] == name].mean() for name in "abc"]
    assert found["balanced_accuracy"].value == pytest.approx(np.mean(recalls))
    assert found["accuracy"].value == pytest.approx((table["decision"] == table["target"]).mean())


def test_wilson_interval():
    """Agresti and Coull (1998): no success in 20 gives up to 0.161, half of 20 from 0.299 to 0.701."""
    assert wilson_interval(0, 20) == pytest.approx((0, 0, 0.161), abs=5e-4)
    assert wilson_interval(10, 20) == pytest.approx((0.5, 0.299, 0.701), abs=5e-4)
    assert np.isnan(wilson_interval(0, 0).value)


def test_reliability_in_bins_of_equal_mass():
    table = reliability_table([0, 0, 1, 0, 1, 1], [0.0, 0.1, 0.2, 0.6, 0.8, 1.0], n_bins=2)
    assert table["images"].tolist() == [3, 3]
    np.testing.assert_allclose(table["predicted"], [0.1, 0.8])
    np.testing.assert_allclose(table["observed"], [1 / 3, 2 / 3])


def test_intervals_that_would_say_too_much_are_left_out(rows):
    table = rows[0].assign(decision=1)
    found = interval_table(table, statistics_of("classification"), n_resamples=50, confidence=0.95, seed=0)
    assert found["sensitivity"].value == 1
    assert np.isnan(found["sensitivity"].low)  # of all resamples as well
    few = pd.concat([table[table["target"] == 0], table[table["target"] == 1].head(4)])
    found = interval_table(few, statistics_of("classification"), n_resamples=50, confidence=0.95, seed=0)
    assert np.isnan(found["roc_auc"].low)
    assert found["brier"].low < found["brier"].high


@pytest.mark.parametrize(
    ("plain", "weighted"),
    [
        (roc_auc_score, auc_of),
        (average_precision_score, average_precision_of),
        (brier_score_loss, lambda truth, score: mean_of((score - truth) ** 2)),
    ],
)
def test_functions_of_weights_give_the_same_intervals(plain, weighted):
    rng = np.random.default_rng(0)
    truth = (rng.random(80) < 0.3).astype(int)
    score = np.clip(0.6 * rng.random(80) + 0.3 * truth, 0, 1).round(2)  # with ties
    groups = rng.integers(0, 60, 80)
    expected = bootstrap_interval(plain, truth, score, groups=groups, n_resamples=100, random_state=3)
    found = interval_of(weighted(truth, score), 80, groups, n_resamples=100, seed=3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
