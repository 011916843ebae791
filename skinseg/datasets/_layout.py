"""What the loaders of published data sets share: one scan of the folder, and one account of what is missing in it."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.utils import Bunch

from .._tables import read_text_table, some_of
from ..clinical import normalized_clinical
from ..exceptions import ImageReadError, MissingFilesError, MissingFilesWarning
from ..reading import IMAGE_SUFFIXES, read_image, read_mask
from ._catalog import Dataset

__all__ = [
    "FolderScan",
    "Found",
    "check_choice",
    "class_of_columns",
    "finish",
    "read_cells",
    "read_table",
    "refuse_repeated",
    "subset_of",
    "subsets_of",
]

ON_MISSING = ("warn", "raise", "ignore")
_SUBSETS = {
    "training": ("training", "train"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_LISTED = 3
_ROWS_AT_ONCE = 32
_LEFT_OUT = "Images without a file are left out, masks without one are None; all are in the attribute `missing`"
_FOREIGN = "__MACOSX"  # copies of names that macOS puts into archives

Value = TypeVar("Value")
Found = dict[str, tuple[str, str]]
"""Id in lower case -> id as it is written, absolute path."""


class _Folder(NamedTuple):
    relative: str
    tokens: tuple[str, ...]
    names: list[str]


class FolderScan:
    """The files of a folder and all below, listed once.

    Parameters
    ----------
    folder : path-like
        The folder.
    dataset : Dataset
        What is looked for in it.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str], dataset: Dataset) -> None:
        self.root = Path(folder).expanduser().absolute()
        self.dataset = dataset
        if not self.root.is_dir():
            kind = "is a file" if self.root.exists() else "does not exist"
            raise FileNotFoundError(
                f"{folder}: the folder of {dataset.name} {kind}; give the folder that holds what was unpacked of "
                f"{dataset.home}"
            )
        self._folders = list(_walk(self.root))
        self._tables: dict[str, list[str]] = {}
        for place in sorted(self._folders, key=_depth):
            for name in sorted(place.names):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in (".csv", ".txt", ".tab", ".tsv", ".xlsx", ""):
                    self._tables.setdefault(_plain(stem), []).append(os.path.join(place.relative, name))

    def table(self, *stems: str, suffix: str | None = None) -> Path | None:
        """Find a table by its name without ending, whatever its case and its hyphens.

        Parameters
        ----------
        *stems : str
            Names, the preferred ones first.
        suffix : str, default=None
            Only with this ending.

        Returns
        -------
        Path or None
            The table nearest to the top of the folder.
        """
        for stem in stems:
            for relative in self._tables.get(_plain(stem), ()):
                if suffix is None or relative.lower().endswith(suffix):
                    return self.root / relative
        return None

    def pick(self, pattern: str, rank: Callable[[tuple[str, ...]], int | None] | None = None) -> Found:
        """Find the images, or masks, whose name without ending fits.

        Parameters
        ----------
        pattern : str
            Regular expression of the whole name in lower case, with a group
            ``id``.
        rank : callable, default=None
            Gives, from the words in the names of the folders, which folder is
            preferred (the smallest number) where several have the same file;
            None to leave a folder out. The one nearest to the top if None.

        Returns
        -------
        Found
            The files.
        """
        match = re.compile(pattern).fullmatch
        ranked = [(0 if rank is None else rank(place.tokens), _depth(place), place) for place in self._folders]
        found: Found = {}
        for _, _, place in sorted((entry for entry in ranked if entry[0] is not None), key=lambda entry: entry[:2]):
            base = os.path.join(self.root, place.relative)
            for name in sorted(place.names):
                stem, suffix = os.path.splitext(name)
                hit = match(stem.lower()) if suffix.lower() in IMAGE_SUFFIXES else None
                if hit:
                    found.setdefault(hit["id"], (stem[: hit.end("id")], os.path.join(base, name)))
        return found

    def fail(self, wanted: str) -> NoReturn:
        """Say that the folder is a wrong one.

        Parameters
        ----------
        wanted : str
            What was looked for.

        Raises
        ------
        FileNotFoundError
            With what was looked for and what is there.
        """
        counts = Counter({name: 0 for name in os.listdir(self.root) if not name.startswith(".")})
        for place in self._folders:
            if place.relative:
                counts[place.relative.split(os.sep)[0]] += len(place.names)
        entries = [
            f"{name}{os.sep} ({counts[name]} files)" if (self.root / name).is_dir() else name for name in sorted(counts)
        ]
        there = ", ".join(entries[:10]) + (f" and {len(entries) - 10} more" if len(entries) > 10 else "")
        names = [name for place in self._folders for name in place.names]
        packed = sorted(name for name in names if name.lower().endswith((".zip", ".rar", ".tar", ".gz")))
        hint = f"; unpack {', '.join(packed[:5])} first" if packed else ""
        if any(name.lower().endswith(".dcm") for name in names):
            hint += "; DICOM files are not read, take the JPEG archives"
        raise FileNotFoundError(
            f"{self.root} does not hold {self.dataset.name} ({self.dataset.title}). Looked for, in it and below: "
            f"{wanted}. There is: {there or 'nothing'}{hint}. The files come from {self.dataset.home}; what is "
            "in another layout is loaded by a table that names the files, with load_lesion_table"
        )


