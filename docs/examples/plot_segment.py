"""
Outline lesions, and compare the outlines
=========================================

Four segmenters outline the same lesions. Two of them have learnt nothing, one comes trained, and one puts several
together. How good are they, which outlines should a person look at, and where do they go wrong?
"""

# %%
# Lesions
# -------
#
# Every property of these lesions is known, their outlines too. They are made hard: pale, with hair, rulers, ink,
# stickers and dark frames. With other seeds the network finds no lesion at all in one or two of them, and says so by
# an ``EmptyMaskWarning``.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skinseg import EnsembleSegmenter, KMeansSegmenter, PretrainedSegmenter, ThresholdSegmenter
from skinseg.datasets import make_lesions
from skinseg.evaluation import bootstrap_interval
from skinseg.inspection import LesionDisplay, SegmentationErrorDisplay
from skinseg.metrics import jaccard_score

lesions = make_lesions(36, random_state=5, difficulty="hard")

# %%
# Four segmenters
# ---------------
#
# A segmenter takes files, arrays or records, of any sizes, and gives masks of the same sizes. ``jaccard_score`` with
# ``average=None`` has a value an image, over which the interval is taken.

segmenters = {
    "threshold": ThresholdSegmenter(),
    "k-means": KMeansSegmenter(),
    "ensemble": EnsembleSegmenter(),
    "pretrained": PretrainedSegmenter(),
}
masks = {name: segmenter.fit(lesions.images).predict(lesions.images) for name, segmenter in segmenters.items()}
scores = pd.DataFrame({name: jaccard_score(lesions.masks, found, average=None) for name, found in masks.items()})
for name in scores:
    print(f"{name:10s} {bootstrap_interval(np.mean, scores[name], random_state=0)}")

# %%
# A mean hides the failures: a network and a threshold fail on different images, and a box plot shows how badly.

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.boxplot(scores.to_numpy(), tick_labels=list(scores), orientation="horizontal")
ax.axvline(0.65, color="0.6", linestyle=":", label="below 0.65 an outline counts as failed (ISIC 2018)")
ax.set_xlabel("Jaccard index with the true outline")
ax.legend(loc="upper left", fontsize=8)

# %%
# Where they go wrong
# -------------------
#
# On the image on which they disagree most: what is lesion and was missed, and what is skin and was taken.

worst = int(scores.std(axis=1).idxmax())
figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
for ax, (name, found) in zip(axes.ravel(), masks.items(), strict=True):
    SegmentationErrorDisplay.from_predictions(
        lesions.images[worst], lesions.masks[worst], found[worst], name=name, ax=ax
    )

# %%
# Which to look at
# ----------------
#
# The truth is not known of new images. ``PretrainedSegmenter`` says how sure it is of each outline: the Jaccard index
# that is to be expected. Sort by it, and begin with the lowest. The true outline is vermilion.

records = segmenters["pretrained"].transform(lesions.images)
confidence = np.array([record.confidence for record in records])
print("correlation of confidence and Jaccard index:", np.corrcoef(confidence, scores["pretrained"])[0, 1].round(2))
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, index in zip(axes, np.argsort(confidence)[:3], strict=True):
    LesionDisplay.from_predictions(
        records[index], confidence=confidence[index], reference_mask=lesions.masks[index], name=f"image {index}", ax=ax
    )

# %%
# On ISIC data
# ------------
#
# The only change is where images and masks come from; ``docs/segmentation.md`` has what each segmenter reaches
# there::
#
#     from skinseg.datasets import fetch_isic2017  # pip install "scikit-skinseg[data]"
#
#     lesions = fetch_isic2017(subset="validation")  # 150 images: images, masks
#
# The drawn lesions are easier than real ones, and which segmenter is best here says nothing about which is best
# there.
