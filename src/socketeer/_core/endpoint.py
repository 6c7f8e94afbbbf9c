"""
One endpoint of an open connection, at the level of frames.

An endpoint turns bytes into frames and frames into bytes, answers pings and
runs the closing handshake: the one state machine below both faces, the public
Sans-I/O API and the rooms. It knows neither messages nor time nor I/O, and it
starts when the opening handshake is over.

Bytes go in through :meth:`Endpoint.receive_data`. What they mean comes out through
methods for a subclass to override, called in the order of the frames:
:meth:`~Endpoint.receive_whole` and :meth:`~Endpoint.receive_payload` for data frames,
:meth:`~Endpoint.receive_control` for control frames and :meth:`~Endpoint.fail_with` for
violations. What there is to write stands in the outbox; ``wants_eof`` asks for a
half-close behind it.

A read is parsed as far as it goes. Kept between reads are only an incomplete
header, the begun payload of one data frame, and, after a subclass set
``halted``, the input that it did not want yet.
"""

from __future__ import annotations

from ..exceptions import InvalidState, PayloadTooBig, ProtocolError
from ..frames import Close
from .masking import copy_payload, mask_chunk
from .sending import MaskingKeys, Sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Endpoint", "MaskingKeys"]

# The states of RFC 6455, 4.1 and 7.1, numbered as in ``State``.
_OPEN = 1
_CLOSING = 2
_CLOSED = 3

_STATE_NAMES = ("connecting", "open", "closing", "closed")

# First bytes of frames: FIN and an opcode (RFC 6455, 5.2).
_FIN = 0x80
_RSV = 0x70
_RSV1 = 0x40
_OPCODE = 0x0F
_CLOSE_HEAD = 0x88
_PING_HEAD = 0x89
_PONG_HEAD = 0x8A

_ABNORMAL_CLOSURE = 1006
# No payload is larger (RFC 6455, 5.2): a limit above is none. Bytes.
_MAX_PAYLOAD = 2**63 - 1


