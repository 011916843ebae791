"""The commands `skinseg evaluate` and `skinseg compare`."""

import cv2
import pandas as pd
import pytest
from click.testing import CliRunner
from layouts import write_isic2017

import skinseg
from skinseg.cli import main
from skinseg.evaluation import load_experiment


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=True)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


QUICK = ("--resamples", 50, "--no-duplicates", "-q")


@pytest.fixture(scope="module")
def scores(lesion_files, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluate") / "scores"
    text = run("evaluate", lesion_files / "lesions.csv", "--model", "threshold", "--model", "saliency", "--mask-column",
               "mask", "--group-column", "lesion", "--out", out, "--masks", *QUICK)  # fmt: skip
    assert "16 images of 8 groups, with 95 % intervals" in text
    assert "threshold:\n  jaccard: 0." in text
    assert f"written to {out}: report.html and report.md" in text
    assert "no medical device" in text
    return out


def test_folder(scores):
    assert len(list((scores / "masks" / "saliency").glob("*_segmentation.png"))) == 16
    assert load_experiment(scores).models == ["threshold", "saliency"]


def test_rerun(scores, tmp_path):
    text = run("evaluate", "--rerun", scores / "experiment.json", "--out", tmp_path / "again", "-q", "-j", 1)
    assert "the same numbers as before, to the last digit" in text
    text = run("evaluate", "--rerun", scores, "--out", tmp_path / "b", "--seed", 3, "--model", "li", "-q", code=2)
    assert "leave out --seed" in text


def test_rerun_on_changed_data_has_exit_code_1(lesion_files, tmp_path):
    frame = pd.read_csv(lesion_files / "lesions.csv").head(6)
    for name in [*frame["image"], *frame["mask"]]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((lesion_files / name).read_bytes())
    frame.to_csv(tmp_path / "t.csv", index=False)
    columns = ("--mask-column", "mask", "--group-column", "lesion")
    run("evaluate", tmp_path / "t.csv", "--model", "threshold", *columns, "--out", tmp_path / "a", *QUICK)
    cv2.imwrite(str(tmp_path / frame["mask"][0]), 255 - cv2.imread(str(tmp_path / frame["mask"][0])))
    text = run("evaluate", "--rerun", tmp_path / "a", "--out", tmp_path / "b", "-q", code=1)
    assert "NOT the same numbers" in text
    assert "  the mask of a00" in text
    text = run(
        "evaluate", lesion_files / "lesions.csv", "--rerun", tmp_path / "a", "--out", tmp_path / "c", "-q", code=1
    )
    assert "the table lesions.csv" in text  # another table in place of the first
    assert "the image a06 is new" in text


def test_compare(scores, tmp_path):
    text = run("compare", scores, scores, "--models", "threshold,saliency", "--out", tmp_path / "c", "--resamples", 50)
    assert "threshold minus saliency, on 16 images:" in text
    assert "  Jaccard index: 0." in text
    assert (tmp_path / "c" / "compare.html").is_file()
    text = run("compare", scores, scores, code=2)
    assert "say which one" in text
    assert "more than two models" in run("compare", scores, scores, "--models", "a,b,c", code=2)
    assert "holds no experiment" in run("compare", tmp_path, scores, code=2)


def test_a_trained_model_in_folds(lesion_files, tmp_path):
    pipe = skinseg.make_lesion_pipeline(skinseg.ThresholdSegmenter(), metadata=["sex"])
    model = skinseg.save(pipe, tmp_path / "mine.skops")
    table = lesion_files / "lesions.csv"
    text = run("evaluate", table, "--model", model, "--target-column", "diagnosis", "--pos-label",
               "melanoma", "--metadata-columns", "sex", "--folds", 2, "--out", tmp_path / "out", "--format", "parquet",
               *QUICK)  # fmt: skip
    assert "warning: ids in the column 'lesion' repeat" in text
    assert "mine:\n  roc_auc: " in text
    table = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert table["target"].sum() == 8
    assert load_experiment(tmp_path / "out").config["models"]["mine"]["file"] == "../mine.skops"


def test_folder_of_a_published_data_set(tmp_path):
    write_isic2017(tmp_path / "isic", n=4, n_validation=3)
    args = ("evaluate", tmp_path / "isic", "--layout", "isic2017", *QUICK)
    run(*args, "--model", "threshold", "--subset", "validation", "--out", tmp_path / "a")
    done = load_experiment(tmp_path / "a")
    assert len(done.images) == 3
    assert done.config["data"]["kept"]
    assert str(tmp_path) not in (tmp_path / "a" / "data.csv").read_text()
    run("evaluate", "--rerun", tmp_path / "a", "--out", tmp_path / "b", "-q")
    assert load_experiment(tmp_path / "b").config["results"] == done.config["results"]
    (tmp_path / "isic" / "ISIC-2017_Training_Data" / "ISIC_0000002.jpg").unlink()
    pipe = skinseg.make_lesion_pipeline(skinseg.ThresholdSegmenter())
    model = skinseg.save(pipe, tmp_path / "m.skops")
    text = run(*args, "--model", model, "--subset", "all", "--split-column", "subset", "--train", "training",
               "--test", "test", "--out", tmp_path / "c")  # fmt: skip
    assert "m:\n  roc_auc: " in text
    assert "files of the data set are missing" in (tmp_path / "c" / "report.md").read_text()


def test_images_that_fail_have_exit_code_1(broken_files, lesions, tmp_path):
    cv2.imwrite(str(broken_files / "mask.png"), lesions.masks[0] * 255.0)
    pd.DataFrame({"image": ["good.jpg", "cut.jpg"], "mask": "mask.png"}).to_csv(broken_files / "t.csv", index=False)
    args = ("evaluate", broken_files / "t.csv", "--model", "threshold", "--mask-column", "mask", *QUICK)
    text = run(*args, "--out", tmp_path / "out", code=1)
    assert "failed: 1 images" in text
    assert "cut (threshold): " in text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--model", "threshold"], "give a TABLE of images"),
        (["{table}"], "give at least one --model"),
        (["{table}", "--model", "otsu", "--mask-column", "mask"], "neither the name of a model"),
        (["{table}", "--model", "threshold"], "no image has an expert mask"),
        (["{table}", "--model", "threshold", "--mask-column", "no"], "has no column 'no'"),
        (["{table}", "--model", "threshold", "--where", "sex"], "COLUMN=VALUE"),
        (["{table}", "--model", "threshold", "--layout", "isic1999"], "there is no layout 'isic1999', but "),
        (["none.csv", "--model", "threshold"], "does not exist"),
    ],
)
def test_wrong_calls_have_exit_code_2(args, words, lesion_files, tmp_path):
    args = [arg.format(table=lesion_files / "lesions.csv") for arg in args]
    assert words in run("evaluate", *args, "--group-column", "lesion", "--out", tmp_path / "out", "-q", code=2)
    assert not list(tmp_path.iterdir())


def test_help_is_quick_and_has_examples():
    text = run("evaluate", "--help")
    assert "skinseg evaluate --rerun scores/experiment.json --out again/" in text
    assert "FIRST minus SECOND" in run("compare", "--help")
