"""
Blocking sockets with deadlines, and TLS on top of them.

TLS is done in memory, so that several threads can use a connection: what is read
from the socket or written to it passes through a :class:`TLS` under the lock of the
connection. One may stand on another, as behind a proxy that speaks TLS itself.
"""

from __future__ import annotations

import contextlib
import math
import select
import selectors
import socket
import ssl as ssl_module
import time
from collections.abc import Callable

__all__ = ["DONT_WAIT", "TLS", "Stream", "wait_for"]

# Makes one call on a blocking socket return at once. Where there is no such flag,
# sockets are non-blocking, and all reading waits by itself before.
DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)

_READ_SIZE = 65_536

# Bytes of plain text taken from TLS at a time.
_RECORDS = 65_536


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


class TLS:
    """
    One end of TLS, without I/O.

    Args:
        context: The TLS context.
        server_side: Whether this is the server's end.
        server_hostname: Name that the server's certificate must bear.
        outer: TLS in which this one is wrapped, if so.
    """

    def __init__(
        self,
        context: ssl_module.SSLContext,
        server_side: bool,
        server_hostname: str | None,
        outer: TLS | None = None,
    ) -> None:
        self._received = ssl_module.MemoryBIO()
        self._to_send = ssl_module.MemoryBIO()
        self.object: ssl_module.SSLObject = context.wrap_bio(
            self._received,
            self._to_send,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        self.outer = outer

    def handshake(self) -> bool:
        """
        Go on with the TLS handshake; return whether it is over.

        Raises:
            ssl.SSLError: It failed.
        """
        try:
            self.object.do_handshake()
        except ssl_module.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> bytes:
        """
        Return what to write to the socket so that the peer gets ``data``.
        """
        if data:
            self.object.write(data)
        return self.output()

    def output(self) -> bytes:
        """
        Return what to write to the socket for TLS itself.
        """
        data = self._to_send.read()
        return data if self.outer is None else self.outer.encrypt(data)

    def feed(self, data: bytes) -> None:
        """
        Take in what was read from the socket; nothing if that was the end.
        """
        if self.outer is not None and data:
            plain = self.outer.decrypt(data)
            if plain == b"":
                return
            data = plain or b""
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()

    def decrypt(self, data: bytes) -> bytes | None:
        """
        Take in what was read from the socket, and return as :meth:`read` does.
        """
        self.feed(data)
        return self.read()

    def read(self) -> bytes | None:
        """
        Return what the peer sent, maybe nothing yet; :obj:`None` if that was all.

        Raises:
            ssl.SSLError: The peer violates TLS.
        """
        pieces: list[bytes] = []
        try:
            while piece := self.object.read(_RECORDS):
                pieces.append(piece)
        except ssl_module.SSLWantReadError:
            return b"".join(pieces)
        except ssl_module.SSLEOFError:
            if not pieces:
                raise
            return b"".join(pieces)
        except ssl_module.SSLZeroReturnError:
            pass
        return b"".join(pieces) or None

    def end(self) -> bytes:
        """
        Return what to write to the socket after the last byte.
        """
        # The peer has not said the same yet; that is not waited for.
        with contextlib.suppress(ssl_module.SSLError):
            self.object.unwrap()
        return self.output()


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
