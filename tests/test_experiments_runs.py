"""The script that kills long runs, with the command called here and stopped by an exception in place of a kill."""

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from skinseg.cli import main
from skinseg.runs import _drive, _parts

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "killed_runs.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("killed_runs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_compares_killed_runs(script, lesion_files, monkeypatch, capsys):
    monkeypatch.setattr(_parts, "_AT_LEAST", 0.0)
    monkeypatch.setattr(_drive, "_BATCH", 2)
    monkeypatch.setattr("skinseg.bulk._predict.CHUNK", 2)
    add = _parts.PartStore.add

    def run(words, log, kill_after=None):
        assert words[1:3] == ["-m", "skinseg.cli"]
        added = []

        def stopping(self, positions, frame):
            if kill_after and added:
                raise KeyboardInterrupt
            added.append(positions)
            add(self, positions, frame)

        monkeypatch.setattr(_parts.PartStore, "add", stopping)
        result = CliRunner().invoke(main, words[3:])
        assert result.exit_code == (130 if kill_after else 1), result.output
        return 1.0, bool(kill_after)

    monkeypatch.setattr(script, "run", run)
    folder = str(lesion_files / "images")
    monkeypatch.setattr(
        sys, "argv", ["killed_runs", folder, "--files", "12", "--bad", "1", "--jobs", "1", "--kills", "2"]
    )
    script.main()
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split("|")[1].strip() for line in lines[:3]] == ["features", "segment", "predict"]
    for line in lines[:3]:
        assert [cell.strip() for cell in line.split("|")[2:4]] == ["12", "1"]
        assert [cell.strip() for cell in line.split("|")[8:11]] == ["0", "0", "yes"]
    assert "killed after, s" in lines[-5]


def test_differences_are_seen(script, tmp_path):
    for name, images in (("one", ["a", "b", "c"]), ("two", ["a", "c", "c"])):
        (tmp_path / name).mkdir()
        pd.DataFrame({"image": images, "error": ""}).to_csv(tmp_path / name / "t.csv", index=False)
    assert script.compare(tmp_path / "one" / "t.csv", tmp_path / "two" / "t.csv", False) == (1, 1, False)
    with pytest.raises(SystemExit, match="ended with 3"), open(tmp_path / "log", "w") as log:
        script.run([sys.executable, "-c", "raise SystemExit(3)"], log)
    with open(tmp_path / "log", "w") as log:
        assert script.run([sys.executable, "-c", "import time; time.sleep(30)"], log, 0.2)[1]
