"""
Explain what a model says of a lesion
=====================================

What raised and what lowered the probability: exactly for linear models, against a background for all others.
"""

# %%
# A model of lesions and clinical data
# ------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from skinseg import ThresholdSegmenter, load_pretrained, make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.inspection import LesionDisplay, explain_prediction

lesions = make_lesions(80, melanoma_fraction=0.4, min_side=128, max_side=144, random_state=0)
columns = ["age_approximate", "sex", "site"]
X = lesions.frame[columns].assign(image=lesions.images)
train, test = X[:60], X[60:]
model = make_lesion_pipeline(ThresholdSegmenter(), metadata=columns).set_params(classifier__C=0.01)
model.fit(train, lesions.target[:60])

# %%
# One lesion
# ----------
#
# ``explain_prediction`` shares the log-odds out among the groups of features. For a linear model these are exact, and
# add up.

explanation = explain_prediction(model, test)
case = int(np.argsort(explanation.probability.to_numpy())[-3])  # one of the likelier melanomas
print(explanation.to_text(case))


def draw(explanation, case, ax):
    """Draw the contributions of a case, the largest on top."""
    parts = explanation.contributions.iloc[case].sort_values(key=abs)
    ax.barh(parts.index, parts, color=np.where(parts > 0, "#d55e00", "#0072b2"))
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set_xlabel(f"contribution to the {explanation.scale.replace('_', '-')} (orange raises, blue lowers)")


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=[1, 1.7], layout="constrained")
outliner = ThresholdSegmenter()
LesionDisplay.from_estimator(
    outliner,
    test["image"].iloc[case],
    probability=float(explanation.probability.iloc[case]),
    name=f"case {case}",
    ax=left,
)
draw(explanation, case, right)

# %%
# By feature
# ----------
#
# ``by="feature"`` takes columns instead of groups. That features which go together share out at will shows best here:
# read groups first.

explained = explain_prediction(model, test, by="feature")
top = explained.contributions.iloc[case].sort_values(key=abs, ascending=False)[:8]
print(top.round(2).to_string())

# %%
# All lesions: what the model goes by
# -----------------------------------

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
order = explanation.contributions.abs().mean().sort_values().index
for row, name in enumerate(order):
    values = explanation.contributions[name]
    jitter = np.random.default_rng(row).uniform(-0.2, 0.2, len(values))
    ax.scatter(values, row + jitter, c=np.where(lesions.target[60:] == 1, "#d55e00", "#0072b2"), s=18)
ax.set_yticks(range(len(order)), order)
ax.axvline(0, color="0.3", linewidth=0.8)
ax.set_xlabel("contribution to the log-odds (orange: melanomas, blue: benign)")

# %%
# A model that is not linear
# --------------------------
#
# Groups of the background images take the place of those of the image, in all orders (Shapley values).

boosting = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=4, random_state=0)
trees = make_lesion_pipeline(ThresholdSegmenter(), boosting, metadata=columns).fit(train, lesions.target[:60])
by_trees = explain_prediction(trees, test[case : case + 1], background=train[:20], random_state=0)
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
draw(by_trees, 0, ax)
ax.set_title("the same lesion, by boosting", fontsize=10)

# %%
# The model that comes trained
# ----------------------------
#
# It says by itself what its network, the features and the clinical data added. It was trained on real images; on a
# drawing it shows no more than the form of the answer.

packaged = load_pretrained("melanoma")
print(explain_prediction(packaged, test[case : case + 1]).to_text(0))

# %%
# On your own images
# ------------------
#
# A table with the column ``image`` (paths) and the clinical ones is all it takes:
# ``explain_prediction(load_pretrained("melanoma"), frame)``. Of ISIC 2017, ``fetch_isic2017(task="classification",
# subset="validation").frame`` is one. :doc:`/explanations` tells how to read it; an explanation is of the model, not
# of the lesion.
