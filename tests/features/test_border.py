"""Sharpness and irregularity of the border, beyond the golden values."""

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from skinseg import ColorConstancy, LesionImage
from skinseg.datasets import make_lesions
from skinseg.features import border
from skinseg.features._outline import box_dimension, polygon_area, polygon_length, trace_outline
from skinseg.features._region import LesionRegion
from skinseg.features.border import BLOCKS, explain_border, measure_border

NAMES = [feature.name for block in BLOCKS for feature in block.features]
SHARPNESS = [feature.name for feature in BLOCKS[0].features]
OCTANTS = [f"border_sharpness_{rank}" for rank in range(1, 9)]
Y, X = np.mgrid[:240, :240] - 120


def faded(scale, radius=60.0, center=(0, 0), dark=(110, 70, 55), skin=(205, 170, 150)):
    """A disc whose pigment is a logistic function of the distance, of a scale in pixels (0 is a sharp edge)."""
    distance = np.hypot(Y - center[0], X - center[1]) - radius
    share = 1 / (1 + np.exp(np.clip(distance / max(scale, 1e-3), -50, 50)))
    image = np.asarray(skin) + share[..., None] * (np.asarray(dark, float) - skin)
    return np.rint(image).astype(np.uint8), distance <= 0


def test_columns():
    image, disc = faded(0)
    assert list(measure_border(image, disc)) == NAMES
    assert len(set(NAMES)) == len(NAMES) == 22
    assert measure_border(image, disc, features=["border_solidity"]).keys() == {"border_solidity"}


@pytest.mark.parametrize("share_of_diameter", [0.01, 0.02, 0.04])
def test_sharpness_of_a_logistic_edge(share_of_diameter):
    """A share tanh(h / 2 s) of the step lies within h of its middle."""
    scale = share_of_diameter * 120
    image, disc = faded(scale)
    sides = np.tanh(np.linspace(7, 13, 7) * 0.0125 / (2 * share_of_diameter)).mean()
    expected = np.tanh(0.025 / (2 * share_of_diameter)) / sides
    assert measure_border(image, disc)["border_sharpness_mean"] == pytest.approx(expected, abs=0.05)


def test_outline_need_not_be_in_place():
    """Drawn 5 % of the diameter outside or 3 % inside of the edge."""
    image, _ = faded(0)
    for radius in (66, 56.4):
        values = measure_border(image, radius >= np.hypot(Y, X))
        assert values["border_score"] == 8
        assert values["border_sharpness_mean"] > 0.9


def test_contrast_does_not_matter():
    """Pale and dark lesions, on light and dark skin, of the same edge."""
    colors = [((110, 70, 55), (205, 170, 150)), ((175, 145, 130), (205, 170, 150)), ((60, 42, 36), (110, 80, 65))]
    values = [measure_border(*faded(3, dark=dark, skin=skin)) for dark, skin in colors]
    means = [value["border_sharpness_mean"] for value in values]
    assert np.ptp(means) < 0.04
    assert 0.3 < min(means) < 0.6


def test_lighter_parts_have_borders_too():
    """Half of the lesion is paler than the skin."""
    image, disc = faded(0)
    image[disc & (X > 0)] = (235, 225, 225)
    assert measure_border(image, disc)["border_score"] == 8


def test_noise_and_hair_are_no_edges():
    rng = np.random.default_rng(0)
    image, disc = faded(5)
    noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    for angle in np.linspace(0, np.pi, 7):
        ends = np.rint(120 + 115 * np.array([[np.cos(angle), np.sin(angle)], [-np.cos(angle), -np.sin(angle)]]))
        cv2.line(noisy, ends[0].astype(int).tolist(), ends[1].astype(int).tolist(), (30, 25, 25), 2)
    clean, disturbed = measure_border(image, disc), measure_border(noisy, disc)
    assert disturbed["border_score"] == clean["border_score"] == 0
    assert disturbed["border_sharpness_mean"] == pytest.approx(clean["border_sharpness_mean"], abs=0.12)


def test_one_color_has_no_border():
    image, disc = faded(0, dark=(205, 170, 150))
    values = measure_border(image, disc)
    assert values["border_score"] == values["border_sharpness_mean"] == 0


