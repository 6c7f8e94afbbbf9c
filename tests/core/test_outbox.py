"""
The outbox: frame headers as RFC 6455, 5.2, has them, on both builds.
"""

from __future__ import annotations

import pytest

from .ends import KEY, frame, masked

# Size and header, unmasked and masked, up to the masking key.
HEADERS = [
    (0, "8200", "8280"),
    (5, "8205", "8285"),
    (125, "827d", "82fd"),
    (126, "827e007e", "82fe007e"),
    (127, "827e007f", "82fe007f"),
    (256, "827e0100", "82fe0100"),
    (65_535, "827effff", "82feffff"),
    (65_536, "827f0000000000010000", "82ff0000000000010000"),
]
ENORMOUS = [
    (2**31 - 1, "000000007fffffff"),
    (2**31, "0000000080000000"),
    (2**32 - 1, "00000000ffffffff"),
    (2**32, "0000000100000000"),
    (2**63 - 1, "7fffffffffffffff"),
]


@pytest.fixture
def outbox(core):
    return core.outbox.Outbox()


@pytest.mark.parametrize(("size", "plain", "with_mask"), HEADERS)
def test_uses_the_shortest_length_field(core, outbox, size, plain, with_mask):
    """
    7 bits up to 125, 16 up to 65535, 64 above: "the minimal number of bytes
    MUST be used" (RFC 6455, 5.2). Header and frame agree.
    """
    payload = bytes(i & 0xFF for i in range(size))
    outbox.add_frame(0x82, payload, None)
    unmasked = outbox.tail(0)
    outbox.clear()
    outbox.add_frame(0x82, payload, KEY)

    assert bytes.fromhex(plain) == core.outbox.frame_header(0x82, size, False)
    assert bytes.fromhex(with_mask) == core.outbox.frame_header(0x82, size, True)
    assert bytes.fromhex(plain) + payload == unmasked
    assert bytes.fromhex(with_mask) + KEY + masked(payload) == outbox.tail(0)


@pytest.mark.parametrize(("size", "field"), ENORMOUS)
def test_writes_lengths_of_any_width(core, size, field):
    """
    The 64-bit field holds up to 2**63 - 1 (RFC 6455, 5.2).
    """
    assert bytes.fromhex("827f" + field) == core.outbox.frame_header(0x82, size, False)
    assert bytes.fromhex("82ff" + field) == core.outbox.frame_header(0x82, size, True)


def test_frames_the_examples_of_the_rfc(outbox):
    """
    "Hello" unmasked, then masked (RFC 6455, 5.7).
    """
    outbox.add_frame(0x81, "Hello", None)
    outbox.add_frame(0x81, "Hello", KEY)

    expected = "810548656c6c6f818537fa213d7f9f4d5158"
    assert bytes.fromhex(expected) == outbox.tail(0)


@pytest.mark.parametrize("head", [0x00, 0x01, 0x80, 0xC1, 0xFF])
def test_the_first_byte_is_written_as_it_is(core, outbox, head):
    """
    FIN, reserved bits and opcode are the caller's business.
    """
    outbox.add_frame(head, b"", None)

    assert bytes([head, 0]) == outbox.tail(0)
    assert bytes([head, 0]) == core.outbox.frame_header(head, 0, False)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("text", ["", "a", "é" * 62, "é" * 63, "€" * 30_000])
def test_text_is_encoded_and_its_bytes_are_counted(outbox, text, key):
    """
    The length is that of the payload in UTF-8.
    """
    outbox.add_frame(0x81, text, key)

    assert frame(0x81, text.encode(), mask=key is not None) == outbox.tail(0)


def test_a_lone_surrogate_leaves_it_unchanged(outbox):
    """
    What cannot be encoded is not sent, not even in part.
    """
    outbox.add(b"before")

    with pytest.raises(UnicodeEncodeError):
        outbox.add_frame(0x81, "a\ud800", KEY)

    assert b"before" == outbox.tail(0)
    assert 6 == outbox.size


@pytest.mark.parametrize("key", [None, KEY])
def test_grows_as_far_as_needed(outbox, key):
    """
    Frames of all sizes stand one behind the other, however many there are.
    """
    expected = b""
    for size in [0, 1, 7, 1010, 1024, 3000, 70_000, 5, 200_000]:
        payload = bytes([size & 0xFF]) * size
        outbox.add_frame(0x82, payload, key)
        expected += frame(0x82, payload, mask=key is not None)
        outbox.add(payload)
        expected += payload
        assert len(expected) == outbox.size

    assert expected == outbox.tail(0)


def test_shows_the_bytes_from_any_place_on(outbox):
    """
    What was written already is left out.
    """
    outbox.add(b"Hello")

    assert [b"Hello", b"lo", b""] == [outbox.tail(start) for start in (0, 3, 5)]


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_is_empty_and_usable_after_clear(outbox, size):
    """
    Whether its memory is kept or given back, it starts afresh.
    """
    assert b"" == outbox.tail(0)
    outbox.add(bytes(size))
    outbox.clear()
    assert (0, b"") == (outbox.size, outbox.tail(0))

    outbox.add(b"again")

    assert b"again" == outbox.tail(0)
