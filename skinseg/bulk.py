"""Work on many files: outlines, feature tables and predictions, with bad files listed and nothing else lost."""

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
from sklearn.compose import ColumnTransformer
from sklearn.utils.validation import check_is_fitted

from ._files import write_file
from ._mapping import batches_of, map_batches, transform_batch
from .base import BaseSegmenter, nested_estimators
from .exceptions import EmptyMaskWarning
from .features import ABCDFeaturizer
from .images import LesionImage, check_images
from .pipeline import BatchedPipeline
from .preprocessing import ImageResizer
from .reading import IMAGE_SUFFIXES

__all__ = ["find_images", "find_masks", "measure_files", "predict_files", "rows_for", "segment_files", "write_table"]

NO_LESION = "no lesion found"
NOT_IN_TABLE = "the image is not in the table of clinical columns"
MASK_SUFFIX = "_segmentation"
_AT_ONCE = 8  # images that a network gets at once, and that are decoded at the same time
_CHUNK = 256  # images between two steps of a prediction


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

    def __call__(self, batch: Sequence[LesionImage]) -> list[str]:
        size = 1 if getattr(self.segmenter, "_one_by_one", True) else _AT_ONCE
        return [
            self._write(record, result)
            for part in batches_of(batch, size)
            for record, result in zip(part, _quietly(transform_batch, self.segmenter, part), strict=True)
        ]

    def _write(self, record: LesionImage, result: Any) -> str:
        if result.error is not None:
            return str(result.error)
        mask = result.origin_plane("mask")
        try:
            encoded = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(255))[1]
            write_file(self.folder / f"{record.name}{MASK_SUFFIX}.png", encoded.tobytes())
        except OSError as error:
            return f"the mask cannot be written: {error.strerror or error}"
        return "" if mask.any() else NO_LESION


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
        The columns ``image``, ``mask`` (file; None where it failed), ``error``
        (``"no lesion found"`` where the mask is empty).

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
    worker = _SegmentToFiles(segmenter, folder)
    with closing(map_batches(worker, records, n_jobs=n_jobs, verbose=verbose, desc="segment")) as stream:
        for start, _, texts in stream:
            errors |= {positions[start + index]: text for index, text in enumerate(texts) if text}
    masks = [
        None if errors.get(index, NO_LESION) != NO_LESION else str(folder / f"{image.stem}{MASK_SUFFIX}.png")
        for index, image in enumerate(images)
    ]
    return pd.DataFrame(
        {"image": [str(i) for i in images], "mask": masks, "error": [errors.get(i, "") for i in range(len(images))]}
    )


