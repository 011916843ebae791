"""Distances between outlines: values derived by hand, and a second implementation that compares all pairs of pixels."""

from math import hypot, sqrt

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from skinseg import ThresholdSegmenter, metrics, read_mask
from skinseg.metrics import _boundary

DISTANCES = ("hausdorff_distance", "average_symmetric_surface_distance")
SQUARE, SHIFTED = np.zeros((2, 32, 32), bool)
SQUARE[8:20, 8:20] = SHIFTED[8:20, 11:23] = True
# From each of 44 boundary pixels: 12 of the outer side 3; on two sides 2, 1 and 8 times 0; on the inner side, from
# corner to corner, 0, 1, 2, six times 3, 2, 1, 0. So 18 times 0, 4 times 1, 4 times 2 and 18 times 3: 66 in all.
DOT, LINE = np.zeros((2, 1, 101), bool)
DOT[0, 0] = LINE[:] = True
EMPTY, FULL = np.zeros((3, 4), bool), np.ones((3, 4), bool)


def boundary_points(mask):
    """Pixels of the mask that have a neighbor outside of it."""
    mask = np.pad(mask, 1)
    inside = [mask[y, x - 1] and mask[y, x + 1] and mask[y - 1, x] and mask[y + 1, x] for y, x in np.argwhere(mask)]
    return np.argwhere(mask)[~np.array(inside, bool)]


def by_all_pairs(true, pred):
    pairs = cdist(boundary_points(true), boundary_points(pred))
    return pairs.min(axis=1), pairs.min(axis=0)


def assert_same_as_all_pairs(true, pred):
    """The distances of both directions, and every score made of them."""
    forth, back = by_all_pairs(true, pred)
    found = metrics.surface_distances(true, pred)
    np.testing.assert_allclose(found.true_to_pred, forth, rtol=1e-12)
    np.testing.assert_allclose(found.pred_to_true, back, rtol=1e-12)
    both = np.hstack([forth, back])
    tolerance = 0.0075 * hypot(*true.shape)
    precision, recall = (back <= tolerance).mean(), (forth <= tolerance).mean()
    expected = {
        ("hausdorff_distance", "max", 100): max(forth.max(), back.max()),
        ("hausdorff_distance", "pooled", 100): both.max(),
        ("hausdorff_distance", "max", 95): max(np.percentile(forth, 95), np.percentile(back, 95)),
        ("hausdorff_distance", "pooled", 95): np.percentile(both, 95),
        ("average_symmetric_surface_distance", "mean"): (forth.mean() + back.mean()) / 2,
        ("average_symmetric_surface_distance", "pooled"): both.mean(),
    }
    for (name, directed, *percentile), value in expected.items():
        arguments = {"percentile": percentile[0]} if percentile else {}
        assert getattr(metrics, name)([true], [pred], directed=directed, **arguments) == pytest.approx(value, rel=1e-12)
    f1 = 2 * precision * recall / (precision + recall) if precision * recall else 0
    assert metrics.boundary_f1_score([true], [pred]) == pytest.approx(f1, rel=1e-12)


def test_squares_three_pixels_apart():
    for kind in metrics.surface_distances(SQUARE, SHIFTED):
        np.testing.assert_array_equal(np.bincount(kind.astype(int)), [18, 4, 4, 18])
    assert metrics.hausdorff_distance([SQUARE], [SHIFTED], percentile=100) == 3
    assert metrics.hausdorff_distance([SQUARE], [SHIFTED]) == 3
    assert metrics.hausdorff_distance([SQUARE], [SHIFTED], percentile=50) == 1.5
    assert metrics.average_symmetric_surface_distance([SQUARE], [SHIFTED]) == 1.5
    for tolerance, found in ((0, 18), (1, 22), (2.5, 26), (3, 44)):
        score = metrics.boundary_f1_score([SQUARE], [SHIFTED], tolerance=tolerance, normalize=None)
        assert score == pytest.approx(found / 44)


