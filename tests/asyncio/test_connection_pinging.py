"""
ping() and pong(), and the answers to the peer's pings.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, settle
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


async def test_ping_returns_a_future_of_the_latency(side):
    """
    The future is pending until the pong comes; its result is in seconds and
    becomes the connection's latency.
    """
    async with facing_raw_peer(side) as (connection, peer):
        pong = await connection.ping(b"?")
        await asyncio.sleep(0.005)
        pending = not pong.done()
        await peer.send_frame("8a", (await peer.read_frame()).payload)
        latency = await pong

        assert isinstance(pong, asyncio.Future)
        assert pending
        assert float is type(latency)
        assert latency > 0.001
        assert latency == connection.latency


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"\x00\xff", b"\x00\xff"),
        ("caf\u00e9", b"caf\xc3\xa9"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"a.b.")[::2], b"ab"),
        (b"", b""),
        (b"x" * 125, b"x" * 125),
    ],
    ids=["bytes", "str", "bytearray", "memoryview", "empty", "longest"],
)
@pytest.mark.parametrize(("method", "head"), [("ping", 0x89), ("pong", 0x8A)])
async def test_control_frames_carry_data(side, data, payload, method, head):
    """
    Text is encoded, bytes-like objects are sent as they are.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await getattr(connection, method)(data)

        assert RawFrame(head, payload) == await peer.read_frame()


@pytest.mark.parametrize("method", ["ping", "pong"])
async def test_control_frames_refuse_what_does_not_fit(side, method):
    """
    Other types and more than 125 bytes send nothing and do no harm.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(TypeError, match="^data must be str or bytes-like$"):
            await getattr(connection, method)(5)
        with pytest.raises(lib.ProtocolError, match="^control frame too long$"):
            await getattr(connection, method)(b"x" * 126)
        await connection.send("next")

        assert RawFrame(0x81, b"next") == await peer.read_frame()


async def test_a_ping_without_data_is_random(side):
    """
    Four random bytes tell pings apart.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for _ in range(8):
            await connection.ping()
        payloads = [(await peer.read_frame()).payload for _ in range(8)]

        assert {4} == {len(payload) for payload in payloads}
        assert 8 == len(set(payloads))


async def test_a_pong_without_data_is_empty(side):
    """
    `pong()` sends an unsolicited pong (RFC 6455, 5.5.3).
    """
    async with facing_raw_peer(side) as (connection, peer):
        assert None is await connection.pong()
        assert RawFrame(0x8A, b"") == await peer.read_frame()


@pytest.mark.parametrize("payload", [b"", b"?", b"x" * 125])
async def test_pings_are_answered_with_their_payload(side, payload):
    """
    "Identical Application data" (RFC 6455, 5.5.3), without anybody receiving.
    """
    async with facing_raw_peer(side) as (_, peer):
        await peer.send_frame("89", payload)

        assert RawFrame(0x8A, payload) == await peer.read_frame()


async def test_pings_are_not_messages(side):
    """
    `recv()` never sees pings and pongs.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("89", b"?")
        await peer.send_frame("8a", b"!")
        await peer.send_frame("81", b"message")

        assert "message" == await connection.recv()


async def test_a_later_pong_acknowledges_earlier_pings(side):
    """
    The peer may answer only the latest ping (RFC 6455, 5.5.3).
    """
    async with facing_raw_peer(side) as (connection, peer):
        pongs = [await connection.ping(data) for data in (b"1", b"2", b"3")]
        await peer.send_frame("8a", b"2")
        await asyncio.gather(*pongs[:2])

        assert [True, True, False] == [pong.done() for pong in pongs]
        assert pongs[0].result() >= pongs[1].result() >= 0


async def test_unsolicited_pongs_are_ignored(side):
    """
    A pong that answers nothing resolves nothing.
    """
    async with facing_raw_peer(side) as (connection, peer):
        pong = await connection.ping(b"1")
        await peer.send_frame("8a", b"")
        await peer.send_frame("8a", b"2")
        await settle()

        assert not pong.done()
        assert lib.State.OPEN is connection.state


async def test_the_same_payload_is_not_pending_twice(side):
    """
    Two pings with one payload could not be told apart; once answered the
    payload is free.
    """
    async with facing_raw_peer(side) as (connection, peer):
        pong = await connection.ping(b"same")
        with pytest.raises(lib.ConcurrencyError) as raised:
            await connection.ping("same")
        await peer.send_frame("8a", b"same")
        await pong
        again = await connection.ping(b"same")

        assert "already waiting for a pong with the same data" == str(raised.value)
        assert not again.done()


async def test_a_cancelled_pong_does_not_disturb_others(side):
    """
    The future belongs to the caller, who may cancel it.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = await connection.ping(b"1")
        second = await connection.ping(b"2")
        first.cancel()
        await peer.send_frame("8a", b"2")

        assert 0 <= await second
        assert first.cancelled()


async def test_waiting_for_a_pong_with_a_timeout(side):
    """
    `wait_for()` on the future works like on any other.
    """
    async with facing_raw_peer(side) as (connection, _):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await connection.ping(), 0.01)

        assert lib.State.OPEN is connection.state


async def test_the_end_of_the_connection_ends_the_wait_for_pongs(side):
    """
    Pending futures get the exception; nobody has to retrieve it.
    """
    async with facing_raw_peer(side) as (connection, peer):
        awaited = await connection.ping()
        forgotten = await connection.ping()
        await peer.close_with(1001)
        with pytest.raises(lib.ConnectionClosed):
            await awaited
        await connection.wait_closed()

        assert forgotten.done()
        del forgotten


@pytest.mark.parametrize("method", ["ping", "pong"])
async def test_a_closed_connection_sends_no_control_frames(side, method):
    """
    After the end both raise what ended the connection.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(1001)
        await connection.wait_closed()

        with pytest.raises(lib.ConnectionClosedOK):
            await getattr(connection, method)()


async def test_latency_follows_the_pongs(side):
    """
    `latency` is 0.0 before the first pong, then that of the last one.
    """
    async with facing_raw_peer(side) as (connection, peer):
        assert 0.0 == connection.latency
        for delay in (0.01, 0.005):
            pong = await connection.ping(b"?")
            await asyncio.sleep(delay)
            await peer.send_frame("8a", b"?")
            latency = await pong
            assert latency == connection.latency
            # uvloop's clock has a resolution of 1 ms.
            assert latency > delay - 0.003
