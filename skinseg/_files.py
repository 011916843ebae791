"""Writing files so that nothing half-written is ever seen, and reading numbers to the last digit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["exact_floats", "write_file"]


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that it is either complete or not there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp made it readable by its owner only
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def exact_floats() -> dict[str, Any]:
    """Give the option by which `pandas.read_csv` reads numbers exactly; since pandas 3 it does so by itself."""
    from importlib.metadata import version

    return {} if int(version("pandas").partition(".")[0]) >= 3 else {"float_precision": "round_trip"}
