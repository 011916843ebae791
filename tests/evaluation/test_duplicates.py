"""Duplicates found among drawn lesions, joined into groups, and read from published lists."""

import warnings

import cv2
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from skinseg import LesionImage
from skinseg.datasets import make_lesions
from skinseg.evaluation import find_duplicates, group_duplicates, load_duplicate_list
from skinseg.exceptions import ImageBatchError, InvalidImagesError, SkinsegWarning

N = 30


@pytest.fixture(scope="module")
def images():
    return make_lesions(N, random_state=7, min_side=160, max_side=240).images


def jpeg(image, quality):
    code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])


def resized(image, factor):
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)


def cut(image, share):
    height, width = np.rint(np.multiply(image.shape[:2], share)).astype(int)
    return image[height:-height, width:-width].copy()


def pairs_of(table):
    return set(zip(table["first"].tolist(), table["second"].tolist(), strict=True))


def test_each_kind_of_copy_is_found_and_named(images):
    copies = {
        3: ("identical", "none", images[3].copy()),
        5: ("re-encoded", "none", jpeg(images[5], 50)),
        7: ("resized", "none", resized(images[7], 0.5)),
        8: ("resized", "none", resized(images[8], 2)),
        11: ("mirrored", "mirrored left-right", images[11][:, ::-1].copy()),
        12: ("mirrored", "transposed", images[12].swapaxes(0, 1).copy()),
        14: ("rotated", "rotated 90 counterclockwise", np.rot90(images[14]).copy()),
        15: ("rotated", "rotated 180", jpeg(resized(np.rot90(images[15], 2).copy(), 0.7), 60)),
        17: ("cropped", "none", cut(images[17], 0.05)),
        18: ("cropped", "mirrored top-bottom", cut(images[18][::-1], 0.04)),
    }
    table = find_duplicates([*images, *(copy for *_, copy in copies.values())])
    assert pairs_of(table) == {(source, N + place) for place, source in enumerate(copies)}
    by_source = table.set_index("first")
    for source, (kind, transform, _) in copies.items():
        assert (by_source.loc[source, "kind"], by_source.loc[source, "transform"]) == (kind, transform), source
    assert by_source.loc[3, ["distance", "correlation"]].tolist() == [0, 1.0]
    assert table["correlation"].is_monotonic_decreasing
    assert table["correlation"].min() >= 0.8
    assert table["distance"].between(0, 36).all()
    assert table.attrs == {"errors": {}, "plain": []}


def test_different_lesions_are_no_duplicates(images):
    table = find_duplicates(images)
    assert len(table) == 0
    assert table.dtypes.astype(str).loc[["first", "second", "distance", "correlation"]].tolist() == [
        "int64", "int64", "int64", "float64",
    ]  # fmt: skip


def test_colors_and_light_do_not_matter(images):
    image = images[4].astype(float)
    gray = cv2.cvtColor(images[4], cv2.COLOR_RGB2GRAY)
    copies = [
        np.clip(image * (0.9, 1.0, 1.15), 0, 255).astype(np.uint8),
        np.clip((image - 128) * 0.7 + 110, 0, 255).astype(np.uint8),
        (255 * (image / 255) ** 1.4).astype(np.uint8),
        np.repeat(gray[..., None], 3, axis=-1),
    ]
    assert pairs_of(find_duplicates(images, copies)) == {(4, j) for j in range(4)}


def test_two_sets(images):
    table = find_duplicates(images[:10], [images[20], images[2][::-1].copy(), images[9]])
    assert pairs_of(table) == {(2, 1), (9, 2)}
    assert table.attrs["other_errors"] == {}


def test_files_frames_and_records(images, tmp_path):
    """The same answer from files, by workers, with their names."""
    paths = []
    for index, image in enumerate([*images[:6], images[1][:, ::-1]]):
        paths.append(tmp_path / f"a{index}.png")
        cv2.imwrite(str(paths[-1]), image[..., ::-1])
    table = find_duplicates(paths)
    assert table.loc[0, ["first", "second", "first_name", "second_name", "kind"]].tolist() == [
        1, 6, str(paths[1]), str(paths[6]), "mirrored",
    ]  # fmt: skip
    with parallel_config(backend="threading"):
        pd.testing.assert_frame_equal(find_duplicates(pd.DataFrame({"image": paths}), n_jobs=2), table)
    with_masks = pd.DataFrame({"image": paths, "mask": tmp_path / "none.png"})  # which no one reads
    assert pairs_of(find_duplicates(with_masks)) == {(1, 6)}
    named = find_duplicates([LesionImage(images[1], name="left"), LesionImage(images[1][:, ::-1], name="right")])
    assert named.loc[0, ["first_name", "second_name"]].tolist() == ["left", "right"]


