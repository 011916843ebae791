"""Writing files so that nothing half-written is ever seen, and reading numbers to the last digit."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "exact_floats",
    "growing_file",
    "growing_folder",
    "lock_file",
    "plain_text",
    "reason_of",
    "remove_folder",
    "retold",
    "sync_folder",
    "write_file",
    "writing_errors",
]

# some network file systems know no locks
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_writers: dict[tuple[int, int], int] = {}  # device and number of what grows, and the thread that writes it


def write_file(
    path: Path, data: bytes, *, durable: bool = True, temporary: Path | None = None, replace: bool = True
) -> None:
    """Write a file so that it is either complete or not there.

    Parameters
    ----------
    path : Path
        The file.
    data : bytes
        Its content.
    durable : bool, default=True
        Wait until the content is on the disk, so that a power cut cannot leave
        an empty file under the name either.
    temporary : Path, default=None
        Folder on the same file system in which the file grows; its own by default.
    replace : bool, default=True
        Whether to write over a file that is there.

    Raises
    ------
    FileExistsError
        If the file is there and is not to be replaced.
    OSError
        If there is no room, or no permission; the message names the file.
    """
    with growing_file(path, durable=durable, temporary=temporary, replace=replace) as file, writing_errors(path):
        file.write(data)


@contextmanager
def growing_file(
    path: Path, *, durable: bool = True, temporary: Path | None = None, replace: bool = True
) -> Iterator[BinaryIO]:
    """Give a file to write to, which gets its name when it is complete: where the block ends without an error.

    It grows as ``.<name>.partial``, locked: what a killed process left is taken
    over by the next one that writes the same file, and two at once write one
    after the other. A thread does not wait for itself: where its blocks of one
    file overlap, the one that ends last stays.

    Parameters
    ----------
    path, durable, temporary, replace : object
        See `write_file`.

    Yields
    ------
    file object
        To write bytes to.
    """
    with writing_errors(path):
        growing, file = _open_growing(path, temporary or path.parent)
    grows = _identity(file.fileno())
    _writers[grows] = threading.get_ident()
    try:
        if not replace and path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        yield file
        with writing_errors(path):
            file.flush()
            if durable:
                os.fsync(file.fileno())
            if sys.platform == "win32":  # where an open file cannot be renamed
                file.close()
            (os.replace if replace else os.rename)(growing, path)  # which on Windows replaces nothing
    except BaseException:
        _discard(growing, file)
        raise
    finally:
        _writers.pop(grows, None)
        with suppress(OSError):  # there was no room for what was left to write
            file.close()


def _hidden(name: str) -> str:
    """Give a hidden name that belongs to one; names have 255 bytes at most, a character up to four of them."""
    return f".{name}" if len(name) <= 50 else f".{name[:50]}{zlib.crc32(os.fsencode(name)):08x}"


def _discard(growing: Path, file: BinaryIO) -> None:
    with suppress(OSError, ValueError):
        if sys.platform == "win32":
            file.close()
            growing.unlink()
        elif os.path.samestat(os.fstat(file.fileno()), os.stat(growing)):  # not that of the next one in line
            growing.unlink()


def _identity(file: int | Path) -> tuple[int, int]:
    found = os.stat(file)
    return found.st_dev, found.st_ino


def _is_ours(growing: Path) -> bool:
    """Whether this thread itself is writing it, under whatever name: letters may be large or small, folders linked."""
    try:
        return _writers.get(_identity(growing)) == threading.get_ident()
    except OSError:
        return False


def _open_growing(path: Path, folder: Path) -> tuple[Path, BinaryIO]:
    growing = folder / f"{_hidden(path.name)}.partial"
    if sys.platform != "win32" and not _is_ours(growing):
        with suppress(OSError):  # it is another user's, or something else, or there are no locks
            handle = lock_file(growing, wait=True, needed=True)
            file = os.fdopen(handle, "wb")
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1:
                file.truncate(0)
                return growing, file
            file.close()
    growing = folder / f"{_hidden(path.name)}.{secrets.token_hex(4)}.partial"
    return growing, open(growing, "xb")


@contextmanager
def growing_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill, which gets its name when it is complete: where the block ends without an error.

    It grows as ``.<name>.partial``; what a killed process left of it is removed
    by the next one that makes the same folder.

    Parameters
    ----------
    path : Path
        The folder; there is none yet, or an empty one.

    Yields
    ------
    Path
        The folder to fill.

    Raises
    ------
    BlockingIOError
        If another process is making it.
    OSError
        If there is no room, or no permission; the message names the folder.
    """
    growing, lock = (path.with_name(f"{_hidden(path.name)}.{what}") for what in ("partial", "lock"))
    with writing_errors(path, "choose another folder"):
        handle = lock_file(lock)
        if handle < 0:
            raise BlockingIOError(errno.EAGAIN, "another process is making it")
    try:
        with writing_errors(path, "choose another folder"):
            if path.is_dir() and any(path.iterdir()):  # another process may just have made it
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            remove_folder(growing)
            growing.mkdir()
        yield growing
        with writing_errors(path, "choose another folder"):
            sync_folder(growing)
            os.replace(growing, path)
            sync_folder(path.parent)
    finally:
        try:
            remove_folder(growing)
            with suppress(OSError):  # Windows keeps a file that is open; it is in nobody's way
                lock.unlink()
        finally:  # also at a second Ctrl-C
            os.close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there, that others may be writing into: they no longer find it."""
    with suppress(OSError):
        folder = folder.rename(folder.with_name(f"{folder.name}-{secrets.token_hex(4)}"))
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)  # something was written into it meanwhile


# ---------------------------------------------------------------------- errors


def reason_of(error: OSError) -> str:
    """Say in a few words why something could not be written."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))


