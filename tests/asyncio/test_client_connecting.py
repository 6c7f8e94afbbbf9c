"""
connect(): three ways to use it, where it connects, and what it raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.asyncio.harness import settle
from tests.asyncio.raw import RawListener
from tests.under_test import lib

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def silent_server():
    """
    Listen, accept, and say nothing.
    """
    listener = RawListener()
    try:
        yield f"ws://127.0.0.1:{listener.port}/", listener
    finally:
        listener.close()


@pytest.fixture
def nobody():
    """
    Return the URI of a port on which nobody listens.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}/"


# Three ways


async def test_connect_may_be_awaited():
    """
    `connection = await connect(uri)`; closing is up to the caller.
    """
    async with nothing_left_over(), serving() as server:
        connection = await connecting(server.uri)

        assert isinstance(connection, lib.ClientConnection)
        await connection.send("hello")
        assert "hello" == await connection.recv()
        await connection.close()


async def test_connect_is_a_context_manager():
    """
    `async with connect(uri) as connection` closes it with 1000.
    """
    async with nothing_left_over(), serving() as server:
        async with connecting(server.uri) as connection:
            assert isinstance(connection, lib.ClientConnection)
            assert lib.State.OPEN is connection.state

        assert lib.State.CLOSED is connection.state
        assert (1000, "") == (connection.close_code, connection.close_reason)


async def test_connect_has_a_method_connect():
    """
    `await connect(uri).connect()` is a coroutine for `create_task()`.
    """
    async with nothing_left_over(), serving() as server:
        opening = asyncio.create_task(connecting(server.uri).connect())
        connection = await opening

        assert isinstance(connection, lib.ClientConnection)
        await connection.close()


