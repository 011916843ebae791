import importlib.util
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from skinseg import ABCDFeaturizer
from skinseg._batches import BatchRunner
from skinseg.bulk import measure_files
from skinseg.datasets import make_lesions

ROOT = Path(__file__).parents[1]
CHALLENGE = ROOT / "docs" / "examples" / "ima205_challenge.py"
LAYOUT = ROOT / "benchmarks" / "experiments" / "ima205_layout.py"
N_TRAIN, N_TEST = 24, 8


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def few_settings(y, seed):
    model = LogisticRegression(class_weight="balanced", max_iter=3000)
    selections = [SelectFromModel(model, max_features=20, threshold=-np.inf), PCA(0.9, random_state=seed)]
    return [{"selection": selections, "classifier": [model]}]


@pytest.fixture
def example(monkeypatch):
    """The script with few settings to choose from, and a short bootstrap."""
    module = load(CHALLENGE)
    monkeypatch.setattr(module, "make_grid", few_settings)
    monkeypatch.setattr(module, "RESAMPLES", 50)
    return module


@pytest.fixture(scope="module")
def drawn():
    return make_lesions(N_TRAIN + N_TEST, random_state=3, min_side=64, max_side=96, melanoma_fraction=0.5)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def write_2019(folder, lesions, test_images=None):
    """data/im/IM_000000.jpg with masks as JPEG, data/train.csv and data/test.csv, as participants had them."""
    data = folder / "data"
    names = [f"IM_{index:06d}" for index in range(N_TRAIN + N_TEST)]
    images = [*lesions.images[:N_TRAIN], *(test_images or lesions.images[N_TRAIN:])]
    for name, image, mask in zip(names, images, lesions.masks, strict=True):
        write(data / "im" / f"{name}.jpg", image)
        write(data / "im" / f"{name}_segmentation.jpg", mask)
    table = pd.DataFrame({"ImageId": names, "Malignant": lesions.target})
    table[:N_TRAIN].to_csv(data / "train.csv", index=False)
    # in an order of its own, and with placeholders in place of classes
    table[N_TRAIN:][::-1].assign(Malignant=0).to_csv(data / "test.csv", index=False)
    table[N_TRAIN:].to_csv(folder / "truth.csv", index=False)
    return names


