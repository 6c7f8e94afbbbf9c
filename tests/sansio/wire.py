"""
What is on the wire, made by hand: the library under test is not its own oracle.
"""

from __future__ import annotations

from tests.under_test import submodule

frames = submodule("frames")

# The example of RFC 6455, 1.3 and 4.2.2.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

SERVER, CLIENT = 0, 1


def mask(payload, key):
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def frame(opcode, payload=b"", *, fin=True, rsv=0, key=None, form=None):
    """
    Write a frame (RFC 6455, 5.2).

    ``rsv`` is a number of three bits; with a ``key`` the frame is masked;
    ``form`` is 7, 16 or 64: the bits for the length, if not the fewest.
    """
    size = len(payload)
    form = form or (7 if size < 126 else 16 if size < 65_536 else 64)
    short = {7: size, 16: 126, 64: 127}[form]
    field = b"" if form == 7 else size.to_bytes(form // 8, "big")
    head = bytes([fin << 7 | rsv << 4 | opcode, (key is not None) << 7 | short])
    if key is None:
        return head + field + payload
    return head + field + key + mask(payload, key)


def from_client(opcode, payload=b"", *, key=b"\x37\xfa\x21\x3d", **kwargs):
    """
    Write a frame as a client does.
    """
    return frame(opcode, payload, key=key, **kwargs)


def unmasked(data):
    """
    Undo the masking of one frame.
    """
    assert data[1] & 0x80
    start = {126: 4, 127: 10}.get(data[1] & 0x7F, 2)
    header = data[:1] + bytes([data[1] & 0x7F]) + data[2:start]
    return header + mask(data[start + 4 :], data[start : start + 4])


def to(endpoint, opcode, payload=b"", **kwargs):
    """
    Write a frame as the peer of an endpoint does.
    """
    write = from_client if endpoint.side == SERVER else frame
    return write(opcode, payload, **kwargs)


def sent(endpoint):
    """
    Return what an endpoint has to send, without masking.
    """
    data = endpoint.data_to_send()
    if endpoint.side == SERVER:
        return data
    return [unmasked(item) if item else item for item in data]


def close(code, reason=b""):
    """
    Write the payload of a close frame (RFC 6455, 5.5.1).
    """
    return code.to_bytes(2, "big") + reason


def head(line, *fields):
    """
    Write the head of an HTTP message.
    """
    lines = [line, *(f"{name}: {value}" for name, value in fields)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("iso-8859-1")


def _edit(fields, without, extra, changes):
    changes = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = [(name, value) for name, value in fields if name not in without]
    return [(name, changes.get(name, value)) for name, value in kept] + list(extra)


def request(*extra, line="GET /chat HTTP/1.1", without=(), **changes):
    """
    Write the request of an opening handshake, with changes to its headers.
    """
    fields = [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    return head(line, *_edit(fields, without, extra, changes))


def response(*extra, status=101, without=(), body=b"", **changes):
    """
    Write the response of an opening handshake, with changes to its headers.
    """
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
    ]
    line = f"HTTP/1.1 {status} Whatever"
    return head(line, *_edit(fields, without, extra, changes)) + body


def chain(exc):
    """
    Give an exception and its causes as pairs of class and text.
    """
    links = []
    while exc is not None:
        links.append((type(exc).__name__, str(exc)))
        exc = exc.__cause__
    return links
