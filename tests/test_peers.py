"""The comparison with other packages, without any of them installed but scikit-image."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from skinseg.datasets import make_lesions

FOLDER = Path(__file__).parents[1] / "benchmarks" / "peers"
NAMES = ("agreement", "environments", "run", "turns", "worker")

FAKE = """
import sys
import time
from worker import Task, each, serve

def work(image):
    end = time.process_time() + 0.004
    while time.process_time() < end:
        pass

def fail(image):
    if image == 3:  # the warm-up does not get that far
        raise ValueError("image 3 is beyond me")

def values(case):
    return {"area": float(case.mask.sum())}

print("what libraries print is no answer")
numbers = iter(range(10**6))
if "broken" in sys.argv[0]:
    raise ImportError("no such library")
serve(
    {
        "work": Task(lambda case: case.image, each(work), 3),
        "fail": Task(lambda case: next(numbers), each(fail), 1),
    },
    {"fake": "1.0"},
    values,
)
"""


@pytest.fixture
def peers(monkeypatch):
    """The modules of the folder, which are scripts and no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    __import__("run")
    yield SimpleNamespace(**{name: sys.modules[name] for name in NAMES if name in sys.modules})
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five lesions as files with masks, one of which is empty."""
    folder = tmp_path_factory.mktemp("photos")
    lesions = make_lesions(5, random_state=0, min_side=96, max_side=128)
    for index, (image, mask) in enumerate(zip(lesions.images, lesions.masks, strict=True)):
        cv2.imwrite(str(folder / f"{index}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / f"{index}_segmentation.png"), (mask & (index != 2)).astype(np.uint8) * 255)
    return folder


@pytest.fixture
def cases(peers, photos, tmp_path):
    files = [(photos / f"{index}.png", photos / f"{index}_segmentation.png") for index in range(5)]
    return peers.run.write_cases(files, tmp_path)


def fake(peers, cases, folder, name="fake"):
    script = folder / f"{name}.py"
    script.write_text(FAKE)
    return peers.turns.Worker(name, sys.executable, cases, folder / f"{name}.log", script=script)


def test_workers_take_turns_and_are_timed(peers, cases, tmp_path, monkeypatch):
    path, n_images = cases
    assert n_images == 4  # one mask is empty
    with fake(peers, path, tmp_path) as worker, fake(peers, path, tmp_path, "other") as other:
        assert worker.versions == {"fake": "1.0"}
        assert worker.columns == {"work": 3, "fail": 1}
        asked = []
        for one in (worker, other):
            turn = one.turn
            monkeypatch.setattr(
                one, "turn", lambda *args, name=one.peer, turn=turn: (asked.append((name, *args)), turn(*args))[1]
            )
        taken = peers.turns.take_turns([(worker, "work"), (other, "work")], n_images, 2, 3)
        areas = [row["area"] for row in worker.values()]
    parts = (0, 3), (3, 4), (0, 3), (3, 4)
    there_and_back = ("fake", "other"), ("other", "fake"), ("fake", "other"), ("other", "fake")
    assert asked == [(name, "work", *part) for part, names in zip(parts, there_and_back, strict=True) for name in names]
    times = taken["fake", "work"]
    assert times["cpu"].shape == (2,)
    assert (times["cpu"] >= 0.004).all()
    assert (times["wall"] >= 0.004).all()
    assert areas == [np.load(case["mask"]).sum() for case in json.loads(path.read_text())]


def test_ratio_is_the_median_over_the_rounds(peers):
    assert peers.turns.ratio_of(np.array([2.0, 9.0, 4.0]), np.array([1.0, 3.0, 1.0])) == (3, 2, 4)


def test_workers_say_why_they_fail(peers, cases, tmp_path):
    with pytest.raises(peers.environments.PeerError, match=r"worker of broken failed:(.|\n)*no such library"):
        fake(peers, cases[0], tmp_path, "broken")


def test_a_peer_that_fails_on_the_way_is_left_out(peers, cases, tmp_path, monkeypatch):
    path, n_images = cases
    monkeypatch.setattr(peers.run, "UNIT", "work")
    monkeypatch.setattr(peers.run, "MATCHES", (("work", "mahotas", "fail"),))
    problems, options = {}, SimpleNamespace(rounds=1, turn=3)
    with fake(peers, path, tmp_path, "skinseg") as ours, fake(peers, path, tmp_path, "mahotas") as other:
        workers = {"skinseg": ours, "mahotas": other}
        tasks, taken, values = peers.run.without_failures(workers, problems, n_images, options)
    assert tasks == [(ours, "work")]
    assert list(taken) == [("skinseg", "work")]
    assert list(values) == ["skinseg"]
    assert list(problems) == ["mahotas"]
    assert "image 3 is beyond me" in problems["mahotas"]


def test_all_of_it_beside_scikit_image(peers, photos, tmp_path, monkeypatch, capsys):
    """One peer that works, one that cannot be started, and those that are not asked for."""
    out = tmp_path / "figures.json"
    nowhere = tmp_path / "nowhere"
    words = ["--images", photos, "--masks", photos, "--rounds", 2, "--turn", 3, "--out", out, "--envs", tmp_path]
    words += ["--peers", "scikit-image", "mahotas", "--python", f"mahotas={nowhere}"]
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, words)])
    assert peers.run.main() == 1  # as mahotas is missing
    text, result = capsys.readouterr().out, json.loads(out.read_text())
    assert text.startswith("4 images, 2 rounds")
    assert f"mahotas was not measured: [Errno 2] No such file or directory: '{nowhere}'" in text
    assert "| all groups over the same | 1 | not measured |" in text
    assert "| geometry over scikit-image's regionprops_table | 3 | " in text
    assert "| area | `dimension_area_px` | scikit-image: `area` | equal | 1.000 | number of pixels |" in text
    assert "| geometry, functions | scikit-image: regionprops_table, 11 properties | " in text
    assert set(result["versions"]) == {"skinseg", "scikit-image"}
    rows = {(row["peer"], row["task"]): row for row in result["seconds"]}
    assert len(rows["skinseg", "geometry, functions"]["cpu"]) == 2
    assert rows["skinseg", "geometry, functions"]["columns"] == 10
    assert rows["scikit-image", "regionprops_table, 11 properties"]["columns"] == 11
    agreement = {(row["quantity"], row["theirs"]): row for row in result["agreement"]}
    assert abs(agreement["long axis", "axis_major_length"]["median"]) < 1e-3
    assert abs(agreement["largest diameter", "feret_diameter_max"]["median"]) < 0.01
    for method in ("isodata", "multi_otsu", "otsu", "yen"):
        assert agreement[f"threshold, {method}", f"threshold_{method}"]["high"] == 0


def test_goals_are_judged_against_the_fastest_way_of_the_peer(peers):
    def row(peer, task, seconds):
        return {"peer": peer, "task": task, "cpu": [seconds] * 3, "wall": [2 * seconds] * 3}

    seconds = [
        row("skinseg", peers.run.FOUR, 0.01),
        row("skinseg", peers.run.ALL, 0.04),
        row("pyradiomics", peers.run.RADIOMICS[0], 0.08),
        row("pyradiomics", peers.run.RADIOMICS[1], 0.02),
    ]
    rows, met = peers.run.judge({"seconds": seconds})
    assert [row[-1] for row in rows] == ["pass", "MISS", ""]
    assert [row[2] for row in rows] == ["2.00 (2.00-2.00)", "0.50 (0.50-0.50)", "not measured"]
    assert rows[0][4:6] == ["100.0", "50.0"]
    assert not met


def test_agreement_of_hand_made_values(peers):
    pair = peers.agreement.Pair("eccentricity", "sqrt(1 - (1 - e)**2)", "other", "2 * half", "")
    ours = [{"e": 0.0}, {"e": 0.2}, {"e": 0.4}, {"e": float("nan")}]
    theirs = [{"half": float("nan")}, {"half": 0.33}, {"half": 0.4}, {"half": 0.1}]
    found = peers.agreement.compare(pair, ours, theirs)
    assert found["n"] == 2
    assert found["rank"] == pytest.approx(1)
    assert found["median"] == pytest.approx(0.05)  # 0.66 for 0.6, and 0.8 for 0.8
    assert "median" not in peers.agreement.compare(pair._replace(scaled=False), ours, theirs)
    assert "rank" not in peers.agreement.compare(pair, ours[1:2], theirs[1:2])


def test_environments_are_made_once(peers, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(peers.environments.venv, "create", lambda folder, with_pip: folder.mkdir(parents=True))
    answer = SimpleNamespace(returncode=0, stderr="", stdout="")
    monkeypatch.setattr(subprocess, "run", lambda call, **_: calls.append(call) or answer)
    python = peers.environments.prepare("pyradiomics", tmp_path)
    assert python.is_relative_to(tmp_path / "pyradiomics")
    assert [call[-1] for call in calls] == ["six", "pyradiomics==3.0.1"]
    assert "--no-build-isolation" in calls[1]
    assert all(call[0] == str(python) for call in calls)
    assert peers.environments.prepare("pyradiomics", tmp_path) == python
    assert len(calls) == 2
    assert peers.environments.prepare("scikit-image", tmp_path) == Path(sys.executable)
    assert peers.environments.prepare("keras", tmp_path, {"keras": "/there"}) == Path("/there")


def test_pip_that_fails_is_told_and_tried_again(peers, tmp_path, monkeypatch):
    monkeypatch.setattr(peers.environments.venv, "create", lambda folder, with_pip: folder.mkdir(parents=True))
    answer = SimpleNamespace(returncode=1, stderr="no matching distribution", stdout="")
    monkeypatch.setattr(subprocess, "run", lambda call, **_: answer)
    for _ in range(2):
        with pytest.raises(peers.environments.PeerError, match=r"mahotas.* failed:\nno matching distribution"):
            peers.environments.prepare("mahotas", tmp_path)


def test_images_by_table_and_evenly_spread(peers, photos, tmp_path):
    table = photos / "table.csv"
    rows = [(f"{index}.png", f"{index}_segmentation.png") for index in range(5)]
    pd.DataFrame([*rows, ("6.png", None)], columns=["crop", "crop_mask"]).to_csv(table, index=False)
    options = SimpleNamespace(table=table, image_column="crop", mask_column="crop_mask")
    files = peers.run.listed_files(options)
    assert files[4] == (photos / "4.png", photos / "4_segmentation.png")
    assert len(files) == 5
    assert [image.name for image, _ in peers.run.spread(files, 3)] == ["0.png", "2.png", "4.png"]
    assert peers.run.spread(files, 9) == files
    with pytest.raises(SystemExit, match="no column 'image', but crop, crop_mask"):
        peers.run.listed_files(SimpleNamespace(table=table, image_column="image", mask_column="crop_mask"))
    with pytest.raises(SystemExit, match="give --images and --masks, or --table"):
        peers.run.listed_files(SimpleNamespace(table=None, images=photos, masks=None))
