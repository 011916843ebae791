"""The geometry behind the ABCD features of a lesion, as a figure of several panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval, validate_params

from ..features import ABCDFeaturizer
from ..features.color import COLOR_NAMES
from ..features.structure import LABELS
from ..rule import COLUMNS
from ._display_chain import explain_by
from ._display_maps import draw_color, draw_dimension, draw_structure, draw_tds
from ._display_panels import Panel, draw_asymmetry, draw_border, draw_outline_panel
from ._display_view import View, add_notice, make_view, mask_of, plain_title, record_of

__all__ = ["PANELS", "ABCDDisplay", "panel_axes"]

PANELS = ("outline", "asymmetry", "border", "color", "dimension", "structure", "tds")
"""The panels of `ABCDDisplay`, in their usual order."""

_DRAW: dict[str, Callable[[Any, Panel], None]] = {
    "outline": draw_outline_panel,
    "asymmetry": draw_asymmetry,
    "border": draw_border,
    "color": draw_color,
    "dimension": draw_dimension,
    "structure": draw_structure,
    "tds": draw_tds,
}
_NEEDED = (
    *COLUMNS.values(),
    "tds",
    "dimension_leaves_frame",
    *(f"color_{name}_share" for name in COLOR_NAMES),
    *(f"structure_{kind}" for kind in LABELS[1:]),
    *(
        f"dimension_{what}_{unit}"
        for what in ("feret_max", "feret_min", "axis_major", "axis_minor")
        for unit in ("px", "mm")
    ),
)
_COLUMNS = 4
_WIDE = {"tds": 2}  # columns that a panel takes
_CELL = 2.5, 2.9  # inches
_ASPECT = 1.2  # width over height of what is shown, at least: that for which the panels have room
_CHECKS: dict[str, list[Any]] = {
    "panels": ["array-like", str, None],
    "name": [str, None],
    "margin": [Interval(Real, 0, None, closed="left"), None],
    "max_side": [Interval(Integral, 16, None, closed="left")],
}


def _check_panels(panels: Any) -> tuple[str, ...]:
    chosen = PANELS if panels is None else (panels,) if isinstance(panels, str) else tuple(panels)
    unknown = [panel for panel in chosen if panel not in PANELS]
    if unknown or not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"The 'panels' parameter of ABCDDisplay must be one or more different ones of {PANELS}. "
            f"Got {panels!r} instead."
        )
    return chosen


def _cells(panels: Sequence[str]) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Give the rows and columns of a grid for panels, and for each its row, first column and width."""
    across = min(_COLUMNS, sum(_WIDE.get(panel, 1) for panel in panels))
    row = column = 0
    places = []
    for panel in panels:
        width = min(_WIDE.get(panel, 1), across)
        if column + width > across:
            row, column = row + 1, 0
        places.append((row, column, width))
        column += width
    return row + 1, across, places


def panel_axes(figure: Any, panels: Sequence[str] | None = None) -> np.ndarray:
    """Divide a figure into axes for panels of `ABCDDisplay`: four in a row, of which the score takes two.

    Parameters
    ----------
    figure : matplotlib Figure
        An empty figure; about 2.5 x 2.9 inches a panel look well.
    panels : sequence of str, default=None
        Which panels, of `PANELS`; all if None.

    Returns
    -------
    ndarray of shape (n_panels,), object
        The axes, for ``axes=`` of `ABCDDisplay.from_predictions`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skinseg.inspection import panel_axes
    >>> len(panel_axes(Figure(figsize=(10, 6)), ["outline", "border", "tds"]))
    3
    """
    rows, columns, places = _cells(_check_panels(panels))
    edges = {} if figure.get_layout_engine() is not None else {
        "left": 0.01, "right": 0.99, "bottom": 0.16 / figure.get_figheight(), "top": 1 - 0.3 / figure.get_figheight(),
        "wspace": 0.06, "hspace": 0.14,
    }  # fmt: skip
    grid = figure.add_gridspec(rows, columns, **edges)
    axes = np.empty(len(places), dtype=object)
    for index, (row, column, width) in enumerate(places):
        axes[index] = figure.add_subplot(grid[row, column : column + width])
    return axes


