"""Keras on TensorFlow: the packaged network as a Keras model."""

from importlib.metadata import version

import numpy as np
import tensorflow as tf
from worker import Task, each, serve

from skinseg.networks import efficientnet_lite_unet, packaged_network
from skinseg.networks._packaged import packaged_weights

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def build():
    model = efficientnet_lite_unet(**packaged_network().architecture)
    weights = packaged_weights()
    model.set_weights([weights[f"{layer.name}/{weight.name}"] for layer in model.layers for weight in layer.weights])
    return model


def floats(case):
    """What Keras takes without a conversion."""
    return case.square.astype(np.float32)


if __name__ == "__main__":
    model = build()

    def predict(batch_size):
        return lambda squares: model.predict(np.stack(squares), batch_size=batch_size, verbose=0)

    serve(
        {
            "predict, batches of 8": Task(floats, predict(8), 0),
            "predict, batches of 24": Task(floats, predict(24), 0),
            "predict_on_batch, batches of 24": Task(
                floats, lambda squares: model.predict_on_batch(np.stack(squares)), 0
            ),
            "predict, one by one": Task(
                lambda case: floats(case)[None], each(lambda square: model.predict(square, verbose=0)), 0
            ),
            "predict_on_batch, one by one": Task(lambda case: floats(case)[None], each(model.predict_on_batch), 0),
        },
        {name: version(name) for name in ("keras", "tensorflow", "numpy")},
        lambda case: {"probability": float(model.predict_on_batch(floats(case)[None]).mean(dtype=float))},
    )
