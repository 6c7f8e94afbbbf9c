"""
What links a session to its users in the rooms for threads and for trio.

The asyncio room has a link of its own in the cellar. Here is what the others have in
common; they add who reads, who writes and who waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._connection import message_limits
from ._implementation import load
from .exceptions import ConcurrencyError
from .protocol import CLIENT, OPEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._core.endpoint import MaskingKeys
    from ._core.fragment import Fragment
    from ._core.limited import LimitedSession
    from ._core.prepared import PreparedMessage
    from .exceptions import ConnectionClosed
    from .protocol import Protocol
else:
    MaskingKeys = load("endpoint").MaskingKeys
    Fragment = load("fragment").Fragment
    LimitedSession = load("limited").LimitedSession
    PreparedMessage = load("prepared").PreparedMessage

__all__ = ["BaseLink", "Fragment", "MaskingKeys", "PreparedMessage"]

_TRY_AGAIN_LATER = 1013


class BaseLink(LimitedSession):
    """
    A session whose connection belongs to a room.

    Args:
        protocol: The opening handshake, with the limits.
        masking_keys: Where masking keys and ping payloads come from.
        clock: Returns the current time in seconds; it never goes back.

    Attributes:
        lost: Whether the connection is over, and nothing will be read or written.
        receiving: Whether somebody receives.
        fragmenting: Whether a fragmented message is being sent.
        streaming: Whether a message was received in part, by fragments.
        dropped: How many prepared messages the peer did not get because it was slow.
        when_lost: Called when the connection is lost after it was open.
    """

    __slots__ = (
        "_postponed",
        "_protocol",
        "dropped",
        "fragmenting",
        "lost",
        "receiving",
        "streaming",
        "when_lost",
    )

    def __init__(
        self, protocol: Protocol, masking_keys: MaskingKeys, clock: Callable[[], float]
    ) -> None:
        LimitedSession.__init__(
            self,
            protocol.side is CLIENT,
            *message_limits(protocol),
            masking_keys,
            clock,
        )
        self._protocol = protocol
        self.lost = False
        self.receiving = False
        self.fragmenting = False
        self.streaming = False
        self.dropped = 0
        self.when_lost: Callable[[], object] | None = None
        # Prepared messages that wait for room, or for the end of a fragmented one.
        self._postponed: list[PreparedMessage] | None = None

    # What the rooms add.

    def settle(self) -> None:
        """
        Do what follows from a change.
        """
        raise NotImplementedError

    def unwritten_size(self) -> int:
        """
        Return how many bytes stand in line to be written.
        """
        raise NotImplementedError

    # Receiving.

    def check_receiver(self, method: str, other: str, going_on: bool) -> None:
        """
        Refuse a second receiver, and others than the one who receives by fragments.

        Args:
            method: What the user has called.
            other: Who else may be receiving: a thread, or a coroutine.
            going_on: Whether the caller received the fragments before.

        Raises:
            ConcurrencyError: Somebody else receives.
        """
        if self.receiving or (self.streaming and not going_on):
            raise ConcurrencyError(
                f"cannot call {method} while another {other} "
                "is already running recv or recv_streaming"
            )

    def parse(self, data: bytearray, size: int, hold_close: bool) -> None:
        """
        Parse what was read.

        Args:
            data: What was read.
            size: How much of it.
            hold_close: Whether somebody is about to receive, who may answer what
                came before a close frame. :attr:`hold_close` tells afterwards
                whether there is such a frame.
        """
        self.hold_close = hold_close
        self.receive_data(data, size)
        if self.hold_close and not (self.kept_size() and self.has_items()):
            self.hold_close = False

    def release(self) -> None:
        """
        Go on with input that was kept until the receiver wants it.
        """
        self.unhalt()

    def take_next(self, take: Callable[[], object]) -> object:
        """
        Take something from the queue, and parse on if there is room again.

        Args:
            take: Takes it, or returns :obj:`None`.
        """
        while True:
            item = take()
            if self.may_resume() and (self.halted or item is None):
                self.release()
            self.settle()
            if item is not None or not self.has_items():
                return item

    def take_decoded(self, decode: bool | None) -> object:
        """
        Take a message; one that cannot be decoded fails the connection.
        """
        try:
            return self.take_message(decode)
        except UnicodeDecodeError as exc:
            self.fail_with(exc, 1007, "invalid UTF-8")
            return None

    def take_piece(self) -> Fragment | None:
        """
        Take a fragment, and note whether others of its message follow.
        """
        fragment: Fragment | None = self.take_fragment()
        if fragment is not None:
            self.streaming = not fragment.fin
        return fragment

    # Sending.

    def add_raw(self, data: bytes) -> None:
        """
        Put something into the outbox as it is.
        """
        if self.outbox is None:
            self.outbox = self.new_outbox()
        self.outbox.add(data)

    def add_prepared(self, prepared: PreparedMessage) -> None:
        """
        Put a message that goes to many connections into the outbox.
        """
        frame = self.shared_frame(prepared)
        if frame is None:
            self.send_message(prepared.opcode, prepared.payload, True)
            return
        self.add_raw(frame)
        if self.trace is not None:
            self.trace(">", 0x80 | prepared.opcode, prepared.payload)

    def end_fragments(self, failed: bool) -> None:
        """
        Let other messages be sent after a fragmented one.

        Args:
            failed: Whether it was left in the middle.
        """
        if failed and self.state == OPEN:
            # What was begun cannot be taken back (RFC 6455, 5.4).
            self.fail(1011, "error in fragmented message")
        self.fragmenting = False
        self.send_postponed()
        self.settle()

    # Fan-out.

    def offer(
        self, prepared: PreparedMessage, max_backlog: int, on_overflow: str
    ) -> bool:
        """
        Send a prepared message without waiting.

        Args:
            prepared: The message.
            max_backlog: Most bytes that may wait already.
            on_overflow: ``"close"``, ``"drop"`` or ``"latest"``.

        Returns:
            Whether the message was sent or is waiting.
        """
        if self.state != OPEN:
            return False
        if self._overflows(max_backlog, on_overflow):
            self.dropped += 1
            return False
        if self.fragmenting or self.congested:
            # While it is here, it may still be dropped for a later one. And between
            # the frames of a message no other may start (RFC 6455, 5.4).
            if self._postponed is None:
                self._postponed = []
            self._postponed.append(prepared)
        else:
            self.add_prepared(prepared)
            self.settle()
        return True

    def backlog_size(self) -> int:
        """
        Return how many bytes wait for the peer to read.
        """
        postponed = self._postponed or ()
        return self.unwritten_size() + sum(len(each.payload) for each in postponed)

    def _overflows(self, max_backlog: int, on_overflow: str) -> bool:
        """
        Tell whether a slow peer does not get a prepared message.
        """
        if self.backlog_size() <= max_backlog:
            return False
        # It may be that the peer can take something now.
        self.settle()
        if self.backlog_size() <= max_backlog:
            return False
        if on_overflow == "drop":
            return True
        self.dropped += len(self._postponed or ())
        self._postponed = None
        if on_overflow == "latest":
            return self.unwritten_size() > max_backlog
        self.send_close(_TRY_AGAIN_LATER, "too slow")
        self.settle()
        return True

    def send_postponed(self, at_once: bool = False) -> None:
        """
        Send what waited, if it need not wait any more.

        Args:
            at_once: Whether it need not wait for room: another message comes behind.
        """
        postponed = self._postponed
        if postponed is None or self.fragmenting or (self.congested and not at_once):
            return
        self._postponed = None
        if self.state == OPEN:
            for prepared in postponed:
                self.add_prepared(prepared)

    def settle_pong(self) -> None:
        super().settle_pong()
        self.send_postponed()

    # The end.

    def begin_close(self, code: int, reason: str) -> None:
        """
        Send a close frame if the connection is OPEN, and make way for the peer's.

        Raises:
            ProtocolError: The code or the reason cannot be sent. Nothing was
                sent; the connection stays OPEN.
        """
        if self.state != OPEN:
            return
        if self.fragmenting:
            self.fail(1011, "close during fragmented message")
        else:
            self.send_close(code, reason)
        if self.halted or self.hold_close:
            self.release()
        self.settle()

    def closed_error(self) -> ConnectionClosed:
        """
        Return the exception that tells how the connection ended.
        """
        return self._protocol.close_exc

    def note_failure(self, exc: Exception) -> None:
        """
        Remember why the connection ended, unless something else came first.
        """
        if self.failure is None:
            self.failure = exc

    def pong_received(self, waiter: Any, latency: float) -> None:
        """
        Tell who has sent a ping.
        """
        waiter[0].set()

    def note_loss(self) -> None:
        """
        Take in that the connection is over: tell whom it concerns.
        """
        self.lost = True
        self.outbox = None
        self._postponed = None
        for waiter, _ in (self.pings or {}).values():
            if waiter is not None and waiter[1]:
                waiter[0].set()
        self.pings = None
        if self.when_lost is not None:
            self.when_lost()
