"""Checks of estimators of images: the image versions of scikit-learn's, for ours and for others'."""

from ._checks import check_image_estimator, image_checks
from ._discovery import all_estimators, make_instances

__all__ = ["all_estimators", "check_image_estimator", "image_checks", "make_instances"]
