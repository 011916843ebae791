"""The segmenter that comes trained: a packaged network, run without Keras."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from .._docs import fill_doc
from .._mapping import hash_of
from .._version import __version__
from ..exceptions import VersionMismatchWarning
from ..masks import expected_jaccard
from ..networks import packaged_network, run_packaged
from ._letterboxed import UNTOUCHED, LetterboxedSegmenter

__all__ = ["PretrainedSegmenter"]


@fill_doc(**UNTOUCHED)
class PretrainedSegmenter(LetterboxedSegmenter):
    """Outline the lesion by the network that comes with the package.

    It needs no training, no download, no TensorFlow: the network, a U-Net with
    EfficientNet-Lite0 as its encoder, is run by ONNX Runtime.

    Parameters
    ----------
    %(cutting)s
    %(post_processing)s
    batch_size : int, default=8
        Images that are decoded and handed to the network together, at least 1; it
        takes them four at a time.
    %(execution)s

    Attributes
    ----------
    %(errors_)s

    See Also
    --------
    EfficientUNetSegmenter : The same network to be trained, or to be trained on
        with ``weights="skinseg"``.
    ThresholdSegmenter : Without anything learnt.

    Notes
    -----
    The model card, ``docs/pretrained_segmenter.md``, tells what it was trained on,
    how well it does and where it fails. It is research software and no medical
    device: no outline of it may decide what is done with a lesion.

    The ``confidence`` of the records is the Jaccard index with an expert's
    outline to be expected, calibrated on the images that it was trained on: below
    0.7 an outline is worth a look; on other images it may be too high. Images
    without a lesion get, as a rule and not always, an empty mask, with an
    `EmptyMaskWarning`, or a low confidence.

    The network uses all cores in the calling process (or ``OMP_NUM_THREADS``), and
    its share of them in a worker of loky, joblib's default. A process that was
    forked by ``os.fork`` after a prediction can predict, but must end by
    ``os._exit``: ONNX Runtime waits at a normal exit for threads that are not
    there. A saved segmenter holds the name and the hash of the
    network, and warns when it is loaded beside another one.

    References
    ----------
    M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional
    neural networks", ICML 2019, 6105-6114; O. Ronneberger, P. Fischer,
    T. Brox, "U-Net: convolutional networks for biomedical image segmentation",
    MICCAI 2015, 234-241; N. Codella et al., "Skin lesion analysis toward melanoma
    detection: a challenge at the 2017 ISBI", arXiv:1710.05006.

    Examples
    --------
    >>> from skinseg import PretrainedSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(4, random_state=0)
    >>> records = PretrainedSegmenter().transform(lesions.images)
    >>> records[0].mask.shape == lesions.images[0].shape[:2]
    True
    >>> 0 <= records[0].confidence <= 1
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LetterboxedSegmenter._parameter_constraints,
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        threshold: float | None = None,
        *,
        test_time_augmentation: bool = False,
        opening: float = 0.0,
        component: str = "central",
        closing: float = 0.0,
        fill_holes: bool = True,
        margin: float = 0.0,
        smoothing: float = 0.0,
        min_area: float = 0.0,
        fallback: str = "empty",
        memory: Any = None,
        batch_size: int = 8,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.threshold = threshold
        self.test_time_augmentation = test_time_augmentation
        self.opening = opening
        self.component = component
        self.closing = closing
        self.fill_holes = fill_holes
        self.margin = margin
        self.smoothing = smoothing
        self.min_area = min_area
        self.fallback = fallback
        self.memory = memory
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __getstate__(self) -> dict[str, Any]:
        network = packaged_network()
        return {**super().__getstate__(), "_network": [network.name, network.sha256]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved = state.pop("_network", ["unknown", "unknown"])
        network = packaged_network()
        if saved != [network.name, network.sha256]:
            warnings.warn(
                f"PretrainedSegmenter was saved with the network {saved[0]} of SHA-256 {saved[1][:12]}..., and this "
                f"skinseg has {network.name} of {network.sha256[:12]}...: outlines will differ; fit again what follows "
                "on it, or install the version that it was saved by",
                VersionMismatchWarning,
                stacklevel=2,
            )
        super().__setstate__(state)

    def _side(self) -> int:
        return packaged_network().input_size

    def _run_network(self, images: np.ndarray) -> np.ndarray:
        return run_packaged(images).mean(axis=1)[..., None]

    def _confidence(self, found: np.ndarray, mask: np.ndarray) -> float | None:
        expected, measured = np.asarray(packaged_network().calibration)
        return float(np.interp(expected_jaccard(found, mask), expected, measured))

    def _network_key(self) -> str:
        return hash_of(type(self).__name__, __version__, packaged_network().sha256)

    def _result_key(self, ignored: frozenset[str] | None = None) -> str:
        key = super()._result_key(ignored)
        return key if ignored is None else hash_of(key, packaged_network().calibration)
