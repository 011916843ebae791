"""Archives become folders that are complete or not there, and can be verified later."""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ._download import check_space, disk_errors, size_text

__all__ = ["MEMBERS", "unpack", "verify_folder"]

MEMBERS = ".members.tsv"  # in each unpacked folder: CRC-32, size and path of every file
_JUNK = re.compile(rf"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|{re.escape(MEMBERS)}$)")
_CHUNK = 1 << 20


def unpack(archive: Path, target: Path, *, work: Path, verbose: bool = False) -> int:
    """Unpack a zip archive into the folder `target`, which is complete or not there.

    A single top folder of the name of `target` is left out, and so is what
    macOS adds (``__MACOSX``, ``._*``). A folder that is there is replaced.

    Parameters
    ----------
    archive : Path
        The archive.
    target : Path
        The folder.
    work : Path
        Folder on the same disk to unpack in.
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    ValueError
        If a member would be written outside of the folder, is a link, or is
        encrypted. Nothing is written then.
    OSError
        If the archive is damaged or the disk has no room.
    """
    from tqdm import tqdm

    fresh = work / f"unpack-{uuid.uuid4().hex}"
    try:
        with disk_errors(work), zipfile.ZipFile(archive) as packed:
            members = _checked(packed, archive, target.name)
            total = sum(info.file_size for info in members.values())
            check_space(work, total, f"unpacked, {archive.name}")
            fresh.mkdir()
            with (
                tqdm(total=total, unit="B", unit_scale=True, desc=f"unpack {target.name}", disable=not verbose) as bar,
                open(fresh / MEMBERS, "w", encoding="utf-8", newline="\n") as listed,
            ):
                for name, info in members.items():
                    path = fresh / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with packed.open(info) as source, open(path, "wb") as file:  # which checks the CRC at its end
                        shutil.copyfileobj(source, file, _CHUNK)
                    listed.write(f"{info.CRC:08x}\t{info.file_size}\t{name}\n")
                    bar.update(info.file_size)
        with disk_errors(work):
            old = work / f"old-{uuid.uuid4().hex}"
            if target.exists():
                os.replace(target, old)
            if hasattr(os, "sync"):
                os.sync()  # thousands of files, one by one, would take minutes
            os.replace(fresh, target)
            shutil.rmtree(old, ignore_errors=True)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        size = size_text(archive.stat().st_size)
        raise OSError(f"{archive.name} ({size}): the archive is damaged ({error})") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return len(members)


def _checked(packed: zipfile.ZipFile, archive: Path, folder: str) -> dict[str, zipfile.ZipInfo]:
    """Give the files of an archive by the paths they are to have, if all of them may be written."""
    files: dict[str, zipfile.ZipInfo] = {}
    for info in packed.infolist():
        # ZipInfo cuts at a zero byte and turns the separators of the system
        name = info.orig_filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or re.search(r"[\\:\x00-\x1f]", name):
            raise ValueError(f"{archive.name} is refused: its member {name!r} would be written outside of the folder")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ValueError(f"{archive.name} is refused: its member {name!r} is a link")
        if info.flag_bits & 1:
            raise ValueError(f"{archive.name} is refused: its member {name!r} is encrypted")
        if not info.is_dir() and not _JUNK.search(name):
            files[name] = info
    if not files:
        raise zipfile.BadZipFile("it holds no file")
    if all(name.startswith(f"{folder}/") for name in files):
        files = {name.removeprefix(f"{folder}/"): info for name, info in files.items()}
    return files


def verify_folder(folder: Path) -> tuple[int, list[str], list[str]] | None:
    """Compare an unpacked folder with what was in its archive.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    tuple of (int, list of str, list of str) or None
        How many files there should be, which are missing and which have
        another size or CRC-32; None if the folder was not unpacked here.
    """
    listed = folder / MEMBERS
    if not listed.is_file():
        return None
    missing, changed, n_files = [], [], 0
    for line in listed.read_text(encoding="utf-8").splitlines():
        crc, size, name = line.split("\t", 2)
        path, n_files = folder / name, n_files + 1
        if not path.is_file():
            missing.append(name)
        elif path.stat().st_size != int(size) or _crc(path) != int(crc, 16):
            changed.append(name)
    return n_files, missing, changed


def _crc(path: Path) -> int:
    value = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
