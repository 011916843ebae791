"""The result of an explanation: what each group of features contributed, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ._explanation_html import contributions_html

__all__ = ["NOT_MEASURED", "Contributions"]

NOTICE = "Research software, no medical device: this explains the model, not the lesion, and is no diagnosis."
NOT_MEASURED = "nothing was measured"


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each group of features contributed to what a classifier says of each image.

    `explain_prediction` makes these. In each row ``baseline`` and the
    contributions add up to ``output``; an image of which nothing was measured
    has a row of NaN, and its reason is in ``errors``.

    Parameters
    ----------
    contributions : DataFrame of shape (n_images, n_groups)
        A row an image, named by it; a column a group, or a feature.
    baseline : float
        What the model says where nothing is known of the image: for the mean
        of the training data, or as the mean over the background.
    output : Series of shape (n_images,)
        What the model says of each image, on the same scale.
    probability : Series of shape (n_images,) or None
        Probability of the class ``pos_label``; None if the model gives none.
    scale : {"log_odds", "probability", "decision"}
        What is added up; ``"decision"`` is the decision function of a model
        without probabilities.
    method : {"exact", "permutation"}
        How it was found out.
    pos_label : object
        The class that the contributions are for.
    standard_error : DataFrame of shape (n_images, n_groups)
        Error of the contributions from drawing orders, with the background as
        it is; 0 where nothing was drawn.
    errors : dict of int to str, default={}
        The images that failed, or show no lesion.

    See Also
    --------
    explain_prediction : Makes these.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skinseg.inspection import explain_prediction
    >>> table = pd.DataFrame({"border_score": [0.0, 2, 4, 6], "color_count": [1.0, 3, 2, 4]})
    >>> model = LogisticRegression().fit(table, [0, 0, 1, 1])
    >>> explanation = explain_prediction(model, table, background=table)
    >>> explanation.contributions.columns.tolist()
    ['border', 'color']
    """

    contributions: pd.DataFrame
    baseline: float
    output: pd.Series
    probability: pd.Series | None
    scale: str
    method: str
    pos_label: Any
    standard_error: pd.DataFrame
    errors: Mapping[int, str] = field(default_factory=dict)

    _SCALES: ClassVar[dict[str, str]] = {
        "log_odds": "log-odds", "probability": "probability", "decision": "decision function",
    }  # fmt: skip

    @property
    def scale_name(self) -> str:
        """The scale in words."""
        return self._SCALES[self.scale]

    def _repr_html_(self) -> str:
        return contributions_html(self, self._SCALES[self.scale], NOTICE)

    def to_text(self, index: int | str = 0, *, top: int = 10) -> str:
        """Tell of one image what raised and what lowered the output, the largest contribution first.

        Parameters
        ----------
        index : int or str, default=0
            Position of the image, or its name.
        top : int, default=10
            Number of lines with contributions, at least 1; the rest is added
            up in one more.

        Returns
        -------
        str
            Some lines, the last of which says what this is not.
        """
        _check_top(top)
        position = self._position(index)
        name, row = self.contributions.index[position], self.contributions.iloc[position]
        if row.isna().any():
            return f"{name}: not explained, {self.errors.get(position, NOT_MEASURED)}\n{NOTICE}"
        title = f"{name}: "
        if self.probability is not None:
            title += f"probability of {self.pos_label} {self.probability.iloc[position]:.2f}; "
        output = _signed(self.output.iloc[position])
        title += f"{self._SCALES[self.scale]} {output} = {_signed(self.baseline)} (baseline) and"
        ranked = _largest_first(row)
        if len(ranked) > top:
            rest = sum(value for _, value in ranked[top:])
            ranked = [*ranked[:top], (f"{len(ranked) - top} others", rest)]
        lines = [f"{group} {_signed(value)} ({_effect(value)})" for group, value in ranked]
        return "\n".join([title, *lines, NOTICE])

    def summary(self, *, top: int = 10) -> str:
        """Tell how much each group contributed over all images, in the mean and whatever the sign.

        Parameters
        ----------
        top : int, default=10
            Number of groups, at least 1.

        Returns
        -------
        str
            Some lines, the last of which says what this is not.
        """
        _check_top(top)
        known = self.contributions.dropna()
        title = (
            f"{len(known)} of {len(self.contributions)} images explained ({self.method}); mean size of the "
            f"contributions to the {self._SCALES[self.scale]} of {self.pos_label}"
        )
        ranked = _largest_first(known.abs().mean()) if len(known) else []
        lines = [f"{group} {value:.2f}" for group, value in ranked[:top]]
        if len(ranked) > top:
            lines.append(f"and {len(ranked) - top} more")
        return "\n".join([title, *lines, NOTICE])

    def _position(self, index: int | str) -> int:
        names, count = self.contributions.index, len(self.contributions)
        if isinstance(index, Integral):
            if not -count <= index < count:
                raise IndexError(f"there are {count} images, at 0 to {count - 1}; got {index}")
            return int(index) % count
        places = np.flatnonzero(names == index)
        if len(places) != 1:
            found = "no image" if not len(places) else f"{len(places)} images, at {places.tolist()}"
            raise KeyError(f"{found} named {index!r}; give the position, 0 to {count - 1}")
        return int(places[0])


def _check_top(top: int) -> None:
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")


def _largest_first(row: pd.Series) -> list[tuple[str, float]]:
    order = np.argsort(-row.abs().to_numpy(), kind="stable")
    return [(str(row.index[place]), float(row.iloc[place])) for place in order]


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # there is no -0.00


def _effect(value: float) -> str:
    if abs(value) < 0.005:
        return "no change"
    return "raises" if value > 0 else "lowers"
