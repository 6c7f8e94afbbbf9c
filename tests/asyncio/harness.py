"""
Connections under test: one end is the library's, the other as the test needs.

Everything here is parametrised by a side, `"server"` or `"client"`: the side
of the connection under test, so that one test covers both.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from tests.asyncio.raw import RawListener, RawPeer
from tests.under_test import lib

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = [
    "SIDES",
    "Side",
    "both_sides",
    "connected",
    "facing_raw_peer",
    "linked",
    "serving",
    "settle",
    "small_kernel_buffers",
    "wait_until",
]

Side = Literal["server", "client"]
SIDES: tuple[Side, ...] = ("server", "client")

# Runs a test for the connection of a server and for that of a client.
both_sides = pytest.mark.parametrize("side", SIDES)

# Ends a test that hangs; seconds, far above what any test needs.
HANG = 20


async def settle() -> None:
    """
    Let everything happen that is going to happen by itself.

    Loopback hands bytes over within the system call, so some turns of the
    loop are enough; the pauses leave room for timers that are already due.
    """
    for _ in range(10):
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0.001)


async def wait_until(condition: Callable[[], bool]) -> None:
    """
    Wait until a condition is true; the test hangs, and ends, if it never is.
    """
    while not condition():
        await asyncio.sleep(0.001)


def small_kernel_buffers(connection: Any, peer: RawPeer) -> None:
    """
    Make the kernel hold little between the two, so that backpressure is felt
    after some hundred kilobytes.
    """
    for sock in (connection.transport.get_extra_info("socket"), peer.sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)


class Serving(NamedTuple):
    """
    A server under test.

    Attributes:
        server: What `serve()` returned.
        port: Port on 127.0.0.1.
        uri: Where a client connects.
        accepted: Connections in the order their handlers were called.
    """

    server: Any
    port: int
    uri: str
    accepted: asyncio.Queue[Any]


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Serving]:
    """
    Run a server whose handlers wait until the context ends.

    Args:
        options: Arguments of `serve()`. Keepalive and compression are off
            unless given.
    """
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    finished = asyncio.Event()

    async def handler(connection: Any) -> None:
        accepted.put_nowait(connection)
        await finished.wait()

    options = {"ping_interval": None, "compression": None, **options}
    async with asyncio.timeout(HANG):
        server = await lib.serve(handler, "127.0.0.1", 0, **options)
        port = server.sockets[0].getsockname()[1]
        scheme = "wss" if options.get("ssl") else "ws"
        try:
            yield Serving(server, port, f"{scheme}://127.0.0.1:{port}/", accepted)
        finally:
            for connection in server.connections:
                connection.transport.abort()
            finished.set()
            server.close()
            await server.wait_closed()


@contextlib.asynccontextmanager
async def connected(uri: str, **options: Any) -> AsyncIterator[Any]:
    """
    Open a connection with `connect()` and abort it in the end.

    Args:
        uri: The server.
        options: Arguments of `connect()`. Keepalive and compression are off
            unless given.
    """
    options = {"ping_interval": None, "compression": None, **options}
    connection = await lib.connect(uri, proxy=None, **options)
    try:
        yield connection
    finally:
        # TLS transports of asyncio before Python 3.12 cannot be aborted twice.
        if connection.state is not lib.State.CLOSED:
            connection.transport.abort()
        await connection.wait_closed()


@contextlib.asynccontextmanager
async def facing_raw_peer(
    side: Side,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    receive_buffer: int | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, RawPeer]]:
    """
    Open a connection between the library and a peer made by hand.

    Args:
        side: Role of the library.
        headers: Added by the raw peer to its part of the opening handshake.
        receive_buffer: SO_RCVBUF of the raw peer, bytes.
        options: Arguments of `serve()` or `connect()`.

    Yields:
        The connection under test and its peer.
    """
    if side == "server":
        async with serving(**options) as server:
            peer = await RawPeer.connect(
                server.port, headers=headers, receive_buffer=receive_buffer
            )
            with contextlib.closing(peer):
                yield await server.accepted.get(), peer
        return
    listener = RawListener(receive_buffer=receive_buffer)
    accepting = asyncio.create_task(_accept(listener, headers))
    uri = f"ws://127.0.0.1:{listener.port}/"
    try:
        async with asyncio.timeout(HANG), connected(uri, **options) as connection:
            with contextlib.closing(await accepting) as peer:
                yield connection, peer
    finally:
        accepting.cancel()
        listener.close()


async def _accept(
    listener: RawListener, headers: tuple[tuple[str, str], ...]
) -> RawPeer:
    peer = await listener.accept()
    await peer.open_as_server(headers)
    return peer


@contextlib.asynccontextmanager
async def linked(
    side: Side, *, peer_options: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """
    Open a connection between the library's server and its client.

    Args:
        side: Role of the connection under test.
        peer_options: Arguments of `serve()` or `connect()` for the other end.
        options: Arguments of `serve()` or `connect()` for the end under test.

    Yields:
        The connection under test and the other end.
    """
    peer_options = peer_options or {}
    of_server, of_client = (
        (options, peer_options) if side == "server" else (peer_options, options)
    )
    async with (
        serving(**of_server) as server,
        connected(server.uri, **of_client) as client,
    ):
        accepted = await server.accepted.get()
        yield (accepted, client) if side == "server" else (client, accepted)
