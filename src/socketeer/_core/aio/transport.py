"""
A transport of our own for stream sockets: TCP and Unix.

It reads into the receive buffer that all connections share and writes from the
outbox without copies; a loop's own transport makes an object of each read and
each write. It needs ``loop.add_reader()``, and behaves as the loop's transports
do under partial writes, errors, and the end of the stream in either direction.

The file descriptor is the socket's: it is closed by the socket and in one
place, after the loop has forgotten it. A descriptor that a loop still watches
may be used again for another file, which brings down uvloop.
"""

from __future__ import annotations

import collections
import os
from asyncio.trsock import TransportSocket

from .sockets import pending_error, read_into, write_bytes, write_outbox, write_vector
from .wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from ..outbox import Outbox
    from .turn import Member, Turn

__all__ = ["SocketTransport"]

# A peer that sends more control frames than this at once is read from in small
# pieces, in bytes: a flood of them must not keep others waiting. Messages do not: they
# fill a queue, and nothing is read while that is full.
_MANY_CONTROLS = 256
_LITTLE = 4096


class SocketTransport(Wire):
    """
    Reads from and writes to a connected, non-blocking stream socket.

    Also has the public methods of :class:`asyncio.Transport`, for those who use
    the ``transport`` attribute of a connection.

    Args:
        turn: The shared state of the loop's connections.
        sock: The socket; it belongs to the transport from now on.
        member: Whom to pass on what is read.
        high: Pause writing when more bytes than this wait.
        low: Resume writing when at most this many bytes wait.
        peername: The address of the peer.
    """

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_closing",
        "_eof_due",
        "_fd",
        "_high",
        "_low",
        "_most",
        "_peername",
        "_reading",
        "_sock",
        "_sockname",
        "_turn",
        "_watching",
        "_wrote",
    )

    def __init__(
        self,
        turn: Turn,
        sock: socket.socket,
        member: Member,
        high: int,
        low: int,
        peername: object,
    ) -> None:
        Wire.__init__(self, member)
        self._turn = turn
        # A socket; None at the end, when the file descriptor is -1.
        self._sock: Any = sock
        self._fd = sock.fileno()
        self._high = high
        self._low = low
        # What waits to be written: a deque of pairs, bytes and whether they are
        # shared; None if nothing waits.
        self._backlog: Any = None
        self._backlog_size = 0
        self._closing = False
        self._eof_due = False
        self._reading = False
        # Bytes that the next read takes at most; 0 for no limit but the buffer's.
        self._most = 0
        self._watching = False
        # Whether something was written since the last read, so without an error.
        self._wrote = False
        # The socket cannot tell it when the peer has gone.
        self._peername = peername
        # Asked for at the end: the socket knows it.
        self._sockname: object = None

    def start(self) -> None:
        """
        Start reading.
        """
        self.resume_reading()

    # Reading.

    def _readable(self) -> None:
        """
        Take the loop's call: there is something to read.
        """
        turn = self._turn
        turn.in_callback = True
        try:
            self.read_once()
        finally:
            turn.in_callback = False

    def read_once(self) -> None:
        """
        Read once; the loop calls again if there is more.
        """
        turn = self._turn
        try:
            size = read_into(self._sock, self._fd, turn.buffer, self._most)
        except OSError as exc:
            self._break(exc)
            return
        if size > 0:
            self._wrote = False
            self.take_in(turn.buffer, size)
            member = self.member
            if member is not None:
                self._most = _LITTLE if member.controls > _MANY_CONTROLS else 0
            if turn.stops_at_errors and not self._writes_soon() and self._fd >= 0:
                # libuv stops watching a socket that has an error, though there was
                # something to read first. Nothing was written that told.
                error = pending_error(self._sock, self._fd)
                if error:
                    self._read_rest(error)
        elif size == 0:
            self.take_eof()

    def _writes_soon(self) -> bool:
        """
        Tell whether the socket was written to since the last read, or is about to be.
        """
        return self._wrote or (
            self.member is not None and (self.member.dirty or self.member.postponed)
        )

    def _read_rest(self, error: int) -> None:
        """
        Pass on what was received before an error, then the error.
        """
        buffer = self._turn.buffer
        while self._fd >= 0:
            try:
                size = read_into(self._sock, self._fd, buffer, 0)
            except OSError:
                break
            if size <= 0:
                break
            self.take_in(buffer, size)
        self._break(OSError(error, os.strerror(error)))

    def take_in(self, data: bytearray, size: int) -> None:
        """
        Pass on what was read.
        """
        if self.member is not None:
            self.member.received(data, size)

    def take_eof(self) -> None:
        """
        Pass on the end of the peer's bytes, then close.
        """
        self._stop_reading()
        if self.member is not None:
            self.member.ended()
        self.close()

    def pause_reading(self) -> None:
        if not self._closing:
            self._stop_reading()

    def resume_reading(self) -> None:
        if not self._closing and not self._reading:
            self._reading = True
            self._turn.loop.add_reader(self._fd, self._readable)

    def _stop_reading(self) -> None:
        """
        Make the loop forget to watch for input.
        """
        if self._reading:
            self._reading = False
            self._turn.loop.remove_reader(self._fd)

    def is_reading(self) -> bool:
        """
        Tell whether the transport reads.
        """
        return self._reading

    # Writing.

    def write_outbox(self, outbox: Outbox) -> None:
        if self._fd < 0 or self._eof_due:
            return
        if self._backlog_size:
            self._put(outbox.tail(0), False)
            return
        try:
            size = write_outbox(self._sock, self._fd, outbox)
        except OSError as exc:
            self._break(exc)
            return
        self._wrote = True
        if size < outbox.size:
            self._put(outbox.tail(size), False)

    def write_shared(self, frame: bytes) -> None:
        self._write_bytes(frame, True)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """
        Write bytes, as :meth:`asyncio.WriteTransport.write` does.
        """
        self._write_bytes(bytes(data), False)

    def writelines(self, chunks: list[bytes]) -> None:
        """
        Write several pieces of data.
        """
        self.write(b"".join(chunks))

    def _write_bytes(self, data: bytes, shared: bool) -> None:
        """
        Write bytes now or as soon as the peer takes them.
        """
        if self._fd < 0 or self._eof_due or not data:
            return
        if self._backlog_size:
            self._put(data, shared)
            return
        try:
            size = write_bytes(self._sock, self._fd, data)
        except OSError as exc:
            self._break(exc)
            return
        if size == 0:
            self._put(data, shared)
        elif size < len(data):
            self._put(memoryview(data)[size:], False)

    def _put(self, data: bytes | memoryview, shared: bool) -> None:
        """
        Let data wait until the socket can be written to.
        """
        if self._backlog is None:
            self._backlog = collections.deque()
        self._backlog.append((data, shared))
        self._backlog_size += len(data)
        if not self._watching:
            self._watching = True
            self._turn.loop.add_writer(self._fd, self._writable)
        if self._backlog_size > self._high and not self.paused:
            self.paused = True
            if self.member is not None:
                self.member.pause_writing()

    def _writable(self) -> None:
        """
        Write what waits.
        """
        chunks = [data for data, _ in self._backlog]
        try:
            size = write_vector(self._sock, chunks)
        except OSError as exc:
            self._break(exc)
            return
        self._consume(size)
        if not self._backlog_size:
            self._finish_writing()
        if self.paused and self._backlog_size <= self._low:
            self.paused = False
            if self.member is not None:
                self.member.resume_writing()

    def _finish_writing(self) -> None:
        """
        Do what had to wait for the backlog: there is none any more.
        """
        self._stop_watching()
        if self._eof_due:
            self._shut_down()
        if self._closing:
            self._lose(None)

    def _consume(self, size: int) -> None:
        """
        Forget the first bytes of the backlog: they were written.
        """
        backlog = self._backlog
        self._backlog_size -= size
        while size:
            data, _ = backlog.popleft()
            if len(data) > size:
                # Begun: it cannot be dropped any more.
                backlog.appendleft((memoryview(data)[size:], False))
                return
            size -= len(data)
        if not backlog:
            self._backlog = None

    def _stop_watching(self) -> None:
        """
        Make the loop forget to watch for room to write.
        """
        if self._watching:
            self._watching = False
            self._turn.loop.remove_writer(self._fd)

    def backlog(self) -> int:
        return self._backlog_size

    def drop_shared(self) -> int:
        if self._backlog is None:
            return 0
        kept = [item for item in self._backlog if not item[1]]
        dropped = len(self._backlog) - len(kept)
        self._backlog = collections.deque(kept) if kept else None
        self._backlog_size = sum([len(data) for data, _ in kept])
        if not kept:
            self._writable_again()
        return dropped

    def _writable_again(self) -> None:
        """
        Get out of the backlog: all of it was dropped.
        """
        self._finish_writing()
        if self.paused:
            self.paused = False
            self._turn.loop.call_soon(self._resume_member)

    def _resume_member(self) -> None:
        """
        Let the member write again, unless it was paused again.
        """
        if not self.paused and self.member is not None:
            self.member.resume_writing()

    # Closing.

    def finish(self) -> None:
        self.write_eof()

    def can_write_eof(self) -> bool:
        """
        Tell whether :meth:`write_eof` is supported: it is.
        """
        return True

    def write_eof(self) -> None:
        """
        Half-close behind what was written.
        """
        if self._fd < 0 or self._eof_due:
            return
        self._eof_due = True
        if not self._backlog_size:
            self._shut_down()

    def _shut_down(self) -> None:
        """
        Half-close the socket.
        """
        try:
            self._sock.shutdown(1)  # SHUT_WR
        except OSError as exc:
            self._break(exc)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._stop_reading()
        if not self._backlog_size:
            self._lose(None)

    def abort(self) -> None:
        self._break(None)

    def is_closing(self) -> bool:
        """
        Tell whether the transport is closing or closed.
        """
        return self._closing

    def _break(self, exc: Exception | None) -> None:
        """
        Give the connection up: what waits is lost.
        """
        self._closing = True
        self._backlog = None
        self._backlog_size = 0
        self._lose(exc)

    def _lose(self, exc: Exception | None) -> None:
        """
        Forget the file descriptor, and tell the member soon.
        """
        if self._fd < 0:
            return
        self._stop_reading()
        self._stop_watching()
        self._fd = -1
        self._turn.loop.call_soon(self._tell_lost, exc)

    def _tell_lost(self, exc: Exception | None) -> None:
        """
        Close the socket and tell the member.
        """
        sock = self._sock
        self._sockname = sock.getsockname()
        self._sock = None
        sock.close()
        member = self.member
        self.member = None
        if member is not None:
            member.lost_connection(exc)

    # The rest of asyncio.Transport.

    def get_extra_info(self, name: str, default: object = None) -> object:
        """
        Return ``"sockname"``, ``"peername"`` or ``"socket"``.

        The socket is a facade that cannot be closed or read from.
        """
        if name == "socket":
            return default if self._sock is None else TransportSocket(self._sock)
        if name == "peername":
            return default if self._peername is None else self._peername
        if name == "sockname":
            if self._sock is not None:
                return self._sock.getsockname()
            return default if self._sockname is None else self._sockname
        return default

    def get_write_buffer_size(self) -> int:
        """
        Return how many bytes wait to be written.
        """
        return self._backlog_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """
        Return the low and the high mark of the write buffer.
        """
        return self._low, self._high

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """
        Set the marks of the write buffer, in bytes.
        """
        if high is None:
            high = 4 * low if low is not None else 65536
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high = high
        self._low = low

    def get_protocol(self) -> object:
        """
        Return the member.
        """
        return self.member

    def set_protocol(self, protocol: object) -> None:
        """
        Refuse: a connection keeps its transport for life.
        """
        raise NotImplementedError("the protocol of a connection cannot be changed")
