"""How far the definitions of the boundary metrics differ on real masks.

    python boundary_definitions.py TABLE

The table has the columns image, mask and split; files are relative to it. The masks of a split are predicted by a
threshold, and scored by each definition that is in use under the same name.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np

from skinseg import ThresholdSegmenter, metrics
from skinseg.datasets import load_lesion_table
from skinseg.exceptions import EmptyMaskWarning

DISTANCES = {
    "HD, largest distance": (metrics.hausdorff_distance, {"percentile": 100}),
    'HD95, directed="max"': (metrics.hausdorff_distance, {}),
    'HD95, directed="pooled"': (metrics.hausdorff_distance, {"directed": "pooled"}),
    'ASSD, directed="pooled"': (metrics.average_symmetric_surface_distance, {}),
    'ASSD, directed="mean"': (metrics.average_symmetric_surface_distance, {"directed": "mean"}),
}
TOLERANCES = (0.0025, 0.005, 0.0075, 0.01, 0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    data = load_lesion_table(options.table, mask_column="mask", where={"split": options.split})
    predicted = list(ThresholdSegmenter(n_jobs=options.jobs).predict(data.images))
    empty = sum(not mask.any() for mask in predicted)
    print(f"{len(predicted)} images, {empty} of them without a predicted mask\n")
    print("| distance | mean, % of the diagonal | median | largest | pooled over images |")
    print("|---|---|---|---|---|")
    for name, (score, arguments) in DISTANCES.items():
        arguments = {"normalize": "diagonal", **arguments}
        each = 100 * score(data.masks, predicted, average=None, **arguments)
        pooled = 100 * score(data.masks, predicted, average="pooled", **arguments)
        print(f"| {name} | {each.mean():.2f} | {np.median(each):.2f} | {each.max():.2f} | {pooled:.2f} |")
    print("\n| tolerance, % of the diagonal | boundary F1, mean | median | pooled over images |")
    print("|---|---|---|---|")
    for tolerance in TOLERANCES:
        each = metrics.boundary_f1_score(data.masks, predicted, tolerance=tolerance, average=None)
        pooled = metrics.boundary_f1_score(data.masks, predicted, tolerance=tolerance, average="pooled")
        print(f"| {100 * tolerance:g} | {each.mean():.3f} | {np.median(each):.3f} | {pooled:.3f} |")


if __name__ == "__main__":
    main()
