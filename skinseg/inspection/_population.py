"""Where a feature of a lesion stands among those of many lesions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from .._tables import shortened
from ..exceptions import ModelFileError
from ..features import FEATURES

__all__ = ["Population", "load_population"]

LEVELS = np.linspace(0, 1, 41)
_PACKAGED = ("isic2017",)


@dataclass(frozen=True, eq=False)
class Population:
    """Quantiles of features over groups of lesions.

    Parameters
    ----------
    description : str
        Which lesions, and how they were measured.
    sizes : dict of str to int
        Name of each group -> number of its lesions.
    quantiles : dict of str to (dict of str to ndarray of shape (n_levels,))
        Name of each group -> feature -> its quantiles at evenly spaced levels
        from 0 to 1.

    See Also
    --------
    load_population : The one that comes with the package.

    Examples
    --------
    >>> import pandas as pd
    >>> from skinseg.inspection import Population
    >>> table = pd.DataFrame({"border_score": [0.0, 1, 1, 2, 4, 8]})
    >>> population = Population.from_table(table, ["benign"] * 3 + ["melanoma"] * 3)
    >>> population.percentile("melanoma", "border_score", 4)
    50.0
    """

    description: str
    sizes: Mapping[str, int]
    quantiles: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def from_table(cls, table: pd.DataFrame, groups: Any = None, *, description: str = "lesions given") -> Population:
        """Make a population from a table of features.

        Parameters
        ----------
        table : DataFrame
            A row a lesion, such as `skinseg.bulk.measure_files` gives it;
            columns that are no features of skinseg are left out, and so are
            those in pixels, which say nothing about images of another size, and
            rows of which nothing was measured.
        groups : array-like of str, default=None
            The group of each row; one group, ``"reference"``, if None.
        description : str, default="lesions given"
            Which lesions.

        Returns
        -------
        Population
            The population.

        Raises
        ------
        ValueError
            If the table has no features, no rows or none that was measured, or
            if there are not as many groups as rows.
        """
        columns = [name for name in table if name in FEATURES and not FEATURES[name].unit.startswith("px")]
        if not columns or not len(table):
            raise ValueError(
                f"expected a table of features with at least a row, got {len(table)} rows with the columns "
                f"{', '.join(map(str, list(table)[:5]))}; `skinseg features` makes one"
            )
        names = np.full(len(table), "reference") if groups is None else np.asarray(groups).astype(str)
        if len(names) != len(table):
            raise ValueError(f"expected a group for each of {len(table)} rows, got {len(names)}")
        values = table[columns].apply(pd.to_numeric, errors="coerce")
        for name in columns:
            odd = np.flatnonzero(values[name].isna() & table[name].notna())
            if len(odd):
                value = shortened(table[name].iloc[odd[0]])
                raise ValueError(
                    f"{description}: the column {name!r} holds {value} in row {odd[0] + 1}, which is no number; "
                    "correct it, or leave the cell empty"
                )
        measured = values.notna().any(axis=1).to_numpy()
        if not measured.any():
            raise ValueError(f"nothing was measured in any of the {len(table)} rows; look at their column error")
        values, names = values[measured], names[measured]
        sizes = {str(name): int((names == name).sum()) for name in dict.fromkeys(names)}
        quantiles = {}
        for group in sizes:
            part = values[names == group]
            known = part.loc[:, part.notna().any()]
            quantiles[group] = {str(name): np.nanquantile(known[name], LEVELS) for name in known}
        return cls(description, sizes, quantiles)

    def percentile(self, group: str, name: str, value: float) -> float:
        """Tell the share of a group, in percent, whose feature is below a value.

        Of those with the very same value half are counted, so that of a score
        of few steps the percentile is that of the middle of a step.

        Parameters
        ----------
        group : str
            Name of the group.
        name : str
            Name of the feature.
        value : float
            Its value.

        Returns
        -------
        float
            From 0 to 100; NaN where the value or the quantiles are unknown.
        """
        known = self.quantiles[group].get(name)
        if known is None or np.isnan(value):
            return float("nan")
        levels = np.linspace(0, 100, len(known))
        low, high = np.searchsorted(known, value, "left"), np.searchsorted(known, value, "right")
        if low < high:  # quantiles that are the value itself
            return float((levels[low] + levels[high - 1]) / 2)
        return float(np.interp(value, known, levels))

    def to_json(self) -> str:
        """Give the population as JSON, with four digits a number.

        Returns
        -------
        str
            The JSON.
        """
        rounded = {
            group: {name: [float(f"{value:.4g}") for value in values] for name, values in features.items()}
            for group, features in self.quantiles.items()
        }
        return json.dumps({"description": self.description, "sizes": dict(self.sizes), "quantiles": rounded})

    @classmethod
    def from_json(cls, text: str | bytes) -> Population:
        """Read a population from JSON.

        Parameters
        ----------
        text : str or bytes
            What `to_json` gave.

        Returns
        -------
        Population
            The population.

        Raises
        ------
        ValueError
            If it is none, or damaged.
        """
        try:
            content = json.loads(text)
            quantiles = {
                group: {name: np.array(values, float) for name, values in features.items()}
                for group, features in content["quantiles"].items()
            }
            return cls(content["description"], content["sizes"], quantiles)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"this is no population of skinseg, or it is damaged ({type(error).__name__}: {error}); make it anew "
                "with Population.from_table(...).to_json()"
            ) from None


@cache
def load_population(name: str = "isic2017") -> Population:
    """Load the lesions that come with the package as a measure for others.

    Parameters
    ----------
    name : {"isic2017"}, default="isic2017"
        ``"isic2017"``: the training images of ISIC 2017, with the groups
        ``"benign"`` and ``"melanoma"``. They are a collection of a challenge,
        not of a practice, and the resolution of an image matters for sharpness
        and fine structures: percentiles are for orientation.

    Returns
    -------
    Population
        Their quantiles.

    Raises
    ------
    ValueError
        If there is no population of that name.
    ModelFileError
        If its file is missing or damaged.

    Examples
    --------
    >>> from skinseg.inspection import load_population
    >>> population = load_population()
    >>> sorted(population.sizes)
    ['benign', 'melanoma']
    """
    if name not in _PACKAGED:
        raise ValueError(f"there is no population {name!r}, but {', '.join(_PACKAGED)}; or use Population.from_table")
    path = files("skinseg") / "weights" / f"{name}_population.json"
    try:
        return Population.from_json(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{path}: the packaged population cannot be read ({error}); install the package again: "
            "pip install --force-reinstall --no-deps scikit-skinseg"
        ) from None
