"""What other versions of the dependencies change: decoding, steps, outlines, features, probabilities of environments.

    python compare_versions.py write NEWEST.npz --table ISIC2017.csv
    other/bin/python compare_versions.py write OLDEST.npz --like NEWEST.npz --table ISIC2017.csv
    python compare_versions.py compare NEWEST.npz OLDEST.npz

The second environment works on the pixels of the first, so that each row of the table tells of one thing: features are
those of the same images and the same masks. Exit code 1 if a difference is larger than what docs/development.md states.
"""

import argparse
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import get_tags

from skinseg import BatchedPipeline, LesionImage, load_pretrained, read_image, read_mask
from skinseg.base import nested_estimators
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning
from skinseg.features import FEATURES
from skinseg.metrics import jaccard_score
from skinseg.networks import NetworkEstimator
from skinseg.testing import all_estimators, make_instances

PACKAGES = (
    "numpy", "scipy", "scikit-learn", "scikit-image", "opencv-python-headless", "pandas", "pillow", "onnxruntime",
)  # fmt: skip
# Stated: what may differ at most. Images in levels of 255, in the mean; outlines as one less their Jaccard index;
# features as share of their own range (in standard deviations where it has no end), scores in points.
TOLERANCES = {
    "decoding": 0.0, "drawing": 0.5, "step": 0.001, "outline": 0.001, "embedding": 1e-4, "probability": 0.005,
    "asymmetry": 0.01, "border": 0.1, "color": 1e-5, "dimension": 0.005, "structure": 0.25, "scores": 1.0, "tds": 1.3,
}  # fmt: skip
SCORES = ("asymmetry_score", "border_score", "color_count", "structure_count")
# what is learnt anew in each environment is not promised to be the same
LEARNT = "learnt"


def instances():
    """The estimators that need no Keras, fitted to nothing yet, by name and number."""
    for name, estimator in all_estimators():
        for number, instance in enumerate(make_instances(estimator)):
            if not isinstance(instance, NetworkEstimator) and not get_tags(instance).input_tags.two_d_array:
                yield f"{name}-{number}", instance


