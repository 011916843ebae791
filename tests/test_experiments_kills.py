"""The script that kills work at random moments, with a few kills."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "random_kills.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("random_kills", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def columns_of(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("kinds", "kills"),
    [
        ("pipeline", 2),
        pytest.param("features,segment,predict,search", 12, marks=pytest.mark.long),
        pytest.param("training", 2, marks=pytest.mark.long),
    ],
)
def test_killed_work_gives_what_undisturbed_work_gives(script, monkeypatch, capsys, kinds, kills):
    if kinds == "training":
        pytest.importorskip("keras")
    words = ["--images", "8", "--kills", str(kills), "--kinds", kinds, "--jobs", "1" if kinds == "pipeline" else "2"]
    monkeypatch.setattr(sys, "argv", ["random_kills", *words, "--seed", "3"])
    script.main()
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == f"{kills} kills, 8 images, 0 findings"
    names = columns_of(lines[0])
    rows = [dict(zip(names, columns_of(line), strict=True)) for line in lines[2:-2]]
    assert [row["work"] for row in rows] == kinds.split(",")
    assert sum(int(row[f"killed: {how}"]) for row in rows for how in script.HOW) == kills
    for row in rows:
        assert (row["torn"], row["different"], row["left over"]) == ("0", "0", "0")
        assert int(row["rounds"]) >= 1


def test_findings_are_seen(script, tmp_path):
    (tmp_path / "f.csv.parts").mkdir()
    for name in ("a.csv", "b.csv", ".a.csv.partial", "f.csv.parts/part"):
        (tmp_path / name).write_bytes(b"half")
    expected = {"a.csv": b"whole", "b.csv": b"half", "c.csv": b""}
    assert script.torn(tmp_path, expected) == ["a.csv"]
    different, left = script.compare(tmp_path, expected)
    assert different == ["a.csv", "c.csv"]
    assert left == [".a.csv.partial", str(tmp_path / "f.csv.parts")]
    assert script.share_out(50, list(script.SHARES)) == {
        "features": 12, "segment": 12, "predict": 6, "pipeline": 12, "search": 6, "training": 2,
    }  # fmt: skip


def test_a_process_that_does_not_begin_or_end_is_told(script, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="training did not begin:"):
        script.Process("training", tmp_path / "none", tmp_path / "no" / "out", 1)
    rng = random.Random(0)
    (tmp_path / "sleeps.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    monkeypatch.setattr(script, "__file__", str(tmp_path / "sleeps.py"))
    process = script.Process("pipeline", tmp_path, tmp_path, 1)
    assert process.kill("worker", rng) is False
    with pytest.raises(SystemExit, match="a process hangs after 0 s"):
        process.ended(0.2)
    assert process.process.wait() < 0
    assert process.kill("all", rng) is False
