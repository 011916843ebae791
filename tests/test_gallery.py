"""The examples of the gallery run as they are, without a warning, and say how to run them on real images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("plot_*.py"))
QUICK = {"plot_abcd", "plot_preprocessing"}  # the others run with `pytest -m long`, and whenever the site is built
CASES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in EXAMPLES]


def test_there_are_examples():
    assert len(EXAMPLES) >= 7
    assert set(EXAMPLES) >= QUICK


@pytest.mark.parametrize("name", CASES)
def test_example_runs(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / f"{name}.py"],
        cwd=tmp_path, env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir()), "it leaves files behind"


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_has_a_title_sections_and_the_way_to_real_images(name):
    text = (FOLDER / f"{name}.py").read_text()
    title, line, blank = text.splitlines()[1:4]
    assert line == "=" * len(title)
    assert blank == ""
    assert len(re.findall(r"^# -{4,}$", text, re.MULTILINE)) >= 3
    assert re.search(r"^# On (ISIC data|your own images|ISIC data, or your own)$", text, re.MULTILINE)
    assert "ISIC" in text
