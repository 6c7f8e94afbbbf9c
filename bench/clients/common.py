"""
What the clients share: options, and counting for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Coroutine, Iterable
from typing import Any

__all__ = ["Counter", "Options", "options"]


class Options(argparse.Namespace):
    """
    The options of the command line.
    """

    library: str
    port: int
    loop: str
    connections: int
    size: int
    seconds: float
    warmup: float

    @property
    def message(self) -> bytes:
        """
        The message that is sent.
        """
        return b"x" * self.size


def options(*positional: str) -> Options:
    """
    Return the options of the command line.

    Args:
        positional: Names of arguments that come before the port.
    """
    parser = argparse.ArgumentParser()
    for name in positional:
        parser.add_argument(name)
    parser.add_argument("port", type=int)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--warmup", type=float, default=0.1)
    return parser.parse_args(namespace=Options())


class Counter:
    """
    Counts messages from the end of the warm-up to the end of the time.

    Attributes:
        messages: How many were counted so far.
        is_over: Whether the time is up.
    """

    def __init__(self, chosen: Options) -> None:
        self._chosen = chosen
        self.messages = 0
        self.is_over = False

    async def run(self, work: Iterable[Coroutine[Any, Any, None]] = ()) -> None:
        """
        Count what this work does, and print it as JSON.
        """
        tasks = [asyncio.ensure_future(each) for each in work]
        await asyncio.sleep(self._chosen.warmup)
        self.messages, begin = 0, time.perf_counter()
        await asyncio.sleep(self._chosen.seconds)
        messages, seconds = self.messages, time.perf_counter() - begin
        self.is_over = True
        await asyncio.gather(*tasks)
        print(json.dumps({"messages": messages, "seconds": seconds}), flush=True)
