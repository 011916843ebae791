"""Warnings that are not to be seen, and variables that are set, for a while, whatever other threads do meanwhile.

`warnings.catch_warnings` puts another list of filters in the place of the process's own, and the old one back at its
end. Of two threads whose blocks overlap, the one that ends last puts back the list of the other, and its filters stay
for good. Here each block adds one filter, which knows its thread, and takes out this one alone.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["ignored_warnings", "told_by_environment"]

_lock = threading.Lock()
_telling = threading.RLock()


class _OfThread:
    """In the place of a filter's pattern: fits texts of warnings of one thread, until it is told to end."""

    def __init__(self, message: str) -> None:
        self.pattern = message  # by this scikit-learn hands filters to its workers
        self._thread: int | None = threading.get_ident()
        self._compiled = re.compile(message, re.IGNORECASE)

    def match(self, text: str) -> bool:
        return threading.get_ident() == self._thread and self._compiled.match(text) is not None

    def end(self) -> None:
        self._thread, self.pattern = None, r"(?!)"  # somebody may have kept a copy of the list of filters


@contextmanager
def ignored_warnings(category: type[Warning] = Warning, message: str = "") -> Iterator[None]:
    """Ignore warnings of this thread for a while.

    Those of other threads are treated as before, and afterwards the filters
    are what they were, in whatever order blocks of several threads end.

    Parameters
    ----------
    category : type, default=Warning
        The class of the warnings.
    message : str, default=""
        How their text begins, a regular expression.
    """
    fits = _OfThread(message)
    item: Any = ("ignore", fits, category, None, 0)
    with _lock:
        before = warnings.filters
        warnings.filters = [item, *before]
    try:
        yield
    finally:
        fits.end()
        with _lock:
            rest = [entry for entry in warnings.filters if entry is not item]
            warnings.filters = before if rest == before else rest


@contextmanager
def told_by_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while, as for a library that reads them when it is imported.

    Parameters
    ----------
    variables : mapping of str to str
        Names and values; what the user has set stays.
    """
    with _telling:
        told = {name: value for name, value in variables.items() if name not in os.environ}
        os.environ.update(told)
        try:
            yield
        finally:
            for name in told:
                os.environ.pop(name, None)
