"""Fetchers: each downloads what is missing of a published data set, and loads it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from sklearn.utils import Bunch

from .._docs import fill_doc
from ._archive import fetch_isic_archive
from ._catalog import CATALOG
from ._ham10000 import load_ham10000
from ._isic import load_isic2016, load_isic2017
from ._isic2018 import load_isic2018
from ._isic2019 import load_isic2019, load_isic2020
from ._layout import check_choice
from ._registry import REGISTRY, SUBSETS
from ._store import ARCHIVE, ensure

__all__ = [
    "FETCHERS",
    "fetch_by_name",
    "fetch_ham10000",
    "fetch_isic2016",
    "fetch_isic2017",
    "fetch_isic2018",
    "fetch_isic2019",
    "fetch_isic2020",
]


def _fetch(
    name: str,
    load: Callable[..., Bunch],
    choice: Mapping[str, str],
    loading: Mapping[str, Any],
    data_home: str | os.PathLike[str] | None,
    **how: Any,
) -> Bunch:
    """Check what can be checked before gigabytes are downloaded; then download, then load."""
    known = [parameter for parameter in inspect.signature(load).parameters if parameter not in ("folder", *choice)]
    for parameter in loading:
        if parameter not in known:
            raise TypeError(
                f"fetch_{name}() has no parameter {parameter!r}; those of the loader are {', '.join(known)}"
            )
    files = REGISTRY[name]
    task, subset = choice.get("task"), choice.get("subset", "all")
    tasks = {task for file in files for task in file.tasks} or {"segmentation", "classification"}
    subsets = [one for one in SUBSETS if one in {file.subset for file in files}]
    if task is not None:
        check_choice(task=(task, sorted(tasks)))
    if "subset" in choice:
        check_choice(subset=(subset, (*subsets, "all")))
    needed = [
        file for file in files if subset in ("all", file.subset or "all") and (not file.tasks or task in file.tasks)
    ]
    return load(ensure(name, needed, data_home, **how), **choice, **loading)


@fill_doc()
def fetch_isic2016(
    data_home: str | os.PathLike[str] | None = None,
    *,
    task: str = "segmentation",
    subset: str = "training",
    accept_license: bool = False,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    base_url: str | None = None,
    checksums: Mapping[str, str | None] | None = None,
    verbose: bool = False,
    **loading: Any,
) -> Bunch:
    """Download the ISIC 2016 challenge if it is not there, and load it.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; this one is kept in
        ``isic2016`` in it.
    task : {"segmentation", "classification"}, default="segmentation"
        What to load, see `load_isic2016`; what is downloaded is the same.
    subset : {"training", "test", "all"}, default="training"
        608 MB, 234 MB, or both.
    %(fetching)s

    Returns
    -------
    %(fetched)s

    Raises
    ------
    %(fetching_raises)s

    See Also
    --------
    load_isic2016 : Loads what is there.
    verify_dataset : Compares what is there with what was downloaded.

    Notes
    -----
    CC0. No checksum of these files is published: they are trusted when they are
    downloaded first, see `fetch_isic2017`.

    Examples
    --------
    >>> from skinseg.datasets import fetch_isic2016
    >>> data = fetch_isic2016()  # doctest: +SKIP
    """
    return _fetch(
        "isic2016", load_isic2016, {"task": task, "subset": subset}, loading, data_home,
        accept_license=accept_license, download_if_missing=download_if_missing, n_retries=n_retries, delay=delay,
        base_url=base_url, checksums=checksums, verbose=verbose,
    )  # fmt: skip


@fill_doc()
def fetch_isic2017(
    data_home: str | os.PathLike[str] | None = None,
    *,
    task: str = "segmentation",
    subset: str = "training",
    accept_license: bool = False,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    base_url: str | None = None,
    checksums: Mapping[str, str | None] | None = None,
    verbose: bool = False,
    **loading: Any,
) -> Bunch:
    """Download the ISIC 2017 challenge if it is not there, and load it.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; this one is kept in
        ``isic2017`` in it.
    task : {"segmentation", "classification"}, default="segmentation"
        What to load, see `load_isic2017`; what is downloaded is the same.
    subset : {"training", "validation", "test", "all"}, default="training"
        5.8 GB, 0.9 GB, 5.4 GB, or all of them.
    %(fetching)s

    Returns
    -------
    %(fetched)s

    Raises
    ------
    %(fetching_raises)s

    See Also
    --------
    load_isic2017 : Loads what is there.
    verify_dataset : Compares what is there with what was downloaded.

    Notes
    -----
    CC0. Each file is checked with the checksum in ``checksums``, else with the one
    known here, else with the one that ``checksums.json`` in the folder of the data
    set has from the first download: what comes first is trusted then, and its
    SHA-256 is written down. Where the known ones come from is in the column
    ``origin`` of `verify_dataset`; the publisher gives none for the ISIC
    challenges.

    An archive is unpacked into a folder of its name and then deleted. One that
    lies in the folder of the data set already, downloaded by hand, is taken as it
    is (and kept), and so is a folder that was unpacked by hand. Several processes
    may fetch the same data set: one works, the others wait.

    A download that is cut goes on where it ended, in the same call or in a later
    one. Files get their final names when they are complete and checked.

    Examples
    --------
    >>> from skinseg.datasets import fetch_isic2017
    >>> data = fetch_isic2017()  # doctest: +SKIP
    """
    return _fetch(
        "isic2017", load_isic2017, {"task": task, "subset": subset}, loading, data_home,
        accept_license=accept_license, download_if_missing=download_if_missing, n_retries=n_retries, delay=delay,
        base_url=base_url, checksums=checksums, verbose=verbose,
    )  # fmt: skip


@fill_doc()
def fetch_isic2018(
    data_home: str | os.PathLike[str] | None = None,
    *,
    task: str = "segmentation",
    subset: str = "training",
    accept_license: bool = False,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    base_url: str | None = None,
    checksums: Mapping[str, str | None] | None = None,
    verbose: bool = False,
    **loading: Any,
) -> Bunch:
    """Download the ISIC 2018 challenge if it is not there, and load it.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; this one is kept in
        ``isic2018`` in it.
    task : {"segmentation", "attributes", "classification"}, default="segmentation"
        What to download and to load, see `load_isic2018`.
    subset : {"training", "validation", "test", "all"}, default="training"
        Of Tasks 1 and 2 11.2 GB, 0.2 GB and 2.2 GB; of Task 3 2.6 GB, 0.05 GB and
        0.4 GB.
    %(fetching)s

    Returns
    -------
    %(fetched)s

    Raises
    ------
    %(fetching_raises)s

    See Also
    --------
    load_isic2018 : Loads what is there.
    verify_dataset : Compares what is there with what was downloaded.

    Notes
    -----
    CC BY-NC 4.0, so that ``accept_license=True`` is needed. (The data page has
    Tasks 1 and 2 as CC0 and Task 3 as CC BY-NC; as part of the images are of
    HAM10000 in all of them, all are asked for.) Checksums are known of Task 1.

    Examples
    --------
    >>> from skinseg.datasets import fetch_isic2018
    >>> data = fetch_isic2018(accept_license=True)  # doctest: +SKIP
    """
    return _fetch(
        "isic2018", load_isic2018, {"task": task, "subset": subset}, loading, data_home,
        accept_license=accept_license, download_if_missing=download_if_missing, n_retries=n_retries, delay=delay,
        base_url=base_url, checksums=checksums, verbose=verbose,
    )  # fmt: skip


@fill_doc()
def fetch_isic2019(
    data_home: str | os.PathLike[str] | None = None,
    *,
    subset: str = "training",
    accept_license: bool = False,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    base_url: str | None = None,
    checksums: Mapping[str, str | None] | None = None,
    verbose: bool = False,
    **loading: Any,
) -> Bunch:
    """Download the ISIC 2019 challenge if it is not there, and load it.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; this one is kept in
        ``isic2019`` in it.
    subset : {"training", "test", "all"}, default="training"
        9.8 GB, 3.6 GB, or both.
    %(fetching)s

    Returns
    -------
    %(fetched)s

    Raises
    ------
    %(fetching_raises)s

    See Also
    --------
    load_isic2019 : Loads what is there.
    verify_dataset : Compares what is there with what was downloaded.

    Notes
    -----
    CC BY-NC 4.0, so that ``accept_license=True`` is needed. Checksums are known of
    the training set.

    Examples
    --------
    >>> from skinseg.datasets import fetch_isic2019
    >>> data = fetch_isic2019(accept_license=True)  # doctest: +SKIP
    """
    return _fetch(
        "isic2019", load_isic2019, {"subset": subset}, loading, data_home,
        accept_license=accept_license, download_if_missing=download_if_missing, n_retries=n_retries, delay=delay,
        base_url=base_url, checksums=checksums, verbose=verbose,
    )  # fmt: skip


@fill_doc()
def fetch_isic2020(
    data_home: str | os.PathLike[str] | None = None,
    *,
    subset: str = "training",
    accept_license: bool = False,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    base_url: str | None = None,
    checksums: Mapping[str, str | None] | None = None,
    verbose: bool = False,
    **loading: Any,
) -> Bunch:
    """Download the SIIM-ISIC 2020 challenge, as JPEG if it is not there, and load it.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; this one is kept in
        ``isic2020`` in it.
    subset : {"training", "test", "all"}, default="training"
        24.7 GB, 6.7 GB, or both.
    %(fetching)s

    Returns
    -------
    %(fetched)s

    Raises
    ------
    %(fetching_raises)s

    See Also
    --------
    load_isic2020 : Loads what is there.
    verify_dataset : Compares what is there with what was downloaded.

    Notes
    -----
    CC BY-NC 4.0, so that ``accept_license=True`` is needed. Checksums are known of
    the training tables.

    Examples
    --------
    >>> from skinseg.datasets import fetch_isic2020
    >>> data = fetch_isic2020(accept_license=True)  # doctest: +SKIP
    """
    return _fetch(
        "isic2020", load_isic2020, {"subset": subset}, loading, data_home,
        accept_license=accept_license, download_if_missing=download_if_missing, n_retries=n_retries, delay=delay,
        base_url=base_url, checksums=checksums, verbose=verbose,
    )  # fmt: skip


@fill_doc()
def fetch_ham10000(
    data_home: str | os.PathLike[str] | None = None,
    *,
    accept_license: bool = False,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    base_url: str | None = None,
    checksums: Mapping[str, str | None] | None = None,
    verbose: bool = False,
    **loading: Any,
) -> Bunch:
    """Download HAM10000 with its masks, 2.8 GB, if it is not there, and load it.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; this one is kept in
        ``ham10000`` in it.
    %(fetching)s

    Returns
    -------
    %(fetched)s

    Raises
    ------
    %(fetching_raises)s

    See Also
    --------
    load_ham10000 : Loads what is there.
    verify_dataset : Compares what is there with what was downloaded.

    Notes
    -----
    CC BY-NC 4.0, so that ``accept_license=True`` is needed. The files come from
    Harvard Dataverse, which publishes their MD5.

    Examples
    --------
    >>> from skinseg.datasets import fetch_ham10000
    >>> data = fetch_ham10000(accept_license=True)  # doctest: +SKIP
    """
    return _fetch(
        "ham10000", load_ham10000, {}, loading, data_home,
        accept_license=accept_license, download_if_missing=download_if_missing, n_retries=n_retries, delay=delay,
        base_url=base_url, checksums=checksums, verbose=verbose,
    )  # fmt: skip


_LOADERS: dict[str, Callable[..., Bunch]] = {
    "isic2016": load_isic2016,
    "isic2017": load_isic2017,
    "isic2018": load_isic2018,
    "isic2019": load_isic2019,
    "isic2020": load_isic2020,
    "ham10000": load_ham10000,
}
FETCHERS: dict[str, Callable[..., Bunch]] = {
    "isic2016": fetch_isic2016,
    "isic2017": fetch_isic2017,
    "isic2018": fetch_isic2018,
    "isic2019": fetch_isic2019,
    "isic2020": fetch_isic2020,
    "ham10000": fetch_ham10000,
}
"""The fetchers by the short names of their data sets."""


def fetch_by_name(name: str, data_home: str | os.PathLike[str] | None = None, **parameters: Any) -> Bunch:
    """Download a data set by its short name, and load it.

    Parameters
    ----------
    name : str
        Such as ``"isic2017"`` or ``"isic_archive"``.
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`.
    **parameters : dict
        Of its fetcher, such as `fetch_isic2017`.

    Returns
    -------
    data : Bunch
        As the fetcher gives it.

    Raises
    ------
    ValueError
        If there is no such data set, it cannot be downloaded, or its fetcher has
        no such parameter.

    Examples
    --------
    >>> from skinseg.datasets import fetch_by_name
    >>> data = fetch_by_name("isic2017", subset="validation")  # doctest: +SKIP
    """
    fetchers = FETCHERS | {ARCHIVE: fetch_isic_archive}
    if name not in fetchers and name in CATALOG:
        raise ValueError(
            f"{name} cannot be downloaded by a program. Get it from {CATALOG[name].home}, unpack it, and load the "
            f"folder with skinseg.datasets.load_{name}"
        )
    if name not in fetchers:
        raise ValueError(f"{name!r} is no data set that can be fetched; they are {', '.join(fetchers)}")
    known = list(inspect.signature(fetchers[name]).parameters)
    if name in FETCHERS:
        known += list(inspect.signature(_LOADERS[name]).parameters)
    foreign = [parameter for parameter in parameters if parameter not in known]
    if foreign:
        raise ValueError(f"{name} has no {' and no '.join(foreign)} to choose")
    return fetchers[name](data_home, **parameters)
