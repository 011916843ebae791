"""
Few melanomas: SMOTE in the pipeline, thresholds, ROC curves with intervals
===========================================================================

One lesion in six is a melanoma here. What resampling does, and what it does not, why accuracy misleads, and how a
threshold is chosen.
"""

# %%
# Lesions, and a split that keeps patients together
# -------------------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, roc_auc_score, roc_curve
from sklearn.model_selection import FixedThresholdClassifier, StratifiedGroupKFold, cross_val_predict

from skinseg import ABCDFeaturizer, ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.evaluation import bootstrap_interval, split_by_group, threshold_at_sensitivity

lesions = make_lesions(
    260, images_per_lesion=2, melanoma_fraction=0.17, class_sep=1.0, min_side=96, max_side=112, random_state=2
)
train, test = split_by_group(lesions.target, lesions.groups, test_size=0.4, random_state=0)
y, groups = lesions.target, lesions.groups
print(f"{y[train].sum()} of {len(train)} training and {y[test].sum()} of {len(test)} test images are melanomas")

# %%
# Images are measured once, whatever is tried on them; so the table can be made ahead, and the rest is a pipeline on a
# table. (On files, ``make_lesion_pipeline(memory="cache")`` does the same by a cache.)

lesion = make_lesion_pipeline(ThresholdSegmenter(), featurizer=ABCDFeaturizer(groups=["asymmetry", "border", "color"]))[
    0
]
table = lesion.fit_transform(lesions.images)

# %%
# Three ways to fit
# -----------------
#
# As it is; with class weights; with SMOTE, which makes melanomas between melanomas. A sampler of imbalanced-learn in
# the pipeline works in ``fit`` only: test images are never resampled, and in a cross-validation neither are those
# left out.


def model(sampler=None, class_weight=None):
    """Everything behind the table."""
    classifier = LogisticRegression(C=0.02, max_iter=1000, class_weight=class_weight)
    return make_lesion_pipeline(sampler=sampler, classifier=classifier)[1:]


ways = {
    "as it is": model(),
    "class weights": model(class_weight="balanced"),
    "SMOTE": model(SMOTE(random_state=0)),
}
scores = {name: way.fit(table[train], y[train]).predict_proba(table[test])[:, 1] for name, way in ways.items()}
for name, score in scores.items():
    called = score >= 0.5
    area = bootstrap_interval(roc_auc_score, y[test], score, groups=groups[test], n_resamples=150, random_state=0)
    print(
        f"{name:14s} ROC AUC {area}, mean probability {score.mean():.2f}; at 0.5: "
        f"accuracy {accuracy_score(y[test], called):.2f}, balanced {balanced_accuracy_score(y[test], called):.2f}, "
        f"melanomas found {recall_score(y[test], called):.2f}"
    )
print(f"accuracy of calling everything benign: {1 - y[test].mean():.2f}")

# %%
# The areas are the same within their intervals: weights and SMOTE move the probabilities, and so the point at 0.5,
# and hardly the order. The mean probability tells that they are no longer calibrated (the share of melanomas is
# 0.17). What differs is where a threshold of 0.5 falls, and that can be had without either.
#
# A threshold for a sensitivity
# -----------------------------
#
# Chosen on out-of-fold probabilities of the training images, by patient; then tried on the test images.

plain = ways["as it is"]
folds = StratifiedGroupKFold(4).split(table[train], y[train], groups[train])
held_out = cross_val_predict(plain, table[train], y[train], cv=list(folds), method="predict_proba")[:, 1]
threshold = threshold_at_sensitivity(y[train], held_out, 0.9)
tuned = FixedThresholdClassifier(plain, threshold=threshold, response_method="predict_proba").fit(
    table[train], y[train]
)
called = tuned.predict(table[test])
print(f"threshold {threshold:.3f}, chosen for a sensitivity of 0.9 on the training images")
for what, label in (("sensitivity", 1), ("specificity", 0)):
    right = called[y[test] == label] == label
    print(what, bootstrap_interval(np.mean, right, groups=groups[test][y[test] == label], random_state=0))

# %%
# The curve, with what few patients leave open
# --------------------------------------------
#
# Patients are drawn again with replacement, not images: two images of a patient are no two patients.

generator = np.random.default_rng(0)
members = [np.flatnonzero(groups[test] == group) for group in np.unique(groups[test])]
grid = np.linspace(0, 1, 101)
curves = []
while len(curves) < 200:
    drawn = np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])
    if 0 < y[test][drawn].sum() < len(drawn):
        wrong, right, _ = roc_curve(y[test][drawn], scores["as it is"][drawn])
        curves.append(np.interp(grid, wrong, right))
low, high = np.quantile(curves, [0.025, 0.975], axis=0)

figure, ax = plt.subplots(figsize=(5, 4.4), layout="constrained")
wrong, right, _ = roc_curve(y[test], scores["as it is"])
ax.plot(wrong, right, color="#0072b2", label="as it is")
ax.fill_between(grid, low, high, color="#0072b2", alpha=0.2, label="95 % of 200 draws of patients")
benign = y[test] == 0
ax.plot(called[benign].mean(), called[~benign].mean(), "o", color="#d55e00", label=f"threshold {threshold:.2f}")
ax.axline((0, 0), slope=1, color="0.7", linestyle=":")
ax.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
ax.legend(loc="lower right")

# %%
# On ISIC data
# ------------
#
# ``data = fetch_isic2017(task="classification")`` has 2,000 training images with 374 melanomas: ``data.images``,
# ``data.target``, ``data.groups``. The same was measured there: :doc:`/classification` has what samplers, weights and
# thresholds did.
