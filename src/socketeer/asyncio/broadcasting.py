"""
The same message to many connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._messages import Failures, check_overflow, prepare
from .._options import BROADCAST, documented
from ._cellar import fan_out_to_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..typing import BytesLike, Data
    from .connection import Connection

__all__ = ["broadcast"]


@documented(BROADCAST)
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
        connections: ...
        message: ...
        text: ...
        raise_exceptions: ...
        max_backlog: Bytes that may wait to be written to a peer already;
            :obj:`None` for any number.
        on_overflow: ...

    Raises:
        TypeError: ...
        ValueError: ...
        ExceptionGroup: ...
    """
    prepared = prepare(message, text=text)
    check_overflow(on_overflow)
    limit = -1 if max_backlog is None else max_backlog
    failures = Failures(raise_exceptions)
    receivers = list(connections)
    for number, _, exc in fan_out_to_all(
        receivers, [prepared], limit, on_overflow, False, False
    ):
        # Without one, the connection is not OPEN, or too slow.
        if exc is not None:
            failures.add(receivers[number].logger, exc)
    failures.check()
