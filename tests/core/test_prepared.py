"""
Messages framed once for many connections, on both builds.
"""

from __future__ import annotations

import zlib

import pytest

from .ends import frame

TEXT = b"the same words, the same words, the same words"


def test_the_plain_frame_is_made_once(core):
    """
    All connections share one object; it is the frame of RFC 6455, 5.7.
    """
    message = core.prepared.PreparedMessage(1, b"Hello")

    assert (1, b"Hello") == (message.opcode, message.payload)
    assert bytes.fromhex("810548656c6c6f") == message.plain_frame()
    assert message.plain_frame() is message.plain_frame()


def test_the_compressed_frame_is_the_example_of_the_rfc(core):
    """
    "Hello", compressed, has RSV1 set (RFC 7692, 7.2.3.1).
    """
    message = core.prepared.PreparedMessage(1, b"Hello")

    frame = message.compressed_frame(15, None)

    assert bytes.fromhex("c107f248cdc9c90700") == frame


def test_compressed_frames_are_made_once_for_equal_settings(core):
    """
    The order in which settings are written does not matter, nor does the
    difference between no settings and empty ones.
    """
    message = core.prepared.PreparedMessage(2, TEXT)
    one = message.compressed_frame(15, {"level": 1, "memLevel": 5})
    other = message.compressed_frame(15, {"memLevel": 5, "level": 1})
    none = message.compressed_frame(15, None)

    assert one is other
    assert none is not one
    assert none is message.compressed_frame(15, {})


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("size", [0, 10, 2000, 200_000])
def test_compressed_frames_are_whole_messages(core, bits, size):
    """
    One frame for each window; each is decompressed with nothing before it.
    """
    payload = (TEXT * (size // len(TEXT) + 1))[:size]
    message = core.prepared.PreparedMessage(2, payload)

    data = message.compressed_frame(bits, None)

    body = data[{126: 4, 127: 10}.get(data[1], 2) :]
    assert frame(0xC2, body, mask=False) == data
    inflated = zlib.decompress(body + b"\x00\x00\xff\xff\x03\x00", wbits=-bits)
    assert payload == inflated
    assert message.compressed_frame(bits, None) is data
