"""Data described by a table of files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._tables import shortened, some_of
from ..exceptions import UngroupedWarning
from ._layout import read_cells

__all__ = ["load_lesion_table", "read_any_table"]

_MISSING = ("unknown", "Unknown", "UNKNOWN", "")
# columns that say which images belong together, the wider ones first
_IDS = ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "case", "case_id", "lesion", "lesion_id")


def load_lesion_table(
    path: str | os.PathLike[str],
    *,
    image_column: str = "image",
    mask_column: str | None = None,
    target_column: str | None = None,
    group_column: str | None = None,
    where: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    missing_values: Sequence[str] = _MISSING,
) -> Bunch:
    """Load a table of image files, such as a CSV, without reading the images.

    Parameters
    ----------
    path : path-like
        The table: ``.parquet``, or text with commas, semicolons or tabs.
    image_column : str, default="image"
        Column of the image files, relative to the folder of the table.
    mask_column : str, default=None
        Column of the expert's masks; None for none.
    target_column : str, default=None
        Column of the classes; None for none.
    group_column : str, default=None
        Column of the lesions or patients that images belong to, by which
        cross-validation is to be split; each image is its own group if None,
        with an `UngroupedWarning` if there is a target and a column such as
        ``lesion_id`` or ``patient_id`` in which ids repeat.
    where : mapping, default=None
        Keep only rows with these values, such as ``{"split": "training"}``.
    folder : path-like, default=None
        Folder that the files are relative to; that of the table if None.
    missing_values : sequence of str, default=("unknown", "Unknown", "UNKNOWN", "")
        Cells that mean that a value is not known; they become missing.

    Returns
    -------
    data : Bunch
        With the attributes

        images : list of Path
            The image files, as absolute paths.
        masks : list of Path or None
            The mask files; None in place of one that is not named.
        target : ndarray of shape (n_images,) or None
            The classes.
        groups : ndarray of shape (n_images,)
            The groups.
        frame : DataFrame
            The rows as they are in the table, missing values marked.
        DESCR : str
            Where the data come from.

    Raises
    ------
    FileNotFoundError
        If the table does not exist.
    ValueError
        If the table cannot be read, has no such column, no row that fits, or
        names no image, or no class, in some rows.

    Examples
    --------
    >>> import os, tempfile
    >>> import pandas as pd
    >>> from skinseg.datasets import load_lesion_table
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "lesions.csv")
    >>> pd.DataFrame(
    ...     {"image": ["a.jpg", "b.jpg"], "melanoma": [1, 0], "sex": ["unknown", "male"]}
    ... ).to_csv(path, index=False)
    >>> data = load_lesion_table(path, target_column="melanoma")
    >>> [image.name for image in data.images], data.target.tolist()
    (['a.jpg', 'b.jpg'], [1, 0])
    >>> bool(data.frame["sex"].isna()[0])
    True
    >>> folder.cleanup()
    """
    path = Path(path)
    names = [column for column in (image_column, mask_column, group_column) if column is not None]
    frame = read_any_table(path, list(missing_values), names)
    wanted = {"image": image_column, "mask": mask_column, "target": target_column, "group": group_column}
    absent = {role: column for role, column in wanted.items() if column is not None and column not in frame}
    lacking = [*absent.values(), *(column for column in (where or {}) if column not in frame)]
    if lacking:
        options = ", ".join(f"--{role}-column ({role}_column= in Python)" for role in absent)
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, lacking))}; its columns are [{some_of(frame.columns)}]"
            + (f"; name yours with {options}" if options else "")
        )
    for column, value in (where or {}).items():
        frame = frame[_equals(frame[column], value)]
    if frame.empty:
        raise ValueError(f"{path} has no row{f' with {dict(where)}' if where else ''}")
    frame = frame.reset_index(drop=True)
    for role in ("image", "target"):
        name = wanted[role]
        if name is not None and frame[name].isna().any():
            rows = (np.flatnonzero(frame[name].isna()) + 2).tolist()  # as a spreadsheet counts, below the header
            raise ValueError(f"{path} has no {role} (column {name!r}) in line(s) {rows[:10]}; complete or drop them")
    if target_column is not None and group_column is None:
        repeats = repeats_of(frame, [image_column, target_column])
        if repeats:
            warnings.warn(f"{path}: {repeats}", UngroupedWarning, stacklevel=2)
    # absolute, for workers may have been started in another folder
    base = (path.parent if folder is None else Path(folder)).absolute()
    masks = None
    if mask_column is not None:
        masks = [None if pd.isna(name) else base / str(name) for name in frame[mask_column]]
    groups = np.arange(len(frame)) if group_column is None else _fill_groups(frame[group_column])
    return Bunch(
        images=[base / str(name) for name in frame[image_column]],
        masks=masks,
        target=None if target_column is None else frame[target_column].to_numpy(),
        groups=groups,
        frame=frame,
        DESCR=f"{len(frame)} images of the table {path.name}",
    )


def repeats_of(frame: pd.DataFrame, others: Sequence[str] = ()) -> str | None:
    """Tell that ids of lesions or patients repeat; None where they do not, or where there are none.

    Parameters
    ----------
    frame : DataFrame
        A row an image.
    others : sequence of str, default=()
        Columns that are known to be something else.

    Returns
    -------
    str or None
        What is the matter, and the way out.
    """
    names = {str(column).lower(): column for column in frame.columns if column not in others}
    for column in (names[name] for name in _IDS if name in names):
        known = frame[column].dropna()
        shared = int(known.duplicated(keep=False).sum())
        if shared:
            return (
                f"ids in the column {column!r} repeat ({shared} of {len(frame)} images share theirs), and no groups "
                "are given: images that belong together may be on both sides of a fold, and scores come out too high; "
                f"give group_column={column!r} (skinseg train: --group-column {column})"
            )
    return None


def check_number_columns(frame: pd.DataFrame, columns: Sequence[str], path: object) -> None:
    """Refuse a column of numbers with a cell that is none: all of it would be taken for names of categories.

    Parameters
    ----------
    frame : DataFrame
        The rows of a table.
    columns : sequence of str
        Those that are used.
    path : object
        What the table is called.

    Raises
    ------
    ValueError
        If most of the cells of a column are numbers and some are not; the
        first of those is named.
    """
    for column in columns:
        known = frame[column].dropna()
        if pd.api.types.is_numeric_dtype(known.dtype) or not len(known):
            continue
        odd = pd.to_numeric(known, errors="coerce").isna()
        if 0 < odd.sum() < len(known) / 2:
            row = int(np.flatnonzero(frame.index == known.index[odd][0])[0]) + 1
            value = shortened(known[odd].iloc[0])
            raise ValueError(
                f"{path}: the column {column!r} holds numbers, but {value} in row {row} of those used "
                f"({int(odd.sum())} such cell(s)); correct it, or leave it empty"
            )


def read_any_table(path: Path, missing_values: list[str], texts: list[str]) -> pd.DataFrame:
    """Read a .parquet, .csv or .tsv file, of whatever separator.

    Parameters
    ----------
    path : Path
        The table.
    missing_values : list of str
        Cells that mean that nothing is known.
    texts : list of str
        Columns that are text, even where they look like numbers.

    Returns
    -------
    DataFrame
        The table.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: the table does not exist; check the path and the working folder")
    if path.suffix.lower() != ".parquet":
        kinds = dict.fromkeys(texts, str)  # an id may begin with zeros
        return read_cells(path, na_values=missing_values, dtype=kinds, low_memory=False)
    try:
        return pd.read_parquet(path).replace(missing_values, pd.NA)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: the table cannot be read ({str(error).splitlines()[0]})") from None


def _equals(column: pd.Series, value: Any) -> pd.Series:
    """Compare cells with a value that may come from a command line: as text, or as numbers where both are."""
    same = column.astype(str) == str(value)
    try:
        return same | (pd.to_numeric(column, errors="coerce") == float(value))
    except (TypeError, ValueError):
        return same


def _fill_groups(column: pd.Series) -> np.ndarray:
    """Give every image without a group one of its own."""
    alone = pd.Series([f"image {index}" for index in range(len(column))], index=column.index)
    return column.astype("object").where(column.notna(), alone).astype(str).to_numpy(dtype=object)
