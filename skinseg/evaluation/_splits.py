"""Splits by lesion or patient, and what is wrong with a split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import check_random_state, check_scalar

from .._html import result_html
from .._quiet import ignored_warnings
from ..exceptions import LeakageError
from ..images import check_masks, read_mask
from ._duplicates import pair_positions

__all__ = ["SplitReport", "check_splits", "split_by_group"]

_LARGE_DIFFERENCE = 0.25  # of means, in standard deviations
_BEYOND_CHANCE = 3.0  # standard errors
_MOST_FOLDS = 20
_LISTED = 5


def split_by_group(
    target: Any,
    groups: Any,
    *,
    test_size: float = 0.2,
    random_state: int | np.random.RandomState | None = None,
    n_tries: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
    """Split images in two by whole groups, the shares of the classes as equal as that allows.

    Folds of `sklearn.model_selection.StratifiedGroupKFold` are put together
    to the test size wanted; of several seeds the one counts whose test set
    comes closest to its size and to the shares of the classes.

    Parameters
    ----------
    target : array-like of shape (n_images,)
        Classes.
    groups : array-like of shape (n_images,)
        Lesion or patient of each image (`group_duplicates` joins those of
        duplicates).
    test_size : float, default=0.2
        Share of the images that go to the test set, in (0, 1). What whole
        groups give may differ: `check_splits` tells the shares.
    random_state : int, RandomState instance or None, default=None
        Seed.
    n_tries : int, default=10
        Number of seeds that are tried, at least 1.

    Returns
    -------
    train, test : ndarray of int
        Positions, ascending; every group is in one of them.

    Raises
    ------
    ValueError
        If lengths differ, a group or class is missing, there is one class or
        one group only, or a class that a single group holds.

    See Also
    --------
    check_splits : Shares of the classes on both sides, and what is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.evaluation import split_by_group
    >>> target = np.tile([0, 0, 0, 0, 1], 40)
    >>> patients = np.arange(200) // 2
    >>> train, test = split_by_group(target, patients, random_state=0)
    >>> len(train), len(test), float(target[test].mean())
    (160, 40, 0.2)
    >>> np.intersect1d(patients[train], patients[test]).size
    0
    """
    check_scalar(n_tries, "n_tries", (int, np.integer), min_val=1)
    check_scalar(test_size, "test_size", (float, np.floating), min_val=0, max_val=1, include_boundaries="neither")
    target, groups = _known(target, "class"), _known(groups, "group")
    if len(target) != len(groups):
        raise ValueError(f"target and groups must be of one length, got {len(target)} and {len(groups)}")
    labels, names = pd.factorize(target, sort=True)
    if len(names) < 2:
        raise ValueError(f"all {len(target)} images are of the class {_shown(names[0])}; a stratified split needs two")
    group_codes = pd.factorize(groups)[0]
    n_groups = group_codes.max() + 1
    if n_groups < 2:
        raise ValueError(f"all {len(target)} images are of the group {_shown(groups[0])}; a split by groups needs two")
    held = [len(np.unique(group_codes[labels == code])) for code in range(len(names))]
    if min(held) < 2:
        raise ValueError(
            f"the class {_shown(names[int(np.argmin(held))])} is in one group only, so it cannot be on both sides; "
            "join classes, or leave it out"
        )
    # a splitter refuses more folds than the commonest class has images
    most = min(_MOST_FOLDS, int(n_groups), int(np.bincount(labels).max()))
    n_splits, n_test = _folds_for(float(test_size), most)
    generator = check_random_state(random_state)
    best: tuple[float, np.ndarray] | None = None
    for seed in generator.randint(np.iinfo(np.int32).max, size=n_tries):
        folds = _folds(labels, group_codes, n_splits, int(seed))
        test = np.sort(np.concatenate(folds[:n_test]))
        error = _imbalance(labels, test, float(test_size))
        if best is None or error < best[0]:
            best = error, test
        if error < 0.5 / len(labels):
            break
    test = best[1]  # type: ignore[index]
    if len(test) in (0, len(labels)):
        raise ValueError(
            f"{n_groups} groups cannot be split so that {test_size:.0%} of the images are in the test set; one group "
            f"holds {np.bincount(group_codes).max()} of {len(labels)} images"
        )
    return np.setdiff1d(np.arange(len(labels)), test), test


def _known(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"expected one {what} an image, got an array of shape {array.shape}")
    missing = np.flatnonzero(pd.isna(array))
    if len(missing):
        raise ValueError(
            f"{len(missing)} images have no {what} (the first is {missing[0]}); "
            + ("give each a group of its own, such as its file name" if what == "group" else "leave them out")
        )
    return array


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _folds_for(test_size: float, most: int) -> tuple[int, int]:
    """Fewest folds of which some come within half a percent of the test size, or as close as they come."""
    ways = [(n, min(max(round(test_size * n), 1), n - 1)) for n in range(2, most + 1)]
    errors = np.array([max(abs(k / n - test_size), 0.005) for n, k in ways])
    return ways[int(np.argmin(errors))]


def _folds(labels: np.ndarray, groups: np.ndarray, n_splits: int, seed: int) -> list[np.ndarray]:
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with ignored_warnings(UserWarning, "The least populated class"):
        return [test for _, test in splitter.split(np.zeros(len(labels)), labels, groups)]


def _imbalance(labels: np.ndarray, test: np.ndarray, test_size: float) -> float:
    """Mean departure from the size wanted and from the shares of the classes; a class on one side only costs 1."""
    whole, part = np.bincount(labels), np.bincount(labels[test], minlength=labels.max() + 1)
    error = np.abs(part / whole - test_size).mean() + abs(len(test) / len(labels) - test_size)
    return float(error + np.count_nonzero((part == 0) | (part == whole)))


@dataclass(frozen=True, eq=False)
class SplitReport:
    """What `check_splits` found.

    Parameters
    ----------
    table : DataFrame
        One row a fold: ``n_train``, ``n_test``; ``shared_images``,
        ``shared_groups`` and ``split_pairs``, which are leaks if above 0;
        ``missing_classes``; for each class ``train_<class>`` and
        ``test_<class>``, its shares; ``train_area`` and ``test_area``, mean
        lesion areas. Columns are there as far as they could be computed.
    problems : tuple of str
        Leaks, and classes that a side of a fold lacks.
    remarks : tuple of str
        Folds whose sides differ in their classes or lesion areas by more than
        0.25 standard deviations and three standard errors.
    """

    table: pd.DataFrame
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem; remarks do not count."""
        return not self.problems

    def to_frame(self) -> pd.DataFrame:
        """Give the table, a row a fold.

        Returns
        -------
        DataFrame
            A copy.
        """
        return self.table.copy()

    def raise_if_any(self) -> None:
        """Raise an error if there are problems.

        Raises
        ------
        LeakageError
            A ValueError that lists them.
        """
        if self.problems:
            raise LeakageError("the split cannot be used as it is:\n  " + "\n  ".join(self.problems))

    def _repr_html_(self) -> str:
        return result_html(str(self), self.table)

    def __str__(self) -> str:
        head = f"{len(self.table)} folds: " + ("no leak found" if self.ok else f"{len(self.problems)} problems")
        return "\n".join([head, *(f"  {text}" for text in (*self.problems, *self.remarks))])


