"""Tables that are written some rows at a time, and appear under their name when they are complete."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from .._files import sync_folder

__all__ = ["TableWriter"]


class TableWriter:
    """Write a table as ``.csv``, ``.tsv`` or ``.parquet``, chunk by chunk, complete or not at all.

    Parameters
    ----------
    path : Path
        The file; its ending tells the form.
    types : mapping of str to pyarrow.DataType, default=()
        Of columns whose first rows may hold nothing that tells it.
    """

    def __init__(self, path: Path, types: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._types = dict(types or {})
        self._growing = path.with_name(f".{path.name}.partial")
        self._text: Any = None
        self._parquet: Any = None

    def __enter__(self) -> Self:
        try:
            self._file = open(self._growing, "wb")
        except OSError as error:
            raise self._told(error) from None
        return self

    def write(self, rows: pd.DataFrame) -> None:
        """Add some rows, with the columns of the first ones."""
        try:
            if self.path.suffix.lower() == ".parquet":
                self._write_parquet(rows)
            else:
                separator = "\t" if self.path.suffix.lower() == ".tsv" else ","
                first = self._file.tell() == 0
                self._file.write(rows.to_csv(index=False, header=first, sep=separator).encode())
        except OSError as error:
            raise self._told(error) from None

    def _write_parquet(self, rows: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._parquet is None:
            schema = pa.Schema.from_pandas(rows, preserve_index=False)
            for index, column in enumerate(schema):
                known = self._types.get(column.name, pa.string() if column.type == pa.null() else column.type)
                schema = schema.set(index, column.with_type(known))
            self._parquet = pq.ParquetWriter(self._file, schema)
        self._parquet.write_table(pa.Table.from_pandas(rows, schema=self._parquet.schema, preserve_index=False))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._parquet is not None:
                self._parquet.close()
            self._file.flush()
            if kind is None:
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self._growing, self.path)
                sync_folder(self.path.parent)
        except OSError as problem:
            if kind is None:
                raise self._told(problem) from None
        finally:
            with suppress(OSError):  # there was no room for what was left to write
                self._file.close()
            self._growing.unlink(missing_ok=True)

    def _told(self, error: OSError) -> OSError:
        told = type(error)(
            f"{self.path} cannot be written ({error.strerror or error}); make room, or see to the permissions, and "
            "call again"
        )
        told.errno = error.errno
        return told
