"""
How a connection ends when nobody calls close(): contexts, handlers, servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.asyncio.harness import (
    both_sides,
    connected,
    facing_raw_peer,
    linked,
    serving,
    settle,
)
from tests.asyncio.raw import RawPeer
from tests.under_test import NAME, lib

pytestmark = pytest.mark.anyio

EXCEPTIONS = [ZeroDivisionError, asyncio.CancelledError, GeneratorExit, TimeoutError]


@contextlib.asynccontextmanager
async def running(handler, **options):
    """
    Run a server with this handler; yield its port.
    """
    options = {"ping_interval": None, "compression": None, **options}
    async with lib.serve(handler, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]


# async with connection


@both_sides
async def test_leaving_the_context_closes_normally(side):
    """
    The peer gets 1000 and the connection is CLOSED afterwards.
    """
    async with linked(side) as (connection, other):
        async with connection as entered:
            await entered.send("hello")
        await other.wait_closed()

        assert connection is entered
        assert lib.State.CLOSED is connection.state
        assert (1000, "") == (other.close_code, other.close_reason)


@both_sides
@pytest.mark.parametrize("exception", EXCEPTIONS)
async def test_leaving_the_context_with_an_exception(side, exception):
    """
    The peer gets 1011 without a reason; the exception is not swallowed.
    """
    async with linked(side) as (connection, other):
        with pytest.raises(exception):
            async with connection:
                raise exception
        await other.wait_closed()

        assert (1011, "") == (other.close_code, other.close_reason)


@both_sides
async def test_leaving_the_context_after_a_close(side):
    """
    Nothing more happens, even when the end is an exception.
    """
    async with linked(side) as (connection, other):
        with pytest.raises(lib.ConnectionClosedError):
            async with connection:
                await other.close(4000)
                await connection.recv()

        assert 4000 == connection.close_code
        assert lib.Close(4000, "") == connection.protocol.close_sent


@both_sides
async def test_a_task_cancelled_within_the_context(side):
    """
    Cancelling the task closes with 1011, and the task ends as cancelled.
    """
    async with linked(side) as (connection, other):

        async def work():
            async with connection:
                await connection.recv()

        task = asyncio.create_task(work())
        await settle()
        task.cancel()
        await asyncio.wait([task])
        await other.wait_closed()

        assert task.cancelled()
        assert 1011 == other.close_code


async def test_leaving_the_context_of_connect():
    """
    `async with connect()` closes with 1000.
    """
    async with serving() as server:
        async with lib.connect(
            server.uri, proxy=None, ping_interval=None
        ) as connection:
            accepted = await server.accepted.get()
        await accepted.wait_closed()

        assert lib.State.CLOSED is connection.state
        assert 1000 == accepted.close_code


@pytest.mark.parametrize("exception", EXCEPTIONS)
async def test_leaving_the_context_of_connect_with_an_exception(exception):
    """
    `async with connect()` closes with 1011 then.
    """
    async with serving() as server:
        with pytest.raises(exception):
            async with lib.connect(server.uri, proxy=None, ping_interval=None):
                accepted = await server.accepted.get()
                raise exception
        await accepted.wait_closed()

        assert (1011, "") == (accepted.close_code, accepted.close_reason)


# Handlers


async def test_a_handler_that_returns():
    """
    The connection is closed with 1000.
    """

    async def handler(connection):
        await connection.send("only this")

    async with running(handler) as port:
        peer = await RawPeer.connect(port)

        assert b"only this" == (await peer.read_frame()).payload
        assert (1000, "") == await peer.answer_close(1000)


async def test_a_handler_that_raises(caplog):
    """
    The peer gets 1011 and learns nothing else; the log has one record with
    the traceback.
    """

    async def handler(connection):
        raise ZeroDivisionError("secret")

    async with running(handler) as port:
        peer = await RawPeer.connect(port)

        assert (1011, "") == await peer.answer_close(1011)
    [record] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "connection handler failed" == record.getMessage()
    assert ZeroDivisionError is record.exc_info[0]
    assert f"{NAME}.server" == record.name


async def test_a_handler_that_closes_by_itself():
    """
    Its code is the one that the peer gets.
    """

    async def handler(connection):
        await connection.close(4003, "forbidden")

    async with running(handler) as port:
        peer = await RawPeer.connect(port)

        assert (4003, "forbidden") == await peer.answer_close(4003)


@pytest.mark.ours
@pytest.mark.parametrize("code", [1000, 1001, None])
async def test_a_handler_that_ends_with_the_connection_is_quiet(code, caplog):
    """
    `ConnectionClosedOK` out of a handler is no news.
    """

    async def handler(connection):
        while True:
            await connection.recv()

    async with running(handler) as port:
        peer = await RawPeer.connect(port)

        assert (code, "") == await peer.close_with(code)
    assert [] == [r for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.ours
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_an_ordinary_disconnect_is_quiet(end, caplog):
    """
    A peer that vanishes within `async for` is no error of the server: no
    record above INFO.
    """

    async def handler(connection):
        entered.set()
        async for _ in connection:
            pass

    entered = asyncio.Event()
    async with running(handler) as port:
        peer = await RawPeer.connect(port)
        await entered.wait()
        getattr(peer, end)()
        await settle()
    assert [] == [r for r in caplog.records if r.levelno > logging.INFO]


async def test_a_handler_is_not_cancelled_by_a_disconnect():
    """
    It learns of the end at its next `recv()` or `send()`.
    """
    results = asyncio.Queue()

    async def handler(connection):
        await connection.wait_closed()
        await asyncio.sleep(0)
        for operation in (connection.recv, connection.ping):
            try:
                await operation()
            except lib.ConnectionClosedError as error:
                results.put_nowait(str(error))

    async with running(handler) as port:
        peer = await RawPeer.connect(port)
        peer.close()

        expected = "no close frame received or sent"
        assert [expected] * 2 == [await results.get(), await results.get()]


# Servers


async def test_closing_the_server():
    """
    Open connections are closed with 1001.
    """
    async with serving() as server, connected(server.uri) as client:
        await server.accepted.get()
        server.server.close()
        await client.wait_closed()

        assert (1001, "") == (client.close_code, client.close_reason)


async def test_closing_the_server_with_a_code():
    """
    `Server.close()` takes code and reason.
    """
    async with serving() as server, connected(server.uri) as client:
        await server.accepted.get()
        server.server.close(code=1012, reason="restart")
        await client.wait_closed()

        assert (1012, "restart") == (client.close_code, client.close_reason)


async def test_closing_the_server_and_keeping_connections():
    """
    With `close_connections=False` they go on.
    """
    async with serving() as server, connected(server.uri) as client:
        accepted = await server.accepted.get()
        server.server.close(close_connections=False)
        await settle()
        await client.send("still here")

        assert "still here" == await accepted.recv()


# The end of TCP


@both_sides
async def test_eof_is_answered_by_eof(side):
    """
    A half-closed connection cannot go on: both directions end.
    """
    async with facing_raw_peer(side) as (connection, peer):
        peer.half_close()
        rest = await peer.read_rest()
        await connection.wait_closed()

        assert b"" == rest
        assert 1006 == connection.close_code


@both_sides
async def test_the_end_within_a_frame(side):
    """
    An incomplete frame at the end of TCP is the same as no frame.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(peer.frame("81", b"incomplete")[:-1])
        peer.half_close()
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()

        assert "no close frame received or sent" == str(raised.value)


@both_sides
async def test_a_peer_that_sends_on_after_its_close_frame(side):
    """
    What comes after a close frame is not looked at, not even if it is wrong.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(peer.frame("88", b"\x03\xe9") + b"\xff" * 50)

        assert (1001, "") == await peer.answer_close()
        await connection.wait_closed()
        assert 1001 == connection.close_code


async def test_the_server_closes_tcp_first():
    """
    The endpoint that holds TIME_WAIT is the server (RFC 6455, 7.1.1): its
    end of the stream comes without the client doing anything.
    """
    async with facing_raw_peer("server") as (_, peer):
        await peer.send_close(1000)
        await peer.read_close()

        assert b"" == await peer.read_rest()


async def test_the_client_waits_for_the_server_to_close_tcp():
    """
    A client that has exchanged close frames leaves the end of TCP to the
    server.
    """
    async with facing_raw_peer("client") as (connection, peer):
        await peer.send_close(1000)
        await peer.read_close()
        await settle()
        state = connection.state
        peer.close()
        await connection.wait_closed()

        assert lib.State.CLOSING is state
        assert lib.State.CLOSED is connection.state
