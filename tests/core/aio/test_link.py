"""
Links at the edges of what connections ask of them.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.raw import EXAMPLE_KEY, encode
from tests.core.aio.ends import feed, link_with_wire, parse

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ends(core):
    return link_with_wire(core)


async def test_a_prepared_message_is_traced(core, ends):
    """
    As any other frame that leaves.
    """
    traced = []
    ends.link.trace = lambda *frame: traced.append(frame)

    ends.link.send_prepared(core.prepared.PreparedMessage(1, b"hello"), -1, "close")

    assert [(">", 0x81, b"hello")] == traced


async def test_messages_before_others_share_a_write(core, ends):
    """
    They wait for the end of the turn.
    """
    prepared = core.prepared.PreparedMessage(1, b"patient")
    for _ in range(3):
        assert ends.link.send_prepared(prepared, -1, "close", True)
    assert [] == ends.wire.written

    await asyncio.sleep(0)

    assert [["patient"] * 3] == [parse(written) for written in ends.wire.written]


async def test_the_last_message_does_not_wait(core, ends):
    """
    The first of a turn is written at once, with all that comes before it.
    """
    patient, urgent = (
        core.prepared.PreparedMessage(1, text) for text in (b"patient", b"urgent")
    )
    ends.link.send_prepared(patient, -1, "close", True)
    ends.link.send_prepared(urgent, -1, "close")
    assert [["patient", "urgent"]] == [parse(w) for w in ends.wire.written]

    ends.link.send_prepared(patient, -1, "close", True)
    ends.link.send_prepared(urgent, -1, "close")
    assert 1 == len(ends.wire.written)
    await asyncio.sleep(0)

    assert [["patient", "urgent"]] * 2 == [parse(w) for w in ends.wire.written]


@pytest.mark.parametrize("more", [False, True])
async def test_a_message_that_is_alone_is_not_copied(core, ends, more):
    """
    The frame is written that others share.
    """
    prepared = core.prepared.PreparedMessage(1, b"alone")
    for number in range(2):
        ends.link.send_prepared(prepared, -1, "close", more)
        await asyncio.sleep(0)

        assert number + 1 == len(ends.wire.written)
        assert ends.wire.written[-1] is prepared.plain_frame()


async def test_a_message_before_others_keeps_its_place(core, ends):
    """
    What follows it in the same turn leaves behind it, and in the same write.
    """
    prepared = core.prepared.PreparedMessage(1, b"patient")

    ends.link.send_prepared(prepared, -1, "close", True)
    assert len(prepared.plain_frame()) == ends.link.backlog_size()
    await ends.connected.send("next")
    await asyncio.sleep(0)
    ends.link.send_prepared(prepared, -1, "close", True)
    ends.link.begin_close(1000, "")
    await asyncio.sleep(0)

    shared, close = b"\x81\x07patient", b"\x88\x02\x03\xe8"
    assert [shared + b"\x81\x04next", shared + close] == ends.wire.written
    assert 0 == ends.link.backlog_size()


async def test_a_message_before_others_that_came_too_late(core, ends):
    """
    When the connection is lost before the turn ends, nothing is written.
    """
    prepared = core.prepared.PreparedMessage(1, b"patient")
    ends.link.send_prepared(prepared, -1, "close", True)
    ends.link.lost_connection(None)
    await asyncio.sleep(0)

    assert [] == ends.wire.written
    assert 0 == ends.link.backlog_size()


async def test_collecting_has_an_end(core, ends):
    """
    What was collected is written before there is too much of it.
    """
    prepared = core.prepared.PreparedMessage(2, b"x" * 4000)
    for _ in range(40):
        ends.link.send_prepared(prepared, -1, "close", True)
    await asyncio.sleep(0)

    sizes = [len(written) for written in ends.wire.written]
    assert 40 * len(prepared.plain_frame()) == sum(sizes)
    assert max(sizes) < 65_536 + 4096
    assert 3 == len(sizes)


async def test_messages_that_waited_for_a_fragmented_one_share_a_write(core, ends):
    """
    All but the last one wait for the one behind it.
    """
    link = ends.link
    link.fragmenting = asyncio.get_running_loop().create_future()
    for text in (b"1", b"2", b"3"):
        prepared = core.prepared.PreparedMessage(1, text)
        assert link.send_prepared(prepared, -1, "close")
    assert [] == ends.wire.written

    link.end_fragments()

    assert [["1", "2", "3"]] == [parse(written) for written in ends.wire.written]


@pytest.mark.parametrize("what", ["nothing", "send", "slow send", "fan-out", "close"])
async def test_what_is_done_at_the_end_of_a_turn(core, ends, what):
    """
    It comes before whatever is sent meanwhile, and once.
    """
    link, prepared = ends.link, core.prepared.PreparedMessage(1, b"first")
    link.turn.call_at_end(lambda: link.send_prepared(prepared, -1, "close"))
    assert [] == ends.wire.written

    if what == "send":
        await ends.connected.send("second")
    elif what == "slow send":
        await ends.connected.send(bytearray(b"second"), text=True)
    elif what == "fan-out":
        second = core.prepared.PreparedMessage(1, b"second")
        link.send_prepared(second, -1, "close")
    elif what == "close":
        link.begin_close(1000, "")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    written = b"".join(ends.wire.written)
    assert written.startswith(b"\x81\x05first")
    assert written.count(b"first") == 1
    assert (b"second" in written) is (what in {"send", "slow send", "fan-out"})


async def test_an_error_at_the_end_of_a_turn(core, ends):
    """
    Is reported; everything else is done.
    """
    told = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    prepared = core.prepared.PreparedMessage(1, b"next")
    error = ValueError("boom")

    def fail():
        raise error

    ends.link.turn.call_at_end(fail)
    ends.link.turn.call_at_end(
        lambda: ends.link.send_prepared(prepared, -1, "close", True)
    )
    await asyncio.sleep(0)
    loop.set_exception_handler(None)

    assert [error] == told
    assert [["next"]] == [parse(written) for written in ends.wire.written]


async def test_what_was_only_collected_is_no_overflow(core, ends):
    """
    The backlog is judged after a flush: what the peer has room for is written.
    """
    prepared = core.prepared.PreparedMessage(1, b"x" * 100)
    sent = [ends.link.send_prepared(prepared, 50, "drop") for _ in range(4)]

    assert [True] * 4 == sent
    assert 0 == ends.link.dropped


async def test_closing_with_a_full_queue(ends):
    """
    Reading goes on: the peer's close frame is behind what nobody receives.
    """
    link = ends.link
    link.high, link.low = 2, 0
    feed(link, *"abcdef")
    assert ["pause_reading"] == ends.wire.calls

    link.begin_close(1000, "")

    assert "resume_reading" in ends.wire.calls
    data = bytearray(encode("88", bytes.fromhex("03e8"), EXAMPLE_KEY))
    link.received(data, len(data))
    assert 1000 == link.close_rcvd.code


async def test_waiting_for_what_is_lost_already(ends):
    """
    Is over at once.
    """
    ends.link.lost_connection(None)

    assert ends.link.closed_future().done()
    assert ends.link.closed_future() is ends.link.closed_future()


async def test_a_deadline_of_what_is_lost(ends):
    """
    Means nothing.
    """
    ends.link.lost_connection(None)
    ends.link.advance_to(1e9)

    assert [] == ends.wire.calls


class Word(str):
    __slots__ = ()


async def test_subclasses_of_str(ends):
    """
    Are sent as what they are made of.
    """
    await ends.connected.send(Word("hello"))
    await asyncio.sleep(0)

    assert ["hello"] == parse(b"".join(ends.wire.written))
