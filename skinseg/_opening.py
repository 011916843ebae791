"""Opening image files: what they are, how large, and which way up, before anything is decoded."""

from __future__ import annotations

import math
import os
import stat
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ._quiet import ignored_warnings
from .exceptions import ImageReadError

__all__ = [
    "MAX_PIXELS",
    "MAX_PIXELS_VARIABLE",
    "OTHER_SIZE",
    "TURNED_BY_PILLOW",
    "Header",
    "check_whole",
    "limit_of_caller",
    "open_header",
    "opened",
    "pillow_limit_lifted",
    "pixel_limit",
    "said",
]

MAX_PIXELS = 250_000_000
"""Largest image that is decoded where nothing else is asked for, in pixels (three bytes each)."""

MAX_PIXELS_VARIABLE = "SKINSEG_MAX_PIXELS"
"""Environment variable of another limit: a number of pixels, or ``none``."""

_EXIF_ORIENTATION = 0x0112
# the readers of Pillow that are used: others run programs (EPS), or take nearly anything for an image (TGA)
_FORMATS = tuple(
    Image.OPEN[plugin.format]
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        PpmImagePlugin.PpmImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
    )
)
# what other files begin with, where, and what to do with them
_OTHERS: tuple[tuple[int, tuple[bytes, ...], str], ...] = (
    (4, (b"ftypavif", b"ftypavis"), "this is an AVIF file, which is not read; convert it to PNG or JPEG"),
    (
        4,
        (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"),
        "this is a HEIC photo, which is not read; convert it to JPEG (phones and cameras can also take photos as JPEG)",
    ),
    (
        128,
        (b"DICM",),
        "this is a DICOM file, which is not read; export its image as PNG, such as with pydicom and Pillow",
    ),
    (0, (b"%PDF",), "this is a PDF document and no image; export the picture that is in it as PNG or JPEG"),
    (0, (b"PK\x03\x04", b"\x1f\x8b"), "this is an archive and no image; unpack it"),
    (0, (b"8BPS",), "this is a Photoshop file, which is not read; save it as PNG or TIFF"),
    (0, (b"\xff\x0a", b"\x00\x00\x00\x0cJXL "), "this is a JPEG XL file, which is not read; convert it to PNG or JPEG"),
    (0, (b"%!PS", b"\xc5\xd0\xd3\xc6"), "this is a PostScript file, which is not read; export it as PNG"),
)
_NO_IMAGE = "this is not an image that Pillow or OpenCV can read, whatever its name says; convert it to JPEG or PNG"
_MISSING = "the file does not exist; check the path and the working folder"
_FOLDER = "this is a folder; list the image files in it"
_EMPTY = "the file is empty (0 bytes); copy or download it again"
OTHER_SIZE = "the size in the header is not that of the pixels: the file is damaged; copy or download it again"
_MOST_CHUNKS = 100_000  # of a PNG file that are looked through for one with the orientation
_MOST_EXIF = 1 << 20  # bytes
_SMALL_TILE = 1 << 24  # pixels, which no limit forbids
TURNED_BY_PILLOW = frozenset({"TIFF"})
"""Formats whose size in the header is that of the upright image."""


class Header(NamedTuple):
    """What the header of an image file says.

    Parameters
    ----------
    shape : tuple of (int, int)
        Height and width of the upright image.
    orientation : int
        EXIF orientation, 1 to 8.
    mode, format : str
        Pillow's names of the pixel mode and the file format.
    """

    shape: tuple[int, int]
    orientation: int
    mode: str
    format: str


_pillow_lock = threading.Lock()


@contextmanager
def pillow_limit_lifted() -> Iterator[None]:
    """Set aside Pillow's own limit, which belongs to the whole process, for an image within ours."""
    with _pillow_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def pixel_limit(max_pixels: float | None = None) -> float:
    """Tell how many pixels an image may have.

    Parameters
    ----------
    max_pixels : int or float, default=None
        The limit, at least 1; ``math.inf`` for none. If None it is that of the
        environment variable ``SKINSEG_MAX_PIXELS`` (a number, or ``none``), and
        where that is not set, `MAX_PIXELS`.

    Returns
    -------
    int or float
        The limit.

    Raises
    ------
    ValueError
        If the limit, or the environment variable, is no such number.

    Examples
    --------
    >>> from skinseg.reading import pixel_limit
    >>> pixel_limit()
    250000000
    >>> pixel_limit(10_000)
    10000
    """
    if max_pixels is not None:
        if isinstance(max_pixels, bool) or not isinstance(max_pixels, (int, float, np.number)) or not max_pixels >= 1:
            raise ValueError(
                f"max_pixels must be a number of pixels of at least 1, or math.inf for no limit; got {max_pixels!r}"
            )
        return max_pixels
    text = os.environ.get(MAX_PIXELS_VARIABLE, "").strip()
    if not text:
        return MAX_PIXELS
    if text.lower() == "none":
        return math.inf
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise ValueError(
            f"the environment variable {MAX_PIXELS_VARIABLE} is {text!r}; set it to a whole number of pixels such as "
            f"{MAX_PIXELS} (at least 1), to none for no limit, or take it away"
        )
    return limit


@contextmanager
def limit_of_caller(text: str | None) -> Iterator[None]:
    """Let the limit of the process that handed out the work be that of a worker, which may be older.

    Parameters
    ----------
    text : str or None
        What the environment variable holds there, empty where it is not set;
        None leaves the limit of the worker.
    """
    before = os.environ.get(MAX_PIXELS_VARIABLE, "")
    if text is None or text == before:  # as in a thread of the same process
        yield
        return
    _set_limit(text)
    try:
        yield
    finally:
        _set_limit(before)


def _set_limit(text: str) -> None:
    if text:
        os.environ[MAX_PIXELS_VARIABLE] = text
    else:
        os.environ.pop(MAX_PIXELS_VARIABLE, None)


def _refusal(path: str | os.PathLike[str], error: Exception) -> ImageReadError:
    """Say why a file cannot be opened."""
    if isinstance(error, ImageReadError):
        return error
    if isinstance(error, FileNotFoundError):
        return ImageReadError(path, _MISSING)
    if isinstance(error, IsADirectoryError):
        return ImageReadError(path, _FOLDER)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISDIR(mode):  # Windows says that access is denied
        return ImageReadError(path, _FOLDER)
    if mode and not stat.S_ISREG(mode):
        return ImageReadError(path, _no_file(mode))
    if isinstance(error, PermissionError):
        return ImageReadError(path, "the file may not be read (permission denied); see to its permissions")
    return ImageReadError(path, f"the file cannot be opened ({getattr(error, 'strerror', None) or error})")


def _no_file(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))
    kind = next((name for test, name in kinds if test(mode)), "special file")
    return f"this is a {kind} and no file; write what it gives to a file, and give that"


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe to which nobody writes would be waited for without end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a regular file that is not empty; whatever goes wrong with it is an ImageReadError."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if stat.S_ISDIR(found.st_mode):
                raise ImageReadError(path, _FOLDER)
            if not stat.S_ISREG(found.st_mode):
                raise ImageReadError(path, _no_file(found.st_mode))
            if found.st_size == 0:
                raise ImageReadError(path, _EMPTY)
            yield file
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise _refusal(path, error) from None


