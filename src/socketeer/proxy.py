"""
Proxies of clients, without I/O: which one, and what is said to it.

A proxy that speaks HTTP is asked to connect to the server by ``CONNECT``
(RFC 9110, 9.3.6); what SOCKS proxies are told is up to ``python-socks``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import typing
import urllib.parse
from collections.abc import Generator, Iterator

from .datastructures import Headers
from .exceptions import (
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
)
from .headers import build_authorization_basic, build_host
from .http11 import USER_AGENT, Response
from .streams import StreamReader
from .uri import WebSocketURI

__all__ = [
    "ConnectRequest",
    "Proxy",
    "blaming_socks",
    "find_proxy",
    "get_proxy",
    "parse_proxy",
    "prepare_connect_request",
    "socks_arguments",
]

# Schemes, with their default ports. That of SOCKS is IANA's.
_DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


@dataclasses.dataclass
class Proxy:
    """
    The parts of the URL of a proxy.

    Attributes:
        scheme: ``http``, ``https``, ``socks4``, ``socks4a``, ``socks5`` or
            ``socks5h``.
        host: Host name in ASCII, in lower case; an IPv6 address has no
            brackets.
        port: Port, also if it is the default one.
        username: User name, decoded; :obj:`None` if there is none.
        password: Password, decoded; :obj:`None` if there is none.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or :obj:`None`."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password

    @property
    def is_socks(self) -> bool:
        """Whether the proxy speaks SOCKS, not HTTP."""
        return self.scheme.startswith("socks")


def parse_proxy(proxy: str) -> Proxy:
    """
    Read the URL of a proxy.

    Raises:
        InvalidProxy: It isn't one that we can connect through.
    """
    try:
        parts = urllib.parse.urlsplit(proxy)
        port = parts.port
    except ValueError as exc:
        raise InvalidProxy(proxy, str(exc)) from exc
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidProxy(proxy, f"scheme {parts.scheme} isn't supported")
    if not parts.hostname:
        raise InvalidProxy(proxy, "hostname isn't provided")
    if parts.path not in {"", "/"}:
        raise InvalidProxy(proxy, "path is meaningless")
    if parts.query:
        raise InvalidProxy(proxy, "query is meaningless")
    if parts.fragment:
        raise InvalidProxy(proxy, "fragment is meaningless")
    username, password = parts.username, parts.password
    if username is not None:
        if password is None:
            raise InvalidProxy(proxy, "username provided without password")
        username = urllib.parse.unquote(username)
        password = urllib.parse.unquote(password)
    host = parts.hostname
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as exc:
            raise InvalidProxy(proxy, str(exc)) from exc
    return Proxy(
        parts.scheme,
        host,
        port or _DEFAULT_PORTS[parts.scheme],
        username,
        password,
    )


# Which proxy.


def get_proxy(uri: WebSocketURI) -> str | None:
    """
    Find the proxy that the environment or the operating system asks for.

    In this order: none, if ``no_proxy`` names the host; ``wss_proxy`` or
    ``ws_proxy``; ``socks_proxy``; ``https_proxy``; ``http_proxy``, for ``ws``
    only. Names in capitals work as well.

    Args:
        uri: Where to connect to.

    Returns:
        The URL of the proxy, or :obj:`None`.
    """
    # Takes longer to import than all of Socketeer, and servers never need it.
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    proxies = getproxies()
    # macOS counts exceptions apart from proxies, so the order matters.
    if not proxies or proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    if _is_in_networks(uri.host, proxies.get("no", "")):
        return None
    schemes = ["wss" if uri.secure else "ws", "socks", "https"]
    if not uri.secure:
        schemes.append("http")
    for scheme in schemes:
        proxy = proxies.get(scheme)
        if proxy:
            return _complete(proxy, scheme)
    return None


def find_proxy(
    uri: WebSocketURI, proxy: str | typing.Literal[True] | None
) -> Proxy | None:
    """
    Return the proxy to connect through, if there is one.

    Args:
        uri: Where to connect to.
        proxy: Its URL, :obj:`True` to look for one, :obj:`None` for none.

    Raises:
        InvalidProxy: The URL of the proxy is not valid.
    """
    url = get_proxy(uri) if proxy is True else proxy
    return None if url is None else parse_proxy(url)


def _complete(proxy: str, scheme: str) -> str:
    """Give the setting of a proxy the scheme that it means."""
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    # Operating systems list a SOCKS proxy as "http://host:port".
    if scheme == "socks" and proxy.startswith("http://"):
        proxy = "socks5h://" + proxy.removeprefix("http://")
    return proxy


