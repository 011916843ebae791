"""Color beyond the golden values: every shade, light and skin, what is left out."""

import cv2
import numpy as np
import pytest
from shapes import SIX_COLORS
from skimage.color import rgb2lab

from skinseg.features import FEATURES, measure_color
from skinseg.features._region import LesionRegion, medians, surrounding_skin
from skinseg.features._table import measure_blocks
from skinseg.features.color import _SHADES as SHADES
from skinseg.features.color import BLOCKS, COLOR_NAMES, STANDARD_SKIN, adapt_to_skin, clinical_colors, explain_color

SKIN, BROWN = (200, 170, 150), (163, 82, 16)
Y, X = np.mgrid[:120, :160]
DISC = (Y - 60) ** 2 + (X - 80) ** 2 <= 30**2
SHARES = [f"color_{name}_share" for name in COLOR_NAMES]


def image_of(mask, lesion=BROWN, skin=SKIN):
    image = np.full((*mask.shape, 3), skin, np.uint8)
    image[mask] = lesion
    return image


def sectors(number):
    """A disc of so many equal sectors, each of a clinical color."""
    image = image_of(DISC)
    turn = np.arctan2(Y - 60, X - 80) / (2 * np.pi) % 1 * number
    for index, color in enumerate(list(SIX_COLORS.values())[:number]):
        image[DISC & (turn.astype(int) == index)] = color
    return image


def lit(image, gains):
    """The same scene in light of other strength or color: gains of linear light."""
    level = image / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4) * np.array(gains)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(255 * encoded), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", COLOR_NAMES)
def test_each_color_is_found(name):
    values = measure_color(image_of(DISC, SIX_COLORS[name]), DISC)
    assert values[f"color_{name}_share"] == 1
    assert sum(values[share] for share in SHARES) == 1
    assert values["color_count"] == values["color_perceptible_count"] == 1


@pytest.mark.parametrize(("label", "shade"), SHADES, ids=str)
def test_each_shade_is_itself_on_standard_skin(label, shade):
    color = cv2.cvtColor(np.array(shade, np.float32).reshape(1, 1, 3), cv2.COLOR_LAB2RGB)[0, 0]
    painted = np.clip(np.rint(255 * color), 0, 255)
    assert clinical_colors(adapt_to_skin(painted.astype(np.uint8)[None]))[0] == label
    values = measure_color(image_of(DISC, painted, STANDARD_SKIN), DISC)
    assert sum(values[share] for share in SHARES) == (label >= 0)
    if label >= 0:
        assert values[SHARES[label]] == 1


@pytest.mark.parametrize("number", range(1, 7))
def test_colors_are_counted(number):
    values = measure_color(sectors(number), DISC)
    assert values["color_count"] == number
    assert [values[share] > 0 for share in SHARES] == [True] * number + [False] * (6 - number)
    for share in SHARES[:number]:
        # transitions at the tips of the sectors belong to none
        assert values[share] == pytest.approx(1 / number, abs=0.02), share


def test_a_color_of_less_than_four_percent_is_not_counted():
    counts = []
    for radius in (4, 8):
        image = image_of(DISC, SIX_COLORS["light_brown"])
        image[radius**2 >= (Y - 60) ** 2 + (X - 80) ** 2] = SIX_COLORS["black"]
        values = measure_color(image, DISC)
        # of the lesion deeper than 0.15 radii
        assert values["color_black_share"] == pytest.approx((radius / (0.85 * 30)) ** 2, rel=0.25)
        counts.append(values["color_count"])
    assert counts == [1, 2]


def test_white_counts_only_if_lighter_than_the_skin():
    pale = (205, 203, 202)
    values = measure_color(image_of(DISC, pale), DISC)
    assert values["color_white_share"] == 1
    assert values["color_relative_l_median"] > 5
    on_pale_skin = measure_color(image_of(DISC, pale, (238, 226, 220)), DISC)
    assert on_pale_skin["color_relative_l_median"] < -5
    assert on_pale_skin["color_white_share"] == 0


def test_skin_itself_has_no_color():
    values = measure_color(image_of(DISC, SKIN), DISC)
    assert [values[share] for share in SHARES] == [0] * 6
    assert values["color_count"] == 1
    assert values["color_contrast"] < 1e-3


