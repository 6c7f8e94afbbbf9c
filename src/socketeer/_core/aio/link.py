"""
The link between a session and the asyncio loop: who waits, and when to write.

A link is what a connection does its work with. The wire calls it with what was
read; it has the session parse that, wakes the task which waits for a message,
at once if no other task is running, and writes what the task sent in the
meantime. See :mod:`.turn` for when things are written.
"""

from __future__ import annotations

from time import monotonic

from ...exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from ...frames import OK_CLOSE_CODES
from .turn import Deadline, Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from typing import Any, Protocol

    from ..endpoint import MaskingKeys
    from ..outbox import Outbox
    from ..prepared import PreparedMessage
    from .awaitable import Awaitable
    from .turn import Turn
    from .waiter import Waiter

    class Opening(Protocol):
        """
        The opening handshake: gets the bytes until the session takes over.
        """

        def data_received(self, data: bytes) -> None: ...
        def eof_received(self) -> None: ...
        def connection_lost(self, exc: Exception | None) -> None: ...
        def timed_out(self) -> None: ...


__all__ = ["Link"]

_OPEN = 1

_NEVER = float("inf")

# Write before this many bytes have been collected.
_FULL = 65536

# Shared frames up to this size are copied behind one another, to be written at
# once; larger ones are written from where they are.
_COPIED = 4096

_TRY_AGAIN_LATER = 1013


