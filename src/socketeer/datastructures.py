"""HTTP headers as a mapping."""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from .exceptions import InvalidHeaderValue

__all__ = ["Headers", "HeadersLike", "MultipleValuesError"]

# "field-content" of RFC 9110, 5.5, with spaces allowed at both ends. What
# is forbidden could end the header early and begin another one.
_is_valid_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
FIELD_BYTES = bytes(byte for byte in range(256) if _is_valid_value(chr(byte)))

# Names and values that many handshakes have. Packed, each is one character, of
# those that no valid header has; a line feed is not among them.
_FREQUENT = (
    "Host",
    "Connection",
    "Upgrade",
    "websocket",
    "Origin",
    "User-Agent",
    "Pragma",
    "Cache-Control",
    "no-cache",
    "Accept-Encoding",
    "gzip, deflate, br, zstd",
    "Accept-Language",
    "Cookie",
    "Authorization",
    "Sec-WebSocket-Version",
    "13",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Extensions",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Accept",
    "Date",
    "Server",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
)
_CODES: dict[str, str] = dict(
    zip(
        _FREQUENT,
        (chr(code) for code in range(1, 32) if chr(code) not in "\t\n\r"),
        strict=False,
    )
)
_WORDS: dict[str, str] = {code: word for word, code in _CODES.items()}
# Called with a word twice: its code, or itself.
_code = _CODES.get


def _are_valid(values: list[str]) -> bool:
    """Tell whether values could all stand in headers; quickly, if they are long."""
    try:
        encoded = "".join(values).encode("iso-8859-1")
    except UnicodeEncodeError:
        return False
    return not encoded.translate(None, FIELD_BYTES)


class MultipleValuesError(LookupError):
    """A header that should have one value has several."""

    def __str__(self) -> str:
        # As KeyError does: the name alone, in quotes.
        if len(self.args) == 1:
            return repr(self.args[0])
        return super().__str__()


