"""Melanoma on the ISIC 2017 training images: what features, clinical columns, fusion, sampling and calibration reach.

5-fold, stratified, grouped by lesion. The strength of regularization, the weight of a block of columns and the size of
trees are chosen inside of the folds, which are grouped, too. No expert mask is used: outlines are those of
PretrainedSegmenter. It has learnt from masks (not from diagnoses) of these images, so rows on outlines of
ThresholdSegmenter, which has learnt nothing, stand beside it.

The table has the columns image, melanoma, group, split (training, validation), age_approximate, sex and site. A file
of a network (OOF.npz) has the array melanoma, log-odds of images that the network had not seen, nan where there are
none, and image, the names of the files without suffix; without that it has one value for each training image.

    isic2017_classifiers.py TABLE --cache DIR                    all tables, 20 minutes with one core
    isic2017_classifiers.py TABLE --cache DIR --network OOF.npz  with a network in the first, and a stack with it
    isic2017_classifiers.py TABLE --cache DIR --network OOF.npz SPLIT.npz  ... and others, by their file names
    isic2017_classifiers.py TABLE --cache DIR --validation       fits on all of them, and scores the validation images
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from skinseg import (
    ABCDFeaturizer,
    ABCDRuleClassifier,
    BatchedPipeline,
    CNNFeaturizer,
    ImageResizer,
    PretrainedSegmenter,
    ThresholdSegmenter,
)
from skinseg.clinical import make_clinical_transformer
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval, threshold_at_sensitivity
from skinseg.exceptions import EmptyMaskWarning
from skinseg.metrics import expected_calibration_error, partial_auc_score, specificity_at_sensitivity

MAX_SIDE = 512
CLINICAL = ["age_approximate", "sex", "site"]
STRENGTHS = {
    "abcd": [0.01, 0.03, 0.1],
    "embedding": [3e-4, 1e-3, 3e-3],
    "fused": [1e-3, 3e-3, 0.01, 0.03],
    "final": [0.01, 0.1, 1],
}  # of the regularization, C
WEIGHTS = [0.1, 0.2, 0.4]  # of the embedding beside columns that are fewer
SENSITIVITY = 0.9  # for which a threshold is tuned
THRESHOLDS = np.linspace(0, 1, 1001)
TREES, NEIGHBORS = 300, 5  # of forests, of SMOTE
SCORES = {
    "ROC AUC": roc_auc_score,
    "average precision": average_precision_score,
    "specificity at 82 %": partial(specificity_at_sensitivity, sensitivity=0.82),
    "partial AUC above 80 %": partial_auc_score,
    "Brier score": brier_score_loss,
    "ECE": expected_calibration_error,
}
OF_PROBABILITIES = ("Brier score", "ECE")
PARTS = "fusion", "sampling", "calibration", "operating"
RULE, PLAIN = "rule (TDS)", "ABCD, logistic regression"
BOOSTED, FUSED = "ABCD, boosting", "ABCD + embedding + clinical, logistic regression"
CLINICAL_TOO, CLINICAL_BOOSTED = "ABCD + clinical, logistic regression", "ABCD + clinical, boosting"

# ---------------------------------------------------------------------- what is measured


def load(options, split):
    return load_lesion_table(options.table, target_column="melanoma", group_column="group", where={"split": split})


def measured(data, segmenter, featurizers, options):
    union = FeatureUnion(featurizers, verbose_feature_names_out=False)
    steps = [("resizer", ImageResizer(MAX_SIDE)), ("segmenter", segmenter), ("features", union)]
    pipe = BatchedPipeline(steps, memory=options.cache, n_jobs=options.jobs).fit(data.images)
    return pd.DataFrame(pipe.transform(data.images), columns=pipe.get_feature_names_out())


def table_of(data, options):
    """All columns: ABCD, embeddings of lesion and image, ABCD on outlines by threshold, clinical."""
    start = time.perf_counter()
    abcd = [("abcd", ABCDFeaturizer())]
    views = [(view, CNNFeaturizer(view=view)) for view in ("lesion", "image")]
    table = measured(data, PretrainedSegmenter(), abcd + views, options)
    by_threshold = measured(data, ThresholdSegmenter(), abcd, options).add_prefix("threshold_")
    lost = [int(part.isna().all(axis=1).sum()) for part in (table[names_of("abcd")], by_threshold)]
    print(f"measured in {time.perf_counter() - start:.0f} s; no outline of {lost[0]} images, by threshold of {lost[1]}")
    return pd.concat([table, by_threshold, data.frame[CLINICAL].reset_index(drop=True)], axis=1)


def log_odds_of(path, data):
    """The log-odds of a network, in the order of the images; nan where it has none."""
    with np.load(path) as file:
        values = file["melanoma"].astype(float)
        names = file["image"].astype(str).tolist() if "image" in file else None
    wanted = [image.stem for image in data.images]
    if names is None:
        if len(values) != len(wanted):
            raise SystemExit(f"{path} has {len(values)} log-odds and no names, and there are {len(wanted)} images")
        return values
    if not set(names) & set(wanted):
        raise SystemExit(f"{path} is of other images: {', '.join(names[:3])}, ...")
    return pd.Series(values, index=names).reindex(wanted).to_numpy()


# ---------------------------------------------------------------------- classifiers


def names_of(block):
    abcd = list(ABCDFeaturizer().get_feature_names_out())
    if block == "threshold":
        return [f"threshold_{name}" for name in abcd]
    if block in ("abcd", "clinical", "network"):
        return {"abcd": abcd, "clinical": CLINICAL, "network": ["network"]}[block]
    return [name for view in ("lesion", "image") for name in CNNFeaturizer(view=view).get_feature_names_out()]


def scaled():
    """Columns without any value, such as millimeters of images without a scale, become 0."""
    return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())


def on(blocks, classifier, sampler="passthrough"):
    """A classifier on blocks of columns."""
    parts = [
        (block, make_clinical_transformer() if block == "clinical" else scaled(), names_of(block)) for block in blocks
    ]
    columns = ColumnTransformer(parts, verbose_feature_names_out=False)
    return Pipeline([("columns", columns), ("sampler", sampler), ("classifier", classifier)])


def grouped(n_splits, seed):
    return StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)


def searched(model, grid, options):
    return GridSearchCV(model, grid, scoring="roc_auc", cv=grouped(options.inner, 1), error_score="raise")


def logistic(blocks, strengths, options, *, sampler="passthrough", weights=(), class_weight=None):
    """Logistic regression, its strength and the weight of the embedding chosen inside of the fold."""
    grid = {"classifier__C": STRENGTHS[strengths]}
    if weights:
        grid["columns__transformer_weights"] = [{"embedding": weight} for weight in weights]
    return searched(on(blocks, LogisticRegression(max_iter=5000, class_weight=class_weight), sampler), grid, options)


def boosting(blocks, options):
    classifier = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.05, min_samples_leaf=20, l2_regularization=5, max_features=0.3, random_state=0
    )
    return searched(on(blocks, classifier), {"classifier__max_leaf_nodes": [3, 8]}, options)


def stacked(blocks_of, options):
    """Out-of-fold probabilities of several classifiers, put together on the scale of log-odds.

    Each member is a search that asks for groups, so that scikit-learn hands them on to the folds of the stack.
    """
    final = make_pipeline(FunctionTransformer(logit), StandardScaler(), LogisticRegression())
    final = searched(final, {"logisticregression__C": STRENGTHS["final"]}, options)
    return StackingClassifier(blocks_of, final, cv=grouped(options.folds, 2), stack_method="predict_proba")


def fusion_rows(options, network):
    """The classifiers of the first table."""
    rule = Pipeline(
        [
            ("imputer", SimpleImputer(keep_empty_features=True)),
            ("rule", ABCDRuleClassifier()),
        ]
    ).set_output(transform="pandas")
    rule = Pipeline([("columns", ColumnTransformer([("abcd", "passthrough", names_of("abcd"))],
                                                   verbose_feature_names_out=False)), *rule.steps])  # fmt: skip
    rule.set_output(transform="pandas")
    both = ["abcd", "clinical"]
    rows = {
        RULE: rule,
        "rule (TDS), calibrated": CalibratedClassifierCV(rule, cv=grouped(options.folds, 2)),
        "clinical, logistic regression": logistic(["clinical"], "abcd", options),
        PLAIN: logistic(["abcd"], "abcd", options),
        BOOSTED: boosting(["abcd"], options),
        "embedding, logistic regression": logistic(["embedding"], "embedding", options),
        CLINICAL_TOO: logistic(both, "abcd", options),
        CLINICAL_BOOSTED: boosting(both, options),
        "embedding + clinical, logistic regression": logistic(
            ["embedding", "clinical"], "fused", options, weights=WEIGHTS
        ),
        FUSED: logistic(["abcd", "embedding", "clinical"], "fused", options, weights=WEIGHTS),
    }
    members = [
        ("abcd", logistic(both, "abcd", options)),
        ("embedding", logistic(["embedding"], "embedding", options)),
        ("boosting", boosting(both, options)),
    ]
    rows["stack"] = stacked(members, options)
    if network:
        more = [*members, ("network", logistic(["network"], "final", options))]
        rows["stack with network"] = stacked(more, options)
    return rows | {
        "on outlines by threshold: ABCD, logistic regression": logistic(["threshold"], "abcd", options),
        "on outlines by threshold: ABCD + clinical, logistic regression": logistic(
            ["threshold", "clinical"], "abcd", options
        ),
    }


def sampling_rows(options):
    """ABCD and logistic regression, the classes balanced in several ways, and a forest with and without."""
    balanced = BalancedRandomForestClassifier(
        TREES, sampling_strategy="all", replacement=True, bootstrap=False, random_state=0
    )
    leaves = {"classifier__min_samples_leaf": [1, 5]}
    make = partial(logistic, ["abcd"], "abcd", options)
    return {
        PLAIN: make(),
        "SMOTE": make(sampler=SMOTE(k_neighbors=NEIGHBORS, random_state=0)),
        "random under-sampling": make(sampler=RandomUnderSampler(random_state=0)),
        'class_weight="balanced"': make(class_weight="balanced"),
        'class_weight="balanced", calibrated (sigmoid)': CalibratedClassifierCV(
            make(class_weight="balanced"), cv=grouped(options.folds, 2)
        ),
        "RandomForestClassifier": searched(
            on(["abcd"], RandomForestClassifier(TREES, random_state=0)), leaves, options
        ),
        "BalancedRandomForestClassifier": searched(on(["abcd"], balanced), leaves, options),
    }


def calibration_rows(options):
    """Boosting with and without calibration."""
    rows = {BOOSTED: boosting(["abcd"], options)}
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(rows[BOOSTED], method=method, cv=grouped(options.folds, 2))
        rows[f"{BOOSTED}, calibrated ({method})"] = calibrated
    return rows


# ---------------------------------------------------------------------- scores


def heading(first, columns):
    print(f"\n| {' | '.join([first, *columns])} |\n|{'---|' * (len(columns) + 1)}", flush=True)


class Printer:
    """Rows of scores with intervals over lesions, and the difference of the ROC AUC to one of them."""

    def __init__(self, title, y, groups, options, *, baseline):
        self.y, self.groups, self.options, self.baseline = y, groups, options, baseline
        self.found = {}
        heading(title, [*SCORES, "mean", f"ROC AUC less that of {baseline}"])

    def interval(self, statistic, known, *arrays):
        return bootstrap_interval(
            statistic, self.y[known], *(values[known] for values in arrays), groups=self.groups[known],
            n_resamples=self.options.resamples, random_state=0,
        )  # fmt: skip

    def add(self, name, score):
        known = np.isfinite(score)
        self.found[name] = score
        is_probability = score[known].min() >= 0 and score[known].max() <= 1
        cells = [
            str(self.interval(statistic, known, score)) if is_probability or title not in OF_PROBABILITIES else ""
            for title, statistic in SCORES.items()
        ]
        cells.append(f"{score[known].mean():.3f}" if is_probability else "")
        cells.append("")
        if self.baseline in self.found and name != self.baseline:
            other = self.found[self.baseline]
            cells[-1] = str(self.interval(_difference, known & np.isfinite(other), score, other))
        title = name if known.all() else f"{name} ({known.sum()} images)"
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


def _difference(y, first, second):
    return roc_auc_score(y, first) - roc_auc_score(y, second)


def out_of_fold(model, table, y, groups, options):
    method = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
    said = cross_val_predict(
        model, table, y, cv=grouped(options.folds, 0), params={"groups": groups}, method=method, n_jobs=options.jobs
    )
    return said[:, 1] if said.ndim == 2 else said


def wilson(found, n):
    low, high = binomtest(int(found), int(n)).proportion_ci(method="wilson")
    return f"{found / n:.3f} [{low:.3f}, {high:.3f}]"


def reliability(name, y, probability, picture=None):
    """Ten bins of equal mass: what is said, and what is so."""
    print(f"\nReliability of {name}")
    heading("probability", ["images", "mean probability", "share of melanomas"])
    points = []
    for part in np.array_split(np.argsort(probability, kind="stable"), 10):
        low, high = probability[part[[0, -1]]]
        cells = [str(len(part)), f"{probability[part].mean():.3f}", wilson(y[part].sum(), len(part))]
        print(f"| {low:.3f} to {high:.3f} | {' | '.join(cells)} |")
        ends = binomtest(int(y[part].sum()), len(part)).proportion_ci(method="wilson")
        points.append((probability[part].mean(), y[part].mean(), ends.low, ends.high))
    if picture is not None:
        draw_reliability(name, np.array(points), probability, picture)


def draw_reliability(name, points, probability, picture):
    from matplotlib.figure import Figure

    said, share, low, high = points.T
    figure = Figure(figsize=(5, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    above.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as it should be")
    above.errorbar(said, share, [share - low, high - share], marker="o", capsize=3, color="#0072B2", label=name)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of melanomas, 95 % intervals")
    above.legend(loc="upper left", frameon=False, fontsize="small")
    below.hist(probability, np.linspace(0, 1, 41), color="#0072B2")
    below.set(xlabel="mean probability of a bin, out of fold", ylabel="images")
    figure.savefig(picture, dpi=110)


def at_sensitivity(y_true, y_pred, wanted):
    """Best where the sensitivity is the one that is wanted; of thresholds that are equal in that, the most specific.

    The distance is what a mean over folds can be taken of: to ask each fold for no less would ask for more on average.
    """
    called, ill = y_pred == 1, y_true == 1
    return 0.001 * np.mean(~called[~ill]) - abs(np.mean(called[ill]) - wanted)


def operating_points(name, search, table, y, groups, options):
    """Thresholds chosen in a fold's training part, on its held-out images."""
    called = {"TunedThresholdClassifierCV": np.empty(len(y), bool), "pooled probabilities": np.empty(len(y), bool)}
    chosen = {way: [] for way in called}
    scorer = make_scorer(at_sensitivity, wanted=SENSITIVITY)
    for learn, check in grouped(options.folds, 0).split(table, y, groups):
        rows, target, ids = table.iloc[learn], y[learn], groups[learn]
        model = clone(search).fit(rows, target, groups=ids).best_estimator_
        tuned = TunedThresholdClassifierCV(
            clone(model), scoring=scorer, cv=grouped(options.folds, 2), thresholds=THRESHOLDS, n_jobs=options.jobs
        ).fit(rows, target, groups=ids)
        inner = cross_val_predict(
            clone(model), rows, target, cv=grouped(options.folds, 2), params={"groups": ids}, method="predict_proba"
        )[:, 1]
        pooled = threshold_at_sensitivity(target, inner, SENSITIVITY)
        called["TunedThresholdClassifierCV"][check] = tuned.predict(table.iloc[check]) == 1
        called["pooled probabilities"][check] = model.predict_proba(table.iloc[check])[:, 1] >= pooled
        chosen["TunedThresholdClassifierCV"].append(tuned.best_threshold_)
        chosen["pooled probabilities"].append(pooled)
    for way, decided in called.items():
        found, spared = decided[y == 1], ~decided[y == 0]
        cells = [way, f"{min(chosen[way]):.3f} to {max(chosen[way]):.3f}", f"{found.sum()} of {len(found)}",
                 wilson(found.sum(), len(found)), wilson(spared.sum(), len(spared))]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


