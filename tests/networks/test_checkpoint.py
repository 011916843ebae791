"""The state of a training in its file: complete or not there, and used by the same training only."""

import json
import os

import numpy as np
import pytest

from skinseg.exceptions import CheckpointError
from skinseg.networks import _checkpoint
from skinseg.networks._checkpoint import Progress, load_checkpoint, save_checkpoint

PLAN = {"estimator": "UNetSegmenter", "architecture": {"depth": 2}, "n_images": (8, 2), "loss": "bce", "seed": 7}


def progress(n_epochs=3, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 3, 2, 4), (4,), ())]
    return Progress(
        weights=weights,
        average=[array + 1 for array in weights],
        best=[array + 2 for array in weights],
        optimizer=[np.array(12, np.int64), np.array(1e-3, np.float32), weights[0] / 3],
        history={"loss": rng.random(n_epochs).tolist(), "val_jaccard": [0.5] * n_epochs, "val_loss": [1.0] * n_epochs},
    )


def assert_same(one, two):
    assert one.history == two.history
    for part in ("weights", "average", "best", "optimizer"):
        a, b = getattr(one, part), getattr(two, part)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)


def test_round_trip(tmp_path):
    folder = tmp_path / "a" / "b"  # made if it is not there
    before = progress()
    save_checkpoint(folder, before, PLAN)
    after, seed = load_checkpoint(str(folder), PLAN)
    assert_same(before, after)
    assert seed == 7
    assert after.n_epochs == 3


def test_parts_that_are_not_kept_stay_empty(tmp_path):
    before = Progress([np.ones(2, np.float32)], history={"loss": [0.5]})
    save_checkpoint(tmp_path, before, PLAN)
    assert_same(before, load_checkpoint(tmp_path, PLAN)[0])


def test_where_nothing_is_there_is_nothing_to_go_on_from(tmp_path):
    assert load_checkpoint(tmp_path, PLAN) is None
    assert load_checkpoint(tmp_path / "none", PLAN) is None


def test_the_history_is_a_table(tmp_path):
    made = progress(2)
    made.history = {"loss": [0.5, 0.25], "val_loss": [0.123456789, 2.0]}
    save_checkpoint(tmp_path, made, PLAN)
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines == ["epoch,loss,val_loss", "1,0.5,0.123457", "2,0.25,2"]


def test_the_folder_holds_two_files_however_often_it_is_written(tmp_path):
    for n_epochs in (1, 2, 3):
        save_checkpoint(tmp_path, progress(n_epochs), PLAN)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.npz", "history.csv"]
    assert load_checkpoint(tmp_path, PLAN)[0].n_epochs == 3


def test_what_is_written_can_be_read_without_pickles(tmp_path):
    save_checkpoint(tmp_path, progress(), PLAN)
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch, failing):
    old = progress(2)
    save_checkpoint(tmp_path, old, PLAN)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        with pytest.raises(OSError, match="No space"):
            save_checkpoint(tmp_path, progress(3, seed=1), PLAN)
    assert_same(old, load_checkpoint(tmp_path, PLAN)[0])
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.npz", "history.csv"]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loss": "dice"}, ["loss is 'dice' and was 'bce'"]),
        ({"architecture": {"depth": 3}}, ["architecture is {'depth': 3} and was {'depth': 2}"]),
        ({"seed": 8}, ["seed is 8 and was 7"]),
        ({"n_images": [9, 2]}, ["n_images is [9, 2] and was [8, 2]"]),
        ({"loss": "dice", "estimator": "BCDUNetSegmenter"}, ["loss is 'dice'", "estimator is 'BCDUNetSegmenter'"]),
    ],
)
def test_another_training_is_refused_with_what_differs(tmp_path, changes, told):
    save_checkpoint(tmp_path, progress(), PLAN)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path, PLAN | changes)
    text = str(caught.value)
    assert all(part in text for part in told)
    assert "Give another checkpoint_dir" in text
    assert text.count(" and was ") == len(changes)


def test_a_setting_that_is_gone_is_told(tmp_path):
    save_checkpoint(tmp_path, progress(), PLAN | {"epochs": 20})
    with pytest.raises(CheckpointError, match="epochs is None and was 20"):
        load_checkpoint(tmp_path, PLAN)


def test_a_setting_that_an_older_version_did_not_know_is_not_compared(tmp_path):
    save_checkpoint(tmp_path, progress(), PLAN)
    assert load_checkpoint(tmp_path, PLAN | {"weights": "imagenet"}) is not None


def test_without_a_seed_that_of_the_checkpoint_is_taken(tmp_path):
    save_checkpoint(tmp_path, progress(), PLAN)
    plan = PLAN | {"seed": None}
    assert load_checkpoint(tmp_path, plan)[1] == 7
    assert plan["seed"] is None  # what the caller holds is not changed


def spoil(path, kind):
    content = path.read_bytes()
    if kind == "cut":
        content = content[: len(content) // 2]
    elif kind == "empty":
        content = b""
    elif kind == "text":
        content = b"no archive\n" * 20
    elif kind == "a byte":
        place = content.index(b"weights_0.npy") + 200
        content = content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "a byte"])
def test_a_damaged_file_is_refused(tmp_path, kind):
    save_checkpoint(tmp_path, progress(), PLAN)
    spoil(tmp_path / "checkpoint.npz", kind)
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz: this is no checkpoint of skinseg, or it is damaged"):
        load_checkpoint(tmp_path, PLAN)


@pytest.mark.parametrize(
    "description", [None, "no json", json.dumps([1, 2]), json.dumps({"counts": {}}), json.dumps({"counts": None})]
)
def test_an_archive_of_something_else_is_refused(tmp_path, description):
    arrays = {} if description is None else {"description": np.array(description)}
    np.savez(tmp_path / "checkpoint.npz", a=np.ones(3), **arrays)
    with pytest.raises(CheckpointError, match="no checkpoint of skinseg"):
        load_checkpoint(tmp_path, PLAN)


def test_a_later_form_of_the_file_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint, "_FORMAT", 99)
        save_checkpoint(tmp_path, progress(), PLAN)
    with pytest.raises(CheckpointError, match="another version of skinseg"):
        load_checkpoint(tmp_path, PLAN)


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ({}, 0),
        ({"loss": [3, 1, 2]}, 3),  # nothing to choose by: the last one
        ({"loss": [1, 1, 1], "val_jaccard": [0.1, 0.4, 0.3], "val_loss": [1, 3, 2]}, 2),
        ({"loss": [1, 1, 1], "val_jaccard": [0, 0, 0], "val_loss": [3, 1, 2]}, 2),  # the lowest loss of equal ones
        ({"loss": [1, 1, 1], "val_jaccard": [0.2, 0.2, 0.1], "val_loss": [1, 1, 0]}, 1),  # the first of equal ones
        ({"loss": [1, 1], "val_jaccard": [0.0, 0.0], "val_loss": [1.5, 1.5]}, 1),
    ],
)
def test_the_best_epoch(history, best):
    assert Progress([], history=history).best_epoch == best
