"""Reading JSON that tools have written, and saying what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .._files import write_file
from ..exceptions import AnnotationError

__all__ = ["load_json", "save_json", "shape_in", "wanted"]


def load_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; raise an `AnnotationError` that says what is wrong with it."""
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise AnnotationError(path, "the file does not exist; check the path and the working folder") from None
    except OSError as error:
        raise AnnotationError(path, f"the file cannot be opened ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise AnnotationError(path, "this is no UTF-8 text; save it as UTF-8, or export it again") from None
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, f"this is no JSON, or cut short ({error}); export it again") from None


def save_json(path: str | os.PathLike[str], content: Any, indent: int | None = None) -> None:
    """Write a JSON file, complete or not at all."""
    text = json.dumps(content, ensure_ascii=False, indent=indent, allow_nan=False)
    write_file(Path(path), text.encode("utf-8", "backslashreplace"))


def shape_in(entry: dict[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Read the size of an image, which some tools write as floats or texts; None where it is not there."""
    sides = [entry.get(height), entry.get(width)]
    if None in sides:
        return None
    try:
        numbers = [float(side) for side in sides if side is not None and not isinstance(side, bool)]
        whole = [int(number) for number in numbers]
    except (TypeError, ValueError, OverflowError):
        whole, numbers = [], []
    if len(whole) != 2 or whole != numbers:
        raise ValueError(f"{height} and {width} are {sides[0]!r} and {sides[1]!r}, no whole numbers of pixels")
    return whole[0], whole[1]


def wanted(label: object, labels: tuple[str, ...] | None) -> bool:
    """Whether an outline with this label counts."""
    return labels is None or str(label) in labels
