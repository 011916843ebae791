"""The outline of a lesion as a polygon of subpixel accuracy, and what its geometry gives."""

from __future__ import annotations

import cv2
import numpy as np

from ..masks import largest_component

__all__ = [
    "BOX_SIZES",
    "CURVATURE_SCALE",
    "INDENTATION_DEPTH",
    "box_dimension",
    "curvature",
    "hull_pockets",
    "polygon_area",
    "polygon_length",
    "polygon_moments",
    "resample",
    "steps_of",
    "to_half",
    "trace_outline",
]

BOX_SIZES = tuple(float(size) for size in np.geomspace(1 / 48, 1 / 6, 5))
"""Sides of the boxes of the box counting, in equivalent diameters."""

CURVATURE_SCALE = 0.025
"""Standard deviation of the Gaussian that the outline is smoothed by for its curvature, in lengths of the outline."""

INDENTATION_DEPTH = 0.025
"""Depth below the hull from which on a dent counts as an indentation, in equivalent diameters."""

_DIAMETER = 160  # equivalent diameter in pixels at which an outline is traced: all smoothing is relative to the lesion
_BLUR = 1.0  # standard deviation of the blur in these pixels
_LEAST_BLUR = 1.0  # and in pixels of the mask at least, or the stairs of a small mask would be taken for its outline
_SMALLEST = 32  # a mask of fewer pixels is what its pixels are


def trace_outline(mask: np.ndarray) -> np.ndarray:
    """Trace the outer outline of the largest component of a mask.

    The mask is brought to an equivalent diameter of 160 pixels, blurred by a
    Gaussian of one of these (0.6 % of the diameter, and one pixel of the mask
    at least) and traced at one half between the pixels. So the stairs of the
    pixel grid add nothing to the length, and the same shape has the same
    outline at any resolution. A mask of less than 32 pixels or 3 rows or
    columns, or so thin that the blur would wipe it out, is traced along the
    edges of its pixels, each a square of side 1.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask; not empty.

    Returns
    -------
    ndarray of shape (n, 2), float64
        The vertices of the closed polygon as row, column (pixel centers are
        whole numbers), the first not repeated.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.features._outline import polygon_length, trace_outline
    >>> polygon_length(trace_outline(np.ones((1, 3), bool)))
    8.0
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    part = mask[top : top + height, left : left + width]
    count = int(np.count_nonzero(part))
    polygon = _trace_blurred(part, count) if count >= _SMALLEST and min(width, height) >= 3 else None
    # of several components one may well be smaller than all together, so the largest is looked for only in doubt
    if polygon is None or polygon_area(polygon) < 0.8 * count:
        solid = largest_component(np.ascontiguousarray(part))
        if polygon is None or polygon_area(polygon) < 0.8 * np.count_nonzero(solid):
            polygon = _trace_pixels(solid)
    # what is sampled along it begins at the same place whichever way the image is turned
    start = int(np.argmax(((polygon - polygon_moments(polygon)[0]) ** 2).sum(axis=1)))
    return np.roll(polygon, -start, axis=0) + np.array([top, left])


def _trace_blurred(part: np.ndarray, count: int) -> np.ndarray | None:
    """Trace a mask that fills its array at one half of its blurred copy."""
    height, width = part.shape
    # without a limit a long line would be enlarged beyond all measure
    zoom = min(_DIAMETER / np.sqrt(4 * count / np.pi), max(1.0, 4 * _DIAMETER / max(height, width)))
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    soft: np.ndarray = part.view(np.uint8) * np.uint8(255)
    if zoom < 0.7:  # a plain half first: several times faster than averaging over areas of a broken size
        right, below = width % 2, height % 2
        soft = cv2.copyMakeBorder(soft, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0) if right or below else soft
        soft = cv2.resize(soft, (soft.shape[1] // 2, soft.shape[0] // 2), interpolation=cv2.INTER_AREA)
        width, height = width + right, height + below
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
    method = cv2.INTER_AREA if zoom < 0.35 else cv2.INTER_LINEAR
    soft = cv2.resize(soft, size, interpolation=method)
    blur = max(_BLUR, _LEAST_BLUR * zoom)
    pad = int(np.ceil(3 * blur)) + 2
    soft = cv2.copyMakeBorder(soft, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0).astype(np.float32)
    soft = cv2.GaussianBlur(soft, (0, 0), blur)
    inside = (soft > 127.5).view(np.uint8)
    chains, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not chains:
        return None
    chain = max(chains, key=cv2.contourArea)[:, 0]
    if len(chain) < 8:
        return None
    points = to_half(chain, soft)
    return (points[:, ::-1] - pad + 0.5) * (height / size[1], width / size[0]) - 0.5


def to_half(chain: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Move pixels on the inside of an outline outwards to where a blurred mask (0 to 255) is one half.

    Parameters
    ----------
    chain : ndarray of shape (n, 2), int
        Column and row of pixels above one half, none at the edge.
    soft : ndarray of shape (H, W), float32
        The blurred mask.

    Returns
    -------
    ndarray of shape (n, 2), float64
        Column and row.
    """
    values, width = soft.ravel(), soft.shape[1]
    place = chain[:, 1].astype(np.intp) * width + chain[:, 0]
    x, y = values[place - 1] - values[place + 1], values[place - width] - values[place + width]
    norm = np.maximum(np.sqrt(x * x + y * y), np.float32(1e-6))
    outward = np.stack([x / norm, y / norm])
    across, down = outward + chain.T.astype(np.float32)
    here, there = values[place], cv2.remap(soft, across[:, None], down[:, None], cv2.INTER_LINEAR)[:, 0]
    step = np.minimum((here - np.float32(127.5)) / np.maximum(here - there, np.float32(1e-3)), 1)
    return np.asarray(chain + (np.maximum(step, 0) * outward).T, np.float64)


