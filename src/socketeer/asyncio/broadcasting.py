"""
The same message to many connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._messages import Failures, check_overflow, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..typing import BytesLike, Data
    from .connection import Connection

__all__ = ["broadcast"]


def broadcast(
    connections: Iterable[Connection],
    message: Data | BytesLike,
    *,
    text: bool | None = None,
    raise_exceptions: bool = False,
    max_backlog: int | None = 2**20,
    on_overflow: str = "close",
) -> None:
    """
    Send a message to many connections, without waiting for any of them.

    The message is framed once and compressed once. Connections that are not OPEN
    are skipped. A connection in the middle of a fragmented message gets this one
    afterwards.

    What may wait for one peer is bounded: a peer that reads too slowly to keep
    up with its broadcasts is not served at the cost of everybody's memory.

    Args:
        connections: The connections: a set, say.
        message: The message: :class:`str` for text, bytes-like for binary.
        text: :obj:`True` sends bytes in a text frame, :obj:`False` sends a string
            in a binary frame.
        raise_exceptions: Whether to raise failures, when all connections have
            been served; otherwise they are logged as warnings.
        max_backlog: Bytes that may wait to be written to a peer already;
            :obj:`None` for any number.
        on_overflow: What happens to a peer with a larger backlog. ``"close"``
            closes the connection with code 1013. ``"drop"`` drops this message.
            ``"latest"`` drops the broadcasts that wait and were not begun.

    Raises:
        TypeError: The message is neither :class:`str` nor bytes-like. Nothing
            was sent.
        ValueError: ``on_overflow`` is none of the above. Nothing was sent.
        ExceptionGroup: With ``raise_exceptions``: the message could not be
            written to some connections. The others got it.
    """
    prepared = prepare(message, text=text)
    check_overflow(on_overflow)
    limit = -1 if max_backlog is None else max_backlog
    failures = Failures(raise_exceptions)
    for connection in connections:
        try:
            connection._link.send_prepared(prepared, limit, on_overflow)
        except Exception as exc:
            failures.add(connection.logger, exc)
    failures.check()
