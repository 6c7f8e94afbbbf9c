"""
Frames of messages on their way out: compressed, by extensions, or shared.
"""

from __future__ import annotations

from ..frames import Frame, Opcode
from .endpoint import Endpoint
from .prepared import PreparedMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .endpoint import MaskingKeys

__all__ = ["Composer"]

_FIN = 0x80
_RSV1 = 0x40


class Composer(Endpoint):
    """
    An endpoint that makes frames of messages.

    Args:
        is_client: Whether this is the client's end.
        max_message_size: Largest message accepted, in bytes, or -1 for any.
        max_fragment_size: Largest frame accepted, in bytes, or -1 for any.
        masking_keys: Where masking keys come from.

    Attributes:
        deflate: The permessage-deflate codec that was negotiated, if any.
        compression_threshold: Messages smaller than this go uncompressed.
        extensions: Other extensions, which see each data frame as a ``Frame``.
    """

    __slots__ = ("compression_threshold", "deflate", "extensions")

    def __init__(
        self,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        masking_keys: MaskingKeys,
    ) -> None:
        Endpoint.__init__(
            self, is_client, max_message_size, max_fragment_size, masking_keys
        )
        # Asked whether they are there before they are used: a Deflate, a list.
        self.deflate: Any = None
        self.compression_threshold = 0
        self.extensions: Any = None

    def send_message(self, opcode: int, payload: bytes | str, compress: bool) -> None:
        """
        Send an unfragmented message.

        Args:
            opcode: 1 for text, 2 for binary.
            payload: The payload; text is encoded.
            compress: Whether it may be compressed, if that was negotiated.

        Raises:
            UnicodeEncodeError: The text has a lone surrogate. Nothing was sent.
        """
        if self.deflate is None and self.extensions is None:
            self.send_frame(_FIN | opcode, payload)
        else:
            if isinstance(payload, str):
                payload = payload.encode()
            if len(payload) < self.compression_threshold:
                compress = False
            self.send_fragment(opcode, payload, True, compress)

    def send_fragment(
        self, opcode: int, payload: bytes, fin: bool, compress: bool
    ) -> None:
        """
        Send one frame of a message.

        Args:
            opcode: 1 for text, 2 for binary, 0 for a continuation.
            payload: The payload.
            fin: Whether the message ends with this frame.
            compress: Whether to compress; the same for all frames of a message.
        """
        head = (_FIN if fin else 0) | opcode
        if self.extensions is not None:
            frame = Frame(Opcode(opcode), payload, fin=fin)
            for extension in self.extensions:
                frame = extension.encode(frame)
            head = (_FIN if frame.fin else 0) | int(frame.opcode)
            head |= frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4
            payload = bytes(frame.data)
        elif self.deflate is not None and compress:
            payload = self.deflate.compress(payload, fin)
            if opcode:
                head |= _RSV1
        self.send_frame(head, payload)

    def shared_frame(self, prepared: PreparedMessage) -> bytes | None:
        """
        Return the frame that sends a prepared message here, if one can be shared.

        The caller writes it in the order of frames. A client masks each frame
        with its own key and an extension may have its own ideas: they get
        :obj:`None` and send the message by themselves.
        """
        if self.is_client or self.extensions is not None:
            return None
        deflate = self.deflate
        if deflate is None or len(prepared.payload) < self.compression_threshold:
            return prepared.plain_frame()
        # The peer's window now ends with this message, which our compressor
        # has not seen: it starts afresh (RFC 7692, 7.2.3).
        deflate.reset_compressor()
        return prepared.compressed_frame(
            deflate.local_max_window_bits, deflate.compress_settings
        )
