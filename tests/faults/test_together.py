"""Two processes that write the same thing at the same moment, and files that others have damaged."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import skinseg
from skinseg import ThresholdSegmenter
from skinseg.cli import main
from skinseg.exceptions import CheckpointError, ModelFileError, RunError
from skinseg.inspection import Population, load_population
from skinseg.networks._checkpoint import Progress, load_checkpoint, save_checkpoint
from skinseg.outlining import find_images, segment_files, segment_to_folder
from skinseg.runs import _drive, _parts
from skinseg.runs._parts import PartStore

SEGMENTER = ThresholdSegmenter()

TOGETHER = """
import sys, time
from pathlib import Path
from skinseg import ThresholdSegmenter, save
from skinseg.bulk import measure_to_file
from skinseg.exceptions import RunError
from skinseg.outlining import find_images, segment_files, segment_to_folder, write_table
folder, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
images = find_images([sys.argv[4]])[:4]
segmenter = ThresholdSegmenter()
for number in range(rounds):
    (folder / f"{name}{number}").touch()
    while len(list(folder.glob(f"?{number}"))) < 2:
        time.sleep(0.0002)
    out = folder / f"out{number}"
    for call in (
        lambda: segment_files(images, out / "masks", segmenter),
        lambda: save(segmenter, folder / f"{number}.skops"),
        lambda: segment_to_folder(images, out / "run", segmenter, table=folder / f"{number}.t.csv"),
        lambda: measure_to_file(images, folder / f"{number}.f.csv", segmenter=segmenter, groups=["dimension"]),
    ):
        try:
            call()
            print("done", flush=True)
        except RunError as error:
            assert "another process is at work in" in str(error)
            print("refused", flush=True)
