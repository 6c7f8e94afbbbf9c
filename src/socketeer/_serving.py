"""
What ``serve()`` makes of its arguments, in whatever room.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import _compatibility
from ._negotiation import negotiation_arguments
from .extensions.permessage_deflate import enable_server_permessage_deflate
from .server import ServerProtocol

if TYPE_CHECKING:
    from ._core.endpoint import Endpoint

__all__ = ["ConnectionFactory", "Hooks", "prepare_hooks", "prepare_protocol"]


@dataclasses.dataclass
class ConnectionFactory:
    """
    Makes connections and the handshakes they begin with.

    Attributes:
        create_connection: The class, or a function that stands for it.
        protocol_arguments: Arguments of :class:`~socketeer.server.ServerProtocol`.
        connection_arguments: Arguments of the class.
        select_subprotocol: Hook, called with the connection.
    """

    create_connection: Callable[..., Any]
    protocol_arguments: dict[str, Any]
    connection_arguments: dict[str, Any]
    select_subprotocol: Callable[..., Any] | None

    def make(
        self,
        before: tuple[Any, ...],
        after: tuple[Any, ...],
        endpoint: Endpoint | None = None,
    ) -> tuple[Any, ServerProtocol]:
        """
        Return a new connection and its handshake.

        Args:
            before: Arguments of the class before the protocol.
            after: Arguments of the class after the protocol.
            endpoint: What the connection will have when it is OPEN, if that is
                there already.
        """
        hook: Any = self.select_subprotocol

        def select(_: ServerProtocol, subprotocols: Sequence[Any]) -> Any:
            return hook(connection, subprotocols)

        protocol = ServerProtocol(
            select_subprotocol=None if hook is None else select,
            **self.protocol_arguments,
            _endpoint=endpoint,
        )
        connection = self.create_connection(
            *before, protocol, *after, **self.connection_arguments
        )
        return connection, protocol


def prepare_protocol(*, origins: Any, **options: Any) -> dict[str, Any]:
    """
    Return arguments of :class:`~socketeer.server.ServerProtocol`: see
    :func:`~socketeer._negotiation.negotiation_arguments`.
    """
    return {
        "origins": origins,
        **negotiation_arguments("server", enable_server_permessage_deflate, **options),
    }


@dataclasses.dataclass
class Hooks:
    """
    What a server calls, in today's form.

    Attributes:
        create_connection: The class of connections, or :obj:`None`.
        process_request: Gets a connection and a request.
        process_response: Gets a connection, a request and a response.
        close_timeout: Seconds for closing.
    """

    create_connection: Callable[..., Any] | None
    process_request: Callable[..., Any] | None
    process_response: Callable[..., Any] | None
    close_timeout: float | None


def prepare_hooks(hooks: Hooks, arguments: dict[str, Any]) -> Hooks:
    """
    Give hooks of older forms and older names today's.

    Args:
        hooks: What the user gave.
        arguments: Arguments that ``serve()`` does not know; older names are taken
            out.
    """
    older = _compatibility.take_older_arguments(arguments)
    create_connection = older.create_connection or hooks.create_connection
    if hooks.process_request is None:
        process_request = _compatibility.overridden_process_request(create_connection)
    else:
        process_request = _compatibility.adapt_process_request(hooks.process_request)
    process_response = hooks.process_response
    if older.extra_headers is not None:
        process_response = _compatibility.adapt_headers(
            older.extra_headers, process_response
        )
    close_timeout = hooks.close_timeout
    if older.close_timeout is not None:
        close_timeout = older.close_timeout
    return Hooks(create_connection, process_request, process_response, close_timeout)
