"""Pictures of images and outlines, and explanations of what a classifier says of an image."""

from ._contributions import explain_prediction
from ._display_abcd import PANELS, ABCDDisplay, panel_axes
from ._display_errors import SegmentationErrorDisplay
from ._display_lesion import LesionDisplay
from ._explanation import Contributions
from ._groups import groups_of
from ._population import Population, load_population
from ._report import ReportSummary, write_report
from ._sheet import contact_sheet, draw_outline

__all__ = [
    "PANELS",
    "ABCDDisplay",
    "Contributions",
    "LesionDisplay",
    "Population",
    "ReportSummary",
    "SegmentationErrorDisplay",
    "contact_sheet",
    "draw_outline",
    "explain_prediction",
    "groups_of",
    "load_population",
    "panel_axes",
    "write_report",
]
