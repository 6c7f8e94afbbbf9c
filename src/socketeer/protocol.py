"""
The WebSocket protocol without I/O: frames in, frames out.

A program that does its own I/O passes what it reads to
:meth:`Protocol.receive_data`, finds what it means in
:meth:`Protocol.events_received`, and writes what
:meth:`Protocol.data_to_send` returns. Time is its own concern as well:
nothing here waits, keeps alive or gives up.

The state machine is that of the core, which the rooms use too; this module
shows its frames. The opening handshake is added by the subclasses
:class:`~socketeer.client.ClientProtocol` and
:class:`~socketeer.server.ServerProtocol`.
"""

from __future__ import annotations

import enum
import functools
import logging
import typing
from collections.abc import Generator, Sequence

from ._core.endpoint import Endpoint
from ._frame_endpoint import FIN, UNLIMITED, Event, FrameEndpoint
from .datastructures import Headers
from .exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    ProtocolError,
)
from .extensions import Extension
from .frames import (
    BINARY,
    CLOSE,
    CONT,
    OK_CLOSE_CODES,
    PING,
    PONG,
    TEXT,
    Close,
    CloseCode,
    Frame,
    Opcode,
)
from .streams import StreamReader
from .typing import BytesLike, LoggerLike, Origin, Subprotocol

if typing.TYPE_CHECKING:
    import uuid

__all__ = ["SEND_EOF", "Protocol", "Side", "State"]

SEND_EOF = b""
"""Stands in :meth:`Protocol.data_to_send` for the end of what we send: half-
close the connection there."""


class Side(enum.IntEnum):
    """Which endpoint of a connection this is."""

    SERVER, CLIENT = range(2)


SERVER = Side.SERVER
CLIENT = Side.CLIENT


class State(enum.IntEnum):
    """How far a connection has got (RFC 6455, 4.1 and 7.1)."""

    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


CONNECTING = State.CONNECTING
OPEN = State.OPEN
CLOSING = State.CLOSING
CLOSED = State.CLOSED

# By number: quicker than to call the class.
_STATES = tuple(State)


