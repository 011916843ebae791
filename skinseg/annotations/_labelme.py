"""The JSON files of LabelMe, one an image."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from ..exceptions import AnnotationError
from ._json import load_json, save_json, shape_in, wanted
from ._polygons import bounds_of, check_shape, has_hole, mask_to_polygons, polygons_to_mask

__all__ = ["is_labelme", "labelme_content", "mask_of_labelme", "read_labelme", "write_labelme"]

_VERSION = "5.5.0"  # of LabelMe, whose form this is; 6 has kept it
_AREAS = "polygon, rectangle, circle, oriented_rectangle or mask"
_WITHOUT_AREA = ("point", "points", "line", "linestrip")


def is_labelme(content: Any) -> bool:
    """Tell whether the content of a JSON file is that of LabelMe.

    Parameters
    ----------
    content : object
        What the file holds.

    Returns
    -------
    bool
        Whether it has a list of shapes.
    """
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def labelme_content(
    mask: np.ndarray, image_name: str, *, label: str = "lesion", tolerance: float = 0.0,
    flags: Mapping[str, bool] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Give a mask in the form of LabelMe.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.
    image_name : str
        File of the image, relative to the JSON file.
    label : str, default="lesion"
        The label of the shapes.
    tolerance : float, default=0.0
        Pixels that the outline may be moved by, see `mask_to_polygons`.
    flags : mapping of str to bool, default=None
        Boxes to be ticked for the whole image.

    Returns
    -------
    dict
        The content of the JSON file: a polygon for each component, in one
        group where there are several. LabelMe knows no holes: a mask that has
        some becomes one shape of the type ``mask`` (LabelMe 5.3 or newer),
        which is exact but has no corners to be moved.

    See Also
    --------
    mask_of_labelme : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.annotations import labelme_content
    >>> content = labelme_content(np.ones((2, 3), dtype=bool), "a.jpg")
    >>> content["shapes"][0]["points"]
    [[0.25, 0.25], [0.25, 1.75], [2.75, 1.75], [2.75, 0.25]]
    """
    polygons = mask_to_polygons(mask, tolerance=tolerance)
    if has_hole(polygons):
        shapes = [_mask_shape(mask, label)]
    else:
        group = 1 if len(polygons) > 1 else None
        shapes = [_shape(label, polygon.exterior.tolist(), "polygon", group) for polygon in polygons]
    return {
        "version": _VERSION,
        "flags": dict(flags or {}),
        "shapes": shapes,
        "imagePath": image_name,
        "imageData": None,
        "imageHeight": mask.shape[0],
        "imageWidth": mask.shape[1],
    }


def _shape(label: str, points: list[list[float]], kind: str, group: int | None = None) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }


def _mask_shape(mask: np.ndarray, label: str) -> dict[str, Any]:
    top, left, bottom, right = bounds_of(mask) or (0, 0, 1, 1)
    part = np.ascontiguousarray(mask[top:bottom, left:right]).view(np.uint8)
    png = base64.b64encode(cv2.imencode(".png", part)[1].tobytes()).decode()
    # with the last row and column: so LabelMe cuts its own
    return _shape(label, [[left, top], [right - 1, bottom - 1]], "mask") | {"mask": png}


def mask_of_labelme(
    content: Any, *, shape: Sequence[int] | None = None, labels: Sequence[str] | None = None
) -> np.ndarray:
    """Make a mask of the content of a LabelMe file: all that its shapes cover.

    Parameters
    ----------
    content : dict
        The content: shapes of the types polygon, rectangle, circle,
        oriented_rectangle (or rotation) and mask. Pixels count whose center is
        inside.
    shape : sequence of (int, int), default=None
        Height and width of the image; taken from the content if None, and
        compared with it if not.
    labels : sequence of str, default=None
        The labels of the shapes that count; all if None.

    Returns
    -------
    ndarray of shape (H, W), bool
        The mask; empty where there are no shapes.

    Raises
    ------
    ValueError
        If the content is something else, a shape has no area (such as a line)
        or is damaged, or the size is another.

    See Also
    --------
    labelme_content : The way back.

    Examples
    --------
    >>> from skinseg.annotations import mask_of_labelme
    >>> box = {"label": "lesion", "shape_type": "rectangle", "points": [[1, 0], [3, 2]]}
    >>> content = {"shapes": [box], "imageHeight": 2, "imageWidth": 4}
    >>> mask_of_labelme(content).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0]])
    """
    if not is_labelme(content):
        raise ValueError("this is no file of LabelMe: it has no list of shapes; save it from LabelMe")
    height, width = _size(content, shape)
    mask = np.zeros((height, width), dtype=bool)
    names = None if labels is None else tuple(labels)
    for number, item in enumerate(content["shapes"], 1):
        if not isinstance(item, dict):
            raise ValueError(f"shape {number} is no shape of LabelMe but {type(item).__name__}")
        if not wanted(item.get("label"), names):
            continue
        kind = item.get("shape_type") or "polygon"
        try:
            _add(mask, kind, item)
        except ValueError as error:
            raise ValueError(f"shape {number} ({kind}, label {item.get('label')!r}): {error}") from None
    return mask


