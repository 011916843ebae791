"""Outlines in the forms of annotation tools, and back."""

import base64
import io
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from skinseg.annotations import (
    CocoMasks,
    Polygon,
    coco_content,
    counts_of_text,
    counts_to_mask,
    labelme_content,
    mask_of_labelme,
    mask_to_counts,
    mask_to_polygons,
    outline_hash,
    polygons_to_mask,
    read_coco,
    read_labelme,
    read_painted_mask,
    write_coco,
    write_labelme,
)
from skinseg.exceptions import AnnotationError, ImageReadError

HAND_MADE = {
    "one pixel": ["....", ".#..", "...."],
    "corner": ["#...", "....", "...#"],
    "line": ["......", ".####.", "......"],
    "touching corners": ["##..", "##..", "..##", "..##"],
    "hole": ["#####", "#...#", "#.#.#", "#...#", "#####"],
    "hole to the corner": [".####", "##..#", "#..##", "####."],
    "all": ["###", "###"],
    "none": ["...", "..."],
    "one": ["#"],
    "edges": ["##..##", "#....#", "......", "##..##"],
}


def drawn(rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def wavy(height=300, width=400, hole=False):
    y, x = np.mgrid[:height, :width]
    r, angle = np.hypot(y - height / 2, x - width / 2), np.arctan2(y - height / 2, x - width / 2)
    mask = r < height / 3 + 12 * np.sin(5 * angle)
    return mask & (r > height / 8) if hole else mask


masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(bool, shape))


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_masks_come_back_in_every_form(name):
    assert_round_trips(drawn(HAND_MADE[name]))


@given(masks)
@settings(max_examples=150, deadline=None)
def test_all_masks_come_back_in_every_form(mask):
    assert_round_trips(mask)


def assert_round_trips(mask):
    np.testing.assert_array_equal(polygons_to_mask(mask_to_polygons(mask), mask.shape), mask)
    np.testing.assert_array_equal(counts_to_mask(mask_to_counts(mask), mask.shape), mask)
    content = json.loads(json.dumps(labelme_content(mask, "a.png")))
    np.testing.assert_array_equal(mask_of_labelme(content, shape=mask.shape), mask)
    content = json.loads(json.dumps(coco_content([mask], ["a.png"])))
    np.testing.assert_array_equal(CocoMasks(content)["a.png"], mask)


