"""The clinical half of a record: age, sex, site and the like as columns beside the lesion features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from .images import FRAME_COLUMNS

__all__ = [
    "image_and_reference_columns",
    "image_columns",
    "make_clinical_transformer",
    "make_scaler",
    "numeric_columns",
    "other_columns",
    "plain_categories",
]

MISSING = "missing"


def image_columns(frame: pd.DataFrame) -> list[str]:
    """Name the columns of a frame that belong to its images, without the reference masks.

    Parameters
    ----------
    frame : DataFrame
        A table with the column ``image`` and others.

    Returns
    -------
    list of str
        Those of ``image``, ``mask``, ``pixel_size`` and ``name`` that are
        there.

    Raises
    ------
    ValueError
        If it is no DataFrame, or has no column ``image``.
    """
    return [column for column in image_and_reference_columns(frame) if column != "reference_mask"]


def image_and_reference_columns(frame: pd.DataFrame) -> list[str]:
    """Name the columns of a frame that belong to its images, for segmenters that learn from reference masks.

    Parameters
    ----------
    frame : DataFrame
        A table with the column ``image`` and others.

    Returns
    -------
    list of str
        Those of ``image``, ``mask``, ``reference_mask``, ``pixel_size`` and
        ``name`` that are there.

    Raises
    ------
    ValueError
        If it is no DataFrame, or has no column ``image``.
    """
    columns = list(getattr(frame, "columns", ()))
    if "image" not in columns:
        raise ValueError(
            "images with clinical columns must come as a DataFrame with the column 'image' and the clinical ones, "
            f"got {f'the columns {columns}' if columns else type(frame).__name__}"
        )
    return [column for column in FRAME_COLUMNS if column in columns]


def numeric_columns(frame: pd.DataFrame) -> list[str]:
    """Name the columns of a frame that hold numbers; a column without any value counts among them.

    Parameters
    ----------
    frame : DataFrame
        Clinical columns.

    Returns
    -------
    list of str
        The names.
    """
    return [
        column
        for column in frame.columns
        if pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_bool_dtype(frame[column])
    ]


def other_columns(frame: pd.DataFrame) -> list[str]:
    """Name the columns of a frame that hold categories.

    Parameters
    ----------
    frame : DataFrame
        Clinical columns.

    Returns
    -------
    list of str
        The names.
    """
    numeric = set(numeric_columns(frame))
    return [column for column in frame.columns if column not in numeric]


def plain_categories(frame: pd.DataFrame) -> np.ndarray:
    """Bring categories into one form: str, with ``"missing"`` for whatever stands for no value.

    Parameters
    ----------
    frame : DataFrame
        Columns of categories.

    Returns
    -------
    ndarray of the same shape, object
        The categories.
    """
    return np.array(
        [[MISSING if pd.isna(value) else str(value) for value in column] for _, column in frame.items()], dtype=object
    ).T


def make_scaler() -> StandardScaler:
    """Make the scaler of the pipelines, which scales without sample weights.

    Returns
    -------
    StandardScaler
        Not fitted. With metadata routing enabled it says that it wants no
        weights, so that they can go to a classifier.
    """
    scaler = StandardScaler()
    if get_config()["enable_metadata_routing"]:
        scaler.set_fit_request(sample_weight=False)
    return scaler


def make_clinical_transformer() -> ColumnTransformer:
    """Make the transformer of clinical columns: imputed and scaled numbers, encoded categories.

    A number that is missing takes the median, with a further column that says
    so; a column without any number becomes 0. A category that is missing is a
    category of its own; one that was not seen in fit has 0 in all columns.

    Returns
    -------
    ColumnTransformer
        Not fitted; it takes a DataFrame of clinical columns only.

    Examples
    --------
    >>> import pandas as pd
    >>> from skinseg.clinical import make_clinical_transformer
    >>> frame = pd.DataFrame({"age": [30, 60, None], "sex": ["female", None, "male"]})
    >>> transformer = make_clinical_transformer().fit(frame)
    >>> transformer.get_feature_names_out().tolist()
    ['age', 'missingindicator_age', 'sex_female', 'sex_male', 'sex_missing']
    """
    numbers = Pipeline(
        [
            ("imputer", SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=True)),
            ("scaler", make_scaler()),
        ]
    )
    categories = Pipeline(
        [
            ("plain", FunctionTransformer(plain_categories, feature_names_out="one-to-one")),
            ("encoder", OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
        ]
    )
    kinds: Any = [("numbers", numbers, numeric_columns), ("categories", categories, other_columns)]
    return ColumnTransformer(kinds, verbose_feature_names_out=False)