def test_octants_out_of_sight_are_scaled():
    """The right half of a sharp disc lies beyond the edge of the image."""
    image, disc = faded(0)
    cut = measure_border(image[:, :120], disc[:, :120])
    assert cut["border_score"] == 8
    region = LesionRegion.of_arrays(np.ascontiguousarray(image[:, :120]), np.ascontiguousarray(disc[:, :120]))
    octants = explain_border(region)["octants"]
    assert 1 <= sum(np.isnan(octant["sharpness"]) for octant in octants) <= 4
    assert np.isfinite([cut[name] for name in OCTANTS]).all()


def test_painted_profiles_are_left_out():
    image, disc = faded(0)
    right = X > 0
    image[right] = faded(8)[0][right]
    painted = measure_border(image, disc, artifacts=right)
    assert painted["border_abrupt_share"] > 0.95 > measure_border(image, disc)["border_abrupt_share"]
    assert np.isfinite(list(measure_border(image, disc, artifacts=np.ones_like(disc)).values())).all()


def test_outside_of_the_field_nothing_is_seen():
    image, disc = faded(0)
    field = X < 30
    image[~field] = 0
    values = measure_border(image, disc, field=field)
    assert values["border_score"] == 8
    assert values["border_sharpness_mean"] > 0.9


def test_no_skin_in_view():
    image = np.full((60, 80, 3), 120, np.uint8)
    region = LesionRegion.of_arrays(image, np.ones((60, 80), bool))
    values = {name: value for block in BLOCKS for name, value in block.measure(region).items()}
    assert {name for name, value in values.items() if np.isnan(value)} == set(SHARPNESS) == set(region.reasons)
    assert "no skin" in region.reasons["border_score"]


@pytest.mark.parametrize("kind", ["pixel", "row", "column", "two", "diagonal", "thin cross", "holes", "specks"])
def test_any_mask_gives_numbers(kind):
    mask = np.zeros((60, 80), bool)
    if kind == "thin cross":
        mask[30, 10:70] = mask[10:50, 40] = True
    elif kind == "holes":
        mask[10:50, 20:60] = True
        mask[20:30, 30:40] = False
    elif kind == "specks":
        mask[5:55:5, 5:75:5] = True
    else:
        mask[{"pixel": np.s_[30, 40], "row": np.s_[30, 20:50], "column": np.s_[20:50, 40], "two": np.s_[30, 40:42],
              "diagonal": (np.arange(10, 40), np.arange(10, 40))}[kind]] = True  # fmt: skip
    image = np.full((60, 80, 3), (205, 170, 150), np.uint8)
    image[mask] = (110, 70, 55)
    values = measure_border(image, mask)
    for block in BLOCKS:
        for feature in block.features:
            assert feature.low <= values[feature.name] <= feature.high, feature.name


def test_pixels_are_squares():
    """A mask of n pixels in a row has an outline of 2 n + 2 and an area of n."""
    for length in (1, 2, 25):
        polygon = trace_outline(np.pad(np.ones((1, length), bool), 3))
        assert polygon_length(polygon) == 2 * length + 2
        assert polygon_area(polygon) == length
        assert polygon.min(axis=0).tolist() == [2.5, 2.5]


def test_outline_lies_where_the_mask_does():
    y, x = np.mgrid[:300, :260]
    for row, column, radius in ((150.3, 120.6, 90.4), (40.2, 200.1, 17.7), (60, 60, 8.2)):
        polygon = trace_outline((y - row) ** 2 + (x - column) ** 2 <= radius**2)
        distance = np.hypot(polygon[:, 0] - row, polygon[:, 1] - column)
        assert abs(distance - radius).max() < 0.75
        assert distance.mean() == pytest.approx(radius, abs=0.12)


def test_dimension_of_a_snowflake():
    """Koch's snowflake has the dimension log 4 / log 3, at all scales above its smallest side."""
    points = np.exp(2j * np.pi * np.arange(3) / 3)
    for _ in range(6):
        third = (np.roll(points, -1) - points) / 3
        corners = [points, points + third, points + third * (1 + np.exp(-1j * np.pi / 3)), points + 2 * third]
        points = np.stack(corners, axis=1).ravel()
    polygon = 1000 * np.stack([points.imag, points.real], axis=1)
    diameter = np.sqrt(4 * polygon_area(polygon) / np.pi)
    assert box_dimension(polygon, diameter) == pytest.approx(np.log(4) / np.log(3), abs=0.02)
    assert box_dimension(polygon[:: 4**6], diameter) == pytest.approx(1, abs=0.03)  # the triangle that it began with