@pytest.mark.parametrize("name", HAND_MADE)
def test_polygons_fill_to_the_same_mask_by_other_rules(name):
    """By the rule of LabelMe (decimals cut off, lines painted) and with corners moved by a tenth of a pixel."""
    mask = drawn(HAND_MADE[name])
    polygons = mask_to_polygons(mask)
    painted = np.zeros(mask.shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(painted, [polygon.exterior.astype(np.int32)], 1)
    filled = polygons_to_mask([polygon.exterior for polygon in polygons], mask.shape)
    np.testing.assert_array_equal(painted > 0, filled)
    for shift in (-0.1, 0.1):
        moved = [Polygon(p.exterior + shift, tuple(hole + shift for hole in p.holes)) for p in polygons]
        np.testing.assert_array_equal(polygons_to_mask(moved, mask.shape), mask)


def test_polygons_of_components_and_holes():
    polygons = mask_to_polygons(drawn(HAND_MADE["hole"]))
    assert [len(polygon.holes) for polygon in polygons] == [1, 0]  # the ring, and the island in its hole
    assert mask_to_polygons(drawn(HAND_MADE["none"])) == []
    assert len(mask_to_polygons(drawn(HAND_MADE["touching corners"]))) == 1  # 8-connected
    (pixel,) = mask_to_polygons(drawn(HAND_MADE["one pixel"]))
    assert sorted(pixel.exterior.tolist()) == [[1.25, 1.25], [1.25, 1.75], [1.75, 1.25], [1.75, 1.75]]


@pytest.mark.parametrize(("tolerance", "most", "least"), [(0.5, 400, 0.99), (1, 100, 0.985), (3, 40, 0.96)])
def test_simplified_polygons(tolerance, most, least):
    mask = wavy()
    (polygon,) = mask_to_polygons(mask, tolerance=tolerance)
    assert len(polygon.exterior) < min(most, len(mask_to_polygons(mask)[0].exterior))
    back = polygons_to_mask([polygon], mask.shape)
    assert (back & mask).sum() / (back | mask).sum() > least
    # what differs lies within the tolerance, and the half diagonal of a pixel, of the outline
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    distance += cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
    assert distance[back != mask].max() <= tolerance + 1.5


def test_what_would_vanish_keeps_its_corners():
    mask = drawn(HAND_MADE["one pixel"])
    np.testing.assert_array_equal(polygons_to_mask(mask_to_polygons(mask, tolerance=5), mask.shape), mask)


def test_polygons_are_filled_where_the_centers_are_inside():
    # x from 0.6 to 2.5: the centers 1.5 and (at the left edge of the interval only) 2.5
    mask = polygons_to_mask([[(0.6, 0), (2.5, 0), (2.5, 1), (0.6, 1)]], (2, 4))
    assert mask.astype(int).tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    assert polygons_to_mask([[(-5, -5), (9, -5), (9, 9), (-5, 9)]], (2, 3)).all()  # reaches out of the image
    assert not polygons_to_mask([[(50, 50), (60, 50), (60, 60)]], (2, 3)).any()
    triangle = polygons_to_mask([[(0, 0), (4, 0), (0, 4)]], (4, 4))  # by hand: x + y < 4 at the centers
    assert triangle.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    square = [(0, 0), (2, 0), (2, 2), (0, 2)]
    assert not polygons_to_mask([square + square], (4, 4)).any()  # inside of two turns
    two = polygons_to_mask([[(0, 0), (2, 0), (2, 2), (0, 2)], [(1, 1), (3, 1), (3, 3), (1, 3)]], (3, 3))
    assert two.sum() == 7  # the union, and not the odd ones


def test_polygons_agree_with_a_test_of_each_point():
    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 35, (9, 2))
    mask = polygons_to_mask([points], (30, 30))
    for row in range(30):
        for column in range(30):
            inside, (x, y) = False, (column + 0.5, row + 0.5)
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
                inside ^= ((y0 > y) != (y1 > y)) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            assert mask[row, column] == inside


def test_many_crossings_go_in_parts(monkeypatch):
    mask = wavy(hole=True)
    monkeypatch.setattr("skinseg.annotations._polygons._CROSSINGS", 7)
    np.testing.assert_array_equal(polygons_to_mask(mask_to_polygons(mask), mask.shape), mask)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(0, 0), (1, 1)], "at least 3 points, got 2"),
        ([(0, 0, 1), (1, 1, 1), (2, 0, 1)], "no pairs of numbers"),
        ([(0, 0), (1,), (2, 0)], "no pairs of numbers"),
        ([(0, 0), ("x", 1), (2, 0)], "no pairs of numbers"),
        ([(0, 0), (np.nan, 1), (2, 0)], "NaN"),
        ([(0, 0), (1e300, 1), (2, 0)], "millions of pixels"),
    ],
)
def test_bad_polygons(points, words):
    with pytest.raises(ValueError, match=words):
        polygons_to_mask([points], (4, 4))


def test_bad_masks_tolerances_and_sizes():
    with pytest.raises(ValueError, match="bool array"):
        mask_to_polygons(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="at least 0 pixels"):
        mask_to_polygons(np.zeros((3, 3), bool), tolerance=-1)
    for shape in ((0, 4), (4, 10**9), (4.0, 4), (4,), (True, 4)):
        with pytest.raises(ValueError, match=r"pixels cannot be|two whole numbers"):
            polygons_to_mask([], shape)


# ---------------------------------------------------------------------- run lengths


def test_run_lengths_go_down_the_columns():
    assert mask_to_counts(drawn(["#.", "##"])) == [0, 2, 1, 1]
    assert mask_to_counts(drawn(["..", ".."])) == [4]


# as pycocotools 2.0.11 writes them
y, x = np.mgrid[:12, :15]
COMPRESSED = {
    "n0186L2OJ000O20M130MO30N100061N4Je0": ((y - 6) ** 2 + (x - 7) ** 2 < 26) & ((y - 6) ** 2 + (x - 7) ** 2 > 5),
    "01100010O0010O0010O0010O000": (y[:6, :5] + x[:6, :5]) % 2 == 0,
    "0o1": np.ones((7, 9), bool),
    "o1": np.zeros((7, 9), bool),
    "a01a0": np.arange(35).reshape(5, 7) == 17,
}


