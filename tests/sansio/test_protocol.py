"""
Frames in, frames out: the open connection without I/O.
"""

from __future__ import annotations

import logging
import uuid

import pytest

from tests.under_test import NAME, submodule

from .wire import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    chain,
    close,
    frame,
    from_client,
    request,
    response,
    unmasked,
)

exceptions = submodule("exceptions")
frames = submodule("frames")
protocol = submodule("protocol")

Close, Frame, Opcode = frames.Close, frames.Frame, frames.Opcode
Side, State = protocol.Side, protocol.State


@pytest.fixture
def server():
    """
    The server's end of an open connection.
    """
    return protocol.Protocol(Side.SERVER)


@pytest.fixture
def client():
    """
    The client's end of an open connection.
    """
    return protocol.Protocol(Side.CLIENT)


@pytest.fixture(params=[Side.SERVER, Side.CLIENT], ids=["server", "client"])
def either(request):
    """
    Either end of an open connection.
    """
    return protocol.Protocol(request.param)


def to(endpoint, opcode, payload=b"", **kwargs):
    """
    Write a frame as the peer of an endpoint does.
    """
    write = from_client if endpoint.side is Side.SERVER else frame
    return write(opcode, payload, **kwargs)


def sent(endpoint):
    """
    Return what an endpoint has to send, without masking.
    """
    data = endpoint.data_to_send()
    if endpoint.side is Side.SERVER:
        return data
    return [unmasked(item) if item else item for item in data]


# The example of the RFC


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("818537fa213d7f9f4d5158", Frame(Opcode.TEXT, b"Hello")),
        ("898537fa213d7f9f4d5158", Frame(Opcode.PING, b"Hello")),
        ("8a8537fa213d7f9f4d5158", Frame(Opcode.PONG, b"Hello")),
    ],
)
def test_server_receives_the_examples_of_the_rfc(server, data, expected):
    """
    The masked examples of RFC 6455, 5.7.
    """
    server.receive_data(bytes.fromhex(data))

    assert [expected] == server.events_received()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("810548656c6c6f", [Frame(Opcode.TEXT, b"Hello")]),
        (
            "010348656c80026c6f",
            [Frame(Opcode.TEXT, b"Hel", fin=False), Frame(Opcode.CONT, b"lo")],
        ),
        ("890548656c6c6f", [Frame(Opcode.PING, b"Hello")]),
        ("827e0100" + "00" * 256, [Frame(Opcode.BINARY, bytes(256))]),
        (
            "827f0000000000010000" + "00" * 65_536,
            [Frame(Opcode.BINARY, bytes(65_536))],
        ),
    ],
)
def test_client_receives_the_examples_of_the_rfc(client, data, expected):
    """
    The unmasked examples of RFC 6455, 5.7.
    """
    client.receive_data(bytes.fromhex(data))

    assert expected == client.events_received()


# Receiving


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_receives_frames_in_pieces(either, size):
    """
    It does not matter where the network divides frames.
    """
    data = to(either, TEXT, b"hello" * 30) + to(either, BINARY, b"") + to(either, PONG)
    for start in range(0, len(data), size):
        either.receive_data(data[start : start + size])

    assert [
        Frame(Opcode.TEXT, b"hello" * 30),
        Frame(Opcode.BINARY, b""),
        Frame(Opcode.PONG, b""),
    ] == either.events_received()
    assert [] == either.events_received()


def test_receives_fragments_with_control_frames_between_them(either):
    """
    "Control frames MAY be injected in the middle of a fragmented message"
    (RFC 6455, 5.4). Fragments are not put together.
    """
    either.receive_data(
        to(either, TEXT, b"one", fin=False)
        + to(either, PING, b"ping")
        + to(either, CONT, b"two", fin=False)
        + to(either, CONT, b"three")
        + to(either, TEXT, b"four")
    )

    assert [
        Frame(Opcode.TEXT, b"one", fin=False),
        Frame(Opcode.PING, b"ping"),
        Frame(Opcode.CONT, b"two", fin=False),
        Frame(Opcode.CONT, b"three"),
        Frame(Opcode.TEXT, b"four"),
    ] == either.events_received()


def test_text_is_not_validated(either):
    """
    Frames are divided anywhere; whoever puts them together validates.
    """
    either.receive_data(to(either, TEXT, b"\xff"))

    assert [Frame(Opcode.TEXT, b"\xff")] == either.events_received()
    assert State.OPEN is either.state


