"""What a batch of images goes through: the work of `BatchedPipeline`, in its workers and for its learners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._mapping import ResultCache, hash_of, load_or_fail, transform_batch
from .base import EXECUTION_PARAMETERS
from .geometry import Geometry
from .images import LesionImage

__all__ = ["BatchRunner", "DeferredImage", "is_passthrough"]


class DeferredImage(LesionImage):
    """A record that runs earlier steps when it is loaded, and keeps nothing.

    A step that learns gets a list of these: it reads image after image from
    the files through the steps before it, and memory does not grow with their
    number.
    """

    __slots__ = ("_source", "_steps")
    _source: LesionImage
    _steps: tuple[Any, ...]

    def __init__(self, source: LesionImage, steps: tuple[Any, ...]) -> None:
        self._set(_source=source, _steps=steps, name=source.name, error=source.error)
        self._set(pixel_size=source.pixel_size, confidence=source.confidence, _planes=source._planes)

    def load(self) -> LesionImage:
        records: list[Any] = [self._source if _decodes(self._steps) else self._source.load()]
        for step in self._steps:
            records = transform_batch(step, records)
        record = records[0]
        if not isinstance(record, LesionImage):
            raise TypeError("a step before one that learns must give images, got a table")
        if record.error is not None:
            raise ValueError(record.error)
        return record

    @property
    def image(self) -> np.ndarray:
        return self.load().image

    @property
    def path(self) -> None:
        return None

    @property
    def geometry(self) -> Geometry:
        return self.load().geometry

    def _read_plane(self, plane: str) -> tuple[np.ndarray, bool]:
        return self.load()._read_plane(plane)

    def _plane(self, plane: str) -> np.ndarray | None:
        return self.load()._plane(plane)

    def _in_origin(self, plane: str, shape: tuple[int, ...], *, from_file: bool = False) -> bool:
        return self._source._in_origin(plane, shape, from_file=from_file)

    def with_(self, **changes: Any) -> LesionImage:
        return DeferredImage(self._source.with_(**changes), self._steps)

    def cache_key(self) -> str:
        return hash_of(self._source.cache_key(), [_step_key(step) for step in self._steps])

    def __reduce__(self) -> tuple[Any, ...]:
        return DeferredImage, (self._source, self._steps)


def is_passthrough(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _decodes(steps: Sequence[Any]) -> bool:
    """Whether the first step takes files and decodes no more of them than it needs."""
    return bool(steps) and getattr(steps[0], "_decodes", False)


def _step_key(step: Any) -> str:
    """Hash of all in a step that shapes its results."""
    own = getattr(step, "_result_key", None)
    return hash_of(step) if own is None else str(own(EXECUTION_PARAMETERS))


class BatchRunner:
    """What a worker does with one batch: all steps in turn, each file decoded once."""

    def __init__(self, steps: Sequence[tuple[str, Any]], memory: Any, final: str) -> None:
        self.steps = list(steps)
        self.memory = memory
        self.final = final
        active = memory is not None
        self.key = hash_of(final, [_step_key(step) for _, step in self.steps]) if active else ""

    def __call__(self, batch: Sequence[LesionImage]) -> list[tuple[Any, bool]]:
        """Give for each image its result (row, record or mask) and whether its mask is empty."""
        cache = ResultCache(self.memory if self.final == "transform" else None)
        if not cache.active:
            return self._run(batch)
        keys = [hash_of(self.key, record.cache_key()) for record in batch]
        results: list[Any] = [cache.get(key) for key in keys]
        missing = [index for index, result in enumerate(results) if result is None]
        for index, outcome in zip(missing, self._run([batch[index] for index in missing]), strict=True):
            results[index] = outcome
            if isinstance(outcome[0], np.ndarray):  # rows are kept; records would fill the disk
                cache.put(keys[index], outcome)
        return results

    def _run(self, batch: Sequence[LesionImage]) -> list[tuple[Any, bool]]:
        # One image after the other goes as far as it can, so that one decoded original is in memory at a time;
        # steps that want a batch (networks, foreign ones) then get the small records of all.
        decodes = _decodes([step for _, step in self.steps])
        alone = 0
        while alone < len(self.steps) and getattr(self.steps[alone][1], "_one_by_one", False):
            alone += 1
        results: list[Any] = []
        empty: list[bool] = []
        for record in batch:
            [result], [is_empty] = self._through(0, alone, [record if decodes else load_or_fail(record)])
            results.append(result)
            empty.append(is_empty)
        results, found_empty = self._through(alone, len(self.steps), results)
        return list(zip(results, np.logical_or(empty, found_empty).tolist(), strict=True))

    def _through(self, start: int, stop: int, results: list[Any]) -> tuple[list[Any], list[bool]]:
        """Send records through some of the steps; tell also whose mask came out empty."""
        empty = [False] * len(results)
        for position in range(start, stop):
            name, step = self.steps[position]
            last = position == len(self.steps) - 1
            results = transform_batch(step, results, self.final if last else "transform")
            for index, result in enumerate(results):
                if isinstance(result, LesionImage):
                    empty[index] = result.error is None and result.has("mask") and not np.any(result.mask)
                elif not last:
                    raise TypeError(
                        f"the step {name!r} gives a table and must be the last one of a BatchedPipeline; put scalers, "
                        "samplers and classifiers after it in a Pipeline"
                    )
        return results, empty
