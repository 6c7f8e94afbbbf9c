"""
From an address to a wire: what ``connect()`` does before the opening handshake.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from .._tls import default_context
from ._cellar import ForeignProtocol, SocketTransport, TLSTransport
from .listener import watches_sockets

if TYPE_CHECKING:
    import ssl as ssl_module
    from collections.abc import Iterable

    from ._cellar import Wire
    from .connection import Connection

__all__ = ["dial"]

# What only the loop can do for us.
_LOOPS_ARGUMENTS = {"happy_eyeballs_delay", "interleave", "all_errors"}

_KNOWN_ARGUMENTS = _LOOPS_ARGUMENTS | {
    "family",
    "flags",
    "host",
    "local_addr",
    "path",
    "port",
    "proto",
    "sock",
}


async def dial(
    connection: Connection,
    *,
    ssl: ssl_module.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    **address: Any,
) -> None:
    """
    Connect, and give the connection its wire.

    Args:
        connection: The connection; its opening handshake must be set.
        ssl: TLS context, :obj:`True` for a default one, :obj:`None` for no TLS.
        server_hostname: Name that the server's certificate must bear.
        ssl_handshake_timeout: Seconds for the TLS handshake.
        ssl_shutdown_timeout: Seconds for the end of TLS.
        **address: Where to connect to: ``sock``; or ``path``, for a Unix socket;
            or ``host`` and ``port`` with the arguments of
            :meth:`asyncio.loop.create_connection`.

    Raises:
        OSError: The connection cannot be established.
        ssl.SSLError: The TLS handshake failed.
        TimeoutError: The TLS handshake took too long.
    """
    if ssl is True:
        ssl = default_context()
    if not ssl:
        for name, value in (
            ("ssl_handshake_timeout", ssl_handshake_timeout),
            ("ssl_shutdown_timeout", ssl_shutdown_timeout),
        ):
            if value is not None:
                raise ValueError(f"{name} is only meaningful with ssl")
    _check_names(address)
    loop = asyncio.get_running_loop()
    if _LOOPS_ARGUMENTS & set(address) or not watches_sockets(loop):
        if ssl:
            address.update(
                ssl=ssl,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        await _dial_by_loop(connection, address)
        return
    sock = await _open_socket(address)
    try:
        async with asyncio.timeout(ssl_handshake_timeout if ssl else None):
            await _attach(
                connection, sock, ssl or None, server_hostname, ssl_shutdown_timeout
            )
    except BaseException:
        wire = connection._link.wire
        if wire is None:
            sock.close()
        else:
            wire.abort()
        raise


async def _attach(
    connection: Connection,
    sock: socket.socket,
    ssl: ssl_module.SSLContext | None,
    server_hostname: str | None,
    shutdown_timeout: float | None,
) -> None:
    """
    Make a wire of a socket; with TLS, wait for the TLS handshake.
    """
    link = connection._link
    high, low = connection._write_limit
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # Frames are written when they are to be sent: no waiting for more.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    if not ssl:
        link.wire = SocketTransport(
            link.turn, sock, link, high, low, sock.getpeername()
        )
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
        sock.getpeername(),
        ssl,
        False,
        server_hostname,
        shutdown_timeout,
        secured,
    )
    link.wire = wire
    wire.start()
    await secure


async def _dial_by_loop(connection: Connection, address: dict[str, Any]) -> None:
    """
    Connect by the loop's own means.
    """
    link = connection._link

    def connected(wire: Wire) -> None:
        link.wire = wire

    def factory() -> ForeignProtocol:
        return ForeignProtocol(link.turn, link, *connection._write_limit, connected)

    loop = asyncio.get_running_loop()
    if "path" in address:
        await loop.create_unix_connection(factory, **address)
    else:
        await loop.create_connection(factory, **address)


async def _open_socket(address: dict[str, Any]) -> socket.socket:
    """
    Return a connected, non-blocking socket.
    """
    sock = address.pop("sock", None)
    if sock is not None:
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        sock.setblocking(False)
        return sock  # type: ignore[no-any-return]
    if "path" in address:
        path = os.fspath(address.pop("path"))
        return await _connect(socket.AF_UNIX, 0, path, ())
    return await _connect_tcp(**address)


def _check_names(arguments: dict[str, Any]) -> None:
    """
    Raise TypeError if there is an argument that nobody knows.
    """
    for name in arguments:
        if name not in _KNOWN_ARGUMENTS:
            raise TypeError(f"connect() got an unexpected keyword argument {name!r}")


async def _connect_tcp(
    host: str,
    port: int,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    local_addr: tuple[str, int] | None = None,
) -> socket.socket:
    """
    Return a socket connected to the first address of a host that answers.
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
    failures: list[OSError] = []
    for info in infos:
        locals_ = [local[4] for local in local_infos if local[0] == info[0]]
        if local_infos and not locals_:
            continue
        try:
            return await _connect(info[0], info[2], info[4], locals_)
        except OSError as exc:
            failures.append(exc)
    raise _sum_up(failures)


def _sum_up(failures: list[OSError]) -> OSError:
    """
    Make one exception of what happened with all addresses.
    """
    if not failures:
        return OSError(errno.EADDRNOTAVAIL, "no address matches local_addr")
    first = failures[0]
    if len({str(exc) for exc in failures}) == 1:
        return first
    return OSError(
        first.errno, "Multiple exceptions: " + ", ".join(str(exc) for exc in failures)
    )


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
