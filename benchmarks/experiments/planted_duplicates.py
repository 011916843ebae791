"""Copies planted among real images: how many `find_duplicates` finds, and what else it finds.

The table has the columns image, split and group. Copies of images of the training split, drawn at random, are written
to a temporary folder and put behind the images: JPEG at quality 40 to 90, resized by 0.5 to 2, mirrored or turned, and
all three at once, one after the other. Recall is the share of the copies that are paired with their source, precision
the share of true pairs among all that hold a copy; a pair of a copy with an image that is itself paired with the source
is true. With --harder, each of some other edits is made of the same images, and the training images are searched for
them.
The pairs found among the images themselves are printed, and drawn with --sheet.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from skinseg import read_image
from skinseg.evaluation import find_duplicates, group_duplicates
from skinseg.hashing import HASH_BITS, apply_symmetry, search_hashes

PLAIN = ("re-encoded", "resized", "mirrored or turned", "all three")


def encode(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def scale(image, factor):
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)


def turn(image, rng):
    symmetry = int(rng.integers(1, 8))
    return np.dstack([apply_symmetry(channel, symmetry) for channel in cv2.split(image)])


def cut(image, shares):
    height, width = image.shape[:2]
    top, bottom, left, right = np.round(np.multiply(shares, (height, height, width, width))).astype(int)
    return image[top : height - bottom, left : width - right]


def square(image, level):
    height, width = image.shape[:2]
    long = max(height, width)
    top, left = (long - height) // 2, (long - width) // 2
    bars = top, long - height - top, left, long - width - left
    return cv2.copyMakeBorder(image, *bars, cv2.BORDER_CONSTANT, value=(level,) * 3)


def squash(image):
    return cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)


def shades_of_gray(image):
    """Finlayson and Trezzi 2004, p = 6."""
    light = np.mean(image.astype(float) ** 6, axis=(0, 1)) ** (1 / 6)
    return np.clip(image * (light.mean() / light), 0, 255).astype(np.uint8)


def stretch(image, rng):
    mean = image.mean()
    return np.clip((image - mean) * rng.uniform(0.7, 1.4) + mean + rng.uniform(-20, 20), 0, 255).astype(np.uint8)


def rotate(image, degrees):
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)


def caption(image):
    marked = image.copy()
    size = image.shape[0] / 400
    cv2.putText(marked, "Case 12345", (5, image.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 2)
    return marked


HARDER = {
    "5 % cut from each side": lambda image, _: cut(image, [0.05] * 4),
    "0 to 5 % cut from each side": lambda image, rng: cut(image, rng.uniform(0, 0.05, 4)),
    "10 % cut from each side": lambda image, _: cut(image, [0.1] * 4),
    "20 % cut from one side": lambda image, rng: cut(image, np.eye(4)[rng.integers(4)] * 0.2),
    "cut to the square in the middle": lambda image, _: cut(
        image, np.clip([0, 0, *[(1 - image.shape[0] / image.shape[1]) / 2] * 2], 0, None)
    ),
    "5 % cut, mirrored or turned, scaled by 0.5, JPEG 60": lambda image, rng: encode(
        scale(turn(cut(image, [0.05] * 4), rng), 0.5), 60
    ),
    "black bars to a square": lambda image, _: square(image, 0),
    "white bars to a square": lambda image, _: square(image, 255),
    "black bars to a square, scaled to 224 x 224, JPEG 60": lambda image, _: encode(squash(square(image, 0)), 60),
    "squashed to 224 x 224, mirrored or turned, JPEG 60": lambda image, rng: encode(turn(squash(image), rng), 60),
    "black frame of 16 pixels": lambda image, _: cv2.copyMakeBorder(image, *[16] * 4, cv2.BORDER_CONSTANT),
    "turned by 3 degrees": lambda image, _: rotate(image, 3),
    "turned by 10 degrees": lambda image, _: rotate(image, 10),
    "color constancy": lambda image, _: shades_of_gray(image),
    "contrast by 0.7 to 1.4, light by -20 to 20": stretch,
    "gamma 0.6 or 1.6": lambda image, rng: (255 * (image / 255) ** rng.choice([0.6, 1.6])).astype(np.uint8),
    "blurred, sigma 2 pixels": lambda image, _: cv2.GaussianBlur(image, (0, 0), 2),
    "noise, sigma 10": lambda image, rng: np.clip(image + rng.normal(0, 10, image.shape), 0, 255).astype(np.uint8),
    "scaled by 0.25": lambda image, _: scale(image, 0.25),
    "JPEG 15": lambda image, _: encode(image, 15),
    "caption in a corner": lambda image, _: caption(image),
    "gray": lambda image, _: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
}  # fmt: skip


def plain_copy(image, kind, path, rng):
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 91))]
    if kind == "re-encoded":
        cv2.imwrite(str(path.with_suffix(".jpg")), image, quality)
        return path.with_suffix(".jpg")
    if kind in ("mirrored or turned", "all three"):
        image = turn(image, rng)
    if kind in ("resized", "all three"):
        image = scale(image, 2 ** rng.uniform(-1, 1))
    path = path.with_suffix(".jpg" if kind == "all three" else ".png")
    cv2.imwrite(str(path), image, quality if kind == "all three" else [])
    return path


def judge(pairs, copies, sources, known):
    """Which copies were paired with their source, and how many pairs that hold a copy are true and false.

    Copies and sources are positions; known are the groups that the images and no copies make.
    """
    true = pairs.apply(lambda row: known[row["first"]] == known[row["second"]], axis=1) if len(pairs) else []
    found = set(zip(pairs["first"], pairs["second"], strict=True))
    hit = [(source, copy) in found for copy, source in zip(copies, sources, strict=True)]
    return np.array(hit), int(np.sum(true)), int(len(pairs) - np.sum(true))


def plain_trial(files, training, planted, seed, n_jobs, folder):
    rng = np.random.default_rng(seed)
    sources = rng.choice(training, planted, replace=False)
    kinds = [PLAIN[index % len(PLAIN)] for index in range(planted)]
    copies = [
        plain_copy(cv2.imread(str(files[source])), kind, folder / f"copy{index:04d}", rng)
        for index, (source, kind) in enumerate(zip(sources, kinds, strict=True))
    ]
    start = time.perf_counter()
    pairs = find_duplicates([*files, *copies], n_jobs=n_jobs)
    seconds = time.perf_counter() - start
    real = pairs[(pairs["first"] < len(files)) & (pairs["second"] < len(files))]
    held = pairs[pairs["second"] >= len(files)]
    places = len(files) + np.arange(planted)
    known = group_duplicates(
        np.concatenate([real[["first", "second"]].to_numpy(), np.column_stack([sources, places])]), len(files) + planted
    )
    hit, true, false = judge(held, places, sources, known)
    return pd.Series(hit).groupby(kinds).agg(["sum", "size"]), true, false, real, seconds


def harder_trial(files, training, planted, seed, n_jobs, folder):
    rng = np.random.default_rng(seed)
    sources = rng.choice(training, planted, replace=False)
    copies, labels, of = [], [], []
    for number, (name, edit) in enumerate(HARDER.items()):
        for index, source in enumerate(sources):
            copies.append(folder / f"hard{number:02d}_{index:04d}.png")
            cv2.imwrite(str(copies[-1]), edit(cv2.imread(str(files[source])), rng))
            labels.append(name)
            of.append(int(np.flatnonzero(training == source)[0]))
    searched = [files[index] for index in training]
    pairs = find_duplicates(searched, copies, n_jobs=n_jobs)
    rest = find_duplicates(searched, [searched[place] for place in set(of)], n_jobs=n_jobs)  # what sources pair with
    partner = dict(enumerate(set(of)))
    kin = {(int(i), partner[int(j)]) for i, j in zip(rest["first"], rest["second"], strict=True)}
    true = [(i, of[j]) in kin or i == of[j] for i, j in zip(pairs["first"], pairs["second"], strict=True)]
    found = set(zip(pairs["first"], pairs["second"], strict=True))
    hit = pd.Series([(source, copy) in found for copy, source in enumerate(of)])
    return hit.groupby(labels, sort=False).agg(["sum", "size"]), len(true) - sum(true)


def draw(pairs, files, path):
    rows = []
    for row in pairs.reset_index(drop=True).itertuples():
        sides = [cv2.resize(read_image(files[index])[..., ::-1], (400, 300)) for index in (row.first, row.second)]
        tile = np.hstack(sides)
        text = f"{row.Index}: {row.kind} {row.correlation:.2f}"
        cv2.putText(tile, text, (6, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 255), 2)
        rows.append(tile)
    if len(rows) % 2:
        rows.append(np.zeros_like(rows[0]))
    if rows:
        cv2.imwrite(str(path), np.vstack([np.hstack(rows[index : index + 2]) for index in range(0, len(rows), 2)]))


def time_of_search(n_hashes, max_distance=36):
    """Seconds, and seconds of processor, for all pairs of random hashes, at all symmetries and views."""
    hashes = np.random.default_rng(0).random((n_hashes, 4, HASH_BITS)) < 0.5
    start = time.perf_counter(), time.process_time()
    search_hashes(hashes, max_distance=max_distance)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def print_recall(table, first):
    print(f"\n| {first} | found | of | recall |\n|---|---|---|---|")
    for name, row in table.iterrows():
        print(f"| {name} | {row['sum']} | {row['size']} | {row['sum'] / row['size']:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--planted", type=int, default=50)
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--harder", action="store_true", help="try other edits too")
    parser.add_argument("--sheet", type=Path, help="draw the pairs among the images themselves")
    parser.add_argument("--hashes", type=int, default=0, help="time the search among as many random hashes")
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args()
    frame = pd.read_csv(options.table)
    files = [options.table.parent / name for name in frame["image"]]
    training = np.flatnonzero(frame["split"] == "training")
    totals, true, false, seconds, real = 0, 0, 0, [], None
    hard, wrong = 0, 0
    for seed in options.seed:
        with tempfile.TemporaryDirectory() as folder:
            arguments = files, training, options.planted, seed, options.n_jobs, Path(folder)
            table, good, bad, real, spent = plain_trial(*arguments)
            totals, true, false = table + totals, true + good, false + bad
            seconds.append(spent)
            if options.harder:
                table, bad = harder_trial(*arguments)
                hard, wrong = table + hard, wrong + bad
    print(f"{len(files)} images, {options.planted} copies of training images planted, seeds {options.seed}")
    print_recall(totals.loc[[kind for kind in PLAIN if kind in totals.index]], "copy")
    print(f"\nrecall {totals['sum'].sum() / totals['size'].sum():.3f}, precision {true / max(true + false, 1):.3f}: "
          f"{true} true and {false} false pairs with a copy; {np.mean(seconds):.0f} s a search")  # fmt: skip
    if options.harder:
        print_recall(hard.loc[list(HARDER)], "harder copy")
        print(f"\n{wrong} false pairs with a harder copy")
    print(f"\n{len(real)} pairs among the images themselves\n\n| first | second | kind | correlation | group | split |")
    print("|---|---|---|---|---|---|")
    for row in real.itertuples():
        pair = frame.iloc[[row.first, row.second]]
        group = "the same" if pair["group"].nunique() == 1 else "another"
        names = " | ".join(Path(name).stem for name in pair["image"])
        print(f"| {names} | {row.kind} | {row.correlation:.3f} | {group} | {' and '.join(pair['split'].unique())} |")
    if options.sheet:
        draw(real, files, options.sheet)
    if options.hashes:
        wall, processor = time_of_search(options.hashes)
        print(f"\nsearch among the hashes of {options.hashes} images: {wall:.0f} s ({processor:.0f} s of processor)")


if __name__ == "__main__":
    main()
