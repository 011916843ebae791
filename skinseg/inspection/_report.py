"""The report of many images: what was outlined, measured and predicted, as one HTML file."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from .._files import plain_text, write_file
from .._version import __version__
from ..bulk import positive_class
from ..images import LesionImage
from ..outlining import DOUBTFUL, describe_estimator
from ..pipeline import outlining_part
from ..pretrained import PretrainedClassifier, load_pretrained
from ..runs._drive import NO_LESION
from ..segmentation import PretrainedSegmenter
from ._population import Population, load_population
from ._report_findings import Finding, as_records, find_all
from ._report_model import Verdicts, judge_all
from ._report_page import ORDERS, Page, render_page

__all__ = ["ReportSummary", "write_report"]

_PACKAGES = ("numpy", "scipy", "scikit-image", "opencv-python-headless", "opencv-python", "scikit-learn", "onnxruntime")


@dataclass
class ReportSummary:
    """What a report tells.

    Parameters
    ----------
    out : Path
        The file.
    n_images : int
        Images in it.
    failed : list of (str, str)
        Images that failed, and why.
    empty : list of str
        Images without a lesion.
    doubtful : list of (str, float)
        Images whose outline has a confidence below 0.7, the lowest first.
    """

    out: Path
    n_images: int
    failed: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    doubtful: list[tuple[str, float]] = field(default_factory=list)


def write_report(
    images: Any,
    out: str | os.PathLike[str],
    *,
    segmenter: Any = None,
    masks: Sequence[Any] | None = None,
    model: Any = "melanoma",
    metadata: pd.DataFrame | None = None,
    positive: Any = None,
    background: Any = None,
    population: Population | str | None = "isic2017",
    order: str = "given",
    title: str = "Skin lesions",
    cards: bool = True,
    pixel_size: float | None = None,
    max_side: int = 512,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> ReportSummary:
    """Write a report of images as one HTML file.

    It has an overview that sorts and filters, a gallery with outlines, and a
    card an image: pictures of outline, asymmetry, border, colors, diameters,
    structures and score, the features with their percentiles in a population,
    and the probability of a model with its interval and what raised it. The
    file stands alone: it needs no network and no other file, runs nothing but
    its own script, and can be printed. Images that failed are in it, with the
    reason.

    **Research software, no medical device**: the report says so, too.

    Parameters
    ----------
    images : sequence of images
        Files, arrays or `LesionImage`, see `skinseg.check_images`.
    out : path-like
        The file, ``.html``.
    segmenter : segmenter, default=None
        Outlines the lesions. If None, records that all have masks keep them;
        else it is that of the model, where it has one of its own, or
        `skinseg.PretrainedSegmenter`. One that learns comes fitted, as
        ``FrozenEstimator(segmenter)``.
    masks : sequence of masks, default=None
        Outlines, one an image, instead of a segmenter: arrays or files. The
        confidence of a record is told if its own mask, where it has one, is the
        same. A model that outlines keeps to its own.
    model : "melanoma", classifier or None, default="melanoma"
        What predicts: the model that comes trained (`skinseg.load_pretrained`),
        a fitted classifier of images, or nothing.
    metadata : DataFrame, default=None
        Clinical columns for the model, a row an image (`skinseg.bulk.rows_for`
        finds them in a table).
    positive : object, default=None
        The positive of two classes, see `skinseg.bulk.positive_class`.
    background : as X of `explain_prediction`, default=None
        Images that contributions are measured from, where the model is none
        that is explained exactly; if None those of the report.
    population : {"isic2017"}, Population or None, default="isic2017"
        Lesions that percentiles refer to, see `load_population`.
    order : {"given", "doubtful", "probability", "tds", "name"}, default="given"
        Order in which the report opens: ``"doubtful"`` has images without a
        lesion first, then outlines by their confidence, the lowest first.
    title : str, default="Skin lesions"
        At the top.
    cards : bool, default=True
        Whether there is a card an image; without, the report is made in a
        fraction of the time.
    pixel_size : float, default=None
        Millimeters per pixel of the images that do not tell theirs themselves
        (as records), where it is known: sizes are told in millimeters, too.
    max_side : int, default=512
        Working size, longer side in pixels.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress if above 0.

    Returns
    -------
    ReportSummary
        The file, and what failed or is doubtful.

    Raises
    ------
    ValueError
        If there are no images, an argument is not of the kind stated, or the
        model lacks its clinical columns.
    OSError
        If the file cannot be written.

    See Also
    --------
    ABCDDisplay : The pictures of a card.
    explain_prediction : What raised a probability.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.inspection import write_report
    >>> lesions = make_lesions(2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = write_report(lesions.images, Path(folder) / "report.html", model=None)
    ...     summary.n_images, summary.failed, summary.out.stat().st_size > 50_000
    (2, [], True)
    """
    out = Path(out)
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}; got {order!r}")
    if order == "probability" and model is None:
        raise ValueError("order='probability' needs a model; got model=None")
    _check_list(images)
    if masks is not None and segmenter is not None:
        raise ValueError("masks and segmenter exclude each other; give one of them")
    if metadata is not None and len(metadata) != len(images):
        raise ValueError(f"expected a row of metadata an image, got {len(metadata)} for {len(images)} images")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out} lies in a folder that does not exist; make it first")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; give the name of a file, such as {out / 'report.html'}")
    LesionImage(np.zeros((1, 1, 3), np.uint8), pixel_size=pixel_size)  # which checks it
    model = load_pretrained(model) if isinstance(model, str) else model
    if model is not None:
        positive = positive_class(model, positive)  # raises before any work
    population = load_population(population) if isinstance(population, str) else population
    if not isinstance(population, (Population, type(None))):
        raise ValueError(f"population must be a Population, the name of one or None; got {population!r}")
    records, names, bad = as_records(images, masks)
    carried = segmenter is None and all(isinstance(image, LesionImage) and image.has("mask") for image in images)
    outliner = None if masks is not None or carried else _outliner(segmenter, model)

    good = [index for index in range(len(names)) if index not in bad]
    findings = [Finding(name, error=bad.get(index, "")) for index, name in enumerate(names)]
    if records:
        sized = [record.with_(pixel_size=pixel_size) if record.pixel_size is None else record for record in records]
        looked = find_all(sized, outliner, max_side=max_side, cards=cards, n_jobs=n_jobs, verbose=verbose)
        for index, finding in zip(good, looked, strict=True):
            findings[index] = finding
    judged = [index for index in good if not findings[index].failed]
    verdicts = None
    if model is not None:
        rows = None if metadata is None else metadata.iloc[judged].reset_index(drop=True)
        whole = [record for index, record in zip(good, records, strict=True) if not findings[index].failed]
        verdicts = judge_all(
            whole, model, metadata=rows, positive=positive, background=background, n_jobs=n_jobs, verbose=verbose
        )

    files = [name for name, image in zip(names, images, strict=True) if _is_file(image)]
    page = Page(
        title=title,
        names=_shorten(names, images),
        findings=findings,
        verdicts=verdicts,
        judged=judged,
        population=population,
        order=order,
        cards=cards,
        made=_made(files, outliner, model, verdicts, metadata, population, max_side),
    )
    write_file(out, render_page(page).encode("utf-8", "backslashreplace"))
    unsure = [
        (finding.name, finding.confidence)
        for finding in findings
        if finding.error == "" and finding.confidence < DOUBTFUL
    ]
    return ReportSummary(
        out,
        len(names),
        failed=[(finding.name, finding.error) for finding in findings if finding.failed],
        empty=[finding.name for finding in findings if finding.error == NO_LESION],
        doubtful=sorted(unsure, key=lambda pair: pair[1]),
    )


def _check_list(images: Any) -> None:
    if isinstance(images, (str, os.PathLike, LesionImage, pd.DataFrame)):
        raise ValueError(
            f"expected a list of images, got a {type(images).__name__}; put them into a list: [image], "
            "list(table['image'])"
        )
    if not hasattr(images, "__len__"):
        raise ValueError(f"expected a list of images, got a {type(images).__name__}; make a list of it: list(images)")
    if len(images) == 0:
        raise ValueError("there are no images; give at least one")


def _outliner(segmenter: Any, model: Any) -> Any:
    """Choose what outlines: what was given, or what the model stands on."""
    if segmenter is not None:
        return segmenter
    if model is not None and not isinstance(model, PretrainedClassifier):
        part = outlining_part(model)
        if part is not model:
            return FrozenEstimator(part)
    return PretrainedSegmenter()


def _shorten(names: Sequence[str], images: Sequence[Any]) -> list[str]:
    """Leave out the folder that all files share; names of other images stay as they are."""
    files = [name for name, image in zip(names, images, strict=True) if _is_file(image)]
    try:
        shared = os.path.commonpath([os.path.dirname(name) for name in files]) if files else ""
    except ValueError:  # absolute and relative ones
        shared = ""
    return [
        os.path.relpath(name, shared) if shared and _is_file(image) else name
        for name, image in zip(names, images, strict=True)
    ]


def _is_file(image: Any) -> bool:
    return getattr(image, "path", None) is not None or isinstance(image, (str, os.PathLike))


def _made(
    files: Sequence[str],
    outliner: Any,
    model: Any,
    verdicts: Verdicts | None,
    metadata: pd.DataFrame | None,
    population: Population | None,
    max_side: int,
) -> list[tuple[str, str]]:
    """Tell how a report was made, term by term."""
    made = [("made on", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}")]
    folders = sorted({os.path.dirname(name) or "." for name in files})
    if folders:
        rest = f" and {len(folders) - 3} more" if len(folders) > 3 else ""
        made.append(("folders", ", ".join(folders[:3]) + rest))
    outlines = "masks that were given" if outliner is None else describe_estimator(outliner)
    made.append(("outlines", f"{outlines}; at a working size of {max_side} pixels"))
    made.append(
        (
            "features",
            "ABCDFeaturizer; structures are experimental; sizes are in pixels of the image as it was given",
        )
    )
    if model is not None:
        text = describe_estimator(model)
        if isinstance(model, PretrainedClassifier):
            text += f"; weights of SHA-256 {model._read().sha256[:16]}…; model card: docs/pretrained_melanoma.md"
        text += f"; {_threshold(model, metadata is not None)}"
        clinical = "with" if metadata is not None else "without"
        made.append(("model", f"{text}; {clinical} clinical columns"))
        if outliner is None:
            made.append(("outlines of the model", "its own, not the masks that were given"))
    if verdicts is not None and verdicts.note:
        made.append(("explanations", verdicts.note))
    if population is not None:
        sizes = ", ".join(f"{count} {group}" for group, count in population.sizes.items())
        made.append(
            (
                "percentiles",
                f"{population.description}: {sizes}. They are for orientation: the population is a collection, not a "
                "practice, and sharpness and fine structures depend on the resolution of an image",
            )
        )
    made.append(
        ("versions", ", ".join([f"skinseg {__version__}", f"Python {platform.python_version()}", *_versions()]))
    )
    return [(term, plain_text(text)) for term, text in made]


def _threshold(model: Any, clinical: bool) -> str:
    """Tell from which probability on a model calls an image positive."""
    if isinstance(model, PretrainedClassifier):
        if model.threshold is not None:
            return f"threshold {model.threshold:g}"
        limits = model._read().settings["threshold"]
        known = f", {limits['clinical']:.3f} where age, sex or site is known" if clinical else ""
        return (
            f"threshold {limits['image']:.3f}{known}, chosen for a sensitivity of 90 % on images that the model had "
            "not seen"
        )
    limit = getattr(model, "threshold", "auto")
    return "threshold 0.5" if limit == "auto" else f"threshold {float(limit):.4g}, as saved with the model"


def _versions() -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
