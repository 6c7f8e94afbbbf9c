"""
Messages on their way in through compression and extensions, at both ends and on
both builds.
"""

from __future__ import annotations

import dataclasses
import zlib

import pytest

from socketeer.exceptions import PayloadTooBig

from .ends import (
    BINARY,
    BINARY_BEGUN,
    CONTINUATION,
    CONTINUED,
    RSV1,
    RSV2,
    TEXT,
    TEXT_BEGUN,
    feed,
)
from .session import LETTERS, failed_with_utf8, take_all


def deflated(data):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def compressing(end, *limits):
    session = end.session(*limits)
    session.deflate = end.core.deflate.Deflate(False, False, 15, 15, None)
    session.reserved_bits = RSV1
    return session


class Inverting:
    """
    An extension that inverts all bytes and uses no reserved bit.
    """

    def __init__(self):
        self.sizes = []

    def decode(self, frame, *, max_size=None):
        self.sizes.append(max_size)
        return self.encode(frame)

    def encode(self, frame):
        data = bytes(255 - byte for byte in frame.data)
        return dataclasses.replace(frame, data=data)


class Marking:
    """
    An extension that sets RSV2, and doubles what it receives.
    """

    def decode(self, frame, *, max_size=None):
        if max_size is not None and 2 * len(frame.data) > max_size:
            raise PayloadTooBig(None, max_size)
        return dataclasses.replace(frame, data=frame.data * 2, rsv2=False)

    def encode(self, frame):
        return dataclasses.replace(frame, rsv2=True)


# Compression


def test_compressed_messages_are_inflated(end):
    """
    RSV1 tells them apart, message by message (RFC 7692, 7.2.3.1).
    """
    session = compressing(end)
    feed(session, end.peer(TEXT | RSV1, bytes.fromhex("f248cdc9c90700")))
    feed(session, end.peer(TEXT, b"plain"))
    feed(session, end.peer(BINARY | RSV1, bytes.fromhex("f200110000")))

    assert ["Hello", "plain", b"Hello"] == take_all(session)


def test_compressed_fragments_are_inflated(end):
    """
    Only the first of them has RSV1, also when each byte is a read.
    """
    session = compressing(end)
    for head, data in [
        (TEXT_BEGUN | RSV1, bytes.fromhex("f248cd")),
        (CONTINUED, b""),
        (CONTINUATION, bytes.fromhex("c9c90700")),
        (TEXT_BEGUN, b"pla"),
        (CONTINUATION, b"in"),
    ]:
        frame = end.peer(head, data)
        feed(session, *(frame[i : i + 1] for i in range(len(frame))))

    assert ["Hello", "plain"] == take_all(session)


def test_refuses_rsv1_in_continuations(end):
    """
    "MUST NOT set [...] on any fragment but the first" (RFC 7692, 6.1).
    """
    session = compressing(end)
    feed(session, end.peer(TEXT_BEGUN), end.peer(CONTINUATION | RSV1))
    session.take_message(None)

    reason = b"RSV1 bit set in continuation frame"
    assert end.own_close(1002, reason) == session.data_to_send()


@pytest.mark.parametrize("size", [1, 3, 7])
def test_rsv1_in_a_continuation_counts_before_its_text(end, size):
    """
    A frame that breaks two rules fails alike, however it arrives: also if its
    text, which is not UTF-8, comes first.
    """
    session = compressing(end)
    data = end.peer(CONTINUATION | RSV1, b"\xff" * 7)
    feed(session, end.peer(TEXT_BEGUN), data[:-size], data[-size:])
    session.take_message(None)

    reason = b"RSV1 bit set in continuation frame"
    assert end.own_close(1002, reason) == session.data_to_send()


def test_refuses_what_cannot_be_inflated(end):
    """
    That is a violation, and compressed text is text once it is inflated.
    """
    session = compressing(end)
    feed(session, end.peer(TEXT | RSV1, b"\xff\xff\xff"))
    assert end.own_close(1002, b"decompression failed") == session.data_to_send()
    session = compressing(end)
    feed(session, end.peer(TEXT | RSV1, deflated(b"\xff")))
    assert failed_with_utf8(end, session)


