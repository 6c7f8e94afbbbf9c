"""
TLS without I/O, and with which context clients speak it to servers and proxies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ssl as ssl_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from .proxy import Proxy
    from .uri import WebSocketURI

__all__ = [
    "TLS",
    "BaseWay",
    "TLSOptions",
    "choose_context",
    "default_context",
    "take_tls",
]

# Bytes of plain text taken from TLS at a time.
_RECORDS = 65_536


@functools.cache
def default_context() -> ssl_module.SSLContext:
    """
    Return the TLS context for clients that bring none.

    It is made once: loading the system's certificates takes milliseconds and
    megabytes.
    """
    return ssl_module.create_default_context()


def choose_context(
    is_secure: bool,
    ssl: ssl_module.SSLContext | bool | None,
    *,
    for_proxy: bool = False,
) -> ssl_module.SSLContext | None:
    """
    Return the TLS context to connect with, if TLS is to be used.

    Args:
        is_secure: Whether the URI says ``wss``, or that of the proxy ``https``.
        ssl: The argument of the user: a context, or :obj:`True` or :obj:`None`
            for the default one.
        for_proxy: Whether this is about the proxy, not about the server.

    Raises:
        ValueError: There is an argument, but no TLS.
    """
    if not is_secure:
        if ssl is None:
            return None
        if for_proxy:
            raise ValueError("proxy_ssl argument is incompatible with an http:// proxy")
        raise ValueError("ssl argument is incompatible with a ws:// URI")
    if isinstance(ssl, ssl_module.SSLContext):
        return ssl
    return default_context()


class TLSOptions(NamedTuple):
    """
    How to speak TLS.

    Attributes:
        context: The TLS context.
        server_hostname: Name that the server's certificate must bear.
        handshake_timeout: Seconds for the TLS handshake.
        shutdown_timeout: Seconds for the end of TLS.
    """

    context: ssl_module.SSLContext
    server_hostname: str | None
    handshake_timeout: float | None = None
    shutdown_timeout: float | None = None


def take_tls(
    arguments: dict[str, Any],
    prefix: str,
    is_secure: bool,
    host: str,
    timeouts: tuple[float | None, float | None],
) -> TLSOptions | None:
    """
    Take what is about TLS out of arguments, named as those of asyncio's event loops.

    Args:
        arguments: The arguments.
        prefix: What their names begin with: ``"proxy_"`` for the proxy.
        is_secure: Whether TLS is spoken.
        host: Name that the certificate must bear if no other one is given.
        timeouts: Seconds for the TLS handshake and for the end of TLS, as well.

    Raises:
        ValueError: Arguments contradict each other.
    """

    def take(name: str, default: Any = None) -> Any:
        return arguments.pop(f"{prefix}{name}", default)

    scheme = "an https:// proxy" if prefix else "a wss:// URI"
    if is_secure and arguments.get(f"{prefix}ssl", True) is None:
        raise ValueError(f"{prefix}ssl=None is incompatible with {scheme}")
    context = choose_context(is_secure, take("ssl"), for_proxy=bool(prefix))
    if context is not None:
        return TLSOptions(
            context,
            take("server_hostname", host),
            take("ssl_handshake_timeout", timeouts[0]),
            take("ssl_shutdown_timeout", timeouts[1]),
        )
    for name in ("server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"):
        if take(name) is not None:
            raise ValueError(f"{prefix}{name} is only meaningful with ssl")
    return None


@dataclasses.dataclass(kw_only=True)
class BaseWay:
    """
    What a user says about the way to a server.

    Attributes:
        ssl: TLS context for the server; :obj:`None` for the default one.
        server_hostname: Name that the server's certificate must bear, if not the
            host of the URI.
        proxy: URL of a proxy, :obj:`True` to look for one, :obj:`None` for none.
        proxy_ssl: TLS context for an ``https`` proxy.
        proxy_server_hostname: Name that the proxy's certificate must bear.
        user_agent_header: What a proxy is told about us.
    """

    ssl: ssl_module.SSLContext | None
    server_hostname: str | None
    proxy: str | Literal[True] | None
    proxy_ssl: ssl_module.SSLContext | None
    proxy_server_hostname: str | None
    user_agent_header: str | None

    def tls(self, uri: WebSocketURI) -> TLSOptions | None:
        """
        Return how to speak TLS with the server, if so.

        Raises:
            ValueError: There is a context, but no TLS.
        """
        context = choose_context(uri.secure, self.ssl)
        if context is None:
            return None
        return TLSOptions(context, self.server_hostname or uri.host)

    def proxy_tls(self, proxy: Proxy) -> TLSOptions | None:
        """
        Return the same for the proxy.
        """
        is_secure = proxy.scheme == "https"
        context = choose_context(is_secure, self.proxy_ssl, for_proxy=True)
        if context is None:
            return None
        return TLSOptions(context, self.proxy_server_hostname or proxy.host)


class TLS:
    """
    One end of TLS, without I/O.

    One may stand on another, as behind a proxy that speaks TLS itself.

    Args:
        context: The TLS context.
        server_hostname: Name that the server's certificate must bear.
        server_side: Whether this is the server's end.
        outer: TLS in which this one is wrapped, if so.
    """

    def __init__(
        self,
        context: ssl_module.SSLContext,
        server_hostname: str | None,
        *,
        server_side: bool = False,
        outer: TLS | None = None,
    ) -> None:
        self._received = ssl_module.MemoryBIO()
        self._to_send = ssl_module.MemoryBIO()
        self.object: ssl_module.SSLObject = context.wrap_bio(
            self._received,
            self._to_send,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        self.outer = outer

    def handshake(self) -> bool:
        """
        Go on with the TLS handshake; return whether it is over.

        Raises:
            ssl.SSLError: It failed.
        """
        try:
            self.object.do_handshake()
        except ssl_module.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> bytes:
        """
        Return what to write to the socket so that the peer gets ``data``.
        """
        if data:
            self.object.write(data)
        return self.output()

    def output(self) -> bytes:
        """
        Return what to write to the socket for TLS itself.
        """
        data = self._to_send.read()
        return data if self.outer is None else self.outer.encrypt(data)

    def feed(self, data: bytes) -> None:
        """
        Take in what was read from the socket; nothing if that was the end.
        """
        if self.outer is not None and data:
            plain = self.outer.decrypt(data)
            if plain == b"":
                return
            data = plain or b""
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()

    def decrypt(self, data: bytes) -> bytes | None:
        """
        Take in what was read from the socket, and return as :meth:`read` does.
        """
        self.feed(data)
        return self.read()

    def read(self) -> bytes | None:
        """
        Return what the peer sent, maybe nothing yet; :obj:`None` if that was all.

        Raises:
            ssl.SSLError: The peer violates TLS.
        """
        pieces: list[bytes] = []
        try:
            while piece := self.object.read(_RECORDS):
                pieces.append(piece)
        except ssl_module.SSLWantReadError:
            return b"".join(pieces)
        except ssl_module.SSLEOFError:
            if not pieces:
                raise
            return b"".join(pieces)
        except ssl_module.SSLZeroReturnError:
            pass
        return b"".join(pieces) or None

    def end(self) -> bytes:
        """
        Return what to write to the socket after the last byte.
        """
        # The peer has not said the same yet; that is not waited for.
        with contextlib.suppress(ssl_module.SSLError):
            self.object.unwrap()
        return self.output()
