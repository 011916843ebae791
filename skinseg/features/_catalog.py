"""All features by group: what `ABCDFeaturizer` can measure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache

import numpy as np

from ..rule import COLUMNS, total_dermoscopy_score
from . import asymmetry, border, color, dimension, structure
from ._region import LesionRegion
from ._table import Block, Feature, measure_blocks

__all__ = ["BLOCKS", "FEATURES", "GROUPS", "SOMETIMES", "TDS", "columns_of", "measure"]

BLOCKS: dict[str, tuple[Block, ...]] = {
    "asymmetry": asymmetry.BLOCKS,
    "border": border.BLOCKS,
    "color": color.BLOCKS,
    "dimension": dimension.BLOCKS,
    "structure": structure.BLOCKS,
}

GROUPS = tuple(BLOCKS)
"""Groups of features in the order of their columns."""

TDS = Feature("tds", "1", 1.0, 8.9, "Stolz et al., Eur. J. Dermatol. 4 (1994) 521-527",
              "Total dermoscopy score of the rule: 1.3 A + 0.1 B + 0.5 C + 0.5 D.", 512)  # fmt: skip

FEATURES: dict[str, Feature] = {
    feature.name: feature for blocks in BLOCKS.values() for block in blocks for feature in block.features
} | {TDS.name: TDS}
"""Every feature by its name, in the order of the columns."""

_PARTS = tuple(COLUMNS.values())

SOMETIMES = frozenset(
    name
    for name, feature in FEATURES.items()
    if feature.unit.startswith("mm")
    or re.match(
        r"tds|structure_(network|homogeneous|streaks|dots|globules|count)$|border_(score|sharpness|abrupt)", name
    )
    or re.match(r"color_l_halo_contrast|color_relative_l_(low|median|high)", name)
    or (feature.group == "color" and not color.OF_LIGHT.match(name))
)
"""Features that a lesion may be without; every other one is finite for every mask that is not empty."""


def columns_of(groups: Iterable[str]) -> list[str]:
    """Names of the columns of groups; the score of the rule is one where all its parts are."""
    return list(_columns_of(frozenset(groups)))


@cache  # asked for with every image; there are 31 choices
def _columns_of(chosen: frozenset[str]) -> tuple[str, ...]:
    complete = chosen >= {FEATURES[name].group for name in _PARTS}
    return tuple(
        name for name, feature in FEATURES.items() if feature.group in chosen or (name == TDS.name and complete)
    )


def measure(region: LesionRegion, names: Collection[str]) -> dict[str, float]:
    """Measure the features asked for, and nothing that they do not need."""
    wanted = set(names)
    needed = wanted | (set(_PARTS) if TDS.name in wanted else set())
    result: dict[str, float] = {}
    for blocks in BLOCKS.values():
        result |= measure_blocks(blocks, region, needed, forget=False)
    if TDS.name in wanted:
        missing = [name for name in _PARTS if np.isnan(result[name])]
        if missing:
            reason = "the mask is empty" if not region.has_lesion else f"{', '.join(missing)} not measured"
            result |= region.not_measured([TDS.name], reason)
        else:
            result[TDS.name] = float(total_dermoscopy_score(*(result[name] for name in _PARTS)))
    return {name: value for name, value in result.items() if name in wanted}
