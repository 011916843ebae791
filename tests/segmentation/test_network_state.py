"""Segmenters that hold a network: round trips, other processes, seeds, trainings that are resumed, and that fail."""

import copy
import importlib.util
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_score

keras = pytest.importorskip("keras")

import skinseg  # noqa: E402
import skinseg.base  # noqa: E402
from skinseg import BCDUNetSegmenter, EfficientUNetSegmenter, UNetSegmenter  # noqa: E402
from skinseg.datasets import make_lesions  # noqa: E402
from skinseg.exceptions import CheckpointError, ImageBatchError, ModelFileError, VersionMismatchWarning  # noqa: E402
from skinseg.networks import clear_pool, letterbox  # noqa: E402

# networks of few epochs find nothing in many an image
pytestmark = pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")

DATA = {"n_samples": 12, "random_state": 3, "min_side": 40, "max_side": 56, "melanoma_fraction": 0.5}
TINY = {
    "input_size": 16, "depth": 1, "base_filters": 2, "epochs": 1, "batch_size": 4, "validation_fraction": 0.0,
    "random_state": 0,
}  # fmt: skip
START = f"""
import os, signal, warnings
import numpy as np
from skinseg import UNetSegmenter
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning
warnings.simplefilter("ignore", EmptyMaskWarning)
data = make_lesions(**{DATA})
"""


def tiny(**settings):
    return UNetSegmenter(**{**TINY, **settings})


