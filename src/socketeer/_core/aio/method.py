"""
Methods that are called without a bound method being made.

This is the portable twin of ``_fast/aio/method.pyx``. Interpreters call a method
on an object in one step if the method is a function of theirs. A compiled
function is none, so that each call would make a bound method first.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["method"]


def method(function: Callable[P, R]) -> Callable[P, R]:
    """
    Return what stands in a class for a method that is called often.

    It is called like the function, binds like it and has its attributes.
    """
    return function