@pytest.mark.parametrize("difficulty", ["easy", "medium"])
def test_score_and_octants_follow_the_drawing(difficulty):
    count = np.arange(72) % 9
    data = make_lesions(72, random_state=21, difficulty=difficulty, hair_fraction=0, min_side=240, max_side=320,
                        n_abrupt_octants=count)  # fmt: skip
    tables, flags, sharpness = [], [], []
    for image, mask, row in zip(data.images, data.masks, data.frame.to_dict("records"), strict=True):
        tables.append(measure_border(image, mask))
        geometry = explain_border(LesionRegion.of_arrays(image, mask))
        profiles, away = geometry["profiles"], geometry["profiles"]["points"] - geometry["centroid"]
        drawn = (np.arctan2(away[:, 0], away[:, 1]) % (2 * np.pi) / (np.pi / 4)).astype(int) % 8
        seen = np.isfinite(profiles["sharpness"])
        for octant in set(drawn[seen]):
            flags.append(row[f"abrupt_octant_{octant}"])
            sharpness.append(profiles["sharpness"][seen & (drawn == octant)].mean())
    least = 0.95 if difficulty == "easy" else 0.9
    for name in ("border_score", "border_abrupt_share"):
        assert spearmanr([table[name] for table in tables], count).statistic >= least, name
    assert roc_auc_score(flags, sharpness) >= (0.98 if difficulty == "easy" else 0.95)


def profiles_of(shares, sharp=0.9, soft=0.1):
    """Sixteen profiles an octant, of which a share is sharp, in the place of those that an image has."""
    sharpness = np.concatenate([np.where(np.arange(16) < 16 * share, sharp, soft) for share in shares])
    octant = np.repeat(np.arange(8), 16)
    points = np.zeros((128, 2))
    region = LesionRegion.of_arrays(*faded(0))
    region._kept[border._cross] = border._Profiles(points, points, (0, 1), octant, np.ones(128, bool), sharpness)
    return border._measure_sharpness(region)


def test_an_octant_counts_from_a_half_on():
    values = profiles_of([0, 0.25, 7 / 16, 0.5, 0.5, 0.625, 0.75, 1])
    assert values["border_score"] == 5
    assert values["border_abrupt_share"] == pytest.approx((0 + 4 + 7 + 8 + 8 + 10 + 12 + 16) / 128)


def test_octants_are_ranked_from_the_sharpest():
    values = profiles_of([0, 1, 0.5, 0, 0.25, 0, 0, 0.75])
    means = [0.1 + 0.8 * share for share in (1, 0.75, 0.5, 0.25, 0, 0, 0, 0)]
    np.testing.assert_allclose([values[name] for name in OCTANTS], means)
    image, disc = faded(2)
    ranks = measure_border(np.where((X < 0)[..., None], faded(8)[0], image), disc)
    assert ranks["border_sharpness_1"] > ranks["border_sharpness_8"] + 0.2


def test_profiles_lie_where_the_outline_does_at_another_size(monkeypatch):
    """The edge of the first pixel stays where it is: a place p is (p + 1/2) / 2 - 1/2 in half of the pixels."""
    laid = []
    monkeypatch.setattr(border, "_sharpness", lambda region, places: laid.append(places) or (None, None))
    y, x = np.mgrid[:480, :480] - 239.5
    region = LesionRegion.of_arrays(np.zeros((480, 480, 3), np.uint8), np.hypot(y, x) <= 120, working_size=480)
    ratio = len(region.mask) / len(region.at(border.SMALL).mask)
    assert ratio > 1.3
    border._cross(region)
    crossings = laid[0][:, -border._FIRST]  # where the reach is 0
    middle = (np.argwhere(region.mask).mean(axis=0) + 0.5) / ratio - 0.5
    np.testing.assert_allclose(crossings.mean(axis=0), middle, atol=0.03)
    np.testing.assert_allclose(np.hypot(*(crossings - middle).T), 120 / ratio, atol=0.3)


