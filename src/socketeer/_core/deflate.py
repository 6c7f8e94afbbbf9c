"""
The payload transformation of permessage-deflate (RFC 7692, section 7.2).

The payloads of one message's frames, joined, are a DEFLATE stream which
ends at a byte boundary with an empty stored block; the last four bytes of
that block, ``00 00 ff ff``, are not transmitted. With context takeover the
next message continues the same stream.

Knows payloads only. Frames, RSV1 and negotiation are the callers' concern;
so is the order: whatever :meth:`Deflate.compress` returns must reach the peer,
whole and in order, or all that follows it is garbage.
"""

from __future__ import annotations

import os
import sys

from ..exceptions import PayloadTooBig, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import zlib
    from typing import Any, Self
    from zlib import _Compress, _Decompress
else:
    # zlib-ng has the same interface and the same format. It is faster, unless many
    # compressors compete for the processor's cache: so there is a choice.
    _wanted = os.environ.get("SOCKETEER_ZLIB", "")
    if _wanted not in ("", "zlib", "zlib-ng"):
        raise ImportError(f"SOCKETEER_ZLIB={_wanted}: expected zlib or zlib-ng")
    try:
        if _wanted == "zlib":
            import zlib
        else:
            from zlib_ng import zlib_ng as zlib
    except ImportError as exc:
        if _wanted:
            raise ImportError(f"SOCKETEER_ZLIB={_wanted}: {exc}") from exc
        import zlib

__all__ = ["Deflate", "compress_once"]

# End of an empty stored block, as left by a sync flush. "Remove 4 octets
# (that are 0x00 0x00 0xff 0xff) from the tail end" (RFC 7692, 7.2.1);
# "append 4 octets of 0x00 0x00 0xff 0xff" (7.2.2).
_TAIL = b"\x00\x00\xff\xff"

# A message without content is an empty stored block (RFC 7692, 7.2.3.6).
# Written out because zlib flushes nothing when nothing came in.
_EMPTY_MESSAGE = b"\x00"
_EMPTY_FRAGMENT = _EMPTY_MESSAGE + _TAIL

# zlib refuses to deflate raw streams with a window of 256 bytes; and older
# releases, told to use 8 bits, used 9. Inflating with more than agreed is
# always allowed.
_MIN_WINDOW_BITS = 9
_MAX_WINDOW_BITS = 15

# What follows a final block comes back from zlib as a copy. Two bytes are
# enough for a final block, so a hostile payload consists of them: small
# pieces keep that from copying the payload once for each block, and the
# number of blocks in a payload is limited. Honest peers use one.
_PIECE_SIZE = 1024
_MAX_FINAL_BLOCKS = 256


def compress_once(
    data: bytes,
    window_bits: int,
    compress_settings: dict[str, Any] | None,
) -> bytes:
    """
    Compress a whole message with a compressor of its own.

    Any peer whose window has at least that size can decompress the result,
    whatever came before it. A :class:`Deflate` that shares the connection must
    then forget its context: see :meth:`Deflate.reset_compressor`.

    Args:
        data: Payload of the message.
        window_bits: Base-2 logarithm of the window size, 9 to 15.
        compress_settings: Further arguments of ``zlib.compressobj()``.
    """
    if not data:
        return _EMPTY_MESSAGE
    compressor = zlib.compressobj(wbits=-window_bits, **(compress_settings or {}))
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


class Parameters:
    """
    What two endpoints agreed on. It never changes, so connections can share it.

    Args:
        remote_no_context_takeover: The peer's messages are independent.
        local_no_context_takeover: Our messages must be independent.
        remote_max_window_bits: Window of the peer's compressor, 8 to 15.
        local_max_window_bits: Window of our compressor, 9 to 15.
        compress_settings: Further arguments of ``zlib.compressobj()``.

    Raises:
        ValueError: Window bits out of range.
    """

    __slots__ = (
        "compress_settings",
        "local_max_window_bits",
        "local_no_context_takeover",
        "remote_max_window_bits",
        "remote_no_context_takeover",
    )

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: dict[str, Any] | None,
    ) -> None:
        if not 8 <= remote_max_window_bits <= _MAX_WINDOW_BITS:
            raise ValueError("remote_max_window_bits must be between 8 and 15")
        if not _MIN_WINDOW_BITS <= local_max_window_bits <= _MAX_WINDOW_BITS:
            raise ValueError("local_max_window_bits must be between 9 and 15")
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.compress_settings: dict[str, Any] = dict(compress_settings or {})


