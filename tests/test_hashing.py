"""Fingerprints: symmetries, hashes, search and comparison."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from skinseg.datasets import make_lesions
from skinseg.hashing import (
    HASH_BITS,
    SYMMETRIES,
    apply_symmetry,
    compare,
    dct_hash,
    fingerprint,
    hash_symmetry,
    local_detail,
    search_hashes,
)

EVERYWHERE = np.ones((64, 64), bool)


@pytest.fixture(scope="module")
def images():
    return make_lesions(6, random_state=5, min_side=160, max_side=220).images


def turned(image, symmetry):
    return np.dstack([apply_symmetry(channel, symmetry) for channel in cv2.split(image)])


def test_symmetries_do_what_their_names_say():
    square = np.arange(9).reshape(3, 3)
    by_numpy = {
        "none": square,
        "mirrored left-right": np.fliplr(square),
        "mirrored top-bottom": np.flipud(square),
        "rotated 180": np.rot90(square, 2),
        "transposed": square.T,
        "rotated 90 clockwise": np.rot90(square, -1),
        "rotated 90 counterclockwise": np.rot90(square),
        "transposed over the other diagonal": np.rot90(square, 2).T,
    }
    assert list(by_numpy) == list(SYMMETRIES)
    for symmetry, name in enumerate(SYMMETRIES):
        np.testing.assert_array_equal(apply_symmetry(square, symmetry), by_numpy[name])


@pytest.mark.parametrize("symmetry", range(8))
def test_hash_of_a_turned_thumbnail_is_derived_from_its_own(images, symmetry):
    gray = cv2.resize(cv2.cvtColor(images[0], cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
    derived = hash_symmetry(dct_hash(gray, EVERYWHERE)[None], symmetry)[0]
    computed = dct_hash(apply_symmetry(gray, symmetry), EVERYWHERE)
    assert np.count_nonzero(derived != computed) <= 1  # a coefficient may be next to zero


def test_hash_is_the_sign_of_cosine_coefficients():
    """One cosine along the rows: its own coefficient is positive, its negative's is not."""
    wave = np.cos(np.pi * 3 * (np.arange(64) + 0.5) / 64)
    gray = np.rint(128 + 100 * np.tile(wave, (64, 1))).astype(np.uint8)
    assert dct_hash(gray, EVERYWHERE)[3 - 1]  # row 0, column 3; the mean is left out
    assert not dct_hash(255 - gray, EVERYWHERE)[3 - 1]
    assert len(dct_hash(gray, EVERYWHERE)) == HASH_BITS == 143


def test_detail_leaves_out_light_and_gain():
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (64, 64)).astype(np.float32), (0, 0), 1)
    ramp = np.linspace(0, 80, 64, dtype=np.float32)
    detail = local_detail(100 + texture, EVERYWHERE, 4.0)
    other = local_detail(40 + 0.7 * texture + ramp, EVERYWHERE, 4.0)
    inner = slice(8, -8)
    assert np.corrcoef(detail[inner, inner].ravel(), other[inner, inner].ravel())[0, 1] > 0.98
    half = EVERYWHERE & (np.arange(64) < 32)
    assert not local_detail(100 + texture, half, 4.0)[:, 32:].any()
    # what lies outside has no part in what lies inside
    dark = np.where(half, 100 + texture, 0)
    np.testing.assert_allclose(local_detail(dark, half, 4.0), local_detail(100 + texture, half, 4.0), atol=1e-4)


def test_search_agrees_with_comparing_each_pair():
    rng = np.random.default_rng(0)
    hashes = rng.random((40, 4, HASH_BITS)) < 0.5
    noise = rng.random((3, HASH_BITS)) < 0.1
    hashes[30, 0] = hash_symmetry(hashes[3, :1], 6)[0] ^ noise[0]
    hashes[31, 0] = hashes[4, 2] ^ noise[1]  # the inner 80 % of the fifth
    hashes[2, 3] = hash_symmetry(hashes[33, :1], 1)[0] ^ noise[2]
    found = search_hashes(hashes, max_distance=40, block=7)
    expected = {}
    for i in range(40):
        for j in range(i + 1, 40):
            for a, b in ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (3, 0), (0, 3)):
                for k in range(8):
                    distance = np.count_nonzero(hash_symmetry(hashes[i, a : a + 1], k)[0] != hashes[j, b])
                    if distance <= 40:
                        expected[i, j, k, a, b] = distance
    keys = [(i, j, k, *views) for i, j, k, views, _ in zip(*(part.tolist() for part in found), strict=True)]
    assert dict(zip(keys, found.distance.tolist(), strict=True)) == expected
    assert [key[:2] for key in keys] == [(2, 33), (3, 30), (4, 31)]
    assert found.distance.tolist() == [int(noise[2].sum()), int(noise[0].sum()), int(noise[1].sum())]
    other = search_hashes(hashes[:10], hashes[28:], max_distance=40, block=7)
    assert list(zip(other.first.tolist(), other.second.tolist(), strict=True)) == [(2, 5), (3, 2), (4, 3)]
    assert len(search_hashes(hashes[:3], max_distance=5).first) == 0


