"""The table of all features: name, unit, range, source and one sentence for each."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FEATURES", "GROUPS", "Feature"]

_STOLZ = "Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527"
_CIE = "CIE 15:2018 (CIELAB, D65)"
_KASMI = "Kasmi and Mokrani, IET Image Process. 10 (2016) 448-455"
_GEOMETRY = "elementary geometry"
_FERET = "Feret, La grosseur des grains (1930)"
_INF = float("inf")


class Feature(NamedTuple):
    """One column of the feature table.

    Parameters
    ----------
    name : str
        ``<group>_<what>[_<unit>]``.
    unit : str
        Unit; ``"1"`` for a pure number.
    low, high : float
        Range of possible values.
    source : str
        Where the definition comes from.
    description : str
        One sentence.
    """

    name: str
    unit: str
    low: float
    high: float
    source: str
    description: str

    @property
    def group(self) -> str:
        """The group, first part of the name."""
        return self.name.partition("_")[0]


_ASYMMETRY = [
    Feature("asymmetry_shape", "1", 0, 1, _STOLZ, "Mean of the shape asymmetry about the two principal axes."),
    Feature("asymmetry_shape_major", "1", 0, 1, _STOLZ,
            "Share of the lesion without a mirror image in it about the major principal axis."),
    Feature("asymmetry_shape_minor", "1", 0, 1, _STOLZ,
            "Share of the lesion without a mirror image in it about the minor principal axis."),
    Feature("asymmetry_color", "1", 0, 1, _STOLZ, "Mean of the color asymmetry about the two principal axes."),
    Feature("asymmetry_color_major", "1", 0, 1, _STOLZ,
            "Mean CIELAB difference of mirrored pixels about the major principal axis, over 100."),
    Feature("asymmetry_color_minor", "1", 0, 1, _STOLZ,
            "Mean CIELAB difference of mirrored pixels about the minor principal axis, over 100."),
    Feature("asymmetry_center_shift", "1", 0, 1, "Celebi et al., Comput. Med. Imaging Graph. 31 (2007) 362-373",
            "Distance of the center of darkness from the center of the shape, over the equivalent diameter."),
]  # fmt: skip
_BORDER = [
    Feature("border_compactness", "1", 1, _INF, _GEOMETRY, "Perimeter squared over 4 pi times the area; 1 for a disc."),
    Feature("border_solidity", "1", 0, 1, _GEOMETRY, "Area over the area of the convex hull."),
    Feature("border_convexity", "1", 0, 1, _GEOMETRY, "Perimeter of the convex hull over the perimeter."),
    Feature("border_radial_irregularity", "1", 0, _INF, _GEOMETRY,
            "Standard deviation over mean of the distance from the centroid along the outline; 0 for a disc."),
]  # fmt: skip
_CHANNELS = (("l", "lightness L*"), ("a", "red-green axis a*"), ("b", "yellow-blue axis b*"))
_COLOR_NAMES = ("white", "red", "light_brown", "dark_brown", "blue_gray", "black")
_COLOR = [
    *(
        Feature(f"color_{c}_mean", "CIELAB", 0 if c == "l" else -128, 100 if c == "l" else 127, _CIE,
                f"Mean {text} of the lesion.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_std", "CIELAB", 0, 128, _CIE, f"Standard deviation of the {text} within the lesion.")
        for c, text in _CHANNELS
    ),
    *(
        Feature(f"color_{c}_contrast", "CIELAB", -255, 255, "Stanley et al., Skin Res. Technol. 13 (2007) 62-72",
                f"Mean {text} of the lesion minus that of the skin around it.")
        for c, text in _CHANNELS
    ),
    Feature("color_contrast", "CIELAB", 0, _INF, _CIE,
            "Color difference (CIE 1976) of the means of lesion and surrounding skin."),
    *(
        Feature(f"color_{name}_share", "1", 0, 1, _KASMI, f"Share of the lesion of the color {name.replace('_', ' ')}.")
        for name in _COLOR_NAMES
    ),
    Feature("color_count", "1", 1, 6, _STOLZ, "How many of the six clinical colors have at least 5 % of the lesion."),
]  # fmt: skip
_DIMENSION = [
    Feature("dimension_area_px", "px^2", 0, _INF, _GEOMETRY, "Area in pixels of the original image."),
    Feature("dimension_area_mm2", "mm^2", 0, _INF, _GEOMETRY, "Area, where the pixel size is known."),
    Feature("dimension_area_fraction", "1", 0, 1, _GEOMETRY, "Area over that of the field of view."),
    Feature("dimension_equivalent_diameter_px", "px", 0, _INF, _GEOMETRY, "Diameter of the disc of equal area."),
    Feature("dimension_equivalent_diameter_mm", "mm", 0, _INF, _GEOMETRY, "The same, where the pixel size is known."),
    Feature("dimension_feret_max_px", "px", 0, _INF, _FERET,
            "Largest diameter in pixels of the original image."),
    Feature("dimension_feret_max_mm", "mm", 0, _INF, _FERET,
            "Largest diameter, where the pixel size is known (6 mm is the limit of the naked-eye rule)."),
    Feature("dimension_feret_max_fraction", "1", 0, 1, _GEOMETRY,
            "Largest diameter over the diagonal of the image."),
]  # fmt: skip

GROUPS = ("asymmetry", "border", "color", "dimension")
"""Groups of features in the order of their columns."""

FEATURES: dict[str, Feature] = {feature.name: feature for feature in (*_ASYMMETRY, *_BORDER, *_COLOR, *_DIMENSION)}
"""Every feature by its name, in the order of the columns."""
