"""
From an address to a wire: what ``connect()`` does before the opening handshake.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from typing import TYPE_CHECKING, Any

from .. import _addresses
from .._sockets import write_at_once
from ._cellar import ForeignProtocol, SocketTransport, TLSTransport
from .listener import watches_sockets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from .._tls import TLSOptions
    from ._cellar import Wire
    from .connection import Connection

__all__ = ["KNOWN_ARGUMENTS", "attach", "loop_arguments", "open_socket"]

# Where to connect to: what open_socket() knows.
KNOWN_ARGUMENTS = {
    "all_errors",
    "family",
    "flags",
    "happy_eyeballs_delay",
    "host",
    "interleave",
    "local_addr",
    "path",
    "port",
    "proto",
    "sock",
}


def loop_arguments(tls: TLSOptions) -> dict[str, Any]:
    """
    Say to methods of the event loop how to speak TLS.
    """
    return {
        "server_hostname": tls.server_hostname,
        "ssl_handshake_timeout": tls.handshake_timeout,
        "ssl_shutdown_timeout": tls.shutdown_timeout,
    }


# From a socket to a wire.


async def attach(
    connection: Connection,
    sock: socket.socket,
    tls: TLSOptions | None,
    peername: Any = None,
) -> None:
    """
    Give a connection its wire.

    Args:
        connection: The connection; its opening handshake must be set.
        sock: A connected socket; if there is an exception, it is closed.
        tls: How to speak TLS over it, if so.
        peername: Address of the peer, if the socket does not know it.

    Raises:
        ssl.SSLError: The TLS handshake failed.
        TimeoutError: The TLS handshake took too long.
        OSError: The connection is broken.
    """
    try:
        if not watches_sockets(asyncio.get_running_loop()):
            await _attach_by_loop(connection, sock, tls)
            return
        async with asyncio.timeout(tls.handshake_timeout if tls else None):
            await _attach(connection, sock, tls, peername or sock.getpeername())
    except BaseException:
        wire = connection._link.wire
        if wire is None:
            sock.close()
        else:
            wire.abort()
        raise


async def _attach(
    connection: Connection, sock: socket.socket, tls: TLSOptions | None, peername: Any
) -> None:
    """
    Make a wire of a socket; with TLS, wait for the TLS handshake.
    """
    link = connection._link
    high, low = connection._write_limit
    write_at_once(sock)
    if tls is None:
        link.wire = SocketTransport(link.turn, sock, link, high, low, peername)
        link.wire.start()
        return
    secure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    link.opening.failed = secure

    def secured() -> None:
        if not secure.done():
            secure.set_result(None)

    wire = TLSTransport(
        link.turn,
        sock,
        link,
        high,
        low,
        peername,
        tls.context,
        False,
        tls.server_hostname,
        tls.shutdown_timeout,
        secured,
    )
    link.wire = wire
    wire.start()
    await secure


async def _attach_by_loop(
    connection: Connection, sock: socket.socket, tls: TLSOptions | None
) -> None:
    """
    Make a wire of a socket by the loop's own means.
    """
    loop = asyncio.get_running_loop()
    arguments: dict[str, Any] = {"sock": sock}
    if tls is not None:
        arguments.update(ssl=tls.context, **loop_arguments(tls))
    link = connection._link

    def connected(wire: Wire) -> None:
        link.wire = wire

    def factory() -> ForeignProtocol:
        return ForeignProtocol(link.turn, link, *connection._write_limit, connected)

    if sock.family in (socket.AF_INET, socket.AF_INET6):
        await loop.create_connection(factory, **arguments)
    else:
        await loop.create_unix_connection(factory, **arguments)


# From an address to a socket.


async def open_socket(address: dict[str, Any]) -> socket.socket:
    """
    Return a connected, non-blocking socket.

    Args:
        address: ``sock``; or ``path``, for a Unix socket; or ``host`` and ``port``
            with the arguments of :meth:`asyncio.loop.create_connection`.

    Raises:
        OSError: The connection cannot be established.
    """
    sock = address.get("sock")
    if sock is not None:
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        sock.setblocking(False)
        return sock  # type: ignore[no-any-return]
    if "path" in address:
        path = os.fspath(address["path"])
        return await _connect(socket.AF_UNIX, 0, path, ())
    return await _connect_tcp(
        **{name: value for name, value in address.items() if name != "sock"}
    )


async def _connect_tcp(
    host: str,
    port: int,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    local_addr: tuple[str, int] | None = None,
    happy_eyeballs_delay: float | None = _addresses.CONNECTION_ATTEMPT_DELAY,
    interleave: int | None = None,
    all_errors: bool = False,
) -> socket.socket:
    """
    Return a socket connected to the address of a host that answers first.
    """
    loop = asyncio.get_running_loop()

    async def find(address: tuple[str, int]) -> list[Any]:
        return list(
            await loop.getaddrinfo(
                *address,
                family=family,
                type=socket.SOCK_STREAM,
                proto=proto,
                flags=flags,
            )
        )

    infos = await find((host, port))
    local_infos = [] if local_addr is None else await find(local_addr)
    if interleave is None:
        interleave = 0 if happy_eyeballs_delay is None else 1
    attempts = []
    for info in _addresses.interleave(infos, interleave):
        locals_ = [local[4] for local in local_infos if local[0] == info[0]]
        if locals_ or not local_infos:
            attempts.append(
                functools.partial(_connect, info[0], info[2], info[4], locals_)
            )
    sock, failures = await _first_of(attempts, happy_eyeballs_delay)
    if sock is not None:
        return sock
    if all_errors:
        raise ExceptionGroup("create_connection failed", failures)
    raise _addresses.sum_up(failures)


async def _first_of(
    attempts: Sequence[Callable[[], Awaitable[socket.socket]]], delay: float | None
) -> tuple[socket.socket | None, list[OSError]]:
    """
    Make attempts until one succeeds: the next when one has failed or is slow.

    Args:
        attempts: Each makes a connected socket.
        delay: Seconds after which an attempt is slow; :obj:`None` for never.

    Returns:
        The socket of the attempt that succeeded, and what the others raised.
    """
    failures: list[OSError] = []
    running: set[asyncio.Future[socket.socket]] = set()
    to_start = list(reversed(attempts))
    try:
        while to_start or running:
            if to_start:
                running.add(asyncio.ensure_future(to_start.pop()()))
            done, _ = await asyncio.wait(
                running,
                timeout=delay if to_start else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                running.remove(attempt)
                try:
                    sock = attempt.result()
                except OSError as exc:
                    failures.append(exc)
                else:
                    running |= done - {attempt}
                    return sock, failures
    finally:
        await _undo(running)
    return None, failures


async def _undo(attempts: set[asyncio.Future[socket.socket]]) -> None:
    """
    Stop attempts that are no longer needed, and close what they have made.
    """
    for attempt in attempts:
        attempt.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


async def _connect(
    family: int, proto: int, address: Any, local_addresses: Iterable[Any]
) -> socket.socket:
    """
    Return a socket connected to one address.
    """
    sock = socket.socket(family, socket.SOCK_STREAM, proto)
    try:
        sock.setblocking(False)
        for local_address in local_addresses:
            sock.bind(local_address)
            break
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
