"""Files of images in, files of masks out: what `skinseg segment` needs, and no more is imported for it."""

from __future__ import annotations

import errno
import glob
import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from ._files import plain_text, reason_of, write_file
from ._mapping import batches_of, hash_of, load_or_fail, transform_batch
from ._quiet import ignored_warnings
from ._signature import is_foreign_mask, signed_png
from ._tables import table_bytes
from ._version import __version__
from .base import EXECUTION_PARAMETERS, BaseSegmenter, nested_estimators
from .doubtful import DoubtfulFolder
from .doubtful._folder import BELOW, NO_CONFIDENCE
from .exceptions import EmptyMaskWarning, SkinsegWarning
from .images import LesionImage, check_images
from .reading import IMAGE_SUFFIXES
from .runs._drive import NO_LESION, Batch, Job, RunSummary, collect, drive
from .runs._parts import MADE, STAMP, PartStore, stamp_of

__all__ = [
    "NO_LESION",
    "describe_estimator",
    "find_images",
    "find_masks",
    "quietly",
    "segment_files",
    "segment_to_folder",
    "split_readable",
    "write_table",
]

MASK_SUFFIX = "_segmentation"
DOUBTFUL = BELOW  # confidence below which an outline is worth a look
_KEPT = "_kept"  # column of a run
_AT_ONCE = 8  # images that a network gets at once, and that are decoded at the same time
# what will not go away with the next image: the run stops, and goes on when it is called again
_NO_ROOM = frozenset({errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOENT, errno.ENOSPC, errno.EPERM, errno.EROFS})


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
    there = set(os.listdir(folder))  # once, for to ask for each of 100,000 takes long on a network drive
    masks = []
    for image in images:
        isic, plain = f"{image.stem}{MASK_SUFFIX}.png", f"{image.stem}.png"
        masks.append(folder / (plain if plain in there and isic not in there else isic))
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
        data = table_bytes(table, separator=separator)
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

    def __init__(self, segmenter: Any, folder: Path, durable: bool, overwrite: bool) -> None:
        self.segmenter = segmenter
        self.folder = folder
        self.durable = durable
        self.overwrite = overwrite
        self.temporary: Path | None = None

    def __call__(self, batch: Batch) -> pd.DataFrame:
        """Give what went wrong with each image, if anything, and the confidence of its outline."""
        stamps = [stamp_of(path) for path in batch.content]
        records = [LesionImage(path) for path in batch.content]
        kept = [not self.overwrite and is_foreign_mask(self._mask(record)) for record in records]
        ours = hasattr(self.segmenter, "_apply_batch")
        size = 1 if getattr(self.segmenter, "_one_by_one", True) else _AT_ONCE
        todo = [record for record, keep in zip(records, kept, strict=True) if not keep]
        written = iter(
            [
                self._write(record, result)
                for part in batches_of(todo, size)
                for record, result in zip(
                    part, quietly(transform_batch, self.segmenter, _ready(part, ours)), strict=True
                )
            ]
        )
        rows = [
            ("", np.nan, stamp_of(self._mask(record))) if keep else next(written)
            for record, keep in zip(records, kept, strict=True)
        ]
        return pd.DataFrame(rows, columns=["error", "confidence", MADE]).assign(**{STAMP: stamps, _KEPT: kept})

    def _mask(self, record: LesionImage) -> Path:
        return self.folder / f"{record.name}{MASK_SUFFIX}.png"

    def _write(self, record: LesionImage, result: Any) -> tuple[str, float, str]:
        if result.error is not None:
            return plain_text(result.error), np.nan, ""
        mask = result.origin_plane("mask")
        path = self._mask(record)
        encoded = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(255))[1]
        try:
            write_file(path, signed_png(encoded.tobytes()), durable=self.durable, temporary=self.temporary)
        except OSError as error:
            text = f"the mask cannot be written: {reason_of(error)}"
            if error.errno in _NO_ROOM:
                raise type(error)(f"{path}: {text}; make room, or see to the folder, and call again to go on") from None
            return text, np.nan, ""
        confidence = np.nan if result.confidence is None else float(result.confidence)
        return ("" if mask.any() else NO_LESION), confidence, stamp_of(path)


def _ready(records: list[LesionImage], ours: bool) -> list[LesionImage]:
    """Decode for a foreign step, which would put its own words around the error of a bad file."""
    return records if ours else [load_or_fail(record) for record in records]