def test_bad_files_are_listed_and_nothing_else_is_lost(broken_files, images):
    good = broken_files / "good.png"
    cv2.imwrite(str(good), images[0][..., ::-1])
    paths = [broken_files / "cut.jpg", good, broken_files / "empty.jpg", good, broken_files / "none.jpg"]
    with pytest.warns(SkinsegWarning, match=r"3 of 5 images could not be read.*images\[0\]: .*cut short"):
        table = find_duplicates(paths)
    assert pairs_of(table) == {(1, 3)}
    assert list(table.attrs["errors"]) == [0, 2, 4]
    assert "0 bytes" in table.attrs["errors"][2]
    assert "does not exist" in table.attrs["errors"][4]
    with pytest.raises(InvalidImagesError, match=r"cannot use 2 of 5 images"):
        find_duplicates(paths, on_error="raise")
    with pytest.raises(ImageBatchError, match=r"failed on 1 images"):
        find_duplicates(paths[:2], on_error="raise")
    with pytest.warns(SkinsegWarning, match="2 of 2 images"):
        assert len(find_duplicates([paths[2], paths[4]])) == 0


def test_plain_images_match_by_equal_pixels_only(images):
    gray = [np.full((100, 120, 3), level, np.uint8) for level in (90, 90, 180)]
    table = find_duplicates([*gray, images[0]])
    assert pairs_of(table) == {(0, 1)}
    assert table.attrs["plain"] == [0, 1, 2]


def test_a_shared_frame_makes_no_duplicates(images):
    """Black corners of one and the same dermoscope, around different lesions."""
    framed = []
    for image in images[:10]:
        square = cv2.resize(image, (200, 200))
        y, x = np.mgrid[:200, :200] - 99.5
        square[np.hypot(y, x) > 97] = 4
        framed.append(square)
    assert len(find_duplicates(framed)) == 0
    copies = [jpeg(framed[2], 60), framed[6][::-1].copy()]
    assert pairs_of(find_duplicates(framed, copies)) == {(2, 0), (6, 1)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_distance": 80}, "max_distance == 80, must be <= 71"),
        ({"min_correlation": 1.5}, "min_correlation == 1.5"),
        ({"on_error": "skip"}, "on_error must be 'nan' or 'raise', got 'skip'"),
    ],
)
def test_bad_parameters(images, arguments, message):
    with pytest.raises(ValueError, match=message):
        find_duplicates(images[:2], **arguments)
    with pytest.raises(ValueError, match="got a single array"):
        find_duplicates(images[0])


# ---------------------------------------------------------------------- groups


def test_groups_are_joined_by_chains_of_pairs():
    groups = np.array([10, 10, 20, 30, 40, 50])
    joined = group_duplicates([(1, 2), (4, 3), (2, 3)], groups)
    assert joined.tolist() == [10, 10, 10, 10, 10, 50]
    assert groups.tolist() == [10, 10, 20, 30, 40, 50]
    assert group_duplicates(pd.DataFrame({"first": [5], "second": [0]}), list("abcdef")).tolist() == list("abcdea")
    assert group_duplicates([], 3).tolist() == [0, 1, 2]
    listed = pd.DataFrame({"first": pd.array([0, None], "Int64"), "second": pd.array([2, 1], "Int64")})
    assert group_duplicates(listed, 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("pairs", "groups", "message"),
    [
        ([(0, 9)], 3, r"pair \(0, 9\) lies outside of the 3 images"),
        ([(-1, 0)], 3, r"pair \(-1, 0\) lies outside"),
        ([(0.5, 1.0)], 3, "two columns of positions"),
        ([(0, 1)], ["a", None], "1 images have no group"),
        ([(0, 1)], [], "must not be empty"),
        ([(0, 1)], [["a"], ["b"]], "one an image"),
        (pd.DataFrame({"first_name": ["a"]}), 3, "no column 'first' and 'second'"),
    ],
)
def test_groups_that_cannot_be_joined(pairs, groups, message):
    with pytest.raises(ValueError, match=message):
        group_duplicates(pairs, groups)


# ---------------------------------------------------------------------- published lists


def test_list_of_pairs(tmp_path):
    path = tmp_path / "ISIC_2020_Training_Duplicates.csv"
    path.write_text("image_name_1,image_name_2\r\nISIC_0079038,ISIC_8521950\r\nISIC_0087297,ISIC_4755972\r\n")
    names = ["a/ISIC_8521950.jpg", "a/ISIC_0087297.jpg", "a/ISIC_0079038.jpg"]
    table = load_duplicate_list(path, names)
    assert table["first"].tolist() == [2, 1]
    assert table["second"].isna().tolist() == [False, True]
    assert table.loc[1, ["first_name", "second_name"]].tolist() == ["ISIC_0087297", "ISIC_4755972"]
    assert group_duplicates(table, names).tolist() == [names[0], names[1], names[0]]
    assert list(load_duplicate_list(path).columns) == ["first_name", "second_name"]


