"""
An open connection: messages and time on top of the frame level.

A session keeps what was received until somebody takes it, bounds it, and tells
by :attr:`~Endpoint.halted` that it wants no more. It measures time with the
clock it was given and draws masking keys from the source it was given; it does
no I/O and waits for nothing, so that all rooms can share it:

* the room passes on what it reads and writes what stands in the outbox;
* it calls :meth:`Session.advance` when :meth:`Session.next_deadline` has come;
* it calls :meth:`Session.take_message` for whoever wants a message.

A violation by the peer takes effect after the messages that came before it: as
long as some were not taken, the failure waits, though not for ever.
"""

from __future__ import annotations

import codecs

from ..exceptions import (
    ConcurrencyError,
    PayloadTooBig,
    ProtocolError,
    TooManyFragments,
)
from ..frames import Frame, Opcode
from .composing import Composer
from .endpoint import Endpoint
from .fragment import Fragment
from .masking import copy_payload, decode_payload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .endpoint import MaskingKeys

__all__ = ["Session"]

_OPEN = 1
_CLOSING = 2
_CLOSED = 3

_FIN = 0x80
_RSV1 = 0x40
_OPCODE = 0x0F
_PING_HEAD = 0x89
_PONG_HEAD = 0x8A
_TEXT_HEAD = 0x81

_NEVER = float("inf")

# Messages that arrive while closing are kept, beyond the limit of the queue, up
# to this size in bytes; then they are dropped.
_SPARE = 2**20

# An empty queue keeps room for this many messages.
_KEPT_SLOTS = 16

_incremental_decoder = codecs.getincrementaldecoder("utf-8")


