"""Scores of any masks and any labels: in their bounds, 1 for what is equal, the same both ways where promised."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_budget import examples

from skinseg import metrics
from skinseg.masks import overlap_counts
from skinseg.testing import array_layouts, arrays_of_any_kind, images_and_masks

pairs = images_and_masks(n_masks=2).map(lambda drawn: drawn[1:])
OVERLAP = [
    metrics.jaccard_score,
    metrics.dice_score,
    metrics.accuracy_score,
    metrics.sensitivity_score,
    metrics.specificity_score,
    metrics.thresholded_jaccard_score,
]
SYMMETRIC = [metrics.jaccard_score, metrics.dice_score, metrics.accuracy_score, metrics.thresholded_jaccard_score]


@given(pair=pairs, data=st.data())
@examples(3_500)
def test_overlap(pair, data):
    true, pred = pair
    for score in OVERLAP:
        value = score([true], [pred])
        assert 0 <= value <= 1
        assert score([true], [true]) == 1
        assert score([true, pred], [true, pred], average="pooled") == 1
        both = score([true, true], [pred, true], average=None)
        assert both.tolist() == [value, 1]
    for score in SYMMETRIC:
        assert score([true], [pred]) == score([pred], [true])
    jaccard, dice = metrics.jaccard_score([true], [pred]), metrics.dice_score([true], [pred])
    assert dice == pytest.approx(2 * jaccard / (1 + jaccard), abs=1e-12)
    # what is found of one's outside is what is missed of the other's inside
    assert metrics.specificity_score([true], [pred]) == metrics.sensitivity_score([~true], [~pred])
    counts = overlap_counts(data.draw(array_layouts(true)), data.draw(array_layouts(pred)))
    assert counts == overlap_counts(true, pred)
    assert sum(counts) == true.size


@given(pair=pairs, pixel_size=st.floats(1e-3, 10), percentile=st.floats(0.5, 100), data=st.data())
@examples(2_000)
def test_distances(pair, pixel_size, percentile, data):
    true, pred = pair
    diagonal = np.hypot(*true.shape)
    distance = metrics.hausdorff_distance([true], [pred], percentile=percentile)
    assert 0 <= distance <= diagonal
    assert metrics.hausdorff_distance([pred], [true], percentile=percentile) == distance
    assert metrics.hausdorff_distance([true], [true], percentile=percentile) == 0
    assert metrics.hausdorff_distance([true], [pred], percentile=percentile) <= metrics.hausdorff_distance(
        [true], [pred], percentile=100
    )
    scaled = metrics.hausdorff_distance([true], [pred], percentile=percentile, pixel_size=pixel_size)
    assert scaled == pytest.approx(distance * pixel_size)
    mean = metrics.average_symmetric_surface_distance([true], [pred])
    assert 0 <= mean <= metrics.hausdorff_distance([true], [pred], percentile=100) * (1 + 1e-12)
    layouts = [data.draw(array_layouts(mask)) for mask in pair]
    assert metrics.average_symmetric_surface_distance([layouts[0]], [layouts[1]]) == mean
    found = metrics.boundary_f1_score([true], [pred])
    assert 0 <= found <= 1
    assert found == metrics.boundary_f1_score([pred], [true])
    assert metrics.boundary_f1_score([true], [true]) == 1


@given(pair=pairs)
@examples(750)
def test_mask_scores(pair):
    table = metrics.mask_scores([pair[0]], [pair[1]])
    assert len(table) == 1
    assert table["jaccard"][0] == metrics.jaccard_score([pair[0]], [pair[1]])


@given(true=arrays_of_any_kind(max_side=5), pred=arrays_of_any_kind(max_side=5))
@examples(2_000)
def test_what_is_no_mask_is_refused(true, pred):
    for score in (metrics.jaccard_score, metrics.hausdorff_distance):
        try:
            value = score([true], [pred])
        except ValueError as error:
            assert "mask" in str(error)
        else:
            assert true.shape == pred.shape
            assert np.isfinite(value)


labels = st.lists(st.integers(0, 1), min_size=1, max_size=20)


@given(y=labels, data=st.data())
@examples(2_000)
def test_ranking(y, data):
    """Of both classes: a figure in its bounds, the same for any strictly increasing change of the scores."""
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=len(y), max_size=len(y)))
    weights = data.draw(st.none() | st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=len(y), max_size=len(y)))
    functions = [metrics.sensitivity_at_specificity, metrics.specificity_at_sensitivity, metrics.partial_auc_score]
    if len(set(y)) < 2:
        for function in functions:
            with pytest.raises(ValueError, match="class"):
                function(y, scores, sample_weight=weights)
        return
    for function in functions:
        value = function(y, scores, sample_weight=weights)
        assert 0 <= value <= 1
        assert function(y, [score**3 - 2 for score in scores], sample_weight=weights) == pytest.approx(value)
        assert function(y, y, sample_weight=weights) == pytest.approx(function(y, np.array(y) * 10.0))
    error = metrics.expected_calibration_error(y, scores, sample_weight=weights)
    assert 0 <= error <= 1


any_labels = st.lists(st.none() | st.integers(-2, 2) | st.text(max_size=2) | st.floats() | st.booleans(), max_size=6)
any_scores = st.lists(st.floats() | st.none() | st.text(max_size=1) | st.integers(), max_size=6)


@given(y=any_labels, scores=any_scores, pos_label=st.none() | st.integers(0, 2) | st.just("a"))
@examples(2_000)
def test_labels_of_any_kind(y, scores, pos_label):
    functions = [
        metrics.sensitivity_at_specificity,
        metrics.specificity_at_sensitivity,
        metrics.partial_auc_score,
        metrics.expected_calibration_error,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in functions:
            try:
                value = function(y, scores, pos_label=pos_label)
            except ValueError as error:
                assert len(str(error)) > 20
            else:
                assert 0 <= value <= 1
