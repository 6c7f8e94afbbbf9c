"""
Messages as users give and get them, in whatever room: for many connections, in
control frames, by fragments.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from ._implementation import load

if TYPE_CHECKING:
    from ._core.fragment import Fragment
    from ._core.prepared import PreparedMessage
    from .typing import BytesLike, Data
else:
    PreparedMessage = load("prepared").PreparedMessage

__all__ = [
    "Failures",
    "FragmentDecoder",
    "PreparedMessage",
    "check_overflow",
    "control_payload",
    "prepare",
]

_TEXT = 1

_incremental_decoder = codecs.getincrementaldecoder("utf-8")


def prepare(message: Data | BytesLike, *, text: bool | None = None) -> PreparedMessage:
    """
    Prepare a message that is sent to many connections.

    It is framed once and compressed once for each size of window in use;
    all connections share the result.

    Args:
        message: The message: :class:`str` for text, bytes-like for binary.
        text: :obj:`True` sends bytes in a text frame, :obj:`False` sends a string
            in a binary frame.

    Raises:
        TypeError: The message is neither :class:`str` nor bytes-like.
    """
    if isinstance(message, str):
        payload = message.encode()
        text = True if text is None else text
    elif isinstance(message, bytes | bytearray | memoryview):
        payload = bytes(message)
        text = bool(text)
    else:
        raise TypeError("data must be str or bytes")
    return PreparedMessage(1 if text else 2, payload)


def check_overflow(on_overflow: str) -> None:
    """
    Check what is to happen to a slow peer.

    Raises:
        ValueError: It is not known.
    """
    if on_overflow not in ("close", "drop", "latest"):
        raise ValueError(
            f"on_overflow must be 'close', 'drop' or 'latest', not {on_overflow!r}"
        )


class Failures:
    """
    What became of a message to many connections, where it did not go well.

    Args:
        raise_exceptions: Whether to raise failures in the end; otherwise they are
            logged as warnings.
    """

    def __init__(self, raise_exceptions: bool) -> None:
        self._raises = raise_exceptions
        self._failures: list[Exception] = []

    def add(self, logger: Any, exc: Exception) -> None:
        """
        Take note of a failure.

        Args:
            logger: The logger of the connection.
            exc: Why it failed.
        """
        if self._raises:
            failure = RuntimeError("failed to write message")
            failure.__cause__ = exc
            self._failures.append(failure)
        else:
            logger.warning("skipped broadcast: failed to write message: %s", exc)

    def check(self) -> None:
        """
        Raise what is to be raised.

        Raises:
            ExceptionGroup: There were failures.
        """
        if self._failures:
            raise ExceptionGroup("skipped broadcast", self._failures)


def control_payload(data: Data | BytesLike) -> bytes:
    """
    Return the payload of a control frame.

    Raises:
        TypeError: The data is neither text nor bytes.
    """
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError("data must be str or bytes-like")


class FragmentDecoder:
    """
    Makes of the fragments of a message what the user wants.

    Args:
        decode: What that is: text, bytes, or :obj:`None` for text as text.

    Attributes:
        has_begun: Whether there was a fragment.
        is_over: Whether there was the last one.
    """

    def __init__(self, decode: bool | None) -> None:
        self._decode = decode
        self._decoder: codecs.IncrementalDecoder | None = None
        self.has_begun = False
        self.is_over = False

    def take(self, fragment: Fragment) -> Data:
        """
        Return what the user gets for a fragment.

        Raises:
            UnicodeDecodeError: It is not UTF-8.
        """
        if not self.has_begun:
            self.has_begun = True
            if self._decode is True or (
                self._decode is None and fragment.opcode == _TEXT
            ):
                self._decoder = _incremental_decoder()
        self.is_over = fragment.fin
        if self._decoder is None:
            return fragment.payload
        return self._decoder.decode(fragment.payload, fragment.fin)