def test_list_of_files_to_leave_out(tmp_path):
    path = tmp_path / "2017_train_vs_2016_test_duplicates_deleted.txt"
    path.write_text(
        "/home/x/Datasets/ISIC (B)/2017/train, all/ISIC_0002871.jpg\nC:\\isic\\ISIC_0003056_downsampled.jpg\n\n"
    )
    table = load_duplicate_list(path, ["ISIC_0003056.png", "other.png"])
    assert table["first_name"].tolist() == ["ISIC_0002871", "ISIC_0003056"]
    assert table["first"].isna().tolist() == [True, False]
    assert table.loc[1, "first"] == 0
    assert table["second_name"].isna().all()


@pytest.mark.parametrize("head", ["", "image\n", "image_id\n", "file name\n"])
def test_headings_are_told_from_names(tmp_path, head):
    (tmp_path / "list.csv").write_text(head + "lesion_a\nlesion_b\n")
    assert load_duplicate_list(tmp_path / "list.csv")["first_name"].tolist() == ["lesion_a", "lesion_b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no name"),
        ("image_name_1,image_name_2\n", "holds no name"),
        ("a,b,c\n1,2,3\n", "more than two columns"),
        ("ISIC_0000001,ISIC_0000002\nISIC_0000003,\n", "entry 2 of the list lacks a name"),
    ],
)
def test_files_that_are_no_lists(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_duplicate_list(tmp_path / "list.csv")
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        load_duplicate_list(tmp_path / "none.csv")


def test_names_must_be_told_apart(tmp_path):
    (tmp_path / "list.txt").write_text("a1\n")
    with pytest.raises(ValueError, match="'a1' is there more than once"):
        load_duplicate_list(tmp_path / "list.txt", ["x/a1.jpg", "y/a1.png"])


# ---------------------------------------------------------------------- real images


@pytest.mark.realdata
def test_copies_among_real_images(data_folder):
    """Some 40 images of ISIC 2017, of which two are one slide, scanned twice."""
    folder = data_folder / "isic2017"
    frame = pd.read_csv(folder / "isic2017.csv")
    scans = ["ISIC_0000164", "ISIC_0014795"]
    rows = pd.concat([frame[::55], frame[frame["image_id"].isin(scans)]]).drop_duplicates("image_id")
    files = [folder / name for name in rows["image"]]
    images = [cv2.imread(str(file))[..., ::-1] for file in files[:8]]
    copies = [
        jpeg(images[0], 40), resized(images[1], 0.5), resized(images[2], 2), np.rot90(images[3]).copy(),
        jpeg(resized(images[4][:, ::-1].copy(), 0.6), 45), cut(images[5], 0.05), jpeg(cut(images[6], 0.03)[::-1], 60),
        np.clip(images[7] * np.array([0.85, 1, 1.1]), 0, 255).astype(np.uint8),
    ]  # fmt: skip
    assert pairs_of(find_duplicates(files, copies)) == {(index, index) for index in range(8)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        among = find_duplicates(files)
    names = rows["image_id"].tolist()
    assert [{names[row.first], names[row.second]} for row in among.itertuples()] == [set(scans)]
    assert among.loc[0, "kind"] == "cropped"


def test_copies_between_bars_and_squashed_ones_are_found(images):
    image = images[4]
    height, width = image.shape[:2]
    bars = (width - height) // 2
    letterboxed = jpeg(cv2.copyMakeBorder(image, bars, bars, 0, 0, cv2.BORDER_CONSTANT), 70)
    copies = [
        letterboxed,
        cv2.resize(letterboxed, (150, 150), interpolation=cv2.INTER_AREA)[:, ::-1].copy(),
        cv2.resize(image, (150, 150), interpolation=cv2.INTER_AREA),
    ]
    table = find_duplicates(images, copies).sort_values("second")
    assert table[["first", "second", "kind", "transform"]].to_numpy().tolist() == [
        [4, 0, "cropped", "none"],
        [4, 1, "cropped", "mirrored left-right"],
        [4, 2, "resized", "none"],
    ]
    turned = find_duplicates([np.rot90(letterboxed).copy(), letterboxed])
    assert turned[["kind", "transform"]].to_numpy().tolist() == [["rotated", "rotated 90 clockwise"]]


def test_pairs_between_two_sets_make_no_groups(images):
    with pytest.raises(ValueError, match="between two sets of images"):
        group_duplicates(find_duplicates(images[:3], images[2:5]), 6)
