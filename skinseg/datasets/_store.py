"""The folder in which fetched data sets are kept, and how they get there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .._files import write_file
from ._catalog import CATALOG, Dataset
from ._download import DiskError, disk_errors, download_file, import_pooch, locked
from ._registry import REGISTRY, RemoteFile
from ._unpack import MEMBERS, unpack, verify_folder

__all__ = ["ask_license", "clear_data_home", "ensure", "get_data_home", "list_datasets", "verify_dataset"]

CHECKSUMS = "checksums.json"  # in each data set: what was downloaded, from where, and what it was checked with
ARCHIVE = "isic_archive"  # folder of the selections of the ISIC Archive
SELECTION = "selection.txt"  # in each of them
FIRST_USE = "first download"
PINNED = "given by the caller"
_WORK = ".download"  # in each data set while something is fetched
_LOCK = ".lock"  # likewise, held by the process that fetches
_KINDS = ("sha256:", "sha512:", "sha1:", "md5:")


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Give the folder in which fetched data sets are kept; it is made if it is not there.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder; if None the one that the environment variable
        ``SKINSEG_HOME`` names, else ``skinseg_data`` in the user's home folder.

    Returns
    -------
    Path
        The folder, as an absolute path.

    Raises
    ------
    OSError
        If it cannot be made.

    Examples
    --------
    >>> import os, tempfile
    >>> from skinseg.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = get_data_home(os.path.join(folder, "skin"))
    ...     home.is_dir(), home.name
    (True, 'skin')
    """
    home = _home(data_home)
    if home.exists() and not home.is_dir():
        raise OSError(f"{home} is a file and cannot be the folder of the data sets; give another data_home")
    with disk_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    return home


def _home(data_home: str | os.PathLike[str] | None) -> Path:
    chosen = data_home if data_home is not None else os.environ.get("SKINSEG_HOME") or "~/skinseg_data"
    return Path(chosen).expanduser().absolute()


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete the data sets that were fetched.

    What was put there by hand stays: archives, folders that were unpacked by
    hand, and any other file. Folders in which nothing is left are deleted.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder of the data sets, see `get_data_home`.

    Examples
    --------
    >>> import tempfile
    >>> from skinseg.datasets import clear_data_home, get_data_home
    >>> home = get_data_home(tempfile.mkdtemp())
    >>> clear_data_home(home)
    >>> home.exists()
    False
    """
    home = _home(data_home)
    with disk_errors(home):
        for name in REGISTRY:
            _clear(name, home / name)
        for selection in (home / ARCHIVE).glob(f"*/{SELECTION}"):
            shutil.rmtree(selection.parent)
        for folder in (*(home / name for name in (*REGISTRY, ARCHIVE)), home):
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()


def _clear(name: str, folder: Path) -> None:
    """Delete what was fetched of a data set; no more than that, even if it cannot be read what that was."""
    try:
        records = read_checksums(folder)
    except OSError:
        records = {}
    for file in REGISTRY[name]:
        path = folder / file.stored
        if file.packed and (path / MEMBERS).is_file():
            shutil.rmtree(path)
        elif not file.packed and file.name in records:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    for file_name in (CHECKSUMS, _LOCK):
        (folder / file_name).unlink(missing_ok=True)


def ask_license(dataset: Dataset, accepted: bool) -> None:
    """Refuse data that exclude commercial use until the caller has said that this is known.

    Parameters
    ----------
    dataset : Dataset
        The data set.
    accepted : bool
        What the caller said. The environment variable
        ``SKINSEG_ACCEPT_LICENSE`` says so as well: names of data sets with
        commas between them, or ``all``.

    Raises
    ------
    ValueError
        If it is not accepted.
    """
    said = {word.strip() for word in os.environ.get("SKINSEG_ACCEPT_LICENSE", "").split(",")}
    if accepted or not dataset.non_commercial or said & {dataset.name, "all"}:
        return
    raise ValueError(
        f"{dataset.name} is licensed for non-commercial use only ({dataset.license}). Read the terms at "
        f"{dataset.home}; if you keep to them, give accept_license=True (command: --accept-license; environment: "
        f"SKINSEG_ACCEPT_LICENSE={dataset.name}). To be cited: {dataset.citation}"
    )


def ensure(
    name: str,
    files: Iterable[RemoteFile],
    data_home: str | os.PathLike[str] | None,
    *,
    accept_license: bool,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
    base_url: str | None,
    checksums: Mapping[str, str | None] | None,
    verbose: bool,
) -> Path:
    """Download and unpack what is not there yet.

    Parameters
    ----------
    name : str
        Short name of the data set.
    files : iterable of RemoteFile
        What is needed of it.
    data_home : path-like or None
        See `get_data_home`.
    accept_license, download_if_missing, n_retries, delay, base_url, checksums, verbose : object
        See `fetch_isic2017`.

    Returns
    -------
    Path
        The folder of the data set.
    """
    pinned = _check_pins(name, checksums)
    folder = _home(data_home) / name
    files = list(files)
    missing = _missing(folder, files)
    if not missing:
        return folder  # without writing anything: it may be a folder that others share
    if not download_if_missing:
        raise OSError(f"{folder} lacks {', '.join(file.name for file in missing)}, and download_if_missing is False")
    ask_license(CATALOG[name], accept_license)
    import_pooch()
    folder = get_data_home(data_home) / name
    if verbose:
        print(f"{CATALOG[name].describe()}\nFolder: {folder}")
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
        with locked(folder / _LOCK):
            missing = _missing(folder, files)  # another process may have brought them by now
            work = folder / _WORK
            work.mkdir(exist_ok=True)
            _tidy(work)
            for file in missing:
                urls = file.urls if base_url is None else (f"{base_url.rstrip('/')}/{file.name}",)
                _bring(file, folder, urls, pinned, n_retries=n_retries, delay=delay, verbose=verbose)
            shutil.rmtree(work, ignore_errors=True)
    return folder


def _check_pins(name: str, checksums: Mapping[str, str | None] | None) -> dict[str, str | None]:
    pinned = dict(checksums or {})
    known = [file.name for file in REGISTRY[name]]
    for file, checksum in pinned.items():
        if file not in known:
            raise ValueError(f"checksums names {file!r}, which is no file of {name}; they are {', '.join(known)}")
        if checksum is not None and not str(checksum).startswith(_KINDS):
            raise ValueError(f"checksums[{file!r}] must be {' or '.join(_KINDS)} and the digest, got {checksum!r}")
    return pinned


def _missing(folder: Path, files: Iterable[RemoteFile]) -> list[RemoteFile]:
    """Give what is not there; a folder of an archive that is there is complete, for it got its name at the end."""
    return [file for file in files if not (folder / file.stored).exists()]


def _tidy(work: Path) -> None:
    """Remove what a process left that was killed, but for what can be resumed."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif not path.name.endswith((".part", ".part.json", ".zip", ".csv")):
            path.unlink()


