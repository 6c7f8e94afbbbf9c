"""
What a hub needs of a broker.

A broker carries packets between processes, on *channels*: one for each topic, one
for each user, one for everybody. It keeps the logs, and is the one authority for
the numbers of messages: appending to a log and publishing are one step.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..history import Retention
from ..positions import Position

__all__ = ["Broker", "Packet", "Publication", "Reading", "Receiver"]

# Opcodes: those of WebSocket (RFC 6455, 5.2), and one for what is between hubs.
CONTROL, TEXT, BINARY = 0, 1, 2


class Packet(NamedTuple):
    """
    What is published.

    Attributes:
        opcode: 1 for text, 2 for binary, 0 for what hubs tell each other, in JSON.
        payload: The payload; text is encoded.
    """

    opcode: int
    payload: bytes


class Publication(NamedTuple):
    """
    A packet as subscribers get it.

    Attributes:
        packet: The packet.
        position: Its place in the channel's log; :obj:`None` if it is not kept.
    """

    packet: Packet
    position: Position | None


class Reading(NamedTuple):
    """
    What a log says.

    Attributes:
        top: Position of the newest message, or where it would be.
        packets: All messages after the position that was asked for, up to the top;
            :obj:`None` if some of them are not there any more, or never were.
        oldest: Offset of the oldest message; one above the top if there is none.
            Only known if messages were asked for.
    """

    top: Position
    packets: list[Packet] | None
    oldest: int = 0


class Receiver(Protocol):
    """
    The side of the hub. Its methods are called in the loop's thread and do not wait.
    """

    def received(self, channel: str, publication: Publication) -> None:
        """
        Take a publication on a subscribed channel.
        """
        ...

    def resumed(self) -> None:
        """
        Take in that publications may have been lost: the broker was away.
        """
        ...

    def nodes_changed(self, alive: frozenset[str]) -> None:
        """
        Take in which processes are there, and that others are not.
        """
        ...

    def forgotten(self) -> None:
        """
        Take in that others believe this process to be gone: it was silent for
        longer than its lease. Whoever is present has to enter again.
        """
        ...


class Broker(Protocol):
    """
    What carries packets between processes.

    All methods raise :exc:`~socketeer.pubsub.BrokerUnavailable` if the broker cannot
    be reached. A subscribed channel stays subscribed through an outage.

    Attributes:
        node: The name of this process among those that use the broker.
    """

    node: str

    async def start(self, receiver: Receiver) -> None:
        """
        Connect; from now on, call the receiver.
        """
        ...

    async def stop(self, linger: float) -> None:
        """
        Disconnect.

        Args:
            linger: Seconds for which this process's entries stay.
        """
        ...

    async def subscribe(self, channel: str) -> None:
        """
        Receive a channel. What is published after this returns is received.
        """
        ...

    async def unsubscribe(self, channel: str) -> None:
        """
        Receive a channel no longer.
        """
        ...

    async def publish(
        self,
        channel: str,
        packet: Packet,
        retention: Retention | None = None,
        key: str | None = None,
    ) -> Position | None:
        """
        Append to the channel's log, if it has one, and publish, in one step.

        Args:
            channel: The channel.
            packet: The packet.
            retention: What is kept; :obj:`None` if there is no log.
            key: Of several packets with the same key, within some minutes, only
                the first is published.

        Returns:
            The position of the packet with this key; :obj:`None` without a log.
        """
        ...

    async def read(
        self, channel: str, after: Position | None, retention: Retention
    ) -> Reading:
        """
        Read a channel's log.

        Args:
            channel: The channel.
            after: Position of the last message that is known, which this process
                has seen: if the top is lower, the log has lost messages, and the
                epoch changes. :obj:`None` to ask for the top alone.
            retention: What is kept.
        """
        ...

    async def enter(self, channel: str, user: str, info: bytes) -> None:
        """
        Note that a user is present on a channel, by way of this process.
        """
        ...

    async def leave(self, channel: str, user: str) -> None:
        """
        Note that a user is present by way of this process no longer.
        """
        ...

    async def present(self, channel: str) -> dict[tuple[str, str], bytes]:
        """
        Return who is present on a channel: the info by node and user. Entries of
        processes that are gone do not count.
        """
        ...