@pytest.fixture(scope="module")
def folder_2019(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("challenge2019")
    write_2019(folder, drawn)
    return folder


def settings(**changes):
    return Namespace(**{"jobs": 1, "cache": None, "masks": False, "quiet": True} | changes)


def run(example, folder, tmp_path, *arguments):
    return example.main([str(folder), "--out", str(tmp_path / "out.csv"), "--quiet", "--folds", "2", *arguments])


def test_2019_from_the_command_line(folder_2019, tmp_path):
    """The script as it is, with all its settings."""
    out = tmp_path / "submission.csv"
    text = subprocess.run(
        [sys.executable, "-W", "error", CHALLENGE, folder_2019, "--out", out, "--folds", "2", "--truth",
         folder_2019 / "truth.csv"],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout  # fmt: skip
    submission = pd.read_csv(out)
    expected = [f"IM_{index:06d}" for index in reversed(range(N_TRAIN, N_TRAIN + N_TEST))]  # as in test.csv
    assert list(submission.columns) == ["ImageId", "Malignant"]
    assert submission["ImageId"].tolist() == expected
    assert set(submission["Malignant"]) <= {0, 1}

    lines = text.splitlines()
    assert lines[0] == "IMA205, edition of 2019: 24 training images, 8 to be predicted"
    assert any(line.startswith("chosen of 24 settings (balanced_accuracy 0.") for line in lines)
    truth = pd.read_csv(folder_2019 / "truth.csv").set_index("ImageId")["Malignant"].reindex(expected).to_numpy()
    recall = [np.mean(submission["Malignant"][truth == label] == label) for label in (0, 1)]
    (scored,) = [line for line in lines if line.startswith("test images: ")]
    assert scored.startswith(f"test images: balanced accuracy {np.mean(recall):.3f} [")
    assert scored.endswith(f"share found of class 0: {recall[0]:.2f}, 1: {recall[1]:.2f}")
    assert lines[-2].endswith(" s an image")
    assert lines[-1] == "Research software and no medical device: no result is a diagnosis."


def test_2024_with_all_that_can_be_wrong(example, drawn, tmp_path, capsys):
    folder = tmp_path / "challenge"
    names = [f"ISIC_{index:07d}" for index in range(N_TRAIN + N_TEST)]
    for index, (name, image) in enumerate(zip(names, drawn.images, strict=True)):
        part = "Train" if index < N_TRAIN else "Test"
        ending = ".PNG" if index % 2 else ".jpg"
        if index not in (3, N_TRAIN + 1):
            write(folder / part / part / f"{name}{ending}", image)
    cut = folder / "Test" / "Test" / f"{names[N_TRAIN + 2]}.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    frame = pd.DataFrame({"Id": names, "Class": np.array([1, 2, 5])[np.arange(len(names)) % 3]})
    frame["sex"] = np.where(np.arange(len(names)) % 4 == 0, "unknown", "male")
    frame["AGE"] = np.where(np.arange(len(names)) % 5 == 0, np.nan, 30.0 + np.arange(len(names)))
    frame["POSITION"] = "head/neck"
    train, test = frame[:N_TRAIN].astype({"Class": object}), frame[N_TRAIN:].drop(columns="Class")
    train.loc[5, "Class"] = None
    doubtful = train.loc[[6]].assign(Class=2)  # 1 above
    train = pd.concat([train, train.loc[[7]], doubtful, test.loc[[N_TRAIN]].assign(Class=1)])
    train.to_csv(folder / "MetadataTrain.csv", index=False)
    pd.concat([test, test[:1]]).to_csv(folder / "MetadataTest.csv", index=False)
    pd.DataFrame({"ID": names[N_TRAIN:], "CLASS": 8}).to_csv(folder / "SampleSubmission.csv", index=False)

    result = run(example, folder, tmp_path)
    submission = pd.read_csv(tmp_path / "out.csv")
    assert list(submission.columns) == ["ID", "CLASS"]
    assert submission["ID"].tolist() == names[N_TRAIN:]
    assert set(submission["CLASS"]) <= {1, 2, 5}
    text = capsys.readouterr().out
    for listed in (
        f"training images without a class, left out (1):\n  {names[5]}\n",
        f"training images in two classes, left out (1):\n  {names[6]}\n",
        f"training images given twice, used once (1):\n  {names[7]}\n",
        f"training images that are to be predicted, too, left out (1):\n  {names[N_TRAIN]}\n",
        f"images to be predicted given twice, used once (1):\n  {names[N_TRAIN]}\n",
        f"images that cannot be used (3):\n  {names[3]}: there is no image of this name\n",
        f"  {names[N_TRAIN + 1]}: there is no image of this name\n  {names[N_TRAIN + 2]}: ",
        f"edition of 2022 or 2024: {N_TRAIN - 2} training images, {N_TEST} to be predicted",
    ):
        assert listed in text
    # learnt from the 21 images that are there, with age, sex and position
    assert result.search.best_estimator_["scaler"].n_samples_seen_ == N_TRAIN - 3
    columns = result.search.best_estimator_["columns"].get_feature_names_out()
    assert columns[-5:].tolist() == ["AGE", "missingindicator_AGE", "SEX_male", "SEX_missing", "POSITION_head/neck"]
    missing = result.features.iloc[[N_TRAIN - 2 + 1, N_TRAIN - 2 + 2]]
    assert missing[ABCDFeaturizer().get_feature_names_out()].isna().all(axis=None)
    assert missing["POSITION"].tolist() == ["head/neck"] * 2


def test_test_images_have_no_say_in_the_model(example, drawn, folder_2019, tmp_path):
    others = [np.roll(255 - image, 20, axis=0) for image in drawn.images[N_TRAIN:]]
    write_2019(tmp_path / "others", drawn, others)
    first, second = run(example, folder_2019, tmp_path), run(example, tmp_path / "others", tmp_path)
    names = ABCDFeaturizer().get_feature_names_out()
    same = [first.features[names][part].equals(second.features[names][part]) for part in (slice(N_TRAIN), slice(None))]
    assert same == [True, False]  # the features of the test images do differ
    for key in ("mean_test_score", "split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(first.search.cv_results_[key], second.search.cv_results_[key])
    assert first.search.best_params_.keys() == second.search.best_params_.keys()
    assert str(first.search.best_params_) == str(second.search.best_params_)
    assert first.estimate == second.estimate
    for step, attribute in (("imputer", "statistics_"), ("scaler", "mean_"), ("classifier", "coef_")):
        found = [getattr(result.search.best_estimator_[step], attribute) for result in (first, second)]
        np.testing.assert_array_equal(*found)
    probabilities = [result.search.predict_proba(first.features) for result in (first, second)]
    np.testing.assert_array_equal(*probabilities)


def test_steps_are_fitted_on_training_folds_only(example, folder_2019, tmp_path, monkeypatch):
    sizes = []

    class Spy(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            sizes.append(len(X))
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(example, "StandardScaler", Spy)
    run(example, folder_2019, tmp_path)
    # nested: 2 folds of (2 settings x 2 folds of 12, and the best one on the 12); then the search on all 24
    assert sorted(sizes) == [6] * 8 + [12] * (2 + 4) + [24]


def test_rows_are_kept_in_a_cache(example, folder_2019, tmp_path, monkeypatch):
    computed, through = [], BatchRunner._run
    monkeypatch.setattr(BatchRunner, "_run", lambda self, batch: computed.append(len(batch)) or through(self, batch))
    images = example.find_images(folder_2019)[0]
    ids = [f"IM_{index:06d}" for index in range(5)]
    cached = settings(cache=tmp_path / "cache")
    first, second = (example.measure(ids, images, {}, cached)[0] for _ in range(2))
    assert sum(computed) == 5
    pd.testing.assert_frame_equal(first, second)


def test_given_masks_are_used_where_they_fit(example, folder_2019, drawn, tmp_path, capsys):
    folder = tmp_path / "challenge"
    write_2019(folder, drawn)
    write(folder / "data" / "im" / "IM_000001_segmentation.jpg", np.ones((10, 12), bool))  # of another size
    (folder / "data" / "im" / "IM_000002_segmentation.jpg").unlink()
    moved = folder / "data" / "Masks" / "IM_000003.png"  # a folder of masks is one, too
    write(moved, drawn.masks[3])
    (folder / "data" / "im" / "IM_000003_segmentation.jpg").unlink()
    images, masks = example.find_images(folder)
    assert masks["im_000003"] == moved
    ids = ["IM_000000.jpg", "im_000001", "IM_000002", "IM_000003"]
    found, errors = example.measure(ids, images, masks, settings(masks=True))
    assert not errors
    text = capsys.readouterr().out
    assert "masks that do not fit, outlined by the network (1):\n  im_000001: " in text
    assert "given masks used: 2; outlined by the network: 2" in text
    files = [images[f"im_00000{index}"] for index in range(4)]
    expected = measure_files([files[0], files[3]], masks=[masks["im_000000"], moved])
    pd.testing.assert_frame_equal(found.iloc[[0, 3]].reset_index(drop=True), expected[found.columns])
    by_network = example.measure(ids, images, {}, settings())[0]
    pd.testing.assert_frame_equal(found.iloc[[1, 2]], by_network.iloc[[1, 2]])
    assert (found.iloc[0] != by_network.iloc[0]).any()


def test_images_of_one_lesion_stay_together(example, tmp_path, monkeypatch, capsys):
    """In a part of a table of ISIC 2017 that is laid out as the edition of 2019."""
    lesions = make_lesions(44, random_state=0, min_side=48, max_side=64, melanoma_fraction=0.5, images_per_lesion=2)
    names = [f"a{index:02d}" for index in range(44)]
    for name, image, mask in zip(names, lesions.images, lesions.masks, strict=True):
        write(tmp_path / f"{name}.png", image)
        write(tmp_path / f"{name}_mask.png", mask)
    table = pd.DataFrame({"image_id": names, "melanoma": lesions.target, "group": lesions.groups})
    table = table.assign(image=table["image_id"] + ".png", mask=table["image_id"] + "_mask.png", split="training")
    table.loc[40:, "split"] = "validation"
    table.to_csv(tmp_path / "table.csv", index=False)
    folder = tmp_path / "challenge"
    monkeypatch.setattr(sys, "argv", ["layout", str(tmp_path / "table.csv"), str(folder), "--sizes", "30", "9"])
    load(LAYOUT).main()
    parts = {name: pd.read_csv(folder / f"{name}.csv") for name in ("train", "test", "truth")}
    assert [len(part) for part in parts.values()] == [30, 9, 9]
    assert list(parts["test"].columns) == ["ImageId"]
    assert not set(names[40:]) & {*parts["train"]["ImageId"], *parts["test"]["ImageId"]}
    assert not set(parts["train"]["lesion_id"]) & set(parts["truth"]["lesion_id"])
    known = table.set_index("image_id")["melanoma"]
    for part in (parts["train"], parts["truth"]):
        assert (part["Malignant"].to_numpy() == known[part["ImageId"]].to_numpy()).all()

    result = run(example, folder, tmp_path, "--truth", str(folder / "truth.csv"))
    assert isinstance(result.search.cv, StratifiedGroupKFold)
    assert result.submission["ImageId"].tolist() == parts["test"]["ImageId"].tolist()
    assert 0 <= result.score["balanced accuracy"].value <= 1
    assert "training: 30 images" in capsys.readouterr().out


def test_as_many_folds_as_the_rarest_class_allows(example):
    y, own = np.repeat([0, 1], [40, 5]), np.arange(45)
    outer, inner = example.make_folds(y, own, Namespace(folds=5, seed=0))
    assert isinstance(outer, StratifiedKFold)
    assert (outer.n_splits, inner.n_splits) == (5, 4)
    assert [fold.n_splits for fold in example.make_folds(y, own, Namespace(folds=3, seed=0))] == [3, 3]
    pairs = own // 2  # 3 lesions of the rare class
    with pytest.raises(SystemExit, match=r"at least 4 training images each .* there are 0: 40, 1: 5"):
        example.make_folds(y, pairs, Namespace(folds=5, seed=0))


def test_scores(example, capsys):
    y, predicted = np.repeat([0, 1], [60, 20]), np.repeat([0, 1, 0, 1], [45, 15, 5, 15])
    scores = example.report("here", y, predicted, np.arange(80), 0)
    assert scores["balanced accuracy"].value == pytest.approx(0.75)
    # (45 * 15 - 15 * 5) / sqrt(30 * 20 * 60 * 50)
    assert scores["Matthews' corr."].value == pytest.approx(600 / np.sqrt(1_800_000))
    assert capsys.readouterr().out.endswith("share found of class 0: 0.75, 1: 0.75\n")


def test_a_part_to_try_it_out(example, folder_2019, tmp_path):
    result = run(example, folder_2019, tmp_path, "--limit", "16", "--scoring", "matthews_corrcoef")
    assert len(result.features) == 16 + N_TEST
    assert result.search.scoring == "matthews_corrcoef"
    with pytest.raises(SystemExit, match=r"at least 4 training images each .* there are 0: 1, 1: 1"):
        run(example, folder_2019, tmp_path, "--limit", "2")


def test_classes_of_test_images_are_not_read(example, folder_2019, tmp_path):
    """Those in test.csv are placeholders; a table of both parts has none."""
    edition, train, test = example.find_tables(folder_2019)
    assert edition.year == "2019"
    assert len(train) == N_TRAIN
    assert "Malignant" not in test
    both = pd.concat([train, test])[["ImageId", "Malignant"]]
    both.to_csv(tmp_path / "TRAIN.CSV", index=False)
    again = example.find_tables(tmp_path)
    assert again[1]["ImageId"].tolist() == train["ImageId"].tolist()
    assert again[2]["ImageId"].tolist() == test["ImageId"].tolist()
    assert "Malignant" not in again[2]


TRAIN_2019, TEST_2019 = "ImageId,Malignant\na,0\nb,1\n", "ImageId\nc\n"
NO_LAYOUT = r"layout of no edition.*train\.csv with the columns ImageId and Malignant.*metadataTrain\.csv.*tables are: "


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, NO_LAYOUT + "none"),
        ({"labels.csv": TRAIN_2019, "sub/train.csv": "name,class\na,0\n"}, NO_LAYOUT + "labels.csv, sub/train.csv"),
        ({"train.csv": TRAIN_2019}, r"no test\.csv or metadataTest\.csv, and all rows of .*train\.csv have a class"),
        ({"train.csv": TRAIN_2019, "b/train.csv": TRAIN_2019}, r"several train tables \(.*b/train\.csv.*one edition"),
        ({"train.csv": TRAIN_2019, "metadataTest.csv": "ID\nc\n"}, r"edition 2019, .*of 2022 or 2024; give one"),
        ({"train.csv": "", "test.csv": TEST_2019}, r"train\.csv: the table cannot be read"),
        ({"train.csv": TRAIN_2019 + ",1\n", "test.csv": TEST_2019}, r"1 row\(s\) have no ImageId"),
        (
            {"train.csv": TRAIN_2019 + "d,2\ne,yes\n", "test.csv": TEST_2019},
            r"Malignant must be one of \(0, 1\), got d: '2', e: 'yes' \(2 rows\)",
        ),
        ({"train.csv": TRAIN_2019, "test.csv": TEST_2019}, "none of the 3 images can be used"),
    ],
)
def test_folders_that_are_no_challenge(example, files, message, tmp_path):
    folder = tmp_path / "challenge"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(SystemExit, match=message):
        run(example, folder, tmp_path)
    assert not (tmp_path / "out.csv").exists()


def test_truth_must_be_of_the_edition_and_complete(example, folder_2019, tmp_path):
    edition, _, test = example.find_tables(folder_2019)
    path = tmp_path / "truth.csv"
    for text, message in (
        ("ID,CLASS\na,1\n", "must have the columns ImageId and Malignant"),
        ("ImageId,Malignant\nIM_000024,1\nIM_000025,3\n", "no class for 7 of 8 test images"),
    ):
        path.write_text(text)
        with pytest.raises(SystemExit, match=message):
            example.read_truth(path, test, edition)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no folder"),
        ([".", "--folds", "1"], "--folds must be at least 2"),
        ([".", "--out", "nowhere/out.csv"], "nowhere is no folder"),
    ],
)
def test_calls_that_are_wrong(example, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        example.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
