"""What a report tells of each image: outlined, measured and drawn in a worker, and small enough to be kept."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, get_tags

from .._batches import BatchRunner
from .._files import plain_text
from ..features import ABCDFeaturizer
from ..images import LesionImage, check_images
from ..masks import resize_mask
from ..outlining import quietly
from ..pipeline import BatchedPipeline
from ..preprocessing import ImageResizer
from ..resampling import shrink_to
from ..runs._drive import NO_LESION, Batch, Job, collect
from ..runs._parts import STAMP
from ._display_abcd import PANELS, ABCDDisplay
from ._sheet import draw_outline

__all__ = ["Finding", "as_records", "find_all"]

_THUMBNAIL = 160  # longer side in pixels
PANEL_SIZES = {panel: (336, 324) if panel != "tds" else (684, 324) for panel in PANELS}
"""Width and height, in pixels, of the pictures of a card."""

_DPI = 120
_QUALITY = {"thumbnail": 70, "panel": 72}


@dataclass
class Finding:
    """One image of a report.

    Parameters
    ----------
    name : str
        Its file, or its name.
    error : str
        Empty, ``"no lesion found"``, or why it failed.
    shape : tuple of (int, int) or None
        Height and width of the image, if it could be read.
    confidence : float
        Of the outline; NaN if not known.
    values : ndarray of shape (n_features,)
        The features; NaN where one was not measured.
    reasons : dict of str to str
        Why a feature is NaN.
    thumbnail : bytes
        A small picture with the outline, WebP; empty if it failed.
    panels : dict of str to bytes
        Pictures of what was measured, WebP.
    """

    name: str
    error: str = ""
    shape: tuple[int, int] | None = None
    confidence: float = float("nan")
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    reasons: dict[str, str] = field(default_factory=dict)
    thumbnail: bytes = b""
    panels: dict[str, bytes] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether nothing could be done with the image."""
        return self.error not in ("", NO_LESION)


class _LookAt:
    """What a worker does with a batch of records."""

    def __init__(self, runner: BatchRunner, cards: bool) -> None:
        self.runner = runner
        self.cards = cards

    def __call__(self, batch: Batch) -> pd.DataFrame:
        findings = []
        for given, (record, _) in zip(batch.content, quietly(self.runner, batch.content), strict=True):
            try:
                findings.append(self._look(given, record))
            except Exception as error:  # one bad image must not take the report with it
                findings.append(Finding(name_of(given), error=f"{type(error).__name__}: {error}"))
        return pd.DataFrame({"finding": findings, "error": [finding.error for finding in findings], STAMP: ""})

    def _look(self, given: LesionImage, record: LesionImage) -> Finding:
        name = name_of(given)
        if record.error is not None:
            return Finding(name, error=plain_text(record.error))
        featurizer = ABCDFeaturizer()
        names = featurizer.get_feature_names_out()
        mask = record.mask
        if mask is None:
            raise ValueError("the segmenter gave no mask")
        explanation: Bunch | None = featurizer.explain(record) if mask.any() else None
        finding = Finding(
            name,
            error="" if mask.any() else NO_LESION,
            shape=record.geometry.origin,
            confidence=float("nan") if record.confidence is None else float(record.confidence),
            values=np.full(len(names), np.nan),
            thumbnail=_thumbnail(record.image, mask),
        )
        if explanation is not None:
            finding.values = np.array([explanation.measured[feature] for feature in names])
            finding.reasons = dict(explanation.reasons)
        if self.cards:
            finding.panels = _panels(record, explanation)
        return finding


def name_of(record: LesionImage) -> str:
    """Give the file of a record, or its name."""
    return plain_text(record.path if record.path is not None else record.name)


def _webp(pixels: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "webp", quality=quality, method=2)
    return buffer.getvalue()


def _thumbnail(image: np.ndarray, mask: np.ndarray) -> bytes:
    small = shrink_to(image, _THUMBNAIL)
    outlined = draw_outline(small, resize_mask(mask, small.shape[:2]), thickness=2)
    return _webp(outlined, _QUALITY["thumbnail"])


_style_lock = threading.Lock()


@contextmanager
def _default_style() -> Iterator[None]:
    """Draw in matplotlib's own style, whatever the user's is: in the workers it is that anyway.

    Settings are those of the process, so that threads draw one after the other, which they do in any case but for
    moments.
    """
    from matplotlib import style

    with _style_lock, style.context("default"):
        yield


def _panels(record: LesionImage, explanation: Bunch | None) -> dict[str, bytes]:
    """Draw each panel as a picture of its own, so that a page can set them side by side or one below the other."""
    display: ABCDDisplay | None = None
    pictures = {}
    with _default_style():
        # the outline, or the words that there is none
        for panel in PANELS if explanation is not None else PANELS[:1]:
            pictures[panel], display = _panel(panel, display, record, explanation)
    return pictures


