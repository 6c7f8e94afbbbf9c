"""
The byte kernels, on both builds.
"""

from __future__ import annotations

import random

import pytest

from .ends import KEY, masked

SIZES = range(41)
HELLO_MASKED = bytes.fromhex("7f9f4d5158")  # RFC 6455, 5.7


def buffer(payload, offset=0):
    """
    Return a buffer with a key and a masked payload, and where it stands.
    """
    before = bytes(range(offset))
    data = bytearray(before + KEY + masked(payload) + b"behind")
    start = offset + 4
    return data, start, start + len(payload)


def test_unmasks_the_example_of_the_rfc(core):
    """
    "Hello", masked with 37 fa 21 3d, is 7f 9f 4d 51 58 (RFC 6455, 5.7).
    """
    data = bytearray(KEY + HELLO_MASKED)

    assert b"Hello" == core.masking.apply_mask(HELLO_MASKED, KEY)
    assert b"Hello" == core.masking.copy_payload(data, 4, 9, True)
    assert "Hello" == core.masking.decode_payload(data, 4, 9, True)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", SIZES)
def test_masks_any_size_of_any_buffer(core, kind, size):
    """
    Byte i is masked with byte i mod 4 of the key (RFC 6455, 5.3).
    """
    payload = random.Random(size).randbytes(size)

    assert masked(payload) == core.masking.apply_mask(kind(payload), KEY)


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_a_key_has_four_bytes(core, key):
    """
    Any other size is an error of the caller.
    """
    with pytest.raises(ValueError, match="^mask must contain 4 bytes$"):
        core.masking.apply_mask(b"Hello", key)


@pytest.mark.parametrize("size", SIZES)
def test_copies_a_payload_from_anywhere_in_a_buffer(core, size):
    """
    What stands before and behind a payload does not matter, nor does alignment.
    """
    payload = random.Random(size).randbytes(size)
    for offset in range(9):
        data, start, end = buffer(payload, offset)
        before = bytes(data)

        assert payload == core.masking.copy_payload(data, start, end, True)
        assert masked(payload) == core.masking.copy_payload(data, start, end, False)
        assert before == bytes(data)


@pytest.mark.parametrize("letter", ["a", "\x00", "\x7f", "é", "€", "😀"])
@pytest.mark.parametrize("size", SIZES)
def test_decodes_text_of_any_size(core, size, letter):
    """
    ASCII takes another way than the rest; a single other letter is noticed
    wherever it stands.
    """
    for position in range(size or 1):
        text = "a" * position + letter + "a" * (size - position)
        data, start, end = buffer(text.encode(), position % 8)
        plain = bytearray(text.encode())

        assert text == core.masking.decode_payload(plain, 0, len(plain), False)
        assert text == core.masking.decode_payload(data, start, end, True)


@pytest.mark.parametrize("is_masked", [False, True])
def test_decodes_empty_text(core, is_masked):
    """
    No bytes are no letters.
    """
    assert "" == core.masking.decode_payload(bytearray(KEY), 4, 4, is_masked)


@pytest.mark.parametrize(
    "payload", [b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"a" * 20 + b"\xf4\x90\x80\x80"]
)
@pytest.mark.parametrize("is_masked", [False, True])
def test_refuses_text_that_is_not_utf_8(core, payload, is_masked):
    """
    Broken, cut, a surrogate, beyond U+10FFFF: none of it is UTF-8.
    """
    data, start, end = buffer(payload)
    if not is_masked:
        data[start:end] = payload

    with pytest.raises(UnicodeDecodeError):
        core.masking.decode_payload(data, start, end, is_masked)


@pytest.mark.parametrize("size", SIZES)
def test_unmasks_a_payload_in_pieces(core, size):
    """
    A piece begins with the byte of the key that its place in the payload asks for.
    """
    payload = random.Random(size).randbytes(size)
    data, start, end = buffer(payload)
    for cut in range(size + 1):
        first = core.masking.mask_chunk(data, start, start + cut, KEY, 0)
        second = core.masking.mask_chunk(data, start + cut, end, KEY, cut)

        assert payload == first + second


def test_without_a_key_a_piece_is_copied(core):
    """
    A server's payloads are not masked.
    """
    assert b"ell" == core.masking.mask_chunk(bytearray(b"Hello"), 1, 4, None, 1)


@pytest.mark.parametrize("offset", [2**31, 2**32 + 1, 2**62 + 2, 2**63 - 1])
def test_pieces_stand_anywhere_in_the_largest_payload(core, offset):
    """
    The offset has the width of the largest length (RFC 6455, 5.2).
    """
    key = KEY[offset % 4 :] + KEY[: offset % 4]

    piece = core.masking.mask_chunk(bytearray(b"Hello"), 0, 5, KEY, offset)

    assert masked(b"Hello", key) == piece
