"""
The part of a link that writes, and that ends it.

Writing is non-blocking and happens under the lock. What the socket does not take is
kept: there is no more than a message of each thread that sends, since these wait.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, cast

from .._links import BaseLink, MaskingKeys
from ..protocol import Protocol
from .stream import DONT_WAIT, wait_for
from .watch import WATCH

if TYPE_CHECKING:
    from .._tls import TLS
    from .link import Link

__all__ = ["Writer"]


class Writer(BaseLink):
    """
    A session with a socket to write to.

    Args:
        sock: A connected socket; it belongs to the link from now on.
        protocol: The opening handshake, with the limits.

    Attributes:
        sock: The socket.
        tls: TLS on the socket, if so.
        lock: Guards everything here.
        changed: Notified when the connection is lost.
        watched: For which events the watch looks at the socket.
    """

    __slots__ = (
        "_away",
        "_broken",
        "_eof_written",
        "_unsent",
        "changed",
        "lock",
        "sock",
        "tls",
        "watched",
    )

    def __init__(self, sock: socket.socket, protocol: Protocol) -> None:
        BaseLink.__init__(self, protocol, MaskingKeys(os.urandom), time.monotonic)
        self.sock = sock
        self.tls: TLS | None = None
        # A signal handler may interrupt a thread here and use the connection.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.watched = 0
        # What the socket did not take, and whether it takes nothing any more.
        self._unsent: memoryview | None = None
        self._broken = False
        self._eof_written = False
        # How many threads wait for the socket, without the lock.
        self._away = 0

    def ask_watch(self, now: bool) -> None:
        """
        Have the watch look at the connection: see :meth:`Watch.ask`.
        """
        WATCH.ask(cast("Link", self), now)

    # Writing.

    def settle(self) -> None:
        """
        Do what follows from a change: write, and mind the deadline.
        """
        outbox = self.outbox
        if (outbox is not None and outbox.size) or self._unsent or self.wants_eof:
            self._flush()
        if self.is_timed() and not self.lost:
            self.ask_watch(True)

    def _flush(self) -> None:
        """
        Write as much as the socket takes.
        """
        while not (self.lost or self._broken):
            if self._unsent is not None:
                self._write(self._unsent)
                if self.is_congested():
                    return
                self.settle_pong()
            data = self.data_to_send()
            if not data:
                break
            if self.tls is not None:
                data = self.tls.encrypt(data)
            self._write(data)
        if self.wants_eof and not self._eof_written and self._unsent is None:
            self._write_eof()

    def _write_soon(self, data: bytes) -> None:
        """
        Write what TLS itself has to say, behind what waits.
        """
        if data:
            if self._unsent is not None:
                data = bytes(self._unsent) + data
            self._write(data)

    def _write(self, data: bytes | memoryview) -> None:
        """
        Write, and keep what the socket does not take.
        """
        if self._broken or self.lost:
            return
        try:
            sent = self.sock.send(data, DONT_WAIT)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._note_broken(exc)
            return
        if sent == len(data):
            self._unsent = None
        else:
            self._unsent = memoryview(data)[sent:]
            if not self.congested:
                self.congested = True
                self.ask_watch(True)

    def _note_broken(self, exc: OSError) -> None:
        """
        Take in that the peer does not read any more.
        """
        self._broken = True
        self._unsent = None
        self.outbox = None
        self.note_failure(exc)
        # What it has sent before is still read, such as its close frame; then
        # comes the end, for whoever reads.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)
        self.ask_watch(True)

    def _write_eof(self) -> None:
        """
        Tell the peer that nothing follows.
        """
        self._eof_written = True
        if self.tls is not None:
            self._write_soon(self.tls.end())
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def is_congested(self) -> bool:
        """
        Tell whether something waits to be written.
        """
        return self._unsent is not None and not self.lost

    def unwritten_size(self) -> int:
        """
        Return how many bytes wait to be written.
        """
        outbox = self.outbox
        return len(self._unsent or b"") + (0 if outbox is None else outbox.size)

    def drain(self) -> None:
        """
        Write, and wait until the peer has taken it; the lock is held.

        Raises:
            ConnectionClosed: The connection is lost.
        """
        self.settle()
        while self._unsent is not None and not self.lost:
            self._away += 1
            self.lock.release()
            try:
                wait_for(self.sock, selectors.EVENT_WRITE, None)
            finally:
                self.lock.acquire()
                self._away -= 1
                self.close_socket()
            self.settle()
        if self._broken or self.lost:
            self.wait_lost(None)
            raise self.closed_error()

    # The end.

    def wait_lost(self, timeout: float | None) -> bool:
        """
        Wait until the connection is lost; return whether it is.
        """
        with self.lock:
            if not (self.lost or self.receiving):
                self.ask_watch(True)
            return self.changed.wait_for(lambda: self.lost, timeout)

    def _lose(self) -> None:
        """
        Take in that the connection is over; nobody may wait for it any more.
        """
        if self.lost:
            return
        self.note_loss()
        self._unsent = None
        # Threads that wait for the socket notice.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.changed.notify_all()
        self.close_socket()
        self.ask_watch(False)

    def close_socket(self) -> None:
        """
        Close the socket, unless some thread still uses it.

        Its number could mean another socket by then. The last one closes it.
        """
        if self.lost and not self._away and not self.watched:
            self.sock.close()
