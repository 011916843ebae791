"""Intervals and operating points."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from skinseg.evaluation import bootstrap_interval, threshold_at_sensitivity


def test_interval_of_a_mean_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap_interval(np.mean, values, random_state=0)
    low, high = stats.norm.interval(0.95, values.mean(), values.std() / 20)
    assert interval.value == values.mean()
    assert interval.low == pytest.approx(low, abs=0.03)
    assert interval.high == pytest.approx(high, abs=0.03)
    assert str(bootstrap_interval(np.mean, [1.0, 1.0], random_state=0)) == "1.000 [1.000, 1.000]"


def test_groups_widen_the_interval():
    """Ten copies of each sample are no more than one."""
    values = np.random.default_rng(0).normal(size=50)
    single = bootstrap_interval(np.mean, values, random_state=0)
    copied = bootstrap_interval(np.mean, np.repeat(values, 10), groups=np.repeat(np.arange(50), 10), random_state=0)
    naive = bootstrap_interval(np.mean, np.repeat(values, 10), random_state=0)
    assert copied.high - copied.low == pytest.approx(single.high - single.low, rel=0.1)
    assert naive.high - naive.low < 0.5 * (copied.high - copied.low)


def test_groups_are_whole():
    seen = []
    groups = np.array(["a", "b", "a", "c"])
    bootstrap_interval(
        lambda x: seen.append(np.bincount(x, minlength=4)) or 0.0, np.arange(4), groups=groups, random_state=0
    )
    assert all(count[0] == count[2] for count in seen[:-1])


def test_resamples_of_one_class_are_drawn_anew():
    y, score = np.array([1, 0, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.95, 0.3])
    interval = bootstrap_interval(roc_auc_score, y, score, n_resamples=200, random_state=0)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_the_seed_decides_and_the_global_state_is_left():
    state = np.random.get_state()[1].copy()
    first, second = (bootstrap_interval(np.median, np.arange(50), random_state=1) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_bad_calls():
    with pytest.raises(ValueError, match="inconsistent numbers"):
        bootstrap_interval(np.mean, [1, 2], groups=[1])
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_interval(np.mean, [1, 2], confidence=95)
    with pytest.raises(ValueError, match="at least one array"):
        bootstrap_interval(np.mean)


@pytest.mark.parametrize("sensitivity", [0.5, 0.82, 0.9, 1.0])
def test_threshold_reaches_the_sensitivity_and_is_the_highest(sensitivity):
    rng = np.random.default_rng(0)
    y = rng.random(200) < 0.3
    score = y + rng.normal(size=200)
    threshold = threshold_at_sensitivity(y, score, sensitivity)
    assert (score[y] >= threshold).mean() >= sensitivity
    higher = np.min(score[score > threshold])
    assert (score[y] >= higher).mean() < sensitivity


def test_threshold_of_named_classes():
    y = np.array(["nevus", "melanoma", "nevus", "melanoma"])
    assert threshold_at_sensitivity(y, [0.1, 0.4, 0.2, 0.3], 1, pos_label="melanoma") == 0.3
    with pytest.raises(ValueError, match="two classes"):
        threshold_at_sensitivity([1, 1], [0.1, 0.2], 0.5)
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        threshold_at_sensitivity([0, 1], [0.1, 0.2], 90)
