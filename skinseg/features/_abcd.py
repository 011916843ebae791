"""The estimator that turns outlined lesions into a table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence, Set
from difflib import get_close_matches
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import Bunch, Tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _raise_for_params, process_routing
from sklearn.utils.validation import check_is_fitted

from .._mapping import load_or_fail, transform_batch
from ..base import BaseFeaturizer
from ..exceptions import ImageBatchError, VersionMismatchWarning
from ..images import LesionImage, check_images
from ._catalog import FEATURES, GROUPS, SOMETIMES, columns_of, measure
from ._explain import explain_region
from ._region import LesionRegion
from ._table import Feature

__all__ = ["ABCDFeaturizer"]


class ABCDFeaturizer(BaseFeaturizer):
    """Measure asymmetry, border, color, dimension and structures of outlined lesions.

    The mask is read from the records, as a segmenter before it in the pipeline
    (or the user) has written it; or the featurizer segments itself, by the
    segmenter that it is given. ``feature_table_`` describes every column:
    name, group, unit, range, working size, source and one sentence. Hair that
    an earlier step has painted over is left out of colors and structures.
    Lengths are in pixels of the original image, whatever size the image was
    brought to, and in millimeters where the record has a ``pixel_size``.

    The ``D`` of the dermoscopic rule are the differential structures
    (``structure_*``); diameters, the D of the naked-eye rule, are
    ``dimension_*``. Structures are experimental: their scores have not been
    compared with the judgment of dermatologists yet.

    A feature is NaN only where it is not there: all of an empty mask,
    millimeters without a pixel size, what needs skin where none is in view,
    colors of a gray image, structures of a lesion that is too small. `explain` tells the reasons.

    This is research software and no medical device: the numbers describe an
    image and are no diagnosis.

    Parameters
    ----------
    segmenter : segmenter, default=None
        Segments the images first; cloned at fit. None reads the masks of the
        records.
    groups : sequence of str, \
            default=("asymmetry", "border", "color", "dimension", "structure")
        Which groups to measure; nothing else is computed. With ``asymmetry``,
        ``border``, ``color`` and ``structure`` together the last column is
        ``tds``, the total dermoscopy score of the rule.
    features : sequence of str, default=None
        Names of the columns to give, in this order, of whatever group; nothing
        else is computed, and ``groups`` is not looked at. None gives all of
        the groups.
    working_size : int, default=512
        Longer side, in pixels, to which lesion and surrounding skin are
        reduced before they are measured, at least 32; only structures and
        dimensions look at more than 256.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which rows are kept, one an outlined image and setting; a
        ``segmenter`` needs a memory of its own.
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
    feature_table_ : DataFrame of shape (n_features, 8)
        What the columns are, a row a column: ``name``, ``group``, ``unit``,
        ``low``, ``high``, ``working_size`` (pixels of the longer side of
        lesion and rim, at most), ``source`` and ``description``.
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
    >>> featurizer = ABCDFeaturizer(ThresholdSegmenter(), features=["border_score", "color_count"])
    >>> featurizer.fit_transform(lesions.images).shape
    (3, 2)
    >>> featurizer.feature_table_["unit"].tolist()
    ['1', '1']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseFeaturizer._parameter_constraints,
        "segmenter": [HasMethods(["fit", "transform"]), None],
        "groups": ["array-like"],
        "features": ["array-like", None],
        "working_size": [Interval(Integral, 32, None, closed="left")],
    }

    def __init__(
        self,
        segmenter: Any = None,
        groups: Sequence[str] = GROUPS,
        *,
        features: Sequence[str] | None = None,
        working_size: int = 512,
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.segmenter = segmenter
        self.groups = groups
        self.features = features
        self.working_size = working_size
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __getstate__(self) -> dict[str, Any]:
        try:
            columns = self.get_feature_names_out().tolist()
        except (KeyError, TypeError, ValueError):  # parameters are looked at in fit
            columns = None
        return {**super().__getstate__(), "_columns": columns}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved = state.pop("_columns", None)
        super().__setstate__(state)
        if saved is None or saved == self.get_feature_names_out().tolist():
            return
        # what was fitted on the columns goes on getting them, whatever the groups consist of by now
        self.features = saved
        gone = [name for name in saved if name not in FEATURES]
        way_out = "install the version that saved it, or fit it and what follows on it again"
        warnings.warn(
            f"ABCDFeaturizer was saved with {len(saved)} columns, and "
            + (
                f"this skinseg does not know {len(gone)} of them ({', '.join(gone[:5])}): it cannot measure; {way_out}"
                if gone
                else f"its groups have others now; it keeps those it was saved with (features=). Else {way_out}"
            ),
            VersionMismatchWarning,
            stacklevel=2,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.segmenter is not None
        return tags

    @property
    def _reads_mask(self) -> bool:  # type: ignore[override]
        return self.segmenter is None

    def _validate_params(self) -> None:
        super()._validate_params()
        for name, given, known in (("groups", self.groups, GROUPS), ("features", self.features, FEATURES)):
            if given is None:
                continue
            # sets have no order, and columns have one
            unordered = isinstance(given, (str, Set, Mapping))
            chosen = [given] if unordered else list(given)
            unknown = [item for item in chosen if not isinstance(item, str) or item not in known]
            if unordered or unknown or not chosen or len(set(chosen)) < len(chosen):
                choices = list(known) if name == "groups" else "the names in skinseg.features.FEATURES"
                close = [match for item in unknown for match in get_close_matches(str(item), known, 1)]
                hint = f"; did you mean {', '.join(close)}?" if close else ""
                raise ValueError(
                    f"The '{name}' parameter of ABCDFeaturizer must be a sequence of one or more different ones of "
                    f"{choices}. Got {given!r} instead{hint}"
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
        names = columns_of(self.groups) if self.features is None else list(self.features)
        return np.array(names, dtype=object)

    @property
    def feature_table_(self) -> pd.DataFrame:
        """What the columns are."""
        rows = [FEATURES[name] for name in self.get_feature_names_out()]
        table = pd.DataFrame(rows, columns=Feature._fields)
        table.insert(1, "group", [feature.group for feature in rows])
        table["working_size"] = np.minimum(table["working_size"], self.working_size)
        return table[["name", "group", "unit", "low", "high", "working_size", "source", "description"]]

    def explain(self, record: Any) -> Bunch:
        """Give the geometry behind the numbers of one lesion.

        Parameters
        ----------
        record : LesionImage, path or array
            An image; its mask is read, or the fitted segmenter outlines it.

        Returns
        -------
        explanation : Bunch
            All points are (row, column) in pixels of the image given:

            measured : dict of str to float
                The features, as `transform` gives them.
            reasons : dict of str to str
                Why a feature is NaN, for each that is.
            center, principal_axes, best_axes, asymmetric
                Centroid, end points of the axes, each (2 axes, 2 ends, 2),
                and for each best axis what is asymmetric about it.
            outline, hull : ndarray of shape (n, 2)
                The outline traced between the pixels, and its convex hull.
            octants : list of dict
                For each octant of the border its range of angles, its
                sharpness and whether it is abrupt.
            feret_max, feret_min, axis_major, axis_minor : ndarray of shape (2, 2)
                End points of the diameters.
            color_map : ndarray of shape (H, W), int
                Position in `skinseg.features.color.COLOR_NAMES`, -1 for skin
                and transitions, -2 elsewhere.
            structure_map : ndarray of shape (H, W), int
                0 none, 1 network, 2 homogeneous, 3 streaks, 4 dots, 5 globules.

        Raises
        ------
        ValueError
            If the lesion has no mask, or an empty one.

        Examples
        --------
        >>> from skinseg import ABCDFeaturizer, LesionImage
        >>> from skinseg.datasets import make_lesions
        >>> lesions = make_lesions(1, random_state=0)
        >>> explanation = ABCDFeaturizer().explain(LesionImage(lesions.images[0], lesions.masks[0]))
        >>> explanation.best_axes.shape, len(explanation.octants)
        ((2, 2, 2), 8)
        """
        self._check_ready()
        given = loaded = load_or_fail(check_images([record], self)[0])
        if self.segmenter is not None:
            loaded = transform_batch(self.segmenter_, [given])[0]
        if loaded.error is not None:
            raise ImageBatchError(f"ABCDFeaturizer cannot explain the image: {loaded.error}", {0: loaded.error})
        mask = self._mask_of(loaded)
        if mask is None or not mask.any():
            raise ValueError(f"no lesion was found in {loaded.name or 'the image'}: there is nothing to explain")
        region = LesionRegion.of(loaded, mask, self.working_size)
        explanation = explain_region(region, self.get_feature_names_out(), loaded.geometry, given.geometry)
        region.forget()
        return explanation

    def _apply_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        if self.segmenter is not None:
            records = transform_batch(self.segmenter_, [load_or_fail(record) for record in records])
        return super()._apply_batch(records)

    @property
    def _nan_is_empty(self) -> bool:  # type: ignore[override]
        return not SOMETIMES.issuperset(self.get_feature_names_out())

    def _mask_of(self, record: LesionImage) -> np.ndarray | None:
        if not record.has("mask"):
            raise ValueError(
                "the image has no mask to measure; put a segmenter before ABCDFeaturizer, give it one as segmenter=, "
                "or give records (LesionImage) or a table with masks"
            )
        return record.mask

    def _measure(self, record: LesionImage) -> np.ndarray:
        mask = self._mask_of(record)
        names = self.get_feature_names_out()
        if mask is None or not mask.any():
            return np.full(len(names), np.nan)
        region = LesionRegion.of(record, mask, self.working_size)
        values = measure(region, set(names))
        region.forget()
        return np.array([values[name] for name in names], dtype=np.float64)
