"""Sizes beyond the golden values: odd masks, edges, scales, invariance."""

import numpy as np
import pytest
from scipy import ndimage

from skinseg.features._region import LesionRegion
from skinseg.features.dimension import BLOCKS, explain_dimension, measure_dimension

Y, X = np.mgrid[:300, :400]
NAMES = [feature.name for block in BLOCKS for feature in block.features]
MILLIMETERS = {name for name in NAMES if name.endswith(("_mm", "_mm2"))}


def disc(radius, row=150.0, column=200.0):
    return np.hypot(Y - row, X - column) <= radius


def blob(turn=0.0, zoom=1.0, mirrored=False):
    """An outline of several waves, smooth and without symmetry."""
    y, x = (Y - 150.3) / zoom, (X - 200.6) / zoom
    angle = np.arctan2(-y if mirrored else y, x) - turn
    radius = 60 * (1 + 0.25 * np.cos(2 * angle) + 0.12 * np.cos(3 * angle + 1) + 0.05 * np.cos(7 * angle + 2))
    return np.hypot(y, x) <= radius


def odd_masks():
    pixel, row, column, diagonal, two, holed, full = (np.zeros((60, 90), bool) for _ in range(7))
    pixel[30, 40] = row[30, 10:60] = column[5:50, 20] = full[:] = True
    diagonal[np.arange(50), np.arange(50)] = True
    two[5:15, 5:15] = two[40:44, 60:64] = True
    holed[10:50, 10:50] = True
    holed[20:30, 20:30] = False
    corner = np.zeros((60, 90), bool)
    corner[0, 0] = True
    return {"pixel": pixel, "row": row, "column": column, "diagonal": diagonal, "two": two, "holed": holed,
            "full": full, "corner": corner, "single": np.ones((1, 1), bool),
            "line": np.ones((1, 40), bool)}  # fmt: skip


@pytest.mark.parametrize("kind", odd_masks())
def test_odd_masks_are_finite_and_in_range(kind):
    values = measure_dimension(odd_masks()[kind], pixel_size=0.1)
    assert list(values) == NAMES
    for block in BLOCKS:
        for feature in block.features:
            assert np.isfinite(values[feature.name])
            assert feature.low <= values[feature.name] <= feature.high, feature.name
    assert values["dimension_perimeter_px"] > 0
    assert values["dimension_feret_min_px"] > 0
    assert values["dimension_axis_minor_px"] > 0


def test_thin_masks_by_hand():
    masks = odd_masks()
    pixel, row = measure_dimension(masks["pixel"]), measure_dimension(masks["row"])
    # a pixel is a square of side 1: variance 1/12 in every direction
    assert pixel["dimension_axis_major_px"] == pytest.approx(4 / np.sqrt(12))
    assert pixel["dimension_elongation"] == 0
    assert pixel["dimension_perimeter_px"] == pytest.approx(np.pi)  # as long as that of a disc of diameter 1
    assert row["dimension_axis_major_px"] == pytest.approx(50 * 4 / np.sqrt(12))
    assert row["dimension_axis_minor_px"] == pytest.approx(4 / np.sqrt(12))
    assert row["dimension_feret_max_px"] == 50
    assert row["dimension_feret_min_px"] == 1
    assert row["dimension_perimeter_px"] == pytest.approx(2 * 49 + np.pi)


def test_parts_and_holes():
    both = measure_dimension(disc(60, column=100) | disc(40, column=300))
    assert both["dimension_perimeter_px"] == pytest.approx(2 * np.pi * 100, rel=0.01)
    assert both["dimension_feret_max_px"] == pytest.approx(300, rel=0.005)
    assert both["dimension_feret_min_px"] == pytest.approx(120, rel=0.01)
    holed = measure_dimension(disc(80) & ~disc(40))
    assert holed["dimension_perimeter_px"] == pytest.approx(2 * np.pi * 80, rel=0.01)
    assert holed["dimension_area_px"] == pytest.approx(np.pi * (80**2 - 40**2), rel=0.01)
    # variance of a ring: (R^2 + r^2) / 4 along any axis
    assert holed["dimension_axis_major_px"] == pytest.approx(4 * np.sqrt((80**2 + 40**2) / 4), rel=0.01)


