"""
send() of iterables: a fragmented message, and what happens around it.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


class Gate:
    """
    An async iterable whose items are let through one by one.
    """

    def __init__(self):
        self.items = asyncio.Queue()

    def __aiter__(self):
        return self

    async def __anext__(self):
        item = await self.items.get()
        if item is StopAsyncIteration:
            raise StopAsyncIteration
        if isinstance(item, BaseException):
            raise item
        return item

    def let(self, *items):
        """
        Let items through; exceptions are raised.
        """
        for item in items:
            self.items.put_nowait(item)

    def end(self):
        """
        End the iteration.
        """
        self.items.put_nowait(StopAsyncIteration)


async def one_by_one(items):
    """
    Turn items into an async iterable.
    """
    for item in items:
        yield item


async def read_frames(peer, count):
    """
    Return the next frames.
    """
    return [await peer.read_frame() for _ in range(count)]


@pytest.mark.parametrize(
    "make",
    [list, tuple, iter, one_by_one],
    ids=["list", "tuple", "iterator", "async generator"],
)
async def test_an_iterable_of_str_is_a_text_message(side, make):
    """
    One frame per item, then an empty final frame.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(make(["one", "", "two"]))

        assert [
            RawFrame(0x01, b"one"),
            RawFrame(0x00, b""),
            RawFrame(0x00, b"two"),
            RawFrame(0x80, b""),
        ] == await read_frames(peer, 4)


@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
async def test_an_iterable_of_bytes_is_a_binary_message(side, make):
    """
    Bytes-like objects of all kinds may be mixed.
    """
    items = [b"one", bytearray(b"two"), memoryview(b"three")]
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(make(items))

        assert [
            RawFrame(0x02, b"one"),
            RawFrame(0x00, b"two"),
            RawFrame(0x00, b"three"),
            RawFrame(0x80, b""),
        ] == await read_frames(peer, 4)


@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
@pytest.mark.parametrize(
    ("item", "text", "head"),
    [("x", False, 0x02), (b"x", True, 0x01), ("x", True, 0x01), (b"x", False, 0x02)],
)
async def test_text_forces_the_opcode_of_fragments(side, make, item, text, head):
    """
    `text=` decides the opcode of the first frame.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(make([item]), text=text)

        assert [RawFrame(head, b"x"), RawFrame(0x80, b"")] == await read_frames(peer, 2)


@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
async def test_an_empty_iterable_sends_nothing(side, make):
    """
    Without a first item there is no message.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(make([]))
        await connection.send("next")

        assert RawFrame(0x81, b"next") == await peer.read_frame()


@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
@pytest.mark.parametrize("item", [1, None, ["nested"]])
async def test_a_first_item_of_a_wrong_type_sends_nothing(side, make, item):
    """
    The first item decides whether there is a message at all.
    """
    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(connection.send(make([item])))
        await settle()
        if connection.state is lib.State.CLOSING:
            await peer.answer_close()
        with pytest.raises(TypeError):
            await sending


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (list, "iterable must contain uniform types"),
        (one_by_one, "async iterable must contain uniform types"),
    ],
    ids=["list", "async generator"],
)
@pytest.mark.parametrize("items", [["one", b"two"], [b"one", "two"], ["one", 2]])
async def test_mixed_types_fail_the_connection(side, make, text, items):
    """
    A message that cannot be completed ends the connection with 1011.
    """
    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(connection.send(make(items)))
        assert b"one" == (await peer.read_frame()).payload
        assert (1011, "error in fragmented message") == await peer.answer_close()
        with pytest.raises(TypeError) as raised:
            await sending

        assert text == str(raised.value)


