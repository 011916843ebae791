"""Fit the last step of the packaged melanoma model, score it out of fold, and write its files.

A logistic regression on what `PretrainedClassifier` measures: log-odds of the network of melanoma_network.py, the
columns of `ABCDFeaturizer`, and age, sex and site; in two variants, with the clinical columns and without. The columns
of the network are out of fold (`melanoma_network.py folds`), and so are the scores: what is tested in a fold was seen
neither by its network nor by its last step. The strength of the regularization
and the weights of the columns of the network and of the clinical ones are chosen inside of the folds, by the log loss.
(The networks of other folds have learnt from the images of the fold that is tested; their log-odds are among what the
last step, of few weights, is fitted on.)

The table has the columns image, melanoma, group, split (training, validation), age_approximate, sex and site.

    melanoma_model.py TABLE OOF.npz --cache DIR            scores
    melanoma_model.py TABLE OOF.npz --cache DIR --write    besides the files in skinseg/weights
    melanoma_model.py TABLE --validation                   scores of the packaged model on the validation images
"""

import argparse
import hashlib
import io
import json
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from melanoma_network import CLASSES, MARGINS
from pretrained_segmenter import WEIGHTS
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from skinseg import ABCDFeaturizer, BatchedPipeline, ImageResizer, PretrainedSegmenter, load_pretrained
from skinseg.clinical import clinical_table
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval, threshold_at_sensitivity
from skinseg.exceptions import EmptyMaskWarning, SkinsegWarning
from skinseg.metrics import expected_calibration_error, partial_auc_score, specificity_at_sensitivity

MAX_SIDE = 341  # of the images that the network has seen
CLINICAL = ["age_approximate", "sex", "site"]
STRENGTHS = 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1
WEIGHTS_OF_NETWORK = 3.0, 10.0, 30.0  # columns that the regularization is to spare
WEIGHTS_OF_CLINICAL = 1.0, 3.0, 10.0
FEWEST = 30  # images of a category; rarer ones count as not known
CLINICAL_COLUMNS = "age_", "sex_", "site_"
N_BOOTSTRAPS = 100
SENSITIVITY = 0.9
SCORES = {
    "ROC AUC": roc_auc_score,
    "average precision": average_precision_score,
    "specificity at 82 %": partial(specificity_at_sensitivity, sensitivity=0.82),
    "partial AUC above 80 %": partial_auc_score,
    "Brier": brier_score_loss,
}


def load(table, split):
    return load_lesion_table(table, target_column="melanoma", group_column="group", where={"split": split})


def measures(data, network, cache):
    """Everything the last step may see, by the names that `PretrainedClassifier` uses."""
    steps = [("resizer", ImageResizer(MAX_SIDE)), ("segmenter", PretrainedSegmenter()), ("features", ABCDFeaturizer())]
    pipe = BatchedPipeline(steps, memory=cache, n_jobs=2, verbose=1).fit(data.images)
    abcd = pd.DataFrame(pipe.transform(data.images), columns=pipe.get_feature_names_out())
    frame = data.frame[CLINICAL].reset_index(drop=True)
    counts = {name: frame[name].str.lower().value_counts() for name in ("sex", "site")}
    categories = {
        name: sorted(value for value in found.index[found >= FEWEST] if value != "unknown")
        for name, found in counts.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkinsegWarning)  # of categories that are too rare
        clinical, known = clinical_table(frame, {"categories": categories})
    abcd = abcd.loc[:, abcd.notna().any()]  # without a scale there are no millimeters
    log_odds = pd.DataFrame({f"network_{label}": network[label] for label in CLASSES[1:]})
    print(f"clinical data known of {known.mean():.0%}")
    empty = clinical.isna().astype(float)
    guess, _ = out_of_fold(empty.loc[:, empty.any()], np.asarray(data.target, int), np.asarray(data.groups))
    print(f"which of them are empty has by itself a ROC AUC of {roc_auc_score(data.target, guess):.3f}: it is not used")
    return pd.concat([log_odds, abcd, clinical], axis=1), categories, known


class Sum:
    """A logistic regression on scaled columns, some of them weighted; what is missing counts as the mean."""

    def __init__(self, strength, network, clinical):
        self.strength, self.network, self.clinical = strength, network, clinical

    def fit(self, table, y):
        values = table.to_numpy(float)
        self.mean, self.scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        # of a rare category the deviation is small, and to divide by it would take the regularization off
        self.scale[(self.scale == 0) | table.columns.str.startswith(("sex_", "site_"))] = 1
        self.scale[table.columns.str.startswith("network_")] /= self.network
        self.scale[table.columns.str.startswith(CLINICAL_COLUMNS)] /= self.clinical
        self.model = LogisticRegression(C=self.strength, max_iter=5000).fit(self.terms(table), y)
        return self

    def terms(self, table):
        return np.nan_to_num((table.to_numpy(float) - self.mean) / self.scale)

    def predict(self, table):
        return self.model.predict_proba(self.terms(table))[:, 1]


