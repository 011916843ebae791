"""The same code on a Dask cluster: two processes of this machine, one of which is killed in the middle."""

import importlib.util
import os
import signal
import time
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_validate

from skinseg import (
    ABCDFeaturizer,
    BatchedPipeline,
    ImageResizer,
    PretrainedSegmenter,
    ThresholdSegmenter,
    make_lesion_pipeline,
)
from skinseg._batches import BatchRunner
from skinseg._dask import stream_on_dask
from skinseg._mapping import in_pool, stream_batches
from skinseg.bulk import measure_files
from skinseg.exceptions import ImageBatchError
from skinseg.images import check_images
from skinseg.networks._packaged import _n_threads

distributed = pytest.importorskip("distributed")
cloudpickle = pytest.importorskip("cloudpickle")

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "grid_search_on_dask.py"

pytestmark = pytest.mark.xdist_group("dask")  # one cluster for all


class Clusters:
    """A cluster of two worker processes of a thread each, and another one when Dask has given up one of them."""

    def __init__(self):
        self.stack = ExitStack()
        self.client = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stack.close()

    def start(self):
        self.stack.close()
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        )
        self.stack.enter_context(cluster)
        self.client = self.stack.enter_context(distributed.Client(cluster))

    def is_whole(self, seconds=10):
        """Whether there are two workers, at once or after a while: one that was killed is replaced as a rule."""
        end = time.monotonic() + seconds
        while self.client is not None and time.monotonic() < end:
            states = [nanny.status.name for nanny in self.client.cluster.workers.values()]
            if len(self.client.nthreads()) == 2 and states == ["running"] * 2:
                return True
            time.sleep(0.01)
        return False


@pytest.fixture(scope="module")
def clusters():
    with Clusters() as clusters:
        yield clusters


@pytest.fixture
def client(clusters):
    if not clusters.is_whole():
        clusters.start()
        assert clusters.is_whole(120)
    return clusters.client


@pytest.fixture(scope="module")
def files(lesion_files):
    return sorted((lesion_files / "images").glob("*.png"))


@pytest.fixture
def batched():
    steps = [("resizer", ImageResizer(96)), ("segmenter", PretrainedSegmenter()), ("featurizer", ABCDFeaturizer())]
    return BatchedPipeline(steps, batch_size=1)


def fatal(function, number, log):
    """Let a function end its process without notice when it has done a number of batches; only once."""

    def run(batch):
        result = function(batch)
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if len(log.read_text().split()) >= number:
            with suppress(FileExistsError), log.with_suffix(".killed").open("x") as file:
                file.write(str(os.getpid()))
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        return result

    return run


@pytest.fixture
def log_of_killing(client, monkeypatch, tmp_path):
    """Kill a worker at the end of the fourth batch, whose result is lost with it; list the processes of all batches."""
    log = tmp_path / "batches"

    def killing(client, work, function, batches):
        yield from stream_on_dask(client, work, fatal(function, 4, log), batches)

    monkeypatch.setattr("skinseg._mapping.stream_on_dask", killing)
    return log


def check_killing(client, log, n_batches):
    """One worker was killed, and at least what it was at work on was done again."""
    assert n_batches < len(log.read_text().split()) <= n_batches + 8
    killed = int(log.with_suffix(".killed").read_text())
    assert killed not in client.run(os.getpid).values()


def test_table_is_the_same_though_a_worker_is_killed(client, batched, files, log_of_killing):
    expected = batched.fit_transform(files)
    assert np.isfinite(expected).any(axis=1).all()
    with parallel_config(backend="dask"):
        np.testing.assert_array_equal(batched.transform(files), expected)
    check_killing(client, log_of_killing, 16)


def test_measured_files_are_the_same_though_a_worker_is_killed(client, files, log_of_killing):
    def measure():
        return measure_files(files, segmenter=ThresholdSegmenter(), groups=["color"], max_side=96)

    with parallel_config(backend="dask"):
        table = measure()
    check_killing(client, log_of_killing, 8)
    pd.testing.assert_frame_equal(table, measure(), check_exact=True)
    assert table["image"].tolist() == [str(file) for file in files]


def test_a_large_model_goes_to_a_worker_once_and_survives_it(client, tmp_path):
    """Not with every batch; a worker that has it is killed, and the others get it again."""
    log = tmp_path / "unpickled"

    class Model:
        def __init__(self):
            self.weights = np.arange(250_000)

        def __setstate__(self, state):
            self.weights = state["weights"]
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")

        def __call__(self, batch):
            time.sleep(0.02)
            return int(self.weights[batch[0]])

    found = []
    work = fatal(Model(), 20, tmp_path / "batches")
    with parallel_config(backend="dask"), closing(stream_batches(work, ([i] for i in range(40)))) as stream:
        for batch, result in stream:
            found.append((batch[0], result))
    check_killing(client, tmp_path / "batches", 40)
    assert found == [(i, i) for i in range(40)]
    unpickled = log.read_text().split()
    assert 1 <= len(unpickled) <= 10  # two workers, one that came later, and what was under way; 40 batches


