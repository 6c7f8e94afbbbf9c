"""
Which build of the cellar this process uses.

The environment variable ``SOCKETEER_CORE`` chooses: ``fast`` for the compiled
one, ``pure`` for the interpreted one. It is obeyed, or importing fails and says
why. Without it, the compiled one is used where it can be imported.
"""

from __future__ import annotations

import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["core_implementation", "load"]


def _choose() -> str:
    """
    Choose the build.

    Raises:
        ImportError: The compiled build was asked for and is not there, or
            something else was asked for.
    """
    wanted = os.environ.get("SOCKETEER_CORE", "")
    if wanted not in ("", "pure", "fast"):
        raise ImportError(f"SOCKETEER_CORE={wanted}: expected pure or fast")
    if wanted == "pure":
        return "pure"
    try:
        importlib.import_module("socketeer._fast.endpoint")
    except ImportError as exc:
        if wanted == "fast":
            raise ImportError(
                f"SOCKETEER_CORE=fast, but the compiled core is missing: {exc}"
            ) from exc
        if not isinstance(exc, ModuleNotFoundError):
            # It is there and refuses: as in a sub-interpreter.
            sys.stderr.write(f"socketeer: using the pure core: {exc}\n")
        return "pure"
    return "fast"


#: ``"fast"`` or ``"pure"``.
core_implementation: str = _choose()


def load(name: str) -> ModuleType:
    """
    Import a module of the cellar, such as ``"session"`` or ``"aio.link"``.
    """
    package = "_fast" if core_implementation == "fast" else "_core"
    return importlib.import_module(f"socketeer.{package}.{name}")
