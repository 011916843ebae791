"""Even light."""

import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.preprocessing._illumination import IlluminationCorrector, correct_illumination

H, W = 192, 256
Y, X = np.mgrid[:H, :W]
DOWN, ACROSS = (Y - 95.5) / 96, (X - 127.5) / 128
SKIN, LESION = (200, 160, 140), (120, 80, 70)
LIGHTS = {
    "ramp": 1 - 0.2 * ACROSS,
    "vignette": np.exp(-0.15 * (DOWN**2 + ACROSS**2)),
    "from a corner": np.exp(-0.1 * ((DOWN - 1) ** 2 + (ACROSS + 1) ** 2)),
}


def draw(light, lesion=None):
    colors = np.full((H, W, 3), SKIN) if lesion is None else np.where(lesion[..., None], LESION, SKIN)
    return np.clip(colors * light[..., None], 0, 255).astype(np.uint8)


def disc(radius, center=(0.0, 0.0)):
    return np.hypot(Y - 95.5 - center[0], X - 127.5 - center[1]) < radius


def relative(image, lesion):
    """Lightness of the lesion relative to the skin: 0.5 in green by design."""
    return image[lesion][:, 1].mean() / image[~lesion][:, 1].mean()


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
@pytest.mark.parametrize("degree", [2, 3, 4])
def test_shaded_skin_becomes_flat(light, degree):
    image = draw(light)
    flat = correct_illumination(image, degree=degree)
    assert np.ptp(image[..., 1]) > 35
    assert np.percentile(flat[..., 1], [1, 99]) == pytest.approx(np.median(image[..., 1]), abs=4)
    # colors keep their ratios
    np.testing.assert_allclose(flat[..., 0] / 200.0, flat[..., 1] / 160.0, atol=0.02)


def test_a_ramp_needs_degree_one_only():
    flat = correct_illumination(draw(np.exp(0.2 * ACROSS)), degree=1)
    assert np.ptp(flat[..., 1]) <= 3


def test_flat_skin_stays_as_it_is():
    image = draw(np.ones((H, W)), disc(50))
    np.testing.assert_allclose(correct_illumination(image), image.astype(float), atol=1)


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
@pytest.mark.parametrize("lesion", [disc(20), disc(50), disc(75), disc(40, (20, -60))], ids=range(4))
def test_a_lesion_keeps_its_contrast(light, lesion):
    image = draw(light, lesion)
    flat = correct_illumination(image)
    assert relative(flat, lesion) == pytest.approx(0.5, rel=0.05)
    assert flat[~lesion][:, 1].std() < 0.4 * image[~lesion][:, 1].std()


@pytest.mark.parametrize("radius", [105, 120, 150])
def test_a_lesion_that_fills_the_image_is_not_flattened(radius):
    lesion = disc(radius)
    rng = np.random.default_rng(0)
    image = draw(1 - 0.1 * ACROSS, lesion) // 2 + rng.integers(0, 30, (H, W, 1), dtype=np.uint8)
    flat = correct_illumination(image)
    assert abs(relative(flat, lesion) / relative(image, lesion) - 1) < 0.02


def test_skin_on_one_side_tells_nothing_of_the_other():
    lesion = X > 90
    image = draw(np.exp(0.1 * ACROSS + 0.2 * ACROSS**2), lesion)
    flat = correct_illumination(image)
    before, after = image[lesion][:, 1].astype(float), flat[lesion][:, 1].astype(float)
    assert np.abs(after - before).max() < 0.15 * before.mean()


def test_more_skin_may_be_asked_for():
    image = draw(LIGHTS["ramp"], disc(75))
    assert (correct_illumination(image) != image).any()
    np.testing.assert_array_equal(correct_illumination(image, min_skin=0.8), image)


def test_hair_and_reflections_do_not_bend_the_light():
    image = draw(LIGHTS["ramp"])
    clean = correct_illumination(image)
    image[:, 60:63] = 20
    image[20:40, 180:230] = 255
    spoiled = correct_illumination(image)
    rest = np.ones((H, W), bool)
    rest[:, 60:63] = rest[20:40, 180:230] = False
    assert np.abs(spoiled[rest].astype(int) - clean[rest]).max() <= 3


def test_corrections_are_bounded():
    image = draw(np.exp(-0.5 * (DOWN**2 + ACROSS**2)))
    flat = correct_illumination(image, limit=1.2)
    gains = flat[..., 1] / image[..., 1].astype(float)
    assert gains.max() == pytest.approx(1.2, abs=0.02)
    assert gains.min() >= 1 / 1.2 - 0.02
    np.testing.assert_array_equal(correct_illumination(image, limit=1), image)


def test_only_the_field_counts():
    field = ACROSS < 0.4
    image = draw(LIGHTS["ramp"])
    expected = correct_illumination(image, field=field)
    image[~field] = (20, 60, 220)
    (record,) = IlluminationCorrector().transform([LesionImage(image, field=field)])
    assert np.abs(record.image[field].astype(int) - expected[field]).max() <= 2
    assert np.ptp(record.image[field][:, 1]) <= 6


def test_strips_join():
    small = draw(LIGHTS["vignette"])
    large = np.kron(small, np.ones((6, 6, 1), np.uint8))
    difference = correct_illumination(large)[3::6, 3::6].astype(int) - correct_illumination(small)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 5000), (5000, 2), (64, 64)])
@pytest.mark.parametrize("value", [0, 120, 255])
def test_odd_images(shape, value):
    image = np.full((*shape, 3), value, np.uint8)
    image.flags.writeable = False
    for field in (None, np.zeros(shape, bool)):
        for degree in (1, 4):
            result = correct_illumination(image, degree=degree, field=field, min_skin=0)
            np.testing.assert_array_equal(result, image)


def test_the_result_is_a_new_array():
    image = np.zeros((1, 1, 3), np.uint8)
    assert not np.shares_memory(correct_illumination(image), image)


@pytest.mark.parametrize("settings", [{"degree": 0}, {"degree": 5}, {"limit": 0.5}, {"limit": 5}, {"min_skin": 2}])
def test_bad_parameters(settings):
    (name,) = settings
    image = np.zeros((3, 3, 3), np.uint8)
    with pytest.raises(ValueError, match=f"'{name}' parameter of IlluminationCorrector"):
        IlluminationCorrector(**settings).fit([image])
    with pytest.raises(ValueError, match=f"{name} must be"):
        correct_illumination(image, **settings)
