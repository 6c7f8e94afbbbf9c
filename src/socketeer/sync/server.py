"""
WebSocket servers on threads.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .._authentication import plain_hook
from .._compatibility import adapt_handler
from .._messages import Failures, check_overflow, prepare
from .._options import BROADCAST, SERVE, documented
from .._servers import ServerSide, make_limits
from .._serving import ConnectionFactory, Hooks, prepare_hooks, prepare_protocol
from ..http11 import SERVER, Request, Response
from ..protocol import OPEN
from ..server import ServerProtocol
from .connection import Connection
from .running import Reception, Server, bind_tcp, bind_unix

if TYPE_CHECKING:
    import ssl as ssl_module

    from .._links import PreparedMessage
    from ..auth import Credentials, TokenSearch
    from ..extensions import ServerExtensionFactory
    from ..typing import DataLike, LoggerLike, Origin, PathLike, Subprotocol

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

# An older name.
WebSocketServer = Server


class ServerConnection(ServerSide, Connection):
    """
    The server's end of a WebSocket connection.

    Handlers get one of these. See :class:`~socketeer.sync.connection.Connection`
    for what it can do; the following is only the server's.

    Attributes:
        server: The server.
        username: Who authenticated, with :func:`basic_auth`.
        handler: The handler that :func:`~socketeer.sync.router.route` found.
        handler_kwargs: What it found in the path.
    """

    username: str
    handler: Callable[..., object]
    handler_kwargs: dict[str, Any]
    # Of the server's kind.
    protocol: ServerProtocol  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        server: Server,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        super().__init__(
            sock,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        self.server = server

    def _find_token(self, search: TokenSearch) -> str | None:
        """
        Find a bearer token, as :func:`~socketeer.auth.bearer_token` says.
        """
        assert self.request is not None
        token = search.in_request(self.request, cast("ServerProtocol", self._protocol))
        if token is None and search.waits(self.state):
            with contextlib.suppress(TimeoutError):
                return search.in_message(self.recv(search.timeout))
        return token


@documented(SERVE)
def serve(
    handler: Callable[[ServerConnection], object],
    host: str | None = None,
    port: int | None = None,
    *,
    # TCP/TLS
    sock: socket.socket | None = None,
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
        Callable[[ServerConnection, Request], Response | None] | None
    ) = None,
    process_response: (
        Callable[[ServerConnection, Request, Response], Response | None] | None
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
    **kwargs: Any,
) -> Server:
    """
    Create a WebSocket server listening on ``host`` and ``port``.

    It listens at once, and accepts connections in :meth:`~Server.serve_forever`::

        def handler(connection):
            for message in connection:
                connection.send(message)

        with serve(handler, "localhost", 8765) as server:
            server.serve_forever()

    Each connection is passed to ``handler``, in a thread of its own, when it is OPEN,
    and closed when the handler ends: with code 1000 when it returns, 1011 when it
    raises.

    Args:
        handler: Function that gets a connection.
        host: Where to listen: a name or an address; all interfaces by default.
        port: Port; 0 for a free one.
        sock: A listening socket, instead of ``host`` and ``port``.
        ssl: Context for TLS.
        origins: ...
        extensions: Extensions, in order of preference.
        subprotocols: ...
        select_subprotocol: ...
        compression: ...
        process_request: Function that gets a connection and a
            :class:`~socketeer.http11.Request`. A
            :class:`~socketeer.http11.Response` from it is sent in place of a
            handshake; see :meth:`ServerConnection.respond`.
        process_response: Function that gets a connection, the request and the
            response. It may change the response or return another one.
        server_header: ...
        open_timeout: Seconds for the opening handshake; :obj:`None` for no limit.
        ping_interval: ...
        ping_timeout: ...
        close_timeout: ...
        max_size: ...
        max_queue: ...
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
        **kwargs: Arguments of :func:`socket.create_server`: ``family``,
            ``backlog``, ``reuse_port``, ``dualstack_ipv6``.

    Returns:
        The server, which listens.

    Raises:
        OSError: The address cannot be bound.
        ValueError: The compression is not supported, a limit makes no sense, or
            arguments contradict each other.
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
    ssl = kwargs.pop("ssl_context", ssl)
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
        },
        select_subprotocol,
    )
    if kwargs.pop("unix", False):
        sock = bind_unix(sock, **kwargs)
    else:
        sock = bind_tcp(sock, host, port, **kwargs)
    reception = Reception(
        adapt_handler(handler),
        ssl,
        factory,
        (hooks.process_request, hooks.process_response),
        open_timeout,
        hooks.close_timeout,
    )
    return Server(sock, reception, logger, server_header=server_header, limits=limits)


