"""
The link that the rooms for threads and for trio share.
"""

from __future__ import annotations

import os

from socketeer._links import BaseLink, MaskingKeys
from socketeer.server import ServerProtocol


class Halted(BaseLink):
    """
    A link whose input was kept, and whose next message is among it.
    """

    def __init__(self):
        BaseLink.__init__(self, ServerProtocol(), MaskingKeys(os.urandom), lambda: 0.0)
        self.halted = True
        self.steps = []
        self.items = []

    def may_resume(self):
        return True

    def has_items(self):
        return bool(self.items)

    def release(self):
        self.steps.append("release")
        if self.halted:
            self.items.append("message")
        self.halted = False

    def settle(self):
        self.steps.append("settle")

    def take(self):
        return self.items.pop() if self.items else None


def test_what_was_kept_is_looked_at_before_waiting():
    """
    There was nothing to take, but there is when the parser goes on: nobody would wake
    the receiver for what is here already.
    """
    link = Halted()

    assert "message" == link.take_next(link.take)
    assert ["release", "settle", "settle"] == link.steps


def test_nothing_to_take():
    """
    Then the room waits for the peer.
    """
    link = Halted()
    link.halted = False

    assert link.take_next(link.take) is None
