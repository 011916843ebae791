"""Links between docstrings and pages, and to what other packages document."""

import re
from functools import cache

from docutils import nodes
from sphinx.domains.python import PyXRefRole

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


def _pages(*arguments):
    """Make links of the pages that a docstring, the last argument, names by their file."""
    lines = arguments[-1]
    lines[:] = [re.sub(r"``docs/(\w+)\.md``", r":doc:`/\1`", line) for line in lines]


def setup(app):
    """Register."""
    app.add_role_to_domain("py", "link_or_code", _LinkOrCode())
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-process-docstring", _pages, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
