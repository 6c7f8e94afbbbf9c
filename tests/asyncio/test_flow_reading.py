"""
Backpressure on the peer: what is read when nobody receives.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest

from tests.asyncio.harness import (
    both_sides,
    facing_raw_peer,
    settle,
    small_kernel_buffers,
)
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

# Far more than kernels buffer for a connection whose reader does not read.
MESSAGES = 200
MESSAGE_SIZE = 10_000


def many_messages(peer):
    """
    Return the bytes of numbered messages.
    """
    return b"".join(
        peer.frame("82", b"%010d" % number + bytes(MESSAGE_SIZE - 10))
        for number in range(MESSAGES)
    )


async def check_everything_arrives(connection, peer, rest):
    """
    Receive all messages while the peer sends the rest.
    """
    sending = asyncio.create_task(peer.send(rest))
    for number in range(MESSAGES):
        assert number == int((await connection.recv())[:10])
    await sending


@pytest.mark.parametrize(
    "max_queue", [1, 4, 16, (4, 2), (4, 0), (16, None), (0, 0), 0], ids=str
)
async def test_a_full_queue_stops_the_peer(side, max_queue):
    """
    Nobody receives: the peer cannot send everything. Then somebody does, and
    everything arrives.
    """
    async with facing_raw_peer(side, max_queue=max_queue) as (connection, peer):
        small_kernel_buffers(connection, peer)
        data = many_messages(peer)
        taken = await peer.send_until_stalled(data)

        assert taken < len(data)
        await check_everything_arrives(connection, peer, data[taken:])


async def test_fragments_count_as_frames(side):
    """
    A message in many fragments cannot be received before it is complete, so
    it does not stop the peer once somebody receives; before, it does.
    """
    async with facing_raw_peer(side, max_queue=4, max_size=None) as (connection, peer):
        small_kernel_buffers(connection, peer)
        fragment = peer.frame("00", b"x" * MESSAGE_SIZE)
        data = peer.frame("02") + fragment * MESSAGES + peer.frame("80")
        taken = await peer.send_until_stalled(data)
        sending = asyncio.create_task(peer.send(data[taken:]))

        assert taken < len(data)
        assert MESSAGES * MESSAGE_SIZE == len(await connection.recv())
        await sending


async def test_an_unbounded_queue_takes_everything(side):
    """
    `max_queue=None` never stops the peer.
    """
    async with facing_raw_peer(side, max_queue=None) as (connection, peer):
        data = many_messages(peer)
        taken = await peer.send_until_stalled(data)

        assert len(data) == taken
        await check_everything_arrives(connection, peer, b"")


async def test_a_streaming_receiver_makes_room(side):
    """
    `recv_streaming()` lets the peer go on with every fragment it takes.
    """
    async with facing_raw_peer(side, max_queue=2, max_size=None) as (connection, peer):
        fragment = peer.frame("00", b"x" * MESSAGE_SIZE)
        data = peer.frame("02") + fragment * MESSAGES + peer.frame("80")
        sending = asyncio.create_task(peer.send(data))
        sizes = [len(fragment) async for fragment in connection.recv_streaming()]
        await sending

        assert [0] + [MESSAGE_SIZE] * MESSAGES + [0] == sizes


async def test_stopping_and_going_on_many_times(side):
    """
    A slow receiver gets everything in order.
    """
    async with facing_raw_peer(side, max_queue=1) as (connection, peer):
        frames = [peer.frame("81", b"%d" % number) for number in range(300)]
        sending = asyncio.create_task(peer.send(b"".join(frames)))
        for number in range(300):
            assert str(number) == await connection.recv()
            if number % 7 == 0:
                await asyncio.sleep(0)
        await sending


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_peer_that_goes_while_it_is_stopped(side, end):
    """
    What was read can be received; then the end is told.
    """
    async with facing_raw_peer(side, max_queue=2) as (connection, peer):
        await peer.send(b"".join(peer.frame("81", b"%d" % i) for i in range(20)))
        await settle()
        getattr(peer, end)()
        received = []
        with pytest.raises(lib.ConnectionClosedError):
            while True:
                received.append(await connection.recv())

        assert [str(i) for i in range(20)][: len(received)] == received
        if end == "close":
            assert 20 == len(received)


@pytest.mark.ours
async def test_pings_are_answered_while_nobody_receives(side):
    """
    As far as the bytes are here: behind messages that fill the queue.
    """
    async with facing_raw_peer(side, max_queue=2) as (connection, peer):
        messages = [peer.frame("81", b"%d" % number) for number in range(10)]
        await peer.send(b"".join([*messages, peer.frame("89", b"?")]))

        assert RawFrame(0x8A, b"?") == await peer.read_frame()
        assert [str(number) for number in range(10)] == [
            await connection.recv() for _ in range(10)
        ]


@pytest.mark.ours
async def test_a_ping_behind_messages_is_answered_once(side):
    """
    Receiving these messages later does not answer it again.
    """
    async with facing_raw_peer(side, max_queue=2) as (connection, peer):
        messages = [peer.frame("81", b"%d" % number) for number in range(10)]
        await peer.send(b"".join([*messages, peer.frame("89", b"?")]))
        first = await peer.read_frame()
        for _ in range(10):
            await connection.recv()
        await connection.send("next")

        assert RawFrame(0x8A, b"?") == first
        assert RawFrame(0x81, b"next") == await peer.read_frame()


@pytest.mark.ours
async def test_pongs_count_while_nobody_receives(side):
    """
    A pong behind messages that fill the queue answers its ping.
    """
    async with facing_raw_peer(side, max_queue=2) as (connection, peer):
        pong = await connection.ping(b"?")
        messages = [peer.frame("81", b"%d" % number) for number in range(10)]
        await peer.send(b"".join([*messages, peer.frame("8a", b"?")]))

        assert 0 <= await pong


@pytest.mark.ours
async def test_the_keepalive_waits_for_a_receiver(side):
    """
    A pong that we did not read does not count as missing.
    """
    async with facing_raw_peer(
        side, max_queue=2, ping_interval=0.005, ping_timeout=0.005
    ) as (connection, peer):
        small_kernel_buffers(connection, peer)
        data = many_messages(peer)
        taken = await peer.send_until_stalled(data)
        for _ in range(20):
            await asyncio.sleep(0.002)
        state = connection.state

        assert taken < len(data)
        assert lib.State.OPEN is state


STALLING = """
    import asyncio, socketeer, sys
    from tests.asyncio.harness import facing_raw_peer, small_kernel_buffers

    async def main(side):
        async with facing_raw_peer(
            side, max_queue=2, ping_interval=0.005, ping_timeout=0.005
        ) as (connection, peer):
            small_kernel_buffers(connection, peer)
            await peer.send_until_stalled(peer.frame("82", bytes(10_000)) * 200)
            print(await peer.read_close())

    asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.ours
async def test_a_receiver_that_never_comes(side):
    """
    After STALL_TIMEOUT the connection ends with 1011.
    """
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", textwrap.dedent(STALLING), side],
        env={**os.environ, "SOCKETEER_STALL_TIMEOUT": "0.02"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "(1011, 'receive queue not read')\n" == result.stdout, result.stderr
