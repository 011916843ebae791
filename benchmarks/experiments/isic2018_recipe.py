"""The recipe of BCDU-Net on ISIC 2018 Task 1: U-Net and BCDU-Net at 256 x 256, scored pooled and per image.

The data are the folder of the challenge, with ISIC2018_Task1-2_Training_Input/*.jpg and
ISIC2018_Task1_Training_GroundTruth/*_segmentation.png in it, or a table with the columns image and mask. Images are
taken in the order of their names, or shuffled by a seed, and split 1815 / 259 / 520 into training, validation and test
(in proportion, if there are others than 2594). As in the recipe all are squashed to a square and stretched to the
values 0 to 255; Adam at 1e-4, binary cross-entropy, batches of 8, 100 epochs, the rate times 0.1 after 7 epochs without
a lower loss of validation, no augmentation; masks are the probabilities above one half and nothing else. Masks are cut
at one half after squashing, and the best epoch is that of the largest Jaccard index on the validation images, not of
the lowest loss.

A split in file order parts the images by source, for names follow the source: lesions of the parts differ in size, and
scores with them. The seeded split is beside it, and the shares of lesion are printed for both.

A training that was stopped goes on where it was, if it gets the same --checkpoints folder.

The recipe: github.com/rezazad68/BCDU-Net; R. Azad et al., ICCV Workshops 2019, 406-415.
"""

import argparse
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.stats import kruskal

from skinseg import BCDUNetSegmenter, LesionImage, UNetSegmenter, metrics, read_image
from skinseg.datasets import load_lesion_table
from skinseg.exceptions import EmptyMaskWarning
from skinseg.masks import resize_mask
from skinseg.reading import read_mask
from skinseg.resampling import resize_image

RECIPE = {
    "batch_size": 8,
    "schedule": "plateau",
    "plateau_factor": 0.1,
    "plateau_patience": 7,
    "optimizer": "adam",
    "loss": "bce",
    "augmentation": 0.0,
    "component": "all",
    "fill_holes": False,
    "verbose": 2,
}
NETWORKS = {
    "U-Net": UNetSegmenter(normalization="none", dropout=0.5),
    "BCDU-Net (d=1)": BCDUNetSegmenter(dense_blocks=1, dropout=0.5),
    "BCDU-Net (d=3)": BCDUNetSegmenter(dense_blocks=3, dropout=0.5),
}
SHORT = {"unet": "U-Net", "bcdu1": "BCDU-Net (d=1)", "bcdu3": "BCDU-Net (d=3)"}
SCORES = {
    "F1 / Dice": metrics.dice_score,
    "sensitivity": metrics.sensitivity_score,
    "specificity": metrics.specificity_score,
    "accuracy": metrics.accuracy_score,
    "Jaccard": metrics.jaccard_score,
}
PARTS = "training", "validation", "test"
PUBLISHED = 1815, 259, 520
NOTE = """
Published tables of BCDU-Net print accuracy under the name Jaccard (JS): for BCDU-Net (d=3) on pooled pixels F1 0.847,
sensitivity 0.783, specificity 0.980, accuracy 0.936 and "JS" 0.936, while that F1 means a Jaccard index of 0.735. Hold
their JS against the accuracy above, and the Jaccard index above against F1 / (2 - F1)."""


def find_pairs(source):
    """Image files and mask files of the folder of the challenge or of a table, in the order of the names."""
    if source.is_dir():
        images = sorted((source / "ISIC2018_Task1-2_Training_Input").glob("*.jpg"))
        truth = source / "ISIC2018_Task1_Training_GroundTruth"
        masks = [truth / f"{path.stem}_segmentation.png" for path in images]
        if not images:
            raise SystemExit(f"{source}: there is no ISIC2018_Task1-2_Training_Input/*.jpg in this folder")
    else:
        data = load_lesion_table(source, mask_column="mask")
        order = np.argsort([path.name for path in data.images], kind="stable")
        images, masks = ([paths[i] for i in order] for paths in (data.images, data.masks))
    missing = [path.name for path, mask in zip(images, masks, strict=True) if mask is None or not mask.is_file()]
    if missing:
        raise SystemExit(f"{source}: {len(missing)} of {len(images)} images have no mask: {', '.join(missing[:5])} ...")
    return images, masks


def squash(path, mask, size):
    """A record of a square image, its aspect ratio not kept and its values stretched to 0-255, with its mask."""
    pixels = resize_image(read_image(path), (size, size)).astype(np.float32)
    pixels = (pixels - pixels.min()) * (255 / max(np.ptp(pixels), 1))
    lesion = resize_mask(read_mask(mask), (size, size))
    return LesionImage(np.rint(pixels).astype(np.uint8), reference_mask=lesion, name=path.stem)


