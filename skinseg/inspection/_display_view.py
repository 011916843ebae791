"""What all displays share: the part of an image that is shown, outlines on it, its scale bar, and the axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from skimage.measure import find_contours

from ..images import LesionImage, check_images
from ..resampling import resize_image, shrink_to

__all__ = [
    "BLUE",
    "EMPTY",
    "GREEN",
    "NOTICE",
    "ORANGE",
    "PURPLE",
    "SKY",
    "TEXT_SIZE",
    "TITLE_SIZE",
    "VERMILION",
    "YELLOW",
    "View",
    "add_notice",
    "clip",
    "draw_lines",
    "draw_scale_bar",
    "make_view",
    "mask_of",
    "plain_title",
    "record_of",
    "say_empty",
    "show",
    "trace",
]

# M. Okabe and K. Ito, "Color Universal Design" (2008): told apart by the color-blind
GREEN, VERMILION, BLUE = "#009E73", "#D55E00", "#0072B2"
ORANGE, SKY, YELLOW, PURPLE = "#E69F00", "#56B4E9", "#F0E442", "#CC79A7"

EMPTY = "no lesion found"
NOTICE = "Research software, no medical device"
TITLE_SIZE, TEXT_SIZE = 9.5, 7.5
_LEAST_SIDE = 16  # of what is shown, in pixels: a lesion of one pixel is shown with what is around it
_LEAST_SHARE = 0.1  # the same as a share of the shorter side of the image


def record_of(image: Any, caller: str, *, name: str | None = None, pixel_size: float | None = None) -> LesionImage:
    """Check one image, and make a record of it."""
    record = check_images([image], caller)[0]
    if record.error is not None:
        raise ValueError(f"{caller} cannot show {record.name or 'the image'}, which failed before: {record.error}")
    changes = {key: value for key, value in (("name", name), ("pixel_size", pixel_size)) if value is not None}
    return record.with_(**changes) if changes else record


def mask_of(record: LesionImage, mask: Any, plane: str, caller: str, *, optional: bool = False) -> np.ndarray | None:
    """Give a mask in the frame of the image: the one given, or that of the record."""
    if mask is None and not record.has(plane):
        if optional:
            return None
        raise ValueError(f"{caller} needs a mask: give one, or a LesionImage with its {plane}")
    if mask is not None:
        record = record.with_(**{plane: mask})
    values: np.ndarray = getattr(record, plane)
    return values


def plain_title(name: str, most: int = 48) -> str:
    """Shorten a name, and keep signs of it from being read as formulas."""
    name = " ".join(name.split())
    if len(name) > most:
        name = f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"
    return name.replace("$", r"\$")


def say_empty(ax: Any, view: View, text: str = EMPTY) -> Any:
    """Write into the middle of a picture that there is nothing to see."""
    top, left, bottom, right = view.box
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "#555555", "linewidth": 0.6, "pad": 4}
    return ax.text((left + right) / 2, (top + bottom) / 2, text, ha="center", va="center", fontsize=TITLE_SIZE,
                   bbox=box, zorder=4)  # fmt: skip


@dataclass(frozen=True, eq=False)
class View:
    """The part of an image that is shown, at the size at which it is shown.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3), uint8
        Its pixels.
    planes : dict of str to ndarray of shape (h, w), float32
        Masks, the share of each pixel that they cover.
    box : tuple of (float, float, float, float)
        Top, left, bottom and right edge in pixels of the whole image, whose pixels have their centers at whole numbers.
    shape : tuple of (int, int)
        Height and width of the whole image.
    unit : str
        ``"mm"`` or ``"px"``, the unit of lengths.
    unit_size : float
        This unit's number per pixel of the image.
    """

    image: np.ndarray
    planes: Mapping[str, np.ndarray]
    box: tuple[float, float, float, float]
    shape: tuple[int, int]
    unit: str
    unit_size: float
    _traced: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top, as `matplotlib.axes.Axes.imshow` takes them."""
        top, left, bottom, right = self.box
        return left, right, bottom, top

    @property
    def zoom(self) -> tuple[float, float]:
        """Pixels of the image per pixel of the view, down and across."""
        top, left, bottom, right = self.box
        return (bottom - top) / self.image.shape[0], (right - left) / self.image.shape[1]

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Map points (row, column) of the view to the image."""
        return (np.asarray(points) + 0.5) * self.zoom + (self.box[0], self.box[1])

    def from_image(self, points: np.ndarray) -> np.ndarray:
        """Map points (row, column) of the image to the view."""
        return (np.asarray(points) - (self.box[0], self.box[1])) / self.zoom - 0.5

    def mask(self, plane: str) -> np.ndarray:
        """Give a plane as a mask: one that is not empty stays so, however small it is shown."""
        soft = self.planes[plane]
        return soft >= _level(soft) if soft.max() > 0 else np.zeros(soft.shape, bool)

    def cut(self, labels: np.ndarray) -> np.ndarray:
        """Take the part of a label map of the image that is shown, to the nearest pixel."""
        rows, columns = (np.rint(self.to_image(np.stack([np.arange(n)] * 2, axis=1))[:, axis]).astype(np.intp)
                         for axis, n in enumerate(self.image.shape[:2]))  # fmt: skip
        return labels[np.clip(rows, 0, labels.shape[0] - 1)][:, np.clip(columns, 0, labels.shape[1] - 1)]

    def inward(self, point: np.ndarray, share: float) -> np.ndarray:
        """Move a point (row, column) of the image into the view, by a share of its sides away from the edges."""
        top, left, bottom, right = self.box
        away = share * np.array([bottom - top, right - left])
        return np.clip(point, np.array([top, left]) + away, np.array([bottom, right]) - away)


def _level(soft: np.ndarray) -> float:
    return min(0.5, float(soft.max()) / 2)


def _bounds(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return (top, left, top + height, left + width) if width else None


def _shrunk(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a mask to the size at which it is shown: the share of each pixel that it covers, float32."""
    if plane.dtype == bool:  # as bytes it takes a fourth of the time
        return resize_image(np.ascontiguousarray(plane).view(np.uint8) * np.uint8(255), shape) / np.float32(255)
    return np.asarray(resize_image(np.ascontiguousarray(plane, np.float32), shape))


