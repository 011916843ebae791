"""The ISIC Archive, through its official client."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._docs import fill_doc
from .._files import write_file
from ._catalog import Dataset
from ._download import disk_errors
from ._isic import ISIC_ID, NAMES
from ._layout import FolderScan, finish, read_table
from ._store import ARCHIVE as NAME
from ._store import SELECTION, ask_license, get_data_home

__all__ = ["fetch_isic_archive", "load_isic_archive"]

_TARGETS = ("diagnosis_1", "benign_malignant", "diagnosis")
_LAST_LINES = 12
ARCHIVE = Dataset(
    NAME,
    "ISIC Archive",
    "each image has its own, in the column copyright_license",
    False,
    "the attributions of the images (column attribution, file attribution.txt)",
    "https://www.isic-archive.com",
)


@fill_doc()
def load_isic_archive(
    folder: str | os.PathLike[str],
    *,
    target: str | None = None,
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load images of the ISIC Archive from the folder that its client wrote.

    Parameters
    ----------
    folder : path-like
        The folder given to ``isic image download``: ``metadata.csv`` and images
        such as ``ISIC_0000000.jpg``.
    target : str, default=None
        Column of the classes; if None the first of ``diagnosis_1`` (Benign,
        Malignant, Indeterminate), ``benign_malignant`` and ``diagnosis`` that is
        there.
    %(loading)s

    Returns
    -------
    %(loaded)s

    Raises
    ------
    FileNotFoundError
        If the folder is another one.
    ValueError
        If there is no such column.

    See Also
    --------
    fetch_isic_archive : Downloads such a folder.

    Notes
    -----
    Groups are patients, or lesions where the patient is not known. Each image
    has its license in the column ``copyright_license`` and whom to name in
    ``attribution``. Not all images of the archive are dermoscopic: see the column
    ``image_type``.

    Examples
    --------
    >>> from skinseg.datasets import load_isic_archive
    >>> data = load_isic_archive("images", target="diagnosis_1")  # doctest: +SKIP
    >>> data.frame["copyright_license"].value_counts()  # doctest: +SKIP
    """
    scan = FolderScan(folder, ARCHIVE)
    path = scan.table("metadata", suffix=".csv")
    if path is None:
        scan.fail("metadata.csv, and images such as ISIC_0000000.jpg")
    frame = read_table(path, {"image_id": ("isic_id",)})
    if target is None:
        target = next((column for column in _TARGETS if column in frame), None)
    elif target not in frame:
        raise ValueError(f"{path} has no column {target!r} (target); its columns are {list(map(str, frame.columns))}")
    nothing = pd.Series([None] * len(frame), dtype=object)
    frame["_target"] = frame[target].astype(object) if target else nothing
    frame["_group"] = _groups(frame)
    frame["subset"] = "archive"
    found = scan.pick(ISIC_ID)
    files = {"image": [found.get(key.lower(), ("", None))[1] for key in frame["image_id"]]}
    licenses = frame["copyright_license"].value_counts() if "copyright_license" in frame else {}
    names = sorted(frame["_target"].dropna().astype(str).unique()) if target else None
    return finish(
        scan, frame, files, NAMES, target_names=names, on_missing=on_missing, verify=verify, n_jobs=n_jobs,
        published={},
        notes=[f"{n:,} images {name}" for name, n in licenses.items()] + ([f"Target: {target}"] if target else []),
    )  # fmt: skip


def _groups(frame: pd.DataFrame) -> pd.Series:
    """Give the patient; of lesions whose patient some image names, for all their images; else the lesion."""
    nothing = pd.Series([None] * len(frame), dtype=object)
    patient, lesion = (frame[name].astype(object) if name in frame else nothing for name in ("patient_id", "lesion_id"))
    known = pd.DataFrame({"lesion": lesion, "patient": patient}).dropna().drop_duplicates("lesion")
    of_lesion = lesion.map(dict(zip(known["lesion"], known["patient"], strict=True))).astype(object)
    group = patient.where(patient.notna(), of_lesion)
    return group.where(group.notna(), lesion)


