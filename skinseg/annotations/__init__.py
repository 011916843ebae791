"""Outlines in the forms of annotation tools: polygons, run lengths, LabelMe and COCO JSON, painted masks.

Coordinates are those that the tools show: x to the right, y down, the origin at the upper left corner of the image, so
that the pixel in row r and column c covers [c, c + 1] x [r, r + 1] and has its center at (c + 0.5, r + 0.5).
"""

from ._coco import CocoMasks, coco_content, read_coco, write_coco
from ._labelme import labelme_content, mask_of_labelme, read_labelme, write_labelme
from ._painted import read_painted_mask
from ._polygons import Polygon, mask_to_polygons, polygons_to_mask
from ._run_lengths import counts_of_text, counts_to_mask, mask_to_counts, outline_hash

__all__ = [
    "CocoMasks",
    "Polygon",
    "coco_content",
    "counts_of_text",
    "counts_to_mask",
    "labelme_content",
    "mask_of_labelme",
    "mask_to_counts",
    "mask_to_polygons",
    "outline_hash",
    "polygons_to_mask",
    "read_coco",
    "read_labelme",
    "read_painted_mask",
    "write_coco",
    "write_labelme",
]
