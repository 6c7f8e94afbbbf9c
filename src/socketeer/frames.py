"""
Frames, one by one (RFC 6455, 5 and 7.4).

This module knows the format of a frame and what must hold for each frame
alone. It doesn't know their order: fragments of a message, or what may
follow a close frame.
"""

from __future__ import annotations

import codecs
import dataclasses
import enum
import re
import struct
import typing

from .exceptions import PayloadTooBig, ProtocolError
from .typing import BytesLike
from .utils import apply_mask, generate_mask, setting

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["Close", "CloseCode", "Frame", "Opcode"]


class Opcode(enum.IntEnum):
    """What a frame carries (RFC 6455, 11.8)."""

    CONT, TEXT, BINARY = 0x00, 0x01, 0x02
    CLOSE, PING, PONG = 0x08, 0x09, 0x0A


CONT = Opcode.CONT
TEXT = Opcode.TEXT
BINARY = Opcode.BINARY
CLOSE = Opcode.CLOSE
PING = Opcode.PING
PONG = Opcode.PONG

DATA_OPCODES = CONT, TEXT, BINARY
CTRL_OPCODES = CLOSE, PING, PONG


class CloseCode(enum.IntEnum):
    """
    Why a connection is closed (RFC 6455, 7.4.1 and 11.7).

    1005, 1006 and 1015 are reserved for programs to talk about a
    connection; they are never sent.
    """

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    # 1004 is reserved without a meaning.
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: dict[int, str] = {
    CloseCode.NORMAL_CLOSURE: "OK",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS_RCVD: "no status received [internal]",
    CloseCode.ABNORMAL_CLOSURE: "abnormal closure [internal]",
    CloseCode.INVALID_DATA: "invalid frame payload data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failure [internal]",
}

# Codes below 3000 that a close frame may have; the rest up to there is
# reserved. 3000-3999 are for libraries and frameworks, 4000-4999 for
# applications (RFC 6455, 7.4.2).
EXTERNAL_CLOSE_CODES = frozenset(CloseCode) - {
    CloseCode.NO_STATUS_RCVD,
    CloseCode.ABNORMAL_CLOSURE,
    CloseCode.TLS_HANDSHAKE,
}

# Codes after which a connection counts as closed without an error.
OK_CLOSE_CODES = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
)

# "All control frames MUST have a payload length of 125 bytes or less"
# (RFC 6455, 5.5). It is also what the 7-bit length field holds itself; 126
# and 127 there announce a 16-bit and a 64-bit field (5.2).
_MAX_SHORT_PAYLOAD = 125
_LENGTH_16_BIT = 126
_MAX_16_BIT = 0xFFFF

# Characters that a log shows better as hexadecimal bytes: what repr()
# escapes, but for tab, line feed and carriage return. Control frames
# show as text only what is ASCII.
_has_unprintable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad]").search
_is_ascii_text = re.compile(b"[\t-\r\x20-\x7e]*").fullmatch


