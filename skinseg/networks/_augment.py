"""Images as networks see them: letterboxed, and for training turned, scaled, bent, and in another light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..resampling import resize_image, shrink_to
from ..synthesis import draw_hair, draw_ruler, draw_vignette, smooth_noise, to_image

__all__ = ["FLIPS", "augment", "letterbox", "letterbox_part", "letterbox_place", "letterbox_shape", "mirrored"]

FLIPS = ((), (0,), (1,), (0, 1))
"""Axes of an image along which its mirror images are turned; the first is the image itself."""
_FILL = (127, 127, 127)  # 0 for the network


def letterbox_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width of an image after its longer side was brought to ``size``."""
    scale = size / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def letterbox_place(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Row and column at which an image of that shape begins in its square."""
    return (size - shape[0]) // 2, (size - shape[1]) // 2


def letterbox_part(shape: tuple[int, int], size: int) -> tuple[slice, slice]:
    """Rows and columns of its square in which an image of that shape lies."""
    height, width = letterbox_shape(shape, size)
    top, left = letterbox_place((height, width), size)
    return slice(top, top + height), slice(left, left + width)


def mirrored(squares: np.ndarray, parts: Sequence[tuple[slice, slice]]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Mirror images within their squares, and not the squares: an image may be off center by half a pixel.

    Parameters
    ----------
    squares : ndarray of shape (n, size, size, 3)
        Letterboxed images.
    parts : sequence of (slice, slice)
        Where they lie, see `letterbox_part`.

    Yields
    ------
    axes, squares : tuple of int, ndarray
        Each of `FLIPS` and the squares with their images turned by it.
    """
    for axes in FLIPS:
        turned = squares.copy()
        for square, part in zip(turned, parts, strict=True):
            square[part] = np.flip(square[part], axes)
        yield axes, turned


def _check(name: str, pixels: np.ndarray, ndims: tuple[int, ...]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim not in ndims or not pixels.size:
        shapes = " or ".join({2: "(H, W)", 3: "(H, W, C)"}[ndim] for ndim in ndims)
        raise ValueError(
            f"{name} must be an array of shape {shapes} and dtype uint8, got shape {pixels.shape} and dtype "
            f"{pixels.dtype}; masks are brought to 0 and 255 by mask.astype('uint8') * 255"
        )


def letterbox(image: np.ndarray, size: int) -> np.ndarray:
    """Put an image into the middle of a square, its aspect ratio kept.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C), uint8
        The image, or a mask from 0 to 255.
    size : int
        Side of the square in pixels.

    Returns
    -------
    ndarray of shape (size, size) or (size, size, C), uint8
        The image, its longer side of that size; beside it 127, or 0 for a mask.

    Raises
    ------
    ValueError
        If the image is of another type or has no pixels.
    """
    _check("image", image, (2, 3))
    shape = letterbox_shape(image.shape[:2], size)
    top, left = letterbox_place(shape, size)
    fill = _FILL if image.ndim == 3 else 0
    if (
        max(image.shape[:2]) > 4 * size
    ):  # by whole factors first, which for photos of 12 megapixels is a third of the work
        image = shrink_to(image, 2 * size)
    return cv2.copyMakeBorder(
        resize_image(image, shape), top, size - top - shape[0], left, size - left - shape[1],
        cv2.BORDER_CONSTANT, value=fill,
    )  # fmt: skip


def augment(
    image: np.ndarray, lesion: np.ndarray | None, size: int, strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make one training sample of an image.

    It is flipped, turned by any angle, scaled, shifted and bent in one
    interpolation; its light, contrast, gamma, saturation and cast change; now
    and then it gets hair, a ruler or a vignette drawn (`skinseg.synthesis`), is
    blurred, noisy or compressed.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image.
    lesion : ndarray of shape (H, W), uint8, or None
        The lesion, from 0 to 255; an empty one if None. What happens to the
        image does not depend on it.
    size : int
        Side of the sample in pixels.
    strength : float
        From 0, letterboxed and unchanged, to 1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    image : ndarray of shape (size, size, 3), uint8
        The sample.
    lesion, known : ndarray of shape (size, size), uint8
        The lesion, and where the image is, from 0 to 255.

    Raises
    ------
    ValueError
        If image or lesion are of another type, or not of one size.
    """
    _check("image", image, (3,))
    lesion = np.zeros(image.shape[:2], np.uint8) if lesion is None else lesion
    _check("lesion", lesion, (2,))
    if lesion.shape != image.shape[:2]:
        raise ValueError(f"lesion must have the size of the image, {image.shape[:2]}, got {lesion.shape}")
    if strength <= 0:
        known = np.full(image.shape[:2], 255, np.uint8)
        return letterbox(image, size), letterbox(lesion, size), letterbox(known, size)
    places = _places(image.shape[:2], size, strength, rng)
    image = cv2.remap(image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_FILL)
    planes = np.dstack([lesion, np.full(lesion.shape, 255, np.uint8)])
    moved: np.ndarray = cv2.remap(planes, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0))
    lesion, known = moved[..., 0], moved[..., 1]
    image = _relight(image, strength, rng)
    if rng.random() < 0.25 * strength:
        image, field = _draw_over(image, rng)
        lesion = np.where(field, lesion, 0).astype(np.uint8)
    if rng.random() < 0.2 * strength:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5) * size / 224)
    image[known < 128] = _FILL
    return image, lesion, known


def _places(
    shape: tuple[int, int], size: int, strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the image each pixel of the sample comes from: columns and rows."""
    angle = rng.uniform(0, 2 * np.pi) if strength >= 0.5 else rng.normal(0, strength)
    flip = rng.choice((-1, 1))
    # more often nearer than farther: parts of a field are what crops are
    zoom = np.exp(strength * rng.uniform(-0.25, 0.55))
    stretch = np.exp(strength * rng.normal(0, 0.08))
    scale = max(shape) / size / zoom
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, strength * rng.normal(0, 0.06)], [0, 1]])
    matrix = scale * np.diag([flip * stretch, 1 / stretch]) @ shear @ turn
    shift = strength * rng.uniform(-0.12, 0.12, 2) * max(shape)
    grid = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    x = (matrix[0, 0] * grid[None] + matrix[0, 1] * grid[:, None] + (shape[1] - 1) / 2 + shift[0]).astype(np.float32)
    y = (matrix[1, 0] * grid[None] + matrix[1, 1] * grid[:, None] + (shape[0] - 1) / 2 + shift[1]).astype(np.float32)
    if rng.random() < 0.5 * strength:
        depth = np.float32(strength * rng.uniform(0.003, 0.012) * size * scale)
        x += depth * smooth_noise((size, size), size / rng.uniform(5, 10), rng)
        y += depth * smooth_noise((size, size), size / rng.uniform(5, 10), rng)
    return x, y


