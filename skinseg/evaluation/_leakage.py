"""Whether test images are independent of those that were learned from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._html import result_html
from ..exceptions import LeakageError
from ..images import LesionImage
from ._duplicates import find_duplicates, image_key

__all__ = ["LeakageReport", "check_leakage"]

_UNIQUE = re.compile(r"ISIC_\d{7}", re.IGNORECASE)  # one image wherever it is met; other names may be there twice
_PAIR = ("train", "test", "train_name", "test_name")
_LISTED = 5


@dataclass(frozen=True, eq=False)
class LeakageReport:
    """What `check_leakage` found between training and test images.

    Parameters
    ----------
    n_train, n_test : int
        Number of images.
    checked : tuple of str
        What was looked at, of ``"groups"``, ``"names"``, ``"pixels"`` and
        ``"list"``.
    shared_groups : DataFrame
        ``group``, and its images on both sides, ``n_train`` and ``n_test``.
    same_names : DataFrame
        ``train``, ``test`` (positions), ``train_name``, ``test_name``: the same
        file, or the same name, unless the pixels say that it is two pictures.
        A name of the ISIC archive always counts.
    identical : DataFrame
        The same columns: images of equal pixels.
    near_duplicates : DataFrame
        The same columns and ``kind``, ``transform``, ``distance``,
        ``correlation`` of `find_duplicates`.
    listed : DataFrame
        The same columns: pairs that a published list names; where it names
        only what is to be left out, ``test`` is missing.
    unread : dict of str to str
        Images whose pixels could not be compared, and why.
    """

    n_train: int
    n_test: int
    checked: tuple[str, ...]
    shared_groups: pd.DataFrame
    same_names: pd.DataFrame
    identical: pd.DataFrame
    near_duplicates: pd.DataFrame
    listed: pd.DataFrame
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was found. What was not looked at (``checked``, ``unread``) may still leak."""
        return not any(len(part) for _, part in self._parts())

    def _parts(self) -> list[tuple[str, pd.DataFrame]]:
        return [
            ("shared group", self.shared_groups),
            ("same name", self.same_names),
            ("identical", self.identical),
            ("near-duplicate", self.near_duplicates),
            ("listed", self.listed),
        ]

    def to_frame(self) -> pd.DataFrame:
        """Give all findings as one table.

        Returns
        -------
        DataFrame
            ``leak`` (what it is), then the columns of the parts, missing where
            a part has none.
        """
        parts = [part.assign(leak=leak) for leak, part in self._parts() if len(part)]
        columns = ["leak", "group", "n_train", "n_test", *_PAIR, "kind", "transform", "distance", "correlation"]
        if not parts:
            return pd.DataFrame(columns=columns)
        return pd.DataFrame([row for part in parts for row in part.to_dict("records")]).reindex(columns=columns)

    def training_images(self) -> np.ndarray:
        """Give the training images that are in a finding about images; to leave them out mends those.

        Returns
        -------
        ndarray of int
            Ascending. Shared groups are not in it.
        """
        parts = [part["train"].to_numpy(dtype=np.int64) for _, part in self._parts()[1:] if len(part)]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)

    def raise_if_any(self) -> None:
        """Raise an error if anything was found.

        Raises
        ------
        LeakageError
            A ValueError with the text of the report.
        """
        if not self.ok:
            raise LeakageError(str(self))

    def _repr_html_(self) -> str:
        return result_html(str(self), self.to_frame().dropna(axis=1, how="all"))

    def __str__(self) -> str:
        lines = [f"{self.n_train} training and {self.n_test} test images, checked: {', '.join(self.checked)}"]
        if self.ok:
            lines[0] += "; no leak found" + (" among those that were compared" if self.unread else "")
        for leak, part in self._parts():
            if len(part) == 0:
                continue
            if leak == "shared group":
                shown = [f"{row.group} ({row.n_train} + {row.n_test} images)" for row in part[:_LISTED].itertuples()]
            else:
                shown = [_line(row) for row in part[:_LISTED].to_dict("records")]
            more = ", ..." if len(part) > _LISTED else ""
            lines.append(f"  {leak}: {len(part)}: {', '.join(shown)}{more}")
        if self.unread:
            lines.append(f"  not compared, for they cannot be read: {len(self.unread)} images")
        return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    names = [
        f"{side}[{row[side]}]" if pd.isna(row[f"{side}_name"]) else Path(str(row[f"{side}_name"])).name
        for side in ("train", "test")
        if not pd.isna(row[side])
    ]
    kind = f" ({row['kind']})" if "kind" in row else ""
    return " = ".join(names) + kind


