"""
Compressed messages for the load generator, which cannot compress.

They are frames of JSON texts, compressed once and with context takeover as a
client would; the generator sends them again and again. The first one does not
refer to others, so that it may follow the last (RFC 7692, 7.2.3).
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from socketeer.frames import Frame, Opcode

__all__ = ["EXTENSIONS", "records", "script", "write_script"]

# What the load generator offers: the windows of the servers' settings.
EXTENSIONS = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
WINDOW_BITS = 12
LEVEL = 6
MEMORY_LEVEL = 5

# A multiple of all numbers of messages in flight.
COUNT = 256
TAIL = b"\x00\x00\xff\xff"

SYMBOLS = ("AAPL", "MSFT", "GOOG", "AMZN", "NVDA", "TSLA", "META", "SAP", "ASML", "TSM")
VENUES = ("XNAS", "XNYS", "XETR", "XLON", "XPAR")


def records(count: int, size: int, seed: int = 1) -> list[str]:
    """
    Return JSON texts of varied records, each of about the same size.

    Args:
        count: How many.
        size: Bytes; a text ends with the record that reaches it.
        seed: The same seed gives the same texts.
    """
    chance = random.Random(seed)  # noqa: S311 - the same every time
    texts = []
    for number in range(count):
        text = ""
        trades: list[dict[str, object]] = []
        while len(text) < size:
            trades.append(
                {
                    "id": chance.randrange(10**9),
                    "symbol": chance.choice(SYMBOLS),
                    "price": round(chance.uniform(20, 900), 2),
                    "quantity": chance.randrange(1, 5000),
                    "venue": chance.choice(VENUES),
                    "at": f"2026-11-{chance.randrange(1, 30):02}T"
                    f"{chance.randrange(24):02}:{chance.randrange(60):02}:"
                    f"{chance.uniform(0, 60):06.3f}Z",
                }
            )
            text = json.dumps({"type": "trades", "number": number, "trades": trades})
        texts.append(text)
    return texts


def script(texts: Iterable[str], seed: int = 1) -> list[bytes]:
    """
    Return the masked frames that a compressing client would send.
    """
    chance = random.Random(seed)  # noqa: S311 - nobody attacks a benchmark
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
    frames = []
    for text in texts:
        payload = compressor.compress(text.encode())
        payload += compressor.flush(zlib.Z_SYNC_FLUSH)
        frame = Frame(Opcode.TEXT, payload.removesuffix(TAIL))
        key = chance.randbytes(4)
        frames.append(masked(frame, key))
    return frames


def masked(frame: Frame, key: bytes) -> bytes:
    """
    Return a compressed frame as sent, with this masking key.
    """
    plain = frame.serialize(mask=False)
    header = bytearray(plain[: len(plain) - len(frame.data)])
    # RSV1: the message is compressed (RFC 7692, 6); MASK.
    header[0] |= 0x40
    header[1] |= 0x80
    mask = key * (len(frame.data) // 4 + 1)
    payload = bytes(a ^ b for a, b in zip(frame.data, mask, strict=False))
    return bytes(header) + key + payload


def write_script(path: Path, size: int, count: int = COUNT) -> None:
    """
    Write a script for the load generator: a count, then sizes and frames.
    """
    frames = script(records(count, size))
    parts = [struct.pack("<I", len(frames))]
    for frame in frames:
        parts += [struct.pack("<I", len(frame)), frame]
    path.write_bytes(b"".join(parts))
