"""
The server's opening handshake on a connection: hooks, deadline, answer.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from .._opening import (
    Answering,
    closing_response,
    failure_response,
    late_response,
)
from ..http11 import Request, Response
from ..protocol import OPEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..server import ServerProtocol
    from .server import Server, ServerConnection

__all__ = ["ServerOpening"]


class ServerOpening:
    """
    Reads a request, asks the hooks, writes the response.

    Hooks may be functions or coroutine functions; a task is made only when one
    returns something to await.

    Args:
        connection: The connection.
        protocol: The handshake without I/O.
        server: The server, which starts the handler.
    """

    def __init__(
        self, connection: ServerConnection, protocol: ServerProtocol, server: Server
    ) -> None:
        self.connection = connection
        self.protocol = protocol
        self.server = server
        self.request: Request | None = None
        # Finds the response to it.
        self.answering: Answering | None = None
        # Waits for a hook.
        self.task: asyncio.Task[None] | None = None
        # Whether a response was sent; what the client sends is of no interest.
        self.answered: bool = False

    # What the link passes on.

    def data_received(self, data: bytes) -> None:
        """
        Take in a piece of the request.
        """
        if self.answered:
            return
        try:
            self._receive(data)
        except Exception as exc:
            self._fail("opening handshake", exc)

    def _receive(self, data: bytes) -> None:
        """
        Take in a piece of the request, and go on if it is complete.
        """
        self.protocol.receive_data(data)
        if self.request is not None:
            # Kept by the protocol until the answer is given. No client may send
            # anything before that (RFC 6455, 4.1): bounded, as it is patient.
            return
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.request = self.connection.request = event
                server = self.server
                self.answering = Answering(
                    server,
                    self.connection,
                    self.protocol,
                    event,
                    (server.process_request, server.process_response),
                )
                self._go_on(self.answering.go_on())
                return
        if self.protocol.handshake_exc is not None:
            # The protocol has an answer to what is not a request.
            self._write()
            self._finish()

    def eof_received(self) -> None:
        """
        Take in the end of the client's bytes.
        """
        if not self.answered:
            self.protocol.receive_eof()
            self.server.census.count("handshakes_broken")
            self._give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Take in that the connection is gone.
        """
        if not self.answered:
            self.answered = True
            self.server.census.count("handshakes_broken")
        self._cancel()
        self.protocol.receive_eof()

    def timed_out(self) -> None:
        """
        Take in that the client, or a hook, was too slow.
        """
        if self.answered:
            self._give_up()
            return
        self.server.census.count("handshakes_timed_out")
        self._reject(late_response(self.protocol, self.request is not None))

    def shut_down(self) -> None:
        """
        Take in that the server is closing.
        """
        if not self.answered and self.request is None:
            self._reject(closing_response(self.protocol))

    # Hooks.

    def _go_on(self, call: Callable[[], Any] | None) -> None:
        """
        Call hooks until one returns something to await, or there is a response.
        """
        answering = self.answering
        assert answering is not None
        while call is not None:
            try:
                result = call()
            except Exception as exc:
                if self._is_over():
                    return
                call = answering.go_on(failure=exc)
                continue
            if inspect.isawaitable(result):
                self.task = asyncio.get_running_loop().create_task(
                    self._go_on_later(result)
                )
                return
            if self._is_over():
                return
            call = answering.go_on(result)
        assert answering.response is not None
        self._answer(answering.response)

    async def _go_on_later(self, awaitable: Awaitable[object]) -> None:
        """
        Go on with what a hook returned to await.
        """
        answering = self.answering
        assert answering is not None
        result, failure = None, None
        try:
            result = await awaitable
        except Exception as exc:
            failure = exc
        self.task = None
        if not self._is_over():
            self._go_on(answering.go_on(result, failure=failure))

    def _is_over(self) -> bool:
        """
        Tell whether there is an answer already, or nobody to get one.
        """
        return self.answered or self.connection._link.lost

    def _fail(self, name: str, exc: Exception) -> None:
        """
        Answer for a hook that raised.
        """
        if not self._is_over():
            self._reject(
                failure_response(self.protocol, self.connection.logger, name, exc)
            )

    # Ends.

    def _reject(self, response: Response) -> None:
        """
        Send a response that no hook has asked for.
        """
        self._cancel()
        self._answer(response)

    def _answer(self, response: Response) -> None:
        """
        Send the response.
        """
        protocol = self.protocol
        self.connection.response = response
        protocol.send_response(response)
        self._write()
        if protocol.state is OPEN:
            self.answered = True
            self.connection._opened(protocol)
            self.connection._link.feed(protocol.unread_data())
        else:
            self._finish()

    def _write(self) -> None:
        """
        Write what the protocol has to say.
        """
        data = b"".join(self.protocol.data_to_send())
        if data:
            self.connection._link.write_raw(data)

    def _finish(self) -> None:
        """
        Half-close; the client has ``close_timeout`` to do the same.
        """
        self.answered = True
        self.server.census.count("rejected")
        link = self.connection._link
        link.flush()
        timeout = link.close_timeout
        link.open_due_at = link.clock() + (timeout if timeout >= 0 else 10.0)
        link.schedule()

    def _give_up(self) -> None:
        """
        Close, without an answer.
        """
        self.answered = True
        self._cancel()
        self.protocol.handshake_exc = self.protocol.handshake_exc or EOFError(
            "connection closed during handshake"
        )
        link = self.connection._link
        if link.wire is not None:
            link.wire.abort()

    def _cancel(self) -> None:
        """
        Stop waiting for a hook.
        """
        task = self.task
        if task is not None and task is not asyncio.current_task():
            self.task = None
            task.cancel()
