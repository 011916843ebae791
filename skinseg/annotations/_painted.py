"""Masks as painting programs and annotation tools save them."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image, ImageOps

from ..exceptions import ImageReadError
from ..reading import read_header

__all__ = ["read_painted_mask"]

_COLORS = 16  # more than annotation tools use in a mask; a photograph has thousands
_BETWEEN = 0.25  # share of pixels neither dark nor bright above which it is no mask
_WAY_OUT = "save the mask alone, white lesion on black, as a PNG without smooth edges"


def read_painted_mask(path: str | os.PathLike[str], *, max_pixels: float | None = None) -> np.ndarray:
    """Read a mask that a tool has saved as an image.

    Parameters
    ----------
    path : path-like
        The file, usually PNG, of 8 or 16 bits, with gray values, a palette,
        colors or transparency.
    max_pixels : int or float, default=None
        Refuse larger masks, see `skinseg.reading.pixel_limit`.

    Returns
    -------
    ndarray of shape (H, W), bool
        The mask, upright. Lesion is, in this order: what is painted, where all
        paint has one color and the rest is transparent; the one value that is
        not 0, where there are two; what is brighter than one half, in gray;
        what is not black, where there are at most 16 colors.

    Raises
    ------
    ImageReadError
        If the file cannot be read, or looks like a photograph.

    See Also
    --------
    skinseg.read_mask : The stricter reader of mask files.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skinseg.annotations import read_painted_mask
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "red.png")
    >>> pixels = np.zeros((1, 3, 3), dtype=np.uint8)
    >>> pixels[0, 1] = 250, 50, 83
    >>> Image.fromarray(pixels).save(path)
    >>> read_painted_mask(path)
    array([[False,  True, False]])
    >>> folder.cleanup()
    """
    read_header(path, max_pixels=max_pixels)
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            deep = upright.mode.startswith("I")
            pixels = np.asarray(upright if deep or upright.mode == "L" else upright.convert("RGBA"))
    except Exception as error:  # Pillow's plugins raise nearly everything on damaged data
        text = f"the mask is damaged or cut short ({error}); save it again"
        raise ImageReadError(path, text) from None
    if pixels.ndim == 2:
        return _from_levels(pixels, path)
    return _from_colors(pixels, path)


def _from_colors(pixels: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    code = pixels[..., :3].astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    painted = pixels[..., 3] > 127
    if not painted.all():
        paint = code[painted]
        if not len(paint) or (paint == paint[0]).all():
            return painted
        code = np.where(painted, code, np.uint32(0))
    if (code % 0x010101 == 0).all():
        return _from_levels(code // 0x010101, path)
    colors = np.unique(code)
    if len(colors) > _COLORS or (len(colors) > 1 and colors[0] != 0):
        which = f"{len(colors)} colors" if len(colors) > _COLORS else "colors, none of which is black"
        raise ImageReadError(path, f"this is no mask, it has {which}; {_WAY_OUT}")
    return code > 0


def _from_levels(levels: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    high = int(levels.max())
    if high == 0 or ((levels == 0) | (levels == high)).all():
        return levels > 0
    top = 255 if high <= 255 else 65535
    between = np.mean((levels > 0.05 * top) & (levels < 0.95 * top))
    if high <= top / 2 or between > _BETWEEN:
        text = f"this is no mask, its values go from {int(levels.min())} to {high} of {top}"
        raise ImageReadError(path, f"{text} with many in between; {_WAY_OUT}")
    return levels > top / 2
