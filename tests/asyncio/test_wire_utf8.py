"""
Text is UTF-8 (RFC 6455, 8.1), however it is cut into frames and reads.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, settle
from tests.under_test import OURS, lib

pytestmark = [pytest.mark.anyio, both_sides]

TEXT = "κόσμε €uro 😀 \x00\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U0010ffff"
PAYLOAD = TEXT.encode()

INVALID = [
    (b"\xff", "invalid start byte at position 0"),
    (b"ab\x80", "invalid start byte at position 2"),
    (b"\xc0\x80", "invalid start byte at position 0"),
    (b"\xf8\x88\x80\x80\x80", "invalid start byte at position 0"),
    (b"\xe0\x80\x80", "invalid continuation byte at position 0"),
    (b"\xed\xa0\x80", "invalid continuation byte at position 0"),
    (b"a\xe2\x28\xa1", "invalid continuation byte at position 1"),
    (b"\xf4\x90\x80\x80", "invalid continuation byte at position 0"),
    (b"ab\xc3", "unexpected end of data at position 2"),
    (b"\xf0\x9f\x98", "unexpected end of data at position 0"),
]

every_invalid_text = pytest.mark.parametrize(
    ("payload", "reason"), INVALID, ids=[payload.hex() for payload, _ in INVALID]
)


def reason_of(text):
    """
    Return the close reason: an exception's text there, a fixed phrase here.
    """
    return "invalid UTF-8" if OURS else text


async def check_failure(connection, peer, reason):
    """
    Check the close frame and what a receiver is told.
    """
    receiving = asyncio.create_task(connection.recv())
    assert (1007, reason_of(reason)) == await peer.answer_close()
    with pytest.raises(lib.ConnectionClosedError) as raised:
        await receiving
    assert 1007 == raised.value.sent.code
    assert isinstance(raised.value.__cause__, UnicodeDecodeError)


# Valid


@pytest.mark.parametrize("at", range(1, len(PAYLOAD)))
async def test_a_character_split_over_frames(side, at):
    """
    Fragments need not end where characters end (RFC 6455, 5.6).
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", PAYLOAD[:at])
        await peer.send_frame("80", PAYLOAD[at:])

        assert TEXT == await connection.recv()


async def test_a_character_split_over_reads(side):
    """
    Reads need not end where characters end, wherever they do.
    """
    async with facing_raw_peer(side) as (connection, peer):
        frame = peer.frame("81", PAYLOAD)
        for at in range(1, len(frame)):
            await peer.send_split(frame, at)

            assert TEXT == await connection.recv()


async def test_a_byte_per_frame(side):
    """
    Every byte in a frame of its own, with pings between them.
    """
    async with facing_raw_peer(side, max_queue=None) as (connection, peer):
        await peer.send_frame("01")
        for byte in PAYLOAD:
            await peer.send_frame("00", bytes([byte]))
            await peer.send_frame("89", b"?")
        await peer.send_frame("80")

        assert TEXT == await connection.recv()


async def test_a_streaming_receiver_gets_whole_characters(side):
    """
    `recv_streaming()` keeps an incomplete character for the next fragment.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for at in range(1, len(PAYLOAD)):
            await peer.send_frame("01", PAYLOAD[:at])
            await peer.send_frame("80", PAYLOAD[at:])
            fragments = [item async for item in connection.recv_streaming()]

            assert 2 == len(fragments)
            assert TEXT == "".join(fragments)


# Invalid


@every_invalid_text
async def test_invalid_text_in_one_frame(side, payload, reason):
    """
    The connection fails with 1007.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", payload)

        await check_failure(connection, peer, reason)


@every_invalid_text
async def test_invalid_text_in_two_frames(side, payload, reason):
    """
    The same, wherever it is cut.
    """
    for at in range(len(payload) + 1):
        async with facing_raw_peer(side) as (connection, peer):
            await peer.send_frame("01", payload[:at])
            await peer.send_frame("80", payload[at:])

            await check_failure(connection, peer, reason)


@every_invalid_text
async def test_invalid_text_split_over_reads(side, payload, reason):
    """
    The same, wherever reads end.
    """
    for at in range(1, len(payload) + 2):
        async with facing_raw_peer(side) as (connection, peer):
            await peer.send_split(peer.frame("81", payload), at)

            await check_failure(connection, peer, reason)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (b"\xff", "invalid start byte at position 0"),
        (b"ab\xc3", "unexpected end of data at position 2"),
        (b"ab\xed\xa0\x80", "invalid continuation byte at position 2"),
    ],
    ids=["start", "end", "surrogate"],
)
async def test_a_close_reason_that_is_not_utf8(side, reason, text):
    """
    The close reason is text, too (RFC 6455, 5.5.1).
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("88", b"\x03\xe8" + reason)

        await check_failure(connection, peer, text)


async def test_binary_need_not_be_utf8(side):
    """
    Binary messages are bytes.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for payload, _ in INVALID:
            await peer.send_frame("82", payload)

            assert payload == await connection.recv()


@every_invalid_text
async def test_binary_decoded_on_request(side, payload, reason):
    """
    `recv(decode=True)` of a binary message that is no UTF-8 fails the
    connection as well: whoever asks for text agreed on text.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("82", payload)
        receiving = asyncio.create_task(connection.recv(decode=True))
        assert (1007, reason_of(reason)) == await peer.answer_close()

        with pytest.raises(lib.ConnectionClosedError):
            await receiving


# At once


@pytest.mark.ours
async def test_nobody_has_to_receive(side):
    """
    Invalid text fails the connection when it arrives.
    """
    async with facing_raw_peer(side) as (_, peer):
        await peer.send_frame("81", b"\xff")

        assert (1007, "invalid UTF-8") == await peer.answer_close()


@pytest.mark.ours
@pytest.mark.parametrize("before", [b"", b"ascii ", "κόσμε ".encode()])
async def test_a_bad_byte_fails_before_its_frame_is_complete(side, before):
    """
    A bad byte in a frame of which more is to come fails the connection.
    """
    async with facing_raw_peer(side) as (_, peer):
        payload = before + b"\xff" + b"x" * 2000
        frame = peer.frame("81", payload)
        await peer.send(frame[: -(len(payload) - len(before) - 1)])

        assert (1007, "invalid UTF-8") == await peer.answer_close()


@pytest.mark.ours
@pytest.mark.parametrize("cut", [b"\xe2\x82", b"\xf0\x9f"])
async def test_a_character_that_cannot_be_completed_fails_at_once(side, cut):
    """
    A character begun in one fragment and spoiled by the next.
    """
    async with facing_raw_peer(side) as (_, peer):
        await peer.send_frame("01", b"good " + cut)
        await settle()
        await peer.send_frame("00", b"(")

        assert (1007, "invalid UTF-8") == await peer.answer_close()


@pytest.mark.ours
async def test_a_first_fragment_fails_before_the_last(side):
    """
    The rest of the message is not waited for.
    """
    async with facing_raw_peer(side) as (_, peer):
        await peer.send_frame("01", b"bad \xc0")

        assert (1007, "invalid UTF-8") == await peer.answer_close()


@pytest.mark.ours
async def test_bytes_of_a_text_message_are_checked(side):
    """
    `recv(decode=False)` saves the decoding, not the check.
    """
    async with facing_raw_peer(side) as (connection, peer):
        receiving = asyncio.create_task(connection.recv(decode=False))
        await peer.send_frame("81", b"\xff")
        assert (1007, "invalid UTF-8") == await peer.answer_close()

        with pytest.raises(lib.ConnectionClosedError):
            await receiving
