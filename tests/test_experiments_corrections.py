"""The scripts behind the figures of corrections, on drawn lesions."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skinseg.annotations import polygons_to_mask
from skinseg.doubtful import write_doubtful

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "experiments"


def load(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_doubtful_outlines(lesion_files, tmp_path, monkeypatch, capsys):
    table = pd.read_csv(lesion_files / "lesions.csv").assign(split="validation")
    path = lesion_files / "split.csv"
    table.to_csv(path, index=False)
    monkeypatch.setattr(sys, "argv", ["script", str(path)])
    load("doubtful_outlines").main()
    text = capsys.readouterr().out
    assert re.search(r"16 images, mean Jaccard index 0\.\d{3}, \d+ failed", text)
    assert [line.split("|")[2].strip() for line in text.splitlines() if "% |" in line] == ["1", "2", "4"]
    assert "| 0 | " in text
    assert "| 1.0000 | 1.0000 | 1.0000 |" in text


def test_annotation_tools(lesion_files, tmp_path, monkeypatch, capsys):
    """A tool that is not installed is left out; one that reads the masks agrees with them."""
    images = sorted((lesion_files / "images").iterdir())[:3]
    masks = [lesion_files / "masks" / f"{image.stem}_segmentation.png" for image in images]
    write_doubtful(pd.DataFrame({"image": images, "mask": masks, "confidence": 0.1, "error": ""}), tmp_path / "review")
    script = load("annotation_tools")
    written = dict(script.exact(tmp_path / "review"))

    def read(folder):
        for stem, (mask, _) in written.items():
            yield stem, mask

    monkeypatch.setattr(script, "TOOLS", {"numpy": read, "no-such-tool": read})
    monkeypatch.setattr(sys, "argv", ["script", str(tmp_path / "review")])
    script.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(f"| numpy | {np.__version__} | 3 | 1.0000, 1.0000 | 0.9")
    ring = np.array([(1.3, 0.2), (7.9, 3.3), (4.1, 8.8)])
    np.testing.assert_array_equal(script.filled(ring, (9, 9)), polygons_to_mask([ring], (9, 9)))
