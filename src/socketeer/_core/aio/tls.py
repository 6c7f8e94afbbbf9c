"""
TLS over our own transport, by the ``ssl`` module's memory buffers.

A loop's own TLS transport keeps buffers of hundreds of kilobytes for each
connection and takes a turn of the loop for each layer. Here, what was read is
decrypted into the receive buffer that all connections share, and what is
written is encrypted on its way to the socket.
"""

from __future__ import annotations

import ssl

from .transport import SocketTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from asyncio import TimerHandle
    from collections.abc import Callable
    from typing import Any

    from ..outbox import Outbox
    from .turn import Member, Turn

__all__ = ["TLSTransport"]

# Stop decrypting into the receive buffer when less than a TLS record, 16 KiB,
# would fit; the rest comes next.
_RECORD_SIZE = 16384


class TLSTransport(SocketTransport):
    """
    Speaks TLS on a connected, non-blocking stream socket.

    Args:
        turn: The shared state of the loop's connections.
        sock: The socket; it belongs to the transport from now on.
        member: Whom to pass on what is read.
        high: Pause writing when more bytes than this wait.
        low: Resume writing when at most this many bytes wait.
        peername: The address of the peer.
        context: The TLS context.
        server_hostname: The name that the server's certificate must bear, for a
            client; :obj:`None` for a server.
        server_side: Whether this is the server's end.
        shutdown_timeout: Seconds to wait for the peer's end after ours, or
            :obj:`None` for no limit of its own.
        on_secure: Called when the TLS handshake succeeded.
    """

    __slots__ = (
        "_context",
        "_ended",
        "_incoming",
        "_object",
        "_on_secure",
        "_outgoing",
        "_said_goodbye",
        "_shutdown_timeout",
        "_shutdown_timer",
        "_unsent",
    )

    def __init__(
        self,
        turn: Turn,
        sock: socket.socket,
        member: Member,
        high: int,
        low: int,
        peername: object,
        context: ssl.SSLContext,
        server_side: bool,
        server_hostname: str | None,
        shutdown_timeout: float | None,
        on_secure: Callable[[], object],
    ) -> None:
        SocketTransport.__init__(self, turn, sock, member, high, low, peername)
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        # A function, until it was called.
        self._on_secure: Any = on_secure
        # Whether the peer has said goodbye.
        self._ended = False
        self._said_goodbye = False
        self._shutdown_timeout = shutdown_timeout
        self._shutdown_timer: TimerHandle | None = None
        # What could not be encrypted yet, a list of bytes: TLS wanted to read first.
        self._unsent: Any = None

    def start(self) -> None:
        self.resume_reading()
        self._shake_hands()

    def _shake_hands(self) -> None:
        """
        Go on with the TLS handshake.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._write_encrypted()
            return
        except (ssl.SSLError, ssl.CertificateError, OSError) as exc:
            # The alert tells the peer why.
            self._write_encrypted()
            self._break(exc)
            return
        self._write_encrypted()
        on_secure = self._on_secure
        self._on_secure = None
        on_secure()

    def take_in(self, data: bytearray, size: int) -> None:
        self._incoming.write(memoryview(data)[:size])
        if self._on_secure is not None:
            self._shake_hands()
            if self._on_secure is not None:
                return
        self._decrypt()

    def _decrypt(self) -> None:
        """
        Decrypt what was read, and pass it on.
        """
        buffer = self._turn.buffer
        while self._fd >= 0 and self._incoming.pending:
            filled = self._fill(buffer)
            self._write_encrypted()
            if filled > 0:
                SocketTransport.take_in(self, buffer, filled)
            elif filled < 0:
                break
        if self._ended and self._fd >= 0:
            self.take_eof()
        elif self._unsent is not None:
            self._encrypt_unsent()

    def _fill(self, buffer: bytearray) -> int:
        """
        Decrypt into a buffer; return how many bytes, or -1 if TLS is over.
        """
        filled = 0
        incoming = self._incoming
        read: Any = self._object.read
        size = len(buffer)
        try:
            with memoryview(buffer) as view:
                # Asked before each read: the exception that tells that nothing is
                # left costs as much as a message.
                while incoming.pending and size - filled >= _RECORD_SIZE:
                    part = read(size - filled, view[filled:] if filled else view)
                    if part == 0:
                        self._ended = True
                        break
                    filled += part
        except ssl.SSLWantReadError:
            # A record that is here in part.
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as exc:
            self._write_encrypted()
            self._break(exc)
            return -1
        if self._ended and not filled:
            return -1
        return filled

    def write_outbox(self, outbox: Outbox) -> None:
        self._encrypt(outbox.tail(0))

    def write_shared(self, frame: bytes) -> None:
        # Encrypted for this peer alone: nothing of it can be dropped later.
        self._encrypt(frame)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._encrypt(bytes(data))

    def _encrypt(self, data: bytes) -> None:
        """
        Encrypt bytes, and write them.
        """
        if self._fd < 0 or self._said_goodbye or not data:
            return
        if self._unsent is not None:
            self._unsent.append(data)
            return
        try:
            self._object.write(data)
        except ssl.SSLWantReadError:
            # Not before the handshake went on, which TLS 1.2 may repeat.
            self._unsent = [data]
        except ssl.SSLError as exc:
            self._break(exc)
            return
        self._write_encrypted()

    def _encrypt_unsent(self) -> None:
        """
        Encrypt what had to wait.
        """
        unsent = self._unsent
        self._unsent = None
        for data in unsent:
            self._encrypt(data)

    def _write_encrypted(self) -> None:
        """
        Write what TLS has to say.
        """
        if self._outgoing.pending:
            self._write_bytes(self._outgoing.read(), False)

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("TLS has no half-close")

    def finish(self) -> None:
        if self._fd < 0:
            return
        self._say_goodbye()
        SocketTransport.write_eof(self)
        if self._shutdown_timeout is not None and self._shutdown_timer is None:
            self._shutdown_timer = self._turn.loop.call_later(
                self._shutdown_timeout, self._give_up
            )

    def _give_up(self) -> None:
        """
        Stop waiting for the peer's end.
        """
        self.abort()

    def close(self) -> None:
        if self._fd >= 0 and not self._closing:
            self._say_goodbye()
        SocketTransport.close(self)

    def _say_goodbye(self) -> None:
        """
        Tell the peer that nothing follows ("close_notify").
        """
        if self._said_goodbye:
            return
        self._said_goodbye = True
        if self._on_secure is not None:
            return
        try:
            self._object.unwrap()
        except ssl.SSLError:
            # Either the peer's goodbye is not here yet, or TLS is broken: in
            # both cases there is no more to do.
            pass
        self._write_encrypted()

    def _tell_lost(self, exc: Exception | None) -> None:
        if self._shutdown_timer is not None:
            self._shutdown_timer.cancel()
            self._shutdown_timer = None
        SocketTransport._tell_lost(self, exc)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """
        Return what :meth:`SocketTransport.get_extra_info` does, or
        ``"ssl_object"``, ``"sslcontext"``, ``"peercert"``, ``"cipher"`` or
        ``"compression"``.
        """
        if name == "ssl_object":
            return self._object
        if name == "sslcontext":
            return self._context
        if name == "peercert":
            return self._object.getpeercert()
        if name == "cipher":
            return self._object.cipher()
        if name == "compression":
            return self._object.compression()
        return SocketTransport.get_extra_info(self, name, default)
