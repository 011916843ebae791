"""Bases of the estimators: records in, one image at a time, records, masks or rows of a table out."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._html import NotebookMixin
from ._mapping import (
    StepCache,
    batches_of,
    fail,
    hash_of,
    label_of,
    map_batches,
    object_array,
    raise_or_list,
    warn_of_empty_masks,
)
from ._version import __version__
from .exceptions import ModelFileError, VersionMismatchWarning
from .images import LesionImage, check_images, check_masks, is_label_sequence, mean_jaccard
from .masks import COMPONENT_CHOICES, FALLBACK_CHOICES, ScaledMap, clean_mask, resize_mask

__all__ = [
    "EXECUTION_PARAMETERS",
    "BaseFeaturizer",
    "BaseSegmenter",
    "ImageEstimator",
    "ImageTransformer",
    "SkinsegEstimator",
    "nested_estimators",
    "object_array",
]

_FRACTION = Interval(Real, 0, 1, closed="both")
EXECUTION_PARAMETERS = frozenset({"n_jobs", "verbose", "memory", "on_error", "batch_size"})
"""Parameters that change how the work is done and not its result: no part of a cache key."""


def nested_estimators(model: Any, stop: type | None = None) -> list[Any]:
    """List an estimator and all estimators that it holds, fitted parts included.

    Parameters
    ----------
    model : estimator
        Such as a fitted pipeline.
    stop : type, default=None
        A class into whose instances the search does not go.

    Returns
    -------
    list of estimators
        Each once.
    """
    found: list[Any] = []
    waiting, seen = [model], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif hasattr(item, "get_params"):
            found.append(item)
            if stop is None or not isinstance(item, stop):
                waiting.extend(vars(item).values())
    return found


class SkinsegEstimator(NotebookMixin, BaseEstimator):
    """Base of every estimator: the version is kept with the state and compared on loading."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_skinseg_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_skinseg_version", "unknown")
        if version != __version__:
            warnings.warn(
                f"{type(self).__name__} was saved by skinseg {version} and is loaded by {__version__}: results may "
                f"differ; fit it again, or install scikit-skinseg=={version}",
                VersionMismatchWarning,
                stacklevel=2,
            )
        super().__setstate__(state)


class ImageEstimator(TransformerMixin, SkinsegEstimator):
    """Base of estimators whose samples are images.

    A subclass gives `_apply_one`, the work on one record; this class maps it
    over X by joblib, keeps results on disk if asked to, and sees to errors.

    Attributes
    ----------
    n_jobs : int, default=None
        Number of workers, as in joblib; None is 1 unless in a
        `joblib.parallel_config` context, -1 uses all cores.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        What to do with an image that fails although its header is in order,
        such as a truncated JPEG: raise one error that lists the images that
        failed, or go on without them (a row of NaN, None instead of a mask)
        and list them in ``errors_``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "on_error": [StrOptions({"raise", "nan"})],
    }
    _not_in_key: ClassVar[frozenset[str]] = EXECUTION_PARAMETERS
    _decodes: ClassVar[bool] = False  # whether it takes records that have not been loaded, and decodes them itself
    _one_by_one: ClassVar[bool] = True  # False where the work on a batch at once is cheaper (networks)
    _reads_mask: bool = False  # whether records must bring a mask
    _reads_reference: bool = False  # whether predictions read the reference mask (ReferenceSegmenter alone)
    n_jobs: int | None
    verbose: int
    on_error: str

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True  # paths
        tags.target_tags.required = False
        tags.requires_fit = False
        tags.no_validation = False
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check parameters and images; nothing is learnt.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The estimator.
        """
        self._validate_params()
        check_images(X, self)
        return self

    def _check_ready(self) -> None:
        """Check that the estimator is fitted, where there is something to fit, and its parameters."""
        if self.__sklearn_tags__().requires_fit:
            check_is_fitted(self)
        self._validate_params()

    # ------------------------------------------------------------------ the work

    @abstractmethod
    def _apply_one(self, record: LesionImage, cache: StepCache) -> Any:
        """Do the work on one record (not yet loaded)."""

    def _apply_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        """Do the work on a batch: a result a record, or the record marked as failed."""
        cache = StepCache(getattr(self, "memory", None), self._result_key)
        results: list[Any] = []
        for record in records:
            if record.error is None:
                try:
                    results.append(self._apply_one(record, cache))
                except (ModelFileError, ImportError):
                    raise  # no fault of the image
                except Exception as error:  # one bad image must not take the batch with it
                    results.append(fail(record, error))
            else:
                results.append(record)
        return results

    def _map(self, X: Any, work: Callable[..., list[Any]] | None = None) -> tuple[list[LesionImage], list[Any]]:
        """Apply the estimator, or other work on a batch, to every image; errors end as ``on_error`` says."""
        self._check_ready()
        records = check_images(X, self)
        caller = type(self).__name__
        results: list[Any] = []
        all_errors: dict[int, str] = {}
        work = self._apply_batch if work is None else work
        alone = self._one_by_one or effective_n_jobs(self.n_jobs) > 1  # workers share the images out among them
        size = None if alone else getattr(self, "batch_size", None)
        batches = map_batches(
            work, records, batch_size=size, n_jobs=self.n_jobs, verbose=int(self.verbose), desc=caller
        )
        with closing(batches) as stream:
            for start, batch, part in stream:
                failed = {
                    start + index: (label_of(record), str(result.error))
                    for index, (record, result) in enumerate(zip(batch, part, strict=True))
                    if isinstance(result, LesionImage) and result.error is not None
                }
                all_errors |= raise_or_list(caller, self.on_error, failed)
                results.extend(part)
        if self.on_error == "nan":
            self.errors_ = all_errors
        return records, results

    def _result_key(self, ignored: frozenset[str] | None = None) -> str:
        """Hash of class, version, parameters and fitted state: whatever shapes a result besides the image."""
        ignored = self._not_in_key if ignored is None else ignored
        parameters = {key: value for key, value in self.get_params(deep=False).items() if key not in ignored}
        fitted = {key: value for key, value in vars(self).items() if key.endswith("_") and key != "errors_"}
        return hash_of(type(self).__module__, type(self).__qualname__, __version__, parameters, fitted)


