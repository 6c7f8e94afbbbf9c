"""
WebSocket servers on threads that choose a handler by the path.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from .._options import ROUTE, documented
from ..routing import BaseRouter, after_function, prepare_route
from .server import Server, ServerConnection, serve

if TYPE_CHECKING:
    from werkzeug.routing import Map

    from ..typing import PathLike

__all__ = ["Router", "route", "unix_route"]


class Router(BaseRouter):
    """
    Finds the handler of a connection, and calls it.

    To change what :func:`route` does, override a method and pass the class as
    ``create_router``.
    """

    def handler(self, connection: ServerConnection) -> None:
        """
        Call the handler that was found, with what the rule found in the path.
        """
        connection.handler(connection, **connection.handler_kwargs)


@documented(ROUTE)
def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | Literal[True] | None = None,
    create_router: Callable[..., Router] | None = None,
    **kwargs: Any,
) -> Server:
    """
    Create a WebSocket server that chooses a handler by the path.

    ::

        from werkzeug.routing import Map, Rule

        def room(connection, name):
            ...

        with route(Map([Rule("/rooms/<name>", endpoint=room)]), "", 8765) as server:
            server.serve_forever()

    Paths without a rule are answered with 404, and rules with ``redirect_to``
    with 302. A ``process_request`` hook is asked before.

    Args:
        url_map: Rules; their endpoints are functions that get a
            connection and, by name, what the rule found in the path. The rules
            get ``websocket=True``.
        *args: Positional arguments of :func:`~socketeer.sync.server.serve`
            after the handler.
        server_name: ...
        ssl: ...
        create_router: ...
        **kwargs: Arguments of :func:`~socketeer.sync.server.serve`.

    Returns:
        The server, which listens.

    Raises:
        ImportError: werkzeug is not installed.
    """
    handler, arguments = prepare_route(
        create_router or Router, url_map, server_name, ssl, after_function, kwargs
    )
    return serve(handler, *args, **arguments)


def unix_route(url_map: Map, path: PathLike | None = None, **kwargs: Any) -> Server:
    """
    Create a WebSocket server on a Unix socket that chooses a handler by the path.

    Args:
        url_map: Rules, as for :func:`route`.
        path: File system path of the socket. A socket left over there is removed.
        **kwargs: Arguments of :func:`route`, ``host`` and ``port`` excepted.
    """
    return route(url_map, unix=True, path=path, **kwargs)
