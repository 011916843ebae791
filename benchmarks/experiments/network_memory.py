"""Peak memory of a network on 500 and on 2,000 files: training without and with a cache, and prediction.

Each row is a process of its own, which trains a small U-Net for one epoch on images and masks that are named by their
paths, or outlines the images a batch at a time and keeps nothing. The growth is against the same on 32 files, which has
the import of Keras, the tracing of the network and the batches in flight in it.

The source is a table with the columns image and mask, of which the first images are taken, or the folder of ISIC 2018
Task 1 (see isic2018_recipe.py).
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from isic2018_recipe import find_pairs

from skinseg import UNetSegmenter
from skinseg.exceptions import EmptyMaskWarning

BASELINE = 32
WAYS = "no cache", "cache in memory", "cache in a folder", "prediction"


def measure(images, masks, way, size):
    """Do it, and print the peak in MB and the seconds."""
    segmenter = UNetSegmenter(size, depth=3, base_filters=8, epochs=1, validation_fraction=0.0, random_state=0)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if way == "prediction":
            segmenter.fit(images[:BASELINE], masks[:BASELINE])
            start = time.perf_counter()
            for first in range(0, len(images), BASELINE):
                segmenter.predict(images[first : first + BASELINE])
        else:
            cache = {"cache in memory": "memory", "cache in a folder": folder}.get(way)
            segmenter.set_params(cache=cache).fit(images, masks)
    seconds = time.perf_counter() - start
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="table, or folder of the challenge")
    parser.add_argument("--files", type=int, nargs="*", default=[500, 2000])
    parser.add_argument("--size", type=int, default=128, help="side of the input of the network, a multiple of 8")
    parser.add_argument("--row", nargs=2, metavar=("WAY", "N"), help=argparse.SUPPRESS)  # what a process does
    options = parser.parse_args()
    images, masks = find_pairs(options.source)
    if options.row is not None:
        warnings.simplefilter("ignore", EmptyMaskWarning)
        way, n_files = options.row[0], int(options.row[1])
        return measure(images[:n_files], masks[:n_files], way, options.size)
    print("| | files | peak, MB | growth over 32 files, MB | s |\n|---|---|---|---|---|")
    for way in WAYS:
        baseline = None
        for n_files in (BASELINE, *options.files):
            if n_files > len(images):
                parser.error(f"{options.source} has {len(images)} images, not {n_files}")
            done = subprocess.run(
                [sys.executable, __file__, options.source, "--size", str(options.size), "--row", way, str(n_files)],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            peak, seconds = map(float, done.stdout.split()[-2:])
            baseline = peak if baseline is None else baseline
            print(f"| {way} | {n_files} | {peak:.0f} | {peak - baseline:.0f} | {seconds:.0f} |", flush=True)
    return None


if __name__ == "__main__":
    main()
