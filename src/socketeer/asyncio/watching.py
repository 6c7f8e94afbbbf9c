"""
Noticing that something blocks the event loop.

While it does, nobody is served: no message, no ping, no handshake. That is easily
mistaken for trouble of the network, so a server says it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..utils import setting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..typing import LoggerLike

__all__ = ["LoopWatch"]

# Seconds for which a loop may be late before that is said; peers notice by then.
BLOCKED_AFTER = setting("BLOCKED_AFTER", 1.0)

# Seconds between two looks. Short enough that a loop which is late by twice the
# limit is always noticed.
_INTERVAL = 0.5

# Seconds between two lines in the log.
_SILENCE = 60.0


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
        self._logger = logger
        self._count = count
        self._silent_until = 0.0
        self._arm()

    def _arm(self) -> None:
        """
        Look again in a while.
        """
        self._due_at = time.monotonic() + _INTERVAL
        self._handle = self._loop.call_later(_INTERVAL, self._look)

    def _look(self) -> None:
        """
        Compare the time with when this should have been called.
        """
        now = time.monotonic()
        late = now - self._due_at
        if late >= BLOCKED_AFTER:
            self._count()
            if now >= self._silent_until:
                self._silent_until = now + _SILENCE
                self._logger.warning(
                    "event loop blocked for %.1f s: a handler or a hook computes or "
                    "waits without await; asyncio's debug mode tells which",
                    late,
                )
        self._arm()

    def stop(self) -> None:
        """
        Look no more.
        """
        self._handle.cancel()
