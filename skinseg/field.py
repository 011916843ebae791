"""The valid field of view of a dermoscopic image, and the light of the skin in it: pure functions."""

from __future__ import annotations

import cv2
import numpy as np

from .resampling import shrink_to

__all__ = ["fit_surface", "flatten_shading", "valid_field"]

_SIDE = 256  # working size of the search for the field, longer side in pixels
_DARK = 45  # a pixel of frame or vignette has no channel above this (of 255)
_FADED = 0.6  # what is darker than this share of the skin's level is the soft part of a vignette
_FADED_LIMIT = 130  # but nothing above this level is
_REACH = 10  # the soft part lies within so many working pixels of the black part, or in a corner
_CORNER = 0.8  # corners begin at this fraction of the way from the middle
_MIN_FITTED = 100  # fewer pixels than this do not make a surface


def valid_field(image: np.ndarray) -> np.ndarray:
    """Find the part of an image that shows skin, inside of black frame, black corners and vignette.

    Frame is what is nearly black in all channels, connected to a corner of the
    image or along most of one of its sides, and the soft or gray vignette that
    begins in a corner or around the black: there, all that has less than 0.6
    of the light of the skin. A dark lesion that touches the edge is neither.
    The search runs at 256 pixels and the frame is widened a little.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB.

    Returns
    -------
    ndarray of shape (H, W), bool
        True where the image is valid; all True where there is no frame or
        where the frame would leave less than a tenth of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.field import valid_field
    >>> image = np.full((100, 100, 3), 200, dtype=np.uint8)
    >>> image[:20] = 0  # a black bar
    >>> field = valid_field(image)
    >>> bool(field[:20].any()), bool(field[30:].all())
    (False, True)
    """
    height, width = image.shape[:2]
    small = shrink_to(image, _SIDE)
    red, green, blue = cv2.split(small)
    level = cv2.blur(cv2.max(cv2.max(red, green), blue), (5, 5))
    black = _at_edge((level < _DARK).view(np.uint8), sides=True)
    frame = cv2.bitwise_or(black, _faded(level, black))
    if not frame.any():
        return np.ones((height, width), bool)
    # the last of the fading belongs to neither frame nor skin
    frame = cv2.dilate(frame, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    if cv2.countNonZero(frame) > 0.9 * frame.size:
        return np.ones((height, width), bool)
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST) == 0


def _at_edge(dark: np.ndarray, *, sides: bool) -> np.ndarray:
    """Keep the components (uint8) that hold a corner of the image or, if asked, most of one of its sides."""
    edges = (dark[0], dark[-1], dark[:, 0], dark[:, -1])
    if not any(edge.any() for edge in edges):
        return np.zeros_like(dark)
    count, labels = cv2.connectedComponents(dark, connectivity=4, ltype=cv2.CV_16U)
    keep = np.zeros(count, np.uint8)
    keep[labels[[0, 0, -1, -1], [0, -1, 0, -1]]] = 1
    if sides:
        for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[np.bincount(edge, minlength=count) > 0.8 * len(edge)] = 1
    keep[0] = 0  # label 0 is what is not dark
    return keep.take(np.asarray(labels, np.uint16)) if keep.any() else np.zeros_like(dark)


