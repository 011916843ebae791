"""Working sizes."""

import numpy as np
import pytest

from skinseg import ImageResizer, LesionImage


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((300, 400), (75, 100)), ((400, 300), (100, 75)), ((5000, 2), (100, 1)), ((100, 100), (100, 100))],
)
def test_longer_side(shape, expected):
    (record,) = ImageResizer(100).transform([np.zeros((*shape, 3), np.uint8)])
    assert record.shape == expected
    assert record.geometry.origin == shape


def test_small_images_are_enlarged_only_if_asked():
    image = np.zeros((30, 40, 3), np.uint8)
    assert ImageResizer(80).transform([image])[0].shape == (30, 40)
    assert ImageResizer(80, enlarge=True).transform([image])[0].shape == (60, 80)


def test_shrinking_averages():
    checkers = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(200)
    (record,) = ImageResizer(32).transform([np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)])
    assert (record.image == 100).all()


def test_planes_follow():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 20:60] = True
    record = LesionImage(np.zeros((60, 80, 3), np.uint8), mask, reference_mask=mask, field=~mask, artifact_mask=mask)
    (small,) = ImageResizer(40).transform([record])
    for plane in (small.mask, small.reference_mask, ~small.field, small.artifact_mask):
        assert plane.shape == (30, 40)
        np.testing.assert_array_equal(plane, mask[::2, ::2])


@pytest.mark.parametrize("bad", [0, -5, 2.5, None])
def test_bad_sizes(bad):
    with pytest.raises(ValueError, match="'max_side' parameter of ImageResizer"):
        ImageResizer(bad).fit([np.zeros((3, 3, 3), np.uint8)])
