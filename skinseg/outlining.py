"""Files of images in, files of masks out: what `skinseg segment` needs, and no more is imported for it."""

from __future__ import annotations

import glob
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from ._files import write_file
from ._mapping import batches_of, map_batches, transform_batch
from .base import BaseSegmenter
from .exceptions import EmptyMaskWarning
from .images import LesionImage, check_images
from .reading import IMAGE_SUFFIXES

__all__ = ["find_images", "find_masks", "quietly", "segment_files", "split_readable", "write_table"]

NO_LESION = "no lesion found"
MASK_SUFFIX = "_segmentation"
DOUBTFUL = 0.7  # confidence below which an outline is worth a look
_AT_ONCE = 8  # images that a network gets at once, and that are decoded at the same time


def find_images(items: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List image files from files, folders and glob patterns.

    Parameters
    ----------
    items : iterable of path-like
        Files are taken as they are, even if they do not exist (reading them
        says so); of folders, all files below with the ending of an image,
        without ISIC mask files (``_segmentation``); patterns are expanded.

    Returns
    -------
    list of Path
        Without repetitions; those of a folder or pattern in sorted order.

    Raises
    ------
    ValueError
        If a folder or a pattern has no images.
    """
    found: dict[Path, None] = {}
    for item in items:
        if not str(item):
            raise ValueError("the name of an image is empty; give files, folders or patterns")
        path = Path(item)
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if _is_image_file(p))
            if not files:
                endings = ", ".join(sorted(IMAGE_SUFFIXES))
                raise ValueError(f"{path}: no image files in this folder (with one of the endings {endings})")
        elif glob.has_magic(str(item)) and not path.exists():
            files = sorted(Path(name) for name in glob.glob(str(item), recursive=True) if Path(name).is_file())
            if not files:
                raise ValueError(f"{item}: no file fits this pattern")
        else:
            files = [path]
        found |= dict.fromkeys(files)
    return list(found)


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.stem.endswith(MASK_SUFFIX) and path.is_file()


def find_masks(images: Sequence[Path], folder: str | os.PathLike[str]) -> list[Path]:
    """Name the mask file of each image: ``<stem>_segmentation.png`` or ``<stem>.png`` in a folder.

    Parameters
    ----------
    images : sequence of Path
        The images.
    folder : path-like
        The folder of the masks.

    Returns
    -------
    list of Path
        One an image; of those that do not exist the ISIC name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: the folder of the masks does not exist")
    masks = []
    for image in images:
        isic, plain = folder / f"{image.stem}{MASK_SUFFIX}.png", folder / f"{image.stem}.png"
        masks.append(plain if plain.is_file() and not isic.is_file() else isic)
    return masks


def write_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as ``.csv``, ``.tsv`` or ``.parquet``, complete or not at all.

    Parameters
    ----------
    table : DataFrame
        The table.
    path : path-like
        The file; its ending tells the form.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        data = table.to_parquet(index=False)
    else:
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        data = table.to_csv(index=False, sep=separator).encode()
    write_file(path, data)


def split_readable(
    images: Sequence[Path], extras: Sequence[Mapping[str, Any]] | None = None
) -> tuple[list[int], list[LesionImage], dict[int, str]]:
    """Check files one by one by their headers.

    Parameters
    ----------
    images : sequence of Path
        The files.
    extras : sequence of mapping, default=None
        Further parts of the record for each file, such as its mask.

    Returns
    -------
    positions, records, errors : list of int, list of LesionImage, dict of int to str
        Those that can be used, as records, and why the others cannot.
    """
    positions, records, errors = [], [], {}
    for index, image in enumerate(images):
        try:
            record = LesionImage(image, **(extras[index] if extras is not None else {}))
            records += check_images([record])
            positions.append(index)
        except ValueError as error:
            text = str(error).partition("X[0]: ")[2] or str(error)
            errors[index] = text.removeprefix(f"{image}: ")
    return positions, records, errors


class _SegmentToFiles:
    """What a worker does with a batch: outline and write, so that no masks travel between processes."""

    def __init__(self, segmenter: Any, folder: Path) -> None:
        self.segmenter = segmenter
        self.folder = folder

    def __call__(self, batch: Sequence[LesionImage]) -> list[tuple[str, float]]:
        """Give what went wrong with each image, if anything, and the confidence of its outline."""
        size = 1 if getattr(self.segmenter, "_one_by_one", True) else _AT_ONCE
        return [
            self._write(record, result)
            for part in batches_of(batch, size)
            for record, result in zip(part, quietly(transform_batch, self.segmenter, part), strict=True)
        ]

    def _write(self, record: LesionImage, result: Any) -> tuple[str, float]:
        if result.error is not None:
            return str(result.error), np.nan
        mask = result.origin_plane("mask")
        try:
            encoded = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(255))[1]
            write_file(self.folder / f"{record.name}{MASK_SUFFIX}.png", encoded.tobytes())
        except OSError as error:
            return f"the mask cannot be written: {error.strerror or error}", np.nan
        confidence = np.nan if result.confidence is None else float(result.confidence)
        return ("", confidence) if mask.any() else (NO_LESION, confidence)


def segment_files(
    images: Sequence[Path], folder: str | os.PathLike[str], segmenter: BaseSegmenter | Any, *,
    n_jobs: int | None = None, verbose: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Outline the lesions of many files and write the masks.

    Parameters
    ----------
    images : sequence of Path
        The files.
    folder : path-like
        Where the masks go, as ``<stem>_segmentation.png``, 8-bit, 0 and 255,
        each of the size of its image; made if it does not exist.
    segmenter : segmenter
        Ready to predict.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    DataFrame
        The columns ``image``, ``mask`` (file; None where it failed),
        ``confidence`` of the outline (NaN where the segmenter knows none),
        ``error`` (``"no lesion found"`` where the mask is empty).

    Raises
    ------
    ValueError
        If two images have the same stem, for one mask would replace the other.
    """
    repeated = [stem for stem, count in Counter(image.stem for image in images).items() if count > 1]
    if repeated:
        raise ValueError(
            f"several images have the same name ({', '.join(repeated[:5])}) and their masks would replace each other; "
            "segment their folders one by one"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    positions, records, errors = split_readable(images)
    confidence = np.full(len(images), np.nan)
    worker = _SegmentToFiles(segmenter, folder)
    with closing(map_batches(worker, records, n_jobs=n_jobs, verbose=verbose, desc="segment")) as stream:
        for start, _, outcomes in stream:
            for index, (text, sure) in enumerate(outcomes, start):
                confidence[positions[index]] = sure
                if text:
                    errors[positions[index]] = text
    masks = [
        None if errors.get(index, NO_LESION) != NO_LESION else str(folder / f"{image.stem}{MASK_SUFFIX}.png")
        for index, image in enumerate(images)
    ]
    texts = [errors.get(index, "") for index in range(len(images))]
    return pd.DataFrame(
        {"image": [str(image) for image in images], "mask": masks, "confidence": confidence, "error": texts}
    )


def quietly(function: Any, *args: Any) -> Any:
    """Call a function without the warning of empty masks, which the column ``error`` tells.

    Parameters
    ----------
    function : callable
        The function.
    *args : tuple
        Its arguments.

    Returns
    -------
    object
        What it gives.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        return function(*args)
