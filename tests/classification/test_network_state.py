"""CNNClassifier: round trips, files of others, seeds, what is set aside, and trainings that are killed and resumed."""

import copy
import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest

keras = pytest.importorskip("keras")

import skinseg  # noqa: E402
from skinseg import CNNClassifier, LesionImage  # noqa: E402
from skinseg.classification._network import _held_out  # noqa: E402
from skinseg.datasets import make_lesions  # noqa: E402
from skinseg.exceptions import CheckpointError, ModelFileError  # noqa: E402
from skinseg.networks import clear_pool, letterbox  # noqa: E402

DATA = {"n_samples": 12, "random_state": 3, "min_side": 40, "max_side": 56, "melanoma_fraction": 0.5}
SMALL = {
    "input_size": 32, "weights": None, "epochs": 1, "batch_size": 4, "validation_fraction": 0.0, "random_state": 0,
}  # fmt: skip
START = f"""
import os, signal
import numpy as np
from skinseg import CNNClassifier
from skinseg.datasets import make_lesions
data = make_lesions(**{DATA})
names = np.where(data.target == 1, "melanoma", "nevus")
"""


def small(**settings):
    return CNNClassifier(**{**SMALL, **settings})


@pytest.fixture(scope="module", autouse=True)
def models_are_kept():
    """To trace one takes seconds; more are kept than for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skinseg.networks._pool._KEPT", 20)
        yield
    clear_pool()


@pytest.fixture(scope="module")
def data():
    made = make_lesions(**DATA)
    made.names = np.where(made.target == 1, "melanoma", "nevus")
    return made


@pytest.fixture(scope="module")
def fitted(data):
    """One whose probabilities differ from image to image, which after a few steps from chance they do not."""
    pytest.importorskip("onnx")
    return small(weights="skinseg", epochs=2).fit(data.images, data.names)


def run(code, *, expected=0):
    """Run code in a new process; give what it printed."""
    done = subprocess.run([sys.executable, "-c", START + textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == expected, done.stderr
    return done.stdout.split()


def assert_same(first, second, atol=0.0):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


# ------------------------------------------------------------------ round trips


def test_files_give_the_same_probabilities_in_a_new_process(fitted, data, tmp_path):
    with open(tmp_path / "model.pickle", "wb") as file:
        pickle.dump(fitted, file)
    joblib.dump(fitted, tmp_path / "model.joblib")
    skinseg.save(fitted, tmp_path / "model.skops")
    files = ["model.pickle", "model.joblib", "model.skops"]
    if importlib.util.find_spec("cloudpickle"):
        (tmp_path / "model.cloudpickle").write_bytes(importlib.import_module("cloudpickle").dumps(fitted))
        files.append("model.cloudpickle")
    out = run(f"""
        import pickle, joblib, skinseg, sys
        folder, files = {str(tmp_path)!r}, {files}
        loaded = []
        for name in files:
            with open(folder + "/" + name, "rb") as file:
                own = {{"joblib": joblib.load, "skops": lambda file: skinseg.load(file.name)}}
                loaded.append(own.get(name.split(".")[1], pickle.load)(file))
        print("keras" in sys.modules)
        for name, network in zip(files, loaded):
            np.save(f"{{folder}}/{{name}}.npy", network.predict_proba(data.images))
            print(network.weights_hash_, *network.classes_)
    """)
    assert out[0] == "False"  # to load is no reason to import Keras
    assert out[1:] == [fitted.weights_hash_, "melanoma", "nevus"] * len(files)
    expected = fitted.predict_proba(data.images)
    assert np.ptp(expected, axis=0).min() > 0
    for name in files:
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-6)


@pytest.mark.parametrize(
    "names",
    [np.array(["b", "a"], dtype=object), [True, False], [7, 3], [1.0, 0.0]],
    ids=["object", "bool", "int", "float"],
)
def test_classes_of_any_kind_are_saved(data, fitted, tmp_path, names):
    network = copy.deepcopy(fitted)
    network.classes_ = np.unique([names[index % 2] for index in range(12)])
    if isinstance(names, np.ndarray):
        network.classes_ = network.classes_.astype(object)
    loaded = skinseg.load(skinseg.save(network, tmp_path / "model.skops"))
    assert loaded.classes_.dtype == network.classes_.dtype
    assert loaded.classes_.tolist() == sorted(names)
    assert loaded.predict(data.images).tolist() == network.predict(data.images).tolist()


def test_nothing_of_keras_and_of_the_training_data_is_in_the_state(fitted, data):
    fitted.predict(data.images[:1])
    assert fitted.model_ is not fitted.model_
    saved = pickle.dumps(fitted)
    for part in (b"keras", b"tensorflow", data.images[0][0].tobytes()):
        assert part not in saved


def test_as_a_file_of_keras_and_back(fitted, data, tmp_path):
    path = fitted.export(tmp_path / "model.keras")
    loaded = CNNClassifier.from_keras(path, ["melanoma", "nevus"], input_size=32, view="lesion")
    assert (loaded.history_, loaded.n_epochs_, loaded.best_epoch_, loaded.view) == ({}, 0, 0, "lesion")
    assert loaded.weights_hash_ == fitted.weights_hash_
    np.testing.assert_array_equal(
        loaded.set_params(view="image").predict_proba(data.images), fitted.predict_proba(data.images)
    )
    assert CNNClassifier.from_keras(path, input_size=32).classes_.tolist() == [0, 1]
    for classes in (["nevus", "melanoma"], ["nevus"], ["a", "a"], "ab", [["a", "b"]]):
        with pytest.raises(ValueError, match="classes must be two or more different labels, sorted"):
            CNNClassifier.from_keras(path, classes, input_size=32)
    for classes, size in (([0, 1, 2], 32), ([0, 1], 64)):
        with pytest.raises(ModelFileError, match="network of another shape"):
            CNNClassifier.from_keras(path, classes, input_size=size)


def test_onnx_files_agree(fitted, data, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = fitted.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    squares = np.stack([letterbox(image, 32) for image in data.images]).astype(np.float32)
    [found] = session.run(None, {session.get_inputs()[0].name: squares})
    np.testing.assert_allclose(found, fitted.predict_proba(data.images), atol=1e-5)


# ------------------------------------------------------------------ seeds


def test_the_same_seed_gives_the_same_network_and_another_another(fitted, data):
    again = small(weights="skinseg", epochs=2).fit(data.images, data.names)
    assert_same(again.weights_, fitted.weights_, atol=1e-5)
    np.testing.assert_allclose(again.predict_proba(data.images), fitted.predict_proba(data.images), atol=1e-5)
    other = small(weights="skinseg", epochs=2, random_state=1).fit(data.images, data.names)
    assert other.weights_hash_ != fitted.weights_hash_


def test_random_states_of_the_caller_are_not_touched(data):
    tf = pytest.importorskip("tensorflow")
    drawn = []
    for fits in (False, True):
        keras.utils.set_random_seed(7)  # of Python, numpy and TensorFlow
        if fits:
            small().fit(data.images, data.names).predict(data.images)
        drawn.append([*np.random.rand(3), *tf.random.uniform((3,)).numpy()])
    np.testing.assert_array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    ("counts", "fraction", "held"),
    [
        ([9, 3], 0.34, [3, 1]),
        ([50, 50], 0.1, [5, 5]),
        ([95, 5], 0.1, [10, 0]),  # 9.5 and 0.5: of equal remainders the first
        ([85, 15], 0.1, [9, 1]),
        ([84, 16], 0.1, [8, 2]),
        ([3, 3, 3], 0.4, [1, 1, 1]),
        ([1, 11], 0.9, [0, 10]),  # one of each is left to learn from
        ([5, 5], 0.0, [0, 0]),
    ],
)
def test_shares_of_classes_by_hand(counts, fraction, held):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    chosen = _held_out(codes, fraction, np.random.default_rng(1))
    assert chosen == sorted(set(chosen))
    assert np.bincount(codes[chosen], minlength=len(counts)).tolist() == held
    if sum(held) > 1:
        assert chosen != _held_out(codes, fraction, np.random.default_rng(2))


# ------------------------------------------------------------------ checkpoints

LONG = {
    **SMALL,
    "weights": "skinseg",
    "epochs": 4,
    "averaging": 0.9,
    "validation_fraction": 0.34,
    "class_weight": "balanced",
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a training that was killed after two of four epochs."""
    folder = tmp_path_factory.mktemp("training") / "checkpoints"
    run(
        f"""
        kill = lambda epoch, logs: os.kill(os.getpid(), signal.SIGKILL) if epoch == 2 else None
        CNNClassifier(**{LONG}, callbacks=[kill], checkpoint_dir={str(folder)!r}).fit(data.images, names)
        """,
        expected=-signal.SIGKILL,
    )
    return folder


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_and_resumed_is_as_uninterrupted(killed, data):
    with np.load(killed / "checkpoint.npz") as file:
        saved = json.loads(str(file["description"]))["history"]
    assert {len(values) for values in saved.values()} == {2}
    resumed = CNNClassifier(**LONG, checkpoint_dir=killed).fit(data.images, data.names)
    assert resumed.n_epochs_ == 4
    assert {name: values[:2] for name, values in resumed.history_.items()} == saved
    straight = CNNClassifier(**LONG).fit(data.images, data.names)
    assert resumed.best_epoch_ == straight.best_epoch_
    assert resumed.classes_.tolist() == straight.classes_.tolist()
    assert_same(resumed.weights_, straight.weights_, atol=1e-5)
    for name in set(saved) - {"seconds"}:
        np.testing.assert_allclose(resumed.history_[name], straight.history_[name], rtol=0, atol=1e-5)
    rows = (killed / "history.csv").read_text().splitlines()
    assert rows[0].split(",") == ["epoch", *resumed.history_]
    assert len(rows) == 5
    # now it is finished, and is only read
    told = []
    finished = CNNClassifier(**LONG, checkpoint_dir=killed, callbacks=[lambda *epoch: told.append(epoch)])
    assert finished.fit(data.images, data.names).weights_hash_ == resumed.weights_hash_
    assert told == []


