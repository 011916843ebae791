"""Checks of estimators of images, the image versions of scikit-learn's, and hypothesis strategies for images and masks.

For ours and for others'.
"""

from ._checks import check_image_estimator, image_checks
from ._discovery import all_estimators, make_instances
from ._state import process_state, process_untouched
from ._strategies import (
    IMAGE_KINDS,
    MASK_KINDS,
    ImageBatch,
    array_layouts,
    image_batches,
    images,
    images_and_masks,
    lesion_images,
    masks,
)
from ._strategies_files import FILE_KINDS, ImageFile, arrays_of_any_kind, image_files, tables

__all__ = [
    "FILE_KINDS",
    "IMAGE_KINDS",
    "MASK_KINDS",
    "ImageBatch",
    "ImageFile",
    "all_estimators",
    "array_layouts",
    "arrays_of_any_kind",
    "check_image_estimator",
    "image_batches",
    "image_checks",
    "image_files",
    "images",
    "images_and_masks",
    "lesion_images",
    "make_instances",
    "masks",
    "process_state",
    "process_untouched",
    "tables",
]
