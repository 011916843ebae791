"""Seconds to load a folder of many images in the layout of ISIC 2019, without and with decoding every file.

python benchmarks/experiments/published_layouts.py FOLDER [--images 25331] [--jobs 2]

The folder is filled with copies of one small JPEG (200 x 150 pixels), so the second number is a lower bound: images
take as long as their decoding.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from skinseg.datasets import load_isic2019

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def write(folder, n):
    """Write n images and their two tables."""
    images = folder / "ISIC_2019_Training_Input"
    images.mkdir(parents=True, exist_ok=True)
    pixels = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8), (0, 0), 3)
    encoded = cv2.imencode(".jpg", pixels)[1].tobytes()
    ids = [f"ISIC_{number:07d}" for number in range(n)]
    for key in ids:
        (images / f"{key}.jpg").write_bytes(encoded)
    marks = pd.DataFrame({name: [float(row % 8 == place) for row in range(n)] for place, name in enumerate(CLASSES)})
    marks.insert(0, "image", ids)
    marks.to_csv(folder / "ISIC_2019_Training_GroundTruth.csv", index=False)
    clinical = {"age_approx": 50.0, "anatom_site_general": "head/neck", "sex": "male"}
    lesions = [f"BCN_{row // 2:07d}" for row in range(n)]
    table = pd.DataFrame({"image": ids, "lesion_id": lesions, **clinical})
    table.to_csv(folder / "ISIC_2019_Training_Metadata.csv", index=False)


def main(arguments=None):
    """Print the times."""
    parser = argparse.ArgumentParser(description="Seconds to load a folder in the layout of ISIC 2019.")
    parser.add_argument("folder", type=Path, help="where the images are written")
    parser.add_argument("--images", type=int, default=25331, help="how many (25331)")
    parser.add_argument("--jobs", type=int, default=2, help="threads that decode (2)")
    options = parser.parse_args(arguments)
    write(options.folder, options.images)
    for verify in (False, True):
        start = time.perf_counter()
        data = load_isic2019(options.folder, verify=verify, n_jobs=options.jobs)
        print(f"verify={verify}: {len(data.images)} images in {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
