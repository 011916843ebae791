"""Drawing of synthetic dermoscopy: pure functions, each of which draws one piece of the scene.

Images are float32 arrays of shape (H, W, 3) in CIELAB while they are drawn;
`to_image` makes the 8-bit RGB image at the end. Randomness comes from the
generator handed in and from nowhere else.
"""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["draw_hair", "draw_lesion", "draw_skin", "lesion_radius", "smooth_noise", "to_image"]

# CIELAB of skin from very light to brown; lesions are drawn relative to it
_SKIN_LIGHT = np.array([80.0, 8.0, 14.0])
_SKIN_DARK = np.array([52.0, 15.0, 22.0])
# differences to the skin (L*, a*, b*) of the colors of a lesion, the two browns first
LESION_COLORS = {
    "light_brown": (-18.0, 7.0, 9.0),
    "dark_brown": (-38.0, 6.0, 3.0),
    "black": (-56.0, -2.0, -10.0),
    "red": (-20.0, 25.0, 6.0),
    "blue_gray": (-32.0, -8.0, -24.0),
    "white": (9.0, -5.0, -10.0),
}
"""The six clinical colors, as CIELAB differences to the surrounding skin."""


def smooth_noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> np.ndarray:
    """Draw smooth noise of mean 0 and standard deviation 1.

    Parameters
    ----------
    shape : tuple of (int, int)
        Height and width.
    scale : float
        Size of its structures in pixels.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (H, W), float32
        The noise.
    """
    coarse = max(4, round(shape[0] / scale) + 3), max(4, round(shape[1] / scale) + 3)
    noise = rng.standard_normal(coarse, dtype=np.float32)
    smooth = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (smooth - smooth.mean()) / max(float(smooth.std()), 1e-6)


def draw_skin(shape: tuple[int, int], tone: float, rng: np.random.Generator) -> np.ndarray:
    """Draw bare skin: its tone, blotches, fine texture and slowly varying light.

    Parameters
    ----------
    shape : tuple of (int, int)
        Height and width.
    tone : float
        From 0, very light, to 1, brown.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (H, W, 3), float32
        CIELAB.
    """
    base = _SKIN_LIGHT + tone * (_SKIN_DARK - _SKIN_LIGHT) + rng.normal(0, [1.5, 1.5, 2.0])
    skin = np.broadcast_to(base.astype(np.float32), (*shape, 3)).copy()
    side = max(shape)
    skin[..., 0] += 1.2 * smooth_noise(shape, side / 8, rng) + 0.8 * smooth_noise(shape, 3, rng)
    skin[..., 1] += 0.9 * smooth_noise(shape, side / 10, rng)
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None]
    direction = rng.uniform(0, 2 * np.pi)
    slope, fall = rng.uniform(0, 4), rng.uniform(0, 7)
    skin[..., 0] += slope * (np.cos(direction) * x + np.sin(direction) * y) - fall * (x**2 + y**2) / 2
    return skin


def lesion_radius(angle: np.ndarray, irregularity: float, rng: np.random.Generator) -> np.ndarray:
    """Draw an outline: the radius of a lesion for every direction, of mean about 1.

    Parameters
    ----------
    angle : ndarray
        Directions in radians.
    irregularity : float
        From 0, an ellipse, to 1, deeply notched.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray
        The radius for each direction, above 0.2.
    """
    aspect, turn = rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)
    local = angle - turn
    radius = 1 / np.sqrt((np.cos(local) * np.sqrt(aspect)) ** 2 + (np.sin(local) / np.sqrt(aspect)) ** 2)
    for order in range(2, 9):
        size = irregularity * rng.normal(0, 0.28) / order**0.8
        radius = radius + size * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return np.maximum(radius, 0.2)


