"""Clinical features of an outlined lesion: asymmetry, border, color, dimension."""

from ._abcd import ABCDFeaturizer
from ._catalog import FEATURES
from ._table import Feature
from .asymmetry import measure_asymmetry
from .border import measure_border
from .color import measure_color
from .dimension import measure_dimension

__all__ = [
    "FEATURES",
    "ABCDFeaturizer",
    "Feature",
    "measure_asymmetry",
    "measure_border",
    "measure_color",
    "measure_dimension",
]
