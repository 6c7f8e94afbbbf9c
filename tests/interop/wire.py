"""
What really went over the wire, and whether it kept to what was negotiated.

A peer that inflates our messages proves little about window bits: zlib finds a
reference into what it has just written, however far back, as long as that is
in one piece of memory with it. :class:`Inflater` gives it no such memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import zlib
from urllib.parse import urlsplit

__all__ = ["Inflater", "Negotiated", "Recording", "tap"]

# "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of
# the message" (RFC 7692, 7.2.2).
TAIL = b"\x00\x00\xff\xff"

# Bytes. References may reach this much farther than the window unnoticed.
STEP = 64


class Inflater:
    """
    Inflates messages with a window of exactly so many bits.

    Output leaves in small steps, so that all but the last few bytes of it are
    gone from zlib's memory, except for the window.

    Args:
        bits: Base-2 logarithm of the window's size.
        takeover: Whether a message may refer to those before it.
    """

    def __init__(self, bits, *, takeover=True):
        self.bits = bits
        self.takeover = takeover
        self.decompressor = zlib.decompressobj(-bits)

    def inflate(self, payload):
        """
        Inflate a message.

        Raises:
            zlib.error: It refers to something outside of the window.
        """
        if not self.takeover:
            self.decompressor = zlib.decompressobj(-self.bits)
        compressed = payload + TAIL
        return b"".join(
            part
            for start in range(0, len(compressed), 256)
            for part in self.steps(compressed[start : start + 256])
        )

    def steps(self, compressed):
        """Inflate a piece in small steps."""
        while True:
            part = self.decompressor.decompress(compressed, STEP)
            compressed = self.decompressor.unconsumed_tail
            yield part
            if not compressed and len(part) < STEP:
                return


@dataclasses.dataclass(frozen=True)
class Negotiated:
    """The parameters of permessage-deflate that a handshake ended with."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int
    client_max_window_bits: int

    @classmethod
    def from_header(cls, header):
        """Read the Sec-WebSocket-Extensions header of a response."""
        name, *pairs = (part.strip() for part in header.split(";"))
        if name != "permessage-deflate":
            raise AssertionError(f"unexpected extension: {header}")
        parameters = {key: value for key, _, value in (p.partition("=") for p in pairs)}
        return cls(
            "server_no_context_takeover" in parameters,
            "client_no_context_takeover" in parameters,
            # Without the parameter, windows have 32 KiB (RFC 7692, 7.1.2).
            int(parameters.get("server_max_window_bits", 15)),
            int(parameters.get("client_max_window_bits", 15)),
        )


@dataclasses.dataclass
class Recording:
    """All bytes of one connection, in both directions."""

    client: bytearray = dataclasses.field(default_factory=bytearray)
    server: bytearray = dataclasses.field(default_factory=bytearray)

    def negotiated(self):
        """Return what the response said about compression."""
        head = self.server.partition(b"\r\n\r\n")[0].decode()
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "sec-websocket-extensions":
                return Negotiated.from_header(value)
        raise AssertionError(f"no extension in the response: {head}")

    def messages(self, side):
        """Return the compressed payloads that the client or the server sent."""
        payload = bytearray()
        for fin, rsv1, opcode, data in frames(getattr(self, side)):
            if opcode >= 0x8:
                continue
            # "on the first fragment of a message" only (RFC 7692, 6).
            if rsv1 != (opcode != 0x0):
                raise AssertionError("RSV1 is wrong")
            payload += data
            if fin:
                yield bytes(payload)
                payload.clear()


def frames(data):
    """Parse what follows the head: FIN, RSV1, opcode, and unmasked payload."""
    data = bytes(data.partition(b"\r\n\r\n")[2])
    while data:
        length, start = data[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        key = b""
        if data[1] & 0x80:
            key, start = data[start : start + 4], start + 4
        payload = data[start : start + length]
        yield (
            bool(data[0] & 0x80),
            bool(data[0] & 0x40),
            data[0] & 0x0F,
            unmask(payload, key),
        )
        data = data[start + length :]


def unmask(payload, key):
    """XOR a payload with its masking key, if there is one."""
    if not key:
        return payload
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return number.to_bytes(len(payload), "big")


@contextlib.asynccontextmanager
async def tap(url):
    """Put a relay in front of a server; give its URL and the recording."""
    address = urlsplit(url)
    recording = Recording()
    done = asyncio.Event()

    async def relay(reader, writer):
        server_reader, server_writer = await asyncio.open_connection(
            address.hostname, address.port
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, server_writer, recording.client))
                group.create_task(copy(server_reader, writer, recording.server))
        finally:
            for end in (writer, server_writer):
                end.close()
            done.set()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield address._replace(netloc=f"127.0.0.1:{port}").geturl(), recording
        await done.wait()


async def copy(reader, writer, record):
    """Copy a direction until its end, and keep it."""
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(2**16):
            record += data
            writer.write(data)
            await writer.drain()
        writer.write_eof()
