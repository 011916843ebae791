"""Networks in the package: their files, what is told of damaged ones, threads and forks, and their weights in Keras."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import skinseg.networks._packaged as ours
from skinseg import (
    BatchedPipeline,
    EfficientUNetSegmenter,
    EnsembleSegmenter,
    ImageResizer,
    LesionImage,
    PretrainedSegmenter,
    ThresholdSegmenter,
)
from skinseg._mapping import transform_batch
from skinseg.datasets import make_lesions
from skinseg.exceptions import ModelFileError
from skinseg.networks import (
    efficientnet_lite_classifier,
    efficientnet_lite_unet,
    embed_packaged,
    letterbox,
    packaged_network,
    packaged_networks,
    run_packaged,
)
from skinseg.networks._packaged import packaged_weights

ROOT = Path(__file__).parents[2]
LIMIT = 16_000_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the files that a test may spoil; no session of the real ones is used."""
    copy = shutil.copytree(ROOT / "skinseg" / "weights", tmp_path / "weights")
    monkeypatch.setattr(ours, "_FOLDER", copy)
    monkeypatch.setattr(ours, "_sessions", {})
    ours._networks.cache_clear()
    yield copy
    ours._networks.cache_clear()


@pytest.fixture
def opened(monkeypatch):
    """Options of each session that is opened from now on."""
    import onnxruntime

    options, open_session = [], onnxruntime.InferenceSession

    def note(content, given, **settings):
        options.append(given)
        return open_session(content, given, **settings)

    monkeypatch.setattr(ours, "_sessions", {})
    monkeypatch.setattr(onnxruntime, "InferenceSession", note)
    return options


@pytest.fixture(scope="module")
def squares():
    """Drawn lesions, to which a network answers with all kinds of values."""
    side = packaged_network().input_size
    return np.stack([letterbox(image, side) for image in make_lesions(3, random_state=0).images])