def test_hair_is_left_out():
    hair = abs(X - 80) < 4
    image = image_of(DISC)
    image[hair] = 0
    clean, untold = measure_color(image_of(DISC), DISC), measure_color(image, DISC)
    told = measure_color(image, DISC, artifacts=hair)
    for name, value in clean.items():
        assert told[name] == pytest.approx(value, abs=2e-3), name
    for name in ("color_a_mean", "color_l_std", "color_entropy", "color_black_share", "color_variegation"):
        assert abs(untold[name] - clean[name]) > 0.03, name


@pytest.mark.parametrize("told", [True, False])
def test_dark_corners_are_no_skin(told):
    outside = np.hypot(Y - 60, X - 80) > 34
    image = image_of(DISC)
    image[outside] = 0
    values = measure_color(image, DISC, **({"field": ~outside} if told else {}))
    clean = measure_color(image_of(DISC), DISC)
    for name in clean:
        assert values[name] == pytest.approx(clean[name], abs=0.02), name


@pytest.mark.parametrize(
    "gains", [(0.7, 0.7, 0.7), (1.2, 1.2, 1.2), (1.0, 0.85, 0.65), (0.75, 0.9, 1.0), (0.85, 1.0, 0.85)]
)
def test_light_leaves_the_clinical_colors_alone(gains):
    image = sectors(6)
    plain, values = measure_color(image, DISC), measure_color(lit(image, gains), DISC)
    assert values["color_count"] == 6
    for name in [*SHARES, "color_blue_white_veil_share", "color_regression_share"]:
        assert values[name] == pytest.approx(plain[name], abs=1e-6), name
    for name in values:
        if name.startswith("color_relative") and FEATURES[name].unit == "CIELAB":
            # rounding to 8 bits is all that differs
            assert values[name] == pytest.approx(plain[name], abs=1.2), name
    assert abs(values["color_l_std"] - plain["color_l_std"]) > 0.1


@pytest.mark.parametrize("skin", [(141, 105, 85), (110, 75, 60), (75, 50, 40)])
def test_dark_pigment_on_dark_skin_is_not_blue(skin):
    values = measure_color(image_of(DISC, np.array(skin) * 0.2, skin), DISC)
    assert values["color_black_share"] == 1
    values = measure_color(image_of(DISC, np.array(skin) * (0.62, 0.5, 0.4), skin), DISC)
    assert values["color_dark_brown_share"] + values["color_light_brown_share"] == 1
    assert values["color_blue_gray_share"] == values["color_blue_white_veil_share"] == 0


def test_adaptation_takes_the_skin_to_the_standard():
    for skin in (SKIN, (110, 75, 60), (230, 210, 205)):
        given = adapt_to_skin(np.array([skin], np.uint8), skin)
        np.testing.assert_allclose(given, adapt_to_skin(np.array([STANDARD_SKIN], np.uint8)), atol=0.05)
    black = adapt_to_skin(np.zeros((2, 2, 3), np.uint8), (0, 0, 0))
    assert black.shape == (2, 2, 3)
    assert np.isfinite(black).all()
    assert np.isfinite(adapt_to_skin(np.full((1, 3), 255, np.uint8), (0, 0, 0))).all()


def test_without_skin_in_view_only_contrasts_are_missing():
    mask = np.ones((60, 60), bool)
    region = LesionRegion.of_arrays(image_of(mask), mask)
    values = measure_blocks(BLOCKS, region)
    missing = {name for name, value in values.items() if np.isnan(value)}
    assert missing == {"color_contrast"} | {
        *(f"color_{c}_{kind}contrast" for c in "lab" for kind in ("", "halo_") if c + kind != "l"),
        *(f"color_relative_{c}_{kind}" for c in "lab" for kind in ("low", "median", "high")),
    }
    assert set(region.reasons) == missing
    assert set(region.reasons.values()) == {"no skin in view around the lesion"}
    # colors are taken as they are then
    assert sum(values[share] for share in SHARES) == 1
    assert values["color_light_brown_share"] == 1


def test_surrounding_skin_is_a_ring_apart_from_the_outline():
    ring = surrounding_skin(DISC)
    distance = np.hypot(Y - 60, X - 80)[ring]
    assert distance.min() > 32
    assert distance.max() < 46
    assert not surrounding_skin(np.ones((5, 5), bool)).any()


def test_the_map_shows_the_colors_that_are_counted():
    image = sectors(6)
    region = LesionRegion.of_arrays(image, DISC)
    found = explain_color(region)
    labels = found["color_map"]
    assert labels.shape == region.mask.shape
    assert set(np.unique(labels)) <= set(range(-2, 6))
    assert (labels[~region.mask] == -2).all()
    values = measure_color(image, DISC)
    asked = labels > -2
    for number, share in enumerate(SHARES):
        assert (labels == number).sum() / asked.sum() == pytest.approx(values[share], abs=1e-9)
        painted = (region.image == np.uint8(SIX_COLORS[COLOR_NAMES[number]])).all(axis=2)
        assert painted[labels == number].all()
    assert (found["skin"] == region.skin).all()


