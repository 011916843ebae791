"""Mapping a function over many images: in parallel, with progress, a cache and a stated fate of errors."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from itertools import islice
from multiprocessing import current_process
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from ._cache import ResultCache, StepCache, hash_of
from ._dask import active_client, stream_on_dask
from ._opening import limit_of_caller
from ._progress import Progress
from ._quiet import ignored_warnings
from .exceptions import EmptyMaskWarning, ImageBatchError, ImageReadError, ModelFileError
from .images import LesionImage
from .reading import MAX_PIXELS_VARIABLE, pixel_limit

__all__ = [
    "ResultCache",
    "StepCache",
    "batches_of",
    "fail",
    "hash_of",
    "in_pool",
    "label_of",
    "load_or_fail",
    "map_batches",
    "object_array",
    "opencv_threads",
    "openmp_threads",
    "raise_or_list",
    "stream_batches",
    "transform_batch",
    "warn_of_empty_masks",
]

_LISTED_NAMES = 10
_ROUND = 4  # batches a worker, where results cannot be had one by one


def batches_of(items: Any, size: int) -> Iterator[Any]:
    """Cut a sequence, or an array, into batches of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


_bound_lock = threading.Lock()
_bounds: list[int] = []  # threads before the first of the blocks that are open; one entry a block


@contextmanager
def opencv_threads(n_threads: int) -> Iterator[None]:
    """Bound OpenCV's own threads, so that parallel workers do not fight for the cores.

    Blocks of several threads may overlap: the last one that ends sets back what the first one found.
    """
    with _bound_lock:
        _bounds.append(_bounds[0] if _bounds else cv2.getNumThreads())
        cv2.setNumThreads(n_threads)
    try:
        yield
    finally:
        with _bound_lock:
            before = _bounds.pop()
            if not _bounds:
                cv2.setNumThreads(before)


_limits: list[ExitStack] = []  # what sets back the limit of pixels; the same entry for each block that is open


@contextmanager
def _limit_held(limit: str | None) -> Iterator[None]:
    """Let the limit of the caller be that of this process; blocks of several threads, as Dask has, may overlap."""
    with _bound_lock:
        _limits.append(_limits[0] if _limits else ExitStack())
        if limit is not None and limit != os.environ.get(MAX_PIXELS_VARIABLE, ""):
            _limits[0].enter_context(limit_of_caller(limit))
    try:
        yield
    finally:
        with _bound_lock:
            before = _limits.pop()
            if not _limits:
                before.close()


@cache
def _controller() -> ThreadpoolController:
    """Find the libraries with threads, which takes some milliseconds, once."""
    return ThreadpoolController()


def openmp_threads(n_threads: int) -> Any:
    """Bound the threads of OpenMP: several gain nothing on little work, and wait for each other on a busy machine."""
    return _controller().limit(limits=n_threads, user_api="openmp")


_here = threading.local()


def in_pool() -> bool:
    """Whether this thread is one of several that work on batches in one process, and should not start more."""
    return getattr(_here, "in_pool", False)


_LOOKS = 0.5  # seconds between two looks whether the parent is there
_watched: set[int] = set()


def _end_with(parent: int) -> None:
    """Let this process, where it is a worker of another, end with that.

    joblib's would go on with what was handed out, write files into the next run, and wait for minutes for more.
    """
    if sys.platform == "win32" or getattr(current_process(), "_parent_pid", None) != parent or parent in _watched:
        return  # a thread of the parent, or a worker on another machine
    _watched.add(parent)
    if threading.current_thread() is threading.main_thread():
        # Ctrl-C in a terminal reaches workers, too: the parent ends them, and each would tell where it was
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch, args=[parent], daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOKS)
    os._exit(1)


def _run_in_worker(
    function: Callable[..., Any], batch: Sequence[Any], parent: int | None = None, limit: str | None = None
) -> Any:
    if parent is not None:
        _end_with(parent)
    before = in_pool()
    # a thread of the calling process, or of a Dask worker, where joblib bounds nothing
    _here.in_pool = threading.current_thread() is not threading.main_thread()
    try:
        with opencv_threads(1), _limit_held(limit):
            return function(batch)
    finally:
        _here.in_pool = before


