"""The report: what it holds, that nothing of a file name is run, and that images that fail are shown."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.ensemble import RandomForestClassifier

from skinseg import LesionImage, ThresholdSegmenter, UNetSegmenter, load_pretrained, make_lesion_pipeline
from skinseg.bulk import measure_files, predict_files
from skinseg.cli import main
from skinseg.datasets import make_lesions
from skinseg.features import FEATURES
from skinseg.inspection import Population, load_population, write_report
from skinseg.inspection._report_files import report_files
from skinseg.inspection._report_page import _number

HOSTILE = ["<img src=x onerror=alert(1)>", "quote\" & 'apo'", "läsion-皮膚-🔬", "{{7*7}}", "=cmd|calc", "a --><!-- b"]


class Page(HTMLParser):
    """The tags and texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.scripts, self.texts = [], {}, []
        self._script = None
        self.feed(Path(path).read_text("utf-8"))
        self.data = json.loads(self.scripts["data"])
        self.images = {image["name"]: image for image in self.data["images"]}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self._script = dict(attributes).get("id", "code")
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, text):
        if self._script is None:
            self.texts.append(text)
        else:
            self.scripts[self._script] += text

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def lesions():
    return make_lesions(4, random_state=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, lesions):
    """Two lesions, a blank image, one cut short and one that is none."""
    folder = tmp_path_factory.mktemp("report") / "photos"
    folder.mkdir()
    for name, image in zip("ab", lesions.images, strict=False):
        cv2.imwrite(str(folder / f"{name}.png"), image[..., ::-1])
    cv2.imwrite(str(folder / "blank.png"), np.full((60, 80, 3), (160, 180, 220), np.uint8))
    whole = cv2.imencode(".jpg", lesions.images[0])[1].tobytes()
    (folder / "short.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def command(folder):
    out = folder.parent / "report.html"
    result = CliRunner().invoke(main, ["report", str(folder), "--out", str(out), "--order", "doubtful", "--quiet"])
    return result, Page(out), out


def test_command_writes_what_predict_and_features_say(command, folder):
    result, page, _ = command
    assert result.exit_code == 1, result.output
    assert re.search(r"report of 5 images in .*report.html", result.output)
    assert "no lesion found in 1 image\n" in result.output
    assert "failed: 2 images" in result.output
    files = [folder / f"{name}.png" for name in "ab"]
    said = predict_files(files, load_pretrained("melanoma"))
    from skinseg import PretrainedSegmenter

    measured = measure_files(files, segmenter=PretrainedSegmenter())
    names = [feature["name"] for feature in page.data["features"]]
    assert names == list(FEATURES)
    for file, row, features in zip(files, said.to_dict("records"), measured.to_dict("records"), strict=True):
        image = page.images[file.name]
        assert image["status"] == "measured"
        assert image["probability"] == pytest.approx(row["melanoma_probability"], rel=1e-3)
        assert image["range"] == f"{row['melanoma_low']:.2f}–{row['melanoma_high']:.2f}"
        assert image["positive"] is bool(row["decision"] == 1)
        found = np.array([np.nan if value is None else value for value in image["values"]])
        np.testing.assert_allclose(found, [features[name] for name in names], rtol=1e-3, atol=1e-6)
        total = sum(image["contributions"]) + page.data["baseline"]
        logit = np.log(row["melanoma_probability"] / (1 - row["melanoma_probability"]))
        assert total == pytest.approx(logit, abs=0.01)


def test_what_failed_is_in_the_report_with_its_reason(command):
    _, page, _ = command
    assert page.images["blank.png"]["status"] == "empty"
    assert page.images["blank.png"]["values"] is None
    assert page.images["blank.png"]["said"] == ""
    assert page.images["short.jpg"]["status"] == page.images["text.jpg"]["status"] == "failed"
    assert "cut short" in page.images["short.jpg"]["note"]
    assert "not an image" in page.images["text.jpg"]["note"]
    text = "".join(page.texts)
    assert page.images["text.jpg"]["note"] in text  # in the overview, too
    selected = [option["value"] for option in page.all("option") if "selected" in option]
    assert selected == ["doubtful:1"]


def test_it_stands_alone(command):
    _, page, out = command
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster"):
            if name in attributes:
                assert re.match(r"data:image/webp;base64,|#", attributes[name]), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
    style = out.read_text("utf-8").partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    [policy] = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_only_its_own_script_may_run(command):
    import hashlib

    _, page, _ = command
    [policy] = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    code = base64.b64encode(hashlib.sha256(page.scripts["code"].encode()).digest()).decode()
    assert f"script-src 'sha256-{code}'" in policy
    assert {script.get("type") for script in page.all("script")} == {"application/json", "text/plain", None}


def test_pictures_are_pictures_of_the_size_told(command):
    _, page, _ = command
    for number, image in enumerate(page.data["images"]):
        lines = page.scripts.get(f"pictures-{number}", "").split()
        assert len(lines) == {"measured": 7, "doubtful": 7, "empty": 1, "failed": 0}[image["status"]]
        for line, panel in zip(lines, page.data["panels"], strict=False):
            with Image.open(io.BytesIO(base64.b64decode(line))) as picture:
                assert picture.format == "WEBP"
                assert picture.size == (panel["width"], panel["height"])
    assert page.data["panels"][0]["name"] == "outline"
    assert len(page.data["panels"]) == 7


def test_the_notice_the_versions_and_the_population_are_told(command):
    _, page, _ = command
    text = " ".join("".join(page.texts).split())
    assert text.count("Research software, no medical device") == 2
    assert "1625 benign, 374 melanoma" in text
    assert "training images of ISIC 2017" in text
    assert re.search(r"skinseg \S+, Python 3", text)
    assert "weights of SHA-256" in text
    assert re.search(r"threshold 0\.\d+, chosen for a sensitivity of 90 %", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_nothing_else(name, tmp_path, lesions):
    out = tmp_path / "report.html"
    record = LesionImage(lesions.images[0], mask=lesions.masks[0], name=f"{name}</script><b id=x>")
    write_report([record, record], out, masks=lesions.masks[:1] * 2, model=None, title=name, cards=False)
    page = Page(out)
    assert list(page.images) == [record.name]
    assert not page.all("b") or all("id" not in tag for tag in page.all("b"))
    assert all(tag.get("src", "data:").startswith("data:") for tag in page.all("img"))
    assert "".join(page.texts).count(record.name) == 4  # overview and gallery, twice each


def test_masks_given_are_measured_and_the_model_is_left_out(tmp_path, lesions):
    out = tmp_path / "report.html"
    summary = write_report(lesions.images, out, masks=lesions.masks, model=None)
    assert summary.n_images == 4
    assert summary.failed == []
    assert summary.empty == []
    page = Page(out)
    position = list(FEATURES).index("dimension_area_px")
    areas = [image["values"][position] for image in page.data["images"]]
    np.testing.assert_allclose(areas, [mask.sum() for mask in lesions.masks], rtol=0.02)
    assert all(image["probability"] is None and image["confidence"] is None for image in page.data["images"])
    assert "P(" not in "".join(page.texts)
    assert list(page.images) == [f"image {number}" for number in range(1, 5)]


def test_masks_in_a_column_go_by_their_place_and_not_their_index(tmp_path):
    image = np.full((60, 80, 3), 200, np.uint8)
    masks = np.zeros((3, 60, 80), bool)
    for index in range(3):
        masks[index, 10:50, 10 : 20 + 10 * index] = True
    table = pd.DataFrame({"image": [image] * 3, "mask": list(masks)}, index=[2, 1, 0])
    out = tmp_path / "report.html"
    write_report(list(table["image"]), out, masks=table["mask"], model=None, cards=False)
    position = list(FEATURES).index("dimension_area_px")
    areas = [image["values"][position] for image in Page(out).data["images"]]
    np.testing.assert_allclose(areas, [400, 800, 1200], rtol=0.02)


def test_confidence_is_of_the_outline_that_is_shown(tmp_path, lesions):
    image, mask = lesions.images[0], lesions.masks[0]
    records = [LesionImage(image, mask=other, confidence=0.2) for other in (mask & False, mask.copy(), None)]
    out = tmp_path / "report.html"
    summary = write_report(records, out, masks=[mask] * 3, model=None, cards=False)
    assert summary.doubtful == [("image 2", 0.2), ("image 3", 0.2)]
    found = [(image["status"], image["confidence"]) for image in Page(out).data["images"]]
    assert found == [("measured", None), ("doubtful", 0.2), ("doubtful", 0.2)]


def test_picture_of_the_outline_tells_the_confidence_that_its_text_tells(tmp_path, lesions):
    image, mask = lesions.images[0], lesions.masks[0]
    records = [LesionImage(image, mask=mask, confidence=value) for value in (None, 0.25, 0.85)]
    out = tmp_path / "report.html"
    write_report(records, out, masks=[mask] * 3, model=None)
    scripts = Page(out).scripts
    pictures = [scripts[f"pictures-{number}"].split() for number in range(3)]
    assert len({picture[0] for picture in pictures}) == 3
    assert all(len(set(same)) == 1 for same in zip(*[picture[1:] for picture in pictures], strict=True))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (123456.7, 123457),
        (0.123456, 0.1235),
        (12.0, 12),
        (-98765.4, -98765),
        (np.nan, None),
        (None, None),
        (1e-9, 1e-9),
    ],
)
def test_numbers_are_short_and_lose_no_digit_before_the_point(value, expected):
    assert _number(value) == expected


