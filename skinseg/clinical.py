"""The clinical half of a record: age, sex, site and the like as columns beside the lesion features."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from ._tables import shortened
from .exceptions import SkinsegWarning
from .images import FRAME_COLUMNS

__all__ = [
    "CLINICAL_COLUMNS",
    "clinical_table",
    "image_and_reference_columns",
    "image_columns",
    "make_clinical_transformer",
    "make_scaler",
    "normalized_clinical",
    "numeric_columns",
    "other_columns",
    "plain_categories",
    "wrong_ages",
]

# names of columns and of sites in other tables of the ISIC, in HAM10000 and in lists of clinics
_COLUMNS = {
    "age_approximate": ("age_approximate", "age_approx", "age"),
    "sex": ("sex", "gender"),
    "site": ("site", "anatom_site_general", "anatom_site_general_challenge", "localization", "position"),
}
CLINICAL_COLUMNS = tuple(name for names in _COLUMNS.values() for name in names)
"""Names under which age, sex and site are looked for, whatever their case."""

_SITES = {
    "abdomen": "anterior torso", "chest": "anterior torso", "back": "posterior torso", "face": "head/neck",
    "scalp": "head/neck", "ear": "head/neck", "neck": "head/neck", "head": "head/neck", "hand": "upper extremity",
    "foot": "lower extremity", "acral": "palms/soles", "genital": "oral/genital",
}  # fmt: skip
_SEXES = {"f": "female", "w": "female", "m": "male"}
_UNKNOWN = ("", "unknown", "nan", "none", "na", "n/a")

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


def clinical_table(frame: pd.DataFrame, settings: dict[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
    """Bring age, sex and site into columns of numbers.

    Parameters
    ----------
    frame : DataFrame
        With some of age, sex and site, under the usual names.
    settings : dict
        Of the model: ``categories``, the known values of sex and site.

    Returns
    -------
    table : DataFrame
        ``age_approximate``, and a column of 0 and 1 for each category; NaN
        where it is not known.
    known : ndarray of shape (n_images,), bool
        Rows of which anything is known.

    Raises
    ------
    ValueError
        If an age is no number, or not from 0 to 120.
    """
    given = {name: _column(frame, names) for name, names in _COLUMNS.items()}
    wrong = wrong_ages(frame)
    if wrong:
        listed = "; ".join(f"row {row}: {text}" for row, text in list(wrong.items())[:5])
        raise ValueError(f"{len(wrong)} of {len(frame)} rows have no age that can be used: {listed}")
    age = _ages(given["age_approximate"])
    columns = {"age_approximate": age}
    known = ~np.isnan(age)
    for name, choices in settings["categories"].items():
        values = np.array([_category(value, name) for value in given[name]], dtype=object)
        strange = sorted({value for value in values if value is not None and value not in choices})
        if strange:
            warnings.warn(
                f"the model knows no {name} called {', '.join(map(repr, strange))} and takes it as not known; it knows "
                f"{', '.join(choices)}",
                SkinsegWarning,
                stacklevel=2,
            )
        found = np.isin(values, choices)
        known |= found
        columns |= {f"{name}_{choice}": np.where(found, values == choice, np.nan) for choice in choices}
    return pd.DataFrame(columns, index=frame.index), known


def normalized_clinical(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring age, sex and site of any table into one spelling.

    Parameters
    ----------
    frame : DataFrame
        With some of age, sex and site, under the usual names.

    Returns
    -------
    DataFrame
        Those of ``age_approximate`` (years, NaN where it is not known),
        ``sex`` and ``site`` (lower case, None where not known) that the frame
        has under any of their names.

    Examples
    --------
    >>> import pandas as pd
    >>> from skinseg.clinical import normalized_clinical
    >>> normalized_clinical(pd.DataFrame({"age": [45, None], "localization": ["back", "unknown"]}))
       age_approximate             site
    0             45.0  posterior torso
    1              NaN             None
    """
    there = {str(column).lower() for column in frame.columns}
    columns = {}
    for name, names in _COLUMNS.items():
        if there.intersection(names):
            given = _column(frame, names)
            values = _ages(given) if name == "age_approximate" else [_category(value, name) for value in given]
            columns[name] = pd.Series(values, index=frame.index, dtype=float if name == "age_approximate" else object)
    return pd.DataFrame(columns, index=frame.index)


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    """Take of each row the first of the columns that has a value."""
    lower = [str(column).lower() for column in frame.columns]
    result = pd.Series([None] * len(frame), index=frame.index, dtype=object)
    for name in names:
        places = [place for place, column in enumerate(lower) if column == name]
        if len(places) > 1:
            raise ValueError(f"the frame has {len(places)} columns {name!r}; keep one of them")
        if places:
            given = frame.iloc[:, places[0]].astype(object)
            empty = [_is_unknown(value) for value in result]
            result = result.where(~np.array(empty, bool), given)
    return result


def _is_unknown(value: Any) -> bool:
    return bool(pd.isna(value)) or str(value).strip().lower() in _UNKNOWN


def _ages(values: pd.Series) -> np.ndarray:
    plain = [None if _is_unknown(value) or isinstance(value, (bool, np.bool_)) else value for value in values]
    return pd.to_numeric(pd.Series(plain, dtype=object), errors="coerce").to_numpy(float)


def wrong_ages(frame: pd.DataFrame) -> dict[int, str]:
    """Find the rows whose age is no number of years.

    Parameters
    ----------
    frame : DataFrame
        See `clinical_table`.

    Returns
    -------
    dict of int to str
        Position of the row -> what is wrong.
    """
    given = _column(frame, _COLUMNS["age_approximate"])
    return {
        row: f"the age must be a number of years from 0 to 120, or empty; it is {shortened(value)}"
        for row, (value, age) in enumerate(zip(given, _ages(given), strict=True))
        if not _is_unknown(value) and not 0 <= age <= 120
    }


def _category(value: Any, name: str) -> str | None:
    if _is_unknown(value):
        return None
    text = str(value).strip().lower()
    return (_SEXES if name == "sex" else _SITES).get(text, text)
