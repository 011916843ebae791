"""Scores of masks against the expert's, scores of classifiers that scikit-learn lacks, and scorers made of them."""

from ._overlap import (
    accuracy_score,
    dice_score,
    jaccard_score,
    sensitivity_score,
    specificity_score,
    thresholded_jaccard_score,
)
from ._ranking import (
    expected_calibration_error,
    get_classification_scorer,
    partial_auc_score,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)
from ._scorers import MaskScorer, get_mask_scorer

__all__ = [
    "MaskScorer",
    "accuracy_score",
    "dice_score",
    "expected_calibration_error",
    "get_classification_scorer",
    "get_mask_scorer",
    "jaccard_score",
    "partial_auc_score",
    "sensitivity_at_specificity",
    "sensitivity_score",
    "specificity_at_sensitivity",
    "specificity_score",
    "thresholded_jaccard_score",
]
