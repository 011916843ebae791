"""Reading of the millimeter scale: scales drawn here, and what looks like one but is none."""

import cv2
import numpy as np
import pytest

from skinseg.datasets import make_lesions
from skinseg.features.ruler import PixelSize, estimate_pixel_size

SHAPE = (480, 640)


def skin(shape=SHAPE, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(np.array([205, 165, 145]) + rng.normal(0, noise, (*shape, 1)), 0, 255).astype(np.uint8)


def draw_scale(image, *, spacing, n_ticks, angle=0.0, center=(400, 320), lengths=None, ink=40, width=2):
    """Draw a base line with ticks on one side; ``lengths`` tells how long each tick is."""
    along = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    across = np.array([along[1], -along[0]])
    start = np.array(center[::-1]) - along * spacing * (n_ticks - 1) / 2
    lengths = [20 if tick % 5 == 0 else 11 for tick in range(n_ticks)] if lengths is None else lengths
    lines = [(start, start + along * spacing * (n_ticks - 1))]
    lines += [(foot := start + along * spacing * tick, foot + across * length) for tick, length in enumerate(lengths)]
    for ends in lines:
        one, two = (np.rint(end * 16).astype(int).tolist() for end in ends)
        cv2.line(image, one, two, (ink, ink, ink), width, cv2.LINE_AA, shift=4)
    return start[::-1], (start + along * spacing * (n_ticks - 1))[::-1]


@pytest.mark.parametrize("angle", [0, 90, 17])
@pytest.mark.parametrize("spacing", [14.3, 20.0, 26.7])
def test_a_scale_is_read_at_any_angle_and_spacing(spacing, angle):
    image = skin()
    start, end = draw_scale(image, spacing=spacing, n_ticks=16, angle=angle, center=(240, 320))
    found = estimate_pixel_size(image)
    assert found.mm_per_pixel == pytest.approx(1 / spacing, rel=0.005)
    assert found.confidence >= 0.5
    assert found.n_ticks == 16
    ends = np.array([found.start, found.end])
    assert min(abs(ends - (start, end)).max(), abs(ends[::-1] - (start, end)).max()) < 2


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.2])
def test_light_changes_nothing(gain):
    image = skin()
    draw_scale(image, spacing=22.0, n_ticks=16)
    lit = np.clip(image * gain, 0, 255).astype(np.uint8)
    assert estimate_pixel_size(lit).mm_per_pixel == pytest.approx(1 / 22, rel=0.005)


def test_tenths_halves_and_millimeters_are_told_by_the_lengths():
    """A scale of 10 mm as contact plates have it: tenths short, halves longer, millimeters longest."""
    image = skin()
    lengths = [24 if tick % 10 == 0 else 16 if tick % 5 == 0 else 8 for tick in range(101)]
    draw_scale(image, spacing=5.0, n_ticks=101, lengths=lengths, width=1)
    assert estimate_pixel_size(image).mm_per_pixel == pytest.approx(0.1 / 5, rel=0.005)


def test_each_second_tick_longer_makes_halves():
    image = skin()
    draw_scale(image, spacing=16.0, n_ticks=31, lengths=[24 if tick % 2 == 0 else 12 for tick in range(31)])
    assert estimate_pixel_size(image).mm_per_pixel == pytest.approx(0.5 / 16, rel=0.005)


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.5])
def test_the_size_follows_that_of_the_image(factor):
    """Above and below the working size."""
    image = skin()
    draw_scale(image, spacing=25.0, n_ticks=16)
    size = round(factor * SHAPE[1]), round(factor * SHAPE[0])
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    found = estimate_pixel_size(resized)
    assert found.mm_per_pixel == pytest.approx(1 / (25 * factor), rel=0.005)
    assert max(found.end[1], found.start[1]) == pytest.approx((320 + 25 * 7.5) * factor, abs=3 * factor)


def test_hair_over_the_scale():
    image = skin()
    draw_scale(image, spacing=22.0, n_ticks=21)
    for x in (150, 215, 330, 470):
        cv2.line(image, (x, 300), (x + 35, 470), (50, 40, 35), 3, cv2.LINE_AA)
    assert estimate_pixel_size(image).mm_per_pixel == pytest.approx(1 / 22, rel=0.01)


def test_equal_ticks_are_believed_only_when_asked():
    image = skin()
    draw_scale(image, spacing=22.0, n_ticks=21, lengths=[15] * 21)
    assert estimate_pixel_size(image) is None
    assert estimate_pixel_size(image, min_confidence=0.3).mm_per_pixel == pytest.approx(1 / 22, rel=0.005)