def _kind(path: str | os.PathLike[str], source: IO[bytes]) -> Any:
    """Give the reader of Pillow that takes a file, by what it begins with."""
    prefix = source.read(512)
    source.seek(0)
    for factory, accept in _FORMATS:
        if _accepts(accept, prefix[:16]):
            return factory
    for start, marks, text in _OTHERS:
        if prefix[start:].startswith(marks):
            raise ImageReadError(path, text)
    if b"<svg" in prefix:
        raise ImageReadError(path, "this is an SVG drawing, which is not read; export it as PNG")
    if b"<html" in prefix.lower() or prefix.lstrip().lower().startswith(b"<!doctype"):
        raise ImageReadError(path, "this is a web page and no image, such as that of an error; download it again")
    raise ImageReadError(path, _NO_IMAGE)


def _accepts(accept: Any, prefix: bytes) -> bool:
    try:
        answer = accept is None or accept(prefix)
    except IndexError:  # of a file that is shorter than its mark
        return False
    return bool(answer) and not isinstance(answer, str)  # a text says that Pillow was built without what it takes


def open_header(path: str | os.PathLike[str], source: IO[bytes], limit: float) -> tuple[Image.Image, Header]:
    """Read the header by Pillow, which decodes nothing yet."""
    factory = _kind(path, source)
    try:
        with ignored_warnings():  # our own limit comes below; odd metadata is no reason to refuse the pixels
            try:
                image = factory(source, "")
            except Image.DecompressionBombError:
                source.seek(0)
                with pillow_limit_lifted():
                    image = factory(source, "")
    except Exception as error:  # Pillow's plugins raise nearly everything on damaged data
        way_out = "copy or download it again"
        if "MAX_TEXT" in str(error):  # texts or a color profile that unpack to very much
            way_out = "save it again without its metadata"
        raise ImageReadError(path, f"the header of the image is damaged ({said(error)}); {way_out}") from None
    width, height = image.size
    if width * height == 0:
        raise ImageReadError(path, f"the image has no pixels ({width} x {height})")
    if width * height > limit:
        raise ImageReadError(
            path,
            f"the image has {width} x {height} = {width * height} pixels, more than the limit of {limit}; shrink it, "
            f"or raise the limit ({MAX_PIXELS_VARIABLE}={width * height} in the environment, --max-pixels of the "
            "commands, max_pixels= of the functions that read)",
        )
    if (tile := _tile_pixels(image)) > max(limit, _SMALL_TILE):
        raise ImageReadError(
            path,
            f"the image has {width} x {height} pixels in tiles of {tile} pixels, more than the limit of {limit}: the "
            "file is damaged; save it again",
        )
    orientation = _orientation(image, source)
    if orientation >= 5 and (image.format not in TURNED_BY_PILLOW or _size_as_stored(image)):
        width, height = height, width
    return image, Header((height, width), orientation, image.mode, image.format or "")


