"""What every ABCD feature says on ISIC 2017, and melanoma against the rest by the ABCD table alone.

The first table is of the training images whose lesion does not touch the edge of the image, with the experts' masks:
ROC AUC of each feature for melanoma as it is (below 0.5 where melanomas have less of it) with a 95 % bootstrap interval
over lesions; Spearman's correlation with the mean of three lay raters' scores of asymmetry, border and color (with
--enhance, the folder of crowd_asymmetry.csv, crowd_border.csv and crowd_color.csv); Spearman's correlation and ICC(3,1)
between the experts' masks and those of ThresholdSegmenter; ICC(3,1) between full and half resolution.

The second table is of all training images, experts' masks: 5-fold, stratified, grouped by lesion. Nothing is chosen on
the validation images, which are looked at with --validation only.

The table of images has the columns image, mask, image_id, melanoma, group, split and lesion_touches_border.
"""

import argparse
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC

from skinseg import (
    ABCDFeaturizer,
    BatchedPipeline,
    ColorConstancy,
    HairRemover,
    LesionImage,
    ThresholdSegmenter,
    read_image,
    read_mask,
)
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.features import FEATURES

NAMES = list(FEATURES)
PREPARATIONS = {
    "none": [],
    "hair": [("hair", HairRemover())],
    "color": [("color", ColorConstancy())],
    "both": [("hair", HairRemover()), ("color", ColorConstancy())],
}


def imputed(*steps):
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), *steps)


def to_normal():
    """Bring every column to a normal distribution by its ranks: areas and compactness have long tails."""
    return QuantileTransformer(n_quantiles=200, output_distribution="normal", random_state=0)


MODELS = {
    "extremely randomized trees": imputed(
        ExtraTreesClassifier(400, min_samples_leaf=5, max_features=0.3, class_weight="balanced", random_state=0)
    ),
    "logistic regression": imputed(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000)),
    "SVC, RBF, on ranks": imputed(to_normal(), SVC(C=1, gamma=0.003, class_weight="balanced")),
    "gradient boosting, bagged": imputed(
        BaggingClassifier(
            HistGradientBoostingClassifier(
                learning_rate=0.05,
                max_iter=150,
                max_leaf_nodes=8,
                min_samples_leaf=20,
                l2_regularization=5,
                max_features=0.3,
                random_state=0,
            ),
            n_estimators=10,
            max_samples=0.8,
            bootstrap=False,
            random_state=0,
        )
    ),
}


def auc(target, score):
    """Area under the ROC curve by ranks; several times faster than scikit-learn's, for the bootstrap."""
    positive = np.asarray(target) == 1
    n, m = np.count_nonzero(positive), np.count_nonzero(~positive)
    if n == 0 or m == 0:
        return np.nan
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def icc(first, second):
    """ICC(3,1) of Shrout and Fleiss (1979), consistency of two measurements, over pairs that are both known."""
    pairs = np.stack([first, second], axis=1)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < 3:
        return np.nan
    between = 2 * pairs.mean(axis=1).var(ddof=1)
    within = (pairs[:, 0] - pairs[:, 1]).var(ddof=1) / 2
    return float((between - within) / (between + within)) if between + within > 0 else np.nan


def spearman(first, second):
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    return float(spearmanr(first, second).statistic) if len(np.unique(first)) > 1 < len(np.unique(second)) else np.nan


def halved(image, mask):
    """The record at half its resolution; lengths in pixels are still those of the whole image."""
    record = LesionImage(read_image(image), read_mask(mask))
    return record.resize(tuple(max(1, round(side / 2)) for side in record.shape))


def measure(records, preparation, jobs, *, segmenter=None):
    steps = [*PREPARATIONS[preparation]]
    steps += [] if segmenter is None else [("segmenter", segmenter)]
    chain = BatchedPipeline([*steps, ("featurizer", ABCDFeaturizer())], n_jobs=jobs)
    return pd.DataFrame(chain.fit(records[:1]).transform(records), columns=NAMES)


def tables_of(data, options):
    """Features on the experts' outlines, on those by threshold, and at half resolution; from --table if it is there."""
    if options.table is not None and options.table.exists():
        kept = pd.read_csv(options.table)
        whole = {kind: rows.reset_index(drop=True) for kind, rows in kept.groupby("outlines", sort=False)}
        if list(kept.columns[2:]) == NAMES and all(
            rows["image"].tolist() == [path.name for path in data.images] for rows in whole.values()
        ):
            return {kind: rows[NAMES] for kind, rows in whole.items()}
    pairs = list(zip(data.images, data.masks, strict=True))
    tables = {
        "expert": measure([LesionImage(i, mask=m) for i, m in pairs], options.preparation, options.jobs),
        "threshold": measure(list(data.images), options.preparation, options.jobs, segmenter=ThresholdSegmenter()),
        "half": measure([halved(*pair) for pair in pairs], options.preparation, options.jobs),
    }
    if options.table is not None:
        names = [path.name for path in data.images]
        whole = [rows.assign(outlines=kind, image=names) for kind, rows in tables.items()]
        pd.concat(whole)[["outlines", "image", *NAMES]].to_csv(options.table, index=False)
    return tables


def lay_scores(folder, ids):
    """Mean of the three raters for each image, NaN where it was not rated."""
    scores = {}
    for part in ("asymmetry", "border", "color"):
        table = pd.read_csv(folder / f"crowd_{part}.csv", index_col="ID")
        scores[part] = table.mean(axis=1).reindex(ids).to_numpy()
    return scores


