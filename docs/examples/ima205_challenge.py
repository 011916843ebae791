"""
The IMA205 challenge, end to end
================================

The course IMA205 of Télécom Paris lets its students compete on dermoscopic images: benign or malignant in 2019, eight
kinds of lesions in 2022 and 2024. This script goes from the folder of the challenge to the file that is handed in::

    python docs/examples/ima205_challenge.py FOLDER --out submission.csv --jobs 2 --cache cache

The lesions are outlined by the network that comes with skinseg (``--masks``: by the masks of the challenge, where
there are some), measured by the ABCD rule, and classified by a model that a grid search chooses.

It is research software and no medical device: no result is a diagnosis.
"""

# %%
# What the folder looks like
# --------------------------
#
# ================  ==================================  ==================================================
# edition           2019                                2022, 2024
# ================  ==================================  ==================================================
# training          ``train.csv``: ImageId, Malignant   ``metadataTrain.csv``: ID, CLASS, SEX, AGE, POSITION
# to be predicted   ``test.csv``: ImageId               ``metadataTest.csv``: the same without CLASS
# classes           0 benign, 1 malignant               1 to 8, of which 1 is melanoma
# images            ``im/<ImageId>.jpg``                ``Train/Train/<ID>.jpg``, ``Test/Test/<ID>.jpg``
# masks             ``im/<ImageId>_segmentation.jpg``   of some, ``<ID>_seg.png`` beside the image
# ================  ==================================  ==================================================
#
# Tables and images are found wherever they are in the folder, whatever the case of their names and columns, and as
# JPEG, PNG or any other kind of image. In place of a second table the first may have rows without a class.

import argparse
import re
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch

from skinseg import ABCDFeaturizer, BatchedPipeline, ImageResizer, PretrainedSegmenter
from skinseg.clinical import make_clinical_transformer
from skinseg.evaluation import bootstrap_interval
from skinseg.outlining import quietly, split_readable
from skinseg.reading import IMAGE_SUFFIXES


class Edition(NamedTuple):
    """Names of the columns and the classes of one edition."""

    year: str
    id: str
    label: str
    classes: tuple
    clinical: tuple = ()


EDITIONS = (
    Edition("2019", "ImageId", "Malignant", (0, 1)),
    Edition("2022 or 2024", "ID", "CLASS", tuple(range(1, 9)), ("SEX", "AGE", "POSITION")),
)
TABLES = {"train": "train", "metadatatrain": "train", "test": "test", "metadatatest": "test"}
GROUPS = ("lesion_id", "lesion", "patient_id", "patient", "group")  # no edition has them; they are used if one will
MASK_NAME = re.compile(r"_(segmentation|seg|mask)$")
MASK_FOLDER = re.compile(r"mask|segment|ground_?truth")
UNKNOWN = ["unknown", "Unknown", ""]
RESAMPLES = 1000  # of the bootstrap


def say_some(title, lines):
    """Print how many there are and the first ten."""
    if lines:
        more = [f"... and {len(lines) - 10} more"] if len(lines) > 10 else []
        print("\n  ".join([f"{title} ({len(lines)}):", *lines[:10], *more]))


def read_table(path):
    """Read a table with the columns named as its edition has them; None if it is of no edition."""
    try:
        table = pd.read_csv(path, dtype=str, na_values=UNKNOWN)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: the table cannot be read ({str(error).splitlines()[0]})") from None
    columns = {str(column).strip().lower(): column for column in table.columns}
    edition = next((one for one in EDITIONS if one.id.lower() in columns), None)
    if edition is None:
        return None, None
    names = (edition.id, edition.label, *edition.clinical)
    table = table.rename(columns={columns[name.lower()]: name for name in names if name.lower() in columns})
    group = next((columns[name] for name in GROUPS if name in columns), None)
    table["group"] = table[edition.id] if group is None else table[group].fillna(table[edition.id])
    if table[edition.id].isna().any():
        raise SystemExit(f"{path}: {table[edition.id].isna().sum()} row(s) have no {edition.id}; complete or drop them")
    table[edition.id] = table[edition.id].str.strip()
    if "AGE" in names and "AGE" in table:
        table["AGE"] = pd.to_numeric(table["AGE"], errors="coerce")
    return edition, table


