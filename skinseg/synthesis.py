"""Drawing of synthetic dermoscopy: pure functions, each of which draws one piece of the scene.

Images are float32 arrays of shape (H, W, 3) in CIELAB while they are drawn;
`to_image` makes the 8-bit RGB image at the end. Randomness comes from the
generator handed in and from nowhere else. Lengths are in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

__all__ = [
    "LESION_COLORS",
    "STRUCTURES",
    "draw_bubbles",
    "draw_hair",
    "draw_ink",
    "draw_lesion",
    "draw_ruler",
    "draw_skin",
    "draw_sticker",
    "draw_vignette",
    "lesion_radius",
    "smooth_noise",
    "to_image",
]

# CIELAB of skin from very light to dark, at tones 0, 1/2 and 1
_SKIN_TONES = np.array([[84.0, 8.0, 11.0], [64.0, 13.0, 20.0], [38.0, 13.0, 17.0]])
# differences to the skin (L*, a*, b*) of the colors of a lesion, at full contrast on light skin
LESION_COLORS = {
    "light_brown": (-17.0, 9.0, 13.0),
    "dark_brown": (-37.0, 10.0, 8.0),
    "black": (-56.0, -3.0, -10.0),
    "red": (-20.0, 25.0, 6.0),
    "blue_gray": (-31.0, -9.0, -18.0),
    "white": (9.0, -6.0, -10.0),
}
"""The six clinical colors, as CIELAB differences to the surrounding skin."""

_GRAIN = 1.5  # standard deviation, in L*, of the grain between structures

STRUCTURES = ("network", "globules", "dots", "streaks", "homogeneous")
"""The five differential structures of the ABCD rule."""


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(np.clip(-values, -30, 30)))


def _over(image: np.ndarray, alpha: np.ndarray, color: Sequence[float]) -> np.ndarray:
    """Lay a color over an image, with an opacity for each pixel."""
    return image + alpha[..., None] * (np.asarray(color, np.float32) - image)


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


def draw_skin(shape: tuple[int, int], tone: float, rng: np.random.Generator, *, shading: float = 1.0) -> np.ndarray:
    """Draw bare skin: its tone, blotches, vessels, fine lines and slowly varying light.

    Parameters
    ----------
    shape : tuple of (int, int)
        Height and width.
    tone : float
        From 0, very light, to 1, dark.
    rng : numpy.random.Generator
        Source of randomness.
    shading : float, default=1.0
        Strength of uneven light; 0 for even light.

    Returns
    -------
    ndarray of shape (H, W, 3), float32
        CIELAB.
    """
    stops = np.linspace(0, 1, len(_SKIN_TONES))
    base = np.array([np.interp(tone, stops, column) for column in _SKIN_TONES.T])
    base = base + rng.normal(0, [3.5, 4.5, 6.0])  # the light of the lamp and the camera's idea of white differ
    skin = np.broadcast_to(base.astype(np.float32), (*shape, 3)).copy()
    side = max(shape)
    skin[..., 0] += 1.2 * smooth_noise(shape, side / 8, rng) + 0.7 * smooth_noise(shape, 3, rng)
    # the furrows of the skin run in two main directions
    for turn in rng.uniform(0, np.pi) + np.array([0, 1.2]):
        wave = 2 * np.pi / rng.uniform(side / 50, side / 30)
        y, x = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)[None]
        bend = 1.5 * smooth_noise(shape, side / 12, rng)
        skin[..., 0] -= 0.5 * np.maximum(np.cos(wave * (np.cos(turn) * x + np.sin(turn) * y) + bend), 0) ** 4
    skin[..., 1] += 0.9 * smooth_noise(shape, side / 10, rng) + 0.4 * smooth_noise(shape, side / 40, rng)
    skin[..., 2] += 0.7 * smooth_noise(shape, side / 10, rng)
    v, u = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None]
    direction = rng.uniform(0, 2 * np.pi)
    slope, fall = rng.uniform(0, 5) * shading, rng.uniform(0, 10) * shading
    skin[..., 0] += slope * (np.cos(direction) * u + np.sin(direction) * v) - fall * (u**2 + v**2) / 2
    return skin


def lesion_radius(
    angle: np.ndarray, rng: np.random.Generator, *, irregularity: float = 0.0, asymmetry: float = 0.0
) -> np.ndarray:
    """Draw an outline: the radius of a lesion for every direction, of mean about 1.

    Parameters
    ----------
    angle : ndarray
        Directions in radians, from the major axis of the lesion.
    rng : numpy.random.Generator
        Source of randomness.
    irregularity : float, default=0.0
        From 0, smooth, to 1, deeply notched; notches are symmetric about both
        axes, so that this says nothing about asymmetry.
    asymmetry : float, default=0.0
        From 0, symmetric about both axes, to 1, neither.

    Returns
    -------
    ndarray
        The radius for each direction, above 0.2.
    """
    aspect = rng.uniform(0.65, 0.8)
    radius = 1 / np.sqrt((np.cos(angle) * np.sqrt(aspect)) ** 2 + (np.sin(angle) / np.sqrt(aspect)) ** 2)
    orders = np.arange(6, 15, 2)  # even orders without a phase are symmetric about both axes
    # each order has its size, and chance only tells in from out: a value of the dial is one of irregularity
    notches = rng.choice([-1.0, 1.0], len(orders)) / orders**0.5
    notches *= 0.22 * irregularity / np.linalg.norm(notches)
    for order, size in zip(orders, notches, strict=True):
        radius = radius + size * np.cos(order * angle)
    # odd orders from 3: order 1 moves an outline and order 2 turns its axes, which leaves it as symmetric as it was
    phases = rng.uniform(0.4, 0.6, 2) * np.pi / 2
    for lobe, depth, phase in zip((3, 5), (0.30, 0.12), phases, strict=True):
        radius = radius + asymmetry * depth * np.sin(lobe * angle + phase)
    return np.maximum(radius, 0.2)


def _folded_noise(u: np.ndarray, v: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Noise that is symmetric about both axes of the lesion."""
    # as large as the image whatever the place of the lesion in it, so that each view of a lesion draws the same
    extent = int(np.ceil(np.hypot(*u.shape))) + 2
    quarter = smooth_noise((extent, extent), scale, rng)
    return cv2.remap(quarter, np.abs(u), np.abs(v), cv2.INTER_LINEAR)


