"""
One busy connection does not starve the rest of the program.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


@contextlib.asynccontextmanager
async def counting_turns():
    """
    Count the turns of the loop that other tasks get.
    """
    turns = [0]

    async def count():
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    await asyncio.sleep(0)
    try:
        yield turns
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def consuming(peer):
    """
    Read whatever the connection sends.
    """
    task = asyncio.create_task(peer.read_rest())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.ours
async def test_receiving_lets_others_run(side):
    """
    Twenty thousand messages that are all there do not take one turn.
    """
    count = 20_000
    async with facing_raw_peer(side, max_queue=None) as (connection, peer):
        await peer.send_until_stalled(peer.frame("82", b"x") * count)
        await settle()
        async with counting_turns() as turns:
            for _ in range(count):
                await connection.recv()

            assert turns[0] >= 4


@pytest.mark.ours
async def test_iterating_lets_others_run(side):
    """
    The same for `async for`.
    """
    count = 20_000
    async with facing_raw_peer(side, max_queue=None) as (connection, peer):
        await peer.send_until_stalled(peer.frame("82", b"x") * count)
        peer.half_close()
        await settle()
        async with counting_turns() as turns:
            with pytest.raises(lib.ConnectionClosedError):
                async for _ in connection:
                    pass

            assert turns[0] >= 4


@pytest.mark.ours
async def test_a_timeout_fires_in_a_flood_of_messages(side):
    """
    `asyncio.timeout()` around a loop of `recv()` ends it while messages are
    still there.
    """
    async with facing_raw_peer(side, max_queue=None) as (connection, peer):
        await peer.send_until_stalled(peer.frame("82", b"x") * 50_000)
        await settle()
        received = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                while True:
                    await connection.recv()
                    received += 1

        assert received < 50_000


async def test_a_timeout_fires_in_a_flood_with_a_bounded_queue(side):
    """
    With the default queue, too, while the peer keeps sending.
    """
    async with facing_raw_peer(side) as (connection, peer):
        flood = peer.frame("82", b"x") * 100_000
        sending = asyncio.create_task(peer.send(flood))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                while True:
                    await connection.recv()
        sending.cancel()
        await asyncio.wait([sending])


@pytest.mark.ours
@pytest.mark.parametrize(
    "message",
    [b"x", "x", bytearray(b"x"), [b"x"]],
    ids=["bytes", "str", "bytearray", "list"],
)
async def test_sending_lets_others_run(side, message):
    """
    A firehose of small messages to a peer that reads does not take one turn.
    """
    async with facing_raw_peer(side) as (connection, peer), consuming(peer):
        async with counting_turns() as turns:
            for _ in range(5_000):
                await connection.send(message)

            assert turns[0] >= 4


@pytest.mark.ours
async def test_a_timeout_fires_in_a_firehose(side):
    """
    `asyncio.timeout()` around a loop of `send()` ends it.
    """
    async with facing_raw_peer(side) as (connection, peer), consuming(peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                while True:
                    await connection.send(b"x")

        assert lib.State.OPEN is connection.state


@pytest.mark.ours
async def test_a_firehose_does_not_starve_another_connection(side):
    """
    While one connection sends without end, an echo on another one goes on.
    """

    async def firehose():
        while True:
            await busy.send(b"x" * 100)

    async with (
        facing_raw_peer(side) as (busy, peer),
        consuming(peer),
        linked(side) as (connection, other),
    ):
        sending = asyncio.create_task(firehose())
        for number in range(20):
            await connection.send(str(number))
            assert str(number) == await other.recv()
        sending.cancel()
        await asyncio.wait([sending])

        assert sending.cancelled()


@pytest.mark.ours
async def test_fragments_let_others_run(side):
    """
    An endless iterable lets timers fire.
    """
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b"x"

    async with facing_raw_peer(side) as (connection, peer), consuming(peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await connection.send(endless())

        assert sent < 50_000


async def test_an_echo_of_a_flood_lets_others_run(side):
    """
    A handler that answers a flood lets timers fire.
    """

    async def echo():
        async for message in connection:
            await connection.send(message)

    async with facing_raw_peer(side) as (connection, peer), consuming(peer):
        sending = asyncio.create_task(peer.send(peer.frame("82", b"x") * 50_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await echo()
        sending.cancel()
        await asyncio.wait([sending])


# In time


async def test_the_first_message_leaves_at_once(side):
    """
    What was sent is with the kernel before the task does anything else, so
    that a long computation afterwards does not delay it.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send("at once")

        assert peer.sock.recv(100)


async def test_an_answer_leaves_at_once(side):
    """
    Also when the message is the answer of a task that was just woken.
    """

    async def answer():
        await connection.recv()
        await connection.send("answer")
        return peer.sock.recv(100)

    async with facing_raw_peer(side) as (connection, peer):
        answering = asyncio.create_task(answer())
        await settle()
        await peer.send_frame("81", b"question")

        assert await answering


async def test_a_message_before_a_pause_leaves(side):
    """
    Several messages leave as soon as the task waits for anything.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for number in range(5):
            await connection.send(str(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting = peer.sock.recv(1000)

        frame_size = 3 if side == "server" else 7
        assert 5 * frame_size == len(waiting)
