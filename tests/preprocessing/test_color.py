"""Color constancy, with values by hand."""

import math

import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.preprocessing._color import METHODS, ColorConstancy, correct_color, estimate_illuminant

# two halves: means 150, 100, 100; maxima 200, 150, 200
HALVES = np.empty((60, 80, 3), np.uint8)
HALVES[:, :40] = (100, 50, 200)
HALVES[:, 40:] = (200, 150, 0)


def unit(*light):
    return np.array(light) / np.linalg.norm(light)


def card(*color, shape=(60, 80)):
    return np.full((*shape, 3), color, np.uint8)


@pytest.mark.parametrize(
    ("settings", "light"),
    [
        ({"method": "gray_world"}, (150, 100, 100)),
        ({"p": 1}, (150, 100, 100)),
        ({"method": "max_rgb"}, (200, 150, 200)),
        ({"p": math.inf}, (200, 150, 200)),
        ({"p": 2}, (math.sqrt(25000), math.sqrt(12500), math.sqrt(20000))),
        # linear levels are squares here: their mean, which is no more than the mean square
        ({"p": 1, "gamma": 2}, (25000, 12500, 20000)),
        ({"method": "max_rgb", "gamma": 2}, (40000, 22500, 40000)),
    ],
)
def test_light_of_two_colors(settings, light):
    np.testing.assert_allclose(estimate_illuminant(HALVES, **settings), unit(*light), atol=1e-6)


@pytest.mark.parametrize("p", [1, 6, math.inf])
@pytest.mark.parametrize("sigma", [None, 0, 2])
def test_light_of_an_edge(p, sigma):
    image = card(100, 100, 100)
    image[:, 40:] = (180, 140, 120)  # gradients stand as 80 : 40 : 20
    light = estimate_illuminant(image, method="gray_edge", p=p, sigma=sigma)
    np.testing.assert_allclose(light, unit(80, 40, 20), atol=1e-4)


def test_large_powers_approach_the_maximum():
    np.testing.assert_allclose(estimate_illuminant(HALVES, p=1e5), unit(200, 150, 200), atol=1e-3)


@pytest.mark.parametrize("method", ["gray_world", "max_rgb", "shades_of_gray"])
def test_a_gray_card_under_colored_light_becomes_gray(method):
    # (120, 108, 72) has the length 176.77, and 176.77 / sqrt(3) = 102.06
    assert (correct_color(card(120, 108, 72), method=method) == 102).all()


def test_white_light_changes_nothing():
    image = np.repeat(np.arange(40, 240, dtype=np.uint8).reshape(10, 20, 1), 3, axis=2)
    for method in METHODS:
        np.testing.assert_array_equal(correct_color(image, method=method), image)


def test_bright_products_are_clipped():
    image = card(80, 80, 160)
    image[:10] = (240, 80, 160)
    result = correct_color(image, method="gray_world")
    assert result.max() == 255
    assert (result[:10, :, 0] == 255).all()


def test_a_power_of_linear_levels_is_a_higher_power_of_levels():
    light = estimate_illuminant(HALVES, p=3, gamma=2)
    np.testing.assert_allclose(light, unit(*estimate_illuminant(HALVES, p=6) ** 2), atol=1e-6)


def test_saturated_pixels_are_left_out():
    image = card(120, 100, 80)
    image[:20, :30] = 255
    np.testing.assert_allclose(estimate_illuminant(image), unit(120, 100, 80), atol=1e-6)
    np.testing.assert_allclose(estimate_illuminant(card(255, 200, 150)), unit(255, 200, 150), atol=1e-6)


def test_only_the_field_counts():
    image = card(120, 100, 80)
    image[:, 50:] = (0, 0, 200)
    field = np.zeros((60, 80), bool)
    field[:, :50] = True
    np.testing.assert_allclose(estimate_illuminant(image, field=field), unit(120, 100, 80), atol=1e-6)
    light = estimate_illuminant(image, method="gray_edge", field=field)
    np.testing.assert_allclose(light, unit(1, 1, 1))  # the edge is no part of the field
    (record,) = ColorConstancy().transform([LesionImage(image, field=field)])
    assert (record.image[:, :50] == 101).all()  # 101.3 = norm of (120, 100, 80) / sqrt(3)
    assert record.field is not None


def test_a_black_frame_counts_for_nothing_and_stays_black():
    image = card(120, 100, 80)
    image[:, :20] = 0
    np.testing.assert_allclose(estimate_illuminant(image, method="gray_world"), unit(120, 100, 80), atol=1e-6)
    result = correct_color(image)
    assert not result[:, :20].any()
    assert (result[:, 30:] == 101).all()


def test_a_dark_channel_is_not_blown_up():
    result = correct_color(card(200, 100, 3))
    assert (result[..., 2] == 12).all()  # at most 4 times
    assert not correct_color(card(200, 100, 0))[..., 2].any()


def test_size_does_not_matter():
    large = np.kron(HALVES, np.ones((20, 20, 1), np.uint8))
    np.testing.assert_allclose(estimate_illuminant(large), estimate_illuminant(HALVES), atol=0.01)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 5000), (64, 64)])
def test_odd_images(method, shape):
    for color in ((0, 0, 0), (255, 255, 255), (200, 0, 0), (90, 80, 70)):
        image = card(*color, shape=shape)
        image.flags.writeable = False
        for field in (None, np.zeros(shape, bool)):
            result = correct_color(image, method=method, field=field, sigma=32)
            assert result.shape == image.shape
            assert result.dtype == np.uint8
    assert (correct_color(card(0, 0, 0, shape=shape), method=method) == 0).all()


@pytest.mark.parametrize("settings", [{"method": "retinex"}, {"p": 0.5}, {"p": math.nan}, {"sigma": -1}, {"gamma": 9}])
def test_bad_parameters(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"'{name}' parameter of ColorConstancy"):
        ColorConstancy(**settings).fit([HALVES])
    with pytest.raises(ValueError, match=f"{name} must be"):
        correct_color(HALVES, **settings)
