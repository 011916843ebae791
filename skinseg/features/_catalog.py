"""All features by group: what `ABCDFeaturizer` can measure."""

from __future__ import annotations

from collections.abc import Collection

from . import asymmetry, border, color, dimension
from ._region import LesionRegion
from ._table import Block, Feature, measure_blocks

__all__ = ["BLOCKS", "FEATURES", "GROUPS", "measure"]

BLOCKS: dict[str, tuple[Block, ...]] = {
    "asymmetry": asymmetry.BLOCKS,
    "border": border.BLOCKS,
    "color": color.BLOCKS,
    "dimension": dimension.BLOCKS,
}

GROUPS = tuple(BLOCKS)
"""Groups of features in the order of their columns."""

FEATURES: dict[str, Feature] = {
    feature.name: feature for blocks in BLOCKS.values() for block in blocks for feature in block.features
}
"""Every feature by its name, in the order of the columns."""


def measure(region: LesionRegion, names: Collection[str]) -> dict[str, float]:
    """Measure the features asked for, and nothing that they do not need."""
    result: dict[str, float] = {}
    for blocks in BLOCKS.values():
        result |= measure_blocks(blocks, region, names)
    return result