@pytest.mark.parametrize("radius", [15, 40, 100, 145])
def test_perimeter_of_discs(radius):
    assert measure_dimension(disc(radius))["dimension_perimeter_px"] == pytest.approx(2 * np.pi * radius, rel=0.01)


@pytest.mark.parametrize("angle", [0, 7, 15, 30, 45, 62])
def test_perimeter_and_width_of_turned_squares(angle):
    t = np.deg2rad(angle)
    u, v = (X - 200) * np.cos(t) + (Y - 150) * np.sin(t), -(X - 200) * np.sin(t) + (Y - 150) * np.cos(t)
    values = measure_dimension((abs(u) <= 75) & (abs(v) <= 75))
    assert values["dimension_perimeter_px"] == pytest.approx(600, rel=0.01)
    assert values["dimension_feret_min_px"] == pytest.approx(150, rel=0.01)
    assert values["dimension_feret_max_px"] == pytest.approx(150 * np.sqrt(2), rel=0.01)


def test_pixels_that_are_not_square():
    """A disc in an image that was squeezed to half its height and three quarters of its width."""
    squeezed = np.hypot(2 * (Y - 75), (X - 150) / 0.75) <= 100
    values = measure_dimension(squeezed, scale=(2.0, 1 / 0.75), pixel_size=0.1)
    for name in ("feret_max", "feret_min", "axis_major", "axis_minor", "equivalent_diameter"):
        assert values[f"dimension_{name}_px"] == pytest.approx(200, rel=0.015), name
        assert values[f"dimension_{name}_mm"] == pytest.approx(20, rel=0.015), name
    assert values["dimension_perimeter_px"] == pytest.approx(2 * np.pi * 100, rel=0.01)
    assert values["dimension_elongation"] < 0.01


def test_a_lesion_on_the_edge_of_the_image_leaves_the_frame():
    inside = measure_dimension(disc(80))
    assert inside["dimension_leaves_frame"] == inside["dimension_cut_share"] == 0
    cut = measure_dimension(disc(80, column=-0.5))
    assert cut["dimension_leaves_frame"] == 1
    assert cut["dimension_cut_share"] == pytest.approx(2 / (2 + np.pi), abs=0.02)  # 2 R of 2 R + pi R
    corner = measure_dimension(disc(80, row=-0.5, column=-0.5))
    assert corner["dimension_cut_share"] == pytest.approx(2 / (2 + np.pi / 2), abs=0.02)
    touching = measure_dimension(np.pad(disc(80)[70:231, 120:281], ((0, 5), (5, 5))))
    assert touching["dimension_leaves_frame"] == 1
    assert 0 < touching["dimension_cut_share"] < 0.2
    assert measure_dimension(np.ones((50, 60), bool))["dimension_cut_share"] == 1


def test_a_lesion_on_the_edge_of_the_field_leaves_the_frame():
    field = X >= 200
    cut = measure_dimension(disc(80, column=199.5) & field, field=field)
    assert cut["dimension_leaves_frame"] == 1
    assert cut["dimension_cut_share"] == pytest.approx(2 / (2 + np.pi), abs=0.02)
    assert cut["dimension_area_fraction"] == pytest.approx(np.pi * 80**2 / 2 / (200 * 300), rel=0.01)
    assert cut["dimension_feret_max_fraction"] == pytest.approx(160 / np.sqrt(4 * 200 * 300 / np.pi), rel=0.01)
    apart = measure_dimension(disc(60, column=300), field=field)
    assert apart["dimension_leaves_frame"] == apart["dimension_cut_share"] == 0


def test_millimeters_are_told_or_missing_with_a_reason():
    values = measure_dimension(disc(50))
    assert {name for name, value in values.items() if np.isnan(value)} == MILLIMETERS
    region = LesionRegion.of_arrays(np.zeros((300, 400, 3), np.uint8), disc(50))
    for block in BLOCKS:
        block.measure(region)
    assert region.reasons == dict.fromkeys(MILLIMETERS, "pixel size not known")
    known = measure_dimension(disc(50), pixel_size=0.02)
    for name in MILLIMETERS - {"dimension_area_mm2"}:
        assert known[name] == pytest.approx(0.02 * known[name.replace("_mm", "_px")])
    assert known["dimension_area_mm2"] == pytest.approx(0.0004 * known["dimension_area_px"])


