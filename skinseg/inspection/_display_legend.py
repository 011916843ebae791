"""Text and legends below a picture, in points from its lower edge, and hatched regions on it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from ._display_view import TEXT_SIZE, View, show

__all__ = ["Entry", "draw_legend", "draw_note", "hatch", "show_with_room", "wrap"]

_ROW = 1.42 * TEXT_SIZE  # points from line to line
_GAP = 4.0  # points between picture and text
_SWATCH, _BETWEEN = 15.0, 4.0  # points: width of a swatch, and what lies beside it
_LETTER = 0.62  # width of most letters over their size, and of others
_LETTERS = dict.fromkeys(" ijl.,:;'|()", 0.32) | dict.fromkeys("ftr-", 0.40) | dict.fromkeys("mwM%×=", 0.9)


class Entry(NamedTuple):
    """A line of a legend.

    Parameters
    ----------
    label : str
        Its text.
    style : dict
        Of a line (with ``linestyle``), or of a patch (with ``facecolor``); nothing is drawn if empty.
    """

    label: str
    style: dict[str, Any]


def show_with_room(ax: Any, view: View, pixels: np.ndarray | None = None, *, rows: int) -> Any:
    """Show a picture at the top of the axes, with room for some rows of text below it; the picture."""
    picture = show(ax, view, pixels)
    top, left, bottom, right = view.box
    width, height = ax.bbox.width, ax.bbox.height
    room = min(0.5 * height, (_GAP + rows * _ROW) * ax.figure.dpi / 72)
    scale = max((right - left) / width, (bottom - top) / (height - room))  # pixels of the image per dot
    ax.set(xlim=(left, right), ylim=(bottom + scale * room, top))
    ax.set_aspect("equal", adjustable="box", anchor="N")
    return picture


def _below(ax: Any, view: View) -> Any:
    """Transform of points, x from the middle of a picture and y upward from its lower edge."""
    from matplotlib.transforms import Affine2D, ScaledTranslation

    _, left, bottom, right = view.box
    points = Affine2D().scale(1 / 72) + ax.figure.dpi_scale_trans
    return points + ScaledTranslation((left + right) / 2, bottom, ax.transData)


def draw_note(ax: Any, view: View, text: str, *, row: float = 0) -> Any:
    """Write some lines below a picture, from a row on; their text."""
    return ax.text(0, -_GAP - row * _ROW, text, transform=_below(ax, view), ha="center", va="top", fontsize=TEXT_SIZE,
                   linespacing=1.2, in_layout=False)  # fmt: skip


def _width(text: str) -> float:
    """Estimate the width of a text over the size of its letters; to measure it takes long."""
    return sum(_LETTERS.get(letter, _LETTER) for letter in text)


def draw_legend(
    ax: Any, view: View | None, entries: Iterable[Entry], *, columns: int = 1, row: float = 0, transform: Any = None
) -> list[Any]:
    """Draw a legend below a picture; its texts.

    matplotlib's own takes several times as long, for it measures every text, and those of panels side by side would
    not line up.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    where = _below(ax, view) if transform is None and view is not None else transform
    entries = list(entries)
    n_rows = -(-len(entries) // columns)
    parts: list[Sequence[Entry]] = [entries[start : start + n_rows] for start in range(0, len(entries), n_rows)]
    widths = [_SWATCH + _BETWEEN + TEXT_SIZE * max(_width(entry.label) for entry in part) for part in parts]
    x = -(sum(widths) + 2 * _BETWEEN * (len(parts) - 1)) / 2
    texts = []
    for part, width in zip(parts, widths, strict=True):
        for number, (label, style) in enumerate(part):
            y = -_GAP - (row + number + 0.5) * _ROW
            common: dict[str, Any] = {"transform": where, "clip_on": False, "gid": "legend", "in_layout": False}
            if "facecolor" in style:
                ax.add_artist(Rectangle((x, y - 0.32 * TEXT_SIZE), _SWATCH, 0.75 * TEXT_SIZE, **common, **style))
            elif style:
                ax.add_artist(Line2D([x, x + _SWATCH], [y, y], solid_capstyle="butt", **common, **style))
            texts.append(
                ax.text(x + _SWATCH + _BETWEEN, y, label, ha="left", va="center", fontsize=TEXT_SIZE, **common)
            )
        x += width + 2 * _BETWEEN
    return texts


def draw_scale(ax: Any, view: View, colors: Any, label: str, *, row: float) -> None:
    """Draw a scale of colors from 0 to 1 below a picture."""
    from matplotlib.collections import LineCollection

    where, n = _below(ax, view), 32
    y = -_GAP - (row + 0.5) * _ROW
    x = np.linspace(-32, 32, n + 1)
    segments = np.stack([np.column_stack([x[:-1], np.full(n, y)]), np.column_stack([x[1:] + 0.5, np.full(n, y)])], 1)
    bar = LineCollection(list(segments), colors=colors(np.linspace(0, 1, n)), linewidths=0.75 * TEXT_SIZE,
                         transform=where, capstyle="butt", clip_on=False, gid="scale", in_layout=False)  # fmt: skip
    ax.add_collection(bar, autolim=False)
    for x_text, text, side in ((-36, f"{label}  0", "right"), (36, "1", "left")):
        ax.text(x_text, y, text, ha=side, va="center", fontsize=TEXT_SIZE, transform=where, in_layout=False)


def wrap(text: str, width: int = 44) -> str:
    """Break a reason into lines."""
    return "\n".join(textwrap.wrap(text, width))


def hatch(
    ax: Any, view: View, region: np.ndarray, pattern: str | None, color: Any, face: Any = "none", **style: Any
) -> Any:
    """Hatch a region, given as a mask of the view; the patch, None if the region is empty."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    # each pixel as four: the outline then runs along the edges of pixels but for a quarter of one
    doubled = np.pad(region.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1), 1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    vertices, codes = [], []
    for ring in contours:
        points = view.to_image((ring[:, 0, ::-1] - 1.5) / 2)[:, ::-1]
        vertices += [points, points[:1]]
        codes += [Path.MOVETO] + [Path.LINETO] * (len(ring) - 1) + [Path.CLOSEPOLY]
    settings = {"linewidth": 0.8, "zorder": 2.2} | style
    path = Path(np.concatenate(vertices), codes)
    # added without looking for its limits, which takes long: the picture has set those
    return ax.add_artist(PathPatch(path, facecolor=face, edgecolor=color, hatch=pattern, **settings))
