"""
ping_interval and ping_timeout: pings in the background and what they measure.
"""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

NEVER = 1000  # seconds


async def test_pings_leave_at_intervals(side):
    """
    Each carries four random bytes, so that its pong can be told.
    """
    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=NEVER) as (
        _,
        peer,
    ):
        frames = []
        for _ in range(3):
            frames.append(await peer.read_frame())
            await peer.send_frame("8a", frames[-1].payload)

        assert [0x89] * 3 == [frame.head for frame in frames]
        assert [4] * 3 == [len(frame.payload) for frame in frames]
        assert 3 == len({frame.payload for frame in frames})


async def test_the_first_ping_waits_an_interval(side):
    """
    Opening a connection is proof enough that the peer is alive.
    """
    async with facing_raw_peer(side, ping_interval=NEVER) as (connection, peer):
        await settle()
        await connection.send("first")

        assert RawFrame(0x81, b"first") == await peer.read_frame()


async def test_a_missing_pong_fails_the_connection(side):
    """
    1011 with a fixed reason; receivers learn it.
    """
    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=0.005) as (
        connection,
        peer,
    ):
        receiving = asyncio.create_task(connection.recv())
        assert (1011, "keepalive ping timeout") == await peer.answer_close()
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await receiving

        assert (
            "sent 1011 (internal error) keepalive ping timeout; no close frame received"
        ) == str(raised.value)
        assert 1006 == connection.close_code


async def test_the_close_that_a_missing_pong_caused_has_a_deadline(side):
    """
    A dead peer answers no close frame either: aborted at `close_timeout`.
    """
    async with facing_raw_peer(
        side, ping_interval=0.005, ping_timeout=0.005, close_timeout=0.005
    ) as (connection, _):
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()

        assert lib.Close(1011, "keepalive ping timeout") == raised.value.sent


async def test_pongs_keep_the_connection(side):
    """
    A peer that answers stays connected, however short the times.
    """
    async with facing_raw_peer(side, ping_interval=0.002, ping_timeout=0.05) as (
        connection,
        peer,
    ):
        for _ in range(10):
            await peer.send_frame("8a", (await peer.read_frame()).payload)

        assert lib.State.OPEN is connection.state


async def test_only_the_right_pong_counts(side):
    """
    Messages and other pongs do not answer a ping.
    """
    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=0.01) as (
        connection,
        peer,
    ):
        receiving = asyncio.create_task(connection.recv())
        await peer.read_frame()
        await peer.send_frame("8a", b"")
        await peer.send_frame("8a", b"nope")
        await peer.send_frame("81", b"message")

        assert (1011, "keepalive ping timeout") == await peer.answer_close()
        assert "message" == await receiving


async def test_no_ping_timeout(side):
    """
    `ping_timeout=None` goes on pinging and never fails: it keeps proxies from
    closing the connection.
    """
    async with facing_raw_peer(side, ping_interval=0.002, ping_timeout=None) as (
        connection,
        peer,
    ):
        heads = [(await peer.read_frame()).head for _ in range(5)]

        assert [0x89] * 5 == heads
        assert lib.State.OPEN is connection.state


async def test_no_ping_interval(side):
    """
    `ping_interval=None` sends none, whatever the timeout.
    """
    async with facing_raw_peer(side, ping_interval=None, ping_timeout=0.001) as (
        connection,
        peer,
    ):
        await settle()
        await settle()
        await connection.send("first")

        assert RawFrame(0x81, b"first") == await peer.read_frame()


async def test_the_latency_is_measured(side):
    """
    The keepalive's pongs update `latency`.
    """
    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=NEVER) as (
        connection,
        peer,
    ):
        payload = (await peer.read_frame()).payload
        before = connection.latency
        await asyncio.sleep(0.01)
        await peer.send_frame("8a", payload)
        await peer.read_frame()

        assert 0.0 == before
        # uvloop's clock has a resolution of 1 ms.
        assert connection.latency > 0.007


