"""The segmenter that comes trained: maps and masks, odd images, confidence, its place in scikit-learn, saved files."""

import copy
import pickle
import subprocess
import sys
import textwrap
import zipfile
from concurrent.futures import ThreadPoolExecutor

import cv2
import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

import skinseg
from skinseg import (
    BatchedPipeline,
    EnsembleSegmenter,
    ImageResizer,
    LesionImage,
    PretrainedSegmenter,
    ThresholdSegmenter,
    make_lesion_pipeline,
)
from skinseg.datasets import load_lesion_table, make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError, VersionMismatchWarning
from skinseg.masks import clean_mask, expected_jaccard
from skinseg.metrics import jaccard_score
from skinseg.networks import packaged_network, run_packaged
from skinseg.networks._packaged import _n_threads
from skinseg.segmentation import _pretrained as ours

BLANKS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
    "light skin": (230, 190, 170),
    "skin": (200, 160, 140),
    "brown skin": (120, 80, 60),
    "beige": (240, 220, 200),
    "blue": (60, 120, 200),
    "red": (200, 30, 30),
}


@pytest.fixture(scope="module")
def data():
    return make_lesions(12, random_state=3, min_side=40, max_side=72, melanoma_fraction=0.5)


@pytest.fixture(scope="module")
def larger():
    return make_lesions(40, random_state=11, min_side=128, max_side=256)


@pytest.fixture
def answers(monkeypatch):
    """Put a function in the place of the network, or watch what it is given."""

    def put(answer=run_packaged):
        sizes = []
        monkeypatch.setattr(ours, "run_packaged", lambda images: sizes.append(len(images)) or answer(images))
        return sizes

    return put


def shapes(items):
    return [item.shape[:2] for item in items]


