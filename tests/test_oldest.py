"""The list of the oldest supported versions is that of the lower bounds in pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def bounds(requirements):
    """Lower bounds by name; every requirement has one."""
    found = {}
    for text in requirements:
        name, _, version = text.partition(">=")
        found[name.lower()] = re.match(r"[\d.]+$", version).group()
    return found


def pins(name):
    lines = [line.partition("#")[0].strip() for line in (ROOT / ".ci" / name).read_text().splitlines()]
    pinned = dict(line.split("==") for line in lines if line)
    assert list(pinned) == [line.split("==")[0].lower() for line in lines if line]
    return pinned


def is_bound(version, bound):
    """Whether a version is the first of those that a bound begins with: 1.26.0 of 1.26, 4.11.0.86 of 4.11."""
    parts, given = version.split("."), bound.split(".")
    return parts[: len(given)] == given


@pytest.mark.parametrize(("file", "extras"), [("oldest.txt", ["data", "scale", "test"]), ("oldest_deep.txt", ["deep"])])
def test_pins_are_the_lower_bounds(file, extras):
    wanted = bounds(PROJECT["dependencies"]) if file == "oldest.txt" else {}
    for extra in extras:
        wanted |= bounds(PROJECT["optional-dependencies"][extra])
    pinned = pins(file)
    assert not {name: bound for name, bound in wanted.items() if not is_bound(pinned.get(name, "none"), bound)}
    # what is pinned besides has its reason beside it
    more = pinned.keys() - wanted.keys()
    for line in (ROOT / ".ci" / file).read_text().splitlines():
        if line.partition("==")[0] in more:
            assert "  # " in line, line


def test_the_oldest_python_is_that_of_the_list():
    assert PROJECT["requires-python"] == ">=3.11"
    assert "python3.11" in (ROOT / ".ci" / "oldest").read_text()
    assert "for Python 3.11" in (ROOT / ".ci" / "oldest.txt").read_text()


def test_versions_are_read_as_they_are_meant():
    assert is_bound("4.11.0.86", "4.11")
    assert not is_bound("4.1.0", "4.11")
    assert not is_bound("5.0", "4.11")
    assert bounds(["Pillow>=10.1", "dask[distributed]>=2024.8"]) == {"pillow": "10.1", "dask[distributed]": "2024.8"}
