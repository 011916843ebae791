"""The base of every estimator that holds a network: plain parameters in, plain arrays as state."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._files import write_file
from .._mapping import fail, hash_of, label_of, opencv_threads, raise_or_list
from .._quiet import ignored_warnings
from .._version import __version__
from ..base import ImageEstimator
from ..exceptions import CheckpointError, ModelFileError
from ..images import LesionImage
from ._backend import import_keras
from ._checkpoint import Progress, claim_folder, load_checkpoint, save_checkpoint
from ._losses import LOSSES
from ._pool import borrowed_model, first_weights
from ._steps import trace_once
from ._stream import SampleSource
from ._train import MAPS, OPTIMIZERS, SCHEDULES, Plan, Task, Trainer, compile_model

__all__ = ["Labels", "NetworkEstimator"]

_FOLDER = [str, HasMethods(["__fspath__"]), None]


class Labels(NamedTuple):
    """Classes of images, for estimators that tell classes apart.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    learn : ndarray of int
        Positions in it of the classes of the images to learn from.
    validation : ndarray of int or None
        The same of the validation images, if these are given.
    """

    classes: np.ndarray
    learn: np.ndarray
    validation: np.ndarray | None

    def targets(self, positions: Sequence[int], *, validation: bool = False) -> np.ndarray:
        """Give the classes of some of the images as probabilities, one row an image."""
        codes = self.learn if self.validation is None or not validation else self.validation
        return np.eye(len(self.classes), dtype=np.float32)[codes[np.asarray(positions, np.intp)]]


class NetworkEstimator(ImageEstimator):
    """Base of estimators that hold a network: a subclass names a graph and its settings.

    The fitted state is arrays, settings and a version, so that it can be
    copied, pickled and sent to workers; a Keras model is made of it where one
    is needed, and shared by all estimators of one architecture in a process.

    The network learns maps, from the reference masks of records. One that learns
    classes hands their `Labels` to `_learn`, and says by `_task`, `_source`,
    `_split`, `_class_weights` and `_sources_of` what is different for it.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageEstimator._parameter_constraints,
        "input_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "plateau_factor": [Interval(Real, 0, 1, closed="neither")],
        "plateau_patience": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "loss": [StrOptions(set(LOSSES))],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "augmentation": [Interval(Real, 0, 1, closed="both")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "cache": [str, HasMethods(["cache"]), HasMethods(["__fspath__"]), None],
        "checkpoint_dir": _FOLDER,
        "warm_start": ["boolean"],
        "callbacks": ["array-like", None],
        "random_state": ["random_state"],
    }
    _one_by_one: ClassVar[bool] = False  # a batch at once is cheaper
    _task: ClassVar[Task] = MAPS
    input_size: int
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    plateau_factor: float
    plateau_patience: int
    optimizer: str
    loss: str
    class_weight: Any
    augmentation: float
    averaging: float
    validation_fraction: float
    patience: int | None
    cache: Any
    checkpoint_dir: Any
    warm_start: bool
    callbacks: Any
    random_state: Any

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.non_deterministic = True  # to 1e-5 only, unless TensorFlow's determinism is switched on
        return tags

    # ------------------------------------------------------------------ the network

    @abstractmethod
    def _architecture(self) -> dict[str, Any]:
        """Give the settings that shape the graph, plain values only."""

    @staticmethod
    @abstractmethod
    def _build(architecture: dict[str, Any], seed: int | None) -> Any:
        """Build the graph."""

    def _first_weights(self, model: Any) -> list[np.ndarray]:
        """Give the weights that a new model starts from."""
        return list(model.get_weights())

    @property
    def model_(self) -> Any:
        """The fitted network, a new `keras.Model` at each access."""
        check_is_fitted(self, "weights_")
        model = self._build(self.architecture_, 0)
        model.set_weights(self.weights_)
        return model

    def _network_key(self) -> str:
        """Hash of what shapes the output of the network."""
        return hash_of(type(self).__name__, __version__, self.architecture_, self.weights_hash_)

    def _run_network(self, images: np.ndarray) -> np.ndarray:
        """Send a batch, (n, size, size, 3), through the fitted network."""
        build = self._build
        key = self._model_key("run", self.architecture_)
        with borrowed_model(
            key, lambda: trace_once(build(self.architecture_, 0)), self.weights_, self.weights_hash_
        ) as model:
            return np.asarray(model.predict_on_batch(images.astype(np.float32, copy=False)))

    def _model_key(self, use: str, architecture: dict[str, Any], *compiled: Any) -> str:
        """Name a model in the pool: what builds it, from which settings, and what is compiled into it."""
        build = self._build
        return json.dumps([use, build.__module__, build.__qualname__, architecture, *compiled])

    def _set_network(self, architecture: dict[str, Any], weights: Sequence[np.ndarray]) -> None:
        self.architecture_ = architecture
        self.weights_ = [np.asarray(array) for array in weights]
        digest = hashlib.sha256(json.dumps(architecture).encode())
        for array in self.weights_:
            digest.update(np.ascontiguousarray(array).tobytes())
        self.weights_hash_ = digest.hexdigest()

    # ------------------------------------------------------------------ training

    def _learn(
        self,
        records: Sequence[LesionImage],
        validation: Sequence[LesionImage] | None,
        labels: Labels | None = None,
        architecture: dict[str, Any] | None = None,
    ) -> Self:
        """Train on records; a part of them is set aside if there are none for validation."""
        architecture = self._architecture() if architecture is None else architecture
        import_keras()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        about: dict[str, Any] = {}
        resumed = None
        if self.checkpoint_dir is not None:
            about = self._about(architecture, records, validation, labels)
            resumed = load_checkpoint(self.checkpoint_dir, about)
            if resumed is None:
                claim_folder(self.checkpoint_dir, about)
        if resumed is not None:
            seed = resumed[1]
        about["seed"] = seed
        errors: dict[int, str] = {}
        learn, check = self._split(len(records), validation, seed, labels)
        checked = records if validation is None else validation
        source = self._source([records[i] for i in learn], None if labels is None else labels.targets(learn))
        held = None
        if check:
            targets = None if labels is None else labels.targets(check, validation=True)
            held = self._source([checked[i] for i in check], targets)

        def on_failed(where: SampleSource, failed: dict[int, LesionImage]) -> None:
            given = where is held and validation is not None
            caller = "fit (X_val)" if given else "fit"
            places = check if where is held else learn
            texts = {places[index]: (label_of(record), str(record.error)) for index, record in failed.items()}
            listed = raise_or_list(f"{type(self).__name__}.{caller}", self.on_error, texts)
            errors.update({index + len(records) * given: text for index, text in listed.items()})

        def on_epoch(progress: Progress) -> None:
            if self.checkpoint_dir is not None:
                save_checkpoint(self.checkpoint_dir, progress, about)

        with opencv_threads(1):
            weights = self._class_weights(source, on_failed, labels)
            build = cache(lambda: self._build(architecture, seed))
            progress = Progress(self._weights_to_start(architecture, seed, build)) if resumed is None else resumed[0]
            if resumed and [w.shape for w in progress.weights] != [w.shape for w in build().get_weights()]:
                raise CheckpointError(
                    f"{self.checkpoint_dir}: the weights to go on from are of another version of "
                    f"{type(self).__name__}; fit a new estimator, with another checkpoint_dir"
                )
            key = self._model_key("train", architecture, self.optimizer, self.loss, weights)
            task = self._task
            with borrowed_model(key, lambda: compile_model(build(), self.optimizer, self.loss, weights, task)) as model:
                callbacks = self._callbacks()
                try:
                    Trainer(
                        model, self._plan(seed), source, held, callbacks=callbacks, verbose=int(self.verbose),
                        name=type(self).__name__, on_failed=on_failed, on_epoch=on_epoch, task=task,
                    ).run(progress)  # fmt: skip
                except BaseException:
                    # stopped by hand or diverged: what was reached; a fit before stays if nothing was
                    if progress.n_epochs:
                        self._keep(architecture, progress, labels)
                    raise
                finally:
                    self._hand_back(callbacks)
                self._keep(architecture, progress, labels)
        if self.on_error == "nan":
            self.errors_ = errors
        self._learnt(source, held)
        return self

    def _source(self, records: Sequence[LesionImage], targets: np.ndarray | None) -> SampleSource:
        """Make what gives the samples of records; the targets are those of classes."""
        return SampleSource(records, self.input_size, self.cache)

    def _learnt(self, source: SampleSource, held: SampleSource | None) -> None:
        """Tell of what was seen in a training that is done."""

    def _keep(self, architecture: dict[str, Any], progress: Progress, labels: Labels | None) -> None:
        self._set_network(architecture, progress.best or progress.weights)
        if labels is not None:
            self.classes_ = labels.classes
        self.history_ = {name: list(values) for name, values in progress.history.items()}
        self.n_epochs_ = progress.n_epochs
        self.best_epoch_ = progress.best_epoch

    def _plan(self, seed: int) -> Plan:
        return Plan(
            input_size=int(self.input_size), epochs=int(self.epochs), batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate), schedule=self.schedule, augmentation=float(self.augmentation),
            averaging=float(self.averaging), patience=self.patience, plateau_factor=float(self.plateau_factor),
            plateau_patience=int(self.plateau_patience), seed=seed,
        )  # fmt: skip

    def _about(
        self,
        architecture: dict[str, Any],
        records: Sequence[LesionImage],
        validation: Sequence[LesionImage] | None,
        labels: Labels | None = None,
    ) -> dict[str, Any]:
        """Describe a training by all that its result follows from, to tell whose a checkpoint is."""
        # files by their names, so that a folder can be moved; what is in memory by its content
        names = [
            [record.name if record.path is not None else (record.name, record.cache_key()) for record in part]
            for part in (records, validation or ())
        ]
        fixed = isinstance(self.random_state, (int, np.integer))
        about = {
            "estimator": type(self).__name__, "architecture": architecture, "loss": self.loss,
            "optimizer": self.optimizer, "learning_rate": float(self.learning_rate), "schedule": self.schedule,
            "batch_size": int(self.batch_size), "augmentation": float(self.augmentation),
            "averaging": float(self.averaging), "class_weight": str(self.class_weight),
            "validation_fraction": float(self.validation_fraction), "weights": getattr(self, "weights", None),
            "n_images": [len(part) for part in names], "names": hash_of(names),
            "seed": int(check_random_state(self.random_state).randint(2**31 - 1)) if fixed else None,
        }  # fmt: skip
        about["files"] = hash_of(
            [[[_stamp(s) for s in self._sources_of(record)] for record in part] for part in (records, validation or ())]
        )
        if labels is not None:
            about["classes"] = [str(item) for item in labels.classes]
            about["labels"] = hash_of(labels.learn, labels.validation)
        if self.warm_start and hasattr(self, "weights_"):
            about["start"] = self.weights_hash_
        if self.schedule in ("cosine", "one_cycle"):
            about["epochs"] = int(self.epochs)  # the rate of each step follows from it
        if self.schedule == "plateau":
            about["plateau_factor"] = float(self.plateau_factor)
            about["plateau_patience"] = int(self.plateau_patience)
        return about

    def _sources_of(self, record: LesionImage) -> list[Any]:
        """Give what a network learns from of a record: files, or the array of a mask that is none."""
        return [record.path, record._planes["reference_mask"][0]]

    def _split(
        self, n_records: int, validation: Sequence[LesionImage] | None, seed: int, labels: Labels | None = None
    ) -> tuple[list[int], list[int]]:
        """Positions of the images to learn from, and of those to check with: in X, or in X_val."""
        if validation is not None:
            return list(range(n_records)), list(range(len(validation)))
        held = int(self.validation_fraction * n_records)
        order = np.random.default_rng([seed, n_records]).permutation(n_records).tolist()
        return sorted(order[held:]), sorted(order[:held])

    def _weights_to_start(self, architecture: dict[str, Any], seed: int, build: Callable[[], Any]) -> list[np.ndarray]:
        if self.warm_start and hasattr(self, "weights_"):
            if [array.shape for array in self.weights_] != [array.shape for array in build().get_weights()]:
                raise ValueError(
                    f"warm_start=True goes on from the network that is fitted, {self.architecture_}, but the "
                    f"parameters ask for {architecture}; set them back, or fit a new estimator"
                )
            return self.weights_
        weights = getattr(self, "weights", None)
        if weights == "imagenet":  # of a package of others, which may change
            return self._first_weights(build())
        key = self._model_key("first", architecture, seed, weights)
        return first_weights(key, lambda: self._first_weights(build()))

    def _class_weights(
        self, source: SampleSource, on_failed: Callable[..., None], labels: Labels | None
    ) -> tuple[float, ...]:
        """Weights of skin and lesion, or of the classes, in the cross-entropy."""
        if self.class_weight is None:
            return 1.0, 1.0
        if "bce" not in self.loss:
            warnings.warn(
                f"class_weight={self.class_weight!r} changes nothing with loss={self.loss!r}, which has no "
                "cross-entropy; use 'bce', 'bce_dice' or 'bce_jaccard'",
                UserWarning,
                stacklevel=4,
            )
        if isinstance(self.class_weight, dict):
            unknown = set(self.class_weight) - {0, 1}
            values = [self.class_weight.get(key, 1.0) for key in (0, 1)]
            if unknown or not all(isinstance(value, Real) and 0 <= float(value) < np.inf for value in values):
                raise ValueError(
                    "class_weight must be None, 'balanced' or a dict such as {0: 1.0, 1: 2.0}, of skin and of lesion, "
                    f"with weights of at least 0; got {self.class_weight!r}"
                )
            return float(values[0]), float(values[1])
        shares = []
        for index in range(len(source)):
            try:
                shares.append(float(np.mean(source.read(index)[1])) / 255)  # type: ignore[arg-type]
            except Exception as error:  # as in training: named, and the others go on
                on_failed(source, {index: fail(source.records[index], error)})
        share = float(np.mean(shares)) if shares else 0.0
        if not 0 < share < 1:
            return 1.0, 1.0
        return round(0.5 / (1 - share), 4), round(0.5 / share, 4)

    def _callbacks(self) -> list[Any]:
        """Copy the callbacks flatly: Keras binds them to a model, which parameters must not hold."""
        items = () if self.callbacks is None else self.callbacks
        return [copy.copy(item) if hasattr(item, "set_model") else item for item in items]

    def _hand_back(self, used: Sequence[Any]) -> None:
        """Give the callbacks of the user what those used have noted, but not the model."""
        for given, copied in zip(() if self.callbacks is None else self.callbacks, used, strict=True):
            if given is not copied:
                state = {key: value for key, value in vars(copied).items() if key not in ("model", "_model")}
                vars(given).update(state)

    # ------------------------------------------------------------------ files of others

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted network as a file of Keras or of ONNX.

        The network takes batches of RGB values from 0 to 255, float32, of shape
        (n, input_size, input_size, 3): images with their longer side brought to
        input_size, in the middle, 127 around them.

        Parameters
        ----------
        path : path-like
            The file; its ending tells the form: ``.keras`` or ``.onnx``.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the ending is neither.
        ImportError
            If keras is not installed, or for ONNX tf2onnx and onnx.
        """
        path = Path(path)
        if path.suffix not in (".keras", ".onnx"):
            raise ValueError(f"the name of the file must end in .keras or .onnx, got {path.name!r}")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder does not exist; make it first")
        model = self.model_
        if path.suffix == ".keras":
            with ignored_warnings(DeprecationWarning):  # of numpy 2, about how Keras copies its variables
                return _written(path, model.save)
        try:
            import onnx  # noqa: F401
            import tf2onnx  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "to write ONNX files needs onnx and tf2onnx: pip install 'scikit-skinseg[export]'"
            ) from error
        size = self.architecture_["input_size"]
        with ignored_warnings():  # of tf2onnx about what TensorFlow and numpy will drop
            model(np.zeros((1, size, size, 3), np.float32))  # Keras exports no model that was never called
            return _written(path, lambda place: model.export(str(place), format="onnx", verbose=False))

    @classmethod
    def from_keras(cls, path: str | os.PathLike[str], **parameters: Any) -> Self:
        """Make a fitted estimator from a ``.keras`` file that `export` wrote.

        Parameters
        ----------
        path : path-like
            The file; it is opened in the safe mode of Keras.
        **parameters : dict
            Parameters of the estimator; those that shape the network must be
            those of the network in the file.

        Returns
        -------
        estimator
            Ready to predict.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no file of Keras, or of a network of another shape.
        """
        estimator = cls(**parameters)
        estimator._validate_params()
        return estimator._read_keras(path, estimator._architecture())

    def _read_keras(self, path: str | os.PathLike[str], architecture: dict[str, Any]) -> Self:
        """Take the weights out of a file of Keras."""
        keras = import_keras()
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the file does not exist")
        if path.suffix != ".keras":
            raise ModelFileError(f"{path}: the name of the file must end in .keras")
        try:
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:  # Keras reads weights that were changed on the way
                    raise ValueError("its checksums do not fit")
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except (ValueError, OSError, TypeError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise ModelFileError(f"{path}: this is no .keras file, or it is damaged ({error})") from None
        weights = model.get_weights()
        built = self._build(architecture, 0)
        ours, theirs = ([w.shape for w in part] for part in (built.get_weights(), weights))
        shape = getattr(model, "input_shape", None)
        if ours != theirs or built.input_shape != shape:
            raise ModelFileError(
                f"{path} holds a network of another shape ({sum(map(np.prod, theirs)):,.0f} weights, input "
                f"{shape}) than {self} makes ({sum(map(np.prod, ours)):,.0f}, {built.input_shape}); "
                "give the parameters that it was fitted with"
            )
        self._set_network(architecture, weights)
        self.history_, self.n_epochs_, self.best_epoch_ = {}, 0, 0
        return self


def _stamp(source: Any) -> Any:
    """Name and size of a file; what is none as it is."""
    return (source.name, source.stat().st_size) if isinstance(source, Path) else source


def _written(path: Path, write: Callable[[Path], object]) -> Path:
    """Let a library write a file, which gets its name when it is complete."""
    with tempfile.TemporaryDirectory(prefix="skinseg-") as folder:
        made = Path(folder) / path.name
        write(made)
        write_file(path, made.read_bytes())
    return path
