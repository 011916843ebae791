import argparse
import hashlib
import importlib
import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from sklearn.metrics import jaccard_score as jaccard_of_labels

from skinseg.datasets import make_lesions
from skinseg.metrics import jaccard_score
from skinseg.networks import PackagedNetwork, efficientnet_lite_unet, run_packaged

pytest.importorskip("keras")

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "experiments"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("isic2018_recipe", SCRIPTS / "isic2018_recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    """Twelve lesions in the layout of ISIC 2018 Task 1, and their shares of the image."""
    folder = tmp_path_factory.mktemp("isic2018")
    images, masks = folder / "ISIC2018_Task1-2_Training_Input", folder / "ISIC2018_Task1_Training_GroundTruth"
    images.mkdir()
    masks.mkdir()
    lesions = make_lesions(12, random_state=0, min_side=48, max_side=64)
    for index, (image, mask) in enumerate(zip(lesions.images, lesions.masks, strict=True)):
        cv2.imwrite(str(images / f"ISIC_{index:07d}.jpg"), image[..., ::-1])
        cv2.imwrite(str(masks / f"ISIC_{index:07d}_segmentation.png"), mask.astype(np.uint8) * 255)
    return folder, np.array([mask.mean() for mask in lesions.masks])


def rows_of(text, first):
    """Cells of the table that begins with a heading."""
    lines = text[text.index(f"| {first} |") :].splitlines()
    ended = next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:ended]]


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPTS / "isic2018_recipe.py", folder, "--size", "16", "--epochs", "1", "--base-filters", "2",
         *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    ).stdout  # fmt: skip


@pytest.mark.long
def test_recipe_prints_sizes_and_scores_of_both_splits(challenge):
    folder, shares = challenge
    text = run(folder, "--networks", "unet", "bcdu3")
    parts = rows_of(text, "split")
    assert [row[:3] for row in parts] == [
        [split, part, size]
        for split in ("file order", "seed 0")
        for part, size in (("training", "8"), ("validation", "2"), ("test", "2"))
    ]
    printed = [float(row[3].rstrip(" %")) for row in parts]
    np.testing.assert_allclose(printed[:3], 100 * np.array([s.mean() for s in np.split(shares, [8, 10])]), atol=1.0)
    np.testing.assert_allclose(np.dot(printed[3:], (8, 2, 2)) / 12, 100 * shares.mean(), atol=1.0)

    rows = rows_of(text, "network")
    assert [row[:3] for row in rows] == [
        [network, split, average]
        for network in ("U-Net", "BCDU-Net (d=3)")
        for split in ("file order", "seed 0")
        for average in ("pooled", "mean")
    ]
    values = np.array([row[3:] for row in rows], float)
    assert values.shape == (8, 5)
    assert ((values >= 0) & (values <= 1)).all()
    dice, sensitivity, specificity, accuracy, jaccard = values[::2].T  # pooled
    np.testing.assert_allclose(jaccard, dice / (2 - dice), atol=2e-4)
    assert (accuracy >= np.minimum(sensitivity, specificity) - 1e-4).all()
    assert (accuracy <= np.maximum(sensitivity, specificity) + 1e-4).all()
    assert re.search(r"print accuracy under the name Jaccard \(JS\)", text)


@pytest.mark.long
def test_recipe_goes_on_from_its_checkpoint(challenge, tmp_path):
    arguments = "--networks", "unet", "--split", "order", "--checkpoints", tmp_path
    first = run(challenge[0], *arguments)
    assert "epoch 1/1" in first
    again = run(challenge[0], *arguments)
    assert "epoch 1/1" not in again
    assert rows_of(again, "network") == rows_of(first, "network")


def test_parts_have_the_published_sizes(recipe):
    assert [len(part) for part in recipe.split_images(2594)] == [1815, 259, 520]
    np.testing.assert_array_equal(np.concatenate(recipe.split_images(30)), np.arange(30))
    shuffled = np.concatenate(recipe.split_images(30, seed=0))
    np.testing.assert_array_equal(np.sort(shuffled), np.arange(30))
    assert (shuffled != np.arange(30)).any()
    with pytest.raises(SystemExit, match="too few"):
        recipe.split_images(2)


def test_warns_of_parts_whose_lesions_differ_in_size(recipe, capsys):
    shares = np.linspace(0.5, 0.05, 60)
    assert "differ in size" in recipe.describe("file order", recipe.split_images(60), shares)
    assert recipe.describe("seed 1", recipe.split_images(60, seed=1), shares) is None
    assert capsys.readouterr().out.count("\n") == 6


def test_images_are_squashed_and_stretched(recipe, tmp_path):
    image = np.full((40, 80, 3), 60, np.uint8)
    image[:, 40:] = 160
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "m.png"), (image[..., 0] > 100).astype(np.uint8) * 255)
    record = recipe.squash(tmp_path / "a.png", tmp_path / "m.png", 32)
    assert record.shape == (32, 32)
    assert np.unique(record.image).tolist() == [0, 255]
    np.testing.assert_array_equal(record.reference_mask, np.arange(32) >= np.full((32, 1), 16))


def test_missing_masks_are_named(recipe, tmp_path):
    with pytest.raises(SystemExit, match="there is no ISIC2018_Task1-2_Training_Input"):
        recipe.find_pairs(tmp_path)
    folder = tmp_path / "ISIC2018_Task1-2_Training_Input"
    folder.mkdir()
    (folder / "ISIC_0000001.jpg").touch()
    with pytest.raises(SystemExit, match=r"1 of 1 images have no mask: ISIC_0000001\.jpg"):
        recipe.find_pairs(tmp_path)


# ---------------------------------------------------------------------- the network that comes with the package


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A table as that of ISIC 2017: 40 drawn lesions for training, of which 4 are held out, and 12 for validation."""
    folder = tmp_path_factory.mktemp("drawn")
    lesions = make_lesions(52, random_state=0, min_side=72, max_side=96, melanoma_fraction=0.3)
    for index, (image, mask) in enumerate(zip(lesions.images, lesions.masks, strict=True)):
        cv2.imwrite(str(folder / f"a{index:02d}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / f"a{index:02d}_segmentation.png"), mask.astype(np.uint8) * 255)
    names = [f"a{index:02d}" for index in range(52)]
    pd.DataFrame(
        {
            "image": [f"{name}.png" for name in names],
            "mask": [f"{name}_segmentation.png" for name in names],
            "crop": pd.NA,
            "crop_mask": pd.NA,
            "group": names,
            "split": ["training"] * 40 + ["validation"] * 12,
            "melanoma": lesions.target,
            "seborrheic_keratosis": 0,
            "sex": ["male", "female", "unknown", "male"] * 13,
        }
    ).to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture
def script(monkeypatch):
    """Import a script, which may import its neighbors."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module


def start_of(cell):
    """The number that a cell begins with."""
    return float(cell.split()[0])


def test_scores_of_the_packaged_network(drawn, tmp_path):
    """What is printed is what the masks say that were written."""
    out, sheet, masks = tmp_path / "scores.csv", tmp_path / "sheet.png", tmp_path / "masks"
    text = subprocess.run(
        [sys.executable, SCRIPTS / "pretrained_scores.py", drawn / "table.csv", "--validation", "--masks", masks,
         "--sheet", sheet, "--out", out],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    table = pd.read_csv(out).set_index("images")
    assert table.index.value_counts().to_dict() == {"held out": 4, "validation": 12}

    scores = rows_of(text, "images")
    assert [row[0] for row in scores] == ["held out, 4"] * 3 + ["validation, 12"] * 3
    for name, (ours, plain, difference) in zip(("held out", "validation"), (scores[:3], scores[3:]), strict=True):
        for place, key in enumerate(("jaccard", "thresholded", "dice", "sensitivity", "specificity"), 2):
            expected = table.loc[name, key].mean(), table.loc[name, f"threshold_{key}"].mean()
            found = [start_of(row[place]) for row in (ours, plain, difference)]
            np.testing.assert_allclose(found, [*expected, expected[0] - expected[1]], atol=6e-4)
    assert all("[" in row[2] for row in scores[3:])
    assert not any("[" in row[2] for row in scores[:3])  # of four images there is no interval

    validation = table.loc["validation"]
    files = sorted(masks.iterdir())
    assert [file.name for file in files] == [name.replace(".png", "_segmentation.png") for name in validation["file"]]
    np.testing.assert_allclose(
        jaccard_score([drawn / file.name for file in files], files, average=None), validation["jaccard"]
    )

    kinds = rows_of(text, "property")
    for title in ("diagnosis", "lesion, share", "hair, share", "field of view", "skin, angle", "sex"):
        counts = [[int(row[place]) for row in kinds if row[0] == title] for place in (2, 5)]
        assert [sum(numbers) for numbers in counts] == [4, 12], title
    named = {row[1]: row for row in kinds if row[0] == "diagnosis"}
    melanomas = validation[validation["melanoma"] == 1]
    assert int(named["melanoma"][5]) == len(melanomas)
    assert start_of(named["melanoma"][6]) == pytest.approx(melanomas["jaccard"].mean(), abs=6e-4)

    empty = rows_of(text, "images without a lesion")
    assert [row[1] for row in empty if row[0] in ("one color", "noise", "shades")] == ["20", "20", "40"]
    for row in empty:
        assert sum(start_of(cell) for cell in row[2:]) == pytest.approx(100, abs=1.5)
    assert cv2.imread(str(sheet)).shape == (150, 6 * 200, 3)


def test_masks_are_written_of_validation_images_only(drawn, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPTS / "pretrained_scores.py", drawn / "table.csv", "--masks", tmp_path / "masks"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs --validation" in done.stderr
    assert not (tmp_path / "masks").exists()


def test_doubts_are_counted(script):
    """Twenty images, of which the second, the third and the last are failures."""
    jaccard = np.full(20, 0.9)
    jaccard[[1, 2, 19]] = 0.5
    confidence = np.linspace(0.5, 0.975, 20)  # 0.5, 0.525, ...: eight below 0.7
    frame = pd.DataFrame({"jaccard": jaccard, "confidence": confidence, "group": np.arange(20)})
    doubts = script("pretrained_scores").doubts
    auc, *counts = [str(value) for key, value in doubts(frame).items() if not key.startswith("failures: ")]
    assert counts == ["1 of 2", "2 of 8", "1 of 12"]
    # of the pairs with one of the 17 others, the failures come first in 16, 16 and 0
    assert start_of(auc) == pytest.approx(32 / 51, abs=6e-4)
    assert "not defined" in doubts(frame.assign(jaccard=0.9)).values()


def test_typology_angles(script):
    """Colors whose L* and b* are known: the angle of (65, 15) is 45 degrees, that of (50, b*) is 0."""
    from skimage.color import lab2rgb

    angle = script("pretrained_scores").typology_angle
    everywhere = np.ones((20, 20), bool)
    for lab, expected in (((65, 10, 15), 45), ((50, 10, 20), 0), ((35, 10, 15), -45)):
        image = np.round(255 * lab2rgb(np.full((20, 20, 3), lab, float))).astype(np.uint8)
        assert angle(image, everywhere) == pytest.approx(expected, abs=1.5)
    assert np.isnan(angle(np.full((20, 20, 3), (90, 100, 180), np.uint8), everywhere))  # bluish
    assert np.isnan(angle(image, everywhere & (np.arange(20) < 9)))  # too few pixels


def test_speed_of_the_packaged_network(drawn, script, monkeypatch, capsys):
    """All parts but Keras, which they say is missing, on a few files."""
    speed = script("pretrained_speed")
    there, measured = importlib.util.find_spec, speed.peak
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "keras" else there(name))
    # a process each: one will do
    monkeypatch.setattr(speed, "peak", lambda what, *rest: measured(what, *rest) if what == "segment" else 300.0)
    arguments = "--starts 1 --files 5 --passes 1 --squares 8 --rounds 2 --memory-files 4 --large 400 300"
    monkeypatch.setattr(sys, "argv", ["pretrained_speed.py", str(drawn / "a0[0-3].png"), *arguments.split()])
    speed.main()
    text = capsys.readouterr().out
    assert text.startswith("4 images\n")
    (cold,) = rows_of(text, "first mask of the command, 1 starts, s")
    assert cold[0] == "pretrained"
    assert 0 < float(cold[2]) <= float(cold[4])
    assert [row[0] for row in rows_of(text, "5 files to masks, workers")] == ["1", "2"]
    assert "no comparison with Keras" in text
    side = speed.packaged_network().input_size
    engines = rows_of(text, f"{side} x {side}, {os.cpu_count()} cores")
    assert [row[4] for row in engines if row[1] == "ONNX Runtime"] == ["1.00 (1.00-1.00)"] * 2
    ((files, peak),) = rows_of(text, "files to masks, one worker")
    assert files == "4"
    assert 50 < float(peak) < 5000
    parts = rows_of(text, "ms, median of 2 rounds")
    assert [row[0] for row in parts][:3] == ["decoding (read_image)", "letterboxing", "network"]
    assert all(float(value) >= 0 for row in parts for value in row[1:])
    assert rows_of(text, "peak memory of a process, MB") == [["predict, file", "300", "300", "300"]]
    assert float(re.search(r"plus all of a small file: ([\d.]+)", text)[1]) > 0


@pytest.mark.parametrize("what", ["nothing", "predict"])
def test_peak_of_a_process_is_that_of_the_kernel(what, drawn, script, tmp_path, capsys):
    (tmp_path / "files.txt").write_text(str(drawn / "a00.png"))
    script("pretrained_speed").run_row(what, tmp_path / "files.txt", None)
    kernel = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 50 < float(capsys.readouterr().out) <= kernel * 1.01


def test_files_are_repeated_under_other_names(drawn, script, tmp_path):
    files = script("pretrained_speed").repeat_files([drawn / "a00.png", drawn / "a01.png"], 5, tmp_path / "many")
    assert [file.name for file in files] == [f"{index:05d}.png" for index in range(5)]
    assert files[2].read_bytes() == (drawn / "a00.png").read_bytes() != files[3].read_bytes()


def test_keras_runs_the_same_network(script, tmp_path, monkeypatch):
    """A file with two members, one beside the other."""
    speed = script("pretrained_speed")
    made = script("onnx_file").make_onnx([efficientnet_lite_unet(32, base_filters=2, seed=seed) for seed in (0, 1)])
    content = made.SerializeToString(deterministic=True)
    (tmp_path / "two.onnx").write_bytes(content)
    network = PackagedNetwork(
        "two", "two.onnx", hashlib.sha256(content).hexdigest(), 32, {"input_size": 32, "base_filters": 2}, []
    )
    monkeypatch.setattr("skinseg.networks._packaged._FOLDER", tmp_path)
    monkeypatch.setattr(speed, "packaged_network", lambda: network)
    squares = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    found = speed.keras_network().predict_on_batch(squares.astype(np.float32)).transpose(0, 3, 1, 2)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-3
    np.testing.assert_allclose(found, run_packaged(squares, network), atol=1e-4)


# ---------------------------------------------------------------------- benign or melanoma


@pytest.fixture
def clinic(tmp_path):
    """A table of 48 drawn lesions for training and 8 for validation, and a network's log-odds of some of both."""
    lesions = make_lesions(56, random_state=2, min_side=96, max_side=128, melanoma_fraction=0.5)
    names = [f"c{index:02d}" for index in range(56)]
    for name, image in zip(names, lesions.images, strict=True):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[..., ::-1])
    frame = lesions.frame[["age_approximate", "sex", "site"]].assign(
        image=[f"{name}.png" for name in names], melanoma=lesions.target, group=[f"L{i // 2}" for i in range(56)],
        split=["training"] * 48 + ["validation"] * 8,
    )  # fmt: skip
    frame.to_csv(tmp_path / "table.csv", index=False)
    log_odds = np.random.default_rng(0).normal(lesions.target * 2.0 - 1)
    order = np.random.default_rng(1).permutation(56)
    np.savez(tmp_path / "all.npz", melanoma=log_odds[order], image=np.array(names)[order])
    np.savez(tmp_path / "half.npz", melanoma=log_odds[:24], image=names[:24])
    return tmp_path, lesions.target, log_odds


@pytest.fixture
def classifiers(script, monkeypatch):
    """The script with few settings and few trees, as a function of its arguments."""
    module = script("isic2017_classifiers")
    monkeypatch.setattr(module, "STRENGTHS", {key: [0.01] for key in module.STRENGTHS})
    monkeypatch.setattr(module, "WEIGHTS", [0.2])
    monkeypatch.setattr(module, "TREES", 5)
    monkeypatch.setattr(module, "NEIGHBORS", 2)

    def run(*arguments):
        options = ["--folds", "2", "--inner", "2", "--resamples", "20"]
        monkeypatch.setattr(sys, "argv", ["isic2017_classifiers.py", *map(str, arguments), *options])
        module.main()

    run.module = module
    return run


@pytest.mark.long
def test_table_of_classifiers(clinic, classifiers, capsys):
    """Validation images are not read: their files are gone."""
    folder, target, log_odds = clinic
    for index in range(48, 56):
        (folder / f"c{index:02d}.png").unlink()
    networks = folder / "all.npz", folder / "half.npz"
    classifiers(folder / "table.csv", "--cache", folder / "cache", "--network", *networks,
                "--picture", folder / "curve.png")  # fmt: skip
    assert cv2.imread(str(folder / "curve.png")).std() > 0
    text = capsys.readouterr().out
    n_melanomas = int(target[:48].sum())
    assert f"48 training images, {n_melanomas} melanomas, 24 lesions, 2 folds" in text

    rows = {row[0]: row[1:] for row in rows_of(text, "classifier")}
    plain = "ABCD, logistic regression"
    for name in ("rule (TDS)", plain, "ABCD, boosting", "embedding, logistic regression", "stack", "stack with network",
                 "network", "on outlines by threshold: ABCD + clinical, logistic regression"):  # fmt: skip
        auc, precision = (float(cell.split()[0]) for cell in rows[name][:2])
        low, high = map(float, re.search(r"\[(.*), (.*)\]", rows[name][0]).groups())
        assert low <= auc <= high
        assert 0.4 < precision <= 1, name
        if name not in ("rule (TDS)", plain):  # those before it, and itself
            assert start_of(rows[name][-1]) == pytest.approx(auc - start_of(rows[plain][0]), abs=2e-3)
    assert start_of(rows["network"][0]) == pytest.approx(roc_auc_score(target[:48], log_odds[:48]), abs=6e-4)
    for name in ("half", "network, the images of half"):  # it has the same log-odds
        assert start_of(rows[f"{name} (24 images)"][0]) == pytest.approx(
            roc_auc_score(target[:24], log_odds[:24]), abs=6e-4
        )
    assert rows["rule (TDS)"][4:7] == ["", "", ""]  # a score is no probability

    curve = rows_of(text, "probability")
    assert sum(int(row[1]) for row in curve) == 48
    assert sum(int(row[1]) * start_of(row[3]) for row in curve) == pytest.approx(n_melanomas, abs=0.05)

    balanced = {row[0]: float(row[7]) for row in rows_of(text, "sampling")}
    assert balanced.keys() >= {plain, "SMOTE", "random under-sampling", "BalancedRandomForestClassifier"}
    assert len(rows_of(text, "calibration")) == 3
    points = rows_of(text, "operating point of")
    assert len(points) == 8
    for row in points:
        found, n = map(int, row[3].split(" of "))
        assert n == n_melanomas
        assert start_of(row[4]) == pytest.approx(found / n, abs=6e-4)


def test_a_network_that_knows_some_images(clinic, classifiers, capsys, monkeypatch):
    folder, target, log_odds = clinic
    module = classifiers.module
    monkeypatch.setattr(module, "fusion_rows", lambda options, network: (
        {module.PLAIN: module.logistic(["abcd"], "abcd", options)} | ({"stack with network": None} if network else {})
    ))  # fmt: skip
    classifiers(
        folder / "table.csv", "--cache", folder / "cache", "--network", folder / "half.npz", "--parts", "fusion"
    )
    text = capsys.readouterr().out
    plain, network = rows_of(text, "classifier")
    assert network[0] == "network (24 images)"
    assert start_of(network[1]) == pytest.approx(roc_auc_score(target[:24], log_odds[:24]), abs=6e-4)
    assert "no stack with network: its log-odds are not known of all images" in text
    assert f"Reliability of {plain[0]}" in text


@pytest.mark.long
def test_classifiers_on_validation_images(clinic, classifiers, capsys):
    folder = clinic[0]
    classifiers(folder / "table.csv", "--network", folder / "all.npz", "--validation")
    text = capsys.readouterr().out
    assert f"8 validation images, {clinic[1][48:].sum()} melanomas" in text
    rows = {row[0]: row[1:] for row in rows_of(text, "classifier")}
    assert rows.keys() >= {"rule (TDS)", "stack", "stack with network"}
    assert start_of(rows["network"][0]) == pytest.approx(roc_auc_score(clinic[1][48:], clinic[2][48:]), abs=6e-4)
    assert all(0 <= start_of(row[0]) <= 1 for row in rows.values())


def test_log_odds_find_their_images(clinic, classifiers, tmp_path):
    folder, _, log_odds = clinic
    read = classifiers.module.log_odds_of
    data = classifiers.module.load(argparse.Namespace(table=folder / "table.csv"), "training")
    np.testing.assert_array_equal(read(folder / "all.npz", data), log_odds[:48])
    half = read(folder / "half.npz", data)
    np.testing.assert_array_equal(half[:24], log_odds[:24])
    assert np.isnan(half[24:]).all()
    np.savez(tmp_path / "plain.npz", melanoma=log_odds[:48])
    np.testing.assert_array_equal(read(tmp_path / "plain.npz", data), log_odds[:48])
    np.savez(tmp_path / "short.npz", melanoma=log_odds[:5])
    with pytest.raises(SystemExit, match="5 log-odds and no names, and there are 48 images"):
        read(tmp_path / "short.npz", data)
    np.savez(tmp_path / "other.npz", melanoma=log_odds[:2], image=["x", "y"])
    with pytest.raises(SystemExit, match="is of other images: x, y"):
        read(tmp_path / "other.npz", data)


def test_score_of_thresholds_and_intervals(classifiers):
    module = classifiers.module
    assert module.wilson(9, 10) == "0.900 [0.596, 0.982]"  # Newcombe (1998) has such tables
    truth = np.repeat([1, 0], 10)
    calls = {name: np.r_[np.arange(10) < n, np.arange(10) < m].astype(int)
             for name, n, m in (("met", 9, 5), ("more", 10, 5), ("less", 8, 5), ("specific", 9, 2))}  # fmt: skip
    scores = {name: module.at_sensitivity(truth, called, 0.9) for name, called in calls.items()}
    assert scores["specific"] > scores["met"] > max(scores["more"], scores["less"])
    assert scores["more"] == pytest.approx(scores["less"])


@pytest.mark.long
def test_fine_tuning_on_one_split(clinic, script, monkeypatch, capsys):
    """Log-odds of the images held out, in the form that the table of classifiers reads."""
    folder, target, _ = clinic
    frame = pd.read_csv(folder / "table.csv")
    frame.assign(seborrheic_keratosis=np.arange(len(frame)) % 2 * (frame["melanoma"] == 0)).to_csv(
        folder / "table.csv", index=False
    )
    out = folder / "split.npz"
    options = ["--size", "32", "--epochs", "1", "--weights", "none", "--frozen", "14", "--folds", "2"]
    monkeypatch.setattr(sys, "argv", ["isic2017_cnn.py", str(folder / "table.csv"), str(out), *options])
    script("isic2017_cnn").main()
    with np.load(out) as file:
        assert set(file) == {"image", "nevus", "melanoma", "seborrheic_keratosis"}
        held = np.isfinite(file["melanoma"])
        assert held.sum() == 24
        assert file["image"].tolist() == [f"c{index:02d}" for index in range(48)]
        total = sum(1 / (1 + np.exp(-file[name][held])) for name in ("nevus", "melanoma", "seborrheic_keratosis"))
        np.testing.assert_allclose(total, 1, atol=1e-4)
        score = roc_auc_score(target[:48][held], file["melanoma"][held])
    text = capsys.readouterr().out
    assert "24 images learnt" in text
    assert start_of(text[text.index("ROC AUC: ") + 9 :]) == pytest.approx(score, abs=6e-4)


def scores_of_scikit_learn(scorer, folder, folders):
    """Stand in for the official scorer, with the classifiers' scores of scikit-learn; too high by what is asked."""
    rows = []
    for pair in folders:
        true, pred = (
            cv2.imread(str(next(Path(place).glob("*.png"))), cv2.IMREAD_GRAYSCALE).ravel() > 0 for place in pair
        )
        jaccard = jaccard_of_labels(true, pred, zero_division=1)
        rows.append(
            {
                "jaccard": jaccard,
                "thresholded_jaccard": jaccard * (jaccard >= 0.65),
                "dice": f1_score(true, pred, zero_division=1),
                "sensitivity": recall_score(true, pred, zero_division=1),
                "specificity": recall_score(~true, ~pred, zero_division=1),
                "accuracy": (true == pred).mean(),
            }
        )
    each = pd.DataFrame(rows) + float(scorer or 0)
    return each, each.mean()


def test_official_scorer_is_compared_image_by_image(script, lesions, capsys):
    module = script("official_scorer")
    changed = module.perturb(2 * lesions.masks, 2 * [~mask for mask in lesions.masks])
    pairs = list(zip(2 * lesions.masks, changed, strict=True))
    assert [(true == pred).all() for true, pred in pairs].count(False) == 7  # of 32, at 0, 5, ..., 30
    assert [bool(pred.any()) for _, pred in pairs].count(False) >= 1
    ours, _ = module.compare("drawn", pairs, None, scores_of_scikit_learn)
    text = capsys.readouterr().out
    assert len(rows_of(text, "score")) == 6
    assert float(text.split()[-1]) < 1e-12
    assert ours["jaccard"].nunique() > 3
    module.compare("edge cases", list(module.edge_cases().values()), None, scores_of_scikit_learn)
    assert float(capsys.readouterr().out.split()[-1]) < 1e-12
    module.compare("too high", pairs[:2], "0.25", scores_of_scikit_learn)
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(0.25)


def test_official_scorer_itself_agrees(script, lesion_files, monkeypatch, capsys):
    scorer = os.environ.get("SKINSEG_ISIC_SCORER") or shutil.which("isic-challenge-scoring")
    if not scorer:
        pytest.skip("isic-challenge-scoring is not installed (set SKINSEG_ISIC_SCORER)")
    frame = pd.read_csv(lesion_files / "lesions.csv").assign(split="validation")
    table = lesion_files / "split.csv"
    frame.to_csv(table, index=False)
    monkeypatch.setattr(sys, "argv", ["official_scorer.py", str(table), "--scorer", scorer])
    script("official_scorer").main()
    text = capsys.readouterr().out
    differences = [float(value) for value in re.findall("largest difference: (.+)", text)]
    assert len(differences) == 3
    assert max(differences) < 1e-6
    assert len(rows_of(text, "expert, predicted")) == 17


def test_definitions_of_boundary_metrics(script, lesion_files, monkeypatch, capsys):
    table = lesion_files / "split.csv"
    pd.read_csv(lesion_files / "lesions.csv").assign(split="validation").to_csv(table, index=False)
    monkeypatch.setattr(sys, "argv", ["boundary_definitions.py", str(table)])
    script("boundary_definitions").main()
    text = capsys.readouterr().out
    assert text.startswith("16 images, 0 of them without")
    largest, strict, pooled, assd, _ = (float(row[1]) for row in rows_of(text, "distance"))
    assert largest >= strict >= pooled > assd > 0
    scores = [float(row[1]) for row in rows_of(text, "tolerance, % of the diagonal")]
    assert len(scores) == 5
    assert scores == sorted(scores)
