"""Pictures of images and outlines."""

from ._sheet import contact_sheet, draw_outline

__all__ = ["contact_sheet", "draw_outline"]
