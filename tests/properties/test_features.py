"""Features of any image with any mask: finite in their range, or NaN for a reason that is told."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_budget import examples

from skinseg import ABCDFeaturizer, LesionImage
from skinseg.exceptions import EmptyMaskWarning
from skinseg.features import (
    FEATURES,
    estimate_pixel_size,
    measure_asymmetry,
    measure_border,
    measure_color,
    measure_dimension,
    measure_structure,
)
from skinseg.features._catalog import GROUPS, SOMETIMES
from skinseg.features.color import COLOR_NAMES, adapt_to_skin, clinical_colors
from skinseg.testing import array_layouts, images, images_and_masks, lesion_images

MEASURES = {
    "asymmetry": measure_asymmetry,
    "border": measure_border,
    "color": measure_color,
    "structure": measure_structure,
}


def check_ranges(values, mask):
    for name, value in values.items():
        if not mask.any():
            assert math.isnan(value), name
        elif math.isnan(value):
            assert name in SOMETIMES, f"{name} is NaN"
        else:
            feature = FEATURES[name]
            slack = 1e-6 * max(1.0, abs(value))
            assert feature.low - slack <= value <= feature.high + slack, f"{name} = {value}"
            assert math.isfinite(value), name


def draw_parts(data, shape):
    masks = data.draw(images_and_masks(shape, n_masks=2))[1:]
    return {
        "field": masks[0] if data.draw(st.booleans()) else None,
        "artifacts": masks[1] if data.draw(st.booleans()) else None,
    }


@pytest.mark.parametrize("group", MEASURES)
@given(pair=images_and_masks(), data=st.data())
@examples(750)
def test_group(group, pair, data):
    image, mask = pair
    parts = draw_parts(data, mask.shape)
    values = MEASURES[group](image, mask, **parts)
    assert all(FEATURES[name].group == group for name in values)
    check_ranges(values, mask)
    other = MEASURES[group](data.draw(array_layouts(image)), data.draw(array_layouts(mask)), **parts)
    assert list(other) == list(values)
    np.testing.assert_array_equal(list(other.values()), list(values.values()))


@given(
    pair=images_and_masks(),
    scale=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    pixel_size=st.none() | st.floats(1e-3, 10),
    data=st.data(),
)
@examples(1_000)
def test_dimension(pair, scale, pixel_size, data):
    mask = pair[1]
    field = draw_parts(data, mask.shape)["field"]
    values = measure_dimension(mask, scale=scale, pixel_size=pixel_size, field=field)
    check_ranges(values, mask)
    layout = data.draw(array_layouts(mask))
    other = measure_dimension(layout, scale=scale, pixel_size=pixel_size, field=field)
    np.testing.assert_array_equal(list(other.values()), list(values.values()))


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")
@given(records=st.lists(lesion_images(max_side=32), min_size=1, max_size=2))
@examples(750)
def test_featurizer(records):
    featurizer = ABCDFeaturizer()
    table = featurizer.transform(records)
    names = featurizer.get_feature_names_out()
    assert table.shape == (len(records), len(names))
    for record, row in zip(records, table, strict=True):
        check_ranges(dict(zip(names, row, strict=True)), record.mask)
        np.testing.assert_array_equal(featurizer.transform([record])[0], row)


@given(record=lesion_images(max_side=32))
@examples(500)
def test_every_nan_has_a_reason(record):
    featurizer = ABCDFeaturizer()
    if not record.mask.any():
        with pytest.raises(ValueError, match="no lesion was found"):
            featurizer.explain(record)
        return
    explanation = featurizer.explain(record)
    row = featurizer.transform([record])[0]
    names = featurizer.get_feature_names_out()
    np.testing.assert_array_equal([explanation.measured[name] for name in names], row)
    missing = {name for name, value in zip(names, row, strict=True) if math.isnan(value)}
    assert missing == set(explanation.reasons)
    assert all(len(reason) > 5 for reason in explanation.reasons.values())
    assert explanation.color_map.shape == explanation.structure_map.shape == record.shape
    for points in (explanation.outline, explanation.hull, explanation.feret_max, explanation.axis_major):
        assert points.shape[-1] == 2
        assert np.isfinite(points).all()


@given(
    record=lesion_images(max_side=24, reframed=False),
    groups=st.sets(st.sampled_from(GROUPS), min_size=1),
    data=st.data(),
)
@examples(400)
def test_a_column_does_not_depend_on_the_others(record, groups, data):
    """Whichever columns are asked for: the values are those of the full table."""
    whole = ABCDFeaturizer()
    names = list(whole.get_feature_names_out())
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    for part in (ABCDFeaturizer(groups=sorted(groups)), ABCDFeaturizer(features=chosen)):
        columns = [names.index(name) for name in part.get_feature_names_out()]
        np.testing.assert_array_equal(row_of(part, record), row_of(whole, record)[columns])


def row_of(featurizer, record):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        return featurizer.transform([record])[0]


# What a turn by 90 degrees may not change at all but for rounding: made of the pixels of the mask alone. By how much
# the others move is measured in tests/features/test_invariance.py.
TURNED = ("area", "equivalent_diameter", "perimeter", "feret_max", "feret_min", "axis_major", "axis_minor")
UNMOVED = [f"dimension_{what}_px" for what in TURNED]


@given(pair=images_and_masks(), turns=st.integers(1, 3), flip=st.booleans())
@examples(750)
def test_turned_and_mirrored_dimensions(pair, turns, flip):
    mask = pair[1]
    other = np.rot90(mask[:, ::-1] if flip else mask, turns)
    here, there = measure_dimension(mask), measure_dimension(other)
    for name in UNMOVED:
        assert there[name] == pytest.approx(here[name], rel=1e-6, abs=1e-6, nan_ok=True), name


@given(pair=images_and_masks(), data=st.data())
@examples(500)
def test_moved_masks_have_the_same_dimensions(pair, data):
    """A lesion that does not touch the edge, anywhere in an image of its own background."""
    mask = np.pad(pair[1], 2)
    top, left = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    other = np.pad(mask, [(top, 1), (left, 2)])
    here, there = measure_dimension(mask), measure_dimension(other)
    for name in UNMOVED:
        assert there[name] == pytest.approx(here[name], rel=1e-6, abs=1e-6, nan_ok=True), name


@given(pair=images_and_masks(), data=st.data())
@examples(500)
def test_estimate_pixel_size(pair, data):
    image, mask = pair
    found = estimate_pixel_size(image, mask=mask)
    assert found == estimate_pixel_size(data.draw(array_layouts(image)), mask=data.draw(array_layouts(mask)))
    if found is not None:
        assert found.mm_per_pixel > 0
        assert 0 <= found.confidence <= 1


@given(image=images(), skin=st.tuples(*[st.integers(0, 255)] * 3))
@examples(1_000)
def test_clinical_colors(image, skin):
    adapted = adapt_to_skin(image, skin)
    assert adapted.shape == image.shape
    assert np.isfinite(adapted).all()
    named = clinical_colors(adapted)
    assert named.shape == image.shape[:2]
    assert -1 <= named.min() <= named.max() < len(COLOR_NAMES)


def test_records_say_what_is_missing():
    with pytest.raises(ValueError, match="has no mask to measure"):
        ABCDFeaturizer().transform([LesionImage(np.zeros((4, 4, 3), np.uint8))])