def _panel(
    panel: str, display: ABCDDisplay | None, record: LesionImage, explanation: Bunch | None
) -> tuple[bytes, ABCDDisplay]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = PANEL_SIZES[panel]
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    chosen: dict[str, Any] = {"panels": [panel], "axes": [figure.add_subplot()]}
    if display is None:
        display = ABCDDisplay.from_predictions(record, None, explanation, **chosen)
    else:
        display.plot(**chosen)
    canvas.draw()
    return _webp(np.asarray(canvas.buffer_rgba())[..., :3], _QUALITY["panel"]), display


class _LookJob(Job):
    name = "report"
    function: _LookAt

    def __init__(self, records: Sequence[LesionImage], runner: BatchRunner, cards: bool, n_jobs: int | None) -> None:
        self.records, self.n_images, self.n_jobs = records, len(records), n_jobs
        self.function = _LookAt(runner, cards)

    def stamp(self, position: int) -> str:
        return ""

    def content(self, positions: list[int]) -> list[LesionImage]:
        return [self.records[position] for position in positions]

    def complete(self, positions: Sequence[int], found: pd.DataFrame) -> pd.DataFrame:
        return found


def find_all(
    records: Sequence[LesionImage],
    segmenter: Any,
    *,
    max_side: int,
    cards: bool,
    n_jobs: int | None,
    verbose: int,
) -> list[Finding]:
    """Outline, measure and draw many images.

    Parameters
    ----------
    records : sequence of LesionImage
        Images, or files whose headers were not read.
    segmenter : segmenter or None
        Outlines the lesions; None where the records have masks.
    max_side : int
        Working size.
    cards : bool
        Whether to draw what was measured.
    n_jobs : int or None
        Workers.
    verbose : int
        Progress if above 0.

    Returns
    -------
    list of Finding
        One an image.
    """
    steps: list[tuple[str, Any]] = [("resizer", ImageResizer(max_side))]
    if segmenter is not None:
        if get_tags(segmenter).requires_fit and not isinstance(segmenter, FrozenEstimator):
            raise ValueError(
                f"{type(segmenter).__name__} learns; fit it, and put it in as FrozenEstimator(segmenter) of "
                "sklearn.frozen, so that it stays as it is"
            )
        steps.append(("segmenter", segmenter))
    pixels = np.zeros((1, 1, 3), np.uint8)  # no step learns; what fit wants is an image, any
    fitted = BatchedPipeline(steps).fit([LesionImage(pixels, mask=np.ones((1, 1), bool))])
    job = _LookJob(records, BatchRunner(fitted.steps_, None, "transform"), cards, n_jobs)
    table = collect(job, verbose=verbose)
    findings = []
    for record, row in zip(records, table.to_dict("records"), strict=True):
        known = row.get("finding")
        # a process that died leaves the text alone
        findings.append(known if isinstance(known, Finding) else Finding(name_of(record), error=row["error"]))
    return findings


def _with_mask(record: LesionImage, mask: Any) -> LesionImage:
    """Give a record the mask; a confidence that is of another one is left out."""
    given = record.with_(mask=mask)
    if record.confidence is None:
        return given
    own, new = record.mask, given.mask
    if own is None or new is None or np.array_equal(own, new):
        return given
    return given.with_(confidence=None)


def _there(mask: Any) -> Any:
    if isinstance(mask, (str, os.PathLike)) and not os.path.exists(mask):
        raise ValueError(f"there is no mask {mask}; `skinseg segment` makes one")
    return mask


def as_records(images: Any, masks: Sequence[Any] | None) -> tuple[list[LesionImage], list[str], dict[int, str]]:
    """Bring images of all kinds into records, whose headers are read one by one.

    Parameters
    ----------
    images : sequence of images
        Files, arrays or records.
    masks : sequence of masks or None
        One an image.

    Returns
    -------
    records, names, errors : list of LesionImage, list of str, dict of int to str
        The images that can be looked at, the names of all, and by position why
        the others cannot.
    """
    if masks is not None and len(masks) != len(images):
        raise ValueError(f"expected one mask an image, got {len(masks)} masks for {len(images)} images")
    masks = None if masks is None else list(masks)  # a column of a table is taken row by row, whatever its index
    records, names, errors = [], [], {}
    for index, item in enumerate(images):
        name = str(item) if isinstance(item, (str, os.PathLike)) else f"image {index + 1}"
        try:
            record = item if isinstance(item, LesionImage) else LesionImage(item)
            record = record if record.name else record.with_(name=name)
            name = name_of(record)
            [checked] = check_images([record])  # what is wrong with the image comes first
            if masks is not None:
                [checked] = check_images([_with_mask(checked, _there(masks[index]))])
            records.append(checked)
        except (ValueError, TypeError) as error:
            text = str(error).partition("X[0]: ")[2] or str(error)
            errors[index] = plain_text(text.removeprefix(f"{name}: "))
        names.append(plain_text(name))
    return records, names, errors
