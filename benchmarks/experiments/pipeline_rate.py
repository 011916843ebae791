"""Rate of the default pipeline from files to probabilities: on one and on two cores, and on large files.

`make_lesion_pipeline()` decodes, resizes, outlines by `PretrainedSegmenter`, measures the ABCD table and predicts.
The rates are taken in turns, each in a process that is held to so many cores (Linux), after a first prediction that
starts the workers and loads the network. Beside them stands what the machine itself gives: two such processes of one
core at the same time, which know nothing of each other. For each large file its cost is told beside that of
``cv2.imread``, of a process held to one core: seconds of the processor, the least of some rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
from memory_and_rate import find_files

from skinseg import make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning


def make_model(jobs):
    lesions = make_lesions(20, random_state=0)
    warnings.simplefilter("ignore", EmptyMaskWarning)
    return make_lesion_pipeline().fit(lesions.images, lesions.target).set_params(lesion__n_jobs=jobs)


def rate(files, jobs):
    """Images a second."""
    model = make_model(jobs)
    model.predict_proba(files[: 8 * jobs])
    start = time.perf_counter()
    model.predict_proba(files)
    return len(files) / (time.perf_counter() - start)


def cost(work, file, rounds):
    """Least seconds of the processor."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work(file)
        taken.append(time.process_time() - start)
    return min(taken)


def costs(files, rounds):
    """Seconds of the pipeline and of ``cv2.imread`` for each file."""
    model = make_model(1)
    model.predict_proba(files[:1])
    rows = []
    for file in files:
        whole = cost(lambda path: model.predict_proba([path]), file, rounds)
        rows.append((whole, cost(lambda path: cv2.imread(str(path)), file, rounds)))
    return rows


def measure(what, files, number, cores):
    """Run this file as a process held to some cores."""
    return collect(start(what, files, number, cores))


def start(what, files, number, cores):
    """Start it."""
    call = [sys.executable, __file__, "--one", what, str(number), *map(str, files)]
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if len(cores) == 1 or what == "rate" else {})}

    def hold():
        os.sched_setaffinity(0, cores)

    return subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=hold)


def collect(process):
    """Wait for what it prints."""
    text = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"a process ended with exit code {process.returncode}; what it said is above")
    return json.loads(text)


def apart(files, cores):
    """Images a second of two processes of one core each, at the same time."""
    return sum(collect(process) for process in [start("rate", files, 1, [core]) for core in cores])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, help="table with the column image, or folder of JPEG files")
    parser.add_argument("--number", type=int, default=500, help="how many of them")
    parser.add_argument("--large", type=Path, help="folder of large JPEG files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, number, *files = options.one
        print(json.dumps(rate(files, int(number)) if what == "rate" else costs(files, int(number))))
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    files = [str(file) for file in find_files(options.source)[: options.number]]
    rates = {1: [], 2: []}
    ideal = []
    for _ in range(options.rounds):
        for jobs in rates:
            rates[jobs].append(measure("rate", files, jobs, cores[:jobs]))
        ideal.append(apart(files, cores))
    one, two = (statistics.median(rates[jobs]) for jobs in rates)
    efficiencies = [both / single / 2 for single, both in zip(rates[1], rates[2], strict=True)]
    possible = [both / single / 2 for single, both in zip(rates[1], ideal, strict=True)]
    print(
        f"{len(files)} files of {options.source}: {one:.1f} images a second on one core, {two:.1f} on two; "
        f"efficiency {statistics.median(efficiencies):.2f} ({min(efficiencies):.2f} to {max(efficiencies):.2f})"
    )
    print(
        f"two processes apart: {statistics.median(ideal):.1f} images a second; efficiency "
        f"{statistics.median(possible):.2f} ({min(possible):.2f} to {max(possible):.2f})"
    )
    if options.large is None:
        return
    small = np.array(measure("cost", files[:20], options.rounds, cores[:1]))
    decoding, fixed = float(np.median(small[:, 1])), float(np.median(small[:, 0] - small[:, 1]))
    print(f"a small file costs {1e3 * fixed:.1f} ms besides its decoding by cv2.imread, {1e3 * decoding:.1f} ms")
    large = sorted(str(path) for path in options.large.glob("*.jpg"))
    print("| file | megapixels | cv2.imread | pipeline | (pipeline - fixed cost of a small file) / cv2.imread |")
    print("|---|---|---|---|---|")
    ratios = []
    for path, (whole, decode) in zip(large, measure("cost", large, options.rounds, cores[:1]), strict=True):
        height, width = cv2.imread(path).shape[:2]
        ratios.append((whole - fixed) / decode)
        print(f"| {Path(path).stem} | {height * width / 1e6:.1f} | {1e3 * decode:.0f} ms | {1e3 * whole:.0f} ms "
              f"| {ratios[-1]:.2f} |")  # fmt: skip
    print(f"median ratio {statistics.median(ratios):.2f}, largest {max(ratios):.2f}")


if __name__ == "__main__":
    main()