@pytest.fixture(scope="module", autouse=True)
def models_are_kept():
    """To trace one takes seconds; more are kept than for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skinseg.networks._pool._KEPT", 20)
        yield
    clear_pool()


@pytest.fixture(scope="module")
def data():
    return make_lesions(**DATA)


@pytest.fixture(scope="module")
def fitted(data):
    """A small network that finds something."""
    settings = {"base_filters": 4, "epochs": 25, "learning_rate": 1e-2, "augmentation": 0.0}
    return tiny(input_size=32, **settings).fit(data.images, data.masks)


def run(code, *, expected=0):
    """Run code in a new process; give what it printed."""
    done = subprocess.run([sys.executable, "-c", START + textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == expected, done.stderr
    return done.stdout.split()


def assert_same(first, second, atol=0.0):
    for a, b in zip(first, second, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a.astype(np.float32), b.astype(np.float32), rtol=0, atol=atol)


# ------------------------------------------------------------------ round trips


def test_files_give_the_same_masks_in_a_new_process(fitted, data, tmp_path):
    with open(tmp_path / "model.pickle", "wb") as file:
        pickle.dump(fitted, file)
    joblib.dump(fitted, tmp_path / "model.joblib")
    skinseg.save(fitted, tmp_path / "model.skops")
    files = ["model.pickle", "model.joblib", "model.skops"]
    if importlib.util.find_spec("cloudpickle"):
        (tmp_path / "model.cloudpickle").write_bytes(importlib.import_module("cloudpickle").dumps(fitted))
        files.append("model.cloudpickle")
    np.savez(tmp_path / "images.npz", *data.images)
    for part in (data.images[0][0].tobytes(), data.masks[0].tobytes()):
        assert part in pickle.dumps((data.images[0], data.masks[0]))
        assert all(part not in (tmp_path / name).read_bytes() for name in files)  # without the training data
    out = run(f"""
        import pickle, joblib, skinseg, sys
        folder = {str(tmp_path)!r}
        with np.load(folder + "/images.npz") as file:
            images = [file[name] for name in file.files]
        loaded = []
        for name in {files}:
            with open(folder + "/" + name, "rb") as file:
                own = {{"joblib": joblib.load, "skops": lambda file: skinseg.load(file.name)}}
                loaded.append(own.get(name.split(".")[1], pickle.load)(file))
        print("keras" in sys.modules)
        for name, segmenter in zip({files}, loaded):
            np.savez(f"{{folder}}/{{name}}.npz", *segmenter.predict(images))
            print(segmenter.weights_hash_, segmenter.best_epoch_, len(segmenter.history_["loss"]))
    """)
    assert out[0] == "False"  # to load is no reason to import Keras
    assert out[1:] == [fitted.weights_hash_, "25", "25"] * len(files)
    expected = fitted.predict(data.images)
    assert all(mask.any() for mask in expected)
    for name in files:
        with np.load(tmp_path / f"{name}.npz") as file:
            for a, b in zip(expected, [file[key] for key in file.files], strict=True):
                np.testing.assert_array_equal(a, b)


def test_copies_are_fitted_and_clones_are_not(fitted, data):
    expected = fitted.predict_proba(data.images)
    for other in (copy.copy(fitted), copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert_same(other.predict_proba(data.images), expected)
    other = copy.deepcopy(fitted)
    other.weights_[0][:] = 0
    assert fitted.weights_[0].any()
    fresh = clone(fitted)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    assert fresh.get_params() == fitted.get_params()


def test_nothing_of_keras_is_in_the_state(fitted, data):
    fitted.predict(data.images[:1])
    assert fitted.model_ is not fitted.model_
    stamped = pickle.dumps(fitted)
    assert b"keras" not in stamped
    assert b"tensorflow" not in stamped


def test_another_version_is_told(fitted, monkeypatch):
    saved = pickle.dumps(fitted)
    monkeypatch.setattr(skinseg.base, "__version__", "99.0")
    with pytest.warns(VersionMismatchWarning, match=r"UNetSegmenter was saved by skinseg .* is loaded by 99\.0"):
        loaded = pickle.loads(saved)
    assert loaded.weights_hash_ == fitted.weights_hash_


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, where it saves
@pytest.mark.parametrize(
    "segmenter",
    [
        BCDUNetSegmenter(8, base_filters=2, dense_blocks=1, epochs=1, random_state=0),
        EfficientUNetSegmenter(32, base_filters=1, epochs=1, frozen_blocks=16, random_state=0),
        tiny(input_size=8, depth=2, normalization="group", dropout=0.1),
    ],
    ids=lambda segmenter: type(segmenter).__name__,
)
def test_weights_without_a_training_make_a_segmenter(segmenter, data, tmp_path):
    """Each network as a file of Keras, of skops, and as a pickle, without the seconds of a training."""
    model = segmenter._build(segmenter._architecture(), 7)
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0.1, 0.1, w.shape)) + 0.01 for w in model.get_weights()])
    model.save(tmp_path / "theirs.keras")
    ours = type(segmenter).from_keras(tmp_path / "theirs.keras", **segmenter.get_params())
    squares = np.stack([letterbox(image, segmenter.input_size) for image in data.images]).astype(np.float32)
    expected = np.asarray(model(squares))
    assert_same([np.asarray(ours.model_(squares))], [expected], atol=1e-5)
    loaded = skinseg.load(skinseg.save(ours, tmp_path / "model.skops"))
    assert loaded.weights_hash_ == pickle.loads(pickle.dumps(ours)).weights_hash_ == ours.weights_hash_
    again = type(segmenter).from_keras(ours.export(tmp_path / "ours.keras"), **segmenter.get_params())
    assert again.weights_hash_ == ours.weights_hash_


# ------------------------------------------------------------------ files of others


def test_keras_files(fitted, data, tmp_path):
    path = fitted.export(tmp_path / "model.keras")
    assert path == tmp_path / "model.keras"
    shape = {"input_size": 32, "depth": 1, "base_filters": 4}
    loaded = UNetSegmenter.from_keras(str(path), **shape, threshold=0.4)
    assert loaded.threshold == 0.4
    assert (loaded.history_, loaded.n_epochs_, loaded.best_epoch_) == ({}, 0, 0)
    assert loaded.weights_hash_ == fitted.weights_hash_
    assert_same(loaded.predict_proba(data.images), fitted.predict_proba(data.images))
    for other in ({"base_filters": 8}, {"input_size": 64}, {"depth": 2}, {"normalization": "group"}):
        with pytest.raises(ModelFileError, match="network of another shape"):
            UNetSegmenter.from_keras(path, **{**shape, **other})
    with pytest.raises(ModelFileError, match="network of another shape"):
        BCDUNetSegmenter.from_keras(path, input_size=32, base_filters=4)
    with pytest.raises(ValueError, match="threshold"):
        UNetSegmenter.from_keras(path, threshold=2)


def test_keras_files_that_are_none(fitted, tmp_path):
    content = fitted.export(tmp_path / "model.keras").read_bytes()
    damaged = bytearray(content)
    middle = slice(len(content) // 2, len(content) // 2 + 200)
    damaged[middle] = bytes(byte ^ 0x55 for byte in damaged[middle])
    bad = {"cut": content[: len(content) // 2], "empty": b"", "text": b"hello" * 50, "damaged": bytes(damaged)}
    for name, part in bad.items():
        (tmp_path / f"{name}.keras").write_bytes(part)
        with pytest.raises(ModelFileError, match=r"this is no \.keras file, or it is damaged"):
            UNetSegmenter.from_keras(tmp_path / f"{name}.keras", input_size=32, depth=1, base_filters=4)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        UNetSegmenter.from_keras(tmp_path / "none.keras")
    (tmp_path / "model.h5").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"must end in \.keras"):
        UNetSegmenter.from_keras(tmp_path / "model.h5")


def test_wrong_exports(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.keras or \.onnx, got 'model\.h5'"):
        fitted.export(tmp_path / "model.h5")
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        fitted.export(tmp_path / "no" / "model.keras")
    with pytest.raises(NotFittedError):
        tiny().export(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_onnx_files_agree(fitted, data, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = fitted.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    squares = np.stack([letterbox(image, 32) for image in data.images]).astype(np.float32)
    [found] = session.run(None, {session.get_inputs()[0].name: squares})
    assert_same([found], [np.asarray(fitted.model_(squares))], atol=1e-5)


def test_onnx_needs_its_packages(fitted, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"pip install .scikit-skinseg\[export\]"):
        fitted.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ workers


def test_two_processes_give_the_same_masks(fitted, data):
    expected = fitted.predict_proba(data.images)
    parallel = copy.deepcopy(fitted).set_params(n_jobs=2)
    assert_same(parallel.predict_proba(data.images), expected, atol=1e-6)
    assert_same(parallel.predict(data.images), fitted.predict(data.images))
    # also where they are trained there
    fold = KFold(2)
    scores = [cross_val_score(tiny(), data.images, data.masks, cv=fold, n_jobs=n_jobs) for n_jobs in (2, 1)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_threads_give_the_same_masks(fitted, data):
    expected = fitted.predict_proba(data.images)
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert_same(fitted.predict_proba(data.images), expected, atol=1e-6)


def test_trainings_in_threads_do_not_meet(data):
    alone = [tiny(random_state=seed).fit(data.images, data.masks) for seed in (0, 1)]
    fit = joblib.delayed(lambda seed: tiny(random_state=seed).fit(data.images, data.masks))
    together = joblib.Parallel(2, backend="threading")(fit(seed) for seed in (0, 1))
    for first, second in zip(alone, together, strict=True):
        assert_same(first.weights_, second.weights_, atol=1e-5)
    assert alone[0].weights_hash_ != alone[1].weights_hash_


def test_networks_of_one_architecture_share_a_model_and_not_its_weights(data):
    first, second = (tiny(random_state=seed).fit(data.images, data.masks) for seed in (0, 1))
    expected = [segmenter.predict_proba(data.images[:3]) for segmenter in (first, second)]
    assert np.abs(expected[0][0] - expected[1][0]).max() > 1e-4
    for segmenter, maps in zip((first, second, first), (*expected, expected[0]), strict=True):
        assert_same(segmenter.predict_proba(data.images[:3]), maps)


class Inverted(UNetSegmenter):
    """The same settings, another graph."""

    @staticmethod
    def _build(architecture, seed):
        model = UNetSegmenter._build(architecture, seed)
        return keras.Model(model.input, 1 - model.output)


def test_another_graph_of_the_same_settings_is_another_model(fitted, data):
    expected = fitted.predict_proba(data.images[:2])
    inverted = Inverted(**fitted.get_params())
    inverted._set_network(fitted.architecture_, fitted.weights_)
    for a, b in zip(inverted.predict_proba(data.images[:2]), expected, strict=True):
        np.testing.assert_allclose(a, 1 - b, atol=1e-5)


# ------------------------------------------------------------------ seeds


def test_the_same_seed_gives_the_same_network(data):
    settings = {"epochs": 3, "dropout": 0.3}
    first = tiny(**settings).fit(data.images, data.masks)
    clear_pool()  # a model that was used before and a new one
    second = tiny(**settings).fit(data.images, data.masks)
    assert_same(first.weights_, second.weights_, atol=1e-5)
    assert_same(first.predict_proba(data.images), second.predict_proba(data.images), atol=1e-5)
    np.testing.assert_allclose(first.history_["loss"], second.history_["loss"], atol=1e-5)
    third = tiny(**settings).fit(data.images, data.masks)
    assert_same(first.weights_, third.weights_, atol=1e-5)
    other = tiny(**{**settings, "random_state": 1}).fit(data.images, data.masks)
    assert other.weights_hash_ != first.weights_hash_


def test_bit_by_bit_where_tensorflow_is_deterministic():
    pytest.importorskip("tensorflow")
    code = f"""
        import tensorflow as tf
        tf.config.experimental.enable_op_determinism()
        from skinseg.networks import clear_pool
        for _ in range(2):
            segmenter = UNetSegmenter(**{{**{TINY}, "epochs": 3, "dropout": 0.3}})
            print(segmenter.fit(data.images, data.masks).weights_hash_)
            clear_pool()
    """
    hashes = run(code)
    assert len(hashes) == 2
    assert len(set(hashes)) == 1


def test_random_states_of_the_caller_are_not_touched(data):
    tf = pytest.importorskip("tensorflow")

    def draw():
        ours = [random.random(), *np.random.rand(3), *tf.random.uniform((3,)).numpy()]
        return [*ours, *tf.convert_to_tensor(keras.random.uniform((3,))).numpy()]

    drawn = []
    for fits in (False, True):
        keras.utils.clear_session()  # older versions go on with the generator that they have
        keras.utils.set_random_seed(7)  # of Python, numpy and TensorFlow
        first = draw()
        if fits:  # a network that no other test has built
            tiny(dropout=0.2).fit(data.images, data.masks).predict(data.images)
        drawn.append([first, draw()])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert drawn[0][0] != drawn[0][1]


def test_a_random_state_as_a_generator_is_drawn_from(data):
    source = np.random.RandomState(3)
    first = tiny(random_state=source).fit(data.images, data.masks)
    second = tiny(random_state=source).fit(data.images, data.masks)
    again = tiny(random_state=np.random.RandomState(3)).fit(data.images, data.masks)
    assert first.weights_hash_ != second.weights_hash_
    assert_same(first.weights_, again.weights_, atol=1e-5)


# ------------------------------------------------------------------ checkpoints

LONG = {**TINY, "epochs": 4, "dropout": 0.3, "averaging": 0.9, "learning_rate": 1e-2, "validation_fraction": 0.25}


def checkpoint_of(folder):
    with np.load(folder / "checkpoint.npz") as file:
        return json.loads(str(file["description"]))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a training that was killed after two of four epochs."""
    folder = tmp_path_factory.mktemp("training") / "checkpoints"
    run(
        f"""
        kill = lambda epoch, logs: os.kill(os.getpid(), signal.SIGKILL) if epoch == 2 else None
        UNetSegmenter(**{LONG}, callbacks=[kill], checkpoint_dir={str(folder)!r}).fit(data.images, data.masks)
        """,
        expected=-signal.SIGKILL,
    )
    return folder


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_and_resumed_is_as_uninterrupted(killed, data):
    saved = checkpoint_of(killed)["history"]
    assert {len(values) for values in saved.values()} == {2}
    resumed = UNetSegmenter(**LONG, checkpoint_dir=killed).fit(data.images, data.masks)
    assert resumed.n_epochs_ == 4
    assert {len(values) for values in resumed.history_.values()} == {4}
    assert {name: values[:2] for name, values in resumed.history_.items()} == saved
    straight = UNetSegmenter(**LONG).fit(data.images, data.masks)
    assert resumed.best_epoch_ == straight.best_epoch_
    assert_same(resumed.weights_, straight.weights_, atol=1e-5)
    for name in set(saved) - {"seconds"}:
        np.testing.assert_allclose(resumed.history_[name], straight.history_[name], rtol=0, atol=1e-5)
    rows = (killed / "history.csv").read_text().splitlines()
    assert rows[0].split(",") == ["epoch", *resumed.history_]
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    # now it is finished, and is only read
    told = []
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    finished = UNetSegmenter(**LONG, checkpoint_dir=str(killed), callbacks=[lambda *epoch: told.append(epoch)])
    finished.fit(data.images, data.masks)
    assert told == []
    assert finished.history_ == resumed.history_
    assert finished.weights_hash_ == resumed.weights_hash_
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def test_checkpoints_of_other_trainings_are_refused(data, tmp_path):
    tiny(checkpoint_dir=tmp_path).fit(data.images, data.masks)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    for change in ({"base_filters": 3}, {"depth": 2}, {"input_size": 32}):
        [(name, value)] = change.items()
        with pytest.raises(
            CheckpointError, match=f"architecture is .*'{name}': {value}.* was .*'{name}': {TINY[name]}"
        ):
            tiny(checkpoint_dir=tmp_path, **change).fit(data.images, data.masks)
    for name, value in {"random_state": 1, "loss": "dice", "optimizer": "sgd", "learning_rate": 1e-2}.items():
        shown = "seed" if name == "random_state" else name
        with pytest.raises(CheckpointError, match=f"another training: {shown} is "):
            tiny(checkpoint_dir=tmp_path, **{name: value}).fit(data.images, data.masks)
    with pytest.raises(CheckpointError, match=r"n_images is \[11, 0\] and was \[12, 0\]"):
        tiny(checkpoint_dir=tmp_path).fit(data.images[1:], data.masks[1:])
    with pytest.raises(CheckpointError, match="estimator is 'BCDUNetSegmenter' and was 'UNetSegmenter'"):
        BCDUNetSegmenter(16, base_filters=2, checkpoint_dir=tmp_path).fit(data.images, data.masks)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


