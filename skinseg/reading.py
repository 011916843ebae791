"""Image files: their headers, and their pixels as 8-bit RGB."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .exceptions import ImageReadError
from .masks import as_mask

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "Header", "read_header", "read_image", "read_mask", "read_reduced"]

MAX_PIXELS = 250_000_000
"""Largest image that is decoded, in pixels (three bytes each)."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File name endings, in lower case, by which images are found in folders."""

_EXIF_ORIENTATION = 0x0112
# what OpenCV decodes to 8-bit RGB as it should; the rest (CMYK, palettes with an alpha channel, ...) is Pillow's
_OPENCV_MODES = frozenset({"RGB", "RGBA", "L", "I;16", "I;16B", "I"})
_TURNED_BY_PILLOW = frozenset({"TIFF"})  # formats whose size in the header is that of the upright image
_JPEG_FORMATS = frozenset({"JPEG", "MPO"})
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_REDUCED_BGR = frozenset(_REDUCED.values()) - {cv2.IMREAD_COLOR_RGB}  # OpenCV does not give these as RGB
_OPENCV_FORMATS = frozenset({"JPEG", "MPO", "PNG", "BMP", "PPM", "WEBP"})


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


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings; not in other threads, for the filters belong to the whole process."""
    if threading.current_thread() is threading.main_thread():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    else:
        yield


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageReadError(path, "the file does not exist; check the path and the working folder") from None
    except IsADirectoryError:
        raise ImageReadError(path, "this is a folder; list the image files in it") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ImageReadError(path, f"the file cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    if not data:
        raise ImageReadError(path, "the file is empty (0 bytes); copy or download it again")
    return data


def _open(path: str | os.PathLike[str], source: object, max_pixels: int | None) -> tuple[Image.Image, Header]:
    """Read the header by Pillow, which decodes nothing yet."""
    try:
        with _without_warnings():  # our own limit comes below; odd metadata is no reason to refuse the pixels
            image = Image.open(source)  # type: ignore[arg-type]
            orientation = int(image.getexif().get(_EXIF_ORIENTATION, 1) or 1)
    except UnidentifiedImageError:
        raise ImageReadError(
            path,
            "this is not an image that Pillow or OpenCV can read, whatever its name says; convert it to JPEG or PNG",
        ) from None
    except FileNotFoundError:
        raise ImageReadError(path, "the file does not exist; check the path and the working folder") from None
    except Image.DecompressionBombError as error:
        raise ImageReadError(path, f"{error}; shrink the image") from None
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, OverflowError) as error:
        raise ImageReadError(path, f"the header of the image is damaged ({error}); copy or download it again") from None
    width, height = image.size
    if not 1 <= orientation <= 8:
        orientation = 1
    if orientation >= 5 and image.format not in _TURNED_BY_PILLOW:
        width, height = height, width
    if width * height == 0:
        raise ImageReadError(path, f"the image has no pixels ({width} x {height})")
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    if width * height > limit:
        raise ImageReadError(
            path,
            f"the image has {width} x {height} = {width * height} pixels, more than the limit of {limit}; shrink it, "
            "or raise the limit (max_pixels= of read_image, skinseg.reading.MAX_PIXELS elsewhere)",
        )
    return image, Header((height, width), orientation, image.mode, image.format or "")


def read_header(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> Header:
    """Read size, orientation and kind of an image file without decoding it.

    Parameters
    ----------
    path : path-like
        The file.
    max_pixels : int, default=None
        Refuse larger images; `MAX_PIXELS` if None.

    Returns
    -------
    Header
        What the header says.

    Raises
    ------
    ImageReadError
        If the file is missing, empty, a folder, no image or too large.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ImageReadError(path, "the file is empty (0 bytes); copy or download it again")
            return _open(path, file, max_pixels)[1]
    except FileNotFoundError:
        raise ImageReadError(path, "the file does not exist; check the path and the working folder") from None
    except IsADirectoryError:
        raise ImageReadError(path, "this is a folder; list the image files in it") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ImageReadError):
            raise
        raise ImageReadError(path, f"the file cannot be opened ({getattr(error, 'strerror', None) or error})") from None


