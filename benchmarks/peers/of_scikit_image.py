"""scikit-image: region properties and thresholds."""

from importlib.metadata import version

import numpy as np
from skimage import filters
from skimage.measure import regionprops_table
from worker import Task, each, serve

# as the benchmark suite asks for them (benchmarks/benchmarks/steps.py)
PROPERTIES = (
    "area", "area_convex", "axis_major_length", "axis_minor_length", "eccentricity", "equivalent_diameter_area",
    "extent", "feret_diameter_max", "orientation", "perimeter", "solidity",
)  # fmt: skip
SHARED = tuple(name for name in PROPERTIES if name not in ("area_convex", "extent", "orientation"))
METHODS = ("isodata", "li", "mean", "minimum", "multi_otsu", "otsu", "triangle", "yen")


def find_threshold(gray, method):
    """Call the function of that name; `multi_otsu` is the upper of two thresholds."""
    if method == "multi_otsu":
        return float(filters.threshold_multiotsu(gray, classes=3)[-1])
    try:
        return float(getattr(filters, f"threshold_{method}")(gray))
    except RuntimeError:  # "minimum" wants two maxima
        return float("nan")


def properties(names):
    def measure(labels):
        return regionprops_table(labels, properties=names)

    return Task(lambda case: case.mask.astype(np.uint8), each(measure), len(names))


def threshold(method):
    return Task(lambda case: case.gray, each(lambda gray: find_threshold(gray, method)), 1)


def values(case):
    found = regionprops_table(case.mask.astype(np.uint8), properties=(*PROPERTIES, "perimeter_crofton"))
    return {name: float(column[0]) for name, column in found.items()} | {
        f"threshold_{method}": find_threshold(case.gray, method) for method in METHODS
    }


if __name__ == "__main__":
    serve(
        {
            "regionprops_table, 11 properties": properties(PROPERTIES),
            "regionprops_table, 8 shared": properties(SHARED),
            **{f"threshold, {method}": threshold(method) for method in METHODS},
        },
        {name: version(name) for name in ("scikit-image", "numpy")},
        values,
    )
