"""Arrays and containers of any kind: records, masks, or an error that lists what is wrong with which item."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_budget import examples

from skinseg import check_images, check_masks
from skinseg.artifacts import find_foreign
from skinseg.exceptions import InvalidImagesError
from skinseg.field import flatten_shading, valid_field
from skinseg.hashing import fingerprint
from skinseg.images import LesionImage
from skinseg.masks import as_mask, clean_mask, largest_component, resize_mask
from skinseg.resampling import resize_image, shrink_to
from skinseg.testing import (
    array_layouts,
    arrays_of_any_kind,
    image_batches,
    images,
    images_and_masks,
    lesion_images,
    masks,
)

fractions = st.sampled_from([0.0, 0.01, 0.05, 0.2, 1.0]) | st.floats(0, 1)
shapes = st.tuples(st.integers(1, 50), st.integers(1, 50))


def is_image(array):
    return array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size > 0


def is_mask(array):
    if array.ndim != 2 or array.size == 0:
        return False
    levels = set(np.unique(array).tolist()) if array.dtype.kind in "iu" else None
    return array.dtype == bool or (levels is not None and (levels <= {0, 1} or levels <= {0, 255}))


@given(array=arrays_of_any_kind())
@examples(4_000)
def test_an_array_is_an_image_or_refused(array):
    before = array.copy()
    if is_image(array):
        (record,) = check_images([array])
        np.testing.assert_array_equal(record.image, array)
        assert not record.image.flags.writeable
    else:
        with pytest.raises(InvalidImagesError, match=r"X\[0\]: ") as caught:
            check_images([array])
        assert list(caught.value.errors) == [0]
    assert array.dtype == before.dtype
    assert array.tobytes() == before.tobytes()


@given(array=arrays_of_any_kind())
@examples(2_500)
def test_an_array_as_container(array):
    """One image where a list is wanted, a table, a stack: what is no stack of images says so."""
    try:
        records = check_images(array)
    except ValueError as error:
        assert str(error).startswith("skinseg ")
    else:
        assert is_image(array[0])
        assert len(records) == len(array)


@given(array=arrays_of_any_kind(), allow_float=st.booleans())
@examples(4_000)
def test_an_array_is_a_mask_or_refused(array, allow_float):
    before = array.copy()
    try:
        (mask,) = check_masks([array], allow_float=allow_float)
    except InvalidImagesError as error:
        assert list(error.errors) == [0]
        assert error.errors[0].startswith("mask 0: ")
        assert not is_mask(array)
    except ValueError as error:  # a number or a text is no sequence of masks at all
        assert "one mask an image" in str(error)
        assert array.ndim == 0
    else:
        assert mask.shape == array.shape
        assert is_mask(array) == (mask.dtype == bool)
        assert mask.dtype == bool or (allow_float and mask.dtype == np.float32 and 0 <= mask.min() <= mask.max() <= 1)
    assert array.tobytes() == before.tobytes()


@given(data=st.data())
@examples(2_500)
def test_the_container_does_not_matter(data, scratch):
    batch = data.draw(image_batches(scratch, max_side=12))
    records = check_images(batch.X)
    assert len(records) == len(batch.images)
    for record, image in zip(records, batch.images, strict=True):
        np.testing.assert_array_equal(record.load().image, image)


@given(data=st.data())
@examples(2_500)
def test_every_bad_item_is_listed_and_no_other(data, scratch):
    batch = data.draw(image_batches(scratch, max_side=6, bad=True))
    try:
        records = check_images(batch.X)
    except InvalidImagesError as error:
        assert sorted(error.errors) == batch.bad
        assert all(text.startswith(f"X[{index}]: ") for index, text in error.errors.items())
        assert all(f"X[{index}]: " in str(error) for index in batch.bad)
    else:
        assert batch.bad == []
        assert len(records) == len(batch.images)


# ---------------------------------------------------------------------- functions on one mask


@given(
    mask=masks(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "opening": fractions,
            "component": st.sampled_from(["central", "largest", "all"]),
            "closing": fractions,
            "fill_holes": st.booleans(),
            "margin": fractions,
            "smoothing": fractions,
            "min_area": fractions,
            "fallback": st.sampled_from(["empty", "disc"]),
        },
    ),
    data=st.data(),
)
@examples(2_000)
def test_clean_mask(mask, options, data):
    field = data.draw(st.none() | masks(mask.shape))
    cleaned = clean_mask(mask, field=field, **options)
    assert cleaned.dtype == bool
    assert cleaned.shape == mask.shape
    if field is not None and (options.get("fallback") != "disc" or (cleaned & field).any()):
        assert not (cleaned & ~field).any()
    layout = data.draw(array_layouts(mask))
    np.testing.assert_array_equal(clean_mask(layout, field=field, **options), cleaned)
    if not mask.any() and options.get("fallback", "empty") == "empty":
        assert not cleaned.any()


@given(mask=masks())
@examples(1_500)
def test_largest_component(mask):
    largest = largest_component(mask)
    assert largest.dtype == bool
    assert not (largest & ~mask).any()
    assert largest.any() == mask.any()
    np.testing.assert_array_equal(largest_component(largest), largest)


@given(mask=masks(), shape=shapes, data=st.data())
@examples(1_500)
def test_resize_mask(mask, shape, data):
    resized = resize_mask(mask, shape)
    assert resized.dtype == bool
    assert resized.shape == shape
    if mask.all() or not mask.any():
        assert (resized == mask[0, 0]).all()
    np.testing.assert_array_equal(resize_mask(data.draw(array_layouts(mask)), shape), resized)
    soft = resize_mask(mask.astype(np.float32), shape)
    assert soft.dtype == np.float32
    assert 0 <= soft.min() <= soft.max() <= 1


@given(image=images(), shape=shapes, side=st.integers(1, 30), data=st.data())
@examples(1_500)
def test_resize_image(image, shape, side, data):
    layout = data.draw(array_layouts(image))
    resized = resize_image(image, shape)
    assert resized.dtype == np.uint8
    assert resized.shape == (*shape, 3)
    assert resized.min() >= image.min()
    assert resized.max() <= image.max()
    np.testing.assert_array_equal(resize_image(layout, shape), resized)
    small = shrink_to(image, side)
    assert max(small.shape) <= max(side, 3)
    assert min(small.shape) >= 1


# ---------------------------------------------------------------------- records


@given(record=lesion_images(planes=["mask", "reference_mask"]), shape=shapes, data=st.data())
@examples(2_000)
def test_planes_keep_step_with_the_image(record, shape, data):
    resized = record.resize(shape)
    assert resized.shape == shape
    height, width = (data.draw(st.integers(1, side)) for side in shape)
    top, left = data.draw(st.integers(0, shape[0] - height)), data.draw(st.integers(0, shape[1] - width))
    cropped = resized.crop(top, left, height, width)
    for item in (record, resized, cropped):
        assert item.image.shape == (*item.shape, 3)
        for plane in ("mask", "reference_mask", "field", "artifact_mask"):
            if item.has(plane):
                assert getattr(item, plane).shape == item.shape
                assert item.origin_plane(plane).shape == record.geometry.origin
    assert cropped.geometry.origin == record.geometry.origin
    np.testing.assert_array_equal(cropped.image, resized.image[top : top + height, left : left + width])


@given(record=lesion_images(), data=st.data())
@examples(750)
def test_keys_follow_the_content(record, data):
    planes = {
        plane: getattr(record, plane)
        for plane in ("mask", "reference_mask", "field", "artifact_mask")
        if record.has(plane)
    }
    layout = data.draw(array_layouts(record.image))
    parts = {"pixel_size": record.pixel_size, "geometry": record.geometry}
    here, there = LesionImage(record.image, **parts), LesionImage(layout, **parts)
    assert here.cache_key() == there.cache_key()
    if planes:
        assert record.cache_key() != here.cache_key()


# ---------------------------------------------------------------------- functions on one image


@given(image=images(), data=st.data())
@examples(1_000)
def test_valid_field(image, data):
    field = valid_field(image)
    assert field.dtype == bool
    assert field.shape == image.shape[:2]
    np.testing.assert_array_equal(valid_field(data.draw(array_layouts(image))), field)


@given(pair=images_and_masks(), data=st.data())
@examples(750)
def test_find_foreign(pair, data):
    image, field = pair
    found = find_foreign(image, field=field)
    assert found.dtype == bool
    assert found.shape == image.shape[:2]
    layout = data.draw(array_layouts(image))
    np.testing.assert_array_equal(find_foreign(layout, field=data.draw(array_layouts(field))), found)


@given(pair=images_and_masks())
@examples(500)
def test_flatten_shading(pair):
    image, skin = pair
    flat = flatten_shading(image[..., 0].astype(np.float32), skin)
    assert flat.shape == image.shape[:2]
    assert np.isfinite(flat).all()


@given(image=images(), data=st.data())
@examples(750)
def test_fingerprint(image, data):
    print_ = fingerprint(image)
    other = fingerprint(data.draw(array_layouts(image)))
    for one, two in zip(vars(print_).values(), vars(other).values(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_as_mask_names_the_conversion():
    with pytest.raises(ValueError, match="take one channel"):
        as_mask(np.zeros((3, 3, 1)))
