"""
Noticing that something blocks the run of trio.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import trio

from .. import _watching

if TYPE_CHECKING:
    from ..limits import Census
    from ..typing import LoggerLike

__all__ = ["watch_loop"]


async def watch_loop(logger: LoggerLike, census: Census) -> None:
    """
    Look at the clock regularly, and complain when that happens late.
    """
    lateness = _watching.Lateness(
        logger,
        functools.partial(census.count, "loop_blocked"),
        "an instrument of trio's tells which",
    )
    while True:
        lateness.expect(time.monotonic())
        await trio.sleep(_watching.INTERVAL)
        lateness.look(time.monotonic())
