"""Training of a network: epochs over batches that are made in the background, resumable after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from ..exceptions import TrainingDivergedError
from ..images import LesionImage
from ._backend import import_keras
from ._checkpoint import Progress
from ._losses import jaccard, make_class_loss, make_loss
from ._steps import trace_once
from ._stream import SampleSource, batch_stream

__all__ = [
    "CLASSES",
    "MAPS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Plan",
    "Task",
    "Trainer",
    "class_auc",
    "compile_model",
    "rate_at",
]

OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine", "one_cycle", "plateau")
_WARM_UP = 0.2  # share of a cycle in which the rate rises
_LOWEST = 25  # how many times below its peak a cycle begins; it ends at 0
_WORSE = 1e-4  # what a loss has to fall by to count as better


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Parameters
    ----------
    input_size, epochs, batch_size : int
        Side of the input; passes over the images; images a step.
    learning_rate : float
        Its largest value.
    schedule : str
        One of `SCHEDULES`.
    augmentation : float
        Strength, in [0, 1].
    averaging : float
        Decay of the moving average of the weights, in [0, 1); 0 for none.
    patience : int or None
        Stop after so many epochs without a better one.
    plateau_factor, plateau_patience : float, int
        What the rate is multiplied by after so many epochs without a lower
        loss, with the schedule "plateau".
    seed : int
        Of order and augmentation.
    """

    input_size: int
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    augmentation: float
    averaging: float
    patience: int | None
    plateau_factor: float
    plateau_patience: int
    seed: int


@dataclass(frozen=True)
class Task:
    """What a network learns to do.

    Parameters
    ----------
    make_loss : callable
        From the name of a loss and ``class_weight`` to the loss.
    metrics : tuple of callable
        What is told besides the loss of the images that are learnt from.
    measure : callable
        From a model to an object that takes batches of validation images,
        ``add(x, y)``, and tells what was ``measured()``.
    """

    make_loss: Callable[..., Any]
    metrics: tuple[Callable[..., Any], ...]
    measure: Callable[[Any], Any]


def compile_model(
    model: Any, optimizer: str, loss: str, class_weight: tuple[float, ...], task: Task | None = None
) -> Any:
    """Get a model ready for training.

    Parameters
    ----------
    model : keras.Model
        The network.
    optimizer : str
        One of `OPTIMIZERS`.
    loss : str
        See `make_loss`, or `make_class_loss`.
    class_weight : tuple of float
        Weights of skin and of lesion, or of the classes.
    task : Task, default=None
        What it learns; `MAPS` if None.

    Returns
    -------
    keras.Model
        The same.
    """
    task = MAPS if task is None else task
    kinds = import_keras().optimizers
    made = {
        "adam": kinds.Adam,
        "adamw": kinds.AdamW,
        "nadam": kinds.Nadam,
        "rmsprop": kinds.RMSprop,
        "sgd": lambda: kinds.SGD(momentum=0.9, nesterov=True),
    }[optimizer]()
    # XLA takes minutes to compile such a network for CPUs
    made_loss = task.make_loss(loss, class_weight=class_weight)
    model.compile(made, made_loss, metrics=list(task.metrics), jit_compile=False)
    made.build(model.trainable_variables)
    return trace_once(model)


def rate_at(plan: Plan, done: float, losses: Sequence[float]) -> float:
    """Learning rate of a step; it follows from what is past, so that a training that is resumed needs no more.

    Parameters
    ----------
    plan : Plan
        The plan.
    done : float
        Share of the training that is done, in [0, 1).
    losses : sequence of float
        Of the epochs so far, on the validation images if there are any.

    Returns
    -------
    float
        The rate.
    """
    peak = plan.learning_rate
    if plan.schedule == "cosine":
        return peak * (1 + math.cos(math.pi * done)) / 2
    if plan.schedule == "one_cycle":
        if done < _WARM_UP:
            return peak * (1 / _LOWEST + (1 - 1 / _LOWEST) * done / _WARM_UP)
        return peak * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP))) / 2
    if plan.schedule == "plateau":
        best, waited = math.inf, 0
        for loss in losses:
            if loss < best - _WORSE:
                best, waited = loss, 0
            else:
                waited += 1
            if waited >= plan.plateau_patience:
                peak, waited = peak * plan.plateau_factor, 0
    return peak