def _tile_pixels(image: Image.Image) -> int:
    """Count the pixels of a tile of a TIFF file, each of which is decoded whole, however small the image is."""
    sides = [getattr(image, "tag_v2", {}).get(tag, 0) for tag in (322, 323)]
    return math.prod(int(side) for side in sides) if all(isinstance(side, (int, float)) for side in sides) else 0


def _size_as_stored(image: Image.Image) -> bool:
    """Whether the size of a TIFF file is still that of its tags: older versions of Pillow turn it on decoding only."""
    tags = getattr(image, "tag_v2", {})
    return (tags.get(256), tags.get(257)) == image.size


def said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _orientation(image: Image.Image, source: IO[bytes]) -> int:
    """Read the EXIF orientation; metadata that cannot be read turn nothing, and are no reason to refuse the pixels."""
    try:
        with ignored_warnings():
            if image.format in TURNED_BY_PILLOW:
                image.info.pop("xmp", None)  # by which Pillow would turn the pixels and not the size
            if image.format == "PNG" and "exif" not in image.info and (found := _late_exif(source)):
                image.info["exif"] = found
            # not that of the PNG plugin, which decodes the image in search of an orientation after the pixels
            orientation = Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1)
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _late_exif(source: IO[bytes]) -> bytes | None:
    """Find the EXIF data of a PNG file by the heads of its chunks (PNG specification, section 5), also at its end."""
    position = source.tell()
    try:
        source.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = source.read(8)
            if len(head) < 8:
                return None
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return b"Exif\x00\x00" + source.read(length) if length <= _MOST_EXIF else None
            if kind == b"IEND":
                return None
            source.seek(length + 4, os.SEEK_CUR)
        return None
    finally:
        source.seek(position)


def check_whole(source: IO[bytes], file_format: str) -> None:
    """Raise for damage that Pillow passes over: wrong or missing pixels of a PNG file, a JPEG 2000 file cut short."""
    position = source.tell()
    if file_format == "JPEG2000":
        source.seek(0)
        # this mark cannot be part of the coded pixels (ISO/IEC 15444-1, B.10.1)
        if b"\xff\xd9" not in source.read().partition(b"\xff\x4f\xff\x51")[2]:
            raise ValueError("the end mark of the pixels is missing")
    elif file_format == "PNG":
        source.seek(8)
        _check_png(source)
    source.seek(position)


_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def _check_png(source: IO[bytes]) -> None:
    """Compare the checksums of the chunks that make the pixels, and the number of bytes in them with the size."""
    inflater = zlib.decompressobj()
    kind, wanted, found = b"", 0, 0
    while kind != b"IEND" and len(head := source.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind[:1].islower():  # metadata
            source.seek(length + 4, os.SEEK_CUR)
            continue
        content = source.read(length)
        if source.read(4) != struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))):
            raise ValueError(f"the checksum of the chunk {kind.decode('latin-1')} is wrong")
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", content)
            bits = depth * {2: 3, 4: 2, 6: 4}.get(color, 1)
            passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
            parts = [(-(-(height - top) // down), -(-(width - left) // right)) for top, left, down, right in passes]
            wanted = sum(rows * (1 + -(-columns * bits // 8)) for rows, columns in parts if rows > 0 and columns > 0)
        while kind == b"IDAT" and content and found < wanted:
            found += len(inflater.decompress(content, 1 << 20))
            content = inflater.unconsumed_tail
    if found < wanted:
        raise ValueError(f"{found} of {wanted} bytes of the pixels are there")
