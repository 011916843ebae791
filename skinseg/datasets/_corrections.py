"""Outlines that were corrected with an annotation tool, as reference masks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.utils import Bunch

from .._files import write_file
from .._tables import table_bytes
from ..doubtful._layout import IMAGES, MASK_SUFFIX, TABLE, Entry, key_of, read_entries
from ..doubtful._sources import AnnotationIndex, Outline, files_below
from ..exceptions import AnnotationError, ImageReadError, MissingFilesError, MissingFilesWarning
from ..reading import IMAGE_SUFFIXES, read_header
from ._layout import check_choice

__all__ = ["load_corrections"]

_COLUMNS = ("image", "name", "original", "confidence", "corrected", "checked", "source", "mask")
_MASK_FOLDERS = frozenset({"masks", "segmentationclass", "segmentationobject"})
_LISTED = 5


class _Wanted(NamedTuple):
    """An image, and what was written of it, where that is known."""

    image: Path
    entry: Entry | None

    @property
    def stem(self) -> str:
        """The name of the files that belong to it."""
        return Path(self.name).stem

    @property
    def name(self) -> str:
        """The name of the image in the folder, even where the original is given."""
        return self.image.name if self.entry is None else self.entry.image

    def in_folder(self, folder: Path) -> Path:
        """Where the image is beside which a tool puts its annotations."""
        return self.image if self.entry is None else folder / IMAGES / self.entry.image


class _Chosen(NamedTuple):
    """The outline of an image; None where none is to be given, and why."""

    outline: Outline | None
    checked: bool = False
    problem: str = ""
    file: str = ""


def load_corrections(
    folder: str | os.PathLike[str],
    *,
    only_changed: bool = True,
    original_images: bool = False,
    image_folder: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    allow_empty: bool = False,
    on_conflict: str = "error",
    on_error: str = "warn",
    out: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Load outlines that were corrected with LabelMe, CVAT, Label Studio, a painting program or another tool.

    All LabelMe and COCO files and PNG masks of the folder, and of the folders
    in it, are read. An outline counts as changed if it differs from the one
    that was written by more than a rim of one pixel, whatever else the tool has
    changed in the file: so a tool may draw polygons as masks.

    Parameters
    ----------
    folder : path-like
        A folder of doubtful outlines, as ``skinseg segment --doubtful`` or
        `skinseg.doubtful.write_doubtful` has written it; or one with images
        and annotations that come from a tool alone. A PNG mask is called
        ``<name>_segmentation.png``, or ``<name>.png`` in a folder ``masks`` or
        ``SegmentationClass``.
    only_changed : bool, default=True
        Leave out images whose outline is as it was written and not ticked as
        ``checked`` in LabelMe: it is what the segmenter thinks, not what
        someone has seen. In a folder without ``doubtful.csv`` every outline
        counts as changed.
    original_images : bool, default=False
        Give the paths of the originals in place of the copies. They are given
        as well where there are no copies any more.
    image_folder : path-like, default=None
        Where the images are, if they are not in the folder.
    labels : sequence of str, default=None
        Labels that count, where others mark something else; all if None.
        Several outlines of an image are put together.
    allow_empty : bool, default=False
        Take an outline that was deleted for the statement that there is no
        lesion, and give an empty mask; if not, the image is listed in
        ``missing``.
    on_conflict : {"error", "newest"}, default="error"
        What to do where several files of an image were changed, each in
        another way: list the image in ``missing``, or take the file that was
        changed last.
    on_error : {"warn", "raise", "ignore"}, default="warn"
        What to do about images whose annotations or files cannot be used: the
        others are given, and these are listed in ``missing``; or raise an error
        that lists them.
    out : path-like, default=None
        Folder into which the masks are written as PNG, with a table
        ``corrections.csv`` of images and masks: for thousands of large images,
        which do not fit into memory. It must not lie in ``folder``.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    data : Bunch
        With the attributes

        images : list of Path
            The image files, as absolute paths.
        masks : list of ndarray of shape (H, W), bool, or of Path
            The outlines; files if ``out`` is given.
        names : list of str
            The names of the images, without ending.
        frame : DataFrame
            ``image``, ``name``, ``original`` (path of the image that was
            segmented), ``confidence`` of the outline that was written,
            ``corrected`` (whether it is another now), ``checked``, ``source``
            (the file that the outline comes from, relative to the folder),
            ``mask`` (the file, if ``out`` is given).
        missing : DataFrame
            What cannot be used: ``item`` (name of the image, or empty),
            ``kind``, ``file``, ``problem``.
        DESCR : str
            How many outlines are from where.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    ValueError
        If a parameter has another value, there are no images or no
        annotations, or no outline was changed.
    MissingFilesError
        If something cannot be used and ``on_error`` is "raise", or if nothing
        can.

    See Also
    --------
    skinseg.doubtful.write_doubtful : Writes such a folder.

    Examples
    --------
    >>> import os, tempfile
    >>> import cv2
    >>> from skinseg.annotations import write_labelme
    >>> from skinseg.datasets import load_corrections, make_lesions
    >>> folder = tempfile.TemporaryDirectory()
    >>> lesions = make_lesions(2, random_state=0)
    >>> for name, image, mask in zip("ab", lesions.images, lesions.masks):
    ...     _ = cv2.imwrite(os.path.join(folder.name, f"{name}.png"), image[..., ::-1])
    ...     write_labelme(os.path.join(folder.name, f"{name}.json"), mask, f"{name}.png")
    >>> data = load_corrections(folder.name)
    >>> data.names, bool((data.masks[0] == lesions.masks[0]).all())
    (['a', 'b'], True)
    >>> folder.cleanup()
    """
    check_choice(on_conflict=(on_conflict, ("error", "newest")), on_error=(on_error, ("warn", "raise", "ignore")))
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: the folder does not exist; give that of the doubtful outlines")
    out = None if out is None else Path(out).absolute()
    if out is not None and (out == folder or folder in out.parents):
        raise ValueError(f"{out} lies in {folder}, whose masks are read; give another folder for the masks")
    if isinstance(labels, str):
        labels = [labels]
    items = _images_of(folder, None if image_folder is None else Path(image_folder).absolute(), original_images)
    index = AnnotationIndex(folder, [item.in_folder(folder) for item in items], labels)
    if all(item.entry is None for item in items):
        items = [item for item in items if item.stem in index]
        if not items and not index.problems:
            raise ValueError(
                f"{folder} holds no annotations of its images: no LabelMe or COCO file and no mask "
                f"(<name>{MASK_SUFFIX}.png); export them into it"
            )
    reader = _Reader(folder, index, only_changed, allow_empty, on_conflict, out)
    rows = Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(reader)(item) for item in items)
    problems = [("", "annotation", str(path), text) for path, text in index.problems]
    problems += [(item.stem, "outline", row.file, row.problem) for item, row in rows if row.problem]
    given = list(zip(rows, reader.given(rows), strict=True))
    kept = [(item, row, mask) for (item, row), mask in given if mask is not None]
    n_left = sum(mask is None and not row.problem for (_, row), mask in given)
    missing = pd.DataFrame(problems, columns=["item", "kind", "file", "problem"], dtype=object)
    _tell_missing(folder, missing, bool(kept), on_error)
    if not kept:
        raise ValueError(f"{folder}: {_none_of(items)}")
    return _bunch(folder, kept, missing, n_left, out)


