"""
The library under test: Socketeer, or the one whose interface it matches.

A test that imports the library from here can be run against ``websockets``,
too, which proves that the test is right about the interface::

    from tests.under_test import lib, submodule

    server_module = submodule("asyncio.server")

    async with lib.serve(handler, "127.0.0.1", 0) as server: ...

    SOCKETEER_TESTS_AGAINST=websockets python -m pytest tests/asyncio

``websockets`` is another name for ``lib``, for tests that show programs as
people wrote them. Tests of what Socketeer does differently carry the marker
``ours``; they are skipped then.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["NAME", "OURS", "lib", "submodule", "websockets"]

# Name of the package under test.
NAME = os.environ.get("SOCKETEER_TESTS_AGAINST", "socketeer")

if NAME not in {"socketeer", "websockets"}:
    raise ValueError(
        f"SOCKETEER_TESTS_AGAINST is {NAME!r}, expected 'socketeer' or 'websockets'"
    )

# Whether Socketeer itself is under test.
OURS = NAME == "socketeer"

# For type checkers: neither library is described to them here.
lib: Any = importlib.import_module(NAME)
websockets: Any = lib


def submodule(name: str) -> ModuleType | Any:
    """
    Import a module of the library under test: ``submodule("asyncio.server")``.
    """
    return importlib.import_module(f"{NAME}.{name}")
