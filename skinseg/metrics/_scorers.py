"""Scorers of segmenters, for `cross_val_score` and grid searches."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from ..images import check_images, check_masks
from . import _boundary, _overlap

__all__ = ["MaskScorer", "get_mask_scorer"]

_SCORES: dict[str, Callable[..., Any]] = {
    "accuracy": _overlap.accuracy_score,
    "boundary_f1": _boundary.boundary_f1_score,
    "dice": _overlap.dice_score,
    "jaccard": _overlap.jaccard_score,
    "neg_average_symmetric_surface_distance": _boundary.average_symmetric_surface_distance,
    "neg_hausdorff_distance": _boundary.hausdorff_distance,
    "sensitivity": _overlap.sensitivity_score,
    "specificity": _overlap.specificity_score,
    "thresholded_jaccard": _overlap.thresholded_jaccard_score,
}


def _check_arguments(name: str, arguments: dict[str, Any]) -> None:
    """Refuse now what would fail only when the first model is trained."""
    if name not in _SCORES:
        raise ValueError(f"name must be one of {sorted(_SCORES)}, got {name!r}")
    score = _SCORES[name]
    allowed = [parameter for parameter in signature(score).parameters if parameter not in ("y_true", "y_pred")]
    unknown = sorted(arguments.keys() - set(allowed))
    if unknown:
        raise TypeError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(allowed)}")
    if "average" in arguments and arguments["average"] not in ("mean", "pooled"):
        raise ValueError(f"average must be 'mean' or 'pooled' in a scorer, got {arguments['average']!r}")
    if np.ndim(arguments.get("pixel_size", 0)):
        raise ValueError(
            "pixel_size must be one number in a scorer, which is given other images in each fold; for images of "
            "different scales measure with normalize='diagonal'"
        )
    one_pixel = [np.ones((1, 1), bool)]
    score(one_pixel, one_pixel, **arguments)  # raises where a value is out of its range


class MaskScorer:
    """Score of a segmenter, with the signature of a scikit-learn scorer.

    Other than a scorer of `sklearn.metrics.make_scorer` it also takes the
    expert's masks from the records, where y is None.

    Parameters
    ----------
    name : str
        ``"accuracy"``, ``"boundary_f1"``, ``"dice"``, ``"jaccard"``,
        ``"sensitivity"``, ``"specificity"`` or ``"thresholded_jaccard"``; or
        ``"neg_average_symmetric_surface_distance"`` or
        ``"neg_hausdorff_distance"`` (HD95 by default), negated since searches
        look for the greatest.
    **kwargs : dict
        Arguments of the score, such as ``average="pooled"`` or
        ``normalize="diagonal"``. They are checked at once.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        _check_arguments(name, kwargs)
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
            The score, the greater the better. An image that failed (None
            instead of a mask) counts as an empty mask.
        """
        if y is None:
            records = check_images(X, type(self).__name__)
            missing = [index for index, record in enumerate(records) if not record.has("reference_mask")]
            if missing:
                raise ValueError(f"without y every image needs a reference_mask; those at {missing[:10]} have none")
            y = [record.origin_plane("reference_mask") for record in records]
        y = list(y)
        predicted = list(estimator.predict(X))
        if any(mask is None for mask in predicted):
            truth = check_masks(y, estimator="y_true", allow_float=True)
            for index, mask in enumerate(predicted[: len(truth)]):
                if mask is None:
                    predicted[index] = np.zeros(_overlap._load(truth[index]).shape, bool)
        score = float(_SCORES[self.name](y, predicted, **self.kwargs))
        return -score if self.name.startswith("neg_") else score

    def __repr__(self) -> str:
        arguments = "".join(f", {key}={value!r}" for key, value in self.kwargs.items())
        return f"MaskScorer({self.name!r}{arguments})"


def get_mask_scorer(name: str, **kwargs: Any) -> MaskScorer:
    """Get a scorer of segmenters by the name of its score.

    Parameters
    ----------
    name : str
        ``"accuracy"``, ``"boundary_f1"``, ``"dice"``, ``"jaccard"``,
        ``"sensitivity"``, ``"specificity"`` or ``"thresholded_jaccard"``; or
        ``"neg_average_symmetric_surface_distance"`` or
        ``"neg_hausdorff_distance"`` (HD95 by default), negated since searches
        look for the greatest.
    **kwargs : dict
        Arguments of the score, such as ``average="pooled"`` or
        ``normalize="diagonal"``. They are checked at once.

    Returns
    -------
    MaskScorer
        A callable ``scorer(estimator, X, y=None)`` for the parameter
        ``scoring`` of scikit-learn.

    Raises
    ------
    ValueError
        If there is no such score, or an argument has a value out of its range.
    TypeError
        If the score has no such argument.

    See Also
    --------
    get_classification_scorer : Scorers of classifiers.

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