def draw_lesion(
    skin: np.ndarray,
    rng: np.random.Generator,
    *,
    diameter: float,
    center: tuple[float, float],
    irregularity: float,
    asymmetry: float,
    colors: list[str],
    contrast: float = 1.0,
    edge: float = 0.06,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a lesion onto skin.

    Parameters
    ----------
    skin : ndarray of shape (H, W, 3), float32
        CIELAB of the skin.
    rng : numpy.random.Generator
        Source of randomness.
    diameter : float
        Mean diameter in pixels.
    center : tuple of (float, float)
        Row and column.
    irregularity : float
        Of the outline, from 0 to 1.
    asymmetry : float
        Of the colors, from 0 (mixed evenly) to 1 (sorted to one side).
    colors : list of str
        Which of `LESION_COLORS` it has; the first is the ground color.
    contrast : float, default=1.0
        Strength of the pigment.
    edge : float, default=0.06
        Width over which the pigment fades out, as a fraction of the radius.

    Returns
    -------
    image : ndarray of shape (H, W, 3), float32
        CIELAB with the lesion.
    mask : ndarray of shape (H, W), bool
        The lesion.
    """
    shape = skin.shape[:2]
    y = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(center[0])
    x = np.arange(shape[1], dtype=np.float32)[None] - np.float32(center[1])
    angle = np.arctan2(y, x)
    table = lesion_radius(np.linspace(-np.pi, np.pi, 721), irregularity, rng).astype(np.float32)
    limit = table[np.rint((angle + np.pi) * (720 / (2 * np.pi))).astype(np.intp)] * np.float32(diameter / 2)
    distance = limit - np.hypot(x, y)  # above 0 inside
    mask = distance > 0
    pigment = 1 / (1 + np.exp(np.clip(-distance / (edge * diameter / 4), -30, 30)))
    mottle = 1 + 0.12 * smooth_noise(shape, max(4.0, diameter / 12), rng)
    # where on the lesion each color lies: noise, with a slope across the lesion as it is asymmetric
    direction = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(direction) * x + np.sin(direction) * y) / (diameter / 2)
    place = (1 - asymmetry) * smooth_noise(shape, max(6.0, diameter / 4), rng) + 1.6 * asymmetry * slope
    cuts = np.quantile(place[mask], np.linspace(0, 1, len(colors) + 1)[1:-1]) if mask.any() else []
    # soft borders between the colors, a twentieth of the range wide
    shift = np.zeros((*shape, 3), np.float32) + np.array(LESION_COLORS[colors[0]], np.float32)
    for cut, color in zip(cuts, colors[1:], strict=False):
        weight = 1 / (1 + np.exp(np.clip(-(place - cut) / 0.1, -30, 30)))
        shift += weight[..., None] * (np.array(LESION_COLORS[color], np.float32) - shift)
    return skin + shift * (np.float32(contrast) * pigment * mottle)[..., None], mask


def draw_hair(image: np.ndarray, n_hairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw dark hairs across an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    n_hairs : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    image : ndarray of shape (H, W, 3), float32
        CIELAB with the hairs.
    mask : ndarray of shape (H, W), bool
        The hairs.
    """
    height, width = image.shape[:2]
    side = max(height, width)
    cover = np.zeros((height, width), np.uint8)
    for _ in range(n_hairs):
        start = rng.uniform(0, [width, height])
        direction = rng.uniform(0, 2 * np.pi)
        length, bend = rng.uniform(0.3, 0.9) * side, rng.normal(0, 0.25) * side
        along = np.array([np.cos(direction), np.sin(direction)])
        t = np.linspace(0, 1, 24)[:, None]
        points = start + t * length * along + 4 * t * (1 - t) * bend * along[::-1] * (-1, 1)
        thickness = max(1, round(rng.uniform(0.6, 1.4) * side / 220))
        cv2.polylines(cover, [np.rint(points).astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
    alpha = cover.astype(np.float32)[..., None] / 255
    color = np.array([rng.uniform(12, 28), 4, 6], np.float32)
    return image + 0.85 * alpha * (color - image), cover > 127


def to_image(lab: np.ndarray, rng: np.random.Generator, *, noise: float = 0.8) -> np.ndarray:
    """Turn a drawn scene into an 8-bit RGB image with a little sensor noise.

    Parameters
    ----------
    lab : ndarray of shape (H, W, 3), float32
        CIELAB.
    rng : numpy.random.Generator
        Source of randomness.
    noise : float, default=0.8
        Standard deviation of the noise of the lightness.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        sRGB.
    """
    noisy = lab.astype(np.float32)
    noisy[..., 0] = np.clip(noisy[..., 0] + noise * rng.standard_normal(lab.shape[:2], dtype=np.float32), 0, 100)
    rgb = cv2.cvtColor(noisy, cv2.COLOR_LAB2RGB)
    return np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)
