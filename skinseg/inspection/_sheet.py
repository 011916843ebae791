"""A sheet of small pictures with outlines, for a look at many images at once."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from ..exceptions import InvalidImagesError
from ..images import LesionImage, check_images, check_masks, read_mask
from ..masks import GREEN, draw_outline

__all__ = ["contact_sheet", "draw_outline"]

_COLORS = (GREEN, (213, 94, 0))  # bluish green and vermilion: told apart by the color-blind (Okabe and Ito)
_CAPTION, _LETTERS = 16, 11  # pixels: height of a line below a picture, and of its letters
_GRAY = 225


def contact_sheet(
    X: Any,
    masks: Any = None,
    *,
    references: Any = None,
    columns: int = 6,
    size: tuple[int, int] = (150, 200),
    titles: Sequence[Any] | str | None = None,
    on_error: str = "raise",
) -> np.ndarray:
    """Put many images with their outlines on one sheet.

    Parameters
    ----------
    X : sequence of images
        Paths, arrays or records, see `skinseg.check_images`.
    masks : sequence of masks, default=None
        Outlines to draw, in green; the masks of the records if None.
    references : sequence of masks, default=None
        A second outline, in vermilion, such as the expert's.
    columns : int, default=6
        Pictures a row, at least 1.
    size : tuple of (int, int), default=(150, 200)
        Height and width of a picture, at least 1; images keep their aspect ratio.
    titles : sequence of str, "auto" or None, default=None
        A line of text below each picture, cut to its width; "auto" is the name
        of the image, the confidence of its outline if that is known, and
        whether no lesion was found. No text, and no room for it, if None.
    on_error : {"raise", "show"}, default="raise"
        Whether an image that cannot be read stops the call, or leaves a gray
        field with the reason.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        The sheet, RGB; each picture takes ``size``, and 16 pixels more in height
        with ``titles``.

    Raises
    ------
    ValueError
        If there are not as many masks or titles as images, or a mask does not
        have the size of its image.

    Examples
    --------
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.inspection import contact_sheet
    >>> data = make_lesions(4, random_state=0)
    >>> contact_sheet(data.images, data.masks, columns=2, size=(50, 60)).shape
    (100, 120, 3)
    """
    _check_layout(columns, size, on_error)
    records = _readable(X, on_error)
    good = [index for index, record in enumerate(records) if isinstance(record, LesionImage)]
    layers = [_masks_of(layer, records, good) for layer in (masks, references)]
    captions = _captions_of(titles, len(records))
    height, width = size
    step = height + (0 if captions is None else _CAPTION)
    sheet = np.full((-(-len(records) // columns) * step, columns * width, 3), 255, np.uint8)
    for index, record in enumerate(records):
        top, left = divmod(index, columns)
        tile = sheet[top * step : (top + 1) * step, left * width : (left + 1) * width]
        outlines = [layer if layer is None else layer[index] for layer in layers]
        title = _fill(tile[:height], record, masks is None, outlines, on_error)
        if captions is not None:
            _write(tile[height:], title if captions == "auto" else str(captions[index]))
    return sheet


def _check_layout(columns: int, size: tuple[int, int], on_error: str) -> None:
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be a height and a width of at least 1 pixel, got {size}")
    if on_error not in ("raise", "show"):
        raise ValueError(f"on_error must be 'raise' or 'show', got {on_error!r}")


def _readable(X: Any, on_error: str) -> list[LesionImage | str]:
    """Check the images; in place of one that cannot be shown stands the reason."""
    try:
        return list(check_images(X, "contact_sheet"))
    except InvalidImagesError as error:
        if on_error == "raise" or not error.errors:
            raise
        good = [index for index in range(_num_samples(X)) if index not in error.errors]
        found: dict[int, Any] = dict(error.errors)
        if good:
            found |= dict(zip(good, check_images(_safe_indexing(X, good), "contact_sheet"), strict=True))
        return [found[index] for index in sorted(found)]


def _masks_of(layer: Any, records: list[LesionImage | str], good: list[int]) -> list[Any] | None:
    """Check the masks of the images that can be shown."""
    if layer is None:
        return None
    if len(layer) != len(records):
        raise ValueError(f"contact_sheet got {len(layer)} masks for {len(records)} images")
    found: list[Any] = [None] * len(records)
    if good:
        shown = [record for record in records if isinstance(record, LesionImage)]
        checked = check_masks(_safe_indexing(layer, good), shown, "contact_sheet")
        for index, mask in zip(good, checked, strict=True):
            found[index] = mask
    return found


def _captions_of(titles: Any, count: int) -> Any:
    if isinstance(titles, str) and titles != "auto":
        raise ValueError(f"titles must be 'auto', or a sequence of one text an image, got {titles!r}")
    if titles is None or isinstance(titles, str):
        return titles
    texts = list(titles)  # of a column of a table, too
    if len(texts) != count:
        raise ValueError(f"contact_sheet got {len(texts)} titles for {count} images")
    return texts


def _fill(tile: np.ndarray, record: LesionImage | str, own_mask: bool, outlines: list[Any], on_error: str) -> str:
    """Draw one picture into its place; its name, with the confidence of the outline and what is wrong."""
    if isinstance(record, str):
        _say(tile, record)
        return "not readable"
    name = record.name or ""
    if record.error is not None:
        _say(tile, record.error)
        return f"{name}: failed"
    try:
        empty = _draw(tile, record, own_mask, outlines)
    except Exception as error:
        if on_error == "raise":
            raise
        _say(tile, str(error))
        return f"{name}: failed"
    known = "" if record.confidence is None or not own_mask else f" ({record.confidence:.2f})"
    return f"{name}{known}{': no lesion found' if empty else ''}"


def _draw(tile: np.ndarray, record: LesionImage, own_mask: bool, outlines: list[Any]) -> bool:
    """Draw the picture with its outlines; whether the first is empty."""
    height, width = tile.shape[:2]
    scale = min(height / record.shape[0], width / record.shape[1])
    shape = max(1, int(record.shape[0] * scale)), max(1, int(record.shape[1] * scale))
    picture = record.load_resized(shape).image
    drawn = [record.mask if own_mask else outlines[0], outlines[1]]
    drawn = [read_mask(mask) if isinstance(mask, Path) else mask for mask in drawn]
    for mask, color in zip(drawn, _COLORS, strict=True):
        if mask is not None:
            small = cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
            picture = draw_outline(picture, small, color=color, thickness=1)
    y, x = (height - shape[0]) // 2, (width - shape[1]) // 2
    tile[y : y + shape[0], x : x + shape[1]] = picture
    return drawn[0] is not None and not drawn[0].any()


# ---------------------------------------------------------------------- text


def _plain(text: str) -> str:
    """Bring a text to the letters that Pillow's own font has: accents are left out, other signs become a ?."""
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(" " if letter.isspace() else letter if " " <= letter <= "~" else "?" for letter in letters)


