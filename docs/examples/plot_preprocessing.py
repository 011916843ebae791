"""
Prepare images: hair, color of the light, uneven light
======================================================

What each step before the outline does to an image, and whether the outline, or a feature, gets better by it.
"""

# %%
# Hair
# ----
#
# ``HairRemover`` paints hair over and marks it in ``artifact_mask``, so that colors and structures leave these places
# out.

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skinseg import (
    ABCDFeaturizer,
    ColorConstancy,
    ContrastEqualizer,
    HairRemover,
    IlluminationCorrector,
    LesionImage,
    ThresholdSegmenter,
)
from skinseg.datasets import make_lesions


def show(pictures, columns):
    """Draw images in a grid."""
    rows = -(-len(pictures) // columns)
    size = 2.6 * columns, 2.5 * rows
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax, (title, image) in zip(axes.ravel(), pictures.items(), strict=False):
        ax.imshow(image, cmap="gray")
        ax.set_title(title, fontsize=10)
    for ax in axes.ravel():
        ax.axis("off")


lesions = make_lesions(12, random_state=4, hair_fraction=1.0, min_side=240, max_side=260)
hairy = int(lesions.frame["n_hairs"].argmax())
shaved = HairRemover().transform(lesions.images)
show(
    {
        "as it is": lesions.images[hairy],
        "painted over": shaved[hairy].artifact_mask,
        "without hair": shaved[hairy].image,
    },
    3,
)

# %%
# Does it change what is measured? The structures of the same lesions drawn without hair are not known, but hair is
# not one of them: streaks that were hair should go.

records = [LesionImage(image, mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)]
featurizer = ABCDFeaturizer(features=["structure_streaks", "structure_network", "color_black_share"])
before = featurizer.transform(records)
after = featurizer.transform(HairRemover().transform(records))
names = featurizer.get_feature_names_out()
print(pd.DataFrame({"with hair": before.mean(axis=0), "without": after.mean(axis=0)}, index=names).round(3))

# %%
# The color of the light
# ----------------------
#
# The same lesion under three lamps. ``ColorConstancy`` estimates the light and takes it out; "shades of gray" is what
# it does unless told otherwise.

lamps = {"daylight": (1.0, 1.0, 1.0), "warm": (1.15, 1.0, 0.75), "cold": (0.85, 1.0, 1.2)}
scene = lesions.images[2]
lit = {name: np.clip(scene * np.array(lamp), 0, 255).astype(np.uint8) for name, lamp in lamps.items()}
corrected = {f"{name}, corrected": ColorConstancy().transform([image])[0].image for name, image in lit.items()}
show({**lit, **corrected}, 3)


def spread(images):
    """Largest distance, in CIELAB, of the mean colors of images."""
    means = [cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2LAB).mean(axis=(0, 1)) for image in images]
    return max(np.linalg.norm(one - other) for one in means for other in means)


print(f"mean colors differ by {spread(lit.values()):.1f} before and by {spread(corrected.values()):.1f} after")

# %%
# Uneven light, low contrast
# --------------------------
#
# A shadow from the side, as of a dermatoscope that was held askew. ``IlluminationCorrector`` fits it to the skin;
# ``ContrastEqualizer`` (CLAHE) is for the eye.

shadow = np.linspace(1.0, 0.45, scene.shape[1])[None, :, None]
dim = (scene * shadow).astype(np.uint8)
even = IlluminationCorrector().transform([dim])[0].image
equalized = ContrastEqualizer().transform([dim])[0].image
show({"in a shadow": dim, "IlluminationCorrector": even, "ContrastEqualizer": equalized}, 3)

# %%
# Is it worth it?
# ---------------
#
# Measure, do not guess. A plain threshold, without what ``ThresholdSegmenter`` does by itself against hair and
# shading, on images with hair and a shadow:

plain = ThresholdSegmenter(flatten=False, hair_width=0.0)
images = [(image * np.linspace(1.0, 0.5, image.shape[1])[None, :, None]).astype(np.uint8) for image in lesions.images]
steps = {
    "nothing": [],
    "hair": [HairRemover()],
    "light": [IlluminationCorrector()],
    "both": [HairRemover(), IlluminationCorrector()],
}
for name, chain in steps.items():
    records = images
    for step in chain:
        records = step.transform(records)
    print(f"{name:8s} Jaccard index {plain.score(records, lesions.masks):.3f}")
print(f"nothing, ThresholdSegmenter() as it is: {ThresholdSegmenter().score(images, lesions.masks):.3f}")

# %%
# On ISIC data
# ------------
#
# Here the answer is another one: on 2,000 real images no step before ``ThresholdSegmenter()`` changes the mean by
# more than its error; :doc:`/preprocessing` has the table. In a pipeline the steps have their places:
# ``make_lesion_pipeline().set_params(lesion__hair=HairRemover(), lesion__color=ColorConstancy())``, and a grid search
# may choose them. With ``data = fetch_isic2017(subset="validation")`` in place of the drawing, ``data.images`` and
# ``data.masks`` take the place of ``images`` and ``lesions.masks``.
