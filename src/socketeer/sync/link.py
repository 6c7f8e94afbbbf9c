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
import os
import selectors
import socket
import ssl as ssl_module
import threading
import time
from typing import TYPE_CHECKING, Any

from .._connection import message_limits
from ..exceptions import ConcurrencyError, ConnectionClosed
from ..protocol import CLIENT, CONNECTING, OPEN, Protocol
from ._cellar import MaskingKeys, Session
from .stream import DONT_WAIT, TLS, wait_for
from .watch import WATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._cellar import PreparedMessage

__all__ = ["Link"]


class Link(Session):
    """
    A session with a socket.

    Args:
        sock: A connected socket; it belongs to the link from now on.
        protocol: The opening handshake, with the limits.
        buffer_size: Bytes read at a time.

    Attributes:
        sock: The socket.
        tls: TLS on the socket, if so.
        lock: Guards everything here.
        changed: Notified when the connection is lost, or a message complete.
        lost: Whether the connection is over, and nothing will be read or written.
        receiving: Whether a thread receives.
        streaming: Whether a message was received in part, by fragments.
        fragmenting: Whether a fragmented message is being sent.
        on_lost: Called when the connection is lost.
        turns: How often a thread has received.
        turns_seen: What the watch knows of it.
        listed: Whether the watch knows that a thread has received.
        watched: For which events the watch looks at the socket.
        deadline: What the watch has noted.
    """

    __slots__ = (
        "_away",
        "_broken",
        "_buffer",
        "_buffer_size",
        "_eof_written",
        "_protocol",
        "_unsent",
        "changed",
        "deadline",
        "fragmenting",
        "listed",
        "lock",
        "lost",
        "on_lost",
        "receiving",
        "sock",
        "streaming",
        "tls",
        "turns",
        "turns_seen",
        "watched",
    )

    def __init__(
        self, sock: socket.socket, protocol: Protocol, buffer_size: int
    ) -> None:
        Session.__init__(
            self,
            protocol.side is CLIENT,
            *message_limits(protocol),
            MaskingKeys(os.urandom),
            time.monotonic,
        )
        self.sock = sock
        self.tls: TLS | None = None
        # A signal handler may interrupt a thread here and use the connection.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.lost = False
        self.receiving = False
        self.streaming = False
        self.fragmenting = False
        self.on_lost: Callable[[], object] = bool
        self.turns = 0
        self.turns_seen = -1
        self.listed = False
        self.watched = 0
        self.deadline: list[Any] | None = None
        self._protocol = protocol
        self._buffer_size = buffer_size
        self._buffer: bytearray | None = None
        # What the socket did not take, and whether it takes nothing any more.
        self._unsent: memoryview | None = None
        self._broken = False
        self._eof_written = False
        # How many threads wait for the socket, without the lock.
        self._away = 0

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
                self._parse(bytearray(data), len(data), True)
            self._leave()
            if self.next_deadline() < float("inf"):
                WATCH.ask(self, False)

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
            if self.receiving or (self.streaming and not going_on):
                raise ConcurrencyError(
                    f"cannot call {method} while another thread "
                    "is already running recv or recv_streaming"
                )
            self.receiving = True
            try:
                while (item := self._take_next(take)) is None:
                    if self.lost:
                        raise self.closed_error()
                    if self.state == CONNECTING:
                        self.require_open()
                    self._read(deadline)
            finally:
                self.receiving = False
                self._leave()
            return item

    def _take_next(self, take: Callable[[], object]) -> object:
        """
        Take something from the queue, and parse on if there is room again.
        """
        while True:
            item = take()
            if self.may_resume() and (self.halted or item is None):
                self.unhalt()
            self.settle()
            if item is not None or not self.has_items():
                return item

    def _leave(self) -> None:
        """
        Have the watch find out whether this thread comes back.
        """
        self.turns += 1
        if not self.listed and not self.lost:
            self.listed = True
            WATCH.ask(self, False)

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
            if self.lost:
                self.close_socket()
            elif size >= 0:
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
            self._parse(buffer, size, hold_close)
            return
        if self.failure is None and failure is not None:
            self.failure = failure
        self.receive_eof()
        self._flush()
        self._lose()

    def _parse(self, buffer: bytearray, size: int, hold_close: bool) -> None:
        """
        Have the session parse.

        Args:
            buffer: What was read.
            size: How much of it.
            hold_close: Whether somebody is about to receive, who may answer what
                came before a close frame.
        """
        self.hold_close = hold_close
        self.receive_data(buffer, size)
        if self.hold_close and not (self.kept_size() and self.has_items()):
            self.hold_close = False
        self.settle()

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
        return not self.receiving and (not self.halted or self.discarding)

    # Writing.

    def settle(self) -> None:
        """
        Do what follows from a change: write, and mind the deadline.
        """
        outbox = self.outbox
        if (outbox is not None and outbox.size) or self._unsent or self.wants_eof:
            self._flush()
        if self.is_timed() and not self.lost:
            WATCH.ask(self, True)

    def _flush(self) -> None:
        """
        Write as much as the socket takes.
        """
        while not (self.lost or self._broken):
            if self._unsent is not None:
                self._write(self._unsent)
                if self._unsent is not None:
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
                WATCH.ask(self, True)

    def _note_broken(self, exc: OSError) -> None:
        """
        Take in that the peer does not read any more.
        """
        self._broken = True
        self._unsent = None
        self.outbox = None
        if self.failure is None:
            self.failure = exc
        # What it has sent before is still read, such as its close frame; then
        # comes the end, for whoever reads.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)
        WATCH.ask(self, True)

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

    def backlog_size(self) -> int:
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
                if self.lost:
                    self.close_socket()
            self.settle()
        if self._broken or self.lost:
            self.wait_lost(None)
            raise self.closed_error()

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
                WATCH.ask(self, True)

    def send_prepared(self, prepared: PreparedMessage) -> None:
        """
        Send a message that goes to many connections, as :meth:`send` does.
        """
        with self.lock:
            self.require_sendable()
            frame = self.shared_frame(prepared)
            if frame is None:
                self.send_message(prepared.opcode, prepared.payload, True)
            else:
                if self.outbox is None:
                    self.outbox = self.new_outbox()
                self.outbox.add(frame)
                if self.trace is not None:
                    self.trace(">", 0x80 | prepared.opcode, prepared.payload)
            self.drain()

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
        try:
            yield
        except BaseException:
            # What was begun cannot be taken back (RFC 6455, 5.4).
            with self.lock:
                if self.state == OPEN:
                    self.fail(1011, "error in fragmented message")
                    self.settle()
            raise
        finally:
            self.fragmenting = False

    # Closing.

    def begin_close(self, code: int, reason: str) -> None:
        """
        Send a close frame, and make way for the peer's.

        Raises:
            ProtocolError: The code or the reason cannot be sent. Nothing was
                sent; the connection stays OPEN.
        """
        with self.lock:
            if self.state != OPEN:
                return
            if self.fragmenting:
                self.fail(1011, "close during fragmented message")
            else:
                self.send_close(code, reason)
            if self.halted or self.hold_close:
                self.unhalt()
            self.settle()

    def wait_lost(self, timeout: float | None) -> bool:
        """
        Wait until the connection is lost; return whether it is.
        """
        with self.lock:
            if not (self.lost or self.receiving):
                WATCH.ask(self, True)
            return self.changed.wait_for(lambda: self.lost, timeout)

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

    def _lose(self) -> None:
        """
        Take in that the connection is over; nobody may wait for it any more.
        """
        if self.lost:
            return
        self.lost = True
        self.outbox = None
        self._unsent = None
        # Threads that wait for the socket notice.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        for waiter, _ in (self.pings or {}).values():
            if waiter is not None and waiter[1]:
                waiter[0].set()
        self.pings = None
        self.changed.notify_all()
        self.close_socket()
        WATCH.ask(self, False)
        self.on_lost()

    def close_socket(self) -> None:
        """
        Close the socket, unless some thread still uses it.

        Its number could mean another socket by then. The last one closes it.
        """
        if self.lost and not self._away and not self.watched:
            self.sock.close()

    def closed_error(self) -> ConnectionClosed:
        """
        Return the exception that tells how the connection ended.
        """
        return self._protocol.close_exc

    def pong_received(self, waiter: Any, latency: float) -> None:
        waiter[0].set()
