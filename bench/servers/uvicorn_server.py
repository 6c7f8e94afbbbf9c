"""
An ASGI application on uvicorn, without a framework.
"""

from __future__ import annotations

from typing import Any

import uvicorn

from .common import options

__all__ = ["serve"]


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """
    Send each message back.
    """
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def serve(application: Any, port: int, loop: str) -> None:
    """
    Serve an application as fast as uvicorn can.
    """
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=port,
        loop=loop,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        lifespan="off",
        log_level="warning",
    )


if __name__ == "__main__":
    arguments = options()
    serve(echo, arguments.port, arguments.loop)
