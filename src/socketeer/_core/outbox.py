"""
The outbox: frames that were made and have not been written yet.

This is the portable twin of ``_fast/outbox.pyx``; both must behave alike. Small
frames are copied one behind the other so that one system call writes them all.
"""

from __future__ import annotations

from ..utils import apply_mask

__all__ = ["Outbox", "frame_header"]

# The 7-bit length field holds the size itself up to 125; 126 and 127 announce
# a 16-bit and a 64-bit field (RFC 6455, 5.2).
MAX_SHORT_PAYLOAD = 125
MAX_MEDIUM_PAYLOAD = 0xFFFF


def frame_header(head: int, size: int, masked: bool) -> bytes:
    """
    Return the header of a frame up to its masking key (RFC 6455, 5.2).

    Args:
        head: The first byte: FIN, RSV1 to RSV3 and the opcode.
        size: The size of the payload in bytes.
        masked: Whether a masking key follows.
    """
    mask_bit = 0x80 if masked else 0
    if size <= MAX_SHORT_PAYLOAD:
        return bytes((head, mask_bit | size))
    if size <= MAX_MEDIUM_PAYLOAD:
        return bytes((head, mask_bit | 126)) + size.to_bytes(2, "big")
    return bytes((head, mask_bit | 127)) + size.to_bytes(8, "big")


class Outbox:
    """
    A growing run of bytes to write.

    Attributes:
        size: How many bytes it holds.
    """

    __slots__ = ("_data", "size")

    def __init__(self) -> None:
        self._data = bytearray()
        self.size = 0

    def add(self, data: bytes) -> None:
        """
        Append bytes as they are.
        """
        self._data += data
        self.size = len(self._data)

    def add_frame(self, head: int, payload: bytes | str, key: bytes | None) -> None:
        """
        Append a frame.

        Args:
            head: The first byte: FIN, RSV1 to RSV3 and the opcode.
            payload: The payload; text is encoded as UTF-8.
            key: The masking key, four bytes, or :obj:`None` for no masking.

        Raises:
            UnicodeEncodeError: The text has a lone surrogate. Nothing was
                appended.
        """
        if isinstance(payload, str):
            payload = payload.encode()
        self._data += frame_header(head, len(payload), key is not None)
        if key is not None:
            self._data += key
            payload = apply_mask(payload, key)
        self._data += payload
        self.size = len(self._data)

    def tail(self, start: int) -> bytes:
        """
        Return the bytes from ``start`` on.
        """
        return bytes(memoryview(self._data)[start:])

    def clear(self) -> None:
        """
        Forget all bytes.
        """
        self._data = bytearray()
        self.size = 0
