"""Side by side with other packages: same images, same machine, one core each, in turns.

    python benchmarks/peers/run.py --images FOLDER --masks FOLDER
    python benchmarks/peers/run.py --table TABLE.csv --image-column crop --mask-column crop_mask

pyradiomics, mahotas and Keras are installed from PyPI into environments of their own (--envs; Keras brings TensorFlow,
2.6 GB) and used again the next time. scikit-image is in the environment that runs this. Every package runs in a process
of its own, all bound to one core and one thread, and does the same images in turns: a round goes through all images, a
turn through some of them by each task, in one order and then in the other.

Images are decoded once for all, so every package is given the same pixels in the form that it takes; that is not timed.
`cv2.imread` of the same files is, as the unit D. Times are CPU time of the process, user and system, an image.

The exit code is 1 where a peer could not be measured or a row of the first table is missed.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from agreement import PAIRS, compare
from environments import HERE, RECIPES, PeerError, prepare
from turns import Worker, ratio_of, take_turns

from skinseg import read_image, read_mask
from skinseg.networks import letterbox, packaged_network
from skinseg.outlining import find_images, find_masks

US, UNIT = "skinseg", "cv2.imread"
PEERS = tuple(peer for peer in (*HERE, *RECIPES) if peer != US)
FOUR, ALL, GEOMETRY = "asymmetry, border, color, dimension", "all groups", "geometry, functions"
RADIOMICS = ("extractor, from arrays", "classes, SimpleITK images ready")
PROPERTIES = ("regionprops_table, 11 properties", "regionprops_table, 8 shared")
METHODS = ("isodata", "li", "mean", "minimum", "multi_otsu", "otsu", "triangle", "yen")
BATCHES, SINGLES = "network", "network, one by one"


class Goal(NamedTuple):
    """So many times as fast as the fastest of some tasks of a peer."""

    what: str
    ours: str
    peer: str
    theirs: tuple[str, ...]
    least: float


GOALS = (
    Goal("asymmetry, border, color and dimension over pyradiomics' shape2D, firstorder and glcm",
         FOUR, "pyradiomics", RADIOMICS, 2.0),
    Goal("all groups over the same", ALL, "pyradiomics", RADIOMICS, 1.0),
    Goal("geometry over scikit-image's regionprops_table", GEOMETRY, "scikit-image", PROPERTIES, 3.0),
)  # fmt: skip

# (ours, peer, theirs): what is set against what
MATCHES = (
    *((ours, "pyradiomics", theirs) for ours in (FOUR, ALL) for theirs in RADIOMICS),
    (GEOMETRY, "pyradiomics", "shape2D alone"),
    (GEOMETRY, "mahotas", "shape"),
    *((ours, "scikit-image", theirs) for ours in (GEOMETRY, "geometry, featurizer") for theirs in PROPERTIES),
    ("GLCM", "mahotas", "haralick"),
    ("LBP", "mahotas", "lbp"),
    *((ALL, "mahotas", theirs) for theirs in ("tas", "zernike_moments")),
    *((f"threshold, {method}", "scikit-image", f"threshold, {method}") for method in METHODS),
    *((BATCHES, "keras", f"{call}, batches of 24") for call in ("predict", "predict_on_batch")),
    (BATCHES, "keras", "predict, batches of 8"),
    *((SINGLES, "keras", f"{call}, one by one") for call in ("predict", "predict_on_batch")),
)


def show(title, *rows):
    """Print one table."""
    print(f"\n| {' | '.join(title)} |\n|{'---|' * len(title)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


# ---------------------------------------------------------------------- images


def listed_files(options):
    """Image and mask files as asked for."""
    if options.table:
        table = pd.read_csv(options.table)
        for column in (options.image_column, options.mask_column):
            if column not in table:
                raise SystemExit(f"{options.table} has no column {column!r}, but {', '.join(table.columns)}")
        table = table.dropna(subset=[options.image_column, options.mask_column])
        columns = (table[name] for name in (options.image_column, options.mask_column))
        return list(zip(*([options.table.parent / name for name in column] for column in columns), strict=True))
    if not (options.images and options.masks):
        raise SystemExit("give --images and --masks, or --table")
    images = find_images([options.images])
    return [pair for pair in zip(images, find_masks(images, options.masks), strict=True) if pair[1].is_file()]


def spread(items, number):
    """So many of them, evenly spread."""
    return [items[index] for index in np.unique(np.linspace(0, len(items) - 1, min(number, len(items))).astype(int))]


def write_cases(files, folder):
    """Decode once, and write what the packages are given; give the list of it, and how many there are."""
    cases, side = [], packaged_network().input_size
    for index, (image_file, mask_file) in enumerate(files):
        image, mask = read_image(image_file), read_mask(mask_file)
        if not mask.any() or mask.shape != image.shape[:2]:
            print(f"{image_file}: left out, as its mask is empty or of another size", file=sys.stderr)
            continue
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        planes = {"image": image, "mask": mask, "gray": gray, "square": letterbox(image, side)}
        case = {"file": str(Path(image_file).resolve())}
        for name, plane in planes.items():
            case[name] = str(folder / f"{index:05d}_{name}.npy")
            np.save(case[name], plane)
        cases.append(case)
    if not cases:
        raise SystemExit("there is no image with a mask")
    path = folder / "cases.json"
    path.write_text(json.dumps(cases))
    return path, len(cases)


# ---------------------------------------------------------------------- measuring


def interpreter(text):
    """Parse PEER=PATH."""
    peer, _, path = text.partition("=")
    if peer not in PEERS or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not PEER=PATH with one of {', '.join(PEERS)}")
    return peer, path


def start_workers(options, cases, folder, stack):
    """Workers by the name of their package, and why there is none."""
    given = dict(options.python)
    workers, problems = {}, {}
    for peer in (US, *options.peers):
        try:
            python = prepare(peer, options.envs, given)
            worker = Worker(peer, python, cases, folder / f"{peer}.log", options.core)
            workers[peer] = stack.enter_context(worker)
        except (PeerError, OSError) as error:
            if peer == US:
                raise SystemExit(str(error)) from None
            problems[peer] = str(error)
    return workers, problems


def chosen_tasks(workers):
    """Tasks that take part in any comparison, by worker."""
    wanted = [(US, UNIT)]
    for ours, peer, theirs in MATCHES:
        if peer in workers:
            wanted += [(US, ours), (peer, theirs)]
    return [(workers[peer], task) for peer, task in dict.fromkeys(wanted)]


def without_failures(workers, problems, n_images, options):
    """Take turns; where a peer fails on the way, once more without it. Give tasks, times and values to compare."""
    while True:
        tasks = chosen_tasks(workers)
        try:
            taken = take_turns(tasks, n_images, options.rounds, options.turn)
            return tasks, taken, {peer: worker.values() for peer, worker in workers.items()}
        except PeerError as error:
            if error.peer == US:
                raise SystemExit(str(error)) from None
            problems[error.peer] = str(error)
            del workers[error.peer]


def measure(options, folder):
    """Everything that the tables are made of, as plain numbers."""
    path, n_images = write_cases(spread(listed_files(options), options.number), folder)
    with ExitStack() as stack:
        workers, problems = start_workers(options, path, folder, stack)
        tasks, taken, values = without_failures(workers, problems, n_images, options)
        return {
            "images": n_images,
            "rounds": options.rounds,
            "python": platform.python_version(),
            "versions": {peer: worker.versions for peer, worker in workers.items()},
            "problems": problems,
            "seconds": [
                {"peer": worker.peer, "task": task, "columns": worker.columns[task]}
                | {clock: times.tolist() for clock, times in taken[worker.peer, task].items()}
                for worker, task in tasks
            ],
            "agreement": [
                pair._asdict() | compare(pair, values[US], values[pair.peer]) for pair in PAIRS if pair.peer in values
            ],
        }


# ---------------------------------------------------------------------- tables


def times_of(result, clock="cpu"):
    return {(row["peer"], row["task"]): np.array(row[clock]) for row in result["seconds"]}


def told(ratio):
    return "{:.2f} ({:.2f}-{:.2f})".format(*ratio)


def difference_of(row):
    """Say how far apart two packages are."""
    if "median" not in row:
        return "other scale"
    found = [row[key] for key in ("median", "low", "high")]
    largest = max(map(abs, found))
    if largest < 1e-4:
        return "equal" if largest < 1e-9 else "below 0.01 %"
    return "{:+.2f} % ({:+.2f} to {:+.2f})".format(*(round(100 * value, 2) + 0.0 for value in found))  # no -0.00


def judge(result):
    """Rows of the goals, and whether all of them are met."""
    cpu, wall, rows, met = times_of(result), times_of(result, "wall"), [], True
    for goal in GOALS:
        known = [task for task in goal.theirs if (goal.peer, task) in cpu]
        if not known:
            rows.append([goal.what, f"{goal.least:g}", "not measured", "", "", "", ""])
            continue
        fastest = min(known, key=lambda task: np.median(cpu[goal.peer, task]))
        keys = (goal.peer, fastest), (US, goal.ours)
        ratio = ratio_of(*(cpu[key] for key in keys))
        passed = ratio[0] >= goal.least
        met &= passed
        rates = [f"{1 / np.median(cpu[key]):.1f}" for key in keys[::-1]]
        walls = told(ratio_of(*(wall[key] for key in keys)))
        rows.append([goal.what, f"{goal.least:g}", told(ratio), walls, *rates, "pass" if passed else "MISS"])
    return rows, met


def show_all(result):
    """Print the tables; give whether all goals that were measured are met."""
    print(f"{result['images']} images, {result['rounds']} rounds, Python {result['python']}, {platform.machine()}")
    for peer, versions in result["versions"].items():
        print(f"- {peer}: {', '.join(f'{name} {version}' for name, version in versions.items())}")
    for peer, problem in result["problems"].items():
        print(f"- {peer} was not measured: {problem}")
    rows, met = judge(result)
    ratio = "time of the peer over ours, median (least-most) of the rounds"
    show(["what", "asked", ratio, "the same by wall time", "images a second, ours", "theirs", ""], *rows)
    cpu, unit = times_of(result), times_of(result)[US, UNIT]
    rows = [
        [
            *(row[key] for key in ("peer", "task")),
            row["columns"] or "",
            f"{1000 * np.median(row['cpu']):.3g}",
            f"{1 / np.median(row['cpu']):.0f}",
            told(ratio_of(np.array(row["cpu"]), unit)),
        ]
        for row in result["seconds"]
    ]
    show(["package", "task", "numbers", "ms an image", "images a second", f"in D, D = {UNIT}"], *rows)
    rows = [
        [ours, f"{peer}: {theirs}", told(ratio_of(cpu[peer, theirs], cpu[US, ours]))]
        for ours, peer, theirs in MATCHES
        if (peer, theirs) in cpu
    ]
    show(["ours", "theirs", ratio], *rows)
    rows = [
        [
            row["quantity"],
            f"`{row['ours']}`",
            f"{row['peer']}: `{row['theirs']}`",
            difference_of(row),
            f"{row['rank']:.3f}" if "rank" in row else "",
            row["why"],
        ]
        for row in result["agreement"]
    ]
    difference = "(theirs - ours) / ours, median (5 % to 95 %)"
    show(["quantity", "ours", "theirs", difference, "rank correlation", "how they differ"], *rows)
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of images")
    parser.add_argument("--masks", type=Path, help="folder of their masks, <stem>_segmentation.png or <stem>.png")
    parser.add_argument("--table", type=Path, help="CSV file with columns of image and mask files, relative to it")
    parser.add_argument("--image-column", default="image")
    parser.add_argument("--mask-column", default="mask")
    parser.add_argument("--number", type=int, default=200, help="how many of the images, evenly spread")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=int, default=24, help="images in a turn")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="all by default")
    parser.add_argument("--envs", type=Path, default=Path(__file__).resolve().parent / ".envs",
                        help="folder of the environments")  # fmt: skip
    parser.add_argument("--python", action="append", type=interpreter, default=[], metavar="PEER=PATH",
                        help="an interpreter that has the peer already; may be given several times")  # fmt: skip
    last = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    parser.add_argument("--core", type=int, default=last, help="the core of all workers; the last one by default")
    parser.add_argument("--out", type=Path, help="JSON file for the figures of every round")
    options = parser.parse_args()
    if min(options.number, options.rounds, options.turn) < 1:
        parser.error("--number, --rounds and --turn must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, Path(folder))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1))
    met = show_all(result)
    return 0 if met and not result["problems"] else 1


if __name__ == "__main__":
    sys.exit(main())
