"""
Tune segmenter, preparation and classifier in one grid search
=============================================================

The pipeline from images to a probability is one estimator of scikit-learn, so that one search chooses among outlines,
preparation, features and classifiers. Images are outlined and measured once a setting, not once a fit.
"""

# %%
# The pipeline and its names
# --------------------------
#
# ``make_lesion_pipeline`` gives an imbalanced-learn ``Pipeline``; its first step, ``lesion``, goes from files to a
# table.

import tempfile
import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from skinseg import ABCDFeaturizer, HairRemover, PretrainedSegmenter, ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.evaluation import bootstrap_interval, split_by_group

lesions = make_lesions(
    72, images_per_lesion=2, melanoma_fraction=0.4, class_sep=0.7, min_side=112, max_side=128, random_state=1
)
train, test = split_by_group(lesions.target, lesions.groups, test_size=0.35, random_state=0)
cache = tempfile.TemporaryDirectory()  # a folder of your own keeps the rows for the next search
few = ABCDFeaturizer(groups=["asymmetry", "border", "color"])  # all groups take twice the time
pipe = make_lesion_pipeline(featurizer=few, memory=cache.name)
pipe

# %%
# The search
# ----------
#
# Whole steps are parameters, too: a segmenter, ``"passthrough"`` or a step of preparation, a classifier. Folds keep
# the images of a lesion together.

outlines = {
    "lesion__segmenter": [PretrainedSegmenter(), ThresholdSegmenter()],
    "lesion__hair": ["passthrough", HairRemover()],
}
grid = [
    {**outlines, "classifier": [LogisticRegression(max_iter=1000)], "classifier__C": [0.003, 0.1]},
    {**outlines, "classifier": [RandomForestClassifier(30, random_state=0)], "classifier__max_features": ["sqrt"]},
]
search = GridSearchCV(pipe, grid, cv=StratifiedGroupKFold(3), scoring="roc_auc")
start = time.perf_counter()
search.fit([lesions.images[i] for i in train], lesions.target[train], groups=lesions.groups[train])
found = pd.DataFrame(search.cv_results_)
print(
    f"{3 * len(found)} fits in {time.perf_counter() - start:.1f} s: 4 ways to outline and prepare, each once an image"
)

# %%
# What was chosen, and by how much
# --------------------------------
#
# The bars are standard deviations over three folds. Where they overlap like that, the choice is a matter of chance,
# and the simplest will do.

found["outline"] = [type(step).__name__ for step in found["param_lesion__segmenter"]]
found["hair"] = ["kept" if step == "passthrough" else "removed" for step in found["param_lesion__hair"]]
found["model"] = [
    "forest" if isinstance(step, RandomForestClassifier) else f"logistic, C={strength:g}"
    for step, strength in zip(found["param_classifier"], found["param_classifier__C"], strict=True)
]
best = found.sort_values("mean_test_score", ascending=False)
print(best[["outline", "hair", "model", "mean_test_score", "std_test_score"]].head(6).to_string(index=False))

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
labels = best["outline"] + ", hair " + best["hair"] + ", " + best["model"]
ax.errorbar(best["mean_test_score"], range(len(best)), xerr=best["std_test_score"], fmt="o", color="#0072b2")
ax.set_yticks(range(len(best)), labels, fontsize=7)
ax.invert_yaxis()
ax.set_xlabel("area under the ROC curve, cross-validated")

# %%
# What it is worth
# ----------------
#
# ``best_score_`` is the best of twelve, and so too good. Lesions that had no part in the search tell more, with an
# interval.

probability = search.predict_proba([lesions.images[i] for i in test])[:, 1]
print("best of the search:", round(search.best_score_, 3))
area = bootstrap_interval(
    roc_auc_score, lesions.target[test], probability, groups=lesions.groups[test], n_resamples=500, random_state=0
)
print("on other lesions:", area)
cache.cleanup()

# %%
# On ISIC data, or your own
# -------------------------
#
# Paths take the place of the arrays::
#
#     data = load_lesion_table("lesions.csv", target_column="diagnosis", group_column="patient")
#     data = fetch_isic2017(task="classification")  # or this
#     search.fit(data.images, data.target, groups=data.groups)
#
# Give ``GridSearchCV`` an ``n_jobs``, and ``memory="cache"`` a folder on disk. :doc:`/classification` has a space
# that was searched on 2,000 images, :doc:`/scaling` the same on a cluster.