class Protocol:
    """
    One endpoint of a WebSocket connection, without I/O.

    Args:
        side: Which endpoint this is.
        state: How far the connection has got.
        max_size: Largest message accepted, in bytes, after decompression;
            or a tuple of that and the largest frame. :obj:`None` is no
            limit.
        logger: Logger for this connection; by default
            ``socketeer.client`` or ``socketeer.server``.

    Attributes:
        logger: Logger for this connection.
        debug: Whether the logger takes debug messages. Looked up once.
        side: Which endpoint this is.
        origin: Value of the ``Origin`` header, if any.
        subprotocol: Subprotocol of the connection, if any.
        handshake_exc: Why the opening handshake failed, if it did.
    """

    def __init__(
        self,
        side: Side,
        *,
        state: State = OPEN,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
        _endpoint: Endpoint | None = None,
    ) -> None:
        if logger is None:
            logger = logging.getLogger(f"socketeer.{side.name.lower()}")
        self.logger = logger
        self.debug: bool = logger.isEnabledFor(logging.DEBUG)
        self.side = side
        self.origin: Origin | None = None
        self.subprotocol: Subprotocol | None = None
        self.handshake_exc: Exception | None = None
        max_message_size, max_fragment_size = _parse_limits(max_size)
        # What was received and what is to be written, of the opening handshake and,
        # if the endpoint has a window, of the connection.
        self._events: list[Event] = []
        self._writes: list[bytes] = []
        # Who has the state and, once it is OPEN, the connection.
        self._endpoint: Endpoint
        # A room may have it before the protocol; another one hands it over.
        if _endpoint is None:
            self._endpoint = FrameEndpoint(
                is_client=side is CLIENT,
                max_message_size=max_message_size,
                max_fragment_size=max_fragment_size,
                state=state,
                logger=logger,
                events=self._events,
                writes=self._writes,
            )
        else:
            self._endpoint = _endpoint
            _endpoint.max_message_size = max_message_size
            _endpoint.max_fragment_size = max_fragment_size
            _endpoint.state = state
        self._extensions: Sequence[Extension] = []
        # The bytes of the opening handshake, and who reads them.
        self._reader = StreamReader()
        self._head_parser: Generator[None] | None = None
        self._eof_written = False
        self._is_sending_fragments = False

    @functools.cached_property
    def id(self) -> uuid.UUID:
        """Unique identifier of the connection, for logs."""
        import uuid  # noqa: PLC0415 - takes long, and not everybody asks

        return uuid.uuid4()

    # State

    @property
    def state(self) -> State:
        """How far the connection has got."""
        return _STATES[self._endpoint.state]

    @state.setter
    def state(self, state: State) -> None:
        self._endpoint.state = state

    @property
    def extensions(self) -> Sequence[Extension]:
        """Extensions at work, in the order of negotiation."""
        if isinstance(self._extensions, tuple):
            return list(self._extensions)
        return self._extensions

    @extensions.setter
    def extensions(self, extensions: Sequence[Extension]) -> None:
        self._extensions = extensions
        if isinstance(self._endpoint, FrameEndpoint):
            self._endpoint.extensions = extensions

    @property
    def max_message_size(self) -> int | None:
        """Largest message accepted, in bytes; :obj:`None` for any."""
        return _limit_or_none(self._endpoint.max_message_size)

    @property
    def max_fragment_size(self) -> int | None:
        """Largest frame accepted, in bytes; :obj:`None` for any."""
        return _limit_or_none(self._endpoint.max_fragment_size)

    @property
    def close_rcvd(self) -> Close | None:
        """What the peer's close frame said, if one was received."""
        return self._endpoint.close_rcvd

    @property
    def close_sent(self) -> Close | None:
        """What our close frame said, if one was sent."""
        return self._endpoint.close_sent

    @property
    def close_rcvd_then_sent(self) -> bool | None:
        """Whether the peer's close frame came first, if there are two."""
        return self._endpoint.close_rcvd_then_sent

    @property
    def close_code(self) -> int | None:
        """
        Close code of the connection (RFC 6455, 7.1.5).

        It is 1006 if the peer sent no close frame, and :obj:`None` until the
        connection is CLOSED.
        """
        if self.state is not CLOSED:
            return None
        close = self.close_rcvd
        return CloseCode.ABNORMAL_CLOSURE if close is None else close.code

    @property
    def close_reason(self) -> str | None:
        """
        Close reason of the connection (RFC 6455, 7.1.6).

        It is :obj:`None` until the connection is CLOSED.
        """
        if self.state is not CLOSED:
            return None
        return "" if self.close_rcvd is None else self.close_rcvd.reason

    @property
    def close_exc(self) -> ConnectionClosed:
        """
        What to raise to whoever uses the connection after its end.

        Its cause is the error that ended the connection, if there was one.

        Raises:
            InvalidState: The connection isn't CLOSED.
        """
        if self.state is not CLOSED:
            raise InvalidState("connection isn't closed yet")
        rcvd, sent = self.close_rcvd, self.close_sent
        is_ok = (
            rcvd is not None
            and sent is not None
            and {rcvd.code, sent.code} <= OK_CLOSE_CODES
        )
        exc_type = ConnectionClosedOK if is_ok else ConnectionClosedError
        exc = exc_type(rcvd, sent, self.close_rcvd_then_sent)
        exc.__cause__ = self.parser_exc
        return exc

    @property
    def parser_exc(self) -> Exception | None:
        """
        Why the connection failed, if the peer is to blame.

        A :exc:`~socketeer.exceptions.ProtocolError`, a
        :exc:`~socketeer.exceptions.PayloadTooBig`, a
        :exc:`UnicodeDecodeError`, an :exc:`EOFError` if the stream ended
        without a close frame, or what an extension has raised.
        """
        return self._endpoint.failure

    @property
    def eof_sent(self) -> bool:
        """Whether the end of what we send was reached."""
        return bool(self._endpoint.wants_eof)

    # Receiving

    def receive_data(self, data: BytesLike) -> None:
        """
        Take in bytes from the network.

        Violations by the peer aren't raised: they fail the connection.
        Afterwards, look at :meth:`data_to_send` and
        :meth:`events_received`.

        Args:
            data: Bytes as they were read.

        Raises:
            EOFError: :meth:`receive_eof` was called before.
        """
        self._reader.feed_data(data)
        if self._head_parser is None:
            self._receive_frames()
        else:
            self._receive_head()

    def receive_eof(self) -> None:
        """
        Take in the end of the stream from the network.

        The connection is CLOSED afterwards. Afterwards, look at
        :meth:`data_to_send` and :meth:`events_received`.
        """
        if self._reader.eof:
            return
        self._reader.feed_eof()
        if self._head_parser is not None:
            self._receive_head()
        self._endpoint.receive_eof()

    def _receive_head(self) -> None:
        """Go on reading the peer's part of the opening handshake."""
        assert self._head_parser is not None
        try:
            next(self._head_parser)
        except StopIteration:
            self._head_parser = None
            self._receive_frames()

    def _receive_frames(self) -> None:
        """Pass on what was received behind the opening handshake."""
        if self._endpoint.discarding:
            self._reader.discard()
        elif isinstance(self._endpoint, FrameEndpoint):
            data = self._reader.buffer
            self._reader.buffer = bytearray()
            self._endpoint.receive_data(data, len(data))

    # Sending

    def send_continuation(self, data: BytesLike, fin: bool) -> None:
        """
        Send a continuation frame (RFC 6455, 5.6).

        Args:
            data: The payload.
            fin: Whether it is the last frame of its message.

        Raises:
            ProtocolError: No fragmented message is in progress.
            InvalidState: The connection isn't OPEN.
        """
        if not self._is_sending_fragments:
            raise ProtocolError("unexpected continuation frame")
        self._send_data(CONT, data, fin=fin)

    def send_text(self, data: BytesLike, fin: bool = True) -> None:
        """
        Send a text frame (RFC 6455, 5.6).

        Args:
            data: The payload in UTF-8. It isn't validated.
            fin: Whether it is the only frame of its message.

        Raises:
            ProtocolError: A fragmented message is in progress.
            InvalidState: The connection isn't OPEN.
        """
        if self._is_sending_fragments:
            raise ProtocolError("expected a continuation frame")
        self._send_data(TEXT, data, fin=fin)

    def send_binary(self, data: BytesLike, fin: bool = True) -> None:
        """
        Send a binary frame (RFC 6455, 5.6).

        Args:
            data: The payload.
            fin: Whether it is the only frame of its message.

        Raises:
            ProtocolError: A fragmented message is in progress.
            InvalidState: The connection isn't OPEN.
        """
        if self._is_sending_fragments:
            raise ProtocolError("expected a continuation frame")
        self._send_data(BINARY, data, fin=fin)

    def _send_data(self, opcode: Opcode, data: BytesLike, *, fin: bool) -> None:
        self._endpoint.require_open()
        head = FIN | opcode if fin else opcode
        self._endpoint.send_frame(head, bytes(memoryview(data)))
        self._is_sending_fragments = not fin

    def send_close(self, code: int | None = None, reason: str = "") -> None:
        """
        Send a close frame (RFC 6455, 5.5.1). The state is CLOSING afterwards.

        Args:
            code: The close code.
            reason: The close reason, at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: The code must not be sent, or the reason is too
                long or has no code. Nothing was sent.
            InvalidState: The connection isn't OPEN.
        """
        self._endpoint.require_open()
        if code is None:
            # The core's word for a close frame without a code.
            code = CloseCode.NO_STATUS_RCVD
        elif code == CloseCode.NO_STATUS_RCVD:
            raise ProtocolError("invalid status code")
        self._endpoint.send_close(code, reason)

    def send_ping(self, data: BytesLike) -> None:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: The payload, at most 125 bytes.

        Raises:
            ProtocolError: The payload is too long. Nothing was sent.
            InvalidState: The connection is neither OPEN nor CLOSING, or we
                have said that nothing follows.
        """
        self._send_control(PING, data)

    def send_pong(self, data: BytesLike) -> None:
        """
        Send a pong (RFC 6455, 5.5.3). Pings are answered without this.

        Args:
            data: The payload, at most 125 bytes.

        Raises:
            ProtocolError: The payload is too long. Nothing was sent.
            InvalidState: The connection is neither OPEN nor CLOSING, or we
                have said that nothing follows.
        """
        self._send_control(PONG, data)

    def _send_control(self, opcode: Opcode, data: BytesLike) -> None:
        if self.state not in {OPEN, CLOSING} or self.eof_sent:
            raise InvalidState(f"connection is {self.state.name.lower()}")
        self._endpoint.send_frame(FIN | opcode, bytes(memoryview(data)))

    def fail(self, code: int, reason: str = "") -> None:
        """
        Fail the WebSocket Connection (RFC 6455, 7.1.7).

        An OPEN connection is CLOSING afterwards, with a close frame unless
        the code is 1006. What is received from now on is dropped.

        Args:
            code: The close code.
            reason: The close reason, at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: The code must not be sent, or the reason is too
                long. The connection hasn't failed.
        """
        if self.state is OPEN and code != CloseCode.ABNORMAL_CLOSURE:
            Frame(CLOSE, Close(code, reason).serialize()).check()
        self._endpoint.fail(code, reason)

    # What there is to do

    def events_received(self) -> list[Event]:
        """
        Return what was received since the last call, in order.

        To be called after :meth:`receive_data` and :meth:`receive_eof`.

        Returns:
            Frames; before them the request or response of the opening
            handshake. Fragments aren't put together, and text isn't
            validated.
        """
        events = self._events.copy()
        self._events.clear()
        return events

    def data_to_send(self) -> list[bytes]:
        """
        Return what there is to write, and forget it.

        To be called after everything else but :meth:`events_received`.

        Returns:
            Bytes to write, in order. Empty bytes, :data:`SEND_EOF`, mean
            that the connection is to be half-closed; they come last.
        """
        writes = self._writes.copy()
        self._writes.clear()
        if self.eof_sent and not self._eof_written:
            self._eof_written = True
            writes.append(SEND_EOF)
        return writes

    def close_expected(self) -> bool:
        """
        Tell whether the TCP connection should be closed soon.

        It is true from when the closing handshake has begun or the opening
        handshake has failed, until the end of the stream. A program should
        wait for that for a limited time, then close the connection itself.
        """
        if self.state is CONNECTING:
            return self.eof_sent
        return self.state is CLOSING

    # For rooms, which leave the open connection to a core of their own

    def hand_over(self, endpoint: Endpoint) -> None:
        """
        Let another endpoint have the connection from when it is OPEN.

        To be called before anything is received. The state and all that
        concerns closing are those of the other endpoint, but
        :meth:`receive_data` and :meth:`data_to_send` serve the opening
        handshake only; what follows it is left to :meth:`unread_data`.

        Args:
            endpoint: An endpoint of the core, of either build.
        """
        endpoint.state = self._endpoint.state
        self._endpoint = endpoint

    def unread_data(self) -> bytes:
        """
        Return what was received behind the opening handshake.

        To be called when that is over: what it needed is let go of.
        """
        data = bytes(self._reader.buffer)
        self._reader = _NO_READER
        self._events = _NO_EVENTS
        self._writes = _NO_WRITES
        # Shorter than a list, above all if it is empty.
        self._extensions = tuple(self._extensions)
        return data

    # For subclasses

    def _log_head(
        self, direction: str, line: str, headers: Headers, body: BytesLike = b""
    ) -> None:
        """Log a request or a response."""
        if self.debug:
            self.logger.debug("%s %s", direction, line)
            for name, value in headers.raw_items():
                self.logger.debug("%s %s: %s", direction, name, value)
            if body:
                self.logger.debug("%s [body] (%d bytes)", direction, len(body))

    def _drop_connection(self) -> None:
        """End a failed opening handshake: send EOF, drop what comes."""
        self._head_parser = None
        self._endpoint.discarding = True
        self._endpoint.wants_eof = True


# What a protocol has when others have its connection: nothing comes or goes.
_NO_READER = StreamReader()
_NO_READER.feed_eof()
_NO_EVENTS: list[Event] = []
_NO_WRITES: list[bytes] = []


def _parse_limits(
    max_size: int | tuple[int | None, int | None] | None,
) -> tuple[int, int]:
    """Give the limits of a message and of a frame as the core wants them."""
    if max_size is None or isinstance(max_size, int):
        max_size = (max_size, None)
    max_message_size, max_fragment_size = max_size
    return (
        UNLIMITED if max_message_size is None else max_message_size,
        UNLIMITED if max_fragment_size is None else max_fragment_size,
    )


def _limit_or_none(limit: int) -> int | None:
    return None if limit == UNLIMITED else limit
