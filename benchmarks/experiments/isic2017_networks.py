"""Train the networks on ISIC 2017 by one recipe, and score them: parameters, time, overlap with intervals.

The table has the columns image, mask, crop, crop_mask, group and split (training, validation); files are relative to
it. A network learns from whole fields of view and centre crops of nine tenths of the training images (lesions kept
together); the whole fields of the last tenth choose the best epoch, and what else there is to choose. The validation
images are read with --validation only.

A training that was stopped goes on where it was, if it gets the same --checkpoints folder.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

import skinseg
from skinseg import BCDUNetSegmenter, EfficientUNetSegmenter, LesionImage, UNetSegmenter, metrics, read_image
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.inspection import contact_sheet

RECIPE = {
    "input_size": 224,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "schedule": "one_cycle",
    "augmentation": 1.0,
    "averaging": 0.99,
    "cache": "memory",
    "verbose": 2,
}
# epochs of each: about the same time
NETWORKS = {
    "efficient": EfficientUNetSegmenter(weights="imagenet", frozen_blocks=3, epochs=16),
    "unet": UNetSegmenter(base_filters=16, dropout=0.2, epochs=8),
    "bcdu": BCDUNetSegmenter(base_filters=8, dense_blocks=1, epochs=6),
}
SCORES = {
    "jaccard": metrics.jaccard_score,
    "thresholded": metrics.thresholded_jaccard_score,
    "dice": metrics.dice_score,
    "sensitivity": metrics.sensitivity_score,
    "specificity": metrics.specificity_score,
}


def split_training(table):
    """Images and masks to learn from, fields and crops; and fields held out."""
    data = load_lesion_table(table, mask_column="mask", group_column="group", where={"split": "training"})
    splitter = GroupShuffleSplit(1, test_size=0.1, random_state=0)
    learn, held = next(splitter.split(data.images, groups=data.groups))
    images, masks = [data.images[i] for i in learn], [data.masks[i] for i in learn]
    folder = Path(table).absolute().parent
    for i in learn:
        crop = data.frame["crop"][i]
        if not pd.isna(crop):
            images.append(folder / str(crop))
            masks.append(folder / str(data.frame["crop_mask"][i]))
    return images, masks, [data.images[i] for i in held], [data.masks[i] for i in held]


def report(name, segmenter, images, masks, sheet=None, folder=None):
    """Print means with 95 % intervals of the images, and the time of an image in memory."""
    predicted = list(segmenter.predict(images))
    scores = {key: score(masks, predicted, average=None) for key, score in SCORES.items()}
    cells = [str(bootstrap_interval(np.mean, values, random_state=0)) for values in scores.values()]
    records = [LesionImage(read_image(path)) for path in images[:32]]
    segmenter.predict(records)
    start = time.perf_counter()
    segmenter.predict(records)
    batched = (time.perf_counter() - start) / len(records)
    start = time.perf_counter()
    for record in records[:8]:
        segmenter.predict([record])
    single = (time.perf_counter() - start) / 8
    print(f"| {name} | {' | '.join(cells)} | {1000 * batched:.0f} / {1000 * single:.0f} |", flush=True)
    if sheet:
        order = np.argsort(scores["jaccard"], kind="stable")[:40]
        drawn = contact_sheet(
            [images[i] for i in order], [predicted[i] for i in order], references=[masks[i] for i in order], columns=8
        )
        cv2.imwrite(str(sheet), drawn[..., ::-1])
        print("    worst:", ", ".join(f"{images[i].stem[-7:]} {scores['jaccard'][i]:.2f}" for i in order))
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        for path, mask in zip(images, predicted, strict=True):
            cv2.imwrite(str(folder / f"{path.stem}_segmentation.png"), mask.astype(np.uint8) * 255)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--checkpoints", type=Path, help="folder for the state of the training, and its log")
    parser.add_argument("--model", type=Path, help="file to save the fitted segmenter to")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings, as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", action="store_true", help="score on the validation images as well")
    parser.add_argument("--masks", type=Path, help="folder to write the masks of the validation images to")
    parser.add_argument("--sheet", type=Path, help="contact sheet of the worst images held out")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    images, masks, held, held_masks = split_training(options.table)
    settings = dict(item.split("=", 1) for item in options.set)
    settings = {key: json.loads(value) for key, value in settings.items()}
    segmenter = NETWORKS[options.network].set_params(
        **{**RECIPE, "random_state": options.seed, "checkpoint_dir": options.checkpoints, **settings}
    )
    print(f"{segmenter}: {len(images)} images (fields and crops), {len(held)} fields held out", flush=True)
    segmenter.fit(images, masks, X_val=held, y_val=held_masks)
    seconds = np.median(segmenter.history_["seconds"])  # a training that was interrupted has longer ones
    print(f"{options.network}: {sum(w.size for w in segmenter.weights_):,} weights, {segmenter.n_epochs_} epochs, best "
          f"{segmenter.best_epoch_}, {seconds:.0f} s an epoch", flush=True)  # fmt: skip
    segmenter.set_params(verbose=0, cache=None, checkpoint_dir=None)
    if options.model:
        skinseg.save(segmenter, options.model)
    print(f"| images | {' | '.join(SCORES)} | ms an image, 32 at once / one |", flush=True)
    variants = {"": {}, ", cut at 0.5": {"threshold": 0.5}, ", mirrored": {"test_time_augmentation": True}}
    for name, changes in variants.items():
        chosen = {"threshold": None, "test_time_augmentation": False, **changes}
        report(f"held out{name}", segmenter.set_params(**chosen), held, held_masks, options.sheet if not name else None)
    segmenter.set_params(threshold=None, test_time_augmentation=False)
    if options.validation:
        data = load_lesion_table(options.table, mask_column="mask", where={"split": "validation"})
        report("validation", segmenter, data.images, data.masks, folder=options.masks)


if __name__ == "__main__":
    main()
