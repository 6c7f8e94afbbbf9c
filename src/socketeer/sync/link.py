"""
A session with a socket, and the threads that use it.

One lock guards the session; nobody blocks while holding it. Writing is non-blocking
and happens under the lock, so frames leave whole and in order; who sends waits
afterwards, without the lock, until the peer has taken what was written. At any time
one thread at most reads from the socket: the one that receives, or else the watch
(:mod:`.watch`). It reads without the lock and has the session parse what came.
"""

from __future__ import annotations

import contextlib
import selectors
import ssl as ssl_module
import time
from typing import TYPE_CHECKING

from ..exceptions import ConcurrencyError
from ..protocol import CONNECTING, OPEN, Protocol
from .stream import DONT_WAIT, wait_for
from .writing import Writer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from .._links import PreparedMessage

__all__ = ["Link"]


class Link(Writer):
    """
    A session with a socket, and the threads that receive from it and send to it.

    Args:
        sock: A connected socket; it belongs to the link from now on.
        protocol: The opening handshake, with the limits.
        buffer_size: Bytes read at a time.

    Attributes:
        turns: How often a thread has received.
        turns_seen: What the watch knows of it.
        listed: Whether the watch knows that a thread has received.
    """

    __slots__ = (
        "_buffer",
        "_buffer_size",
        "listed",
        "turns",
        "turns_seen",
    )

    def __init__(
        self, sock: socket.socket, protocol: Protocol, buffer_size: int
    ) -> None:
        Writer.__init__(self, sock, protocol)
        self.turns = 0
        self.turns_seen = -1
        self.listed = False
        self._buffer_size = buffer_size
        self._buffer: bytearray | None = None

    def open(self, data: bytes) -> None:
        """
        Let the session take over from the opening handshake.

        Args:
            data: What was read beyond it.
        """
        with self.lock:
            self.start()
            if data:
                # Nobody had the time to receive yet.
                self.parse(bytearray(data), len(data), True)
                self.settle()
            self._leave()
            if self.next_deadline() < float("inf"):
                self.ask_watch(False)

    # Reading.

    def receive(
        self,
        method: str,
        take: Callable[[], object],
        timeout: float | None,
        going_on: bool = False,
    ) -> object:
        """
        Take something from the queue; read until there is something.

        Args:
            method: What the user has called.
            take: Takes it, or returns :obj:`None`.
            timeout: Seconds to wait at most; :obj:`None` for ever.
            going_on: Whether the caller received the fragments before.

        Raises:
            TimeoutError: It took too long.
            ConcurrencyError: Another thread receives.
            ConnectionClosed: Nothing will come.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self.lock:
            if self.receiving or self.streaming:
                self.check_receiver(method, "thread", going_on)
            self.receiving = True
            try:
                while (item := self.take_next(take)) is None:
                    if self.lost:
                        raise self.closed_error()
                    if self.state == CONNECTING:
                        self.require_open()
                    self._read(deadline)
            finally:
                self.receiving = False
                self._leave()
            return item

    def _leave(self) -> None:
        """
        Have the watch find out whether this thread comes back.
        """
        self.turns += 1
        if not self.listed and not self.lost:
            self.listed = True
            self.ask_watch(False)

    def _read(self, deadline: float | None) -> None:
        """
        Read once, without the lock.

        Raises:
            TimeoutError: It took too long.
        """
        if self._buffer is None:
            self._buffer = bytearray(self._buffer_size)
        failure: OSError | None = None
        size = -1
        self._away += 1
        self.lock.release()
        try:
            if (deadline is None and DONT_WAIT) or wait_for(
                self.sock, selectors.EVENT_READ, deadline
            ):
                size = self.sock.recv_into(self._buffer)
        except OSError as exc:
            failure = exc
            size = 0
        finally:
            self.lock.acquire()
            self._away -= 1
            self.close_socket()
            if size >= 0 and not self.lost:
                self._take_in(self._buffer, size, failure, True)
        if size < 0 and not self.lost:
            raise TimeoutError("timed out while waiting for a message")

    def read_now(self, buffer: bytearray) -> None:
        """
        Read what is there, for the watch.
        """
        try:
            size = self.sock.recv_into(buffer, 0, DONT_WAIT)
        except BlockingIOError:
            return
        except OSError as exc:
            self._take_in(buffer, 0, exc, False)
        else:
            self._take_in(buffer, size, None, False)

    def _take_in(
        self, buffer: bytearray, size: int, failure: OSError | None, hold_close: bool
    ) -> None:
        """
        Have the session parse what was read.
        """
        if self.tls is not None and size:
            try:
                plain = self.tls.decrypt(bytes(memoryview(buffer)[:size]))
            except ssl_module.SSLError as exc:
                failure = exc
                plain = None
            self._write_soon(self.tls.output())
            if plain == b"":
                return
            buffer = bytearray(plain or b"")
            size = len(buffer)
        if size:
            self.parse(buffer, size, hold_close)
            self.settle()
            return
        if failure is not None:
            self.note_failure(failure)
        if self.hold_close:
            # A close frame was kept for who received, and does so no more.
            self.unhalt()
        self.receive_eof()
        self._flush()
        self._lose()

    def release_close(self) -> None:
        """
        Go on with a close frame that was kept for who received.
        """
        if self.hold_close and not self.halted and not self.lost:
            self.unhalt()
            self.settle()

    def is_unattended(self) -> bool:
        """
        Tell whether the watch has to read.
        """
        # Of a peer that cannot be written to, no more comes than is here already;
        # behind it is the end, for which others may wait.
        return not self.receiving and (
            not self.halted or self.discarding or self._broken
        )

    # Sending.

    def send(self, opcode: int, payload: bytes | str, compress: bool) -> None:
        """
        Send an unfragmented message; wait while the peer is slower than we are.
        """
        with self.lock:
            if self.state != OPEN or self.fragmenting or self._unsent is not None:
                self.require_sendable()
            self.send_message(opcode, payload, compress)
            self.settle()
            if self._unsent is not None or self._broken:
                self.drain()

    def send_one(self, opcode: int, payload: bytes, fin: bool, compress: bool) -> None:
        """
        Send a fragment, unless the connection has been closed meanwhile.
        """
        with self.lock:
            self._wait_sendable()
            self.send_fragment(opcode, payload, fin, compress)
            self.drain()

    def send_control(self, send: Callable[[], object]) -> None:
        """
        Send a control frame, which may stand between fragments.
        """
        with self.lock:
            self._wait_sendable()
            send()
            self.drain()
            if not self.receiving:
                # For its pong.
                self.ask_watch(True)

    def send_prepared(self, prepared: PreparedMessage) -> None:
        """
        Send a message that goes to many connections, as :meth:`send` does.
        """
        with self.lock:
            self.require_sendable()
            self.add_prepared(prepared)
            self.drain()

    def offer(
        self, prepared: PreparedMessage, max_backlog: int, on_overflow: str
    ) -> bool:
        """
        Send a prepared message without waiting, from whatever thread.
        """
        with self.lock:
            return super().offer(prepared, max_backlog, on_overflow)

    def require_sendable(self) -> None:
        """
        Wait until a message can be sent.

        Raises:
            ConcurrencyError: A fragmented message is being sent.
            ConnectionClosed: The connection is not OPEN.
        """
        self._wait_sendable()
        if self.fragmenting:
            raise ConcurrencyError(
                "cannot call send while another thread is already running send"
            )

    def _wait_sendable(self) -> None:
        """
        Wait until a frame can be sent: the peer has taken the last ones.

        Raises:
            ConnectionClosed: The connection is not OPEN. If it is CLOSING, this
                waits until it is CLOSED, so that the error tells both codes.
        """
        if self.state == OPEN and self._unsent is not None:
            self.drain()
        if self.state == CONNECTING:
            self.require_open()
        if self.state != OPEN:
            self.wait_lost(None)
            raise self.closed_error()

    @contextlib.contextmanager
    def fragments(self) -> Iterator[None]:
        """
        Keep other messages out while a fragmented one is being sent.
        """
        with self.lock:
            self.require_sendable()
            self.fragmenting = True
        failed = True
        try:
            yield
            failed = False
        finally:
            with self.lock:
                self.end_fragments(failed)

    # Closing.

    def begin_close(self, code: int, reason: str) -> None:
        """
        Do so from whatever thread.
        """
        with self.lock:
            super().begin_close(code, reason)

    def do_what_is_due(self, now: float) -> None:
        """
        Take in that a deadline has passed, for the watch.
        """
        if now < self.next_deadline():
            return
        if self.advance(now):
            self.settle()
        else:
            self.abort(TimeoutError("timed out while closing connection"))

    def abort(self, exc: Exception | None) -> None:
        """
        Cut the connection.
        """
        with self.lock:
            if exc is not None:
                self.failure = exc
            self.receive_eof()
            self._lose()

    def break_off(self, exc: Exception) -> None:
        """
        Cut the connection because of an error that is neither ours nor the peer's:
        of an extension, say. The watch must not end of it.
        """
        self._protocol.logger.error("connection failed", exc_info=exc)
        self.abort(exc)
