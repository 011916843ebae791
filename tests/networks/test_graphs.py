"""The graphs: shapes, numbers of parameters derived by hand, seeds, and what is frozen."""

import os
import random
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("keras")

from skinseg.networks import bcdu_net, efficientnet_lite_unet, unet

SMALL = {
    "unet": lambda seed=0, size=16, **kw: unet(size, **{"depth": 2, "base_filters": 4, **kw}, seed=seed),
    "bcdu": lambda seed=0, size=16, **kw: bcdu_net(
        size, **{"base_filters": 2, "dense_blocks": 2, "dropout": 0.2, **kw}, seed=seed
    ),
    "efficient": lambda seed=0, size=32, **kw: efficientnet_lite_unet(size, **{"base_filters": 4, **kw}, seed=seed),
}


def conv(size, inputs, outputs, bias=True):
    return size**2 * inputs * outputs + bias * outputs


def unet_parameters(depth, filters, normalization):
    """Count the parameters of a U-Net from its description."""
    bias = normalization == "none"
    norm = {"none": 0, "batch": 4, "group": 2}[normalization]

    def double(inputs, outputs):
        return conv(3, inputs, outputs, bias) + conv(3, outputs, outputs, bias) + 2 * norm * outputs

    levels = [filters * 2**level for level in range(depth + 1)]
    down = sum(double(*pair) for pair in pairwise([3, *levels]))
    up = sum(conv(2, below, here, bias) + norm * here + double(2 * here, here) for here, below in pairwise(levels))
    return down + up + conv(1, filters, 1)


def bcdu_parameters(filters, blocks):
    """Count the parameters of a BCDU-Net from its description."""
    levels = [filters * 2**level for level in range(4)]
    count = sum(conv(3, a, b) + conv(3, b, b) for a, b in pairwise([3, *levels[:3]]))
    for block in range(blocks):
        inputs = levels[2] if block == 0 else block * levels[3]
        count += conv(3, inputs, levels[3]) + conv(3, levels[3], levels[3])
    for here, below in pairwise(levels):
        half = here // 2
        lstm = 9 * here * 4 * half + 9 * half * 4 * half + 4 * half
        count += conv(2, below, here, False) + 4 * here + 2 * lstm + 2 * conv(3, here, here)
    return count + conv(3, filters, 2) + conv(1, 2, 1)


@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
@pytest.mark.parametrize(("depth", "filters"), [(1, 1), (2, 4), (3, 6)])
def test_parameters_of_a_small_unet(depth, filters, normalization):
    model = unet(16, depth=depth, base_filters=filters, normalization=normalization)
    assert model.count_params() == unet_parameters(depth, filters, normalization)


@pytest.mark.parametrize("blocks", [1, 2])
def test_parameters_of_a_small_bcdu_net(blocks):
    assert bcdu_net(16, base_filters=4, dense_blocks=blocks).count_params() == bcdu_parameters(4, blocks)


def test_the_unet_of_the_paper_has_31_million_parameters():
    model = unet(256, base_filters=64, normalization="none", dropout=0.5)
    assert model.count_params() == unet_parameters(4, 64, "none") == 31_031_745
    assert model.output_shape == (None, 256, 256, 1)
    assert sum("Dropout" in type(layer).__name__ for layer in model.layers) == 2


def test_the_bcdu_net_of_the_defaults_has_the_parameters_of_its_description():
    model = bcdu_net()
    assert model.count_params() == bcdu_parameters(64, 3) == 23_370_821
    assert model.output_shape == (None, 256, 256, 1)


@pytest.mark.parametrize("name", SMALL)
def test_probabilities_come_in_the_size_of_the_input(name):
    model = SMALL[name]()
    side = model.input_shape[1]
    assert model.input_shape == (None, side, side, 3)
    images = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    found = np.asarray(model(images))
    assert found.shape == (2, side, side, 1)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.ptp(found) > 0
    one = np.asarray(model(images[:1]))  # an image does not depend on those beside it
    np.testing.assert_allclose(one, found[:1], atol=1e-5)


def test_normalization_none_has_no_normalizing_layer_and_group_sees_one_image_at_a_time():
    kinds = {
        name: {type(layer).__name__ for layer in unet(16, depth=1, base_filters=4, normalization=name).layers}
        for name in ("none", "batch", "group")
    }
    normalizing = {name: {kind for kind in found if "Normalization" in kind} for name, found in kinds.items()}
    assert normalizing == {"none": set(), "batch": {"BatchNormalization"}, "group": {"GroupNormalization"}}
    with pytest.raises(ValueError, match="normalization must be one of"):
        unet(16, normalization="layer")


