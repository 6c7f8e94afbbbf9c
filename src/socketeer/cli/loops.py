"""
Event loops of the program: uvloop when it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

__all__ = ["on_signals", "run"]

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine on the fastest event loop there is.
    """
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:  # pragma: no cover - the tests have it
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


@contextlib.contextmanager
def on_signals(callback: Callable[[signal.Signals], None]) -> Iterator[None]:
    """
    Call a function when the program is to end, instead of ending it.

    Where an event loop knows no signals, Ctrl+C raises KeyboardInterrupt.
    """
    loop = asyncio.get_running_loop()
    added = []
    try:
        # Neither on Windows nor outside of the main thread.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in _SIGNALS:
                loop.add_signal_handler(number, callback, number)
                added.append(number)
        yield
    finally:
        for number in added:
            loop.remove_signal_handler(number)
