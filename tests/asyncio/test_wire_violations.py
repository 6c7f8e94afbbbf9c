"""
What a peer may not send (RFC 6455, 5), and what it gets for it.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer
from tests.asyncio.raw import RawFrame, close_payload
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

LONG = b"\x03\xe8" + b"x" * 124  # too long by a byte for a control frame

# Name, frames (header in hex, payload), reason of the close frame (1002).
VIOLATIONS = [
    *(
        (f"opcode {opcode}", [(opcode, b"")], "invalid opcode")
        for opcode in ("83", "84", "87", "8b", "8f", "03", "0b", "f3")
    ),
    *(
        (f"reserved bits {head}", [(head, b"")], "reserved bits must be 0")
        for head in ("c1", "a1", "91", "f2", "c9", "aa", "98")
    ),
    ("ping too long", [("89 7e 00 7e", LONG)], "control frame too long"),
    ("pong too long", [("8a 7e 00 7e", LONG)], "control frame too long"),
    ("close too long", [("88 7e 00 7e", LONG)], "control frame too long"),
    ("ping of 256 bytes", [("89 7e 01 00", b"x" * 256)], "control frame too long"),
    ("fragmented ping", [("09", b"x")], "fragmented control frame"),
    ("fragmented pong", [("0a", b"")], "fragmented control frame"),
    ("fragmented close", [("08", b"\x03\xe8")], "fragmented control frame"),
    ("final continuation", [("80", b"x")], "unexpected continuation frame"),
    ("continuation", [("00", b"")], "unexpected continuation frame"),
    (
        "continuation after a message",
        [("01", b"a"), ("80", b"b"), ("80", b"c")],
        "unexpected continuation frame",
    ),
    ("text in text", [("01", b"a"), ("81", b"b")], "expected a continuation frame"),
    ("binary in text", [("01", b"a"), ("02", b"b")], "expected a continuation frame"),
    ("text in binary", [("02", b"a"), ("81", b"b")], "expected a continuation frame"),
    ("close payload of a byte", [("88", b"\x03")], "close frame too short"),
    *(
        (f"close code {code}", [("88", close_payload(code))], "invalid status code")
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65_535]
    ),
]

every_violation = pytest.mark.parametrize(
    ("frames", "reason"),
    [pytest.param(frames, reason, id=name) for name, frames, reason in VIOLATIONS],
)


async def check_failure(connection, peer, code, reason):
    """
    Check the close frame, the end of TCP, and what a receiver is told.
    """
    receiving = asyncio.create_task(receive_all(connection))
    assert (code, reason) == await peer.answer_close()
    with pytest.raises(lib.ConnectionClosedError) as raised:
        await receiving
    assert None is raised.value.rcvd
    assert lib.Close(code, reason) == raised.value.sent
    assert 1006 == connection.close_code


async def receive_all(connection):
    """
    Receive until the end, which raises.
    """
    while True:
        await connection.recv()


@every_violation
async def test_a_violation_is_answered_with_1002(side, frames, reason):
    """
    The connection fails with the code and the reason of this violation.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(b"".join(peer.frame(*frame) for frame in frames))

        await check_failure(connection, peer, 1002, reason)


@every_violation
async def test_a_violation_split_at_every_byte(side, frames, reason):
    """
    It makes no difference how the bytes are cut into reads.
    """
    data = None
    at = 1
    while data is None or at < min(len(data), 40):
        async with facing_raw_peer(side) as (connection, peer):
            data = b"".join(peer.frame(*frame) for frame in frames)
            await peer.send_split(data, at)

            await check_failure(connection, peer, 1002, reason)
        at += 1


