"""
Those who get the same messages, in this process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Generic, TypeVar

from .connections import Prepared, Send

__all__ = ["Audience", "send_all"]

logger = logging.getLogger("socketeer.pubsub")


Member = TypeVar("Member")


def send_all(
    senders: Iterable[tuple[Send, Member]],
    messages: list[Prepared],
    limit: int,
    policy: str,
    *,
    more: bool,
    is_log: bool = False,
) -> list[tuple[Member, int]]:
    """
    Send messages to members; return who did not take which.

    Args:
        senders: How each member is sent to.
        messages: The messages.
        limit: Bytes that may wait to be sent already.
        policy: What happens to those for whom more is waiting.
        more: Whether others follow in this turn.
        is_log: Whether who did not take one gets none of those behind it.

    Returns:
        Members, and the place of a message that they did not take.
    """
    last = len(messages) - 1
    refused = []
    for send, member in senders:
        for place, prepared in enumerate(messages):
            try:
                if send(prepared, limit, policy, more or place < last):
                    continue
            except Exception:
                # One connection's trouble is not everybody's.
                logger.exception("message not written to one connection")
            refused.append((member, place))
            if is_log:
                break
    return refused


class Audience(Generic[Member]):
    """
    Any number of listeners, served by one loop as short as can be.
    """

    __slots__ = ("_members", "_senders")

    def __init__(self) -> None:
        self._members: dict[Member, Send] = {}
        # What senders() returns. Replaced, not changed: a listener may leave
        # while a message is being delivered.
        self._senders: list[tuple[Send, Member]] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def add(self, member: Member, send: Send) -> None:
        """
        Let somebody listen, who is sent to by ``send``.
        """
        self._members[member] = send
        self._senders = None

    def discard(self, member: Member) -> None:
        """
        Let somebody listen no longer.
        """
        if member in self._members:
            del self._members[member]
            self._senders = None

    def members(self) -> list[Member]:
        """
        Return those who listen.
        """
        return list(self._members)

    def senders(self) -> list[tuple[Send, Member]]:
        """
        Return how each listener is sent to: see :func:`send_all`.
        """
        senders = self._senders
        if senders is None:
            senders = [(send, member) for member, send in self._members.items()]
            self._senders = senders
        return senders