def chosen(table, y, groups, seed):
    """The strength and the weights with the least log loss over three folds."""
    splits = list(StratifiedGroupKFold(3, shuffle=True, random_state=seed).split(table, y, groups))
    network = WEIGHTS_OF_NETWORK if table.columns.str.startswith("network_").any() else (1.0,)
    clinical = WEIGHTS_OF_CLINICAL if table.columns.str.startswith(CLINICAL_COLUMNS).any() else (1.0,)
    best = (np.inf, None)
    for settings in product(STRENGTHS, network, clinical):
        found = np.empty(len(y))
        for learn, check in splits:
            found[check] = Sum(*settings).fit(table.iloc[learn], y[learn]).predict(table.iloc[check])
        best = min(best, (log_loss(y, found), settings))
    return best[1]


def out_of_fold(table, y, groups):
    found = np.empty(len(y))
    settings = []
    for learn, check in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(table, y, groups):
        settings.append(chosen(table.iloc[learn], y[learn], groups[learn], 1))
        found[check] = Sum(*settings[-1]).fit(table.iloc[learn], y[learn]).predict(table.iloc[check])
    return found, settings


def tell(name, y, probability, groups):
    values = [bootstrap_interval(score, y, probability, groups=groups, random_state=0) for score in SCORES.values()]
    # of the calibration error no interval: bootstrap samples have larger ones than the images
    error = expected_calibration_error(y, probability)
    print(f"| {name} | {' | '.join(map(str, values))} | {error:.3f} |", flush=True)


def heading(first):
    print(f"\n| {first} | {' | '.join(SCORES)} | ECE |\n|{'---|' * (len(SCORES) + 2)}")


def curve(y, probability):
    """Reliability: ten bins of equal mass."""
    print("\n| probability | n | mean probability | share of melanomas |\n|---|---|---|---|")
    for part in np.array_split(np.argsort(probability, kind="stable"), 10):
        low, high = probability[part[[0, -1]]]
        print(f"| {low:.3f}-{high:.3f} | {len(part)} | {probability[part].mean():.3f} | {y[part].mean():.3f} |")


def by_kind(data, y, probability, groups, threshold):
    """ROC AUC, and what the threshold does, for kinds of patients and images with ten melanomas and ten others."""
    frame = data.frame.reset_index(drop=True)
    ages = ["below 30", "30-49", "50-69", "70 and above"]
    age = pd.cut(frame["age_approximate"].astype(float), [-1, 29, 49, 69, 120], labels=ages)
    other = np.where(frame["seborrheic_keratosis"] == 1, "seborrheic keratosis", "nevus")
    kinds = {
        "age": age, "sex": frame["sex"], "site": frame["site"], "others are": np.where(y == 1, "", other),
        "width as published": np.where(frame["original_width"] <= 1024, "up to 1,024", "above 1,024"),
    }  # fmt: skip
    print("\n| property | kind | n | melanomas | ROC AUC | sensitivity | specificity |\n|---|---|---|---|---|---|---|")
    for name, values in kinds.items():
        values = pd.Series(values).astype(object).where(pd.notna(values), "not known").to_numpy()
        for kind in [kind for kind in pd.unique(values) if kind]:
            rows = values == kind
            if name == "others are":
                rows = rows | (y == 1)
            counts = np.bincount(y[rows], minlength=2)
            if counts.min() < 10:
                continue
            area = bootstrap_interval(roc_auc_score, y[rows], probability[rows], groups=groups[rows], random_state=0)
            called = probability[rows] >= threshold
            found, spared = called[y[rows] == 1].mean(), 1 - called[y[rows] == 0].mean()
            print(f"| {name} | {kind} | {rows.sum()} | {counts[1]} | {area} | {found:.2f} | {spared:.2f} |", flush=True)


def fitted(table, y, groups, arrays, variant):
    """Fit a variant on all images, and on bootstrap samples of their groups."""
    settings = chosen(table, y, groups, 1)
    model = Sum(*settings).fit(table, y)
    arrays |= {f"{variant}_{name}": getattr(model, name) for name in ("mean", "scale")}
    arrays[f"{variant}_coef"] = model.model.coef_[0]
    arrays[f"{variant}_intercept"] = model.model.intercept_[0]
    names, numbers = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(numbers == number) for number in range(len(names))]
    rng = np.random.default_rng(0)
    fits = []
    for _ in range(N_BOOTSTRAPS):
        rows = np.concatenate([members[number] for number in rng.integers(len(names), size=len(names))])
        again = LogisticRegression(C=settings[0], max_iter=5000).fit(model.terms(table.iloc[rows]), y[rows])
        fits.append(np.append(again.coef_[0], again.intercept_))
    arrays[f"{variant}_coefs"] = np.array(fits)[:, :-1]
    arrays[f"{variant}_intercepts"] = np.array(fits)[:, -1]
    print(f"{variant}: strength and weight {settings}, {table.shape[1]} columns")


