"""
From an address to a broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .memory import MemoryBroker

if TYPE_CHECKING:
    from .base import Broker

__all__ = ["broker_for"]


def broker_for(url: str | None) -> Broker:
    """
    Return the broker at an address; without one, a new one in memory.

    Raises:
        ImportError: The broker needs a package that is not installed.
        ValueError: The address is of no kind that is known.
    """
    if url is None:
        return MemoryBroker()
    raise ValueError(f"no broker is known for {url.partition(':')[0]!r} addresses")