class Trainer:
    """Trains a model that is compiled, from where it is.

    Parameters
    ----------
    model : keras.Model
        Compiled by `compile_model`; its optimizer is left as it was.
    plan : Plan
        The plan.
    images, validation : SampleSource
        To learn from; to choose the best epoch by, or None.
    callbacks : sequence of keras.callbacks.Callback or callable
        Told of each epoch; a callable gets the number of the epoch, from 1 on,
        and a dict of what was measured, and stops the training by True.
    verbose : int
        1 shows a progress bar, 2 one line an epoch.
    name : str
        For messages.
    on_failed : callable
        Told of images that cannot be read; may raise.
    on_epoch : callable
        Told of the progress after each epoch.
    task : Task, default=None
        What the model was compiled for; `MAPS` if None.
    """

    def __init__(
        self,
        model: Any,
        plan: Plan,
        images: SampleSource,
        validation: SampleSource | None,
        *,
        callbacks: Sequence[Any] = (),
        verbose: int = 0,
        name: str = "network",
        on_failed: Callable[[SampleSource, dict[int, LesionImage]], None],
        on_epoch: Callable[[Progress], None],
        task: Task | None = None,
    ) -> None:
        self.model = model
        self.plan = plan
        self.images = images
        self.validation = validation
        self.n_steps = math.ceil(len(images) / plan.batch_size)
        self.calls = _callback_list(callbacks, model, plan.epochs, self.n_steps)
        self.verbose = verbose
        self.name = name
        self.on_failed = on_failed
        self.on_epoch = on_epoch
        self.task = MAPS if task is None else task

    def run(self, progress: Progress) -> None:
        """Train until the plan is fulfilled.

        Parameters
        ----------
        progress : Progress
            Where the training is; changed in place after each epoch.

        Raises
        ------
        TrainingDivergedError
            If the loss is not finite any more; ``progress`` is that of the last
            epoch that ended well.
        """
        fresh = _values(self.model.optimizer.variables)
        try:
            self._run(progress)
        finally:
            _assign(self.model.optimizer.variables, fresh)
            self.calls.on_train_end()  # also after an error: callbacks close their files

    def _run(self, progress: Progress) -> None:
        model, plan = self.model, self.plan
        model.set_weights(progress.weights)
        if progress.optimizer:
            _assign(model.optimizer.variables, progress.optimizer)
        start = (progress.average or progress.weights) if plan.averaging else []
        average = [array.copy() for array in start]
        self.calls.on_train_begin()
        with _progress_bar(self.verbose, self.name, plan.epochs * self.n_steps) as bar:
            bar.update(progress.n_epochs * self.n_steps)
            while progress.n_epochs < plan.epochs and not model.stop_training and not self._out_of_patience(progress):
                self.calls.on_epoch_begin(progress.n_epochs)
                began = time.perf_counter()
                logs = self._learn(progress, average, bar)
                current = model.get_weights()
                if not all(np.isfinite(array).all() for array in current):  # the loss is of before the last step
                    raise self._diverged(progress, f"after the last step of epoch {progress.n_epochs + 1}")
                if self.validation is not None:
                    model.set_weights(average or current)
                    logs |= self._evaluate(self.validation, progress)
                    model.set_weights(current)
                logs["seconds"] = time.perf_counter() - began
                for key, value in logs.items():
                    progress.history.setdefault(key, []).append(value)
                progress.weights, progress.average = current, [array.copy() for array in average]
                progress.optimizer = _values(model.optimizer.variables)
                if progress.best_epoch == progress.n_epochs:
                    progress.best = [array.copy() for array in average or current]
                self.on_epoch(progress)
                if self.verbose > 1:
                    _tell(self.name, plan, progress, logs)
                self.calls.on_epoch_end(progress.n_epochs - 1, dict(logs))

    def _out_of_patience(self, progress: Progress) -> bool:
        patience = self.plan.patience
        return patience is not None and progress.n_epochs - progress.best_epoch >= patience

    def _learn(self, progress: Progress, average: list[np.ndarray], bar: Any) -> dict[str, float]:
        """Go once through the images; the average of the weights is changed in place."""
        model, plan, epoch = self.model, self.plan, progress.n_epochs
        losses = progress.history.get("val_loss") or progress.history.get("loss", [])
        order = np.random.default_rng([plan.seed, epoch]).permutation(len(self.images))
        # parts of about equal size: a last batch of one image would spoil the statistics of the normalization
        batches = np.array_split(order, self.n_steps)
        _seed_dropout(model, plan.seed, epoch)
        means = _Means(model)
        logs: dict[str, float] = {}
        rate = 0.0
        with batch_stream(self.images, batches, plan.input_size, plan.augmentation, (plan.seed, epoch)) as stream:
            for step, (x, y, failed) in enumerate(stream):
                if failed:
                    self.on_failed(self.images, failed)
                bar.update(1)
                if not len(x):
                    continue
                rate = rate_at(plan, (epoch + step / self.n_steps) / plan.epochs, losses)
                model.optimizer.learning_rate = rate
                self.calls.on_train_batch_begin(step)
                logs = means.add(model.train_on_batch, x, y)
                if not np.isfinite(logs["loss"]):
                    raise self._diverged(progress, f"at step {step + 1} of epoch {epoch + 1}")
                _move(average, model, plan.averaging, epoch * self.n_steps + step)
                self.calls.on_train_batch_end(step, dict(logs))
                bar.set_postfix(epoch=epoch + 1, **{key: f"{value:.3f}" for key, value in logs.items()})
        if not logs:
            raise ValueError(f"{self.name} cannot learn: none of the {len(self.images)} images could be read")
        return {**logs, "learning_rate": rate}

    def _evaluate(self, source: SampleSource, progress: Progress) -> dict[str, float]:
        """Measure loss and score on images as they are."""
        plan = self.plan
        measure = self.task.measure(self.model)
        batches = np.array_split(np.arange(len(source)), math.ceil(len(source) / plan.batch_size))
        with batch_stream(source, batches, plan.input_size, 0.0, (plan.seed,)) as stream:
            for x, y, failed in stream:
                if failed:
                    self.on_failed(source, failed)
                if len(x):
                    measure.add(x, y)
        logs: dict[str, float] = measure.measured()
        if not logs:
            raise ValueError(f"{self.name}: none of the {len(source)} validation images could be read")
        if not np.isfinite(logs["loss"]):
            raise self._diverged(progress, f"on the validation images of epoch {progress.n_epochs + 1}")
        return {f"val_{key}": value for key, value in logs.items()}

    def _diverged(self, progress: Progress, where: str) -> TrainingDivergedError:
        kept = f"the weights are those of epoch {progress.best_epoch}" if progress.n_epochs else "no epoch ended well"
        return TrainingDivergedError(
            f"{self.name}: the loss is not finite any more {where}; {kept}. Try a lower learning_rate, or the schedule "
            "'one_cycle'"
        )