def _size(content: dict[str, Any], shape: Sequence[int] | None) -> tuple[int, int]:
    said = shape_in(content, "imageHeight", "imageWidth")
    if shape is None:
        if said is None:
            raise ValueError("imageHeight and imageWidth are missing; give the size of the image, or save it again")
        return check_shape(said)
    height, width = check_shape(shape)
    if said not in (None, (height, width)):
        raise ValueError(
            f"it was drawn on an image of {said[1]} x {said[0]} pixels, the image has {width} x {height}; draw it on "
            "that one"
        )
    return height, width


def _add(mask: np.ndarray, kind: str, item: dict[str, Any]) -> None:
    points = item.get("points")
    if not isinstance(points, list):
        raise ValueError("it has no list of points")
    if kind in ("polygon", "oriented_rectangle", "rotation") or (kind == "rectangle" and len(points) == 4):
        mask |= polygons_to_mask([points], mask.shape)
    elif kind == "rectangle":
        (x0, y0), (x1, y1) = _two(points)
        mask |= polygons_to_mask([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]], mask.shape)
    elif kind == "circle":
        center, edge = _two(points)
        y, x = (np.arange(side) + 0.5 for side in mask.shape)
        inside = np.add.outer((y - center[1]) ** 2, (x - center[0]) ** 2) <= ((edge - center) ** 2).sum()
        np.logical_or(mask, inside, out=mask)
    elif kind == "mask":
        _paste(mask, _two(points), item.get("mask"))
    elif kind in _WITHOUT_AREA:
        raise ValueError(f"this has no area; draw the lesion as {_AREAS}, or delete the shape")
    else:
        raise ValueError(f"this type of shape is not known; draw the lesion as {_AREAS}")


def _two(points: list[Any]) -> np.ndarray:
    try:
        pair = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("the points are no pairs of numbers") from None
    if pair.shape != (2, 2) or not (np.abs(pair) < 1e7).all():
        raise ValueError(f"it needs 2 points of x and y, got {str(points)[:80]}")
    return pair


def _paste(mask: np.ndarray, points: np.ndarray, png: Any) -> None:
    """Add a painted part; what reaches out of the image is left out."""
    left, top = points.min(axis=0).astype(int).tolist()
    try:
        data = base64.b64decode(png, validate=True)
        part = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (TypeError, ValueError, binascii.Error, cv2.error):
        part = None
    if part is None:
        raise ValueError("its mask is no PNG in base64; draw it again")
    on = np.greater(part[..., :3].max(axis=-1) if part.ndim == 3 else part, 0)
    bottom, right = top + on.shape[0], left + on.shape[1]
    rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
    target = mask[rows, columns]
    target |= on[max(-top, 0) :, max(-left, 0) :][: target.shape[0], : target.shape[1]]


def read_labelme(
    path: str | os.PathLike[str], *, shape: Sequence[int] | None = None, labels: Sequence[str] | None = None
) -> np.ndarray:
    """Read the mask of a LabelMe file, see `mask_of_labelme`.

    Parameters
    ----------
    path : path-like
        The JSON file.
    shape : sequence of (int, int), default=None
        Height and width of the image, where the file shall be compared with it.
    labels : sequence of str, default=None
        The labels of the shapes that count; all if None.

    Returns
    -------
    ndarray of shape (H, W), bool
        The mask.

    Raises
    ------
    AnnotationError
        A ValueError that names the file, the shape and the way out.
    """
    content = load_json(path)
    try:
        return mask_of_labelme(content, shape=shape, labels=labels)
    except ValueError as error:
        raise AnnotationError(path, str(error)) from None


def write_labelme(
    path: str | os.PathLike[str], mask: np.ndarray, image_name: str, *, label: str = "lesion", tolerance: float = 0.0,
    flags: Mapping[str, bool] | None = None,
) -> None:  # fmt: skip
    """Write a mask as a LabelMe file, see `labelme_content`.

    Parameters
    ----------
    path : path-like
        The JSON file; LabelMe looks for it under the name of the image.
    mask : ndarray of shape (H, W), bool
        The mask.
    image_name : str
        File of the image, relative to the JSON file.
    label : str, default="lesion"
        The label of the shapes.
    tolerance : float, default=0.0
        Pixels that the outline may be moved by, see `mask_to_polygons`.
    flags : mapping of str to bool, default=None
        Boxes to be ticked for the whole image.
    """
    save_json(path, labelme_content(mask, image_name, label=label, tolerance=tolerance, flags=flags), indent=2)
