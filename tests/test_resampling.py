"""Resizing."""

import cv2
import numpy as np
import pytest

from skinseg.resampling import resize_image, shrink_to


@pytest.mark.parametrize("size", [(30, 40), (15, 20), (25, 33), (7, 11), (1, 1), (60, 80), (120, 97)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_size_type_and_mean(size, channels):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, *channels), dtype=np.uint8)
    resized = resize_image(image, size)
    assert resized.shape == (*size, *channels)
    assert resized.dtype == np.uint8
    assert abs(float(resized.mean()) - float(image.mean())) < 3


def test_whole_factors_are_means_of_blocks():
    image = np.random.default_rng(0).random((60, 80)).astype(np.float32)
    blocks = image.reshape(15, 4, 20, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_image(image, (15, 20)), blocks, rtol=1e-5)


def test_a_step_keeps_its_place():
    image = np.zeros((512, 512), np.uint8)
    image[:, 256:] = 200
    for side in (192, 171, 100, 300):
        small = resize_image(image, (side, side)).astype(float)
        assert abs((small[0] < 100).sum() - side / 2) <= 0.51


def test_same_size_is_the_same_array():
    image = np.zeros((6, 8), np.uint8)
    assert resize_image(image, (6, 8)) is image
    assert shrink_to(image, 8) is image
    assert shrink_to(image, 100) is image


@pytest.mark.parametrize(("shape", "expected"), [((300, 400), (75, 100)), ((5000, 2), (100, 1)), ((1, 900), (1, 100))])
def test_longer_side(shape, expected):
    assert shrink_to(np.zeros((*shape, 3), np.uint8), 100).shape == (*expected, 3)


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 5000), (1, 192)), ((200, 2000), (100, 100)), ((1000, 1000), (256, 256))]
)
def test_noise_and_stripes_average_out(shape, size):
    noise = np.random.default_rng(0).normal(128, 40, shape).clip(0, 255).astype(np.uint8)
    area = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_AREA)
    assert resize_image(noise, size).std() < 1.1 * area.std()
    stripes = ((np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 4 < 2) * 200).astype(np.uint8)
    assert resize_image(stripes, size).std() < cv2.resize(stripes, size[::-1], interpolation=cv2.INTER_AREA).std() + 2


def test_one_side_shrinks_and_the_other_grows():
    image = np.random.default_rng(0).normal(128, 40, (3, 5000)).clip(0, 255).astype(np.uint8)
    resized = resize_image(image, (200, 100))
    assert resized.shape == (200, 100)
    assert resized.std() < 12
