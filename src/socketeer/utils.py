"""
Small things that several modules need: settings, keys, masking, encoding.

This is the only ground module that draws random numbers; what it draws
comes from the operating system's generator.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import secrets
import sys
import typing
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

if typing.TYPE_CHECKING:
    from .typing import BytesLike

__all__ = [
    "GUID",
    "FragmentEncoder",
    "accept_key",
    "apply_mask",
    "generate_key",
    "generate_mask",
    "get_socket_name",
    "setting",
]

# What both endpoints append to the key (RFC 6455, 1.3).
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_MASK_SIZE = 4  # bytes (RFC 6455, 5.3)

# From this size on, in bytes, tables mask faster than large integers.
_LARGE_SIZE = 1024

_Setting = typing.TypeVar("_Setting", int, float, str)

_EXPECTED: dict[type[object], str] = {
    int: "a whole number, 0 or more",
    float: "a number, 0 or more",
}


def setting(name: str, default: _Setting) -> _Setting:
    """
    Read a setting from the environment.

    ``SOCKETEER_<name>`` wins over ``WEBSOCKETS_<name>``.

    Args:
        name: Name of the setting without its prefix.
        default: Value if neither variable exists. Its type is the type of
            the setting.

    Raises:
        ValueError: The variable isn't of that type, or is negative.
    """
    for variable in (f"SOCKETEER_{name}", f"WEBSOCKETS_{name}"):
        text = os.environ.get(variable)
        if text is not None:
            break
    else:
        return default
    kind = type(default)
    if kind is str:
        return kind(text)
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    # Unlike "value < 0", this refuses NaN as well.
    if not value >= kind(0):
        raise ValueError(
            f"environment variable {variable} must be {_EXPECTED[kind]}; "
            f"got {text[:80]!r}"
        )
    return value


def generate_key() -> str:
    """Draw a value for a ``Sec-WebSocket-Key`` header (RFC 6455, 4.1)."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def generate_mask() -> bytes:
    """Draw a masking key (RFC 6455, 5.3)."""
    return secrets.token_bytes(_MASK_SIZE)


def accept_key(key: str) -> str:
    """Answer a ``Sec-WebSocket-Key`` (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def apply_mask(data: BytesLike, mask: bytes | bytearray) -> bytes:
    """
    Mask data, or unmask it (RFC 6455, 5.3).

    Args:
        data: What to mask; it isn't changed.
        mask: The masking key, four bytes.

    Raises:
        TypeError: The data aren't bytes-like.
        ValueError: The masking key isn't four bytes long.
    """
    if len(mask) != _MASK_SIZE:
        raise ValueError("mask must contain 4 bytes")
    size = memoryview(data).nbytes
    if size >= _LARGE_SIZE:
        return _mask_large(bytearray(data), mask)
    # One exclusive-or of two large integers, because a loop over bytes is
    # some fifty times slower. The byte order only has to be the same for both.
    repeated = mask * (size // _MASK_SIZE) + mask[: size % _MASK_SIZE]
    order = sys.byteorder
    masked = int.from_bytes(data, order) ^ int.from_bytes(repeated, order)
    return masked.to_bytes(size, order)


def _mask_large(data: bytearray, mask: bytes | bytearray) -> bytes:
    """
    Mask data by tables, one for each byte of the key.
    """
    masked = bytearray(len(data))
    for index, byte in enumerate(mask):
        masked[index::_MASK_SIZE] = data[index::_MASK_SIZE].translate(_table(byte))
    return bytes(masked)


@functools.cache
def _table(byte: int) -> bytes:
    """
    Return what each byte becomes under the exclusive-or with one; 256 bytes.
    """
    return bytes(other ^ byte for other in range(256))


class _Named(typing.Protocol):
    """What :func:`get_socket_name` needs of a socket."""

    def getsockname(self) -> typing.Any:
        """Give the address in the form of its family."""


def get_socket_name(sock: _Named) -> str:
    """Write the address of a socket as a person would."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # A path; an abstract Unix socket has bytes.
    return os.fsdecode(name)


class FragmentEncoder:
    """
    Makes fragments of the items of an iterable, which are all text or all binary.

    Args:
        message: What the user wants to send, if not a string or bytes.
        text: Whether to send text frames; :obj:`None` leaves it to the items.
        may_wait: Whether the iterable may be an asynchronous one.

    Raises:
        TypeError: The message is no iterable, or a mapping.
    """

    def __init__(
        self, message: typing.Any, text: object = None, *, may_wait: bool = True
    ) -> None:
        self._message = message
        self._text = text
        self._encode: typing.Callable[[typing.Any], bytes] | None = None
        self._kind = "iterable"
        if isinstance(message, Mapping):
            raise TypeError("data is a dict-like object")
        if isinstance(message, Iterable):
            return
        if not may_wait:
            raise TypeError("data must be str, bytes, or iterable")
        if not isinstance(message, AsyncIterable):
            raise TypeError("data must be str, bytes, iterable, or async iterable")
        self._kind = "async iterable"

    def items(self) -> AsyncIterator[object]:
        """
        Iterate over the message, asynchronously in any case.
        """
        if self._kind == "iterable":
            return _iterate(self._message)
        return aiter(self._message)

    def begin(self, item: object) -> int:
        """
        Take in what the first item is; return the opcode of its frame.

        Raises:
            TypeError: It is neither a string nor bytes-like.
        """
        self._encode = _encoder(item)
        if self._encode is None:
            raise TypeError(f"{self._kind} must contain bytes or str")
        text = self._encode is str.encode if self._text is None else self._text
        return 1 if text else 2

    def encode(self, item: typing.Any) -> bytes:
        """
        Return the payload of an item's frame.

        Raises:
            TypeError: It is not of the kind of the first one.
            UnicodeEncodeError: It has a lone surrogate.
        """
        encode = self._encode
        if encode is None or _encoder(item) is not encode:
            raise TypeError(f"{self._kind} must contain uniform types")
        return encode(item)


def _encoder(item: object) -> typing.Callable[[typing.Any], bytes] | None:
    """
    Return what makes bytes of an item, :obj:`None` if nothing does.
    """
    if isinstance(item, str):
        return str.encode
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes
    return None


async def _iterate(items: Iterable[object]) -> AsyncIterator[object]:
    """
    Iterate asynchronously over something that is not asynchronous.
    """
    for item in items:
        yield item
