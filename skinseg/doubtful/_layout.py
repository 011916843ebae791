"""What is where in a folder of doubtful outlines, and how files are called in it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from .._files import plain_text, write_file
from .._tables import read_text_table, table_bytes
from ..exceptions import AnnotationError
from ..reading import Header

__all__ = [
    "COCO",
    "IMAGES",
    "MASKS",
    "MASK_SUFFIX",
    "README",
    "TABLE",
    "Entry",
    "key_of",
    "original_key",
    "read_entries",
    "safe_stem",
    "suffix_of",
    "unique_stem",
    "write_entries",
]

IMAGES, MASKS = "images", "masks"
TABLE, COCO, README = "doubtful.csv", "coco.json", "README.txt"
MASK_SUFFIX = "_segmentation"

# what LabelMe, CVAT and browsers show as it is; the rest is converted
_SHOWN = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
}
_SHOWN_MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "LA"})
_LONGEST = 150  # bytes of a name
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no names of files on Windows


class Entry(NamedTuple):
    """A row of the table: an image of the folder, and its outline as it was written.

    Parameters
    ----------
    image : str
        File name of the image.
    original : str
        Path of the file that it was made of.
    confidence : float
        Of the outline.
    error : str
        ``"no lesion found"``, or empty.
    height, width : int
        Size of the image.
    outline_sha256, polygon_sha256 : str
        What tells the mask as it was written, and that which the polygons make.
    earlier_sha256 : str, default=""
        The same of what was written by earlier calls, with spaces between: files of a tool may still hold it, and it
        is no correction.
    """

    image: str
    original: str
    confidence: float
    error: str
    height: int
    width: int
    outline_sha256: str
    polygon_sha256: str
    earlier_sha256: str = ""

    @property
    def known(self) -> tuple[str, ...]:
        """What tells all outlines that were written, by whatever call."""
        return self.outline_sha256, self.polygon_sha256, *self.earlier_sha256.split()

    def after(self, earlier: Entry | None) -> Entry:
        """Give the row with what an earlier call wrote of the image."""
        if earlier is None:
            return self
        return self._replace(earlier_sha256=" ".join(dict.fromkeys(d for d in earlier.known if d not in self.known)))

    @property
    def stem(self) -> str:
        """The name of its files, without endings."""
        return Path(self.image).stem


def key_of(stem: str) -> str:
    """Give what is the same for names that some systems take for one."""
    return unicodedata.normalize("NFC", stem).casefold()


def original_key(path: str | os.PathLike[str]) -> str:
    """Give the absolute path of an image as the table holds it."""
    return plain_text(os.path.abspath(path))


def safe_stem(stem: str) -> str:
    """Make of any file name one that all systems, tools and spreadsheets take for a plain name.

    Letters and digits of all languages, points, spaces, brackets, hyphens and underscores stay; what else there is
    becomes an underscore, and so do points, hyphens and spaces at the beginning.
    """
    name = re.sub(r"[^\w.() -]", "_", stem)
    name = re.sub(r"^[-. ]+", "_", name).rstrip(". ")
    name = name.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore").rstrip(". ")
    return f"_{name}" if not name or _DEVICES.fullmatch(name) else name


def unique_stem(stem: str, used: set[str]) -> str:
    """Make a name that is not in use, and note it."""
    name = safe_stem(stem)
    number = 1
    while key_of(name if number == 1 else f"{name}_{number}") in used:
        number += 1
    name = name if number == 1 else f"{name}_{number}"
    used.add(key_of(name))
    return name


def suffix_of(path: str | os.PathLike[str], header: Header) -> str | None:
    """Give the ending under which a file is shown as it is by every tool; None where it is to be converted."""
    suffixes = _SHOWN.get(header.format, ())
    if header.orientation != 1 or header.mode not in _SHOWN_MODES or not suffixes:
        return None
    suffix = os.path.splitext(path)[1]
    return suffix if suffix.lower() in suffixes else suffixes[0]


def read_entries(folder: Path) -> list[Entry] | None:
    """Read the table of a folder; None where there is none."""
    path = folder / TABLE
    numbers = {"confidence": float, "height": int, "width": int}
    types = {name: numbers.get(name, str) for name in Entry._fields}
    try:
        table = read_text_table(path, dtype=types, keep_default_na=False, na_values={"confidence": ["", "nan"]})
        entries = [Entry(*row) for row in table[list(Entry._fields)].itertuples(index=False, name=None)]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        reason = str(error).removeprefix(str(path)).lstrip(": ")
        text = f"the table is damaged ({reason}); its columns are {', '.join(Entry._fields)}. Take it back from a copy"
        raise AnnotationError(path, text) from None
    for entry in entries:
        if entry.image != os.path.basename(entry.image) or "\\" in entry.image or not entry.stem:
            raise AnnotationError(path, f"{entry.image!r} is no name of an image in {IMAGES}; write it without folder")
    repeated = _repeated(entry.image for entry in entries)
    if repeated:
        raise AnnotationError(path, f"the image {repeated!r} is there twice; keep one of the rows")
    return entries


def _repeated(images: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for image in images:
        if key_of(image) in seen:
            return image
        seen.add(key_of(image))
    return None


def write_entries(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write the table, the least confident images first."""
    table = pd.DataFrame(entries.values(), columns=list(Entry._fields))
    table = table.sort_values("confidence", kind="stable", na_position="first")
    write_file(folder / TABLE, table_bytes(table))