def _font(points: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(points)


def _cut(text: str, width: float, font: Any) -> str:
    """Take so much out of the middle of a text that it is no wider."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        shorter = f"{text[: (kept + 1) // 2]}...{text[-(kept // 2) :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return ""


def _write(place: np.ndarray, text: str) -> None:
    """Write one line into the middle of its place."""
    from PIL import Image, ImageDraw

    font = _font(_LETTERS)
    canvas = Image.fromarray(place)
    line = _cut(_plain(text), place.shape[1] - 4, font)
    ImageDraw.Draw(canvas).text((place.shape[1] / 2, place.shape[0] / 2), line, fill=(0, 0, 0), font=font, anchor="mm")
    place[...] = np.asarray(canvas)


def _say(tile: np.ndarray, text: str) -> None:
    """Fill a picture with gray, and the reason why there is none."""
    from PIL import Image, ImageDraw

    tile[...] = _GRAY
    font = _font(_LETTERS)
    wide = max(8, int(tile.shape[1] / (0.55 * _LETTERS)))
    lines = textwrap.wrap(_plain(text), wide)[: max(1, tile.shape[0] // (_LETTERS + 3) - 1)]
    canvas = Image.fromarray(tile)
    ImageDraw.Draw(canvas).multiline_text((4, 4), "\n".join(lines), fill=(0, 0, 0), font=font, spacing=2)
    tile[...] = np.asarray(canvas)
