"""
Opening handshakes by hand: requests byte for byte, and what comes back.

Beside it the server and the client that most tests of handshakes and patterns
need, and the proof that a connection leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.asyncio.harness import HANG, settle
from tests.asyncio.raw import Head, RawPeer
from tests.under_test import lib

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = [
    "ACCEPT",
    "KEY",
    "Answer",
    "Serving",
    "ask",
    "connecting",
    "dial",
    "echo",
    "nothing_left_over",
    "opening_request",
    "read_answer",
    "serving",
]

# Key and its answer of RFC 6455, 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Fields = tuple[tuple[str, str], ...]

OPENING_FIELDS: Fields = (
    ("Host", "localhost"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
)


def opening_request(
    line: str = "GET / HTTP/1.1",
    *added: tuple[str, str],
    without: tuple[str, ...] = (),
) -> bytes:
    """
    Return the bytes of an opening handshake, right but for what is asked.

    Args:
        line: Request line.
        added: Fields behind the usual ones.
        without: Names of usual fields to leave out.
    """
    fields = [pair for pair in OPENING_FIELDS if pair[0] not in without]
    lines = [line, *(f"{name}: {value}" for name, value in [*fields, *added])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Answer:
    """
    A response that ended with the TCP connection.

    Attributes:
        head: Status line and header lines.
        body: Everything behind the head.
    """

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        """
        Status code.
        """
        return int(self.head.first_line.split(" ")[1])

    @property
    def names(self) -> list[str]:
        """
        Names of the header fields in order.
        """
        return [name for name, _ in self.head.lines]

    @property
    def text(self) -> str:
        """
        The body as text.
        """
        return self.body.decode()

    def __getitem__(self, name: str) -> str:
        """
        Return the value of a field that is there once.
        """
        [value] = self.head.get_all(name)
        return value


async def dial(port: int) -> RawPeer:
    """
    Open a TCP connection to 127.0.0.1 without saying anything yet.
    """
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return RawPeer(sock, "client")


async def read_answer(peer: RawPeer) -> Answer:
    """
    Read a response and everything behind it up to the end.

    Raises:
        EOFError: The server closed the TCP connection without an answer.
        ConnectionResetError: It aborted the TCP connection.
    """
    head = await peer.read_head()
    return Answer(head, await peer.read_rest())


async def ask(port: int, request: bytes) -> Answer:
    """
    Send a request on a connection of its own; read up to the end.
    """
    with contextlib.closing(await dial(port)) as peer:
        await peer.send(request)
        return await read_answer(peer)


async def echo(connection: Any) -> None:
    """
    Send back every message.
    """
    async for message in connection:
        await connection.send(message)


class Serving(NamedTuple):
    """
    A server under test.

    Attributes:
        server: What `serve()` returned.
        port: Port on 127.0.0.1.
        uri: Where a client connects.
    """

    server: Any
    port: int
    uri: str


@contextlib.asynccontextmanager
async def serving(handler: Any = echo, **options: Any) -> AsyncIterator[Serving]:
    """
    Run a server on a port of 127.0.0.1 that the system chooses.

    Args:
        handler: Handler of connections.
        options: Arguments of `serve()`.
    """
    async with (
        asyncio.timeout(HANG),
        lib.serve(handler, "127.0.0.1", 0, **options) as server,
    ):
        port = server.sockets[0].getsockname()[1]
        scheme = "wss" if options.get("ssl") else "ws"
        yield Serving(server, port, f"{scheme}://127.0.0.1:{port}")


def connecting(uri: str, **options: Any) -> Any:
    """
    Call `connect()` without a proxy, whatever the environment says.
    """
    return lib.connect(uri, **{"proxy": None, **options})


@contextlib.asynccontextmanager
async def nothing_left_over() -> AsyncIterator[None]:
    """
    Prove that a block leaves no task and no complaint of the loop behind.

    Complaints are those of the loop's exception handler, such as "Task
    exception was never retrieved". Coroutines never awaited are warnings,
    and warnings are errors already.
    """
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    before = asyncio.all_tasks()
    previous = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        yield
        await settle()
        tasks = asyncio.all_tasks() - before
        gc.collect()
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(previous)

    assert set() == tasks
    assert [] == complaints
