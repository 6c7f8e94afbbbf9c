from __future__ import annotations

import dataclasses

import pytest
import websockets.frames
import websockets.streams
from hypothesis import example, given
from hypothesis import strategies as st

from socketeer import frames
from socketeer.exceptions import PayloadTooBig, ProtocolError
from socketeer.frames import Close, CloseCode, Frame, Opcode

from .comparing import outcome, reader, run


def parse(data, *, mask=False, **kwargs):
    return run(Frame.parse(reader(data).read_exact, mask=mask, **kwargs))


@pytest.fixture
def masking_key(monkeypatch):
    """Let all masking keys be those of the examples in the RFC."""
    key = bytes.fromhex("37fa213d")
    monkeypatch.setattr("secrets.token_bytes", lambda size: key[:size])
    return key


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("CONT", "TEXT", "BINARY", "CLOSE", "PING", "PONG"),
        *("DATA_OPCODES", "CTRL_OPCODES"),
        "CLOSE_CODE_EXPLANATIONS",
        *("EXTERNAL_CLOSE_CODES", "OK_CLOSE_CODES"),
    ],
)
def test_constants_are_those_of_websockets(name):
    """
    Same names, same values.
    """
    assert getattr(websockets.frames, name) == getattr(frames, name)


@pytest.mark.parametrize("name", ["Opcode", "CloseCode"])
def test_enumerations_are_those_of_websockets(name):
    """
    Same members, which are integers.
    """
    assert list(getattr(websockets.frames, name).__members__.items()) == list(
        getattr(frames, name).__members__.items()
    )


@pytest.mark.parametrize("name", ["Frame", "Close"])
def test_classes_have_the_fields_of_those_of_websockets(name):
    """
    Same fields in the same order with the same defaults.
    """
    assert [
        (field.name, field.default)
        for field in dataclasses.fields(getattr(websockets.frames, name))
    ] == [
        (field.name, field.default)
        for field in dataclasses.fields(getattr(frames, name))
    ]


# The wire

# RFC 6455, 5.7, except for the large ones, of which it gives the header.
EXAMPLES = [
    ("810548656c6c6f", False, Frame(Opcode.TEXT, b"Hello")),
    ("818537fa213d7f9f4d5158", True, Frame(Opcode.TEXT, b"Hello")),
    ("010348656c", False, Frame(Opcode.TEXT, b"Hel", fin=False)),
    ("80026c6f", False, Frame(Opcode.CONT, b"lo")),
    ("890548656c6c6f", False, Frame(Opcode.PING, b"Hello")),
    ("8a8537fa213d7f9f4d5158", True, Frame(Opcode.PONG, b"Hello")),
    ("827e0100" + 256 * "61", False, Frame(Opcode.BINARY, 256 * b"a")),
    (
        "827f0000000000010000" + 65_536 * "61",
        False,
        Frame(Opcode.BINARY, 65_536 * b"a"),
    ),
    # Both sides of each change of the length field (5.2).
    ("8200", False, Frame(Opcode.BINARY, b"")),
    ("828037fa213d", True, Frame(Opcode.BINARY, b"")),
    ("827d" + 125 * "61", False, Frame(Opcode.BINARY, 125 * b"a")),
    ("827e007e" + 126 * "61", False, Frame(Opcode.BINARY, 126 * b"a")),
    ("827e007f" + 127 * "61", False, Frame(Opcode.BINARY, 127 * b"a")),
    ("827effff" + 65_535 * "61", False, Frame(Opcode.BINARY, 65_535 * b"a")),
    # Close frames (5.5.1).
    ("8800", False, Frame(Opcode.CLOSE, b"")),
    ("880203e8", False, Frame(Opcode.CLOSE, b"\x03\xe8")),
]


@pytest.mark.parametrize(("data", "mask", "frame"), EXAMPLES)
def test_reads_the_frames_of_the_rfc(data, mask, frame):
    """
    The payload is given as bytes, without mask.
    """
    parsed = parse(bytes.fromhex(data), mask=mask)

    assert frame == parsed
    assert type(parsed.data) is bytes


@pytest.mark.parametrize(("data", "mask", "frame"), EXAMPLES)
@pytest.mark.usefixtures("masking_key")
def test_writes_the_frames_of_the_rfc(data, mask, frame):
    """
    Byte by byte, with the shortest length field.
    """
    assert data == frame.serialize(mask=mask).hex()


@pytest.mark.parametrize("data", [bytearray(b"Hello"), memoryview(b"Hello")])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.usefixtures("masking_key")
def test_writes_all_kinds_of_bytes(data, mask):
    """
    The payload may be any bytes-like object; the frame is bytes.
    """
    written = Frame(Opcode.TEXT, data).serialize(mask=mask)

    assert written == Frame(Opcode.TEXT, b"Hello").serialize(mask=mask)
    assert type(written) is bytes


