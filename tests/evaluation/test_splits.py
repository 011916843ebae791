"""Splits by groups, and what is said about folds."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold

from skinseg.evaluation import check_splits, group_duplicates, split_by_group
from skinseg.exceptions import LeakageError


@pytest.fixture(scope="module")
def patients():
    """Patients with one to six images each; a fifth of the images are melanomas, whole patients at a time."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(150), rng.integers(1, 7, 150))
    target = np.where(rng.random(150) < 0.2, "melanoma", "nevus")[groups]
    order = rng.permutation(len(groups))
    return target[order], groups[order]


@pytest.mark.parametrize("test_size", [0.1, 0.2, 0.25, 0.3, 0.5])
def test_whole_groups_and_equal_shares(patients, test_size):
    target, groups = patients
    train, test = split_by_group(target, groups, test_size=test_size, random_state=0, n_tries=5)
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(target)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert not np.isin(groups[train], groups[test]).any()
    assert len(test) / len(target) == pytest.approx(test_size, abs=0.01)
    share = [np.mean(target[side] == "melanoma") for side in (train, test)]
    assert share[0] == pytest.approx(share[1], abs=0.02)
    assert check_splits([(train, test)], groups, target).ok


def test_the_seed_decides(patients):
    target, groups = patients
    first, again, other = (split_by_group(target, groups, random_state=seed, n_tries=2)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_more_tries_are_no_worse(patients):
    target, groups = patients
    few = slice(60)

    def error(n_tries):
        test = split_by_group(target[few], groups[few], random_state=3, n_tries=n_tries)[1]
        return abs(len(test) / 60 - 0.2) + sum(
            abs(np.sum(target[few][test] == name) / np.sum(target[few] == name) - 0.2) / 2 for name in np.unique(target)
        )

    assert error(20) <= error(1) + 1e-12


def test_duplicates_stay_together(patients):
    target, groups = patients
    pairs = np.random.default_rng(1).choice(len(target), (30, 2), replace=False)
    train, test = split_by_group(target, group_duplicates(pairs, groups), random_state=0, n_tries=2)
    assert check_splits([(train, test)], groups, target, pairs=pairs).ok
    train, test = split_by_group(target, groups, random_state=0, n_tries=2)
    report = check_splits([(train, test)], groups, target, pairs=pairs)
    across = [np.isin(pair, test).sum() == 1 for pair in pairs]
    assert report.table.loc[0, "split_pairs"] == sum(across) > 0


@pytest.mark.parametrize(
    ("target", "groups", "arguments", "message"),
    [
        ([0, 1, 0], ["a", "b"], {}, "of one length, got 3 and 2"),
        ([0, 0, 0], ["a", "b", "c"], {}, "all 3 images are of the class"),
        ([0, 1, 0], ["a", "a", "a"], {}, "all 3 images are of the group"),
        ([0, 1, 0], ["a", "b", "c"], {}, "class .*1.* is in one group only"),
        ([0, 1, 0, 1], ["a", None, "c", "d"], {}, "1 images have no group"),
        ([0, 1, 0, np.nan], ["a", "b", "c", "d"], {}, "1 images have no class"),
        ([0, 1], [["a"], ["b"]], {}, "one group an image"),
        ([0, 1, 0, 1], list("abcd"), {"test_size": 1.0}, "test_size == 1.0"),
        ([0, 1, 0, 1], list("abcd"), {"n_tries": 0}, "n_tries == 0"),
    ],
)
def test_data_that_cannot_be_split(target, groups, arguments, message):
    with pytest.raises(ValueError, match=message):
        split_by_group(target, groups, **arguments)


# ---------------------------------------------------------------------- folds


def test_folds_by_groups_pass_and_others_do_not(patients):
    target, groups = patients
    good = check_splits(StratifiedGroupKFold(5).split(target, target, groups), groups, target)
    assert good.ok
    assert good.remarks == ()
    assert len(good.table) == 5
    np.testing.assert_allclose(good.table[["train_melanoma", "train_nevus"]].sum(axis=1), 1)
    good.raise_if_any()
    assert str(good) == "5 folds: no leak found"
    folds = list(KFold(5, shuffle=True, random_state=0).split(target))
    bad = check_splits(folds, groups, target)
    expected = [np.intersect1d(groups[train], groups[test]).size for train, test in folds]
    assert bad.to_frame()["shared_groups"].tolist() == expected
    with pytest.raises(LeakageError, match=r"fold 0: \d+ groups on both sides: "):
        bad.raise_if_any()


def test_classes_that_a_side_lacks():
    target = ["nevus"] * 6 + ["melanoma"] * 2
    report = check_splits([(range(6), [6, 7]), ([0, 1, 2, 6], [3, 4, 5, 7])], target=target)
    assert report.problems == ("fold 0: training has no melanoma", "fold 0: test has no nevus")
    assert report.table["missing_classes"].tolist() == [2, 0]
    assert report.table.loc[1, ["train_melanoma", "test_melanoma"]].tolist() == [0.25, 0.25]


def test_images_on_both_sides():
    report = check_splits([([0, 1, 2], [2, 3])])
    assert report.problems == ("fold 0: 1 image on both sides: 2",)
    assert report.table.loc[0, ["n_train", "n_test", "shared_images"]].tolist() == [3, 2, 1]


def test_lesion_areas_of_a_split_by_position(tmp_path):
    """Files in the order of their source: lesions of 23 % first, of 8 % then; shuffled, the sides are alike."""
    rng = np.random.default_rng(0)
    masks, areas = [], []
    for index in range(60):
        rows = int(np.clip(rng.normal(23 if index < 40 else 8, 4), 1, 60))
        mask = np.zeros((100, 100), bool)
        mask[:rows] = True
        masks.append(tmp_path / f"m{index}.png")
        cv2.imwrite(str(masks[-1]), mask.astype(np.uint8) * 255)
        areas.append(rows / 100)
    by_position = check_splits([(np.arange(40), np.arange(40, 60))], masks=masks)
    assert by_position.ok  # no leak, but
    row = by_position.table.loc[0]
    assert row["train_area"] == pytest.approx(np.mean(areas[:40]))
    assert row["test_area"] == pytest.approx(np.mean(areas[40:]))
    assert len(by_position.remarks) == 1
    assert f"{np.mean(areas[:40]):.1%} of the training images" in by_position.remarks[0]
    shuffled = list(KFold(3, shuffle=True, random_state=0).split(areas))
    assert check_splits(shuffled, areas=areas).remarks == ()
    arrays = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0 for path in masks]
    assert check_splits(shuffled, masks=arrays).table.equals(check_splits(shuffled, masks=masks).table)
    assert isinstance(masks[0], Path)


