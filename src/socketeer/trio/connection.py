"""
What the server's and the client's connections have in common.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

import trio

from .._attributes import Attributes
from .._connection import check_close_code, configure_session, equip_session
from .._links import MaskingKeys
from .._messages import FragmentDecoder, control_payload
from ..exceptions import ConnectionClosedOK
from ..protocol import CONNECTING, OPEN, Protocol
from ..utils import FragmentEncoder
from .link import Link

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable
    from types import TracebackType

    from ..typing import BytesLike, Data, DataLike

__all__ = ["Connection"]

# Masking keys and ping payloads of all connections of the process.
_MASKING_KEYS = MaskingKeys(os.urandom)
if hasattr(os, "register_at_fork"):
    # Two processes must not use the keys that were drawn ahead.
    os.register_at_fork(after_in_child=_MASKING_KEYS.discard)


class Connection(Attributes, trio.abc.AsyncResource):
    """
    An open WebSocket connection of either side.

    Iterating over it receives messages until it is closed::

        async for message in connection:
            ...

    The iteration ends when the connection is closed normally, with code 1000 or
    1001 or without a code, and raises
    :exc:`~socketeer.exceptions.ConnectionClosedError` otherwise.

    As a context manager, it closes itself: with code 1000, or with 1011 if the
    body raises.

    All methods may be canceled, by :func:`trio.move_on_after` for instance. What
    that means is said with each of them: it never loses a message, nor leaves the
    peer with a part of a frame.

    Args:
        nursery: Where the two tasks of the connection run, once it is OPEN.
        stream: Stream to the peer; it belongs to the connection from now on.
        protocol: The opening handshake without I/O.
    """

    _link: Link  # type: ignore[assignment] # of the same shape

    def __init__(
        self,
        nursery: Any,
        stream: trio.abc.Stream,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        self._protocol = protocol
        self._request = None
        self._response = None
        self._nursery = nursery
        link = Link(stream, protocol, _MASKING_KEYS)
        self._link = link  # pyright: ignore[reportIncompatibleVariableOverride]
        protocol.hand_over(link)
        configure_session(
            link,
            self,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )

    # What there is to know, besides :class:`Attributes`.

    @property
    def stream(self) -> trio.abc.Stream:
        """
        The stream, which nobody but the connection must use.
        """
        return self._link.stream

    @property
    def local_address(self) -> Any:
        """
        Local address, as of :meth:`socket.socket.getsockname`: ``(host, port)``
        for IPv4. :obj:`None` if there is no connection, or none on a socket.
        """
        return self._ask_socket("getsockname")

    @property
    def remote_address(self) -> Any:
        """
        Address of the peer, as of :meth:`socket.socket.getpeername`:
        ``(host, port)`` for IPv4. :obj:`None` if there is no connection, or none
        on a socket.
        """
        return self._ask_socket("getpeername")

    def _ask_socket(self, method: str) -> Any:
        stream = self._link.stream
        while isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        if not isinstance(stream, trio.SocketStream):
            return None
        try:
            return getattr(stream.socket, method)()
        except OSError:
            return None

    def _opened(self, response: bytes) -> None:
        """
        Go from the opening handshake to the open connection.

        Args:
            response: What is still to be written of the handshake.
        """
        equip_session(self._link, self._protocol)
        self._link.open(self._nursery, response, self._protocol.unread_data())

    # Receiving.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Data:
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    @overload
    async def recv(self, decode: None = None) -> Data: ...
    @overload
    async def recv(self, decode: Literal[True]) -> str: ...
    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...
    @overload
    async def recv(self, decode: bool | None = None) -> Data: ...
    async def recv(self, decode: bool | None = None) -> Data:
        """
        Receive the next message.

        Fragments are put together. Canceling is safe: no message is lost, and
        the next call receives what this one would have.

        Messages that arrived before the connection was closed can still be
        received afterwards.

        Args:
            decode: By default, a text message is returned as :class:`str` and a
                binary message as :class:`bytes`. :obj:`False` returns
                :class:`bytes` for both, :obj:`True` returns :class:`str` for
                both. Text is always checked to be UTF-8 (RFC 6455, 8.1).

        Returns:
            The message.

        Raises:
            ConnectionClosedOK: The connection was closed normally, and all
                messages have been received.
            ConnectionClosedError: The connection was closed with an error, or
                without a close frame; ``__cause__`` tells why, if it is known.
            ConcurrencyError: Another call of :meth:`recv` or
                :meth:`recv_streaming` is running. It is not disturbed.
        """
        return cast("Data", await self._link.receive(decode))

    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """
        Receive the next message in fragments, as they arrive.

        The iterator must be consumed to its end: as long as it is not,
        receiving raises :exc:`~socketeer.exceptions.ConcurrencyError`.
        Canceling is safe: the next fragment is received by the next step.

        Args:
            decode: As for :meth:`recv`. A character that is split over fragments
                is returned with the last of them.

        Returns:
            An iterator over fragments. One that is not fragmented has one.

        Raises:
            ConnectionClosed: The connection was closed.
            ConcurrencyError: Another call of :meth:`recv` or
                :meth:`recv_streaming` is running.
        """
        return _Fragments(self._link, decode)

    # Sending.

    async def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """
        Send a message; wait while the peer is slower than we are.

        A :class:`str` is sent in a text frame; :class:`bytes`, a
        :class:`bytearray` or a :class:`memoryview` in a binary frame. An iterable
        or asynchronous iterable of one of these kinds is sent as a fragmented
        message, a fragment for each item (RFC 6455, 5.4).

        Safe to call from several tasks: messages leave whole, in the order of
        the calls, and wait for the end of a fragmented one. If canceled, an
        unfragmented message has been sent entirely or not at all, and the
        connection remains usable. If canceled, or if the iterable raises, after
        the first fragment, the connection is closed with code 1011.

        Args:
            message: The message.
            text: :obj:`True` sends bytes in a text frame, :obj:`False` sends a
                string in a binary frame. Bytes in a text frame are not checked
                to be UTF-8.
            compress: :obj:`False` sends the message uncompressed although
                compression was negotiated.

        Raises:
            ConnectionClosed: The connection is CLOSING or CLOSED. The error
                tells both close codes.
            TypeError: The message is of no kind named above. Nothing was sent;
                the connection stays OPEN.
            UnicodeEncodeError: The text has a lone surrogate. Nothing was sent.
        """
        link = self._link
        if isinstance(message, str):
            opcode = 2 if text is False else 1
            await link.send(opcode, str(message), compress is not False)
        elif isinstance(message, bytes | bytearray | memoryview):
            await link.send(1 if text else 2, bytes(message), compress is not False)
        else:
            await trio.lowlevel.checkpoint()
            await _send_fragments(link, message, text, compress is not False)

    # Closing.

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(1000 if exc_type is None else 1011)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection; wait until it is closed.

        Does the closing handshake (RFC 6455, 7.1.2) within ``close_timeout``, and
        nothing if the connection is closed already. Messages that arrived before
        can still be received afterwards.

        If a fragmented message is being sent, the close code is 1011.

        If canceled, the connection is closed without waiting for the peer, which
        gets the close frame if it can be written at once.

        Args:
            code: Close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
            reason: Close reason, at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: The code or the reason cannot be sent. The connection
                stays OPEN.
        """
        link = self._link
        if link.state == CONNECTING:
            await link.abandon()
        elif link.state == OPEN:
            check_close_code(code)
            link.begin_close(code, reason)
        try:
            await self.wait_closed()
        except BaseException:
            await link.abandon()
            raise

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, in state CLOSED and without a
        stream. Canceling does not disturb the connection.
        """
        await self._link.closed.wait()

    # Pings.

    async def ping(
        self, data: Data | BytesLike | None = None, *, ack_on_close: bool = False
    ) -> trio.Event:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: Payload, at most 125 bytes; a string is encoded. By default,
                four random bytes.
            ack_on_close: Whether the event is set when the connection is closed,
                too. Then it says that the wait is over, not that a pong came.

        Returns:
            An event that is set when the pong comes. A pong acknowledges all
            pings before the one it answers, too. It need not be waited for.

        Raises:
            ConnectionClosed: The connection is CLOSING or CLOSED.
            ConcurrencyError: A ping with the same payload waits for its pong.
            ProtocolError: The payload is too long.
            TypeError: The payload is neither text nor bytes.
        """
        payload = None if data is None else control_payload(data)
        event = trio.Event()
        link = await self._ready_for_control()
        link.send_ping(payload, (event, ack_on_close))
        link.push()
        await link.drain()
        return event

    async def pong(self, data: Data | BytesLike = b"") -> None:
        """
        Send an unsolicited pong (RFC 6455, 5.5.3).

        Args:
            data: Payload, at most 125 bytes; a string is encoded.

        Raises:
            ConnectionClosed: The connection is CLOSING or CLOSED.
            ProtocolError: The payload is too long.
            TypeError: The payload is neither text nor bytes.
        """
        payload = control_payload(data)
        link = await self._ready_for_control()
        link.send_pong(payload)
        link.push()
        await link.drain()

    async def _ready_for_control(self) -> Link:
        """
        Wait until a control frame can be sent, also between fragments.
        """
        link = self._link
        await trio.lowlevel.checkpoint()
        if link.state != OPEN:
            await link.wait_until_sendable()
        return link


