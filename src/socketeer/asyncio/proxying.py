"""
How ``connect()`` gets to a server: directly, or through a proxy.

Behind a proxy there is a socket as any other. If the proxy itself speaks TLS, the
event loop does so with it, and passes everything on to a pair of sockets: one end of
it is ours. TLS with the server is then ours as always, inside the TLS of the loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from typing import TYPE_CHECKING, Any

from .._connecting import check_names
from .._tls import take_tls
from ..exceptions import ProxyError
from ..proxy import (
    ConnectRequest,
    Proxy,
    blaming_socks,
    find_proxy,
    socks_arguments,
)
from .dialing import KNOWN_ARGUMENTS, attach, loop_arguments, open_socket

if TYPE_CHECKING:
    from typing import Literal

    from .._tls import TLSOptions
    from ..uri import WebSocketURI
    from .connection import Connection

__all__ = ["Way", "find_way"]

# Bytes of a proxy's answer taken by one read.
_READ_SIZE = 4096

# Arguments for TLS with the proxy; they mean nothing if there is none.
_OF_PROXY = (
    "proxy_ssl",
    "proxy_server_hostname",
    "proxy_ssl_handshake_timeout",
    "proxy_ssl_shutdown_timeout",
)


@dataclasses.dataclass
class Way:
    """
    How to get to a server.

    Attributes:
        target: Where the server is.
        address: Where to connect to, in the form of :func:`~.dialing.open_socket`:
            that of the server or of the proxy.
        tls: How to speak TLS with the server, if so.
        proxy: The proxy, if there is one.
        proxy_tls: How to speak TLS with the proxy, if so.
        user_agent_header: What the proxy is told about us.
        timeout: Seconds for the proxy.
    """

    target: WebSocketURI
    address: dict[str, Any]
    tls: TLSOptions | None
    proxy: Proxy | None = None
    proxy_tls: TLSOptions | None = None
    user_agent_header: str | None = None
    timeout: float | None = None

    async def go(self, connection: Connection) -> None:
        """
        Connect, and give the connection its wire.

        Args:
            connection: The connection; its opening handshake must be set.

        Raises:
            OSError: The connection cannot be established.
            ProxyError: The proxy refuses, or is none.
            ImportError: A SOCKS proxy requires ``python-socks``.
            ssl.SSLError: A TLS handshake failed.
            TimeoutError: A TLS handshake took too long.
        """
        peername: Any = None
        if self.proxy is None:
            sock = await open_socket(self.address)
        elif self.proxy.is_socks:
            sock = await self._through_socks(self.proxy)
        elif self.proxy_tls is None:
            sock = await self._through_http(self._request(self.proxy))
        else:
            sock, peername = await self._through_https(
                self._request(self.proxy), self.proxy_tls
            )
        await attach(connection, sock, self.tls, peername)

    def _request(self, proxy: Proxy) -> ConnectRequest:
        """
        Return what to ask an HTTP proxy for.
        """
        return ConnectRequest(proxy, self.target, self.user_agent_header)

    async def _through_socks(self, proxy: Proxy) -> socket.socket:
        """
        Return a socket connected to the server through a SOCKS proxy.
        """
        arguments = socks_arguments(proxy)
        from python_socks.async_.asyncio import Proxy as SocksProxy  # noqa: PLC0415

        with blaming_socks():
            return await SocksProxy(**arguments).connect(
                self.target.host,
                self.target.port,
                timeout=self.timeout,
                local_addr=self.address.get("local_addr"),
            )

    async def _through_http(self, request: ConnectRequest) -> socket.socket:
        """
        Return a socket connected to the server through an HTTP proxy.
        """
        loop = asyncio.get_running_loop()
        sock = await open_socket(self.address)
        try:
            await loop.sock_sendall(sock, request.data_to_send)
            while not request.receive_data(await loop.sock_recv(sock, _READ_SIZE)):
                pass
        except BaseException:
            sock.close()
            raise
        return sock

    async def _through_https(
        self, request: ConnectRequest, tls: TLSOptions
    ) -> tuple[socket.socket, Any]:
        """
        Return a socket that leads to the server through an HTTP proxy with TLS, and
        the address of the proxy.
        """
        loop = asyncio.get_running_loop()
        sock = await open_socket(self.address)
        try:
            transport, tunnel = await loop.create_connection(
                lambda: Tunnel(request),
                sock=sock,
                ssl=tls.context,
                **loop_arguments(tls),
            )
        except BaseException:
            sock.close()
            raise
        try:
            await tunnel.through
            return await _pass_on(transport), transport.get_extra_info("peername")
        except BaseException:
            if not transport.is_closing():
                transport.abort()
            raise


class Tunnel(asyncio.Protocol):
    """
    Asks an HTTP proxy for a connection, on a transport of the loop.

    Nothing is read behind the proxy's answer until somebody else takes over.

    Args:
        request: What to ask for.

    Attributes:
        through: A future: done when the connection is through.
    """

    def __init__(self, request: ConnectRequest) -> None:
        self.request = request
        self.through: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    # The loop's stream transports are all that comes here.
    def connection_made(self, transport: Any) -> None:
        """
        Ask.
        """
        self.transport = transport
        transport.write(self.request.data_to_send)

    def data_received(self, data: bytes) -> None:
        """
        Take in a piece of the answer.
        """
        if self.through.done():
            return
        try:
            if not self.request.receive_data(data):
                return
        except ProxyError as exc:
            self.through.set_exception(exc)
        else:
            assert self.transport is not None
            self.transport.pause_reading()
            self.through.set_result(None)

    def eof_received(self) -> None:
        """
        Take in the end of the proxy's bytes.
        """
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Take in that the connection is gone.
        """
        if not self.through.done():
            self.through.set_exception(
                exc or ConnectionResetError("connection to the proxy closed")
            )