class Session(Composer):
    """
    An open connection without I/O.

    Args:
        is_client: Whether this is the client's end.
        max_message_size: Largest message accepted, in bytes, or -1 for any.
        max_fragment_size: Largest frame accepted, in bytes, or -1 for any.
        masking_keys: Where masking keys and ping payloads come from.
        clock: Returns the current time in seconds; it never goes back.

    Attributes:
        high: More frames than this in the queue halt parsing; -1 for any.
        low: At most this many frames in the queue end the halt.
        max_fragments: Most frames in a message that is taken whole.
        ping_interval: Seconds between keepalive pings, or -1.0 for none.
        ping_timeout: Seconds to wait for the pong, or -1.0 for ever.
        close_timeout: Seconds for closing, or -1.0 for ever.
        stall_timeout: Seconds for which input may stay halted, or -1.0 for ever;
            not used unless there is a ``ping_timeout``.
        latency: Seconds between the last ping and its pong, 0.0 at first.
        congested: While true, only the last ping is answered, later.
        hold_close: Whether a close frame waits for the messages before it.
        close_due_at: When closing must be over, or infinity.
        pings: Pings that wait for a pong: by payload, who waits and since when.
    """

    __slots__ = (
        "_acknowledged",
        "_assembly",
        "_checked",
        "_compressed",
        "_first",
        "_halted_at",
        "_keepalive",
        "_last",
        "_next_ping_at",
        "_owed_pong",
        "_pending",
        "_pending_until",
        "_pong_due_at",
        "_queue",
        "_spare",
        "_utf8",
        "clock",
        "close_due_at",
        "close_timeout",
        "congested",
        "high",
        "hold_close",
        "latency",
        "low",
        "max_fragments",
        "ping_interval",
        "ping_timeout",
        "pings",
        "stall_timeout",
    )

    def __init__(
        self,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        masking_keys: MaskingKeys,
        clock: Callable[[], float],
    ) -> None:
        Composer.__init__(
            self, is_client, max_message_size, max_fragment_size, masking_keys
        )
        self.clock = clock
        self.high = -1
        self.low = -1
        self.max_fragments = 4096
        self.ping_interval = -1.0
        self.ping_timeout = -1.0
        self.close_timeout = -1.0
        self.stall_timeout = -1.0
        self.latency = 0.0
        self.congested = False
        self.hold_close = False
        self.close_due_at = _NEVER
        # Pings that wait for a pong: payload -> (who waits, when it was sent).
        self.pings: dict[bytes, tuple[Any, float]] | None = None
        # Messages and fragments that nobody has taken yet: [_first:_last]. The
        # list keeps its length, so that no memory moves for each message.
        self._queue: list[Any] = []
        self._first = 0
        self._last = 0
        # Fragments taken from the queue whose message is not complete.
        self._assembly: list[Fragment] | None = None
        # The state of UTF-8 validation inside a fragmented text message.
        self._utf8: codecs.IncrementalDecoder | None = None
        self._checked = False
        self._compressed = False
        # The payload of the keepalive ping that waits for its pong, and whether
        # the pong has just come.
        self._keepalive: bytes | None = None
        self._acknowledged = False
        self._next_ping_at = _NEVER
        self._pong_due_at = _NEVER
        self._halted_at = _NEVER
        # Bytes that a full queue takes once closing has begun.
        self._spare = _SPARE
        # The payload of the last ping received while congested.
        self._owed_pong: bytes | None = None
        # A failure that waits for the messages before it: code and reason.
        self._pending: tuple[int, str] | None = None
        self._pending_until = _NEVER

    def start(self) -> None:
        """
        Start the keepalive: the opening handshake is over.
        """
        if self.ping_interval >= 0:
            self._next_ping_at = self.clock() + self.ping_interval

    # Receiving.

    def receive_whole(self, head: int, data: bytearray, start: int, end: int) -> None:
        if self.extensions is not None:
            Endpoint.receive_whole(self, head, data, start, end)
            return
        if head == _TEXT_HEAD:
            message: bytes | str = decode_payload(data, start, end, not self.is_client)
        else:
            message = copy_payload(data, start, end, not self.is_client)
        if self.trace is not None:
            self.trace("<", head, message)
        self._put(message)

    def _put(self, item: Any) -> None:
        """
        Queue a message or a fragment; halt when that was one too many.
        """
        if 0 <= self.high <= self._last - self._first:
            if self.state != _OPEN:
                # Full, and we are closing: look for the peer's close frame.
                self._spare -= 64 + len(
                    item.payload if type(item) is Fragment else item
                )
                if self._spare < 0:
                    return
            elif not self.halted:
                self.halted = True
                self._halted_at = self.clock()
        if self._last < len(self._queue):
            self._queue[self._last] = item
        else:
            self._queue.append(item)
        self._last += 1

    def receive_payload(self, head: int, opcode: int, payload: bytes) -> int:
        first = head & _OPCODE != 0
        fin = head & _FIN != 0
        if self.extensions is not None:
            payload = self._decode(head, payload)
        elif self.deflate is not None:
            if first:
                self._compressed = head & _RSV1 != 0
            elif head & _RSV1:
                # "MUST NOT set [...] on any fragment but the first" (RFC 7692, 6.1)
                raise ProtocolError("RSV1 bit set in continuation frame")
            if self._compressed:
                payload = self._inflate(payload, fin)
        if opcode == 1:
            self._validate(payload, fin)
        if not (first and fin):
            self._put(Fragment(opcode, payload, fin))
        elif opcode == 1:
            self._put(str(payload, "utf-8"))
        else:
            self._put(payload)
        return len(payload)

    def _validate(self, payload: bytes, fin: bool) -> None:
        """
        Check that a text message is UTF-8 so far (RFC 6455, 8.1).
        """
        if self._checked:
            # Its pieces were checked as they arrived.
            self._checked = False
            payload = b""
        if self._utf8 is None:
            self._utf8 = _incremental_decoder()
        self._utf8.decode(payload, fin)
        if fin:
            self._utf8 = None

    def check_chunk(self, head: int, chunk: bytes) -> None:
        opcode = head & _OPCODE or self._opcode
        # RSV1 on a continuation is wrong, and not yet: when the frame is complete.
        own = head & _OPCODE or head & _RSV1
        compressed = head & _RSV1 if own else self._compressed
        if opcode != 1 or compressed or self.extensions is not None:
            return
        if self._utf8 is None:
            self._utf8 = _incremental_decoder()
        self._utf8.decode(chunk)
        self._checked = True

    def _size_left(self) -> int:
        """
        Return how large the next payload may be, in bytes; -1 for any.
        """
        limit = self.max_message_size
        left = limit - self.message_size if limit >= 0 else -1
        if self.max_fragment_size >= 0 and (left < 0 or self.max_fragment_size < left):
            left = self.max_fragment_size
        return left

    def _inflate(self, payload: bytes, fin: bool) -> bytes:
        """
        Decompress a payload within the limits of the message.
        """
        left = self._size_left()
        try:
            return self.deflate.decompress(payload, fin, left)
        except PayloadTooBig:
            size = self.message_size if self._opcode else None
            raise PayloadTooBig(None, left, size) from None

    def _decode(self, head: int, payload: bytes) -> bytes:
        """
        Take a frame through the extensions, the last one first.
        """
        frame = Frame(
            Opcode(head & _OPCODE),
            payload,
            fin=head & _FIN != 0,
            rsv1=head & 0x40 != 0,
            rsv2=head & 0x20 != 0,
            rsv3=head & 0x10 != 0,
        )
        left = self._size_left()
        max_size = left if left >= 0 else None
        try:
            for extension in reversed(self.extensions):
                frame = extension.decode(frame, max_size=max_size)
        except PayloadTooBig as exc:
            if self._opcode and exc.current_size is None:
                exc.set_current_size(self.message_size)
            raise
        frame.check()
        return bytes(frame.data)

    def accepts_close(self) -> bool:
        # A receiver that is about to be woken may still answer what came before.
        return not self.hold_close or self._first >= self._last

    def receive_ping(self, payload: bytes) -> None:
        if self.congested:
            # "it MAY elect to send a Pong frame for only the most recently
            # processed Ping frame" (RFC 6455, 5.5.3)
            self._owed_pong = payload
        else:
            Endpoint.receive_ping(self, payload)

    def receive_pong(self, payload: bytes) -> None:
        pings = self.pings
        if not pings or payload not in pings:
            return
        now = self.clock()
        # A pong acknowledges the pings before the one it answers, too.
        keys = list(pings)
        for key in keys[: keys.index(payload) + 1]:
            waiter, sent_at = pings.pop(key)
            self.latency = now - sent_at
            if key == self._keepalive:
                self._keepalive = None
                self._pong_due_at = _NEVER
                self._next_ping_at = max(now, sent_at + self.ping_interval)
                self._acknowledged = True
            if waiter is not None:
                self.pong_received(waiter, self.latency)
        if not pings:
            # An empty dictionary that was used takes as much as one in use.
            self.pings = None

    def pong_received(self, waiter: Any, latency: float) -> None:
        """
        Tell somebody that a ping was answered after ``latency`` seconds.
        """

    def fail_with(self, exc: Exception | None, code: int, reason: str) -> None:
        self.failure = exc
        self.discarding = True
        self._pending = (code, reason)
        if self._has_messages():
            wait = self.close_timeout if self.close_timeout >= 0 else 10.0
            self._pending_until = self.clock() + wait
        else:
            self.fail_now()

    def _has_messages(self) -> bool:
        """
        Tell whether a message waits to be taken, not only a piece of one.
        """
        for item in self._queue[self._first : self._last]:
            if type(item) is not Fragment or item.fin:
                return True
        return False

    def is_timed(self) -> bool:
        """
        Tell whether the next deadline may be earlier than it was.
        """
        if self._acknowledged:
            self._acknowledged = False
            return True
        return self.state != _OPEN or self._pending is not None

    def fail_now(self) -> None:
        """
        Let a failure take effect which waited for the messages before it.
        """
        if self._pending is not None:
            code, reason = self._pending
            self._pending = None
            self._pending_until = _NEVER
            self.fail(code, reason)

    # Taking.

    def has_items(self) -> bool:
        """
        Tell whether messages or fragments wait to be taken.
        """
        return self._first < self._last

    def take_message(self, decode: object) -> object:
        """
        Take the next message, or return :obj:`None` when there is none yet.

        Args:
            decode: :obj:`None` for str from text and bytes from binary,
                :obj:`True` for str, :obj:`False` for bytes.

        Raises:
            UnicodeDecodeError: A binary message was to be decoded and is not
                UTF-8. It is lost.
        """
        while self._first < self._last:
            item = self._take()
            if type(item) is str:
                return item.encode() if decode is False else item
            if type(item) is bytes:
                return item.decode() if decode is True else item
            message = self._assemble(item, decode)
            if message is not None:
                return message
        self.fail_now()
        return None

    def _take(self) -> Any:
        """
        Take the next item from the queue; there is one.
        """
        queue = self._queue
        first = self._first
        item = queue[first]
        queue[first] = None
        first += 1
        if first == self._last:
            first = 0
            self._last = 0
            if len(queue) > _KEPT_SLOTS:
                queue.clear()
        self._first = first
        return item

    def _assemble(self, fragment: Fragment, decode: object) -> object:
        """
        Put a message together; return it when its last fragment is there.
        """
        if self._assembly is None:
            self._assembly = []
        self._assembly.append(fragment)
        if len(self._assembly) > self.max_fragments >= 0:
            exc = TooManyFragments(self.max_fragments)
            self._queue.clear()
            self._first = 0
            self._last = 0
            self._assembly = None
            self.fail_with(exc, 1009, "too many fragments")
            return None
        if not fragment.fin:
            return None
        payload = b"".join([part.payload for part in self._assembly])
        self._assembly = None
        if decode is True or (decode is None and fragment.opcode == 1):
            return payload.decode()
        return payload

    def take_fragment(self) -> Fragment | None:
        """
        Take the next fragment; an unfragmented message is its only fragment.
        """
        if self._assembly:
            fragment = self._assembly.pop(0)
            if not self._assembly:
                self._assembly = None
            return fragment
        if self._first >= self._last:
            self.fail_now()
            return None
        item = self._take()
        if type(item) is str:
            return Fragment(1, item.encode(), True)
        if type(item) is bytes:
            return Fragment(2, item, True)
        return item

    def may_resume(self) -> bool:
        """
        Tell whether kept input can be parsed further: see :meth:`unhalt`.
        """
        if self.halted:
            return self._last - self._first <= self.low
        return self.hold_close and self._rest is not None

    def unhalt(self) -> None:
        """
        End the halt and parse what was kept in the meantime.
        """
        self.halted = False
        self.hold_close = False
        self._halted_at = _NEVER
        self.resume()

    # Sending.

    def settle_pong(self) -> None:
        """
        End the congestion: answer the last ping received during it.
        """
        self.congested = False
        payload = self._owed_pong
        if payload is not None:
            self._owed_pong = None
            Endpoint.receive_ping(self, payload)

    def send_ping(self, payload: bytes | None, waiter: object) -> bytes:
        """
        Send a ping and remember who waits for its pong.

        Args:
            payload: At most 125 bytes, or :obj:`None` for four random ones.
            waiter: Passed to :meth:`pong_received`, unless it is :obj:`None`.

        Returns:
            The payload.

        Raises:
            ConcurrencyError: A ping with this payload waits for its pong.
        """
        if self.pings is None:
            self.pings = {}
        if payload is None:
            payload = self.masking_keys.take()
            while payload in self.pings:
                payload = self.masking_keys.take()
        elif payload in self.pings:
            raise ConcurrencyError("already waiting for a pong with the same data")
        if len(payload) > 125:
            raise ProtocolError("control frame too long")
        self.send_frame(_PING_HEAD, payload)
        self.pings[payload] = (waiter, self.clock())
        return payload

    def send_pong(self, payload: bytes) -> None:
        """
        Send an unsolicited pong (RFC 6455, 5.5.3).
        """
        if len(payload) > 125:
            raise ProtocolError("control frame too long")
        self.send_frame(_PONG_HEAD, payload)

    # Time.

    def next_deadline(self) -> float:
        """
        Return when :meth:`advance` is to be called next; maybe infinity.
        """
        if self.state == _CLOSED:
            return self.close_due_at
        if self.state == _CLOSING:
            if self.close_due_at == _NEVER and self.close_timeout >= 0:
                self.close_due_at = self.clock() + self.close_timeout
            return self.close_due_at
        if self._pending is not None:
            return self._pending_until
        return min(self._next_ping_at, self._pong_due_at)

    def advance(self, now: float) -> bool:
        """
        Do what is due.

        Returns:
            False when closing took too long: the room cuts the connection.
        """
        if self.state != _OPEN:
            return now < self.close_due_at
        if self._pending is not None:
            if now >= self._pending_until:
                self.fail_now()
        elif now >= self._pong_due_at:
            self._miss_pong(now)
        elif now >= self._next_ping_at:
            self._ping(now)
        return True

    def _ping(self, now: float) -> None:
        """
        Send a keepalive ping; one before it that was not answered is forgotten.
        """
        if self.pings and self._keepalive is not None:
            self.pings.pop(self._keepalive, None)
        self._keepalive = self.send_ping(None, None)
        if self.ping_timeout >= 0:
            self._next_ping_at = _NEVER
            self._pong_due_at = now + self.ping_timeout
        else:
            self._next_ping_at = now + self.ping_interval

    def _miss_pong(self, now: float) -> None:
        """
        Fail, or ping again: the pong may stand in what we did not read, and only
        writing tells of a peer that is gone.
        """
        if not self.halted:
            self.fail(1011, "keepalive ping timeout")
        elif 0 <= self.stall_timeout <= now - self._halted_at:
            self.fail(1011, "receive queue not read")
        else:
            self._ping(now)
