"""The featurizer: columns, what is computed, reasons, odd input, explanations. Each group has a file of its own."""

import re

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import skinseg
from skinseg import ABCDFeaturizer, ImageResizer, LesionImage, ThresholdSegmenter
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.features import (
    FEATURES,
    estimate_pixel_size,
    measure_asymmetry,
    measure_border,
    measure_color,
    measure_dimension,
    measure_structure,
)
from skinseg.features import _catalog as catalog
from skinseg.features._catalog import BLOCKS, GROUPS, SOMETIMES
from skinseg.features._region import LesionRegion
from skinseg.features.color import COLOR_NAMES

Y, X = np.mgrid[:120, :160]
DISC = (Y - 60) ** 2 + (X - 80) ** 2 <= 30**2
RULE = ("asymmetry_score", "border_score", "color_count", "structure_count")
OF_IMAGE = {
    "asymmetry": measure_asymmetry,
    "border": measure_border,
    "color": measure_color,
    "structure": measure_structure,
}


def image_of(mask, lesion=(163, 82, 16), skin=(200, 170, 150)):
    image = np.full((*mask.shape, 3), skin, np.uint8)
    image[mask] = lesion
    return image


def record_of(mask, **kwargs):
    return LesionImage(image_of(mask), mask, **kwargs)


def row(record, **kwargs):
    featurizer = ABCDFeaturizer(**kwargs)
    return dict(zip(featurizer.get_feature_names_out(), featurizer.transform([record])[0], strict=True))


# ---------------------------------------------------------------------- columns


def test_names_and_groups():
    assert list(ABCDFeaturizer().get_feature_names_out()) == list(FEATURES)
    assert {feature.group for feature in FEATURES.values()} == {*GROUPS, "tds"}
    assert list(FEATURES)[-1] == "tds"
    for name, feature in FEATURES.items():
        assert re.fullmatch(r"[a-z0-9_]+", name), name
        assert feature.name == name
        assert feature.low < feature.high, name
        assert feature.description.endswith("."), name


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_gives_its_columns(group):
    names = list(ABCDFeaturizer(groups=[group]).get_feature_names_out())
    assert names == [name for name in FEATURES if name.startswith(group + "_")]
    alone = row(record_of(DISC, pixel_size=0.1), groups=[group])
    everything = row(record_of(DISC, pixel_size=0.1))
    assert alone == {name: everything[name] for name in names}


def test_functions_and_featurizer_agree():
    image = image_of(DISC)
    measured = measure_dimension(DISC, pixel_size=0.1)
    for measure in OF_IMAGE.values():
        measured |= measure(image, DISC)
    values = row(LesionImage(image, DISC, pixel_size=0.1))
    assert set(measured) == set(FEATURES) - {"tds"}
    assert {name: values[name] for name in measured} == pytest.approx(measured, rel=1e-6, abs=1e-6)


def test_features_are_given_in_the_order_asked_for():
    names = ["tds", "dimension_area_px", "color_count", "asymmetry_shape"]
    values = row(record_of(DISC), features=names, groups=["border"])
    assert list(values) == names
    everything = row(record_of(DISC))
    assert values == {name: everything[name] for name in names}
    assert values["dimension_area_px"] == DISC.sum()


@pytest.mark.parametrize("order", [GROUPS, GROUPS[::-1]])
def test_columns_of_groups_keep_their_order(order):
    assert list(ABCDFeaturizer(groups=order).get_feature_names_out()) == list(FEATURES)


@pytest.mark.parametrize("missing", GROUPS)
def test_the_score_of_the_rule_comes_with_its_four_groups(missing):
    names = ABCDFeaturizer(groups=[group for group in GROUPS if group != missing]).get_feature_names_out()
    assert ("tds" in names) == (missing == "dimension")


