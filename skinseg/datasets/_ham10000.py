"""HAM10000, as it is on the Harvard Dataverse and on Kaggle."""

from __future__ import annotations

import os

import pandas as pd
from sklearn.utils import Bunch

from .._docs import fill_doc
from ._catalog import CATALOG
from ._isic import ISIC_ID, NAMES, take_files
from ._layout import FolderScan, check_choice, finish, read_table

__all__ = ["load_ham10000"]

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


@fill_doc()
def load_ham10000(
    folder: str | os.PathLike[str],
    *,
    target: str = "diagnosis",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load HAM10000 from the folder into which its archives were unpacked.

    Parameters
    ----------
    folder : path-like
        With ``HAM10000_metadata`` (with the ending ``.csv``, ``.tab`` or none),
        and ``ISIC_0024306.jpg`` and others in ``HAM10000_images_part_1``,
        ``HAM10000_images_part_2`` or any other folder, in it or below. The
        masks of Tschandl, ``ISIC_0024306_segmentation.png``, come along where
        ``HAM10000_segmentations_lesion_tschandl`` is there.
    target : {"diagnosis", "melanoma"}, default="diagnosis"
        The column ``dx``: akiec, bcc, bkl, df, mel, nv or vasc; or 1 for mel
        and 0 for others.
    %(loading)s

    Returns
    -------
    %(loaded)s

    Raises
    ------
    FileNotFoundError
        If the folder is another one.
    ValueError
        If the table has other classes.

    See Also
    --------
    load_isic2018 : The same images as Task 3 of a challenge, with its test set.

    Notes
    -----
    10,015 images of 7,470 lesions, which are the groups: 4,501 images show a
    lesion that others show, too.

    ``dx_type`` tells how the class was found and leaks it: what was followed up
    (``follow_up``) is always a nevus, and every melanoma went to the pathologist
    (``histo``). It is in the frame and must not be a feature. ``dataset``, the
    source, goes along with the class as well.

    CC BY-NC 4.0: no commercial use.

    References
    ----------
    .. [1] Files and columns: https://doi.org/10.7910/DVN/DBW86T,
       https://www.kaggle.com/datasets/kmader/skin-cancer-mnist-ham10000; masks:
       https://www.kaggle.com/datasets/tschandl/ham10000-lesion-segmentations
    .. [2] Tschandl, P., Rosendahl, C., Kittler, H. The HAM10000 dataset.
       Scientific Data 5, 180161 (2018), doi:10.1038/sdata.2018.161.

    Examples
    --------
    >>> from skinseg.datasets import load_ham10000
    >>> data = load_ham10000("ham10000")  # doctest: +SKIP
    >>> len(data.images), len(set(data.groups))  # doctest: +SKIP
    (10015, 7470)
    """
    check_choice(target=(target, ("diagnosis", "melanoma")))
    scan = FolderScan(folder, CATALOG["ham10000"])
    path = scan.table("HAM10000_metadata")
    if path is None:
        scan.fail(
            "the table HAM10000_metadata (with the ending .csv, .tab or none), and ISIC_0024306.jpg and others in "
            "HAM10000_images_part_1 and HAM10000_images_part_2"
        )
    columns = {"image_id": ("image_id",), "lesion_id": ("lesion_id",), "dx": ("dx",)}
    table = read_table(path, columns)
    table["dx"] = table["dx"].astype(str).str.strip().str.lower()
    strange = ~table["dx"].isin(CLASSES)
    if strange.any():
        row = table[strange].iloc[0]
        raise ValueError(f"{path}: dx of {row['image_id']} is {row['dx']!r}, not one of {', '.join(CLASSES)}")
    keys = table["image_id"].str.lower()
    frame = table.assign(subset="training", _group=table["lesion_id"])
    frame["_target"] = table["dx"] if target == "diagnosis" else (table["dx"] == "mel").astype(int)
    for kind, end in (("image", ""), ("mask", "_segmentation")):
        found = scan.pick(ISIC_ID + end)
        paths = [found[key][1] if key in found else None for key in keys]
        frame[f"_{kind}"] = pd.Series(paths, index=frame.index, dtype=object)
    return finish(
        scan,
        frame,
        take_files(frame, ("image", "mask"), ("image",)),
        NAMES,
        target_names=CLASSES if target == "diagnosis" else ("other", "melanoma"),
        on_missing=on_missing,
        verify=verify,
        n_jobs=n_jobs,
        published={"training": 10015},
        notes=["dx_type leaks the class and must not be a feature"] if "dx_type" in table else [],
    )
