"""
What an endpoint makes of the peer's frames (RFC 6455, 5), at both ends and on
both builds.
"""

from __future__ import annotations

import pytest

from socketeer.exceptions import PayloadTooBig, ProtocolError

from .ends import (
    BINARY,
    BINARY_BEGUN,
    CLOSE,
    CLOSING,
    CONTINUATION,
    CONTINUED,
    FIN,
    OPEN,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    TEXT_BEGUN,
    feed,
    frame,
    recorder,
    split,
)

PROTOCOL_ERROR = 1002

# Length field and length, shortest form or not.
LENGTHS = [
    ("00", 0),
    ("01", 1),
    ("7d", 125),
    ("7e0000", 0),
    ("7e007d", 125),
    ("7e007e", 126),
    ("7e007f", 127),
    ("7effff", 65_535),
    ("7f0000000000000000", 0),
    ("7f000000000000007d", 125),
    ("7f000000000000ffff", 65_535),
    ("7f0000000000010000", 65_536),
]
ENORMOUS = [
    ("7f000000007fffffff", 2**31 - 1),
    ("7f0000000080000000", 2**31),
    ("7f00000000ffffffff", 2**32 - 1),
    ("7f0000000100000000", 2**32),
    ("7f7fffffffffffffff", 2**63 - 1),
]
TOP_BIT = ["7f8000000000000000", "7f8000000000000001", "7fffffffffffffffff"]


def header(end, head, length_field):
    """
    Make the header of a frame by the peer with a key that masks nothing.
    """
    field = bytearray.fromhex(length_field)
    if end.is_client:
        return bytes([head]) + field
    field[0] |= 0x80
    return bytes([head]) + field + bytes(4)


def assert_failed(end, endpoint, code, reason):
    """
    Check that the connection failed, and how the peer was told.
    """
    assert code == endpoint.fail_code
    assert CLOSING == endpoint.state
    assert endpoint.discarding
    assert (code, reason) == (endpoint.close_sent.code, endpoint.close_sent.reason)
    assert end.own_close(code, reason.encode()) == endpoint.data_to_send()
    # "the server closes first" (RFC 6455, 7.1.1).
    assert endpoint.wants_eof is not end.is_client


# Examples of the RFC


def test_reads_the_examples_of_the_rfc_as_a_client(client):
    """
    All unmasked frames of RFC 6455, 5.7.
    """
    endpoint = client.endpoint()
    feed(endpoint, bytes.fromhex("810548656c6c6f"))
    feed(endpoint, bytes.fromhex("010348656c 80026c6f"))
    feed(endpoint, bytes.fromhex("890548656c6c6f"))
    feed(endpoint, bytes.fromhex("827e0100") + bytes(256))
    feed(endpoint, bytes.fromhex("827f0000000000010000") + bytes(65_536))

    assert [
        (TEXT, 1, b"Hello"),
        (TEXT_BEGUN, 1, b"Hel"),
        (CONTINUATION, 1, b"lo"),
        (9, b"Hello"),
        (BINARY, 2, bytes(256)),
        (BINARY, 2, bytes(65_536)),
    ] == endpoint.seen
    assert bytes.fromhex("8a8537fa213d7f9f4d5158") == endpoint.data_to_send()


def test_reads_the_examples_of_the_rfc_as_a_server(server):
    """
    The masked frames of RFC 6455, 5.7.
    """
    endpoint = server.endpoint()
    feed(endpoint, bytes.fromhex("818537fa213d7f9f4d5158"))
    feed(endpoint, bytes.fromhex("8a8537fa213d7f9f4d5158"))

    assert [(TEXT, 1, b"Hello"), (10, b"Hello")] == endpoint.seen
    assert b"" == endpoint.data_to_send()


# Masks


@pytest.mark.parametrize("head", [TEXT, BINARY_BEGUN, PING, CLOSE])
def test_refuses_the_wrong_mask(end, head):
    """
    "a server MUST NOT mask any frames", a client masks all (RFC 6455, 5.1).
    """
    endpoint = end.endpoint()
    feed(endpoint, frame(head, b"", mask=end.is_client))

    assert [] == endpoint.seen
    assert_failed(end, endpoint, PROTOCOL_ERROR, "incorrect masking")
    assert isinstance(endpoint.failure, ProtocolError)


# Opcodes and reserved bits


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("fin", [0, FIN])
def test_refuses_reserved_opcodes(end, opcode, fin):
    """
    "If an unknown opcode is received, the receiving endpoint MUST _Fail the
    WebSocket Connection_" (RFC 6455, 5.2).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(fin | opcode))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "invalid opcode")


@pytest.mark.parametrize("bit", [RSV1, RSV2, RSV3])
@pytest.mark.parametrize("head", [TEXT, BINARY, TEXT_BEGUN, CONTINUATION, PING, CLOSE])
def test_refuses_reserved_bits(end, head, bit):
    """
    "MUST be 0 unless an extension is negotiated" (RFC 6455, 5.2).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(head | bit))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "reserved bits must be 0")


