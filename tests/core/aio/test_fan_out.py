"""
The same messages to many connections, of whatever kind.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tests.core.aio.ends import link_with_wire, parse

pytestmark = pytest.mark.anyio


@pytest.fixture
async def crowd(core):
    return [link_with_wire(core) for _ in range(3)]


@pytest.fixture
def messages(core):
    return [core.prepared.PreparedMessage(1, text) for text in (b"a", b"b", b"c")]


def fan_out(core, connections, messages, *, more=False, is_log=False):
    return core.aio.fan_out.fan_out_to_all(
        connections, messages, 100, "drop", more, is_log
    )


def stall(ends):
    """
    Let nothing be written any more.
    """
    ends.wire.waiting = 1000


class Foreign:
    """
    A connection of another kind, which takes as many messages as it has room for.
    """

    def __init__(self, room):
        self.room = room
        self.asked = []

    def fan_out(self, *arguments):
        self.asked.append(arguments)
        self.room -= 1
        return self.room >= 0


def broken(error):
    """
    Return a connection that raises.
    """

    def fan_out(*_):
        raise error

    return SimpleNamespace(fan_out=fan_out)


@pytest.mark.parametrize("is_log", [False, True])
async def test_everybody_gets_all_messages(core, crowd, messages, is_log):
    """
    In one write, at once; and nobody is to be told about.
    """
    connections = [ends.connected for ends in crowd]
    assert [] == fan_out(core, connections, messages, is_log=is_log)

    expected = [["a", "b", "c"]]
    for ends in crowd:
        assert expected == [parse(written) for written in ends.wire.written]


async def test_others_follow(core, crowd, messages):
    """
    Then the last message, too, waits for the end of the turn.
    """
    connections = [ends.connected for ends in crowd]
    fan_out(core, connections, messages[:2], more=True)
    fan_out(core, connections, messages[2:], more=True)
    assert [[]] * 3 == [ends.wire.written for ends in crowd]

    await asyncio.sleep(0)

    expected = [["a", "b", "c"]]
    for ends in crowd:
        assert expected == [parse(written) for written in ends.wire.written]


@pytest.mark.parametrize(
    ("is_log", "expected"),
    [(False, [(1, 0), (1, 1), (1, 2), (2, 2)]), (True, [(1, 0), (2, 2)])],
)
async def test_who_does_not_take_a_message(core, crowd, messages, is_log, expected):
    """
    Is told about for each one; of a log, there is nothing behind the first.
    """
    stall(crowd[1])
    foreign = Foreign(room=2)
    connections = [crowd[0].connected, crowd[1].connected, foreign, crowd[2].connected]

    refused = fan_out(core, connections, messages, is_log=is_log)

    assert [(*place, None) for place in expected] == refused
    assert [[], 3] == [crowd[1].wire.written, len(foreign.asked)]
    assert 3 - 2 * is_log == crowd[1].link.dropped
    assert ["a", "b", "c"] == parse(b"".join(crowd[2].wire.written))


@pytest.mark.parametrize("more", [False, True])
async def test_a_connection_of_another_kind(core, messages, more):
    """
    Is asked with the arguments of a link.
    """
    foreign = Foreign(room=3)
    assert [] == fan_out(core, [foreign], messages, more=more)

    expected = [
        (message, 100, "drop", follows)
        for message, follows in zip(messages, (True, True, more), strict=True)
    ]
    assert expected == foreign.asked


@pytest.mark.parametrize("is_log", [False, True])
async def test_a_connection_that_fails(core, crowd, messages, is_log):
    """
    Is told about with its exception, and the others get theirs.
    """
    error = OSError("broken")
    connections = [broken(error), crowd[0].connected]

    refused = fan_out(core, connections, messages[:2], is_log=is_log)

    assert [(0, 0, error), (0, 1, error)][: 2 - is_log] == refused
    assert ["a", "b"] == parse(b"".join(crowd[0].wire.written))


async def test_what_is_no_exception_ends_it(core, crowd, messages):
    """
    Whatever interrupts the program is not for one connection to keep.
    """
    with pytest.raises(KeyboardInterrupt):
        fan_out(core, [broken(KeyboardInterrupt()), crowd[0].connected], messages)

    assert [] == crowd[0].wire.written


async def test_nobody_and_nothing(core, crowd, messages):
    """
    Nothing happens.
    """
    assert [] == fan_out(core, [], messages)
    assert [] == fan_out(core, [crowd[0].connected], [])
    assert [] == crowd[0].wire.written
