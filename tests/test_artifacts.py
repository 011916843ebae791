"""Stickers and ink are found by their color, lesions are not."""

import cv2
import numpy as np
import pytest

from skinseg import ThresholdSegmenter
from skinseg.artifacts import find_foreign
from skinseg.masks import overlap_counts

H, W = 192, 256
Y, X = np.mgrid[:H, :W]
LESION = np.hypot(Y - 96, X - 128) < 30
SKIN, BROWN = (200, 160, 140), (110, 70, 55)
STICKERS = {"blue": (0, 100, 190), "green": (30, 140, 90), "yellow": (220, 200, 20), "red": (230, 30, 30)}


def scene(*objects):
    image = np.full((H, W, 3), SKIN, np.uint8)
    image[LESION] = BROWN
    for where, color in objects:
        image[where] = color
    return cv2.GaussianBlur(image, (0, 0), 1)


@pytest.mark.parametrize("color", STICKERS.values(), ids=STICKERS)
def test_a_sticker_is_found_and_not_taken_for_the_lesion(color):
    sticker = np.hypot(Y - 40, X - 250) < 60
    image = scene((sticker, color))
    found = find_foreign(image)
    assert overlap_counts(sticker, found).jaccard > 0.85
    assert not found[LESION].any()
    (mask,) = ThresholdSegmenter().predict([image])
    assert overlap_counts(LESION, mask).jaccard > 0.8


def test_the_middle_of_a_sticker_belongs_to_it():
    distance = np.hypot(Y - 40, X - 225)
    image = scene((distance < 40, STICKERS["blue"]), (distance < 18, (150, 110, 90)))
    assert find_foreign(image)[distance < 38].mean() > 0.95


def test_a_ring_of_ink_around_the_lesion_is_not_filled():
    distance = np.hypot(Y - 96, X - 128)
    ring = (distance > 70) & (distance < 82)
    found = find_foreign(scene((ring, (95, 70, 125))))
    assert found[ring].mean() > 0.9
    assert not found[distance < 60].any()


def test_ink_is_found_and_not_taken_for_the_lesion():
    ink = (np.abs(Y - 30) < 12) & (np.abs(X - 60) < 40)
    image = scene((ink, (95, 70, 125)))
    assert find_foreign(image)[ink].mean() > 0.9
    (mask,) = ThresholdSegmenter().predict([image])
    assert overlap_counts(LESION, mask).jaccard > 0.8


@pytest.mark.parametrize("color", [(60, 70, 110), (70, 40, 90), (210, 90, 20), BROWN], ids=str)
def test_a_lesion_in_the_middle_is_never_foreign(color):
    assert not find_foreign(scene((LESION, color)))[LESION].any()


def test_what_covers_most_of_the_image_is_the_light():
    image = scene()
    image[:, : int(0.45 * W)] = (40, 60, 190)
    image[:, int(0.6 * W) :] = (40, 60, 190)
    assert not find_foreign(image).any()


def test_nothing_is_found_outside_of_the_field():
    sticker = np.hypot(Y - 40, X - 250) < 60
    field = X < 180
    assert not find_foreign(scene((sticker, STICKERS["blue"])), field=field)[~field & (X > 190)].any()
    assert not find_foreign(scene(), field=np.zeros((H, W), bool)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 5000), (5, 5)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_odd_images(shape, value):
    found = find_foreign(np.full((*shape, 3), value, np.uint8))
    assert found.shape == shape
    assert not found.any()
