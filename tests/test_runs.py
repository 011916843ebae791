"""Long runs: stopped at any moment and gone on with, they give what an undisturbed run gives."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from joblib import parallel_config
from PIL import Image
from sklearn.exceptions import NotFittedError

import skinseg
from skinseg import ThresholdSegmenter, _progress, make_lesion_pipeline
from skinseg._dask import BatchKilledError
from skinseg._progress import Progress, duration
from skinseg._signature import is_foreign_mask
from skinseg.bulk import _records, measure_files, measure_to_file, predict_files, predict_to_file, rows_for
from skinseg.cli import main
from skinseg.exceptions import RunError, RunInterrupted, SkinsegWarning
from skinseg.outlining import find_images, segment_files, segment_to_folder, write_table
from skinseg.runs import _drive, _parts, _tables
from skinseg.runs._parts import PartStore, stamp_of

SEGMENTER = ThresholdSegmenter()
GROUPS = ("dimension",)


@pytest.fixture
def images(lesion_files, tmp_path):
    """Sixteen images under other names, and one that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in (lesion_files / "images").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "z.jpg").write_text("this is no image\n")
    return find_images([folder])


@pytest.fixture
def often(monkeypatch):
    """Write a part after each batch of two."""
    monkeypatch.setattr(_parts, "_AT_LEAST", 0.0)
    monkeypatch.setattr(_parts, "_SHARE", 0.0)
    monkeypatch.setattr(_drive, "_BATCH", 2)


class _Stop(Exception):
    pass


@pytest.fixture
def stop_after(monkeypatch, often):
    """Let a run stop with an exception when so many batches are done."""

    def set_up(n_batches, error=_Stop):
        done = []
        add = PartStore.add

        def stopping(self, positions, frame):
            if len(done) == n_batches:
                raise error
            done.append(positions)
            add(self, positions, frame)

        monkeypatch.setattr(PartStore, "add", stopping)
        return lambda: monkeypatch.setattr(PartStore, "add", add)

    return set_up


def measure(images, out, **options):
    told = []
    options = {"segmenter": SEGMENTER, "groups": GROUPS, "tell": told.append, **options}
    return measure_to_file(images, out, **options), told


def counted(monkeypatch):
    """Note the positions that are done from now on."""
    done = []
    add = PartStore.add
    monkeypatch.setattr(
        PartStore, "add", lambda self, positions, frame: (done.extend(positions), add(self, positions, frame))
    )
    return done


# ---------------------------------------------------------------------- undisturbed


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_the_table_is_that_of_a_run_in_memory(images, tmp_path, suffix, often, monkeypatch):
    monkeypatch.setattr(_drive, "_MERGED", 5)  # several pieces
    monkeypatch.setattr(_drive, "_OPEN_PARTS", 1)
    summary, told = measure(images, tmp_path / f"f{suffix}", errors=tmp_path / "bad.csv")
    assert told == []
    assert (summary.n_images, summary.n_earlier, summary.n_failed, summary.n_empty) == (17, 0, 1, 0)
    ((name, text),) = summary.failed
    assert name == str(images[-1])
    assert text.startswith("this is not an image")
    expected = measure_files(images, segmenter=SEGMENTER, groups=GROUPS)
    write_table(expected, tmp_path / f"g{suffix}")
    if suffix == ".parquet":
        found, other = pd.read_parquet(tmp_path / "f.parquet"), pd.read_parquet(tmp_path / "g.parquet")
        pd.testing.assert_frame_equal(found, other)
    else:
        assert (tmp_path / f"f{suffix}").read_bytes() == (tmp_path / f"g{suffix}").read_bytes()
    assert expected["dimension_area_px"].notna().sum() == 16
    bad = pd.read_csv(tmp_path / "bad.csv")
    assert bad.to_dict("records") == [{"image": name, "error": text}]
    assert {path.name for path in tmp_path.iterdir()} == {"images", f"f{suffix}", f"g{suffix}", "bad.csv"}


def test_parts_hold_few_rows(images, tmp_path, monkeypatch):
    monkeypatch.setattr(_parts, "_MOST_ROWS", 4)
    monkeypatch.setattr(_drive, "_BATCH", 2)
    sizes = []
    flush = PartStore.flush
    monkeypatch.setattr(PartStore, "flush", lambda self: (sizes.append(self._n_waiting), flush(self)))
    measure(images, tmp_path / "f.csv")
    assert sizes == [4, 4, 4, 4, 1]