@pytest.mark.parametrize(
    ("limits", "sizes", "reason"),
    [
        ((1000, -1), [1001], b"frame exceeds limit of 1000 bytes"),
        ((1000, 2000), [1001], b"frame exceeds limit of 1000 bytes"),
        ((-1, 1000), [1001], b"frame exceeds limit of 1000 bytes"),
        ((2000, 1000), [1001], b"frame exceeds limit of 1000 bytes"),
        (
            (1000, -1),
            [400, 601],
            b"frame after reading 400 bytes exceeds limit of 1000 bytes",
        ),
    ],
)
def test_limits_hold_after_inflating(end, limits, sizes, reason):
    """
    The message and its frames are bounded as if they had not been compressed.
    """
    session = compressing(end, *limits)
    for i, size in enumerate(sizes):
        head = RSV1 | BINARY_BEGUN if i == 0 else CONTINUED
        payload = deflated(bytes(size)) + b"\x00\x00\xff\xff"
        feed(session, end.peer(head, payload))
    session.take_message(None)

    assert end.own_close(1009, reason) == session.data_to_send()


def test_as_much_as_allowed_is_inflated(end):
    """
    Exactly the limit passes.
    """
    session = compressing(end, 1000, 1000)
    feed(session, end.peer(BINARY | RSV1, deflated(bytes(1000))))

    assert bytes(1000) == session.take_message(None)


# Extensions


def test_extensions_see_every_data_frame(end):
    """
    Whether they use a reserved bit or not, whole frames, fragments and pieces.
    """
    session = end.session(100)
    extension = Inverting()
    session.extensions = [extension]
    hidden = bytes(255 - byte for byte in LETTERS)
    data = end.peer(TEXT, hidden) + end.peer(TEXT_BEGUN, hidden)
    data += end.peer(CONTINUATION, hidden)
    feed(session, data)
    assert ["aé€😀", "aé€😀" * 2] == take_all(session)
    feed(session, *(data[i : i + 1] for i in range(len(data))))

    assert ["aé€😀", "aé€😀" * 2] == take_all(session)
    assert [100, 100, 90] * 2 == extension.sizes


def test_extensions_decode_in_reverse_order(end):
    """
    The last one to encode is the first one to decode.
    """
    session = end.session()
    session.reserved_bits = 0x70
    session.extensions = [Inverting(), Marking()]
    feed(session, end.peer(BINARY | RSV2, b"\xff"))
    assert b"\x00\x00" == session.take_message(None)

    session.send_message(2, b"\x00", True)

    assert end.own(BINARY | RSV2, b"\xff") == session.data_to_send()


def test_a_reserved_bit_that_no_extension_clears_is_a_violation(end):
    """
    Nobody gave it a meaning.
    """
    session = end.session()
    session.reserved_bits = 0x70
    session.extensions = [Inverting()]
    feed(session, end.peer(BINARY | RSV1, b"a"))

    assert end.own_close(1002, b"reserved bits must be 0") == session.data_to_send()


def test_extensions_keep_to_the_limits(end):
    """
    What they make of a frame counts, as in the Sans-I/O protocol.
    """
    for limits, heads, reason in [
        ((10, -1), [BINARY], b"frame exceeds limit of 10 bytes"),
        ((-1, 10), [BINARY], b"frame exceeds limit of 10 bytes"),
        (
            (18, -1),
            [BINARY_BEGUN, CONTINUED],
            b"frame after reading 12 bytes exceeds limit of 18 bytes",
        ),
    ]:
        session = end.session(*limits)
        session.reserved_bits = 0x70
        session.extensions = [Marking()]
        feed(session, *(end.peer(head | RSV2, bytes(6)) for head in heads))
        session.take_message(None)
        assert end.own_close(1009, reason) == session.data_to_send()
