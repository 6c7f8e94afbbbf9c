"""
WebSocket clients on asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from .. import _compatibility as compatibility
from .._connecting import (
    ClientHandshake,
    Connecter,
    Redirects,
    unix_uri,
)
from .._options import CONNECT, documented
from .._redirection import MAX_REDIRECTS
from ..client import backoff, process_exception
from ..http11 import USER_AGENT
from ..protocol import OPEN
from ..uri import parse_uri
from .connection import Connection
from .proxying import find_way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable
    from types import TracebackType

    from .._redirection import Pinned
    from ..datastructures import HeadersLike
    from ..extensions import ClientExtensionFactory
    from ..typing import LoggerLike, Origin, PathLike, Subprotocol

__all__ = ["ClientConnection", "connect", "unix_connect"]


class ClientConnection(Connection):
    """
    The client's end of a WebSocket connection, returned by :func:`connect`.

    See :class:`~socketeer.asyncio.connection.Connection` for what it can do.
    """

    __slots__ = ()

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
        protocol = self.protocol
        link = self._link
        opening: ClientOpening = link.opening
        handshake = opening.handshake
        link.write_raw(handshake.begin(additional_headers, user_agent_header))
        await opening.answered
        handshake.check()
        self._opened(protocol)
        link.feed(protocol.unread_data())


class ClientOpening:
    """
    Reads the response of the opening handshake.

    Args:
        handshake: The handshake without I/O.

    Attributes:
        answered: A future: done when there is a response, or will be none.
        failed: A future of somebody who waits for TLS; gets the exception.
    """

    def __init__(self, handshake: ClientHandshake) -> None:
        self.handshake = handshake
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failed: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        """
        Take in a piece of the response.
        """
        if self.handshake.receive(data):
            self._finish()

    def eof_received(self) -> None:
        """
        Take in the end of the server's bytes.
        """
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Take in that the connection is gone.
        """
        if self.failed is not None and not self.failed.done():
            self.failed.set_exception(
                exc or ConnectionResetError("connection closed during TLS handshake")
            )
        self.handshake.receive(b"")
        self._finish()

    def timed_out(self) -> None:
        """
        Take in nothing: who connects has a deadline.
        """

    def _finish(self) -> None:
        """
        Wake who waits for the response.
        """
        if not self.answered.done():
            self.answered.set_result(None)


