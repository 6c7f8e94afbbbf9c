"""
broadcaster in an ASGI application on uvicorn: each message is published to everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from broadcaster import Broadcast

from .common import options
from .uvicorn_server import serve


async def pass_on(subscriber: Any, send: Any) -> None:
    """
    Send what is published to a connection.
    """
    async for event in subscriber:
        # It publishes text.
        message = {"type": "websocket.send", "bytes": event.message.encode("latin-1")}
        await send(message)


class Chat:
    """
    The application.
    """

    def __init__(self, url: str) -> None:
        self._broadcast = Broadcast(url)
        self._others = contextlib.AsyncExitStack()
        self._is_connected = False
        # It loses subscribers if the first ones come at the same time.
        self._joining = asyncio.Lock()

    async def _subscribe(self) -> Any:
        """
        Return a subscription to enter.
        """
        if not self._is_connected:
            self._is_connected = True
            await self._broadcast.connect()
            # It begins to listen with the second channel.
            first = self._broadcast.subscribe(channel="first")
            await self._others.enter_async_context(first)
        return self._broadcast.subscribe(channel="all")

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """
        Subscribe, and answer the handshake only then.
        """
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            async with self._joining:
                subscriber = await stack.enter_async_context(await self._subscribe())
            await send({"type": "websocket.accept"})
            passing = asyncio.ensure_future(pass_on(subscriber, send))
            try:
                while (event := await receive())["type"] == "websocket.receive":
                    text = event["bytes"].decode("latin-1")
                    await self._broadcast.publish(channel="all", message=text)
            finally:
                passing.cancel()


if __name__ == "__main__":
    arguments = options()
    serve(Chat(arguments.redis), arguments.port, arguments.loop)
