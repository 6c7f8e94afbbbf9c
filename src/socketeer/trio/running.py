"""
A server that runs: its connections, its handlers, and its end.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import trio

from .. import _sockets
from .._servers import BaseServer, closing_code
from .._sockets import Shortage
from ..http11 import SERVER
from ..utils import get_socket_name
from .watching import watch_loop

if TYPE_CHECKING:
    from ..limits import Limits
    from ..typing import LoggerLike
    from .opening import ServerOpening
    from .server import ServerConnection

__all__ = ["Server"]


class Server(BaseServer["ServerConnection"], trio.abc.AsyncResource):
    """
    A WebSocket server: what :func:`serve` gives to :meth:`trio.Nursery.start`.

    As an asynchronous context manager, it closes itself::

        async with trio.open_nursery() as nursery:
            async with await nursery.start(serve, handler, 8765):
                ...

    Args:
        listeners: What accepts connections.
        handler: Called with the stream of each one, in a task of its own.
        logger: Logger of the server; ``socketeer.server`` by default.
        server_header: Value of the ``Server`` header.
        limits: What the server allows, see :func:`serve`.

    Attributes:
        listeners: What accepts connections.
        handler: Called with the stream of each one.
        all_connections: Connections in any state whose handler has not returned.
        openings: Opening handshakes in progress.
        closing: Whether :meth:`aclose` was called.
        nursery: Where the tasks of the connections run.
        logger: Logger of the server.
        limits: What the server allows.
        census: Counts connections.
    """

    nursery: trio.Nursery

    def __init__(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        handler: Callable[[trio.abc.Stream], Awaitable[object]],
        logger: LoggerLike | None = None,
        *,
        server_header: str | None = SERVER,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(limits, server_header, logger)
        self.listeners = list(listeners)
        self.handler = handler
        self.openings: set[ServerOpening] = set()
        self.closing = False
        # The scopes of listening, and of everything.
        self._listening = trio.CancelScope()
        self._life = trio.CancelScope()
        self._closed = trio.Event()
        # Draining is to be over; there while that goes on.
        self._drained: trio.Event | None = None
        self._serving = False
        self._handlers = 0

    def is_closing(self) -> bool:
        """
        Tell whether :meth:`aclose` was called.
        """
        return self.closing

    def count_handlers(self) -> int:  # noqa: D102 - inherited
        return self._handlers

    def open(self, connection: ServerConnection, response: bytes) -> None:
        """
        Take in that an opening handshake has succeeded.

        Args:
            connection: The connection.
            response: What is still to be written of the handshake.
        """
        self.welcome(connection)
        connection._link.when_lost = functools.partial(self.count_end, connection)
        connection._opened(response)

    # Serving.

    async def serve_forever(
        self, task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """
        Accept connections until the server is closed.

        If canceled, handlers are canceled, and connections are closed with code
        1001, without waiting for the clients: use :meth:`aclose` to be polite.

        Args:
            task_status: For :meth:`trio.Nursery.start`, which returns the server.
        """
        self._serving = True
        try:
            with self._life:
                async with trio.open_nursery() as self.nursery:
                    with self._listening:
                        await self._listen(task_status)
        finally:
            await self._stop_listening()
            self._closed.set()

    async def _stop_listening(self) -> None:
        """
        Close the listeners, whether they were used or not.
        """
        with trio.CancelScope(shield=True):
            for listener in self.listeners:
                await trio.aclose_forcefully(listener)

    async def _listen(self, task_status: trio.TaskStatus[Server]) -> None:
        """
        Accept connections until canceled.
        """
        async with trio.open_nursery() as nursery:
            for each in self.listeners:
                nursery.start_soon(self._accept, each)
            nursery.start_soon(watch_loop, self.logger, self.census)
            for listener in self.listeners:
                if isinstance(listener, trio.SocketListener):
                    self.logger.info(
                        "server listening on %s", get_socket_name(listener.socket)
                    )
            task_status.started(self)

    async def _accept(self, listener: trio.abc.Listener[Any]) -> None:
        """
        Accept connections of one listener.
        """
        count = functools.partial(self.census.count, "accept_pauses")
        shortage = Shortage(self.logger, count)
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as exc:
                    if not shortage.is_cause_of(exc):
                        raise
                    await trio.sleep(_sockets.PAUSE)
                else:
                    shortage.is_over()
                    self.nursery.start_soon(self._serve, stream)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        """
        Serve a client from the first byte to the last.
        """
        try:
            await self.handler(stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def run_handler(
        self,
        handler: Callable[[ServerConnection], Awaitable[object]],
        connection: ServerConnection,
    ) -> None:
        """
        Run the handler of a connection that is OPEN; close it afterwards.
        """
        self.all_connections.add(connection)
        self._handlers += 1
        # Canceled, and so is the server: it is going away.
        code = 1001
        try:
            await handler(connection)
            code = 1000
        except Exception as exc:
            code = 1011
            self.report(connection, exc)
        except BaseExceptionGroup as group:
            # Of the handler's own nursery: not all of it is for those above.
            failures, others = group.split(Exception)
            if failures is not None:
                self.report(connection, failures)
            assert others is not None, "a group of exceptions is one itself"
            raise others from None
        finally:
            self._handlers -= 1
            try:
                await connection.aclose(code)
            finally:
                self.all_connections.discard(connection)
                connection.logger.info("connection closed")

    # Closing.

    async def aclose(
        self,
        close_connections: bool = True,
        code: int = 1001,
        reason: str = "",
        *,
        drain: float | None = None,
    ) -> None:
        """
        Close the server, and wait until it is closed.

        It stops accepting connections, answers those whose opening handshake is
        in progress with status 503, closes the others, and waits for their
        handlers.

        If canceled, handlers are canceled and connections are closed without
        waiting for the clients.

        Args:
            close_connections: :obj:`False` lets handlers go on with their
                connections until they return.
            code: Close code; 1012 tells clients of a restart.
            reason: Close reason.
            drain: Seconds over which the connections are closed, evenly, so that
                not all clients come back at once. The code is 1012 then, unless
                another one than 1001 is given; new clients are refused with status
                503 meanwhile, on a socket that still listens. Calling this again
                with 0 ends the draining.

        Raises:
            ProtocolError: The code or the reason cannot be sent. Nothing was closed.
            ValueError: ``drain`` is negative, or no connections are to be closed.
        """
        code = closing_code(drain, close_connections, code, reason)
        if self._drained is not None and drain == 0:
            self._drained.set()
        try:
            if self._drained is None:
                await self._close(close_connections, code, reason, drain or 0.0)
            await self._closed.wait()
        except BaseException:
            self._life.cancel()
            raise
        self.logger.info("server closed")

    async def _close(
        self, close_connections: bool, code: int, reason: str, drain: float
    ) -> None:
        """
        Stop listening, and close connections.
        """
        if not self.closing:
            self.closing = True
            self.logger.info("server closing")
        if drain:
            await self._drain(code, reason, drain)
        self._listening.cancel()
        for opening in self.openings:
            opening.shut_down()
        if close_connections:
            for connection in self.connections:
                connection._link.begin_close(code, reason)
        if not self._serving:
            await self._stop_listening()
            self._closed.set()

    async def _drain(self, code: int, reason: str, seconds: float) -> None:
        """
        Close the connections one after another.
        """
        drained = self._drained = trio.Event()
        for at, connection in self.draining(seconds, trio.current_time()):
            with trio.move_on_at(at):
                await drained.wait()
            connection._link.begin_close(code, reason)
        self._drained = None
