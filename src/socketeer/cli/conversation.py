"""
A connection as an interface needs it: opened, read, perhaps opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Protocol

from .._reconnection import Reconnection, backoff, process_exception
from ..asyncio.client import ClientConnection
from ..exceptions import ConnectionClosed, ProtocolError, WebSocketException
from ..frames import Close, CloseCode
from ..typing import Data
from .options import Target
from .statuses import ExitStatus

__all__ = ["CONNECT_ERRORS", "Conversation", "Face"]

# What can go wrong while connecting. ValueError: options contradict each other.
# ImportError: a kind of proxy needs another package.
CONNECT_ERRORS = (OSError, WebSocketException, ValueError, ImportError)

# Codes, received or sent, of connections that ended well.
_NORMAL = {
    CloseCode.NORMAL_CLOSURE,
    CloseCode.GOING_AWAY,
    CloseCode.NO_STATUS_RCVD,
}

# Said to nobody: faces say it in their own way.
_SILENT = logging.getLogger("socketeer.cli.silent")
_SILENT.disabled = True


class Face(Protocol):
    """
    Who is told what happens.
    """

    def opened(self, connection: ClientConnection) -> None:
        """
        Take in that the connection is OPEN.
        """

    async def received(self, message: Data) -> None:
        """
        Take in a message; reading waits meanwhile.
        """

    def closed(self, close: Close) -> None:
        """
        Take in how the connection ended.
        """

    def failed(self, exc: Exception) -> None:
        """
        Take in that there is no connection.
        """

    def waiting(self, delay: float) -> None:
        """
        Take in that there is another attempt in so many seconds.
        """


class Conversation:
    """
    A connection, and those after it.

    Args:
        target: What to connect to.
        face: Who is told.
        reconnect: Whether to connect again when the connection ends.
        options: Further arguments of ``connect()``.

    Attributes:
        connection: The connection that is OPEN, or :obj:`None`.
        begun: Set when the first attempt to connect has ended.
    """

    def __init__(
        self, target: Target, face: Face, *, reconnect: bool = False, **options: Any
    ) -> None:
        self.target = target
        self.face = face
        self.reconnect = reconnect
        self.options = options
        self.connection: ClientConnection | None = None
        self.begun = asyncio.Event()
        self._reconnection = Reconnection(process_exception, backoff, _SILENT)
        # There is a connection, or there will be none any more.
        self._usable = asyncio.Event()
        self._leaving = asyncio.Event()
        # The task that connects, while it does.
        self._connecting: asyncio.Task[Any] | None = None

    async def run(self) -> ExitStatus:
        """
        Converse until the end; tell how it came.
        """
        try:
            while True:
                status, delay = await self._attempt()
                self.begun.set()
                if delay is None or self._leaving.is_set():
                    return status
                self.face.waiting(delay)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._leaving.wait()
                        return status
        finally:
            self.begun.set()
            self._leaving.set()
            self._usable.set()

    async def _attempt(self) -> tuple[ExitStatus, float | None]:
        """
        Connect, and converse until the connection ends.

        Returns:
            How that was, and seconds until another attempt, if there is to be one.
        """
        loop = asyncio.get_running_loop()
        self._connecting = asyncio.current_task()
        try:
            async with self.target.connect(**self.options) as connection:
                self._connecting = None
                self._reconnection.opened(loop.time())
                end = await self._read(connection)
        except asyncio.CancelledError:
            if self._connecting is None or not self._leaving.is_set():
                raise
            self._connecting.uncancel()
            return ExitStatus.CANNOT_CONNECT, None
        except CONNECT_ERRORS as exc:
            self.face.failed(exc)
            again = self.reconnect and process_exception(exc) is None
            delay = self._reconnection.failed(exc) if again else None
            return ExitStatus.CANNOT_CONNECT, delay
        finally:
            self._connecting = None
        again = self.reconnect and not self._leaving.is_set()
        delay = self._reconnection.ended(end, loop.time()) if again else None
        return self._status(connection), delay

    async def _read(self, connection: ClientConnection) -> ConnectionClosed:
        """
        Receive until the connection is closed; return how it was.
        """
        self.connection = connection
        self.face.opened(connection)
        self.begun.set()
        self._usable.set()
        try:
            while True:
                await self.face.received(await connection.recv())
        except ConnectionClosed as exc:
            return exc
        finally:
            self.connection = None
            self._usable.clear()
            if connection.close_code is not None:
                self.face.closed(closing_of(connection))

    def _status(self, connection: ClientConnection) -> ExitStatus:
        """
        Tell how a connection ended, as an exit status.
        """
        code = closing_of(connection).code
        if code == CloseCode.ABNORMAL_CLOSURE:
            return ExitStatus.LOST
        if self._leaving.is_set() or code in _NORMAL:
            return ExitStatus.OK
        return ExitStatus.CLOSED

    async def send(self, message: Data) -> bool:
        """
        Send a message, once there is a connection; return whether it was sent.
        """
        while True:
            await self._usable.wait()
            connection = self.connection
            if connection is None:
                return False
            try:
                await connection.send(message)
            except ConnectionClosed:
                if not self.reconnect or self._leaving.is_set():
                    return False
                # The task that reads notices, too, and makes the next one.
                await connection.wait_closed()
                await asyncio.sleep(0)
            else:
                return True

    async def leave(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> None:
        """
        Close the connection, and make no other.

        Raises:
            ProtocolError: The code or the reason cannot be sent.
        """
        self._leaving.set()
        if self._connecting is not None:
            self._connecting.cancel()
        elif self.connection is not None:
            try:
                await self.connection.close(code, reason)
            except ProtocolError:
                self._leaving.clear()
                raise


def closing_of(connection: ClientConnection) -> Close:
    """
    Return the close code and the close reason of a connection.
    """
    code = connection.close_code
    assert code is not None
    return Close(code, connection.close_reason or "")