def assert_close(first, second, atol=1e-5):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def run(code, *arguments):
    """Run code in a new process; give the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# ------------------------------------------------------------------ maps and masks


def test_masks_probabilities_and_records(data):
    segmenter = PretrainedSegmenter()
    masks, maps = segmenter.predict(data.images), segmenter.predict_proba(data.images)
    records = segmenter.transform(data.images)
    for found in (masks, maps, records):
        assert found.shape == (12,)
        assert found.dtype == object
    assert shapes(masks) == shapes(maps) == shapes(data.images)
    for mask, probability, record in zip(masks, maps, records, strict=True):
        assert mask.dtype == bool
        assert probability.dtype == np.float32
        assert 0 <= probability.min() < probability.max() <= 1
        assert probability[mask].mean() > probability[~mask].mean() + 0.2
        np.testing.assert_array_equal(record.mask, mask)
        np.testing.assert_array_equal(record.probability, probability)
        assert 0 < record.confidence <= 1


def test_outlines_of_synthetic_lesions_are_right(larger):
    masks = PretrainedSegmenter().predict(larger.images)
    discs = [clean_mask(np.zeros(mask.shape, bool), fallback="disc") for mask in larger.masks]
    score = jaccard_score(larger.masks, masks)
    assert score > 0.7
    assert score > jaccard_score(larger.masks, discs) + 0.2
    assert PretrainedSegmenter().score(larger.images, larger.masks) == pytest.approx(score)


def test_images_smaller_than_the_input_are_outlined_too(data):
    small = [cv2.resize(image, (24, 18), interpolation=cv2.INTER_AREA) for image in data.images]
    masks = [cv2.resize(mask.view(np.uint8), (24, 18), interpolation=cv2.INTER_AREA) > 0 for mask in data.masks]
    assert PretrainedSegmenter().score(small, masks) > 0.5


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")
def test_odd_sizes_and_shapes(data):
    sizes = [(1, 1), (3, 5), (16, 16), (8, 900), (900, 8), (2, 4000), (4000, 2), (1, 7), (1200, 900)]
    images = [cv2.resize(data.images[0], size[::-1], interpolation=cv2.INTER_AREA) for size in sizes]
    segmenter = PretrainedSegmenter()
    records = segmenter.transform(images)
    assert shapes(segmenter.predict(images)) == sizes
    for record, size in zip(records, sizes, strict=True):
        assert record.mask.shape == record.probability.shape == size
        assert np.isfinite(record.probability).all()
        assert 0 <= record.probability.min() <= record.probability.max() <= 1
        assert 0 <= record.confidence <= 1
    assert jaccard_score([cv2.resize(data.masks[0].view(np.uint8), (900, 1200)) > 0], [records[-1].mask]) > 0.5


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches_give_what_single_images_give(data, answers, batch_size):
    segmenter = PretrainedSegmenter()
    alone = [segmenter.predict_proba([image])[0] for image in data.images[:10]]
    sizes = answers()
    assert_close(segmenter.set_params(batch_size=batch_size).predict_proba(data.images[:10]), alone)
    assert sizes == {1: [1] * 10, 3: [3, 3, 3, 1], 8: [8, 2]}[batch_size]


def test_the_mean_of_the_members_is_what_counts(data, answers):
    def two(images):
        side = images.shape[1]
        return np.broadcast_to(np.float32([0.2, 0.6])[:, None, None], (len(images), 2, side, side))

    answers(two)
    for probability in PretrainedSegmenter().predict_proba(data.images):
        np.testing.assert_allclose(probability, 0.4, atol=1e-6)


def test_the_network_gets_squares_of_uint8(data, answers):
    side = packaged_network().input_size
    seen = []
    answers(lambda images: seen.append((images.shape, images.dtype)) or run_packaged(images))
    PretrainedSegmenter().predict([data.images[0], LesionImage(data.images[1])])
    assert seen == [((2, side, side, 3), np.dtype(np.uint8))]


def test_mirror_images_get_mirrored_maps_with_test_time_augmentation(data, answers):
    image = data.images[1]
    turns = [(), (0,), (1,), (0, 1)]
    images = [np.ascontiguousarray(np.flip(image, axes)) for axes in turns]
    plain = [np.flip(f, axes) for f, axes in zip(PretrainedSegmenter().predict_proba(images), turns, strict=True)]
    assert max(np.abs(other - plain[0]).max() for other in plain[1:]) > 1e-3  # without, they differ
    sizes = answers()
    augmented = PretrainedSegmenter(test_time_augmentation=True).predict_proba(images)
    assert sizes == [4] * 4
    for found, axes in zip(augmented, turns, strict=True):
        np.testing.assert_allclose(np.flip(found, axes), np.mean(plain, axis=0), atol=1e-4)


def test_a_fixed_threshold_and_one_for_each_image(data):
    """The one that is chosen is never above 0.5, so that masks only grow by it."""
    settings = {"component": "all", "fill_holes": False}
    fixed = PretrainedSegmenter(0.5, **settings).predict(data.images)
    chosen = PretrainedSegmenter(**settings).predict(data.images)
    high = PretrainedSegmenter(0.9, **settings).predict(data.images)
    for least, middle, most in zip(high, fixed, chosen, strict=True):
        assert not (least & ~middle).any()
        assert not (middle & ~most).any()
    areas = [sum(mask.sum() for mask in masks) for masks in (high, fixed, chosen)]
    assert areas[0] < areas[1] < areas[2]


# ------------------------------------------------------------------ what is kept, and what fails


def test_maps_are_kept_until_network_or_setting_change(data, tmp_path, answers, monkeypatch):
    segmenter = PretrainedSegmenter(memory=tmp_path)
    sizes = answers()
    expected = segmenter.predict_proba(data.images)
    assert sum(sizes) == 12
    assert_equal(segmenter.predict_proba(data.images), expected)
    again = clone(segmenter).set_params(threshold=0.3, component="all", batch_size=3)
    assert_equal(again.predict_proba(data.images), expected)
    assert sum(sizes) == 12  # the network was not asked again
    again.set_params(test_time_augmentation=True).predict(data.images[:1])
    assert sum(sizes) == 12 + 4
    other = packaged_network()._replace(sha256="0" * 64)
    monkeypatch.setattr(ours, "packaged_network", lambda: other)
    segmenter.predict(data.images[:1])
    assert sum(sizes) == 12 + 4 + 1


def test_a_bad_file_among_good_ones_takes_nothing_with_it(lesion_files, broken_files):
    files = [lesion_files / "images" / f"a{index:02d}.png" for index in range(4)]
    X = [*files[:2], broken_files / "cut.jpg", *files[2:]]
    expected = PretrainedSegmenter().transform(files)
    with pytest.raises(ImageBatchError, match=r"X\[2\].*cut\.jpg"):
        PretrainedSegmenter().predict(X)
    segmenter = PretrainedSegmenter(on_error="nan")
    masks, maps, records = segmenter.predict(X), segmenter.predict_proba(X), segmenter.transform(X)
    assert list(segmenter.errors_) == [2]
    assert masks[2] is None
    assert maps[2] is None
    assert records[2].error is not None
    for index, record in zip((0, 1, 3, 4), expected, strict=True):
        np.testing.assert_array_equal(masks[index], record.mask)
        np.testing.assert_allclose(maps[index], record.probability, atol=1e-5)
        assert records[index].confidence == pytest.approx(record.confidence, abs=1e-4)


def test_parameters_are_checked(data):
    for wrong in ({"threshold": 1.0}, {"batch_size": 0}, {"test_time_augmentation": "yes"}, {"component": "first"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PretrainedSegmenter(**wrong).predict(data.images[:1])


# ------------------------------------------------------------------ confidence


def empty_or_doubtful(images):
    """Whether each image was told by the warning or by its confidence; the confidences."""
    with pytest.MonkeyPatch.context() as patch:
        told = []
        patch.setattr(skinseg.base, "warn_of_empty_masks", lambda caller, names, *_: told.extend(names))
        records = PretrainedSegmenter().transform(images)
    for index, record in enumerate(records):
        assert record.mask.any() != (f"X[{index}]" in told)
        assert record.mask.any() or record.confidence == 0
    return [record.confidence for record in records]


def test_blank_images_are_empty_or_doubtful():
    confidences = empty_or_doubtful([np.full((96, 128, 3), color, np.uint8) for color in BLANKS.values()])
    sure = {name: round(c, 2) for name, c in zip(BLANKS, confidences, strict=True) if c >= 0.6}
    assert not sure


def test_noise_is_empty_or_doubtful():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(3)]
    for name in ("gray", "light skin", "skin", "beige"):
        images += [
            np.clip(BLANKS[name] + rng.normal(0, strength, (96, 128, 1)), 0, 255).astype(np.uint8)
            for strength in (3, 15, 50)
        ]
    assert max(empty_or_doubtful(images)) < 0.6


def test_lesions_get_more_confidence_than_blanks(larger):
    lesions = [record.confidence for record in PretrainedSegmenter().transform(larger.images)]
    blanks = empty_or_doubtful([np.full((96, 128, 3), color, np.uint8) for color in BLANKS.values()])
    higher = np.greater.outer(lesions, blanks).mean()  # of all pairs: the area under the ROC curve
    assert higher > 0.9


def test_confidence_is_the_calibrated_index_to_be_expected(data, answers):
    def disc(images):
        y, x = np.mgrid[: images.shape[1], : images.shape[2]] / images.shape[1] - 0.5
        return np.broadcast_to((1 / (1 + np.exp(40 * (np.hypot(x, y) - 0.2)))), (len(images), 1, *x.shape))

    answers(disc)
    image = np.zeros((*2 * (packaged_network().input_size,), 3), np.uint8)
    (record,) = PretrainedSegmenter().transform([image])
    expected = expected_jaccard(record.probability, record.mask)
    assert 0.5 < expected < 0.98
    assert record.confidence == pytest.approx(np.interp(expected, *packaged_network().calibration), abs=1e-6)


def test_no_lesion_at_all(data, answers):
    answers(lambda images: np.zeros((len(images), 1, *images.shape[1:3]), np.float32))
    with pytest.warns(EmptyMaskWarning, match="PretrainedSegmenter found no lesion in 12 of 12 images"):
        records = PretrainedSegmenter().transform(data.images)
    assert not any(record.mask.any() for record in records)
    assert {record.confidence for record in records} == {0.0}
    with pytest.warns(EmptyMaskWarning, match="a disc in the middle stands in, with a confidence of 0"):
        records = PretrainedSegmenter(fallback="disc").transform(data.images)
    assert all(record.mask.any() for record in records)
    assert {record.confidence for record in records} == {0.0}


# ------------------------------------------------------------------ as an estimator of scikit-learn


def test_clone_and_set_params():
    segmenter = PretrainedSegmenter(0.4, batch_size=3, memory="folder", min_area=0.01)
    other = clone(segmenter).set_params(threshold=None, fill_holes=False)
    assert other.get_params() == {**segmenter.get_params(), "threshold": None, "fill_holes": False}
    assert vars(clone(segmenter)) == vars(segmenter)
    with pytest.raises(ValueError, match="Invalid parameter 'weights'"):
        segmenter.set_params(weights="imagenet")


def test_no_fit_is_needed_and_none_changes_anything(data):
    segmenter = PretrainedSegmenter()
    expected = segmenter.predict(data.images)
    assert_equal(segmenter.fit(data.images, [~mask for mask in data.masks]).predict(data.images), expected)
    frozen = FrozenEstimator(PretrainedSegmenter())
    assert_equal(frozen.fit(data.images, None).predict(data.images), expected)
    assert frozen.score(data.images, data.masks) == segmenter.score(data.images, data.masks)
    assert_equal(BatchedPipeline([("segmenter", clone(frozen))]).fit(data.images).predict(data.images), expected)


def test_grid_search_over_the_threshold(data):
    grid = {"threshold": [None, 0.5, 0.99]}
    search = GridSearchCV(PretrainedSegmenter(), grid, cv=KFold(3)).fit(data.images, data.masks)
    scores = list(search.cv_results_["mean_test_score"])
    for threshold, score in zip(grid["threshold"], scores, strict=True):
        alone = cross_val_score(PretrainedSegmenter(threshold), data.images, data.masks, cv=KFold(3))
        assert alone.mean() == pytest.approx(score)
    assert len(set(scores)) == 3
    assert search.best_params_["threshold"] == grid["threshold"][int(np.argmax(scores))]
    assert shapes(search.predict(data.images)) == shapes(data.images)


def test_pipelines_answer_in_the_frame_of_the_images(larger):
    images, masks = larger.images[:4], larger.masks[:4]
    pipe = make_pipeline(ImageResizer(100), PretrainedSegmenter()).fit(images)
    assert shapes(pipe.predict(images)) == shapes(pipe.predict_proba(images)) == shapes(images)
    assert pipe.score(images, masks) > 0.6


def test_member_of_an_ensemble(data):
    members = [("pretrained", PretrainedSegmenter()), ("otsu", ThresholdSegmenter())]
    settings = {"component": "all", "fill_holes": False, "min_area": 0.0}
    soft = EnsembleSegmenter(members[:1], voting="soft", **settings).fit(data.images)
    assert_close(soft.predict_proba(data.images), PretrainedSegmenter().predict_proba(data.images))
    assert EnsembleSegmenter(members).fit(data.images).score(data.images, data.masks) > 0.5


def test_the_lesion_pipeline_learns_from_its_outlines():
    lesions = make_lesions(20, random_state=7, min_side=96, max_side=128, melanoma_fraction=0.5)
    pipe = make_lesion_pipeline(segmenter=PretrainedSegmenter(), max_side=128).fit(lesions.images, lesions.target)
    probability = pipe.predict_proba(lesions.images)
    assert probability.shape == (20, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert pipe.score(lesions.images, lesions.target) > 0.7
    default = make_lesion_pipeline(max_side=128).fit(lesions.images, lesions.target)
    np.testing.assert_allclose(default.predict_proba(lesions.images), probability)  # it is the segmenter if none is


# ------------------------------------------------------------------ workers and threads


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_workers_give_what_one_gives(data, backend):
    maps, masks = PretrainedSegmenter().predict_proba(data.images), PretrainedSegmenter().predict(data.images)
    with joblib.parallel_config(backend=backend):
        shared = PretrainedSegmenter(n_jobs=2)
        assert_close(shared.predict_proba(data.images), maps, atol=1e-4)
        for mask, expected in zip(shared.predict(data.images), masks, strict=True):
            assert (mask != expected).mean() < 1e-3  # a pixel may lie on the cut itself
        if backend == "loky":
            granted = joblib.Parallel(n_jobs=2)(joblib.delayed(_n_threads)() for _ in range(4))
            assert max(granted) <= max(1, joblib.cpu_count() // 2)


def test_predictions_of_four_threads_do_not_disturb_each_other(data):
    segmenter = PretrainedSegmenter(batch_size=2)
    parts = [data.images[start : start + 3] for start in (0, 3, 6, 9)] * 2
    expected = [segmenter.predict_proba(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(segmenter.predict_proba, parts))
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)


# ------------------------------------------------------------------ what is imported


def test_nothing_heavy_is_imported_before_a_prediction_and_no_keras_by_it():
    lines = run("""
        import pickle, sys

        def loaded():
            print(*(name for name in ("onnxruntime", "onnx", "keras", "tensorflow") if name in sys.modules))

        import skinseg
        from sklearn.base import clone
        loaded()
        segmenter = clone(pickle.loads(pickle.dumps(skinseg.PretrainedSegmenter(0.5))))
        print(segmenter)
        loaded()
        from skinseg.datasets import make_lesions
        segmenter.predict_proba(make_lesions(1, random_state=0).images)
        loaded()
    """)
    assert lines == ["", "PretrainedSegmenter(threshold=0.5)", "", "onnxruntime"]


# ------------------------------------------------------------------ saved files


def test_copies_give_the_same(data):
    segmenter = PretrainedSegmenter(0.4, component="all")
    expected = segmenter.predict(data.images)
    for other in (copy.copy(segmenter), copy.deepcopy(segmenter), pickle.loads(pickle.dumps(segmenter))):
        assert other.get_params() == segmenter.get_params()
        assert vars(other) == vars(segmenter)
        assert_equal(other.predict(data.images), expected)


def test_files_give_the_same_masks_in_a_new_process(data, tmp_path):
    network = packaged_network()
    segmenter = PretrainedSegmenter(0.4, fill_holes=False, batch_size=5)
    pipe = BatchedPipeline([("resizer", ImageResizer(64)), ("segmenter", FrozenEstimator(segmenter))]).fit(data.images)
    files = []
    for name, model in (("alone", segmenter), ("pipe", pipe)):
        (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(model))
        joblib.dump(model, tmp_path / f"{name}.joblib")
        skinseg.save(model, tmp_path / f"{name}.skops")
        files += [tmp_path / f"{name}.{kind}" for kind in ("pickle", "joblib", "skops")]
    for file in files:
        assert file.stat().st_size < (20_000 if file.stem == "alone" else 60_000)  # without the network
        content = file.read_bytes()
        if file.suffix == ".skops":
            with zipfile.ZipFile(file) as archive:
                content = archive.read("schema.json")
        assert network.name.encode() in content
        assert network.sha256.encode() in content
    np.savez(tmp_path / "images.npz", *data.images)
    out = run(
        """
        import pickle, sys, joblib, skinseg
        import numpy as np
        images, *files = sys.argv[1:]
        with np.load(images) as file:
            images = [file[name] for name in file.files]
        for name in files:
            if name.endswith("skops"):
                model = skinseg.load(name)
            else:
                with open(name, "rb") as file:
                    model = {"joblib": joblib.load}.get(name.rpartition(".")[2], pickle.load)(file)
            np.savez(name + ".npz", *model.predict(images))
            print(type(model).__name__)
        """,
        tmp_path / "images.npz", *files,
    )  # fmt: skip
    assert out == ["PretrainedSegmenter"] * 3 + ["BatchedPipeline"] * 3
    for file in files:
        expected = (segmenter if file.stem == "alone" else pipe).predict(data.images)
        with np.load(f"{file}.npz") as masks:
            assert_equal([masks[name] for name in masks.files], expected)


def test_a_file_warns_beside_another_network(data, tmp_path, monkeypatch):
    segmenter = PretrainedSegmenter()
    path = skinseg.save(FrozenEstimator(segmenter), tmp_path / "model.skops")
    text = pickle.dumps(segmenter)
    old, new = packaged_network(), packaged_network()._replace(sha256="0123456789abcdef" * 4)
    monkeypatch.setattr(ours, "packaged_network", lambda: new)
    for load in (lambda: skinseg.load(path).estimator, lambda: pickle.loads(text)):
        with pytest.warns(VersionMismatchWarning, match="outlines will differ") as caught:
            loaded = load()
        (message,) = (str(warning.message) for warning in caught)
        assert old.name in message
        assert old.sha256[:12] in message
        assert new.sha256[:12] in message
        assert shapes(loaded.predict(data.images[:2])) == shapes(data.images[:2])


# ------------------------------------------------------------------ real images


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")
def test_real_lesions(data_folder):
    """On images that the network has learnt from: a gross error shows, its quality does not."""
    table = data_folder / "isic2017" / "isic2017.csv"
    data = load_lesion_table(table, mask_column="mask", where={"split": "training"})
    images, masks = data.images[5::33][:60], data.masks[5::33][:60]
    assert len(images) == 60
    scores = jaccard_score(masks, PretrainedSegmenter().predict(images), average=None)
    others = jaccard_score(masks, ThresholdSegmenter().predict(images), average=None)
    assert scores.mean() > 0.8
    assert scores.mean() > others.mean() + 0.02