def test_only_what_is_asked_for_is_measured(monkeypatch):
    def fail(*args):
        raise AssertionError("not asked for")

    monkeypatch.setattr("skinseg.features.color._Adapted", fail)
    monkeypatch.setattr("skinseg.features._region.to_lab", fail)
    assert list(measure_color(image_of(DISC), DISC, features=["color_hue_mean"])) == ["color_hue_mean"]
    with pytest.raises(AssertionError, match="not asked for"):
        measure_color(image_of(DISC), DISC, features=["color_count"])


def test_hue_saturation_and_value_of_one_color():
    """(200, 100, 50): a hue of 60 (100 - 50) / 150 = 20 degrees, a saturation of 150 / 200."""
    values = measure_color(image_of(DISC, (200, 100, 50)), DISC)
    assert values["color_hue_mean"] == pytest.approx(20, abs=360 / 256)
    assert values["color_saturation_mean"] == pytest.approx(0.75, abs=1 / 255)
    assert values["color_hue_concentration"] == pytest.approx(1)
    assert values["color_saturation_std"] == values["color_value_std"] == 0


def test_hues_of_a_circle_are_in_degrees():
    """Blue of (50, 100, 200) lies at 220 degrees, which is -140."""
    values = measure_color(image_of(DISC, (50, 100, 200)), DISC)
    assert values["color_hue_mean"] == pytest.approx(-140, abs=360 / 256)


def test_hue_of_the_adapted_colors_is_that_of_cielab():
    """On standard skin nothing is adapted: the angle of a* and b* as scikit-image gives them, in degrees."""
    values = measure_color(image_of(DISC, (150, 90, 60), STANDARD_SKIN), DISC)
    _, a, b = rgb2lab(np.array([[[150, 90, 60]]], np.uint8))[0, 0]
    assert values["color_relative_hue"] == pytest.approx(np.rad2deg(np.arctan2(b, a)), abs=1)
    assert values["color_relative_hue_concentration"] == pytest.approx(1)


def test_entropy_of_equal_parts_is_in_bits():
    """Two colors in equal shares are one bit, four are two."""
    y, x = np.mgrid[:120, :120]
    square = (abs(y - 59.5) < 32) & (abs(x - 59.5) < 32)
    colors = [(60, 40, 35), (190, 60, 50), (120, 120, 160), (230, 225, 220)]
    for number in (2, 4):
        image = image_of(square, colors[0])
        image[square & (x >= 60)] = colors[1]
        if number == 4:
            image[square & (y >= 60)] = colors[2]
            image[square & (y >= 60) & (x >= 60)] = colors[3]
        values = measure_color(image, square, features=["color_entropy", "color_perceptible_count"])
        assert values["color_entropy"] == pytest.approx(np.log2(number), abs=1e-6)
        assert values["color_perceptible_count"] == number


def test_skewness_is_of_the_third_power():
    """A share p of one lightness among another has the skewness (1 - 2 p) / sqrt(p (1 - p))."""
    y, x = np.mgrid[:120, :120]
    square = (abs(y - 59.5) < 32) & (abs(x - 59.5) < 32)
    image = image_of(square, (60, 40, 35))
    image[square & (x >= 76)] = (200, 160, 140)  # 16 of 64 columns
    values = measure_color(image, square, features=["color_relative_l_skewness"])
    assert values["color_relative_l_skewness"] == pytest.approx(0.5 / np.sqrt(0.25 * 0.75), rel=1e-3)


def test_contrasts_are_lesion_less_skin():
    values = measure_color(image_of(DISC), DISC)
    lesion, skin = rgb2lab(np.array([[BROWN, SKIN]], np.uint8))[0]
    assert values["color_a_contrast"] == pytest.approx(lesion[1] - skin[1], abs=0.2)
    assert values["color_b_contrast"] == pytest.approx(lesion[2] - skin[2], abs=0.2)


def test_medians_are_those_of_numpy():
    """Of even and odd numbers, and of one."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 7, 100):
        rows = rng.normal(size=(3, size)).astype(np.float32)
        np.testing.assert_allclose(medians(rows), np.median(rows.astype(np.float64), axis=1), rtol=1e-12)
