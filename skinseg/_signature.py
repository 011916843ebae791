"""Telling masks that a run has written from those that somebody has painted, by a signature in the file."""

from __future__ import annotations

import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path

from .exceptions import ImageReadError
from .reading import read_header

__all__ = ["is_foreign_mask", "signed_png"]

_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_KEYWORD = b"skinseg\x00"


def _signature(data: bytes) -> bytes:
    """Make a text chunk with the hash of all that comes before it (PNG specification, section 11.3.4.3)."""
    content = b"tEXt" + _KEYWORD + sha256(data).hexdigest().encode()
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def signed_png(data: bytes) -> bytes:
    """Sign a PNG file: whatever changes it, the signature is gone or does not fit any more.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes
        The file with its signature, which readers of images pass over.
    """
    body = data.removesuffix(_END)
    return body + _signature(body) + _END


def is_foreign_mask(path: Path) -> bool:
    """Tell whether a file is an image that was not signed, or changed since.

    Parameters
    ----------
    path : Path
        The file, which need not exist.

    Returns
    -------
    bool
        False as well for what is no image: nobody's work is lost with it.
    """
    if not os.path.isfile(path):  # such as a pipe, which would be waited for, or a name that is too long
        return False
    try:
        data = path.read_bytes()
    except OSError:
        return False
    size = len(_signature(b"")) + len(_END)
    if data[-size:] == _signature(data[:-size]) + _END:
        return False
    try:
        read_header(path)
    except ImageReadError:
        return False
    return True
