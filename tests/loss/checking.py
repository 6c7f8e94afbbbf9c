"""
What a client must see: each number once, in order, or a gap that it is told of.
"""

from __future__ import annotations

from collections import Counter

from socketeer.pubsub.positions import Position

__all__ = ["Follower"]


class Follower:
    """
    A client's view of a topic.

    Args:
        published: What publishers were told: positions and numbers, by topic.
        counts: What is counted: ``messages``, ``gaps told``, ``gaps untold``,
            ``duplicates``, ``wrong``.

    Attributes:
        position: Of the last message that was seen, or that was told to begin with.
    """

    def __init__(self, topic, published, counts=None):
        self.topic = topic
        self.position = None
        self.counts = Counter() if counts is None else counts
        self._published = published
        self._number = 0
        self._replied = False
        self._early = []

    def connected(self):
        """
        Begin to receive from a new connection.
        """
        self._replied = False
        self._early.clear()

    def replied(self, recovered, position):
        """
        Be told where the subscription stands.
        """
        self._replied = True
        if not recovered:
            if self.position is not None:
                self.counts["gaps told"] += 1
            # What came before belongs to the time before this position, or after.
            self.position = Position.parse(position)
            early = [
                item for item in self._early if item[0].offset > self.position.offset
            ]
        else:
            early = self._early
        self._early = []
        for place, number in early:
            self._see(place, number)

    def received(self, text, number):
        """
        Get a message.
        """
        place = Position.parse(text)
        if self._replied or self.position is not None:
            if not self._replied and not self._continues(place):
                # Told by the reply, or wrong: known when it is there.
                self._early.append((place, number))
                return
            self._see(place, number)
        else:
            self._early.append((place, number))

    def _continues(self, place):
        return (self.position.epoch, self.position.offset + 1) == place

    def _see(self, place, number):
        """
        Take a message, and judge it.
        """
        self.counts["messages"] += 1
        if number <= self._number:
            self.counts["duplicates"] += 1
        elif not self._continues(place):
            self.counts["gaps untold"] += 1
        if self._published.get(str(place), number) != number:
            # A position was given out twice.
            self.counts["wrong"] += 1
        self.position = place
        self._number = max(number, self._number)
