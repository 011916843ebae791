"""What is in wheel and sdist, how large they are, and one version for all."""

import io
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import skinseg

ROOT = Path(__file__).parents[1]
WEIGHTS = {
    f"skinseg/weights/{name}"
    for name in (
        "isic2017_population.json",
        "lesion_unet.onnx",
        "manifest.json",
        "melanoma.json",
        "melanoma.npz",
        "melanoma.onnx",
    )
}
WEIGHTS_LIMIT = 16_000_000  # of all packaged weights together
LIMIT = 800_000  # of all code and text, packed


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
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        weights = [info for info in wheel.infolist() if info.filename.startswith("skinseg/weights/")]
        manifest = json.loads(wheel.read("skinseg/weights/manifest.json"))
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"skinseg", "scikit_skinseg"}
    assert {f"skinseg/inspection/templates/report.{ending}" for ending in ("html", "css", "js")} <= set(names)
    assert {"skinseg/py.typed", "skinseg/__init__.pyi", "skinseg/cli.py"} <= set(names)
    assert {info.filename for info in weights} >= WEIGHTS
    assert {f"skinseg/weights/{entry['file']}" for entry in manifest.values()} <= set(names)
    assert sum(info.file_size for info in weights) < WEIGHTS_LIMIT
    assert path.stat().st_size - sum(info.compress_size for info in weights) < LIMIT
    modules = {
        str(file.relative_to(ROOT)) for ending in ("py", "pyi") for file in (ROOT / "skinseg").rglob(f"*.{ending}")
    }
    assert modules == {name for name in names if name.endswith((".py", ".pyi"))}
    assert "License-Expression: BSD-3-Clause" in metadata
    assert any("LICENSE" in name for name in names)


def test_sdist(built):
    (path,) = built.glob("*.tar.gz")
    others = io.BytesIO()
    with tarfile.open(path) as sdist, tarfile.open(fileobj=others, mode="w:gz") as kept:
        members = {member.name.partition("/")[2]: member for member in sdist.getmembers() if member.isfile()}
        for name, member in members.items():
            if not name.startswith("skinseg/weights/"):
                kept.addfile(member, sdist.extractfile(member))
    needed = {"pyproject.toml", "setup.cfg", "README.md", "LICENSE", "skinseg/__init__.py"}
    assert needed | WEIGHTS <= members.keys()
    assert sum(m.size for name, m in members.items() if name.startswith("skinseg/weights/")) < WEIGHTS_LIMIT
    assert len(others.getvalue()) < LIMIT


def test_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) == {
        "all", "bench", "data", "deep", "docs", "export", "imagenet", "scale", "test",
    }  # fmt: skip
    assert project["name"] == "scikit-skinseg"
    assert "version" in project["dynamic"]
    core, deep = (
        [re.match(r"[\w.-]+", line).group() for line in lines]
        for lines in (project["dependencies"], project["optional-dependencies"]["deep"])
    )
    # the packaged network is run by ONNX Runtime; onnx itself reads its weights, to train on
    assert not [name for name in core if name.startswith(("keras", "tensorflow")) or name == "onnx"]
    assert {"onnxruntime", "jinja2", "matplotlib"} <= set(core)  # what the demo and the report need
    assert set(deep) == {"keras", "onnx", "tensorflow"}


def test_citation_names_this_version():
    assert f"version: {skinseg.__version__}" in (ROOT / "CITATION.cff").read_text()
