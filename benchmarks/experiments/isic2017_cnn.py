"""CNNClassifier fine-tuned on one split of the ISIC 2017 training images.

One fold of the five of `isic2017_classifiers.py` is held out, whole lesions together. The network learns nevus,
melanoma and seborrheic keratosis from the others, of which a tenth chooses the best epoch, and the log-odds of the
images held out are written in the form that `isic2017_classifiers.py --network` reads. Settings are those of the
network of the packaged model (`melanoma_network.py`); none was chosen by the images held out.

The table has the columns image, melanoma, seborrheic_keratosis, group and split; files are relative to it.

    isic2017_cnn.py TABLE OUT.npz --checkpoints DIR      an hour with two cores
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from skinseg import BatchedPipeline, CNNClassifier, PretrainedSegmenter
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.metrics import specificity_at_sensitivity

CLASSES = np.array(["nevus", "melanoma", "seborrheic_keratosis"])


def log_odds(table, classes):
    """Of each class against all others: {class: (n_images,)}."""
    table = np.clip(table, 1e-7, 1 - 1e-7)
    return {name: np.log(table[:, place] / (1 - table[:, place])) for place, name in enumerate(classes)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path, metavar="OUT.npz")
    parser.add_argument("--fold", type=int, default=0, help="which of the folds is held out (default 0)")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--weights", choices=["imagenet", "skinseg", "none"], default="imagenet")
    parser.add_argument("--view", choices=["image", "lesion"], default="lesion")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--frozen", type=int, default=5, help="blocks that keep their weights (default 5)")
    parser.add_argument("--checkpoints", metavar="DIR", help="folder from which a training goes on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)

    data = load_lesion_table(options.table, target_column="melanoma", group_column="group", where={"split": "training"})
    y = np.asarray(data.target, int)
    labels = CLASSES[np.where(y == 1, 1, 2 * data.frame["seborrheic_keratosis"].to_numpy(int))]
    splitter = StratifiedGroupKFold(options.folds, shuffle=True, random_state=0)
    learn, check = list(splitter.split(data.images, y, data.groups))[options.fold]
    records = data.images
    if options.view == "lesion":
        outliner = BatchedPipeline([("segmenter", PretrainedSegmenter())]).fit(data.images[:1])
        records = outliner.transform(data.images)
    network = CNNClassifier(
        options.size, weights=None if options.weights == "none" else options.weights, view=options.view,
        frozen_blocks=options.frozen, epochs=options.epochs, batch_size=16, learning_rate=3e-4, optimizer="adamw",
        schedule="one_cycle", dropout=0.3, augmentation=0.5, averaging=0.99, test_time_augmentation=True,
        checkpoint_dir=options.checkpoints, cache="memory", random_state=options.seed, verbose=2,
    )  # fmt: skip
    start = time.perf_counter()
    network.fit([records[index] for index in learn], labels[learn])
    print(f"{len(learn)} images learnt in {time.perf_counter() - start:.0f} s, best epoch {network.best_epoch_}")
    found = log_odds(network.predict_proba([records[index] for index in check]), network.classes_.tolist())
    kept = {name: np.full(len(y), np.nan) for name in found}
    for name, values in found.items():
        kept[name][check] = values
    np.savez(options.out, image=[path.stem for path in data.images], **kept)
    scores = {
        "ROC AUC": roc_auc_score,
        "average precision": average_precision_score,
        "specificity at 82 %": lambda y, score: specificity_at_sensitivity(y, score, sensitivity=0.82),
    }
    print(f"{len(check)} images held out, {y[check].sum()} melanomas")
    for name, score in scores.items():
        interval = bootstrap_interval(score, y[check], found["melanoma"], groups=data.groups[check], random_state=0)
        print(f"{name}: {interval}")


if __name__ == "__main__":
    main()
