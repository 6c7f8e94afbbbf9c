"""
From listening sockets to connections: what ``serve()`` sets up.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl as ssl_module
from typing import TYPE_CHECKING, Any

from .._serving import ConnectionFactory
from .._sockets import bind_unix, write_at_once
from ._cellar import ForeignProtocol, SocketTransport, TLSTransport
from .arriving import WRITE_LIMIT
from .connection import new_link
from .listener import Listener, bind_tcp, watches_sockets

if TYPE_CHECKING:
    from ..typing import PathLike
    from ._cellar import ForeignWire, Link, Wire
    from .server import Server

__all__ = ["Binding"]

# Bytes that are read before a connection is turned away, if they are here.
_REQUEST_SIZE = 65_536


class Binding:
    """
    Binds a server's sockets and makes connections of what they accept.

    Calling it, with the server, returns what listens.

    Args:
        factory: Makes the connections.
        ssl: TLS context, or :obj:`None`.
        ssl_handshake_timeout: Seconds for the TLS handshake.
        ssl_shutdown_timeout: Seconds for the end of TLS.
        start_serving: Whether to start to listen at once.
        backlog: How many connections may wait to be accepted.
        keep_alive: Whether TCP looks after idle connections.
        sock: A socket that is bound already.
        unix: Whether this is about Unix sockets.
        arguments: Where to bind to: arguments of ``bind_tcp()`` or ``bind_unix()``.

    Raises:
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        factory: ConnectionFactory,
        *,
        ssl: ssl_module.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        backlog: int = 100,
        keep_alive: bool | None = None,
        sock: socket.socket | None = None,
        unix: bool = False,
        **arguments: Any,
    ) -> None:
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):
            raise TypeError("ssl argument must be an SSLContext or None")
        if ssl is None and ssl_handshake_timeout is not None:
            raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
        if ssl is None and ssl_shutdown_timeout is not None:
            raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
        self._factory = factory
        self._ssl = ssl
        self._handshake_timeout = ssl_handshake_timeout
        self._shutdown_timeout = ssl_shutdown_timeout
        self._start_serving = start_serving
        self._backlog = backlog
        self._keep_alive = keep_alive
        self._sock = sock
        self._unix = unix
        self._arguments = arguments

    async def __call__(self, server: Server) -> Any:
        """
        Bind, and start to listen unless that is to be done later.

        Raises:
            OSError: An address cannot be bound.
            ValueError: Arguments contradict each other.
        """
        loop = asyncio.get_running_loop()
        sockets = await self._sockets()
        if self._keep_alive:
            for sock in sockets:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
        if not watches_sockets(loop):
            return await self._listen_by_loop(server, sockets)
        for sock in sockets:
            # Accepted sockets inherit it.
            write_at_once(sock)
        listener = Listener(
            sockets,
            self._backlog,
            functools.partial(self._accepted, server),
            server.logger,
            functools.partial(server.census.count, "accept_pauses"),
        )
        if self._start_serving:
            listener.start()
        return listener

    async def _sockets(self) -> list[socket.socket]:
        """
        Return the bound sockets.
        """
        sock = self._sock
        if self._unix:
            path: PathLike | None = self._arguments.pop("path", None)
            if self._arguments:
                raise TypeError(f"unexpected arguments: {', '.join(self._arguments)}")
            if (path is None) == (sock is None):
                raise ValueError(
                    "path was not specified, and no sock specified"
                    if path is None
                    else "path and sock can not be specified at the same time"
                )
            if path is not None:
                return [bind_unix(path)]
        else:
            host = self._arguments.get("host")
            port = self._arguments.get("port")
            if host is not None or port is not None:
                if sock is not None:
                    raise ValueError(
                        "host/port and sock can not be specified at the same time"
                    )
                return await bind_tcp(**self._arguments)
        if sock is None:
            raise ValueError("Neither host/port nor sock were specified")
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"A Stream Socket was expected, got {sock!r}")
        return [sock]

    # On our own transports.

    def _accepted(self, server: Server, sock: socket.socket, address: object) -> None:
        """
        Make a connection of an accepted socket.
        """
        if server.census.is_crowded():
            self._turn_away(server, sock)
            return
        link = new_link(is_client=False)
        wire: Wire
        if self._ssl is None:
            wire = SocketTransport(link.turn, sock, link, *WRITE_LIMIT, address)
        else:
            wire = TLSTransport(
                link.turn,
                sock,
                link,
                *WRITE_LIMIT,
                address,
                self._ssl,
                True,
                None,
                self._shutdown_timeout,
                lambda: _secured(link),
            )
        # Not before there is a wire, by which the connection can end.
        arrival = server.expect(link, self._factory)
        if self._ssl is not None:
            arrival.secure = False
            arrival.give_time(self._handshake_timeout)
        link.wire = wire
        wire.start()

    def _turn_away(self, server: Server, sock: socket.socket) -> None:
        """
        Refuse a connection without waiting for its request.

        Nothing may be waited for: it is such waits that there are too many of. With
        TLS, there is no way to say why.
        """
        answer = server.turn_away()
        if self._ssl is None:
            # A request that was not read would make the answer a reset.
            with contextlib.suppress(OSError):
                sock.recv(_REQUEST_SIZE)
            with contextlib.suppress(OSError):
                sock.send(answer)
                sock.shutdown(socket.SHUT_WR)
        sock.close()

    # On the loop's transports.

    async def _listen_by_loop(
        self, server: Server, sockets: list[socket.socket]
    ) -> Any:
        """
        Listen where the loop cannot watch sockets.
        """
        servers = [
            await asyncio.get_running_loop().create_server(
                lambda: self._make_protocol(server),
                sock=sock,
                ssl=self._ssl,
                backlog=self._backlog,
                start_serving=self._start_serving,
                **self._timeouts(),
            )
            for sock in sockets
        ]
        return servers[0] if len(servers) == 1 else _Servers(servers)

    def _timeouts(self) -> dict[str, Any]:
        """
        Return the arguments that the loop only takes with TLS.
        """
        if self._ssl is None:
            return {}
        return {
            "ssl_handshake_timeout": self._handshake_timeout,
            "ssl_shutdown_timeout": self._shutdown_timeout,
        }

    def _make_protocol(self, server: Server) -> ForeignProtocol:
        """
        Make the protocol of a connection that the loop has accepted.
        """
        link = new_link(is_client=False)

        def connected(wire: ForeignWire) -> None:
            link.wire = wire
            if server.census.is_crowded():
                wire.transport.write(server.turn_away())
                wire.close()
                link.opening = _TurnedAway()
                return
            server.expect(link, self._factory)

        return ForeignProtocol(link.turn, link, *WRITE_LIMIT, connected)