def test_only_what_is_asked_for_is_measured(monkeypatch):
    monkeypatch.setattr("skinseg.features.dimension._trace", None)
    monkeypatch.setattr("skinseg.features.dimension._hull", None)
    assert list(measure_dimension(disc(50), features=["dimension_axis_major_px"])) == ["dimension_axis_major_px"]
    with pytest.raises(TypeError):
        measure_dimension(disc(50), features=["dimension_perimeter_px"])


def test_an_empty_mask_has_no_size():
    assert np.isnan(list(measure_dimension(np.zeros((5, 5), bool)).values())).all()


def test_what_is_given_is_checked():
    for scale in ((0, 1), (1, -1), (1, np.nan), (1,)):
        with pytest.raises(ValueError, match="scale must be two numbers above 0"):
            measure_dimension(disc(50), scale=scale)
    for size in (0, -1, np.inf):
        with pytest.raises(ValueError, match="pixel_size must be a positive number"):
            measure_dimension(disc(50), pixel_size=size)
    with pytest.raises(ValueError, match="field must have the size"):
        measure_dimension(disc(50), field=np.ones((5, 5), bool))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", np.deg2rad([0, 13, 45, 77, 121]))
def test_direction_changes_nothing(turn, mirrored):
    expected, values = measure_dimension(blob()), measure_dimension(blob(turn, mirrored=mirrored))
    for name in set(NAMES) - MILLIMETERS:
        assert values[name] == pytest.approx(expected[name], rel=0.01), name


@pytest.mark.parametrize("zoom", [0.5, 0.75, 1.5])
def test_resolution_changes_nothing(zoom):
    """The same lesion with more or fewer pixels, told by the scale."""
    expected, values = measure_dimension(blob()), measure_dimension(blob(zoom=zoom), scale=(1 / zoom, 1 / zoom))
    for name in set(NAMES) - MILLIMETERS:
        if not name.endswith("_fraction"):  # the view differs
            assert values[name] == pytest.approx(expected[name], rel=0.02), name


def test_the_working_size_changes_little():
    """Above 512 pixels the region is reduced; lengths stay those of the original."""
    large = blob().repeat(4, axis=0).repeat(4, axis=1)
    small, reduced = measure_dimension(blob()), measure_dimension(large)
    for name in ("perimeter", "feret_max", "feret_min", "axis_major", "axis_minor"):
        assert reduced[f"dimension_{name}_px"] == pytest.approx(4 * small[f"dimension_{name}_px"], rel=0.015), name
    assert reduced["dimension_area_px"] == 16 * small["dimension_area_px"]


def test_explained_lines_have_the_measured_lengths():
    mask, scale = blob(0.4), (1.1, 0.9)
    region = LesionRegion.of_arrays(np.zeros((300, 400, 3), np.uint8), mask, scale=scale)
    values, lines = measure_dimension(mask, scale=scale), explain_dimension(region)
    assert set(lines) == {"feret_max", "feret_min", "axis_major", "axis_minor"}
    for name, line in lines.items():
        assert np.linalg.norm((line[1] - line[0]) * scale) == pytest.approx(values[f"dimension_{name}_px"]), name
    # the ends of the largest diameter lie on the outline
    for row, column in np.rint(lines["feret_max"]).astype(int):
        around = region.mask[row - 2 : row + 3, column - 2 : column + 3]
        assert around.any()
        assert not around.all()
    center = np.array(ndimage.center_of_mass(region.mask))
    np.testing.assert_allclose(lines["axis_major"].mean(axis=0), center, atol=1e-6)
    major, minor = (np.diff(lines[name], axis=0)[0] * scale for name in ("axis_major", "axis_minor"))
    assert major @ minor == pytest.approx(0, abs=1e-6)
    nothing = LesionRegion.of_arrays(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), bool))
    assert explain_dimension(nothing) == {}


def test_elongation_of_an_ellipse():
    """Half axes of 80 and 20: one quarter."""
    y, x = np.mgrid[:240, :240] - 119.5
    values = measure_dimension((x / 80) ** 2 + (y / 20) ** 2 <= 1)
    assert values["dimension_elongation"] == pytest.approx(1 - 20 / 80, abs=0.005)
