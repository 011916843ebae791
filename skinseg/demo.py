"""The whole path on synthetic lesions, for a first look and as a check of an installation."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ._files import write_file
from .bulk import measure_files, predict_files
from .datasets import make_lesions
from .evaluation import bootstrap_interval, run_experiment
from .inspection import contact_sheet, write_report
from .metrics import jaccard_score
from .outlining import segment_files, write_table
from .segmentation import PretrainedSegmenter
from .training import train_from_table

__all__ = ["run_demo"]


def run_demo(
    out: str | os.PathLike[str],
    *,
    n_samples: int = 160,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
    echo: Callable[[str], object] = print,
) -> Path:
    """Draw lesions, then outline, measure, train, predict, evaluate and report from their files.

    Parameters
    ----------
    out : path-like
        Folder to write to; made if it does not exist.
    n_samples : int, default=160
        Number of images; a third of them is kept for the test.
    random_state : int, default=0
        Seed.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show progress bars if above 0.
    echo : callable, default=print
        Takes the lines of the report.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileExistsError
        If the folder has an ``evaluation`` that is none.
    """
    start = time.perf_counter()
    out = Path(out)
    folder = out / "evaluation"
    if folder.exists() and not (folder / "experiment.json").is_file():
        raise FileExistsError(f"{folder} exists and is not of an earlier demo; choose another folder")
    (out / "images").mkdir(parents=True, exist_ok=True)
    data = make_lesions(n_samples, random_state=random_state)
    files = [out / "images" / f"lesion_{index:04d}.jpg" for index in range(n_samples)]
    for file, image in zip(files, data.images, strict=True):
        write_file(file, cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    split = np.where(np.arange(n_samples) % 3 == 2, "test", "training")
    frame = data.frame.assign(image=[f"images/{file.name}" for file in files], split=split)
    write_table(frame.rename(columns={"target": "melanoma"}), out / "lesions.csv")
    echo(f"{n_samples} synthetic images ({data.target.sum()} melanomas) in {out / 'images'}")
    echo(f"table in {out / 'lesions.csv'}")

    segmented = segment_files(files, out / "masks", PretrainedSegmenter(), n_jobs=n_jobs, verbose=verbose)
    masks = [Path(mask) for mask in segmented["mask"]]
    scores = jaccard_score(data.masks, masks, average=None)
    echo(f"outlines in {out / 'masks'}: Jaccard index {bootstrap_interval(np.mean, scores, random_state=random_state)}")
    sheet = contact_sheet(files[:24], masks[:24], references=data.masks[:24])
    write_file(
        out / "outlines.jpg", cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    )
    echo(f"picture in {out / 'outlines.jpg'}: found outline green, true outline vermilion")

    write_table(measure_files(files, masks=masks, n_jobs=n_jobs, verbose=verbose), out / "features.csv")
    echo(f"ABCD features in {out / 'features.csv'}")

    model = train_from_table(
        out / "lesions.csv", out / "model.skops", segmenter=PretrainedSegmenter(), target_column="melanoma",
        where={"split": "training"}, seed=random_state, jobs=n_jobs, quiet=verbose < 1, echo=echo,
    )  # fmt: skip
    test = [file for file, part in zip(files, split, strict=True) if part == "test"]
    predicted = predict_files(test, model, n_jobs=n_jobs, verbose=verbose)
    write_table(predicted, out / "predictions.csv")
    echo(f"predictions for the {len(test)} test images in {out / 'predictions.csv'}")

    auc = _evaluate(out, random_state, n_jobs, verbose)
    echo(f"evaluation on them in {out / 'evaluation' / 'report.html'}: ROC AUC {auc}")
    report = write_report(
        test, out / "report.html", model=model, order="probability", title="Synthetic lesions of the demo",
        n_jobs=n_jobs, verbose=verbose,
    )  # fmt: skip
    echo(f"all that was found in them in {report.out}: open it in a browser")
    echo(f"done in {time.perf_counter() - start:.0f} s")
    return out


def _evaluate(out: Path, random_state: int, n_jobs: int | None, verbose: int) -> str:
    """Score the model on the test images, in a folder that an earlier demo may have left."""
    folder = out / "evaluation"
    if (folder / "experiment.json").is_file():
        shutil.rmtree(folder)
    experiment = run_experiment(
        {"model": out / "model.skops"}, out / "lesions.csv", folder, target_column="melanoma",
        where={"split": "test"}, seed=random_state, check_duplicates=False, n_jobs=n_jobs, verbose=verbose,
    )  # fmt: skip
    scores = experiment.summary().set_index("score")
    value, low, high = scores.loc["roc_auc", ["value", "low", "high"]]
    return "not defined (one class only)" if np.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"