def test_records_keep_the_masks_that_they_all_have(tmp_path, lesions):
    out = tmp_path / "report.html"
    records = [LesionImage(*pair) for pair in zip(lesions.images, lesions.masks, strict=True)]
    write_report(records, out, model=None, cards=False)
    page = Page(out)
    position = list(FEATURES).index("dimension_area_px")
    assert [image["values"][position] for image in page.data["images"]] == [mask.sum() for mask in lesions.masks]
    assert "masks that were given" in "".join(page.texts)
    write_report([*records[:1], lesions.images[1]], out, model=None, cards=False)
    assert "PretrainedSegmenter" in "".join(Page(out).texts)


def test_the_style_of_the_user_is_not_that_of_the_pictures(tmp_path, lesions):
    import matplotlib as mpl

    out, record = tmp_path / "report.html", LesionImage(lesions.images[0], lesions.masks[0], name="a")
    write_report([record], out, model=None)
    plain = Page(out).scripts["pictures-0"]
    with mpl.style.context("dark_background"):
        names = set(mpl.rcParams) - {"backend"}  # which is chosen when it is read
        before = {name: mpl.rcParams[name] for name in names}
        write_report([record], out, model=None)
        assert {name: mpl.rcParams[name] for name in names} == before
    assert Page(out).scripts["pictures-0"] == plain