class Deflate:
    """
    Both directions of permessage-deflate on one connection.

    Contexts are made at first use: a connection that never sends or never
    receives compressed messages does not pay for their memory.

    Args:
        remote_no_context_takeover: The peer's messages are independent.
        local_no_context_takeover: Our messages must be independent.
        remote_max_window_bits: Window of the peer's compressor, 8 to 15.
        local_max_window_bits: Window of our compressor, 9 to 15.
        compress_settings: Further arguments of ``zlib.compressobj()``.

    Raises:
        ValueError: Window bits out of range.
    """

    __slots__ = ("_compressor", "_decompressor", "_parameters")

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: dict[str, Any] | None,
    ) -> None:
        parameters = Parameters(
            remote_no_context_takeover,
            local_no_context_takeover,
            remote_max_window_bits,
            local_max_window_bits,
            compress_settings,
        )
        self._begin(parameters)

    def _begin(self, parameters: Parameters) -> None:
        """
        Begin without any context.
        """
        self._parameters = parameters
        self._compressor: _Compress | None = None
        self._decompressor: _Decompress | None = None

    def for_another(self) -> Self:
        """
        Return one for another connection, whose endpoints agreed on the same.
        """
        other = self.__class__.__new__(self.__class__)
        other._begin(self._parameters)
        return other

    # What was agreed on

    @property
    def remote_no_context_takeover(self) -> bool:
        """Whether the peer's messages are independent."""
        return self._parameters.remote_no_context_takeover

    @property
    def local_no_context_takeover(self) -> bool:
        """Whether our messages must be independent."""
        return self._parameters.local_no_context_takeover

    @property
    def remote_max_window_bits(self) -> int:
        """Window of the peer's compressor, 8 to 15."""
        return self._parameters.remote_max_window_bits

    @property
    def local_max_window_bits(self) -> int:
        """Window of our compressor, 9 to 15."""
        return self._parameters.local_max_window_bits

    @property
    def compress_settings(self) -> dict[str, Any]:
        """Further arguments of ``zlib.compressobj()``; not to be changed."""
        return self._parameters.compress_settings

    # Sending

    def compress(self, data: bytes, fin: bool) -> bytes:
        """
        Compress the payload of one frame of a message.

        Every payload is flushed: the peer can decompress it without
        waiting for the next one.

        Args:
            data: Payload of the frame, perhaps empty.
            fin: Whether this frame ends the message.
        """
        if not data:
            payload = _EMPTY_MESSAGE if fin else _EMPTY_FRAGMENT
        else:
            if self._compressor is None:
                parameters = self._parameters
                self._compressor = zlib.compressobj(
                    wbits=-parameters.local_max_window_bits,
                    **parameters.compress_settings,
                )
            payload = self._compressor.compress(data)
            flushed = self._compressor.flush(zlib.Z_SYNC_FLUSH)
            payload += flushed[:-4] if fin else flushed
        if fin and self._parameters.local_no_context_takeover:
            self._compressor = None
        return payload

    def reset_compressor(self) -> None:
        """
        Forget what was sent: the next message refers to nothing before it.

        Must be called, between two messages, after the peer was sent a
        message which was compressed elsewhere. Its window contains that
        message and ours does not, so distances would no longer agree.
        """
        self._compressor = None

    # Receiving

    def decompress(self, data: bytes, fin: bool, max_length: int) -> bytes:
        """
        Decompress the payload of one frame of a message.

        After an error no further message can be decompressed.

        Args:
            data: Payload of the frame, perhaps empty.
            fin: Whether this frame ends the message.
            max_length: Largest result accepted, in bytes; -1 for any.

        Raises:
            PayloadTooBig: The result would be longer than ``max_length``.
            ProtocolError: The payload is not a DEFLATE stream.
        """
        if self._decompressor is None:
            self._decompressor = self._new_decompressor()
        if fin:
            data = data + _TAIL
        # One byte more than allowed tells "exactly full" from "too big";
        # zero is zlib's word for unlimited.
        limit = max_length + 1 if 0 <= max_length < sys.maxsize else 0
        try:
            output = self._decompressor.decompress(data, limit)
            if self._decompressor.eof:
                output = self._decompress_rest(output, fin, limit)
        except zlib.error as exc:
            raise ProtocolError("decompression failed") from exc
        if limit and len(output) == limit:
            raise PayloadTooBig(None, max_length)
        if fin and self._parameters.remote_no_context_takeover:
            self._decompressor = None
        return output

    def _new_decompressor(self) -> _Decompress:
        return zlib.decompressobj(
            wbits=-max(self.remote_max_window_bits, _MIN_WINDOW_BITS)
        )

    def _decompress_rest(self, output: bytes, fin: bool, limit: int) -> bytes:
        """
        Decompress what follows a block with BFINAL set, in the same payload.

        "An endpoint MAY use both BFINAL 0 and 1" (RFC 7692, 7.2.1), but to
        zlib such a block ends the stream. A new stream continues behind
        it, with an empty window: compressors which finish a stream forget
        its window as well.
        """
        assert self._decompressor is not None
        outputs = [output]
        size = len(output)
        rest = memoryview(self._decompressor.unused_data)
        self._decompressor = None
        final_blocks = 1
        # A peer which forgot the empty block that must follow (7.2.3.4) is
        # understood: only the tail, which we have appended, is left.
        while rest and not (fin and rest == _TAIL) and not (limit and size == limit):
            if self._decompressor is None:
                if final_blocks > _MAX_FINAL_BLOCKS:
                    raise ProtocolError("decompression failed")
                self._decompressor = self._new_decompressor()
            piece = rest[:_PIECE_SIZE]
            output = self._decompressor.decompress(piece, limit - size if limit else 0)
            outputs.append(output)
            size += len(output)
            rest = rest[len(piece) - len(self._decompressor.unused_data) :]
            if self._decompressor.eof:
                self._decompressor = None
                final_blocks += 1
        return b"".join(outputs)