# ---------------------------------------------------------------------- the whole


def other_networks(printer, data, options):
    """Rows of networks that know a part of the images, and of others on the same images."""
    for path in (options.network or [])[1:]:
        score = expit(log_odds_of(path, data))
        printer.add(path.stem, score)
        for name in (CLINICAL_BOOSTED, FUSED, "network"):
            same = np.where(np.isfinite(score), printer.found[name], np.nan)
            printer.add(f"{name}, the images of {path.stem}", same)


def cross_validate(options):
    data = load(options, "training")
    y, groups = np.asarray(data.target, int), np.asarray(data.groups)
    print(f"{len(y)} training images, {y.sum()} melanomas, {len(np.unique(groups))} lesions, {options.folds} folds")
    table = table_of(data, options)
    shares = table[CLINICAL].isna().groupby(y).mean().mul(100)
    cells = [f"{name} {shares.loc[0, name]:.0f} % and {shares.loc[1, name]:.0f} %" for name in CLINICAL]
    print(f"missing, of the others and of the melanomas: {', '.join(cells)}")
    known = None
    if options.network is not None:
        table["network"] = log_odds_of(options.network[0], data)
        known = np.isfinite(table["network"].to_numpy())
    everywhere = known is not None and bool(known.all())
    if "fusion" in options.parts:
        printer = Printer("classifier", y, groups, options, baseline=PLAIN)
        for name, model in fusion_rows(options, everywhere).items():
            printer.add(name, out_of_fold(model, table, y, groups, options))
        if known is not None:
            printer.add("network", expit(table["network"].to_numpy()))
        other_networks(printer, data, options)
        if known is not None and not everywhere:
            print("\nno stack with network: its log-odds are not known of all images")
        whole = {name: score for name, score in printer.found.items() if np.isfinite(score).all() and name != RULE}
        best = max(whole, key=lambda name: roc_auc_score(y, whole[name]))
        reliability(best, y, whole[best], options.picture)
    for part, rows, baseline in (
        ("sampling", sampling_rows(options), PLAIN),
        ("calibration", calibration_rows(options), BOOSTED),
    ):
        if part in options.parts:
            printer = Printer(part, y, groups, options, baseline=baseline)
            for name, model in rows.items():
                printer.add(name, out_of_fold(model, table, y, groups, options))
    if "operating" in options.parts:
        heading("operating point of", ["threshold by", "thresholds", "melanomas found", "sensitivity", "specificity"])
        rows = fusion_rows(options, False)
        for name in (PLAIN, CLINICAL_TOO, CLINICAL_BOOSTED, FUSED):
            operating_points(name, rows[name], table, y, groups, options)


