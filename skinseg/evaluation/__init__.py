"""Intervals, comparisons and experiments: numbers with their uncertainty, and all that a reader needs to trust them."""

from ._compare import Comparison, compare_experiments
from ._duplicates import find_duplicates, group_duplicates, load_duplicate_list
from ._experiment import run_experiment
from ._folder import Experiment, RerunCheck, load_experiment
from ._intervals import Difference, Interval, bootstrap_interval, paired_bootstrap
from ._leakage import LeakageReport, check_leakage
from ._operating_point import threshold_at_sensitivity
from ._rerun import rerun_experiment
from ._splits import SplitReport, check_splits, split_by_group
from ._submission import (
    ISIC_COLUMNS,
    read_isic_classification,
    read_isic_masks,
    write_isic_classification,
    write_isic_masks,
)

__all__ = [
    "ISIC_COLUMNS",
    "Comparison",
    "Difference",
    "Experiment",
    "Interval",
    "LeakageReport",
    "RerunCheck",
    "SplitReport",
    "bootstrap_interval",
    "check_leakage",
    "check_splits",
    "compare_experiments",
    "find_duplicates",
    "group_duplicates",
    "load_duplicate_list",
    "load_experiment",
    "paired_bootstrap",
    "read_isic_classification",
    "read_isic_masks",
    "rerun_experiment",
    "run_experiment",
    "split_by_group",
    "threshold_at_sensitivity",
    "write_isic_classification",
    "write_isic_masks",
]