class _Means:
    """Means over the images so far; what Keras tells is of the last batch alone, or of all, as its version has it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, step: Callable[..., Any], x: np.ndarray, y: np.ndarray) -> dict[str, float]:
        self._model.reset_metrics()
        self._count += len(x)
        for key, value in step(x, y, return_dict=True).items():
            self._sums[key] = self._sums.get(key, 0.0) + len(x) * float(value)
        return {key: total / self._count for key, total in self._sums.items()}


class _MapMeasure:
    """Means of loss and Jaccard index over the validation images."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._means = _Means(model)
        self._logs: dict[str, float] = {}

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        self._logs = self._means.add(self._model.test_on_batch, x, y)

    def measured(self) -> dict[str, float]:
        return self._logs


class _ClassMeasure:
    """Mean loss of the validation images, and ROC AUC of all of them."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._losses: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        found = np.asarray(self._model.predict_on_batch(x))
        self._losses.append(np.asarray(self._model.loss(y, found)))
        self._labels.append(y)
        self._found.append(found)

    def measured(self) -> dict[str, float]:
        if not self._losses:
            return {}
        loss = float(np.concatenate(self._losses).astype(np.float64).mean())
        found = np.concatenate(self._found)
        auc = class_auc(np.concatenate(self._labels), found) if np.isfinite(found).all() else math.nan
        return {"loss": loss, "auc": auc}


def class_auc(labels: np.ndarray, found: np.ndarray) -> float:
    """Area under the ROC curve: of the second of two classes, or the mean of each of more against the others.

    Parameters
    ----------
    labels : ndarray of shape (n, n_classes)
        The classes, as probabilities; the largest one counts.
    found : ndarray of shape (n, n_classes)
        Probabilities.

    Returns
    -------
    float
        The area; a class that none of the images has, or all, is left out. NaN
        where that leaves none.
    """
    truth = labels.argmax(axis=1)
    columns = (1,) if labels.shape[1] == 2 else range(labels.shape[1])
    areas = [roc_auc_score(truth == k, found[:, k]) for k in columns if 0 < (truth == k).sum() < len(truth)]
    return float(np.mean(areas)) if areas else math.nan


MAPS = Task(make_loss, (jaccard,), _MapMeasure)
"""Outline lesions: targets are maps."""
CLASSES = Task(make_class_loss, (), _ClassMeasure)
"""Tell classes apart: targets are probabilities of classes."""


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    ops = import_keras().ops
    # not by convert_to_numpy, which asks for copies in a form that numpy 2 warns of
    return [np.asarray(ops.stop_gradient(ops.convert_to_tensor(variable))).copy() for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _move(average: list[np.ndarray], model: Any, decay: float, step: int) -> None:
    """Take the weights of a step into their moving average, in which the first steps soon count no more."""
    if not average:
        return
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average, model.get_weights(), strict=True):
        mean += np.float32(1 - decay) * (value - mean)


def _seed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Let the dropout of an epoch follow from its number, so that it is the same in a training that is resumed."""
    for number, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            start = np.random.default_rng([seed, epoch, number]).integers(2**31 - 1)
            generator.state.assign(np.array([start, 0], generator.state.dtype))


