"""Figures of every segmenter that is no network on ISIC 2017, with preprocessing on and off; masks and a contact sheet.

The table has the columns image, mask, group and split (training, validation); files are relative to it. All settings
are the defaults, which were chosen on training images. What learns is scored on the training images by 5-fold
cross-validation (lesions kept together) and on the validation images after learning from all training images.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from skinseg import (
    ChanVeseSegmenter,
    ColorConstancy,
    ContrastEqualizer,
    EnsembleSegmenter,
    FrameCropper,
    GrabCutSegmenter,
    HairRemover,
    IlluminationCorrector,
    KMeansSegmenter,
    LesionImage,
    SaliencySegmenter,
    SuperpixelSegmenter,
    ThresholdSegmenter,
    metrics,
    read_image,
)
from skinseg.datasets import load_lesion_table
from skinseg.exceptions import EmptyMaskWarning
from skinseg.inspection import contact_sheet
from skinseg.segmentation._threshold import CHANNELS, METHODS

SCORES = {
    "jaccard": metrics.jaccard_score,
    "thresholded": metrics.thresholded_jaccard_score,
    "dice": metrics.dice_score,
    "sensitivity": metrics.sensitivity_score,
    "specificity": metrics.specificity_score,
}
OFFICIAL = {"jaccard": "jaccard", "threshold_jaccard": "thresholded", "dice": "dice", "sensitivity": "sensitivity",
            "specificity": "specificity"}  # fmt: skip


def segmenters():
    """Every segmenter, by the name of its row."""
    rows = {f"threshold, {method}": ThresholdSegmenter(method) for method in METHODS}
    rows |= {f"threshold, otsu, {name}": ThresholdSegmenter(channel=name) for name in CHANNELS if name != "blue"}
    return rows | {
        "k-means": KMeansSegmenter(),
        "saliency": SaliencySegmenter(),
        "Chan-Vese": ChanVeseSegmenter(),
        "GrabCut": GrabCutSegmenter(),
        "ensemble": EnsembleSegmenter(),
        "superpixels": SuperpixelSegmenter(random_state=0),
    }


def variants():
    """The steps of preparation, each switched alone, by the name of its row."""
    steps = {
        "hair, tophat": HairRemover(),
        "hair, DullRazor": HairRemover("dullrazor"),
        "shades of gray": ColorConstancy(),
        "illumination": IlluminationCorrector(),
        "frame cropped": FrameCropper(),
        "frame as field": FrameCropper("field"),
        "CLAHE": ContrastEqualizer(),
    }
    within = {"hair_width": 0, "flatten": False, "centering": None, "exclude_foreign": False, "blur": 0, "closing": 0,
              "margin": 0, "opening": 0}  # fmt: skip
    rows = {"threshold": ThresholdSegmenter()}
    rows |= {f"threshold after {name}": make_pipeline(step, ThresholdSegmenter()) for name, step in steps.items()}
    rows |= {f"threshold, {key}={value}": ThresholdSegmenter(**{key: value}) for key, value in within.items()}
    rows |= {"ensemble": EnsembleSegmenter()}
    return rows | {f"ensemble after {name}": make_pipeline(step, EnsembleSegmenter()) for name, step in steps.items()}


def milliseconds(segmenter, records):
    """Median time of one image in memory, on one core."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    times = []
    for record in records:
        start = time.perf_counter()
        segmenter.transform([record])
        times.append(1000 * (time.perf_counter() - start))
    cv2.setNumThreads(before)
    return float(np.median(times))


def with_jobs(segmenter, jobs):
    return clone(segmenter).set_params(**{name: jobs for name in segmenter.get_params() if name.endswith("n_jobs")})


def predict(segmenter, data, learns, jobs, n_folds=5):
    """Masks of the images of a split, out of fold where the segmenter learns."""
    segmenter = with_jobs(segmenter, jobs)
    if not learns:
        return list(segmenter.fit(data.images).predict(data.images)), segmenter
    masks = [None] * len(data.images)
    for train, test in GroupKFold(n_folds, shuffle=True, random_state=0).split(data.images, groups=data.groups):
        model = clone(segmenter).fit([data.images[i] for i in train], [data.masks[i] for i in train])
        for index, mask in zip(test, model.predict([data.images[i] for i in test]), strict=True):
            masks[index] = mask
    return masks, segmenter.fit(data.images, data.masks)