def test_a_mask_that_is_missing_and_an_image_that_is_broken(folder, tmp_path):
    out = tmp_path / "report.html"
    files = [folder / "a.png", folder / "text.jpg"]
    summary = write_report(files, out, masks=[tmp_path / "no.png"] * 2, model=None)
    assert "there is no mask" in summary.failed[0][1]
    assert "not an image" in summary.failed[1][1]


def test_pixel_size_gives_millimeters(tmp_path, lesions):
    out = tmp_path / "report.html"
    record = LesionImage(lesions.images[0], mask=lesions.masks[0], pixel_size=0.05)
    write_report([record], out, masks=[lesions.masks[0]], model=None, cards=False)
    values = dict(zip(FEATURES, Page(out).data["images"][0]["values"], strict=True))
    assert values["dimension_feret_max_mm"] == pytest.approx(0.05 * values["dimension_feret_max_px"], rel=2e-3)
    # of all others, the one that is given
    images = [record, lesions.images[0]]
    write_report(images, out, masks=lesions.masks[:1] * 2, model=None, cards=False, pixel_size=0.1)
    position = list(FEATURES).index("dimension_feret_max_mm")
    found = [image["values"][position] for image in Page(out).data["images"]]
    assert found[1] == pytest.approx(2 * found[0], rel=1e-3)
    with pytest.raises(ValueError, match="pixel_size must be a positive number"):
        write_report(images, out, pixel_size=-1.0)


def test_own_model_outlines_and_is_explained(tmp_path):
    data = make_lesions(24, random_state=1)
    linear = make_lesion_pipeline(ThresholdSegmenter()).fit(data.images, data.target)
    out = tmp_path / "report.html"
    write_report(data.images[:3], out, model=linear, cards=False)
    page = Page(out)
    expected = linear.predict_proba(data.images[:3])[:, 1]
    np.testing.assert_allclose([image["probability"] for image in page.data["images"]], expected, rtol=2e-3)
    assert "ThresholdSegmenter" in "".join(page.texts)  # the outline of the model
    assert page.data["scale"] == "log-odds"
    assert len(page.data["groups"]) >= 5
    assert linear.named_steps["lesion"].on_error == "raise"  # left as it was

    forest = make_lesion_pipeline(ThresholdSegmenter(), RandomForestClassifier(20, random_state=0))
    forest.fit(data.images, data.target)
    write_report(data.images[:12], out, model=forest, cards=False)
    page = Page(out)
    assert page.data["scale"] == "probability"
    for image in page.data["images"]:
        assert sum(image["contributions"]) + page.data["baseline"] == pytest.approx(image["probability"], abs=0.01)
    assert "measured from the other images of this report" in "".join(page.texts)
    write_report(data.images[:2], out, model=forest, cards=False)
    page = Page(out)
    assert page.data["groups"] == []
    assert "needs 10 images or more" in "".join(page.texts)


