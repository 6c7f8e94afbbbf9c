"""
What a connection tells about itself, in whatever room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exceptions import ConnectionClosed, InvalidState
from .protocol import Protocol, State

if TYPE_CHECKING:
    import uuid

    from ._core.session import Session
    from .http11 import Request, Response
    from .typing import LoggerLike, Subprotocol

    class _Link(Session):
        """
        A room's own kind of session.
        """

        dropped: int

        def backlog_size(self) -> int: ...

        def closed_error(self) -> ConnectionClosed: ...


__all__ = ["Attributes"]


class Attributes:
    """
    The public attributes of a connection.

    What it asks for its knowledge, :attr:`_link`, is a session of the core.
    """

    __slots__ = ()

    _link: _Link
    _protocol: Protocol
    _request: Request | None
    _response: Response | None

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {self.state.name} at {id(self):#x}>"

    @property
    def id(self) -> uuid.UUID:
        """
        Unique identifier of the connection, for logs.
        """
        return self._protocol.id

    @property
    def logger(self) -> LoggerLike:
        """
        Logger of the connection; its records have the connection, as a weak
        reference, in an attribute ``websocket``.
        """
        return self._protocol.logger

    @logger.setter
    def logger(self, logger: LoggerLike) -> None:
        self._protocol.logger = logger

    @property
    def protocol(self) -> Protocol:
        """
        View of the protocol's state: what was negotiated and how it ended.
        """
        return self._protocol

    @property
    def latency(self) -> float:
        """
        Round-trip time of the last ping, in seconds; 0.0 before the first.
        """
        return self._link.latency

    @property
    def state(self) -> State:
        """
        State of the connection: CONNECTING, OPEN, CLOSING or CLOSED.

        Checking it before sending is no use: it may change before the message
        leaves. Send, and handle :exc:`~socketeer.exceptions.ConnectionClosed`.
        """
        return State(self._link.state)

    @property
    def request(self) -> Request | None:
        """
        Opening handshake request.
        """
        return self._request

    @request.setter
    def request(self, request: Request | None) -> None:
        self._request = request  # type: ignore[misc] # a slot of the room's

    @property
    def response(self) -> Response | None:
        """
        Opening handshake response.
        """
        return self._response

    @response.setter
    def response(self, response: Response | None) -> None:
        self._response = response  # type: ignore[misc] # a slot of the room's

    @property
    def subprotocol(self) -> Subprotocol | None:
        """
        Subprotocol that was negotiated, or :obj:`None`.
        """
        return self._protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """
        Close code, or :obj:`None` before the connection is CLOSED: the code
        received, 1005 if there was none in the close frame, 1006 if there was
        no close frame (RFC 6455, 7.1.5).
        """
        if self.state is not State.CLOSED:
            return None
        rcvd = self._link.close_rcvd
        return 1006 if rcvd is None else rcvd.code

    @property
    def close_reason(self) -> str | None:
        """
        Close reason, or :obj:`None` before the connection is CLOSED
        (RFC 6455, 7.1.6).
        """
        if self.state is not State.CLOSED:
            return None
        rcvd = self._link.close_rcvd
        return "" if rcvd is None else rcvd.reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """
        Exception that tells how the connection ended.

        Raises:
            InvalidState: The connection is not CLOSED yet.
        """
        if self.state is not State.CLOSED:
            raise InvalidState("connection isn't closed yet")
        return self._link.closed_error()

    @property
    def connection_exc(self) -> Exception | None:
        """
        Root cause of the end of the connection, if there was one.
        """
        return self._link.failure

    @property
    def ping_interval(self) -> float | None:
        """
        Seconds between keepalive pings; :obj:`None` for none.
        """
        return _optional(self._link.ping_interval)

    @property
    def ping_timeout(self) -> float | None:
        """
        Seconds to wait for a pong; :obj:`None` for ever.
        """
        return _optional(self._link.ping_timeout)

    @property
    def close_timeout(self) -> float | None:
        """
        Seconds for the closing handshake; :obj:`None` for ever.
        """
        return _optional(self._link.close_timeout)

    @property
    def max_queue_high(self) -> int | None:
        """
        Frames in the receive queue above which reading pauses.
        """
        return None if self._link.high < 0 else self._link.high

    @property
    def max_queue_low(self) -> int | None:
        """
        Frames in the receive queue at which reading goes on.
        """
        return None if self._link.high < 0 else self._link.low

    @property
    def backlog(self) -> int:
        """
        How many bytes wait to be written because the peer is slow.
        """
        return self._link.backlog_size()

    @property
    def dropped(self) -> int:
        """
        How many prepared messages this peer did not get because it was slow.
        """
        return self._link.dropped


def _optional(seconds: float) -> float | None:
    """
    Return the public form of a duration.
    """
    return None if seconds < 0 else seconds
