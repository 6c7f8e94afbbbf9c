"""
Many durations in little memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

__all__ = ["Histogram"]

# Buckets for each power of two: a value is known to less than 1.1 %.
_DETAIL = 64

# Seconds; shorter and longer durations count as these.
_SHORTEST = 2.0**-20
_LONGEST = 2.0**8


class Histogram:
    """
    Counts durations in buckets whose width grows with them.

    Attributes:
        count: How many there are.
        total: Their sum, in seconds.
        smallest: The shortest.
        largest: The longest.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.smallest = math.inf
        self.largest = 0.0
        size = round(math.log2(_LONGEST / _SHORTEST)) * _DETAIL + 1
        self._buckets = [0] * size

    def add(self, seconds: float) -> None:
        """
        Count a duration.
        """
        self.count += 1
        self.total += seconds
        self.smallest = min(self.smallest, seconds)
        self.largest = max(self.largest, seconds)
        inside = min(max(seconds, _SHORTEST), _LONGEST)
        self._buckets[int(math.log2(inside / _SHORTEST) * _DETAIL)] += 1

    @property
    def mean(self) -> float:
        """
        The average, 0 if there is none.
        """
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """
        Return the duration that so many per cent do not exceed.
        """
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(self.count * percent / 100))
        seen = 0
        for index, number in enumerate(self._buckets):
            seen += number
            if seen >= rank:
                return min(max(_upper(index), self.smallest), self.largest)
        raise AssertionError("the buckets hold all that were counted")

    def bars(self, number: int) -> Iterator[tuple[float, float, int]]:
        """
        Return at most so many ranges of equal proportion, from the shortest
        duration to the longest, as (from, to, count).
        """
        used = [index for index, count in enumerate(self._buckets) if count]
        if not used:
            return
        first, last = used[0], used[-1]
        step = math.ceil((last - first + 1) / number)
        for start in range(first, last + 1, step):
            count = sum(self._buckets[start : start + step])
            yield _upper(start - 1), _upper(start + step - 1), count


def _upper(index: int) -> float:
    """
    Return the upper end of a bucket.
    """
    return float(_SHORTEST * 2.0 ** ((index + 1) / _DETAIL))
