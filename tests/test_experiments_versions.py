"""The script that compares environments of other versions."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "compare_versions.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("compare_versions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(script, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["compare_versions.py", *map(str, arguments)])
    script.main()


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")
def test_an_environment_is_that_of_itself(script, tmp_path, monkeypatch, capsys):
    few = ("FrameCropper-1", "ABCDFeaturizer-1", "ThresholdSegmenter-0", "SuperpixelSegmenter-0")
    chosen = [(name, instance) for name, instance in script.instances() if name in few]
    assert len(chosen) == len(few)
    monkeypatch.setattr(script, "instances", lambda: chosen)
    call(script, monkeypatch, "write", tmp_path / "a.npz", "--count", 2)
    call(script, monkeypatch, "write", tmp_path / "b.npz", "--count", 2, "--like", tmp_path / "a.npz")
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        call(script, monkeypatch, "compare", tmp_path / "a.npz", tmp_path / "b.npz")
    assert end.value.code == 0
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    kinds = {cells[0] for cells in lines[1:]}
    assert kinds == {"drawing", "feature", "learnt", "outline", "probability", "step"}
    assert all(cells[3] == "100.0 %" and cells[4] == "0" for cells in lines[1:])

    with np.load(tmp_path / "b.npz") as file:
        other = dict(file)
    columns = list(other["columns/ABCDFeaturizer-1"])
    other["feature/ABCDFeaturizer-1/1"][columns.index("border_score")] += 2
    other["outline/ThresholdSegmenter-0/0"] = ~other["outline/ThresholdSegmenter-0/0"]
    np.savez(tmp_path / "c.npz", **other)
    with pytest.raises(SystemExit) as end:
        call(script, monkeypatch, "compare", tmp_path / "a.npz", tmp_path / "c.npz")
    assert end.value.code == 1
    out = capsys.readouterr().out
    assert "| feature | ABCDFeaturizer-1 scores | 4 | 75.0 % | 2 | border_score | 1.0 |" in out
    assert "| outline | ThresholdSegmenter-0 | 2 | 50.0 % | 1 | image 0 | 0.001 |" in out


def test_features_in_their_own_range(script):
    first = np.array([[0.5, 10.0, 3.0, np.nan], [0.6, 30.0, 4.0, np.nan]])
    second = first + np.array([[0.01, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    columns = np.array(["asymmetry_shape", "dimension_perimeter_px", "border_score", "structure_streaks"])
    rows = {row[0]: row[1:] for row in script.features_apart(first, second, columns)}
    assert rows["asymmetry"] == (2, 0.5, pytest.approx(0.01), "asymmetry_shape")
    assert rows["dimension"] == (2, 0.5, pytest.approx(0.1), "dimension_perimeter_px")  # one of a spread of ten
    assert rows["scores"] == (2, 0.5, 1.0, "border_score")
    assert rows["structure"] == (2, 1.0, 0.0, "")
    second[0, 3] = 1.0
    assert next(script.features_apart(first, second, columns))[0] == "values known"
