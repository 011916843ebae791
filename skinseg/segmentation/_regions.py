"""Superpixels and what is measured on them."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from skimage.segmentation import slic

from ..masks import clean_mask
from ._saliency import saliency_scene, skin_of
from ._scene import Scene
from ._threshold import threshold_scene

__all__ = ["REGION_FEATURES", "adjacency", "find_superpixels", "measure_regions"]

_OUTLINES = ("threshold", "saliency")
_PLANES = (
    "to_skin_L", "to_skin_a", "to_skin_b", "to_skin",
    *(f"{plane}_{name}" for name in _OUTLINES for plane in ("depth", "level")),
    "radius", "x", "y", "edge_distance", "to_core", "core_ratio",
    "wide_L", "wide_a", "wide_b", "wide_to_skin", "wider_to_skin",
)  # fmt: skip
_GLOBAL = (
    "contrast_99", "contrast_50", "valid_share",
    *(f"{plane}_{name}" for name in _OUTLINES for plane in ("area", "inside", "outside")),
    "agreement",
)  # fmt: skip
REGION_FEATURES = (
    *(f"mean_{name}" for name in _PLANES), "spread_L", "spread_fine",
    *(f"around_{name}" for name in ("to_skin_L", "to_skin_a", "to_skin_b", "to_skin")),
    "rank_to_skin", "rank_blue", "barrier",
    *(f"image_{name}" for name in _GLOBAL),
)  # fmt: skip
"""Names of what `measure_regions` gives, in order.

Colors are differences to the skin of the same image, and no absolute ones: trees would learn from these where an image
was taken.
"""


def find_superpixels(scene: Scene, n_segments: int, compactness: float) -> np.ndarray:
    """Cut a scene into superpixels by SLIC, on its quiet colors.

    Returns
    -------
    ndarray of shape (H, W), int
        Labels from 0 on, none left out.
    """
    labels = slic(
        scene.lab.astype(np.float64), n_segments, compactness=compactness, max_num_iter=5, convert2lab=False,
        start_label=0, enforce_connectivity=True, channel_axis=-1,
    )  # fmt: skip
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.intp)


def adjacency(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give each pair of neighboring regions once, and the length of the border between them."""
    pairs = np.concatenate([
        np.stack([labels[:, 1:].ravel(), labels[:, :-1].ravel()]), np.stack([labels[1:].ravel(), labels[:-1].ravel()]),
    ], axis=1)  # fmt: skip
    pairs = np.sort(pairs[:, pairs[0] != pairs[1]], axis=0)
    number = int(labels.max()) + 1
    keys, lengths = np.unique(pairs[0] * number + pairs[1], return_counts=True)
    return keys // number, keys % number, lengths


