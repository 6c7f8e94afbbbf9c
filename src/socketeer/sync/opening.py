"""
The server's opening handshake on a socket: TLS, hooks, deadline, answer.
"""

from __future__ import annotations

import contextlib
import inspect
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from .._opening import (
    Answering,
    closing_response,
    late_response,
    patience,
    take_request,
    write_response,
)
from .._tls import TLS
from ..http11 import Request, Response
from ..protocol import OPEN
from .stream import Stream

if TYPE_CHECKING:
    import ssl as ssl_module

    from .._serving import ConnectionFactory
    from .server import Server, ServerConnection

__all__ = ["Hook", "ServerOpening"]

Hook = Callable[..., Response | None]


class ServerOpening:
    """
    Sets up TLS, reads a request, asks the hooks, writes the response.

    Args:
        sock: A socket that was accepted.
        server: The server.
        factory: Makes the connection.
        hooks: ``process_request`` and ``process_response``.
        timeouts: Seconds for the opening handshake and for closing.
    """

    def __init__(
        self,
        sock: socket.socket,
        server: Server,
        factory: ConnectionFactory,
        hooks: tuple[Hook | None, Hook | None],
        timeouts: tuple[float | None, float | None],
    ) -> None:
        self._sock = sock
        self._server = server
        self._factory = factory
        self._hooks = hooks
        self._open_timeout, self._close_timeout = timeouts
        self._stream = Stream(sock, self._after(self._open_timeout))
        self._has_request = False
        self._connection: ServerConnection | None = None

    def place(self) -> str | None:
        """
        Return how the server counts the connection, if it was admitted.
        """
        return None if self._connection is None else self._connection._place

    def run(self, ssl: ssl_module.SSLContext | None) -> ServerConnection | None:
        """
        Perform the opening handshake.

        Args:
            ssl: TLS context, if so.

        Returns:
            The connection, if it is OPEN. Otherwise the socket is closed.
        """
        if ssl is not None:
            tls = TLS(ssl, None, server_side=True)
            try:
                self._stream.start_tls(tls)
            except OSError as exc:
                # That is what scanners look like: no fault of ours, and every day.
                late = isinstance(exc, TimeoutError)
                self._count("timed_out" if late else "broken")
                self._server.logger.debug("TLS handshake failed: %s", exc)
                self._sock.close()
                return None
        connection: ServerConnection
        connection, protocol = self._factory.make((self._sock,), (self._server,))
        self._connection = connection
        connection._link.tls = self._stream.tls
        try:
            response = self._respond(connection)
            if connection._link.lost:
                # A hook has closed it.
                self._count("broken")
                return None
            answer = write_response(connection, protocol, response)
            self._stream.send(answer)
        except OSError as exc:
            self._count("broken")
            protocol.handshake_exc = protocol.handshake_exc or exc
            protocol.state = protocol.state.CLOSED
            connection._link.abort(None)
            return None
        except BaseException:
            self._sock.close()
            raise
        if protocol.state is OPEN:
            return connection
        self._server.census.count("rejected" if answer else "handshakes_broken")
        self._finish(connection)
        return None

    def shut_down(self) -> None:
        """
        Take in that the server is closing: a request that is not here is refused.
        """
        if not self._has_request:
            # The thread that waits for it finds the end of the stream.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RD)

    def _count(self, end: str) -> None:
        """
        Count a handshake that failed.
        """
        self._server.census.count(f"handshakes_{end}")

    def _after(self, timeout: float | None) -> float | None:
        """
        Return the time after a number of seconds.
        """
        return None if timeout is None else time.monotonic() + timeout

    def _respond(self, connection: ServerConnection) -> Response | None:
        """
        Read the request, and return a response; :obj:`None` if there is one already.
        """
        protocol = connection.protocol
        try:
            request = self._read_request(connection)
        except TimeoutError:
            self._count("timed_out")
            self._give_time()
            return late_response(protocol, False)
        if request is not None:
            return self._answer(connection, request)
        if self._server.is_closing() and protocol.handshake_exc is None:
            self._give_time()
            return closing_response(protocol)
        # The protocol has an answer to what is not a request.
        return None

    def _answer(self, connection: ServerConnection, request: Request) -> Response:
        """
        Ask the hooks for a response.
        """
        connection.request = request
        answering = Answering(
            self._server, connection, connection.protocol, request, self._hooks
        )
        call = answering.go_on()
        is_late = False
        while call is not None:
            try:
                result: Any = call()
                if inspect.iscoroutine(result):
                    # What it is will be complained about.
                    result.close()
            except Exception as exc:
                call = answering.go_on(failure=exc)
            else:
                call = answering.go_on(result)
            deadline = self._stream.deadline
            is_late = deadline is not None and time.monotonic() >= deadline
        if answering.has_failed:
            self._give_time()
        elif is_late:
            self._count("timed_out")
            self._give_time()
            return late_response(connection.protocol, True)
        return cast("Response", answering.response)

    def _give_time(self) -> None:
        """
        Have time for an answer.
        """
        self._stream.deadline = self._after(patience(self._close_timeout))

    def _read_request(self, connection: ServerConnection) -> Request | None:
        """
        Read the request; return :obj:`None` if it is none.
        """
        protocol = connection.protocol
        request = None
        while request is None and protocol.handshake_exc is None:
            data = self._stream.receive()
            if not data and self._server.is_closing():
                return None
            request = take_request(protocol, data)
        self._has_request = request is not None
        return request

    def _finish(self, connection: ServerConnection) -> None:
        """
        Half-close; the client has ``close_timeout`` to do the same.
        """
        self._give_time()
        with contextlib.suppress(OSError):
            if self._stream.tls is not None:
                self._sock.send(self._stream.tls.end())
            self._sock.shutdown(socket.SHUT_WR)
        self._stream.tls = None
        self._stream.drain(bool)
        connection._link.abort(None)
