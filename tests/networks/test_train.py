"""Training: schedules by hand, the best epoch, patience, callbacks, averages, divergence, and what is left behind."""

import dataclasses
import math
import random
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.exceptions import TrainingDivergedError
from skinseg.networks import jaccard, make_loss, unet
from skinseg.networks._checkpoint import Progress
from skinseg.networks._stream import SampleSource, make_batch
from skinseg.networks._train import OPTIMIZERS, Plan, Trainer, _Means, compile_model, rate_at

keras = pytest.importorskip("keras")

SIZE = 8
PLAN = Plan(
    input_size=SIZE, epochs=3, batch_size=2, learning_rate=0.02, schedule="constant", augmentation=0.3, averaging=0.0,
    patience=None, plateau_factor=0.1, plateau_patience=2, seed=4,
)  # fmt: skip


def plan(**changes):
    return dataclasses.replace(PLAN, **changes)


def source(count=5, seed=0):
    rng = np.random.default_rng(seed)
    records = []
    for index in range(count):
        mask = np.zeros((SIZE, SIZE), bool)
        mask[1 : 4 + index % 3, 2:7] = True
        image = np.where(mask[..., None], 60, 200) + rng.integers(-20, 20, (SIZE, SIZE, 3))
        records.append(LesionImage(image.astype(np.uint8), reference_mask=mask, name=f"r{index}"))
    return SampleSource(records, SIZE)


@pytest.fixture(scope="module")
def model():
    """A network of some hundred weights, ready for training; each training leaves it as it was, but for its weights."""
    return compile_model(unet(SIZE, depth=1, base_filters=2, dropout=0.2, seed=0), "adam", "bce_jaccard", (1.0, 1.0))


@pytest.fixture(scope="module")
def first(model):
    return unet(SIZE, depth=1, base_filters=2, dropout=0.2, seed=0).get_weights()


@pytest.fixture
def train(model, first):
    """Train from the first weights, or from a progress."""

    def run(images=None, validation=None, progress=None, **settings):
        progress = Progress([array.copy() for array in first]) if progress is None else progress
        fields = {field.name for field in dataclasses.fields(Plan)}
        changes = {key: settings.pop(key) for key in list(settings) if key in fields}
        calls = {"on_failed": lambda *_: None, "on_epoch": lambda _: None, **settings}
        trainer = Trainer(model, plan(**changes), source() if images is None else images, validation, **calls)
        trainer.run(progress)
        return progress

    return run


def scripted(monkeypatch, jaccards, losses=None):
    """Let the validation give these numbers."""
    losses = [1.0] * len(jaccards) if losses is None else losses

    def evaluate(self, source, progress):
        return {"val_loss": losses[progress.n_epochs], "val_jaccard": jaccards[progress.n_epochs]}

    monkeypatch.setattr(Trainer, "_evaluate", evaluate)


def assert_equal(one, two, **tolerance):
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 0, "atol": 0, **tolerance})


def finite(arrays):
    return all(np.isfinite(array).all() for array in arrays)


