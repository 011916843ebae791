"""Models that releases have saved are opened by this version, and say what they said."""

import json
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import InconsistentVersionWarning

import skinseg
from skinseg.exceptions import VersionMismatchWarning

FOLDER = Path(__file__).parent / "saved_models"
RELEASES = sorted(path.name for path in FOLDER.iterdir() if (path / "about.json").exists())
MODELS = [(release, path.name) for release in RELEASES for path in sorted((FOLDER / release).glob("*.skops"))]
NETWORKS = {"unet.skops", "pretrained.skops", "features.skops", "cnn_features.skops", "melanoma.skops"}


def about(release):
    return json.loads((FOLDER / release / "about.json").read_text())


def read_arrays(release, name):
    with np.load(FOLDER / release / name) as file:
        return {key: file[key] for key in file.files}


def is_older(found, other):
    """Whether a version of a package is older than another."""
    found, other = ([int(part) for part in re.findall(r"\d+", text)[:2]] for text in (found, other))
    return found < other


def opened(load, release):
    """Open a model; only the warnings that are due are let through."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load()
    told = [warning for warning in caught if issubclass(warning.category, VersionMismatchWarning)]
    assert bool(told) is (release != skinseg.__version__)
    assert all(f"skinseg {release}" in str(warning.message) for warning in told)
    others = [w for w in caught if not issubclass(w.category, (VersionMismatchWarning, InconsistentVersionWarning))]
    assert not others
    of_sklearn = any(issubclass(warning.category, InconsistentVersionWarning) for warning in caught)
    return model, of_sklearn


def test_this_release_has_its_models():
    """Made by tests/saved_models/make_models.py before the tag is set."""
    assert skinseg.__version__ in RELEASES
    assert {"logistic", "features", "melanoma", "unet", "fused"} <= {
        Path(name).stem for release, name in MODELS if release == skinseg.__version__
    }


@pytest.mark.parametrize(("release", "name"), MODELS)
def test_saved_models_say_what_they_said(release, name):
    saved = about(release)
    if is_older(version("scikit-learn"), saved["versions"]["scikit-learn"]):
        pytest.skip("saved with a newer scikit-learn, which promises nothing to older ones")
    if name == "unet.skops":
        pytest.importorskip("keras")
    model, of_sklearn = opened(lambda: skinseg.load(FOLDER / release / name), release)
    newer = is_older(saved["versions"]["scikit-learn"], version("scikit-learn"))
    assert newer or not of_sklearn
    images = list(read_arrays(release, "images.npz").values())
    if name == "fused.skops":
        frame = pd.DataFrame({"image": images}).join(pd.DataFrame(saved["clinical"]))
        np.testing.assert_allclose(model.predict_proba(frame), saved["fused"], atol=1e-6)
        return
    expected = read_arrays(release, "answers.npz")[Path(name).stem]
    methods = ["predict_proba", "decision_function"] if hasattr(model, "classes_") else ["predict", "transform"]
    said = np.stack(list(getattr(model, next(method for method in methods if hasattr(model, method)))(images)))
    assert said.shape == expected.shape
    if expected.dtype == np.uint8:  # masks: a pixel at the threshold may fall to the other side
        assert (said != expected).mean() <= (0.002 if name in NETWORKS else 0)
    elif name in NETWORKS:
        np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_allclose(said, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("release", RELEASES)
def test_a_joblib_file_says_what_it_said(release):
    model, _ = opened(lambda: joblib.load(FOLDER / release / "batched.joblib"), release)
    images = list(read_arrays(release, "images.npz").values())
    np.testing.assert_allclose(model.transform(images), read_arrays(release, "answers.npz")["batched"], rtol=1e-9)


def test_versions_are_compared_by_number():
    assert is_older("1.6.1", "1.10.0")
    assert not is_older("1.10.0", "1.9.1")
    assert not is_older("1.9.1", "1.9.0")


def test_a_release_takes_little_room():
    for release in RELEASES:
        assert sum(path.stat().st_size for path in (FOLDER / release).iterdir()) < 600_000
