"""
Programs for anyio, in the room of the backend they run on.
"""

from __future__ import annotations

import contextlib

import anyio
import pytest
import sniffio

import socketeer
from socketeer.trio import client as trio_client
from socketeer.trio import server as trio_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    """
    Run each test on both backends.
    """
    return request.param


def connect(uri):
    """
    Connect in the room of the backend.
    """
    if sniffio.current_async_library() == "trio":
        return trio_client.connect(uri, proxy=None)
    return socketeer.connect(uri, proxy=None)


async def close(connection, code=1000):
    if isinstance(connection, trio_client.ClientConnection):
        await connection.aclose(code)
    else:
        await connection.close(code)


@contextlib.asynccontextmanager
async def serving(handler):
    """
    Run a server in the room of the backend; give the URI.
    """
    if sniffio.current_async_library() == "trio":
        async with anyio.create_task_group() as group:
            server = await group.start(run_trio_server, handler)
            async with server:
                port = server.listeners[0].socket.getsockname()[1]
                yield f"ws://127.0.0.1:{port}/"
    else:
        async with socketeer.serve(handler, "127.0.0.1", 0) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def run_trio_server(handler, *, task_status):
    await trio_server.serve(handler, 0, host="127.0.0.1", task_status=task_status)


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def test_echoes():
    """
    The same program on either backend.
    """
    async with serving(echo) as uri, connect(uri) as connection:
        await connection.send("hello")
        with anyio.fail_after(5):
            assert "hello" == await connection.recv()


async def test_timeouts_lose_no_message():
    """
    anyio cancels again and again until its scope is left.
    """
    async with serving(echo) as uri, connect(uri) as connection:
        for _ in range(3):
            with anyio.move_on_after(0.001) as scope:
                await connection.recv()
            assert scope.cancelled_caught
        await connection.send("late")
        with anyio.fail_after(5):
            assert "late" == await connection.recv()


async def test_task_groups():
    """
    A handler with two tasks, of which the first to end cancels the other.
    """

    async def handler(connection):
        async with anyio.create_task_group() as group:

            async def consume():
                assert "stop" == await connection.recv()
                group.cancel_scope.cancel()

            group.start_soon(consume)
            group.start_soon(anyio.sleep_forever)
        await connection.send("stopped")

    async with serving(handler) as uri, connect(uri) as connection:
        await connection.send("stop")
        with anyio.fail_after(5):
            assert ["stopped"] == [message async for message in connection]


async def test_canceled_scopes_close_connections():
    """
    A client that is left by cancellation ends with 1011, and its server is told.
    """
    ended = anyio.Event()
    codes = []

    async def handler(connection):
        await connection.wait_closed()
        codes.append(connection.close_code)
        ended.set()

    async with serving(handler) as uri:
        with anyio.move_on_after(0.05):
            async with connect(uri) as connection:
                await anyio.sleep_forever()
        with anyio.fail_after(5):
            await ended.wait()

    assert [1011] == codes
    assert "CLOSED" == connection.state.name


async def test_connections_of_fixtures():
    """
    Entered in one task and left in another one.
    """
    async with serving(echo) as uri:
        connector = connect(uri)
        async with anyio.create_task_group() as group:
            group.start_soon(connector.__aenter__)
        connection = connector.connection
        await connection.send("hello")
        with anyio.fail_after(5):
            assert "hello" == await connection.recv()
        await close(connection)