class _SegmentJob(Job):
    name = "segment"
    keeps_foreign = True  # their masks are there, in the folder that is common to both
    function: _SegmentToFiles

    def __init__(
        self, images: Sequence[Path], folder: Path, segmenter: Any, n_jobs: int | None, durable: bool = True,
        doubtful_to: DoubtfulFolder | None = None, overwrite: bool = False,
    ) -> None:  # fmt: skip
        images = [Path(image) for image in images]
        if doubtful_to is not None:
            _check_doubtful(doubtful_to, segmenter, folder, images)
        repeated = [stem for stem, count in Counter(image.stem for image in images).items() if count > 1]
        if repeated:
            raise ValueError(
                f"several images have the same name ({', '.join(repeated[:5])}) and their masks would replace each "
                "other; segment their folders one by one"
            )
        if hasattr(segmenter, "_check_ready"):
            segmenter._check_ready()  # or each of the images would fail
        folder.mkdir(parents=True, exist_ok=True)
        self.images, self.folder = images, folder
        self.n_images, self.n_jobs = len(images), n_jobs
        self.doubtful = DOUBTFUL
        self.doubtful_to = doubtful_to
        self.kept: list[Path] = []  # masks that were left as they are
        self.function = _SegmentToFiles(segmenter, folder.absolute(), durable, overwrite)

    def key(self, position: int) -> str:
        return plain_text(os.path.abspath(self.images[position]))

    def stamp(self, position: int) -> str:
        return stamp_of(self.images[position])

    def made(self, position: int) -> str:
        return stamp_of(self._mask(position))

    def prepare(self, temporary: Path) -> None:
        self.function.temporary = temporary.absolute()

    def content(self, positions: list[int]) -> list[str]:
        return [os.path.abspath(self.images[position]) for position in positions]  # workers may be in another folder

    def complete(self, positions: Sequence[int], found: pd.DataFrame) -> pd.DataFrame:
        errors = list(found["error"]) if len(found) else []
        masks = [
            plain_text(self._mask(position)) if error in ("", NO_LESION) else None
            for position, error in zip(positions, errors, strict=True)
        ]
        if len(positions) and positions[0] == 0:
            self.kept = []
        if _KEPT in found:
            kept = found[_KEPT].eq(True)  # nothing is known of the image on which a process died
            self.kept += [self._mask(position) for position, keep in zip(positions, kept, strict=True) if keep]
        # no column: there are no images, or a process died on each of them
        confidence = found["confidence"].to_numpy(float) if "confidence" in found else np.full(len(errors), np.nan)
        return pd.DataFrame({
            "image": [plain_text(self.images[position]) for position in positions], "mask": masks,
            "confidence": confidence, "error": errors,
        })  # fmt: skip

    def seen(self, positions: Sequence[int], rows: pd.DataFrame) -> None:
        if self.doubtful_to is None:
            return
        if positions[0] == 0:
            self.doubtful_to.begin(self.n_images)
        paths = {  # as they are, for a name that is no UTF-8 is spelled out in the table
            "image": [str(self.images[position]) for position in positions],
            "mask": [str(self._mask(position)) for position in positions],
        }
        self.doubtful_to.add(rows.assign(**{name: pd.Series(paths[name], rows.index, object) for name in paths}))

    def finish(self) -> None:
        if self.doubtful_to is not None:
            self.doubtful_to.write()

    def _mask(self, position: int) -> Path:
        return self.folder / f"{self.images[position].stem}{MASK_SUFFIX}.png"


def _check_doubtful(doubtful: DoubtfulFolder, segmenter: Any, folder: Path, images: Sequence[Path]) -> None:
    """Refuse what would fail after hours of work."""
    if isinstance(segmenter, BaseSegmenter) and type(segmenter)._confidence is BaseSegmenter._confidence:
        raise ValueError(f"{type(segmenter).__name__} {NO_CONFIDENCE}")
    place = os.path.abspath(doubtful.folder)
    if place == os.path.abspath(folder):
        raise ValueError(f"{folder} is the folder of all masks; give another one for the doubtful outlines")
    inside = next((image for image in images if os.path.abspath(image).startswith(os.path.join(place, ""))), None)
    if inside is not None:
        raise ValueError(
            f"{inside} is itself in {doubtful.folder}, the folder of the doubtful outlines; give one that is not among "
            "the images"
        )
    doubtful.check()