def test_an_image_that_is_given_twice_is_measured_once(images, tmp_path, monkeypatch):
    done = counted(monkeypatch)
    measure([images[0], images[1], images[0]], tmp_path / "f.csv")
    assert done == [0, 1]
    table = pd.read_csv(tmp_path / "f.csv")
    pd.testing.assert_series_equal(table.loc[0], table.loc[2], check_names=False)
    column = pd.Series(map(str, images[:2]), index=[7, 8])
    assert measure_files(column, segmenter=SEGMENTER, groups=GROUPS)["image"].tolist() == column.tolist()
    assert segment_files(column, tmp_path / "m", SEGMENTER)["image"].tolist() == column.tolist()
    assert predict_files(column, skinseg.load_pretrained())["image"].tolist() == column.tolist()
    with pytest.raises(ValueError, match="there are no images"):
        measure([], tmp_path / "f.csv")
    with pytest.raises(ValueError, match="got 1 masks for 2 images"):
        measure(images[:2], tmp_path / "f.csv", masks=images[:1])
    with pytest.raises(ValueError, match=r"or a segmenter such as PretrainedSegmenter\(\); got None"):
        measure(images[:2], tmp_path / "f.csv", segmenter=None)
    with pytest.raises(ValueError, match=r"SuperpixelSegmenter learns; fit it, and put it in as FrozenEstimator"):
        measure(images[:2], tmp_path / "f.csv", segmenter=skinseg.SuperpixelSegmenter())


# ---------------------------------------------------------------------- going on


@pytest.mark.parametrize("n_batches", [0, 1, 8])
def test_a_stopped_run_goes_on(images, tmp_path, stop_after, monkeypatch, n_batches):
    measure(images, tmp_path / "g.csv")
    go_on = stop_after(n_batches)
    with pytest.raises(_Stop) as stopped:
        measure(images, tmp_path / "f.csv")
    assert not (tmp_path / "f.csv").exists()
    parts = tmp_path / "f.csv.parts"
    assert parts.exists() == (n_batches > 0)  # nothing done, nothing left behind
    kept = f"{2 * n_batches} of 17 images are done and kept in {parts}: the same call goes on from there"
    assert getattr(stopped.value, "__notes__", []) == [kept] * (n_batches > 0)
    go_on()
    done = counted(monkeypatch)
    summary, told = measure(images, tmp_path / "f.csv")
    assert sorted(done) == list(range(2 * n_batches, 17))
    assert summary.n_earlier == 2 * n_batches
    assert told == [f"{2 * n_batches} of 17 images are done already ({parts})"] * (n_batches > 0)
    assert (tmp_path / "f.csv").read_bytes() == (tmp_path / "g.csv").read_bytes()
    assert not parts.exists()


def test_it_stops_while_the_table_is_written(images, tmp_path, monkeypatch):
    measure(images, tmp_path / "g.csv")
    for method, kind in (("write", OSError), ("write", KeyboardInterrupt)):
        with monkeypatch.context() as patched:
            patched.setattr(
                _tables.TableWriter, method, lambda self, rows, kind=kind: (_ for _ in ()).throw(kind("no"))
            )
            with pytest.raises((OSError, RunInterrupted)):
                measure(images, tmp_path / "f.csv")
        assert {path.name for path in tmp_path.iterdir()} == {"images", "g.csv", "f.csv.parts"}
    done = counted(monkeypatch)
    assert measure(images, tmp_path / "f.csv")[0].n_earlier == 17
    assert done == []
    assert (tmp_path / "f.csv").read_bytes() == (tmp_path / "g.csv").read_bytes()


