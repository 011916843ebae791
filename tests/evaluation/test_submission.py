"""Files of the ISIC challenges, written and read."""

import cv2
import numpy as np
import pandas as pd
import pytest

from skinseg.evaluation import (
    ISIC_COLUMNS,
    read_isic_classification,
    read_isic_masks,
    write_isic_classification,
    write_isic_masks,
)

NAMES = ["ISIC_0000001", "ISIC_0000002"]


def test_masks(tmp_path):
    masks = [np.eye(5, 7, dtype=bool), np.zeros((4, 3), np.uint8)]
    paths = write_isic_masks(masks, NAMES, tmp_path / "masks")
    assert [path.name for path in paths] == [f"{name}_segmentation.png" for name in NAMES]
    stored = cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint8
    assert stored.shape == (5, 7)
    np.testing.assert_array_equal(stored, np.eye(5, 7) * 255)
    (tmp_path / "masks" / "readme.txt").write_text("no mask")
    found = read_isic_masks(tmp_path / "masks", NAMES[::-1], shapes=[(4, 3), (5, 7)])
    assert list(found) == NAMES[::-1]
    np.testing.assert_array_equal(found[NAMES[0]], masks[0])
    assert not found[NAMES[1]].any()


def test_masks_of_2017_have_a_capital(tmp_path):
    cv2.imwrite(str(tmp_path / "ISIC_0000001_Segmentation.png"), np.full((2, 2), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "ISIC_0000003_superpixels.png"), np.full((2, 2), 255, np.uint8))
    assert list(read_isic_masks(tmp_path)) == ["ISIC_0000001"]


def test_bad_masks_are_named_and_nothing_is_written(tmp_path):
    good = np.ones((3, 3), bool)
    with pytest.raises(ValueError, match="ISIC_0000002: an integer mask must hold"):
        write_isic_masks([good, np.full((3, 3), 7)], NAMES, tmp_path / "new")
    with pytest.raises(ValueError, match="more than once: ISIC_0000001"):
        write_isic_masks([good, good], [NAMES[0]] * 2, tmp_path / "new")
    with pytest.raises(ValueError, match="1 masks and 2 names"):
        write_isic_masks([good], NAMES, tmp_path / "new")
    with pytest.raises(ValueError, match="no names of images: 'a/b'"):
        write_isic_masks([good], ["a/b"], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    write_isic_masks([good], NAMES[:1], tmp_path)
    (tmp_path / "ISIC_0000009_segmentation.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="2 of 3 masks") as error:
        read_isic_masks(tmp_path, [*NAMES, "ISIC_0000009"])
    assert "ISIC_0000002: there is no ISIC_0000002_segmentation.png" in str(error.value)
    with pytest.raises(ValueError, match=r"the mask has the size \(3, 3\), its image \(3, 4\)"):
        read_isic_masks(tmp_path, NAMES[:1], shapes=[(3, 4)])
    with pytest.raises(NotADirectoryError):
        read_isic_masks(tmp_path / "none")


@pytest.mark.parametrize("edition", sorted(ISIC_COLUMNS))
def test_classification(edition, tmp_path):
    classes = ISIC_COLUMNS[edition][1:]
    values = np.random.default_rng(edition).random((2, len(classes)))
    path = write_isic_classification(NAMES, values, tmp_path / "s.csv", edition=edition)
    first = path.read_text().splitlines()[0]
    assert first == ",".join(ISIC_COLUMNS[edition]) if edition != 2016 else first.startswith("ISIC_0000001,0.")
    found = read_isic_classification(path, NAMES[::-1], edition=edition)
    assert list(found.columns) == list(classes)
    np.testing.assert_array_equal(found.to_numpy(), values[::-1])  # to the last digit


def test_headers_are_those_of_the_challenges():
    assert ",".join(ISIC_COLUMNS[2017]) == "image_id,melanoma,seborrheic_keratosis"
    assert ",".join(ISIC_COLUMNS[2018]) == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    assert ",".join(ISIC_COLUMNS[2019]) == "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"


def test_columns_of_a_frame_are_taken_by_name(tmp_path):
    frame = pd.DataFrame({"seborrheic_keratosis": [0.1, 0.2], "other": [5, 5], "melanoma": [0.3, 0.4]})
    path = write_isic_classification(NAMES, frame, tmp_path / "s.csv", edition=2017)
    assert path.read_text().splitlines()[1] == "ISIC_0000001,0.3,0.1"
    with pytest.raises(ValueError, match="no column melanoma"):
        write_isic_classification(NAMES, frame.drop(columns="melanoma"), tmp_path / "t.csv", edition=2017)


@pytest.mark.parametrize(
    ("names", "values", "words"),
    [
        (NAMES, [[0.5], [1.5]], r"outside of \[0, 1\]: ISIC_0000002 \(1.5\)"),
        (NAMES, [[np.nan], [0.5]], r"ISIC_0000001 \(nan\)"),
        (NAMES, [[0.5]], r"2 rows .* got the shape \(1, 1\)"),
        ([NAMES[0]] * 2, [0.5, 0.5], "more than once"),
        (["ISIC_0000001.jpg", NAMES[1]], [0.5, 0.5], "ending of a file: ISIC_0000001.jpg"),
    ],
)
def test_bad_classifications_are_not_written(names, values, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        write_isic_classification(names, values, tmp_path / "s.csv", edition=2020)
    assert not list(tmp_path.iterdir())


def test_bad_files_of_classification(tmp_path):
    path = tmp_path / "s.csv"

    def content(text):
        path.write_text(text)
        return path

    with pytest.raises(
        ValueError, match=r"1 image\(s\) have no row: ISIC_0000002; 1 row\(s\) are of no image: ISIC_0000003"
    ):
        read_isic_classification(content("image_name,target\nISIC_0000001,1\nISIC_0000003,0\n"), NAMES, edition=2020)
    with pytest.raises(ValueError, match="has no column seborrheic_keratosis, which the edition 2017 has"):
        read_isic_classification(content("image_id,melanoma\nISIC_0000001,1\n"), edition=2017)
    with pytest.raises(ValueError, match="more than once: ISIC_0000001"):
        read_isic_classification(content("image_name,target\nISIC_0000001,1\nISIC_0000001,0\n"), edition=2020)
    with pytest.raises(ValueError, match=r"ISIC_0000002 \(nan\)"):
        read_isic_classification(content("image_name,target\nISIC_0000001,1\nISIC_0000002,high\n"), edition=2020)
    with pytest.raises(ValueError, match="the year of an ISIC challenge"):
        read_isic_classification(path, edition=2015)
    with pytest.raises(FileNotFoundError):
        read_isic_classification(tmp_path / "none.csv")