def segment_files(
    images: Sequence[Path], folder: str | os.PathLike[str], segmenter: BaseSegmenter | Any, *,
    overwrite: bool = False, n_jobs: int | None = None, verbose: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Outline the lesions of many files and write the masks.

    A mask that is there already and was not written so, such as one that was
    painted by hand, stays as it is, with a warning; the table has no confidence
    of it.

    Parameters
    ----------
    images : sequence of Path
        The files.
    folder : path-like
        Where the masks go, as ``<stem>_segmentation.png``, 8-bit, 0 and 255,
        each of the size of its image; made if it does not exist.
    segmenter : segmenter
        Ready to predict.
    overwrite : bool, default=False
        Replace masks whatever they are.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress if above 0.

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
    OSError
        If the folder cannot be written, or is full.

    See Also
    --------
    segment_to_folder : For so many that a run may be stopped in the middle.
    """
    job = _SegmentJob(images, Path(folder), segmenter, n_jobs, overwrite=overwrite)
    table = collect(job, verbose=verbose)
    if job.kept:
        warnings.warn(f"{_tell_kept(job.kept)}; overwrite=True replaces them", SkinsegWarning, stacklevel=2)
    return table


def _tell_kept(kept: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in kept[:5]) + (", ..." if len(kept) > 5 else "")
    return f"masks that were changed, or made by another hand, stay as they are ({len(kept)}): {names}"


def segment_to_folder(
    images: Sequence[Path],
    folder: str | os.PathLike[str],
    segmenter: BaseSegmenter | Any,
    *,
    table: str | os.PathLike[str] | None = None,
    errors: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    model_id: str | None = None,
    durable: bool = True,
    doubtful: DoubtfulFolder | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    tell: Callable[[str], None] | None = None,
) -> RunSummary:
    """Outline the lesions of very many files, in a run that can be stopped at any moment and gone on with.

    What was done is noted in ``segment.parts`` in the folder of the masks until
    all images are done; what a stopped call has done of others stays noted. A
    mask is left as it is if that says so, and if neither its image nor the mask
    itself changed since; and always if it was changed after it was written, or
    was not written so at all: somebody may have painted it.

    Parameters
    ----------
    images : sequence of Path
        The files.
    folder : path-like
        Where the masks go, see `segment_files`.
    segmenter : segmenter
        Ready to predict.
    table : path-like, default=None
        Table to write at the end, ``.csv``, ``.tsv`` or ``.parquet``, as
        `segment_files` gives it.
    errors : path-like, default=None
        Table to write at the end of the images whose ``error`` is not empty:
        ``image``, ``error``.
    fresh : bool, default=False
        Forget what earlier calls did, and replace masks whatever they are.
    retry_failed : bool, default=False
        Try again what failed in earlier calls although the file is the same.
    model_id : str, default=None
        What tells the segmenter from others, such as the hash of its file; made
        of its parameters and state if None.
    durable : bool, default=True
        Wait for each mask to be on the disk.
    doubtful : DoubtfulFolder, default=None
        Where the least confident outlines are written at the end, to be
        corrected; its ``summary`` says how many.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress if above 0: a bar in a terminal, else a line every 30 s.
    tell : callable, default=None
        Takes lines for the user: how much was done already, which parts are
        damaged.

    Returns
    -------
    RunSummary
        Numbers, and the first names of what failed.

    Raises
    ------
    ValueError
        If two images have the same stem, or there are none; if doubtful
        outlines are wanted of a segmenter that tells no confidence.
    RunError
        If another process has the run, or the masks that are there were made
        with other settings.
    RunInterrupted
        At Ctrl-C; it is a KeyboardInterrupt.
    OSError
        If the folder cannot be written, or is full.
    """
    folder = Path(folder)
    job = _SegmentJob(images, folder, segmenter, n_jobs, durable, doubtful, overwrite=fresh)
    job.settings = {
        "command": "segment",
        "skinseg": __version__,
        "segmenter": describe_estimator(segmenter, model_id),
    }
    store = PartStore(folder / "segment.parts", job.settings, fresh=fresh, tell=tell)
    summary = drive(
        job,
        store,
        folder,
        table=None if table is None else Path(table),
        errors=None if errors is None else Path(errors),
        retry_failed=retry_failed,
        verbose=verbose,
    )
    if job.kept and tell is not None:
        tell(f"{_tell_kept(job.kept)}; --fresh replaces them")
    return summary


def describe_estimator(estimator: Any, model_id: str | None = None) -> str:
    """Tell an estimator from all others in one line: its parameters, and a hash of its state.

    Parameters
    ----------
    estimator : estimator
        The estimator.
    model_id : str, default=None
        To be used in place of the hash.

    Returns
    -------
    str
        The line.
    """
    alone = _without_execution(estimator)
    text = " ".join(repr(alone).split())
    text = text if len(text) <= 200 else f"{text[:200]}..."
    if model_id is None:
        own = getattr(alone, "_result_key", None)
        model_id = hash_of(alone) if own is None else str(own(EXECUTION_PARAMETERS))
    return f"{text} [{model_id[:16]}]"


def _without_execution(estimator: Any) -> Any:
    """Copy an estimator, with what does not shape its results as it is by default."""
    copy = deepcopy(estimator)
    for part in nested_estimators(copy):
        defaults = inspect.signature(type(part)).parameters
        for name in EXECUTION_PARAMETERS & vars(part).keys() & defaults.keys():
            setattr(part, name, defaults[name].default)
        for name in ("errors_", "empty_"):
            vars(part).pop(name, None)
    return copy


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
    with ignored_warnings(EmptyMaskWarning):
        return function(*args)