def test_pandas_output():
    records = [record_of(DISC, name="a"), record_of(DISC, name="b")]
    featurizer = ABCDFeaturizer(groups=["dimension", "color"], features=["color_count", "dimension_area_px"])
    numbers = featurizer.fit_transform(records)
    assert isinstance(numbers, np.ndarray)
    assert numbers.dtype == np.float64
    assert numbers.shape == (2, 2)
    table = featurizer.set_output(transform="pandas").fit_transform(records)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["color_count", "dimension_area_px"]
    np.testing.assert_array_equal(table.to_numpy(), numbers)


def test_the_table_of_features_has_a_row_a_column():
    featurizer = ABCDFeaturizer()
    table = featurizer.feature_table_
    assert list(table.columns) == [
        "name", "group", "unit", "low", "high", "working_size", "source", "description",
    ]  # fmt: skip
    assert table["name"].tolist() == list(featurizer.get_feature_names_out())
    assert table.notna().all(axis=None)
    assert table[["unit", "source", "description"]].map(len).gt(0).all(axis=None)
    assert table["working_size"].between(0, 512).all()
    assert table["unit"].isin(
        ["1", "px", "px^2", "1/px", "mm", "mm^2", "1/mm", "CIELAB", "degree", "bit"]
    ).all(), set(table["unit"])  # fmt: skip
    mm = table["name"].str.contains("_mm")
    assert (table["unit"].str.contains("mm") == mm).all()
    ranges = table.set_index("name")[["low", "high"]]
    assert ranges.loc[list(RULE)].to_numpy().tolist() == [[0, 2], [0, 8], [1, 6], [1, 5]]
    assert ranges.loc["tds"].tolist() == [1.0, 8.9]
    chosen = ABCDFeaturizer(features=["tds", "color_count"]).feature_table_
    assert chosen["name"].tolist() == ["tds", "color_count"]
    assert chosen["group"].tolist() == ["tds", "color"]


def test_wrong_names_are_refused():
    records = [record_of(DISC)]
    for groups in (["colour"], [], ["color", "color"]):
        with pytest.raises(ValueError, match=r"'groups' parameter of ABCDFeaturizer must be .*'asymmetry'"):
            ABCDFeaturizer(groups=groups).fit(records)
    for name in ("groups", "features"):
        with pytest.raises(ValueError, match=f"'{name}' parameter of ABCDFeaturizer must be an array-like"):
            ABCDFeaturizer(**{name: "color"}).fit(records)
    for features in (["color_counts"], [], ["tds", "tds"]):
        with pytest.raises(ValueError, match=r"'features' parameter of ABCDFeaturizer must be .*FEATURES"):
            ABCDFeaturizer(features=features).fit(records)
    with pytest.raises(ValueError, match=r"did you mean color_count, border_score\?"):
        ABCDFeaturizer(features=["color_counts", "tds", "border_scor"]).transform(records)
    with pytest.raises(ValueError, match=r"did you mean color\?"):
        ABCDFeaturizer(groups=["colour"]).transform(records)


# ---------------------------------------------------------------------- nothing else is computed


@pytest.mark.parametrize("name", [blocks[0].features[0].name for blocks in BLOCKS.values()])
def test_only_the_blocks_that_are_needed_run(monkeypatch, name):
    ran = []

    def watched(block):
        def measure(region):
            ran.append(block.features)
            return block.measure(region)

        return block._replace(measure=measure)

    watching = {group: tuple(map(watched, blocks)) for group, blocks in BLOCKS.items()}
    monkeypatch.setattr(catalog, "BLOCKS", watching)
    row(record_of(DISC), features=[name])
    assert [FEATURES[name] in features for features in ran] == [True]
    ran.clear()
    row(record_of(DISC), features=["tds"])
    assert len(ran) == len(RULE)
    assert {feature.name for features in ran for feature in features} >= set(RULE)


@pytest.mark.parametrize(
    "name",
    ["dimension_area_px", "dimension_feret_max_px", "border_solidity", "asymmetry_shape", "color_hue_mean"],
)
def test_shapes_and_hues_need_no_cielab(monkeypatch, name):
    def fail(*args):
        raise ValueError("CIELAB was not asked for")

    monkeypatch.setattr("skinseg.features._region.to_lab", fail)
    assert np.isfinite(row(record_of(DISC), features=[name])[name])
    with pytest.raises(ValueError, match="CIELAB was not asked for"):
        row(record_of(DISC), features=["color_a_mean"])


