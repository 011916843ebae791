"""Intervals and operating points: numbers with their uncertainty."""

from ._intervals import Interval, bootstrap_interval
from ._operating_point import threshold_at_sensitivity

__all__ = ["Interval", "bootstrap_interval", "threshold_at_sensitivity"]
