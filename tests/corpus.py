"""Every way in which an image file is odd or wrong, and what becomes of it.

    python tests/corpus.py FOLDER      writes the files
    python tests/corpus.py --table     runs every case and prints the table of docs/input.md

The picture in most of them is `PICTURE`: made of arithmetic, other in each corner, and smooth, so that codecs with
losses keep it nearly as it is.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import socket
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from PIL import Image, ImageCms

LIMIT = 2_000_000
"""Pixels that are allowed while the cases run."""

READ, REFUSED, EITHER = "read", "refused", "read or refused"
_Y, _X = np.mgrid[:48, :64]
PICTURE = np.stack([_X * 3 + 20, _Y * 4 + 30, (_X + _Y) * 2], axis=-1).astype(np.uint8)
GRAY = PICTURE[..., 0]
THREE = {"gray": np.repeat(GRAY[..., None], 3, axis=-1)}
DAMAGED = ("damaged", "download it again")


class Case(NamedTuple):
    """One or more files, and what is to become of each of them.

    Parameters
    ----------
    name : str
        Of the case; files are called after it.
    expected : str
        `READ`, `REFUSED` or `EITHER` (never anything but one of these two).
    files : list of (str, bytes or callable)
        Name of each file, and its content or what makes it.
    pixels : ndarray, default=None
        What is read.
    within : int, default=0
        Largest difference in a value.
    words : tuple of str, default=()
        What the refusal says.
    guard : callable, default=None
        Context in which the case runs.
    """

    name: str
    expected: str
    files: list[tuple[str, Any]]
    pixels: np.ndarray | None = None
    within: int = 0
    words: tuple[str, ...] = ()
    guard: Callable[[Path], Any] | None = None


# ------------------------------------------------------------------------------------------------ making files


def encoded(kind: str, pixels: Any = PICTURE, **options: Any) -> bytes:
    """Encode a picture by Pillow."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png(
    values: np.ndarray, color: int, depth: int = 8, *, interlaced: bool = False, before: bytes = b"",
    after: bytes = b"", size: tuple[int, int] | None = None,
) -> bytes:  # fmt: skip
    """Write a PNG file of any kind (PNG specification): Pillow writes few of them.

    ``values`` is (H, W) or (H, W, channels); ``color`` 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
    """
    height, width = values.shape[:2]
    values = values.reshape(height, width, -1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b""
    for top, left, down, right in passes:
        for row in values[top::down, left::right]:
            flat = row.ravel()
            if flat.size and depth < 8:
                bits = np.unpackbits(flat.astype(np.uint8)[:, None], axis=1)[:, -depth:]
                rows += b"\0" + np.packbits(bits.ravel()).tobytes()
            elif flat.size:
                rows += b"\0" + flat.astype(">u2" if depth == 16 else "u1").tobytes()
    wide, high = size or (width, height)
    head = struct.pack(">IIBBBBB", wide, high, depth, color, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(rows, 9)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def exif(orientation: Any, kind: int = 3, count: int = 1) -> bytes:
    """EXIF data with an orientation (of type SHORT, unless told otherwise)."""
    value = orientation if isinstance(orientation, bytes) else struct.pack("<HH", orientation, 0)
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHI", 1, 0x0112, kind, count) + value + struct.pack("<I", 0)


def with_exif(data: bytes, content: bytes) -> bytes:
    """Put EXIF data into a JPEG file."""
    content = b"Exif\0\0" + content
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels by the words of the EXIF standard: which sides row 0 and column 0 are of."""
    turn: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda p: p,
        2: np.fliplr,
        3: partial(np.rot90, k=2),
        4: np.flipud,
        5: lambda p: p.swapaxes(0, 1),
        6: partial(np.rot90, k=-1),
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
        8: partial(np.rot90, k=1),
    }
    return np.ascontiguousarray(turn[orientation](pixels))


def patched(data: bytes, position: int, content: bytes) -> bytes:
    """Put other bytes into a file."""
    return data[:position] + content + data[position + len(content) :]


def jpeg_of_size(data: bytes, height: int, width: int) -> bytes:
    """Let a JPEG file declare another size."""
    start = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return patched(data, start + 5, struct.pack(">HH", height, width))


def tiff(values: np.ndarray, **options: Any) -> bytes:
    """Write a TIFF file by tifffile, which knows kinds that Pillow does not write."""
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, **options)
    return file.getvalue()


def to_ycck(pixels: np.ndarray, black: int) -> tuple[bytes, np.ndarray]:
    """A JPEG file of YCCK, as Photoshop writes them, and the RGB that is in it (JFIF; Adobe Technical Note 5116)."""
    rgb = 255 - pixels.astype(float)  # the Y, Cb and Cr of what is inverted
    y = rgb @ [0.299, 0.587, 0.114]
    cb, cr = (rgb[..., 2] - y) / 1.772 + 128, (rgb[..., 0] - y) / 1.402 + 128
    planes = np.stack([y, cb, cr, np.full(y.shape, 255 - black)], axis=-1).round().clip(0, 255).astype(np.uint8)
    data = encoded("JPEG", Image.fromarray(255 - planes, "CMYK"), quality=100, subsampling=0)
    adobe = data.index(b"Adobe")
    return patched(data, adobe + 11, b"\x02"), (pixels * ((255 - black) / 255)).round().astype(np.uint8)


_ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC"
    "0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/yQARCAAw"
    "AEADAREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AMlDTWoLBmTR69BLgbwBFE5s4/5rzo4KF+npfu08PyD43ksPBzgz333ynr"
    "1Y0+gOEEbINuVFiA9wvVBA+lkLzZzXACyFwa79tzFfbgjLhf8AoLef36SFW9KWcBuZXvPn5c4iGhT+65ZegoYRjZlsU7BjzhrTZBZ9WZEKINzx"
    "6EkzIczHpYJALGP8gXZErSPUFvcPhDH7g9QUQXygTzk3AHGuvVzl0D9MazZhm109YzwzwRiCMYHGatt16HMc1RQk2FyS4T0ukq7Yvv3bA+S//X"
    "cJySF8G+2Cjuxg6dMr2+SzMf/Z"
)  # the picture, by `cjpeg -arithmetic -quality 80 -sample 1x1` of libjpeg-turbo 2.1.5


# ------------------------------------------------------------------------------------------------ the cases


def damaged() -> Iterator[Case]:
    """Files that were cut short, or in which bits have changed."""
    gif = Image.fromarray(PICTURE).quantize(64)
    whole = {
        "png": encoded("PNG"), "jpg": encoded("JPEG", quality=90), "tif": encoded("TIFF"),
        "webp": encoded("WEBP", lossless=True), "gif": encoded("GIF", gif), "bmp": encoded("BMP"),
        "jp2": encoded("JPEG2000"), "ppm": encoded("PPM"),
    }  # fmt: skip
    more = {
        "progressive.jpg": encoded("JPEG", quality=90, progressive=True), "palette.png": encoded("PNG", gif),
        "deflate.tif": encoded("TIFF", compression="tiff_adobe_deflate"),
    }  # fmt: skip
    for suffix, data in (whole | more).items():
        parts = [(f"{tenth}.{suffix}", data[: len(data) * tenth // 10]) for tenth in range(1, 10)]
        yield Case(f"{suffix} cut at each tenth", REFUSED, parts)
    random = np.random.default_rng(0)
    for suffix, data in (whole | more).items():
        head = random.choice(min(64, len(data)), 10, replace=False)
        body = random.choice(len(data), 20, replace=False)
        flips = [
            (f"{place}-{bit}.{suffix}", patched(data, place, bytes([data[place] ^ (1 << bit)])))
            for place, bit in zip(np.r_[head, body].tolist(), random.integers(0, 8, 30).tolist(), strict=True)
        ]
        # what has checksums is read as it was, or not at all; elsewhere a changed pixel looks like any other
        pixels = {"png": PICTURE, "palette.png": np.asarray(gif.convert("RGB"))}.get(suffix)
        yield Case(f"{suffix} with a bit changed, 30 places", EITHER, flips, pixels)
    yield Case("no byte", REFUSED, [("a.png", b"")], words=("0 bytes", "download it again"))
    magic = [(f"a.{suffix}", data[:size]) for suffix, data in whole.items() for size in (1, 2, 4, 8, 12)]
    yield Case("first bytes only", REFUSED, magic)
    twice = patched(png(PICTURE, 2), 8, chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)))
    yield Case("PNG with another head", REFUSED, [("a.png", twice)], words=("damaged",))
    crc = patched(png(PICTURE, 2), 29, b"abcd")
    yield Case("PNG with a wrong checksum in its head", REFUSED, [("a.png", crc)], words=DAMAGED)
    short = png(PICTURE, 2, size=(64, 96))
    yield Case("PNG with half of its rows", REFUSED, [("a.png", short)], words=("damaged",))
    yield Case("JPEG without a height", REFUSED, [("a.jpg", jpeg_of_size(whole["jpg"], 0, 64))], words=DAMAGED)
    twelve = patched(whole["jpg"], whole["jpg"].index(b"\xff\xc0") + 4, b"\x0c")
    yield Case("JPEG of 12 bits", REFUSED, [("a.jpg", twelve)], words=("12-bit",))
    frame = bytearray(whole["gif"])
    frame[6:10] = struct.pack("<HH", 20, 10)  # the screen is smaller than the frame in it
    yield Case("GIF with a frame beyond its screen", READ, [("a.gif", bytes(frame))], np.asarray(gif.convert("RGB")))


def bombs() -> Iterator[Case]:
    """Little files that declare, or unpack to, very much."""
    words = ("more than the limit of", "SKINSEG_MAX_PIXELS")
    gray = np.zeros((4, 4), np.uint8)
    jpeg = encoded("JPEG")
    yield Case("PNG of 60,000 x 60,000", REFUSED, [("a.png", png(gray, 0, size=(60000, 60000)))], words=words)
    yield Case("JPEG of 65,535 x 65,535", REFUSED, [("a.jpg", jpeg_of_size(jpeg, 65535, 65535))], words=words)
    progressive = jpeg_of_size(encoded("JPEG", progressive=True), 65535, 65535)
    yield Case("progressive JPEG of 65,535 x 65,535", REFUSED, [("a.jpg", progressive)], words=words)
    data = tiff(gray, compression="zlib")
    for tag in (256, 257):  # width and length, of type SHORT or LONG
        place = data.index(struct.pack("<H", tag), 8)
        data = patched(data, place + 2, struct.pack("<HII", 4, 1, 100000))
    yield Case("TIFF of 100,000 x 100,000", REFUSED, [("a.tif", data)], words=words)
    bmp = patched(encoded("BMP"), 18, struct.pack("<ii", 100000, 100000))
    yield Case("BMP of 100,000 x 100,000", REFUSED, [("a.bmp", bmp)], words=words)
    gif = patched(encoded("GIF", gray), 6, struct.pack("<HH", 65535, 65535))
    yield Case("GIF of 65,535 x 65,535", REFUSED, [("a.gif", gif)], words=words)
    webp = encoded("WEBP", gray, lossless=True)
    size = int.from_bytes(webp[21:25], "little") & ~((1 << 28) - 1) | 16383 | 16383 << 14
    yield Case(
        "WebP of 16,384 x 16,384", REFUSED, [("a.webp", patched(webp, 21, size.to_bytes(4, "little")))], words=words
    )
    jp2 = encoded("JPEG2000", gray)
    jp2 = patched(jp2, jp2.index(b"ihdr") + 4, struct.pack(">II", 60000, 60000))
    jp2 = patched(jp2, jp2.index(b"\xff\x51") + 6, struct.pack(">II", 60000, 60000))
    yield Case("JPEG 2000 of 60,000 x 60,000", REFUSED, [("a.jp2", jp2)], words=words)
    ppm = b"P6 100000 100000 255\n" + b"\0" * 30
    yield Case("PPM of 100,000 x 100,000", REFUSED, [("a.ppm", ppm)], words=words)
    yield Case(
        "PNG within the limit, with hardly any data", REFUSED, [("a.png", png(gray, 0, size=(1400, 1400)))],
        words=("damaged",),
    )  # fmt: skip
    zeros = zlib.compress(bytes(100_000_000), 9)
    for name, content in (
        ("a text", chunk(b"zTXt", b"Comment\0\0" + zeros)),
        ("an international text", chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros)),
        ("a color profile", chunk(b"iCCP", b"profile\0\0" + zeros)),
    ):
        data = png(PICTURE, 2, before=content)
        yield Case(f"PNG with {name} of 100 MB in 0.1", EITHER, [("a.png", data)], PICTURE)


def sizes() -> Iterator[Case]:
    """Images of odd sizes."""
    long = np.arange(65535, dtype=np.uint8)
    for suffix, kind in (("png", "PNG"), ("tif", "TIFF"), ("bmp", "BMP")):
        for name, values in (("65,535 x 1", long[None]), ("1 x 65,535", long[:, None])):
            pixels = np.repeat(values[..., None], 3, axis=-1)
            yield Case(f"{kind} of {name}", READ, [(f"a.{suffix}", encoded(kind, values))], pixels)
    wide = np.zeros((1, 1_100_000), np.uint8)
    yield Case("PNG of 1,100,000 x 1", READ, [("a.png", png(wide, 0))], np.zeros((1, 1_100_000, 3), np.uint8))
    one = PICTURE[:1, :1]
    for suffix, kind in (("png", "PNG"), ("bmp", "BMP"), ("tif", "TIFF"), ("ppm", "PPM")):
        yield Case(f"{kind} of one pixel", READ, [(f"a.{suffix}", encoded(kind, one))], one)
    yield Case("JPEG of one pixel", READ, [("a.jpg", encoded("JPEG", one, quality=100))], one, 3)


def png_kinds() -> Iterator[Case]:
    """PNG files of every kind."""
    gray3 = THREE["gray"]
    alpha = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64, 1)
    for depth in (1, 2, 4):
        levels = (GRAY >> (8 - depth)).astype(np.uint8)
        pixels = np.repeat((levels * (255 // (2**depth - 1)))[..., None], 3, axis=-1)
        yield Case(f"PNG, gray of {depth} bit", READ, [("a.png", png(levels, 0, depth))], pixels)
        colors = np.random.default_rng(depth).integers(0, 256, (2**depth, 3)).astype(np.uint8)
        palette = chunk(b"PLTE", colors.tobytes())
        yield Case(
            f"PNG, palette of {depth} bit", READ, [("a.png", png(levels, 3, depth, before=palette))], colors[levels]
        )
    colors = np.random.default_rng(9).integers(0, 256, (256, 3)).astype(np.uint8)
    palette = chunk(b"PLTE", colors.tobytes()) + chunk(b"tRNS", bytes(range(256)))
    yield Case("PNG, palette with alpha", READ, [("a.png", png(GRAY, 3, before=palette))], colors[GRAY])
    beyond = chunk(b"PLTE", colors[:10].tobytes())
    yield Case("PNG, palette that is too short", EITHER, [("a.png", png(GRAY, 3, before=beyond))])
    gray_alpha = np.concatenate([GRAY[..., None], alpha], axis=-1)
    yield Case("PNG, gray and alpha", READ, [("a.png", png(gray_alpha, 4))], gray3)
    rgba = np.concatenate([PICTURE, alpha], axis=-1)
    yield Case("PNG, RGBA", READ, [("a.png", png(rgba, 6))], PICTURE)
    deep = np.random.default_rng(1).integers(0, 256, rgba.shape)
    for name, values, color in (
        ("gray", GRAY, 0),
        ("RGB", PICTURE, 2),
        ("gray and alpha", gray_alpha, 4),
        ("RGBA", rgba, 6),
    ):
        noise = deep[..., : values.shape[2] if values.ndim == 3 else 1].reshape(values.shape)
        data = png(values.astype(np.uint16) * 256 + noise, color, 16)
        yield Case(f"PNG, {name} of 16 bits", READ, [("a.png", data)], gray3 if color in (0, 4) else PICTURE)
    for name, values, color in (("gray", GRAY, 0), ("RGB", PICTURE, 2), ("RGBA", rgba, 6)):
        data = png(values, color, interlaced=True)
        yield Case(f"PNG, {name}, interlaced", READ, [("a.png", data)], gray3 if color == 0 else PICTURE)
    clear = chunk(b"tRNS", struct.pack(">HHH", *PICTURE[0, 0]))
    yield Case("PNG, one color transparent", READ, [("a.png", png(PICTURE, 2, before=clear))], PICTURE)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    yield Case("PNG with a gamma", READ, [("a.png", png(PICTURE, 2, before=gamma))], PICTURE)
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1])]
    animated = encoded("PNG", frames[0], save_all=True, append_images=frames[1:], duration=100)
    yield Case("PNG, animated: the first picture", READ, [("a.png", animated)], PICTURE)
    cover = encoded("PNG", frames[0], save_all=True, append_images=frames[:0:-1] * 2, default_image=True)
    yield Case("PNG, animated, with a cover: the cover", READ, [("a.png", cover)], PICTURE)


def jpeg_kinds() -> Iterator[Case]:
    """JPEG files of every kind."""
    for name, options in (
        ("progressive", {"progressive": True}), ("of full color resolution", {"subsampling": 0}),
        ("of restart intervals", {"restart_marker_rows": 1}), ("with optimized tables", {"optimize": True}),
    ):  # fmt: skip
        yield Case(f"JPEG {name}", READ, [("a.jpg", encoded("JPEG", quality=95, **options))], PICTURE, 12)
    yield Case("JPEG, gray", READ, [("a.jpg", encoded("JPEG", GRAY, quality=95))], THREE["gray"], 4)
    yield Case("JPEG, arithmetic coding", READ, [("a.jpg", _ARITHMETIC)], PICTURE, 8)
    inverted = np.concatenate([255 - PICTURE, np.full((48, 64, 1), 51, np.uint8)], axis=-1)
    cmyk = encoded("JPEG", Image.fromarray(inverted, "CMYK"), quality=100, subsampling=0)
    dimmed = (PICTURE * (204 / 255)).round().astype(np.uint8)
    yield Case("JPEG, CMYK, inverted as by Adobe", READ, [("a.jpg", cmyk)], dimmed, 4)
    start = cmyk.index(b"\xff\xee")
    plain = cmyk[:start] + cmyk[start + 16 :]  # without the mark of Adobe values are as they are
    yield Case("JPEG, CMYK, without a mark of Adobe", READ, [("a.jpg", plain)])
    ycck, pixels = to_ycck(PICTURE, 51)
    yield Case("JPEG, YCCK", READ, [("a.jpg", ycck)], pixels, 5)
    data = encoded("JPEG", quality=95)
    yield Case("JPEG with bytes after its end", READ, [("a.jpg", data + b"\0" * 500)], PICTURE, 12)
    yield Case("JPEG with another one after its end", READ, [("a.jpg", data + encoded("JPEG", GRAY))], PICTURE, 12)
    head = data.index(b"\xff\xc0")
    other = jpeg_of_size(data, 16, 16)[head : head + 19]
    twice = data[:head] + other + data[head:]
    yield Case("JPEG with two heads of another size", REFUSED, [("a.jpg", twice)], words=("damaged",))


def orientations() -> Iterator[Case]:
    """EXIF data, right and hostile."""
    for orientation in range(1, 9):
        content = exif(orientation)
        files = [
            ("a.png", png(PICTURE, 2, before=chunk(b"eXIf", content))),
            ("late.png", png(PICTURE, 2, after=chunk(b"eXIf", content))),
            ("a.webp", encoded("WEBP", lossless=True, exif=b"Exif\0\0" + content)),
            ("a.tif", tiff(PICTURE, extratags=[(0x0112, 3, 1, orientation, True)])),
        ]
        pixels = upright(PICTURE, orientation)
        yield Case(f"orientation {orientation} in PNG, WebP, TIFF", READ, files, pixels)
        data = with_exif(encoded("JPEG", quality=95, subsampling=0), content)
        yield Case(f"orientation {orientation} in JPEG", READ, [("a.jpg", data)], pixels, 6)
    hostile = {
        "0": exif(0),
        "9": exif(9),
        "65535": exif(65535),
        "a text": exif(b"6\0\0\0", 2, 2),
        "a fraction by zero": exif(struct.pack("<I", 26), 5) + bytes(8),
        "of four billion values": exif(6, 3, 0xFFFFFFFF),
        "in a loop": exif(1)[:-4] + struct.pack("<I", 8),
        "of no known type": exif(6, 99),
        "cut short": exif(6)[:14],
        "random": bytes(range(7, 250)),
        "nothing": b"",
        "a wrong offset": b"II*\0\xff\xff\xff\xff",
    }
    files = [
        file
        for name, content in hostile.items()
        for file in (
            (f"{name}.png", png(PICTURE, 2, before=chunk(b"eXIf", content))),
            (f"{name}.webp", encoded("WEBP", lossless=True, exif=b"Exif\0\0" + content)),
        )
    ]
    yield Case("orientation that is none (12 kinds)", READ, files, PICTURE)
    files = [(f"{name}.jpg", with_exif(encoded("JPEG", quality=95), content)) for name, content in hostile.items()]
    yield Case("orientation that is none (12 kinds), JPEG", READ, files, PICTURE, 12)


def profiles() -> Iterator[Case]:
    """Color profiles, which are not applied."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, profile in (
        ("sRGB", srgb),
        ("Lab", lab),
        ("broken", b"\0\0\1\0" + srgb[4:90]),
        ("random", bytes(range(256))),
    ):
        files = [
            ("a.png", encoded("PNG", icc_profile=profile)),
            ("a.tif", encoded("TIFF", icc_profile=profile)),
            ("a.webp", encoded("WEBP", lossless=True, icc_profile=profile)),
        ]
        yield Case(f"color profile {name}", READ, files, PICTURE)
        yield Case(
            f"color profile {name}, JPEG",
            READ,
            [("a.jpg", encoded("JPEG", quality=95, icc_profile=profile))],
            PICTURE,
            12,
        )


def other_kinds() -> Iterator[Case]:
    """WebP, GIF, BMP, PPM, JPEG 2000."""
    rgba = np.concatenate([PICTURE, GRAY[..., None]], axis=-1)
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1])]
    yield Case("WebP, lossless", READ, [("a.webp", encoded("WEBP", lossless=True))], PICTURE)
    yield Case("WebP, lossy", READ, [("a.webp", encoded("WEBP", quality=95))], PICTURE, 16)
    exact = encoded("WEBP", rgba, lossless=True, exact=True)
    yield Case("WebP with alpha", READ, [("a.webp", exact)], PICTURE)
    animated = encoded("WEBP", frames[0], save_all=True, append_images=frames[1:], lossless=True)
    yield Case("WebP, animated: the first picture", READ, [("a.webp", animated)], PICTURE)
    few = Image.fromarray(PICTURE).quantize(64)
    other = Image.fromarray(PICTURE[::-1]).quantize(64)
    colors = np.asarray(few.convert("RGB"))
    yield Case("GIF", READ, [("a.gif", encoded("GIF", few))], colors)
    moving = encoded("GIF", few, save_all=True, append_images=[other])
    yield Case("GIF, animated: the first picture", READ, [("a.gif", moving)], colors)
    clear = encoded("GIF", few, transparency=3)
    yield Case("GIF, one color transparent", READ, [("a.gif", clear)], colors)
    for name, image, pixels in (
        ("gray", Image.fromarray(GRAY), THREE["gray"]), ("palette", few, colors),
        ("RGBA", Image.fromarray(rgba), PICTURE),
        ("1 bit", Image.fromarray(GRAY > 99), np.repeat(np.uint8(255) * (GRAY > 99)[..., None], 3, axis=-1)),
    ):  # fmt: skip
        yield Case(f"BMP, {name}", READ, [("a.bmp", encoded("BMP", image))], pixels)
    down = patched(encoded("BMP"), 22, struct.pack("<i", -48))
    yield Case("BMP, first row first", READ, [("a.bmp", down)], PICTURE[::-1])
    yield Case("PPM", READ, [("a.ppm", encoded("PPM"))], PICTURE)
    text = f"P3\n# a comment\n64 48\n255\n{' '.join(map(str, PICTURE.ravel().tolist()))}\n".encode()
    yield Case("PPM as text", READ, [("a.ppm", text)], PICTURE)
    tens = (GRAY % 101).astype(np.uint8)
    data = b"P5 64 48 100\n" + tens.tobytes()
    scaled = np.repeat((tens * 2.55).round().astype(np.uint8)[..., None], 3, axis=-1)
    yield Case("PGM of values up to 100", READ, [("a.ppm", data)], scaled, 1)
    data = b"P5 64 48 1023\n" + (GRAY.astype(int) * 4 + 3).astype(">u2").tobytes()
    yield Case("PGM of values up to 1,023", READ, [("a.ppm", data)], THREE["gray"], 1)
    yield Case("JPEG 2000, lossless", READ, [("a.jp2", encoded("JPEG2000"))], PICTURE)
    deep = encoded("JPEG2000", GRAY.astype(np.uint16) * 257)
    yield Case("JPEG 2000, 16 bits", READ, [("a.jp2", deep)], THREE["gray"])


