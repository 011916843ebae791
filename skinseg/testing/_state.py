"""What belongs to the whole process, and has to be after a call what it was before."""

from __future__ import annotations

import contextlib
import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np
import pandas as pd
import sklearn
from PIL import Image, ImageFile
from threadpoolctl import threadpool_info

__all__ = ["process_state", "process_untouched"]

_OF_OTHERS = ("TF2_BEHAVIOR", "TF_CLI_CONFIG_FILE", "KMP_", "JOBLIB_", "PYTEST_")  # variables that imports set


def process_state() -> dict[str, Any]:
    """Look at what belongs to the whole process.

    Returns
    -------
    dict of str to object
        By a name in words: random states, working folder, filters of warnings,
        threads, environment, settings of numpy, pandas, scikit-learn, joblib,
        OpenCV, Pillow and (if it has been imported) matplotlib, locale,
        handlers of signals and of logs, ``sys.path``, mask of new files and
        open files.
    """
    kind, *numpy_state = np.random.get_state(legacy=True)
    return {
        "random state of numpy": (kind, np.asarray(numpy_state[0]).tobytes(), *numpy_state[1:]),
        "random state of Python": random.getstate(),
        "working folder": os.getcwd(),
        "filters of warnings": [tuple(map(str, entry)) for entry in warnings.filters],
        "showwarning": warnings.showwarning,
        "environment": {k: v for k, v in os.environ.items() if not k.startswith(_OF_OTHERS)},
        "threads of OpenCV": cv2.getNumThreads(),
        "OpenCV": (cv2.useOptimized(), cv2.ocl.useOpenCL(), _opencv_log()),
        "threads of libraries": {(i["filepath"], i["prefix"]): i["num_threads"] for i in threadpool_info()},
        "errors of numpy": (np.geterr(), np.geterrcall()),
        "printing of numpy": {key: str(value) for key, value in np.get_printoptions().items()},
        "options of pandas": _options(pd.options.d),
        "configuration of scikit-learn": sklearn.get_config(),
        "backend of joblib": _backend(),
        "limits of Pillow": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES),
        "settings of matplotlib": _matplotlib(),
        "figures of matplotlib": getattr(sys.modules.get("matplotlib.pyplot"), "get_fignums", list)(),
        "locale": locale.setlocale(locale.LC_ALL),
        "handlers of signals": {s: signal.getsignal(s) for s in signal.valid_signals()},
        "handlers of logs": (list(logging.root.handlers), logging.root.level, logging.root.manager.disable),
        "sys.path": list(sys.path),
        "standard streams": (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, threading.excepthook),
        "recursion limit": sys.getrecursionlimit(),
        "collection of garbage": (gc.isenabled(), gc.get_threshold()),
        "mask of new files": _umask(),
        "open files": _open_files(),
    }


def _options(tree: Any, path: str = "") -> dict[str, str]:
    """All options of pandas, by their full names."""
    found: dict[str, str] = {}
    for name, value in tree.items() if isinstance(tree, dict) else ():
        found |= _options(value, f"{path}{name}.") if isinstance(value, dict) else {path + name: repr(value)}
    return found


def _opencv_log() -> Any:
    place = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has it elsewhere
    return getattr(place, "getLogLevel", int)()


def _backend() -> tuple[str, Any]:
    backend, n_jobs = joblib.parallel.get_active_backend()
    return type(backend).__name__, n_jobs


def _matplotlib() -> dict[str, str] | None:
    """Settings of matplotlib; to ask for its backend in the usual way would choose one."""
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {key: str(dict.__getitem__(matplotlib.rcParams, key)) for key in matplotlib.rcParams}


def _umask() -> str | None:
    status = Path("/proc/self/status")  # without changing it for a moment
    lines = status.read_text().splitlines() if status.exists() else []
    return next((line for line in lines if line.startswith("Umask")), None)


def _open_files() -> list[str]:
    """Files that are open; pipes are of workers that joblib keeps, and fonts and the like of libraries."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for entry in os.scandir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(entry.path))
    others = ("/proc/", "/dev/", os.path.join(sys.prefix, ""))
    return sorted(name for name in found if name.startswith("/") and not name.startswith(others))


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    found = {}
    for name, value in before.items():
        other = after[name]
        if isinstance(value, dict) and isinstance(other, dict):
            keys = [key for key in {**value, **other} if value.get(key, "") != other.get(key, "")]
            if name == "threads of libraries":
                keys = [key for key in keys if key in value]  # a call may load a library
            value, other = ({key: part.get(key) for key in keys} for part in (value, other))
        if value is None:
            continue  # matplotlib was imported by the call
        if value != other:
            found[name] = value, other
    return found


@contextlib.contextmanager
def process_untouched() -> Iterator[None]:
    """Check that a block leaves the process as it found it, also where it ends by an error.

    Raises
    ------
    AssertionError
        If something of `process_state` is not what it was; the message tells
        what, before and after.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.testing import process_untouched
    >>> with process_untouched():
    ...     values = np.random.default_rng(0).random(3)
    """
    before = process_state()
    try:
        yield
    finally:
        wrong = _differences(before, process_state())
        if "open files" in wrong:  # those of what has not been collected yet
            gc.collect()
            wrong = _differences(before, process_state())
        assert not wrong, "changed by the call: " + "; ".join(
            f"{name}: {was!r:.300} became {now!r:.300}" for name, (was, now) in wrong.items()
        )
