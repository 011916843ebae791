"""The pixel limit holds wherever images are read: keyword, environment, workers, commands."""

import math
import os
import threading

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from joblib import Parallel, delayed
from PIL import Image

from skinseg import ABCDFeaturizer, LesionImage, check_images, read_image, read_mask
from skinseg._mapping import _run_in_worker
from skinseg.annotations import polygons_to_mask, read_painted_mask
from skinseg.bulk import measure_files
from skinseg.cli import main
from skinseg.exceptions import ImageReadError, InvalidImagesError
from skinseg.reading import MAX_PIXELS, pixel_limit, read_header, read_reduced

VARIABLE = "SKINSEG_MAX_PIXELS"
REFUSAL = "the image has 30 x 20 = 600 pixels, more than the limit of 599"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGB", (30, 20), "white").save(file)
    return file


READERS = {
    "read_image": read_image,
    "read_mask": read_mask,
    "read_header": read_header,
    "read_reduced": lambda path, **how: read_reduced(path, (4, 4), **how),
    "read_painted_mask": read_painted_mask,
}


@pytest.mark.parametrize("name", list(READERS))
def test_readers(name, path, monkeypatch):
    reader = READERS[name]
    reader(path, max_pixels=600)
    with pytest.raises(ImageReadError, match=f"{REFUSAL}; shrink it, or raise the limit .SKINSEG_MAX_PIXELS=600"):
        reader(path, max_pixels=599)
    monkeypatch.setenv(VARIABLE, "599")
    with pytest.raises(ImageReadError, match=REFUSAL):
        reader(path)
    reader(path, max_pixels=math.inf)  # what is asked for comes first
    monkeypatch.setenv(VARIABLE, "None")
    reader(path)


def test_records_and_batches(path, monkeypatch):
    record = LesionImage(path, mask=path)
    assert check_images([record], max_pixels=600)
    with pytest.raises(InvalidImagesError, match=REFUSAL):
        check_images([path], max_pixels=599)
    monkeypatch.setenv(VARIABLE, "599")
    with pytest.raises(InvalidImagesError, match=REFUSAL):
        ABCDFeaturizer().fit_transform([record])
    with pytest.raises(ImageReadError, match=REFUSAL):
        record.load()
    with pytest.raises(ValueError, match="30 x 20 pixels cannot be: 1 to 599 pixels"):
        polygons_to_mask([np.array([[0, 0], [5, 0], [5, 5]])], (20, 30))


def test_the_limit_by_default(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert pixel_limit() == MAX_PIXELS == 250_000_000
    for text in ("", "  "):
        monkeypatch.setenv(VARIABLE, text)
        assert pixel_limit() == MAX_PIXELS
    monkeypatch.setenv(VARIABLE, " 1000 ")
    assert pixel_limit() == 1000
    assert pixel_limit(5) == 5


@pytest.mark.parametrize("text", ["0", "-1", "1e9", "many", "1.5"])
def test_an_environment_that_is_no_limit_is_told_once(text, path, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    for call in (
        lambda: read_image(path),
        lambda: check_images([path] * 3),
        lambda: measure_files([path], masks=[path]),
    ):
        with pytest.raises(ValueError, match=f"SKINSEG_MAX_PIXELS is '{text}'; set it to a whole number") as caught:
            call()
        assert str(caught.value).count("SKINSEG") == 1


@pytest.mark.parametrize("value", [0, -5, math.nan, "many", True])
def test_a_keyword_that_is_no_limit(value, path):
    with pytest.raises(ValueError, match="max_pixels must be a number of pixels of at least 1"):
        read_image(path, max_pixels=value)


def test_workers_that_are_older_than_the_limit(path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    before = Parallel(n_jobs=2)(delayed(os.environ.get)(VARIABLE) for _ in range(4))  # so they are there
    assert before == [None] * 4
    table = measure_files([path] * 4, masks=[path] * 4, groups=["dimension"], n_jobs=2)
    assert table["error"].tolist() == [""] * 4
    monkeypatch.setenv(VARIABLE, "599")
    table = measure_files([path] * 4, masks=[path] * 4, groups=["dimension"], n_jobs=2)
    assert all(REFUSAL in error for error in table["error"])
    monkeypatch.delenv(VARIABLE)
    table = measure_files([path] * 4, masks=[path] * 4, groups=["dimension"], n_jobs=2)
    assert table["error"].tolist() == [""] * 4


def test_a_worker_elsewhere_keeps_its_own_limit_where_the_caller_has_none(monkeypatch):
    """Such as one of Dask, whose environment is that of its machine."""
    monkeypatch.setenv(VARIABLE, "1000")
    assert _run_in_worker(lambda batch: pixel_limit(), [], limit=None) == 1000
    assert _run_in_worker(lambda batch: pixel_limit(), [], limit="77") == 77
    assert _run_in_worker(lambda batch: pixel_limit(), [], limit="") == MAX_PIXELS
    assert os.environ[VARIABLE] == "1000"


@pytest.mark.parametrize("own", [None, "1000"])
def test_threads_of_a_worker_that_overlap(own, monkeypatch):
    """The limit holds until the last one ends, and then what it was before."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if own is not None:
        monkeypatch.setenv(VARIABLE, own)
    began, may_end = threading.Event(), threading.Event()

    def first(_batch):
        began.set()
        may_end.wait(10)

    def second(_batch):
        before = pixel_limit()
        may_end.set()
        thread.join()
        return before, pixel_limit()

    thread = threading.Thread(target=_run_in_worker, args=[first, []], kwargs={"limit": "599"})
    thread.start()
    began.wait(10)
    assert _run_in_worker(second, [], limit="599") == (599, 599)
    assert os.environ.get(VARIABLE) == own


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_the_option_of_the_commands(path, tmp_path, jobs, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    out = tmp_path / "f.csv"
    other = tmp_path / "b.png"
    Image.new("RGB", (10, 10), "white").save(other)
    files = [str(path), str(other)]
    command = ["features", *files, "--segmenter", "threshold", "--out", str(out), "-q", "--groups", "dimension", *jobs]
    result = CliRunner().invoke(main, [*command, "--max-pixels", "599"])
    assert result.exit_code == 1, result.output
    errors = pd.read_csv(out, keep_default_na=False)["error"].tolist()
    assert REFUSAL in errors[0]
    assert errors[1] == "no lesion found"
    assert VARIABLE not in os.environ
    monkeypatch.setenv(VARIABLE, "599")
    assert CliRunner().invoke(main, [*command, "--max-pixels", "none"]).exit_code == 0
    assert os.environ[VARIABLE] == "599"


@pytest.mark.parametrize("command", ["segment", "features", "train", "predict", "evaluate", "report"])
def test_every_command_that_reads_images_has_it(command):
    result = CliRunner().invoke(main, [command, "--max-pixels", "0"])
    assert result.exit_code == 2
    assert "'0' is no whole number of pixels of at least 1, nor none for no limit" in result.output


def test_images_beyond_the_limits_of_pillow_and_of_one_side_of_opencv(tmp_path, monkeypatch):
    """Pillow warns from half of a limit of its own and raises from twice; the process keeps it."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    picture = np.arange(60 * 50, dtype=np.uint8).reshape(60, 50)
    for name in ("a.png", "a.tif", "a.gif", "a.webp", "a.jp2"):
        Image.fromarray(picture).save(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))
        np.testing.assert_array_equal(read_image(tmp_path / name)[..., 0], picture)
    assert Image.MAX_IMAGE_PIXELS == 1000