@pytest.mark.parametrize("text", COMPRESSED)
def test_compressed_run_lengths(text):
    mask = COMPRESSED[text]
    assert counts_of_text(text).tolist() == mask_to_counts(mask)
    np.testing.assert_array_equal(counts_to_mask(counts_of_text(text.encode()), mask.shape), mask)


def compress(counts):
    """The other way, number by number, as `rleToString` does it."""
    text = ""
    for index, count in enumerate(counts):
        number = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            digit = number & 0x1F
            number >>= 5
            more = number != -1 if digit & 0x10 else number != 0
            text += chr((digit | 0x20 if more else digit) + 48)
    return text


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=40))
def test_compressed_run_lengths_of_any_size(counts):
    assert counts_of_text(compress(counts)).tolist() == counts


@pytest.mark.parametrize(
    ("text", "words"), [("", "cut short"), ("o", "cut short"), ("o1 ", "characters"), ("PPPPPPPPPPPP0", "too large")]
)
def test_damaged_compressed_run_lengths(text, words):
    with pytest.raises(ValueError, match=words):
        counts_of_text(text)


@pytest.mark.parametrize("counts", [[1, 2], [1.0, 3.0], [5, -1], ["a"], [[4]], [2**62, 2**62, 2**62, 2**62]])
def test_damaged_run_lengths(counts):
    with pytest.raises(ValueError, match="run lengths"):
        counts_to_mask(counts, (2, 2))


def test_hash_tells_masks_from_each_other():
    one, other = np.zeros((2, 3), bool), np.zeros((3, 2), bool)
    assert outline_hash(one) != outline_hash(other)
    assert outline_hash(one) == outline_hash(np.asfortranarray(one))
    other = one.copy()
    other[1, 2] = True
    assert outline_hash(one) != outline_hash(other)


# ---------------------------------------------------------------------- LabelMe


def shape(kind, points, **more):
    return {"label": "lesion", "shape_type": kind, "points": points, **more}


def labelme(*shapes, **more):
    return {"shapes": list(shapes), "imageHeight": 6, "imageWidth": 8, "imagePath": "a.png", **more}


def test_labelme_file(tmp_path):
    mask = wavy()
    write_labelme(tmp_path / "a.json", mask, "a.jpg", label="Fleck", tolerance=1, flags={"checked": False})
    content = json.loads((tmp_path / "a.json").read_text())
    assert list(content) == ["version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"]
    assert (content["imagePath"], content["imageData"]) == ("a.jpg", None)
    assert (content["imageHeight"], content["imageWidth"]) == mask.shape
    assert content["flags"] == {"checked": False}
    (polygon,) = content["shapes"]
    assert {"label", "points", "group_id", "shape_type", "flags", "description", "mask"} == set(polygon)
    assert (polygon["label"], polygon["shape_type"], polygon["group_id"]) == ("Fleck", "polygon", None)
    back = read_labelme(tmp_path / "a.json", shape=mask.shape)
    assert (back & mask).sum() / (back | mask).sum() > 0.985
    assert not read_labelme(tmp_path / "a.json", labels=["hair"]).any()


def test_components_are_one_group_and_holes_a_mask():
    assert [item["group_id"] for item in labelme_content(drawn(HAND_MADE["corner"]), "a")["shapes"]] == [1, 1]
    mask = np.pad(drawn(HAND_MADE["hole"]), ((2, 1), (3, 4)))
    (item,) = labelme_content(mask, "a")["shapes"]
    assert (item["shape_type"], item["points"]) == ("mask", [[3, 2], [7, 6]])
    with Image.open(io.BytesIO(base64.b64decode(item["mask"]))) as png:
        np.testing.assert_array_equal(np.asarray(png) > 0, mask[2:7, 3:8])


