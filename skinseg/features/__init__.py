"""Clinical features of an outlined lesion: asymmetry, border, color, dimension and structures."""

from ._abcd import ABCDFeaturizer
from ._catalog import FEATURES
from ._cnn import CNNFeaturizer
from ._table import Feature
from .asymmetry import measure_asymmetry
from .border import measure_border
from .color import measure_color
from .dimension import measure_dimension
from .ruler import PixelSize, estimate_pixel_size
from .structure import measure_structure

__all__ = [
    "FEATURES",
    "ABCDFeaturizer",
    "CNNFeaturizer",
    "Feature",
    "PixelSize",
    "estimate_pixel_size",
    "measure_asymmetry",
    "measure_border",
    "measure_color",
    "measure_dimension",
    "measure_structure",
]
