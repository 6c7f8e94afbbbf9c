"""
Older forms of the API, which many programs and tutorials still use.

Each form is recognized once, when a server or a client is set up, and made into
today's; the rest of the library knows nothing of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .datastructures import Headers
from .http11 import Response

if TYPE_CHECKING:
    from .http11 import Request

__all__ = [
    "OlderArguments",
    "OlderAttributes",
    "adapt_handler",
    "adapt_headers",
    "adapt_process_request",
    "overridden_process_request",
    "take_older_arguments",
]


class OlderAttribute:
    """
    An attribute which connections had in older versions.

    It is found after an attribute that a program gave to a connection, and costs
    those nothing who do not use it.

    Args:
        read: Returns its value, given the connection.
    """

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self.read = read

    def __get__(self, connection: Any, owner: object) -> Any:
        return self if connection is None else self.read(connection)


class OlderAttributes:
    """
    The attributes which connections had in older versions.
    """

    __slots__ = ()

    path = OlderAttribute(lambda connection: connection.request.path)
    request_headers = OlderAttribute(lambda connection: connection.request.headers)
    response_headers = OlderAttribute(lambda connection: connection.response.headers)
    open = OlderAttribute(lambda connection: connection.state == 1)
    closed = OlderAttribute(lambda connection: connection.state == 3)


def adapt_handler(handler: Callable[..., Any]) -> Callable[[Any], Any]:
    """
    Return a handler that takes the connection alone.

    A handler that cannot be called with one argument, but with two, gets the
    path of the request as well.
    """
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return handler
    try:
        signature.bind(None)
    except TypeError:
        try:
            signature.bind(None, None)
        except TypeError:
            return handler
        return lambda connection: handler(connection, connection.request.path)
    return handler


def _takes_path(function: Callable[..., Any], position: int) -> bool:
    """
    Tell whether the argument of a function at a position is named ``path``.
    """
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return names[position : position + 1] == ["path"]


def adapt_process_request(
    process_request: Callable[..., Any] | None,
) -> Callable[[Any, Request], Any] | None:
    """
    Return a hook that takes the connection and the request.

    The older form takes the path and the headers of the request, and returns
    :obj:`None` or a tuple of status, headers and body. It is recognized by a
    first parameter named ``path``.
    """
    if process_request is None or not _takes_path(process_request, 0):
        return process_request
    return _older_hook(
        lambda connection, request: process_request(request.path, request.headers)
    )


def overridden_process_request(
    factory: Callable[..., Any] | None,
) -> Callable[[Any, Request], Any] | None:
    """
    Return the hook that a connection class defines as a method, if it does.

    The older form of such a method takes the path and the headers.
    """
    method = getattr(factory, "process_request", None)
    if method is None:
        return None
    if _takes_path(method, 1):
        return _older_hook(
            lambda connection, request: connection.process_request(
                request.path, request.headers
            )
        )
    return lambda connection, request: connection.process_request(request)


def _older_hook(call: Callable[[Any, Request], Any]) -> Callable[[Any, Request], Any]:
    """
    Make responses of the tuples that an older hook returns.
    """

    def process_request(connection: Any, request: Request) -> Any:
        result = call(connection, request)
        if inspect.isawaitable(result):
            return _await_response(result)
        return _make_response(result)

    return process_request


async def _await_response(awaitable: Any) -> Response | None:
    """
    Make a response of what a coroutine returns.
    """
    return _make_response(await awaitable)


def _make_response(result: Any) -> Response | None:
    """
    Make a response of a tuple of status, headers and body.
    """
    if result is None or isinstance(result, Response):
        return result
    status, headers, body = result
    # http.HTTPStatus or a number.
    phrase = getattr(status, "phrase", "")
    response = Response(int(status), phrase, Headers(headers), body)
    response.headers.setdefault("Content-Length", str(len(body)))
    response.headers.setdefault("Connection", "close")
    return response


def adapt_headers(
    extra_headers: Any,
    process_response: Callable[..., Any] | None,
) -> Callable[..., Any] | None:
    """
    Return a ``process_response`` hook that adds headers to the response.

    Args:
        extra_headers: A mapping, pairs, or a function that takes the path and the
            headers of the request and returns one of these.
        process_response: A hook to be called before.
    """

    def add_headers(request: Request, response: Response) -> None:
        headers = extra_headers
        if callable(headers):
            headers = headers(request.path, request.headers)
        if headers is None:
            return
        pairs: Any = headers
        if isinstance(headers, Headers):
            pairs = headers.raw_items()
        elif isinstance(headers, Mapping):
            pairs = headers.items()
        for name, value in pairs:
            response.headers[name] = value

    async def add_headers_later(
        awaitable: Awaitable[Any], request: Request, response: Response
    ) -> Any:
        result = await awaitable
        add_headers(request, result or response)
        return result

    def hook(connection: Any, request: Request, response: Response) -> Any:
        result = None
        if process_response is not None:
            result = process_response(connection, request, response)
            if inspect.isawaitable(result):
                return add_headers_later(result, request, response)
        add_headers(request, result or response)
        return result

    return hook


class OlderArguments(NamedTuple):
    """
    Arguments of older names: what they are today, :obj:`None` if not given.
    """

    create_connection: Any
    close_timeout: Any
    extra_headers: Any


def take_older_arguments(
    arguments: dict[str, Any], *, with_timeout: bool = True
) -> OlderArguments:
    """
    Take the arguments of older names out of keyword arguments.

    ``create_protocol`` and ``klass`` are ``create_connection``, ``timeout`` is
    ``close_timeout``; ``read_limit`` and ``loop`` mean nothing any more.

    Args:
        arguments: The keyword arguments.
        with_timeout: Whether ``timeout`` is an older name; on threads, it limits
            the TCP connection of a client, and always did.
    """
    arguments.pop("read_limit", None)
    arguments.pop("loop", None)
    klass = arguments.pop("klass", None)
    return OlderArguments(
        arguments.pop("create_protocol", klass),
        arguments.pop("timeout", None) if with_timeout else None,
        arguments.pop("extra_headers", None),
    )
