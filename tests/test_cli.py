"""The command: what it writes, what it says, how it exits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

import skinseg
from skinseg.cli import main
from skinseg.features import FEATURES


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=True)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def model(lesion_files, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "m.skops"
    text = run("train", lesion_files / "lesions.csv", "--target-column", "target", "--group-column", "lesion",
               "--mask-column", "mask", "--folds", "2", "--out", out, "-q")  # fmt: skip
    assert "ROC AUC: " in text
    assert "Jaccard index of the outlines: " in text
    assert "8 groups, 2 folds" in text
    return out


def test_segment_folder(lesion_files, tmp_path):
    text = run("segment", lesion_files / "images", "--out", tmp_path / "out", "-q")
    assert "16 of 16 images segmented" in text
    assert "no medical device" in text
    for path in (lesion_files / "images").iterdir():
        mask = np.asarray(Image.open(tmp_path / "out" / f"{path.stem}_segmentation.png"))
        assert mask.shape == skinseg.read_image(path).shape[:2]
        assert set(np.unique(mask)) <= {0, 255}
        expected = skinseg.PretrainedSegmenter().predict([path])[0]
        assert np.mean((mask > 0) != expected) < 0.002  # a batch of another size may differ in the last bit
    assert not list((tmp_path / "out").glob(".*"))


def test_segment_files_and_patterns_in_parallel(lesion_files, tmp_path):
    run("segment", lesion_files / "images" / "a00.png", f"{lesion_files}/images/a1*.png", "--out", tmp_path, "-j", 2)
    assert len(list(tmp_path.iterdir())) == 7


def test_segment_lists_bad_files_and_goes_on(broken_files, tmp_path):
    text = run("segment", broken_files, broken_files / "missing.jpg", "--out", tmp_path / "out", "-q", code=1)
    assert "1 of 5 images segmented" in text
    assert "failed: 4 images" in text
    for name, words in {
        "missing": "does not exist",
        "empty": "0 bytes",
        "text": "not an image",
        "cut": "cut short",
    }.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {broken_files / name}.jpg: ")]
        assert words in line
        assert line.count(f"{name}.jpg") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good_segmentation.png"]


def test_segment_reports_images_without_lesion(tmp_path):
    Image.new("RGB", (50, 40), (200, 180, 170)).save(tmp_path / "wall.png")
    text = run("segment", tmp_path / "wall.png", "--out", tmp_path / "out", "-q")
    assert "no lesion found in 1 image" in text
    assert not np.asarray(Image.open(tmp_path / "out" / "wall_segmentation.png")).any()


def test_segment_tells_the_confidence(lesion_files, tmp_path, monkeypatch):
    monkeypatch.setattr("skinseg.outlining.DOUBTFUL", 0.999)
    image = lesion_files / "images" / "a00.png"
    text = run("segment", image, "--out", tmp_path, "--table", tmp_path / "t.csv", "-q")
    run("segment", image, "--out", tmp_path / "new", "--table", tmp_path / "new" / "t.csv", "-q")  # made on the way
    assert (tmp_path / "new" / "t.csv").read_text().count("\n") == 2
    table = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert list(table.columns) == ["image", "mask", "confidence", "error"]
    (record,) = skinseg.PretrainedSegmenter().transform([image])
    assert table["confidence"][0] == pytest.approx(record.confidence, abs=1e-3)
    assert f"  {image}: {record.confidence:.2f}" in text
    text = run("segment", image, "--out", tmp_path, "--segmenter", "threshold", "-q")
    assert "worth a look" not in text  # it knows no confidence
    text = run("segment", image, "--out", tmp_path, "--table", tmp_path / "t.txt", "-q", code=2)
    assert "must end in .csv or .tsv or .parquet" in text


def test_segment_with_a_model_file(lesion_files, tmp_path):
    path = skinseg.save(skinseg.ThresholdSegmenter("li"), tmp_path / "li.skops")
    run("segment", lesion_files / "images" / "a00.png", "--segmenter", path, "--out", tmp_path / "out", "-q")
    expected = skinseg.ThresholdSegmenter("li").predict([lesion_files / "images" / "a00.png"])[0]
    np.testing.assert_array_equal(skinseg.read_mask(tmp_path / "out" / "a00_segmentation.png"), expected)


def test_pipelines_and_frozen_segmenters_as_model_files(lesion_files, broken_files, tmp_path):
    segmenter = skinseg.ThresholdSegmenter()
    steps = [("r", skinseg.ImageResizer(128)), ("s", segmenter)]
    images = [skinseg.read_image(lesion_files / "images" / "a00.png")]
    models = {
        "pipeline": Pipeline(steps).fit(images),
        "batched": skinseg.BatchedPipeline(steps).fit(images),
        "frozen": FrozenEstimator(segmenter),
    }
    for name, model in models.items():
        path = skinseg.save(model, tmp_path / f"{name}.skops")
        for command, out in (("segment", tmp_path / name), ("features", tmp_path / "f.csv")):
            text = run(command, broken_files, "--out", out, "--segmenter", path, "-q", code=1)
            assert "1 of 4 images" in text
            assert sum("cut short" in line for line in text.splitlines()) == 1
        args = ["--target-column", "target", "--mask-column", "mask", "--folds", 2, "--segmenter", path]
        text = run("train", lesion_files / "lesions.csv", *args, "--out", tmp_path / "m.skops", "-q")
        assert "Jaccard index of the outlines: " in text
        assert "(16 masks)" in text
        run("predict", broken_files, "--model", tmp_path / "m.skops", "--out", tmp_path / "p.csv", "-q", code=1)
        assert pd.read_csv(tmp_path / "p.csv", dtype=str)["decision"].dropna().isin(["0", "1"]).all()


def test_superpixels_are_trained_and_outline_from_the_model_file(lesion_files, tmp_path):
    image = lesion_files / "images" / "a00.png"
    text = run("segment", image, "--segmenter", "superpixel", "--out", tmp_path / "out", "-q", code=2)
    assert "learns from expert masks" in text
    args = ["--target-column", "target", "--mask-column", "mask", "--folds", 2, "--segmenter", "superpixel"]
    run("train", lesion_files / "lesions.csv", *args, "--out", tmp_path / "m.skops", "-q")
    run("segment", image, "--segmenter", tmp_path / "m.skops", "--out", tmp_path / "out", "-q")
    mask = skinseg.read_mask(tmp_path / "out" / "a00_segmentation.png")
    expected = skinseg.read_mask(lesion_files / "masks" / "a00_segmentation.png")
    assert skinseg.metrics.jaccard_score([expected], [mask]) > 0.7


@pytest.mark.parametrize("name", ["threshold", "kmeans", "chan-vese", "grabcut", "saliency", "ensemble"])
def test_segmenters_by_name(name, lesion_files, tmp_path):
    run("segment", lesion_files / "images" / "a00.png", "--segmenter", name, "--out", tmp_path / "out", "-q")
    assert skinseg.read_mask(tmp_path / "out" / "a00_segmentation.png").any()


def test_features(lesion_files, tmp_path):
    for name in ("f.csv", "f.tsv", "f.parquet"):
        run("features", lesion_files / "images", "--out", tmp_path / name, "-q", "-j", 2)
    table = pd.read_csv(tmp_path / "f.csv")
    assert list(table.columns) == ["image", *FEATURES, "error"]
    assert len(table) == 16
    assert table["error"].isna().all()
    assert np.isfinite(table["asymmetry_shape"]).all()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "f.parquet")[list(FEATURES)], table[list(FEATURES)])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "f.tsv", sep="\t"), table)


def test_features_on_given_masks(lesion_files, lesions, tmp_path):
    run("features", lesion_files / "images", "--masks", lesion_files / "masks", "--groups", "dimension,border",
        "--out", tmp_path / "f.csv", "-q")  # fmt: skip
    table = pd.read_csv(tmp_path / "f.csv")
    assert not [column for column in table if column.startswith(("color", "asymmetry"))]
    np.testing.assert_allclose(table["dimension_area_px"], [mask.sum() for mask in lesions.masks])


def test_features_in_millimeters(lesion_files, tmp_path):
    files = sorted((lesion_files / "images").iterdir())[:2]
    options = ["--masks", lesion_files / "masks", "--groups", "dimension", "-q"]
    run("features", *files, *options, "--pixel-size", 0.02, "--out", tmp_path / "f.csv")
    table = pd.read_csv(tmp_path / "f.csv")
    np.testing.assert_allclose(table["dimension_feret_max_mm"], 0.02 * table["dimension_feret_max_px"])
    np.testing.assert_allclose(table["dimension_area_mm2"], 0.0004 * table["dimension_area_px"])
    text = run("features", *files, *options, "--pixel-size", 0, "--out", tmp_path / "g.csv", code=2)
    assert "--pixel-size" in text


def test_features_keep_a_row_for_every_image(broken_files, tmp_path):
    text = run("features", broken_files, "--out", tmp_path / "f.csv", "-q", code=1)
    table = pd.read_csv(tmp_path / "f.csv").set_index("image")
    assert len(table) == 4
    assert "failed: 3 images" in text
    assert "cut short" in table.loc[str(broken_files / "cut.jpg"), "error"]
    assert np.isfinite(table.loc[str(broken_files / "good.jpg"), "border_solidity"])


def test_features_without_a_mask_for_an_image(lesion_files, tmp_path):
    (tmp_path / "masks").mkdir()
    image, masks = lesion_files / "images" / "a00.png", tmp_path / "masks"
    text = run("features", image, "--masks", masks, "--out", tmp_path / "f.csv", "-q", code=1)
    assert "a00_segmentation.png: the file does not exist" in text


def test_predict(lesion_files, lesions, model, tmp_path):
    run("predict", lesion_files / "images", "--model", model, "--out", tmp_path / "p.csv", "-q")
    table = pd.read_csv(tmp_path / "p.csv")
    assert list(table.columns) == ["image", "melanoma_probability", "decision", "error"]
    assert table["melanoma_probability"].between(0, 1).all()
    fitted = skinseg.load(model)
    np.testing.assert_array_equal(table["decision"], table["melanoma_probability"] >= fitted.threshold)
    np.testing.assert_array_equal(table["decision"], fitted.predict(list(table["image"])))


def test_predict_gives_no_probability_where_nothing_was_seen(broken_files, model, tmp_path):
    Image.new("RGB", (50, 40), (200, 180, 170)).save(broken_files / "wall.png")
    text = run("predict", broken_files, "--model", model, "--out", tmp_path / "p.csv", "-q", code=1)
    table = pd.read_csv(tmp_path / "p.csv")
    known = table.set_index("image")["melanoma_probability"].notna()
    assert known[known].index.tolist() == [str(broken_files / "good.jpg")]
    assert table["decision"].notna().sum() == 1
    assert table.set_index("image").loc[str(broken_files / "wall.png"), "error"] == "no lesion found"
    assert "no lesion found in 1 image" in text


def test_train_and_predict_with_clinical_columns(lesion_files, tmp_path):
    table = lesion_files / "lesions.csv"
    text = run("train", table, "--target-column", "target", "--metadata-columns", "age_approximate,sex", "--folds", 2,
               "--sampler", "under", "--out", tmp_path / "m.skops", "-q")  # fmt: skip
    assert "clinical columns known: age_approximate 100%, sex 94%" in text
    args = ["predict", lesion_files / "images", "--model", tmp_path / "m.skops", "--out", tmp_path / "p.csv", "-q"]
    run(*args, "--table", table)
    assert pd.read_csv(tmp_path / "p.csv")["melanoma_probability"].notna().all()
    assert "give a table with them (--table)" in run(*args, code=2)
    pd.read_csv(table).iloc[2:].to_csv(tmp_path / "short.csv", index=False)
    assert "not in the table" in run(*args, "--table", tmp_path / "short.csv", code=1)
    assert pd.read_csv(tmp_path / "p.csv")["melanoma_probability"].notna().sum() == 14
    args = ["train", table, "--target-column", "target", "--metadata-columns", "age,sex", "--out", tmp_path / "n.skops"]
    assert "no column 'age' (metadata)" in run(*args, code=2)


def test_train_on_names_of_classes(lesion_files, tmp_path):
    args = [
        "train",
        lesion_files / "lesions.csv",
        "--target-column",
        "diagnosis",
        "--folds",
        2,
        "--out",
        tmp_path / "m.skops",
    ]
    assert "say which is positive with --pos-label" in run(*args, "-q", code=2)
    run(*args, "--pos-label", "melanoma", "--classifier", "forest", "-q")
    run("predict", lesion_files / "images", "--model", tmp_path / "m.skops", "--out", tmp_path / "p.csv", "-q")
    assert set(pd.read_csv(tmp_path / "p.csv")["decision"]) <= {"melanoma", "nevus"}


def test_the_positive_class_is_known_or_asked_for(lesion_files, lesions, tmp_path):
    """Sorted, nevus is the second of melanoma and nevus: its probability must not be called that of melanoma."""
    files = sorted((lesion_files / "images").iterdir())
    probabilities = {}
    for names in (("nevus", "melanoma"), ("b", "a")):
        model = skinseg.make_lesion_pipeline(skinseg.ThresholdSegmenter(), max_side=64)
        model.fit(files, np.where(np.arange(len(files)) % 2, names[1], names[0]))
        path = skinseg.save(model, tmp_path / f"{names[1]}.skops")
        options = ["--model", path, "--out", tmp_path / "p.csv", "-q"]
        if names[1] == "a":
            text = run("predict", *files, *options, code=2)
            assert "which of them is the positive one is not known: name it (--pos-label" in text
            assert "is none of the classes" in run("predict", *files, *options, "--pos-label", "c", code=2)
            options += ["--pos-label", "a"]
        run("predict", *files, *options)
        probabilities[names[1]] = pd.read_csv(tmp_path / "p.csv")["melanoma_probability"]
        position = model.classes_.tolist().index(names[1])
        np.testing.assert_allclose(probabilities[names[1]], model.predict_proba(files)[:, position])
    out = tmp_path / "report.html"
    run("report", *files[:2], "--model", tmp_path / "melanoma.skops", "--no-cards", "--out", out, "-q")
    assert "P(melanoma)" in out.read_text("utf-8")


def test_excel_tables_that_are_no_utf8_have_a_way_out(tmp_path):
    (tmp_path / "t.csv").write_bytes("image;name\na.jpg;Müller\n".encode("cp1252"))
    text = run("train", tmp_path / "t.csv", "--target-column", "name", "--out", tmp_path / "m.skops", code=2)
    assert "save it as CSV in UTF-8" in text


def test_train_on_three_classes(lesion_files, tmp_path):
    table = pd.read_csv(lesion_files / "lesions.csv").assign(kind=[["a", "b", "c"][index % 3] for index in range(16)])
    table["image"] = [str(lesion_files / name) for name in table["image"]]
    table.to_csv(tmp_path / "three.csv", index=False)
    text = run(
        "train", tmp_path / "three.csv", "--target-column", "kind", "--folds", 2, "--out", tmp_path / "m.skops", "-q"
    )
    assert "ROC AUC of c: " in text
    run("predict", lesion_files / "images", "--model", tmp_path / "m.skops", "--out", tmp_path / "p.csv", "-q")
    predicted = pd.read_csv(tmp_path / "p.csv")
    columns = ["probability_a", "probability_b", "probability_c"]
    np.testing.assert_allclose(predicted[columns].sum(axis=1), 1)
    assert (predicted[columns].idxmax(axis=1).str[-1] == predicted["decision"]).all()


def test_train_leaves_bad_files_out_and_says_so(lesion_files, broken_files, tmp_path):
    table = pd.read_csv(lesion_files / "lesions.csv")
    table["image"] = [str(lesion_files / name) for name in table["image"]]
    bad = table.iloc[:2].assign(image=[str(broken_files / "missing.jpg"), str(broken_files / "cut.jpg")])
    pd.concat([table, bad]).to_csv(tmp_path / "t.csv", index=False)
    text = run(
        "train", tmp_path / "t.csv", "--target-column", "target", "--folds", 2, "--out", tmp_path / "m.skops", "-q"
    )
    assert "missing.jpg: the file does not exist" in text
    assert "1 of 18 images left out" in text
    assert "cut short" in text
    assert "1 images failed" in text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["segment", "{out}", "--out", "{out}/o"], "no image files in this folder"),
        (["segment", "", "--out", "{out}/o"], "the name of an image is empty"),
        (["segment", "{out}/*.jpg", "--out", "{out}/o"], "no file fits this pattern"),
        (["segment", "{folder}/images", "--out", "{out}/o", "--segmenter", "magic"], "'magic' is neither a segmenter"),
        (["segment", "{folder}/images"], "Missing option '--out'"),
        (["features", "{folder}/images", "--out", "{out}/f.xlsx"], "must end in .csv or .tsv or .parquet"),
        (["features", "{folder}/images", "--out", "{out}/no/f.csv"], "does not exist; make it first"),
        (["features", "{folder}/images", "--out", "{out}/f.csv", "--groups", "colour"],
         "must be a sequence of one or more"),
        (["features", "{folder}/images", "--out", "{out}/f.csv", "--masks", "{out}/no"], "folder of the masks"),
        (["train", "{out}/no.csv", "--target-column", "y", "--out", "{out}/m.skops"], "the table does not exist"),
        (["train", "{folder}/lesions.csv", "--target-column", "y", "--out", "{out}/m.skops"], "no column 'y'; its"),
        (["train", "{folder}/lesions.csv", "--target-column", "target", "--out", "{out}/m.skops", "--where",
          "target=1"],
         "one class only"),
        (["train", "{folder}/lesions.csv", "--target-column", "target", "--out", "{out}/m.skops", "--where", "x"],
         "not of the form"),
        (["train", "{folder}/lesions.csv", "--target-column", "target", "--out", "{out}/m.skops", "--folds", "12"],
         "fewer than the 12 folds"),
        (["train", "{folder}/lesions.csv", "--target-column", "target", "--out", "{out}/m.pkl"], "must end in .skops"),
        (["predict", "{folder}/images", "--out", "{out}/p.csv", "--model", "{out}/no.skops"],
         "`skinseg train` makes one"),
        (["predict", "{folder}/images", "--out", "{out}/p.csv", "--model", "{folder}/lesions.csv"],
         "not a model saved"),
        (["nonsense"], "No such command"),
    ],
)  # fmt: skip
def test_wrong_calls(lesion_files, tmp_path, args, words):
    args = [arg.format(folder=lesion_files, out=tmp_path) for arg in args]
    text = run(*args, code=2)
    assert words in " ".join(text.split())
    assert not list(tmp_path.glob("*.skops"))


def test_images_of_the_same_name_are_not_overwritten(lesion_files, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a00.png").write_bytes((lesion_files / "images" / "a00.png").read_bytes())
    text = run("segment", tmp_path / "b", lesion_files / "images", "--out", tmp_path / "o", code=2)
    assert "same name (a00)" in text


def test_a_segmenter_model_is_no_classifier(lesion_files, tmp_path):
    path = skinseg.save(skinseg.ThresholdSegmenter(), tmp_path / "s.skops")
    text = run("predict", lesion_files / "images", "--out", tmp_path / "p.csv", "--model", path, code=2)
    assert "no classifier but a ThresholdSegmenter" in text


def test_demo(tmp_path):
    (tmp_path / "demo" / "evaluation").mkdir(parents=True)
    (tmp_path / "demo" / "evaluation" / "experiment.json").write_text("{}")  # of an earlier one, which is replaced
    text = run("demo", "--out", tmp_path / "demo", "--samples", 40, "-q")
    assert "Jaccard index" in text
    assert "predictions for the 13 test images" in text
    told = {Path(word.rstrip(":")) for word in text.split() if word.startswith(str(tmp_path))}
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names == {
        "evaluation", "features.csv", "images", "lesions.csv", "masks", "model.skops", "outlines.jpg",
        "predictions.csv", "report.html",
    }  # fmt: skip
    assert told == {
        tmp_path / "demo" / name if name != "evaluation" else tmp_path / "demo" / "evaluation" / "report.html"
        for name in names
    }
    scores = pd.read_csv(tmp_path / "demo" / "evaluation" / "scores.csv")
    assert len(scores) == 13  # the test images alone
    assert (tmp_path / "demo" / "report.html").read_text("utf-8").count("<article") == 13


def test_demo_takes_no_folder_that_is_not_its_own(tmp_path):
    (tmp_path / "demo" / "evaluation").mkdir(parents=True)
    text = run("demo", "--out", tmp_path / "demo", "-q", code=2)
    assert "not of an earlier demo" in text
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["evaluation"]


@pytest.mark.parametrize("command", [[], ["segment"], ["features"], ["train"], ["predict"], ["report"], ["demo"]])
def test_help_has_examples_and_imports_nothing_heavy(command):
    code = (
        "import sys\nfrom skinseg.cli import main\n"
        f"try: main({[*command, '--help']!r})\n"
        "finally: print([m for m in ('numpy', 'sklearn', 'cv2', 'pandas') if m in sys.modules])"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.rstrip().endswith("[]")
    assert not command or "Examples:" in output
    assert "no medical device" in output
