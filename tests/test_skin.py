"""The typology angle of skin, against values of CIELAB that are worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from skinseg.skin import SKIN_TONES, individual_typology_angle, skin_tone


def lab_of(rgb):
    """L* and b* of an sRGB color, by the formulas of IEC 61966-2-1 and CIE 15 (D65)."""
    share = np.asarray(rgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    _, y, z = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    y, z = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (y, z / 1.08883))
    return 116 * y - 16, 200 * (y - z)


def plain(rgb, shape=(60, 80)):
    return np.full((*shape, 3), rgb, dtype=np.uint8)


@pytest.mark.parametrize("rgb", [(224, 190, 168), (200, 160, 140), (150, 110, 85), (90, 60, 45), (60, 40, 32)])
def test_angle_of_an_even_color(rgb):
    light, yellow = lab_of(rgb)
    expected = np.degrees(np.arctan((light - 50) / yellow))
    assert individual_typology_angle(plain(rgb)) == pytest.approx(expected, abs=0.05)


def test_gray_and_bluish_light():
    """Of gray b* is 0, and the angle 90 above L* = 50 and -90 below; below b* = 0 it goes on and does not jump."""
    assert individual_typology_angle(plain((200, 200, 200))) == pytest.approx(90, abs=0.5)
    assert individual_typology_angle(plain((50, 50, 50))) == pytest.approx(-90, abs=0.5)
    light, yellow = lab_of((200, 200, 206))
    assert yellow < 0
    assert (
        90
        < individual_typology_angle(plain((200, 200, 206)))
        == pytest.approx(90 + np.degrees(np.arctan(-yellow / (light - 50))), abs=0.1)
    )


def test_lesion_its_margin_and_what_is_left_out_do_not_count():
    image = plain((224, 190, 168), (100, 140))
    skin = individual_typology_angle(image)
    mask = np.zeros((100, 140), bool)
    mask[30:70, 45:95] = True
    image[24:76, 39:101] = (90, 60, 45)  # pigment beyond the outline, within the margin of 7 pixels
    assert individual_typology_angle(image, mask) == skin
    assert individual_typology_angle(image[24:76, 39:101], None) < 0
    hair = np.zeros((100, 140), bool)
    hair[:, ::3] = hair[:, 1::3] = True
    image[hair & ~mask] = (20, 20, 20)
    field = np.ones((100, 140), bool)
    assert individual_typology_angle(image, mask, field=field) != pytest.approx(skin, abs=5)
    assert individual_typology_angle(image, mask, field=field, exclude=hair) == skin


def test_outside_of_the_field_is_no_skin():
    image = plain((200, 160, 140))
    image[:, :30] = 8  # a frame
    assert individual_typology_angle(image) == pytest.approx(
        individual_typology_angle(plain((200, 160, 140))), abs=1e-6
    )


def test_too_little_skin_is_not_told():
    assert np.isnan(individual_typology_angle(plain((200, 160, 140)), np.ones((60, 80), bool)))
    assert np.isnan(individual_typology_angle(plain((200, 160, 140), (9, 11))))  # 99 pixels
    assert not np.isnan(individual_typology_angle(plain((200, 160, 140), (10, 10))))


def test_large_images_are_measured_small():
    image = plain((200, 160, 140), (600, 800))
    mask = np.zeros((600, 800), bool)
    mask[200:400, 300:500] = True
    expected = individual_typology_angle(plain((200, 160, 140)))
    assert individual_typology_angle(image, mask) == pytest.approx(expected, abs=1e-9)


def test_bands():
    limits = {55: "light", 41: "intermediate", 28: "tan", 10: "brown", -30: "dark"}
    for limit, below in limits.items():
        above = SKIN_TONES[SKIN_TONES.index(below) - 1]
        assert (skin_tone(limit + 0.01), skin_tone(limit)) == (above, below)
    assert skin_tone(float("nan")) is None


def test_bad_calls():
    image = plain((200, 160, 140))
    for name in ("mask", "field", "exclude"):
        with pytest.raises(ValueError, match=rf"{name} has the size \(3, 4\)"):
            individual_typology_angle(image, **{name: np.ones((3, 4), bool)})
    with pytest.raises(ValueError, match="margin"):
        individual_typology_angle(image, margin=5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda image: image[..., 0], r"gray\?\); convert it with skimage\.color\.gray2rgb"),
        (lambda image: np.dstack([image, image[..., 0]]), r"RGBA\?\); drop the alpha channel"),
        (lambda image: image.astype(np.uint16) * 256, "convert 16 bits with"),
        (lambda image: image / 255, r"skimage\.util\.img_as_ubyte"),
        (lambda image: Path("a.jpg"), r"got the path a\.jpg; use read_image"),
    ],
)
def test_what_is_no_image(change, text):
    image = np.full((40, 50, 3), 150, np.uint8)
    with pytest.raises((TypeError, ValueError), match=text):
        individual_typology_angle(change(image))
