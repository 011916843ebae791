"""Settings of Sphinx. `python docs/build.py` copies the pages, makes those that are made, and runs it on the copy."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from tools.reference import file_names  # noqa: E402

from skinseg import __version__  # noqa: E402

project = "skinseg"
author = "the skinseg developers"
copyright = author  # noqa: A001
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "tools.links",
    "tools.mathml",
]
templates_path = ["_templates"]
exclude_patterns = ["tools", "auto_examples/*.ipynb", "auto_examples/*.py", "examples"]
nitpicky = True
smartquotes = False
toc_object_entries_show_parents = "hide"
default_role = "py:link_or_code"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autosummary_generate = True
autosummary_filename_map = file_names()
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "default_thumb_file": str(HERE / "_static" / "logo.svg"),
    "doc_module": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,  # its page would load scripts from another host
    "abort_on_example_error": False,
    "reset_modules": ("matplotlib",),
    "plot_gallery": "True",
}

linkcheck_timeout = 10
linkcheck_retries = 2
linkcheck_anchors = False  # made by scripts on many sites

html_theme = "pydata_sphinx_theme"
html_title = f"skinseg {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # read from disk a page may not fetch the others
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": f"skinseg {version}"},
    "announcement": "Research software, no medical device: no result is a diagnosis.",
    "use_edit_page_button": False,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["notice"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "getting_started": [], "news": []}  # they have no pages below them
html_context = {"default_mode": "auto"}
