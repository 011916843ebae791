"""Outlines that come back from annotation tools."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinseg import SuperpixelSegmenter, read_mask
from skinseg.annotations import coco_content, outline_hash, polygons_to_mask, read_labelme, write_coco, write_labelme
from skinseg.datasets import load_corrections, load_lesion_table
from skinseg.doubtful import write_doubtful
from skinseg.exceptions import MissingFilesError, MissingFilesWarning
from skinseg.metrics import jaccard_score
from skinseg.outlining import segment_files

SHAPE = (60, 80)
DRAWN = [[10, 12], [50, 14], [44, 47], [12, 40]]
CORRECTED = polygons_to_mask([DRAWN], SHAPE)


def disc(radius=18, hole=0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    r = np.hypot(y - 30, x - 40)
    return (r < radius) & (r >= hole)


def save(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255 if mask.dtype == bool else mask).save(path)
    return path


@pytest.fixture
def review(tmp_path):
    """Four images: one with a hole in its outline, one without a lesion."""
    masks = [disc(), disc(20), disc(20, 8), np.zeros(SHAPE, bool)]
    rows = [
        (
            save(tmp_path / "photos" / f"{name}.png", np.full((*SHAPE, 3), 40 * i, np.uint8)),
            save(tmp_path / "all" / f"{name}.png", mask),
            0.1 * (i + 1),
            "" if mask.any() else "no lesion found",
        )
        for i, (name, mask) in enumerate(zip("abcd", masks, strict=True))
    ]
    table = pd.DataFrame(rows, columns=["image", "mask", "confidence", "error"])
    write_doubtful(table, tmp_path / "review", share=1)
    return tmp_path / "review"


def draw_in_labelme(review, name, shapes=None, **more):
    path = review / "images" / f"{name}.json"
    content = json.loads(path.read_text())
    polygon = {"label": "lesion", "points": DRAWN, "group_id": None, "shape_type": "polygon", "flags": {}}
    content.update(version="6.3.1", shapes=[polygon] if shapes is None else shapes, **more)
    path.write_text(json.dumps(content))
    return path


def edit_coco(review, name, segmentation, path="coco.json", prefix=""):
    content = json.loads((review / "coco.json").read_text())
    for image in content["images"]:
        if image["file_name"] == f"{name}.png":
            others = [entry for entry in content["annotations"] if entry["image_id"] != image["id"]]
            new = {"id": 99, "image_id": image["id"], "category_id": 1, "segmentation": segmentation}
            content["annotations"] = [*others, new] if segmentation is not None else others
        image["file_name"] = prefix + image["file_name"]
    (review / path).parent.mkdir(exist_ok=True)
    (review / path).write_text(json.dumps(content))


def by_name(data):
    return dict(zip(data.names, data.masks, strict=True))


def test_nothing_was_changed(review):
    with pytest.raises(ValueError, match=r"none of the 4 outlines was changed .* only_changed=False"):
        load_corrections(review)
    with pytest.warns(MissingFilesWarning, match="there is no outline; draw one"):
        data = load_corrections(review, only_changed=False)
    assert data.names == ["a", "b", "c"]
    assert not data.frame["corrected"].any()
    assert data.missing["item"].tolist() == ["d"]
    for mask, expected in zip(data.masks, [disc(), disc(20), disc(20, 8)], strict=True):
        np.testing.assert_array_equal(mask, expected)  # the exact one, not that of the polygon
    data = load_corrections(review, only_changed=False, allow_empty=True)
    assert not by_name(data)["d"].any()


@pytest.mark.parametrize("by", ["labelme", "coco", "cvat", "cvat masks", "label studio", "png", "rle", "gimp"])
def test_one_outline_was_corrected(by, review):
    flat = [np.ravel(DRAWN).tolist()]
    if by == "labelme":
        draw_in_labelme(review, "b")
    elif by == "coco":
        edit_coco(review, "b", flat)
    elif by == "rle":
        edit_coco(review, "b", coco_content([CORRECTED & ~disc(3)], ["b"])["annotations"][0]["segmentation"])
    elif by == "cvat":
        edit_coco(review, "b", flat, "annotations/instances_default.json")
    elif by == "cvat masks":
        colors = np.zeros((*SHAPE, 3), np.uint8)
        colors[CORRECTED] = 250, 50, 83
        for folder in ("SegmentationClass", "SegmentationObject"):
            save(review / folder / "b.png", colors)
    elif by == "label studio":
        edit_coco(
            review, "b", (np.array(flat) / 80 * 100 / 100 * 80).tolist(), "export/result.json", "images\\1a2b3c4d-"
        )
    elif by == "png":
        save(review / "masks" / "b_segmentation.png", CORRECTED)
    elif by == "gimp":
        levels = CORRECTED[..., None] * np.uint8([255, 255, 255, 0]) + np.uint8([0, 0, 0, 255])
        save(review / "masks" / "b_segmentation.png", levels)
    data = load_corrections(review, on_error="raise")
    assert data.names == ["b"]
    assert data.images == [review / "images" / "b.png"]
    np.testing.assert_array_equal(data.masks[0], CORRECTED & ~disc(3) if by == "rle" else CORRECTED)
    (row,) = data.frame.to_dict("records")
    assert (row["corrected"], row["checked"]) == (True, False)
    assert row["confidence"] == pytest.approx(0.2)
    assert row["original"] == review.parent / "photos" / "b.png"
    expected = {
        "labelme": "images/b.json", "coco": "coco.json", "rle": "coco.json", "png": "masks/b_segmentation.png",
        "gimp": "masks/b_segmentation.png", "cvat": "annotations/instances_default.json",
        "cvat masks": "SegmentationClass/b.png", "label studio": "export/result.json",
    }  # fmt: skip
    assert row["source"].replace(os.sep, "/") == expected[by]
    assert "1 corrected" in data.DESCR


def test_files_that_were_only_saved_again_are_not_changed(review):
    for name in "abcd":
        content = json.loads((review / "images" / f"{name}.json").read_text())
        for shape in content["shapes"]:
            shape.update(description=None, other=3)
            if shape["shape_type"] == "polygon":  # begins elsewhere, and the last bits are gone
                shape["points"] = [[x / 80 * 80 + 1e-12, y] for x, y in shape["points"][1:] + shape["points"][:1]]
        draw_in_labelme(review, name, content["shapes"], imageData="AAAA")
        path = review / "masks" / f"{name}_segmentation.png"
        Image.open(path).convert("RGB").save(path)
    with pytest.raises(ValueError, match="none of the 4"):
        load_corrections(review)


def test_tools_that_draw_polygons_as_masks_change_nothing(review):
    """A rim of one pixel is no correction, a thin lesion that is gone is one."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    save(review / "SegmentationClass" / "a.png", np.hypot(y - 30, x - 40) < 19)
    with pytest.raises(ValueError, match="none of the 4"):
        load_corrections(review)
    save(review / "SegmentationClass" / "a.png", np.hypot(y - 30, x - 40) < 21)
    assert load_corrections(review).names == ["a"]


