"""Black frames and round vignettes: the part of an image that shows skin."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import cv2
import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ..base import ImageTransformer
from ..field import valid_field
from ..images import LesionImage

__all__ = ["FrameCropper", "crop_box"]

_SIDE = 64  # cells along the longer side in the search for the largest rectangle


def crop_box(field: np.ndarray, *, inscribed: bool = False, tolerance: float = 0.05) -> tuple[int, int, int, int]:
    """Find the rectangle to crop an image to.

    Parameters
    ----------
    field : ndarray of shape (H, W), bool
        The valid field of view.
    inscribed : bool, default=False
        False gives the box around the field, True the largest rectangle
        within it, free of black corners but without what lies beside it. It
        is searched for on 64 cells along the longer side, then grown to the
        last pixel, and may be up to a cell smaller than the largest.
    tolerance : float, default=0.05
        Rows and columns at the edges of the box are cut off while they hold
        less than this share of the valid pixels of the fullest one, in
        [0, 1). Not used for the inscribed rectangle.

    Returns
    -------
    tuple of (int, int, int, int)
        Top, left, height and width in pixels; the whole image where the field
        has no pixel.

    Raises
    ------
    ValueError
        If the field is no mask or the tolerance out of range.

    See Also
    --------
    skinseg.field.valid_field : Finds the field.
    FrameCropper : The step of a pipeline.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.preprocessing import crop_box
    >>> field = np.zeros((60, 80), dtype=bool)
    >>> field[10:50, 5:70] = True
    >>> crop_box(field)
    (10, 5, 40, 65)
    """
    if field.ndim != 2 or field.dtype != bool:
        raise ValueError(f"the field must be a 2-D bool array, got shape {field.shape} and dtype {field.dtype}")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be at least 0 and below 1, got {tolerance!r}")
    height, width = field.shape
    if not field.any():
        return 0, 0, height, width
    return _inscribed(field) if inscribed else _around(field, tolerance)


def _around(field: np.ndarray, tolerance: float) -> tuple[int, int, int, int]:
    inside = np.ascontiguousarray(field).view(np.uint8)
    box = []
    for axis in (1, 0):
        counts = cv2.reduce(inside, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        kept = np.flatnonzero(counts >= max(1.0, tolerance * float(counts.max())))
        box.append((int(kept[0]), int(kept[-1] + 1 - kept[0])))
    (top, height), (left, width) = box
    return top, left, height, width


def _inscribed(field: np.ndarray) -> tuple[int, int, int, int]:
    height, width = field.shape
    scale = min(1.0, _SIDE / max(height, width))
    rows = np.linspace(0, height, max(1, round(height * scale)) + 1).astype(int)
    columns = np.linspace(0, width, max(1, round(width * scale)) + 1).astype(int)
    # a cell counts when all of it is valid, so that the rectangle found is valid in full
    cells = np.logical_and.reduceat(np.logical_and.reduceat(field, rows[:-1], axis=0), columns[:-1], axis=1)
    if not cells.any():
        return _around(field, 0.0)
    areas = np.diff(rows), np.diff(columns)
    top, left, bottom, right = _largest_rectangle(cells, *areas)
    return _grown(field, int(rows[top]), int(columns[left]), int(rows[bottom]), int(columns[right]))


def _largest_rectangle(cells: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> tuple[int, int, int, int]:
    """Largest rectangle of true cells: top, left, bottom and right, the last two exclusive."""
    up, across = np.concatenate([[0], np.cumsum(heights)]), np.concatenate([[0], np.cumsum(widths)])
    best, box = 0, (0, 0, 0, 0)
    run = np.zeros(cells.shape[1], int)
    for bottom, row in enumerate(cells, start=1):
        run = np.where(row, run + 1, 0)
        waiting: list[tuple[int, int]] = []  # left cell and number of rows, rows increasing
        for column, rows in enumerate([*run.tolist(), 0]):
            left = column
            while waiting and waiting[-1][1] >= rows:
                left, tall = waiting.pop()
                area = int((up[bottom] - up[bottom - tall]) * (across[column] - across[left]))
                if area > best:
                    best, box = area, (bottom - tall, left, bottom, column)
            waiting.append((left, rows))
    return box


def _grown(field: np.ndarray, top: int, left: int, bottom: int, right: int) -> tuple[int, int, int, int]:
    """Grow a rectangle, a row or column on each side in turn, while all of it stays valid."""
    height, width = field.shape
    grows = True
    while grows:
        grows = False
        if top > 0 and field[top - 1, left:right].all():
            top, grows = top - 1, True
        if bottom < height and field[bottom, left:right].all():
            bottom, grows = bottom + 1, True
        if left > 0 and field[top:bottom, left - 1].all():
            left, grows = left - 1, True
        if right < width and field[top:bottom, right].all():
            right, grows = right + 1, True
    return top, left, bottom - top, right - left


class FrameCropper(ImageTransformer):
    """Cut off black frames, black corners and vignettes, or mark them.

    The valid field of view goes into ``field`` of the record, and segmenters
    and features look nowhere else. With ``mode="crop"`` the image is also
    cropped; masks follow, and predictions further on come back in the frame of
    the image that the user gave. An image without a frame stays as it is, and
    so does one on which the frame would leave nothing.

    Parameters
    ----------
    mode : {"crop", "field"}, default="crop"
        ``"crop"`` cuts the image to the useful rectangle, ``"field"`` only
        marks the field.
    inscribed : bool, default=False
        What is cropped to: the box around the field, which keeps all of it and
        some black in its corners, or the largest rectangle within the field,
        which has no black and loses what lies beside it, at times a part of
        the lesion.
    tolerance : float, default=0.05
        Rows and columns at the edges of the box are cut off while they hold
        less than this share of the valid pixels of the fullest one, in
        [0, 1).
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
    skinseg.field.valid_field : Finds the field of one image.
    crop_box : Finds the rectangle for a field.

    Notes
    -----
    A field that a record brings along is kept: the result is what lies in it
    and in the field found here.

    References
    ----------
    M. E. Celebi, H. Iyatomi, G. Schaefer and W. V. Stoecker, "Lesion border
    detection in dermoscopy images", Computerized Medical Imaging and Graphics
    33 (2009) 148-153, on black frames among other disturbances.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import FrameCropper
    >>> image = np.full((100, 120, 3), (210, 170, 150), dtype=np.uint8)
    >>> image[:, :30] = 0  # a black bar
    >>> (record,) = FrameCropper().fit_transform([image])
    >>> record.shape[0], record.shape[1] <= 90, record.geometry.origin
    (100, True, (100, 120))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageTransformer._parameter_constraints,
        "mode": [StrOptions({"crop", "field"})],
        "inscribed": ["boolean"],
        "tolerance": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        mode: str = "crop",
        *,
        inscribed: bool = False,
        tolerance: float = 0.05,
        n_jobs: int | None = None,
        verbose: int = 0,
        on_error: str = "raise",
    ) -> None:
        self.mode = mode
        self.inscribed = inscribed
        self.tolerance = tolerance
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _transform_one(self, record: LesionImage) -> LesionImage:
        field, known = valid_field(record.image), record.field
        if known is not None:
            field = field & known
        if not field.any():
            return record
        record = record.with_(field=field)
        if self.mode == "field":
            return record
        box = crop_box(field, inscribed=self.inscribed, tolerance=self.tolerance)
        return record if box == (0, 0, *record.shape) else record.crop(*box)
