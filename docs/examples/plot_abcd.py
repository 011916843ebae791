"""
Measure one lesion by the ABCD rule, and explain the numbers
============================================================

A lesion is outlined and measured. Every number can be drawn on the image: the axes about which it is asymmetric, the
octants in which the pigment ends abruptly, the colors and structures that were counted.
"""

# %%
# From an image to a row of numbers
# ---------------------------------
#
# The lesion was drawn with four colors, four abrupt octants, and asymmetric in shape and color. A file name would do
# as well as the array.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skinseg import ABCDFeaturizer, LesionImage, PretrainedSegmenter
from skinseg.datasets import make_lesions
from skinseg.inspection import ABCDDisplay, load_population

dials = {"asymmetry_shape": 0.4, "asymmetry_color": 0.6, "n_colors": 4, "n_abrupt_octants": 4, "n_structures": 3}
lesions = make_lesions(
    1,
    random_state=1,
    melanoma_fraction=1.0,
    difficulty="easy",
    min_side=420,
    max_side=440,
    diameter_fraction=0.6,
    **dials,
)
image = LesionImage(lesions.images[0], pixel_size=lesions.frame["pixel_size"][0], name="lesion 1")

featurizer = ABCDFeaturizer(PretrainedSegmenter()).set_output(transform="pandas")
row = featurizer.fit_transform([image])
rule = ["asymmetry_score", "border_score", "color_count", "structure_count", "tds", "dimension_feret_max_mm"]
row[rule].T

# %%
# The geometry behind it
# ----------------------
#
# Each panel shows what a part of the score was measured on. The score is 1.3 A + 0.1 B + 0.5 C + 0.5 D.

ABCDDisplay.from_estimator(featurizer, image)

# %%
# The same as data: which of the two axes is asymmetric in what, which octants are abrupt, what covers how much.

found = featurizer.explain(image)
print("about the axes:", found.asymmetric)
print("abrupt octants:", [number for number, octant in enumerate(found.octants, start=1) if octant["abrupt"]])
shares = row.filter(regex="^color_(white|red|light_brown|dark_brown|blue_gray|black)_share$").T
print(shares[0].round(2).to_string())

# %%
# What was dialed, and what was found
# -----------------------------------

true = lesions.frame.iloc[0]
pd.DataFrame(
    {
        "dialed": [true["n_abrupt_octants"], true["n_colors"], true["n_structures"], round(true["diameter_mm"], 1)],
        "found": row[["border_score", "color_count", "structure_count", "dimension_feret_max_mm"]]
        .iloc[0]
        .round(1)
        .tolist(),
    },
    index=["abrupt octants", "colors", "structures", "diameter, mm"],
)

# %%
# The diameter that is dialed is that of a disc of the same area, the one that is measured the longest. A structure
# may be missed, and a patch of color taken for one: structures are experimental (:doc:`/abcd_rule`).
#
# Is that much?
# -------------
#
# A number says little without others beside it: where does it stand among the training images of ISIC 2017? Each bar
# goes to the share of a group whose value is lower. Images of a challenge are no sample of all lesions, and a drawn
# lesion is none of theirs.

population = load_population()
print(population.description, dict(population.sizes))
names = ["asymmetry_color", "border_sharpness_mean", "color_entropy", "structure_network", "tds"]
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for number, (group, color) in enumerate(zip(population.sizes, ("#0072b2", "#d55e00", "#999999"), strict=False)):
    percentiles = [population.percentile(group, name, row[name][0]) for name in names]
    ax.barh(np.arange(len(names)) + 0.25 * number, percentiles, height=0.22, color=color, label=f"of {group}")
ax.set_yticks(np.arange(len(names)) + 0.25, names)
ax.invert_yaxis()
ax.set(xlim=(0, 100), xlabel="percentile")
figure.legend(loc="outside upper right", ncols=2)

# %%
# On your own images
# ------------------
#
# ``ABCDDisplay.from_estimator(featurizer, "photos/lesion.jpg")`` draws the same of a file. ``skinseg features photos/
# --out features.csv`` measures a folder, and ``skinseg report photos/ --out report.html`` shows all of this for each
# image. Of ISIC 2017, ``fetch_isic2017(subset="validation").images[0]`` is a file to begin with.