def _bring(file: RemoteFile, folder: Path, urls: tuple[str, ...], pinned: Mapping[str, str | None], **how: Any) -> None:
    """Download a file, or take the archive that lies in the folder; check it, unpack it, write down its checksum."""
    records = read_checksums(folder)
    checksum, origin = _checksum(file, pinned, records)
    path = folder / file.name
    by_hand = file.packed and path.is_file()
    if not by_hand:
        path = folder / _WORK / file.name
        download_file(urls, path, checksum=checksum, **how)
    elif checksum is not None and (found := _hash(path, checksum)) != checksum:
        raise OSError(f"{path}: expected {checksum} ({origin}), found {found}; remove it, and it is downloaded")
    record = {
        "checksum": checksum or _hash(path, "sha256:"),
        "origin": origin,
        "size": path.stat().st_size,
        "url": "" if by_hand else urls[0].rpartition("/")[0],
    }
    if file.packed:
        try:
            record["files"] = unpack(path, folder / file.stored, work=folder / _WORK, verbose=how["verbose"])
        except (ValueError, OSError) as error:
            if not by_hand and not isinstance(error, DiskError):  # what is bad is not kept, what did not fit is
                path.unlink(missing_ok=True)
            raise
        if not by_hand:
            path.unlink()
    else:
        os.replace(path, folder / file.name)
    write_file(folder / CHECKSUMS, json.dumps(records | {file.name: record}, indent=1).encode())


def _checksum(file: RemoteFile, pinned: Mapping[str, str | None], records: Mapping[str, Any]) -> tuple[str | None, str]:
    """Give what a file is to be checked with, and where that comes from."""
    if file.name in pinned:
        return pinned[file.name], PINNED if pinned[file.name] else FIRST_USE
    if file.checksum is not None:
        return file.checksum, file.source
    recorded = records.get(file.name, {})
    return recorded.get("checksum"), FIRST_USE