def results_of(instance, records):
    """What an estimator makes of records: the kind of it, its columns where it is a table, and the results."""
    kind = get_tags(instance).estimator_type
    y = [record.reference_mask for record in records] if kind == "segmenter" else [0, 1] * (len(records) // 2)
    instance.fit(records, y)
    if kind == "segmenter":
        parts = [part for part in nested_estimators(instance) if not isinstance(part, BatchedPipeline)]
        learns = any(get_tags(part).requires_fit for part in parts)
        return LEARNT if learns else "outline", None, list(instance.predict(records))
    if kind == "classifier":
        return "probability", None, list(instance.predict_proba(records))
    output = list(instance.transform(records))
    if isinstance(output[0], LesionImage):
        return "step", None, [record.image for record in output]
    columns = instance.get_feature_names_out()
    return "feature" if set(columns) <= set(FEATURES) else "embedding", columns, output


def write(out, like=None, table=None, limit=40, count=24):
    """Write all results of this environment to a file."""
    found = {"versions": np.array([f"{name} {version(name)}" for name in PACKAGES])}
    lesions = make_lesions(count, random_state=0)
    pairs = list(zip(lesions.images, lesions.masks, strict=True))
    found |= {f"drawing/lesions/{index}": image for index, image in enumerate(lesions.images)}
    if table is not None:
        rows = pd.read_csv(table)
        rows = rows.iloc[np.linspace(0, len(rows) - 1, limit // 2 * 2).astype(int)]
        files = [
            (table.parent / image, table.parent / mask) for image, mask in zip(rows["image"], rows["mask"], strict=True)
        ]
        real = [(read_image(image), read_mask(mask)) for image, mask in files]
        found |= {f"decoding/files/{index}": image for index, (image, _) in enumerate(real)}
        pairs += real
    if like is not None:  # the same pixels for all that follows
        with np.load(like) as first:
            pairs = [(first[f"given/image/{index}"], first[f"given/mask/{index}"]) for index in range(len(pairs))]
    for index, (image, mask) in enumerate(pairs):
        found[f"given/image/{index}"], found[f"given/mask/{index}"] = image, mask
    records = [LesionImage(image, mask, reference_mask=mask) for image, mask in pairs]
    for name, instance in instances():
        kind, columns, results = results_of(instance, records)
        if kind == "feature":
            found[f"columns/{name}"] = np.array(columns, dtype=str)
        found |= {f"{kind}/{name}/{index}": result for index, result in enumerate(results)}
        print(f"{kind} {name}", file=sys.stderr)
    melanoma = load_pretrained("melanoma").predict_proba([image for image, _ in pairs])
    found |= {f"probability/melanoma/{index}": row for index, row in enumerate(melanoma)}
    np.savez_compressed(out, **found)


def apart(kind, one, other):
    """How far two results are from each other."""
    if one.shape != other.shape:
        return np.inf
    if kind in ("outline", LEARNT):
        return 1 - jaccard_score([one], [other])
    distance = np.abs(np.asarray(one, float) - np.asarray(other, float))
    return float(distance.mean() if one.dtype == np.uint8 else np.nanmax(distance))


def features_apart(first, second, columns):
    """Rows of a table: how far the features of each group are from each other."""
    first, second = np.stack(first), np.stack(second)
    if not (np.isnan(first) == np.isnan(second)).all():
        yield "values known", first.size, np.nan, np.inf, ""
    kinds = [FEATURES[name] for name in columns]
    ranges = np.array([kind.high - kind.low for kind in kinds], float)
    spread = np.nan_to_num(np.where(np.isnan(first).all(axis=0), 0, np.nan_to_num(first).std(axis=0)))
    ranges = np.where(np.isfinite(ranges), ranges, np.where(spread > 0, spread, 1))
    ranges[np.isin(columns, (*SCORES, "tds"))] = 1
    distance = np.nan_to_num(np.abs(first - second) / ranges)
    groups = np.array(["scores" if name in SCORES else kind.group for name, kind in zip(columns, kinds, strict=True)])
    for group in dict.fromkeys(groups):
        part = distance[:, groups == group]
        worst = columns[groups == group][part.max(axis=0).argmax()] if part.max() else ""
        yield str(group), part.size, (part == 0).mean(), part.max(), worst


def compare(first, second):
    """Print the table; give whether all is within what is stated."""
    with np.load(first) as a, np.load(second) as b:
        one, other = dict(a), dict(b)
    keys = [key for key in one if key.count("/") == 2 and not key.startswith("given/")]
    if missing := set(one) ^ set(other):
        raise SystemExit(f"not in both files: {', '.join(sorted(missing)[:5])}")
    print(f"{', '.join(one['versions'])}\nagainst {', '.join(other['versions'])}\n")
    print("| what | of | results | equal to the last bit | largest difference | where | stated |")
    print("|---|---|---|---|---|---|---|")
    fine = True
    for name in dict.fromkeys(key.rpartition("/")[0] for key in keys):
        kind, _, label = name.partition("/")
        pairs = [(one[key], other[key]) for key in keys if key.rpartition("/")[0] == name]
        if kind == "feature":
            rows = features_apart(*zip(*pairs, strict=True), one[f"columns/{label}"])
        else:
            equal = [a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs]
            distances = [0.0 if same else apart(kind, a, b) for same, (a, b) in zip(equal, pairs, strict=True)]
            worst = f"image {np.argmax(distances)}" if max(distances) else ""
            rows = [("", len(pairs), np.mean(equal), max(distances), worst)]
        for group, number, equal, largest, worst in rows:
            limit = TOLERANCES.get(group or kind, np.inf)
            fine &= bool(largest <= limit)
            text = f"| {kind} | {' '.join(filter(None, (label, group)))} | {number} | {100 * equal:.1f} % "
            print(text + f"| {largest:.2g} | {worst} | {limit if np.isfinite(limit) else 'nothing'} |")
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="write the results of this environment")
    writing.add_argument("out", type=Path)
    writing.add_argument("--like", type=Path, help="file of the first environment, whose pixels are taken")
    writing.add_argument("--table", type=Path, help="table of real images (columns image and mask)")
    writing.add_argument("--limit", type=int, default=40, help="how many of them")
    writing.add_argument("--count", type=int, default=24, help="how many drawn lesions, an even number")
    comparing = commands.add_parser("compare", help="compare two such files")
    comparing.add_argument("first", type=Path)
    comparing.add_argument("second", type=Path)
    options = parser.parse_args()
    if options.command == "compare":
        sys.exit(0 if compare(options.first, options.second) else 1)
    warnings.simplefilter("ignore", EmptyMaskWarning)
    write(options.out, options.like, options.table, options.limit, options.count)


if __name__ == "__main__":
    main()
