"""Choosing the least confident outlines of a table, and writing them out to be corrected."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from .._files import plain_text, write_file
from .._tables import read_text_table
from ..annotations import CocoMasks, coco_content, labelme_content, mask_of_labelme, outline_hash
from ..annotations._coco import coco_annotation
from ..annotations._json import load_json, save_json
from ..exceptions import ImageReadError
from ..reading import read_header, read_image, read_mask
from ..runs._drive import NO_LESION
from ..runs._parts import take_lock
from ._guide import GUIDE
from ._layout import (
    COCO,
    IMAGES,
    MASK_SUFFIX,
    MASKS,
    README,
    TABLE,
    Entry,
    key_of,
    original_key,
    read_entries,
    suffix_of,
    unique_stem,
    write_entries,
)
from ._sources import CHECKED, AnnotationIndex, stem_in

__all__ = ["DoubtfulFolder", "DoubtfulSummary", "write_doubtful"]

BELOW = 0.7  # confidence below which an outline is worth a look
NO_CONFIDENCE = (
    "tells no confidence of its outlines, so that none is doubtful; take one that does: PretrainedSegmenter "
    "(pretrained), EnsembleSegmenter (ensemble), SuperpixelSegmenter or a network"
)
_AT_ONCE = 32  # images between two states of the table on the disk
_NEEDED = ("image", "mask", "confidence", "error")


@dataclass
class DoubtfulSummary:
    """What was written into a folder of doubtful outlines.

    Parameters
    ----------
    folder : Path
        The folder.
    n_written : int
        Images that were written.
    n_empty : int
        Those of them without a lesion.
    n_converted : int
        Those of them whose copy is another file than the original: upright
        where that is turned by its EXIF orientation, PNG where annotation tools
        do not open its form.
    kept : list of str
        Images of the folder that were chosen again and left as they are, for
        someone has corrected them.
    failed : list of (str, str)
        Images that could not be written, and why.
    """

    folder: Path
    n_written: int = 0
    n_empty: int = 0
    n_converted: int = 0
    kept: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


class _Candidate(NamedTuple):
    rank: tuple[float, int]  # images without a lesion first, then by confidence; then in the order of the table
    image: str
    mask: str
    confidence: float
    error: str


class _Made(NamedTuple):
    """What is to be written for an image."""

    candidate: _Candidate
    entry: Entry | None = None
    content: dict[str, Any] | None = None
    mask: np.ndarray | None = None
    annotation: dict[str, Any] | None = None
    converted: bool = False
    problem: str = ""

    def after(self, entries: Mapping[str, Entry]) -> _Made:
        """Give the same with what earlier calls wrote of the image."""
        return self if self.entry is None else self._replace(entry=self.entry.after(entries.get(self.entry.original)))


class DoubtfulFolder:
    """A folder into which the least confident outlines of a run are written, to be corrected with an annotation tool.

    Parameters
    ----------
    folder : path-like
        The folder; made if it does not exist. It must be empty, or one that an
        earlier call has written: what was corrected in it is left as it is.
    below : float, default=None
        Take the outlines with a confidence below this, in (0, 1], and the
        images in which no lesion was found. 0.7 if none of the three is given.
    share : float, default=None
        Take this share of the images, in (0, 1]: those in which no lesion was
        found first, then the least confident ones.
    number : int, default=None
        Take so many images in the same order, at least 1.
    label : str, default="lesion"
        What the outlines are called in the tools.
    tolerance : float, default=1.0
        Pixels that the polygons may be away from the outline so that they have
        few corners, see `skinseg.annotations.mask_to_polygons`. The PNG masks
        are exact.
    n_jobs : int, default=None
        Threads that read and write, as in joblib.

    Attributes
    ----------
    summary : DoubtfulSummary or None
        What `write` did.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or more than one of below, share and
        number is given.

    See Also
    --------
    write_doubtful : The same for a table that is there.
    skinseg.datasets.load_corrections : Reads what came back.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        below: float | None = None,
        share: float | None = None,
        number: int | None = None,
        label: str = "lesion",
        tolerance: float = 1.0,
        n_jobs: int | None = None,
    ) -> None:
        given = [name for name, value in (("below", below), ("share", share), ("number", number)) if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
        for name, value in (("below", below), ("share", share)):
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {value!r}")
        if number is not None and (not isinstance(number, (int, np.integer)) or number < 1):
            raise ValueError(f"number must be a whole number of at least 1, got {number!r}")
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0 pixels, got {tolerance!r}")
        self.folder = Path(folder)
        self.below = below if given else BELOW
        self.share, self.number = share, number
        self.label, self.tolerance, self.n_jobs = label, tolerance, n_jobs
        self.summary: DoubtfulSummary | None = None
        self.begin(0)

    # ------------------------------------------------------------------ choosing

    def check(self) -> None:
        """See whether the folder can be written, before hours of work and not after.

        Raises
        ------
        ValueError
            If there is something else in it, or its table or COCO file is
            damaged.
        OSError
            If it is no folder, or cannot be read.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{self.folder} is a file; give the name of a folder for the doubtful outlines")
        if read_entries(self.folder) is None:
            others = sorted(name for name in os.listdir(self.folder) if not name.startswith("."))
            if others:
                raise ValueError(
                    f"{self.folder} holds something else than doubtful outlines ({', '.join(others[:3])}); give a "
                    "folder that is empty or does not exist"
                )
        self._old_coco()

    def begin(self, n_images: int) -> None:
        """Forget what was added.

        Parameters
        ----------
        n_images : int
            Images that will be added at most, for ``share``.
        """
        self._most = math.inf if self.below is not None else self.number or math.ceil((self.share or 0) * n_images)
        self._heap: list[tuple[tuple[float, float], _Candidate]] = []
        self._n_usable = self._n_seen = self._n_confident = self._n_outlined = 0

    def add(self, table: pd.DataFrame) -> None:
        """Look at some rows; no more than those which may be among the chosen ones are kept.

        Parameters
        ----------
        table : DataFrame
            With the columns ``image``, ``mask``, ``confidence``, ``error`` of
            `skinseg.outlining.segment_files`.
        """
        missing = [name for name in _NEEDED if name not in table]
        if missing:
            raise ValueError(
                f"the table has no column {', '.join(missing)}; it must have {', '.join(_NEEDED)}, as "
                "`skinseg segment --table` writes it and segment_files gives it"
            )
        errors = table["error"].fillna("").astype(str)
        confidences = pd.to_numeric(table["confidence"], errors="coerce")
        for image, mask, confidence, error in zip(table["image"], table["mask"], confidences, errors, strict=True):
            self._n_seen += 1
            if error not in ("", NO_LESION):
                continue
            self._n_usable += 1
            empty = error == NO_LESION
            self._n_outlined += not empty
            self._n_confident += not empty and not math.isnan(confidence)
            if not empty and (math.isnan(confidence) or (self.below is not None and confidence >= self.below)):
                continue
            rank = (-1.0 if empty else float(confidence), self._n_seen)
            candidate = _Candidate(rank, str(image), str(mask), float(confidence), error)
            heapq.heappush(self._heap, ((-rank[0], -rank[1]), candidate))  # the most confident one on top
            if len(self._heap) > self._most:
                heapq.heappop(self._heap)

    def _chosen(self) -> list[_Candidate]:
        if self._n_outlined and not self._n_confident:
            raise ValueError(f"the segmenter {NO_CONFIDENCE}")
        chosen = sorted(candidate for _, candidate in self._heap)
        if self.share is not None:
            chosen = chosen[: math.ceil(self.share * self._n_usable)]
        first = {original_key(candidate.image): candidate for candidate in reversed(chosen)}
        return sorted(first.values())

    # ------------------------------------------------------------------ writing

    def write(self) -> DoubtfulSummary:
        """Write the chosen images and their outlines.

        Returns
        -------
        DoubtfulSummary
            What was written.

        Raises
        ------
        ValueError
            If the segmenter tells no confidence, or there is something else in
            the folder.
        RunError
            If another process writes into the folder.
        OSError
            If the folder cannot be written, or is full.
        """
        chosen = self._chosen()
        self.check()
        summary = self.summary = DoubtfulSummary(self.folder)
        if chosen:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self.folder / ".lock"
            handle = take_lock(lock)
            try:
                self._write(chosen, summary)
            finally:
                with suppress(OSError):  # Windows keeps a file that is open; it is in nobody's way
                    lock.unlink()
                os.close(handle)
        return summary

    def _write(self, chosen: list[_Candidate], summary: DoubtfulSummary) -> None:
        entries = {entry.original: entry for entry in read_entries(self.folder) or []}
        changed = self._changed(entries, chosen, summary)
        used = {key_of(entry.stem) for entry in entries.values()}
        stems = {key: entry.stem for key, entry in entries.items()}
        for candidate in chosen:
            key = original_key(candidate.image)
            stems[key] = stems.get(key) or unique_stem(Path(candidate.image).stem, used)
        todo = [candidate for candidate in chosen if original_key(candidate.image) not in changed]
        annotations: list[tuple[Entry, dict[str, Any] | None]] = []
        with Parallel(n_jobs=self.n_jobs, require="sharedmem") as parallel:
            for start in range(0, len(todo), _AT_ONCE):
                part_of = todo[start : start + _AT_ONCE]
                made = parallel(delayed(self._make)(one, stems[original_key(one.image)]) for one in part_of)
                made = [one.after(entries) for one in made]
                entries |= {one.entry.original: one.entry for one in made if one.entry is not None}
                write_entries(self.folder, entries)  # before the files: so all of them are known whatever happens
                for part in (IMAGES, MASKS):
                    (self.folder / part).mkdir(exist_ok=True)
                problems = parallel(delayed(self._write_files)(one) for one in made)
                for one, problem in zip(made, problems, strict=True):
                    self._note(summary, one, problem)
                    if one.entry is not None and not problem:
                        annotations.append((one.entry, one.annotation))
        save_json(self.folder / COCO, _merged(self._old_coco(), annotations, self.label))
        write_file(self.folder / README, GUIDE.encode())

    def _changed(
        self, entries: dict[str, Entry], chosen: Iterable[_Candidate], summary: DoubtfulSummary
    ) -> frozenset[str]:
        """Find what someone has corrected, or ticked, or what cannot be read; it is not written again."""
        again = [entries[key] for key in (original_key(candidate.image) for candidate in chosen) if key in entries]
        if not again:
            return frozenset()
        index = AnnotationIndex(self.folder, [self.folder / IMAGES / entry.image for entry in entries.values()])
        answers = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(_is_corrected)(index, entry) for entry in again
        )
        kept = [entry for entry, answer in zip(again, answers, strict=True) if answer]
        summary.kept = [entry.image for entry in kept]
        return frozenset(entry.original for entry in kept)

    def _make(self, candidate: _Candidate, stem: str) -> _Made:
        try:
            header = read_header(candidate.image)
            mask = read_mask(candidate.mask)
        except ImageReadError as error:
            return _Made(candidate, problem=str(error))
        if mask.shape != header.shape:
            (h, w), (height, width) = mask.shape, header.shape
            text = f"{candidate.mask}: the mask is {w} x {h} pixels, its image {width} x {height}; outline it again"
            return _Made(candidate, problem=text)
        suffix = suffix_of(candidate.image, header)
        name = f"{stem}{suffix or '.png'}"
        content = labelme_content(
            mask, name, label=self.label, tolerance=self.tolerance, flags={CHECKED: False}
        )  # fmt: skip
        entry = Entry(
            name, original_key(candidate.image), candidate.confidence, candidate.error, *mask.shape,
            outline_hash(mask), outline_hash(mask_of_labelme(content)),
        )  # fmt: skip
        annotation = coco_annotation(mask, tolerance=self.tolerance)
        return _Made(candidate, entry, content, mask, annotation, converted=suffix is None)

    def _write_files(self, made: _Made) -> str:
        """Write the files of an image; give what is wrong with it."""
        entry, mask = made.entry, made.mask
        if entry is None or mask is None:
            return made.problem
        try:
            data = (
                _png(read_image(made.candidate.image)[..., ::-1])
                if made.converted
                else Path(made.candidate.image).read_bytes()
            )
        except (ImageReadError, OSError) as error:
            return str(error)
        image = self.folder / IMAGES / entry.image
        write_file(image, data)
        write_file(self.folder / MASKS / f"{entry.stem}{MASK_SUFFIX}.png", _png(mask.view(np.uint8) * np.uint8(255)))
        save_json(image.with_suffix(".json"), made.content, indent=2)
        return ""

    def _note(self, summary: DoubtfulSummary, made: _Made, problem: str) -> None:
        if problem:
            summary.failed.append((plain_text(made.candidate.image), plain_text(problem)))
            return
        summary.n_written += 1
        summary.n_empty += made.candidate.error == NO_LESION
        summary.n_converted += made.converted

    def _old_coco(self) -> dict[str, Any] | None:
        path = self.folder / COCO
        if not path.exists():
            return None
        content: dict[str, Any] = load_json(path)
        CocoMasks(content, path)  # sees whether it is one
        return content


def _is_corrected(index: AnnotationIndex, entry: Entry) -> bool:
    try:
        outlines = index.outlines(entry.stem, (entry.height, entry.width), entry)
    except ImageReadError:
        return True
    return any(outline.checked or not outline.as_written for outline in outlines)


def _png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def _merged(
    content: dict[str, Any] | None, annotations: list[tuple[Entry, dict[str, Any] | None]], label: str
) -> dict[str, Any]:
    """Put annotations into a COCO file, which may be one that a tool has written; what else is in it stays."""
    content = coco_content([], [], label=label) if content is None else content
    stems = {key_of(entry.stem) for entry, _ in annotations}
    out = {str(image["id"]) for image in content["images"] if key_of(stem_in(image["file_name"])) in stems}
    images = [image for image in content["images"] if str(image["id"]) not in out]
    others = [entry for entry in content["annotations"] if str(entry["image_id"]) not in out]
    categories = content.get("categories")
    categories = [entry for entry in categories if isinstance(entry, dict)] if isinstance(categories, list) else []
    category = next((entry.get("id") for entry in categories if entry.get("name") == label), None)
    if category is None:
        category = _next_id(categories)
        categories = [*categories, {"id": category, "name": label, "supercategory": ""}]
    first, number = _next_id(images), _next_id(others)
    for image_id, (entry, annotation) in enumerate(annotations, first):
        images.append({"id": image_id, "file_name": entry.image, "height": entry.height, "width": entry.width})
        if annotation is not None:
            others.append({"id": number, "image_id": image_id, "category_id": category, **annotation})
            number += 1
    return content | {"images": images, "categories": categories, "annotations": others}


def _next_id(entries: Iterable[dict[str, Any]]) -> int:
    return 1 + max((entry["id"] for entry in entries if isinstance(entry.get("id"), int)), default=0)


def write_doubtful(
    table: pd.DataFrame | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    below: float | None = None,
    share: float | None = None,
    number: int | None = None,
    label: str = "lesion",
    tolerance: float = 1.0,
    n_jobs: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> DoubtfulSummary:
    """Write the least confident outlines of a table into a folder, to be corrected with an annotation tool.

    The folder gets ``images`` with copies of the images, at their own size and
    upright, and a LabelMe file beside each; ``masks`` with the masks as PNG;
    ``coco.json`` with all outlines; ``doubtful.csv`` with names, originals,
    confidences and what tells the outlines as they were written; and
    ``README.txt``, which says how to go on.

    Parameters
    ----------
    table : DataFrame or path-like
        The columns ``image``, ``mask``, ``confidence``, ``error`` as
        `skinseg.outlining.segment_files` gives them, or the table that
        ``skinseg segment --table`` wrote.
    folder : path-like
        The folder; made if it does not exist. Of one that an earlier call has
        written, images that are chosen again are written again unless their
        outline was corrected, and all others are left as they are.
    below : float, default=None
        Take the outlines with a confidence below this, in (0, 1], and the
        images in which no lesion was found. 0.7 if none of the three is given.
    share : float, default=None
        Take this share of the images, in (0, 1]: those in which no lesion was
        found first, then the least confident ones.
    number : int, default=None
        Take so many images in the same order, at least 1.
    label : str, default="lesion"
        What the outlines are called in the tools.
    tolerance : float, default=1.0
        Pixels that the polygons may be away from the outline so that they have
        few corners, see `skinseg.annotations.mask_to_polygons`. The PNG masks
        are exact.
    n_jobs : int, default=None
        Threads that read and write, as in joblib.
    tell : callable, default=None
        Takes lines for the user.

    Returns
    -------
    DoubtfulSummary
        What was written, kept, and what failed.

    Raises
    ------
    ValueError
        If a parameter is out of its range, the table has other columns, the
        segmenter told no confidence, or the folder holds something else.
    RunError
        If another process writes into the folder.
    OSError
        If the folder cannot be written, or is full.

    See Also
    --------
    skinseg.datasets.load_corrections : Reads what came back.

    Examples
    --------
    >>> import os, tempfile
    >>> import cv2
    >>> from skinseg import PretrainedSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.doubtful import write_doubtful
    >>> from skinseg.outlining import segment_files
    >>> folder = tempfile.TemporaryDirectory()
    >>> files = [os.path.join(folder.name, f"{name}.png") for name in "ab"]
    >>> for file, image in zip(files, make_lesions(2, random_state=0).images):
    ...     _ = cv2.imwrite(file, image[..., ::-1])
    >>> table = segment_files(files, os.path.join(folder.name, "masks"), PretrainedSegmenter())
    >>> summary = write_doubtful(table, os.path.join(folder.name, "review"), number=1)
    >>> summary.n_written
    1
    >>> sorted(os.listdir(summary.folder))
    ['README.txt', 'coco.json', 'doubtful.csv', 'images', 'masks']
    >>> folder.cleanup()
    """
    doubtful = DoubtfulFolder(
        folder, below=below, share=share, number=number, label=label, tolerance=tolerance, n_jobs=n_jobs
    )
    rows = table if isinstance(table, pd.DataFrame) else _read_table(Path(table))
    doubtful.begin(len(rows))
    doubtful.add(rows)
    summary = doubtful.write()
    for line in lines_of(summary):
        (tell or (lambda _text: None))(line)
    return summary


def _read_table(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise FileNotFoundError(f"{path}: the table does not exist; check the path and the working folder")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: the table cannot be read ({str(error).splitlines()[0]})") from None
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    texts = {"image": str, "mask": str, "error": str}
    na_values = {"confidence": [""]}
    return read_text_table(path, separator=separator, dtype=texts, keep_default_na=False, na_values=na_values)


def lines_of(summary: DoubtfulSummary) -> list[str]:
    """Say what was written, in lines for the user."""
    if not (summary.n_written or summary.kept or summary.failed):
        return [f"no outline is doubtful; nothing was written to {summary.folder}"]
    empty = f", {summary.n_empty} of them without a lesion" if summary.n_empty else ""
    lines = [f"doubtful, to be corrected: {_count(summary.n_written)}{empty}, in {summary.folder}"]
    if summary.n_converted:
        lines.append(
            f"  copied as PNG, for annotation tools would not open or turn the original: {_count(summary.n_converted)}"
        )
    if summary.kept:
        names = ", ".join(summary.kept[:5]) + (", ..." if len(summary.kept) > 5 else "")
        lines.append(f"  left as they are, for they have been corrected: {_count(len(summary.kept))} ({names})")
    lines += [f"  not copied: {image}: {text.removeprefix(f'{image}: ')}" for image, text in summary.failed]
    return [*lines, f"  {summary.folder / README} tells how to go on; {TABLE} has the confidences"]


def _count(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