def _hash(path: Path, like: str) -> str:
    kind = like.partition(":")[0]
    return f"{kind}:{import_pooch().file_hash(str(path), alg=kind)}"


def read_checksums(folder: Path) -> dict[str, Any]:
    """Read what was written down of the downloads of a data set.

    Parameters
    ----------
    folder : Path
        Folder of the data set.

    Returns
    -------
    dict
        By the name of the file: checksum, origin, size, url, and the number of
        files in an archive. Empty if there is none.
    """
    try:
        return dict(json.loads((folder / CHECKSUMS).read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise OSError(f"{folder / CHECKSUMS} cannot be read ({error}); remove it to begin a new one") from None


def list_datasets(data_home: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """List the published data sets that are known here, and what of them is there.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder of the data sets, see `get_data_home`; it is not made.

    Returns
    -------
    DataFrame
        A row a data set: ``name``, ``license``, ``non_commercial``,
        ``download`` (about how much all of it is, in MB; NaN if it cannot be
        fetched), ``state`` (``"complete"``, ``"7 of 9 files"``, ``"not
        fetched"``, ``"by hand"``) and ``home``.

    Examples
    --------
    >>> import tempfile
    >>> from skinseg.datasets import list_datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = list_datasets(folder).set_index("name")
    >>> table.loc["ham10000", "license"], table.loc["ham10000", "state"]
    ('CC-BY-NC-4.0', 'not fetched')
    """
    rows = []
    for name, dataset in CATALOG.items():
        files = REGISTRY.get(name, ())
        here = len(files) - len(_missing(_home(data_home) / name, files))
        state = "by hand" if not files else "not fetched" if not here else f"{here} of {len(files)} files"
        rows.append(
            {
                "name": name,
                "license": dataset.license,
                "non_commercial": dataset.non_commercial,
                "download": sum(file.megabytes for file in files) or float("nan"),
                "state": "complete" if files and here == len(files) else state,
                "home": dataset.home,
            }
        )
    return pd.DataFrame(rows)


def verify_dataset(name: str, data_home: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Compare the files of a fetched data set with what was downloaded.

    Images are compared one by one with size and CRC-32 in the archive they
    came from, tables with their checksum.

    Parameters
    ----------
    name : str
        Short name of the data set, such as ``"isic2017"``.
    data_home : path-like, default=None
        The folder of the data sets, see `get_data_home`.

    Returns
    -------
    DataFrame
        A row for each file of the data set: ``file``, ``status`` (``"ok"``,
        ``"damaged"``, ``"not fetched"``, or ``"not checked"`` if it was not
        unpacked here), ``files`` (how many there should be), ``problems``
        (list of what is missing or changed), ``checksum`` of the download and
        its ``origin``.

    Raises
    ------
    ValueError
        If the name is not known, or nothing of the data set is fetched.

    Examples
    --------
    >>> from skinseg.datasets import verify_dataset
    >>> table = verify_dataset("isic2017")  # doctest: +SKIP
    """
    if name not in REGISTRY:
        raise ValueError(f"{name!r} is no data set that is fetched; they are {', '.join(REGISTRY)}")
    folder = _home(data_home) / name
    if not folder.is_dir():
        raise ValueError(f"{name} is not fetched: there is no folder {folder}")
    records = read_checksums(folder)
    rows = [{"file": file.name, **_verify(file, folder, records.get(file.name, {}))} for file in REGISTRY[name]]
    return pd.DataFrame(rows)


def _verify(file: RemoteFile, folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    status, n_files, problems = "not checked", 0, []
    path = folder / file.stored
    checksum = record.get("checksum", "")
    if not path.exists():
        status = "not fetched"
    elif file.packed and (found := verify_folder(path)):
        n_files, missing, changed = found
        problems = [f"{member}: missing" for member in missing] + [f"{member}: changed" for member in changed]
        status = "damaged" if problems else "ok"
    elif not file.packed and checksum:
        n_files, now = 1, _hash(path, checksum)
        problems = [] if now == checksum else [f"{file.name}: changed, expected {checksum}, found {now}"]
        status = "damaged" if problems else "ok"
    return {
        "status": status,
        "files": n_files,
        "problems": problems,
        "checksum": checksum,
        "origin": record.get("origin", ""),
    }
