"""Segmentation by clusters of color."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval

from .._docs import fill_doc
from .._mapping import openmp_threads
from .._quiet import ignored_warnings
from ..images import LesionImage
from ._saliency import skin_of
from ._scene import ClassicalSegmenter, Scene

__all__ = ["KMeansSegmenter", "kmeans_scene", "segment_kmeans"]

_SAMPLE = 3000  # pixels on which the clusters are found


def kmeans_scene(scene: Scene, *, n_clusters: int = 8, offset: float = 0.4) -> np.ndarray:
    """Give the clusters of lesion colors in a scene that is not blank; parameters as in `segment_kmeans`."""
    valid = scene.valid
    pixels = scene.departure(skin_of(scene))[valid]
    height = np.sqrt((pixels**2).sum(axis=1))
    step = max(1, len(pixels) // _SAMPLE)
    sample = np.ascontiguousarray(pixels[::step])
    # one start that depends on nothing but the image: the mean color of each share of the contrast
    order = np.array_split(np.argsort(height[::step], kind="stable"), n_clusters)
    start = np.stack([sample[part].mean(axis=0) for part in order if len(part)])
    # fewer colors than clusters make no clusters
    start = np.unique(start.round(2), axis=0)[: len(np.unique(sample.round(2), axis=0))]
    if len(start) < 2:
        return np.zeros(scene.shape, bool)
    # of near colors a cluster may end without a pixel, which does no harm
    with openmp_threads(1), ignored_warnings(ConvergenceWarning, "Number of distinct clusters"):
        found = KMeans(len(start), init=start, n_init=1, max_iter=50).fit(sample)
        labels = found.predict(pixels)
    weight = scene.centrality(0.3)[valid]
    mass = np.bincount(labels, weights=weight, minlength=len(start))
    mean = np.bincount(labels, weights=height, minlength=len(start)) / np.maximum(
        np.bincount(labels, minlength=len(start)), 1
    )
    is_lesion = mean > _cut(mean, mass, offset)
    mask = np.zeros(scene.shape, bool)
    mask[valid] = is_lesion[labels]
    return mask


def _cut(mean: np.ndarray, mass: np.ndarray, offset: float) -> float:
    """Split the clusters into skin and lesion where the variance between the two is largest, as Otsu does."""
    order = np.argsort(mean, kind="stable")
    mean, mass = mean[order], mass[order]
    below, total = np.cumsum(mass)[:-1], mass.sum()
    moment = np.cumsum(mass * mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * (total - below) * (moment[:-1] / below - (moment[-1] - moment[:-1]) / (total - below)) ** 2
    best = int(np.nanargmax(between)) if np.isfinite(between).any() else 0
    skin = moment[best] / max(below[best], 1e-9)
    middle = (mean[best] + mean[best + 1]) / 2
    return float(middle + offset * (skin - middle))


@fill_doc()
def segment_kmeans(
    image: np.ndarray,
    *,
    n_clusters: int = 8,
    offset: float = 0.4,
    hair_width: float = 0.025,
    blur: float = 0.008,
    exclude_foreign: bool = True,
    field: np.ndarray | None = None,
) -> np.ndarray:
    """Outline the colors that are no skin by k-means, without post-processing.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, RGB; about 200 to 500 pixels a side are enough.
    n_clusters : int, default=8
        Clusters of color, in CIELAB without the shading of the skin, 2 to 64.
    offset : float, default=0.4
        Moves the limit between the clusters of skin and of lesion towards the
        skin by this fraction of the way, in [-1, 0.9].
    %(scene)s
    %(field)s

    Returns
    -------
    ndarray of shape (H, W), bool
        True where the lesion may be; empty for an image of one color.

    References
    ----------
    S. Lloyd, "Least squares quantization in PCM", IEEE Transactions on
    Information Theory 28 (1982) 129-137.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.segmentation import segment_kmeans
    >>> image = np.full((64, 64, 3), 200, dtype=np.uint8)
    >>> image[20:44, 20:44] = 90
    >>> mask = segment_kmeans(image, n_clusters=2, hair_width=0, blur=0)
    >>> int(mask.sum()) == 24 * 24
    True
    """
    if n_clusters < 2:
        raise ValueError(f"n_clusters must be at least 2, got {n_clusters!r}")
    scene = Scene(image, field, hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign)
    return np.zeros(scene.shape, bool) if scene.is_blank else kmeans_scene(scene, n_clusters=n_clusters, offset=offset)


@fill_doc(working_size=192, opening=0.045, closing=0.08, margin=0.05, smoothing=0.01, min_area=0.001)
class KMeansSegmenter(ClassicalSegmenter):
    """Outline the lesion by clusters of color.

    The colors of the image, less the shading of the skin, are grouped by
    k-means; the groups that stand out from the skin are the lesion. The start
    of the clusters is set by the image, so that there is nothing random.

    Parameters
    ----------
    n_clusters : int, default=8
        Clusters of color, 2 to 64.
    offset : float, default=0.4
        Moves the limit between the clusters of skin and of lesion towards the
        skin by this fraction of the way, in [-1, 0.9].
    %(scene)s
    %(working_size)s
    %(post_processing)s
    %(execution)s

    Attributes
    ----------
    %(errors_)s

    See Also
    --------
    segment_kmeans : The function on one image.

    References
    ----------
    S. Lloyd, "Least squares quantization in PCM", IEEE Transactions on
    Information Theory 28 (1982) 129-137.

    Examples
    --------
    >>> from skinseg import KMeansSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> bool(KMeansSegmenter().score(lesions.images, lesions.masks) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalSegmenter._parameter_constraints,
        "n_clusters": [Interval(Integral, 2, 64, closed="both")],
        "offset": [Interval(Real, -1, 0.9, closed="both")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        offset: float = 0.4,
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
        working_size: int = 192,
        opening: float = 0.045,
        component: str = "central",
        closing: float = 0.08,
        fill_holes: bool = True,
        margin: float = 0.05,
        smoothing: float = 0.01,
        min_area: float = 0.001,
        fallback: str = "empty",
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        super().__init__(
            hair_width=hair_width, blur=blur, exclude_foreign=exclude_foreign, working_size=working_size,
            opening=opening, component=component, closing=closing, fill_holes=fill_holes, margin=margin,
            smoothing=smoothing, min_area=min_area, fallback=fallback, memory=memory, n_jobs=n_jobs, verbose=verbose,
            on_error=on_error,
        )  # fmt: skip
        self.n_clusters = n_clusters
        self.offset = offset

    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        return kmeans_scene(scene, n_clusters=self.n_clusters, offset=self.offset)
