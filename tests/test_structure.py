"""The architecture stays visible: imports go downward only, and nothing heavy is imported at once."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skinseg

ROOT = Path(skinseg.__file__).parent
# lowest first; rooms of one level do not import each other
LEVELS = [
    {"_quiet"},
    {"exceptions", "_dask", "_names", "_version", "_files", "_docs", "_foreign", "_progress", "resampling", "rule"},
    {"masks", "_opening", "_tables"},
    {"geometry", "reading", "_html"},
    {"_record", "_signature", "annotations"},
    {"images"},
    {"_cache"},
    {"field", "artifacts", "synthesis", "_mapping"},
    {"base", "hashing", "skin", "runs"},
    {"doubtful"},
    {"metrics", "_batches", "clinical", "networks", "outlining"},
    {"segmentation", "preprocessing", "features", "classification", "datasets"},
    {"pipeline"},
    {"pretrained"},
    {"persistence", "bulk"},
    {"inspection"},
    {"evaluation"},
    {"training"},
    {"demo", "_command"},
    {"_datasets_command"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
HEAVY = ("keras", "tensorflow", "matplotlib", "onnxruntime")


def room_of(path):
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py")


def imports_of(path):
    """Rooms of skinseg that a file imports, wherever in it, and all other modules."""
    here = ("skinseg", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(here[: len(here) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            # `from . import a, b` names modules, and so does `from .. import x`
            yield from ([*base, alias.name] for alias in node.names) if len(base) == 1 else [base]


FILES = sorted(path for path in ROOT.rglob("*.py") if room_of(path) not in ("__init__", "testing"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward_only(path):
    room = room_of(path)
    assert room in LEVEL, f"{room} has no level: enter it in LEVELS"
    for module in imports_of(path):
        if module[0] != "skinseg" or len(module) == 1:
            continue
        target = module[1]
        if target == room or (ROOT / target).with_suffix(".py").exists() is (ROOT / target).is_dir():
            continue  # the same room, or a public name taken from the package itself
        assert target != "testing", f"{path} imports skinseg.testing"
        assert LEVEL[target] < LEVEL[room], f"{path.name} ({room}) imports {target}, which is not below it"


def test_only_the_command_takes_names_from_the_package_itself():
    lazily = {str(path.relative_to(ROOT)) for path in FILES for module in imports_of(path) if module == ["skinseg"]}
    assert lazily == {"cli.py"}


def test_no_heavy_import_outside_of_functions():
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy = [name for name in names if name.split(".")[0] in HEAVY]
            assert not heavy, f"{path}: {heavy}"


@pytest.mark.parametrize(
    "statement",
    ["import skinseg", "from skinseg import *", "import skinseg.cli", "from skinseg.testing import all_estimators"],
)
def test_import_loads_nothing_heavy(statement):
    code = f"import sys\n{statement}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_import_of_the_package_alone_is_lazy():
    code = "import sys, skinseg\nprint([m for m in ('sklearn', 'cv2', 'numpy', 'pandas') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_public_name_is_there():
    for name in skinseg.__all__:
        assert getattr(skinseg, name) is not None
    assert set(skinseg.__all__) <= set(dir(skinseg))


def test_files_are_short():
    long = {path.name: n for path in ROOT.rglob("*.py") if (n := len(path.read_text().splitlines())) > 600}
    assert not long