def _means(labels: np.ndarray, planes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    flat = labels.ravel()
    columns = [np.bincount(flat, weights=plane.ravel(), minlength=len(counts)) for plane in planes]
    return np.stack(columns, axis=1) / counts[:, None]


def _barrier(labels: np.ndarray, colors: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Least sum of color steps on a way from the edge of the image to each region."""
    first, second, _ = pairs
    number = len(colors)
    if not len(first):
        return np.zeros(number)
    steps = np.sqrt(((colors[first] - colors[second]) ** 2).sum(axis=1)) + 1e-3
    ends = first.astype(np.int32), second.astype(np.int32)  # scipy before 1.13 finds no ways in graphs of int64
    graph = coo_array((steps, ends), shape=(number, number)).tocsr()
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return dijkstra(graph, directed=False, indices=edge, min_only=True)


def _outline_planes(scene: Scene, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance to a clean outline, in its radius, and the outline."""
    mask = clean_mask(raw, field=scene.field, opening=0.045, closing=0.08, margin=0.05, smoothing=0.01)
    if not mask.any() or mask.all():
        return np.zeros(scene.shape, np.float32), mask
    inside = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
    return (inside - outside) / np.float32(np.sqrt(mask.sum() / np.pi)), mask


def _core_planes(
    departure: np.ndarray, contrast: np.ndarray, depths: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance in CIELAB to the core of the lesion, and where between core and skin a pixel lies, from 0 to 1."""
    depth = depths[0] + depths[1]
    core = (depth > 0.5 * depth.max()) & (depths[0] > 0) & (depths[1] > 0)
    if not core.any():
        return np.zeros_like(contrast), np.zeros_like(contrast)
    distance = np.sqrt(((departure - departure[core].mean(axis=0)) ** 2).sum(axis=-1))
    return distance, contrast / np.maximum(contrast + distance, 1e-3)


def measure_regions(scene: Scene, labels: np.ndarray) -> np.ndarray:
    """Measure the regions of a scene that is not blank.

    Returns
    -------
    ndarray of shape (n_regions, n_features), float32
        Columns as in `REGION_FEATURES`.
    """
    counts = np.bincount(labels.ravel()).astype(np.float64)
    departure = scene.departure(skin_of(scene))
    contrast = np.sqrt((departure**2).sum(axis=-1))
    raw = threshold_scene(scene)
    saliency = saliency_scene(scene)
    depths, masks = zip(*(_outline_planes(scene, plane) for plane in (raw, saliency >= 0.5)), strict=True)
    height, width = scene.shape
    y = np.broadcast_to(((np.arange(height) - (height - 1) / 2) / scene.side)[:, None], scene.shape)
    x = np.broadcast_to(((np.arange(width) - (width - 1) / 2) / scene.side)[None], scene.shape)
    padded = np.pad(scene.field, 1).view(np.uint8)
    to_edge = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] / scene.side
    planes = [
        *np.moveaxis(departure, -1, 0), contrast,
        depths[0], raw, depths[1], saliency, np.hypot(x, y), np.abs(x), np.abs(y), to_edge,
        *_core_planes(departure, contrast, depths),
        *np.moveaxis(cv2.GaussianBlur(departure, (0, 0), 0.04 * scene.side), -1, 0),
        *(cv2.GaussianBlur(contrast, (0, 0), width * scene.side) for width in (0.04, 0.12)),
    ]  # fmt: skip
    means = _means(labels, np.stack([plane.astype(np.float32) for plane in planes]), counts)
    absolute = _means(labels, np.stack([*np.moveaxis(scene.lab, -1, 0), scene.quiet[..., 2]]), counts)
    square = _means(labels, scene.lab[None, ..., 0] ** 2, counts)[:, 0]
    spread = np.sqrt(np.maximum(square - absolute[:, 0] ** 2, 0))
    gray = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = _means(labels, np.abs(gray - cv2.GaussianBlur(gray, (0, 0), 1.5))[None], counts)[:, 0]
    pairs = adjacency(labels)
    around = means[:, :4] - _around(means[:, :4], pairs)
    ranked = np.column_stack([means[:, 3], absolute[:, 3]])
    ranks = np.argsort(np.argsort(ranked, axis=0, kind="stable"), axis=0, kind="stable") / len(counts)
    barrier = _barrier(labels, absolute[:, :3], pairs)
    local = np.column_stack([means, spread, fine, around, ranks, barrier])
    image = _image_values(scene, contrast, masks)
    return np.column_stack([local, np.broadcast_to(image, (len(counts), len(image)))]).astype(np.float32)


def _around(values: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Mean of the neighbors' values, weighted by the common border; a region without neighbors has its own."""
    first, second, length = pairs
    number = len(values)
    both = np.concatenate([first, second]), np.concatenate([second, first])
    graph = coo_array((np.tile(length.astype(np.float64), 2), both), shape=(number, number)).tocsr()
    total = np.asarray(graph.sum(axis=1)).ravel()
    return np.where(total[:, None] > 0, (graph @ values) / np.maximum(total, 1)[:, None], values)


def _image_values(scene: Scene, contrast: np.ndarray, masks: tuple[np.ndarray, ...]) -> np.ndarray:
    """Measure what is the same for all regions of an image: skin, contrast, and the two first outlines."""
    valid = scene.valid
    values = [*np.percentile(contrast[valid], [99, 50]), valid.mean()]
    for mask in masks:
        around = (cv2.dilate(mask.view(np.uint8), np.ones((15, 15), np.uint8)) > 0) & ~mask & valid
        inside = float(contrast[mask].mean()) if mask.any() else 0.0
        outside = float(contrast[around].mean()) if around.any() else 0.0
        values += [mask.mean(), inside, outside]
    union = np.count_nonzero(masks[0] | masks[1])
    return np.array([*values, np.count_nonzero(masks[0] & masks[1]) / union if union else 1.0])
