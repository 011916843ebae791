"""Synthetic lesions and tables of files."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from skinseg.datasets import load_lesion_table, make_lesions


def test_the_same_seed_gives_the_same_bytes():
    first, second, third = (
        make_lesions(4, random_state=5),
        make_lesions(4, random_state=5),
        make_lesions(4, random_state=6),
    )
    for a, b in zip(first.images + first.masks, second.images + second.masks, strict=True):
        assert a.tobytes() == b.tobytes()
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert any(a.tobytes() != b.tobytes() for a, b in zip(first.images, third.images, strict=True))


def test_what_is_in_the_bunch():
    data = make_lesions(20, random_state=0, min_side=50, max_side=90)
    assert len(data.images) == len(data.masks) == len(data.target) == len(data.groups) == len(data.frame) == 20
    assert len({image.shape for image in data.images}) > 5
    for image, mask in zip(data.images, data.masks, strict=True):
        assert image.dtype == np.uint8
        assert mask.dtype == bool
        assert image.shape == (*mask.shape, 3)
        assert 50 <= max(mask.shape) <= 90
        assert mask.any()
        assert not mask.all()
        assert image[mask].mean() < image[~mask].mean()
    assert set(data.frame) >= {
        "diameter_px",
        "irregularity",
        "asymmetry",
        "n_colors",
        "age_approximate",
        "sex",
        "site",
        "target",
    }
    assert "nothing about patients" in data.DESCR


def test_fractions_and_classes():
    assert make_lesions(50, random_state=0, min_side=32, max_side=40).target.sum() == 15
    assert make_lesions(3, random_state=0, melanoma_fraction=0.01, min_side=32, max_side=40).target.sum() == 1
    assert make_lesions(3, random_state=0, melanoma_fraction=0, min_side=32, max_side=40).target.sum() == 0
    assert (make_lesions(9, random_state=0, hair_fraction=0, min_side=32, max_side=40).frame["n_hairs"] == 0).all()


def test_class_sep_pulls_the_classes_apart():
    scores = []
    for class_sep in (0, 1, 3):
        data = make_lesions(120, random_state=0, class_sep=class_sep, min_side=32, max_side=36, melanoma_fraction=0.5)
        scores.append(roc_auc_score(data.target, data.frame["irregularity"]))
    assert 0.35 < scores[0] < 0.65
    assert scores[0] < scores[1] < scores[2]
    assert scores[2] > 0.95


@pytest.mark.parametrize("bad", [{"n_samples": 0}, {"min_side": 5}, {"melanoma_fraction": 2}, {"class_sep": -1}])
def test_impossible_requests(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        make_lesions(**bad)


def test_minimum_above_maximum():
    with pytest.raises(ValueError, match="min_side must not be above max_side"):
        make_lesions(2, min_side=300, max_side=200)


def test_table(lesion_files, lesions):
    data = load_lesion_table(
        lesion_files / "lesions.csv", mask_column="mask", target_column="target", group_column="lesion"
    )
    assert data.images[0] == lesion_files / "images" / "a00.png"
    assert data.masks[1].is_file()
    np.testing.assert_array_equal(data.target, lesions.target)
    assert len(set(data.groups)) == 8
    assert data.frame["sex"].isna().tolist() == [index == 3 for index in range(16)]
    parquet = lesion_files / "lesions.parquet"
    pd.read_csv(lesion_files / "lesions.csv").to_parquet(parquet)
    assert load_lesion_table(parquet).frame["sex"].isna().sum() == 1


def test_table_rows_and_missing_cells(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,mask,y,group,split\na.jpg,a.png,1,g,train\nb.jpg,,0,,train\nc.jpg,,1,,test\n")
    data = load_lesion_table(
        path, mask_column="mask", target_column="y", group_column="group", where={"split": "train"}
    )
    assert data.masks == [tmp_path / "a.png", None]
    assert data.target.tolist() == [1, 0]
    assert data.groups.tolist() == ["g", "image 1"]
    assert load_lesion_table(path).masks is None
    assert load_lesion_table(path, folder="/elsewhere").images[0].parent.name == "elsewhere"
    assert len(load_lesion_table(path, where={"y": 1}).images) == 2


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"image_column": "file"}, r"no column 'file' \(image\); its columns are \['image', 'y'\]"),
        ({"target_column": "label", "mask_column": "m"}, r"'m' \(mask\), 'label' \(target\)"),
        ({"where": {"split": "a"}}, r"'split' \(where\)"),
        ({"where": {"y": 7}}, "no row with"),
        ({"target_column": "y"}, r"no target \(column 'y'\) in line\(s\) \[3\]"),
    ],
)
def test_bad_tables(tmp_path, kwargs, words):
    (tmp_path / "t.csv").write_text("image,y\na.jpg,1\nb.jpg,\n")
    with pytest.raises(ValueError, match=words):
        load_lesion_table(tmp_path / "t.csv", **kwargs)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match="the table does not exist"):
        load_lesion_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        load_lesion_table(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"hello")
    with pytest.raises(ValueError, match="cannot be read"):
        load_lesion_table(tmp_path / "t.parquet")
