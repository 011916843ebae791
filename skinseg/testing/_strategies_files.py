"""Hypothesis strategies for what comes from outside: arrays of any kind, bytes of image files, text of tables."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, features

from ._drawing import LAYOUTS
from ._strategies import hypothesis_strategies, images, masks

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["FILE_KINDS", "ImageFile", "arrays_of_any_kind", "image_files", "tables"]

_DTYPES = (
    "uint8", "bool", "float32", "float64", "float16", "int8", "int16", "uint16", "int32", "int64", "uint64",
    ">u2", ">i4", ">f8", "complex64", "object", "U3", "S2", "datetime64[s]",
)  # fmt: skip
_CHANNELS = ((), (3,), (1,), (4,), (2,), (0,), (3, 1), (1, 3))


# ---------------------------------------------------------------------- arrays


def _values(shape: tuple[int, ...], dtype: np.dtype, content: str, rng: np.random.Generator) -> np.ndarray:
    if dtype.kind in "OUSMm" or content == "zeros":
        return np.zeros(shape, dtype)
    makers: dict[str, Callable[[], np.ndarray]] = {
        "ones": lambda: np.ones(shape),
        "fractions": lambda: rng.random(shape),
        "levels": lambda: rng.integers(0, 256, shape),
        "two levels": lambda: rng.choice([0, 255], shape),
        "labels": lambda: rng.integers(0, 4, shape),
        "negative": lambda: -rng.integers(0, 3, shape),
        "not finite": lambda: rng.choice([np.nan, np.inf, -np.inf, 0.5], shape),
        "large": lambda: rng.choice([0, 2.0**15, 2.0**62, 2.0**64], shape),
    }
    with np.errstate(all="ignore"):
        return makers[content]().astype(dtype)


def _laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    return LAYOUTS[layout](array) if array.ndim >= 2 and array.dtype.kind != "O" else array


_CONTENTS = ("zeros", "ones", "fractions", "levels", "two levels", "labels", "negative", "not finite", "large")


def arrays_of_any_kind(*, max_side: int = 12) -> SearchStrategy[np.ndarray]:
    """Draw arrays that users take for images or masks, and those that are.

    Parameters
    ----------
    max_side : int, default=12
        Longest side, in pixels; there may be sides of 0.

    Returns
    -------
    strategy of ndarray
        With 0 to 4 dimensions, of the types bool, integer, floating (with NaN
        and infinity), complex, object and text, in either byte order,
        contiguous or not, write-protected or not; one in three is a correct
        image or mask.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from skinseg.masks import as_mask
    >>> from skinseg.testing import arrays_of_any_kind
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(arrays_of_any_kind())
    ... def test_a_mask_or_a_clear_error(array):
    ...     try:
    ...         assert as_mask(array).dtype == bool
    ...     except ValueError as error:
    ...         assert "mask" in str(error)
    >>> test_a_mask_or_a_clear_error()
    """
    st = hypothesis_strategies()
    side, layouts = st.integers(0, max_side), st.sampled_from([*LAYOUTS])
    shapes = st.tuples(side, side, st.sampled_from(_CHANNELS), st.sampled_from([4, 4, 4, 4, 0, 1])).map(
        lambda drawn: (*drawn[:2], *drawn[2])[: drawn[3]]
    )
    correct = images(max_side=max_side) | masks(max_side=max_side)
    odd = st.tuples(
        shapes, st.sampled_from(_DTYPES).map(np.dtype), st.sampled_from(_CONTENTS), st.integers(0, 2**20)
    ).map(lambda drawn: _values(drawn[0], drawn[1], drawn[2], np.random.default_rng(drawn[3])))
    arrays: SearchStrategy[tuple[np.ndarray, str]] = st.tuples(st.one_of(odd, odd, correct), layouts)
    return arrays.map(lambda drawn: _laid_out(*drawn))


# ---------------------------------------------------------------------- image files


class ImageFile(NamedTuple):
    """The bytes of an image file, and what is known of it.

    Parameters
    ----------
    data : bytes
        The content.
    suffix : str
        Ending of the name, such as ``".png"``; it need not be that of the
        content.
    kind : str
        One of `FILE_KINDS`, or ``"junk"``.
    state : {"intact", "cut", "changed", "junk"}
        What was done to it.
    image : ndarray of shape (H, W, 3), uint8, or None
        The image that was saved, upright, as an RGB file without loss gives it
        back; None where the file holds something else.
    shape : tuple of (int, int)
        Height and width of the upright image that was saved.
    """

    data: bytes
    suffix: str
    kind: str
    state: str
    image: np.ndarray | None
    shape: tuple[int, int]


class _Kind(NamedTuple):
    suffix: str
    mode: str
    options: dict[str, Any]
    exact: bool = False


_KINDS: dict[str, _Kind] = {
    "png": _Kind(".png", "RGB", {}, True),
    "png gray": _Kind(".png", "L", {}),
    "png 16 bits": _Kind(".png", "I;16", {}),
    "png palette": _Kind(".png", "P", {}),
    "png alpha": _Kind(".png", "RGBA", {}),
    "png gray alpha": _Kind(".png", "LA", {}),
    "png bits": _Kind(".png", "1", {}),
    "jpeg": _Kind(".jpg", "RGB", {"quality": 90}),
    "jpeg progressive": _Kind(".jpg", "RGB", {"progressive": True}),
    "jpeg gray": _Kind(".jpeg", "L", {}),
    "jpeg cmyk": _Kind(".jpg", "CMYK", {}),
    "bmp": _Kind(".bmp", "RGB", {}, True),
    "bmp gray": _Kind(".bmp", "L", {}),
    "ppm": _Kind(".ppm", "RGB", {}, True),
    "gif": _Kind(".gif", "P", {}),
    "tiff": _Kind(".tif", "RGB", {}, True),
    "tiff lzw": _Kind(".tiff", "RGB", {"compression": "tiff_lzw"}, True),
    "tiff gray": _Kind(".tif", "L", {"compression": "tiff_deflate"}),
    "tiff 16 bits": _Kind(".tif", "I;16", {}),
    "tiff float": _Kind(".tif", "F", {}),
    "tiff cmyk": _Kind(".tif", "CMYK", {}),
    "webp": _Kind(".webp", "RGB", {"lossless": True}, True),
    "webp alpha": _Kind(".webp", "RGBA", {}),
    "jp2": _Kind(".jp2", "RGB", {}),
}
FILE_KINDS = tuple(
    kind
    for kind in _KINDS
    if not (kind.startswith("webp") and not features.check("webp"))
    and not (kind == "jp2" and not features.check("jpg_2000"))
)
"""Kinds of files that `image_files` draws: those that the installed Pillow writes."""

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".ppm": "PPM", ".gif": "GIF",
            ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".jp2": "JPEG2000"}  # fmt: skip
_WITH_EXIF = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def _encode(image: np.ndarray, kind: _Kind, orientation: int) -> bytes:
    """Write the image as a file of a kind, with the orientation of a camera."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    if kind.mode == "I;16":
        picture = Image.fromarray(image[..., 0].astype(np.uint16) * 257)
    elif kind.mode == "RGBA":
        picture = Image.fromarray(np.dstack([image, image[..., :1]]))
    elif kind.mode in ("LA", "F"):
        picture = picture.convert("L").convert(kind.mode)
    elif kind.mode != "RGB":
        picture = picture.convert(kind.mode)
    options = dict(kind.options)
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    buffer = io.BytesIO()
    picture.save(buffer, _FORMATS[kind.suffix], **options)
    return buffer.getvalue()


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels upright, case by case as the EXIF standard has them."""
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        2: np.fliplr,
        3: lambda array: np.rot90(array, 2),
        4: np.flipud,
        5: lambda array: array.swapaxes(0, 1),
        6: lambda array: np.rot90(array, -1),
        7: lambda array: np.rot90(array, 2).swapaxes(0, 1),
        8: np.rot90,
    }
    return turns[orientation](image) if orientation in turns else image


def image_files(
    kinds: Collection[str] | None = None, *, min_side: int = 1, max_side: int = 24, damaged: bool = True
) -> SearchStrategy[ImageFile]:
    """Draw the bytes of image files, intact, cut short, with bytes changed, or of something else.

    Parameters
    ----------
    kinds : collection of str, default=None
        Which of `FILE_KINDS`; all if None.
    min_side, max_side : int, default=1, 24
        Range of the sides of the images, in pixels.
    damaged : bool, default=True
        Whether files may be damaged, or no images.

    Returns
    -------
    strategy of ImageFile
        The bytes, an ending for the name (of another format now and then), and
        what is known of the content.

    Raises
    ------
    ImportError
        If hypothesis is not installed.
    ValueError
        If a kind is not known.

    Examples
    --------
    >>> import os, tempfile
    >>> from pathlib import Path
    >>> from hypothesis import given, settings
    >>> from skinseg import read_image
    >>> from skinseg.testing import image_files
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(image_files(damaged=False))
    ... def test_files_are_read(file):
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         path = Path(folder) / f"image{file.suffix}"
    ...         path.write_bytes(file.data)
    ...         assert file.kind == "tiff float" or read_image(path).shape[:2] == file.shape
    >>> test_files_are_read()
    """
    st = hypothesis_strategies()
    chosen = list(FILE_KINDS) if kinds is None else list(kinds)
    unknown = [kind for kind in chosen if kind not in FILE_KINDS]
    if unknown or not chosen:
        raise ValueError(f"kinds of files are {', '.join(FILE_KINDS)}, got {kinds!r}")

    endings, names = st.sampled_from([*_FORMATS]), st.sampled_from(chosen)
    pictures = images(min_side=min_side, max_side=max_side)
    junk = st.tuples(st.binary(max_size=64), endings).map(
        lambda drawn: ImageFile(drawn[0], drawn[1], "junk", "junk", None, (0, 0))
    )
    orientations = st.sampled_from([1, 1, 1, 1, *range(2, 9)])
    states = st.sampled_from(["intact", "cut", "changed"] if damaged else ["intact"])
    rarely = st.sampled_from([*[False] * 7, True])

    @st.composite
    def drawn(draw: DrawFn) -> ImageFile:
        name = draw(names)
        kind = _KINDS[name]
        stored = draw(pictures)
        orientation = draw(orientations) if kind.suffix in _WITH_EXIF else 1
        data = _encode(stored, kind, orientation)
        state = draw(states)
        if state == "cut":
            data = data[: draw(st.integers(0, len(data) - 1))]
        elif state == "changed":
            data = _changed(data, draw(_changes(len(data))))
        suffix = draw(endings) if draw(rarely) else kind.suffix
        upright = np.ascontiguousarray(_upright(stored, orientation))
        exact = upright if kind.exact and state == "intact" else None
        return ImageFile(data, suffix, name, state, exact, (upright.shape[0], upright.shape[1]))

    files: SearchStrategy[ImageFile] = drawn()
    return st.one_of(*[files] * 9, junk) if damaged else files


def _changes(length: int) -> SearchStrategy[list[tuple[int, int, bool]]]:
    """Where, to what, and whether a byte is put in instead of written over; headers more often than the rest."""
    st = hypothesis_strategies()
    place = st.integers(0, min(length, 64) - 1) | st.integers(0, length - 1)
    change = st.tuples(place, st.sampled_from([0, 255]) | st.integers(0, 255), st.sampled_from([*[False] * 9, True]))
    return st.lists(change, min_size=1, max_size=4)


def _changed(data: bytes, changes: Sequence[tuple[int, int, bool]]) -> bytes:
    result = bytearray(data)
    for place, value, put_in in changes:
        if put_in:
            result.insert(place, value)
        else:
            result[place] = value
    return bytes(result)


# ---------------------------------------------------------------------- tables

_CELLS = (
    "", " ", "0", "1", "-1", "0.5", "0,5", "1e400", "-1e-400", "nan", "NaN", "inf", "None", "unknown", "NA", "<NA>",
    "true", "a.png", "a", "007", "=1+2", "@SUM(A1)", "+1", "-x", "../a.png", "/etc/passwd", "C:\\a.png", "a b", "ä",
    "日本", "\u202e", "🙂", "\x00", "<b>", "'", "male", "female", "back", "45", "200", "99999999999999999999",
    "2020-01-01", "#", "%s", "{}",
)  # fmt: skip


def tables(
    columns: Sequence[str] = ("image", "mask", "target", "group", "age", "sex"), *, max_rows: int = 6
) -> SearchStrategy[str]:
    """Draw the text of tables as they come from programs, spreadsheets and by hand.

    Parameters
    ----------
    columns : sequence of str, default=("image", "mask", "target", "group", "age", "sex")
        Names that a header is likely to have, the first one nearly always.
    max_rows : int, default=6
        Largest number of rows.

    Returns
    -------
    strategy of str
        Commas, semicolons or tabs; cells that are empty, quoted, formulas,
        numbers of any size, with line breaks or in any script; rows that are
        too short or too long; columns that are missing, there twice or in
        capitals; or no table at all.

    Examples
    --------
    >>> import os, tempfile
    >>> from hypothesis import given, settings
    >>> from skinseg.datasets import load_lesion_table
    >>> from skinseg.testing import tables
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(tables())
    ... def test_rows_or_a_clear_error(text):
    ...     with tempfile.TemporaryDirectory() as folder:
    ...         path = os.path.join(folder, "table.csv")
    ...         with open(path, "w", encoding="utf-8", newline="") as file:
    ...             file.write(text)
    ...         try:
    ...             assert len(load_lesion_table(path).images) > 0
    ...         except ValueError as error:
    ...             assert "table.csv" in str(error)
    >>> test_rows_or_a_clear_error()
    """
    st = hypothesis_strategies()
    cell = st.one_of(*[st.sampled_from(_CELLS)] * 7, st.text(max_size=6))
    headers = st.tuples(
        st.permutations(columns), st.lists(st.sampled_from([*[True] * 5, False]), min_size=len(columns))
    )
    more, lines, ends = (
        st.lists(cell, max_size=2),
        st.integers(0, max_rows),
        st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    )
    styles = st.tuples(
        st.sampled_from([",", ",", ";", "\t"]), st.sampled_from(["as needed", "as needed", "always", "never"]),
        st.sampled_from(["", "", "twice", "upper"]), ends, st.integers(0, 2),
    )  # fmt: skip
    widths = st.sampled_from([*[0] * 12, -1, 1, -2])

    @st.composite
    def drawn(draw: DrawFn) -> str:
        names, kept = draw(headers)
        header = [name for name, keep in zip(names, kept, strict=False) if keep] + draw(more)
        separator, quoting, oddity, end, last = draw(styles)
        if oddity:
            header = [*header, *header[:1]] if oddity == "twice" else [name.upper() for name in header]
        rows = [header]
        for _ in range(draw(lines)):
            width = max(0, len(header) + draw(widths))
            rows.append(draw(st.lists(cell, min_size=width, max_size=width)))
        text = end.join(separator.join(_quoted(item, separator, quoting) for item in row) for row in rows)
        return text + end * last

    files: SearchStrategy[str] = drawn()
    return st.one_of(*[files] * 15, st.text(max_size=40))


def _quoted(cell: str, separator: str, quoting: str) -> str:
    if quoting == "never" or (
        quoting == "as needed" and not any(sign in cell for sign in (separator, '"', "\n", "\r"))
    ):
        return cell
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'