def test_the_two_definitions_of_the_percentile_and_of_the_mean():
    """One distance of 0 from the dot, 0 to 100 from the line."""
    assert metrics.hausdorff_distance([DOT], [LINE], directed="max") == pytest.approx(95)
    assert metrics.hausdorff_distance([DOT], [LINE], directed="pooled") == pytest.approx(94.95)  # 0, 0, 1, ..., 100
    assert metrics.average_symmetric_surface_distance([DOT], [LINE]) == pytest.approx(5050 / 102)
    assert metrics.average_symmetric_surface_distance([DOT], [LINE], directed="mean") == 25
    # found of the line are 0, 1, ..., 10
    score = metrics.boundary_f1_score([DOT], [LINE], tolerance=0.1)
    assert score == pytest.approx(2 / (1 + 101 / 11))


def test_holes_and_parts_have_boundaries_too():
    ring = np.ones((7, 7), bool)
    ring[3, 3] = False
    distances = metrics.surface_distances(ring, np.ones((7, 7), bool))
    assert len(distances.true_to_pred) == 24 + 4
    assert distances.true_to_pred.max() == 2  # from the pixels around the hole
    assert distances.pred_to_true.max() == 0


def test_where_a_mask_is_cut_by_the_frame_the_cut_is_boundary():
    dot = np.zeros((5, 5), bool)
    dot[2, 2] = True
    distances = metrics.surface_distances(np.ones((5, 5), bool), dot)
    expected = [2] * 4 + [sqrt(5)] * 8 + [sqrt(8)] * 4
    np.testing.assert_allclose(np.sort(distances.true_to_pred), expected)
    np.testing.assert_array_equal(distances.pred_to_true, [2])


def test_single_pixels():
    first, second = np.zeros((2, 9, 9), bool)
    first[1, 2] = second[4, 6] = True
    assert metrics.hausdorff_distance([first], [second]) == 5
    assert metrics.average_symmetric_surface_distance([first], [second]) == 5
    assert metrics.boundary_f1_score([first], [second], tolerance=5, normalize=None) == 1
    assert metrics.boundary_f1_score([first], [second], tolerance=4.99, normalize=None) == 0


@pytest.mark.parametrize("average", ["mean", "pooled"])
def test_empty_masks(average):
    """A failure gets the diagonal, 5 pixels here, more than any two masks can be apart."""
    for name in DISTANCES:
        score = getattr(metrics, name)
        assert score([EMPTY], [EMPTY], average=average) == 0
        assert score([FULL], [FULL], average=average) == 0
        assert score([FULL], [EMPTY], average=average) == score([EMPTY], [FULL], average=average) == 5
        assert score([EMPTY], [FULL], average=average, normalize="diagonal") == 1
        assert score([EMPTY], [FULL], average=average, pixel_size=0.1) == pytest.approx(0.5)
    for pair, f1 in (((EMPTY, EMPTY), 1), ((FULL, FULL), 1), ((EMPTY, FULL), 0), ((FULL, EMPTY), 0)):
        assert metrics.boundary_f1_score([pair[0]], [pair[1]], average=average) == f1
        assert metrics.boundary_f1_score([pair[0]], [pair[1]], average=average, tolerance=9, normalize=None) == f1
    distances = metrics.surface_distances(FULL, EMPTY)
    np.testing.assert_array_equal(distances.true_to_pred, [5] * 10)
    assert distances.pred_to_true.shape == (0,)


