"""Pipelines over images: a batch at a time, from files to a table, and the factory of the usual one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.base import TransformerMixin, clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.utils import Bunch, Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _raise_for_params, process_routing
from sklearn.utils.metaestimators import _BaseComposition, available_if
from sklearn.utils.validation import check_is_fitted

from ._batches import BatchRunner, DeferredImage, is_passthrough
from ._html import serial_block
from ._mapping import label_of, map_batches, raise_or_list, refuse_to_classify, warn_of_empty_masks
from .base import SkinsegEstimator, nested_estimators, object_array
from .clinical import image_and_reference_columns, image_columns, make_clinical_transformer, make_scaler
from .features import ABCDFeaturizer
from .images import LesionImage, check_images, check_masks, mean_jaccard
from .preprocessing import ImageResizer
from .segmentation import PretrainedSegmenter

__all__ = ["BatchedPipeline", "make_lesion_pipeline", "outlining_part"]


def _final_has(method: str) -> Any:
    def check(self: BatchedPipeline) -> bool:
        steps = [step for _, step in self.steps if not is_passthrough(step)]
        return bool(steps) and hasattr(steps[-1], method)

    return check


class BatchedPipeline(TransformerMixin, SkinsegEstimator, _BaseComposition):
    """Chain steps over images and run them one batch at a time.

    Each file is decoded once, goes through all steps, and only the rows of the
    table (or the masks) leave: memory is bounded by the batch and not by the
    data set. Batches run in parallel. The steps are those of a Pipeline:
    image steps, a segmenter, and a featurizer (or a FeatureUnion of some) as
    the last; parameters are set as in a Pipeline, also in a grid search
    (``lesion__segmenter__method``), and a step may be ``"passthrough"``.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        The steps; only the last may give a table. They are cloned at fit.
        Those that learn are fitted on images streamed from their sources
        through the steps before.
    batch_size : int, default=32
        Images a batch, at least 1.
    n_jobs : int, default=None
        Number of batches at work at once, as in joblib; under
        `joblib.parallel_config` they may run on a cluster.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which table rows are kept, one an image and setting of all
        steps, under a key of content (arrays) or of path, size and time of
        change (files): what a grid search needs twice is computed once.
    on_error : {"raise", "nan"}, default="raise"
        What to do with images that fail although their headers are in order:
        stop with one error that lists those of the batch, or give rows of NaN
        and list them in ``errors_``.
    verbose : int, default=0
        Show a progress bar if above 0.

    Attributes
    ----------
    steps_ : list of (str, estimator) tuples
        The fitted steps, without those passed through.
    named_steps_ : Bunch
        The same by name.
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.
    empty_ : list of int
        With ``on_error="nan"``, the images without a lesion in the last call.
    classes_ : ndarray of shape (n_classes,)
        The classes, where the last step is a classifier of images, such as
        `skinseg.CNNClassifier`.

    See Also
    --------
    make_lesion_pipeline : The usual pipeline, made in one call.

    Examples
    --------
    >>> from skinseg import ABCDFeaturizer, BatchedPipeline, ImageResizer, ThresholdSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> pipe = BatchedPipeline([
    ...     ("resizer", ImageResizer(256)),
    ...     ("segmenter", ThresholdSegmenter()),
    ...     ("featurizer", ABCDFeaturizer(groups=["border", "color"])),
    ... ])
    >>> pipe.fit_transform(lesions.images).shape
    (4, 76)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "steps": [list],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "memory": [str, HasMethods(["cache"]), HasMethods(["__fspath__"]), None],
        "on_error": [StrOptions({"raise", "nan"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        *,
        batch_size: int = 32,
        n_jobs: int | None = None,
        memory: Any = None,
        on_error: str = "raise",
        verbose: int = 0,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        active = [step for _, step in self.steps if not is_passthrough(step)] if isinstance(self.steps, list) else []
        if active and hasattr(active[-1], "__sklearn_tags__"):
            last = get_tags(active[-1])
            tags.estimator_type, tags.classifier_tags = last.estimator_type, last.classifier_tags
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those of the steps included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the steps and their parameters by name.

        Returns
        -------
        dict
            The parameters.
        """
        params: dict[str, Any] = self._get_params("steps", deep=deep)
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, replace steps by name, or set parameters of steps.

        Parameters
        ----------
        **params : dict
            ``name=step`` or ``name__parameter=value``.

        Returns
        -------
        self : object
            The pipeline.
        """
        self._set_params("steps", **params)
        return self

    def _sk_visual_block_(self) -> Any:
        fitted = dict(getattr(self, "steps_", []))
        return serial_block([(name, fitted.get(name, step)) for name, step in self.steps])

    def _validate_steps(self) -> None:
        if not self.steps:
            raise ValueError("The 'steps' parameter of BatchedPipeline must hold at least one (name, step) pair.")
        for item in self.steps:
            if not (isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str)):
                raise ValueError(f"The steps of BatchedPipeline must be (name, step) pairs. Got {item!r}.")
        self._validate_names([name for name, _ in self.steps])
        active = [(name, step) for name, step in self.steps if not is_passthrough(step)]
        for position, (name, step) in enumerate(active):
            last = position == len(active) - 1
            method_found = hasattr(step, "transform") or (last and hasattr(step, "predict"))
            if isinstance(step, type) or not (hasattr(step, "fit") and method_found):
                raise TypeError(
                    f"The step {name!r} of BatchedPipeline must be an estimator with fit and transform, or "
                    f"'passthrough'. Got {step!r}."
                )

    @property
    def named_steps_(self) -> Bunch:
        """The fitted steps by name."""
        return Bunch(**dict(self.steps_))

    @property
    def classes_(self) -> np.ndarray:
        """The classes of the last step, where that is a classifier."""
        classes: np.ndarray = self.steps_[-1][1].classes_
        return classes

    def _classifies(self) -> bool:
        return bool(self.steps_) and is_classifier(self.steps_[-1][1])

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the routing of metadata: to ``fit`` of the steps that ask for it.

        Returns
        -------
        MetadataRouter
            The routing.
        """
        router = MetadataRouter(owner=self)
        for name, step in self.steps:
            if not is_passthrough(step):
                router.add(method_mapping=MethodMapping().add(caller="fit", callee="fit"), **{name: step})
        return router

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Check parameters and images and fit the steps that learn.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : array-like, default=None
            Handed to the steps that learn: masks, or class labels (then
            segmenters learn from the ``reference_mask`` of the records).
        **params : dict
            Metadata for the steps, with metadata routing enabled.

        Returns
        -------
        self : object
            The fitted pipeline.
        """
        self._validate_params()
        self._validate_steps()
        _raise_for_params(params, self, "fit")
        records = check_images(X, self)
        routed = process_routing(self, "fit", **params)
        fitted: list[tuple[str, Any]] = []
        for name, step in self.steps:
            if is_passthrough(step):
                continue
            step = clone(step)
            before = tuple(earlier for _, earlier in fitted)
            learns = get_tags(step).requires_fit
            sources: list[LesionImage] = [DeferredImage(record, before) for record in records] if learns else records
            fitted.append((name, step.fit(sources, y, **routed[name].fit)))
        self.steps_ = fitted
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "steps_")

    def _run(self, X: Any, final: str, keep: Any = None) -> tuple[list[LesionImage], list[Any]]:
        """Run the batches; ``keep(index, result, n_images)``, if given, says what is kept of a result."""
        check_is_fitted(self)
        records = check_images(X, self)
        runner = BatchRunner(self.steps_, self.memory, final)
        caller = type(self).__name__
        results: list[Any] = []
        empty: list[int] = []
        all_errors: dict[int, str] = {}
        rows = False
        work = map_batches(
            runner, records, batch_size=self.batch_size, n_jobs=self.n_jobs, verbose=int(self.verbose), desc="images"
        )
        with closing(work) as stream:
            for start, batch, outcomes in stream:
                failed = {}
                for index, (record, (result, is_empty)) in enumerate(zip(batch, outcomes, strict=True)):
                    if isinstance(result, LesionImage) and result.error is not None:
                        failed[start + index] = (label_of(record), result.error)
                    elif is_empty:
                        empty.append(start + index)
                    rows = rows or isinstance(result, np.ndarray)
                    results.append(result if keep is None else keep(start + index, result, len(records)))
                all_errors |= raise_or_list(caller, self.on_error, failed)
        if self.on_error == "nan":
            self.errors_, self.empty_ = all_errors, empty
        names = [str(records[index].name or f"X[{index}]") for index in empty]
        consequence = "their features are NaN" if rows else "the masks are empty"
        if self._classifies():
            consequence = "the classifier gets them as they are"
        warn_of_empty_masks(caller, names, len(records), consequence)
        return records, results

    def transform(self, X: Any) -> np.ndarray:
        """Send every image through the steps.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images, n_features), float64
            The table, if the last step gives one; else the records, an object
            array of shape (n_images,).
        """
        tables: list[np.ndarray] = []

        def keep(index: int, result: Any, n_images: int) -> Any:
            """Put a row into the table at once, so that rows are in memory once; failed ones stay NaN."""
            if isinstance(result, LesionImage):
                return result
            if not tables:
                tables.append(np.full((n_images, len(result)), np.nan))
            tables[0][index] = result
            return None

        results = self._run(X, "transform", keep)[1]
        if not tables and not self._gives_table():
            return object_array(results)
        return tables[0] if tables else np.full((len(results), len(self.get_feature_names_out())), np.nan)

    def _gives_table(self) -> bool:
        """Whether the last step gives a table, asked when every image has failed."""
        names = getattr(self.steps_[-1][1], "get_feature_names_out", None) if self.steps_ else None
        return names is not None and list(names()) != ["image"]

    @available_if(_final_has("predict"))
    def predict(self, X: Any) -> np.ndarray:
        """Send every image through the steps and let the last one predict.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images,)
            Of a segmenter, a bool mask an image, of the size of the image that
            was given, as objects; None where an image failed and
            ``on_error="nan"``. Of a classifier, the classes.

        Raises
        ------
        ValueError
            If the last step is a classifier and images failed, also with
            ``on_error="nan"``: there is no guessing.
        """
        if not self._ends_in_classifier():
            return self._predict_by_last(X, "predict", "mask")
        records, results = self._run(X, "predict")
        failed = [index for index, result in enumerate(results) if isinstance(result, LesionImage)]
        refuse_to_classify(type(self).__name__, records, failed)
        return np.array(results, dtype=self.classes_.dtype)

    @available_if(_final_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Send every image through the steps and let the last one give probabilities.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.

        Returns
        -------
        ndarray
            Of a segmenter, of shape (n_images,), an (H, W) float32 array an image,
            as objects; None where an image failed. Of a classifier, of shape
            (n_images, n_classes), in the order of ``classes_``; NaN where an image
            failed and ``on_error="nan"``.
        """
        if not self._ends_in_classifier():
            return self._predict_by_last(X, "predict_proba", "probability")
        results = self._run(X, "predict_proba")[1]
        table = np.full((len(results), len(self.classes_)), np.nan)
        for index, result in enumerate(results):
            if not isinstance(result, LesionImage):  # failed ones stay NaN
                table[index] = result
        return table

    def _ends_in_classifier(self) -> bool:
        check_is_fitted(self)
        return self._classifies()

    def _predict_by_last(self, X: Any, method: str, plane: str) -> np.ndarray:
        predicted = []
        for result in self._run(X, method)[1]:
            if isinstance(result, LesionImage):  # a segmenter of ours writes into the record
                predicted.append(None if result.error is not None else result.origin_plane(plane))
            else:
                predicted.append(result)
        return object_array(predicted)

    @available_if(_final_has("predict"))
    def score(self, X: Any, y: Any = None) -> float:
        """Mean Jaccard index of the masks predicted, or accuracy of the classes.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : sequence of masks or of classes, default=None
            The expert's masks, the ``reference_mask`` of the records if None; of a
            classifier, the true classes, which must be given.

        Returns
        -------
        float
            Mean over the images, 0 for an image that failed; or the share of
            images whose class is right.
        """
        if self._ends_in_classifier():
            if y is None:
                raise ValueError(f"{type(self).__name__} ends in a classifier: score needs the true classes as y")
            return float(accuracy_score(y, self.predict(X)))
        records = check_images(X, self)
        if y is not None:
            masks = check_masks(y, records, self, allow_float=True)
            records = [record.with_(reference_mask=mask) for record, mask in zip(records, masks, strict=True)]
        return mean_jaccard(records, list(self.predict(records)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Get the names of the columns that the last step gives.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects
            The names; ``["image"]`` where images come out.
        """
        check_is_fitted(self)
        if not self.steps_:
            return np.array(["image"], dtype=object)
        names: np.ndarray = self.steps_[-1][1].get_feature_names_out()
        return names


def _lesion_columns(segmenter: Any) -> Any:
    """Choose the columns that the lesion steps see: reference masks only where they are read or learnt from."""
    reads = getattr(segmenter, "_reads_reference", False)
    learns = hasattr(segmenter, "__sklearn_tags__") and get_tags(segmenter).requires_fit
    frozen = isinstance(segmenter, FrozenEstimator)
    return image_and_reference_columns if reads or (learns and not frozen) else image_columns


def outlining_part(model: Any) -> Any:
    """Take the part of a fitted pipeline that outlines lesions: its image steps up to ``segmenter``.

    Parameters
    ----------
    model : estimator
        Such as a pipeline of `make_lesion_pipeline`.

    Returns
    -------
    estimator
        A fitted `BatchedPipeline` that predicts masks; the model itself where
        it has no such part.
    """
    for part in nested_estimators(model):
        steps = getattr(part, "steps_", None)
        if not isinstance(part, BatchedPipeline) or steps is None:
            continue
        names = [name for name, _ in steps]
        if "segmenter" in names[:-1]:
            kept = steps[: names.index("segmenter") + 1]
            outliner = BatchedPipeline(kept, batch_size=part.batch_size)
            outliner.steps_ = kept
            return outliner
    return model


def make_lesion_pipeline(
    segmenter: Any = None,
    classifier: Any = None,
    *,
    sampler: Any = None,
    featurizer: Any = None,
    metadata: Sequence[str] | None = None,
    max_side: int = 512,
    batch_size: int = 32,
    n_jobs: int | None = None,
    memory: str | os.PathLike[str] | Any = None,
    on_error: str = "raise",
    verbose: int = 0,
) -> Pipeline:
    """Make the usual pipeline from image files to melanoma probability.

    Its steps, and the names under which a grid search finds them, are
    ``lesion`` (a `BatchedPipeline` of ``resizer``, ``hair``, ``color``,
    ``segmenter`` and ``featurizer``), ``imputer``, ``scaler``, ``sampler`` and
    ``classifier``. The steps ``hair`` and ``color`` are there to be filled
    with preprocessing and pass images through by default.

    This is research software and no medical device: a probability is no
    diagnosis.

    Parameters
    ----------
    segmenter : segmenter, default=None
        Outlines the lesions; a network that is trained already goes in as
        ``FrozenEstimator(network)``. `PretrainedSegmenter()` if None.
    classifier : classifier, default=None
        Any scikit-learn classifier; ``LogisticRegression(max_iter=1000)`` if
        None.
    sampler : sampler, default=None
        Of imbalanced-learn, such as ``SMOTE()``; it resamples the table, in
        fit only. None does not resample.
    featurizer : transformer, default=None
        From outlined images to a table; `ABCDFeaturizer()` if None.
    metadata : sequence of str, default=None
        Clinical columns, such as age, sex and site. X is then a DataFrame with
        the column ``image`` (and, as known, ``mask`` and the others of
        `skinseg.check_images`) and these columns. The first step is a
        ColumnTransformer ``fusion`` of ``lesion`` (so that names begin with
        ``fusion__lesion__``) and ``clinical``: numbers that are missing take
        the median with an indicator beside them, categories that are missing
        are one of their own, categories that are new in a prediction count as
        none. A segmenter that learns takes its masks from the column
        ``reference_mask``, which must then be there (if only with None) in
        predictions, too.
    max_side : int, default=512
        Working size of the images, longer side in pixels.
    batch_size : int, default=32
        Images a batch.
    n_jobs : int, default=None
        Number of batches at work at once, as in joblib.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which table rows are kept.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the batch, or gets NaN,
        which the imputer fills.
    verbose : int, default=0
        Show a progress bar if above 0.

    Returns
    -------
    imblearn.pipeline.Pipeline
        The pipeline, not fitted.

    Examples
    --------
    >>> from skinseg import make_lesion_pipeline
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(20, random_state=0)
    >>> model = make_lesion_pipeline().fit(lesions.images, lesions.target)
    >>> model.predict_proba(lesions.images[:2]).shape
    (2, 2)
    """
    lesion = BatchedPipeline(
        [
            ("resizer", ImageResizer(max_side)),
            ("hair", "passthrough"),
            ("color", "passthrough"),
            ("segmenter", PretrainedSegmenter() if segmenter is None else segmenter),
            ("featurizer", ABCDFeaturizer() if featurizer is None else featurizer),
        ],
        batch_size=batch_size,
        n_jobs=n_jobs,
        memory=memory,
        on_error=on_error,
        verbose=verbose,
    )
    first: tuple[str, Any] = ("lesion", lesion)
    if metadata is not None:
        parts: Any = [
            ("lesion", lesion, _lesion_columns(segmenter)),
            ("clinical", make_clinical_transformer(), list(metadata)),
        ]
        first = ("fusion", ColumnTransformer(parts, verbose_feature_names_out=False))
    return Pipeline(
        [
            first,
            ("imputer", SimpleImputer(keep_empty_features=True)),
            ("scaler", make_scaler()),
            ("sampler", "passthrough" if sampler is None else sampler),
            ("classifier", LogisticRegression(max_iter=1000) if classifier is None else classifier),
        ]
    )
