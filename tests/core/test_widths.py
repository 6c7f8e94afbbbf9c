"""
Numbers as wide as their types: what the builds must not see differently.

Lengths of frames, limits and close codes have their tests beside the rules that
they belong to.
"""

from __future__ import annotations

import pytest

from .ends import RSV1, TEXT, feed

WIDE = [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1]


@pytest.mark.parametrize("value", WIDE)
@pytest.mark.parametrize("name", ["high", "low", "max_fragments"])
def test_marks_of_the_queue_have_any_width(end, name, value):
    """
    A large mark is never reached, nor does it turn negative.
    """
    session = end.session()
    session.high = 1
    setattr(session, name, value)
    feed(session, end.peer(TEXT, b"a"))

    assert value == getattr(session, name)
    assert ("a", False) == (session.take_message(None), session.halted)


@pytest.mark.parametrize("value", WIDE)
def test_the_compression_threshold_has_any_width(end, value):
    """
    Everything is smaller: nothing is compressed.
    """
    session = end.session()
    session.deflate = end.core.deflate.Deflate(False, False, 15, 15, None)
    session.reserved_bits = RSV1
    session.compression_threshold = value
    session.send_message(1, "Hello", True)

    assert end.own(TEXT, b"Hello") == session.data_to_send()


@pytest.mark.parametrize("now", [0.0, 2.0**31, 2.0**32, 2.0**53])
def test_clocks_have_any_width(end, now):
    """
    Seconds are floats of full precision.
    """
    session = end.session()
    end.clock.now = now
    session.ping_interval = 2.0
    session.start()

    assert now + 2.0 == session.next_deadline()