class _ImageOutput:
    """Mixin of steps that hand on images: no table, so ``set_output`` has nothing to do."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # scikit-learn would wrap the records into a DataFrame under set_output or its global configuration
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)  # type: ignore[call-arg]

    def set_output(self, *, transform: str | None = None) -> Self:
        """Do nothing: the output of this step are images, whatever container is asked for.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : object
            The estimator.
        """
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Give the name of the one output column, ``"image"``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (1,), object
            The name.
        """
        return np.array(["image"], dtype=object)


class ImageTransformer(_ImageOutput, ImageEstimator):
    """Base of image-to-image steps: a subclass gives ``_transform_one(record) -> record``."""

    @abstractmethod
    def _transform_one(self, record: LesionImage) -> LesionImage:
        """Give the changed record; the record handed in is loaded."""

    def _apply_one(self, record: LesionImage, cache: StepCache) -> LesionImage:
        return self._transform_one(record.load())

    def transform(self, X: Any) -> np.ndarray:
        """Change every image.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images,), object
            A `LesionImage` an image.
        """
        return object_array(self._map(X)[1])


def _same(record: LesionImage) -> LesionImage:
    return record


def _to_mask(record: LesionImage) -> np.ndarray | None:
    return None if record.error is not None else record.origin_plane("mask")


def _to_probability(record: LesionImage) -> np.ndarray | None:
    return None if record.error is not None else record.origin_plane("probability")


def _has_probabilities(segmenter: BaseSegmenter) -> bool:
    return segmenter._gives_probabilities


