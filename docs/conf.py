"""Settings of the documentation: `make docs` builds it, a warning is an error."""

import re

import rbmx

project = "rbmx"
author = "The rbmx authors"
copyright = "The rbmx authors, BSD-3-Clause"
release = version = rbmx.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # pages link to files of the checkout, which have no page of their own

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
smartquotes = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"rbmx {release}"

_MARKUP = re.compile(r"([*|]|(?<=\w)_(?!\w))")
_ITEM = re.compile(r"\s*[\w, ]+:")


def as_plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text with mathematics: what reads as markup in them is none."""
    for i, line in enumerate(lines):
        head = _ITEM.match(line)  # "name_: text" of a list of arguments, which napoleon reads
        start = head.end() if head else 0
        lines[i] = line[:start] + _MARKUP.sub(r"\\\1", line[start:])


def setup(app):
    """Ahead of napoleon, which turns the docstrings' sections into markup."""
    app.connect("autodoc-process-docstring", as_plain_text, priority=100)
