"""
From an address to a broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .memory import MemoryBroker

if TYPE_CHECKING:
    from .base import Broker

__all__ = ["broker_for", "check_scheme"]

REDIS = {
    f"{base}{kind}"
    for base in ("redis", "rediss", "unix")
    for kind in ("", "+sentinel", "+cluster")
}


def check_scheme(url: str) -> None:
    """
    Check that an address is one of Redis.

    Raises:
        ValueError: It is not.
    """
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in REDIS:
        # An address may hold a password.
        raise ValueError(f"no broker is known for {scheme[:80]!r} addresses")


def broker_for(url: str | None) -> Broker:
    """
    Return the broker at an address; without one, a new one in memory.

    Raises:
        ImportError: The broker needs a package that is not installed.
        ValueError: The address is of no kind that is known.
    """
    if url is None:
        return MemoryBroker()
    check_scheme(url)
    try:
        from .redis import RedisBroker  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError as exc:
        raise ImportError("Redis needs a package: install socketeer[redis]") from exc
    return RedisBroker(url)
