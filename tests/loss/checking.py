"""
What a client must see: each number once, in order, or a gap that it is told of.
"""

from __future__ import annotations

from collections import Counter

from socketeer.pubsub.positions import Position

__all__ = ["BAD", "Follower"]

# What must not happen.
BAD = ("gaps untold", "gaps told in vain", "duplicates", "wrong")


class Follower:
    """
    A client's view of a topic.

    Args:
        published: Positions and numbers of the topic, as publishers were told and
            followers have seen: all have to agree.
        counts: What is counted: ``messages``, ``gaps told``, and what is in
            :data:`BAD`.

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
            former, self.position = self.position, Position.parse(position)
            if former is not None:
                self.counts["gaps told"] += 1
                # The log is the same, and long enough: it has all that was missed.
                self.counts["gaps told in vain"] += former.epoch == self.position.epoch
            # What came before belongs to the time before this position, or after.
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
        if self._published.setdefault(str(place), number) != number:
            # A position was given out twice.
            self.counts["wrong"] += 1
        if place.epoch != self.position.epoch or place.offset > self.position.offset:
            # A duplicate takes nobody back: each mistake is counted once.
            self.position = place
        self._number = max(number, self._number)
