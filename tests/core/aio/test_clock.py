"""
The clock that the core asks often.
"""

from __future__ import annotations

from time import monotonic


def test_the_clock_is_python_s(core):
    """
    It can be compared with :func:`time.monotonic`.
    """
    before = monotonic()
    now = core.aio.clock.now()

    assert before <= now <= monotonic()