@pytest.mark.parametrize(
    ("build", "size", "multiple", "nearest"),
    [
        (lambda size: unet(size, depth=4), 100, 16, "96 and 112"),
        (lambda size: unet(size, depth=3), 4, 8, "8 and 16"),
        (bcdu_net, 36, 8, "32 and 40"),
        (efficientnet_lite_unet, 250, 32, "224 and 256"),
        (efficientnet_lite_unet, 16, 32, "32 and 64"),
    ],
)
def test_a_side_that_cannot_be_halved_so_often_is_refused(build, size, multiple, nearest):
    halvings = multiple.bit_length() - 1
    message = f"multiple of {multiple}, for the network halves it {halvings} times, got {size}; the nearest are"
    with pytest.raises(ValueError, match=f"{message} {nearest}"):
        build(size)


def test_a_bcdu_net_of_an_odd_number_of_filters_is_refused():
    with pytest.raises(ValueError, match=r"base_filters must be even, .* got 3"):
        bcdu_net(16, base_filters=3)


@pytest.mark.parametrize("name", SMALL)
def test_weights_follow_from_the_seed(name):
    build = SMALL[name]
    first, again, other = (build(seed=seed).get_weights() for seed in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [index for index, array in enumerate(first) if array.ndim == 4]
    assert kernels
    assert all((first[index] != other[index]).any() for index in kernels)
    flat = [first[index].ravel()[:8].tobytes() for index in kernels]
    assert len(set(flat)) == len(flat)  # no two layers start from the same numbers


def test_without_a_seed_weights_differ():
    first, other = (SMALL["unet"](seed=None).get_weights() for _ in range(2))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("name", "seed"), [("unet", 0), ("unet", None), ("bcdu", 0), ("efficient", 0)])
def test_no_global_random_state_is_touched(name, seed):
    random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2]
    model = SMALL[name](seed=seed)
    model(np.zeros((1, *model.input_shape[1:]), np.float32), training=True)
    after = random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2]
    assert after == before


@pytest.mark.parametrize("frozen", [0, 3, 16])
def test_frozen_blocks_are_those_from_the_first_on_with_the_stem(frozen):
    model = SMALL["efficient"](frozen_blocks=frozen)
    names = [f"block{number}_" for number in range(16)]
    for layer in model.layers:
        if not layer.weights:
            continue
        number = next((n for n, name in enumerate(names) if layer.name.startswith(name)), None)
        if layer.name.startswith("stem"):
            number = 0
        assert layer.trainable is (number is None or number >= frozen), layer.name
    moving = {weight.path for weight in model.trainable_weights}
    assert any(path.startswith("stem/") for path in moving) == (frozen == 0)
    assert any(path.startswith("block15_project/") for path in moving) == (frozen < 16)
    assert "logit/kernel" in moving


def test_statistics_of_frozen_blocks_do_not_move_in_training_and_the_others_do():
    model = SMALL["efficient"](frozen_blocks=3)
    names = [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights]
    before = model.get_weights()
    model(np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32), training=True)
    changed = {name for name, a, b in zip(names, before, model.get_weights(), strict=True) if (a != b).any()}
    statistics = {name for name in names if "/moving_" in name}
    frozen = {name for name in statistics if name.startswith(("stem", "block0_", "block1_", "block2_"))}
    assert len(frozen) == 18  # two of each of nine normalizations
    assert changed == statistics - frozen


def test_dropout_changes_training_only():
    model = SMALL["unet"](dropout=0.5)
    x = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    one, two = (np.asarray(model(x)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(np.asarray(model(x, training=True)), np.asarray(model(x, training=True)))


def test_without_keras_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    for build in SMALL.values():
        with pytest.raises(ImportError, match=r"pip install 'scikit-skinseg\[deep\]'"):
            build()


@pytest.mark.parametrize(("given", "threads"), [({}, "3"), ({"TF_NUM_INTRAOP_THREADS": "2"}, "2")])
def test_the_threads_that_joblib_grants_its_workers_are_those_of_tensorflow(tmp_path, given, threads):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nfrom types import SimpleNamespace\n"
        "look = lambda: print(os.environ['TF_NUM_INTRAOP_THREADS'], os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
        "config = SimpleNamespace(list_logical_devices=look)\n"
    )
    (tmp_path / "keras.py").write_text("import tensorflow\n")
    code = (
        "import os, sys\nfrom skinseg.networks._backend import import_keras\nbefore = dict(os.environ)\n"
        "assert import_keras() is import_keras() is sys.modules['keras']\nprint(os.environ == before)"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    env |= {"OMP_NUM_THREADS": "3", "PYTHONPATH": str(tmp_path), **given}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split("\n")[:2] == [f"{threads} 2", "True"]  # asked once, and nothing is left behind