class ABCDDisplay:
    """The geometry behind the ABCD features of a lesion.

    It is recommended to use `ABCDDisplay.from_estimator` or
    `ABCDDisplay.from_predictions` to create a display. All parameters are
    stored as attributes.

    The panels are: ``"outline"``; ``"asymmetry"``, the best axes, what is
    asymmetric about each, and hatched what has no counterpart when the lesion is
    folded along it; ``"border"``, the octants in colors of their sharpness, the
    abrupt ones thick; ``"color"``, the colors of the rule with their shares,
    those that count marked by a dot; ``"dimension"``, diameters and axes with
    their lengths; ``"structure"``, which structure was found where, with its
    score; ``"tds"``, the total dermoscopy score with its contributions and the
    zones of the rule.

    This is research software and no medical device: the figure explains numbers
    and is no diagnosis.

    Parameters
    ----------
    view : View
        What is shown, with the plane ``mask``.
    explanation : mapping or None
        What `ABCDFeaturizer.explain` gives; None without a lesion.
    name : str, default=None
        Name of the image.
    confidence : float, default=None
        Confidence of the outline, in [0, 1].

    Attributes
    ----------
    axes_ : ndarray of shape (n_panels,), object
        The axes, one a panel. Points are drawn as x, y in pixels of the image.
    figure_ : matplotlib Figure
        Figure containing the axes.
    panels_ : tuple of str
        The panels drawn.

    See Also
    --------
    skinseg.ABCDFeaturizer.explain : The geometry.
    panel_axes : Axes for the panels on a figure of your own.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527.

    F. Nachbar et al., "The ABCD rule of dermatoscopy: high prospective value
    in the diagnosis of doubtful melanocytic skin lesions", Journal of the
    American Academy of Dermatology 30 (1994) 551-559 (the zones of the score).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skinseg.datasets import make_lesions
    >>> from skinseg.inspection import ABCDDisplay, panel_axes
    >>> lesions = make_lesions(1, random_state=0)
    >>> panels = ["asymmetry", "tds"]
    >>> axes = panel_axes(Figure(figsize=(7.5, 3)), panels)
    >>> display = ABCDDisplay.from_predictions(lesions.images[0], lesions.masks[0], panels=panels, axes=axes)
    >>> display.axes_[0].get_title()
    'A  Asymmetry 0 of 2'
    """

    def __init__(
        self, view: View, explanation: Any, *, name: str | None = None, confidence: float | None = None
    ) -> None:
        self.view = view
        self.explanation = explanation
        self.name = name
        self.confidence = confidence

    def plot(self, axes: Any = None, *, panels: Sequence[str] | str | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        axes : matplotlib Axes or array-like of Axes, default=None
            Axes to draw on, one a panel; a new figure is made if None.
        panels : sequence of str or str, default=None
            Which panels, of `PANELS`, in this order; all if None.

        Returns
        -------
        self : ABCDDisplay
            The display, with the attributes listed above.
        """
        chosen = _check_panels(panels)
        own = axes is None
        if own:
            import matplotlib.pyplot as plt

            rows, columns, _ = _cells(chosen)
            figure = plt.figure(figsize=(columns * _CELL[0], rows * _CELL[1] + 0.3), layout="constrained")
            if self.name:
                figure.suptitle(plain_title(self.name), fontsize=11)
            add_notice(figure)
            axes = panel_axes(figure, chosen)
        given = np.array(axes, dtype=object).ravel()
        if len(given) != len(chosen):
            raise ValueError(f"ABCDDisplay draws {len(chosen)} panels, {', '.join(chosen)}, and got {len(given)} axes")
        panel = Panel(self.view, self.explanation, self.name, self.confidence)
        for ax, name in zip(given, chosen, strict=True):
            _DRAW[name](ax, panel)
        self.axes_, self.figure_, self.panels_ = given, given[0].figure, chosen
        return self

    @classmethod
    @validate_params(_CHECKS, prefer_skip_nested_validation=True)
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        *,
        panels: Sequence[str] | str | None = None,
        name: str | None = None,
        margin: float = 0.25,
        max_side: int = 400,
        axes: Any = None,
    ) -> ABCDDisplay:
        """Outline and measure the lesion of an image by a model, and draw the geometry.

        Parameters
        ----------
        estimator : estimator
            A fitted `skinseg.ABCDFeaturizer` (with a segmenter, unless the image
            brings a mask), a pipeline with one, or a whole classifier such as
            that of `skinseg.make_lesion_pipeline` or
            `skinseg.load_pretrained`. What of the rule the featurizer does not
            measure is measured besides; a segmenter alone is followed by
            ``ABCDFeaturizer()``.
        image : path-like, ndarray of shape (H, W, 3), uint8, or LesionImage
            The image.
        panels : sequence of str or str, default=None
            Which panels, of `PANELS`, in this order; all if None.
        name : str, default=None
            Name of the image; that of the record, or of the file, if None.
        margin : float, default=0.25
            Margin around the lesion, as a fraction of its longer side, at least 0;
            None shows the whole image.
        max_side : int, default=400
            Longer side of the picture in pixels, at most; at least 16.
        axes : array-like of matplotlib Axes, default=None
            Axes to draw on, one a panel; a new figure is made if None.

        Returns
        -------
        display : ABCDDisplay
            The display, drawn. Its geometry is in pixels of the image given,
            whatever the steps resize it to.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from skinseg import ABCDFeaturizer, ThresholdSegmenter
        >>> from skinseg.datasets import make_lesions
        >>> from skinseg.inspection import ABCDDisplay
        >>> lesions = make_lesions(2, random_state=0)
        >>> featurizer = ABCDFeaturizer(ThresholdSegmenter()).fit(lesions.images)
        >>> display = ABCDDisplay.from_estimator(
        ...     featurizer, lesions.images[0], panels="color", axes=Figure().add_subplot())
        >>> display.axes_[0].get_title()
        'C  Color 4 of 6'
        """
        caller = f"{cls.__name__}.from_estimator"
        chosen = _check_panels(panels)
        record, explanation = explain_by(estimator, record_of(image, caller, name=name), _NEEDED, caller)
        return cls._of(record, record.mask, explanation, record.confidence, chosen, margin, max_side, axes)

    @classmethod
    @validate_params(
        {
            **_CHECKS,
            "confidence": [Interval(Real, 0, 1, closed="both"), None],
            "pixel_size": [Interval(Real, 0, None, closed="neither"), None],
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        image: Any,
        mask: Any = None,
        explanation: Any = None,
        *,
        panels: Sequence[str] | str | None = None,
        confidence: float | None = None,
        name: str | None = None,
        pixel_size: float | None = None,
        margin: float = 0.25,
        max_side: int = 400,
        axes: Any = None,
    ) -> ABCDDisplay:
        """Draw the geometry of a lesion that is outlined, and maybe explained, already.

        Parameters
        ----------
        image : path-like, ndarray of shape (H, W, 3), uint8, or LesionImage
            The image.
        mask : ndarray of shape (H, W), bool, or path-like, default=None
            The lesion; the mask of the record if None.
        explanation : mapping, default=None
            What `ABCDFeaturizer.explain` gives of this image and mask. If None,
            ``ABCDFeaturizer()`` is asked.
        panels : sequence of str or str, default=None
            Which panels, of `PANELS`, in this order; all if None.
        confidence : float, default=None
            Confidence of the outline in [0, 1]; that of the record if None and
            ``mask`` is None.
        name : str, default=None
            Name of the image; that of the record, or of the file, if None.
        pixel_size : float, default=None
            Millimeters per pixel of the original image, above 0; that of the
            record if None.
        margin : float, default=0.25
            Margin around the lesion, as a fraction of its longer side, at least 0;
            None shows the whole image.
        max_side : int, default=400
            Longer side of the picture in pixels, at most; at least 16.
        axes : array-like of matplotlib Axes, default=None
            Axes to draw on, one a panel; a new figure is made if None.

        Returns
        -------
        display : ABCDDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no mask, or one of another size than the image.
        """
        caller = f"{cls.__name__}.from_predictions"
        chosen = _check_panels(panels)
        record = record_of(image, caller, name=name, pixel_size=pixel_size)
        if confidence is None and mask is None:
            confidence = record.confidence
        found = mask_of(record, mask, "mask", caller)
        assert found is not None
        if not found.any():
            explanation = None
        elif explanation is None and chosen != ("outline",):
            explanation = ABCDFeaturizer().explain(record.with_(mask=found))
        return cls._of(record, found, explanation, confidence, chosen, margin, max_side, axes)

    @classmethod
    def _of(
        cls, record: Any, mask: Any, explanation: Any, confidence: Any, panels: Any, margin: Any, max_side: int,
        axes: Any,
    ) -> ABCDDisplay:  # fmt: skip
        view = make_view(record, {"mask": mask}, margin=margin, max_side=max_side, aspect=_ASPECT)
        return cls(view, explanation, name=record.name, confidence=confidence).plot(axes, panels=panels)
