"""Local contrast."""

import cv2
import numpy as np
import pytest
from skimage.exposure import equalize_adapthist

from skinseg import LesionImage
from skinseg.preprocessing import _contrast
from skinseg.preprocessing._contrast import ContrastEqualizer, equalize_contrast

Y, X = np.mgrid[:96, :128]


def faint():
    image = np.full((96, 128, 3), (200, 160, 140), np.uint8)
    image[np.hypot(Y - 48, X - 64) < 25] = (190, 150, 132)
    return image + (X[..., None] % 5).astype(np.uint8)


def lab(image):
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def test_contrast_rises():
    image = faint()
    lesion = np.hypot(Y - 48, X - 64) < 20
    before, after = lab(image)[..., 0], lab(equalize_contrast(image))[..., 0]
    assert after[~lesion].mean() - after[lesion].mean() > 2 * (before[~lesion].mean() - before[lesion].mean())


def test_lightness_is_that_of_scikit_image():
    image = np.repeat((X + Y // 4)[..., None], 3, axis=2).astype(np.uint8)  # gray: every lightness can be shown
    expected = equalize_adapthist(lab(image)[..., 0] / 100, clip_limit=0.02, kernel_size=24) * 100
    result = equalize_contrast(image, clip_limit=0.02, kernel_size=24, field=np.ones((96, 128), bool))
    assert np.abs(lab(result)[..., 0] - expected).max() < 0.5


def test_colors_are_kept():
    image = faint()
    image[:10], image[-10:] = (40, 32, 28), (250, 246, 244)  # the range is full already
    result = equalize_contrast(image, clip_limit=0.005)
    shown = (result > 0).all(axis=2) & (result < 255).all(axis=2)  # what is not cut off
    assert shown.mean() > 0.5
    assert np.abs(lab(image)[shown, 1:] - lab(result)[shown, 1:]).max() < 1.5


def test_the_frame_stays_and_counts_for_nothing():
    image = faint()
    framed = np.zeros((96, 168, 3), np.uint8)
    framed[:, 40:] = image
    field = np.zeros((96, 168), bool)
    field[:, 40:] = True
    result = equalize_contrast(framed, field=field)
    assert not result[:, :40].any()
    (record,) = ContrastEqualizer().transform([LesionImage(framed, field=field)])
    np.testing.assert_array_equal(record.image, result)
    # whatever lies in the frame
    framed[:, :40] = (0, 255, 0)
    np.testing.assert_array_equal(equalize_contrast(framed, field=field)[:, 40:], result[:, 40:])


def test_large_images_take_the_change_over(monkeypatch):
    image = cv2.resize(faint(), (512, 384), interpolation=cv2.INTER_LINEAR)
    exact = equalize_contrast(image)
    monkeypatch.setattr(_contrast, "_SIDE", 256)
    monkeypatch.setattr(_contrast, "_STRIP", 37)
    quick = equalize_contrast(image)
    difference = np.abs(exact.astype(int) - quick)
    assert difference.mean() < 8  # the stretch to the full range follows from a few pixels
    assert np.corrcoef(exact[..., 1].ravel(), quick[..., 1].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 5000), (5000, 2), (64, 64)])
def test_odd_images(shape):
    rng = np.random.default_rng(0)
    images = [np.full((*shape, 3), value, np.uint8) for value in (0, 120, 255)]
    for image in images:
        image.flags.writeable = False
        np.testing.assert_array_equal(equalize_contrast(image), image)
    noise = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for field in (None, np.zeros(shape, bool)):
        for kernel_size in (None, 16, 9999):
            result = equalize_contrast(noise, field=field, kernel_size=kernel_size)
            assert result.shape == noise.shape
            assert result.dtype == np.uint8


@pytest.mark.parametrize(
    "settings", [{"clip_limit": 0}, {"clip_limit": 1.5}, {"kernel_size": 8}, {"kernel_size": 20.5}]
)
def test_bad_parameters(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"'{name}' parameter of ContrastEqualizer"):
        ContrastEqualizer(**settings).fit([faint()])


def test_bad_arguments():
    with pytest.raises(ValueError, match="clip_limit must be"):
        equalize_contrast(faint(), clip_limit=0)
    with pytest.raises(ValueError, match="kernel_size must be"):
        equalize_contrast(faint(), kernel_size=4)
