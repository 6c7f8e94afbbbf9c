"""
permessage-deflate: decoding whatever comes, and what we encoded ourselves.

Both builds do the same. No limit is exceeded, also by streams that grow a
thousandfold. Where zlib alone can read a payload, it reads the same; what
websockets reads, we read the same.
"""

from __future__ import annotations

import zlib
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from fuzz.builds import BUILDS, Build, outcome
from fuzz.reading import Reader

__all__ = ["run"]

TAIL = b"\x00\x00\xff\xff"
LIMITS = (-1, 0, 1, 64, 1000, 100_000)

Payloads = list[tuple[bytes, bool]]


def decode(build: Build, bits: int, payloads: Payloads, limit: int) -> list[Any]:
    """
    Decompress payloads until one of them fails.
    """
    codec = build.deflate.Deflate(False, False, bits, 15, None)
    results = []
    for payload, fin in payloads:
        result = outcome(codec.decompress, payload, fin, limit)
        results.append(result)
        if result[0] == "raises":
            assert result[1][0] in {"ProtocolError", "PayloadTooBig"}, result
            break
        assert limit < 0 or len(result[1]) <= limit
    return results


def with_zlib(bits: int, payloads: Payloads) -> list[bytes]:
    """
    Decompress payloads by hand, as far as they are plain deflate streams.
    """
    decompressor = zlib.decompressobj(wbits=-max(bits, 9))
    results = []
    for payload, fin in payloads:
        try:
            result = decompressor.decompress(payload + (TAIL if fin else b""), 10**6)
        except zlib.error:
            break
        if decompressor.eof or decompressor.unconsumed_tail:
            break
        results.append(result)
    return results


def with_websockets(bits: int, payloads: Payloads) -> list[bytes]:
    """
    Decompress payloads as websockets does, until it refuses.
    """
    extension = PerMessageDeflate(False, False, bits, 15)
    results = []
    begins = True
    for payload, fin in payloads:
        opcode = Opcode.BINARY if begins else Opcode.CONT
        frame = Frame(opcode, payload, fin=fin, rsv1=begins)
        try:
            result = bytes(extension.decode(frame, max_size=10**6).data)
        except WebSocketException:
            break
        if extension.decoder.eof:
            # A final block ends everything for websockets, though silently.
            break
        results.append(result)
        begins = fin
    return results


def check_round_trip(reader: Reader, payloads: Payloads) -> None:
    """
    Check that each build reads what the other one writes.
    """
    bits = 9 + reader.byte() % 7
    forgets = reader.flag()
    for writer, other in zip(BUILDS, reversed(BUILDS), strict=True):
        sender = writer.deflate.Deflate(False, forgets, 15, bits, None)
        receiver = other.deflate.Deflate(forgets, False, bits, 15, None)
        for payload, fin in payloads:
            if fin and payload[:1] == b"!" and not forgets:
                # Between messages the sender may forget what it sent.
                sender.reset_compressor()
            data = sender.compress(payload, fin)
            assert payload == receiver.decompress(data, fin, len(payload))


def run(data: bytes) -> None:
    """
    Decompress, and compress.
    """
    reader = Reader(data)
    bits = 8 + reader.byte() % 8
    limit = reader.choose(LIMITS)
    options = Reader(reader.take(2))
    payloads = []
    while reader and len(payloads) < 12:
        fin = not reader.flag()
        payloads.append((reader.payload(), fin))
    first, *others = (decode(build, bits, payloads, limit) for build in BUILDS)
    for other in others:
        assert first == other, (first, other)
    if limit < 0:
        ours = [result for kind, result in first if kind == "returns"]
        for theirs in (with_zlib(bits, payloads), with_websockets(bits, payloads)):
            assert theirs == ours[: len(theirs)], (theirs, ours)
    # The slow part: making compressors.
    check_round_trip(options, payloads[:4])
