"""
Somebody else's transport as a wire: the loop's own, mostly.

For loops without ``add_reader()``, as the default one of Windows, and for
connections that the loop has to establish.
"""

from __future__ import annotations

from asyncio import BufferedProtocol

from .wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable
    from typing import Any

    from ..outbox import Outbox
    from .turn import Member, Turn

__all__ = ["ForeignProtocol", "ForeignWire"]


class ForeignWire(Wire):
    """
    A wire that writes to a transport of asyncio's kind.

    Args:
        member: Whom to pass on what is read.
        transport: The transport.
        high: Pause writing when more bytes than this wait.
        low: Resume writing when at most this many bytes wait.
    """

    __slots__ = ("transport",)

    def __init__(
        self, member: Member, transport: Transport, high: int, low: int
    ) -> None:
        Wire.__init__(self, member)
        self.transport = transport
        transport.set_write_buffer_limits(high, low)

    def write_outbox(self, outbox: Outbox) -> None:
        if not self.transport.is_closing():
            self.transport.write(outbox.tail(0))

    def write_shared(self, frame: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(frame)

    def backlog(self) -> int:
        return self.transport.get_write_buffer_size()

    def drop_shared(self) -> int:
        # What a transport was given it keeps.
        return 0

    def finish(self) -> None:
        if self.transport.can_write_eof() and not self.transport.is_closing():
            try:
                self.transport.write_eof()
            except OSError:
                # The peer has gone, and the loop has not noticed yet.
                self.transport.abort()
        else:
            self.transport.close()

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def set_paused(self, paused: bool) -> None:
        """
        Take in that the transport's buffer is full, or is no longer.
        """
        self.paused = paused


class ForeignProtocol(BufferedProtocol):
    """
    Passes on what a transport reads.

    Args:
        turn: The shared state of the loop's connections.
        member: Whom to pass on what is read.
        high: Pause writing when more bytes than this wait.
        low: Resume writing when at most this many bytes wait.
        on_connect: Called with the wire when the connection is made.
    """

    def __init__(
        self,
        turn: Turn,
        member: Member,
        high: int,
        low: int,
        on_connect: Callable[[ForeignWire], object],
    ) -> None:
        self.turn = turn
        self.member = member
        self.limits = (high, low)
        self.on_connect = on_connect
        # A wire, from connection_made() on.
        self.wire: Any = None

    # The loop's stream transports are all that comes here.
    def connection_made(self, transport: Any) -> None:
        """
        Make a wire of the transport.
        """
        self.wire = ForeignWire(self.member, transport, *self.limits)
        self.on_connect(self.wire)

    def get_buffer(self, sizehint: int) -> memoryview:
        """
        Lend the receive buffer.
        """
        return memoryview(self.turn.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """
        Pass on what was read.
        """
        self.member.received(self.turn.buffer, nbytes)

    def eof_received(self) -> None:
        """
        Pass on the end of the peer's bytes; the transport closes itself.
        """
        self.member.ended()

    def pause_writing(self) -> None:
        """
        Pass on that the transport's buffer is full.
        """
        self.wire.set_paused(True)
        self.member.pause_writing()

    def resume_writing(self) -> None:
        """
        Pass on that the transport's buffer has room.
        """
        self.wire.set_paused(False)
        self.member.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Pass on that the connection is gone.
        """
        self.member.lost_connection(exc)