def describe(tables, data, chosen, lay):
    """One row a feature, over the images chosen."""
    target, groups = data.target[chosen], data.groups[chosen]
    rows = []
    for name in NAMES:
        value, other, half = (tables[kind][name].to_numpy()[chosen] for kind in ("expert", "threshold", "half"))
        known = np.isfinite(value)
        constant = not known.any() or np.ptp(value[known]) == 0
        row = {"feature": name, "n": int(known.sum())}
        row["AUC"] = (
            "" if constant else str(bootstrap_interval(
                auc, target[known], value[known], groups=groups[known], n_resamples=1000, random_state=0
            ))
        )  # fmt: skip
        row |= {f"lay {part}": spearman(value, score[chosen]) for part, score in lay.items()}
        row["threshold: Spearman"], row["threshold: ICC"] = spearman(value, other), icc(value, other)
        row["half: ICC"] = icc(value, half)
        row["half: n"] = int((known & np.isfinite(half)).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def scores_of(model, features):
    return (
        model.decision_function(features)
        if hasattr(model, "decision_function")
        else model.predict_proba(features)[:, 1]
    )


def out_of_fold(features, target, groups):
    """Score of each model for each image, as its rank within its fold."""
    result = {name: np.full(len(target), np.nan) for name in MODELS}
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(features, target, groups):
        for name, model in MODELS.items():
            fitted = clone(model).fit(features[train], target[train])
            result[name][test] = rankdata(scores_of(fitted, features[test])) / (len(test) + 1)
    return result


def with_means(scores):
    """The models, and all of them together by the mean of their ranks."""
    ranks = [rankdata(values) / (len(values) + 1) for values in scores.values()]
    return scores | {"all, mean of ranks": np.mean(ranks, axis=0)}


def print_scores(title, scores, target, groups):
    print(f"\n### {title}\n\n| model | ROC AUC [95 %] | n |\n|---|---|---|")
    for name, values in scores.items():
        known = np.isfinite(values)
        interval = bootstrap_interval(auc, target[known], values[known], groups=groups[known], random_state=0)
        print(f"| {name} | {interval} | {known.sum()} |", flush=True)


def alone(tables):
    """What needs no training: the total dermoscopy score, where it is measured."""
    return {"TDS alone": tables["expert"]["tds"].to_numpy()} if "tds" in NAMES else {}


def print_rule(tables, target):
    """The rule at its two limits, over the images whose score is known."""
    for score in alone(tables).values():
        known = np.isfinite(score)
        for limit in (4.75, 5.45):
            called, ill = score[known] >= limit, target[known] == 1
            sensitivity, specificity = called[ill].mean(), (~called[~ill]).mean()
            print(f"TDS of {limit} or more: sensitivity {sensitivity:.3f}, specificity {specificity:.3f}")


def load(options, split):
    data = load_lesion_table(
        options.table_of_images, mask_column="mask", target_column="melanoma", group_column="group",
        where={"split": split},
    )  # fmt: skip
    step = slice(None, None, options.step if split == "training" else 1)
    data.images, data.masks, data.frame = data.images[step], data.masks[step], data.frame.iloc[step]
    data.target, data.groups = data.target[step], data.groups[step]
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table_of_images", type=Path, metavar="TABLE.csv")
    parser.add_argument("--enhance", type=Path, metavar="DIR", help="folder of the lay raters' scores")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="the first table as a file, too")
    parser.add_argument("--table", type=Path, metavar="FILE.csv", help="keep the features here, and take them from it")
    parser.add_argument("--preparation", choices=PREPARATIONS, default="none", help="of the images (default none)")
    parser.add_argument("--validation", action="store_true", help="the 150 validation images, once all is chosen")
    parser.add_argument("--step", type=int, default=1, help="use every STEP-th training image")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    cv2.setNumThreads(1)
    data = load(options, "training")
    tables = tables_of(data, options)
    chosen = data.frame["lesion_touches_border"].to_numpy() == 0
    lay = {} if options.enhance is None else lay_scores(options.enhance, data.frame["image_id"])
    described = describe(tables, data, chosen, lay)
    melanomas = data.target[chosen].sum()
    print(f"### {chosen.sum()} training images, {melanomas} melanomas, preparation: {options.preparation}\n")
    print("| " + " | ".join(described.columns) + " |\n" + "|---" * len(described.columns) + "|")
    for row in described.itertuples(index=False):
        print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
    if options.out is not None:
        described.to_csv(options.out, index=False)
    features = tables["expert"].to_numpy()
    scores = with_means(out_of_fold(features, data.target, data.groups)) | alone(tables)
    print_scores(f"5-fold, {len(features)} training images", scores, data.target, data.groups)
    print_rule(tables, data.target)
    if options.validation:
        new = load(options, "validation")
        records = [LesionImage(i, mask=m) for i, m in zip(new.images, new.masks, strict=True)]
        table = {"expert": measure(records, options.preparation, options.jobs)}
        fitted = {name: clone(model).fit(features, data.target) for name, model in MODELS.items()}
        scores = {name: scores_of(model, table["expert"].to_numpy()) for name, model in fitted.items()}
        print_scores("150 validation images", with_means(scores) | alone(table), new.target, new.groups)
        print_rule(table, new.target)


if __name__ == "__main__":
    main()
