"""Pages of the API reference, made of the table in `docs/api.py`."""

import ast
import importlib
import inspect
import runpy
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import skinseg

__all__ = ["Entry", "constant_docs", "entries", "file_names", "read_table", "write_reference"]

DOCS = Path(__file__).parents[1]
PACKAGE = Path(skinseg.__file__).parent


class Entry(NamedTuple):
    """One public name of the table."""

    page: str
    module: str
    name: str

    @property
    def full_name(self):
        """Name under which it is documented."""
        return f"{self.module}.{self.name}"

    @property
    def item(self):
        """The class, function or constant itself."""
        return getattr(importlib.import_module(self.module), self.name)

    @property
    def is_constant(self):
        """Whether it is neither class nor function."""
        return not callable(self.item)


def read_table():
    """Give the sections of the table."""
    return runpy.run_path(str(DOCS / "api.py"))["SECTIONS"]


def entries():
    """Give every name of the table, in its order."""
    for page, _, _, groups in read_table():
        for _, module, names in groups:
            for name in names.split():
                yield Entry(page, module, name)


def constant_docs(module: ModuleType, name: str) -> str:
    """Give the string below the assignment of a constant, in its room or wherever the room has it from."""
    home = Path(inspect.getfile(module))
    files = sorted(home.parent.glob("*.py")) if home.name == "__init__.py" else [home]
    for file in [*files, *sorted(PACKAGE.rglob("*.py"))]:
        for node, after in pairwise(ast.parse(file.read_text()).body):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            is_said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if is_said and any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return inspect.cleandoc(after.value.value)
    return ""


def file_names() -> dict[str, str]:
    """Give other file names to functions that differ from a class by case alone: not all systems tell them apart."""
    classes = {entry.full_name.lower() for entry in entries() if inspect.isclass(entry.item)}
    functions = [entry.full_name for entry in entries() if not inspect.isclass(entry.item) and not entry.is_constant]
    return {name: f"{name}-function" for name in functions if name.lower() in classes}


def _constant(entry):
    """Write the entry of a constant: name, value where it is short, what it is."""
    value = repr(entry.item)
    lines = [f".. py:data:: {entry.name}", f"   :type: {type(entry.item).__name__}"]
    if len(value) <= 120:
        lines.append(f"   :value: {value}")
    text = constant_docs(importlib.import_module(entry.module), entry.name)
    return [*lines, "", *(f"   {line}".rstrip() for line in text.splitlines()), ""]


def _page(page, title, text, groups):
    lines = [f".. _api-{page}:", "", title, "=" * len(title), "", text, ""]
    for heading, module, names in groups:
        if heading:
            lines += [heading, "-" * len(heading), ""]
        found = [Entry(page, module, name) for name in names.split()]
        objects = [entry.name for entry in found if not entry.is_constant]
        lines += [f".. currentmodule:: {module}", ""]
        if objects:
            lines += [".. autosummary::", "   :toctree: generated/", "   :nosignatures:", ""]
            lines += [*(f"   {name}" for name in objects), ""]
        for entry in found:
            if entry.is_constant:
                lines += _constant(entry)
    return "\n".join(lines)


def write_reference(folder: Path) -> None:
    """Write a page a section, and the index of them."""
    folder.mkdir(parents=True, exist_ok=True)
    sections = read_table()
    for section in sections:
        (folder / f"{section[0]}.rst").write_text(_page(*section))
    lines = ["API reference", "=============", ""]
    lines += [
        "Every public class, function and constant, once. What is imported from ``skinseg`` itself is listed there;"
        " the rest is imported from the module that its name tells. The :doc:`user guide </user_guide>` has the tasks,"
        " this reference the details.",
        "",
    ]
    lines += [".. toctree::", "   :hidden:", "", *(f"   {page}" for page, *_ in sections), ""]
    for page, title, text, groups in sections:
        lines += [f":doc:`{title} <{page}>`", "-" * (len(title) + len(page) + 10), "", text, ""]
        lines += [".. rst-class:: names", ""]
        for _, module, names in groups:
            for name in names.split():
                entry = Entry(page, module, name)
                role = "data" if entry.is_constant else "exc" if _is_exception(entry.item) else "obj"
                lines.append(f"* :py:{role}:`~{entry.full_name}`")
        lines.append("")
    (folder / "index.rst").write_text("\n".join(lines))


def _is_exception(item):
    return inspect.isclass(item) and issubclass(item, BaseException)
