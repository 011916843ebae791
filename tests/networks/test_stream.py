"""Batches made in the background: order, content, how far ahead, what is read how often, and what is left behind."""

import os
import threading
import time
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.networks import _stream, letterbox
from skinseg.networks._stream import SampleSource, batch_stream, make_batch


def records(count, side=24):
    """Records whose images tell their position by their red channel."""
    made = []
    for index in range(count):
        image = np.full((side, side + index % 3, 3), (10 * index, 90, 60), np.uint8)
        mask = np.zeros(image.shape[:2], bool)
        mask[4 : 8 + index % 5, 5:15] = True
        made.append(LesionImage(image, reference_mask=mask, name=f"r{index}"))
    return made


@pytest.fixture
def files(tmp_path):
    made = []
    for index, record in enumerate(records(5)):
        image, mask = tmp_path / f"f{index}.png", tmp_path / f"f{index}_mask.png"
        cv2.imwrite(str(image), record.image[..., ::-1])
        cv2.imwrite(str(mask), record.reference_mask.astype(np.uint8) * 255)
        made.append(LesionImage(image, reference_mask=mask))
    return made


@pytest.fixture
def decoded(monkeypatch):
    """Names of the records whose files were decoded, in order."""
    names, load = [], LesionImage.load

    def counted(record):
        names.append(record.name)
        return load(record)

    monkeypatch.setattr(LesionImage, "load", counted)
    return names


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("skinseg-batches")]


def everything(source, batches, size=16, strength=1.0, seed=(3, 0)):
    with batch_stream(source, batches, size, strength, seed) as stream:
        return list(stream)


def epoch(source, strength=0.0):
    return everything(source, np.array_split(np.arange(len(source)), 2), strength=strength)


class SlowSource:
    """Stands for a source whose images take their time, each another."""

    def __init__(self, count, pause=0.0):
        self.records = records(count)
        self.pause = pause
        self.read_so_far = []
        self._lock = threading.Lock()

    def __len__(self):
        return len(self.records)

    def read(self, index):
        time.sleep(self.pause * (1 + index * 7 % 5))
        with self._lock:
            self.read_so_far.append(int(index))
        record = self.records[index]
        return record.image, record.reference_mask.astype(np.uint8) * 255


def test_a_batch_is_what_augment_gives():
    source = SampleSource(records(3), 16)
    x, y, failed = make_batch(source, [2, 0], 16, 0.0, (0,))
    assert failed == {}
    assert x.dtype == y.dtype == np.float32
    assert x.shape == (2, 16, 16, 3)
    assert y.shape == (2, 16, 16, 2)
    for place, index in enumerate((2, 0)):
        image, lesion = source.read(index)
        np.testing.assert_array_equal(x[place], letterbox(image, 16))
        np.testing.assert_array_equal(255 * y[place, ..., 0], letterbox(lesion, 16))
        known = letterbox(np.full(lesion.shape, 255, np.uint8), 16)
        np.testing.assert_array_equal(y[place, ..., 1], (known > 127).astype(np.float32))
    assert set(np.unique(y[..., 1])) <= {0, 1}


def test_soft_masks_are_handed_on():
    mask = np.full((16, 16), 0.4, np.float32)
    source = SampleSource([LesionImage(np.zeros((16, 16, 3), np.uint8), reference_mask=mask)], 16)
    assert make_batch(source, [0], 16, 0.0, (0,))[1][..., 0] == pytest.approx(0.4)


def test_copies_are_a_little_larger_than_the_input_and_never_enlarged():
    rng = np.random.default_rng(0)
    made = [
        LesionImage(rng.integers(0, 256, (*shape, 3), np.uint8), reference_mask=np.ones(shape, bool))
        for shape in ((100, 50), (20, 26), (5, 400))
    ]
    source = SampleSource(made, 20)
    assert [source.read(index)[0].shape[:2] for index in range(3)] == [(26, 13), (20, 26), (1, 26)]
    assert [source.read(index)[1].shape for index in range(3)] == [(26, 13), (20, 26), (1, 26)]
    assert (source.read(0)[1] == 255).all()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_order_and_content_do_not_depend_on_threads(monkeypatch, threads):
    source = SlowSource(14, pause=0.002)
    order = np.random.default_rng(0).permutation(14)
    batches = np.array_split(order, 5)
    expected = [make_batch(source, indices, 16, 1.0, (3, 0)) for indices in batches]
    monkeypatch.setattr(_stream, "_READERS", threads)
    for (x, y, failed), (x0, y0, _) in zip(everything(source, batches), expected, strict=True):
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(y, y0)
        assert not failed


def test_samples_follow_from_seed_and_position_not_from_the_batch():
    source = SampleSource(records(6), 16)
    whole = everything(source, [np.arange(6)])[0][0]
    parts = np.concatenate([x for x, *_ in everything(source, [[0, 1], [2], [3, 4, 5]])])
    np.testing.assert_array_equal(whole, parts)
    for other in ((4, 0), (3, 1)):  # another seed; another epoch
        assert not np.array_equal(everything(source, [np.arange(6)], seed=other)[0][0], whole)