def _relight(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change saturation, then gamma, contrast, brightness and cast, each channel by its own table."""
    amount = 1 + strength * rng.uniform(-0.4, 0.4)
    gray = np.full((3, 3), 1 / 3)
    image = cv2.transform(image, (amount * np.eye(3) + (1 - amount) * gray).astype(np.float32))
    level = np.linspace(0, 1, 256)
    gamma = np.exp(strength * rng.normal(0, 0.25))
    contrast = 1 + strength * rng.uniform(-0.25, 0.25)
    gains = np.exp(strength * (rng.normal(0, 0.12) + rng.normal(0, 0.06, 3)))
    curve = np.clip((level**gamma - 0.5) * contrast + 0.5, 0, 1)
    table = np.rint(np.clip(255 * curve[:, None] * gains, 0, 255)).astype(np.uint8)
    return cv2.LUT(image, table[None])


def _draw_over(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw hair, a ruler, a vignette, or several of them; add noise, at times compress. Give also the field."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    field = np.ones(image.shape[:2], bool)
    chosen = rng.random(3) < (0.7, 0.25, 0.35)
    if chosen[0]:
        lab, _ = draw_hair(lab, int(rng.integers(2, 25)), rng, light=bool(rng.random() < 0.2))
    if chosen[1]:
        lab = draw_ruler(lab, rng.uniform(8, 20) / image.shape[0], rng)
    if chosen[2]:
        lab, field = draw_vignette(lab, rng.uniform(0.6, 0.95))
    quality = int(rng.integers(40, 95)) if rng.random() < 0.3 else None
    return to_image(lab, rng, noise=rng.uniform(0, 2), quality=quality), field