def find_tables(folder):
    """Find the edition, its training table and the table of the images to be predicted."""
    found = {"train": [], "test": []}
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".csv")
    for path in files:
        kind = TABLES.get(re.sub("[^a-z]", "", path.stem.lower()))
        edition, table = read_table(path) if kind else (None, None)
        if edition is not None and (kind == "test" or edition.label in table):
            found[kind].append((path, edition, table))
    for kind, tables in found.items():
        if len(tables) > 1:
            names = ", ".join(str(path) for path, _, _ in tables)
            raise SystemExit(f"{folder} has several {kind} tables ({names}); give the folder of one edition")
    if not found["train"]:
        raise SystemExit(
            f"{folder} has the layout of no edition. Looked for, in it and below: train.csv with the columns ImageId "
            "and Malignant (2019), or metadataTrain.csv with ID and CLASS (2022, 2024); and test.csv or "
            "metadataTest.csv with the ids to be predicted. Its tables are: "
            f"{', '.join(str(path.relative_to(folder)) for path in files[:10]) or 'none'}"
        )
    path, edition, train = found["train"][0]
    if found["test"]:
        test_path, other, test = found["test"][0]
        if other != edition:
            raise SystemExit(f"{path} is of the edition {edition.year}, {test_path} of {other.year}; give one edition")
    else:
        test = train[train[edition.label].isna()]
        train = train.drop(test.index)
        if test.empty:
            raise SystemExit(f"{folder} has no test.csv or metadataTest.csv, and all rows of {path} have a class")
    # a column of classes in the test table holds placeholders, as in the sample submission: it is never read
    test = test.drop(columns=edition.label, errors="ignore")
    say_some("images to be predicted given twice, used once", list(test[edition.id][test.duplicated(edition.id)]))
    return edition, train, test.drop_duplicates(edition.id)


def check_labels(train, test, edition):
    """Leave out rows that cannot be learnt from, and say which; give the others with whole numbers as classes."""
    numbers = pd.to_numeric(train[edition.label], errors="coerce")
    wrong = train[train[edition.label].notna() & ~numbers.isin(edition.classes)]
    if len(wrong):
        rows = ", ".join(f"{row[edition.id]}: {row[edition.label]!r}" for _, row in wrong[:5].iterrows())
        raise SystemExit(f"{edition.label} must be one of {edition.classes}, got {rows} ({len(wrong)} rows)")
    classes = numbers.groupby(train[edition.id]).transform("nunique")
    reasons = {
        "training images without a class, left out": numbers.isna(),
        "training images in two classes, left out": classes > 1,
        "training images that are to be predicted, too, left out": train[edition.id].isin(test[edition.id]),
        "training images given twice, used once": train.duplicated([edition.id, edition.label]) & (classes == 1),
    }
    for title, bad in reasons.items():
        say_some(title, sorted(set(train.loc[bad, edition.id])))
    kept = ~np.logical_or.reduce(list(reasons.values()))
    return train[kept].assign(**{edition.label: numbers[kept].astype(int)})


def find_images(folder):
    """Find the files of images and of masks by their names without ending, in lower case."""
    images, masks, doubles = {}, {}, []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            stem, cut = MASK_NAME.subn("", path.stem.lower())
            parents = path.relative_to(folder).parts[:-1]
            is_mask = cut or any(MASK_FOLDER.search(part.lower()) for part in parents)
            first = (masks if is_mask else images).setdefault(stem, path)
            if first != path:
                doubles.append(f"{first} is used, {path} is not")
    say_some("several files of one name", doubles)
    return images, masks


# %%
# Outlines and features
# ---------------------
#
# To outline and measure an image takes no other image, so this may be done for training and test images together,
# once and ahead of everything else. With ``--cache`` the rows of the table are kept, and a second run reads them.
#
# An image that is missing or damaged becomes a row without values: it is left out of training, and predicted from
# what the imputer puts in place of its features (and from age, sex and site, where these are known).