def test_nothing_is_looked_for_in_the_lesion_and_outside_of_the_field():
    image = skin()
    draw_scale(image, spacing=22.0, n_ticks=16)
    here = np.zeros(SHAPE, bool)
    here[360:420] = True
    assert estimate_pixel_size(image, mask=~here) is not None
    assert estimate_pixel_size(image, mask=here) is None
    assert estimate_pixel_size(image, field=here) is not None
    assert estimate_pixel_size(image, field=~here) is None


def _stripes(image, rng):
    image[:, ::12] = 60


def _line_with_stripes(image, rng):
    """Dark stripes across the whole image and a line through them: nothing ends at the line."""
    image[:, ::24] = 60
    image[240:242] = 60


def _bare_line(image, rng):
    cv2.line(image, (100, 400), (540, 400), (40, 40, 40), 2, cv2.LINE_AA)


def _irregular_ticks(image, rng):
    _bare_line(image, rng)
    for x in 100 + np.cumsum(rng.uniform(8, 40, 18)).astype(int):
        cv2.line(image, (int(x), 400), (int(x), 385), (40, 40, 40), 2, cv2.LINE_AA)


def _hairs(image, rng):
    for _ in range(40):
        x, y, turn, length = rng.uniform(0, 640), rng.uniform(0, 480), rng.uniform(0, np.pi), rng.uniform(100, 400)
        bend = turn + rng.uniform(-0.6, 0.6)
        points = [(x, y), (x + length / 2 * np.cos(turn), y + length / 2 * np.sin(turn))]
        points.append((points[1][0] + length / 2 * np.cos(bend), points[1][1] + length / 2 * np.sin(bend)))
        cv2.polylines(
            image, [np.rint(points).astype(np.int32)], False, (50, 40, 35), int(rng.integers(1, 5)), cv2.LINE_AA
        )


def _network(image, rng):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    net = sum(np.cos(0.4 * (x * np.cos(t) + y * np.sin(t))) for t in (0, np.pi / 3, 2 * np.pi / 3)) < -0.8
    image[net & (np.hypot(y - 240, x - 320) < 180)] = (120, 80, 60)


def _noise(image, rng):
    image[:] = rng.integers(0, 256, image.shape)


def _text(image, rng):
    cv2.putText(image, "IIIIIIIIIIII MM 0123456789", (60, 400), cv2.FONT_HERSHEY_SIMPLEX, 1, (30, 30, 30), 2)


@pytest.mark.parametrize(
    "draw", [_stripes, _line_with_stripes, _bare_line, _irregular_ticks, _hairs, _network, _noise, _text]
)
def test_what_is_no_scale_is_not_read(draw):
    for seed in range(3):
        image = skin(seed=seed)
        draw(image, np.random.default_rng(seed))
        assert estimate_pixel_size(image) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 3), (40, 60)])
def test_images_of_one_color_and_odd_sizes(shape):
    for level in (0, 128, 255):
        assert estimate_pixel_size(np.full((*shape, 3), level, np.uint8)) is None


def test_synthetic_lesions_with_and_without_a_scale():
    """Of the scales of 6 ticks at least, most are read, none wrongly; without a scale nothing is found."""
    lesions = make_lesions(24, random_state=5, min_side=320, max_side=480)
    rulers = readable = read = 0
    for index, image in enumerate(lesions.images):
        found = estimate_pixel_size(image)
        size = lesions.frame["pixel_size"][index]
        if not lesions.frame["ruler"][index]:
            assert found is None
            continue
        rulers += 1
        readable += int(0.6 * image.shape[1] * size) >= 5
        read += found is not None
        assert found is None or found.mm_per_pixel == pytest.approx(size, rel=0.03)
    assert rulers > 3
    assert read >= 0.8 * readable


def test_what_is_given_is_checked():
    image = skin()
    with pytest.raises(ValueError, match=r"image must be an \(H, W, 3\) uint8 RGB array"):
        estimate_pixel_size(image[..., 0])
    with pytest.raises(ValueError, match=r"image must be an \(H, W, 3\) uint8 RGB array"):
        estimate_pixel_size(image / 255)
    for name in ("mask", "field"):
        with pytest.raises(ValueError, match=f"{name} must have the size"):
            estimate_pixel_size(image, **{name: np.ones((5, 5), bool)})


def test_the_answer_is_a_named_tuple():
    image = skin()
    draw_scale(image, spacing=22.0, n_ticks=16)
    found = estimate_pixel_size(image)
    assert isinstance(found, PixelSize)
    assert 0 < found.confidence <= 1
    assert found == estimate_pixel_size(image)