def _none_of(items: Sequence[_Wanted]) -> str:
    if items[0].entry is None:
        return f"the annotations of all {len(items)} images are empty; draw outlines, or give allow_empty=True"
    return (
        f"none of the {len(items)} outlines was changed since it was written, nor ticked as checked; correct some and "
        "save them, or take them as they are with only_changed=False"
    )


def _images_of(folder: Path, images: Path | None, original: bool) -> list[_Wanted]:
    """List the images, by the table or as they are found."""
    if images is not None and not images.is_dir():
        raise NotADirectoryError(f"{images}: the folder of the images does not exist")
    entries = read_entries(folder)
    if entries is not None:
        place = folder / IMAGES if images is None else images
        return [_Wanted(_copy_or_original(place, entry, original), entry) for entry in entries]
    found: dict[str, Path] = {}
    for path in files_below(images or folder):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.stem.lower().endswith(MASK_SUFFIX):
            continue
        if path.parent.name.lower() in _MASK_FOLDERS and path.parent != images:
            continue
        other = found.setdefault(key_of(path.stem), path)
        if other != path:
            raise ValueError(f"{other} and {path} have one name, so that outlines cannot be told apart; rename one")
    if not found:
        raise ValueError(f"{images or folder} holds no images; name the folder that does with image_folder=")
    return [_Wanted(path, None) for path in found.values()]


def _copy_or_original(place: Path, entry: Entry, original: bool) -> Path:
    """Choose a file; where only annotations came back there are no copies."""
    copy = place / entry.image
    return Path(entry.original) if original or (not copy.exists() and os.path.exists(entry.original)) else copy


