"""
The end of connections on trio: the closing handshake, failures, and what is said.
"""

from __future__ import annotations

import contextlib
import logging

import pytest
import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

from socketeer.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    ProtocolError,
)
from socketeer.frames import Close
from tests.asyncio.raw import RawFrame
from tests.trio.harness import both_sides, facing_raw_peer, linked, serving


@both_sides
async def test_closes(side):
    """
    Both close frames, then the end of the stream: the server is the first to
    close it (RFC 6455, 7.1.1).
    """
    async with facing_raw_peer(side) as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.aclose, 3000, "done")
            assert RawFrame(0x88, b"\x0b\xb8done") == await peer.read_frame()
            await peer.send_close(3000, "done")
            if side == "client":
                await wait_all_tasks_blocked()
                assert "CLOSING" == connection.state.name
            else:
                assert b"" == await peer.read_rest()
            await peer.stream.aclose()

        assert "CLOSED" == connection.state.name
        assert (3000, "done") == (connection.close_code, connection.close_reason)


@both_sides
async def test_answers_a_close_frame(side):
    """
    With the code that came, whether somebody receives or not.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_close(3001, "over")

        assert (3001, "over") == await peer.read_close()
        await peer.stream.aclose()
        await connection.wait_closed()
        assert 3001 == connection.close_code


@both_sides
async def test_what_came_before_a_close_frame_is_answered(side):
    """
    Messages and the close frame come in one read; the receiver gets its turn first.
    """
    async with facing_raw_peer(side) as (connection, peer):

        async def echo():
            async for message in connection:
                await connection.send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            await wait_all_tasks_blocked()
            frames = [peer.frame("81", b"%d" % i) for i in range(5)]
            await peer.send(b"".join([*frames, peer.frame("88", b"\x03\xe8")]))

            payloads = [(await peer.read_frame()).payload for _ in range(6)]
            await peer.stream.aclose()

        assert [b"0", b"1", b"2", b"3", b"4", b"\x03\xe8"] == payloads


class Pieces(trio.abc.ReceiveStream):
    """
    Gives what there is in pieces, one each time that trio has run all tasks.
    """

    def __init__(self, stream, size):
        self._stream = stream
        self._size = size
        self._data = b""

    async def receive_some(self, max_bytes=None):
        if self._data:
            await trio.lowlevel.checkpoint()
        else:
            self._data = bytes(await self._stream.receive_some())
        piece, self._data = self._data[: self._size], self._data[self._size :]
        return piece

    async def aclose(self):
        await self._stream.aclose()


@both_sides
@pytest.mark.parametrize("by_octets", [False, True])
async def test_what_came_before_a_violation_is_answered(side, by_octets):
    """
    Whoever waits for a message and answers it at once is first, in whatever order
    trio runs its tasks: the order is drawn anew each time.
    """
    for _ in range(20):
        async with facing_raw_peer(side) as (connection, peer):
            message = peer.frame("81", b"one")
            stream = connection._link.stream
            size = 1 if by_octets else len(message)
            stream.receive_stream = Pieces(stream.receive_stream, size)

            async def echo(connection=connection):
                with contextlib.suppress(ConnectionClosedError):
                    async for message in connection:
                        await connection.send(message)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(echo)
                # From now on, what was being read in another way is read in pieces.
                await peer.send(message)
                assert RawFrame(0x81, b"one") == await peer.read_frame()
                # The reserved bits must be 0 (RFC 6455, 5.2).
                await peer.send(message + peer.frame("f1", b"two"))

                assert RawFrame(0x81, b"one") == await peer.read_frame()
                assert 0x88 == (await peer.read_frame()).head
                await peer.stream.aclose()


@both_sides
async def test_a_close_frame_does_not_wait_for_a_busy_receiver(side):
    """
    Who takes a message and then does something else has a second.
    """
    async with facing_raw_peer(side) as (connection, peer):

        async def work():
            await connection.recv()
            await trio.sleep(3600)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await wait_all_tasks_blocked()
            frames = [peer.frame("81", b"a"), peer.frame("81", b"b")]
            await peer.send(b"".join([*frames, peer.frame("88", b"\x03\xe8")]))
            before = trio.current_time()
            assert (1000, "") == await peer.read_close()
            assert trio.current_time() - before <= 1
            nursery.cancel_scope.cancel()


@both_sides
async def test_messages_outlive_the_connection(side):
    """
    What arrived before the end can be received afterwards.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.send_frame("81", b"two")
        await peer.send_close(1000)
        await peer.read_close()
        await peer.stream.aclose()
        await connection.wait_closed()

        assert ["one", "two"] == [message async for message in connection]
        with pytest.raises(ConnectionClosedOK):
            await connection.recv()
        with pytest.raises(ConnectionClosedOK):
            await connection.send("late")
        with pytest.raises(ConnectionClosedOK):
            await connection.ping()


@both_sides
async def test_sending_while_closing_waits_for_the_codes(side):
    """
    The error tells both close codes, so it comes when both are known.
    """
    async with facing_raw_peer(side) as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.aclose)
            await wait_all_tasks_blocked()
            nursery.start_soon(peer.close_after_close)
            with pytest.raises(ConnectionClosedOK) as raised:
                await connection.send("late")

        assert Close(1000, "") == raised.value.sent == raised.value.rcvd