def test_changed_and_new_and_dropped_images(images, tmp_path, stop_after, monkeypatch):
    go_on = stop_after(4)
    with pytest.raises(_Stop):
        measure(images[:10], tmp_path / "f.csv")
    go_on()
    Image.open(images[12]).save(images[2])  # another image under the same name
    done = counted(monkeypatch)
    asked = [images[16], *images[1:12]]
    told = measure(asked, tmp_path / "f.csv")[1]
    assert sorted(asked[index].name for index in done) == [
        "a02.png",
        "a08.png",
        "a09.png",
        "a10.png",
        "a11.png",
        "z.jpg",
    ]
    assert told == [
        f"6 of 12 images are done already ({tmp_path / 'f.csv.parts'})",
        "changed since an earlier call, done again: 1 image",
        "not asked for now, left out: 1 image of an earlier call",
    ]
    write_table(measure_files(asked, segmenter=SEGMENTER, groups=GROUPS), tmp_path / "g.csv")
    assert (tmp_path / "f.csv").read_bytes() == (tmp_path / "g.csv").read_bytes()


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "foreign"])
def test_a_damaged_part_is_told_and_measured_again(images, tmp_path, stop_after, monkeypatch, harm):
    measure(images, tmp_path / "g.csv")
    go_on = stop_after(4)
    with pytest.raises(_Stop):
        measure(images, tmp_path / "f.csv")
    go_on()
    part = sorted((tmp_path / "f.csv.parts").glob("part-000001*"))[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    if harm == "foreign":
        part = part.rename(part.with_name("part-one.parquet"))
    part.write_bytes({"cut": data[:-100], "bit": data, "empty": b"", "foreign": data}[harm])
    done = counted(monkeypatch)
    told = measure(images, tmp_path / "f.csv")[1]
    assert told[0] == f"{part} is damaged or cut short; its images are measured again"
    assert sorted(done) == [2, 3, *range(8, 17)]
    assert (tmp_path / "f.csv").read_bytes() == (tmp_path / "g.csv").read_bytes()


def test_other_settings_are_not_mixed(images, tmp_path, stop_after):
    go_on = stop_after(2)
    with pytest.raises(_Stop):
        measure(images, tmp_path / "f.csv")
    go_on()
    parts = tmp_path / "f.csv.parts"
    with pytest.raises(RunError) as refused:
        measure(images, tmp_path / "f.csv", groups=["color"], max_side=256)
    text = str(refused.value)
    assert text.startswith(f"{parts} holds rows of an earlier call that were made with other settings (")
    assert "(groups: dimension then, color now; max_side: 512 then, 256 now); give the settings of then" in text
    assert "--fresh" in text
    with pytest.raises(
        RunError, match=r"segmenter: ThresholdSegmenter\(\) \[\w{16}\] then, ThresholdSegmenter\(method="
    ):
        measure(images, tmp_path / "f.csv", segmenter=ThresholdSegmenter("li"))
    with pytest.raises(RunError, match=r"segmenter: .* then, given masks now; masks: none then, .*images now"):
        measure(images, tmp_path / "f.csv", masks=images)
    content = json.loads((parts / "run.json").read_text())
    (parts / "run.json").write_text(json.dumps(content | {"settings": content["settings"] | {"skinseg": "0.0.1"}}))
    with pytest.raises(RunError, match=rf"\(skinseg: 0.0.1 then, {skinseg.__version__.replace('.', '[.]')} now\)"):
        measure(images, tmp_path / "f.csv")
    (parts / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run.json, which says how they were made, is missing or damaged; start over"):
        measure(images, tmp_path / "f.csv")
    summary, told = measure(images, tmp_path / "f.csv", groups=["color"], fresh=True)
    assert (summary.n_earlier, told) == (0, [])
    assert "color_count" in pd.read_csv(tmp_path / "f.csv")
    assert not parts.exists()


def test_a_folder_of_something_else_is_left_alone(images, tmp_path):
    parts = tmp_path / "f.csv.parts"
    parts.mkdir()
    (parts / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match=r"f.csv.parts is where .* holds something else \(mine.txt\); move it"):
        measure(images, tmp_path / "f.csv")
    assert [path.name for path in parts.iterdir()] == ["mine.txt"]
    with pytest.raises(RunError, match="holds something else"):
        measure(images, tmp_path / "f.csv", fresh=True)
    assert [path.name for path in parts.iterdir()] == ["mine.txt"]


def test_what_failed_is_tried_again_when_asked_for(images, tmp_path, stop_after, monkeypatch):
    asked = [images[16], *images[:9]]
    with pytest.raises(_Stop):
        (go_on := stop_after(3), measure(asked, tmp_path / "f.csv"))
    go_on()
    with pytest.raises(_Stop):  # not asked for: it goes on behind the first six
        (go_on := stop_after(1), measure(asked, tmp_path / "f.csv"))
    go_on()
    done = counted(monkeypatch)
    told = measure(asked, tmp_path / "f.csv", retry_failed=True)[1]
    assert told[1] == "failed in an earlier call, tried again: 1 image"
    assert sorted(done) == [0, 8, 9]
    assert pd.read_csv(tmp_path / "f.csv")["error"].notna().tolist() == [True] + [False] * 9


# ---------------------------------------------------------------------- killed


KILLED = """
import sys
from pathlib import Path
from skinseg import ThresholdSegmenter, make_lesion_pipeline
from skinseg.bulk import measure_to_file
from skinseg.outlining import find_images, segment_to_folder
from skinseg.runs import _drive, _parts
_parts._AT_LEAST = _parts._SHARE = 0.0
_drive._BATCH = 2
what, folder, out, jobs = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
add = _parts.PartStore.add
def telling(self, positions, frame):
    add(self, positions, frame)
    print(len(positions), flush=True)
_parts.PartStore.add = telling
images = find_images([folder / "images"])
print("ready", flush=True)
if what == "segment":
    segment_to_folder(images, out, ThresholdSegmenter(), table=out / "t.csv", n_jobs=jobs)
elif what == "masks":
    masks = [folder / "masks" / f"{image.stem}_segmentation.png" for image in images]
    measure_to_file(images, out, masks=masks, groups=("dimension",), n_jobs=jobs)
else:
    measure_to_file(images, out, segmenter=ThresholdSegmenter(), groups=("dimension",), n_jobs=jobs)
"""


def run_until(lines, pause, *arguments):
    """Run in a process of its own and kill it some time after it has said so many lines."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(lines + 1):
            process.stdout.readline()
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
    finally:
        process.stdout.close()
        process.wait()
    return process.returncode


@pytest.mark.parametrize(
    ("what", "jobs", "n_kills"),
    [
        ("features", 1, 2),
        ("segment", 2, 1),
        pytest.param("masks", 2, 3, marks=pytest.mark.long),
        pytest.param("segment", 1, 3, marks=pytest.mark.long),
    ],
)
def test_kill_at_random_moments(lesion_files, tmp_path, what, jobs, n_kills):
    rng = np.random.default_rng()
    images = find_images([lesion_files / "images"])
    out = tmp_path / ("m" if what == "segment" else "f.csv")
    for _ in range(n_kills):
        assert (
            run_until(int(rng.integers(0, 4)), rng.uniform(0, 0.02), what, lesion_files, out, jobs) == -signal.SIGKILL
        )
    told = []
    if what == "segment":
        segment_to_folder(images, out, SEGMENTER, table=out / "t.csv", n_jobs=jobs, tell=told.append)
        expected = segment_files(images, tmp_path / "n", SEGMENTER)
        assert {path.name for path in out.iterdir()} == {*(path.name for path in (tmp_path / "n").iterdir()), "t.csv"}
        for path in (tmp_path / "n").iterdir():
            assert (out / path.name).read_bytes() == path.read_bytes()
        expected["mask"] = [str(out / Path(mask).name) for mask in expected["mask"]]
        found = pd.read_csv(out / "t.csv", dtype={"error": object})
    else:
        masks = (
            [lesion_files / "masks" / f"{image.stem}_segmentation.png" for image in images] if what == "masks" else None
        )
        segmenter = None if masks else SEGMENTER
        measure(images, out, segmenter=segmenter, masks=masks)
        expected = measure_files(images, segmenter=segmenter, masks=masks, groups=GROUPS)
        found = pd.read_csv(out, dtype={"error": object})
        assert {path.name for path in tmp_path.iterdir()} == {"f.csv"}
    found["error"] = found["error"].fillna("")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


def test_interrupted_from_the_keyboard(lesion_files, tmp_path, monkeypatch, stop_after):
    go_on = stop_after(3, KeyboardInterrupt)
    arguments = [str(lesion_files / "images"), "--segmenter", "threshold", "--groups", "dimension", "-q"]
    out = tmp_path / "f.csv"
    result = CliRunner().invoke(main, ["features", *arguments, "--out", str(out)])
    assert result.exit_code == 130
    assert f"interrupted; 6 of 16 images are done and kept in {out}.parts: the same call goes on" in result.output
    go_on()
    result = CliRunner().invoke(main, ["features", *arguments, "--out", str(out)])
    assert result.exit_code == 0
    assert f"6 of 16 images are done already ({out}.parts)" in result.output
    assert f"16 of 16 images measured into {out} (6 of them in earlier calls)" in result.output


@pytest.mark.parametrize(
    ("error", "alone"),
    [
        (BrokenProcessPool, [[4], [6], [7], [8], [9], [10, 11]]),
        (BatchKilledError, [[4], [6, 7], [8, 9], [10, 11]]),  # Dask tells the batch
    ],
)
def test_a_worker_that_dies_takes_one_image_with_it(images, tmp_path, often, monkeypatch, error, alone):
    """The pool breaks at image 5 with two further batches in flight."""
    stream_batches, served = _drive.stream_batches, []

    def breaking(function, batches, **options):
        drawn = []
        for batch in batches:
            drawn.append(batch)
            if 5 in batch.positions:
                drawn += [next(batches) for _ in range(2) if len(batch.positions) > 1]
                raise error
            served.append(batch.positions)
            yield from stream_batches(function, [batch])

    monkeypatch.setattr(_drive, "stream_batches", lambda function, batches, **_: breaking(function, iter(batches)))
    summary = measure(images, tmp_path / "f.csv")[0]
    assert served == [[0, 1], [2, 3], *alone, [12, 13], [14, 15], [16]]
    check_all_but_a05(summary, images, tmp_path / "f.csv")


@pytest.mark.long
def test_a_worker_that_really_dies(images, tmp_path):
    segmenter = _Deadly("a05")
    summary = measure(images, tmp_path / "f.csv", segmenter=segmenter, n_jobs=2)[0]
    check_all_but_a05(summary, images, tmp_path / "f.csv")


def check_all_but_a05(summary, images, out):
    assert [Path(name).name for name, _ in summary.failed] == ["a05.png", "z.jpg"]
    table = pd.read_csv(out)
    assert table["error"][5].startswith("the process that worked on this image died")
    expected = measure_files(images, segmenter=SEGMENTER, groups=GROUPS)
    kept = [index for index in range(17) if index != 5]
    np.testing.assert_array_equal(table["dimension_area_px"][kept], expected["dimension_area_px"][kept])


class _Deadly(ThresholdSegmenter):
    """Ends its process at one image, as a fault in a library does."""

    def _segment(self, record):
        if record.name == self.method:
            os._exit(3)
        return ThresholdSegmenter()._segment(record)

    def _validate_params(self):
        pass


# ---------------------------------------------------------------------- two at once, no room


def test_two_processes_at_once(images, tmp_path):
    out = tmp_path / "f.csv"
    with (
        PartStore(tmp_path / "f.csv.parts", {}),
        pytest.raises(RunError, match=r"another process is at work in .*parts"),
    ):
        measure(images, out)
    measure(images, out)  # the first one has ended
    assert len(pd.read_csv(out)) == 17


def full(monkeypatch, after, name="fsync"):
    """Let the disk be full after some files."""
    count = []

    def failing(*arguments):
        count.append(arguments)
        if len(count) > after:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"skinseg._files.os.{name}", failing)


def test_disk_full(images, tmp_path, often, monkeypatch):
    measure(images, tmp_path / "g.csv")
    out, parts = tmp_path / "f.csv", tmp_path / "f.csv.parts"
    with monkeypatch.context() as patched:
        full(patched, 8)
        with pytest.raises(
            OSError, match=rf"{parts} cannot be written \(No space left on device\).* call again to go on"
        ):
            measure(images, out)
    assert not out.exists()
    assert len(list(parts.iterdir())) > 2
    assert not [path for path in parts.rglob("*") if path.name.startswith((".", "tmp"))]
    summary, told = measure(images, out)
    assert told[0].endswith(f"of 17 images are done already ({parts})")
    assert 0 < summary.n_earlier < 17
    assert out.read_bytes() == (tmp_path / "g.csv").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_read_only_folder(images, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with pytest.raises(PermissionError, match=r"f.csv.parts cannot be written \(Permission denied\)"):
        measure(images, folder / "f.csv")


def test_a_folder_that_cannot_be_made(images, tmp_path, monkeypatch):
    def refused(self, **_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(OSError, match=r"f.csv.parts cannot be written \(Read-only file system\); rows are kept there"):
        measure(images, tmp_path / "f.csv")


def test_a_full_disk_stops_the_outlines_and_no_mask_is_cut(images, tmp_path, often, monkeypatch):
    with monkeypatch.context() as patched:
        full(patched, 9)
        with pytest.raises(
            OSError, match=r"_segmentation.png: the mask cannot be written: No space left on device; make"
        ):
            segment_to_folder(images, tmp_path / "m", SEGMENTER)
    there = sorted(path.name for path in (tmp_path / "m").iterdir())
    assert there[-1] == "segment.parts"
    assert 0 < len(there) < 10
    summary = segment_to_folder(images, tmp_path / "m", SEGMENTER)
    assert 0 < summary.n_earlier < 10
    segment_files(images, tmp_path / "n", SEGMENTER)
    for path in (tmp_path / "n").iterdir():
        assert (tmp_path / "m" / path.name).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "m").iterdir())) == 16


def test_one_mask_that_cannot_be_written_stops_nothing(images, tmp_path):
    (tmp_path / "m" / "a03_segmentation.png").mkdir(parents=True)
    summary = segment_to_folder(images, tmp_path / "m", SEGMENTER)
    assert [Path(name).name for name, _ in summary.failed] == ["a03.png", "z.jpg"]
    assert "the mask cannot be written" in summary.failed[0][1]


# ---------------------------------------------------------------------- masks, predictions


def paint(path):
    """Fill a mask as a program for painting does."""
    with Image.open(path) as mask:
        painted = Image.new("L", mask.size, 255)
    painted.save(path)
    return path.read_bytes()


def test_masks_that_somebody_has_painted_stay(images, tmp_path):
    out, told = tmp_path / "m", []
    out.mkdir()
    Image.new("L", (8, 8)).save(out / "a00_segmentation.png")  # was there before
    foreign = paint(out / "a00_segmentation.png")
    options = {"table": tmp_path / "t.parquet", "tell": told.append}
    summary = segment_to_folder(images, out, SEGMENTER, **options)
    assert told == [
        "masks that were changed, or made by another hand, stay as they are (1): a00_segmentation.png; --fresh "
        "replaces them"
    ]
    painted = paint(out / "a03_segmentation.png")
    other = ThresholdSegmenter(offset=0.4)
    segment_to_folder(images, out, other, **options)
    assert "stay as they are (2): a00_segmentation.png, a03_segmentation.png" in told[1]
    assert (out / "a00_segmentation.png").read_bytes() == foreign
    assert (out / "a03_segmentation.png").read_bytes() == painted
    expected = segment_files(images, tmp_path / "n", other)
    names = {path.name for path in (tmp_path / "n").iterdir()} - {"a00_segmentation.png", "a03_segmentation.png"}
    assert all((out / name).read_bytes() == (tmp_path / "n" / name).read_bytes() for name in names)
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["mask"].notna().sum() == 16
    assert summary.n_failed == table["error"].ne("").sum() == expected["error"].ne("").sum()
    with pytest.warns(SkinsegWarning, match=r"stay as they are \(2\).*overwrite=True replaces them"):
        segment_files(images, out, other)
    segment_to_folder(images, out, other, fresh=True, tell=told.append)
    assert len(told) == 2
    for path in (tmp_path / "n").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_masks_painted_between_two_calls_of_a_run_stay(images, tmp_path, stop_after):
    out, told = tmp_path / "m", []
    go_on = stop_after(4)
    with pytest.raises(_Stop):
        segment_to_folder(images, out, SEGMENTER)
    go_on()
    painted = paint(out / "a03_segmentation.png")
    segment_to_folder(images, out, SEGMENTER, tell=told.append)
    assert (out / "a03_segmentation.png").read_bytes() == painted
    assert "stay as they are (1): a03" in told[-1]


def test_signed_masks_are_images_like_others(images, tmp_path):
    table = segment_files(images[:2], tmp_path, SEGMENTER)
    for name in table["mask"]:
        path = Path(name)
        assert not is_foreign_mask(path)
        pixels = cv2.imread(name, cv2.IMREAD_UNCHANGED)
        with Image.open(path) as mask:
            mask.load()
            np.testing.assert_array_equal(np.asarray(mask), pixels)
        data = path.read_bytes()
        Image.fromarray(pixels).save(path)
        assert is_foreign_mask(path)
        path.write_bytes(data[:20])
        assert not is_foreign_mask(path)  # no image any more, and nobody's work
    assert not is_foreign_mask(tmp_path / "none.png")


def test_masks_are_trusted_only_if_they_are_as_they_were_written(images, tmp_path, stop_after, monkeypatch):
    out = tmp_path / "m"
    go_on = stop_after(4)
    with pytest.raises(_Stop):
        segment_to_folder(images, out, SEGMENTER)
    assert (out / "segment.parts").is_dir()
    go_on()
    (out / "a00_segmentation.png").write_bytes(b"")
    (out / "a03_segmentation.png").unlink()
    (out / "a11_segmentation.png").write_bytes(b"nobody knows where it comes from")
    done, told = counted(monkeypatch), []
    summary = segment_to_folder(images, out, SEGMENTER, table=tmp_path / "t.parquet", tell=told.append)
    assert sorted(done) == [0, 3, *range(8, 17)]
    assert summary.n_earlier == 6
    assert told[1] == "changed since an earlier call, done again: 2 images"
    expected = segment_files(images, tmp_path / "n", SEGMENTER)
    for path in (tmp_path / "n").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["mask"].isna().tolist() == [False] * 16 + [True]
    assert table["confidence"].isna().all()
    assert table["error"].tolist() == expected["error"].tolist()
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "n").iterdir()}


def test_doubtful_outlines_are_listed(images, tmp_path, monkeypatch):
    monkeypatch.setattr("skinseg.outlining.DOUBTFUL", 0.9999)
    summary = segment_to_folder(images[:2], tmp_path / "m", skinseg.PretrainedSegmenter(), durable=False)
    expected = segment_files(images[:2], tmp_path / "n", skinseg.PretrainedSegmenter())
    assert summary.doubtful == list(zip(expected["image"], expected["confidence"], strict=True))
    assert summary.n_doubtful == 2


def test_an_image_changed_into_a_wall_has_no_lesion(images, tmp_path):
    Image.new("RGB", (50, 40), (200, 180, 170)).save(images[0])
    summary = measure(images, tmp_path / "f.csv")[0]
    assert (summary.n_empty, summary.empty) == (1, [str(images[0])])
    assert pd.read_csv(tmp_path / "f.csv")["error"][0] == "no lesion found"


@pytest.fixture(scope="module")
def classifier(lesions):
    return make_lesion_pipeline(SEGMENTER).fit(lesions.images, lesions.target)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_of_a_pipeline(images, tmp_path, classifier, often, monkeypatch, suffix):
    monkeypatch.setattr("skinseg.bulk._predict.CHUNK", 4)
    asked = [images[16], *images[:16]]  # a first part that knows no decision
    out = tmp_path / f"p{suffix}"
    add, done = PartStore.add, []

    def stopping(self, positions, frame):
        add(self, positions, frame)
        done.extend(positions)
        if len(done) == 8:
            raise _Stop

    monkeypatch.setattr(PartStore, "add", stopping)
    with pytest.raises(_Stop):
        predict_to_file(asked, out, classifier)
    monkeypatch.setattr(PartStore, "add", add)
    with pytest.raises(RunError, match="positive: 1 then, 0 now"):
        predict_to_file(asked, out, classifier, positive=0)
    assert predict_to_file(asked, out, classifier).n_earlier == 8
    expected = predict_files(asked, classifier)
    write_table(expected, tmp_path / f"q{suffix}")
    if suffix == ".csv":
        assert out.read_bytes() == (tmp_path / "q.csv").read_bytes()
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(tmp_path / "q.parquet"))
    assert expected["decision"].isna().sum() == 1


def test_predictions_of_the_packaged_model(images, tmp_path, stop_after, monkeypatch):
    model = skinseg.load_pretrained()
    asked = [images[16], *images[:5]]
    metadata = pd.DataFrame({"age": ["30", "40", "400", "50", "60", "70"], "found": True})
    go_on = stop_after(2)
    with pytest.raises(_Stop):
        predict_to_file(asked, tmp_path / "p.csv", model, metadata=metadata)
    go_on()
    metadata.loc[1, "age"] = "80"  # its probability is not that of then
    done = counted(monkeypatch)
    summary = predict_to_file(asked, tmp_path / "p.csv", model, metadata=metadata)
    assert sorted(done) == [1, 4, 5]
    assert summary.n_failed == 2
    expected = predict_files(asked, model, metadata=metadata)
    found = pd.read_csv(tmp_path / "p.csv", keep_default_na=False, na_values={"melanoma_probability": ""})
    assert list(found.columns) == list(expected.columns)
    assert found["error"].tolist() == expected["error"].tolist()
    assert "the age must be" in found["error"][2]
    np.testing.assert_allclose(found["melanoma_probability"], expected["melanoma_probability"], atol=1e-5)
    assert found["decision"].tolist() == ["" if value is None else str(value) for value in expected["decision"]]
    with pytest.raises(ValueError, match="one row of clinical columns an image, got 6 for 2 images"):
        predict_to_file(asked[:2], tmp_path / "p.csv", model, metadata=metadata)


def test_the_command_lists_bad_files_in_a_table(lesion_files, broken_files, tmp_path):
    model = skinseg.save(ThresholdSegmenter("li"), tmp_path / "li.skops")
    for command, out in (
        ("features", tmp_path / "f.csv"),
        ("segment", tmp_path / "m"),
        ("predict", tmp_path / "p.csv"),
    ):
        options = [] if command == "predict" else ["--segmenter", str(model)]
        bad = tmp_path / f"{command}.tsv"
        arguments = [command, str(broken_files), "--out", str(out), "--errors", str(bad), "-q", *options]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert "failed: 3 images" in result.output
        table = pd.read_csv(bad, sep="\t")
        assert [Path(name).name for name in table["image"]] == ["cut.jpg", "empty.jpg", "text.jpg"]
        result = CliRunner().invoke(main, [*arguments[:4], "--errors", str(tmp_path / "no" / "e.csv")])
        assert result.exit_code == 2
        assert "does not exist" in result.output


# ---------------------------------------------------------------------- progress


def test_duration():
    assert [duration(seconds) for seconds in (0.25, 59.4, 200, 3600, 90 * 3600)] == [
        "0.2 s", "59 s", "3 min 20 s", "1 h 0 min", "3 d 18 h",
    ]  # fmt: skip


def test_lines_of_progress_where_there_is_no_terminal(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    with Progress("features", 10_000, 4_000, 1) as progress:
        for _ in range(6):
            now[0] += 20
            progress.update(1000, 2)
    assert capsys.readouterr().err.splitlines() == [
        "features: 6,000 of 10,000 images (60 %), 50.0 images/s, 1 min 20 s left, 4 failed",
        "features: 8,000 of 10,000 images (80 %), 50.0 images/s, 40 s left, 8 failed",
        "features: 10,000 of 10,000 images (100 %), 50.0 images/s, 12 failed",
    ]
    with Progress("features", 10, 0, 0) as progress:
        now[0] += 100
        progress.update(10, 0)
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("features", 10, 4, 1) as progress:
        progress.update(6, 1)
    assert "features: 100%" in capsys.readouterr().err


def test_the_state_of_a_file(tmp_path):
    assert stamp_of(tmp_path / "no") == stamp_of("a\0b") == "absent"
    (tmp_path / "yes").write_bytes(b"four")
    assert stamp_of(tmp_path / "yes") == f"4:{(tmp_path / 'yes').stat().st_mtime_ns}"


# ---------------------------------------------------------------------- odd names


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_utf8_stops_nothing(images, tmp_path, stop_after):
    for number, image in ((0, b"n\xe4vus.png"), (16, b"\xff.jpg")):
        os.rename(images[number], os.fsencode(images[number].parent) + b"/" + image)
    asked = find_images([images[0].parent])
    odd = [image for image in asked if "\\udc" in ascii(image.name)]
    assert len(odd) == 2
    asked = [*odd, *images[1:5]]
    names = [str(images[0].parent / name) for name in ("n\\udce4vus.png", "\\udcff.jpg")]
    go_on = stop_after(2)
    with pytest.raises(_Stop):
        measure(asked, tmp_path / "f.csv")
    go_on()
    summary, _ = measure(asked, tmp_path / "f.csv", errors=tmp_path / "bad.csv")
    assert (summary.n_images, summary.n_earlier, summary.n_failed) == (6, 4, 1)
    table = pd.read_csv(tmp_path / "f.csv")
    assert table["image"].tolist() == [*names, *map(str, images[1:5])]
    assert table["error"].notna().tolist() == [False, True, False, False, False, False]
    assert pd.read_csv(tmp_path / "bad.csv")["image"].tolist() == names[1:]
    assert measure_files(asked, segmenter=SEGMENTER, groups=GROUPS)["image"].tolist() == table["image"].tolist()
    for suffix in (".csv", ".parquet"):
        summary = segment_to_folder(asked, tmp_path / "m", SEGMENTER, table=tmp_path / f"t{suffix}")
        assert summary.failed[0][0] == names[1]
    masks = pd.read_parquet(tmp_path / "t.parquet")["mask"].tolist()
    assert masks[0] == str(tmp_path / "m" / "n\\udce4vus_segmentation.png")
    assert os.path.exists(os.fsencode(tmp_path) + b"/m/n\xe4vus_segmentation.png")
    rows = rows_for(asked, pd.DataFrame({"image": [images[1].name], "age": ["50"]}))
    predict_to_file(asked, tmp_path / "p.parquet", skinseg.load_pretrained(), metadata=rows)
    assert pd.read_parquet(tmp_path / "p.parquet")["image"].tolist() == table["image"].tolist()


def test_an_image_with_two_ages_is_predicted_twice(images, tmp_path, stop_after, monkeypatch):
    model = skinseg.load_pretrained()
    asked = [images[0], images[1], images[0], images[0]]
    metadata = pd.DataFrame({"age": ["20", "50", "85", "20"]})
    go_on = stop_after(1)
    with pytest.raises(_Stop):
        predict_to_file(asked, tmp_path / "p.csv", model, metadata=metadata, n_jobs=1)
    go_on()
    done = counted(monkeypatch)
    assert predict_to_file(asked, tmp_path / "p.csv", model, metadata=metadata).n_earlier == 1
    assert done == [1, 2]
    found = pd.read_csv(tmp_path / "p.csv")["melanoma_probability"]
    assert found[0] == found[3]
    assert abs(found[0] - found[2]) > 0.01
    expected = predict_files(asked, model, metadata=metadata)["melanoma_probability"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_predictions_of_nothing_and_of_bad_files_alone(images, classifier, monkeypatch):
    monkeypatch.setattr(_drive, "_BATCH", 1)  # the bad file is a batch
    for model in (classifier, skinseg.load_pretrained()):
        expected = predict_files([images[0], images[16]], model)
        assert expected["melanoma_probability"].dtype == float
        assert expected["melanoma_probability"].isna().tolist() == [False, True]
        for few in ([], [images[16]]):
            table = predict_files(few, model)
            assert list(table.columns) == list(expected.columns)
            assert table["melanoma_probability"].dtype == float
            assert len(table) == len(few)


def test_threads_do_not_mix_up_what_failed(images, monkeypatch):
    Image.new("RGB", (50, 40), (200, 180, 170)).save(images[1])  # no lesion
    monkeypatch.setattr(_drive, "_BATCH", 2)
    row_errors = _records._row_errors
    monkeypatch.setattr(_records, "_row_errors", lambda *arguments: (time.sleep(0.05), row_errors(*arguments))[1])
    with parallel_config(backend="threading"):
        table = predict_files(images[:8], skinseg.load_pretrained(), n_jobs=4)
    assert table["error"].tolist() == ["", "no lesion found"] + [""] * 6


def test_a_worker_of_a_pipeline_that_dies_takes_one_image_with_it(images, tmp_path, classifier, monkeypatch):
    calls = []

    def breaking(records, *arguments, **options):
        calls.append([record.name for record in records])
        if any(record.name == "a05" for record in records):
            raise BrokenProcessPool
        return _records.predict_records(records, *arguments, **options)

    monkeypatch.setattr("skinseg.bulk._predict.predict_records", breaking)
    monkeypatch.setattr("skinseg.bulk._predict.CHUNK", 4)
    summary = predict_to_file(images[:10], tmp_path / "p.csv", classifier)
    assert [len(names) for names in calls] == [4, 4, 1, 1, 1, 1, 2]
    ((name, text),) = summary.failed
    assert (Path(name).name, text) == ("a05.png", _drive._DIED)
    found = pd.read_csv(tmp_path / "p.csv")
    assert found["melanoma_probability"].isna().tolist() == [index == 5 for index in range(10)]


def test_processes_that_die_on_all_images(images, tmp_path, classifier, monkeypatch):
    def breaking(function, batches, **_):
        yield from ()
        for _ in batches:
            raise BrokenProcessPool

    monkeypatch.setattr(_drive, "stream_batches", breaking)
    segment_to_folder(images[:2], tmp_path / "m", SEGMENTER, table=tmp_path / "t.csv")
    predict_to_file(images[:2], tmp_path / "p.csv", skinseg.load_pretrained())
    measure(images[:2], tmp_path / "f.csv")
    for name, column in (("t", "confidence"), ("p", "melanoma_probability"), ("f", "dimension_area_px")):
        table = pd.read_csv(tmp_path / f"{name}.csv")
        assert table["error"].tolist() == [_drive._DIED] * 2
        assert table[column].isna().all()


def test_what_cannot_work_is_told_before_the_work(images, tmp_path):
    out = tmp_path / "f.csv"
    with pytest.raises(ValueError, match=r"f.csv cannot be both the table and that of the images with an error"):
        measure(images, out, errors=os.path.relpath(out))
    with pytest.raises(FileNotFoundError, match=r"e.csv lies in a folder that does not exist; make it first"):
        measure(images, out, errors=tmp_path / "no" / "e.csv")
    with pytest.raises(IsADirectoryError, match=r"images is a folder; give the name of a file"):
        measure(images, tmp_path / "images")
    with pytest.raises(ValueError, match="there are no images"):
        measure([], out, masks=[])
    with pytest.raises(NotFittedError, match="SuperpixelSegmenter"):
        segment_to_folder(images, tmp_path / "m", skinseg.SuperpixelSegmenter())
    with pytest.raises(ValueError, match="The 'method' parameter of ThresholdSegmenter"):
        segment_files(images, tmp_path / "m", ThresholdSegmenter("none"))
    assert {path.name for path in tmp_path.iterdir()} == {"images"}


def test_a_mask_may_have_as_long_a_name_as_any_file(images, tmp_path):
    image = images[0].rename(images[0].with_name("\u75c5" * 79 + ".png"))  # 254 bytes with the ending of a mask
    assert segment_files([image], tmp_path / "m", SEGMENTER)["error"].tolist() == [""]
    assert (tmp_path / "m" / f"{image.stem}_segmentation.png").is_file()