def test_at_most_three_ways_of_a_pair_are_kept():
    found = search_hashes(np.ones((2, 4, HASH_BITS), bool), max_distance=HASH_BITS // 2)
    assert found.first.tolist() == [0, 0, 0]
    assert found.distance.tolist() == [0, 0, 0]


@pytest.mark.parametrize("symmetry", [0, 3, 5])
def test_thumbnails_of_copies_correlate(images, symmetry):
    copy = turned(images[1], symmetry)
    result = compare(fingerprint(images[1]), fingerprint(copy), symmetry, (0, 0), 0.8)
    assert result.correlation > 0.95
    assert not result.aligned
    other = compare(fingerprint(images[1]), fingerprint(images[2]), symmetry, (0, 0), 0.8)
    assert other.correlation < 0.5


def test_cut_images_are_aligned(images):
    image = images[1]
    height, width = image.shape[:2]
    cut = np.ascontiguousarray(image[height // 20 : -height // 20, width // 20 : -width // 20])
    result = compare(fingerprint(image), fingerprint(cut), 0, (1, 0), 0.8)
    assert result.aligned
    assert result.correlation > 0.8
    assert compare(fingerprint(cut), fingerprint(image), 0, (0, 1), 0.8).correlation > 0.8


def test_square_in_the_middle_has_the_hash_of_that_view(images):
    image = images[3]
    height, width = image.shape[:2]
    assert height != width
    top, left = (height - min(height, width)) // 2, (width - min(height, width)) // 2
    side = min(height, width)
    square = turned(np.ascontiguousarray(image[top : top + side, left : left + side]), 5)
    whole, part = fingerprint(image), fingerprint(square)
    distance = np.count_nonzero(hash_symmetry(whole.hashes[3:], 5)[0] != part.hashes[0])
    assert distance <= 20
    result = compare(whole, part, 5, (3, 0), 0.8)
    assert result.aligned
    assert result.correlation > 0.8


def test_images_without_detail_are_marked():
    assert fingerprint(np.full((90, 120, 3), 200, np.uint8)).plain
    assert fingerprint(np.zeros((90, 120, 3), np.uint8)).plain
    assert fingerprint(np.zeros((1, 1, 3), np.uint8)).plain


def test_digest_tells_shape_too():
    flat, tall = np.zeros((2, 8, 3), np.uint8), np.zeros((8, 2, 3), np.uint8)
    assert fingerprint(flat).digest != fingerprint(tall).digest
    assert fingerprint(flat).digest == fingerprint(flat.copy()).digest


def barred(image, level, top, left):
    return cv2.copyMakeBorder(image, top, top, left, left, cv2.BORDER_CONSTANT, value=(level,) * 3)


@pytest.mark.parametrize("level", [0, 255])
def test_bars_are_left_out_of_the_thumbnail(images, level):
    image = images[1][:120, :160]
    plain, framed = fingerprint(image), fingerprint(barred(image, level, 25, 20))
    assert (framed.shape, framed.content) == ((170, 200), (120, 160))
    np.testing.assert_array_equal(framed.gray, plain.gray)
    np.testing.assert_array_equal(framed.hashes, plain.hashes)
    assert plain.content == plain.shape


def test_gray_borders_and_what_would_leave_little_are_kept(images):
    image = images[1][:120, :160]
    assert fingerprint(barred(image, 128, 25, 0)).content == (170, 160)
    assert fingerprint(barred(image, 0, 150, 0)).content == (420, 160)
    assert fingerprint(np.zeros((40, 50, 3), np.uint8)).content == (40, 50)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (300, 1), (2, 900)])
def test_the_smallest_and_narrowest_images_have_a_fingerprint(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert fingerprint(noise).hashes.shape == (4, HASH_BITS)


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
        fingerprint(change(image))