def measure(truth, masks):
    """Scores of each image."""
    return pd.DataFrame({name: score(truth, masks, average=None) for name, score in SCORES.items()})


def row_of(name, scores, cost):
    means = scores.mean()
    error = scores["jaccard"].std() / np.sqrt(len(scores))
    failed = (scores["jaccard"] < 0.1).mean()
    cells = [f"{means['jaccard']:.4f} ± {error:.4f}", *(f"{means[key]:.3f}" for key in list(SCORES)[1:])]
    return f"| {name} | {' | '.join(cells)} | {100 * failed:.1f} % | {cost} |"


def write_masks(folder, data, masks):
    folder.mkdir(parents=True, exist_ok=True)
    for path, mask in zip(data.images, masks, strict=True):
        cv2.imwrite(str(folder / f"{path.stem}_segmentation.png"), mask.astype(np.uint8) * 255)


def compare_with_official(folder, data, scores):
    """Score the written masks by the challenge's own scorer and print the largest difference of a mean."""
    with tempfile.TemporaryDirectory() as box:
        truth, predicted = Path(box) / "truth", Path(folder)
        truth.mkdir()
        for path, mask in zip(data.images, data.masks, strict=True):
            shutil.copy(mask, truth / f"{path.stem}_segmentation.png")
        command = ["isic-challenge-scoring", "-o", "json", "segmentation", str(truth), str(predicted)]
        report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    values = report.get("macro_average", report)
    differences = {ours: float(abs(values[theirs] - scores[ours].mean())) for theirs, ours in OFFICIAL.items()}
    print("    official scorer, largest difference of a mean:", max(differences.values()), differences, flush=True)


def save_sheet(path, data, masks, scores, number):
    order = np.argsort(scores["jaccard"].to_numpy(), kind="stable")[:number]
    sheet = contact_sheet(
        [data.images[index] for index in order],
        [masks[index] for index in order],
        references=[data.masks[index] for index in order],
        columns=8,
    )
    cv2.imwrite(str(path), sheet[..., ::-1])
    names = [f"{data.images[index].stem[-7:]} {scores['jaccard'][index]:.2f}" for index in order]
    print(f"    contact sheet in {path}:", ", ".join(names))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--only", nargs="+", help="rows whose names begin with one of these")
    parser.add_argument("--ablation", action="store_true", help="preparation on and off, in place of all segmenters")
    parser.add_argument("--step", type=int, default=1, help="use every STEP-th image")
    parser.add_argument("--splits", nargs="+", default=["training", "validation"])
    parser.add_argument("--masks", type=Path, help="folder to write the masks to, a folder a row and split")
    parser.add_argument("--official", action="store_true", help="compare with isic-challenge-scoring, if on the PATH")
    parser.add_argument("--sheet", type=Path, help="contact sheet of the worst training images of the last row")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    splits = {}
    for split in options.splits:
        data = load_lesion_table(options.table, mask_column="mask", group_column="group", where={"split": split})
        data.images, data.masks = data.images[:: options.step], data.masks[:: options.step]
        data.groups = data.groups[:: options.step]
        splits[split] = data
    first = splits[options.splits[0]]
    records = [LesionImage(read_image(path)) for path in first.images[:: max(1, len(first.images) // 60)]]
    for name, segmenter in (variants() if options.ablation else segmenters()).items():
        if options.only and not name.startswith(tuple(options.only)):
            continue
        learns = name == "superpixels"
        model = None
        for split, data in splits.items():
            if learns and model is not None:
                masks = list(model.predict(data.images))
            else:
                masks, model = predict(segmenter, data, learns, options.jobs)
            scores = measure(data.masks, masks)
            cost = f"{milliseconds(with_jobs(model, None) if not learns else model, records):.1f}"
            print(row_of(f"{name} | {split}", scores, cost), flush=True)
            if options.masks:
                folder = options.masks / f"{name.replace(', ', '-').replace(' ', '-')}-{split}"
                write_masks(folder, data, masks)
                if options.official:
                    compare_with_official(folder, data, scores)
            if options.sheet and split == options.splits[0]:
                save_sheet(options.sheet, data, masks, scores, 48)


if __name__ == "__main__":
    main()
