"""Full disks, read-only disks, folders that are gone or something else: one error that names the file, nothing torn."""

import errno
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import skinseg
from skinseg import ThresholdSegmenter, make_lesion_pipeline
from skinseg.annotations import write_coco, write_labelme
from skinseg.bulk import measure_to_file, predict_to_file
from skinseg.datasets import load_corrections
from skinseg.doubtful import write_doubtful
from skinseg.evaluation import compare_experiments, run_experiment, write_isic_classification, write_isic_masks
from skinseg.inspection import write_report
from skinseg.networks._checkpoint import Progress, claim_folder, save_checkpoint
from skinseg.outlining import segment_files, segment_to_folder, write_table
from skinseg.runs import _drive, _parts
from skinseg.runs._parts import PartStore

SEGMENTER = ThresholdSegmenter()
QUICK = {"n_resamples": 10, "check_duplicates": False, "mask_column": "mask"}


class Things:
    """What the writers write."""

    def __init__(self, few, folder):
        self.folder = folder
        self.images = [folder / f"a{index}.png" for index in range(6)]
        self.masks = [folder / f"m{index}.png" for index in range(6)]
        for path, image in zip(self.images, few.images, strict=True):
            cv2.imwrite(str(path), image[..., ::-1])
        for path, mask in zip(self.masks, few.masks, strict=True):
            cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
        self.planes = few.masks
        self.model = make_lesion_pipeline(SEGMENTER).fit(few.images, few.target)
        self.table = folder / "t.csv"
        frame = pd.DataFrame({"image": self.images, "mask": self.masks, "target": few.target})
        frame.to_csv(self.table, index=False)
        outlines = segment_files(self.images, folder / "outlines", SEGMENTER)
        self.outlines = outlines.assign(confidence=0.1)
        self.experiment = run_experiment("threshold", self.table, folder / "experiment", **QUICK).folder
        write_doubtful(self.outlines, folder / "doubtful")

    def progress(self):
        return Progress([np.zeros(3000, np.float32)], history={"loss": [0.5]})


@pytest.fixture(scope="module")
def things(few, tmp_path_factory):
    return Things(few, tmp_path_factory.mktemp("things"))


# name of what is written -> how it is written into a folder
WRITERS = {
    "f.csv": lambda t, out: measure_to_file(t.images, out, segmenter=SEGMENTER, groups=["dimension"]),
    "f.parquet": lambda t, out: measure_to_file(
        t.images, out, segmenter=SEGMENTER, groups=["dimension"], errors=out.with_name("e.csv")
    ),
    "p.csv": lambda t, out: predict_to_file(t.images, out, t.model),
    "masks": lambda t, out: segment_to_folder(t.images, out, SEGMENTER),
    "files": lambda t, out: segment_files(t.images, out, SEGMENTER),
    "t.csv": lambda t, out: write_table(t.outlines, out),
    "t.tsv": lambda t, out: write_table(t.outlines, out),
    "t.parquet": lambda t, out: write_table(t.outlines, out),
    "m.skops": lambda t, out: skinseg.save(t.model, out),
    "r.html": lambda t, out: write_report(t.images[:2], out, segmenter=SEGMENTER, model=None),
    "scores": lambda t, out: run_experiment("threshold", t.table, out, masks=True, **QUICK),
    "compared": lambda t, out: compare_experiments(t.experiment, t.experiment, out, n_resamples=10),
    "isic": lambda t, out: write_isic_masks(t.planes, [path.stem for path in t.images], out),
    "isic.csv": lambda t, out: write_isic_classification(["ISIC_1"], np.full((1, 7), 1 / 7), out),
    "review": lambda t, out: write_doubtful(t.outlines, out),
    "corrected": lambda t, out: load_corrections(t.folder / "doubtful", only_changed=False, out=out),
    "labelme.json": lambda t, out: write_labelme(out, t.planes[0], "a0.png"),
    "coco.json": lambda t, out: write_coco(out, t.planes, [path.name for path in t.images]),
    "checkpoint": lambda t, out: save_checkpoint(out, t.progress(), {"seed": 0}),
    "training": lambda t, out: claim_folder(out, {"seed": 0}),
}
# the report takes seconds
ALL = [pytest.param(name, marks=pytest.mark.long) if name == "r.html" else name for name in WRITERS]


