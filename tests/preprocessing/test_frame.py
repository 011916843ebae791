"""Frames and vignettes."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from skinseg import LesionImage, ThresholdSegmenter
from skinseg.field import valid_field
from skinseg.preprocessing._frame import FrameCropper, crop_box

H, W = 200, 300
Y, X = np.mgrid[:H, :W]
RADIUS = np.hypot(Y - 99.5, X - 149.5)


def skin(shape=(H, W)):
    return np.full((*shape, 3), (210, 170, 150), np.uint8)


def vignetted(fade=8, darkest=0.0):
    """A disc of skin of radius 90 with a soft edge; `darkest` is the light outside of it."""
    light = np.clip((90 - RADIUS) / fade, darkest, 1)
    return (skin() * light[..., None]).astype(np.uint8)


# ---------------------------------------------------------------------- the box


def test_box_of_a_rectangle_is_exact():
    field = np.zeros((60, 80), bool)
    field[7:50, 3:71] = True
    assert crop_box(field) == crop_box(field, inscribed=True) == (7, 3, 43, 68)
    assert crop_box(np.ascontiguousarray(field.T)) == (3, 7, 68, 43)
    assert crop_box(field.T) == (3, 7, 68, 43)


def test_box_of_a_disc_is_exact():
    # pixels closer than 90 to (99.5, 149.5): rows 10 to 189, columns 60 to 239
    assert crop_box(RADIUS < 90, tolerance=0) == (10, 60, 180, 180)
    # the first row and column of the disc hold 18 or 19 pixels each, a tenth of the fullest
    top, left, height, width = crop_box(RADIUS < 90, tolerance=0.15)
    assert (top, left, height, width) == (11, 61, 178, 178)


def test_specks_do_not_widen_the_box():
    field = np.zeros((100, 100), bool)
    field[20:80, 20:80] = True
    field[5, 50] = field[50, 95] = True
    assert crop_box(field) == (20, 20, 60, 60)
    assert crop_box(field, tolerance=0) == (5, 20, 75, 76)


@pytest.mark.parametrize("scale", [1, 7])
def test_inscribed_box_is_valid_and_nearly_the_largest(scale):
    field = np.kron(RADIUS < 90, np.ones((scale, scale), bool))
    top, left, height, width = crop_box(field, inscribed=True)
    assert field[top : top + height, left : left + width].all()
    # the largest rectangle in a disc is the square of twice the squared radius
    assert height * width > 0.93 * 2 * (90 * scale) ** 2


def test_inscribed_box_of_an_l():
    field = np.zeros((64, 64), bool)
    field[:, :20] = True  # 64 * 20 = 1280
    field[40:, :] = True  # 24 * 64 = 1536
    assert crop_box(field, inscribed=True) == (40, 0, 24, 64)


def test_boxes_of_odd_fields():
    for shape in ((1, 1), (1, 7), (2, 5000)):
        assert crop_box(np.zeros(shape, bool)) == (0, 0, *shape)
        for inscribed in (False, True):
            assert crop_box(np.ones(shape, bool), inscribed=inscribed) == (0, 0, *shape)
    speck = np.zeros((300, 300), bool)
    speck[100, 200] = True
    assert crop_box(speck) == crop_box(speck, inscribed=True) == (100, 200, 1, 1)


def test_bad_fields():
    with pytest.raises(ValueError, match="2-D bool array"):
        crop_box(np.zeros((4, 4, 3), bool))
    with pytest.raises(ValueError, match="2-D bool array"):
        crop_box(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="tolerance"):
        crop_box(np.ones((4, 4), bool), tolerance=1)


# ---------------------------------------------------------------------- the field


@pytest.mark.parametrize("darkest", [0.0, 0.15, 0.3, 0.4])
@pytest.mark.parametrize("fade", [1, 8, 20])
def test_black_and_gray_vignettes_are_found(darkest, fade):
    # a disc that reaches out of the image above and below, as most do
    radius = np.hypot(Y - 99.5, X - 149.5)
    image = (skin() * np.clip((150 - radius) / fade, darkest, 1)[..., None]).astype(np.uint8)
    field = valid_field(image)
    corner = radius > 150
    # along the sides, between two corners, a gray vignette is told from nothing else
    assert field[corner].mean() < (0.02 if darkest < 0.2 else 0.2)
    assert field[radius < 150 - fade - 8].all()


def test_uneven_light_is_no_frame():
    image = (skin() * (1 - 0.25 * (RADIUS / RADIUS.max()) ** 2)[..., None]).astype(np.uint8)
    assert valid_field(image).all()


def test_the_field_of_a_dark_skin():
    image = (np.full((H, W, 3), (110, 75, 60)) * np.where(RADIUS < 150, 1, 0.1)[..., None]).astype(np.uint8)
    field = valid_field(image)
    assert not field[RADIUS > 151].any()
    assert field[RADIUS < 140].all()


@pytest.mark.parametrize("center", [(100, 0), (0, 150), (60, 300)])
def test_lesions_that_touch_the_edge_stay(center):
    image = skin()
    image[np.hypot(Y - center[0], X - center[1]) < 50] = (60, 35, 30)
    assert valid_field(image).all()


def test_a_corner_of_lesion_is_the_most_that_is_taken_for_frame():
    image = skin()
    image[np.hypot(Y - 40, X - 60) < 90] = (110, 70, 60)  # reaches into the corner, brown and not black
    lesion = image[..., 0] == 110
    assert (lesion & ~valid_field(image)).sum() < 0.25 * lesion.sum()


# ---------------------------------------------------------------------- the step


def test_a_black_bar_is_cut_off():
    image = skin()
    image[:, :60] = 0
    mask = RADIUS < 30
    (record,) = FrameCropper().transform([LesionImage(image, mask, reference_mask=mask)])
    height, width = record.shape
    assert height == H
    assert W - 68 <= width <= W - 60
    assert record.image.min() == 150
    assert record.field.all()
    assert record.mask.sum() == record.reference_mask.sum() == mask.sum()
    np.testing.assert_array_equal(record.origin_plane("mask"), mask)


def test_a_vignette_is_cropped_to_its_box():
    (record,) = FrameCropper().transform([vignetted()])
    top, left, height, width = record.geometry.box
    assert (height, width) == record.shape
    # light falls to 0.6 at a radius of 85.2, and the frame is widened by three working pixels
    assert abs(top + height / 2 - H / 2) <= 2
    assert abs(left + width / 2 - W / 2) <= 2
    assert 158 <= height <= 172
    assert 158 <= width <= 172
    assert not record.field[0, 0]
    assert record.field[record.shape[0] // 2].mean() > 0.97


def test_the_inscribed_crop_has_no_black():
    (record,) = FrameCropper(inscribed=True).transform([vignetted()])
    assert record.field.all()
    assert record.image.min() >= 0.5 * 150


def test_the_field_alone():
    image = vignetted()
    (record,) = FrameCropper("field").transform([image])
    np.testing.assert_array_equal(record.image, image)
    np.testing.assert_array_equal(record.field, valid_field(image))


def test_without_a_frame_nothing_is_cut():
    (record,) = FrameCropper().transform([skin()])
    assert record.shape == (H, W)
    assert record.geometry.is_origin
    assert record.field.all()


def test_a_field_that_is_there_is_kept():
    known = np.ones((H, W), bool)
    known[:50] = False
    image = skin()
    image[:, :60] = 0
    (record,) = FrameCropper("field").transform([LesionImage(image, field=known)])
    np.testing.assert_array_equal(record.field, known & valid_field(image))
    (record,) = FrameCropper().transform([LesionImage(image, field=known)])
    assert record.geometry.box[0] == 50


def test_a_frame_that_leaves_nothing_leaves_the_image():
    image = skin()
    image[:, :60] = 0
    known = X < 40
    (record,) = FrameCropper().transform([LesionImage(image, field=known)])
    assert record.shape == (H, W)
    np.testing.assert_array_equal(record.field, known)


@pytest.mark.parametrize("inscribed", [False, True])
def test_predictions_come_in_the_frame_of_the_user(inscribed):
    image = vignetted()
    lesion = np.hypot(Y - 90, X - 160) < 35
    image[lesion] = (90, 50, 40)
    pipe = make_pipeline(FrameCropper(inscribed=inscribed), ThresholdSegmenter()).fit([image])
    (mask,) = pipe.predict([image])
    assert mask.shape == (H, W)
    assert (mask & lesion).sum() / (mask | lesion).sum() > 0.85
    assert not mask[RADIUS > 90].any()
    assert pipe.score([image], [lesion]) > 0.85


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 5000), (5000, 2)])
@pytest.mark.parametrize("value", [0, 120, 255])
@pytest.mark.parametrize("inscribed", [False, True])
def test_odd_images(shape, value, inscribed):
    image = np.full((*shape, 3), value, np.uint8)
    image.flags.writeable = False
    cropper = FrameCropper(inscribed=inscribed)
    assert cropper.transform([image])[0].shape == shape
    assert cropper.transform([LesionImage(image, field=np.zeros(shape, bool))])[0].shape == shape


@pytest.mark.parametrize("settings", [{"mode": "cut"}, {"inscribed": "yes"}, {"tolerance": 1}, {"tolerance": -0.1}])
def test_bad_parameters(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"'{name}' parameter of FrameCropper"):
        FrameCropper(**settings).fit([skin()])
