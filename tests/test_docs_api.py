"""The table of the API reference has every public name once, and none that the package lacks."""

import importlib
import inspect
import pkgutil
import runpy
import sys
from collections import Counter
from pathlib import Path

import pytest

import skinseg

DOCS = Path(__file__).parents[1] / "docs"
SECTIONS = runpy.run_path(str(DOCS / "api.py"))["SECTIONS"]
TABLE = [(module, name) for *_, groups in SECTIONS for _, module, names in groups for name in names.split()]


def public_names():
    """Module and name of all that is in the __all__ of a public module, as often as it is there."""
    for module in pkgutil.walk_packages(skinseg.__path__, "skinseg."):
        if any(part.startswith("_") for part in module.name.split(".")) or module.name == "skinseg.cli":
            continue
        contents = importlib.import_module(module.name)
        for name in getattr(contents, "__all__", ()):
            yield module.name, name, getattr(contents, name)


def is_object(item):
    return callable(item)


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    yield importlib.import_module("tools.reference")
    for name in [name for name in sys.modules if name.partition(".")[0] == "tools"]:
        del sys.modules[name]


def test_every_name_of_the_table_is_public():
    public = {(module, name) for module, name, _ in public_names()} | {("skinseg", name) for name in skinseg.__all__}
    assert [f"{module}.{name}" for module, name in TABLE if (module, name) not in public] == []


def test_every_public_name_is_in_the_table():
    items = {id(getattr(importlib.import_module(module), name)) for module, name in TABLE}
    missing = [
        f"{module}.{name}"
        for module, name, item in public_names()
        if not inspect.ismodule(item) and (id(item) not in items if is_object(item) else (module, name) not in TABLE)
    ]
    assert missing == [], "enter them in docs/api.py"


def test_nothing_is_in_the_table_twice():
    assert [name for name, number in Counter(TABLE).items() if number > 1] == []
    items = [(module, name, getattr(importlib.import_module(module), name)) for module, name in TABLE]
    found = Counter(id(item) for *_, item in items if is_object(item))
    assert [f"{module}.{name}" for module, name, item in items if found[id(item)] > 1] == []


def test_what_is_at_the_top_is_listed_there():
    top = {id(getattr(skinseg, name)): name for name in skinseg.__all__}
    items = [(module, name, getattr(importlib.import_module(module), name)) for module, name in TABLE]
    assert [
        f"{module}.{name}"
        for module, name, item in items
        if is_object(item) and id(item) in top and module != "skinseg"
    ] == []


def test_pages_differ_where_case_does_not_count(reference):
    other = reference.file_names()
    assert other["skinseg.hashing.fingerprint"] == "skinseg.hashing.fingerprint-function"
    names = Counter(other.get(entry.full_name, entry.full_name).lower() for entry in reference.entries())
    assert [name for name, number in names.items() if number > 1] == []


def test_constants_tell_what_they_are(reference):
    constants = [entry for entry in reference.entries() if entry.is_constant]
    assert len(constants) > 10
    for entry in constants:
        text = reference.constant_docs(importlib.import_module(entry.module), entry.name)
        assert text.endswith("."), f"{entry.full_name} has no sentence below its assignment"


def test_pages_of_the_reference(reference, tmp_path):
    reference.write_reference(tmp_path)
    index = (tmp_path / "index.rst").read_text()
    assert all(f"~{module}.{name}`" in index for module, name in TABLE)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(["index", *(page for page, *_ in SECTIONS)])
    page = (tmp_path / "metrics.rst").read_text()
    assert ".. currentmodule:: skinseg.metrics" in page
    assert "\n   jaccard_score\n" in page
    assert ":value: 48" in (tmp_path / "features.rst").read_text()