def check_splits(
    cv_splits: Iterable[tuple[Any, Any]],
    groups: Any = None,
    target: Any = None,
    *,
    pairs: Any = None,
    masks: Any = None,
    areas: Any = None,
) -> SplitReport:
    """Check the folds of any splitter of scikit-learn, before anything is fitted.

    Parameters
    ----------
    cv_splits : iterable of (train, test)
        Positions, as by ``splitter.split(X, y, groups)``; a single split is
        ``[(train, test)]``.
    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image; one on both sides of a fold is a leak.
    target : array-like of shape (n_images,), default=None
        Classes; one that a side lacks is a problem, shares that differ much a
        remark.
    pairs : DataFrame or array-like of shape (n_pairs, 2), default=None
        Duplicates, as by `find_duplicates`; a pair on both sides is a leak.
    masks : sequence of masks, default=None
        Expert masks, arrays or `pathlib.Path`: mean lesion areas of the sides
        are compared. Files are sorted by their source in many data sets, so
        that splits by position differ in it.
    areas : array-like of shape (n_images,), default=None
        The same as shares of the image in [0, 1], in place of masks.

    Returns
    -------
    SplitReport
        A row a fold, the problems and the remarks.

    Raises
    ------
    ValueError
        If lengths differ, a position lies outside, or there is no fold.

    References
    ----------
    E. A. Stuart, "Matching methods for causal inference: a review and a look
    forward", Statistical Science 25 (2010) 1-21, section 4.1, after Rubin
    (2001): means of two groups that differ by less than 0.25 standard
    deviations are taken as balanced.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from skinseg.evaluation import check_splits
    >>> lesions = ["a", "a", "b", "b", "c", "c"]
    >>> print(check_splits(KFold(2).split(np.zeros(6)), lesions, [0, 1, 0, 1, 0, 1]))
    2 folds: 2 problems
      fold 0: 1 group on both sides: b
      fold 1: 1 group on both sides: b
    """
    columns: dict[str, np.ndarray] = {}
    for name, values in (("groups", groups), ("target", target), ("areas", areas)):
        if values is not None:
            what = {"groups": "group", "target": "class", "areas": "area"}[name]
            columns[name] = _known(values, what)
    if masks is not None:
        if areas is not None:
            raise ValueError("give masks or areas, not both")
        columns["areas"] = np.array([float(_pixels(mask).mean()) for mask in check_masks(masks, allow_float=True)])
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"expected one value an image in each, got the lengths {lengths}")
    if "areas" in columns:
        columns["areas"] = _areas(columns["areas"])
    total = next(iter(lengths.values()), None)
    edges = None if pairs is None else pair_positions(pairs)
    if edges is not None and len(edges) and (edges.min() < 0 or (total is not None and edges.max() >= total)):
        worst = edges.min() if edges.min() < 0 else edges.max()
        raise ValueError(
            f"pairs holds the position {worst}, " + ("below 0" if total is None else f"there are {total} images")
        )
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    remarks: list[str] = []
    if not hasattr(cv_splits, "__iter__"):
        raise ValueError(f"cv_splits must hold folds, as by splitter.split(X, y, groups), got {cv_splits!r:.80}")
    for fold, split in enumerate(cv_splits):
        if not hasattr(split, "__len__") or len(split) != 2 or np.ndim(split[0]) != 1:
            raise ValueError(
                f"fold {fold} of cv_splits must be (train, test), two arrays of positions, got {split!r:.80}; a single "
                "split is [(train, test)]"
            )
        train, test = split
        sides = _positions(train, fold, "training", total), _positions(test, fold, "test", total)
        row, bad, odd = _check_fold(sides, columns, edges)
        rows.append(row)
        problems += [f"fold {fold}: {text}" for text in bad]
        remarks += [f"fold {fold}: {text}" for text in odd]
    if not rows:
        raise ValueError("cv_splits holds no fold; a generator that was used up is empty: make a list of it")
    return SplitReport(pd.DataFrame(rows).rename_axis("fold"), tuple(problems), tuple(remarks))


