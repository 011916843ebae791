"""Reports as Markdown, and as one HTML file that needs no script and no other file."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from .._files import write_file
from .._version import __version__
from ._blocks import NOTICE, Bullets, Figure, Gallery, ReportData, Section, Table, Text, scale_of
from ._cases import draw_case
from ._intervals import Difference, Interval
from ._summary import make_sections

__all__ = ["render_html", "render_markdown", "write_report"]

_BAR_WIDTH, _BAR_ROW = 200, 12
_MARK_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

Draw = Callable[[int, dict[str, np.ndarray]], bytes | None]


def write_report(report: ReportData, folder: Path) -> list[Path]:
    """Write ``report.md`` and ``report.html``.

    Parameters
    ----------
    report : ReportData
        What it is made of.
    folder : Path
        Where they go.

    Returns
    -------
    list of Path
        The files.
    """
    sections = make_sections(report)
    tasks = {"segmentation": "Outlines of lesions", "classification": "Classes of lesions"}
    title = f"{tasks[report.task]}: {', '.join(report.labels)}"
    subtitle = f"{report.config['data']['description']}; {report.config['results']['n_images']} images tested."

    def draw(position: int, outlines: dict[str, np.ndarray]) -> bytes | None:
        return draw_case(report.data.images[position], report.data.masks[position], outlines)

    return write_pages(folder / "report", title, subtitle, sections, draw)


def write_pages(stem: Path, title: str, subtitle: str, sections: list[Section], draw: Draw) -> list[Path]:
    """Write sections as Markdown and HTML under one name."""
    paths = [stem.with_suffix(".md")]
    write_file(paths[0], render_markdown(title, subtitle, sections).encode())
    paths.append(stem.with_suffix(".html"))
    write_file(paths[1], render_html(title, subtitle, sections, draw).encode())
    return paths


# ---------------------------------------------------------------------- cells


def _digits(value: float) -> int:
    return 3 if abs(value) < 1.0005 else 1  # shares and their differences, or pixels


def cell_of(value: Any) -> tuple[str, str]:
    """Give a cell as text and, of an interval, the text of its range."""
    if isinstance(value, (Interval, Difference)):
        if np.isnan(value.value):
            return "–", ""
        form = f"{'+' if isinstance(value, Difference) else ''}.{_digits(value.value)}f"
        texts = [f"{number:{form}}".replace("-", "−") for number in (value.value, value.low, value.high)]
        return texts[0], "" if np.isnan(value.low) else f"[{texts[1]}, {texts[2]}]"
    if isinstance(value, float):
        return ("–" if np.isnan(value) else f"{value:.{_digits(value)}f}"), ""
    return str(value), ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (Interval, Difference, float)) or str(value).lstrip("+−< ").replace(".", "").isdigit()


# ---------------------------------------------------------------------- Markdown


def _escape(text: str) -> str:
    """Keep names of files and values of tables from being read as HTML, links or pictures."""
    text = re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)
    return text.replace("](", "]\\(").replace("\n", " ")


def _escape_cell(text: str) -> str:
    return _escape(text).replace("|", "\\|")


def _markdown_table(table: Table) -> str:
    rows = [[_escape_cell(" ".join(filter(None, cell_of(cell)))) for cell in row] for row in table.rows]
    for index in table.faint:
        rows[index][0] += " †"
    lines = ["| " + " | ".join(map(_escape_cell, table.columns)) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    parts = [f"**{_escape(table.title)}**" if table.title else "", "\n".join(lines), table.note]
    return "\n\n".join(part for part in parts if part)


def _markdown_block(block: Any) -> str:
    if isinstance(block, Text):
        return _escape(block.text)
    if isinstance(block, Bullets):
        lines = "\n".join(f"- {_escape(item)}" for item in block.items)
        return f"{block.folded}:\n\n{lines}" if block.folded else lines
    if isinstance(block, Table):
        return _markdown_table(block)
    if isinstance(block, Gallery):
        return f"**{_escape(block.title)}**\n\n" + "\n".join(f"- {_escape(caption)}" for _, caption, _ in block.items)
    return ""  # pictures are in the HTML


def render_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Render sections as Markdown.

    Parameters
    ----------
    title, subtitle : str
        At the top.
    sections : sequence of Section
        What it says.

    Returns
    -------
    str
        The page.
    """
    parts = [f"# {_escape(title)}", _escape(subtitle), f"**{NOTICE}**"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [text for block in section.blocks if (text := _markdown_block(block))]
    parts.append(f"Made by skinseg {__version__}.")
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------------- HTML


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _mark(color: str, shape: int, x: float, y: float) -> str:
    if shape % 3 == 1:
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{color}"/>'
    if shape % 3 == 2:
        return f'<path d="M{x - 4:.1f} {y + 3:.1f}h8l-4 -7z" fill="{color}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.3" fill="{color}"/>'


def _bar(row: list[Any], table: Table, scale: tuple[float, float]) -> str:
    """Draw the intervals of a row, one below the other."""
    height = _BAR_ROW * len(table.bars)

    def at(value: float) -> float:
        share = (value - scale[0]) / (scale[1] - scale[0])
        return float(4 + (_BAR_WIDTH - 8) * np.clip(share, 0, 1))  # of few images it may go beyond

    shapes = [
        f'<line x1="{at(s):.1f}" y1="0" x2="{at(s):.1f}" y2="{height}" stroke="#e1e5ea"/>'
        for s in np.linspace(*scale, 5)
    ]
    if scale[0] < 0 < scale[1]:
        shapes.append(f'<line x1="{at(0):.1f}" y1="0" x2="{at(0):.1f}" y2="{height}" stroke="#8c959f"/>')
    for place, index in enumerate(table.bars):
        interval, y = row[index], _BAR_ROW * (place + 0.5)
        color = _MARK_COLORS[place % len(_MARK_COLORS)]
        if np.isnan(interval.value):
            continue
        if not np.isnan(interval.low):
            shapes.append(
                f'<line x1="{at(interval.low):.1f}" y1="{y}" x2="{at(interval.high):.1f}" y2="{y}" stroke="{color}" '
                'stroke-width="1.6"/>'
            )
        shapes.append(_mark(color, place, at(interval.value), y))
    return f'<svg width="{_BAR_WIDTH}" height="{height}" role="presentation">{"".join(shapes)}</svg>'


def _key(table: Table) -> list[tuple[str, str]]:
    if len(table.bars) < 2:
        return []
    return [
        (
            table.columns[index],
            f'<svg width="12" height="12">{_mark(_MARK_COLORS[p % len(_MARK_COLORS)], p, 6, 6)}</svg>',
        )
        for p, index in enumerate(table.bars)
    ]


def _html_table(table: Table, markup: Any) -> dict[str, Any]:
    scale = (table.scale or scale_of(table.rows, table.bars)) if table.bars else None
    numbers = [
        bool(table.rows) and all(_is_number(row[i]) or row[i] in ("", "–") for row in table.rows) and i > 0
        for i in range(len(table.columns))
    ]
    rows = []
    for index, row in enumerate(table.rows):
        cells = []
        for place, value in enumerate(row):
            text, interval = cell_of(value)
            text += " †" if place == 0 and index in table.faint else ""
            cells.append({"text": text, "range": interval, "number": numbers[place]})
        bar = markup(_bar(row, table, scale)) if scale else ""
        rows.append({"cells": cells, "faint": index in table.faint, "bar": bar})
    return {
        "kind": "table",
        "title": table.title,
        "header": any(table.columns),
        "columns": [{"text": name, "number": number} for name, number in zip(table.columns, numbers, strict=True)],
        "rows": rows,
        "note": table.note,
        "scale": None if scale is None else [f"{scale[0]:.1f}", f"{scale[1]:.1f}"],
        "drawn": table.columns[table.bars[0]] if scale and len(table.bars) == 1 else "",
        "key": [(label, markup(mark)) for label, mark in _key(table)] if scale else [],
    }


def _html_block(block: Any, draw: Draw, markup: Any) -> dict[str, Any]:
    if isinstance(block, Text):
        pieces = [str(markup.escape(piece)) for piece in block.text.split("`")]
        html = "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
        return {"kind": "text", "html": markup(html)}
    if isinstance(block, Bullets):
        return {"kind": "bullets", "items": block.items, "folded": block.folded}
    if isinstance(block, Table):
        return _html_table(block, markup)
    if isinstance(block, Figure):
        return {"kind": "figure", "src": _data_uri(block.draw(), "svg+xml"), "alt": block.alt}
    items = []
    for position, caption, outlines in block.items:
        content = draw(position, outlines)
        items.append({"caption": caption, "src": None if content is None else _data_uri(content, "jpeg")})
    return {"kind": "gallery", "title": block.title, "items": items}


def render_html(title: str, subtitle: str, sections: Sequence[Section], draw: Draw) -> str:
    """Render sections as one HTML file with its pictures in it.

    Parameters
    ----------
    title, subtitle : str
        At the top.
    sections : sequence of Section
        What it says.
    draw : callable
        Draws the small picture of an image, from its position and outlines.

    Returns
    -------
    str
        The page.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    template = files("skinseg.evaluation") / "templates" / "report.html"
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    content = [
        {"title": section.title, "blocks": [_html_block(block, draw, Markup) for block in section.blocks]}
        for section in sections
    ]
    page: str = environment.from_string(template.read_text()).render(
        title=title, subtitle=subtitle, notice=NOTICE, sections=content, version=__version__
    )
    return page