def test_averages():
    true, pred = [SQUARE, DOT, EMPTY], [SHIFTED, LINE, FULL]
    each = metrics.average_symmetric_surface_distance(true, pred, average=None)
    np.testing.assert_allclose(each, [1.5, 5050 / 102, 5])
    assert metrics.average_symmetric_surface_distance(true, pred, directed="mean") == pytest.approx(31.5 / 3)
    # sums and numbers of both directions: 66 of 44, 0 of 1, none; 66 of 44, 5050 of 101, 5 * 10 of 10
    pooled = metrics.average_symmetric_surface_distance(true, pred, average="pooled", directed="mean")
    assert pooled == pytest.approx((66 / 45 + 5166 / 155) / 2)
    pooled = metrics.average_symmetric_surface_distance(true, pred, average="pooled")
    assert pooled == pytest.approx((66 + 5166) / 200)

    np.testing.assert_allclose(metrics.hausdorff_distance(true, pred, average=None), [3, 95, 5])
    assert metrics.hausdorff_distance(true, pred) == pytest.approx(103 / 3)
    both = [0] * 18 + [1] * 4 + [2] * 4 + [3] * 18
    forth, back = [*both, 0], [*both, *range(101), *[5] * 10]
    assert metrics.hausdorff_distance(true, pred, average="pooled") == pytest.approx(np.percentile(back, 95))
    assert metrics.hausdorff_distance(true, pred, average="pooled", directed="pooled") == pytest.approx(
        np.percentile(forth + back, 95)
    )

    arguments = {"tolerance": 2, "normalize": None}
    np.testing.assert_allclose(
        metrics.boundary_f1_score(true, pred, average=None, **arguments), [26 / 44, 2 / (1 + 101 / 3), 0]
    )
    recall, precision = (26 + 1) / 45, (26 + 3 + 0) / 155
    pooled = metrics.boundary_f1_score(true, pred, average="pooled", **arguments)
    assert pooled == pytest.approx(2 * precision * recall / (precision + recall))


def test_units():
    true, pred = [SQUARE, DOT], [SHIFTED, LINE]
    for name in DISTANCES:
        score = getattr(metrics, name)
        pixels = score(true, pred, average=None)
        np.testing.assert_allclose(score(true, pred, average=None, pixel_size=0.5), pixels / 2)
        np.testing.assert_allclose(score(true, pred, average=None, pixel_size=[0.5, 2]), pixels * [0.5, 2])
        shares = score(true, pred, average=None, normalize="diagonal")
        np.testing.assert_allclose(shares, pixels / [sqrt(2048), sqrt(10202)])
    for unit in ({"tolerance": 0.3, "pixel_size": 0.1, "normalize": None}, {"tolerance": 3 / sqrt(2048)}):
        assert metrics.boundary_f1_score([SQUARE], [SHIFTED], **unit) == 1
    assert metrics.boundary_f1_score([SQUARE], [SHIFTED], tolerance=0.29, pixel_size=0.1, normalize=None) < 1
    np.testing.assert_allclose(metrics.surface_distances(DOT, LINE, pixel_size=2).pred_to_true, 2 * np.arange(101))


def test_default_tolerance_is_three_quarters_of_a_percent_of_the_diagonal():
    true, near, far = np.zeros((3, 240, 320), bool)  # the diagonal is 400 pixels
    true[:, 100] = near[:, 103] = far[:, 104] = True
    assert metrics.boundary_f1_score([true], [near]) == 1
    assert metrics.boundary_f1_score([true], [far]) == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_same_as_all_pairs_on_any_masks(data):
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    true, pred = (data.draw(arrays(bool, shape).filter(np.any)) for _ in range(2))
    assert_same_as_all_pairs(true, pred)