def _trace_pixels(solid: np.ndarray) -> np.ndarray:
    """Trace a component along the edges of its pixels."""
    # corners and middles of the edges are a grid of twice the density, on which a pixel is a block of three by three
    grid = np.zeros((2 * solid.shape[0] + 1, 2 * solid.shape[1] + 1), np.uint8)
    grid[1::2, 1::2] = solid
    grid = cv2.dilate(grid, np.ones((3, 3), np.uint8))
    chains, _ = cv2.findContours(grid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    chain = max(chains, key=cv2.contourArea)[:, 0, ::-1]
    return chain / 2 - 0.5


def signed_area(polygon: np.ndarray) -> float:
    """Area of a closed polygon by the shoelace formula, positive if it turns from columns to rows."""
    y, x = polygon[:, 0], polygon[:, 1]
    return float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]) + x[-1] * y[0] - y[-1] * x[0]) / 2


def polygon_area(polygon: np.ndarray) -> float:
    """Area of a closed polygon."""
    return abs(signed_area(polygon))


def polygon_length(polygon: np.ndarray) -> float:
    """Length of a closed polygon."""
    return float(steps_of(polygon).sum())


def steps_of(polygon: np.ndarray) -> np.ndarray:
    """Length of each side of a closed polygon, the first from its first vertex to the second."""
    sides = np.diff(polygon, axis=0, append=polygon[:1])
    return np.hypot(sides[:, 0], sides[:, 1])


def polygon_moments(polygon: np.ndarray) -> tuple[np.ndarray, float]:
    """Centroid (row, column) of the area inside, and the major principal axis in radians from columns to rows."""
    origin = polygon.mean(axis=0)  # against cancellation
    moments = cv2.moments((polygon - origin)[:, None, ::-1].astype(np.float32))
    centroid = origin + np.array([moments["m01"], moments["m10"]]) / moments["m00"]
    angle = 0.5 * np.arctan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"])
    return centroid, float(angle)


def resample(polygon: np.ndarray, n_points: int) -> np.ndarray:
    """Points at equal steps along a closed polygon, from its first vertex."""
    closed = np.concatenate([polygon, polygon[:1]])
    along = np.concatenate([[0.0], np.cumsum(steps_of(polygon))])
    places = np.arange(n_points) * (along[-1] / n_points)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def curvature(points: np.ndarray, scale: float = CURVATURE_SCALE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curvature and unit normals of a smoothed outline.

    The outline is smoothed along itself by a Gaussian; the derivatives are
    exact for its Fourier series.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The closed outline at equal steps, row and column, as of `resample`.
    scale : float, default=0.025
        Standard deviation of the Gaussian, in lengths of the outline, above 0.

    Returns
    -------
    bend : ndarray of shape (n,)
        Curvature in 1 / pixels, positive where the outline is convex.
    speed : ndarray of shape (n,)
        Length of the smoothed outline that each point stands for.
    normals : ndarray of shape (n, 2)
        Unit vectors (row, column) that point outwards.
    """
    frequency = np.fft.fftfreq(len(points), 1 / len(points))
    spectrum = np.fft.fft(points[:, 1] + 1j * points[:, 0]) * np.exp(-((2 * np.pi * scale * frequency) ** 2) / 2)
    first = np.fft.ifft(1j * frequency * spectrum)
    second = np.fft.ifft(-(frequency**2) * spectrum)
    speed = np.maximum(np.abs(first), 1e-9)
    turn = 1.0 if signed_area(points) >= 0 else -1.0
    normal = -1j * turn * first / speed
    bend = turn * np.imag(np.conj(first) * second) / speed**3
    return bend, speed * (2 * np.pi / len(points)), np.stack([normal.imag, normal.real], axis=1)


def hull_pockets(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dents of an outline below its convex hull.

    Parameters
    ----------
    polygon : ndarray of shape (n, 2)
        The closed outline, row and column.

    Returns
    -------
    hull : ndarray of shape (m, 2)
        Vertices of the hull in the order of the outline.
    depths, areas : ndarray of shape (m,)
        For each side of the hull the greatest distance of the outline between
        its ends from it, and the area between both.
    """
    corners = cv2.convexHull(polygon[:, None, ::-1].astype(np.float32), returnPoints=False)
    order = np.unique(corners)
    if len(order) < 3:
        return polygon, np.zeros(len(polygon)), np.zeros(len(polygon))
    points = np.roll(polygon, -order[0], axis=0)
    starts = order - order[0]
    hull = points[starts]
    chords = np.roll(hull, -1, axis=0) - hull
    side = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(points))))
    away = points - hull[side]
    cross = chords[side, 0] * away[:, 1] - chords[side, 1] * away[:, 0]
    distance = np.abs(cross) / np.maximum(np.linalg.norm(chords, axis=1), 1e-9)[side]
    depths = np.maximum.reduceat(distance, starts)
    # shoelace of the outline from a corner of the hull to the next, seen from that corner
    following = np.roll(points, -1, axis=0) - hull[side]
    areas = np.abs(np.add.reduceat(away[:, 0] * following[:, 1] - away[:, 1] * following[:, 0], starts)) / 2
    return hull, depths, areas


