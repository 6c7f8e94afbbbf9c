"""
When something is due, for many things, without a clock.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Any, Generic, TypeVar

__all__ = ["NEVER", "Timetable"]

NEVER = float("inf")

T = TypeVar("T")


class Timetable(Generic[T]):
    """
    Knows what is due first. Of each thing, it knows the earliest time only.
    """

    def __init__(self) -> None:
        # Time, a number that decides between equal ones, and the thing; None in
        # place of one that was dropped.
        self._heap: list[list[Any]] = []
        self._entries: dict[T, list[Any]] = {}
        self._number = itertools.count()

    def add(self, thing: T, at: float) -> None:
        """
        Take in when something is due, unless it is due sooner.
        """
        entry = self._entries.get(thing)
        if at == NEVER or (entry is not None and entry[0] <= at):
            return
        self.drop(thing)
        entry = self._entries[thing] = [at, next(self._number), thing]
        heapq.heappush(self._heap, entry)

    def drop(self, thing: T) -> None:
        """
        Take in that something is not due any more.
        """
        entry = self._entries.pop(thing, None)
        if entry is not None:
            entry[2] = None

    def next_at(self) -> float:
        """
        Return when the first thing is due.
        """
        heap = self._heap
        while heap and heap[0][2] is None:
            heapq.heappop(heap)
        return float(heap[0][0]) if heap else NEVER

    def take_due(self, now: float) -> T | None:
        """
        Take the first thing that is due by now; :obj:`None` if there is none.
        """
        if self.next_at() > now:
            return None
        thing: T = heapq.heappop(self._heap)[2]
        del self._entries[thing]
        return thing