def measure(ids, images, masks, options):
    """Give the features of all images and why some have none."""
    names = list(ABCDFeaturizer().get_feature_names_out())
    table = pd.DataFrame(np.nan, index=range(len(ids)), columns=names)
    stems = [Path(name).stem.lower() if Path(name).suffix.lower() in IMAGE_SUFFIXES else name.lower() for name in ids]
    files = [images.get(stem) for stem in stems]
    errors = {index: "there is no image of this name" for index, file in enumerate(files) if file is None}
    there = [index for index in range(len(ids)) if index not in errors]
    kept, records, bad = split_readable([files[index] for index in there])
    errors |= {there[place]: text for place, text in bad.items()}
    outlined = {there[place]: record for place, record in zip(kept, records, strict=True)}
    given = {}
    if options.masks:
        given, refused = with_masks(outlined, [masks.get(stem) for stem in stems])
        say_some("masks that do not fit, outlined by the network", [f"{ids[i]}: {t}" for i, t in refused.items()])
        print(f"given masks used: {len(given)}; outlined by the network: {len(outlined) - len(given)}")
    empty = []
    for segmenter, chosen in ((PretrainedSegmenter(), outlined.keys() - given.keys()), ("passthrough", given.keys())):
        if not chosen:
            continue
        order = sorted(chosen)
        steps = [("resizer", ImageResizer(512)), ("segmenter", segmenter), ("featurizer", ABCDFeaturizer())]
        pipe = BatchedPipeline(
            steps, n_jobs=options.jobs, memory=options.cache, on_error="nan", verbose=not options.quiet
        )
        table.iloc[order] = quietly(pipe.fit_transform, [given.get(index, outlined[index]) for index in order])
        errors |= {order[place]: text for place, text in pipe.errors_.items()}
        empty += [order[place] for place in pipe.empty_]
    say_some("images that cannot be used", [f"{ids[index]}: {errors[index]}" for index in sorted(errors)])
    say_some("images without a lesion, features imputed", [ids[index] for index in sorted(empty)])
    return table, errors


def with_masks(outlined, masks):
    """Put given masks into the records of images, where they are of their size."""
    wanted = [index for index in outlined if masks[index] is not None]
    files, extras = [outlined[i].path for i in wanted], [{"mask": masks[i]} for i in wanted]
    kept, records, refused = split_readable(files, extras)
    given = {wanted[place]: record for place, record in zip(kept, records, strict=True)}
    return given, {wanted[place]: text for place, text in refused.items()}


# %%
# The model, without a leak
# -------------------------
#
# From here on steps learn from several images at once: medians, means, the components of a PCA, the features worth
# keeping, synthetic melanomas. **All of them are in the pipeline**, so that they are fitted on the training images of a
# fold and on nothing else.
#
# A published solution of 2019 fitted scaler and PCA on training and test images together, ahead of its
# cross-validation, and another one scaled the test images by their own mean. Then an image has a say in the features
# that it is predicted from, and its prediction depends on the company that it is in, which no later image will have. It
# gains little where classes are not looked at, and much where they are, as in a selection of features; a pipeline
# leaves no room for either. (The first solution took "around 17 hours" to measure its 1,000 images, 61 s an image.)


def make_grid(y, seed):
    """List the settings to choose from: selection of features, balance of the classes, classifier."""
    logistic = LogisticRegression(max_iter=3000)
    balanced = LogisticRegression(max_iter=3000, class_weight="balanced")
    forest = RandomForestClassifier(200, min_samples_leaf=5, class_weight="balanced_subsample", random_state=seed)
    largest = SelectFromModel(clone(balanced).set_params(C=0.01), max_features=40, threshold=-np.inf)  # coefficients
    selections = ["passthrough", largest, PCA(0.95, random_state=seed)]
    grid = [
        {"selection": selections, "classifier": [balanced], "classifier__C": [0.001, 0.01, 0.1, 1]},
        {"sampler": [RandomUnderSampler(random_state=seed)], "classifier": [logistic], "classifier__C": [0.01, 0.1]},
        {"classifier": [forest]},
    ]
    if len(y) > 5000:  # what comes takes too long for so many
        return grid
    grid.append({"selection": selections, "classifier": [SVC(class_weight="balanced")], "classifier__C": [0.1, 1, 10]})
    if min(Counter(y.tolist()).values()) >= 24:  # the folds of folds must have more of a class than SMOTE has neighbors
        smote = SMOTE(k_neighbors=3, random_state=seed)
        grid.append({"sampler": [smote], "classifier": [logistic], "classifier__C": [0.01, 0.1]})
    return grid


