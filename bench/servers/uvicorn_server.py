"""
An ASGI application on uvicorn, without a framework.
"""

from __future__ import annotations

from typing import Any

import uvicorn

from .common import options


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """
    Send each message back.
    """
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


if __name__ == "__main__":
    arguments = options()
    uvicorn.run(
        echo,
        host="127.0.0.1",
        port=arguments.port,
        loop=arguments.loop,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        lifespan="off",
        log_level="warning",
    )