def test_labelme_shapes_of_all_kinds():
    def pixels(*shapes):
        return [tuple(map(int, place)) for place in np.argwhere(mask_of_labelme(labelme(*shapes)))]

    assert pixels(shape("rectangle", [[3, 2], [1, 0.6]])) == [(1, 1), (1, 2)]
    assert pixels(shape("rectangle", [[1, 1], [3, 1], [3, 2], [1, 2]])) == [(1, 1), (1, 2)]
    assert pixels(shape("oriented_rectangle", [[1, 1], [3, 1], [3, 2], [1, 2]])) == [(1, 1), (1, 2)]
    assert pixels(shape("circle", [[2.5, 2.5], [3.5, 2.5]])) == [(1, 2), (2, 1), (2, 2), (2, 3), (3, 2)]
    assert pixels(shape(None, [[1.0, 1.0], [3.2, 1.0], [3.2, 2.1], [1.0, 2.1]])) == [(1, 1), (1, 2)]
    part = np.array([[1, 0], [0, 2]], np.uint8)
    png = base64.b64encode(cv2.imencode(".png", part)[1].tobytes()).decode()
    assert pixels(shape("mask", [[3.0, 2.0], [4.0, 3.0]], mask=png)) == [(2, 3), (3, 4)]
    assert pixels(shape("mask", [[-1, -1], [0, 0]], mask=png)) == [(0, 0)]  # reaches out of the image
    assert pixels(shape("mask", [[7, 5], [8, 6]], mask=png)) == [(5, 7)]
    assert pixels(shape("mask", [[90, 90], [91, 91]], mask=png)) == []
    rgb = base64.b64encode(cv2.imencode(".png", np.dstack([part, 0 * part, 0 * part]))[1].tobytes()).decode()
    assert pixels(shape("mask", [[3, 2], [4, 3]], mask=rgb)) == [(2, 3), (3, 4)]
    both = pixels(shape("rectangle", [[0, 0], [1, 1]]), shape("rectangle", [[2, 0], [3, 1]], label="other"))
    assert both == [(0, 0), (0, 2)]
    assert pixels() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no list of shapes"),
        ({"shapes": 3}, "no list of shapes"),
        (labelme(shape("linestrip", [[0, 0], [1, 1]])), "shape 1 .linestrip, label 'lesion'.: this has no area"),
        (labelme(shape("point", [[0, 0]])), "no area"),
        (labelme(shape("cube", [[0, 0]])), "not known"),
        (labelme(shape("circle", [[0, 0]])), "2 points"),
        (labelme(shape("rectangle", [[0, 0], ["a", 1]])), "no pairs"),
        (labelme(shape("polygon", [[0, 0], [1, 1]])), "at least 3"),
        (labelme(shape("polygon", None)), "no list of points"),
        (labelme(shape("polygon", [[0, 0], [None, 1], [2, 2]])), "shape 1"),
        (labelme(shape("mask", [[0, 0], [1, 1]], mask="no png")), "no PNG in base64"),
        (labelme(shape("mask", [[0, 0], [1, 1]])), "no PNG in base64"),
        (labelme(shape("mask", [[0, 0], [1, 1]], mask=base64.b64encode(b"text").decode())), "no PNG"),
        (labelme("polygon"), "shape 1 is no shape"),
        (labelme(imageHeight=None), "imageHeight and imageWidth are missing"),
        (labelme(imageHeight=6.5), "no whole numbers"),
        (labelme(imageHeight="six"), "no whole numbers"),
        (labelme(imageHeight=10**6, imageWidth=10**6), "cannot be"),
    ],
)
def test_damaged_labelme_files(content, words, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=words) as error:
        read_labelme(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).count(str(path)) == 1


