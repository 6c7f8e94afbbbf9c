"""
A server that runs: its connections, its handlers, and its end.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, cast

from .._servers import BaseServer, closing_code
from ..http11 import SERVER, Response
from ..limits import Limits
from ..protocol import OPEN
from ..utils import get_socket_name
from .arriving import Arrival
from .opening import ServerOpening
from .watching import LoopWatch

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from .._serving import ConnectionFactory
    from ..server import ServerProtocol
    from ..typing import LoggerLike
    from ._cellar import Link
    from .server import ServerConnection

__all__ = ["Hook", "Server"]

# Seconds after which a closing server says that handlers go on. By default, their
# connections are closed after ten seconds at the latest.
HANDLERS_GRACE = 15.0

# Handlers that are named then.
_NAMED = 5

Hook = Callable[..., Awaitable[Response | None] | Response | None]


class Server(BaseServer["ServerConnection"]):
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
        limits: What the server allows, see :func:`serve`.

    Attributes:
        server: What listens, with the methods of :class:`asyncio.Server`; there
            after the server was started.
        all_connections: Connections in any state whose request has arrived and
            whose handler has not returned.
        arrivals: Connections whose request has not arrived.
        handler_tasks: Tasks of the handlers.
        logger: Logger of the server.
        limits: What the server allows.
        census: Counts connections.
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
        limits: Limits | None = None,
    ) -> None:
        super().__init__(limits, server_header, logger)
        self._create_server = create_server
        self._handler = handler
        self.process_request = process_request
        self.process_response = process_response
        self.open_timeout = open_timeout
        self.server: Any = None
        self.arrivals: set[Arrival] = set()
        self.handler_tasks: set[asyncio.Task[Any]] = set()
        self.close_task: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        # Done when no connection and no handler is left; made on closing.
        self._idle: asyncio.Future[None] | None = None
        # Done when draining is to be over.
        self._drained: asyncio.Future[None] | None = None
        self._watch: LoopWatch | None = None
        # Where the ends of handlers are taken in.
        self._context = contextvars.copy_context()

    # Starting.

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        await self
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    async def _start(self) -> Self:
        """
        Bind, and start to listen unless that is to be done later.
        """
        if self.server is not None:
            return self
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        self.server = await self._create_server(self)
        self._watch = LoopWatch(
            loop, self.logger, functools.partial(self.census.count, "loop_blocked")
        )
        if self.server.is_serving():
            self._log_listening()
        return self

    def _log_listening(self) -> None:
        """
        Tell where the server listens.
        """
        for sock in self.server.sockets:
            self.logger.info("server listening on %s", get_socket_name(sock))

    # Connections.

    def count_handlers(self) -> int:  # noqa: D102 - inherited
        return len(self.handler_tasks)

    def is_closing(self) -> bool:
        """
        Tell whether :meth:`close` was called.
        """
        return self.close_task is not None

    def expect(self, link: Link, factory: ConnectionFactory) -> Arrival:
        """
        Begin to wait for the request on a new connection.

        Args:
            link: The connection's link; it has a wire.
            factory: Makes the connection when its request has arrived.
        """
        arrival = Arrival(self, factory, link)
        link.opening = arrival
        self.arrivals.add(arrival)
        self.census.arrive()
        arrival.give_time(self.open_timeout)
        return arrival

    def miss(self, arrival: Arrival) -> None:
        """
        Take in that a connection has gone before there was a request.
        """
        self.arrivals.discard(arrival)
        self.census.leave(None, None)
        self._check_idle()

    def adopt(
        self, connection: ServerConnection, protocol: ServerProtocol, arrival: Arrival
    ) -> ServerOpening:
        """
        Let the opening handshake of a connection go on that was waited for.
        """
        opening = ServerOpening(connection, protocol, self)
        connection._link.opening = opening
        self.all_connections.add(connection)
        self.arrivals.discard(arrival)
        return opening

    def start_handler(self, connection: ServerConnection) -> None:
        """
        Run the handler of a connection that is OPEN.
        """
        loop = asyncio.get_running_loop()
        try:
            awaitable = self._handler(connection)
        except Exception as exc:
            awaitable = _raise(exc)
        if not asyncio.iscoroutine(awaitable):
            awaitable = _await(awaitable)
        task = loop.create_task(awaitable)
        self.handler_tasks.add(task)
        # By default, each callback would have a context of its own.
        task.add_done_callback(_HandlerEnd(self, connection), context=self._context)

    def end_handler(
        self, connection: ServerConnection, task: asyncio.Task[Any]
    ) -> None:
        """
        Close the connection of a handler that has returned or raised.
        """
        self.handler_tasks.discard(task)
        link = connection._link
        code = 1000
        if task.cancelled():
            code = 1011
        else:
            exc = task.exception()
            if exc is not None:
                code = 1011
                self.report(connection, exc)
        if link.state == OPEN:
            link.begin_close(code, "")
        if link.lost:
            self.forget(connection)
        self._check_idle()

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
            and not self.arrivals
            and not self.handler_tasks
        ):
            idle.set_result(None)

    # Closing.

    def close(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
        *,
        drain: float | None = None,
    ) -> asyncio.Future[None]:
        """
        Close the server.

        It stops accepting connections, answers those whose opening handshake is
        in progress with status 503, closes the others, and waits for their
        handlers. :meth:`wait_closed` waits for all that.

        Calling it again does nothing, except that ``drain=0`` ends the draining.

        Args:
            close_connections: :obj:`False` lets handlers go on with their
                connections until they return.
            code: Close code; 1012 tells clients of a restart.
            reason: Close reason.
            drain: Seconds over which the connections are closed, evenly, so that
                not all clients come back at once. The code is 1012 then, unless
                another one than 1001 is given; new clients are refused with status
                503 meanwhile, on a socket that still listens.

        Returns:
            A future which is done when the server is closed. It need not be awaited.

        Raises:
            ProtocolError: The code or the reason cannot be sent. Nothing was closed.
            ValueError: ``drain`` is negative, or no connections are to be closed.
        """
        code = closing_code(drain, close_connections, code, reason)
        if self.close_task is None:
            loop = self.get_loop()
            self._drained = loop.create_future()
            self.close_task = loop.create_task(
                self._close(close_connections, code, reason, drain or 0.0)
            )
        elif drain == 0:
            self._end_drain()
        # Canceling who awaits this must not stop the closing.
        return asyncio.shield(self.close_task)

    async def _drain(self, code: int, reason: str, seconds: float) -> None:
        """
        Close the connections one after another.
        """
        assert self._drained is not None
        clock = asyncio.get_running_loop().time
        for at, connection in self.draining(seconds, clock()):
            wait = at - clock()
            if wait > 0 and not self._drained.done():
                await asyncio.wait([self._drained], timeout=wait)
            link = connection._link
            if link.state == OPEN:
                link.begin_close(code, reason)

    def _end_drain(self) -> None:
        """
        Close at once what is left of the connections.
        """
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _complain(self) -> None:
        """
        Say which handlers keep the server from being closed.
        """
        names = sorted(task.get_name() for task in self.handler_tasks)
        more = ", ..." if len(names) > _NAMED else ""
        self.logger.warning(
            "server closing: %d connection handlers have not returned: %s%s",
            len(names),
            ", ".join(names[:_NAMED]),
            more,
        )

    async def _close(
        self, close_connections: bool, code: int, reason: str, drain: float
    ) -> None:
        """
        Close the server.
        """
        self.logger.info("server closing")
        if drain:
            await self._drain(code, reason, drain)
        if self.server is not None:
            self.server.close()
        for arrival in list(self.arrivals):
            arrival.shut_down()
        for connection in list(self.all_connections):
            link = connection._link
            if link.opening is not None:
                link.opening.shut_down()
            elif close_connections and link.state == OPEN:
                link.begin_close(code, reason)
        loop = asyncio.get_running_loop()
        self._idle = loop.create_future()
        self._check_idle()
        complaint = loop.call_later(HANDLERS_GRACE, self._complain)
        try:
            await self._idle
        finally:
            complaint.cancel()
            if self._watch is not None:
                self._watch.stop()
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
