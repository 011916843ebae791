"""Workers take turns on the same images, one process at a time, so that what else the machine does meets all alike."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from environments import PeerError, tail
from worker import MARK

FOLDER = Path(__file__).resolve().parent
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class Worker:
    """The process of one peer, on one core where the system can do that.

    Parameters
    ----------
    peer : str
        Its name.
    python : path-like
        Its interpreter.
    cases : path-like
        The JSON file of the images.
    log : path-like
        Where what it prints goes.
    core : int, default=None
        The core that all workers share; any if None.
    script : path-like, default=None
        What it runs; the one of its name in this folder if None.
    """

    def __init__(self, peer, python, cases, log, core=None, script=None):
        self.peer, self.log = peer, Path(log)
        script = script or FOLDER / f"of_{peer.replace('-', '_')}.py"
        bounds = ONE_THREAD if core is None else ONE_THREAD | {"PEERS_CORE": str(core)}
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(python), str(script), str(cases)],
                env=os.environ | bounds | {"PYTHONPATH": str(FOLDER), "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            ready = self._read()
        except BaseException:
            self.close()
            raise
        self.versions, self.columns = ready["versions"], ready["columns"]

    def _read(self):
        lines = (line for line in self.process.stdout if line.startswith(MARK))
        line = next(lines, None)
        if line:
            answer = json.loads(line.removeprefix(MARK))
        else:
            answer = {"error": self.log.read_text(errors="replace") or "it ended"}
        if "error" in answer:
            raise PeerError(self.peer, f"the worker of {self.peer} failed:\n{tail(answer['error'])}")
        return answer

    def _ask(self, **request):
        with suppress(BrokenPipeError):  # what it died of is in its last answer, or in the log
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return self._read()

    def turn(self, task, start, stop):
        """Time a task on some of the images."""
        return self._ask(task=task, start=start, stop=stop)

    def values(self):
        """Ask for the named numbers of every image, for the comparison."""
        return self._ask(task=None)["values"]

    def close(self):
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def take_turns(tasks, n_images, rounds, length):
    """Time tasks in turn, in one order and then in the other.

    Parameters
    ----------
    tasks : list of (Worker, str)
        Whose task, and its name.
    n_images : int
        Number of images; every round goes through all of them.
    rounds : int
        Number of rounds.
    length : int
        Images in a turn.

    Returns
    -------
    dict of (str, str) to dict of str to ndarray of shape (rounds,)
        By peer and task, ``cpu`` and ``wall`` in seconds an image, for each
        round.
    """
    taken = {(worker.peer, task): {"cpu": np.zeros(rounds), "wall": np.zeros(rounds)} for worker, task in tasks}
    forth = True
    for number in range(rounds):
        for start in range(0, n_images, length):
            for worker, task in tasks if forth else tasks[::-1]:
                answer = worker.turn(task, start, min(start + length, n_images))
                for clock, times in taken[worker.peer, task].items():
                    times[number] += answer[clock] / n_images
            forth = not forth
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return taken


def ratio_of(slow, fast):
    """Ratio of two tasks that took turns: median, least and most of the rounds."""
    ratios = slow / fast
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())
