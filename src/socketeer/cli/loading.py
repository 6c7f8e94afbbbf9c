"""
From names to what is to be served.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from .handlers import Handler

__all__ = ["CannotServe", "load_handler", "load_lifespan"]


class CannotServe(Exception):
    """
    Something is wrong with what is to be served; trying again is no use.
    """


def load_handler(target: str) -> Handler:
    """
    Import a handler.

    Raises:
        CannotServe: There is none.
    """
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise CannotServe(f"{target!r} is not of the form MODULE:HANDLER")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        handler: Any = importlib.import_module(module_name)
        for name in path.split("."):
            handler = getattr(handler, name)
    except (ImportError, AttributeError, SyntaxError) as exc:
        raise CannotServe(f"cannot import {target!r}: {exc}") from exc
    if not callable(handler):
        raise CannotServe(f"{target!r} is no function: {handler!r:.80}")
    return handler  # type: ignore[no-any-return]


def load_lifespan(target: str | None, mode: str) -> AbstractAsyncContextManager[Any]:
    """
    Return the lifespan of a handler's module; one that does nothing if there is none.

    Args:
        target: ``MODULE:HANDLER``, which can be imported.
        mode: ``"auto"`` for the one there is, if any, ``"on"`` if there has to be
            one, ``"off"`` for none.

    Raises:
        CannotServe: There is none, or it is no asynchronous context manager.
    """
    if mode == "off":
        return nullcontext()
    found: Any = None
    name = ""
    if target is not None:
        module = target.partition(":")[0]
        name = f"'{module}:lifespan'"
        found = getattr(importlib.import_module(module), "lifespan", None)
    if found is None:
        if mode == "on":
            raise CannotServe(f"there is no {name or 'module'} (--lifespan on)")
        return nullcontext()
    if callable(found) and not is_context(found):
        try:
            inspect.signature(found).bind()
        except TypeError as exc:
            raise CannotServe(
                f"{name} is called without arguments: {exc} (--lifespan off ignores it)"
            ) from exc
        found = found()
    if not is_context(found):
        raise CannotServe(
            f"{name} is no asynchronous context manager, such as "
            f"contextlib.asynccontextmanager makes: {found!r:.80}"
        )
    return found  # type: ignore[no-any-return]


def is_context(value: object) -> bool:
    """
    Tell whether ``async with`` works.
    """
    return hasattr(type(value), "__aenter__") and hasattr(type(value), "__aexit__")