class Link(Member):
    """
    A session with a wire, and the tasks that wait for it.

    Args:
        turn: The shared state of the loop's connections.
        is_client: Whether this is the client's end.
        max_message_size: Largest message accepted, in bytes, or -1 for any.
        max_fragment_size: Largest frame accepted, in bytes, or -1 for any.
        masking_keys: Where masking keys and ping payloads come from.

    Attributes:
        wire: The transport.
        connection: The object that users know.
        opening: The opening handshake, while there is one.
        open_due_at: When the opening handshake must be over.
        lost: Whether the wire is gone.
        receiver: The awaitable that receives, while it is suspended.
        streaming: Whether a message was received in part, by fragments.
        waiter: What the receiving task waits on.
        fragmenting: A future while a fragmented message is being sent.
        yielded: Whether a task let others run with messages still waiting.
        dropped: How many prepared messages were not sent to a slow peer.
    """

    __slots__ = (
        "_closed",
        "_deadline",
        "_drainers",
        "_eof_written",
        "_held",
        "_postponed",
        "_reading_paused",
        "_wrote_in",
        "connection",
        "dropped",
        "fragmenting",
        "lost",
        "open_due_at",
        "opening",
        "receiver",
        "streaming",
        "turn",
        "waiter",
        "wire",
        "yielded",
    )

    def __init__(
        self,
        turn: Turn,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        masking_keys: MaskingKeys,
    ) -> None:
        Member.__init__(
            self,
            is_client,
            max_message_size,
            max_fragment_size,
            masking_keys,
            monotonic,
        )
        self.turn = turn
        # A wire, once there is one.
        self.wire: Any = None
        # Of a room's kind.
        self.connection: Any = None
        # An Opening; a room's own kind has more methods.
        self.opening: Any = None
        self.open_due_at = _NEVER
        self.lost = False
        self.receiver: Awaitable | None = None
        # A Waiter, while somebody waits.
        self.waiter: Any = None
        self.fragmenting: Future[None] | None = None
        self.streaming = False
        self.yielded = False
        self.dropped = 0
        self._drainers: list[Waiter] | None = None
        self._closed: Future[None] | None = None
        self._deadline: Deadline | None = None
        self._eof_written = False
        self._postponed: list[PreparedMessage] | None = None
        self._reading_paused = False
        # A frame shared with others that waits for the end of the turn, alone.
        self._held: bytes | None = None
        # The turn in which this link wrote last.
        self._wrote_in = 0

    def loop(self) -> AbstractEventLoop:
        """
        Return the event loop.
        """
        return self.turn.loop

    def open(self) -> None:
        """
        Let the session take over from the opening handshake.
        """
        self.opening = None
        self.open_due_at = _NEVER
        self.start()
        self.schedule()

    def feed(self, data: bytes) -> None:
        """
        Take in what was read beyond the opening handshake.
        """
        if data:
            # Nobody had the time to receive yet.
            self.hold_close = True
            self.receive_data(bytearray(data), len(data))
            self.settle()
            self.turn.loop.call_soon(self.after_input)

    # Input.

    def received(self, data: bytearray, size: int) -> None:
        if self.opening is not None:
            self.opening.data_received(bytes(memoryview(data)[:size]))
            return
        self.hold_close = self.waiter is not None
        self.receive_data(data, size)
        if not self.turn.gathering:
            self.after_input()
        elif not self.postponed:
            self.turn.postpone(self)

    def after_input(self) -> None:
        if self.waiter is not None and self.has_items():
            if self._wake_receiver():
                if self.hold_close:
                    self.release_close()
            else:
                self.turn.loop.call_soon(self.release_close)
        elif self.hold_close:
            self.release_close()
        self.settle()

    def _wake_receiver(self) -> bool:
        """
        Let the receiving task go on; true if it did already.
        """
        waiter = self.waiter
        self.waiter = None
        turn = self.turn
        if not turn.may_wake_now():
            waiter.wake()
            return False
        turn.cork(self)
        try:
            waiter.wake_now(turn.finished)
        finally:
            turn.uncork()
        return True

    def release_close(self) -> None:
        """
        Let a close frame take effect which waited for the receiver's turn.
        """
        if not self.hold_close:
            return
        if self.yielded and self.has_items() and self.state == _OPEN:
            # Fairness interrupted the receiver: it goes on in the next turn.
            self.yielded = False
            self.turn.loop.call_soon(self.release_close)
            return
        self.hold_close = False
        if not self.halted and self.kept_size():
            self.resume()
            self.after_input()

    def after_take(self) -> None:
        """
        Go on with input that was kept because the queue was full.
        """
        if self.may_resume():
            self.unhalt()
        self.settle()

    def settle(self) -> None:
        """
        Do what follows from a change: write, read or not, mind the deadline.
        """
        if self.outbox is not None or self.wants_eof:
            self.push()
        if self.wire is not None:
            if self.halted and not self.discarding:
                if not self._reading_paused:
                    self._reading_paused = True
                    self.wire.pause_reading()
            elif self._reading_paused:
                self._reading_paused = False
                self.wire.resume_reading()
        if self.is_timed() and not self.lost:
            self.schedule()

    def ended(self) -> None:
        if self.opening is not None:
            self.opening.eof_received()
        else:
            self.receive_eof()
            self.settle()

    def lost_connection(self, exc: Exception | None) -> None:
        self.lost = True
        if self.failure is None:
            self.failure = exc
        self.receive_eof()
        self.outbox = None
        self._held = None
        self._postponed = None
        if self._deadline is not None:
            self._deadline.member = None
            self._deadline = None
        opening = self.opening
        if opening is not None:
            self.opening = None
            opening.connection_lost(exc)
        self._end_waits()
        connection = self.connection
        # No cycle is left behind: memory is free at once.
        self.connection = None
        if connection is not None:
            connection._connection_lost(exc)

    def pong_received(self, waiter: Any, latency: float) -> None:
        # The caller of ping() may have cancelled the future.
        if not waiter.done():
            waiter.set_result(latency)

    def _end_waits(self) -> None:
        """
        Wake everybody: the connection is gone.
        """
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            waiter.wake()
        self._wake_drainers()
        if self.pings is not None:
            for future, _ in self.pings.values():
                if future is not None and not future.done():
                    future.set_exception(self.closed_error())
                    # Seen: nobody has to ask for the result.
                    future.exception()
            self.pings = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    # Output.

    def new_outbox(self) -> Outbox:
        outbox = self.turn.take_outbox()
        if self._held is not None:
            # No longer alone: it leaves with what follows.
            outbox.add(self._held)
            self._held = None
        return outbox

    def push(self) -> None:
        """
        Write what stands in the outbox: now, or when the turn ends.
        """
        turn = self.turn
        corked = turn.corked
        if (
            (corked is not None and corked.has_items())
            or self._wrote_in == turn.number
            or (turn.gathering and (self.dirty or corked is self))
        ) and (self.outbox is None or self.outbox.size < _FULL):
            self._collect()
            return
        self._wrote_in = turn.number
        turn.touch()
        self.flush()

    def flush(self) -> None:
        held = self._held
        if held is not None:
            self._held = None
            if self.wire is not None:
                self.wire.write_shared(held)
        outbox = self.outbox
        if outbox is not None:
            self.outbox = None
            if outbox.size and self.wire is not None:
                self.wire.write_outbox(outbox)
            self.turn.give_outbox(outbox)
        if self.wants_eof and not self._eof_written and self.wire is not None:
            self._eof_written = True
            self.wire.finish()

    def write_raw(self, data: bytes) -> None:
        """
        Write bytes of the opening handshake.
        """
        if self.outbox is None:
            self.outbox = self.new_outbox()
        self.outbox.add(data)
        self.flush()

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.settle_pong()
        if self.outbox is not None:
            self.push()
        self._wake_drainers()

    def is_paused(self) -> bool:
        """
        Tell whether senders have to wait for the peer.
        """
        return self.congested and not self.lost

    def add_drainer(self, waiter: Waiter) -> None:
        """
        Wake somebody when the peer has caught up, or the connection is gone.
        """
        if self._drainers is None:
            self._drainers = []
        self._drainers.append(waiter)

    def _wake_drainers(self) -> None:
        """
        Wake those who wait for the peer.
        """
        drainers = self._drainers
        if drainers is not None:
            self._drainers = None
            for waiter in drainers:
                waiter.wake()

    # Fan-out.

    def backlog_size(self) -> int:
        """
        Return how many bytes wait to be written.
        """
        size = 0
        if self.wire is not None:
            size = self.wire.backlog()
        if self.outbox is not None:
            size += self.outbox.size
        elif self._held is not None:
            size += len(self._held)
        return size

    def send_prepared(
        self,
        prepared: PreparedMessage,
        max_backlog: int,
        on_overflow: str,
        more: bool = False,
    ) -> bool:
        """
        Send a prepared message without waiting.

        Args:
            prepared: The message.
            max_backlog: Most bytes that may wait already, or -1 for any.
            on_overflow: ``"close"``, ``"drop"`` or ``"latest"``.
            more: Whether others may follow in this turn, so that this one waits for
                them or for the end of the turn.

        Returns:
            Whether the message was sent or queued.
        """
        self.turn.run_at_end()
        if self.state != _OPEN or self.opening is not None:
            return False
        if max_backlog >= 0 and self._overflows(max_backlog, on_overflow):
            self.dropped += 1
            return False
        if self.fragmenting is not None:
            # Between the frames of a message no other may start (RFC 6455, 5.4).
            if self._postponed is None:
                self._postponed = []
            self._postponed.append(prepared)
            return True
        self._add_prepared(prepared, more)
        return True

    def _add_prepared(self, prepared: PreparedMessage, more: bool) -> None:
        """
        Send a prepared message: the peer has room for it.
        """
        frame = self.shared_frame(prepared)
        if frame is None:
            self.send_message(prepared.opcode, prepared.payload, True)
        else:
            if self.trace is not None:
                self.trace(">", 0x80 | prepared.opcode, prepared.payload)
            if len(frame) > _COPIED or self.wire.backlog():
                self.flush()
                self.wire.write_shared(frame)
                return
            if self.outbox is None and self._held is None:
                # Maybe the only one in this turn, which needs no outbox then.
                self._held = frame
            else:
                if self.outbox is None:
                    self.outbox = self.new_outbox()
                self.outbox.add(frame)
        if more and (self.outbox is None or self.outbox.size < _FULL):
            self._collect()
        else:
            self.push()

    def _collect(self) -> None:
        """
        Write at the end of the turn.
        """
        if not self.dirty:
            self.dirty = True
            self.turn.mark(self)

    def _overflows(self, max_backlog: int, on_overflow: str) -> bool:
        """
        Tell whether a slow peer does not get a prepared message.
        """
        if self._postponed_size() + self.backlog_size() <= max_backlog:
            return False
        self.flush()
        if self._postponed_size() + self.backlog_size() <= max_backlog:
            return False
        if on_overflow == "drop":
            return True
        self.dropped += self.wire.drop_shared()
        if on_overflow == "latest":
            if self._postponed is not None:
                self.dropped += len(self._postponed)
                self._postponed = None
            return self.backlog_size() > max_backlog
        self.send_close(_TRY_AGAIN_LATER, "too slow")
        self.flush()
        self.schedule()
        return True

    def _postponed_size(self) -> int:
        """
        Return the size of the prepared messages that wait for a fragmented one.
        """
        if self._postponed is None:
            return 0
        return sum([len(prepared.payload) for prepared in self._postponed])

    def end_fragments(self) -> None:
        """
        Send what waited for the end of a fragmented message.
        """
        future, self.fragmenting = self.fragmenting, None
        if future is not None and not future.done():
            future.set_result(None)
        postponed, self._postponed = self._postponed, None
        if postponed is not None and self.state == _OPEN:
            last = postponed.pop()
            for prepared in postponed:
                self._add_prepared(prepared, True)
            self._add_prepared(last, False)

    # Closing and time.

    def begin_close(self, code: int, reason: str) -> None:
        """
        Send a close frame, and make way for the peer's.

        Raises:
            ProtocolError: The code or the reason cannot be sent. Nothing was
                sent; the connection stays OPEN.
        """
        self.turn.run_at_end()
        if self.fragmenting is not None:
            self.fail(1011, "close during fragmented message")
        else:
            self.send_close(code, reason)
        self.flush()
        if self.halted:
            self.unhalt()
        self.settle()

    def closed_future(self) -> Future[None]:
        """
        Return a future that is done when the wire is gone.
        """
        if self._closed is None:
            self._closed = self.turn.loop.create_future()
            if self.lost:
                self._closed.set_result(None)
        return self._closed

    def closed_error(self) -> ConnectionClosed:
        """
        Return the exception that tells how the connection ended.
        """
        rcvd = self.close_rcvd
        sent = self.close_sent
        exc: ConnectionClosed
        if (
            rcvd is not None
            and sent is not None
            and rcvd.code in OK_CLOSE_CODES
            and sent.code in OK_CLOSE_CODES
        ):
            exc = ConnectionClosedOK(rcvd, sent, self.close_rcvd_then_sent)
        else:
            exc = ConnectionClosedError(rcvd, sent, self.close_rcvd_then_sent)
        exc.__cause__ = self.failure
        return exc

    def schedule(self) -> None:
        """
        Have :meth:`advance_to` called at the next deadline.
        """
        opening = self.opening is not None
        at = self.open_due_at if opening else self.next_deadline()
        if at == _NEVER:
            return
        deadline = self._deadline
        if deadline is not None:
            if deadline.at <= at:
                return
            deadline.member = None
        self._deadline = Deadline(at, self)
        self.turn.call_at(self._deadline)

    def advance_to(self, now: float) -> None:
        self._deadline = None
        if self.lost:
            return
        if self.opening is not None:
            if now >= self.open_due_at:
                self.opening.timed_out()
        elif not self.advance(now):
            self.failure = TimeoutError("timed out while closing connection")
            self.wire.abort()
            return
        self.settle()
        self.schedule()
