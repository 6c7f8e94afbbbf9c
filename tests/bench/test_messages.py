"""
Compressed messages for the load generator.
"""

from __future__ import annotations

import json
import struct
import zlib

from bench.messages import WINDOW_BITS, records, script, write_script
from socketeer.utils import apply_mask


def payload(frame):
    """
    Return the payload of a masked frame of 126 to 65535 bytes.
    """
    assert (0xC1, 0x80 | 126) == (frame[0], frame[1])
    assert len(frame) - 8 == int.from_bytes(frame[2:4], "big")
    return apply_mask(frame[8:], frame[4:8])


def inflated(frames):
    decompressor = zlib.decompressobj(-WINDOW_BITS)
    return [
        decompressor.decompress(payload(f) + b"\x00\x00\xff\xff").decode()
        for f in frames
    ]


def test_records_vary_and_have_their_size():
    """
    No two texts are the same, and none is much longer than asked for.
    """
    texts = records(20, 1024)

    assert 20 == len(set(texts))
    assert all(1024 <= len(text) < 1200 for text in texts)
    assert all("trades" in json.loads(text) for text in texts)


def test_a_script_is_what_a_client_would_send():
    """
    The frames are the texts, compressed with context takeover; sent twice in a
    row they still are.
    """
    texts = records(5, 1024)
    frames = script(texts)

    assert texts * 2 == inflated(frames * 2)


def test_a_script_is_written_with_its_sizes(tmp_path):
    """
    A count, then each frame behind its size.
    """
    path = tmp_path / "script"
    write_script(path, 512, count=3)
    data = path.read_bytes()
    frames = script(records(3, 512))

    expected = struct.pack("<I", 3)
    for frame in frames:
        expected += struct.pack("<I", len(frame)) + frame
    assert expected == data