def write(tables, y, groups, thresholds, categories):
    arrays = {}
    for variant, table in tables.items():
        fitted(table, y, groups, arrays, variant)
    content = io.BytesIO()
    np.savez_compressed(content, **{name: np.asarray(values, np.float32) for name, values in arrays.items()})
    settings = {
        "file": "melanoma.npz", "sha256": hashlib.sha256(content.getvalue()).hexdigest(), "network": "melanoma",
        "classes": CLASSES[1:], "max_side": MAX_SIDE, "margins": MARGINS, "prevalence": round(float(y.mean()), 6),
        "threshold": thresholds, "categories": categories,
        "columns": {variant: table.columns.tolist() for variant, table in tables.items()},
        "license": "BSD-3-Clause", "card": "docs/pretrained_melanoma.md", "data": "ISIC 2017 training images (CC-0)",
    }  # fmt: skip
    (WEIGHTS / settings["file"]).write_bytes(content.getvalue())
    (WEIGHTS / "melanoma.json").write_text(json.dumps(settings, indent=1) + "\n")
    print(f"{len(content.getvalue()):,} bytes")


def train(options):
    data = load(options.table, "training")
    y, groups = np.asarray(data.target, int), np.asarray(data.groups)
    network = np.load(options.network)
    if network["image"].tolist() != [path.stem for path in data.images]:
        raise SystemExit(f"{options.network} is of other images than {options.table}")
    table, categories, known = measures(data, network, options.cache)
    clinical = [name for name in table.columns if name.startswith(CLINICAL_COLUMNS)]
    seen = [name for name in table.columns if name.startswith("network_")]
    abcd = [name for name in table.columns if name not in (*clinical, *seen)]
    kinds = {
        "clinical": clinical, "ABCD": abcd, "ABCD, clinical": abcd + clinical, "network": seen,
        "network, clinical": seen + clinical, "network, ABCD": seen + abcd,
        "network, ABCD, clinical": seen + abcd + clinical,
    }  # fmt: skip
    found = {}
    heading("2,000 training images, out of fold")
    for name, columns in kinds.items():
        found[name], settings = out_of_fold(table[columns], y, groups)
        without = name.removesuffix(", clinical")
        if without != name:  # as the packaged model does: of whom nothing is known is judged by the image alone
            found[name] = np.where(known, found[name], found[without])
        tell(name, y, found[name], groups)
        print(f"  {settings}")
    variants = {"image": "network, ABCD", "clinical": "network, ABCD, clinical"}
    thresholds = {}
    for variant, name in variants.items():
        # down to the next of four digits, for the sensitivity is to be reached
        thresholds[variant] = float(np.floor(1e4 * threshold_at_sensitivity(y, found[name], SENSITIVITY)) / 1e4)
        called = found[name] >= thresholds[variant]
        print(f"\n{variant}: from {thresholds[variant]} on sensitivity {called[y == 1].mean():.3f}, "
              f"specificity {(~called[y == 0]).mean():.3f}")  # fmt: skip
        curve(y, found[name])
    by_kind(data, y, found[variants["clinical"]], groups, thresholds["clinical"])
    if options.write:
        write({variant: table[kinds[name]] for variant, name in variants.items()}, y, groups, thresholds, categories)


def validate(options):
    data = load(options.table, "validation")
    y, groups = np.asarray(data.target, int), np.asarray(data.groups)
    model = load_pretrained("melanoma", n_jobs=2, verbose=1)
    heading(f"{len(y)} validation images, {y.sum()} melanomas")
    for name, X in {
        "image alone": data.images,
        "with age, sex and site": data.frame[CLINICAL].assign(image=data.images),
    }.items():
        said = model.predict_table(X)
        tell(name, y, said["melanoma_probability"].to_numpy(), groups)
        called = said["decision"].to_numpy(int)
        found = binomtest(int(called[y == 1].sum()), int(y.sum()))
        bounds = found.proportion_ci()
        print(f"  sensitivity {found.statistic:.3f} (exact interval {bounds.low:.2f} to {bounds.high:.2f}), "
              f"specificity {1 - called[y == 0].mean():.3f}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("network", type=Path, nargs="?", help="out-of-fold log-odds of melanoma_network.py")
    parser.add_argument("--cache", type=Path, help="folder for the features")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--validation", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    if not options.validation and options.network is None:
        parser.error("the file of out-of-fold log-odds is missing")
    (validate if options.validation else train)(options)


if __name__ == "__main__":
    main()
