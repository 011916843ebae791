"""Displays draw what was found, where it was found."""

import subprocess
import sys

import numpy as np
import pytest

from skinseg import (
    ABCDFeaturizer,
    BatchedPipeline,
    ImageResizer,
    LesionImage,
    PretrainedSegmenter,
    ThresholdSegmenter,
    load_pretrained,
    make_lesion_pipeline,
)
from skinseg.datasets import make_lesions
from skinseg.exceptions import ImageBatchError
from skinseg.features.color import COLOR_NAMES
from skinseg.inspection import PANELS, ABCDDisplay, LesionDisplay, SegmentationErrorDisplay, panel_axes
from skinseg.inspection._display_panels import fold_difference
from skinseg.rule import COLUMNS, WEIGHTS


@pytest.fixture(scope="module")
def lesion():
    """A lesion with asymmetric axes, and what is to be drawn of it."""
    made = make_lesions(6, random_state=3, min_side=200, max_side=260)
    records = [LesionImage(image, mask) for image, mask in zip(made.images, made.masks, strict=True)]
    explained = [ABCDFeaturizer().explain(record) for record in records]
    # some octants abrupt and some not
    index = next(i for i, e in enumerate(explained) if 0 < e.measured["border_score"] < 8)
    return records[index], explained[index]


@pytest.fixture
def figure():
    from matplotlib.figure import Figure

    return Figure(figsize=(10, 6))


@pytest.fixture
def ax(figure):
    return figure.add_subplot()


@pytest.fixture
def rectangle():
    """An image that is wider than high, with a lesion that is wider than high and not in its middle."""
    image = np.full((60, 100, 3), 200, np.uint8)
    mask = np.zeros((60, 100), bool)
    mask[10:20, 30:70] = True
    image[mask] = 90
    return image, mask


def texts(ax):
    return [text.get_text() for text in ax.texts]


def by_gid(ax, gid):
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def drawn(panel, record, explanation, figure):
    display = ABCDDisplay.from_predictions(record, None, explanation, panels=panel, axes=figure.add_subplot())
    return display.axes_[0]


# ---------------------------------------------------------------------- one image


def test_outline_lies_where_the_mask_is(rectangle, ax):
    display = LesionDisplay.from_predictions(*rectangle, ax=ax)
    x, y = display.outline_.get_data()
    assert (x.min(), x.max(), y.min(), y.max()) == (29.5, 69.5, 9.5, 19.5)
    assert display.picture_.get_extent() == [-0.5, 99.5, 59.5, -0.5]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # rows go down
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_outline_of_a_picture_that_was_shrunk(ax):
    mask = np.zeros((600, 1000), bool)
    mask[103:207, 310:692] = True
    image = np.full((600, 1000, 3), 200, np.uint8)
    display = LesionDisplay.from_predictions(image, mask, ax=ax, max_side=100)
    assert display.picture_.get_array().shape == (60, 100, 3)
    x, y = display.outline_.get_data()
    np.testing.assert_allclose((x.min(), x.max(), y.min(), y.max()), (309.5, 691.5, 102.5, 206.5), atol=5)


