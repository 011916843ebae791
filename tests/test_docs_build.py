"""Pages that are made when the site is built, and that nothing but docs/_build is written to."""

import hashlib
import importlib
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import skinseg
from skinseg.cli import main

DOCS = Path(__file__).parents[1] / "docs"
LEVELS = runpy.run_path(str(Path(__file__).with_name("test_structure.py")))["LEVELS"]


@pytest.fixture
def load(monkeypatch):
    """Import a module of docs, and forget it afterwards."""
    monkeypatch.syspath_prepend(str(DOCS))

    def load(name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tools", "build")]:
        del sys.modules[name]


@pytest.fixture
def pages(load):
    return load("tools.pages")


def test_news_has_every_fragment_in_the_section_of_its_kind(pages, tmp_path):
    pages.write_news(tmp_path)
    text = (tmp_path / "news.md").read_text()
    assert f"## Version {skinseg.__version__}" in text
    fragments = sorted((DOCS / "news").glob("*.md"))
    assert text.count("\n- ") == len(fragments) > 30
    mended = text.partition("### Mended")[2].partition("###")[0]
    assert "`KMeansSegmenter` keeps to one thread" in mended
    assert mended.count("\n- ") == len([path for path in fragments if path.suffixes == [".fix", ".md"]])
    assert not re.search(r"`docs/\w+\.md`", text)


def test_a_fragment_of_unknown_kind_stops_the_build(pages, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "a.nothing.md").write_text("Text.")
    with pytest.raises(SystemExit, match=r"a\.nothing\.md: the kind must be one of feature, api, fix, docs"):
        pages.write_news(tmp_path)


def test_page_names_become_links(pages):
    assert pages.link_pages("see `docs/metrics.md`, `docs/api.py`") == (
        "see [Scores of outlines and of classifiers](metrics.md), `docs/api.py`"
    )


def test_table_of_the_weights(pages, tmp_path):
    pages.write_weights(tmp_path)
    rows = (tmp_path / "weights.inc").read_text().splitlines()[2:]
    folder = Path(skinseg.__file__).parent / "weights"
    assert len(rows) == len(list(folder.iterdir())) - 1  # the manifest itself is left out
    digest = hashlib.sha256((folder / "lesion_unet.onnx").read_bytes()).hexdigest()
    assert [row for row in rows if "`lesion_unet.onnx` | 6.42 MB | BSD-3-Clause" in row and digest in row]


def test_page_of_the_command_has_all_of_them(pages, tmp_path):
    pages.write_command(tmp_path)
    text = (tmp_path / "command.md").read_text()
    for name, command in main.commands.items():
        assert f"## `skinseg {name}`" in text
        for inner in getattr(command, "commands", ()):
            assert f"## `skinseg {name} {inner}`" in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) < 200


def test_layers_are_those_that_are_tested(pages, tmp_path):
    assert pages.read_levels() == LEVELS
    pages.write_layers(tmp_path)
    text = (tmp_path / "layers.html").read_text()
    rooms = re.findall(r"<strong>(\w+)</strong> <span>([^\n]+)</span>", text)
    assert len(rooms) == sum(map(len, LEVELS))
    assert rooms[0] == ("cli", "The command <code>skinseg</code>: a thin shell over the library.")
    assert {room for room, _ in rooms[-len(LEVELS[0]) :]} == LEVELS[0]
    assert text.count("<li><ul>") == text.count("</ul></li>") == len(LEVELS)


def test_pages_are_prepared_in_the_folder_of_the_build(load, tmp_path, monkeypatch):
    build = load("build")
    monkeypatch.setattr(build, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(build, "SOURCE", tmp_path / "_build" / "source")
    before = build.snapshot()
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "old").touch()
    build.prepare()
    assert not (tmp_path / "_build" / "old").exists()
    source = tmp_path / "_build" / "source"
    made = ["news.md", "weights.inc", "command.md", "layers.html", "contributing.md", "api/index.rst", "conf.py"]
    assert [name for name in made if not (source / name).is_file()] == []
    assert not (source / "_build").exists()
    assert {path for path, _ in before.items() ^ build.snapshot().items()} == set()


def test_changes_outside_of_the_build_are_seen(load, tmp_path, monkeypatch):
    build = load("build")
    for name in ("docs/_build/html", "docs/__pycache__", "build"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "docs" / "a.md").write_text("a")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(build, "BUILD", tmp_path / "docs" / "_build")
    before = build.snapshot()
    (tmp_path / "docs" / "_build" / "html" / "a.html").touch()
    (tmp_path / "docs" / "__pycache__" / "a.pyc").touch()
    assert build.snapshot() == before
    (tmp_path / "docs" / "a.md").write_text("ab")
    (tmp_path / "plot.png").touch()
    changed = {path.name for path, _ in before.items() ^ build.snapshot().items()}
    assert changed == {"a.md", "plot.png"}


def test_formulas_become_mathml(load):
    mathml = load("tools.mathml")
    from docutils import nodes

    translator = SimpleNamespace(body=[])
    formulas = [(mathml._inline, nodes.math("", r"\frac{a}{b}")), (mathml._block, nodes.math_block("", "a^2"))]
    for render, node in formulas:
        with pytest.raises(nodes.SkipNode):
            render(translator, node)
    inline, block = (re.sub(r"\s+", "", part) for part in translator.body)
    assert "<mfrac><mi>a</mi><mi>b</mi></mfrac>" in inline
    assert "<msup><mi>a</mi><mn>2</mn></msup>" in block
    assert 'display="block"' in block
    assert "http" not in inline.replace("http://www.w3.org/1998/Math/MathML", "")


def test_names_in_pages_lead_to_the_reference(load):
    links = load("tools.links")
    assert links._reference_of("ThresholdSegmenter('li')") == ("py", "obj", "skinseg.ThresholdSegmenter")
    assert links._reference_of("skinseg.metrics.jaccard_score") == ("py", "obj", "skinseg.metrics.jaccard_score")
    assert links._reference_of("skinseg.load") == ("py", "obj", "skinseg.load")
    assert links._reference_of("skinseg.evaluation") == ("std", "doc", "/api/evaluation")
    for text in ("load", "compare", "pd.ThresholdSegmenter", "lesion__segmenter", "skinseg", "a b", "roc_auc_score"):
        assert links._reference_of(text) is None


def test_scripts_that_the_gallery_only_shows_are_run_by_a_test():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    shown = [path.name for path in (DOCS / "examples").glob("*.py") if not path.name.startswith("plot_")]
    assert len(shown) >= 2
    assert [name for name in shown if f'"{name}"' not in tests] == []
