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


def _faded_disc(softness):
    """A disc of hardly any color that fades into the skin linearly over so many pixels, half of them inside."""
    distance = np.hypot(_x, _y) - RADIUS
    share = np.where(softness > 0, np.clip(0.5 - distance / np.maximum(softness, 1e-9), 0, 1), distance <= 0)
    gray = np.rint(180 - 60 * share).astype(np.uint8)
    return _record(distance <= 0, gray[..., None] + np.array([6, 0, 0], np.uint8))  # a gray image has no colors


def ramp_disc():
    """Radius 100, fading over 32 pixels, 16 % of the diameter."""
    return _faded_disc(np.full(_x.shape, 32.0))


def half_ramp_disc():
    """The same, but with a sharp edge left of the middle."""
    return _faded_disc(np.where(_x < 0, 0.0, 32.0))


def gear():
    """Radius 100 (1 + 0.15 cos 8 t) in the direction t: eight lobes."""
    return _record(np.hypot(_x, _y) <= RADIUS * (1 + 0.15 * np.cos(8 * np.arctan2(_y, _x))))


def spotted_disc():
    """A disc of radius 100 with nine black dots of radius 4, 40 apart."""
    mask = _x**2 + _y**2 <= RADIUS**2
    image = _paint(mask)
    for y, x in ((y, x) for y in (-40, 0, 40) for x in (-40, 0, 40)):
        image[(_y - y) ** 2 + (_x - x) ** 2 <= 4**2] = BLACK
    return _record(mask, image)


def globular_disc():
    """A disc of radius 100 with four black globules of radius 9."""
    mask = _x**2 + _y**2 <= RADIUS**2
    image = _paint(mask)
    for y, x in ((-40, 0), (40, 0), (0, -40), (0, 40)):
        image[(_y - y) ** 2 + (_x - x) ** 2 <= 9**2] = BLACK
    return _record(mask, image)


def radiant_disc():
    """A disc of radius 100 with twelve black rays of width 4 in its outer 40 %."""
    mask = _x**2 + _y**2 <= RADIUS**2
    image = _paint(mask)
    distance, turn = np.hypot(_y, _x), np.arctan2(_y, _x) / (2 * np.pi) * 12
    away = abs(turn % 1 - 0.5) * 2 * np.pi / 12 * distance
    image[(distance > 60) & (distance <= RADIUS) & (away < 2)] = BLACK
    return _record(mask, image)


def net_disc():
    """A disc of radius 100 of square light holes of side 9 in a dark net of lines of width 3."""
    mask = _x**2 + _y**2 <= RADIUS**2
    image = _paint(mask, (200, 130, 70))
    image[mask & ((_x % 12 < 3) | (_y % 12 < 3))] = (100, 50, 20)
    return _record(mask, image)


SHAPES = {
    function.__name__: function
    for function in (
        disc,
        half_dark_disc,
        ellipse,
        square,
        triangle,
        l_shape,
        spotted_disc,
        globular_disc,
        radiant_disc,
        net_disc,
    )
}
SHAPES |= {function.__name__: function for function in (ramp_disc, half_ramp_disc, gear)}


def turned_square():
    """Side 150, turned by 30 degrees."""
    u, v = _x * np.cos(np.pi / 6) + _y * 0.5, -_x * 0.5 + _y * np.cos(np.pi / 6)
    return _record((abs(u) <= 75) & (abs(v) <= 75))


def half_disc():
    """Radius 100 around a point on the left edge of the image, which cuts it in half."""
    return _record((_x + CENTER + 0.5) ** 2 + _y**2 <= RADIUS**2)


SHAPES |= {function.__name__: function for function in (turned_square, half_disc)}

# shapes below are small: lesion and rim stay below every working size, so that no pixel is resized

SIX_COLORS = {
    "white": (197, 203, 205),
    "red": (181, 93, 87),
    "light_brown": (175, 120, 89),
    "dark_brown": (124, 71, 49),
    "blue_gray": (95, 102, 113),
    "black": (36, 31, 29),
}
"""Colors that are shades of the six clinical ones once `SKIN` is adapted to the standard skin."""
DARK_BROWN = (110, 55, 11)

_small_ellipse = (_x / 40) ** 2 + (_y / 24) ** 2 <= 1


def six_stripes():
    """A square of side 90 of six upright stripes of width 15, a clinical color each, white on the left."""
    mask = (abs(_x + 0.5) < 45) & (abs(_y + 0.5) < 45)
    image = _paint(mask)
    for number, color in enumerate(SIX_COLORS.values()):
        image[mask & ((_x + 45) // 15 == number)] = color
    return _record(mask, image)


def target_square():
    """A light brown square of side 60 with a black one of side 30 in its middle."""
    mask = (abs(_x + 0.5) < 30) & (abs(_y + 0.5) < 30)
    image = _paint(mask)
    image[(abs(_x + 0.5) < 15) & (abs(_y + 0.5) < 15)] = BLACK
    return _record(mask, image)


def half_dark_plane():
    """Half axes 40 across and 24 down; lesion and skin are black left of the middle, light brown right of it."""
    image = _paint(np.ones_like(_small_ellipse))
    image[(_x < 0) | ((_x == 0) & (_y % 2 == 0))] = BLACK
    return _record(_small_ellipse, image)


def spot_on_a_plane():
    """The same ellipse, all light brown as the skin around it, with a black spot of radius 7 16 to the right."""
    image = _paint(np.ones_like(_small_ellipse))
    image[(_x - 16) ** 2 + _y**2 <= 7**2] = BLACK
    return _record(_small_ellipse, image)


def half_striped_plane():
    """The same ellipse and color; right of the middle every other two columns are darker."""
    image = _paint(np.ones_like(_small_ellipse))
    image[(_x > 0) & (_x % 4 < 2)] = DARK_BROWN
    return _record(_small_ellipse, image)


SHAPES |= {
    function.__name__: function
    for function in (six_stripes, target_square, half_dark_plane, spot_on_a_plane, half_striped_plane)
}

HALO = (180, 130, 100)


def haloed_square():
    """A light brown square of side 60 with a darker seam of skin of 6 pixels around it."""
    image = _paint((abs(_x + 0.5) < 36) & (abs(_y + 0.5) < 36), HALO)
    mask = (abs(_x + 0.5) < 30) & (abs(_y + 0.5) < 30)
    image[mask] = BROWN
    return _record(mask, image)


SHAPES |= {haloed_square.__name__: haloed_square}