def _callback_list(callbacks: Sequence[Any], model: Any, epochs: int, n_steps: int) -> Any:
    keras = import_keras()

    def told(function: Callable[[int, dict[str, float]], Any]) -> Any:
        def on_epoch_end(epoch: int, logs: dict[str, float]) -> None:
            if function(epoch + 1, logs) is True:
                model.stop_training = True

        return keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)

    wrong = [item for item in callbacks if isinstance(item, type) or not callable(getattr(item, "set_model", item))]
    if wrong:
        raise TypeError(f"callbacks must be instances of keras.callbacks.Callback, or functions; got {wrong}")
    known = [item if isinstance(item, keras.callbacks.Callback) else told(item) for item in callbacks]
    model.stop_training = False
    return keras.callbacks.CallbackList(known, model=model, epochs=epochs, steps=n_steps, verbose=0)


def _progress_bar(verbose: int, name: str, total: int) -> Any:
    from tqdm.auto import tqdm  # here, for its search for notebooks costs time at import

    return tqdm(total=total, desc=f"{name}.fit", unit="batch", disable=verbose != 1)


def _tell(name: str, plan: Plan, progress: Progress, logs: dict[str, float]) -> None:
    parts = [f"{key} {value:.4g}" for key, value in logs.items() if key != "seconds"]
    print(f"{name}: epoch {progress.n_epochs}/{plan.epochs}, {logs['seconds']:.0f} s: {', '.join(parts)}", flush=True)
