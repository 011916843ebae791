"""The tables of all columns in the user guide, and the limits that its text quotes, are those of the code.

``python tests/features/test_feature_table.py --write`` writes them into the page.
"""

import argparse
from itertools import groupby
from pathlib import Path

import numpy as np

from skinseg import ABCDFeaturizer
from skinseg.features import FEATURES, asymmetry, border, color, structure, texture

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"


def range_of(low, high):
    if np.isinf(high):
        return "any" if np.isinf(low) else f"at least {low:g}"
    return f"{low:g} to {high:g}"


def tables():
    """A table a group, and the list of the sources."""
    sources = list(dict.fromkeys(feature.source for feature in FEATURES.values()))
    lines = []
    for group, features in groupby(FEATURES.values(), key=lambda feature: feature.group):
        lines += [
            f"### {group}",
            "",
            "| column | unit | range | size | source | what it is |",
            "|---|---|---|---|---|---|",
        ]
        for feature in features:
            cells = (
                f"`{feature.name}`",
                feature.unit,
                range_of(feature.low, feature.high),
                str(feature.working_size) if feature.working_size else "as it is",
                str(1 + sources.index(feature.source)),
                feature.description,
            )
            lines.append(
                f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('*', chr(92) + '*') for cell in cells)} |"
            )
        lines.append("")
    lines += ["### Sources", "", *(f"{number}. {source}" for number, source in enumerate(sources, start=1))]
    return "\n".join(lines) + "\n"


def written():
    return PAGE.read_text().split(BEGIN)[1].split(END)[0]


def test_the_tables_of_the_guide_are_those_of_the_code():
    assert written() == tables(), f"run: python {Path(__file__).name} --write"


def test_every_column_has_one_row_in_the_guide():
    """Whatever `tables` writes: a row a column, with what `feature_table_` says of it."""
    rows = [line.strip("| ").split(" | ") for line in written().splitlines() if line.startswith("| `")]
    columns = ABCDFeaturizer().feature_table_
    assert [row[0].strip("`") for row in rows] == columns["name"].tolist()
    assert [row[1] for row in rows] == columns["unit"].tolist()
    assert [row[-1].replace("\\", "") for row in rows] == columns["description"].tolist()


def test_limits_in_the_text_are_those_of_the_code():
    text = " ".join(PAGE.read_text().split(BEGIN)[0].split())
    shape, colors, structures = (asymmetry._LIMITS[what] for what in ("shape", "color", "structure"))
    for quoted in (
        f"shape (at least {shape:.2f}), color ({colors:.2f}) or structure ({structures:.2f}) is asymmetric",
        f"it is abrupt from {border.ABRUPT:.2f} on",
        f"cover at least {100 * color._PRESENT:g} % of the lesion",
        f"smaller than {structure.MIN_DIAMETER} pixels across",
        f"brought to a diameter of {texture.DIAMETER} pixels, texture is measured at one of {texture.DIAMETER // 2},",
    ):
        assert quoted in text, quoted


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write them into the page instead of printing them")
    if parser.parse_args().write:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + tables() + END + rest.split(END)[1])
    else:
        print(tables(), end="")
