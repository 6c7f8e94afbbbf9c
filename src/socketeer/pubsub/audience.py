"""
Those who get the same messages, in this process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Generic, TypeVar

from .connections import FanOutConnection, FanOutToAll, Prepared

__all__ = ["Audience", "Receivers"]

logger = logging.getLogger("socketeer.pubsub")


Member = TypeVar("Member")


class Receivers(Generic[Member]):
    """
    Listeners at one moment, with their connections.

    Args:
        members: Listeners, each with the connection.
    """

    __slots__ = ("_connections", "_members")

    def __init__(self, members: Iterable[tuple[Member, FanOutConnection]]) -> None:
        pairs = list(members)
        self._members = [member for member, _ in pairs]
        self._connections = [connection for _, connection in pairs]

    def send(
        self,
        fan_out_to_all: FanOutToAll,
        messages: list[Prepared],
        limit: int,
        policy: str,
        *,
        more: bool,
        is_log: bool = False,
    ) -> list[tuple[Member, int]]:
        """
        Send messages to all; return who did not take which.

        Args:
            fan_out_to_all: What sends them.
            messages: The messages.
            limit: Bytes that may wait to be sent already.
            policy: What happens to those for whom more is waiting.
            more: Whether others follow in this turn.
            is_log: Whether who did not take one gets none of those behind it.

        Returns:
            Listeners, and the place of a message that they did not take.
        """
        refused = []
        for number, place, exc in fan_out_to_all(
            self._connections, messages, limit, policy, more, is_log
        ):
            if exc is not None:
                # One connection's trouble is not everybody's.
                logger.error("message not written to one connection", exc_info=exc)
            refused.append((self._members[number], place))
        return refused


class Audience(Generic[Member]):
    """
    Any number of listeners, served by one loop as short as can be.
    """

    __slots__ = ("_members", "_receivers")

    def __init__(self) -> None:
        self._members: dict[Member, FanOutConnection] = {}
        # What receivers() returns. Replaced, not changed: a listener may leave
        # while a message is being delivered.
        self._receivers: Receivers[Member] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def add(self, member: Member, connection: FanOutConnection) -> None:
        """
        Let somebody listen, on a connection.
        """
        self._members[member] = connection
        self._receivers = None

    def discard(self, member: Member) -> None:
        """
        Let somebody listen no longer.
        """
        if member in self._members:
            del self._members[member]
            self._receivers = None

    def members(self) -> list[Member]:
        """
        Return those who listen.
        """
        return list(self._members)

    def receivers(self) -> Receivers[Member]:
        """
        Return those who listen, to be sent to.
        """
        receivers = self._receivers
        if receivers is None:
            receivers = self._receivers = Receivers(self._members.items())
        return receivers
