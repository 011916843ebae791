"""Progress of a long run: a bar in a terminal, a line now and then where there is none (a log file)."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

__all__ = ["Progress", "duration"]

_EVERY = 30.0  # seconds between two lines in a log


def duration(seconds: float) -> str:
    """Say how long, such as ``"3 min 20 s"``."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


class Progress:
    """Tell how far a run is, its rate and the time that remains.

    Parameters
    ----------
    what : str
        Name of the work.
    total : int
        Number of images.
    done : int
        Those that are done already.
    verbose : int
        Nothing is shown if 0.
    every : float, default=30
        Seconds between two lines where stderr is no terminal.
    """

    def __init__(self, what: str, total: int, done: int, verbose: int, *, every: float = _EVERY) -> None:
        self.what, self.total, self.done, self.begun = what, total, done, done
        self.failed = self._said = 0
        self.every = every
        self.shown = verbose > 0
        self._bar: Any = None
        self._start = self._told = time.monotonic()

    def __enter__(self) -> Self:
        self._start = self._told = time.monotonic()
        if self.shown and (sys.stderr.isatty() or "ipykernel" in sys.modules):
            from tqdm.auto import tqdm  # here, for its search for notebooks costs time at import

            self._bar = tqdm(total=self.total, initial=self.begun, desc=self.what, unit="image")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self.shown and kind is None and self._told > self._start and self._said < self.done:
            self._line()  # a log that has lines also tells the end

    @property
    def seconds(self) -> float:
        """Seconds since the start of this call."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Images a second in this call."""
        return (self.done - self.begun) / max(self.seconds, 1e-9)

    def update(self, n_images: int, n_failed: int) -> None:
        """Count some more."""
        self.done += n_images
        self.failed += n_failed
        if self._bar is not None:
            if n_failed:
                self._bar.set_postfix(failed=self.failed, refresh=False)
            self._bar.update(n_images)
        elif self.shown and time.monotonic() - self._told >= self.every:
            self._told = time.monotonic()
            self._line()

    def _line(self) -> None:
        self._said = self.done
        left = f", {duration((self.total - self.done) / self.rate)} left" if self.begun < self.done < self.total else ""
        failed = f", {self.failed:,} failed" if self.failed else ""
        print(
            f"{self.what}: {self.done:,} of {self.total:,} images ({100 * self.done / max(self.total, 1):.0f} %), "
            f"{self.rate:.1f} images/s{left}{failed}",
            file=sys.stderr,
            flush=True,
        )
