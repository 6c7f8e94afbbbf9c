"""
Handlers for those who have none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..asyncio.server import ServerConnection, broadcast
from ..frames import CloseCode

__all__ = ["Broadcast", "Handler", "echo", "refuse"]

Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    """
    Send each message back.
    """
    async for message in connection:
        await connection.send(message)


async def refuse(connection: ServerConnection) -> None:
    """
    Close the connection: there are only files here.
    """
    await connection.close(CloseCode.POLICY_VIOLATION, "no handler")


class Broadcast:
    """
    Sends each message to all other connections of the process.
    """

    def __init__(self) -> None:
        self.connections: set[ServerConnection] = set()

    async def handle(self, connection: ServerConnection) -> None:
        """
        Send the messages of one connection to the others.
        """
        self.connections.add(connection)
        try:
            async for message in connection:
                broadcast(self.connections - {connection}, message)
        finally:
            self.connections.discard(connection)
