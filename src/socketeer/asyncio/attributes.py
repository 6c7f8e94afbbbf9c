"""
What a connection tells about itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .. import _attributes
from .._connection import connection_logger
from ..http11 import unpack_handshake
from ..protocol import Protocol, State
from ._cellar import Connected

if TYPE_CHECKING:
    import asyncio

    from ..http11 import Request, Response
    from ..typing import LoggerLike
    from ._cellar import Link

__all__ = ["Attributes"]


class Attributes(Connected, _attributes.Attributes):
    """
    The public attributes of a connection.
    """

    __slots__ = (
        "_handshake",
        "_logger",
        "_protocol",
        "_request",
        "_response",
        "_write_limit",
    )

    # The request and the response, packed, in place of both.
    _handshake: str | None
    _logger: LoggerLike | None
    _link: Link  # type: ignore[assignment] # of the same shape
    _protocol: Protocol
    _request: Request | None
    _response: Response | None
    _write_limit: tuple[int, int]

    @property
    def logger(self) -> LoggerLike:
        """
        Logger of the connection; its records have the connection, as a weak
        reference, in an attribute ``websocket``.
        """
        if self._logger is None:
            self._logger = connection_logger(self._protocol.logger, self)
        return self._logger

    @logger.setter
    def logger(self, logger: LoggerLike) -> None:
        self._logger = logger

    def _log(self, level: int, *args: Any, exc_info: Any = None) -> None:
        """
        Log something; an idle connection keeps no logger for that.
        """
        logger = self._logger or self._protocol.logger
        if logger.isEnabledFor(level):
            logger = self._logger or connection_logger(logger, self)
            logger.log(level, *args, exc_info=exc_info)

    @property
    def protocol(self) -> Protocol:
        """
        View of the protocol's state: what was negotiated and how it ended.
        """
        self._protocol.logger = self.logger
        return self._protocol

    @property
    def request(self) -> Request | None:  # noqa: D102 - inherited
        self._unpack()
        return self._request

    @request.setter
    def request(self, request: Request | None) -> None:
        self._unpack()
        self._request = request

    @property
    def response(self) -> Response | None:  # noqa: D102 - inherited
        self._unpack()
        return self._response

    @response.setter
    def response(self, response: Response | None) -> None:
        self._unpack()
        self._response = response

    def _unpack(self) -> None:
        """
        Have the request and the response at hand.
        """
        if self._handshake is not None:
            self._request, self._response = unpack_handshake(self._handshake)
            self._handshake = None

    @property
    def transport(self) -> asyncio.Transport:
        """
        The transport, with the interface of :class:`asyncio.Transport`.
        """
        wire = self._link.wire
        return cast("asyncio.Transport", getattr(wire, "transport", wire))

    @property
    def local_address(self) -> Any:
        """
        Local address, as of :meth:`socket.socket.getsockname`: ``(host, port)``
        for IPv4. :obj:`None` if there is no connection.
        """
        return self._get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """
        Address of the peer, as of :meth:`socket.socket.getpeername`:
        ``(host, port)`` for IPv4. :obj:`None` if there is no connection.
        """
        return self._get_extra_info("peername")

    def _get_extra_info(self, name: str) -> Any:
        wire = self._link.wire
        return None if wire is None else self.transport.get_extra_info(name)

    @property
    def state(self) -> State:  # noqa: D102 - inherited
        link = self._link
        if link.opening is not None:
            return State.CONNECTING
        return State(link.state)

    @property
    def write_limit_high(self) -> int:
        """
        Bytes waiting to be written above which :meth:`send` waits.
        """
        return self._write_limit[0]

    @property
    def write_limit_low(self) -> int:
        """
        Bytes waiting to be written at which :meth:`send` goes on.
        """
        return self._write_limit[1]
