"""Image files: their headers, and their pixels as 8-bit RGB."""

from __future__ import annotations

import math
import os
from typing import IO

import cv2
import numpy as np
from PIL import Image

from ._opening import (
    MAX_PIXELS,
    MAX_PIXELS_VARIABLE,
    OTHER_SIZE,
    TURNED_BY_PILLOW,
    Header,
    check_whole,
    open_header,
    opened,
    pillow_limit_lifted,
    pixel_limit,
    said,
)
from ._quiet import ignored_warnings
from .exceptions import ImageReadError
from .masks import as_mask

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MAX_PIXELS_VARIABLE",
    "Header",
    "pixel_limit",
    "read_header",
    "read_image",
    "read_mask",
    "read_reduced",
]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File name endings, in lower case, by which images are found in folders."""

# what OpenCV decodes to 8-bit RGB as it should; the rest (CMYK, palettes with an alpha channel, ...) is Pillow's
_OPENCV_MODES = frozenset({"RGB", "RGBA", "L", "I;16", "I;16B", "I"})
_JPEG_FORMATS = frozenset({"JPEG", "MPO"})
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_REDUCED_BGR = frozenset(_REDUCED.values()) - {cv2.IMREAD_COLOR_RGB}  # OpenCV does not give these as RGB
_OPENCV_FORMATS = frozenset({"JPEG", "MPO", "PNG", "BMP", "WEBP"})


def read_header(path: str | os.PathLike[str], *, max_pixels: float | None = None) -> Header:
    """Read size, orientation and kind of an image file without decoding it.

    Parameters
    ----------
    path : path-like
        The file.
    max_pixels : int or float, default=None
        Refuse larger images, see `pixel_limit`.

    Returns
    -------
    Header
        What the header says.

    Raises
    ------
    ImageReadError
        If the file is missing, empty, a folder, no image or too large.
    """
    limit = pixel_limit(max_pixels)
    with opened(path) as file:
        return open_header(path, file, limit)[1]


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
    if file_format in _JPEG_FORMATS:
        return b"\xff\xd9" in tail
    return file_format != "PNG" or b"IEND" in tail


def _decode(
    path: str | os.PathLike[str], source: IO[bytes], image: Image.Image, header: Header, flags: int, mode: str
) -> np.ndarray:
    """Decode by OpenCV where it is right, else by Pillow, and turn the result upright."""
    # of an animated PNG file, OpenCV gives the first picture of the animation, which need not be that of the header
    still = header.format in _JPEG_FORMATS or not getattr(image, "is_animated", False)
    pixels = _decode_by_opencv(source, header, flags) if still else None
    if pixels is None:
        refused = _NOT_DECODED.get((header.format, header.mode), _NOT_DECODED.get(("", header.mode)))
        if refused is not None:
            raise ImageReadError(path, refused)
        height, width = header.shape
        try:
            with ignored_warnings():
                check_whole(source, header.format)
                if height * width <= (Image.MAX_IMAGE_PIXELS or math.inf):
                    pixels = _decode_by_pillow(image, mode)
                else:
                    with pillow_limit_lifted():
                        pixels = _decode_by_pillow(image, mode)
        except Exception as error:  # Pillow's plugins raise nearly everything on damaged data
            reason = f"the image is damaged or cut short ({said(error)}); copy or download it again"
            raise ImageReadError(path, reason) from None
        flags = cv2.IMREAD_COLOR_RGB  # decoded whole
    if header.format not in TURNED_BY_PILLOW:
        pixels = _orient(pixels, header.orientation)
    factor = next((factor for factor, flag in _REDUCED.items() if flag == flags), 1)
    if pixels.shape[:2] != tuple(-(-side // factor) for side in header.shape):
        raise ImageReadError(path, OTHER_SIZE)
    return np.ascontiguousarray(pixels)


# what a conversion to 8-bit RGB would have to guess, by format and mode
_NOT_DECODED = {
    ("", "F"): "the file holds floating point values; save it with 8 or 16 bits a channel",
    ("TIFF", "I"): "the file holds signed or 32-bit integers; save it with 8 or 16 bits a channel",
    ("", "LAB"): "the file holds CIE Lab colors; save it as RGB",
}


def _decode_by_opencv(source: IO[bytes], header: Header, flags: int) -> np.ndarray | None:
    """Decode what OpenCV decodes faithfully; None for the rest, and where it fails."""
    if header.mode not in _OPENCV_MODES or header.format not in _OPENCV_FORMATS:
        return None
    source.seek(0)
    data = source.read()
    if not _is_complete(data, header.format):
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # such as by limits of its own
        return None
    if pixels is not None and flags in _REDUCED_BGR:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return pixels


def _decode_by_pillow(image: Image.Image, mode: str) -> np.ndarray:
    image.load()  # turns TIFF files upright; others are turned by the caller
    if image.mode.startswith("I"):  # Pillow's own conversion clips 16 bits to 255 instead of scaling
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        if mode == "L":
            return levels.astype(np.uint16)
        return np.repeat((levels >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    return np.asarray(image.convert(mode))


def read_image(path: str | os.PathLike[str], *, max_pixels: float | None = None) -> np.ndarray:
    """Read an image file of any usual kind as 8-bit RGB, upright.

    Gray, palette, CMYK and 16-bit files are converted, an alpha channel is
    dropped, the EXIF orientation is honored. Files are decoded by OpenCV, the
    kinds that it does not decode faithfully by Pillow.

    Parameters
    ----------
    path : path-like
        The file.
    max_pixels : int or float, default=None
        Refuse larger images before they take memory, see
        `skinseg.reading.pixel_limit`; 250 million pixels if nothing else is
        asked for.

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
    limit = pixel_limit(max_pixels)
    with opened(path) as file:
        image, header = open_header(path, file, limit)
        return _decode(path, file, image, header, cv2.IMREAD_COLOR_RGB, "RGB")


def read_reduced(
    path: str | os.PathLike[str], shape: tuple[int, int], *, max_pixels: float | None = None
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
    max_pixels : int or float, default=None
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
    limit = pixel_limit(max_pixels)
    with opened(path) as file:
        image, header = open_header(path, file, limit)
        height, width = header.shape
        most = min(height // max(2 * shape[0], 1), width // max(2 * shape[1], 1))
        factor = 1 if header.format not in _JPEG_FORMATS else max(f for f in _REDUCED if f <= max(most, 1))
        return _decode(path, file, image, header, _REDUCED[factor], "RGB"), header


def read_mask(path: str | os.PathLike[str], *, max_pixels: float | None = None) -> np.ndarray:
    """Read a mask file: lesion where the gray value is above 127.

    Parameters
    ----------
    path : path-like
        The file, usually an 8-bit PNG of 0 and 255. A file whose largest value
        is 1 counts as a mask of 0 and 1.
    max_pixels : int or float, default=None
        Refuse larger masks, see `read_image`.

    Returns
    -------
    ndarray of shape (H, W), bool
        The mask, upright.

    Raises
    ------
    ImageReadError
        If the file cannot be read, or holds other values.
    """
    limit = pixel_limit(max_pixels)
    with opened(path) as file:
        image, header = open_header(path, file, limit)
        gray = _decode(path, file, image, header, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH, "L")
    high = int(gray.max())
    if high <= 1:
        return as_mask(gray)
    middle = 127 if high <= 255 else 32767
    if high <= middle:
        raise ImageReadError(
            path,
            f"the largest value of this mask is {high}; a mask file holds 0 and 255 (or 0 and 1), convert a label "
            "image with (labels == label) * 255",
        )
    return gray > middle
