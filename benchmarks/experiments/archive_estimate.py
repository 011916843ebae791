"""What it would take to outline, measure and classify a whole archive: core hours, wall time, cost, download.

One core (of a process held to one thread) decodes the given files, reduces them to 512 pixels, outlines them by
`PretrainedSegmenter`, measures the ABCD table and predicts by a logistic regression, `make_lesion_pipeline()` fitted on
drawn lesions. Its seconds an image, for files of each size, are then multiplied: they are measured, all that is printed
beside them follows from them by the assumptions in the second line. CPU time is taken, since other work on the machine
weighs on it least; the median of the rounds.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from skinseg import make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.reading import read_header

EDGES = (2e6, 8e6)  # pixels, between the rows of the table
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def group_files(files):
    """Sort files by their number of pixels into at most three groups."""
    names = [f"up to {EDGES[0] / 1e6:.0f} MP", f"{EDGES[0] / 1e6:.0f} to {EDGES[1] / 1e6:.0f} MP",
             f"above {EDGES[1] / 1e6:.0f} MP"]  # fmt: skip
    groups = {name: [] for name in names}
    for file in files:
        groups[names[sum(n_pixels(file) > edge for edge in EDGES)]].append(file)
    return {name: members for name, members in groups.items() if members}


def n_pixels(file):
    return math.prod(read_header(file).shape)


def reduce_files(files, side, folder):
    """Write copies whose longer side is so long, as JPEG of quality 90; those that are smaller stay as they are."""
    reduced = []
    for index, file in enumerate(files):
        image = cv2.imread(str(file))
        scale = side / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            file = folder / f"{index:04d}.jpg"
            cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
        reduced.append(file)
    return reduced


def measure(groups, rounds):
    """Give for each group the CPU and wall seconds an image, the medians of rounds in turn."""
    cv2.setNumThreads(1)
    lesions = make_lesions(40, random_state=0, min_side=64, max_side=96)
    model = make_lesion_pipeline().fit(lesions.images, lesions.target)
    seconds = {name: [] for name in groups}
    for number in range(rounds + 1):
        for name, files in groups.items():
            before = time.process_time(), time.perf_counter()
            model.predict_proba(files)
            after = time.process_time(), time.perf_counter()
            if number:  # the first one warms up
                seconds[name].append([(b - a) / len(files) for a, b in zip(before, after, strict=True)])
    return {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in seconds.items()}


def estimate(cpu, megabytes, images, cores, price, efficiency):
    """Give core hours, wall hours on each number of cores, cost and terabytes."""
    hours = images * cpu / 3600 / efficiency
    return hours, [hours / n for n in cores], hours * price, images * megabytes / 1e6


def duration(hours):
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="images of the sizes that are of interest")
    parser.add_argument("--side", type=int, default=1024, help="also copies of them all, reduced to this side (1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=500_000, help="images of the archive (500,000)")
    parser.add_argument("--cores", type=int, nargs="+", default=[2, 32, 320])
    parser.add_argument("--price", type=float, default=0.04, help="price of a core hour, an assumption (0.04 dollars)")
    parser.add_argument("--efficiency", type=float, default=0.85, help="of many cores, an assumption (0.85)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        groups = json.loads(sys.stdin.read())
        print(json.dumps(measure(groups, options.rounds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        groups = group_files(options.files)
        groups[f"reduced to {options.side} px"] = reduce_files(options.files, options.side, Path(folder))
        found = subprocess.run(
            [sys.executable, __file__, "--worker", "--rounds", str(options.rounds), "-"],
            input=json.dumps({name: list(map(str, files)) for name, files in groups.items()}),
            stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **THREADS, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        sizes = {
            name: [sum(map(count, files)) / len(files) / 1e6 for count in (n_pixels, lambda file: file.stat().st_size)]
            for name, files in groups.items()
        }
    print(f"{len(options.files)} files, median of {options.rounds} rounds, one core")
    print(
        f"{options.images:,} images; assumed: {options.price} dollars a core hour, on each of many cores "
        f"{options.efficiency:.0%} of the rate of one\n"
    )
    walls = [f"wall time on {n}" for n in options.cores]
    head = ["files", "n", "MP", "MB", "CPU ms an image", "wall ms an image", "images/s a core", "core hours", *walls,
            "dollars", "download, TB"]  # fmt: skip
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for name, (cpu, wall) in json.loads(found.stdout).items():
        megapixels, megabytes = sizes[name]
        hours, times, cost, terabytes = estimate(
            cpu, megabytes, options.images, options.cores, options.price, options.efficiency
        )
        cells = [name, str(len(groups[name])), f"{megapixels:.1f}", f"{megabytes:.2f}", f"{1000 * cpu:.0f}",
                 f"{1000 * wall:.0f}", f"{1 / cpu:.1f}", f"{hours:.1f}", *map(duration, times), f"{cost:.2f}",
                 f"{terabytes:.2f}"]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
