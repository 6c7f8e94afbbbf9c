"""
WebSocket servers on asyncio.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from ..exceptions import ConnectionClosed
from ..extensions.permessage_deflate import enable_server_permessage_deflate
from ..headers import validate_subprotocols
from ..http11 import SERVER, Request, Response
from ..protocol import OPEN, Protocol
from ..server import ServerProtocol
from . import compatibility
from .authentication import basic_auth
from .broadcasting import broadcast
from .connection import Connection
from .opening import ServerOpening
from .serving import Binding, ConnectionFactory

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from ..extensions import ServerExtensionFactory
    from ..typing import LoggerLike, Origin, PathLike, StatusLike, Subprotocol
    from ._cellar import Link

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

Hook = Callable[..., "Response | None | Awaitable[Response | None]"]


class ServerConnection(Connection):
    """
    The server's end of a WebSocket connection.

    Handlers get one of these. See :class:`~.connection.Connection` for what it
    can do; the following is only the server's.

    Attributes:
        server: The server.
        username: Who authenticated, with :func:`basic_auth`.
    """

    __slots__ = ("server",)

    username: str

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
        self.server = server
        super().__init__(
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
            write_limit=write_limit,
        )

    def respond(self, status: StatusLike, text: str) -> Response:
        """
        Make a plain text response, for a ``process_request`` hook to return.

        Its headers can be changed before it is returned.

        Args:
            status: HTTP status.
            text: Body; it should end with a newline.
        """
        return cast("ServerProtocol", self.protocol).reject(status, text)

    def _opened(self, protocol: Protocol) -> None:
        super()._opened(protocol)
        self.server.start_handler(self)

    def _connection_lost(self, exc: Exception | None) -> None:
        if self.protocol.handshake_exc is None:
            self.logger.info("connection closed")
        self.server.forget(self)


class Server:
    """
    A WebSocket server, returned by :func:`serve`.

    It starts when it is awaited or used as an asynchronous context manager, and
    has the methods of :class:`asyncio.Server`.

    Args:
        create_server: Makes what listens; called with this object.
        handler: Called with each connection.
        logger: Logger of the server.
        process_request: Hook, see :func:`serve`.
        process_response: Hook, see :func:`serve`.
        server_header: Value of the ``Server`` header.
        open_timeout: Seconds for the opening handshake.

    Attributes:
        server: What listens, with the methods of :class:`asyncio.Server`; there
            after the server was started.
        all_connections: Connections in any state whose handler has not returned.
        handler_tasks: Tasks of the handlers.
        logger: Logger of the server.
    """

    def __init__(
        self,
        create_server: Callable[[Server], Awaitable[Any]],
        handler: Callable[[ServerConnection], Awaitable[None]],
        logger: LoggerLike | None = None,
        *,
        process_request: Hook | None = None,
        process_response: Hook | None = None,
        server_header: str | None = SERVER,
        open_timeout: float | None = 10,
    ) -> None:
        self._create_server = create_server
        self._handler = handler
        self.process_request = process_request
        self.process_response = process_response
        self.server_header = server_header
        self.open_timeout = open_timeout
        self.logger = logger or logging.getLogger("socketeer.server")
        self.server: Any = None
        self.all_connections: set[ServerConnection] = set()
        self.handler_tasks: set[asyncio.Task[Any]] = set()
        self.close_task: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        # Done when no connection and no handler is left; made on closing.
        self._idle: asyncio.Future[None] | None = None

    # Starting.

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        return await self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    async def _start(self) -> Server:
        """
        Bind, and start to listen unless that is to be done later.
        """
        if self.server is not None:
            return self
        self._closed = asyncio.get_running_loop().create_future()
        self.server = await self._create_server(self)
        if self.server.is_serving():
            self._log_listening()
        return self

    def _log_listening(self) -> None:
        """
        Tell where the server listens.
        """
        for sock in self.server.sockets:
            if sock.family == socket.AF_INET:
                name = "{}:{}".format(*sock.getsockname())
            elif sock.family == socket.AF_INET6:
                name = "[{}]:{}".format(*sock.getsockname()[:2])
            else:
                name = str(sock.getsockname())
            self.logger.info("server listening on %s", name)

    # Connections.

    @property
    def connections(self) -> set[ServerConnection]:
        """
        The connections that are OPEN.

        A new set each time: iterate over it while connections come and go.
        """
        return {
            connection
            for connection in self.all_connections
            if connection.state is OPEN
        }

    def is_closing(self) -> bool:
        """
        Tell whether :meth:`close` was called.
        """
        return self.close_task is not None

    def adopt(self, connection: ServerConnection, protocol: ServerProtocol) -> None:
        """
        Begin the opening handshake of a new connection.
        """
        link = connection._link  # noqa: SLF001
        protocol.hand_over(link)
        link.opening = ServerOpening(connection, protocol, self)
        if self.open_timeout is not None:
            link.open_due_at = link.clock() + self.open_timeout
            link.schedule()
        self.all_connections.add(connection)

    def start_handler(self, connection: ServerConnection) -> None:
        """
        Run the handler of a connection that is OPEN.
        """
        loop = asyncio.get_running_loop()
        try:
            awaitable = self._handler(connection)
        except Exception as exc:  # noqa: BLE001 - reported below
            awaitable = _raise(exc)
        if not asyncio.iscoroutine(awaitable):
            awaitable = _await(awaitable)
        task = loop.create_task(awaitable)
        self.handler_tasks.add(task)
        task.add_done_callback(_HandlerEnd(self, connection))

    def end_handler(
        self, connection: ServerConnection, task: asyncio.Task[Any]
    ) -> None:
        """
        Close the connection of a handler that has returned or raised.
        """
        self.handler_tasks.discard(task)
        link = connection._link  # noqa: SLF001
        code = 1000
        if task.cancelled():
            code = 1011
        else:
            exc = task.exception()
            if exc is not None:
                code = 1011
                self._report(connection, exc)
        if link.state == OPEN:
            link.begin_close(code, "")
        if link.lost:
            self.forget(connection)
        self._check_idle()

    def _report(self, connection: ServerConnection, exc: BaseException) -> None:
        """
        Log why a handler ended.
        """
        link = connection._link  # noqa: SLF001
        if isinstance(exc, BaseExceptionGroup):
            # What the tasks of a task group raised.
            _, others = exc.split(lambda each: _is_own_end(each, link))
            quiet = others is None
        else:
            quiet = _is_own_end(exc, link)
        if quiet:
            # Its own connection was closed: that happens every day.
            connection.logger.info("connection handler ended: %s", exc)
        else:
            connection.logger.error("connection handler failed", exc_info=exc)

    def forget(self, connection: ServerConnection) -> None:
        """
        Take in that a connection is gone.
        """
        self.all_connections.discard(connection)
        self._check_idle()

    def _check_idle(self) -> None:
        """
        Tell :meth:`close` when nothing is left to wait for.
        """
        idle = self._idle
        if (
            idle is not None
            and not idle.done()
            and not self.all_connections
            and not self.handler_tasks
        ):
            idle.set_result(None)

    # Closing.

    def close(
        self, close_connections: bool = True, code: int = 1001, reason: str = ""
    ) -> asyncio.Future[None]:
        """
        Close the server.

        It stops accepting connections, answers those whose opening handshake is
        in progress with status 503, closes the others, and waits for their
        handlers. :meth:`wait_closed` waits for all that.

        Calling it again does nothing.

        Args:
            close_connections: :obj:`False` lets handlers go on with their
                connections until they return.
            code: Close code; 1012 tells clients of a restart.
            reason: Close reason.

        Returns:
            A future which is done when the server is closed. It need not be awaited.
        """
        if self.close_task is None:
            self.close_task = self.get_loop().create_task(
                self._close(close_connections, code, reason)
            )
        # Canceling who awaits this must not stop the closing.
        return asyncio.shield(self.close_task)

    async def _close(self, close_connections: bool, code: int, reason: str) -> None:
        """
        Close the server.
        """
        self.logger.info("server closing")
        if self.server is not None:
            self.server.close()
        for connection in list(self.all_connections):
            link = connection._link  # noqa: SLF001
            if link.opening is not None:
                link.opening.shut_down()
            elif close_connections and link.state == OPEN:
                link.begin_close(code, reason)
        self._idle = asyncio.get_running_loop().create_future()
        self._check_idle()
        await self._idle
        if self.server is not None:
            await self.server.wait_closed()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        self.logger.info("server closed")

    async def wait_closed(self) -> None:
        """
        Wait until the server is closed: no connection is left, and all handlers
        have returned. Canceling does not disturb the server.
        """
        if self._closed is not None:
            await asyncio.shield(self._closed)

    # The rest of asyncio.Server.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """
        Return the event loop of the server.
        """
        if self.server is None:
            return asyncio.get_running_loop()
        return cast("asyncio.AbstractEventLoop", self.server.get_loop())

    def is_serving(self) -> bool:
        """
        Tell whether the server accepts connections.
        """
        return self.server is not None and bool(self.server.is_serving())

    async def start_serving(self) -> None:
        """
        Start accepting connections, after ``start_serving=False``.
        """
        if not self.is_serving():
            await self.server.start_serving()
            self._log_listening()

    async def serve_forever(self) -> None:
        """
        Accept connections until canceled or closed; then close the server.

        Raises:
            asyncio.CancelledError: The task was canceled. The server is closed.
        """
        await self.start_serving()
        try:
            await self.wait_closed()
        finally:
            self.close()
            await self.wait_closed()

    @property
    def sockets(self) -> tuple[Any, ...]:
        """
        The listening sockets; none after closing.
        """
        return () if self.server is None else tuple(self.server.sockets)


def _is_own_end(exc: BaseException, link: Link) -> bool:
    """
    Tell whether an exception is about the end of this connection.
    """
    return (
        isinstance(exc, ConnectionClosed)
        and exc.rcvd == link.close_rcvd
        and exc.sent == link.close_sent
    )


class _HandlerEnd:
    """
    Tells a server that a handler has ended.
    """

    __slots__ = ("connection", "server")

    def __init__(self, server: Server, connection: ServerConnection) -> None:
        self.server = server
        self.connection = connection

    def __call__(self, task: asyncio.Task[Any]) -> None:
        self.server.end_handler(self.connection, task)


async def _await(awaitable: Awaitable[Any]) -> None:
    """
    Await what a handler returned that is no coroutine.
    """
    await awaitable


async def _raise(exc: BaseException) -> None:
    """
    Raise what calling a handler raised.
    """
    raise exc


def serve(  # noqa: PLR0913 - the field's interface
    handler: Callable[[ServerConnection], Awaitable[None]],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    # Handshake
    origins: Sequence[Origin | re.Pattern[str] | None] | None = None,
    extensions: Sequence[ServerExtensionFactory] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: (
        Callable[[ServerConnection, Sequence[Subprotocol]], Subprotocol | None] | None
    ) = None,
    compression: Literal["deflate"] | None = "deflate",
    process_request: Hook | None = None,
    process_response: Hook | None = None,
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
        origins: Acceptable values of the ``Origin`` header, as protection against
            other people's web pages (RFC 6455, 10.2): strings, patterns that have
            to match entirely, and :obj:`None` for its absence.
        extensions: Extensions, in order of preference.
        subprotocols: Subprotocols, in order of preference. Clients which support
            none of them are refused.
        select_subprotocol: Function that gets a connection and the subprotocols
            of the client, and returns one of them or :obj:`None`; it may raise
            :exc:`~socketeer.exceptions.NegotiationError`.
        compression: ``"deflate"`` accepts permessage-deflate (RFC 7692);
            :obj:`None` does not.
        process_request: Function or coroutine function that gets a connection and
            a :class:`~socketeer.http11.Request`. A
            :class:`~socketeer.http11.Response` from it is sent in place of a
            handshake; see :meth:`ServerConnection.respond`.
        process_response: Function or coroutine function that gets a connection,
            the request and the response. It may change the response or return
            another one.
        server_header: ``Server`` header of responses; :obj:`None` for none.
        open_timeout: Seconds for the opening handshake; :obj:`None` for no limit.
        ping_interval: Seconds between pings that keep a connection alive;
            :obj:`None` for none.
        ping_timeout: Seconds to wait for a pong before the connection fails;
            :obj:`None` for ever.
        close_timeout: Seconds for the closing handshake; :obj:`None` for ever.
        max_size: Largest message accepted, in bytes, also after decompression;
            :obj:`None` for any. A tuple also limits frames: ``(message, frame)``.
        max_queue: Frames that may wait to be received before reading pauses;
            :obj:`None` for any number. A tuple also tells when it goes on:
            ``(high, low)``.
        write_limit: Bytes that may wait to be written before sending waits. A
            tuple also tells when it goes on: ``(high, low)``.
        logger: Logger of the server; ``socketeer.server`` by default.
        create_connection: Class of the connections, or a function that makes them.
        **kwargs: Arguments of :meth:`asyncio.loop.create_server`: ``ssl``,
            ``sock``, ``family``, ``backlog``, ``reuse_port``, ``start_serving``...
            ``ssl_handshake_timeout`` is ``open_timeout`` by default.

    Returns:
        The server. Nothing is started yet.

    Raises:
        ValueError: The compression is not supported, or a limit makes no sense.
        TypeError: An argument is of the wrong type.
    """
    older = compatibility.take_older_arguments(kwargs)
    if older.close_timeout is not None:
        close_timeout = older.close_timeout
    create_connection = older.create_connection or create_connection
    if process_request is None:
        process_request = compatibility.overridden_process_request(create_connection)
    else:
        process_request = compatibility.adapt_process_request(process_request)
    if older.extra_headers is not None:
        process_response = compatibility.adapt_headers(
            older.extra_headers, process_response
        )
    if subprotocols is not None:
        validate_subprotocols(subprotocols)
    if compression == "deflate":
        extensions = enable_server_permessage_deflate(extensions)
    elif compression is not None:
        raise ValueError(f"unsupported compression: {compression}")
    factory = ConnectionFactory(
        create_connection or ServerConnection,
        {
            "origins": origins,
            "extensions": extensions,
            "subprotocols": subprotocols,
            "max_size": max_size,
            "logger": logger or logging.getLogger("socketeer.server"),
        },
        {
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": close_timeout,
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
        compatibility.adapt_handler(handler),
        process_request=process_request,
        process_response=process_response,
        server_header=server_header,
        open_timeout=open_timeout,
        logger=logger,
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
