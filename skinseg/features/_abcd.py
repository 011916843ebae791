"""The estimator that turns outlined lesions into a table."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _raise_for_params, process_routing
from sklearn.utils.validation import check_is_fitted

from .._mapping import load_or_fail, transform_batch
from ..base import BaseFeaturizer
from ..images import LesionImage, check_images
from ._catalog import FEATURES, GROUPS, measure
from ._region import LesionRegion

__all__ = ["ABCDFeaturizer"]


class ABCDFeaturizer(BaseFeaturizer):
    """Measure asymmetry, border, color and dimension of outlined lesions.

    The mask is read from the records, as a segmenter before it in the pipeline
    (or the user) has written it; or the featurizer segments itself, by the
    segmenter that it is given. The columns are described in
    `skinseg.features.FEATURES`. Hair that an earlier step has painted over is
    left out of the colors. Lengths are in pixels of the original image,
    whatever size the image was brought to, and in millimeters where the
    record has a ``pixel_size``.

    This is research software and no medical device: the numbers describe an
    image and are no diagnosis.

    Parameters
    ----------
    segmenter : segmenter, default=None
        Segments the images first; cloned at fit. None reads the masks of the
        records.
    groups : sequence of str, default=("asymmetry", "border", "color", "dimension")
        Which groups to measure, in the order of their columns; nothing else is
        computed.
    working_size : int, default=512
        Longer side, in pixels, to which lesion and surrounding skin are
        reduced before they are measured, at least 32.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which rows are kept, one an image and setting.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the batch, or gives a row
        of NaN and is listed in ``errors_``.

    Attributes
    ----------
    segmenter_ : segmenter
        The fitted clone of ``segmenter``, if one was given.
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

    See Also
    --------
    skinseg.make_lesion_pipeline : Segments, measures and classifies.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527.

    Examples
    --------
    >>> from skinseg import ABCDFeaturizer, ThresholdSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(3, random_state=0)
    >>> featurizer = ABCDFeaturizer(ThresholdSegmenter(), groups=("border",))
    >>> featurizer.fit_transform(lesions.images).shape
    (3, 4)
    >>> featurizer.get_feature_names_out()[0]
    'border_compactness'
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseFeaturizer._parameter_constraints,
        "segmenter": [HasMethods(["fit", "transform"]), None],
        "groups": ["array-like"],
        "working_size": [Interval(Integral, 32, None, closed="left")],
    }

    def __init__(
        self,
        segmenter: Any = None,
        groups: Sequence[str] = GROUPS,
        *,
        working_size: int = 512,
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.segmenter = segmenter
        self.groups = groups
        self.working_size = working_size
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.segmenter is not None
        return tags

    @property
    def _reads_mask(self) -> bool:  # type: ignore[override]
        return self.segmenter is None

    def _validate_params(self) -> None:
        super()._validate_params()
        unknown = [group for group in self.groups if group not in GROUPS]
        if unknown or not len(self.groups):
            raise ValueError(
                f"The 'groups' parameter of ABCDFeaturizer must be a sequence of one or more of {list(GROUPS)}. "
                f"Got {list(self.groups)!r} instead."
            )

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the routing of metadata: all goes to ``fit`` of the segmenter.

        Returns
        -------
        MetadataRouter
            The routing.
        """
        router = MetadataRouter(owner=self)
        if self.segmenter is not None:
            router.add(segmenter=self.segmenter, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        return router

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Check parameters and images, and fit the segmenter if there is one.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : array-like, default=None
            Handed to the segmenter.
        **params : dict
            Metadata for the segmenter, with metadata routing enabled.

        Returns
        -------
        self : object
            The fitted featurizer.
        """
        self._validate_params()
        _raise_for_params(params, self, "fit")
        records = check_images(X, self)
        if self.segmenter is not None:
            routed = process_routing(self, "fit", **params)
            self.segmenter_ = clone(self.segmenter).fit(records, y, **routed.segmenter.fit)
        return self

    def _check_ready(self) -> None:
        if self.segmenter is not None:
            check_is_fitted(self, "segmenter_")
        else:
            self._validate_params()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Get the names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_features,), object
            The names, ``<group>_<what>[_<unit>]``.
        """
        groups = set(self.groups)
        return np.array([name for name, feature in FEATURES.items() if feature.group in groups], dtype=object)

    def _apply_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        if self.segmenter is not None:
            records = transform_batch(self.segmenter_, [load_or_fail(record) for record in records])
        return super()._apply_batch(records)

    def _measure(self, record: LesionImage) -> np.ndarray:
        if not record.has("mask"):
            raise ValueError(
                "the image has no mask to measure; put a segmenter before ABCDFeaturizer, give it one as segmenter=, "
                "or give records (LesionImage) or a table with masks"
            )
        mask = record.mask
        names = self.get_feature_names_out()
        if mask is None or not mask.any():
            return np.full(len(names), np.nan)
        region = LesionRegion.of(record, mask, self.working_size)
        values = measure(region, set(names))
        return np.array([values[name] for name in names], dtype=np.float64)
