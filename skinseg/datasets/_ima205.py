"""The challenge of the course IMA205 of Télécom Paris, in its two layouts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._docs import fill_doc
from ..reading import IMAGE_SUFFIXES
from ._catalog import CATALOG
from ._layout import FolderScan, check_choice, finish, read_table, subsets_of

__all__ = ["load_ima205"]

CLASSES_2024 = (
    "melanoma", "melanocytic nevus", "basal cell carcinoma", "actinic keratosis", "benign keratosis", "dermatofibroma",
    "vascular lesion", "squamous cell carcinoma",
)  # fmt: skip
_GROUPS = ("lesion_id", "lesion", "patient_id", "patient", "group")  # no edition has them; they are used if one will
_MASK_FOLDER = re.compile("mask|segment|ground|truth")


class _Edition(NamedTuple):
    tables: dict[str, str]
    id: str
    label: str
    codes: tuple[int, ...]


_EDITIONS = {
    "2019": _Edition({"training": "train", "test": "test"}, "ImageId", "Malignant", (0, 1)),
    "2024": _Edition({"training": "metadataTrain", "test": "metadataTest"}, "ID", "CLASS", tuple(range(1, 9))),
}


@fill_doc()
def load_ima205(
    folder: str | os.PathLike[str],
    *,
    edition: str = "auto",
    subset: str = "training",
    target: str = "diagnosis",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load the IMA205 challenge of Télécom Paris from its folder.

    Parameters
    ----------
    folder : path-like
        2019: with ``train.csv`` (ImageId, Malignant), ``test.csv`` (ImageId) and
        ``im/<ImageId>.jpg``, ``im/<ImageId>_segmentation.jpg``. 2022 and 2024:
        with ``metadataTrain.csv`` (ID, CLASS, SEX, AGE, POSITION),
        ``metadataTest.csv`` (the same without CLASS), ``Train/Train/<ID>.jpg``,
        ``Test/Test/<ID>.jpg`` and, for some images, ``<ID>_seg.png``. In it or
        below, in any case. Without a second table the rows of the first that have
        no class are those to be predicted.
    edition : {"auto", "2019", "2024"}, default="auto"
        Which layout; by the tables that are there if "auto". 2024 is also that
        of 2022.
    subset : {"training", "test", "all"}, default="training"
        The images with classes, those to be predicted, or both. Classes in the
        table of the test images are placeholders and not read.
    target : {"diagnosis", "melanoma"}, default="diagnosis"
        2019: 0, benign, and 1, malignant, either way. 2024: the numbers 1 to 8
        of the classes, as they are handed in, and ``target_names`` in that
        order; or 1 for melanoma and 0 for others.
    %(loading)s

    Returns
    -------
    %(loaded)s

        edition : str
            Which one it is.

    Raises
    ------
    FileNotFoundError
        If the folder has no table of that edition.
    ValueError
        If it has the tables of both editions and ``edition`` is "auto", or a
        class that the edition does not have.

    See Also
    --------
    load_isic2019 : Where the images of 2022 and 2024 come from, with lesions.

    Notes
    -----
    No edition tells which images show the same lesion, although many of 2022
    and 2024 do: each image is its own group, and scores on random folds come
    out too high. A column ``lesion_id`` or ``patient_id`` is used where there is
    one. Not every image of 2024 has a mask; those without are not listed in
    ``missing``.

    References
    ----------
    .. [1] Classes and files:
       https://www.kaggle.com/competitions/ima205-challenge-2024/overview

    Examples
    --------
    >>> from skinseg.datasets import load_ima205
    >>> data = load_ima205("ima205-challenge-2024")  # doctest: +SKIP
    >>> data.edition, data.target_names[0]  # doctest: +SKIP
    ('2024', 'melanoma')
    """
    check_choice(edition=(edition, ("auto", *_EDITIONS)), target=(target, ("diagnosis", "melanoma")))
    scan = FolderScan(folder, CATALOG["ima205"])
    year = _find_edition(scan, edition)
    layout = _EDITIONS[year]
    tables = {name: scan.table(stem, suffix=".csv") for name, stem in layout.tables.items()}
    # one table may hold both parts: rows without a class are then those to be predicted
    whole = tables["test"] is None
    subsets = subsets_of(subset, layout.tables)
    parts = [
        _read(path, name, year, whole)
        for name, path in tables.items()
        if path is not None and (name in subsets or whole)
    ]
    frame = pd.concat([part[part["subset"].isin(subsets)] for part in parts] or [pd.DataFrame()], ignore_index=True)
    if frame.empty:
        scan.fail(f"{layout.tables[subset]}.csv with the column {layout.id}")
    repeated = frame["image_id"][frame["image_id"].str.lower().duplicated()].tolist()
    if repeated:
        raise ValueError(f"{len(repeated)} image(s) are to be learned and predicted, too ({', '.join(repeated[:5])})")
    if target == "melanoma" and year == "2024":
        known = frame["_target"].notna()
        frame["_target"] = (frame["_target"] == 1).astype(int).astype(object).where(known, None)
    names = ("benign", "malignant") if year == "2019" else ("other", "melanoma")
    data = finish(
        scan,
        frame,
        _find_files(scan, frame),
        {"image": "{}.jpg", "mask": "{}_segmentation.jpg" if year == "2019" else "{}_seg.png"},
        target_names=CLASSES_2024 if year == "2024" and target == "diagnosis" else names,
        on_missing=on_missing,
        verify=verify,
        n_jobs=n_jobs,
        published={},
        notes=[f"edition of {year}: {len(frame):,} images in the tables"],
        optional=("mask",) if year == "2024" else (),
    )
    data.edition = year
    return data