class Relay(asyncio.Protocol):
    """
    Passes on what a transport reads to another one, as fast as that can write.

    Args:
        other: The transport to write to.
    """

    def __init__(self, other: asyncio.Transport) -> None:
        self.other = other

    # The loop's stream transports are all that comes here.
    def connection_made(self, transport: Any) -> None:
        """
        Let the other transport write here.
        """
        self.other.set_protocol(Relay(transport))
        self.other.resume_reading()

    def data_received(self, data: bytes) -> None:
        """
        Pass on what was read.
        """
        self.other.write(data)

    def pause_writing(self) -> None:
        """
        Take in that this transport is slow.
        """
        if not self.other.is_closing():
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """
        Take in that this transport has caught up.
        """
        if not self.other.is_closing():
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Close the other transport behind what it has to write.
        """
        self.other.close()


async def _pass_on(transport: asyncio.Transport) -> socket.socket:
    """
    Return a socket that leads to where a transport does.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        # Windows has no others than those of the internet.
        connect = (
            loop.create_connection
            if theirs.family == socket.AF_INET
            else loop.create_unix_connection
        )
        await connect(lambda: Relay(transport), sock=theirs)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return ours


def find_way(
    uri: WebSocketURI,
    proxy: str | Literal[True] | None,
    user_agent_header: str | None,
    open_timeout: float | None,
    close_timeout: float | None,
    arguments: dict[str, Any],
) -> Way:
    """
    Find out how to get to a server.

    Args:
        uri: What to connect to.
        proxy: The URL of the proxy, :obj:`True` to look for one, :obj:`None` for none.
        user_agent_header: What a proxy is told about us.
        open_timeout: Seconds for a TLS handshake, and for a SOCKS proxy.
        close_timeout: Seconds for the end of TLS.
        arguments: All other arguments of ``connect()``.

    Raises:
        InvalidProxy: The URL of the proxy is not valid.
        ValueError: Arguments contradict each other.
        TypeError: There is an argument that nobody knows.
    """
    address = dict(arguments)
    timeouts = open_timeout, close_timeout
    tls = take_tls(address, "", uri.secure, uri.host, timeouts)
    of_proxy = {name: address.pop(name) for name in _OF_PROXY if name in address}
    if address.pop("unix", False) or address.get("sock") is not None:
        check_names(address, KNOWN_ARGUMENTS)
        return Way(uri, address, tls)
    address.setdefault("host", uri.host)
    address.setdefault("port", uri.port)
    check_names(address, KNOWN_ARGUMENTS)
    parts = find_proxy(uri, proxy)
    if parts is None:
        return Way(uri, address, tls)
    proxy_tls = None
    if not parts.is_socks:
        proxy_tls = take_tls(
            of_proxy, "proxy_", parts.scheme == "https", parts.host, timeouts
        )
    target = dataclasses.replace(uri, host=address["host"], port=address["port"])
    address.update(host=parts.host, port=parts.port)
    return Way(target, address, tls, parts, proxy_tls, user_agent_header, open_timeout)
