"""What notebooks show: complete, escaped, and without work that nobody asked for."""

import html.parser
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.utils import estimator_html_repr

from skinseg import (
    ABCDFeaturizer,
    EnsembleSegmenter,
    LesionImage,
    PretrainedSegmenter,
    SuperpixelSegmenter,
    ThresholdSegmenter,
    load_pretrained,
    make_lesion_pipeline,
    reading,
)
from skinseg._html import escaped, result_html
from skinseg.base import SkinsegEstimator
from skinseg.evaluation import check_leakage, check_splits
from skinseg.inspection import explain_prediction

HOSTILE = "<script>alert('x')</script>\"' onload=\"evil() & 漢字\x00\x1b"


class Page(html.parser.HTMLParser):
    """Elements that are open, all tags and attributes seen, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag not in ("img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page_of(item):
    page = Page(item._repr_html_())
    assert not page.open
    assert "script" not in page.tags
    assert all("onload" not in attributes for found in page.attributes.values() for attributes in found)
    return page


@pytest.fixture
def pair():
    image = np.full((60, 100, 3), 200, np.uint8)
    mask = np.zeros((60, 100), bool)
    mask[10:20, 30:70] = True
    return image, mask


def picture_of(page):
    import base64

    (attributes,) = page.attributes["img"]
    data = base64.b64decode(attributes["src"].partition("base64,")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


# ---------------------------------------------------------------------- records


def test_record(pair):
    page = page_of(LesionImage(*pair, name="a", confidence=0.876, pixel_size=0.02))
    for text in ("100 × 60 pixels", "0.02 mm", "0.88", "6.67 % of the image"):  # 400 of 6,000 pixels
        assert text in page.text
    picture = picture_of(page)
    assert picture.shape == (60, 100, 3)
    red, green, _ = picture[10, 40].astype(int)
    assert green > red + 50  # the outline
    assert (np.abs(picture[40:].astype(int) - 200) < 12).all()


def test_record_that_was_resized_and_a_large_one(pair):
    image = np.full((600, 1000, 3), 90, np.uint8)
    page = page_of(LesionImage(image).resize((300, 500)))
    assert "500 × 300 pixels (of an image of 1000 × 600)" in page.text
    assert picture_of(page).shape == (120, 200, 3)
    assert "outline" not in page.text


@pytest.mark.parametrize("as_file", [False, True])
def test_small_lesion_of_a_large_image_is_there(as_file, tmp_path):
    mask = np.zeros((1500, 2000), bool)
    mask[700:703, 900:903] = True  # a third of a pixel of the thumbnail
    given = tmp_path / "mask.png" if as_file else mask
    cv2.imwrite(str(tmp_path / "mask.png"), mask.view(np.uint8) * 255)
    text = page_of(LesionImage(np.full((1500, 2000, 3), 90, np.uint8), given, reference_mask=mask)).text
    assert "0.0003 % of the image" in text
    assert "outline by an expert" in text
    assert "empty" not in text


def test_planes_are_listed(pair):
    image, mask = pair
    record = LesionImage(image, mask & False, reference_mask=mask, probability=mask.astype(float), field=~mask)
    page = page_of(record)
    assert "empty: no lesion found" in page.text
    assert "outline by an expert" in page.text
    assert "probability, field" in page.text


@pytest.mark.parametrize("name", [HOSTILE, "", "x" * 5000])
def test_hostile_names(pair, name):
    page = page_of(LesionImage(*pair, name=name, error=HOSTILE))
    assert page.tags.count("img") == 1
    if name == HOSTILE:
        assert "<script>alert('x')</script>" in page.text
        assert "\x1b" not in page.text
    assert len(page.text) < 2000


def test_hostile_file_name(tmp_path, pair):
    file = tmp_path / "<b onload='x'>&.png"
    cv2.imwrite(str(file), pair[0])
    page = page_of(LesionImage(file))
    assert str(file) in page.text
    assert "b" not in page.tags


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut.jpg", "cut short"), ("empty.jpg", "empty"), ("text.jpg", "not an image"), ("none.jpg", "does not exist")],
)
def test_broken_files_tell_what_is_wrong(broken_files, name, reason):
    page = page_of(LesionImage(broken_files / name, confidence=0.5))
    assert reason in page.text
    assert "img" not in page.tags
    assert "0.50" in page.text


def test_broken_mask_file(pair, tmp_path):
    (tmp_path / "mask.png").write_bytes(b"no mask")
    assert "mask.png" in page_of(LesionImage(pair[0], tmp_path / "mask.png")).text


def test_large_file_is_not_decoded_whole(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((1600, 2400, 3), 120, np.uint8))
    decoded = []
    decode = reading._decode

    def watched(*args):
        decoded.append(decode(*args))
        return decoded[-1]

    monkeypatch.setattr(reading, "_decode", watched)
    page = page_of(LesionImage(tmp_path / "a.jpg"))
    assert "2400 × 1600" in page.text
    assert [pixels.shape for pixels in decoded] == [(400, 600, 3)]


def test_nothing_heavy_is_imported():
    code = """