def tiff_kinds() -> Iterator[Case]:
    """TIFF files of every kind."""
    kinds: dict[str, bytes] = {
        "plain": encoded("TIFF"), "LZW": encoded("TIFF", compression="tiff_lzw"),
        "deflate": encoded("TIFF", compression="tiff_adobe_deflate"),
        "packbits": encoded("TIFF", compression="packbits"),
        "in tiles": tiff(PICTURE, tile=(16, 16)), "in tiles, deflate": tiff(PICTURE, tile=(16, 16), compression="zlib"),
        "BigTIFF": tiff(PICTURE, bigtiff=True), "big endian": tiff(PICTURE, byteorder=">"),
        "deflate with differences": tiff(PICTURE, compression="zlib", predictor=2),
        "channel after channel": tiff(np.moveaxis(PICTURE, -1, 0), planarconfig="separate", photometric="rgb"),
        "with alpha": encoded("TIFF", np.concatenate([PICTURE, GRAY[..., None]], axis=-1)),
        "two pages: the first": encoded("TIFF", save_all=True, append_images=[Image.fromarray(GRAY)]),
        "16 bits a channel": tiff(PICTURE.astype(np.uint16) * 257),
    }  # fmt: skip
    for name, data in kinds.items():
        yield Case(f"TIFF, {name}", READ, [("a.tif", data)], PICTURE)
    grays = {
        "gray": tiff(GRAY), "gray of 16 bits": tiff(GRAY.astype(np.uint16) * 257),
        "gray of 16 bits, big endian": tiff(GRAY.astype(np.uint16) * 257, byteorder=">"),
        "white is zero": tiff(255 - GRAY, photometric="miniswhite"),
    }  # fmt: skip
    for name, data in grays.items():
        yield Case(f"TIFF, {name}", READ, [("a.tif", data)], THREE["gray"])
    bits = np.repeat(np.uint8(255) * (GRAY > 99)[..., None], 3, axis=-1)
    fax = encoded("TIFF", Image.fromarray(GRAY > 99), compression="group4")
    yield Case("TIFF, 1 bit, fax", READ, [("a.tif", fax)], bits)
    yield Case("TIFF, JPEG in it", READ, [("a.tif", encoded("TIFF", compression="jpeg", quality=95))], PICTURE, 12)
    few = Image.fromarray(PICTURE).quantize(64)
    yield Case("TIFF, palette", READ, [("a.tif", encoded("TIFF", few))], np.asarray(few.convert("RGB")))
    cmyk = np.concatenate([255 - PICTURE, np.full((48, 64, 1), 51, np.uint8)], axis=-1)
    dimmed = (PICTURE * (204 / 255)).round().astype(np.uint8)
    yield Case("TIFF, CMYK", READ, [("a.tif", encoded("TIFF", Image.fromarray(cmyk, "CMYK")))], dimmed, 1)
    half = GRAY.astype(np.float32) / 255
    yield Case("TIFF, floating point", REFUSED, [("a.tif", tiff(half))], words=("floating point", "8 or 16 bits"))
    for kind in (np.int16, np.int32, np.uint32):
        data = tiff(GRAY.astype(kind))
        yield Case(f"TIFF, {np.dtype(kind)}", REFUSED, [("a.tif", data)], words=("save it", "8 or 16 bits"))
    yield Case(
        "TIFF, double precision, complex", REFUSED, [("d.tif", tiff(half.astype(float))), ("c.tif", tiff(half + 0j))]
    )
    lab = encoded("TIFF", Image.fromarray(PICTURE, "RGB").convert("RGB")._new(Image.fromarray(PICTURE).im))
    place = lab.index(struct.pack("<HHI", 262, 3, 1))
    lab = patched(lab, place + 8, struct.pack("<H", 8))
    yield Case("TIFF, CIE Lab", REFUSED, [("a.tif", lab)], words=("CIE Lab", "save it as RGB"))
    loop = bytearray(encoded("TIFF"))
    start = struct.unpack("<I", loop[4:8])[0]
    n_tags = struct.unpack("<H", loop[start : start + 2])[0]
    loop[start + 2 + 12 * n_tags :][:4] = struct.pack("<I", start)
    yield Case("TIFF whose pages go round in a circle", READ, [("a.tif", bytes(loop))], PICTURE)
    yield Case(
        "TIFF with its pages beyond its end", REFUSED, [("a.tif", b"II*\0\xf0\xff\xff\xff" + bytes(99))], words=DAMAGED
    )