async def test_an_error_of_the_iterable_fails_the_connection(side):
    """
    The error reaches the caller; the peer gets 1011.
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        gate.let("one", ZeroDivisionError("mine"))
        sending = asyncio.create_task(connection.send(gate))
        assert (1011, "error in fragmented message") == await peer.answer_close()
        with pytest.raises(ZeroDivisionError, match="^mine$"):
            await sending


@pytest.mark.ours
async def test_cancelling_a_fragmented_message_fails_the_connection(side):
    """
    After its first frame a message cannot be taken back.
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        gate.let("one")
        sending = asyncio.create_task(connection.send(gate))
        await peer.read_frame()
        sending.cancel()
        assert (1011, "error in fragmented message") == await peer.answer_close()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_cancelling_before_the_first_fragment_is_harmless(side):
    """
    While the first item is awaited nothing has been sent.
    """
    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(connection.send(Gate()))
        await settle()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await connection.send("next")

        assert RawFrame(0x81, b"next") == await peer.read_frame()


@pytest.mark.ours
@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
async def test_fragments_need_not_be_contiguous(side, make):
    """
    A view with gaps is sent as the bytes it shows.
    """
    items = [memoryview(b"o.n.e.")[::2], memoryview(b"t.w.o.")[::2]]
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(make(items))

        assert [
            RawFrame(0x02, b"one"),
            RawFrame(0x00, b"two"),
            RawFrame(0x80, b""),
        ] == await read_frames(peer, 3)


async def test_other_messages_wait_for_a_fragmented_one(side):
    """
    Frames of different messages are never interleaved (RFC 6455, 5.4).
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        gate.let("one")
        fragmented = asyncio.create_task(connection.send(gate))
        await settle()
        others = [
            asyncio.create_task(connection.send(message))
            for message in ("text", b"bytes", ["a", "b"])
        ]
        await settle()
        gate.let("two")
        gate.end()
        await asyncio.gather(fragmented, *others)

        assert [
            RawFrame(0x01, b"one"),
            RawFrame(0x00, b"two"),
            RawFrame(0x80, b""),
            RawFrame(0x81, b"text"),
            RawFrame(0x82, b"bytes"),
            RawFrame(0x01, b"a"),
            RawFrame(0x00, b"b"),
            RawFrame(0x80, b""),
        ] == await read_frames(peer, 8)


async def test_a_waiting_message_can_be_cancelled(side):
    """
    A message that waits for a fragmented one and is cancelled never leaves.
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        gate.let("one")
        fragmented = asyncio.create_task(connection.send(gate))
        await settle()
        waiting = asyncio.create_task(connection.send("never"))
        later = asyncio.create_task(connection.send("later"))
        await settle()
        waiting.cancel()
        gate.end()
        await asyncio.gather(fragmented, later)

        assert waiting.cancelled()
        assert [
            RawFrame(0x01, b"one"),
            RawFrame(0x80, b""),
            RawFrame(0x81, b"later"),
        ] == await read_frames(peer, 3)


async def test_control_frames_pass_a_fragmented_message(side):
    """
    Pings, pongs and answers may leave between fragments (RFC 6455, 5.4).
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        gate.let("one")
        fragmented = asyncio.create_task(connection.send(gate))
        assert RawFrame(0x01, b"one") == await peer.read_frame()
        await connection.ping(b"ping")
        await connection.pong(b"pong")
        await peer.send_frame("89", b"theirs")

        assert [
            RawFrame(0x89, b"ping"),
            RawFrame(0x8A, b"pong"),
            RawFrame(0x8A, b"theirs"),
        ] == await read_frames(peer, 3)
        gate.end()
        await fragmented
        assert RawFrame(0x80, b"") == await peer.read_frame()


async def test_fragments_leave_as_they_come(side):
    """
    A fragment is on the wire while the iterable waits for the next.
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        sending = asyncio.create_task(connection.send(gate))
        for head, item in ((0x01, "one"), (0x00, "two")):
            gate.let(item)
            assert RawFrame(head, item.encode()) == await peer.read_frame()
        gate.end()
        await sending

        assert RawFrame(0x80, b"") == await peer.read_frame()


async def test_the_end_of_the_connection_ends_a_fragmented_message(side):
    """
    The next item fails with what ended the connection.
    """
    async with facing_raw_peer(side) as (connection, peer):
        gate = Gate()
        gate.let("one")
        sending = asyncio.create_task(connection.send(gate))
        await peer.read_frame()
        await peer.close_with(1001)
        await connection.wait_closed()
        gate.let("two")
        with pytest.raises(lib.ConnectionClosed):
            await sending