def _faded(level: np.ndarray, black: np.ndarray) -> np.ndarray:
    """Find the soft part of a vignette (uint8): dim, connected to a corner, near the black or in a corner."""
    lit = level[::4, ::4]
    lit = lit[lit >= _DARK]
    if lit.size == 0:
        return np.zeros_like(black)
    # the median of bytes, by their counts
    below = np.searchsorted(np.cumsum(np.bincount(lit)), [(lit.size - 1) // 2, lit.size // 2], side="right")
    limit = min(int(_FADED * below.mean()), _FADED_LIMIT)
    if level[[0, 0, -1, -1], [0, -1, 0, -1]].min() >= limit:
        return np.zeros_like(black)
    dim = (level < limit).view(np.uint8)
    allowed = cv2.dilate(black, np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)) if black.any() else black.copy()
    height, width = level.shape
    outside = np.ones_like(black)
    # the corners of the image lie on an ellipse sqrt(2) times as wide and high as the image
    axes = round(_CORNER * width / np.sqrt(2)), round(_CORNER * height / np.sqrt(2))
    cv2.ellipse(outside, ((width - 1) // 2, (height - 1) // 2), axes, 0, 0, 360, 0, cv2.FILLED)
    return _at_edge(dim & (allowed | outside), sides=False)


def fit_surface(values: np.ndarray, where: np.ndarray, degree: int = 2) -> np.ndarray | None:
    """Fit a polynomial in the coordinates to some pixels of an image, by least squares.

    Parameters
    ----------
    values : ndarray of shape (H, W) or (H, W, C), floating
        One or more channels.
    where : ndarray of shape (H, W), bool
        The pixels that count; of many of them, a regular grid is used.
    degree : int, default=2
        Total degree of the polynomial, at least 0.

    Returns
    -------
    ndarray of the shape of ``values``, float32, or None
        The polynomial at every pixel; None where fewer than 100 pixels count.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.field import fit_surface
    >>> values = np.add.outer(np.arange(30.0), np.arange(40.0) ** 2)
    >>> surface = fit_surface(values, np.ones(values.shape, dtype=bool))
    >>> bool(np.abs(surface - values).max() < 0.01)
    True
    """
    height, width = where.shape
    if np.count_nonzero(where) < _MIN_FITTED:
        return None
    # one pixel in step * step: some hundreds tell as much of a smooth surface as all do
    step = max(1, int(np.sqrt(np.count_nonzero(where) / 1000)))
    y, x = np.nonzero(where[::step, ::step])
    if len(y) < _MIN_FITTED:  # where the grid falls through what counts
        step = 1
        y, x = np.nonzero(where)
    rows = np.linspace(-1, 1, height) if height > 1 else np.zeros(1)
    columns = np.linspace(-1, 1, width) if width > 1 else np.zeros(1)
    exponents = np.arange(degree + 1)
    i, j = np.nonzero(np.add.outer(exponents, exponents) <= degree)
    of_rows, of_columns = rows[:, None] ** exponents, columns[:, None] ** exponents
    design = of_rows[y * step][:, i] * of_columns[x * step][:, j]
    sample = values[::step, ::step][y, x].reshape(len(y), -1).astype(np.float64)
    # the normal equations are well conditioned on [-1, 1] for the low degrees of light, and much cheaper
    solution = cv2.solve(design.T @ design, design.T @ sample, flags=cv2.DECOMP_SVD)[1]
    surface = np.empty((height, width, sample.shape[1]), np.float32)
    for channel in range(sample.shape[1]):
        coefficients = np.zeros((degree + 1, degree + 1))
        coefficients[i, j] = solution[:, channel]
        surface[..., channel] = (of_rows @ coefficients).astype(np.float32) @ of_columns.T.astype(np.float32)
    return surface.reshape(values.shape)


def flatten_shading(channel: np.ndarray, skin: np.ndarray, limit: float = 60.0) -> np.ndarray:
    """Take slow shading (uneven light, vignetting) out of one channel.

    A polynomial of second order in the coordinates is fitted to the skin, twice,
    the second time without what is more than two standard deviations darker
    than the first fit; its departure from its median over the skin is
    subtracted.

    Parameters
    ----------
    channel : ndarray of shape (H, W), floating
        Gray values.
    skin : ndarray of shape (H, W), bool
        Where there is skin and no lesion, as a first guess.
    limit : float, default=60.0
        Largest correction, in gray values.

    Returns
    -------
    ndarray of shape (H, W), float32
        The channel with even light; unchanged where there are fewer than 100
        pixels of skin.
    """
    channel = channel.astype(np.float32)
    shading = fit_surface(channel, skin)
    if shading is None:
        return channel
    departure = channel - shading
    lit = skin & (departure > -2 * departure[skin].std())
    again = fit_surface(channel, lit)
    if again is not None:
        shading, skin = again, lit
    correction = shading - np.median(shading[skin][::7])  # the surface is smooth: a part has the same median
    return channel - np.clip(correction, -limit, limit)
