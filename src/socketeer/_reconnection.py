"""
When a client connects again, without I/O.

RFC 6455, 7.2.3, asks for a random delay of up to some five seconds after an abnormal
closure, and for delays that grow if that does not help. When a server with many
clients restarts, all of them notice at once; chance in each delay keeps them from
coming back at once.
"""

from __future__ import annotations

import random as random_module
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator

from .exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidStatus,
)
from .typing import LoggerLike
from .utils import setting

__all__ = [
    "BACKOFF_FACTOR",
    "BACKOFF_INITIAL_DELAY",
    "BACKOFF_MAX_DELAY",
    "BACKOFF_MIN_DELAY",
    "STABLE_TIME",
    "Reconnection",
    "backoff",
    "process_exception",
]

# Seconds. "0-5 s is a reasonable initial delay" (RFC 6455, 7.2.3).
BACKOFF_INITIAL_DELAY = setting("BACKOFF_INITIAL_DELAY", 5.0)
BACKOFF_MIN_DELAY = setting("BACKOFF_MIN_DELAY", 3.1)
BACKOFF_MAX_DELAY = setting("BACKOFF_MAX_DELAY", 90.0)
# The golden ratio: after nine delays, the longest.
BACKOFF_FACTOR = setting("BACKOFF_FACTOR", 1.618)

# Seconds. A connection that lasted for so long shows that the server is well again.
STABLE_TIME = setting("STABLE_TIME", 60.0)

# The server is overloaded, or is being restarted behind its reverse proxy.
_TEMPORARY = {500, 502, 503, 504}


def backoff(
    initial_delay: float = BACKOFF_INITIAL_DELAY,
    min_delay: float = BACKOFF_MIN_DELAY,
    max_delay: float = BACKOFF_MAX_DELAY,
    factor: float = BACKOFF_FACTOR,
    *,
    random: Callable[[], float] = random_module.random,
) -> Generator[float]:
    """
    Make delays that grow, each with some chance in it.

    The first is between 0 and ``initial_delay``. The next is between
    ``min_delay`` and ``factor`` times that, and both bounds are multiplied by
    ``factor`` for each one that follows, until the upper one is ``max_delay``.

    Args:
        initial_delay: Upper bound of the first delay, in seconds.
        min_delay: Lower bound of the second delay, in seconds.
        max_delay: Upper bound of all delays, in seconds.
        factor: By how much bounds grow.
        random: Draws a number from 0 to 1.

    Returns:
        Seconds, without end.
    """
    yield random() * initial_delay
    low, high = min_delay, min_delay * factor
    while high < max_delay:
        yield low + random() * (high - low)
        low, high = high, high * factor
    high = max_delay
    low = min(high, max(min_delay, high / factor))
    while True:
        yield low + random() * (high - low)


def process_exception(exc: Exception) -> Exception | None:
    """
    Decide whether to connect again after connecting failed.

    Args:
        exc: Why it failed.

    Returns:
        :obj:`None` to try again after errors that may pass: of the network, of
        a server that is overloaded or being restarted. Otherwise the exception
        to raise, which is ``exc``.
    """
    # TimeoutError is an OSError.
    if isinstance(exc, OSError):
        return None
    if isinstance(exc, InvalidMessage) and isinstance(exc.__cause__, EOFError):
        return None
    if isinstance(exc, InvalidStatus) and exc.response.status_code in _TEMPORARY:
        return None
    return exc


class Reconnection:
    """
    When to connect again, in a loop that does so for ever.

    Its methods return how many seconds to wait; it has no clock of its own.

    Args:
        process_exception: Decides whether a failure is worth another attempt, as
            :func:`process_exception` does.
        delays: Makes seconds to wait, as :func:`backoff` does. When they run out,
            no further attempt is made.
        logger: Told about each delay.
    """

    def __init__(
        self,
        process_exception: Callable[[Exception], Exception | None],
        delays: Callable[[], Iterable[float]],
        logger: LoggerLike,
    ) -> None:
        self._process_exception = process_exception
        self._make_delays = delays
        self._logger = logger
        self._delays: Iterator[float] | None = None
        self._opened_at = 0.0

    def failed(self, exc: Exception) -> float:
        """
        Take in that connecting failed.

        Args:
            exc: Why.

        Returns:
            Seconds to wait before the next attempt.

        Raises:
            Exception: There shall be none: ``exc``, or what the user makes of it.
        """
        try:
            fatal = self._process_exception(exc)
        # Raising instead of returning is a mistake which means the same.
        except Exception as raised:  # noqa: BLE001 - a function of the user's
            fatal = raised
        if fatal is exc:
            raise exc
        if fatal is not None:
            raise fatal from exc
        return self._wait("connect failed", exc)

    def opened(self, now: float) -> None:
        """
        Take in that there is a connection.
        """
        self._opened_at = now

    def ended(self, exc: ConnectionClosed | None, now: float) -> float:
        """
        Take in that the program has done with the connection.

        Args:
            exc: How the connection ended; :obj:`None` if it was still open.
            now: The time.

        Returns:
            Seconds to wait before the next attempt: none if the program itself
            has ended the connection.

        Raises:
            ConnectionClosed: There shall be none; it is ``exc``.
        """
        if now - self._opened_at >= STABLE_TIME:
            self._delays = None
        if exc is None or _ended_by_us(exc):
            return 0.0
        return self._wait("connection lost", exc)

    def _wait(self, event: str, exc: Exception) -> float:
        """
        Return the next delay; raise the exception if there is none.
        """
        if self._delays is None:
            self._delays = iter(self._make_delays())
        try:
            delay = max(0.0, next(self._delays))
        except StopIteration:
            raise exc from exc.__cause__
        self._logger.info(
            f"{event}; reconnecting in %.1f seconds: %s",  # noqa: G004 - two events
            delay,
            traceback.format_exception_only(exc)[0].strip(),
        )
        return delay


def _ended_by_us(exc: ConnectionClosed) -> bool:
    """Tell whether we closed the connection, and nothing was wrong."""
    return isinstance(exc, ConnectionClosedOK) and exc.rcvd_then_sent is False
