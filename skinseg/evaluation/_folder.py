"""An experiment as it lies in its folder."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .._html import result_html
from .._tables import read_text_table

__all__ = ["Experiment", "RerunCheck", "load_experiment"]

FORMAT = 1
TOLERANCE = 1e-6  # by which scores of a rerun may differ, on another machine or with other versions


@dataclass
class RerunCheck:
    """Whether a rerun gave the same numbers.

    Parameters
    ----------
    identical : bool
        Whether all scores are the same to the last digit.
    same : bool
        Whether they are within 1e-6 and all texts and decisions are the same.
    largest : float
        Largest difference of a score.
    differences : list of str
        What differs, by column.
    changed : list of str
        Files of data and models that are not what they were, and versions.
    """

    identical: bool
    same: bool
    largest: float
    differences: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        return result_html(str(self))

    def __str__(self) -> str:
        if self.identical:
            lines = ["the same numbers as before, to the last digit"]
        elif self.same:
            lines = [f"the same numbers as before, within {TOLERANCE:g} (largest difference {self.largest:.1e})"]
        else:
            lines = ["NOT the same numbers as before:", *(f"  {text}" for text in self.differences)]
        if self.changed:
            lines += ["changed since:", *(f"  {text}" for text in self.changed)]
        return "\n".join(lines)


@dataclass
class Experiment:
    """An experiment as it lies in its folder.

    Parameters
    ----------
    folder : Path
        The folder.
    config : dict
        What `experiment.json` holds: settings, models, data, versions, results.
    scores : DataFrame
        A row an image and model.
    images : DataFrame
        A row an image: what is known and was measured of it, and hashes.
    rerun : RerunCheck, default=None
        Of a rerun, whether it gave the same numbers.
    """

    folder: Path
    config: dict[str, Any]
    scores: pd.DataFrame
    images: pd.DataFrame
    rerun: RerunCheck | None = None

    @property
    def task(self) -> str:
        """The task: ``"segmentation"`` or ``"classification"``."""
        return str(self.config["task"])

    @property
    def models(self) -> list[str]:
        """Labels of the models."""
        return list(self.config["models"])

    @property
    def n_failed(self) -> int:
        """Number of images that failed, with one model or more."""
        return int(self.scores.loc[self.scores["error"] != "", "name"].nunique())

    def _repr_html_(self) -> str:
        count = f"{len(self.images)} images, of which {self.n_failed} failed with a model or more"
        return result_html(f"experiment ({self.task}) in {self.folder}: {count}", self.summary())

    def summary(self) -> pd.DataFrame:
        """Give the scores of the models with their intervals.

        Returns
        -------
        DataFrame
            ``model``, ``score``, ``value``, ``low``, ``high``; a row a model
            and score.
        """
        headline = self.config["results"]["headline"]
        rows = [
            {"model": model, "score": name, **dict(zip(("value", "low", "high"), values, strict=True))}
            for model, found in headline.items()
            for name, values in found.items()
        ]
        return pd.DataFrame(rows).astype({"value": float, "low": float, "high": float})


def load_experiment(folder: str | os.PathLike[str]) -> Experiment:
    """Load an experiment from its folder.

    Parameters
    ----------
    folder : path-like
        The folder, or the ``experiment.json`` in it.

    Returns
    -------
    Experiment
        The experiment.

    Raises
    ------
    FileNotFoundError
        If there is none, or a file of it is missing.
    ValueError
        If a file cannot be read, or is of a later version.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == "experiment.json" else folder
    path = folder / "experiment.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no experiment: there is no experiment.json in it")
    try:
        config = json.loads(path.read_bytes())
        later = config["format"] > FORMAT
        if not later:
            _check_config(config)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: this is no experiment of skinseg, or it is damaged ({error})") from None
    if later:
        raise ValueError(
            f"{path} was written by a later skinseg ({config.get('versions', {}).get('skinseg')}); update it"
        )
    tables = {
        name: _read_table(folder / f"{name}.{config['settings']['table_format']}") for name in ("scores", "images")
    }
    return Experiment(folder.absolute(), config, tables["scores"], tables["images"])


def _check_config(config: dict[str, Any]) -> None:
    """Refuse what other functions would stumble over; the file may come from anywhere."""
    for name in ("settings", "models", "data", "versions", "results"):
        if not isinstance(config[name], dict):
            raise TypeError(f"{name!r} is no object")
    for label, source in config["models"].items():
        if re.fullmatch(r"[\w.+-]+", label) is None or not isinstance(source, dict):
            raise ValueError(f"{label!r} is no model")
    if config["settings"]["table_format"] not in ("csv", "parquet"):
        raise ValueError(f"table_format is {config['settings']['table_format']!r}")
    for part, names in _NEEDED.items():
        absent = [name for name in names if name not in (config[part] if part else config)]
        if absent:
            raise KeyError(*absent)


_NEEDED = {
    "": ("task", "classes", "positive", "folds", "notes", "checks"),
    "settings": ("sensitivity", "target_column", "subgroup_columns", "confidence"),
    "data": ("description", "table", "kept"),
    "versions": ("skinseg",),
    "results": ("n_images", "scores_sha256", "headline"),
}
_MAY_BE_EMPTY = ("note", "error", "image", "mask", "image_sha256", "mask_sha256")
_TEXTS: Any = dict.fromkeys(("name", "model", "group", "fold", *_MAY_BE_EMPTY), str)


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the file is missing from the experiment")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    empty: Any = {"keep_default_na": False, "na_values": [""]}  # an image or a group may be called NA
    table = read_text_table(path, dtype=_TEXTS, low_memory=False, **empty)
    texts = [name for name in _MAY_BE_EMPTY if name in table]
    table[texts] = table[texts].fillna("")
    return table