@pytest.mark.parametrize(
    ("data", "size"), [("827e0001", 1), ("827f0000000000000001", 1)]
)
def test_reads_lengths_in_a_field_larger_than_needed(data, size):
    """
    "the minimal number of bytes MUST be used" binds the sender (RFC 6455,
    5.2); we read such frames, as websockets does.
    """
    assert Frame(Opcode.BINARY, b"a" * size) == parse(bytes.fromhex(data) + b"a" * size)


@pytest.mark.parametrize("size", range(7))
def test_waits_for_the_rest_of_a_frame(size):
    """
    A frame that comes in two pieces is read when the second one is there.
    """
    data = bytes.fromhex("810548656c6c6f")
    stream = reader(data[:size], eof=False)
    frame = Frame.parse(stream.read_exact, mask=False)

    assert next(frame) is None
    stream.feed_data(data[size:])
    assert run(frame) == Frame(Opcode.TEXT, b"Hello")


@pytest.mark.parametrize("size", range(7))
def test_a_frame_must_be_complete(size):
    """
    A stream that ends within a frame is an error.
    """
    with pytest.raises(EOFError):
        parse(bytes.fromhex("810548656c6c6f")[:size])


INVALID = [
    *(
        (f"{0x80 | opcode:02x}00", False, "invalid opcode")
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    ("8180", False, "incorrect masking"),
    ("8100", True, "incorrect masking"),
    ("c100", False, "reserved bits must be 0"),
    ("a100", False, "reserved bits must be 0"),
    ("9100", False, "reserved bits must be 0"),
    ("0800", False, "fragmented control frame"),
    ("0900", False, "fragmented control frame"),
    ("0a00", False, "fragmented control frame"),
    # In these, the payload is missing: it isn't needed to see the error.
    ("887e007e", False, "control frame too long"),
    ("897f0000000000010000", False, "control frame too long"),
    (
        "827f8000000000000000",
        False,
        "payload length has its most significant bit set",
    ),
    (
        "827fffffffffffffffff",
        False,
        "payload length has its most significant bit set",
    ),
]


@pytest.mark.parametrize(("data", "mask", "text"), INVALID)
def test_refuses_frames_that_the_rfc_forbids(data, mask, text):
    """
    RFC 6455, 5.1, 5.2 and 5.5. The text becomes the close reason.
    """
    with pytest.raises(ProtocolError) as raised:
        parse(bytes.fromhex(data), mask=mask)

    assert text == str(raised.value)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(Opcode.TEXT, b"", rsv1=True), "reserved bits must be 0"),
        (Frame(Opcode.TEXT, b"", rsv2=True), "reserved bits must be 0"),
        (Frame(Opcode.TEXT, b"", rsv3=True), "reserved bits must be 0"),
        (Frame(Opcode.PING, b"a" * 126), "control frame too long"),
        (Frame(Opcode.PING, b"", fin=False), "fragmented control frame"),
    ],
)
def test_does_not_write_frames_that_the_rfc_forbids(frame, text, mask):
    """
    check() and serialize() raise the same errors.
    """
    with pytest.raises(ProtocolError) as checked:
        frame.check()
    with pytest.raises(ProtocolError) as serialized:
        frame.serialize(mask=mask)

    assert text == str(checked.value) == str(serialized.value)


@pytest.mark.parametrize("mask", [False, True])
def test_a_large_frame_is_refused_before_its_payload(mask):
    """
    max_size is compared with the length in the header.
    """
    header = bytes.fromhex("82fe03e9" if mask else "827e03e9")

    with pytest.raises(PayloadTooBig) as raised:
        parse(header, mask=mask, max_size=1000)

    assert str(raised.value) == "frame with 1001 bytes exceeds limit of 1000 bytes"


def test_a_frame_may_have_the_largest_size():
    """
    max_size is the largest size that is accepted.
    """
    assert parse(b"\x82\x05Hello", max_size=5).data == b"Hello"


# Extensions


@dataclasses.dataclass
class Appending:
    """An extension that appends a letter, and sets a reserved bit."""

    letter: bytes
    calls: list

    def encode(self, frame):
        return dataclasses.replace(frame, data=frame.data + self.letter, rsv1=True)

    def decode(self, frame, *, max_size=None):
        self.calls.append((self.letter, max_size))
        assert frame.data.endswith(self.letter)
        return dataclasses.replace(frame, data=frame.data[:-1], rsv1=False)


def test_extensions_transform_frames_in_their_order():
    """
    Sending goes through them in the order of the negotiation, receiving in
    the opposite order (RFC 6455, 9.1); the largest size is passed on.
    """
    calls = []
    extensions = [Appending(b"x", calls), Appending(b"y", calls)]
    frame = Frame(Opcode.TEXT, b"Hello")
    data = frame.serialize(mask=False, extensions=extensions)

    assert data == b"\xc1\x07Helloxy"
    assert frame == parse(data, extensions=extensions, max_size=10)
    assert calls == [(b"y", 10), (b"x", 10)]


def test_reserved_bits_must_be_undone_by_extensions():
    """
    A bit that no extension takes away is an error.
    """
    with pytest.raises(ProtocolError, match=r"^reserved bits must be 0$"):
        parse(b"\xe1\x06Hellox", extensions=[Appending(b"x", [])])