class _Fragments:
    """
    Receives a message by fragments: what ``recv_streaming()`` returns.

    Args:
        link: The link of the connection.
        decode: Whether to decode.
    """

    def __init__(self, link: Link, decode: bool | None) -> None:
        self._link = link
        self._decoder = FragmentDecoder(decode)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Data:
        link, decoder = self._link, self._decoder
        if decoder.is_over:
            raise StopAsyncIteration
        fragment = await link.receive_fragment(decoder.has_begun)
        try:
            return decoder.take(fragment)
        except UnicodeDecodeError as exc:
            decoder.is_over = True
            link.fail_with(exc, 1007, "invalid UTF-8")
            link.settle()
            await link.closed.wait()
            raise link.closed_error() from exc


async def _send_fragments(
    link: Link, message: object, text: bool | None, compress: bool
) -> None:
    """
    Send the items of an iterable as the fragments of one message.

    Raises:
        TypeError: The message is no iterable or its items are not all str or all
            bytes-like. If fragments were sent, the connection fails with 1011.
    """
    fragments = FragmentEncoder(message, text)
    items = fragments.items()
    async with contextlib.AsyncExitStack() as stack:
        aclose = getattr(items, "aclose", None)
        if aclose is not None:
            # A generator must not be left before its end.
            stack.push_async_callback(aclose)
        try:
            first = await anext(items)
        except StopAsyncIteration:
            return
        opcode = fragments.begin(first)
        await link.wait_until_sendable()
        with link.fragments():
            await link.send_one(opcode, fragments.encode(first), False, compress)
            async for item in items:
                await link.send_one(0, fragments.encode(item), False, compress)
            await link.send_one(0, b"", True, compress)
