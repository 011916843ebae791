"""What all networks that outline lesions share: square batches in, maps of probabilities out, cut for each image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from .._mapping import StepCache, batches_of, fail, hash_of
from ..base import BaseSegmenter
from ..images import LesionImage
from ..masks import expected_jaccard, jaccard_cut
from ..networks import letterbox
from ..networks._augment import FLIPS, letterbox_part, mirrored

__all__ = ["UNTOUCHED", "LetterboxedSegmenter"]

# defaults of the post-processing: maps of networks need none beyond the component and its holes
UNTOUCHED = dict.fromkeys(("opening", "closing", "margin", "smoothing", "min_area"), "0.0")
_CUTS = 0.2, 0.5  # within which the cut of an image is chosen


class LetterboxedSegmenter(BaseSegmenter):
    """Base of segmenters that send squares through a network: a subclass gives `_side` and `_run_network`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseSegmenter._parameter_constraints,
        "threshold": [Interval(Real, 0, 1, closed="neither"), None],
        "test_time_augmentation": ["boolean"],
    }
    _one_by_one = False
    _gives_probabilities = True
    batch_size: int
    threshold: float | None
    test_time_augmentation: bool

    @abstractmethod
    def _side(self) -> int:
        """Give the side of the squares in pixels."""

    @abstractmethod
    def _run_network(self, images: np.ndarray) -> np.ndarray:
        """Send a batch, (n, side, side, 3) uint8, through the network: (n, side, side, 1) float32."""

    @abstractmethod
    def _network_key(self) -> str:
        """Hash of what shapes the output of the network."""

    def _result_key(self, ignored: frozenset[str] | None = None) -> str:
        settings = [self.test_time_augmentation]
        if ignored is not None:  # of the final masks, not of the maps
            settings += [getattr(self, name) for name in (*self._POST_PROCESSING, "threshold")]
        return hash_of(self._network_key(), *settings)

    def _cut(self, probability: np.ndarray) -> float:
        if self.threshold is not None:
            return self.threshold
        return float(np.clip(jaccard_cut(probability)[0], *_CUTS))

    def _confidence(self, found: np.ndarray, mask: np.ndarray) -> float | None:
        return expected_jaccard(found, mask)

    def _segment(self, record: LesionImage) -> np.ndarray:
        return self._maps([letterbox(record.image, self._side())], [record.shape])[0]

    def _maps(self, squares: Sequence[np.ndarray], shapes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Probabilities of letterboxed images, without what is beside the images."""
        batch = np.stack(squares)
        places = [letterbox_part(shape, self._side()) for shape in shapes]
        if not self.test_time_augmentation:
            answers = self._run_network(batch)[..., 0]
            return [np.ascontiguousarray(answer[place]) for answer, place in zip(answers, places, strict=True)]
        maps = [np.zeros(square[place].shape[:2], np.float32) for square, place in zip(batch, places, strict=True)]
        for axes, turned in mirrored(batch, places):
            answers = self._run_network(turned)[..., 0]
            for total, answer, place in zip(maps, answers, places, strict=True):
                total += np.flip(answer[place], axes) / np.float32(len(FLIPS))
        return maps

    def _apply_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        side = self._side()  # a network that cannot be read is no fault of an image
        cache = StepCache(self.memory, self._result_key)
        results: list[Any] = list(records)
        waiting: list[tuple[int, str, np.ndarray]] = []
        for index, record in enumerate(records):
            if record.error is not None:
                continue
            try:
                key = cache.key(record)
                kept = cache.get(key)
                if kept is None:
                    results[index] = record.load()
                    waiting.append((index, key, letterbox(results[index].image, side)))
                else:
                    results[index] = self._finish(record, kept)
            except Exception as error:  # one bad image must not take the batch with it
                results[index] = fail(record, error)
        for part in batches_of(waiting, self.batch_size):
            maps = self._maps([square for *_, square in part], [results[index].shape for index, *_ in part])
            for (index, key, _), found in zip(part, maps, strict=True):
                try:
                    cache.put(key, found)
                    results[index] = self._finish(results[index], found)
                except Exception as error:  # such as a full disk
                    results[index] = fail(records[index], error)
        return results