def test_labelme_of_another_image():
    with pytest.raises(ValueError, match="an image of 8 x 6 pixels, the image has 9 x 6"):
        mask_of_labelme(labelme(), shape=(6, 9))
    assert mask_of_labelme(labelme(imageHeight="6", imageWidth=8.0)).shape == (6, 8)
    assert mask_of_labelme({"shapes": []}, shape=(2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b'{"shapes": [', "no JSON, or cut short"),
        (b"\xff\xfe\x00", "no UTF-8"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_files_that_are_no_json(data, words, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    for read in (read_labelme, read_coco):
        with pytest.raises(AnnotationError, match=words):
            read(path)
    with pytest.raises(AnnotationError, match="does not exist"):
        read_coco(tmp_path / "none.json")
    with pytest.raises(AnnotationError, match="cannot be opened"):
        read_coco(tmp_path)


# ---------------------------------------------------------------------- COCO


def test_coco_file(tmp_path):
    lesions = [wavy(), wavy(hole=True), np.zeros((5, 6), bool), drawn(HAND_MADE["corner"])]
    names = ["a.jpg", "b.jpg", "c.jpg", "ü.png"]
    write_coco(tmp_path / "coco.json", lesions, names, label="naevus")
    content = json.loads((tmp_path / "coco.json").read_text("utf-8"))
    assert set(content) == {"info", "licenses", "images", "categories", "annotations"}
    assert content["categories"] == [{"id": 1, "name": "naevus", "supercategory": ""}]
    assert [image["file_name"] for image in content["images"]] == names
    assert [item["image_id"] for item in content["annotations"]] == [1, 2, 4]
    assert [item["iscrowd"] for item in content["annotations"]] == [0, 1, 0]
    ring = content["annotations"][1]
    assert ring["segmentation"] == {"size": [300, 400], "counts": mask_to_counts(lesions[1])}
    assert [item["area"] for item in content["annotations"]] == [lesions[0].sum(), lesions[1].sum(), 2]
    assert content["annotations"][2]["bbox"] == [0, 0, 4, 3]
    assert len(content["annotations"][2]["segmentation"]) == 2
    back = read_coco(tmp_path / "coco.json")
    assert list(back) == names
    for name, mask in zip(names, lesions, strict=True):
        np.testing.assert_array_equal(back[name], mask)
    assert not read_coco(tmp_path / "coco.json", labels=["hair"])["a.jpg"].any()
    with pytest.raises(ValueError, match="shorter"):
        coco_content(lesions, names[:2])


def coco(*segmentations, **image):
    entry = {"id": 7, "file_name": "sub/a.png", "height": 4, "width": 6, **image}
    items = [{"id": 10 + i, "image_id": 7, "category_id": 1, "segmentation": s} for i, s in enumerate(segmentations)]
    return {"images": [entry], "annotations": items, "categories": [{"id": 1, "name": "lesion"}]}


def test_coco_segmentations_of_all_kinds():
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    (expected,) = [polygons_to_mask([[(1, 1), (3, 1), (3, 3), (1, 3)]], (4, 6))]
    counts = mask_to_counts(expected)
    for segmentation in (
        square,
        square[0],
        {"counts": counts, "size": [4, 6]},
        {"counts": compress(counts), "size": [4, 6]},
        {"counts": counts},
    ):
        np.testing.assert_array_equal(CocoMasks(coco(segmentation))["sub/a.png"], expected)
    two = CocoMasks(coco(square, [[4.0, 0, 5, 0, 5, 1, 4, 1]]))["sub/a.png"]
    assert two.sum() == 5
    boxed = CocoMasks(coco(square, [], None))["sub/a.png"]  # as Label Studio exports boxes
    np.testing.assert_array_equal(boxed, expected)
    assert CocoMasks(coco()).mask("sub/a.png", (4, 6)).sum() == 0
    assert CocoMasks(coco(height=None)).mask("sub/a.png", (4, 6)).sum() == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (coco([]), "annotation 10: it has no outline"),
        (coco(None), "no outline"),
        (coco([[1, 2, 3]]), "x and y in turn"),
        (coco([[1, 2, 3, 4]]), "at least 3 points"),
        (coco([["a", 2, 3, 4, 5, 6]]), "no list of numbers"),
        (coco([[1, 1, 2, 2, 3, 3]], {"counts": [3], "size": [4, 6]}), "annotation 11: .*24|add up to 3"),
        (coco({"counts": [24], "size": [6, 4]}), r"size \[6, 4\]"),
        (coco({"size": [4, 6]}), "no counts"),
        (coco({"counts": "o", "size": [4, 6]}), "cut short"),
        (coco(height=None), "missing"),
        (coco(height=5), "an image of 6 x 5 pixels, the image has 6 x 4"),
    ],
)
def test_damaged_coco_annotations(content, words):
    masks = CocoMasks(content, "x.json")
    shape = (4, 6) if content["images"][0]["height"] == 5 else None
    with pytest.raises(AnnotationError, match=words) as error:
        masks.mask("sub/a.png", shape)
    assert str(error.value).startswith("x.json: image 'sub/a.png'")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"images": []}, "no COCO file"),
        ([], "no COCO file"),
        ({"images": [{"id": 1}], "annotations": []}, "image 1 has no file_name"),
        ({"images": [3], "annotations": []}, "image 1"),
        ({"images": [{"id": i, "file_name": "a"} for i in "12"], "annotations": []}, "'a' is there twice"),
        ({"images": [], "annotations": [{"id": 3}]}, "annotation 1 has no image_id"),
    ],
)
def test_damaged_coco_files(content, words):
    with pytest.raises(AnnotationError, match=words):
        CocoMasks(content, "x.json")