class Endpoint(Sender):
    """
    The frame-level state machine of a connection that is open.

    Args:
        is_client: Whether this is the client's end, which masks its frames.
        max_message_size: Largest message accepted, in bytes, or -1 for any.
        max_fragment_size: Largest frame accepted, in bytes, or -1 for any.
        masking_keys: Where a client takes its masking keys from.

    Attributes:
        state: 1 OPEN, 2 CLOSING, 3 CLOSED.
        close_rcvd: The close frame received, or :obj:`None`.
        close_sent: The close frame sent, or :obj:`None`.
        close_rcvd_then_sent: If both were, whether the peer was first.
        controls: How many control frames were in what was received last.
        failure: Why the connection failed, if an exception tells it.
        fail_code: The close code the connection failed with, or 0.
        wants_eof: Whether the outbox ends with a half-close.
        halted: While true, input is kept and not parsed.
        discarding: Whether input is dropped (RFC 6455, 1.4 and 7.1.7).
        reserved_bits: Which of RSV1 to RSV3 an extension gave a meaning.
        message_size: Size of the fragmented message in progress, in bytes.
    """

    __slots__ = (
        "_answered",
        "_chunks",
        "_head",
        "_key",
        "_opcode",
        "_remaining",
        "_rest",
        "_rest_start",
        "_size",
        "close_rcvd",
        "close_rcvd_then_sent",
        "close_sent",
        "controls",
        "discarding",
        "fail_code",
        "failure",
        "halted",
        "max_fragment_size",
        "max_message_size",
        "message_size",
        "reserved_bits",
        "state",
        "wants_eof",
    )

    def __init__(
        self,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        masking_keys: MaskingKeys,
    ) -> None:
        Sender.__init__(self, is_client, masking_keys)
        self.max_message_size = min(max_message_size, _MAX_PAYLOAD)
        self.max_fragment_size = min(max_fragment_size, _MAX_PAYLOAD)
        self.state = _OPEN
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self.close_rcvd_then_sent: bool | None = None
        self.controls = 0
        self.failure: Exception | None = None
        self.fail_code = 0
        self.wants_eof = False
        self.halted = False
        self.discarding = False
        self.reserved_bits = 0
        self.message_size = 0
        # Input that was not parsed, from _rest_start on.
        self._rest: bytearray | None = None
        self._rest_start = 0
        # How far the kept input was searched for pings and pongs.
        self._answered = 0
        # The opcode of the fragmented message in progress, or 0.
        self._opcode = 0
        # The data frame whose payload has arrived in part: its first byte, its
        # size, its masking key, how much is missing, and what is here.
        self._head = 0
        self._size = 0
        self._key: bytes | None = None
        self._remaining = 0
        # While _remaining counts, there are _chunks.
        self._chunks: Any = None

    # Receiving.

    def receive_data(self, data: bytearray, end: int) -> None:
        """
        Take in ``data[:end]``, as it was read.

        The buffer is free again on return. Violations by the peer are not
        raised: they fail the connection.
        """
        self.controls = 0
        if self.discarding:
            return
        if self._rest is not None:
            self._rest += memoryview(data)[:end]
            self.resume()
            if self.halted:
                self._answer_kept()
            return
        position = self._parse_guarded(data, 0, end)
        if position < end and not self.discarding:
            self._rest = bytearray(memoryview(data)[position:end])
            self._rest_start = 0
            if self.halted:
                self._answer_kept()

    def resume(self) -> None:
        """
        Parse the input that was kept, as far as it goes.
        """
        rest = self._rest
        if rest is None:
            return
        end = len(rest)
        position = self._parse_guarded(rest, self._rest_start, end)
        if position == end or self.discarding:
            self._rest = None
            self._answered = 0
        elif 2 * position > end:
            # The parsed part outweighs the other one: drop it.
            self._rest = rest[position:]
            self._rest_start = 0
            self._answered = max(0, self._answered - position)
        else:
            self._rest_start = position

    def _answer_kept(self) -> None:
        """
        Let pings and pongs take effect that stand in the kept input.

        While parsing is halted, the peer can still tell that this endpoint is
        alive, as far as its control frames have been read.
        """
        rest = self._rest
        if rest is None:
            return
        end = len(rest)
        if self._remaining > end - self._rest_start:
            return
        position = max(self._answered, self._rest_start + self._remaining)
        while end - position >= 2:
            head = rest[position]
            second = rest[position + 1]
            start = self._payload_start(rest, position, end)
            if start < 0:
                break
            # A close frame waits for its turn, and so does a violation.
            if head & 0x08 and (
                (head != _PING_HEAD and head != _PONG_HEAD)
                or (second >= 0x80) == self.is_client
                or second & 0x7F > 125
            ):
                break
            try:
                size = self._payload_size(rest, position)
            except ProtocolError:
                break
            # A difference: the sum could overflow when compiled.
            if size > end - start:
                break
            position = start + size
            if head & 0x08:
                self._receive_control(head, rest, start, position)
        self._answered = position

    def _payload_start(self, data: bytearray, position: int, end: int) -> int:
        """
        Return where the payload of a frame starts; -1 if its header is cut.
        """
        second = data[position + 1]
        size = second & 0x7F
        start = position + 2 + (2 if size == 126 else 8 if size == 127 else 0)
        if second & 0x80:
            start += 4
        return start if start <= end else -1

    def _payload_size(self, data: bytearray, position: int) -> int:
        """
        Return the size of a payload as the complete header of a frame tells it.
        """
        size = data[position + 1] & 0x7F
        if size == 126:
            size = data[position + 2] << 8 | data[position + 3]
        elif size == 127:
            size = self._read_long_size(data, position + 2)
        return size

    def kept_size(self) -> int:
        """
        Return how many bytes of input were received and not parsed.
        """
        if self._rest is None:
            return 0
        return len(self._rest) - self._rest_start

    def _parse_guarded(self, data: bytearray, position: int, end: int) -> int:
        """
        Parse, and fail the connection on a violation (RFC 6455, 7.1.7).
        """
        try:
            return self._parse(data, position, end)
        except ProtocolError as exc:
            self.fail_with(exc, 1002, str(exc))
        except UnicodeDecodeError as exc:
            self.fail_with(exc, 1007, "invalid UTF-8")
        except PayloadTooBig as exc:
            self.fail_with(exc, 1009, str(exc))
        except Exception as exc:  # noqa: BLE001 - an extension may raise anything
            self.fail_with(exc, 1011, "")
        return end

    def _parse(self, data: bytearray, position: int, end: int) -> int:
        """
        Parse ``data[position:end]``; return where the unparsed rest starts.
        """
        while position < end and not self.halted:
            if self._remaining > 0:
                position = self._continue_payload(data, position, end)
                continue
            if end - position < 2:
                break
            head = data[position]
            self._check_head(head, data[position + 1])
            start = self._payload_start(data, position, end)
            if start < 0:
                break
            size = self._payload_size(data, position)
            if head & 0x08:
                stop = start + size
                if stop > end or not self._receive_control(head, data, start, stop):
                    break
                position = stop
                if self.discarding:
                    break
                continue
            self._check_size(size)
            if size <= end - start:
                position = start + size
                self._receive_whole(head, data, start, position)
            else:
                self._begin_payload(head, data, start, size)
                position = start
        return position

    def _check_head(self, head: int, second: int) -> None:
        """
        Refuse what the first two bytes of a frame may not say (RFC 6455, 5.2).
        """
        # A client masks all frames, a server masks none (RFC 6455, 5.1).
        if (second >= 0x80) == self.is_client:
            raise ProtocolError("incorrect masking")
        if (head == 0x81 or head == 0x82) and self._opcode == 0:
            return
        opcode = head & _OPCODE
        if 2 < opcode < 8 or opcode > 10:
            raise ProtocolError("invalid opcode")
        if opcode >= 8:
            # RFC 6455, 5.5: control frames are short and never fragmented.
            if head & _RSV:
                raise ProtocolError("reserved bits must be 0")
            if second & 0x7F > 125:
                raise ProtocolError("control frame too long")
            if not head & _FIN:
                raise ProtocolError("fragmented control frame")
            return
        if head & _RSV & ~self.reserved_bits:
            raise ProtocolError("reserved bits must be 0")
        if opcode == 0:
            if self._opcode == 0:
                raise ProtocolError("unexpected continuation frame")
        elif self._opcode != 0:
            raise ProtocolError("expected a continuation frame")

    def _read_long_size(self, data: bytearray, position: int) -> int:
        """
        Read a 64-bit payload length (RFC 6455, 5.2).
        """
        # "the most significant bit MUST be 0". Tested on the byte, before the
        # sum: compiled, a 64-bit sum would wrap to a negative number.
        if data[position] & 0x80:
            raise ProtocolError("payload length has its most significant bit set")
        size = 0
        for index in range(position, position + 8):
            size = size << 8 | data[index]
        return size

    def _check_size(self, size: int) -> None:
        """
        Refuse a data frame that announces more than the limits allow.
        """
        if 0 <= self.max_fragment_size < size:
            raise PayloadTooBig(size, self.max_fragment_size)
        # A difference: the sum of the sizes could overflow when compiled.
        left = self.max_message_size - self.message_size
        if self.max_message_size >= 0 and size > left:
            before = self.message_size if self._opcode else None
            raise PayloadTooBig(size, left, before)

    def _receive_whole(self, head: int, data: bytearray, start: int, end: int) -> None:
        """
        Receive a data frame that is here from the first byte to the last.
        """
        if self._opcode == 0 and (head == 0x81 or head == 0x82):
            self.receive_whole(head, data, start, end)
        else:
            self._receive_payload(
                head, copy_payload(data, start, end, not self.is_client)
            )

    def _begin_payload(self, head: int, data: bytearray, start: int, size: int) -> None:
        """
        Get ready for a payload which arrives over several reads.
        """
        self._head = head
        self._size = size
        self._remaining = size
        self._chunks = bytearray()
        self._key = None if self.is_client else bytes(data[start - 4 : start])

    def _continue_payload(self, data: bytearray, position: int, end: int) -> int:
        """
        Take what is here of the payload in progress.
        """
        # A difference: the sum could overflow when compiled.
        stop = end
        if self._remaining < end - position:
            stop = position + self._remaining
        chunk = mask_chunk(
            data, position, stop, self._key, self._size - self._remaining
        )
        # The cellar's own bookkeeping first: check_chunk() may raise.
        self._remaining -= stop - position
        self._chunks += chunk
        self.check_chunk(self._head, chunk)
        if self._remaining == 0:
            payload = bytes(self._chunks)
            self._chunks = None
            self._receive_payload(self._head, payload)
        return stop

    def _receive_payload(self, head: int, payload: bytes) -> None:
        """
        Keep the books on fragmentation, then hand the frame on.
        """
        opcode = head & _OPCODE
        begun = self._opcode or opcode
        if self.trace is not None:
            self.trace("<", head, payload)
        size = self.receive_payload(head, begun, payload)
        if head & _FIN:
            self._opcode = 0
            self.message_size = 0
        else:
            self._opcode = begun
            self.message_size += size

    def _receive_control(
        self, head: int, data: bytearray, start: int, end: int
    ) -> bool:
        """
        Take in a control frame; false means: not now.
        """
        opcode = head & _OPCODE
        if opcode == 8 and not self.accepts_close():
            return False
        if end <= self._answered and data is self._rest:
            return True
        self.controls += 1
        payload = copy_payload(data, start, end, not self.is_client)
        if self.trace is not None:
            self.trace("<", head, payload)
        if opcode == 9:
            self.receive_ping(payload)
        elif opcode == 10:
            self.receive_pong(payload)
        else:
            self._receive_close(Close.parse(payload))
        self.receive_control(opcode, payload)
        return True

    def _receive_close(self, close: Close) -> None:
        """
        Take in a close frame, and answer it if it is the first one.
        """
        self.close_rcvd = close
        if self.state == _OPEN:
            # "it typically echos the status code it received" (RFC 6455, 5.5.1)
            self.close_rcvd_then_sent = True
            self._send_close(close)
        elif self.close_sent is not None:
            self.close_rcvd_then_sent = False
        # The server closes the TCP connection first (RFC 6455, 7.1.1).
        self.end_input()

    def end_input(self) -> None:
        """
        Drop what the peer sends from now on; a server half-closes.
        """
        self.discarding = True
        self._rest = None
        self._chunks = None
        if not self.is_client:
            self.wants_eof = True

    def receive_eof(self) -> None:
        """
        Take in the end of the peer's bytes. The state is CLOSED afterwards.
        """
        if self.state == _CLOSED:
            return
        if not self.discarding and self.failure is None:
            self.failure = EOFError("unexpected end of stream")
        if self.state == _OPEN:
            self.fail(_ABNORMAL_CLOSURE)
        self.discarding = True
        self.wants_eof = True
        self.state = _CLOSED

    # For subclasses to override.

    def receive_whole(self, head: int, data: bytearray, start: int, end: int) -> None:
        """
        Receive an unfragmented, uncompressed message as it stands in a buffer.

        Args:
            head: 0x81 for text, 0x82 for binary.
            data: The buffer; unless this is a client, the masking key stands
                right before ``start``.
            start: Where the payload starts.
            end: Where the payload ends.
        """
        self._receive_payload(head, copy_payload(data, start, end, not self.is_client))

    def receive_payload(self, head: int, opcode: int, payload: bytes) -> int:
        """
        Receive a data frame.

        Args:
            head: The first byte of the frame.
            opcode: The opcode of the message: 1 for text, 2 for binary.
            payload: The unmasked payload.

        Returns:
            The size that counts against the limit of the message, in bytes.
        """
        return len(payload)

    def check_chunk(self, head: int, chunk: bytes) -> None:
        """
        Look at a piece of a payload before the frame is complete.
        """

    def receive_control(self, opcode: int, payload: bytes) -> None:
        """
        Receive a control frame, after it took effect.
        """

    def accepts_close(self) -> bool:
        """
        Tell whether a close frame can take effect now, or parsing has to wait.
        """
        return True

    def receive_ping(self, payload: bytes) -> None:
        """
        Answer a ping with a pong, "unless [...] already received a Close frame"
        (RFC 6455, 5.5.2).
        """
        if self.state != _CLOSED:
            self.send_frame(_PONG_HEAD, payload)

    def receive_pong(self, payload: bytes) -> None:
        """
        Receive a pong.
        """

    def fail_with(self, exc: Exception | None, code: int, reason: str) -> None:
        """
        Fail the connection because of what the peer sent.
        """
        self.failure = exc
        self.fail(code, reason)

    # Sending.

    def _send_close(self, close: Close) -> None:
        """
        Send a close frame; the state is CLOSING afterwards.
        """
        payload = b"" if close.code == 1005 else close.serialize()
        self.send_frame(_CLOSE_HEAD, payload)
        self.close_sent = close
        self.state = _CLOSING

    def send_close(self, code: int, reason: str = "") -> None:
        """
        Start the closing handshake (RFC 6455, 7.1.2).

        Args:
            code: The close code; 1005 sends an empty close frame.
            reason: The close reason.

        Raises:
            InvalidState: The connection is not OPEN.
            ProtocolError: The close code cannot be sent, or the reason is
                longer than 123 bytes. Nothing was sent.
        """
        self.require_open()
        close = Close(code, reason)
        if code == 1005 and reason:
            raise ProtocolError("cannot send a reason without a code")
        if code != 1005:
            close.check()
            if len(reason.encode()) > 123:
                raise ProtocolError("control frame too long")
        self._send_close(close)

    def require_open(self) -> None:
        """
        Raise :exc:`InvalidState` unless the connection is OPEN.
        """
        if self.state != _OPEN:
            raise InvalidState(f"connection is {_STATE_NAMES[self.state]}")

    def fail(self, code: int, reason: str = "") -> None:
        """
        Fail the WebSocket Connection (RFC 6455, 7.1.7).

        Sends a close frame if the connection is OPEN, unless ``code`` is 1006.
        Input is dropped afterwards. The state is CLOSING, or stays CLOSED.
        """
        if not self.fail_code:
            self.fail_code = code
        if self.state == _OPEN:
            if code != _ABNORMAL_CLOSURE:
                self._send_close(Close(code, reason))
            self.state = _CLOSING
        self.end_input()
