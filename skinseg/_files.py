"""Writing files so that nothing half-written is ever seen, and reading numbers to the last digit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["exact_floats", "plain_text", "sync_folder", "write_file"]


def write_file(path: Path, data: bytes, *, durable: bool = True, temporary: Path | None = None) -> None:
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
    """
    # names have 255 bytes at most, a character up to four of them
    handle, name = tempfile.mkstemp(dir=temporary or path.parent, prefix=f".{path.name[:60]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp made it readable by its owner only
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