def test_checked_outlines_count(review):
    draw_in_labelme(review, "a")
    draw_in_labelme(
        review, "c", json.loads((review / "images" / "c.json").read_text())["shapes"], flags={"checked": True}
    )
    data = load_corrections(review)
    assert data.frame[["name", "corrected", "checked"]].to_numpy().tolist() == [["a", True, False], ["c", False, True]]
    np.testing.assert_array_equal(by_name(data)["c"], disc(20, 8))
    assert "1 corrected, 1 checked and right as they were, 0 as written" in data.DESCR


def test_conflicts(review):
    draw_in_labelme(review, "a")
    path = save(review / "masks" / "a_segmentation.png", disc(9))
    os.utime(path, (2e9, 2e9))
    draw_in_labelme(review, "b")
    edit_coco(review, "b", [np.ravel(DRAWN).tolist()])  # the same in two files
    with pytest.warns(MissingFilesWarning, match="each in another way"):
        data = load_corrections(review)
    assert data.names == ["b"]
    (row,) = data.missing.to_dict("records")
    assert row["item"] == "a"
    assert "images/a.json, masks/a_segmentation.png" in row["problem"].replace(os.sep, "/")
    data = load_corrections(review, on_conflict="newest", on_error="raise")
    np.testing.assert_array_equal(by_name(data)["a"], disc(9))
    os.utime(path, (1e9, 1e9))
    np.testing.assert_array_equal(by_name(load_corrections(review, on_conflict="newest"))["a"], CORRECTED)


def test_outlines_that_were_deleted(review):
    draw_in_labelme(review, "a", [])
    draw_in_labelme(review, "b")
    with pytest.warns(MissingFilesWarning, match="there is no outline"):
        assert load_corrections(review).names == ["b"]
    data = load_corrections(review, allow_empty=True)
    assert data.names == ["a", "b"]
    assert not data.masks[0].any()


def test_lesion_that_was_missed_is_drawn(review):
    draw_in_labelme(review, "d")
    data = load_corrections(review)
    assert data.names == ["d"]
    np.testing.assert_array_equal(data.masks[0], CORRECTED)


