"""
How the documentation is built; ``make docs`` builds it, and warnings are errors.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from socketeer.version import version  # noqa: E402 (the path comes first)

project = "Socketeer"
author = "Socketeer contributors"
copyright = author  # noqa: A001 (the name is Sphinx's)
release = version

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]

html_theme = "furo"
html_title = f"Socketeer {version}"
exclude_patterns = ["_build"]

# Markdown: notes in ::: fences, definition lists, links to headings.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Every reference must lead somewhere.
nitpicky = True
# Types of the standard library, whose documentation is not read while building:
# that would need a network.
nitpick_ignore_regex = [
    ("py:.*", r"(asyncio|collections|http|logging|os|re|socket|ssl|typing|uuid)\..*"),
    ("py:.*", r"_(asyncio|socket|ssl|thread|weakref)\..*"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
add_module_names = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
