"""How many examples hypothesis has tried on each property, and on how many it failed: the long run of tests/properties.

    nice python property_examples.py --table examples.csv                      # all, some 100,000 examples
    nice python property_examples.py --table examples.csv -k test_read_image   # some again; their rows are replaced
    python property_examples.py --table examples.csv --show                    # the table as it is

Rows are written as properties end, so that a run that is stopped leaves what it has done. Exit code 1 if one failed.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]


def run(table, arguments, scale, seed):
    """Run the properties in one process, in their long profile."""
    environment = os.environ | {
        "SKINSEG_HYPOTHESIS_PROFILE": "long",
        "SKINSEG_PROPERTY_TABLE": str(table),
        "SKINSEG_PROPERTY_SCALE": str(scale),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", "tests/properties"]
    subprocess.run([*command, f"--hypothesis-seed={seed}", *arguments], cwd=ROOT, env=environment, check=False)


def latest(table):
    """The last row of each property."""
    return pd.read_csv(table).drop_duplicates("property", keep="last").reset_index(drop=True)


def describe(frame):
    """The table by file and property, parameters of a property put together, and the total."""
    parts = frame["property"].str.extract(r"(?P<file>[^:]+)\.py::(?P<name>[^\[]+)")
    sums = frame.assign(**parts).groupby(["file", "name"], sort=False)[["examples", "failures", "cpu_seconds"]].sum()
    rows = ["| property | examples | failures | CPU seconds |", "|---|---|---|---|"]
    rows += [
        f"| {file}: {name} | {row.examples:,} | {row.failures} | {row.cpu_seconds:.0f} |"
        for (file, name), row in zip(sums.index, sums.itertuples(), strict=True)
    ]
    total = sums.sum()
    rows.append(f"| all | {int(total.examples):,} | {int(total.failures)} | {total.cpu_seconds:.0f} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="CSV, a row a property")
    parser.add_argument("--show", action="store_true", help="run nothing")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the examples of the long run")
    parser.add_argument("--seed", default="0", help="seed of hypothesis, or 'random'")
    options, arguments = parser.parse_known_args()
    if not options.show:
        run(options.table.absolute(), arguments, options.scale, options.seed)
    frame = latest(options.table)
    print(describe(frame))
    # what is not repeated by hypothesis counts as no example, and a failure of it counts all the same
    return int(frame["failures"].any())


if __name__ == "__main__":
    sys.exit(main())