def test_file_is_shown_as_its_pixels_are(tmp_path, ax, figure):
    import cv2

    y, x = np.mgrid[:400, :640]
    image = np.dstack([x * 255 // 639, y * 255 // 399, np.full_like(x, 90)]).astype(np.uint8)
    mask = np.zeros((400, 640), bool)
    mask[120:280, 300:500] = True
    cv2.imwrite(str(tmp_path / "a.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    views = [
        LesionDisplay.from_predictions(source, mask, ax=ax, margin=0.2, max_side=40).view
        for source in (tmp_path / "a.jpg", image)
    ]
    for view in views:
        # the margin is a fifth of the longer side, 40, as far as the pixels of the view allow
        np.testing.assert_allclose(view.box, (79.5, 259.5, 319.5, 539.5), atol=8)
        down, across = view.image.shape[0] // 2, view.image.shape[1] // 2
        row, column = view.to_image(np.array([down, across]))
        expected = column * 255 / 639, row * 255 / 399, 90
        np.testing.assert_allclose(view.image[down, across], expected, atol=6)
        np.testing.assert_allclose(view.from_image(np.array([row, column])), (down, across))


def test_title_and_legend(rectangle, ax):
    image, mask = rectangle
    display = LesionDisplay.from_predictions(
        image, mask, reference_mask=np.roll(mask, 5, 0), confidence=0.876, probability=0.125, name="a$x$", ax=ax
    )
    assert ax.get_title() == "a\\$x\\$\nconfidence 0.88, probability 0.12"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["outline", "reference"]
    y = display.reference_.get_ydata()
    assert (y.min(), y.max()) == (14.5, 24.5)
    assert display.reference_.get_color() != display.outline_.get_color()
    assert display.reference_.get_linestyle() != display.outline_.get_linestyle()


def test_dimming_leaves_the_lesion_alone(rectangle, ax):
    image, mask = rectangle
    shown = LesionDisplay.from_predictions(image, mask, ax=ax, dim=True).picture_.get_array()
    assert (shown[mask] == 90).all()
    assert (shown[~mask] > 220).all()


@pytest.mark.parametrize(("pixel_size", "unit"), [(None, "px"), (0.037, "mm")])
def test_scale_bar_has_the_length_that_it_tells(rectangle, ax, pixel_size, unit):
    LesionDisplay.from_predictions(*rectangle, ax=ax, pixel_size=pixel_size)
    (text,) = texts(ax)
    number, told = text.split()
    bar = next(line for line in ax.lines if len(line.get_xdata()) == 2)
    length = np.ptp(bar.get_xdata()) * (pixel_size or 1)
    assert told == unit
    assert length == pytest.approx(float(number))
    assert 0.1 < np.ptp(bar.get_xdata()) / 100 <= 0.35


def test_scale_bar_of_a_resized_record_tells_original_pixels(rectangle, ax):
    record = LesionImage(*rectangle).resize((30, 50))
    LesionDisplay.from_predictions(record, ax=ax)
    bar = next(line for line in ax.lines if len(line.get_xdata()) == 2)
    assert 2 * np.ptp(bar.get_xdata()) == pytest.approx(float(texts(ax)[0].split()[0]))


def test_no_lesion(rectangle, ax):
    display = LesionDisplay.from_predictions(rectangle[0], rectangle[1] & False, ax=ax, margin=0.1)
    assert display.outline_ is None
    assert "no lesion found" in texts(ax)
    assert display.view.box == (-0.5, -0.5, 59.5, 99.5)


def test_no_legend_of_nothing(rectangle, ax):
    image, mask = rectangle
    display = LesionDisplay.from_predictions(image, mask & False, reference_mask=mask & False, ax=ax)
    assert (display.outline_, display.reference_, ax.get_legend()) == (None, None, None)


def test_all_parts_of_a_lesion_are_outlined(rectangle, ax):
    image, mask = rectangle
    mask = mask.copy()
    mask[40:50, 5:15] = True
    x, _ = LesionDisplay.from_predictions(image, mask, ax=ax).outline_.get_data()
    assert np.isnan(x).sum() == 1
    assert np.nanmin(x) == 4.5


def test_from_a_segmenter(ax, lesion):
    record, _ = lesion
    display = LesionDisplay.from_estimator(PretrainedSegmenter(), record.with_(mask=None, name="b"), ax=ax)
    (found,) = PretrainedSegmenter().transform([record.image])
    assert display.confidence == found.confidence
    assert ax.get_title() == f"b\nconfidence {found.confidence:.2f}"
    np.testing.assert_array_equal(display.view.mask("mask"), found.mask)


def test_own_figure_says_what_it_is_not(rectangle):
    import matplotlib.pyplot as plt

    for display in (
        LesionDisplay.from_predictions(*rectangle),
        SegmentationErrorDisplay.from_predictions(rectangle[0], rectangle[1], rectangle[1]),
        ABCDDisplay.from_predictions(*rectangle, panels=["outline"], name="a"),
    ):
        assert display.figure_.get_supxlabel() == "Research software, no medical device"
        plt.close(display.figure_)


def test_bad_calls_are_told(rectangle, ax, tmp_path):
    image, mask = rectangle
    with pytest.raises(ValueError, match="needs a mask"):
        LesionDisplay.from_predictions(image, ax=ax)
    with pytest.raises(ValueError, match=r"\(60, 10\)"):
        LesionDisplay.from_predictions(image, mask[:, :10], ax=ax)
    with pytest.raises(ValueError, match=r"'confidence' parameter of LesionDisplay\.from_predictions"):
        LesionDisplay.from_predictions(image, mask, confidence=2, ax=ax)
    with pytest.raises(ValueError, match="'margin' parameter"):
        ABCDDisplay.from_predictions(image, mask, margin=-1, axes=ax, panels="tds")
    with pytest.raises(ValueError, match=r"'panels' parameter.*structures"):
        ABCDDisplay.from_predictions(image, mask, panels=["structures"], axes=ax)
    with pytest.raises(ValueError, match="draws 2 panels, color, tds, and got 1 axes"):
        ABCDDisplay.from_predictions(image, mask, panels=["color", "tds"], axes=ax)
    with pytest.raises(ValueError, match="found no outline"):
        LesionDisplay.from_estimator(ImageResizer(32), image, ax=ax)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.png"):
        LesionDisplay.from_estimator(PretrainedSegmenter(), tmp_path / "a.png", ax=ax)


def test_image_that_fails_while_it_is_decoded(broken_files, ax):
    with pytest.raises(ImageBatchError, match=r"LesionDisplay\.from_estimator cannot show .*cut\.jpg:\n.*cut short"):
        LesionDisplay.from_estimator(PretrainedSegmenter(), broken_files / "cut.jpg", ax=ax)


def test_neither_pyplot_nor_settings_are_touched():
    code = """
import sys, io
import matplotlib as mpl
before = mpl.rcParams.copy()  # reading the backend would choose one
from matplotlib.figure import Figure
from skinseg.datasets import make_lesions
from skinseg.inspection import ABCDDisplay, LesionDisplay, SegmentationErrorDisplay, panel_axes
made = make_lesions(1, random_state=0, min_side=80, max_side=100)
image, mask = made.images[0], made.masks[0]
figure = Figure(figsize=(10, 6))
ABCDDisplay.from_predictions(image, mask, axes=panel_axes(figure))
figure.savefig(io.BytesIO(), format="png")
for display in (LesionDisplay, SegmentationErrorDisplay):
    figure = Figure()
    more = (mask,) if display is SegmentationErrorDisplay else ()
    display.from_predictions(image, mask, *more, ax=figure.add_subplot())
    figure.savefig(io.BytesIO(), format="png")
assert "matplotlib.pyplot" not in sys.modules
assert mpl.rcParams.copy() == before
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# ---------------------------------------------------------------------- the panels


def test_asymmetry_panel_has_the_axes(lesion, figure):
    record, explanation = lesion
    ax = drawn("asymmetry", record, explanation, figure)
    for number, axis in enumerate(explanation.best_axes, 1):
        (line,) = by_gid(ax, f"best axis {number}")
        np.testing.assert_array_equal(line.get_xydata(), axis[:, ::-1])
        asymmetric = [what for what, is_so in explanation.asymmetric[number - 1].items() if is_so]
        words = f"asymmetric in {', '.join(asymmetric)}" if asymmetric else "symmetric"
        assert f"axis {number}: {words}" in texts(ax)
    assert ax.get_title() == f"A  Asymmetry {explanation.measured['asymmetry_score']:g} of 2"


def test_folded_difference_by_hand():
    """A bar of 5 x 9 pixels with a bump of 2 x 2 on its right: folded on its upright axis the bump is alone."""
    mask = np.zeros((20, 30), bool)
    mask[5:10, 10:19] = True  # the axis is x = 14
    mask[6:8, 19:21] = True
    axis = np.array([[0.0, 14.0], [19.0, 14.0]])

    def everywhere(points):
        return np.ones(len(points), bool)

    alone = fold_difference(mask, axis, everywhere)
    expected = np.zeros_like(mask)
    expected[6:8, 19:21] = True
    np.testing.assert_array_equal(alone, expected)
    # its mirror places are x = 9 and 8: where the view ends at 8.5, one column is not asked
    alone = fold_difference(mask, axis, lambda points: points[:, 1] > 8.5)
    assert alone.sum() == 2
    assert alone[6:8, 19].all()
    # folded on the level axis y = 7, the bump (rows 6, 7) has its lower row on the axis and its upper one alone
    alone = fold_difference(mask, np.array([[7.0, 0.0], [7.0, 29.0]]), everywhere)
    assert np.argwhere(alone).tolist() == [[6, 19], [6, 20]]


def test_hatched_parts_are_the_folded_difference(rectangle, figure):
    """A lesion that is cut by the left edge: what has its mirror image outside of the image is not hatched."""
    image, mask = rectangle
    explanation = ABCDFeaturizer().explain(LesionImage(image, mask))
    explanation["best_axes"] = np.array([[[0.0, 40.0], [59.0, 40.0]], [[14.5, 0.0], [14.5, 99.0]]])
    ax = drawn("asymmetry", LesionImage(image, mask), explanation, figure)
    (patch,) = by_gid(ax, "fold 1")  # columns 30 to 50 lie about column 40, 51 to 69 are alone
    box = patch.get_path().get_extents()
    np.testing.assert_allclose((box.x0, box.x1, box.y0, box.y1), (50.5, 69.5, 9.5, 19.5), atol=0.3)
    assert patch.get_hatch() == "////"
    assert by_gid(ax, "fold 2") == []  # folded on its middle row


def test_border_panel_has_eight_octants_where_they_are(lesion, figure):
    import matplotlib as mpl

    record, explanation = lesion
    ax = drawn("border", record, explanation, figure)
    thick = 0
    for number, octant in enumerate(explanation.octants, 1):
        (line,) = by_gid(ax, f"octant {number}")
        points = line.get_xydata()
        np.testing.assert_array_equal(points[~np.isnan(points[:, 0])], octant["outline"][:, ::-1])
        assert line.get_color() == mpl.colormaps["cividis"](octant["sharpness"])
        assert (line.get_linewidth() > 3) == octant["abrupt"]
        thick += line.get_linewidth() > 3
    assert by_gid(ax, "octant 9") == []
    assert [text for text in texts(ax) if text.isdigit() and text not in "0"] == [*"12345678", "1"]
    assert thick == explanation.measured["border_score"]
    # each number stands beside its octant: nearer to it than to the opposite one
    for number, octant in enumerate(explanation.octants):
        place = np.array(next(text for text in ax.texts if text.get_text() == str(number + 1)).get_position())[::-1]
        opposite = explanation.octants[(number + 4) % 8]["outline"]
        assert np.hypot(*(octant["outline"] - place).T).min() < np.hypot(*(opposite - place).T).min()


def test_color_panel_tells_the_shares(lesion, figure):
    record, explanation = lesion
    display = ABCDDisplay.from_predictions(record, None, explanation, panels="color", axes=figure.add_subplot())
    told = texts(display.axes_[0])
    labels = display.view.cut(explanation.color_map)
    for place, name in enumerate(COLOR_NAMES):
        share = explanation.measured[f"color_{name}_share"]
        expected = f"{name.replace('_', ' ')} {100 * share:.0f} %{' •' if share >= 0.04 else ''}"
        assert expected in told
        assert (labels == place).sum() / (labels > -2).sum() == pytest.approx(share, abs=0.02)
    assert sum("•" in text for text in told) - 1 == explanation.measured["color_count"]
    # the colors are where they were found: a pixel of the color named most has that color
    most = int(np.bincount(labels[labels >= 0]).argmax())
    row, column = np.argwhere(explanation.color_map == most)[0]
    picture = display.axes_[0].images[0]
    r, c = np.rint(display.view.from_image(np.array([row, column]))).astype(int)
    assert len(np.unique(picture.get_array()[labels == most], axis=0)) == 1
    np.testing.assert_array_equal(picture.get_array()[r, c], picture.get_array()[labels == most][0])


def test_dimension_panel_has_the_lines_and_their_lengths(lesion, figure):
    record, explanation = lesion
    ax = drawn("dimension", record, explanation, figure)
    for key, words in (
        ("feret_max", "longest diameter"),
        ("feret_min", "least width"),
        ("axis_major", "long axis"),
        ("axis_minor", "short axis"),
    ):
        (line,) = by_gid(ax, key)
        np.testing.assert_array_equal(line.get_xydata(), explanation[key][:, ::-1])
        (text,) = [text for text in texts(ax) if text.startswith(words)]
        number, unit = text.split()[-2:]
        assert unit == "px"
        length = np.hypot(*np.ptp(line.get_xydata(), axis=0))
        assert float(number) == pytest.approx(explanation.measured[f"dimension_{key}_px"], rel=0.006)
        assert float(number) == pytest.approx(length, rel=0.03)


def test_lengths_are_in_millimeters_where_they_are_known(lesion, figure):
    record = lesion[0].with_(pixel_size=0.02)
    explanation = ABCDFeaturizer().explain(record)
    ax = drawn("dimension", record, explanation, figure)
    number, unit = next(text for text in texts(ax) if text.startswith("longest")).split()[-2:]
    assert unit == "mm"
    assert float(number) == pytest.approx(0.02 * lesion[1].measured["dimension_feret_max_px"], rel=0.006)


def test_structure_panel_hatches_what_was_found(lesion, figure):
    record, explanation = lesion
    ax = drawn("structure", record, explanation, figure)
    for label, kind in enumerate(("network", "homogeneous", "streaks", "dots", "globules"), 1):
        assert f"{kind} {explanation.measured[f'structure_{kind}']:.2f}" in texts(ax)
        patches = by_gid(ax, kind)
        rows, columns = np.nonzero(explanation.structure_map == label)
        assert len(patches) == (len(rows) > 0)
        if patches:
            box = patches[0].get_path().get_extents()
            sides = columns.min() - 0.5, columns.max() + 0.5, rows.min() - 0.5, rows.max() + 0.5
            np.testing.assert_allclose((box.x0, box.x1, box.y0, box.y1), sides, atol=0.3)
    total = sum(explanation.measured[f"structure_{kind}"] for kind in ("network", "homogeneous", "streaks", "dots",
                                                                      "globules"))  # fmt: skip
    assert f"sum {total:.2f}" in texts(ax)


def test_gauge_adds_up(lesion, figure):
    record, explanation = lesion
    ax = drawn("tds", record, explanation, figure)
    at = 0.0
    for letter, part in zip("ABCD", WEIGHTS, strict=True):
        width = WEIGHTS[part] * explanation.measured[COLUMNS[part]]
        bars = by_gid(ax, letter)
        assert len(bars) == (width > 0)
        if bars:
            assert bars[0].get_x() == pytest.approx(at)
            assert bars[0].get_width() == pytest.approx(width)
            at += width
    (line,) = by_gid(ax, "score")
    assert line.get_xdata()[0] == pytest.approx(at)
    assert at == pytest.approx(explanation.measured["tds"])
    zones = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches if bar.get_gid() is None]
    np.testing.assert_allclose(zones, [(1, 4.75), (4.75, 5.45), (5.45, 8.9)])
    assert {"benign\nbelow 4.75", "suspicious\n4.75 to 5.45", "highly suspicious\nabove 5.45"} <= set(texts(ax))


# ---------------------------------------------------------------------- what is missing


def test_scaled_border_score_is_short_and_adds_up(lesion, figure):
    record, explanation = lesion
    measured = explanation.measured | {"border_score": 24 / 7}  # three of seven octants that are seen
    measured["tds"] = sum(WEIGHTS[part] * measured[column] for part, column in COLUMNS.items())
    changed = type(explanation)(**{**explanation, "measured": measured})
    display = ABCDDisplay.from_predictions(
        record, None, changed, panels=["border", "tds"], axes=panel_axes(figure, ["border", "tds"])
    )
    assert display.axes_[0].get_title() == "B  Border 3.43 of 8"
    words = [text for text in texts(display.axes_[1]) if "×" in text]
    assert "0.1 × B 3.43 = 0.34" in words
    total = sum(float(text.rpartition("= ")[2]) for text in words)
    assert f"score {total:.2f}:" in display.axes_[1].get_title()


def test_reasons_are_told(rectangle, figure):
    """A lesion that is too small for structures."""
    mask = np.zeros((60, 100), bool)
    mask[30, 40] = True
    record = LesionImage(rectangle[0], mask)
    explanation = ABCDFeaturizer().explain(record)
    display = ABCDDisplay.from_predictions(record, None, explanation, axes=panel_axes(figure))
    axes = dict(zip(PANELS, display.axes_, strict=True))
    assert axes["structure"].get_title() == "D  Structures not measured"
    assert "smaller than 48" in " ".join(texts(axes["structure"])).replace("\n", " ")
    assert axes["tds"].get_title() == "Total dermoscopy score not measured"
    assert "D: the lesion is smaller than 48" in " ".join(texts(axes["tds"])).replace("\n", " ")
    assert by_gid(axes["tds"], "score") == []
    assert by_gid(axes["tds"], "C") == []


def test_what_was_not_asked_for_is_not_measured(lesion, figure):
    record, _ = lesion
    explanation = ABCDFeaturizer(groups=["border"]).explain(record)
    display = ABCDDisplay.from_predictions(record, None, explanation, panels=["color", "tds"],
                                           axes=figure.subplots(1, 2))  # fmt: skip
    assert display.axes_[0].get_title() == "C  Color not measured"
    assert "red not measured" in texts(display.axes_[0])
    assert "A: not asked for" in "\n".join(texts(display.axes_[1]))


def test_unseen_octants_are_dashed(rectangle, figure):
    record = LesionImage(rectangle[0], np.ones((60, 100), bool))
    explanation = ABCDFeaturizer().explain(record)
    ax = drawn("border", record, explanation, figure)
    assert ax.get_title() == "B  Border not measured"
    assert "there is no skin in view along the outline" in " ".join(texts(ax)).replace("\n", " ")
    assert {by_gid(ax, f"octant {number}")[0].get_linestyle() for number in range(1, 9)} == {"--"}


def test_empty_mask(rectangle, figure):
    display = ABCDDisplay.from_predictions(rectangle[0], rectangle[1] & False, axes=panel_axes(figure))
    assert display.explanation is None
    assert all("no lesion found" in texts(ax) for ax in display.axes_)
    assert display.axes_[-1].get_title() == "Total dermoscopy score not measured"


def odd_masks():
    pixel, row, corner, two, holes = np.zeros((5, 60, 100), bool)
    pixel[0, 99] = True
    row[30] = True
    corner[:25, :40] = True
    two[5:15, 5:30] = two[40:50, 60:90] = True
    holes[10:50, 20:80] = True
    holes[20:30, 30:50] = False
    return {"pixel": pixel, "row": row, "corner": corner, "two": two, "holes": holes, "all": ~row | row}


@pytest.mark.parametrize("name", odd_masks())
def test_odd_masks_are_drawn(rectangle, figure, name):
    mask = odd_masks()[name]
    display = ABCDDisplay.from_predictions(rectangle[0], mask, axes=panel_axes(figure))
    figure.canvas.draw()
    rows, columns = np.nonzero(mask)
    top, left, bottom, right = display.view.box
    assert top <= rows.min() - 0.5
    assert bottom >= rows.max() + 0.5
    assert left <= columns.min() - 0.5
    assert right >= columns.max() + 0.5
    assert display.view.mask("mask").any()


# ---------------------------------------------------------------------- panels and models


def test_panels_in_any_order(lesion, figure):
    panels = ["tds", "outline", "color"]
    display = ABCDDisplay.from_predictions(*_of(lesion), panels=panels, axes=panel_axes(figure, panels))
    assert display.panels_ == tuple(panels)
    assert [ax.get_title().split()[0] for ax in display.axes_] == ["Total", "Outline", "C"]
    again = display.plot(figure.add_subplot(), panels="border")
    assert again is display
    assert display.panels_ == ("border",)
    # the score takes two cells of four
    wide, narrow = panel_axes(figure, ["tds", "color"])
    assert wide.get_position().width > 1.9 * narrow.get_position().width


def _of(lesion):
    record, explanation = lesion
    return record, None, explanation


@pytest.fixture(scope="module")
def training():
    return make_lesions(12, random_state=5, min_side=120, max_side=160, melanoma_fraction=0.5)


def test_models_of_every_kind(training, figure):
    """Geometry is in pixels of the image given, whatever the model resizes it to."""
    image = training.images[0]
    segmenter = ThresholdSegmenter()
    steps = BatchedPipeline([("resizer", ImageResizer(64)), ("segmenter", segmenter), ("abcd", ABCDFeaturizer())])
    models = [
        ABCDFeaturizer(segmenter).fit([image]),
        steps.fit([image]),
        make_lesion_pipeline(segmenter, max_side=96).fit(training.images, training.target),
        segmenter,
    ]
    for model in models:
        display = ABCDDisplay.from_estimator(model, image, panels=["border", "tds"], axes=figure.subplots(1, 2))
        np.testing.assert_allclose(display.explanation.outline.min(axis=0), _first(training.masks[0]), atol=8)
        np.testing.assert_allclose(display.explanation.outline.max(axis=0), _last(training.masks[0]), atol=8)
        assert display.explanation.color_map.shape == image.shape[:2]
        assert "tds" in display.explanation.measured
        LesionDisplay.from_estimator(model, image, ax=figure.add_subplot())
        errors = SegmentationErrorDisplay.from_estimator(model, image, training.masks[0], ax=figure.add_subplot())
        assert errors.scores["jaccard"] > 0.7


def _first(mask):
    return np.argwhere(mask).min(axis=0)


def _last(mask):
    return np.argwhere(mask).max(axis=0)


def test_packaged_model_and_record_with_mask(training, figure):
    display = ABCDDisplay.from_estimator(load_pretrained(), training.images[1], panels="tds", axes=figure.add_subplot())
    assert display.axes_[0].get_title().startswith("Total dermoscopy score")
    assert 0 < display.confidence <= 1
    record = LesionImage(training.images[1], training.masks[1])
    display = ABCDDisplay.from_estimator(ABCDFeaturizer(), record, panels="tds", axes=figure.add_subplot())
    np.testing.assert_array_equal(display.view.mask("mask").sum() > 0, True)
    expected = ABCDFeaturizer().explain(record).measured["tds"]
    assert display.explanation.measured["tds"] == expected


def test_explanation_is_not_made_twice(lesion, figure, monkeypatch):
    monkeypatch.setattr(ABCDFeaturizer, "explain", None)
    ABCDDisplay.from_predictions(*_of(lesion), axes=panel_axes(figure))
    record = lesion[0]
    ABCDDisplay.from_predictions(record, panels="outline", axes=figure.add_subplot())


# ---------------------------------------------------------------------- errors of an outline


def test_errors_by_hand(rectangle, ax):
    """The outline is the reference, 10 rows by 40 columns, moved down by 4 rows: 240 in common, 160 on each side."""
    image, mask = rectangle
    display = SegmentationErrorDisplay.from_predictions(image, mask, np.roll(mask, 4, 0), ax=ax)
    assert display.counts == {"true_positive": 240, "false_positive": 160, "false_negative": 160}
    assert display.scores["jaccard"] == pytest.approx(240 / 560)
    assert display.scores["dice"] == pytest.approx(480 / 800)
    assert display.scores["hausdorff"] == pytest.approx(4)
    assert f"Jaccard {240 / 560:.3f}, Dice 0.600" in ax.get_title()
    assert "Hausdorff 4 px" in ax.get_title()
    expected = {"true_positive": (13.5, 19.5), "false_positive": (19.5, 23.5), "false_negative": (9.5, 13.5)}
    for kind, (top, bottom) in expected.items():
        box = display.regions_[kind].get_path().get_extents()
        np.testing.assert_allclose((box.x0, box.x1, box.y0, box.y1), (29.5, 69.5, top, bottom), atol=0.3)
    hatches = {patch.get_hatch() for patch in display.regions_.values()}
    assert len(hatches) == 3
    assert {"found 43 %", "found, but no lesion 29 %", "lesion, but missed 29 %"} <= set(texts(ax))


def test_distances_are_in_millimeters_where_they_are_known(rectangle, ax):
    image, mask = rectangle
    display = SegmentationErrorDisplay.from_predictions(image, mask, np.roll(mask, 4, 0), pixel_size=0.05, ax=ax)
    assert display.scores["hausdorff"] == pytest.approx(0.2)
    assert "Hausdorff 0.2 mm" in ax.get_title()


@pytest.mark.parametrize(("true", "pred", "jaccard"), [(True, False, 0), (False, True, 0), (False, False, 1)])
def test_errors_of_empty_masks(rectangle, ax, true, pred, jaccard):
    image, mask = rectangle
    display = SegmentationErrorDisplay.from_predictions(image, mask & true, mask & pred, ax=ax)
    assert display.scores == {"jaccard": jaccard, "dice": jaccard}
    assert "distance" not in ax.get_title()
    assert ("reference: empty" in texts(ax)) is not true
    assert ("outline: empty" in texts(ax)) is not pred


def test_errors_of_a_record(rectangle, ax):
    image, mask = rectangle
    record = LesionImage(image, np.roll(mask, 1, 1), reference_mask=mask, name="c")
    display = SegmentationErrorDisplay.from_predictions(record, ax=ax)
    assert display.counts["false_positive"] == display.counts["false_negative"] == 10
    assert ax.get_title().startswith("c\n")


def test_model_with_clinical_columns_and_a_search(training, figure):
    """The part that sees images is found in a ColumnTransformer, and in what a search has chosen."""
    from sklearn.model_selection import GridSearchCV

    frame = training.frame[["sex"]].assign(image=training.images)
    pipe = make_lesion_pipeline(ThresholdSegmenter(), metadata=["sex"], max_side=128)
    search = GridSearchCV(pipe, {"classifier__C": [1.0]}, cv=2).fit(frame, training.target)
    display = ABCDDisplay.from_estimator(search, training.images[0], panels="border", axes=figure.add_subplot())
    np.testing.assert_allclose(display.explanation.outline.min(axis=0), _first(training.masks[0]), atol=8)
    assert LesionDisplay.from_estimator(search, training.images[0], ax=figure.add_subplot()).outline_ is not None
    with pytest.raises(ValueError, match="not fitted"):
        ABCDDisplay.from_estimator(make_lesion_pipeline(), training.images[0], axes=panel_axes(figure))