async def test_pings_of_the_users_do_not_disturb(side):
    """
    `ping()` and the keepalive share the connection.
    """
    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=NEVER) as (
        connection,
        peer,
    ):
        pong = await connection.ping(b"mine")
        payloads = []
        while len(payloads) < 3:
            payloads.append((await peer.read_frame()).payload)
            await peer.send_frame("8a", payloads[-1])

        assert b"mine" == payloads[0]
        assert 0 <= await pong


async def test_the_keepalive_ends_with_the_connection(side):
    """
    After the end nothing is sent, waits or is logged.
    """
    async with facing_raw_peer(side, ping_interval=0.002, ping_timeout=0.002) as (
        connection,
        peer,
    ):
        await peer.close_with(1000)
        await connection.wait_closed()
        await settle()

        assert 1000 == connection.close_code


async def test_no_pings_while_closing(side):
    """
    After a close frame no other frame leaves (RFC 6455, 5.5.1).
    """
    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=NEVER) as (
        connection,
        peer,
    ):
        closing = asyncio.create_task(connection.close())
        await peer.read_close()
        await asyncio.sleep(0.02)
        await peer.send_close(1000)
        peer.half_close()
        rest = await peer.read_rest()
        peer.close()
        await closing

        assert b"" == rest


async def test_a_keepalive_timeout_is_not_logged_as_an_error(side, caplog):
    """
    A peer that went away is no error of this program.
    """
    async with facing_raw_peer(side, ping_interval=0.002, ping_timeout=0.002) as (
        connection,
        peer,
    ):
        await peer.answer_close()
        await connection.wait_closed()

    assert [] == [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_a_keepalive_on_both_ends(side):
    """
    Both ends may ping each other.
    """
    options = {"ping_interval": 0.002, "ping_timeout": 0.5}
    async with linked(side, peer_options=options, **options) as (connection, other):
        await asyncio.sleep(0.03)
        await connection.send("still here")

        assert "still here" == await other.recv()


async def test_the_keepalive_works_while_a_message_is_received(side):
    """
    Pings and pongs pass between the fragments of a long message.
    """
    async with facing_raw_peer(side, ping_interval=0.002, ping_timeout=0.5) as (
        connection,
        peer,
    ):
        await peer.send_frame("01", b"begun ")
        for _ in range(3):
            await peer.send_frame("8a", (await peer.read_frame()).payload)
        await peer.send_frame("80", b"and ended")

        assert "begun and ended" == await connection.recv()


async def test_the_keepalive_works_while_a_message_is_sent(side):
    """
    Pings leave between the fragments of a long message.
    """

    async def slowly():
        yield "begun "
        await asyncio.sleep(0.02)
        yield "and ended"

    async with facing_raw_peer(side, ping_interval=0.005, ping_timeout=NEVER) as (
        connection,
        peer,
    ):
        sending = asyncio.create_task(connection.send(slowly()))
        heads = []
        while 0x80 not in heads:
            heads.append((await peer.read_frame()).head)
        await sending

        assert 0x01 == heads[0]
        assert 0x89 in heads


@pytest.mark.ours
async def test_a_blocked_loop_is_not_a_dead_peer(side):
    """
    What has arrived while nothing could run is read before a deadline counts, even
    if it takes more than one read.
    """
    options = {"ping_interval": 0.02, "ping_timeout": 0.1}
    async with facing_raw_peer(side, **options) as (connection, peer):
        for _ in range(2):
            ping = await peer.read_frame()
            assert 0x89 == ping.head
            pongs = peer.frame("8a", bytes(125)) * 600
            # The kernel has room for all of it.
            assert len(pongs) == peer.sock.send(pongs)
            peer.sock.send(peer.frame("8a", ping.payload))
            time.sleep(0.25)  # noqa: ASYNC251 - what this is about

        assert lib.State.OPEN is connection.state
