"""What a classifier says of the images of a report, and what made it say so."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..base import nested_estimators
from ..bulk import positive_class, predict_records
from ..bulk._records import lesion_parts, metadata_of
from ..images import LesionImage
from ..outlining import quietly
from ..pretrained import PretrainedClassifier
from ._contributions import explain_prediction
from ._explanation import Contributions

__all__ = ["Verdicts", "judge_all"]

_ENOUGH = 10  # images that can serve as background for each other
_BUDGET = 4000  # images times background, where the classifier is asked for each


@dataclass
class Verdicts:
    """What a model says of images.

    Parameters
    ----------
    table : DataFrame of shape (n_images, n_columns)
        As of `skinseg.bulk.predict_files`, without ``image``.
    contributions : Contributions or None
        What each group of features added.
    note : str
        Why nothing is explained, or what it is explained against.
    classes : list
        Of the model.
    positive : object
        The positive of two classes.
    """

    table: pd.DataFrame
    classes: list[Any]
    positive: Any
    contributions: Contributions | None = None
    note: str = ""
    columns: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.columns = [name for name in self.table if name.startswith("probability_")]

    @property
    def is_binary(self) -> bool:
        """Whether there is one probability, of the positive of two classes."""
        return "melanoma_probability" in self.table

    def name_of(self, label: Any) -> str:
        """Name a class; of 0 and 1 that of melanoma is 1."""
        if set(self.classes) == {0, 1}:
            return "melanoma" if label else "benign"
        return str(label)

    @property
    def positive_name(self) -> str:
        """Name of the positive class."""
        return self.name_of(self.positive)


def judge_all(
    records: Sequence[LesionImage],
    model: Any,
    *,
    metadata: pd.DataFrame | None,
    positive: Any,
    background: Any,
    n_jobs: int | None,
    verbose: int,
) -> Verdicts:
    """Ask a fitted classifier about records, and what its answers stand on.

    Each image is measured once: what the model measures is kept in a folder
    for the moment, and read again for the explanation.

    Parameters
    ----------
    records : sequence of LesionImage
        The images.
    model : classifier
        Fitted; it is left as it is.
    metadata : DataFrame or None
        Clinical columns, a row an image.
    positive : object
        The positive of two classes.
    background : as X of `explain_prediction`, or None
        What contributions are measured from.
    n_jobs : int or None
        Workers.
    verbose : int
        Progress if above 0.

    Returns
    -------
    Verdicts
        A row an image.
    """
    with tempfile.TemporaryDirectory(prefix="skinseg-") as folder:
        model = deepcopy(model)
        packaged = [part for part in nested_estimators(model) if isinstance(part, PretrainedClassifier)]
        for part in [*lesion_parts(model), *packaged]:
            if part.memory is None:  # one of the user's serves as well, and may know the images already
                part.memory = folder
        classes = list(model.classes_)
        positive = positive_class(model, positive)
        verdicts = Verdicts(
            predict_records(records, model, metadata=metadata, positive=positive, n_jobs=n_jobs, verbose=verbose),
            classes,
            positive,
        )
        known = verdicts.table["error"].eq("").to_numpy()
        if not verdicts.is_binary:
            verdicts.note = "what raised a probability is told for models of two classes only"
        elif known.any():
            X = metadata_of(model, metadata)(list(records), list(range(len(records))))
            verdicts.contributions, verdicts.note = _explain(model, X, positive, background)
        return verdicts


def _explain(model: Any, X: Any, positive: Any, background: Any) -> tuple[Contributions | None, str]:
    count = len(X)
    try:
        if background is not None:
            return _against(model, X, positive, background, 100), ""
        return quietly(partial(explain_prediction, pos_label=positive), model, X), ""
    except ValueError as error:
        if background is not None or "background" not in str(error):
            return None, f"what raised the probabilities is not known: {error}"
    if count < _ENOUGH:
        return None, f"what raised the probabilities is not known: this model needs {_ENOUGH} images or more for that"
    try:
        found = _against(model, X, positive, X, int(np.clip(_BUDGET // count, 5, 50)))
    except ValueError as error:
        return None, f"what raised the probabilities is not known: {error}"
    return found, "contributions are measured from the other images of this report"


def _against(model: Any, X: Any, positive: Any, background: Any, n_background: int) -> Contributions:
    def explain() -> Contributions:
        return explain_prediction(
            model, X, background=background, pos_label=positive, n_background=n_background, n_repeats=4, random_state=0
        )

    found: Contributions = quietly(explain)
    return found