class Headers(MutableMapping[str, str]):
    """
    HTTP headers: names are case-insensitive and may occur several times.

    This is a mapping of names to values, with these differences:

    * ``headers[name] = value`` **adds** a header; others of the same name
      stay. To replace it, delete it first.
    * ``headers[name]`` raises :exc:`MultipleValuesError` if there are
      several; :meth:`get_all` gives them all.
    * Iteration gives every name once, in lower case, in the order of the
      first occurrence. :meth:`raw_items` gives everything as it stands.

    Args:
        args: Headers to start with: :class:`Headers`, a mapping, or pairs.
        kwargs: Further headers.

    Raises:
        InvalidHeaderValue: A value contains control characters or
            characters that ISO-8859-1 cannot encode. Every method that
            adds headers can raise it, except :meth:`set_insecure`.
    """

    __slots__ = ("_index", "_items", "_packed")

    # _items has names and values in order; _index has the values by
    # lower-case name. Both always say the same. While there is nothing but
    # _packed, they are missing and come back when they are asked for.

    def __init__(self, *args: HeadersLike, **kwargs: str) -> None:
        self._items: list[tuple[str, str]] = []
        self._index: dict[str, list[str]] = {}
        if args or kwargs:
            self.update(*args, **kwargs)

    @classmethod
    def _from_valid_items(cls, items: list[tuple[str, str]]) -> Headers:
        """Make headers of items which a parser has validated already."""
        headers = cls.__new__(cls)
        headers._items = items  # noqa: SLF001 - an instance of this class
        index = {name.lower(): [value] for name, value in items}
        if len(index) < len(items):
            # Some names occur several times.
            index = {key: [] for key in index}
            for name, value in items:
                index[name.lower()].append(value)
        headers._index = index  # noqa: SLF001
        return headers

    # Memory

    def pack(self) -> str | None:
        """
        Take up little memory until the next use, which undoes it.

        For those who keep headers for long and hardly ever read them.

        Returns:
            What they were packed into; :obj:`None` if nothing was done, because
            a value is not valid.
        """
        words = list(itertools.chain.from_iterable(self._items))
        if not _are_valid(words):
            return None
        packed = "\n".join(map(_code, words, words))
        self._packed = packed
        del self._items, self._index
        return packed

    @classmethod
    def _from_packed(cls, packed: str) -> Headers:
        """Make headers of what :meth:`pack` has returned; they are packed."""
        headers = cls.__new__(cls)
        headers._packed = packed  # noqa: SLF001 - an instance of this class
        return headers

    if not typing.TYPE_CHECKING:

        def __getattr__(self, name: str) -> typing.Any:
            # Not called for a slot that is filled.
            if name not in {"_items", "_index"}:
                raise AttributeError(name)
            codes = self._packed.split("\n") if self._packed else []
            words = [_WORDS.get(code, code) for code in codes]
            unpacked = self._from_valid_items(
                list(zip(words[::2], words[1::2], strict=True))
            )
            del self._packed
            self._items = unpacked._items  # noqa: SLF001 - an instance of this class
            self._index = unpacked._index  # noqa: SLF001
            return getattr(self, name)

    # Text

    def __str__(self) -> str:
        """Give the headers as HTTP/1.1 writes them, with the empty line."""
        return "".join([f"{name}: {value}\r\n" for name, value in self._items]) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def serialize(self) -> bytes:
        """Give the headers as bytes, with the empty line at the end."""
        # "Historically, HTTP allowed field content with text in the
        # ISO-8859-1 charset" (RFC 9110, 5.5).
        return str(self).encode("iso-8859-1")

    # Collection

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    # Mapping

    def __getitem__(self, key: str) -> str:
        values = self._index[key.lower()]
        if len(values) > 1:
            raise MultipleValuesError(key)
        return values[0]

    def __setitem__(self, key: str, value: str) -> None:
        if not _is_valid_value(str(value)):
            raise InvalidHeaderValue(key, value)
        self.set_insecure(key, value)

    def __delitem__(self, key: str) -> None:
        lowered = key.lower()
        del self._index[lowered]
        self._items = [item for item in self._items if item[0].lower() != lowered]

    def __eq__(self, other: object) -> bool:
        """Compare names without case, and the values of each in order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return self._index == other._index

    __hash__ = None  # type: ignore[assignment]

    def clear(self) -> None:
        """Remove all headers."""
        self._items = []
        self._index = {}

    def copy(self) -> typing.Self:
        """Make independent headers with the same content."""
        copied = type(self)()
        copied._items = self._items.copy()  # noqa: SLF001 - an instance of this class
        copied._index = {  # noqa: SLF001
            key: values.copy() for key, values in self._index.items()
        }
        return copied

    def update(self, *args: HeadersLike, **kwargs: str) -> None:
        """Add headers; those of the same name stay."""
        if args and isinstance(args[0], Headers):
            # As a mapping, it would have no repeated headers. A copy, for it
            # may be ourselves.
            args = (list(args[0].raw_items()), *args[1:])
        super().update(*args, **kwargs)

    # Multiple values

    def get_all(self, key: str) -> list[str]:
        """Give the values of a header, in order; an empty list if absent."""
        return self._index.get(key.lower(), []).copy()

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Give names and values as they stand, in order."""
        return iter(self._items)

    def set_insecure(self, key: str, value: str) -> None:
        """
        Add a header without a look at its value.

        Only for values that are known to be valid: a line break in it
        becomes a header of its own.
        """
        self._items.append((key, value))
        self._index.setdefault(key.lower(), []).append(value)


class SupportsKeysAndGetItem(typing.Protocol):
    """What makes a mapping for ``dict()`` and for :class:`Headers`."""

    def keys(self) -> Iterable[str]:
        """Give the names of all headers."""
        ...

    def __getitem__(self, name: str, /) -> str:
        """Give the value of one header."""
        ...


HeadersLike = (
    Headers | Mapping[str, str] | Iterable[tuple[str, str]] | SupportsKeysAndGetItem
)
"""What :class:`Headers` can be made of."""
