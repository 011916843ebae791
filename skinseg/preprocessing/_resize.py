"""Bringing images to a working size."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from .._mapping import StepCache
from ..base import ImageTransformer
from ..images import LesionImage

__all__ = ["ImageResizer"]


class ImageResizer(ImageTransformer):
    """Resize images to a working size, keeping their aspect ratio.

    The records remember the frame they came from: `predict` of a segmenter
    further on answers at the size of the images that the user gave, and full
    masks are learnt from and scored against as they are. Shrinking averages
    over areas, which also quiets noise.

    Parameters
    ----------
    max_side : int, default=512
        Length of the longer side in pixels, at least 1.
    enlarge : bool, default=False
        Whether smaller images are enlarged to that size.
    reduced_decoding : bool, default=True
        Whether a JPEG file with sides of at least four times those wanted is
        decoded at a half, a quarter or an eighth of its size, but no smaller
        than twice the size wanted, in less time and memory. Colors differ a
        little from those of the whole image, which is what arrays, and with
        False files, are resized from: ``docs/benchmarks.md`` tells by how much.
    n_jobs : int, default=None
        Number of workers, as in joblib.
    verbose : int, default=0
        Show a progress bar if above 0.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that cannot be decoded stops the batch or is passed on
        as a failed record.

    Attributes
    ----------
    errors_ : dict of int to str
        With ``on_error="nan"``, the images that failed in the last call.

    See Also
    --------
    skinseg.BatchedPipeline : Runs image steps a batch at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import ImageResizer
    >>> images = [np.zeros((300, 400, 3), dtype=np.uint8)]
    >>> ImageResizer(max_side=100).fit_transform(images)[0].shape
    (75, 100)
    """

    _decodes: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageTransformer._parameter_constraints,
        "max_side": [Interval(Integral, 1, None, closed="left")],
        "enlarge": ["boolean"],
        "reduced_decoding": ["boolean"],
    }

    def __init__(
        self,
        max_side: int = 512,
        *,
        enlarge: bool = False,
        reduced_decoding: bool = True,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.max_side = max_side
        self.enlarge = enlarge
        self.reduced_decoding = reduced_decoding
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _apply_one(self, record: LesionImage, cache: StepCache) -> LesionImage:
        return self._transform_one(record)  # which decodes no more than it needs

    def _transform_one(self, record: LesionImage) -> LesionImage:
        height, width = record.shape
        scale = self.max_side / max(height, width)
        if scale >= 1 and not self.enlarge:
            return record.load()
        shape = max(1, round(height * scale)), max(1, round(width * scale))
        return record.load_resized(shape) if self.reduced_decoding else record.load().resize(shape)
