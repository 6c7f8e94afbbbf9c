"""
close() and wait_closed(): the closing handshake from this end.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.asyncio.raw import RawFrame, close_payload
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


async def test_close_performs_the_closing_handshake(side):
    """
    A close frame leaves, the answer is awaited, TCP is closed.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close())
        frame = await peer.read_frame()
        await settle()
        waited = not closing.done()
        await peer.send_close(1000)
        if side == "client":
            peer.half_close()
        rest = await peer.read_rest()
        peer.close()

        assert RawFrame(0x88, close_payload(1000)) == frame
        assert waited
        assert b"" == rest
        assert None is await closing
        assert 1000 == connection.close_code


async def test_close_sends_code_and_reason(side):
    """
    The peer gets what the caller gave.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close(4001, "très bien"))

        assert (4001, "très bien") == await peer.answer_close(4001)
        await closing


async def test_close_takes_a_member_of_closecode(side):
    """
    `CloseCode.GOING_AWAY` is 1001.
    """
    code = lib.CloseCode.GOING_AWAY
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close(code=code, reason="bye"))

        assert (1001, "bye") == await peer.answer_close(1001)
        await closing


@pytest.mark.parametrize(
    "code",
    [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999],
)
async def test_codes_that_may_be_sent(side, code):
    """
    The codes of RFC 6455, 7.4 and those registered since.
    """
    async with linked(side) as (connection, other):
        await connection.close(code)
        await other.wait_closed()

        assert code == other.close_code


@pytest.mark.parametrize(
    "code",
    [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_536, 70_000],
)
async def test_codes_that_may_not_be_sent(side, code):
    """
    Nothing is sent for an invalid code; the connection stays OPEN.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(lib.ProtocolError, match="^invalid status code$"):
            await connection.close(code)
        state = connection.state
        await connection.send("still open")

        assert lib.State.OPEN is state
        assert RawFrame(0x81, b"still open") == await peer.read_frame()


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62])
async def test_a_reason_that_is_too_long(side, reason):
    """
    A control frame has 125 bytes, two of which are the code.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(lib.ProtocolError, match="^control frame too long$"):
            await connection.close(1000, reason)
        state = connection.state
        await connection.send("still open")

        assert lib.State.OPEN is state
        assert RawFrame(0x81, b"still open") == await peer.read_frame()


@pytest.mark.parametrize("reason", ["x" * 123, "é" * 61 + "x"])
async def test_the_longest_reason(side, reason):
    """
    123 bytes of UTF-8 fit.
    """
    async with linked(side) as (connection, other):
        await connection.close(1000, reason)
        await other.wait_closed()

        assert reason == other.close_reason


async def test_closing_again_does_nothing(side):
    """
    `close()` is idempotent; arguments of later calls are not looked at.
    """
    async with linked(side) as (connection, other):
        await connection.close(1001)
        await connection.close()
        await connection.close(1005, "x" * 200)
        await other.close()

        assert (1001, 1001) == (connection.close_code, other.close_code)


async def test_closing_twice_at_once(side):
    """
    The second call waits with the first; one close frame leaves.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = [
            asyncio.create_task(connection.close(1000, "first")),
            asyncio.create_task(connection.close(1001, "second")),
        ]

        assert (1000, "first") == await peer.answer_close(1000)
        await asyncio.gather(*closing)
        assert lib.Close(1000, "first") == connection.protocol.close_sent


async def test_both_ends_close_at_once(side):
    """
    Crossing close frames complete the closing handshake for both.
    """
    async with linked(side) as (connection, other):
        await asyncio.gather(connection.close(1000), other.close(1001))

        assert lib.State.CLOSED is connection.state
        assert lib.State.CLOSED is other.state


async def test_closing_after_the_peer_has_closed(side):
    """
    Then there is nothing to do.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(1001)
        await connection.wait_closed()
        await connection.close(4000)

        assert 1001 == connection.close_code


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
async def test_closing_when_the_peer_has_vanished(side, end):
    """
    `close()` never raises because the peer is gone.
    """
    async with facing_raw_peer(side) as (connection, peer):
        getattr(peer, end)()
        await connection.close()

        assert 1006 == connection.close_code


async def test_messages_that_cross_the_close_can_be_received(side):
    """
    What the peer sent before its close frame is delivered.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close())
        await peer.read_close()
        await peer.send_frame("81", b"crossing")
        await peer.send_close(1000)
        peer.half_close()
        await closing

        assert ["crossing"] == [message async for message in connection]


@pytest.mark.ours
async def test_closing_with_a_full_queue(side):
    """
    The peer's close frame is found behind messages that nobody received, and
    these can still be received.
    """
    async with facing_raw_peer(side, max_queue=2) as (connection, peer):
        await peer.send(b"".join(peer.frame("81", b"%d" % i) for i in range(10)))
        closing = asyncio.create_task(connection.close())
        await peer.answer_close(1000)
        await closing

        assert 1000 == connection.close_code
        assert [str(i) for i in range(10)] == [message async for message in connection]