class BaseSegmenter(_ImageOutput, ImageEstimator):
    """Base of segmenters: a subclass gives ``_segment(record) -> mask or probability``.

    Attributes
    ----------
    opening : float, default=0.0
        Diameter of a morphological opening that cuts hairs and specks off, as
        a fraction of the longer side, in [0, 1].
    component : {"central", "largest", "all"}, default="central"
        Which connected component to keep.
    closing : float, default=0.0
        Diameter of a morphological closing that fills notches of the outline,
        as a fraction of the longer side, in [0, 1].
    fill_holes : bool, default=True
        Fill what the outline encloses.
    margin : float, default=0.0
        Grow the outline by this fraction of the lesion's radius, in [0, 1].
    smoothing : float, default=0.0
        Width of the Gaussian that smooths the outline, as a fraction of the
        longer side, in [0, 1].
    min_area : float, default=0.0
        Smallest area of a lesion, as a fraction of the image, in [0, 1];
        below it the mask is empty.
    fallback : {"empty", "disc"}, default="empty"
        What is answered where nothing is found, see `clean_mask`.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which raw masks are kept, one an image and setting, under a
        key of content (arrays) or of path, size and time of change (files).

    See Also
    --------
    skinseg.masks.clean_mask : The post-processing.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageEstimator._parameter_constraints,
        "opening": [_FRACTION],
        "component": [StrOptions(set(COMPONENT_CHOICES))],
        "closing": [_FRACTION],
        "fill_holes": ["boolean"],
        "margin": [_FRACTION],
        "smoothing": [_FRACTION],
        "min_area": [_FRACTION],
        "fallback": [StrOptions(set(FALLBACK_CHOICES))],
        "memory": [str, HasMethods(["cache"]), HasMethods(["__fspath__"]), None],
    }
    _POST_PROCESSING: ClassVar[tuple[str, ...]] = (
        "opening", "component", "closing", "fill_holes", "margin", "smoothing", "min_area", "fallback",
    )  # fmt: skip
    _not_in_key: ClassVar[frozenset[str]] = EXECUTION_PARAMETERS.union(_POST_PROCESSING)
    _gives_probabilities: ClassVar[bool] = False  # whether `_segment` gives probabilities, not masks
    memory: Any

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "segmenter"
        return tags

    @abstractmethod
    def _segment(self, record: LesionImage) -> Any:
        """Outline the lesion of one loaded record.

        Returns
        -------
        ndarray, or tuple of two ndarray
            bool mask, or float probabilities, of the size of the record or of
            a smaller copy of it (which is resized back); a second array is the
            valid field of view that was found, bool, of the same size.
        """

    def _cut(self, probability: np.ndarray) -> float:
        """Give the probability from which on a pixel is lesion."""
        return 0.5

    def _apply_one(self, record: LesionImage, cache: StepCache) -> LesionImage:
        return self._finish(*cache.call(self._segment, record))

    def _finish(self, record: LesionImage, result: Any) -> LesionImage:
        """Make of what `_segment` found a record with its clean mask."""
        found, field = result if isinstance(result, tuple) else (result, None)
        field = record.field if field is None else field
        raw, probability = found, None
        if raw.dtype != bool:
            probability = ScaledMap(raw.astype(np.float32, copy=False), record.shape)
            raw = raw >= self._cut(raw)
        if field is not None:
            field = resize_mask(field, raw.shape)
        settings = {name: getattr(self, name) for name in self._POST_PROCESSING if hasattr(self, name)}
        fallback = settings.pop("fallback", "empty")
        mask = clean_mask(raw, field=field, **settings)
        confidence = self._confidence(found, mask)
        if not mask.any() and fallback != "empty":
            mask, confidence = clean_mask(mask, field=field, fallback=fallback), 0.0
        parts = {} if field is None or record.has("field") else {"field": resize_mask(field, record.shape)}
        mask = resize_mask(mask, record.shape)
        return record.with_(mask=mask, probability=probability, confidence=confidence, **parts)

    def _confidence(self, found: np.ndarray, mask: np.ndarray) -> float | None:
        """Give the confidence of a clean mask in [0, 1], from what `_segment` found; None where it is not known."""
        return None

    def _outlined(self, X: Any, give: Callable[[LesionImage], Any] = _same) -> list[Any]:
        """Outline every image; give what ``give`` makes of the records, so that only that is kept of each."""
        records, results = self._map(X, partial(self._outline_batch, give=give))
        empty = [
            str(record.name or f"X[{index}]")
            for index, (record, result) in enumerate(zip(records, results, strict=True))
            if isinstance(result, tuple) and result[1]
        ]
        disc = getattr(self, "fallback", "empty") == "disc"
        answer = "a disc in the middle stands in, with a confidence of 0" if disc else "the masks are empty"
        warn_of_empty_masks(type(self).__name__, empty, len(records), answer)
        return [result[0] if isinstance(result, tuple) else give(result) for result in results]

    def _outline_batch(self, records: Sequence[LesionImage], give: Callable[[LesionImage], Any]) -> list[Any]:
        """Of each image what is wanted and whether its mask is empty; a failed record."""
        size = 1 if self._one_by_one else getattr(self, "batch_size", len(records))
        if getattr(self, "memory", None) is not None:
            size = len(records)  # so that the hash of the step is made once for all
        return [
            result if result.error is not None else (give(result), self._is_empty(result))
            for part in batches_of(records, size)
            for result in self._apply_batch(part)
        ]

    def _is_empty(self, result: LesionImage) -> bool:
        return result.has("mask") and (not np.any(result.mask) or self._is_fallback(result))

    def _is_fallback(self, result: LesionImage) -> bool:
        return getattr(self, "fallback", "empty") != "empty" and result.confidence == 0

    def transform(self, X: Any) -> np.ndarray:
        """Outline the lesion of every image and hand the records on.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images,), object
            A `LesionImage` with its mask an image.
        """
        return object_array(self._outlined(X))

    def predict(self, X: Any) -> np.ndarray:
        """Outline the lesion of every image.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images,), object
            A bool mask an image, of the size of the image that was given (of
            its origin, where earlier steps have resized it). None where an
            image failed and ``on_error="nan"``.
        """
        return object_array(self._outlined(X, _to_mask))

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of lesion for every pixel.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images,), object
            An (H, W) float32 array in [0, 1] an image, of the size of the image
            that was given. None where an image failed and ``on_error="nan"``.
        """
        return object_array(self._outlined(X, _to_probability))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean Jaccard index of the masks predicted.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : sequence of masks, default=None
            The expert's masks, arrays or `pathlib.Path`, of the size of the
            images or of their origins; the ``reference_mask`` of the records
            if None.

        Returns
        -------
        float
            Mean over the images, 0 for an image that failed.
        """
        records = self._with_references(X, y)
        return mean_jaccard(records, list(self.predict(records)))

    def _with_references(self, X: Any, y: Any) -> list[LesionImage]:
        """Give records that carry the masks to learn from, or to compare with.

        Masks come from y; class labels in y (a classification pipeline) and
        None leave those that the records bring.
        """
        records = check_images(X, self)
        if y is None or is_label_sequence(y):
            missing = [r.name or f"X[{i}]" for i, r in enumerate(records) if not r.has("reference_mask")]
            if missing:
                raise ValueError(
                    f"{type(self).__name__} needs a reference mask for every image, {len(missing)} of {len(records)} "
                    f"have none ({', '.join(map(str, missing[:5]))}{', ...' if len(missing) > 5 else ''}); give masks "
                    "as y, or records with reference_mask, or put a fitted segmenter in as FrozenEstimator(segmenter)"
                )
            return records
        masks = check_masks(y, records, self, allow_float=True)
        return [record.with_(reference_mask=mask) for record, mask in zip(records, masks, strict=True)]


class BaseFeaturizer(ImageEstimator):
    """Base of image-to-table steps: a subclass gives ``_measure(record) -> row`` and the names of its columns.

    Attributes
    ----------
    memory : str, path-like or joblib.Memory, default=None
        Folder in which rows are kept, one an image and setting.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageEstimator._parameter_constraints,
        "memory": [str, HasMethods(["cache"]), HasMethods(["__fspath__"]), None],
    }
    memory: Any
    _nan_is_empty = True  # whether a row of nothing but NaN tells that there is no lesion

    @abstractmethod
    def _measure(self, record: LesionImage) -> np.ndarray:
        """Measure one loaded record: a row of float64, all NaN where the mask is empty."""

    @abstractmethod
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Get the names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_features,), object
            The names.
        """

    def _apply_one(self, record: LesionImage, cache: StepCache) -> np.ndarray:
        row: np.ndarray = cache.call(self._measure, record)[1]
        return row

    def transform(self, X: Any) -> np.ndarray:
        """Measure every image.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records that carry a mask, see
            `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images, n_features), float64
            A row an image; NaN where no lesion was found (with an
            `EmptyMaskWarning`) or where an image failed and
            ``on_error="nan"``.
        """
        records, results = self._map(X)
        table = np.full((len(records), len(self.get_feature_names_out())), np.nan)
        empty = []
        for index, result in enumerate(results):
            if isinstance(result, LesionImage):
                continue  # failed
            table[index] = result
            record = records[index]
            if np.isnan(result).all() and self._nan_is_empty and not (record.has("mask") and np.any(record.mask)):
                empty.append(str(record.name or f"X[{index}]"))
        warn_of_empty_masks(type(self).__name__, empty, len(records), "their features are NaN")
        return table