def no_images() -> Iterator[Case]:
    """Files that are something else, and the way out."""
    box = struct.pack(">I", 24)
    others = {
        "text": (b"this is no image\n" * 30, "not an image"),
        "web page": (b"<!DOCTYPE html><html>404</html>", "web page"),
        "PDF": (b"%PDF-1.7\n" + bytes(99), "PDF"), "zip": (b"PK\3\4" + bytes(99), "unpack it"),
        "gzip": (b"\x1f\x8b\x08" + bytes(99), "unpack it"), "SVG": (b'<?xml version="1.0"?><svg></svg>', "SVG"),
        "DICOM": (bytes(128) + b"DICM" + bytes(99), "DICOM"), "HEIC": (box + b"ftypheic" + bytes(99), "HEIC"),
        "AVIF": (box + b"ftypavif" + bytes(99), "AVIF"), "JPEG XL": (b"\xff\x0a" + bytes(99), "JPEG XL"),
        "Photoshop": (b"8BPS\0\1" + bytes(99), "Photoshop"), "PostScript": (b"%!PS-Adobe-3.0 EPSF", "PostScript"),
        "zeros": (bytes(999), "not an image"), "icon": (encoded("ICO", PICTURE), "not an image"),
        "Targa": (encoded("TGA", PICTURE), "not an image"),
    }  # fmt: skip
    for name, (data, word) in others.items():
        yield Case(f"{name} called .png", REFUSED, [("a.png", data)], words=(word,))
    wrong = [("a.png", encoded("BMP")), ("b.jpg", encoded("PNG")), ("c.bmp", encoded("TIFF")), ("d", encoded("PNG"))]
    yield Case("image with another ending, or none", READ, wrong, PICTURE)


