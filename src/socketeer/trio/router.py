"""
WebSocket servers on trio that choose a handler by the path.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import trio

from .._options import ROUTE, documented
from ..routing import BaseRouter, after_coroutine, prepare_route
from .server import Server, ServerConnection, serve, unix_serve

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

    async def handler(self, connection: ServerConnection) -> None:
        """
        Call the handler that was found, with what the rule found in the path.
        """
        await connection.handler(connection, **connection.handler_kwargs)


@documented(ROUTE)
async def route(
    url_map: Map,
    port: int | None = None,
    *,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | Literal[True] | None = None,
    create_router: Callable[..., Router] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwargs: Any,
) -> None:
    """
    Run a WebSocket server that chooses a handler by the path, until it is closed.

    ::

        from werkzeug.routing import Map, Rule

        async def room(connection, name):
            ...

        url_map = Map([Rule("/rooms/<name>", endpoint=room)])
        async with trio.open_nursery() as nursery:
            server = await nursery.start(route, url_map, 8765)

    Paths without a rule are answered with 404, and rules with ``redirect_to``
    with 302. A ``process_request`` hook is asked before.

    Args:
        url_map: Rules; their endpoints are coroutine functions that get a
            connection and, by name, what the rule found in the path. The rules
            get ``websocket=True``.
        port: Port; 0 for a free one.
        server_name: ...
        ssl: ...
        create_router: ...
        task_status: For :meth:`trio.Nursery.start`, which returns the server.
        **kwargs: Arguments of :func:`~socketeer.trio.server.serve`.

    Raises:
        ImportError: werkzeug is not installed.
    """
    handler, arguments = prepare_route(
        create_router or Router, url_map, server_name, ssl, after_coroutine, kwargs
    )
    await serve(handler, port, task_status=task_status, **arguments)


async def unix_route(
    url_map: Map,
    path: PathLike | None = None,
    *,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | Literal[True] | None = None,
    create_router: Callable[..., Router] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwargs: Any,
) -> None:
    """
    Run a WebSocket server on a Unix socket that chooses a handler by the path.

    Args:
        url_map: Rules, as for :func:`route`.
        path: File system path of the socket. A socket left over there is removed.
        server_name: As for :func:`route`.
        ssl: As for :func:`route`.
        create_router: As for :func:`route`.
        task_status: For :meth:`trio.Nursery.start`, which returns the server.
        **kwargs: Arguments of :func:`~socketeer.trio.server.unix_serve`.
    """
    handler, arguments = prepare_route(
        create_router or Router, url_map, server_name, ssl, after_coroutine, kwargs
    )
    await unix_serve(handler, path, task_status=task_status, **arguments)
