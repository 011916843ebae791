"""Overlap metrics against the official scorer of the ISIC challenges, image by image, on real masks and on edge cases.

    python official_scorer.py TABLE --scorer PATH

The table has the columns image, mask and split; files are relative to it. The masks of a split are predicted by a
threshold; then every fifth is shrunk, widened, emptied, filled or made perfect, so that all scores vary. PATH is the
command `isic-challenge-scoring` (PyPI, 5.8.0). It prints means only: for the scores of each image the Python beside it
calls its loader and its score on folders of one image. The means are those of the command.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from skinseg import ThresholdSegmenter, read_mask
from skinseg.datasets import load_lesion_table
from skinseg.exceptions import EmptyMaskWarning
from skinseg.metrics import mask_scores

COLUMNS = {
    "jaccard": "jaccard",
    "threshold_jaccard": "thresholded_jaccard",
    "dice": "dice",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
}
# the scorer's own loader and score, for each pair of folders on its standard input
EACH = """
import json, pathlib, sys
from isic_challenge_scoring.segmentation import SegmentationScore
for line in sys.stdin:
    truth, predicted = map(pathlib.Path, json.loads(line))
    print(json.dumps(SegmentationScore.from_dir(truth, predicted).to_dict()), flush=True)
"""


def edge_cases():
    """Pairs of masks, by name."""
    shape = (60, 80)
    empty, full = np.zeros(shape, bool), np.ones(shape, bool)
    pixel, other, half, corner = np.zeros((4, *shape), bool)
    pixel[30, 40] = other[30, 41] = True
    half[:, :40] = True
    corner[0, 0] = True
    at, below = np.zeros((2, 10, 100), bool)
    at[:, :65] = True  # Jaccard index 0.65 with the full mask
    below[:, :65] = True
    below[0, 0] = False
    whole = np.ones((10, 100), bool)
    return {
        "empty, empty": (empty, empty),
        "empty, full": (empty, full),
        "full, empty": (full, empty),
        "full, full": (full, full),
        "empty, one pixel": (empty, pixel),
        "one pixel, empty": (pixel, empty),
        "one pixel, the same": (pixel, pixel),
        "one pixel, its neighbor": (pixel, other),
        "one pixel, full": (pixel, full),
        "full, one pixel": (full, pixel),
        "full but one pixel, full": (~pixel, full),
        "full, full but one pixel": (full, ~pixel),
        "half, the other half": (half, ~half),
        "half, half and a pixel": (half, half | pixel),
        "corner, corner": (corner, corner),
        "at the threshold": (whole, at),
        "a pixel below the threshold": (whole, below),
    }


def perturb(masks, truth):
    """Change every fifth mask, by turns in one of five ways."""
    square = np.ones((25, 25), np.uint8)
    changed = list(masks)
    for turn, index in enumerate(range(0, len(masks), 5)):
        levels = masks[index].astype(np.uint8)
        ways = (cv2.erode(levels, square), cv2.dilate(levels, square), 0 * levels, levels | 1, truth[index])
        changed[index] = ways[turn % len(ways)] > 0
    return changed


def write(folder, pairs):
    """Write each pair into folders of its own and links to them into one pair of folders; give all of the former."""
    folders = []
    for index, pair in enumerate(pairs):
        own = []
        for kind, mask in zip(("truth", "predicted"), pair, strict=True):
            place, together = folder / f"{index:07d}" / kind, folder / "all" / kind
            place.mkdir(parents=True)
            together.mkdir(parents=True, exist_ok=True)
            name = f"ISIC_{index:07d}_segmentation.png"
            cv2.imwrite(str(place / name), mask.astype(np.uint8) * 255)
            (together / name).symlink_to(place / name)
            own.append(str(place))
        folders.append(own)
    return folders


def official_scores(scorer, folder, folders):
    """Scores of each image, and the means that the command prints."""
    python = Path(scorer).parent / "python"
    lines = "".join(json.dumps(pair) + "\n" for pair in folders)
    each = subprocess.run([python, "-c", EACH], input=lines, capture_output=True, text=True, check=True).stdout
    command = [scorer, "-o", "json", "segmentation", str(folder / "all/truth"), str(folder / "all/predicted")]
    means = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["macro_average"]
    rows = [json.loads(line)["macro_average"] for line in each.splitlines()]
    return pd.DataFrame(rows).rename(columns=COLUMNS)[list(COLUMNS.values())], pd.Series(means).rename(COLUMNS)


def compare(title, pairs, scorer, official=official_scores):
    """Print the largest differences, and give our scores and the official ones."""
    with tempfile.TemporaryDirectory() as box:
        folders = write(Path(box), pairs)
        each, means = official(scorer, Path(box), folders)
        files = [[next(Path(folder).glob("*.png")) for folder in pair] for pair in folders]
        ours = mask_scores([true for true, _ in files], [pred for _, pred in files], boundary=False)[list(each)]
    by_image, of_means = (ours - each).abs().max(), (ours.mean() - means[list(each)]).abs()
    print(f"\n{title}: {len(ours)} pairs of masks\n")
    print("| score | mean, skinseg | mean, official | difference of means | largest difference of an image |")
    print("|---|---|---|---|---|")
    for name in each:
        cells = f"{ours[name].mean():.6f} | {means[name]:.6f} | {of_means[name]:.1e} | {by_image[name]:.1e}"
        print(f"| {name} | {cells} |")
    print(f"\nlargest difference: {max(by_image.max(), of_means.max()):.1e}", flush=True)
    return ours, each


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--scorer", type=Path, required=True, help="the command isic-challenge-scoring")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    if not options.scorer.exists():
        sys.exit(f"there is no {options.scorer}; pip install isic-challenge-scoring")
    warnings.simplefilter("ignore", EmptyMaskWarning)
    data = load_lesion_table(options.table, mask_column="mask", where={"split": options.split})
    truth = [read_mask(path) for path in data.masks]
    predicted = list(ThresholdSegmenter(n_jobs=options.jobs).predict(data.images))
    compare(f"{options.split}, thresholds", list(zip(truth, predicted, strict=True)), options.scorer)
    changed = perturb(predicted, truth)
    compare(f"{options.split}, every fifth changed", list(zip(truth, changed, strict=True)), options.scorer)
    cases = edge_cases()
    ours, each = compare("edge cases", list(cases.values()), options.scorer)
    print("\n| expert, predicted |", " | ".join(ours), "| official differs by |")
    print("|---" * (len(ours.columns) + 2) + "|")
    for name, row, other in zip(cases, ours.to_numpy(), each.to_numpy(), strict=True):
        print(f"| {name} |", " | ".join(f"{value:.4f}" for value in row), f"| {np.abs(row - other).max():.1e} |")


if __name__ == "__main__":
    main()