# Close


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        ("", 1005, ""),
        ("03e8", 1000, ""),
        ("03e94f4b", 1001, "OK"),
        ("0bb8c3a9", 3000, "\xe9"),
        ("1387", 4999, ""),
    ],
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_reads_close_codes_and_reasons(data, code, reason, kind):
    """
    RFC 6455, 5.5.1; nothing gives 1005 (7.1.5).
    """
    assert Close(code, reason) == Close.parse(kind(bytes.fromhex(data)))


@pytest.mark.parametrize(
    ("close", "data"),
    [
        (Close(CloseCode.NORMAL_CLOSURE, ""), "03e8"),
        (Close(1001, "OK"), "03e94f4b"),
        (Close(3000, "\xe9"), "0bb8c3a9"),
        (Close(4999, ""), "1387"),
    ],
)
def test_writes_close_codes_and_reasons(close, data):
    """
    RFC 6455, 5.5.1.
    """
    assert data == close.serialize().hex()


def test_a_close_frame_of_one_byte_is_too_short():
    """
    "the first two bytes of the body MUST be a 2-byte unsigned integer" (RFC
    6455, 5.5.1).
    """
    with pytest.raises(ProtocolError, match=r"^close frame too short$"):
        Close.parse(b"\x03")


def test_a_close_reason_is_utf_8():
    """
    RFC 6455, 5.5.1.
    """
    with pytest.raises(UnicodeDecodeError):
        Close.parse(b"\x03\xe8\xff")


SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_reserved_close_codes_are_not_sent():
    """
    All codes that RFC 6455, 7.4, and the IANA registry don't allow, in both
    directions.
    """
    for code in range(65_536):
        for call in (
            lambda code=code: Close.parse(code.to_bytes(2, "big")),
            Close(code, "").check,
            Close(code, "").serialize,
        ):
            expected = "returns" if code in SENDABLE else "raises"
            assert expected == outcome(call)[0]
    with pytest.raises(ProtocolError, match=r"^invalid status code$"):
        Close(1005, "").check()


@pytest.mark.parametrize(
    "code", [0, 999, *range(1000, 1017), 2999, 3000, 3999, 4000, 4999, 5000]
)
@pytest.mark.parametrize("reason", ["", "bye", "bye "])
def test_close_text_is_that_of_websockets(code, reason):
    """
    The text is part of that of ConnectionClosed.
    """
    assert str(websockets.frames.Close(code, reason)) == str(Close(code, reason))


@pytest.mark.parametrize(
    ("close", "text"),
    [
        (Close(1000, ""), "1000 (OK)"),
        (Close(1001, "bye"), "1001 (going away) bye"),
        (Close(CloseCode.NO_STATUS_RCVD, ""), "1005 (no status received [internal])"),
        (Close(2999, ""), "2999 (unknown)"),
        (Close(3999, ""), "3999 (registered)"),
        (Close(4000, "no"), "4000 (private use) no"),
    ],
)
def test_close_text_explains_the_code(close, text):
    """
    For a log, and for people who don't know the codes by heart.
    """
    assert text == str(close)


# Against websockets


@given(
    st.sampled_from(Opcode),
    st.binary(max_size=200),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.booleans(),
)
def test_writes_any_frame_as_websockets_does(opcode, data, bits, mask):
    """
    Same bytes, same errors.
    """
    theirs = websockets.frames.Frame(websockets.frames.Opcode(opcode), data, *bits)
    ours = Frame(opcode, data, *bits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("secrets.token_bytes", lambda size: b"\1\2\3\4"[:size])

        assert outcome(theirs.serialize, mask=mask) == outcome(
            ours.serialize, mask=mask
        )


@given(
    st.binary(min_size=2, max_size=2).flatmap(
        lambda header: st.binary(max_size=140).map(lambda rest: header + rest)
    ),
    st.booleans(),
    st.sampled_from([None, 0, 10, 2**20]),
)
@example(b"\x81\x05Hello", False, None)
@example(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", True, None)
@example(b"\x81\x7e\x00\x05Hello", False, 10)
def test_reads_any_frame_as_websockets_does(data, mask, max_size):
    """
    Same frames, and the same errors; of several, we see first those that
    don't need the payload.
    """
    stream = reader(data, cls=websockets.streams.StreamReader)
    theirs = outcome(
        lambda: run(
            websockets.frames.Frame.parse(
                stream.read_exact, mask=mask, max_size=max_size
            )
        )
    )
    ours = outcome(parse, data, mask=mask, max_size=max_size)

    early = {
        ("raises", "ProtocolError", "control frame too long"),
        ("raises", "ProtocolError", "fragmented control frame"),
        ("raises", "ProtocolError", "reserved bits must be 0"),
        ("raises", "ProtocolError", "payload length has its most significant bit set"),
    }
    assert theirs[0] == ours[0]
    assert theirs == ours or ours in early
