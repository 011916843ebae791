"""Files in the forms that the ISIC challenges take: masks as PNG, probabilities as CSV."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from .._files import write_file
from .._tables import read_text_table, table_bytes
from ..masks import as_mask
from ..outlining import MASK_SUFFIX
from ..reading import read_mask

__all__ = [
    "ISIC_COLUMNS",
    "read_isic_classification",
    "read_isic_masks",
    "write_isic_classification",
    "write_isic_masks",
]

ISIC_COLUMNS: dict[int, tuple[str, ...]] = {
    2016: ("image_id", "malignant"),
    2017: ("image_id", "melanoma", "seborrheic_keratosis"),
    2018: ("image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
    2019: ("image", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"),
    2020: ("image_name", "target"),
}
"""Columns of the classification files by year of the challenge; the file of 2016 has no line of names."""

_LISTED = 5


class _Form(NamedTuple):
    """How the file of an edition looks."""

    columns: tuple[str, ...]
    header: bool


def _form(edition: int) -> _Form:
    if edition not in ISIC_COLUMNS:
        known = ", ".join(map(str, ISIC_COLUMNS))
        raise ValueError(f"edition must be the year of an ISIC challenge with classes ({known}), got {edition!r}")
    return _Form(ISIC_COLUMNS[edition], edition != 2016)


def _some(names: Sequence[Any]) -> str:
    listed = ", ".join(map(str, names[:_LISTED]))
    return listed + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _check_names(names: Sequence[str]) -> list[str]:
    names = [str(name) for name in names]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{len(repeated)} name(s) are there more than once: {_some(repeated)}; one row an image")
    wrong = [name for name in names if not name or name != Path(name).name or "\\" in name]
    if wrong:
        raise ValueError(f"{len(wrong)} name(s) are no names of images: {_some([repr(name) for name in wrong])}")
    return names


def write_isic_masks(masks: Sequence[Any], names: Sequence[str], folder: str | os.PathLike[str]) -> list[Path]:
    """Write masks as the ISIC challenges take them.

    Parameters
    ----------
    masks : sequence of ndarray of shape (H, W)
        The masks, bool, or 0 and 255, or 0 and 1; each of the size of its
        image.
    names : sequence of str
        Of the images, such as ``ISIC_0000001``, without an ending.
    folder : path-like
        Where they go, as ``<name>_segmentation.png``, 8-bit, one channel, 0
        and 255; made if it does not exist.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        If the numbers differ, a name repeats or is no name of a file, or
        masks are none; nothing is written then.

    References
    ----------
    "ISIC 2018 Challenge, Task 1: Lesion Boundary Segmentation",
    https://challenge.isic-archive.com/landing/2018/45, and the same of 2017,
    https://challenge.isic-archive.com/landing/2017/42 (whose ground truth is
    named ``..._Segmentation.png`` in the text; readers take both).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skinseg.evaluation import read_isic_masks, write_isic_masks
    >>> folder = tempfile.TemporaryDirectory()
    >>> mask = np.eye(4, dtype=bool)
    >>> [path.name for path in write_isic_masks([mask], ["ISIC_0000001"], folder.name)]
    ['ISIC_0000001_segmentation.png']
    >>> bool((read_isic_masks(folder.name)["ISIC_0000001"] == mask).all())
    True
    >>> folder.cleanup()
    """
    names = _check_names(names)
    if len(masks) != len(names):
        raise ValueError(f"there are {len(masks)} masks and {len(names)} names; give one name a mask")
    planes, errors = [], []
    for name, mask in zip(names, masks, strict=True):
        try:
            planes.append(as_mask(mask))
        except (ValueError, TypeError) as error:
            errors.append(f"{name}: {error}")
    if errors:
        raise ValueError(f"{len(errors)} of {len(names)} masks cannot be written: {'; '.join(errors[:_LISTED])}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [write_isic_mask(plane, name, folder) for name, plane in zip(names, planes, strict=True)]


def write_isic_mask(mask: np.ndarray, name: str, folder: Path) -> Path:
    """Write one bool mask; the folder must exist."""
    path = folder / f"{name}{MASK_SUFFIX}.png"
    write_file(path, cv2.imencode(".png", mask.astype(np.uint8) * np.uint8(255))[1].tobytes())
    return path


def read_isic_masks(
    folder: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    *,
    shapes: Sequence[tuple[int, int]] | None = None,
) -> dict[str, np.ndarray]:
    """Read a folder of masks in the form of the ISIC challenges, and check it.

    Parameters
    ----------
    folder : path-like
        With files ``<name>_segmentation.png`` (also ``_Segmentation``); others
        are left alone.
    names : sequence of str, default=None
        Of the images for which there must be one mask each; all that are
        there if None.
    shapes : sequence of (int, int), default=None
        Height and width of the images of ``names``, which their masks must
        have.

    Returns
    -------
    dict of str to ndarray of shape (H, W), bool
        The masks by name, in the order of ``names`` (else sorted).

    Raises
    ------
    ValueError
        If masks are missing, cannot be read, are no masks (lesion is where the
        gray value is above 127), or have another size; they are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: the folder of the masks does not exist")
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*.png")):
        name, mark, rest = path.stem.lower().rpartition(MASK_SUFFIX)
        if mark and not rest:
            files[path.stem[: len(name)]] = path
    wanted = list(files) if names is None else _check_names(names)
    errors = [f"{name}: there is no {name}{MASK_SUFFIX}.png" for name in wanted if name not in files]
    masks = {}
    for index, name in enumerate(wanted):
        if name not in files:
            continue
        try:
            masks[name] = as_mask(read_mask(files[name]))
        except (ValueError, TypeError) as error:
            errors.append(str(error) if str(files[name]) in str(error) else f"{files[name]}: {error}")
            continue
        if shapes is not None and masks[name].shape != tuple(shapes[index]):
            errors.append(f"{name}: the mask has the size {masks[name].shape}, its image {tuple(shapes[index])}")
    if errors:
        raise ValueError(f"{folder}: {len(errors)} of {len(wanted)} masks are not as they should be: {_some(errors)}")
    return masks