@pytest.mark.parametrize("head", [TEXT, BINARY, TEXT_BEGUN])
def test_admits_reserved_bits_that_an_extension_uses(end, head):
    """
    An extension gives a meaning to its own bits, in data frames only.
    """
    endpoint = end.endpoint()
    endpoint.reserved_bits = RSV1 | RSV3
    feed(endpoint, end.peer(head | RSV1 | RSV3, b"?"))

    assert [(head | RSV1 | RSV3, head & 0x0F, b"?")] == endpoint.seen
    feed(endpoint, end.peer(PING | RSV1))
    assert PROTOCOL_ERROR == endpoint.fail_code


def test_refuses_reserved_bits_of_no_extension(end):
    """
    RSV2 stays reserved when RSV1 is not.
    """
    endpoint = end.endpoint()
    endpoint.reserved_bits = RSV1
    feed(endpoint, end.peer(TEXT | RSV1 | RSV2))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "reserved bits must be 0")


# Lengths


@pytest.mark.parametrize(("field", "length"), LENGTHS)
@pytest.mark.parametrize("head", [TEXT, BINARY, BINARY_BEGUN])
def test_reads_lengths_in_any_form(end, head, field, length):
    """
    All boundaries are read; a longer form than needed is accepted, too.
    """
    endpoint = end.endpoint()
    payload = b"x" * length
    feed(endpoint, header(end, head, field) + payload)

    assert [(head, head & 0x0F, payload)] == endpoint.seen
    assert OPEN == endpoint.state


@pytest.mark.parametrize(("field", "length"), ENORMOUS)
def test_an_enormous_frame_may_begin_where_nothing_is_limited(end, field, length):
    """
    Every length up to 2**63 - 1 is one (RFC 6455, 5.2).
    """
    endpoint = end.endpoint()
    feed(endpoint, header(end, BINARY, field) + b"some", b"more" * 10)

    assert OPEN == endpoint.state
    assert [] == endpoint.seen


@pytest.mark.parametrize(("field", "length"), ENORMOUS)
def test_an_enormous_frame_is_refused_by_its_header(end, field, length):
    """
    The limit is checked before any payload arrives, and nothing wraps around.
    """
    endpoint = end.endpoint(1000)
    feed(endpoint, header(end, BINARY, field))

    reason = f"frame with {length} bytes exceeds limit of 1000 bytes"
    assert_failed(end, endpoint, 1009, reason)
    assert (length, 1000) == (endpoint.failure.size, endpoint.failure.max_size)


@pytest.mark.parametrize("limit", [-1, 1000, 2**63 - 1])
@pytest.mark.parametrize("field", TOP_BIT)
def test_refuses_a_length_with_the_top_bit_set(end, field, limit):
    """
    "the most significant bit MUST be 0" (RFC 6455, 5.2), whatever the limit.
    """
    endpoint = end.endpoint(limit)
    feed(endpoint, header(end, BINARY, field))

    reason = "payload length has its most significant bit set"
    assert_failed(end, endpoint, PROTOCOL_ERROR, reason)


# Limits


def test_a_frame_of_the_size_allowed_passes(end):
    """
    ``max_message_size`` is the largest size accepted.
    """
    endpoint = end.endpoint(10)
    feed(endpoint, end.peer(BINARY, bytes(10)), end.peer(BINARY, bytes(10)))

    assert 2 == len(endpoint.seen)
    feed(endpoint, end.peer(BINARY, bytes(11)))
    reason = "frame with 11 bytes exceeds limit of 10 bytes"
    assert_failed(end, endpoint, 1009, reason)
    assert isinstance(endpoint.failure, PayloadTooBig)


def test_the_frames_of_a_message_share_its_limit(end):
    """
    Sizes add up until the message ends.
    """
    endpoint = end.endpoint(10)
    for head in (BINARY_BEGUN, CONTINUATION, BINARY_BEGUN, CONTINUED):
        feed(endpoint, end.peer(head, bytes(5)))
    assert OPEN == endpoint.state
    assert 10 == endpoint.message_size

    feed(endpoint, end.peer(CONTINUED, bytes(1)))

    reason = "frame with 1 bytes after reading 10 bytes exceeds limit of 10 bytes"
    assert_failed(end, endpoint, 1009, reason)


def test_an_empty_fragment_is_a_frame_before(end):
    """
    The reason tells that the message had begun, though nothing was in it.
    """
    endpoint = end.endpoint(10)
    feed(endpoint, end.peer(BINARY_BEGUN), end.peer(CONTINUED, bytes(11)))

    reason = "frame with 11 bytes after reading 0 bytes exceeds limit of 10 bytes"
    assert_failed(end, endpoint, 1009, reason)


