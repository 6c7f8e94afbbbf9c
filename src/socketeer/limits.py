"""
What a server allows: rates, numbers of connections, and counting them.

Numbers only: no I/O, and time is an argument, so that all rooms share it. Nothing
here locks; a room with threads holds a lock of its own around the calls.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections import Counter

if typing.TYPE_CHECKING:
    from .forwarded import TrustedProxies

__all__ = [
    "Census",
    "Limits",
    "Meter",
    "TokenBucket",
    "address_key",
    "retry_after",
    "spread",
]

# A rate or its parts: per second, and how much may come at once.
Rate = float | tuple[float, float]

# A peer that was silent may catch up on this many seconds.
BURST_SECONDS = 10

# Seconds; what a client that was refused is told to wait. Long enough that a crowd
# does not come back at once, short enough that nobody gives up.
RETRY_AFTER = 10

# IPv6 addresses are given out by networks of this size: who has one of them has
# 2**64 addresses.
IPV6_PREFIX = 64

# Close codes that are counted one by one; others are an application's own.
COUNTED_CODES = (
    *(1000, 1001, 1002, 1003, 1005, 1006, 1007),
    *(1008, 1009, 1010, 1011, 1012, 1013, 1014),
)


class TokenBucket:
    """
    Allows so much a second on average, and more for a while after a silence.

    Args:
        rate: How much is allowed in a second, on average.
        burst: How much is allowed at once.
        now: The time, in seconds.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """
        Take note of an amount.

        Returns:
            Whether it was allowed. If not, the amount is owed.
        """
        tokens = self._tokens + (now - self._at) * self._rate
        self._at = now
        self._tokens = min(tokens, self._burst) - amount
        return self._tokens >= 0


class Meter:
    """
    Watches how much a peer sends.

    Args:
        limits: What is allowed.
        now: The time, in seconds.
    """

    __slots__ = ("_bytes", "_messages")

    def __init__(self, limits: Limits, now: float) -> None:
        self._bytes = _bucket(limits.max_byte_rate, now)
        self._messages = _bucket(limits.max_message_rate, now)

    def take(self, size: int, messages: int, now: float) -> str:
        """
        Take note of what arrived.

        Args:
            size: How many bytes.
            messages: How many messages, or fragments of messages.
            now: The time, in seconds.

        Returns:
            Why that was too much, as a close reason; an empty string if it was not.
        """
        if self._bytes is not None and not self._bytes.take(size, now):
            return "too many bytes per second"
        if self._messages is not None and not self._messages.take(messages, now):
            return "too many messages per second"
        return ""


def _bucket(rate: Rate | None, now: float) -> TokenBucket | None:
    """
    Return a bucket for a rate, if there is one.
    """
    if rate is None:
        return None
    if isinstance(rate, tuple):
        return TokenBucket(*rate, now)
    return TokenBucket(rate, max(1.0, BURST_SECONDS * rate), now)


@dataclasses.dataclass(frozen=True)
class Limits:
    """
    What a server allows, beyond the limits of each message: see ``serve()``.

    Everything is off by default: what is too much depends on the application.

    Raises:
        ValueError: A limit makes no sense.
        TypeError: A limit is of the wrong type.
    """

    max_connections: int | None = None
    max_connections_per_address: int | None = None
    max_handshakes: int | None = None
    max_byte_rate: Rate | None = None
    max_message_rate: Rate | None = None
    idle_timeout: float | None = None
    trusted_proxies: TrustedProxies | None = None

    def __post_init__(self) -> None:
        for name in (
            "max_connections",
            "max_connections_per_address",
            "max_handshakes",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")
        for name in ("max_byte_rate", "max_message_rate"):
            value = getattr(self, name)
            if value is not None and not _is_rate(value):
                raise ValueError(
                    f"{name} must be positive, or (rate, burst) with a burst of "
                    f"at least 1, got {value!r}"
                )
        value = self.idle_timeout
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"idle_timeout must be positive, got {value!r}")

    @property
    def is_metered(self) -> bool:
        """
        Whether somebody has to watch how much a peer sends.
        """
        return self.max_byte_rate is not None or self.max_message_rate is not None


