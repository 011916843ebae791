"""The same inputs and seeds give the same results, bit for bit, however and wherever they are worked on.

Networks give the same to 1e-5. Containers, order, n_jobs of processes, pickles and caches are checked by
`skinseg.testing` for every estimator; here are processes, backends, batches, threads, files and copies.
"""

import importlib.util
import os
import subprocess
import sys
import warnings
from copy import deepcopy
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from joblib import parallel_config
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

import skinseg
from skinseg import ABCDFeaturizer, ImageResizer, LesionImage, ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning
from skinseg.testing import process_untouched

SCRIPT = Path(__file__).with_name("outcomes.py")
spec = importlib.util.spec_from_file_location("outcomes", SCRIPT)
outcomes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(outcomes)

X, MASKS = outcomes.draw()
PLAIN = outcomes.instances(keras=False)
OF_KERAS = outcomes.instances(keras=True)
CASES = [*PLAIN, *(pytest.param(name, marks=pytest.mark.long) for name in OF_KERAS)]


@pytest.fixture(scope="module")
def fitted():
    """Each estimator fitted once, and what it gave."""
    kept = {}

    def give(name):
        if name not in kept:
            if name in OF_KERAS:
                pytest.importorskip("keras")
            estimator = outcomes.fit(clone({**PLAIN, **OF_KERAS}[name]), X, MASKS)
            kept[name] = estimator, outcomes.run(estimator, X)
        return kept[name]

    return give


def test_an_estimator_is_looked_at_only_once():
    assert not PLAIN.keys() & OF_KERAS.keys()
    assert len(PLAIN) > 25


# ---------------------------------------------------------------------- in one process


def check_copies(name, fitted, make):
    estimator, expected = fitted(name)
    for what, copy in make(estimator).items():
        outcomes.assert_same(expected, outcomes.run(copy, X), estimator, what)


@pytest.mark.parametrize("name", CASES)
def test_calls_and_files(name, fitted, tmp_path):
    def make(estimator):
        return {
            "the second call": estimator,
            "saved": skinseg.load(skinseg.save(estimator, tmp_path / "m.skops")),
        }

    check_copies(name, fitted, make)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_copies(name, fitted, tmp_path):
    def make(estimator):
        joblib.dump(estimator, tmp_path / "m.joblib")
        return {
            "a deep copy": deepcopy(estimator),
            "fitted again": outcomes.fit(deepcopy(estimator), X, MASKS),
            "a clone fitted": outcomes.fit(clone(estimator), X, MASKS),
            "dumped": joblib.load(tmp_path / "m.joblib"),
        }

    check_copies(name, fitted, make)


def check_batches(name, fitted, sizes):
    estimator, expected = fitted(name)
    for size in sizes:
        parts = [row for start in range(0, len(X), size) for row in outcomes.run(estimator, X[start : start + size])]
        outcomes.assert_same(expected, parts, estimator, f"{size} at a time")
        if "batch_size" in estimator.get_params(deep=False):
            other = deepcopy(estimator).set_params(batch_size=size)
            outcomes.assert_same(expected, outcomes.run(other, X), estimator, f"batch_size={size}")


@pytest.mark.parametrize("name", CASES)
def test_batches(name, fitted):
    check_batches(name, fitted, (2,))


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_batches_of_any_size(name, fitted):
    check_batches(name, fitted, (1, 3, len(X), len(X) + 1))


def check_threads(name, fitted, numbers, workers):
    estimator, expected = fitted(name)
    before = cv2.getNumThreads()
    try:
        for number in numbers:
            cv2.setNumThreads(number)
            with threadpool_limits(number), process_untouched():
                outcomes.assert_same(expected, outcomes.run(estimator, X), estimator, f"{number} threads")
    finally:
        cv2.setNumThreads(before)
    for n_jobs in workers:
        with parallel_config(backend="threading", n_jobs=n_jobs):
            other = deepcopy(estimator).set_params(n_jobs=None)
            outcomes.assert_same(expected, outcomes.run(other, X), estimator, f"{n_jobs} workers that are threads")


@pytest.mark.parametrize("name", CASES)
def test_threads(name, fitted):
    check_threads(name, fitted, (4,), (2,))


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_any_number_of_threads(name, fitted):
    check_threads(name, fitted, (1, 2, 3), (1, 3, -1))


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_workers_that_are_processes(name, fitted):
    estimator, expected = fitted(name)
    for n_jobs, threads in ((1, 1), (2, 1), (-1, 2)):
        with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=threads):
            other = deepcopy(estimator).set_params(n_jobs=None)
            outcomes.assert_same(expected, outcomes.run(other, X), estimator, f"{n_jobs} workers, {threads} threads")
            again = outcomes.fit(clone(other), X, MASKS)
            outcomes.assert_same(expected, outcomes.run(again, X), estimator, f"fitted by {n_jobs} workers")


# ---------------------------------------------------------------------- fresh processes

