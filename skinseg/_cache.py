"""Results kept on disk between calls: an entry an image, checked by its sum before it is used."""

from __future__ import annotations

import logging
import pickle
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib

from ._files import reason_of, retold, write_file
from .exceptions import SkinsegWarning
from .images import LesionImage

__all__ = ["ResultCache", "StepCache", "hash_of"]

_MAGIC = b"skinseg1"
_told: set[tuple[str, str]] = set()  # what this process has said of which folder


def hash_of(*parts: Any) -> str:
    """Hash of anything that joblib can hash."""
    return str(joblib.hash(parts))


class ResultCache:
    """Results kept on disk under a key of our own, in the folder of a `joblib.Memory`.

    joblib would hash the arguments of a function, which for images means to
    decode them first; here the key comes from the record (`cache_key`) and
    from the settings of the step. Entries lie where `joblib.Memory` puts its
    own, so that its ``reduce_size`` and ``clear`` serve them, too. Each has a
    checksum: one that is cut short, has a flipped bit, or lies under the key of
    another, is not used, and written anew. A cache that cannot be written
    (a full disk) costs its benefit, and no result.

    Parameters
    ----------
    memory : None, str, path-like or joblib.Memory
        Folder of the cache; None keeps nothing.

    Raises
    ------
    OSError
        If the folder cannot be made.
    ValueError
        If it is a `joblib.Memory` that is kept elsewhere than in a folder.
    """

    def __init__(self, memory: Any) -> None:
        place = None
        if isinstance(memory, str) or hasattr(memory, "__fspath__"):
            place = Path(memory) / "joblib"
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                text = f"{memory}, the folder of the cache (memory), cannot be made ({reason_of(error)}); give another"
                raise retold(error, text) from None
        elif memory is not None:
            if getattr(memory, "backend", "") != "local":
                raise ValueError(f"memory must be a folder, or a joblib.Memory of one; got {memory!r}")
            store = memory.store_backend  # None where nothing is kept
            place = None if store is None else Path(store.location)
        self._folder = None if place is None else place / "skinseg" / "results"
        self._level = _level_of(getattr(memory, "compress", False))

    @property
    def active(self) -> bool:
        """Whether anything is kept."""
        return self._folder is not None

    def get(self, key: str) -> Any:
        """Give the result kept under a key, or None."""
        if self._folder is None:
            return None
        path = self._path(self._folder, key)
        try:
            return _unpacked(key, path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"some results cannot be read ({reason_of(error)}), and are computed again")
        except Exception:  # of a damaged pickle: any
            self._log(f"{path} is damaged, or of another version; what it held is computed again")
        return None

    def put(self, key: str, value: Any) -> None:
        """Keep a result; None is never kept."""
        if self._folder is None or value is None:
            return
        path, data = self._path(self._folder, key), _packed(key, value, self._level)
        for _ in range(3):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, data, durable=False)  # what a power cut leaves is known by its sum
                return
            except FileNotFoundError as error:  # the cache was cleared, or made smaller, at this moment
                problem: OSError = error
            except OSError as error:
                problem = error
                break
        self._warn(f"results cannot be kept ({reason_of(problem)}); the work goes on without")

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key / "output.pkl"  # the name by which joblib finds it

    def _warn(self, text: str) -> None:
        if self._folder is not None and self._first(text):
            warnings.warn(f"the cache {self._folder.parents[2]}: {text}", SkinsegWarning, stacklevel=4)

    def _log(self, text: str) -> None:
        if self._first("damaged"):
            logging.getLogger(__name__).warning(text)

    def _first(self, text: str) -> bool:
        known = (str(self._folder), text) in _told
        _told.add((str(self._folder), text))
        return not known


def _level_of(compress: Any) -> int:
    """Give the level of zlib that the setting of a `joblib.Memory` asks for; 0 for none."""
    if isinstance(compress, tuple):
        compress = compress[1]
    if isinstance(compress, int) and compress is not True:
        return int(compress)
    return 3 if compress else 0  # the name of a method of joblib, too


def _packed(key: str, value: Any, level: int) -> bytes:
    content = pickle.dumps(value, protocol=5)
    body = bytes([level > 0]) + (zlib.compress(content, level) if level else content)
    return _MAGIC + _sum(key, body) + body


def _unpacked(key: str, data: bytes) -> Any:
    head, body = data[: len(_MAGIC) + 4], data[len(_MAGIC) + 4 :]
    if head != _MAGIC + _sum(key, body):
        raise ValueError("damaged")
    return pickle.loads(zlib.decompress(body[1:]) if body[0] else memoryview(body)[1:])


def _sum(key: str, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(key.encode())).to_bytes(4, "big")


class StepCache:
    """Results of one step with its present settings, an entry an image.

    Parameters
    ----------
    memory : None, str, path-like or joblib.Memory
        Folder of the cache; None keeps nothing.
    step_key : callable
        Gives the hash of the step: class, version, parameters, fitted state.
        It is called once, and only if something is kept.
    """

    def __init__(self, memory: Any, step_key: Callable[[], str]) -> None:
        self._results = ResultCache(memory)
        self._step_key = step_key() if self._results.active else ""

    def call(self, function: Callable[[LesionImage], Any], record: LesionImage) -> tuple[LesionImage, Any]:
        """Apply a function to a record, or take its result from the cache.

        Returns
        -------
        record, result : LesionImage, object
            The record, decoded if the function had to run, and the result.
        """
        key = self.key(record)
        result = self.get(key)
        if result is None:
            record = record.load()
            result = function(record)
            self.put(key, result)
        return record, result

    def key(self, record: LesionImage) -> str:
        """Give the key of a record; empty where nothing is kept."""
        return hash_of(self._step_key, record.cache_key()) if self._results.active else ""

    def get(self, key: str) -> Any:
        """Give the result that is kept under a key, or None."""
        return self._results.get(key) if key else None

    def put(self, key: str, result: Any) -> None:
        """Keep a result under a key."""
        if key:
            self._results.put(key, result)
