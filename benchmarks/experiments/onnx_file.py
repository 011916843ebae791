"""Write networks of Keras as one ONNX file whose weights keep their names, in half the bytes.

Converters fold the statistics of batch normalizations into the convolutions, after which a network cannot be trained
on. Here each weight of Keras is a tensor of the file under its own name (``stem/kernel``), stored in 16 bits and cast
to 32 when the file is opened; ONNX Runtime does the folding then. The graph takes what `skinseg.networks.letterbox`
gives: uint8, (n, side, side, 3), and answers with what each network gives: a map of probabilities, (n, networks, side,
side), or probabilities of classes, (n, networks, classes); and with the embedding of the first network, means over the
image of the maps before the last projection of its encoder, (n, columns).
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8  # of 2022: whatever ONNX Runtime a user has reads them
EMBEDDING = "block15_project"  # the layer whose input is averaged: 1,152 maps; else that which averages them itself


class Writer:
    """Nodes and tensors of one graph."""

    def __init__(self):
        self.nodes, self.tensors, self._made = [], [], 0

    def node(self, kind, inputs, **attributes):
        self._made += 1
        name = f"{kind.lower()}_{self._made}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name, values):
        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name, values):
        self.constant(name, np.asarray(values, np.float16))
        return self.node("Cast", [name], to=TensorProto.FLOAT)


def same_pads(side, kernel, stride):
    """Borders of padding="same", as TensorFlow has them: the odd pixel comes last."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    first, last = total // 2, total - total // 2
    return [first, first, last, last]


def _convolve(w, prefix, layer, x):
    kernel = np.asarray(layer.kernel)
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    # (rows, columns, in, out) and (rows, columns, channels, 1)
    kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    inputs = [x, w.weight(f"{prefix}{layer.name}/kernel", kernel)]
    if layer.use_bias:
        inputs.append(w.weight(f"{prefix}{layer.name}/bias", layer.bias))
    return w.node(
        "Conv", inputs, kernel_shape=list(layer.kernel_size), strides=list(layer.strides),
        group=kernel.shape[0] if depthwise else 1,
        pads=same_pads(layer.input.shape[1], layer.kernel_size[0], layer.strides[0]),
    )  # fmt: skip


def _multiply(w, prefix, layer, x):
    weights = [w.weight(f"{prefix}{layer.name}/{name}", getattr(layer, name)) for name in ("kernel", "bias")]
    x = w.node("Gemm", [x, *weights])
    return w.node("Softmax", [x], axis=-1) if layer.activation.__name__ == "softmax" else x


def _normalize(w, prefix, layer, x):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    parts = [w.weight(f"{prefix}{layer.name}/{name}", getattr(layer, name)) for name in names]
    return w.node("BatchNormalization", [x, *parts], epsilon=layer.epsilon)


def _activate(w, layer, x):
    kind = layer.activation.__name__
    if kind == "softmax":
        return w.node("Softmax", [x], axis=-1)
    if kind != "relu6":
        return w.node({"relu": "Relu", "sigmoid": "Sigmoid", "linear": "Identity"}[kind], [x])
    return w.node("Clip", [x, "zero", "six"])


def _apply(w, prefix, layer, inputs):
    kind, x = type(layer).__name__, inputs[0]
    if kind in ("Conv2D", "DepthwiseConv2D"):
        return _convolve(w, prefix, layer, x)
    if kind == "BatchNormalization":
        return _normalize(w, prefix, layer, x)
    if kind == "Activation":
        return _activate(w, layer, x)
    if kind == "Rescaling":
        scale = w.constant(f"{prefix}{layer.name}/scale", np.float32(layer.scale))
        offset = w.constant(f"{prefix}{layer.name}/offset", np.float32(layer.offset))
        return w.node("Add", [w.node("Mul", [x, scale]), offset])
    if kind == "UpSampling2D":
        return w.node("Resize", [x, "", "twice"], mode="linear", coordinate_transformation_mode="half_pixel")
    if kind == "Add":
        return w.node("Add", inputs)
    if kind == "Concatenate":
        return w.node("Concat", inputs, axis=1)
    if kind == "GlobalAveragePooling2D":
        return w.node("ReduceMean", [x], axes=[2, 3], keepdims=0)
    if kind == "Dense":
        return _multiply(w, prefix, layer, x)
    if kind in ("Dropout", "SpatialDropout2D"):
        return x
    raise NotImplementedError(kind)


def make_onnx(models):
    """Put networks side by side on one input.

    Parameters
    ----------
    models : list of keras.Model
        Of one input size and kind of output, such as those of `skinseg.networks.efficientnet_lite_unet`.

    Returns
    -------
    onnx.ModelProto
        The graph; tensors of the first network begin with ``net0/``.
    """
    side = models[0].input_shape[1]
    w = Writer()
    w.constant("zero", np.float32(0))
    w.constant("six", np.float32(6))
    w.constant("twice", np.float32([1, 1, 2, 2]))
    x = w.node("Cast", [w.node("Transpose", ["images"], perm=[0, 3, 1, 2])], to=TensorProto.FLOAT)
    answers = []
    for number, model in enumerate(models):
        names = {id(model.inputs[0]): x}
        for layer in model.layers:
            if type(layer).__name__ == "InputLayer":
                continue
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            names[id(layer.output)] = _apply(w, f"net{number}/", layer, [names[id(item)] for item in inputs])
        answer = names[id(model.outputs[0])]
        if len(model.output_shape) == 2:  # classes: a row for each network, as a map is for others
            answer = w.node("Unsqueeze", [answer, w.constant(f"axis{number}", np.int64([1]))])
        answers.append(answer)
        if number == 0:
            known = {layer.name for layer in model.layers}
            maps = model.get_layer(EMBEDDING if EMBEDDING in known else "average").input
            w.nodes.append(helper.make_node("ReduceMean", [names[id(maps)]], ["embedding"], axes=[2, 3], keepdims=0))
    w.nodes.append(helper.make_node("Concat", answers, ["probabilities"], axis=1))
    shape = models[0].output_shape
    shape = ["n", len(models), shape[-1]] if len(shape) == 2 else ["n", len(models), side, side]
    graph = helper.make_graph(
        w.nodes, "lesion",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", side, side, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", maps.shape[-1]]),
        ],
        w.tensors,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(made, full_check=True)
    return made
