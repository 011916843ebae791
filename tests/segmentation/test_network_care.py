"""Segmenters that hold a network: folders that are another's, fits that go on, what callbacks and caches keep."""

import json
import threading

import cv2
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold

keras = pytest.importorskip("keras")

from skinseg import LesionImage, UNetSegmenter  # noqa: E402
from skinseg._mapping import opencv_threads  # noqa: E402
from skinseg.datasets import make_lesions  # noqa: E402
from skinseg.exceptions import CheckpointError, TrainingDivergedError  # noqa: E402
from skinseg.networks._checkpoint import claim_folder  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")


def tiny(**settings):
    fixed = {"depth": 1, "base_filters": 2, "epochs": 1, "batch_size": 4, "validation_fraction": 0.0, "random_state": 0}
    return UNetSegmenter(**{"input_size": 16, **fixed, **settings})


@pytest.fixture(scope="module")
def data():
    return make_lesions(12, random_state=3, min_side=40, max_side=56)


def write(folder, images, masks):
    folder.mkdir()
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        cv2.imwrite(str(folder / f"{index}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / f"{index}_mask.png"), mask.astype(np.uint8) * 255)
    numbers = range(len(images))
    return [folder / f"{n}.png" for n in numbers], [folder / f"{n}_mask.png" for n in numbers]


def test_a_checkpoint_knows_masks_and_files(data, tmp_path):
    """Other masks, or other files of the same names, are another training; a folder that was moved is not."""
    paths, masks = write(tmp_path / "one", data.images, data.masks)
    folder = tmp_path / "state"
    first = tiny(checkpoint_dir=folder).fit(paths, data.masks)
    with pytest.raises(CheckpointError, match="files is "):
        tiny(checkpoint_dir=folder).fit(paths, [~mask for mask in data.masks])
    other, _ = write(tmp_path / "other", [image[::-1] for image in data.images], data.masks)
    with pytest.raises(CheckpointError, match="files is "):
        tiny(checkpoint_dir=folder).fit(other, data.masks)
    again = tiny(checkpoint_dir=tmp_path / "second").fit(paths, masks)
    (tmp_path / "one").rename(tmp_path / "moved")
    moved = [tmp_path / "moved" / path.name for path in paths]
    moved_masks = [tmp_path / "moved" / path.name for path in masks]
    assert tiny(checkpoint_dir=folder).fit(moved, data.masks).weights_hash_ == first.weights_hash_
    resumed = tiny(checkpoint_dir=tmp_path / "second").fit(moved, moved_masks)
    assert resumed.weights_hash_ == again.weights_hash_


def test_a_folder_is_claimed_before_the_first_epoch(data, tmp_path):
    """Two trainings that begin at the same time do not write over each other's state."""
    refused = []

    def meanwhile(epoch, logs):
        (tmp_path / "checkpoint.npz").unlink()  # as if the first had not yet written
        try:
            tiny(checkpoint_dir=tmp_path, loss="dice").fit(data.images, data.masks)
        except CheckpointError as error:
            refused.append(str(error))

    tiny(checkpoint_dir=tmp_path, callbacks=[meanwhile]).fit(data.images, data.masks)
    assert len(refused) == 1
    assert "loss is 'dice' and was 'bce_jaccard'" in refused[0]
    plan = json.loads((tmp_path / "training.json").read_text())
    for damaged in ("", '{"estimator": "UN'):  # nobody's; where there is a checkpoint, that tells whose it is
        (tmp_path / "training.json").write_text(damaged)
        claim_folder(tmp_path, plan)
        assert json.loads((tmp_path / "training.json").read_text()) == plan
    with pytest.raises(CheckpointError, match="seed is 1 and was "):
        claim_folder(tmp_path, plan | {"seed": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "training.json"]


def test_a_search_with_one_folder_for_all_is_told(data, tmp_path):
    search = GridSearchCV(
        tiny(checkpoint_dir=tmp_path), {"learning_rate": [1e-3, 1e-2]}, cv=KFold(2), error_score="raise"
    )
    with pytest.raises(CheckpointError, match="none in a search or a cross-validation"):
        search.fit(data.images, data.masks)


def test_a_search_with_two_workers(data):
    grid = {"base_filters": [2, 3], "learning_rate": [1e-4, 1e-2]}
    alone, shared = (
        GridSearchCV(tiny(epochs=2, augmentation=0.0), grid, cv=KFold(2), n_jobs=n_jobs).fit(data.images, data.masks)
        for n_jobs in (None, 2)
    )
    np.testing.assert_allclose(shared.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], atol=1e-3)


def test_a_warm_start_may_change_what_leaves_the_weights_alone(data):
    segmenter = tiny(dropout=0.0).fit(data.images, data.masks)
    before = segmenter.weights_
    segmenter.set_params(warm_start=True, input_size=32, dropout=0.2, learning_rate=1e-12).fit(data.images, data.masks)
    assert segmenter.architecture_["input_size"] == 32
    for now, then in zip(segmenter.weights_, before, strict=True):
        assert now.shape == then.shape
    kernels = [index for index, array in enumerate(before) if array.ndim == 4]
    assert kernels
    for index in kernels:
        np.testing.assert_allclose(segmenter.weights_[index], before[index], atol=1e-6)


def test_a_warm_start_does_not_take_a_finished_checkpoint_for_its_own(data, tmp_path):
    segmenter = tiny(warm_start=True, checkpoint_dir=tmp_path).fit(data.images, data.masks)
    with pytest.raises(CheckpointError, match=f"start is '{segmenter.weights_hash_}' and was None"):
        segmenter.fit(data.images, data.masks)


def test_a_divergence_in_the_first_epoch_leaves_the_fit_before(data):
    segmenter = tiny().fit(data.images, data.masks)
    before = segmenter.weights_hash_, segmenter.n_epochs_
    wild = {"learning_rate": 1e30, "optimizer": "sgd", "schedule": "constant", "batch_size": 2}
    with pytest.raises(TrainingDivergedError, match="no epoch ended well"):
        segmenter.set_params(**wild).fit(data.images, data.masks)
    assert (segmenter.weights_hash_, segmenter.n_epochs_) == before


def test_callbacks_of_keras_are_filled_and_not_bound(data):
    stopping, history = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9), keras.callbacks.History()
    segmenter = tiny(epochs=6, callbacks=[stopping, history]).fit(data.images, data.masks)
    assert segmenter.n_epochs_ == 2
    assert stopping.stopped_epoch == 1
    assert history.epoch == [0, 1]
    assert stopping.model is None


def test_callbacks_are_told_of_the_end_of_a_training_that_fails(data):
    ended = []
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: 1 / 0, on_train_end=lambda logs: ended.append(True)
    )
    with pytest.raises(ZeroDivisionError):
        tiny(callbacks=[told]).fit(data.images, data.masks)
    assert ended == [True]


