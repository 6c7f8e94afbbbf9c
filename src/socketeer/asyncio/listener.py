"""
Listening sockets and accepting connections.

Binds as :meth:`asyncio.loop.create_server` does, with the same arguments. The
sockets are ours, not the loop's: a loop must not be asked to watch file
descriptors that belong to one of its own servers.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from asyncio.trsock import TransportSocket
from typing import TYPE_CHECKING, Any

from .. import _sockets
from .._sockets import Shortage, bind_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..typing import LoggerLike

__all__ = ["Listener", "bind_tcp", "watches_sockets"]

# Connections accepted before other events are looked at.
_BATCH = 16


def watches_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """
    Tell whether a loop can watch sockets; Windows' default one cannot.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            loop.add_reader(ours.fileno(), ours.fileno)
            loop.remove_reader(ours.fileno())
        except NotImplementedError:
            return False
    return True


async def bind_tcp(
    host: str | Sequence[str] | None,
    port: int | None,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
) -> list[socket.socket]:
    """
    Return sockets bound to all addresses of a host, or of several hosts.

    Args:
        host: Name or address, or several; :obj:`None` or ``""`` for all interfaces.
        port: Port; 0 or :obj:`None` for a free one, the same for all addresses.
        family: ``AF_INET`` or ``AF_INET6`` for one of them only.
        flags: Flags for :func:`socket.getaddrinfo`.
        reuse_address: Whether to set ``SO_REUSEADDR``; by default, on POSIX.
        reuse_port: Whether to set ``SO_REUSEPORT``.

    Raises:
        OSError: An address cannot be found or bound. No socket is left open.
    """
    loop = asyncio.get_running_loop()
    hosts: Iterable[str | None]
    if host == "" or host is None:
        hosts = [None]
    elif isinstance(host, str):
        hosts = [host]
    else:
        hosts = host
    if reuse_address is None:
        reuse_address = os.name == "posix" and sys.platform != "cygwin"
    found = await asyncio.gather(
        *[
            loop.getaddrinfo(
                name, port, family=family, type=socket.SOCK_STREAM, flags=flags
            )
            for name in hosts
        ]
    )
    # Each address once, in the order in which they were found.
    addresses = dict.fromkeys(info for infos in found for info in infos)
    bound = bind_addresses(addresses, bool(reuse_address), bool(reuse_port))
    if not bound:
        raise OSError(errno.EADDRNOTAVAIL, f"could not bind on any address of {host!r}")
    return bound


class Listener:
    """
    Listening sockets that accept connections.

    Has the methods of :class:`asyncio.Server`.

    Args:
        sockets: Bound stream sockets; they belong to the listener from now on.
        backlog: How many connections may wait to be accepted.
        accepted: Called with each accepted socket, which is non-blocking, and the
            address of its peer.
        logger: Where failures to accept are logged.
        count_pause: Called when nothing can be accepted for a while.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        backlog: int,
        accepted: Callable[[socket.socket, Any], None],
        logger: LoggerLike,
        count_pause: Callable[[], object] = bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._backlog = backlog
        self._accepted = accepted
        self._logger = logger
        self._shortage = Shortage(logger, count_pause)
        self._serving = False
        self._pauses: set[asyncio.TimerHandle] = set()

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """
        The sockets, as facades that cannot be closed; none after closing.
        """
        return tuple(TransportSocket(sock) for sock in self._sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """
        Return the event loop.
        """
        return self._loop

    def is_serving(self) -> bool:
        """
        Tell whether connections are accepted.
        """
        return self._serving

    def start(self) -> None:
        """
        Listen and accept, unless that is the case already.
        """
        if self._serving or not self._sockets:
            return
        self._serving = True
        for sock in self._sockets:
            sock.listen(self._backlog)
            sock.setblocking(False)
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    async def start_serving(self) -> None:
        """
        Listen and accept, unless that is the case already.
        """
        self.start()

    def close(self) -> None:
        """
        Stop listening.
        """
        if self._serving:
            self._serving = False
            for pause in self._pauses:
                pause.cancel()
            for sock in self._sockets:
                self._loop.remove_reader(sock.fileno())
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    async def wait_closed(self) -> None:
        """
        Return: closing is immediate.
        """

    def _accept(self, sock: socket.socket) -> None:
        """
        Accept the connections that wait.
        """
        for _ in range(_BATCH):
            try:
                accepted, address = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if self._shortage.is_cause_of(exc):
                    self._pause(sock)
                    return
                raise
            self._shortage.is_over()
            accepted.setblocking(False)
            try:
                self._accepted(accepted, address)
            except Exception:
                accepted.close()
                self._logger.exception("accepting a connection failed")
            if not self._serving:
                return

    def _pause(self, sock: socket.socket) -> None:
        """
        Accept nothing for a while: the process is out of something.
        """
        self._loop.remove_reader(sock.fileno())

        def go_on() -> None:
            self._pauses.discard(handle)
            self._loop.add_reader(sock.fileno(), self._accept, sock)

        handle = self._loop.call_later(_sockets.PAUSE, go_on)
        self._pauses.add(handle)
