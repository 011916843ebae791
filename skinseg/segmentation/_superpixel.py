"""Segmentation by superpixels that a classifier tells apart: learnt, and no network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing as closing_of
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import cv2
import numpy as np
from joblib import effective_n_jobs
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval

from .._docs import fill_doc
from .._mapping import fail, label_of, map_batches, openmp_threads, raise_or_list
from ..images import LesionImage
from ..masks import expected_jaccard, jaccard_cut, resize_mask
from ._regions import REGION_FEATURES, find_superpixels, measure_regions
from ._scene import ClassicalSegmenter, Scene

__all__ = ["SuperpixelSegmenter"]

_SMALLEST = 0.002  # a lesion with a smaller share of the image weighs no more than one of this
_CUTS = 0.2, 0.5  # within which the cut of an image is chosen
_SMOOTHING = 0.006  # standard deviation of the blur of the map, as a fraction of the longer side


@fill_doc(working_size=192, opening="0.0", closing=0.08, margin="0.0", smoothing=0.01, min_area=0.001)
class SuperpixelSegmenter(ClassicalSegmenter):
    """Outline the lesion by superpixels that gradient-boosted trees tell apart.

    The image is cut into superpixels by SLIC. Each is measured: its color and
    its contrast to the skin at the border, its place, its neighbors, how it
    lies to the outlines that a threshold and the saliency give, and what the
    whole image is like. Trees that have learnt from expert masks give it a
    probability of lesion; the map of these is smoothed and cut.

    Parameters
    ----------
    n_segments : int, default=1600
        Superpixels an image, about, 16 to 20,000.
    compactness : float, default=0.03
        Weight of the place against the color in SLIC, above 0; CIELAB is scaled
        to the range from 0 to 1 by `skimage.segmentation.slic`.
    max_iter : int, default=300
        Number of trees, at least 1.
    learning_rate : float, default=0.1
        Learning rate of the trees, in (0, 1].
    max_leaf_nodes : int, default=15
        Leaves of a tree, at least 2.
    threshold : float or None, default=None
        Probability from which on a pixel is lesion, in (0, 1). If None, it is
        chosen for each image for the largest Jaccard index to be expected
        (`skinseg.masks.jaccard_cut`), between 0.2 and 0.5.
    regions_per_image : int or None, default=500
        Learn from this many superpixels of each image at most, drawn at
        random, to save memory and time; from all if None.
    random_state : int, RandomState instance or None, default=None
        Determines what is drawn, and the trees.
    %(scene)s
    %(working_size)s
    %(post_processing)s
    %(execution)s

    Attributes
    ----------
    classifier_ : HistGradientBoostingClassifier
        The trees.
    feature_names_ : tuple of str
        What they see of a superpixel.
    n_regions_ : int
        Superpixels that were learnt from.
    %(errors_)s

    Notes
    -----
    Superpixels are weighted by their area, and by the inverse of the area of
    the lesion, so that a missed small lesion weighs as much as a missed large
    one, as in the Jaccard index. Each split of a tree looks at three tenths of
    the features, leaves have 200 superpixels or more (a hundredth of all, if
    that is less). The ``confidence`` of the records is the
    Jaccard index to be expected if the probabilities are right. Learning keeps
    about 0.1 MB an image in memory with the default ``regions_per_image``.

    References
    ----------
    R. Achanta et al., "SLIC superpixels compared to state-of-the-art
    superpixel methods", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 34 (2012) 2274-2282; J. Friedman, "Greedy function
    approximation: a gradient boosting machine", Annals of Statistics 29 (2001)
    1189-1232.

    Examples
    --------
    >>> from skinseg import SuperpixelSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(24, random_state=0)
    >>> segmenter = SuperpixelSegmenter(300, max_iter=30, random_state=0)
    >>> segmenter = segmenter.fit(lesions.images[:16], lesions.masks[:16])
    >>> bool(segmenter.score(lesions.images[16:], lesions.masks[16:]) > 0.7)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClassicalSegmenter._parameter_constraints,
        "n_segments": [Interval(Integral, 16, 20_000, closed="both")],
        "compactness": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, 1, closed="right")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left")],
        "threshold": [Interval(Real, 0, 1, closed="neither"), None],
        "regions_per_image": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }
    _not_in_key = ClassicalSegmenter._not_in_key | {"threshold"}  # it acts on the map that is kept
    _gives_probabilities = True

    def __init__(
        self,
        n_segments: int = 1600,
        *,
        compactness: float = 0.03,
        max_iter: int = 300,
        learning_rate: float = 0.1,
        max_leaf_nodes: int = 15,
        threshold: float | None = None,
        regions_per_image: int | None = 500,
        random_state: Any = None,
        hair_width: float = 0.025,
        blur: float = 0.008,
        exclude_foreign: bool = True,
        working_size: int = 192,
        opening: float = 0.0,
        component: str = "central",
        closing: float = 0.08,
        fill_holes: bool = True,
        margin: float = 0.0,
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
        self.n_segments = n_segments
        self.compactness = compactness
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.threshold = threshold
        self.regions_per_image = regions_per_image
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags

    def _cut(self, probability: np.ndarray) -> float:
        if self.threshold is not None:
            return self.threshold
        return float(np.clip(jaccard_cut(probability)[0], *_CUTS))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from images and expert masks.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, see `skinseg.check_images`.
        y : sequence of masks, default=None
            The expert's masks, arrays or `pathlib.Path`, soft ones included;
            the ``reference_mask`` of the records if None (or if y holds class
            labels).

        Returns
        -------
        self : object
            The fitted segmenter.

        Raises
        ------
        ValueError
            If there is no mask for an image, or if the masks show lesion only
            or none at all.
        """
        self._validate_params()
        records = self._with_references(X, y)
        random = check_random_state(self.random_state)
        seeds = random.randint(2**31 - 1, size=len(records))
        tables: list[np.ndarray] = []
        shares: list[np.ndarray] = []
        weights: list[np.ndarray] = []
        for index, (table, share, weight) in self._samples(records):
            drawn = np.arange(len(share))
            if self.regions_per_image is not None and self.regions_per_image < len(share):
                drawn = np.random.default_rng(int(seeds[index])).permutation(drawn)[: self.regions_per_image]
            tables.append(table[drawn])
            shares.append(share[drawn])
            weights.append(weight[drawn] * (len(share) / len(drawn)))
        if not shares:
            raise ValueError(
                f"SuperpixelSegmenter cannot learn: of {len(records)} images all are of one color, or failed; "
                "give others"
            )
        is_lesion = np.concatenate(shares) >= 0.5
        if is_lesion.all() or not is_lesion.any():
            what = "lesion everywhere" if is_lesion.any() else "no lesion"
            raise ValueError(
                f"SuperpixelSegmenter cannot learn: the masks of {len(shares)} images show {what} (at the size of a "
                "superpixel); give images with both skin and lesion, or raise n_segments or working_size"
            )
        weight = np.concatenate(weights)
        classifier = HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=min(200, max(1, len(weight) // 100)),
            l2_regularization=1.0,
            max_features=0.3,
            early_stopping=False,
            random_state=random.randint(2**31 - 1),
        )
        with openmp_threads(effective_n_jobs(self.n_jobs)):
            self.classifier_ = classifier.fit(np.concatenate(tables), is_lesion, sample_weight=weight / weight.mean())
        self.feature_names_ = REGION_FEATURES
        self.n_regions_ = len(weight)
        return self

    def _samples(self, records: Sequence[LesionImage]) -> Any:
        """Measure the images to learn from, one by one; errors end as ``on_error`` says, blank images are left out."""
        caller = type(self).__name__
        errors: dict[int, str] = {}
        work = map_batches(
            self._measure_batch, records, n_jobs=self.n_jobs, verbose=int(self.verbose), desc=f"{caller}.fit"
        )
        with closing_of(work) as stream:
            for start, batch, part in stream:
                failed = {
                    start + index: (label_of(record), str(sample.error))
                    for index, (record, sample) in enumerate(zip(batch, part, strict=True))
                    if isinstance(sample, LesionImage)
                }
                errors |= raise_or_list(caller, self.on_error, failed)
                yield from ((start + index, sample) for index, sample in enumerate(part) if isinstance(sample, tuple))
        if self.on_error == "nan":
            self.errors_ = errors

    def _measure_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        """For each image its table, the share of lesion in each superpixel and their weights; a failed record."""
        samples: list[Any] = []
        for record in records:
            try:
                samples.append(self._measure_one(record.load()))
            except Exception as error:  # one bad image must not take the batch with it
                samples.append(fail(record, error))
        return samples

    def _measure_one(self, record: LesionImage) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        scene = self._scene(record)
        if scene.is_blank:
            return None
        labels = find_superpixels(scene, self.n_segments, self.compactness)
        lesion = resize_mask(np.asarray(record.reference_mask, np.float32), scene.shape)
        area = np.bincount(labels.ravel())
        share = np.bincount(labels.ravel(), weights=lesion.ravel()) / area
        weight = area / labels.size / max(float(lesion.mean()), _SMALLEST)
        return measure_regions(scene, labels), share, weight

    def _outline(self, scene: Scene, record: LesionImage) -> np.ndarray:
        labels = find_superpixels(scene, self.n_segments, self.compactness)
        with openmp_threads(1):
            probability = self.classifier_.predict_proba(measure_regions(scene, labels))[:, 1]
        spread = cv2.GaussianBlur(probability[labels].astype(np.float32), (0, 0), _SMOOTHING * scene.side)
        return np.where(scene.valid, spread, 0).astype(np.float32)

    def _confidence(self, found: np.ndarray, mask: np.ndarray) -> float | None:
        return expected_jaccard(found, mask)