def test_no_more_batches_than_stated_are_made_ahead():
    source = SlowSource(40)
    batches = np.array_split(np.arange(40), 20)
    taken = 0
    with batch_stream(source, batches, 16, 0.0, (0,)) as stream:
        for taken, _ in enumerate(stream, start=1):
            time.sleep(0.02)  # the network learns; the readers get as far as they may
            # the one in hand is among those made ahead
            assert len(source.read_so_far) <= 2 * (taken - 1 + 3)
    assert taken == 20
    assert sorted(source.read_so_far) == list(range(40))


def test_nothing_is_read_before_the_first_batch_is_asked_for():
    source = SlowSource(4)
    with batch_stream(source, [[0, 1], [2, 3]], 16, 0.0, (0,)):
        time.sleep(0.02)
    assert source.read_so_far == []


def test_images_that_fail_are_left_out_and_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    mixed = records(4)
    mixed[2] = LesionImage(tmp_path / "bad.png", reference_mask=tmp_path / "none.png")
    source = SampleSource(mixed, 16)
    (x, y, failed), (x2, _, failed2) = everything(source, [[1, 2, 3], [2]], strength=0.0)
    assert len(x) == len(y) == 2
    assert x[0, 8, 8, 0] == 10
    assert x[1, 8, 8, 0] == 30
    assert list(failed) == [2]
    assert failed[2].name == "bad"
    assert failed[2].error
    assert x2.shape == (0, 16, 16, 3)
    assert list(failed2) == [2]


def test_a_mask_that_cannot_be_read_fails_its_image_only(files):
    os.remove(files[1]._planes["reference_mask"][0])
    ((x, _, failed),) = everything(SampleSource(files, 16), [np.arange(5)])
    assert len(x) == 4
    assert list(failed) == [1]
    assert "f1_mask.png" in failed[1].error


def test_without_a_cache_files_are_read_once_an_epoch(files, decoded):
    source = SampleSource(files, 16)
    for _ in range(3):
        epoch(source)
    assert sorted(decoded) == sorted(3 * [f"f{index}" for index in range(5)])


@pytest.mark.parametrize("cache", ["memory", "folder"])
def test_with_a_cache_each_file_is_read_once(files, decoded, tmp_path, cache):
    source = SampleSource(files, 16, "memory" if cache == "memory" else tmp_path / "cache")
    plain = epoch(SampleSource(files, 16))
    decoded.clear()
    for _ in range(3):
        for (x, y, _), (x0, y0, _) in zip(epoch(source), plain, strict=True):
            np.testing.assert_array_equal(x, x0)
            np.testing.assert_array_equal(y, y0)
    assert sorted(decoded) == [f"f{index}" for index in range(5)]
    assert cache == "folder" or not (tmp_path / "memory").exists()


def test_augmentation_leaves_what_is_kept_in_memory_as_it_is(files):
    source = SampleSource(files, 16, "memory")
    before = [tuple(part.copy() for part in source.read(index)) for index in range(5)]
    for _ in range(3):
        epoch(source, strength=1.0)
    for index, (image, lesion) in enumerate(before):
        np.testing.assert_array_equal(source.read(index)[0], image)
        np.testing.assert_array_equal(source.read(index)[1], lesion)


def test_a_folder_serves_the_next_source_and_notices_what_changed(files, decoded, tmp_path):
    folder = tmp_path / "cache"
    epoch(SampleSource(files, 16, folder))
    decoded.clear()
    epoch(SampleSource(files, 16, str(folder)))
    assert decoded == []
    cv2.imwrite(str(files[3].path), np.full((24, 24, 3), 200, np.uint8))
    os.utime(files[3].path, ns=(1, 1))
    (_, (x, _, _)) = epoch(SampleSource(files, 16, folder))
    assert decoded == ["f3"]
    assert (x[0] == 200).all()  # the second batch holds 3 and 4
    decoded.clear()
    mask = files[0]._planes["reference_mask"][0]
    cv2.imwrite(str(mask), np.zeros((24, 24), np.uint8))
    os.utime(mask, ns=(1, 1))
    ((_, y, _), _) = epoch(SampleSource(files, 16, folder))
    assert decoded == ["f0"]
    assert not y[0, ..., 0].any()
    decoded.clear()
    epoch(SampleSource(files, 24, folder))  # another size of copies
    assert len(decoded) == 5


@pytest.mark.parametrize("how", ["to the end", "left early", "by an error"])
def test_no_thread_stays_behind(how):
    source = SlowSource(20, pause=0.001)
    batches = np.array_split(np.arange(20), 10)
    expected = pytest.raises(KeyError) if how == "by an error" else nullcontext()
    with expected, batch_stream(source, batches, 16, 1.0, (0,)) as stream:
        next(stream)
        assert readers()
        if how == "by an error":
            raise KeyError("of the one who learns")
        if how == "to the end":
            assert len(list(stream)) == 9
    assert readers() == []
    assert (len(source.read_so_far) == 20) == (how == "to the end")


def test_an_error_of_a_reader_reaches_the_one_who_learns(monkeypatch):
    def broken(*_):
        raise MemoryError("no room for a batch")

    monkeypatch.setattr(_stream, "make_batch", broken)
    with pytest.raises(MemoryError, match="no room"):
        everything(SlowSource(4), [[0, 1], [2, 3]])
    assert readers() == []
