"""What is known of a data set, or of a folder that holds one, in words."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from sklearn.utils import Bunch

from ..exceptions import MissingFilesError
from ._archive import load_isic_archive
from ._catalog import CATALOG
from ._download import size_text
from ._ham10000 import load_ham10000
from ._ima205 import load_ima205
from ._isic import load_isic2016, load_isic2017
from ._isic2018 import load_isic2018
from ._isic2019 import load_isic2019, load_isic2020
from ._ph2 import load_ph2
from ._registry import REGISTRY

__all__ = ["describe_dataset"]

_LOADERS: tuple[Callable[..., Bunch], ...] = (
    load_isic2016, load_isic2017, load_isic2018, load_isic2019, load_isic2020, load_ham10000, load_ph2,
    load_isic_archive, load_ima205,
)  # fmt: skip


def describe_dataset(name: str | os.PathLike[str]) -> str:
    """Describe a published data set, or a folder that holds one.

    Parameters
    ----------
    name : str or path-like
        Short name of a data set, such as ``"isic2017"``, or a folder in one of the
        published layouts.

    Returns
    -------
    str
        Title, license, citation and home page; of a data set also the files that
        are downloaded, their sizes and what their checksums come from; of a folder
        what is in it and what is missing.

    Raises
    ------
    ValueError
        If there is no such data set and no such folder, or the folder holds no
        data set that is known.

    Examples
    --------
    >>> from skinseg.datasets import describe_dataset
    >>> print(describe_dataset("ham10000"))  # doctest: +ELLIPSIS
    HAM10000: Human Against Machine with 10,000 training images
    License: CC-BY-NC-4.0 (no commercial use)
    Cite: Tschandl, P., ...
    Home: https://doi.org/10.7910/DVN/DBW86T
    Files: 4, about 2.8 GB
      HAM10000_images_part_1.zip  1.4 GB  checksum published by Harvard Dataverse
    ...
    """
    if str(name) in CATALOG:
        return _describe_known(str(name))
    if not Path(name).is_dir():
        raise ValueError(f"{name!s} is neither a data set nor a folder; the data sets are {', '.join(CATALOG)}")
    return _describe_folder(Path(name))


def _describe_known(name: str) -> str:
    files = REGISTRY.get(name, ())
    lines = [CATALOG[name].describe()]
    if not files:
        lines.append(f"Files: downloaded by hand from the home page; then skinseg.datasets.load_{name}(folder)")
        return "\n".join(lines)
    lines.append(f"Files: {len(files)}, about {size_text(1e6 * sum(file.megabytes for file in files))}")
    width = max(len(file.name) for file in files)
    for file in files:
        checked = f"checksum {file.source}" if file.checksum else "no checksum known, trusted when first downloaded"
        lines.append(f"  {file.name:<{width}}  {size_text(1e6 * file.megabytes):>6}  {checked}")
    return "\n".join(lines)


def _describe_folder(folder: Path) -> str:
    texts, wrong = [], []
    for load in _LOADERS:
        parameters = inspect.signature(load).parameters
        tasks = ("segmentation", "classification") if "task" in parameters else ("",)
        for task in tasks:
            choice = {"task": task} if task else {}
            choice |= {"subset": "all"} if "subset" in parameters else {}
            try:
                data = load(folder, on_missing="ignore", **choice)
            except FileNotFoundError as error:
                wrong += [str(error)] if isinstance(error, MissingFilesError) else []
                continue
            except ValueError as error:
                wrong.append(str(error))
                continue
            if task != "segmentation" or any(mask is not None for mask in data.masks):
                texts.append(_summary(data, task))  # images alone may be of any challenge
    if not texts:
        near = f". What is there cannot be loaded: {'; '.join(dict.fromkeys(wrong))}" if wrong else ""
        raise ValueError(f"{folder} holds no data set that is known; they are {', '.join(CATALOG)}{near}")
    return "\n\n".join(dict.fromkeys(texts))


def _summary(data: Bunch, task: str) -> str:
    lines = [data.DESCR] + ([f"Task: {task}"] if task else [])
    masks = [mask for mask in data.masks or () if mask is not None]
    lines.append(f"Images: {len(data.images):,}; masks: {len(masks):,}; groups: {len(set(data.groups)):,}")
    if data.target is not None:
        counts = Counter(
            "unknown" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)
            for value in data.target
        )
        lines.append("Classes: " + ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items())))
    if len(data.missing):
        kinds = data.missing["kind"].value_counts()
        lines.append("Missing: " + ", ".join(f"{n:,} {kind} files" for kind, n in kinds.items()))
    return "\n".join(lines)
