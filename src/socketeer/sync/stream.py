"""
Blocking sockets with deadlines, and TLS on top of them.

TLS is done in memory, so that several threads can use a connection: what is read
from the socket or written to it passes through a :class:`~socketeer._tls.TLS` under
the lock of the connection.
"""

from __future__ import annotations

import math
import select
import selectors
import socket
import ssl as ssl_module
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._tls import TLS

__all__ = ["DONT_WAIT", "Stream", "wait_for"]

# Makes one call on a blocking socket return at once. Where there is no such flag,
# sockets are non-blocking, and all reading waits by itself before.
DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)

_READ_SIZE = 65_536


def wait_for(sock: socket.socket, events: int, deadline: float | None) -> bool:
    """
    Wait until a socket is ready.

    Args:
        sock: The socket.
        events: ``selectors.EVENT_READ`` or ``selectors.EVENT_WRITE``.
        deadline: When to give up; :obj:`None` for never.

    Returns:
        Whether it is ready.
    """
    timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
    if hasattr(select, "poll"):
        poll = select.poll()
        read = events == selectors.EVENT_READ
        poll.register(sock, select.POLLIN if read else select.POLLOUT)
        return bool(poll.poll(None if timeout is None else math.ceil(timeout * 1000)))
    with selectors.DefaultSelector() as selector:  # pragma: no cover - Windows
        selector.register(sock, events)
        return bool(selector.select(timeout))


class Stream:
    """
    A socket for the time before a connection is open: used by one thread.

    Args:
        sock: A connected socket.
        deadline: When all of this must be over; :obj:`None` for never.
        tls: TLS on the socket, if so.
    """

    def __init__(
        self, sock: socket.socket, deadline: float | None, tls: TLS | None = None
    ) -> None:
        self.sock = sock
        self.deadline = deadline
        self.tls = tls

    def start_tls(self, tls: TLS) -> None:
        """
        Do a TLS handshake.

        Raises:
            ssl.SSLError: It failed.
            TimeoutError: It took too long.
            OSError: The connection is broken.
        """
        while True:
            try:
                over = tls.handshake()
            except ssl_module.SSLError:
                # The peer is told why.
                self._send(tls.output())
                raise
            self._send(tls.output())
            if over:
                break
            tls.feed(self._receive())
        self.tls = tls

    def send(self, data: bytes) -> None:
        """
        Send all of the data.

        Raises:
            TimeoutError: It took too long.
            OSError: The connection is broken.
        """
        self._send(data if self.tls is None else self.tls.encrypt(data))

    def receive(self) -> bytes:
        """
        Return what the peer has sent; nothing if that was all.

        Raises:
            TimeoutError: It took too long.
            OSError: The connection is broken.
        """
        if self.tls is None:
            return self._receive()
        # What followed the TLS handshake is here already.
        while (data := self.tls.read()) == b"":
            self._send(self.tls.output())
            self.tls.feed(self._receive())
        return data or b""

    def _send(self, data: bytes) -> None:
        """
        Write to the socket.
        """
        rest = memoryview(data)
        while rest:
            self._wait(selectors.EVENT_WRITE)
            try:
                rest = rest[self.sock.send(rest, DONT_WAIT) :]
            except BlockingIOError:
                continue

    def _receive(self) -> bytes:
        """
        Read from the socket.
        """
        self._wait(selectors.EVENT_READ)
        return self.sock.recv(_READ_SIZE)

    def _wait(self, events: int) -> None:
        """
        Wait until the socket is ready.
        """
        if not wait_for(self.sock, events, self.deadline):
            raise TimeoutError("timed out")

    def drain(self, receive: Callable[[bytes], object]) -> None:
        """
        Read until the peer's last byte, or until the deadline.
        """
        try:
            while data := self.receive():
                receive(data)
        except OSError:
            return
