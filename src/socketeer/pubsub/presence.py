"""
Who is there.

A user may have several connections, in several processes. Each process has one
entry for the user, from the first of its connections until some time after the
last, so that somebody who reconnects does not leave and join; the user is there
as long as any process has an entry. Entries of a process that is gone do not count:
its lease at the broker has run out.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

__all__ = ["Attendance", "Member", "PresenceEvent", "Roster"]


class Member(NamedTuple):
    """
    Somebody who is there.

    Attributes:
        user: The name.
        info: What was given to :meth:`.Hub.attach` with it, last; if connections in
            several processes have different ones, that of one of the processes.
    """

    user: str
    info: Any


class PresenceEvent(NamedTuple):
    """
    Somebody joined or left a topic. Another ``info`` alone is no event.

    Attributes:
        kind: ``"join"``, with the first connection of a user in any process, or
            ``"leave"``, some time after the last, or when the user unsubscribes.
        topic: The topic.
        user: The name.
        info: What was given to :meth:`.Hub.attach` with it, last.
    """

    kind: Literal["join", "leave"]
    topic: str
    user: str
    info: Any


class Attendance:
    """
    The entries of this process: who is there, or was a moment ago.

    A *place* is a topic, or the hub itself.

    Args:
        grace: Seconds for which an entry stays after the last connection.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._connections: dict[tuple[str, str], set[object]] = {}
        self._info: dict[tuple[str, str], Any] = {}
        self._leaving: dict[tuple[str, str], float] = {}

    def enter(self, place: str, user: str, who: object, info: Any) -> bool:
        """
        Note a connection; tell whether the entry is new, or says something new.
        """
        key = place, user
        is_new = key not in self._info or self._info[key] != info
        self._connections.setdefault(key, set()).add(who)
        self._info[key] = info
        self._leaving.pop(key, None)
        return is_new

    def leave(
        self, place: str, user: str, who: object, now: float, *, for_good: bool = False
    ) -> None:
        """
        Note that a connection is gone; without grace if it left for good.
        """
        key = place, user
        connections = self._connections.get(key)
        if connections is None or who not in connections:
            return
        connections.discard(who)
        if not connections:
            del self._connections[key]
            self._leaving[key] = now if for_good else now + self._grace

    def expire(self, now: float) -> list[tuple[str, str, Any]]:
        """
        Remove the entries whose time is over; return places, users and infos.
        """
        gone = [key for key, at in self._leaving.items() if at <= now]
        for key in gone:
            del self._leaving[key]
        return [(*key, self._info.pop(key)) for key in gone]

    def restore(self, place: str, user: str, info: Any, now: float) -> None:
        """
        Put back an entry that expired, unless there is a new one: the broker does
        not know yet.
        """
        key = place, user
        if key not in self._info:
            self._info[key] = info
            self._leaving[key] = now

    def entries(self) -> list[tuple[str, str, Any]]:
        """
        Return places, users and infos.
        """
        return [(place, user, info) for (place, user), info in self._info.items()]


class Roster:
    """
    The entries of all processes for a topic, as far as this one has heard.

    Methods return what they changed: users who joined and users who left.
    """

    def __init__(self) -> None:
        # By user, then by node.
        self._entries: dict[str, dict[str, Any]] = {}

    def enter(self, node: str, user: str, info: Any) -> bool:
        """
        Note an entry; tell whether the user has just joined.
        """
        nodes = self._entries.setdefault(user, {})
        is_new = not nodes
        # The newest info stands last.
        nodes.pop(node, None)
        nodes[node] = info
        return is_new

    def leave(self, node: str, user: str) -> tuple[bool, Any]:
        """
        Note that an entry is gone; tell whether the user has left, and their info.
        """
        nodes = self._entries.get(user)
        if nodes is None or node not in nodes:
            return False, None
        info = nodes.pop(node)
        if nodes:
            return False, info
        del self._entries[user]
        return True, info

    def entries(self) -> list[tuple[str, str]]:
        """
        Return the entries, as nodes and users.
        """
        return [(node, user) for user, nodes in self._entries.items() for node in nodes]
