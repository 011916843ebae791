"""The valid field of view of a dermoscopic image, and the light of the skin in it: pure functions."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["flatten_shading", "valid_field"]

_SIDE = 256  # working size of the search for the field, longer side in pixels
_DARK = 45  # a pixel of frame or vignette has no channel above this (of 255)


def valid_field(image: np.ndarray) -> np.ndarray:
    """Find the part of an image that shows skin, inside of black frame, black corners and vignette.

    Frame is what is nearly black in all channels, connected to a corner of the
    image or along most of one of its sides; a dark lesion that touches the
    edge is neither. The search runs at 256 pixels and the frame is widened by
    its soft edge.

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
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    brightest = cv2.blur(np.ascontiguousarray(small.max(axis=2)), (5, 5))
    count, labels = cv2.connectedComponents((brightest < _DARK).view(np.uint8), connectivity=4)
    if count == 1:
        return np.ones((height, width), bool)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    corners = labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    is_frame = np.zeros(count, bool)
    is_frame[corners] = True
    for side in sides:
        is_frame |= np.bincount(side, minlength=count) > 0.8 * len(side)
    is_frame[0] = False  # label 0 is what is not dark
    frame = is_frame[labels].view(np.uint8)
    # the vignette fades over a few pixels, which belong to neither frame nor skin
    frame = cv2.dilate(frame, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    if frame.mean() > 0.9:
        return np.ones((height, width), bool)
    if scale < 1:
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST)
    return frame == 0


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
    height, width = channel.shape
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    terms = [np.broadcast_to(term, channel.shape) for term in (np.float32(1), x, y, x * x, y * y, x * y)]
    shading = np.zeros_like(channel)
    fitted = skin
    for _ in range(2):
        if np.count_nonzero(fitted) < 100:
            return channel
        design = np.stack([term[fitted] for term in terms], axis=1).astype(np.float64)
        # the normal equations are well conditioned for terms of order 2 on [-0.5, 0.5] and much cheaper than lstsq
        coefficients = np.linalg.lstsq(design.T @ design, design.T @ channel[fitted], rcond=None)[0]
        shading = np.sum([np.float32(c) * term for c, term in zip(coefficients, terms, strict=True)], axis=0)
        departure = channel - shading
        fitted = skin & (departure > -2 * departure[fitted].std())
    correction = shading - np.median(shading[fitted])
    return channel - np.clip(correction, -limit, limit).astype(np.float32)
