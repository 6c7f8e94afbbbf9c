"""
Publishing without asyncio: from a view, a script, a thread.
"""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import Any, Self

from ..typing import BytesLike, Data
from .brokers.choosing import check_scheme
from .exceptions import BrokerUnavailable
from .positions import Position
from .publisher import Plan, Planning, to_json
from .topics import Topics

__all__ = ["SyncPublisher"]


class SyncPublisher(Planning):
    """
    Publishes from a process or a thread without an event loop.

    It connects when it is used, and can be used by several threads at once. With
    ``prefork`` servers, make it after the fork or before its first use.

    Args:
        url: Where Redis is; see :class:`.Hub`.
        topics: What is set for topics; the same as in the processes that subscribe.
        max_message_size: Most bytes of a message.
        prefix: What the names of keys and channels begin with.
        timeout: Seconds after which Redis is taken to be away.

    Raises:
        ImportError: The package for Redis is not installed.
        ValueError: The address is not one of Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        topics: Topics | None = None,
        max_message_size: int = 2**20,
        prefix: str = "socketeer",
        timeout: float = 5.0,
    ) -> None:
        super().__init__(topics or Topics(), max_message_size)
        check_scheme(url)
        try:
            from .brokers.redis_sync import (  # noqa: PLC0415 (an optional dependency)
                SyncRedis,
            )
        except ModuleNotFoundError as exc:
            raise ImportError(
                "Redis needs a package: install socketeer[redis]"
            ) from exc
        self._redis = SyncRedis(url, prefix, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Disconnect. Publishing connects again.
        """
        self._redis.close()

    def _carry_out(self, plan: Plan) -> Position | None:
        """
        Publish; once more if the connection had been cut meanwhile.
        """
        if plan.key is None:
            # Makes it safe to try again.
            plan = plan._replace(key=secrets.token_urlsafe(12))
        try:
            return self._redis.publish(*plan)
        except BrokerUnavailable:
            return self._redis.publish(*plan)

    def publish(
        self, topic: str, message: Data | BytesLike, *, key: str | None = None
    ) -> str | None:
        """
        Publish a message to a topic; as :meth:`.Hub.publish`.
        """
        position = self._carry_out(self._plan_publish(topic, message, key))
        return None if position is None else str(position)

    def publish_json(
        self, topic: str, value: Any, *, key: str | None = None
    ) -> str | None:
        """
        Publish a value as JSON text; otherwise as :meth:`publish`.
        """
        return self.publish(topic, to_json(value), key=key)

    def broadcast(self, message: Data | BytesLike) -> None:
        """
        Send a message to every attached connection; as :meth:`.Hub.broadcast`.
        """
        self._carry_out(self._plan_broadcast(message))

    def broadcast_json(self, value: Any) -> None:
        """
        Send a value as JSON text; otherwise as :meth:`broadcast`.
        """
        self.broadcast(to_json(value))

    def send(self, user: str, message: Data | BytesLike) -> None:
        """
        Send a message to all connections of a user; as :meth:`.Hub.send`.
        """
        self._carry_out(self._plan_send(user, message))

    def send_json(self, user: str, value: Any) -> None:
        """
        Send a value as JSON text; otherwise as :meth:`send`.
        """
        self.send(user, to_json(value))

    def disconnect(self, user: str, code: int = 1000, reason: str = "") -> None:
        """
        Close all connections of a user; as :meth:`.Hub.disconnect`.
        """
        self._carry_out(self._plan_disconnect(user, code, reason))
