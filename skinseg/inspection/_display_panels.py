"""Panels of `ABCDDisplay`: outline, asymmetry and border."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ._display_legend import Entry, draw_legend, draw_note, draw_scale, hatch, show_with_room, wrap
from ._display_view import (
    GREEN,
    ORANGE,
    SKY,
    TEXT_SIZE,
    TITLE_SIZE,
    View,
    clip,
    draw_lines,
    draw_scale_bar,
    say_empty,
    trace,
)

__all__ = ["Panel", "draw_asymmetry", "draw_border", "draw_outline_panel", "start", "title", "with_outline"]

AXIS_COLORS = (SKY, ORANGE)
AXIS_HATCHES = ("////", "\\\\\\\\")
_AXIS_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.6)))
_UNSEEN = (0, (1.5, 1.5))  # dashes of octants that cannot be seen
_TEXT_ROWS = 4  # lines of text for which there is room below each picture
_COUNTERPART = "no counterpart when folded"


@dataclass(frozen=True, eq=False)
class Panel:
    """What a panel draws.

    Parameters
    ----------
    view : View
        What is shown, with the plane ``mask``.
    explanation : mapping or None
        Of `ABCDFeaturizer.explain`; None without a lesion.
    name : str or None
        Name of the image.
    confidence : float or None
        Confidence of the outline.
    """

    view: View
    explanation: Any
    name: str | None = None
    confidence: float | None = None

    def value(self, feature: str) -> float:
        """Give a feature; NaN where it was not measured."""
        return float(self.explanation["measured"].get(feature, math.nan))

    def reason(self, feature: str) -> str:
        """Tell why a feature is NaN."""
        unasked = "" if feature in self.explanation["measured"] else "not asked for"
        return str(self.explanation["reasons"].get(feature, unasked) or "reason not known")

    def score(self, feature: str, most: int) -> str:
        """Tell a score and what it can be at most."""
        value = self.value(feature)
        return "not measured" if math.isnan(value) else f"{value:.3g} of {most}"


def title(ax: Any, text: str) -> None:
    """Put a title over a panel."""
    ax.set_title(text, fontsize=TITLE_SIZE, y=1.0, pad=4)  # without y matplotlib looks for it among the ticks, slowly


def start(ax: Any, panel: Panel, pixels: np.ndarray | None = None) -> bool:
    """Show the lesion in the upper part of the axes, with room for text below; tell whether there is a lesion."""
    show_with_room(ax, panel.view, pixels, rows=_TEXT_ROWS)
    empty = panel.explanation is None
    if empty:
        say_empty(ax, panel.view)
    return not empty


def with_outline(ax: Any, panel: Panel) -> None:
    """Draw a thin outline."""
    draw_lines(ax, trace(panel.view, "mask"), "white", width=0.8)


# ---------------------------------------------------------------------- outline


def draw_outline_panel(ax: Any, panel: Panel) -> None:
    """Draw the outline, the confidence and a scale bar."""
    found = start(ax, panel)
    title(ax, "Outline")
    draw_scale_bar(ax, panel.view)
    if not found:
        return
    draw_lines(ax, trace(panel.view, "mask"), GREEN, label="outline")
    lines = [] if panel.confidence is None else [f"confidence {panel.confidence:.2f}"]
    cut = panel.value("dimension_leaves_frame") == 1
    lines += ["reaches the edge of the view:", "sizes are lower bounds"] if cut else []
    draw_note(ax, panel.view, "\n".join(lines))


# ---------------------------------------------------------------------- asymmetry


def fold_difference(mask: np.ndarray, axis: np.ndarray, inside: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Find the part of a mask that has no counterpart in it when it is folded along an axis.

    Parameters
    ----------
    mask : ndarray of shape (h, w), bool
        The lesion.
    axis : ndarray of shape (2, 2)
        Ends of the axis, (row, column).
    inside : callable
        From points (n, 2) to whether they lie in the image: what has its mirror place outside is not asked.

    Returns
    -------
    ndarray of shape (h, w), bool
        The part.
    """
    (y, x), along = axis[0], axis[1] - axis[0]
    angle = math.atan2(*along) if along.any() else 0.0
    cosine, sine = math.cos(2 * angle), math.sin(2 * angle)
    linear = np.array([[cosine, sine], [sine, -cosine]])
    matrix = np.column_stack([linear, np.array([x, y]) - linear @ (x, y)])
    mirrored = cv2.warpAffine(
        mask.astype(np.float32), matrix, mask.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    alone = mask & (mirrored < 0.5)
    rows, columns = np.nonzero(alone)
    places = np.column_stack([columns, rows]) @ matrix[:, :2].T + matrix[:, 2]
    alone[rows, columns] = inside(places[:, ::-1])
    return alone


def _asymmetric_in(asymmetric: Mapping[str, bool]) -> str:
    found = [what for what, is_so in asymmetric.items() if is_so]
    return f"asymmetric in {', '.join(found)}" if found else "symmetric"


def draw_asymmetry(ax: Any, panel: Panel) -> None:
    """Draw the best axes, what is asymmetric about each, and what has no counterpart when the lesion is folded."""
    from matplotlib.colors import to_rgb

    found = start(ax, panel)
    if not found:
        title(ax, "A  Asymmetry")
        return
    title(ax, f"A  Asymmetry {panel.score('asymmetry_score', 2)}")
    view, explanation = panel.view, panel.explanation
    mask, shape = view.mask("mask"), view.shape

    def inside(points: np.ndarray) -> np.ndarray:
        at = view.to_image(points)
        return np.asarray(((at >= -0.5) & (at <= np.array(shape) - 0.5)).all(axis=1))

    with_outline(ax, panel)
    entries = []
    for number, (axis, asymmetric) in enumerate(zip(explanation["best_axes"], explanation["asymmetric"], strict=True)):
        color, dashes = AXIS_COLORS[number], _AXIS_DASHES[number]
        alone = fold_difference(mask, view.from_image(axis), inside)
        hatch(ax, view, alone, AXIS_HATCHES[number], color, (*to_rgb(color), 0.35), linewidth=0.0,
              gid=f"fold {number + 1}")  # fmt: skip
        line = draw_lines(ax, axis[:, ::-1], color, width=2.0, dashes=dashes, within=view)
        line.set_gid(f"best axis {number + 1}")
        style = {"color": color, "linestyle": dashes, "linewidth": 2.0}
        entries.append(Entry(f"axis {number + 1}: {_asymmetric_in(asymmetric)}", style))
    style = {"facecolor": "#dddddd", "edgecolor": "#555555", "hatch": "////", "linewidth": 0}
    draw_legend(ax, view, [*entries, Entry(_COUNTERPART, style)])


# ---------------------------------------------------------------------- border


def _pieces(points: np.ndarray, longest: float) -> np.ndarray:
    """Cut a part of the outline where it jumps: rows of NaN between the pieces."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    return np.insert(points, np.flatnonzero(steps > longest) + 1, np.nan, axis=0)


def _centroid(polygon: np.ndarray) -> np.ndarray:
    """Centroid of the area of a polygon; of its corners where it has no area."""
    (y, x), (next_y, next_x) = polygon.T, np.roll(polygon, -1, axis=0).T
    cross = x * next_y - next_x * y
    if abs(cross.sum()) < 1e-9:
        return np.asarray(polygon.mean(axis=0))
    return np.array([((y + next_y) * cross).sum(), ((x + next_x) * cross).sum()]) / (3 * cross.sum())


def with_spokes(ax: Any, view: View, middle: np.ndarray, angles: list[float], radius: float) -> None:
    """Draw where octants begin: strokes from the center about which they lie."""
    ends = np.array([[math.cos(angle), math.sin(angle)] for angle in angles])  # x, y
    lines = np.full((3 * len(ends), 2), np.nan)
    lines[0::3] = middle[::-1]
    lines[1::3] = middle[::-1] + radius * ends
    (spokes,) = ax.plot(*lines.T, color="white", alpha=0.55, linewidth=0.7, zorder=2.3, gid="spokes")
    clip(ax, spokes, view)


def draw_border(ax: Any, panel: Panel) -> None:
    """Draw the octants of the border in colors of their sharpness; abrupt ones are thick."""
    import matplotlib as mpl
    from matplotlib.patheffects import withStroke

    found = start(ax, panel)
    if not found:
        title(ax, "B  Border")
        return
    explanation = panel.explanation
    title(ax, f"B  Border {panel.score('border_score', 8)}")
    colors = mpl.colormaps["cividis"]
    outline, octants = explanation["outline"], explanation["octants"]
    steps = np.hypot(*np.diff(outline, axis=0).T) if len(outline) > 1 else np.ones(1)
    longest = 5 * max(float(np.median(steps)), 1e-9)
    middle = _centroid(outline)
    radius = float(np.sqrt(((outline - middle) ** 2).sum(axis=1)).max())
    with_spokes(ax, panel.view, middle, [octant["start_angle"] for octant in octants], radius)
    beside = 0.07 * max(panel.view.box[2] - panel.view.box[0], panel.view.box[3] - panel.view.box[1])
    for number, octant in enumerate(octants, 1):
        seen = not math.isnan(octant["sharpness"])
        points = _pieces(octant["outline"][:, ::-1], longest)
        color = colors(octant["sharpness"]) if seen else "#bbbbbb"
        width = 4.5 if octant["abrupt"] else 1.8
        line = draw_lines(ax, points, color, width=width, dashes="-" if seen else _UNSEEN)
        line.set_gid(f"octant {number}")
        angle = octant["start_angle"] + math.pi / 8
        along = np.array([math.sin(angle), math.cos(angle)])
        own = octant["outline"] - middle
        away = float((own @ along).max()) if len(own) else radius
        y, x = panel.view.inward(middle + (away + beside) * along, 0.05)
        ax.text(x, y, str(number), ha="center", va="center", fontsize=TEXT_SIZE, color="white", zorder=3,
                fontweight="bold" if octant["abrupt"] else "normal", clip_on=False,
                path_effects=[withStroke(linewidth=1.8, foreground="black")])  # fmt: skip
    if math.isnan(panel.value("border_score")):
        draw_note(ax, panel.view, wrap(panel.reason("border_score")))
        return
    entries = [
        Entry("thick: ends abruptly", {"color": colors(0.75), "linestyle": "-", "linewidth": 4.5}),
        Entry("thin: fades", {"color": colors(0.3), "linestyle": "-", "linewidth": 1.8}),
    ]
    if any(math.isnan(octant["sharpness"]) for octant in octants):
        entries.append(Entry("not seen", {"color": "#999999", "linestyle": _UNSEEN, "linewidth": 1.8}))
    draw_scale(ax, panel.view, colors, "sharpness", row=0)
    draw_legend(ax, panel.view, entries, row=1)
