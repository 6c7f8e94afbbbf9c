"""
Reading from a stream without knowing where its bytes come from.

Readers are generators: they yield when they need more bytes, and their
caller runs them again after :meth:`StreamReader.feed_data` or
:meth:`StreamReader.feed_eof`. What isn't used stays in the buffer.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from collections.abc import Generator

    from .typing import BytesLike

__all__ = ["StreamReader"]


class StreamReader:
    """
    A buffer that bytes are fed into and read from.

    Attributes:
        buffer: Bytes that were fed and not yet read.
        eof: Whether the end of the stream was fed.
    """

    __slots__ = ("buffer", "eof")

    def __init__(self) -> None:
        self.buffer: bytearray = bytearray()
        self.eof: bool = False

    def read_line(
        self,
        max_size: int,
        too_long_exc_type: type[Exception] = RuntimeError,
    ) -> Generator[None, None, bytearray]:
        r"""
        Read up to and including the next ``b"\n"``.

        Args:
            max_size: Largest length of the line, in bytes.
            too_long_exc_type: Class of the exception for a longer line.

        Raises:
            EOFError: The stream ends before the line does.
            RuntimeError: The line is too long. Nothing was consumed.
        """
        searched = 0
        while True:
            end = self.buffer.find(b"\n", searched) + 1
            size = end or len(self.buffer)
            if size > max_size:
                raise too_long_exc_type(
                    f"read {size} bytes, expected no more than {max_size} bytes"
                )
            if end:
                return self._take(end)
            if self.eof:
                raise EOFError(f"stream ends after {size} bytes, before end of line")
            searched = size
            yield

    def read_exact(self, size: int) -> Generator[None, None, bytearray]:
        """
        Read a number of bytes.

        Raises:
            EOFError: The stream ends before. Nothing was consumed.
        """
        while len(self.buffer) < size:
            if self.eof:
                raise EOFError(
                    f"stream ends after {len(self.buffer)} bytes, expected {size} bytes"
                )
            yield
        return self._take(size)

    def read_to_eof(
        self,
        max_size: int,
        too_long_exc_type: type[Exception] = RuntimeError,
    ) -> Generator[None, None, bytearray]:
        """
        Read everything until the stream ends.

        Args:
            max_size: Largest number of bytes.
            too_long_exc_type: Class of the exception for more.

        Raises:
            RuntimeError: There is more. Nothing was consumed.
        """
        while True:
            size = len(self.buffer)
            if size > max_size:
                raise too_long_exc_type(
                    f"read {size} bytes, expected no more than {max_size} bytes"
                )
            if self.eof:
                return self._take(size)
            yield

    def at_eof(self) -> Generator[None, None, bool]:
        """Tell whether the stream has ended; wait if it isn't known yet."""
        while not self.buffer:
            if self.eof:
                return True
            yield
        return False

    def feed_data(self, data: BytesLike) -> None:
        """
        Append bytes to the stream.

        Raises:
            EOFError: The end of the stream was fed before.
        """
        if self.eof:
            raise EOFError("stream ended")
        self.buffer += data

    def feed_eof(self) -> None:
        """
        End the stream.

        Raises:
            EOFError: That was done before.
        """
        if self.eof:
            raise EOFError("stream ended")
        self.eof = True

    def discard(self) -> None:
        """Throw away what was fed and not yet read."""
        self.buffer.clear()

    def _take(self, size: int) -> bytearray:
        taken = self.buffer[:size]
        del self.buffer[:size]
        return taken