def run(code, **environment):
    """Run code in a new process; give what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# ------------------------------------------------------------------ the files


def test_the_manifest_tells_all_of_every_network():
    folder = ROOT / "skinseg" / "weights"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "lesion_unet" in manifest
    assert {entry["file"] for entry in manifest.values()} == {path.name for path in folder.glob("*.onnx")}
    for name, entry in manifest.items():
        network = packaged_network(name)
        assert network.sha256 == hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
        assert network.read() == (folder / entry["file"]).read_bytes()
        assert network.architecture["input_size"] == network.input_size
        assert network.input_size % 32 == 0
        assert {"license", "card", "data"} <= {key for key, value in entry.items() if value}


def test_all_files_together_are_small():
    sizes = [path.stat().st_size for path in (ROOT / "skinseg" / "weights").iterdir()]
    assert 1_000_000 < sum(sizes) < LIMIT


def test_calibration_is_a_curve_from_0_to_1_that_rises():
    expected, measured = map(np.array, packaged_network().calibration)
    assert expected.shape == measured.shape
    assert len(expected) > 5
    assert (expected[0], measured[0], expected[-1]) == (0, 0, 1)
    assert (np.diff(expected) > 0).all()
    assert (np.diff(measured) >= 0).all()
    assert measured[-1] <= 1


def test_answers_are_a_map_of_probabilities_a_member(squares):
    answer = run_packaged(squares)
    assert answer.shape == (3, answer.shape[1], *squares.shape[1:3])
    assert answer.shape[1] >= 1
    assert answer.dtype == np.float32
    assert 0 <= answer.min() < answer.max() <= 1
    np.testing.assert_allclose(run_packaged(squares[1:2]), answer[1:2], atol=1e-5)


# ------------------------------------------------------------------ files that are none


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_byte_that_changed_is_told_by_both_hashes(folder, squares, place):
    network = packaged_network()
    path = folder / network.file
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if place > 0 else place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"is damaged.*install the package again: pip install") as caught:
        run_packaged(squares)
    for part in (str(path), network.sha256, hashlib.sha256(content).hexdigest()):
        assert part in str(caught.value)


def test_a_file_that_is_cut_off_stops_segmenters_that_leave_bad_images_out(folder):
    path = folder / packaged_network().file
    path.write_bytes(path.read_bytes()[:-100])
    images = [np.zeros((20, 30, 3), np.uint8)] * 3
    segmenter = PretrainedSegmenter(on_error="nan")
    models = [
        segmenter,
        BatchedPipeline([("segmenter", segmenter)], on_error="nan").fit(images),
        EnsembleSegmenter([("pretrained", segmenter), ("threshold", ThresholdSegmenter())], on_error="nan").fit(images),
    ]
    for model in models:
        with pytest.raises(ModelFileError, match=r"lesion_unet\.onnx is damaged"):
            model.predict(images)
    with pytest.raises(ModelFileError, match=r"lesion_unet\.onnx is damaged"):
        transform_batch(make_pipeline(ImageResizer(16), segmenter), [LesionImage(image) for image in images])


@pytest.mark.parametrize("damage", [lambda text: text[:60], lambda text: text.replace("sha256", "sha"), lambda _: "[]"])
def test_a_damaged_manifest_is_named_and_no_image_is_blamed(folder, damage):
    path = folder / "manifest.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ModelFileError, match=r"manifest\.json is damaged .*install the package again"):
        PretrainedSegmenter(on_error="nan").predict([np.zeros((20, 30, 3), np.uint8)])


def test_names_and_arrays_that_are_none_of_its():
    with pytest.raises(ValueError, match="no packaged network 'other', but lesion_unet"):
        packaged_network("other")
    for images in (
        np.zeros((0, 224, 224, 3), np.uint8),
        np.zeros((1, 224, 224, 3)),
        np.zeros((1, 96, 96, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match=r"shape .n, 224, 224, 3., n at least 1, and dtype uint8, got"):
            run_packaged(images)


def test_weights_of_another_name():
    pytest.importorskip("keras")
    with pytest.raises(ValueError, match="weights must be 'imagenet', 'skinseg' or None, got 'imagent'"):
        efficientnet_lite_unet(32, weights="imagent")


@pytest.mark.parametrize("name", ["lesion_unet.onnx", "manifest.json"])
def test_a_file_that_is_missing(folder, squares, name):
    (folder / name).unlink()
    with pytest.raises(ModelFileError, match=r"cannot be read.*install the package again: pip install") as caught:
        run_packaged(squares)
    assert str(folder / name) in str(caught.value)


def test_a_network_is_opened_again_after_an_error(folder, squares):
    path = folder / packaged_network().file
    path.rename(folder / "away")
    with pytest.raises(ModelFileError):
        run_packaged(squares)
    (folder / "away").rename(path)
    assert len(run_packaged(squares)) == 3


def test_without_onnxruntime_the_error_names_the_command(folder, squares, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"run by ONNX Runtime.*pip install 'onnxruntime>="):
        run_packaged(squares)
    with pytest.raises(ImportError, match=r"pip install 'onnxruntime>="):
        PretrainedSegmenter(on_error="nan").predict([np.zeros((20, 30, 3), np.uint8)])


def test_a_version_of_onnxruntime_that_cannot_open_the_file(folder, squares, monkeypatch):
    import onnxruntime

    def refuse(*args, **settings):
        raise RuntimeError("unsupported opset")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    monkeypatch.setattr(onnxruntime, "__version__", "0.9.7")
    message = (
        r"onnxruntime 0\.9\.7 cannot open .* lesion_unet\.onnx \(unsupported opset\); install another version: pip"
    )
    with pytest.raises(ModelFileError, match=message):
        run_packaged(squares)


def test_what_onnxruntime_itself_says_of_a_file_that_is_no_network(folder, squares):
    content = b"no network at all"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["lesion_unet"]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "lesion_unet.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"onnxruntime \d+\.\d+.* cannot open .* lesion_unet\.onnx"):
        run_packaged(squares)


# ------------------------------------------------------------------ threads and processes


@pytest.mark.parametrize(
    ("granted", "bound"),
    [("1", 1), ("2", 2), ("3", 3), ("2,1", 2), ("100000", None), ("", None), ("0", None), ("many", None)],
)
def test_threads_are_the_cores_or_what_is_granted(monkeypatch, granted, bound):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert ours._n_threads() == (4 if bound is None else bound)


def test_a_session_gets_its_threads_and_is_opened_once(opened, squares, monkeypatch):
    monkeypatch.setattr(ours, "_n_threads", lambda: 2)
    first = run_packaged(squares)
    run_packaged(squares)
    assert [options.intra_op_num_threads for options in opened] == [2]
    assert [options.inter_op_num_threads for options in opened] == [1]
    monkeypatch.setattr(ours, "_n_threads", lambda: 1)
    np.testing.assert_allclose(run_packaged(squares), first, atol=1e-5)
    assert [options.intra_op_num_threads for options in opened] == [2, 1]


def test_threads_that_begin_together_share_one_session(opened, squares):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(run_packaged, [squares] * 8))
    assert len(opened) == 1
    for answer in answers:
        np.testing.assert_allclose(answer, run_packaged(squares), atol=1e-5)


def test_one_thread_where_one_is_granted():
    """As in a worker of joblib: the environment is that of its process from the start on."""
    out = run(
        """
        import numpy as np, onnxruntime
        import skinseg.networks._packaged as ours
        given, real = [], onnxruntime.InferenceSession
        onnxruntime.InferenceSession = lambda content, options, **rest: given.append(options) or real(
            content, options, **rest
        )
        side = ours.packaged_network().input_size
        answer = ours.run_packaged(np.zeros((1, side, side, 3), np.uint8))
        print(ours._n_threads(), len(given), given[0].intra_op_num_threads, answer.shape[0])
        """,
        OMP_NUM_THREADS="1",
    )
    assert out == ["1", "1", "1", "1"]


FORK = """
import os, signal, threading, numpy as np
import skinseg.networks._packaged as ours
ours._n_threads = lambda: 2  # a session with threads, which a fork leaves behind
side = ours.packaged_network().input_size
image = np.full((1, side, side, 3), (200, 150, 140), np.uint8)
image[:, side // 3 : side // 2, side // 3 : side // 2] = 60

def fork(work):
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # ends a child that waits for ever
        print(work(), flush=True)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_was_forked_predicts():
    """The threads of the session of its parent are not there; nothing waits for them."""
    out = run(
        FORK
        + textwrap.dedent("""
        open_session, opened = ours._open, []
        ours._open = lambda *args: opened.append(os.getpid()) or open_session(*args)
        expected = ours.run_packaged(image)

        def work():
            return bool(np.abs(ours.run_packaged(image) - expected).max() < 1e-5), opened.count(os.getpid())

        print(fork(work), work())
        """)
    )
    assert out == ["(True,", "1)", "0", "(True,", "1)"]  # each has opened a session of its own


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_was_forked_while_a_session_was_opened_predicts():
    out = run(
        FORK
        + textwrap.dedent("""
        open_session, opening, forked = ours._open, threading.Event(), threading.Event()

        def slowly(*args):
            opening.set()
            forked.wait(60)
            return open_session(*args)

        ours._open = slowly
        other = threading.Thread(target=ours.run_packaged, args=(image,))
        other.start()
        opening.wait(60)
        ours._open = open_session
        print(fork(lambda: ours.run_packaged(image).shape[0]))
        forked.set()
        other.join()
    """)
    )
    assert out == ["1", "0"]


# ------------------------------------------------------------------ in Keras


def test_without_onnx_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"weights='skinseg'.*pip install 'scikit-skinseg\[deep\]'"):
        packaged_weights()