@pytest.mark.parametrize("form", [16, 64])
def test_lengths_need_not_be_minimal(either, form):
    """
    Senders must write the shortest form (RFC 6455, 5.2); we read all.
    """
    either.receive_data(to(either, TEXT, b"hello", form=form))

    assert [Frame(Opcode.TEXT, b"hello")] == either.events_received()


@pytest.mark.parametrize("data", [bytearray, bytes])
def test_what_was_received_belongs_to_the_program(server, data):
    """
    A buffer passed in may be used again; payloads are bytes.
    """
    buffer = data(from_client(TEXT, b"hello"))
    server.receive_data(buffer)
    [event] = server.events_received()

    assert from_client(TEXT, b"hello") == buffer
    assert b"hello" == bytes(event.data)


def test_nothing_can_be_received_after_the_end(either):
    """
    That would be a mistake of the program; a second end is none.
    """
    either.receive_eof()
    either.receive_eof()

    with pytest.raises(EOFError, match="^stream ended$"):
        either.receive_data(b"x")


def test_text_is_not_bytes(either):
    """
    Programs that pass text are told so.
    """
    with pytest.raises(TypeError):
        either.receive_data("text")
    with pytest.raises(TypeError, match="bytes-like"):
        either.send_text("text")
    with pytest.raises(TypeError):
        either.send_ping(5)

    assert [] == either.data_to_send()


# Sending


@pytest.mark.parametrize(
    "data", [b"hello", bytearray(b"hello"), memoryview(b"hello")], ids=type
)
def test_sends_data_frames(either, data):
    """
    Any bytes-like object is a payload.
    """
    either.send_text(data)
    either.send_binary(data)

    assert [frame(TEXT, b"hello"), frame(BINARY, b"hello")] == sent(either)
    assert [] == either.data_to_send()


def test_sends_fragments(either):
    """
    The first frame tells the opcode, the last one the end (RFC 6455, 5.4).
    """
    either.send_text(b"one", fin=False)
    either.send_ping(b"ping")
    either.send_continuation(b"two", fin=False)
    either.send_continuation(b"three", fin=True)
    either.send_binary(b"four")

    assert [
        frame(TEXT, b"one", fin=False),
        frame(PING, b"ping"),
        frame(CONT, b"two", fin=False),
        frame(CONT, b"three"),
        frame(BINARY, b"four"),
    ] == sent(either)


def test_fragments_must_be_in_order(either):
    """
    Neither a continuation of nothing nor a message within a message.
    """
    with pytest.raises(
        exceptions.ProtocolError, match="^unexpected continuation frame$"
    ):
        either.send_continuation(b"", fin=True)
    either.send_text(b"one", fin=False)
    for send in (either.send_text, either.send_binary):
        with pytest.raises(
            exceptions.ProtocolError, match="^expected a continuation frame$"
        ):
            send(b"two")

    assert [frame(TEXT, b"one", fin=False)] == sent(either)


def test_masks_every_frame_with_a_key_of_its_own(client):
    """
    "A new masking key for each masked frame" (RFC 6455, 5.3), also for pongs.
    """
    client.receive_data(frame(PING, b"hello"))
    for _ in range(20):
        client.send_text(b"hello")
    data = client.data_to_send()

    assert {b"hello"} == {unmasked(item)[2:] for item in data}
    assert len(data) == len({item[2:6] for item in data})


@pytest.mark.parametrize("size", [0, 1, 125])
def test_sends_pings_and_pongs(either, size):
    """
    Up to 125 bytes (RFC 6455, 5.5).
    """
    either.send_ping(b"x" * size)
    either.send_pong(b"x" * size)

    assert [frame(PING, b"x" * size), frame(PONG, b"x" * size)] == sent(either)


def test_control_frames_are_short(either):
    """
    Nothing is sent when the payload is too long.
    """
    for send in (either.send_ping, either.send_pong):
        with pytest.raises(exceptions.ProtocolError, match="^control frame too long$"):
            send(b"x" * 126)

    assert [] == either.data_to_send()


# Pings


def test_answers_pings(either):
    """
    "As soon as is practical", with the same payload (RFC 6455, 5.5.2 and 5.5.3).
    """
    either.receive_data(to(either, PING, b"one") + to(either, PING, b""))

    assert [frame(PONG, b"one"), frame(PONG, b"")] == sent(either)


def test_answers_pings_while_closing(either):
    """
    "Unless it already received a Close frame" (RFC 6455, 5.5.2): having sent one
    is no excuse.
    """
    either.send_close(1000)
    sent(either)
    either.receive_data(to(either, PING, b"one"))

    assert [frame(PONG, b"one")] == sent(either)