def test_images_of_another_fold_are_another_training(data, tmp_path):
    """Arrays have no names: a checkpoint of the one half must not stand for a training on the other."""
    tiny(checkpoint_dir=tmp_path).fit(data.images[:6], data.masks[:6])
    with pytest.raises(CheckpointError, match=r"another training: .*names is "):
        tiny(checkpoint_dir=tmp_path).fit(data.images[6:], data.masks[6:])


def test_checkpoints_that_are_damaged(data, tmp_path):
    segmenter = tiny(checkpoint_dir=tmp_path).fit(data.images, data.masks)
    path = tmp_path / "checkpoint.npz"
    content = path.read_bytes()
    for part in (content[: len(content) // 2], b"", b"hello"):
        path.write_bytes(part)
        with pytest.raises(CheckpointError, match="or it is damaged"):
            segmenter.fit(data.images, data.masks)


def test_more_epochs_go_on_from_a_finished_checkpoint(data, tmp_path):
    settings = {"schedule": "constant", "checkpoint_dir": tmp_path}
    first = tiny(epochs=2, **settings).fit(data.images, data.masks)
    more = tiny(epochs=3, **settings).fit(data.images, data.masks)
    assert more.n_epochs_ == 3
    assert more.history_["loss"][:2] == first.history_["loss"]
    with pytest.raises(CheckpointError, match="schedule is 'one_cycle' and was 'constant'"):
        tiny(epochs=3, checkpoint_dir=tmp_path).fit(data.images, data.masks)


def test_a_seed_that_is_not_fixed_is_taken_from_the_checkpoint(data, tmp_path):
    settings = {**LONG, "random_state": None, "checkpoint_dir": tmp_path, "schedule": "constant"}
    stop = UNetSegmenter(**{**settings, "callbacks": [lambda epoch, logs: epoch == 2]}).fit(data.images, data.masks)
    assert stop.n_epochs_ == 2
    resumed = UNetSegmenter(**settings).fit(data.images, data.masks)
    assert resumed.n_epochs_ == 4
    assert resumed.history_["loss"][:2] == stop.history_["loss"]


def test_stopped_by_hand_keeps_what_was_reached(data):
    def stop(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    segmenter = tiny(epochs=4, callbacks=[stop])
    with pytest.raises(KeyboardInterrupt):
        segmenter.fit(data.images, data.masks)
    assert segmenter.n_epochs_ == 2
    assert len(segmenter.predict(data.images)) == 12


# ------------------------------------------------------------------ fits that fail


def failing(**settings):
    """Another one, for an error in the middle costs the model that is compiled."""
    return tiny(**{"base_filters": 1, **settings})


def test_files_that_are_cut_off(broken_files, lesions):
    good, cut = broken_files / "good.jpg", broken_files / "cut.jpg"
    X = [good, cut, good, good]
    y = [lesions.masks[0], np.zeros((150, 200), bool), lesions.masks[0], lesions.masks[0]]
    strict = failing(batch_size=2)
    for weight in (None, "balanced"):
        with pytest.raises(
            ImageBatchError, match=r"UNetSegmenter\.fit failed on 1 images.*\n.*X\[1\] \(.*cut\.jpg\): "
        ):
            strict.set_params(class_weight=weight).fit(X, y)
    assert not hasattr(strict, "weights_")
    loose = tiny(batch_size=2, on_error="nan").fit(X, y)
    assert list(loose.errors_) == [1]
    assert_same(loose.weights_, loose.fit(X, y).weights_, atol=1e-5)
    assert loose.predict(X)[1] is None
    with pytest.raises(ValueError, match="none of the 1 images could be read"):
        failing(on_error="nan").fit([cut], y[1:2])


def test_validation_files_that_are_cut_off(broken_files, lesions):
    good, cut = broken_files / "good.jpg", broken_files / "cut.jpg"
    X, y = [good] * 3, [lesions.masks[0]] * 3
    X_val, y_val = [good, cut], [lesions.masks[0], np.zeros((150, 200), bool)]
    with pytest.raises(ImageBatchError, match=r"UNetSegmenter\.fit \(X_val\) failed on 1 images.*\n.*X\[1\] "):
        failing().fit(X, y, X_val, y_val)
    loose = tiny(on_error="nan").fit(X, y, X_val, y_val)
    assert list(loose.errors_) == [3 + 1]
    assert np.isfinite(loose.history_["val_loss"]).all()


def test_a_fit_that_fails_leaves_the_fit_before(broken_files, lesions):
    good, cut = broken_files / "good.jpg", broken_files / "cut.jpg"
    segmenter = failing().fit([good], lesions.masks[:1])
    before = segmenter.weights_
    with pytest.raises(ImageBatchError):
        segmenter.fit([cut], [np.zeros((150, 200), bool)])
    assert segmenter.weights_ is before


def test_without_keras():
    code = """
    import sys
    sys.modules["keras"] = None
    import numpy as np
    from skinseg import UNetSegmenter
    segmenter = UNetSegmenter()
    print(segmenter.set_params(epochs=3))
    try:
        segmenter.fit([np.zeros((8, 8, 3), np.uint8)], [np.zeros((8, 8), bool)])
    except ImportError as error:
        print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    shown, message = done.stdout.splitlines()
    assert shown == "UNetSegmenter(epochs=3)"
    assert "pip install 'scikit-skinseg[deep]'" in message
