"""Letterboxing and augmentation: mask and image move together, and nothing else of the caller's does."""

import random

import numpy as np
import pytest

from skinseg import UNetSegmenter
from skinseg.masks import overlap_counts
from skinseg.networks import augment, letterbox
from skinseg.networks._augment import letterbox_place, letterbox_shape

SHAPES = [(1, 1), (1, 300), (300, 1), (2, 5000), (40, 60), (61, 37), (64, 64)]
FILL = (127, 127, 127)


def scene(shape=(90, 120), radius=22, offset=(-8, 14)):
    """A violet disc on green, and its mask: no change of light brings the colors together."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    disc = np.hypot(y - shape[0] / 2 - offset[0], x - shape[1] / 2 - offset[1]) < radius
    image = np.full((*shape, 3), (60, 160, 60), np.uint8)
    image[disc] = (160, 60, 160)
    return image, disc.astype(np.uint8) * 255


def sample(strength, seed, size=64, shape=(90, 120)):
    return augment(*scene(shape), size, strength, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("shape", "size", "expected", "place"),
    [
        ((40, 60), 30, (20, 30), (5, 0)),
        ((60, 40), 30, (30, 20), (0, 5)),
        ((10, 10), 30, (30, 30), (0, 0)),
        ((2, 5000), 32, (1, 32), (15, 0)),
        ((1, 1), 8, (8, 8), (0, 0)),
        ((3, 4), 16, (12, 16), (2, 0)),
    ],
)
def test_letterbox_by_hand(shape, size, expected, place):
    assert letterbox_shape(shape, size) == expected
    assert letterbox_place(expected, size) == place
    image = np.full((*shape, 3), (10, 200, 30), np.uint8)
    square = letterbox(image, size)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    inside = np.zeros((size, size), bool)
    inside[place[0] : place[0] + expected[0], place[1] : place[1] + expected[1]] = True
    assert (square[inside] == (10, 200, 30)).all()
    assert (square[~inside] == FILL).all()
    np.testing.assert_array_equal(letterbox(np.full(shape, 255, np.uint8), size), inside * np.uint8(255))


def test_an_image_that_fits_is_copied_and_not_lent():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    square = letterbox(image, 16)
    np.testing.assert_array_equal(square, image)
    assert not np.shares_memory(square, image)


@pytest.mark.parametrize("shape", [(24, 32), (32, 24), (31, 17), (7, 90), (32, 32), (100, 75)])
def test_the_map_of_a_letterboxed_image_returns_to_its_place(shape):
    segmenter = UNetSegmenter(32)
    segmenter.architecture_ = {"input_size": 32}
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*shape, 3), np.uint8) for _ in range(2)]
    segmenter._run_network = lambda batch: batch[..., :1] / 255  # a network that answers with the red channel
    for mirrored in (False, True):
        segmenter.test_time_augmentation = mirrored
        maps = segmenter._maps([letterbox(image, 32) for image in images], [shape, shape])
        for image, found in zip(images, maps, strict=True):
            height, width = letterbox_shape(shape, 32)
            assert found.shape == (height, width)
            assert max(found.shape) == 32
            expected = letterbox(image[..., 0], 32)  # a plane, so that 0 is beside it
            top, left = letterbox_place((height, width), 32)
            np.testing.assert_allclose(255 * found, expected[top : top + height, left : left + width], atol=0.01)


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_mask_and_image_move_together(strength):
    scores = []
    for seed in range(60):
        image, lesion, known = sample(strength, seed, size=96)
        violet = image.astype(int)
        violet = (violet[..., 0] + violet[..., 2] > 2 * violet[..., 1]) & (known > 127)
        mask = (lesion > 127) & (known > 127)
        # dark places, of hair and beside a vignette, have no color
        seen = image.astype(int).max(-1) - image.min(-1) > 25
        if (mask & seen).sum() > 200:
            scores.append(overlap_counts(mask & seen, violet & seen).jaccard)
    assert len(scores) > 50
    assert min(scores) > 0.9
    assert np.median(scores) > 0.97


def test_strength_0_is_the_letterbox_and_draws_no_random_numbers():
    image, lesion = scene()
    rng = np.random.default_rng(3)
    found, mask, known = augment(image, lesion, 48, 0, rng)
    np.testing.assert_array_equal(found, letterbox(image, 48))
    np.testing.assert_array_equal(mask, letterbox(lesion, 48))
    np.testing.assert_array_equal(known, letterbox(np.full_like(lesion, 255), 48))
    assert rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize("seed", range(4))
def test_a_weak_augmentation_is_the_letterbox_or_its_mirror_image(seed):
    image, lesion = scene()
    found, mask, known = augment(image, lesion, 64, 1e-6, np.random.default_rng(seed))
    box, outline = letterbox(image, 64).astype(int), letterbox(lesion, 64)
    choices = [(box, outline), (box[:, ::-1], outline[:, ::-1])]
    apart = [np.abs(found.astype(int) - turned).mean() for turned, _ in choices]
    assert min(apart) < 1  # the outline of the disc is interpolated in another way
    assert max(apart) > 10
    assert overlap_counts(choices[np.argmin(apart)][1] > 127, mask > 127).jaccard > 0.97
    np.testing.assert_array_equal(known > 127, letterbox(np.full_like(lesion, 255), 64) > 127)


def test_light_is_not_shifted_where_nothing_changes():
    levels = np.arange(256, dtype=np.uint8)
    image = np.repeat(levels.reshape(16, 16)[..., None], 3, axis=-1)
    from skinseg.networks._augment import _relight

    np.testing.assert_array_equal(_relight(image, 1e-9, np.random.default_rng(0)), image)


@pytest.mark.parametrize("seed", range(12))
def test_known_is_where_the_image_is_and_fill_is_where_it_is_not(seed):
    image, _, known = augment(
        np.full((50, 80, 3), (250, 240, 5), np.uint8),
        np.zeros((50, 80), np.uint8),
        48,
        1.0,
        np.random.default_rng(seed),
    )
    assert (image[known < 128] == FILL).all()
    assert not (image[known == 255] == FILL).all(-1).any()
    assert (known > 127).any()


def test_samples_follow_from_the_generator_and_from_no_global_state():
    np.random.seed(1)
    random.seed(1)
    first = [sample(1.0, seed) for seed in range(8)]
    state = np.random.get_state()[1].tobytes(), random.getstate()
    np.random.seed(2)
    random.seed(2)
    again = [sample(1.0, seed) for seed in range(8)]
    for one, two in zip(first, again, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    np.random.seed(1)
    random.seed(1)
    assert state == (np.random.get_state()[1].tobytes(), random.getstate())
    images = {image.tobytes() for image, *_ in first}
    assert len(images) == 8


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape_and_its_types(shape, strength):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    lesion = (rng.random(shape) < 0.5).astype(np.uint8) * 255
    image.flags.writeable = lesion.flags.writeable = False  # as records and caches hand them out
    before = image.copy(), lesion.copy()
    for seed in range(6):
        found, mask, known = augment(image, lesion, 32, strength, np.random.default_rng(seed))
        assert found.shape == (32, 32, 3)
        assert mask.shape == known.shape == (32, 32)
        assert found.dtype == mask.dtype == known.dtype == np.uint8
        assert (mask <= known).all()  # no lesion beside the image
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(lesion, before[1])


@pytest.mark.parametrize("size", [1, 2, 8])
def test_tiny_samples(size):
    for seed in range(30):
        image, mask, known = sample(1.0, seed, size=size)
        assert image.shape == (size, size, 3)
        assert mask.shape == known.shape == (size, size)


def test_soft_masks_stay_soft():
    lesion = np.full((40, 40), 102, np.uint8)  # 0.4
    image = np.full((40, 40, 3), 200, np.uint8)
    values = set()
    for seed in range(20):
        _, mask, known = augment(image, lesion, 32, 1.0, np.random.default_rng(seed))
        values |= set(np.unique(mask[known == 255]).tolist())
    assert values <= {0, 101, 102, 103}  # 0 outside of a vignette
    assert 102 in values


def test_every_kind_of_change_occurs_and_grows_with_the_strength():
    image, lesion = scene()
    plain = letterbox(image, 64).astype(float)

    def change(strength):
        apart = [
            np.abs(augment(image, lesion, 64, strength, np.random.default_rng(seed))[0] - plain).mean()
            for seed in range(30)
        ]
        return float(np.mean(apart))

    assert change(0.0) == 0
    assert 0 < change(0.1) < change(0.4) < change(1.0)


@pytest.mark.parametrize(
    ("image", "lesion", "message"),
    [
        (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), "image must be .* got shape .8, 8, 3. and dtype float64"),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), "image must be an array of shape .H, W, C. and"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool), "lesion must be .* dtype bool; masks are brought"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), np.uint8), "lesion must have the size of the image"),
        (np.zeros((0, 8, 3), np.uint8), np.zeros((0, 8), np.uint8), "image must be .* got shape .0, 8, 3."),
    ],
)
def test_bad_arrays_are_refused_by_name(image, lesion, message):
    with pytest.raises(ValueError, match=message):
        augment(image, lesion, 32, 1.0, np.random.default_rng(0))