async def test_nothing_happens_before_it_is_awaited():
    """
    Making a connect object opens no connection.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        connecting(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        await settle()

        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_connect_may_be_used_again_afterwards():
    """
    One object opens one connection after another.
    """
    async with nothing_left_over(), serving() as server:
        opening = connecting(server.uri)
        for _ in range(2):
            async with opening as connection:
                await connection.send("hello")
                assert "hello" == await connection.recv()


async def test_connect_cannot_be_entered_twice():
    """
    While a connection of this object is open, it cannot make another.
    """
    async with serving() as server:
        opening = connecting(server.uri)
        async with opening:
            with pytest.raises(RuntimeError, match=r"connect\(\) isn't reentrant"):
                await opening.__aenter__()


async def test_connect_may_be_subclassed():
    """
    Programs derive from `connect`.
    """

    class Echo(lib.connect):
        def __init__(self, port, **options):
            super().__init__(f"ws://127.0.0.1:{port}/", proxy=None, **options)

    async with serving() as server, Echo(server.port) as connection:
        await connection.send("hello")
        assert "hello" == await connection.recv()


@pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError, GeneratorExit])
async def test_an_exception_that_leaves_the_context_closes_with_1011(error):
    """
    The server learns that it was no normal end; the exception passes.
    """
    closed = asyncio.get_running_loop().create_future()

    async def handler(connection):
        await connection.wait_closed()
        closed.set_result((connection.close_code, connection.close_reason))

    async with nothing_left_over(), serving(handler) as server:
        with pytest.raises(error):
            async with connecting(server.uri):
                raise error

        assert (1011, "") == await closed


# Where


async def test_host_and_port_override_those_of_the_uri():
    """
    The TCP connection goes elsewhere; the request does not change.
    """
    async with serving() as server:
        async with connecting(
            "ws://example.test/", host="127.0.0.1", port=server.port
        ) as connection:
            assert "example.test" == connection.request.headers["Host"]
            await connection.send("hello")
            assert "hello" == await connection.recv()


async def test_port_alone_may_be_overridden():
    """
    The host stays that of the URI.
    """
    async with serving() as server:
        async with connecting("ws://127.0.0.1/", port=server.port) as connection:
            assert "127.0.0.1" == connection.request.headers["Host"]


async def test_sock_is_used_as_it_is():
    """
    A socket that is connected already is spoken on, and closed in the end.
    """
    async with nothing_left_over(), serving() as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        address = sock.getsockname()
        async with connecting("ws://example.test/", sock=sock) as connection:
            assert address == connection.local_address
            await connection.send("hello")
            assert "hello" == await connection.recv()

    assert -1 == sock.fileno()


async def test_local_addr():
    """
    The connection comes from the address that was asked for.
    """
    async with serving() as server:
        async with connecting(server.uri, local_addr=("127.0.0.2", 0)) as connection:
            assert "127.0.0.2" == connection.local_address[0]
            [at_server] = server.server.connections

            assert connection.local_address == at_server.remote_address


@pytest.mark.parametrize(
    "options",
    [
        {"family": socket.AF_INET},
        {"proto": socket.IPPROTO_TCP},
    ],
)
async def test_options_of_create_connection_are_passed_on(options):
    """
    What `loop.create_connection()` takes is taken.
    """
    async with serving() as server, connecting(server.uri, **options) as connection:
        await connection.send("hello")

        assert "hello" == await connection.recv()


async def test_an_unknown_option_is_a_type_error():
    """
    A misspelled parameter does not go unnoticed.
    """
    async with serving() as server:
        with pytest.raises(TypeError):
            await connecting(server.uri, ping_intervall=20)


@pytest.fixture
def path(tmp_path):
    """
    Return the path of a Unix socket, short enough for the system.
    """
    return os.path.relpath(tmp_path / "socket")


async def test_unix_connect_asks_for_localhost(path):
    """
    Without a URI it is `ws://localhost/`.
    """
    async with lib.unix_serve(echo, path), lib.unix_connect(path) as connection:
        assert "localhost" == connection.request.headers["Host"]
        assert "/" == connection.request.path


async def test_unix_connect_with_a_uri(path):
    """
    The URI gives host and target, the path the socket.
    """
    async with (
        lib.unix_serve(echo, path),
        lib.unix_connect(path, "ws://example.test/chat") as connection,
    ):
        assert "example.test" == connection.request.headers["Host"]
        assert "/chat" == connection.request.path


async def test_unix_connect_to_nobody(path):
    """
    A path without a server is an OSError.
    """
    with pytest.raises(FileNotFoundError):
        await lib.unix_connect(path)


async def test_create_connection_makes_the_connection():
    """
    A subclass of ClientConnection, and one of ServerConnection.
    """
    seen = []

    class Client(lib.ClientConnection):
        async def shout(self, text):
            await self.send(text.upper())

    class Server(lib.ServerConnection):
        pass

    async def handler(connection):
        seen.append(type(connection))
        await echo(connection)

    async with serving(handler, create_connection=Server) as server:
        async with connecting(server.uri, create_connection=Client) as connection:
            await connection.shout("hello")

            assert "HELLO" == await connection.recv()
    assert [Server] == seen


# Errors


async def test_nobody_listens(nobody):
    """
    A refused TCP connection is an OSError.
    """
    async with nothing_left_over():
        with pytest.raises(ConnectionRefusedError):
            await connecting(nobody)


async def test_open_timeout():
    """
    A server that does not answer is left by TimeoutError.
    """
    async with nothing_left_over(), silent_server() as (uri, listener):
        with pytest.raises(TimeoutError) as raised:
            await connecting(uri, open_timeout=0.05)

        assert "timed out during opening handshake" == str(raised.value)
        with contextlib.closing(await listener.accept()) as peer:
            await peer.read_head()
            assert b"" == await peer.read_rest()


async def test_open_timeout_none_waits():
    """
    Without a limit the answer may take as long as it takes.
    """
    async with nothing_left_over(), silent_server() as (uri, listener):
        opening = asyncio.create_task(connecting(uri, open_timeout=None).connect())
        with contextlib.closing(await listener.accept()) as peer:
            await settle()
            await peer.open_as_server()
            connection = await opening

            assert lib.State.OPEN is connection.state
            connection.transport.abort()


async def test_cancelling_connect_leaves_nothing():
    """
    The TCP connection ends with the task.
    """
    async with nothing_left_over(), silent_server() as (uri, listener):
        opening = asyncio.create_task(connecting(uri).connect())
        with contextlib.closing(await listener.accept()) as peer:
            await peer.read_head()
            opening.cancel()
            await asyncio.wait([opening])

            assert opening.cancelled()
            assert b"" == await peer.read_rest()


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("http://localhost/", "scheme isn't ws or wss"),
        ("localhost:8765", "scheme isn't ws or wss"),
        ("ws:///chat", "hostname isn't provided"),
        ("ws://localhost/#room", "fragment identifier is meaningless"),
        ("ws://ada@localhost/", "username provided without password"),
    ],
)
async def test_an_invalid_uri(uri, text):
    """
    InvalidURI quotes the URI and says what is wrong with it.
    """
    with pytest.raises(lib.InvalidURI) as raised:
        await connecting(uri)

    assert f"{uri} isn't a valid URI: {text}" == str(raised.value)
    assert uri == raised.value.uri


@pytest.mark.parametrize(
    ("uri", "options", "text"),
    [
        (
            "ws://127.0.0.1/",
            {"ssl": True},
            "ssl argument is incompatible with a ws:// URI",
        ),
        (
            "wss://127.0.0.1/",
            {"ssl": None},
            "ssl=None is incompatible with a wss:// URI",
        ),
    ],
)
async def test_uri_and_ssl_must_agree(uri, options, text):
    """
    TLS with ws://, or none with wss://, is a ValueError.
    """
    with pytest.raises(ValueError, match=re.escape(text)):
        await connecting(uri, **options)


@pytest.mark.parametrize("function", [connecting, lib.unix_connect])
async def test_compression_is_deflate_or_none(function):
    """
    Anything else is a ValueError.
    """
    with pytest.raises(ValueError, match="unsupported compression: gzip"):
        await function("ws://127.0.0.1/", compression="gzip")


async def test_subprotocols_are_a_list():
    """
    A string in its place is a mistake that shows.
    """
    with pytest.raises(TypeError, match="subprotocols must be a list, not a str"):
        await connecting("ws://127.0.0.1/", subprotocols="chat")


async def test_a_failed_connect_logs_nothing(nobody, caplog):
    """
    The exception says it all.
    """
    with pytest.raises(ConnectionRefusedError):
        await connecting(nobody)

    assert [] == [r for r in caplog.records if r.levelno > logging.INFO]
