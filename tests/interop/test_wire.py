"""The proof of window bits can fail: tests of what tests rely on."""

from __future__ import annotations

import random
import zlib

import pytest

from .wire import STEP, TAIL, Inflater, Negotiated, Recording

GENERATOR = random.Random(7692)


def deflated(data, bits):
    """Compress a message with this window, as an endpoint does."""
    compressor = zlib.compressobj(wbits=-bits)
    compressed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return compressed.removesuffix(TAIL)


def repeating(distance):
    """Return bytes that repeat once, at this distance."""
    data = GENERATOR.randbytes(distance)
    return data + data[:100]


@pytest.mark.parametrize("bits", range(9, 16))
def test_an_obedient_compressor_is_accepted(bits):
    """
    What a window of so many bits has produced, such a window can read.
    """
    data = repeating(2**bits - 300) + repeating(2 ** (bits + 1)) + bytes(100_000)

    assert data == Inflater(bits).inflate(deflated(data, bits))


@pytest.mark.parametrize("bits", range(9, 15))
def test_a_reference_beyond_the_window_is_found(bits):
    """
    One reference just beyond the window is enough to be refused.
    """
    data = repeating(2**bits + STEP)
    compressed = deflated(data, bits + 1)

    assert data == Inflater(bits + 1).inflate(compressed)
    with pytest.raises(zlib.error, match="too far back"):
        Inflater(bits).inflate(compressed)


def test_plain_inflating_would_not_have_found_it():
    """
    zlib itself, given the whole message at once, accepts it.
    """
    data = repeating(2**9 + STEP)

    assert data == zlib.decompressobj(-9).decompress(deflated(data, 15) + TAIL)


def test_a_reference_to_an_earlier_message_is_found():
    """
    Without context takeover, a message must stand alone.
    """
    data = GENERATOR.randbytes(100)
    compressor = zlib.compressobj(wbits=-15)
    messages = [
        (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for _ in range(2)
    ]

    inflater = Inflater(15)
    assert [data, data] == [inflater.inflate(message) for message in messages]
    with pytest.raises(zlib.error, match="too far back"):
        Inflater(15, takeover=False).inflate(messages[1])


def test_parameters_are_read_from_the_response():
    """
    What the response does not mention is unlimited.
    """
    header = "permessage-deflate; client_max_window_bits=10; server_no_context_takeover"
    response = f"HTTP/1.1 101 OK\r\nSec-WebSocket-Extensions: {header}\r\n\r\n"

    recording = Recording(server=bytearray(response.encode()))
    assert recording.negotiated() == Negotiated(
        server_no_context_takeover=True,
        client_no_context_takeover=False,
        server_max_window_bits=15,
        client_max_window_bits=10,
    )


def test_messages_are_read_from_masked_and_fragmented_frames():
    """
    "Hello" in one masked frame, and in two (RFC 7692, 7.2.3.1).
    """
    head = "0d0a0d0a"
    masked = head + "c18737fa213d" + "c5b2ecf4fefd21"
    fragmented = head + "4103f248cd" + "8004c9c90700"
    recording = Recording(
        client=bytearray.fromhex(masked), server=bytearray.fromhex(fragmented)
    )

    for side in ("client", "server"):
        assert [b"Hello"] == [
            Inflater(15).inflate(payload) for payload in recording.messages(side)
        ]
