"""Graphs of networks: plain functions that give a Keras model, from images of one size to maps of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._backend import import_keras

__all__ = ["bcdu_net", "unet"]

Tensor = Any
NORMALIZATIONS = ("batch", "group", "none")


def check_side(input_size: int, multiple: int) -> None:
    """Refuse a side of the input that cannot be halved as often as the network does."""
    if input_size < multiple or input_size % multiple:
        below = max(multiple, input_size // multiple * multiple)
        raise ValueError(
            f"input_size must be a multiple of {multiple}, for the network halves it {multiple.bit_length() - 1} "
            f"times, got {input_size}; the nearest are {below} and {below + multiple}"
        )


class Builder:
    """Makes layers, each with a seed of its own, so that no global random state is read or changed.

    Parameters
    ----------
    seed : int or None
        Source of the seeds.
    activation : str, default="relu"
        Of convolutions.
    normalization : {"batch", "group", "none"}, default="batch"
        After convolutions.
    trainable : bool, default=True
        Of the layers made next.
    """

    def __init__(
        self, seed: int | None, *, activation: str = "relu", normalization: str = "batch",
        trainable: bool = True,
    ) -> None:  # fmt: skip
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization must be one of {NORMALIZATIONS}, got {normalization!r}")
        self.keras = import_keras()
        self.activation = activation
        self.normalization = normalization
        self.trainable = trainable
        self._seeds = np.random.default_rng(seed)

    def seed(self) -> int:
        """Give the next seed."""
        return int(self._seeds.integers(2**31 - 1))

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        """Make a layer of `keras.layers`."""
        return getattr(self.keras.layers, kind)(*args, dtype="float32", **kwargs)

    def start(self, kind: str = "HeNormal") -> Any:
        """Make an initializer."""
        return getattr(self.keras.initializers, kind)(seed=self.seed())

    def _normalize(self, x: Tensor, name: str | None) -> Tensor:
        name = None if name is None else f"{name}_norm"
        if self.normalization == "group":
            groups = max(g for g in (1, 2, 4, 8) if x.shape[-1] % g == 0)
            return self.layer("GroupNormalization", groups, trainable=self.trainable, name=name)(x)
        if self.normalization == "batch":
            momentum = 0.9  # trainings are of some thousand steps
            return self.layer("BatchNormalization", momentum=momentum, trainable=self.trainable, name=name)(x)
        return x

    def _activate(self, x: Tensor, activation: str | None) -> Tensor:
        activation = self.activation if activation == "default" else activation
        return x if activation is None else self.layer("Activation", activation)(x)

    def conv(
        self, x: Tensor, filters: int, size: int, *, strides: int = 1, activation: str | None = "default",
        normalized: bool = True, name: str | None = None,
    ) -> Tensor:  # fmt: skip
        """Convolution, normalization, activation."""
        normalized = normalized and self.normalization != "none"
        x = self.layer(
            "Conv2D", filters, size, strides=strides, padding="same", use_bias=not normalized,
            kernel_initializer=self.start(), trainable=self.trainable, name=name,
        )(x)  # fmt: skip
        return self._activate(self._normalize(x, name) if normalized else x, activation)

    def depthwise(self, x: Tensor, size: int, *, strides: int = 1, name: str | None = None) -> Tensor:
        """Depthwise convolution, normalization, activation."""
        x = self.layer(
            "DepthwiseConv2D", size, strides=strides, padding="same", use_bias=False,
            depthwise_initializer=self.start(), trainable=self.trainable, name=name,
        )(x)  # fmt: skip
        return self._activate(self._normalize(x, name), "default")

    def rise(self, x: Tensor, filters: int) -> Tensor:
        """Double the side by a transposed convolution."""
        x = self.layer(
            "Conv2DTranspose", filters, 2, strides=2, padding="same", kernel_initializer=self.start(),
            use_bias=self.normalization == "none",
        )(x)  # fmt: skip
        return self._activate(self._normalize(x, None), "default")

    def upsample(self, x: Tensor) -> Tensor:
        """Double the side bilinearly."""
        return self.layer("UpSampling2D", 2, interpolation="bilinear")(x)

    def pool(self, x: Tensor) -> Tensor:
        """Halve the side by the maximum."""
        return self.layer("MaxPooling2D", 2)(x)

    def dropout(self, x: Tensor, rate: float, *, spatial: bool = False) -> Tensor:
        """Drop values, or whole channels."""
        if rate <= 0:
            return x
        return self.layer("SpatialDropout2D" if spatial else "Dropout", rate, seed=self.seed())(x)

    def concatenate(self, items: Sequence[Tensor]) -> Tensor:
        """Put the channels behind one another."""
        return self.layer("Concatenate")(list(items))

    def add(self, items: Sequence[Tensor]) -> Tensor:
        """Sum."""
        return self.layer("Add")(list(items))

    def finish(self, inputs: Tensor, x: Tensor, *, name: str, enlarge: bool = False) -> Any:
        """End with the probability of lesion."""
        x = self.layer("Conv2D", 1, 1, kernel_initializer=self.start("GlorotUniform"), name="logit")(x)
        if enlarge:
            x = self.layer("UpSampling2D", 2, interpolation="bilinear", name="enlarge")(x)
        x = self.layer("Activation", "sigmoid", name="probability")(x)
        return self.keras.Model(inputs, x, name=name)


def unet(
    input_size: int = 256,
    *,
    depth: int = 4,
    base_filters: int = 16,
    normalization: str = "batch",
    dropout: float = 0.0,
    seed: int | None = None,
) -> Any:
    """Build a U-Net.

    At each level two convolutions of 3 x 3; the image is halved ``depth``
    times and enlarged as often, and the maps of the way down are joined to those of
    the way up. ``unet(256, base_filters=64, normalization="none", dropout=0.5)``
    is the network of the paper, with borders that are padded and not cut, and one
    map of probabilities in place of two classes; it has 31.0 million parameters.

    Parameters
    ----------
    input_size : int, default=256
        Side of the input in pixels, a multiple of 2 ** depth.
    depth : int, default=4
        How often the image is halved, 1 to 7.
    base_filters : int, default=16
        Filters of the first level, at least 1; twice as many at each further.
    normalization : {"batch", "group", "none"}, default="batch"
        After each convolution.
    dropout : float, default=0.0
        Share of the values that is dropped at the two lowest levels, in [0, 1).
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
        If input_size is no multiple of 2 ** depth, or normalization is none of
        those.
    ImportError
        If keras is not installed.

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for
    biomedical image segmentation", MICCAI 2015, 234-241.
    """
    check_side(input_size, 2**depth)
    b = Builder(seed, normalization=normalization)
    inputs = b.keras.Input((input_size, input_size, 3))
    x = b.layer("Rescaling", 1 / 128, offset=-127 / 128, name="rescale")(inputs)
    skips: list[Tensor] = []
    for level in range(depth):
        x = _double(b, x, base_filters * 2**level)
        x = b.dropout(x, dropout if level == depth - 1 else 0)
        skips.append(x)
        x = b.pool(x)
    x = b.dropout(_double(b, x, base_filters * 2**depth), dropout)
    for level in reversed(range(depth)):
        x = b.rise(x, base_filters * 2**level)
        x = _double(b, b.concatenate([skips[level], x]), base_filters * 2**level)
    return b.finish(inputs, x, name="unet")


def _double(b: Builder, x: Tensor, filters: int) -> Tensor:
    for _ in range(2):
        x = b.conv(x, filters, 3)
    return x


def bcdu_net(
    input_size: int = 256,
    *,
    base_filters: int = 64,
    dense_blocks: int = 3,
    dropout: float = 0.5,
    seed: int | None = None,
) -> Any:
    """Build a BCDU-Net: a U-Net with bidirectional ConvLSTM in its skip connections and dense convolutions below.

    The image is halved three times. Instead of concatenating the maps of the
    way down and up, a convolutional LSTM reads them one after the other, in both
    directions of that sequence, with half the filters each way. The lowest level
    is ``dense_blocks`` pairs of convolutions, each of which sees the maps of all
    pairs before it. The defaults are the network of the paper, with 23.4 million
    parameters (11.6 million with one block); see the notes.

    Parameters
    ----------
    input_size : int, default=256
        Side of the input in pixels, a multiple of 8.
    base_filters : int, default=64
        Filters of the first level, an even number; twice as many at each further.
    dense_blocks : int, default=3
        Pairs of convolutions of the lowest level, d in the paper (1 or 3
        there), at least 1.
    dropout : float, default=0.5
        Share of the values that is dropped after each block, and in the lowest
        skip connection, in [0, 1).
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
        If input_size is no multiple of 8, or base_filters is odd.
    ImportError
        If keras is not installed.

    Notes
    -----
    Layers, filters, dropout and normalization are those of the code that the
    authors published (github.com/rezazad68/BCDU-Net), but for this:

    * There the LSTM reads backward only; it has 20.7 million parameters with three
      blocks and 8.9 million with one. Here it reads both ways, as the paper says,
      and the two last states are concatenated.
    * The gates of the LSTM are sigmoids; those of the Keras of that time were
      piecewise linear.
    * Values are brought from 0 to 255 to about -1 to 1 by a first layer.
    * The transposed convolutions have no bias, which the normalization behind
      them would take out again, and that normalization averages its statistics
      with a momentum of 0.9 instead of 0.99, for shorter trainings.

    References
    ----------
    R. Azad, M. Asadi-Aghbolaghi, M. Fathy, S. Escalera, "Bi-directional
    ConvLSTM U-Net with densely connected convolutions", ICCV Workshops 2019,
    406-415.
    """
    check_side(input_size, 8)
    if base_filters % 2:
        raise ValueError(
            f"base_filters must be even, for each direction of the LSTM has half of them, got {base_filters}"
        )
    # the paper normalizes after the transposed convolutions only
    b = Builder(seed, normalization="none")
    inputs = b.keras.Input((input_size, input_size, 3))
    x = b.layer("Rescaling", 1 / 128, offset=-127 / 128, name="rescale")(inputs)
    skips: list[Tensor] = []
    for level in range(3):
        x = _double(b, x, base_filters * 2**level)
        # what goes on down is not dropped
        skips.append(b.dropout(x, dropout if level == 2 else 0))
        x = b.pool(x)
    x = _dense(b, x, base_filters * 8, dense_blocks, dropout)
    b.normalization = "batch"
    for level in reversed(range(3)):
        filters = base_filters * 2**level
        x = b.rise(x, filters)
        x = _read_both(b, skips[level], x, filters // 2)
        x = b.conv(x, filters, 3, normalized=False)
        x = b.conv(x, filters, 3, normalized=False)
    return b.finish(inputs, b.conv(x, 2, 3, normalized=False), name="bcdu_net")


def _dense(b: Builder, x: Tensor, filters: int, blocks: int, dropout: float) -> Tensor:
    """Pairs of convolutions, each on the outputs of all before it."""
    outputs: list[Tensor] = []
    for _ in range(blocks):
        x = outputs[0] if len(outputs) == 1 else b.concatenate(outputs) if outputs else x
        for _ in range(2):
            x = b.conv(x, filters, 3)
        outputs.append(b.dropout(x, dropout))
    return outputs[-1]


def _read_both(b: Builder, skip: Tensor, x: Tensor, filters: int) -> Tensor:
    """Let a ConvLSTM read two maps one after the other, forward and backward; concatenate its two last states."""
    shape = (1, *x.shape[1:])
    sequence = b.layer("Concatenate", axis=1)([b.layer("Reshape", shape)(item) for item in (skip, x)])
    states = []
    for backward in (False, True):
        lstm = b.layer(
            "ConvLSTM2D", filters, 3, padding="same", go_backwards=backward, kernel_initializer=b.start(),
            recurrent_initializer=b.start("Orthogonal"), seed=b.seed(),
        )  # fmt: skip
        states.append(lstm(sequence))
    return b.concatenate(states)
