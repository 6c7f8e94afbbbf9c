"""
How ``connect()`` gets to a server: directly, or through a proxy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import selectors
import socket
import time
from typing import TYPE_CHECKING, Any

from .. import _addresses
from .._tls import TLS, BaseWay
from ..proxy import (
    ConnectRequest,
    Proxy,
    blaming_socks,
    find_proxy,
    socks_arguments,
)
from .running import prepare_socket
from .stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..uri import WebSocketURI

__all__ = ["Way", "dial"]


@dataclasses.dataclass(kw_only=True)
class Way(BaseWay):
    """
    How to get to a server.

    Attributes:
        sock: A connected socket, if there is one already.
        arguments: Where to connect to: ``path`` of a Unix socket, or arguments of
            :func:`socket.create_connection`.
    """

    sock: socket.socket | None
    arguments: dict[str, Any]


def dial(way: Way, uri: WebSocketURI, deadline: float | None) -> Stream:
    """
    Connect to a server.

    Args:
        way: How.
        uri: Which one.
        deadline: When that must have succeeded; :obj:`None` for never.

    Returns:
        A stream to the server, after TLS handshakes.

    Raises:
        OSError: The connection cannot be established.
        ProxyError: The proxy refuses, or is none.
        InvalidProxy: The URL of the proxy is not valid.
        ImportError: A SOCKS proxy requires ``python-socks``.
        ssl.SSLError: A TLS handshake failed.
        TimeoutError: It took too long.
        ValueError: Arguments contradict each other.
    """
    tls = way.tls(uri)
    arguments = dict(way.arguments)
    path = arguments.pop("path", None)
    if way.sock is not None:
        stream = Stream(way.sock, deadline)
    elif path is not None:
        stream = Stream(_connect_unix(os.fspath(path), deadline), deadline)
    else:
        address = arguments.pop("address", (uri.host, uri.port))
        target = dataclasses.replace(uri, host=address[0], port=address[1])
        stream = _dial_tcp(way, uri, target, arguments, deadline)
    try:
        prepare_socket(stream.sock)
        if tls is not None:
            stream.start_tls(TLS(tls.context, tls.server_hostname, outer=stream.tls))
    except BaseException:
        stream.sock.close()
        raise
    return stream


def _dial_tcp(
    way: Way,
    uri: WebSocketURI,
    target: WebSocketURI,
    arguments: dict[str, Any],
    deadline: float | None,
) -> Stream:
    """
    Connect to an address, maybe through a proxy.
    """
    proxy = find_proxy(uri, way.proxy)
    if proxy is None:
        return Stream(
            _connect_tcp(target.host, target.port, deadline, **arguments), deadline
        )
    if proxy.is_socks:
        return Stream(_through_socks(proxy, target, deadline), deadline)
    tls = way.proxy_tls(proxy)
    sock = _connect_tcp(proxy.host, proxy.port, deadline, **arguments)
    stream = Stream(sock, deadline)
    try:
        prepare_socket(sock)
        if tls is not None:
            stream.start_tls(TLS(tls.context, tls.server_hostname))
        request = ConnectRequest(proxy, target, way.user_agent_header)
        stream.send(request.data_to_send)
        while not request.receive_data(stream.receive()):
            pass
    except BaseException:
        sock.close()
        raise
    return stream


def _through_socks(
    proxy: Proxy, target: WebSocketURI, deadline: float | None
) -> socket.socket:
    """
    Return a socket connected to the server through a SOCKS proxy.
    """
    arguments = socks_arguments(proxy)
    from python_socks.sync import Proxy as SocksProxy  # noqa: PLC0415

    with blaming_socks():
        sock: socket.socket = SocksProxy(**arguments).connect(
            target.host, target.port, timeout=_left(deadline)
        )
    return sock


def _left(deadline: float | None) -> float | None:
    """
    Return how many seconds are left.
    """
    return None if deadline is None else max(0.001, deadline - time.monotonic())


def _connect_unix(path: str | bytes, deadline: float | None) -> socket.socket:
    """
    Return a socket connected to a Unix socket.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_left(deadline))
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_tcp(
    host: str,
    port: int,
    deadline: float | None,
    *,
    timeout: float | None = None,
    source_address: tuple[str, int] | None = None,
    all_errors: bool = False,
) -> socket.socket:
    """
    Return a socket connected to the address of a host that answers first.
    """
    if timeout is not None:
        own = time.monotonic() + timeout
        deadline = own if deadline is None else min(own, deadline)
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    attempts = _Attempts(source_address)
    try:
        return attempts.first_of(_addresses.interleave(infos), deadline)
    except OSError as exc:
        if all_errors and len(attempts.failures) > 1:
            raise ExceptionGroup("create_connection failed", attempts.failures) from exc
        raise
    finally:
        attempts.close()


class _Attempts:
    """
    Attempts to connect to several addresses, one beside the other (RFC 8305).

    Args:
        source_address: Where to connect from.

    Attributes:
        failures: Why attempts failed.
    """

    def __init__(self, source_address: tuple[str, int] | None) -> None:
        self.failures: list[OSError] = []
        self._source_address = source_address
        self._selector = selectors.DefaultSelector()

    def first_of(
        self, infos: Iterable[tuple[Any, ...]], deadline: float | None
    ) -> socket.socket:
        """
        Return the socket of the attempt that succeeds first.

        Raises:
            OSError: All failed.
            TimeoutError: It took too long.
        """
        for info in infos:
            self._start(info)
            delay = time.monotonic() + _addresses.CONNECTION_ATTEMPT_DELAY
            if sock := self._wait(delay if deadline is None else min(delay, deadline)):
                return sock
        while self._selector.get_map():
            if sock := self._wait(deadline):
                return sock
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError("timed out")
        raise self.failures[0]

    def _start(self, info: tuple[Any, ...]) -> None:
        """
        Start to connect to an address.
        """
        family, kind, proto, _, address = info
        try:
            sock = socket.socket(family, kind, proto)
        except OSError as exc:
            self.failures.append(exc)
            return
        try:
            sock.setblocking(False)
            if self._source_address is not None:
                sock.bind(self._source_address)
            code = sock.connect_ex(address)
            if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                raise OSError(code, os.strerror(code))
        except OSError as exc:
            self.failures.append(exc)
            sock.close()
        else:
            self._selector.register(sock, selectors.EVENT_WRITE)

    def _wait(self, until: float | None) -> socket.socket | None:
        """
        Wait for an attempt that succeeds, as long as others are on.
        """
        while self._selector.get_map():
            left = None if until is None else max(0.0, until - time.monotonic())
            events = self._selector.select(left)
            if not events:
                return None
            for key, _ in events:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._selector.unregister(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return sock
                self.failures.append(OSError(code, os.strerror(code)))
                sock.close()
        return None

    def close(self) -> None:
        """
        Stop the other attempts.
        """
        for key in list(self._selector.get_map().values()):
            with contextlib.suppress(OSError):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()
        self._selector.close()