def test_files_that_cannot_be_read_do_not_lose_the_others(review):
    draw_in_labelme(review, "a", [{"label": "x", "shape_type": "linestrip", "points": [[0, 0], [1, 1]]}])
    draw_in_labelme(review, "b")
    (review / "images" / "c.json").write_text("{")
    save(review / "masks" / "d_segmentation.png", np.ones((5, 6), bool))
    (review / "tasks.json").write_text("[]")
    (review / "stray.json").write_text(json.dumps({"shapes": [], "imagePath": "other.png"}))
    (review / "cut.json").write_text('{"images": [')
    with pytest.warns(MissingFilesWarning, match=r"6 annotation\(s\) or image\(s\) cannot be used"):
        data = load_corrections(review)
    assert data.names == ["b"]
    assert data.missing["item"].tolist() == ["", "", "", "d", "a", "c"] or set(data.missing["item"]) == {"", *"acd"}
    for item, words in {
        "a": "shape 1 .* no area", "c": "no JSON", "d": "the mask is 6 x 5 pixels, its image 80 x 60",
    }.items():  # fmt: skip
        assert data.missing.set_index("item")["problem"][item:item].str.contains(words).all()
    text = " ".join(data.missing["problem"])
    assert "neither LabelMe nor COCO; export the annotations as COCO" in text
    assert "there is no image for it" in text
    with pytest.raises(MissingFilesError) as error:
        load_corrections(review, on_error="raise")
    assert len(error.value.missing) == 6
    assert load_corrections(review, on_error="ignore").names == ["b"]
    shutil.copy(review / "images" / "c.json", review / "images" / "b.json")
    with pytest.raises(MissingFilesError, match="7 annotation"):  # and nothing is left
        load_corrections(review, on_error="ignore")


def test_images_and_originals(review):
    draw_in_labelme(review, "a")
    assert load_corrections(review, original_images=True).images == [review.parent / "photos" / "a.png"]
    moved = review.parent / "moved"
    moved.mkdir()
    shutil.move(review / "images" / "a.png", moved / "a.png")
    assert load_corrections(review).images == [review.parent / "photos" / "a.png"]  # there is no copy
    assert load_corrections(review, image_folder=moved).images == [moved / "a.png"]
    save(review / "images" / "a.png", np.zeros((60, 81, 3), np.uint8))
    with pytest.raises(MissingFilesError, match="the image is 81 x 60 pixels, but was 80 x 60"):
        load_corrections(review)
    os.remove(review / "images" / "a.png")
    os.remove(review.parent / "photos" / "a.png")
    with pytest.raises(MissingFilesError, match="does not exist"):
        load_corrections(review)


def test_labels(review):
    square = [[0, 0], [9, 0], [9, 9], [0, 9]]
    shapes = [
        {"label": "lesion", "shape_type": "polygon", "points": DRAWN},
        {"label": "ruler", "shape_type": "polygon", "points": square},
    ]
    draw_in_labelme(review, "a", shapes)
    assert load_corrections(review).masks[0].sum() == CORRECTED.sum() + 81
    for labels in ("lesion", ["lesion"]):
        np.testing.assert_array_equal(load_corrections(review, labels=labels).masks[0], CORRECTED)


def test_masks_as_files(review):
    draw_in_labelme(review, "a")
    draw_in_labelme(review, "b")
    out = review.parent / "corrected"
    data = load_corrections(review, out=out, n_jobs=2)
    assert data.masks == [out / "a_segmentation.png", out / "b_segmentation.png"]
    np.testing.assert_array_equal(read_mask(data.masks[0]), CORRECTED)
    table = load_lesion_table(out / "corrections.csv", mask_column="mask")
    assert table.images == data.images
    assert table.masks == data.masks
    for place in (review, review / "new"):
        with pytest.raises(ValueError, match="whose masks are read"):
            load_corrections(review, out=place)


def test_folder_without_a_table(tmp_path):
    """Only what a tool left there."""
    for name in ("a", "b", "c", "d"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((*SHAPE, 3), np.uint8))
    with pytest.raises(ValueError, match="no annotations of its images"):
        load_corrections(tmp_path)
    write_coco(tmp_path / "instances.json", [disc(), np.zeros(SHAPE, bool)], ["x/a.png", "b.png"])
    data = load_corrections(tmp_path)  # no one has looked at b
    assert data.names == ["a"]
    np.testing.assert_array_equal(data.masks[0], disc())
    assert data.frame["corrected"].all()
    assert data.frame["confidence"].isna().all()
    assert load_corrections(tmp_path, allow_empty=True).names == ["a", "b"]
    save(tmp_path / "SegmentationClass" / "b.png", disc(5))
    save(tmp_path / "c_segmentation.png", disc(6))
    write_labelme(tmp_path / "images" / "d.json", disc(7), "d.png")
    data = load_corrections(tmp_path)
    assert [mask.sum() for mask in data.masks] == [disc(radius).sum() for radius in (18, 5, 6, 7)]
    assert {outline_hash(mask) for mask in data.masks} == {outline_hash(disc(radius)) for radius in (18, 5, 6, 7)}
    assert data.frame["original"].tolist() == data.images


