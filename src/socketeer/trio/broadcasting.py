"""
The same message to many connections.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import trio

from .._messages import Failures, check_overflow, prepare
from .._options import BROADCAST, documented
from ..protocol import OPEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .._links import PreparedMessage
    from ..typing import BytesLike, Data
    from .connection import Connection
    from .link import Link

__all__ = ["broadcast"]


@documented(BROADCAST)
async def broadcast(
    connections: Iterable[Connection],
    message: Data | BytesLike,
    *,
    raise_exceptions: bool = False,
    text: bool | None = None,
    max_backlog: int | None = None,
    on_overflow: str = "close",
) -> None:
    """
    Send a message to many connections; wait until all of them have it.

    The message is framed once and compressed once. Connections that are not OPEN
    are skipped.

    The slowest peer decides how long this takes: put a limit on it with
    :func:`trio.move_on_after`. If canceled, each connection has got the message
    entirely or not at all, and remains usable. With ``max_backlog``, this waits for
    nobody, and what may wait for a slow peer is bounded.

    Args:
        connections: ...
        message: ...
        raise_exceptions: ...
        text: ...
        max_backlog: Bytes that may wait to be written to a peer already; then nobody
            is waited for. By default, everybody is.
        on_overflow: ...

    Raises:
        TypeError: ...
        ValueError: ...
        ExceptionGroup: ...
    """
    prepared = prepare(message, text=text)
    check_overflow(on_overflow)
    failures = Failures(raise_exceptions)
    await trio.lowlevel.checkpoint()
    async with trio.open_nursery() as nursery:
        for connection in connections:
            if connection.state is not OPEN:
                continue
            try:
                if max_backlog is not None:
                    connection._link.offer(prepared, max_backlog, on_overflow)
                else:
                    wait = _begin(connection._link, prepared)
                    if wait is not None:
                        nursery.start_soon(_finish, wait, connection, failures)
            except Exception as exc:
                failures.add(connection.logger, exc)
    failures.check()


def _begin(
    link: Link, prepared: PreparedMessage
) -> Callable[[], Awaitable[None]] | None:
    """
    Send a message, if that is possible now; return what to wait for, if so.
    """
    if link.fragmenting:
        return functools.partial(link.send_prepared, prepared)
    link.send_postponed(True)
    link.add_prepared(prepared)
    link.push()
    return link.drain if link.congested else None


async def _finish(
    wait: Callable[[], Awaitable[None]], connection: Connection, failures: Failures
) -> None:
    """
    Wait until a peer has a message.
    """
    try:
        await wait()
    except Exception as exc:
        failures.add(connection.logger, exc)
