"""Rows kept on disk while a run goes on: parts that are whole or not there, settings, and a lock."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from .._files import lock_file, reason_of, remove_folder, retold, sync_folder, write_file
from ..exceptions import RunError

__all__ = ["KEY", "MADE", "STAMP", "PartStore", "stamp_of"]

KEY, STAMP, MADE = "_key", "_stamp", "_made"  # what was measured, in which state, and the state of what was written
_PART = re.compile(r"part-(\d{6,})-([0-9a-f]{8})\.parquet")
_RUN, _LOCK, _TEMPORARY = "run.json", "lock", "tmp-"
_MOST_ROWS = 4096  # of a part, and so in memory
_AT_LEAST = 10.0  # seconds between two parts
_SHARE = 0.01  # of the time so far that a kill may cost


def stamp_of(path: str | os.PathLike[str]) -> str:
    """Tell the state of a file by its size and time of change; ``"absent"`` where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return "absent"
    return f"{found.st_size}:{found.st_mtime_ns}"


class PartStore:
    """The rows that a run has made so far, in a folder beside its result.

    A part is a Parquet file of some rows. It is written under another name,
    brought to the disk and renamed; its name holds the checksum of its
    content, so that every kind of damage is found. Parts are written every
    ten seconds at first, then so that a kill costs at most 1 % of the time so
    far, and their number grows with the logarithm of that. One process has
    the folder at a time.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    settings : mapping of str to str
        All that shapes a row besides its files. Rows made with others are not
        mixed with new ones.
    fresh : bool, default=False
        Throw away what is there.
    tell : callable, default=None
        Takes lines for the user.

    Raises
    ------
    RunError
        If another process works here, if the folder holds rows made with other
        settings, or if it is of something else.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        *,
        fresh: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = folder
        self.settings = dict(settings)
        self.fresh = fresh
        self.tell = tell or (lambda _text: None)
        self.batch_size: int | None = None  # of the run that made the rows
        self.paths: dict[int, Path] = {}
        self.foreign: dict[int, list[int]] = {}  # rows of parts which are of images that were not asked for
        self.part = self.row = np.empty(0, np.int32)  # where the row of each image is; -1 where there is none yet
        self._waiting: list[tuple[Sequence[int], pd.DataFrame]] = []
        self._n_waiting = 0
        self._lock: int | None = None
        self._started = self._written = time.monotonic()

    # ------------------------------------------------------------------ opening and closing

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise self._cannot_write(error) from None
        try:
            if self.fresh:
                self._clear()
            self._open()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            remove_folder(self.temporary)
        finally:  # also at a second Ctrl-C
            self._leave()

    def _leave(self) -> None:
        """Give the folder back; where nothing was made in it, nothing is left behind."""
        try:
            if not any(self.folder.glob("part-*.parquet")):
                self._clear()
                if sys.platform == "win32":  # where an open file cannot be removed
                    self._release()
                (self.folder / _LOCK).unlink(missing_ok=True)
                self.folder.rmdir()
        except OSError:
            pass  # it holds something else, or it is gone
        finally:
            self._release()

    def _open(self) -> None:
        for old in self.folder.glob(f"{_TEMPORARY}*"):  # of a process that was killed, whose workers may still write
            remove_folder(old)
        self._find_parts()
        known = self._read_run()
        if self.paths and known is None:
            raise RunError(
                f"{self.folder} holds rows of an earlier call, and {_RUN}, which says how they were made, is missing "
                f"or damaged; {self._way_out()}"
            )
        if self.paths and known is not None:
            self._compare(known.get("settings", {}))
            self.batch_size = known.get("batch_size")
        self.temporary = self.folder / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self.temporary.mkdir()
        except OSError as error:
            raise self._cannot_write(error) from None

    def begin(self, batch_size: int) -> int:
        """Note settings and size of the batches; that of the rows which are there stays."""
        self.batch_size = self.batch_size or batch_size
        content = {"format": 1, "batch_size": self.batch_size, "settings": self.settings}
        self._write(_RUN, json.dumps(content, indent=1, ensure_ascii=False).encode())
        return self.batch_size

    def _read_run(self) -> dict[str, Any] | None:
        try:
            content = json.loads((self.folder / _RUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            others = sorted(path.name for path in self.folder.iterdir() if path.name != _LOCK)
            if others and not self.paths:
                raise RunError(
                    f"{self.folder} is where the rows are kept while they are made, and it holds something else "
                    f"({', '.join(others[:3])}); move it, or write to another file"
                ) from None
            return None
        except ValueError:
            return None
        return content if isinstance(content, dict) else None

    def _compare(self, before: Mapping[str, Any]) -> None:
        names = [*self.settings, *(name for name in before if name not in self.settings)]
        different = [
            f"{name}: {before.get(name, 'not given')} then, {self.settings.get(name, 'not given')} now"
            for name in names
            if before.get(name) != self.settings.get(name)
        ]
        if different:
            raise RunError(
                f"{self.folder} holds rows of an earlier call that were made with other settings "
                f"({'; '.join(different)}); give the settings of then, or {self._way_out()}"
            )

    def _way_out(self) -> str:
        return "start over with --fresh (fresh=True), which throws those rows away, or write to another place"

    def _cannot_write(self, error: OSError) -> OSError:
        text = (
            f"{self.folder} cannot be written ({reason_of(error)}); rows are kept there while they are made. "
            "What is there stays; make room, or see to the permissions, and call again to go on"
        )
        return retold(error, text)

    # ------------------------------------------------------------------ the lock

    def _take_lock(self) -> None:
        self._lock = take_lock(self.folder / _LOCK)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _clear(self) -> None:
        """Take away all that was written here."""
        for path in self.folder.glob("part-*.parquet"):
            path.unlink(missing_ok=True)
        (self.folder / _RUN).unlink(missing_ok=True)
        self.paths = {}

    def remove(self, *, keep_foreign: bool = False) -> None:
        """Take away the rows, when they are in their final place; the folder goes with the end of the block.

        Parameters
        ----------
        keep_foreign : bool, default=False
            Keep those of images that were not asked for.
        """
        self._waiting = []
        old = list(self.paths.values())
        frames = [self.read(number).iloc[rows] for number, rows in self.foreign.items()] if keep_foreign else []
        if not frames:
            self._clear()
            return
        self._add_part(pd.concat(frames, ignore_index=True))
        for path in old:
            path.unlink(missing_ok=True)

    # ------------------------------------------------------------------ rows in

    def add(self, positions: Sequence[int], frame: pd.DataFrame) -> None:
        """Keep some rows, those of the images at some positions."""
        self._waiting.append((positions, frame))
        self._n_waiting += len(frame)
        now = time.monotonic()
        due = max(_AT_LEAST, _SHARE * (now - self._started))
        if self._n_waiting >= _MOST_ROWS or now - self._written >= due:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a part, and note where each row is."""
        if not self._waiting:
            return
        number = self._add_part(pd.concat([frame for _, frame in self._waiting], ignore_index=True))
        positions = [position for some, _ in self._waiting for position in some]
        self.part[positions] = number
        self.row[positions] = np.arange(len(positions))
        self._waiting, self._n_waiting = [], 0
        self._written = time.monotonic()

    def _add_part(self, frame: pd.DataFrame) -> int:
        data = _to_parquet(frame)
        number = max(self.paths, default=-1) + 1
        name = f"part-{number:06d}-{zlib.crc32(data):08x}.parquet"
        self._write(name, data)
        self.paths[number] = self.folder / name
        return number

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_file(self.folder / name, data, temporary=self.temporary)
            sync_folder(self.folder)
        except OSError as error:
            raise self._cannot_write(error) from None

    # ------------------------------------------------------------------ rows out

    def _find_parts(self) -> None:
        self.paths = {}
        for path in sorted(self.folder.glob("part-*.parquet")):
            name = _PART.fullmatch(path.name)
            if name and f"{zlib.crc32(path.read_bytes()):08x}" == name[2]:
                self.paths[int(name[1])] = path
            else:
                self.tell(f"{path} is damaged or cut short; its images are measured again")
                path.unlink()

    def kept_keys(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Give the columns that tell what was measured, part by part in the order in which they were written."""
        for number in sorted(self.paths):
            yield number, self.read(number, [KEY, STAMP, MADE, "error"])

    def schema(self) -> Any:
        """Give the schema that all parts fit into."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        return pa.unify_schemas(
            [pq.read_schema(path).remove_metadata() for path in self.paths.values()], promote_options="permissive"
        )

    def read(self, number: int, columns: list[str] | None = None, schema: Any = None) -> pd.DataFrame:
        """Read a part, or some of its columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(self.paths[number], columns=columns).replace_schema_metadata()
        if schema is not None:
            for column in schema:
                if column.name not in table.column_names:  # a part of nothing but images on which a process died
                    table = table.append_column(column, pa.nulls(len(table), column.type))
            table = table.select(schema.names).cast(schema)
        frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)  # whole numbers stay such beside empty cells
        return frame


def _to_parquet(table: pd.DataFrame) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False), sink, use_dictionary=False, write_statistics=False
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def take_lock(path: Path) -> int:
    """Lock a file, which is made if need be, for this process; the handle, to be closed at the end.

    Raises
    ------
    RunError
        If another process has it.
    """
    while True:
        try:
            handle = lock_file(path)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)  # its folder was cleared in between
            continue
        if handle < 0:
            raise RunError(
                f"another process is at work in {path.parent}; wait for it, or stop it, or write to another place"
            )
        return handle
