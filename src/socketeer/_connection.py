"""
What connections have in common in whatever room, around the session of the core.
"""

from __future__ import annotations

import functools
import logging
import sys
import weakref
from typing import TYPE_CHECKING, Any, cast

from .exceptions import ConnectionClosed, ProtocolError
from .extensions.permessage_deflate import PerMessageDeflate
from .frames import CloseCode, Frame, Opcode
from .utils import setting

if TYPE_CHECKING:
    from ._core.session import Session
    from .protocol import Protocol
    from .typing import Data, LoggerLike

__all__ = [
    "check_close_code",
    "configure_session",
    "connection_logger",
    "equip_session",
    "message_limits",
    "report_handler",
    "watermarks",
]

# Most frames of a message that recv() puts together.
MAX_FRAGMENTS = setting("MAX_FRAGMENTS", 4096)

# Messages smaller than this, in bytes, are sent uncompressed: deflate makes
# hardly anything of them, or makes them longer.
COMPRESSION_THRESHOLD = setting("COMPRESSION_THRESHOLD", 32)

# Seconds for which nobody may receive from a connection whose queue is full.
# Its keepalive does not fail meanwhile, as the pong may be among what waits.
STALL_TIMEOUT = setting("STALL_TIMEOUT", 600.0)


# Connections with the same limits share the marks.
@functools.lru_cache
def watermarks(limit: int | tuple[int | None, int | None] | None) -> tuple[int, int]:
    """
    Return the high and the low mark of a limit; -1 for none.

    Raises:
        ValueError: The marks are negative or in the wrong order.
    """
    if limit is None:
        return -1, -1
    high, low = limit if isinstance(limit, tuple) else (limit, None)
    if high is None:
        return -1, -1
    if low is None:
        low = high // 4
    if low < 0:
        raise ValueError("low must be positive or equal to zero")
    if high < low:
        raise ValueError("high must be greater than or equal to low")
    return min(high, sys.maxsize), min(low, sys.maxsize)


def message_limits(protocol: Protocol) -> tuple[int, int]:
    """
    Return the largest message and the largest frame accepted, as the core wants
    them: in bytes, -1 for any.
    """
    message, fragment = protocol.max_message_size, protocol.max_fragment_size
    return -1 if message is None else message, -1 if fragment is None else fragment


def configure_session(
    session: Session,
    connection: object,
    protocol: Protocol,
    *,
    ping_interval: float | None,
    ping_timeout: float | None,
    close_timeout: float | None,
    max_queue: int | tuple[int | None, int | None] | None,
) -> None:
    """
    Give a new session the options of its connection, and the logger its name.

    Raises:
        ValueError: The marks of the queue make no sense.
    """
    session.ping_interval = -1.0 if ping_interval is None else ping_interval
    session.ping_timeout = -1.0 if ping_timeout is None else ping_timeout
    session.close_timeout = -1.0 if close_timeout is None else close_timeout
    session.stall_timeout = STALL_TIMEOUT
    session.max_fragments = MAX_FRAGMENTS
    session.high, session.low = watermarks(max_queue)
    protocol.logger = connection_logger(protocol.logger, connection)
    if protocol.debug:
        session.trace = _Trace(protocol)


def connection_logger(logger: LoggerLike, connection: object) -> LoggerLike:
    """
    Return a logger whose records have the connection, as a weak reference.
    """
    return logging.LoggerAdapter(
        cast("logging.Logger", logger), {"websocket": weakref.proxy(connection)}
    )


class _Trace:
    """
    Logs frames.

    Args:
        protocol: Has the logger.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def __call__(self, direction: str, head: int, payload: Data) -> None:
        frame = Frame(
            Opcode(head & 0x0F),
            payload.encode() if isinstance(payload, str) else payload,
            fin=bool(head & 0x80),
        )
        self._protocol.logger.debug("%s %s", direction, frame)


def equip_session(session: Session, protocol: Protocol) -> None:
    """
    Give a session the extensions that were negotiated: the connection is OPEN.
    """
    extensions = protocol.extensions
    if len(extensions) == 1 and type(extensions[0]) is PerMessageDeflate:
        session.deflate = extensions[0]
        session.reserved_bits = 0x40
        session.compression_threshold = COMPRESSION_THRESHOLD
    elif extensions:
        session.extensions = list(extensions)
        session.reserved_bits = 0x70
    if protocol.debug:
        protocol.logger.debug("= connection is OPEN")


def check_close_code(code: int) -> None:
    """
    Refuse what is the core's word for a close frame without a code.

    The core itself checks the rest.

    Raises:
        ProtocolError: It cannot be sent (RFC 6455, 7.4.1).
    """
    if code == CloseCode.NO_STATUS_RCVD:
        raise ProtocolError("invalid status code")


def report_handler(session: Session, logger: Any, exc: BaseException) -> bool:
    """
    Log why a handler ended.

    Args:
        session: The session of its connection.
        logger: The logger of its connection.
        exc: What it raised.

    Returns:
        Whether it failed: it did not if its own connection was closed, which
        happens every day.
    """
    if isinstance(exc, BaseExceptionGroup):
        # What the tasks of a task group raised.
        _, others = exc.split(lambda each: _is_own_end(each, session))
        quiet = others is None
    else:
        quiet = _is_own_end(exc, session)
    if quiet:
        logger.info("connection handler ended: %s", exc)
    else:
        logger.error("connection handler failed", exc_info=exc)
    return not quiet


def _is_own_end(exc: BaseException, session: Session) -> bool:
    """
    Tell whether an exception is about the end of this connection.
    """
    return (
        isinstance(exc, ConnectionClosed)
        and exc.rcvd == session.close_rcvd
        and exc.sent == session.close_sent
    )
