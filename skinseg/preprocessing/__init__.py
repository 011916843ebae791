"""Steps from image to image."""

from ._resize import ImageResizer

__all__ = ["ImageResizer"]
