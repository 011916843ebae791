"""Batches of samples, made from records in the background while the network learns from those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._mapping import ResultCache, fail, hash_of
from ..images import LesionImage
from ..masks import resize_mask
from ..resampling import resize_image
from ._augment import augment, letterbox_shape
from ._view import has_lesion, view_of

__all__ = ["ClassSource", "SampleSource", "batch_stream"]

_READERS = 2  # threads that decode and augment
_AHEAD = 3  # batches made ahead
_MARGIN = 1.3  # kept copies are that much larger than the input, for samples that zoom in


class SampleSource:
    """Small copies of the images of records, with their reference masks.

    Parameters
    ----------
    records : sequence of LesionImage
        With reference masks.
    size : int
        Side of the input of the network; copies have at most 1.3 times that on
        their longer side.
    cache : None, "memory", str, path-like or joblib.Memory, default=None
        Where the copies are kept: nowhere, in memory, in a folder.

    Attributes
    ----------
    labels : ndarray of shape (n, n_classes), float32, or None
        Targets of the images; None where these are the masks.
    """

    labels: np.ndarray | None = None
    _settings: tuple[Any, ...] = ("sample",)  # what shapes a copy, besides size and record

    def __init__(self, records: Sequence[LesionImage], size: int, cache: Any = None) -> None:
        self.records = records
        self.side = round(_MARGIN * size)
        self._kept: dict[int, tuple[np.ndarray, Any]] | None = {} if cache == "memory" else None
        self._results = ResultCache(None if cache == "memory" else cache)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Give the small copy of an image and of its mask, uint8; the mask is None where it is no target."""
        return self._copy(index)

    def _copy(self, index: int) -> tuple[np.ndarray, Any]:
        """Make a copy, or take it from where it is kept."""
        if self._kept is not None:
            if index not in self._kept:
                self._kept[index] = self._make(index)
            return self._kept[index]
        if not self._results.active:
            return self._make(index)
        key = hash_of(*self._settings, self.side, self.records[index].cache_key())  # which has the reference mask in it
        kept = self._results.get(key)
        if kept is None:
            kept = self._make(index)
            self._results.put(key, kept)
        return kept

    def _make(self, index: int) -> tuple[np.ndarray, Any]:
        record = self.records[index].load()
        if max(record.shape) > self.side:
            record = record.resize(letterbox_shape(record.shape, self.side))
        lesion = resize_mask(np.asarray(record.reference_mask, np.float32), record.shape)
        return record.image, np.rint(lesion * 255).astype(np.uint8)


class ClassSource(SampleSource):
    """Small copies of what a network sees of the images of records, with their classes.

    Parameters
    ----------
    records : sequence of LesionImage
        With masks for the view "lesion".
    labels : ndarray of shape (n, n_classes), float32
        The classes, as probabilities.
    size : int
        Side of the input of the network, see `SampleSource`.
    cache : None, "memory", str, path-like or joblib.Memory, default=None
        Where the copies are kept.
    view : {"image", "lesion"}, default="image"
        See `skinseg.networks._view.view_of`.
    margin : float, default=0.0
        Around the lesion.

    Attributes
    ----------
    empty : set of int
        Images without a lesion, of those read so far in the view "lesion".
    """

    labels: np.ndarray

    def __init__(
        self, records: Sequence[LesionImage], labels: np.ndarray, size: int, cache: Any = None, *,
        view: str = "image", margin: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(records, size, cache)
        self.labels = labels
        self.view = view
        self.margin = margin
        self.empty: set[int] = set()
        self._settings = ("view", view, margin if view == "lesion" else None)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        image, whole = self._copy(index)
        if whole:
            self.empty.add(int(index))
        return image, None

    def _make(self, index: int) -> tuple[np.ndarray, Any]:
        """Give the copy, and whether it is of the whole image for want of a lesion."""
        record = self.records[index].load()
        image = view_of(record, self.view, self.margin)
        if max(image.shape[:2]) > self.side:
            image = resize_image(image, letterbox_shape(image.shape[:2], self.side))
        return image, self.view == "lesion" and not has_lesion(record)


def make_batch(
    source: SampleSource, indices: Any, size: int, strength: float, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, dict[int, LesionImage]]:
    """Make a batch; images that cannot be read are left out and named.

    Each sample has a generator of its own, from the seed and its position in
    the source, so that it does not matter which thread makes it, nor when.

    Parameters
    ----------
    source : SampleSource
        The images.
    indices : array of int
        Which ones.
    size : int
        Side of the samples.
    strength : float
        Of the augmentation, in [0, 1].
    seed : sequence of int
        What the generators start from.

    Returns
    -------
    images : ndarray of shape (n, size, size, 3), float32
        Values from 0 to 255.
    targets : ndarray of shape (n, size, size, 2) or (n, n_classes), float32
        Lesion, and where the image is, from 0 to 1; or the labels of the
        source.
    failed : dict of int to LesionImage
        What could not be read.
    """
    samples, places, failed = [], [], {}
    for index in indices:
        try:
            image, lesion = source.read(index)
            samples.append(augment(image, lesion, size, strength, np.random.default_rng([*seed, index])))
            places.append(index)
        except Exception as error:  # one bad image must not take the batch with it
            failed[index] = fail(source.records[index], error)
    images = np.empty((len(samples), size, size, 3), np.float32)
    for place, (image, _, _) in enumerate(samples):
        images[place] = image
    labels = getattr(source, "labels", None)
    if labels is not None:
        return images, labels[places], failed
    targets = np.empty((len(samples), size, size, 2), np.float32)
    for place, (_, lesion, known) in enumerate(samples):
        targets[place, ..., 0] = lesion
        targets[place, ..., 1] = known > 127
    targets[..., 0] /= 255
    return images, targets, failed


@contextmanager
def batch_stream(
    source: SampleSource, batches: Sequence[Any], size: int, strength: float, seed: Sequence[int]
) -> Iterator[Iterator[tuple[np.ndarray, np.ndarray, dict[int, LesionImage]]]]:
    """Make batches in the background, in their order, at most three ahead.

    Parameters
    ----------
    source, size, strength, seed : object
        See `make_batch`.
    batches : sequence of arrays of int
        The positions of each batch.

    Yields
    ------
    iterator
        Of the batches, see `make_batch`.
    """
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="skinseg-batches")
    waiting: deque[Future[Any]] = deque()

    def stream() -> Iterator[Any]:
        for indices in batches:
            waiting.append(pool.submit(make_batch, source, indices, size, strength, seed))
            if len(waiting) >= _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield stream()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