def test_annotations_apart_from_the_images(tmp_path):
    save(tmp_path / "photos" / "a.png", np.zeros((*SHAPE, 3), np.uint8))
    (tmp_path / "back").mkdir()
    write_coco(tmp_path / "back" / "coco.json", [disc()], ["a.png"])
    with pytest.raises(ValueError, match=r"holds no images; .*image_folder="):
        load_corrections(tmp_path / "back")
    data = load_corrections(tmp_path / "back", image_folder=tmp_path / "photos")
    assert data.images == [tmp_path / "photos" / "a.png"]
    with pytest.raises(NotADirectoryError, match="folder of the images"):
        load_corrections(tmp_path / "back", image_folder=tmp_path / "none")
    save(tmp_path / "photos" / "sub" / "A.jpg", np.zeros((*SHAPE, 3), np.uint8))
    with pytest.raises(ValueError, match="have one name"):
        load_corrections(tmp_path / "back", image_folder=tmp_path / "photos")


def test_bad_calls(tmp_path, review):
    with pytest.raises(NotADirectoryError, match="does not exist"):
        load_corrections(tmp_path / "none")
    with pytest.raises(ValueError, match="on_error must be one of 'warn', 'raise', 'ignore', got 'nan'"):
        load_corrections(review, on_error="nan")
    with pytest.raises(ValueError, match="on_conflict must be"):
        load_corrections(review, on_conflict="oldest")


def test_empty_annotations_alone(tmp_path):
    save(tmp_path / "a.png", np.zeros((*SHAPE, 3), np.uint8))
    write_coco(tmp_path / "coco.json", [np.zeros(SHAPE, bool)], ["a.png"])
    with pytest.raises(ValueError, match="annotations of all 1 images are empty"):
        load_corrections(tmp_path)


def test_fit_on_corrections(lesion_files, lesions, tmp_path):
    """The whole way: outlines are written, corrected in LabelMe, read, and learnt from."""
    images, masks = sorted((lesion_files / "images").iterdir())[:6], lesions.masks[:6]
    segmenter = SuperpixelSegmenter(40, max_iter=10, random_state=0)
    segmenter.fit(images[:2], [~mask for mask in masks[:2]])  # it learns the wrong thing
    table = segment_files(images, tmp_path / "masks", segmenter)
    before = jaccard_score(masks, [read_mask(path) for path in table["mask"]])
    write_doubtful(table, tmp_path / "review", share=1)
    for image, mask in zip(images, masks, strict=True):
        write_labelme(tmp_path / "review" / "images" / f"{image.stem}.json", mask, image.name)
    corrections = load_corrections(tmp_path / "review", on_error="raise")
    assert len(corrections.images) == 6
    expected = dict(zip((image.stem for image in images), masks, strict=True))
    assert jaccard_score([expected[name] for name in corrections.names], corrections.masks) == 1
    segmenter.fit(corrections.images, corrections.masks)
    assert segmenter.score(images, masks) > before + 0.3


@pytest.mark.realdata
def test_corrections_of_real_images(data_folder, tmp_path):
    """Sixty images: of the fifteen least confident outlines ten are corrected, come back, and are worth it."""
    where = {"split": "training"}
    data = load_lesion_table(data_folder / "isic2017" / "isic2017.csv", mask_column="mask", where=where)
    images, masks = data.images[:600:10], data.masks[:600:10]
    others = data.images[5:45:10], [read_mask(mask) for mask in data.masks[5:45:10]]
    segmenter = SuperpixelSegmenter(100, max_iter=30, random_state=0, n_jobs=2).fit(*others)
    table = segment_files(images, tmp_path / "masks", segmenter, n_jobs=2)
    truth = {image.stem: read_mask(mask) for image, mask in zip(images, masks, strict=True)}
    assert write_doubtful(table, tmp_path / "review", share=0.25).n_written == 15
    folder = tmp_path / "review" / "images"
    written = sorted(path.stem for path in folder.glob("*.json"))
    exact = [read_mask(tmp_path / "masks" / f"{name}_segmentation.png") for name in written]
    polygons = [read_labelme(folder / f"{name}.json") for name in written]
    assert jaccard_score(exact, polygons, average=None).min() > 0.97  # with a tolerance of a pixel
    for name in written[:10]:
        write_labelme(folder / f"{name}.json", truth[name], f"{name}.jpg", flags={"checked": False})
    corrections = load_corrections(tmp_path / "review", on_error="raise")
    assert sorted(corrections.names) == written[:10]
    assert jaccard_score([truth[name] for name in corrections.names], corrections.masks) == 1
    segmenter.fit(others[0] + corrections.images, others[1] + corrections.masks)
    again = segmenter.predict([folder / f"{name}.jpg" for name in written])
    expected = [truth[name] for name in written]
    assert jaccard_score(expected, again) > jaccard_score(expected, exact)
