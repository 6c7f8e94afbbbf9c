"""
Django Channels on uvicorn: each message is sent to a group with everybody, through
channels_redis. The consumer and its layer are those of its documentation.
"""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from .common import options
from .uvicorn_server import serve


class Chat(AsyncWebsocketConsumer):
    """
    A member of the one group.
    """

    async def connect(self) -> None:
        """
        Join, and answer the handshake only then.
        """
        await self.channel_layer.group_add("all", self.channel_name)
        await self.accept()

    async def disconnect(self, _code: int) -> None:
        """
        Leave.
        """
        await self.channel_layer.group_discard("all", self.channel_name)

    async def receive(
        self,
        text_data: str | None = None,  # noqa: ARG002 (given by name)
        bytes_data: bytes | None = None,
    ) -> None:
        """
        Send a message to the group.
        """
        event = {"type": "chat.message", "data": bytes_data}
        await self.channel_layer.group_send("all", event)

    async def chat_message(self, event: dict[str, Any]) -> None:
        """
        Pass a message on.
        """
        await self.send(bytes_data=event["data"])


if __name__ == "__main__":
    arguments = options()
    layer = {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # All leave at once; connections that may then be missing are no limit here.
        "CONFIG": {"hosts": [{"address": arguments.redis, "max_connections": 1000}]},
    }
    settings.configure(CHANNEL_LAYERS={"default": layer})
    serve(Chat.as_asgi(), arguments.port, arguments.loop)
