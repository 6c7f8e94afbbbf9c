"""
What goes wrong with topics and brokers.
"""

from __future__ import annotations

from ..exceptions import WebSocketException

__all__ = ["BrokerUnavailable", "LimitExceeded", "PubSubError"]


class PubSubError(WebSocketException):
    """
    Base class of what publishing and subscribing raise.
    """


class BrokerUnavailable(PubSubError):
    """
    The broker cannot be reached, or did not answer in time.

    After a failed publish, the message may have been published all the same: the
    answer may be what was lost. Publishing again with the same ``key`` is safe.
    """


class LimitExceeded(PubSubError):
    """
    A name, a message or a number of subscriptions is larger than allowed.

    Attributes:
        what: What is too large.
        size: Its size.
        limit: Largest size allowed.
        option: The argument that sets the limit; empty if it is fixed.
    """

    def __init__(self, what: str, size: int, limit: int, option: str = "") -> None:
        super().__init__(what, size, limit, option)
        self.what = what
        self.size = size
        self.limit = limit
        self.option = option

    def __str__(self) -> str:
        option = f" ({self.option})" if self.option else ""
        return f"{self.what}: {self.size}, limit is {self.limit}{option}"
