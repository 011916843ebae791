"""What a network sees of an image: the whole of it or the lesion, and its mirror images."""

import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.networks import augment, letterbox
from skinseg.networks._augment import FLIPS, letterbox_part, mirrored
from skinseg.networks._view import VIEWS, has_lesion, view_of

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (60, 80, 3), np.uint8)


def box(top, bottom, left, right, shape=(60, 80)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("margin", "part"),
    [
        (0.0, np.s_[20:30, 10:50]),
        (0.15, np.s_[14:36, 4:56]),  # 6 pixels: of the longer side, 40
        (0.5, np.s_[0:50, 0:70]),  # the image ends it
        (10.0, np.s_[:, :]),
    ],
)
def test_the_lesion_with_its_margin_by_hand(margin, part):
    record = LesionImage(IMAGE, box(20, 30, 10, 50))
    found = view_of(record, "lesion", margin)
    np.testing.assert_array_equal(found, IMAGE[part])
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous


def test_a_lesion_of_one_pixel_at_the_corner():
    record = LesionImage(IMAGE, box(59, 60, 79, 80))
    np.testing.assert_array_equal(view_of(record, "lesion", 0.15), IMAGE[59:, 79:])
    np.testing.assert_array_equal(view_of(record, "lesion", 2.0), IMAGE[57:, 77:])


def test_all_parts_of_a_mask_count():
    mask = box(5, 8, 5, 8) | box(40, 44, 60, 70)
    np.testing.assert_array_equal(view_of(LesionImage(IMAGE, mask), "lesion", 0.0), IMAGE[5:44, 5:70])


def test_the_whole_image_is_seen_where_there_is_no_lesion_or_none_is_asked_for():
    empty = LesionImage(IMAGE, box(0, 0, 0, 0))
    assert not has_lesion(empty)
    np.testing.assert_array_equal(view_of(empty, "lesion", 0.15), IMAGE)
    outlined = LesionImage(IMAGE, box(20, 30, 10, 50))
    assert has_lesion(outlined)
    np.testing.assert_array_equal(view_of(outlined, "image", 0.15), IMAGE)
    assert not has_lesion(LesionImage(IMAGE))
    np.testing.assert_array_equal(view_of(LesionImage(IMAGE), "image", 0.15), IMAGE)


def test_a_mask_of_the_origin_is_cut_in_the_frame_of_the_image():
    record = LesionImage(IMAGE, box(20, 40, 10, 50)).resize((30, 40))
    assert view_of(record, "lesion", 0.0).shape == (10, 20, 3)


def test_what_cannot_be_seen_is_told():
    with pytest.raises(ValueError, match=r"no mask, and view='lesion' .* put a segmenter before"):
        view_of(LesionImage(IMAGE), "lesion", 0.1)
    with pytest.raises(ValueError, match=r"view must be one of \('image', 'lesion'\), got 'mask'"):
        view_of(LesionImage(IMAGE), "mask", 0.1)
    assert VIEWS == ("image", "lesion")
    for margin in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="margin must be at least 0 and finite"):
            view_of(LesionImage(IMAGE, box(0, 1, 0, 1)), "lesion", margin)


# ---------------------------------------------------------------------- mirror images


@pytest.mark.parametrize("shape", [(19, 32), (32, 19), (32, 32), (1, 32)])
def test_mirror_images_lie_where_the_image_lay(shape):
    image = RNG.integers(0, 256, (*shape, 3), np.uint8)
    square, part = letterbox(image, 32), letterbox_part(shape, 32)
    np.testing.assert_array_equal(square[part], image)
    around = np.ones((32, 32), bool)
    around[part] = False
    turned = dict(mirrored(np.stack([square, square]), [part, part]))
    assert tuple(turned) == FLIPS
    for axes, squares in turned.items():
        for found in squares:
            np.testing.assert_array_equal(found[part], np.flip(image, axes))
            assert (found[around] == 127).all()
    np.testing.assert_array_equal(square[part], image)  # what was given is left alone


def test_the_augmentation_of_an_image_does_not_depend_on_its_lesion():
    mask = box(20, 30, 10, 50).astype(np.uint8) * 255
    for strength in (0.0, 0.5, 1.0):
        for seed in range(8):
            image, lesion, known = augment(IMAGE, None, 32, strength, np.random.default_rng(seed))
            expected, _, also_known = augment(IMAGE, mask, 32, strength, np.random.default_rng(seed))
            np.testing.assert_array_equal(image, expected)
            np.testing.assert_array_equal(known, also_known)
            assert not lesion.any()
