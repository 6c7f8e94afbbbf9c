"""
A WebSocket peer made by hand, for tests that need exact bytes.

`RawPeer` performs the opening handshake in either role, then sends what it is
told, right or wrong, and reads frames. It shares no code with the library
under test, reads only when asked, answers nothing by itself, and never judges
what it sends: that is the test's business.

Frames are written in hex as they leave a server, unmasked, after the layout of
RFC 6455, 5.2. A peer in the role of a client adds the masking bit and key::

    await peer.send_frame("81 05", b"Hello")      # exact header
    await peer.send_frame("81", b"Hello")         # shortest length field
    await peer.send(bytes.fromhex("8105 48656c6c6f"))   # exact bytes
    frame = await peer.read_frame()
    assert RawFrame(0x81, b"Hello") == frame
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal, Self

__all__ = [
    "Head",
    "RawFrame",
    "RawListener",
    "RawPeer",
    "close_payload",
    "mask",
    "reset",
]

ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3

# Any key will do to speak with a server; this one is of RFC 6455, 5.7.
EXAMPLE_KEY = bytes.fromhex("37fa213d")

Role = Literal["client", "server"]


def mask(payload: bytes, key: bytes) -> bytes:
    """
    Mask or unmask a payload (RFC 6455, 5.3).
    """
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(size)


def shortest_length_field(size: int) -> bytes:
    """
    Return the length field, without masking bit, that RFC 6455, 5.2 demands.
    """
    if size <= 125:
        return struct.pack("!B", size)
    if size <= 65_535:
        return struct.pack("!BH", 126, size)
    return struct.pack("!BQ", 127, size)


def encode(header: str, payload: bytes, key: bytes | None) -> bytes:
    """
    Return the bytes of one frame.

    Args:
        header: Hex of the header without masking. One byte alone (FIN, RSV,
            opcode) is completed by the shortest length field.
        payload: What follows, before masking; may contradict the header.
        key: Masking key, or `None` to leave the frame unmasked.
    """
    head = bytearray.fromhex(header)
    if len(head) == 1:
        head += shortest_length_field(len(payload))
    if key is None:
        return bytes(head) + payload
    head[1] |= 0x80
    return bytes(head) + key + mask(payload, key)


def close_payload(code: int, reason: str = "") -> bytes:
    """
    Return the payload of a close frame (RFC 6455, 5.5.1).
    """
    return struct.pack("!H", code) + reason.encode()


def reset(sock: socket.socket) -> None:
    """
    Close a socket with RST.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@dataclass(frozen=True)
class RawFrame:
    """
    A frame as it was on the wire, unmasked.

    Attributes:
        head: First byte: FIN, RSV1 to RSV3 and opcode.
        payload: Unmasked payload.
        masking_key: Key found in the frame, `None` when it was not masked.
            Not part of comparisons.
        header: Bytes before the masking key. Not part of comparisons.
    """

    head: int
    payload: bytes = b""
    masking_key: bytes | None = field(default=None, compare=False)
    header: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True)
class Head:
    """
    The head of an HTTP/1.1 message: first line and header lines, as read.
    """

    first_line: str
    lines: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """
        Split a head at its line ends; no validation.
        """
        first, *rest = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":") for line in rest)
        return cls(first, tuple((name, value.strip()) for name, _, value in pairs))

    def get_all(self, name: str) -> list[str]:
        """
        Return the values of a field in order; its name in any case.
        """
        return [value for key, value in self.lines if key.lower() == name.lower()]


