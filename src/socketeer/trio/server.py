"""
WebSocket servers on trio.
"""

from __future__ import annotations

import ipaddress
import re
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import trio

from .._authentication import basic_auth
from .._connection import watermarks
from .._options import SERVE, documented
from .._servers import ServerSide, make_limits
from .._serving import ConnectionFactory, prepare_protocol
from .._sockets import bind_unix, check_alone
from ..http11 import SERVER, Request, Response
from ..server import ServerProtocol
from .broadcasting import broadcast
from .connection import Connection
from .running import Server
from .serving import Reception

if TYPE_CHECKING:
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

# Connections that may wait to be accepted at a Unix socket.
_BACKLOG = 128


class ServerConnection(ServerSide, Connection):
    """
    The server's end of a WebSocket connection.

    Handlers get one of these. See :class:`~socketeer.trio.connection.Connection` for
    what it can do; the following is only the server's.

    Attributes:
        server: The server.
        username: Who authenticated, with :func:`basic_auth`.
        handler: The handler that :func:`~.router.route` has found.
        handler_kwargs: What its rule found in the path.
    """

    username: str
    handler: Callable[..., Any]
    handler_kwargs: dict[str, Any]

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: trio.abc.Stream,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        super().__init__(
            nursery,
            stream,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        self.server: Server = server

    async def _find_token(self, search: TokenSearch) -> str | None:
        """
        Find a bearer token, as :func:`~socketeer.auth.bearer_token` says.
        """
        assert self.request is not None
        token = search.in_request(self.request, cast("ServerProtocol", self.protocol))
        if token is None and search.waits(self.state):
            assert search.timeout is not None
            with trio.move_on_after(search.timeout):
                return search.in_message(await self.recv())
        return token


@documented(SERVE)
async def serve(
    handler: Callable[[ServerConnection], Awaitable[object]],
    port: int | None = None,
    *,
    # TCP and TLS
    host: str | bytes | None = None,
    backlog: int | None = None,
    listeners: Sequence[trio.abc.Listener[Any]] | None = None,
    ssl: ssl_module.SSLContext | None = None,
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
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Run a WebSocket server listening on ``port``, until it is closed.

    With :meth:`trio.Nursery.start`, the caller gets the server when it listens::

        async def handler(connection):
            async for message in connection:
                await connection.send(message)

        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, handler, 8765)
            ...
            await server.aclose()

    Each connection is passed to ``handler`` when it is OPEN, and closed when the
    handler ends: with code 1000 when it returns, 1011 when it raises.

    If canceled, handlers are canceled, and connections are closed with code 1001
    without waiting for the clients; :meth:`Server.aclose` is polite.

    Args:
        handler: Coroutine function that gets a connection.
        port: Port; 0 for a free one.
        host: Where to listen: a name or an address; all interfaces by default.
        backlog: How many connections may wait to be accepted.
        listeners: Listeners of yours, in place of ``port``, ``host`` and
            ``backlog``; they belong to the server from now on.
        ssl: TLS context.
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
        open_timeout: Seconds for the opening handshake and that of TLS;
            :obj:`None` for no limit.
        ping_interval: ...
        ping_timeout: ...
        close_timeout: ...
        max_size: ...
        max_queue: ...
        max_connections: ...
        max_connections_per_address: ...
        max_handshakes: Most opening handshakes at a time. More are refused with
            status 503 before a request; with TLS, without an answer.
        max_message_rate: ...
        max_byte_rate: ...
        idle_timeout: ...
        trusted_proxies: ...
        logger: ...
        create_connection: ...
        task_status: For :meth:`trio.Nursery.start`, which returns the server.

    Raises:
        ValueError: The compression is not supported, or a limit makes no sense, or
            arguments contradict each other.
        TypeError: An argument is of the wrong type.
        OSError: The port cannot be bound.
    """
    if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):
        raise TypeError("ssl argument must be an SSLContext or None")
    watermarks(max_queue)
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
        create_connection or ServerConnection,
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
            "close_timeout": close_timeout,
            "max_queue": max_queue,
        },
        select_subprotocol,
    )
    if listeners is None:
        if port is None:
            raise ValueError("port is required when listeners is not provided")
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    else:
        check_alone("listeners", port=port, host=host, backlog=backlog)
    reception = Reception(
        handler,
        ssl,
        factory,
        (process_request, process_response),
        open_timeout,
    )
    server = reception.server = Server(
        listeners, reception, logger, server_header=server_header, limits=limits
    )
    await server.serve_forever(task_status)


async def unix_serve(
    handler: Callable[[ServerConnection], Awaitable[object]],
    path: PathLike | None = None,
    *,
    backlog: int | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwargs: Any,
) -> None:
    """
    Run a WebSocket server listening on a Unix socket, until it is closed.

    Args:
        handler: Coroutine function that gets a connection.
        path: File system path of the socket. A socket left over there is removed.
        backlog: How many connections may wait to be accepted.
        task_status: For :meth:`trio.Nursery.start`, which returns the server.
        **kwargs: Arguments of :func:`serve`, ``port`` and ``host`` excepted.
    """
    listeners = kwargs.get("listeners")
    if listeners is None:
        if path is None:
            raise ValueError("path was not specified, and no listeners specified")
        sock = trio.socket.from_stdlib_socket(bind_unix(path))
        sock.listen(_BACKLOG if backlog is None else backlog)
        kwargs["listeners"] = [trio.SocketListener(sock)]
    else:
        check_alone("listeners", path=path)
    await serve(handler, task_status=task_status, **kwargs)