def _find_edition(scan: FolderScan, edition: str) -> str:
    there = []
    for name, layout in _EDITIONS.items():
        path = scan.table(layout.tables["training"], suffix=".csv") or scan.table(layout.tables["test"], suffix=".csv")
        if path is not None and layout.id.lower() in _columns(path):
            there.append(name)
    if edition == "auto" and len(there) > 1:
        raise ValueError(f"{scan.root} has the tables of several editions; choose one of edition={there}")
    chosen = there if edition == "auto" else [name for name in there if name == edition]
    if not chosen:
        wanted = {
            "2019": "train.csv with the columns ImageId and Malignant (2019)",
            "2024": "metadataTrain.csv with the columns ID and CLASS (2022, 2024)",
        }
        scan.fail(" or ".join(wanted.values()) if edition == "auto" else wanted[edition])
    return chosen[0]


def _columns(path: Path) -> set[str]:
    return {str(column).strip().lower() for column in read_table(path).columns}


def _read(path: Path, name: str, year: str, whole: bool) -> pd.DataFrame:
    """Read a table; the ids in it may end as files do, and rows of a whole one need no class."""
    layout = _EDITIONS[year]
    columns = {"image_id": (layout.id,)} | ({layout.label: (layout.label,)} if name == "training" else {})
    table = read_table(path, columns)
    stems = table["image_id"].map(os.path.splitext)
    table["image_id"] = [stem if end.lower() in IMAGE_SUFFIXES else stem + end for stem, end in stems]
    labels = pd.Series([None] * len(table), dtype=object)
    if name == "training":
        numbers = pd.to_numeric(table[layout.label], errors="coerce")
        wrong = ~numbers.isin(layout.codes) & ~(whole & table[layout.label].isna())
        if wrong.any():
            row = table[wrong].iloc[0]
            raise ValueError(
                f"{path}: {layout.label} of {row['image_id']} is {row[layout.label]}, not one of {layout.codes} "
                f"({wrong.sum()} rows)"
            )
        labels = numbers.astype(object).where(numbers.notna(), None)
        if numbers.notna().all():
            table[layout.label] = numbers.astype(int)
            labels = table[layout.label].astype(object)
    else:
        table = table.drop(columns=[column for column in table if str(column).lower() == layout.label.lower()])
    group = next((column for column in table if str(column).lower() in _GROUPS), None)
    groups = pd.Series([None] * len(table), dtype=object) if group is None else table[group].astype(object)
    subsets = np.where(labels.isna(), "test", name)
    return table.assign(subset=subsets, _target=labels, _group=groups)


def _find_files(scan: FolderScan, frame: pd.DataFrame) -> dict[str, list[str | None]]:
    """Find images, and masks by the end of their names or by the name of their folder."""

    def in_masks(tokens: tuple[str, ...]) -> int | None:
        return 0 if any(map(_MASK_FOLDER.search, tokens)) else None

    def elsewhere(tokens: tuple[str, ...]) -> int | None:
        return None if any(map(_MASK_FOLDER.search, tokens)) else 0

    keys = frame["image_id"].str.lower()
    images, masks = scan.pick("(?P<id>.+)", elsewhere), scan.pick("(?P<id>.+)", in_masks)
    if not any(key in images for key in keys):  # a folder above all of them is called so, and tells nothing
        images, masks = masks, {}
    masks |= scan.pick("(?P<id>.+)_(segmentation|seg|mask)")
    found: dict[str, list[str | None]] = {
        kind: [files[key][1] if key in files else None for key in keys]
        for kind, files in (("image", images), ("mask", masks))
    }
    return found if any(found["mask"]) else {"image": found["image"]}
