"""Doubtful outlines: which are chosen, what is written, and what is never written over."""

import csv
import json
import os
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from skinseg import PretrainedSegmenter, ThresholdSegmenter, read_image, read_mask
from skinseg.annotations import outline_hash, read_coco, read_labelme, write_labelme
from skinseg.cli import main
from skinseg.datasets import load_corrections
from skinseg.doubtful import DoubtfulFolder, write_doubtful
from skinseg.doubtful._layout import read_entries, safe_stem, unique_stem
from skinseg.exceptions import AnnotationError, RunError, RunInterrupted
from skinseg.outlining import find_images, segment_to_folder

NO_LESION = "no lesion found"


def disc(shape=(40, 50), radius=12, hole=0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    r = np.hypot(y - shape[0] / 2, x - shape[1] / 2)
    return (r < radius) & (r >= hole)


def save(path, mask=None, shape=(40, 50)):
    """Write an image, or a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, (*shape, 3), np.uint8) if mask is None else mask
    Image.fromarray(pixels if mask is None else mask.astype(np.uint8) * 255).save(path)
    return path


def table_of(tmp_path, confidences, names=None, masks=None):
    """Make images and masks, and the table that tells of them."""
    names = names or [f"a{i}.png" for i in range(len(confidences))]
    rows = []
    for index, (name, confidence) in enumerate(zip(names, confidences, strict=True)):
        empty = confidence is None
        mask = disc() if masks is None else masks[index]
        image = save(tmp_path / "photos" / name)
        file = save(tmp_path / "all" / f"{index}.png", np.zeros_like(mask) if empty else mask)
        rows.append((str(image), str(file), 0.1 if empty else confidence, NO_LESION if empty else ""))
    return pd.DataFrame(rows, columns=["image", "mask", "confidence", "error"], dtype=object)


def images_in(folder):
    return [entry.image for entry in read_entries(folder)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [2, 4, 0]),  # the one without a lesion, then by confidence
        ({"below": 0.2}, [2]),
        ({"below": 1}, [2, 4, 0, 5, 1]),
        ({"number": 2}, [2, 4]),
        ({"number": 99}, [2, 4, 0, 5, 1]),
        ({"share": 0.5}, [2, 4, 0]),  # 2.5 of 5 that did not fail
        ({"share": 1}, [2, 4, 0, 5, 1]),
        ({"share": 1e-9}, [2]),
    ],
)
def test_choice(options, expected, tmp_path):
    table = table_of(tmp_path, [0.6, 0.99, None, 0.05, 0.4, 0.9])
    table.loc[3, ["mask", "error"]] = [None, "the image is damaged"]
    summary = write_doubtful(table, tmp_path / "review", **options)
    assert (summary.n_written, summary.n_empty) == (len(expected), 1)
    entries = read_entries(tmp_path / "review")
    assert {entry.image for entry in entries} == {f"a{i}.png" for i in expected}


def test_rows_in_parts_give_the_same_choice(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "image": [f"{i}.png" for i in range(1000)], "mask": "m.png", "confidence": rng.random(1000),
        "error": np.where(rng.random(1000) < 0.01, NO_LESION, ""),
    })  # fmt: skip
    for options, n_kept in (({"share": 0.05}, 50), ({"number": 7}, 7), ({"below": 0.1}, None)):
        whole, parts = DoubtfulFolder(tmp_path, **options), DoubtfulFolder(tmp_path, **options)
        for folder, size in ((whole, 1000), (parts, 64)):
            folder.begin(1000)
            for start in range(0, 1000, size):
                folder.add(table[start : start + size])
                assert n_kept is None or len(folder._heap) <= n_kept  # no more are in memory
        assert whole._chosen() == parts._chosen()
        ranks = np.where(table["error"] == "", table["confidence"], -1)
        expected = table["image"][np.argsort(ranks, kind="stable")[: len(whole._chosen())]]
        assert [candidate.image for candidate in whole._chosen()] == list(expected)


def test_what_is_written(tmp_path):
    masks = [disc(), disc(hole=5), disc()]
    table = table_of(tmp_path, [0.6, 0.5, None], masks=masks)
    lines = []
    summary = write_doubtful(table, tmp_path / "review", tell=lines.append, tolerance=0)
    assert lines[0] == f"doubtful, to be corrected: 3 images, 1 of them without a lesion, in {tmp_path / 'review'}"
    assert (summary.n_written, summary.n_converted, summary.kept, summary.failed) == (3, 0, [], [])
    review = tmp_path / "review"
    files = sorted(str(path.relative_to(review)) for path in review.rglob("*") if path.is_file())
    assert files == sorted(
        ["README.txt", "coco.json", "doubtful.csv"]
        + [f"images/a{i}.{ending}" for i in range(3) for ending in ("json", "png")]
        + [f"masks/a{i}_segmentation.png" for i in range(3)]
    )
    coco = read_coco(review / "coco.json")
    assert images_in(review) == ["a2.png", "a1.png", "a0.png"]
    for entry, expected in zip(read_entries(review), [np.zeros((40, 50), bool), masks[1], masks[0]], strict=True):
        assert (review / "images" / entry.image).read_bytes() == (tmp_path / "photos" / entry.image).read_bytes()
        assert entry.original == str(tmp_path / "photos" / entry.image)
        assert (entry.height, entry.width) == (40, 50)
        assert entry.outline_sha256 == entry.polygon_sha256 == outline_hash(expected)
        for mask in (
            read_mask(review / "masks" / f"{entry.stem}_segmentation.png"),
            read_labelme(review / "images" / f"{entry.stem}.json"),
            coco[entry.image],
        ):
            np.testing.assert_array_equal(mask, expected)
    content = json.loads((review / "images" / "a1.json").read_text())
    assert (content["imagePath"], content["flags"]) == ("a1.png", {"checked": False})
    guide = (review / "README.txt").read_text()
    assert all(word in guide for word in ("LabelMe", "CVAT", "Label Studio", "GIMP", "load_corrections"))


def test_polygons_have_few_corners(tmp_path):
    mask = disc((300, 300), 90)
    table = table_of(tmp_path, [0.5], masks=[mask])
    save(tmp_path / "photos" / "a0.png", shape=(300, 300))
    write_doubtful(table, tmp_path / "review")
    (entry,) = read_entries(tmp_path / "review")
    assert entry.polygon_sha256 == outline_hash(read_labelme(tmp_path / "review" / "images" / "a0.json"))
    assert entry.outline_sha256 == outline_hash(mask) != entry.polygon_sha256
    (shape,) = json.loads((tmp_path / "review" / "images" / "a0.json").read_text())["shapes"]
    assert len(shape["points"]) < 40


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_copies_of_turned_photos_are_upright(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    photo = tmp_path / "photo.jpg"
    Image.fromarray(pixels).save(photo, exif=exif)
    upright = read_image(photo)
    mask = np.zeros(upright.shape[:2], bool)
    mask[5:20, 10:25] = True
    table = pd.DataFrame({"image": [photo], "mask": [save(tmp_path / "m.png", mask)], "confidence": [0.1], "error": ""})
    summary = write_doubtful(table, tmp_path / "review")
    assert summary.n_converted == (orientation != 1)
    (entry,) = read_entries(tmp_path / "review")
    assert entry.image == ("photo.jpg" if orientation == 1 else "photo.png")
    copy = cv2.imread(
        str(tmp_path / "review" / "images" / entry.image), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    assert copy.shape[:2] == mask.shape  # whether a tool turns images or not
    np.testing.assert_array_equal(copy[..., ::-1], upright)
    with Image.open(tmp_path / "review" / "images" / entry.image) as image:
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    ("name", "mode", "copied"),
    [
        ("a.tif", "RGB", "a.png"), ("a.png", "I;16", "a.png"), ("a.jpg", "CMYK", "a.png"), ("a.JPG", "RGB", "a.JPG"),
        ("a.bmp", "RGB", "a.bmp"), ("a.webp", "RGB", "a.webp"), ("a.png", "RGBA", "a.png"), ("a.jpeg", "L", "a.jpeg"),
        ("a.dat", "RGB", "a.jpg"),
    ],
)  # fmt: skip
def test_files_that_tools_do_not_open_become_png(name, mode, copied, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 4), np.uint8)
    photo = tmp_path / name
    if mode == "I;16":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(photo)
    else:
        image = (
            Image.fromarray(pixels).convert(mode) if mode != "CMYK" else Image.fromarray(pixels[..., :3]).convert(mode)
        )
        image.save(photo, "JPEG" if name == "a.dat" else None)
    table = pd.DataFrame({"image": [photo], "mask": [save(tmp_path / "m.png", disc())], "confidence": 0.1, "error": ""})
    summary = write_doubtful(table, tmp_path / "review")
    (entry,) = read_entries(tmp_path / "review")
    assert entry.image == copied
    assert summary.n_converted == (mode in ("I;16", "CMYK") or name == "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "review" / "images" / copied), read_image(photo))


NAMES = {
    "=cmd|' /C calc'!A0": "_cmd__ _C calc__A0",
    "+1": "_1",
    "-rf": "_rf",
    "@SUM(A1)": "_SUM(A1)",
    "\"quoted\" 'name'": "_quoted_ _name_",
    "<b>bold</b>": "_b_bold__b_",
    "a\\..\\..\\b": "a_..__.._b".replace("__", "_"),
    "new\nline\r\t": "new_line__",
    "..": "_",
    "": "_",
    "läsion 病变": "läsion 病变",
    "evil\u202egnp": "evil_gnp",
    "con": "_con",
    "LPT1.x": "_LPT1.x",
    "trailing. ": "trailing",
    "n\udce4vus": "n_vus",
}


@pytest.mark.parametrize("name", NAMES)
def test_safe_names(name):
    assert safe_stem(name) == NAMES[name]


def test_long_and_repeated_names():
    assert len(safe_stem("ä" * 300).encode()) <= 150
    used = set()
    assert [unique_stem(name, used) for name in ("A=1", "A 1", "a_1", "A_1")] == ["A_1", "A 1", "a_1_2", "A_1_3"]


def test_hostile_file_names(tmp_path):
    names = [
        "=cmd.png", "a\\..\\..\\b.png", "coco.png", "doubtful.png", "q\"uo'te <b>.png", "n\udce4vus.png",
        "ü\n.png", "sub/x.png", "other/x.png", "X.png", "x_segmentation.png", "Icon\r.png",
    ]  # fmt: skip
    table = table_of(tmp_path, [0.1] * len(names), names)
    before = {path for path in tmp_path.rglob("*") if "review" not in path.parts}
    summary = write_doubtful(table, tmp_path / "review")
    assert (summary.n_written, summary.failed) == (len(names), [])
    assert {path for path in tmp_path.rglob("*") if "review" not in path.parts} == before  # nothing outside
    assert (
        len(set(images_in(tmp_path / "review"))) == len({name.lower() for name in images_in(tmp_path / "review")}) == 12
    )
    with open(tmp_path / "review" / "doubtful.csv", newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]  # no formula of a spreadsheet
    originals = {entry.original for entry in read_entries(tmp_path / "review")}
    assert originals == {str(path).replace("\udce4", "\\udce4") for path in table["image"]}
    again = write_doubtful(table, tmp_path / "review")
    assert (again.n_written, len(images_in(tmp_path / "review"))) == (12, 12)


def correct(review, stem, by):
    """Change an outline as a tool would."""
    if by == "labelme":
        path = review / "images" / f"{stem}.json"
        content = json.loads(path.read_text())
        content["shapes"] = [{"label": "lesion", "shape_type": "rectangle", "points": [[2, 3], [20, 22]]}]
        path.write_text(json.dumps(content))
    elif by == "labelme flag":
        path = review / "images" / f"{stem}.json"
        path.write_text(path.read_text().replace('"checked": false', '"checked": true'))
    elif by == "damage":
        (review / "images" / f"{stem}.json").write_text("{")
    elif by == "png":
        save(review / "masks" / f"{stem}_segmentation.png", disc(radius=5))
    elif by == "coco":
        content = json.loads((review / "coco.json").read_text())
        (image,) = [image["id"] for image in content["images"] if image["file_name"] == f"{stem}.png"]
        for entry in content["annotations"]:
            if entry["image_id"] == image:
                entry["segmentation"] = [[2, 3, 20, 3, 20, 22, 2, 22]]
        (review / "coco.json").write_text(json.dumps(content))
    elif by == "export":
        (review / "export").mkdir()
        shutil.copy(review / "coco.json", review / "export" / "instances_default.json")
        correct(review, stem, "coco")
        os.rename(review / "coco.json", review / "export" / "instances_default.json")


@pytest.mark.parametrize("by", ["labelme", "labelme flag", "damage", "png", "coco", "export"])
def test_corrections_are_never_written_over(by, tmp_path):
    table = table_of(tmp_path, [0.1, 0.2, 0.3])
    review = tmp_path / "review"
    write_doubtful(table, review)
    before = images_in(review)
    correct(review, "a1", by)
    corrected = {path: path.read_bytes() for path in review.rglob("a1*")}
    export = review / "export" / "instances_default.json"
    exported = export.read_bytes() if by == "export" else None
    for index in range(3):  # another segmenter, another outline
        save(tmp_path / "all" / f"{index}.png", disc(radius=8))
    lines = []
    summary = write_doubtful(table, review, tell=lines.append)
    assert (summary.n_written, summary.kept) == (2, ["a1.png"])
    assert "left as they are, for they have been corrected: 1 image (a1.png)" in "\n".join(lines)
    assert {path: path.read_bytes() for path in corrected} == corrected
    assert images_in(review) == before
    assert outline_hash(read_mask(review / "masks" / "a0_segmentation.png")) == outline_hash(disc(radius=8))
    coco = read_coco(review / "coco.json")
    assert sorted(coco) == (["a0.png", "a2.png"] if by == "export" else ["a0.png", "a1.png", "a2.png"])
    assert coco["a0.png"].sum() < 250
    if by == "coco":
        assert coco["a1.png"].sum() == 18 * 19
    if by == "export":
        assert export.read_bytes() == exported


def test_earlier_outlines_are_no_corrections(tmp_path):
    table = table_of(tmp_path, [0.1, 0.2])
    review = tmp_path / "review"
    for number, radius in enumerate((12, 8, 10)):  # a segmenter after the other, and what a tool exported of each
        for index in range(2):
            save(tmp_path / "all" / f"{index}.png", disc(radius=radius))
        assert (write_doubtful(table, review).kept, len(images_in(review))) == ([], 2)
        shutil.copytree(review / "masks", review / f"export {number}" / "masks")
        shutil.copy(review / "coco.json", review / f"export {number}" / "instances_default.json")
    with pytest.raises(ValueError, match="none of the 2 outlines was changed"):
        load_corrections(review)
    correct(review, "a1", "labelme")
    data = load_corrections(review)
    assert (data.names, data.masks[0].sum(), len(data.missing)) == (["a1"], 18 * 19, 0)
    data = load_corrections(review, only_changed=False)
    assert data.names == ["a0", "a1"]
    assert (data.masks[0] == disc(radius=10)).all()  # the last one


def test_killed_while_outlines_are_replaced(tmp_path, monkeypatch):
    table = table_of(tmp_path, [0.1, 0.2, 0.3])
    review = tmp_path / "review"
    write_doubtful(table, review)
    for index in range(3):
        save(tmp_path / "all" / f"{index}.png", disc(radius=8))
    before = DoubtfulFolder._write_files

    def killed(self, made):
        if made.entry.image == "a1.png":
            raise KeyboardInterrupt
        return before(self, made)

    with monkeypatch.context() as patch:
        patch.setattr(DoubtfulFolder, "_write_files", killed)
        with pytest.raises(KeyboardInterrupt):
            write_doubtful(table, review)
    with pytest.raises(ValueError, match="none of the 3 outlines was changed"):
        load_corrections(review)
    summary = write_doubtful(table, review)
    assert (summary.n_written, summary.kept) == (3, [])
    assert (load_corrections(review, only_changed=False).masks[2] == disc(radius=8)).all()


def test_other_images_join_a_folder(tmp_path):
    table = table_of(tmp_path, [0.1, 0.2, 0.3])
    review = tmp_path / "review"
    write_doubtful(table[:2], review)
    write_doubtful(table[2:], review)
    assert images_in(review) == ["a0.png", "a1.png", "a2.png"]
    content = json.loads((review / "coco.json").read_text())
    for key in ("images", "annotations"):
        assert sorted(entry["id"] for entry in content[key]) == [1, 2, 3]
    assert len(content["categories"]) == 1


def test_coco_of_a_tool_gets_what_is_new(tmp_path):
    """Its own categories, ids and further keys stay."""
    table = table_of(tmp_path, [0.1, 0.2])
    review = tmp_path / "review"
    write_doubtful(table[:1], review)
    square = {"id": 70, "image_id": 40, "category_id": 9, "segmentation": [[1, 1, 9, 1, 9, 9]], "attributes": {"z": 1}}
    image = {"id": 40, "file_name": "images/a0.png", "height": 40, "width": 50}
    content = {"images": [image], "annotations": [square], "categories": [{"id": 9, "name": "mole"}], "more": 1}
    (review / "coco.json").write_text(json.dumps(content))
    summary = write_doubtful(table, review)
    assert summary.kept == ["a0.png"]
    merged = json.loads((review / "coco.json").read_text())
    assert merged["annotations"][0] == square
    assert merged["more"] == 1
    assert [entry["name"] for entry in merged["categories"]] == ["mole", "lesion"]
    assert [(entry["id"], entry["image_id"], entry["category_id"]) for entry in merged["annotations"]] == [
        (70, 40, 9), (71, 41, 10),
    ]  # fmt: skip


def test_a_call_that_was_killed_is_gone_on_with(tmp_path, monkeypatch):
    table = table_of(tmp_path, [0.1] * 5)
    review = tmp_path / "review"
    monkeypatch.setattr("skinseg.doubtful._folder._AT_ONCE", 2)
    written = []
    before = DoubtfulFolder._write_files

    def killed(self, made):
        written.append(made)
        if len(written) == 4:
            raise KeyboardInterrupt
        return before(self, made)

    monkeypatch.setattr(DoubtfulFolder, "_write_files", killed)
    with pytest.raises(KeyboardInterrupt):
        write_doubtful(table, review)
    assert len(images_in(review)) == 4
    monkeypatch.setattr(DoubtfulFolder, "_write_files", before)
    assert write_doubtful(table, review).n_written == 5
    assert len(read_coco(review / "coco.json")) == len(images_in(review)) == 5


def test_killed_before_anything_was_written(tmp_path, monkeypatch):
    def killed(self, candidate, stem):
        raise KeyboardInterrupt

    table = table_of(tmp_path, [0.1])
    with monkeypatch.context() as patch:
        patch.setattr(DoubtfulFolder, "_make", killed)
        with pytest.raises(KeyboardInterrupt):
            write_doubtful(table, tmp_path / "review")
    assert write_doubtful(table, tmp_path / "review").n_written == 1


def test_two_calls_do_not_write_into_one_folder(tmp_path, monkeypatch):
    table = table_of(tmp_path, [0.1, 0.2])
    review = tmp_path / "review"
    before = DoubtfulFolder._make

    def meanwhile(self, candidate, stem):
        with pytest.raises(RunError, match=f"another process is at work in {review}"):
            write_doubtful(table[1:], review)
        return before(self, candidate, stem)

    with monkeypatch.context() as patch:
        patch.setattr(DoubtfulFolder, "_make", meanwhile)
        assert write_doubtful(table[:1], review).n_written == 1
    assert write_doubtful(table[1:], review).n_written == 1  # the lock is gone
    assert sorted(os.listdir(review)) == ["README.txt", "coco.json", "doubtful.csv", "images", "masks"]
    assert images_in(review) == ["a0.png", "a1.png"]


def test_what_fails_does_not_lose_the_others(tmp_path):
    table = table_of(tmp_path, [0.1, 0.2, 0.3, 0.4])
    os.remove(table["image"][0])
    save(tmp_path / "all" / "1.png", disc((20, 20)))
    (tmp_path / "photos" / "a2.png").write_bytes(b"text")
    lines = []
    summary = write_doubtful(table, tmp_path / "review", tell=lines.append)
    assert summary.n_written == 1
    assert [name for name, _ in summary.failed] == list(table["image"][:3])
    for (_, text), words in zip(
        summary.failed, ("does not exist", "20 x 20 pixels, its image 50 x 40", "not an image"), strict=True
    ):
        assert words in text
    assert sum("not copied" in line for line in lines) == 3
    assert images_in(tmp_path / "review") == ["a3.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"below": 0.5, "number": 3}, "below and number exclude each other"),
        ({"below": 0.5, "share": 0.5, "number": 3}, "below and share and number"),
        ({"below": 0}, "below must be above 0"),
        ({"below": float("nan")}, "below must be"),
        ({"share": 1.5}, "share must be above 0 and at most 1"),
        ({"number": 0}, "at least 1"),
        ({"number": 2.0}, "whole number"),
        ({"tolerance": -1}, "tolerance"),
    ],
)
def test_bad_parameters(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        DoubtfulFolder(tmp_path / "review", **options)


def test_bad_tables_and_folders(tmp_path):
    table = table_of(tmp_path, [0.1])
    with pytest.raises(ValueError, match="no column mask, confidence"):
        write_doubtful(table[["image", "error"]], tmp_path / "review")
    with pytest.raises(ValueError, match="tells no confidence"):
        write_doubtful(table.assign(confidence=np.nan), tmp_path / "review")
    with pytest.raises(FileNotFoundError, match="table does not exist"):
        write_doubtful(tmp_path / "none.csv", tmp_path / "review")
    with pytest.raises(ValueError, match=r"holds something else than doubtful outlines \(0.png\)"):
        write_doubtful(table, tmp_path / "all")
    with pytest.raises(NotADirectoryError, match="is a file"):
        write_doubtful(table, tmp_path / "all" / "0.png")
    assert not (tmp_path / "review").exists()
    assert write_doubtful(table, tmp_path / "review", below=0.05).n_written == 0
    assert not (tmp_path / "review").exists()
    write_doubtful(table, tmp_path / "review")
    (tmp_path / "review" / "coco.json").write_text("[]")
    with pytest.raises(AnnotationError, match=r"coco\.json: this is no COCO file"):
        write_doubtful(table, tmp_path / "review")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("original", "path"), "damaged"),
        (lambda text: text.replace(",40,50,", ",forty,50,"), "damaged"),
        (lambda text: text.replace("a0.png,", "../a0.png,", 1), "no name of an image"),
        (lambda text: text + text.splitlines()[1] + "\n", "there twice"),
        (lambda text: "", "damaged"),
    ],
)
def test_damaged_tables_of_the_folder(change, words, tmp_path):
    write_doubtful(table_of(tmp_path, [0.1]), tmp_path / "review")
    path = tmp_path / "review" / "doubtful.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(AnnotationError, match=words) as error:
        DoubtfulFolder(tmp_path / "review").check()
    assert str(error.value).startswith(str(path))


def test_table_saved_by_a_spreadsheet(tmp_path):
    write_doubtful(table_of(tmp_path, [0.25]), tmp_path / "review")
    path = tmp_path / "review" / "doubtful.csv"
    before = read_entries(tmp_path / "review")
    path.write_text("\ufeff" + path.read_text().replace(",", ";").replace("0.25", "0,25"))
    assert read_entries(tmp_path / "review") == before


# ---------------------------------------------------------------------- with a run


def test_run_writes_them_at_its_end(lesion_files, tmp_path):
    images = find_images([lesion_files / "images"])
    doubtful = DoubtfulFolder(tmp_path / "review", number=3)
    segment_to_folder(images, tmp_path / "masks", PretrainedSegmenter(), table=tmp_path / "t.csv", doubtful=doubtful)
    table = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    least = table.sort_values("confidence", kind="stable")["image"][:3]
    assert [entry.original for entry in read_entries(tmp_path / "review")] == list(least)
    assert doubtful.summary.n_written == 3
    write_doubtful(tmp_path / "t.csv", tmp_path / "other", number=3)
    for path in (tmp_path / "review").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "other" / path.relative_to(tmp_path / "review")).read_bytes()


def test_run_over_a_name_that_is_no_utf8(lesion_files, tmp_path):
    image = tmp_path / "n\udce4vus.png"
    shutil.copy(lesion_files / "images" / "a00.png", image)
    doubtful = DoubtfulFolder(tmp_path / "review", share=1)
    segment_to_folder([image], tmp_path / "masks", PretrainedSegmenter(), doubtful=doubtful)
    assert (doubtful.summary.n_written, doubtful.summary.failed) == (1, [])
    assert images_in(tmp_path / "review") == ["n_vus.png"]


def test_run_that_is_stopped_while_they_are_written_goes_on(lesion_files, tmp_path, monkeypatch):
    images = find_images([lesion_files / "images"])[:4]
    monkeypatch.setattr(DoubtfulFolder, "write", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    segmenter = PretrainedSegmenter()
    with pytest.raises(RunInterrupted, match="4 of 4 images are done"):
        segment_to_folder(images, tmp_path / "masks", segmenter, doubtful=DoubtfulFolder(tmp_path / "review", share=1))
    monkeypatch.undo()
    doubtful = DoubtfulFolder(tmp_path / "review", share=1)
    summary = segment_to_folder(images, tmp_path / "masks", segmenter, doubtful=doubtful)
    assert summary.n_earlier == doubtful.summary.n_written == 4
    assert not (tmp_path / "masks" / "segment.parts").exists()


def test_run_refuses_before_the_work(lesion_files, tmp_path):
    images = find_images([lesion_files / "images"])[:1]
    review = DoubtfulFolder(tmp_path / "review")
    with pytest.raises(ValueError, match="ThresholdSegmenter tells no confidence"):
        segment_to_folder(images, tmp_path / "masks", ThresholdSegmenter(), doubtful=review)
    with pytest.raises(ValueError, match="folder of all masks"):
        segment_to_folder(images, tmp_path / "review", PretrainedSegmenter(), doubtful=review)
    inside = DoubtfulFolder(lesion_files / "images")
    with pytest.raises(ValueError, match="is itself in"):
        segment_to_folder(images, tmp_path / "masks", PretrainedSegmenter(), doubtful=inside)
    save(tmp_path / "review" / "x.png")
    with pytest.raises(ValueError, match="something else"):
        segment_to_folder(images, tmp_path / "masks", PretrainedSegmenter(), doubtful=review)
    assert not (tmp_path / "masks").exists()


def command(*args, code=0):
    result = CliRunner().invoke(main, ["segment", *map(str, args), "-q"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_command(lesion_files, tmp_path):
    out, review = ("--out", tmp_path / "masks"), ("--doubtful", tmp_path / "review")
    text = command(lesion_files / "images", *out, *review, "--doubtful-share", 0.2, "-j", 2)
    assert f"doubtful, to be corrected: 4 images, in {tmp_path / 'review'}" in text
    assert "worth a look" not in text
    assert len(images_in(tmp_path / "review")) == 4
    correct(tmp_path / "review", images_in(tmp_path / "review")[0].removesuffix(".png"), "labelme")
    text = command(lesion_files / "images", *out, *review, "--doubtful-number", 2)
    assert "left as they are, for they have been corrected: 1 image" in text
    text = command(lesion_files / "images", *out, "--doubtful", tmp_path / "none", "--doubtful-below", 1e-9)
    assert f"no outline is doubtful; nothing was written to {tmp_path / 'none'}" in text
    assert not (tmp_path / "none").exists()


def test_command_with_a_wall(tmp_path):
    Image.new("RGB", (50, 40), (200, 180, 170)).save(tmp_path / "wall.png")
    text = command(tmp_path / "wall.png", "--out", tmp_path / "masks", "--doubtful", tmp_path / "review")
    assert "1 image, 1 of them without a lesion" in text
    assert json.loads((tmp_path / "review" / "coco.json").read_text())["annotations"] == []


def test_command_refuses(lesion_files, tmp_path):
    image, out = lesion_files / "images" / "a00.png", ("--out", tmp_path / "masks")
    review = ("--doubtful", tmp_path / "review")
    for args, words in (
        (("--doubtful-number", 3), "it needs the folder, --doubtful DIR"),
        ((*review, "--doubtful-number", 3, "--doubtful-below", 0.5), "exclude each other"),
        ((*review, "--doubtful-share", 2), "range"),
        ((*review, "--segmenter", "threshold"), "ThresholdSegmenter tells no confidence"),
        (("--doubtful", tmp_path / "masks"), "the folder of all masks"),
        (("--doubtful", lesion_files / "images"), "is itself in"),
        (("--doubtful", lesion_files), "is itself in"),
    ):
        text = " ".join(command(image, *out, *args, code=2).split())
        assert words in text, text
    assert not (tmp_path / "masks").exists()


def test_command_lists_what_could_not_be_copied(lesion_files, tmp_path, monkeypatch):
    monkeypatch.setattr(DoubtfulFolder, "_write_files", lambda self, made: "gone")
    image = lesion_files / "images" / "a00.png"
    text = command(image, "--out", tmp_path / "m", "--doubtful", tmp_path / "r", "--doubtful-share", 1, code=1)
    assert f"not copied: {image}: gone" in text


def test_labelme_next_to_the_image_is_found_by_labelme(tmp_path):
    """LabelMe looks under the name of the image without its ending, whatever points are in it."""
    table = table_of(tmp_path, [0.1], ["a.b.png"])
    write_doubtful(table, tmp_path / "review")
    assert os.path.splitext("a.b.png")[0] + ".json" in os.listdir(tmp_path / "review" / "images")
    write_labelme(tmp_path / "review" / "images" / "a.b.json", disc(radius=3), "a.b.png")
    assert write_doubtful(table, tmp_path / "review").kept == ["a.b.png"]
