"""Hypothesis strategies for images, masks, records and batches of them.

What is drawn are a size, a kind and a seed; NumPy makes the pixels of them, which is quick, and still shrinks to a
small image of a plain kind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from ..images import LesionImage
from ._drawing import DRAWN, LAYOUTS, OUTLINED, Shape, protected

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = [
    "IMAGE_KINDS",
    "MASK_KINDS",
    "ImageBatch",
    "array_layouts",
    "image_batches",
    "images",
    "images_and_masks",
    "lesion_images",
    "masks",
]

IMAGE_KINDS = tuple(DRAWN)
"""Kinds of images that `images` draws."""

MASK_KINDS = tuple(OUTLINED)
"""Kinds of masks that `masks` draws."""


def hypothesis_strategies() -> Any:
    """Import hypothesis, which only the strategies need."""
    try:
        from hypothesis import strategies
    except ImportError:
        raise ImportError(
            "the strategies of skinseg.testing need hypothesis, which is not installed: "
            "pip install 'scikit-skinseg[test]'"
        ) from None
    return strategies


# ---------------------------------------------------------------------- strategies


def _seeds() -> SearchStrategy[int]:
    seeds: SearchStrategy[int] = hypothesis_strategies().integers(0, 2**20)
    return seeds


def _shapes(shape: Any, min_side: int, max_side: int) -> SearchStrategy[Shape]:
    """Heights and widths: small ones often, thin strips now and then."""
    st = hypothesis_strategies()
    if shape is not None:
        return shape if hasattr(shape, "example") else st.just((int(shape[0]), int(shape[1])))
    if not 1 <= min_side <= max_side:
        raise ValueError(f"sides must be 1 <= min_side <= max_side, got {min_side} and {max_side}")
    small = st.integers(min_side, min(min_side + 8, max_side))
    side = st.integers(min_side, max_side)
    return st.one_of(st.tuples(small, small), st.tuples(side, side), st.tuples(small, side), st.tuples(side, small))


def _chosen(kinds: Collection[str] | None, known: dict[str, Any], what: str) -> list[str]:
    chosen = list(known) if kinds is None else list(kinds)
    unknown = [kind for kind in chosen if kind not in known]
    if unknown or not chosen:
        raise ValueError(f"kinds of {what} are {', '.join(known)}, got {kinds!r}")
    return chosen


def _image(size: Shape, kind: str, seed: int) -> np.ndarray:
    image = DRAWN[kind](size, np.random.default_rng(seed))
    return protected(np.clip(image, 0, 255).astype(np.uint8))


def _mask(size: Shape, kind: str, seed: int) -> np.ndarray:
    return protected(np.ascontiguousarray(OUTLINED[kind](size, np.random.default_rng(seed))))


def images(
    shape: Any = None, *, min_side: int = 1, max_side: int = 40, kinds: Collection[str] | None = None
) -> SearchStrategy[np.ndarray]:
    """Draw images as a camera, a scanner or a mistake gives them.

    Parameters
    ----------
    shape : tuple of (int, int) or strategy of such, default=None
        Height and width; drawn if None, thin strips among them.
    min_side, max_side : int, default=1, 40
        Range of the sides that are drawn, in pixels.
    kinds : collection of str, default=None
        Which of `IMAGE_KINDS`: one color, noise, a drawn lesion with hairs,
        one in a dark frame, gradients, stripes, one pixel that differs, one
        gray level of contrast, gray, one channel only, 0 and 255 only. All if
        None.

    Returns
    -------
    strategy of ndarray of shape (H, W, 3), uint8
        Write-protected, so that a function that writes into its argument
        fails.

    Raises
    ------
    ImportError
        If hypothesis is not installed.
    ValueError
        If a kind is not known.

    See Also
    --------
    images_and_masks : With a mask of the same size.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from skinseg import ColorConstancy
    >>> from skinseg.testing import images
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(images(max_side=16))
    ... def test_the_size_is_kept(image):
    ...     assert ColorConstancy().transform([image])[0].shape == image.shape[:2]
    >>> test_the_size_is_kept()
    """
    st = hypothesis_strategies()

    chosen = _chosen(kinds, DRAWN, "images")
    parts: SearchStrategy[tuple[Shape, str, int]] = st.tuples(
        _shapes(shape, min_side, max_side), st.sampled_from(chosen), _seeds()
    )
    return parts.map(lambda drawn: _image(*drawn))


def masks(
    shape: Any = None, *, min_side: int = 1, max_side: int = 40, kinds: Collection[str] | None = None
) -> SearchStrategy[np.ndarray]:
    """Draw masks, from empty to full.

    Parameters
    ----------
    shape : tuple of (int, int) or strategy of such, default=None
        Height and width; drawn if None, thin strips among them.
    min_side, max_side : int, default=1, 40
        Range of the sides that are drawn, in pixels.
    kinds : collection of str, default=None
        Which of `MASK_KINDS`: empty, full, discs, single pixels, in a corner,
        several components, with holes, lines, rings along the border,
        checkerboards, all but one pixel, random pixels. All if None.

    Returns
    -------
    strategy of ndarray of shape (H, W), bool
        Write-protected.

    Raises
    ------
    ImportError
        If hypothesis is not installed.
    ValueError
        If a kind is not known.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from skinseg.metrics import jaccard_score
    >>> from skinseg.testing import masks
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(masks())
    ... def test_a_mask_is_equal_to_itself(mask):
    ...     assert jaccard_score([mask], [mask]) == 1
    >>> test_a_mask_is_equal_to_itself()
    """
    st = hypothesis_strategies()

    chosen = _chosen(kinds, OUTLINED, "masks")
    parts: SearchStrategy[tuple[Shape, str, int]] = st.tuples(
        _shapes(shape, min_side, max_side), st.sampled_from(chosen), _seeds()
    )
    return parts.map(lambda drawn: _mask(*drawn))


def images_and_masks(
    shape: Any = None, *, min_side: int = 1, max_side: int = 40, n_masks: int = 1
) -> SearchStrategy[tuple[np.ndarray, ...]]:
    """Draw an image and masks of its size.

    Parameters
    ----------
    shape : tuple of (int, int) or strategy of such, default=None
        Height and width; drawn if None.
    min_side, max_side : int, default=1, 40
        Range of the sides that are drawn, in pixels.
    n_masks : int, default=1
        How many masks.

    Returns
    -------
    strategy of tuple of ndarray
        An (H, W, 3) uint8 image and ``n_masks`` (H, W) bool masks.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from skinseg.features import measure_border
    >>> from skinseg.testing import images_and_masks
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(images_and_masks())
    ... def test_scores_are_octants(pair):
    ...     image, mask = pair
    ...     score = measure_border(image, mask)["border_score"]
    ...     assert not mask.any() or score != score or 0 <= score <= 8
    >>> test_scores_are_octants()
    """
    st = hypothesis_strategies()
    outline = st.tuples(st.sampled_from(MASK_KINDS), _seeds())
    parts: SearchStrategy[tuple[Any, ...]] = st.tuples(
        _shapes(shape, min_side, max_side), st.tuples(st.sampled_from(IMAGE_KINDS), _seeds()), *[outline] * n_masks
    )
    return parts.map(lambda drawn: (_image(drawn[0], *drawn[1]), *(_mask(drawn[0], *part) for part in drawn[2:])))


def lesion_images(
    shape: Any = None,
    *,
    min_side: int = 1,
    max_side: int = 40,
    planes: Collection[str] = ("mask",),
    reframed: bool = True,
) -> SearchStrategy[LesionImage]:
    """Draw records: an image with masks, a pixel size, a name, and a frame that it came from.

    Parameters
    ----------
    shape : tuple of (int, int) or strategy of such, default=None
        Height and width of the image as it was given; drawn if None.
    min_side, max_side : int, default=1, 40
        Range of the sides that are drawn, in pixels.
    planes : collection of str, default=("mask",)
        Planes that every record has; the others (``mask``,
        ``reference_mask``, ``field``, ``artifact_mask``) are there now and
        then.
    reframed : bool, default=True
        Whether records may have been resized or cropped by an earlier step.

    Returns
    -------
    strategy of LesionImage
        The records.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from skinseg import ABCDFeaturizer
    >>> from skinseg.testing import lesion_images
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(lesion_images(planes=["mask", "field"]))
    ... def test_planes_have_the_size_of_the_image(record):
    ...     assert record.mask.shape == record.field.shape == record.shape
    >>> test_planes_have_the_size_of_the_image()
    """
    st = hypothesis_strategies()

    sizes, others = _shapes(shape, min_side, max_side), _shapes(None, min_side, max_side)
    pictures, outlines = (
        st.tuples(st.sampled_from(IMAGE_KINDS), _seeds()),
        st.tuples(st.sampled_from(MASK_KINDS), _seeds()),
    )
    all_planes = ("mask", "reference_mask", "field", "artifact_mask")
    present = st.sampled_from([(), (), (), *((plane,) for plane in all_planes), all_planes])
    names = st.none() | st.sampled_from(["", "a", "ISIC_0000000", "ä/b"])
    pixel_sizes = st.none() | st.sampled_from([0.03, 1.0, 1e-6, 1e4])
    softness = st.sampled_from([None, None, 1.0, 0.5])
    frames = st.sampled_from(["own", "own", "own", "resized", "cropped"] if reframed else ["own"])

    @st.composite
    def drawn(draw: DrawFn) -> LesionImage:
        size = draw(sizes)
        chosen = {*planes, *draw(present)}
        parts: dict[str, Any] = {plane: _mask(size, *draw(outlines)) for plane in all_planes if plane in chosen}
        soft = draw(softness) if "reference_mask" in parts else None
        if soft is not None:  # the mean of several experts
            parts["reference_mask"] = parts["reference_mask"].astype(np.float32) * np.float32(soft)
        image = _image(size, *draw(pictures))
        record = LesionImage(image, name=draw(names), pixel_size=draw(pixel_sizes), **parts)
        frame = draw(frames)
        if frame == "resized":
            return record.resize(draw(others))
        if frame == "cropped":
            (top, height), (left, width) = (draw(_spans(side)) for side in size)
            return record.crop(top, left, height, width)
        return record

    return drawn()


def _spans(side: int) -> SearchStrategy[tuple[int, int]]:
    """Starts and lengths of what lies inside of a side."""
    st = hypothesis_strategies()
    ends: SearchStrategy[tuple[int, int]] = st.tuples(st.integers(0, side - 1), st.integers(0, side - 1))
    return ends.map(lambda pair: (min(pair), abs(pair[0] - pair[1]) + 1))


def array_layouts(array: np.ndarray) -> SearchStrategy[np.ndarray]:
    """Draw the same values in other layouts of memory.

    Parameters
    ----------
    array : ndarray
        The values.

    Returns
    -------
    strategy of ndarray
        Equal to ``array``: a plain copy, write-protected, in Fortran order, a
        view with gaps, one that runs backwards, one that lies at an odd
        address, a part of a larger array, or of a subclass of ndarray.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> from skinseg.resampling import resize_image
    >>> from skinseg.testing import array_layouts
    >>> image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(array_layouts(image))
    ... def test_the_layout_does_not_matter(other):
    ...     assert (resize_image(other, (3, 7)) == resize_image(image, (3, 7))).all()
    >>> test_the_layout_does_not_matter()
    """
    strategy: SearchStrategy[np.ndarray] = (
        hypothesis_strategies().sampled_from(list(LAYOUTS)).map(lambda layout: LAYOUTS[layout](array))
    )
    return strategy


# ---------------------------------------------------------------------- batches


class ImageBatch(NamedTuple):
    """A container of images, and what is in it.

    Parameters
    ----------
    X : object
        The container, for `skinseg.check_images` or an estimator.
    images : list of ndarray or None
        The images in it as arrays, None for an item that cannot be used.
    container : str
        What the container is.
    """

    X: Any
    images: list[np.ndarray | None]
    container: str

    @property
    def bad(self) -> list[int]:
        """Positions of the items that cannot be used."""
        return [index for index, image in enumerate(self.images) if image is None]


def _object_array(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        array[index] = item
    return array


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "object array": _object_array,
    "series": lambda items: pd.Series(items, dtype=object, index=range(7, 7 + len(items))),
    "frame": lambda items: pd.DataFrame({"image": pd.Series(items, dtype=object), "age": range(len(items))}),
}
_BAD: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "NaN": lambda: float("nan"),
    "no file": lambda: "no such file.png",
    "gray": lambda: np.zeros((4, 5), np.uint8),
    "float": lambda: np.zeros((4, 5, 3)),
    "RGBA": lambda: np.zeros((4, 5, 4), np.uint8),
    "16 bits": lambda: np.zeros((4, 5, 3), np.uint16),
    "channels first": lambda: np.zeros((3, 4, 5), np.uint8),
    "no pixels": lambda: np.zeros((0, 5, 3), np.uint8),
    "number": lambda: 3,
    "bytes": lambda: b"\x89PNG",
    "list": lambda: [[0, 0, 0]],
}


def image_batches(
    folder: str | os.PathLike[str] | None = None,
    *,
    min_size: int = 1,
    max_size: int = 4,
    min_side: int = 1,
    max_side: int = 40,
    bad: bool = False,
) -> SearchStrategy[ImageBatch]:
    """Draw containers of images: lists, tuples, object arrays, Series, frames, 4-D arrays, with paths and records.

    Parameters
    ----------
    folder : path-like, default=None
        Folder for image files; without one there are no paths in the batches.
    min_size, max_size : int, default=1, 4
        Range of the number of images.
    min_side, max_side : int, default=1, 40
        Range of the sides of the images, in pixels.
    bad : bool, default=False
        Whether there may be items among them that cannot be used: missing
        ones, files that do not exist or are no images, arrays of other kinds.

    Returns
    -------
    strategy of ImageBatch
        The container, its images as arrays, and the name of the container.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from skinseg import check_images
    >>> from skinseg.testing import image_batches
    >>> @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    ... @given(image_batches())
    ... def test_one_record_an_image(batch):
    ...     assert [r.shape for r in check_images(batch.X)] == [image.shape[:2] for image in batch.images]
    >>> test_one_record_an_image()
    """
    st = hypothesis_strategies()
    numbers, sizes = st.integers(min_size, max_size), _shapes(None, min_side, max_side)
    pictures = st.tuples(st.sampled_from(IMAGE_KINDS), _seeds())
    containers = st.sampled_from([*_CONTAINERS, "4-D array"])
    forms = st.sampled_from(["array", "record"] if folder is None else ["array", "record", "path", "str"])
    kinds, thirds, halves = st.sampled_from([*_BAD]), st.sampled_from([False, False, True]), st.booleans()

    @st.composite
    def drawn(draw: DrawFn) -> ImageBatch:
        number = draw(numbers)
        container = draw(containers)
        if container == "4-D array":
            size = draw(sizes)
            arrays = [_image(size, *draw(pictures)) for _ in range(number)]
            return ImageBatch(np.stack(arrays), list(arrays), container)
        contents: list[np.ndarray | None] = []
        items: list[Any] = []
        for index in range(number):
            if bad and draw(thirds):
                contents.append(None)
                items.append(_bad_item(draw(kinds), folder, index, draw(halves)))
                continue
            image = _image(draw(sizes), *draw(pictures))
            contents.append(image)
            items.append(_in_form(image, draw(forms), folder, index))
        return ImageBatch(_CONTAINERS[container](items), contents, container)

    return drawn()


def _in_form(image: np.ndarray, form: str, folder: Any, index: int) -> Any:
    if form in ("array", "record"):
        return image if form == "array" else LesionImage(image)
    path = Path(folder) / f"{index}.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return path if form == "path" else str(path)


def _bad_item(kind: str, folder: Any, index: int, as_file: bool) -> Any:
    if folder is None or not as_file:
        return _BAD[kind]()
    path = Path(folder) / f"{index} is no image.png"
    path.write_bytes(b"" if kind < "a" else kind.encode())
    return path
