from . import asymmetry as asymmetry
from . import border as border
from . import color as color
from . import dimension as dimension
from . import structure as structure
from . import texture as texture
from ._abcd import ABCDFeaturizer as ABCDFeaturizer
from ._catalog import FEATURES as FEATURES
from ._cnn import CNNFeaturizer as CNNFeaturizer
from ._table import Feature as Feature
from .asymmetry import measure_asymmetry as measure_asymmetry
from .border import measure_border as measure_border
from .color import measure_color as measure_color
from .dimension import measure_dimension as measure_dimension
from .ruler import PixelSize as PixelSize
from .ruler import estimate_pixel_size as estimate_pixel_size
from .structure import measure_structure as measure_structure

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