def test_the_packaged_network_does_not_travel(batched, files):
    batched.fit(files)
    records = check_images(files, batched)
    assert len(cloudpickle.dumps(BatchRunner(batched.steps_, None, "transform"))) < 6_000
    assert len(cloudpickle.dumps(records * 2)) < 10_000  # 32 records


def fold_scores(pipe, files, target, groups):
    return cross_validate(pipe, files, target, groups=groups, cv=StratifiedGroupKFold(2), scoring="roc_auc")


def test_search_gives_the_same_scores(client, files, lesions):
    """With pipelines that themselves share batches out: neither a deadlock nor other scores."""
    featurizer = ABCDFeaturizer(groups=["color"])
    pipe = make_lesion_pipeline(
        ThresholdSegmenter(), LogisticRegression(), featurizer=featurizer, max_side=96, batch_size=4
    )
    grid = {"lesion__segmenter": [ThresholdSegmenter("otsu"), ThresholdSegmenter("li")], "classifier__C": [0.1, 10]}
    search = GridSearchCV(pipe, grid, cv=StratifiedGroupKFold(2), scoring="roc_auc", return_train_score=True)
    groups = np.arange(16) // 2
    search.fit(files, lesions.target, groups=groups)
    serial = search.cv_results_
    with parallel_config(backend="dask"):
        search.fit(files, lesions.target, groups=groups)
        folds = fold_scores(pipe, files, lesions.target, groups)
    scores = [key for key in serial if "score" in key and "time" not in key]
    assert len(scores) == 2 * 4 + 1
    for key in scores:
        np.testing.assert_array_equal(search.cv_results_[key], serial[key])
    assert np.ptp(serial["mean_test_score"]) > 0
    np.testing.assert_array_equal(folds["test_score"], fold_scores(pipe, files, lesions.target, groups)["test_score"])


def test_segmenters_and_featurizers_share_images_out(client, files):
    segmenter = ThresholdSegmenter()
    featurizer = ABCDFeaturizer(segmenter=segmenter, groups=["border"]).fit(files)
    masks, table = segmenter.predict(files), featurizer.transform(files)
    with parallel_config(backend="dask"):
        there, rows = segmenter.predict(files), featurizer.transform(files)
    assert all(np.array_equal(one, other) for one, other in zip(masks, there, strict=True))
    np.testing.assert_array_equal(rows, table)


def test_bad_files_are_told_as_they_are_serially(client, broken_files, batched):
    (broken_files / "empty.jpg").unlink()
    (broken_files / "text.jpg").unlink()
    files = sorted(broken_files.glob("*.jpg"))  # cut.jpg shows its fault on decoding
    messages = []
    for config in ({}, {"backend": "dask"}):
        with parallel_config(**config):
            with pytest.raises(ImageBatchError, match=r"X\[0\].*cut\.jpg") as caught:
                batched.set_params(on_error="raise").fit_transform(files)
            table = batched.set_params(on_error="nan").fit_transform(files)
        messages.append((str(caught.value), batched.errors_))
        assert np.isnan(table[0]).all()
        assert np.isfinite(table[1]).any()
    assert messages[0] == messages[1]
    assert list(batched.errors_) == [0]


def test_memory_is_bounded_and_a_stream_may_be_left(client, recwarn):
    """Batches are drawn as workers come to need them; what is left early does not disturb what follows."""
    drawn = []

    def batches():
        for index in range(10_000):
            drawn.append(index)
            yield [index]

    with parallel_config(backend="dask"):
        with closing(stream_batches(lambda batch: -batch[0], batches())) as stream:
            for index, (batch, result) in enumerate(stream):
                assert (batch, result) == ([index], -index)
                assert len(drawn) == index + 2 * 4  # two cores
                if index == 30:
                    break
        with closing(stream_batches(lambda batch: batch[0], [[1], [2]])) as stream:
            assert list(stream) == [([1], 1), ([2], 2)]
    assert not recwarn.list


def test_a_backend_that_gives_lists_gets_some_batches_at_a_time():
    """As those of Ray and of multiprocessing do."""

    class Lists(ThreadingBackend):
        supports_return_generator = False

    drawn = []
    batches = (drawn.append(i) or i for i in range(20))
    with (
        parallel_config(backend=Lists(), n_jobs=2),
        closing(stream_batches(lambda batch: 2 * batch, batches)) as stream,
    ):
        assert next(stream) == (0, 0)
        assert len(drawn) == 8
        assert list(stream) == [(i, 2 * i) for i in range(1, 20)]


