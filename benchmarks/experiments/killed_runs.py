"""Long runs with `kill -9` at random moments, gone on with, against undisturbed ones: are the tables the same?

Files are made under as many other names as are asked for (hard links, or symbolic ones), with some that are no images
among them. `skinseg features`, `segment` and `predict` then run on them once undisturbed, and once with their process
killed at random moments and the same command called again. Tables are compared row by row after sorting, masks byte by
byte.
"""

import argparse
import filecmp
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from skinseg import ABCDFeaturizer, ThresholdSegmenter, make_lesion_pipeline, save
from skinseg.datasets import load_lesion_table, make_lesions
from skinseg.outlining import find_images

COMMANDS = ("features", "segment", "predict")


def link_files(sources, folder, n_files, n_bad):
    """Give the sources as many names as are asked for, some of them to files that are no images."""
    folder.mkdir()
    bad = {index * n_files // n_bad for index in range(n_bad)} if n_bad else set()
    for index in range(n_files):
        source = Path(sources[index % len(sources)]).absolute()
        target = folder / f"{index:06d}_{source.stem}{source.suffix}"
        if index in bad:
            target.write_text("this is no image\n")
            continue
        try:
            os.link(source, target)
        except OSError:  # another file system
            target.symlink_to(source)


def make_model(path, groups):
    """Fit a small pipeline on drawn lesions."""
    lesions = make_lesions(40, random_state=0, min_side=64, max_side=96)
    model = make_lesion_pipeline(ThresholdSegmenter(), featurizer=ABCDFeaturizer(groups=groups))
    save(model.fit(lesions.images, lesions.target), path)


def call(command, images, out, model, options):
    """Give the command, and the table that it writes."""
    table = out / f"{command}.csv"
    words = [sys.executable, "-m", "skinseg.cli", command, str(images), "--jobs", str(options.jobs)]
    if command == "segment":
        return [*words, "--out", str(out / "masks"), "--table", str(table), "--segmenter", "threshold"], table
    words += ["--out", str(table)]
    if command == "predict":
        return [*words, "--model", str(model)], table
    return [*words, "--segmenter", "threshold", "--groups", options.groups], table


def run(words, log, kill_after=None):
    """Run a command, or kill it after some seconds; tell the time, and whether it was killed."""
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return time.monotonic() - start, True
    if process.returncode not in (0, 1) or "Traceback" in Path(log.name).read_text():  # 1: some images failed
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{Path(log.name).read_text()[-3000:]}")
    return time.monotonic() - start, False


def compare(first, second, masks):
    """Compare two tables after sorting, and two folders of masks: rows lost and repeated, and whether all is equal."""
    one, two = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (first, second))
    for table, path in ((one, first), (two, second)):
        if "mask" in table:
            table["mask"] = table["mask"].str.replace(str(path.parent), "", regex=False)
    lost = len(set(one["image"]) - set(two["image"]))
    repeated = int(two["image"].duplicated().sum())
    one, two = (table.sort_values("image", ignore_index=True) for table in (one, two))
    equal = one.equals(two)
    if masks:
        folders = [path.parent / "masks" for path in (first, second)]
        names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
        equal = equal and names[0] == names[1] and not filecmp.cmpfiles(*folders, names[0], shallow=False)[1]
    return lost, repeated, equal


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder of images, or a table with a column image")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--bad", type=int, default=20, help="files that are no images")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--groups", default="dimension")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = options.source
    sources = load_lesion_table(source).images if source.is_file() else find_images([source])
    rng = random.Random(options.seed)
    lines = [
        "| command | images | failed | undisturbed, s | images/s | killed after, s | last call, s | rows lost "
        "| repeated | equal |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_files(sources, folder / "images", options.files, options.bad)
        make_model(folder / "model.skops", options.groups.split(","))
        for command in options.commands.split(","):
            outs = [folder / f"{command}_{kind}" for kind in ("undisturbed", "killed")]
            for out in outs:
                out.mkdir()
            with open(folder / f"{command}.log", "w") as log:
                words, first = call(command, folder / "images", outs[0], folder / "model.skops", options)
                undisturbed, _ = run(words, log)
                words, second = call(command, folder / "images", outs[1], folder / "model.skops", options)
                killed, last = [], 0.0
                for _ in range(options.kills):
                    seconds, was_killed = run(words, log, rng.uniform(0.1, 0.9) * undisturbed / options.kills)
                    killed += [f"{seconds:.1f}"] if was_killed else []
                last, _ = run(words, log)
            lost, repeated, equal = compare(first, second, command == "segment")
            failed = int((pd.read_csv(second, usecols=["error"])["error"].notna()).sum())
            lines.append(
                f"| {command} | {options.files} | {failed} | {undisturbed:.0f} | {options.files / undisturbed:.0f} | "
                f"{', '.join(killed)} | {last:.0f} | {lost} | {repeated} | {'yes' if equal else 'NO'} |"
            )
            print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