def test_sizes_do_not_look_at_the_image(monkeypatch):
    expected = row(record_of(DISC), features=["dimension_area_px", "dimension_perimeter_px"])

    def fail(*args, **kwargs):
        raise AssertionError("not asked for")

    for name in ("lab", "skin", "skin_color", "outside", "inside"):
        monkeypatch.setattr(LesionRegion, name, property(fail))
    assert row(record_of(DISC), features=list(expected)) == expected


# ---------------------------------------------------------------------- sizes and millimeters


def test_lengths_are_in_pixels_of_the_original_whatever_the_working_size():
    y, x = np.mgrid[:960, :1280]
    big = (y - 480) ** 2 + (x - 600) ** 2 <= 240**2
    record = record_of(big, pixel_size=0.01)
    full = row(record)
    reduced = row(ImageResizer(200).transform([record])[0])
    assert full["dimension_area_px"] == big.sum()
    assert full["dimension_feret_max_mm"] == pytest.approx(0.01 * full["dimension_feret_max_px"])
    for name in FEATURES:
        if name.startswith(("dimension", "asymmetry", "border_so", "border_co")) or name in RULE:
            # of a lesion without structure the strength of structure is that of its mixed outline
            slack = 0.08 if "structure" in name else 0.02
            assert reduced[name] == pytest.approx(full[name], rel=0.02, abs=slack), name
    # 100 pixels of lesion are still enough for all that 480 are enough for
    assert np.isnan(list(reduced.values())).tolist() == np.isnan(list(full.values())).tolist()


def test_millimeters_are_not_guessed():
    values = row(record_of(DISC))
    assert {name for name, value in values.items() if np.isnan(value)} == {
        name for name, feature in FEATURES.items() if "mm" in feature.unit
    }
    assert np.isfinite(list(row(record_of(DISC, pixel_size=0.05)).values())).all()


def test_the_ruler_is_exported():
    assert "estimate_pixel_size" in skinseg.features.__all__
    assert estimate_pixel_size(image_of(DISC)) is None


# ---------------------------------------------------------------------- the rule


def test_the_score_is_that_of_its_parts():
    lesions = make_lesions(6, random_state=0, min_side=160, max_side=200, diameter_fraction=0.5)
    records = [LesionImage(image, mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)]
    a, b, c, d, tds = ABCDFeaturizer(features=[*RULE, "tds"]).transform(records).T
    np.testing.assert_allclose(tds, 1.3 * a + 0.1 * b + 0.5 * c + 0.5 * d)
    assert len(set(tds)) > 2


def test_the_score_is_not_guessed_where_a_part_is_missing():
    small = (Y - 60) ** 2 + (X - 80) ** 2 <= 10**2
    explanation = ABCDFeaturizer(features=["tds"]).explain(record_of(small))
    assert np.isnan(explanation.measured["tds"])
    assert explanation.reasons == {"tds": "structure_count not measured"}
    everything = ABCDFeaturizer().explain(record_of(small))
    assert np.isnan(everything.measured["structure_count"])
    assert "structure_count" in everything.reasons
    assert np.isfinite([everything.measured[name] for name in RULE[:3]]).all()


# ---------------------------------------------------------------------- odd input


def part(index):
    mask = np.zeros((40, 50), bool)
    mask[index] = True
    return mask


