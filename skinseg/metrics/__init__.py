"""Scores of masks against the expert's, and scorers made of them."""

from ._overlap import (
    accuracy_score,
    dice_score,
    jaccard_score,
    sensitivity_score,
    specificity_score,
    thresholded_jaccard_score,
)
from ._scorers import MaskScorer, get_mask_scorer

__all__ = [
    "MaskScorer",
    "accuracy_score",
    "dice_score",
    "get_mask_scorer",
    "jaccard_score",
    "sensitivity_score",
    "specificity_score",
    "thresholded_jaccard_score",
]