SURROUNDINGS = [
    {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    {"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "LC_ALL": "C", "TZ": "Asia/Tokyo"},
]


def compare_processes(tmp_path, arguments=()):
    found = []
    for number, variables in enumerate(SURROUNDINGS):
        folder = tmp_path / str(number)
        folder.mkdir()
        env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "PYTHONHASHSEED")}
        command = [sys.executable, str(SCRIPT), str(folder / "found.npz"), *arguments]
        subprocess.run(command, check=True, cwd=folder, env={**env, **variables}, capture_output=True, text=True)
        with np.load(folder / "found.npz") as file:
            found.append(dict(file))
        assert [path.name for path in folder.iterdir()] == ["found.npz"]
    first, second = found
    assert first.keys() == second.keys()
    known = {**PLAIN, **OF_KERAS}
    for key, value in first.items():
        estimator = known.get(key.partition("/")[0])
        if key == "melanoma" or (estimator is not None and outcomes.is_network(estimator)):
            np.testing.assert_allclose(value, second[key], rtol=0, atol=outcomes.TOLERANCE, err_msg=key)
        else:
            np.testing.assert_array_equal(value, second[key], err_msg=key)
    return first


def test_fresh_processes(tmp_path, fitted):
    """Of other hash seeds, working folders, threads, locales and time zones."""
    found = compare_processes(tmp_path)
    for name in PLAIN:
        estimator, expected = fitted(name)
        there = [found[f"{name}/{index}"] for index in range(len(X))]
        outcomes.assert_same(expected, there, estimator, f"{name} in another process")
    assert {"drawn", "split", "interval", "pipeline", "rule", "melanoma"} <= found.keys()


@pytest.mark.long
def test_fresh_processes_with_keras(tmp_path):
    pytest.importorskip("keras")
    found = compare_processes(tmp_path, ["keras"])
    assert {key.partition("/")[0] for key in found} == OF_KERAS.keys()


# ---------------------------------------------------------------------- containers


def test_iterators_are_refused_and_not_half_read():
    images = [record.image for record in X]
    for container in (iter(images), (image for image in images), map(np.array, images)):
        with pytest.raises(ValueError, match=r"expected .*images"):
            ImageResizer(32).transform(container)
        assert sum(1 for _ in container) == len(images)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """JPEG files of 640 pixels, and what is in them."""
    folder = tmp_path_factory.mktemp("photos")
    images = make_lesions(3, random_state=1, min_side=80, max_side=80).images
    paths = [folder / f"{index}.jpg" for index in range(3)]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), cv2.resize(image, (640, 480))[..., ::-1])
    return paths, [skinseg.read_image(path) for path in paths]


def resized(X, **settings):
    return [record.image for record in ImageResizer(**settings).fit_transform(X)]


@pytest.mark.parametrize(("side", "reduced"), [(200, True), (100, False)])
def test_files_and_their_arrays_are_the_same(photos, side, reduced):
    """Below four times the working size always, and at any size where files are decoded whole."""
    paths, arrays = photos
    expected = resized(arrays, max_side=side)
    forms = [
        paths, tuple(map(str, paths)), np.array(paths, dtype=str), pd.Series(map(str, paths)),
        pd.DataFrame({"image": paths}), [LesionImage(path) for path in paths], np.stack(arrays),
        [LesionImage(path).load() for path in paths], [paths[0], arrays[1], LesionImage(arrays[2])],
    ]  # fmt: skip
    for form in forms:
        for one, other in zip(expected, resized(form, max_side=side, reduced_decoding=reduced), strict=True):
            np.testing.assert_array_equal(one, other)


def test_forms_of_large_files_are_the_same(photos):
    """From four times the working size on, files differ a little from arrays, but are the same in any form."""
    paths, arrays = photos
    expected = resized(paths, max_side=100)
    for form in (list(map(str, paths)), pd.DataFrame({"image": paths}), [LesionImage(path) for path in paths]):
        for one, other in zip(expected, resized(form, max_side=100), strict=True):
            np.testing.assert_array_equal(one, other)
    apart = [
        np.abs(one.astype(int) - other).mean()
        for one, other in zip(expected, resized(arrays, max_side=100), strict=True)
    ]
    assert 0 < max(apart) < 1


# ---------------------------------------------------------------------- searches


def test_a_search_is_the_same_by_any_number_of_workers():
    lesions = make_lesions(10, random_state=3, min_side=56, max_side=80, melanoma_fraction=0.4)
    sampler = SMOTE(random_state=0, k_neighbors=1)
    pipe = make_lesion_pipeline(ThresholdSegmenter(), LogisticRegression(), sampler=sampler)
    grid = {"lesion__segmenter__method": ["otsu", "li"]}
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        for n_jobs, backend in ((1, "loky"), (2, "loky"), (2, "threading")):
            with parallel_config(backend=backend):
                search = GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs, scoring="neg_log_loss").fit(
                    lesions.images, lesions.target
                )
            found.append((search.cv_results_["mean_test_score"], search.predict_proba(lesions.images)))
    for scores, probabilities in found[1:]:
        np.testing.assert_array_equal(scores, found[0][0])
        np.testing.assert_array_equal(probabilities, found[0][1])


def test_the_table_of_features_is_the_same_in_any_order_of_groups():
    groups = ("structure", "color", "asymmetry", "dimension", "border")
    table = ABCDFeaturizer().set_output(transform="pandas").fit_transform(X)
    other = ABCDFeaturizer(groups=groups).set_output(transform="pandas").fit_transform(X)
    pd.testing.assert_frame_equal(table[sorted(other)], other[sorted(other)], check_exact=True)