ZOO = {
    "full": np.ones((40, 50), bool),
    "pixel": part(np.s_[5, 5]),
    "corner pixel": part(np.s_[0, 0]),
    "two pixels": part(np.s_[0, :2]),
    "row": part(np.s_[5, 5:30]),
    "whole row": part(np.s_[5]),
    "edge row": part(np.s_[39]),
    "column": part(np.s_[3:30, 7]),
    "whole column": part(np.s_[:, 49]),
    "diagonal": part((np.arange(20), np.arange(20))),
    "checkers": part(np.indices((40, 50)).sum(axis=0) % 2 == 0),
    "frame": ~part(np.s_[1:-1, 1:-1]),
    "all but a pixel": ~part(np.s_[20, 20]),
    "corner": (X[:40, :50] + Y[:40, :50]) < 20,
    "components": DISC | ((Y - 20) ** 2 + (X - 20) ** 2 <= 9**2) | ((Y == 110) & (X == 150)),
    "holes": DISC & ~((Y - 60) ** 2 + (X - 80) ** 2 <= 9**2) & (X % 17 > 0),
    "ring": DISC & ~((Y - 60) ** 2 + (X - 80) ** 2 <= 26**2),
    "one pixel image": np.ones((1, 1), bool),
    "one row image": np.ones((1, 30), bool),
    "part of a column image": np.arange(30)[:, None] < 9,
    "disc": DISC,
    "large": cv2.resize(DISC.astype(np.uint8), (900, 700)) > 0,
}
PAINTS = {
    "lesion": image_of,
    "one color": lambda mask: np.full((*mask.shape, 3), (150, 110, 90), np.uint8),
    "black": lambda mask: np.zeros((*mask.shape, 3), np.uint8),
    "white": lambda mask: np.full((*mask.shape, 3), 255, np.uint8),
    "noise": lambda mask: np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8),
    "black around": lambda mask: image_of(mask, skin=(0, 0, 0)),
    "black lesion": lambda mask: image_of(mask, lesion=(0, 0, 0)),
    "one primary": lambda mask: image_of(mask, lesion=(0, 0, 255), skin=(255, 0, 0)),
}


@pytest.mark.parametrize("paint", PAINTS)
@pytest.mark.parametrize("kind", ZOO)
def test_every_nan_has_a_reason_and_every_number_is_in_range(kind, paint):
    mask = ZOO[kind]
    record = LesionImage(PAINTS[paint](mask), mask)
    explanation = ABCDFeaturizer().explain(record)
    values = explanation.measured
    assert list(values) == list(FEATURES)
    missing = {name for name, value in values.items() if np.isnan(value)}
    assert missing == set(explanation.reasons)
    assert all(isinstance(reason, str) and len(reason) > 5 for reason in explanation.reasons.values())
    assert missing >= {name for name, feature in FEATURES.items() if "mm" in feature.unit}
    outside = {
        name: value
        for name, value in values.items()
        # but for the rounding of a sum
        if name not in missing and not FEATURES[name].low - 1e-9 <= value <= FEATURES[name].high + 1e-9
    }
    assert not outside
    assert values["dimension_area_px"] == mask.sum()
    if not np.isnan(values["tds"]):
        assert not missing & set(RULE)
    np.testing.assert_array_equal(ABCDFeaturizer().transform([record])[0], list(values.values()))


@pytest.mark.parametrize("kind", ["full", "pixel", "row", "column", "diagonal", "corner", "components", "holes"])
def test_what_may_be_missing(kind):
    """NaN only where a thing is not there: skin, a size for structures, millimeters, a border in view."""
    explanation = ABCDFeaturizer().explain(LesionImage(image_of(ZOO[kind]), ZOO[kind], pixel_size=0.1))
    for name in explanation.reasons:
        assert "contrast" in name or name.startswith(("border_", "structure_", "color_relative")) or name == "tds", name
        assert name in SOMETIMES
    for name in ("asymmetry_score", "color_count", "dimension_area_mm2", "border_compactness"):
        assert np.isfinite(explanation.measured[name]), name


def test_an_empty_mask_is_a_row_of_nan_and_a_warning_that_names_it():
    empty = np.zeros(DISC.shape, bool)
    record = LesionImage(image_of(DISC), empty, name="bare")
    with pytest.warns(EmptyMaskWarning, match=r"1 of 2 images \(bare\); their features are NaN"):
        table = ABCDFeaturizer().transform([record, record_of(DISC)])
    assert np.isnan(table[0]).all()
    assert np.isfinite(table[1][0])
    for measure in OF_IMAGE.values():
        assert np.isnan(list(measure(image_of(DISC), empty).values())).all()
    assert np.isnan(list(measure_dimension(empty).values())).all()
    region = LesionRegion.of_arrays(image_of(DISC), empty)
    assert np.isnan(list(catalog.measure(region, FEATURES).values())).all()
    assert region.reasons == dict.fromkeys(FEATURES, "the mask is empty")