def _secured(link: Link) -> None:
    """
    Take in that TLS is up, unless the connection is gone.
    """
    if link.opening is not None:
        link.opening.secured()


class _TurnedAway:
    """
    Takes no interest in what happens on a connection that is refused.
    """

    def data_received(self, data: bytes) -> None:
        """
        Drop what the client says.
        """

    def eof_received(self) -> None:
        """
        Do nothing: the connection is being closed.
        """

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Do nothing: the connection was not counted.
        """

    def timed_out(self) -> None:
        """
        Do nothing: there is no deadline.
        """


class _Servers:
    """
    Several servers of the loop as one.

    Args:
        servers: The servers.
    """

    def __init__(self, servers: list[asyncio.Server]) -> None:
        self._servers = servers

    @property
    def sockets(self) -> tuple[Any, ...]:
        """
        The listening sockets.
        """
        return tuple(sock for server in self._servers for sock in server.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """
        Return the event loop.
        """
        return self._servers[0].get_loop()

    def is_serving(self) -> bool:
        """
        Tell whether connections are accepted.
        """
        return all(server.is_serving() for server in self._servers)

    async def start_serving(self) -> None:
        """
        Start accepting connections.
        """
        for server in self._servers:
            await server.start_serving()

    def close(self) -> None:
        """
        Stop listening.
        """
        for server in self._servers:
            server.close()

    async def wait_closed(self) -> None:
        """
        Wait until the servers are closed.
        """
        for server in self._servers:
            await server.wait_closed()
