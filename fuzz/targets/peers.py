"""
The same frames for us, for websockets and for wsproto.

Random frames, mostly well-formed and in order, in random pieces: all three give
the same messages and end alike, but for the differences that are listed.
"""

from __future__ import annotations

import codecs
from typing import Any

import websockets.protocol
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from fuzz import differences
from fuzz.builds import BUILDS, close_of, outcome
from fuzz.reading import Reader, split
from tests.core.ends import (
    BINARY,
    BINARY_BEGUN,
    CLOSE,
    CONTINUATION,
    CONTINUED,
    PING,
    PONG,
    TEXT,
    TEXT_BEGUN,
    close_payload,
    feed,
    frame,
)

__all__ = ["run"]

# A frame: its first byte, and its payload.
Frames = list[tuple[int, bytes]]

DATA = (TEXT, BINARY, TEXT_BEGUN, BINARY_BEGUN, CONTINUED, CONTINUATION)
CODES = (1000, 1001, 1002, 1005, 1006, 1011, 1014, 1015, 2999, 3000, 4999, 999)
# Later entries are rarer than a choice among them says: most are well-formed.
KINDS = (TEXT, BINARY, TEXT_BEGUN, BINARY_BEGUN, CONTINUATION, CONTINUED, PING, PONG)

MAX_SIZE = 100_000


def read_frames(reader: Reader) -> Frames:
    """
    Make frames: data frames in an order that makes sense, or as they come.
    """
    in_order = reader.byte() % 4 != 0
    frames: Frames = []
    begun = False
    while reader and len(frames) < 30:
        kind = reader.byte()
        if kind >= 0xF8:
            head = reader.byte()
        elif kind >= 0xF0:
            code = reader.choose(CODES)
            frames.append((CLOSE, close_payload(code, reader.take(reader.byte() % 8))))
            continue
        else:
            head = KINDS[kind % len(KINDS)]
        payload = reader.payload()
        if in_order and head in DATA:
            opcode = 0 if begun else (head & 0x0F or 2)
            begun = not head & 0x80
            head = head & 0x80 | opcode
        frames.append((head, payload))
    return frames


def with_us(build: Any, is_client: bool, reads: list[bytes]) -> tuple[Any, Any]:
    """
    Give the messages that we receive, and how it ended.
    """
    session = build.end(is_client).session(MAX_SIZE)
    messages = []
    for read in reads:
        feed(session, read)
        while session.has_items():
            message = session.take_message(None)
            if message is not None:
                messages.append(message)
    session.take_message(None)
    if session.failure is not None:
        return messages, ("failed", session.fail_code, str(session.failure))
    return messages, ("closed", close_of(session.close_rcvd))


def with_websockets(is_client: bool, reads: list[bytes]) -> tuple[Any, Any]:
    """
    Give the messages that websockets receives, and how it ended.
    """
    side = websockets.protocol.Side(is_client)
    protocol = websockets.protocol.Protocol(side, max_size=MAX_SIZE)
    for read in reads:
        protocol.receive_data(read)
    messages: list[Any] = []
    parts: list[bytes] = []
    decoder = None
    try:
        for event in protocol.events_received():
            if event.opcode >= 8:
                continue
            if event.opcode:
                decoder = None
                if event.opcode == 1:
                    decoder = codecs.getincrementaldecoder("utf-8")()
                parts = []
            data = bytes(event.data)
            # The application's part of the work: it checks text.
            parts.append(decoder.decode(data, event.fin) if decoder else data)
            if event.fin:
                messages.append(("" if decoder else b"").join(parts))
    except UnicodeDecodeError:
        return messages, ("failed", 1007, "invalid UTF-8")
    if protocol.parser_exc is not None:
        code = int(protocol.close_sent.code)
        return messages, ("failed", code, str(protocol.parser_exc))
    return messages, ("closed", close_of(protocol.close_rcvd))


def with_wsproto(is_client: bool, reads: list[bytes]) -> tuple[Any, Any]:
    """
    Give the messages that wsproto receives, and how it ended.
    """
    protocol = FrameProtocol(client=is_client, extensions=[])
    messages: list[Any] = []
    parts: list[Any] = []
    closed = None
    try:
        for read in reads:
            protocol.receive_bytes(read)
            for event in protocol.received_frames():
                if event.opcode is Opcode.CLOSE:
                    closed = (int(event.payload[0]), event.payload[1])
                elif not event.opcode.iscontrol():
                    # It gives payloads as they come, a text without bytes as bytes.
                    parts.append(event.payload)
                    if event.message_finished:
                        empty: Any = "" if event.opcode is Opcode.TEXT else b""
                        messages.append(empty.join(part or empty for part in parts))
                        parts = []
    except ParseFailed as exc:
        return messages, ("failed", int(exc.code), str(exc))
    return messages, ("closed", closed)


def run(data: bytes) -> None:
    """
    Compare with both.
    """
    reader = Reader(data)
    is_client = reader.flag()
    places = reader.take(reader.byte() % 8)
    frames = read_frames(reader)
    stream = b"".join(frame(head, body, mask=not is_client) for head, body in frames)
    reads = split(stream, places)
    first, *others = (outcome(with_us, build, is_client, reads) for build in BUILDS)
    for other in others:
        assert first == other, (first, other)
    for name, peer in (("websockets", with_websockets), ("wsproto", with_wsproto)):
        theirs = outcome(peer, is_client, reads)
        verdict = differences.of_frames(name, first, theirs)
        assert verdict is not None, (name, frames, first, theirs)
