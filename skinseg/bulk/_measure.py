"""Feature tables of many files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from .._batches import BatchRunner
from .._files import plain_text
from .._version import __version__
from ..features import ABCDFeaturizer
from ..images import LesionImage
from ..outlining import describe_estimator, quietly
from ..pipeline import BatchedPipeline
from ..preprocessing import ImageResizer
from ..runs._drive import NO_LESION, Batch, Job, RunSummary, collect, drive_table
from ..runs._parts import STAMP, stamp_of

__all__ = ["measure_files", "measure_to_file"]


def measure_files(
    images: Sequence[Path], *, segmenter: Any = None, masks: Sequence[Path] | None = None,
    groups: Sequence[str] | None = None, max_side: int = 512, pixel_size: float | None = None,
    n_jobs: int | None = None, verbose: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Measure the lesions of many files.

    Parameters
    ----------
    images : sequence of Path
        The files.
    segmenter : segmenter, default=None
        Outlines the lesions, where no masks are given; one that learns comes
        fitted, as ``FrozenEstimator(segmenter)``.
    masks : sequence of Path, default=None
        Mask files, one an image.
    groups : sequence of str, default=None
        Groups of features; all if None.
    max_side : int, default=512
        Working size, longer side in pixels.
    pixel_size : float, default=None
        Millimeters per pixel of the files, where it is the same for all and
        known: sizes are then given in millimeters, too.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    DataFrame
        A row an image: ``image``, the features, ``error``.

    See Also
    --------
    measure_to_file : For so many that a run may be stopped in the middle.
    """
    return collect(_MeasureJob(images, segmenter, masks, groups, max_side, pixel_size, n_jobs), verbose=verbose)


def measure_to_file(
    images: Sequence[Path],
    out: str | os.PathLike[str],
    *,
    segmenter: Any = None,
    masks: Sequence[Path] | None = None,
    groups: Sequence[str] | None = None,
    max_side: int = 512,
    pixel_size: float | None = None,
    errors: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    model_id: str | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    tell: Callable[[str], None] | None = None,
) -> RunSummary:
    """Measure the lesions of very many files, in a run that can be stopped at any moment and gone on with.

    Rows are kept in parts in a folder beside the table, ``<out>.parts``, until
    all images are done. The same call goes on where the last one was stopped,
    in whatever way; the table is the same to the last digit. Images whose
    files changed meanwhile are measured again, new ones are added.

    Parameters
    ----------
    images : sequence of Path
        The files.
    out : path-like
        The table, ``.csv``, ``.tsv`` or ``.parquet``: a row an image in their
        order, as `measure_files` gives it.
    segmenter : segmenter, default=None
        Outlines the lesions, where no masks are given; one that learns comes
        fitted, as ``FrozenEstimator(segmenter)``.
    masks : sequence of Path, default=None
        Mask files, one an image.
    groups : sequence of str, default=None
        Groups of features; all if None.
    max_side : int, default=512
        Working size, longer side in pixels.
    pixel_size : float, default=None
        Millimeters per pixel of the files, where it is the same for all and
        known: sizes are then given in millimeters, too.
    errors : path-like, default=None
        Table to write besides of the images whose ``error`` is not empty:
        ``image``, ``error``.
    fresh : bool, default=False
        Throw away what earlier calls did.
    retry_failed : bool, default=False
        Try again what failed in earlier calls although the file is the same.
    model_id : str, default=None
        What tells the segmenter from others, such as the hash of its file; made
        of its parameters and state if None.
    n_jobs : int, default=None
        Number of workers, as in joblib. Where there are several and one dies,
        the images that it had are tried one by one, and that on which it dies
        again gets an error.
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
    RunError
        If another process has the run, or the rows that are there were made
        with other settings.
    RunInterrupted
        At Ctrl-C; it is a KeyboardInterrupt.
    OSError
        If the table or the folder of the parts cannot be written. All rows that
        were written stay for the next call.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from PIL import Image
    >>> from skinseg import ThresholdSegmenter
    >>> from skinseg.bulk import measure_to_file
    >>> from skinseg.datasets import make_lesions
    >>> folder = tempfile.TemporaryDirectory()
    >>> files = [Path(folder.name) / f"{name}.png" for name in "abc"]
    >>> for file, image in zip(files, make_lesions(3, random_state=0).images):
    ...     Image.fromarray(image).save(file)
    >>> out = Path(folder.name) / "features.csv"
    >>> summary = measure_to_file(files, out, segmenter=ThresholdSegmenter(), groups=["dimension"])
    >>> summary.n_images, summary.n_failed
    (3, 0)
    >>> len(pd.read_csv(out))
    3
    >>> folder.cleanup()
    """
    job = _MeasureJob(images, segmenter, masks, groups, max_side, pixel_size, n_jobs)
    outlines = "given masks" if masks is not None else describe_estimator(segmenter, model_id)
    job.settings = {
        "command": "features",
        "skinseg": __version__,
        "segmenter": outlines,
        "masks": "none" if masks is None else _folder_of(masks),
        "groups": "all" if groups is None else ",".join(groups),
        "max_side": str(max_side),
        "pixel_size": "unknown" if pixel_size is None else repr(float(pixel_size)),
    }
    return drive_table(job, out, errors, fresh, retry_failed, verbose, tell)