"""


@pytest.mark.long
def test_two_processes_write_the_same_results_at_the_same_moment(lesion_files, tmp_path):
    """One of them writes, the other one waits, or is told so; each result is whole, and nothing is left."""
    rounds = 4
    words = [sys.executable, "-c", TOGETHER, str(tmp_path)]
    both = [
        subprocess.Popen(
            [*words, name, str(rounds), str(lesion_files / "images")], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for name in "ab"
    ]  # fmt: skip
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    answers = [text.split() for text in said]
    for index, pair in enumerate(zip(*answers, strict=True)):
        assert set(pair) == {"done"} or (index % 4 >= 2 and "done" in pair), (index, pair)
    images = find_images([lesion_files / "images"])[:4]
    segment_files(images, tmp_path / "expected", SEGMENTER)
    tables = {path.read_bytes() for path in tmp_path.glob("*.f.csv")}
    assert len(tables) == 1
    for number in range(rounds):
        for kind in ("masks", "run"):
            assert sorted(os.listdir(tmp_path / f"out{number}" / kind)) == sorted(os.listdir(tmp_path / "expected"))
            for path in (tmp_path / "expected").iterdir():
                assert (tmp_path / f"out{number}" / kind / path.name).read_bytes() == path.read_bytes()
        assert skinseg.load(tmp_path / f"{number}.skops").method == SEGMENTER.method
        assert len(pd.read_csv(tmp_path / f"{number}.t.csv")) == 4
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*.parts"))


# ---------------------------------------------------------------------- what a stopped run of others keeps


@pytest.fixture
def stopped(monkeypatch):
    """Let a run stop after so many images."""

    def set_up(n_images, error=KeyboardInterrupt):
        monkeypatch.setattr(_parts, "_AT_LEAST", 0.0)
        monkeypatch.setattr(_parts, "_SHARE", 0.0)
        monkeypatch.setattr(_drive, "_BATCH", 1)
        add, done = PartStore.add, []

        def stopping(self, positions, frame):
            if len(done) == n_images:
                error()
            done.append(positions)
            add(self, positions, frame)

        monkeypatch.setattr(PartStore, "add", stopping)
        return lambda: monkeypatch.setattr(PartStore, "add", add)

    return set_up


def interrupt():
    raise KeyboardInterrupt


def test_a_stopped_run_of_other_images_stays(lesion_files, tmp_path, stopped):
    images = find_images([lesion_files / "images"])
    out = tmp_path / "m"
    go_on = stopped(3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        segment_to_folder(images[:8], out, SEGMENTER)
    go_on()
    told = []
    summary = segment_to_folder(images[6:12], out, SEGMENTER, tell=told.append)
    assert (summary.n_images, summary.n_earlier) == (6, 0)
    assert "not asked for now, kept: 3 images of an earlier call" in told
    assert (out / "segment.parts").is_dir()
    told.clear()
    assert segment_to_folder(images[:8], out, SEGMENTER, tell=told.append).n_earlier == 3
    assert told == [f"3 of 8 images are done already ({out / 'segment.parts'})"]
    assert len(list(out.iterdir())) == 12  # and no notes any more
    segment_files(images[:12], tmp_path / "expected", SEGMENTER)
    for path in (tmp_path / "expected").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_a_stopped_run_of_others_in_other_settings_is_told(lesion_files, tmp_path, stopped):
    images = find_images([lesion_files / "images"])
    go_on = stopped(3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        segment_to_folder(images[:8], tmp_path / "m", SEGMENTER)
    go_on()
    with pytest.raises(RunError, match="made with other settings"):
        segment_to_folder(images[8:], tmp_path / "m", ThresholdSegmenter("li"))
    assert segment_to_folder(images[:8], tmp_path / "m", SEGMENTER).n_earlier == 3


def test_sigterm_ends_a_command_as_ctrl_c_does(lesion_files, tmp_path, stopped):
    go_on = stopped(5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    words = ["features", str(lesion_files / "images"), "--out", str(tmp_path / "f.csv"), "--segmenter", "threshold"]
    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(main, [*words, "--groups", "dimension", "-q"])
    assert result.exit_code == 128 + signal.SIGTERM
    assert "of 16 images are done and kept in" in result.output
    assert "Traceback" not in result.output
    assert signal.getsignal(signal.SIGTERM) is before
    go_on()
    result = CliRunner().invoke(main, [*words, "--groups", "dimension", "-q"])
    assert result.exit_code == 0
    assert "of 16 images are done already" in result.output


# ---------------------------------------------------------------------- damaged files


def harmed(data):
    """Give a file cut short in some places, emptied, and with bytes flipped all over it."""
    yield b""
    for part in (0.01, 0.5, 0.99):
        yield data[: int(part * len(data))]
    for part in np.linspace(0.02, 0.98, 9):
        flipped = bytearray(data)
        flipped[int(part * len(data))] ^= 255
        yield bytes(flipped)


def test_a_damaged_model_file_is_refused_or_the_same(lesion_files, tmp_path):
    """A flipped byte in what nothing depends on, such as a time in the archive, may go unseen; no other does."""
    path = skinseg.save(ThresholdSegmenter("li", margin=0.25), tmp_path / "m.skops")
    data, refused = path.read_bytes(), []
    for other in harmed(data):
        path.write_bytes(other)
        try:
            model = skinseg.load(path)
        except ModelFileError as error:
            refused.append(str(error))
        else:
            assert model.get_params() == ThresholdSegmenter("li", margin=0.25).get_params()
    assert len(refused) >= 6
    assert all(text.startswith(str(path)) and "\n" not in text for text in refused)


def test_a_damaged_checkpoint_is_refused_or_the_same(tmp_path):
    plan = {"seed": 3}
    weights = [np.arange(500, dtype=np.float32)]
    save_checkpoint(tmp_path, Progress(weights, history={"loss": [0.5]}), plan)
    path = tmp_path / "checkpoint.npz"
    data, refused = path.read_bytes(), []
    for other in harmed(data):
        path.write_bytes(other)
        try:
            found, _ = load_checkpoint(tmp_path, plan)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            np.testing.assert_array_equal(found.weights[0], weights[0])
    assert len(refused) >= 8
    assert all(text.startswith(f"{path}: this is no checkpoint of skinseg, or it is damaged (") for text in refused)


def test_a_run_can_be_gone_on_with_after_its_end_was_interrupted(tmp_path, monkeypatch):
    def interrupted(_folder):
        raise KeyboardInterrupt

    with PartStore(tmp_path / "a.parts", {}) as store:
        store.begin(1)
        store.add([], pd.DataFrame({"image": ["a"]}))
        store.flush()
        monkeypatch.setattr(_parts, "remove_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.__exit__(None, None, None)
        monkeypatch.undo()
        with PartStore(tmp_path / "a.parts", {}) as again:  # no "another process is at work"
            assert len(again.paths) == 1


def test_a_damaged_run_json_is_told(lesion_files, tmp_path, stopped):
    images = find_images([lesion_files / "images"])
    go_on = stopped(3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        segment_to_folder(images, tmp_path / "m", SEGMENTER)
    go_on()
    path = tmp_path / "m" / "segment.parts" / "run.json"
    data = path.read_bytes()
    for other in (b"", data[:50], b"[]", b"\xff\xfe" + data):
        path.write_bytes(other)
        with pytest.raises(RunError, match=r"run.json, which says how they were made, is missing or damaged; start ov"):
            segment_to_folder(images, tmp_path / "m", SEGMENTER)
    path.write_bytes(data)
    assert segment_to_folder(images, tmp_path / "m", SEGMENTER).n_earlier == 3


def test_a_damaged_population_is_refused():
    text = load_population().to_json()
    for other in ("", text[: len(text) // 2], "[]", "{}", text.replace('"quantiles"', '"quantile"')):
        with pytest.raises(ValueError, match="population"):
            Population.from_json(other)