def split_images(n_images, seed=None):
    """Positions of the three parts, in file order, or shuffled by a seed."""
    order = np.arange(n_images) if seed is None else np.random.default_rng(seed).permutation(n_images)
    ends = [round(n_images * end / sum(PUBLISHED)) for end in np.cumsum(PUBLISHED)[:2]]
    parts = np.split(order, ends)
    if not all(map(len, parts)):
        raise SystemExit(f"{n_images} images are too few for three parts")
    return parts


def describe(name, parts, shares):
    """Rows of the sizes and of the mean share of lesion; a warning if the parts differ by more than chance."""
    shares = [shares[part] for part in parts]
    for part, values in zip(PARTS, shares, strict=True):
        print(f"| {name} | {part} | {len(values)} | {100 * np.mean(values):.1f} % |", flush=True)
    if np.ptp(np.concatenate(shares)) == 0 or (chance := kruskal(*shares).pvalue) >= 0.01:
        return None
    return (
        f"WARNING: in the split by {name} the lesions of the three parts differ in size (Kruskal-Wallis, p = "
        f"{chance:.1g}): the scores tell of the split as well as of the network"
    )


def train(segmenter, records, parts):
    """Fit on the first part, choose the epoch by the second, outline the third; give the cells of the rows."""
    learn, held, test = ([records[i] for i in part] for part in parts)
    segmenter.fit(learn, X_val=held)
    minutes = sum(segmenter.history_["seconds"]) / 60
    print(f"{sum(w.size for w in segmenter.weights_):,} weights, {segmenter.n_epochs_} epochs, best "
          f"{segmenter.best_epoch_}, {minutes:.1f} min", flush=True)  # fmt: skip
    predicted = list(segmenter.set_params(verbose=0).predict(test))
    truth = [record.reference_mask for record in test]
    return {
        average: [f"{score(truth, predicted, average=average):.4f}" for score in SCORES.values()]
        for average in ("pooled", "mean")
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of the challenge, or table")
    parser.add_argument("--checkpoints", type=Path, help="folder for the states of the trainings, and their logs")
    parser.add_argument("--networks", nargs="*", choices=SHORT, default=list(SHORT))
    parser.add_argument("--split", choices=("order", "seeded", "both"), default="both")
    parser.add_argument("--seed", type=int, default=0, help="of the seeded split, and of the trainings")
    parser.add_argument("--limit", type=int, help="take so many images, evenly out of the order of files")
    parser.add_argument("--size", type=int, default=256, help="side of the images, a multiple of 16")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--base-filters", type=int, default=64, help="filters of the first level, an even number")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--threshold", type=float, default=0.5)
    options = parser.parse_args()
    if options.size < 16 or options.size % 16:
        parser.error("--size must be a multiple of 16, for the U-Net halves it four times")
    warnings.simplefilter("ignore", EmptyMaskWarning)
    images, masks = find_pairs(options.source)
    if options.limit is not None and options.limit < len(images):
        chosen = np.linspace(0, len(images) - 1, options.limit).round().astype(int)
        images, masks = ([paths[i] for i in chosen] for paths in (images, masks))
    with ThreadPoolExecutor() as pool:
        records = list(pool.map(squash, images, masks, [options.size] * len(images)))
    seeds = {"order": {"file order": None}, "seeded": {f"seed {options.seed}": options.seed}}
    seeds["both"] = seeds["order"] | seeds["seeded"]
    splits = {name: split_images(len(records), seed) for name, seed in seeds[options.split].items()}
    shares = np.array([record.reference_mask.mean() for record in records])
    print(
        f"{len(records)} images of {options.size} x {options.size}\n\n| split | part | images | mean share of lesion |"
    )
    print("|---|---|---|---|")
    notes = [describe(name, parts, shares) for name, parts in splits.items()]
    print("", *filter(None, notes), sep="\n", flush=True)
    rows = []
    for short in options.networks:
        for name, parts in splits.items():
            label = SHORT[short]
            folder = options.checkpoints and options.checkpoints / f"{short}-{name.replace(' ', '_')}"
            segmenter = NETWORKS[label].set_params(
                **RECIPE, input_size=options.size, epochs=options.epochs, base_filters=options.base_filters,
                learning_rate=options.learning_rate, threshold=options.threshold, checkpoint_dir=folder,
                random_state=options.seed,
            )  # fmt: skip
            print(f"{label}, split by {name}", flush=True)
            for average, cells in train(segmenter, records, parts).items():
                rows.append(f"| {label} | {name} | {average} | {' | '.join(cells)} |")
    print(f"\n| network | split | average | {' | '.join(SCORES)} |\n|{'---|' * (3 + len(SCORES))}")
    print(*rows, NOTE, sep="\n")


if __name__ == "__main__":
    main()
