"""
WebSocket clients on trio.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import trio

from .._connecting import (
    ClientHandshake,
    Connecter,
    Redirects,
    unix_uri,
)
from .._options import CONNECT, documented
from .._redirection import MAX_REDIRECTS
from .._tls import choose_context
from ..client import backoff, process_exception
from ..http11 import USER_AGENT
from ..protocol import OPEN
from ..uri import parse_uri
from .connection import Connection
from .dialing import Way, close_at_once

if TYPE_CHECKING:
    from types import TracebackType

    from .._redirection import Pinned
    from ..client import ClientProtocol
    from ..datastructures import HeadersLike
    from ..extensions import ClientExtensionFactory
    from ..typing import LoggerLike, Origin, PathLike, Subprotocol

__all__ = ["ClientConnection", "connect", "unix_connect"]


class ClientConnection(Connection):
    """
    The client's end of a WebSocket connection, given by :func:`connect`.

    See :class:`~socketeer.trio.connection.Connection` for what it can do.
    """

    async def handshake(
        self,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
    ) -> None:
        """
        Perform the opening handshake.

        Args:
            additional_headers: Headers of the request, after all others.
            user_agent_header: ``User-Agent`` header; :obj:`None` for none.

        Raises:
            InvalidHandshake: The server refused, or its response is invalid.
        """
        handshake = ClientHandshake(self, cast("ClientProtocol", self.protocol))
        request = handshake.begin(additional_headers, user_agent_header)
        with contextlib.suppress(trio.BrokenResourceError):
            # The server may have answered before it closed the connection.
            await self.stream.send_all(request)
        is_over = False
        while not is_over:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                data = b""
            is_over = handshake.receive(data)
        handshake.check()
        self._opened(b"")


class _SystemTasks:
    """
    Where the tasks of clients run.

    Not in a nursery: one that is opened by a method of an object and closed by
    another one, or never, would not nest with the nurseries and cancel scopes of
    the task that uses the object: it may enter and leave it in different tasks, and
    ``break`` leaves ``async for`` without telling anybody. Nothing is left behind
    nevertheless: the tasks end with the connection, and whoever leaves the context
    of a connection waits for that.
    """

    @staticmethod
    def start_soon(function: Callable[..., Any], *args: Any) -> None:
        """
        Start a task.
        """
        trio.lowlevel.spawn_system_task(
            function, *args, context=contextvars.copy_context()
        )


@documented(CONNECT)
class connect(Connecter):  # noqa: N801 - the field's interface
    """
    Connect to the WebSocket server at ``uri``.

    An asynchronous context manager that closes the connection::

        async with connect("ws://localhost:8765") as connection:
            await connection.send("Hello!")
            print(await connection.recv())

    Or an asynchronous iterator that connects again and again::

        async for connection in connect("ws://localhost:8765"):
            try:
                async for message in connection:
                    print(message)
            except ConnectionClosed:
                continue

    Then an attempt that fails is followed by another one if ``process_exception``
    says so, after the next of ``reconnect_delays``; so is a connection that was lost,
    or was closed by the server. If the program has closed the connection, or has
    gone on without closing it, there is no delay. Delays begin anew when a
    connection has lasted for a minute. A connection that was left by ``break``
    closes itself.

    Redirects are followed, at most ten at a time, but not from ``wss`` to ``ws``.
    Another origin gets none of the ``additional_headers`` that hold credentials:
    ``Authorization``, ``Cookie`` and ``Proxy-Authorization``. The object connects to
    where it was redirected from then on.

    Args:
        uri: ...
        stream: Stream to the server, without TLS, if there is one already; it
            belongs to the connection from now on.
        ssl: TLS context for ``wss://``; there is a default one.
        server_hostname: Name that the server's certificate must bear, if not the
            host of the URI.
        origin: Value of the ``Origin`` header.
        extensions: Extensions, in order of preference.
        subprotocols: Subprotocols, in order of preference.
        compression: ...
        additional_headers: ...
        user_agent_header: ...
        proxy: ...
        proxy_ssl: TLS context for an ``https://`` proxy; there is a default one.
        proxy_server_hostname: Name that the proxy's certificate must bear, if not
            its host.
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
        **kwargs: Arguments of :func:`trio.open_tcp_stream`: ``host`` and ``port``,
            which override where to connect to, ``local_address`` and
            ``happy_eyeballs_delay``.

    Raises:
        InvalidURI: The URI is not valid.
        InvalidProxy: The URL of the proxy is not valid.
        OSError: The TCP connection failed.
        trio.BrokenResourceError: The TLS handshake failed; ``__cause__`` tells why.
        InvalidHandshake: The opening handshake failed.
        TimeoutError: Connecting took longer than ``open_timeout``.
        ValueError: Arguments contradict each other.
    """

    connection: ClientConnection

    def __init__(
        self,
        uri: str,
        *,
        # TCP and TLS
        stream: trio.abc.Stream | None = None,
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
        super().__init__(
            uri,
            create_connection=create_connection or ClientConnection,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            compression=compression,
            additional_headers=additional_headers,
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
        is_secure = parse_uri(uri).secure
        if ssl is not None:
            choose_context(is_secure, ssl)
        self._way = Way(
            stream=stream,
            path=kwargs.pop("path", None),
            address=kwargs,
            ssl=ssl,
            server_hostname=server_hostname,
            proxy=proxy,
            proxy_ssl=proxy_ssl,
            proxy_server_hostname=proxy_server_hostname,
            user_agent_header=user_agent_header,
        )

    # Ways to connect.

    async def __aenter__(self) -> ClientConnection:
        if hasattr(self, "connection"):
            raise RuntimeError("connect() isn't reentrant")
        self.connection = await self._connect()
        return self.connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection = self.connection
        del self.connection
        await connection.__aexit__(exc_type, exc_value, traceback)

    def __aiter__(self) -> AsyncIterator[ClientConnection]:
        return _Connections(self)

    async def _connect(self) -> ClientConnection:
        """
        Connect within ``open_timeout``, and follow redirects.
        """
        timeout = math.inf if self.open_timeout is None else self.open_timeout
        with trio.move_on_after(timeout):
            redirects = Redirects(self, MAX_REDIRECTS)
            while True:
                try:
                    return await self._connect_once()
                except Exception as exc:
                    redirects.follow(exc)
        raise TimeoutError("timed out during opening handshake")

    def _pinned(self) -> Pinned | None:
        pinned: Pinned | None = None
        if self._way.stream is not None:
            pinned = "stream"
        elif self._way.path is not None:
            pinned = "path"
        elif not {"host", "port"}.isdisjoint(self._way.address):
            pinned = "address"
        return pinned

    async def _connect_once(self) -> ClientConnection:
        """
        Connect to the present URI.
        """
        uri = parse_uri(self.uri)
        stream = await self._way.go(uri)
        try:
            connection: ClientConnection
            connection, _ = self._make(uri, _SystemTasks(), stream)
            await connection.handshake(self.additional_headers, self.user_agent_header)
        except BaseException:
            await close_at_once(stream)
            raise
        return connection


class _Connections:
    """
    Connects again and again: what ``async for`` iterates over.

    It is no generator: those must not be left before their end on trio.

    Args:
        connector: Connects.
    """

    def __init__(self, connector: connect) -> None:
        self._connector = connector
        self._reconnection = connector._reconnection()
        self._token = trio.lowlevel.current_trio_token()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ClientConnection:
        connector = self._connector
        if hasattr(connector, "connection"):
            await self._leave(connector.connection)
        while True:
            try:
                connection = await connector.__aenter__()
            except trio.BrokenResourceError as exc:
                # Of TLS. The network may be to blame: what happened below tells.
                cause = exc.__cause__
                failure = cause if isinstance(cause, OSError) else exc
                await trio.sleep(self._reconnection.failed(failure))
            except Exception as exc:
                await trio.sleep(self._reconnection.failed(exc))
            else:
                self._reconnection.opened(trio.current_time())
                return connection

    async def _leave(self, connection: ClientConnection) -> None:
        """
        Close a connection that the program has done with, and wait if it was lost.
        """
        is_open = connection.state is OPEN
        await self._connector.__aexit__(None, None, None)
        closed = None if is_open else connection.close_exc
        await trio.sleep(self._reconnection.ended(closed, trio.current_time()))

    def __del__(self) -> None:
        # The loop was left, by break or by an exception.
        connection = vars(self._connector).pop("connection", None)
        if connection is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(connection._link.leave)


def unix_connect(
    path: PathLike | None = None, uri: str | None = None, **kwargs: Any
) -> connect:
    """
    Connect to a WebSocket server listening on a Unix socket.

    Args:
        path: File system path of the socket, unless there is ``stream``.
        uri: URI for the opening handshake: ``ws://localhost/`` by default, or
            ``wss://localhost/`` with ``ssl``.
        **kwargs: Arguments of :func:`connect`; ``host`` and ``port`` have no effect.
    """
    uri = unix_uri(uri, kwargs.get("ssl"))
    return connect(uri, path=path, **kwargs)