@pytest.mark.parametrize("group", OF_IMAGE)
def test_functions_check_what_they_are_given(group):
    measure, image = OF_IMAGE[group], image_of(DISC)
    expected = measure(image, DISC)
    assert measure(image, DISC.astype(np.uint8) * 255) == pytest.approx(expected, nan_ok=True)
    assert measure(image, DISC.astype(int)) == pytest.approx(expected, nan_ok=True)
    with pytest.raises(ValueError, match=r"mask must have the size \(120, 160\) of its image, got \(119, 160\)"):
        measure(image, DISC[1:])
    for name in ("field", "artifacts"):
        with pytest.raises(ValueError, match=rf"{name} must have the size \(120, 160\) of its image"):
            measure(image, DISC, **{name: DISC.T})
    with pytest.raises(ValueError, match="float"):
        measure(image, DISC.astype(float))
    with pytest.raises(ValueError, match="2-D"):
        measure(image, image)
    for wrong in (image[..., 0], image / 255, image[..., [0, 0, 0, 0]]):
        with pytest.raises(ValueError, match=r"image must be an \(H, W, 3\) uint8 RGB array"):
            measure(wrong, DISC)
    given = image.copy(), DISC.copy()
    measure(*given)
    np.testing.assert_array_equal(given[0], image)
    np.testing.assert_array_equal(given[1], DISC)


def test_functions_give_the_features_asked_for():
    for group, measure in OF_IMAGE.items():
        names = [name for name in FEATURES if name.startswith(group)][::5]
        assert set(measure(image_of(DISC), DISC, features=names)) == set(names)


# ---------------------------------------------------------------------- segmenters


def test_without_mask_and_segmenter_the_way_out_is_told():
    with pytest.raises(ImageBatchError, match="put a segmenter before ABCDFeaturizer"):
        ABCDFeaturizer().transform([image_of(DISC)])


def test_a_segmenter_of_its_own(lesions):
    own = ABCDFeaturizer(ThresholdSegmenter("li")).fit(lesions.images)
    assert own.segmenter_.method == "li"
    assert own.segmenter_ is not own.segmenter
    expected = ABCDFeaturizer().transform(ThresholdSegmenter("li").transform(lesions.images))
    np.testing.assert_array_equal(own.transform(lesions.images), expected)
    np.testing.assert_array_equal(list(own.explain(lesions.images[0]).measured.values()), expected[0])
    assert own.set_params(segmenter__method="otsu").segmenter.method == "otsu"
    with pytest.raises(NotFittedError):
        ABCDFeaturizer(ThresholdSegmenter()).explain(lesions.images[0])


# ---------------------------------------------------------------------- explanations


def documented_keys():
    """The keys that the docstring of `explain` names, each a line of the list it gives."""
    text = ABCDFeaturizer.explain.__doc__
    block = text[text.index("in pixels of the image given:") : text.index("Raises\n")]
    lines = re.findall(r"^ {12}([a-z_, ]+?)(?: : .*)?$", block, flags=re.MULTILINE)
    return [key.strip() for line in lines for key in line.split(",")]


def test_an_explanation_has_the_documented_keys():
    explanation = ABCDFeaturizer().explain(record_of(DISC))
    keys = documented_keys()
    assert len(keys) >= 14
    assert set(keys) == set(explanation)
    assert explanation.principal_axes.shape == explanation.best_axes.shape == (2, 2, 2)
    assert len(explanation.asymmetric) == 2
    assert len(explanation.octants) == 8
    for key in ("feret_max", "feret_min", "axis_major", "axis_minor"):
        assert explanation[key].shape == (2, 2)
    assert explanation.color_map.shape == explanation.structure_map.shape == DISC.shape


