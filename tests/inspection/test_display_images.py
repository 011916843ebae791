"""Displays look as they did, but for their text, the font of which may differ.

The pictures in ``baseline`` are made anew, and are to be looked at before they are committed, by

    SKINSEG_WRITE_BASELINES=1 pytest tests/inspection/test_display_images.py
"""

import os
from pathlib import Path

import numpy as np
import pytest

from skinseg import ABCDFeaturizer, LesionImage
from skinseg.datasets import make_lesions
from skinseg.inspection import ABCDDisplay, LesionDisplay, SegmentationErrorDisplay, panel_axes

BASELINE = Path(__file__).parent / "baseline"
TOLERANCE = 8.0  # root mean square of the difference, of 255
DPI = 40


@pytest.fixture(scope="module")
def record():
    made = make_lesions(3, random_state=1, min_side=200, max_side=240, difficulty="easy")
    return LesionImage(made.images[2], made.masks[2], pixel_size=0.03, confidence=0.9)


def abcd(figure, record):
    ABCDDisplay.from_predictions(record, axes=panel_axes(figure))


def small(figure, record):
    """A lesion of a few pixels, of which structures are not measured."""
    mask = np.zeros(record.shape, bool)
    mask[20:26, 150:160] = True
    ABCDDisplay.from_predictions(record, mask, axes=panel_axes(figure))


def lesion(figure, record):
    left, right = figure.subplots(1, 2)
    LesionDisplay.from_predictions(record, reference_mask=np.roll(record.mask, 12, 1), ax=left, dim=True)
    LesionDisplay.from_predictions(record, record.mask & False, ax=right)


def errors(figure, record):
    left, right = figure.subplots(1, 2)
    SegmentationErrorDisplay.from_predictions(record, np.roll(record.mask, (12, 20), (0, 1)), ax=left)
    SegmentationErrorDisplay.from_predictions(record, record.mask & False, record.mask, ax=right)


def save(draw, record, path, size=(6, 3)):
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure = Figure(figsize=(10, 6) if draw in (abcd, small) else size, dpi=DPI)
    draw(figure, record)
    for text in figure.findobj(Text):
        text.set_visible(False)
    figure.savefig(path, dpi=DPI)


def difference(first, second):
    """Root mean square of the difference; infinite for pictures of different sizes."""
    from matplotlib.image import imread

    first, second = (255 * imread(path)[..., :3].astype(float) for path in (first, second))
    return np.sqrt(np.mean((first - second) ** 2)) if first.shape == second.shape else np.inf


@pytest.mark.parametrize("draw", [abcd, small, lesion, errors], ids=lambda draw: draw.__name__)
def test_picture(draw, record, tmp_path):
    expected = BASELINE / f"{draw.__name__}.png"
    if os.environ.get("SKINSEG_WRITE_BASELINES"):
        BASELINE.mkdir(exist_ok=True)
        save(draw, record, expected)
    actual = tmp_path / "actual.png"
    save(draw, record, actual)
    assert difference(actual, expected) < TOLERANCE


def test_another_picture_would_be_noticed(record, tmp_path):
    """What a mistake in the drawing would look like: points with x and y exchanged, and a picture without outlines."""
    explanation = ABCDFeaturizer().explain(record)
    mirrored = type(explanation)(**explanation)
    for key in ("best_axes", "feret_max", "feret_min", "axis_major", "axis_minor", "outline"):
        mirrored[key] = explanation[key][..., ::-1]
    mirrored["octants"] = [{**octant, "outline": octant["outline"][:, ::-1]} for octant in explanation.octants]

    def abcd_mirrored(figure, record):
        ABCDDisplay.from_predictions(record, None, mirrored, axes=panel_axes(figure))

    save(abcd_mirrored, record, tmp_path / "a.png", size=(10, 6))
    assert difference(tmp_path / "a.png", BASELINE / "abcd.png") > TOLERANCE
    assert difference(BASELINE / "small.png", BASELINE / "abcd.png") > 2 * TOLERANCE