def _areas(values: np.ndarray) -> np.ndarray:
    try:
        areas = values.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"areas must be shares of the image, in [0, 1]: {error}") from None
    bad = np.flatnonzero(~((areas >= 0) & (areas <= 1)))
    if len(bad):
        raise ValueError(f"areas must be shares of the image, in [0, 1], got {areas[bad[0]]} for image {bad[0]}")
    return areas


def _pixels(mask: Any) -> np.ndarray:
    return read_mask(mask) if hasattr(mask, "__fspath__") else mask


def _positions(side: Any, fold: int, name: str, total: int | None) -> np.ndarray:
    positions = np.asarray(side)
    if positions.dtype == bool:
        positions = np.flatnonzero(positions)
    if positions.ndim != 1 or len(positions) == 0 or positions.dtype.kind not in "iu":
        raise ValueError(f"the {name} side of fold {fold} must be positions of at least one image, got {side!r:.80}")
    if positions.min() < 0 or (total is not None and positions.max() >= total):
        worst = positions.min() if positions.min() < 0 else positions.max()
        raise ValueError(f"the {name} side of fold {fold} holds the position {worst}, there are {total} images")
    return np.unique(positions)


def _check_fold(
    sides: tuple[np.ndarray, np.ndarray], columns: dict[str, np.ndarray], edges: np.ndarray | None
) -> tuple[dict[str, Any], list[str], list[str]]:
    train, test = sides
    row: dict[str, Any] = {"n_train": len(train), "n_test": len(test)}
    problems: list[str] = []
    remarks: list[str] = []
    both = np.intersect1d(train, test)
    row["shared_images"] = len(both)
    if len(both):
        problems.append(f"{_count(len(both), 'image')} on both sides: {_some(both)}")
    if "groups" in columns:
        groups = columns["groups"]
        shared = np.intersect1d(groups[train].astype(str), groups[test].astype(str))
        row["shared_groups"] = len(shared)
        if len(shared):
            problems.append(f"{_count(len(shared), 'group')} on both sides: {_some(shared)}")
    if edges is not None:
        across = np.isin(edges, train), np.isin(edges, test)
        split = (across[0][:, 0] & across[1][:, 1]) | (across[0][:, 1] & across[1][:, 0])
        row["split_pairs"] = int(split.sum())
        if split.any():
            pairs = [f"{i} and {j}" for i, j in edges[split].tolist()]
            problems.append(f"{_count(len(pairs), 'pair')} of duplicates on both sides: {_some(pairs)}")
    if "target" in columns:
        _check_classes(columns["target"], sides, row, problems, remarks)
    if "areas" in columns:
        values = columns["areas"][train], columns["areas"][test]
        row["train_area"], row["test_area"] = (float(side.mean()) for side in values)
        if _differ(*values):
            remarks.append(
                f"lesions cover {row['train_area']:.1%} of the training images and {row['test_area']:.1%} of the test "
                "images on average: the sides are not alike, as when files are split in their order; shuffle them"
            )
    return row, problems, remarks


