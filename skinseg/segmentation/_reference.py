"""The expert's outline as a segmenter."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .._mapping import StepCache
from ..base import BaseSegmenter, ImageEstimator
from ..images import LesionImage

__all__ = ["ReferenceSegmenter"]


class ReferenceSegmenter(BaseSegmenter):
    """Make the expert's outline the mask: the upper bound of any segmenter.

    It is the one step that reads the ``reference_mask`` of the records when it
    predicts. With it in place of a segmenter, a pipeline shows what it would
    reach with perfect outlines. Soft references are cut at one half; nothing
    is cleaned or smoothed.

    Parameters
    ----------
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image without a (readable) reference mask stops the batch or
        is passed on as a failed record.

    Attributes
    ----------
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import LesionImage, ReferenceSegmenter
    >>> image = np.zeros((8, 8, 3), dtype=np.uint8)
    >>> record = LesionImage(image, reference_mask=np.eye(8, dtype=bool))
    >>> int(ReferenceSegmenter().predict([record])[0].sum())
    8
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**ImageEstimator._parameter_constraints}

    _reads_reference = True

    def __init__(self, *, n_jobs: int | None = None, verbose: int = 0, on_error: str = "raise") -> None:
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _segment(self, record: LesionImage) -> np.ndarray:
        if not record.has("reference_mask"):
            raise ValueError(
                "the image has no reference_mask; give records (LesionImage) or a table with the column reference_mask"
            )
        reference: Any = record.reference_mask
        return reference if reference.dtype == bool else reference >= 0.5

    def _apply_one(self, record: LesionImage, cache: StepCache) -> LesionImage:
        return record.load().with_(mask=self._segment(record), probability=None, confidence=None)