def ellipse_in(shape, center, axes):
    y, x = np.indices(shape)
    return ((y - center[0]) / axes[0]) ** 2 + ((x - center[1]) / axes[1]) ** 2 <= 1


@pytest.mark.parametrize(
    ("shape", "center", "axes"),
    [
        ((120, 160), (60, 80), (20, 40)),
        ((500, 700), (380, 500), (40, 80)),
        ((1200, 1500), (400, 900), (200, 400)),
        ((301, 1999), (150, 1700), (60, 120)),
    ],
    ids=["plain", "cut out", "large", "at the right of a wide image"],
)
@pytest.mark.parametrize("resized", [False, True])
def test_an_explanation_lies_on_the_lesion_in_pixels_of_the_image(shape, center, axes, resized):
    mask = ellipse_in(shape, center, axes)
    record = record_of(mask)
    ratio = np.ones(2)
    if resized:
        record = ImageResizer(128).transform([record])[0]
        ratio = np.array(record.image.shape[:2]) / shape
    found = ABCDFeaturizer().explain(record)
    height, width = record.image.shape[:2]
    middle, half = (np.array(center) + 0.5) * ratio - 0.5, np.array(axes) * ratio
    # a pixel of the working size
    slack = 1 + 2.5 * max(half) / 60
    np.testing.assert_allclose(found.center, middle, atol=slack / 2)
    for key in ("outline", "hull"):
        reach = np.hypot(*((found[key] - middle) / half).T)
        assert abs(reach - 1).max() < slack / min(half), key
    lines = {"major": [[0, -1], [0, 1]], "minor": [[-1, 0], [1, 0]]}
    for number, direction in enumerate(("major", "minor")):
        expected = middle + np.array(lines[direction]) * half
        for given in (found.principal_axes[number], found[f"axis_{direction}"]):
            ordered = given[np.argsort(given @ np.array([1, 1]))]
            np.testing.assert_allclose(ordered, expected, atol=slack, err_msg=direction)
    for key, length in (("feret_max", 2 * half[1]), ("feret_min", 2 * half[0])):
        assert np.linalg.norm(np.diff(found[key], axis=0)) == pytest.approx(length, abs=2 * slack), key
        assert abs(np.hypot(*((found[key] - middle) / half).T) - 1).max() < 3 * slack / min(half), key
    for octant in found.octants:
        inside = np.hypot(*((np.asarray(octant["outline"]) - middle) / half).T)
        assert abs(inside - 1).max() < slack / min(half)
    assert found.color_map.shape == found.structure_map.shape == (height, width)
    brown = found.color_map == COLOR_NAMES.index("light_brown")
    assert brown.sum() > 0.5 * record.mask.sum()
    assert not (brown & ~(cv2.dilate(record.mask.astype(np.uint8), np.ones((9, 9))) > 0)).any()
    rows, columns = np.nonzero(brown)
    np.testing.assert_allclose([rows.mean(), columns.mean()], middle, atol=slack)
    if found.structure_map.any():
        rows, columns = np.nonzero(found.structure_map)
        np.testing.assert_allclose([rows.mean(), columns.mean()], middle, atol=2 * slack)


def test_an_explanation_has_the_numbers_of_transform(lesions):
    record = LesionImage(lesions.images[0], lesions.masks[0])
    featurizer = ABCDFeaturizer(features=["tds", "border_score", "asymmetry_score"])
    explanation = featurizer.explain(record)
    np.testing.assert_array_equal(list(explanation.measured.values()), featurizer.transform([record])[0])
    assert list(explanation.measured) == ["tds", "border_score", "asymmetry_score"]
    assert explanation.measured["asymmetry_score"] == sum(any(axis.values()) for axis in explanation.asymmetric)


@pytest.mark.parametrize("mask", [np.zeros_like(DISC), None])
def test_without_a_lesion_there_is_nothing_to_explain(mask):
    with pytest.raises(ValueError, match=r"nothing to explain|no mask to measure"):
        ABCDFeaturizer().explain(LesionImage(image_of(DISC), mask, name="bare"))


# ---------------------------------------------------------------------- what is drawn


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