def _walk(root: Path) -> Iterable[_Folder]:
    """List each folder once, under its own name rather than a link's; links are followed, hidden files left out."""
    outer = _words(root.name)
    published = (
        outer and outer[0].startswith(("isic", "isbi")) and {"data", "input", "jpeg", "groundtruth"} & set(outer)
    )
    if not published:  # the folder's name is the user's own, and tells nothing
        outer = ()
    seen = set()
    todo = deque([""])
    while todo:
        relative = todo.popleft()
        path = os.path.join(root, relative)
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        names = []
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == _FOREIGN:
                    continue
                if entry.is_dir():
                    add = todo.append if entry.is_symlink() else todo.appendleft
                    add(os.path.join(relative, entry.name))
                else:
                    names.append(entry.name)
        yield _Folder(relative, outer + _words(relative), names)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split("[^a-z0-9]+", text.lower()) if word)


def _plain(stem: str) -> str:
    return "".join(_words(stem))


def _depth(place: _Folder) -> tuple[int, str]:
    return place.relative.count(os.sep) + bool(place.relative), place.relative


def subset_of(tokens: Sequence[str]) -> str | None:
    """Tell to which subset of a challenge a folder belongs.

    Parameters
    ----------
    tokens : sequence of str
        The words in the names of the folder and of those above it.

    Returns
    -------
    str or None
        ``"training"``, ``"validation"`` or ``"test"``, by the innermost name
        that says so.
    """
    for token in reversed(tokens):
        for subset, names in _SUBSETS.items():
            if token in names:
                return subset
    return None


def check_choice(**given: tuple[Any, Sequence[str]]) -> None:
    """Refuse values that a parameter cannot have.

    Parameters
    ----------
    **given : (value, choices)
        By the name of the parameter.

    Raises
    ------
    ValueError
        With the choices.
    """
    for name, (value, choices) in given.items():
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def subsets_of(subset: str, there: Mapping[str, Value]) -> dict[str, Value]:
    """Give the subsets that are meant.

    Parameters
    ----------
    subset : str
        One of them, or ``"all"``.
    there : mapping of str to object
        Those that the data set has, with what is known of each.

    Returns
    -------
    dict
        The part of ``there`` that is meant.

    Raises
    ------
    ValueError
        If there is no such subset.
    """
    check_choice(subset=(subset, (*there, "all")))
    return dict(there) if subset == "all" else {subset: there[subset]}


def read_cells(path: Path, **how: Any) -> pd.DataFrame:
    """Read a table with commas, semicolons (as Excel writes where the comma is the decimal sign) or tabs.

    Parameters
    ----------
    path : Path
        The table.
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
        If it cannot be read.
    """
    return read_text_table(path, skipinitialspace=True, **how)


def refuse_repeated(ids: pd.Series, path: Path) -> None:
    """Refuse a table that has an image twice.

    Parameters
    ----------
    ids : Series of str
        The images.
    path : Path
        The table.

    Raises
    ------
    ValueError
        With those that are there twice.
    """
    repeated = ids[ids.duplicated()].tolist()
    if repeated:
        raise ValueError(f"{path}: {len(repeated)} id(s) are there twice ({', '.join(repeated[:5])})")


