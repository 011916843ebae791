"""An image with the outline of its lesion."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval, validate_params

from ._display_chain import outline_by
from ._display_view import (
    GREEN,
    TEXT_SIZE,
    TITLE_SIZE,
    VERMILION,
    View,
    add_notice,
    draw_lines,
    draw_scale_bar,
    make_view,
    mask_of,
    plain_title,
    record_of,
    say_empty,
    show,
    trace,
)

__all__ = ["LesionDisplay"]

_DIMMED = 0.55  # how far what is outside goes towards white
_SHARE = [Interval(Real, 0, 1, closed="both"), None]
_VIEW_CHECKS: dict[str, list[Any]] = {
    "name": [str, None],
    "margin": [Interval(Real, 0, None, closed="left"), None],
    "max_side": [Interval(Integral, 16, None, closed="left")],
    "dim": ["boolean"],
    "scale_bar": ["boolean"],
}


class LesionDisplay:
    r"""An image with the outline of its lesion.

    It is recommended to use `LesionDisplay.from_estimator` or
    `LesionDisplay.from_predictions` to create a display. All parameters are
    stored as attributes.

    Parameters
    ----------
    view : View
        What is shown, with the planes ``mask`` and, if there is one,
        ``reference``.
    name : str, default=None
        Name of the image.
    confidence : float, default=None
        Confidence of the outline, in [0, 1].
    probability : float, default=None
        What a classifier says, in [0, 1].

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the image.
    figure_ : matplotlib Figure
        Figure containing the axes.
    picture_ : matplotlib AxesImage
        The image.
    outline_ : matplotlib Line2D or None
        The outline, x and y in pixels of the image; None without a lesion.
    reference_ : matplotlib Line2D or None
        The reference outline.

    See Also
    --------
    ABCDDisplay : The geometry behind the ABCD features.
    SegmentationErrorDisplay : Where an outline differs from a reference.
    contact_sheet : Many images on one sheet.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.inspection import LesionDisplay
    >>> lesions = make_lesions(1, random_state=0)
    >>> display = LesionDisplay.from_predictions(
    ...     lesions.images[0], lesions.masks[0], confidence=0.9, name="a", ax=Figure().add_subplot())
    >>> display.ax_.get_title()
    'a\nconfidence 0.90'
    """

    def __init__(
        self, view: View, *, name: str | None = None, confidence: float | None = None, probability: float | None = None
    ) -> None:
        self.view = view
        self.name = name
        self.confidence = confidence
        self.probability = probability

    def plot(self, ax: Any = None, *, dim: bool = False, scale_bar: bool = True) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure is made if None.
        dim : bool, default=False
            Dim what is outside of the outline.
        scale_bar : bool, default=True
            Draw a scale bar, in millimeters where the pixel size is known, else
            in pixels of the original image.

        Returns
        -------
        self : LesionDisplay
            The display, with the attributes listed above.
        """
        own = ax is None
        if own:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        view = self.view
        found = view.mask("mask")
        pixels = view.image
        if dim and found.any():
            pixels = pixels.copy()
            pixels[~found] = (pixels[~found] * (1 - _DIMMED) + 255 * _DIMMED).astype(np.uint8)
        self.picture_ = show(ax, view, pixels)
        self.reference_ = self.outline_ = None
        if found.any():
            self.outline_ = draw_lines(ax, trace(view, "mask"), GREEN, label="outline")
        else:
            say_empty(ax, view)
        if "reference" in view.planes and view.mask("reference").any():
            self.reference_ = draw_lines(
                ax, trace(view, "reference"), VERMILION, dashes=(0, (3.5, 2)), label="reference"
            )
        if "reference" in view.planes and (self.outline_ is not None or self.reference_ is not None):
            ax.legend(loc="upper right", fontsize=TEXT_SIZE, framealpha=0.85, borderpad=0.3, handlelength=2.4)
        if scale_bar:
            draw_scale_bar(ax, view)
        facts = [
            f"{label} {value:.2f}"
            for label, value in (("confidence", self.confidence), ("probability", self.probability))
            if value is not None
        ]
        lines = [plain_title(self.name)] if self.name else []
        ax.set_title("\n".join([*lines, *([", ".join(facts)] if facts else [])]), fontsize=TITLE_SIZE)
        if own:
            add_notice(ax.figure)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    @validate_params(
        {**_VIEW_CHECKS, "probability": _SHARE},
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        *,
        reference_mask: Any = None,
        probability: float | None = None,
        name: str | None = None,
        margin: float | None = None,
        max_side: int = 400,
        ax: Any = None,
        dim: bool = False,
        scale_bar: bool = True,
    ) -> LesionDisplay:
        """Outline the lesion of an image by a model, and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted segmenter, or a pipeline with one: image steps, such a
            `skinseg.BatchedPipeline`, or a whole classifier such as that of
            `skinseg.make_lesion_pipeline`.
        image : path-like, ndarray of shape (H, W, 3), uint8, or LesionImage
            The image.
        reference_mask : ndarray of shape (H, W), bool, or path-like, default=None
            The outline by an expert; that of the record if None.
        probability : float, default=None
            What a classifier says, in [0, 1], for the title.
        name : str, default=None
            Name of the image; that of the record, or of the file, if None.
        margin : float, default=None
            Margin around what is outlined, as a fraction of its longer side, at
            least 0; None shows the whole image.
        max_side : int, default=400
            Longer side of the picture in pixels, at most; at least 16.
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure is made if None.
        dim : bool, default=False
            Dim what is outside of the outline.
        scale_bar : bool, default=True
            Draw a scale bar.

        Returns
        -------
        display : LesionDisplay
            The display, drawn.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from skinseg import PretrainedSegmenter
        >>> from skinseg.datasets import make_lesions
        >>> from skinseg.inspection import LesionDisplay
        >>> lesions = make_lesions(1, random_state=0)
        >>> display = LesionDisplay.from_estimator(
        ...     PretrainedSegmenter(), lesions.images[0], reference_mask=lesions.masks[0], ax=Figure().add_subplot())
        >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
        ['outline', 'reference']
        """
        caller = f"{cls.__name__}.from_estimator"
        record = outline_by(estimator, record_of(image, caller, name=name), caller)
        return cls.from_predictions(
            record, None, confidence=record.confidence, probability=probability, reference_mask=reference_mask,
            margin=margin, max_side=max_side, ax=ax, dim=dim, scale_bar=scale_bar,
        )  # fmt: skip

    @classmethod
    @validate_params(
        {
            **_VIEW_CHECKS,
            "confidence": _SHARE,
            "probability": _SHARE,
            "pixel_size": [Interval(Real, 0, None, closed="neither"), None],
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        image: Any,
        mask: Any = None,
        *,
        confidence: float | None = None,
        probability: float | None = None,
        reference_mask: Any = None,
        name: str | None = None,
        pixel_size: float | None = None,
        margin: float | None = None,
        max_side: int = 400,
        ax: Any = None,
        dim: bool = False,
        scale_bar: bool = True,
    ) -> LesionDisplay:
        """Draw an image with an outline that is there already.

        Parameters
        ----------
        image : path-like, ndarray of shape (H, W, 3), uint8, or LesionImage
            The image.
        mask : ndarray of shape (H, W), bool, or path-like, default=None
            The lesion; the mask of the record if None.
        confidence : float, default=None
            Confidence of the outline in [0, 1]; that of the record if None and
            ``mask`` is None.
        probability : float, default=None
            What a classifier says, in [0, 1], for the title.
        reference_mask : ndarray of shape (H, W), bool, or path-like, default=None
            The outline by an expert; that of the record if None.
        name : str, default=None
            Name of the image; that of the record, or of the file, if None.
        pixel_size : float, default=None
            Millimeters per pixel of the original image, above 0; that of the
            record if None.
        margin : float, default=None
            Margin around what is outlined, as a fraction of its longer side, at
            least 0; None shows the whole image.
        max_side : int, default=400
            Longer side of the picture in pixels, at most; at least 16.
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure is made if None.
        dim : bool, default=False
            Dim what is outside of the outline.
        scale_bar : bool, default=True
            Draw a scale bar.

        Returns
        -------
        display : LesionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no mask, or one of another size than the image.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from skinseg.datasets import make_lesions
        >>> from skinseg.inspection import LesionDisplay
        >>> lesions = make_lesions(1, random_state=0)
        >>> display = LesionDisplay.from_predictions(
        ...     lesions.images[0], lesions.masks[0], probability=0.3, ax=Figure().add_subplot(), dim=True)
        >>> display.ax_.get_title()
        'probability 0.30'
        """
        caller = f"{cls.__name__}.from_predictions"
        record = record_of(image, caller, name=name, pixel_size=pixel_size)
        if confidence is None and mask is None:
            confidence = record.confidence
        planes = {
            "mask": mask_of(record, mask, "mask", caller),
            "reference": mask_of(record, reference_mask, "reference_mask", caller, optional=True),
        }
        view = make_view(record, planes, margin=margin, max_side=max_side)
        display = cls(view, name=record.name, confidence=confidence, probability=probability)
        return display.plot(ax, dim=dim, scale_bar=scale_bar)
