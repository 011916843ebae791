"""What the script says about a whole archive follows from what it measured."""

import importlib.util
import sys
from pathlib import Path

import cv2
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "archive_estimate.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("archive_estimate", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hours_cost_and_download(script):
    """A tenth of a second an image: 13.9 hours, and half as much again at two thirds of the rate."""
    hours, times, cost, terabytes = script.estimate(0.1, 2.0, 500_000, [2, 32], price=0.04, efficiency=2 / 3)
    assert hours == pytest.approx(500_000 * 0.1 / 3600 * 1.5)
    assert times == pytest.approx([hours / 2, hours / 32])
    assert cost == pytest.approx(0.04 * hours)
    assert terabytes == pytest.approx(1.0)
    assert [script.duration(value) for value in (0.5, 3.21, 72)] == ["30 min", "3.2 h", "3.0 days"]


def test_files_of_each_size_are_measured(script, lesion_files, tmp_path, monkeypatch, capsys):
    small = lesion_files / "images" / "a00.png"
    large = tmp_path / "large.jpg"
    cv2.imwrite(str(large), cv2.resize(cv2.imread(str(small)), (2000, 1200)))
    monkeypatch.setattr(
        sys,
        "argv",
        ["archive_estimate.py", str(small), str(large), "--rounds", "1", "--side", "300", "--images", "1000"],
    )
    script.main()
    text = capsys.readouterr().out
    assert "1,000 images; assumed: 0.04 dollars a core hour, on each of many cores 85% of the rate of one" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    rows = {row[0]: row[1:] for row in rows[2:]}
    assert {name: row[0] for name, row in rows.items()} == {
        "up to 2 MP": "1",
        "2 to 8 MP": "1",
        "reduced to 300 px": "2",
    }
    assert rows["2 to 8 MP"][1] == "2.4"
    for row in rows.values():
        milliseconds, core_hours = float(row[3]), float(row[6])
        assert milliseconds > 1
        assert core_hours == pytest.approx(1000 * milliseconds / 3.6e6 / 0.85, abs=0.06)
