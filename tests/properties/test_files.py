"""Image files, tables and annotations of any content: what is asked for, or an error that names the file."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_budget import examples

from skinseg import ThresholdSegmenter, check_images, read_image, read_mask
from skinseg.annotations import read_coco, read_labelme, read_painted_mask
from skinseg.clinical import normalized_clinical
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import read_isic_classification
from skinseg.exceptions import ImageReadError, InvalidImagesError
from skinseg.images import LesionImage
from skinseg.reading import read_header, read_reduced
from skinseg.testing import image_files, tables

LIMIT = 2**20  # pixels; a changed header may tell of more
FORMS_OF_MASKS = (
    "png",
    "png gray",
    "png bits",
    "png palette",
    "png alpha",
    "png 16 bits",
    "bmp gray",
    "tiff gray",
    "gif",
)


def put(folder, file):
    path = folder / f"image{file.suffix}"
    path.write_bytes(file.data)
    return path


def attempt(read, path):
    """The result, or None where the file was refused, by name."""
    try:
        return read(path)
    except ImageReadError as error:
        assert error.path == str(path)
        assert str(path) in str(error)
        assert len(error.reason) > 10
        return None


def is_readable(file):
    return file.state == "intact" and file.kind != "tiff float"


@given(file=image_files())
@examples(12_000)
def test_read_image(scratch, file):
    path = put(scratch, file)
    pixels = attempt(lambda path: read_image(path, max_pixels=LIMIT), path)
    if pixels is None:
        assert not is_readable(file)
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.size > 0
    if is_readable(file):
        assert pixels.shape[:2] == file.shape
    if file.image is not None:
        np.testing.assert_array_equal(pixels, file.image)


@given(file=image_files())
@examples(4_000)
def test_header_and_pixels_agree(scratch, file):
    """A record knows the size before it is decoded: a file for which both differ is refused when it is read."""
    path = put(scratch, file)
    header = attempt(lambda path: read_header(path, max_pixels=LIMIT), path)
    pixels = attempt(lambda path: read_image(path, max_pixels=LIMIT), path)
    if header is None:
        assert pixels is None
        return
    assert 1 <= header.orientation <= 8
    assert min(header.shape) >= 1
    assert header.shape[0] * header.shape[1] <= LIMIT
    if is_readable(file):
        assert header.shape == file.shape
    record = attempt(lambda path: LesionImage(path).load(), path)
    assert record is None or record.image.shape[:2] == header.shape


@given(file=image_files(), height=st.integers(1, 30), width=st.integers(1, 30))
@examples(2_000)
def test_read_reduced(scratch, file, height, width):
    path = put(scratch, file)
    result = attempt(lambda path: read_reduced(path, (height, width), max_pixels=LIMIT), path)
    if result is None:
        assert not is_readable(file)
        return
    pixels, header = result
    assert pixels.dtype == np.uint8
    assert all(small <= side for small, side in zip(pixels.shape[:2], header.shape, strict=True))


@given(file=image_files())
@examples(4_000)
def test_read_mask(scratch, file):
    path = put(scratch, file)
    mask = attempt(lambda path: read_mask(path, max_pixels=LIMIT), path)
    assert mask is None or (mask.dtype == bool and mask.ndim == 2 and mask.size > 0)
    assert mask is None or not is_readable(file) or mask.shape == file.shape


@given(file=image_files(FORMS_OF_MASKS) | image_files())
@examples(2_000)
def test_read_painted_mask(scratch, file):
    path = put(scratch, file)
    mask = attempt(lambda path: read_painted_mask(path, max_pixels=LIMIT), path)
    assert mask is None or (mask.dtype == bool and mask.ndim == 2 and mask.size > 0)


@given(files=st.lists(image_files(max_side=12), min_size=1, max_size=4))
@examples(1_500)
def test_all_bad_files_are_listed(scratch, files):
    """One error for all of them, and no other is in it."""
    paths = []
    for index, file in enumerate(files):
        paths.append(scratch / f"file {index}{file.suffix}")
        paths[-1].write_bytes(file.data)
    bad = [
        index for index, path in enumerate(paths) if attempt(lambda p: read_header(p, max_pixels=LIMIT), path) is None
    ]
    try:
        records = check_images(paths, max_pixels=LIMIT)
    except InvalidImagesError as error:
        assert sorted(error.errors) == bad
        assert all(str(paths[index]) in error.errors[index] for index in bad)
    else:
        assert not bad
        assert [record.path for record in records] == paths


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.EmptyMaskWarning")
@given(files=st.lists(image_files(max_side=12), min_size=1, max_size=4))
@examples(1_000)
def test_a_bad_file_takes_nothing_else_with_it(scratch, files):
    """What shows only when a file is decoded costs that image alone, and is told of it."""
    paths = []
    for index, file in enumerate(files):
        path = scratch / f"file {index}{file.suffix}"
        path.write_bytes(file.data)
        if attempt(lambda p: read_header(p, max_pixels=LIMIT), path) is not None:
            paths.append(path)
    if not paths:
        return
    bad = [index for index, path in enumerate(paths) if attempt(lambda path: LesionImage(path).load(), path) is None]
    segmenter = ThresholdSegmenter(fallback="disc", on_error="nan")
    masks = segmenter.predict(paths)
    assert sorted(segmenter.errors_) == bad
    for index, mask in enumerate(masks):
        if index in bad:
            assert mask is None
        else:
            np.testing.assert_array_equal(mask, segmenter.predict([read_image(paths[index])])[0])


# ---------------------------------------------------------------------- tables


def write(path, text, encoding):
    path.write_bytes(text.encode(encoding, errors="surrogatepass" if encoding.startswith("utf") else "replace"))
    return path


encodings = st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
columns = st.none() | st.sampled_from(["mask", "target", "group", "age", "image"])


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.UngroupedWarning")
@given(
    text=tables(),
    encoding=encodings,
    mask=columns,
    target=columns,
    group=columns,
    suffix=st.sampled_from([".csv", ".tsv", ".txt", ".parquet"]),
)
@examples(4_500)
def test_load_lesion_table(scratch, text, encoding, mask, target, group, suffix):
    path = write(scratch / f"table{suffix}", text, encoding)
    try:
        data = load_lesion_table(path, mask_column=mask, target_column=target, group_column=group)
    except ValueError as error:
        assert str(path) in str(error)
        return
    number = len(data.frame)
    assert number >= 1
    assert len(data.images) == len(data.groups) == number
    assert all(image.is_absolute() for image in data.images)
    assert data.masks is None or len(data.masks) == number
    assert (data.target is None) == (target is None)


@given(
    text=tables(["image_name", "target", "image", "MEL", "NV"]),
    encoding=encodings,
    edition=st.sampled_from([2016, 2017, 2018, 2019, 2020]),
)
@examples(1_500)
def test_read_isic_classification(scratch, text, encoding, edition):
    path = write(scratch / "submission.csv", text, encoding)
    try:
        table = read_isic_classification(path, edition=edition)
    except ValueError as error:
        assert str(path) in str(error)
        return
    assert table.index.is_unique
    assert table.to_numpy().min(initial=0) >= 0
    assert table.to_numpy().max(initial=0) <= 1


cells = (
    st.none()
    | st.text(max_size=5)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.sampled_from(["male", "F", "45", "back", "unknown"])
)


@given(
    rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4),
    names=st.permutations(["age_approximate", "sex", "anatom_site_general", "other"]),
)
@examples(2_000)
def test_clinical_columns(rows, names):
    frame = pd.DataFrame(rows, columns=list(names[:3]), dtype=object)
    before = frame.copy(deep=True)
    table = normalized_clinical(frame)
    assert len(table) == len(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(normalized_clinical(frame), table)


# ---------------------------------------------------------------------- annotations

numbers = st.integers(-3, 40) | st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([1e12, -1, 0.5])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
points = st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=6) | values
flat = st.lists(numbers, max_size=8)
run_lengths = st.fixed_dictionaries(
    {"size": st.lists(numbers, max_size=3) | values, "counts": flat | st.text(max_size=6) | values}
)
sides = st.integers(1, 20) | values


def mostly(strategy):
    return st.one_of(strategy, strategy, strategy, values)


shapes = st.fixed_dictionaries(
    {
        "label": st.sampled_from(["lesion", "hair", 3, None]),
        "points": points,
        "shape_type": st.sampled_from(
            ["polygon", "rectangle", "circle", "mask", "line", "oriented_rectangle", "x", None]
        ),
    },
    optional={"group_id": values, "mask": st.sampled_from(["iVBORw0KGgo=", "?", None]), "flags": values},
)
labelme = st.fixed_dictionaries(
    {"shapes": mostly(st.lists(mostly(shapes), max_size=3))},
    optional={"imageHeight": sides, "imageWidth": sides, "imagePath": values},
)
identity = st.integers(0, 2)
coco = st.fixed_dictionaries(
    {
        "images": mostly(
            st.lists(
                mostly(
                    st.fixed_dictionaries(
                        {"id": identity, "file_name": mostly(st.sampled_from(["a.png", "b.png"]))},
                        optional={"height": sides, "width": sides},
                    )
                ),
                max_size=3,
            )
        ),
        "annotations": mostly(
            st.lists(
                mostly(
                    st.fixed_dictionaries(
                        {"image_id": identity},
                        optional={
                            "segmentation": flat | st.lists(flat, max_size=2) | run_lengths | values,
                            "category_id": identity,
                            "iscrowd": identity,
                        },
                    )
                ),
                max_size=3,
            )
        ),
    },
    optional={
        "categories": mostly(
            st.lists(
                mostly(st.fixed_dictionaries({"id": identity, "name": st.sampled_from(["lesion", "hair"])})), max_size=2
            )
        )
    },
)


@given(
    content=labelme | values,
    shape=st.none() | st.tuples(st.integers(1, 20), st.integers(1, 20)),
    labels=st.sampled_from([None, ["lesion"]]),
)
@examples(2_500)
def test_read_labelme(scratch, content, shape, labels):
    path = scratch / "labels.json"
    path.write_text(json.dumps(content))
    mask = attempt(lambda path: read_labelme(path, shape=shape, labels=labels), path)
    assert mask is None or (mask.dtype == bool and mask.ndim == 2)
    assert mask is None or shape is None or mask.shape == shape


@given(content=coco | values, labels=st.sampled_from([None, ["lesion"]]))
@examples(2_500)
def test_read_coco(scratch, content, labels):
    path = scratch / "coco.json"
    path.write_text(json.dumps(content))
    found = attempt(lambda path: read_coco(path, labels=labels), path)
    for name in found or ():
        mask = attempt(lambda _, name=name: found[name], path)
        assert mask is None or (mask.dtype == bool and mask.ndim == 2)
