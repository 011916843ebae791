"""The challenges of the ISIC that outline lesions and tell melanoma: 2016 and 2017, and what all of them share."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pandas as pd
from sklearn.utils import Bunch

from .._docs import fill_doc
from ..exceptions import UngroupedWarning
from ._catalog import CATALOG
from ._layout import (
    FolderScan,
    check_choice,
    finish,
    read_cells,
    read_table,
    refuse_repeated,
    subset_of,
    subsets_of,
)

__all__ = ["collect", "load_isic2016", "load_isic2017", "take_files", "warn_ungrouped"]

ISIC_ID = r"(?P<id>isic_\d+(?:_downsampled)?)"
NAMES = {"image": "{}.jpg", "mask": "{}_segmentation.png", "superpixels": "{}_superpixels.png"}
_YEARS = re.compile(r"(?:isic|isbi)?(2016|2017|2018|2019|2020)")
_PART = re.compile(r"(?:part|task)\d[a-z]?")

Rank = Callable[[tuple[str, ...]], int | None]


def _make_rank(year: str, subset: str, preferred: Collection[str], excluded: Collection[str], named: bool) -> Rank:
    """Make the order of folders for a subset: those that say they are of it, or (not ``named``) say nothing."""

    def rank(tokens: tuple[str, ...]) -> int | None:
        years = {match[1] for match in map(_YEARS.fullmatch, tokens) if match}
        own = subset_of(tokens)
        if (years and year not in years) or not set(tokens).isdisjoint(excluded) or own != (subset if named else None):
            return None
        parts = {token for token in tokens if _PART.fullmatch(token)}
        return int(bool(parts) and parts.isdisjoint(preferred))

    return rank


def collect(
    scan: FolderScan,
    year: str,
    subsets: Collection[str],
    read: Callable[[str], pd.DataFrame | None],
    kinds: Mapping[str, str],
    *,
    from_files: bool,
    wanted: str,
    preferred: Collection[str] = (),
    excluded: Collection[str] = (),
) -> pd.DataFrame:
    """Put the tables and the files of some subsets of a challenge together.

    Parameters
    ----------
    scan : FolderScan
        The folder.
    year : str
        Of the challenge; folders of another year are left out.
    subsets : collection of str
        The subsets.
    read : callable
        Gives the table of a subset, with ``image_id``, or None.
    kinds : mapping of str to str
        What follows the id in the names of each kind of files.
    from_files : bool
        Whether images and masks count that are in no table.
    wanted : str
        What is looked for, for the error.
    preferred, excluded : collection of str
        Words in the names of folders.

    Returns
    -------
    DataFrame
        A row an image; the files of each kind in a column with an underscore
        before its name.
    """
    frames = []
    for subset in subsets:
        table = read(subset)
        if table is None and not from_files:
            continue
        order = [_make_rank(year, subset, preferred, excluded, named) for named in (True, False)]
        named, loose = ({kind: scan.pick(ISIC_ID + end, rank) for kind, end in kinds.items()} for rank in order)
        if from_files:
            table = _add_rows(table, [*named["image"].values(), *named["mask"].values()])
        assert table is not None
        keys = table["image_id"].str.lower()
        columns = {}
        for kind in kinds:
            found = {**loose[kind], **named[kind]}
            paths = [found[key][1] if key in found else None for key in keys]
            columns[f"_{kind}"] = pd.Series(paths, index=table.index, dtype=object)
        if len(table):
            frames.append(table.assign(subset=subset, **columns))
    if not frames:
        scan.fail(wanted)
    frame = pd.concat(frames, ignore_index=True)
    for column in ("_target", "_group"):
        frame[column] = (
            frame[column].astype(object) if column in frame else pd.Series([None] * len(frame), dtype=object)
        )
    return frame


def _add_rows(table: pd.DataFrame | None, found: list[tuple[str, str]]) -> pd.DataFrame:
    """Add the images that are in no table, in the order of their ids."""
    table = pd.DataFrame({"image_id": pd.Series(dtype=str)}) if table is None else table
    known = set(table["image_id"].str.lower())
    new = sorted({key.lower(): key for key, _ in found if key.lower() not in known}.values())
    return pd.concat([table, pd.DataFrame({"image_id": new}, dtype=str)], ignore_index=True) if new else table


def take_files(frame: pd.DataFrame, kinds: Collection[str], required: Collection[str]) -> dict[str, list[str | None]]:
    """Take the columns of files out of a frame.

    Parameters
    ----------
    frame : DataFrame
        Of `collect`; changed in place.
    kinds : collection of str
        All kinds of files.
    required : collection of str
        Kinds that count as missing even if there is not one file of them.

    Returns
    -------
    dict of str to list
        The paths of each kind that is required or there.
    """
    files = {kind: frame.pop(f"_{kind}").tolist() for kind in kinds}
    return {kind: paths for kind, paths in files.items() if kind in required or any(path is not None for path in paths)}


def warn_ungrouped(frame: pd.DataFrame, table: str) -> None:
    """Warn that the table of lesions is not there, so that folds may part images of one lesion.

    Parameters
    ----------
    frame : DataFrame
        Of `collect`.
    table : str
        The file that is not there.
    """
    training = frame["subset"] == "training"
    if training.any() and frame["_group"][training].isna().all():
        warnings.warn(
            f"{table} is not there, so that nothing tells which images show the same lesion (many do): each image is "
            "its own group, and scores of cross-validation come out too high; put the table into the folder",
            UngroupedWarning,
            stacklevel=3,
        )


def _read_without_header(path: Path) -> pd.DataFrame:
    """Read ``ISIC_0000000,benign`` or ``ISIC_0000003,0.0``; some copies have a header, or numbers before the id."""
    table = read_cells(path, header=None, dtype=str)
    is_id = table.apply(lambda column: column.str.fullmatch(r"ISIC_\d+", case=False, na=False))
    place = int(is_id.sum().to_numpy().argmax())
    if not is_id[place].any() or place + 1 not in table:
        raise ValueError(f"{path}: lines such as ISIC_0000000,benign were expected, got {table.iloc[0].tolist()}")
    rows = table[is_id[place]]
    refuse_repeated(rows[place], path)
    label = rows[place + 1].str.strip().str.lower()
    target = label.map({"benign": 0, "malignant": 1}).fillna(pd.to_numeric(label, errors="coerce"))
    wrong = ~target.isin([0, 1])
    if wrong.any():
        raise ValueError(f"{path}: {rows[place][wrong].iloc[0]} is {label[wrong].iloc[0]!r}, not benign or malignant")
    columns = {"image_id": rows[place].str.strip(), "malignant": target.astype(int), "_target": target.astype(int)}
    return pd.DataFrame(columns).reset_index(drop=True)


_PUBLISHED_2016 = {"training": 900, "test": 379}
_PUBLISHED_2017 = {"training": 2000, "validation": 150, "test": 600}


@fill_doc()
def load_isic2016(
    folder: str | os.PathLike[str],
    *,
    task: str = "segmentation",
    subset: str = "training",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load the ISIC 2016 challenge from the folder into which its archives were unpacked.

    Parameters
    ----------
    folder : path-like
        With ``ISBI2016_ISIC_Part1_Training_Data/ISIC_0000000.jpg``,
        ``ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_0000000_Segmentation.png``,
        ``ISBI2016_ISIC_Part3_Training_GroundTruth.csv`` and so on, in it or
        below. The images of Parts 1, 3 and 3B are the same, so any will do.
    task : {"segmentation", "classification"}, default="segmentation"
        Part 1, all images and masks that are there; or Part 3, the images of
        the table of classes. The other half comes along where it is there.
    subset : {"training", "test", "all"}, default="training"
        900 images, 379 images, or both.
    %(loading)s

    Returns
    -------
    %(loaded)s

    Raises
    ------
    FileNotFoundError
        If the folder is another one.

    See Also
    --------
    load_lesion_table : Any table of files.

    Notes
    -----
    Classes are 0, benign, and 1, malignant, which is melanoma here. Lesions
    and patients are not published: each image is its own group. CC0.

    References
    ----------
    .. [1] Files and formats: https://challenge.isic-archive.com/landing/2016/39/
       and https://challenge.isic-archive.com/data/#2016
    .. [2] Gutman, D., et al. Skin Lesion Analysis toward Melanoma Detection.
       arXiv:1605.01397 (2016).

    Examples
    --------
    >>> from skinseg.datasets import load_isic2016
    >>> data = load_isic2016("isic2016", subset="all")  # doctest: +SKIP
    >>> len(data.images), data.target_names.tolist()  # doctest: +SKIP
    (1279, ['benign', 'malignant'])
    """
    check_choice(task=(task, ("segmentation", "classification")))
    scan = FolderScan(folder, CATALOG["isic2016"])

    def read(name: str) -> pd.DataFrame | None:
        stems = (f"ISBI2016_ISIC_{part}_{name.title()}_GroundTruth" for part in ("Part3", "Part3B"))
        path = scan.table(*stems)
        return None if path is None else _read_without_header(path)

    subsets = subsets_of(subset, _PUBLISHED_2016)
    frame = collect(
        scan, "2016", subsets, read, {"image": "", "mask": "_segmentation"},
        from_files=task == "segmentation",
        preferred=("part1",) if task == "segmentation" else ("part3", "part3b"),
        wanted=_wanted(task, "ISBI2016_ISIC_Part1_{}_Data", "ISBI2016_ISIC_Part1_{}_GroundTruth",
                       "ISBI2016_ISIC_Part3_{}_GroundTruth.csv", "ISIC_0000000_Segmentation.png", subset),
    )  # fmt: skip
    files = take_files(frame, ("image", "mask"), ("image", "mask") if task == "segmentation" else ("image",))
    return finish(
        scan, frame, files, {**NAMES, "mask": "{}_Segmentation.png"}, target_names=("benign", "malignant"),
        on_missing=on_missing, verify=verify, n_jobs=n_jobs, published=subsets,
    )  # fmt: skip


