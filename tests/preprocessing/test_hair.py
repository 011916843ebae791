"""Finding hair and painting it over."""

import cv2
import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.preprocessing import HairRemover, find_hair, remove_hair
from skinseg.synthesis import draw_hair, draw_skin, to_image

METHODS = ("tophat", "dullrazor")
SKIN = (200, 160, 140)


def flat(shape=(300, 400), color=SKIN):
    return np.full((*shape, 3), color, np.uint8)


def with_hair(image, color=(40, 30, 25), thickness=3):
    """An arc and two straight hairs across an image; the image and the mask."""
    height, width = image.shape[:2]
    cover = np.zeros((height, width), np.uint8)
    cv2.ellipse(cover, (width // 2, height), (width // 2, 3 * height // 4), 0, 190, 350, 255, thickness)
    cv2.line(cover, (width // 10, 0), (width // 3, height - 1), 255, thickness)
    cv2.line(cover, (0, 4 * height // 5), (width - 1, height // 2), 255, thickness)
    hairy = image.copy()
    hairy[cover > 0] = color
    return hairy, cover > 0


def painted(hair, margin=0.004):
    """What is painted over around hairs, at the working size."""
    radius = margin * max(hair.shape)
    y, x = np.ogrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    return cv2.dilate(hair.view(np.uint8), (y**2 + x**2 <= radius**2).astype(np.uint8)) > 0


def f1(mask, found):
    return 2 * np.sum(mask & found) / (mask.sum() + found.sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [(40, 30, 25), (95, 65, 50), (250, 235, 200)], ids=["black", "brown", "blond"])
@pytest.mark.parametrize("thickness", [1, 3, 5])
@pytest.mark.parametrize("shape", [(300, 400), (400, 512)])  # lines are sought in all pixels, and in every second
def test_hair_on_even_skin(method, color, thickness, shape):
    image = flat(shape)
    hairy, mask = with_hair(image, color, thickness)
    assert f1(mask, find_hair(hairy, method=method)) > (0.9 if thickness > 1 else 0.8)
    cleaned, hair = remove_hair(hairy, method=method)
    np.testing.assert_array_equal(hair, find_hair(hairy, method=method))
    assert painted(hair)[mask].mean() > 0.95
    assert (cv2.absdiff(cleaned, image) <= 1).mean() > 0.99


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("light", "bar"), [(False, 0.85), (True, 0.7)])
def test_hair_on_drawn_skin(method, light, bar):
    rng = np.random.default_rng(4)
    skin = draw_skin((384, 512), 0.3, rng, shading=0.5)
    drawn, mask = draw_hair(skin, 10, rng, light=light)
    image, bare = (to_image(lab, np.random.default_rng(0), quality=95) for lab in (drawn, skin))
    assert f1(mask, find_hair(image, method=method)) > bar
    assert find_hair(bare, method=method).mean() < 0.005
    cleaned, hair = remove_hair(image, method=method)
    np.testing.assert_array_equal(cleaned[~painted(hair)], image[~painted(hair)])

    def error(other):
        return np.mean((other.astype(float) - bare) ** 2)

    assert error(cleaned) < 0.2 * error(image)


@pytest.mark.parametrize("method", METHODS)
def test_light_hair_only_if_asked(method):
    hairy, mask = with_hair(flat(), (250, 235, 200))
    assert not find_hair(hairy, method=method, light=False).any()
    assert find_hair(hairy, method=method)[mask].mean() > 0.9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [(40, 30, 25), (255, 250, 240)], ids=["dark", "light"])
def test_skin_between_hairs_is_no_hair(method, color):
    image = flat((400, 512))
    mask = np.zeros((400, 512), bool)
    for top in range(160, 220, 10):
        mask[top : top + 3, 40:470] = True
    image[mask] = color
    assert f1(mask, find_hair(image, method=method)) > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_lesion_and_its_structures_stay(method):
    image = flat((400, 512))
    cv2.circle(image, (256, 200), 110, (110, 70, 50), -1, cv2.LINE_AA)
    for row in range(130, 280, 22):
        for column in range(190, 330, 22):
            cv2.circle(image, (column, row), 4, (60, 35, 25), -1, cv2.LINE_AA)  # globules
            cv2.circle(image, (column + 11, row), 1, (255, 255, 255), -1)  # reflections
    cv2.circle(image, (60, 60), 8, (250, 245, 240), 2, cv2.LINE_AA)  # a bubble
    assert find_hair(image, method=method).mean() < 0.001
    assert find_hair(with_hair(image)[0], method=method).any()


@pytest.mark.parametrize("method", METHODS)
def test_row_along_the_edge_is_no_hair(method):
    image = flat()
    image[:2], image[:, -1] = 20, 250
    assert not find_hair(image, method=method).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (9, 1), (2, 300), (2, 5000), (5000, 2), (15, 40), (16, 16), (33, 70), (321, 323)]
)
def test_odd_images(method, shape):
    rng = np.random.default_rng(0)
    for value in (0, 120, 255):
        image = flat(shape, value)
        cleaned, hair = remove_hair(image, method=method)
        assert cleaned is image
        assert hair.shape == shape
        assert not hair.any()
    noise = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    cleaned, hair = remove_hair(noise, method=method)
    if max(shape) <= 512:
        np.testing.assert_array_equal(cleaned[~painted(hair)], noise[~painted(hair)])


@pytest.mark.parametrize("method", METHODS)
def test_larger_images_are_searched_at_the_working_size(method):
    image = flat((900, 1200))
    hairy, mask = with_hair(image, thickness=8)
    found = find_hair(hairy, method=method)
    assert found.shape == mask.shape
    assert f1(mask, found) > 0.8
    cleaned, hair = remove_hair(hairy, method=method)
    assert (cleaned[hair] == SKIN).mean() > 0.99
    far = ~painted(hair, 0.008)
    np.testing.assert_array_equal(cleaned[far], hairy[far])
    assert f1(mask, find_hair(hairy, method=method, working_size=1200)) > 0.9
    # a hair of a pixel is a third of one at the working size, too faint to be told from noise
    thin = with_hair(image, (150, 120, 105), thickness=1)[0]
    assert not find_hair(thin, method=method, working_size=256).any()
    assert find_hair(thin, method=method, working_size=1200).any()


@pytest.mark.parametrize("method", METHODS)
def test_lengths_are_fractions(method):
    shares = []
    for side in (200, 500):
        hairy, _ = with_hair(flat((side, side)), thickness=side // 100)
        shares.append(find_hair(hairy, method=method).mean())
    assert shares[0] == pytest.approx(shares[1], rel=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_parameters_do_what_they_say(method):
    image = flat((400, 500))
    image[100:103, 100:160] = 60  # 60 pixels long, 3 wide, of contrast 100 and more
    assert find_hair(image, method=method).sum() > 150
    assert not find_hair(image, method=method, length=0.2).any()
    assert not find_hair(image, method=method, contrast=200).any()
    image[300:318, 50:450] = 60
    assert not find_hair(image, method=method)[290:].any()
    assert find_hair(image, method=method, width=0.05)[290:].sum() > 5000
    changed = []
    image += np.random.default_rng(0).integers(0, 3, image.shape, dtype=np.uint8)
    for margin in (0, 0.004, 0.01):
        cleaned, _ = remove_hair(image, method=method, margin=margin)
        changed.append((cleaned != image).any(axis=-1).sum())
    assert changed[0] <= find_hair(image, method=method).sum()
    assert changed[0] < changed[1] < changed[2]


def test_unknown_method():
    with pytest.raises(ValueError, match=r"method must be one of \['dullrazor', 'tophat'\], got 'razor'"):
        find_hair(flat(), method="razor")


@pytest.mark.parametrize("method", METHODS)
def test_field_is_respected(method):
    image, mask = with_hair(flat())
    field = np.zeros(mask.shape, bool)
    field[60:240, 60:340] = True
    image[~field] = 0
    found = find_hair(image, method=method, field=field)
    assert not found[~field].any()
    assert f1(mask & field, found) > 0.85
    cleaned, hair = remove_hair(image, method=method, field=field)
    assert not hair[~field].any()
    assert (cleaned[~field] == 0).all()
    assert (cleaned[hair] > 100).mean() > 0.98  # the black outside is no color to paint with
    assert remove_hair(image, method=method, field=np.zeros_like(field))[0] is image


def test_records():
    image, mask = with_hair(flat())
    earlier = np.zeros(mask.shape, bool)
    earlier[-20:] = True
    records = [LesionImage(image), LesionImage(image, artifact_mask=earlier, name="b"), LesionImage(flat())]
    first, second, third = HairRemover().fit_transform(records)
    hair = remove_hair(image)[1]
    assert f1(mask, hair) > 0.9
    np.testing.assert_array_equal(first.artifact_mask, hair)
    np.testing.assert_array_equal(second.artifact_mask, hair | earlier)
    assert second.name == "b"
    np.testing.assert_array_equal(first.image, second.image)
    assert third is records[2]


def test_field_of_the_record():
    image, mask = with_hair(flat())
    field = np.zeros(mask.shape, bool)
    field[:, :200] = True
    (record,) = HairRemover().transform([LesionImage(image, field=field)])
    assert record.artifact_mask[:, :200].any()
    assert not record.artifact_mask[:, 200:].any()


def test_a_field_without_hair_keeps_the_record():
    image, _ = with_hair(flat())
    record = LesionImage(image, field=np.zeros(image.shape[:2], bool))
    assert HairRemover().transform([record])[0] is record


@pytest.mark.parametrize("method", METHODS)
def test_input_is_not_written_and_results_repeat(method):
    image, _ = with_hair(flat())
    copy = image.copy()
    image.flags.writeable = False
    first, second = (remove_hair(image, method=method) for _ in range(2))
    np.testing.assert_array_equal(image, copy)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("method", "razor"),
        ("light", "yes"),
        ("width", 0),
        ("width", 0.2),
        ("length", 1.5),
        ("contrast", 0),
        ("contrast", 300),
        ("margin", -0.1),
        ("working_size", 32),
        ("working_size", 512.5),
    ],
)
def test_bad_parameters(name, bad):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of HairRemover"):
        HairRemover(**{name: bad}).fit([flat()])


@pytest.mark.parametrize("size", [512, 800])
def test_more_specks_than_short_labels_can_count(size):
    image = flat((size, size))
    image[::2, ::2] = 20
    assert not find_hair(image, method="dullrazor", working_size=size).any()
    find_hair(image, working_size=size)
