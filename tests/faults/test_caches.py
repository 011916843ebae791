"""Caches that are damaged, shared, full or not ours: no result is another than without one."""

import errno
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skinseg import ABCDFeaturizer, BatchedPipeline, ThresholdSegmenter, _cache, make_lesion_pipeline
from skinseg._cache import ResultCache
from skinseg.exceptions import SkinsegWarning

KEY, OTHER = "0" * 32, "1" * 32


@pytest.fixture(autouse=True)
def _silent_again(monkeypatch):
    """What is told once is told again in each test."""
    monkeypatch.setattr(_cache, "_told", set())


def entries_of(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.name == "output.pkl")


def pipeline(memory):
    return BatchedPipeline(
        [("s", ThresholdSegmenter(memory=memory)), ("f", ABCDFeaturizer(groups=("dimension",)))], memory=memory
    )


# ---------------------------------------------------------------------- damage


@pytest.mark.parametrize("compress", [False, True, 0, 9, ("zlib", 1), "zlib", "gzip"])
def test_whatever_compression_joblib_knows(tmp_path, compress):
    memory = joblib.Memory(tmp_path, compress=compress, verbose=0)
    value = np.zeros(10_000, np.uint8)
    ResultCache(memory).put(KEY, value)
    np.testing.assert_array_equal(ResultCache(memory).get(KEY), value)
    assert (entries_of(tmp_path)[0].stat().st_size < 1000) == bool(compress)


@pytest.mark.parametrize("compress", [False, True, ("zlib", 1)])
def test_every_flipped_bit_and_every_cut_is_seen(tmp_path, compress, caplog):
    cache = ResultCache(joblib.Memory(tmp_path, compress=compress, verbose=0))
    value = (np.arange(6, dtype=np.uint8).reshape(2, 3), True)
    cache.put(KEY, value)
    path = entries_of(tmp_path)[0]
    data = path.read_bytes()
    damaged = [data[:cut] for cut in range(len(data))]
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        path.write_bytes(other)
        assert cache.get(KEY) is None
    assert len(caplog.messages) == 1  # it is told once
    assert caplog.messages[0] == f"{path} is damaged, or of another version; what it held is computed again"
    cache.put(KEY, value)
    np.testing.assert_array_equal(cache.get(KEY)[0], value[0])
    assert path.read_bytes() == data


def test_an_entry_under_the_key_of_another_is_not_served(tmp_path):
    cache = ResultCache(tmp_path)
    cache.put(KEY, 1)
    cache.put(OTHER, 2)
    first, second = entries_of(tmp_path)
    second.write_bytes(first.read_bytes())
    assert (cache.get(KEY), cache.get(OTHER)) == (1, None)


def test_what_cannot_be_opened_any_more_is_computed_again(tmp_path):
    """Such as an object of a class that another version of a library had."""
    cache = ResultCache(tmp_path)
    cache.put(KEY, 1)
    body = b"\0cno_such_module\nThing\n."
    total = zlib.crc32(body, zlib.crc32(KEY.encode())).to_bytes(4, "big")
    entries_of(tmp_path)[0].write_bytes(b"skinseg1" + total + body)
    assert cache.get(KEY) is None


