"""Models of this process, kept ready: to build and to trace one takes seconds, to fill it with weights milliseconds.

Estimators hold arrays and no model. They take a model of their architecture out of the pool, fill it, use it, and put
it back; two threads never have the same one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["borrowed_model", "clear_pool", "first_weights"]

_KEPT = 4
_STARTS = 2
_lock = threading.Lock()
_models: OrderedDict[int, tuple[str, Any, str]] = OrderedDict()
_starts: OrderedDict[str, tuple[np.ndarray, ...]] = OrderedDict()


@contextmanager
def borrowed_model(
    key: str, build: Callable[[], Any], weights: Sequence[np.ndarray] | None = None, digest: str = ""
) -> Iterator[Any]:
    """Take a model out of the pool for a while.

    Parameters
    ----------
    key : str
        Its architecture, and all that is compiled into it.
    build : callable
        Makes one if there is none.
    weights : sequence of ndarray, default=None
        What to fill it with; left as it comes if None.
    digest : str, default=""
        Hash of the weights: a model that has them already is not filled again.

    Yields
    ------
    keras.Model
        The model.
    """
    model, loaded = _take(key, digest)
    if model is None:
        model = build()
    if weights is not None and (loaded != digest or not digest):
        model.set_weights(list(weights))
    yield model  # a model that an error interrupted is not put back
    with _lock:
        _models[id(model)] = key, model, digest if weights is not None else ""
        while len(_models) > _KEPT:
            _models.popitem(last=False)


def _take(key: str, digest: str) -> tuple[Any, str]:
    with _lock:
        fits = [(number, entry) for number, entry in _models.items() if entry[0] == key]
        if not fits:
            return None, ""
        number, (_, model, loaded) = max(fits, key=lambda item: item[1][2] == digest)
        del _models[number]
        return model, loaded


def first_weights(key: str, make: Callable[[], Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Take the weights that a training starts from, or make them: those of a seed are always the same.

    Parameters
    ----------
    key : str
        All that they follow from: what builds the network, from which settings
        and seed.
    make : callable
        Makes them if they are not kept; those used last are.

    Returns
    -------
    list of ndarray
        The weights, read only.
    """
    with _lock:
        found = _starts.get(key)
    if found is None:
        found = tuple(np.array(array) for array in make())
        for array in found:
            array.flags.writeable = False
    with _lock:
        _starts[key] = found
        _starts.move_to_end(key)
        while len(_starts) > _STARTS:
            _starts.popitem(last=False)
    return list(found)


def clear_pool() -> None:
    """Let go of all models and weights that are kept."""
    with _lock:
        _models.clear()
        _starts.clear()