def places() -> Iterator[Case]:
    """What is no file, or may not be read."""

    def link(target: str) -> Callable[[Path], None]:
        return lambda path: path.symlink_to(target)

    def listen(path: Path) -> None:
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # the path of a socket has 108 bytes at most
        try:
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)

    def to_file(path: Path) -> None:
        (path.parent / "target").write_bytes(encoded("PNG"))
        path.symlink_to("target")

    no_file = ("and no file", "write what it gives to a file")
    yield Case("folder", REFUSED, [("a.png", Path.mkdir)], words=("this is a folder",))
    yield Case("nothing", REFUSED, [("a.png", lambda path: None)], words=("does not exist",))
    yield Case("link to an image", READ, [("a.png", to_file)], PICTURE)
    yield Case("link to itself", REFUSED, [("a.png", link("a.png"))], words=("cannot be opened",))
    yield Case("link to nothing", REFUSED, [("a.png", link("nowhere.png"))], words=("does not exist",))
    yield Case("pipe", REFUSED, [("a.png", os.mkfifo)], words=("pipe", *no_file))
    yield Case("socket", REFUSED, [("a.png", listen)], words=("socket", *no_file))
    yield Case("device without end", REFUSED, [("a.png", link("/dev/zero"))], words=("device", *no_file))
    yield Case("terminal or nothing", REFUSED, [("a.png", link("/dev/null"))], words=("device", *no_file))
    yield Case("file in a file", REFUSED, [("a.png/b.png", _in_a_file)], words=("cannot be opened",))
    yield Case("no permission", REFUSED, [("a.png", _unreadable)], words=("permission",), guard=_no_permission)


