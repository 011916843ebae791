"""What an estimator makes of a training: whose a checkpoint is, and what a fit that fails leaves behind."""

import cv2
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skinseg import UNetSegmenter
from skinseg.exceptions import CheckpointError, ImageBatchError

pytest.importorskip("keras")

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(4)]
MASKS = [image[..., 0] > 100 for image in IMAGES]


SETTINGS = {"validation_fraction": 0, "random_state": 0}


def segmenter(**settings):
    return UNetSegmenter(
        8,
        **{
            "depth": 1,
            "base_filters": 2,
            "epochs": 1,
            "batch_size": 4,
            "validation_fraction": 0,
            "random_state": 0,
            **settings,
        },
    )


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of a training on arrays."""
    segmenter(checkpoint_dir=tmp_path / "kept").fit(IMAGES, MASKS)
    return tmp_path / "kept"


def test_the_same_images_go_on(folder):
    again = segmenter(checkpoint_dir=folder, callbacks=[lambda *_: pytest.fail("an epoch was run")])
    assert again.fit([image.copy() for image in IMAGES], MASKS).n_epochs_ == 1


def test_a_checkpoint_of_other_arrays_is_not_taken_for_ones_own(folder):
    """As in a cross-validation, where all folds have the same settings and the same number of images."""
    with pytest.raises(CheckpointError, match=r"names is '.*' and was '.*'"):
        segmenter(checkpoint_dir=folder).fit(IMAGES[::-1], MASKS[::-1])
    with pytest.raises(CheckpointError, match="names is"):
        segmenter(checkpoint_dir=folder).fit(IMAGES, MASKS[::-1])


def test_files_are_known_by_their_names_wherever_they_are(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        for index, image in enumerate(IMAGES):
            cv2.imwrite(str(tmp_path / place / f"{index}.png"), image)
    settings = {"checkpoint_dir": tmp_path / "kept"}
    segmenter(**settings).fit([tmp_path / "a" / f"{index}.png" for index in range(4)], MASKS)
    moved = [tmp_path / "b" / f"{index}.png" for index in range(4)]
    assert segmenter(**settings).fit(moved, MASKS).n_epochs_ == 1
    with pytest.raises(CheckpointError, match="names is"):
        segmenter(**settings).fit(moved[::-1], MASKS[::-1])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"plateau_factor": 0.5}, "plateau_factor is 0.5 and was 0.1"),
        ({"plateau_patience": 3}, "plateau_patience is 3 and was 7"),
        ({"base_filters": 3}, "architecture is .*'base_filters': 3"),
        ({"random_state": 1}, "seed is"),
    ],
)
def test_what_shapes_the_result_is_compared(tmp_path, changes, told):
    settings = {"checkpoint_dir": tmp_path, "schedule": "plateau"}
    segmenter(**settings).fit(IMAGES, MASKS)
    with pytest.raises(CheckpointError, match=told):
        segmenter(**settings, **changes).fit(IMAGES, MASKS)


def test_settings_from_a_grid_of_numpy_are_written(tmp_path):
    values = {"batch_size": np.int64(4), "learning_rate": np.float32(1e-3), "augmentation": np.float32(0.5)}
    fitted = segmenter(checkpoint_dir=tmp_path, **values).fit(IMAGES, MASKS)
    assert (tmp_path / "checkpoint.npz").exists()
    assert fitted.n_epochs_ == 1


def test_a_checkpoint_folder_that_cannot_be_made_is_told_before_the_first_epoch(tmp_path):
    (tmp_path / "taken").write_text("a file")
    epochs = []
    with pytest.raises(FileExistsError, match="taken"):
        segmenter(checkpoint_dir=tmp_path / "taken", callbacks=[lambda epoch, _: epochs.append(epoch)]).fit(
            IMAGES, MASKS
        )
    assert epochs == []


def test_a_checkpoint_with_weights_of_another_version_is_refused(folder, monkeypatch):
    build = UNetSegmenter._build

    def other(architecture, seed):
        return build({**architecture, "normalization": "none"}, seed)

    monkeypatch.setattr(UNetSegmenter, "_build", staticmethod(other))
    with pytest.raises(CheckpointError, match="weights to go on from are of another version of UNetSegmenter"):
        segmenter(checkpoint_dir=folder, epochs=2, schedule="one_cycle").set_params(epochs=1).fit(IMAGES, MASKS)


def test_a_fit_that_fails_before_its_first_epoch_leaves_what_was_there(broken_files):
    bad = [*IMAGES[:3], broken_files / "cut.jpg"]
    masks = [*MASKS[:3], np.zeros((150, 200), bool)]
    fresh = segmenter()
    with pytest.raises(ImageBatchError, match="cut"):
        fresh.fit(bad, masks)
    with pytest.raises(NotFittedError):
        fresh.predict(IMAGES)
    fitted = segmenter().fit(IMAGES, MASKS)
    digest, history = fitted.weights_hash_, dict(fitted.history_)
    with pytest.raises(ImageBatchError, match="cut"):
        fitted.fit(bad, masks)
    assert (fitted.weights_hash_, fitted.history_, fitted.n_epochs_) == (digest, history, 1)


def test_a_fit_that_is_stopped_by_hand_keeps_what_it_reached():
    def stop(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    stopped = segmenter(epochs=4, callbacks=[stop])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(IMAGES, MASKS)
    assert stopped.n_epochs_ == 2
    assert len(stopped.history_["loss"]) == 2
    assert len(stopped.predict(IMAGES)) == 4


def test_nothing_of_a_fit_is_left_for_the_next_one():
    """The second of two fits of one estimator is that of its clone, pooled network or not."""
    twice = segmenter(epochs=2)
    twice.fit(IMAGES[:2], MASKS[:2])
    twice.fit(IMAGES, MASKS)
    once = clone(twice).fit(IMAGES, MASKS)
    for a, b in zip(twice.weights_, once.weights_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert twice.n_epochs_ == 2
