"""WebSocket URIs (RFC 6455, 3)."""

from __future__ import annotations

import dataclasses
import urllib.parse

from .exceptions import InvalidURI

__all__ = ["WebSocketURI", "parse_uri"]

# All characters that ASCII shows. Those that RFC 3986 forbids in a path or
# query but that do no harm in a request line stay as they were written.
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))

# What an IRI keeps when it becomes a URI: reserved characters, and the
# escapes it has already (RFC 3987, 3.1). Letters and digits stay anyway.
_RESERVED = ":/?#[]@!$&'()*+,;=%"


@dataclasses.dataclass
class WebSocketURI:
    """
    The parts of a WebSocket URI.

    Attributes:
        secure: True for ``wss``, false for ``ws``.
        host: Host name in ASCII, in lower case; an IPv6 address has no
            brackets.
        port: Port, also if it is the default one.
        path: Path, percent-encoded; may be empty.
        query: Query, percent-encoded, without the question mark; may be
            empty.
        username: User name, decoded; :obj:`None` if there is none.
        password: Password, decoded; :obj:`None` if there is none.
    """

    secure: bool
    host: str
    port: int
    path: str
    query: str
    username: str | None = None
    password: str | None = None

    @property
    def resource_name(self) -> str:
        """Path and query, as the request line has them."""
        path = self.path or "/"
        return f"{path}?{self.query}" if self.query else path

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or :obj:`None`."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password


def parse_uri(uri: str) -> WebSocketURI:
    """
    Read a WebSocket URI.

    An IRI, with characters beyond ASCII, is accepted as well: its host is
    encoded for the Domain Name System and the rest is percent-encoded.

    Raises:
        InvalidURI: It isn't the URI of a WebSocket server.
    """
    try:
        parts = urllib.parse.urlsplit(uri)
    except ValueError as exc:
        raise InvalidURI(uri, str(exc)) from exc
    if parts.scheme not in {"ws", "wss"}:
        raise InvalidURI(uri, "scheme isn't ws or wss")
    if not parts.hostname:
        raise InvalidURI(uri, "hostname isn't provided")
    # "Fragment identifiers are meaningless in the context of WebSocket
    # URIs and MUST NOT be used" (RFC 6455, 3).
    if parts.fragment:
        raise InvalidURI(uri, "fragment identifier is meaningless")
    username, password = parts.username, parts.password
    if username is not None:
        if password is None:
            raise InvalidURI(uri, "username provided without password")
        try:
            username = urllib.parse.unquote(username, errors="strict")
            password = urllib.parse.unquote(password, errors="strict")
        except UnicodeDecodeError as exc:
            raise InvalidURI(uri, str(exc)) from exc

    secure = parts.scheme == "wss"
    host = parts.hostname
    safe = _VISIBLE
    try:
        port = parts.port or (443 if secure else 80)
        if not uri.isascii():
            host = host.encode("idna").decode()
            safe = _RESERVED
        path = urllib.parse.quote(parts.path, safe)
        query = urllib.parse.quote(parts.query, safe)
    except ValueError as exc:  # a UnicodeError is one
        raise InvalidURI(uri, str(exc)) from exc
    return WebSocketURI(secure, host, port, path, query, username, password)
