"""Tables that are written some rows at a time, and appear under their name when they are complete."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from .._files import growing_file, sync_folder, writing_errors
from .._tables import table_bytes

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
        self._stack = ExitStack()
        self._parquet: Any = None

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(growing_file(self.path))
        return self

    def write(self, rows: pd.DataFrame) -> None:
        """Add some rows, with the columns of the first ones."""
        with writing_errors(self.path):
            if self.path.suffix.lower() == ".parquet":
                self._write_parquet(rows)
            else:
                separator = "\t" if self.path.suffix.lower() == ".tsv" else ","
                first = self._file.tell() == 0
                self._file.write(table_bytes(rows, separator=separator, header=first))

    def _write_parquet(self, rows: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._parquet is None:
            schema = pa.Schema.from_pandas(rows, preserve_index=False)
            for index, column in enumerate(schema):
                known = self._types.get(column.name, pa.string() if column.type == pa.null() else column.type)
                schema = schema.set(index, column.with_type(known))
            self._parquet = pq.ParquetWriter(self._file, schema)
            self._stack.push(self._close_parquet)
        self._parquet.write_table(pa.Table.from_pandas(rows, schema=self._parquet.schema, preserve_index=False))

    def _close_parquet(self, kind: type[BaseException] | None, *_: object) -> None:
        with writing_errors(self.path) if kind is None else suppress(OSError):
            self._parquet.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        sync_folder(self.path.parent)
