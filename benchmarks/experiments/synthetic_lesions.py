"""Figures of `make_lesions`: its rate, how well a threshold does by difficulty, and a contact sheet beside real images.

The table of real images is optional; it has the column image.
"""

import argparse
import time
import warnings
from pathlib import Path

import cv2
import numpy as np

from skinseg import ThresholdSegmenter
from skinseg.datasets import lesion_stream, load_lesion_table, make_lesions
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.inspection import contact_sheet
from skinseg.metrics import jaccard_score


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, help="table of real images for the sheet")
    parser.add_argument("--out", type=Path, default=Path("contact_sheet.jpg"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    cv2.setNumThreads(1)
    start = time.perf_counter()
    count = sum(1 for _ in lesion_stream(1000, random_state=0, min_side=256, max_side=256))
    print(f"{count} images of 256 px on one core: {time.perf_counter() - start:.0f} s")
    for difficulty in ("easy", "medium", "hard"):
        data = make_lesions(500, random_state=0, difficulty=difficulty)
        scores = jaccard_score(data.masks, ThresholdSegmenter().predict(data.images), average=None)
        print(f"{difficulty}: Jaccard of ThresholdSegmenter() {bootstrap_interval(np.mean, scores, random_state=0)}")
    sheet = contact_sheet(make_lesions(48, random_state=0, min_side=250, max_side=290).images, columns=8)
    if options.table is not None:
        images = load_lesion_table(options.table).images
        chosen = np.random.default_rng(0).choice(len(images), 48, replace=False)
        real = contact_sheet([images[index] for index in chosen], columns=8)
        sheet = np.vstack([sheet, np.zeros((12, sheet.shape[1], 3), np.uint8), real])
    cv2.imwrite(str(options.out), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"contact sheet in {options.out}")


if __name__ == "__main__":
    main()