def test_frames_have_a_limit_of_their_own(end):
    """
    ``max_fragment_size`` bounds each frame, however large the message may be.
    """
    endpoint = end.endpoint(-1, 5)
    feed(endpoint, end.peer(BINARY_BEGUN, bytes(5)), end.peer(CONTINUED, bytes(5)))
    assert 2 == len(endpoint.seen)

    feed(endpoint, end.peer(CONTINUED, bytes(6)))

    assert_failed(end, endpoint, 1009, "frame with 6 bytes exceeds limit of 5 bytes")


def test_a_limit_of_zero_admits_empty_messages_only(end):
    """
    Zero is a limit.
    """
    endpoint = end.endpoint(0, 0)
    feed(endpoint, end.peer(TEXT), end.peer(TEXT, b"a"))

    assert [(TEXT, 1, b"")] == endpoint.seen
    assert 1009 == endpoint.fail_code


@pytest.mark.parametrize("limit", [2**63 - 1, 2**63, 2**64 - 1, 2**70])
def test_limits_have_any_width(end, limit):
    """
    No payload is larger than 2**63 - 1 bytes; larger limits are none.
    """
    endpoint = end.endpoint(limit, limit)
    feed(endpoint, end.peer(BINARY_BEGUN, b"abc"))
    feed(endpoint, header(end, CONTINUATION, "7f00000000ffffffff"))

    assert OPEN == endpoint.state


# Control frames


@pytest.mark.parametrize("head", [CLOSE, PING, PONG])
@pytest.mark.parametrize("field", ["7e", "7f"])
def test_refuses_long_control_frames(end, head, field):
    """
    "All control frames MUST have a payload length of 125 bytes or less"
    (RFC 6455, 5.5). The header's first bytes tell, nothing more is awaited.
    """
    endpoint = end.endpoint()
    second = int(field, 16) | (0 if end.is_client else 0x80)
    feed(endpoint, bytes([head, second]))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "control frame too long")


@pytest.mark.parametrize("head", [CLOSE, PING, PONG])
def test_refuses_fragmented_control_frames(end, head):
    """
    "[...] and MUST NOT be fragmented" (RFC 6455, 5.5).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(head & 0x0F))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "fragmented control frame")


@pytest.mark.parametrize("size", [0, 1, 125])
def test_answers_a_ping_with_its_payload(end, size):
    """
    "MUST have identical 'Application data'" (RFC 6455, 5.5.3).
    """
    endpoint = end.endpoint()
    payload = bytes(range(size))
    feed(endpoint, end.peer(PING, payload), end.peer(PONG, payload))

    assert end.own(PONG, payload) == endpoint.data_to_send()
    assert [(9, payload), (10, payload)] == endpoint.seen


def test_control_frames_stand_between_fragments(end):
    """
    They "MAY be injected in the middle of a fragmented message" (RFC 6455, 5.4).
    """
    endpoint = end.endpoint()
    parts = [(TEXT_BEGUN, b"a"), (PING, b"!"), (CONTINUED, b"b"), (PONG, b"")]
    data = b"".join(end.peer(*part) for part in [*parts, (CONTINUATION, b"c")])
    feed(endpoint, data)

    assert [
        (TEXT_BEGUN, 1, b"a"),
        (9, b"!"),
        (CONTINUED, 1, b"b"),
        (10, b""),
        (CONTINUATION, 1, b"c"),
    ] == endpoint.seen


# Fragmentation


@pytest.mark.parametrize("head", [CONTINUED, CONTINUATION])
def test_refuses_a_continuation_of_nothing(end, head):
    """
    A continuation frame needs a message in progress (RFC 6455, 5.4).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(TEXT, b"whole"), end.peer(head))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "unexpected continuation frame")


