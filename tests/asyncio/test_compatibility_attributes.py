"""
Attributes and arguments that programs of the older API look at.
"""

from __future__ import annotations

import pytest

from tests.asyncio.harness import both_sides, linked
from tests.under_test import OURS, lib, submodule

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

if OURS:
    connections = submodule("asyncio.connection")


@both_sides
async def test_limits(side):
    """
    As they were given, with the low marks that follow.
    """
    async with linked(
        side,
        max_queue=8,
        write_limit=(1000, 100),
        ping_interval=5,
        ping_timeout=None,
        close_timeout=3,
    ) as (connection, _):
        assert (8, 2) == (connection.max_queue_high, connection.max_queue_low)
        assert 1000 == connection.write_limit_high
        assert 100 == connection.write_limit_low
        assert (5, None) == (connection.ping_interval, connection.ping_timeout)
        assert 3 == connection.close_timeout
        assert "OPEN" in repr(connection)


@both_sides
async def test_no_limits(side):
    """
    None is None.
    """
    async with linked(side, max_queue=None) as (connection, _):
        assert connection.max_queue_high is None
        assert connection.max_queue_low is None


MARKS = [
    (None, (-1, -1)),
    ((None, None), (-1, -1)),
    (16, (16, 4)),
    ((16, None), (16, 4)),
    ((16, 16), (16, 16)),
    ((16, 0), (16, 0)),
]


@pytest.mark.parametrize(("limit", "marks"), MARKS)
def test_marks(limit, marks):
    """
    The low mark is a quarter of the high one unless it is given.
    """
    assert marks == connections.watermarks(limit)


@pytest.mark.parametrize(
    ("limit", "text"), [((4, -1), "low must"), ((1, 2), "high must")]
)
def test_marks_that_make_no_sense(limit, text):
    """
    Are refused.
    """
    with pytest.raises(ValueError, match=text):
        connections.watermarks(limit)


@both_sides
async def test_how_a_connection_ended(side):
    """
    Is told when it has.
    """
    async with linked(side) as (connection, other):
        with pytest.raises(lib.InvalidState, match="isn't closed yet"):
            _ = connection.close_exc
        assert connection.connection_exc is None
        await other.close(1001, "bye")
        await connection.wait_closed()
        assert isinstance(connection.close_exc, lib.ConnectionClosedOK)
        assert (1001, "bye") == (connection.close_code, connection.close_reason)
