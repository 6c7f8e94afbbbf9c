"""
Connections under test on trio: one end is the library's, the other as the test needs.

Most of them have no network below: streams in memory, made by ``trio.testing``. Those
of patterns and limits are on the loopback interface, with the real clock.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trio
from trio.testing import memory_stream_pair

from socketeer.trio.client import connect
from socketeer.trio.server import serve
from tests.asyncio.raw import RawPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = [
    "MemoryListener",
    "StreamPeer",
    "both_sides",
    "connecting",
    "echo",
    "eventually",
    "facing_raw_peer",
    "linked",
    "raw_client",
    "serving",
    "serving_tcp",
    "url",
]

# Runs a test for the connection of a server and for that of a client.
both_sides = pytest.mark.parametrize("side", ["server", "client"])

# Options that keep a connection quiet.
QUIET = {"ping_interval": None, "compression": None}

StreamPair = tuple[trio.abc.Stream, trio.abc.Stream]


class StreamPeer(RawPeer):
    """
    A peer made by hand, on a stream of trio.
    """

    def __init__(self, stream: trio.abc.Stream, role: Any) -> None:
        self.stream: Any = stream
        self.role = role
        self._unread = bytearray()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_split(self, data: bytes, at: int) -> None:
        await self.send(data[:at])
        await trio.testing.wait_all_tasks_blocked()
        await self.send(data[at:])

    async def _read_more(self) -> bool:
        data = await self.stream.receive_some()
        self._unread += data
        return bool(data)

    async def open_as_client(self, *headers: tuple[str, str]) -> None:
        await self._open_as_client(80, headers)

    async def close_after_close(self) -> None:
        """
        Wait for a close frame, answer it if it is the first one, and be gone.
        """
        await self.read_close()
        await self.send_close(1000)
        await self.stream.aclose()

    def close(self) -> None:
        """
        Be gone, at once.
        """
        trio.lowlevel.spawn_system_task(trio.aclose_forcefully, self.stream)


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """
    Accepts streams in memory.
    """

    def __init__(self, make_pair: Callable[[], StreamPair] = memory_stream_pair):
        self._make_pair = make_pair
        self._send, self._receive = trio.open_memory_channel[Any](100)

    def connect(self) -> trio.abc.Stream:
        """
        Return the client's end of a new stream.
        """
        ours, theirs = self._make_pair()
        self._send.send_nowait(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        stream: trio.abc.Stream = await self._receive.receive()
        return stream

    async def aclose(self) -> None:
        await self._receive.aclose()


class Serving(NamedTuple):
    """
    A server under test.

    Attributes:
        server: What ``serve()`` gave.
        listener: Where clients connect.
        accepted: Where its connections come out, in the order of handlers.
    """

    server: Any
    listener: MemoryListener
    accepted: trio.MemoryReceiveChannel[Any]

    async def raw_client(self, *headers: tuple[str, str]) -> StreamPeer:
        """
        Return a client made by hand which has opened a connection.
        """
        peer = StreamPeer(self.listener.connect(), "client")
        await peer.open_as_client(*headers)
        return peer


@contextlib.asynccontextmanager
async def serving(
    handler: Any = None,
    *,
    make_pair: Callable[[], StreamPair] = memory_stream_pair,
    **options: Any,
) -> AsyncIterator[Serving]:
    """
    Run a server; without a handler, connections stay open until the context ends.
    """
    send, receive = trio.open_memory_channel[Any](100)

    async def wait(connection: Any) -> None:
        send.send_nowait(connection)
        await trio.sleep_forever()

    listener = MemoryListener(make_pair)
    start = functools.partial(
        serve, handler or wait, listeners=[listener], **{**QUIET, **options}
    )
    async with trio.open_nursery() as nursery:
        yield Serving(await nursery.start(start), listener, receive)
        nursery.cancel_scope.cancel()


class Facing(NamedTuple):
    """
    A connection under test, and its peer.
    """

    connection: Any
    peer: StreamPeer


@contextlib.asynccontextmanager
async def facing_raw_peer(
    side: str,
    *,
    make_pair: Callable[[], StreamPair] = memory_stream_pair,
    **options: Any,
) -> AsyncIterator[Facing]:
    """
    Give a connection of ours and a peer made by hand.

    Args:
        side: Whose the connection is: ``"server"`` or ``"client"``.
        make_pair: Makes the streams.
        options: Arguments of ``serve()`` or ``connect()``.
    """
    if side == "server":
        async with serving(make_pair=make_pair, **options) as running:
            peer = await running.raw_client()
            yield Facing(await running.accepted.receive(), peer)
        return
    ours, theirs = make_pair()
    peer = StreamPeer(theirs, "server")
    connector = connect("ws://test/", stream=ours, **{**QUIET, **options})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.open_as_server)
        connection = await connector.__aenter__()
    try:
        yield Facing(connection, peer)
    finally:
        with trio.move_on_after(0):
            await connection.aclose()


@contextlib.asynccontextmanager
async def linked(
    handler: Any, *, of_client: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Any]:
    """
    Give a client's connection to a server with this handler, both ours.
    """
    async with serving(handler, **options) as running:
        stream = running.listener.connect()
        arguments = {**QUIET, **(of_client or {})}
        async with connect("ws://test/", stream=stream, **arguments) as ws:
            yield ws


# On the loopback interface.


async def echo(connection: Any) -> None:
    """
    Send every message back.
    """
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def serving_tcp(handler: Any = echo, **options: Any) -> AsyncIterator[Any]:
    """
    Run a server on a free port; close it in the end.
    """
    start = functools.partial(serve, handler, 0, host="127.0.0.1", **options)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(start)
        try:
            yield server
            with trio.fail_after(5):
                await server.aclose()
        finally:
            nursery.cancel_scope.cancel()


def _port(server: Any) -> int:
    """
    Return the port of a server.
    """
    port: int = server.listeners[0].socket.getsockname()[1]
    return port


def url(server: Any, path: str = "/", scheme: str = "ws") -> str:
    """
    Return the URL of a server.
    """
    return f"{scheme}://127.0.0.1:{_port(server)}{path}"


def connecting(server: Any, path: str = "/", **options: Any) -> connect:
    """
    Connect to a server.
    """
    scheme = "wss" if options.get("ssl") else "ws"
    return connect(url(server, path, scheme), proxy=None, **options)


@contextlib.asynccontextmanager
async def raw_client(
    server: Any, *headers: tuple[str, str], opens: bool = True
) -> AsyncIterator[StreamPeer]:
    """
    Give a client made by hand, whose connection is open unless it is not to be.
    """
    stream = await trio.open_tcp_stream("127.0.0.1", _port(server))
    async with stream:
        peer = StreamPeer(stream, "client")
        if opens:
            await peer.open_as_client(*headers)
        with trio.fail_after(5):
            yield peer


async def eventually(condition: Callable[[], object]) -> None:
    """
    Wait until something is true.
    """
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.001)
