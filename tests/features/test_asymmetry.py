"""Asymmetry beyond the golden values: edges of the view, best axes, the score."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from skinseg.features import measure_asymmetry
from skinseg.features._region import LesionRegion
from skinseg.features.asymmetry import best_axes, explain_asymmetry, principal_axes

SKIN, BROWN, BLACK = (200, 170, 150), (163, 82, 16), (41, 31, 30)
Y, X = np.mgrid[:120, :160]
ELLIPSE = ((X - 80) / 45) ** 2 + ((Y - 60) / 27) ** 2 <= 1
WHAT = ("shape", "color", "structure")


def image_of(mask, color=BROWN):
    image = np.full((*mask.shape, 3), SKIN, np.uint8)
    image[mask] = color
    return image


def measured(mask, image=None, **kwargs):
    return measure_asymmetry(image_of(mask) if image is None else image, mask, **kwargs)


def t_shape(left, width=160):
    """A bar of 20 by 80 with a tail of 80 by 20 to its right: its centroid is 35 columns right of its left side."""
    mask = np.zeros((120, width), bool)
    mask[20:100, left : left + 20] = True
    mask[50:70, left + 20 : left + 100] = True
    return mask


def turned(angle, inside, size=241):
    """A shape in coordinates along and across a direction (x to the right, y down)."""
    y, x = np.mgrid[:size, :size] - size // 2
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    return inside(u, v)


def isosceles(u, v):
    """Height 150 along u, base 90 across."""
    return (u >= -75) & (u <= 75) & (abs(v) <= (u + 75) * 45 / 150)


def arrow(u, v):
    return ((u >= -70) & (u <= 10) & (abs(v) <= 14)) | ((u > 10) & (abs(v) <= (80 - u) * 0.7))


def notched_square(u, v):
    """The notch is in the corner in the direction u."""
    return (abs(u) + abs(v) <= 90) & (u <= 55)


def apart(angle, other):
    """Smallest angle between crosses of two perpendicular axes, in degrees."""
    return abs((np.rad2deg(angle - other) + 45) % 90 - 45)


def test_nothing_is_left_out_of_a_lesion_in_view():
    values = measured(t_shape(30))
    assert values["asymmetry_left_out"] == 0
    # about the axis across the tail 1400 of 3200 pixels meet their mirror image, about the other one all
    assert values["asymmetry_shape"] == pytest.approx((1 - 1400 / 3200) / 2, abs=0.01)


def test_places_without_a_mirror_place_are_left_out():
    """Cut by the left edge, columns from 70 on have their mirror image outside: 600 pixels."""
    values = measured(t_shape(0))
    assert values["asymmetry_left_out"] == pytest.approx(600 / 3200 / 2, abs=0.007)
    assert values["asymmetry_shape"] == pytest.approx((1 - 1400 / 2600) / 2, abs=0.01)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_all_edges_of_the_image_are_alike(turns):
    mask = np.ascontiguousarray(np.rot90(t_shape(0), turns))
    for name in ("asymmetry_left_out", "asymmetry_shape", "asymmetry_score"):
        assert measured(mask)[name] == pytest.approx(measured(t_shape(0))[name], abs=0.01), name


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("frame", [
    20,
    50,
])  # fmt: skip
def test_a_black_frame_is_no_more_in_view_than_what_is_beyond_the_edge(frame, told):
    mask = t_shape(frame, 160 + frame)
    image = image_of(mask)
    image[:, :frame] = 0
    field = np.arange(160 + frame)[None].repeat(120, axis=0) >= frame
    values = measured(mask, image, **({"field": field} if told else {}))
    cut = measured(t_shape(0))
    assert values["asymmetry_left_out"] == pytest.approx(cut["asymmetry_left_out"], abs=0.01)
    assert values["asymmetry_shape"] == pytest.approx(cut["asymmetry_shape"], abs=0.01)


def test_a_disc_cut_on_both_sides_is_symmetric():
    y, x = np.mgrid[:150, :100]
    band = (y - 74.5) ** 2 + (x - 49.5) ** 2 <= 65**2
    values = measured(band)
    assert values["asymmetry_left_out"] == 0
    assert values["asymmetry_score"] == 0
    for what in WHAT:
        assert values[f"asymmetry_{what}"] < 0.02, what


def test_the_edge_cuts_less_asymmetry_than_an_outline_of_the_same_shape():
    y, x = np.mgrid[:160, :160]
    cut = (y - 80) ** 2 + (x - 20) ** 2 <= 60**2
    whole = np.pad(cut, ((0, 0), (80, 0)))
    values, others = measured(cut), measured(whole)
    assert others["asymmetry_left_out"] == 0 < values["asymmetry_left_out"] < 0.1
    assert values["asymmetry_shape"] < others["asymmetry_shape"]
    assert values["asymmetry_shape_minor"] < 0.02 or values["asymmetry_shape_major"] < 0.02


def test_a_full_mask_has_nothing_beyond():
    values = measured(np.ones((50, 80), bool))
    assert values["asymmetry_left_out"] == 0
    assert values["asymmetry_shape"] == pytest.approx(0, abs=1e-6)
    # the best axes of a rectangle are found to a fraction of a degree
    assert max(values.values()) < 0.01


@pytest.mark.parametrize("inside", [isosceles, arrow, notched_square])
@pytest.mark.parametrize("degrees", [0, 13, 45, 70])
def test_the_best_axis_is_that_of_symmetry(inside, degrees):
    mask = turned(np.deg2rad(degrees), inside)
    center, _ = principal_axes(mask)
    assert apart(best_axes(mask.astype(np.float32), center)[0], np.deg2rad(degrees)) < 1.5


@pytest.mark.parametrize("degrees", [10, 25])
def test_best_axes_of_a_shape_without_principal_ones(degrees):
    """All directions are principal for a hexagon; six of them are axes of symmetry."""
    mask = turned(
        np.deg2rad(degrees),
        lambda u, v: np.max([abs(u), abs(u / 2 + v * 0.75**0.5), abs(u / 2 - v * 0.75**0.5)], axis=0) <= 70,
    )
    center, _ = principal_axes(mask)
    best = best_axes(mask.astype(np.float32), center)[0]
    assert min(apart(best, np.deg2rad(degrees + turn)) for turn in (0, 30, 60)) < 1.5
    assert measured(mask)["asymmetry_shape_best"] < 0.02


def test_best_axes_are_at_least_as_symmetric_as_the_principal_ones(lesions):
    gains = []
    for image, mask in zip(lesions.images, lesions.masks, strict=True):
        values = measure_asymmetry(image, mask, features=["asymmetry_shape", "asymmetry_shape_best"])
        gains.append(values["asymmetry_shape"] - values["asymmetry_shape_best"])
    # they are sought in a coarse polar map, and of pairs that differ by less than 0.01 colors choose
    assert min(gains) > -0.02
    assert max(gains) > 0.005


def test_directions_do_not_matter():
    """An egg with a dark end, turned by angles that are no multiples of 45 degrees."""
    values = []
    for angle in np.deg2rad([0, 17, 61, 113]):
        u = (X - 80) * np.cos(angle) + (Y - 60) * np.sin(angle)
        v = -(X - 80) * np.sin(angle) + (Y - 60) * np.cos(angle)
        egg = (u / 40) ** 2 + (v / (24 - 0.25 * u)) ** 2 <= 1
        image = image_of(egg)
        image[egg & (u > 15)] = BLACK
        values.append(measured(egg, image))
    for name in values[0]:
        assert np.ptp([value[name] for value in values]) < 0.025, name
    # the long axis is one of symmetry
    assert values[0]["asymmetry_shape_major"] < 0.02 < 0.1 < values[0]["asymmetry_shape_minor"]
    assert values[0]["asymmetry_color_major"] < 0.02 < 0.4 < values[0]["asymmetry_color_minor"]


def scalene(u, v):
    return (u >= -70) & (v >= -30) & ((u + 70) / 140 + (v + 30) / 80 <= 1)


def hook(u, v):
    return ((abs(u) <= 70) & (abs(v + 25) <= 15)) | ((abs(u - 45) <= 25) & (v >= -40) & (v <= 45))


@pytest.mark.parametrize(
    ("inside", "score"),
    [
        (lambda u, v: u**2 + v**2 <= 70**2, 0),
        (lambda u, v: (abs(u) <= 60) & (abs(v) <= 40), 0),
        (isosceles, 1),
        (lambda u, v: (u**2 + v**2 <= 80**2) & (u >= 0), 1),
        (scalene, 2),
        (hook, 2),
    ],
    ids=["disc", "rectangle", "triangle", "half disc", "scalene triangle", "hook"],
)
@pytest.mark.parametrize("degrees", [0, 37])
def test_score_of_shapes_of_one_color(inside, score, degrees):
    assert measured(turned(np.deg2rad(degrees), inside))["asymmetry_score"] == score


@pytest.mark.parametrize(
    ("dark", "score"),
    [
        (np.zeros_like(ELLIPSE), 0),
        (abs(X - 80) < 15, 0),
        (X < 80, 1),
        (Y < 60, 1),
        ((X < 80) & (Y < 60), 2),
    ],
    ids=["none", "middle", "left half", "upper half", "quarter"],
)
def test_color_counts_where_the_shape_is_symmetric(dark, score):
    image = image_of(ELLIPSE)
    image[ELLIPSE & dark] = BLACK
    values = measured(ELLIPSE, image)
    assert values["asymmetry_shape_best"] < 0.02
    assert values["asymmetry_score"] == score


def test_structure_counts_where_shape_and_mean_color_are_symmetric():
    image = image_of(ELLIPSE)
    stripes = (X > 80) & ELLIPSE
    image[stripes & (X % 4 < 2)] = np.array(BROWN) * 0.7
    image[stripes & (X % 4 >= 2)] = np.minimum(np.array(BROWN) * 1.25, 255)
    values = measured(ELLIPSE, image)
    assert values["asymmetry_structure_minor"] > 0.6
    assert values["asymmetry_structure_major"] < 0.1
    assert values["asymmetry_score"] == 1


@pytest.mark.parametrize("inside", [lambda u, v: u**2 + v**2 <= 70**2, isosceles])
def test_noise_is_no_asymmetry(inside):
    mask = turned(0.3, inside)
    noise = np.random.default_rng(0).normal(0, 12, (*mask.shape, 3))
    noisy = np.clip(np.rint(image_of(mask) + noise), 0, 255).astype(np.uint8)
    clean, values = measured(mask), measured(mask, noisy)
    assert values["asymmetry_score"] == clean["asymmetry_score"]
    for what in ("color", "structure"):
        assert values[f"asymmetry_{what}_best"] < 0.2, what


@pytest.mark.parametrize("inside", [isosceles, scalene, hook])
def test_an_outline_alone_is_no_asymmetry_of_color_or_structure(inside):
    region = LesionRegion.of_arrays(image_of(turned(0.2, inside)), turned(0.2, inside))
    for axis in explain_asymmetry(region)["asymmetric"]:
        assert not axis["color"]
        assert not axis["structure"]


def test_explained_axes_cross_in_the_center_and_make_the_score():
    mask = turned(np.deg2rad(20), isosceles)
    region = LesionRegion.of_arrays(image_of(mask), mask)
    found = explain_asymmetry(region)
    rows, columns = np.nonzero(region.mask)
    np.testing.assert_allclose(found["center"], [rows.mean(), columns.mean()], atol=0.6)
    for axes in (found["principal_axes"], found["best_axes"]):
        first, second = axes[:, 1] - axes[:, 0]
        assert abs(first @ second) < 1e-6 * np.linalg.norm(first) * np.linalg.norm(second)
        for start, end in axes:
            along = (end - start) / np.linalg.norm(end - start)
            off = (found["center"] - start) - ((found["center"] - start) @ along) * along
            assert np.linalg.norm(off) < 1e-6
    score = measure_asymmetry(image_of(mask), mask)["asymmetry_score"]
    assert sum(any(axis.values()) for axis in found["asymmetric"]) == score == 1
    direction = found["principal_axes"][0, 1] - found["principal_axes"][0, 0]
    assert apart(np.arctan2(*direction), np.deg2rad(20)) < 1


def test_shift_of_brightness_is_over_the_diameter():
    """Halves of a disc have their centroids 4 R / 3 pi from its center: of darkness d and e, on the other side."""
    y, x = np.mgrid[:241, :241] - 120
    disc = np.hypot(y, x) <= 90
    image = image_of(disc, (150, 100, 80))
    image[disc & (x < 0)] = (60, 40, 35)
    darkness = [100 - rgb2lab(np.array([[color]], np.uint8))[0, 0, 0] for color in ((60, 40, 35), (150, 100, 80))]
    expected = (darkness[0] - darkness[1]) / sum(darkness) * 4 * 90 / (3 * np.pi) / 180
    values = measured(disc, image, features=["asymmetry_brightness_shift"])
    assert values["asymmetry_brightness_shift"] == pytest.approx(expected, rel=0.08)  # colors are blurred
