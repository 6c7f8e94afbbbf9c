"""
Publishing, with or without connections of one's own.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, NamedTuple, Self

from ..exceptions import ProtocolError
from ..typing import BytesLike, Data
from .brokers.base import BINARY, CONTROL, TEXT, Broker, Packet, Publication
from .brokers.choosing import broker_for
from .exceptions import LimitExceeded
from .history import Retention
from .positions import Position
from .topics import Topics, check_name

__all__ = ["Publisher", "Publishing"]

# Channels of the broker.
EVERYBODY = "all"


def channel_of_topic(topic: str) -> str:
    return f"topic:{topic}"


def channel_of_user(user: str) -> str:
    return f"user:{user}"


def to_json(value: Any) -> str:
    """
    Return a value as JSON, short and in Unicode.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_packet(message: Data | BytesLike, max_size: int) -> Packet:
    """
    Check a message.

    Raises:
        TypeError: It is neither text nor bytes.
        LimitExceeded: It is too large.
    """
    if isinstance(message, str):
        packet = Packet(TEXT, message.encode())
    elif isinstance(message, bytes | bytearray | memoryview):
        packet = Packet(BINARY, bytes(message))
    else:
        raise TypeError(
            f"message must be str or bytes-like, not {type(message).__name__}"
        )
    size = len(packet.payload)
    if size > max_size:
        raise LimitExceeded("bytes of a message", size, max_size, "max_message_size")
    return packet


def close_packet(code: int, reason: str) -> Packet:
    """
    Return the order to close connections.

    Raises:
        ProtocolError: The code or the reason cannot be sent.
    """
    if code not in {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}:
        raise ProtocolError(f"close code {code} cannot be sent")
    size = len(reason.encode())
    if size > 123:
        raise ProtocolError(f"close reason has {size} bytes, 123 are allowed")
    return Packet(CONTROL, to_json({"close": [code, reason]}).encode())


class Plan(NamedTuple):
    """
    What is to be published.

    Attributes:
        channel: The broker's channel.
        packet: The packet.
        retention: What is kept of the channel.
        key: The idempotency key.
    """

    channel: str
    packet: Packet
    retention: Retention | None = None
    key: str | None = None


class Planning:
    """
    Checks what is to be published.
    """

    def __init__(self, topics: Topics, max_message_size: int) -> None:
        self._topics = topics
        self._max_message_size = max_message_size

    def _plan_publish(
        self, topic: str, message: Data | BytesLike, key: str | None
    ) -> Plan:
        check_name("topic", topic)
        if key is not None:
            check_name("key", key)
        packet = to_packet(message, self._max_message_size)
        retention = self._topics.settings(topic).retention
        return Plan(channel_of_topic(topic), packet, retention, key)

    def _plan_broadcast(self, message: Data | BytesLike) -> Plan:
        return Plan(EVERYBODY, to_packet(message, self._max_message_size))

    def _plan_send(self, user: str, message: Data | BytesLike) -> Plan:
        check_name("user", user)
        packet = to_packet(message, self._max_message_size)
        return Plan(channel_of_user(user), packet)

    def _plan_disconnect(self, user: str, code: int, reason: str) -> Plan:
        check_name("user", user)
        return Plan(channel_of_user(user), close_packet(code, reason))


