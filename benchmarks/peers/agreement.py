"""Which numbers of different packages say the same, and how near to each other they come."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr


class Pair(NamedTuple):
    """One quantity by two packages."""

    quantity: str
    ours: str  # a column of ours, or an expression of columns
    peer: str
    theirs: str  # likewise
    why: str  # where they differ
    scaled: bool = True  # whether both are on one scale, so that a relative difference says something


_ECCENTRICITY = "sqrt(1 - (1 - dimension_elongation)**2)"
_SAME = "same definition"
_NO_SQUARE = "there a pixel is a point, here a square: 1/12 more in each variance"
PAIRS = (
    Pair("area", "dimension_area_px", "scikit-image", "area", "number of pixels"),
    Pair("area", "dimension_area_px", "pyradiomics", "shape2D_PixelSurface", "number of pixels"),
    Pair("area", "dimension_area_px", "pyradiomics", "shape2D_MeshSurface",
         "area of the mesh through the middles between pixels, which cuts corners"),
    Pair("area", "dimension_area_px", "mahotas", "area", "number of pixels (numpy)"),
    Pair("equivalent diameter", "dimension_equivalent_diameter_px", "scikit-image", "equivalent_diameter_area", _SAME),
    Pair("perimeter", "dimension_perimeter_px", "scikit-image", "perimeter",
         "length of a chain through the middles of the outer pixels, weighted by steps; holes count"),
    Pair("perimeter", "dimension_perimeter_px", "scikit-image", "perimeter_crofton",
         "Crofton's formula in four directions, without blur; holes count"),
    Pair("perimeter", "dimension_perimeter_px", "pyradiomics", "shape2D_Perimeter",
         "length of the mesh with the stairs of the grid, here traced on the blurred mask; holes count"),
    Pair("perimeter", "dimension_perimeter_px", "mahotas", "perimeter",
         "chain through the outer pixels, weighted by steps; holes count"),
    Pair("largest diameter", "dimension_feret_max_px", "scikit-image", "feret_diameter_max",
         "of the convex hull drawn as pixels, which lie up to half a pixel outside"),
    Pair("largest diameter", "dimension_feret_max_px", "pyradiomics", "shape2D_MaximumDiameter",
         "between the middles of outer pixel edges, as here"),
    Pair("long axis", "dimension_axis_major_px", "scikit-image", "axis_major_length", _NO_SQUARE),
    Pair("long axis", "dimension_axis_major_px", "pyradiomics", "shape2D_MajorAxisLength", _NO_SQUARE),
    Pair("long axis", "dimension_axis_major_px", "mahotas", "2 * semimajor", _NO_SQUARE),
    Pair("short axis", "dimension_axis_minor_px", "scikit-image", "axis_minor_length", _NO_SQUARE),
    Pair("short axis", "dimension_axis_minor_px", "pyradiomics", "shape2D_MinorAxisLength", _NO_SQUARE),
    Pair("short axis", "dimension_axis_minor_px", "mahotas", "2 * semiminor", _NO_SQUARE),
    Pair("elongation", "1 - dimension_elongation", "pyradiomics", "shape2D_Elongation",
         "there short over long axis (1 for a disc), here 1 less that (0 for a disc)"),
    Pair("eccentricity", _ECCENTRICITY, "scikit-image", "eccentricity", _NO_SQUARE),
    Pair("eccentricity", _ECCENTRICITY, "mahotas", "eccentricity", _NO_SQUARE),
    Pair("solidity", "border_solidity", "scikit-image", "solidity",
         "there pixels over pixels of the hull, here areas of the traced polygon of the largest part, without holes"),
    Pair("sphericity", "1 / sqrt(border_compactness)", "pyradiomics", "shape2D_Sphericity",
         "2 sqrt(pi A) / P, as 1 / sqrt(compactness): perimeter and area as above"),
    Pair("roundness", "border_compactness", "mahotas", "roundness",
         "P^2 / (4 pi A), with the number of outer pixels as perimeter"),
    Pair("spread of lightness", "color_l_std", "pyradiomics", "sqrt(firstorder_Variance)",
         "gray levels there, L* here", scaled=False),
    *(
        Pair(f"GLCM, {what}", f"structure_glcm_{what}", peer, theirs, "other gray levels, scale and smoothing",
             scaled=False)
        for what, names in {
            "contrast": ("glcm_Contrast", "haralick_contrast"),
            "correlation": ("glcm_Correlation", "haralick_correlation"),
            "energy": ("glcm_JointEnergy", "haralick_energy"),
            "homogeneity": ("glcm_Idm", "haralick_homogeneity"),
            "entropy": ("glcm_JointEntropy", "haralick_entropy"),
        }.items()
        for peer, theirs in zip(("pyradiomics", "mahotas"), names, strict=True)
    ),
    Pair("network, mean probability", "probability", "keras", "probability", "same weights, other library"),
    *(
        Pair(f"threshold, {method}", f"threshold_{method}", "scikit-image", f"threshold_{method}", why)
        for method, why in {
            "isodata": "by histogram, as there",
            "li": "there starts at the mean of the pixels, here of a sample of 4,096 with the same histogram",
            "mean": "here of a sample of 4,096 with the same histogram",
            "minimum": "by histogram, as there; Otsu's where there are no two maxima",
            "multi_otsu": "the upper of two",
            "otsu": "by histogram, as there",
            "triangle": "here of a sample of 4,096 with the same histogram",
            "yen": "by histogram, as there",
        }.items()
    ),
)  # fmt: skip


def evaluate(expression, values):
    """Evaluate an expression of columns, such as ``2 * semimajor``, for every image."""
    return pd.DataFrame(values).eval(expression, engine="python").to_numpy(float)


def compare(pair, ours, theirs):
    """Compare one quantity over the images.

    Parameters
    ----------
    pair : Pair
        What is compared.
    ours, theirs : list of dict of str to float
        Named values of every image.

    Returns
    -------
    dict of str to float
        ``median``, ``low`` and ``high``: median and 5 and 95 % quantiles of
        (theirs - ours) / ours, where both are on one scale; ``rank``, the
        rank correlation of Spearman, where the values differ; ``n``, the
        images with both values.
    """
    a, b = evaluate(pair.ours, ours), evaluate(pair.theirs, theirs)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    result: dict[str, float] = {"n": len(a)}
    if len(np.unique(a)) > 1 and len(np.unique(b)) > 1:
        result["rank"] = float(spearmanr(a, b).statistic)
    if pair.scaled and len(a):
        low, median, high = np.quantile((b - a) / a, (0.05, 0.5, 0.95))
        result |= {"median": float(median), "low": float(low), "high": float(high)}
    return result
