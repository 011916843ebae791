from ._color import ColorConstancy as ColorConstancy
from ._color import correct_color as correct_color
from ._color import estimate_illuminant as estimate_illuminant
from ._contrast import ContrastEqualizer as ContrastEqualizer
from ._contrast import equalize_contrast as equalize_contrast
from ._frame import FrameCropper as FrameCropper
from ._frame import crop_box as crop_box
from ._hair import HairRemover as HairRemover
from ._hair import find_hair as find_hair
from ._hair import remove_hair as remove_hair
from ._illumination import IlluminationCorrector as IlluminationCorrector
from ._illumination import correct_illumination as correct_illumination
from ._resize import ImageResizer as ImageResizer

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