def _orient(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn the stored pixels upright (the eight cases of the EXIF standard, tag 0x0112)."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _is_complete(data: bytes, file_format: str) -> bool:
    """Whether the end mark is there; without it some decoders fill the missing rows with gray in silence."""
    tail = data[-64:]
    if file_format in ("JPEG", "MPO"):
        return b"\xff\xd9" in tail
    return file_format != "PNG" or b"IEND" in tail


def _decode(path: str | os.PathLike[str], data: bytes, flags: int, mode: str, max_pixels: int | None) -> np.ndarray:
    """Decode by OpenCV where it is right, else by Pillow, and turn the result upright."""
    image, header = _open(path, io.BytesIO(data), max_pixels)
    if header.mode in _OPENCV_MODES and header.format in _OPENCV_FORMATS and _is_complete(data, header.format):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is not None:
            if flags in _REDUCED_BGR:
                pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
            return _orient(pixels, header.orientation)
    if header.mode == "F":
        raise ImageReadError(path, "the file holds floating point values; save it with 8 or 16 bits a channel")
    try:
        with _without_warnings():
            return np.ascontiguousarray(_decode_by_pillow(image, mode))
    except Exception as error:  # Pillow's plugins raise nearly everything on damaged data
        reason = f"the image is damaged or cut short ({error}); copy or download it again"
        raise ImageReadError(path, reason) from None


def _decode_by_pillow(image: Image.Image, mode: str) -> np.ndarray:
    image.load()  # turns TIFF files upright and takes their orientation away; others are turned here
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # Pillow's own conversion clips 16 bits to 255 instead of scaling
        gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return gray if mode == "L" else np.repeat(gray[..., None], 3, axis=-1)
    return np.asarray(image.convert(mode))


def read_image(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> np.ndarray:
    """Read an image file of any usual kind as 8-bit RGB, upright.

    Gray, palette, CMYK and 16-bit files are converted, an alpha channel is
    dropped, the EXIF orientation is honored. Files are decoded by OpenCV, the
    kinds that it does not decode faithfully by Pillow.

    Parameters
    ----------
    path : path-like
        The file.
    max_pixels : int, default=None
        Refuse larger images before they take memory; 250 million pixels if
        None.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The image in RGB order.

    Raises
    ------
    ImageReadError
        If the file is missing, empty, a folder, no image, cut short or too
        large. The message names the file and the way out.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skinseg import read_image
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "gray.png")
    >>> Image.fromarray(np.full((4, 6), 200, dtype=np.uint8)).save(path)
    >>> read_image(path).shape
    (4, 6, 3)
    >>> folder.cleanup()
    """
    return _decode(path, _read_bytes(path), cv2.IMREAD_COLOR_RGB, "RGB", max_pixels)


def read_reduced(
    path: str | os.PathLike[str], shape: tuple[int, int], *, max_pixels: int | None = None
) -> tuple[np.ndarray, Header]:
    """Read an image file that will be resized anyway: a large JPEG at a half, a quarter or an eighth of its size.

    A JPEG file is decoded at reduced size from the coarse part of its
    coefficients, which is nearly the average over areas and costs a fraction
    of the time and the memory. At least twice the size wanted is kept in both
    directions, so that the rest is left to a proper resizing; other files are
    decoded whole.

    Parameters
    ----------
    path : path-like
        The file.
    shape : tuple of (int, int)
        Height and width to which the upright image will be resized.
    max_pixels : int, default=None
        Refuse larger images, see `read_image`.

    Returns
    -------
    image : ndarray of shape (H, W, 3), uint8
        The image in RGB order, upright; each side is that of the file, or a
        half, a quarter or an eighth of it rounded up.
    header : Header
        What the header says, with the size of the whole image.

    Raises
    ------
    ImageReadError
        See `read_image`; also if the size in the header is not that of the
        pixels.
    """
    data = _read_bytes(path)
    header = _open(path, io.BytesIO(data), max_pixels)[1]
    height, width = header.shape
    most = min(height // max(2 * shape[0], 1), width // max(2 * shape[1], 1))
    factor = 1 if header.format not in _JPEG_FORMATS else max(f for f in _REDUCED if f <= max(most, 1))
    pixels = _decode(path, data, _REDUCED[factor], "RGB", max_pixels)
    reduced = -(-height // factor), -(-width // factor)
    if pixels.shape[:2] not in (header.shape, reduced):  # Pillow, where OpenCV fails, decodes the whole
        raise ImageReadError(path, "the size in the header is not that of the pixels")
    return pixels, header


def read_mask(path: str | os.PathLike[str], *, max_pixels: int | None = None) -> np.ndarray:
    """Read a mask file: lesion where the gray value is above 127.

    Parameters
    ----------
    path : path-like
        The file, usually an 8-bit PNG of 0 and 255. A file whose largest value
        is 1 counts as a mask of 0 and 1.
    max_pixels : int, default=None
        Refuse larger masks; 250 million pixels if None.

    Returns
    -------
    ndarray of shape (H, W), bool
        The mask, upright.

    Raises
    ------
    ImageReadError
        If the file cannot be read, or holds other values.
    """
    gray = _decode(path, _read_bytes(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH, "L", max_pixels)
    high = int(gray.max())
    if high > 255:  # 16 bits of which all are used
        gray = (gray >> 8).astype(np.uint8)
    if high <= 1:
        return as_mask(gray)
    if high <= 127:
        raise ImageReadError(
            path,
            f"the largest value of this mask is {high}; a mask file holds 0 and 255 (or 0 and 1), convert a label "
            "image with (labels == label) * 255",
        )
    return gray > 127