def validate(options):
    """Each classifier of the first table, fitted on all training images, on the validation images."""
    learn, check = load(options, "training"), load(options, "validation")
    y, target = np.asarray(learn.target, int), np.asarray(check.target, int)
    groups = np.asarray(learn.groups)
    table, new = table_of(learn, options), table_of(check, options)
    network = False
    if options.network is not None:
        table["network"], new["network"] = (log_odds_of(options.network[0], part) for part in (learn, check))
        network = bool(table["network"].notna().all() and new["network"].notna().all())
    print(f"{len(target)} validation images, {target.sum()} melanomas")
    printer = Printer("classifier", target, np.asarray(check.groups), options, baseline=PLAIN)
    for name, model in fusion_rows(options, network).items():
        asks = get_routing_for_object(model).consumes("fit", ["groups"])
        model.fit(table, y, **({"groups": groups} if asks else {}))
        said = model.predict_proba(new)[:, 1] if hasattr(model, "predict_proba") else model.decision_function(new)
        printer.add(name, said)
    if options.network is not None and new["network"].notna().any():
        printer.add("network", expit(new["network"].to_numpy()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--cache", metavar="DIR", help="folder in which the rows of the images are kept")
    parser.add_argument("--network", type=Path, nargs="+", metavar="OOF.npz", help="log-odds of networks, out of fold")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="reliability of the best of the first table")
    parser.add_argument("--validation", action="store_true", help="score the validation images, once all is chosen")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which tables")
    parser.add_argument("--folds", type=int, default=5, help="of cross-validation, stacks and calibration (default 5)")
    parser.add_argument("--inner", type=int, default=3, help="of the searches inside of a fold (default 3)")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap (default 1000)")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    with sklearn.config_context(enable_metadata_routing=True):
        (validate if options.validation else cross_validate)(options)


if __name__ == "__main__":
    main()
