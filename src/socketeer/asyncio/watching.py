"""
Noticing that something blocks the event loop.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .. import _watching

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..typing import LoggerLike

__all__ = ["LoopWatch"]


class LoopWatch:
    """
    Looks at the clock regularly, and complains when the loop is late.

    Args:
        loop: The event loop.
        logger: Where to complain, once a minute at most.
        count: Called each time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        logger: LoggerLike,
        count: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._lateness = _watching.Lateness(
            logger, count, "asyncio's debug mode tells which"
        )
        self._arm()

    def _arm(self) -> None:
        """
        Look again in a while.
        """
        self._lateness.expect(time.monotonic())
        self._handle = self._loop.call_later(_watching.INTERVAL, self._look)

    def _look(self) -> None:
        """
        Compare the time with when this should have been called.
        """
        self._lateness.look(time.monotonic())
        self._arm()

    def stop(self) -> None:
        """
        Look no more.
        """
        self._handle.cancel()