@pytest.mark.parametrize("head", ["81", "82", "89", "8a", "88", "01"])
@pytest.mark.parametrize("payload", [b"", b"xyz"])
async def test_masking_by_the_wrong_role(side, head, payload):
    """
    "The server MUST close the connection upon receiving a frame that is not
    masked", and a client one that is (RFC 6455, 5.1).
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(peer.wrongly_masked_frame(head, payload))

        await check_failure(connection, peer, 1002, "incorrect masking")


async def test_the_cause_is_told(side):
    """
    The exception's `__cause__` is a `ProtocolError` with the reason.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("83")
        receiving = asyncio.create_task(connection.recv())
        await peer.answer_close()
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await receiving

        assert isinstance(raised.value.__cause__, lib.ProtocolError)
        assert "invalid opcode" == str(raised.value.__cause__)
        assert (
            "sent 1002 (protocol error) invalid opcode; no close frame received"
        ) == str(raised.value)


async def test_nothing_is_received_after_a_violation(side):
    """
    What follows the wrong frame is not looked at.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(peer.frame("83") + peer.frame("81", b"after"))
        await peer.answer_close()

        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()


async def test_nothing_can_be_sent_after_a_violation(side):
    """
    A failed connection sends its close frame and nothing more.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("83")
        await peer.read_close()
        sending = asyncio.create_task(connection.send("late"))
        await peer.read_rest() if side == "server" else None
        peer.close()

        with pytest.raises(lib.ConnectionClosedError):
            await sending


# Length fields


@pytest.mark.parametrize(
    "field", ["7e 00 05", "7f 0000000000000005"], ids=["16 bits", "64 bits"]
)
@pytest.mark.parametrize("head", ["81", "82"])
async def test_longer_length_fields_are_accepted(side, head, field):
    """
    "The minimal number of bytes MUST be used" (RFC 6455, 5.2) by senders;
    what it means is clear nevertheless.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame(f"{head} {field}", b"Hello")

        assert b"Hello" == await connection.recv(decode=False)


@pytest.mark.ours
@pytest.mark.parametrize("payload", ["8000000000000000", "8000000000000005"])
@pytest.mark.parametrize("max_size", [2**20, None])
async def test_the_top_bit_of_a_64_bit_length(side, payload, max_size):
    """
    "The most significant bit MUST be 0" (RFC 6455, 5.2), whatever the limit.
    """
    async with facing_raw_peer(side, max_size=max_size) as (connection, peer):
        await peer.send_frame(f"82 7f {payload}")

        await check_failure(
            connection,
            peer,
            1002,
            "payload length has its most significant bit set",
        )


@pytest.mark.ours
async def test_all_bits_of_a_64_bit_length(side):
    """
    2**64 - 1 is not taken for -1.
    """
    async with facing_raw_peer(side, max_size=None) as (connection, peer):
        await peer.send_frame("82 7f ffffffffffffffff", b"x")

        await check_failure(
            connection,
            peer,
            1002,
            "payload length has its most significant bit set",
        )


@pytest.mark.ours
@pytest.mark.parametrize("header", ["89 7e 00 7e", "8a 7f 0000000000010000"])
async def test_the_header_of_a_long_control_frame_is_enough(side, header):
    """
    Nothing of its payload is waited for.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame(header)

        await check_failure(connection, peer, 1002, "control frame too long")


# Closing


async def test_a_close_code_of_the_users_is_echoed(side):
    """
    Codes in 3000 to 4999 and later registrations are valid.
    """
    for code in (1014, 3000, 3456, 4999):
        async with facing_raw_peer(side) as (_, peer):
            assert (code, "") == await peer.close_with(code)


@pytest.mark.ours
async def test_a_close_within_a_fragmented_message(side):
    """
    Control frames may come between fragments (RFC 6455, 5.4), also this one;
    the incomplete message is dropped.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"incomplete")

        assert (1000, "bye") == await peer.close_with(1000, "bye")
        with pytest.raises(lib.ConnectionClosedOK):
            await connection.recv()


async def test_every_control_frame_of_125_bytes_is_valid(side):
    """
    The limit itself is allowed.
    """
    async with facing_raw_peer(side) as (_, peer):
        await peer.send_frame("8a 7d", b"x" * 125)
        await peer.send_frame("89 7d", b"y" * 125)

        assert RawFrame(0x8A, b"y" * 125) == await peer.read_frame()
        assert (1000, "z" * 123) == await peer.close_with(1000, "z" * 123)
