"""Panels of `ABCDDisplay`: outline, asymmetry and border."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ._display_view import (
    GREEN,
    ORANGE,
    SKY,
    TEXT_SIZE,
    TITLE_SIZE,
    View,
    draw_lines,
    draw_scale_bar,
    say_empty,
    show,
    trace,
)

__all__ = ["Panel", "draw_asymmetry", "draw_border", "draw_outline_panel", "hatch", "legend", "start", "title"]

AXIS_COLORS = (SKY, ORANGE)
AXIS_HATCHES = ("////", "\\\\\\\\")
_AXIS_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.6)))
_TEXT_ROWS = 4  # lines of text for which there is room below each picture
_ROW = 1.45  # height of a line over the size of its letters


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
        return "not measured" if math.isnan(value) else f"{value:g} of {most}"


def title(ax: Any, text: str) -> None:
    """Put a title over a panel."""
    ax.set_title(text, fontsize=TITLE_SIZE, pad=4)


def start(ax: Any, panel: Panel, pixels: np.ndarray | None = None) -> bool:
    """Show the lesion in the upper part of the axes, with room for text below; tell whether there is a lesion."""
    view = panel.view
    show(ax, view, pixels)
    top, left, bottom, right = view.box
    width, height = ax.bbox.width, ax.bbox.height
    room = min(0.5 * height, _TEXT_ROWS * _ROW * TEXT_SIZE * ax.figure.dpi / 72)
    scale = max((right - left) / width, (bottom - top) / (height - room))  # pixels of the image per dot
    beside = (scale * width - (right - left)) / 2
    above = (scale * (height - room) - (bottom - top)) / 2
    ax.set_xlim(left - beside, right + beside)
    ax.set_ylim(bottom + above + scale * room, top - above)
    ax.set_aspect("equal", adjustable="datalim")
    empty = panel.explanation is None
    if empty:
        say_empty(ax)
    return not empty


def room_below(ax: Any) -> float:
    """Give the share of the axes below the picture."""
    return min(0.5, _TEXT_ROWS * _ROW * TEXT_SIZE * float(ax.figure.dpi) / 72 / float(ax.bbox.height))


def legend(ax: Any, handles: Iterable[Any], *, columns: int = 1, title: str | None = None) -> None:
    """Put a legend below the picture of a panel."""
    ax.legend(
        handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, room_below(ax)), ncols=columns, frameon=False,
        fontsize=TEXT_SIZE, handlelength=1.8, handletextpad=0.5, columnspacing=1.0, labelspacing=0.25, borderpad=0.2,
        borderaxespad=0.1, title=title, title_fontsize=TEXT_SIZE,
    )  # fmt: skip


def note(ax: Any, text: str) -> None:
    """Write a few lines below the picture of a panel."""
    ax.text(0.5, room_below(ax) - 0.02, text, transform=ax.transAxes, ha="center", va="top", fontsize=TEXT_SIZE,
            linespacing=_ROW - 0.1)  # fmt: skip


def wrap(text: str, width: int = 44) -> str:
    """Break a reason into lines."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def hatch(
    ax: Any, view: View, region: np.ndarray, pattern: str | None, color: Any, face: Any = "none", **style: Any
) -> Any:
    """Hatch a region, given as a mask of the view; None if it is empty."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [ring[:, 0, ::-1] for ring in contours if len(ring) > 2]
    if not rings:
        return None
    vertices, codes = [], []
    for ring in rings:
        points = view.to_image(ring)[:, ::-1]
        vertices += [points, points[:1]]
        codes += [Path.MOVETO] + [Path.LINETO] * (len(ring) - 1) + [Path.CLOSEPOLY]
    settings = {"linewidth": 0.8, "zorder": 2.2} | style
    patch = PathPatch(Path(np.concatenate(vertices), codes), facecolor=face, edgecolor=color, hatch=pattern, **settings)
    ax.add_patch(patch)
    return patch


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
    lines += ["reaches the edge of the view: sizes are lower bounds"] if cut else []
    note(ax, "\n".join(lines))


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
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

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

    draw_lines(ax, trace(view, "mask"), "white", width=0.8)
    handles: list[Any] = []
    for number, (axis, asymmetric) in enumerate(zip(explanation["best_axes"], explanation["asymmetric"], strict=True)):
        color, dashes = AXIS_COLORS[number], _AXIS_DASHES[number]
        alone = fold_difference(mask, view.from_image(axis), inside)
        hatch(ax, view, alone, AXIS_HATCHES[number], color, linewidth=0.0)
        line = draw_lines(ax, axis[:, ::-1], color, width=2.0, dashes=dashes)
        line.set_gid(f"best axis {number + 1}")
        handles.append(Line2D([], [], color=color, linestyle=dashes, linewidth=2,
                              label=f"axis {number + 1}: {_asymmetric_in(asymmetric)}"))  # fmt: skip
    handles.append(Patch(facecolor="#dddddd", edgecolor="#555555", hatch="////", linewidth=0,
                         label="without counterpart when folded"))  # fmt: skip
    legend(ax, handles)


# ---------------------------------------------------------------------- border


def _pieces(points: np.ndarray, longest: float) -> np.ndarray:
    """Cut a part of the outline where it jumps: rows of NaN between the pieces."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    return np.insert(points, np.flatnonzero(steps > longest) + 1, np.nan, axis=0)


