"""Ctrl-C, SIGTERM and kill -9 in the middle: what is done is kept, one line is said, no process and no file is left."""

import os
import re
import signal
import sys
import time

import cv2
import pytest

from skinseg import ThresholdSegmenter
from skinseg.outlining import find_images, segment_files

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")

COMMAND = """
import sys
from skinseg.cli import main
from skinseg.runs import _drive, _parts
_parts._AT_LEAST = _parts._SHARE = 0.0
_drive._BATCH = 2
main(sys.argv[1:])
"""
N_IMAGES = 120


@pytest.fixture(scope="module")
def many(few, tmp_path_factory):
    """The same six images under many names, so that there is something to be stopped."""
    folder = tmp_path_factory.mktemp("many")
    for index in range(N_IMAGES):
        image = cv2.resize(few.images[index % 6], None, fx=4, fy=4)
        cv2.imwrite(str(folder / f"a{index:03d}.jpg"), image[..., ::-1])
    return folder


def stop(one, number, group, when):
    """Send a signal when something is the case; the exit code, and what was said."""
    end = time.monotonic() + 60
    while not when() and time.monotonic() < end:
        assert one.process.poll() is None, one.process.stdout.read()
        time.sleep(0.005)
    (os.killpg if group else os.kill)(one.process.pid, number)
    out, _ = one.process.communicate(timeout=60)
    return one.process.returncode, out


def segment_words(images, out):
    words = ["segment", str(images), "--out", str(out), "--segmenter", "threshold", "--jobs", "2", "-q"]
    return [sys.executable, "-c", COMMAND, *words]


def some_parts(out):
    return lambda: len(list(out.glob("segment.parts/part-*"))) >= 2


@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGINT, True),  # Ctrl-C in a terminal reaches the workers, too
        pytest.param(signal.SIGTERM, False, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, False, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.long),
    ],
)
def test_a_stopped_command_says_one_line_and_keeps_what_is_done(many, tmp_path, watched, number, group):
    out = tmp_path / "m"
    one = watched(segment_words(many, out))
    code, said = stop(one, number, group, some_parts(out))
    assert code == 128 + number
    lines = [line for line in said.splitlines() if line]
    assert len(lines) == 1, said
    found = re.fullmatch(
        rf"interrupted; (\d+) of {N_IMAGES} images are done and kept in {out}/segment.parts: the same call goes on "
        "from there",
        lines[0],
    )
    assert found, said
    assert one.wait_until_gone(5) == []
    assert not [path for path in out.rglob("*") if path.name.startswith((".", "tmp"))]
    done = int(found[1])
    assert 0 < done < N_IMAGES
    one = watched(segment_words(many, out))
    said, _ = one.process.communicate(timeout=120)
    assert one.process.returncode == 0, said
    assert f"{done} of {N_IMAGES} images are done already" in said
    check_masks(many, out, tmp_path)


def check_masks(many, out, tmp_path):
    segment_files(find_images([many]), tmp_path / "expected", ThresholdSegmenter())
    names = sorted(path.name for path in (tmp_path / "expected").iterdir())
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()


@pytest.mark.long
def test_workers_end_with_their_process_and_leave_the_next_one_alone(many, tmp_path, watched):
    """Its workers once went on for minutes, and wrote masks into the folder of the next call."""
    out = tmp_path / "m"
    one = watched(segment_words(many, out))
    code, _ = stop(one, signal.SIGKILL, False, some_parts(out))
    assert code == -signal.SIGKILL
    one_more = watched(segment_words(many, out))  # at once
    said, _ = one_more.process.communicate(timeout=120)
    assert one_more.process.returncode == 0, said
    assert one.wait_until_gone(5) == []
    check_masks(many, out, tmp_path)


@pytest.mark.long
def test_a_worker_that_is_killed_costs_no_image(many, tmp_path, watched):
    out = tmp_path / "m"
    one = watched(segment_words(many, out))
    end = time.monotonic() + 60
    while not some_parts(out)() and time.monotonic() < end:
        time.sleep(0.005)
    workers = [number for number in one.left() if b"popen_loky" in _command_of(number)]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    said, _ = one.process.communicate(timeout=120)
    assert one.process.returncode == 0, said
    assert f"{N_IMAGES} of {N_IMAGES} images segmented" in said
    check_masks(many, out, tmp_path)


def _command_of(number):
    with open(f"/proc/{number}/cmdline", "rb") as file:
        return file.read()


CALL = """
import sys
from skinseg import ABCDFeaturizer, BatchedPipeline, ThresholdSegmenter
from skinseg.outlining import find_images
pipe = BatchedPipeline(
    [("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())], n_jobs=int(sys.argv[2]), batch_size=2, memory=sys.argv[3]
)
try:
    pipe.fit_transform(find_images([sys.argv[1]]))
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_call_in_python_can_be_interrupted(many, tmp_path, watched, jobs):
    cache = tmp_path / "cache"
    one = watched([sys.executable, "-c", CALL, str(many), str(jobs), str(cache)])
    code, said = stop(one, signal.SIGINT, True, lambda: len(list(cache.rglob("output.pkl"))) > 3)
    assert (code, said) == (0, "stopped\n")
    assert one.wait_until_gone(5) == []
    assert not list(cache.rglob("*.partial"))


@pytest.mark.long
@pytest.mark.parametrize("words", [["report"], ["train", "--target-column", "y", "--segmenter", "threshold"]])
def test_what_cannot_be_gone_on_with_leaves_nothing(many, tmp_path, watched, words):
    images = find_images([many])
    out = tmp_path / {"report": "r.html", "train": "m.skops"}[words[0]]
    if words[0] == "train":
        rows = [f"{image},{index % 2}" for index, image in enumerate(images)]
        (tmp_path / "t.csv").write_text("image,y\n" + "\n".join(rows))
        words = [words[0], str(tmp_path / "t.csv"), *words[1:]]
    else:
        words = [*words, str(many)]
    own = tmp_path / "tmp"
    own.mkdir()
    for number in (signal.SIGINT, signal.SIGTERM):
        code = f"import os; os.environ['TMPDIR'] = {str(own)!r}\n{COMMAND}"
        one = watched([sys.executable, "-c", code, *words, "--out", str(out), "-q"])
        begun = time.monotonic()
        code, said = stop(one, number, False, lambda begun=begun: time.monotonic() - begun > 6 or any(own.iterdir()))
        assert code == 128 + number, said
        assert "Traceback" not in said
        assert said.splitlines()[-1] == "interrupted"
        assert one.wait_until_gone(5) == []
        assert {path.name for path in tmp_path.iterdir()} <= {"tmp", "t.csv"}
        assert not list(own.iterdir())