class Steps(keras.callbacks.Callback):
    """Keeps the weights after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())


class Poison(keras.callbacks.Callback):
    """Spoils the weights after one step."""

    def __init__(self, epoch, step):
        super().__init__()
        self.place, self.epoch = (epoch, step), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch + 1) == self.place:
            self.model.set_weights([np.full_like(array, np.nan) for array in self.model.get_weights()])


# ---------------------------------------------------------------------- the learning rate


@pytest.mark.parametrize(
    ("schedule", "done", "expected"),
    [
        ("constant", 0.0, 1.0),
        ("constant", 0.99, 1.0),
        ("cosine", 0.0, 1.0),
        ("cosine", 0.25, (1 + math.sqrt(0.5)) / 2),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("one_cycle", 0.0, 1 / 25),
        ("one_cycle", 0.1, (1 / 25 + 1) / 2),
        ("one_cycle", 0.2, 1.0),
        ("one_cycle", 0.6, 0.5),
        ("one_cycle", 1.0, 0.0),
    ],
)
def test_schedules_by_hand(schedule, done, expected):
    assert rate_at(plan(schedule=schedule, learning_rate=3.0), done, []) == pytest.approx(3 * expected, abs=1e-12)


def test_one_cycle_has_no_jump():
    rates = [rate_at(plan(schedule="one_cycle"), done, []) for done in np.linspace(0, 1, 501)]
    assert np.abs(np.diff(rates)).max() < 0.02 * PLAN.learning_rate
    assert max(rates) == pytest.approx(PLAN.learning_rate)


@pytest.mark.parametrize(
    ("losses", "times"),
    [
        ([], 0),
        ([1.0, 0.9, 0.8], 0),
        ([1.0, 1.0], 0),  # one epoch without a lower loss
        ([1.0, 1.0, 1.0], 1),
        ([1.0, 1.1, 0.9, 1.0], 0),
        ([1.0, 1.0, 1.0, 1.0], 1),  # the count begins anew
        ([1.0, 1.0, 1.0, 1.0, 1.0], 2),
        ([1.0, 0.99995, 0.9999], 1),  # by less than 1e-4 is not lower
        ([1.0, 0.99995, 0.99985, 0.9998], 0),  # but what comes together is: compared is with the best that counted
    ],
)
def test_plateau_by_hand(losses, times):
    assert rate_at(plan(schedule="plateau"), 0.5, losses) == pytest.approx(PLAN.learning_rate * 0.1**times)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("seed", range(5))
def test_plateau_is_that_of_keras(seed):
    rng = np.random.default_rng(seed)
    losses = (np.exp(-np.arange(60) / 15) + rng.normal(0, 0.03, 60)).round(4)
    losses[30:40] = losses[30] - 4e-5 * np.arange(10)
    settings = plan(schedule="plateau", plateau_factor=0.5, plateau_patience=3)
    theirs = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=3, mode="min")
    optimizer = keras.optimizers.SGD(settings.learning_rate)
    theirs.set_model(SimpleNamespace(optimizer=optimizer))
    theirs.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        theirs.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(rate_at(settings, 0.0, losses[: epoch + 1].tolist()))
        assert rates[-1] == pytest.approx(float(optimizer.learning_rate), rel=1e-5)
    assert len(set(rates)) > 3


def test_each_step_has_its_rate_and_the_history_that_of_the_last(train, model):
    seen = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(float(np.asarray(self.model.optimizer.learning_rate)))

    progress = train(callbacks=[Rates()], schedule="one_cycle", epochs=4)
    expected = [rate_at(plan(schedule="one_cycle"), step / 12, []) for step in range(12)]
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    np.testing.assert_allclose(progress.history["learning_rate"], expected[2::3], rtol=1e-9)


def test_plateau_looks_at_the_loss_of_validation_where_there_is_one(train, monkeypatch):
    scripted(monkeypatch, [0.1] * 5, [1.0, 1.0, 1.0, 0.5, 0.4])
    progress = train(validation=source(2), schedule="plateau", epochs=5)
    np.testing.assert_allclose(progress.history["learning_rate"], [0.02, 0.02, 0.02, 0.002, 0.002])


# ---------------------------------------------------------------------- epochs


def test_it_learns_and_tells_what_it_measured(train):
    told = []
    progress = train(source(8), source(3, seed=1), epochs=8, on_epoch=lambda at: told.append(at.n_epochs))
    history = progress.history
    assert set(history) == {"loss", "jaccard", "learning_rate", "val_loss", "val_jaccard", "seconds"}
    assert {len(values) for values in history.values()} == {8}
    assert all(isinstance(value, float) for values in history.values() for value in values)
    assert np.mean(history["loss"][-2:]) < 0.9 * history["loss"][0]
    assert told == list(range(1, 9))
    assert progress.n_epochs == 8


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5])
def test_what_is_measured_is_the_mean_of_all_images_of_an_epoch(train, model, batch_size):
    """Of 5 images in batches of 3 and 2, say, and not of the last batch, nor of the means of batches."""
    images = source(5)
    steps = []

    class Logs(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(logs["loss"])

    progress = train(images, images, augmentation=0.0, epochs=1, batch_size=batch_size, callbacks=[Logs()])
    x, y, _ = make_batch(images, range(5), SIZE, 0.0, (0,))
    model.set_weights(progress.weights)
    found = np.asarray(model(x))
    losses, overlaps = np.asarray(make_loss("bce_jaccard")(y, found)), np.asarray(jaccard(y, found))
    assert np.ptp(losses) > 0.05
    assert progress.history["val_loss"][0] == pytest.approx(losses.mean(), rel=1e-5)
    assert progress.history["val_jaccard"][0] == pytest.approx(overlaps.mean(), rel=1e-5)
    assert steps[-1] == progress.history["loss"][0]
    assert len(steps) == math.ceil(5 / batch_size)


def test_the_loss_of_learning_is_that_of_each_batch_before_its_step(train, model, monkeypatch):
    batches, learn = [], model.train_on_batch

    def counted(x, y, **kwargs):
        logs = learn(x, y, **kwargs)
        batches.append((len(x), logs["loss"], logs["jaccard"]))
        return logs

    monkeypatch.setattr(model, "train_on_batch", counted)
    history = train(source(5), epochs=1).history
    sizes, losses, overlaps = np.array(batches).T
    assert sizes.tolist() == [2, 2, 1]
    assert history["loss"][0] == pytest.approx(np.average(losses, weights=sizes), rel=1e-6)
    assert history["jaccard"][0] == pytest.approx(np.average(overlaps, weights=sizes), rel=1e-6)


def test_means_are_the_same_with_a_keras_that_goes_on_counting():
    """Of some versions a step tells of its batch alone, of others of all batches since the last reset."""

    class Counting:
        def __init__(self):
            self.seen = []

        def reset_metrics(self):
            self.seen = []

        def step(self, x, y, return_dict):
            self.seen.extend(x)
            return {"loss": np.float32(np.mean(self.seen))}

    counting = Counting()
    means = _Means(counting)
    told = [means.add(counting.step, np.array(x), None)["loss"] for x in ([1.0, 2.0], [6.0], [3.0, 3.0])]
    assert told == pytest.approx([1.5, 3.0, 3.0])


def test_batches_are_of_about_the_same_size_and_hold_each_image_once(train, model, monkeypatch):
    sizes, seen = [], []
    learn = model.train_on_batch

    def counted(x, y, **kwargs):
        sizes.append(len(x))
        seen.extend(x[:, 0, 0].tolist())
        return learn(x, y, **kwargs)

    monkeypatch.setattr(model, "train_on_batch", counted)
    train(source(9), batch_size=4, epochs=2, augmentation=0.0)
    assert sizes == [3, 3, 3] * 2
    assert len({tuple(value) for value in seen[:9]}) == 9
    assert sorted(seen[:9]) == sorted(seen[9:])
    assert seen[:9] != seen[9:]  # in another order


def test_a_batch_larger_than_the_data_and_one_image(train):
    assert train(source(1), batch_size=16, epochs=2).n_epochs == 2


def test_the_weights_of_the_best_epoch_are_kept(train, monkeypatch):
    scripted(monkeypatch, [0.1, 0.5, 0.3])
    after = []
    progress = train(validation=source(2), on_epoch=lambda at: after.append([a.copy() for a in at.weights]))
    assert progress.best_epoch == 2
    assert_equal(progress.best, after[1])
    assert_equal(progress.weights, after[2])
    assert any((a != b).any() for a, b in zip(progress.best, progress.weights, strict=True))


def test_without_validation_the_last_epoch_is_kept(train):
    progress = train()
    assert progress.best_epoch == 3
    assert_equal(progress.best, progress.weights)
    assert "val_loss" not in progress.history


@pytest.mark.parametrize(
    ("jaccards", "losses", "patience", "stops", "best"),
    [
        ([0.1, 0.5, 0.4, 0.3, 0.6], None, 2, 4, 2),
        ([0.1, 0.5, 0.4, 0.6, 0.5], None, 2, 5, 4),
        ([0.1, 0.5, 0.4, 0.3, 0.2], None, None, 5, 2),
        ([0.0, 0.0, 0.0, 0.0, 0.0], [3, 2, 1, 1.5, 1.6], 2, 5, 3),  # it gets better by its loss
        ([0.0, 0.0, 0.0, 0.0, 0.0], [1, 1, 1, 1, 1], 2, 3, 1),  # a network that answers the same for ever
        ([0.5, 0.4, 0.3, 0.2, 0.1], None, 1, 2, 1),
    ],
)
def test_patience(train, monkeypatch, jaccards, losses, patience, stops, best):
    scripted(monkeypatch, jaccards, losses)
    progress = train(validation=source(2), patience=patience, epochs=5)
    assert (progress.n_epochs, progress.best_epoch) == (stops, best)


def test_a_training_that_is_done_is_left_alone(train, first):
    weights = [array.copy() for array in first]
    progress = Progress(weights, history={"loss": [1.0, 1.0, 1.0]})
    told = []
    train(progress=progress, epochs=3, on_epoch=told.append)
    assert told == []
    assert_equal(progress.weights, first)


# ---------------------------------------------------------------------- the same again


def test_the_same_seed_gives_the_same_and_another_another(train):
    one, two, other = train(), train(), train(seed=5)
    assert_equal(one.weights, two.weights, atol=1e-6)
    np.testing.assert_allclose(one.history["loss"], two.history["loss"], atol=1e-6)
    assert max(np.abs(a - b).max() for a, b in zip(one.weights, other.weights, strict=True)) > 1e-3


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
def test_a_training_in_two_parts_is_that_in_one(train, averaging, schedule):
    settings = {"epochs": 4, "averaging": averaging, "schedule": schedule, "validation": source(3, seed=1)}
    whole = train(**settings)

    def stop(epoch, logs):
        return epoch == 2

    part = train(callbacks=[stop], **settings)
    assert part.n_epochs == 2
    part = Progress(*([a.copy() for a in getattr(part, key)] for key in ("weights", "average", "best", "optimizer")),
                    history=part.history)  # fmt: skip
    train(progress=part, **settings)
    assert part.n_epochs == 4
    for key in ("weights", "average", "best"):
        assert_equal(getattr(part, key), getattr(whole, key), atol=1e-6)
    for key in ("loss", "val_loss", "learning_rate"):
        np.testing.assert_allclose(part.history[key], whole.history[key], atol=1e-6)


def test_the_optimizer_is_as_fresh_after_a_training(train, model):
    before = [np.asarray(variable.value) for variable in model.optimizer.variables]
    progress = train()
    after = [np.asarray(variable.value) for variable in model.optimizer.variables]
    assert_equal(before, after)
    assert int(after[0]) == 0  # steps done
    assert int(progress.optimizer[0]) == 9
    assert any(np.abs(array).max() > 0 for array in progress.optimizer[2:])


def test_no_global_random_state_is_touched(train):
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2]
    train(augmentation=1.0, epochs=1)
    assert before == (random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2])


# ---------------------------------------------------------------------- the average


def test_the_moving_average_by_hand(train, first):
    steps = Steps()
    progress = train(callbacks=[steps], averaging=0.6)
    expected = [array.astype(np.float64) for array in first]
    assert len(steps.weights) == 9
    for step, weights in enumerate(steps.weights):
        decay = min(0.6, (1 + step) / (10 + step))  # 0.1, 2/11, ...: the first weights soon count no more
        expected = [decay * mean + (1 - decay) * value for mean, value in zip(expected, weights, strict=True)]
    assert_equal(progress.average, expected, atol=1e-5)
    assert_equal(progress.best, progress.average)
    assert_equal(progress.weights, steps.weights[-1])  # learning goes on from the weights themselves


def test_the_average_is_what_is_validated(train, model):
    held = source(3, seed=1)
    progress = train(validation=held, averaging=0.9, epochs=1)
    x, y, _ = make_batch(held, range(3), SIZE, 0.0, (0,))
    measured = []
    for weights in (progress.average, progress.weights):
        model.set_weights(weights)
        measured.append(float(np.mean(np.asarray(make_loss("bce_jaccard")(y, np.asarray(model(x)))))))
    assert progress.history["val_loss"][0] == pytest.approx(measured[0], rel=1e-4)
    assert progress.history["val_loss"][0] != pytest.approx(measured[1], rel=1e-3)


# ---------------------------------------------------------------------- callbacks


def test_callbacks_of_keras_are_told_of_everything(train, model):
    told = []

    class Told(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            told.append("begin")

        def on_train_end(self, logs=None):
            told.append("end")

        def on_epoch_begin(self, epoch, logs=None):
            told.append(("epoch begins", epoch))

        def on_epoch_end(self, epoch, logs=None):
            told.append(("epoch ends", epoch, sorted(logs)))

        def on_train_batch_begin(self, batch, logs=None):
            told.append(("step begins", batch))

        def on_train_batch_end(self, batch, logs=None):
            told.append(("step ends", batch, sorted(logs)))

    callback = Told()
    train(callbacks=[callback], epochs=1, batch_size=3, validation=source(2))
    keys = ["jaccard", "learning_rate", "loss", "seconds", "val_jaccard", "val_loss"]
    steps = [[("step begins", n), ("step ends", n, ["jaccard", "loss"])] for n in range(2)]
    assert told == ["begin", ("epoch begins", 0), *steps[0], *steps[1], ("epoch ends", 0, keys), "end"]
    assert callback.model is model
    assert callback.params["epochs"] == 1


def test_early_stopping_of_keras_stops(train, monkeypatch):
    scripted(monkeypatch, [0.5, 0.4, 0.3, 0.2], [1, 2, 3, 4])
    progress = train(callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=1)], validation=source(2), epochs=4)
    assert progress.n_epochs == 2


@pytest.mark.parametrize(("answer", "epochs"), [(True, 2), (1, 3), (None, 3), (False, 3)])
def test_a_function_is_told_of_epochs_from_1_on_and_stops_by_true(train, answer, epochs):
    told = []

    def watch(epoch, logs):
        told.append((epoch, logs["loss"]))
        return answer if epoch == 2 else None

    progress = train(callbacks=[watch])
    assert told == list(enumerate(progress.history["loss"], start=1))
    assert progress.n_epochs == epochs
    assert train(epochs=1).n_epochs == 1  # the next training does not know of the stop


def test_a_callback_cannot_change_what_is_kept(train):
    def spoil(epoch, logs):
        logs.clear()

    assert len(train(callbacks=[spoil]).history["loss"]) == 3


@pytest.mark.parametrize("wrong", ["early_stopping", keras.callbacks.EarlyStopping, 3, None])
def test_what_is_no_callback_is_refused_before_the_first_epoch(train, wrong):
    told = []
    with pytest.raises(TypeError, match=r"instances of keras\.callbacks\.Callback, or functions; got"):
        train(callbacks=[wrong], on_epoch=told.append)
    assert told == []


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize(
    ("step", "where"),
    [(1, "at step 2 of epoch 2"), (3, "after the last step of epoch 2")],
)
@pytest.mark.parametrize("validated", [False, True])
def test_a_training_that_diverges_keeps_the_last_good_epoch(train, first, step, where, averaging, validated):
    settings = {"averaging": averaging, "validation": source(2) if validated else None}
    good = train(epochs=1, **settings)
    progress = Progress([array.copy() for array in first])
    told = []
    with pytest.raises(TrainingDivergedError, match=f"not finite any more {where}; the weights are those of epoch 1"):
        train(progress=progress, callbacks=[Poison(2, step)], on_epoch=lambda at: told.append(at.n_epochs), **settings)
    assert told == [1]  # no checkpoint of what is spoiled
    assert progress.n_epochs == 1
    for part in ("weights", "average", "best"):
        assert_equal(getattr(progress, part), getattr(good, part), atol=1e-6)
    assert {len(values) for values in progress.history.values()} == {1}


def test_weights_that_are_spoiled_by_the_very_last_step_are_no_result(train):
    with pytest.raises(TrainingDivergedError, match="after the last step of epoch 3; the weights are those of epoch 2"):
        train(callbacks=[Poison(3, 3)])


def test_a_rate_that_is_far_too_high_is_told(first):
    model = compile_model(unet(SIZE, depth=1, base_filters=2, normalization="none", seed=0), "sgd", "bce", (1.0, 1.0))
    start = model.get_weights()
    progress = Progress([array.copy() for array in start])
    calls = {"on_failed": lambda *_: None, "on_epoch": lambda _: None, "name": "UNetSegmenter"}
    with pytest.raises(TrainingDivergedError, match=r"^UNetSegmenter: the loss .* Try a lower learning_rate"):
        Trainer(model, plan(learning_rate=1e30, epochs=20), source(), None, **calls).run(progress)
    assert finite(progress.best or progress.weights)


def test_images_that_cannot_be_read_are_told_and_the_others_learned_from(train, tmp_path):
    mixed = source(4)
    mixed.records[1] = LesionImage(tmp_path / "none.png", reference_mask=tmp_path / "none.png")
    told = []
    held = SampleSource([mixed.records[1], mixed.records[0]], SIZE)
    progress = train(
        mixed, held, batch_size=1, epochs=2, on_failed=lambda where, failed: told.append((where, list(failed)))
    )
    assert told == [(mixed, [1]), (held, [0])] * 2
    assert {len(values) for values in progress.history.values()} == {2}


def test_without_a_single_image_there_is_nothing_to_learn(train, tmp_path):
    none = SampleSource([LesionImage(tmp_path / "none.png", reference_mask=tmp_path / "none.png")] * 3, SIZE)
    with pytest.raises(ValueError, match="cannot learn: none of the 3 images could be read"):
        train(none)


def test_an_error_leaves_no_thread_behind(train, tmp_path):
    def refuse(where, failed):
        raise RuntimeError("an image failed")

    mixed = source(6)
    mixed.records[2] = LesionImage(tmp_path / "none.png", reference_mask=tmp_path / "none.png")
    with pytest.raises(RuntimeError, match="an image failed"):
        train(mixed, batch_size=1, on_failed=refuse)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skinseg-batches")]


# ---------------------------------------------------------------------- what is shown, and optimizers


def test_what_is_shown(train, capsys):
    train(epochs=2, name="Quiet")
    assert capsys.readouterr() == ("", "")
    train(epochs=2, name="Lines", verbose=2)
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["Lines: epoch 1/2", "Lines: epoch 2/2"]
    assert all("loss " in line and "jaccard " in line and "learning_rate 0.02" in line for line in lines)
    train(epochs=2, name="Bar", verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Bar.fit: 100%" in err
    assert "6/6" in err


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_built_with_the_model(name):
    made = compile_model(unet(SIZE, depth=1, base_filters=1, seed=0), name, "bce", (1.0, 1.0)).optimizer
    assert made.built
    assert type(made).__name__.lower() == name
    if name == "sgd":
        assert (made.momentum, made.nesterov) == (0.9, True)
