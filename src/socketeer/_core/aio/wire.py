"""
What a link needs of a transport, whatever the transport is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..outbox import Outbox
    from .turn import Member

__all__ = ["Wire"]


class Wire:
    """
    The few methods that a link calls; a subclass for each kind of transport.

    A wire passes on what it reads through the methods of a
    :class:`~.turn.Member`, and calls ``lost_connection()`` once, later than any
    other and never from inside a call by the link.

    Attributes:
        member: Whom to pass on what was read; :obj:`None` when that is over.
        paused: Whether the peer is slower than we are: more is waiting to be
            written than the limit.
    """

    __slots__ = ("__weakref__", "member", "paused")

    def __init__(self, member: Member) -> None:
        self.member: Member | None = member
        self.paused = False

    def write_outbox(self, outbox: Outbox) -> None:
        """
        Write all that an outbox holds, now or as soon as the peer takes it.
        """
        raise NotImplementedError

    def write_shared(self, frame: bytes) -> None:
        """
        Write a frame of which the same bytes go to others, by reference.
        """
        raise NotImplementedError

    def backlog(self) -> int:
        """
        Return how many bytes wait to be written.
        """
        raise NotImplementedError

    def drop_shared(self) -> int:
        """
        Drop the shared frames of which nothing was written; return how many.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """
        Half-close behind what was written, or close where that cannot be done.
        """
        raise NotImplementedError

    def close(self) -> None:
        """
        Close behind what was written.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """
        Close at once; what was not written is lost.
        """
        raise NotImplementedError

    def pause_reading(self) -> None:
        """
        Read nothing until further notice.
        """
        raise NotImplementedError

    def resume_reading(self) -> None:
        """
        Read again.
        """
        raise NotImplementedError
