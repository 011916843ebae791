"""Annotations found in a folder, whoever wrote them, and which of them were changed since."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..annotations import CocoMasks, mask_of_labelme, outline_hash, read_painted_mask
from ..annotations._coco import is_coco
from ..annotations._json import load_json
from ..annotations._labelme import is_labelme
from ..exceptions import AnnotationError, ImageReadError
from ..masks import overlap_counts
from ._layout import MASK_SUFFIX, MASKS, Entry, key_of

__all__ = ["CHECKED", "AnnotationIndex", "Outline", "files_below", "stem_in"]

CHECKED = "checked"  # box in LabelMe by which one says that an outline is right as it is
_MASK_FOLDERS = frozenset({MASKS, "segmentationclass"})  # that of the masks of CVAT
_OF_OBJECTS = "segmentationobject"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of a file


class Outline(NamedTuple):
    """What a file says of an image.

    Parameters
    ----------
    file : Path
        The file.
    mask : ndarray of shape (H, W), bool
        The outline.
    checked : bool
        Whether someone has ticked that it is right.
    as_written : bool
        Whether it is an outline that was written, to the pixel.
    changed : bool
        Whether it is another by more than a rim of one pixel, which is what
        tools change that draw a polygon as a mask.
    digest : str
        What tells the mask from others.
    """

    file: Path
    mask: np.ndarray
    checked: bool
    as_written: bool
    changed: bool
    digest: str


def files_below(folder: Path) -> Iterator[Path]:
    """Give all files in a folder and below in sorted order, hidden ones left out; links to folders are not followed."""
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(path, name) for name in sorted(names) if not name.startswith("."))


def stem_in(name: str) -> str:
    """Give the name of a file without folders, of whatever system, and without ending."""
    return Path(re.split(r"[/\\]", name)[-1]).stem


class AnnotationIndex:
    """The annotation files of a folder, by the image that they are of.

    Parameters
    ----------
    folder : Path
        The folder.
    images : iterable of Path
        The images, whose names without ending are all different.
    labels : sequence of str, default=None
        The labels that count; all if None.

    Attributes
    ----------
    problems : list of (Path, str)
        Files that are of no image, or nothing that is known.
    """

    def __init__(self, folder: Path, images: Iterable[Path], labels: Sequence[str] | None = None) -> None:
        self.labels = labels
        self.problems: list[tuple[Path, str]] = []
        self._readers: dict[str, list[tuple[Path, Callable[..., tuple[np.ndarray, bool]]]]] = {}
        images = list(images)
        known = {str(image) for image in images}
        self._stems = {key_of(image.stem) for image in images}
        beside = {(image.parent, key_of(image.stem)) for image in images}
        for path in files_below(folder):
            if str(path) in known:  # its name may be like that of a mask
                continue
            if path.suffix.lower() == ".json":
                stem = key_of(path.stem)
                if (path.parent, stem) in beside:
                    self._add(stem, path, self._read_labelme)  # read when it is its turn
                else:
                    self._add_json(path)
            elif path.suffix.lower() == ".png" and (masked := self._masked(path)) is not None:
                self._add(masked, path, _read_painted)

    def _add(self, stem: str, path: Path, reader: Callable[..., tuple[np.ndarray, bool]]) -> None:
        self._readers.setdefault(stem, []).append((path, reader))

    def _masked(self, path: Path) -> str | None:
        """Give the image whose mask this is, by its name and folder; None for other files."""
        parent = path.parent.name.lower()
        if parent == _OF_OBJECTS:
            return None
        if path.stem.lower().endswith(MASK_SUFFIX):
            stem = key_of(path.stem[: -len(MASK_SUFFIX)])
            if stem in self._stems:
                return stem
        return key_of(path.stem) if parent in _MASK_FOLDERS and key_of(path.stem) in self._stems else None

    def _add_json(self, path: Path) -> None:
        try:
            content = load_json(path)
            if is_coco(content):
                self._add_coco(path, CocoMasks(content, path, self.labels))
                return
        except ImageReadError as error:
            self.problems.append((path, error.reason))
            return
        if is_labelme(content):
            stems = (
                key_of(path.stem),
                key_of(re.split(r"[/\\]", str(content.get("imagePath")))[-1].rpartition(".")[0]),
            )
            stem = next((stem for stem in stems if stem in self._stems), None)
            if stem is None:
                self.problems.append((path, "there is no image for it; name it as its image"))
            else:
                self._add(stem, path, self._read_labelme)
        else:
            text = "this is neither LabelMe nor COCO; export the annotations as COCO, or move the file away"
            self.problems.append((path, text))

    def _add_coco(self, path: Path, masks: CocoMasks) -> None:
        for name in masks:
            stem = key_of(stem_in(name))
            if stem not in self._stems:
                stem = _UPLOADED.sub("", stem, count=1)
            if stem in self._stems:
                self._add(stem, path, _CocoReader(masks, name))

    def _read_labelme(self, path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, bool]:
        content = load_json(path)
        try:
            mask = mask_of_labelme(content, shape=shape, labels=self.labels)
        except ValueError as error:
            raise AnnotationError(path, str(error)) from None
        flags = content.get("flags")
        return mask, isinstance(flags, dict) and flags.get(CHECKED) is True

    def __contains__(self, stem: str) -> bool:
        return key_of(stem) in self._readers

    def outlines(self, stem: str, shape: tuple[int, int], entry: Entry | None = None) -> list[Outline]:
        """Read all that is there of an image.

        Parameters
        ----------
        stem : str
            Name of the image, without ending.
        shape : tuple of (int, int)
            Its height and width.
        entry : Entry, default=None
            What was written; if None, all that is there counts as changed.

        Returns
        -------
        list of Outline
            One a file that has it.

        Raises
        ------
        ImageReadError
            If a file cannot be read.
        """
        known = () if entry is None else entry.known
        found = []
        for path, reader in self._readers.get(key_of(stem), []):
            mask, checked = reader(path, shape)
            digest = outline_hash(mask)
            found.append(Outline(path, mask, checked, digest in known, digest not in known, digest))
        written = [outline.mask for outline in found if outline.as_written]
        return [
            outline._replace(changed=False)
            if any(_differ_by_rim(outline.mask, mask) for mask in written if outline.changed)
            else outline
            for outline in found
        ]


def _differ_by_rim(mask: np.ndarray, other: np.ndarray) -> bool:
    """Whether two masks differ by no more than a rim of one pixel around the other one."""
    kernel, levels = np.ones((3, 3), np.uint8), other.view(np.uint8)
    if (mask & (cv2.dilate(levels, kernel) == 0)).any() or (~mask & (cv2.erode(levels, kernel) > 0)).any():
        return False
    return overlap_counts(mask, other).jaccard > 0.5  # a lesion of a few pixels is nothing but rim


class _CocoReader:
    def __init__(self, masks: CocoMasks, name: str) -> None:
        self.masks, self.name = masks, name

    def __call__(self, path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, bool]:
        return self.masks.mask(self.name, shape), False


def _read_painted(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, Any]:
    mask = read_painted_mask(path)
    if mask.shape != tuple(shape):
        (h, w), (height, width) = mask.shape, shape
        text = f"the mask is {w} x {h} pixels, its image {width} x {height}; draw it on an image of that size"
        raise ImageReadError(path, text)
    return mask, False
