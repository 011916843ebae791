"""The scripts that measure rate and memory of the pipeline on files, on a few small ones."""

import importlib.util
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "experiments"


def load_script(name, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path, lesions):
    for index, image in enumerate(lesions.images[:4]):
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), image[..., ::-1])
    return tmp_path


def test_files_of_a_table_and_of_a_folder(folder, monkeypatch):
    script = load_script("memory_and_rate", monkeypatch)
    pd.DataFrame({"image": ["1.jpg", "3.jpg"]}).to_csv(folder / "table.csv")
    assert script.find_files(folder / "table.csv") == [folder / "1.jpg", folder / "3.jpg"]
    assert script.find_files(folder) == [folder / f"{index}.jpg" for index in range(4)]


def test_memory_of_more_files_than_there_are(folder, monkeypatch, capfd):
    script = load_script("memory_and_rate", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["memory_and_rate.py", str(folder), "--number", "6", "--jobs", "1"])
    script.main()
    cells = [cell.strip() for cell in capfd.readouterr().out.splitlines()[-1].strip("|").split("|")]
    assert cells[:2] == ["6", "1"]
    of_fit, peak = (int(cell.removesuffix(" MB")) for cell in cells[4:6])
    assert 100 < of_fit <= peak < 2000


def test_rates_and_costs(folder, monkeypatch, capsys):
    script = load_script("pipeline_rate", monkeypatch)
    called = []

    def measure(what, files, number, cores):  # in this process, and quickly
        called.append((what, len(files), number, len(cores)))
        return 10.0 * number if what == "rate" else script.costs(files, 1)

    monkeypatch.setattr(script, "measure", measure)
    monkeypatch.setattr(script, "apart", lambda files, cores: 19.0)
    monkeypatch.setattr(script.os, "sched_getaffinity", lambda _: {0, 1})
    arguments = [str(folder), "--number", "3", "--large", str(folder), "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", ["pipeline_rate.py", *arguments])
    script.main()
    text = capsys.readouterr().out
    assert called[:4] == [("rate", 3, 1, 1), ("rate", 3, 2, 2)] * 2
    assert "3 files of" in text
    assert "10.0 images a second on one core, 20.0 on two; efficiency 1.00 (1.00 to 1.00)" in text
    assert "two processes apart: 19.0 images a second; efficiency 0.95 (0.95 to 0.95)" in text
    rows = [line.split("|") for line in text.splitlines() if re.match(r"\| \d ", line)]
    assert [row[1].strip() for row in rows] == ["0", "1", "2", "3"]
    ratios = [float(row[5]) for row in rows]
    assert np.isfinite(ratios).all()
    assert f"largest {max(ratios):.2f}" in text
    assert script.rate([str(folder / "0.jpg")], 1) > 0


def test_what_reduced_decoding_changes(lesions, tmp_path, monkeypatch, capsys):
    script = load_script("reduced_decoding", monkeypatch)
    for index, image in enumerate(lesions.images[:2]):
        large = cv2.resize(image[..., ::-1], None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), large)
    monkeypatch.setattr(sys, "argv", ["reduced_decoding.py", str(tmp_path), "--side", "64"])
    script.main()
    text = capsys.readouterr().out
    assert "2 files of" in text
    levels = float(re.search(r"colors: ([\d.]+) levels", text)[1])
    assert 0 < levels < 2  # something was decoded at reduced size, and is nearly the same
    assert float(re.search(r"outlines: ([\d.]+) to", text)[1]) > 0.8
