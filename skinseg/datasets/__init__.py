"""Data: lesions made to order, and tables of image files."""

from ._lesions import lesion_stream, make_lesions
from ._table import load_lesion_table

__all__ = ["lesion_stream", "load_lesion_table", "make_lesions"]
