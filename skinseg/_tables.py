"""Tables as text: cells that no spreadsheet takes for a formula, names that come back as they were, and one reader."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from ._files import exact_floats

__all__ = ["literal", "neutral", "read_text_table", "shortened", "some_of", "table_bytes"]

# Spreadsheets take a cell for a formula by its first character, also that of a cell which a separator of theirs begins
# in the middle of one of ours (OWASP, CSV Injection); some languages have wide forms of the signs.
_SIGNS = r"=+\-@\t\r\n＝＋－＠"
_BEGINS = r"(?:\A|(?<=[,;|\t\r\n\"]))"
_FORMULA = re.compile(rf"{_BEGINS}(?=[ ']*[{_SIGNS}])")
_NEUTRAL = re.compile(rf"{_BEGINS}'(?=[ ']*[{_SIGNS}])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(,\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+\s*")
_MOST_COLUMNS = 100_000
_NO_TEXT = (
    (b"PK\x03\x04", "it is a workbook of Excel or another archive, whatever its name says", "save it as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "it is a workbook of Excel, whatever its name says", "save it as CSV in UTF-8"),
    (b"PAR1", "it is a Parquet file, whatever its name says", "let its name end in .parquet"),
    (b"\x1f\x8b", "it is packed by gzip", "unpack it"),
)


def neutral(text: str) -> str:
    """Write an apostrophe before what a spreadsheet would take for the beginning of a formula.

    Plain numbers stay as they are. `literal` gives back the text, whatever it
    was.

    Parameters
    ----------
    text : str
        What is to be in a cell.

    Returns
    -------
    str
        What is written.
    """
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub("'", text)


def literal(text: str) -> str:
    """Take away what `neutral` has put in.

    Parameters
    ----------
    text : str
        A cell as it was written.

    Returns
    -------
    str
        What it was made of.
    """
    return _NEUTRAL.sub("", text)


def _is_text(column: pd.Series) -> bool:
    return not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype))


def _each_text(column: pd.Series, change: Any) -> pd.Series:
    """Change the texts in a column, and leave what is no text in it."""
    texts = [change(str(cell)) if isinstance(cell, (str, PurePath)) else cell for cell in column]
    return pd.Series(texts, index=column.index, dtype=object)


def table_bytes(table: pd.DataFrame, *, separator: str = ",", header: bool = True) -> bytes:
    """Write a table as text in UTF-8; `read_text_table` reads all of its cells as they were.

    Cells that a spreadsheet would take for a formula are neutral, bytes of
    file names that are no UTF-8 are spelled out.

    Parameters
    ----------
    table : DataFrame
        The table, without its index.
    separator : str, default=","
        Between cells.
    header : bool, default=True
        Write the names of the columns.

    Returns
    -------
    bytes
        The text.
    """
    texts = [place for place in range(table.shape[1]) if _is_text(table.iloc[:, place])]
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    for place in texts:
        columns[place] = _each_text(columns[place], neutral)
    written = pd.concat(columns, axis=1) if columns else table
    written.columns = pd.Index([neutral(str(name)) for name in table.columns])
    # what readers that skip spaces, or take a carriage return for the end of a line, would change
    odd = any(
        isinstance(cell, str) and (cell[:1].isspace() or "\r" in cell)
        for cells in ([columns[place] for place in texts], [written.columns])
        for column in cells
        for cell in column
    )
    quoting = csv.QUOTE_NONNUMERIC if odd else csv.QUOTE_MINIMAL
    text = written.to_csv(index=False, header=header, sep=separator, quoting=quoting, lineterminator="\n")
    return text.encode("utf-8", "backslashreplace")


def read_text_table(path: str | os.PathLike[str], *, separator: str | None = None, **how: Any) -> pd.DataFrame:
    """Read a table with commas, semicolons (as Excel writes where the comma is the decimal sign) or tabs.

    Texts come back as they were before `table_bytes`; columns of numbers with
    decimal commas become numbers.

    Parameters
    ----------
    path : path-like
        The table, in UTF-8, or in UTF-16 with its mark.
    separator : str, default=None
        Between cells; that which is most frequent in the first line if None.
    **how : object
        Further parameters of `pandas.read_csv`.

    Returns
    -------
    DataFrame
        The table.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it cannot be read: the message says where and why, and the way out.
    """
    text = _decoded(path, _content(path))
    first = text[: re.search(r"[\r\n]|\Z", text).start()]  # type: ignore[union-attr]
    separator = separator or max(",;\t", key=first.count)
    if how.get("header", 0) is not None and "names" not in how:
        _check_header(path, text, separator)
    decimal = "," if separator == ";" else "."
    try:
        table = pd.read_csv(io.StringIO(text, newline=""), sep=separator, decimal=decimal, **exact_floats(), **how)
    except pd.errors.EmptyDataError:
        raise _unreadable(path, "no line has text", "write the names of the columns into the first one") from None
    except ValueError as error:  # that of pandas for what cannot be parsed is one, too
        raise _unreadable(path, *_told(error)) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise _longer(path, table.columns)
    return _literal_cells(table, how.get("dtype"))


def _unreadable(path: str | os.PathLike[str], reason: str, way_out: str) -> ValueError:
    return ValueError(f"{path}: the table cannot be read ({reason}); {way_out}")


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: the table does not exist; check the path and the working folder") from None
    except IsADirectoryError:
        raise _unreadable(path, "it is a folder", "give the file") from None
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise _unreadable(path, reason, "see to the file and its permissions") from None
    if not content:
        raise _unreadable(path, "it is empty, 0 bytes", "copy or write it again")
    return content


def _decoded(path: str | os.PathLike[str], content: bytes) -> str:
    for mark, reason, way_out in _NO_TEXT:
        if content.startswith(mark):
            raise _unreadable(path, reason, way_out)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        odd = content[error.start : error.start + 4]
        reason = f"line {line} holds bytes that are no {encoding.removesuffix('-sig').upper()}, {odd!r}"
        raise _unreadable(path, reason, "save it as CSV in UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _unreadable(path, f"line {line} holds a null character", "it is no text, or damaged; write it again")
    return text


def _check_header(path: str | os.PathLike[str], text: str, separator: str) -> None:
    limit = csv.field_size_limit()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names = next(rows, [])
    except csv.Error:
        reason = f"the first line has a cell of more than {limit:,} characters"
        raise _unreadable(path, reason, "look for a quote that is never closed") from None
    if len(names) > _MOST_COLUMNS:
        reason = f"it has {len(names):,} columns, more than {_MOST_COLUMNS:,}"
        raise _unreadable(path, reason, "give one with a row an image and a column a property")
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        there = seen.setdefault(name.strip(), place)
        if there != place and name.strip():
            reason = f"the columns {there + 1} and {place + 1} are both called {shortened(name.strip())}"
            raise _unreadable(path, reason, "rename or remove one of them")
    with suppress(csv.Error):  # of a row, pandas tells
        # pandas would take the first column for an index, and each name for the column after its own
        if len(next((row for row in rows if row), [])) > len(names) > 0 and any(names):
            raise _longer(path, names)


def _longer(path: str | os.PathLike[str], names: Iterable[object]) -> ValueError:
    listed = list(names)
    reason = f"the first row has more cells than the {len(listed)} columns, {some_of(listed)}"
    return _unreadable(path, reason, "name all columns, and quote cells that have the separator in them")


def _told(error: Exception) -> tuple[str, str]:
    text = (str(error).splitlines() or [type(error).__name__])[0]
    if "EOF inside string" in text:
        return f"a quote is opened and never closed, {text.rpartition('starting at ')[2]} below the header", "close it"
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", text):
        wanted, line, there = found.groups()
        reason = f"line {line} has {there} cells, lines before it {wanted}"
        return reason, "quote cells that have the separator in them"
    return text, "write it again as CSV in UTF-8"


def _literal_cells(table: pd.DataFrame, kinds: Any) -> pd.DataFrame:
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        if not _is_text(column) or pd.api.types.is_bool_dtype(column.dtype):
            continue
        asked_for = kinds is str or (isinstance(kinds, dict) and name in kinds)
        numbers = None if asked_for else _numbers(column)
        if numbers is not None:
            table.isetitem(place, numbers)
        elif column.map(lambda cell: isinstance(cell, str) and "'" in cell).any():
            table.isetitem(place, _each_text(column, literal).astype(column.dtype))
    if all(isinstance(name, str) for name in table.columns):
        table.columns = pd.Index([literal(name) for name in table.columns], dtype=table.columns.dtype)
    return table


def _numbers(column: pd.Series) -> pd.Series | None:
    """Read numbers that have the other decimal sign than the separator lets expect; None where that is not certain."""
    known = column.dropna()
    if all(isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()) for cell in known):
        return pd.to_numeric(column) if any("." in cell for cell in known) else None  # else an id of many digits
    commas = all(isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) for cell in known)
    if commas and not all(_THOUSANDS.fullmatch(cell) for cell in known if "," in cell):
        return pd.to_numeric(column.str.replace(",", "."))
    return None


def shortened(value: object, most: int = 60) -> str:
    """Show a value in a message, which a long one must not fill."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 20]}... ({len(text):,} characters)"


def some_of(names: Iterable[object], most: int = 20) -> str:
    """List names in a message, of many the first ones."""
    listed = list(names)
    text = ", ".join(shortened(name) for name in listed[:most])
    return text if len(listed) <= most else f"{text}, ... ({len(listed):,} in all)"
