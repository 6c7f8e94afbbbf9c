"""
Noticing that something blocks an event loop.

While it does, nobody is served: no message, no ping, no handshake. That is easily
mistaken for trouble of the network, so a server says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .utils import setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from .typing import LoggerLike

__all__ = ["INTERVAL", "Lateness"]

# Seconds for which a loop may be late before that is said; peers notice by then.
BLOCKED_AFTER = setting("BLOCKED_AFTER", 1.0)

# Seconds between two looks. Short enough that a loop which is late by twice the
# limit is always noticed.
INTERVAL = 0.5

# Seconds between two lines in the log.
_SILENCE = 60.0


class Lateness:
    """
    Complains when a look at the clock comes late.

    Args:
        logger: Where to complain, once a minute at most.
        count: Called each time.
        advice: What helps to find the reason.
    """

    def __init__(
        self, logger: LoggerLike, count: Callable[[], object], advice: str
    ) -> None:
        self._logger = logger
        self._count = count
        self._advice = advice
        self._due_at = 0.0
        self._silent_until = 0.0

    def expect(self, now: float) -> None:
        """
        Take in that the next look is due after :data:`INTERVAL`.
        """
        self._due_at = now + INTERVAL

    def look(self, now: float) -> None:
        """
        Compare the time with when this should have been called.
        """
        late = now - self._due_at
        if late < BLOCKED_AFTER:
            return
        self._count()
        if now >= self._silent_until:
            self._silent_until = now + _SILENCE
            self._logger.warning(
                "event loop blocked for %.1f s: a handler or a hook computes or "
                "waits without await; %s",
                late,
                self._advice,
            )
