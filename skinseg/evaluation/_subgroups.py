"""What is known or measured of each image, and the subgroups that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..artifacts import find_foreign
from ..clinical import CLINICAL_COLUMNS, _column, _is_unknown
from ..field import valid_field
from ..images import LesionImage
from ..preprocessing import find_hair
from ..skin import SKIN_TONES, individual_typology_angle, skin_tone

__all__ = ["FACTS", "image_facts", "make_subgroups"]

FACTS = ("height", "width", "lesion_share", "cut_by_edge", "hair_share", "ink_share", "typology_angle")
"""Columns that `image_facts` gives."""

NOT_KNOWN = "not known"
_DIAGNOSES = ("diagnosis", "dx", "diagnosis_1", "class", "benign_malignant")


def image_facts(record: LesionImage, mask: np.ndarray | None) -> dict[str, float]:
    """Measure what may make an image easy or hard.

    Parameters
    ----------
    record : LesionImage
        A loaded record.
    mask : ndarray of shape (H, W), bool, or None
        The lesion: the expert's outline, or that of a model.

    Returns
    -------
    dict of str to float
        ``height`` and ``width`` in pixels; ``lesion_share``, ``hair_share`` and
        ``ink_share`` (stickers and ink), shares of the valid field of view;
        ``cut_by_edge``, 1 where the lesion touches the edge of the image;
        ``typology_angle`` of the skin in degrees. NaN where it is not known.
    """
    image = record.image
    field = valid_field(image) if record.field is None else record.field
    area = max(1, int(np.count_nonzero(field)))
    hair = find_hair(image, field=field)
    known = mask is not None and mask.any()
    facts = {
        "height": float(image.shape[0]),
        "width": float(image.shape[1]),
        "lesion_share": np.nan,
        "cut_by_edge": np.nan,
        "hair_share": int(np.count_nonzero(hair)) / area,
        "ink_share": int(np.count_nonzero(find_foreign(image, field=field) & field)) / area,
        "typology_angle": individual_typology_angle(image, mask if known else None, field=field, exclude=hair),
    }
    if known and mask is not None:
        facts["lesion_share"] = min(1.0, int(np.count_nonzero(mask)) / area)
        facts["cut_by_edge"] = float(bool(mask[[0, -1]].any() or mask[:, [0, -1]].any()))
    return facts


def _bands(values: pd.Series, limits: list[float], names: list[str]) -> pd.Series:
    """Cut numbers into bands, each with its lower limit."""
    numbers = pd.to_numeric(values, errors="coerce")
    return pd.Series(pd.cut(numbers, [-np.inf, *limits, np.inf], right=False, labels=names), index=values.index)


def _ordered(values: Any, order: list[str]) -> pd.Series:
    return pd.Series(pd.Categorical(values, [*order, NOT_KNOWN], ordered=True)).fillna(NOT_KNOWN)


def _plain(values: pd.Series, prefix: str = "") -> pd.Series:
    """Give categories as text, in sorted order, with what is missing last."""
    texts = [None if _is_unknown(value) else prefix + _text(value) for value in values]
    return _ordered(texts, sorted({text for text in texts if text is not None}))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def make_subgroups(images: pd.DataFrame, *, target: str | None = None, columns: Any = ()) -> dict[str, pd.Series]:
    """Sort images into the subgroups for which scores are told.

    Parameters
    ----------
    images : DataFrame
        A row an image: the columns of `image_facts` and of the table of data.
    target : str, default=None
        Name of the column of the classes, ``target``, for display; None to leave
        it out.
    columns : sequence of str, default=()
        Further columns to go by.

    Returns
    -------
    dict of str to Series
        Title -> ordered categories, one an image; those in which all images are
        alike are left out.
    """
    found: dict[str, pd.Series] = {}
    if target is not None and "target" in images:
        found[f"Class ({target})"] = _plain(images["target"])
    lower = {str(column).lower(): column for column in images.columns}
    for name in [name for name in _DIAGNOSES if name in lower and lower[name] != target][:1]:
        found["Diagnosis"] = _plain(images[lower[name]])
    for column in columns:
        found[str(column)] = _plain(images[column])
    if any(name in lower for name in CLINICAL_COLUMNS):
        ages = pd.to_numeric(_column(images, ("age_approximate", "age_approx", "age")), errors="coerce")
        names = ["under 30", "30 to 44", "45 to 59", "60 to 74", "75 and over"]
        found["Age"] = _ordered(_bands(ages, [30, 45, 60, 75], names), names)
        found["Sex"] = _plain(_column(images, ("sex", "gender")))
        sites = ("site", "anatom_site_general", "anatom_site_general_challenge", "localization", "position")
        found["Site"] = _plain(_column(images, sites))
    if "typology_angle" in images:
        found |= _measured(images)
    return {title: values for title, values in found.items() if values.nunique() > 1}


def _measured(images: pd.DataFrame) -> dict[str, pd.Series]:
    sizes = ["under 0.2 megapixels", "0.2 to 1", "1 to 4", "4 megapixels and over"]
    areas = ["under 10 % of the view", "10 to 30 %", "30 % and over"]
    hairs = ["none or hardly any (under 0.5 %)", "some (0.5 to 3 %)", "much (3 % and over)"]
    inks = ["none or hardly any (under 1 %)", "some (1 % and over)"]
    angles = images["typology_angle"].to_numpy(float)
    cut = images["cut_by_edge"].map({0.0: "whole", 1.0: "cut by the edge of the image"})
    return {
        "Image size": _ordered(_bands(images["height"] * images["width"] / 1e6, [0.2, 1, 4], sizes), sizes),
        "Lesion size": _ordered(_bands(images["lesion_share"], [0.1, 0.3], areas), areas),
        "Lesion in the image": _ordered(cut, ["whole", "cut by the edge of the image"]),
        "Hair": _ordered(_bands(images["hair_share"], [0.005, 0.03], hairs), hairs),
        "Stickers and ink": _ordered(_bands(images["ink_share"], [0.01], inks), inks),
        "Skin tone (typology angle)": _ordered([skin_tone(angle) for angle in angles], list(SKIN_TONES)),
    }