def test_checkpoints_of_other_trainings_are_refused(data, tmp_path):
    records = [LesionImage(image, mask) for image, mask in zip(data.images, data.masks, strict=True)]
    small(checkpoint_dir=tmp_path, view="lesion").fit(records, data.names)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    changes = {
        "view": ({"view": "image"}, data.names),
        "margin": ({"margin": 0.3}, data.names),
        "loss": ({"loss": "focal"}, data.names),
        "class_weight": ({"class_weight": "balanced"}, data.names),
        "weights": ({"weights": "imagenet"}, data.names),
        "labels": ({}, data.names[::-1]),
        "classes": ({}, data.target),
    }
    for name, (change, y) in changes.items():
        with pytest.raises(CheckpointError, match=f"another training: .*{name} is .* and was "):
            small(**{"checkpoint_dir": tmp_path, "view": "lesion", **change}).fit(records, y)
    shifted = [record.with_(mask=np.roll(record.mask, 3, axis=1)) for record in records]
    with pytest.raises(CheckpointError, match="names is"):
        small(checkpoint_dir=tmp_path, view="lesion").fit(shifted, data.names)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


def test_stopped_by_hand_keeps_what_was_reached(data):
    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    network = small(epochs=3, callbacks=[stop])
    with pytest.raises(KeyboardInterrupt):
        network.fit(data.images, data.names)
    assert network.n_epochs_ == 1
    assert network.classes_.tolist() == ["melanoma", "nevus"]
    assert network.predict_proba(data.images).shape == (12, 2)


def test_without_keras():
    code = """
    import sys
    sys.modules["keras"] = None
    import numpy as np
    from skinseg import CNNClassifier
    network = CNNClassifier()
    print(network.set_params(epochs=3))
    try:
        network.fit([np.zeros((8, 8, 3), np.uint8)] * 2, [0, 1])
    except ImportError as error:
        print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    shown, message = done.stdout.splitlines()
    assert shown == "CNNClassifier(epochs=3)"
    assert "pip install 'scikit-skinseg[deep]'" in message
