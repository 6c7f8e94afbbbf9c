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


async def test_patient_messages_share_a_write(core, ends):
    """
    They wait for the end of the turn.
    """
    prepared = core.prepared.PreparedMessage(1, b"patient", True)
    for _ in range(3):
        assert ends.link.send_prepared(prepared, -1, "close")
    assert [] == ends.wire.written

    await asyncio.sleep(0)

    assert [["patient"] * 3] == [parse(written) for written in ends.wire.written]


async def test_an_urgent_message_does_not_wait_for_patient_ones(core, ends):
    """
    The first of a turn is written at once, with all that comes before it.
    """
    patient, urgent = (
        core.prepared.PreparedMessage(1, text, is_patient)
        for text, is_patient in ((b"patient", True), (b"urgent", False))
    )
    ends.link.send_prepared(patient, -1, "close")
    ends.link.send_prepared(urgent, -1, "close")
    assert [["patient", "urgent"]] == [parse(w) for w in ends.wire.written]

    ends.link.send_prepared(patient, -1, "close")
    ends.link.send_prepared(urgent, -1, "close")
    assert 1 == len(ends.wire.written)
    await asyncio.sleep(0)

    assert [["patient", "urgent"]] * 2 == [parse(w) for w in ends.wire.written]


async def test_a_patient_message_keeps_its_place(core, ends):
    """
    What follows it in the same turn leaves behind it, and in the same write.
    """
    prepared = core.prepared.PreparedMessage(1, b"patient", True)

    ends.link.send_prepared(prepared, -1, "close")
    assert len(prepared.plain_frame()) == ends.link.backlog_size()
    await ends.connected.send("next")
    await asyncio.sleep(0)
    ends.link.send_prepared(prepared, -1, "close")
    ends.link.begin_close(1000, "")
    await asyncio.sleep(0)

    shared, close = b"\x81\x07patient", b"\x88\x02\x03\xe8"
    assert [shared + b"\x81\x04next", shared + close] == ends.wire.written
    assert 0 == ends.link.backlog_size()


async def test_a_patient_message_that_came_too_late(core, ends):
    """
    When the connection is lost before the turn ends, nothing is written.
    """
    prepared = core.prepared.PreparedMessage(1, b"patient", True)
    ends.link.send_prepared(prepared, -1, "close")
    ends.link.lost_connection(None)
    await asyncio.sleep(0)

    assert [] == ends.wire.written
    assert 0 == ends.link.backlog_size()


async def test_patience_has_an_end(core, ends):
    """
    What was collected is written before there is too much of it.
    """
    prepared = core.prepared.PreparedMessage(2, b"x" * 4000, True)
    for _ in range(40):
        ends.link.send_prepared(prepared, -1, "close")
    await asyncio.sleep(0)

    sizes = [len(written) for written in ends.wire.written]
    assert 40 * len(prepared.plain_frame()) == sum(sizes)
    assert max(sizes) < 65_536 + 4096
    assert 3 == len(sizes)


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
