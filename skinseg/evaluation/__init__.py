"""Intervals, operating points, duplicates and splits: numbers with their uncertainty, without leaks."""

from ._duplicates import find_duplicates, group_duplicates, load_duplicate_list
from ._intervals import Interval, bootstrap_interval
from ._leakage import LeakageReport, check_leakage
from ._operating_point import threshold_at_sensitivity
from ._splits import SplitReport, check_splits, split_by_group

__all__ = [
    "Interval",
    "LeakageReport",
    "SplitReport",
    "bootstrap_interval",
    "check_leakage",
    "check_splits",
    "find_duplicates",
    "group_duplicates",
    "load_duplicate_list",
    "split_by_group",
    "threshold_at_sensitivity",
]