def measure_files(
    images: Sequence[Path], *, segmenter: Any = None, masks: Sequence[Path] | None = None,
    groups: Sequence[str] | None = None, max_side: int = 512, n_jobs: int | None = None, verbose: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Measure the lesions of many files.

    Parameters
    ----------
    images : sequence of Path
        The files.
    segmenter : segmenter, default=None
        Outlines the lesions, where no masks are given.
    masks : sequence of Path, default=None
        Mask files, one an image.
    groups : sequence of str, default=None
        Groups of features; all if None.
    max_side : int, default=512
        Working size, longer side in pixels.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    DataFrame
        A row an image: ``image``, the features, ``error``.
    """
    featurizer = ABCDFeaturizer() if groups is None else ABCDFeaturizer(groups=tuple(groups))
    steps: list[tuple[str, Any]] = [("resizer", ImageResizer(max_side)), ("featurizer", featurizer)]
    extras = None
    if masks is None:
        steps.insert(1, ("segmenter", segmenter))
    else:
        extras = [{"mask": mask} for mask in masks]
    pipe = BatchedPipeline(steps, n_jobs=n_jobs, verbose=verbose, on_error="nan")
    positions, records, errors = split_readable(images, extras)
    columns = list(featurizer.get_feature_names_out())
    values = np.full((len(images), len(columns)), np.nan)
    if records:
        values[positions] = _quietly(pipe.fit(records).transform, records)
        errors |= _row_errors(pipe, positions)
    table = pd.DataFrame(values, columns=columns)
    table.insert(0, "image", [str(image) for image in images])
    return table.assign(error=[errors.get(index, "") for index in range(len(images))])


def predict_files(
    images: Sequence[Path],
    model: Any,
    *,
    metadata: pd.DataFrame | None = None,
    positive: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predict the classes of many files by a fitted pipeline.

    Parameters
    ----------
    images : sequence of Path
        The files.
    model : estimator
        A fitted classifier of images, as made by `skinseg.make_lesion_pipeline`,
        with or without a threshold around it
        (`sklearn.model_selection.FixedThresholdClassifier`).
    metadata : DataFrame, default=None
        The clinical columns, one row an image, where the model uses some; an
        image whose row is missing throughout gets no probability (see
        `rows_for`).
    positive : object, default=None
        The positive of two classes; the second if None.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    DataFrame
        A row an image: ``image``; ``melanoma_probability`` and ``decision``
        for two classes, or a column ``probability_<class>`` each and
        ``decision``; ``error``. Images that failed, or show no lesion, have no
        probability.
    """
    check_is_fitted(model)
    parts = lesion_parts(model)
    for part in parts:
        part.set_params(on_error="nan", n_jobs=n_jobs, verbose=0)
    fitted = [part for part in parts if hasattr(part, "steps_")]
    table_of = _metadata_of(model, metadata)
    positions, records, errors = split_readable(images)
    if metadata is not None and "found" in metadata:
        errors |= {index: NOT_IN_TABLE for index, found in enumerate(metadata["found"]) if not found}
        kept = [place for place, index in enumerate(positions) if index not in errors]
        positions, records = [positions[place] for place in kept], [records[place] for place in kept]
    classes = list(model.classes_)
    probabilities = np.full((len(images), len(classes)), np.nan)
    progress = _progress(verbose, len(records))
    for chunk in batches_of(range(len(records)), _CHUNK):
        where = [positions[index] for index in chunk]
        probabilities[where] = _quietly(model.predict_proba, table_of([records[index] for index in chunk], where))
        for part in fitted:
            errors |= _row_errors(part, where)
        progress(len(chunk))
    probabilities[list(errors)] = np.nan
    table = pd.DataFrame({"image": [str(image) for image in images]})
    table = _decide(table, probabilities, classes, model, positive)
    return table.assign(error=[errors.get(index, "") for index in range(len(images))])


def lesion_parts(model: Any) -> list[BatchedPipeline]:
    """List the image steps of a model, as they were given and as they were fitted."""
    found = nested_estimators(model, stop=BatchedPipeline)  # not those that serve another as a segmenter
    return [part for part in found if isinstance(part, BatchedPipeline)]


def clinical_columns(model: Any) -> list[str]:
    """Name the clinical columns that a fitted model uses."""
    for part in nested_estimators(model):
        if isinstance(part, ColumnTransformer):
            columns = {name: list(names) for name, _, names in part.transformers_ if not isinstance(names, str)}
            if {"lesion", "clinical"} <= columns.keys():
                return columns["clinical"]
    return []


def _metadata_of(model: Any, metadata: pd.DataFrame | None) -> Any:
    """Give a function that makes the X of the model from records and their positions."""
    columns = clinical_columns(model)
    if not columns:
        return lambda records, _positions: records
    if metadata is None:
        raise ValueError(f"the model uses the clinical columns {columns}; give a table with them (--table)")
    absent = [column for column in columns if column not in metadata]
    if absent:
        raise ValueError(f"the table lacks the clinical columns {absent} that the model uses")
    wanted = metadata[columns].reset_index(drop=True)
    return lambda records, positions: wanted.iloc[positions].reset_index(drop=True).assign(image=records)


def rows_for(images: Sequence[Path], frame: pd.DataFrame, image_column: str = "image") -> pd.DataFrame:
    """Find the row of each image in a table, by the stem of the file.

    Parameters
    ----------
    images : sequence of Path
        The files.
    frame : DataFrame
        The table.
    image_column : str, default="image"
        Its column of file names, paths or names without ending.

    Returns
    -------
    DataFrame
        One row an image, in their order; empty cells for an image that is not
        in the table, which the column ``found`` tells.

    Raises
    ------
    ValueError
        If no image is in the table, or if one has several rows.
    """
    stems = pd.Index([Path(str(name)).stem for name in frame[image_column]])
    wanted = [image.stem for image in images]
    known = set(stems)
    repeated = sorted(set(stems[stems.duplicated()]) & set(wanted))
    if repeated:
        raise ValueError(f"the table has several rows for {', '.join(repeated[:5])}; keep one row an image")
    if not known & set(wanted):
        raise ValueError(
            f"none of the {len(images)} images is in the column {image_column!r} of the table: the images are called "
            f"{', '.join(wanted[:3])}, the rows {', '.join(map(str, stems[:3]))}"
        )
    table = frame.set_axis(stems, axis=0)
    return table[~table.index.duplicated()].reindex(wanted).assign(found=[stem in known for stem in wanted])


def _decide(
    table: pd.DataFrame, probabilities: np.ndarray, classes: list[Any], model: Any, positive: Any
) -> pd.DataFrame:
    known = ~np.isnan(probabilities[:, 0])
    if len(classes) == 2:
        positive = getattr(model, "pos_label", None) if positive is None else positive
        index = 1 if positive is None else classes.index(positive)
        threshold = getattr(model, "threshold", "auto")
        table["melanoma_probability"] = probabilities[:, index]
        limit = 0.5 if threshold == "auto" else float(threshold)
        chosen = np.where(probabilities[:, index] >= limit, index, 1 - index)
    else:
        for position, label in enumerate(classes):
            table[f"probability_{label}"] = probabilities[:, position]
        chosen = np.argmax(np.nan_to_num(probabilities, nan=-1), axis=1)
    decisions = [classes[pick] if ok else None for pick, ok in zip(chosen, known, strict=True)]
    # object, or whole numbers would be written as 1.0 in a table with an image that failed
    return table.assign(decision=pd.Series(decisions, dtype=object))


def _row_errors(pipe: BatchedPipeline, positions: Sequence[int]) -> dict[int, str]:
    """Messages of the last call, in the numbering of the files."""
    errors = {positions[index]: NO_LESION for index in pipe.empty_}
    for index, text in pipe.errors_.items():
        errors[positions[index]] = text
    return errors


def _quietly(function: Any, *args: Any) -> Any:
    """Call without the warning of empty masks, which the column ``error`` tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        return function(*args)


def _progress(verbose: int, total: int) -> Any:
    if verbose < 1:
        return lambda _count: None
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="predict", unit="image").update