def test_three_classes(tmp_path):
    data = make_lesions(24, random_state=1)
    labels = np.array(["nevus", "melanoma", "keratosis"])[np.arange(24) % 3]
    model = make_lesion_pipeline(ThresholdSegmenter()).fit(data.images, labels)
    out = tmp_path / "report.html"
    write_report(data.images[:3], out, model=model, cards=False)
    page = Page(out)
    expected = model.predict_proba(data.images[:3])
    for image, row, called in zip(page.data["images"], expected, model.predict(data.images[:3]), strict=True):
        assert image["said"].startswith(f"Called {called}. Probabilities: keratosis {row[0]:.2f}, ")
        assert image["probability"] == pytest.approx(row.max(), rel=1e-3)


def test_clinical_columns_reach_the_model(tmp_path, folder, lesions):
    table = tmp_path / "patients.csv"
    pd.DataFrame({"image": ["a", "b"], "age": [80, 20], "sex": ["male", "female"]}).to_csv(table, index=False)
    out = tmp_path / "report.html"
    files = [str(folder / f"{name}.png") for name in "ab"]
    result = CliRunner().invoke(
        main, ["report", *files, "--table", str(table), "--out", str(out), "--no-cards", "--quiet"]
    )
    assert result.exit_code == 0, result.output
    page = Page(out)
    position = page.data["groups"].index("clinical")
    added = [image["contributions"][position] for image in page.data["images"]]
    assert added[0] > 0 > added[1]  # the older one
    assert not page.scripts.keys() & {"pictures-0", "pictures-1"}
    assert "id" not in {key for tag in page.all("article") for key in tag}


def test_percentiles_of_a_table_of_features(tmp_path, folder):
    features = tmp_path / "features.csv"
    pd.DataFrame({"image": list("wxyz"), "border_compactness": [1.0, 1e3, 1e3, 1e3], "error": ""}).to_csv(features)
    out = tmp_path / "report.html"
    result = CliRunner().invoke(
        main, ["report", str(folder / "a.png"), "--population", str(features), "--model", "none", "--no-cards",
               "--out", str(out), "-q"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    page = Page(out)
    assert page.data["population"] == [{"name": "reference"}]
    [image] = page.data["images"]
    ranks = dict(zip(FEATURES, image["percentiles"][0], strict=True))
    assert 0 <= ranks["border_compactness"] <= 33
    assert ranks["tds"] is None  # not in the table


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("no.csv", None, "no.csv: the table does not exist"),
        ("odd.csv", b"a,b\n1,2\n1,2,3,4\n", "odd.csv: the table cannot be read"),
        ("bytes.parquet", b"text", "bytes.parquet: the table cannot be read"),
    ],
)
def test_tables_of_a_population_that_cannot_be_read_are_named(name, content, words, tmp_path, folder):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = CliRunner().invoke(
        main, ["report", str(folder / "a.png"), "--population", str(tmp_path / name), "--model", "none", "--no-cards",
               "--out", str(tmp_path / "report.html"), "-q"],
    )  # fmt: skip
    assert result.exit_code != 0
    assert words in result.output


