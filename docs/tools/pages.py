"""Pages that are made of the package and of the repository: news, model cards, command, layers."""

import ast
import hashlib
import html
import importlib
import inspect
import json
import re
from pathlib import Path

__all__ = ["link_pages", "read_levels", "write_command", "write_layers", "write_news", "write_weights"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WEIGHTS = ROOT / "skinseg" / "weights"
KINDS = {"feature": "New", "api": "Changes of the interface", "fix": "Mended", "docs": "Documentation and measurements"}


def link_pages(text: str) -> str:
    """Make links of the pages that a text in Markdown names by their file."""
    return re.sub(r"`docs/(\w+\.md)`", lambda found: f"[{_title(found[1])}]({found[1]})", text)


def _title(page):
    return (DOCS / page).read_text().partition("\n")[0].removeprefix("# ")


def write_news(folder: Path) -> None:
    """Put the fragments of `docs/news` together, a section a kind."""
    from skinseg import __version__

    fragments = {path: path.name.split(".")[1] for path in sorted((DOCS / "news").glob("*.md"))}
    unknown = sorted(path.name for path, kind in fragments.items() if kind not in KINDS)
    if unknown:
        raise SystemExit(f"docs/news: {', '.join(unknown)}: the kind must be one of {', '.join(KINDS)}")
    lines = ["# News", "", f"## Version {__version__}", ""]
    for kind, title in KINDS.items():
        texts = [link_pages(path.read_text().strip()) for path, of in fragments.items() if of == kind]
        if texts:
            lines += [f"### {title}", "", *("- " + text.replace("\n", "\n  ") for text in texts), ""]
    (folder / "news.md").write_text("\n".join(lines))


def write_weights(folder: Path) -> None:
    """Write the table of what comes in the package, to be included in the page of the model cards."""
    manifest = {entry["file"]: entry for entry in json.loads((WEIGHTS / "manifest.json").read_text()).values()}
    lines = ["| file | size | license | made of | SHA-256 |", "|---|---|---|---|---|"]
    for path in sorted(WEIGHTS.iterdir()):
        if path.name == "manifest.json":
            continue
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        entry = manifest.get(path.name, {"license": "BSD-3-Clause", "data": "ISIC 2017 training images (CC-0)"})
        if entry.get("sha256", digest) != digest:
            raise SystemExit(f"{path}: the manifest has another hash")
        size = f"{len(content) / 1e6:.2f} MB"
        lines.append(f"| `{path.name}` | {size} | {entry['license']} | {entry['data']} | `{digest}` |")
    (folder / "weights.inc").write_text("\n".join(lines) + "\n")


def write_command(folder: Path) -> None:
    """Write what `skinseg COMMAND --help` says."""
    import click

    from skinseg.cli import main

    lines = ["# The command `skinseg`", "", "What `skinseg --help` and `skinseg COMMAND --help` say.", ""]

    def write(command, path, context):
        settings = {**command.context_settings, "terminal_width": 76}
        with click.Context(command, info_name=path.split()[-1], parent=context, **settings) as inner:
            lines.extend([f"## `{path}`", "", "```text", command.get_help(inner).rstrip(), "```", ""])
            for name, child in sorted(getattr(command, "commands", {}).items()):
                write(child, f"{path} {name}", inner)

    write(main, "skinseg", None)
    (folder / "command.md").write_text("\n".join(lines))


def read_levels() -> list[set[str]]:
    """Give the layers that `tests/test_structure.py` keeps, lowest first."""
    tree = ast.parse((ROOT / "tests" / "test_structure.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LEVELS":
            return ast.literal_eval(node.value)
    raise SystemExit("tests/test_structure.py has no LEVELS")


def _what(room):
    """Give the first sentence of a room's docstring."""
    text = inspect.getdoc(importlib.import_module(f"skinseg.{room}")) or ""
    return re.split(r"(?<=\.)\s", text.replace("\n", " "))[0]


def write_layers(folder: Path) -> None:
    """Draw the layers as a list in HTML, to be included in the page of the architecture."""
    lines = ['<ol class="layers" reversed aria-label="Layers of the package, highest first">']
    for rooms in reversed(read_levels()):
        lines.append("<li><ul>")
        for room in sorted(rooms, key=lambda room: (room.startswith("_"), room)):
            kind = ' class="private"' if room.startswith("_") else ""
            what = re.sub(r"`+(.+?)`+", r"<code>\1</code>", html.escape(_what(room)))
            lines.append(f"<li{kind}><strong>{room}</strong> <span>{what}</span></li>")
        lines.append("</ul></li>")
    (folder / "layers.html").write_text("\n".join([*lines, "</ol>"]))