def make_search(table, y, edition, cv, options):
    """Make the grid search; nothing is fitted yet."""
    clinical = [column for column in edition.clinical if column in table]
    measured = [column for column in table if column not in edition.clinical]
    columns = [("lesion", "passthrough", measured), ("clinical", make_clinical_transformer(), clinical)]
    pipe = Pipeline(
        [
            ("columns", ColumnTransformer(columns, verbose_feature_names_out=False)),
            ("imputer", SimpleImputer(keep_empty_features=True)),
            ("constant", VarianceThreshold()),
            ("scaler", StandardScaler()),
            ("selection", "passthrough"),
            ("sampler", "passthrough"),
            ("classifier", LogisticRegression()),
        ]
    )
    grid = make_grid(y, options.seed)
    return GridSearchCV(pipe, grid, scoring=options.scoring, cv=cv, n_jobs=options.jobs, error_score="raise")


# %%
# The score of the editions of 2022 and 2024 weights each image with the inverse of the frequency of its class: that is
# the balanced accuracy. The leaderboard of 2019 had Matthews' correlation, and participants tuned on balanced accuracy.
#
# Images of one lesion must not be on both sides of a split. No edition tells which images those are, although the
# images of 2022 and 2024 (those of ISIC 2019) show many lesions more than once, so that scores on random folds are too
# good. A column ``lesion_id`` (or ``patient_id``) in the training table keeps them together.