def _box(
    shape: tuple[int, int], masks: Sequence[np.ndarray], margin: float | None, aspect: float
) -> tuple[int, int, int, int]:
    """Choose what is shown: the masks with a margin; the whole image without one, or if all are empty."""
    bounds = [] if margin is None else [found for mask in masks if (found := _bounds(mask)) is not None]
    if margin is None or not bounds:
        return 0, 0, *shape
    top, left, bottom, right = (pick(edges) for pick, edges in zip((min, min, max, max), zip(*bounds, strict=True),
                                                                    strict=True))  # fmt: skip
    around = margin * max(bottom - top, right - left)
    least = max(_LEAST_SIDE, _LEAST_SHARE * min(shape))
    down, across = (max(around, (least - side) / 2) for side in (bottom - top, right - left))
    across = max(across, (aspect * (bottom - top + 2 * down) - (right - left)) / 2)
    return (
        max(0, math.floor(top - down)), max(0, math.floor(left - across)),
        min(shape[0], math.ceil(bottom + down)), min(shape[1], math.ceil(right + across)),
    )  # fmt: skip


def make_view(
    record: LesionImage,
    planes: Mapping[str, np.ndarray | None],
    *,
    margin: float | None,
    max_side: int,
    aspect: float = 0,
) -> View:
    """Cut out what is shown, and shrink it; of a large JPEG file no more is decoded than that takes.

    ``aspect`` is the least width over height, as far as the image goes.
    """
    shape = record.shape
    given = {name: plane for name, plane in planes.items() if plane is not None}
    box = _box(shape, [plane > 0 if plane.dtype != bool else plane for plane in given.values()], margin, aspect)
    sides = box[2] - box[0], box[3] - box[1]
    zoom = min(1.0, max_side / max(sides))
    reduced = max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))
    if zoom < 1 and record.path is not None:
        whole = LesionImage(record.path).load_resized(reduced).image
        rate = np.array(reduced) / shape
        corner = np.minimum(np.floor(np.array(box[:2]) * rate).astype(int), np.array(reduced) - 1)
        end = np.maximum(np.minimum(np.ceil(np.array(box[2:]) * rate).astype(int), reduced), corner + 1)
        image = np.ascontiguousarray(whole[corner[0] : end[0], corner[1] : end[1]])
        edges = (*(corner / rate - 0.5).tolist(), *(end / rate - 0.5).tolist())
    else:
        image = shrink_to(np.ascontiguousarray(record.image[box[0] : box[2], box[1] : box[3]]), max_side)
        edges = tuple(edge - 0.5 for edge in box)
    rows, columns = (slice(max(0, round(edges[axis] + 0.5)), round(edges[axis + 2] + 0.5)) for axis in (0, 1))
    small = {name: _shrunk(plane[rows, columns], image.shape[:2]) for name, plane in given.items()}
    per_pixel = math.sqrt(record.geometry.scale[0] * record.geometry.scale[1])
    unit, size = ("px", per_pixel) if record.pixel_size is None else ("mm", per_pixel * record.pixel_size)
    return View(image, small, edges, shape, unit, size)


