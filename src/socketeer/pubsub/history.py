"""
A log: the last messages of a topic, without a gap.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

__all__ = ["Entry", "Log", "Retention"]

Item = TypeVar("Item")


class Retention(NamedTuple):
    """
    How much of a topic is kept.

    Attributes:
        messages: Most messages.
        size: Most bytes of payload. The newest message is kept in any case.
        age: Seconds after which a message is forgotten.
    """

    messages: int
    size: int
    age: float


class Entry(NamedTuple, Generic[Item]):
    """
    A message in a log.

    Attributes:
        item: The message.
        size: Bytes of its payload.
        at: When it was put there, in seconds of the log's clock.
    """

    item: Item
    size: int
    at: float


class Log(Generic[Item]):
    """
    The last messages of a topic, by offset, which are contiguous.

    Args:
        retention: What is kept.
        top: Offset of the last message before this log.

    Attributes:
        top: Offset of the newest message.
        size: Bytes of payload.
    """

    __slots__ = ("_entries", "_first", "_retention", "size", "top")

    def __init__(self, retention: Retention, top: int = 0) -> None:
        self._retention = retention
        self._entries: dict[int, Entry[Item]] = {}
        self._first = top + 1
        self.top = top
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, item: Item, size: int, now: float) -> int:
        """
        Add a message; return its offset.
        """
        self.top += 1
        self._entries[self.top] = Entry(item, size, now)
        self.size += size
        self.trim(now)
        return self.top

    def prepend(self, items: list[tuple[Item, int]], now: float) -> None:
        """
        Add messages that directly precede the oldest one, as far as there is room.
        """
        for item, size in reversed(items):
            if (
                len(self._entries) >= self._retention.messages
                or self.size + size > self._retention.size
            ):
                return
            self._first -= 1
            self._entries[self._first] = Entry(item, size, now)
            self.size += size

    def trim(self, now: float) -> None:
        """
        Forget what is too much or too old.
        """
        messages, size, age = self._retention
        entries = self._entries
        while entries:
            oldest = entries[self._first]
            too_much = len(entries) > messages or self.size > size
            if not (too_much and len(entries) > 1) and oldest.at > now - age:
                return
            del entries[self._first]
            self._first += 1
            self.size -= oldest.size

    @property
    def oldest(self) -> int:
        """
        Offset of the oldest message; ``top + 1`` if there is none.
        """
        return self._first

    def has_all_after(self, offset: int) -> bool:
        """
        Tell whether every message after an offset is still here.
        """
        return self._first - 1 <= offset <= self.top

    def get(self, offset: int) -> Item | None:
        """
        Return the message with an offset, if it is still here.
        """
        entry = self._entries.get(offset)
        return None if entry is None else entry.item

    def after(self, offset: int) -> list[Item]:
        """
        Return the messages after an offset, oldest first.
        """
        begin = max(offset + 1, self._first)
        return [self._entries[n].item for n in range(begin, self.top + 1)]
