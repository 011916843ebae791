"""Where an outline differs from a reference."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval, validate_params

from ..metrics import average_symmetric_surface_distance, dice_score, hausdorff_distance, jaccard_score
from ._display_chain import outline_by
from ._display_legend import Entry, draw_legend, hatch, show_with_room
from ._display_view import (
    BLUE,
    SKY,
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
    trace,
)

__all__ = ["SegmentationErrorDisplay"]

KINDS: dict[str, tuple[str, str, str]] = {
    "true_positive": ("found", SKY, ""),
    "false_positive": ("found, but no lesion", VERMILION, "////"),
    "false_negative": ("lesion, but missed", BLUE, "...."),
}
_OPACITY = {"true_positive": 0.15, "false_positive": 0.35, "false_negative": 0.35}
_DASHES = (0, (3.5, 1.5))
_CHECKS: dict[str, list[Any]] = {
    "name": [str, None],
    "margin": [Interval(Real, 0, None, closed="left"), None],
    "max_side": [Interval(Integral, 16, None, closed="left")],
    "scale_bar": ["boolean"],
}


class SegmentationErrorDisplay:
    """Where an outline differs from a reference, and by how much.

    It is recommended to use `SegmentationErrorDisplay.from_estimator` or
    `SegmentationErrorDisplay.from_predictions` to create a display. All
    parameters are stored as attributes.

    Parameters
    ----------
    view : View
        What is shown, with the planes ``true`` and ``pred``.
    scores : dict of str to float
        ``jaccard``, ``dice``, and, unless one of the masks is empty, the
        distances of the boundaries ``mean_distance`` and ``hausdorff``.
    counts : dict of str to int
        Pixels of ``true_positive``, ``false_positive`` and ``false_negative``.
    name : str, default=None
        Name of the image.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the image.
    figure_ : matplotlib Figure
        Figure containing the axes.
    regions_ : dict of str to matplotlib PathPatch or None
        The regions by their kind, as in ``counts``; None where there is none.

    See Also
    --------
    skinseg.metrics.jaccard_score : Of many masks.
    skinseg.metrics.hausdorff_distance : The largest distance of boundaries.
    LesionDisplay : The outlines alone.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skinseg.inspection import SegmentationErrorDisplay
    >>> true, pred = np.zeros((2, 40, 40), dtype=bool)
    >>> true[10:30, 10:30] = True
    >>> pred[10:30, 15:35] = True
    >>> display = SegmentationErrorDisplay.from_predictions(
    ...     np.full((40, 40, 3), 200, dtype=np.uint8), true, pred, ax=Figure().add_subplot())
    >>> display.scores["jaccard"], display.counts["false_positive"]
    (0.6, 100)
    """

    def __init__(
        self, view: View, *, scores: Mapping[str, float], counts: Mapping[str, int], name: str | None = None
    ) -> None:
        self.view = view
        self.scores = scores
        self.counts = counts
        self.name = name

    def plot(self, ax: Any = None, *, scale_bar: bool = True) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure is made if None.
        scale_bar : bool, default=True
            Draw a scale bar, in millimeters where the pixel size is known, else
            in pixels of the original image.

        Returns
        -------
        self : SegmentationErrorDisplay
            The display, with the attributes listed above.
        """
        from matplotlib.colors import to_rgba

        own = ax is None
        if own:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        view = self.view
        show_with_room(ax, view, rows=3)
        true, pred = view.mask("true"), view.mask("pred")
        regions = {"true_positive": true & pred, "false_positive": pred & ~true, "false_negative": true & ~pred}
        total = max(1, sum(self.counts.values()))
        entries = []
        self.regions_ = {}
        for kind, (words, color, pattern) in KINDS.items():
            face = to_rgba(color, _OPACITY[kind])
            self.regions_[kind] = hatch(ax, view, regions[kind], pattern or None, color, face, linewidth=0.0)
            share = f"{100 * self.counts[kind] / total:.0f} %"
            style = {"facecolor": face, "edgecolor": color, "hatch": pattern or None, "linewidth": 0.6}
            entries.append(Entry(f"{words} {share}", style))
        if true.any():
            draw_lines(ax, trace(view, "true"), "white", width=1.2)
        if pred.any():
            draw_lines(ax, trace(view, "pred"), VERMILION, width=1.2, dashes=_DASHES)
        line: dict[str, Any] = {"linewidth": 1.2}
        entries += [
            Entry("reference" if true.any() else "reference: empty", {**line, "color": "#777777", "linestyle": "-"}),
            Entry("outline" if pred.any() else "outline: empty", {**line, "color": VERMILION, "linestyle": _DASHES}),
        ]
        draw_legend(ax, view, entries, columns=2)
        if scale_bar:
            draw_scale_bar(ax, view)
        ax.set_title("\n".join([*([plain_title(self.name)] if self.name else []), *self._facts()]), fontsize=TITLE_SIZE)
        if own:
            add_notice(ax.figure)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _facts(self) -> list[str]:
        scores, unit = self.scores, self.view.unit
        lines = [f"Jaccard {scores['jaccard']:.3f}, Dice {scores['dice']:.3f}"]
        if "hausdorff" in scores:
            mean, most = (f"{scores[key]:.3g} {unit}" for key in ("mean_distance", "hausdorff"))
            lines.append(f"mean distance {mean}, Hausdorff {most}")
        return lines

    @classmethod
    @validate_params(_CHECKS, prefer_skip_nested_validation=True)
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        reference_mask: Any = None,
        *,
        name: str | None = None,
        margin: float | None = 0.25,
        max_side: int = 400,
        ax: Any = None,
        scale_bar: bool = True,
    ) -> SegmentationErrorDisplay:
        """Outline the lesion of an image by a model, and draw where that differs from a reference.

        Parameters
        ----------
        estimator : estimator
            A fitted segmenter, or a pipeline with one.
        image : path-like, ndarray of shape (H, W, 3), uint8, or LesionImage
            The image.
        reference_mask : ndarray of shape (H, W), bool, or path-like, default=None
            The outline by an expert; that of the record if None.
        name : str, default=None
            Name of the image; that of the record, or of the file, if None.
        margin : float, default=0.25
            Margin around both outlines, as a fraction of the longer side, at
            least 0; None shows the whole image.
        max_side : int, default=400
            Longer side of the picture in pixels, at most; at least 16.
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure is made if None.
        scale_bar : bool, default=True
            Draw a scale bar.

        Returns
        -------
        display : SegmentationErrorDisplay
            The display, drawn.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from skinseg import PretrainedSegmenter
        >>> from skinseg.datasets import make_lesions
        >>> from skinseg.inspection import SegmentationErrorDisplay
        >>> lesions = make_lesions(1, random_state=0)
        >>> display = SegmentationErrorDisplay.from_estimator(
        ...     PretrainedSegmenter(), lesions.images[0], lesions.masks[0], ax=Figure().add_subplot())
        >>> display.scores["jaccard"] > 0.5
        True
        """
        caller = f"{cls.__name__}.from_estimator"
        record = outline_by(estimator, record_of(image, caller, name=name), caller)
        return cls.from_predictions(
            record, reference_mask, record.mask, margin=margin, max_side=max_side, ax=ax, scale_bar=scale_bar
        )

    @classmethod
    @validate_params(
        {**_CHECKS, "pixel_size": [Interval(Real, 0, None, closed="neither"), None]},
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        image: Any,
        y_true: Any = None,
        y_pred: Any = None,
        *,
        name: str | None = None,
        pixel_size: float | None = None,
        margin: float | None = 0.25,
        max_side: int = 400,
        ax: Any = None,
        scale_bar: bool = True,
    ) -> SegmentationErrorDisplay:
        """Draw where an outline that is there already differs from a reference.

        Parameters
        ----------
        image : path-like, ndarray of shape (H, W, 3), uint8, or LesionImage
            The image.
        y_true : ndarray of shape (H, W), bool, or path-like, default=None
            The outline by an expert; the ``reference_mask`` of the record if None.
        y_pred : ndarray of shape (H, W), bool, or path-like, default=None
            The outline to be judged; the ``mask`` of the record if None.
        name : str, default=None
            Name of the image; that of the record, or of the file, if None.
        pixel_size : float, default=None
            Millimeters per pixel of the original image, above 0; that of the
            record if None.
        margin : float, default=0.25
            Margin around both outlines, as a fraction of the longer side, at
            least 0; None shows the whole image.
        max_side : int, default=400
            Longer side of the picture in pixels, at most; at least 16.
        ax : matplotlib Axes, default=None
            Axes to draw on; a new figure is made if None.
        scale_bar : bool, default=True
            Draw a scale bar.

        Returns
        -------
        display : SegmentationErrorDisplay
            The display, drawn. Its scores are those of the whole masks, at their
            own size.

        Raises
        ------
        ValueError
            If a mask is missing, or of another size than the image.
        """
        caller = f"{cls.__name__}.from_predictions"
        record = record_of(image, caller, name=name, pixel_size=pixel_size)
        true = mask_of(record, y_true, "reference_mask", caller)
        pred = mask_of(record, y_pred, "mask", caller)
        assert true is not None
        assert pred is not None
        true = true if true.dtype == bool else true >= 0.5
        view = make_view(record, {"true": true, "pred": pred}, margin=margin, max_side=max_side)
        scores = {"jaccard": float(jaccard_score([true], [pred])), "dice": float(dice_score([true], [pred]))}
        if true.any() and pred.any():
            scores["mean_distance"] = float(average_symmetric_surface_distance([true], [pred])) * view.unit_size
            scores["hausdorff"] = float(hausdorff_distance([true], [pred], percentile=100)) * view.unit_size
        counts = {
            "true_positive": int(np.count_nonzero(true & pred)),
            "false_positive": int(np.count_nonzero(pred & ~true)),
            "false_negative": int(np.count_nonzero(true & ~pred)),
        }
        return cls(view, scores=scores, counts=counts, name=record.name).plot(ax, scale_bar=scale_bar)
