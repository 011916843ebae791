"""The images that models did worst on, and their small pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..images import LesionImage
from ..masks import resize_mask
from ..resampling import shrink_to
from ._blocks import Gallery, ReportData, Section, Text
from ._data import reference_of

__all__ = ["draw_case", "worst_cases"]

_SIDE = 240  # of the pictures, in pixels
_SHOWN = 6  # of each kind and model
# sky blue, yellow and white are told apart in all kinds of color vision
_EXPERT, _MODEL, _OTHER = (86, 180, 233), (240, 228, 66), (255, 255, 255)
_QUALITY = 75


def worst_cases(report: ReportData) -> Section:
    """Choose the images to look at."""
    blocks: list[Any] = []
    for label in report.labels:
        blocks += _worst_outlines(report, label) if report.task == "segmentation" else _worst_calls(report, label)
    if blocks and report.task == "segmentation":
        blocks.insert(
            0, Text("The lowest Jaccard indices. Dashed blue: the expert's outline; solid yellow: that of the model.")
        )
    return Section("Worst cases", blocks)


def _worst_outlines(report: ReportData, label: str) -> list[Gallery]:
    rows = report.rows(label).sort_values(["jaccard", "name"], kind="stable").head(2 * _SHOWN)
    kept = report.worst.get(label, {})
    items = [
        (int(index), f"{row['name']}: {row['jaccard']:.3f}", {"model": kept[int(index)]} if int(index) in kept else {})
        for index, row in rows.iterrows()
    ]
    return [Gallery(label, items)] if items else []


def _worst_calls(report: ReportData, label: str) -> list[Gallery]:
    rows = report.rows(label)
    if not report.is_binary:
        wrong = rows[rows["target"].astype(str) != rows["decision"].astype(str)]
        sure = wrong.assign(sure=[row[f"probability_{row['decision']}"] for _, row in wrong.iterrows()])
        sure = sure.sort_values(["sure", "name"], ascending=[False, True], kind="stable").head(2 * _SHOWN)
        calls: list[Any] = [
            (int(index), f"{row['name']}: {row['target']}, called {row['decision']} ({row['sure']:.2f})", {})
            for index, row in sure.iterrows()
        ]
        return [Gallery(f"{label}: surest of the wrong classes", calls)] if calls else []
    found = []
    for positive, title in (
        (True, "positives with the lowest probability"),
        (False, "negatives with the highest probability"),
    ):
        part = rows[(rows["target"] == 1) == positive]
        part = part.sort_values(["probability", "name"], ascending=[positive, True], kind="stable").head(_SHOWN)
        items: list[Any] = [
            (int(index), f"{row['name']}: {row['probability']:.3f}", {}) for index, row in part.iterrows()
        ]
        if items:
            found.append(Gallery(f"{label}: {title}", items))
    return found


def draw_case(image: Any, mask: Any, outlines: dict[str, np.ndarray], side: int = _SIDE) -> bytes | None:
    """Draw an image small, as JPEG, with the outlines of expert and model.

    Parameters
    ----------
    image : Path or ndarray of shape (H, W, 3), uint8
        The image.
    mask : Path, ndarray or None
        The expert's mask.
    outlines : dict
        ``"model"`` (and ``"other"``, where two are compared) -> mask, of any
        size.
    side : int, default=240
        Longer side of the picture.

    Returns
    -------
    bytes or None
        The JPEG; None where the image cannot be read.
    """
    try:
        record = LesionImage(image, reference_mask=mask if outlines else None)
        picture = shrink_to(record.image, side).copy()
        expert = reference_of(record) if outlines else None
    except (ValueError, OSError):
        return None
    shape = picture.shape[:2]
    if expert is not None:
        _trace(picture, resize_mask(expert, shape), _EXPERT, dashed=True)
    for name, found in outlines.items():
        _trace(picture, resize_mask(found, shape), _OTHER if name == "other" else _MODEL, dashed=False)
    return bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())


def _trace(picture: np.ndarray, mask: np.ndarray, color: tuple[int, int, int], *, dashed: bool) -> None:
    """Draw an outline with a dark seam, so that it shows on light and dark; dashes are of eight pixels."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour[:, 0]
        pieces = [points[start : start + 8] for start in range(0, len(points), 14)] if dashed else [points]
        for width, shade in ((4, (20, 20, 20)), (2, color)):
            for piece in pieces:
                cv2.polylines(picture, [piece[:, None]], not dashed, shade, width, cv2.LINE_AA)
