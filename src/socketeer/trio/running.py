"""
A server that runs: its connections, its handlers, and its end.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import trio

from .._connection import report_handler
from ..frames import Close
from ..protocol import OPEN
from ..utils import get_socket_name

if TYPE_CHECKING:
    from ..typing import LoggerLike
    from .opening import ServerOpening
    from .server import ServerConnection

__all__ = ["Server"]


class Server(trio.abc.AsyncResource):
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

    Attributes:
        listeners: What accepts connections.
        handler: Called with the stream of each one.
        all_connections: Connections in any state whose handler has not returned.
        openings: Opening handshakes in progress.
        closing: Whether :meth:`aclose` was called.
        nursery: Where the tasks of the connections run.
        logger: Logger of the server.
    """

    nursery: trio.Nursery

    def __init__(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        handler: Callable[[trio.abc.Stream], Awaitable[object]],
        logger: LoggerLike | None = None,
    ) -> None:
        self.listeners = list(listeners)
        self.handler = handler
        self.logger: LoggerLike = logger or logging.getLogger("socketeer.server")
        self.all_connections: set[ServerConnection] = set()
        self.openings: set[ServerOpening] = set()
        self.closing = False
        # The scopes of listening, and of everything.
        self._listening = trio.CancelScope()
        self._life = trio.CancelScope()
        self._closed = trio.Event()
        self._serving = False

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
            await nursery.start(
                functools.partial(
                    trio.serve_listeners,
                    self.handler,
                    self.listeners,
                    handler_nursery=self.nursery,
                )
            )
            for listener in self.listeners:
                if isinstance(listener, trio.SocketListener):
                    self.logger.info(
                        "server listening on %s", get_socket_name(listener.socket)
                    )
            task_status.started(self)

    async def run_handler(
        self,
        handler: Callable[[ServerConnection], Awaitable[object]],
        connection: ServerConnection,
    ) -> None:
        """
        Run the handler of a connection that is OPEN; close it afterwards.
        """
        self.all_connections.add(connection)
        # Canceled, and so is the server: it is going away.
        code = 1001
        try:
            await handler(connection)
            code = 1000
        except Exception as exc:
            code = 1011
            report_handler(connection._link, connection.logger, exc)
        except BaseExceptionGroup as group:
            # Of the handler's own nursery: not all of it is for those above.
            failures, others = group.split(Exception)
            if failures is not None:
                report_handler(connection._link, connection.logger, failures)
            assert others is not None, "a group of exceptions is one itself"
            raise others from None
        finally:
            try:
                await connection.aclose(code)
            finally:
                self.all_connections.discard(connection)
                connection.logger.info("connection closed")

    # Closing.

    async def aclose(
        self, close_connections: bool = True, code: int = 1001, reason: str = ""
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

        Raises:
            ProtocolError: The code cannot be sent. Nothing was closed.
        """
        Close(code, reason).check()
        if not self.closing:
            self.closing = True
            self.logger.info("server closing")
        self._listening.cancel()
        for opening in self.openings:
            opening.shut_down()
        if close_connections:
            for connection in self.connections:
                connection._link.begin_close(code, reason)
        if not self._serving:
            await self._stop_listening()
            return
        try:
            await self._closed.wait()
        except BaseException:
            self._life.cancel()
            raise
        self.logger.info("server closed")