def draw_border(ax: Any, panel: Panel) -> None:
    """Draw the octants of the border in colors of their sharpness; abrupt ones are thick."""
    import matplotlib as mpl
    from matplotlib.lines import Line2D
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
    middle = outline.mean(axis=0)
    radius = float(np.sqrt(((outline - middle) ** 2).sum(axis=1)).max())
    for number, octant in enumerate(octants, 1):
        seen = not math.isnan(octant["sharpness"])
        points = _pieces(octant["outline"][:, ::-1], longest)
        color = colors(octant["sharpness"]) if seen else "#bbbbbb"
        width = 4.5 if octant["abrupt"] else 1.8
        line = draw_lines(ax, points, color, width=width, dashes="-" if seen else (0, (1.5, 1.5)))
        line.set_gid(f"octant {number}")
        angle = octant["start_angle"] + math.pi / 8
        along = np.array([math.sin(angle), math.cos(angle)])
        own = octant["outline"] - middle
        away = float((own @ along).max()) if len(own) else radius
        y, x = middle + (away + 0.16 * max(radius, 4)) * along
        ax.text(x, y, str(number), ha="center", va="center", fontsize=TEXT_SIZE, color="white", zorder=3,
                fontweight="bold" if octant["abrupt"] else "normal", clip_on=False,
                path_effects=[withStroke(linewidth=1.8, foreground="black")])  # fmt: skip
    handles = [
        Line2D([], [], color=colors(0.85), linewidth=4.5, label="ends abruptly"),
        Line2D([], [], color=colors(0.25), linewidth=1.8, label="fades"),
    ]
    if any(math.isnan(octant["sharpness"]) for octant in octants):
        handles.append(Line2D([], [], color="#999999", linewidth=1.8, linestyle=(0, (1.5, 1.5)), label="not seen"))
    if math.isnan(panel.value("border_score")):
        note(ax, wrap(panel.reason("border_score")))
        return
    legend(ax, handles, columns=len(handles))
    _sharpness_scale(ax, colors)


def _sharpness_scale(ax: Any, colors: Any) -> None:
    """Draw the scale of the sharpness below the legend."""
    room = room_below(ax)
    inner = ax.inset_axes((0.3, 0.33 * room, 0.4, 0.1 * room))
    inner.imshow(colors(np.linspace(0, 1, 64))[None], extent=(0, 1, 0, 1), aspect="auto")
    inner.set_axis_off()
    for x, text, side in ((0, "0 ", "right"), (1, " 1", "left")):
        inner.text(x, 0.5, text, ha=side, va="center", fontsize=TEXT_SIZE)
    inner.text(0.5, -0.4, "sharpness", ha="center", va="top", fontsize=TEXT_SIZE)
