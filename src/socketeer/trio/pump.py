"""
The link between a session and a trio stream: who waits, what moves the bytes.

Two tasks belong to a connection, besides its users': one reads and minds the
time, the other one writes. Nobody else touches the stream, so that canceling a
user's task can neither tear a frame apart nor lose a part of one: whoever sends
puts a whole frame into the outbox, which takes no time, and waits afterwards;
whoever receives takes a message from the queue as the last thing it does.

The two tasks end with the connection. The stream is closed then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from .._links import BaseLink
from ..protocol import CLOSED, CONNECTING, OPEN, Protocol

if TYPE_CHECKING:
    from .._links import MaskingKeys

__all__ = ["Pump", "end_stream", "end_tls"]

_NEVER = float("inf")

# Senders wait while more than the first number of bytes waits to be written,
# until it is no more than the second one.
_WRITE_HIGH = 2**15
_WRITE_LOW = 2**13

# Seconds for which a close frame waits for the receiver to answer the messages
# that came right before it.
_PATIENCE = 1.0

# Seconds to get what was sent out when the connection's tasks are canceled.
_LAST_WORDS = 0.1

# Seconds for what is left to do after the peer's last byte, at least.
_GRACE = 1.0


class Pump(BaseLink):
    """
    A session with a stream, and the tasks that wait for it.

    Args:
        stream: What to read from and write to.
        protocol: The opening handshake, with the limits.
        masking_keys: Where masking keys and ping payloads come from.

    Attributes:
        closed: Set when the stream is closed.
    """

    __slots__ = (
        "_arrivals",
        "_being_written",
        "_fragments_over",
        "_held_until",
        "_life",
        "_reading",
        "_resumed",
        "_room",
        "_stopped",
        "_work",
        "_writing",
        "closed",
        "stream",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        protocol: Protocol,
        masking_keys: MaskingKeys,
    ) -> None:
        BaseLink.__init__(self, protocol, masking_keys, trio.current_time)
        self.stream = stream
        self.closed = trio.Event()
        # Where tasks wait: for a message, to send while the peer is slow, for
        # the end of a fragmented message, to read on, for something to write.
        self._arrivals = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._fragments_over = trio.lowlevel.ParkingLot()
        self._resumed = trio.lowlevel.ParkingLot()
        self._work = trio.lowlevel.ParkingLot()
        # The scope of the connection's tasks, and that of reading, whose
        # deadline is the session's.
        self._life = trio.CancelScope()
        self._reading = trio.CancelScope()
        # That of writing, which goes on for a moment when the others are canceled:
        # for the rest of a frame, and for the close frame.
        self._writing = trio.CancelScope(shield=True)
        self._held_until = _NEVER
        # Bytes which the writer has taken from the outbox.
        self._being_written = 0
        # Where there is no half-close, as in TLS, reading stops before the end.
        self._stopped = False

    # Life.

    def open(self, nursery: Any, response: bytes, data: bytes) -> None:
        """
        Let the session take over from the opening handshake.

        Args:
            nursery: Where the connection's tasks run.
            response: What is still to be written of the handshake.
            data: What was read beyond it.
        """
        if response:
            self.add_raw(response)
        self.start()
        if data:
            # Nobody had the time to receive yet.
            self._take_in(data, True)
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        """
        Move bytes until the connection is over; close the stream.
        """
        try:
            with self._life:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    try:
                        await self._read()
                    finally:
                        self._end_writing()
                if isinstance(self.stream, trio.SSLStream):
                    await end_tls(self.stream)
        except Exception as exc:
            # Of a stream that is not trio's: anything may come from it.
            self._note(exc)
            self._protocol.logger.exception("connection failed")
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)
            self._lose()

    def _end_writing(self) -> None:
        """
        Limit the time to write what is left: nothing is read any more.
        """
        if self.state == CLOSED or self._stopped:
            deadline = self._last_deadline()
        else:
            # Canceled, and there is no time. From outside, that is: the program
            # ends, or the server.
            deadline = trio.current_time() + _LAST_WORDS
            if self.state == OPEN:
                self.fail(1001)
            self.receive_eof()
            self.push()
        self._life.deadline = self._writing.deadline = deadline

    def _last_deadline(self) -> float:
        """
        Return when to cut the connection after the peer's last byte.
        """
        if self.close_due_at < _NEVER:
            return self.close_due_at
        return trio.current_time() + max(self.close_timeout, _GRACE)

    async def abandon(self) -> None:
        """
        End the connection whatever happens; it takes no longer than a moment.
        """
        self._life.cancel()
        with trio.CancelScope(shield=True):
            if self.state == CONNECTING:
                # The task that would do this does not run yet.
                self._lose()
                await trio.aclose_forcefully(self.stream)
            await self.closed.wait()

    def _note(self, exc: Exception) -> None:
        """
        Remember why the connection ended: below trio's own errors, if so.
        """
        cause = exc.__cause__
        self.note_failure(cause if isinstance(cause, OSError) else exc)

    def _lose(self) -> None:
        """
        Take in that the stream is gone: nobody may wait for it any more.
        """
        if self.lost:
            return
        self.receive_eof()
        self.note_loss()
        self._being_written = 0
        for lot in (self._arrivals, self._room, self._fragments_over):
            lot.unpark_all()
        self.closed.set()

    # Reading.

    async def _read(self) -> None:
        """
        Read until the peer's last byte, or as long as that makes sense.
        """
        while not self._stopped and self.state != CLOSED:
            with trio.CancelScope(deadline=self._deadline()) as self._reading:
                await self._read_on()
            if self._reading.cancelled_caught and not self._stopped:
                self._advance()

    async def _read_on(self) -> None:
        """
        Read until the peer's last byte.
        """
        while self.state != CLOSED:
            if self._is_paused():
                await self._resumed.park()
                continue
            try:
                data = await self.stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._note(exc)
                data = b""
            if data:
                somebody_waits = bool(self._arrivals)
                self._take_in(data, somebody_waits)
                if somebody_waits and not self._arrivals:
                    # Who was woken answers before what comes next can fail the
                    # connection: trio runs tasks in an order drawn by chance.
                    await trio.lowlevel.checkpoint()
            else:
                self.receive_eof()
                self.settle()

    def _is_paused(self) -> bool:
        """
        Tell whether to read no more for now.
        """
        return (self.halted or self.hold_close) and not self.discarding

    def _take_in(self, data: bytes | bytearray, hold_close: bool) -> None:
        """
        Parse what was read, and wake who waits for it.

        Args:
            data: What was read.
            hold_close: Whether somebody is about to receive, who may answer
                what came before a close frame.
        """
        self.parse(bytearray(data), len(data), hold_close)
        if self.hold_close:
            self._held_until = trio.current_time() + _PATIENCE
        self.settle()

    def _deadline(self) -> float:
        """
        Return when :meth:`_advance` is to be called next.
        """
        return min(self.next_deadline(), self._held_until)

    def _advance(self) -> None:
        """
        Do what is due.
        """
        now = trio.current_time()
        if now >= self._held_until:
            self.release()
        if now >= self.next_deadline() and not self.advance(now):
            self._note(TimeoutError("timed out while closing connection"))
            self._life.cancel()
        self.settle()

    def release(self) -> None:  # noqa: D102 - inherited
        self._held_until = _NEVER
        super().release()

    def settle(self) -> None:
        """
        Do what follows from a change: wake those whom it concerns.
        """
        if self._unwritten() or self.wants_eof:
            self.push()
        if self._arrivals and self.has_items():
            self._arrivals.unpark()
        if self._resumed and not self._is_paused():
            self._resumed.unpark()
        deadline = self._deadline()
        if deadline != self._reading.deadline:
            self._reading.deadline = deadline

    # Writing.

    def push(self) -> None:
        """
        Have the outbox written.
        """
        if self.unwritten_size() > _WRITE_HIGH:
            self.congested = True
        self._work.unpark()

    def unwritten_size(self) -> int:
        """
        Return how many bytes wait to be written.
        """
        return self._being_written + self._unwritten()

    def _unwritten(self) -> int:
        """
        Return how many bytes the writer has not taken yet.
        """
        return 0 if self.outbox is None else self.outbox.size

    async def _write(self) -> None:
        """
        Write what stands in the outbox, until the last byte.
        """
        try:
            with self._writing:
                while not self.wants_eof or self._unwritten():
                    data = self.data_to_send()
                    if data:
                        self._being_written = len(data)
                        await self.stream.send_all(data)
                        self._being_written = 0
                        self._make_room()
                    else:
                        await self._work.park()
                await self._finish()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            # The peer does not read any more. What it has sent before may still
            # be there to read, such as its close frame.
            self._note(exc)
            self._being_written = 0
            self._life.deadline = trio.current_time() + _GRACE

    def _make_room(self) -> None:
        """
        Let senders go on: the peer has caught up.
        """
        if self.congested and self.unwritten_size() <= _WRITE_LOW:
            self.settle_pong()
            self._room.unpark_all()

    async def _finish(self) -> None:
        """
        Tell the peer that nothing follows.
        """
        if self.state == CLOSED:
            return
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            await self.stream.send_eof()
        else:
            self._stopped = True
            self._reading.cancel()

    # Closing.

    def leave(self) -> None:
        """
        Close the connection, which nobody uses any more, without waiting for it.
        """
        self.begin_close(1011, "")


async def end_stream(stream: trio.abc.Stream) -> None:
    """
    Tell the peer that nothing follows, and wait until it has said so, too.
    """
    if isinstance(stream, trio.SSLStream):
        await end_tls(stream)
    elif isinstance(stream, trio.abc.HalfCloseableStream):
        await stream.send_eof()
        await _drain(stream)


async def end_tls(stream: trio.SSLStream[Any]) -> None:
    """
    End TLS on both sides, and close the stream.
    """
    transport = stream.transport_stream
    try:
        await stream.unwrap()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        # The peer has sent something else than the end of TLS. After ours, that
        # does not matter; but to close without reading it would reset the
        # connection, and the peer might not see our last frames.
        await _drain(transport)
    await transport.aclose()


async def _drain(stream: trio.abc.ReceiveStream) -> None:
    """
    Read what nobody wants, until the end.
    """
    try:
        while await stream.receive_some():
            pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return
