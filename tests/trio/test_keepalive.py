"""
Pings on trio: those of the keepalive, and those of the program.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from socketeer.exceptions import ConcurrencyError, ConnectionClosedError, ProtocolError
from tests.asyncio.raw import RawFrame
from tests.trio.harness import both_sides, facing_raw_peer


@both_sides
async def test_keeps_alive(side):
    """
    A ping every ``ping_interval`` seconds, as long as pongs come.
    """
    async with facing_raw_peer(side, ping_interval=20, ping_timeout=5) as (
        connection,
        peer,
    ):
        for number in range(1, 6):
            frame = await peer.read_frame()
            assert (0x89, 20 * number) == (frame.head, trio.current_time())
            await peer.send_frame("8a", frame.payload)

        assert "OPEN" == connection.state.name


@both_sides
async def test_fails_without_a_pong(side):
    """
    The peer has ``ping_timeout`` seconds.
    """
    async with facing_raw_peer(side, ping_interval=20, ping_timeout=5) as (
        connection,
        peer,
    ):
        assert (1011, "keepalive ping timeout") == await peer.read_close()
        assert 25 == trio.current_time()
        await peer.stream.aclose()
        with pytest.raises(ConnectionClosedError, match="keepalive ping timeout"):
            await connection.recv()


@both_sides
async def test_pings_for_ever_without_a_timeout(side):
    """
    ``ping_timeout=None`` keeps a connection busy and never fails it.
    """
    async with facing_raw_peer(side, ping_interval=20, ping_timeout=None) as (
        connection,
        peer,
    ):
        for _ in range(5):
            assert 0x89 == (await peer.read_frame()).head

        assert "OPEN" == connection.state.name


@both_sides
async def test_a_slow_program_is_no_dead_peer(side):
    """
    While the queue is full, the pong may be among what was not read; but a
    connection from which nobody ever receives ends.
    """
    async with facing_raw_peer(
        side,
        ping_interval=20,
        ping_timeout=5,
        max_queue=2,
        make_pair=trio.testing.lockstep_stream_pair,
    ) as (connection, peer):

        async def flood():
            for _ in range(3):
                await peer.send_frame("81", b"x")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            assert (1011, "receive queue not read") == await peer.read_close()
            assert 600 <= trio.current_time() <= 650
            await peer.stream.aclose()
            await connection.wait_closed()


@both_sides
async def test_a_peer_that_is_gone_while_nobody_receives(side):
    """
    It has left with our ping unanswered, and nobody reads, as the queue is full: the
    next ping finds out, which is not as late as the end of a program's patience.
    """
    async with facing_raw_peer(side, ping_interval=20, ping_timeout=5, max_queue=2) as (
        connection,
        peer,
    ):
        for _ in range(3):
            await peer.send_frame("81", b"x")
        assert 0x89 == (await peer.read_frame()).head
        begin = trio.current_time()
        await peer.stream.aclose()
        await connection.wait_closed()

        assert trio.current_time() - begin < 10


@both_sides
async def test_ping_tells_of_the_pong(side):
    """
    The event is set, and the round-trip time is known. A pong answers for the
    pings before its own.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = await connection.ping(b"first")
        second = await connection.ping("second")
        third = await connection.ping()
        assert 0 == connection.latency
        await trio.sleep(3)
        await peer.send_frame("8a", b"second")
        await second.wait()

        assert first.is_set()
        assert not third.is_set()
        assert 3 == connection.latency
        frames = [await peer.read_frame() for _ in range(3)]
        assert [RawFrame(0x89, b"first"), RawFrame(0x89, b"second")] == frames[:2]
        assert 4 == len(frames[2].payload)


@both_sides
async def test_ping_may_be_acknowledged_by_the_end(side):
    """
    With ``ack_on_close``, whoever waits is released when no pong will come.
    """
    async with facing_raw_peer(side) as (connection, peer):
        patient = await connection.ping()
        released = await connection.ping(ack_on_close=True)
        await peer.stream.aclose()
        await released.wait()

        assert not patient.is_set()


@both_sides
async def test_ping_refuses(side):
    """
    The payload of a ping that waits, one that is too long, and what is no payload.
    """
    async with facing_raw_peer(side) as (connection, _):
        await connection.ping(b"x")
        with pytest.raises(ConcurrencyError, match="same data"):
            await connection.ping("x")
        with pytest.raises(ProtocolError):
            await connection.ping(b"x" * 126)
        with pytest.raises(ProtocolError):
            await connection.pong(b"x" * 126)
        with pytest.raises(TypeError):
            await connection.ping(1)
        with pytest.raises(TypeError):
            await connection.pong(None)

        assert "OPEN" == connection.state.name


@both_sides
async def test_pong_is_sent_unasked(side):
    """
    As a heartbeat in one direction (RFC 6455, 5.5.3).
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.pong("♥")

        assert RawFrame(0x8A, "♥".encode()) == await peer.read_frame()


@both_sides
async def test_only_the_last_ping_is_answered_by_a_congested_end(side):
    """
    While nothing can be written, answers do not pile up (RFC 6455, 5.5.3).
    """
    async with facing_raw_peer(side, make_pair=lambda: _pair(side)) as (
        connection,
        peer,
    ):
        with trio.move_on_after(1):
            await connection.send(b"x" * 100_000)
        for number in range(100):
            await peer.send_frame("89", b"%d" % number)
        await wait_all_tasks_blocked()

        assert 0x82 == (await peer.read_frame()).head
        assert RawFrame(0x8A, b"99") == await peer.read_frame()


def _pair(side):
    """
    Return two ends of a stream: what the side sends waits for its peer to read.
    """
    to_peer, from_us = trio.testing.lockstep_stream_one_way_pair()
    to_us, from_peer = trio.testing.memory_stream_one_way_pair()
    ends = trio.StapledStream(to_peer, from_peer), trio.StapledStream(to_us, from_us)
    return ends if side == "client" else ends[::-1]