def _is_rate(rate: Rate) -> bool:
    """
    Tell whether a rate makes sense.
    """
    each, burst = rate if isinstance(rate, tuple) else (rate, 1.0)
    return each > 0 and burst >= 1 and math.isfinite(each) and math.isfinite(burst)


def address_key(host: str | None) -> str:
    """
    Return under which name connections from an address are counted.

    Addresses of a network that IPv6 gives to one customer count as one. Peers
    without an address, as on Unix sockets, have no name.
    """
    if not host:
        return ""
    import ipaddress  # noqa: PLC0415 - takes long, and few servers count addresses

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            bits = int(address) >> (128 - IPV6_PREFIX) << (128 - IPV6_PREFIX)
            return f"{ipaddress.IPv6Address(bits)}/{IPV6_PREFIX}"
        address = mapped
    return str(address)


def retry_after() -> str:
    """
    Return the value of a ``Retry-After`` header, in seconds.
    """
    return str(RETRY_AFTER)


def spread(count: int, seconds: float) -> list[float]:
    """
    Return when to do each of so many things, evenly over so many seconds.
    """
    return [seconds * index / count for index in range(count)]


class Census:
    """
    Counts the connections of a server, and says who may come in.

    A connection *arrives*, is *admitted* when its request is acceptable, *opens*,
    and *leaves*.

    Args:
        limits: What the server allows.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._handshakes = 0
        self._connections = 0
        self._admitted = 0
        self._addresses: Counter[str] = Counter()
        self._counters = dict.fromkeys(
            (
                "accepted",
                "opened",
                "rejected",
                "rejected_max_connections",
                "rejected_max_connections_per_address",
                "rejected_max_handshakes",
                "handshakes_timed_out",
                "handshakes_broken",
                "handlers_failed",
                "accept_pauses",
                "loop_blocked",
                "closed",
                *(f"closed_{code}" for code in COUNTED_CODES),
                "closed_other",
            ),
            0,
        )

    def count(self, event: str) -> None:
        """
        Count an event; its name is a key of :meth:`statistics`.
        """
        self._counters[event] += 1

    def is_crowded(self) -> bool:
        """
        Tell whether there are as many opening handshakes as allowed.
        """
        limit = self._limits.max_handshakes
        return limit is not None and self._handshakes >= limit

    def arrive(self) -> None:
        """
        Count a connection whose opening handshake begins.
        """
        self._counters["accepted"] += 1
        self._handshakes += 1

    def turn_away(self) -> None:
        """
        Count a connection that is refused before its opening handshake.
        """
        self._counters["accepted"] += 1
        self._counters["rejected"] += 1
        self._counters["rejected_max_handshakes"] += 1

    def admit(self, key: str) -> str:
        """
        Let a connection in whose request is acceptable, if there is room.

        Args:
            key: What :func:`address_key` returned.

        Returns:
            The name of the limit that forbids it; an empty string if none does.
        """
        limit = self._limits.max_connections
        if limit is not None and self._admitted >= limit:
            self._counters["rejected_max_connections"] += 1
            return "max_connections"
        limit = self._limits.max_connections_per_address
        if limit is not None and key:
            if self._addresses[key] >= limit:
                self._counters["rejected_max_connections_per_address"] += 1
                return "max_connections_per_address"
            self._addresses[key] += 1
        self._admitted += 1
        return ""

    def open(self) -> None:
        """
        Count a connection whose opening handshake has succeeded.
        """
        self._handshakes -= 1
        self._connections += 1
        self._counters["opened"] += 1

    def leave(self, key: str | None, code: int | None) -> None:
        """
        Count a connection that is gone.

        Args:
            key: What it was admitted with; :obj:`None` if it was not.
            code: The first close code, or 1006 for none; :obj:`None` if it did not
                open.
        """
        if key is not None:
            self._admitted -= 1
            if self._addresses.get(key, 0) > 1:
                self._addresses[key] -= 1
            else:
                self._addresses.pop(key, None)
        if code is None:
            self._handshakes -= 1
            return
        self._connections -= 1
        self._counters["closed"] += 1
        name = f"closed_{code}" if code in COUNTED_CODES else "closed_other"
        self._counters[name] += 1

    def statistics(self) -> dict[str, int]:
        """
        Return all numbers.
        """
        return {
            "connections": self._connections,
            "handshakes": self._handshakes,
            "addresses": len(self._addresses),
            **self._counters,
        }
