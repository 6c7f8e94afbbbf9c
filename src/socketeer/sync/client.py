"""
WebSocket clients on threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .._compatibility import take_older_arguments
from .._connecting import (
    ClientHandshake,
    Connecter,
    Redirects,
    unix_uri,
)
from .._options import CONNECT, documented, with_parameters_of
from .._redirection import MAX_REDIRECTS
from .._sockets import check_alone
from ..client import backoff, process_exception
from ..http11 import USER_AGENT
from ..protocol import OPEN
from ..uri import parse_uri
from .connection import Connection
from .dialing import Way, dial

if TYPE_CHECKING:
    import socket
    import ssl as ssl_module
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from .._redirection import Pinned
    from ..client import ClientProtocol
    from ..datastructures import HeadersLike
    from ..extensions import ClientExtensionFactory
    from ..typing import LoggerLike, Origin, PathLike, Subprotocol
    from .stream import Stream

__all__ = [
    "ClientConnection",
    "connect",
    "reconnect",
    "unix_connect",
    "unix_reconnect",
]


class ClientConnection(Connection):
    """
    The client's end of a WebSocket connection, returned by :func:`connect`.

    See :class:`~socketeer.sync.connection.Connection` for what it can do.
    """

    def _handshake(
        self,
        stream: Stream,
        additional_headers: HeadersLike | None,
        user_agent_header: str | None,
    ) -> None:
        """
        Perform the opening handshake.

        Raises:
            InvalidHandshake: The server refused, or its response is invalid.
        """
        handshake = ClientHandshake(self, cast("ClientProtocol", self._protocol))
        stream.send(handshake.begin(additional_headers, user_agent_header))
        is_over = False
        while not is_over:
            try:
                data = stream.receive()
            except ConnectionError:
                data = b""
            is_over = handshake.receive(data)
        handshake.check()
        self._opened()


@documented(CONNECT)
class reconnect(Connecter):  # noqa: N801 - the field's interface
    """
    Connect to the WebSocket server at ``uri``, again and again.

    As an iterator, it connects whenever the connection is lost::

        for connection in reconnect("ws://localhost:8765"):
            try:
                for message in connection:
                    print(message)
            except ConnectionClosed:
                continue

    An attempt that fails is followed by another one if ``process_exception``
    says so, after the next of ``reconnect_delays``; so is a connection that was lost,
    or was closed by the server. If the program has closed the connection, or has
    gone on without closing it, there is no delay. Delays begin anew when a
    connection has lasted for a minute.

    As a context manager, it connects once and closes the connection.

    Redirects are followed, at most ten at a time, but not from ``wss`` to ``ws``.
    Another origin gets none of the ``additional_headers`` that hold credentials:
    ``Authorization``, ``Cookie`` and ``Proxy-Authorization``. The object connects to
    where it was redirected from then on.

    Args:
        uri: ...
        sock: A connected socket, instead of ``uri``'s address.
        ssl: Context for TLS, for ``wss://``; by default, one that trusts what the
            system trusts.
        server_hostname: Name that the server's certificate must bear.
        origin: Value of the ``Origin`` header.
        extensions: Extensions, in order of preference.
        subprotocols: Subprotocols, in order of preference.
        compression: ...
        additional_headers: ...
        user_agent_header: ...
        proxy: ...
        proxy_ssl: The same as ``ssl``, for an ``https://`` proxy.
        proxy_server_hostname: The same as ``server_hostname``, for such a proxy.
        process_exception: ...
        open_timeout: ...
        ping_interval: ...
        ping_timeout: ...
        close_timeout: ...
        reconnect_delays: ...
        max_size: ...
        max_queue: ...
        logger: ...
        create_connection: ...
        **kwargs: Arguments of :func:`socket.create_connection`: ``address``
            overrides where to connect to, ``timeout``, ``source_address``,
            ``all_errors``.

    Raises:
        ValueError: Arguments contradict each other.
    """

    def __init__(
        self,
        uri: str,
        *,
        # TCP/TLS
        sock: socket.socket | None = None,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        # Handshake
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: Literal["deflate"] | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        proxy_ssl: ssl_module.SSLContext | None = None,
        proxy_server_hostname: str | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        # Timeouts
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Iterable[float]] = backoff,
        # Limits
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        # Others
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        older = take_older_arguments(kwargs, with_timeout=False)
        super().__init__(
            uri,
            create_connection=(
                older.create_connection or create_connection or ClientConnection
            ),
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            compression=compression,
            additional_headers=older.extra_headers or additional_headers,
            user_agent_header=user_agent_header,
            process_exception=process_exception,
            open_timeout=open_timeout,
            reconnect_delays=reconnect_delays,
            max_size=max_size,
            logger=logger,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        self._way = Way(
            sock=sock,
            ssl=kwargs.pop("ssl_context", ssl),
            server_hostname=server_hostname,
            proxy=proxy,
            proxy_ssl=proxy_ssl,
            proxy_server_hostname=proxy_server_hostname,
            user_agent_header=user_agent_header,
            arguments=kwargs,
        )

    # Ways to connect.

    def __enter__(self) -> ClientConnection:
        if hasattr(self, "connection"):
            raise RuntimeError("connect() isn't reentrant")
        self.connection: ClientConnection = self.connect()
        return self.connection.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection = self.connection
        del self.connection
        connection.__exit__(exc_type, exc_value, traceback)

    def __iter__(self) -> Iterator[ClientConnection]:
        reconnection = self._reconnection()
        while True:
            try:
                connection = self.connect()
            except Exception as exc:
                time.sleep(reconnection.failed(exc))
                continue
            reconnection.opened(time.monotonic())
            with connection:
                yield connection
                is_open = connection.state is OPEN
            closed = None if is_open else connection.close_exc
            time.sleep(reconnection.ended(closed, time.monotonic()))

    def connect(self) -> ClientConnection:
        """
        Connect once.

        Returns:
            The connection, which is OPEN.

        Raises:
            InvalidURI: The URI is not valid.
            InvalidProxy: The URL of the proxy is not valid.
            OSError: The TCP connection failed.
            InvalidHandshake: The opening handshake failed; a
                :exc:`~socketeer.exceptions.ProxyError` if the proxy is to blame.
            TimeoutError: Connecting took longer than ``open_timeout``.
            ValueError: Arguments contradict each other.
        """
        timeout = self.open_timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        redirects = Redirects(self, MAX_REDIRECTS)
        while True:
            try:
                return self._connect_once(deadline)
            except TimeoutError as exc:
                raise TimeoutError("timed out during opening handshake") from exc
            except Exception as exc:
                redirects.follow(exc)

    def _pinned(self) -> Pinned | None:
        pinned: Pinned | None = None
        if self._way.sock is not None:
            pinned = "socket"
        elif "path" in self._way.arguments:
            pinned = "path"
        elif "address" in self._way.arguments:
            pinned = "address"
        return pinned

    def _connect_once(self, deadline: float | None) -> ClientConnection:
        """
        Connect to the present URI.
        """
        uri = parse_uri(self.uri)
        stream = dial(self._way, uri, deadline)
        try:
            connection: ClientConnection
            connection, _ = self._make(uri, stream.sock)
            connection._link.tls = stream.tls
            connection._handshake(
                stream, self.additional_headers, self.user_agent_header
            )
        except BaseException:
            stream.sock.close()
            raise
        return connection


@with_parameters_of(reconnect)
def connect(uri: str, *, legacy: bool | None = None, **kwargs: Any) -> ClientConnection:
    """
    Connect to the WebSocket server at ``uri``.

    ::

        with connect("ws://localhost:8765") as connection:
            connection.send("Hello!")
            print(connection.recv())

    Args:
        uri: ``ws://`` or ``wss://`` URI of the server.
        legacy: :obj:`False` returns a :class:`reconnect` object instead of a
            connection, which connects when it is entered.
        **kwargs: Arguments of :class:`reconnect`.

    Returns:
        The connection, which is OPEN.

    Raises:
        InvalidURI: The URI is not valid.
        InvalidProxy: The URL of the proxy is not valid.
        OSError: The TCP connection failed.
        InvalidHandshake: The opening handshake failed; a
            :exc:`~socketeer.exceptions.ProxyError` if the proxy is to blame.
        TimeoutError: Connecting took longer than ``open_timeout``.
        ValueError: Arguments contradict each other.
    """
    connecter = reconnect(uri, **kwargs)
    if legacy is False:
        return connecter  # type: ignore[return-value] # asked for
    return connecter.connect()


def unix_connect(
    path: PathLike | None = None,
    uri: str | None = None,
    *,
    legacy: bool | None = None,
    **kwargs: Any,
) -> ClientConnection:
    """
    Connect to a WebSocket server listening on a Unix socket.

    Args:
        path: File system path of the socket, unless there is ``sock``.
        uri: URI for the opening handshake: ``ws://localhost/`` by default, or
            ``wss://localhost/`` with ``ssl``.
        legacy: As for :func:`connect`.
        **kwargs: Arguments of :class:`reconnect`.
    """
    connecter = unix_reconnect(path, uri, **kwargs)
    if legacy is False:
        return connecter  # type: ignore[return-value] # asked for
    return connecter.connect()


def unix_reconnect(
    path: PathLike | None = None, uri: str | None = None, **kwargs: Any
) -> reconnect:
    """
    Connect to a WebSocket server listening on a Unix socket, again and again.

    Args:
        path: File system path of the socket, unless there is ``sock``.
        uri: URI for the opening handshake: ``ws://localhost/`` by default, or
            ``wss://localhost/`` with ``ssl``.
        **kwargs: Arguments of :class:`reconnect`.
    """
    kwargs["ssl"] = kwargs.pop("ssl_context", kwargs.get("ssl"))
    uri = unix_uri(uri, kwargs["ssl"])
    if kwargs.get("sock") is None:
        if path is None:
            raise ValueError("missing path argument")
        kwargs["path"] = path
    else:
        check_alone("sock", path=path)
    return reconnect(uri, **kwargs)
