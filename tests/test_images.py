"""The record, and the validators of images and masks."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinseg import LesionImage, check_images, check_masks
from skinseg.exceptions import ImageReadError, InvalidImagesError
from skinseg.images import is_label_sequence


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)


@pytest.fixture
def mask():
    mask = np.zeros((30, 40), bool)
    mask[8:20, 10:30] = True
    return mask


@pytest.fixture
def file(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "skin.png")
    return tmp_path / "skin.png"


def test_records_are_immutable(image, mask):
    record = LesionImage(image, mask)
    with pytest.raises(AttributeError, match=r"with_\(name=\.\.\.\)"):
        record.name = "x"
    with pytest.raises(ValueError, match="read-only"):
        record.image[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        record.mask[0, 0] = True
    image[0, 0] = 1  # the user's own array stays writable


def test_records_compare_by_identity(image):
    record = LesionImage(image)
    assert record == record
    assert record != LesionImage(image)
    assert len({record, LesionImage(image)}) == 2


def test_a_file_is_decoded_when_read_and_not_kept(file, image):
    record = LesionImage(file)
    assert record.name == "skin"
    assert record.shape == (30, 40)
    np.testing.assert_array_equal(record.image, image)
    assert record.image is not record.image
    file.unlink()
    with pytest.raises(ImageReadError, match="does not exist"):
        _ = record.image


def test_with_reads_nothing(tmp_path):
    record = LesionImage(tmp_path / "no.jpg", tmp_path / "no_mask.png")
    changed = record.with_(name="b", reference_mask=tmp_path / "no_reference.png", pixel_size=0.1)
    assert (changed.name, changed.pixel_size, record.name) == ("b", 0.1, "no")
    assert changed.has("reference_mask")
    assert not record.has("reference_mask")


def test_with_refuses_what_does_not_fit(image, mask):
    record = LesionImage(image, mask)
    with pytest.raises(ValueError, match=r"record\.resize"):
        record.with_(image=image[:10])
    with pytest.raises(TypeError, match="no part 'masks'"):
        record.with_(masks=mask)
    with pytest.raises(ValueError, match=r"\(10, 40\).*\(30, 40\)"):
        record.with_(mask=mask[:10])
    assert not record.with_(mask=None).has("mask")


def test_resize_keeps_masks_and_remembers_the_origin(image, mask):
    record = LesionImage(image, mask, reference_mask=mask).resize((15, 20))
    assert record.image.shape == (15, 20, 3)
    assert record.mask.shape == record.reference_mask.shape == (15, 20)
    np.testing.assert_array_equal(record.origin_plane("mask"), mask)
    assert record.geometry.origin == (30, 40)
    assert record.geometry.scale == (2, 2)


def test_crop_and_resize_map_back(image, mask):
    record = LesionImage(image).crop(4, 6, 20, 30).resize((40, 60))
    found = record.with_(mask=np.ones((40, 60), bool))
    expected = np.zeros((30, 40), bool)
    expected[4:24, 6:36] = True
    np.testing.assert_array_equal(found.origin_plane("mask"), expected)
    cut = record.with_(reference_mask=mask).reference_mask
    assert cut.shape == (40, 60)
    np.testing.assert_array_equal(cut[::2, ::2], mask[4:24, 6:36])


def test_a_plane_of_the_origin_is_not_taken_for_one_of_the_crop(image, mask):
    """The crop is brought to the size of the origin, so that sizes alone cannot tell."""
    record = LesionImage(image, reference_mask=mask).crop(0, 0, 15, 20).resize((30, 40))
    np.testing.assert_array_equal(record.reference_mask[::2, ::2], mask[:15, :20])
    given_later = record.with_(reference_mask=None).with_(reference_mask=mask)
    np.testing.assert_array_equal(given_later.reference_mask, record.reference_mask)
    written = record.with_(mask=record.reference_mask)  # by a step: in the frame of the image
    np.testing.assert_array_equal(written.mask, record.reference_mask)


def test_masks_of_another_size_are_refused(image):
    with pytest.raises(ValueError, match=r"\(5, 6\), which is not that of the image \(30, 40\)"):
        LesionImage(image, np.ones((5, 6), bool))
    with pytest.raises(ValueError, match=r"nor of its origin \(30, 40\)"):
        LesionImage(image).resize((10, 10)).with_(mask=np.ones((5, 6), bool))


def test_a_mask_drawn_on_the_stored_frame_of_a_rotated_file(tmp_path, image):
    picture = Image.fromarray(image)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    record = LesionImage(tmp_path / "turned.jpg")
    assert record.shape == (40, 30)
    with pytest.raises(ValueError, match="EXIF orientation 6"):
        record.with_(mask=np.ones((30, 40), bool))


def test_mask_files_are_checked_against_the_image(tmp_path, image):
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(ImageReadError, match=r"m\.png.*\(5, 5\)"):
        _ = LesionImage(image, tmp_path / "m.png").mask


def test_pickle_hash_and_cache_key(file, image, mask):
    for record in (LesionImage(image, mask, name="a"), LesionImage(file), LesionImage(file).load().resize((10, 9))):
        copy = pickle.loads(pickle.dumps(record))
        assert copy.cache_key() == record.cache_key()
        assert joblib.hash(copy) == joblib.hash(record)
        np.testing.assert_array_equal(copy.image, record.image)
        assert copy.geometry == record.geometry
    stamped = LesionImage(file)
    keys = stamped.cache_key(), joblib.hash(stamped)
    assert stamped.load().cache_key() == keys[0]
    assert len(pickle.dumps(stamped)) < 1000  # no pixels travel
    Image.fromarray(image[::-1]).save(file)
    import os

    os.utime(file, ns=(1, 1))
    assert stamped.cache_key() != keys[0]
    assert joblib.hash(stamped) != keys[1]


def test_a_relative_path_is_found_from_another_folder(file, tmp_path, monkeypatch):
    monkeypatch.chdir(file.parent)
    data = pickle.dumps(LesionImage(file.name, file.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(data).shape == pickle.loads(data).mask.shape == (30, 40)


def test_cache_key_follows_content(image, mask):
    keys = {
        LesionImage(image).cache_key(),
        LesionImage(image[::-1]).cache_key(),
        LesionImage(image, mask).cache_key(),
        LesionImage(image, reference_mask=mask).cache_key(),
        LesionImage(image, pixel_size=0.1).cache_key(),
        LesionImage(image).resize((15, 20)).cache_key(),
        LesionImage(LesionImage(image).resize((15, 20)).image).cache_key(),
    }
    assert len(keys) == 7
    assert LesionImage(image, name="a").cache_key() == LesionImage(image.copy(), name="b").cache_key()


def test_pixel_size_is_checked(image):
    for value in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="pixel_size"):
            LesionImage(image, pixel_size=value)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros((4, 5), np.uint8), "gray2rgb"),
        (np.zeros((4, 5, 1), np.uint8), "gray2rgb"),
        (np.zeros((4, 5, 4), np.uint8), r"\[\.\.\., :3\]"),
        (np.zeros((3, 4, 5), np.uint8), "moveaxis"),
        (np.zeros((4, 5, 3)), "img_as_ubyte"),
        (np.zeros((4, 5, 3), np.uint16), ">> 8"),
        (np.zeros((4, 5, 3), bool), "255"),
        (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        (Image.new("RGB", (4, 5)), r"numpy\.asarray"),
        ([[1, 2], [3, 4]], "got list"),
    ],
)
def test_arrays_of_another_kind_name_the_conversion(bad, words):
    with pytest.raises((ValueError, TypeError), match=words):
        LesionImage(bad)


def test_all_bad_items_are_listed_at_once(broken_files, image):
    X = [image, broken_files / "missing.jpg", broken_files / "empty.jpg", broken_files / "text.jpg", None, np.nan]
    with pytest.raises(InvalidImagesError) as caught:
        check_images(X, "Somebody")
    assert sorted(caught.value.errors) == [1, 2, 3, 4, 5]
    text = str(caught.value)
    for word in ("Somebody cannot use 5 of 6", "missing.jpg", "does not exist", "0 bytes", "not an image", "X[5]"):
        assert word in text
    assert pickle.loads(pickle.dumps(caught.value)).errors == caught.value.errors


def test_long_lists_of_errors_are_cut():
    with pytest.raises(InvalidImagesError, match="and 30 more"):
        check_images([None] * 50)


def test_every_container_gives_the_same(image, file):
    forms = [
        [file],
        (str(file),),
        pd.Series([file]),
        np.array([str(file)]),
        pd.DataFrame({"image": [file], "age": [3]}),
    ]
    forms += [image[None], [image], [LesionImage(image)]]
    for X in forms:
        (record,) = check_images(X)
        np.testing.assert_array_equal(record.image, image)


def test_frames_bring_masks_sizes_and_names(image, mask, file):
    frame = pd.DataFrame(
        {
            "image": [file, image],
            "mask": [None, mask],
            "pixel_size": [0.1, np.nan],
            "name": ["x", None],
            "age": [50, 60],
        }
    )
    first, second = check_images(frame)
    assert (first.name, first.pixel_size, first.has("mask")) == ("x", 0.1, False)
    assert (second.name, second.pixel_size) == (None, None)
    np.testing.assert_array_equal(second.mask, mask)


def test_a_frame_without_images_names_its_columns():
    with pytest.raises(ValueError, match=r"column 'image'.*\['path'\]"):
        check_images(pd.DataFrame({"path": ["a.jpg"]}))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ("a.jpg", r"single str; put it into a list"),
        (Path("a.jpg"), "put it into a list"),
        (np.zeros((4, 5, 3), np.uint8), "put it into a list"),
        (np.zeros((4, 5)), "no images"),
        (iter(["a.jpg"]), "make a list"),
        ([], "at least one image"),
    ],
)
def test_what_is_no_sequence_of_images(X, words):
    with pytest.raises(ValueError, match=words):
        check_images(X)


def test_label_sequences():
    for y in (
        [0, 1],
        ["a", "b"],
        np.array([0, 1]),
        np.array(["a"]),
        pd.Series([1, 0]),
        [True],
        np.array(["a", 1], object),
    ):
        assert is_label_sequence(y)
    for y in (None, [np.zeros((2, 2))], [Path("a.png")], np.zeros((2, 3, 3)), []):
        assert not is_label_sequence(y)


def test_check_masks(tmp_path, image, mask):
    Image.fromarray(mask).save(tmp_path / "m.png")
    records = [LesionImage(image)] * 3
    first, second, third = check_masks([mask, mask.astype(np.uint8) * 255, tmp_path / "m.png"], records)
    assert first.dtype == second.dtype == bool
    assert third == tmp_path / "m.png"
    (soft,) = check_masks([mask * 0.5], records[:1], allow_float=True)
    assert soft.dtype == np.float32


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (["m.png"], "wrap mask files in pathlib.Path"),
        ([np.zeros((30, 40))], "mask >= 0.5"),
        ([np.full((30, 40), 7, np.uint8)], "0 and 255"),
        ([np.zeros((30, 40, 3), bool)], "2-D"),
        ([np.zeros((3, 4), bool)], r"mask 0: .*\(3, 4\)"),
        ([None], "missing"),
        ([Path("no such mask.png")], "does not exist"),
        (np.zeros((30, 40), bool), "put a single mask into a list"),
        ([np.zeros((30, 40), bool)] * 2, "2 masks for 1 images"),
    ],
)
def test_bad_masks(image, masks, words):
    with pytest.raises(ValueError, match=words):
        check_masks(masks, [LesionImage(image)])
