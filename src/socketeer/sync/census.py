"""
Counting connections, by whatever thread.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .. import limits

if TYPE_CHECKING:
    from ..limits import Limits

__all__ = ["Census"]


class Census(limits.Census):
    """
    A census that several threads may use; see :class:`socketeer.limits.Census`.

    Its lock is held for moments, and no other one is taken meanwhile.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        # A signal handler may interrupt a thread here and ask for statistics.
        self._lock = threading.RLock()

    def count(self, event: str) -> None:  # noqa: D102 - inherited, as the others
        with self._lock:
            super().count(event)

    def arrive(self) -> None:  # noqa: D102
        with self._lock:
            super().arrive()

    def turn_away(self) -> None:  # noqa: D102
        with self._lock:
            super().turn_away()

    def admit(self, key: str) -> str:  # noqa: D102
        with self._lock:
            return super().admit(key)

    def open(self) -> None:  # noqa: D102
        with self._lock:
            super().open()

    def leave(self, key: str | None, code: int | None) -> None:  # noqa: D102
        with self._lock:
            super().leave(key, code)

    def statistics(self) -> dict[str, int]:  # noqa: D102
        with self._lock:
            return super().statistics()
