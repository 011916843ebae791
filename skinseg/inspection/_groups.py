"""Which group of features a column belongs to, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..features.texture import TEXTURE_BLOCKS

__all__ = ["CLINICAL", "EMBEDDING", "GROUPS", "groups_of", "source_of"]

CLINICAL, EMBEDDING, OTHER = "clinical", "embedding", "other"

GROUPS = (
    "asymmetry", "border", "color", "dimension", "structure", "texture", "tds", EMBEDDING, CLINICAL, OTHER,
)  # fmt: skip
"""Groups in the order in which they are reported."""

_TEXTURE = frozenset(feature.name for block in TEXTURE_BLOCKS for feature in block.features)
_USUAL = re.compile(r"(missingindicator_)?(age|sex|site|anatom_site|localization|position)(_|$)", re.IGNORECASE)
_PREFIXES = tuple(group for group in GROUPS if group not in (CLINICAL, OTHER))


def groups_of(names: Iterable[str], *, clinical: Sequence[str] = ()) -> dict[str, str]:
    """Tell which group of features each column belongs to.

    Names are read as `ABCDFeaturizer`, `CNNFeaturizer` and the transformers of
    scikit-learn give them, with what a ColumnTransformer or FeatureUnion puts
    before them (``"lesion__abcd__border_score"``).

    Parameters
    ----------
    names : iterable of str
        The columns.
    clinical : sequence of str, default=()
        Names of clinical columns in the frame; what is made of them
        (``"sex_female"``, ``"missingindicator_age"``) is clinical, too.
        Columns of age, sex and site are known by their usual names.

    Returns
    -------
    dict of str to str
        For each column ``"asymmetry"``, ``"border"``, ``"color"``,
        ``"dimension"``, ``"structure"``, ``"texture"`` (those of
        ``structure_`` that are co-occurrence, local patterns and details),
        ``"tds"``, ``"embedding"``, ``"clinical"``, or ``"other"`` where the
        name says nothing.

    Examples
    --------
    >>> from skinseg.inspection import groups_of
    >>> groups_of(["border_score", "structure_lbp_0", "lesion__embedding_lesion_0007", "sex_female", "x0"])
    {'border_score': 'border', 'structure_lbp_0': 'texture', 'lesion__embedding_lesion_0007': 'embedding',
    'sex_female': 'clinical', 'x0': 'other'}
    """
    return {str(name): _group_of(str(name), clinical) for name in names}


def _group_of(name: str, clinical: Sequence[str]) -> str:
    if clinical and source_of(name, clinical) in clinical:
        return CLINICAL
    *before, last = name.split("__")
    if last in _TEXTURE:
        return "texture"
    group = last.partition("_")[0]
    if group in _PREFIXES:
        return group
    if CLINICAL in before or _USUAL.match(last):
        return CLINICAL
    return EMBEDDING if any(part.partition("_")[0] == EMBEDDING for part in before) else OTHER


def source_of(name: str, sources: Sequence[str]) -> str:
    """Tell from which column of a frame a column of a table comes; the name itself where none fits."""
    parts = name.split("__")
    tails = ["__".join(parts[start:]) for start in range(len(parts))]
    for source in sorted(sources, key=len, reverse=True):
        for tail in tails:
            if re.match(rf"(missingindicator_)?{re.escape(source)}(_|$)", tail):
                return source
    return name
