"""
Correct the outlines that are in doubt, and learn from them
===========================================================

Most outlines of a segmenter are good, and it knows which are not so sure. Those go to a person with an annotation
tool, and come back as masks to learn from. Here the person is played by the true outlines.
"""

# %%
# Outline, and look at the least certain
# --------------------------------------
#
# Images that are harder than those that ``PretrainedSegmenter`` comes from: with hair, rulers, ink and frames.

import tempfile
import warnings
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from skinseg import PretrainedSegmenter, SuperpixelSegmenter
from skinseg.datasets import load_corrections, make_lesions
from skinseg.doubtful import write_doubtful
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.inspection import contact_sheet
from skinseg.metrics import jaccard_score
from skinseg.outlining import segment_files

place = tempfile.TemporaryDirectory()
folder = Path(place.name)
(folder / "photos").mkdir()
lesions = make_lesions(42, random_state=5, difficulty="hard", max_side=200)
files = [folder / "photos" / f"lesion_{index:02d}.png" for index in range(42)]
for file, image in zip(files, lesions.images, strict=True):
    cv2.imwrite(str(file), image[..., ::-1])
truth = dict(zip([file.name for file in files], lesions.masks, strict=True))
seen, others = files[:30], files[30:]

outlines = segment_files(seen, folder / "masks", PretrainedSegmenter())
print(outlines["confidence"].describe()[["min", "25%", "50%", "max"]].round(2).to_string())

# %%
# Hand them out
# -------------
#
# On the command line: ``skinseg segment photos/ --out masks/ --doubtful review/ --doubtful-number 8``. The folder
# has copies of the images, each outline for LabelMe, as COCO and as a mask, and a README for the person.

written = write_doubtful(outlines, folder / "review", number=8)
print(written.n_written, "images:", sorted(path.name for path in (folder / "review").iterdir()))

# %%
# The person
# ----------
#
# would open LabelMe, CVAT or an editor. Here the true outline is painted into the mask file of each image, a little
# roughly, as by a hand.

for mask_file in sorted((folder / "review" / "masks").glob("*_segmentation.png")):
    mask = truth[mask_file.name.replace("_segmentation.png", ".png")]
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    cv2.imwrite(str(mask_file), cv2.morphologyEx(mask.astype(np.uint8) * 255, cv2.MORPH_CLOSE, brush))

# %%
# Back as masks
# -------------
#
# Only what was changed counts as corrected.

corrections = load_corrections(folder / "review")
print(corrections.frame[["name", "confidence", "corrected", "source"]].head().to_string(index=False))

found = dict(zip(outlines["image"].map(lambda path: Path(path).name), outlines["mask"].map(Path), strict=True))
names = [Path(image).name for image in corrections.images]
sheet = contact_sheet(corrections.images, [found[name] for name in names], references=corrections.masks, columns=4)
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
ax.imshow(sheet)
ax.set_title("found (green) and corrected (vermilion)", fontsize=10)
ax.axis("off")

# %%
# Learn from them
# ---------------
#
# A segmenter that learns in seconds, from the eight corrected outlines, and from eight that were drawn at random for
# comparison. Both are tried on images that neither has seen. (A network goes on from the one that comes trained:
# ``EfficientUNetSegmenter(weights="skinseg")``, :doc:`/corrections`.)


def learner():
    """Make a small segmenter that learns from masks."""
    return SuperpixelSegmenter(150, max_iter=30, random_state=0)


drawn = np.random.default_rng(0).choice(len(seen), 8, replace=False)
learnt = {
    "pretrained, as it comes": PretrainedSegmenter(),
    "learnt from the 8 corrected": learner().fit(corrections.images, corrections.masks),
    "learnt from 8 at random": learner().fit([seen[i] for i in drawn], [lesions.masks[i] for i in drawn]),
}
scores = {}
for name, segmenter in learnt.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)  # counted, as 0
        masks = segmenter.predict(others)
    scores[name] = jaccard_score([truth[file.name] for file in others], masks, average=None)
    print(f"{name:30s} {bootstrap_interval(np.mean, scores[name], random_state=0)}")

# %%
# Whether the doubtful ones teach more than others is open: they are harder, and so few that the intervals say little.
# That they are right now is not.
#
# And the images that were corrected
# ----------------------------------
#
# What the work was worth there and then: the masks that go into the measurements are right where they were worst.

before = jaccard_score(lesions.masks[:30], [found[file.name] for file in seen], average=None)
corrected = dict(zip(names, corrections.masks, strict=True))
final = [corrected.get(file.name, found[file.name]) for file in seen]
after = jaccard_score(lesions.masks[:30], final, average=None)
print(f"mean Jaccard index {before.mean():.3f} before, {after.mean():.3f} after; below 0.65: {(before < 0.65).sum()}, "
      f"{(after < 0.65).sum()}")  # fmt: skip
figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
ax.scatter(outlines["confidence"], before, color="#d55e00", label="before")
ax.scatter(outlines["confidence"], after, color="#009e73", s=12, label="after")
ax.set(xlabel="confidence", ylabel="Jaccard index with the true outline")
ax.legend()
place.cleanup()

# %%
# On ISIC data
# ------------
#
# On the 150 validation images of ISIC 2017 the tenth with the lowest confidence has 11 of the 25 outlines that fail:
# :doc:`/corrections` has the figures, and what each annotation tool makes of the folder.
