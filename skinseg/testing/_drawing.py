"""The pixels of images and masks of many kinds, from a size and a random generator; layouts of memory."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

__all__ = ["DRAWN", "LAYOUTS", "OUTLINED", "Shape", "protected"]

Shape = tuple[int, int]
_SKIN = np.array([225, 180, 155])
_LESION = np.array([110, 65, 50])


# ---------------------------------------------------------------------- pixels


def _constant(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return np.full((*shape, 3), rng.integers(0, 256, 3))


def _noise(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (*shape, 3))


def _extremes(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return 255 * rng.integers(0, 2, (*shape, 3) if rng.integers(2) else (1, 1, 3)) + np.zeros((*shape, 3), int)


def _gray(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return np.repeat(rng.integers(0, 256, (*shape, 1)), 3, axis=-1)


def _channel(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    image = np.zeros((*shape, 3), int)
    image[..., rng.integers(3)] = rng.integers(0, 256, shape)
    return image


def _faint(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 255, 3) + rng.integers(0, 2, (*shape, 3))


def _pixel(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    image = _constant(shape, rng)
    image[rng.integers(shape[0]), rng.integers(shape[1])] = rng.integers(0, 256, 3)
    return image


def _gradient(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.linspace(0, 1, shape[0])[:, None, None], np.linspace(0, 1, shape[1])[None, :, None]
    share = (rows + columns) / 2 if rng.integers(2) else rows * columns
    low, high = rng.integers(0, 256, (2, 3))
    return np.rint(low + share * (high - low))


def _stripes(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    colors = rng.integers(0, 256, (2, 3))
    places = np.add.outer(np.arange(shape[0]) * rng.integers(2), np.arange(shape[1]))
    return colors[places // rng.integers(1, 4) % 2]


def _lesion(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    inside = _ellipse(shape, rng)
    image: np.ndarray = np.where(inside[..., None], _LESION, _SKIN) + rng.normal(0, rng.choice([0, 4, 20]), (*shape, 3))
    for _ in range(rng.integers(3)):  # hairs
        start, end = (tuple(rng.integers(0, shape[::-1]).tolist()) for _ in range(2))
        image = cv2.line(image, start, end, rng.integers(0, 80, 3).tolist(), 1)
    return image


def _framed(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    image = _lesion(shape, rng)
    rows, columns = np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1])
    image[np.add.outer(rows**2, columns**2) > rng.uniform(0.05, 1.5)] = rng.integers(0, 12)
    return image


DRAWN: dict[str, Callable[[Shape, np.random.Generator], np.ndarray]] = {
    "constant": _constant,
    "noise": _noise,
    "lesion": _lesion,
    "framed": _framed,
    "gradient": _gradient,
    "stripes": _stripes,
    "pixel": _pixel,
    "faint": _faint,
    "gray": _gray,
    "channel": _channel,
    "extremes": _extremes,
}


# ---------------------------------------------------------------------- masks


def _ellipse(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    center = rng.uniform(0, 1, 2) * shape
    radii = np.maximum(rng.uniform(0.05, 0.6, 2) * shape, 0.5)
    rows, columns = ((np.arange(side) + 0.5 - middle) / radius for side, middle, radius in zip(shape, center, radii))  # noqa: B905
    return np.add.outer(rows**2, columns**2) <= 1


def _one_pixel(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[rng.integers(shape[0]), rng.integers(shape[1])] = True
    return mask


def _at_border(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[: rng.integers(1, shape[0] + 1), : rng.integers(1, shape[1] + 1)] = True
    return np.rot90(mask, 2) if rng.integers(2) else mask


def _components(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return np.any([_ellipse(shape, rng) & (rng.random(shape) < 0.98) for _ in range(rng.integers(2, 5))], axis=0)


def _holes(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return _ellipse(shape, rng) & (rng.random(shape) < 0.8)


def _line(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    start, end = (tuple(rng.integers(0, shape[::-1]).tolist()) for _ in range(2))
    return cv2.line(np.zeros(shape, np.uint8), start, end, 1, 1) > 0


def _checkerboard(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    return np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 2 == rng.integers(2)


def _ring(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    mask = np.ones(shape, bool)
    width = int(rng.integers(1, 4))
    mask[width:-width, width:-width] = False
    return mask


OUTLINED: dict[str, Callable[[Shape, np.random.Generator], np.ndarray]] = {
    "empty": lambda shape, _: np.zeros(shape, bool),
    "full": lambda shape, _: np.ones(shape, bool),
    "disc": _ellipse,
    "pixel": _one_pixel,
    "border": _at_border,
    "components": _components,
    "holes": _holes,
    "line": _line,
    "ring": _ring,
    "checkerboard": _checkerboard,
    "all but one": lambda shape, rng: ~_one_pixel(shape, rng),
    "random": lambda shape, rng: rng.random(shape) < rng.random(),
}


# ---------------------------------------------------------------------- layouts


def protected(array: np.ndarray) -> np.ndarray:
    """Forbid writing."""
    array.flags.writeable = False
    return array


def _with_gaps(array: np.ndarray) -> np.ndarray:
    wide = np.zeros(tuple(2 * side for side in array.shape), array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def _at_odd_address(array: np.ndarray) -> np.ndarray:
    buffer = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = buffer.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _part(array: np.ndarray) -> np.ndarray:
    if not array.size:
        return array.copy()
    return np.pad(array, [(1, 2)] * 2 + [(0, 0)] * (array.ndim - 2), mode="edge")[1:-2, 1:-2]


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "copy": np.copy,
    "read-only": lambda array: protected(array.copy()),
    "Fortran": np.asfortranarray,
    "gaps": _with_gaps,
    "backwards": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "odd address": _at_odd_address,
    "part": _part,
    "planes": lambda array: np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -1, 0)), 0, -1),
    "subclass": lambda array: array.copy().view(_Subclass),
}


class _Subclass(np.ndarray):
    """What other packages pass around, such as arrays with metadata."""
