"""
send() of whole messages: what it accepts, what leaves, what it refuses.
"""

from __future__ import annotations

import array
import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

WRONG_TYPE = "data must be str, bytes, iterable, or async iterable"


async def test_str_leaves_in_a_text_frame(side):
    """
    One frame, FIN set, UTF-8 payload; `send()` returns `None`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        returned = await connection.send("Hé€😀")

        assert None is returned
        assert RawFrame(0x81, "Hé€😀".encode()) == await peer.read_frame()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\x10",
        bytearray(b"\x00\xff\x10"),
        memoryview(b"\x00\xff\x10"),
        memoryview(array.array("B", [0x00, 0xFF, 0x10])),
    ],
    ids=["bytes", "bytearray", "memoryview", "of an array"],
)
async def test_bytes_like_objects_leave_in_a_binary_frame(side, data):
    """
    Every bytes-like object is sent as its bytes.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(data)

        assert RawFrame(0x82, b"\x00\xff\x10") == await peer.read_frame()


@pytest.mark.parametrize(
    ("message", "text", "frame"),
    [
        ("caf\u00e9", None, RawFrame(0x81, b"caf\xc3\xa9")),
        ("caf\u00e9", True, RawFrame(0x81, b"caf\xc3\xa9")),
        ("caf\u00e9", False, RawFrame(0x82, b"caf\xc3\xa9")),
        (b"caf\xc3\xa9", None, RawFrame(0x82, b"caf\xc3\xa9")),
        (b"caf\xc3\xa9", True, RawFrame(0x81, b"caf\xc3\xa9")),
        (b"caf\xc3\xa9", False, RawFrame(0x82, b"caf\xc3\xa9")),
        (bytearray(b"ok"), True, RawFrame(0x81, b"ok")),
        (memoryview(b"ok"), True, RawFrame(0x81, b"ok")),
    ],
)
async def test_text_forces_the_opcode(side, message, text, frame):
    """
    `text=True` sends a text frame and `text=False` a binary frame.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(message, text=text)

        assert frame == await peer.read_frame()


@pytest.mark.ours
@pytest.mark.parametrize("text", [None, True, False])
async def test_a_memoryview_need_not_be_contiguous(side, text):
    """
    A view with gaps is sent as the bytes it shows.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(memoryview(b"o.n.e.")[::2], text=text)

        head = 0x81 if text else 0x82
        assert RawFrame(head, b"one") == await peer.read_frame()


@pytest.mark.parametrize("empty", ["", b"", bytearray()])
async def test_an_empty_message_is_sent(side, empty):
    """
    An empty payload is a message like any other.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(empty)

        opcode = 0x81 if empty == "" else 0x82
        assert RawFrame(opcode, b"") == await peer.read_frame()


@pytest.mark.parametrize(
    ("size", "length_field"),
    [
        (0, "00"),
        (1, "01"),
        (125, "7d"),
        (126, "7e007e"),
        (127, "7e007f"),
        (65_535, "7effff"),
        (65_536, "7f0000000000010000"),
        (300_001, "7f00000000000493e1"),
    ],
)
async def test_the_length_field_is_the_shortest(side, size, length_field):
    """
    "The minimal number of bytes MUST be used" (RFC 6455, 5.2).
    """
    payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    header = bytearray.fromhex(f"82{length_field}")
    if side == "client":
        header[1] |= 0x80
    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(connection.send(payload))
        frame = await peer.read_frame()
        await sending

        assert payload == frame.payload
        assert bytes(header) == frame.header


async def test_messages_leave_in_the_order_of_the_calls(side):
    """
    Messages of one task and of several tasks keep their order, whole.
    """
    async with facing_raw_peer(side) as (connection, peer):
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(connection.send(str(number)))

        assert [b"%d" % number for number in range(20)] == [
            (await peer.read_frame()).payload for _ in range(20)
        ]


async def test_a_buffer_may_be_changed_after_send(side):
    """
    `send()` is done with its argument when it returns.
    """
    data = bytearray(b"before")
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(data)
        data[:] = b"after!"

        assert b"before" == (await peer.read_frame()).payload


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "dict"}, "data is a dict-like object"),
        (5, WRONG_TYPE),
        (None, WRONG_TYPE),
        (object(), WRONG_TYPE),
        (1.5, WRONG_TYPE),
    ],
    ids=["dict", "int", "None", "object", "float"],
)
async def test_other_types_are_refused(side, message, text):
    """
    A wrong type sends nothing and leaves the connection as it was.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(TypeError) as raised:
            await connection.send(message)
        await connection.send("next")

        assert text == str(raised.value)
        assert RawFrame(0x81, b"next") == await peer.read_frame()


@pytest.mark.ours
async def test_a_lone_surrogate_does_no_harm(side):
    """
    Nothing was sent, and the connection remains OPEN.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(UnicodeEncodeError):
            await connection.send("\ud800")
        await connection.send("next")

        assert RawFrame(0x81, b"next") == await peer.read_frame()


async def test_sending_on_a_closed_connection_fails(side):
    """
    After the end `send()` raises what ended the connection, every time.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(1001, "bye")
        await connection.wait_closed()

        for message in ("text", b"bytes", ["fragment"]):
            with pytest.raises(lib.ConnectionClosedOK) as raised:
                await connection.send(message)
            assert lib.Close(1001, "bye") == raised.value.rcvd


async def test_sending_while_closing_fails_when_closed(side):
    """
    In CLOSING nothing more is sent; the error tells how the closing ended.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close(1000, "done"))
        await settle()
        sending = asyncio.create_task(connection.send("too late"))
        await settle()
        await peer.answer_close(1000, "yes")
        await closing
        with pytest.raises(lib.ConnectionClosedOK) as raised:
            await sending

        assert lib.Close(1000, "yes") == raised.value.rcvd
        assert lib.Close(1000, "done") == raised.value.sent


async def test_both_directions_are_independent(side):
    """
    A task may send while another one receives, on both ends.
    """
    async with linked(side) as (connection, other):

        async def send(end):
            for number in range(50):
                await end.send(str(number))

        async def receive(end):
            return [await end.recv() for _ in range(50)]

        expected = [str(number) for number in range(50)]
        received = await asyncio.gather(
            receive(connection), receive(other), send(connection), send(other)
        )
        assert [expected, expected, None, None] == received
