"""
The answers of a server's opening handshake that are the same in whatever room.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from .http11 import Response

if TYPE_CHECKING:
    from .server import ServerProtocol
    from .typing import LoggerLike

__all__ = [
    "check_response",
    "closing_response",
    "failure_response",
    "late_response",
    "unusable_response",
]

_FAILED = "Failed to open a WebSocket connection"


def check_response(name: str, response: object) -> Response | None:
    """
    Return what a hook returned.

    Raises:
        TypeError: It is no response.
    """
    if response is not None and not isinstance(response, Response):
        raise TypeError(f"{name} must return a Response or None: {response!r}")
    return response


def failure_response(
    protocol: ServerProtocol, logger: LoggerLike, name: str, exc: Exception
) -> Response:
    """
    Log that a hook raised, and return the answer.
    """
    protocol.handshake_exc = exc
    logger.error("%s failed", name, exc_info=exc)
    return protocol.reject(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"{_FAILED}.\nSee server log for more information.\n",
    )


def unusable_response(protocol: ServerProtocol, exc: Exception) -> Response:
    """
    Return the answer to a request that makes no sense.
    """
    protocol.handshake_exc = exc
    return protocol.reject(HTTPStatus.BAD_REQUEST, f"{_FAILED}: {exc}.\n")


def late_response(protocol: ServerProtocol, has_request: bool) -> Response:
    """
    Return the answer when the client or, after its request, a hook is too slow.
    """
    protocol.handshake_exc = TimeoutError("timed out during handshake")
    if has_request:
        return protocol.reject(
            HTTPStatus.SERVICE_UNAVAILABLE, f"{_FAILED}: server timeout.\n"
        )
    return protocol.reject(HTTPStatus.REQUEST_TIMEOUT, f"{_FAILED}: request timeout.\n")


def closing_response(protocol: ServerProtocol) -> Response:
    """
    Return the answer when the server is closing.
    """
    return protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, "Server is shutting down.\n")
