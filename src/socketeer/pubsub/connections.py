"""
What a hub needs of a connection: the part of the public interface that it uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..typing import BytesLike, Data

__all__ = [
    "OPEN",
    "AtTurnEnd",
    "FanOutConnection",
    "FanOutToAll",
    "Prepare",
    "Prepared",
    "Send",
]

OPEN = 1

# A message framed once; made by a connection, opaque to everybody else.
Prepared = Any

# Sends a prepared message without waiting; arguments are the message, the most
# bytes that may wait already (-1 for any), what happens above that, and whether more
# may follow in this turn of the event loop, to share a write. Tells whether the
# message was sent or is waiting.
Send = Callable[[Prepared, int, str, bool], bool]

# Sends prepared messages to many connections, as fan_out does to one: arguments are
# the connections, the messages, then as above, and whether who does not take one
# message gets none of those behind it. Returns, for each message that was not taken,
# the number of the connection, that of the message, and what went wrong, if anything.
FanOutToAll = Callable[
    [list[Any], list[Prepared], int, str, bool, bool],
    list[tuple[int, int, Exception | None]],
]

# Has a function called when the turn of the event loop ends.
AtTurnEnd = Callable[[Callable[[], object]], None]


class Prepare(Protocol):
    """
    Frames messages.
    """

    def __call__(
        self,
        message: Data | BytesLike,
        *,
        text: bool | None = None,
    ) -> Prepared:
        """
        Frame a message; as text, as binary, or as its type says.
        """
        ...


class FanOutConnection(Protocol):
    """
    A connection that can be attached to a hub, such as those of
    :mod:`socketeer.asyncio`.
    """

    @property
    def prepare(self) -> Prepare:
        """
        Return what frames a message once, for any number of connections.
        """
        ...

    @property
    def state(self) -> int:
        """
        State of the connection; 1 is OPEN.
        """
        ...

    @property
    def fan_out(self) -> Send:
        """
        Return what sends prepared messages.
        """
        ...

    @property
    def fan_out_to_all(self) -> FanOutToAll:
        """
        Return what sends prepared messages to many connections, of whatever kind.
        """
        ...

    @property
    def call_at_turn_end(self) -> AtTurnEnd:
        """
        Return what has functions called when the turn of the event loop ends, or
        before something else is sent.
        """
        ...

    async def wait_drained(self) -> None:
        """
        Wait until the peer has caught up.
        """
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection.
        """
        ...
