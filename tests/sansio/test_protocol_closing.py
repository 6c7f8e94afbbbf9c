"""
The closing handshake (RFC 6455, 5.5.1 and 7), and the end without one.
"""

from __future__ import annotations

import pytest

from tests.under_test import submodule

from .wire import (
    CLOSE,
    TEXT,
    chain,
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