def test_pongs_are_only_shown(either):
    """
    A pong needs no answer (RFC 6455, 5.5.3).
    """
    either.receive_data(to(either, PONG, b"one"))

    assert [Frame(Opcode.PONG, b"one")] == either.events_received()
    assert [] == either.data_to_send()


# Closing

CLOSES = [
    (b"", 1005, ""),
    (close(1000), 1000, ""),
    (close(1000, b"bye"), 1000, "bye"),
    (close(1001), 1001, ""),
    (close(1014), 1014, ""),
    (close(3456), 3456, ""),
    (close(4999, "adieu, été".encode()), 4999, "adieu, été"),
    (close(1000, b"x" * 123), 1000, "x" * 123),
]


@pytest.mark.parametrize(("payload", "code", "reason"), CLOSES)
def test_server_echoes_a_close_frame_and_ends_its_side(server, payload, code, reason):
    """
    "It typically echos the status code it received" (RFC 6455, 5.5.1), and the
    server ends the TCP connection first (7.1.1).
    """
    server.receive_data(from_client(CLOSE, payload))

    assert [Frame(Opcode.CLOSE, payload)] == server.events_received()
    assert [frame(CLOSE, payload), b""] == server.data_to_send()
    assert State.CLOSING is server.state
    assert server.close_expected()
    assert (None, None) == (server.close_code, server.close_reason)

    server.receive_eof()

    assert [] == server.data_to_send()
    assert State.CLOSED is server.state
    assert (code, reason) == (server.close_code, server.close_reason)
    assert Close(code, reason) == server.close_rcvd == server.close_sent
    assert server.close_rcvd_then_sent is True
    assert server.parser_exc is None


@pytest.mark.parametrize(("payload", "code", "reason"), CLOSES)
def test_client_echoes_a_close_frame_and_waits(client, payload, code, reason):
    """
    The client waits for the server to end the connection (RFC 6455, 7.1.1).
    """
    client.receive_data(frame(CLOSE, payload))

    assert [frame(CLOSE, payload)] == sent(client)
    assert not client.eof_sent
    assert client.close_expected()

    client.receive_eof()

    assert [b""] == client.data_to_send()
    assert (code, reason) == (client.close_code, client.close_reason)


@pytest.mark.parametrize(("payload", "code", "reason"), CLOSES)
def test_starts_the_closing_handshake(either, payload, code, reason):
    """
    Data still arrive until the peer answers; then the server ends its side.
    """
    either.send_close(None if code == 1005 else code, reason)
    assert [frame(CLOSE, payload)] == sent(either)
    assert State.CLOSING is either.state
    assert either.close_expected()
    either.receive_data(to(either, TEXT, b"late") + to(either, CLOSE, close(1000)))

    assert [
        Frame(Opcode.TEXT, b"late"),
        Frame(Opcode.CLOSE, close(1000)),
    ] == either.events_received()
    assert ([b""] if either.side is Side.SERVER else []) == sent(either)

    either.receive_eof()

    assert (Close(1000, ""), Close(code, reason), False) == (
        either.close_rcvd,
        either.close_sent,
        either.close_rcvd_then_sent,
    )
    assert 1000 == either.close_code


def test_data_after_a_close_frame_are_dropped(either):
    """
    "Any data received after a Close frame is to be discarded"
    (RFC 6455, 5.5.1 and 1.4).
    """
    either.receive_data(to(either, CLOSE) + to(either, TEXT, b"late"))
    either.receive_data(b"\xff\xff\xff")

    assert [Frame(Opcode.CLOSE, b"")] == either.events_received()
    assert either.parser_exc is None


@pytest.mark.ours
def test_a_close_frame_may_end_a_fragmented_message(either):
    """
    It is a control frame like others (RFC 6455, 5.4), so it is echoed, although
    the message remains unfinished (Autobahn 7.1.5).
    """
    either.receive_data(to(either, TEXT, b"one", fin=False))
    either.receive_data(to(either, CLOSE, close(1000)))

    assert frame(CLOSE, close(1000)) == sent(either)[0]
    assert Close(1000, "") == either.close_rcvd == either.close_sent
    assert either.parser_exc is None


def test_a_fragmented_message_may_end_with_a_close_frame(either):
    """
    The same in the other direction.
    """
    either.send_text(b"one", fin=False)
    either.send_close(1011)

    assert [frame(TEXT, b"one", fin=False), frame(CLOSE, close(1011))] == sent(either)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70_000])
