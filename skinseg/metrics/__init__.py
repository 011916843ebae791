"""Scores of masks against the expert's, scores of classifiers that scikit-learn lacks, and scorers made of them."""

from ._boundary import (
    SurfaceDistances,
    average_symmetric_surface_distance,
    boundary_f1_score,
    hausdorff_distance,
    surface_distances,
)
from ._overlap import (
    accuracy_score,
    dice_score,
    jaccard_score,
    sensitivity_score,
    specificity_score,
    thresholded_jaccard_score,
)
from ._per_image import mask_scores
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
    "SurfaceDistances",
    "accuracy_score",
    "average_symmetric_surface_distance",
    "boundary_f1_score",
    "dice_score",
    "expected_calibration_error",
    "get_classification_scorer",
    "get_mask_scorer",
    "hausdorff_distance",
    "jaccard_score",
    "mask_scores",
    "partial_auc_score",
    "sensitivity_at_specificity",
    "sensitivity_score",
    "specificity_at_sensitivity",
    "specificity_score",
    "surface_distances",
    "thresholded_jaccard_score",
]
