"""
Turns bytes into decisions: what a target does is in its input.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Sequence

__all__ = ["Reader", "split"]

_Item = typing.TypeVar("_Item")


class Reader:
    """
    Bytes to decide by. When they are used up, every decision is the first choice.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, size: int) -> bytes:
        """
        Take at most ``size`` bytes.
        """
        taken = self._data[self._position : self._position + size]
        self._position += len(taken)
        return taken

    def rest(self) -> bytes:
        """
        Take all bytes that are left.
        """
        return self.take(len(self._data))

    def byte(self) -> int:
        """
        Take a number from 0 to 255.
        """
        return self.take(1)[0] if self else 0

    def flag(self) -> bool:
        """
        Decide between false and true.
        """
        return self.byte() & 1 == 1

    def choose(self, items: Sequence[_Item]) -> _Item:
        """
        Decide for one of at most 256 items.
        """
        return items[self.byte() % len(items)]

    def payload(self) -> bytes:
        """
        Take a string of bytes with its length before it.

        Lengths above 250 stand for longer ones, made of few bytes, so that small
        inputs reach the limits of length fields.
        """
        size = self.byte()
        if size <= 250:
            return self.take(size)
        longer = (125, 126, 127, 301, 65_536)[size - 251]
        pattern = self.take(3) or b"\0"
        return (pattern * (longer // len(pattern) + 1))[:longer]


def split(data: bytes, places: bytes) -> list[bytes]:
    """
    Divide data behind as many bytes as each of ``places`` says.
    """
    cuts = [min(cut, len(data)) for cut in itertools.accumulate(places)]
    return [data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)])]