def check_leakage(
    train: Any,
    test: Any,
    *,
    train_groups: Any = None,
    test_groups: Any = None,
    images: bool = True,
    duplicates: Any = None,
    max_distance: int = 36,
    min_correlation: float = 0.8,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LeakageReport:
    """Look for lesions, files and pictures that are on both sides of a split.

    Parameters
    ----------
    train, test : sequence of images, Bunch or DataFrame
        Paths, arrays or records, see `skinseg.check_images`; or what the
        loaders of `skinseg.datasets` give (``images``, ``groups``); or a table
        with the column ``image`` and, if known, ``group``.
    train_groups, test_groups : array-like, default=None
        Lesion or patient of each image, named alike on both sides; those of
        the Bunch or table if None. Groups that only number the images, as a
        loader gives where none are known, are not compared.
    images : bool, default=True
        Whether to decode the images and look for duplicates
        (`find_duplicates`); if not, only groups, names and lists count.
    duplicates : DataFrame, default=None
        A published list, by `load_duplicate_list`, or several put together by
        `pandas.concat`. Of a list of images to leave out, those among the
        training images are told.
    max_distance : int, default=36
        As in `find_duplicates`.
    min_correlation : float, default=0.8
        As in `find_duplicates`.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    LeakageReport
        What was found; `print` it, ask ``.ok``, or let ``.raise_if_any()``
        stop a run.

    Raises
    ------
    ValueError
        If groups and images differ in number, groups are given for one side
        only, or a side holds no image.

    See Also
    --------
    check_splits : The same for the folds of a splitter.
    group_duplicates : Groups that keep duplicates together.

    Examples
    --------
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.evaluation import check_leakage
    >>> images = make_lesions(8, random_state=0).images
    >>> print(check_leakage(images[:4], images[4:]))
    4 training and 4 test images, checked: names, pixels; no leak found
    >>> report = check_leakage(images[:4], [*images[4:], images[1][::-1]])
    >>> report.ok, report.near_duplicates[["train", "test", "transform"]].values.tolist()
    (False, [[1, 4, 'mirrored top-bottom']])
    """
    sides = _Side(train, train_groups, "train"), _Side(test, test_groups, "test")
    known = [side.groups is not None for side in sides]
    if any(known) and not all(known):
        given = train_groups if known[0] else test_groups
        if given is not None:
            raise ValueError(
                f"groups are known of the {'training' if known[0] else 'test'} images only; give them for both sides"
            )
    checked = ["groups"] if all(known) else []
    unread: dict[str, str] = {}
    if images:
        table = find_duplicates(
            sides[0].images, sides[1].images, max_distance=max_distance, min_correlation=min_correlation,
            n_jobs=n_jobs, verbose=verbose,
        )  # fmt: skip
        found, attrs = _by_side(table, *sides), table.attrs
        blind = [{*attrs["errors"], *attrs["plain"]}, {*attrs["other_errors"], *attrs["other_plain"]}]
        for side, errors in zip(sides, (attrs["errors"], attrs["other_errors"]), strict=True):
            unread |= {side.names[index] or f"{side.role}[{index}]": text for index, text in errors.items()}
    else:
        found = pd.DataFrame(columns=[*_PAIR, "kind", "transform", "distance", "correlation"])
        blind = [set(range(len(side.names))) for side in sides]
    equal = found["kind"] == "identical"
    alike = set(zip(found["train"], found["test"], strict=True))
    checked += ["names", *(["pixels"] if images else []), *(["list"] if duplicates is not None else [])]
    return LeakageReport(
        n_train=len(sides[0].names),
        n_test=len(sides[1].names),
        checked=tuple(checked),
        shared_groups=_shared_groups(*sides) if all(known) else pd.DataFrame(columns=["group", "n_train", "n_test"]),
        same_names=_same_names(*sides, blind, alike),
        identical=found.loc[equal, list(_PAIR)].reset_index(drop=True),
        near_duplicates=found[~equal].reset_index(drop=True),
        listed=_listed(*sides, duplicates),
        unread=unread,
    )


def _by_side(table: pd.DataFrame, train: _Side, test: _Side) -> pd.DataFrame:
    """Put the names of the two sides in place of those of the first and the second."""
    found = table.rename(columns={"first": "train", "second": "test"}).drop(columns=["first_name", "second_name"])
    found.insert(2, "train_name", [train.names[index] for index in found["train"]])
    found.insert(3, "test_name", [test.names[index] for index in found["test"]])
    found.attrs = {}
    return found


class _Side:
    """Images of one side, their names and groups."""

    def __init__(self, data: Any, groups: Any, role: str) -> None:
        self.role = role
        if isinstance(data, Mapping):  # a Bunch is one
            if "images" not in data:
                raise ValueError(f"{role} has no entry 'images'; its entries are {sorted(map(str, data))}")
            self.images = data["images"]
            groups = data.get("groups") if groups is None else groups
        elif hasattr(data, "columns") and hasattr(data, "iloc"):
            self.images = data
            groups = data["group"] if groups is None and "group" in data.columns else groups
        elif data is None or isinstance(data, str) or not hasattr(data, "__iter__"):
            raise ValueError(f"{role} must be a list of images, a Bunch or a DataFrame, got {data!r:.80}")
        else:
            self.images = data
        self.names = _names(self.images)
        self.groups = None if groups is None else self._known(np.asarray(groups))

    def _known(self, groups: np.ndarray) -> np.ndarray | None:
        """Give groups as text; None in place of one that only numbers its image, and if all do."""
        if groups.ndim != 1 or len(groups) != len(self.names):
            raise ValueError(f"{self.role} has {len(self.names)} images and groups of the shape {groups.shape}")
        texts = np.array([_text(group) for group in groups], dtype=object)
        numbers = np.arange(len(groups))
        if groups.dtype.kind in "iu" and len(groups) > 1 and np.array_equal(groups, numbers):
            return None
        alone = texts == np.array([f"image {number}" for number in numbers], dtype=object)  # of load_lesion_table
        texts[alone] = None
        return None if all(text is None for text in texts) else texts


def _names(images: Any) -> list[str | None]:
    frame = hasattr(images, "columns") and hasattr(images, "iloc")
    if frame and "image" not in images.columns:
        raise ValueError(f"the table has no column 'image'; its columns are {list(map(str, images.columns))}")
    items = list(images["image"]) if frame else list(images)
    given = list(images["name"]) if frame and "name" in images.columns else [None] * len(items)
    return [_name(item, name) for item, name in zip(items, given, strict=True)]


def _name(item: Any, name: Any) -> str | None:
    if isinstance(item, LesionImage):
        return str(item.path) if item.path is not None else item.name
    if hasattr(item, "__fspath__") or isinstance(item, str):
        return str(item)
    return name if isinstance(name, str) else None


def _text(group: Any) -> str | None:
    """Give a group as text: numbers with a gap among them are floating, and mean the same."""
    if pd.isna(group):
        return None
    return str(int(group)) if isinstance(group, (float, np.floating)) and float(group).is_integer() else str(group)


def _shared_groups(train: _Side, test: _Side) -> pd.DataFrame:
    counts = [pd.Series(side.groups, dtype=object).dropna().value_counts() for side in (train, test)]
    both = sorted(set(counts[0].index) & set(counts[1].index))
    return pd.DataFrame(
        {"group": both, "n_train": [int(counts[0][name]) for name in both],
         "n_test": [int(counts[1][name]) for name in both]}
    )  # fmt: skip


def _same_names(train: _Side, test: _Side, blind: list[set[int]], alike: set[tuple[int, int]]) -> pd.DataFrame:
    """Pairs of one name, without those of which the pixels tell that they are two pictures."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(test.names):
        if name is not None:
            places.setdefault(image_key(name), []).append(index)
    rows = []
    for i, name in enumerate(train.names):
        for j in places.get(image_key(name), ()) if name is not None else ():
            unseen = i in blind[0] or j in blind[1]
            if unseen or (i, j) in alike or _UNIQUE.search(image_key(name)):
                rows.append((i, j, name, test.names[j]))
    return pd.DataFrame(rows, columns=list(_PAIR))


def _listed(train: _Side, test: _Side, duplicates: Any) -> pd.DataFrame:
    if duplicates is None:
        return pd.DataFrame(columns=list(_PAIR))
    if not hasattr(duplicates, "columns") or "first_name" not in duplicates.columns:
        raise ValueError("duplicates must be a table with the columns first_name and second_name (load_duplicate_list)")
    places: list[dict[str, list[int]]] = []
    for side in (train, test):
        places.append({})
        for index, name in enumerate(side.names):
            if name is not None:
                places[-1].setdefault(image_key(name), []).append(index)
    rows: set[tuple[int, int | None]] = set()
    seconds = duplicates["second_name"] if "second_name" in duplicates.columns else [None] * len(duplicates)
    for first, second in zip(duplicates["first_name"], seconds, strict=True):
        if pd.isna(second):
            rows |= {(i, None) for i in places[0].get(image_key(first), ())}
            continue
        for one, other in ((first, second), (second, first)):
            ours, theirs = places[0].get(image_key(one), ()), places[1].get(image_key(other), ())
            rows |= {(i, j) for i in ours for j in theirs}
    ordered = sorted(rows, key=lambda row: (row[0], -1 if row[1] is None else row[1]))
    table = pd.DataFrame(
        [(i, j, train.names[i], None if j is None else test.names[j]) for i, j in ordered], columns=list(_PAIR)
    )
    return table.astype({"train": np.int64, "test": "Int64"})
