"""
Evaluate honestly: groups, leaks, intervals
===========================================

The same model on the same images, scored wrongly and rightly. What makes a score too good, how it is found out, and
what an interval says.
"""

# %%
# Images of which several belong together
# ---------------------------------------
#
# Three pictures of each lesion. A model that has seen one of them knows the others.

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from skinseg import ABCDFeaturizer, ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.evaluation import (
    bootstrap_interval,
    check_leakage,
    check_splits,
    find_duplicates,
    paired_bootstrap,
    run_experiment,
    split_by_group,
)

lesions = make_lesions(
    120, images_per_lesion=3, melanoma_fraction=0.4, class_sep=0.2, min_side=96, max_side=112, random_state=0
)
y, groups = lesions.target, lesions.groups
few = ABCDFeaturizer(groups=["asymmetry", "border", "color"])
pipe = make_lesion_pipeline(ThresholdSegmenter(), RandomForestClassifier(50, random_state=0), featurizer=few)
table = pipe[0].fit_transform(lesions.images)  # measured once
behind = pipe[1:]

# %%
# Leak 1: images of one lesion on both sides
# ------------------------------------------
#
# The classes of these lesions can hardly be told apart. Folds that part the pictures of a lesion make a good model of
# it.


def area_of(probability, groups=groups):
    """Area under the ROC curve, with a 95 % interval over lesions."""
    return bootstrap_interval(roc_auc_score, y, probability, groups=groups, n_resamples=200, random_state=0)


folds = {"by image": StratifiedKFold(4, shuffle=True, random_state=0), "by lesion": StratifiedGroupKFold(4)}
scores = {}
for name, splitter in folds.items():
    splits = list(splitter.split(table, y, groups if name == "by lesion" else None))
    scores[name] = cross_val_predict(behind, table, y, cv=splits, method="predict_proba")[:, 1]
    print(f"{name}: ROC AUC {area_of(scores[name])}")
    print(f"  {check_splits(splits, groups, y)}")

# %%
# ``check_splits`` tells of the leak before anything is fitted.
#
# Leak 2: what was learnt from all images
# ---------------------------------------
#
# Choosing features on all images, before the folds, lets the images left out have their say. Inside of the pipeline
# it does not. Here with noise for features, of which no honest score is above one half but by chance:

from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

noise = np.random.default_rng(0).normal(size=(len(y), 500))
splits = list(folds["by lesion"].split(noise, y, groups))
for name, data, model in (
    ("selected before", SelectKBest(k=10).fit_transform(noise, y), LogisticRegression()),
    ("in the pipeline", noise, make_pipeline(SelectKBest(k=10), LogisticRegression())),
):
    probability = cross_val_predict(model, data, y, cv=splits, method="predict_proba")[:, 1]
    print(f"{name}: ROC AUC {area_of(probability)}")

# %%
# Leak 3: the same picture twice
# ------------------------------
#
# Without ids, pictures tell. ``find_duplicates`` looks for copies, also such that were resized, turned or lightened;
# ``check_leakage`` for those on both sides of a split.

train, test = split_by_group(y, groups, test_size=0.3, random_state=0)
train_images, test_images = ([lesions.images[i] for i in part] for part in (train, test))
planted = [*test_images, np.ascontiguousarray(np.rot90(train_images[0]))]
print(check_leakage(train_images, test_images, train_groups=groups[train], test_groups=groups[test]))
print(find_duplicates(train_images, planted).to_string())

# %%
# Intervals
# ---------
#
# A score of few lesions is a guess. Intervals are drawn over lesions: over images they would be too narrow, for three
# pictures are not three lesions.

areas = {"over images": area_of(scores["by lesion"], None), "over lesions": area_of(scores["by lesion"])}
figure, ax = plt.subplots(figsize=(6, 2), layout="constrained")
for place, area in enumerate(areas.values()):
    ax.plot([area.low, area.high], [place, place], linewidth=4, color="#0072b2")
    ax.plot(area.value, place, "o", color="#d55e00")
    ax.annotate(str(area), (area.low, place), (0, 8), textcoords="offset points", fontsize=8)
ax.set_yticks(range(len(areas)), areas)
ax.set(xlabel="area under the ROC curve, folds by lesion", ylim=(-0.5, 1.8))

# %%
# Is one model better than another? Not whether their intervals overlap, but the interval of the difference on the
# same lesions says so.

logistic = make_lesion_pipeline(classifier=LogisticRegression(C=0.01))[1:]
splits = list(folds["by lesion"].split(table, y, groups))
other = cross_val_predict(logistic, table, y, cv=splits, method="predict_proba")[:, 1]
difference = paired_bootstrap(
    roc_auc_score, y, scores["by lesion"], other, groups=groups, n_resamples=200, random_state=0
)
print("forest minus logistic regression:", difference)

# %%
# All of it by one call
# ---------------------
#
# ``run_experiment`` writes a folder with a score of each image, intervals, subgroups, worst cases, duplicates, and
# what is needed to run it again.

few = make_lesions(24, min_side=96, max_side=112, random_state=1)
with tempfile.TemporaryDirectory() as folder:
    experiment = run_experiment(
        {"threshold": ThresholdSegmenter(), "pretrained": "pretrained"}, few, f"{folder}/scores", task="segmentation",
        n_resamples=200,
    )  # fmt: skip
    print(experiment.summary().to_string())

# %%
# On ISIC data
# ------------
#
# ``skinseg evaluate ISIC2017/ --layout isic2017 --subset validation --model pretrained --out scores/`` does that on
# the folder of the challenge. There, four of the validation images are second pictures of training images
# (:doc:`/datasets`).
