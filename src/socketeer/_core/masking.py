"""
Byte kernels: copy a payload out of a read buffer, masked or not.

This is the portable twin of ``_fast/masking.pyx``; both must behave alike.
A masking key is four bytes; byte *i* of a payload is masked with byte *i mod 4*
of the key (RFC 6455, 5.3). Masking twice gives the original back.
"""

from __future__ import annotations

from ..utils import apply_mask

__all__ = ["apply_mask", "copy_payload", "decode_payload", "mask_chunk"]


def copy_payload(data: bytearray, start: int, end: int, masked: bool) -> bytes:
    """
    Return the payload ``data[start:end]``, unmasked.

    A masked payload stands right behind its key, ``data[start - 4:start]``.
    """
    payload = bytes(memoryview(data)[start:end])
    if masked:
        return apply_mask(payload, bytes(data[start - 4 : start]))
    return payload


def decode_payload(data: bytearray, start: int, end: int, masked: bool) -> str:
    """
    Return the payload ``data[start:end]``, unmasked and decoded.

    Raises:
        UnicodeDecodeError: The payload is not UTF-8 (RFC 6455, 8.1).
    """
    return str(copy_payload(data, start, end, masked), "utf-8")


def mask_chunk(
    data: bytearray, start: int, end: int, key: bytes | None, offset: int
) -> bytes:
    """
    Return ``data[start:end]``, a piece of a payload, unmasked with ``key``.

    ``offset`` tells how many bytes of the payload came before this piece. No
    key means that the payload is not masked.
    """
    chunk = bytes(memoryview(data)[start:end])
    if key is None:
        return chunk
    shift = offset & 3
    return apply_mask(chunk, key[shift:] + key[:shift])
