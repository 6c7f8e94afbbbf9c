"""
Those who get the same messages, in this process.
"""

from __future__ import annotations

import logging
from typing import Generic, TypeVar

from .connections import Prepared, Send

__all__ = ["Audience"]

logger = logging.getLogger("socketeer.pubsub")


Member = TypeVar("Member")


class Audience(Generic[Member]):
    """
    Any number of listeners, served by one loop as short as can be.
    """

    __slots__ = ("_members", "_senders")

    def __init__(self) -> None:
        self._members: dict[Member, Send] = {}
        # What deliver() goes through. Replaced, not changed: a listener may leave
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

    def deliver(self, prepared: Prepared, limit: int, policy: str) -> list[Member]:
        """
        Send a message to all; return those who did not take it.

        Args:
            prepared: The message.
            limit: Bytes that may wait to be sent already.
            policy: What happens to those for whom more is waiting.
        """
        senders = self._senders
        if senders is None:
            senders = [(send, member) for member, send in self._members.items()]
            self._senders = senders
        refused = []
        for send, member in senders:
            try:
                if not send(prepared, limit, policy):
                    refused.append(member)
            except Exception:
                # One connection's trouble is not everybody's.
                logger.exception("message not written to one connection")
                refused.append(member)
        return refused
