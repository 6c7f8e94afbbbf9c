"""
How the documentation is built; ``make docs`` builds it, and warnings are errors.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Interpreted functions have signatures.
os.environ["SOCKETEER_CORE"] = "pure"
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from socketeer.version import version

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
nitpick_ignore_regex = [
    # The standard library: its index is not read while building, which would
    # need a network.
    ("py:obj", "True|False|None"),
    (
        "py:.*",
        (
            r"(asyncio|collections|concurrent|hmac|http|ipaddress|logging|os|re|socket|ssl"
            r"|ssl_module|threading|time|typing|uuid|zlib)\..*"
        ),
    ),
    ("py:.*", r"_(asyncio|socket|ssl|thread|weakref)\..*"),
    ("py:.*", r"(trio|ssl_module)\..*"),
    # What the public interface is made from, and is not public itself.
    ("py:.*", r"socketeer\.(_core|_frame_endpoint|_servers|streams)\..*"),
    (
        "py:class",
        (
            r"(.*\.)?(Binding|CheckCredentials|Credentials|FrameExtension|Hook|Limits|Link|Map"
            r"|PerMessageDeflate|R|Reception|RoutedConnection|SSLContext"
            r"|SupportsKeysAndGetItem|TokenHolder)"
        ),
    ),
    # What hubs and brokers say to each other, and types with names of their own.
    (
        "py:class",
        (
            r"(.*\.)?(Broker|Envelope|FanOutConnection|Feed|OnGap|OnPresence|Registry"
            r"|Settings)"
        ),
    ),
    ("py:class", r"Literal\['close'|'join'|'leave'|Callable\[\[\]"),
]

# Rooms have classes of the same names, which signatures do not tell apart.
suppress_warnings = ["ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
add_module_names = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def keep_colons(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """
    Let the first line of an attribute's docstring contain a colon.

    Napoleon takes what stands before it for a type; ours are annotated.
    """
    if what in {"attribute", "data", "property"}:
        # An empty comment.
        lines[:0] = ["..", ""]


def setup(app: Any) -> None:
    """
    Read docstrings before Napoleon does.
    """
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
