"""Driving a long run: what is done already, the rest batch by batch, and all of it into one table at the end."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import effective_n_jobs

from .._dask import BatchKilledError
from .._mapping import batches_of, stream_batches
from .._progress import Progress, duration
from ..exceptions import RunError, RunInterrupted
from ._parts import KEY, MADE, STAMP, PartStore
from ._tables import TableWriter

__all__ = ["NO_LESION", "Batch", "Job", "RunSummary", "collect", "drive", "drive_table", "rate_of"]

NO_LESION = "no lesion found"
"""What the table of a run says of an image whose mask is empty."""
_DIED = (
    "the process that worked on this image died, for lack of memory or by a fault in a library; look at the image, or "
    "try it on a machine with more memory"
)
_BATCH = 32  # images that a worker gets at once
_LISTED = 50  # names that a summary holds
_MERGED = 4096  # rows that are in memory when the table is written
_OPEN_PARTS = 4


@dataclass
class RunSummary:
    """What a long run did.

    Parameters
    ----------
    out : Path
        The table, or the folder of the masks.
    n_images : int
        Images that were asked for.
    n_earlier : int
        Those that earlier calls had done already.
    n_failed : int
        Those that failed.
    n_empty : int
        Those without a lesion.
    n_doubtful : int
        Those whose outline has a confidence below 0.7.
    failed : list of (str, str)
        The first 50 images that failed, and why; the column ``error`` of the
        table has all.
    empty : list of str
        The first 50 images without a lesion.
    doubtful : list of (str, float)
        The first 50 images with a doubtful outline, and its confidence.
    seconds : float
        Time of this call.
    rate : float
        Images a second of this call.
    """

    out: Path
    n_images: int = 0
    n_earlier: int = 0
    n_failed: int = 0
    n_empty: int = 0
    n_doubtful: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    doubtful: list[tuple[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    rate: float = 0.0

    def _count(self, table: pd.DataFrame, doubtful: float) -> None:
        errors = table["error"]
        bad = table[_failed(errors)]
        self.n_images += len(table)
        self.n_failed += len(bad)
        self.failed += list(zip(bad["image"], bad["error"], strict=True))[: _LISTED - len(self.failed)]
        empty = table.loc[errors == NO_LESION, "image"]
        self.n_empty += len(empty)
        self.empty += list(empty)[: _LISTED - len(self.empty)]
        if "confidence" in table:
            unsure = table[(table["confidence"] < doubtful) & (errors == "")]
            self.n_doubtful += len(unsure)
            self.doubtful += list(zip(unsure["image"], unsure["confidence"], strict=True))[
                : _LISTED - len(self.doubtful)
            ]


class Batch(NamedTuple):
    """What a worker gets: the positions of the images and all that it needs of them."""

    positions: list[int]
    content: Any


class Job:
    """What is done with many files: a subclass for each kind of work.

    The function makes of a `Batch` a DataFrame with a row an image: what was
    found, ``error``, and in `STAMP` the state of the files before they were
    read (in `MADE` that of the files which were written).
    """

    name = ""
    in_workers = True  # False where the function itself shares its work out among workers
    keeps_foreign = False  # whether rows of images that are not asked for stay for a later call
    doubtful = 0.0  # confidence below which an outline is listed
    n_images: int
    n_jobs: int | None
    settings: dict[str, str]
    function: Callable[[Batch], pd.DataFrame]

    def key(self, position: int) -> str:
        """Tell an image from all others."""
        raise NotImplementedError

    def stamp(self, position: int) -> str:
        """Tell the present state of the files that make the row of an image."""
        raise NotImplementedError

    def made(self, position: int) -> str:
        """Tell the present state of the files that were written for an image."""
        return ""

    def prepare(self, temporary: Path) -> None:
        """Take note of a folder, on the file system of the results, in which files may grow."""

    def content(self, positions: list[int]) -> Any:
        """Give what a worker needs of some images."""
        raise NotImplementedError

    def complete(self, positions: Sequence[int], found: pd.DataFrame) -> pd.DataFrame:
        """Make rows of the final table from what was found."""
        raise NotImplementedError

    def seen(self, positions: Sequence[int], rows: pd.DataFrame) -> None:
        """Look at rows of the final table, which come in the order of the images."""

    def finish(self) -> None:
        """Do what is left when the table is written; what was done is kept until this is over."""

    @property
    def batch_size(self) -> int:
        """Images a batch: every worker gets some of few images."""
        return max(1, min(_BATCH, -(-self.n_images // (4 * effective_n_jobs(self.n_jobs)))))

    def work(self, batches: Iterable[list[int]]) -> Generator[tuple[list[int], pd.DataFrame], None, None]:
        """Do batch after batch; a worker that dies takes only the image with it on which it dies."""
        if self.in_workers:
            yield from self._in_workers(iter(batches))
            return
        for positions in batches:
            try:
                frame = self.function(Batch(positions, self.content(positions)))
            except BrokenExecutor:  # of the workers that the function has
                for position in positions:
                    yield [position], self._alone(position)
            else:
                yield positions, frame

    def _in_workers(self, batches: Iterator[list[int]]) -> Generator[tuple[list[int], pd.DataFrame], None, None]:
        while True:
            in_flight: dict[int, list[int]] = {}

            def drawn(
                rest: Iterator[list[int]] = batches, in_flight: dict[int, list[int]] = in_flight
            ) -> Iterator[Batch]:
                for positions in rest:
                    in_flight[positions[0]] = positions
                    yield Batch(positions, self.content(positions))

            try:
                with closing(stream_batches(self.function, drawn(), n_jobs=self.n_jobs)) as stream:
                    for batch, frame in stream:
                        del in_flight[batch.positions[0]]
                        yield batch.positions, frame
                return
            except BrokenExecutor as error:
                under_way = list(in_flight.values())
                if not under_way:
                    raise  # no fault of an image
                # joblib does not tell which one it was
                n_suspects = 1 if isinstance(error, BatchKilledError) else len(under_way)
            for position in chain.from_iterable(under_way[:n_suspects]):
                yield [position], self._alone(position)
            batches = chain(under_way[n_suspects:], batches)

    def _alone(self, position: int) -> pd.DataFrame:
        batch = Batch([position], self.content([position]))
        stamp = self.stamp(position)
        try:
            if not self.in_workers:
                return self.function(batch)
            with closing(stream_batches(self.function, [batch], n_jobs=self.n_jobs)) as stream:
                return next(stream)[1]
        except BrokenExecutor:
            return pd.DataFrame({"error": [_DIED], STAMP: [stamp]})


def _failed(errors: pd.Series) -> pd.Series:
    return (errors != "") & (errors != NO_LESION)


def _n_failed(frame: pd.DataFrame) -> int:
    return sum(text not in ("", NO_LESION) for text in frame["error"].tolist())  # faster than pandas on few rows


def _batches(todo: np.ndarray, size: int) -> Iterator[list[int]]:
    """Cut all images into batches, and give of each those that are to be done.

    So the batches of a run that was resumed are those of one that was not, which is what makes their results the
    same to the last bit: networks may differ in it from one size of a batch to another.
    """
    for start in range(0, len(todo), size):
        positions = (start + np.flatnonzero(todo[start : start + size])).tolist()
        if positions:
            yield positions


def collect(job: Job, *, verbose: int = 0) -> pd.DataFrame:
    """Do all images and give the table; nothing is written.

    Parameters
    ----------
    job : Job
        The work.
    verbose : int, default=0
        Show progress if above 0.

    Returns
    -------
    DataFrame
        A row an image.
    """
    frames = []
    with (
        Progress(job.name, job.n_images, 0, verbose) as progress,
        closing(job.work(_batches(np.ones(job.n_images, bool), job.batch_size))) as stream,
    ):
        for positions, frame in stream:
            frames.append(frame.set_axis(pd.Index(positions), axis=0))
            progress.update(len(frame), _n_failed(frame))
    found = pd.concat(frames).sort_index() if frames else pd.DataFrame()
    return job.complete(range(job.n_images), found.drop(columns=[STAMP, MADE], errors="ignore"))


def drive(
    job: Job,
    store: PartStore,
    out: Path,
    *,
    table: Path | None,
    errors: Path | None = None,
    retry_failed: bool = False,
    verbose: int = 0,
    progress_every: float | None = None,
) -> RunSummary:
    """Do what is left of a run, then write its table.

    Parameters
    ----------
    job : Job
        The work.
    store : PartStore
        Where rows are kept meanwhile; not yet entered.
    out : Path
        What the summary calls the result.
    table, errors : Path or None
        The table, and that of the images with an error.
    retry_failed : bool, default=False
        Do again what failed in earlier calls.
    verbose : int, default=0
        Show progress if above 0.
    progress_every : float, default=None
        Seconds between two lines of progress; 30 if None.

    Returns
    -------
    RunSummary
        What was done.

    Raises
    ------
    RunError, RunInterrupted, OSError
        See `skinseg.bulk.measure_to_file`.
    """
    if job.n_images == 0:
        raise ValueError("there are no images; give at least one")
    _check_places(table, errors)
    with store:
        job.prepare(store.temporary)
        try:
            twins = _find_done(job, store, retry_failed)
            earlier = int((store.part >= 0).sum())
            progress = Progress(
                job.name,
                job.n_images,
                earlier,
                verbose,
                **({} if progress_every is None else {"every": progress_every}),
            )
            _do_the_rest(job, store, twins, progress)
            summary = RunSummary(out, n_earlier=earlier, seconds=progress.seconds, rate=progress.rate)
            _write_tables(job, store, summary, table, errors)
            job.finish()
            store.remove(keep_foreign=job.keeps_foreign)
            return summary
        except KeyboardInterrupt:
            with suppress(OSError):
                store.flush()
            raise RunInterrupted(f"interrupted; {_kept(store)}") from None
        except Exception as error:
            with suppress(OSError):
                store.flush()
            if not isinstance(error, RunError) and (store.part >= 0).any():
                error.add_note(_kept(store))
            raise


def _check_places(table: Path | None, errors: Path | None) -> None:
    """Refuse what cannot be written at the end before the work."""
    for path in (table, errors):
        if path is not None and path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; give the name of a file")
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{path} lies in a folder that does not exist; make it first")
    if table is not None and errors is not None and os.path.realpath(table) == os.path.realpath(errors):
        raise ValueError(f"{table} cannot be both the table and that of the images with an error; give two names")


def drive_table(
    job: Job,
    out: str | os.PathLike[str],
    errors: str | os.PathLike[str] | None,
    fresh: bool,
    retry_failed: bool,
    verbose: int,
    tell: Callable[[str], None] | None,
) -> RunSummary:
    """Do what is left of a run whose result is a table; its rows are kept beside it meanwhile, in ``<out>.parts``."""
    out = Path(out)
    store = PartStore(out.with_name(f"{out.name}.parts"), job.settings, fresh=fresh, tell=tell)
    errors = None if errors is None else Path(errors)
    return drive(job, store, out, table=out, errors=errors, retry_failed=retry_failed, verbose=verbose)


def _kept(store: PartStore) -> str:
    done = int((store.part >= 0).sum())
    if not done:
        return "no image was done yet"
    return (
        f"{done:,} of {len(store.part):,} images are done and kept in {store.folder}: the same call goes on from there"
    )


def _find_done(job: Job, store: PartStore, retry_failed: bool) -> dict[int, int]:
    """Find the rows that are there and still right; give the images that are in the list twice."""
    store.part, store.row = np.full(job.n_images, -1, np.int32), np.full(job.n_images, -1, np.int32)
    first: dict[str, int] = {}
    twins: dict[int, int] = {}
    for position in range(job.n_images):
        there = first.setdefault(job.key(position), position)
        if there != position:
            twins[position] = there
    known: dict[int, tuple[str, str, str]] = {}
    store.foreign = {}
    for number, frame in store.kept_keys():
        rows = zip(frame[KEY], frame[STAMP], frame[MADE], frame["error"], strict=True)
        for row, (key, *state) in enumerate(rows):
            position = first.get(key, -1)
            if position < 0:
                store.foreign.setdefault(number, []).append(row)
                continue
            store.part[position], store.row[position] = number, row
            known[position] = (state[0], state[1], state[2])
    changed = retried = 0
    for position, (stamp, made, error) in known.items():
        if stamp != job.stamp(position) or (made and made != job.made(position)):
            changed += 1
        elif retry_failed and error not in ("", NO_LESION):
            retried += 1
        else:
            continue
        store.part[position] = -1
    done = int((store.part >= 0).sum())
    if known:
        store.tell(f"{done:,} of {job.n_images:,} images are done already ({store.folder})")
    for count, text in (
        (changed, "changed since an earlier call, done again: {}"),
        (retried, "failed in an earlier call, tried again: {}"),
        (
            sum(map(len, store.foreign.values())),
            f"not asked for now, {'kept' if job.keeps_foreign else 'left out'}: {{}} of an earlier call",
        ),
    ):
        if count:
            store.tell(text.format(f"{count:,} image{'s' if count > 1 else ''}"))
    return twins


def _do_the_rest(job: Job, store: PartStore, twins: dict[int, int], progress: Progress) -> None:
    todo = store.part < 0
    todo[list(twins)] = False
    if todo.any():
        size = store.begin(job.batch_size)
        with progress, closing(job.work(_batches(todo, size))) as stream:
            for positions, frame in stream:
                frame = frame if MADE in frame else frame.assign(**{MADE: ""})
                store.add(positions, frame.assign(**{KEY: [job.key(position) for position in positions]}))
                progress.update(len(frame), _n_failed(frame))
    store.flush()
    for position, there in twins.items():
        store.part[position], store.row[position] = store.part[there], store.row[there]


def _write_tables(job: Job, store: PartStore, summary: RunSummary, table: Path | None, errors: Path | None) -> None:
    with ExitStack() as stack:
        schema = store.schema()
        types = {column.name: column.type for column in schema}
        rows_to = None if table is None else stack.enter_context(TableWriter(table, types))
        bad = None if errors is None else stack.enter_context(TableWriter(errors, types))
        for positions, rows in _in_order(job, store, schema):
            summary._count(rows, job.doubtful)
            job.seen(positions, rows)
            if rows_to is not None:
                rows_to.write(rows)
            if bad is not None:
                bad.write(rows.loc[rows["error"] != "", ["image", "error"]])


def _in_order(job: Job, store: PartStore, schema: Any) -> Iterator[tuple[range, pd.DataFrame]]:
    """Give positions and final rows in the order of the images, some at a time."""
    opened: OrderedDict[int, pd.DataFrame] = OrderedDict()

    def part(number: int) -> pd.DataFrame:
        if number not in opened:
            opened[number] = store.read(number, schema=schema)
            if len(opened) > _OPEN_PARTS:
                opened.popitem(last=False)
        opened.move_to_end(number)
        return opened[number]

    for positions in batches_of(range(job.n_images), _MERGED):
        numbers = store.part[positions.start : positions.stop]
        rows = store.row[positions.start : positions.stop]
        pieces = [
            part(number).iloc[rows[numbers == number]].set_axis(pd.Index(np.flatnonzero(numbers == number)), axis=0)
            for number in np.unique(numbers).tolist()
        ]
        found = pd.concat(pieces).sort_index() if len(pieces) > 1 else pieces[0]
        yield positions, job.complete(positions, found.drop(columns=[KEY, STAMP, MADE]))


def rate_of(summary: RunSummary) -> str:
    """Say how long a run took and how fast it was; empty where nothing was left to do."""
    done = summary.n_images - summary.n_earlier
    if not done or summary.rate <= 0:
        return ""
    return f"{duration(summary.seconds)}, {summary.rate:.1f} images/s"