async def test_cancelling_close_keeps_it_going(side):
    """
    The close frame is out; the connection ends when the peer answers.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close(1001))
        await settle()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        state = connection.state
        assert (1001, "") == await peer.answer_close(1001)
        await connection.wait_closed()

        assert lib.State.CLOSING is state
        assert 1001 == connection.close_code


# Fragmented messages


async def test_closing_during_a_fragmented_message(side):
    """
    The peer has an incomplete message, so it gets 1011.
    """

    async def endless():
        yield "one"
        await asyncio.Event().wait()

    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(connection.send(endless()))
        await peer.read_frame()
        closing = asyncio.create_task(connection.close(1000, "ignored"))

        assert (1011, "close during fragmented message") == await peer.answer_close()
        await closing
        sending.cancel()
        await asyncio.wait([sending])


# Timeouts

CAUSE = "timed out while closing connection"


async def test_a_peer_that_does_not_answer(side):
    """
    At `close_timeout` the connection is aborted; later calls tell why.
    """
    async with facing_raw_peer(side, close_timeout=0.01) as (connection, _):
        await connection.close(1001, "bye")
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()

        assert "sent 1001 (going away) bye; no close frame received" == str(
            raised.value
        )
        assert isinstance(raised.value.__cause__, TimeoutError)
        assert CAUSE == str(raised.value.__cause__)
        assert 1006 == connection.close_code


async def test_a_peer_that_answers_and_keeps_tcp_open(side):
    """
    The same deadline covers the end of TCP; the codes are known by then.
    """
    async with facing_raw_peer(side, close_timeout=0.01) as (connection, peer):
        closing = asyncio.create_task(connection.close())
        await peer.read_close()
        await peer.send_close(1000)
        await closing
        with pytest.raises(lib.ConnectionClosedOK) as raised:
            await connection.send("late")

        assert 1000 == connection.close_code
        assert CAUSE == str(raised.value.__cause__)


@pytest.mark.ours
async def test_a_peer_that_closes_and_keeps_tcp_open(side):
    """
    The deadline holds for a closing handshake that the peer began, too: a
    receiver is not kept waiting for the end of TCP for ever.
    """
    async with facing_raw_peer(side, close_timeout=0.01) as (connection, peer):
        await peer.send_close(1001)
        with pytest.raises(lib.ConnectionClosedOK):
            await connection.recv()
        await connection.wait_closed()

        assert 1001 == connection.close_code


async def test_an_aborted_peer_sees_the_end(side):
    """
    After the timeout the socket is closed, not left behind.
    """
    async with facing_raw_peer(side, close_timeout=0.01) as (connection, peer):
        await connection.close()

        assert (1000, "") == await peer.read_close()
        assert b"" == await peer.read_rest()


async def test_no_close_timeout(side):
    """
    `close_timeout=None` waits for the peer as long as it takes.
    """
    async with facing_raw_peer(side, close_timeout=None) as (connection, peer):
        closing = asyncio.create_task(connection.close())
        await settle()
        assert not closing.done()
        await peer.answer_close(1000)
        await closing

        assert 1000 == connection.close_code


async def test_data_does_not_extend_the_close_timeout(side):
    """
    A peer that keeps sending messages instead of an answer is aborted.
    """

    async def keep_sending(peer):
        try:
            while True:
                await peer.send_frame("81", b"more")
                await asyncio.sleep(0.002)
        except ConnectionError:
            pass

    async with facing_raw_peer(side, close_timeout=0.02, max_queue=None) as (
        connection,
        peer,
    ):
        sending = asyncio.create_task(keep_sending(peer))
        await connection.close()
        await sending

        assert 1006 == connection.close_code


# wait_closed


async def test_wait_closed_waits_for_the_end(side):
    """
    It ends when TCP has ended, does not raise, and may be called again.
    """
    async with facing_raw_peer(side) as (connection, peer):
        waiting = [asyncio.create_task(connection.wait_closed()) for _ in range(2)]
        await settle()
        assert not any(task.done() for task in waiting)
        await peer.close_with(1011)

        assert [None, None] == await asyncio.gather(*waiting)
        assert lib.State.CLOSED is connection.state
        assert None is await connection.wait_closed()


async def test_wait_closed_does_not_close(side):
    """
    Cancelled, it leaves the connection as it was.
    """
    async with linked(side) as (connection, other):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.wait_closed(), 0.005)
        await connection.send("still open")

        assert "still open" == await other.recv()


async def test_wait_closed_beside_a_receiver(side):
    """
    Both learn of the end.
    """
    async with linked(side) as (connection, other):
        receiving = asyncio.create_task(connection.recv())
        waiting = asyncio.create_task(connection.wait_closed())
        await settle()
        await other.close()
        with pytest.raises(lib.ConnectionClosedOK):
            await receiving

        assert None is await waiting


async def test_every_waiting_task_learns_of_the_end(side):
    """
    Receivers, pings and closers end together.
    """
    async with facing_raw_peer(side) as (connection, peer):
        pong = await connection.ping()
        tasks = [
            asyncio.create_task(connection.recv()),
            asyncio.create_task(connection.wait_closed()),
        ]
        await settle()
        peer.reset()
        done = await asyncio.gather(*tasks, pong, return_exceptions=True)

        assert [lib.ConnectionClosedError, type(None), lib.ConnectionClosedError] == [
            type(result) for result in done
        ]