class FrameExtension(typing.Protocol):
    """What frames ask of an extension (RFC 6455, 9)."""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Undo what the extension of the peer did to a frame."""
        ...

    def encode(self, frame: Frame) -> Frame:
        """Transform a frame before it is sent."""
        ...


@dataclasses.dataclass
class Frame:
    """
    A WebSocket frame.

    Attributes:
        opcode: What the frame carries.
        data: The payload, not masked.
        fin: Whether it is the last frame of its message.
        rsv1: First reserved bit, for extensions.
        rsv2: Second reserved bit.
        rsv3: Third reserved bit.
    """

    opcode: Opcode
    data: BytesLike
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    MAX_LOG_SIZE: typing.ClassVar[int] = setting("MAX_LOG_SIZE", 75)
    """Characters of the payload in ``str()``; longer ones lose the middle."""

    def __str__(self) -> str:
        """Describe the frame for a log, with the payload cut short."""
        payload, kind = self._preview()
        size = len(self.data)
        notes = [kind] if kind else []
        notes.append(f"{size} byte{'' if size == 1 else 's'}")
        if not self.fin:
            notes.append("continued")
        return f"{self.opcode.name} {payload} [{', '.join(notes)}]"

    @classmethod
    def parse(
        cls,
        read_exact: Callable[[int], Generator[None, None, bytes | bytearray]],
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[FrameExtension] | None = None,
    ) -> Generator[None, None, Frame]:
        """
        Read a frame, as a generator.

        Args:
            read_exact: Generator function that reads a number of bytes,
                such as :meth:`~socketeer.streams.StreamReader.read_exact`.
            mask: Whether the frame must be masked: true for a server.
            max_size: Largest payload in bytes, :obj:`None` for no limit.
            extensions: Extensions in the order they were negotiated.

        Raises:
            EOFError: The stream ends before the frame does.
            PayloadTooBig: The payload is larger than ``max_size``. It was
                not read.
            ProtocolError: The frame isn't one that RFC 6455 allows. What
                the header shows is found before the payload is read.
        """
        first, second = yield from read_exact(2)
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError as exc:
            raise ProtocolError("invalid opcode") from exc
        if bool(second & 0x80) is not mask:
            raise ProtocolError("incorrect masking")
        frame = cls(
            opcode,
            b"",
            bool(first & 0x80),
            bool(first & 0x40),
            bool(first & 0x20),
            bool(first & 0x10),
        )

        size = yield from _read_size(read_exact, second & 0x7F)
        if not extensions:
            frame._check_reserved_bits()
        frame._check_control(size)
        if max_size is not None and size > max_size:
            raise PayloadTooBig(size, max_size)

        if mask:
            key = yield from read_exact(4)
            data = yield from read_exact(size)
            frame.data = apply_mask(data, key)
        else:
            frame.data = bytes((yield from read_exact(size)))

        for extension in reversed(extensions or ()):
            frame = extension.decode(frame, max_size=max_size)
        frame.check()
        return frame

    def serialize(
        self,
        *,
        mask: bool,
        extensions: Sequence[FrameExtension] | None = None,
    ) -> bytes:
        """
        Write the frame.

        Args:
            mask: Whether to mask it: true for a client.
            extensions: Extensions in the order they were negotiated.

        Raises:
            ProtocolError: The frame isn't one that RFC 6455 allows.
        """
        self.check()
        frame = self
        for extension in extensions or ():
            frame = extension.encode(frame)

        first = (
            frame.fin << 7
            | frame.rsv1 << 6
            | frame.rsv2 << 5
            | frame.rsv3 << 4
            | frame.opcode
        )
        second = mask << 7
        size = len(frame.data)
        if size <= _MAX_SHORT_PAYLOAD:
            header = struct.pack("!BB", first, second | size)
        elif size <= _MAX_16_BIT:
            header = struct.pack("!BBH", first, second | 126, size)
        else:
            header = struct.pack("!BBQ", first, second | 127, size)

        if mask:
            key = generate_mask()
            return header + key + apply_mask(frame.data, key)
        return header + frame.data

    def check(self) -> None:
        """
        Check that reserved bits are 0 and that control frames are short.

        Raises:
            ProtocolError: They aren't.
        """
        self._check_reserved_bits()
        self._check_control(len(self.data))

    def _check_reserved_bits(self) -> None:
        # "MUST be 0 unless an extension is negotiated that defines
        # meanings for non-zero values" (RFC 6455, 5.2).
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise ProtocolError("reserved bits must be 0")

    def _check_control(self, size: int) -> None:
        if self.opcode in CTRL_OPCODES:
            if size > _MAX_SHORT_PAYLOAD:
                raise ProtocolError("control frame too long")
            # "and MUST NOT be fragmented" (RFC 6455, 5.5).
            if not self.fin:
                raise ProtocolError("fragmented control frame")

    def _preview(self) -> tuple[str, str]:
        """Give the payload for a log, and its kind unless that is obvious."""
        if not self.data:
            return "''", ""
        try:
            if self.opcode is CLOSE:
                return self._elide(str(Close.parse(bytes(self.data)))), ""
            if self.opcode in CTRL_OPCODES:
                text = self._control_text()
            else:
                text = self._data_text()
        except (ProtocolError, UnicodeDecodeError):
            return self._hexadecimal(), "" if self.opcode is BINARY else "binary"
        return self._elide(repr(text)), "" if self.opcode is TEXT else "text"

    def _control_text(self) -> str:
        # Mostly made of random bytes, which are seldom meant as UTF-8.
        data = bytes(self.data)
        if not _is_ascii_text(data):
            raise UnicodeDecodeError("ascii", data, 0, 1, "not printable")
        return data.decode()

    def _data_text(self) -> str:
        """Decode the payload, or of a large one both ends."""
        data = self.data
        starts = self.opcode is not CONT
        # No character takes more than four bytes.
        if len(data) <= 4 * self.MAX_LOG_SIZE:
            text = _decode_piece(bytes(data), starts=starts, ends=self.fin)
        else:
            head = bytes(data[: 8 * self.MAX_LOG_SIZE // 3])
            tail = bytes(data[-(4 * self.MAX_LOG_SIZE // 3) :])
            text = _decode_piece(head, starts=starts, ends=False)
            text += _decode_piece(tail, starts=False, ends=self.fin)
        if _has_unprintable(text):
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "not printable")
        return text

    def _hexadecimal(self) -> str:
        # Each byte takes three characters, one of them a space.
        if len(self.data) <= self.MAX_LOG_SIZE // 3:
            return bytes(self.data).hex(" ")
        cut = max((self.MAX_LOG_SIZE // 3 - 1) // 3, 0)
        head = bytes(self.data[: 2 * cut])
        tail = bytes(self.data[len(self.data) - cut :])
        return f"{head.hex(' ')} ... {tail.hex(' ')}"

    def _elide(self, text: str) -> str:
        """Cut out the middle, two thirds of the way."""
        if len(text) <= self.MAX_LOG_SIZE:
            return text
        cut = max(self.MAX_LOG_SIZE // 3 - 1, 0)
        return f"{text[: 2 * cut]}...{text[len(text) - cut :]}"


def _read_size(
    read_exact: Callable[[int], Generator[None, None, bytes | bytearray]],
    size: int,
) -> Generator[None, None, int]:
    """Read the extended payload length, if the short one announces it."""
    if size <= _MAX_SHORT_PAYLOAD:
        return size
    field = yield from read_exact(2 if size == _LENGTH_16_BIT else 8)
    # "the most significant bit MUST be 0" (RFC 6455, 5.2).
    if len(field) > 2 and field[0] & 0x80:
        raise ProtocolError("payload length has its most significant bit set")
    return int.from_bytes(field, "big")


def _decode_piece(data: bytes, *, starts: bool, ends: bool) -> str:
    """
    Decode a piece of a text, which may begin or end within a character.

    Raises:
        UnicodeDecodeError: It isn't UTF-8 elsewhere.
    """
    skipped = 0
    if not starts:
        # A character has three continuation bytes at most.
        while skipped < min(3, len(data)) and data[skipped] & 0xC0 == 0x80:
            skipped += 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    text = decoder.decode(data[skipped:], ends)
    unfinished, _ = decoder.getstate()
    return "\ufffd" * skipped + text + "\ufffd" * bool(unfinished)


@dataclasses.dataclass
class Close:
    """
    What a close frame carries.

    Attributes:
        code: The close code.
        reason: The close reason, at most 123 bytes in UTF-8.
    """

    code: CloseCode | int
    reason: str

    def __str__(self) -> str:
        """Give the code, what it means, and the reason if there is one."""
        code = int(self.code)
        if 3000 <= code < 4000:
            explanation = "registered"
        elif 4000 <= code < 5000:
            explanation = "private use"
        else:
            explanation = CLOSE_CODE_EXPLANATIONS.get(code, "unknown")
        text = f"{code} ({explanation})"
        return f"{text} {self.reason}" if self.reason else text

    @classmethod
    def parse(cls, data: BytesLike) -> typing.Self:
        """
        Read the payload of a close frame (RFC 6455, 5.5.1).

        An empty one gives code 1005.

        Raises:
            ProtocolError: It has one byte, or a code that must not be sent.
            UnicodeDecodeError: The reason isn't UTF-8.
        """
        if not data:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) == 1:
            raise ProtocolError("close frame too short")
        close = cls(int.from_bytes(data[:2], "big"), str(data[2:], "utf-8"))
        close.check()
        return close

    def serialize(self) -> bytes:
        """
        Write the payload of a close frame.

        Raises:
            ProtocolError: The code must not be sent.
        """
        self.check()
        return struct.pack("!H", self.code) + self.reason.encode()

    def check(self) -> None:
        """
        Check that the code may be sent in a close frame.

        Raises:
            ProtocolError: It is reserved (RFC 6455, 7.4).
        """
        if self.code not in EXTERNAL_CLOSE_CODES and not 3000 <= self.code < 5000:
            raise ProtocolError("invalid status code")
