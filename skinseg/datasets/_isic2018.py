"""The challenge of the ISIC of 2018: outlines, dermoscopic attributes, seven classes."""

from __future__ import annotations

import os

import pandas as pd
from sklearn.utils import Bunch

from .._docs import fill_doc
from ._catalog import CATALOG
from ._isic import NAMES, collect, take_files, warn_ungrouped
from ._layout import FolderScan, check_choice, class_of_columns, finish, read_table, subsets_of

__all__ = ["load_isic2018"]

ATTRIBUTES = ("pigment_network", "negative_network", "streaks", "milia_like_cyst", "globules")
CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_OUTLINED = {"training": 2594, "validation": 100, "test": 1000}
_CLASSIFIED = {"training": 10015, "validation": 193, "test": 1512}
_TASKS = ("segmentation", "attributes", "classification")


@fill_doc()
def load_isic2018(
    folder: str | os.PathLike[str],
    *,
    task: str = "segmentation",
    subset: str = "training",
    target: str = "diagnosis",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load the ISIC 2018 challenge from the folder into which its archives were unpacked.

    Parameters
    ----------
    folder : path-like
        With ``ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg``,
        ``ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png``,
        ``ISIC2018_Task2_Training_GroundTruth_v3/ISIC_0000000_attribute_streaks.png``
        (and four more an image), ``ISIC2018_Task3_Training_Input``,
        ``ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv``,
        ``ISIC2018_Task3_Training_LesionGroupings.csv`` and so on, in it or below.
    task : {"segmentation", "attributes", "classification"}, default="segmentation"
        Task 1, outlines; Task 2, five masks of dermoscopic attributes an
        image; or Task 3, the classes of other images, those of HAM10000.
    subset : {"training", "validation", "test", "all"}, default="training"
        2,594, 100 and 1,000 images of Tasks 1 and 2; 10,015, 193 and 1,512 of
        Task 3.
    target : {"diagnosis", "melanoma"}, default="diagnosis"
        For Task 3 the name of the class: MEL, NV, BCC, AKIEC, BKL, DF or VASC;
        or 1 for MEL and 0 for others.
    %(loading)s

    Returns
    -------
    %(loaded)s

        attributes : dict of str to list of Path or None
            For Task 2 the masks of ``pigment_network``, ``negative_network``,
            ``streaks``, ``milia_like_cyst`` and ``globules``, which are all 0
            where there is none; the frame has them as ``attribute_streaks`` and
            so on. An empty dict for other tasks.

    Raises
    ------
    FileNotFoundError
        If the folder is another one.

    See Also
    --------
    load_ham10000 : The images of Task 3 as their authors publish them.

    Notes
    -----
    Groups are the lesions of the table of groupings, which covers the training
    images of Task 3 (without it there is an `UngroupedWarning`); elsewhere each
    image is its own group. Its column
    ``diagnosis_confirm_type`` gives classes away (what is seen to be benign is
    not cut out) and is no feature. CC BY-NC 4.0: no commercial use.

    References
    ----------
    .. [1] Files and formats: https://challenge2018.isic-archive.com/task2/,
       https://challenge.isic-archive.com/landing/2018/46,
       https://challenge.isic-archive.com/data/#2018
    .. [2] Codella, N., et al. Skin Lesion Analysis Toward Melanoma Detection
       2018. arXiv:1902.03368 (2019).

    Examples
    --------
    >>> from skinseg.datasets import load_isic2018
    >>> data = load_isic2018("isic2018", task="attributes")  # doctest: +SKIP
    >>> data.attributes["streaks"][0].name  # doctest: +SKIP
    'ISIC_0000000_attribute_streaks.png'
    """
    check_choice(task=(task, _TASKS), target=(target, ("diagnosis", "melanoma")))
    scan = FolderScan(folder, CATALOG["isic2018"])
    classified = task == "classification"
    subsets = subsets_of(subset, _CLASSIFIED if classified else _OUTLINED)
    attributes = [f"attribute_{name}" for name in ATTRIBUTES] if task == "attributes" else []
    kinds = {"image": "", "mask": "_segmentation"} | {name: f"_{name}" for name in attributes}

    def read(name: str) -> pd.DataFrame | None:
        return _read(scan, name, target) if classified else None

    frame = collect(
        scan,
        "2018",
        subsets,
        read,
        kinds,
        from_files=not classified,
        preferred=("task3",) if classified else ("task1", "task2"),
        excluded=("task1", "task2") if classified else ("task3",),
        wanted=_wanted(task, "Training" if subset == "all" else subset.title()),
    )
    required = {"segmentation": ("image", "mask"), "attributes": ("image", *attributes), "classification": ("image",)}
    names = None
    if classified:
        warn_ungrouped(frame, "ISIC2018_Task3_Training_LesionGroupings.csv")
        names = CLASSES if target == "diagnosis" else ("other", "melanoma")
    data = finish(
        scan,
        frame,
        take_files(frame, kinds, required[task]),
        NAMES | {name: f"{{}}_{name}.png" for name in attributes},
        target_names=names,
        on_missing=on_missing,
        verify=verify,
        n_jobs=n_jobs,
        published=subsets,
    )
    data.attributes = {name.removeprefix("attribute_"): data.frame[name].tolist() for name in attributes}
    return data


def _read(scan: FolderScan, name: str, target: str) -> pd.DataFrame | None:
    """Read the classes of Task 3, and the lesions."""
    path = scan.table(f"ISIC2018_Task3_{name.title()}_GroundTruth")
    if path is None:
        return None
    table = read_table(path, {"image_id": ("image", "image_id")} | {column: (column,) for column in CLASSES})
    table["diagnosis"] = class_of_columns(table, CLASSES, path)
    table["_target"] = table["diagnosis"] if target == "diagnosis" else (table["diagnosis"] == "MEL").astype(int)
    groupings = scan.table(f"ISIC2018_Task3_{name.title()}_LesionGroupings")
    if groupings is not None:
        lesions = read_table(groupings, {"image_id": ("image", "image_id"), "lesion_id": ("lesion_id",)})
        table = table.merge(lesions, on="image_id", how="left")
        table["_group"] = table["lesion_id"]
    return table


def _wanted(task: str, name: str) -> str:
    if task == "classification":
        return (
            f"ISIC2018_Task3_{name}_GroundTruth.csv, and ISIC2018_Task3_{name}_Input{os.sep} with ISIC_0024306.jpg and "
            "others"
        )
    number, mask = (1, "segmentation") if task == "segmentation" else (2, "attribute_streaks")
    return (
        f"ISIC2018_Task1-2_{name}_Input{os.sep} with ISIC_0000000.jpg and others, and ISIC2018_Task{number}_{name}"
        f"_GroundTruth{os.sep} with ISIC_0000000_{mask}.png and others"
    )
