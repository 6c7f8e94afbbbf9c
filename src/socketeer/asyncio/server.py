"""
WebSocket servers on asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .._compatibility import adapt_handler
from .._options import SERVE, documented
from .._servers import ServerSide, make_limits
from .._serving import ConnectionFactory, Hooks, prepare_hooks, prepare_protocol
from ..http11 import SERVER, Request, Response, pack_handshake
from ..protocol import Protocol
from ..server import ServerProtocol
from .authentication import basic_auth
from .broadcasting import broadcast
from .connection import Connection
from .running import Server
from .serving import Binding

if TYPE_CHECKING:
    import ipaddress

    from ..auth import TokenSearch
    from ..extensions import ServerExtensionFactory
    from ..typing import LoggerLike, Origin, PathLike, Subprotocol

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]


class ServerConnection(ServerSide, Connection):
    """
    The server's end of a WebSocket connection.

    Handlers get one of these. See :class:`~socketeer.asyncio.connection.Connection`
    for what it can do; the following is only the server's.

    Attributes:
        server: The server.
        username: Who authenticated, with :func:`basic_auth`.
        handler: The handler that :func:`~socketeer.asyncio.router.route` found.
        handler_kwargs: What it found in the path.
    """

    __slots__ = ("_client_address", "_place", "_was_open", "server")

    username: str
    handler: Callable[..., Awaitable[None]]
    handler_kwargs: dict[str, Any]

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        self.server: Server = server
        # What trusted proxies tell; None if the peer is the client.
        self._client_address: Any = None
        # How the server counts this connection, once it was admitted.
        self._place: str | None = None
        self._was_open = False
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )

    async def _find_token(self, search: TokenSearch) -> str | None:
        """
        Find a bearer token, as :func:`~socketeer.auth.bearer_token` says.
        """
        assert self.request is not None
        token = search.in_request(self.request, cast("ServerProtocol", self.protocol))
        if token is None and search.waits(self.state):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(search.timeout):
                    return search.in_message(await self.recv())
        return token

    def _opened(self, protocol: Protocol) -> None:
        self.server.welcome(self)
        super()._opened(protocol)
        self.server.start_handler(self)

    def _pack_handshake(self) -> None:
        server = self.server
        protocol = cast("ServerProtocol", self._protocol)
        hooks = (
            server.process_request,
            server.process_response,
            protocol._select_subprotocol,
        )
        request, response = self._request, self._response
        if request is None or response is None or any(hooks):
            # Who has seen them may have kept them, or given them attributes.
            super()._pack_handshake()
            return
        self._handshake = pack_handshake(request, response)
        if self._handshake is not None:
            self._request = self._response = None

    def _connection_lost(self, exc: Exception | None) -> None:
        self.server.count_end(self)
        if self._protocol.handshake_exc is None:
            self._log(logging.INFO, "connection closed")
        self.server.forget(self)


@documented(SERVE)
def serve(
    handler: Callable[[ServerConnection], Awaitable[None]],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    # Handshake
    origins: (
        Sequence[Origin | re.Pattern[str] | None] | Literal["same-host"] | None
    ) = None,
    extensions: Sequence[ServerExtensionFactory] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: (
        Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol | None] | None
    ) = None,
    compression: Literal["deflate"] | None = "deflate",
    process_request: (
        Callable[
            [ServerConnection, Request],
            Awaitable[Response | None] | Response | None,
        ]
        | None
    ) = None,
    process_response: (
        Callable[
            [ServerConnection, Request, Response],
            Awaitable[Response | None] | Response | None,
        ]
        | None
    ) = None,
    server_header: str | None = SERVER,
    # Timeouts
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    # Limits
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 16,
    write_limit: int | tuple[int, int | None] = 2**15,
    max_connections: int | None = None,
    max_connections_per_address: int | None = None,
    max_handshakes: int | None = None,
    max_message_rate: float | tuple[float, float] | None = None,
    max_byte_rate: float | tuple[float, float] | None = None,
    idle_timeout: float | None = None,
    trusted_proxies: (
        Iterable[str | ipaddress.IPv4Network | ipaddress.IPv6Network] | None
    ) = None,
    # Others
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
    **kwargs: Any,
) -> Server:
    """
    Create a WebSocket server listening on ``host`` and ``port``.

    The server starts when the result is awaited or entered::

        async def handler(connection):
            async for message in connection:
                await connection.send(message)

        async with serve(handler, "localhost", 8765) as server:
            await server.serve_forever()

    Each connection is passed to ``handler`` when it is OPEN, and closed when the
    handler ends: with code 1000 when it returns, 1011 when it raises.

    Args:
        handler: Coroutine function that gets a connection.
        host: Where to listen: a name or an address, or several; all interfaces
            by default.
        port: Port; 0 for a free one.
        origins: ...
        extensions: Extensions, in order of preference.
        subprotocols: ...
        select_subprotocol: ...
        compression: ...
        process_request: Function or coroutine function that gets a connection and
            a :class:`~socketeer.http11.Request`. A
            :class:`~socketeer.http11.Response` from it is sent in place of a
            handshake; see :meth:`ServerConnection.respond`.
        process_response: Function or coroutine function that gets a connection,
            the request and the response. It may change the response or return
            another one.
        server_header: ...
        open_timeout: Seconds for the opening handshake; :obj:`None` for no limit.
        ping_interval: ...
        ping_timeout: ...
        close_timeout: ...
        max_size: ...
        max_queue: ...
        write_limit: Bytes that may wait to be written before sending waits. A
            tuple also tells when it goes on: ``(high, low)``.
        max_connections: ...
        max_connections_per_address: ...
        max_handshakes: Most opening handshakes at a time. More are refused with
            status 503 before anything is read; with TLS, without an answer.
        max_message_rate: ...
        max_byte_rate: ...
        idle_timeout: ...
        trusted_proxies: ...
        logger: ...
        create_connection: ...
        **kwargs: Arguments of :meth:`asyncio.loop.create_server`: ``ssl``,
            ``sock``, ``family``, ``backlog``, ``reuse_port``, ``start_serving``...
            ``ssl_handshake_timeout`` is ``open_timeout`` by default.

    Returns:
        The server. Nothing is started yet.

    Raises:
        ValueError: The compression is not supported, or a limit makes no sense.
        TypeError: An argument is of the wrong type.
    """
    hooks = prepare_hooks(
        Hooks(create_connection, process_request, process_response, close_timeout),
        kwargs,
    )
    limits = make_limits(
        max_connections,
        max_connections_per_address,
        max_handshakes,
        max_byte_rate,
        max_message_rate,
        idle_timeout,
        trusted_proxies,
    )
    factory = ConnectionFactory(
        hooks.create_connection or ServerConnection,
        prepare_protocol(
            origins=origins,
            extensions=extensions,
            subprotocols=subprotocols,
            compression=compression,
            max_size=max_size,
            logger=logger,
        ),
        {
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": hooks.close_timeout,
            "max_queue": max_queue,
            "write_limit": write_limit,
        },
        select_subprotocol,
    )
    if kwargs.get("ssl") is not None:
        kwargs.setdefault("ssl_handshake_timeout", open_timeout)
    if not kwargs.get("unix"):
        kwargs.update(host=host, port=port)
    return Server(
        Binding(factory, **kwargs),
        adapt_handler(handler),
        process_request=hooks.process_request,
        process_response=hooks.process_response,
        server_header=server_header,
        open_timeout=open_timeout,
        logger=logger,
        limits=limits,
    )


def unix_serve(
    handler: Callable[[ServerConnection], Awaitable[None]],
    path: PathLike | None = None,
    **kwargs: Any,
) -> Server:
    """
    Create a WebSocket server listening on a Unix socket.

    Args:
        handler: Coroutine function that gets a connection.
        path: File system path of the socket. A socket left over there is removed.
        **kwargs: Arguments of :func:`serve`, ``host`` and ``port`` excepted.
    """
    return serve(handler, unix=True, path=path, **kwargs)
