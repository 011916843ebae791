"""Functions on one mask."""

import numpy as np
import pytest

from skinseg.masks import as_mask, clean_mask, expected_jaccard, jaccard_cut, overlap_counts, resize_mask

Y, X = np.mgrid[:100, :120]


def disc(row, column, radius):
    return (Y - row) ** 2 + (X - column) ** 2 <= radius**2


def test_central_component_is_preferred_to_a_larger_one_at_the_edge():
    lesion, shadow = disc(50, 60, 15), Y < 12
    assert shadow.sum() > lesion.sum()
    np.testing.assert_array_equal(clean_mask(lesion | shadow), lesion)
    np.testing.assert_array_equal(clean_mask(lesion | shadow, component="largest"), shadow)
    np.testing.assert_array_equal(clean_mask(lesion | shadow, component="all"), lesion | shadow)


def test_component_along_the_field_counts_as_at_the_edge():
    field = disc(50, 60, 45)
    rim = field & ~disc(50, 60, 38)
    lesion = disc(50, 75, 9)
    np.testing.assert_array_equal(clean_mask(lesion | rim, field=field), lesion)


def test_holes_are_filled_or_kept():
    ring = disc(50, 60, 30) & ~disc(50, 60, 10)
    np.testing.assert_array_equal(clean_mask(ring), disc(50, 60, 30))
    np.testing.assert_array_equal(clean_mask(ring, fill_holes=False), ring)


def test_opening_cuts_a_hair_off():
    hair = (abs(Y - 50) <= 1) & (X < 60)
    cleaned = clean_mask(disc(50, 60, 25) | hair, opening=0.06)
    assert not cleaned[:, :30].any()
    assert overlap_counts(disc(50, 60, 25), cleaned).jaccard > 0.95


def test_a_lesion_thinner_than_the_opening_is_kept():
    thin = (abs(Y - 50) <= 1) & (abs(X - 60) < 20)
    np.testing.assert_array_equal(clean_mask(thin, opening=0.2), thin)


def test_margin_grows_by_a_share_of_the_radius():
    grown = clean_mask(disc(50, 60, 20), margin=0.2)
    assert np.sqrt(grown.sum() / np.pi) == pytest.approx(24, abs=0.5)


def test_small_results_become_empty():
    assert not clean_mask(disc(50, 60, 3), min_area=0.01).any()
    assert clean_mask(disc(50, 60, 3), min_area=0.001).any()


def test_result_stays_in_the_field():
    field = X < 60
    cleaned = clean_mask(disc(50, 60, 20), field=field, margin=0.3, smoothing=0.02)
    assert cleaned.any()
    assert not (cleaned & ~field).any()


@pytest.mark.parametrize("mask", [np.zeros((9, 7), bool), np.ones((9, 7), bool), np.ones((1, 1), bool)])
def test_empty_and_full_masks(mask):
    np.testing.assert_array_equal(clean_mask(mask, opening=0.3, margin=0.2, smoothing=0.05), mask)


def test_resize_keeps_area_and_type():
    small = resize_mask(disc(50, 60, 30), (50, 60))
    assert small.dtype == bool
    assert small.sum() * 4 == pytest.approx(disc(50, 60, 30).sum(), rel=0.03)  # halves count as lesion
    soft = resize_mask(disc(50, 60, 30).astype(float), (50, 60))
    assert soft.dtype == np.float32
    assert 0 <= soft.min() <= soft.max() <= 1


def test_overlap_counts_by_hand():
    counts = overlap_counts(np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool))
    assert counts == (1, 1, 1, 1)
    assert counts.jaccard == pytest.approx(1 / 3)
    assert overlap_counts(np.zeros((2, 2), bool), np.zeros((2, 2), bool)).jaccard == 1


def test_as_mask_leaves_bool_untouched():
    mask = disc(5, 5, 3)
    assert as_mask(mask) is mask
    with pytest.raises(ValueError, match="2-D"):
        as_mask(np.zeros(4, bool))
    with pytest.raises(ValueError, match="without NaN"):
        as_mask(np.array([[np.nan]]), allow_float=True)