def _standardized(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Bring values to mean 0 and standard deviation 1 over a mask."""
    if not mask.any():
        return values
    inside = values[mask]
    return (values - inside.mean()) / max(float(inside.std()), 1e-6)


def _color_map(
    place: np.ndarray, mask: np.ndarray, colors: Sequence[str], shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Color each pixel by where its value of ``place`` lies; give the colors and the label of each pixel."""
    cuts = np.quantile(place[mask], np.cumsum(shares)[:-1]) if mask.any() else np.zeros(len(colors) - 1)
    shift = np.zeros((*place.shape, 3), np.float32) + np.array(LESION_COLORS[colors[0]], np.float32)
    width = 0.08 * float(place[mask].std()) if mask.any() else 1.0
    for cut, color in zip(cuts, colors[1:], strict=True):
        weight = _sigmoid((place - cut) / max(width, 1e-6))
        shift += weight[..., None] * (np.array(LESION_COLORS[color], np.float32) - shift)
    return shift, np.searchsorted(cuts, place.ravel()).reshape(place.shape)


def _spots(
    u: np.ndarray, v: np.ndarray, radius: float, size: tuple[float, float], count: int, one_sided: float,
    quarter: tuple[int, int], rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Round spots within the lesion, mirrored about both axes or more and more on one side."""
    cover = np.zeros(u.shape, np.float32)
    placed = np.empty((0, 3))
    for number in range(count):
        for _ in range(20):  # spots lie side by side; where there is no room left, over each other
            distance, turn = 0.85 * radius * np.sqrt(rng.random()), rng.uniform(0, np.pi / 2)
            y, x = distance * np.sin(turn), distance * np.cos(turn)
            spread = radius * rng.uniform(*size) / 2
            apart = np.hypot(placed[:, 0] - y, placed[:, 1] - x) > 1.4 * (placed[:, 2] + spread)
            if apart.all() and min(x, y) > 1.4 * spread:
                break
        placed = np.vstack([placed, [y, x, spread]])
        # a share of the spots, one_sided, lies in one quarter only, instead of at all four mirror places
        alone = number < round(one_sided * count)
        places = [quarter] if alone else [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        for sign_y, sign_x in places:
            square = (v - sign_y * y) ** 2 + (u - sign_x * x) ** 2
            cover = np.maximum(cover, _sigmoid((spread - np.sqrt(square)) / max(0.25 * spread, 0.4)))
    return cover


def _structure_layer(
    u: np.ndarray, v: np.ndarray, radius: float, limit: np.ndarray, structures: Sequence[str], one_sided: float,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Differences of lightness that the structures make."""
    # what is not made of spots fades out towards the opposite quarter, so that it is symmetric about neither axis
    quarter = int(rng.choice((-1, 1))), int(rng.choice((-1, 1)))
    side = 1 - one_sided * _sigmoid(-(quarter[0] * v + quarter[1] * u) / (0.12 * radius))
    # what has structures has a grain between them, and only a homogeneous area is without
    layer = np.asarray(_GRAIN * _folded_noise(u, v, max(2.0, radius / 14), rng), np.float32)
    if "network" in structures:
        wave = 2 * np.pi / max(radius / rng.uniform(5, 8), 5)
        lines = [np.abs(np.cos(wave / 2 * (np.cos(t) * u + np.sin(t) * np.abs(v)))) for t in np.pi / 3 * np.arange(3)]
        layer -= 16 * np.maximum.reduce([np.maximum(line - 0.8, 0) * 5 for line in lines]) * side
    if "globules" in structures:
        layer -= 27 * _spots(u, v, radius, (0.16, 0.24), 7, one_sided, quarter, rng)
    if "dots" in structures:
        layer -= 26 * _spots(u, v, radius, (0.05, 0.08), 16, one_sided, quarter, rng)
    if "streaks" in structures:
        angle = np.abs(np.arctan2(v, np.abs(u)))
        rays = np.maximum(np.cos(angle * 2 * int(rng.integers(9, 14))), 0) ** 3
        rim = _sigmoid((np.hypot(u, v) - 0.62 * limit) / (0.05 * radius)) * _sigmoid(
            (limit * 1.05 - np.hypot(u, v)) / 2
        )
        layer -= 15 * rays * rim * side
    if "homogeneous" in structures:
        turn = rng.uniform(0, 2 * np.pi)
        away = 0.25 * radius * one_sided  # in the middle, unless structures are to lie on one side
        square = (u - away * np.cos(turn)) ** 2 + (v - away * np.sin(turn)) ** 2
        layer *= 1 - _sigmoid((0.5 * radius - np.sqrt(square)) / (0.05 * radius))
    return layer


def draw_lesion(
    skin: np.ndarray,
    rng: np.random.Generator,
    *,
    diameter: float,
    center: tuple[float, float],
    turn: float = 0.0,
    irregularity: float = 0.0,
    asymmetry_shape: float = 0.0,
    asymmetry_color: float = 0.0,
    asymmetry_structure: float = 0.0,
    colors: Sequence[str] = ("light_brown",),
    abrupt: Sequence[bool] = (False,) * 8,
    structures: Sequence[str] = (),
    contrast: float = 1.0,
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Draw a lesion onto skin.

    Parameters
    ----------
    skin : ndarray of shape (H, W, 3), float32
        CIELAB of the skin.
    rng : numpy.random.Generator
        Source of randomness.
    diameter : float
        Diameter of the disc of (about) equal area.
    center : tuple of (float, float)
        Row and column.
    turn : float, default=0.0
        Direction of the major axis in radians, from the x axis towards y.
    irregularity, asymmetry_shape, asymmetry_color, asymmetry_structure : float, default=0.0
        Each from 0 to 1: of the outline; of the outline, the colors and the
        structures about the two axes of the lesion.
    colors : sequence of str, default=("light_brown",)
        Which of `LESION_COLORS` it has, each on at least a tenth of it.
    abrupt : sequence of 8 bool, default=all False
        Whether the pigment ends abruptly, for each octant, the first from the
        x axis of the image to 45 degrees towards y.
    structures : sequence of str, default=()
        Which of `STRUCTURES` it has.
    contrast : float, default=1.0
        Strength of the pigment.

    Returns
    -------
    image : ndarray of shape (H, W, 3), float32
        CIELAB with the lesion.
    mask : ndarray of shape (H, W), bool
        The lesion, up to where half of its pigment has faded out.
    shares : dict of str to float
        For each of its colors the share of the lesion.
    """
    shape = skin.shape[:2]
    y = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(center[0])
    x = np.arange(shape[1], dtype=np.float32)[None] - np.float32(center[1])
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = cosine * x + sine * y, cosine * y - sine * x
    # a slight warp, for nothing that grows is drawn by compass; so slight that it adds no asymmetry to speak of
    extent = int(np.ceil(np.hypot(*shape))) + 2
    warp = [diameter / 60 * smooth_noise((extent, extent), diameter / 3, rng) for _ in range(2)]
    places = u + np.float32(extent / 2), v + np.float32(extent / 2)
    u, v = (axis + cv2.remap(noise, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for axis, noise in zip((u, v), warp, strict=True))  # fmt: skip
    table = lesion_radius(np.linspace(-np.pi, np.pi, 721), rng, irregularity=irregularity, asymmetry=asymmetry_shape)
    radius = diameter / 2
    table = (table * radius / np.sqrt(np.mean(table**2))).astype(np.float32)
    angle = np.arctan2(v, u)
    limit = table[np.rint((angle + np.pi) * (720 / (2 * np.pi))).astype(np.intp)]
    distance = limit - np.hypot(u, v)
    mask = distance > 0
    # the pigment fades over 2 % of the radius where it ends abruptly, over 44 % elsewhere
    octant = (np.arctan2(y, x) % (2 * np.pi)) / (np.pi / 4)
    is_abrupt = np.array([*abrupt, abrupt[0]], np.float32)[np.minimum(octant.astype(np.intp), 8)]
    is_abrupt = cv2.GaussianBlur(is_abrupt, (0, 0), max(0.04 * radius, 0.5))
    pigment = _sigmoid(distance / (radius * (0.22 - 0.21 * is_abrupt) / 2))
    mottle = 1 + 0.05 * _folded_noise(u, v, max(3.0, radius / 6), rng) + 0.06 * smooth_noise(shape, 3, rng)
    even = _folded_noise(u, v, max(4.0, radius / 1.6), rng) + 0.1 * _folded_noise(u, v, max(3.0, radius / 5), rng)
    side = rng.uniform(0.4, 0.6) * np.pi / 2 + np.pi / 2 * rng.integers(4)
    odd = np.cos(side) * u + np.sin(side) * v
    # the dial is the share of what differs between mirror places in what places the colors
    place = np.sqrt(1 - asymmetry_color) * _standardized(even, mask) + np.sqrt(asymmetry_color) * _standardized(
        odd, mask
    )
    wanted = 0.1 + (1 - 0.1 * len(colors)) * rng.dirichlet(np.full(len(colors), 3.0))
    shift, labels = _color_map(place, mask, colors, wanted)
    scale = contrast * skin[..., :1].mean() / 76  # pigment shows less on darker skin
    image = skin + shift * (np.float32(scale) * pigment * mottle)[..., None]
    if structures:
        layer = _structure_layer(u, v, radius, limit, structures, asymmetry_structure, rng)
        image[..., 0] += np.float32(scale) * pigment * layer
    counts = np.bincount(labels[mask], minlength=len(colors))
    shares = counts / max(int(counts.sum()), 1)
    return image, mask, dict(zip(colors, shares.tolist(), strict=True))


def draw_hair(
    image: np.ndarray, n_hairs: int, rng: np.random.Generator, *, light: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draw hairs across an image, mostly combed one way.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    n_hairs : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.
    light : bool, default=False
        Blond or gray hair instead of dark.

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
    combed = rng.uniform(0, 2 * np.pi)
    for _ in range(n_hairs):
        start = rng.uniform(-0.2, [1.2, 1.2]) * (width, height)
        direction = combed + rng.normal(0, 0.5)
        length, bend = rng.uniform(0.4, 1.1) * side, rng.normal(0, 0.2) * side
        along = np.array([np.cos(direction), np.sin(direction)])
        t = np.linspace(0, 1, 32)[:, None]
        points = start + t * length * along + 4 * t * (1 - t) * bend * along[::-1] * (-1, 1)
        thickness = max(1, round(rng.uniform(0.6, 1.6) * side / 220))
        fixed = np.rint(points * 8).astype(np.int32)  # three bits of subpixel position, for smooth curves
        cv2.polylines(cover, [fixed], False, 255, thickness, cv2.LINE_AA, shift=3)
    alpha = 0.85 * cover.astype(np.float32) / 255
    color = (rng.uniform(80, 92), 2, 12) if light else (rng.uniform(12, 30), 4, 6)
    return _over(image, alpha, color), cover > 127


def draw_ruler(image: np.ndarray, pixel_size: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the millimeter scale of a dermoscope along the lower or the upper edge.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    pixel_size : float
        Millimeters per pixel.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (H, W, 3), float32
        CIELAB with a tick each millimeter and longer ones each five.
    """
    height, width = image.shape[:2]
    cover = np.zeros((height, width), np.uint8)
    tilt = rng.normal(0, 0.06)
    along = np.array([np.cos(tilt), np.sin(tilt)])
    across = np.array([-along[1], along[0]])
    start = np.array([0.2 * width, height * (0.93 if rng.random() < 0.8 else 0.07)])
    n_ticks = int(0.6 * width * pixel_size)
    for tick in range(n_ticks + 1):
        foot = start + along * tick / pixel_size
        length = (0.035 if tick % 5 == 0 else 0.02) * height
        ends = np.rint([foot * 8, (foot - across * length) * 8]).astype(np.int32)
        cv2.line(cover, ends[0].tolist(), ends[1].tolist(), 255, 1, cv2.LINE_AA, shift=3)
    ends = np.rint([start * 8, (start + along * n_ticks / pixel_size) * 8]).astype(np.int32)
    cv2.line(cover, ends[0].tolist(), ends[1].tolist(), 255, 1, cv2.LINE_AA, shift=3)
    return _over(image, 0.8 * cover.astype(np.float32) / 255, (12, 0, 0))


def draw_ink(image: np.ndarray, center: tuple[float, float], away: float, rng: np.random.Generator) -> np.ndarray:
    """Draw strokes of a violet surgical marker beside the lesion.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    center : tuple of (float, float)
        Row and column of the lesion.
    away : float
        Distance of the strokes from it.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (H, W, 3), float32
        CIELAB with the strokes.
    """
    shape = image.shape[:2]
    cover = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        turn = rng.uniform(0, 2 * np.pi)
        arc = turn + np.linspace(0, rng.uniform(0.3, 1.0), 16)
        points = np.column_stack([center[1] + away * np.cos(arc), center[0] + away * np.sin(arc)])
        thickness = max(2, round(max(shape) * rng.uniform(0.012, 0.03)))
        cv2.polylines(cover, [np.rint(points * 8).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, shift=3)
    patchy = np.clip(0.55 + 0.3 * smooth_noise(shape, 3, rng), 0, 1)
    return _over(image, patchy * cover.astype(np.float32) / 255, (38, 28, -38))


def draw_sticker(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a colored round sticker that looks in from a corner or side.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (H, W, 3), float32
        CIELAB with the sticker.
    """
    height, width = image.shape[:2]
    radius = rng.uniform(0.12, 0.25) * max(height, width)
    row, column = rng.choice([-0.05, 1.05]) * height, rng.uniform(0, 1) * width
    y, x = np.arange(height, dtype=np.float32)[:, None] - row, np.arange(width, dtype=np.float32)[None] - column
    distance = np.hypot(y, x)
    color = [(55, -45, 35), (45, 60, 40), (45, 5, -45), (80, -2, 75)][int(rng.integers(4))]
    rim = _over(image, _sigmoid(radius - distance), (82, 4, -8))
    return _over(rim, _sigmoid(0.75 * radius - distance), color)


def draw_bubbles(image: np.ndarray, n_bubbles: int, rng: np.random.Generator) -> np.ndarray:
    """Draw bubbles of the contact gel: bright rings with a highlight.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    n_bubbles : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (H, W, 3), float32
        CIELAB with the bubbles.
    """
    height, width = image.shape[:2]
    light = np.zeros((height, width), np.float32)
    for _ in range(n_bubbles):
        radius = rng.uniform(0.006, 0.025) * max(height, width)
        column, row = (rng.random(2) * (width, height)).tolist()
        y, x = np.arange(height, dtype=np.float32)[:, None] - row, np.arange(width, dtype=np.float32)[None] - column
        ring = np.exp(-(((np.hypot(y, x) - radius) / max(0.2 * radius, 0.8)) ** 2))
        spot = np.exp(-(((y + 0.4 * radius) ** 2 + (x + 0.4 * radius) ** 2) / max(0.3 * radius, 0.8) ** 2))
        light = np.maximum(light, np.maximum(0.35 * ring, 0.8 * spot))
    return _over(image, light, (97, 0, 0))


def draw_vignette(image: np.ndarray, radius: float, *, softness: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    """Draw the round edge of a dermoscope, black outside: corners only, or all around.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), float32
        CIELAB.
    radius : float
        Radius of what is seen, in half diagonals; 1 touches the corners.
    softness : float, default=0.04
        Width of the transition, likewise.

    Returns
    -------
    image : ndarray of shape (H, W, 3), float32
        CIELAB with the vignette.
    field : ndarray of shape (H, W), bool
        What is seen.
    """
    height, width = image.shape[:2]
    y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    x = np.arange(width, dtype=np.float32)[None] - (width - 1) / 2
    distance = np.hypot(y, x) / (np.hypot(height, width) / 2)
    return _over(image, _sigmoid((distance - radius) / (softness / 4)), (2, 0, 0)), distance < radius


def to_image(
    lab: np.ndarray, rng: np.random.Generator, *, noise: float = 0.8, quality: int | None = None
) -> np.ndarray:
    """Turn a drawn scene into an 8-bit RGB image.

    Parameters
    ----------
    lab : ndarray of shape (H, W, 3), float32
        CIELAB.
    rng : numpy.random.Generator
        Source of randomness.
    noise : float, default=0.8
        Standard deviation of the sensor's noise of lightness.
    quality : int, default=None
        Quality of a JPEG compression to go through, 1 to 100; None for none.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        Image in sRGB.
    """
    noisy = lab.astype(np.float32)
    noisy[..., 0] = np.clip(noisy[..., 0] + noise * rng.standard_normal(lab.shape[:2], dtype=np.float32), 0, 100)
    rgb = np.clip(np.rint(cv2.cvtColor(noisy, cv2.COLOR_LAB2RGB) * 255), 0, 255).astype(np.uint8)
    if quality is None:
        return rgb
    coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), np.uint8)