def test_reserved_close_codes_cannot_be_sent(either, code):
    """
    RFC 6455, 7.4. The connection stays OPEN.
    """
    with pytest.raises(exceptions.ProtocolError, match="^invalid status code$"):
        either.send_close(code)

    assert State.OPEN is either.state
    assert [] == either.data_to_send()


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (None, "x", "cannot send a reason without a code"),
        (1000, "x" * 124, "control frame too long"),
        (1000, "é" * 62, "control frame too long"),
    ],
)
def test_close_reasons_have_limits(either, code, reason, text):
    """
    123 bytes in UTF-8, behind a code. The connection stays OPEN.
    """
    with pytest.raises(exceptions.ProtocolError, match=f"^{text}$"):
        either.send_close(code, reason)

    assert State.OPEN is either.state


# The end of the stream


def test_an_end_without_a_close_frame_is_abnormal(either):
    """
    Code 1006 (RFC 6455, 7.1.5); the cause is EOFError.
    """
    either.receive_data(to(either, TEXT, b"one", fin=False))
    either.receive_eof()

    assert [b""] == either.data_to_send()
    assert State.CLOSED is either.state
    assert (1006, "") == (either.close_code, either.close_reason)
    assert [("EOFError", "unexpected end of stream")] == chain(either.parser_exc)
    assert not either.close_expected()


@pytest.mark.parametrize("cut", range(1, 11))
def test_an_end_within_a_frame_is_abnormal(server, cut):
    """
    Wherever in the frame.
    """
    server.receive_data(from_client(TEXT, b"hello")[:cut])
    server.receive_eof()

    assert 1006 == server.close_code
    assert isinstance(server.parser_exc, EOFError)
    assert [] == server.events_received()


def test_an_end_instead_of_the_peers_close_frame_is_abnormal(either):
    """
    We have sent one, the peer has not.
    """
    either.send_close(1001)
    either.receive_eof()

    assert 1006 == either.close_code
    assert (None, Close(1001, ""), None) == (
        either.close_rcvd,
        either.close_sent,
        either.close_rcvd_then_sent,
    )
    assert isinstance(either.parser_exc, EOFError)


# Failing

VIOLATIONS = [
    ({"opcode": 3}, 1002, "invalid opcode"),
    ({"opcode": 11}, 1002, "invalid opcode"),
    ({"opcode": TEXT, "rsv": 4}, 1002, "reserved bits must be 0"),
    ({"opcode": TEXT, "rsv": 2}, 1002, "reserved bits must be 0"),
    ({"opcode": BINARY, "rsv": 1}, 1002, "reserved bits must be 0"),
    ({"opcode": PING, "rsv": 4}, 1002, "reserved bits must be 0"),
    ({"opcode": PING, "fin": False}, 1002, "fragmented control frame"),
    ({"opcode": PING, "payload": b"x" * 126}, 1002, "control frame too long"),
    ({"opcode": CONT}, 1002, "unexpected continuation frame"),
    ({"opcode": CLOSE, "payload": b"x"}, 1002, "close frame too short"),
    ({"opcode": CLOSE, "payload": close(1005)}, 1002, "invalid status code"),
    ({"opcode": CLOSE, "payload": close(999)}, 1002, "invalid status code"),
    ({"opcode": CLOSE, "payload": close(5000)}, 1002, "invalid status code"),
    (
        {"opcode": TEXT, "payload": bytes(2**20 + 1)},
        1009,
        "frame with 1048577 bytes exceeds limit of 1048576 bytes",
    ),
]


@pytest.mark.parametrize(("violation", "code", "reason"), VIOLATIONS)
def test_violations_fail_the_connection(either, violation, code, reason):
    """
    What came before them takes effect, what comes behind them does not.
    """
    violation = dict(violation)
    opcode = violation.pop("opcode")
    either.receive_data(
        to(either, TEXT, b"before")
        + to(either, PING, b"before")
        + to(either, opcode, **violation)
        + to(either, TEXT, b"behind")
    )

    assert [
        Frame(Opcode.TEXT, b"before"),
        Frame(Opcode.PING, b"before"),
    ] == either.events_received()
    assert [
        frame(PONG, b"before"),
        frame(CLOSE, close(code, reason.encode())),
        *([b""] if either.side is Side.SERVER else []),
    ] == sent(either)
    assert State.CLOSING is either.state
    assert reason == str(either.parser_exc)
    assert (None, Close(code, reason)) == (either.close_rcvd, either.close_sent)

    either.receive_data(to(either, TEXT, b"behind"))
    either.receive_eof()

    assert [] == either.events_received()
    assert 1006 == either.close_code
    assert reason == str(either.parser_exc)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_within_a_message_fails_the_connection(either, opcode):
    """
    A fragmented message continues with continuation frames (RFC 6455, 5.4).
    """
    either.receive_data(to(either, TEXT, b"one", fin=False) + to(either, opcode))

    assert "expected a continuation frame" == str(either.parser_exc)