def make_folds(y, groups, options):
    """Make the folds of the estimate and those of the search, as many as the rarest class allows."""
    rarest = min(len(set(groups[y == label])) for label in np.unique(y)) if len(np.unique(y)) > 1 else 0
    if rarest < 4:
        counts = ", ".join(f"{label}: {count}" for label, count in sorted(Counter(y.tolist()).items()))
        raise SystemExit(
            "two or more classes need at least 4 training images each (of different lesions, with images that can be "
            f"used); there are {counts}"
        )
    outer = min(options.folds, rarest)
    inner = min(options.folds, rarest - -(-rarest // outer))  # the largest fold of the outer ones is taken away
    kind = StratifiedGroupKFold if len(set(groups)) < len(groups) else StratifiedKFold
    return [kind(n, shuffle=True, random_state=options.seed) for n in (outer, inner)]


def report(title, y, predicted, groups, seed):
    """Print scores with 95 % intervals by bootstrap, lesion by lesion."""
    intervals = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")  # in a resample
        for name, metric in (("balanced accuracy", balanced_accuracy_score), ("Matthews' corr.", matthews_corrcoef)):
            intervals[name] = bootstrap_interval(
                metric, y, predicted, groups=groups, n_resamples=RESAMPLES, random_state=seed
            )
    scores = ", ".join(f"{name} {interval}" for name, interval in intervals.items())
    recall = ", ".join(f"{label}: {np.mean(predicted[y == label] == label):.2f}" for label in np.unique(y))
    print(f"{title}: {scores}; share found of class {recall}")
    return intervals


def read_truth(path, test, edition):
    """Read the classes of the predicted images, in their order."""
    other, table = read_table(path)
    if other != edition or edition.label not in table:
        raise SystemExit(f"{path} must have the columns {edition.id} and {edition.label}")
    known = pd.to_numeric(table.drop_duplicates(edition.id).set_index(edition.id)[edition.label], errors="coerce")
    truth = known.reindex(test[edition.id])
    if not truth.isin(edition.classes).all():
        raise SystemExit(f"{path} has no class for {(~truth.isin(edition.classes)).sum()} of {len(test)} test images")
    return truth.astype(int).to_numpy()


# %%
# All together
# ------------


def main(arguments=None):
    """Go from the folder to the submission."""
    parser = argparse.ArgumentParser(description="The IMA205 challenge, from its folder to a submission.")
    parser.add_argument("folder", type=Path, help="folder of the challenge")
    parser.add_argument("--out", type=Path, default=Path("submission.csv"), help="the submission (submission.csv)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at work at once (1)")
    parser.add_argument("--cache", type=Path, help="folder that keeps the measured features between runs")
    parser.add_argument("--masks", action="store_true", help="use the masks of the challenge where there are some")
    parser.add_argument("--limit", type=int, help="only so many training and test images, to try it out")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation (5)")
    parser.add_argument("--scoring", choices=["balanced_accuracy", "matthews_corrcoef"], default="balanced_accuracy")
    parser.add_argument("--truth", type=Path, help="table with the classes of the test images, scored at the very end")
    parser.add_argument("--seed", type=int, default=0, help="seed of folds, samplers and models (0)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.folds < 2 or (options.limit is not None and options.limit < 1):
        parser.error("--folds must be at least 2, and --limit at least 1")
    for folder in (options.folder, options.out.absolute().parent):
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    start = time.perf_counter()

    edition, train, test = find_tables(options.folder)
    train = check_labels(train, test, edition)
    if options.limit is not None:  # as many of each class
        train = train.groupby(edition.label).head(max(options.limit // len(edition.classes), 1))
        test = test.head(options.limit)
    images, masks = find_images(options.folder)
    print(f"IMA205, edition of {edition.year}: {len(train)} training images, {len(test)} to be predicted")
    ids = [*train[edition.id], *test[edition.id]]
    features, errors = measure(ids, images, masks, options)
    if len(errors) == len(ids):
        raise SystemExit(f"none of the {len(ids)} images can be used")
    seconds = (time.perf_counter() - start) / len(ids)
    print(f"outlines and features: {seconds:.3f} s an image ({len(ids)} images, {options.jobs} job(s))")

    clinical = [column for column in edition.clinical if column in train and column in test]
    table = features.join(pd.concat([train, test], ignore_index=True)[clinical])
    usable = np.array([index not in errors for index in range(len(train))])
    X, y, groups = table.iloc[: len(train)][usable], *(train[c].to_numpy()[usable] for c in (edition.label, "group"))
    outer, inner = make_folds(y, groups, options)
    with sklearn.config_context(enable_metadata_routing=True):  # hands the groups to all folds
        search = make_search(table, y, edition, inner, options)
        params = {"groups": groups} if isinstance(outer, StratifiedGroupKFold) else {}
        # Nested: the model that predicts a fold was chosen and fitted on the other folds. The score of the search
        # itself is that of the best of many settings, and too good for that reason.
        one = clone(search).set_params(n_jobs=None)
        predicted = cross_val_predict(one, X, y, cv=outer, params=params, n_jobs=options.jobs)
        search.fit(X, y, **params)
    chosen = ", ".join(f"{name}={' '.join(str(value).split())}" for name, value in search.best_params_.items())
    n_settings = len(search.cv_results_["params"])
    print(f"chosen of {n_settings} settings ({options.scoring} {search.best_score_:.3f}): {chosen}")
    title = f"nested cross-validation, {outer.get_n_splits()} folds"
    estimate = report(title, y, predicted, groups, options.seed)

    labels = search.predict(table.iloc[len(train) :])
    submission = pd.DataFrame({edition.id: test[edition.id].to_numpy(), edition.label: labels})
    submission.to_csv(options.out, index=False)
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(Counter(labels.tolist()).items()))
    print(f"{options.out}: {len(submission)} images predicted ({counts})")
    score = None
    if options.truth is not None:
        truth = read_truth(options.truth, test, edition)
        score = report("test images", truth, labels, test["group"].to_numpy(), options.seed)
    seconds = time.perf_counter() - start
    print(f"the whole: {seconds:.0f} s, {seconds / len(ids):.3f} s an image")
    print("Research software and no medical device: no result is a diagnosis.")
    return Bunch(search=search, submission=submission, estimate=estimate, score=score, features=table)


if __name__ == "__main__":
    main()
