"""The script that plants duplicates, on drawn lesions."""

import importlib.util
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from skinseg.datasets import make_lesions

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "planted_duplicates.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("planted_duplicates", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Twelve lesions, of which the last is the mirrored fourth, in the validation split."""
    folder = tmp_path_factory.mktemp("planted")
    images = make_lesions(11, random_state=2, min_side=160, max_side=200).images
    images.append(images[3][:, ::-1])
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / f"p{index:02d}.png"), image[..., ::-1])
    names = [f"p{index:02d}" for index in range(12)]
    frame = pd.DataFrame({"image": [f"{name}.png" for name in names], "split": ["training"] * 10 + ["validation"] * 2})
    frame.assign(group=names).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def test_planted_copies_are_counted(script, table, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, "HARDER", {key: script.HARDER[key] for key in ("gray", "20 % cut from one side")})
    arguments = ["--planted", "4", "--seed", "0", "1", "--harder", "--n-jobs", "1", "--hashes", "20"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(table), *arguments, "--sheet", str(tmp_path / "sheet.png")])
    script.main()
    text = capsys.readouterr().out
    assert text.startswith("12 images, 4 copies of training images planted, seeds [0, 1]\n")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    for kind in script.PLAIN:
        assert [kind, "2", "2", "1.000"] in rows
    assert "recall 1.000, precision 1.000: " in text
    assert ["gray", "8", "8", "1.000"] in rows
    assert "0 false pairs with a harder copy" in text
    assert "1 pairs among the images themselves" in text
    assert ["p03", "p11", "mirrored", "1.000", "another", "training and validation"] in rows
    assert re.search(r"hashes of 20 images: \d+ s", text)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (300, 1600, 3)


def test_false_pairs_are_counted(script):
    """Copies at 3 and 4 of the images 0 and 1; 2 is a duplicate of 0, so that its pair with 3 is true."""
    pairs = pd.DataFrame({"first": [0, 2, 0], "second": [3, 3, 4]})
    hit, true, false = script.judge(pairs, [3, 4], [0, 1], np.array([0, 1, 0, 0, 1]))
    assert (hit.tolist(), true, false) == ([True, False], 2, 1)
    hit, true, false = script.judge(pairs[:0], [3, 4], [0, 1], np.array([0, 1, 0, 0, 1]))
    assert (hit.tolist(), true, false) == ([False, False], 0, 0)


def test_harder_edits_keep_the_kind_of_image(script):
    image = make_lesions(1, random_state=0, min_side=120, max_side=160).images[0]
    for name, edit in script.HARDER.items():
        copy = edit(image, np.random.default_rng(0))
        assert copy.dtype == np.uint8, name
        assert copy.ndim == 3, name
        assert not np.array_equal(copy, image), name
    square = script.HARDER["cut to the square in the middle"](image, None)
    assert abs(square.shape[0] - square.shape[1]) <= 1