class _Reader:
    """Reads all that is there of an image and decides; keeps no mask that is not given in the end."""

    def __init__(
        self, folder: Path, index: AnnotationIndex, only_changed: bool, allow_empty: bool, on_conflict: str,
        out: Path | None,
    ) -> None:  # fmt: skip
        self.folder, self.index, self.out = folder, index, out
        self.only_changed, self.allow_empty, self.on_conflict = only_changed, allow_empty, on_conflict
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)

    def __call__(self, item: _Wanted) -> tuple[_Wanted, _Chosen]:
        try:
            chosen = self._choose(item)
        except ImageReadError as error:
            return item, _Chosen(None, problem=error.reason, file=error.path)
        outline = chosen.outline
        if outline is None or self.out is None:
            return item, chosen
        png = cv2.imencode(".png", outline.mask.view(np.uint8) * np.uint8(255))[1].tobytes()
        write_file(self.mask_file(item), png)
        return item, chosen._replace(outline=outline._replace(mask=np.empty((0, 0), bool)))

    def mask_file(self, item: _Wanted) -> Path:
        return (self.out or self.folder) / f"{item.stem}{MASK_SUFFIX}.png"

    def given(self, rows: Sequence[tuple[_Wanted, _Chosen]]) -> list[Any]:
        """Give the mask of each row, or its file; None where there is none."""
        return [
            None if row.outline is None else row.outline.mask if self.out is None else self.mask_file(item)
            for item, row in rows
        ]

    def _choose(self, item: _Wanted) -> _Chosen:
        image, entry = item
        shape = read_header(image).shape
        if entry is not None and shape != (entry.height, entry.width):
            raise ImageReadError(
                image, f"the image is {shape[1]} x {shape[0]} pixels, but was {entry.width} x {entry.height} when its "
                "outline was written; bring it back to that size",
            )  # fmt: skip
        outlines = self.index.outlines(item.stem, shape, entry)
        if entry is None and not self.allow_empty:  # a tool lists images that no one has looked at, too
            outlines = [outline for outline in outlines if outline.mask.any()]
        changed = [outline for outline in outlines if outline.changed]
        checked = any(outline.checked for outline in outlines)
        if changed:
            return self._checked_for_pixels(self._one_of(changed), checked)
        if not outlines:
            return _Chosen(None, problem=_NOTHING, file=str(image)) if entry is not None else _Chosen(None)
        if self.only_changed and not checked:
            return _Chosen(None)
        known = () if entry is None else entry.known  # the mask of the last call, then its polygons, then earlier ones
        places = [known.index(outline.digest) if outline.as_written else len(known) for outline in outlines]
        return self._checked_for_pixels(outlines[places.index(min(places))], checked)

    def _checked_for_pixels(self, outline: Outline, checked: bool) -> _Chosen:
        if self.allow_empty or outline.mask.any():
            return _Chosen(outline, checked)
        text = "there is no outline; draw one, or take it for no lesion with allow_empty=True"
        return _Chosen(None, problem=text, file=str(outline.file))

    def _one_of(self, changed: list[Outline]) -> Outline:
        if len({outline.digest for outline in changed}) == 1:
            return changed[0]
        newest = max(changed, key=lambda outline: outline.file.stat().st_mtime_ns)
        if self.on_conflict == "newest":
            return newest
        names = ", ".join(str(outline.file.relative_to(self.folder)) for outline in changed)
        raise AnnotationError(
            newest.file,
            f"the outline was changed in several files, each in another way ({names}); delete those that are wrong, or "
            'take the newest with on_conflict="newest"',
        )


_NOTHING = "there is no annotation of it any more; take one back, or delete the image as well"


def _tell_missing(folder: Path, missing: pd.DataFrame, usable: bool, on_error: str) -> None:
    if not len(missing):
        return
    first = "; ".join(f"{row.file}: {row.problem}" for row in missing[:_LISTED].itertuples())
    more = f"; and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    text = f"{folder}: {len(missing)} annotation(s) or image(s) cannot be used ({first}{more})"
    if on_error == "raise" or not usable:
        others = ', or load the others with on_error="ignore"' if usable else ""
        raise MissingFilesError(f"{text}. Mend them{others}; the attribute `missing` has all", missing)
    if on_error == "warn":
        warnings.warn(f"{text}; `missing` has all", MissingFilesWarning, stacklevel=3)


def _bunch(
    folder: Path, kept: list[tuple[_Wanted, _Chosen, Any]], missing: pd.DataFrame, n_left: int, out: Path | None
) -> Bunch:
    rows: list[dict[str, Any]] = []
    for item, row, mask in kept:
        outline, entry = row.outline, item.entry
        if outline is None:
            continue
        original = item.image if entry is None else Path(entry.original)
        rows.append(
            {
                "image": item.image,
                "name": item.stem,
                "original": original,
                "confidence": np.nan if entry is None else entry.confidence,
                "corrected": outline.changed,
                "checked": row.checked,
                "source": str(outline.file.relative_to(folder)),
                "mask": mask if out is not None else None,
            }
        )
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    if out is None:
        frame = frame.drop(columns="mask")
    else:
        write_file(out / "corrections.csv", table_bytes(frame))
    n_corrected = int(frame["corrected"].sum())
    known = f" of {TABLE}" if kept[0][0].entry is not None else ""
    return Bunch(
        images=frame["image"].tolist(),
        masks=[mask for _, _, mask in kept],
        names=frame["name"].tolist(),
        frame=frame,
        missing=missing,
        DESCR=(
            f"{len(frame)} outlines{known} in {folder}: {n_corrected} corrected, "
            f"{int((frame['checked'] & ~frame['corrected']).sum())} checked and right as they were, "
            f"{int((~frame['corrected'] & ~frame['checked']).sum())} as written; besides, {n_left} as written were "
            f"left out, and {len(missing)} cannot be used"
        ),
    )