def _check_classes(
    target: np.ndarray, sides: tuple[np.ndarray, np.ndarray], row: dict[str, Any], problems: list[str],
    remarks: list[str],
) -> None:  # fmt: skip
    absent = []
    for name in pd.factorize(target, sort=True)[1]:
        is_class = [(target[side] == name).astype(float) for side in sides]
        row[f"train_{name}"], row[f"test_{name}"] = (float(side.mean()) for side in is_class)
        absent += [f"{side} has no {name}" for side, part in zip(("training", "test"), is_class, strict=True)
                   if not part.any()]  # fmt: skip
        if _differ(*is_class):
            remarks.append(
                f"class {name} is {row[f'train_{name}']:.1%} of the training and {row[f'test_{name}']:.1%} of the "
                "test images; stratify"
            )
    row["missing_classes"] = len(absent)
    problems += absent


def _differ(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether means differ by more than is taken as balanced, and by more than chance."""
    spread = np.sqrt((first.var() + second.var()) / 2)
    gap = abs(first.mean() - second.mean())
    error = np.sqrt(first.var() / len(first) + second.var() / len(second))
    return bool(gap > _LARGE_DIFFERENCE * spread and gap > _BEYOND_CHANCE * error)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _some(values: Any) -> str:
    listed = [str(value) for value in values]
    return ", ".join(listed[:_LISTED]) + (", ..." if len(listed) > _LISTED else "")
