"""
A failure takes effect after what came before it.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

FAILURES = {
    "opcode": ("83", b"", 1002, "invalid opcode"),
    "masking": (None, b"", 1002, "incorrect masking"),
    "close code": ("88", b"\x00\x00", 1002, "invalid status code"),
    "too big": ("82 7f 0000000100000000", b"", 1009, None),
}

every_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)


def wrong_frame(peer, failure):
    """
    Return the bytes that fail the connection.
    """
    header, payload, _, _ = failure
    if header is None:
        return peer.wrongly_masked_frame("82", payload)
    return peer.frame(header, payload)


async def receive_until_the_end(connection, messages):
    """
    Keep what is received; raise what ends it.
    """
    while True:
        messages.append(await connection.recv())


@every_failure
async def test_messages_before_a_failure_are_received(side, failure):
    """
    Three messages and a wrong frame in one read: three messages, then the
    error.
    """
    messages = []
    async with facing_raw_peer(side) as (connection, peer):
        good = b"".join(peer.frame("81", b"%d" % i) for i in range(3))
        receiving = asyncio.create_task(receive_until_the_end(connection, messages))
        await peer.send(good + wrong_frame(peer, failure))
        code, reason = await peer.answer_close()
        with pytest.raises(lib.ConnectionClosedError):
            await receiving

        assert ["0", "1", "2"] == messages
        assert failure[2] == code
        assert failure[3] in {None, reason}


@pytest.mark.ours
@every_failure
async def test_answers_to_messages_before_a_failure_are_sent(side, failure):
    """
    The close frame leaves behind the answers to the messages before.
    """

    async def echo(connection):
        while True:
            await connection.send(f"re: {await connection.recv()}")

    async with facing_raw_peer(side) as (connection, peer):
        echoing = asyncio.create_task(echo(connection))
        good = b"".join(peer.frame("81", b"%d" % i) for i in range(3))
        await peer.send(good + wrong_frame(peer, failure))
        answers = [await peer.read_frame() for _ in range(3)]
        code, _ = await peer.answer_close()
        with pytest.raises(lib.ConnectionClosedError):
            await echoing

        assert [RawFrame(0x81, b"re: %d" % i) for i in range(3)] == answers
        assert failure[2] == code


@pytest.mark.ours
async def test_a_close_frame_behind_messages_is_answered_after_the_answers(side):
    """
    The same holds for an orderly end: who asks and closes in one packet gets
    the answers.
    """

    async def echo(connection):
        async for message in connection:
            await connection.send(f"re: {message}")

    async with facing_raw_peer(side) as (connection, peer):
        echoing = asyncio.create_task(echo(connection))
        await settle()
        await peer.send(peer.frame("81", b"ask") + peer.frame("88", b"\x03\xe8"))
        answer = await peer.read_frame()
        close = await peer.answer_close()
        await echoing

        assert RawFrame(0x81, b"re: ask") == answer
        assert (1000, "") == close


async def test_pings_before_a_failure_are_answered(side):
    """
    A pong for a ping that came before the wrong frame.
    """
    async with facing_raw_peer(side) as (_, peer):
        await peer.send(peer.frame("89", b"?") + peer.frame("83"))

        assert RawFrame(0x8A, b"?") == await peer.read_frame()
        assert (1002, "invalid opcode") == await peer.answer_close()


async def test_pongs_before_a_failure_count(side):
    """
    A pong that came before the wrong frame answers its ping.
    """
    async with facing_raw_peer(side) as (connection, peer):
        pong = await connection.ping(b"?")
        await peer.send(peer.frame("8a", b"?") + peer.frame("83"))
        await peer.answer_close()
        await connection.wait_closed()

        assert 0 <= await pong


@pytest.mark.ours
async def test_a_failure_behind_messages_nobody_receives(side):
    """
    It waits for the application at most `close_timeout`.
    """
    async with facing_raw_peer(side, close_timeout=0.01) as (connection, peer):
        await peer.send(peer.frame("81", b"unread") + peer.frame("83"))

        assert (1002, "invalid opcode") == await peer.answer_close()
        await connection.wait_closed()
        assert "unread" == await connection.recv()
        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()


async def test_the_end_of_tcp_behind_messages(side):
    """
    Messages and FIN in one read: the messages first.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(peer.frame("81", b"one") + peer.frame("81", b"two"))
        peer.half_close()

        assert ["one", "two"] == [await connection.recv(), await connection.recv()]
        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()
