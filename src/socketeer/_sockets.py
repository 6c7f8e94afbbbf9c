"""
Listening sockets of servers, in whatever room.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

from .typing import PathLike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .typing import LoggerLike

    AddressInfo = tuple[int, int, int, str, tuple[object, ...]]

__all__ = [
    "PAUSE",
    "Shortage",
    "bind_addresses",
    "bind_unix",
    "check_alone",
    "write_at_once",
]

# Seconds for which nothing is accepted when the process is out of something.
PAUSE = 1.0

# What accept() may raise although the listening socket is well: the process is out
# of file descriptors or memory.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Shortage:
    """
    Knows when a process is out of file descriptors, memory or threads, and says so
    once.

    Args:
        logger: Where to say it.
        count: Called each time.
    """

    def __init__(self, logger: LoggerLike, count: Callable[[], object]) -> None:
        self._logger = logger
        self._count = count
        self._complained = False

    def is_cause_of(self, exc: OSError) -> bool:
        """
        Tell whether accepting has failed for want of something.

        Nothing should be accepted for :data:`PAUSE` seconds then.
        """
        if exc.errno not in _EXHAUSTED:
            return False
        self.note(exc.strerror)
        return True

    def note(self, what: str | None) -> None:
        """
        Take in that something is missing; until :meth:`is_over`, again is no news.

        Args:
            what: What the system says about it.
        """
        self._count()
        if not self._complained:
            # Once: it may last, and a full disk would be the next trouble.
            self._complained = True
            self._logger.error(
                "cannot accept connections, trying again every %.0f s: %s",
                PAUSE,
                what,
            )

    def is_over(self) -> None:
        """
        Take in that a connection was accepted.
        """
        self._complained = False


def write_at_once(sock: socket.socket) -> None:
    """
    Have small pieces written when they are to be sent: no waiting for more.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # The peer may be gone already.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)


def check_alone(other: str, **arguments: object) -> None:
    """
    Check that arguments were not given, as another one takes their place.

    Raises:
        ValueError: One was.
    """
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name} is incompatible with {other}")


def bind_unix(path: PathLike) -> socket.socket:
    """
    Return a Unix socket bound to a path.

    A socket that stands there already, left over from another process, is removed.

    Raises:
        OSError: The path cannot be bound.
    """
    path = os.fspath(path)
    if path[:1] not in ("\0", b"\0"):
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.remove(path)
        except FileNotFoundError:
            pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise OSError(
                errno.EADDRINUSE, f"Address {path!r} is already in use"
            ) from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock


def bind_addresses(
    addresses: Iterable[AddressInfo], reuse_address: bool, reuse_port: bool
) -> list[socket.socket]:
    """
    Return sockets bound to addresses, without those of families that are missing.

    Args:
        addresses: As of :func:`socket.getaddrinfo`.
        reuse_address: Whether to set ``SO_REUSEADDR``.
        reuse_port: Whether to set ``SO_REUSEPORT``.

    Raises:
        OSError: An address cannot be bound. No socket is left open.
        ValueError: The system cannot share ports.
    """
    bound: list[socket.socket] = []
    try:
        for info in addresses:
            sock = _bind_address(info, reuse_address, reuse_port, not bound)
            if sock is not None:
                bound.append(sock)
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind_address(
    info: AddressInfo,
    reuse_address: bool,
    reuse_port: bool,
    is_first: bool,
) -> socket.socket | None:
    """
    Return a socket bound to one address; nothing if the system has no such ones.

    One that is switched off is an error only if it is the first.
    """
    family, kind, proto, _, address = info
    try:
        sock = socket.socket(family, kind, proto)
    except OSError:
        # The name has IPv6 addresses and the system has no IPv6, say.
        return None
    try:
        if reuse_address:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
        if reuse_port:
            _reuse_port(sock)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
        sock.bind(address)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRNOTAVAIL and not is_first:
            # As with localhost for ::1, where IPv6 is switched off.
            return None
        raise OSError(
            exc.errno,
            f"error while attempting to bind on address {address!r}: "
            f"{(exc.strerror or str(exc)).lower()}{_advice(family)}",
        ) from None
    except BaseException:
        sock.close()
        raise
    return sock


def _advice(family: int) -> str:
    """
    Return what to do about an address that cannot be bound.
    """
    if family == socket.AF_INET6:
        return "; if this system has no IPv6, pass family=socket.AF_INET"
    return ""


def _reuse_port(sock: socket.socket) -> None:
    """
    Let several sockets listen on one port.

    Raises:
        ValueError: The system cannot do that.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port not supported by socket module")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
    except OSError:
        raise ValueError(
            "reuse_port not supported by socket module, "
            "SO_REUSEPORT defined but not implemented"
        ) from None