def _grids(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of a grid in boxes, and for each a turn by 22.5 degrees with its quarter turns and mirror images.

    The outline is laid on each by ``points @ turn + place``, for which the
    columns of the turns are given one after the other; so quarter turns
    and mirroring change nothing. The angle is the same for all sizes of boxes,
    for how many boxes a straight line enters depends on it.
    """
    index = np.arange(1, number + 1)
    places = (index[:, None] * (0.7548776662466927, 0.5698402909980532)) % 1  # the R2 sequence fills the square evenly
    cosine, sine = np.cos(np.pi / 8), np.sin(np.pi / 8)
    quarter, mirror, unit = np.array([[0, -1], [1, 0]]), np.array([[1, 0], [0, -1]]), np.eye(2)
    group = [
        turn @ flip @ np.array([[cosine, -sine], [sine, cosine]])
        for flip in (unit, mirror)
        for turn in (unit, quarter, quarter @ quarter, quarter.T)
    ]
    turns = np.tile(np.transpose(group, (2, 0, 1)), (1, number, 1))
    return np.repeat(places, len(group), axis=0).astype(np.float32), turns.astype(np.float32)


_PLACES, _TURNS = _grids(8)
_FEWEST = 8  # grids for the smallest boxes, and more for larger ones, of which there are fewer


def box_dimension(polygon: np.ndarray, diameter: float) -> float:
    """Box-counting dimension of an outline over boxes of 1/48 to 1/6 of a diameter.

    Parameters
    ----------
    polygon : ndarray of shape (n, 2)
        The closed outline.
    diameter : float
        The equivalent diameter, which the boxes are relative to.

    Returns
    -------
    float
        Slope of the logarithm of the number of boxes that the outline enters,
        averaged over places of the grid, on that of one over their
        side.
    """
    points = resample(polygon, int(np.clip(192 * polygon_length(polygon) / diameter, 512, 8192)))
    # turned to its principal axes, so that the grids turn with the outline
    points = (points - points.mean(axis=0)) / diameter
    points = (points @ np.linalg.eigh(points.T @ points)[1]).astype(np.float32)
    farthest = float(np.sqrt((points * points).sum(axis=1).max()))
    counts = []
    for size in BOX_SIZES:
        # larger boxes need fewer points: some four for the length of a side
        stride = max(1, int(size / BOX_SIZES[0]))
        places = min(_FEWEST * stride, len(_PLACES))
        reach = int(np.ceil(farthest / size)) + 1
        side = 2 * reach + 1
        down, across = (
            (_TURNS[axis, :places] @ (points[::stride].T / np.float32(size)) + (_PLACES[:places, axis, None] + reach))
            for axis in (0, 1)
        )
        index = down.astype(np.int32) * np.int32(side) + across.astype(np.int32)
        index += np.arange(places, dtype=np.int32)[:, None] * np.int32(side * side)
        entered = np.zeros(places * side * side, np.uint8)
        entered[index] = 1
        counts.append(np.count_nonzero(entered.view(bool)) / places)
    finer = -np.log(BOX_SIZES)
    finer -= finer.mean()
    return float(np.dot(finer, np.log(counts)) / np.dot(finer, finer))
