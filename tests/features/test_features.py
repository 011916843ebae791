"""Features and their estimator, beyond the golden values."""

import numpy as np
import pytest

from skinseg import ABCDFeaturizer, ImageResizer, LesionImage, ThresholdSegmenter
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.features import (
    FEATURES,
    measure_asymmetry,
    measure_border,
    measure_color,
    measure_dimension,
)
from skinseg.features._catalog import GROUPS
from skinseg.features._region import surrounding_skin
from skinseg.features.color import REFERENCE_COLORS, clinical_colors

Y, X = np.mgrid[:120, :160]
DISC = (Y - 60) ** 2 + (X - 80) ** 2 <= 30**2


def image_of(mask, lesion=(163, 82, 16), skin=(200, 170, 150)):
    image = np.full((*mask.shape, 3), skin, np.uint8)
    image[mask] = lesion
    return image


def row(record, **kwargs):
    featurizer = ABCDFeaturizer(**kwargs)
    return dict(zip(featurizer.get_feature_names_out(), featurizer.transform([record])[0], strict=True))


def test_names_groups_and_columns():
    assert list(ABCDFeaturizer().get_feature_names_out()) == list(FEATURES)
    assert {feature.group for feature in FEATURES.values()} == set(GROUPS)
    for group in GROUPS:
        names = list(ABCDFeaturizer(groups=[group]).get_feature_names_out())
        assert names == [name for name in FEATURES if name.startswith(group + "_")]
        assert list(row(LesionImage(image_of(DISC), DISC), groups=[group])) == names
    measured = measure_asymmetry(image_of(DISC), DISC) | measure_border(DISC) | measure_dimension(DISC)
    measured |= measure_color(image_of(DISC), DISC)
    assert set(measured) == set(FEATURES)


def test_groups_of_other_names_are_refused():
    for groups in (["colour"], []):
        with pytest.raises(ValueError, match=r"'groups' parameter of ABCDFeaturizer must be .*'asymmetry'"):
            ABCDFeaturizer(groups=groups).fit([LesionImage(image_of(DISC), DISC)])


def test_lengths_are_in_pixels_of_the_original_whatever_the_working_size():
    y, x = np.mgrid[:960, :1280]
    big = (y - 480) ** 2 + (x - 600) ** 2 <= 240**2
    record = LesionImage(image_of(big), big, pixel_size=0.01)
    full = row(record)
    reduced = row(ImageResizer(200).transform([record])[0])
    assert full["dimension_area_px"] == big.sum()
    assert full["dimension_feret_max_mm"] == pytest.approx(0.01 * full["dimension_feret_max_px"])
    for name in FEATURES:
        # shrinking mixes lesion and skin along the outline, which the standard deviations see
        assert reduced[name] == pytest.approx(full[name], rel=0.02, abs=1 if name.endswith("_std") else 0.02), name


def test_millimeters_are_not_guessed():
    values = row(LesionImage(image_of(DISC), DISC))
    assert {name for name, value in values.items() if np.isnan(value)} == {
        name for name in FEATURES if "mm" in name.split("_")[-1]
    }


def test_hair_is_left_out_of_the_colors():
    hair = DISC & (abs(X - 80) < 4)
    image = image_of(DISC)
    image[hair] = 0
    clean = row(LesionImage(image_of(DISC), DISC))
    told = row(LesionImage(image, DISC, artifact_mask=hair))
    untold = row(LesionImage(image, DISC))
    for name in ("color_l_mean", "color_count", "color_black_share", "color_l_std"):
        assert told[name] == clean[name] != untold[name]


def test_dark_corners_are_no_skin():
    image = image_of(DISC)
    image[np.hypot(Y - 60, X - 80) > 50] = 0
    inside = row(LesionImage(image, DISC))
    assert inside["color_l_contrast"] == pytest.approx(row(LesionImage(image_of(DISC), DISC))["color_l_contrast"])


def test_white_counts_only_if_lighter_than_the_skin():
    white = np.array([[77.0, 8.0, -12.0]])
    names = list(REFERENCE_COLORS)
    assert names[clinical_colors(white, 70.0)[0]] == "white"
    assert names[clinical_colors(white, 90.0)[0]] != "white"
    assert names[clinical_colors(white)[0]] == "white"


@pytest.mark.parametrize("name", REFERENCE_COLORS)
def test_each_reference_color_is_itself(name):
    values = measure_color(image_of(DISC, REFERENCE_COLORS[name], (10, 10, 10)), DISC)
    assert values[f"color_{name}_share"] == 1
    assert values["color_count"] == 1