import sys
import numpy as np
from skinseg import LesionImage
LesionImage(np.zeros((40, 40, 3), np.uint8), np.ones((40, 40), bool))._repr_html_()
print([name for name in ("sklearn", "pandas", "matplotlib", "keras", "scipy") if name in sys.modules])
"""
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert set(eval(found)) <= loaded_by_the_record()


def loaded_by_the_record():
    code = (
        "import sys; from skinseg import LesionImage\nprint([n for n in ('sklearn', 'pandas', 'matplotlib', 'keras', "
    )
    code += "'scipy') if n in sys.modules])"
    return set(eval(subprocess.check_output([sys.executable, "-c", code], text=True)))


def test_escaped_text():
    assert escaped("<a href=\"x\" b='y'>&\n\x07") == "&lt;a href=&quot;x&quot; b=&#x27;y&#x27;&gt;&amp;  "
    assert escaped("a" * 30, 10) == "aaaaa…aaaaa"


# ---------------------------------------------------------------------- estimators


def labels(estimator):
    """Texts of the diagram."""
    return Page(estimator_html_repr(estimator)).text


def test_pipeline_shows_its_steps(lesions):
    pipe = make_lesion_pipeline(ThresholdSegmenter("li"))
    text = labels(pipe)
    for name in ("BatchedPipeline", "ImageResizer", "ThresholdSegmenter", "ABCDFeaturizer", "StandardScaler"):
        assert name in text
    assert "Not fitted" in text
    pipe.fit(lesions.images, lesions.target)
    assert "Not fitted" not in labels(pipe)


def test_steps_of_a_batched_pipeline_are_the_fitted_ones(lesions):
    steps = make_lesion_pipeline(ThresholdSegmenter())["lesion"]
    block = steps._sk_visual_block_()
    assert block.kind == "serial"
    assert list(block.names)[1:4] == ["hair: passthrough", "color: passthrough", "segmenter: ThresholdSegmenter"]
    steps.fit(lesions.images)
    estimators = steps._sk_visual_block_().estimators
    assert estimators[3] is steps.named_steps_["segmenter"]


def test_members_side_by_side(lesions):
    block = EnsembleSegmenter()._sk_visual_block_()
    assert (block.kind, list(block.names)) == ("parallel", ["threshold", "saliency", "chan_vese"])
    assert "SaliencySegmenter" in labels(EnsembleSegmenter())
    assert "EnsembleSegmenter" in labels(EnsembleSegmenter([("a", 3)]))  # wrong parameters are shown, too
    text = labels(ABCDFeaturizer(ThresholdSegmenter()))
    assert "ThresholdSegmenter" in text
    assert "Not fitted" in text


def test_packaged_model_shows_what_it_is_made_of():
    text = labels(load_pretrained())
    for name in ("PretrainedSegmenter", "ABCDFeaturizer", "CNNFeaturizer", "logistic regression"):
        assert name in text
    assert "Not fitted" not in text
    assert "Not fitted" not in labels(PretrainedSegmenter())
    assert "Not fitted" in labels(SuperpixelSegmenter())


class Heavy(SkinsegEstimator):
    """An estimator with a property that must not be asked for.

    Attributes
    ----------
    held_ : int
        What it holds.
    """

    def fit(self, X=None, y=None):
        self.held_ = 12345
        return self

    @property
    def model_(self):
        raise ImportError("networks need keras")


def test_diagram_computes_no_attribute():
    text = labels(Heavy().fit())
    assert "Heavy" in text
    assert "model_" not in text
    if hasattr(SkinsegEstimator.__mro__[2], "_get_fitted_attr_html"):  # scikit-learn 1.9 lists attributes
        assert "held_" in text
        assert "12345" in text


# ---------------------------------------------------------------------- results


def test_contributions():
    table = pd.DataFrame({"border_score": [0.0, 2, 4, 6], "color_count": [1.0, 3, 2, 4]},
                         index=[HOSTILE, "b", "c", "d"])  # fmt: skip
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(table, [0, 0, 1, 1])
    explanation = explain_prediction(model, table, background=table)
    page = page_of(explanation)
    value = explanation.contributions.loc["d", "border"]
    assert f"{value:+.2f}" in page.text
    assert abs(explanation.baseline) < 0.005
    assert "baseline +0.00 add" in page.text
    assert "no diagnosis" in page.text
    assert page.tags.count("tr") == 5


def test_contributions_of_what_was_not_measured():
    from sklearn.linear_model import LogisticRegression

    table = pd.DataFrame({"border_score": [0.0, 2, 4, 6], "color_count": [1.0, 3, 2, 4]})
    model = LogisticRegression().fit(table, [0, 0, 1, 1])
    many = pd.concat([table] * 6, ignore_index=True)
    many.loc[1] = np.nan
    page = page_of(explain_prediction(model, many, background=table))
    assert "not explained" in page.text
    assert "and 4 more images" in page.text


def test_reports_of_splits_and_leaks():
    group = HOSTILE
    found = check_leakage(["a.jpg"], ["b.jpg"], train_groups=[group], test_groups=[group], images=False)
    page = page_of(found)
    assert "shared group: 1" in page.text
    assert "<script>alert('x')</script>" in page.text
    report = check_splits([(np.arange(4), np.arange(3, 6))], np.array([0, 1] * 3))
    page = page_of(report)
    assert str(report).splitlines()[0] in page.text
    assert "n_train" in page.text


def test_text_and_table():
    table = pd.DataFrame({HOSTILE: [1.23456, np.nan], "b": [HOSTILE, "c"]})
    page = Page(result_html(f"first\n  {HOSTILE}", table))
    assert not page.open
    assert "script" not in page.tags
    assert "1.23" in page.text
    assert "–" in page.text
    assert "and 5 more rows" in result_html("a", pd.DataFrame({"x": range(25)}))
    assert "table" not in result_html("a")