@pytest.mark.parametrize("harm", ["cut", "empty", "bit", "foreign", "folder"])
def test_pipelines_compute_again_what_is_damaged(few, tmp_path, harm, caplog):
    expected = pipeline(None).fit_transform(few.images)
    pipeline(str(tmp_path)).fit_transform(few.images)
    entries = entries_of(tmp_path)
    assert len(entries) == 2 * len(few.images)  # rows and masks
    for path in entries:
        data = bytearray(path.read_bytes())
        data[-len(data) // 4] ^= 64  # in the numbers, which a pickle would not notice
        if harm == "folder":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes({"cut": data[:-20], "empty": b"", "bit": data, "foreign": pickle.dumps(1)}[harm])
    if harm == "folder":
        with pytest.warns(SkinsegWarning) as told:
            found = pipeline(str(tmp_path)).fit_transform(few.images)
        assert sorted(str(warning.message).partition(": ")[2] for warning in told) == [
            "results cannot be kept (Is a directory); the work goes on without",
            "some results cannot be read (Is a directory), and are computed again",
        ]
    else:
        found = pipeline(str(tmp_path)).fit_transform(few.images)
        assert "is damaged, or of another version" in caplog.text
        caplog.clear()
        np.testing.assert_array_equal(pipeline(str(tmp_path)).fit_transform(few.images), expected)
        assert caplog.text == ""  # mended
    np.testing.assert_array_equal(found, expected)


def test_results_of_another_version_are_not_served(few, tmp_path, monkeypatch):
    segmenter = ThresholdSegmenter(memory=str(tmp_path)).fit(few.images)
    segmenter.predict(few.images)
    count = len(entries_of(tmp_path))
    monkeypatch.setattr("skinseg.base.__version__", "0.0.1")
    segmenter.predict(few.images)
    assert len(entries_of(tmp_path)) == 2 * count


# ---------------------------------------------------------------------- a cache that cannot be had


def test_a_full_disk_costs_the_cache_and_no_result(few, small_disk):
    small_disk.fill()
    with pytest.warns(SkinsegWarning, match=r"be kept \(No space left on device\); the work goes on without") as told:
        found = pipeline(str(small_disk.folder)).fit_transform(few.images)
    assert len(told) == 1
    np.testing.assert_array_equal(found, pipeline(None).fit_transform(few.images))
    assert entries_of(small_disk.folder) == []
    small_disk.empty()
    pipeline(str(small_disk.folder)).fit_transform(few.images)
    assert len(entries_of(small_disk.folder)) == 2 * len(few.images)
    assert not list(small_disk.folder.rglob("*.partial"))


def test_a_disk_that_fails_costs_no_result(few, tmp_path, monkeypatch):
    """As above, where no disk of its own can be had."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("skinseg._files.os.replace", full)
    with pytest.warns(SkinsegWarning, match=r"be kept \(No space left on device\)"):
        found = pipeline(str(tmp_path)).fit_transform(few.images)
    np.testing.assert_array_equal(found, pipeline(None).fit_transform(few.images))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".gitignore"]


READS = """
import sys, warnings
from skinseg import ABCDFeaturizer, BatchedPipeline, ThresholdSegmenter
from skinseg.datasets import make_lesions
images = make_lesions(6, random_state=1, min_side=64, max_side=96, melanoma_fraction=0.5).images
def measure(memory):
    steps = [("s", ThresholdSegmenter(memory=memory)), ("f", ABCDFeaturizer(groups=("dimension",)))]
    return BatchedPipeline(steps, memory=memory).fit_transform(images)
measure(None)
drop()
for folder in sys.argv[1:]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            print(measure(folder).tobytes().hex())
        except OSError as error:
            print(f"{type(error).__name__}: {error}")
    print(sorted(str(warning.message) for warning in told))
"""


def test_a_cache_of_others_is_read_and_not_written(few, open_folder, as_nobody):
    expected = pipeline(None).fit_transform(few.images).tobytes().hex()
    open_cache, closed = open_folder / "open", open_folder / "closed"
    for folder, mode in ((open_cache, 0o644), (closed, 0)):
        pipeline(str(folder)).fit_transform(few.images[:3])
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else mode)
    before = {path: path.stat().st_mtime_ns for path in entries_of(open_folder)}
    code, out, errors = as_nobody(READS, open_cache, closed, open_folder / "no")
    assert code == 0, errors
    lines = out.splitlines()
    kept = "results cannot be kept (Permission denied); the work goes on without"
    read = "some results cannot be read (Permission denied), and are computed again"
    assert lines[:4] == [
        expected,
        str([f"the cache {open_cache}: {kept}"]),
        expected,
        str([f"the cache {closed}: {kept}", f"the cache {closed}: {read}"]),
    ]
    assert lines[4] == (
        f"PermissionError: {open_folder}/no, the folder of the cache (memory), cannot be made (Permission denied); "
        "give another"
    )
    assert {path: path.stat().st_mtime_ns for path in entries_of(open_folder)} == before


def test_a_cache_that_cannot_be_made_is_told_at_once(few, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file, the folder of the cache \(memory\), cannot be made \(Not a directory"):
        pipeline(str(tmp_path / "file")).fit_transform(few.images)

    class _Remote:
        backend = "s3"

        def cache(self, function):
            return function

    with pytest.raises(ValueError, match=r"memory must be a folder, or a joblib.Memory of one"):
        pipeline(_Remote()).fit_transform(few.images)
    assert ResultCache(joblib.Memory(None)).active is False


# ---------------------------------------------------------------------- two at once


AT_ONCE = """
import os, sys, time, warnings
from pathlib import Path
warnings.simplefilter("error")
from skinseg import ABCDFeaturizer, BatchedPipeline, ThresholdSegmenter
from skinseg.datasets import make_lesions
folder, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
images = make_lesions(6, random_state=1, min_side=64, max_side=96, melanoma_fraction=0.5).images
for number in range(rounds):
    (folder / f"{name}{number}").touch()
    while len(list(folder.glob(f"?{number}"))) < 2:
        time.sleep(0.0002)
    memory = folder / f"cache{number}"
    steps = [("s", ThresholdSegmenter(memory=memory)), ("f", ABCDFeaturizer(groups=("dimension",)))]
    table = BatchedPipeline(steps, memory=memory).fit_transform(images)
    print(table.tobytes().hex(), flush=True)
"""


def test_two_processes_fill_one_cache_at_the_same_moment(few, tmp_path):
    expected = pipeline(None).fit_transform(few.images).tobytes().hex()
    rounds = 6
    words = [sys.executable, "-c", AT_ONCE, str(tmp_path)]
    both = [
        subprocess.Popen([*words, name, str(rounds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in "ab"
    ]
    for process in both:
        out, _ = process.communicate()
        assert out.split() == [expected] * rounds
        assert process.returncode == 0
    for number in range(rounds):
        assert len(entries_of(tmp_path / f"cache{number}")) == 2 * len(few.images)
        np.testing.assert_array_equal(
            pipeline(str(tmp_path / f"cache{number}")).fit_transform(few.images),
            pipeline(None).fit_transform(few.images),
        )
    assert not list(tmp_path.rglob("*.partial"))


def test_a_cache_that_is_cleared_meanwhile(few, tmp_path, monkeypatch):
    cache = ResultCache(tmp_path)
    mkdir = Path.mkdir
    cleared = []

    def clearing(self, *arguments, **options):
        mkdir(self, *arguments, **options)
        if self.name == KEY and len(cleared) < 2:
            cleared.append(self)
            self.rmdir()

    monkeypatch.setattr(Path, "mkdir", clearing)
    cache.put(KEY, 1)
    assert len(cleared) == 2
    assert cache.get(KEY) == 1


def test_joblib_keeps_the_cache_small(few, tmp_path):
    pipeline(str(tmp_path)).fit_transform(few.images)
    memory = joblib.Memory(str(tmp_path), verbose=0)
    memory.reduce_size(items_limit=5)
    assert len(entries_of(tmp_path)) == 5
    memory.clear(warn=False)
    assert entries_of(tmp_path) == []


def test_a_search_with_a_damaged_cache(few, tmp_path):
    """Rows for the folds come from the cache; none of the damaged ones is taken."""

    def search(memory):
        model = make_lesion_pipeline(ThresholdSegmenter(), memory=memory)
        found = GridSearchCV(model, {"classifier__C": [0.1, 1.0]}, cv=2).fit(few.images, few.target)
        return found.cv_results_["mean_test_score"], found.predict_proba(few.images)

    expected = search(None)
    search(str(tmp_path))
    for number, path in enumerate(entries_of(tmp_path)):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data if number % 2 else data[: len(data) // 2])
    for _ in range(2):
        for one, other in zip(search(str(tmp_path)), expected, strict=True):
            np.testing.assert_array_equal(one, other)
