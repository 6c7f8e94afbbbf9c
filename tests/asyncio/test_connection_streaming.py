"""
recv_streaming(): a message, fragment by fragment.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, settle
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


async def fragments(connection, decode=None):
    """
    Return the fragments of the next message.
    """
    return [fragment async for fragment in connection.recv_streaming(decode)]


async def test_fragments_arrive_as_they_were_sent(side):
    """
    One item per frame, an empty frame included.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        await peer.send_frame("00")
        await peer.send_frame("80", b"two")

        assert ["one", "", "two"] == await fragments(connection)


@pytest.mark.parametrize(("opcode", "expected"), [("81", "whole"), ("82", b"whole")])
async def test_a_message_in_one_frame_is_one_item(side, opcode, expected):
    """
    An unfragmented message gives one item of its type.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame(opcode, b"whole")

        assert [expected] == await fragments(connection)


async def test_a_fragment_is_there_before_the_next_comes(side):
    """
    The first fragment is delivered while the message is incomplete.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("02", b"early")
        stream = connection.recv_streaming()

        assert b"early" == await anext(stream)
        await peer.send_frame("80", b"late")
        assert b"late" == await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@pytest.mark.parametrize(
    ("opcode", "decode", "expected"),
    [
        ("01", None, ["a", "\u00e9"]),
        ("01", True, ["a", "\u00e9"]),
        ("01", False, [b"a\xc3", b"\xa9"]),
        ("02", None, [b"a\xc3", b"\xa9"]),
        ("02", True, ["a", "\u00e9"]),
        ("02", False, [b"a\xc3", b"\xa9"]),
    ],
)
async def test_decode_chooses_the_type(side, opcode, decode, expected):
    """
    Text is decoded incrementally: a character split over two frames comes
    with the second.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame(opcode, b"a\xc3")
        await peer.send_frame("80", b"\xa9")

        assert expected == await fragments(connection, decode)


async def test_binary_fragments_are_bytes(side):
    """
    Items are exactly bytes, no bytes-like objects.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("02", b"one")
        await peer.send_frame("80", b"two")

        assert {bytes} == {type(item) for item in await fragments(connection)}


async def test_messages_follow_each_other(side):
    """
    A finished stream leaves the next message to whatever receives next.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        await peer.send_frame("80", b"two")
        await peer.send_frame("81", b"three")
        await peer.send_frame("81", b"four")

        assert ["one", "two"] == await fragments(connection)
        assert "three" == await connection.recv()
        assert ["four"] == await fragments(connection)


@pytest.mark.parametrize("second", ["recv", "recv_streaming"])
async def test_nobody_else_receives_during_a_stream(side, second):
    """
    From the first item to the last the stream is the only receiver.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        stream = connection.recv_streaming()
        await anext(stream)
        with pytest.raises(lib.ConcurrencyError) as raised:
            await (connection.recv() if second == "recv" else fragments(connection))

        assert (
            f"cannot call {second} while another coroutine is already running "
            "recv or recv_streaming"
        ) == str(raised.value)
        await peer.send_frame("80", b"two")
        assert ["two"] == [fragment async for fragment in stream]


async def test_cancelling_before_the_first_fragment_is_safe(side):
    """
    A stream that waited in vain takes nothing with it.
    """
    async with facing_raw_peer(side) as (connection, peer):
        waiting = asyncio.create_task(fragments(connection))
        await settle()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await peer.send_frame("01", b"one")
        await peer.send_frame("80", b"two")

        assert "onetwo" == await connection.recv()


@pytest.mark.parametrize("receive", ["recv", "recv_streaming"])
async def test_cancelling_within_a_message_ends_receiving(side, receive):
    """
    The rest of a message cannot be told from a new one: from then on every
    receiver fails, sending still works.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        waiting = asyncio.create_task(fragments(connection))
        await settle()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await peer.send_frame("80", b"two")

        for _ in range(2):
            with pytest.raises(lib.ConcurrencyError):
                await (
                    connection.recv() if receive == "recv" else fragments(connection)
                )
        await connection.send("fine")
        assert b"fine" == (await peer.read_frame()).payload


async def test_leaving_a_stream_early_ends_receiving(side):
    """
    `break` within a message has the same effect as cancellation.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        stream = connection.recv_streaming()
        async with contextlib.aclosing(stream):
            await anext(stream)

        with pytest.raises(lib.ConcurrencyError):
            await connection.recv()


async def test_the_end_of_the_connection_ends_the_stream(side):
    """
    A close within a message raises from the stream.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        stream = connection.recv_streaming()
        first = await anext(stream)
        peer.close()
        with pytest.raises(lib.ConnectionClosedError):
            await anext(stream)

        assert "one" == first


async def test_a_closed_connection_has_no_stream(side):
    """
    After a normal end the stream raises `ConnectionClosedOK`: unlike `async
    for` over messages it does not end quietly.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(1000)
        with pytest.raises(lib.ConnectionClosedOK):
            await fragments(connection)


async def test_buffered_fragments_survive_the_close(side):
    """
    A complete message is streamed after the connection has closed.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one")
        await peer.send_frame("80", b"two")
        await peer.close_with(1000)
        await connection.wait_closed()

        assert ["one", "two"] == await fragments(connection)


async def test_streaming_has_no_limit_of_fragments(side):
    """
    Only `recv()` counts fragments (it has to join them).
    """
    async with facing_raw_peer(side, max_queue=None) as (connection, peer):
        frames = peer.frame("01", b"a") + peer.frame("00", b"b") * 5_000
        sending = asyncio.create_task(peer.send(frames + peer.frame("80", b"c")))

        assert 5_002 == len(await fragments(connection))
        await sending
