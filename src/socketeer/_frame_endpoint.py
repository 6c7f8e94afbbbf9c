"""
The core's endpoint with a window: every frame is shown, as a
:class:`~socketeer.frames.Frame`, and extensions may work on each of them.

It reaches into the core where control frames are concerned, which no hot path
lets an extension see. Always interpreted: the compiled core has no windows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ._core.endpoint import Endpoint, MaskingKeys
from ._core.masking import copy_payload
from .exceptions import PayloadTooBig
from .extensions import Extension
from .frames import PONG, CloseCode, Frame, Opcode
from .http11 import Request, Response
from .typing import LoggerLike
from .utils import generate_mask

__all__ = ["UNLIMITED", "Event", "FrameEndpoint"]

Event = Request | Response | Frame

# What the core says for "no limit".
UNLIMITED = -1

# As the core numbers them.
_STATE_NAMES = ("CONNECTING", "OPEN", "CLOSING", "CLOSED")
_OPEN, _CLOSING, _CLOSED = 1, 2, 3

# First byte of a frame: FIN, RSV1 to RSV3, opcode (RFC 6455, 5.2).
FIN = 0x80
_RSV1 = 0x40
_RSV2 = 0x20
_RSV3 = 0x10
_RSV = _RSV1 | _RSV2 | _RSV3
_OPCODE = 0x0F


class FrameEndpoint(Endpoint):
    """
    An endpoint that shows its frames.

    Args:
        is_client: Whether this is the client's end.
        max_message_size: Largest message accepted, in bytes, or -1 for any.
        max_fragment_size: Largest frame accepted, in bytes, or -1 for any.
        state: How far the connection has got: 0 CONNECTING to 3 CLOSED.
        logger: Where frames and changes of state are logged.
        events: Where what is received goes.
        writes: Where what is to be written goes, frame by frame.

    Attributes:
        events: What was received and not yet fetched.
        writes: What is to be written, frame by frame.
        extensions: Extensions in the order of negotiation.
        logger: Where frames and changes of state are logged.
        debug: Whether the logger takes debug messages.
    """

    # In place of the core's slots, because changes are logged.
    _state: int | None = None
    _wants_eof = False

    def __init__(
        self,
        *,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        state: int,
        logger: LoggerLike,
        events: list[Event],
        writes: list[bytes],
    ) -> None:
        self.events = events
        self.writes = writes
        self.extensions: Sequence[Extension] = []
        self.logger = logger
        self.debug = False
        # A key at a time: nothing is drawn ahead that a fork would copy.
        keys = MaskingKeys(lambda _size: generate_mask())
        super().__init__(is_client, max_message_size, max_fragment_size, keys)
        self.debug = logger.isEnabledFor(logging.DEBUG)
        self._state = None
        self.state = state

    @property
    def state(self) -> int:
        """How far the connection has got: 0 CONNECTING to 3 CLOSED."""
        assert self._state is not None
        return self._state

    @state.setter
    def state(self, state: int) -> None:
        if state == self._state:
            return
        self._state = state
        if self.debug:
            self.logger.debug("= connection is %s", _STATE_NAMES[state])
        if state == _CLOSED and not self.is_client:
            self.logger.info("connection closed")

    @property
    def wants_eof(self) -> bool:
        """Whether the last thing to write is the end of the stream."""
        return self._wants_eof

    @wants_eof.setter
    def wants_eof(self, value: bool) -> None:
        if self.debug and value and not self._wants_eof:
            self.logger.debug("> EOF")
        self._wants_eof = value

    # Receiving

    def _check_head(self, head: int, second: int) -> None:
        # Only extensions can tell whether they know the reserved bits.
        super()._check_head(head & ~_RSV if self.extensions else head, second)

    def receive_payload(self, head: int, opcode: int, payload: bytes) -> int:
        frame = self._decode(head, payload)
        self._log("<", frame)
        self.events.append(frame)
        return len(frame.data)

    def _receive_control(
        self, head: int, data: bytearray, start: int, end: int
    ) -> bool:
        frame = self._decode(head, copy_payload(data, start, end, not self.is_client))
        self._log("<", frame)
        # In the core's form again, with a key that masks nothing.
        data = bytearray(4) + frame.data
        super()._receive_control(FIN | frame.opcode, data, 4, len(data))
        self.events.append(frame)
        return True

    def _decode(self, head: int, payload: bytes) -> Frame:
        """Make a frame and take it through the extensions."""
        frame = Frame(
            Opcode(head & _OPCODE),
            payload,
            bool(head & FIN),
            bool(head & _RSV1),
            bool(head & _RSV2),
            bool(head & _RSV3),
        )
        if self.extensions:
            try:
                for extension in reversed(self.extensions):
                    frame = extension.decode(frame, max_size=self._size_left())
            except PayloadTooBig as exc:
                if self.message_size and exc.current_size is None:
                    exc.set_current_size(self.message_size)
                raise
            frame.check()
        return frame

    def _size_left(self) -> int | None:
        """Return how large the payload of the next frame may be."""
        sizes = []
        if self.max_message_size != UNLIMITED:
            sizes.append(self.max_message_size - self.message_size)
        if self.max_fragment_size != UNLIMITED:
            sizes.append(self.max_fragment_size)
        return min(sizes, default=None)

    def receive_ping(self, payload: bytes) -> None:
        # "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
        # response, unless it already received a Close frame" (RFC 6455,
        # 5.5.2). Having sent one is no excuse.
        if self.state in {_OPEN, _CLOSING}:
            self.send_frame(FIN | PONG, payload)

    def receive_eof(self) -> None:
        if self.debug and not self.discarding:
            self.logger.debug("< EOF")
        super().receive_eof()

    def fail_with(self, exc: Exception | None, code: int, reason: str) -> None:
        if code == CloseCode.INTERNAL_ERROR:
            self.logger.error("parser failed", exc_info=exc)
        super().fail_with(exc, code, reason)

    # Sending

    def send_frame(self, head: int, payload: bytes) -> None:  # type: ignore[override]
        frame = Frame(Opcode(head & _OPCODE), payload, bool(head & FIN))
        frame.check()
        self._log(">", frame)
        for extension in self.extensions:
            frame = extension.encode(frame)
        head = (
            frame.fin << 7
            | frame.rsv1 << 6
            | frame.rsv2 << 5
            | frame.rsv3 << 4
            | frame.opcode
        )
        super().send_frame(head, bytes(frame.data))
        self.writes.append(super().data_to_send())

    def _log(self, direction: str, frame: Frame) -> None:
        if self.debug:
            self.logger.debug("%s %s", direction, frame)