def test_predictions_go_by_the_size_of_the_batch(data, monkeypatch):
    segmenter = tiny(batch_size=5).fit(data.images, data.masks)
    sizes = []
    run = UNetSegmenter._run_network
    monkeypatch.setattr(UNetSegmenter, "_run_network", lambda self, x: sizes.append(len(x)) or run(self, x))
    segmenter.predict(data.images)
    assert sizes == [5, 5, 2]


def test_an_image_that_fails_twice_is_listed_twice(data, tmp_path):
    path = tmp_path / "cut.jpg"
    whole = cv2.imencode(".jpg", cv2.resize(data.images[0], (200, 200)))[1].tobytes()
    path.write_bytes(whole[: len(whole) // 2])
    broken = LesionImage(path, reference_mask=np.ones((200, 200), bool))
    good = [LesionImage(i, reference_mask=m) for i, m in zip(data.images, data.masks, strict=True)]
    segmenter = tiny(on_error="nan").fit([*good, broken, broken])
    assert sorted(segmenter.errors_) == [12, 13]


def test_a_map_that_is_kept_needs_no_image(data, tmp_path, monkeypatch):
    paths, masks = write(tmp_path / "files", data.images, data.masks)
    segmenter = tiny(memory=tmp_path / "cache").fit(paths, masks)
    expected = list(segmenter.predict(paths))
    monkeypatch.setattr("skinseg._record.read_image", lambda path: pytest.fail("an image was decoded"))
    for mask, again in zip(expected, segmenter.predict(paths), strict=True):
        np.testing.assert_array_equal(mask, again)


def test_class_weights_without_a_cross_entropy_are_told(data):
    with pytest.warns(UserWarning, match="changes nothing with loss='dice'"):
        tiny(class_weight="balanced", loss="dice").fit(data.images, data.masks)


def test_parameters_set_after_the_fit_are_checked(data):
    segmenter = tiny().fit(data.images, data.masks)
    with pytest.raises(ValueError, match="threshold"):
        segmenter.set_params(threshold=2.0).predict(data.images)


def test_threads_that_bound_opencv_set_it_back():
    before = cv2.getNumThreads()
    first, second = threading.Event(), threading.Event()

    def overlapping():
        with opencv_threads(1):
            first.set()
            second.wait(10)

    worker = threading.Thread(target=overlapping)
    worker.start()
    first.wait(10)
    with opencv_threads(1):
        second.set()
        worker.join()
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before