def map_batches(
    function: Callable[[Sequence[LesionImage]], Any],
    records: Sequence[LesionImage],
    *,
    batch_size: int | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    desc: str = "",
) -> Generator[tuple[int, Sequence[LesionImage], Any], None, None]:
    """Apply a function to batches of records, in order, as the results come in.

    To be closed (`contextlib.closing`) where it may be left before its end.

    Parameters
    ----------
    function : callable
        Takes a list of records; must be picklable for ``n_jobs`` > 1.
    records : sequence of LesionImage
        The records. Files among them are decoded by the function, in the
        worker, so that no more than the batches in flight are in memory.
    batch_size : int, default=None
        Records a call; chosen by the number of records and workers if None.
    n_jobs : int, default=None
        Workers, as in joblib: None is 1 unless in a `joblib.parallel_config`
        context, -1 all cores.
    verbose : int, default=0
        Show progress if above 0: a bar, or lines where there is no terminal.
    desc : str, default=""
        Text beside it.

    Yields
    ------
    start, batch, result : int, sequence of LesionImage, object
        Position of the first record of the batch, the batch, what the function
        gave.
    """
    workers = effective_n_jobs(n_jobs)
    if batch_size is None:
        batch_size = max(1, min(32, math.ceil(len(records) / (4 * workers))))
    start = 0
    with (
        Progress(desc, len(records), 0, verbose) as progress,
        closing(stream_batches(function, batches_of(records, batch_size), n_jobs=n_jobs)) as stream,
    ):
        for batch, result in stream:
            yield start, batch, result
            start += len(batch)
            progress.update(len(batch), 0)


def stream_batches(
    function: Callable[[Any], Any], batches: Iterable[Any], *, n_jobs: int | None = None
) -> Generator[tuple[Any, Any], None, None]:
    """Apply a function to batches of anything, in order; a batch is drawn when a worker is about to need it.

    So that of an endless number of them, only those in flight are in memory. To be closed as `map_batches` is.

    Parameters
    ----------
    function : callable
        Takes a batch; must be picklable for ``n_jobs`` > 1.
    batches : iterable
        The batches.
    n_jobs : int, default=None
        Workers, as in joblib; on a Dask cluster all, unless it is 1.

    Yields
    ------
    batch, result : object, object
        The batch and what the function gave.
    """
    pixel_limit()  # once, and not as the error of every image
    limit = os.environ.get(MAX_PIXELS_VARIABLE, "")  # workers may be older than it
    client = active_client()
    if n_jobs == 1 or (client is None and effective_n_jobs(n_jobs) == 1):
        for batch in batches:
            yield batch, function(batch)
        return
    if client is not None:
        work = partial(_run_in_worker, limit=os.environ.get(MAX_PIXELS_VARIABLE))  # if unset, that of the workers
        with closing(stream_on_dask(client, work, function, batches)) as stream:
            yield from stream
        return
    if not get_active_backend()[0].supports_return_generator:  # such as Ray's: some batches at a time
        batches = iter(batches)
        with Parallel(n_jobs=n_jobs, batch_size=1) as parallel:
            while part := list(islice(batches, _ROUND * effective_n_jobs(n_jobs))):
                tasks_of_part = (delayed(_run_in_worker)(function, batch, None, limit) for batch in part)
                yield from zip(part, parallel(tasks_of_part), strict=True)
        return
    parent = os.getpid()
    drawn: deque[Any] = deque()  # results come in the order in which batches were drawn

    def tasks() -> Iterator[Any]:
        for batch in batches:
            drawn.append(batch)
            yield delayed(_run_in_worker)(function, batch, parent, limit)

    results = Parallel(n_jobs=n_jobs, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)(tasks())
    try:
        with opencv_threads(1):
            for result in results:
                yield drawn.popleft(), result
    finally:
        with ignored_warnings():  # that it was left early is the caller's own will
            results.close()


def fail(record: LesionImage, error: Exception) -> LesionImage:
    """Mark a record as failed, so that later steps leave it alone and the rest of the batch goes on."""
    if isinstance(error, ImageReadError) and error.path == str(record.path):
        text = error.reason  # the record tells the file itself
    else:
        text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return record.with_(error=text or type(error).__name__)


def load_or_fail(record: LesionImage) -> LesionImage:
    """Decode a record, or mark it as failed."""
    try:
        return record if record.error is not None else record.load()
    except Exception as error:  # one bad image must not take the batch with it
        return fail(record, error)


