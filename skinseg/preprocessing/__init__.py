"""Steps from image to image."""

from ._color import ColorConstancy, correct_color, estimate_illuminant
from ._contrast import ContrastEqualizer, equalize_contrast
from ._frame import FrameCropper, crop_box
from ._hair import HairRemover, find_hair, remove_hair
from ._illumination import IlluminationCorrector, correct_illumination
from ._resize import ImageResizer

__all__ = [
    "ColorConstancy",
    "ContrastEqualizer",
    "FrameCropper",
    "HairRemover",
    "IlluminationCorrector",
    "ImageResizer",
    "correct_color",
    "correct_illumination",
    "crop_box",
    "equalize_contrast",
    "estimate_illuminant",
    "find_hair",
    "remove_hair",
]
