"""
How connections fail (RFC 6455, 7.1.7), and what they accept before.
"""

from __future__ import annotations

import pytest

from tests.under_test import submodule

from .wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    from_client,
    sent,
    to,
)

exceptions = submodule("exceptions")
frames = submodule("frames")
protocol = submodule("protocol")

Close, Frame, Opcode = frames.Close, frames.Frame, frames.Opcode
Side, State = protocol.Side, protocol.State


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