def _in_a_file(path: Path) -> None:
    path.parent.write_bytes(encoded("PNG"))


def _unreadable(path: Path) -> None:
    path.write_bytes(encoded("PNG"))
    path.chmod(0)


@contextmanager
def _no_permission(path: Path) -> Iterator[None]:
    """Root may read everything: for root, answer as the system answers others."""
    opens = os.open

    def refuse(name: Any, *rest: Any, **more: Any) -> int:
        if os.fspath(name) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opens(name, *rest, **more)

    if os.access(path, os.R_OK):
        with mock.patch("os.open", refuse):
            yield
    else:
        yield


ODD_NAMES = (
    "ünïcödé 皮膚 🩺.png", " two  spaces .png", "new\nline.png", "carriage\rreturn.png", "-dash.png", "--out.png",
    "=1+1.png",
    '"quoted", and; separated\tby.png', "'=apostrophe.png", "a.b.c.png", "%s{0}$HOME`id`.png", "<b>bold &amp;.png",
    "x" * 251 + ".png", "é" * 125 + ".png", "*[a-z]?.png", "NUL.png", os.fsdecode(b"no-utf8-\xff\xfe.png"), "~.png",
)  # fmt: skip
"""Names that a file may have."""


def names() -> Iterator[Case]:
    """Files of odd names."""
    data = encoded("PNG")
    for name in ODD_NAMES:
        shown = name.encode("utf-8", "backslashreplace").decode()
        shown = shown if len(shown) < 60 else f"{shown[:8]}... ({len(os.fsencode(name))} bytes)"
        yield Case(f"called {shown!r}", READ, [(name, data)], PICTURE)


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "damaged": damaged, "bombs": bombs, "sizes": sizes, "PNG": png_kinds, "JPEG": jpeg_kinds, "EXIF": orientations,
    "profiles": profiles, "other formats": other_kinds, "TIFF": tiff_kinds, "no images": no_images, "places": places,
    "names": names,
}  # fmt: skip


