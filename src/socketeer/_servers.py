"""
What servers of all rooms know of their clients: who may come in, and how many did.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ._connection import report_handler
from ._opening import unusable_response
from .exceptions import InvalidHeader
from .frames import Close, CloseCode, Frame, Opcode
from .limits import Census, Limits, Meter, address_key, retry_after, spread
from .protocol import OPEN
from .server import rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._core.limited import LimitedSession
    from .forwarded import Network, TrustedProxies
    from .http11 import Request, Response
    from .limits import Rate
    from .server import ServerProtocol
    from .typing import LoggerLike, StatusLike

__all__ = ["BaseServer", "ServerSide", "closing_code", "make_limits"]

C = TypeVar("C", bound="ServerSide")


def make_limits(
    max_connections: int | None,
    max_connections_per_address: int | None,
    max_handshakes: int | None,
    max_byte_rate: Rate | None,
    max_message_rate: Rate | None,
    idle_timeout: float | None,
    trusted_proxies: Iterable[str | Network] | None,
) -> Limits:
    """
    Return what a server allows: see ``serve()``.

    Raises:
        ValueError: A limit makes no sense.
        TypeError: A limit is of the wrong type.
    """
    return Limits(
        max_connections,
        max_connections_per_address,
        max_handshakes,
        max_byte_rate,
        max_message_rate,
        idle_timeout,
        None if trusted_proxies is None else _trust(trusted_proxies),
    )


def _trust(proxies: Iterable[str | Network]) -> TrustedProxies:
    """
    Return the proxies whose word is taken.
    """
    # It takes as long to import as a server, and few are behind a proxy.
    from .forwarded import TrustedProxies  # noqa: PLC0415

    return TrustedProxies(proxies)


def closing_code(
    drain: float | None, close_connections: bool, code: int, reason: str
) -> int:
    """
    Return the close code of a server that closes.

    Args:
        drain: Seconds over which connections are closed, if so.
        close_connections: Whether connections are closed at all.
        code: The code that was asked for.
        reason: The reason.

    Raises:
        ValueError: These do not go together.
        ProtocolError: The code or the reason cannot be sent.
    """
    if drain is not None:
        if not 0 <= drain < math.inf:
            raise ValueError(f"drain must be positive or zero, got {drain!r}")
        if not close_connections:
            raise ValueError("drain has a meaning only with close_connections")
        if code == CloseCode.GOING_AWAY:
            code = CloseCode.SERVICE_RESTART
    Frame(Opcode.CLOSE, Close(code, reason).serialize()).check()
    return code


class BaseServer(Generic[C]):
    """
    A server's connections and limits.

    Args:
        limits: What the server allows.
        server_header: Value of the ``Server`` header of responses.
        logger: Logger of the server; ``socketeer.server`` by default.

    Attributes:
        all_connections: Connections in any state whose handler has not returned.
        limits: What the server allows.
        census: Counts connections.
        server_header: Value of the ``Server`` header of responses.
        logger: Logger of the server.
    """

    def __init__(
        self,
        limits: Limits | None,
        server_header: str | None,
        logger: LoggerLike | None,
    ) -> None:
        self.all_connections: set[C] = set()
        self.limits = limits or Limits()
        self.census = Census(self.limits)
        self.server_header = server_header
        self.logger: LoggerLike = logger or logging.getLogger("socketeer.server")

    # What the rooms add.

    def is_closing(self) -> bool:
        """
        Tell whether the server was told to close.
        """
        raise NotImplementedError

    def count_handlers(self) -> int:
        """
        Return how many handlers have not returned.
        """
        raise NotImplementedError

    # What users ask.

    def statistics(self) -> dict[str, int]:
        """
        Return counters and gauges, for monitoring.

        Gauges tell how many there are now: ``connections`` that are open,
        ``handshakes`` in progress, ``handlers`` that have not returned, and
        ``addresses`` with a connection if ``max_connections_per_address`` is set. All
        others only ever grow; the documentation of endings lists them.

        It is cheap, and a new dictionary each time.
        """
        return {**self.census.statistics(), "handlers": self.count_handlers()}

    @property
    def connections(self) -> set[C]:
        """
        The connections that are OPEN.

        A new set each time: iterate over it while connections come and go.
        """
        return {
            connection
            for connection in self.all_connections
            if cast("Any", connection).state is OPEN
        }

    # Clients that come.

    def turn_away(self) -> bytes:
        """
        Count a connection that is refused at once; return what to tell it.
        """
        self.census.turn_away()
        response = rejection(503, "Too many connections.\n")
        response.headers["Retry-After"] = retry_after()
        if self.server_header is not None:
            response.headers["Server"] = self.server_header
        return self._log_rejection(response)

    def dismiss(self, status: StatusLike, text: str) -> bytes:
        """
        Count a connection that is refused while its request is waited for; return
        what to tell it.
        """
        self.census.count("rejected")
        return self._log_rejection(rejection(status, text))

    def _log_rejection(self, response: Response) -> bytes:
        """
        Log what is answered before there is a connection; return its bytes.
        """
        status = f"{response.status_code} {response.reason_phrase}"
        self.logger.info("connection rejected (%s)", status)
        return response.serialize()

    def locate(
        self, connection: C, protocol: ServerProtocol, request: Request
    ) -> Response | None:
        """
        Find out where a client is.

        Returns:
            The answer, if proxies that are trusted contradict each other.
        """
        proxies = self.limits.trusted_proxies
        if proxies is None:
            return None
        try:
            client = proxies.find_client(_host(connection), request.headers)
        except InvalidHeader as exc:
            return unusable_response(protocol, exc)
        if client is not None:
            # As for sockets: IPv6 has a flow and a scope, too.
            rest = (0, 0) if ":" in client.host else ()
            connection._client_address = (*client, *rest)
        return None

    def admit(self, connection: C, protocol: ServerProtocol) -> Response | None:
        """
        Find a place for a connection whose request is acceptable.

        Returns:
            The answer, if there is none.
        """
        key = ""
        if self.limits.max_connections_per_address is not None:
            key = address_key(_host(connection))
        limit = self.census.admit(key)
        if not limit:
            connection._place = key
            return None
        if limit == "max_connections":
            status = HTTPStatus.SERVICE_UNAVAILABLE
        else:
            status = HTTPStatus.TOO_MANY_REQUESTS
        response = protocol.reject(status, "Too many connections.\n")
        response.headers["Retry-After"] = retry_after()
        return response

    def welcome(self, connection: C) -> None:
        """
        Take in that an opening handshake has succeeded.
        """
        session: LimitedSession = cast("Any", connection)._link
        limits = self.limits
        if limits.is_metered:
            session.meter = Meter(limits, session.clock())
        if limits.idle_timeout is not None:
            session.idle_timeout = limits.idle_timeout
        connection._was_open = True
        self.census.open()

    # Connections that go.

    def report(self, connection: C, exc: BaseException) -> None:
        """
        Log why a handler ended.
        """
        open_connection = cast("Any", connection)
        if report_handler(open_connection._link, open_connection.logger, exc):
            self.census.count("handlers_failed")

    def draining(self, seconds: float, start: float) -> Iterator[tuple[float, C]]:
        """
        Return the open connections, and when to close each of them.

        Args:
            seconds: How long that takes in all.
            start: The time.
        """
        connections = self.connections
        self.logger.info(
            "server draining %d connections over %.0f s", len(connections), seconds
        )
        for at, connection in zip(
            spread(len(connections), seconds), connections, strict=True
        ):
            yield start + at, connection

    def count_end(self, connection: C) -> None:
        """
        Count a connection that is gone, or that was not opened.
        """
        code = (
            _first_close_code(cast("Any", connection)._link)
            if connection._was_open
            else None
        )
        self.census.leave(connection._place, code)


def _host(connection: ServerSide) -> str | None:
    """
    Return the address that a connection is counted under.
    """
    address = connection.remote_address
    return str(address[0]) if isinstance(address, tuple) else None


def _first_close_code(session: LimitedSession) -> int:
    """
    Return the code of the close frame that came first, or 1006 if there was none.
    """
    first = session.close_rcvd if session.close_rcvd_then_sent else session.close_sent
    first = first or session.close_rcvd
    return 1006 if first is None else int(first.code)


class ServerSide:
    """
    What the server's end of a connection has besides, in all rooms.
    """

    __slots__ = ()

    # What trusted proxies tell; None if the peer is the client.
    _client_address: Any = None
    # How the server counts this connection, once it was admitted.
    _place: str | None = None
    _was_open: bool = False

    def respond(self, status: StatusLike, text: str) -> Response:
        """
        Make a plain text response, for a ``process_request`` hook to return.

        Its headers can be changed before it is returned.

        Args:
            status: HTTP status.
            text: Body; it should end with a newline.
        """
        protocol: ServerProtocol = cast("Any", self).protocol
        return protocol.reject(status, text)

    @property
    def remote_address(self) -> Any:
        """
        Address of the client: ``(host, port)`` for IPv4.

        Behind ``trusted_proxies``, that is what they tell, with port 0 if they do not
        tell the port. Otherwise it is that of the peer, as of
        :meth:`socket.socket.getpeername`; :obj:`None` if there is no connection.
        """
        if self._client_address is not None:
            return self._client_address
        return cast("Any", super()).remote_address
