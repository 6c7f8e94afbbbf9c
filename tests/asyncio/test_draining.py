"""
A server that closes its connections one after another, and says what delays it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import pytest

from socketeer import _watching
from socketeer.asyncio import running
from tests.asyncio.exchange import (
    ask,
    connecting,
    nothing_left_over,
    opening_request,
    serving,
)
from tests.asyncio.harness import settle, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


async def test_draining(caplog):
    """
    Connections are closed evenly over the time, with 1012; new ones get 503.
    """
    caplog.set_level(logging.INFO)
    async with nothing_left_over(), serving() as server:
        clients = [await connecting(server.uri) for _ in range(3)]
        start = time.monotonic()
        closing = server.server.close(drain=0.15)
        ends = []

        async def note_the_end(client):
            await client.wait_closed()
            ends.append(time.monotonic() - start)

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(note_the_end(client))
            await settle()
            # A third of the connections, not all of them.
            assert 1 == len(ends)
            answer = await ask(server.port, opening_request())
            assert (503, "Server is shutting down.\n") == (answer.status, answer.text)
        await closing

        assert [(1012, "")] * 3 == [(c.close_code, c.close_reason) for c in clients]
        # Timers may be a millisecond early.
        assert ends[1] >= 0.049
        assert ends[2] >= 0.099
        assert "server draining 3 connections over 0 s" in caplog.messages


async def test_draining_with_a_code_and_a_reason():
    """
    As without draining.
    """
    async with serving() as server, connecting(server.uri) as client:
        server.server.close(code=4000, reason="see you", drain=0.01)
        await client.wait_closed()

        assert (4000, "see you") == (client.close_code, client.close_reason)


async def test_the_end_of_draining():
    """
    `close(drain=0)` closes what is left; `close()` alone does nothing.
    """
    async with nothing_left_over(), serving() as server:
        clients = [await connecting(server.uri) for _ in range(3)]
        server.server.close(drain=3600)
        await clients_left(clients, 2)
        server.server.close()
        await settle()
        await clients_left(clients, 2)
        server.server.close(drain=0)
        server.server.close(drain=0)
        await server.server.wait_closed()

        assert [1012] * 3 == [client.close_code for client in clients]


async def clients_left(clients, count):
    await wait_until(
        lambda: count == sum(client.close_code is None for client in clients)
    )


async def test_connections_that_end_while_draining():
    """
    Are gone when their turn comes.
    """
    async with nothing_left_over(), serving() as server:
        clients = [await connecting(server.uri) for _ in range(3)]
        server.server.close(drain=0.03)
        for client in clients:
            await client.close()
        await server.server.wait_closed()

        # By themselves, or by the server before.
        assert {1000, 1012} >= {client.close_code for client in clients}


async def test_draining_a_server_without_connections():
    """
    Takes no time.
    """
    async with serving() as server:
        async with asyncio.timeout(5) as timeout:
            await server.server.close(drain=3600)

    assert not timeout.expired()
    assert not server.server.is_serving()


@pytest.mark.parametrize(
    "options",
    [{"drain": -1}, {"drain": float("inf")}, {"drain": float("nan")}],
)
async def test_draining_for_no_time(options):
    """
    Nonsense is refused, and the server goes on.
    """
    async with serving() as server:
        with pytest.raises(ValueError, match="drain must be positive or zero"):
            server.server.close(**options)
        assert not server.server.is_closing()


async def test_draining_without_closing():
    """
    There would be nothing to do.
    """
    async with serving() as server:
        with pytest.raises(ValueError, match="only with close_connections"):
            server.server.close(False, drain=1)


# What delays a server


async def test_handlers_that_do_not_return(caplog, monkeypatch):
    """
    Are named once, while the server goes on waiting for them.
    """
    monkeypatch.setattr(running, "HANDLERS_GRACE", 0.01)
    release = asyncio.Event()

    async def handler(connection):
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with nothing_left_over(), serving(handler) as server:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(6):
                await stack.enter_async_context(connecting(server.uri))
            for task in server.server.handler_tasks:
                task.cancel()
            closing = server.server.close()
            await wait_until(lambda: bool(caplog.messages))
            assert not closing.done()
            release.set()
            await closing

        [message] = caplog.messages
        prefix = "server closing: 6 connection handlers have not returned: Task-"
        assert message.startswith(prefix)
        assert message.endswith(", ...")


async def test_a_handler_that_blocks_the_loop(caplog, monkeypatch):
    """
    Is noticed, said once, counted each time, and survived.
    """
    monkeypatch.setattr(_watching, "BLOCKED_AFTER", 0.02)
    monkeypatch.setattr(_watching, "INTERVAL", 0.01)

    async def handler(connection):
        async for message in connection:
            time.sleep(0.06)  # noqa: ASYNC251 - what is wrong with it
            await connection.send(message)

    def blocked():
        return server.server.statistics()["loop_blocked"]

    async with (
        nothing_left_over(),
        serving(handler, ping_interval=0.01, ping_timeout=0.02) as server,
        connecting(server.uri, ping_interval=None) as client,
    ):
        for number in range(1, 4):
            await client.send("block")
            assert "block" == await client.recv()
            await wait_until(lambda number=number: blocked() >= number)

        [message] = caplog.messages
        assert message.startswith("event loop blocked for 0.")
