"""Leaks between training and test images."""

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from skinseg import LesionImage
from skinseg.datasets import load_lesion_table, make_lesions
from skinseg.evaluation import LeakageReport, check_leakage, load_duplicate_list
from skinseg.exceptions import LeakageError, SkinsegWarning


@pytest.fixture(scope="module")
def images():
    return make_lesions(12, random_state=3, min_side=128, max_side=180).images


def write(folder, images, names):
    folder.mkdir(exist_ok=True)
    for image, name in zip(images, names, strict=True):
        cv2.imwrite(str(folder / name), image[..., ::-1])
    return [folder / name for name in names]


def test_pictures_on_both_sides(images):
    copy = cv2.resize(images[1][:, ::-1], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    report = check_leakage(images[:6], [*images[6:], copy, images[4].copy()])
    assert isinstance(report, LeakageReport)
    assert not report.ok
    assert report.checked == ("names", "pixels")
    assert (report.n_train, report.n_test) == (6, 8)
    assert report.identical[["train", "test"]].to_numpy().tolist() == [[4, 7]]
    near = report.near_duplicates
    assert near[["train", "test", "kind", "transform"]].to_numpy().tolist() == [
        [1, 6, "mirrored", "mirrored left-right"]
    ]
    assert report.training_images().tolist() == [1, 4]
    table = report.to_frame()
    assert table["leak"].tolist() == ["identical", "near-duplicate"]
    assert table["train"].tolist() == [4, 1]
    with pytest.raises(LeakageError, match=r"(?s)6 training and 8 test.*identical: 1.*near-duplicate: 1.*mirrored"):
        report.raise_if_any()
    cleaned = [image for index, image in enumerate(images[:6]) if index not in (1, 4)]
    assert check_leakage(cleaned, [*images[6:], copy, images[4]]).ok


def test_clean_split(images):
    report = check_leakage(images[:6], images[6:], train_groups=list("aabbcc"), test_groups=list("ddeeff"))
    assert report.ok
    assert report.checked == ("groups", "names", "pixels")
    report.raise_if_any()
    assert "no leak found" in str(report)
    assert len(report.to_frame()) == 0
    assert report.training_images().tolist() == []


def test_groups_on_both_sides(images):
    report = check_leakage(
        images[:4], images[6:9], train_groups=[1, 1, 2, None], test_groups=np.array([3, 1, None], object), images=False
    )
    assert report.shared_groups.to_numpy().tolist() == [["1", 2, 1]]
    assert report.checked == ("groups", "names")
    assert "shared group: 1: 1 (2 + 1 images)" in str(report)
    # numbers with a gap become floating: the same numbers all the same
    gap = np.array([7.0, np.nan, 9.0])
    report = check_leakage(images[:3], images[6:9], train_groups=gap, test_groups=[5, 6, 7], images=False)
    assert report.shared_groups.to_numpy().tolist() == [["7", 1, 1]]
    bunches = [Bunch(images=images[:2], groups=["p1", "p2"]), Bunch(images=images[6:], groups=["p2"] + ["p9"] * 5)]
    assert check_leakage(*bunches, images=False).shared_groups["group"].tolist() == ["p2"]
    frames = [
        pd.DataFrame({"image": ["a.png", "b.png"], "group": ["u", "v"]}),
        pd.DataFrame({"image": ["c.png", "d.png"], "group": ["v", "w"]}),
    ]
    assert check_leakage(frames[0], frames[1][1:], images=False).ok
    assert not check_leakage(frames[0], frames[1][:1], images=False).ok


def test_groups_that_only_number_the_images_are_no_leak(tmp_path):
    """Two tables loaded without a group column number their images alike."""
    for name in ("train", "test"):
        frame = pd.DataFrame({"image": [f"{name}{i}.png" for i in range(3)], "lesion": [f"{name}7", None, None]})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    numbered = [load_lesion_table(tmp_path / f"{name}.csv") for name in ("train", "test")]
    report = check_leakage(*numbered, images=False)
    assert report.ok
    assert report.checked == ("names",)
    partly = [load_lesion_table(tmp_path / f"{name}.csv", group_column="lesion") for name in ("train", "test")]
    report = check_leakage(*partly, images=False)
    assert report.ok
    assert report.checked == ("groups", "names")


def test_names_count_unless_the_pixels_are_of_two_pictures(images, tmp_path):
    train = write(tmp_path / "train", images[:3], ["001.png", "ISIC_0000002.png", "ISIC_0000003_downsampled.png"])
    test = write(tmp_path / "test", images[6:9], ["001.png", "ISIC_0000002.png", "ISIC_0000003.png"])
    report = check_leakage(train, test)
    assert report.same_names[["train", "test"]].to_numpy().tolist() == [[1, 1], [2, 2]]
    unseen = check_leakage(train, test, images=False)
    assert unseen.same_names[["train", "test"]].to_numpy().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert unseen.same_names.loc[0, "test_name"] == str(test[0])
    same = check_leakage(train[:1], train[:1])
    assert len(same.same_names) == len(same.identical) == 1


def test_unread_files_are_told(images, broken_files):
    good = write(broken_files / "train", images[:2], ["a.png", "b.png"])
    with pytest.warns(SkinsegWarning, match=r"1 of 3 images could not be read.*other\[2\]"):
        report = check_leakage(good, [images[6], images[1], broken_files / "empty.jpg"])
    assert report.identical[["train", "test"]].to_numpy().tolist() == [[1, 1]]
    assert "0 bytes" in report.unread[str(broken_files / "empty.jpg")]
    assert "not compared, for they cannot be read: 1 images" in str(report)


def test_published_lists(tmp_path):
    (tmp_path / "pairs.csv").write_text(
        "image_name_1,image_name_2\nISIC_0000001,ISIC_0000009\nISIC_0000002,ISIC_0000003\n"
    )
    (tmp_path / "out.txt").write_text("/x/ISIC_0000004.jpg\n")
    lists = pd.concat([load_duplicate_list(tmp_path / name) for name in ("pairs.csv", "out.txt")])
    train = [f"train/ISIC_000000{i}.jpg" for i in (9, 2, 3, 4)]
    report = check_leakage(train, ["test/ISIC_0000001.jpg", "test/ISIC_0000007.jpg"], images=False, duplicates=lists)
    assert report.listed["train"].tolist() == [0, 3]
    assert report.listed["test"].isna().tolist() == [False, True]
    assert report.listed.loc[0, "test"] == 0
    assert report.training_images().tolist() == [0, 3]
    assert "ISIC_0000009.jpg = ISIC_0000001.jpg" in str(report)
    assert "list" in report.checked


def test_records_and_bad_calls(images):
    records = [LesionImage(images[0], name="x"), LesionImage(images[1], name="y")]
    assert check_leakage(records, [LesionImage(images[2], name="x")], images=False).same_names["train"].tolist() == [0]
    with pytest.raises(ValueError, match="groups are known of the training images only"):
        check_leakage(images[:2], images[2:4], train_groups=["a", "b"])
    with pytest.raises(ValueError, match=r"test has 2 images and groups of the shape \(1,\)"):
        check_leakage(images[:2], images[2:4], train_groups=["a", "b"], test_groups=["a"])
    with pytest.raises(ValueError, match="no entry 'images'"):
        check_leakage({"data": images}, images)
    with pytest.raises(ValueError, match="no column 'image'"):
        check_leakage(pd.DataFrame({"file": ["a"]}), images)
    with pytest.raises(ValueError, match="columns first_name and second_name"):
        check_leakage(images[:1], images[1:2], images=False, duplicates=[(0, 1)])


def test_images_without_a_name_are_told_by_position(images, tmp_path):
    files = write(tmp_path / "a", images[:1], ["one.png"])
    text = str(check_leakage([images[0], images[1]], [images[2], images[1], *files]))
    assert "identical: 2: train[0] = one.png, train[1] = test[1]" in text


@pytest.mark.parametrize("side", [None, "one.png", 3])
def test_what_is_no_list_of_images(images, side):
    with pytest.raises(ValueError, match="test must be a list of images"):
        check_leakage(images[:2], side)


def test_images_that_were_not_compared_are_not_cleared(images, tmp_path):
    with pytest.warns(SkinsegWarning, match="could not be read"):
        report = check_leakage(images[:2], [images[2], tmp_path / "absent.png"])
    assert "no leak found among those that were compared" in str(report)
