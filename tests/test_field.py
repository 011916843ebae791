"""The valid field of view and the flattening of light."""

import numpy as np
import pytest

from skinseg.field import flatten_shading, valid_field

Y, X = np.mgrid[:200, :300]


def skin():
    return np.full((200, 300, 3), (210, 170, 150), np.uint8)


def test_no_frame():
    assert valid_field(skin()).all()


def test_black_bars_are_left_out():
    image = skin()
    image[:, :40] = 5
    field = valid_field(image)
    assert not field[:, :40].any()
    assert field[:, 50:].all()


@pytest.mark.parametrize("scale", [1, 4])
def test_round_vignette(scale):
    radius = np.hypot(Y - 100, X - 150)
    image = skin() * np.clip((125 - radius) / 8, 0, 1)[..., None]
    image = np.kron(image, np.ones((scale, scale, 1))).astype(np.uint8)
    field = valid_field(image)[::scale, ::scale]
    assert not field[radius > 126].any()
    assert field[radius < 108].all()


def test_a_dark_lesion_at_the_edge_is_no_frame():
    image = skin()
    image[np.hypot(Y - 100, X) < 60] = 20
    assert valid_field(image).all()


def test_a_dark_lesion_in_the_middle_is_no_frame():
    image = skin()
    image[np.hypot(Y - 100, X - 150) < 60] = 0
    assert valid_field(image).all()


def test_a_black_image_keeps_its_field():
    assert valid_field(np.zeros((50, 60, 3), np.uint8)).all()


def test_shading_is_taken_out_and_the_lesion_stays():
    shading = 20 * (X / 300 - 0.5) + 15 * (Y / 200 - 0.5) ** 2
    lesion = np.hypot(Y - 100, X - 150) < 40
    gray = (180 + shading - 80 * lesion).astype(np.float32)
    flat = flatten_shading(gray, ~lesion)
    assert flat[~lesion].std() < 0.05
    assert flat[~lesion].mean() - flat[lesion].mean() == pytest.approx(80, abs=0.5)


def test_without_skin_nothing_changes():
    gray = np.arange(60, dtype=np.float32).reshape(6, 10)
    np.testing.assert_array_equal(flatten_shading(gray, np.zeros((6, 10), bool)), gray)