def cases() -> list[Case]:
    """All cases, in the order of the table."""
    return [case for group in GROUPS.values() for case in group()]


def write(case: Case, folder: Path) -> list[Path]:
    """Write the files of a case into a folder, which is made."""
    folder.mkdir(parents=True)
    paths = []
    for name, content in case.files:
        path = folder / name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        paths.append(path)
    return paths


# ------------------------------------------------------------------------------------------------ running them


def outcome(case: Case, path: Path) -> tuple[bool, str]:
    """Read a file of a case: whether that went as expected, and what happened, in words."""
    from skinseg import read_image
    from skinseg.exceptions import ImageReadError
    from skinseg.reading import read_header

    try:
        pixels = read_image(path)
    except ImageReadError as error:
        good = case.expected != READ and all(word in str(error) for word in (str(path), *case.words))
        return good, f"refused: {error.reason}"
    text = f"read: {pixels.shape[1]} x {pixels.shape[0]}"
    good = case.expected != REFUSED and pixels.dtype == np.uint8 and read_header(path).shape == pixels.shape[:2]
    if case.pixels is not None and good:
        good = pixels.shape == case.pixels.shape
        if good:
            difference = int(np.abs(pixels.astype(int) - case.pixels).max())
            good = difference <= case.within
            text += ", exactly" if difference == 0 else f", within {case.within} of 255"
    return good, text


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep what libpng, libjpeg and libtiff say of damaged files off the terminal."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def run(case: Case, folder: Path) -> tuple[bool, str]:
    """Write and read all files of a case: whether all went as expected, and what happened."""
    paths = write(case, folder)
    with case.guard(paths[0]) if case.guard is not None else mock.patch.dict(os.environ):
        found = [outcome(case, path) for path in paths]
    texts = list(dict.fromkeys(text for _, text in found))
    n_read = sum(text.startswith("read") for _, text in found)
    text = texts[0] if len(texts) == 1 else f"{n_read} read, {len(found) - n_read} refused, such as: {texts[-1]}"
    return all(good for good, _ in found), text


