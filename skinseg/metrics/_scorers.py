"""Scorers of segmenters, for `cross_val_score` and grid searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..images import check_images
from . import _overlap

__all__ = ["MaskScorer", "get_mask_scorer"]

_SCORES: dict[str, Callable[..., Any]] = {
    "accuracy": _overlap.accuracy_score,
    "dice": _overlap.dice_score,
    "jaccard": _overlap.jaccard_score,
    "sensitivity": _overlap.sensitivity_score,
    "specificity": _overlap.specificity_score,
    "thresholded_jaccard": _overlap.thresholded_jaccard_score,
}


class MaskScorer:
    """Score of a segmenter, with the signature of a scikit-learn scorer.

    Other than a scorer of `sklearn.metrics.make_scorer` it also takes the
    expert's masks from the records, where y is None.

    Parameters
    ----------
    name : {"accuracy", "dice", "jaccard", "sensitivity", "specificity", "thresholded_jaccard"}
        The score.
    **kwargs : dict
        Arguments of the score, such as ``average="pooled"``.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        if name not in _SCORES:
            raise ValueError(f"name must be one of {sorted(_SCORES)}, got {name!r}")
        self.name = name
        self.kwargs = kwargs

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Predict the masks of X and score them.

        Parameters
        ----------
        estimator : segmenter
            With a method ``predict`` that gives masks.
        X : sequence of images
            Images.
        y : sequence of masks, default=None
            The expert's masks; the ``reference_mask`` of the records if None.

        Returns
        -------
        float
            The score. An image that failed (None instead of a mask) counts as
            an empty mask.
        """
        if y is None:
            records = check_images(X, type(self).__name__)
            missing = [index for index, record in enumerate(records) if not record.has("reference_mask")]
            if missing:
                raise ValueError(f"without y every image needs a reference_mask; those at {missing[:10]} have none")
            y = [record.origin_plane("reference_mask") for record in records]
        y = list(y)
        predicted = list(estimator.predict(X))
        for index, mask in enumerate(predicted):
            if mask is None:
                truth = y[index]
                shape = truth.shape if isinstance(truth, np.ndarray) else _overlap._load(truth).shape
                predicted[index] = np.zeros(shape, bool)
        return float(_SCORES[self.name](y, predicted, **self.kwargs))

    def __repr__(self) -> str:
        arguments = "".join(f", {key}={value!r}" for key, value in self.kwargs.items())
        return f"MaskScorer({self.name!r}{arguments})"


def get_mask_scorer(name: str, **kwargs: Any) -> MaskScorer:
    """Get a scorer of segmenters by the name of its score.

    Parameters
    ----------
    name : {"accuracy", "dice", "jaccard", "sensitivity", "specificity", "thresholded_jaccard"}
        The score.
    **kwargs : dict
        Arguments of the score, such as ``average="pooled"``.

    Returns
    -------
    MaskScorer
        A callable ``scorer(estimator, X, y=None)`` for the parameter
        ``scoring`` of scikit-learn.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skinseg import ThresholdSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.metrics import get_mask_scorer
    >>> data = make_lesions(6, random_state=0)
    >>> scores = cross_val_score(
    ...     ThresholdSegmenter(), data.images, data.masks, cv=3, scoring=get_mask_scorer("dice"))
    >>> scores.shape
    (3,)
    """
    return MaskScorer(name, **kwargs)