def read_table(path: Path, columns: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Read a table of images; cells stay as they are.

    Parameters
    ----------
    path : Path
        The table.
    columns : mapping of str to sequence of str, default=None
        Columns that must be there, and the names that they may have (in any
        case); the first is the id.

    Returns
    -------
    DataFrame
        With those columns under the names of the mapping.

    Raises
    ------
    ValueError
        If it cannot be read, has no such column, no row, or an id twice.
    """
    table = read_cells(path, low_memory=False)
    lower = {str(column).strip().lower(): column for column in table.columns}
    for name, choices in (columns or {}).items():
        given = next((lower[choice.lower()] for choice in choices if choice.lower() in lower), None)
        if given is None:
            raise ValueError(f"{path} has no column {' or '.join(choices)}; its columns are [{some_of(table.columns)}]")
        table = table.rename(columns={given: name})
    if columns:
        key = next(iter(columns))
        table = table[table[key].notna()].reset_index(drop=True)
        table[key] = table[key].astype(str).str.strip()
        refuse_repeated(table[key], path)
    if table.empty:
        raise ValueError(f"{path} has no row")
    return table


def class_of_columns(table: pd.DataFrame, names: Sequence[str], path: Path) -> pd.Series:
    """Read the class of each row from columns of 0 and 1.

    Parameters
    ----------
    table : DataFrame
        With ``image_id`` and the columns.
    names : sequence of str
        The columns, which are the names of the classes.
    path : Path
        Where the table comes from.

    Returns
    -------
    Series of str
        The classes.

    Raises
    ------
    ValueError
        If a row has not exactly one.
    """
    marks = table[list(names)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = ~((marks == 1).sum(axis=1) == 1)
    if wrong.any():
        rows = ", ".join(table["image_id"][wrong][:5])
        raise ValueError(f"{path}: {wrong.sum()} row(s) have not exactly one 1 in {', '.join(names)} ({rows})")
    return pd.Series(np.array(names, dtype=object)[(marks == 1).argmax(axis=1)], index=table.index, dtype=object)


def _problem_of_size(path: str | None) -> str | None:
    if path is None:
        return "missing"
    try:
        return None if os.stat(path).st_size else "empty (0 bytes)"
    except FileNotFoundError:
        return "missing (a link to nothing)"
    except OSError as error:
        return f"cannot be opened ({error.strerror})"


def _problems_of_row(files: Mapping[str, str]) -> dict[str, str]:
    """Decode the files of one image in full and compare their sizes."""
    problems: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for kind, path in files.items():
        try:
            read = read_mask if kind == "mask" or kind.startswith("attribute") else read_image
            shapes[kind] = read(path).shape[:2]
        except ImageReadError as error:
            problems[kind] = error.reason
        else:
            (h, w), (height, width) = shapes[kind], shapes.get("image", shapes[kind])
            if (h, w) != (height, width):
                problems[kind] = f"is {w} x {h} pixels, its image {width} x {height}"
    return problems


def _problems_of_rows(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [_problems_of_row(files) for files in rows]


def _find_problems(
    files: Mapping[str, Sequence[str | None]], optional: Sequence[str], verify: bool, n_jobs: int | None
) -> list[tuple[int, str, str]]:
    """List row, kind and what is wrong with each file."""
    wanted = {
        (row, kind): path
        for kind, paths in files.items()
        for row, path in enumerate(paths)
        if path is not None or kind not in optional
    }
    bad = {key: problem for key, path in wanted.items() if (problem := _problem_of_size(path)) is not None}
    if verify:
        n_rows = len(files["image"])
        rows: list[dict[str, str]] = [{} for _ in range(n_rows)]
        for (row, kind), path in wanted.items():
            if (row, kind) not in bad:
                rows[row][kind] = str(path)
        batches = [rows[start : start + _ROWS_AT_ONCE] for start in range(0, n_rows, _ROWS_AT_ONCE)]
        parts = Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(_problems_of_rows)(batch) for batch in batches)
        found = enumerate(problems for part in parts for problems in part)
        bad |= {(row, kind): text for row, problems in found for kind, text in problems.items()}
    return [
        (row, kind, bad[row, kind]) for row, kind in sorted(bad, key=lambda key: (key[0], list(files).index(key[1])))
    ]


def _tell(dataset: Dataset, missing: pd.DataFrame, files: Mapping[str, Sequence[str | None]]) -> str:
    counts = [
        f"{(missing['kind'] == kind).sum():,} of {len(paths):,} {kind} files"
        for kind, paths in files.items()
        if (missing["kind"] == kind).any()
    ]
    first = "; ".join(f"{os.path.basename(row.file)}: {row.problem}" for row in missing[:_LISTED].itertuples())
    return f"{dataset.name}: {', '.join(counts)} cannot be used (first: {first})"


def finish(
    scan: FolderScan,
    frame: pd.DataFrame,
    files: Mapping[str, Sequence[str | None]],
    names: Mapping[str, str],
    *,
    target_names: Sequence[str] | None,
    on_missing: str,
    verify: bool,
    n_jobs: int | None,
    published: Mapping[str, int],
    notes: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Bunch:
    """Check the files, and put everything into a Bunch.

    Parameters
    ----------
    scan : FolderScan
        The folder.
    frame : DataFrame
        A row an image: ``image_id``, ``subset``, ``_target``, ``_group``, and
        the columns as published.
    files : mapping of str to sequence of str or None
        For ``image``, ``mask`` and other kinds of files the paths, one a row.
    names : mapping of str to str
        How the files of each kind are called, with ``{}`` for the id.
    target_names : sequence of str or None
        The classes.
    on_missing, verify, n_jobs : object
        See the loaders.
    published : mapping of str to int
        How many images each subset has that is meant.
    notes : sequence of str, default=()
        More lines for ``DESCR``.
    optional : sequence of str, default=()
        Kinds of files that not every image has.

    Returns
    -------
    Bunch
        See the loaders.

    Raises
    ------
    MissingFilesError
        If files are missing and that is to be an error, or if no image is
        there at all.
    """
    check_choice(on_missing=(on_missing, ON_MISSING))
    dataset = scan.dataset
    bad = _find_problems(files, optional, verify, n_jobs)
    ids = frame["image_id"].tolist()
    missing = pd.DataFrame(
        {
            "item": [ids[row] for row, _, _ in bad],
            "kind": [kind for _, kind, _ in bad],
            "file": [files[kind][row] or names[kind].format(ids[row]) for row, kind, _ in bad],
            "problem": [problem for _, _, problem in bad],
        },
        dtype=object,
    )
    kept: dict[str, list[str | None]] = {kind: list(paths) for kind, paths in files.items()}
    for row, kind, _ in bad:
        kept[kind][row] = None
    usable = np.array([path is not None for path in kept["image"]], dtype=bool)
    if len(missing) and (on_missing == "raise" or not usable.any()):
        text = f"{_tell(dataset, missing, files)}. Download or unpack those files again"
        more = f", or load without them: on_missing='ignore'. {_LEFT_OUT}"
        none = f"{scan.root} has no image that can be used. "
        raise MissingFilesError(text + more if usable.any() else none + text, missing)
    if len(missing) and on_missing == "warn":
        text = f"{_tell(dataset, missing, files)}. {_LEFT_OUT}"
        more = "; download or unpack those files again, or load with on_missing='ignore'"
        warnings.warn(text + more, MissingFilesWarning, stacklevel=3)

    clinical = normalized_clinical(frame)
    columns = {kind: pd.Series([p and Path(p) for p in paths], dtype=object) for kind, paths in kept.items()}
    twins = [column for column in frame if column not in clinical and str(column).lower() in clinical]
    frame = frame.drop(columns=twins)  # such as SEX beside sex, which would be one column too many for the models
    front = ["image_id", *columns, "subset", *clinical]
    frame = frame.assign(**columns, **{name: clinical[name] for name in clinical})
    frame = frame[front + [column for column in frame.columns if column not in front]]
    frame = frame[usable].reset_index(drop=True)
    target, group = frame.pop("_target"), frame.pop("_group")
    counts = frame["subset"].value_counts()
    lines = [f"{name}: {counts.get(name, 0):,} images of {number:,} published" for name, number in published.items()]
    return Bunch(
        images=frame["image"].tolist(),
        masks=frame["mask"].tolist() if "mask" in columns else None,
        target=_as_target(target),
        target_names=None if target_names is None else np.array(target_names, dtype=object),
        groups=group.astype(object).where(group.notna(), frame["image_id"]).astype(str).to_numpy(dtype=object),
        frame=frame,
        missing=missing,
        DESCR="\n".join([dataset.describe(), *lines, *notes]),
    )


def _as_target(values: pd.Series) -> np.ndarray | None:
    """Give whole numbers or names; NaN or None only where some images have no class and others do."""
    if values.isna().all():
        return None
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().sum() == values.notna().sum():
        return numbers.to_numpy(float if numbers.isna().any() else int)
    return values.astype(object).where(values.notna(), None).to_numpy(dtype=object)