@both_sides
async def test_a_peer_that_does_not_close_is_cut(side):
    """
    ``close_timeout`` limits all of closing, and the error tells why.
    """
    async with facing_raw_peer(side, close_timeout=7) as (connection, _):
        before = trio.current_time()
        await connection.aclose()

        assert 7 <= trio.current_time() - before <= 7.2
        with pytest.raises(ConnectionClosedError) as raised:
            await connection.recv()
        assert isinstance(raised.value.__cause__, TimeoutError)
        assert "timed out while closing connection" == str(raised.value.__cause__)


@both_sides
async def test_a_peer_that_reads_nothing_is_cut(side):
    """
    Also when not even the close frame can be written.
    """
    async with facing_raw_peer(
        side, close_timeout=7, make_pair=lockstep_stream_pair
    ) as (connection, _):
        before = trio.current_time()
        await connection.aclose()

        assert 7 <= trio.current_time() - before <= 7.2


@both_sides
async def test_a_lost_connection_is_abnormal(side):
    """
    The stream ends without a close frame: code 1006, and the cause is known.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.stream.aclose()
        with pytest.raises(ConnectionClosedError) as raised:
            await connection.recv()

        assert (None, None) == (raised.value.rcvd, raised.value.sent)
        assert isinstance(raised.value.__cause__, EOFError)
        assert (1006, "") == (connection.close_code, connection.close_reason)


@both_sides
async def test_an_answer_follows_a_half_closed_stream(side):
    """
    A peer that sends a close frame and half-closes at once gets its answer.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(peer.frame("81", b"x") + peer.frame("88", b"\x03\xe8"))
        await peer.stream.send_eof()

        assert (1000, "") == await peer.read_close()
        await connection.wait_closed()
        assert 1000 == connection.close_code


@both_sides
async def test_violations_fail_the_connection_after_what_came_before(side):
    """
    A bad frame takes effect when the messages before it were answered.
    """
    async with facing_raw_peer(side) as (connection, peer):

        async def echo():
            with pytest.raises(ConnectionClosedError) as raised:
                async for message in connection:
                    await connection.send(message)
            assert isinstance(raised.value.__cause__, ProtocolError)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            await wait_all_tasks_blocked()
            await peer.send(peer.frame("81", b"good") + peer.frame("83", b"bad"))
            assert b"good" == (await peer.read_frame()).payload
            assert (1002, "invalid opcode") == await peer.read_close()
            await peer.stream.aclose()


@both_sides
async def test_what_cannot_be_sent_closes_nothing(side):
    """
    A code or a reason that is not allowed leaves the connection OPEN.
    """
    async with facing_raw_peer(side) as (connection, _):
        for code, reason in [(1005, ""), (999, ""), (1000, "x" * 124)]:
            with pytest.raises(ProtocolError):
                await connection.aclose(code, reason)

        assert "OPEN" == connection.state.name


@both_sides
async def test_closing_amid_fragments_says_1011(side):
    """
    After a part of a message, its end cannot come any more.
    """
    async with facing_raw_peer(side) as (connection, peer):

        async def fragments():
            yield "begun"
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send, fragments())
            await wait_all_tasks_blocked()
            nursery.start_soon(connection.aclose)
            assert (1011, "close during fragmented message") == await peer.read_close()
            nursery.cancel_scope.cancel()


@both_sides
async def test_a_context_closes(side):
    """
    With 1000 when it is left normally, 1011 when an exception leaves it.
    """
    async with facing_raw_peer(side) as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.close_after_close)
            async with connection:
                pass
        assert 1000 == connection.protocol.close_sent.code

    async with facing_raw_peer(side) as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.close_after_close)
            with pytest.raises(ZeroDivisionError):
                async with connection:
                    raise ZeroDivisionError
        assert 1011 == connection.protocol.close_sent.code


async def test_a_handler_that_returns_closes_with_1000():
    """
    And the client sees it.
    """

    async def handler(connection):
        await connection.send("bye")

    async with linked(handler) as connection:
        assert ["bye"] == [message async for message in connection]

        assert 1000 == connection.close_code


async def test_a_handler_that_raises_closes_with_1011(caplog):
    """
    The exception is logged once, with its traceback, and goes no further.
    """

    async def handler(connection):
        raise ZeroDivisionError

    async with linked(handler) as connection:
        with pytest.raises(ConnectionClosedError):
            await connection.recv()

        assert 1011 == connection.close_code
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "connection handler failed" == record.message
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_handler_that_ends_with_its_connection_is_no_error(caplog):
    """
    Ordinary disconnects do not fill the log, nor if a nursery reports them.
    """
    caplog.set_level(logging.INFO)

    async def handler(connection):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.recv)

    async with serving(handler) as running:
        peer = await running.raw_client()
        await peer.stream.aclose()
        await wait_all_tasks_blocked()

    assert [] == [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert any("connection handler ended" in r.message for r in caplog.records)


async def test_an_exception_beside_a_cancellation_is_logged(caplog):
    """
    A canceled server does not swallow what a handler's nursery raised besides.
    """

    async def fail():
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async def handler(connection):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)

    async with serving(handler) as running:
        await running.raw_client()
        await wait_all_tasks_blocked()

    assert ["connection handler failed"] == [
        r.message for r in caplog.records if r.levelno >= logging.ERROR
    ]


@both_sides
async def test_close_exc_needs_an_end(side):
    """
    Before, there is nothing to tell.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(InvalidState):
            _ = connection.close_exc
        assert (None, None) == (connection.close_code, connection.close_reason)
        await peer.stream.aclose()
        await connection.wait_closed()

        assert isinstance(connection.close_exc, ConnectionClosedError)