# ---------------------------------------------------------------------- painted masks

MASK = np.pad(np.ones((4, 5), bool), 3)


def painted(kind):
    levels = MASK.astype(np.uint8)
    if kind in (1, 38, 255):
        return Image.fromarray(levels * kind)
    if kind == "bits":
        return Image.fromarray(MASK)
    if kind == "16 bits":
        return Image.fromarray(levels.astype(np.uint16) * 65535)
    if kind == "palette":  # as CVAT and VOC have it
        image = Image.fromarray(levels).convert("P")
        image.putpalette([0, 0, 0, 250, 50, 83] + [0] * 750)
        return image
    if kind == "dark red":
        return Image.fromarray(np.dstack([levels * 128, levels * 0, levels * 0]))
    if kind == "gray rgb":
        return Image.fromarray(np.repeat(levels[..., None] * 255, 3, axis=2))
    alpha = levels * 255
    if kind == "black on transparent":
        return Image.fromarray(np.dstack([levels * 0, levels * 0, levels * 0, alpha]))
    if kind == "white on transparent black":
        return Image.fromarray(np.dstack([alpha, alpha, alpha, alpha]))
    if kind == "rgba":
        return Image.fromarray(np.dstack([alpha, alpha, alpha, np.full_like(alpha, 255)]))
    if kind == "white and black beside transparent":
        alpha = np.full_like(alpha, 255)
        alpha[0] = 0
        return Image.fromarray(np.dstack([levels * 255] * 3 + [alpha]))
    if kind == "smooth edge":
        soft = levels * 255
        soft[3, 3:8] = 130
        soft[7, 3:8] = 120
        return Image.fromarray(soft)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        1, 38, 255, "bits", "16 bits", "palette", "dark red", "gray rgb", "rgba", "black on transparent",
        "white on transparent black", "white and black beside transparent", "smooth edge",
    ],
)  # fmt: skip
def test_painted_masks(kind, tmp_path):
    painted(kind).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_painted_mask(tmp_path / "m.png"), MASK)


def test_painted_masks_without_lesion_and_all_of_it(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "none.png")
    assert not read_painted_mask(tmp_path / "none.png").any()
    Image.new("RGBA", (4, 3)).save(tmp_path / "none.png")
    assert not read_painted_mask(tmp_path / "none.png").any()
    Image.new("L", (4, 3), 255).save(tmp_path / "all.png")
    assert read_painted_mask(tmp_path / "all.png").all()


def test_what_is_no_mask(tmp_path, lesions):
    gray = cv2.cvtColor(lesions.images[0], cv2.COLOR_RGB2GRAY)
    reds = np.zeros((5, 30, 3), np.uint8)
    reds[..., 0] = np.arange(30) * 8
    for name, pixels, words in (
        ("photo", lesions.images[0], "colors"),
        ("gray", gray, "many in between"),
        ("labels", np.array([[0, 1, 2]], np.uint8), "go from 0 to 2"),
        ("soft", reds, "30 colors"),
        ("white", np.array([[[255, 255, 255], [250, 0, 0]]], np.uint8), "none of which is black"),
    ):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        with pytest.raises(ImageReadError, match=words) as error:
            read_painted_mask(tmp_path / f"{name}.png")
        assert "save the mask alone" in str(error.value)
    data = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageReadError, match=r"cut.png: .*truncated.* again"):
        read_painted_mask(tmp_path / "cut.png")
    with pytest.raises(ImageReadError, match="does not exist"):
        read_painted_mask(tmp_path / "none.png")