def test_a_client_must_mask(server):
    """
    RFC 6455, 5.1.
    """
    server.receive_data(frame(TEXT, b"hello"))

    assert Close(1002, "incorrect masking") == server.close_sent


def test_a_server_must_not_mask(client):
    """
    RFC 6455, 5.1.
    """
    client.receive_data(from_client(TEXT, b"hello"))

    assert Close(1002, "incorrect masking") == client.close_sent


def test_a_close_reason_must_be_utf_8(either):
    """
    Code 1007 (RFC 6455, 8.1).
    """
    either.receive_data(to(either, CLOSE, close(1000, b"\xff")))

    assert 1007 == either.close_sent.code
    assert isinstance(either.parser_exc, UnicodeDecodeError)
    assert [] == either.events_received()


@pytest.mark.ours
def test_close_reasons_do_not_quote_exceptions(either):
    """
    What Python says about the bytes is no concern of the peer.
    """
    either.receive_data(to(either, CLOSE, close(1000, b"\xff")))

    assert "invalid UTF-8" == either.close_sent.reason


@pytest.mark.ours
@pytest.mark.parametrize("max_size", [None, 2**20])
def test_the_top_bit_of_a_length_must_be_0(either, max_size):
    """
    RFC 6455, 5.2, limit or not.
    """
    endpoint = protocol.Protocol(either.side, max_size=max_size)
    data = to(endpoint, BINARY, form=64)
    endpoint.receive_data(data[:2] + b"\x80" + data[3:])

    assert 1002 == endpoint.close_sent.code


@pytest.mark.ours
def test_a_control_frame_that_is_too_long_is_not_waited_for(server):
    """
    The header tells; the payload need not be here.
    """
    server.receive_data(from_client(PING, b"x" * 126)[:8])

    assert Close(1002, "control frame too long") == server.close_sent


def test_a_violation_while_closing_sends_nothing_more(either):
    """
    A close frame is sent once (RFC 6455, 5.5.1).
    """
    either.send_close(1000)
    sent(either)
    either.receive_data(to(either, 3) + to(either, PING))

    assert ([b""] if either.side is Side.SERVER else []) == sent(either)
    assert Close(1000, "") == either.close_sent
    assert "invalid opcode" == str(either.parser_exc)


# Limits

LIMITS = [
    (10, [(TEXT, 10, True)], None),
    (10, [(TEXT, 11, True)], "frame with 11 bytes exceeds limit of 10 bytes"),
    (10, [(TEXT, 4, False), (CONT, 6, True), (TEXT, 10, True)], None),
    (
        *(10, [(TEXT, 4, False), (CONT, 7, True)]),
        "frame with 7 bytes after reading 4 bytes exceeds limit of 10 bytes",
    ),
    (
        *(10, [(TEXT, 4, False), (CONT, 6, False), (CONT, 1, True)]),
        "frame with 1 bytes after reading 10 bytes exceeds limit of 10 bytes",
    ),
    ((10, 5), [(TEXT, 5, False), (CONT, 5, True)], None),
    ((10, 5), [(TEXT, 6, True)], "frame with 6 bytes exceeds limit of 5 bytes"),
    (
        *((10, 5), [(TEXT, 5, False), (CONT, 5, False), (CONT, 1, True)]),
        "frame with 1 bytes after reading 10 bytes exceeds limit of 10 bytes",
    ),
    ((None, 5), [(TEXT, 5, False), (CONT, 5, False), (CONT, 5, True)], None),
    ((None, 5), [(TEXT, 6, True)], "frame with 6 bytes exceeds limit of 5 bytes"),
    ((10, None), [(TEXT, 11, True)], "frame with 11 bytes exceeds limit of 10 bytes"),
    (None, [(TEXT, 2**20 + 1, True)], None),
    (0, [(TEXT, 0, True)], None),
    (0, [(TEXT, 1, True)], "frame with 1 bytes exceeds limit of 0 bytes"),
]


