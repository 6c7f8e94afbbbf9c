"""
A connection whose request has not arrived yet.

Anybody can open connections and say nothing. Such a connection is a socket, a
transport and a few bytes; all else is made when there is something to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._connection import watermarks
from .._opening import CLIENT_LATE, CLOSING, patience

if TYPE_CHECKING:
    from .._serving import ConnectionFactory
    from ..typing import StatusLike
    from ._cellar import Link
    from .running import Server

__all__ = ["WRITE_LIMIT", "Arrival"]

# Marks of the write buffer, until there is a connection, which may want others.
WRITE_LIMIT = watermarks(2**15)

# Bytes to wait for the end of a request in. Whatever is longer is read line by
# line, against the limits of requests.
_SHORT = 4096

# How all handshakes begin (RFC 6455, 4.1).
_BEGINNING = b"GET "


class Arrival:
    """
    Waits for a request on a new connection, as its opening handshake.

    Args:
        server: The server.
        factory: Makes the connection when its time has come.
        link: The connection's link, which has a wire.

    Attributes:
        secure: Whether the transport can carry a response: not before TLS is up.
    """

    __slots__ = ("_factory", "_is_over", "_link", "_received", "_server", "secure")

    def __init__(self, server: Server, factory: ConnectionFactory, link: Link) -> None:
        self._server = server
        self._factory = factory
        self._link = link
        self._received = b""
        # Whether there is nothing to wait for any more.
        self._is_over = False
        self.secure = True

    def give_time(self, seconds: float | None) -> None:
        """
        Have :meth:`timed_out` called after so many seconds; :obj:`None` for no change.
        """
        if seconds is not None:
            link = self._link
            link.open_due_at = link.clock() + seconds
            link.schedule()

    def secured(self) -> None:
        """
        Take in that the TLS handshake is over.
        """
        self.secure = True
        if self._server.is_closing():
            self.shut_down()
        else:
            self.give_time(self._server.open_timeout)

    # What the link passes on.

    def data_received(self, data: bytes) -> None:
        """
        Take in a piece of the request.
        """
        if self._is_over:
            return
        received = self._received + data
        if _may_go_on(received):
            self._received = received
            return
        try:
            connection, protocol = self._factory.make((), (self._server,), self._link)
        except Exception:
            self._server.logger.exception("accepting a connection failed")
            self._break()
            return
        if connection._write_limit != WRITE_LIMIT:
            connection.transport.set_write_buffer_limits(*connection._write_limit)
        self._server.adopt(connection, protocol, self).data_received(received)

    def eof_received(self) -> None:
        """
        Take in the end of the client's bytes.
        """
        if not self._is_over:
            self._break()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Take in that the connection is gone.
        """
        server = self._server
        if not self._is_over:
            self._is_over = True
            server.census.count("handshakes_broken")
        server.miss(self)

    def timed_out(self) -> None:
        """
        Take in that the client was too slow, to ask or to leave.
        """
        if not self._is_over:
            self._server.census.count("handshakes_timed_out")
            self._dismiss(CLIENT_LATE)
        else:
            self._link.wire.abort()

    def shut_down(self) -> None:
        """
        Take in that the server is closing.
        """
        if not self._is_over:
            self._dismiss(CLOSING)

    # Ends.

    def _break(self) -> None:
        """
        Close, as there is nobody to get an answer, or nothing to say.
        """
        self._is_over = True
        self._server.census.count("handshakes_broken")
        self._link.wire.abort()

    def _dismiss(self, answer: tuple[StatusLike, str]) -> None:
        """
        Answer without a connection, if an answer can be sent, and half-close; the
        client has ``close_timeout`` to do the same.
        """
        self._is_over = True
        self._received = b""
        link = self._link
        if not self.secure:
            link.wire.abort()
            return
        link.discarding = link.wants_eof = True
        link.write_raw(self._server.dismiss(*answer))
        self.give_time(patience(self._factory.connection_arguments["close_timeout"]))


def _may_go_on(received: bytes) -> bool:
    """
    Tell whether this is the beginning of a request, and not all of it.
    """
    return (
        len(received) < _SHORT
        and received.startswith(_BEGINNING[: len(received)])
        # The end of the head is an empty line, however badly lines are ended.
        and b"\n\r\n" not in received
        and b"\n\n" not in received
    )
