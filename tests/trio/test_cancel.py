"""
Canceling on trio, at every place where something waits.
"""

from __future__ import annotations

import contextlib

import pytest
import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

from socketeer.exceptions import ConnectionClosedError
from socketeer.frames import Close
from socketeer.trio.client import connect
from tests.asyncio.raw import RawFrame
from tests.trio.harness import (
    QUIET,
    StreamPeer,
    both_sides,
    facing_raw_peer,
    serving,
)

LARGE = b"x" * 100_000


@both_sides
async def test_canceled_recv_loses_no_message(side):
    """
    Whenever it is canceled: before the message, with it, or after it.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for number in range(20):
            received = []
            scope = trio.CancelScope()

            async def send(scope=scope, number=number):
                if number % 2:
                    scope.cancel()
                await peer.send_frame("81", b"%d" % number)
                for _ in range(number // 2):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                with scope:
                    received.append(await connection.recv())
            if not received:
                received.append(await connection.recv())

            assert [str(number)] == received


@both_sides
async def test_move_on_after_leaves_the_connection_usable(side):
    """
    A timeout of ``recv()`` is nothing but a timeout.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for _ in range(3):
            with trio.move_on_after(5) as scope:
                await connection.recv()
            assert scope.cancelled_caught
        await peer.send_frame("81", b"late")

        assert "late" == await connection.recv()


@both_sides
async def test_recv_does_nothing_in_a_canceled_scope(side):
    """
    A message that is there already stays there.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"waits")
        await wait_all_tasks_blocked()
        with trio.move_on_after(0) as scope:
            await connection.recv()

        assert scope.cancelled_caught
        assert "waits" == await connection.recv()


@both_sides
async def test_send_does_nothing_in_a_canceled_scope(side):
    """
    What was canceled before it began sends nothing.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for act in (connection.send("no"), connection.ping(b"no"), connection.pong()):
            with trio.move_on_after(0) as scope:
                await act
            assert scope.cancelled_caught
        await connection.send("yes")

        assert b"yes" == (await peer.read_frame()).payload


@both_sides
async def test_canceled_send_leaves_a_whole_frame(side):
    """
    While the peer does not read, sending waits; canceled, the message leaves
    entirely nevertheless, and others follow.
    """
    async with facing_raw_peer(side, make_pair=lockstep_stream_pair) as (
        connection,
        peer,
    ):
        with trio.move_on_after(1) as scope:
            await connection.send(LARGE)
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send, "next")

            assert RawFrame(0x82, LARGE) == await peer.read_frame()
            assert RawFrame(0x81, b"next") == await peer.read_frame()


@both_sides
async def test_canceled_send_that_waited_for_its_turn_sends_nothing(side):
    """
    Behind a fragmented message, an unfragmented one waits; it may give up.
    """
    async with facing_raw_peer(side) as (connection, peer):
        go_on = trio.Event()

        async def fragments():
            yield "a"
            await go_on.wait()
            yield "b"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send, fragments())
            await wait_all_tasks_blocked()
            with trio.move_on_after(1) as scope:
                await connection.send("gives up")
            assert scope.cancelled_caught
            go_on.set()

        payloads = [(await peer.read_frame()).payload for _ in range(3)]
        assert [b"a", b"b", b""] == payloads


@both_sides
async def test_canceled_fragmented_send_fails_the_connection(side):
    """
    What was begun cannot be taken back: the documented code is 1011.
    """

    async def fragments():
        yield "begun"
        await trio.sleep_forever()

    async with facing_raw_peer(side) as (connection, peer):
        with trio.move_on_after(1):
            await connection.send(fragments())

        assert (1011, "error in fragmented message") == await peer.read_close()


@both_sides
async def test_canceled_ping_and_pong_leave_whole_frames(side):
    """
    Control frames wait for the peer like messages do.
    """
    async with facing_raw_peer(side, make_pair=lockstep_stream_pair) as (
        connection,
        peer,
    ):
        with trio.move_on_after(1):
            await connection.send(LARGE)
        with trio.move_on_after(1):
            await connection.ping(b"ping")
        with trio.move_on_after(1):
            await connection.pong(b"pong")

        heads = [(await peer.read_frame()).head for _ in range(3)]
        assert [0x82, 0x89, 0x8A] == heads


