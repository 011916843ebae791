"""The script that counts examples of the properties."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "property_examples.py"


def run(table, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, "--table", table, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_examples_are_counted(tmp_path):
    table = tmp_path / "examples.csv"
    result = run(table, "--scale", "0.01", "-k", "largest_component or crop_box")
    assert result.returncode == 0, result.stdout + result.stderr
    with table.open(newline="") as file:
        rows = {row["property"]: row for row in csv.DictReader(file)}
    assert {name: row["examples"] for name, row in rows.items()} == {
        "test_arrays.py::test_largest_component": "15",
        "test_steps.py::test_crop_box": "10",
    }
    assert "| test_arrays: test_largest_component | 15 | 0 |" in result.stdout
    assert "| all | 25 | 0 |" in result.stdout


def test_the_last_run_of_a_property_counts(tmp_path):
    table = tmp_path / "examples.csv"
    head = "property,examples,failures,cpu_seconds\n"
    table.write_text(f"{head}test_a.py::test_x[one],7,1,0.5\ntest_a.py::test_x[two],8,0,1.0\n")
    failed = run(table, "--show")
    assert failed.returncode == 1
    assert "| test_a: test_x | 15 | 1 | 2 |" in failed.stdout
    with table.open("a") as file:
        file.write("test_a.py::test_x[one],9,0,0.5\n")
    mended = run(table, "--show")
    assert mended.returncode == 0
    assert "| all | 17 | 0 | 2 |" in mended.stdout
