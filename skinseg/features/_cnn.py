"""The estimator that describes images by what a network sees in them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._mapping import StepCache, batches_of, fail, hash_of, label_of, warn_of_empty_masks
from .._version import __version__
from ..base import BaseFeaturizer
from ..exceptions import VersionMismatchWarning
from ..images import LesionImage, check_images
from ..networks import PackagedNetwork, embed_packaged, letterbox, packaged_network, packaged_networks, run_packaged
from ..networks._view import VIEWS, WHOLE, has_lesion, view_of

__all__ = ["CNNFeaturizer"]


class CNNFeaturizer(BaseFeaturizer):
    """Describe each image by what a packaged network makes of it.

    The network looks at the whole image, or at the lesion with a margin, as the
    mask of the record has it. Its maps before the last projection of the encoder
    are averaged over the image: 1,152 values from 0 to 6, which mean nothing one
    by one, and together let a linear classifier tell a good deal more than
    thresholds and shapes do. Keras is not needed.

    Beside `ABCDFeaturizer` in a FeatureUnion, inside of a `BatchedPipeline`, both
    share the decoded image and the outline.

    Parameters
    ----------
    network : str, default="lesion_unet"
        Which packaged network, see `skinseg.networks.packaged_networks`.
        ``"lesion_unet"`` has learnt to outline lesions and has seen no
        diagnosis; ``"melanoma"`` has learnt to tell melanoma, seborrheic
        keratosis and nevus apart. Do not cross-validate the latter on the ISIC
        2017 training images, which are in most archives of the ISIC: it knows
        their diagnoses.
    output : {"embedding", "probabilities"}, default="embedding"
        What the columns are: the embedding, or the probabilities of its classes,
        of a network that has some.
    view : {"image", "lesion"}, default="lesion"
        What it looks at: the whole image, or the bounding box of the mask; an
        empty mask gives the whole image, and a warning.
    margin : float, default=0.15
        What is added to the box on each side, as a share of its longer side, at
        least 0.
    batch_size : int, default=8
        Images that are decoded and sent through the network at once, at least 1.
    memory : str, path-like or joblib.Memory, default=None
        Folder in which rows are kept, one an image and setting.
    n_jobs : int, default=None
        Number of workers, as in joblib; the network itself uses all cores that a
        worker has.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the batch, or gives a row
        of NaN and is listed in ``errors_``.

    Attributes
    ----------
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

    See Also
    --------
    ABCDFeaturizer : Features with names, units and sources.
    skinseg.networks.embed_packaged : The same for squares, without an estimator.

    Examples
    --------
    >>> from sklearn.pipeline import FeatureUnion
    >>> from skinseg import ABCDFeaturizer, BatchedPipeline, CNNFeaturizer, PretrainedSegmenter
    >>> from skinseg.datasets import make_lesions
    >>> lesions = make_lesions(3, random_state=0)
    >>> pipe = BatchedPipeline([
    ...     ("segmenter", PretrainedSegmenter()),
    ...     ("features", FeatureUnion([
    ...         ("abcd", ABCDFeaturizer(groups=["border"])),
    ...         ("embedding", CNNFeaturizer()),
    ...     ])),
    ... ])
    >>> pipe.fit_transform(lesions.images).shape
    (3, 1174)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseFeaturizer._parameter_constraints,
        "network": [str],
        "output": [StrOptions({"embedding", "probabilities"})],
        "view": [StrOptions(set(VIEWS))],
        "margin": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }
    _one_by_one = False
    _nan_is_empty = False

    def __init__(
        self,
        network: str = "lesion_unet",
        *,
        output: str = "embedding",
        view: str = "lesion",
        margin: float = 0.15,
        batch_size: int = 8,
        memory: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.network = network
        self.output = output
        self.view = view
        self.margin = margin
        self.batch_size = batch_size
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __getstate__(self) -> dict[str, Any]:
        digest = self._packaged().sha256 if self.network in packaged_networks() else None
        return {**super().__getstate__(), "_network": digest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved = state.pop("_network", None)
        super().__setstate__(state)
        found = self._packaged().sha256 if self.network in packaged_networks() else None
        if saved is not None and saved != found:
            here = "none of that name" if found is None else f"{found[:12]}..."
            warnings.warn(
                f"CNNFeaturizer was saved with a network {self.network!r} of SHA-256 {saved[:12]}..., and this skinseg "
                f"has {here}: its columns mean something else; fit again what follows on it, or install the version "
                "that it was saved by",
                VersionMismatchWarning,
                stacklevel=2,
            )

    @property
    def _reads_mask(self) -> bool:  # type: ignore[override]
        return self.view == "lesion"

    def _validate_params(self) -> None:
        super()._validate_params()
        if self.network not in packaged_networks():
            raise ValueError(
                f"The 'network' parameter of CNNFeaturizer must be one of {packaged_networks()}. "
                f"Got {self.network!r} instead."
            )
        if self.output == "probabilities" and self._packaged().classes is None:
            raise ValueError(f"The network {self.network!r} of CNNFeaturizer has no classes; use output='embedding'")

    def _packaged(self) -> PackagedNetwork:
        return packaged_network(self.network)

    def _result_key(self, ignored: frozenset[str] | None = None) -> str:
        view = [self.output, self.view, *([float(self.margin)] if self.view == "lesion" else [])]
        return hash_of(type(self).__name__, __version__, self._packaged().sha256, view)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Get the names of the columns: ``"embedding_lesion_0007"``, or ``"probability_lesion_melanoma"``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_features,), object
            The names.
        """
        network = self._packaged()
        if self.output == "probabilities":
            names = [f"probability_{self.view}_{label}" for label in network.classes or ()]
        else:
            names = [f"embedding_{self.view}_{index:04d}" for index in range(network.embedding_size)]
        return np.array(names, dtype=object)

    def _run(self, squares: np.ndarray) -> np.ndarray:
        if self.output == "probabilities":
            rows = run_packaged(squares, self._packaged()).mean(axis=1)
        else:
            rows = embed_packaged(squares, self._packaged())
        return rows.astype(float)

    def _square(self, record: LesionImage) -> np.ndarray:
        return letterbox(view_of(record, self.view, self.margin), self._packaged().input_size)

    def _measure(self, record: LesionImage) -> np.ndarray:
        row: np.ndarray = self._run(self._square(record)[None])[0]
        return row

    def _apply_batch(self, records: Sequence[LesionImage]) -> list[Any]:
        self._packaged()  # one that cannot be read is no fault of an image
        cache = StepCache(self.memory, self._result_key)
        results: list[Any] = list(records)
        waiting: list[tuple[int, str, np.ndarray]] = []
        for index, record in enumerate(records):
            if record.error is not None:
                continue
            try:
                key = cache.key(record)
                kept = cache.get(key)
                if kept is None:
                    waiting.append((index, key, self._square(record)))
                else:
                    results[index] = kept
            except Exception as error:  # one bad image must not take the batch with it
                results[index] = fail(record, error)
        for part in batches_of(waiting, self.batch_size):
            rows = self._run(np.stack([square for *_, square in part]))
            for (index, key, _), row in zip(part, rows, strict=True):
                results[index] = row
                cache.put(key, results[index])
        return results

    def transform(self, X: Any) -> np.ndarray:
        """Describe every image.

        Parameters
        ----------
        X : sequence of images
            Paths, arrays or records, which carry a mask for the view
            ``"lesion"``, see `skinseg.check_images`.

        Returns
        -------
        ndarray of shape (n_images, n_features), float64
            A row an image; NaN where an image failed and ``on_error="nan"``.
        """
        table = super().transform(X)
        if self.view == "lesion":
            records = check_images(X, self)
            names = [
                str(label_of(record) or f"X[{index}]")
                for index, record in enumerate(records)
                if not has_lesion(record) and not np.isnan(table[index]).any()
            ]
            warn_of_empty_masks(type(self).__name__, names, len(records), WHOLE)
        return table
