"""
The time, for those who ask often.

This is the portable twin of ``_fast/aio/clock.pyx``; both must behave alike.
"""

from __future__ import annotations

from time import monotonic

__all__ = ["now"]


def now() -> float:
    """
    Return seconds on a clock that never goes back.
    """
    return monotonic()