@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT], ids=["server", "client"])
@pytest.mark.parametrize(("max_size", "items", "reason"), LIMITS)
def test_bounds_messages_and_frames(side, max_size, items, reason):
    """
    The header decides; a message counts as a whole, a frame for itself.
    """
    endpoint = protocol.Protocol(side, max_size=max_size)
    for opcode, size, fin in items:
        endpoint.receive_data(to(endpoint, opcode, bytes(size), fin=fin))
    endpoint.receive_data(to(endpoint, PING, b""))

    if reason is None:
        assert len(items) + 1 == len(endpoint.events_received())
        assert State.OPEN is endpoint.state
    else:
        assert len(items) - 1 == len(endpoint.events_received())
        assert Close(1009, reason) == endpoint.close_sent
        assert isinstance(endpoint.parser_exc, exceptions.PayloadTooBig)


@pytest.mark.ours
def test_limits_are_not_for_control_frames(server):
    """
    They are bounded by the protocol.
    """
    endpoint = protocol.Protocol(Side.SERVER, max_size=1)
    endpoint.receive_data(from_client(PING, b"ping"))

    assert [frame(PONG, b"ping")] == endpoint.data_to_send()


@pytest.mark.parametrize(
    ("max_size", "expected"),
    [
        (5, (5, None)),
        (None, (None, None)),
        ((5, 3), (5, 3)),
        ((None, 3), (None, 3)),
        ((5, None), (5, None)),
    ],
)
def test_shows_its_limits(max_size, expected):
    """
    One number is that of messages.
    """
    endpoint = protocol.Protocol(Side.SERVER, max_size=max_size)

    assert expected == (endpoint.max_message_size, endpoint.max_fragment_size)


# Failing on behalf of the program


def test_the_program_may_fail_the_connection(either):
    """
    A close frame, then nothing more in either direction.
    """
    either.fail(1008, "no")
    either.fail(1011)

    assert [
        frame(CLOSE, close(1008, b"no")),
        *([b""] if either.side is Side.SERVER else []),
    ] == sent(either)
    either.receive_data(to(either, TEXT, b"hello"))
    assert [] == either.events_received()
    assert either.close_expected()
    assert either.parser_exc is None


def test_failing_without_a_close_frame(server):
    """
    With 1006, the connection just ends: nobody is there to read.
    """
    server.fail(1006)

    assert [b""] == server.data_to_send()
    assert server.close_sent is None


@pytest.mark.parametrize("code", [999, 1005, 1015])
def test_reserved_codes_cannot_be_used_for_failing(either, code):
    """
    The connection has not failed.
    """
    with pytest.raises(exceptions.ProtocolError, match="^invalid status code$"):
        either.fail(code)

    assert State.OPEN is either.state
    assert [] == either.data_to_send()


def test_long_reasons_cannot_be_used_for_failing(either):
    """
    The connection has not failed.
    """
    with pytest.raises(exceptions.ProtocolError, match="^control frame too long$"):
        either.fail(1002, "x" * 124)

    assert State.OPEN is either.state


def test_failing_a_connection_that_is_closing_changes_no_code(either):
    """
    The close frame was sent already.
    """
    either.send_close(1000)
    either.fail(1011, "too late")

    assert Close(1000, "") == either.close_sent
    either.receive_data(to(either, TEXT, b"hello"))
    assert [] == either.events_received()


# States

SEND_DATA = [("send_text", b""), ("send_binary", b""), ("send_close",)]
SEND_CONTROL = [("send_ping", b""), ("send_pong", b"")]


@pytest.mark.parametrize("state", [State.CONNECTING, State.CLOSING, State.CLOSED])
@pytest.mark.parametrize(("name", "args"), [(n, a) for n, *a in SEND_DATA])
def test_data_are_sent_while_open(state, name, args):
    """
    InvalidState says which state it is.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=state)

    with pytest.raises(
        exceptions.InvalidState, match=f"^connection is {state.name.lower()}$"
    ):
        getattr(endpoint, name)(*args)
    assert [] == endpoint.data_to_send()


@pytest.mark.parametrize("state", [State.CONNECTING, State.CLOSED])
@pytest.mark.parametrize(("name", "args"), [(n, a) for n, *a in SEND_CONTROL])
def test_control_frames_are_sent_while_open_or_closing(state, name, args):
    """
    InvalidState says which state it is.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=state)

    with pytest.raises(
        exceptions.InvalidState, match=f"^connection is {state.name.lower()}$"
    ):
        getattr(endpoint, name)(*args)


def test_a_continuation_needs_an_open_connection(either):
    """
    A message that was begun cannot be finished behind a close frame.
    """
    either.send_text(b"one", fin=False)
    either.send_close()

    with pytest.raises(exceptions.InvalidState, match="^connection is closing$"):
        either.send_continuation(b"two", fin=True)


