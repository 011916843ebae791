"""Working sizes."""

import numpy as np
import pytest
from PIL import Image

from skinseg import BatchedPipeline, ImageResizer, LesionImage, ThresholdSegmenter, _record, read_image
from skinseg.exceptions import ImageBatchError
from skinseg.resampling import resize_image


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((300, 400), (75, 100)), ((400, 300), (100, 75)), ((5000, 2), (100, 1)), ((100, 100), (100, 100))],
)
def test_longer_side(shape, expected):
    (record,) = ImageResizer(100).transform([np.zeros((*shape, 3), np.uint8)])
    assert record.shape == expected
    assert record.geometry.origin == shape


def test_small_images_are_enlarged_only_if_asked():
    image = np.zeros((30, 40, 3), np.uint8)
    assert ImageResizer(80).transform([image])[0].shape == (30, 40)
    assert ImageResizer(80, enlarge=True).transform([image])[0].shape == (60, 80)


def test_shrinking_averages():
    checkers = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(200)
    (record,) = ImageResizer(32).transform([np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)])
    assert (record.image == 100).all()


def test_planes_follow():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 20:60] = True
    record = LesionImage(np.zeros((60, 80, 3), np.uint8), mask, reference_mask=mask, field=~mask, artifact_mask=mask)
    (small,) = ImageResizer(40).transform([record])
    for plane in (small.mask, small.reference_mask, ~small.field, small.artifact_mask):
        assert plane.shape == (30, 40)
        np.testing.assert_array_equal(plane, mask[::2, ::2])


@pytest.mark.parametrize("bad", [0, -5, 2.5, None])
def test_bad_sizes(bad):
    with pytest.raises(ValueError, match="'max_side' parameter of ImageResizer"):
        ImageResizer(bad).fit([np.zeros((3, 3, 3), np.uint8)])


@pytest.fixture(scope="module")
def photo():
    """A smooth photo of 700 x 900 with an off-center spot."""
    y, x = np.mgrid[:700, :900]
    spot = np.exp(-((y - 250) ** 2 + (x - 600) ** 2) / 2 / 120**2)
    return np.stack([220 - 120 * spot, 180 - 120 * spot, 90 + 60 * spot], axis=-1).round().astype(np.uint8)


def _write(path, image, **options):
    Image.fromarray(image).save(path, **options)
    return path


@pytest.mark.parametrize(("side", "decoded"), [(100, (175, 225)), (150, (350, 450)), (300, None), (400, None)])
def test_large_jpeg_files_are_decoded_at_reduced_size(tmp_path, photo, side, decoded, monkeypatch):
    path = _write(tmp_path / "photo.jpg", photo, quality=95)
    sizes = []
    monkeypatch.setattr(_record, "resize_image", lambda a, s: sizes.append(a.shape[:2]) or resize_image(a, s))
    (small,) = ImageResizer(side).transform([path])
    assert sizes == [decoded or photo.shape[:2]]
    (whole,) = ImageResizer(side, reduced_decoding=False).transform([path])
    assert small.geometry == whole.geometry
    assert small.geometry.origin == photo.shape[:2]
    assert np.abs(small.image.astype(int) - whole.image).mean() < 0.5
    assert np.array_equal(whole.image, ImageResizer(side).transform([read_image(path)])[0].image)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_reduced_files_are_upright(tmp_path, photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _write(tmp_path / "photo.jpg", photo, quality=95, exif=exif)
    (small,) = ImageResizer(150).transform([path])
    (whole,) = ImageResizer(150, reduced_decoding=False).transform([path])
    assert small.geometry == whole.geometry
    assert np.abs(small.image.astype(int) - whole.image).mean() < 0.5


@pytest.mark.parametrize(("name", "mode"), [("photo.png", "RGB"), ("photo.jpg", "CMYK"), ("photo.jpg", "L")])
def test_what_cannot_be_decoded_at_reduced_size(tmp_path, photo, name, mode):
    Image.fromarray(photo).convert(mode).save(tmp_path / name)
    (small,) = ImageResizer(100).transform([tmp_path / name])
    (whole,) = ImageResizer(100, reduced_decoding=False).transform([tmp_path / name])
    assert small.geometry == whole.geometry
    if mode == "L":  # a JPEG like others
        assert np.abs(small.image.astype(int) - whole.image).mean() < 0.5
    else:
        np.testing.assert_array_equal(small.image, whole.image)


def test_a_reduced_file_keeps_its_mask_in_the_frame_of_the_origin(tmp_path, photo):
    path = _write(tmp_path / "photo.jpg", photo)
    mask = photo[..., 0] < 180
    Image.fromarray(mask).save(tmp_path / "mask.png")
    (small,) = ImageResizer(100).transform([LesionImage(path, tmp_path / "mask.png", reference_mask=mask)])
    assert small.mask.shape == (78, 100)
    np.testing.assert_array_equal(small.origin_plane("mask"), mask)
    np.testing.assert_array_equal(small.origin_plane("reference_mask"), mask)


def test_a_large_file_that_is_cut_short_fails_alone(tmp_path, photo):
    whole = _write(tmp_path / "whole.jpg", photo)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:4000])
    resizer = ImageResizer(100, on_error="nan")
    first, second = resizer.transform([cut, whole])
    assert "damaged or cut short" in first.error
    assert list(resizer.errors_) == [0]
    assert second.shape == (78, 100)


def test_the_pipeline_decodes_as_the_resizer_does(tmp_path, photo):
    path = _write(tmp_path / "photo.jpg", photo)
    pipe = BatchedPipeline([("resizer", ImageResizer(100)), ("segmenter", ThresholdSegmenter())]).fit([path])
    (resized,) = ImageResizer(100).transform([path])
    (outlined,) = pipe.transform([path])
    np.testing.assert_array_equal(outlined.image, resized.image)
    assert pipe.predict([path])[0].shape == photo.shape[:2]
    damaged = tmp_path / "cut.jpg"
    damaged.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(ImageBatchError, match=r"X\[1\].*cut\.jpg.*cut short"):
        pipe.predict([path, damaged])