def retold(error: OSError, text: str) -> OSError:
    """Make an error of the same kind and number with another text."""
    told = type(error)(text)
    told.errno = error.errno
    return told


@contextmanager
def writing_errors(path: Path, way_out: str = "make room, or see to the permissions, and call again") -> Iterator[None]:
    """Let errors of writing name the file that was to be written: those of the system often name none."""
    try:
        yield
    except OSError as error:
        raise retold(error, f"{path} cannot be written ({reason_of(error)}); {way_out}") from None


# ---------------------------------------------------------------------- locks


def lock_file(path: Path, *, wait: bool = False, needed: bool = False) -> int:
    """Lock a file, which is made if need be, for this process (and thread).

    The lock ends when the handle is closed, or the process ends in whatever way.

    Parameters
    ----------
    path : Path
        The file.
    wait : bool, default=False
        Wait while another process has it.
    needed : bool, default=False
        Raise where the file system knows no locks; else it is better to work
        without than not at all.

    Returns
    -------
    int
        The handle, to be closed at the end; -1 if another process has the file.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if not _lock(handle, wait):
                os.close(handle)
                return -1
        except OSError as error:
            if needed or error.errno not in _NO_LOCKS:
                os.close(handle)
                raise
        except BaseException:
            os.close(handle)
            raise
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # the one that had it has removed it, or given it another name


def _lock(handle: int, wait: bool) -> bool:
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return True
            except OSError:  # it waits for ten seconds only
                if not wait:
                    return False
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


# ---------------------------------------------------------------------- odds and ends


def sync_folder(folder: Path) -> None:
    """Bring the names of the files in a folder to the disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass  # nor do all network file systems do this
    finally:
        os.close(handle)


def plain_text(text: object) -> str:
    """Give a text that every table can hold: bytes of a file name that are no UTF-8 are spelled out."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def exact_floats() -> dict[str, Any]:
    """Give the option by which `pandas.read_csv` reads numbers exactly; since pandas 3 it does so by itself."""
    from importlib.metadata import version

    return {} if int(version("pandas").partition(".")[0]) >= 3 else {"float_precision": "round_trip"}