def small_disc(radius=20, shape=(96, 128), center=(48, 64)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


@pytest.mark.parametrize("side", [128, 1024])  # by a kernel, and by distances
def test_closing_fills_a_notch_and_leaves_the_rest(side):
    scale = side // 128
    mask = small_disc()
    mask[47:50, 60:] = False
    mask = np.kron(mask, np.ones((scale, scale), bool))
    closed = clean_mask(mask, closing=0.08, component="all", fill_holes=False)
    whole = np.kron(small_disc(), np.ones((scale, scale), bool))
    assert overlap_counts(whole, closed).jaccard > 0.97
    assert overlap_counts(whole, clean_mask(mask, closing=0, component="all", fill_holes=False)).jaccard < 0.96


@pytest.mark.parametrize("side", [128, 1024])
def test_closing_and_opening_neither_grow_nor_cut_at_the_edge_of_the_image(side):
    scale = side // 128
    mask = np.kron(small_disc(center=(8, 64)), np.ones((scale, scale), bool))
    assert overlap_counts(mask, clean_mask(mask, closing=0.1)).jaccard > 0.97
    assert overlap_counts(mask, clean_mask(mask, opening=0.1)).jaccard > 0.97


@pytest.mark.parametrize("side", [128, 1024])
def test_opening_cuts_a_hair_off_at_any_size(side):
    scale = side // 128
    mask = small_disc()
    mask[47:49] = True
    mask = np.kron(mask, np.ones((scale, scale), bool))
    whole = np.kron(small_disc(), np.ones((scale, scale), bool))
    assert overlap_counts(whole, clean_mask(mask, opening=0.06)).jaccard > 0.96


def test_fallback_is_a_disc_in_the_middle():
    empty = np.zeros((60, 80), bool)
    assert not clean_mask(empty).any()
    found = clean_mask(empty, fallback="disc")
    assert found.mean() == pytest.approx(1 / 8, rel=0.05)
    assert found[30, 40]
    field = np.zeros((60, 80), bool)
    field[:, 40:] = True
    found = clean_mask(empty, field=field, fallback="disc")
    assert found.any()
    assert not found[~field].any()
    assert clean_mask(np.zeros((1, 1), bool), fallback="disc").all()
    mask = small_disc()
    np.testing.assert_array_equal(clean_mask(mask, fallback="disc"), clean_mask(mask))
    speck = np.zeros((60, 80), bool)
    speck[30, 40] = True
    assert clean_mask(speck, min_area=0.01, fallback="disc").sum() > 100


def test_jaccard_cut_maximizes_the_expected_index():
    rng = np.random.default_rng(0)
    probability = rng.random((3, 4)) ** 2
    cut, expected = jaccard_cut(probability)
    ratios = {}
    for value in probability.ravel():
        inside = probability >= value
        ratios[value] = probability[inside].sum() / (inside.sum() + probability[~inside].sum())
    assert expected == pytest.approx(max(ratios.values()))
    assert cut == max(ratios, key=ratios.get)


def test_jaccard_cut_of_certain_and_empty_maps():
    sure = np.zeros((4, 4), np.float32)
    sure[:2] = 1
    assert jaccard_cut(sure) == (1.0, 1.0)
    cut, expected = jaccard_cut(np.zeros((4, 4), np.float32))
    assert cut > 1
    assert expected == 0


def test_expected_jaccard():
    probability = np.array([[0.0, 0.1, 0.4, 0.9]])
    assert expected_jaccard(probability, probability >= 0.4) == pytest.approx(1.3 / 2.1)
    assert expected_jaccard(probability, np.zeros((1, 4), bool)) == 0
    assert jaccard_cut(probability)[1] == pytest.approx(expected_jaccard(probability, probability >= 0.4))


@pytest.mark.parametrize("bad", [{"component": "foo"}, {"fallback": "foo"}])
def test_choices_that_are_none(bad):
    with pytest.raises(ValueError, match=r"must be one of .*'foo'"):
        clean_mask(np.zeros((4, 4), bool), **bad)
