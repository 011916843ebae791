"""The melanoma model that comes trained: what it takes, what it says, how its files are guarded."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.special import logit
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

import skinseg
import skinseg.pretrained as ours
from skinseg import PretrainedClassifier, load_pretrained
from skinseg.cli import main
from skinseg.datasets import load_lesion_table, make_lesions
from skinseg.exceptions import (
    EmptyMaskWarning,
    ImageBatchError,
    ModelFileError,
    SkinsegWarning,
    VersionMismatchWarning,
)
from skinseg.inspection import explain_prediction

FILES = Path(skinseg.__file__).parent / "weights"


@pytest.fixture(scope="module")
def lesions():
    return make_lesions(6, random_state=0)


@pytest.fixture(scope="module")
def frame(lesions):
    return pd.DataFrame(
        {
            "image": lesions.images,
            "age_approximate": [35, 80, None, 60, 45, None],
            "sex": ["female", "male", None, "male", "female", None],
            "site": ["posterior torso", "head/neck", None, "lower extremity", "anterior torso", None],
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With a cache, for most tests want the same images."""
    return load_pretrained("melanoma", memory=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the files that a test may spoil."""
    copy = shutil.copytree(FILES, tmp_path / "weights")
    monkeypatch.setattr(ours, "_FOLDER", copy)
    ours._read_model.cache_clear()
    yield copy
    ours._read_model.cache_clear()


def test_it_predicts_at_once(model, lesions):
    probability = model.predict_proba(lesions.images)
    assert probability.shape == (6, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_allclose(logit(probability[:, 1]), model.decision_function(lesions.images), atol=1e-8)
    assert np.ptp(probability[:, 1]) > 0.01
    assert model.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(
        PretrainedClassifier().fit(lesions.images, lesions.target).predict_proba(lesions.images), probability
    )


def test_a_frame_without_clinical_data_is_its_images(model, lesions):
    alone = model.predict_proba(lesions.images)
    np.testing.assert_array_equal(model.predict_proba(pd.DataFrame({"image": lesions.images})), alone)
    empty = pd.DataFrame({"image": lesions.images, "age": [None, np.nan, "", "unknown", None, None], "sex": "unknown"})
    np.testing.assert_array_equal(model.predict_proba(empty), alone)


def test_clinical_data_count_where_they_are_known(model, frame, lesions):
    alone, both = model.decision_function(lesions.images), model.decision_function(frame)
    known = frame["age_approximate"].notna().to_numpy()
    assert (both[known] != alone[known]).all()
    np.testing.assert_array_equal(both[~known], alone[~known])
    ages = [model.decision_function(frame.assign(age_approximate=age))[0] for age in (20, 50, 85)]
    assert ages == sorted(ages)  # melanomas come with age


def test_names_of_columns_and_values_of_other_tables(model, frame):
    expected = model.decision_function(frame)
    other = frame.rename(columns={"age_approximate": "Age", "sex": "gender", "site": "localization"})
    other["gender"] = other["gender"].map({"female": "F", "male": " Male "})
    other["localization"] = other["localization"].replace({"posterior torso": "back", "head/neck": "Scalp"})
    np.testing.assert_array_equal(model.decision_function(other), expected)
    np.testing.assert_array_equal(model.decision_function(frame.set_index(np.arange(6)[::-1])), expected)


def test_a_site_that_is_not_known(model, frame):
    with pytest.warns(SkinsegWarning, match=r"knows no site called 'left knee'.*not known.*head/neck"):
        odds = model.decision_function(frame.assign(site="left knee"))
    np.testing.assert_array_equal(odds, model.decision_function(frame.assign(site=None)))


@pytest.mark.parametrize("age", [-1, 200, "old"])
def test_ages_that_are_none(model, frame, age):
    with pytest.raises(ValueError, match=rf"1 of 6 rows.*row 1.*from 0 to 120.*{age}"):
        model.predict_proba(frame.assign(age_approximate=[30, age, 30, 30, 30, 30]))


def test_what_is_missing_adds_nothing(model, frame):
    """And a column that has the value counts where another of its names is empty."""
    expected = model.decision_function(frame)
    doubled = frame.assign(age=frame["age_approximate"], age_approximate=None)
    np.testing.assert_array_equal(model.decision_function(doubled), expected)
    added, *_ = model._contributions(frame[["image", "sex"]])
    table, _ = model._measure(frame[["image", "sex"]])
    assert table["age_approximate"].isna().all()
    assert added.notna().all().all()
    twice = pd.concat([frame, frame[["sex"]]], axis=1)
    with pytest.raises(ValueError, match="2 columns 'sex'"):
        model.predict(twice)


def test_labels_that_are_not_its_own(lesions):
    with pytest.raises(ValueError, match=r"says 0 for benign and 1 for melanoma.*\['ben', 'mel'\]"):
        PretrainedClassifier().fit(lesions.images, ["mel", "ben"] * 3)


def test_prevalence_shifts_the_log_odds_and_not_the_decision(model, lesions):
    trained = ours._read_model("melanoma").settings["prevalence"]
    rare = clone(model).set_params(prevalence=0.02)
    shift = rare.decision_function(lesions.images) - model.decision_function(lesions.images)
    np.testing.assert_allclose(shift, logit(0.02) - logit(trained))
    np.testing.assert_array_equal(rare.predict(lesions.images), model.predict(lesions.images))


def test_threshold(model, lesions):
    probability = model.predict_proba(lesions.images)[:, 1]
    middle = float(np.sort(probability)[2:4].mean())
    called = clone(model).set_params(threshold=middle).predict(lesions.images)
    np.testing.assert_array_equal(called, probability >= middle)
    limit = ours._read_model("melanoma").settings["threshold"]["image"]
    np.testing.assert_array_equal(model.predict(lesions.images), probability >= limit)


def test_interval(model, frame):
    table = model.predict_table(frame)
    assert list(table) == ["melanoma_probability", "melanoma_low", "melanoma_high", "decision"]
    np.testing.assert_array_equal(table["melanoma_probability"], model.predict_proba(frame)[:, 1])
    bounds = model.predict_interval(frame)
    np.testing.assert_array_equal(bounds, table[["melanoma_low", "melanoma_high"]])
    assert (bounds[:, 0] < bounds[:, 1]).all()
    assert ((bounds > 0) & (bounds < 1)).all()
    narrow = model.predict_interval(frame, level=0.5)
    assert (np.diff(narrow) < np.diff(bounds)).all()
    np.testing.assert_array_equal(model.predict(frame), table["decision"].astype(int))
    with pytest.raises(ValueError, match=r"level.*1\.5"):
        model.predict_interval(frame, level=1.5)


def test_contributions_add_up(model, frame):
    added, baseline, output = model._contributions(frame)
    np.testing.assert_allclose(baseline + added.sum(axis=1), output)
    np.testing.assert_allclose(output, model.decision_function(frame))
    assert {"network", "asymmetry", "border", "color", "dimension", "structure", "texture", "clinical"} <= set(added)
    unknown = frame["age_approximate"].isna().to_numpy()
    assert (added["clinical"][unknown] == 0).all()
    assert (added["clinical"][~unknown] != 0).all()
    explained = explain_prediction(model, frame)
    np.testing.assert_allclose(explained.contributions.to_numpy(), added.to_numpy())


def test_an_image_that_cannot_be_decoded(lesions, tmp_path):
    path = tmp_path / "cut.jpg"
    cv2.imwrite(str(path), lesions.images[0][..., ::-1])
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ImageBatchError, match=r"cut\.jpg"):
        load_pretrained().predict_proba([path])
    model = load_pretrained(on_error="nan")
    probability = model.predict_proba([lesions.images[1], path])
    assert np.isnan(probability[1]).all()
    np.testing.assert_array_equal(probability[:1], model.predict_proba([lesions.images[1]]))
    with pytest.raises(ValueError, match=r"1 of 2 images, which failed \(rows 1\)"):
        model.predict([lesions.images[1], path])


def test_an_image_without_a_lesion_is_judged_as_a_whole():
    wall = np.full((200, 300, 3), 180, np.uint8)
    with pytest.warns(EmptyMaskWarning):
        probability = load_pretrained().predict_proba([wall])
    assert np.isfinite(probability).all()


def test_copies_files_and_workers(model, frame, tmp_path):
    expected = model.predict_proba(frame)
    path = skinseg.save(model, tmp_path / "model.skops")
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (
        clone(model), pickle.loads(pickle.dumps(model)), skinseg.load(path), joblib.load(tmp_path / "model.joblib"),
        clone(model).set_params(n_jobs=2, batch_size=2, memory=None),
    ):  # fmt: skip
        np.testing.assert_allclose(copy.predict_proba(frame), expected, atol=1e-6)
    assert path.stat().st_size < 500_000  # the weights stay in the package


def test_another_model_is_told_when_one_is_loaded(model, monkeypatch):
    saved = pickle.dumps(model)
    other = ours._read_model("melanoma")._replace(sha256="0" * 64)
    monkeypatch.setattr(ours, "_read_model", lambda name: other)
    with pytest.warns(VersionMismatchWarning, match=r"model 'melanoma' of hash .*probabilities will differ"):
        pickle.loads(saved)


def test_cross_validation_takes_it(model, frame):
    target = [0, 1, 0, 1, 0, 1]
    found = cross_val_predict(model, frame, target, cv=3, method="predict_proba")
    np.testing.assert_allclose(found, model.predict_proba(frame), atol=1e-6)
    assert 0 <= model.score(frame, target) <= 1


@pytest.mark.parametrize("file", ["melanoma.json", "melanoma.npz"])
def test_files_that_are_missing_or_damaged(folder, file, lesions):
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"melanoma\.json.*install the package again"):
        load_pretrained()
    (folder / file).unlink()
    with pytest.raises(ModelFileError, match=rf"{file}.*install the package again"):
        PretrainedClassifier(on_error="nan").predict_proba(lesions.images[:1])


def test_a_number_that_was_changed(folder):
    path = folder / "melanoma.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_pretrained()


def test_names_and_parameters():
    with pytest.raises(ValueError, match="no packaged model 'nevus', but melanoma"):
        load_pretrained("nevus")
    for settings in ({"threshold": 1.0}, {"prevalence": 0.0}, {"batch_size": 0}, {"on_error": "skip"}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            load_pretrained(**settings)


def test_neither_keras_nor_estimators_of_others_are_loaded():
    code = (
        "import sys, warnings; warnings.simplefilter('error'); import numpy as np, skinseg\n"
        "skinseg.load_pretrained().predict_proba([np.full((60, 80, 3), 150, np.uint8) // "
        "(1 + (np.hypot(*np.mgrid[-30:30, -40:40]) < 15)[..., None].astype(np.uint8))])\n"
        "print([m for m in ('keras', 'tensorflow', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    settings = json.loads((FILES / "melanoma.json").read_text())
    with np.load(FILES / settings["file"], allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == np.float32 for name in arrays.files)


def test_the_command_predicts_without_a_model_file(lesions, frame, tmp_path):
    for index, image in enumerate(lesions.images[:3]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), image[..., ::-1])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    clinical = frame.drop(columns="image").iloc[:3].assign(file=["0", "1", "2"])
    clinical.to_csv(tmp_path / "patients.csv", index=False)
    images = [str(tmp_path / f"{name}.png") for name in ("0", "1", "2", "broken")]
    done = CliRunner().invoke(main, ["predict", *images, "--out", str(tmp_path / "alone.csv"), "--quiet"])
    assert done.exit_code == 1  # one has failed
    assert "no result is a diagnosis" in done.output
    table = pd.read_csv(tmp_path / "alone.csv")
    assert list(table) == ["image", "melanoma_probability", "melanoma_low", "melanoma_high", "decision", "error"]
    expected = load_pretrained().predict_proba(lesions.images[:3])[:, 1]
    np.testing.assert_allclose(table["melanoma_probability"][:3], expected, atol=1e-9)
    assert table.iloc[3, 1:5].isna().all()
    assert table["error"].iloc[3]
    done = CliRunner().invoke(
        main, ["predict", *images[:3], "--out", str(tmp_path / "both.csv"), "--quiet", "--image-column", "file",
               "--table", str(tmp_path / "patients.csv")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    expected = load_pretrained().predict_proba(frame.iloc[:3])[:, 1]
    np.testing.assert_allclose(pd.read_csv(tmp_path / "both.csv")["melanoma_probability"], expected, atol=1e-9)


def test_bad_rows_of_a_table_stop_nothing(lesions, frame, tmp_path):
    for index, image in enumerate(lesions.images[:3]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), image[..., ::-1])
    rows = {"image": ["0", "1"], "Age": [130, 40], "mask": ["yes", "no"], "name": ["A", "B"]}
    pd.DataFrame(rows).to_csv(tmp_path / "patients.csv", index=False)
    call = ["predict", str(tmp_path), "--out", str(tmp_path / "out.csv"), "--quiet", "--table"]
    done = CliRunner().invoke(main, [*call, str(tmp_path / "patients.csv")])
    assert done.exit_code == 1
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["melanoma_probability"].isna().tolist() == [True, False, False]
    assert "0 to 120" in table["error"][0]
    assert table["error"].isna().tolist() == [False, True, True]
    alone = load_pretrained().predict_proba(lesions.images[2:3])[0, 1]
    assert table["melanoma_probability"][2] == pytest.approx(alone)  # not in the table
    pd.DataFrame({"image": ["0"], "Alter": [50]}).to_csv(tmp_path / "german.csv", index=False)
    done = CliRunner().invoke(main, [*call, str(tmp_path / "german.csv")])
    assert done.exit_code == 2
    assert "none of the clinical columns" in done.output
    assert "Alter" in done.output


@pytest.mark.realdata
def test_it_ranks_images_that_it_has_learnt_from(data_folder):
    """No score: only that what is shipped is what was trained."""
    table = data_folder / "isic2017" / "isic2017.csv"
    data = load_lesion_table(table, target_column="melanoma", group_column="group", where={"split": "training"})
    chosen = np.concatenate([np.flatnonzero(data.target == label)[:30] for label in (0, 1)])
    odds = load_pretrained(n_jobs=2).decision_function([data.images[index] for index in chosen])
    assert roc_auc_score(data.target[chosen], odds) > 0.8
