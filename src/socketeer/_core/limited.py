"""
Sessions that watch how much the peer sends: too much of it, or nothing at all.

What is off costs nothing by the message: it is looked at once for each piece of
input that is parsed. Input that waits because nobody receives is not counted
before it is parsed.
"""

from __future__ import annotations

from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .endpoint import MaskingKeys

__all__ = ["LimitedSession"]

_OPEN = 1

_NEVER = float("inf")

_GOING_AWAY = 1001
_POLICY_VIOLATION = 1008


class LimitedSession(Session):
    """
    A session with limits on rates and on silence; see :class:`Session`.

    Attributes:
        meter: A :class:`socketeer.limits.Meter`, or :obj:`None`.
        idle_timeout: Seconds for which no message may arrive, or -1.0 for ever. Set
            before :meth:`start`.
    """

    __slots__ = ("_idle_due_at", "_received_at", "idle_timeout", "meter")

    def __init__(
        self,
        is_client: bool,
        max_message_size: int,
        max_fragment_size: int,
        masking_keys: MaskingKeys,
        clock: Callable[[], float],
    ) -> None:
        Session.__init__(
            self, is_client, max_message_size, max_fragment_size, masking_keys, clock
        )
        self.meter: Any = None
        self.idle_timeout = -1.0
        self._idle_due_at = _NEVER
        # When the last message or fragment arrived.
        self._received_at = 0.0

    def start(self) -> None:
        Session.start(self)
        if self.idle_timeout >= 0:
            self._idle_due_at = self.clock() + self.idle_timeout

    def _parse_guarded(self, data: bytearray, position: int, end: int) -> int:
        if self.meter is None and self._idle_due_at == _NEVER:
            return Session._parse_guarded(self, data, position, end)
        waiting = self._last - self._first
        stop = Session._parse_guarded(self, data, position, end)
        now = self.clock()
        messages = self._last - self._first - waiting
        if messages > 0:
            self._received_at = now
        if self.meter is not None and not self.discarding:
            excess = self.meter.take(stop - position, messages, now)
            if excess:
                # The messages before are delivered, as with any failure.
                self.fail_with(None, _POLICY_VIOLATION, excess)
                return end
        return stop

    def next_deadline(self) -> float:
        at = Session.next_deadline(self)
        if self._idle_due_at < at and self.state == _OPEN and self._pending is None:
            return self._idle_due_at
        return at

    def advance(self, now: float) -> bool:
        if now >= self._idle_due_at and self.state == _OPEN and self._pending is None:
            self._check_idle(now)
        return Session.advance(self, now)

    def _check_idle(self, now: float) -> None:
        """
        Close, unless a message has come or waits for somebody to receive it.
        """
        if self.halted or self.has_items():
            self._received_at = now
        due_at = self._received_at + self.idle_timeout
        if due_at > now:
            self._idle_due_at = due_at
        else:
            self._idle_due_at = _NEVER
            self.send_close(_GOING_AWAY, "idle timeout")
