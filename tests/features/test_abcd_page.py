"""The page on the ABCD rule names every column, once, with the unit, range and source of the code, and its limits."""

import importlib.util
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from skinseg import ABCDFeaturizer
from skinseg.features import FEATURES, asymmetry, border, color, structure
from skinseg.rule import BENIGN_BELOW, HIGHLY_ABOVE, RANGES, WEIGHTS, total_dermoscopy_score

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "abcd_rule.md"
TEXT = PAGE.read_text()
RULE, FORMULAS = TEXT.split("<!-- begin of the formulas -->")
PROSE = " ".join(RULE.split())


def names_of(pattern):
    """Names that a pattern such as ``color_<a, b>_mean`` stands for."""
    parts = [part.split(", ") for part in re.split(r"[<>]", pattern)]
    return ["".join(choice) for choice in product(*parts)]


def rows():
    """The names, unit, range and source of each row of the tables."""
    for line in FORMULAS.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            names = [name for pattern in re.findall(r"`([^`]*)`", cells[0]) for name in names_of(pattern)]
            assert cells[1], names
            yield names, *cells[2:]


def range_of(feature):
    if np.isinf(feature.high):
        return "any" if np.isinf(feature.low) else f"at least {feature.low:g}"
    return f"{feature.low:g} to {feature.high:g}"


def test_patterns_are_spelled_out():
    assert names_of("border_score") == ["border_score"]
    assert names_of("x_<l, a>_<low, high>") == ["x_l_low", "x_l_high", "x_a_low", "x_a_high"]


def test_every_column_has_its_formula_once():
    named = [name for names, *_ in rows() for name in names]
    assert sorted(named) == sorted(ABCDFeaturizer().get_feature_names_out())


def test_units_ranges_and_sources_are_those_of_the_code():
    sources = dict(re.findall(r"^(\d+)\. (.*)$", FORMULAS, re.MULTILINE))
    assert set(sources.values()) == {feature.source for feature in FEATURES.values()}
    for names, unit, values, source in rows():
        for name in names:
            feature = FEATURES[name]
            assert (unit, values, sources[source]) == (feature.unit, range_of(feature), feature.source), name


def test_limits_in_the_text_are_those_of_the_code():
    shape, colors, structures = (asymmetry._LIMITS[what] for what in ("shape", "color", "structure"))
    for quoted in (
        f"where shape reaches {shape:.2f}, color {colors:.2f} or structure {structures:.2f}",
        f"From {border.ABRUPT:.2f} on a profile is abrupt",
        f"The rim of {color._RIM} radii",
        f"A color is there from a share of {100 * color._PRESENT:g} % on",
        f"Lesions below {structure.MIN_DIAMETER} pixels have no scores",
        f"Below {BENIGN_BELOW} the rule says benign, from {BENIGN_BELOW} to {HIGHLY_ABOVE} suspicious",
        *(
            f"| {100 * structure._HALF[name]:g} % | {structure._STEEPNESS[name]:g} |"
            for name in ("network", "homogeneous")
        ),
        *(
            f"| {structure._HALF[name]:g} | {structure._STEEPNESS[name]:g} |"
            for name in ("streaks", "dots", "globules")
        ),
    ):
        assert quoted in PROSE, quoted


def test_points_of_the_rule():
    for weight, (low, high) in zip(WEIGHTS.values(), RANGES.values(), strict=True):
        assert f"| {low} to {high} | {weight} |" in PROSE
    points = [range(low, high + 1) for low, high in RANGES.values()]
    scores = [float(total_dermoscopy_score(*chosen)) for chosen in product(*points)]
    assert f"The {len(scores)} combinations of points give {len(set(scores))} different scores" in PROSE
    assert f"from {min(scores)} to {max(scores)}." in PROSE


@pytest.fixture(scope="module")
def script():
    path = ROOT / "benchmarks" / "experiments" / "abcd_pictures.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_those_that_the_script_makes(script, tmp_path, capsys):
    script.main([str(tmp_path), "--dpi", "20"])
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(re.findall(r"\]\(images/(.*)\)", TEXT))
    assert made == sorted(path.name for path in (ROOT / "docs" / "images").glob("abcd_*"))
    found = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    a, b, c, d = (found[name] for name in ("asymmetry_score", "border_score", "color_count", "structure_count"))
    assert f"A = {a}, B = {b}, C = {c} and D = {d} make" in PROSE
    assert f"**{float(found['tds'])}**" in PROSE


def test_what_the_pictures_show_is_what_is_measured(script):
    featurizer = ABCDFeaturizer(features=["border_score", "color_count"]).set_output(transform="pandas")
    octants = [script.make_one(2, n_abrupt_octants=number) for number in (0, 4, 8)]
    assert featurizer.transform(octants)["border_score"].tolist() == [1, 4, 8]
    six = featurizer.transform([script.make_one(6, n_colors=6)])
    assert six["color_count"].tolist() == [6]
