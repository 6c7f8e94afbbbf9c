"""
Where in a topic's log somebody stands.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Position"]

# An epoch, and a number of up to 18 digits: any larger one was made up.
_POSITION = re.compile(r"([\w-]{1,32})\.(0|[1-9][0-9]{0,17})", re.ASCII)


class Position(NamedTuple):
    """
    The place of a message in a log.

    Attributes:
        epoch: Which log. It changes whenever messages may have been lost; numbers
            of different epochs have nothing to do with one another.
        offset: The number of the message, counted from 1; 0 is before the first.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}"

    @classmethod
    def parse(cls, text: object) -> Position | None:
        """
        Read a position that a client gave back, which may be anything that JSON says.

        Returns:
            The position, or :obj:`None` if this is none.
        """
        match = _POSITION.fullmatch(text) if isinstance(text, str) else None
        return None if match is None else cls(match[1], int(match[2]))
