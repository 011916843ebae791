"""Panels of `ABCDDisplay`: color, dimension, structure and the total dermoscopy score."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from ..features.color import COLOR_NAMES
from ..features.structure import LABELS
from ..rule import BENIGN_BELOW, COLUMNS, HIGHLY_ABOVE, WEIGHTS, verdict_of
from ._display_legend import Entry, draw_legend, draw_note, hatch, wrap
from ._display_panels import Panel, start, title, with_outline
from ._display_view import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    TEXT_SIZE,
    VERMILION,
    YELLOW,
    draw_lines,
    draw_scale_bar,
)

__all__ = ["draw_color", "draw_dimension", "draw_structure", "draw_tds"]

# what each color of the rule is shown as, and a hatch with its color to tell it by without seeing colors
CLINICAL: dict[str, tuple[str, str, str]] = {
    "white": ("#ffffff", "", "none"),
    "red": ("#c8102e", "////", "#ffb3bd"),
    "light_brown": ("#c99a5b", "", "none"),
    "dark_brown": ("#6b3a12", "....", "#c9a27e"),
    "blue_gray": ("#7d94ad", "\\\\\\\\", "#22354a"),
    "black": ("#000000", "", "none"),
}
STRUCTURES: dict[str, tuple[str, str]] = {
    "network": (BLUE, "xxxx"),
    "homogeneous": (GREEN, "...."),
    "streaks": (VERMILION, "||||"),
    "dots": ("#000000", ""),
    "globules": (PURPLE, "oooo"),
}
PARTS: dict[str, tuple[str, str, str]] = {
    "asymmetry": ("A", BLUE, "////"),
    "border": ("B", ORANGE, ""),
    "colors": ("C", GREEN, "\\\\\\\\"),
    "structures": ("D", SKY, "...."),
}
_PRESENT = 0.04  # share from which a color counts, see `skinseg.features.color`
_ELSEWHERE = 0.6  # how far towards white what carries no color goes


def _faded(pixels: np.ndarray, *, gray: bool) -> np.ndarray:
    """Fade a picture, so that what is drawn on it stands out."""
    if gray:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.asarray(pixels * (1 - _ELSEWHERE) + 255 * _ELSEWHERE).astype(np.uint8)


# ---------------------------------------------------------------------- color


def draw_color(ax: Any, panel: Panel) -> None:
    """Draw the six colors of the rule as a map, with their shares."""
    from matplotlib.colors import to_rgb

    view = panel.view
    if panel.explanation is None:
        start(ax, panel)
        title(ax, "C  Color")
        return
    labels = view.cut(panel.explanation["color_map"])
    pixels = _faded(view.image, gray=False)
    for place, name in enumerate(COLOR_NAMES):
        pixels[labels == place] = np.rint(np.array(to_rgb(CLINICAL[name][0])) * 255)
    start(ax, panel, pixels)
    title(ax, f"C  Color {panel.score('color_count', 6)}")
    with_outline(ax, panel)
    if "color_count" in panel.explanation["reasons"]:  # shares may be asked for without the count
        draw_note(ax, view, wrap(panel.reason("color_count")))
        return
    entries = []
    for place, name in enumerate(COLOR_NAMES):
        face, pattern, line = CLINICAL[name]
        share = panel.value(f"color_{name}_share")
        here = labels == place
        if pattern and here.any():
            hatch(ax, view, here, pattern, line, linewidth=0.0, gid=name)
        text = "not measured" if math.isnan(share) else f"{100 * share:.0f} %"
        text += " •" if share >= _PRESENT else ""
        style = {"facecolor": face, "edgecolor": line if pattern else "#555555", "hatch": pattern or None}
        entries.append(Entry(f"{name.replace('_', ' ')} {text}", {**style, "linewidth": 0.5}))
    draw_legend(ax, view, [*entries, Entry("• counts", {})], columns=2)


# ---------------------------------------------------------------------- dimension

_LENGTHS: tuple[tuple[str, str, str, Any, float], ...] = (
    ("feret_max", "longest diameter", VERMILION, "-", 2.0),
    ("feret_min", "least width", SKY, (0, (4, 1.6)), 2.0),
    ("axis_major", "long axis", YELLOW, (0, (1, 1.2)), 1.6),
    ("axis_minor", "short axis", PURPLE, (0, (5, 1.5, 1, 1.5)), 1.6),
)


def draw_dimension(ax: Any, panel: Panel) -> None:
    """Draw diameters and axes with their lengths, and a scale bar."""
    found = start(ax, panel)
    title(ax, "Dimension")
    draw_scale_bar(ax, panel.view)
    if not found:
        return
    unit = panel.view.unit
    with_outline(ax, panel)
    entries = []
    for key, words, color, dashes, width in _LENGTHS:
        line = draw_lines(
            ax, np.asarray(panel.explanation[key])[:, ::-1], color, dashes=dashes, width=width, within=panel.view
        )
        line.set_gid(key)
        length = panel.value(f"dimension_{key}_{unit}")
        text = "not measured" if math.isnan(length) else f"{_three_digits(length)} {unit}"
        entries.append(Entry(f"{words} {text}", {"color": color, "linestyle": dashes, "linewidth": width}))
    draw_legend(ax, panel.view, entries)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


# ---------------------------------------------------------------------- structure


def draw_structure(ax: Any, panel: Panel) -> None:
    """Draw which structure was found where, and tell which are present."""
    from matplotlib.colors import to_rgb

    view = panel.view
    found = start(ax, panel, None if panel.explanation is None else _faded(view.image, gray=True))
    if not found:
        title(ax, "D  Structures")
        return
    title(ax, f"D  Structures {panel.score('structure_count', 5)}")
    with_outline(ax, panel)
    if math.isnan(panel.value("structure_count")):
        draw_note(ax, view, wrap(panel.reason("structure_count")))
        return
    labels = view.cut(panel.explanation["structure_map"])
    entries, total = [], 0.0
    for kind, (color, pattern) in STRUCTURES.items():
        here = labels == LABELS.index(kind)
        face = (*to_rgb(color), 0.3 if pattern else 1.0)
        hatch(ax, view, here, pattern or None, color, face, gid=kind)
        score = panel.value(f"structure_{kind}")
        text = "not measured" if math.isnan(score) else f"{score:.2f}"
        total += score
        style = {"facecolor": face, "edgecolor": color, "hatch": pattern or None, "linewidth": 0.8}
        entries.append(Entry(f"{kind} {text}", style))
    draw_legend(ax, view, [*entries, Entry(f"sum {total:.2f}", {})], columns=2)


# ---------------------------------------------------------------------- total dermoscopy score

_HIGHEST = 8.9
_ZONES = (
    (1.0, BENIGN_BELOW, "#f2f2f2", "", f"benign\nbelow {BENIGN_BELOW:g}"),
    (BENIGN_BELOW, HIGHLY_ABOVE, "#d0d0d0", "////", f"suspicious\n{BENIGN_BELOW:g} to {HIGHLY_ABOVE:g}"),
    (HIGHLY_ABOVE, _HIGHEST, "#a8a8a8", "", f"highly suspicious\nabove {HIGHLY_ABOVE:g}"),
)


def draw_tds(ax: Any, panel: Panel) -> None:
    """Draw the total dermoscopy score with its contributions and the zones of the rule."""
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import Affine2D, ScaledTranslation

    ax.set(xlim=(-0.25, 9.15), ylim=(0.12, 0.97))
    ax.set_axis_off()
    for low, high, color, pattern, words in _ZONES:
        ax.add_patch(Rectangle((low, 0.50), high - low, 0.14, facecolor=color, edgecolor="#555555", linewidth=0.6,
                               hatch=pattern or None))  # fmt: skip
        ax.text((low + high) / 2, 0.47, words, ha="center", va="top", fontsize=TEXT_SIZE, linespacing=1.2)
    for edge in (1.0, _HIGHEST):
        ax.text(edge, 0.47, f"{edge:g}", ha="center", va="top", fontsize=TEXT_SIZE, color="#555555")
    if panel.explanation is None:
        title(ax, "Total dermoscopy score not measured")
        ax.text(4.45, 0.75, "no lesion found", ha="center", va="center", fontsize=TEXT_SIZE + 1)
        return
    values = {part: panel.value(column) for part, column in COLUMNS.items()}
    score = panel.value("tds")
    if math.isnan(score):
        title(ax, "Total dermoscopy score not measured")
    else:
        title(ax, f"Total dermoscopy score {score:.2f}: {verdict_of(score)}")
    entries, at = [], 0.0
    for part, (letter, color, pattern) in PARTS.items():
        value, weight = values[part], WEIGHTS[part]
        if math.isnan(value):
            entries.append(Entry(f"{letter} not measured", {}))
            continue
        digits = 1 if value.is_integer() else 2  # a border score is scaled where part of the border is out of sight
        words = f"{weight:g} × {letter} {value:.3g} = {weight * value:.{digits}f}"
        style = {"facecolor": color, "edgecolor": "white", "hatch": pattern or None, "linewidth": 0}
        entries.append(Entry(words, style))
        if not math.isnan(score) and value:
            bar = Rectangle((at, 0.72), weight * value, 0.16, facecolor=color, edgecolor="white",
                            hatch=pattern or None, linewidth=0.8)  # fmt: skip
            bar.set_gid(letter)
            ax.add_patch(bar)
            if weight * value >= 0.35:
                ax.text(at + weight * value / 2, 0.80, letter, ha="center", va="center", fontsize=TEXT_SIZE,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2})  # fmt: skip
            at += weight * value
    if math.isnan(score):
        missing = [part for part, value in values.items() if math.isnan(value)]
        reasons = dict.fromkeys(f"{PARTS[part][0]}: {panel.reason(COLUMNS[part])}" for part in missing)
        text = "; ".join(reasons) or panel.reason("tds")
        ax.text(4.45, 0.80, wrap(text, 70), ha="center", va="center", fontsize=TEXT_SIZE)
    else:
        ax.plot([score, score], [0.50, 0.95], color="black", linewidth=1.4, gid="score", zorder=3)
        ax.plot([score], [0.95], marker="v", color="black", markersize=5, zorder=3)
    points = Affine2D().scale(1 / 72) + ax.figure.dpi_scale_trans
    draw_legend(ax, None, entries, columns=2, transform=points + ScaledTranslation(4.45, 0.33, ax.transData))