def _folder_of(files: Sequence[Path]) -> str:
    return os.path.commonpath({os.path.abspath(os.path.dirname(file)) for file in files}) if len(files) else "none"


class _MeasureBatch:
    """What a worker does with a batch of files: a row of numbers each, so that nothing else travels back.

    Headers are read here and not before: the first image is measured at once, and no file is opened for its header
    and again for its pixels.
    """

    def __init__(self, runner: BatchRunner, columns: list[str], pixel_size: float | None) -> None:
        self.runner = runner
        self.columns = columns
        self.pixel_size = pixel_size

    def __call__(self, batch: Batch) -> pd.DataFrame:
        folder, files = batch.content
        paths = [
            (os.path.join(folder, image), None if mask is None else os.path.join(folder, mask)) for image, mask in files
        ]
        stamps = [_stamp(image, mask) for image, mask in paths]
        records = [LesionImage(image, mask=mask, pixel_size=self.pixel_size) for image, mask in paths]
        values = np.full((len(records), len(self.columns)), np.nan)
        errors = [""] * len(records)
        for index, (result, is_empty) in enumerate(quietly(self.runner, records)):
            if isinstance(result, LesionImage):  # it failed
                absolute, given = paths[index][1], files[index][1]
                text = str(result.error)
                if given is not None:  # so that it is named as the user did
                    text = text.replace(f"{absolute}: ", f"{given}: ", 1)
                errors[index] = plain_text(text)
            else:
                values[index] = result
                errors[index] = NO_LESION if is_empty else ""
        return pd.DataFrame(values, columns=self.columns).assign(**{"error": errors, STAMP: stamps})


def _stamp(image: str | Path, mask: str | Path | None) -> str:
    return stamp_of(image) if mask is None else f"{stamp_of(image)} {stamp_of(mask)}"


class _MeasureJob(Job):
    name = "features"
    function: _MeasureBatch

    def __init__(
        self,
        images: Sequence[Path],
        segmenter: Any,
        masks: Sequence[Path] | None,
        groups: Sequence[str] | None,
        max_side: int,
        pixel_size: float | None,
        n_jobs: int | None,
    ) -> None:
        featurizer = ABCDFeaturizer() if groups is None else ABCDFeaturizer(groups=tuple(groups))
        steps: list[tuple[str, Any]] = [("resizer", ImageResizer(max_side)), ("featurizer", featurizer)]
        if masks is None:
            if segmenter is None or isinstance(segmenter, str):
                raise ValueError(f"expected masks, or a segmenter such as PretrainedSegmenter(); got {segmenter!r}")
            if get_tags(segmenter).requires_fit and not isinstance(segmenter, FrozenEstimator):
                raise ValueError(
                    f"{type(segmenter).__name__} learns; fit it, and put it in as FrozenEstimator(segmenter) of "
                    "sklearn.frozen, so that it stays as it is"
                )
            steps.insert(1, ("segmenter", segmenter))
        elif len(masks) != len(images):
            raise ValueError(f"expected one mask an image, got {len(masks)} masks for {len(images)} images")
        self.images, self.masks = list(images), None if masks is None else list(masks)  # from a column of a table
        self.n_images, self.n_jobs = len(images), n_jobs
        # no step learns; what fit wants is an image, any
        pixels = np.zeros((1, 1, 3), np.uint8)
        any_image = LesionImage(pixels, mask=np.ones((1, 1), bool), pixel_size=pixel_size)  # which checks the size
        fitted = BatchedPipeline(steps).fit([any_image])
        columns = list(fitted.get_feature_names_out())
        self.function = _MeasureBatch(BatchRunner(fitted.steps_, None, "transform"), columns, pixel_size)

    def key(self, position: int) -> str:
        image = os.path.abspath(self.images[position])
        return plain_text(image if self.masks is None else f"{image}\n{os.path.abspath(self.masks[position])}")

    def stamp(self, position: int) -> str:
        return _stamp(self.images[position], None if self.masks is None else self.masks[position])

    def content(self, positions: list[int]) -> tuple[str, list[tuple[str, str | None]]]:
        masks = self.masks
        pairs = [
            (str(self.images[position]), None if masks is None else str(masks[position])) for position in positions
        ]
        return os.getcwd(), pairs  # workers may be in another folder

    def complete(self, positions: Sequence[int], found: pd.DataFrame) -> pd.DataFrame:
        names = [plain_text(self.images[position]) for position in positions]
        table = found.reindex(columns=[*self.function.columns, "error"]).reset_index(drop=True)
        table.insert(0, "image", names)
        return table