def test_classes_that_differ_between_the_sides_are_a_remark():
    target = np.r_[np.tile([0, 0, 0, 1], 50), np.tile([0, 1], 50)]
    report = check_splits([(np.arange(200), np.arange(200, 300))], target=target)
    assert report.ok
    assert report.remarks[0] == "fold 0: class 0 is 75.0% of the training and 50.0% of the test images; stratify"


@pytest.mark.parametrize(
    ("folds", "arguments", "message"),
    [
        ([], {}, "holds no fold"),
        ([([0, 1], [])], {}, "test side of fold 0 must be positions"),
        ([([0.5], [1])], {}, "training side of fold 0 must be positions"),
        ([([0, 1], [9])], {"groups": list("abc")}, "holds the position 9, there are 3 images"),
        ([([0], [1])], {"groups": list("abc"), "target": [0, 1]}, "one value an image in each"),
        ([([0], [1])], {"masks": [np.ones((2, 2), bool)] * 2, "areas": [1, 1]}, "masks or areas, not both"),
        ([([0], [1])], {"groups": ["a", None]}, "1 images have no group"),
    ],
)
def test_folds_that_cannot_be_checked(folds, arguments, message):
    with pytest.raises(ValueError, match=message):
        check_splits(folds, **arguments)


def test_boolean_sides_and_other_splitters(patients):
    target, groups = patients
    train, test = next(GroupKFold(4).split(target, target, groups))
    side = np.zeros(len(target), bool)
    side[train] = True
    assert check_splits([(side, ~side)], groups).table.equals(check_splits([(train, test)], groups).table)


@pytest.mark.parametrize(
    ("folds", "arguments", "message"),
    [
        (([0, 1, 4], [2, 3, 5]), {}, r"a single split is \[\(train, test\)\]"),
        ((np.array([0, 1]), np.array([2, 3])), {}, r"a single split is \[\(train, test\)\]"),
        (KFold(2), {}, "as by splitter.split"),
        ([([0], [1])], {"areas": [0.5, 3]}, "got 3.0 for image 1"),
        ([([0], [1])], {"areas": ["small", "large"]}, "areas must be shares"),
        ([([0], [1])], {"groups": ["a", "b"], "pairs": [(0, 7)]}, "position 7, there are 2 images"),
        ([([0], [1])], {"pairs": [(0, -1)]}, "position -1, below 0"),
    ],
)
def test_calls_that_mean_something_else(folds, arguments, message):
    with pytest.raises(ValueError, match=message):
        check_splits(folds, **arguments)


def test_classes_of_mixed_kinds():
    target = np.array([0, "unknown"] * 6, dtype=object)
    train, test = split_by_group(target, np.arange(12), random_state=0)
    table = check_splits([(train, test)], target=target).table
    assert table["train_0"].item() == pytest.approx(np.mean(target[train] == 0))
    with pytest.raises(ValueError, match="of the class 0; a stratified"):
        split_by_group(np.zeros(4, int), np.arange(4))
