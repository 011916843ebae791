"""Differential structures and texture."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from skinseg.datasets import make_lesions
from skinseg.features._region import LesionRegion
from skinseg.features.structure import (
    BLOCKS,
    LABELS,
    MIN_DIAMETER,
    explain_structure,
    measure_structure,
    structure_energy,
    structure_map,
)
from skinseg.features.texture import _haralick, co_occurrence, lesion_frame, local_patterns

FEATURES = {feature.name: feature for block in BLOCKS for feature in block.features}
SCORES = [f"structure_{name}" for name in ("network", "homogeneous", "streaks", "dots", "globules", "count")]
KINDS = LABELS[1:]
Y, X = np.mgrid[:240, :260]
DISC = (Y - 120) ** 2 + (X - 130) ** 2 <= 64**2
BROWN, BLACK = (163, 82, 16), (41, 31, 30)


def image_of(mask, lesion=BROWN, skin=(200, 170, 150)):
    image = np.full((*mask.shape, 3), skin, np.uint8)
    image[mask] = lesion
    return image


def spot(image, y, x, radius):
    image[(Y - y) ** 2 + (X - x) ** 2 <= radius**2] = BLACK


def lesions(kinds, n=8, **kwargs):
    return make_lesions(
        n, random_state=1, difficulty="easy", min_side=300, max_side=400, diameter_fraction=0.5, n_colors=1,
        structures=kinds, **kwargs,
    )  # fmt: skip


@pytest.fixture(scope="module")
def table():
    """Scores of lesions with one structure each, by structure."""
    rows = {}
    for kind in KINDS:
        data = lesions([kind])
        rows[kind] = [measure_structure(i, m, features=SCORES) for i, m in zip(data.images, data.masks, strict=True)]
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_scores_separate_lesions_with_and_without(table, kind):
    # what is drawn with dots or streaks alone is flat elsewhere, so that only a net is a lesion without flat areas
    others = ["network"] if kind == "homogeneous" else [other for other in KINDS if other != kind]
    having = [row[f"structure_{kind}"] for row in table[kind]]
    lacking = [row[f"structure_{kind}"] for other in others for row in table[other]]
    truth = np.repeat([1, 0], [len(having), len(lacking)])
    # streaks and clusters of dots have ends and lumps that are round
    assert roc_auc_score(truth, having + lacking) >= (0.8 if kind == "globules" else 0.95)


def test_the_order_of_columns_and_the_choice():
    assert list(measure_structure(image_of(DISC), DISC)) == list(FEATURES)
    chosen = measure_structure(image_of(DISC), DISC, features=["structure_dots", "structure_lbp_8"])
    assert list(chosen) == ["structure_dots", "structure_lbp_8"]
    assert chosen["structure_lbp_8"] == 1


def test_what_is_not_asked_for_is_not_measured(monkeypatch):
    def fail(region):
        raise AssertionError

    monkeypatch.setattr("skinseg.features.structure._find", fail)
    assert measure_structure(image_of(DISC), DISC, features=["structure_lbp_8"]) == {"structure_lbp_8": 1}
    with pytest.raises(AssertionError):
        measure_structure(image_of(DISC), DISC, features=["structure_dots"])


@pytest.mark.parametrize(("radius", "kind", "other"), [(2.5, "dots", "globules"), (6, "globules", "dots")])
def test_spots_are_told_by_size(radius, kind, other):
    image = image_of(DISC)
    for y, x in [(y, x) for y in (90, 120, 150) for x in (100, 130, 160)]:
        spot(image, y, x, radius)
    values = measure_structure(image, DISC)
    assert values[f"structure_{kind}"] > 0.7
    assert values[f"structure_{other}"] < 0.2
    assert values["structure_network"] < 0.01


def test_light_spots_and_dark_edges_are_no_structures():
    image = image_of(DISC, BLACK)
    for y, x in [(y, x) for y in (90, 120, 150) for x in (100, 130, 160)]:
        image[(Y - y) ** 2 + (X - x) ** 2 <= 36] = BROWN
    image[DISC & (X < 90)] = BROWN
    values = measure_structure(image, DISC)
    assert max(values[f"structure_{kind}"] for kind in ("dots", "globules", "streaks")) < 0.05


def test_stripes_are_no_net():
    image = image_of(DISC)
    image[DISC & (Y % 8 < 3)] = BLACK
    net = image.copy()
    net[DISC & (X % 8 < 3)] = BLACK
    assert measure_structure(image, DISC)["structure_network"] < 0.1
    assert measure_structure(net, DISC)["structure_network"] > 0.9


def test_lines_across_the_outline_are_streaks_and_lines_along_it_are_not():
    angle, distance = np.arctan2(Y - 120, X - 130), np.hypot(Y - 120, X - 130)
    across, along = image_of(DISC), image_of(DISC)
    near = abs((angle / (2 * np.pi) * 8) % 1 - 0.5) * 2 * np.pi / 8 * distance
    across[DISC & (distance > 40) & (near < 1.5)] = BLACK
    along[(abs(distance - 48) < 1.5) & (np.sin(4 * angle) > 0)] = BLACK
    assert measure_structure(across, DISC)["structure_streaks"] > 0.9
    assert measure_structure(along, DISC)["structure_streaks"] < 0.1


def test_hair_that_was_found_is_left_out():
    hair = DISC & (abs((Y - 120) * 0.3 + (X - 130)) < 2)
    dots = [(y, x) for y in (95, 145) for x in (100, 160)]
    image, hairy = image_of(DISC), image_of(DISC)
    for y, x in dots:
        spot(hairy, y, x, 2.5)
        hair |= (Y - y) ** 2 + (X - x) ** 2 <= 4**2
    hairy[abs((Y - 120) * 0.3 + (X - 130)) < 2] = BLACK
    told = measure_structure(hairy, DISC, artifacts=hair)
    untold, clean = measure_structure(hairy, DISC), measure_structure(image, DISC)
    for name in ("structure_dots", "structure_streaks", "structure_glcm_contrast"):
        assert told[name] == pytest.approx(clean[name], abs=1e-3), name
    assert untold["structure_dots"] > 0.2
    assert untold["structure_glcm_contrast"] > 10 * told["structure_glcm_contrast"]


def test_an_image_of_one_color():
    for color in (BROWN, (0, 0, 0), (255, 255, 255)):
        values = measure_structure(image_of(DISC, color, color), DISC)
        assert values.pop("structure_homogeneous") > 0.99
        assert {values.pop(f"structure_{name}") for name in ("network", "streaks", "dots", "globules")} == {0.0}
        assert values["structure_count"] == 1
        assert values["structure_lbp_8"] == values["structure_glcm_energy"] == 1


@pytest.mark.parametrize("kind", ["pixel", "row", "column", "corners", "full", "hole", "parts", "painted"])
def test_masks_of_all_kinds(kind):
    mask = np.zeros(DISC.shape, bool)
    artifacts = DISC if kind == "painted" else None
    if kind in ("hole", "painted", "parts"):
        mask = DISC & ((kind != "hole") | (np.hypot(Y - 120, X - 130) > 20)) & ((kind != "parts") | (abs(X - 130) > 9))
    else:
        mask[{"pixel": np.s_[5, 5], "row": np.s_[5, 5:200], "column": np.s_[3:200, 7],
              "corners": np.s_[[0, -1], [0, -1]], "full": np.s_[:, :]}[kind]] = True  # fmt: skip
    image = image_of(DISC)
    image += np.random.default_rng(0).integers(0, 9, image.shape, dtype=np.uint8)
    values = measure_structure(image, mask, artifacts=artifacts)
    is_small = kind in ("pixel", "row", "column", "corners")
    for name, value in values.items():
        assert np.isnan(value) == ((is_small or kind == "painted") and name in SCORES), name
        assert np.isnan(value) or FEATURES[name].low <= value <= FEATURES[name].high, name
    assert sum(value for name, value in values.items() if "lbp" in name) == pytest.approx(1)


def test_small_lesions_have_a_reason():
    for radius, measured in ((MIN_DIAMETER / 2 - 1, False), (MIN_DIAMETER / 2 + 1, True)):
        mask = radius**2 >= (Y - 120) ** 2 + (X - 130) ** 2
        region = LesionRegion.of_arrays(image_of(mask), mask)
        values = BLOCKS[0].measure(region)
        assert np.isfinite(list(values.values())).all() == measured
        assert set(region.reasons) == (set() if measured else set(SCORES))
    empty = measure_structure(image_of(DISC), np.zeros_like(DISC))
    assert np.isnan(list(empty.values())).all()


def test_count_is_that_of_the_scores(table):
    for row in (row for rows in table.values() for row in rows):
        expected = sum(row[f"structure_{kind}"] for kind in KINDS)
        assert row["structure_count"] == max(1, round(expected))
        assert all(0 <= row[f"structure_{kind}"] <= 1 for kind in KINDS)


def test_co_occurrence_by_hand():
    checkers = np.where((Y + X) % 2, 0.5, 1.0).astype(np.float32)[:9, :9]
    matrix = co_occurrence(checkers, np.ones((9, 9), bool), distances=(1,))
    # 12.8 and 25.6 are the levels; 2 * 72 neighbors differ, 2 * 64 on the diagonals are alike
    values = _haralick(matrix)
    assert values["structure_glcm_contrast"] == pytest.approx(144 / 272 * 13**2 / 31**2)
    assert matrix[12, 25] == matrix[25, 12] == pytest.approx(144 / 272 / 2)
    assert values["structure_glcm_homogeneity"] == pytest.approx(128 / 272 + 144 / 272 / 170)
    stripes = np.where(Y % 2, 0.5, 1.0).astype(np.float32)[:9, :9]
    across = co_occurrence(stripes, np.ones((9, 9), bool), distances=(1,))
    assert across[12, 25] + across[25, 12] == pytest.approx((72 + 128) / 272)


def test_co_occurrence_counts_each_pair_both_ways():
    """Light falls from left to right, so that the first of a pair is never the darker one."""
    ramp = np.broadcast_to(np.linspace(1.2, 0.1, 9, dtype=np.float32), (9, 9))
    matrix = co_occurrence(ramp, np.ones((9, 9), bool))
    assert np.count_nonzero(np.triu(matrix, 1)) > 8
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix.sum() == pytest.approx(1)


def test_co_occurrence_needs_both_pixels_in_the_lesion():
    lightness = np.full((9, 9), 1.0, np.float32)
    lightness[:, 5:] = 0.1
    left = np.zeros((9, 9), bool)
    left[:, :5] = True
    assert np.count_nonzero(co_occurrence(lightness, left)) == 1
    alone = np.zeros((9, 9), bool)
    alone[[0, 8], [0, 8]] = True
    assert co_occurrence(lightness, alone).sum() == pytest.approx(1)


def test_patterns_by_hand():
    peak = np.zeros((5, 5), np.float32)
    peak[2, 2] = 1
    middle = peak > 0
    assert local_patterns(peak, middle, smoothing=0)[0] == 1
    assert local_patterns(-peak, middle, smoothing=0)[8] == 1
    edge = np.tile(np.array([0, 0, 1, 1, 1], np.float32), (5, 1))
    assert local_patterns(edge, middle, smoothing=0)[5] == 1
    bow = np.tile(np.array([1, 0, 0.5, 0, 1], np.float32), (5, 1))
    bow[[1, 3], 2] = 0.9
    assert local_patterns(bow, middle, smoothing=0)[9] == 1
    for turns in range(4):
        np.testing.assert_array_equal(
            local_patterns(np.rot90(edge, turns).copy(), middle), local_patterns(edge, middle)
        )


def test_scale_and_light_change_little():
    data = lesions(["network", "dots"], n=3)
    for image, mask in zip(data.images, data.masks, strict=True):
        first = measure_structure(image, mask)
        twice = measure_structure(np.kron(image, np.ones((2, 2, 1), np.uint8)), np.kron(mask, np.ones((2, 2), bool)))
        dark = measure_structure(np.rint(0.8 * image).astype(np.uint8), mask)
        turned = measure_structure(np.rot90(image).copy(), np.rot90(mask).copy())
        for name in FEATURES:
            steep = name in SCORES or "entropy" in name
            limit = (1 if name == "structure_count" else 0.3) if steep else 0.06
            assert abs(twice[name] - first[name]) <= limit, name
            assert abs(dark[name] - first[name]) <= limit, name
            assert abs(turned[name] - first[name]) <= (limit if name in SCORES else limit / 3), name


def test_structure_map_shows_where_the_structure_is():
    image = image_of(DISC)
    image[DISC & (X < 120) & (Y % 6 < 2)] = BLACK
    region = LesionRegion.of_arrays(image, DISC)
    strength = structure_map(region)
    assert strength.dtype == np.float32
    assert strength.shape == (129, 129)  # the box of the lesion
    middle = strength.shape[1] // 2
    assert strength[40:80, 20 : middle - 20].mean() > 10 * strength[40:80, middle + 20 : -20].mean()
    assert structure_map(region, (64, 64)).shape == (64, 64)
    flat = np.full((40, 40), 0.7, np.float32)
    assert structure_energy(flat, np.ones((40, 40), bool), fine=1, coarse=4, window=3).max() < 1e-3


def test_explanation_lies_where_the_spots_are():
    image = image_of(DISC)
    places = np.array([(y, x) for y in (90, 150) for x in (100, 160)])
    for y, x in places:
        spot(image, y, x, 6)
    region = LesionRegion.of_arrays(image, DISC)
    told = explain_structure(region)
    found = region.to_image(told["globules"]["centers"])
    assert len(found) == 4
    assert np.linalg.norm(places[:, None] - found, axis=2).min(axis=1).max() < 2
    assert told["globules"]["radii"] == pytest.approx(6, abs=1.5)
    rows, columns = (places - np.array(region.offset)).astype(int).T
    assert {LABELS[label] for label in told["labels"][rows, columns]} == {"globules"}
    assert LABELS[told["labels"][tuple((np.array([120, 130]) - region.offset).astype(int))]] == "homogeneous"
    assert (told["labels"][~region.mask] == 0).all()
    nothing = explain_structure(LesionRegion.of_arrays(image, np.zeros_like(DISC)))
    assert set(nothing) == {"labels"}
    assert not nothing["labels"].any()


def test_frames_are_made_once_for_a_region_and_have_the_stated_diameter():
    region = LesionRegion.of_arrays(image_of(DISC), DISC)
    frame = lesion_frame(region)
    assert lesion_frame(region) is frame
    assert np.sqrt(frame.mask.sum() / np.pi) == pytest.approx(128, rel=0.01)
