"""
Files over HTTP, beside the WebSocket connections: enough for a page that uses them.
"""

from __future__ import annotations

import asyncio
import mimetypes
import urllib.parse
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path

from ..asyncio.server import ServerConnection
from ..datastructures import Headers
from ..exceptions import InvalidHeader
from ..headers import parse_upgrade
from ..http11 import Request, Response

__all__ = ["StaticFiles"]

# Largest file, in bytes; it is read into memory.
MAX_FILE_SIZE = 2**26


class StaticFiles:
    """
    Serves the files of a folder.

    Args:
        folder: The folder. Nothing outside of it is served, and nothing hidden.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).resolve()

    async def process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """
        Answer requests that are no opening handshake.
        """
        if wants_upgrade(request):
            return None
        if request.method not in {"GET", "HEAD"}:
            response = connection.respond(
                HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed.\n"
            )
            response.headers["Allow"] = "GET, HEAD"
            return response
        path, _, _ = request.path.partition("?")
        found = await asyncio.to_thread(self.find, path)
        if isinstance(found, str):
            response = connection.respond(HTTPStatus.FOUND, f"Found at {found}\n")
            response.headers["Location"] = found
            return response
        if found is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "Not found.\n")
        content = await asyncio.to_thread(found.read_bytes)
        return file_response(content, found.name)

    def find(self, path: str) -> Path | str | None:
        """
        Return the file for a path, or where else to look, or nothing.
        """
        names = urllib.parse.unquote(path).split("/")[1:]
        if any(name.startswith(".") or "\0" in name for name in names):
            return None
        try:
            file = self.folder.joinpath(*names).resolve()
            if not file.is_relative_to(self.folder):
                return None
            if file.is_dir():
                if not path.endswith("/"):
                    # One slash at the beginning: two would name another host.
                    return f"/{path.strip('/')}/"
                file /= "index.html"
            if file.is_file() and file.stat().st_size <= MAX_FILE_SIZE:
                return file
        except OSError:
            # A name that is too long, a folder we may not enter.
            return None
        return None


def wants_upgrade(request: Request) -> bool:
    """
    Tell whether a request is meant as an opening handshake.
    """
    try:
        return any(
            protocol.lower() == "websocket"
            for header in request.headers.get_all("Upgrade")
            for protocol in parse_upgrade(header)
        )
    except InvalidHeader:
        return False


def file_response(content: bytes, name: str) -> Response:
    """
    Return the response with the content of a file.
    """
    kind, encoding = mimetypes.guess_type(name)
    if kind is None or encoding is not None:
        kind = "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    headers = Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(content))),
            ("Content-Type", kind),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ]
    )
    return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, content)