def test_control_frames_can_follow_a_close_frame(client):
    """
    As long as we have not ended the stream.
    """
    client.send_close(1000)
    client.send_ping(b"ping")

    assert [frame(CLOSE, close(1000)), frame(PING, b"ping")] == sent(client)


@pytest.mark.ours
def test_nothing_follows_the_end_of_the_stream(server):
    """
    Half-closed means half-closed.
    """
    server.receive_data(from_client(CLOSE))

    with pytest.raises(exceptions.InvalidState, match="^connection is closing$"):
        server.send_ping(b"ping")
    assert [frame(CLOSE), b""] == server.data_to_send()


def test_the_state_can_be_set():
    """
    For programs with an opening handshake of their own.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=State.CONNECTING)
    assert not endpoint.close_expected()
    endpoint.state = State.OPEN
    endpoint.send_text(b"hello")

    assert [frame(TEXT, b"hello")] == endpoint.data_to_send()


@pytest.mark.ours
def test_sends_no_pong_before_the_handshake_is_over():
    """
    It would stand in front of the response.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=State.CONNECTING)
    endpoint.receive_data(from_client(PING, b"early"))

    assert [] == endpoint.data_to_send()


# What a connection tells


def test_close_exc_needs_a_closed_connection(either):
    """
    Before the end there is nothing to tell.
    """
    with pytest.raises(AssertionError, match="^connection isn't closed yet$"):
        _ = either.close_exc


CLOSINGS = [
    (None, None, "ConnectionClosedError", "no close frame received or sent"),
    (1000, None, "ConnectionClosedOK", "received 1000 (OK); then sent 1000 (OK)"),
    (
        *(1001, None, "ConnectionClosedOK"),
        "received 1001 (going away); then sent 1001 (going away)",
    ),
    (
        *(1011, None, "ConnectionClosedError"),
        "received 1011 (internal error); then sent 1011 (internal error)",
    ),
    (
        *(None, 1000, "ConnectionClosedError"),
        "sent 1000 (OK); no close frame received",
    ),
    (
        *(1000, 1001, "ConnectionClosedOK"),
        "sent 1001 (going away); then received 1000 (OK)",
    ),
    (
        *(1000, 1011, "ConnectionClosedError"),
        "sent 1011 (internal error); then received 1000 (OK)",
    ),
]


@pytest.mark.parametrize(("received", "first_sent", "exc_type", "text"), CLOSINGS)
def test_close_exc_tells_how_it_ended(either, received, first_sent, exc_type, text):
    """
    OK means that both close frames say so.
    """
    if first_sent is not None:
        either.send_close(first_sent)
    if received is not None:
        either.receive_data(to(either, CLOSE, close(received)))
    either.receive_eof()
    exc = either.close_exc

    assert (exc_type, text) == (type(exc).__name__, str(exc))
    assert exc.__cause__ is either.parser_exc


def test_close_exc_has_a_cause(either):
    """
    The violation that ended the connection.
    """
    either.receive_data(to(either, CONT))
    either.receive_eof()

    assert either.parser_exc is either.close_exc.__cause__
    assert isinstance(either.parser_exc, exceptions.ProtocolError)


def test_every_connection_has_an_identifier(either):
    """
    For logs.
    """
    assert isinstance(either.id, uuid.UUID)
    assert either.id == either.id
    assert either.id != protocol.Protocol(either.side).id


def test_has_the_attributes_of_a_new_connection(either):
    """
    Names that programs use.
    """
    assert [None, None, None, None, None] == [
        either.origin,
        either.subprotocol,
        either.handshake_exc,
        either.parser_exc,
        either.close_rcvd_then_sent,
    ]
    assert [] == list(either.extensions)
    assert f"{NAME}.{either.side.name.lower()}" == either.logger.name
    assert either.debug is False


def test_has_the_enumerations_of_the_documentation():
    """
    Values are interface.
    """
    assert {"SERVER": 0, "CLIENT": 1} == dict(Side.__members__)
    assert {"CONNECTING": 0, "OPEN": 1, "CLOSING": 2, "CLOSED": 3} == dict(
        State.__members__
    )
    assert b"" == protocol.SEND_EOF


# Logging


@pytest.fixture
def log(caplog):
    """
    Collect what a connection logs, as pairs of level and text.
    """
    caplog.set_level(logging.DEBUG, "tests")

    def collect():
        records = [(r.levelname, r.getMessage()) for r in caplog.records]
        caplog.clear()
        return records

    return collect


