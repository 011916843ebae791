"""Steps that TensorFlow traces once, whatever the number of images."""

import numpy as np
import pytest

pytest.importorskip("keras")

from skinseg.networks import unet
from skinseg.networks._steps import trace_once
from skinseg.networks._train import compile_model

SIDE = 8


def batch(n_images, side=SIDE):
    rng = np.random.default_rng(n_images)
    targets = np.ones((n_images, side, side, 2), np.float32)
    targets[..., 0] = rng.random(targets.shape[:3]) < 0.5
    return rng.uniform(0, 255, (n_images, side, side, 3)).astype(np.float32), targets


def network():
    return unet(SIDE, depth=1, base_filters=2, normalization="group", seed=0)


@pytest.fixture
def counted(monkeypatch):
    """A compiled network, and how often the Python of each of its steps was run, which is when it is traced."""
    model = network()
    counts = dict.fromkeys(("train_step", "test_step", "predict_step"), 0)

    def count(name, step):
        def run(data):
            counts[name] += 1
            return step(data)

        return run

    for name in counts:
        monkeypatch.setattr(model, name, count(name, getattr(model, name)))
    return compile_model(model, "adam", "bce_jaccard", (1.0, 1.0)), counts


def test_each_step_is_traced_once_for_batches_of_any_number(counted):
    model, counts = counted
    for n_images in (3, 2, 5, 1):
        x, y = batch(n_images)
        model.train_on_batch(x, y)
        model.test_on_batch(x, y)
        assert model.predict_on_batch(x).shape == (n_images, SIDE, SIDE, 1)
    assert counts == {"train_step": 1, "test_step": 1, "predict_step": 1}


def test_training_goes_as_that_of_keras():
    """Losses, metrics and weights after steps of several sizes, against the functions that Keras makes."""
    ours, theirs = (compile_model(network(), "sgd", "bce_jaccard", (1.0, 1.0)) for _ in range(2))
    theirs.train_function = theirs.test_function = theirs.predict_function = None
    for model in (ours, theirs):
        model.optimizer.learning_rate = 0.1
    start = ours.get_weights()
    for n_images in (3, 2, 3, 1):
        x, y = batch(n_images)
        for call in ("train_on_batch", "test_on_batch"):
            told, expected = (getattr(model, call)(x, y, return_dict=True) for model in (ours, theirs))
            assert told.keys() == expected.keys() == {"loss", "jaccard"}
            np.testing.assert_allclose(list(told.values()), list(expected.values()), rtol=1e-5)
            for model in (ours, theirs):
                model.reset_metrics()
    for before, array, expected in zip(start, ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-6)
        assert not np.array_equal(before, array)
    np.testing.assert_allclose(ours.predict_on_batch(x), theirs.predict_on_batch(x), rtol=1e-4)


def test_predictions_are_those_of_keras_bit_by_bit():
    ours, theirs = trace_once(network()), network()
    for n_images in (2, 3, 1):
        x, _ = batch(n_images)
        np.testing.assert_array_equal(ours.predict_on_batch(x), theirs.predict_on_batch(x))


def test_what_callbacks_may_ask_of_the_model_works_too(counted):
    """Keras hands over data sets, and weights of the images, whose sum it divides by the number of images."""
    model, _ = counted
    x, y = batch(5)
    np.testing.assert_allclose(model.predict(x, batch_size=2, verbose=0), model.predict_on_batch(x), rtol=1e-5)
    assert model.predict(x.astype(np.uint8), verbose=0).shape == (5, SIDE, SIDE, 1)
    one, other = (model.evaluate(x[k : k + 1], y[k : k + 1], verbose=0)[0] for k in (0, 1))
    weighted = model.evaluate(x[:2], y[:2], sample_weight=np.array([3.0, 1.0]), verbose=0)[0]
    assert weighted == pytest.approx((3 * one + other) / 2, rel=1e-5)
