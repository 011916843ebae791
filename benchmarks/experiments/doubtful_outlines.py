"""What is among the least confident outlines, and what the polygons of annotation tools keep of an outline.

The table has the columns image, mask and split. `PretrainedSegmenter` outlines the validation images. First table: of
the share that is to be looked at, how many outlines have failed (a Jaccard index with the expert below 0.65), and what
the mean would be if those were as the expert has drawn them. Second: the experts' masks as polygons, by tolerance.
"""

import argparse

import numpy as np

from skinseg import PretrainedSegmenter
from skinseg.annotations import mask_to_polygons, polygons_to_mask
from skinseg.datasets import load_lesion_table
from skinseg.images import read_mask
from skinseg.metrics import jaccard_score

FAILED = 0.65


def show_shares(scores, confidences):
    order = np.argsort(confidences, kind="stable")
    failed = scores < FAILED
    print(f"{len(scores)} images, mean Jaccard index {scores.mean():.3f}, {failed.sum()} failed (below {FAILED})\n")
    print("| share looked at | images | their mean | mean of the others | failed among them | mean if they are right |")
    print("|---|---|---|---|---|---|")
    for share in (0.05, 0.1, 0.2):
        chosen = order[: int(np.ceil(share * len(order)))]
        others = np.setdiff1d(order, chosen)
        after = np.where(np.isin(np.arange(len(scores)), chosen), 1.0, scores).mean()
        print(
            f"| {share:.0%} | {len(chosen)} | {scores[chosen].mean():.3f} | {scores[others].mean():.3f} | "
            f"{failed[chosen].sum()} of {failed.sum()} | {after:.3f} |"
        )


def show_tolerances(masks):
    print("\n| tolerance in pixels | corners, median | Jaccard index, mean | least | area, mean ratio |")
    print("|---|---|---|---|---|")
    for tolerance in (0, 0.5, 1, 2, 4):
        corners, scores, areas = [], [], []
        for mask in masks:
            polygons = mask_to_polygons(mask, tolerance=tolerance)
            back = polygons_to_mask(polygons, mask.shape)
            corners.append(sum(len(ring) for polygon in polygons for ring in (polygon.exterior, *polygon.holes)))
            scores.append((mask & back).sum() / (mask | back).sum())
            areas.append(back.sum() / mask.sum())
        print(
            f"| {tolerance} | {np.median(corners):.0f} | {np.mean(scores):.4f} | {np.min(scores):.4f} | "
            f"{np.mean(areas):.4f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--split", default="validation")
    arguments = parser.parse_args()
    data = load_lesion_table(arguments.table, mask_column="mask", where={"split": arguments.split})
    masks = [read_mask(path) for path in data.masks]
    records = PretrainedSegmenter().transform(data.images)
    scores = jaccard_score(masks, [record.mask for record in records], average=None)
    show_shares(scores, np.array([record.confidence for record in records]))
    show_tolerances([mask for mask in masks if mask.any()])


if __name__ == "__main__":
    main()
