"""
What the server's and the client's connections have in common.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from .. import _compatibility
from .._attributes import Attributes
from .._connection import check_close_code, configure_session, equip_session
from .._messages import FragmentDecoder, control_payload
from ..exceptions import ConnectionClosedOK
from ..protocol import CONNECTING, OPEN, Protocol
from ..utils import FragmentEncoder
from .link import Link

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from .._links import Fragment
    from ..typing import BytesLike, Data, DataLike

__all__ = ["Connection"]


class Connection(Attributes, _compatibility.OlderAttributes):
    """
    An open WebSocket connection of either side.

    Iterating over it receives messages until it is closed::

        for message in connection:
            ...

    The iteration ends when the connection is closed normally, with code 1000 or
    1001 or without a code, and raises
    :exc:`~socketeer.exceptions.ConnectionClosedError` otherwise.

    As a context manager, it closes itself: with code 1000, or with 1011 if the
    body raises.

    All methods can be called from any thread at any time: several threads may send
    while one receives.

    Args:
        sock: A connected socket; it belongs to the connection from now on.
        protocol: The opening handshake without I/O.
    """

    _link: Link  # type: ignore[assignment] # of the same shape

    recv_bufsize = 65_536
    """Bytes read at a time."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
    ) -> None:
        link = Link(sock, protocol, self.recv_bufsize)
        self._link = link  # pyright: ignore[reportIncompatibleVariableOverride] # as above
        self._take = functools.partial(link.take_decoded, None)
        self.socket = sock
        self._protocol = protocol
        self._request = None
        self._response = None
        self._addresses = _name(sock.getsockname), _name(sock.getpeername)
        configure_session(
            link,
            self,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        protocol.hand_over(link)

    @property
    def local_address(self) -> Any:
        """
        Local address, as of :meth:`socket.socket.getsockname`: ``(host, port)``
        for IPv4.
        """
        return self._addresses[0]

    @property
    def remote_address(self) -> Any:
        """
        Address of the peer, as of :meth:`socket.socket.getpeername`:
        ``(host, port)`` for IPv4.
        """
        return self._addresses[1]

    def _opened(self) -> None:
        """
        Go from the opening handshake to the open connection.
        """
        equip_session(self._link, self._protocol)
        self._link.open(self._protocol.unread_data())

    # Receiving.

    def __iter__(self) -> Iterator[Data]:
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    @overload
    def recv(self, timeout: float | None = None, decode: None = None) -> Data: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(
        self, timeout: float | None = None, *, decode: Literal[False]
    ) -> bytes: ...
    @overload
    def recv(
        self, timeout: float | None = None, decode: bool | None = None
    ) -> Data: ...
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """
        Receive the next message.

        Fragments are put together. Messages that arrived before the connection was
        closed can still be received afterwards.

        Args:
            timeout: Seconds to wait at most; 0 or less takes a message only if it
                is there; :obj:`None` waits for ever. No message is lost by it.
            decode: By default, a text message is returned as :class:`str` and a
                binary message as :class:`bytes`. :obj:`False` returns
                :class:`bytes` for both, :obj:`True` returns :class:`str` for
                both. Text is always checked to be UTF-8 (RFC 6455, 8.1).

        Returns:
            The message.

        Raises:
            TimeoutError: No message came in time. The next call can receive it.
            ConnectionClosedOK: The connection was closed normally, and all
                messages have been received.
            ConnectionClosedError: The connection was closed with an error, or
                without a close frame; ``__cause__`` tells why, if it is known.
            ConcurrencyError: Another thread is running :meth:`recv` or
                :meth:`recv_streaming`. It is not disturbed.
        """
        link = self._link
        take = self._take
        if decode is not None:
            take = functools.partial(link.take_decoded, decode)
        return cast("Data", link.receive("recv", take, timeout))

    @overload
    def recv_streaming(self, decode: None = None) -> Iterator[Data]: ...
    @overload
    def recv_streaming(self, decode: Literal[True]) -> Iterator[str]: ...
    @overload
    def recv_streaming(self, decode: Literal[False]) -> Iterator[bytes]: ...
    @overload
    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]: ...
    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]:
        """
        Receive the next message in fragments, as they arrive.

        The iterator must be consumed to its end: as long as it is not,
        receiving raises :exc:`~socketeer.exceptions.ConcurrencyError`.

        Args:
            decode: As for :meth:`recv`. A character that is split over fragments
                is returned with the last of them.

        Returns:
            An iterator over fragments. One that is not fragmented has one.

        Raises:
            ConnectionClosed: The connection was closed.
            ConcurrencyError: Another thread is running :meth:`recv` or
                :meth:`recv_streaming`.
        """
        link = self._link
        decoder = FragmentDecoder(decode)
        while not decoder.is_over:
            fragment = link.receive(
                "recv_streaming", link.take_piece, None, decoder.has_begun
            )
            try:
                data = decoder.take(cast("Fragment", fragment))
            except UnicodeDecodeError as exc:
                with link.lock:
                    link.fail_with(exc, 1007, "invalid UTF-8")
                    link.settle()
                link.wait_lost(None)
                raise link.closed_error() from exc
            yield data

    # Sending.

    def send(
        self,
        message: DataLike | Iterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """
        Send a message; wait while the peer is slower than we are.

        A :class:`str` is sent in a text frame; :class:`bytes`, a
        :class:`bytearray` or a :class:`memoryview` in a binary frame. An iterable
        of one of these kinds is sent as a fragmented message, a fragment for each
        item (RFC 6455, 5.4).

        Safe to call from several threads: messages leave whole. If the iterable
        raises after the first fragment, the connection is closed with code 1011.

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
            ConcurrencyError: Another thread is sending a fragmented message.
            TypeError: The message is of no kind named above. Nothing was sent;
                the connection stays OPEN.
            UnicodeEncodeError: The text has a lone surrogate. Nothing was sent.
        """
        link = self._link
        if isinstance(message, str):
            link.send(2 if text is False else 1, str(message), compress is not False)
        elif isinstance(message, bytes | bytearray | memoryview):
            link.send(1 if text else 2, bytes(message), compress is not False)
        else:
            self._send_fragments(message, text, compress is not False)

    def _send_fragments(
        self, message: Iterable[DataLike], text: bool | None, compress: bool
    ) -> None:
        """
        Send the items of an iterable as the fragments of one message.
        """
        fragments = FragmentEncoder(message, text, may_wait=False)
        items = iter(message)
        try:
            first = next(items)
        except StopIteration:
            return
        opcode = fragments.begin(first)
        link = self._link
        with link.fragments():
            link.send_one(opcode, fragments.encode(first), False, compress)
            for item in items:
                link.send_one(0, fragments.encode(item), False, compress)
            link.send_one(0, b"", True, compress)

    # Closing.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(1000 if exc_type is None else 1011)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection; wait until it is closed.

        Does the closing handshake (RFC 6455, 7.1.2) within ``close_timeout``, and
        nothing if the connection is closed already. Messages that arrived before
        can still be received afterwards.

        If a fragmented message is being sent, the close code is 1011.

        Args:
            code: Close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
            reason: Close reason, at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: The code or the reason cannot be sent. The connection
                stays OPEN.
        """
        link = self._link
        if link.state == CONNECTING:
            link.abort(None)
            return
        if link.state == OPEN:
            check_close_code(code)
            link.begin_close(code, reason)
        link.wait_lost(None)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """
        Wait until the connection is closed.

        Args:
            timeout: Seconds to wait at most; :obj:`None` waits for ever.

        Returns:
            Whether the connection is closed.
        """
        return self._link.wait_lost(timeout)

    # Pings.

    def ping(
        self, data: Data | BytesLike | None = None, *, ack_on_close: bool = False
    ) -> threading.Event:
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
        event = threading.Event()
        link = self._link
        link.send_control(lambda: link.send_ping(payload, (event, ack_on_close)))
        return event

    def pong(self, data: Data | BytesLike = b"") -> None:
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
        link = self._link
        link.send_control(lambda: link.send_pong(payload))


def _name(get: Any) -> Any:
    """
    Return an address of a socket; :obj:`None` if it is not connected any more.
    """
    try:
        return get()
    except OSError:
        return None