def write_isic_classification(
    names: Sequence[str], probabilities: Any, path: str | os.PathLike[str], *, edition: int = 2018
) -> Path:
    """Write probabilities as the ISIC challenges take them.

    Parameters
    ----------
    names : sequence of str
        Of the images, such as ``ISIC_0000001``, without an ending.
    probabilities : array-like of shape (n_images, n_classes) or (n_images,), or DataFrame
        In [0, 1], a column a class in the order of `ISIC_COLUMNS`; of a
        DataFrame the columns of these names are taken. Rows need not add up
        to 1.
    path : path-like
        The file, ``.csv``.
    edition : {2016, 2017, 2018, 2019, 2020}, default=2018
        Year of the challenge, which says what the columns are.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the numbers of rows or columns do not fit, a name repeats or has an
        ending, or a probability is missing or out of range; nothing is
        written then.

    References
    ----------
    Task pages of the challenges at https://challenge.isic-archive.com/landing:
    2016/39, 2017/44, 2018/47, 2019, 2020. The official scorer
    (https://github.com/ImageMarkup/isic-challenge-scoring) takes those that
    begin with ``image``.

    Examples
    --------
    >>> import os, tempfile
    >>> from skinseg.evaluation import read_isic_classification, write_isic_classification
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "submission.csv")
    >>> print(write_isic_classification(["ISIC_0000001"], [[0.7, 0.1]], path, edition=2017).read_text())
    image_id,melanoma,seborrheic_keratosis
    ISIC_0000001,0.7,0.1
    >>> read_isic_classification(path, edition=2017).loc["ISIC_0000001", "melanoma"].item()
    0.7
    >>> folder.cleanup()
    """
    form = _form(edition)
    classes = list(form.columns[1:])
    if isinstance(probabilities, pd.DataFrame):
        absent = [name for name in classes if name not in probabilities]
        if absent:
            raise ValueError(f"the probabilities have no column {', '.join(absent)}, which the edition {edition} wants")
        probabilities = probabilities[classes]
    names = _check_names(names)
    with_ending = [name for name in names if Path(name).suffix.lower() in (".jpg", ".jpeg", ".png", ".tif", ".bmp")]
    if with_ending:
        raise ValueError(f"{len(with_ending)} name(s) have the ending of a file: {_some(with_ending)}; leave it out")
    values = np.asarray(probabilities, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    if values.shape != (len(names), len(classes)):
        raise ValueError(
            f"the edition {edition} wants {len(names)} rows (one a name) of {len(classes)} probabilities "
            f"({', '.join(classes)}), got the shape {values.shape}"
        )
    _check_range(values, names)
    table = pd.DataFrame(values, columns=classes)
    table.insert(0, form.columns[0], names)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder does not exist; make it first")
    write_file(path, table_bytes(table, header=form.header))
    return path


def _check_range(values: np.ndarray, names: Sequence[str]) -> None:
    bad = ~((values >= 0) & (values <= 1))  # NaN as well
    rows = np.flatnonzero(bad.any(axis=1))
    if len(rows):
        told = [f"{names[row]} ({values[row][bad[row]][0]:g})" for row in rows.tolist()]
        raise ValueError(f"{len(rows)} image(s) have a probability that is missing or outside of [0, 1]: {_some(told)}")


def read_isic_classification(
    path: str | os.PathLike[str], names: Sequence[str] | None = None, *, edition: int = 2018
) -> pd.DataFrame:
    """Read a file of probabilities in the form of the ISIC challenges, and check it.

    Parameters
    ----------
    path : path-like
        The file.
    names : sequence of str, default=None
        Of the images for which there must be one row each, in any order.
    edition : {2016, 2017, 2018, 2019, 2020}, default=2018
        Year of the challenge, which says what the columns are.

    Returns
    -------
    DataFrame
        A row an image, by name, in the order of ``names`` (else of the file); a
        column a class.

    Raises
    ------
    ValueError
        If columns, rows or values are not as they should be; those are named.
    """
    form, path = _form(edition), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file does not exist")
    first = form.columns[0]
    given: dict[str, Any] = {} if form.header else {"header": None, "names": list(form.columns)}
    table = read_text_table(path, dtype={first: str}, **given)
    absent = [name for name in form.columns if name not in table]
    if absent:
        raise ValueError(
            f"{path} has no column {', '.join(absent)}, which the edition {edition} has; its columns are "
            f"{', '.join(map(str, table.columns))}"
        )
    try:
        found = _check_names(table[first].fillna("").tolist())
        values = table[list(form.columns[1:])].apply(pd.to_numeric, errors="coerce")
        _check_range(values.to_numpy(float), found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    result = values.astype(float).set_axis(pd.Index(found, name=first), axis=0)
    if names is None:
        return result
    wanted = _check_names(names)
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or extra:
        parts = [f"{len(missing)} image(s) have no row: {_some(missing)}"] if missing else []
        parts += [f"{len(extra)} row(s) are of no image: {_some(extra)}"] if extra else []
        raise ValueError(f"{path}: {'; '.join(parts)}")
    return result.loc[wanted]
