"""Several segmenters together."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition

from .._docs import fill_doc
from .._html import parallel_block
from .._mapping import transform_batch
from ..base import BaseSegmenter
from ..images import LesionImage, check_images
from ..masks import expected_jaccard
from ._chan_vese import ChanVeseSegmenter
from ._saliency import SaliencySegmenter
from ._threshold import ThresholdSegmenter

__all__ = ["EnsembleSegmenter"]


@fill_doc(working_size=256, opening="0.0", closing="0.0", margin="0.0", smoothing="0.0", min_area=0.001)
class EnsembleSegmenter(BaseSegmenter, _BaseComposition):
    """Outline the lesion by a vote, or the mean probability, of several segmenters.

    Parameters
    ----------
    segmenters : list of (str, segmenter) tuples, default=None
        The members, cloned at fit; those that learn are fitted on the same
        images, trained ones go in as ``FrozenEstimator(segmenter)``. None is
        `ThresholdSegmenter`, `SaliencySegmenter` and `ChanVeseSegmenter`, of
        which nothing is learnt.
    voting : {"hard", "soft"}, default="hard"
        ``"hard"``: each member's outline has a vote, and the lesion is where
        half of the votes or more are. ``"soft"``: the mean of the
        probabilities, of the outline where a member gives none.
    weights : array-like of shape (n_segmenters,), default=None
        Weights of the members, at least 0 and not all 0; all alike if None.
    %(working_size)s
    %(post_processing)s
    %(execution)s

    Attributes
    ----------
    segmenters_ : list of (str, segmenter) tuples
        The fitted members.
    named_segmenters_ : dict of str to segmenter
        The same by name.
    %(errors_)s

    Notes
    -----
    The ``confidence`` of the records is the Jaccard index to be expected of the
    outline if the shares of the votes (or the mean probabilities) were
    probabilities: 1 where all members agree. It tells how far they do, and not
    that the outline is right.

    Members see a copy of ``working_size`` and may shrink it further. Each
    parameter of a member takes effect at the next fit.

    Examples
    --------
    >>> from skinseg import EnsembleSegmenter, KMeansSegmenter, ThresholdSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> segmenter = EnsembleSegmenter([
    ...     ("otsu", ThresholdSegmenter()),
    ...     ("li", ThresholdSegmenter("li")),
    ...     ("kmeans", KMeansSegmenter()),
    ... ])
    >>> bool(segmenter.score(lesions.images, lesions.masks) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseSegmenter._parameter_constraints,
        "segmenters": [list, None],
        "voting": [StrOptions({"hard", "soft"})],
        "weights": ["array-like", None],
        "working_size": [Interval(Integral, 16, None, closed="left")],
    }
    _gives_probabilities = True

    def __init__(
        self,
        segmenters: list[tuple[str, Any]] | None = None,
        *,
        voting: str = "hard",
        weights: Any = None,
        working_size: int = 256,
        opening: float = 0.0,
        component: str = "central",
        closing: float = 0.0,
        fill_holes: bool = True,
        margin: float = 0.0,
        smoothing: float = 0.0,
        min_area: float = 0.001,
        fallback: str = "empty",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.segmenters = segmenters
        self.voting = voting
        self.weights = weights
        self.working_size = working_size
        self.opening = opening
        self.component = component
        self.closing = closing
        self.fill_holes = fill_holes
        self.margin = margin
        self.smoothing = smoothing
        self.min_area = min_area
        self.fallback = fallback
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        members = self.segmenters if isinstance(self.segmenters, list) else []
        pairs = [item for item in members if isinstance(item, (tuple, list)) and len(item) == 2]
        tags.requires_fit = any(
            get_tags(item[1]).requires_fit for item in pairs if hasattr(item[1], "__sklearn_tags__")
        )
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those of the members included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the members and their parameters by name.

        Returns
        -------
        dict
            The parameters.
        """
        params: dict[str, Any] = self._get_params("segmenters", deep=deep)
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, replace members by name, or set parameters of members.

        Parameters
        ----------
        **params : dict
            ``name=segmenter`` or ``name__parameter=value``.

        Returns
        -------
        self : object
            The ensemble.
        """
        self._set_params("segmenters", **params)
        return self

    def _members(self) -> list[tuple[str, Any]]:
        """Check the members and their weights; give the fitted ones where there are."""
        fitted: list[tuple[str, Any]] | None = getattr(self, "segmenters_", None)
        if fitted is not None:
            return fitted
        if self.segmenters is None:
            return [
                ("threshold", ThresholdSegmenter()),
                ("saliency", SaliencySegmenter()),
                ("chan_vese", ChanVeseSegmenter()),
            ]
        for item in self.segmenters:
            if not (isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str)):
                raise ValueError(
                    f"The 'segmenters' parameter of EnsembleSegmenter must be a list of (name, segmenter) pairs. "
                    f"Got {item!r} in it."
                )
            if isinstance(item[1], type) or not (hasattr(item[1], "fit") and hasattr(item[1], "predict")):
                raise TypeError(
                    f"The member {item[0]!r} of EnsembleSegmenter must be a segmenter with fit and predict. "
                    f"Got {item[1]!r}."
                )
        if not self.segmenters:
            raise ValueError("The 'segmenters' parameter of EnsembleSegmenter must hold at least one segmenter.")
        self._validate_names([name for name, _ in self.segmenters])
        return self.segmenters

    def _sk_visual_block_(self) -> Any:
        return parallel_block(self._members())

    def _check_ready(self) -> None:
        super()._check_ready()
        members = self._members()
        self._shares(len(members))
        for _, member in members:
            check = getattr(member, "_check_ready", None)
            if check is not None:
                check()

    def _shares(self, number: int) -> np.ndarray:
        """Give the weights of the members, of sum 1."""
        if self.weights is None:
            return np.full(number, 1 / number)
        try:
            weights = np.asarray(self.weights, dtype=float)
        except (TypeError, ValueError):
            weights = np.full(1, np.nan)
        if weights.shape != (number,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise ValueError(
                f"The 'weights' parameter of EnsembleSegmenter must be {number} numbers (one a member), at least 0 and "
                f"not all 0. Got {self.weights!r} instead."
            )
        weights = weights / weights.max()  # or their sum may be too large for a float
        return weights / weights.sum()

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the members.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : sequence of masks, default=None
            Handed to the members that learn; these take the reference masks of
            the records where y is None or holds class labels.

        Returns
        -------
        self : object
            The fitted ensemble.
        """
        self._validate_params()
        if hasattr(self, "segmenters_"):
            del self.segmenters_
        members = self._members()
        self._shares(len(members))
        records = check_images(X, self)
        fitted: list[tuple[str, Any]] = []
        errors: dict[int, str] = {}
        for name, member in members:
            copy = clone(member)
            if "on_error" in copy.get_params(deep=False):
                copy.set_params(on_error=self.on_error)
            fitted.append((name, copy.fit(records, y)))
            errors |= getattr(copy, "errors_", {})
        self.segmenters_: list[tuple[str, Any]] = fitted
        if self.on_error == "nan":
            self.errors_ = errors
        return self

    @property
    def named_segmenters_(self) -> dict[str, Any]:
        """The fitted members by name."""
        return dict(self.segmenters_)

    def _segment(self, record: LesionImage) -> tuple[np.ndarray, np.ndarray | None]:
        members = self._members()
        shares = self._shares(len(members))
        scale = min(1.0, self.working_size / max(record.shape))
        shape = max(1, round(record.shape[0] * scale)), max(1, round(record.shape[1] * scale))
        small = record.resize(shape)
        total = np.zeros(shape, np.float32)
        field = small.field
        for (name, member), share in zip(members, shares, strict=True):
            [found] = transform_batch(member, [small])
            if isinstance(found, LesionImage) and found.error is not None:
                raise ValueError(f"{name}: {found.error}")
            if not isinstance(found, LesionImage) or found.mask is None:
                raise TypeError(f"the member {name!r} of EnsembleSegmenter gives no masks, but {found!r}")
            plane = "probability" if self.voting == "soft" and found.has("probability") else "mask"
            total += np.float32(share) * _in_frame_of(small, found, plane)
            if field is None and found.has("field"):
                field = _in_frame_of(small, found, "field")
        total = np.clip(total, 0, 1)
        # rounding must not turn a half of the votes into less
        total[np.abs(total - 0.5) < 1e-6] = 0.5
        return total, field

    def _confidence(self, found: np.ndarray, mask: np.ndarray) -> float | None:
        return expected_jaccard(found, mask)


def _in_frame_of(record: LesionImage, found: LesionImage, plane: str) -> np.ndarray:
    """Give a plane of what a member found in the frame that it was given; a pipeline may have resized or cropped it."""
    if found.geometry == record.geometry:
        values: np.ndarray = getattr(found, plane)
        return values
    return record.geometry.from_origin(found.origin_plane(plane))
