"""
The page of the chat, served from the same port by the library itself.

A WebSocket connection begins as an HTTP request. ``process_request`` sees each
of them first: it answers those for a file of the page, and lets those for the
chat go on to the opening handshake. This is enough for a page, a health check
or a redirect; it is not a web server, and has no need to be one.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from importlib import resources
from urllib.parse import urlsplit

from socketeer.asyncio.server import ServerConnection
from socketeer.datastructures import Headers
from socketeer.http11 import Request, Response

__all__ = ["CHAT_PATH", "process_request"]

CHAT_PATH = "/chat"

FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("page", "connection", "room", "drawing")
    },
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
    # Browsers ask for this one on their own.
    "/favicon.ico": ("favicon.svg", "image/svg+xml"),
}

# The page loads its own files, talks to its own origin, and nothing else: even
# if a nickname ever became HTML by mistake, a script in it would not run.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # An isolated page may read a clock of microseconds instead of tenths of a
    # millisecond: round trips on one machine take less than that.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def load(name: str) -> bytes:
    """Read a file that is installed beside this module."""
    return resources.files("socketeer.demo").joinpath(name).read_bytes()


BODIES = {name: load(name) for name, _ in FILES.values()}


def process_request(connection: ServerConnection, request: Request) -> Response | None:
    """
    Answer a request for a file; return ``None`` to go on to the handshake.

    The library itself refuses methods other than GET, and requests to the
    chat that are no opening handshakes.
    """
    if request.method != "GET":
        return None
    path = urlsplit(request.path).path
    if path in FILES:
        name, content_type = FILES[path]
        return file_response(BODIES[name], content_type)
    if path != CHAT_PATH:
        return connection.respond(HTTPStatus.NOT_FOUND, "Not found\n")
    if not is_same_origin(request.headers):
        return connection.respond(HTTPStatus.FORBIDDEN, "Wrong origin\n")
    return None


def file_response(body: bytes, content_type: str) -> Response:
    """Build a response with this body; the connection closes after it."""
    headers = Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", content_type),
            ("Cache-Control", "no-cache"),
            *SECURITY_HEADERS.items(),
        ]
    )
    return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, body)


def is_same_origin(headers: Headers) -> bool:
    """
    Tell whether the request comes from our own page, or from no page at all.

    Browsers let any page of any site open a WebSocket connection to anywhere,
    and say in the Origin header which site it was (RFC 6455, 10.2). Here the
    site may have several names, of all networks that reach it, so that the
    ``origins`` argument of ``serve()``, a fixed list, does not fit.
    """
    origins = headers.get_all("Origin")
    if not origins:
        return True
    return [urlsplit(origin).netloc for origin in origins] == headers.get_all("Host")
