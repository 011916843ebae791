"""Work on many files: feature tables and predictions, with bad files listed and nothing else lost."""

from ._measure import measure_files, measure_to_file
from ._predict import predict_files, predict_to_file
from ._records import NOT_IN_TABLE as NOT_IN_TABLE
from ._records import clinical_columns as clinical_columns
from ._records import lesion_parts as lesion_parts
from ._records import positive_class, predict_records, rows_for

__all__ = [
    "measure_files",
    "measure_to_file",
    "positive_class",
    "predict_files",
    "predict_records",
    "predict_to_file",
    "rows_for",
]