def transform_batch(step: Any, records: Sequence[LesionImage], method: str = "transform") -> list[Any]:
    """Send a batch through one step; images that fail are marked and the others go on.

    Steps of skinseg mark failed images themselves. A foreign step that raises
    is tried again image by image, to find out which ones it cannot take.

    Parameters
    ----------
    step : estimator
        With a method ``transform`` (or the one named).
    records : sequence of LesionImage
        The batch; failed records in it are passed on.
    method : str, default="transform"
        The method of a foreign step.

    Returns
    -------
    list
        One result an image: a record, a row of a table, or a failed record.
    """
    own = getattr(step, "_apply_batch", None)
    if own is not None:
        return list(own(records))
    alive = [index for index, record in enumerate(records) if record.error is None]
    results: list[Any] = list(records)
    if not alive:
        return results
    call = getattr(step, method)
    try:
        outcomes = _as_items(call([records[index] for index in alive]))
        if len(outcomes) != len(alive):
            raise ValueError(f"{type(step).__name__} gave {len(outcomes)} results for {len(alive)} images")
    except (ModelFileError, ImportError):
        raise  # no fault of an image
    except Exception as error:
        if len(alive) == 1:
            results[alive[0]] = fail(records[alive[0]], error)
            return results
        outcomes = [transform_batch(step, [records[index]], method)[0] for index in alive]
    for index, outcome in zip(alive, outcomes, strict=True):
        results[index] = outcome
    return results


def _as_items(output: Any) -> list[Any]:
    """Cut the output of a foreign step into one item an image."""
    if hasattr(output, "to_numpy"):  # a DataFrame
        output = output.to_numpy()
    elif hasattr(output, "toarray"):  # a sparse matrix
        output = output.toarray()
    return list(output)


def label_of(record: LesionImage) -> str | None:
    """Give the file of a record, or its name, for messages."""
    return record.name if record.path is None else str(record.path)


def raise_or_list(caller: str, on_error: str, errors: dict[int, tuple[str | None, str]]) -> dict[int, str]:
    """Raise the errors of a batch, or give them as a dict for ``errors_``.

    Parameters
    ----------
    caller : str
        Name of the estimator.
    on_error : {"raise", "nan"}
        What to do.
    errors : dict of int to (str or None, str)
        Position of the image -> its file or name and what went wrong.

    Returns
    -------
    dict of int to str
        Position -> message.
    """
    if errors and on_error == "raise":
        texts = {
            index: f"X[{index}]{f' ({label})' if label else ''}: {text}" for index, (label, text) in errors.items()
        }
        message = f"{caller} failed on {len(texts)} images (on_error='nan' leaves them out and goes on):"
        raise ImageBatchError(message, texts)
    return {index: text for index, (_, text) in errors.items()}


def list_names(names: Sequence[str]) -> str:
    """Name the first few."""
    return ", ".join(names[:_LISTED_NAMES]) + (", ..." if len(names) > _LISTED_NAMES else "")


def refuse_to_classify(caller: str, records: Sequence[LesionImage], failed: Sequence[int]) -> None:
    """Raise if images failed of which a class is wanted."""
    if failed:
        listed = list_names([str(label_of(records[index]) or f"X[{index}]") for index in failed])
        raise ValueError(
            f"{caller} cannot classify {len(failed)} of {len(records)} images, which failed ({listed}): errors_ tells "
            "why. Leave them out; predict_proba gives a row of NaN for them and tells of the others"
        )


def warn_of_empty_masks(caller: str, names: Sequence[str], total: int, consequence: str) -> None:
    """Warn once of all images in which no lesion was found."""
    if not names:
        return
    warnings.warn(
        f"{caller} found no lesion in {len(names)} of {total} images ({list_names(names)}); {consequence}",
        EmptyMaskWarning,
        stacklevel=3,
    )


def object_array(items: Sequence[Any]) -> np.ndarray:
    """Put items into a 1-D object array, cell by cell.

    `numpy.array` would stack arrays of equal size into one more dimension and
    refuse those of different sizes.

    Parameters
    ----------
    items : sequence
        Anything.

    Returns
    -------
    ndarray of shape (n_items,), object
        The items.
    """
    result = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        result[index] = item
    return result