def test_weights_of_a_changed_file_are_refused(folder):
    pytest.importorskip("onnx")
    path = folder / packaged_network().file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="is damaged"):
        packaged_weights()


def test_the_network_in_keras_answers_as_the_first_member(squares):
    pytest.importorskip("keras")
    pytest.importorskip("onnx")
    settings = packaged_network().architecture
    model = efficientnet_lite_unet(**settings, weights="skinseg")
    names = [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights]
    known = {name for name in packaged_weights() if not name.startswith("rescale/")}  # constants of its first layer
    assert set(names) == known  # none is left to chance, none is left over
    found = model.predict_on_batch(squares.astype(np.float32))[..., 0]
    answer = run_packaged(squares)[:, 0]
    assert answer.std() > 0.01
    np.testing.assert_allclose(found, answer, rtol=0, atol=1e-4)


def test_a_segmenter_is_trained_on_from_the_packaged_weights(lesions):
    keras = pytest.importorskip("keras")
    pytest.importorskip("onnx")
    begun = []

    class Watcher(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            begun.extend(self.model.get_weights())

    segmenter = EfficientUNetSegmenter(
        64, weights="skinseg", base_filters=packaged_network().architecture["base_filters"], frozen_blocks=16,
        epochs=1, batch_size=4, learning_rate=1e-4, validation_fraction=0.0, random_state=0, callbacks=[Watcher()],
    ).fit(lesions.images[:4], lesions.masks[:4])  # fmt: skip
    names = [f"{layer.name}/{variable.name}" for layer in segmenter.model_.layers for variable in layer.weights]
    known = packaged_weights()
    moved = []
    for name, start, now in zip(names, begun, segmenter.weights_, strict=True):
        np.testing.assert_array_equal(start, known[name], err_msg=name)
        if not np.array_equal(start, now):
            moved.append(name)
    assert moved
    assert not [name for name in moved if name.startswith(("stem", "block"))]


def test_a_decoder_of_another_size_is_told():
    pytest.importorskip("keras")
    pytest.importorskip("onnx")
    filters = packaged_network().architecture["base_filters"]
    with pytest.raises(
        ValueError, match=rf"weights='skinseg' are those of a network with base_filters={filters}; join0"
    ):
        efficientnet_lite_unet(32, base_filters=filters // 2, weights="skinseg")


# ------------------------------------------------------------------ how the file is written


@pytest.fixture(scope="module")
def writer():
    pytest.importorskip("keras")
    pytest.importorskip("onnx")
    spec = importlib.util.spec_from_file_location("onnx_file", ROOT / "benchmarks" / "experiments" / "onnx_file.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def vary(model, rng):
    """Give normalizations other weights and statistics than the first."""
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            n = layer.gamma.shape[0]
            gamma, variance = rng.uniform(0.8, 1.2, (2, n))
            layer.set_weights([gamma, *rng.normal(0, 0.1, (2, n)), variance])


@pytest.fixture
def members(writer):
    """Two small networks whose weights, statistics included, are none of the first values."""
    models = [efficientnet_lite_unet(32, base_filters=2, seed=seed) for seed in range(2)]
    rng = np.random.default_rng(0)
    for model in models:
        vary(model, rng)
        last = next(layer for layer in model.layers[::-1] if hasattr(layer, "kernel"))
        last.kernel.assign(20 * last.kernel)  # maps that are not all nearly one half
    return models


def test_a_file_of_two_networks_answers_as_they_do(writer, members):
    import onnxruntime

    made = writer.make_onnx(members)
    names = [tensor.name for tensor in made.graph.initializer if "/" in tensor.name]
    for number, model in enumerate(members):
        own = {f"net{number}/{layer.name}/{v.name}" for layer in model.layers for v in layer.weights}
        assert own == {name for name in names if name.startswith(f"net{number}/") and "/rescale/" not in name}
    content = made.SerializeToString()
    n_weights = sum(model.count_params() for model in members)
    assert 2 * n_weights < len(content) < 2 * n_weights + 200_000  # two bytes each

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    answer, embedding = session.run(None, {"images": images})
    assert embedding.shape == (3, made.graph.output[1].type.tensor_type.shape.dim[1].dim_value)
    assert answer.shape == (3, 2, 32, 32)
    expected = [model.predict_on_batch(images.astype(np.float32))[..., 0] for model in members]
    assert np.std(expected[0] - expected[1]) > 0.02  # so that they cannot be mixed up
    for number, model in enumerate(members):
        np.testing.assert_allclose(answer[:, number], expected[number], rtol=0, atol=2e-3)
        # all that is lost is in the 16 bits of the weights
        model.set_weights([values.astype(np.float16).astype(np.float32) for values in model.get_weights()])
        rounded = model.predict_on_batch(images.astype(np.float32))[..., 0]
        np.testing.assert_allclose(answer[:, number], rounded, rtol=0, atol=1e-5)


def test_a_layer_that_is_not_known_is_told(writer):
    import keras

    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, keras.layers.MaxPooling2D()(inputs))
    with pytest.raises(NotImplementedError, match="MaxPooling2D"):
        writer.make_onnx([model])


def test_a_file_of_classes_answers_as_its_network(writer):
    import keras
    import onnxruntime

    model = efficientnet_lite_classifier(32, 3, seed=0)
    vary(model, np.random.default_rng(0))
    kernel = model.get_layer("classes").kernel
    kernel.assign(100 * kernel)  # probabilities that are not all one third
    content = writer.make_onnx([model]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    answer, embedding = session.run(None, {"images": images})
    maps = keras.Model(model.input, model.get_layer("block15_project").input)
    values = images.astype(np.float32)
    np.testing.assert_allclose(answer[:, 0], model.predict_on_batch(values), atol=5e-3)
    np.testing.assert_allclose(embedding, maps.predict_on_batch(values).mean(axis=(1, 2)), atol=5e-3)
    assert np.ptp(answer[0, 0]) > 0.1


def test_networks_are_listed():
    assert packaged_networks() == ["lesion_unet", "melanoma"]
    with pytest.raises(ValueError, match=r"no packaged network 'unet', but lesion_unet, melanoma"):
        packaged_network("unet")


def test_the_network_of_the_melanoma_model(squares):
    network = packaged_network("melanoma")
    assert network.classes == ["nevus", "melanoma", "seborrheic_keratosis"]
    answer = run_packaged(squares, network)
    assert answer.shape == (len(squares), 1, 3)
    np.testing.assert_allclose(answer.sum(axis=2), 1, atol=1e-5)
    assert embed_packaged(squares, network).shape == (len(squares), network.embedding_size)