@pytest.mark.parametrize("seed", range(6))
def test_same_as_all_pairs_on_blobs(seed):
    """Of several parts with holes, some cut by the frame."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(40, 90, 2))
    true, pred = (cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 6) > 0.02 for _ in range(2))
    assert_same_as_all_pairs(true, pred)


def test_distances_of_thousands_of_pixels_are_not_rounded():
    true, pred = np.zeros((2, 3, 2040), bool)
    true[0, 0] = pred[2, 2039] = pred[1, 2038] = True
    assert metrics.surface_distances(true, pred).true_to_pred[0] == hypot(1, 2038)
    assert metrics.surface_distances(true, pred).pred_to_true.tolist() == [hypot(1, 2038), hypot(2, 2039)]


def test_memory_layout_and_kind_do_not_matter(tmp_path):
    expected = metrics.hausdorff_distance([SQUARE], [SHIFTED[:, ::-1]])
    assert expected > 0
    kinds = [np.asfortranarray(SQUARE), SQUARE[::-1][::-1], SQUARE.astype(np.uint8) * 255, SQUARE * 0.7]
    for mask in kinds:
        assert metrics.hausdorff_distance([mask], [SHIFTED[:, ::-1]]) == expected
        assert metrics.hausdorff_distance([mask], [np.asfortranarray(SHIFTED)[:, ::-1]]) == expected
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), SQUARE.astype(np.uint8) * 255)
    assert metrics.hausdorff_distance([path], [SHIFTED[:, ::-1]]) == expected
    np.testing.assert_array_equal(
        metrics.surface_distances(path, SHIFTED)[0], metrics.surface_distances(SQUARE, SHIFTED)[0]
    )


@pytest.mark.parametrize("name", [*DISTANCES, "boundary_f1_score", "mask_scores"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pixel_size": 0.0}, "above 0.*0.0 for mask 0"),
        ({"pixel_size": [0.1, np.nan]}, "nan for mask 1"),
        ({"pixel_size": [0.1]}, "each of the 2 images"),
        ({"pixel_size": "small"}, "mm per pixel"),
        ({"pixel_size": 0.1, "normalize": "diagonal"}, "no unit"),
        ({"normalize": "width"}, "None or 'diagonal'"),
    ],
)
def test_bad_units(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(metrics, name)([SQUARE, DOT], [SHIFTED, LINE], **{"normalize": None, **arguments})


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("hausdorff_distance", {"percentile": 0}, "above 0 and at most 100, got 0"),
        ("hausdorff_distance", {"percentile": 101}, "got 101"),
        ("hausdorff_distance", {"directed": "mean"}, "'max', 'pooled'"),
        ("hausdorff_distance", {"average": "macro"}, "'mean', 'pooled' or None"),
        ("average_symmetric_surface_distance", {"directed": "max"}, "'pooled', 'mean'"),
        ("average_symmetric_surface_distance", {"average": "macro"}, "'mean', 'pooled' or None"),
        ("boundary_f1_score", {"tolerance": -1}, "at least 0, got -1"),
        ("boundary_f1_score", {"tolerance": np.nan}, "at least 0, got nan"),
        ("boundary_f1_score", {"tolerance": 3}, "pass normalize=None for pixels"),
        ("boundary_f1_score", {"average": "macro"}, "'mean', 'pooled' or None"),
    ],
)
def test_bad_arguments(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(metrics, name)([SQUARE], [SHIFTED], **arguments)


@pytest.mark.parametrize("name", [*DISTANCES, "boundary_f1_score", "mask_scores"])
def test_bad_masks(name):
    score = getattr(metrics, name)
    with pytest.raises(ValueError, match=r"mask 1: .*\(1, 101\) and \(32, 32\)"):
        score([SQUARE, DOT], [SHIFTED, SQUARE])
    with pytest.raises(ValueError, match="2 masks and y_pred 1"):
        score([SQUARE, DOT], [SHIFTED])
    with pytest.raises(ValueError, match=r"y_pred has no mask"):
        score([SQUARE], [None])
    with pytest.raises(ValueError, match="different sizes"):
        metrics.surface_distances(SQUARE, DOT)
    with pytest.raises(ValueError, match="2-D"):
        metrics.surface_distances(SQUARE[None], SQUARE)


OF_COLUMN = {
    "jaccard": "jaccard_score",
    "dice": "dice_score",
    "thresholded_jaccard": "thresholded_jaccard_score",
    "sensitivity": "sensitivity_score",
    "specificity": "specificity_score",
    "accuracy": "accuracy_score",
    "hausdorff95": "hausdorff_distance",
    "assd": "average_symmetric_surface_distance",
    "boundary_f1": "boundary_f1_score",
}


@pytest.mark.parametrize("unit", [{}, {"pixel_size": [0.1, 0.2, 0.3, 0.4, 0.5]}, {"normalize": "diagonal"}], ids=str)
def test_all_scores_of_each_image(lesions, unit):
    true = [*lesions.masks[:3], EMPTY, EMPTY]
    pred = [*ThresholdSegmenter().predict(lesions.images[:3]), EMPTY, FULL]
    table = metrics.mask_scores(true, pred, **unit)
    assert list(table) == [*OF_COLUMN, "true_share", "pred_share"]
    for column, name in OF_COLUMN.items():
        arguments = unit if name in DISTANCES else {}
        expected = getattr(metrics, name)(true, pred, average=None, **arguments)
        np.testing.assert_array_equal(table[column], expected, err_msg=column)
    np.testing.assert_allclose(table["true_share"], [mask.mean() for mask in true])
    np.testing.assert_allclose(table["pred_share"], [mask.mean() for mask in pred])
    assert set(table.dtypes) == {np.dtype(float)}
    rest = metrics.mask_scores(true, pred, boundary=False)
    pd.testing.assert_frame_equal(rest, table.drop(columns=["hausdorff95", "assd", "boundary_f1"]))


def test_table_keeps_the_index_and_reads_each_file_once(lesion_files, monkeypatch):
    paths = sorted((lesion_files / "masks").glob("*.png"))[:4]
    read = []
    monkeypatch.setattr(metrics._overlap, "read_mask", lambda path: read.append(path) or read_mask(path))
    table = metrics.mask_scores(pd.Series(paths, index=list("wxyz")), paths)
    assert list(table.index) == list("wxyz")
    assert (table["jaccard"] == 1).all()
    assert (table["hausdorff95"] == 0).all()
    assert sorted(read) == sorted(2 * paths)


@pytest.mark.realdata
def test_same_as_all_pairs_on_real_masks(data_folder):
    """Fifty outlines of experts against those of a segmenter."""
    table = pd.read_csv(data_folder / "isic2017" / "isic2017.csv").iloc[::43][:50]
    folder = data_folder / "isic2017"
    pred = ThresholdSegmenter(n_jobs=2).predict([folder / name for name in table["image"]])
    assert len(pred) == 50
    for name, mask in zip(table["mask"], pred, strict=True):
        true = read_mask(folder / name)
        assert true.any()
        if mask.any():
            assert_same_as_all_pairs(true, mask)


@pytest.mark.parametrize(("share", "other"), [(0.5, 0.5), (0.9, 0.3), (0.5, None)])
def test_dense_boundaries_are_measured_by_a_transform_with_equal_results(share, other, monkeypatch):
    rng = np.random.default_rng(0)
    true = rng.random((90, 120)) < share
    pred = np.zeros_like(true)
    pred[10:20, 30:90] = True
    pred = pred if other is None else rng.random(true.shape) < other
    calls = []
    transform = _boundary.distance_transform_edt
    monkeypatch.setattr(_boundary, "distance_transform_edt", lambda *a, **k: calls.append(1) or transform(*a, **k))
    found = metrics.surface_distances(true, pred)
    assert len(calls) == 2
    monkeypatch.setattr(_boundary, "_DENSE", 2.0)
    by_tree = metrics.surface_distances(true, pred)
    assert len(calls) == 2
    for distances, expected in zip(found, by_tree, strict=True):
        np.testing.assert_array_equal(distances, expected)
    for distances, expected in zip(found, by_all_pairs(true, pred), strict=True):
        np.testing.assert_allclose(distances, expected, rtol=1e-12)


def test_rectangle_made_wider():
    """5 x 10 pixels against 5 x 14: all of the first is on the second but its right side, 0, 1, 2, 1, 0 away."""
    true, pred = np.zeros((2, 20, 30), bool)
    true[5:10, 5:15] = pred[5:10, 5:19] = True
    found = metrics.surface_distances(true, pred)
    np.testing.assert_array_equal(np.bincount(found.true_to_pred.astype(int)), [23, 2, 1])
    np.testing.assert_array_equal(np.bincount(found.pred_to_true.astype(int)), [23, 2, 2, 2, 5])
    assert metrics.hausdorff_distance([true], [pred]) == 4
    assert metrics.average_symmetric_surface_distance([true], [pred]) == pytest.approx((4 + 32) / 60)
    # found of the predicted one within 1 pixel 25 of 34, of the true one 25 of 26
    assert metrics.boundary_f1_score([true], [pred], tolerance=1, normalize=None) == pytest.approx(50 / 60)
    table = metrics.mask_scores([true, true], [pred, pred], pixel_size=[1, 0.5])
    assert table["hausdorff95"].tolist() == [4, 2]
    assert table["assd"].tolist() == pytest.approx([0.6, 0.3])
