"""
The same messages to many connections.

With a thousand of them, what little is done for each is most of what is done besides
system calls. Compiled, this loop makes no objects and finds its way from a connection
to its link without looking anything up by name.
"""

from __future__ import annotations

from .operations import Connected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["fan_out_to_all"]


def fan_out_to_all(
    connections: list[Any],
    messages: list[Any],
    max_backlog: int,
    on_overflow: str,
    more: bool,
    is_log: bool,
) -> list[tuple[int, int, Exception | None]]:
    """
    Send prepared messages to many, without waiting for anybody.

    One connection's trouble is not everybody's.

    Args:
        connections: Connections of any kind that has ``fan_out``.
        messages: The messages, as these connections prepare them.
        max_backlog: Most bytes that may wait already, or -1 for any.
        on_overflow: ``"close"``, ``"drop"`` or ``"latest"``.
        more: Whether others follow in this turn.
        is_log: Whether whoever does not take one message gets none of those behind it.

    Returns:
        The number of a connection, that of a message it did not take, and the exception
        if there was one; for each such message.
    """
    refused: list[tuple[int, int, Exception | None]] = []
    last = len(messages) - 1
    for number, connection in enumerate(connections):
        for place, prepared in enumerate(messages):
            follows = more or place < last
            failure = None
            try:
                if isinstance(connection, Connected):
                    connected = connection
                    link = connected._link
                    taken = link.send_prepared(
                        prepared, max_backlog, on_overflow, follows
                    )
                else:
                    taken = connection.fan_out(
                        prepared, max_backlog, on_overflow, follows
                    )
                if taken:
                    continue
            except Exception as exc:  # noqa: BLE001 - the caller deals with it
                failure = exc
            refused.append((number, place, failure))
            if is_log:
                break
    return refused
