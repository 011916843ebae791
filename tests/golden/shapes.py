"""Shapes whose features can be derived by hand, drawn on a 401 x 401 canvas around its center (200, 200)."""

import numpy as np

from skinseg import LesionImage

SIZE, CENTER = 401, 200
SKIN = (200, 170, 150)
BROWN = (163, 82, 16)  # the reference light brown of the six clinical colors
BLACK = (41, 31, 30)  # the reference black
PIXEL_SIZE = 0.05  # mm
RADIUS = 100

_y, _x = np.mgrid[:SIZE, :SIZE] - CENTER


def _paint(mask, color=BROWN):
    image = np.full((SIZE, SIZE, 3), SKIN, np.uint8)
    image[mask] = color
    return image


def _record(mask, image=None):
    return LesionImage(_paint(mask) if image is None else image, mask, pixel_size=PIXEL_SIZE)


def disc():
    """Radius 100."""
    return _record(_x**2 + _y**2 <= RADIUS**2)


def half_dark_disc():
    """Radius 100, light brown with a black half (an odd column in the middle is split evenly by rows)."""
    mask = _x**2 + _y**2 <= RADIUS**2
    dark = mask & ((_x < 0) | ((_x == 0) & (_y % 2 == 0)))
    image = _paint(mask)
    image[dark] = BLACK
    return _record(mask, image)


def ellipse():
    """Half axes 120 across and 60 down."""
    return _record((_x / 120) ** 2 + (_y / 60) ** 2 <= 1)


def square():
    """Side 151."""
    return _record((abs(_x) <= 75) & (abs(_y) <= 75))


def triangle():
    """Isosceles: base 200 below, height 240, twice as steep as wide."""
    return _record((_y >= -120) & (_y <= 120) & (abs(_x) <= (_y + 120) * 100 / 240))


def l_shape():
    """A square of side 160 without its upper right quarter of side 80."""
    inside = (_x >= -80) & (_x < 80) & (_y >= -80) & (_y < 80)
    return _record(inside & ~((_x >= 0) & (_y < 0)))


SHAPES = {function.__name__: function for function in (disc, half_dark_disc, ellipse, square, triangle, l_shape)}
