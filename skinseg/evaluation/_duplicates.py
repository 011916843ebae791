"""Copies of one picture among many images, and groups that keep them together."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import check_scalar

from .._mapping import batches_of, label_of, load_or_fail, map_batches, opencv_threads, raise_or_list
from ..exceptions import InvalidImagesError, SkinsegWarning
from ..hashing import HASH_BITS, SYMMETRIES, Fingerprint, compare, fingerprint, search_hashes
from ..images import LesionImage, check_images

__all__ = ["find_duplicates", "group_duplicates", "load_duplicate_list"]

_COLUMNS = ("first", "second", "first_name", "second_name", "kind", "transform", "distance", "correlation")
_LISTED = 5
_PAIRS_AT_ONCE = 256
_BARS = 0.02  # difference of the shares of height or width inside of bars
_HEADING = re.compile(r"((image|file|isic|first|second|original|duplicate|name|path|id)s?[ _-]?)+[12]?")
_SUFFIX = "_downsampled"  # of ISIC 2019 and its lists: the same image by another name


def find_duplicates(
    images: Any,
    other: Any = None,
    *,
    max_distance: int = 36,
    min_correlation: float = 0.8,
    n_jobs: int | None = None,
    verbose: int = 0,
    on_error: str = "nan",
) -> pd.DataFrame:
    """Find copies of one picture: the same file, re-encoded, resized, mirrored, turned or cropped.

    Each image is decoded once and leaves a fingerprint of about 5 kB
    (`skinseg.hashing.fingerprint`). Pairs with close perceptual hashes, in any
    of the eight symmetries and of the whole, the inner part or the middle square,
    are candidates;
    they are confirmed by the correlation of the fine detail of their
    thumbnails, after an alignment where they do not agree as they lie.
    Another photograph of the same lesion is no duplicate: that is what groups
    by lesion and patient are for.

    Parameters
    ----------
    images : sequence of images
        Paths, arrays or records, see `skinseg.check_images`.
    other : sequence of images, default=None
        Look for pairs of one of ``images`` with one of these, such as training
        and test images; pairs among ``images`` if None.
    max_distance : int, default=36
        Most bits, of 143, in which the hashes of a candidate may differ, 0 to
        71. It decides how long the search takes, hardly what it finds.
    min_correlation : float, default=0.8
        Least correlation of a duplicate, in (0, 1]. Other takes of one lesion
        reach 0.5 to 0.75.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"nan", "raise"}, default="nan"
        Whether images that cannot be read are left out with a warning, and
        listed in ``attrs``, or raise an error that names them all.

    Returns
    -------
    DataFrame
        One row a pair, the surest first:

        first, second : int
            Positions in ``images``, and in ``other`` where it is given.
        first_name, second_name : str
            Their files, or names.
        kind : str
            ``"identical"`` (equal pixels), ``"re-encoded"`` (equal size),
            ``"resized"``, ``"mirrored"``, ``"rotated"``, or ``"cropped"``,
            which is all that had to be aligned: cut, shifted, turned by some
            degrees, a slide that was scanned again; and what lies between
            black or white bars that the other has not.
        transform : str
            What lays the first on the second, as in
            `skinseg.hashing.SYMMETRIES`.
        distance : int
            Bits in which the hashes differ.
        correlation : float
            Correlation of the fine detail.

        ``attrs["errors"]`` and ``attrs["other_errors"]`` tell, by position,
        what could not be read; ``attrs["plain"]`` and ``attrs["other_plain"]``
        list images without detail (of one color, say), of which only equal
        pixels are found.

    Raises
    ------
    ValueError
        If a parameter is out of its range or the images are in no container
        that `skinseg.check_images` takes.
    InvalidImagesError, ImageBatchError
        With ``on_error="raise"``, if images cannot be read.

    See Also
    --------
    group_duplicates : Groups that keep duplicates together.
    check_leakage : The same between training and test images, and more.

    Examples
    --------
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.evaluation import find_duplicates
    >>> images = make_lesions(6, random_state=0).images
    >>> images.append(images[2][::2, ::-2].copy())  # mirrored, half the size
    >>> find_duplicates(images)[["first", "second", "kind", "transform"]]
       first  second      kind            transform
    0      2       6  mirrored  mirrored left-right
    """
    check_scalar(max_distance, "max_distance", (int, np.integer), min_val=0, max_val=HASH_BITS // 2)
    check_scalar(
        min_correlation, "min_correlation", (int, float, np.number), min_val=0, max_val=1, include_boundaries="right"
    )
    if on_error not in ("nan", "raise"):
        raise ValueError(f"on_error must be 'nan' or 'raise', got {on_error!r}")
    ours = _Prints(images, "images", on_error, n_jobs, verbose)
    theirs = ours if other is None else _Prints(other, "other", on_error, n_jobs, verbose)
    places = ours.comparable()
    other_places = theirs.comparable()
    rows = _equal_pixels(ours.prints, None if other is None else theirs.prints)
    if len(places) and len(other_places):
        candidates = search_hashes(
            ours.hashes(places), None if other is None else theirs.hashes(other_places), max_distance=max_distance
        )
        pairs = [
            (int(places[i]), int(other_places[j]), int(symmetry), (int(views[0]), int(views[1])), int(distance))
            for i, j, symmetry, views, distance in zip(*candidates, strict=True)
        ]
        pairs = [pair for pair in pairs if pair[:2] not in rows]
        rows |= _confirm(ours.prints, theirs.prints, pairs, min_correlation, n_jobs, verbose)
    table = pd.DataFrame(
        [
            (i, j, ours.names[i], theirs.names[j], *_describe(ours.prints[i], theirs.prints[j], symmetry, aligned),
             distance, correlation)
            for (i, j), (symmetry, aligned, distance, correlation) in rows.items()
        ],
        columns=list(_COLUMNS),
    ).astype({"first": np.int64, "second": np.int64, "distance": np.int64, "correlation": np.float64})  # fmt: skip
    table = table.sort_values(["correlation", "first", "second"], ascending=[False, True, True], ignore_index=True)
    table.attrs.update(errors=ours.errors, plain=ours.plain())
    if other is not None:
        table.attrs.update(other_errors=theirs.errors, other_plain=theirs.plain())
    return table


class _Prints:
    """Fingerprints of images; None in place of one that cannot be read."""

    def __init__(self, images: Any, role: str, on_error: str, n_jobs: int | None, verbose: int) -> None:
        positions, records, errors, total = _readable(images, role, on_error)
        self.prints: list[Fingerprint | None] = [None] * total
        self.names = [str(index) for index in range(total)]
        failed: dict[int, tuple[str | None, str]] = {}
        done = 0
        for _, batch, results in map_batches(_fingerprints, records, n_jobs=n_jobs, verbose=verbose, desc="images"):
            for record, result in zip(batch, results, strict=True):
                index = positions[done]
                self.names[index] = label_of(record) or str(index)
                if isinstance(result, str):
                    failed[index] = (label_of(record), result)
                else:
                    self.prints[index] = result
                done += 1
        errors |= raise_or_list("find_duplicates", on_error, failed)
        self.errors = dict(sorted(errors.items()))
        if errors:
            listed = "; ".join(f"{role}[{index}]: {text}" for index, text in list(self.errors.items())[:_LISTED])
            more = f"; and {len(errors) - _LISTED} more" if len(errors) > _LISTED else ""
            warnings.warn(
                f"{len(errors)} of {total} images could not be read and were not compared ({listed}{more})",
                SkinsegWarning,
                stacklevel=3,
            )

    def comparable(self) -> np.ndarray:
        """Positions of the images that were read and have detail."""
        return np.array([i for i, print_ in enumerate(self.prints) if print_ is not None and not print_.plain], int)

    def hashes(self, places: np.ndarray) -> np.ndarray:
        """Hashes of some of them, as one array."""
        return np.stack([self.prints[place].hashes for place in places])

    def plain(self) -> list[int]:
        """Positions of the images without detail."""
        return [index for index, print_ in enumerate(self.prints) if print_ is not None and print_.plain]


def _readable(images: Any, role: str, on_error: str) -> tuple[list[int], list[LesionImage], dict[int, str], int]:
    """Check the images; those that are of the wrong kind, or not there, are told by position."""
    if hasattr(images, "iloc") and hasattr(images, "columns") and "image" in images.columns:
        images = images[[column for column in ("image", "name") if column in images.columns]]  # masks are not needed
    total = len(images) if hasattr(images, "__len__") and not isinstance(images, (str, os.PathLike)) else 0
    try:
        records = check_images(images, f"find_duplicates ({role})")
        return list(range(len(records))), records, {}, len(records)
    except InvalidImagesError as error:
        if on_error == "raise":
            raise
        errors = {index: text.removeprefix(f"X[{index}]: ") for index, text in error.errors.items()}
    positions = [index for index in range(total) if index not in errors]
    if not positions:
        return [], [], errors, total
    frame = hasattr(images, "iloc")
    good = images.iloc[positions] if frame else [images[index] for index in positions]
    return positions, check_images(good, f"find_duplicates ({role})"), errors, total


def _fingerprints(batch: Sequence[LesionImage]) -> list[Fingerprint | str]:
    """Decode and reduce a batch in a worker: only fingerprints leave it, or what went wrong."""
    results: list[Fingerprint | str] = []
    for item in batch:
        record = load_or_fail(item)
        results.append(fingerprint(record.image) if record.error is None else str(record.error))
    return results


_Pair = tuple[int, int, int, tuple[int, int], int]  # positions, symmetry, views, distance
_Row = tuple[int, bool, int, float]  # symmetry, aligned, distance, correlation


def _equal_pixels(
    first: Sequence[Fingerprint | None], second: Sequence[Fingerprint | None] | None
) -> dict[tuple[int, int], _Row]:
    places: dict[bytes, list[int]] = {}
    for index, print_ in enumerate(first if second is None else second):
        if print_ is not None:
            places.setdefault(print_.digest, []).append(index)
    pairs: dict[tuple[int, int], _Row] = {}
    for index, print_ in enumerate(first):
        for partner in places.get(print_.digest, ()) if print_ is not None else ():
            if second is not None or index < partner:
                pairs[index, partner] = (0, False, 0, 1.0)
    return pairs


def _confirm(
    first: Sequence[Fingerprint | None], second: Sequence[Fingerprint | None],
    pairs: list[_Pair], min_correlation: float, n_jobs: int | None, verbose: int,
) -> dict[tuple[int, int], _Row]:  # fmt: skip
    """Compare the candidates; the first way of a pair that is good enough counts."""

    def check(batch: Sequence[_Pair]) -> dict[tuple[int, int], _Row]:
        rows: dict[tuple[int, int], _Row] = {}
        for i, j, symmetry, views, distance in batch:
            if (i, j) not in rows:
                result = compare(first[i], second[j], symmetry, views, min_correlation)  # type: ignore[arg-type]
                if result.correlation >= min_correlation:
                    rows[i, j] = (symmetry, result.aligned, distance, min(result.correlation, 1.0))
        return rows

    workers = effective_n_jobs(n_jobs)
    batches: Any = list(batches_of(pairs, _PAIRS_AT_ONCE))
    rows: dict[tuple[int, int], _Row] = {}
    with opencv_threads(1):  # the thumbnails are too small to share out
        if verbose > 0:
            from tqdm.auto import tqdm

            batches = tqdm(batches, desc=f"candidates x {_PAIRS_AT_ONCE}", unit="batch")
        if workers == 1:
            results = map(check, batches)
        else:  # threads: OpenCV lets go of the interpreter
            results = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")(map(delayed(check), batches))
        for part in results:
            for key, row in part.items():
                if key not in rows or row[3] > rows[key][3]:  # a pair may lie across two batches
                    rows[key] = row
    return rows


def _describe(first: Any, second: Any, symmetry: int, aligned: bool) -> tuple[str, str]:
    transform = SYMMETRIES[symmetry]
    if first.digest == second.digest:
        return "identical", transform
    if aligned or _bars_differ(first, second, symmetry):
        return "cropped", transform
    if symmetry:
        return ("rotated" if transform.startswith("rotated") else "mirrored"), transform
    return ("re-encoded" if first.shape == second.shape else "resized"), transform


def _bars_differ(first: Fingerprint, second: Fingerprint, symmetry: int) -> bool:
    """Whether one has bars along its sides that the other has not."""
    ours, theirs = (np.divide(print_.content, print_.shape) for print_ in (first, second))
    return bool(np.abs((ours[::-1] if symmetry & 4 else ours) - theirs).max() > _BARS)


def group_duplicates(pairs: Any, groups: Any) -> np.ndarray:
    """Join the groups of duplicates, so that no splitter by groups parts them.

    Parameters
    ----------
    pairs : DataFrame or array-like of shape (n_pairs, 2)
        Positions of images that belong together: the columns ``first`` and
        ``second``, as by `find_duplicates` within one set of images and by
        `load_duplicate_list` (rows where one is missing are left aside), or
        two columns of int.
    groups : array-like of shape (n_images,) or int
        Lesion or patient of each image; the number of images if none is known.

    Returns
    -------
    ndarray of shape (n_images,)
        New groups: each joined one has the name of that of its first image.

    Raises
    ------
    ValueError
        If a position lies outside of the images, a group is missing, or the
        pairs are between two sets of images.

    Examples
    --------
    >>> from skinseg.evaluation import group_duplicates
    >>> group_duplicates([(1, 3), (3, 4)], ["a", "a", "b", "c", "d", "e"]).tolist()
    ['a', 'a', 'b', 'a', 'a', 'e']
    """
    known = np.arange(groups) if isinstance(groups, (int, np.integer)) else np.asarray(groups)
    if known.ndim != 1:
        raise ValueError(f"groups must be one an image, or the number of images; got the shape {known.shape}")
    if len(known) == 0:
        raise ValueError("groups must not be empty")
    missing = np.flatnonzero(pd.isna(known))
    if len(missing):
        raise ValueError(
            f"{len(missing)} images have no group (the first is {missing[0]}); give each a group of its own, such as "
            "its file name"
        )
    edges = pair_positions(pairs)
    if len(edges) and not (edges.min() >= 0 and edges.max() < len(known)):
        bad = edges[(edges < 0).any(axis=1) | (edges >= len(known)).any(axis=1)][0].tolist()
        raise ValueError(f"the pair {tuple(bad)} lies outside of the {len(known)} images that groups are given for")
    codes, names = pd.factorize(known)
    ends = codes[edges].reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    labels = connected_components(graph, directed=False)[1]
    # the first group of each component, in the order of the images, gives the name
    first = np.full(labels.max() + 1, len(names))
    np.minimum.at(first, labels, np.arange(len(names)))
    return np.asarray(names[first[labels[codes]]])


def pair_positions(pairs: Any) -> np.ndarray:
    """Positions of pairs, as an array of shape (n_pairs, 2) of int; rows where one is missing are left out."""
    if hasattr(pairs, "columns"):
        absent = [column for column in ("first", "second") if column not in pairs.columns]
        if absent:
            raise ValueError(
                f"pairs has no column {' and '.join(map(repr, absent))} (positions of images); a list of names gets "
                "them by load_duplicate_list(path, names)"
            )
        if "other_errors" in pairs.attrs:  # positions in the one set would be taken for those in the other
            raise ValueError(
                "the pairs are between two sets of images, so that first and second are no positions in one; search "
                "the two as one set: find_duplicates([*images, *other])"
            )
        return pairs[["first", "second"]].dropna().to_numpy(dtype=np.int64).reshape(-1, 2)
    edges = np.asarray(pairs if len(pairs) else np.zeros((0, 2), int))
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        raise ValueError(f"pairs must be two columns of positions (int), got shape {edges.shape}, dtype {edges.dtype}")
    return edges.astype(np.int64)


def image_key(name: object) -> str:
    """Name by which an image is known wherever it lies: no folder, no ending, no mark of a smaller copy."""
    stem = str(name).strip().replace("\\", "/").rsplit("/", 1)[-1]
    path = Path(stem)
    if path.suffix.lower().lstrip(".") in {"jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp", "dcm"}:
        stem = path.stem
    return stem.removesuffix(_SUFFIX)


def load_duplicate_list(path: str | os.PathLike[str], names: Any = None) -> pd.DataFrame:
    r"""Read a published list of duplicates.

    Known are lists of pairs, such as ``ISIC_2020_Training_Duplicates.csv``
    (columns ``image_name_1``, ``image_name_2``), and lists of images to leave
    out, one name or file a line, such as those by Cassidy et al.

    Parameters
    ----------
    path : path-like
        A CSV file with one or two columns, with or without a heading, or a
        text file of one file or name a line.
    names : sequence of str or path, default=None
        The images at hand, as files or names; folders and endings do not
        count, nor does the ``_downsampled`` of ISIC 2019.

    Returns
    -------
    DataFrame
        One row an entry of the list: ``first_name`` and ``second_name``; with
        ``names`` also ``first`` and ``second``, the positions in them, missing
        where the image is not among them. In a list of images to leave out
        ``second_name`` is missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no such list, or two of ``names`` are the same.

    References
    ----------
    V. Rotemberg et al., "A patient-centric dataset of images and metadata for
    identifying melanomas using clinical context", Scientific Data 8 (2021) 34:
    the ISIC 2020 data. B. Cassidy et al., "Analysis of the ISIC image
    datasets: usage, benchmarks and recommendations", Medical Image Analysis 75
    (2022) 102305: the lists at
    github.com/mmu-dermatology-research/isic_duplicate_removal_strategy.

    Examples
    --------
    >>> import os, tempfile
    >>> from skinseg.evaluation import load_duplicate_list
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "ISIC_2020_Training_Duplicates.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("image_name_1,image_name_2\nISIC_0079038,ISIC_8521950\n")
    >>> load_duplicate_list(path, ["train/ISIC_8521950.jpg", "train/ISIC_0079038.jpg"])
         first_name   second_name  first  second
    0  ISIC_0079038  ISIC_8521950      1       0
    >>> folder.cleanup()
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the list does not exist; check the path and the working folder")
    rows = _rows_of(path)
    table = pd.DataFrame(
        {
            "first_name": [image_key(row[0]) for row in rows],
            "second_name": [image_key(row[1]) if len(row) > 1 else None for row in rows],
        },
        dtype=object,
    )
    if names is None:
        return table
    keys = [image_key(name) for name in names]
    places = {key: index for index, key in enumerate(keys)}
    if len(places) < len(keys):
        twice = pd.Series(keys)[pd.Series(keys).duplicated()].iloc[0]
        raise ValueError(f"the name {twice!r} is there more than once in names; give each image once")
    for column in ("first", "second"):
        table[column] = table[f"{column}_name"].map(lambda name: places.get(name)).astype("Int64")
    return table


def _rows_of(path: Path) -> list[list[str]]:
    """Rows of one or two cells, without the heading."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: the list cannot be read ({error})") from None
    lines = [line for line in lines if line]
    # folders may hold commas: a line is a pair only where all are
    separators = "\t" if path.suffix.lower() == ".tsv" else ","
    pairs = bool(lines) and all(line.count(separators) == 1 for line in lines)
    rows = [[cell.strip().strip("\"'") for cell in (line.split(separators) if pairs else [line])] for line in lines]
    if path.suffix.lower() in (".csv", ".tsv") and not pairs and any(separators in line for line in lines):
        raise ValueError(
            f"{path} is no list of duplicates: it has more than two columns ({lines[0][:80]!r}); keep the two with "
            "the names of the images"
        )
    if rows and all(_HEADING.fullmatch(cell.lower()) for cell in rows[0]):
        rows = rows[1:]
    if not rows:
        raise ValueError(f"{path} is no list of duplicates: it holds no name of an image")
    blank = next((index for index, row in enumerate(rows) if not all(row)), None)
    if blank is not None:
        raise ValueError(f"{path}: entry {blank + 1} of the list lacks a name ({','.join(rows[blank])!r})")
    return rows
