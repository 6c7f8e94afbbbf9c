"""
Which redirects a client follows, and what it takes along, without I/O.
"""

from __future__ import annotations

import typing
import urllib.parse

from .datastructures import Headers, HeadersLike
from .exceptions import InvalidStatus, InvalidURI, SecurityError
from .uri import parse_uri
from .utils import setting

__all__ = ["MAX_REDIRECTS", "Pinned", "Redirect", "follow_redirect"]

MAX_REDIRECTS: int = setting("MAX_REDIRECTS", 10)
"""How many redirects one attempt to connect may follow."""

Pinned = typing.Literal["socket", "stream", "path", "address"]
"""What determines where to connect to, other than the URI: an open socket or stream,
the path of a Unix socket, an explicit host or port."""

# Those of RFC 9110, 15.4, that tell another location for the same request;
# 303 is there because servers have always used it so.
_REDIRECT_STATUSES = {300, 301, 302, 303, 307, 308}

# The server that they were meant for is not the one that would get them.
_CREDENTIALS = {"authorization", "cookie", "proxy-authorization"}

# Web servers redirect to what browsers call these.
_SCHEMES = {"http": "ws", "https": "wss"}


class Redirect(typing.NamedTuple):
    """
    Where a redirect leads to.

    Attributes:
        uri: The new URI.
        additional_headers: The headers to send there.
    """

    uri: str
    additional_headers: HeadersLike | None


def follow_redirect(
    exc: Exception,
    uri: str,
    additional_headers: HeadersLike | None,
    pinned: Pinned | None,
) -> Redirect | Exception:
    """
    Decide whether to follow a redirect.

    Args:
        exc: What connecting to ``uri`` ended with.
        uri: The present URI.
        additional_headers: The headers that the user wants to be sent.
        pinned: What determines where to connect to, if not the URI alone.

    Returns:
        Where to go, without credentials if that is another origin; or the
        exception to raise: ``exc`` itself if it is no redirect.

    Raises:
        InvalidURI: The new URI isn't a WebSocket URI.
    """
    location = _location(exc)
    if location is None:
        return exc
    new_uri = _join(uri, location)
    old, new = parse_uri(uri), parse_uri(new_uri)
    if pinned in {"socket", "stream"}:
        return ValueError(
            f"cannot follow redirect to {new_uri} with a preexisting {pinned}"
        )
    if old.secure and not new.secure:
        return SecurityError(f"cannot follow redirect to non-secure URI {new_uri}")
    if (old.secure, old.host, old.port) == (new.secure, new.host, new.port):
        return Redirect(new_uri, additional_headers)
    if pinned is not None:
        reason = "a Unix socket" if pinned == "path" else "an explicit host or port"
        return ValueError(
            f"cannot follow cross-origin redirect to {new_uri} with {reason}"
        )
    return Redirect(new_uri, _without_credentials(additional_headers))


def _location(exc: Exception) -> str | None:
    """Return the location that a response redirects to, if it does."""
    if not isinstance(exc, InvalidStatus):
        return None
    if exc.response.status_code not in _REDIRECT_STATUSES:
        return None
    # Several would be a contradiction; the first is as good as any.
    return next(iter(exc.response.headers.get_all("Location")), None)


def _join(uri: str, location: str) -> str:
    """Resolve a reference as RFC 3986, 5, says; "http" stands for "ws"."""
    try:
        joined = urllib.parse.urljoin(uri, location)
    except ValueError as exc:
        raise InvalidURI(location, str(exc)) from exc
    scheme, colon, rest = joined.partition(":")
    return _SCHEMES.get(scheme, scheme) + colon + rest


def _without_credentials(headers: HeadersLike | None) -> HeadersLike | None:
    """Return headers without those that prove who we are."""
    if headers is None:
        return None
    return Headers(
        [
            (name, value)
            for name, value in Headers(headers).raw_items()
            if name.lower() not in _CREDENTIALS
        ]
    )