class RawPeer:
    """
    One end of a TCP connection, speaking WebSocket only as told.

    Attributes:
        sock: The non-blocking socket, for what this class does not offer.
        role: `"client"` masks what `send_frame()` sends, `"server"` does not.
        head: The response (client) or request (server) of the library.
    """

    def __init__(self, sock: socket.socket, role: Role) -> None:
        self.sock = sock
        self.role = role
        self.head = Head("", ())
        self._unread = bytearray()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        receive_buffer: int | None = None,
    ) -> Self:
        """
        Connect to a server under test and open a WebSocket connection.

        Args:
            port: Port on 127.0.0.1.
            headers: Added to the request, such as `Sec-WebSocket-Extensions`.
            receive_buffer: SO_RCVBUF in bytes, to make this a slow reader.

        Raises:
            ConnectionError: The server did not switch protocols.
        """
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer = cls(sock, "client")
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            await peer._open_as_client(port, headers)
        except BaseException:
            peer.close()
            raise
        return peer

    async def _open_as_client(
        self, port: int, headers: tuple[tuple[str, str], ...]
    ) -> None:
        lines = [
            "GET / HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode())
        self.head = await self.read_head()
        if not self.head.first_line.startswith("HTTP/1.1 101 "):
            raise ConnectionError(self.head.first_line)

    async def open_as_server(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """
        Read a request and switch protocols, whatever was requested.

        Args:
            headers: Added to the response.
        """
        self.head = await self.read_head()
        [key] = self.head.get_all("Sec-WebSocket-Key")
        digest = hashlib.sha1(key.encode() + ACCEPT_SUFFIX, usedforsecurity=False)
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest.digest()).decode()}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    # Out

    async def send(self, data: bytes) -> None:
        """
        Send exactly these bytes; wait while the endpoint does not read.
        """
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def send_split(self, data: bytes, at: int) -> None:
        """
        Send bytes in two pieces, far enough apart to be read one by one.
        """
        await self.send(data[:at])
        for _ in range(4):
            await asyncio.sleep(0)
        await self.send(data[at:])

    async def send_until_stalled(self, data: bytes) -> int:
        """
        Send as many bytes as the endpoint and the kernel take.

        Returns:
            How many: less than all if nothing was taken for a while.
        """
        view = memoryview(data)
        taken = refused = 0
        while taken < len(data) and refused < 10:
            try:
                taken += self.sock.send(view[taken : taken + 65_536])
            except BlockingIOError:
                refused += 1
                await asyncio.sleep(0.002)
            else:
                refused = 0
                await asyncio.sleep(0)
        return taken

    async def send_frame(self, header: str, payload: bytes = b"") -> None:
        """
        Send one frame, masked as the role demands; see `frame()`.
        """
        await self.send(self.frame(header, payload))

    async def send_close(self, code: int | None = None, reason: str = "") -> None:
        """
        Send a close frame; without a code its payload is empty.
        """
        payload = b"" if code is None else close_payload(code, reason)
        await self.send_frame("88", payload)

    def frame(self, header: str, payload: bytes = b"") -> bytes:
        """
        Return the bytes of one frame, masked as the role demands.

        Args:
            header: Hex of the header without masking; one byte alone (FIN,
                RSV, opcode) is completed by the shortest length field.
            payload: What follows; may contradict the header.
        """
        return encode(header, payload, EXAMPLE_KEY if self.role == "client" else None)

    def wrongly_masked_frame(self, header: str, payload: bytes = b"") -> bytes:
        """
        Return the bytes of one frame, masked as the other role demands.
        """
        return encode(header, payload, EXAMPLE_KEY if self.role == "server" else None)

    # In

    async def read_exactly(self, size: int) -> bytes:
        """
        Return the next bytes.

        Raises:
            EOFError: The endpoint has closed its side before.
            ConnectionResetError: The endpoint has reset the connection.
        """
        while len(self._unread) < size:
            if not await self._read_more():
                raise EOFError(f"{len(self._unread)} of {size} bytes, then the end")
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    async def read_head(self) -> Head:
        """
        Return the head of an HTTP message; what follows stays to be read.
        """
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if not await self._read_more():
                raise EOFError(f"the end after {bytes(self._unread)!r}")
        return Head.parse(await self.read_exactly(end + 4))

    async def read_frame(self) -> RawFrame:
        """
        Return the next frame.

        Raises:
            EOFError: The endpoint has closed its side before.
            AssertionError: The endpoint masks what it must not, or the other
                way round (RFC 6455, 5.1).
        """
        header = await self.read_exactly(2)
        head, second = header
        size = second & 0x7F
        if size >= 126:
            field_bytes = await self.read_exactly(2 if size == 126 else 8)
            header += field_bytes
            size = int.from_bytes(field_bytes)
        masked = bool(second & 0x80)
        assert masked == (self.role == "server"), "masked by the wrong role"
        key = await self.read_exactly(4) if masked else None
        payload = await self.read_exactly(size)
        return RawFrame(head, mask(payload, key) if key else payload, key, header)

    async def read_close(self) -> tuple[int | None, str]:
        """
        Skip frames up to a close frame; return its code and reason.
        """
        while True:
            frame = await self.read_frame()
            if frame.head == 0x88:
                if not frame.payload:
                    return None, ""
                [code] = struct.unpack("!H", frame.payload[:2])
                return code, frame.payload[2:].decode()

    async def read_rest(self) -> bytes:
        """
        Return everything up to the end; a reset counts as an end.
        """
        try:
            while await self._read_more():
                pass
        except ConnectionResetError:
            pass
        rest = bytes(self._unread)
        self._unread.clear()
        return rest

    async def _read_more(self) -> bool:
        data = await asyncio.get_running_loop().sock_recv(self.sock, 65_536)
        self._unread += data
        return bool(data)

    # End

    async def close_with(
        self, code: int | None = None, reason: str = ""
    ) -> tuple[int | None, str]:
        """
        Start the closing handshake and complete it; return the answer.

        The server closes the TCP connection first (RFC 6455, 7.1.1).
        """
        await self.send_close(code, reason)
        return await self.answer_close()

    async def answer_close(
        self, code: int | None = None, reason: str = ""
    ) -> tuple[int | None, str]:
        """
        Read a close frame, answer it when a code is given, and close TCP.
        """
        received = await self.read_close()
        if code is not None:
            await self.send_close(code, reason)
        if self.role == "client":
            await self.read_rest()
        self.close()
        return received

    def half_close(self) -> None:
        """
        Send FIN; reading stays possible.
        """
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """
        Close with RST, as a crashed or unplugged peer would at best.
        """
        reset(self.sock)

    def close(self) -> None:
        """
        Close the socket; idempotent. Not while a method waits.
        """
        self.sock.close()


class RawListener:
    """
    A listening socket whose connections become `RawPeer` servers.

    Attributes:
        port: Port on 127.0.0.1.
    """

    def __init__(self, *, receive_buffer: int | None = None) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            # Accepted sockets inherit it.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]

    async def accept(self) -> RawPeer:
        """
        Accept a TCP connection; the opening handshake is still to be done.
        """
        sock, _ = await asyncio.get_running_loop().sock_accept(self._sock)
        return RawPeer(sock, "server")

    def close(self) -> None:
        """
        Stop listening.
        """
        self._sock.close()
