"""Odd and wrong image files: each is read right or refused by name, by every reader, and a batch loses nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import corpus
import cv2
import numpy as np
import pytest
from PIL import Image

from skinseg import ThresholdSegmenter, check_images, read_image, read_mask
from skinseg.bulk import measure_files
from skinseg.exceptions import ImageReadError, InvalidImagesError
from skinseg.outlining import segment_files
from skinseg.reading import read_header, read_reduced
from skinseg.runs._drive import NO_LESION

CASES = {f"{group}: {case.name}": case for group, make in corpus.GROUPS.items() for case in make()}
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    monkeypatch.setenv("SKINSEG_MAX_PIXELS", str(corpus.LIMIT))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """All files of the corpus, but that which root may read."""
    folder = tmp_path_factory.mktemp("corpus")
    return [
        path
        for number, case in enumerate(CASES.values())
        if case.guard is None
        for path in corpus.write(case, folder / str(number))
    ]


def read(function, *args):
    """What a reader gives, and the error where it refuses."""
    try:
        return function(*args), None
    except ImageReadError as error:
        return None, error


@pytest.mark.parametrize("name", list(CASES))
def test_each_case_goes_as_expected(tmp_path, name):
    """Of `read_image`: exact pixels, or a refusal that names the file and the way out."""
    good, text = corpus.run(CASES[name], tmp_path / "case")
    assert good, text


def test_all_readers_agree(files):
    n_refused = 0
    for path in files:
        image, error = read(read_image, path)
        header, header_error = read(read_header, path)
        mask, mask_error = read(read_mask, path)
        reduced, reduced_error = read(read_reduced, path, (5, 7))
        if header_error is not None:  # what the header tells, all tell
            assert header_error.reason == error.reason == mask_error.reason, path
        if error is not None:
            n_refused += 1
            assert error.reason == reduced_error.reason, path
            assert mask is None, path
            continue
        assert header.shape == image.shape[:2], path
        assert (reduced[1], reduced[0].dtype) == (header, np.uint8), path
        if mask_error is None:
            assert (mask.shape, mask.dtype) == (header.shape, bool), path
        else:
            assert "largest value of this mask" in mask_error.reason, path
    assert n_refused > 300


def test_a_batch_lists_every_bad_file_and_no_other(files):
    bad = {index: error for index, path in enumerate(files) if (error := read(read_header, path)[1]) is not None}
    with pytest.raises(InvalidImagesError) as caught:
        check_images(files, "the corpus")
    assert caught.value.errors == {index: f"X[{index}]: {error}" for index, error in bad.items()}
    good = [path for index, path in enumerate(files) if index not in bad]
    assert [record.path for record in check_images(good)] == good


def test_a_run_over_all_files_has_one_row_each(files):
    table = measure_files(files, segmenter=ThresholdSegmenter(), groups=["dimension"])
    assert len(table) == len(files)
    for path, error, area in zip(files, table["error"], table["dimension_area_px"], strict=True):
        refused = read(read_image, path)[1]
        if refused is None:
            assert error == NO_LESION if np.isnan(area) else (error == "" and area > 0), path
        else:
            assert (error, np.isnan(area)) == (refused.reason, True), path


def test_masks_of_odd_names_and_what_failed(tmp_path):
    paths = [path for case in corpus.names() for path in corpus.write(case, tmp_path / str(hash(case.name)))]
    (tmp_path / "broken.png").write_bytes(b"nothing")
    table = segment_files([*paths, tmp_path / "broken.png"], tmp_path / "masks", ThresholdSegmenter())
    assert "not an image" in table["error"].iloc[-1]
    for path, error in zip(paths, table["error"], strict=False):
        mask = tmp_path / "masks" / f"{path.stem}_segmentation.png"
        if len(os.fsencode(mask.name)) > 255:
            assert error == "the mask cannot be written: File name too long"
        else:
            assert (error, read_mask(mask).shape) == ("", (48, 64))


MEASURE = """
import json, resource, sys
from skinseg import read_image, read_mask
from skinseg.reading import read_header, read_reduced

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

read_image(sys.argv[1])
found = [peak()]
for path in sys.argv[2:]:
    for read in (read_header, read_image, read_mask, lambda path: read_reduced(path, (8, 8))):
        try:
            read(path)
        except ValueError:
            pass
    found.append(peak())
print(json.dumps(found))
"""


def test_bombs_are_refused_before_they_take_memory(tmp_path):
    pytest.importorskip("resource")
    whole = tmp_path / "whole.png"
    whole.write_bytes(corpus.encoded("PNG"))
    bombs = [path for i, case in enumerate(corpus.bombs()) for path in corpus.write(case, tmp_path / str(i))]
    environment = {name: value for name, value in os.environ.items() if name != "SKINSEG_MAX_PIXELS"}
    command = [sys.executable, "-c", MEASURE, str(whole), *map(str, bombs)]
    found = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    growth = dict(zip([case.name for case in corpus.bombs()], np.diff(found).tolist(), strict=True))
    assert max(growth.values()) < 40e6, growth  # the least of them would take a billion bytes


def test_headers_are_read_without_decoding(tmp_path, monkeypatch):
    for name, data in (("a.png", corpus.encoded("PNG")), ("a.jpg", corpus.encoded("JPEG"))):
        (tmp_path / name).write_bytes(data)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
        assert read_header(tmp_path / name).shape == (48, 64)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("kind", "on"), [(np.uint8, 1), (np.uint8, 255), (np.uint16, 1), (np.uint16, 255), (np.uint16, 65535)]
)
def test_masks_of_8_and_16_bits_in_every_format(tmp_path, suffix, kind, on):
    mask = np.eye(9, dtype=bool)
    path = tmp_path / f"m.{suffix}"
    Image.fromarray(mask.astype(kind) * kind(on)).save(path)
    np.testing.assert_array_equal(read_mask(path), mask)


def test_a_mask_of_12_bits_is_not_read_as_empty(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.eye(9, dtype=np.uint16) * 4095)
    with pytest.raises(ImageReadError, match="largest value of this mask is 4095"):
        read_mask(tmp_path / "m.png")


def test_the_script_writes_the_files(tmp_path):
    script = [sys.executable, corpus.__file__, str(tmp_path / "files")]
    subprocess.run(script, check=True)
    folders = list((tmp_path / "files").iterdir())
    assert len(folders) == len(CASES)
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "files")) > 600


def test_the_page_has_the_table_of_the_script():
    text = (DOCS / "input.md").read_text()
    part = text[text.index("<!-- begin of the corpus -->") : text.index("<!-- end of the corpus -->")]
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in part.splitlines() if line.startswith("| ")]
    found = [(row[0], row[1]) for row in rows[1:] if len(row) == 3]
    assert found == [(corpus._cell(case.name, "no folder"), case.expected) for case in CASES.values()]
    for row in rows[1:]:
        if len(row) == 3:
            assert row[1] == corpus.EITHER or row[1] in row[2], row
