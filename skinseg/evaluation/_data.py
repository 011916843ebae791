"""The images of an experiment: from a table or from what a loader gives, with names, groups and hashes."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from .._quiet import ignored_warnings
from ..datasets import load_lesion_table
from ..datasets._table import _equals, _fill_groups, repeats_of
from ..exceptions import UngroupedWarning
from ..images import LesionImage
from ..masks import as_mask
from ..outlining import split_readable

__all__ = ["ExperimentData", "Fold", "load_data", "make_folds"]


@dataclass
class Fold:
    """A part of the images that is tested by models fitted on another part.

    Parameters
    ----------
    name : str
        For the table.
    train, test : ndarray of int
        Positions; no training images where models are used as they are.
    """

    name: str
    train: np.ndarray
    test: np.ndarray


@dataclass
class ExperimentData:
    """Images with what is known of them.

    Parameters
    ----------
    names : list of str
        Of the images, each once.
    images, masks : list
        Paths or arrays; None in place of a mask that is not there.
    target : ndarray or None
        The classes.
    groups : ndarray
        Lesion or patient of each image.
    frame : DataFrame
        All that the table says.
    description : str
        What the data are.
    grouped : bool
        Whether the groups were given.
    notes : list of str
        What is to be said of them.
    """

    names: list[str]
    images: list[Any]
    masks: list[Any]
    target: np.ndarray | None
    groups: np.ndarray
    frame: pd.DataFrame
    description: str
    grouped: bool
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: Any) -> ExperimentData:
        """Give some of the images."""
        index = np.asarray(positions, dtype=int)
        return replace(
            self,
            names=[self.names[i] for i in index],
            images=[self.images[i] for i in index],
            masks=[self.masks[i] for i in index],
            target=None if self.target is None else self.target[index],
            groups=self.groups[index],
            frame=self.frame.iloc[index].reset_index(drop=True),
        )

    def records(self) -> tuple[list[LesionImage | None], dict[int, str], dict[int, str]]:
        """Give the images as records with their expert masks.

        Returns
        -------
        records, errors, missing : list, dict, dict
            A record an image, None where it cannot be used; why; and why an
            image has no expert mask.
        """
        missing: dict[int, str] = {}
        extras: list[dict[str, Any]] = []
        for index, mask in enumerate(self.masks):
            extras.append({"name": self.names[index]})
            text = _fault_of(mask)
            if text is None:
                extras[-1]["reference_mask"] = mask
            else:
                missing[index] = text
        positions, found, errors = split_readable(self.images, extras)
        records: list[LesionImage | None] = [None] * len(self)
        for position, record in zip(positions, found, strict=True):
            records[position] = record
        return records, errors, missing

    def file_hashes(self) -> pd.DataFrame:
        """SHA-256 of the files of images and masks; of arrays, of their bytes."""
        return pd.DataFrame(
            {
                "image_sha256": [_hash_of(image) for image in self.images],
                "mask_sha256": [_hash_of(mask) for mask in self.masks],
            }
        )


def _fault_of(mask: Any) -> str | None:
    """Tell why an expert mask cannot be used; its size is compared with the image later, when both are decoded."""
    if mask is None:
        return "none is named"
    if isinstance(mask, Path):
        return None if mask.is_file() else f"{mask.name}: the file does not exist"
    try:
        as_mask(mask, allow_float=True)
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _hash_of(item: Any) -> str:
    if item is None:
        return ""
    if isinstance(item, Path):
        if not item.is_file():
            return ""
        with item.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    array = np.ascontiguousarray(item)
    return hashlib.sha256(f"{array.shape}{array.dtype}".encode() + array.tobytes()).hexdigest()


def reference_of(record: LesionImage) -> np.ndarray | None:
    """Read the expert mask of a record as bool, in the frame of its file; None where there is none."""
    if not record.has("reference_mask"):
        return None
    plane = record.origin_plane("reference_mask")
    return plane if plane.dtype == bool else plane >= 0.5


def load_data(
    data: Any,
    *,
    image_column: str = "image",
    mask_column: str | None = None,
    target_column: str | None = None,
    group_column: str | None = None,
    where: Mapping[str, Any] | None = None,
) -> ExperimentData:
    """Load the images of an experiment.

    Parameters
    ----------
    data : path-like or Bunch
        A table of files, see `skinseg.datasets.load_lesion_table`; or what a
        loader gives: ``images``, and where known ``masks``, ``target``,
        ``groups``, ``frame``, ``DESCR``.
    image_column, mask_column, target_column, group_column : str
        Columns of the table, or of the frame of the Bunch, where they replace
        its own masks, target and groups.
    where : mapping, default=None
        Use only rows with these values.

    Returns
    -------
    ExperimentData
        The images.

    Warns
    -----
    UngroupedWarning
        If ids of lesions or patients repeat and no groups are given.
    """
    if isinstance(data, (str, os.PathLike)):
        with ignored_warnings(UngroupedWarning):  # told below, also without a target
            loaded = load_lesion_table(
                data, image_column=image_column, mask_column=mask_column, target_column=target_column,
                group_column=group_column, where=where,
            )  # fmt: skip
        base = Path(os.path.abspath(Path(data).parent))
        names = _names_of(loaded.images, base)
        grouped, description = group_column is not None, loaded.DESCR
    else:
        loaded, grouped = _from_bunch(data, mask_column, target_column, group_column, where)
        names = _names_of(loaded.images, None)
        description = str(loaded.DESCR)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{len(repeated)} image(s) are there more than once ({', '.join(repeated[:5])}); keep one row an image"
        )
    notes = []
    others = [column for column in (image_column, target_column) if column is not None]
    repeats = None if grouped else repeats_of(loaded.frame, others)
    if repeats:
        warnings.warn(repeats, UngroupedWarning, stacklevel=3)
        notes.append(f"Warning: {repeats}.")
    absent = getattr(data, "missing", None)
    if absent is not None and len(absent):
        listed = ", ".join(map(str, absent["item"].unique()[:10]))
        notes.append(f"{len(absent)} files of the data set are missing or cannot be used (of {listed}).")
    masks = loaded.masks if loaded.masks is not None else [None] * len(names)
    return ExperimentData(
        names, list(loaded.images), list(masks), loaded.target, np.asarray(loaded.groups), loaded.frame,
        description, grouped, notes,
    )  # fmt: skip


def _names_of(images: list[Any], base: Path | None) -> list[str]:
    """Name images by their file without its ending; with the folder where that is not enough."""
    stems = [item.stem if isinstance(item, Path) else f"image_{index:05d}" for index, item in enumerate(images)]
    paths = {index: Path(os.path.normpath(item)) for index, item in enumerate(images) if isinstance(item, Path)}
    counts = Counter(path.stem for path in set(paths.values()))
    if all(count == 1 for count in counts.values()):
        return stems
    if base is None or not all(path.is_relative_to(base) for path in paths.values()):
        base = Path(os.path.commonpath([path.parent for path in paths.values()]))  # no name of a machine or user
    for index, path in paths.items():
        if counts[stems[index]] > 1:
            stems[index] = "-".join(path.relative_to(base).with_suffix("").parts)
    return stems


def _from_bunch(
    data: Any, mask_column: str | None, target_column: str | None, group_column: str | None, where: Any
) -> tuple[Any, bool]:
    from sklearn.utils import Bunch

    images = getattr(data, "images", None)
    if images is None:
        raise TypeError(
            "data must be the path of a table, or a Bunch with `images` as the loaders of skinseg.datasets give it, "
            f"got {type(data).__name__}"
        )
    images = [Path(item).absolute() if isinstance(item, (str, os.PathLike)) else item for item in images]
    given = getattr(data, "frame", None)
    frame = pd.DataFrame(index=range(len(images))) if given is None else given.reset_index(drop=True)
    wanted = [column for column in (mask_column, target_column, group_column, *(where or {})) if column is not None]
    absent = [column for column in wanted if column not in frame]
    if absent:
        raise ValueError(
            f"the data have no column {', '.join(map(repr, absent))}; their columns are {list(frame.columns)}"
        )
    masks, target, groups = (getattr(data, name, None) for name in ("masks", "target", "groups"))
    if mask_column is not None:
        masks = [None if pd.isna(name) else Path(str(name)).absolute() for name in frame[mask_column]]
    if target_column is not None:
        target = frame[target_column].to_numpy()
    numbers = np.arange(len(images))  # which a loader gives where no groups are known
    grouped = group_column is not None or (groups is not None and not np.array_equal(np.asarray(groups), numbers))
    if group_column is not None:
        groups = _fill_groups(frame[group_column])
    groups = np.asarray(groups) if grouped else numbers
    keep = np.ones(len(images), bool)
    for column, value in (where or {}).items():
        keep &= _equals(frame[column], value).to_numpy(bool)
    if not keep.any():
        raise ValueError(f"no image has {dict(where or {})}")
    index = np.flatnonzero(keep)
    return Bunch(
        images=[images[i] for i in index],
        masks=None if masks is None else [_path_or_array(masks[i]) for i in index],
        target=None if target is None else np.asarray(target)[index],
        groups=groups[index] if grouped else np.arange(len(index)),
        frame=frame.iloc[index].reset_index(drop=True),
        DESCR=(getattr(data, "DESCR", None) or f"{len(index)} images").split("\n")[0],
    ), grouped


def _path_or_array(mask: Any) -> Any:
    return Path(mask).absolute() if isinstance(mask, (str, os.PathLike)) else mask


def make_folds(
    data: ExperimentData,
    *,
    labels: np.ndarray | None,
    folds: int | None,
    split_column: str | None,
    train: str,
    test: str,
    seed: int,
) -> list[Fold]:
    """Cut the images into what is fitted on and what is tested.

    Parameters
    ----------
    data : ExperimentData
        The images.
    labels : ndarray or None
        By which folds are stratified.
    folds : int or None
        Number of folds.
    split_column : str or None
        Column that says what is for training and what for testing.
    train, test : str
        Its values for them.
    seed : int
        Seed of the folds.

    Returns
    -------
    list of Fold
        One that trains nothing, if neither folds nor a column is given.
    """
    everything = np.arange(len(data))
    if folds is not None and split_column is not None:
        raise ValueError("choose either folds or a column with the split, not both")
    if split_column is not None:
        if split_column not in data.frame:
            raise ValueError(f"the data have no column {split_column!r} (split)")
        column = data.frame[split_column]
        parts = [everything[_equals(column, value).to_numpy(bool)] for value in (train, test)]
        for value, part in zip((train, test), parts, strict=True):
            if not len(part):
                known = ", ".join(map(repr, column.dropna().astype(str).unique()[:8]))
                raise ValueError(f"no image has {value!r} in the column {split_column!r}, which holds {known}")
        return [Fold("test", *parts)]
    if folds is None:
        return [Fold("all", everything[:0], everything)]
    groups = data.groups.astype(str)  # as they are kept, so that a rerun cuts the same folds
    n_groups = len(np.unique(groups))
    if folds < 2 or n_groups < folds:
        raise ValueError(
            f"{folds} folds need as many groups and at least 2, and the {len(data)} images belong to {n_groups}; use "
            "fewer folds, or add images of other groups"
        )
    strata = np.zeros(len(data), int) if labels is None else labels
    if labels is not None and np.bincount(np.unique(labels, return_inverse=True)[1]).min() < folds:
        raise ValueError(f"a class has fewer images than the {folds} folds; use fewer folds, or add images of it")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return [
        Fold(str(number), learn, check)
        for number, (learn, check) in enumerate(splitter.split(everything, strata, groups), 1)
    ]
