"""
Who came, and how it ended.
"""

from __future__ import annotations

import asyncio
import logging

from ..asyncio.server import ServerConnection
from ..http11 import Request, Response
from .handlers import Handler
from .messages import escape

__all__ = ["AccessLog"]


class AccessLog:
    """
    Logs each request with its answer, and each connection at its end.

    Args:
        logger: Where to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def process_response(
        self, connection: ServerConnection, request: Request, response: Response
    ) -> None:
        """
        Log a request and the status it is answered with.
        """
        self.logger.info(
            '%s "%s %s" %d',
            peer(connection),
            request.method,
            escape(request.path),
            response.status_code,
        )

    def around(self, handler: Handler) -> Handler:
        """
        Return a handler that logs how long a connection lasted.
        """

        async def logged(connection: ServerConnection) -> None:
            clock = asyncio.get_running_loop().time
            began = clock()
            # Afterwards nobody knows any more.
            name = peer(connection)
            try:
                await handler(connection)
                await connection.close()
            finally:
                assert connection.request is not None
                self.logger.info(
                    '%s "%s" closed %s after %.3f s',
                    name,
                    escape(connection.request.path),
                    connection.close_code or "-",
                    clock() - began,
                )

        return logged


def peer(connection: ServerConnection) -> str:
    """
    Return the address of a client.
    """
    address = connection.remote_address
    if isinstance(address, tuple) and len(address) >= 2:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{host}:{address[1]}"
    return "unix"
