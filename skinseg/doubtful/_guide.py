"""The text that lies beside doubtful outlines."""

from __future__ import annotations

__all__ = ["GUIDE"]

GUIDE = """\
Outlines of skin lesions that are worth a look. Correct those that are wrong with any of the tools below.

  images/       copies of the images, upright, and beside each its outline for LabelMe (<name>.json)
  masks/        the outlines as black and white images (<name>_segmentation.png), for painting programs
  coco.json     the outlines of all images, for CVAT, Label Studio, FiftyOne and others
  doubtful.csv  the images, the least confident first; where they come from; how the outlines were. Do not edit it

One form is enough: correct an outline in one of the three, and leave the others as they are.

LabelMe       labelme images/      (LabelMe 5: labelme images/ --nodata --autosave)
              Move, add or delete corners; or delete the polygon and draw anew (polygon, rectangle or circle). Save.
              Where an outline is right as it is, tick "checked" under Flags. An outline with holes is a shape of the
              type "mask": it can be deleted and drawn anew.
CVAT          Make a task with a label "lesion" and the files of images/ (without the .json). Upload annotations,
              format "COCO 1.0": coco.json. Correct. Export annotations as "COCO 1.0" or "Segmentation mask 1.1",
              without images, and unpack the archive into a new folder in this one.
Label Studio  label-studio-converter import coco -i coco.json -o tasks.json \\
                  --image-root-url "/data/local-files/?d=images"
              says how to go on; boxes that come along are not needed. Export as COCO, and unpack the archive into a
              new folder in this one. Leave tasks.json elsewhere.
GIMP          Open the image, and the mask as a layer above it at half opacity. Paint white what is lesion and black
              what is not. Export the layer of the mask alone, under its old name in masks/.

Shapes of all labels count together, and several of an image are put together. What was not changed is told from what
was by the outline itself; saving a file again changes nothing. Images that are not changed (nor ticked) are not used.
Images in which no lesion was found have no outline: draw one.

Then, in Python (research use, no diagnosis):

  from skinseg.datasets import load_corrections
  corrections = load_corrections("this folder")
  segmenter.fit(corrections.images, corrections.masks)

docs/corrections.md of skinseg has more.
"""
