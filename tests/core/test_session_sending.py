"""
Messages on their way out: frames, compression, extensions and shared frames, at
both ends and on both builds.
"""

from __future__ import annotations

import dataclasses

import pytest

from socketeer.frames import Opcode

from .ends import (
    BINARY,
    CONTINUATION,
    CONTINUED,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    TEXT_BEGUN,
    feed,
)

HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692, 7.2.3.1
HELLO_AGAIN = bytes.fromhex("f200110000")  # RFC 7692, 7.2.3.2


@pytest.fixture
def compressing(end):
    session = end.session()
    session.deflate = end.core.deflate.Deflate(False, False, 15, 15, None)
    session.reserved_bits = RSV1
    return session


class Rewriting:
    """
    An extension that changes whatever a frame has.
    """

    def encode(self, frame):
        return dataclasses.replace(
            frame,
            opcode=Opcode.BINARY,
            data=bytearray(frame.data + b"!"),
            fin=not frame.fin,
            rsv1=True,
            rsv3=True,
        )


@pytest.mark.parametrize(("opcode", "payload"), [(1, "é"), (2, b"\xff"), (1, b"text")])
@pytest.mark.parametrize("compress", [False, True])
def test_sends_a_message(end, opcode, payload, compress):
    """
    Without compression, ``compress`` makes no difference.
    """
    session = end.session()
    session.send_message(opcode, payload, compress)

    data = payload if isinstance(payload, bytes) else payload.encode()
    assert end.own(0x80 | opcode, data) == session.data_to_send()


def test_sends_fragments(end):
    """
    The first has the opcode, the last has FIN.
    """
    session = end.session()
    session.send_fragment(1, b"a", False, True)
    session.send_fragment(0, b"b", False, True)
    session.send_fragment(0, b"c", True, True)

    expected = end.own(TEXT_BEGUN, b"a") + end.own(CONTINUED, b"b")
    assert expected + end.own(CONTINUATION, b"c") == session.data_to_send()


@pytest.mark.parametrize("deflate", [False, True])
def test_a_lone_surrogate_is_not_sent(end, compressing, deflate):
    """
    Compressed or not, nothing of the message leaves.
    """
    session = compressing if deflate else end.session()
    with pytest.raises(UnicodeEncodeError):
        session.send_message(1, "a\ud800", True)

    assert b"" == session.data_to_send()


def test_compresses_messages(end, compressing):
    """
    The examples of RFC 7692, 7.2.3: with context takeover.
    """
    compressing.send_message(1, "Hello", True)
    compressing.send_message(2, b"Hello", True)
    compressing.send_message(1, "Hello", False)

    expected = end.own(TEXT | RSV1, HELLO) + end.own(BINARY | RSV1, HELLO_AGAIN)
    assert expected + end.own(TEXT, b"Hello") == compressing.data_to_send()


def test_small_messages_are_not_compressed(end, compressing):
    """
    Bytes count, in UTF-8; the threshold itself is compressed.
    """
    compressing.compression_threshold = 5
    compressing.send_message(1, "Hell", True)
    compressing.send_message(1, "é€", True)

    data = compressing.data_to_send()
    assert data.startswith(end.own(TEXT, b"Hell"))
    assert TEXT | RSV1 == data[len(end.own(TEXT, b"Hell"))]


def test_compresses_fragments(end, compressing):
    """
    RSV1 stands in the first only; what one end sends the other end reads.
    """
    compressing.send_fragment(1, b"Hel", False, True)
    first = compressing.data_to_send()
    compressing.send_fragment(0, b"lo", True, True)
    second = compressing.data_to_send()

    assert [TEXT_BEGUN | RSV1, CONTINUATION] == [first[0], second[0]]
    peer = type(end)(end.core, not end.is_client).session()
    peer.deflate = end.core.deflate.Deflate(False, False, 15, 15, None)
    peer.reserved_bits = RSV1
    feed(peer, first, second)
    assert "Hello" == peer.take_message(None)


@pytest.mark.parametrize("fin", [False, True])
def test_extensions_may_change_everything(end, fin):
    """
    The frame that leaves is the one that the last extension returned.
    """
    session = end.session()
    session.extensions = [Rewriting()]
    session.send_fragment(1, b"a", fin, True)

    head = (0x00 if fin else 0x80) | 2 | RSV1 | RSV3
    assert end.own(head, b"a!") == session.data_to_send()


def test_extensions_see_whole_messages(end):
    """
    Text is encoded before; every bit is the extension's.
    """

    class Marking:
        def encode(self, frame):
            seen.append((frame.opcode, frame.data, frame.fin))
            return dataclasses.replace(frame, rsv2=True)

    seen = []
    session = end.session()
    session.extensions = [Marking()]
    session.send_message(1, "é", True)

    assert end.own(TEXT | RSV2, "é".encode()) == session.data_to_send()
    assert [(1, "é".encode(), True)] == seen


# Shared frames


@pytest.fixture
def prepared(core):
    return core.prepared.PreparedMessage(1, b"Hello")


def test_a_server_shares_frames(server, prepared):
    """
    All connections without compression get the same object.
    """
    frames = [server.session().shared_frame(prepared) for _ in range(2)]

    assert bytes.fromhex("810548656c6c6f") == frames[0]
    assert frames[0] is frames[1]


def test_a_client_shares_no_frames(client, prepared):
    """
    It masks each frame with a key of its own (RFC 6455, 5.3).
    """
    assert client.session().shared_frame(prepared) is None


def test_extensions_share_no_frames(server, prepared):
    """
    Nobody knows what they make of a frame.
    """
    session = server.session()
    session.extensions = []

    assert session.shared_frame(prepared) is None


def test_compressed_frames_are_shared_between_equal_compressors(server, prepared):
    """
    A connection's own messages before and after it stay readable.
    """
    frames = []
    for _ in range(2):
        session = server.session()
        session.deflate = server.core.deflate.Deflate(False, False, 15, 12, None)
        session.send_message(1, "Hello", True)
        before = session.data_to_send()
        frames.append(session.shared_frame(prepared))
        session.send_message(1, "Hello", True)
        after = session.data_to_send()
        peer = type(server)(server.core, is_client=True).session()
        peer.deflate = server.core.deflate.Deflate(False, False, 12, 15, None)
        peer.reserved_bits = RSV1
        feed(peer, before, frames[-1], after)
        assert ["Hello"] * 3 == [peer.take_message(None) for _ in range(3)]

    assert frames[0] is frames[1]


def test_small_messages_are_shared_uncompressed(server, prepared):
    """
    The threshold is that of the connection.
    """
    session = server.session()
    session.deflate = server.core.deflate.Deflate(False, False, 15, 15, None)
    session.compression_threshold = 6

    assert bytes.fromhex("810548656c6c6f") == session.shared_frame(prepared)