@documented(CONNECT)
class connect(Connecter):  # noqa: N801 - the field's interface
    """
    Connect to the WebSocket server at ``uri``.

    Await it, or use it as an asynchronous context manager that closes the
    connection::

        async with connect("ws://localhost:8765") as connection:
            await connection.send("Hello!")
            print(await connection.recv())

    Or as an asynchronous iterator that connects again and again::

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
    connection has lasted for a minute.

    Redirects are followed, at most ten at a time, but not from ``wss`` to ``ws``.
    Another origin gets none of the ``additional_headers`` that hold credentials:
    ``Authorization``, ``Cookie`` and ``Proxy-Authorization``. The object connects to
    where it was redirected from then on.

    Args:
        uri: ...
        origin: Value of the ``Origin`` header.
        extensions: Extensions, in order of preference.
        subprotocols: Subprotocols, in order of preference.
        compression: ...
        additional_headers: ...
        user_agent_header: ...
        proxy: ...
        process_exception: ...
        open_timeout: ...
        ping_interval: ...
        ping_timeout: ...
        close_timeout: ...
        reconnect_delays: ...
        max_size: ...
        max_queue: ...
        write_limit: Bytes that may wait to be written before sending waits. A
            tuple also tells when it goes on: ``(high, low)``.
        logger: ...
        create_connection: ...
        **kwargs: Arguments of :meth:`asyncio.loop.create_connection`: ``ssl``,
            ``server_hostname``, ``sock``, ``family``, ``local_addr``... ``host`` and
            ``port`` override where to connect to; ``ssl_handshake_timeout`` is
            ``open_timeout`` by default and ``ssl_shutdown_timeout`` is
            ``close_timeout``. The same for an ``https://`` proxy: ``proxy_ssl``,
            ``proxy_server_hostname``, ``proxy_ssl_handshake_timeout`` and
            ``proxy_ssl_shutdown_timeout``.

    Raises:
        InvalidURI: The URI is not valid.
        InvalidProxy: The URL of the proxy is not valid.
        OSError: The TCP connection failed.
        InvalidHandshake: The opening handshake failed; a
            :exc:`~socketeer.exceptions.ProxyError` if the proxy is to blame.
        TimeoutError: Connecting took longer than ``open_timeout``.
        ValueError: Arguments contradict each other.
    """

    def __init__(
        self,
        uri: str,
        *,
        # Handshake
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: Literal["deflate"] | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
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
        write_limit: int | tuple[int, int | None] = 2**15,
        # Others
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        older = compatibility.take_older_arguments(kwargs)
        if older.close_timeout is not None:
            close_timeout = older.close_timeout
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
            write_limit=write_limit,
        )
        self.proxy: str | Literal[True] | None = proxy
        self.close_timeout = close_timeout
        self.connection_kwargs = kwargs

    # Ways to connect.

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self.connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        if hasattr(self, "connection"):
            raise RuntimeError("connect() isn't reentrant")
        self.connection: ClientConnection = await self
        try:
            await self.connection.__aenter__()
        except BaseException:
            del self.connection
            raise
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

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        now = asyncio.get_running_loop().time
        reconnection = self._reconnection()
        while True:
            try:
                connection = await self.__aenter__()
            except Exception as exc:
                await asyncio.sleep(reconnection.failed(exc))
                continue
            reconnection.opened(now())
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_exit(self)
                yield connection
                is_open = connection.state is OPEN
            closed = None if is_open else connection.close_exc
            await asyncio.sleep(reconnection.ended(closed, now()))

    async def connect(self) -> ClientConnection:
        """
        Connect, as awaiting the object does.

        Returns:
            The connection, which is OPEN.
        """
        redirects = Redirects(self, MAX_REDIRECTS)
        try:
            async with asyncio.timeout(self.open_timeout):
                while True:
                    try:
                        return await self._connect_once()
                    except Exception as exc:
                        redirects.follow(exc)
        except TimeoutError as exc:
            raise TimeoutError("timed out during opening handshake") from exc

    def _pinned(self) -> Pinned | None:
        arguments = self.connection_kwargs
        pinned: Pinned | None = None
        if arguments.get("sock") is not None:
            pinned = "socket"
        elif arguments.get("unix"):
            pinned = "path"
        elif not {"host", "port"}.isdisjoint(arguments):
            pinned = "address"
        return pinned

    async def _connect_once(self) -> ClientConnection:
        """
        Connect to the present URI.
        """
        uri = parse_uri(self.uri)
        way = find_way(
            uri,
            self.proxy,
            self.user_agent_header,
            self.open_timeout,
            self.close_timeout,
            self.connection_kwargs,
        )
        connection: ClientConnection
        connection, protocol = self._make(uri)
        link = connection._link
        protocol.hand_over(link)
        link.opening = ClientOpening(ClientHandshake(connection, protocol))
        try:
            await way.go(connection)
            await connection.handshake(self.additional_headers, self.user_agent_header)
        except BaseException:
            # A transport of asyncio's with TLS must not be aborted when it is gone.
            if link.wire is not None and not link.lost:
                link.wire.abort()
            raise
        return connection


def unix_connect(
    path: PathLike | None = None, uri: str | None = None, **kwargs: Any
) -> connect:
    """
    Connect to a WebSocket server listening on a Unix socket.

    Args:
        path: File system path of the socket, unless there is ``sock``.
        uri: URI for the opening handshake: ``ws://localhost/`` by default, or
            ``wss://localhost/`` with ``ssl``.
        **kwargs: Arguments of :func:`connect`; ``host`` and ``port`` have no effect.
    """
    uri = unix_uri(uri, kwargs.get("ssl"))
    if path is not None:
        kwargs["path"] = path
    return connect(uri, unix=True, **kwargs)
