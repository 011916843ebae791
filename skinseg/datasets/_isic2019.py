"""The challenges of the ISIC of 2019, eight classes, and of 2020, melanoma by patients."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import Bunch

from .._docs import fill_doc
from ._catalog import CATALOG
from ._isic import NAMES, collect, take_files, warn_ungrouped
from ._layout import FolderScan, check_choice, class_of_columns, finish, read_table, subsets_of

__all__ = ["load_isic2019", "load_isic2020"]

CLASSES_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
_PUBLISHED_2019 = {"training": 25331, "test": 8238}
_PUBLISHED_2020 = {"training": 33126, "test": 10982}


@fill_doc()
def load_isic2019(
    folder: str | os.PathLike[str],
    *,
    subset: str = "training",
    target: str = "diagnosis",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load the ISIC 2019 challenge from the folder into which its archives were unpacked.

    Parameters
    ----------
    folder : path-like
        With ``ISIC_2019_Training_Input/ISIC_0000000.jpg`` (some are called
        ``ISIC_0000002_downsampled.jpg``), ``ISIC_2019_Training_GroundTruth.csv``,
        ``ISIC_2019_Training_Metadata.csv`` and so on, in it or below.
    subset : {"training", "test", "all"}, default="training"
        25,331 images, 8,238 images, or both.
    target : {"diagnosis", "melanoma"}, default="diagnosis"
        The name of the class: MEL, NV, BCC, AK, BKL, DF, VASC, SCC, and in the
        test set UNK, none of these; or 1 for MEL and 0 for others.
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
    load_ham10000 : One of the sources, with its masks.

    Notes
    -----
    Groups are the column ``lesion_id`` of the metadata, which most training
    images have (without the table there is an `UngroupedWarning`); many lesions
    have several images. The source of an image shows in ``lesion_id`` (``HAM_``,
    ``BCN_``, ``MSK``) and in its size, and goes along with the class: it is no
    feature. Where the test table has a column ``score_weight``, images with 0 do
    not count. CC BY-NC 4.0: no commercial use.

    References
    ----------
    .. [1] Files and formats: https://challenge.isic-archive.com/data/#2019,
       https://challenge2019.isic-archive.com/
    .. [2] Combalia, M., et al. BCN20000: Dermoscopic Lesions in the Wild.
       arXiv:1908.02288 (2019).

    Examples
    --------
    >>> from skinseg.datasets import load_isic2019
    >>> data = load_isic2019("isic2019")  # doctest: +SKIP
    >>> len(data.images), data.target[0]  # doctest: +SKIP
    (25331, 'NV')
    """
    check_choice(target=(target, ("diagnosis", "melanoma")))
    scan = FolderScan(folder, CATALOG["isic2019"])

    def read(name: str) -> pd.DataFrame | None:
        classes, metadata = (scan.table(f"ISIC_2019_{name.title()}_{end}") for end in ("GroundTruth", "Metadata"))
        ids = {"image_id": ("image", "image_id")}
        table = None
        if classes is not None:
            known = CLASSES_2019 if name == "test" else CLASSES_2019[:-1]
            table = read_table(classes, ids | {column: (column,) for column in known})
            present = [column for column in CLASSES_2019 if column in table]
            table["diagnosis"] = class_of_columns(table, present, classes)
            melanoma = (table["diagnosis"] == "MEL").astype(int)
            table["_target"] = (table["diagnosis"] if target == "diagnosis" else melanoma).astype(object)
        if metadata is not None and (classes is not None or name == "test"):
            more = read_table(metadata, ids)
            table = more if table is None else table.merge(more, on="image_id", how="left")
            if "lesion_id" in table:
                table["_group"] = table["lesion_id"]
        return table

    title = "Training" if subset == "all" else subset.title()
    subsets = subsets_of(subset, _PUBLISHED_2019)
    frame = collect(
        scan,
        "2019",
        subsets,
        read,
        {"image": "", "mask": "_segmentation"},
        from_files=False,
        wanted=f"ISIC_2019_{title}_GroundTruth.csv (and ISIC_2019_{title}_Metadata.csv), and ISIC_2019_{title}_Input"
        f"{os.sep} with ISIC_0000000.jpg and others",
    )
    warn_ungrouped(frame, "ISIC_2019_Training_Metadata.csv")
    names = [name for name in CLASSES_2019 if name != "UNK" or (frame["_target"] == "UNK").any()]
    return finish(
        scan,
        frame,
        take_files(frame, ("image", "mask"), ("image",)),
        NAMES,
        target_names=names if target == "diagnosis" else ("other", "melanoma"),
        on_missing=on_missing,
        verify=verify,
        n_jobs=n_jobs,
        published=subsets,
    )


