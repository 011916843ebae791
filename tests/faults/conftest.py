"""Disks that are full, folders that may not be written, and processes that end in the middle."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from skinseg.datasets import make_lesions

POSIX = sys.platform != "win32"
ROOT = POSIX and os.geteuid() == 0
NOBODY = 65534


class SmallDisk:
    """A disk of one megabyte, which can be filled and emptied."""

    def __init__(self, folder):
        self.folder = folder
        self._ballast = folder / ".ballast"

    def fill(self, left=0):
        """Fill it up to so many bytes."""
        with open(self._ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
            file.truncate(max(0, file.tell() - left))

    def empty(self):
        self._ballast.unlink()

    def read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """Give a disk of its own; where none can be mounted the test is skipped."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "skinseg-test", str(folder)]
    if sys.platform != "linux" or not ROOT or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root, where it may mount, has a small disk of its own")
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


DROP = f"""
import os
def drop():  # when all is imported, which may lie in the folder of root
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
"""


@pytest.fixture
def as_nobody():
    """Give a function that runs code in a process which may write nothing of ours after it has called ``drop()``."""

    def run(code, *arguments):
        words = [sys.executable, "-c", DROP + code, *map(str, arguments)]
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout, result.stderr

    return run


@pytest.fixture
def open_folder():
    """Give a folder that others may look into; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _heed_interrupts():
    """A shell lets what it runs in the background ignore Ctrl-C, and all that starts from there does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Watched:
    """A process and all that it starts, also what outlives it."""

    def __init__(self, words, **options):
        self.mark = uuid.uuid4().hex
        # what measures the reach of tests would write files and lines of its own when it is stopped
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        environment = {**kept, "SKINSEG_TEST_MARK": self.mark}
        self.process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=_heed_interrupts, **options,
        )  # fmt: skip

    def left(self):
        """Give the processes of it that are there."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes() and (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def wait_until_gone(self, seconds):
        end = time.monotonic() + seconds
        while (left := self.left()) and time.monotonic() < end:
            time.sleep(0.05)
        return left


@pytest.fixture
def watched():
    """Start a process; at the end of the test nothing of it is left."""
    started = []

    def start(words, **options):
        started.append(Watched(words, **options))
        return started[-1]

    yield start
    for one in started:
        for number in one.left():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        one.process.stdout.close()
        one.process.wait()


@pytest.fixture(scope="session")
def few():
    """Six small lesions."""
    return make_lesions(6, random_state=1, min_side=64, max_side=96, melanoma_fraction=0.5)