def test_population_of_a_spreadsheet_with_semicolons(tmp_path, folder):
    features = tmp_path / "features.csv"
    features.write_text("\ufeffimage;border_compactness\nx;1,5\ny;1,7\n", encoding="utf-8")
    report_files([str(folder / "a.png")], tmp_path / "report.html", population=features, model=None, no_cards=True)
    assert Page(tmp_path / "report.html").data["population_note"].endswith("(2 reference).")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "size"}, "order must be one of"),
        ({"order": "probability", "model": None}, "needs a model"),
        ({"masks": []}, "one mask an image"),
        ({"metadata": pd.DataFrame({"age": [1]})}, "a row of metadata an image"),
        ({"population": "isic2099"}, "there is no population"),
        ({"population": 5}, "population must be a Population"),
        ({"model": "nevus"}, "no packaged model"),
        ({"segmenter": UNetSegmenter()}, "FrozenEstimator"),
        ({"segmenter": ThresholdSegmenter(), "masks": [None, None]}, "exclude each other"),
    ],
)
def test_arguments_that_are_wrong_are_named(options, message, tmp_path, lesions):
    with pytest.raises(ValueError, match=message):
        write_report(lesions.images[:2], tmp_path / "report.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_no_images_and_no_folder(tmp_path, lesions):
    with pytest.raises(ValueError, match="there are no images"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(ValueError, match="put them into a list"):
        write_report("photo.jpg", tmp_path / "report.html")
    with pytest.raises(ValueError, match="make a list of it"):
        write_report(iter(lesions.images), tmp_path / "report.html")
    with pytest.raises(FileNotFoundError, match="folder that does not exist"):
        write_report(lesions.images, tmp_path / "no" / "report.html")
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        write_report(lesions.images, tmp_path)


def test_workers_change_nothing(tmp_path, lesions):
    pages = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}.html"
        write_report(lesions.images[:2], out, model=None, n_jobs=jobs)
        pages.append(Page(out))
    assert pages[0].data == pages[1].data
    pictures = [{name: text for name, text in page.scripts.items() if name.startswith("pic")} for page in pages]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 2


# ---------------------------------------------------------------------- population


def test_percentiles_by_hand():
    table = pd.DataFrame({"border_score": [0.0, 0, 0, 8], "tds": [1.0, 2, 3, np.nan], "name": list("abcd")})
    population = Population.from_table(table)
    assert population.sizes == {"reference": 4}
    assert population.percentile("reference", "border_score", -1) == 0
    assert population.percentile("reference", "border_score", 9) == 100
    assert population.percentile("reference", "tds", 2) == 50
    assert population.percentile("reference", "tds", 1.5) == 25
    # quantiles are 0 up to the level 2/3: the middle of that step
    assert population.percentile("reference", "border_score", 0) == pytest.approx(100 / 3, abs=1.5)
    assert np.isnan(population.percentile("reference", "tds", np.nan))
    assert np.isnan(population.percentile("reference", "color_count", 3))


def test_population_counts_what_was_measured():
    table = pd.DataFrame({"border_score": [1.0, 3, np.nan, np.nan], "tds": [np.nan, 2, np.nan, np.nan]})
    assert Population.from_table(table).sizes == {"reference": 2}
    assert Population.from_table(table, list("abba")).sizes == {"a": 1, "b": 1}
    assert Population.from_table(table, list("abcc")).sizes == {"a": 1, "b": 1}
    with pytest.raises(ValueError, match="nothing was measured in any of the 2 rows"):
        Population.from_table(table[2:])


def test_population_survives_json():
    table = pd.DataFrame({"tds": np.linspace(1, 8.9, 50), "dimension_area_px": 1.0})
    population = Population.from_table(table, ["x"] * 20 + ["y"] * 30, description="d")
    again = Population.from_json(population.to_json())
    assert again.sizes == {"x": 20, "y": 30}
    assert again.description == "d"
    assert set(again.quantiles["x"]) == {"tds"}  # pixels say nothing about images of another size
    assert again.percentile("y", "tds", 6) == pytest.approx(population.percentile("y", "tds", 6), abs=0.1)


def test_population_refuses_what_is_no_table_of_features():
    with pytest.raises(ValueError, match="expected a table of features"):
        Population.from_table(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(ValueError, match="a group for each of 2 rows, got 1"):
        Population.from_table(pd.DataFrame({"tds": [1.0, 2.0]}), ["a"])


def test_packaged_population_is_of_the_features_there_are():
    population = load_population()
    assert population.sizes == {"benign": 1625, "melanoma": 374}
    known = {name for name, feature in FEATURES.items() if not feature.unit.startswith(("px", "mm"))}
    assert set(population.quantiles["benign"]) == set(population.quantiles["melanoma"]) == known
    assert population.percentile("benign", "tds", 4.75) > population.percentile("melanoma", "tds", 4.75)
    with pytest.raises(ValueError, match="there is no population 'x'"):
        load_population("x")
