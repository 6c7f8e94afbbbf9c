"""
Loops that cannot watch sockets, as Windows' default one: their own transports serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref

import pytest
import uvloop

from tests.asyncio.exchange import (
    connecting,
    dial,
    echo,
    nothing_left_over,
    read_answer,
    serving,
)
from tests.asyncio.harness import (
    both_sides,
    facing_raw_peer,
    linked,
    settle,
    small_kernel_buffers,
    wait_until,
)
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


class Unwatching:
    """
    Refuses to watch what its user wants watched; its transports work.
    """

    def add_reader(self, fd, callback, *args):
        raise NotImplementedError

    def add_writer(self, fd, callback, *args):
        raise NotImplementedError


class UnwatchingLoop(Unwatching, asyncio.SelectorEventLoop):
    pass


class UnwatchingUvloop(Unwatching, uvloop.Loop):
    pass


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("asyncio", {"loop_factory": UnwatchingLoop}), id="asyncio"),
        pytest.param(("asyncio", {"loop_factory": UnwatchingUvloop}), id="uvloop"),
    ],
)
def anyio_backend(request):
    return request.param


MESSAGES = ["hello", b"\x00\xff", "x" * 1_000_000, "", *map(str, range(100))]


async def exchange(connection):
    for message in MESSAGES:
        await connection.send(message)
        assert message == await connection.recv()


async def test_messages():
    """
    Small and large ones come back.
    """
    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as connection:
            assert "ForeignWire" not in type(connection.transport).__name__
            await exchange(connection)

    assert (1000, "") == (connection.close_code, connection.close_reason)


async def test_messages_over_tls(server_ssl_context, client_ssl_context):
    """
    The loop's transports speak TLS, too.
    """
    options = {"ssl_handshake_timeout": 5, "ssl_shutdown_timeout": 5}
    async with serving(ssl=server_ssl_context, **options) as server:
        async with connecting(
            server.uri, ssl=client_ssl_context, **options
        ) as connection:
            await exchange(connection)
            assert connection.transport.get_extra_info("peercert")

    assert 1000 == connection.close_code


async def test_a_unix_socket(tmp_path):
    """
    By its path.
    """
    path = str(tmp_path / "socket")
    async with lib.unix_serve(echo, path):
        async with lib.unix_connect(path) as connection:
            await exchange(connection)


async def test_several_addresses():
    """
    A listener for each; they are one server.
    """
    async with lib.serve(echo, ["127.0.0.1", "::1"], 0, start_serving=False) as server:
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        assert server.get_loop() is asyncio.get_running_loop()
        for sock in server.sockets:
            host, port = sock.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            async with connecting(f"ws://{host}:{port}") as connection:
                await connection.send("hello")
                assert "hello" == await connection.recv()

    assert 2 == len(server.server.sockets) or () == server.sockets


@both_sides
async def test_backpressure(side):
    """
    A sender waits for a slow peer, and goes on when that has caught up.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)

        async def send_all():
            for _ in range(200):
                await connection.send(bytes(20_000))

        task = asyncio.create_task(send_all())
        await settle()
        assert not task.done()
        assert connection.backlog > 0
        for _ in range(200):
            assert RawFrame(0x82, bytes(20_000)) == await peer.read_frame()
        await task
        assert 0 == connection.backlog


@both_sides
async def test_pausing_reading(side):
    """
    Who receives nothing reads nothing; later, everything is there in order.
    """
    async with linked(side, max_queue=4) as (connection, other):

        async def send_all():
            for number in range(300):
                await other.send(f"{number:10000}")

        task = asyncio.create_task(send_all())
        await settle()
        assert not connection.transport.is_reading()
        received = [int(await connection.recv()) for _ in range(300)]
        await task

        assert list(range(300)) == received


async def test_broadcasting():
    """
    Everybody gets the message, however slow the others are.
    """
    async with facing_raw_peer("server") as (slow, peer):
        small_kernel_buffers(slow, peer)
        for number in range(200):
            lib.broadcast([slow], f"{number:20000}", on_overflow="drop")
            await asyncio.sleep(0)
        assert slow.dropped > 0
        for number in range(200 - slow.dropped):
            assert number == int((await peer.read_frame()).payload)


@both_sides
@pytest.mark.parametrize("way", ["close", "half_close", "reset"])
async def test_the_end_by_the_peer(side, way):
    """
    With a close frame, without one, and with a reset.
    """
    async with facing_raw_peer(side) as (connection, peer):
        if way == "close":
            await peer.send_close(1001)
            peer.half_close()
        elif way == "half_close":
            peer.half_close()
        else:
            peer.reset()
        with pytest.raises(lib.ConnectionClosed):
            await connection.recv()
        if way == "close":
            assert 1001 == connection.close_code
        else:
            assert 1006 == connection.close_code


async def test_a_server_that_closes():
    """
    Its connections are closed with 1001.
    """
    async with serving() as server:
        connection = await connecting(server.uri)
        server.server.close()
        with pytest.raises(lib.ConnectionClosedOK):
            await connection.recv()

    assert 1001 == connection.close_code


async def test_aborting():
    """
    Ends the connection for both.
    """
    async with linked("server") as (connection, other):
        connection.transport.abort()
        await connection.wait_closed()
        with pytest.raises(lib.ConnectionClosedError):
            await other.recv()


async def test_nothing_of_a_connection_is_left(caplog):
    """
    Its memory is free at once, without a search for cycles.
    """
    caplog.set_level(logging.ERROR)
    gc.collect()
    gc.disable()
    try:
        async with serving() as server:
            connection = await connecting(server.uri)
            await connection.send("hello")
            await connection.recv()
            await connection.close()
            link = weakref.ref(connection)
            del connection
            await wait_until(lambda: not server.server.connections)
            await settle()
            assert link() is None
    finally:
        gc.enable()


async def test_a_client_of_a_hundred_connections():
    """
    Opened and aborted at once, all of them end.
    """
    async with nothing_left_over(), serving() as server:
        connections = await asyncio.gather(
            *[connecting(server.uri) for _ in range(100)]
        )
        for connection in connections[::2]:
            connection.transport.abort()
        await asyncio.gather(*[each.close() for each in connections])

        codes = [each.close_code for each in connections]
        assert [1006, 1000] * 50 == codes


async def test_more_handshakes_than_allowed():
    """
    As on transports of our own: 503 at once.
    """
    async with nothing_left_over(), serving(max_handshakes=1) as server:
        with contextlib.closing(await dial(server.port)):
            await wait_until(lambda: server.server.statistics()["handshakes"] == 1)
            with contextlib.closing(await dial(server.port)) as peer:
                assert 503 == (await read_answer(peer)).status
            with contextlib.closing(await dial(server.port)) as peer:
                await peer.send(b"GET / HTTP")
                assert 503 == (await read_answer(peer)).status
            assert 2 == server.server.statistics()["rejected_max_handshakes"]