def ask_threads():
    """Make a function that goes to a worker by value, for this file is no module there."""

    def in_use(batch):
        return cv2.getNumThreads(), _n_threads(), os.environ.get("OPENBLAS_NUM_THREADS")

    return in_use


def test_a_worker_uses_one_thread_a_batch(client):
    """Also where the workers are threads of this process, for which nobody has set the number of threads of OpenMP."""
    with parallel_config(backend="dask"), closing(stream_batches(ask_threads(), [0, 1, 2])) as stream:
        assert [found for _, found in stream] == [(1, 1, "1")] * 3
    assert not in_pool()


def test_workers_may_be_threads(batched, files, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    expected = batched.fit_transform(files)
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    with (
        distributed.Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"),
        parallel_config(backend="dask"),
    ):
        np.testing.assert_array_equal(batched.transform(files), expected)
        assert _n_threads() == 4
        with closing(stream_batches(ask_threads(), [0, 1])) as stream:
            assert [found[:2] for _, found in stream] == [(1, 1), (1, 1)]
        assert cv2.getNumThreads() == 2
    cv2.setNumThreads(before)


def test_one_job_stays_in_the_calling_process(client):
    with parallel_config(backend="dask"):
        for n_jobs, here in ((1, True), (None, False), (2, False)):
            with closing(stream_batches(lambda batch: os.getpid(), [0], n_jobs=n_jobs)) as stream:
                [(_, process)] = stream
            assert (process == os.getpid()) is here


def test_a_stream_within_a_stream(client):
    """In a task: neither waits for the place on the worker that the other has."""

    def outer(batch):
        with parallel_config(backend="dask"), closing(stream_batches(lambda item: item + 1, range(batch))) as first:
            total = 0
            for _, value in first:
                with closing(stream_batches(lambda item: 10 * item, [value])) as second:
                    total += sum(result for _, result in second)
        return total

    with parallel_config(backend="dask"), closing(stream_batches(outer, [1, 2, 3, 4, 5])) as stream:
        assert list(stream) == [(1, 10), (2, 30), (3, 60), (4, 100), (5, 150)]


@pytest.fixture
def no_second_try(client):
    """Of a batch of which a worker died."""

    def allow(failures, dask_scheduler):
        dask_scheduler.allowed_failures = failures

    client.run_on_scheduler(allow, 0)
    yield
    client.run_on_scheduler(allow, 3)


def test_a_batch_that_kills_every_worker_is_told(no_second_try):
    """joblib would wait for ever, as of its version 1.6."""

    def die(batch):
        if batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    with parallel_config(backend="dask"), pytest.raises(BrokenExecutor, match="1 workers died of it"):
        list(stream_batches(die, [0, 1, 2]))


def test_an_image_that_kills_every_worker_gets_an_error(no_second_try, files, monkeypatch):
    def killing(client, work, function, batches):
        def run(batch):
            if 5 in batch.positions:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(batch)

        yield from stream_on_dask(client, work, run, batches)

    def measure():
        return measure_files(files, segmenter=ThresholdSegmenter(), groups=["color"], max_side=96)

    expected = measure()
    monkeypatch.setattr("skinseg._mapping.stream_on_dask", killing)
    with parallel_config(backend="dask"):
        table = measure()
    assert table["error"].ne("").to_numpy().nonzero()[0].tolist() == [5]
    assert "died" in table["error"][5]
    pd.testing.assert_frame_equal(table.drop(index=5), expected.drop(index=5), check_exact=True)


def test_what_a_worker_cannot_import_is_told(client):
    class Absent:
        def __reduce__(self):
            return __import__, ("module_that_is_not_there",)

    with parallel_config(backend="dask"), pytest.raises(RuntimeError, match="different environments"):
        list(stream_batches(Absent(), [0]))


def test_the_example_runs(client, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.CLASSIFYING = {"classifier__C": [0.1, 1.0]}
    search = example.main(["--scheduler", client.scheduler.address, "--folder", str(tmp_path), "--samples", "12"])
    text = capsys.readouterr().out
    assert text.startswith("12 images, 2 cores: measured in ")
    assert text.count("ROC AUC") == 2 * 2
    assert f"chosen: {search.best_params_}" in text
    assert len(list((tmp_path / "cache").rglob("output.pkl"))) == 2 * 12  # each image once a setting
    files = sorted(tmp_path.glob("*.png"))
    assert search.best_estimator_.predict_proba(files).shape == (12, 2)
