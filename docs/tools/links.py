"""Links between docstrings and pages, and to what other packages document."""

import re
from functools import cache

from docutils import nodes
from sphinx import addnodes
from sphinx.domains.python import PyXRefRole
from sphinx.transforms import SphinxTransform

from .reference import entries

# labels that docstrings inherited from scikit-learn refer to; intersphinx would ask for its inventory on each build
_LABELS = {
    "accuracy_score": "https://scikit-learn.org/stable/modules/model_evaluation.html#accuracy-score",
    "df_output_transform": "https://scikit-learn.org/stable/modules/df_output_transform.html",
    "metadata_routing": "https://scikit-learn.org/stable/metadata_routing.html",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": "https://scikit-learn.org/stable/auto_examples/"
    "miscellaneous/plot_set_output.html",
}
_PAGES = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "imblearn": "https://imbalanced-learn.org/stable/references/generated/{}.html",
}


@cache
def _names():
    """Short name to full name, where it is the only one of that name."""
    found = {}
    for entry in entries():
        found.setdefault(entry.name, []).append(entry.full_name)
    return {name: full[0] for name, full in found.items() if len(full) == 1}


def _own(env, node, target, content):
    """Find a name of ours that is written in another way than it is documented: by its module, or its class alone."""
    parts = target.split(".")
    for first in range(len(parts)):
        full = _names().get(parts[first])
        if full is not None:
            domain = env.get_domain("py")
            name = ".".join([full, *parts[first + 1 :]])
            return domain.resolve_xref(env, node["refdoc"], env.app.builder, "obj", name, node, content)
    return None


class _LinkOrCode(PyXRefRole):
    """Single backticks: a link where it is a name of ours, and code where it is a parameter, a file or a value."""

    def process_link(self, env, refnode, has_explicit_title, title, target):
        refnode["reftype"] = "obj"
        refnode["or_code"] = True
        return super().process_link(env, refnode, has_explicit_title, title, target)


def _resolve(_, env, node, content):
    target, kind = node["reftarget"], node.get("reftype")
    uri = None
    if kind == "ref":
        uri = _LABELS.get(target)
    elif kind == "term":
        uri = f"https://scikit-learn.org/stable/glossary.html#term-{target.replace(' ', '-')}"
    elif node.get("refdomain") == "py":
        found = _own(env, node, target, content)
        if found is not None:
            return found
        if target.split(".")[0] in _PAGES:
            uri = _PAGES[target.split(".")[0]].format(target)
        elif node.get("or_code") or target.endswith("_"):  # fitted attributes have their entry where they are
            return content
    return uri and nodes.reference("", "", content, refuri=uri, internal=False)


@cache
def _reference_of(text):
    """Say where a piece of code in a page leads to: a public name, with or without its call, or a public module."""
    name = text.partition("(")[0]
    if not re.fullmatch(r"[\w.]+", name):
        return None
    modules = {entry.module: f"/api/{entry.page}" for entry in entries() if entry.module != "skinseg"}
    if name in modules:
        return "std", "doc", modules[name]
    # a word in lower case may be anything: load, compare
    if name.startswith("skinseg.") or "_" in name.strip("_") or name[0].isupper():
        full = _names().get(name.rpartition(".")[2])
        if full is not None and ("." not in name or name.startswith("skinseg.")):
            return "py", "obj", full
    return None


class _LinkNames(SphinxTransform):
    """Names of ours that a page has as code are links to their entry in the reference, once a section."""

    default_priority = 400

    def apply(self):
        """Put a reference around each."""
        if self.env.docname.startswith("api/"):
            return
        seen = set()
        for literal in list(self.document.findall(nodes.literal)):
            above = literal.parent
            inside = (nodes.title, nodes.reference, addnodes.pending_xref)
            while above is not None and not isinstance(above, (nodes.section, *inside)):
                above = above.parent
            found = _reference_of(literal.astext())
            if found is None or isinstance(above, inside) or (id(above), found) in seen:
                continue
            seen.add((id(above), found))
            domain, kind, target = found
            options = {"refdomain": domain, "reftype": kind, "reftarget": target, "refexplicit": True}
            reference = addnodes.pending_xref("", refdoc=self.env.docname, refwarn=True, **options)
            literal.replace_self(reference)
            reference += literal


def _pages(*arguments):
    """Make links of the pages that a docstring, the last argument, names by their file."""
    lines = arguments[-1]
    lines[:] = [re.sub(r"``docs/(\w+)\.md``", r":doc:`/\1`", line) for line in lines]


def setup(app):
    """Register."""
    app.add_role_to_domain("py", "link_or_code", _LinkOrCode())
    app.add_transform(_LinkNames)
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-process-docstring", _pages, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
