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
from ._augment import augment, letterbox_shape

__all__ = ["SampleSource", "batch_stream"]

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
    """

    def __init__(self, records: Sequence[LesionImage], size: int, cache: Any = None) -> None:
        self.records = records
        self.side = round(_MARGIN * size)
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] | None = {} if cache == "memory" else None
        self._results = ResultCache(None if cache == "memory" else cache)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the small copy of an image and of its mask, uint8; the mask from 0 to 255."""
        if self._kept is not None:
            if index not in self._kept:
                self._kept[index] = self._make(index)
            return self._kept[index]
        if not self._results.active:
            return self._make(index)
        key = hash_of("sample", self.side, self.records[index].cache_key())  # which has the reference mask in it
        kept = self._results.get(key)
        if kept is None:
            kept = self._make(index)
            self._results.put(key, kept)
        return kept

    def _make(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        record = self.records[index].load()
        if max(record.shape) > self.side:
            record = record.resize(letterbox_shape(record.shape, self.side))
        lesion = resize_mask(np.asarray(record.reference_mask, np.float32), record.shape)
        return record.image, np.rint(lesion * 255).astype(np.uint8)


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
    targets : ndarray of shape (n, size, size, 2), float32
        Lesion, and where the image is, from 0 to 1.
    failed : dict of int to LesionImage
        What could not be read.
    """
    samples, failed = [], {}
    for index in indices:
        try:
            image, lesion = source.read(index)
            samples.append(augment(image, lesion, size, strength, np.random.default_rng([*seed, index])))
        except Exception as error:  # one bad image must not take the batch with it
            failed[index] = fail(source.records[index], error)
    images = np.empty((len(samples), size, size, 3), np.float32)
    targets = np.empty((len(samples), size, size, 2), np.float32)
    for place, (image, lesion, known) in enumerate(samples):
        images[place] = image
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
