"""What a feature is, and how groups of features are measured: in blocks, of which only those asked for run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ._region import LesionRegion

__all__ = ["INF", "Block", "Feature", "measure_blocks"]

INF = float("inf")


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
    working_size : int
        Longer side in pixels to which lesion and surrounding skin are reduced
        before the feature is measured, at most; 0 where it is measured on the
        image as it is.
    """

    name: str
    unit: str
    low: float
    high: float
    source: str
    description: str
    working_size: int = 256

    @property
    def group(self) -> str:
        """The group, first part of the name."""
        return self.name.partition("_")[0]


class Block(NamedTuple):
    """Features that are measured together, and the function that does it.

    Parameters
    ----------
    features : tuple of Feature
        What it gives.
    measure : callable
        From a `LesionRegion` with a lesion to a dict of name to value.
    """

    features: tuple[Feature, ...]
    measure: Callable[[LesionRegion], dict[str, float]]


def measure_blocks(
    blocks: Iterable[Block], region: LesionRegion, names: Collection[str] | None = None, *, forget: bool = True
) -> dict[str, float]:
    """Run the blocks that give any of the names.

    Parameters
    ----------
    blocks : iterable of Block
        The blocks.
    region : LesionRegion
        What is measured.
    names : collection of str, default=None
        The features asked for; all if None.
    forget : bool, default=True
        Let go of what the region keeps for other blocks.

    Returns
    -------
    dict of str to float
        The features asked for, in the order of the blocks; NaN without a
        lesion, and wherever ``region.reasons`` says why.
    """
    result: dict[str, float] = {}
    for block in blocks:
        wanted = [feature.name for feature in block.features if names is None or feature.name in names]
        if not wanted:
            continue
        values = block.measure(region) if region.has_lesion else region.not_measured(wanted, "the mask is empty")
        result |= {name: float(values[name]) for name in wanted}
    if forget:
        region.forget()
    return result
