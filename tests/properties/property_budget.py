"""How many examples a property gets, and how many it has had.

The numbers that the properties name are those of the long run (``SKINSEG_HYPOTHESIS_PROFILE=long``); a plain run takes
one in 150 of them, always the same ones. What is counted are examples on which the property held.
"""

import csv
import functools
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

LONG = os.environ.get("SKINSEG_HYPOTHESIS_PROFILE") == "long"
TABLE = os.environ.get("SKINSEG_PROPERTY_TABLE")
COLUMNS = ("property", "examples", "failures", "cpu_seconds")
_SHARE = 150
_SCALE = float(os.environ.get("SKINSEG_PROPERTY_SCALE", "1"))
_FEWEST = 2

counted = {"examples": 0, "since": 0.0}


def examples(number):
    """Settings for so many examples in the long run; put below ``given``, it also counts them."""
    few = max(_FEWEST, number // _SHARE)
    chosen = settings(
        max_examples=max(_FEWEST, round(number * _SCALE)) if LONG else few,
        deadline=None,
        derandomize=not LONG,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )

    def decorate(test):
        @functools.wraps(test)
        def counting(*args, **kwargs):
            test(*args, **kwargs)
            counted["examples"] += 1

        return chosen(counting)

    return decorate


def write_row(name, failed, seconds):
    """Append a property, with seconds of the processor, to the table if one is wanted; a run may be stopped."""
    if not TABLE:
        return
    path = Path(TABLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow([name, counted["examples"], int(failed), f"{seconds:.1f}"])