def fetch_isic_archive(
    data_home: str | os.PathLike[str] | None = None,
    *,
    query: str | None = None,
    collections: int | Iterable[int] | None = None,
    limit: int | None = None,
    target: str | None = None,
    accept_license: bool = False,
    executable: str = "isic",
    on_missing: str = "warn",
    verbose: bool = False,
) -> Bunch:
    """Download images of the ISIC Archive through its official client, and load them.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data sets, see `get_data_home`; each selection is kept in a
        folder of its own in ``isic_archive`` in it.
    query : str, default=None
        Search query of the archive, such as
        ``'age_approx:[20 TO 40] AND image_type:dermoscopic'``.
    collections : int or iterable of int, default=None
        Numbers of collections, as ``isic collection list`` gives them; images of
        any of them are taken.
    limit : int, default=None
        At most so many images, at least 1.
    target : str, default=None
        Column of the classes, see `load_isic_archive`.
    accept_license : bool, default=False
        Say that you keep to the licenses. If images without commercial use are
        among those selected, nothing is downloaded before that is said (or in the
        environment variable ``SKINSEG_ACCEPT_LICENSE``).
    executable : str, default="isic"
        The client: a name on the search path, or a path.
    on_missing : {"warn", "raise", "ignore"}, default="warn"
        What to do about images that did not come, see `load_isic_archive`.
    verbose : bool, default=False
        Whether to show what the client writes.

    Returns
    -------
    data : Bunch
        See `load_isic_archive`.

    Raises
    ------
    ImportError
        If the client is not installed.
    OSError
        If it fails: with its exit code and the last lines it wrote.
    ValueError
        If nothing is selected or found, or a license has to be accepted.

    See Also
    --------
    load_isic_archive : Loads such a folder, also one the client wrote by itself.

    Notes
    -----
    The client asks for metadata first (``isic metadata download``), of which the
    licenses are read, then for images (``isic image download``); images that are
    there in full are not downloaded again. To download all of the archive, give
    ``limit`` or a query that all images fit. Images for which you need to log in
    come after ``isic user login``.

    References
    ----------
    .. [1] isic-cli, the client: https://github.com/ImageMarkup/isic-cli

    Examples
    --------
    >>> from skinseg.datasets import fetch_isic_archive
    >>> data = fetch_isic_archive(collections=70, limit=100, accept_license=True)  # doctest: +SKIP
    """
    options = _options(query, collections, limit)
    program = shutil.which(os.path.expanduser(executable))
    if program is None:
        raise ImportError(
            f"the client of the ISIC Archive, {executable!r}, is not installed: pip install isic-cli (or take its "
            "release at https://github.com/ImageMarkup/isic-cli/releases), or give its path as executable"
        )
    key = hashlib.sha256("\0".join(options).encode()).hexdigest()[:12]
    folder = get_data_home(data_home) / ARCHIVE.name / key
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / SELECTION, ("\n".join(options) + "\n").encode())
    _check_licenses(program, options, folder, accept_license, verbose)
    _run([program, "image", "download", *options, str(folder)], verbose)
    return load_isic_archive(folder, target=target, on_missing=on_missing)


def _options(query: str | None, collections: int | Iterable[int] | None, limit: int | None) -> list[str]:
    """Check the selection, and write it as the client reads it; with ``=``, so that no value is taken for an option."""
    chosen = [collections] if isinstance(collections, int | np.integer) else list(collections or ())
    wrong = [number for number in chosen if not isinstance(number, Integral) or number < 1]
    if wrong:
        raise ValueError(f"collections must be numbers of collections (isic collection list), got {wrong[0]!r}")
    if limit is not None and (not isinstance(limit, Integral) or limit < 1):
        raise ValueError(f"limit must be a whole number of at least 1, got {limit!r}")
    options = [f"--search={query}"] if query else []
    options += [f"--collections={','.join(str(int(number)) for number in chosen)}"] if chosen else []
    options += [f"--limit={int(limit)}"] if limit else []
    if not options:
        raise ValueError("nothing is selected: give a query, collections or a limit; all of the archive has tens of GB")
    return options


def _check_licenses(program: str, options: Sequence[str], folder: Path, accepted: bool, verbose: bool) -> None:
    """Ask for the metadata alone, and read the licenses of the images that would come."""
    path = folder / ".selected.csv"
    path.unlink(missing_ok=True)
    _run([program, "metadata", "download", *options, f"--outfile={path}"], verbose)
    if not path.is_file():
        raise ValueError(f"no image of the ISIC Archive fits {' '.join(options)}")
    table = read_table(path, {"image_id": ("isic_id",), "license": ("copyright_license",)})
    path.unlink()
    counts = table["license"].astype(str).value_counts()
    bound = {name: n for name, n in counts.items() if "NC" in str(name).upper().split("-")}
    if bound:
        text = ", ".join(f"{n:,} of {len(table):,} images {name}" for name, n in bound.items())
        ask_license(replace(ARCHIVE, license=text, non_commercial=True), accepted)


def _run(command: Sequence[str], verbose: bool) -> None:
    """Run the client, and give its last lines if it fails."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise ImportError(f"{command[0]} cannot be run ({error.strerror}); give another executable") from None
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                last.append(line.rstrip())
                if verbose:
                    sys.stderr.write(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        lines = "\n".join(line for line in last if line)
        raise OSError(
            f"{' '.join(command[:3])} ended with exit code {process.returncode}{':' if lines else ''}\n{lines}".rstrip()
        )