def _is_in_networks(host: str, no_proxy: str) -> bool:
    """Tell whether an address is in one of the networks of ``no_proxy``."""
    if "/" not in no_proxy:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in no_proxy.split(","):
        # Other entries are names and patterns, which were looked at.
        if "/" in entry:
            try:
                network = ipaddress.ip_network(entry.strip(), strict=False)
            except ValueError:
                continue
            if address in network:
                return True
    return False


# SOCKS.


def socks_arguments(proxy: Proxy) -> dict[str, typing.Any]:
    """
    Say the same to ``python-socks``.

    Args:
        proxy: A SOCKS proxy.

    Returns:
        Arguments for the ``Proxy`` classes of ``python_socks``.

    Raises:
        ImportError: ``python-socks`` isn't installed.
    """
    try:
        from python_socks import ProxyType  # noqa: PLC0415
    except ImportError as exc:
        raise ImportError(
            "connecting through a SOCKS proxy requires python-socks; "
            "socketeer[socks] installs it"
        ) from exc
    is_socks4 = proxy.scheme.startswith("socks4")
    return {
        "proxy_type": ProxyType.SOCKS4 if is_socks4 else ProxyType.SOCKS5,
        "host": proxy.host,
        "port": proxy.port,
        "username": proxy.username,
        "password": proxy.password,
        # Who looks up the name of the server: with "a" and "h", the proxy does.
        "rdns": proxy.scheme[-1] in "ah",
    }


@contextlib.contextmanager
def blaming_socks() -> Iterator[None]:
    """
    Say of what ``python-socks`` raises that the proxy is to blame.

    Raises:
        ProxyError: The proxy refuses, or is none.
        OSError: The proxy cannot be reached, or is too slow.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as exc:
        raise ProxyError("failed to connect to SOCKS proxy") from exc


# CONNECT.


def prepare_connect_request(
    proxy: Proxy,
    ws_uri: WebSocketURI,
    user_agent_header: str | None = USER_AGENT,
) -> bytes:
    """
    Write the request for a connection through an HTTP proxy.

    Args:
        proxy: The proxy; its user name and password go into the request.
        ws_uri: Where to connect to.
        user_agent_header: ``User-Agent`` header; :obj:`None` for none.
    """
    # With the port even if it is the default one (RFC 9110, 9.3.6).
    target = build_host(
        ws_uri.host, ws_uri.port, ws_uri.secure, always_include_port=True
    )
    headers = Headers()
    headers["Host"] = build_host(ws_uri.host, ws_uri.port, ws_uri.secure)
    if user_agent_header is not None:
        headers["User-Agent"] = user_agent_header
    if proxy.user_info is not None:
        headers["Proxy-Authorization"] = build_authorization_basic(*proxy.user_info)
    return f"CONNECT {target} HTTP/1.1\r\n".encode() + headers.serialize()


class ConnectRequest:
    """
    What happens between us and an HTTP proxy until the connection is through.

    Send :attr:`data_to_send`; pass on what the proxy answers until
    :meth:`receive_data` returns true.

    Args:
        proxy: The proxy.
        ws_uri: Where to connect to.
        user_agent_header: ``User-Agent`` header; :obj:`None` for none.

    Attributes:
        data_to_send: The request.
    """

    def __init__(
        self,
        proxy: Proxy,
        ws_uri: WebSocketURI,
        user_agent_header: str | None = USER_AGENT,
    ) -> None:
        self.data_to_send: bytes = prepare_connect_request(
            proxy, ws_uri, user_agent_header
        )
        self._reader = StreamReader()
        self._parser: Generator[None, None, Response] = Response.parse(
            self._reader.read_line,
            self._reader.read_exact,
            self._reader.read_to_eof,
            proxy=True,
        )

    def receive_data(self, data: bytes) -> bool:
        """
        Take in a piece of the proxy's answer.

        Args:
            data: What was read; empty at the end of the proxy's bytes.

        Returns:
            Whether the connection is through. If not, more must be read.

        Raises:
            InvalidProxyMessage: The answer isn't valid HTTP, or is followed by
                bytes that the server cannot have sent.
            InvalidProxyStatus: The proxy refuses.
        """
        if data:
            self._reader.feed_data(data)
        else:
            self._reader.feed_eof()
        try:
            next(self._parser)
        except StopIteration as result:
            response = typing.cast("Response", result.value)
        except Exception as exc:
            raise InvalidProxyMessage(
                "did not receive a valid HTTP response from proxy"
            ) from exc
        else:
            return False
        # "Any 2xx (Successful) response indicates that the sender [...] will
        # switch to tunnel mode" (RFC 9110, 9.3.6).
        if not 200 <= response.status_code < 300:
            raise InvalidProxyStatus(response)
        # In TLS and in WebSocket, the client speaks first.
        if self._reader.buffer:
            raise InvalidProxyMessage("unexpected data behind the proxy's response")
        return True
