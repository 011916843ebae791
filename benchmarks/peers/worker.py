"""What the worker of every package does: load, warm up, then do a turn whenever it is told to, and say what it took.

The worker is a process in the environment of its package. It is started with a JSON file of cases; it reads requests
from its standard input, a JSON object a line, and answers in the same way. Nothing but numpy and the standard library
is needed here, so that this runs in every environment.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

if os.environ.get("PEERS_CORE") and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(os.environ["PEERS_CORE"])})

import numpy as np  # its threads are those of the core above

MARK = "answer: "  # what libraries print has none
WARM_UP = 3  # cases that go through each task before anything is timed


class Task(NamedTuple):
    """Something that is timed.

    Parameters
    ----------
    prepare : callable
        From a case to what `run` is given for it; not timed.
    run : callable
        Does the work on a list of what was prepared; timed.
    columns : int
        How many numbers an image gets.
    """

    prepare: Callable
    run: Callable
    columns: int


class Case(NamedTuple):
    """One image: its file, and its pixels as they were decoded once for all packages."""

    file: str
    image: np.ndarray  # (H, W, 3) uint8, RGB
    mask: np.ndarray  # (H, W) bool
    gray: np.ndarray  # (H, W) uint8
    square: np.ndarray  # (side, side, 3) uint8, what the network takes


def read_cases(path):
    with open(path, encoding="utf-8") as file:
        listed = json.load(file)
    return [Case(entry["file"], *(np.load(entry[plane]) for plane in Case._fields[1:])) for entry in listed]


def each(function):
    """Make a function of a list of one of its items."""

    def run(items):
        for item in items:
            function(item)

    return run


def serve(tasks: dict[str, Task], versions: dict[str, str], values: Callable[[Case], dict[str, Any]]) -> None:
    """Answer requests until the input ends.

    Parameters
    ----------
    tasks : dict of str to Task
        What can be timed.
    versions : dict of str to str
        Packages, for the report.
    values : callable
        From a case to named numbers, for the comparison with other packages.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # from now on what is printed goes to the log

    def answer(**content):
        answers.write(f"\n{MARK}{json.dumps(content)}\n")
        answers.flush()

    try:
        cases = read_cases(sys.argv[1])
        prepared = {name: [task.prepare(case) for case in cases] for name, task in tasks.items()}
        for name, task in tasks.items():
            for _ in range(2):
                task.run(prepared[name][:WARM_UP])
        answer(versions=versions, columns={name: task.columns for name, task in tasks.items()})
        for line in sys.stdin:
            request = json.loads(line)
            if request["task"] is None:
                answer(values=[values(case) for case in cases])
                continue
            items = prepared[request["task"]][request["start"] : request["stop"]]
            cpu, wall = time.process_time(), time.perf_counter()
            tasks[request["task"]].run(items)
            answer(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu, images=len(items))
    except Exception:
        answer(error=traceback.format_exc())
        sys.exit(1)
