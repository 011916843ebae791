"""Docstrings say what they should, and the README's Python runs."""

import importlib
import inspect
import pkgutil
import re
import sys
import types
from configparser import ConfigParser
from pathlib import Path

import cloudpickle
import pytest
import sklearn
from joblib.externals.loky import get_reusable_executor
from numpydoc.validate import validate

import skinseg
from skinseg.testing import all_estimators

ROOT = Path(__file__).parents[1]


def public_objects():
    """Everything in the __all__ of a public module, once."""
    names = {}
    for module in pkgutil.walk_packages(skinseg.__path__, "skinseg."):
        if any(part.startswith("_") for part in module.name.split(".")) or module.name == "skinseg.cli":
            continue
        contents = importlib.import_module(module.name)
        for name in getattr(contents, "__all__", ()):
            item = getattr(contents, name)
            if inspect.isclass(item) or inspect.isfunction(item):
                names.setdefault(id(item), f"{module.name}.{name}")
    return sorted(names.values())


def checks():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = [check.strip() for check in parser["tool:numpydoc_validation"]["checks"].replace("\n", "").split(",")]
    assert listed[0] == "all"
    return set(listed[1:])


@pytest.mark.parametrize("name", public_objects())
def test_docstrings_follow_numpydoc(name):
    names = [name]
    item = getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2])
    if inspect.isclass(item):
        names += [
            f"{name}.{method}" for method, value in vars(item).items() if not method.startswith("_") and callable(value)
        ]
    ignored = checks()
    for entry in names:
        errors = [f"{code}: {text}" for code, text in validate(entry)["errors"] if code not in ignored]
        assert not errors, f"{entry}: {errors}"


@pytest.mark.parametrize("name", [name for name, _ in all_estimators()])
def test_estimators_document_parameters_and_have_an_example(name):
    estimator = getattr(skinseg, name)
    text = inspect.getdoc(estimator)
    for parameter in inspect.signature(estimator).parameters:
        assert re.search(rf"^{parameter} : ", text, re.MULTILINE), parameter
    assert "\nExamples\n" in text
    assert "\nAttributes\n" in text


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/abcd_rule.md",
        "docs/classification.md",
        "docs/coming_from.md",
        "docs/corrections.md",
        "docs/datasets.md",
        "docs/evaluation.md",
        "docs/explanations.md",
        "docs/extending.md",
        "docs/features.md",
        "docs/input.md",
        "docs/long_runs.md",
        "docs/metadata_routing.md",
        "docs/metrics.md",
        "docs/networks.md",
        "docs/peers.md",
        "docs/persistence.md",
        "docs/preprocessing.md",
        "docs/pretrained_melanoma.md",
        "docs/pretrained_segmenter.md",
        "docs/report.md",
        "docs/scaling.md",
        "docs/segmentation.md",
    ],
)
def test_the_python_of_a_page_runs(page, lesion_files, monkeypatch):
    """With the file names of the text standing for lesions made here."""
    if page == "docs/networks.md":
        pytest.importorskip("keras")
    if page == "docs/scaling.md":
        pytest.importorskip("distributed")
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    monkeypatch.chdir(lesion_files)
    if any('memory="cache"' in block and "n_jobs" in block for block in blocks):
        get_reusable_executor().shutdown()  # workers of earlier tests have another working folder
    with sklearn.config_context():
        for block in blocks:
            run_block(block, page, monkeypatch)


def run_block(block, page, monkeypatch):
    """Run it as a module of its own, whose classes can be pickled and go to workers by value, as those of a script."""
    module = types.ModuleType("block_of_a_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    cloudpickle.register_pickle_by_value(module)
    try:
        exec(compile(block, page, "exec"), module.__dict__)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_no_page_has_a_gap_to_be_filled():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert not re.findall(r"@[A-Z_]+@", page.read_text()), page
