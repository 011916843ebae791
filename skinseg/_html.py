"""What notebooks show of records, estimators and results: small pieces of HTML in which everything is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .masks import GREEN, draw_outline

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NotebookMixin", "escaped", "parallel_block", "record_html", "result_html", "serial_block"]

THUMBNAIL = 200  # longer side in pixels
_LINES = ((GREEN, "mask"), ((213, 94, 0), "reference_mask"))  # colors of Okabe and Ito
_SHOWN_ROWS = 20
_BOX = "display:flex;gap:1em;align-items:flex-start;font-size:0.9em"
_CELL = "text-align:left;padding:0.1em 0.8em 0.1em 0;background:none"


def escaped(value: object, most: int = 200) -> str:
    """Escape text for HTML, without control characters, cut where it is long.

    Parameters
    ----------
    value : object
        What is shown as text.
    most : int, default=200
        Longest text in characters.

    Returns
    -------
    str
        Safe as the content of an element, and of an attribute in quotes.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most // 2) :]}"
    return html.escape(text, quote=True)


def _rows(facts: Iterable[tuple[str, object]]) -> str:
    cells = (
        f'<tr style="background:none"><th style="{_CELL};font-weight:600;white-space:nowrap">{escaped(label)}</th>'
        f'<td style="{_CELL}">{escaped(value, 400)}</td></tr>'
        for label, value in facts
    )
    return f'<table style="border:none">{"".join(cells)}</table>'


# ---------------------------------------------------------------------- records


def record_html(record: Any) -> str:
    """Show a record: a thumbnail with its outline, and what is known of it; whatever fails is told in it.

    Parameters
    ----------
    record : LesionImage
        The record. Of a large JPEG file no more is decoded than the thumbnail takes.

    Returns
    -------
    str
        HTML.
    """
    facts: list[tuple[str, object]] = [("name", record.name if record.name is not None else "none")]
    picture, problem = "", record.error
    try:
        facts += _sizes(record)
        small = _small(record)
        picture = _thumbnail(small, record.name)
        facts += _outline_facts(small, record)
    except Exception as error:  # a notebook must show what it can, whatever is wrong with a file
        problem = problem or str(error) or type(error).__name__
    if record.confidence is not None:
        facts.append(("confidence", _number(record.confidence)))
    if problem is not None:
        facts.append(("error", problem))
    return f'<div style="{_BOX}">{picture}{_rows(facts)}</div>'


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float, np.number)) else str(value)


def _sizes(record: Any) -> list[tuple[str, object]]:
    (height, width), geometry = record.shape, record.geometry
    size = f"{width} × {height} pixels"
    if not geometry.is_origin:
        size += f" (of an image of {geometry.origin[1]} × {geometry.origin[0]})"
    known = "not known" if record.pixel_size is None else f"{record.pixel_size:.4g} mm"
    facts: list[tuple[str, object]] = [("size", size), ("pixel size", known)]
    return facts if record.path is None else [*facts, ("file", record.path)]


def _small(record: Any) -> Any:
    height, width = record.shape
    scale = min(1.0, THUMBNAIL / max(height, width))
    return record.load_resized((max(1, round(height * scale)), max(1, round(width * scale))))


def _thumbnail(small: Any, name: object) -> str:
    pixels = np.ascontiguousarray(small.image)
    words = "the image"
    for color, plane in reversed(_LINES):
        mask = getattr(small, plane)
        if mask is not None and mask.any():
            pixels = draw_outline(pixels, mask >= 0.5, color=color, thickness=1)
            words = "the image with the outline of its lesion"
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        return ""
    height, width = pixels.shape[:2]
    source = base64.b64encode(data.tobytes()).decode()
    alt = words if name is None else f"{words}, {name}"
    return (
        f'<img src="data:image/jpeg;base64,{source}" width="{width}" height="{height}" alt="{escaped(alt)}" '
        'style="flex:none;max-width:none">'
    )


def _outline_facts(small: Any, record: Any) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = []
    if small.mask is not None:
        # one that is lost in the thumbnail is not empty
        share = float(np.mean(small.mask)) or float(np.mean(record.mask))
        facts.append(("outline", f"{100 * share:.3g} % of the image (green)" if share else "empty: no lesion found"))
    if small.reference_mask is not None:
        there = small.reference_mask.any() or record.reference_mask.any()
        facts.append(("reference", "outline by an expert (vermilion)" if there else "empty"))
    others = [plane.replace("_", " ") for plane in ("probability", "field", "artifact_mask") if record.has(plane)]
    return [*facts, ("also holds", ", ".join(others))] if others else facts


# ---------------------------------------------------------------------- results


def result_html(text: str, table: pd.DataFrame | None = None) -> str:
    """Show a result: its text, and the first rows of a table.

    Parameters
    ----------
    text : str
        Some lines.
    table : DataFrame, default=None
        Shown if it has rows.

    Returns
    -------
    str
        HTML.
    """
    lines = "<br>".join(escaped(line, 400).replace("  ", "&ensp;") for line in text.splitlines())
    shown = ""
    if table is not None and len(table):
        shown = table.head(_SHOWN_ROWS).to_html(escape=True, border=0, float_format="{:.3g}".format, na_rep="–")
        if len(table) > _SHOWN_ROWS:
            shown += f"<p>and {len(table) - _SHOWN_ROWS} more rows</p>"
    return f'<div style="overflow-x:auto"><p>{lines}</p>{shown}</div>'


# ---------------------------------------------------------------------- estimators


def serial_block(steps: Sequence[tuple[str, Any]]) -> Any:
    """Make the part of scikit-learn's diagram that shows steps one below the other."""
    from sklearn.pipeline import Pipeline

    return Pipeline(list(steps))._sk_visual_block_()


def parallel_block(members: Sequence[tuple[str, Any]]) -> Any:
    """Make the part of scikit-learn's diagram that shows members side by side."""
    from sklearn.pipeline import FeatureUnion

    return FeatureUnion(list(members))._sk_visual_block_()


class NotebookMixin:
    """Mixin of estimators: their diagram lists the fitted attributes that they hold, and computes none for it."""

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        # scikit-learn looks up every attribute, properties too: some of ours build a network, or need Keras
        from sklearn.base import BaseEstimator

        held = {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}
        stand_in = type(type(self).__name__, (BaseEstimator,), {"__doc__": type(self).__doc__})()
        vars(stand_in).update(held)
        return stand_in._get_fitted_attr_html(doc_link)
