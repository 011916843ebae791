"""Experiments: what is in the folder, and that a rerun gives the same numbers."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.utils import Bunch

import skinseg
from skinseg import ThresholdSegmenter, make_lesion_pipeline
from skinseg.evaluation import Interval, load_experiment, rerun_experiment, run_experiment
from skinseg.exceptions import UngroupedWarning
from skinseg.metrics import jaccard_score

QUICK = {"n_resamples": 50, "check_duplicates": False}


class GrayLevel(BaseEstimator):
    """A foreign segmenter that learns: lesion is what is darker than the mean of the lesions and of the skin."""

    def fit(self, X, y):
        pairs = [(record.image.mean(axis=2), skinseg.read_mask(mask)) for record, mask in zip(X, y, strict=True)]
        self.level_ = np.mean([(gray[mask].mean() + gray[~mask].mean()) / 2 for gray, mask in pairs])
        self.seen_ = sorted(record.name for record in X)
        return self

    def predict(self, X):
        assert not any(record.has("reference_mask") for record in X)
        return [record.image.mean(axis=2) < self.level_ for record in X]


class Constant(ClassifierMixin, BaseEstimator):
    """A classifier of a fixed answer, with classes to choose."""

    def __init__(self, classes=(0, 1), value=0.3):
        self.classes = classes
        self.value = value

    def fit(self, X, y):
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        return np.tile([1 - self.value, self.value], (len(X), 1))


@pytest.fixture(scope="module")
def table(lesion_files):
    return lesion_files / "lesions.csv"


@pytest.fixture(scope="module")
def outlines(table, tmp_path_factory):
    """Two segmenters, in folds, one learning; with the masks kept."""
    out = tmp_path_factory.mktemp("outlines") / "first"
    models = {"li": ThresholdSegmenter("li"), "gray": GrayLevel()}
    columns = {"mask_column": "mask", "target_column": "target", "group_column": "lesion"}
    return run_experiment(models, table, out, **columns, folds=2, seed=3, masks=True, n_resamples=50)


@pytest.fixture(scope="module")
def classes(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("classes") / "first"
    pipe = make_lesion_pipeline(ThresholdSegmenter(), max_side=96)
    return run_experiment({"pipe": pipe}, table, out, target_column="target", group_column="lesion", folds=2, **QUICK)


def test_folder(outlines):
    names = {path.name for path in outlines.folder.iterdir()}
    assert names == {"experiment.json", "times.json", "scores.csv", "images.csv", "report.md", "report.html", "masks",
                     "models"}  # fmt: skip
    config = json.loads((outlines.folder / "experiment.json").read_text())
    assert config["versions"]["skinseg"] == skinseg.__version__
    assert config["data"]["table"].endswith("lesions.csv")
    assert not config["data"]["table"].startswith("/")
    assert "not_kept" in config["models"]["gray"]  # a class of a test cannot be kept
    assert (outlines.folder / config["models"]["li"]["object"]).is_file()
    assert not list(outlines.folder.parent.glob(".*"))


def test_scores_of_outlines(outlines, table, lesion_files):
    """Each image once a model, outside of the fold that it was learnt from, with the score that metrics give."""
    scores = outlines.scores
    assert scores.groupby("model").size().tolist() == [16, 16]
    frame = pd.read_csv(table)
    part = scores[scores["model"] == "gray"].reset_index(drop=True)
    assert part["group"].tolist() == frame["lesion"].tolist()
    assert (part.groupby("group")["fold"].nunique() == 1).all()
    for fold, tested in part.groupby("fold"):
        learnt = frame[part["fold"] != fold]
        pairs = [(cv2.imread(str(lesion_files / i)).mean(axis=2), skinseg.read_mask(lesion_files / m))
                 for i, m in zip(learnt["image"], learnt["mask"], strict=True)]  # fmt: skip
        level = np.mean([(gray[mask].mean() + gray[~mask].mean()) / 2 for gray, mask in pairs])
        for index, row in tested.iterrows():
            mask = skinseg.read_image(lesion_files / frame["image"][index]).mean(axis=2) < level
            truth = skinseg.read_mask(lesion_files / frame["mask"][index])
            assert row["jaccard"] == jaccard_score([truth], [mask])
            kept = skinseg.read_mask(outlines.folder / "masks" / "gray" / f"{row['name']}_segmentation.png")
            np.testing.assert_array_equal(kept, mask)
    expected = ThresholdSegmenter("li").predict([lesion_files / image for image in frame["image"]])
    truths = [skinseg.read_mask(lesion_files / mask) for mask in frame["mask"]]
    np.testing.assert_array_equal(
        scores.loc[scores["model"] == "li", "jaccard"], jaccard_score(truths, list(expected), average=None)
    )


def test_summary_and_images(outlines):
    summary = outlines.summary().set_index(["model", "score"])
    mean = outlines.scores.groupby("model")["dice"].mean()
    assert summary.loc[("li", "dice"), "value"] == pytest.approx(mean["li"])
    assert (summary["low"] <= summary["value"] + 1e-12).all()
    images = outlines.images
    assert len(images) == 16
    assert images["sex"].isna().sum() == 1
    shares = images[["lesion_share", "hair_share", "ink_share"]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert images["image_sha256"].str.len().eq(64).all()
    assert images["mask_sha256"].nunique() == 16


def test_load(outlines):
    again = load_experiment(outlines.folder / "experiment.json")
    pd.testing.assert_frame_equal(again.scores, outlines.scores, check_dtype=False)
    assert again.models == ["li", "gray"]
    assert again.task == "segmentation"
    assert again.n_failed == 0


def test_report(outlines):
    text = (outlines.folder / "report.md").read_text()
    html = (outlines.folder / "report.html").read_text()
    mean = outlines.scores.groupby("model")["jaccard"].mean()
    for page in (text, html):
        assert f"{mean['li']:.3f}" in page
        assert "no medical device" in page
        assert "Skin tone (typology angle)" in page
        assert "No two of them are the same picture" in page
        assert "2-fold cross-validation, groups kept together, seed 3" in page
    assert html.count("data:image/jpeg") == 24  # twelve of each model
    assert html.count("data:image/svg+xml") == 1
    assert "<script" not in html
    assert "http" not in html.replace("http://www.w3.org", "").replace("https://matplotlib.org", "")
    assert len(html) < 1_000_000
    assert "| li − gray | 16 | Jaccard index |" in text


def test_classes_are_scored_out_of_fold(classes):
    scores = classes.scores
    assert list(scores.columns) == ["name", "model", "group", "target", "fold", "probability", "decision", "error"]
    assert scores["probability"].between(0, 1).all()
    assert (scores["decision"] == (scores["probability"] >= 0.5)).all()
    summary = classes.summary().set_index("score")
    assert summary.loc["roc_auc", "value"] == pytest.approx(roc_auc_score(scores["target"], scores["probability"]))
    assert summary.loc["brier", "value"] == pytest.approx(brier_score_loss(scores["target"], scores["probability"]))
    text = (classes.folder / "report.md").read_text()
    for words in ("Operating point", "Calibration", "in truth positive", "positives with the lowest probability"):
        assert words in text
    called = ((scores["decision"] == 1) & (scores["target"] == 1)).sum()
    assert f"| called positive | {called} |" in text


def test_rerun_in_a_new_process_gives_the_same_numbers(classes, tmp_path):
    code = (
        "import sys; from skinseg.evaluation import rerun_experiment\n"
        "again = rerun_experiment(sys.argv[1], sys.argv[2])\n"
        "print(again.rerun.identical, again.rerun.changed)"
    )
    out = tmp_path / "again"
    told = subprocess.check_output([sys.executable, "-W", "error", "-c", code, classes.folder, out], text=True)
    assert told.strip() == "True []"
    for name in ("scores.csv", "images.csv"):
        first, second = (pd.read_csv(folder / name) for folder in (classes.folder, out))
        paths = [column for column in ("image", "mask") if column in first]  # are relative to the folder
        pd.testing.assert_frame_equal(first.drop(columns=paths), second.drop(columns=paths))
    report, again = ((folder / "report.md").read_text() for folder in (classes.folder, out))
    assert report == again


def test_workers_change_nothing(outlines, table, tmp_path):
    columns = {"mask_column": "mask", "target_column": "target", "group_column": "lesion"}
    models = {"li": ThresholdSegmenter("li")}
    two = run_experiment(models, table, tmp_path / "two", **columns, folds=2, seed=3, n_jobs=2, **QUICK)
    one = outlines.scores[outlines.scores["model"] == "li"].reset_index(drop=True)
    pd.testing.assert_frame_equal(two.scores, one)


def test_rerun_names_what_has_changed(table, lesion_files, tmp_path):
    """On a copy of the data, of which one image and one mask are changed then."""
    frame = pd.read_csv(table).head(6)
    for name in [*frame["image"], *frame["mask"]]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((lesion_files / name).read_bytes())
    frame.to_csv(tmp_path / "t.csv", index=False)
    columns = {"mask_column": "mask", "group_column": "lesion"}
    first = run_experiment("threshold", tmp_path / "t.csv", tmp_path / "a", **columns, **QUICK)
    image = cv2.imread(str(tmp_path / frame["image"][1]))
    cv2.imwrite(str(tmp_path / frame["image"][1]), image[::-1])
    mask = cv2.imread(str(tmp_path / frame["mask"][4]))
    cv2.imwrite(str(tmp_path / frame["mask"][4]), 255 - mask)
    again = rerun_experiment(first.folder, tmp_path / "b")
    assert again.rerun.changed == ["the image of a01", "the mask of a04"]
    assert not again.rerun.same
    assert any(text.startswith("jaccard: 2 rows") for text in again.rerun.differences)
    assert "NOT the same numbers" in str(again.rerun)
    frame.drop(index=5).to_csv(tmp_path / "t.csv", index=False)
    short = rerun_experiment(first.folder, tmp_path / "c").rerun
    assert short.changed[:2] == ["the table t.csv", "the image a05 is not there any more"]
    (tmp_path / "t.csv").unlink()
    with pytest.raises(FileNotFoundError, match="the table of the data is not there any more"):
        rerun_experiment(first.folder, tmp_path / "d")


def test_models_are_found_again_or_asked_for(outlines, tmp_path):
    with pytest.raises(ValueError, match=r"models=\{'gray': model\}"):
        rerun_experiment(outlines.folder, tmp_path / "a")
    again = rerun_experiment(outlines.folder, tmp_path / "b", models={"gray": GrayLevel()})
    assert again.rerun.identical


def test_data_of_a_loader_are_kept_as_a_table(lesion_files, table, tmp_path):
    frame = pd.read_csv(table)
    data = Bunch(
        images=[str(lesion_files / name) for name in frame["image"]],
        masks=[lesion_files / name for name in frame["mask"]],
        target=frame["target"].to_numpy(),
        groups=frame["lesion"].to_numpy(),
        frame=frame,
        DESCR="Lesions of a test.\nMore of them.",
    )
    data.masks[2] = None
    first = run_experiment("threshold", data, tmp_path / "a", where={"sex": "female"}, **QUICK)
    assert first.config["data"]["description"] == "Lesions of a test."
    assert first.scores["note"].tolist().count("no expert mask") == (frame["sex"][2] == "female")
    again = rerun_experiment(first.folder, tmp_path / "b")
    assert again.rerun.identical
    assert again.rerun.changed == []
    reports = [(folder / "report.md").read_text() for folder in (first.folder, again.folder)]
    assert reports[0] == reports[1]
    assert again.config["settings"] == first.config["settings"]
    assert rerun_experiment(again.folder, tmp_path / "c").rerun.identical


def test_arrays_are_given_again(lesions, tmp_path):
    first = run_experiment("threshold", lesions, tmp_path / "a", **QUICK)
    assert first.scores["name"][3] == "image_00003"
    with pytest.raises(ValueError, match="were arrays and are not kept"):
        rerun_experiment(first.folder, tmp_path / "b")
    assert rerun_experiment(first.folder, tmp_path / "b", data=lesions).rerun.identical


def test_split_column_and_parquet(table, lesion_files, tmp_path):
    frame = pd.read_csv(table).assign(part=["learn"] * 10 + ["check"] * 6)
    frame.to_csv(lesion_files / "parts.csv", index=False)
    columns = {"mask_column": "mask", "split_column": "part", "train": "learn", "test": "check"}
    columns["group_column"] = "lesion"
    done = run_experiment({"gray": GrayLevel()}, lesion_files / "parts.csv", tmp_path / "a", **columns, n_resamples=50,
                          table_format="parquet")  # fmt: skip
    assert done.scores["name"].tolist() == [f"a{index:02d}" for index in range(10, 16)]
    assert load_experiment(tmp_path / "a").scores.equals(done.scores)
    assert any("no leak found" in text for text in done.config["checks"])
    with pytest.raises(ValueError, match="no image has 'test' in the column 'part', which holds 'learn', 'check'"):
        run_experiment({"gray": GrayLevel()}, lesion_files / "parts.csv", tmp_path / "b", **columns | {"test": "test"})


def test_leaks_are_told(table, lesion_files, tmp_path):
    frame = pd.read_csv(table).head(8)
    copied = frame.iloc[[0]].assign(image="images/copy.png", lesion="L9")
    cv2.imwrite(str(lesion_files / "images" / "copy.png"), cv2.imread(str(lesion_files / frame["image"][0]))[:, ::-1])
    try:
        pd.concat([frame, copied]).to_csv(lesion_files / "leak.csv", index=False)
        options = {"mask_column": "mask", "group_column": "lesion", "n_resamples": 20}
        done = run_experiment("threshold", lesion_files / "leak.csv", tmp_path / "a", folds=5, **options)
    finally:
        (lesion_files / "images" / "copy.png").unlink()
    assert any("a00 = copy" in text and "in different groups" in text for text in done.config["checks"])
    crossing = done.scores.set_index("name")["fold"]
    assert any(text.startswith("LEAK: 1 ") for text in done.config["checks"]) == (crossing["a00"] != crossing["copy"])


def test_images_that_fail_and_masks_that_are_missing(broken_files, lesions, tmp_path):
    cv2.imwrite(str(broken_files / "mask.png"), lesions.masks[0].astype(np.uint8) * 255)
    cv2.imwrite(str(broken_files / "small.png"), np.full((3, 3), 255, np.uint8))
    cv2.imwrite(str(broken_files / "bare.png"), lesions.images[1])
    cv2.imwrite(str(broken_files / "wrong.png"), lesions.images[2])
    cv2.imwrite(str(broken_files / "gone.png"), lesions.images[3])
    frame = pd.DataFrame(
        {
            "image": ["good.jpg", "empty.jpg", "cut.jpg", "none.jpg", "bare.png", "wrong.png", "gone.png"],
            "mask": ["mask.png", "mask.png", "mask.png", "mask.png", None, "small.png", "missing.png"],
        }
    )
    frame.to_csv(broken_files / "t.csv", index=False)
    done = run_experiment("threshold", broken_files / "t.csv", tmp_path / "out", mask_column="mask", **QUICK)
    table = done.scores.set_index("name")
    assert table["jaccard"].notna().tolist() == [True] + 6 * [False]
    assert "0 bytes" in table.loc["empty", "error"]
    assert "cut short" in table.loc["cut", "error"]
    assert "does not exist" in table.loc["none", "error"]
    assert (table.loc[["bare", "wrong", "gone"], "error"] == "").all()
    assert (table.loc[["bare", "wrong", "gone"], "note"] == "no expert mask").all()
    assert done.n_failed == 3
    text = (done.folder / "report.md").read_text()
    assert "3 of 7 images failed" in text
    assert "3 images have no expert mask that can be used" in text
    assert "wrong: " in text
    assert "missing.png: the file does not exist" in text
    counted = table["jaccard"].sum() / 4
    assert (
        f"3 images failed with threshold and are left out; counted as 0 they make the mean Jaccard index {counted:.3f}"
        in text
    )
    frame.iloc[1:4].to_csv(broken_files / "u.csv", index=False)
    with pytest.raises(ValueError, match=r"none of the 3 images could be scored; the first, empty: .*0 bytes"):
        run_experiment("threshold", broken_files / "u.csv", tmp_path / "none", mask_column="mask", **QUICK)
    assert not (tmp_path / "none").exists()
    frame.iloc[[6]].to_csv(broken_files / "v.csv", index=False)
    with pytest.raises(ValueError, match="they have no expert masks that can be used"):
        run_experiment("threshold", broken_files / "v.csv", tmp_path / "none", mask_column="mask", **QUICK)


def test_one_class_only(table, tmp_path):
    model = Constant().fit(None, None)
    options = {"target_column": "target", "where": {"target": 0}, **QUICK}
    done = run_experiment({"constant": model}, table, tmp_path / "a", group_column="lesion", **options)
    summary = done.summary().set_index("score")["value"]
    assert np.isnan(summary["roc_auc"])
    assert summary["brier"] == pytest.approx(0.09)
    assert summary["specificity"] == 1
    assert "Not defined on these images (one class only): ROC AUC" in (done.folder / "report.md").read_text()
    with pytest.raises(ValueError, match="training images of fold 1 are of one class only"):
        run_experiment({"constant": Constant()}, table, tmp_path / "b", folds=2, group_column="lesion", **options)


def test_classes_that_do_not_fit(table, tmp_path):
    options = {"target_column": "diagnosis", "group_column": "lesion", **QUICK}
    fitted = {"c": Constant(("nevus", "carcinoma")).fit(None, None)}
    with pytest.raises(ValueError, match=r"the model 'c' tells \['nevus', 'carcinoma'\] apart.*'melanoma'"):
        run_experiment(fitted, table, tmp_path / "a", pos_label="melanoma", **options)
    with pytest.raises(ValueError, match=r"classes of the data are \['melanoma', 'nevus'\]; say which is positive"):
        run_experiment(fitted, table, tmp_path / "a", **options)
    named = {"c": Constant(("nevus", "melanoma"), 0.8).fit(None, None)}
    done = run_experiment(named, table, tmp_path / "a", pos_label="melanoma", **options)
    assert (done.scores["decision"] == 1).all()
    assert done.summary().set_index("score").loc["sensitivity", "value"] == 1


def test_several_classes(table, lesion_files, tmp_path):
    class Three(Constant):
        def predict_proba(self, X):
            return np.random.default_rng(0).dirichlet([1, 1, 1], len(X))

    frame = pd.read_csv(table).assign(kind=["a", "b", "c", "b"] * 4)
    frame.to_csv(lesion_files / "kinds.csv", index=False)
    model = {"three": Three(("a", "b", "c")).fit(None, None)}
    options = {"target_column": "kind", "group_column": "lesion", **QUICK}
    done = run_experiment(model, lesion_files / "kinds.csv", tmp_path / "a", **options)
    assert {"probability_a", "probability_b", "probability_c", "decision"} <= set(done.scores)
    values = done.scores[[f"probability_{name}" for name in "abc"]]
    expected = roc_auc_score(frame["kind"], values, multi_class="ovr")
    assert done.summary().set_index("score").loc["roc_auc", "value"] == pytest.approx(expected)
    assert "surest of the wrong classes" in (done.folder / "report.md").read_text()
    more = {**model, "four": Constant(("a", "b", "c", "d")).fit(None, None)}
    more["four"].predict_proba = lambda X: np.tile([0.4, 0.3, 0.2, 0.1], (len(X), 1))
    both = run_experiment(more, lesion_files / "kinds.csv", tmp_path / "both", **options)  # one knows a class more
    accuracy = both.summary().query("score == 'accuracy'").set_index("model")["value"]
    assert accuracy.to_dict() == pytest.approx(
        {"three": done.summary().query("score == 'accuracy'")["value"].item(), "four": 0.25}
    )
    binary = run_experiment({"c": Constant().fit(None, None)}, lesion_files / "kinds.csv", tmp_path / "b",
                            pos_label="a", **options)  # fmt: skip
    assert binary.scores["target"].tolist() == [1, 0, 0, 0] * 4
    with pytest.raises(ValueError, match=r"classes \['b', 'c'\], which the model 'two' does not know"):
        run_experiment(
            {"two": Constant(("a", "z")).fit(None, None)}, lesion_files / "kinds.csv", tmp_path / "c", **options
        )


def test_ungrouped_data_are_told(table, tmp_path):
    with pytest.warns(UngroupedWarning, match="ids in the column 'lesion' repeat"):
        done = run_experiment("threshold", table, tmp_path / "a", mask_column="mask", folds=2, **QUICK)
    assert "ids in the column 'lesion' repeat" in (done.folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("models", "options", "error", "words"),
    [
        ("threshold", {}, ValueError, "no image has an expert mask"),
        ("otsu", {"mask_column": "mask"}, ValueError, "'otsu' is neither the name of a model"),
        ([], {"mask_column": "mask"}, ValueError, "at least one model"),
        (3, {"mask_column": "mask"}, TypeError, "a name, a model file or an estimator, got 3"),
        ("threshold", {"task": "classification", "target_column": "target"}, ValueError, "gives no classes"),
        ("superpixel", {"mask_column": "mask"}, ValueError, "'superpixel' .* is not fitted and learns from data"),
        (Constant(), {}, ValueError, "the data have no classes to compare with"),
        (["threshold", Constant()], {"mask_column": "mask"}, ValueError, "for several tasks"),
        ("threshold", {"mask_column": "mask", "folds": 9}, ValueError, "9 folds need as many groups .* belong to 8"),
        ("threshold", {"mask_column": "mask", "folds": 2, "split_column": "sex"}, ValueError, "not both"),
        ("threshold", {"mask_column": "mask", "subgroup_columns": ["no"]}, ValueError, "no column 'no'"),
        ("threshold", {"mask_column": "mask", "table_format": "xlsx"}, ValueError, "'csv' or 'parquet'"),
        ("threshold", {"mask_column": "mask", "confidence": 95}, ValueError, "confidence must lie in"),
        ("threshold", {"mask_column": "mask", "n_resamples": 0}, ValueError, "at least 1"),
        ("threshold", {"mask_column": "mask", "task": "sorting"}, ValueError, "task must be"),
    ],
)
def test_bad_calls_write_nothing(models, options, error, words, table, tmp_path):
    with pytest.raises(error, match=words):
        run_experiment(models, table, tmp_path / "out", group_column="lesion", **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_way(table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("all of it")
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        run_experiment("threshold", table, tmp_path / "out", mask_column="mask")
    with pytest.raises(FileNotFoundError, match="make it first"):
        run_experiment("threshold", table, tmp_path / "no" / "out", mask_column="mask")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "all of it"


def test_an_image_twice(table, lesion_files, tmp_path):
    frame = pd.read_csv(table)
    pd.concat([frame, frame.head(2)]).to_csv(lesion_files / "twice.csv", index=False)
    with pytest.raises(ValueError, match=r"2 image\(s\) are there more than once \(a00, a01\)"):
        run_experiment(
            "threshold", lesion_files / "twice.csv", tmp_path / "a", mask_column="mask", group_column="lesion"
        )


def test_folders_that_are_no_experiment(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no experiment"):
        load_experiment(tmp_path)
    (tmp_path / "experiment.json").write_text("{}")
    with pytest.raises(ValueError, match="no experiment of skinseg"):
        load_experiment(tmp_path)
    (tmp_path / "experiment.json").write_text('{"format": 99, "results": {}, "settings": {"table_format": "csv"}}')
    with pytest.raises(ValueError, match="later skinseg"):
        load_experiment(tmp_path)


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        (None, "models", [1], "'models' is no object"),
        (None, "models", {"../../x": {}}, "'../../x' is no model"),
        (None, "versions", None, "'versions' is no object"),
        ("settings", "table_format", "csv/../../x", "table_format is 'csv/../../x'"),
        ("results", "scores_sha256", ..., "scores_sha256"),
        (None, "format", "one", "not supported"),
        ("settings", "n_jobs", 8, "settings that this skinseg does not know: n_jobs"),
    ],
)
def test_foreign_files_are_checked(part, name, value, words, outlines, tmp_path):
    """Of an experiment.json that comes from elsewhere nothing is taken on trust."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    for file in ("scores.csv", "images.csv"):
        (folder / file).write_bytes((outlines.folder / file).read_bytes())
    config = json.loads((outlines.folder / "experiment.json").read_text())
    place = config if part is None else config[part]
    place[name] = value
    if value is ...:
        del place[name]
    (folder / "experiment.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=words):
        rerun_experiment(folder, tmp_path / "out")


def test_an_image_called_na(outlines, tmp_path):
    """Which is text, and not a value that is missing."""
    for file in ("experiment.json", "scores.csv", "images.csv"):
        text = (outlines.folder / file).read_text()
        (tmp_path / file).write_text(text.replace("a01,", "NA,").replace(",L0,", ",None,"))
    found = load_experiment(tmp_path)
    assert found.scores["name"][1] == "NA"
    assert found.images["group"][:2].tolist() == ["None", "None"]
    assert np.isnan(found.images["typology_angle"]).sum() == np.isnan(outlines.images["typology_angle"]).sum()


def test_folders_of_images_with_the_same_names(lesion_files, table, tmp_path):
    """They are named by their folders, as seen from the one they share, and never from the root of the machine."""
    frame = pd.read_csv(table).head(4)
    for index, name in enumerate(frame["image"]):
        place = tmp_path / "Bilder ü" / f"{index}"
        place.mkdir(parents=True)
        (place / "x.png").write_bytes((lesion_files / name).read_bytes())
    (tmp_path / "tables").mkdir()
    frame["image"] = [f"../Bilder ü/{index}/x.png" for index in range(4)]
    frame["mask"] = [str(lesion_files / name) for name in frame["mask"]]
    frame.to_csv(tmp_path / "tables" / "t.csv", index=False)
    columns = {"mask_column": "mask", "group_column": "lesion"}
    done = run_experiment("threshold", tmp_path / "tables" / "t.csv", tmp_path / "a b", **columns, **QUICK)
    assert done.images["name"].tolist() == ["0-x", "1-x", "2-x", "3-x"]
    assert done.images["image"][0] == "../Bilder ü/0/x.png"


def test_names_and_values_stay_text_in_reports(lesion_files, table, tmp_path):
    frame = pd.read_csv(table).assign(site=["<script>alert(1)</script>", "![x](http://a.b/c.png)"] * 8)
    (tmp_path / "<img src=x>.png").write_bytes((lesion_files / frame["image"][0]).read_bytes())
    frame["image"] = [tmp_path / "<img src=x>.png", *(lesion_files / name for name in frame["image"][1:])]
    frame["mask"] = [lesion_files / name if index else None for index, name in enumerate(frame["mask"])]
    frame.to_csv(tmp_path / "t.csv", index=False)
    columns = {"mask_column": "mask", "group_column": "lesion"}
    done = run_experiment("threshold", tmp_path / "t.csv", tmp_path / "a", **columns, **QUICK)
    html, text = ((done.folder / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert "<img src=x" not in html
    assert r"\<script>alert(1)\</script> † | 7 |" in text  # the first has no mask: seven of eight are scored
    assert r"- \<img src=x>: none is named" in text
    assert r"![x]\(http" in text
    assert "| Images tested | 16, of 8 groups" in text
    assert "| Images scored | 15 |" in text


def test_a_folder_that_cannot_be_written_is_told_before_the_work(table, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    monkeypatch.setattr("skinseg.evaluation._experiment.segment", None)  # is not come to
    with pytest.raises(PermissionError, match=r"out cannot be written \(Permission denied\); choose another folder"):
        run_experiment("threshold", table, tmp_path / "out", mask_column="mask", group_column="lesion")


def test_models_with_clinical_columns(table, lesion_files, tmp_path):
    """Are refused before the work where the columns are not named; no address of memory is in the record."""
    frame = pd.read_csv(table)
    columns = ["age_approximate", "sex"]
    X = frame.assign(image=[lesion_files / name for name in frame["image"]])[["image", *columns]]
    pipe = make_lesion_pipeline(ThresholdSegmenter(), max_side=64, metadata=columns).fit(X.head(8), frame["target"][:8])
    options = {"target_column": "target", "group_column": "lesion", **QUICK}
    with pytest.raises(ValueError, match=r"the model 'p' uses the clinical columns .*name them all \(metadata_columns"):
        run_experiment({"p": pipe}, table, tmp_path / "a", **options)
    done = run_experiment({"p": pipe}, table, tmp_path / "a", metadata_columns=columns, **options)
    assert "<function image_columns>" in done.config["models"]["p"]["parameters"]


def test_a_saved_model_is_fitted_anew_in_folds(table, tmp_path):
    """A threshold around a frozen model, as training saves it, would hand on what it has learnt from all images."""
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier

    class Remembers(Constant):
        def fit(self, X, y):
            self.seen_ = [record.name for record in X]
            return super().fit(X, y)

        def predict_proba(self, X):
            known = np.array([record.name in self.seen_ for record in X], float)
            return np.column_stack([1 - known, known])

    inner = Remembers().fit([skinseg.LesionImage(np.zeros((2, 2, 3), np.uint8), name="a00")], [0])
    model = FixedThresholdClassifier(FrozenEstimator(inner), threshold=0.2, pos_label=1)
    options = {"target_column": "target", "group_column": "lesion", **QUICK}
    done = run_experiment({"m": model}, table, tmp_path / "a", folds=2, **options)
    assert (done.scores["probability"] == 0).all()


def test_interval_is_a_tuple_of_numbers(classes):
    for values in classes.config["results"]["headline"]["pipe"].values():
        assert len(Interval(*values)) == 3
