"""
A message framed once, for any number of connections.
"""

from __future__ import annotations

from .deflate import compress_once
from .outbox import frame_header

__all__ = ["PreparedMessage"]

_RSV1 = 0x40


class PreparedMessage:
    """
    A message whose frames are made once and shared by all connections.

    A frame for a server holds no masking key, so that the same bytes go to all
    clients. Compressed frames start from a fresh state of the compressor, which
    makes them valid anywhere in anybody's stream (RFC 7692, 7.2.3): one is made
    for each window size in use, when a connection first needs it.

    Attributes:
        payload: The payload of the message; text is encoded.
        opcode: 1 for text, 2 for binary.
    """

    __slots__ = ("_compressed", "_plain", "opcode", "payload")

    def __init__(self, opcode: int, payload: bytes) -> None:
        self.opcode = opcode
        self.payload = payload
        self._plain: bytes | None = None
        self._compressed: dict[object, bytes] | None = None

    def plain_frame(self) -> bytes:
        """
        Return the unmasked, uncompressed frame.
        """
        frame = self._plain
        if frame is None:
            head = 0x80 | self.opcode
            frame = frame_header(head, len(self.payload), False) + self.payload
            self._plain = frame
        return frame

    def compressed_frame(
        self, window_bits: int, settings: dict[str, int] | None
    ) -> bytes:
        """
        Return the unmasked frame, compressed for a window of 2**window_bits bytes.

        Args:
            window_bits: The window that the peer was promised.
            settings: Settings of the compressor, as of :func:`zlib.compressobj`.
        """
        if self._compressed is None:
            self._compressed = {}
        key = (window_bits, tuple(sorted((settings or {}).items())))
        frame = self._compressed.get(key)
        if frame is None:
            payload = compress_once(self.payload, window_bits, settings)
            head = 0x80 | _RSV1 | self.opcode
            frame = frame_header(head, len(payload), False) + payload
            self._compressed[key] = frame
        return frame