def _wanted(task: str, images: str, masks: str, table: str, mask: str, subset: str) -> str:
    name = {"all": "Training", "test_v2": "Test_v2"}.get(subset, subset.title())
    where = f"{images.format(name)}{os.sep} with ISIC_0000000.jpg and others"
    if task == "segmentation":
        return f"{where}, and {masks.format(name)}{os.sep} with {mask} and others"
    return f"{table.format(name)}, and {where}"


_CLASSES_2017 = ("melanoma", "seborrheic_keratosis")


@fill_doc()
def load_isic2017(
    folder: str | os.PathLike[str],
    *,
    task: str = "segmentation",
    subset: str = "training",
    target: str = "melanoma",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load the ISIC 2017 challenge from the folder into which its archives were unpacked.

    Parameters
    ----------
    folder : path-like
        With ``ISIC-2017_Training_Data/ISIC_0000000.jpg`` (and beside it
        ``ISIC_0000000_superpixels.png`` and
        ``ISIC-2017_Training_Data_metadata.csv``),
        ``ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png``,
        ``ISIC-2017_Training_Part3_GroundTruth.csv`` and so on, in it or below;
        the test set is called ``ISIC-2017_Test_v2``.
    task : {"segmentation", "classification"}, default="segmentation"
        Part 1, all images and masks that are there; or Part 3, the images of
        the table of classes. The other half comes along where it is there.
    subset : {"training", "validation", "test", "all"}, default="training"
        2,000, 150 or 600 images, or all of them.
    target : {"melanoma", "seborrheic_keratosis", "diagnosis"}, default="melanoma"
        0 and 1, as the two halves of Part 3 have it; or the name of one of the
        three classes, of which ``"nevus"`` is neither.
    %(loading)s

    Returns
    -------
    %(loaded)s

        superpixels : list of Path or None
            Label maps, coded in the three channels as red + 256 green + 65536
            blue; None if the folder has none.

    Raises
    ------
    FileNotFoundError
        If the folder is another one.

    See Also
    --------
    load_lesion_table : Any table of files.

    Notes
    -----
    Lesions and patients are not published with the challenge: each image is
    its own group, although some lesions have several images (the ISIC Archive
    knows the lesions of many). CC0.

    References
    ----------
    .. [1] Files and formats: https://challenge.isic-archive.com/landing/2017/43
       (superpixels), https://challenge.isic-archive.com/landing/2017/44
       (metadata, classes), https://challenge.isic-archive.com/data/#2017
    .. [2] Codella, N. C. F., et al. Skin Lesion Analysis Toward Melanoma
       Detection. arXiv:1710.05006 (2017).

    Examples
    --------
    >>> from skinseg.datasets import load_isic2017
    >>> data = load_isic2017("isic2017", task="classification")  # doctest: +SKIP
    >>> len(data.images), int(data.target.sum())  # doctest: +SKIP
    (2000, 374)
    """
    targets = {"melanoma": ("other", "melanoma"), "seborrheic_keratosis": ("other", "seborrheic_keratosis")}
    check_choice(task=(task, ("segmentation", "classification")), target=(target, (*targets, "diagnosis")))
    scan = FolderScan(folder, CATALOG["isic2017"])

    def read(name: str) -> pd.DataFrame | None:
        return _read_2017(scan, name, target, with_metadata=task == "segmentation")

    kinds = {"image": "", "mask": "_segmentation", "superpixels": "_superpixels"}
    subsets = subsets_of(subset, _PUBLISHED_2017)
    frame = collect(
        scan, "2017", subsets, read, kinds,
        from_files=task == "segmentation",
        preferred=("part1",),
        wanted=_wanted(task, "ISIC-2017_{}_Data", "ISIC-2017_{}_Part1_GroundTruth",
                       "ISIC-2017_{}_Part3_GroundTruth.csv", "ISIC_0000000_segmentation.png",
                       "test_v2" if subset == "test" else subset),
    )  # fmt: skip
    files = take_files(frame, kinds, ("image", "mask") if task == "segmentation" else ("image",))
    data = finish(
        scan, frame, files, NAMES, target_names=targets.get(target, (*_CLASSES_2017, "nevus")),
        on_missing=on_missing, verify=verify, n_jobs=n_jobs, published=subsets,
    )  # fmt: skip
    data.superpixels = data.frame["superpixels"].tolist() if "superpixels" in data.frame else None
    return data


def _read_2017(scan: FolderScan, name: str, target: str, *, with_metadata: bool) -> pd.DataFrame | None:
    """Read classes and metadata of a subset; its images are those of the classes, or of either table."""
    version = "Test_v2" if name == "test" else name.title()
    classes, metadata = (
        scan.table(*(f"ISIC-2017_{subset}_{end}" for subset in (version, name.title())))
        for end in ("Part3_GroundTruth", "Data_metadata")
    )
    if classes is None and (metadata is None or not with_metadata):
        return None
    table = None
    if classes is not None:
        table = read_table(classes, {"image_id": ("image_id",)} | {column: (column,) for column in _CLASSES_2017})
        marks = table[list(_CLASSES_2017)].apply(pd.to_numeric, errors="coerce")
        wrong = ~(marks.isin([0, 1]).all(axis=1) & (marks.sum(axis=1) <= 1))
        if wrong.any():
            raise ValueError(f"{classes}: {table['image_id'][wrong].iloc[0]} is not of exactly one class")
        marks = marks.astype(int)
        table[list(_CLASSES_2017)] = marks
        names = marks.apply(lambda row: next((column for column in _CLASSES_2017 if row[column]), "nevus"), axis=1)
        table["_target"] = (names if target == "diagnosis" else marks[target]).astype(object)
    if metadata is not None:
        more = read_table(metadata, {"image_id": ("image_id",)})
        how = "outer" if with_metadata else "left"
        table = more if table is None else table.merge(more, on="image_id", how=how)
    return table
