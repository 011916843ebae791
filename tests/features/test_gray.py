"""A gray image has light and shapes, and no colors."""

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest

from skinseg import ABCDFeaturizer, LesionImage, read_image
from skinseg.datasets import make_lesions
from skinseg.features import measure_color
from skinseg.features._catalog import FEATURES, SOMETIMES
from skinseg.features.color import OF_LIGHT
from skinseg.inspection import ABCDDisplay
from skinseg.rule import COLUMNS


@pytest.fixture(scope="module")
def drawn():
    lesions = make_lesions(1, random_state=4, min_side=128, max_side=128)
    return lesions.images[0], lesions.masks[0]


def gray_of(image):
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def test_only_what_is_of_light_is_measured(drawn):
    image, mask = drawn
    values = measure_color(gray_of(image), mask)
    measured = {name for name, value in values.items() if np.isfinite(value)}
    assert measured == {name for name in values if OF_LIGHT.match(name)}
    assert len(measured) == 11
    assert set(values) - measured <= SOMETIMES
    colored = measure_color(image, mask)
    assert np.isfinite(list(colored.values())).all()


def test_light_is_that_of_the_gray(drawn):
    """The mean of the two halves is 50 L* apart: each 25 from the mean."""
    mask = np.zeros((80, 80), bool)
    mask[20:60, 20:60] = True
    image = np.full((80, 80, 3), 200, np.uint8)
    image[20:60, 20:40], image[20:60, 40:60] = 0, 119  # L* of 0 and of 50.03
    values = measure_color(image, mask)
    assert values["color_l_std"] == pytest.approx(50.03 / 2, abs=0.1)
    assert values["color_value_std"] == pytest.approx(119 / 255 / 2, abs=1e-3)
    assert np.isnan(values["color_count"])
    assert np.isnan(values["color_blue_gray_share"])


def test_the_reason_is_told_and_no_color_is_drawn(drawn):
    image, mask = drawn
    explanation = ABCDFeaturizer().explain(LesionImage(gray_of(image), mask))
    assert explanation.reasons["color_count"] == "the image is gray"
    assert "color_count" in explanation.reasons["tds"]
    assert explanation.color_map.max() == -1
    for part in ("asymmetry", "border"):
        assert np.isfinite(explanation.measured[COLUMNS[part]])


def test_the_display_says_why(drawn):
    image, mask = drawn
    record = LesionImage(gray_of(image), mask)
    display = ABCDDisplay.from_estimator(ABCDFeaturizer(), record, panels=["color", "tds"])
    color, tds = display.axes_
    assert "the image is gray" in " ".join(" ".join(text.get_text() for text in color.texts).split())
    assert color.get_legend() is None
    assert "C: the image is gray" in " ".join(" ".join(text.get_text() for text in tds.texts).split())
    plt.close(display.figure_)


def test_a_gray_jpeg_is_gray_and_a_pale_image_is_not(drawn, tmp_path):
    image, mask = drawn
    cv2.imwrite(str(tmp_path / "a.jpg"), gray_of(image), [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert np.isnan(measure_color(read_image(tmp_path / "a.jpg"), mask)["color_count"])
    pale = np.rint(0.9 * gray_of(image) + 0.1 * image).astype(np.uint8)
    assert np.isfinite(measure_color(pale, mask)["color_count"])


def test_what_may_be_missing():
    assert {name for name in FEATURES if name.startswith("color_")} - SOMETIMES == {
        "color_l_core_contrast", "color_l_depth_correlation", "color_l_rim_std", "color_l_std", "color_value_std",
        "color_relative_l_std", "color_relative_l_skewness",
    }  # fmt: skip
