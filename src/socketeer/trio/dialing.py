"""
From a URI to a stream: what ``connect()`` does before the opening handshake.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING, Any

import trio

from .._connecting import check_names
from .._tls import BaseWay
from ..proxy import (
    ConnectRequest,
    Proxy,
    blaming_socks,
    find_proxy,
    socks_arguments,
)

if TYPE_CHECKING:
    from .._tls import TLSOptions
    from ..uri import WebSocketURI

__all__ = ["Way", "close_at_once"]

# Bytes of a proxy's answer taken by one read.
_READ_SIZE = 4096

# Arguments of trio.open_tcp_stream().
_KNOWN_ARGUMENTS = {"happy_eyeballs_delay", "host", "local_address", "port"}


@dataclasses.dataclass(kw_only=True)
class Way(BaseWay):
    """
    How to get to a server.

    Attributes:
        stream: Stream of the user, in place of all that follows but TLS.
        path: Path of a Unix socket, in place of a host and a port.
        address: Where to connect to, if not to where the URI says: arguments of
            :func:`trio.open_tcp_stream`.
    """

    stream: trio.abc.Stream | None
    path: Any
    address: dict[str, Any]

    def __post_init__(self) -> None:
        check_names(self.address, _KNOWN_ARGUMENTS)

    async def go(self, uri: WebSocketURI) -> trio.abc.Stream:
        """
        Return a stream to the server, with TLS if the URI says so.

        Raises:
            OSError: The connection cannot be established.
            ProxyError: The proxy refuses, or is none.
            InvalidProxy: The URL of the proxy is not valid.
            ImportError: A SOCKS proxy requires ``python-socks``.
            BrokenResourceError: A TLS handshake failed.
            ValueError: Arguments contradict each other.
        """
        tls = self.tls(uri)
        stream = await self._open(uri)
        return stream if tls is None else await _secure(stream, tls)

    async def _open(self, uri: WebSocketURI) -> trio.abc.Stream:
        """
        Return a stream without the server's TLS.
        """
        if self.stream is not None:
            return self.stream
        if self.path is not None:
            return await trio.open_unix_socket(os.fspath(self.path))
        address = {"host": uri.host, "port": uri.port, **self.address}
        proxy = find_proxy(uri, self.proxy)
        if proxy is None:
            return await trio.open_tcp_stream(**address)
        target = dataclasses.replace(uri, host=address["host"], port=address["port"])
        if proxy.is_socks:
            return await self._through_socks(proxy, target)
        return await self._through_http(proxy, target)

    async def _through_socks(
        self, proxy: Proxy, target: WebSocketURI
    ) -> trio.abc.Stream:
        """
        Return a stream to the server through a SOCKS proxy.
        """
        arguments = socks_arguments(proxy)
        from python_socks.async_.trio import Proxy as SocksProxy  # noqa: PLC0415

        local_address = self.address.get("local_address")
        with blaming_socks():
            # Its own default would end connecting after a minute.
            sock = await SocksProxy(**arguments).connect(
                target.host,
                target.port,
                timeout=math.inf,
                local_addr=None if local_address is None else (local_address, 0),
            )
        return trio.SocketStream(sock)

    async def _through_http(
        self, proxy: Proxy, target: WebSocketURI
    ) -> trio.abc.Stream:
        """
        Return a stream to the server through an HTTP proxy.
        """
        tls = self.proxy_tls(proxy)
        address = {**self.address, "host": proxy.host, "port": proxy.port}
        stream: trio.abc.Stream = await trio.open_tcp_stream(**address)
        if tls is not None:
            stream = await _secure(stream, tls)
        request = ConnectRequest(proxy, target, self.user_agent_header)
        try:
            await stream.send_all(request.data_to_send)
            while not request.receive_data(
                bytes(await stream.receive_some(_READ_SIZE))
            ):
                pass
        except BaseException:
            await close_at_once(stream)
            raise
        return stream


async def _secure(stream: trio.abc.Stream, tls: TLSOptions) -> trio.abc.Stream:
    """
    Set up TLS on a stream.
    """
    secure = trio.SSLStream(
        stream,
        tls.context,
        server_hostname=tls.server_hostname,
        https_compatible=True,
    )
    try:
        await secure.do_handshake()
    except BaseException:
        await close_at_once(secure)
        raise
    return secure


async def close_at_once(stream: trio.abc.AsyncResource) -> None:
    """
    Close a stream without waiting for anybody, whether canceled or not.
    """
    with trio.CancelScope(shield=True):
        await trio.aclose_forcefully(stream)