@both_sides
async def test_canceled_wait_closed_does_not_disturb(side):
    """
    Only who closes has an influence on the connection.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with trio.move_on_after(1) as scope:
            await connection.wait_closed()
        assert scope.cancelled_caught
        await connection.send("still here")

        assert b"still here" == (await peer.read_frame()).payload


@both_sides
async def test_canceled_close_closes_at_once(side):
    """
    Whoever cancels ``aclose()`` does not wait for the peer, and is left with
    nothing: no task, no stream (trio's contract of ``aclose()``).
    """
    async with facing_raw_peer(side) as (connection, peer):
        before = trio.current_time()
        with trio.move_on_after(3) as scope:
            await connection.aclose(4000, "bye")

        assert scope.cancelled_caught
        assert 3 == trio.current_time() - before
        assert "CLOSED" == connection.state.name
        assert (4000, "bye") == await peer.read_close()
        with pytest.raises(EOFError):
            await peer.read_frame()


@both_sides
async def test_close_in_a_canceled_scope_tells_the_peer(side):
    """
    The close frame leaves if it can be written at once.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with trio.move_on_after(0):
            await connection.aclose()

        assert "CLOSED" == connection.state.name
        assert (1000, "") == await peer.read_close()


@both_sides
async def test_close_in_a_canceled_scope_does_not_wait_for_a_slow_peer(side):
    """
    A peer that reads nothing gets nothing, after a moment.
    """
    async with facing_raw_peer(side, make_pair=lockstep_stream_pair) as (
        connection,
        _,
    ):
        before = trio.current_time()
        with trio.move_on_after(0):
            await connection.aclose()

        assert "CLOSED" == connection.state.name
        assert trio.current_time() - before <= 0.2


async def test_canceled_context_of_a_client_closes_with_1011():
    """
    An exception leaves the context, and cancellation is one.
    """
    async with serving() as running:
        stream = running.listener.connect()
        with trio.move_on_after(2):
            async with connect("ws://test/", stream=stream, **QUIET):
                await trio.sleep_forever()
        connection = await running.accepted.receive()
        await connection.wait_closed()

        assert Close(1011, "") == connection.protocol.close_rcvd


async def test_canceled_connecting_closes_the_stream():
    """
    Nobody answers: the timeout of the program is as good as ``open_timeout``.
    """
    ours, theirs = trio.testing.memory_stream_pair()
    peer = StreamPeer(theirs, "server")
    with trio.move_on_after(1) as scope:
        async with connect("ws://test/", stream=ours):
            pytest.fail("connected to nobody")

    assert scope.cancelled_caught
    await peer.read_head()
    with pytest.raises(EOFError):
        await peer.read_frame()


async def test_canceled_server_says_goodbye():
    """
    Whoever cancels the nursery of a server is in a hurry; clients are told 1001.
    """
    ended = []

    async def handler(connection):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(connection)

    async with serving(handler) as running:
        peer = await running.raw_client()
        await wait_all_tasks_blocked()

    assert 1 == len(ended)
    assert (1001, "") == await peer.read_close()
    with pytest.raises(EOFError):
        await peer.read_frame()


async def test_handlers_may_cancel_their_own_tasks():
    """
    The classic pair of a consumer and a producer: the first to end cancels the
    other one, and the connection lives on.
    """

    async def handler(connection):
        async with trio.open_nursery() as nursery:
            scope = nursery.cancel_scope

            async def consume():
                await connection.recv()
                scope.cancel()

            async def produce():
                while True:
                    await connection.send("tick")
                    await trio.sleep(1)

            nursery.start_soon(consume)
            nursery.start_soon(produce)
        await connection.send("done")

    async with serving(handler) as running:
        peer = await running.raw_client()
        assert b"tick" == (await peer.read_frame()).payload
        await trio.sleep(1.5)
        await peer.send_frame("81", b"stop")

        assert b"tick" == (await peer.read_frame()).payload
        assert b"done" == (await peer.read_frame()).payload
        assert (1000, "") == await peer.read_close()


async def test_closed_errors_reach_whoever_waits():
    """
    A send that waits for a slow peer ends when the connection does.
    """
    async with facing_raw_peer("server", make_pair=lockstep_stream_pair) as (
        connection,
        peer,
    ):
        raised = []

        async def send():
            with contextlib.suppress(trio.Cancelled):
                try:
                    await connection.send(LARGE)
                except ConnectionClosedError as exc:
                    raised.append(exc)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            await trio.aclose_forcefully(peer.stream)

        assert 1 == len(raised)
