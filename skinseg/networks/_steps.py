"""Steps of a model, traced by TensorFlow once for batches of any number of images.

Keras traces a step for the number of images that comes first, and again when another one comes; that of a training
twice at first, for metrics make their variables in it. For a network of some hundred layers each takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._backend import import_keras

__all__ = ["trace_once"]


def trace_once(model: Any) -> Any:
    """Let the steps of training, testing and prediction be traced once each, whatever the number of images.

    Parameters
    ----------
    model : keras.Model
        A network of one input and one output; compiled, if it is to be trained.

    Returns
    -------
    keras.Model
        The same. With another backend than TensorFlow, or within a strategy that
        distributes it, it stays as it was.
    """
    if import_keras().backend.backend() != "tensorflow":
        return model
    import tensorflow as tf

    if tf.distribute.has_strategy():
        return model
    # where Keras keeps its own; it hands over an iterator, and for predictions a list of one batch
    if model.compiled:
        learn = _any_number(model.train_step)
        test = _any_number(model.test_step)

        def prepared(step: Callable[..., Any]) -> Callable[[Any], Any]:
            def run(batches: Any) -> Any:
                data = [item for item in next(batches) if item is not None]
                _make_metrics(model, data)
                return step(*data)

            return run

        model.train_function, model.test_function = prepared(learn), prepared(test)
    predict = _any_number(model.predict_step)
    model.predict_function = lambda batches: predict(batches[0][0] if isinstance(batches[0], tuple) else batches[0])
    return model


def _make_metrics(model: Any, data: list[Any]) -> None:
    """Let the metrics make their variables before the step in which they would."""
    made = getattr(model, "_compile_metrics", None)
    if made is not None and not made.built:
        model.compute_metrics(None, data[1][:1], np.zeros((1, *model.output_shape[1:]), np.float32))
        model.reset_metrics()


def _any_number(step: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a step of a model for arrays whose first axis is of any length."""
    compiled: dict[Any, Callable[..., Any]] = {}

    def run(*arrays: Any) -> Any:
        import tensorflow as tf

        specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in arrays]
        key = tuple(specs)
        if key not in compiled:
            compiled[key] = tf.function(lambda *data: step(data), input_signature=specs, autograph=False)
        return compiled[key](*arrays)

    return run
