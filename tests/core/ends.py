"""
Both ends of a connection for tests of the core: frames by hand, a clock to turn.
"""

from __future__ import annotations

import itertools

# The masking key of the examples of RFC 6455, 5.7.
KEY = bytes.fromhex("37fa213d")

FIN = 0x80
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A
TEXT_BEGUN, BINARY_BEGUN, CONTINUED = 0x01, 0x02, 0x00

OPEN, CLOSING, CLOSED = 1, 2, 3
NEVER = float("inf")


def masked(payload, key=KEY):
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def frame(head, payload=b"", *, mask):
    """
    Make a frame, with the shortest length field (RFC 6455, 5.2).
    """
    size = len(payload)
    bit = 0x80 if mask else 0
    if size <= 125:
        header = bytes([head, bit | size])
    elif size <= 0xFFFF:
        header = bytes([head, bit | 126]) + size.to_bytes(2, "big")
    else:
        header = bytes([head, bit | 127]) + size.to_bytes(8, "big")
    return header + (KEY + masked(payload) if mask else payload)


def close_payload(code, reason=b""):
    return code.to_bytes(2, "big") + reason


def feed(endpoint, *parts):
    """
    Hand over bytes, each part as one read in a buffer of its own.
    """
    for part in parts:
        endpoint.receive_data(bytearray(part), len(part))


def split(data, *positions):
    cuts = [0, *positions, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(cuts)]


class Clock:
    """
    A clock that is set by hand.
    """

    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now


def recorder(core):
    """
    Return an endpoint class that writes down what it is told.
    """

    class Recorder(core.endpoint.Endpoint):
        def __init__(self, *args):
            super().__init__(*args)
            self.seen = []

        def receive_payload(self, head, opcode, payload):
            self.seen.append((head, opcode, payload))
            return len(payload)

        def receive_control(self, opcode, payload):
            self.seen.append((opcode, payload))

    return Recorder


class End:
    """
    One end of a connection, and what its peer would send.

    Masking keys are always ``KEY``, so that what is sent can be foreseen.
    """

    def __init__(self, core, is_client):
        self.core = core
        self.is_client = is_client
        self.clock = Clock()

    def keys(self):
        return self.core.endpoint.MaskingKeys(lambda size: KEY * (size // 4))

    def endpoint(self, max_message=-1, max_fragment=-1, *, kind=None):
        kind = kind or recorder(self.core)
        return kind(self.is_client, max_message, max_fragment, self.keys())

    def session(self, max_message=-1, max_fragment=-1, *, kind=None):
        kind = kind or self.core.session.Session
        return kind(self.is_client, max_message, max_fragment, self.keys(), self.clock)

    def peer(self, head, payload=b""):
        """
        Make a frame as the peer sends it.
        """
        return frame(head, payload, mask=not self.is_client)

    def own(self, head, payload=b""):
        """
        Make a frame as this end sends it.
        """
        return frame(head, payload, mask=self.is_client)

    def own_close(self, code, reason=b""):
        return self.own(CLOSE, close_payload(code, reason))