@fill_doc()
def load_isic2020(
    folder: str | os.PathLike[str],
    *,
    subset: str = "training",
    target: str = "melanoma",
    duplicates: str = "mark",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load the SIIM-ISIC 2020 challenge from the folder into which its archives were unpacked.

    Parameters
    ----------
    folder : path-like
        With ``train/ISIC_2637011.jpg`` (of ``ISIC_2020_Training_JPEG.zip``) and
        ``ISIC_2020_Training_GroundTruth_v2.csv`` (or without ``_v2``), and for
        the test set ``ISIC_2020_Test_Input`` and ``ISIC_2020_Test_Metadata.csv``,
        in it or below; or as Kaggle has it, ``train.csv``, ``test.csv`` and
        ``jpeg/train``, ``jpeg/test``. DICOM files are not read.
    subset : {"training", "test", "all"}, default="training"
        33,126 images, 10,982 images (whose classes are not published), or both.
    target : {"melanoma", "diagnosis"}, default="melanoma"
        0 and 1; or the column ``diagnosis``, such as melanoma, nevus,
        seborrheic keratosis, and ``unknown`` for most of the benign ones.
    duplicates : {"mark", "drop"}, default="mark"
        What to do about the second image of each of the 425 pairs of
        ``ISIC_2020_Training_Duplicates.csv``: the column ``duplicate_of`` names
        the first, or the second is left out.
    %(loading)s

    Returns
    -------
    %(loaded)s

    Raises
    ------
    FileNotFoundError
        If the folder is another one, or has no table of duplicates and these
        are to be dropped.

    See Also
    --------
    load_lesion_table : Any table of files.

    Notes
    -----
    Groups are patients: 2,056 in the training set. Patients who share a
    duplicate are one group. CC BY-NC 4.0: no commercial use.

    References
    ----------
    .. [1] Files and formats: https://challenge2020.isic-archive.com/,
       https://challenge.isic-archive.com/data/#2020,
       https://www.kaggle.com/competitions/siim-isic-melanoma-classification/data
    .. [2] Rotemberg, V., et al. A patient-centric dataset of images and metadata
       for identifying melanomas using clinical context. Scientific Data 8, 34
       (2021), doi:10.1038/s41597-021-00815-z.

    Examples
    --------
    >>> from skinseg.datasets import load_isic2020
    >>> data = load_isic2020("isic2020", duplicates="drop")  # doctest: +SKIP
    >>> len(data.images)  # doctest: +SKIP
    32701
    """
    check_choice(target=(target, ("melanoma", "diagnosis")), duplicates=(duplicates, ("mark", "drop")))
    scan = FolderScan(folder, CATALOG["isic2020"])
    pairs = scan.table("ISIC_2020_Training_Duplicates")
    if pairs is None and duplicates == "drop" and subset != "test":
        scan.fail("ISIC_2020_Training_Duplicates.csv, which names the duplicates that are to be dropped")

    def read(name: str) -> pd.DataFrame | None:
        return _read_2020(scan, name, target)

    subsets = subsets_of(subset, _PUBLISHED_2020)
    frame = collect(
        scan,
        "2020",
        subsets,
        read,
        {"image": "", "mask": "_segmentation"},
        from_files=False,
        wanted="ISIC_2020_Test_Metadata.csv (or test.csv), and images in ISIC_2020_Test_Input or jpeg/test"
        if subset == "test"
        else "ISIC_2020_Training_GroundTruth_v2.csv (or without _v2, or train.csv), and images in train or jpeg/train",
    )
    notes = ["duplicates: the table ISIC_2020_Training_Duplicates.csv is not there, none are marked"]
    if pairs is not None:
        frame = _mark_duplicates(frame, read_table(pairs), pairs)
        marked = frame["duplicate_of"].notna()
        notes = [f"duplicates: {marked.sum():,} {'left out' if duplicates == 'drop' else 'named in duplicate_of'}"]
        if duplicates == "drop":
            frame = frame[~marked].reset_index(drop=True)
    names = ("other", "melanoma")
    if target == "diagnosis":
        names = tuple(sorted(frame["_target"].dropna().unique()))
    return finish(
        scan,
        frame,
        take_files(frame, ("image", "mask"), ("image",)),
        NAMES,
        target_names=names,
        on_missing=on_missing,
        verify=verify,
        n_jobs=n_jobs,
        published=subsets,
        notes=notes,
    )


def _read_2020(scan: FolderScan, name: str, target: str) -> pd.DataFrame | None:
    ids = {"image_id": ("image_name", "image"), "patient_id": ("patient_id", "patient")}
    if name == "test":
        path = scan.table("ISIC_2020_Test_Metadata", "test")
        table = None if path is None else read_table(path, ids)
    else:
        stem = "ISIC_2020_Training_GroundTruth"
        path = scan.table(f"{stem}_v2", stem, "train")
        table = None
        if path is not None:
            table = read_table(path, ids | {"target": ("target",), "diagnosis": ("diagnosis",)})
            values = table.pop("target")
            table["melanoma"] = pd.to_numeric(values, errors="coerce")
            wrong = ~table["melanoma"].isin([0, 1])
            if wrong.any():
                key, value = table["image_id"][wrong].iloc[0], values[wrong].iloc[0]
                raise ValueError(f"{path}: target of {key} is {value}, not 0 or 1")
            table["melanoma"] = table["melanoma"].astype(int)
            table["_target"] = table[target].astype(object)
    if table is not None:
        table["_group"] = table["patient_id"]
    return table


def _mark_duplicates(frame: pd.DataFrame, pairs: pd.DataFrame, path: object) -> pd.DataFrame:
    """Name the first image of each pair beside the second, and make one group of the patients of both."""
    names = ["image_name_1", "image_name_2"]
    if not set(names) <= set(pairs):
        raise ValueError(f"{path} must have the columns {' and '.join(names)}; its columns are {list(pairs.columns)}")
    pairs = pairs[names].astype(str)
    frame = frame.assign(duplicate_of=frame["image_id"].map(dict(zip(pairs[names[1]], pairs[names[0]], strict=True))))
    codes, patients = pd.factorize(frame["_group"].where(frame["_group"].notna(), frame["image_id"]))
    place = dict(zip(frame["image_id"], codes, strict=True))
    linked = np.array([(place[a], place[b]) for a, b in pairs.to_numpy() if a in place and b in place]).reshape(-1, 2)
    graph = coo_array((np.ones(len(linked)), linked.T), shape=(len(patients), len(patients)))
    _, labels = connected_components(graph, directed=False)
    first = pd.Series(patients).groupby(labels).first()
    frame["_group"] = first.to_numpy(dtype=object)[labels[codes]]
    return frame
