"""
Run a callback in a context, unless the context is in use.

This is the portable twin of ``_fast/aio/context.pyx``; both must behave alike.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

__all__ = ["run_in"]


def run_in(
    context: Context | None, callback: Callable[[object], object], argument: object
) -> bool:
    """
    Call ``callback(argument)`` in a context.

    Returns:
        False, without a call, if the context is entered already: a context can
        be entered only once at a time.
    """
    if context is None:
        callback(argument)
        return True
    ran = False

    def run() -> None:
        nonlocal ran
        ran = True
        callback(argument)

    try:
        context.run(run)
    except RuntimeError:
        if ran:
            raise
        return False
    return True