def trace(view: View, plane: str) -> np.ndarray:
    """Trace all outlines of a mask, (n, 2) as x, y in pixels of the image, with a row of NaN between two of them."""
    if plane not in view._traced:  # several panels draw it
        view._traced[plane] = _trace(view, view.planes[plane])
    return view._traced[plane]


def _trace(view: View, soft: np.ndarray) -> np.ndarray:
    if soft.max() <= 0:
        return np.zeros((0, 2))
    parts = []
    for contour in find_contours(np.pad(soft, 1), _level(soft)):
        height, width = soft.shape
        inside = np.clip(contour - 1, -0.5, (height - 0.5, width - 0.5))  # at the edge the outline is the edge
        parts += [view.to_image(inside)[:, ::-1], np.full((1, 2), np.nan)]
    return np.concatenate(parts[:-1])


def draw_lines(
    ax: Any,
    points: np.ndarray,
    color: Any,
    *,
    width: float = 1.6,
    dashes: Any = "-",
    label: str | None = None,
    within: View | None = None,
) -> Any:
    """Draw lines through points (x, y) on a dark casing, so that they are seen on light and dark ground; the line.

    Lines that may leave the picture are cut at its edges (``within``), for the axes are larger.
    """
    common = {"solid_joinstyle": "round", "zorder": 2.4}
    casing = ax.plot(*points.T, color="black", alpha=0.55, linewidth=width + 1.2, **common)[0]
    line = ax.plot(*points.T, color=color, linewidth=width, linestyle=dashes, label=label, **common)[0]
    if within is not None:
        for drawn in (casing, line):
            clip(ax, drawn, within)
    return line


def clip(ax: Any, artist: Any, view: View) -> None:
    """Cut what is drawn at the edges of the picture."""
    from matplotlib.patches import Rectangle

    top, left, bottom, right = view.box
    artist.set_clip_path(Rectangle((left, top), right - left, bottom - top, transform=ax.transData))


def show(ax: Any, view: View, pixels: np.ndarray | None = None) -> Any:
    """Show the pixels of a view in the frame of the image, without ticks."""
    picture = ax.imshow(view.image if pixels is None else pixels, extent=view.extent, interpolation="antialiased")
    ax.set_axis_off()
    return picture


def draw_scale_bar(ax: Any, view: View) -> Any:
    """Draw a bar of a round length into the lower left corner; its text."""
    from matplotlib.patheffects import withStroke

    top, left, bottom, right = view.box
    height, width = bottom - top, right - left
    length = _round_length(0.35 * width * view.unit_size)
    across = length / view.unit_size
    x, y = left + 0.04 * width, bottom - 0.05 * height
    line = np.array([[x, y], [x + across, y]])
    draw_lines(ax, line, "white", width=2.2)
    return ax.text(x, y - 0.02 * height, f"{length:g} {view.unit}", color="white", fontsize=TEXT_SIZE, va="bottom",
                   zorder=3, path_effects=[withStroke(linewidth=1.6, foreground="black")])  # fmt: skip


def _round_length(most: float) -> float:
    """Take the largest of 1, 2 and 5 times a power of ten that is no longer."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= most * (1 + 1e-9))


def add_notice(figure: Any) -> None:
    """Say at the foot of a figure what this is not."""
    figure.supxlabel(NOTICE, x=0.01, ha="left", fontsize=TEXT_SIZE, color="#555555")