def unix_serve(
    handler: Callable[[ServerConnection], object],
    path: PathLike | None = None,
    **kwargs: Any,
) -> Server:
    """
    Create a WebSocket server listening on a Unix socket.

    Args:
        handler: Function that gets a connection.
        path: File system path of the socket. A socket left over there is removed.
        **kwargs: Arguments of :func:`serve`, ``host`` and ``port`` excepted.
    """
    return serve(handler, unix=True, path=path, **kwargs)


def basic_auth(
    realm: str = "",
    credentials: Credentials | Iterable[Credentials] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> Callable[[ServerConnection, Request], Response | None]:
    """
    Return a ``process_request`` hook that asks for a user name and a password.

    One of ``credentials`` and ``check_credentials`` is needed. The name of the
    user becomes the attribute ``username`` of the connection. Clients without
    valid credentials get a response with status 401.

    Args:
        realm: What the credentials are for, in ASCII.
        credentials: A pair of a user name and a password, or several pairs.
        check_credentials: A function that takes a user name and a password, and
            returns whether they are valid.

    Raises:
        ValueError: Both or none of the arguments are given.
        TypeError: These are no credentials.
    """
    return plain_hook(realm, credentials, check_credentials)


@documented(BROADCAST)
def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    raise_exceptions: bool = False,
    text: bool | None = None,
    max_backlog: int | None = None,
    on_overflow: str = "close",
    **kwargs: Any,
) -> None:
    """
    Send a message to many connections; wait until all of them have it.

    The message is framed once and compressed once. Connections that are not OPEN
    are skipped. The slowest peer decides how long this takes; a peer that takes
    nothing fails by its keepalive. With ``max_backlog``, this waits for nobody, and
    what may wait for a slow peer is bounded.

    Args:
        connections: ...
        message: ...
        raise_exceptions: ...
        text: ...
        max_backlog: Bytes that may wait to be written to a peer already; then nobody
            is waited for. By default, everybody is.
        on_overflow: ...
        **kwargs: Arguments of :class:`~concurrent.futures.ThreadPoolExecutor`,
            whose threads do the sending if it is waited for: ``max_workers``...

    Raises:
        TypeError: ...
        ValueError: ...
        ExceptionGroup: ...
    """
    prepared = prepare(message, text=text)
    check_overflow(on_overflow)
    failures = Failures(raise_exceptions)
    receivers = [each for each in connections if each.state is OPEN]
    send = functools.partial(_send, prepared, max_backlog, on_overflow)
    if max_backlog is None:
        with concurrent.futures.ThreadPoolExecutor(**kwargs) as executor:
            outcomes = list(executor.map(send, receivers))
    else:
        outcomes = list(map(send, receivers))
    for connection, exc in zip(receivers, outcomes, strict=True):
        if exc is not None:
            failures.add(connection.logger, exc)
    failures.check()


def _send(
    prepared: PreparedMessage,
    max_backlog: int | None,
    on_overflow: str,
    connection: Connection,
) -> Exception | None:
    """
    Send a prepared message, and wait unless a backlog is allowed; return what went
    wrong.
    """
    try:
        if max_backlog is None:
            connection._link.send_prepared(prepared)
        else:
            connection._link.offer(prepared, max_backlog, on_overflow)
    except Exception as exc:
        return exc
    return None
