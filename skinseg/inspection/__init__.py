"""Pictures of images and outlines, and explanations of what a classifier says of an image."""

from ._contributions import explain_prediction
from ._explanation import Contributions
from ._groups import groups_of
from ._population import Population, load_population
from ._sheet import contact_sheet, draw_outline

__all__ = [
    "Contributions",
    "Population",
    "contact_sheet",
    "draw_outline",
    "explain_prediction",
    "groups_of",
    "load_population",
]
