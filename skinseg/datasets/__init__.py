"""Data: lesions made to order, and tables of image files."""

from ._catalog import CATALOG, Dataset
from ._lesions import lesion_stream, make_lesions
from ._table import load_lesion_table

__all__ = ["CATALOG", "Dataset", "lesion_stream", "load_lesion_table", "make_lesions"]
