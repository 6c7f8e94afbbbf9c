"""
How a server ends: its connections, its handlers, and who waits for whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    dial,
    echo,
    nothing_left_over,
    opening_request,
    serving,
)
from tests.asyncio.harness import settle, wait_until
from tests.asyncio.raw import RawPeer
from tests.under_test import lib

pytestmark = pytest.mark.anyio


async def assert_waits(task):
    """
    Assert that a task still waits for something else.
    """
    await settle()
    assert not task.done()


async def test_close_tells_clients_that_the_server_goes_away():
    """
    Every open connection is closed with 1001 (RFC 6455, 7.4.1).
    """
    async with nothing_left_over(), serving() as server:
        clients = [await connecting(server.uri) for _ in range(3)]
        server.server.close()
        await server.server.wait_closed()
        for client in clients:
            await client.wait_closed()

        assert [(1001, "")] * 3 == [(c.close_code, c.close_reason) for c in clients]


@pytest.mark.parametrize("code", [1012, lib.CloseCode.SERVICE_RESTART, 4000])
async def test_close_with_another_code_and_reason(code):
    """
    A restart may be announced as one.
    """
    async with serving() as server, connecting(server.uri) as client:
        server.server.close(code=code, reason="back in a minute")
        await client.wait_closed()

        assert (code, "back in a minute") == (client.close_code, client.close_reason)


@pytest.mark.ours
@pytest.mark.parametrize(("code", "reason"), [(999, ""), (1005, ""), (1001, "x" * 124)])
async def test_close_with_what_cannot_be_sent(code, reason):
    """
    Is refused at once, and nothing is closed.
    """
    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as client:
            with pytest.raises(lib.ProtocolError):
                server.server.close(code=code, reason=reason)

            assert server.server.is_serving()
            await client.send("still here")
            assert "still here" == await client.recv()


async def test_the_end_of_the_context_closes_with_1001():
    """
    Leaving `async with serve(...)` is the same as `close()`.
    """
    async with lib.serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = await connecting(f"ws://127.0.0.1:{port}")
    await client.wait_closed()

    assert 1001 == client.close_code


async def test_close_stops_accepting():
    """
    A new client is refused, by the system or by the server.
    """
    async with serving() as server:
        server.server.close()
        await server.server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await connecting(server.uri)

    assert not server.server.is_serving()
    assert () == tuple(server.server.sockets)


async def test_close_connections_false_keeps_them():
    """
    Nobody new gets in; who is in stays until he wants to leave.
    """
    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as client:
            server.server.close(close_connections=False)
            waiting = asyncio.create_task(server.server.wait_closed())
            await assert_waits(waiting)
            await client.send("still there?")

            assert "still there?" == await client.recv()
            assert lib.State.OPEN is client.state
            with pytest.raises(ConnectionRefusedError):
                await connecting(server.uri)
            await assert_waits(waiting)
        await waiting

    assert (1000, "") == (client.close_code, client.close_reason)


async def test_close_may_be_called_again():
    """
    The second call does nothing; code and reason are those of the first.
    """
    async with serving() as server, connecting(server.uri) as client:
        server.server.close(code=1012)
        server.server.close(code=1013)
        await client.wait_closed()
        await server.server.wait_closed()
        server.server.close()

        assert 1012 == client.close_code


async def test_close_does_not_wait():
    """
    `close()` is a function: it begins the end, which happens in the loop.
    """
    async with serving() as server, connecting(server.uri) as client:
        server.server.close()

        assert lib.State.OPEN is client.state
        await client.wait_closed()


async def test_wait_closed_waits_for_connections():
    """
    It returns when the last TCP connection has ended.
    """
    async with nothing_left_over(), serving() as server:
        with contextlib.closing(await RawPeer.connect(server.port)) as peer:
            waiting = asyncio.create_task(server.server.wait_closed())
            await assert_waits(waiting)
            server.server.close()

            assert (1001, "") == await peer.read_close()
            await assert_waits(waiting)
            await peer.send_close(1001)
        await waiting


async def test_wait_closed_waits_for_handlers():
    """
    Handlers are awaited, not cancelled, however long they clean up.
    """
    finishing, finish = asyncio.Event(), asyncio.Event()
    finished = []

    async def handler(connection):
        async for _ in connection:
            pass
        finishing.set()
        await finish.wait()
        finished.append(connection)

    async with nothing_left_over(), serving(handler) as server:
        client = await connecting(server.uri)
        server.server.close()
        waiting = asyncio.create_task(server.server.wait_closed())
        await client.wait_closed()
        await finishing.wait()
        await assert_waits(waiting)
        finish.set()
        await waiting

        assert 1 == len(finished)


async def test_several_tasks_may_wait():
    """
    `wait_closed()` may be awaited by many, and again afterwards.
    """
    async with serving() as server:
        waiting = [asyncio.create_task(server.server.wait_closed()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        server.server.close()

        assert [None] * 3 == await asyncio.gather(*waiting)
        assert await server.server.wait_closed() is None


async def test_cancelling_wait_closed_leaves_the_server_alone():
    """
    Only the waiting ends.
    """
    async with serving() as server:
        waiting = asyncio.create_task(server.server.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

        assert waiting.cancelled()
        async with connecting(server.uri) as client:
            await client.send("alive")
            assert "alive" == await client.recv()


async def test_a_peer_that_does_not_answer_is_cut_off():
    """
    The closing handshake has `close_timeout` seconds, then the end.
    """
    async with nothing_left_over(), serving(close_timeout=0.05) as server:
        with contextlib.closing(await RawPeer.connect(server.port)) as peer:
            server.server.close()
            await server.server.wait_closed()

            assert (1001, "") == await peer.read_close()
            assert b"" == await peer.read_rest()


async def test_a_handler_that_fails_at_shutdown_does_not_stop_it(caplog):
    """
    The error is logged, and the server ends.
    """

    async def handler(connection):
        await connection.wait_closed()
        raise LookupError

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            server.server.close()
            await server.server.wait_closed()
            await client.wait_closed()

    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert "connection handler failed" == record.getMessage()
    assert LookupError is record.exc_info[0]


async def test_a_request_may_still_come_while_the_server_closes():
    """
    A TCP connection accepted before gets 503 to its request.
    """
    async with nothing_left_over(), serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request()[:-2])
            await settle()
            server.server.close()
            await settle()
            await peer.send(opening_request()[-2:])
            answer = await peer.read_rest()
        await server.server.wait_closed()

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


@pytest.mark.parametrize("part", [0, 30])
async def test_a_peer_without_a_request_delays_the_end_only_so_long(part):
    """
    `open_timeout` bounds that, and `close_timeout` what follows.
    """
    options = {"open_timeout": 0.05, "close_timeout": 0.05}
    async with nothing_left_over(), serving(**options) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request()[:part])
            await settle()
            server.server.close()
            await server.server.wait_closed()
            # The peer did nothing about it: the server has let go of it.
            await peer.read_rest()


@pytest.mark.ours
async def test_a_hook_that_returns_while_the_server_closes():
    """
    The connection is refused with 503 after all: nobody would close it any more.
    """
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def process_response(connection, request, response):
        asked.set()
        await go_on.wait()

    async with serving(process_response=process_response) as server:
        answer = asyncio.create_task(ask(server.port, opening_request()))
        await asked.wait()
        server.server.close()
        await settle()
        go_on.set()

        assert 503 == (await answer).status
        await server.server.wait_closed()


async def test_connections_are_the_open_ones():
    """
    `connections` has a connection from its handler's start to its close.
    """
    async with serving() as server:
        assert set() == server.server.connections
        async with connecting(server.uri) as client:
            await (await client.ping())
            [connection] = server.server.connections

            assert isinstance(connection, lib.ServerConnection)
            assert client.local_address == connection.remote_address
            assert connection.server is server.server
        await wait_until(lambda: not server.server.connections)


async def test_a_closing_connection_is_not_among_them():
    """
    A connection that waits for the peer's close frame does not count.
    """
    closing = asyncio.Event()

    async def handler(connection):
        closing.set()
        await connection.close()

    async with serving(handler, close_timeout=0.05) as server:
        with contextlib.closing(await RawPeer.connect(server.port)) as peer:
            await closing.wait()
            await peer.read_close()

            assert set() == server.server.connections


async def test_connections_is_a_copy():
    """
    Connections may come and go while a program goes through the set.
    """
    async with serving() as server, connecting(server.uri) as client:
        await (await client.ping())
        before = server.server.connections
        async with connecting(server.uri) as second:
            await (await second.ping())

            assert 1 == len(before)
            assert 2 == len(server.server.connections)


async def test_a_hundred_connections_end_together():
    """
    All handlers end, and nothing is left over.
    """
    ended = []

    async def handler(connection):
        try:
            async for message in connection:
                await connection.send(message)
        finally:
            ended.append(connection)

    async with nothing_left_over(), serving(handler) as server:
        opening = [connecting(server.uri).connect() for _ in range(100)]
        clients = await asyncio.gather(*opening)
        server.server.close()
        await server.server.wait_closed()
        for client in clients:
            await client.wait_closed()

    assert 100 == len(ended)