@pytest.mark.parametrize("head", [TEXT, BINARY, TEXT_BEGUN, BINARY_BEGUN])
def test_refuses_a_message_inside_a_message(end, head):
    """
    Fragments of messages are not interleaved (RFC 6455, 5.4).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(BINARY_BEGUN, b"a"), end.peer(head))

    assert_failed(end, endpoint, PROTOCOL_ERROR, "expected a continuation frame")


def test_a_message_may_follow_a_fragmented_one(end):
    """
    The last fragment ends the message, even an empty one.
    """
    endpoint = end.endpoint()
    for head in (TEXT_BEGUN, CONTINUED, CONTINUATION, BINARY):
        feed(endpoint, end.peer(head))

    assert [1, 1, 1, 2] == [opcode for _, opcode, _ in endpoint.seen]
    assert OPEN == endpoint.state


# Splits


def conversation(end):
    """
    Make one of everything, with all forms of lengths.
    """
    frames = [
        end.peer(TEXT, "aé€😀".encode()),
        end.peer(PING, b"ping"),
        end.peer(BINARY_BEGUN, bytes(range(130))),
        end.peer(PONG),
        end.peer(CONTINUED),
        end.peer(CONTINUATION, b"end"),
        header(end, BINARY, "7f0000000000000004") + b"long",
        end.peer(CLOSE, b"\x03\xe8bye"),
        b"not looked at",
    ]
    return b"".join(frames)


def result(endpoint):
    close = endpoint.close_rcvd
    return endpoint.seen, endpoint.state, close, endpoint.data_to_send()


def test_where_input_is_split_does_not_matter(end):
    """
    Any two reads, and reads of one byte, give the same as one read.
    """
    data = conversation(end)
    whole = end.endpoint()
    feed(whole, data)
    expected = result(whole)
    assert 8 == len(expected[0])

    for position in range(len(data) + 1):
        endpoint = end.endpoint()
        feed(endpoint, *split(data, position))
        assert expected == result(endpoint)
    endpoint = end.endpoint()
    feed(endpoint, *(data[i : i + 1] for i in range(len(data))))
    assert expected == result(endpoint)


def test_a_large_frame_arrives_in_pieces_of_any_size(end):
    """
    Each piece is unmasked where it belongs.
    """
    payload = bytes(range(256)) * 3
    data = end.peer(BINARY, payload)
    for size in (1, 2, 3, 5, 7, 64, 767):
        endpoint = end.endpoint()
        feed(endpoint, *(data[i : i + size] for i in range(0, len(data), size)))
        assert [(BINARY, 2, payload)] == endpoint.seen


def test_only_what_was_read_counts(end):
    """
    The buffer may be larger than the read, and hold old bytes.
    """
    endpoint = end.endpoint()
    data = bytearray(end.peer(TEXT, b"new") + end.peer(TEXT, b"old"))
    endpoint.receive_data(data, len(data) // 2)

    assert [(TEXT, 1, b"new")] == endpoint.seen
    assert 0 == endpoint.kept_size()


def test_nothing_is_read_after_a_violation(end):
    """
    "MUST NOT continue to attempt to process data" (RFC 6455, 7.1.7).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(3) + end.peer(PING), end.peer(TEXT, b"late"), b"junk")

    assert [] == endpoint.seen
    assert_failed(end, endpoint, PROTOCOL_ERROR, "invalid opcode")
    assert 0 == endpoint.kept_size()


# Subclasses and their tracing


def test_an_error_of_our_own_fails_the_connection(end):
    """
    The peer is told 1011 and no details; the error is kept.
    """

    class Broken(recorder(end.core)):
        def receive_payload(self, head, opcode, payload):
            raise LookupError("ours")

    endpoint = end.endpoint(kind=Broken)
    feed(endpoint, end.peer(BINARY, b"?"))

    assert_failed(end, endpoint, 1011, "")
    assert isinstance(endpoint.failure, LookupError)


def test_a_piece_may_be_refused_before_the_frame_is_complete(end):
    """
    ``check_chunk()`` sees what came so far; what it raises fails the connection.
    """
    chunks = []

    class Picky(recorder(end.core)):
        def check_chunk(self, head, chunk):
            chunks.append((head, chunk))
            str(chunk, "utf-8")

    endpoint = end.endpoint(kind=Picky)
    data = end.peer(TEXT, b"good\xff and more")
    feed(endpoint, data[:-12], data[-12:-8], data[-8:])

    assert b"good\xff" == b"".join(chunk for _, chunk in chunks)[:5]
    assert {TEXT} == {head for head, _ in chunks}
    assert_failed(end, endpoint, 1007, "invalid UTF-8")


def test_the_plain_endpoint_ignores_messages(end):
    """
    Without a subclass, frames are checked and answered and have no other effect.
    """
    endpoint = end.endpoint(kind=end.core.endpoint.Endpoint)
    data = end.peer(TEXT, b"abc") + end.peer(PONG, b"?") + end.peer(PING, b"!")
    feed(endpoint, *(data[i : i + 1] for i in range(len(data))))

    assert end.own(PONG, b"!") == endpoint.data_to_send()
    assert OPEN == endpoint.state


def test_frames_are_traced_in_both_directions(end):
    """
    Each frame once, with its first byte and its payload unmasked.
    """
    traced = []
    endpoint = end.endpoint()
    endpoint.trace = lambda *args: traced.append(args)
    feed(endpoint, end.peer(TEXT, b"a") + end.peer(PING, b"b"))
    endpoint.send_frame(TEXT, "c")

    assert [
        ("<", TEXT, b"a"),
        ("<", PING, b"b"),
        (">", PONG, b"b"),
        (">", TEXT, "c"),
    ] == traced
