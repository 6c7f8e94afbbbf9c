"""
What type checkers know about programs that use the library.

``make check`` has mypy and pyright look at this file; it fails when a type is
another one, or when an error that has to be found is not.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus
from typing import assert_type

from socketeer.asyncio.client import ClientConnection, connect, unix_connect
from socketeer.asyncio.connection import Connection, PreparedMessage, prepare
from socketeer.asyncio.server import (
    Server,
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)
from socketeer.exceptions import ConnectionClosed
from socketeer.frames import Close
from socketeer.http11 import Request, Response
from socketeer.pubsub import Hub, Subscription
from socketeer.typing import Data, Origin, Subprotocol


async def receive(connection: Connection, decode: bool | None) -> None:
    """
    The argument of ``recv()`` decides on the type of the message.
    """
    assert_type(await connection.recv(), Data)
    assert_type(await connection.recv(None), Data)
    assert_type(await connection.recv(True), str)
    assert_type(await connection.recv(decode=False), bytes)
    assert_type(await connection.recv(decode), Data)
    async for message in connection:
        assert_type(message, Data)
    async for fragment in connection.recv_streaming():
        assert_type(fragment, Data)
    async for text in connection.recv_streaming(decode=True):
        assert_type(text, str)
    async for piece in connection.recv_streaming(decode=False):
        assert_type(piece, bytes)


async def follow(hub: Hub, connection: ServerConnection) -> None:
    """
    A connection can be attached to a hub.
    """
    async with hub.attach(connection, user="ada") as session:
        assert_type(await session.subscribe("room", recent=5), Subscription)


async def pieces() -> AsyncIterator[bytes]:
    """
    An asynchronous iterable to be sent.
    """
    yield b"piece"


async def send(connection: Connection) -> None:
    """
    Whatever is a message can be sent, and nothing else.
    """
    await connection.send("text")
    await connection.send(b"bytes", text=True)
    await connection.send(memoryview(b"bytes"), compress=False)
    await connection.send(["a", "b"])
    await connection.send(pieces())
    await connection.send(1)  # type: ignore[arg-type]  # a number is no message
    assert_type(await connection.ping(), Awaitable[float])
    latency = await (await connection.ping(b"payload"))
    assert_type(latency, float)
    await connection.pong()
    await connection.close(1001, "going away")
    await connection.wait_closed()


def look(connection: Connection) -> None:
    """
    Attributes are of known types.
    """
    assert_type(connection.request, Request | None)
    assert_type(connection.response, Response | None)
    assert_type(connection.subprotocol, Subprotocol | None)
    assert_type(connection.latency, float)
    assert_type(connection.close_code, int | None)
    assert_type(connection.close_reason, str | None)


async def handler(connection: ServerConnection) -> None:
    """
    An echo server.
    """
    assert_type(connection.server, Server)
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed as exc:
        assert_type(exc.rcvd, Close | None)


async def client_handler(connection: ClientConnection) -> None:
    """
    Not for servers.
    """
    await connection.close()


def process_request(connection: ServerConnection, request: Request) -> Response | None:
    """
    A hook that is a function.
    """
    if request.path == "/health":
        return connection.respond(HTTPStatus.OK, "OK\n")
    return None


async def process_response(
    _connection: ServerConnection, _request: Request, response: Response
) -> Response:
    """
    A hook that is a coroutine function.
    """
    response.headers["X-Answer"] = "42"
    return response


def select_subprotocol(
    _connection: ServerConnection, subprotocols: object
) -> Subprotocol | None:
    """
    A hook that is content with less than it gets.
    """
    return Subprotocol("chat") if subprotocols else None


async def run_server(context: ssl.SSLContext) -> None:
    """
    A server, awaited or entered.
    """
    async with serve(
        handler,
        "localhost",
        8765,
        origins=[Origin("https://example.com"), None],
        subprotocols=[Subprotocol("chat")],
        select_subprotocol=select_subprotocol,
        process_request=process_request,
        process_response=process_response,
        max_size=(2**20, 2**16),
        ssl=context,
    ) as server:
        assert_type(server, Server)
        assert_type(server.connections, set[ServerConnection])
        broadcast(server.connections, "news", on_overflow="drop")
        await server.serve_forever()
    server = await serve(handler, port=0)
    assert_type(server, Server)
    server.close(code=1012)
    await server.wait_closed()
    async with unix_serve(handler, "/run/chat.sock") as server:
        await server.serve_forever()
    guard = basic_auth("realm", ("user", "password"))
    serve(handler, process_request=guard)
    serve(client_handler)  # type: ignore[arg-type]  # not a server's connection
    serve(print)  # type: ignore[arg-type]  # not to be awaited


async def run_client() -> None:
    """
    A client, awaited or entered.
    """
    async with connect("ws://localhost:8765", ping_timeout=None) as connection:
        assert_type(connection, ClientConnection)
        await connection.send("Hello!")
        assert_type(await connection.recv(decode=True), str)
    connection = await connect("ws://localhost:8765", compression=None)
    assert_type(connection, ClientConnection)
    async with connection as entered:
        assert_type(entered, ClientConnection)
    async with unix_connect("/run/chat.sock") as connection:
        assert_type(connection, ClientConnection)


async def fan_out(connection: ServerConnection) -> None:
    """
    A message framed once.
    """
    message = prepare("news")
    assert_type(message, PreparedMessage)
    assert_type(connection.send_prepared(message, on_overflow="latest"), bool)
    await connection.wait_drained()
    broadcast({connection}, b"news", max_backlog=None)