def test_asymmetry_does_not_depend_on_direction():
    """An egg with a dark end, turned by angles that are no multiples of 45 degrees."""
    values = []
    for angle in np.deg2rad([0, 17, 61, 113]):
        u = (X - 80) * np.cos(angle) + (Y - 60) * np.sin(angle)
        v = -(X - 80) * np.sin(angle) + (Y - 60) * np.cos(angle)
        egg = (u / 40) ** 2 + (v / (24 - 0.25 * u)) ** 2 <= 1
        image = image_of(egg)
        image[egg & (u > 15)] = (41, 31, 30)
        values.append(measure_asymmetry(image, egg))
    for name in values[0]:
        spread = [value[name] for value in values]
        assert np.ptp(spread) < 0.02, name
        assert (min(spread) > 0.03) == ("major" not in name), name  # the long axis is one of symmetry


def test_surrounding_skin_is_a_ring_apart_from_the_outline():
    ring = surrounding_skin(DISC)
    distance = np.hypot(Y - 60, X - 80)[ring]
    assert distance.min() > 32
    assert distance.max() < 46
    assert not surrounding_skin(np.ones((5, 5), bool)).any()


def test_no_skin_in_view():
    values = row(LesionImage(image_of(np.ones((40, 40), bool)), np.ones((40, 40), bool)))
    assert np.isnan(values["color_contrast"])
    assert values["dimension_area_fraction"] == 1
    assert np.isfinite(
        [values[name] for name in FEATURES if "contrast" not in name and not name.endswith(("mm", "mm2"))]
    ).all()


@pytest.mark.parametrize("kind", ["pixel", "row", "column", "two pixels", "diagonal"])
def test_tiny_masks_give_a_row_without_an_exception(kind):
    mask = np.zeros((40, 50), bool)
    mask[{"pixel": np.s_[5, 5], "row": np.s_[5, 5:30], "column": np.s_[3:30, 7], "two pixels": np.s_[0, :2],
          "diagonal": (np.arange(20), np.arange(20))}[kind]] = True  # fmt: skip
    values = row(LesionImage(image_of(mask), mask))
    assert values["dimension_area_px"] == mask.sum()
    for name, value in values.items():
        assert np.isnan(value) or FEATURES[name].low <= value <= FEATURES[name].high, name


def test_several_components_and_holes():
    two = DISC | ((Y - 20) ** 2 + (X - 20) ** 2 <= 5**2)
    holed = DISC & ~((Y - 60) ** 2 + (X - 80) ** 2 <= 9)
    alone = row(LesionImage(image_of(DISC), DISC))
    assert row(LesionImage(image_of(two), two))["border_compactness"] == pytest.approx(
        alone["border_compactness"], rel=0.02
    )
    assert row(LesionImage(image_of(two), two))["dimension_area_px"] == two.sum()
    assert row(LesionImage(image_of(holed), holed))["border_solidity"] == pytest.approx(
        alone["border_solidity"], rel=0.02
    )


def test_an_empty_mask_is_a_row_of_nan_and_a_warning_that_names_it():
    record = LesionImage(image_of(DISC), np.zeros(DISC.shape, bool), name="bare")
    with pytest.warns(EmptyMaskWarning, match=r"1 of 2 images \(bare\); their features are NaN"):
        table = ABCDFeaturizer().transform([record, LesionImage(image_of(DISC), DISC)])
    assert np.isnan(table[0]).all()
    assert np.isfinite(table[1][0])
    assert all(
        np.isnan(list(measure(image_of(DISC), np.zeros_like(DISC)).values())).all()
        for measure in (measure_asymmetry, measure_color)
    )
    assert all(
        np.isnan(list(measure(np.zeros_like(DISC)).values())).all() for measure in (measure_border, measure_dimension)
    )


def test_without_mask_and_segmenter_the_way_out_is_told():
    with pytest.raises(ImageBatchError, match="put a segmenter before ABCDFeaturizer"):
        ABCDFeaturizer().transform([image_of(DISC)])


def test_a_segmenter_of_its_own(lesions):
    own = ABCDFeaturizer(ThresholdSegmenter("li")).fit(lesions.images)
    assert own.segmenter_.method == "li"
    assert own.segmenter_ is not own.segmenter
    expected = ABCDFeaturizer().transform(ThresholdSegmenter("li").transform(lesions.images))
    np.testing.assert_array_equal(own.transform(lesions.images), expected)
    assert own.set_params(segmenter__method="otsu").segmenter.method == "otsu"


def test_melanomas_are_less_regular_than_benign_lesions(lesions):
    """The features point the way they should on lesions that were drawn so."""
    records = [LesionImage(image, mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)]
    table = dict(zip(FEATURES, ABCDFeaturizer().transform(records).T, strict=True))
    dialed = {
        "border_compactness": "border_irregularity",
        "color_count": "n_colors",
        "dimension_feret_max_px": "diameter_px",
    }
    for name, column in dialed.items():
        assert np.corrcoef(table[name], lesions.frame[column])[0, 1] > 0.5, name