class Publishing(Planning):
    """
    What hubs and publishers have in common.
    """

    def __init__(self, broker: Broker, topics: Topics, max_message_size: int) -> None:
        super().__init__(topics, max_message_size)
        self._broker = broker
        self._is_started = False

    async def start(self) -> None:
        """
        Connect to the broker.
        """
        raise NotImplementedError

    async def _carry_out(self, plan: Plan) -> Position | None:
        """
        Publish, after starting if need be.
        """
        if not self._is_started:
            await self.start()
        return await self._broker.publish(*plan)

    async def publish(
        self, topic: str, message: Data | BytesLike, *, key: str | None = None
    ) -> str | None:
        """
        Publish a message to a topic: to its subscribers in all processes.

        Args:
            topic: The topic.
            message: :class:`str` for text, bytes-like for binary.
            key: Names this message, so that publishing it again after an error
                does no harm: of several messages to a topic with the same key,
                within five minutes, only the first is published.

        Returns:
            The message's position, or that of the earlier message with the same
            key; :obj:`None` on topics without history.

        Raises:
            BrokerUnavailable: The broker does not answer. The message may have
                been published or not.
            LimitExceeded: The name or the message is too long.
            TypeError: The message is neither text nor bytes.
            ValueError: The name is empty or has control characters.
        """
        position = await self._carry_out(self._plan_publish(topic, message, key))
        return None if position is None else str(position)

    async def publish_json(
        self, topic: str, value: Any, *, key: str | None = None
    ) -> str | None:
        """
        Publish a value as JSON text; otherwise as :meth:`publish`.
        """
        return await self.publish(topic, to_json(value), key=key)

    async def broadcast(self, message: Data | BytesLike) -> None:
        """
        Send a message to every attached connection, in all processes.

        Raises:
            BrokerUnavailable: The broker does not answer.
            LimitExceeded: The message is too long.
            TypeError: The message is neither text nor bytes.
        """
        await self._carry_out(self._plan_broadcast(message))

    async def broadcast_json(self, value: Any) -> None:
        """
        Send a value as JSON text; otherwise as :meth:`broadcast`.
        """
        await self.broadcast(to_json(value))

    async def send(self, user: str, message: Data | BytesLike) -> None:
        """
        Send a message to all connections of a user, in all processes.

        Raises:
            BrokerUnavailable: The broker does not answer.
            LimitExceeded: The name or the message is too long.
            TypeError: The message is neither text nor bytes.
            ValueError: The name is empty or has control characters.
        """
        await self._carry_out(self._plan_send(user, message))

    async def send_json(self, user: str, value: Any) -> None:
        """
        Send a value as JSON text; otherwise as :meth:`send`.
        """
        await self.send(user, to_json(value))

    async def disconnect(self, user: str, code: int = 1000, reason: str = "") -> None:
        """
        Close all connections of a user, in all processes. Does not wait for it.

        Args:
            user: The user.
            code: Close code, as for a connection's ``close()``.
            reason: Close reason, at most 123 bytes in UTF-8.

        Raises:
            BrokerUnavailable: The broker does not answer.
            ProtocolError: The code or the reason cannot be sent.
        """
        await self._carry_out(self._plan_disconnect(user, code, reason))


class Silent:
    """
    Receives nothing.
    """

    def received(self, channel: str, publication: Publication) -> None:
        """
        A publisher does not subscribe.
        """

    def resumed(self) -> None:
        """
        Nothing was missed.
        """

    def nodes_changed(self, alive: frozenset[str]) -> None:
        """
        Nobody asks.
        """

    def forgotten(self) -> None:
        """
        Nobody was here.
        """


class Publisher(Publishing):
    """
    Publishes from a process without connections: a job, a view, a script.

    An asynchronous context manager::

        async with Publisher("redis://localhost") as publisher:
            await publisher.publish("news", "Hello!")

    A publisher belongs to one event loop, until it is stopped.

    Args:
        url: Where the broker is; see :class:`.Hub`.
        broker: A broker, instead of ``url``.
        topics: What is set for topics; the same as in the processes that subscribe.
        max_message_size: Most bytes of a message.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        broker: Broker | None = None,
        topics: Topics | None = None,
        max_message_size: int = 2**20,
    ) -> None:
        if broker is None and url is None:
            raise TypeError("Publisher() needs url or broker")
        super().__init__(
            broker_for(url) if broker is None else broker,
            topics or Topics(),
            max_message_size,
        )
        # Tasks that publish first do it at the same time.
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """
        Connect to the broker; publishing does it, too. Nothing happens if the publisher
        is started.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        async with self._changing:
            if not self._is_started:
                await self._broker.start(Silent())
                self._is_started = True

    async def stop(self) -> None:
        """
        Leave the broker.
        """
        async with self._changing:
            if self._is_started:
                await self._broker.stop(0)
                self._is_started = False
