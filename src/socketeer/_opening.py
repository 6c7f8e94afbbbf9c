"""
A server's opening handshake, from the request to the response, in whatever room.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from .http11 import Request, Response

if TYPE_CHECKING:
    from ._servers import BaseServer
    from .server import ServerProtocol
    from .typing import LoggerLike

__all__ = [
    "CLIENT_LATE",
    "CLOSING",
    "Answering",
    "closing_response",
    "failure_response",
    "late_response",
    "patience",
    "take_request",
    "unusable_response",
    "write_response",
]

_ACCEPTED = HTTPStatus.SWITCHING_PROTOCOLS.value

_FAILED = "Failed to open a WebSocket connection"

# Answers, status and text: when the request took too long, when a hook did, and when
# the server is closing.
CLIENT_LATE = HTTPStatus.REQUEST_TIMEOUT, f"{_FAILED}: request timeout.\n"
SERVER_LATE = HTTPStatus.SERVICE_UNAVAILABLE, f"{_FAILED}: server timeout.\n"
CLOSING = HTTPStatus.SERVICE_UNAVAILABLE, "Server is shutting down.\n"

# A hook with its arguments; what it returns may have to be awaited.
_Call = Callable[[], Any]

_Hooks = tuple[Callable[..., Any] | None, Callable[..., Any] | None]


class Answering:
    """
    Finds the response to a request.

    The room calls the hooks::

        call = answering.go_on()
        while call is not None:
            try:
                result = call()
            except Exception as exc:
                call = answering.go_on(failure=exc)
            else:
                call = answering.go_on(result)

    Args:
        server: The server; it may be crowded, or closing.
        connection: The connection, for the hooks.
        protocol: The handshake without I/O.
        request: The request.
        hooks: ``process_request`` and ``process_response``.

    Attributes:
        response: The response, when there is no further hook to call.
        has_failed: Whether that is since a hook has failed.
    """

    __slots__ = ("_hooks", "_protocol", "_server", "_steps", "has_failed", "response")

    def __init__(
        self,
        server: BaseServer[Any],
        connection: Any,
        protocol: ServerProtocol,
        request: Request,
        hooks: _Hooks,
    ) -> None:
        self._server = server
        self._protocol = protocol
        self._hooks = hooks
        self._steps = self._decide(connection, request)
        self.response: Response | None = None
        self.has_failed = False

    def go_on(
        self, result: object = None, *, failure: Exception | None = None
    ) -> _Call | None:
        """
        Take in what became of a hook, or begin.

        Args:
            result: What it returned.
            failure: What it raised.

        Returns:
            The next hook, to be called without arguments; :obj:`None` if there is a
            response.
        """
        try:
            if failure is not None:
                return self._steps.throw(failure)
            return self._steps.send(result)
        except StopIteration as end:
            self.response = end.value
        except _HookFailed as exc:
            self.response = exc.response
            self.has_failed = True
        return None

    def _decide(
        self, connection: Any, request: Request
    ) -> Generator[_Call, object, Response]:
        """
        Ask the server, the hooks and the protocol, in the order that all rooms have.
        """
        server, protocol = self._server, self._protocol
        before, after = self._hooks
        refusal = server.locate(connection, protocol, request)
        if refusal is not None:
            return refusal
        response: Response | None = None
        if before is not None:
            response = yield from self._ask(
                "process_request", before, connection, request
            )
        if response is None:
            response = protocol.accept(request)
            if response.status_code == _ACCEPTED:
                # Whom nobody would close the connection of is not counted, either.
                refusal = self._refuse_late() or server.admit(connection, protocol)
                if refusal is not None:
                    return refusal
        if server.server_header is not None:
            response.headers["Server"] = server.server_header
        connection.response = response
        if after is not None:
            other = yield from self._ask(
                "process_response", after, connection, request, response
            )
            if other is not None:
                response = other
        refusal = None
        if response.status_code == _ACCEPTED:
            # Maybe the hook took its time.
            refusal = self._refuse_late()
        return refusal or response

    def _refuse_late(self) -> Response | None:
        """
        Return the answer to somebody whose connection nobody would close any more.
        """
        return closing_response(self._protocol) if self._server.is_closing() else None

    def _ask(
        self, name: str, hook: Callable[..., Any], connection: Any, *args: Any
    ) -> Generator[_Call, object, Response | None]:
        """
        Have a hook called, and return its response.
        """
        try:
            result = yield functools.partial(hook, connection, *args)
            return check_response(name, result)
        except Exception as exc:
            raise _HookFailed(
                failure_response(self._protocol, connection.logger, name, exc)
            ) from exc


class _HookFailed(Exception):
    """
    A hook raised; there is an answer to that.
    """

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def take_request(protocol: ServerProtocol, data: bytes | bytearray) -> Request | None:
    """
    Take in what was read of a request; return the request when it is complete.

    Args:
        protocol: The handshake without I/O; it knows what is wrong with a request.
        data: What was read; empty at the end of the client's bytes.
    """
    if data:
        protocol.receive_data(data)
    else:
        protocol.receive_eof()
    for event in protocol.events_received():
        return cast("Request", event)
    return None


def write_response(
    connection: Any, protocol: ServerProtocol, response: Response | None
) -> bytes:
    """
    Return what to write in response to a request.

    Args:
        connection: The connection, which remembers the response.
        protocol: The handshake without I/O.
        response: The response; :obj:`None` if the protocol has written one.
    """
    if response is not None:
        connection.response = response
        protocol.send_response(response)
    return b"".join(protocol.data_to_send())


def patience(close_timeout: float | None) -> float:
    """
    Return for how many seconds a client that was refused may go on.
    """
    return 10.0 if close_timeout is None else close_timeout


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
    return protocol.reject(*(SERVER_LATE if has_request else CLIENT_LATE))


def closing_response(protocol: ServerProtocol) -> Response:
    """
    Return the answer when the server is closing.
    """
    return protocol.reject(*CLOSING)