def files_in(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def check_nothing_is_torn(folder):
    for name, path in files_in(folder).items():
        assert path.stat().st_size, f"{name} is empty"
        assert not path.name.startswith("."), f"{name} was left"


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(things, small_disk, name):
    out = small_disk.folder / name
    small_disk.fill()
    with pytest.raises(OSError, match=r"No space left on device") as caught:
        WRITERS[name](things, out)
    assert str(small_disk.folder) in str(caught.value)
    assert "cannot be written" in str(caught.value)
    small_disk.empty()
    check_nothing_is_torn(small_disk.folder)
    WRITERS[name](things, out)
    assert out.exists()
    check_nothing_is_torn(small_disk.folder)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("name", ALL)
def test_a_disk_that_fails_at_the_end(things, tmp_path, monkeypatch, name, call):
    """The content, or the name, cannot be brought to the disk."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        for name_of_call in ("replace", "rename") if call == "replace" else (call,):
            patched.setattr(f"skinseg._files.os.{name_of_call}", full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            WRITERS[name](things, tmp_path / name)
    assert str(tmp_path) in str(caught.value)
    check_nothing_is_torn(tmp_path)
    WRITERS[name](things, tmp_path / name)
    check_nothing_is_torn(tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_a_disk_that_is_read_only(things, small_disk, name):
    small_disk.read_only()
    with pytest.raises(OSError, match=r"Read-only file system") as caught:
        WRITERS[name](things, small_disk.folder / name)
    assert str(small_disk.folder) in str(caught.value)
    assert not files_in(small_disk.folder)


@pytest.mark.parametrize("name", ALL)
def test_what_lies_where_the_result_belongs(things, tmp_path, name):
    """A folder in the place of a file, a file in that of a folder, or of the folder above."""
    out = tmp_path / name
    out.mkdir() if out.suffix else out.write_bytes(b"mine")
    with pytest.raises((OSError, ValueError)) as caught:
        WRITERS[name](things, out)
    assert name in str(caught.value)
    assert (list(out.iterdir()) == []) if out.suffix else (out.read_bytes() == b"mine")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises((OSError, ValueError), match="file"):
        WRITERS[name](things, tmp_path / "file" / name)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_what_fits_is_kept_and_the_rest_follows(things, small_disk, monkeypatch):
    monkeypatch.setattr(_parts, "_AT_LEAST", 0.0)
    monkeypatch.setattr(_parts, "_SHARE", 0.0)
    monkeypatch.setattr(_drive, "_BATCH", 1)
    out = small_disk.folder / "masks"
    segment_files(things.images, things.folder / "expected", SEGMENTER)
    small_disk.fill(left=8 * 4096)  # a page each for masks, parts and what belongs to them
    with pytest.raises(OSError, match="No space left on device"):
        segment_to_folder(things.images, out, SEGMENTER)
    small_disk.empty()
    there = [path for path in out.iterdir() if path.suffix == ".png"]
    assert 0 < len(there) < 6
    told = []
    summary = segment_to_folder(things.images, out, SEGMENTER, tell=told.append)
    assert 0 < summary.n_earlier < 6
    assert told == [f"{summary.n_earlier} of 6 images are done already ({out / 'segment.parts'})"]
    for path in (things.folder / "expected").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    check_nothing_is_torn(small_disk.folder)


READ_ONLY = """
import sys
from skinseg import ThresholdSegmenter, save
from skinseg.bulk import measure_to_file
from skinseg.outlining import segment_to_folder
images, folder = sys.argv[2:], sys.argv[1]
calls = {
    "f.csv": lambda out: measure_to_file(images, out, segmenter=ThresholdSegmenter(), groups=["dimension"]),
    "masks": lambda out: segment_to_folder(images, out, ThresholdSegmenter()),
    "m.skops": lambda out: save(ThresholdSegmenter(), out),
}
from pathlib import Path
import tempfile
with tempfile.TemporaryDirectory() as own:  # all is imported before
    for name, call in calls.items():
        call(Path(own) / name)
images = [Path(image) for image in images]
drop()
for name, call in calls.items():
    try:
        call(Path(folder) / name)
    except OSError as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""


def test_a_folder_of_others(things, open_folder, as_nobody):
    images = [shutil.copy(path, open_folder) for path in things.images[:2]]
    code, out, errors = as_nobody(READ_ONLY, open_folder, *images)
    assert code == 0, errors
    lines = out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["f.csv", "masks", "m.skops"]
    for line in lines:
        assert "PermissionError: " in line
        assert "Permission denied" in line
        assert str(open_folder) in line
    assert sorted(path.name for path in open_folder.iterdir()) == sorted(Path(image).name for image in images)


def test_a_folder_that_is_removed_in_the_middle(things, tmp_path, monkeypatch):
    monkeypatch.setattr(_parts, "_AT_LEAST", 0.0)
    monkeypatch.setattr(_parts, "_SHARE", 0.0)
    monkeypatch.setattr(_drive, "_BATCH", 1)
    add, done = PartStore.add, []

    def removing(self, positions, frame):
        done.append(positions)
        if len(done) == 3:
            shutil.rmtree(tmp_path / "folder")
        add(self, positions, frame)

    for name in ("f.csv", "masks"):
        done.clear()
        (tmp_path / "folder").mkdir()
        with monkeypatch.context() as patched:
            patched.setattr(PartStore, "add", removing)
            with pytest.raises(
                FileNotFoundError, match=rf"{tmp_path}/folder/\S+ cannot be written \(No such file or dir"
            ):
                WRITERS[name](things, tmp_path / "folder" / name)
        assert not (tmp_path / "folder").exists()
        (tmp_path / "folder").mkdir()
        WRITERS[name](things, tmp_path / "folder" / name)
        check_nothing_is_torn(tmp_path)
        shutil.rmtree(tmp_path / "folder")
