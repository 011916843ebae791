"""What is in wheel and sdist, how large they are, and one version for all."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import skinseg

ROOT = Path(__file__).parents[1]
# headroom for packaged weights comes with them
LIMIT = 300_000


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Built from a copy of what git tracks, so that leftovers in the folder do not count."""
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source")
    files = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    backend = "import setuptools.build_meta as b; b.build_wheel({out!r}); b.build_sdist({out!r})".format(out=str(out))
    subprocess.run([sys.executable, "-c", backend], cwd=source, check=True, capture_output=True)
    return out


def test_wheel(built):
    (path,) = built.glob("*.whl")
    assert path.name.startswith(f"scikit_skinseg-{skinseg.__version__}")
    assert path.stat().st_size < LIMIT
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"skinseg", "scikit_skinseg"}
    assert {"skinseg/py.typed", "skinseg/__init__.pyi", "skinseg/cli.py"} <= set(names)
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "skinseg").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    assert "License-Expression: BSD-3-Clause" in metadata
    assert any("LICENSE" in name for name in names)


def test_sdist(built):
    (path,) = built.glob("*.tar.gz")
    assert path.stat().st_size < LIMIT
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "setup.cfg", "README.md", "LICENSE", "skinseg/__init__.py"} <= names


def test_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) == {
        "all", "bench", "deep", "docs", "export", "imagenet", "report", "test",
    }  # fmt: skip
    assert project["name"] == "scikit-skinseg"
    assert "version" in project["dynamic"]
    heavy = ("keras", "tensorflow", "matplotlib", "onnx")
    assert not [name for name in project["dependencies"] if name.startswith(heavy)]


def test_citation_names_this_version():
    assert f"version: {skinseg.__version__}" in (ROOT / "CITATION.cff").read_text()