def table() -> tuple[list[str], int]:
    """Run every case: the rows of the table, and how many cases went other than expected."""
    rows, wrong = ["| case | expected | what happened |", "|---|---|---|"], 0
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, SKINSEG_MAX_PIXELS=str(LIMIT)),
        quiet_decoders(),
    ):
        for group, make in GROUPS.items():
            rows.append(f"| **{group}** | | |")
            for number, case in enumerate(make()):
                good, text = run(case, Path(folder) / group.replace(" ", "-") / str(number))
                wrong += not good
                cells = case.name, case.expected, text if good else f"**UNEXPECTED** {text}"
                rows.append(f"| {' | '.join(_cell(cell, folder) for cell in cells)} |")
    return rows, wrong


def _cell(text: str, folder: str) -> str:
    text = text.replace(folder, "FOLDER").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    return text.replace("*", "\\*") if not text.startswith("**") else text


def main() -> int:
    """Write the files, or print the table; exit code 1 if a case went other than expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the files go")
    parser.add_argument("--table", action="store_true", help="run every case and print the table")
    options = parser.parse_args()
    if options.folder is not None:
        for number, case in enumerate(cases()):
            write(case, options.folder / f"{number:03d}")
    if not options.table:
        return 0
    rows, wrong = table()
    print("\n".join(rows))
    print(f"\n{len(rows) - 2 - len(GROUPS)} cases, {wrong} of them other than expected", file=sys.stderr)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
