"""Data: lesions made to order, and tables of image files."""

from ._lesions import make_lesions
from ._table import load_lesion_table

__all__ = ["load_lesion_table", "make_lesions"]