def test_a_dent_has_its_area():
    """A square of side 160 without an upper right quarter of side 80: below the hull lies a triangle of 80 by 80."""
    mask = np.zeros((240, 240), bool)
    mask[40:200, 40:200] = True
    mask[40:120, 120:200] = False
    values = measure_border(np.full((240, 240, 3), 200, np.uint8), mask)
    assert values["border_indentation_count"] == 1
    # corners are rounded
    assert values["border_indentation_area"] == pytest.approx(80 * 80 / 2 / (3 * 80 * 80), rel=0.05)
    diameter = np.sqrt(4 * 3 * 80 * 80 / np.pi)
    assert values["border_indentation_depth"] == pytest.approx(80 / np.sqrt(2) / diameter, rel=0.05)


def test_irregularity_follows_the_drawing():
    """The drawing bends every lesion a little besides: no more than about 0.93 can be had, whatever is measured."""
    dialed = np.linspace(0, 1, 100)
    data = make_lesions(100, random_state=22, difficulty="easy", border_irregularity=dialed)
    tables = [measure_border(image, mask) for image, mask in zip(data.images, data.masks, strict=True)]
    for name, sign in (("compactness", 1), ("solidity", -1), ("convexity", -1), ("curvature_std", 1),
                       ("curvature_mean_abs", 1), ("indentation_area", 1)):  # fmt: skip
        assert sign * spearmanr([table[f"border_{name}"] for table in tables], dialed).statistic > 0.83, name


def test_turned_scaled_and_lit_lesions_keep_their_values():
    data = make_lesions(4, random_state=8, difficulty="easy", min_side=400, max_side=420, hair_fraction=0,
                        diameter_fraction=0.45, n_abrupt_octants=[1, 4, 6, 8])  # fmt: skip

    def turned(image, mask):
        matrix = cv2.getRotationMatrix2D((mask.shape[1] / 2, mask.shape[0] / 2), 37, 1)
        size = mask.shape[::-1]
        image = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return image, cv2.warpAffine(mask.astype(np.float32), matrix, size) > 0.5

    def half(image, mask):
        small = [cv2.resize(a, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for a in (image, 1.0 * mask)]
        return small[0], small[1] > 0.5

    def lit(image, mask, gain=1.0):
        light = np.clip(255 * (gain * (image / 255) ** 2.2) ** (1 / 2.2), 0, 255)
        return ColorConstancy().transform([LesionImage(np.rint(light).astype(np.uint8))])[0].image, mask

    for image, mask in zip(data.images, data.masks, strict=True):
        plain, even = measure_border(image, mask), measure_border(*lit(image, mask))
        for name, other, reference in (
            ("turned", measure_border(*turned(image, mask)), plain),
            ("mirrored", measure_border(image[:, ::-1].copy(), mask[:, ::-1].copy()), plain),
            ("half", measure_border(*half(image, mask)), plain),
            ("dim", measure_border(*lit(image, mask, 0.8)), even),
        ):
            assert other["border_score"] == pytest.approx(reference["border_score"], abs=1), name
            for feature in ("mean", "std", *range(1, 9)):
                column = f"border_sharpness_{feature}"
                assert other[column] == pytest.approx(reference[column], abs=0.06), (name, column)
            for feature in ("compactness", "solidity", "convexity", "fractal_dimension", "curvature_mean_abs"):
                column = f"border_{feature}"
                assert other[column] == pytest.approx(reference[column], rel=0.035), (name, column)


def test_geometry():
    image, disc = faded(0, center=(10, -15))
    region = LesionRegion.of_arrays(image, disc)
    geometry = explain_border(region)
    np.testing.assert_allclose(region.to_image(geometry["centroid"]), (130, 105), atol=0.1)
    for name in ("outline", "hull"):
        distance = np.linalg.norm(region.to_image(geometry[name]) - (130, 105), axis=1)
        np.testing.assert_allclose(distance, 60, atol=0.8)
    assert sum(len(octant["outline"]) for octant in geometry["octants"]) == len(geometry["outline"])
    assert all(octant["abrupt"] for octant in geometry["octants"])
    profiles = geometry["profiles"]
    reach = [np.linalg.norm(region.to_image(profiles[end]) - (130, 105), axis=1).mean() for end in ("inner", "outer")]
    assert reach == pytest.approx([60 - 19 * 1.5, 60 + 17 * 1.5], abs=0.5)
    empty = explain_border(LesionRegion.of_arrays(image, np.zeros_like(disc)))
    assert empty["octants"] == []
