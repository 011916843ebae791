"""Batches on the workers of a Dask cluster, where `joblib.parallel_config(backend="dask")` asks for it.

joblib's own backend would do, but that it waits for ever where a task fails as a whole, since a worker lacks a module
or dies of the task each time, and that it keeps large arguments on one worker, with which they are lost.
"""

from __future__ import annotations

import pickle
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

from joblib.parallel import get_active_backend

from ._quiet import ignored_warnings

__all__ = ["BatchKilledError", "active_client", "stream_on_dask"]

_PER_CORE = 4  # batches under way, or done and not yet asked for, a core of the cluster
_SMALL = 100_000  # bytes of a function that may go with each batch
_COUNTED_FOR = 10.0  # seconds; then the cores are counted anew, for workers come and go


class BatchKilledError(BrokenExecutor):
    """Several workers died, one after the other, of one batch: the oldest one that is under way."""


def active_client() -> Any:
    """Give the client of Dask in whose `joblib.parallel_config` this is called, or None."""
    client = getattr(get_active_backend()[0], "client", None)
    distributed = sys.modules.get("distributed")
    return client if distributed is not None and isinstance(client, distributed.Client) else None


def stream_on_dask(
    client: Any, work: Callable[[Any, Any], Any], function: Callable[[Any], Any], batches: Iterable[Any]
) -> Generator[tuple[Any, Any], None, None]:
    """Apply a function to batches on the workers of a cluster, in order, with a bounded number of them under way.

    To be closed where it may be left before its end.

    Parameters
    ----------
    client : distributed.Client
        The cluster, also from within one of its tasks.
    work : callable
        Takes the function and a batch, in a worker.
    function : callable
        Takes a batch; one that holds a large model is sent once and not with
        every batch.
    batches : iterable
        The batches.

    Yields
    ------
    batch, result : object, object
        The batch and what the function gave.

    Raises
    ------
    BatchKilledError
        If several workers died, one after the other, of one and the same batch.
    """
    from distributed import KilledWorker

    batches = iter(batches)
    waiting: deque[tuple[Any, Any]] = deque()
    limit, counted = 0, -_COUNTED_FOR
    with _slot_left() as nested:
        sent = _send(client, function)
        try:
            while True:
                if time.monotonic() - counted >= _COUNTED_FOR:
                    limit, counted = _PER_CORE * max(1, sum(client.nthreads().values())), time.monotonic()
                for batch in islice(batches, max(0, limit - len(waiting))):
                    # what a task waits for comes before tasks that would wait for more
                    future = client.submit(work, sent, batch, key=_key("batch"), priority=int(nested))
                    waiting.append((batch, future))
                if not waiting:
                    return
                batch, future = waiting.popleft()
                try:
                    result = future.result()
                except KilledWorker as error:
                    raise BatchKilledError(
                        f"Dask gave a batch up, for {error.allowed_failures + 1} workers died of it: it needs more "
                        "memory than a worker has, or an image makes a library crash; see the logs of the workers"
                    ) from error
                yield batch, result
        finally:
            for _, future in waiting:
                future.release()


def _key(name: str) -> str:
    return f"skinseg-{name}-{uuid.uuid4().hex}"


def _send(client: Any, function: Callable[[Any], Any]) -> Any:
    """Send a function that is large ahead.

    As the result of a task, which is run again where it is lost, and not scattered: scattered data are lost with the
    worker that has them.
    """
    import cloudpickle  # which Dask brings

    content = cloudpickle.dumps(function)
    if len(content) < _SMALL:
        return function
    with ignored_warnings(UserWarning, "Sending large graph"):  # once, as it should be
        return client.submit(pickle.loads, content, key=_key("model"))


@contextmanager
def _slot_left() -> Iterator[bool]:
    """Within a task, leave its place on the worker to the tasks that it waits for; tell whether this is in a task."""
    from distributed import rejoin, secede
    from distributed.threadpoolexecutor import thread_state

    nested = getattr(thread_state, "proceed", False)  # also False in a task that has left its place already
    if nested:
        secede()
    try:
        yield nested
    finally:
        if nested:
            rejoin()
