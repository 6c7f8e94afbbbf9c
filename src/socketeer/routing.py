"""
Which handler gets a connection, by the path of its request; without I/O.

The rooms' ``Router`` classes differ only in how they call a handler.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from . import _compatibility
from .datastructures import MultipleValuesError
from .http11 import Request, Response

if TYPE_CHECKING:
    import werkzeug.exceptions
    import werkzeug.routing
    from werkzeug.routing import Map
else:
    try:
        import werkzeug.exceptions
        import werkzeug.routing
    except ImportError:  # pragma: no cover - the tests have it
        werkzeug = None

__all__ = [
    "BaseRouter",
    "RoutedConnection",
    "after_coroutine",
    "prepare_route",
]

# A name or an address, and perhaps a port (RFC 9112, 3.2; RFC 3986, 3.2.2).
_HOST = re.compile(
    r"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII
)

# In front of the path in the absolute form of a target (RFC 9112, 3.2.2).
_ORIGIN = re.compile(r"\A(?:http|ws)s?://[^/?]*", re.IGNORECASE)


class RoutedConnection(Protocol):
    """
    What a router needs of a connection.

    Attributes:
        handler: The handler found for the connection.
        handler_kwargs: What the rule found in the path.
    """

    handler: Callable[..., Any]
    handler_kwargs: dict[str, Any]

    def respond(self, status: HTTPStatus, text: str) -> Response:
        """
        Make a plain text response.
        """
        ...


class BaseRouter:
    """
    Finds the handler of a connection.

    Args:
        url_map: Rules; their endpoints are handlers.
        server_name: Name under which clients know the server, for redirects and
            for rules with subdomains; by default, what they say in ``Host``.
        url_scheme: Scheme of redirects.
    """

    def __init__(
        self, url_map: Map, server_name: str | None = None, url_scheme: str = "ws"
    ) -> None:
        self.url_map = url_map
        self.server_name = server_name
        self.url_scheme = url_scheme
        for rule in self.url_map.iter_rules():
            rule.websocket = True

    def get_server_name(self, connection: RoutedConnection, request: Request) -> str:
        """
        Return the name under which the client knows the server.

        Raises:
            LookupError: The request has no ``Host``, or several.
        """
        if self.server_name is None:
            return request.headers["Host"]
        return self.server_name

    def redirect(self, connection: RoutedConnection, url: str) -> Response:
        """
        Make the response for a path that is found elsewhere.
        """
        response = connection.respond(HTTPStatus.FOUND, f"Found at {url}")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: RoutedConnection) -> Response:
        """
        Make the response for a path without a rule.
        """
        return connection.respond(HTTPStatus.NOT_FOUND, "Not Found")

    def route_request(
        self, connection: RoutedConnection, request: Request
    ) -> Response | None:
        """
        Find the handler of a request, as a ``process_request`` hook.

        Returns:
            A response if there is none; otherwise the connection has got the
            attributes ``handler`` and ``handler_kwargs``.
        """
        try:
            server_name = self.get_server_name(connection, request)
        except (KeyError, MultipleValuesError):
            # "A server MUST respond with a 400" (RFC 9112, 3.2).
            server_name = ""
        path, _, query = _ORIGIN.sub("", request.path, count=1).partition("?")
        if not _HOST.fullmatch(server_name):
            return connection.respond(HTTPStatus.BAD_REQUEST, "Bad Request")
        try:
            # A name that cannot be one makes binding fail.
            adapter = self.url_map.bind(server_name, url_scheme=self.url_scheme)
        except (werkzeug.exceptions.BadRequest, UnicodeError):
            return connection.respond(HTTPStatus.BAD_REQUEST, "Bad Request")
        try:
            handler, arguments = adapter.match(path_info=path, query_args=query)
        except werkzeug.routing.RequestRedirect as exc:
            return self.redirect(connection, exc.new_url)
        except werkzeug.exceptions.HTTPException:
            return self.not_found(connection)
        connection.handler, connection.handler_kwargs = handler, dict(arguments)
        return None


Hook = Callable[..., Any]


def prepare_route(
    create_router: Callable[[Map, str | None, str], Any],
    url_map: Map,
    server_name: str | None,
    ssl: object,
    after: Callable[[Hook, Hook], Hook],
    arguments: dict[str, Any],
) -> tuple[Hook, dict[str, Any]]:
    """
    Return the handler and the other arguments of ``serve()`` behind ``route()``.

    Args:
        create_router: The class of the router, or a function that makes one.
        url_map: Rules; their endpoints are handlers.
        server_name: Name under which clients know the server.
        ssl: Context for TLS; :obj:`True` if a proxy in front does TLS.
        after: Returns a hook that asks one after the other.
        arguments: The user's arguments of ``serve()``.

    Raises:
        ImportError: werkzeug is not installed.
    """
    if werkzeug is None:
        raise ImportError("route() requires werkzeug: pip install 'socketeer[router]'")
    router = create_router(url_map, server_name, "ws" if ssl is None else "wss")
    hook = _compatibility.adapt_process_request(
        arguments.pop("process_request", None)
    ) or _compatibility.overridden_process_request(arguments.get("create_connection"))
    if ssl is not None and ssl is not True:
        arguments["ssl"] = ssl
    arguments["process_request"] = (
        router.route_request if hook is None else after(hook, router.route_request)
    )
    return router.handler, arguments


def after_function(hook: Hook, then: Hook) -> Hook:
    """
    Return a hook that asks a user's hook before routing.
    """

    def process_request(connection: Any, request: Request) -> Any:
        return hook(connection, request) or then(connection, request)

    return process_request


def after_coroutine(hook: Hook, then: Hook) -> Hook:
    """
    Return a hook that asks a user's hook, maybe a coroutine function, before routing.
    """

    async def process_request(connection: Any, request: Request) -> Any:
        response = hook(connection, request)
        if inspect.isawaitable(response):
            response = await response
        return response or then(connection, request)

    return process_request