def test_logs_frames_and_states(log):
    """
    With the prefixes of reference 2.6.
    """
    server = protocol.Protocol(Side.SERVER, logger=logging.getLogger("tests"))
    server.receive_data(from_client(TEXT, b"hi"))
    server.send_text(b"yo", fin=False)
    server.receive_data(from_client(PING, b"p") + from_client(CLOSE, close(1000)))
    server.receive_eof()

    assert server.debug
    assert [
        ("DEBUG", "= connection is OPEN"),
        ("DEBUG", "< TEXT 'hi' [2 bytes]"),
        ("DEBUG", "> TEXT 'yo' [2 bytes, continued]"),
        ("DEBUG", "< PING 'p' [text, 1 byte]"),
        ("DEBUG", "> PONG 'p' [text, 1 byte]"),
        ("DEBUG", "< CLOSE 1000 (OK) [2 bytes]"),
        ("DEBUG", "> CLOSE 1000 (OK) [2 bytes]"),
        ("DEBUG", "= connection is CLOSING"),
        ("DEBUG", "> EOF"),
        ("DEBUG", "= connection is CLOSED"),
        ("INFO", "connection closed"),
    ] == log()


def test_logs_a_failure(log):
    """
    Violations by the peer are no error of ours.
    """
    server = protocol.Protocol(Side.SERVER, logger=logging.getLogger("tests"))
    server.receive_data(from_client(3))

    assert [
        ("DEBUG", "= connection is OPEN"),
        ("DEBUG", "> CLOSE 1002 (protocol error) invalid opcode [16 bytes]"),
        ("DEBUG", "= connection is CLOSING"),
        ("DEBUG", "> EOF"),
    ] == log()


def test_logs_the_end_of_the_stream(log):
    """
    In both directions.
    """
    client = protocol.Protocol(Side.CLIENT, logger=logging.getLogger("tests"))
    client.receive_eof()
    records = log()

    assert ("DEBUG", "< EOF") == records[1]
    assert ("DEBUG", "> EOF") == records[-2]
    assert ("DEBUG", "= connection is CLOSED") == records[-1]


def test_says_only_at_a_server_that_a_connection_was_closed(caplog):
    """
    A client's program knows.
    """
    caplog.set_level(logging.INFO, "tests")
    for side in Side:
        protocol.Protocol(side, logger=logging.getLogger("tests")).receive_eof()

    assert ["connection closed"] == [r.getMessage() for r in caplog.records]


# For rooms


@pytest.mark.ours
@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT], ids=["server", "client"])
def test_hands_the_open_connection_over(core, side):
    """
    The handshake is the protocol's; frames and states are those of another
    endpoint, which may be compiled.
    """
    keys = core.endpoint.MaskingKeys(bytes)
    endpoint = core.endpoint.Endpoint(side is Side.CLIENT, 100, -1, keys)
    if side is Side.SERVER:
        shell = submodule("server").ServerProtocol()
        shell.hand_over(endpoint)
        shell.receive_data(request() + b"more")
        [event] = shell.events_received()
        shell.send_response(shell.accept(event))
    else:
        shell = submodule("client").ClientProtocol(
            submodule("uri").parse_uri("ws://example.com")
        )
        shell.key = KEY
        shell.hand_over(endpoint)
        shell.receive_data(response() + b"more")

    assert State.OPEN == endpoint.state
    assert b"more" == shell.unread_data()
    assert b"" == shell.unread_data()
    assert (100, None) == (shell.max_message_size, shell.max_fragment_size)

    endpoint.send_close(1001, "bye")
    endpoint.receive_eof()

    assert State.CLOSED is shell.state
    assert Close(1001, "bye") == shell.close_sent
    assert 1006 == shell.close_code
    assert isinstance(shell.close_exc.__cause__, EOFError)


@pytest.mark.ours
def test_tells_the_other_endpoint_that_the_handshake_failed(core):
    """
    It is not OPEN, drops what comes, and has nothing more to send.
    """
    keys = core.endpoint.MaskingKeys(bytes)
    endpoint = core.endpoint.Endpoint(False, 100, -1, keys)
    shell = submodule("server").ServerProtocol()
    shell.hand_over(endpoint)
    shell.receive_data(b"garbage\r\n\r\nmore")

    assert State.CONNECTING == endpoint.state
    assert endpoint.discarding
    assert endpoint.wants_eof
    assert b"" == shell.data_to_send()[-1]
    shell.receive_data(b"more")
    assert b"" == shell.unread_data()
