"""The ABCD rule of dermoscopy: total dermoscopy score and verdict, as plain functions of the four parts."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["total_dermoscopy_score", "verdict_of"]

WEIGHTS: dict[str, float] = {"asymmetry": 1.3, "border": 0.1, "colors": 0.5, "structures": 0.5}
"""Weight of each part in the score, in the order A, B, C, D."""

RANGES: dict[str, tuple[int, int]] = {"asymmetry": (0, 2), "border": (0, 8), "colors": (1, 6), "structures": (1, 5)}
"""Least and largest value of each part."""

COLUMNS: dict[str, str] = {
    "asymmetry": "asymmetry_score",
    "border": "border_score",
    "colors": "color_count",
    "structures": "structure_count",
}
"""Column of each part in a table of features."""

BENIGN_BELOW = 4.75
"""Below this score a lesion is called benign."""

HIGHLY_ABOVE = 5.45
"""Above this score a lesion is called highly suspicious of melanoma."""

# weights and sum in tenths: scores of whole parts are then exact, and equal scores are equal numbers
_TENTHS = {part: round(10 * weight) for part, weight in WEIGHTS.items()}


def total_dermoscopy_score(asymmetry: Any, border: Any, colors: Any, structures: Any) -> np.ndarray:
    """Add up the total dermoscopy score, TDS = 1.3 A + 0.1 B + 0.5 C + 0.5 D.

    Parameters
    ----------
    asymmetry : array-like
        A: axes, of two perpendicular ones, about which the lesion is not
        symmetric, 0 to 2.
    border : array-like
        B: segments, of eight, in which the pigment ends abruptly, 0 to 8.
    colors : array-like
        C: colors present, of white, red, light brown, dark brown, blue-gray
        and black, 1 to 6.
    structures : array-like
        D: differential structures present, of network, homogeneous areas,
        branched streaks, dots and globules, 1 to 5.

    Returns
    -------
    ndarray, float64
        The scores, of the shape to which the parts broadcast: 1.0 to 8.9 for
        parts within their ranges (which are not checked), NaN where a part is
        NaN.

    See Also
    --------
    verdict_of : What the score says.
    skinseg.ABCDRuleClassifier : The rule as a classifier.

    References
    ----------
    W. Stolz et al., "ABCD rule of dermatoscopy: a new practical method for
    early recognition of malignant melanoma", European Journal of Dermatology 4
    (1994) 521-527.

    Examples
    --------
    >>> from skinseg.rule import total_dermoscopy_score
    >>> total_dermoscopy_score([0, 2, 2], [0, 5, 8], [1, 4, 6], [1, 3, float("nan")])
    array([1. , 6.6, nan])
    """
    parts = dict(zip(WEIGHTS, (asymmetry, border, colors, structures), strict=True))
    tenths = sum(_TENTHS[part] * np.asarray(values, dtype=np.float64) for part, values in parts.items())
    return np.asarray(tenths / 10)


def verdict_of(tds: Any) -> np.ndarray:
    """Tell what total dermoscopy scores say.

    Parameters
    ----------
    tds : array-like
        Total dermoscopy scores, 1.0 to 8.9 or NaN.

    Returns
    -------
    ndarray of str
        ``"benign"`` below 4.75, ``"suspicious"`` from 4.75 to 5.45,
        ``"highly suspicious"`` above, ``"not measured"`` for NaN. These are
        the words of the rule and no diagnosis.

    See Also
    --------
    total_dermoscopy_score : The score.

    References
    ----------
    F. Nachbar et al., "The ABCD rule of dermatoscopy: high prospective value
    in the diagnosis of doubtful melanocytic skin lesions", Journal of the
    American Academy of Dermatology 30 (1994) 551-559.

    Examples
    --------
    >>> from skinseg.rule import verdict_of
    >>> verdict_of([1.0, 4.8, 6.6]).tolist()
    ['benign', 'suspicious', 'highly suspicious']
    >>> str(verdict_of(float("nan")))
    'not measured'
    """
    score = np.asarray(tds, dtype=np.float64)
    verdict = np.full(score.shape, "not measured", dtype="<U17")
    verdict[score < BENIGN_BELOW] = "benign"
    verdict[(score >= BENIGN_BELOW) & (score <= HIGHLY_ABOVE)] = "suspicious"
    verdict[score > HIGHLY_ABOVE] = "highly suspicious"
    return verdict
