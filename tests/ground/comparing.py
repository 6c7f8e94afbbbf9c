"""What the tests of the ground share: running generators, comparing outcomes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from socketeer.streams import StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

PRODUCTS = re.compile("websockets|socketeer")

# Where websockets gives a bytearray, we give bytes; they are equal.
BYTE_ARRAY = re.compile(r"""bytearray\((b'[^']*'|b"[^"]*")\)""")


def run(generator: Generator[None, None, Any]) -> Any:
    """Run a generator whose input is complete, and give its result."""
    try:
        next(generator)
    except StopIteration as result:
        return result.value
    raise AssertionError("the generator waits for more input")


def reader(data: bytes, *, eof: bool = True, cls: type[Any] = StreamReader) -> Any:
    """Make a stream reader with data, and by default with their end."""
    stream = cls()
    stream.feed_data(data)
    if eof:
        stream.feed_eof()
    return stream


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """
    Tell what a call does, so that calls of two libraries can be compared.

    Values by their representation without the name of the library; errors
    by class and text, those of Python itself by class alone.
    """
    try:
        value = function(*args, **kwargs)
    except Exception as exc:  # noqa: BLE001 - whatever it is, is the outcome
        if PRODUCTS.match(type(exc).__module__):
            return "raises", type(exc).__name__, str(exc)
        return "raises", type(exc).__name__
    return "returns", BYTE_ARRAY.sub(r"\1", PRODUCTS.sub("", repr(value)))


def exception_chain(exc: BaseException | None) -> Iterable[BaseException]:
    """Give an exception and its causes."""
    while exc is not None:
        yield exc
        exc = exc.__cause__
