"""Sheets of small pictures."""

import cv2
import numpy as np
import pandas as pd
import pytest

from skinseg import LesionImage
from skinseg.exceptions import ImageReadError, InvalidImagesError
from skinseg.inspection import contact_sheet, draw_outline

GREEN, VERMILION = (0, 158, 115), (213, 94, 0)


@pytest.fixture
def pair():
    image = np.full((40, 80, 3), 200, np.uint8)
    mask = np.zeros((40, 80), bool)
    mask[10:30, 20:60] = True
    return image, mask


def has_color(picture, color):
    return bool((np.abs(picture.astype(int) - color).max(axis=-1) <= 40).any())


def test_outline_on_a_copy(pair):
    image, mask = pair
    drawn = draw_outline(image, mask, thickness=1)
    assert (image == 200).all()
    np.testing.assert_allclose(drawn[10, 40], GREEN, atol=40)  # its edge is smooth
    assert (drawn[15:25, 25:55] == 200).all()


def test_pictures_lie_in_rows(pair):
    image, mask = pair
    sheet = contact_sheet([image, image, image], [mask, mask & False, mask], columns=2, size=(40, 80))
    assert sheet.shape == (80, 160, 3)
    assert has_color(sheet[:40, :80], GREEN)
    assert not has_color(sheet[:40, 80:], GREEN)
    assert has_color(sheet[40:, :80], GREEN)
    assert (sheet[40:, 80:] == 255).all()  # no fourth picture


def test_mask_of_the_record_and_reference(pair):
    image, mask = pair
    sheet = contact_sheet([LesionImage(image, mask)], references=[np.roll(mask, 10, 1)], columns=1, size=(40, 80))
    assert has_color(sheet, GREEN)
    assert has_color(sheet, VERMILION)


def test_titles_take_a_line_below_each_picture(pair):
    image, mask = pair
    plain = contact_sheet([image, image], [mask, mask], columns=2, size=(40, 80))
    titled = contact_sheet([image, image], [mask, mask], columns=2, size=(40, 80), titles=["a name", ""])
    assert titled.shape == (56, 160, 3)
    np.testing.assert_array_equal(titled[:40], plain)
    assert (titled[40:, :80] < 100).any()
    assert (titled[40:, 80:] == 255).all()


@pytest.mark.parametrize("kind", [np.array, lambda texts: pd.Series(texts, index=[1, 0])])
def test_titles_of_a_column_go_by_their_place(pair, kind):
    sheet = contact_sheet([pair[0]] * 2, titles=kind(["first", "second"]))
    np.testing.assert_array_equal(sheet, contact_sheet([pair[0]] * 2, titles=["first", "second"]))


def test_automatic_titles(pair):
    image, mask = pair
    records = [LesionImage(image, mask, name="n1", confidence=0.85), LesionImage(image, mask & False, name="n2")]
    automatic = contact_sheet(records, size=(40, 160), titles="auto")
    by_hand = contact_sheet(records, size=(40, 160), titles=["n1 (0.85)", "n2: no lesion found"])
    np.testing.assert_array_equal(automatic, by_hand)


@pytest.mark.parametrize("title", ["<script>alert(1)</script>" * 9, "ünïcødé 漢字 \x1b[31m\n\t", "'\"&;", "a" * 500])
def test_any_title_fits(pair, title):
    image, mask = pair
    sheet = contact_sheet([image, image], [mask, mask], columns=2, size=(40, 100), titles=[title, ""])
    below = sheet[40:]
    assert (below < 128).any()
    assert (below[:, 100:] == 255).all()  # nothing runs into the next one


def test_images_that_cannot_be_read_are_shown_as_such(pair, broken_files):
    image, mask = pair
    record = LesionImage(image, mask, error="a former failure")
    X = [image, broken_files / "cut.jpg", broken_files / "empty.jpg", record, broken_files / "none.jpg"]
    with pytest.raises(InvalidImagesError, match=r"empty\.jpg"):
        contact_sheet(X)
    with pytest.raises(ImageReadError, match=r"cut\.jpg"):
        contact_sheet(X[:2])
    sheet = contact_sheet(X, columns=5, size=(60, 100), on_error="show", titles="auto")
    assert sheet.shape == (76, 500, 3)
    tiles = np.split(sheet[:60], 5, axis=1)
    assert [bool((tile[-3:] == 225).all()) for tile in tiles] == [False, True, True, True, True]
    assert all((tile < 100).any() for tile in tiles[1:])  # the reasons
    masks = [mask, *[np.zeros((1, 1), bool)] * 4]
    with pytest.raises(ValueError, match="size"):
        contact_sheet(X[:2], masks[:2], on_error="show")
    shown = contact_sheet([image, broken_files / "empty.jpg"], [mask, None], columns=2, size=(40, 80), on_error="show")
    assert has_color(shown[:, :80], GREEN)


def test_all_images_of_a_table_fail(tmp_path):
    table = pd.DataFrame({"image": [tmp_path / "a.png", tmp_path / "b.png"]})
    sheet = contact_sheet(table, columns=2, size=(30, 60), on_error="show")
    assert sheet.shape == (30, 120, 3)
    assert (sheet[-1] == 225).all()


def test_file_and_its_mask_file(tmp_path, pair):
    image, mask = pair
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "m.png"), mask.astype(np.uint8) * 255)
    sheet = contact_sheet([tmp_path / "a.png"], [tmp_path / "m.png"], columns=1, size=(40, 80))
    np.testing.assert_array_equal(sheet, contact_sheet([image], [mask], columns=1, size=(40, 80)))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"columns": 0}, "columns must be at least 1"),
        ({"size": (0, 10)}, "size must be"),
        ({"titles": ["a"]}, "1 titles for 2 images"),
        ({"titles": "names"}, "titles must be 'auto'"),
        ({"on_error": "nan"}, "on_error must be"),
        ({"masks": [None]}, "1 masks for 2 images"),
    ],
)
def test_bad_calls(pair, wrong, match):
    with pytest.raises(ValueError, match=match):
        contact_sheet([pair[0], pair[0]], **wrong)
