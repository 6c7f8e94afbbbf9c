"""
What a hub hands on, until the turn of the event loop ends.

All that is published in one turn leaves in one write for each connection, and each
connection is visited once if it is all for one topic: it is memory that costs, with
many connections. The order is that in which it was handed on, across topics, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .connections import (
        AtTurnEnd,
        FanOutConnection,
        FanOutToAll,
        Prepare,
        Prepared,
    )
    from .feed import Feed

__all__ = ["Outgoing", "Run"]

# Messages that wait at most, so that they take no memory.
MOST = 64


class Run(NamedTuple):
    """
    Messages that follow one another, for the same connections.

    Attributes:
        feed: The topic they are for.
        last: The number of the last message before them in the topic's log;
            :obj:`None` for messages that are in no log.
        messages: The messages.
    """

    feed: Feed
    last: int | None
    messages: list[Prepared]


class Outgoing:
    """
    The messages of a turn.

    Attributes:
        prepare: Frames a message, once a connection has shown how.
        fan_out_to_all: Sends messages to many connections, likewise.
    """

    __slots__ = ("_call_at_turn_end", "_count", "_runs", "fan_out_to_all", "prepare")

    prepare: Prepare
    fan_out_to_all: FanOutToAll
    _call_at_turn_end: AtTurnEnd

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._count = 0

    def use(self, connection: FanOutConnection) -> None:
        """
        Frame and send messages as a connection does, when its loop ends a turn.
        """
        self.prepare = connection.prepare
        self.fan_out_to_all = connection.fan_out_to_all
        self._call_at_turn_end = connection.call_at_turn_end

    def add(self, feed: Feed, prepared: Prepared, last: int | None = None) -> None:
        """
        Hand on a message when the turn ends.

        Args:
            feed: The topic that it is for.
            prepared: The message.
            last: The number of the message before it, if the topic has a log.
        """
        runs = self._runs
        if not runs:
            self._call_at_turn_end(self.deliver)
        self._count += 1
        if runs and runs[-1].feed is feed and (runs[-1].last is None) is (last is None):
            runs[-1].messages.append(prepared)
        else:
            runs.append(Run(feed, last, [prepared]))
        if self._count >= MOST:
            self.deliver()

    def deliver(self) -> None:
        """
        Hand on what is waiting, now: the turn ends, or it is going to matter who
        listens.
        """
        runs, self._runs, self._count = self._runs, [], 0
        # Whoever is sent to by several runs gets all of them in one write.
        more = len(runs) > 1
        for run in runs:
            run.feed.pass_on(run, more)
