"""Files of every usual kind become 8-bit RGB; the rest is refused by name."""

import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from skinseg import read_image, read_mask
from skinseg.exceptions import ImageReadError
from skinseg.reading import read_header


@pytest.fixture
def rgb():
    y, x = np.mgrid[:40, :60]
    return np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8)


def test_png_is_read_exactly(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, rgb)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), rgb)


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "tif", "webp"])
def test_lossless_formats(tmp_path, rgb, suffix):
    Image.fromarray(rgb).save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), rgb)


def test_gray_file(tmp_path, rgb):
    Image.fromarray(rgb[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.repeat(rgb[..., :1], 3, axis=-1))


def test_palette_file(tmp_path, rgb):
    image = Image.fromarray(rgb).quantize(16)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.asarray(image.convert("RGB")))


def test_palette_file_with_transparency(tmp_path, rgb):
    image = Image.fromarray(rgb).quantize(16)
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_file_is_scaled_not_clipped(tmp_path, rgb, channels):
    values = rgb.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), values[..., 0] if channels == 1 else values[..., ::-1])
    expected = np.repeat(rgb[..., :1], 3, axis=-1) if channels == 1 else rgb
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_16_bit_tiff(tmp_path, rgb):
    Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.repeat(rgb[..., :1], 3, axis=-1))


def test_cmyk_file(tmp_path, rgb):
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == rgb.shape
    assert abs(image.astype(int) - rgb).mean() < 3


def test_alpha_is_dropped(tmp_path, rgb):
    alpha = np.full((40, 60, 1), 90, np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], axis=-1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_exif_orientation_is_honored(tmp_path, rgb, orientation, suffix):
    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(rgb)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    image = read_image(path)
    assert image.shape == expected.shape
    assert abs(image.astype(int) - expected).max() <= 3  # two decoders of JPEG
    assert read_header(path).shape == expected.shape[:2]
    assert read_header(path).orientation == orientation


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.jpg", ["does not exist"]),
        ("empty.jpg", ["0 bytes", "download it again"]),
        ("text.jpg", ["not an image", "convert it"]),
        ("cut.jpg", ["cut short", "download it again"]),
        ("", ["this is a folder"]),
    ],
)
def test_bad_files(broken_files, name, words):
    path = broken_files / name
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("part", np.arange(1, 10) / 10)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_at_each_tenth(tmp_path, rgb, part, suffix):
    data = cv2.imencode(suffix, cv2.resize(rgb, (300, 200)))[1].tobytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(ImageReadError, match="cut"):
        read_image(path)


def test_jpeg_with_bytes_after_its_end(tmp_path, rgb):
    data = cv2.imencode(".jpg", rgb)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(data + b"\0" * 500)
    assert read_image(tmp_path / "a.jpg").shape == rgb.shape


def test_pixel_limit(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    with pytest.raises(ImageReadError, match="60 x 40 = 2400 pixels, more than the limit of 2000"):
        read_image(tmp_path / "a.png", max_pixels=2000)


def test_a_tile_larger_than_the_limit_is_refused(tmp_path):
    """A tile is decoded whole: one of zeros takes a thousandth in the file, and 1.2 GB for an image of 16 pixels."""
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 2, 277: 3, 322: 20_000, 323: 20_000, 324: 150, 325: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path = tmp_path / "tile.tif"
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(100))
    with pytest.raises(ImageReadError, match="16 x 16 pixels in tiles of 400000000 pixels, more than the limit"):
        read_header(path)
    assert read_header(path, max_pixels=400_000_000).shape == (16, 16)


def test_floating_point_tiff_is_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).random((5, 5)).astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageReadError, match="floating point"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("on", [1, 255])
def test_mask_files(tmp_path, on):
    mask = np.eye(9, dtype=bool)
    cv2.imwrite(str(tmp_path / "m.png"), mask.astype(np.uint8) * on)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


def test_mask_files_of_16_bits(tmp_path):
    mask = np.eye(9, dtype=bool)
    for on in (1, 255, 65535):
        cv2.imwrite(str(tmp_path / "m.png"), mask.astype(np.uint16) * on)
        np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


@pytest.mark.parametrize("on", [2, 100])
def test_mask_files_with_other_values_are_not_read_as_empty(tmp_path, on):
    cv2.imwrite(str(tmp_path / "m.png"), np.eye(9, dtype=np.uint8) * on)
    with pytest.raises(ImageReadError, match=f"largest value of this mask is {on}; a mask file holds 0 and 255"):
        read_mask(tmp_path / "m.png")


def test_mask_file_of_a_palette_and_of_one_bit(tmp_path):
    mask = np.eye(9, dtype=bool)
    Image.fromarray(mask).save(tmp_path / "bit.png")
    Image.fromarray(mask.astype(np.uint8) * 255).convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "bit.png"), mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png"), mask)
